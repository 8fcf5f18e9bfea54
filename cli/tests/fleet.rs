//! Three plants with a log each: cameras, training, packaging. What was recorded at one is used at the next, asked for across
//! all of them, and shown to a buyer in one bundle.

use core::ops::Deref;
use std::{
    fs,
    path::{Path, PathBuf},
};

use serde_json::Value as Json;

use crate::support::{Folder, objects, run, say, told};

const CAMERA: &str = include_str!("../../tests/support/fleet/camera.toml");
const DATA: &str = include_str!("../../tests/support/fleet/data.toml");
const TRAINING: &str = include_str!("../../tests/support/fleet/training.toml");
const PACKAGING: &str = include_str!("../../tests/support/fleet/packaging.toml");

const PLANTS: [&str; 3] = ["camera", "training", "packaging"];

/// Three plants side by side; commands run at one of them.
struct Fleet(Folder);

/// Returns the objects that a command prints.
fn listed(folder: &Path, args: &str) -> Vec<Json> {
    objects(&String::from_utf8(run(folder, &format!("--json {args}")).stdout).unwrap())
}

impl Deref for Fleet {
    type Target = Folder;

    fn deref(&self) -> &Folder {
        &self.0
    }
}

impl Fleet {
    fn new() -> Self {
        let fleet = Self(Folder::new());
        let (mut trust, mut plants) = (String::new(), Vec::new());
        for plant in PLANTS {
            let folder = fleet.plant(plant);
            fs::create_dir_all(folder.join("raw")).unwrap();
            fs::write(folder.join("raw/1.pgm"), "frame").unwrap();
            fs::write(folder.join("model.bin"), format!("weights of {plant}")).unwrap();
            say(&folder, &format!("init --origin {plant}.example/1 --name {plant}"));
            let own = say(&folder, "trust init");
            let vkey = own.lines().find(|line| line.starts_with("vkey = ")).unwrap();
            plants.push(format!("[[plant]]\nname = \"{plant}\"\n{vkey}\nlog = \"../{plant}\"\n"));
            trust.push_str(&own);
        }
        let policy = include_str!("../../policies/cn-industrial-reference.toml");
        fs::create_dir(fleet.hub()).unwrap();
        fs::write(fleet.hub().join("policy.toml"), policy).unwrap();
        fs::write(fleet.hub().join("trust.toml"), trust).unwrap();
        let settings = format!("trust = \"trust.toml\"\npolicy = \"policy.toml\"\n{}", plants.concat());
        fs::write(fleet.hub().join("fleet.toml"), settings).unwrap();
        fleet
    }

    /// With what each plant does, up to a shipment of the last.
    fn shipped() -> Self {
        let fleet = Self::new();
        fleet.record("camera", CAMERA);
        fleet.at("training", "fleet --fleet ../hub/fleet.toml adopt model:backbone --destination DE");
        fleet.record("training", TRAINING);
        fleet.at("packaging", "fleet --fleet ../hub/fleet.toml adopt model:grasp --plant training --destination DE");
        fleet.record("packaging", PACKAGING);
        fleet.at("packaging", "ship model:packed --to Buyer --country DE --serial S-1 --name first");
        fleet
    }

    fn plant(&self, name: &str) -> PathBuf {
        self.path().join(name)
    }

    fn hub(&self) -> PathBuf {
        self.path().join("hub")
    }

    #[track_caller]
    fn at(&self, plant: &str, args: &str) -> String {
        say(&self.plant(plant), args)
    }

    fn record(&self, plant: &str, lineage: &str) {
        fs::write(self.plant(plant).join("lineage.toml"), lineage).unwrap();
        self.at(plant, "record lineage.toml");
    }

    /// Proves the shipment, and returns how a buyer judges it, and what was said at the plant.
    fn judged(&self) -> (Json, String) {
        let folder = self.plant("packaging");
        let (code, said) = told(&folder, "prove first -o s.griptrace");
        assert_eq!(code, 0, "{said}");
        let verify = "--json verify s.griptrace --trust ../hub/trust.toml --policy ../hub/policy.toml \
                      --destination DE --model model.bin";
        (listed(&folder, &verify.replace("--json ", "")).remove(0), said)
    }
}

/// Returns the names that were met, each with its plant.
fn met(found: &[Json]) -> Vec<String> {
    let name = |node: &Json| {
        Some(format!("{} {}", node["plant"].as_str()?, node["name"].as_str().unwrap_or(node["kind"].as_str()?)))
    };
    let mut names: Vec<String> = found.iter().filter_map(name).collect();
    names.sort();
    names
}

#[test]
fn a_bundle_spans_three_plants_and_a_withdrawal_at_the_first_is_in_its_verdict_after_a_refresh() {
    let fleet = Fleet::shipped();
    let (report, _) = fleet.judged();
    let origins: Vec<&str> =
        report["logs"].as_array().unwrap().iter().map(|log| log["origin"].as_str().unwrap()).collect();
    assert_eq!(origins, ["packaging.example/1", "training.example/1", "camera.example/1"], "{report}");
    assert_eq!(report["sources"].as_array().unwrap().len(), 1, "{report}");
    assert_eq!(
        (report["policy_met"].clone(), report["verdict"].clone()),
        (true.into(), "TRACED_UNASSESSED".into()),
        "{report}"
    );

    let settings = fs::read_to_string(fleet.hub().join("fleet.toml")).unwrap();
    let settings = settings.replace("\"trust", "\"../../hub/trust").replace("\"policy", "\"../../hub/policy");
    fs::write(
        fleet.plant("packaging").join(".griptrace/fleet.toml"),
        settings.replace("\"../", "\"../../").replace("../../../hub", "../../hub"),
    )
    .unwrap();
    fleet.at("camera", "mark withdraw dataset:wrist --reason spoilt");
    // Nobody at the last plant knows yet; once it was synced, proving says that there is something new.
    let (report, said) = fleet.judged();
    assert!(report["policy_met"] == true && !said.contains("fleet refresh"), "{said}");
    fleet.at("packaging", "fleet sync");
    let (report, said) = fleet.judged();
    assert!(report["policy_met"] == true && said.contains("the evidence of plant camera is of"), "{said}");
    let (code, said) = told(&fleet.plant("packaging"), "fleet refresh --destination DE");
    assert_eq!(code, 1, "{said}");
    assert!(said.contains("withdrawn") && said.contains("plant training: nothing new"), "{said}");
    let (report, said) = fleet.judged();
    assert_eq!(
        (report["policy_met"].clone(), report["verdict"].clone()),
        (false.into(), "WITHDRAWN".into()),
        "{report}"
    );
    assert!(!said.contains("fleet refresh"), "{said}");
    // A second time nothing is new, and the names are those of before.
    assert!(told(&fleet.plant("packaging"), "fleet refresh").1.contains("plant camera: nothing new"));
    let (code, said) = told(&fleet.plant("packaging"), "show model:grasp");
    assert!(code == 0 && said.contains("training.example/1"), "{said}");
}

/// Rule R3 has no data set as a root, so that what is fitted to the data sets stands for them; no buyer sees it.
#[test]
fn a_plant_that_only_hands_data_sets_over_proves_them_by_what_it_fits_to_all_of_them() {
    const FIT: &str = "[[transformation]]\nname = \"fit\"\nkind = \"training\"\nused = [\"wrist\", \"force\"]\ncountry = \"DE\"\n\
                       date = 2026-04-10\ngenerated = [{ model = \"scaling\", path = \"scaling.json\", country = \"DE\" }]\n";
    let fleet = Fleet::new();
    fs::write(fleet.plant("camera").join("force"), "forces").unwrap();
    fs::write(fleet.plant("camera").join("scaling.json"), "{\"mean\": 0.5}").unwrap();
    fleet.record("camera", DATA);
    let adopt = |name: &str| format!("fleet --fleet ../hub/fleet.toml adopt dataset:{name} --destination DE");
    let (code, said) = told(&fleet.plant("training"), &adopt("wrist"));
    assert!(code == 2 && said.contains("no model and no shipment of plant camera stands on"), "{said}");
    assert!(said.contains("fits to all of them"), "{said}");

    fleet.record("camera", FIT);
    let (code, said) = told(&fleet.plant("camera"), &adopt("wrist"));
    assert!(code == 2 && said.contains("is of this log itself"), "{said}");
    let (code, said) = told(&fleet.plant("training"), &adopt("wrist"));
    assert!(code == 0 && !said.contains("(error)"), "{said}");
    let (code, said) = told(&fleet.plant("training"), &adopt("force"));
    assert!(code == 0 && !said.contains("no shipment of plant camera covers"), "{said}");
    fleet.record("training", &TRAINING.replace("\"model:backbone\"", "\"dataset:wrist\", \"dataset:force\""));
    fleet.at("packaging", "fleet --fleet ../hub/fleet.toml adopt model:grasp --plant training --destination DE");
    fleet.record("packaging", PACKAGING);
    fleet.at("packaging", "ship model:packed --to Buyer --country DE --serial S-1 --name first");
    let (report, _) = fleet.judged();
    assert_eq!((&report["policy_met"], report["sources"].as_array().unwrap().len()), (&true.into(), 2), "{report}");
    let inspected = listed(&fleet.plant("packaging"), "inspect s.griptrace");
    let camera = say(&fleet.plant("camera"), "--json show model:scaling");
    let scaling: Json = serde_json::from_str(&camera).unwrap();
    assert!(!format!("{inspected:?}").contains(scaling["id"].as_str().unwrap()), "what was fitted is in no bundle");
    let wrist: Json = serde_json::from_str(&say(&fleet.plant("camera"), "--json show dataset:wrist")).unwrap();
    assert!(format!("{inspected:?}").contains(wrist["id"].as_str().unwrap()), "{inspected:?}");

    // A withdrawal reaches the buyer over both plants.
    fleet.at("camera", "mark withdraw dataset:force --reason spoilt");
    let (code, said) = told(&fleet.plant("packaging"), "fleet --fleet ../hub/fleet.toml refresh --destination DE");
    assert!(code == 1 && said.contains("plant camera: withdrawn: ") && said.contains(" dataset force: the"), "{said}");
    assert_eq!(fleet.judged().0["verdict"], "WITHDRAWN");
}

#[test]
fn a_node_is_followed_over_two_borders_both_ways() {
    let fleet = Fleet::shipped();
    let up = listed(&fleet.hub(), "fleet trace shipment");
    let all = [
        "camera backbone",
        "camera pretrain",
        "camera wrist",
        "packaging first",
        "packaging package",
        "packaging packed",
        "training grasp",
        "training train",
    ];
    let all: Vec<String> = all.iter().map(|name| (*name).to_owned()).collect();
    let shipment = |names: Vec<String>| {
        names.into_iter().map(|n| n.replace("packaging shipment", "packaging first")).collect::<Vec<_>>()
    };
    let sorted = |mut names: Vec<String>| {
        names.sort();
        names
    };
    assert_eq!(sorted(shipment(met(&up))), all, "{up:?}");
    let depths: Vec<u64> = up.iter().map(|node| node["depth"].as_u64().unwrap()).collect();
    assert_eq!(depths, [0, 1, 2, 3, 4, 5, 6, 7]);
    for _ in 0..2 {
        // The second time from the index.
        let down = listed(&fleet.hub(), "fleet impact dataset:wrist");
        assert_eq!(sorted(shipment(met(&down))), all, "{down:?}");
    }
    let shown = &listed(&fleet.hub(), "fleet show model:backbone")[0];
    assert_eq!(shown["plant"], "camera");
    assert_eq!(shown["used_by"].as_array().unwrap().len(), 1, "{shown}");
    fleet.at("camera", "mark withdraw dataset:wrist --reason spoilt");
    let up = listed(&fleet.hub(), "fleet trace model:packed");
    let aside: Vec<&Json> = up.iter().filter(|node| !node["put_aside"].is_null()).collect();
    assert!(aside.len() == 1 && aside[0]["name"] == "wrist" && aside[0]["plant"] == "camera", "{aside:?}");
    // What is made later is found too.
    fleet.record("training", &TRAINING.replace("grasp", "grip").replace("\"train\"", "\"again\""));
    let down = listed(&fleet.hub(), "fleet impact dataset:wrist");
    assert!(met(&down).contains(&"training grip".to_owned()), "{down:?}");
}

#[test]
fn what_can_not_be_reached_is_said() {
    let fleet = Fleet::shipped();
    say(&fleet.hub(), "fleet sync");
    fs::rename(fleet.plant("training"), fleet.path().join("away")).unwrap();
    let (code, said) = told(&fleet.hub(), "fleet trace model:packed");
    assert_eq!(code, 2, "{said}");
    assert!(said.contains("came from") && said.contains("not reachable: plant training"), "{said}");
    let (code, said) = told(&fleet.hub(), "fleet impact dataset:wrist");
    assert!(code == 2 && said.contains("backbone") && said.contains("not reachable: plant training"), "{said}");
    let (code, said) = told(&fleet.hub(), "fleet sync");
    assert_eq!(code, 2, "{said}");
    assert!(
        said.contains("camera: ") && said.contains("packaging: ") && said.contains("training: there is no folder "),
        "{said}"
    );
    let status = listed(&fleet.hub(), "fleet status");
    let words: Vec<&str> = status.iter().map(|plant| plant["standing"].as_str().unwrap()).collect();
    assert_eq!(words, ["consistent", "not reached", "consistent"]);
    assert!(status[1]["size"].as_u64().unwrap() > 0, "what was mirrored stays: {}", status[1]);
}

#[test]
fn a_plant_that_is_set_back_or_goes_on_otherwise_is_refused_with_evidence() {
    let fleet = Fleet::shipped();
    fleet.copy("camera", "older");
    fleet.at("camera", "add dataset raw --name first --origin collected");
    say(&fleet.hub(), "fleet sync");
    fleet.copy("camera", "newer");
    fs::remove_dir_all(fleet.plant("camera")).unwrap();
    fs::rename(fleet.plant("older"), fleet.plant("camera")).unwrap();
    let (code, said) = told(&fleet.hub(), "fleet sync");
    assert!(
        code == 1 && said.contains("camera: the log camera.example/1 shrank") && said.contains("training: "),
        "{said}"
    );
    fleet.at("camera", "mark withdraw dataset:wrist --reason spoilt");
    let (code, said) = told(&fleet.hub(), "fleet sync");
    assert!(code == 1 && said.contains("forked"), "{said}");
    fleet.at("camera", "add dataset raw --name third --origin collected");
    let (code, said) = told(&fleet.hub(), "fleet sync");
    assert!(code == 1 && said.contains("does not extend what was seen"), "{said}");
    let (code, status) = told(&fleet.hub(), "fleet status");
    assert!(code == 1 && status.contains("REFUSED"), "{status}");
    let evidence: Vec<PathBuf> =
        fs::read_dir(fleet.hub().join("fleet/camera/evidence")).unwrap().map(|e| e.unwrap().path()).collect();
    assert_eq!(evidence.len(), 3, "{evidence:?}");
    let fork = evidence.iter().find(|path| path.extension().unwrap() == "fork").unwrap();
    let checked = say(&fleet.hub(), &format!("verify --check-fork {} --trust trust.toml", fork.display()));
    assert!(checked.contains("signed two histories"), "{checked}");
    // What it proves is not taken over either: it is of another history than was seen.
    let (code, said) =
        told(&fleet.plant("training"), "fleet --fleet ../hub/fleet.toml adopt model:backbone --destination DE");
    assert!(code == 2 && said.contains("does not extend what was seen"), "{said}");
}

#[test]
fn a_damaged_tile_is_named_and_holds_nobody_up() {
    let fleet = Fleet::shipped();
    let tiles = fleet.plant("camera").join(".griptrace/store/tile/entries");
    say(&fleet.hub(), "fleet sync");
    let size = &listed(&fleet.hub(), "fleet status")[0]["size"];
    let partial = tiles.join(format!("000.p/{size}"));
    let mut bytes = fs::read(&partial).unwrap();
    let sound = bytes.clone();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&partial, &bytes).unwrap();
    fs::remove_dir_all(fleet.hub().join("fleet/camera")).unwrap();
    let (code, said) = told(&fleet.hub(), "fleet sync");
    let name = partial.file_name().unwrap().to_str().unwrap();
    assert!(code == 2 && said.contains(&format!("camera: tile/entries/000.p/{name} is damaged")), "{said}");
    assert!(said.contains("packaging: ") && said.contains("training: "), "{said}");
    fs::write(&partial, &sound).unwrap();
    say(&fleet.hub(), "fleet sync");
}

#[test]
fn a_fleet_that_makes_no_sense_is_refused() {
    let fleet = Fleet::new();
    let settings = fs::read_to_string(fleet.hub().join("fleet.toml")).unwrap();
    let cases = [
        (settings.replace("\"camera\"", "\"../camera\""), "names no plant"),
        (settings.replace("name = \"camera\"", "name = \"training\""), "have one name or one log"),
        (settings.replace("log = \"../camera\"", ""), "publishes its tiles"),
        (settings.replace("vkey = \"camera", "vkey = \"other"), "no vkey"),
        (settings.replace("../camera", "ftp://camera"), "neither a folder, nor a bucket"),
        (settings.replace("trust =", "trusts ="), "unknown field"),
    ];
    for (text, expected) in cases {
        fs::write(fleet.hub().join("fleet.toml"), &text).unwrap();
        let (code, said) = told(&fleet.hub(), "fleet status");
        assert!(code == 2 && said.contains(expected), "{expected}: {said}");
    }
    fs::write(fleet.hub().join("fleet.toml"), settings).unwrap();
    let (code, said) = told(&fleet.hub(), "fleet status");
    assert!(code == 2 && said.contains("never seen"), "{said}");
}

#[test]
fn an_adopted_bundle_that_has_what_is_erased_is_named() {
    let fleet = Fleet::shipped();
    fleet.at("camera", "fleet --fleet ../hub/fleet.toml adopt model:packed --plant packaging --destination DE");
    let (code, said) = told(&fleet.plant("camera"), "erase model:backbone name --reason asked");
    assert_eq!(code, 0, "{said}");
    let adopted = fs::read_dir(fleet.plant("camera").join(".griptrace/store/adopted")).unwrap();
    let names = adopted.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let bundles: Vec<String> = names.filter(|name| name.len() == 64).collect();
    let [bundle] = bundles.as_slice() else { panic!("one was adopted: {bundles:?}") };
    assert!(
        said.contains(&format!("warning: adopted/{bundle} is another company's bundle that has this node")),
        "{said}"
    );
    assert!(said.contains("is found by its id") && said.contains("held to prefixes"), "{said}");
}

/// A supplier chooses what its nodes are called: none of them may be taken for what a word of ours means, or ours be hidden.
#[test]
fn a_suppliers_name_is_taken_for_nothing_of_ours() {
    let fleet = Fleet::new();
    for (name, bytes) in [("backbone", "1"), ("assessment", "2"), ("first", "3")] {
        fs::write(fleet.plant("camera").join("model.bin"), bytes).unwrap();
        fleet.record("camera", &CAMERA.replace("backbone", name).replace("pretrain", &format!("make {name}")));
    }
    let training = fleet.plant("training");
    for name in ["backbone", "assessment", "first"] {
        fleet.at("training", &format!("fleet --fleet ../hub/fleet.toml adopt model:{name} --destination DE"));
    }
    // Nothing of ours is meant yet.
    assert!(fleet.at("training", "show assessment").contains("another company's"));
    for args in ["erase model:backbone name --reason x", "mark withdraw model:backbone --reason x"] {
        let (code, said) = told(&training, args);
        assert!(code == 2 && said.contains("of camera.example/1") && said.contains("is another company's"), "{said}");
    }
    fleet.record("training", TRAINING);
    fleet.at("training", "ship model:grasp --to Buyer --country DE --name first");
    fleet.at(
        "training",
        "assess record --stated --subject model:grasp --scheme s --grade general --purpose p --modality visual --destination DE",
    );
    for (word, ours) in [("assessment", "the newest assessment"), ("first", "shipment first")] {
        for args in [format!("show {word}"), format!("impact {word}")] {
            let (code, said) = told(&training, &args);
            assert!(code == 2 && said.contains("several nodes ") && said.contains(ours), "{said}");
        }
        fleet.at("training", &format!("show model:{word}"));
    }
}
