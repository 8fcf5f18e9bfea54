//! What is recorded, shipped or erased a second time, or stands in more than one node.

use std::fs;

use crate::support::Folder;

const LINEAGE: &str = r#"
[[dataset]]
name = "camera"
origin = "collected"
path = "raw"
modality = ["visual"]
country = "CN"
detail = { site = "the kitchen of Erika Mustermann", device = "D" }

[[transformation]]
name = "train"
kind = "training"
used = ["camera"]
country = "CN"
date = 2026-01-02
generated = [{ model = "grasp", path = "out/grasp.bin" }]
detail = { tool = "train.py of Erika" }
"#;

fn desk() -> Folder {
    let desk = Folder::new();
    for folder in ["raw", "out"] {
        fs::create_dir(desk.path().join(folder)).unwrap();
    }
    desk.write("raw/1.pgm", "frame");
    desk.write("raw/2.pgm", "another frame");
    desk.write("out/grasp.bin", "weights");
    desk.write("lineage.toml", LINEAGE);
    desk.say("init --origin maker.example/2026 --name Maker");
    desk.say("record lineage.toml");
    desk
}

/// Recording the same file again put an erased value back without a word.
#[test]
fn what_was_erased_comes_back_with_no_record_that_does_not_ask_for_it() {
    let desk = desk();
    let id = desk.id("camera");
    desk.say(&["erase", "camera", "site", "--reason", "request 17 of E. M."]);
    let commits = || desk.say("log --json").lines().count();
    let before = commits();
    for args in ["record lineage.toml", "record lineage.toml --draft a.draft"] {
        let said = desk.complain(args);
        let told = said.contains(&format!("camera was recorded before as {}", &id[..16]))
            && said.contains("of which site was erased on 2")
            && said.contains("request 17 of E. M.")
            && said.contains("--despite-erasure");
        assert!(told, "{said}");
    }
    let said =
        desk.complain(&["add", "dataset", "raw", "--name", "camera", "--origin", "collected", "--detail", "site=x"]);
    assert!(said.contains("of which site was erased"), "{said}");
    assert_eq!(commits(), before);
    assert!(!desk.path().join("a.draft").exists());

    // Without what was erased nothing comes back, and a file of another content is another data set.
    desk.write("without.toml", &LINEAGE.replace("site = \"the kitchen of Erika Mustermann\", ", ""));
    desk.say("record without.toml --draft b.draft");
    desk.write("raw/3.pgm", "one more");
    desk.say("record lineage.toml --draft c.draft");
    fs::remove_file(desk.path().join("raw/3.pgm")).unwrap();

    // Who wants it gets it, with the way to take it out again, and is not asked twice.
    let said = desk.ends(0, "record lineage.toml --despite-erasure");
    assert!(said.contains("this is a new record, which has it again"), "{said}");
    let new = desk.id("camera");
    assert!(new != id && said.contains(&format!("griptrace erase {} site --reason", &new[..16])), "{said}");
    desk.say("record lineage.toml");
    desk.say(&["erase", &new, "site", "--reason", "again"]);
    assert!(desk.complain("record lineage.toml").contains(&new[..16]));
}

#[test]
fn files_names_and_steps_that_were_erased_come_back_unasked_neither() {
    let desk = desk();
    desk.say("record lineage.toml --draft early.draft");
    let (camera, step) = (desk.id("camera"), desk.id("transformation:train"));
    desk.say(&["erase", &step, "tool", "name", "--reason", "asked"]);
    let said = desk.complain("record lineage.toml");
    assert!(said.contains("train was recorded before as") && said.contains("of which name, tool was erased"), "{said}");
    desk.say(&["erase", &camera, "--file", "2.pgm", "--reason", "recalled"]);
    desk.say(&["erase", &camera, "name", "--reason", "asked"]);
    let said = desk.complain("record lineage.toml");
    assert!(said.contains("of which name, files was erased") && said.contains("another one: train"), "{said}");
    // All that tells what it was is gone, but for its name.
    desk.say("erase model:grasp content manifest --files --reason recalled");
    let said = desk.complain("record lineage.toml");
    assert!(said.contains("another one: grasp was recorded before as"), "{said}");
}

#[test]
fn a_draft_from_before_an_erasure_brings_nothing_back() {
    let desk = Folder::new();
    desk.write("a.bin", "a");
    desk.write(
        "first.toml",
        "[[dataset]]\nname = \"a\"\norigin = \"collected\"\npath = \"a.bin\"\ndetail = { site = \"E\" }\n",
    );
    desk.say("init --origin maker.example/2026 --name Maker");
    desk.say("record first.toml --draft early.draft");
    desk.say("record first.toml");
    desk.say("erase a site --reason asked");
    assert!(desk.complain("record --from-draft early.draft").contains("of which site was erased"));
    desk.say("record --from-draft early.draft --despite-erasure");
}

/// Older nodes of the same name kept the value without a word.
#[test]
fn who_erases_is_told_of_the_other_nodes_of_the_name() {
    let desk = desk();
    let old = desk.id("camera");
    desk.write("again.toml", &LINEAGE.replace("device = \"D\"", "device = \"E\""));
    desk.say("record again.toml");
    let new = desk.id("camera");
    desk.say(&["mark", "supersede", &old, "--successor", &new, "--reason", "device"]);
    let said = desk.ends(0, &["erase", "camera", "site", "device", "--file", "1.pgm", "--reason", "asked"]);
    assert!(said.contains(&format!("{} dataset camera, which bears the mark supersede", &old[..16])), "{said}");
    assert!(said.contains("still has the same site, another device, the same file \"1.pgm\""), "{said}");
    assert!(said.contains(&format!("griptrace erase {old} site device --file \"1.pgm\" --reason")), "{said}");
    let said = desk.ends(0, &["erase", &old, "site", "device", "--file", "1.pgm", "--reason", "asked"]);
    assert!(!said.contains("still has"), "{said}");
}

#[test]
fn the_same_shipment_is_recorded_once() {
    let desk = desk();
    let ship = "ship model:grasp --to Buyer --country DE --name first";
    let first = desk.say(ship);
    assert!(first.starts_with("recorded "), "{first}");
    let said = desk.ends(0, ship);
    assert!(said.contains("already recorded  shipment") && said.contains("--serial"), "{said}");
    assert_eq!(first.split_whitespace().nth(2), said.split_whitespace().nth(3));
    // One of the same name that says something else is one more, and said to be.
    let said = desk.ends(0, "ship model:grasp --to Other --country DE --name first");
    assert!(said.contains("another shipment is called so"), "{said}");
    let said = desk.ends(0, "ship model:grasp --to Buyer --country DE --serial S-1");
    assert!(said.contains("recorded") && !said.contains("warning"), "{said}");
    // One that was put aside is none.
    let id = first.split_whitespace().nth(2).unwrap();
    desk.say(&["mark", "withdraw", id, "--reason", "x"]);
    let again = desk.say(ship);
    assert!(again.starts_with("recorded "), "{again}");
    let id = again.split_whitespace().nth(2).unwrap();
    desk.say(&["erase", id, "consignee", "--reason", "asked"]);
    let said = desk.ends(0, ship);
    assert!(said.contains("of which was erased what this has"), "{said}");
}

#[test]
fn a_shipment_leaves_on_a_day_that_can_be() {
    let desk = desk();
    let said = desk.complain("ship model:grasp --to Buyer --country DE --date 2999-01-01");
    assert!(said.contains("--date 2999-01-01 is in the future"), "{said}");
    let said = desk.ends(0, "ship model:grasp --to Buyer --country DE --date 2026-01-01");
    assert!(said.contains("dated 2026-01-01, and") && said.contains("was made on 2026-01-02"), "{said}");
    let said = desk.ends(0, "ship model:grasp --to Buyer --country DE --date 2026-01-02");
    assert!(!said.contains("warning"), "{said}");
}
