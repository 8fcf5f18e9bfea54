//! Programs that others wrote read what is exported, and refuse what was changed in it (docs/export.md names them).

use griptrace_core::receipt::registered;
use griptrace_tests::{paths::workspace_root, skipped};

use super::*;
use crate::{pipeline, readme};

/// What a check leaves with that refused what it read.
const REFUSED: i32 = 3;

/// The readers' programs, in one folder.
struct Readers {
    bin: PathBuf,
    script: PathBuf,
}

impl Readers {
    /// Finds what `.ci/run formats` installs; `None` where it is missing.
    fn find() -> Option<Self> {
        let named = std::env::var_os("GRIPTRACE_FORMATS").map(PathBuf::from);
        let bin = named.unwrap_or_else(|| workspace_root().join("target/ci-tools/formats")).join("bin");
        let there = ["python", "model_signing", "griptrace-read-tlog"].iter().all(|name| bin.join(name).exists());
        there.then(|| Self { bin, script: workspace_root().join("tests/formats/check.py") })
    }

    fn run(&self, desk: &Desk, program: &str, arguments: &[&str]) -> (i32, String) {
        let mut command = Command::new(self.bin.join(program));
        command.args(arguments).current_dir(desk.path("")).stdin(Stdio::null());
        let output = command.output().unwrap();
        let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        (output.status.code().unwrap(), said)
    }

    fn python(&self, desk: &Desk, check: &str, arguments: &[&str]) -> (i32, String) {
        self.run(desk, "python", &[&[self.script.to_str().unwrap(), check], arguments].concat())
    }

    /// Returns what a check of `check.py` says of files that it accepts.
    fn accept(&self, desk: &Desk, check: &str, arguments: &[&str]) -> String {
        let (code, said) = self.python(desk, check, arguments);
        assert_eq!(code, 0, "{check} {arguments:?}: {said}");
        said
    }

    fn refuse(&self, desk: &Desk, check: &str, arguments: &[&str]) -> String {
        let (code, said) = self.python(desk, check, arguments);
        assert_eq!(code, REFUSED, "{check} {arguments:?}: {said}");
        assert!(said.starts_with("refused: "), "{said}");
        said
    }

    fn tlog(&self, desk: &Desk, check: &str, file: &str, code: i32) -> String {
        let (found, said) = self.run(desk, "griptrace-read-tlog", &[check, file, &vkey(desk)]);
        assert_eq!(found, code, "{check} {file}: {said}");
        said
    }
}

fn quoted(desk: &Desk, name: &str) -> Vec<String> {
    let trust = fs::read_to_string(desk.path("trust.toml")).unwrap();
    let lines = trust.lines().filter_map(|line| line.strip_prefix(name)?.strip_prefix(" = \"")?.strip_suffix('"'));
    lines.map(str::to_owned).collect()
}

fn vkey(desk: &Desk) -> String {
    quoted(desk, "vkey").remove(0)
}

/// Writes the public keys as PEM: of the log, of the committer, and of the two keys of the desk.
fn write_pems(desk: &Desk) {
    let (log, committer) = (vkey(desk), quoted(desk, "key").remove(0));
    for (key, name) in [
        (log.as_str(), "log.pem"),
        (&committer, "committer.pem"),
        ("ed25519.key", "ed25519.pem"),
        ("p256.key", "p256.pem"),
    ] {
        fs::write(desk.path(name), desk.say(&["key", "show", key, "--pem"])).unwrap();
    }
}

fn json(text: &str) -> Json {
    serde_json::from_str(text.lines().next().unwrap()).unwrap()
}

#[test]
fn scitt_cose_reads_a_transparent_statement_and_its_receipt() {
    let Some(readers) = Readers::find() else { skipped!("the readers of the formats are not installed") };
    let desk = Desk::new();
    write_pems(&desk);
    desk.say(&["export", "statement", "first", "-o", "s.cose"]);
    let read = json(&readers.accept(&desk, "statement", &["s.cose", "log.pem", "committer.pem"]));
    let key = json(&desk.say(&["--json", "key", "show", &vkey(&desk)]));
    assert_eq!((&read["issuer"], &read["kid"]), (&ORIGIN.into(), &key["key_id"]));
    let checkpoint = fs::read_to_string(desk.path(".griptrace/store/checkpoint")).unwrap();
    assert_eq!(checkpoint.lines().nth(1), Some(read["size"].to_string().as_str()));
    readers.refuse(&desk, "statement", &["s.cose", "ed25519.pem", "committer.pem"]);
    readers.refuse(&desk, "statement", &["s.cose", "log.pem", "ed25519.pem"]);
    let bytes = fs::read(desk.path("s.cose")).unwrap();
    let (_, receipts) = registered(&bytes).unwrap();
    let receipt = &receipts[0];
    let at = bytes.windows(receipt.len()).position(|part| part == receipt).unwrap();
    let end = at + receipt.len();
    // Both signatures, the last hash of the path, the receipt's and the statement's protected header, the payload.
    for (what, place) in [
        ("the receipt's signature", end - 1),
        ("the path", end - 64 - 3 - 1),
        ("the receipt's header", at + 30),
        ("the statement's header", 20),
        ("the payload", bytes.len() - 64 - 3),
        ("the statement's signature", bytes.len() - 1),
    ] {
        let name = changed(&desk, "s.cose", |bytes| bytes[place] ^= 1);
        let said = readers.refuse(&desk, "statement", &[&name, "log.pem", "committer.pem"]);
        assert!(!said.is_empty(), "{what}");
    }
    // The receipt of another commit.
    desk.say(&["export", "statement", "model:grasp", "-o", "other.cose"]);
    let (entry, _) = registered(&fs::read(desk.path("other.cose")).unwrap()).unwrap();
    fs::write(desk.path("swapped.cose"), receipt::transparent(&entry, &receipts).unwrap()).unwrap();
    readers.refuse(&desk, "statement", &["swapped.cose", "log.pem", "committer.pem"]);
}

#[test]
fn go_modules_read_tlog_proofs_and_the_whole_log() {
    let Some(readers) = Readers::find() else { skipped!("the readers of the formats are not installed") };
    let desk = Desk::new();
    desk.say(&["export", "tlog-proof", "first", "-o", "p.tlog-proof"]);
    readers.tlog(&desk, "proof", "p.tlog-proof", 0);
    let text = fs::read_to_string(desk.path("p.tlog-proof")).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    for place in [1, 2, 3, lines.len() - 4, lines.len() - 3, lines.len() - 1] {
        let name = changed(&desk, "p.tlog-proof", |bytes| {
            let start: usize = lines[..place].iter().map(|line| line.len() + 1).sum();
            // The last digit or letter of the line that is no padding and has no spare bits behind it.
            let line = &mut bytes[start..start + lines[place].len()];
            let at = line.iter().rposition(|byte| *byte != b'=').unwrap().saturating_sub(usize::from(place != 2));
            line[at] = if line[at] == b'1' { b'2' } else { b'1' };
        });
        readers.tlog(&desk, "proof", &name, REFUSED);
    }
    let store = ".griptrace/store";
    let said = readers.tlog(&desk, "tiles", store, 0);
    let checkpoint = fs::read_to_string(desk.path(store).join("checkpoint")).unwrap();
    let size = checkpoint.lines().nth(1).unwrap();
    assert_eq!(said, format!("{size} of {size} entries\n"));
    for file in ["checkpoint".to_owned(), format!("tile/0/000.p/{size}"), format!("tile/entries/000.p/{size}")] {
        let path = desk.path(store).join(file);
        let honest = fs::read(&path).unwrap();
        let mut bytes = honest.clone();
        bytes[40] ^= 1;
        fs::remove_file(&path).unwrap();
        fs::write(&path, bytes).unwrap();
        readers.tlog(&desk, "tiles", store, REFUSED);
        fs::write(&path, honest).unwrap();
    }
}

#[test]
fn securesystemslib_and_in_toto_read_verdicts() {
    let Some(readers) = Readers::find() else { skipped!("the readers of the formats are not installed") };
    let desk = Desk::new();
    write_pems(&desk);
    let asked = ["--trust", "trust.toml", "--policy", "policy.toml", "--model", "model", "--destination", "DE"];
    for (format, key, other) in [("svr", "ed25519", "p256"), ("vsa", "p256", "ed25519")] {
        let (secret, public, wrong) = (format!("{key}.key"), format!("{key}.pem"), format!("{other}.pem"));
        let export = [&["export", format, "full.griptrace"][..], &asked, &["--key", &secret, "-o", format]].concat();
        desk.say(&export);
        let read = json(&readers.accept(&desk, "envelope", &[format, &public]));
        let uri = if format == "svr" {
            "https://in-toto.io/attestation/svr/v0.2"
        } else {
            "https://slsa.dev/verification_summary/v1"
        };
        assert_eq!(read["predicateType"], uri);
        readers.refuse(&desk, "envelope", &[format, &wrong]);
        let name = changed(&desk, format, |bytes| {
            let mut envelope: Json = serde_json::from_slice(bytes).unwrap();
            let payload = STANDARD.decode(envelope["payload"].as_str().unwrap()).unwrap();
            let text = String::from_utf8(payload).unwrap().replace("TRACED_UNASSESSED", "TRACED_ASSESSED");
            envelope["payload"] = STANDARD.encode(text).into();
            *bytes = envelope.to_string().into_bytes();
        });
        readers.refuse(&desk, "envelope", &[&name, &public]);
    }
}

#[test]
fn in_toto_reads_the_provenance_of_each_step() {
    let Some(readers) = Readers::find() else { skipped!("the readers of the formats are not installed") };
    let desk = Desk::new();
    write_pems(&desk);
    let export = ["export", "slsa", "full.griptrace", "--trust", "trust.toml", "-o"];
    desk.say(&[&export[..], &["s.jsonl"]].concat());
    let said = readers.accept(&desk, "statements", &["s.jsonl"]);
    let statements: Vec<Json> = said.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let parameters = |statement: &Json| statement["predicate"]["buildDefinition"]["externalParameters"].clone();
    let mut steps: Vec<String> =
        statements.iter().map(|s| parameters(s)["activity"].as_str().unwrap().to_owned()).collect();
    steps.sort();
    assert_eq!(steps, ["quantisation", "training"]);
    let training = statements.iter().find(|s| parameters(s)["activity"] == "training").unwrap();
    assert_eq!(training["predicate"]["buildDefinition"]["resolvedDependencies"].as_array().unwrap().len(), 2);
    let name = changed(&desk, "s.jsonl", |bytes| {
        *bytes = String::from_utf8(bytes.clone()).unwrap().replace("\"builder\"", "\"bilder\"").into_bytes();
    });
    readers.refuse(&desk, "statements", &[&name]);
    let name = changed(&desk, "s.jsonl", |bytes| {
        *bytes = String::from_utf8(bytes.clone())
            .unwrap()
            .replace("\"digest\":{\"blake3\"", "\"digests\":{\"blake3\"")
            .into_bytes();
    });
    readers.refuse(&desk, "statements", &[&name]);
    desk.say(&[&export[..], &["s.intoto.jsonl", "--key", "ed25519.key"]].concat());
    let said = readers.accept(&desk, "envelope", &["s.intoto.jsonl", "ed25519.pem"]);
    assert_eq!(said.lines().count(), 2);
    readers.refuse(&desk, "envelope", &["s.intoto.jsonl", "log.pem"]);
}

#[test]
fn model_signing_verifies_the_models_files() {
    let Some(readers) = Readers::find() else { skipped!("the readers of the formats are not installed") };
    let desk = Desk::new();
    write_pems(&desk);
    let verify = |model: &str, signature: &str, key: &str| {
        readers.run(&desk, "model_signing", &["verify", "key", model, "--signature", signature, "--public_key", key])
    };
    desk.say(&["export", "oms", "model", "--key", "p256.key", "-o", "m.sig"]);
    desk.say(&["export", "oms", "grasp-f32.bin", "--key", "p256.key", "-o", "f.sig"]);
    for (model, signature) in [("model", "m.sig"), ("grasp-f32.bin", "f.sig")] {
        let (code, said) = verify(model, signature, "p256.pem");
        assert_eq!(code, 0, "{said}");
        readers.accept(&desk, "sigstore", &[signature]);
    }
    let refused = |model: &str, signature: &str, key: &str| {
        let (code, said) = verify(model, signature, key);
        assert_eq!(code, 1, "{model} {signature} {key}: {said}");
        assert!(said.contains("Verification failed"), "{said}");
    };
    desk.say(&["key", "new", "other.key", "--p256"]);
    fs::write(desk.path("other.pem"), desk.say(&["key", "show", "other.key", "--pem"])).unwrap();
    refused("model", "m.sig", "other.pem");
    refused("bought", "m.sig", "p256.pem");
    let name = changed(&desk, "m.sig", |bytes| {
        let mut bundle: Json = serde_json::from_slice(bytes).unwrap();
        let payload = STANDARD.decode(bundle["dsseEnvelope"]["payload"].as_str().unwrap()).unwrap();
        let text = String::from_utf8(payload).unwrap().replace("config.json", "conf1g.json");
        bundle["dsseEnvelope"]["payload"] = STANDARD.encode(text).into();
        *bytes = bundle.to_string().into_bytes();
    });
    refused("model", &name, "p256.pem");
    let name = changed(&desk, "m.sig", |bytes| {
        *bytes = String::from_utf8(bytes.clone()).unwrap().replace("verificationMaterial", "material").into_bytes();
    });
    readers.refuse(&desk, "sigstore", &[&name]);
    fs::write(desk.path("model/extra.bin"), "more").unwrap();
    refused("model", "m.sig", "p256.pem");
    fs::remove_file(desk.path("model/extra.bin")).unwrap();
    fs::write(desk.path("model/config.json"), "changed").unwrap();
    refused("model", "m.sig", "p256.pem");
}

#[test]
fn cyclonedx_and_prov_libraries_read_the_lineage() {
    let Some(readers) = Readers::find() else { skipped!("the readers of the formats are not installed") };
    let desk = Desk::new();
    for bundle in ["full.griptrace", "minimal.griptrace"] {
        documents_are_read(&readers, &desk, bundle);
    }
    for (from, to) in
        [("\"complete\"", "\"mostly\""), ("machine-learning-model", "machine"), ("\"SHA-256\"", "\"SHA-2\"")]
    {
        let name = changed(&desk, "full.griptrace.cyclonedx", |bytes| {
            *bytes = String::from_utf8(bytes.clone()).unwrap().replace(from, to).into_bytes();
        });
        readers.refuse(&desk, "cyclonedx", &[&name]);
    }
    let name = changed(&desk, "full.griptrace.prov", |bytes| {
        let mut document: Json = serde_json::from_slice(bytes).unwrap();
        let entities = document["entity"].as_object_mut().unwrap();
        let first = entities.keys().find(|name| name.starts_with("node:")).unwrap().clone();
        entities.remove(&first);
        *bytes = document.to_string().into_bytes();
    });
    let said = readers.refuse(&desk, "prov", &[&name]);
    assert!(said.contains("leads to nothing"), "{said}");
    let name = changed(&desk, "full.griptrace.prov", |bytes| {
        *bytes = String::from_utf8(bytes.clone()).unwrap().replace("\"node\":\"urn", "\"nod\":\"urn").into_bytes();
    });
    readers.refuse(&desk, "prov", &[&name]);
}

/// Has the documents of a bundle read, and compares the counts with the bundle's own.
fn documents_are_read(readers: &Readers, desk: &Desk, bundle: &str) {
    let [bom, document] = ["cyclonedx", "prov"].map(|format| {
        desk.document(format, bundle);
        json(&readers.accept(desk, format, &[&format!("{bundle}.{format}")]))
    });
    let cores = cores(&Bundle::from_bytes(&fs::read(desk.path(bundle)).unwrap()).unwrap());
    let count = |kinds: &[Kind]| cores.values().filter(|core| kinds.contains(&core.kind)).count();
    let edges = |role: Role| cores.values().map(|core| core.edges_of(role).count()).sum::<usize>();
    // The library counts what stands beside the product; of one shipped model that is all but it.
    assert_eq!(bom["components"], count(&[Kind::Dataset, Kind::Model]) - 1, "{bundle}");
    assert_eq!(document["Activity"], count(&[Kind::Transformation, Kind::Shipment]), "{bundle}");
    assert_eq!(document["Usage"], edges(Role::Used) + edges(Role::Ships), "{bundle}");
    assert_eq!(document["Generation"], edges(Role::GeneratedBy), "{bundle}");
    let statements = format!("{bundle}.slsa");
    if desk.run(&["export", "slsa", bundle, "--trust", "trust.toml", "-o", &statements]).status.success() {
        readers.accept(desk, "statements", &[&statements]);
    }
}

#[test]
fn what_the_demo_shipped_is_read_in_every_format() {
    let Some(readers) = Readers::find() else { skipped!("the readers of the formats are not installed") };
    let (desk, programs) = (Desk(tempfile::tempdir().unwrap()), tempfile::tempdir().unwrap());
    // The demo makes its folder itself.
    fs::remove_dir(desk.path("")).unwrap();
    let demo = format!("griptrace demo --dir {}", desk.path("").display());
    let (code, said) = readme::run(&readme::programs(programs.path()), programs.path(), &demo);
    assert_eq!(code, 0, "{said}");
    desk.say(&["key", "new", "p256.key", "--p256"]);
    desk.say(&["key", "new", "ed25519.key"]);
    write_pems(&desk);
    documents_are_read(&readers, &desk, "shipment.griptrace");
    desk.say(&["--store", "store", "export", "statement", "shipment", "-o", "s.cose"]);
    readers.accept(&desk, "statement", &["s.cose", "log.pem", "committer.pem"]);
    desk.say(&["--store", "store", "export", "tlog-proof", "shipment", "-o", "p.tlog-proof"]);
    readers.tlog(&desk, "proof", "p.tlog-proof", 0);
    readers.tlog(&desk, "tiles", "store/.griptrace/store", 0);
    desk.say(&["--store", "store", "export", "oms", "model", "--key", "p256.key", "-o", "m.sig"]);
    let verify = ["verify", "key", "model", "--signature", "m.sig", "--public_key", "p256.pem"];
    let (code, said) = readers.run(&desk, "model_signing", &verify);
    assert_eq!(code, 0, "{said}");
    let asked = ["--model", "model", "--destination", "DE"];
    let svr = desk.verdict(0, "svr", "shipment.griptrace", &asked);
    assert!(texts(&svr["predicate"]["properties"]).contains("GRIPTRACE_TRACED_ASSESSED_FOR_DE"), "{svr}");
    readers.accept(&desk, "envelope", &["shipment.griptrace.svr.json", "ed25519.pem"]);
}

#[test]
fn the_lineage_of_a_real_pipeline_is_read() {
    let Some(readers) = Readers::find() else { skipped!("the readers of the formats are not installed") };
    let Some(real) = pipeline::Pipeline::read() else {
        skipped!("../shared/data, with the real recordings, is not there");
    };
    let desk = Desk(pipeline::record(&real, false).into_folder());
    for model in pipeline::INT8 {
        let bundle = pipeline::ship(|arguments| drop(desk.say(arguments)), model);
        documents_are_read(&readers, &desk, &bundle);
        let file = real.file(model).unwrap();
        let asked = ["--model", file.to_str().unwrap(), "--destination", "DE"];
        desk.run(&["key", "new", "ed25519.key"]);
        let vsa = desk.verdict(0, "vsa", &bundle, &asked);
        let sources = pipeline::source_counts(&real)[model];
        assert_eq!(vsa["predicate"]["dependencyLevels"]["GRIPTRACE_TRACED_ASSESSED"], sources, "{model}");
    }
}
