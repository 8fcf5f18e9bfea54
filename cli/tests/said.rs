//! What a command says of what it was given, and of what it made.

use std::fs;

use crate::support::Folder;

fn desk() -> Folder {
    let desk = Folder::new();
    desk.say("init --origin maker.example/2026 --name Maker");
    desk.write("a.bin", "a");
    desk.say(&[
        "add",
        "dataset",
        "a.bin",
        "--name",
        "camera",
        "--origin",
        "collected",
        "--modality",
        "visual",
        "--grade",
        "general",
    ]);
    desk
}

#[test]
fn steps_in_a_circle_are_named() {
    let desk = desk();
    let step = |name: &str, used: &str, made: &str| {
        format!(
            "[[transformation]]\nname = \"{name}\"\nkind = \"cleaning\"\nused = [\"{used}\"]\ngenerated = [{{ dataset = \"{made}\", path = \"a.bin\" }}]\n"
        )
    };
    desk.write("l.toml", &[step("after", "b", "d"), step("one", "c", "b"), step("two", "b", "c")].concat());
    let said = desk.complain("record l.toml");
    assert!(said.contains("in a circle: \"one\" uses \"c\", \"two\" uses \"b\""), "{said}");
    assert!(!said.contains("\"after\""), "{said}");
}

#[test]
fn a_detail_that_is_too_large_is_named_with_its_line() {
    let desk = desk();
    let large = "x".repeat((1 << 20) + 1);
    let text = format!(
        "[[dataset]]\nname = \"b\"\norigin = \"collected\"\npath = \"a.bin\"\n[dataset.detail]\nsite = \"s\"\nlicence = \"{large}\"\n"
    );
    desk.write("l.toml", &text);
    let said = desk.complain("record l.toml");
    assert!(said.contains("l.toml:7:") && said.contains("\"licence\" can't be a detail"), "{said:.400}");
    assert!(said.contains("exceeds the limit of 1048576"), "{said:.400}");
}

#[test]
fn an_assessor_is_told_of_words_that_nothing_has() {
    let desk = desk();
    desk.say("key new office.key");
    let sign = |scheme: &str, grade: &str, modality: &str| {
        let args = format!(
            "assess sign --subject camera --scheme {scheme} --grade {grade} --purpose p --modality {modality} --destination DE --key office.key --issuer Office -o a.statement"
        );
        desk.ends(0, &args)
    };
    assert!(!sign("security-assessment", "general", "visual").contains("warning"));
    let said = sign("security-assessment", "generel", "visal");
    assert!(said.contains("no data set or model here has the grade \"generel\", but general"), "{said}");
    assert!(said.contains("no data set here has the modality \"visal\", but visual"), "{said}");
    desk.say("assess record a.statement");
    let said = sign("security-asessment", "general", "visual");
    assert!(said.contains("no assessment here has the scheme \"security-asessment\""), "{said}");
}

#[test]
fn what_was_withdrawn_is_not_shown_as_if_it_held() {
    let desk = desk();
    desk.say(
        "assess record --stated --subject camera --scheme s --grade general --purpose p --modality visual --destination DE",
    );
    desk.say("mark withdraw assessment --reason forged");
    let id = desk.json("show camera")["assessments"][0]["id"].as_str().unwrap().to_owned();
    let shown = desk.say("show camera");
    let line = shown.lines().find(|line| line.trim_start().starts_with("assessed")).unwrap();
    assert!(line.contains("which bears the mark withdraw of") && line.contains("forged"), "{shown}");
    assert_eq!(desk.json("show camera")["assessments"][0]["put_aside"], "withdraw");
    assert!(desk.say(&format!("show {id}")).contains("marked"));
    desk.say("mark recall camera --reason x");
    assert!(desk.say("trace camera --dot").contains("dataset camera [recalled]\"]"));
}

#[test]
fn a_bundle_in_the_models_own_folder_is_told() {
    let desk = desk();
    fs::create_dir(desk.path().join("model")).unwrap();
    desk.write("model/grasp.bin", "weights");
    desk.say("add model model --name grasp");
    desk.say("ship model:grasp --to Buyer --country DE --name first");
    let said = desk.ends(0, "prove first -o model/first.griptrace");
    assert!(said.contains("it is one file too many"), "{said}");
    let said = desk.ends(0, "prove first -o first.griptrace");
    assert!(!said.contains("too many"), "{said}");
    desk.say("key new office.key");
    let said = desk.complain("export oms model:grasp --key office.key -o s.json");
    assert!(said.contains("not the node"), "{said}");
}
