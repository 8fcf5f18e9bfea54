//! Names that could mean something else.

use crate::support::Folder;

fn desk() -> Folder {
    let desk = Folder::new();
    desk.say("init --origin maker.example/2026 --name Maker");
    desk
}

fn data(desk: &Folder, name: &str) {
    desk.write(&format!("{name}.bin"), name);
    desk.say(&["add", "dataset", &format!("{name}.bin"), "--name", name, "--origin", "collected"]);
}

fn assess(desk: &Folder) {
    desk.say(
        "assess record --stated --subject camera --scheme s --grade g --purpose p --modality visual --destination DE --valid-from 2026-01-01",
    );
}

/// The data set was marked, though the help says that the word means the newest assessment.
#[test]
fn a_node_that_is_called_like_a_kind_is_told_from_the_newest_of_it() {
    let desk = desk();
    data(&desk, "camera");
    data(&desk, "assessment");
    // There is none yet: the word can mean only the name.
    desk.say("show assessment");
    assess(&desk);
    let id = desk.id("dataset:assessment");
    for args in [
        "mark withdraw assessment --reason x",
        "show assessment",
        "trace assessment",
        "erase assessment name --reason x",
    ] {
        let said = desk.complain(args);
        assert!(said.contains("assessment is a name, and means the newest assessment too"), "{args}: {said}");
        assert!(said.contains(&format!("candidate: {}", &id[..16])) && said.contains("s (passed, stated)"), "{said}");
        assert!(said.contains("dataset:assessment names the one that is called so"), "{said}");
    }
    // Where only one of them will do it is taken.
    desk.say("assess record --stated --subject assessment --scheme s --grade g --purpose p --modality visual --destination DE");
    desk.say("mark withdraw dataset:assessment --reason x");
    data(&desk, "model");
    desk.say("mark withdraw model --reason x");
}

#[test]
fn a_name_that_looks_like_the_beginning_of_an_id_is_told_from_it_by_who_looks_too() {
    let desk = desk();
    data(&desk, "camera");
    let prefix = desk.id("camera")[..4].to_owned();
    data(&desk, &prefix);
    for args in [format!("show {prefix}"), format!("mark withdraw {prefix} --reason x")] {
        let said = desk.complain(&args);
        assert!(said.contains(&format!("dataset:{prefix} names the one that is called so")), "{said}");
    }
    assert_eq!(desk.json(&["show", &format!("dataset:{prefix}")])["name"], prefix);
    // A lineage file goes on by the name, whatever id comes to begin like it.
    desk.write("l.toml", &format!("[[transformation]]\nname = \"t\"\nkind = \"cleaning\"\nused = [\"{prefix}\"]\ngenerated = [{{ dataset = \"d\", path = \"camera.bin\" }}]\n"));
    desk.say("record l.toml");
}
