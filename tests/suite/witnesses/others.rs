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

/// The witness, killed when it is dropped.
struct Theirs(Child);

impl Drop for Theirs {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
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
    let _running = Theirs(command.args(["-m", "aics_witness", "serve"]).current_dir(desk.path()).spawn().unwrap());
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
