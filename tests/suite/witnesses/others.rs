//! Witnesses and clients that others wrote: `aics-witness`, a Python package.

use griptrace_tests::skipped;

use super::*;

/// Returns a command that runs Python with the package; `None` where it is missing.
fn python() -> Option<Command> {
    let python = || {
        let mut command = Command::new(std::env::var_os("GRIPTRACE_PYTHON").unwrap_or_else(|| "python3".into()));
        command.stdin(Stdio::null());
        command
    };
    let found = python().args(["-c", "import aics_witness, aics_tlog"]).stderr(Stdio::null()).status();
    found.is_ok_and(|status| status.success()).then(python)
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

#[test]
fn a_witness_that_others_wrote_cosigns_our_log() {
    let Some(mut command) = python() else { skipped!("aics-witness is not installed") };
    let desk = Desk::new();
    let theirs = |arguments: &[&str]| {
        let output =
            python().unwrap().args(["-m", "aics_witness"]).args(arguments).current_dir(desk.path()).output().unwrap();
        let said = format!("{}{}", rest(&*output.stdout), rest(&*output.stderr));
        assert!(output.status.success(), "aics-witness {arguments:?}: {said}");
        said
    };
    let listen = format!("127.0.0.1:{}", free_port());
    let said = theirs(&["init", "--name", "others.example/w1", "--listen", &listen]);
    let vkey = said.split_whitespace().find(|word| word.starts_with("others.example/w1+")).expect("it tells its vkey");
    theirs(&["add-log", "--origin", "maker.example/2026", "--vkey", &desk.vkey()]);
    command.args(["-m", "aics_witness", "serve"]).current_dir(desk.path());
    let _running = Running::start(command, &desk.path().join("theirs.log"));
    let begun = Instant::now();
    while std::net::TcpStream::connect(&listen).is_err() {
        assert!(begun.elapsed() < PATIENCE, "it does not listen");
        thread::sleep(Duration::from_millis(50));
    }
    desk.policy(1, &[(vkey, &format!("http://{listen}"))]);
    desk.say(&["log", "witnesses", "policy"]);
    desk.say(&["log", "cosign"]);
    let store = desk.path().join(".griptrace/store");
    let cp =
        |from: &Path, to: &Path| assert!(Command::new("cp").arg("-a").arg(from).arg(to).status().unwrap().success());
    cp(&store, &desk.path().join("copy"));
    desk.ship();
    // Nothing tells what it cosigned last: it answers 409, and is sent the proof from there.
    fs::remove_dir_all(store.join("cosigned")).unwrap();
    desk.say(&["log", "cosign"]);
    desk.say(&["prove", "first", "-o", "s.griptrace"]);
    let (_, report) = desk.verify("s.griptrace", 1, &[("w1", &[vkey], false)]);
    assert!(!codes(&report).contains(&"quorum-not-met"), "{report}");
    // Another history of the log: 422, and what it cosigned is shown as evidence.
    fs::remove_dir_all(&store).unwrap();
    cp(&desk.path().join("copy"), &store);
    desk.write("grasp.bin", "forged");
    desk.ship();
    let said = desk.ends(2, &["log", "cosign"]);
    assert!(said.contains("otherwise than it is here"), "{said}");
}

/// What their client does: a log of its own, whose checkpoint grows, is submitted to our witness.
const FEED: &str = r#"
import sys, base64, hashlib
from aics_witness.feeder import WitnessClient, WitnessRejected, merge_cosignatures
url, vkey, state = sys.argv[1:4]
notes = {int(size): open(path, "rb").read() for size, path in (word.split("=") for word in sys.argv[4:])}
sizes = sorted(notes)
proofs = {}
def proof(old, new):
    lines = open(f"proof-{old}-{new}").read().split()
    return [base64.b64decode(line) for line in lines]
client = WitnessClient(url, vkey, state_path=state)
for size in sizes:
    line = client.submit(notes[size], proof)
    assert merge_cosignatures(notes[size], line).startswith(notes[size])
    print("cosigned", size)
# One that remembers nothing is told the size by a 409, and goes on from there.
line = WitnessClient(url, vkey).submit(notes[sizes[-1]], proof)
print("again", sizes[-1])
try:
    WitnessClient(url, vkey).submit(open("forged", "rb").read(), proof)
except WitnessRejected as refusal:
    print("refused", refusal.status)
"#;

#[test]
fn a_client_that_others_wrote_is_cosigned_by_our_witness() {
    let Some(mut command) = python() else { skipped!("aics-witness is not installed") };
    let desk = Desk::new();
    let one = make(&desk, "w1.example", &[]);
    desk.say(&["witness", "add-log", "w1.example", &desk.vkey()]);
    let first = Witness::start(&desk, "w1.example");
    desk.write("feed.py", FEED);
    let store = || {
        griptrace_store::Store::open(&desk.path().join(".griptrace/store"), griptrace_store::OpenOptions::default())
            .unwrap()
    };
    let mut sizes = Vec::new();
    let mut keep = |store: &griptrace_store::Store| {
        desk.write(&format!("note-{}", store.size()), &store.checkpoint());
        sizes.push(store.size());
    };
    keep(&store());
    desk.ship();
    keep(&store());
    let log = store();
    let hashes = log.consistency(sizes[0], sizes[1]).unwrap();
    let encode = |hash: &griptrace_core::digest::Digest| {
        base64::Engine::encode(&base64::engine::general_purpose::STANDARD, hash.as_bytes()) + "\n"
    };
    desk.write(&format!("proof-{}-{}", sizes[0], sizes[1]), &hashes.iter().map(encode).collect::<String>());
    let signed = log.checkpoint();
    let forged = signed.replacen(&format!("\n{}\n", sizes[1]), &format!("\n{}\n", sizes[1] + 1), 1);
    desk.write("forged", &forged);
    let notes: Vec<String> = sizes.iter().map(|size| format!("{size}=note-{size}")).collect();
    let output =
        command.args(["feed.py", &first.url, &one[0], "state.json"]).args(&notes).current_dir(desk.path()).output();
    let output = output.unwrap();
    let said = rest(&*output.stdout);
    assert!(output.status.success(), "{said}{}{}", rest(&*output.stderr), first.log());
    let expected = format!("cosigned {}\ncosigned {}\nagain {}\nrefused 403\n", sizes[0], sizes[1], sizes[1]);
    assert_eq!(said, expected);
}
