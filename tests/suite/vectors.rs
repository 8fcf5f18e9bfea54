//! Vectors for other implementations: files with one fault each and its reason code
//! (`tests/vectors/README.md`). `UPDATE_EXPECTED=1` writes them from the world and the lies.

mod decoders;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use griptrace_core::{date::Date, digest::Digest, manifest::FileRecord, word::Word};
use griptrace_tests::paths::workspace_root;
use griptrace_verifier::{
    finding::{Code, Severity},
    known::Known,
    question::{ModelInHand, Question},
    report::Report,
};
use serde_json::{Value, json};

use crate::attacks::{Attack, catalogue};
use crate::world::{Buyer, Case, country, file, shipped_files, words};

/// Larger bundles are left to the tests that make them.
const BUNDLE_BYTES_MAX: usize = 20_000;
/// Bundles of one code; further lies of that code are left to the tests that make them.
const BUNDLES_PER_CODE: usize = 3;
/// The whole folder.
const VECTORS_BYTES_MAX: usize = 5_000_000;

fn folder() -> PathBuf {
    workspace_root().join("tests/vectors")
}

/// Files by their path below `tests/vectors`.
type Files = BTreeMap<String, Vec<u8>>;

fn question_text(question: &Question) -> Vec<u8> {
    let record = |file: &FileRecord| {
        json!({
            "path": String::from_utf8_lossy(&file.path),
            "size": file.size,
            "blake3": file.blake3.to_string(),
        })
    };
    let model = match &question.model {
        ModelInHand::NotGiven => Value::Null,
        ModelInHand::Digest(digest) => json!({ "digest": digest.to_string() }),
        ModelInHand::File(file) => json!({ "file": record(file) }),
        ModelInHand::Folder(files) => json!({ "folder": files.iter().map(record).collect::<Vec<_>>() }),
    };
    let purposes: Vec<&str> = question.purposes.iter().map(Word::as_str).collect();
    pretty(&json!({
        "now": question.now.to_string(),
        "destination": question.destination.map(|country| country.to_string()),
        "consignee": question.consignee,
        "purposes": purposes,
        "model": model,
    }))
}

fn read_question(text: &[u8]) -> Question {
    let read: Value = serde_json::from_slice(text).expect("a question is JSON");
    let text = |value: &Value| value.as_str().map(str::to_owned);
    let digest = |value: &Value| Digest::from_hex(value.as_str().expect("it is text")).expect("it is a digest");
    let record = |value: &Value| FileRecord {
        path: value["path"].as_str().expect("a path is text").into(),
        size: value["size"].as_u64().expect("a size is a number"),
        blake3: digest(&value["blake3"]),
        sha256: None,
    };
    let model = &read["model"];
    let list = |value: &Value| value.as_array().expect("it is a list").clone();
    Question {
        now: Date::parse(read["now"].as_str().expect("now is text")).expect("now is a day"),
        destination: text(&read["destination"]).map(|code| country(&code)),
        consignee: text(&read["consignee"]),
        purposes: words(&list(&read["purposes"]).iter().filter_map(Value::as_str).collect::<Vec<_>>()),
        model: match (model.get("digest"), model.get("file"), model.get("folder")) {
            (Some(found), ..) => ModelInHand::Digest(digest(found)),
            (_, Some(found), _) => ModelInHand::File(record(found)),
            (.., Some(found)) => ModelInHand::Folder(list(found).iter().map(record).collect()),
            (None, None, None) => ModelInHand::NotGiven,
        },
        known: Known::default(),
    }
}

fn pretty(value: &Value) -> Vec<u8> {
    let mut text = serde_json::to_vec_pretty(value).expect("it can be written");
    text.push(b'\n');
    text
}

/// What an implementation has to find.
fn expected(report: &Report) -> Value {
    let codes = |wanted: Severity| -> BTreeSet<&str> {
        report.findings.iter().filter(|f| f.severity == wanted).map(|f| f.code.as_str()).collect()
    };
    json!({
        "verdict": report.verdict.as_str(),
        "policy_met": report.policy_met,
        "errors": codes(Severity::Error),
        "warnings": codes(Severity::Warning),
        "notes": codes(Severity::Note),
    })
}

/// Puts a case's files in place; what equals the group's own is left out.
fn add_case(files: &mut Files, name: &str, case: &Case, honest: &(Case, Vec<u8>), about: (&str, &str)) {
    let (bytes, updates) = case.parcel();
    if bytes.len() > BUNDLE_BYTES_MAX {
        return;
    }
    let report = case.verify();
    let side = if report.policy_met { "accept" } else { "reject" };
    let place = |file: &str| format!("bundles/{side}/{name}/{file}");
    let mut found = expected(&report);
    found["liar"] = about.0.into();
    found["about"] = about.1.into();
    files.insert(place("expected.json"), pretty(&found));
    if bytes != honest.1 || name == "honest" {
        files.insert(place("bundle.griptrace"), bytes);
    }
    for (number, update) in updates.into_iter().enumerate() {
        files.insert(place(&format!("updates/{number}.update")), update);
    }
    for (number, known) in case.buyer.known.iter().enumerate() {
        files.insert(place(&format!("known/{number}")), known.clone());
    }
    if case.buyer.trust != honest.0.buyer.trust {
        files.insert(place("trust.toml"), case.buyer.trust.clone().into_bytes());
    }
    if case.buyer.policy != honest.0.buyer.policy {
        files.insert(place("policy.toml"), case.buyer.policy.clone().into_bytes());
    }
    if case.buyer.question != honest.0.buyer.question {
        files.insert(place("question.json"), question_text(&case.buyer.question));
    }
}

/// Makes every file of the folder but the README.
fn generate() -> Files {
    let honest = Case::honest();
    let honest = (honest.clone(), honest.file());
    let mut files = Files::new();
    files.insert("bundles/trust.toml".into(), honest.0.buyer.trust.clone().into_bytes());
    files.insert("bundles/policy.toml".into(), honest.0.buyer.policy.clone().into_bytes());
    files.insert("bundles/question.json".into(), question_text(&honest.0.buyer.question));
    files.insert("bundles/model/grasp.int8.onnx".into(), b"weights".to_vec());
    files.insert("bundles/model/labels.txt".into(), b"open\nshut\n".to_vec());
    for (name, make) in accepted() {
        let mut case = Case::honest();
        make(&mut case);
        add_case(&mut files, name, &case, &honest, ("nobody", "as it should be"));
    }
    let mut of_code: BTreeMap<Code, usize> = BTreeMap::new();
    for attack in catalogue() {
        let Attack { name, liar, what, code, .. } = attack;
        let count = of_code.entry(*code).or_default();
        *count += 1;
        if *count > BUNDLES_PER_CODE {
            continue;
        }
        add_case(&mut files, name, &attack.case(), &honest, (&format!("{liar:?}").to_lowercase(), what));
    }
    files.extend(decoders::generate());
    files
}

type Make = fn(&mut Case);

/// Cases without a lie.
fn accepted() -> Vec<(&'static str, Make)> {
    vec![
        ("honest", |_| {}),
        ("honest-p256-committer", |c| crate::attacks::p256_committer(c)),
        ("honest-with-another-witness-line", |c| {
            c.world.heads().into_iter().for_each(|head| head.cosigners.push(("w9", head.time)));
        }),
        ("honest-two-witnesses", |c| {
            c.world.heads().into_iter().for_each(|head| head.cosigners.push(("w2", head.time + 5)));
            c.buyer.trust("at_least = 1", "at_least = 2");
        }),
        ("honest-idle-log-cosigned-again", |c| {
            let again = ("w1", crate::world::noon("2026-07-24"));
            c.world.heads()[3].cosigners.push(again);
            c.buyer.question.now = crate::world::date("2026-07-25");
        }),
        ("honest-details-hidden", |c| {
            for node in c.world.nodes.iter_mut().filter(|node| node.name != "shipment") {
                node.open.clear();
            }
        }),
        ("honest-single-model-file", |c| {
            c.world.node("grasp-int8").files.truncate(1);
            c.buyer.question.model = ModelInHand::File(file("renamed.onnx", b"weights"));
        }),
        ("honest-fewer-anchors", |c| c.world.heads()[0].anchor = false),
        ("honest-last-days", |c| {
            // Every last day is included.
            c.world.node("assessment").terms().valid_to = Some(crate::world::date("2026-05-20"));
            c.world.node("assessment").terms().valid_from = crate::world::date("2026-05-20");
            c.world.node("train").core.date = Some(crate::world::date("2026-05-20"));
            c.world.node("shipment").core.date = Some(crate::world::date("2026-05-26"));
            c.buyer.question.now = crate::world::date("2026-07-21");
        }),
        ("honest-assessment-of-what-crosses", |c| {
            for name in ["assessment", "assessment-2"] {
                c.world.remove(name);
            }
            let modality = ["force-torque", "visual"];
            let whole = crate::world::NodeSpec::assessment("whole", Some("office"), &["features", "rows"], &modality);
            c.world.record(0, 0, "maker", vec![whole]);
        }),
        ("honest-rule-without-crossing", |c| {
            // Assessed for another country and from after the crossing on: the rule asks at the shipment only.
            c.buyer.policy("crossing = { from = [\"CN\"], to = [\"*\"] }\n", "");
            c.world.node("assessment").terms().valid_from = crate::world::date("2026-05-25");
        }),
        ("honest-foreign-parent", |c| {
            c.world.add_supplier(vec![crate::world::NodeSpec::source("bought", "DE", "visual", "general")]);
            let link = crate::world::Link::new(griptrace_core::node::Role::Used, "bought");
            c.world.node("train").links.push(link);
        }),
        ("honest-grown-since-a-bundle", |c| {
            c.buyer.known.push(crate::attacks::shown_at(c, 10));
        }),
        ("honest-grown-since-a-checkpoint", |c| {
            c.buyer.known.push(crate::attacks::checkpoint_at(c, 11).into_bytes());
        }),
        ("honest-grown-since-an-uncosigned-checkpoint", |c| crate::attacks::shown_uncosigned(c)),
        ("honest-updated", |c| c.base = Some(crate::attacks::shown_at(c, 10))),
        ("honest-regraded", |c| {
            let status = crate::world::NodeSpec::status(
                "mark",
                griptrace_core::node::Mark::Reclassify,
                "features",
                "2026-05-21",
            );
            c.world.node("features").core.grade = Some(crate::world::word("general"));
            c.world.mark(1, "authority", status.graded("general"));
        }),
    ]
}

fn read(path: &Path) -> Option<Vec<u8>> {
    fs::read(path).ok()
}

fn update(files: &Files) {
    let root = folder();
    for part in ["bundles", "decoders"] {
        let old = root.join(part);
        if old.exists() {
            fs::remove_dir_all(old).expect("the old ones can be removed");
        }
    }
    for (path, bytes) in files {
        let path = root.join(path);
        fs::create_dir_all(path.parent().expect("it has a folder")).expect("a folder can be made");
        fs::write(path, bytes).expect("a vector can be written");
    }
}

fn listed(folder: &Path, below: &str, found: &mut BTreeSet<String>) {
    for entry in fs::read_dir(folder).expect("the folder can be read") {
        let entry = entry.expect("a listed entry can be read");
        let name = entry.file_name().into_string().expect("our names are text");
        let below = if below.is_empty() { name } else { format!("{below}/{name}") };
        if entry.path().is_dir() {
            listed(&entry.path(), &below, found);
        } else {
            found.insert(below);
        }
    }
}

#[test]
fn the_files_are_what_the_world_makes() {
    let files = generate();
    if std::env::var_os("UPDATE_EXPECTED").is_some() {
        update(&files);
    }
    let size: usize = files.values().map(Vec::len).sum();
    assert!(size < VECTORS_BYTES_MAX, "{size} bytes of vectors");
    let other: Vec<&String> = files
        .iter()
        .filter(|(path, bytes)| read(&folder().join(path)).as_ref() != Some(bytes))
        .map(|(p, _)| p)
        .collect();
    assert!(other.is_empty(), "UPDATE_EXPECTED=1 writes these anew: {other:?}");
    let mut here = BTreeSet::new();
    listed(&folder().join("bundles"), "bundles", &mut here);
    listed(&folder().join("decoders"), "decoders", &mut here);
    let left: Vec<&String> = here.iter().filter(|path| !files.contains_key(*path)).collect();
    assert!(left.is_empty(), "files that nothing makes: {left:?}");
}

/// Goes by the files alone, as another implementation would.
#[test]
fn every_bundle_is_judged_as_expected() {
    let group = folder().join("bundles");
    let mut judged = 0;
    for side in ["accept", "reject"] {
        for entry in fs::read_dir(group.join(side)).expect("the folder can be read") {
            let place = entry.expect("a listed entry can be read").path();
            let of = |name: &str| read(&place.join(name)).or_else(|| read(&group.join(name))).expect("it is there");
            let text = |name: &str| String::from_utf8(of(name)).expect("it is text");
            let bundle = read(&place.join("bundle.griptrace"))
                .or_else(|| read(&group.join("accept/honest/bundle.griptrace")))
                .expect("there is a bundle");
            let question = read_question(&of("question.json"));
            let several = |folder: &str| {
                let read = |number: usize| read(&place.join(folder.replace('#', &number.to_string())));
                (0..).map_while(read).collect::<Vec<_>>()
            };
            let known = several("known/#");
            let buyer = Buyer { trust: text("trust.toml"), policy: text("policy.toml"), question, known };
            let report = buyer.verify_updated(bundle, &several("updates/#.update"));
            let stated: Value = serde_json::from_slice(&of("expected.json")).expect("it is JSON");
            let found = expected(&report);
            for field in ["verdict", "policy_met", "errors", "warnings", "notes"] {
                assert_eq!(stated[field], found[field], "{}: {field}", place.display());
            }
            assert_eq!(report.policy_met, side == "accept", "{}", place.display());
            judged += 1;
        }
    }
    assert!(judged > 150, "{judged}");
}

#[test]
fn the_model_folder_is_what_shipped() {
    for record in shipped_files() {
        let path = String::from_utf8(record.path.clone()).expect("our names are text");
        let bytes = read(&folder().join("bundles/model").join(&path)).expect("it is there");
        assert_eq!(file(&path, &bytes), record);
    }
}
