//! Three companies and a buyer, each with programs, folder and keys of its own: one file shows the model that was shipped, what
//! it was tuned from, and what that was trained on.

mod audited;

use std::{
    fs,
    path::Path,
    process::{Command, Output},
};

use serde_json::Value;

use crate::pipeline::{PURPOSE, confirmed, days_ago, terms, verify, write_buyer_files};

/// The companies in the order of the chain, and their logs.
const CHAIN: [(&str, &str); 3] =
    [("base", "base.example/1"), ("backbone", "backbone.example/1"), ("gripper", "gripper.example/1")];

/// A company in a folder of its own; what it makes is called like it.
struct Company {
    name: &'static str,
    folder: tempfile::TempDir,
}

impl Company {
    /// Records an assessed source, and the model that was trained on it and on what `used` names.
    fn new(
        (name, origin): (&'static str, &str),
        office: Option<&Self>,
        prepare: impl FnOnce(&Self),
        used: &[&str],
    ) -> Self {
        let company = Self { name, folder: tempfile::tempdir().unwrap() };
        let guard = company.run(&["--json", "key", "new", "guard.key"]);
        let guard = serde_json::from_str::<Value>(&guard).unwrap()["public_key"].as_str().unwrap().to_owned();
        let made = company.run(&[
            "--json",
            "init",
            "--origin",
            origin,
            "--name",
            &format!("Company {name}"),
            "--revoker",
            &guard,
        ]);
        fs::write(company.path("made.json"), made).unwrap();
        fs::write(company.path("model.bin"), format!("weights of {name}")).unwrap();
        let strangers = ["stranger-before", "stranger-after"].map(|name| company.source(name));
        let sources = company.source(&format!("{name}-source"));
        fs::write(company.path("source.toml"), [sources, strangers.concat()].concat()).unwrap();
        company.run(&["record", "source.toml"]);
        match office {
            Some(other) => drop(fs::copy(other.path("office.key"), company.path("office.key")).unwrap()),
            None => drop(company.run(&["key", "new", "office.key"])),
        }
        let subject = format!("{name}-source");
        let sign = [&["assess", "sign", "--subject", &subject].map(str::to_owned)[..], &terms()].concat();
        company.run(&sign.iter().map(String::as_str).collect::<Vec<_>>());
        company.run(&["assess", "record", "office.statement", "--reference", "A-1"]);
        prepare(&company);
        fs::write(company.path("step.toml"), company.step(used)).unwrap();
        company.run(&["record", "step.toml"]);
        company.run(&["trust", "init", "-o", "own.toml"]);
        company
    }

    fn source(&self, name: &str) -> String {
        fs::write(self.path(&format!("{name}.bin")), format!("frames of {name} at {}", self.name)).unwrap();
        format!(
            "[[dataset]]\nname = \"{name}\"\norigin = \"collected\"\npath = \"{name}.bin\"\nmodality = [\"visual\"]\n\
             purpose = [\"{PURPOSE}\"]\ngrade = {{ value = \"important\", basis = \"a test\", by = \"a test\", on = 2026-04-02 }}\n\
             country = \"CN\"\ndetail = {{ licence = {{ name = \"own\", allows = true }}, persons = \"none found (all frames)\" }}\n"
        )
    }

    fn step(&self, used: &[&str]) -> String {
        let own = format!("{}-source", self.name);
        let used: Vec<&str> = [own.as_str()].into_iter().chain(used.iter().copied()).collect();
        format!(
            "[[transformation]]\nname = \"{0}-training\"\nkind = \"training\"\nused = {used:?}\ncountry = \"DE\"\ndate = {1}\n\
             purpose = [\"{PURPOSE}\"]\ngenerated = [{{ model = \"{0}\", path = \"model.bin\" }}]\n",
            self.name,
            days_ago(2)
        )
    }

    fn path(&self, name: &str) -> String {
        self.folder.path().join(name).display().to_string()
    }

    fn start(&self, args: &[&str]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_griptrace-under-test"));
        command.args(args).current_dir(self.folder.path()).output().expect("the program starts")
    }

    fn run(&self, args: &[&str]) -> String {
        let finished = self.start(args);
        let err = String::from_utf8_lossy(&finished.stderr);
        assert!(finished.status.success(), "{}: griptrace {args:?}\n{err}", self.name);
        String::from_utf8(finished.stdout).expect("output is text")
    }

    fn complain(&self, args: &[&str]) -> String {
        let finished = self.start(args);
        assert_eq!(finished.status.code(), Some(2), "{}: griptrace {args:?}", self.name);
        String::from_utf8_lossy(&finished.stderr).into_owned()
    }

    fn ship(&self) {
        // So that no status map is empty, before the shipment and after it.
        self.run(&["mark", "withdraw", "dataset:stranger-before", "--reason", "a test"]);
        let what = format!("model:{}", self.name);
        let to = ["--to", "Next", "--country", "DE", "--date", &days_ago(0), "--purpose", PURPOSE, "--name", "sent"];
        self.run(&[&["ship", &what][..], &to].concat());
        self.run(&["mark", "withdraw", "dataset:stranger-after", "--reason", "a test"]);
    }

    /// Has its own committer's key revoked since before everything, by the key that its log was made with; none follows.
    fn revoke(&self) {
        let made: Value = serde_json::from_str(&fs::read_to_string(self.path("made.json")).unwrap()).unwrap();
        let said = |name: &str| made[name].as_str().unwrap();
        let change = ["key", "change", "committer", "--genesis", said("home"), "--revoke", said("committer")];
        self.run(&[&change[..], &["--since", "1", "--by", "guard.key", "-o", "stolen.change"]].concat());
        self.run(&["key", "record", "stolen.change"]);
    }

    /// Writes the evidence for what was shipped, as it is now.
    fn prove(&self, file: &str) -> String {
        self.run(&["prove", "sent", "-o", file, "--profile", "full"]);
        self.path(file)
    }

    fn trust(&self) -> String {
        confirmed(&fs::read_to_string(self.path("own.toml")).unwrap())
    }

    /// Adopts what a supplier shipped, believing the companies given.
    fn adopt(&self, bundle: &str, supplier: &Self, believed: &[&Self]) -> Output {
        fs::write(self.path("trust.toml"), trust_of(believed)).unwrap();
        write_buyer_files(self.folder.path(), &trust_of(believed));
        let model = supplier.path("model.bin");
        let question = ["--trust", "trust.toml", "--policy", "policy.toml", "--model", &model, "--destination", "DE"];
        self.start(&[&["add", "--from-bundle", bundle], &question[..], &["--json"]].concat())
    }
}

/// Joins trust files: every company's log and committer, and the one assessor.
fn trust_of(companies: &[&Company]) -> String {
    let mut text = String::new();
    for (place, company) in companies.iter().enumerate() {
        let own = company.trust();
        let tables = own.split("[[").skip(1).map(|table| format!("[[{table}"));
        let wanted = tables.filter(|table| place == 0 || !table.starts_with("[[assessor"));
        text.extend(
            wanted
                .map(|table| table.lines().filter(|l| !l.starts_with('#')).flat_map(|l| [l, "\n"]).collect::<String>()),
        );
    }
    text
}

/// The chain, each link of which adopted what the one before shipped.
fn chain() -> [Company; 3] {
    let base = Company::new(CHAIN[0], None, |_| (), &[]);
    base.ship();
    let shipped = base.prove("sent.griptrace");
    let adopt = |company: &Company| {
        let finished = company.adopt(&shipped, &base, &[&base]);
        assert!(finished.status.success(), "{}", String::from_utf8_lossy(&finished.stderr));
        let said: Value = serde_json::from_slice(&finished.stdout).unwrap();
        assert_eq!((&said["name"], &said["verdict"]), (&"base".into(), &"TRACED_ASSESSED".into()));
        assert_eq!(said["foreign"]["origin"], CHAIN[0].1);
    };
    let backbone = Company::new(CHAIN[1], Some(&base), adopt, &["model:base"]);
    backbone.ship();
    let shipped = backbone.prove("sent.griptrace");
    let adopt = |company: &Company| {
        let finished = company.adopt(&shipped, &backbone, &[&base, &backbone]);
        assert!(finished.status.success(), "{}", String::from_utf8_lossy(&finished.stderr));
    };
    let gripper = Company::new(CHAIN[2], Some(&base), adopt, &["model:backbone"]);
    gripper.ship();
    [base, backbone, gripper]
}

/// What a buyer finds who believes these companies.
fn bought(gripper: &Company, bundle: &str, believed: &[&Company]) -> (i32, Value) {
    let buyer = tempfile::tempdir().unwrap();
    write_buyer_files(buyer.path(), &trust_of(believed));
    verify(buyer.path(), bundle, Path::new(&gripper.path("model.bin")), &[])
}

fn codes(report: &Value) -> Vec<&str> {
    let findings = report["findings"].as_array().unwrap().iter();
    findings.filter(|f| f["severity"] == "error").map(|f| f["code"].as_str().unwrap()).collect()
}

#[test]
fn one_file_shows_four_companies_parts_each_under_its_own_keys() {
    let [base, backbone, gripper] = chain();
    let bundle = gripper.prove("sent.griptrace");
    let (code, report) = bought(&gripper, &bundle, &[&base, &backbone, &gripper]);
    assert_eq!((code, &report["verdict"]), (0, &"TRACED_ASSESSED".into()), "{report:#}");
    let part = |log: &Value| {
        (log["origin"].clone(), log["parties"][0]["name"].clone(), log["parties"][0]["kinds"]["model"].clone())
    };
    let parts: Vec<(Value, Value, Value)> = report["logs"].as_array().unwrap().iter().map(part).collect();
    let expected = [2, 1, 0].map(|at: usize| {
        let (name, origin) = CHAIN[at];
        (origin.into(), format!("Company {name}").into(), 1.into())
    });
    assert_eq!(parts, expected);
    let mut sources: Vec<(&str, &str)> = report["sources"]
        .as_array()
        .unwrap()
        .iter()
        .map(|source| (source["name"].as_str().unwrap(), source["party"].as_str().unwrap()))
        .collect();
    sources.sort_unstable();
    assert_eq!(
        sources,
        [
            ("backbone-source", "Company backbone"),
            ("base-source", "Company base"),
            ("gripper-source", "Company gripper")
        ]
    );
    let crossings = report["crossings"].as_array().unwrap();
    assert_eq!(crossings.len(), 3);
    assert!(crossings.iter().all(|crossing| crossing["party"].as_str().unwrap().starts_with("Company ")));
    let shipments: u64 = report["logs"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|log| log["parties"][0]["kinds"]["shipment"].as_u64())
        .sum();
    assert_eq!(shipments, 1, "whom else the suppliers ship to is nobody's business");

    // What the suppliers showed of theirs is passed on only as far as the profile says.
    gripper.run(&["prove", "sent", "-o", "minimal.griptrace"]);
    let minimal = gripper.path("minimal.griptrace");
    let (code, report) = bought(&gripper, &minimal, &[&base, &backbone, &gripper]);
    assert_eq!((code, &report["verdict"]), (0, &"TRACED_ASSESSED".into()), "{report:#}");
    let bytes = fs::read(&minimal).unwrap();
    let holds = |name: &str| bytes.windows(name.len()).any(|window| window == name.as_bytes());
    assert!(!["backbone-source", "base-source", "gripper-source"].into_iter().any(holds));

    // Whoever is not believed takes away what rests on them.
    let (code, report) = bought(&gripper, &bundle, &[&base, &gripper]);
    assert_eq!((code, codes(&report)), (1, vec!["log-untrusted"]));
    let (code, report) = bought(&gripper, &bundle, &[&backbone, &gripper]);
    assert_eq!((code, codes(&report)), (1, vec!["log-untrusted"]));
    assert_eq!(report["verdict"], "BROKEN");
}

#[test]
fn what_a_supplier_withdraws_is_seen_once_its_new_evidence_is_adopted() {
    let [base, backbone, gripper] = chain();
    let believed = [&base, &backbone, &gripper];
    base.run(&["mark", "withdraw", "model:base", "--reason", "trained on the wrong data"]);
    let (_, report) = bought(&gripper, &gripper.prove("before.griptrace"), &believed);
    assert_eq!(report["verdict"], "TRACED_ASSESSED", "the supplier's newest evidence is not here yet");

    // The supplier's supplier hands out new evidence for the same shipment, which no policy is met by any more.
    let newer = base.prove("newer.griptrace");
    let refused = gripper.adopt(&newer, &base, &[&base]);
    let said = String::from_utf8_lossy(&refused.stderr);
    assert!(
        refused.status.code() == Some(1) && said.contains("WITHDRAWN") && said.contains("--accept WITHDRAWN"),
        "{said}"
    );
    let model = base.path("model.bin");
    let question = ["--trust", "trust.toml", "--policy", "policy.toml", "--model", &model, "--destination", "DE"];
    gripper.run(&[&["add", "--from-bundle", &newer, "--accept", "WITHDRAWN"], &question[..]].concat());
    let (code, report) = bought(&gripper, &gripper.prove("after.griptrace"), &believed);
    assert_eq!((code, &report["verdict"], &report["now"]["verdict"]), (1, &"WITHDRAWN".into(), &"WITHDRAWN".into()));
    assert_eq!(codes(&report), ["withdrawn"]);
    gripper.run(&["fsck"]);
}

#[test]
fn another_companys_node_is_shown_as_such_and_used_by_its_name() {
    let [base, backbone, _] = chain();
    let again = backbone.run(&["record", "step.toml"]);
    assert_eq!(again.lines().filter(|line| line.starts_with("already recorded")).count(), 2, "{again}");
    let shown = backbone.run(&["show", "model:base"]);
    assert!(shown.contains("base.example/1, another company's") && shown.contains("bundle"), "{shown}");
    assert!(backbone.run(&["show", "transformation:backbone-training"]).contains("model base of base.example/1"));
    let trace = backbone.run(&["trace", "model:backbone"]);
    assert!(trace.contains("─ model base of base.example/1"), "{trace}");
    assert!(backbone.run(&["trace", "model:backbone", "--dot"]).contains("shape=component"));
    let impact = backbone.run(&["impact", "model:base"]);
    assert!(impact.contains("model backbone") && impact.contains("shipment sent"), "{impact}");
    assert!(backbone.run(&["inventory"]).contains("model of base.example/1"));

    // A name that is also an own node's says nothing.
    fs::write(backbone.path("double.bin"), "double").unwrap();
    backbone.run(&["add", "model", "double.bin", "--name", "base", "--country", "DE"]);
    assert!(backbone.complain(&["record", "step.toml"]).contains("several nodes are called \"model:base\""));

    let bundle = base.path("sent.griptrace");
    let files = ["--trust", "trust.toml", "--policy", "policy.toml"];
    let add = |more: &[&str]| backbone.complain(&[&["add", "--from-bundle", &bundle], &files[..], more].concat());
    let unchecked =
        backbone.start(&[&["add", "--from-bundle", &bundle], &files[..], &["--destination", "DE"]].concat());
    assert_eq!(unchecked.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&unchecked.stderr).contains("model-not-checked (error)"));
    assert!(add(&["--accept", "TRACED_ASSESSED", "--node", "0000000"]).contains("no node of the bundle has an id"));
    assert!(add(&["--server", "http://127.0.0.1:1"]).contains("adopts nothing for others"));
    assert!(backbone.complain(&["add", "--from-bundle", &bundle]).contains("--trust"));
}

/// Every key changes at every company, and what others have of them from before goes on counting.
#[test]
fn keys_that_change_along_the_chain_break_nothing() {
    let [base, backbone, gripper] = chain();
    let believed = [&base, &backbone, &gripper];
    let old = gripper.prove("old.griptrace");
    let stranger = |company: &Company, name: &str| {
        fs::write(company.path("more.toml"), company.source(name)).unwrap();
        company.run(&["record", "more.toml"]);
        company.run(&["mark", "withdraw", &format!("dataset:{name}"), "--reason", "a test"]);
    };
    for company in believed {
        company.run(&["key", "rotate", "log"]);
        stranger(company, "between");
        company.run(&["key", "rotate", "committer"]);
        stranger(company, "later");
    }
    // Who adopted older evidence is shown that the supplier's log only grew since then.
    let newer = |company: &Company| {
        let since = ["--since", "sent.griptrace"];
        company.run(&[&["prove", "sent", "-o", "newer.griptrace", "--profile", "full"], &since[..]].concat());
        company.path("newer.griptrace")
    };
    for (company, believed) in [(&base, &[&base][..]), (&backbone, &[&base, &backbone])] {
        let adopted = gripper.adopt(&newer(company), company, believed);
        assert!(adopted.status.success(), "{}", String::from_utf8_lossy(&adopted.stderr));
    }
    gripper.run(&["prove", "sent", "-o", "new.griptrace", "--profile", "full", "--since", &old]);
    let new = gripper.path("new.griptrace");
    gripper.run(&["prove", "sent", "-o", "new.update", "--update-of", &old]);
    let update = gripper.path("new.update");
    for bundle in [&old, &new] {
        let (code, report) = bought(&gripper, bundle, &believed);
        assert_eq!((code, &report["verdict"]), (0, &"TRACED_ASSESSED".into()), "{bundle} {:#}", report["findings"]);
    }
    let buyer = tempfile::tempdir().unwrap();
    write_buyer_files(buyer.path(), &trust_of(&believed));
    let model = gripper.path("model.bin");
    for (bundle, args) in [(&new, ["--against", old.as_str()]), (&old, ["--update", update.as_str()])] {
        let (code, report) = verify(buyer.path(), bundle, Path::new(&model), &args);
        assert_eq!((code, &report["verdict"]), (0, &"TRACED_ASSESSED".into()), "{bundle} {:#}", report["findings"]);
    }
    for company in believed {
        company.run(&["fsck"]);
        fs::remove_file(company.path("own.toml")).unwrap();
        company.run(&["trust", "init", "-o", "own.toml"]);
    }
    let (code, report) = bought(&gripper, &new, &believed);
    assert_eq!((code, &report["verdict"]), (0, &"TRACED_ASSESSED".into()), "{report:#}");
}

/// Who ships on is told what a buyer would find, while the supplier can still be asked for the missing link.
#[test]
fn newer_evidence_that_is_not_linked_to_the_older_is_warned_of() {
    let [base, backbone, gripper] = chain();
    let old = gripper.prove("old.griptrace");
    fs::write(base.path("more.toml"), base.source("later")).unwrap();
    base.run(&["record", "more.toml"]);
    let prove = |args: &[&str]| {
        base.run(&[&["prove", "sent", "-o", "newer.griptrace", "--profile", "full"], args].concat());
        let adopted = gripper.adopt(&base.path("newer.griptrace"), &base, &[&base]);
        assert!(adopted.status.success(), "{}", String::from_utf8_lossy(&adopted.stderr));
        let said = gripper.start(&["prove", "sent", "-o", "new.griptrace", "--profile", "full", "--since", &old]);
        assert!(said.status.success());
        String::from_utf8_lossy(&said.stderr).into_owned()
    };
    let said = prove(&[]);
    assert!(said.contains("no link to the checkpoint of size") && said.contains("of base.example/1"), "{said}");
    let buyer = tempfile::tempdir().unwrap();
    write_buyer_files(buyer.path(), &trust_of(&[&base, &backbone, &gripper]));
    let found = || {
        let model = gripper.path("model.bin");
        let (_, report) =
            verify(buyer.path(), &gripper.path("new.griptrace"), Path::new(&model), &["--against", old.as_str()]);
        report["findings"].to_string().contains("history-not-linked")
    };
    assert!(found(), "the warning tells what the buyer meets");
    let said = prove(&["--since", "sent.griptrace"]);
    assert!(!said.contains("no link"), "{said}");
    assert!(!found());
}
