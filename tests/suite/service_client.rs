//! The program as a client of the program as a server, over TLS: record, ship and prove; the bundle verified
//! offline; and every question answered as the store itself answers it.

use std::{
    fs,
    path::Path,
    process::{Child, Command, Output, Stdio},
};

use griptrace_tests::paths;
use serde_json::Value;

use crate::{
    clients::{serve, vkey},
    process::{Running, program, said, works},
    served::{Authority, Counts},
};

/// A folder with a server's store, a client's folder, and files to record.
struct World {
    folder: tempfile::TempDir,
    url: String,
    _server: Running,
}

/// Writes an authority's certificate, one for this machine and one for a client, each with its key.
fn certificates(folder: &Path) {
    let authority = Authority::new();
    fs::write(folder.join("ca.pem"), authority.pem()).unwrap();
    for (name, common_name, names) in
        [("server", "the server", &["localhost", "127.0.0.1"][..]), ("client", "plant-8", &[])]
    {
        let (certificate, key) = authority.sign(common_name, names, Counts::Now);
        fs::write(folder.join(format!("{name}.pem")), certificate).unwrap();
        fs::write(folder.join(format!("{name}.key")), key).unwrap();
    }
}

/// Writes what is recorded: a data set of two files, and the step that made a model of it.
fn sources(folder: &Path) {
    fs::create_dir_all(folder.join("raw")).unwrap();
    fs::create_dir_all(folder.join("out")).unwrap();
    fs::write(folder.join("raw/frames.bin"), "frames").unwrap();
    fs::write(folder.join("raw/forces.bin"), "forces").unwrap();
    fs::write(folder.join("out/grasp.onnx"), "a model").unwrap();
    let lineage = r#"
[[dataset]]
name = "camera"
origin = "collected"
path = "raw"
modality = ["visual"]
purpose = ["train-adaptive-grasp-control"]
country = "CN"
grade = { value = "important", basis = "INVENTED for a test", by = "nobody", on = 2026-04-02 }

[[transformation]]
name = "train"
kind = "training"
used = ["camera"]
country = "DE"
date = 2026-05-20
generated = [{ model = "grasp", path = "out" }]
"#;
    fs::write(folder.join("lineage.toml"), lineage).unwrap();
}

impl World {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let at = folder.path();
        certificates(at);
        sources(at);
        works(at, &["init", "server", "--origin", "log.example/2026", "--name", "Operator"]);
        works(at, &["key", "new", "committer.key"]);
        let shown: Value = serde_json::from_str(&works(at, &["key", "show", "committer.key", "--json"])).unwrap();
        let made = works(at, &["key", "token", "-o", "token"]);
        let token = made.lines().find(|line| line.starts_with("token = ")).expect("it prints a line for the settings");
        let settings = format!(
            "listen = \"127.0.0.1:0\"\nhttp = \"off\"\n[tls]\ncert = '{0}/server.pem'\nkey = '{0}/server.key'\nclient_ca = '{0}/ca.pem'\n\
             [[client]]\nname = \"maker\"\n{token}\nroles = [\"read\", \"commit\", \"prove\"]\n\
             [[client]]\nname = \"plant-8\"\ncertificate = \"cn:plant-8\"\nroles = [\"read\"]\ndetails = false\n\
             [[committer]]\nname = \"Maker\"\nclients = [\"maker\"]\n[[committer.key]]\nkey = {1}\n",
            at.display(),
            shown["public_key"],
        );
        fs::write(at.join("serve.toml"), settings).unwrap();
        let (server, url) = serve(at);
        let world = Self { folder, url, _server: server };
        let vkey = vkey(world.at());
        let args = ["init", "client", "--server", &world.url, "--issuer", "Maker", "--ca", "ca.pem"];
        let rest = ["--token-file", "token", "--committer-key", "committer.key", "--log", &vkey];
        works(world.at(), &[args.as_slice(), rest.as_slice()].concat());
        world
    }

    fn at(&self) -> &Path {
        self.folder.path()
    }

    fn client(&self, args: &[&str]) -> Output {
        program(self.at(), &[&["--store", "client"], args].concat()).output().unwrap()
    }

    fn client_works(&self, args: &[&str]) -> String {
        works(self.at(), &[&["--store", "client"], args].concat())
    }
}

#[test]
fn a_server_is_used_as_a_store_is() {
    let world = World::new();
    let first = world.client_works(&["record", "lineage.toml"]);
    let again = world.client_works(&["record", "lineage.toml"]);
    assert_eq!(again, first.replace("recorded        ", "already recorded"), "Rule R10 holds over the network");
    world.client_works(&["ship", "grasp", "--to", "Muster GmbH", "--country", "DE", "--name", "shipment-1"]);
    let stated = ["assess", "record", "--stated", "--subject", "camera", "--scheme", "security-assessment"];
    let terms = ["--grade", "important", "--purpose", "train-adaptive-grasp-control", "--modality", "visual"];
    world.client_works(&[&stated[..], &terms, &["--destination", "DE", "--issuer", "nobody"]].concat());
    world.client_works(&["prove", "shipment-1", "-o", "shipment.griptrace"]);
    world.client_works(&["trust", "init", "-o", "trust.toml"]);
    let policy = paths::workspace_root().join("policies/cn-industrial-reference.toml").display().to_string();

    let verify = ["shipment.griptrace", "--trust", "trust.toml", "--policy", &policy, "--model", "out"];
    let finished = Command::new(env!("CARGO_BIN_EXE_griptrace-verify-under-test"))
        .args([&verify[..], &["--destination", "DE", "--json"]].concat())
        .current_dir(world.at())
        .output()
        .unwrap();
    let report: Value = serde_json::from_slice(&finished.stdout).unwrap_or_else(|_| panic!("{}", said(&finished)));
    // The step's date is long before the record of it, and the assessment came after: nothing is broken.
    assert_eq!(report["verdict"], "RECORDED_AFTER_SHIPMENT", "{report:#}");
    assert_eq!(report["model"]["matched"], true, "{report:#}");

    world.client_works(&["mark", "withdraw", "dataset:camera", "--reason", "INVENTED for a test"]);
    let questions: &[&[&str]] = &[
        &["log"],
        &["log", "--json", "--limit", "2"],
        &["show", "grasp", "--files"],
        &["show", "dataset:camera", "--json"],
        &["show", "assessment"],
        &["show", "raw"],
        &["show", "out/grasp.onnx"],
        &["show", "no-such-node"],
        &["trace", "shipment-1"],
        &["trace", "shipment-1", "--json"],
        &["trace", "shipment-1", "--ids"],
        &["trace", "shipment-1", "--to", "dataset:camera"],
        &["trace", "dataset:camera", "--to", "shipment-1"],
        &["impact", "dataset:camera"],
        &["impact", "dataset:camera", "--dot"],
        &["inventory"],
        &["inventory", "--policy", &policy, "--trust", "trust.toml", "--json"],
        &["inventory", "--policy", &policy, "--trust", "trust.toml", "--destination", "DE"],
        &["check", "shipment-1", "--trust", "trust.toml", "--policy", &policy],
    ];
    for question in questions {
        let remote = world.client(question);
        let local = program(world.at(), &[&["--store", "server"], *question].concat()).output().unwrap();
        // What is not there and what is withheld look alike through a server alone, and are said to.
        let hint = "hint: a name or content that the server withholds from you is not found either: give the id\n";
        let (remote_said, local_said) = (said(&remote), said(&local));
        let is_unknown = local_said.contains("no node of this log");
        assert_eq!(remote_said.replace(hint, ""), local_said, "{question:?}");
        assert_eq!(remote_said.contains(hint), is_unknown, "{question:?}");
        assert_eq!(remote.status.code(), local.status.code(), "{question:?}");
    }
    world.client_works(&["prove", "shipment-1", "-o", "remote.griptrace"]);
    works(world.at(), &["--store", "server", "prove", "shipment-1", "-o", "local.griptrace"]);
    let read = |name| fs::read(world.at().join(name)).unwrap();
    assert_eq!(read("remote.griptrace"), read("local.griptrace"), "the same checkpoint gives the same bytes");
}

#[test]
fn withheld_details_are_said_to_be_withheld() {
    let world = World::new();
    let recorded = world.client_works(&["record", "lineage.toml", "--json"]);
    let first: Value = serde_json::from_str(recorded.lines().next().unwrap()).unwrap();
    let id = first["id"].as_str().unwrap();
    let flags = ["--server", &world.url, "--ca", "ca.pem", "--client-cert", "client.pem", "--client-key", "client.key"];
    let ask = |question: &[&str]| said(&program(world.at(), &[&flags[..], question].concat()).output().unwrap());
    let shown = ask(&["show", id]);
    assert!(shown.contains("details withheld by the server"), "{shown}");
    assert!(shown.contains("important") && !shown.contains("camera"), "the core is shown and the name is not: {shown}");
    let traced = ask(&["trace", "model", "--json"]);
    assert!(traced.contains(id) && traced.contains("\"name\":null"), "{traced}");
    let listed = ask(&["inventory"]);
    assert!(listed.contains("important") && !listed.contains("camera"), "{listed}");
    assert!(ask(&["log"]).contains("leaf 2"), "{}", ask(&["log"]));
}

#[test]
fn commands_that_run_at_once_do_not_take_each_other_for_an_attack() {
    let world = World::new();
    let running: Vec<Child> = (0..8)
        .map(|number| {
            let name = format!("set-{number}");
            fs::write(world.at().join(&name), &name).unwrap();
            let args = ["--store", "client", "add", "dataset", &name, "--origin", "collected"];
            program(world.at(), &args).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
        })
        .collect();
    for child in running {
        let finished = child.wait_with_output().unwrap();
        assert!(finished.status.success(), "{}", said(&finished));
    }
    let listed = world.client_works(&["inventory"]);
    assert_eq!(listed.lines().count(), 9, "a head and eight rows: {listed}");
}

#[test]
fn who_is_not_let_in_is_told_how_to_get_in() {
    let world = World::new();
    let url = ["--server", &world.url, "--ca", "ca.pem"];
    let nobody = program(world.at(), &[&url[..], &["log"]].concat()).output().unwrap();
    let text = said(&nobody);
    assert_eq!(nobody.status.code(), Some(2), "{text}");
    assert!(text.contains("who calls is not known") && text.contains("--token-file"), "{text}");

    let token = [&url[..], &["--token-file", "token"]].concat();
    let asked = program(world.at(), &[&token[..], &["log"]].concat()).output().unwrap();
    assert!(asked.status.success() && said(&asked).contains("this is the first contact"), "{}", said(&asked));
    let again = program(world.at(), &[&token[..], &["log"]].concat()).output().unwrap();
    assert!(again.status.success() && !said(&again).contains("first contact"), "{}", said(&again));
    let recorded = program(world.at(), &[&token[..], &["record", "lineage.toml"]].concat()).output().unwrap();
    assert!(said(&recorded).contains("griptrace init --server"), "{}", said(&recorded));

    let shown = ["--client-cert", "client.pem", "--client-key", "client.key"];
    let known = program(world.at(), &[&url[..], &shown, &["log"]].concat()).output().unwrap();
    assert!(known.status.success(), "a certificate lets in too: {}", said(&known));

    let other = world.at().join("elsewhere");
    let wrong =
        [&token[..], &["init", "elsewhere", "--issuer", "Maker", "--log", "other.example+00000000+AAAA"]].concat();
    let refused = program(world.at(), &wrong).output().unwrap();
    assert!(said(&refused).contains("is the one that is pinned"), "{}", said(&refused));
    assert!(!other.join(".griptrace").exists(), "nothing is left behind");

    let stranger = program(world.at(), &["--server", &world.url, "log"]).output().unwrap();
    assert!(said(&stranger).contains("can't be reached"), "a certificate of nobody known: {}", said(&stranger));
    let local = world.client(&["fsck"]);
    assert!(said(&local).contains("fsck checks a store on this machine"), "{}", said(&local));
}
