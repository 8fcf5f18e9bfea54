//! What `griptrace export` writes: what it says, and that it says no more than the bundle shows. That others' programs
//! read it is shown in `others`.

mod others;

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use griptrace_core::{
    bundle::Bundle,
    key::PublicKey,
    node::{Core, Kind, Origin, Role, node_id},
    receipt,
};
use griptrace_export::{
    cyclonedx,
    lineage::{Lineage, core_fields},
    prov, slsa,
};
use griptrace_tests::source::document;
use griptrace_verifier::{finding::Code, known::Known, update::bring_up_to_date};
use serde_json::Value as Json;
use tempfile::TempDir;

use crate::{
    attacks::catalogue,
    process::{self, program},
};

const ORIGIN: &str = "maker.example/2026";

/// Two models, one made of the other, of a source that was collected and one that came from outside.
const LINEAGE: &str = r#"
[[dataset]]
name = "camera"
origin = "collected"
path = "camera.pgm"
modality = ["visual"]
purpose = ["train-adaptive-grasp-control"]
grade = { value = "general", basis = "own", by = "Data office", on = 2026-04-02 }
country = "DE"
detail = { collected_from = 2026-03-01, collected_to = 2026-03-20, licence = { name = "own", allows = true }, persons = "none found" }

[[dataset]]
name = "bought"
origin = "external"
path = "bought"
modality = ["force-torque"]
purpose = ["train-adaptive-grasp-control"]
grade = { value = "general", basis = "own", by = "Data office", on = 2026-04-02 }
country = "DE"
detail = { licence = { name = "own", allows = true }, persons = "none found" }

[[transformation]]
name = "train"
kind = "training"
used = ["camera", "bought"]
country = "DE"
date = 2026-04-20
generated = [{ model = "grasp-f32", path = "grasp-f32.bin", country = "DE" }]

[[transformation]]
name = "quantise"
kind = "quantisation"
used = ["model:grasp-f32"]
country = "DE"
date = 2026-04-21
generated = [{ model = "grasp", path = "model", country = "DE" }]
"#;

/// A folder with a store, a shipment, its bundle, and what a buyer holds.
struct Desk(TempDir);

impl Desk {
    fn new() -> Self {
        let desk = Self(tempfile::tempdir().unwrap());
        desk.say(&["init", "--origin", ORIGIN, "--name", "Maker"]);
        for folder in ["bought", "model/parts"] {
            fs::create_dir_all(desk.path(folder)).unwrap();
        }
        for name in ["camera.pgm", "bought/a.csv", "bought/b.csv", "grasp-f32.bin", "model/config.json"] {
            fs::write(desk.path(name), name).unwrap();
        }
        fs::write(desk.path("model/parts/weights.bin"), [7; 40]).unwrap();
        fs::write(desk.path("lineage.toml"), LINEAGE).unwrap();
        fs::write(desk.path("policy.toml"), include_str!("../../policies/cn-industrial-reference.toml")).unwrap();
        desk.say(&["record", "lineage.toml"]);
        desk.say(&["ship", "model:grasp", "--to", "Buyer GmbH", "--country", "DE", "--name", "first"]);
        desk.say(&["prove", "first", "-o", "full.griptrace", "--profile", "full"]);
        desk.say(&["prove", "first", "-o", "minimal.griptrace"]);
        desk.say(&["trust", "init", "-o", "trust.toml"]);
        desk.say(&["key", "new", "p256.key", "--p256"]);
        desk.say(&["key", "new", "ed25519.key"]);
        desk
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn run(&self, arguments: &[&str]) -> Output {
        program(self.0.path(), arguments).output().unwrap()
    }

    fn ends(&self, code: i32, arguments: &[&str]) -> String {
        process::ends(self.0.path(), code, arguments)
    }

    fn say(&self, arguments: &[&str]) -> String {
        self.ends(0, arguments)
    }

    /// Exports a document of a bundle and returns it.
    fn document(&self, format: &str, bundle: &str) -> Json {
        let file = format!("{bundle}.{format}");
        self.say(&["export", format, bundle, "--trust", "trust.toml", "-o", &file]);
        serde_json::from_slice(&fs::read(self.path(&file)).unwrap()).unwrap()
    }

    /// Exports a verdict and returns the statement in the envelope.
    fn verdict(&self, code: i32, format: &str, bundle: &str, more: &[&str]) -> Json {
        let file = format!("{bundle}.{format}.json");
        let asked = ["--trust", "trust.toml", "--policy", "policy.toml", "--key", "ed25519.key", "-o", &file];
        self.ends(code, &[&["export", format, bundle][..], &asked, more].concat());
        let envelope: Json = serde_json::from_slice(&fs::read(self.path(&file)).unwrap()).unwrap();
        let payload = STANDARD.decode(envelope["payload"].as_str().unwrap()).unwrap();
        serde_json::from_slice(&payload).unwrap()
    }
}

/// The cores of a bundle by id, read by nobody but the core.
fn cores(bundle: &Bundle) -> BTreeMap<String, Core> {
    let cores = bundle.logs.iter().flat_map(|log| &log.commits).flat_map(|commit| &commit.cores);
    cores.map(|bytes| (format!("urn:griptrace:node:{}", node_id(bytes)), Core::from_bytes(bytes).unwrap())).collect()
}

fn texts(list: &Json) -> BTreeSet<&str> {
    list.as_array().map_or(&[][..], Vec::as_slice).iter().filter_map(Json::as_str).collect()
}

/// Returns what a BOM says of a relation, by component.
fn said_of<'a>(bom: &'a Json, relation: &str) -> BTreeMap<&'a str, &'a str> {
    let mut said = BTreeMap::new();
    for composition in bom["compositions"].as_array().unwrap() {
        for component in texts(&composition[relation]) {
            let twice = said.insert(component, composition["aggregate"].as_str().unwrap());
            assert_eq!(twice, None, "{component} stands in two compositions");
        }
    }
    said
}

/// Every lie that ends the procedure ends the export too, and so does a history that did not go on; no other does.
#[test]
fn what_does_not_hold_together_is_not_exported() {
    let (mut exported, mut refused) = (0, 0);
    for attack in catalogue() {
        let case = attack.case();
        let (report, trust, mut known) = (case.verify(), case.buyer.read_trust(), case.buyer.read_known());
        let (bundle, updates) = case.parcel();
        let file = bring_up_to_date(bundle, &updates, &trust, &mut known).unwrap();
        // A history that was not continued is a finding of a verdict; nothing is exported of it.
        let rewritten = [Code::HistoryShorter, Code::HistoryNotLinked];
        let holds = report.nodes > 0 && !report.findings.iter().any(|finding| rewritten.contains(&finding.code));
        assert_eq!(Lineage::read(&file, &trust, &known).is_ok(), holds, "{}", attack.name);
        if holds { exported += 1 } else { refused += 1 }
    }
    assert!(exported > 80 && refused > 40, "{exported} {refused}");
}

/// No mark that a bundle shows is lost on the way: not on what ships, its ancestry, a step, or an assessment.
#[test]
fn every_mark_stands_where_the_marked_does() {
    let (mut boms, mut provenances) = (0, 0);
    for attack in catalogue() {
        let case = attack.case();
        let file = case.file();
        let Ok(lineage) = Lineage::read(&file, &case.buyer.read_trust(), &Known::default()) else { continue };
        let cores = cores(&Bundle::from_bytes(&file).unwrap());
        let (bom, made) = (cyclonedx::bom(&lineage).to_string(), slsa::provenance(&lineage));
        let parts: String = made.statements.iter().map(Json::to_string).collect();
        for (status, core) in cores.iter().filter(|(_, core)| core.kind == Kind::Status) {
            let marked =
                core.edges_of(Role::Marks).next().map(|edge| format!("urn:griptrace:node:{}", edge.to)).unwrap();
            let id = status.trim_start_matches("urn:griptrace:node:");
            let is_assessment = cores[&marked].kind == Kind::Assessment;
            // An assessment stands with what it opens, which may be no part of what is told.
            if !is_assessment || bom.contains(marked.trim_start_matches("urn:griptrace:node:")) {
                assert!(bom.contains(id), "{}: the mark {id} on {marked}", attack.name);
                boms += 1;
            }
            if parts.contains(&marked) && !is_assessment {
                assert!(parts.contains(id), "{}: the mark {id} on {marked}", attack.name);
                provenances += 1;
            }
        }
    }
    assert!(boms > 50 && provenances > 2, "{boms} {provenances}");
}

/// Whatever holds together is exported; what is said to be complete is, by the edges in the cores themselves.
#[test]
fn complete_is_said_only_where_every_edge_is_here() {
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    for case in catalogue().map(crate::attacks::Attack::case) {
        let file = case.file();
        let Ok(lineage) = Lineage::read(&file, &case.buyer.read_trust(), &Known::default()) else { continue };
        let bom = cyclonedx::bom(&lineage);
        let cores = cores(&Bundle::from_bytes(&file).unwrap());
        let urn = |edge: &griptrace_core::node::Edge| format!("urn:griptrace:node:{}", edge.to);
        for (component, aggregate) in said_of(&bom, "dependencies") {
            let core = &cores[component];
            let step = core.edges_of(Role::GeneratedBy).next().map(|edge| &cores[&urn(edge)]);
            let all_here = step.is_some_and(|step| step.edges.iter().all(|edge| cores.contains_key(&urn(edge))));
            let collected = core.kind == Kind::Dataset && core.origin == Some(Origin::Collected);
            let expected = match step {
                Some(_) if all_here => "complete",
                Some(_) => "incomplete",
                None if collected => "complete",
                None => "unknown",
            };
            assert_eq!(aggregate, expected, "{component}");
            *counts.entry(aggregate.to_owned()).or_default() += 1;
        }
        let parts = cores.values().filter(|core| matches!(core.kind, Kind::Dataset | Kind::Model)).count();
        assert_eq!(said_of(&bom, "dependencies").len(), parts, "each part is spoken of");
        let used = cores.values().flat_map(|core| &core.edges);
        let used = used.filter(|edge| matches!(edge.role, Role::Used | Role::Ships)).count();
        assert_eq!(prov::document(&lineage)["used"].as_object().map_or(0, serde_json::Map::len), used);
        slsa::provenance(&lineage);
    }
    assert!(counts["complete"] > 500 && counts["unknown"] > 0 && counts["incomplete"] > 0, "{counts:?}");
}

#[test]
fn what_is_hidden_is_counted_and_never_guessed() {
    let desk = Desk::new();
    let (full, minimal) =
        (desk.document("cyclonedx", "full.griptrace"), desk.document("cyclonedx", "minimal.griptrace"));
    let names = |bom: &Json| {
        let named = bom["components"].as_array().unwrap().iter();
        named.map(|of| of["name"].as_str().unwrap().to_owned()).collect::<BTreeSet<_>>()
    };
    assert_eq!(names(&full), ["bought", "camera", "grasp-f32"].map(str::to_owned).into());
    assert!(
        names(&minimal).iter().all(|name| name.len() == 64),
        "{:?}: an id stands in a name's place",
        names(&minimal)
    );
    assert_eq!(full["metadata"]["component"]["components"].as_array().unwrap().len(), 2, "the model's files");
    // What was made of what is proven all the same; what the hidden parts consist of is not.
    for bom in [&full, &minimal] {
        let mut said: Vec<&str> = said_of(bom, "dependencies").into_values().collect();
        said.sort_unstable();
        assert_eq!(said, ["complete", "complete", "complete", "unknown"], "the upstream of what was bought is unknown");
    }
    let complete = |bom| said_of(bom, "assemblies").into_values().filter(|said| *said == "complete").count();
    assert_eq!((complete(&full), complete(&minimal)), (3, 1), "two single files and the model; the model alone");
    let text = minimal.to_string();
    for secret in ["camera", "bought", "Data office", "grasp-f32"] {
        assert!(!text.contains(secret), "{secret} is not disclosed");
        assert!(!desk.document("prov", "minimal.griptrace").to_string().contains(secret), "{secret} is not disclosed");
    }
}

#[test]
fn the_same_bundle_gives_the_same_documents() {
    let desk = Desk::new();
    for format in ["cyclonedx", "prov"] {
        let document = desk.document(format, "full.griptrace");
        assert_eq!(document, desk.document(format, "full.griptrace"));
        let text = document.to_string().to_lowercase();
        assert!(!crate::tidy::NEVER_SAID.iter().any(|word| text.contains(word)), "{text}");
    }
}

/// Returns what a verdict is about, by name, with the SHA-256 where it is known.
fn subjects(statement: &Json) -> Vec<(&str, &str)> {
    let list = statement["subject"].as_array().unwrap().iter();
    list.map(|of| (of["name"].as_str().unwrap(), of["digest"]["sha256"].as_str().unwrap_or_default())).collect()
}

fn sha256(bytes: &[u8]) -> String {
    use sha2::{Digest as _, Sha256};
    griptrace_core::digest::Digest::from_bytes(Sha256::digest(bytes).into()).to_string()
}

#[test]
fn a_verdict_that_is_not_met_has_no_properties_and_speaks_of_no_more_than_it_knows() {
    let desk = Desk::new();
    let met = ["--model", "model", "--destination", "DE"];
    let svr = desk.verdict(0, "svr", "full.griptrace", &met);
    let today = svr["predicate"]["griptrace_question"]["now"].as_str().unwrap();
    let as_of = format!("GRIPTRACE_AS_OF_{today}");
    let words = ["GRIPTRACE_POLICY_MET_FOR_DE", "GRIPTRACE_TRACED_UNASSESSED_FOR_DE", &as_of];
    assert_eq!(texts(&svr["predicate"]["properties"]), words.into());
    assert_eq!(subjects(&svr).iter().map(|(name, _)| *name).collect::<Vec<_>>(), ["config.json", "parts/weights.bin"]);
    let vsa = desk.verdict(0, "vsa", "full.griptrace", &met);
    assert_eq!(vsa["predicate"]["verificationResult"], "PASSED");
    assert_eq!(vsa["predicate"]["dependencyLevels"]["GRIPTRACE_TRACED_UNASSESSED"], 2);
    // What does not hold together says nothing of any model.
    let mut bytes = fs::read(desk.path("full.griptrace")).unwrap();
    let at = bytes.len() / 2;
    bytes[at] ^= 1;
    fs::write(desk.path("broken.griptrace"), bytes).unwrap();
    let svr = desk.verdict(1, "svr", "broken.griptrace", &met);
    let subject = svr["subject"][0]["name"].as_str().unwrap();
    assert!(subject.starts_with("urn:griptrace:bundle:"), "{subject}");
    assert!(texts(&svr["predicate"]["properties"]).is_empty());
}

/// Whoever looks for the shipped files among signed verdicts finds no FAILED that was about others.
#[test]
fn a_verdict_is_about_what_was_compared() {
    let desk = Desk::new();
    fs::create_dir_all(desk.path("other")).unwrap();
    fs::write(desk.path("other/config.json"), "changed").unwrap();
    let (genuine, wrong) = (sha256(b"model/config.json"), sha256(b"changed"));
    let bundle = sha256(&fs::read(desk.path("full.griptrace")).unwrap());
    let weights = sha256(&[7; 40]);
    let de = ["--destination", "DE"];
    for format in ["svr", "vsa"] {
        let judged = |code, of: &[&str]| desk.verdict(code, format, "full.griptrace", &[&de, of].concat());
        let digests = |statement: &Json| {
            let found = statement.clone();
            subjects(&found).iter().map(|(_, digest)| (*digest).to_owned()).collect::<Vec<_>>()
        };
        let passed = judged(0, &["--model", "model"]);
        assert_eq!(digests(&passed), [genuine.clone(), weights.clone()], "what was compared and matched");
        // Another model, a part of the shipped one, the digest of either, and nothing at all.
        for (of, expected, matched) in [
            (&["--model", "other"][..], &wrong, Json::from(false)),
            (&["--model", "other/config.json"], &wrong, false.into()),
            (&["--model", "model/config.json"], &genuine, true.into()),
            (&["--digest", &wrong], &bundle, false.into()),
            (&["--digest", &genuine], &genuine, true.into()),
            (&[], &bundle, Json::Null),
        ] {
            let failed = judged(1, of);
            assert_eq!(digests(&failed).first(), Some(expected), "{of:?}");
            assert_eq!(failed["subject"].as_array().map(Vec::len), Some(1), "{of:?}");
            let predicate = &failed["predicate"];
            assert_eq!(predicate["griptrace_question"]["model"]["matched"], matched, "{of:?}");
            if format == "vsa" {
                assert_eq!(predicate["verificationResult"], "FAILED", "{of:?}");
                assert_eq!(texts(&predicate["verifiedLevels"]), ["FAILED"].into());
                let resource = predicate["resourceUri"].as_str().unwrap();
                let of_node = resource.starts_with("urn:griptrace:node:");
                assert_eq!(of_node, matched == true, "{resource}");
            } else {
                assert!(texts(&predicate["properties"]).is_empty(), "{of:?}");
            }
        }
    }
}

#[test]
fn a_digest_alone_is_a_subject_by_the_algorithm_that_matched() {
    let desk = Desk::new();
    desk.say(&["ship", "model:grasp-f32", "--to", "Buyer GmbH", "--country", "DE", "--name", "second"]);
    desk.say(&["prove", "second", "-o", "second.griptrace"]);
    let bytes = b"grasp-f32.bin";
    let (sha256, blake3) = (sha256(bytes), griptrace_core::digest::file_digest(bytes).to_string());
    for (algorithm, digest) in [("sha256", sha256), ("blake3", blake3)] {
        let vsa = desk.verdict(0, "vsa", "second.griptrace", &["--digest", &digest, "--destination", "DE"]);
        assert_eq!(vsa["predicate"]["verificationResult"], "PASSED");
        assert_eq!(vsa["subject"][0]["digest"], serde_json::json!({ algorithm: digest }));
    }
}

/// A verdict answers its question: where to, for whom, for what, on which day, under what.
#[test]
fn a_verdict_says_what_was_asked() {
    let desk = Desk::new();
    let purpose = "train-adaptive-grasp-control";
    let asked = ["--model", "model", "--destination", "DE", "--consignee", "Buyer GmbH", "--purpose", purpose];
    for (format, list) in [("svr", "properties"), ("vsa", "verifiedLevels")] {
        let statement = desk.verdict(0, format, "full.griptrace", &asked);
        let (predicate, question) = (&statement["predicate"], &statement["predicate"]["griptrace_question"]);
        assert_eq!((&question["destination"], &question["consignee"]), (&"DE".into(), &"Buyer GmbH".into()));
        assert_eq!(texts(&question["purposes"]), [purpose].into());
        let file = |name: &str| sha256(&fs::read(desk.path(name)).unwrap());
        assert_eq!(question["policy"]["id"], "cn-industrial-reference");
        assert_eq!(question["policy"]["digest"]["sha256"], file("policy.toml"));
        assert_eq!(question["trustFile"]["digest"]["sha256"], file("trust.toml"));
        assert_eq!(question["bundle"]["digest"]["sha256"], file("full.griptrace"));
        let words = texts(&predicate[list]);
        assert!(!words.iter().any(|word| word.contains("PURPOSE") || word.contains(purpose)), "compared with nothing");
        assert!(words.iter().all(|word| *word != "GRIPTRACE_POLICY_MET"), "met for one country and no other");
        // The day that counts as now is not the day of the signature, and none that is to come.
        let earlier = desk.verdict(1, format, "full.griptrace", &[&asked[..], &["--at", "2026-05-01"]].concat());
        assert_eq!(earlier["predicate"]["griptrace_question"]["now"], "2026-05-01");
        let file = format!("later.{format}");
        let later = ["export", format, "full.griptrace", "--trust", "trust.toml", "--policy", "policy.toml"];
        let signed = ["--key", "ed25519.key", "--at", "2100-02-01", "-o", &file];
        let said = desk.ends(2, &[&later[..], &signed, &asked].concat());
        let today = question["now"].as_str().unwrap();
        assert!(said.contains(&format!("--at 2100-02-01 is after today, {today}")), "{said}");
        assert!(!desk.path(&file).exists());
        // What is not met says too what was asked; and what is expected without being asked counts as asked.
        let trust = fs::read_to_string(desk.path("trust.toml")).unwrap();
        let expects = format!("expect = {{ destination = \"FR\", purpose = [\"{purpose}\"] }}\n{trust}");
        fs::write(desk.path("trust.toml"), expects).unwrap();
        let other = desk.verdict(1, format, "full.griptrace", &["--model", "model"]);
        let question = &other["predicate"]["griptrace_question"];
        assert_eq!((&question["destination"], &question["consignee"]), (&"FR".into(), &Json::Null));
        assert_eq!(texts(&question["purposes"]), [purpose].into());
        fs::write(desk.path("trust.toml"), trust).unwrap();
    }
}

/// The policy that is named is the one that was judged by, even where it can be read once alone.
#[cfg(unix)]
#[test]
fn a_verdict_names_the_policy_as_it_was_read() {
    use std::io::Write as _;
    let desk = Desk::new();
    let judge = ["export", "svr", "full.griptrace", "--trust", "trust.toml", "--policy", "/dev/stdin"];
    let how = ["--model", "model", "--destination", "DE", "--key", "ed25519.key", "-o", "v.json"];
    let mut command = program(&desk.path(""), &[&judge[..], &how].concat());
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
    let policy = fs::read(desk.path("policy.toml")).unwrap();
    child.stdin.take().unwrap().write_all(&policy).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(0));
    let envelope: Json = serde_json::from_slice(&fs::read(desk.path("v.json")).unwrap()).unwrap();
    let statement: Json =
        serde_json::from_slice(&STANDARD.decode(envelope["payload"].as_str().unwrap()).unwrap()).unwrap();
    assert_eq!(statement["predicate"]["griptrace_question"]["policy"]["digest"]["sha256"], sha256(&policy));
}

#[test]
fn a_verdict_that_is_not_met_tells_why() {
    let desk = Desk::new();
    let asked = ["--trust", "trust.toml", "--policy", "policy.toml", "--destination", "FR", "--model", "model"];
    let export = [&["export", "vsa", "full.griptrace", "--key", "ed25519.key", "-o", "v.json"][..], &asked].concat();
    let said = desk.ends(1, &export);
    assert!(said.contains("MISMATCH: the policy is NOT met\n  destination-mismatch (error): "), "{said}");
    let told: Json = serde_json::from_str(desk.ends(1, &[&["--json"], &export[..]].concat()).trim()).unwrap();
    let codes = |of: &Json| of.as_array().unwrap().iter().map(|e| e["code"].clone()).collect::<Vec<_>>();
    assert_eq!(codes(&told["errors"]), ["destination-mismatch"]);
    let dossier = [&["dossier", "full.griptrace", "-o", "d.html"][..], &asked].concat();
    let said = desk.ends(1, &dossier);
    assert!(said.contains("destination-mismatch (error): "), "{said}");
    let told: Json = serde_json::from_str(desk.ends(1, &[&["--json"], &dossier[..]].concat()).trim()).unwrap();
    assert_eq!(codes(&told["errors"]), ["destination-mismatch"]);
}

/// A signed verdict of one kind does not vanish under another of the same envelope.
#[test]
fn a_signed_file_of_one_kind_is_not_written_over_by_another() {
    let desk = Desk::new();
    let asked = ["--trust", "trust.toml", "--policy", "policy.toml", "--destination", "DE", "--model", "model"];
    let verdict = |code, format: &str| {
        let export = ["export", format, "full.griptrace", "--key", "ed25519.key", "-o", "v.json"];
        desk.ends(code, &[&export[..], &asked].concat())
    };
    let slsa = ["export", "slsa", "full.griptrace", "--trust", "trust.toml", "--key", "ed25519.key", "-o", "v.json"];
    for (own, others) in [("svr", ["vsa"]), ("vsa", ["svr"])] {
        verdict(0, own);
        verdict(0, own);
        let before = fs::read(desk.path("v.json")).unwrap();
        for other in others {
            let said = verdict(2, other);
            assert!(said.contains("v.json is there already and is no "), "{said}");
        }
        assert!(desk.ends(2, &slsa).contains("is no SLSA provenance"));
        assert_eq!(fs::read(desk.path("v.json")).unwrap(), before);
        fs::remove_file(desk.path("v.json")).unwrap();
    }
    desk.say(&slsa);
    assert!(verdict(2, "svr").contains("is no simple verification result"));
    desk.say(&slsa);
}

/// What another program wrote in the same format is not this one's to replace; what this one wrote is, also by way of a link.
#[test]
fn a_file_of_others_in_the_same_format_is_kept() {
    let desk = Desk::new();
    let of_bundle = |format| vec!["export", format, "full.griptrace", "--trust", "trust.toml"];
    let slsa = r#"{"_type":"https://in-toto.io/Statement/v1","predicate":{"buildDefinition":{"buildType":"https://b.example/v1"}},"predicateType":"https://slsa.dev/provenance/v1","subject":[]}"#;
    let oms = ["export", "oms", "model", "--key", "p256.key"].to_vec();
    for (name, command, theirs) in [
        (
            "a.svg",
            vec!["label", "full.griptrace"],
            br#"<svg xmlns="http://www.w3.org/2000/svg"><text>logo</text></svg>"#.as_slice(),
        ),
        ("a.slsa", of_bundle("slsa"), slsa.as_bytes()),
        (
            "a.bom",
            of_bundle("cyclonedx"),
            br#"{"$schema":"http://cyclonedx.org/schema/bom-1.6.schema.json","bomFormat":"CycloneDX"}"#,
        ),
        ("a.prov", of_bundle("prov"), br#"{"activity":{"ex:a":{}},"prefix":{"ex":"https://e.example/"}}"#),
        ("a.cose", vec!["export", "statement", "first"], b"\xd2\x84another"),
        ("a.proof", vec!["export", "tlog-proof", "first"], b"c2sp.org/tlog-proof@v1\nindex 0\n"),
        ("a.sig", oms, br#"{"dsseEnvelope":{},"mediaType":"application/vnd.dev.sigstore.bundle.v0.3+json"}"#),
    ] {
        let export = [&command[..], &["-o", name]].concat();
        fs::write(desk.path(name), theirs).unwrap();
        let said = desk.ends(2, &export);
        assert!(said.contains("is not replaced"), "{name}: {said}");
        assert_eq!(fs::read(desk.path(name)).unwrap(), theirs, "{name}");
        fs::remove_file(desk.path(name)).unwrap();
        desk.say(&export);
        desk.say(&export);
        #[cfg(unix)]
        {
            std::os::unix::fs::symlink(name, desk.path("link")).unwrap();
            let ending = Path::new(name).extension().unwrap().to_str().unwrap();
            let link = format!("link.{ending}");
            fs::rename(desk.path("link"), desk.path(&link)).unwrap();
            desk.say(&[&command[..], &["-o", &link]].concat());
            assert!(fs::symlink_metadata(desk.path(&link)).unwrap().is_symlink(), "{name}");
        }
    }
    let left = fs::read_dir(desk.path("")).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    assert_eq!(left.filter(|name| name.contains(".new")).count(), 0);
}

/// What a command writes is none of the files that it compares: the next check would find another model.
#[test]
fn nothing_is_written_into_the_model_in_hand() {
    let desk = Desk::new();
    let asked = ["--trust", "trust.toml", "--policy", "policy.toml", "--destination", "DE", "--model", "model"];
    let key = ["--key", "ed25519.key"];
    for (command, key) in [(&["export", "svr"][..], &key[..]), (&["export", "vsa"], &key), (&["dossier"], &[])] {
        for output in ["model/out", "model/parts/out", "model/parts/../out"] {
            let said = desk.ends(2, &[command, &["full.griptrace", "-o", output], key, &asked].concat());
            assert!(said.contains("outside the model's folder"), "{command:?} {said}");
        }
    }
    desk.say(&[&["verify", "full.griptrace"][..], &asked].concat());
}

/// A provenance of what was made of what no longer holds says so, however far behind it lies.
#[test]
fn a_provenance_of_what_was_withdrawn_is_not_written_without_a_word() {
    let desk = Desk::new();
    let slsa = ["export", "slsa", "new.griptrace", "--trust", "trust.toml", "-o", "a.slsa"];
    desk.say(&["prove", "first", "-o", "new.griptrace"]);
    assert!(!desk.say(&slsa).contains("warning: the "));
    desk.say(&["mark", "withdraw", "camera", "--reason", "spoilt"]);
    desk.say(&["prove", "first", "-o", "new.griptrace"]);
    let said = desk.say(&slsa);
    assert!(said.contains("warning: the dataset ") && said.contains("bears the mark withdraw "), "{said}");
    let written = fs::read_to_string(desk.path("a.slsa")).unwrap();
    let statement: Json = serde_json::from_str(written.lines().next().unwrap()).unwrap();
    let marks = &statement["predicate"]["buildDefinition"]["externalParameters"]["marks"];
    assert!(marks.to_string().contains("withdraw "), "{statement}");
    let told: Json = serde_json::from_str(
        desk.say(&[&["--json"], &slsa[..]].concat()).lines().find(|line| line.starts_with('{')).unwrap(),
    )
    .unwrap();
    assert_eq!(told["marked"][0]["kind"], "dataset");
}

/// A PROV document has what the BOM has of every core.
#[test]
fn prov_has_every_field_of_a_core() {
    let mut fields = BTreeSet::new();
    for case in catalogue().map(crate::attacks::Attack::case) {
        let Ok(lineage) = Lineage::read(&case.file(), &case.buyer.read_trust(), &Known::default()) else { continue };
        let document = prov::document(&lineage);
        for node in &lineage.nodes {
            let id = format!("node:{}", node.id);
            let said = ["entity", "activity"].into_iter().find_map(|kind| document[kind].get(&id)).unwrap();
            for (name, value) in core_fields(&node.core) {
                let found = &said[format!("griptrace:{name}")];
                let words: Vec<&str> = found.as_array().into_iter().flatten().filter_map(Json::as_str).collect();
                assert!(found == &value || words.join(", ") == value, "{name} {value}: {said}");
                fields.insert(name);
            }
        }
    }
    assert!(
        ["use-allowed", "persons", "basis", "digest-strength"].iter().all(|name| fields.contains(name)),
        "{fields:?}"
    );
}

/// A buyer who was told of a withdrawal gets no PASSED out of the older file.
#[test]
fn a_verdict_is_on_the_bundle_brought_up_to_date() {
    let desk = Desk::new();
    let met = ["--model", "model", "--destination", "DE"];
    desk.verdict(0, "vsa", "full.griptrace", &met);
    desk.say(&["mark", "withdraw", "camera", "--reason", "spoilt"]);
    desk.say(&["prove", "first", "--update-of", "full.griptrace", "-o", "new.update"]);
    let updated = [&met[..], &["--update", "new.update"]].concat();
    let vsa = desk.verdict(1, "vsa", "full.griptrace", &updated);
    assert_eq!(vsa["predicate"]["verificationResult"], "FAILED");
    let file = |name: &str| Json::from(sha256(&fs::read(desk.path(name)).unwrap()));
    let inputs = &vsa["predicate"]["inputAttestations"];
    assert_eq!(
        [&inputs[0], &inputs[1], &inputs[2]].map(|input| input["digest"]["sha256"].clone()),
        [file("full.griptrace"), file("new.update"), file("trust.toml")]
    );
    let svr = desk.verdict(1, "svr", "full.griptrace", &updated);
    assert_eq!(svr["predicate"]["griptrace_question"]["updates"][0]["digest"]["sha256"], file("new.update"));
    let asked = ["--trust", "trust.toml", "--policy", "policy.toml"];
    let dossier = [&["dossier", "full.griptrace", "-o", "d.html"][..], &asked, &updated].concat();
    let said = desk.ends(1, &dossier);
    assert!(said.contains("withdrawn (error): "), "{said}");
    assert!(fs::read_to_string(desk.path("d.html")).unwrap().contains("the dataset has the mark withdraw"));
    let said = desk.ends(2, &["dossier", "full.griptrace", "-o", "e.html", "--update", "new.update"]);
    assert!(said.contains("--trust <FILE>"), "an update is applied for who judges: {said}");
}

#[test]
fn nothing_is_written_over_and_what_can_not_be_exported_is_said() {
    let desk = Desk::new();
    let export = ["export", "cyclonedx", "full.griptrace", "--trust", "trust.toml", "-o"];
    for kept in ["lineage.toml", "full.griptrace", "trust.toml"] {
        let before = fs::read(desk.path(kept)).unwrap();
        let said = desk.ends(2, &[&export[..], &[kept]].concat());
        assert!(said.contains("not replaced"), "{said}");
        assert_eq!(fs::read(desk.path(kept)).unwrap(), before);
    }
    desk.say(&[&export[..], &["bom.json"]].concat());
    desk.say(&[&export[..], &["bom.json"]].concat());
    let said = desk.ends(2, &["export", "prov", "full.griptrace", "--trust", "trust.toml", "-o", "bom.json"]);
    assert!(said.contains("no PROV-JSON"), "{said}");
    let said = desk.ends(2, &["export", "oms", "model", "--key", "ed25519.key", "-o", "m.sig"]);
    assert!(said.contains("P-256"), "{said}");
    let said = desk.ends(2, &["export", "oms", "model", "--key", "p256.key", "-o", "model/m.sig"]);
    assert!(said.contains("outside the model's folder"), "{said}");
    let said = desk.ends(2, &["export", "oms", "bought", "--key", "p256.key", "-o", "m.sig"]);
    assert!(!desk.path("m.sig").exists(), "a data set is no model: {said}");
    let said = desk.ends(2, &["export", "statement", "leaf:0", "-o", "s.cose"]);
    assert!(said.contains("no commit"), "{said}");
    let said = desk.ends(2, &["export", "tlog-proof", "leaf:99", "-o", "p"]);
    assert!(said.contains("no leaf 99"), "{said}");
    let told = desk.say(&["--json", "export", "statement", "first", "-o", "s.cose"]);
    let told: Json = serde_json::from_str(told.trim()).unwrap();
    assert_eq!((&told["file"], &told["log"]), (&"s.cose".into(), &ORIGIN.into()));
}

/// The bundle's narrowed proof is the log's own: a buyer's tlog-proof is the seller's.
#[test]
fn a_tlog_proof_out_of_a_bundle_is_that_of_the_store() {
    let desk = Desk::new();
    let bundle = Bundle::from_bytes(&fs::read(desk.path("full.griptrace")).unwrap()).unwrap();
    let mut compared = 0;
    for (index, _) in &bundle.logs[0].entries {
        let leaf = format!("leaf:{index}");
        desk.say(&["export", "tlog-proof", &leaf, "-o", "store.tlog-proof"]);
        desk.say(&["export", "tlog-proof", &leaf, "--bundle", "full.griptrace", "-o", "bundle.tlog-proof"]);
        let read = |name: &str| fs::read_to_string(desk.path(name)).unwrap();
        assert_eq!(read("store.tlog-proof"), read("bundle.tlog-proof"), "{leaf}");
        compared += 1;
    }
    assert!(compared >= 4, "{compared}");
}

/// Whoever names a trust file gets no proof out of a bundle that does not hold together.
#[test]
fn a_tlog_proof_out_of_a_bundle_that_is_not_believed_is_not_written() {
    let desk = Desk::new();
    let export = ["export", "tlog-proof", "leaf:0", "--bundle", "full.griptrace", "-o", "p.tlog-proof", "--trust"];
    desk.say(&[&export[..], &["trust.toml"]].concat());
    fs::remove_file(desk.path("p.tlog-proof")).unwrap();
    let other = Desk::new();
    fs::copy(other.path("trust.toml"), desk.path("other.toml")).unwrap();
    let said = desk.ends(2, &[&export[..], &["other.toml"]].concat());
    assert!(said.contains("full.griptrace is not exported") && !desk.path("p.tlog-proof").exists(), "{said}");
    let said = desk.ends(2, &["export", "tlog-proof", "leaf:0", "--trust", "trust.toml", "-o", "p.tlog-proof"]);
    assert!(said.contains("--bundle <FILE>"), "{said}");
}

/// A signature has no place for a mark: who signs hears of it.
#[test]
fn what_was_put_aside_is_not_signed_without_a_word() {
    let desk = Desk::new();
    let oms = ["export", "oms", "model", "--key", "p256.key", "-o", "m.sig"];
    assert!(!desk.say(&oms).contains("warning"));
    desk.say(&["mark", "withdraw", "camera", "--reason", "spoilt"]);
    let said = desk.say(&oms);
    let of_source = " dataset camera, which went into the model, bears the mark withdraw of ";
    assert!(said.contains(of_source) && said.contains(": spoilt)"), "{said}");
    fs::remove_file(desk.path("m.sig")).unwrap();
    for mark in ["recall", "supersede"] {
        let (model, node) =
            if mark == "recall" { ("model", "model:grasp") } else { ("grasp-f32.bin", "model:grasp-f32") };
        let mut marked = vec!["mark", mark, node, "--reason", "not this one"];
        marked.extend(if mark == "supersede" { &["--successor", "model:grasp"][..] } else { &[] });
        desk.say(&marked);
        let oms = ["export", "oms", model, "--key", "p256.key", "-o", "m.sig"];
        let said = desk.ends(2, &oms);
        let told = format!("is not signed: it bears the mark {mark} of ");
        assert!(said.contains(&told) && said.contains(": not this one)") && said.contains("--despite-mark"), "{said}");
        assert!(!desk.path("m.sig").exists());
        let said = desk.say(&[&oms[..], &["--despite-mark"]].concat());
        assert!(said.contains(&format!("{model} has the content of ")), "{said}");
        assert!(said.contains(&format!("which bears the mark {mark} of ")), "{said}");
        fs::remove_file(desk.path("m.sig")).unwrap();
    }
    // A model that went in and is merely superseded still counts.
    let said = desk.say(&[&oms[..], &["--despite-mark"]].concat());
    assert!(!said.contains("mark supersede"), "{said}");
}

#[test]
fn a_statements_entry_is_the_logs_own() {
    let desk = Desk::new();
    let told = desk.say(&["--json", "export", "statement", "first", "-o", "s.cose"]);
    let leaf = serde_json::from_str::<Json>(told.trim()).unwrap()["leaf"].as_u64().unwrap();
    let (entry, receipts) = receipt::registered(&fs::read(desk.path("s.cose")).unwrap()).unwrap();
    assert_eq!(receipts.len(), 1);
    let bundle = Bundle::from_bytes(&fs::read(desk.path("full.griptrace")).unwrap()).unwrap();
    let logged = bundle.logs[0].entries.iter().find(|(index, _)| *index == leaf);
    assert_eq!(logged.map(|(_, bytes)| bytes), Some(&entry));
}

/// What stands in docs/export.md is what the check installs.
#[test]
fn the_versions_in_the_documents_are_those_that_read() {
    let (table, pins) = (document("docs/export.md"), document("tests/formats/requirements.txt"));
    let modules = document("tests/formats/tlog/go.mod");
    let rows: Vec<Vec<&str>> = table
        .lines()
        .skip_while(|line| !line.starts_with("| program |"))
        .skip(2)
        .take_while(|line| line.starts_with('|'))
        .map(|line| line.split('|').map(str::trim).collect())
        .collect();
    assert_eq!(rows.len(), 9);
    for row in rows {
        let name = row[1].split([' ', '[', ',']).next().unwrap();
        let version = row[2].split(',').next().unwrap();
        let pinned = if row[1].contains("(Go)") {
            modules.contains(&format!("\t{name} v{version}\n"))
        } else {
            pins.lines().any(|line| line.eq_ignore_ascii_case(&format!("{name}=={version}")))
        };
        assert!(pinned, "{name} {version} is not what is installed");
    }
}

/// A receipt is by the key that signs checkpoints now, whichever key signed when the commit came.
#[test]
fn a_receipt_is_by_the_logs_key_of_now() {
    let desk = Desk::new();
    let verifies = |vkey: &str| {
        desk.say(&["export", "statement", "first", "-o", "s.cose"]);
        let (entry, receipts) = receipt::registered(&fs::read(desk.path("s.cose")).unwrap()).unwrap();
        let shown: Json = serde_json::from_str(desk.say(&["--json", "key", "show", vkey]).trim()).unwrap();
        let key = PublicKey::parse(shown["public_key"].as_str().unwrap()).unwrap();
        receipt::Receipt::parse(&receipts[0]).unwrap().verify(&entry, &key).is_ok()
    };
    let vkeys = || {
        let trust = desk.say(&["trust", "init"]);
        trust.lines().filter_map(|line| line.strip_prefix("vkey = ")).map(|v| v.trim_matches('"').to_owned()).collect()
    };
    let before: Vec<String> = vkeys();
    assert!(verifies(&before[0]));
    desk.say(&["key", "rotate", "log"]);
    let after: Vec<String> = vkeys();
    assert_ne!(before[0], after[0]);
    assert!(verifies(&after[0]) && !verifies(&before[0]));
}

/// Changes a copy of a file and returns its name.
fn changed(desk: &Desk, file: &str, change: impl Fn(&mut Vec<u8>)) -> String {
    let mut bytes = fs::read(desk.path(file)).unwrap();
    let before = bytes.clone();
    change(&mut bytes);
    assert_ne!(bytes, before, "nothing was changed in {file}");
    let name = format!("changed-{}", Path::new(file).file_name().unwrap().display());
    fs::write(desk.path(&name), bytes).unwrap();
    name
}
