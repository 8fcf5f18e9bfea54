//! Witnesses as people run them: `griptrace witness serve` beside a log that asks it, and a buyer who asks for a quorum.

mod killed;
mod maps;
mod others;
mod wire;

use core::time::Duration;
use std::{
    fs,
    net::TcpListener,
    path::Path,
    process::{Command, Output, Stdio},
    thread,
    time::Instant,
};

use griptrace_core::{bundle::Bundle, note::Note};
use tempfile::TempDir;

use crate::process::{self, Running, program};

/// How long a witness may take to listen, or to end.
const PATIENCE: Duration = Duration::from_secs(60);

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

[[transformation]]
name = "train"
kind = "training"
used = ["camera"]
country = "DE"
date = 2026-04-20
generated = [{ model = "grasp", path = "grasp.bin", country = "DE" }]
"#;

/// A folder with a store and files to record.
struct Desk(TempDir);

impl Desk {
    fn new() -> Self {
        let desk = Self(tempfile::tempdir().unwrap());
        desk.say(&["init", "--origin", "maker.example/2026", "--name", "Maker"]);
        desk.write("camera.pgm", "frames");
        desk.write("grasp.bin", "weights");
        desk.write("lineage.toml", LINEAGE);
        desk
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.path().join(name), text).unwrap();
    }

    fn run(&self, arguments: &[&str]) -> Output {
        program(self.path(), arguments).output().unwrap()
    }

    fn ends(&self, code: i32, arguments: &[&str]) -> String {
        process::ends(self.path(), code, arguments)
    }

    fn say(&self, arguments: &[&str]) -> String {
        self.ends(0, arguments)
    }

    fn vkey(&self) -> String {
        let trust = self.say(&["trust", "init"]);
        let line = trust.lines().find_map(|line| line.trim().strip_prefix("vkey = ")).expect("the trust file has it");
        line.trim_matches('"').to_owned()
    }

    fn ship(&self) {
        self.say(&["record", "lineage.toml"]);
        self.say(&[
            "ship",
            "model:grasp",
            "--to",
            "Buyer GmbH",
            "--country",
            "DE",
            "--name",
            "first",
            "--document",
            "lineage.toml",
        ]);
    }

    fn policy(&self, quorum: usize, witnesses: &[(&str, &str)]) {
        use core::fmt::Write as _;
        let mut text = format!("log {}\n", self.vkey());
        let mut names = String::new();
        for (at, (vkey, url)) in witnesses.iter().enumerate() {
            writeln!(text, "witness w{at} {vkey} {url}").unwrap();
            write!(names, " w{at}").unwrap();
        }
        writeln!(text, "group all {quorum}{names}\nquorum all").unwrap();
        self.write("policy", &text);
    }

    /// The lines under the checkpoints of a bundle.
    fn cosigned_by(&self, bundle: &str) -> Vec<Vec<String>> {
        let bytes = fs::read(self.path().join(bundle)).unwrap();
        let bundle = Bundle::from_bytes(&bytes).unwrap();
        let names = |note: &str| {
            let note = Note::parse(note.as_bytes()).unwrap();
            note.signatures().iter().map(|line| line.name().to_owned()).collect()
        };
        bundle.logs[0].anchors.iter().map(|anchor| names(&anchor.note)).collect()
    }

    /// Asks the verifier with a trust file that wants the quorum; returns its code and what it said.
    fn verify(&self, bundle: &str, quorum: usize, witnesses: &[(&str, &[&str], bool)]) -> (i32, serde_json::Value) {
        use core::fmt::Write as _;
        let own = self.say(&["trust", "init"]);
        let (top, tables) = own.split_at(own.find("[[").expect("it has tables"));
        let names: Vec<&str> = witnesses.iter().map(|(name, ..)| *name).collect();
        let mut trust = format!("{top}\nquorum = {{ of = {names:?}, at_least = {quorum} }}\n{tables}\n");
        for (name, vkeys, is_map) in witnesses {
            let roles = if *is_map { "roles = [\"map\"]\n" } else { "" };
            writeln!(trust, "[[witness]]\nname = {name:?}\nvkey = {vkeys:?}\n{roles}").unwrap();
        }
        self.write("trust.toml", &trust);
        self.write("policy.toml", include_str!("../../policies/cn-industrial-reference.toml"));
        let arguments = [
            "--json",
            "verify",
            bundle,
            "--trust",
            "trust.toml",
            "--policy",
            "policy.toml",
            "--model",
            "grasp.bin",
            "--destination",
            "DE",
        ];
        let output = self.run(&arguments);
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        let report = serde_json::from_str(said.lines().next().unwrap_or_default());
        let error = String::from_utf8_lossy(&output.stderr);
        (output.status.code().unwrap(), report.unwrap_or_else(|_| panic!("no report: {said}{error}")))
    }
}

fn codes(report: &serde_json::Value) -> Vec<&str> {
    report["findings"].as_array().unwrap().iter().map(|finding| finding["code"].as_str().unwrap()).collect()
}

/// A witness that runs.
struct Witness {
    process: Running,
    url: String,
}

/// Makes a witness in the desk's folder; returns its vkeys.
fn make(desk: &Desk, name: &str, more: &[&str]) -> Vec<String> {
    let made = desk.say(&[&["--json", "witness", "init", name, "--name", name], more].concat());
    let made: serde_json::Value = serde_json::from_str(made.lines().next().unwrap()).unwrap();
    made["vkeys"].as_array().unwrap().iter().map(|vkey| vkey.as_str().unwrap().to_owned()).collect()
}

impl Witness {
    fn start(desk: &Desk, name: &str) -> Self {
        let dir = desk.path().join(name);
        let ready = dir.join("ready.json");
        // One that was killed left its address behind.
        drop(fs::remove_file(&ready));
        let arguments = ["witness", "serve", name, "--listen", "127.0.0.1:0", "--ready-file", ready.to_str().unwrap()];
        let mut process = Running::start(program(desk.path(), &arguments), &dir.join("serve.log"));
        let url = format!("http://{}", process.told(&ready)["http"].as_str().unwrap());
        Self { process, url }
    }

    fn log(&self) -> String {
        self.process.said()
    }
}

/// Listens, takes every connection, and never says a word.
fn mute() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    thread::spawn(move || {
        let mut held = Vec::new();
        while let Ok((stream, _)) = listener.accept() {
            held.push(stream);
        }
    });
    url
}

#[test]
fn a_shipment_that_two_witnesses_cosigned_meets_a_buyers_quorum() {
    let desk = Desk::new();
    let (one, two) = (make(&desk, "w1.example", &["--ml-dsa"]), make(&desk, "w2.example", &[]));
    for witness in ["w1.example", "w2.example"] {
        desk.say(&["witness", "add-log", witness, &desk.vkey()]);
    }
    let (first, second) = (Witness::start(&desk, "w1.example"), Witness::start(&desk, "w2.example"));
    desk.policy(2, &[(&one[0], &first.url), (&two[0], &second.url)]);
    desk.say(&["log", "witnesses", "policy"]);
    desk.ship();
    let said = desk.say(&["log", "cosign"]);
    assert!(said.contains("quorum      met\n"), "{said}");
    assert_eq!(said.matches("cosigned    by w1.example at").count(), 1, "by two keys: {said}");
    desk.say(&["log", "cosign"]);
    // The log goes on: what the witnesses cosigned last is told by them, or known from before.
    fs::remove_dir_all(desk.path().join(".griptrace/store/cosigned")).unwrap();
    desk.write("lineage.toml", &LINEAGE.replace("camera", "camera2"));
    desk.write("camera2.pgm", "other frames");
    desk.say(&["record", "lineage.toml"]);
    desk.say(&["prove", "first", "-o", "s.griptrace"]);
    assert_eq!(desk.cosigned_by("s.griptrace").last().unwrap(), &["maker.example/2026", "w1.example", "w2.example"]);
    let witnesses: [(&str, &[&str], bool); 2] = [("w1", &[&one[0]], false), ("w2", &[&two[0]], false)];
    let (_, report) = desk.verify("s.griptrace", 2, &witnesses);
    assert!(!codes(&report).contains(&"quorum-not-met"), "{report}");
    assert!(!codes(&report).contains(&"time-self-declared"), "{report}");

    desk.say(&["prove", "first", "-o", "n.griptrace", "--no-cosign"]);
    assert!(desk.say(&["fsck"]).contains("the store holds together"));
    drop(second);
    desk.say(&["record", "lineage.toml"]);
    let shown = desk.say(&["witness", "show", "w1.example"]);
    assert!(shown.contains("maker.example/2026  cosigned at"), "{shown}");
}

#[test]
fn what_no_quorum_cosigned_is_found_by_the_buyer() {
    let desk = Desk::new();
    let one = make(&desk, "w1.example", &[]);
    desk.policy(1, &[(&one[0], "http://127.0.0.1:9")]);
    desk.say(&["log", "witnesses", "policy"]);
    desk.ship();
    let said = desk.ends(1, &["log", "cosign"]);
    assert!(said.contains("cannot connect to 127.0.0.1:9") && said.contains("not met"), "{said}");
    for more in [&[][..], &["--no-cosign"]] {
        let said = desk.say(&[&["--json", "prove", "first", "-o", "s.griptrace"], more].concat());
        assert!(said.contains("is not met for the checkpoint of 6 entries"), "{said}");
        assert!(said.contains("\"quorum_met\":false") && said.contains("\"as_of\":null"), "{said}");
    }
    let (code, report) = desk.verify("s.griptrace", 1, &[("w1", &[&one[0]], false)]);
    assert!(code == 1 && codes(&report).contains(&"quorum-not-met"), "{report}");
}

/// A log in which nothing happened for weeks became stale, though its witnesses cosigned the same checkpoint again.
#[test]
fn an_idle_log_is_cosigned_again_and_stays_current() {
    let desk = Desk::new();
    let (one, two) = (make(&desk, "w1.example", &["--ml-dsa"]), make(&desk, "w2.example", &[]));
    for witness in ["w1.example", "w2.example"] {
        desk.say(&["witness", "add-log", witness, &desk.vkey()]);
    }
    let (first, second) = (Witness::start(&desk, "w1.example"), Witness::start(&desk, "w2.example"));
    desk.policy(2, &[(&one[0], &first.url), (&two[0], &second.url)]);
    desk.say(&["log", "witnesses", "policy"]);
    desk.ship();
    let witnesses: [(&str, &[&str], bool); 2] = [("w1", &[&one[0]], false), ("w2", &[&two[0]], false)];
    let times = |bundle: &str| {
        let (_, report) = desk.verify(bundle, 2, &witnesses);
        assert!(!codes(&report).contains(&"quorum-not-met"), "{report}");
        ["time", "as_of"].map(|field| report["logs"][0][field].as_str().unwrap().to_owned())
    };
    let said = desk.say(&["--json", "prove", "first", "-o", "s.griptrace"]);
    assert!(said.contains("\"quorum_met\":true") && said.contains("\"as_of\":1"), "{said}");
    let [dated, before] = times("s.griptrace");
    thread::sleep(Duration::from_millis(1_100));
    assert!(desk.say(&["log", "cosign"]).contains("current as of 2"));
    thread::sleep(Duration::from_millis(1_100));
    desk.say(&["prove", "first", "-o", "t.griptrace"]);
    let lines = desk.cosigned_by("t.griptrace");
    assert_eq!(lines.len(), 1, "nothing was recorded since");
    let expected = ["maker.example/2026", "w1.example", "w2.example", "w1.example", "w2.example"];
    assert_eq!(lines[0], expected, "of each the first and the last of three");
    let [still, after] = times("t.griptrace");
    assert_eq!(still, dated);
    assert!(after > before, "{after} is not after {before}");
    // An update brings what was said since to who has the older bundle.
    desk.say(&["prove", "first", "--update-of", "s.griptrace", "-o", "t.update"]);
    let update = ["verify", "s.griptrace", "--update", "t.update", "--write-updated", "v.griptrace"];
    desk.ends(1, &[&update[..], &["--trust", "trust.toml", "--policy", "policy.toml"]].concat());
    let brought = times("v.griptrace")[1].clone();
    assert!(brought >= after && brought > before, "{brought}");
    // One of two that are asked for is not enough to say so.
    drop(second);
    thread::sleep(Duration::from_millis(1_100));
    let said = desk.say(&["--json", "prove", "first", "-o", "u.griptrace"]);
    assert!(said.contains("\"quorum_met\":true") && said.contains("the witness at"), "{said}");
    let [_, last] = times("u.griptrace");
    let said = desk.say(&["log", "cosign"]);
    assert!(said.contains("quorum      met by lines that were kept, as of 2"), "{said}");
    assert!(desk.say(&["--json", "log", "cosign"]).contains("\"met_now\":false"));
    assert!(last >= after && last < view_of_now(), "{last}");
}

/// The time that it is, as reports write it.
fn view_of_now() -> String {
    let now = std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap().as_secs();
    let day = griptrace_core::date::Date::from_unix(now);
    format!("{day}T{:02}:{:02}:{:02}Z", now / 3600 % 24, now / 60 % 60, now % 60)
}

/// A witness that never answers costs its deadline, and the others' cosignatures are kept.
#[test]
fn a_witness_that_hangs_takes_no_longer_than_its_deadline() {
    let desk = Desk::new();
    let (one, two) = (make(&desk, "w1.example", &[]), make(&desk, "w2.example", &[]));
    desk.say(&["witness", "add-log", "w1.example", &desk.vkey()]);
    let first = Witness::start(&desk, "w1.example");
    let hanging = mute();
    desk.policy(1, &[(&one[0], &first.url), (&two[0], &hanging)]);
    desk.say(&["log", "witnesses", "policy"]);
    let begun = Instant::now();
    let said = desk.say(&["log", "cosign", "--deadline", "2"]);
    assert!(said.contains("no answer within 2 s") && said.contains("by w1.example"), "{said}");
    assert!((Duration::from_secs(2)..Duration::from_secs(20)).contains(&begun.elapsed()), "{:?}", begun.elapsed());
}

/// After the log's key had changed a witness refused its checkpoints, and nothing said what it lacked.
#[test]
fn a_witness_that_does_not_know_the_logs_new_key_lacks_what_is_hinted_at() {
    let desk = Desk::new();
    let one = make(&desk, "w1.example", &[]);
    desk.say(&["witness", "add-log", "w1.example", &desk.vkey()]);
    let first = Witness::start(&desk, "w1.example");
    desk.policy(1, &[(&one[0], &first.url)]);
    desk.say(&["log", "witnesses", "policy"]);
    desk.ship();
    assert!(!desk.say(&["log", "cosign"]).contains("hint"));
    desk.say(&["key", "rotate", "log"]);
    let lacks = format!(
        "hint: the log's key has changed, and a witness has to be told the one of now: `griptrace witness add-log FOLDER {}`",
        desk.vkey()
    );
    let said = desk.ends(1, &["log", "cosign"]);
    assert!(said.contains("it answered 403") && said.contains(&lacks), "{said}");
    assert!(desk.say(&["prove", "first", "-o", "s.griptrace"]).contains(&lacks));
    drop(first);
    fs::remove_file(desk.path().join("w1.example/ready.json")).unwrap();
    desk.say(&["witness", "add-log", "w1.example", &desk.vkey()]);
    let first = Witness::start(&desk, "w1.example");
    desk.policy(1, &[(&one[0], &first.url)]);
    desk.say(&["log", "witnesses", "policy"]);
    let said = desk.say(&["log", "cosign"]);
    assert!(said.contains("by w1.example") && !said.contains("hint"), "{said}");
}

/// Rule R11: a log that was set back, and went on otherwise, is told so by the witness, with the evidence.
#[test]
fn a_log_that_was_set_back_is_refused_with_evidence() {
    let desk = Desk::new();
    let one = make(&desk, "w1.example", &[]);
    desk.say(&["witness", "add-log", "w1.example", &desk.vkey()]);
    let first = Witness::start(&desk, "w1.example");
    desk.policy(1, &[(&one[0], &first.url)]);
    desk.say(&["log", "witnesses", "policy"]);
    let [store, copy, newest] = [".griptrace/store", "copy", "newest"].map(|name| desk.path().join(name));
    let cp =
        |from: &Path, to: &Path| assert!(Command::new("cp").arg("-a").arg(from).arg(to).status().unwrap().success());
    let put_back = |from: &Path| {
        fs::remove_dir_all(&store).unwrap();
        cp(from, &store);
    };
    desk.ship();
    cp(&store, &copy);
    desk.say(&["mark", "recall", "model:grasp", "--reason", "x"]);
    desk.say(&["log", "cosign"]);
    cp(&store, &newest);
    put_back(&copy);
    let prove = ["prove", "first", "-o", "s.griptrace"];
    let said = desk.ends(2, &prove);
    assert!(said.contains("\nerror: the witness at ") && said.contains("otherwise than it is here"), "{said}");
    assert!(said.contains("hint: never go on writing here") && said.contains("hint: --no-cosign"), "{said}");
    assert!(!said.contains("warning: error") && !said.contains("warning: \n"), "{said}");
    assert!(!desk.path().join("s.griptrace").exists(), "nothing is written");
    desk.say(&[&prove[..], &["--no-cosign"]].concat());
    let said = desk.ends(2, &["log", "cosign"]);
    assert!(said.contains("has cosigned this log at") && said.contains("never go on writing here"), "{said}");
    let evidence = desk.path().join(".griptrace/evidence");
    assert_eq!(fs::read_dir(&evidence).unwrap().count(), 1);
    // Nothing goes on there.
    let mark = ["mark", "withdraw", "camera", "--reason", "x"];
    let ship = ["ship", "model:grasp", "--to", "Buyer GmbH", "--country", "DE", "--name", "second"];
    let serve = ["serve", "--listen", "127.0.0.1:0", "--http", "127.0.0.1:0"];
    for writes in [&["record", "lineage.toml"][..], &mark, &ship, &serve] {
        let said = desk.ends(2, writes);
        assert!(said.contains("nothing goes on from here") && said.contains("move it out of the folder"), "{said}");
    }
    // In the copy that was written to last stands what was held against the other.
    put_back(&newest);
    desk.say(&mark);
    // Another history, longer: inconsistent.
    put_back(&copy);
    fs::remove_dir_all(&evidence).unwrap();
    desk.say(&mark);
    desk.say(&["mark", "withdraw", "model:grasp", "--reason", "x"]);
    let said = desk.ends(2, &["log", "cosign"]);
    assert!(said.contains("inconsistent") && said.contains("otherwise than it is here"), "{said}");
    assert!(desk.ends(2, &["record", "lineage.toml"]).contains("nothing goes on from here"));
    // Nor when the witness does not answer.
    drop(first);
    let said = desk.ends(2, &prove);
    assert!(said.contains("nothing goes on from here") && said.contains("hint: --no-cosign"), "{said}");
}

/// A service has its log cosigned in the background: a witness that hangs delays neither commits nor the others.
#[test]
fn a_service_is_cosigned_beside_its_commits() {
    let desk = Desk::new();
    let (one, two) = (make(&desk, "w1.example", &[]), make(&desk, "w2.example", &[]));
    desk.say(&["witness", "add-log", "w1.example", &desk.vkey()]);
    let first = Witness::start(&desk, "w1.example");
    let hanging = mute();
    desk.policy(1, &[(&one[0], &first.url), (&two[0], &hanging)]);
    desk.write(
        "serve.toml",
        "[witnesses]\npolicy = \"policy\"\nevery_seconds = 1\ndeadline_seconds = 3\nrenew_seconds = 2\n",
    );
    let arguments = [
        "serve",
        "--listen",
        "127.0.0.1:0",
        "--http",
        "127.0.0.1:0",
        "--config",
        "serve.toml",
        "--ready-file",
        "ready.json",
    ];
    let mut serving = Running::start(program(desk.path(), &arguments), &desk.path().join("serve.log"));
    let told = serving.told(&desk.path().join("ready.json"));
    let said = || serving.said();
    let url = format!("http://{}", told["grpc"].as_str().unwrap());
    // The first round hangs for three seconds meanwhile.
    let begun = Instant::now();
    desk.say(&["record", "lineage.toml", "--server", &url]);
    let took = begun.elapsed();
    let cosigned = desk.path().join(".griptrace/store/cosigned");
    let begun = Instant::now();
    while !fs::read_dir(&cosigned)
        .is_ok_and(|mut found| found.any(|file| file.unwrap().file_name() == "0000000000000004"))
    {
        assert!(begun.elapsed() < PATIENCE, "{}", said());
        thread::sleep(Duration::from_millis(50));
    }
    assert!(took < Duration::from_secs(3), "a commit took {took:?} while a witness hangs");
    let address: core::net::SocketAddr = told["http"].as_str().unwrap().parse().unwrap();
    let mut site = std::net::TcpStream::connect(address).unwrap();
    std::io::Write::write_all(&mut site, b"GET /checkpoint HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").unwrap();
    let published = rest(site);
    assert!(published.contains("\n4\n") && published.contains("\u{2014} w1.example "), "{published}");
    // Nothing comes, and it is cosigned again.
    let begun = Instant::now();
    while fs::read_to_string(cosigned.join("0000000000000004")).unwrap().matches("\u{2014} w1.example ").count() < 2 {
        assert!(begun.elapsed() < PATIENCE, "{}", said());
        thread::sleep(Duration::from_millis(100));
    }
}

/// A witness with the role `map` recomputes the status map from the published entries, and says so with its own key.
#[test]
fn a_map_witness_vouches_for_what_it_recomputed() {
    let desk = Desk::new();
    let one = make(&desk, "w1.example", &["--map"]);
    let tiles = desk.path().join(".griptrace/store");
    desk.say(&["witness", "add-log", "w1.example", &desk.vkey(), "--url", tiles.to_str().unwrap()]);
    let first = Witness::start(&desk, "w1.example");
    desk.policy(1, &[(&one[0], &first.url)]);
    desk.say(&["log", "witnesses", "policy", "--map", &one[1]]);
    desk.ship();
    let begun = Instant::now();
    // On a machine that is busy the map may come after the answer; then the log asks again.
    let said = loop {
        let said = desk.say(&["log", "cosign"]);
        if !said.contains("map-unwitnessed") {
            break said;
        }
        assert!(begun.elapsed() < PATIENCE, "{said}{}", first.log());
    };
    assert_eq!(said.matches("cosigned    by w1.example at").count(), 1, "{said}");
    assert_eq!(said.matches("status map  recomputed by w1.example at").count(), 1, "{said}");
    let said = desk.say(&["--json", "prove", "first", "-o", "s.griptrace"]);
    assert!(said.contains("\"map_met\":true") && !said.contains("map-unwitnessed"), "{said}");
    let lines = desk.cosigned_by("s.griptrace");
    // Behind these stands what it said again, if a second passed between the two times that it was asked.
    assert_eq!(lines.last().unwrap()[..3], ["maker.example/2026", "w1.example", "w1.example"], "{}", first.log());
    let (_, report) = desk.verify("s.griptrace", 1, &[("w1", &[&one[0], &one[1]], true)]);
    assert!(!codes(&report).contains(&"map-unwitnessed"), "{report}");
    let (_, report) = desk.verify("s.griptrace", 1, &[("w1", &[&one[0]], false)]);
    assert!(codes(&report).contains(&"map-unwitnessed"), "{report}");
}

/// A map witness that knows no address of the log vouched for nothing, and nobody was told.
#[test]
fn a_map_that_nobody_vouches_for_is_told_to_the_exporter() {
    let desk = Desk::new();
    let one = make(&desk, "w1.example", &["--map"]);
    let add = ["witness", "add-log", "w1.example", &desk.vkey()];
    let said = desk.say(&add);
    assert!(said.contains("  1 key\n") && said.contains("warning: without --url"), "{said}");
    let first = Witness::start(&desk, "w1.example");
    desk.policy(1, &[(&one[0], &first.url)]);
    desk.say(&["log", "witnesses", "policy", "--map", &one[1]]);
    desk.ship();
    for asks in [&["--json", "log", "cosign"][..], &["--json", "prove", "first", "-o", "s.griptrace"]] {
        let said = desk.say(asks);
        assert!(said.contains("\"quorum_met\":true") && said.contains("\"map_met\":false"), "{said}");
        assert!(said.contains("for the checkpoint of 6 entries: a buyer finds map-unwitnessed"), "{said}");
        assert!(said.contains("hint: a witness may have it later"), "{said}");
    }
    let tiles = desk.path().join(".griptrace/store");
    let said = desk.say(&[&add[..], &["--url", tiles.to_str().unwrap()]].concat());
    assert!(said.contains("start it again") && !said.contains("warning"), "{said}");
    drop(first);
    let first = Witness::start(&desk, "w1.example");
    desk.policy(1, &[(&one[0], &first.url)]);
    desk.say(&["log", "witnesses", "policy"]);
    let said = desk.say(&["--json", "log", "cosign"]);
    assert!(said.contains("\"map_met\":null") && !said.contains("map-unwitnessed"), "no key for maps: {said}");
}

/// Reads what a process says until it ends.
fn rest(mut from: impl std::io::Read) -> String {
    let mut said = String::new();
    from.read_to_string(&mut said).unwrap_or_default();
    said
}
