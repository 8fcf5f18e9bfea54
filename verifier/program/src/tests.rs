//! The program from its arguments to its exit code, with everything but a good bundle; those are in
//! the suite across crates.

use std::{
    ffi::OsString,
    fs,
    io::{self, Write},
    path::PathBuf,
};

use griptrace_core::bundle::MAGIC;
use tempfile::TempDir;

use super::run;

const POLICY: &str = "id = \"p\"\nversion = \"1\"\nstatus = \"reference\"\n[vocabulary]\ngrades = [\"general\"]\n";

/// A folder with a trust file, a policy, a file that is no bundle and one that only begins like one.
struct Desk(TempDir);

impl Desk {
    fn new() -> Self {
        let desk = Self(tempfile::tempdir().unwrap());
        desk.put("trust.toml", b"");
        desk.put("policy.toml", POLICY.as_bytes());
        desk.put("cat.png", b"not a bundle");
        desk.put("cut.griptrace", &[MAGIC, &[0xa6; 40]].concat());
        desk
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn put(&self, name: &str, bytes: &[u8]) {
        fs::write(self.path(name), bytes).unwrap();
    }

    /// Runs the program; `@name` is a file of the desk. Returns exit code, output and errors.
    fn run(&self, args: &str) -> (u8, String, String) {
        let (mut out, mut err) = (Vec::new(), Vec::new());
        let code = run(self.args(args).into_iter(), &mut out, &mut err);
        (code, String::from_utf8(out).unwrap(), String::from_utf8(err).unwrap())
    }

    fn args(&self, args: &str) -> Vec<OsString> {
        let arg = |arg: &str| arg.strip_prefix('@').map_or_else(|| arg.into(), |name| self.path(name).into());
        ["griptrace-verify"].into_iter().chain(args.split_whitespace()).map(arg).collect()
    }

    #[track_caller]
    fn assert_could_not(&self, args: &str, why: &str) {
        let (code, out, err) = self.run(args);
        assert_eq!((code, out.as_str()), (2, ""), "{err}");
        assert!(err.starts_with("error: ") && err.contains(why), "{err}");
    }
}

const OWN: &str = "--trust @trust.toml --policy @policy.toml";

#[test]
fn a_file_that_only_begins_like_a_bundle_is_broken() {
    let (code, out, err) = Desk::new().run(&format!("@cut.griptrace {OWN}"));
    assert_eq!((code, err.as_str()), (1, ""));
    assert!(out.starts_with("BROKEN: the policy is NOT met\n") && out.contains("bundle-digest-mismatch"), "{out}");
}

/// A device that never ends, and a pipe that nobody writes into, keep nobody waiting.
#[cfg(unix)]
#[test]
fn what_is_no_file_is_refused_wherever_it_is_named() {
    let desk = Desk::new();
    assert!(std::process::Command::new("mkfifo").arg(desk.path("pipe")).status().unwrap().success());
    let why = "it is neither a file nor a folder";
    for special in ["/dev/zero", "@pipe"] {
        desk.assert_could_not(&format!("@cut.griptrace {OWN} --model {special}"), why);
        desk.assert_could_not(&format!("@cut.griptrace {OWN} --against {special}"), why);
        desk.assert_could_not(&format!("@cut.griptrace {OWN} --update {special}"), why);
        desk.assert_could_not(&format!("{special} {OWN}"), why);
        desk.assert_could_not(&format!("@cut.griptrace --trust {special} --policy @policy.toml"), why);
        desk.assert_could_not(&format!("@cut.griptrace --trust @trust.toml --policy {special}"), why);
        desk.assert_could_not(&format!("--check-fork {special} --trust @trust.toml"), why);
    }
}

#[test]
fn nothing_is_written_into_the_model_that_is_compared() {
    let desk = Desk::new();
    fs::create_dir(desk.path("model")).unwrap();
    desk.put("model/weights", b"w");
    let why = "would be one of the model's files";
    for output in ["--update @cut.griptrace --write-updated", "--against @cut.griptrace --fork-evidence"] {
        desk.assert_could_not(&format!("@cut.griptrace {OWN} --model @model {output} @model/new"), why);
        let (_, _, err) = desk.run(&format!("@cut.griptrace {OWN} --model @model {output} @new"));
        assert!(!err.contains(why), "{err}");
    }
}

#[test]
fn what_could_not_be_checked_says_why() {
    let desk = Desk::new();
    desk.assert_could_not(&format!("@cat.png {OWN}"), "cat.png: the file does not begin like a bundle");
    desk.assert_could_not(&format!("@none.griptrace {OWN}"), "cannot read ");
    desk.assert_could_not("@cut.griptrace", "--trust");
    desk.assert_could_not(OWN, "BUNDLE");
    desk.assert_could_not(&format!("@cut.griptrace {OWN} --trusty"), "--trusty");
    desk.assert_could_not(&format!("@cut.griptrace {OWN} --model @none"), "cannot read ");
    desk.assert_could_not(&format!("@cut.griptrace {OWN} --digest md5:00"), "64 hexadecimal digits");
    desk.assert_could_not(&format!("@cut.griptrace {OWN} --destination de"), "two capital letters");
    desk.assert_could_not(&format!("@cut.griptrace {OWN} --at 2026-02-30"), "a day such as");
    desk.assert_could_not(&format!("@cut.griptrace {OWN} --purpose Grasp"), "a word of");
    let digest = "0".repeat(64);
    desk.assert_could_not(&format!("@cut.griptrace {OWN} --digest {digest} --model @cat.png"), "cannot be used with");
}

#[test]
fn what_is_no_history_update_or_evidence_says_so() {
    let desk = Desk::new();
    desk.assert_could_not(&format!("@cut.griptrace {OWN} --against @cat.png"), "cat.png: a checkpoint: ");
    desk.assert_could_not(&format!("@cut.griptrace {OWN} --against @cut.griptrace"), "bundle-digest-mismatch");
    desk.assert_could_not(
        &format!("@cut.griptrace {OWN} --update @cat.png"),
        "cat.png: the file does not begin like an",
    );
    desk.assert_could_not(&format!("@cut.griptrace {OWN} --write-updated @new"), "--update");
    desk.assert_could_not(&format!("@cut.griptrace {OWN} --fork-evidence @new"), "--against");
    desk.assert_could_not("--check-fork @cat.png --trust @trust.toml", "does not begin like evidence of a fork");
    desk.assert_could_not("--trust @trust.toml --policy @policy.toml", "BUNDLE");
    let (code, out, err) = desk.run(&format!("@cat.png {OWN} --update @none.update --json"));
    assert_eq!((code, out.as_str()), (2, ""), "{err}");
    assert!(!desk.path("new").exists());
}

#[test]
fn a_bad_trust_file_or_policy_is_named_with_line_and_column() {
    let desk = Desk::new();
    desk.put("bad.toml", b"\nmaxage = 3\n");
    desk.assert_could_not(
        "@cut.griptrace --trust @bad.toml --policy @policy.toml",
        "bad.toml:2:1: maxage: unknown field",
    );
    desk.assert_could_not(
        "@cut.griptrace --trust @trust.toml --policy @bad.toml",
        "bad.toml:2:1: maxage: unknown field",
    );
    assert!(
        desk.run("@cut.griptrace --trust @bad.toml --policy @policy.toml").2.contains("\nhint: known here: max_age")
    );
    desk.put("bad.toml", b"a = \"\xff\"");
    desk.assert_could_not("@cut.griptrace --trust @bad.toml --policy @policy.toml", "is not UTF-8 at byte 5");
    desk.put("bad.toml", &vec![b' '; (1 << 20) + 1]);
    desk.assert_could_not("@cut.griptrace --trust @bad.toml --policy @policy.toml", "above the limit of 1048576");
}

#[test]
fn of_several_bundles_each_has_a_line_and_the_worst_decides() {
    let desk = Desk::new();
    let (code, out, err) = desk.run(&format!("@cut.griptrace @cut.griptrace {OWN}"));
    assert_eq!((code, err.as_str(), out.lines().count()), (1, "", 2));
    assert!(out.lines().all(|line| line.starts_with("BROKEN ") && line.ends_with("bundle-digest-mismatch")), "{out}");
    let (code, out, err) = desk.run(&format!("@cat.png @cut.griptrace {OWN}"));
    assert_eq!((code, out.lines().count(), err.lines().count()), (2, 1, 1));
}

#[test]
fn json_is_an_object_a_line() {
    let (code, out, err) = Desk::new().run(&format!("@cut.griptrace @cat.png {OWN} --json"));
    assert_eq!((code, err.lines().count()), (2, 1));
    let objects: Vec<serde_json::Value> = out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(objects.len(), 2);
    assert_eq!(objects[0]["verdict"], "BROKEN");
    assert_eq!(objects[0]["policy_met"], false);
    assert!(objects[0]["file"].as_str().unwrap().ends_with("cut.griptrace"));
    assert!(objects[1]["error"].as_str().unwrap().ends_with("does not begin like a bundle"));
}

#[test]
fn a_file_over_the_limit_is_refused_unread() {
    let desk = Desk::new();
    let file = fs::File::create(desk.path("huge.griptrace")).unwrap();
    file.set_len((1 << 30) + 1).unwrap();
    desk.assert_could_not(&format!("@huge.griptrace {OWN}"), "above the limit of 1073741824");
}

#[test]
fn help_and_version_are_answers() {
    let desk = Desk::new();
    let (code, out, err) = desk.run("--help");
    assert_eq!((code, err.as_str()), (0, ""));
    for part in ["Exit codes:", "Examples:", "--model <DIR_OR_FILE>", "--destination <CC>", "--at <DATE>"] {
        assert!(out.contains(part), "{part}\n{out}");
    }
    assert!(desk.run("--version").1.starts_with("griptrace-verify "));
}

/// A reader that has gone, or a full disk.
struct Deaf(io::ErrorKind);

impl Write for Deaf {
    fn write(&mut self, _: &[u8]) -> io::Result<usize> {
        Err(self.0.into())
    }

    fn flush(&mut self) -> io::Result<()> {
        Err(self.0.into())
    }
}

#[test]
fn a_reader_that_has_gone_does_not_change_the_answer() {
    let desk = Desk::new();
    let run = |kind, args: &str| {
        let mut err = Vec::new();
        let code = run(desk.args(args).into_iter(), &mut Deaf(kind), &mut err);
        (code, String::from_utf8(err).unwrap())
    };
    let (code, err) = run(io::ErrorKind::BrokenPipe, &format!("@cut.griptrace {OWN}"));
    assert_eq!((code, err.as_str()), (1, ""));
    let (code, err) = run(io::ErrorKind::StorageFull, &format!("@cut.griptrace {OWN}"));
    assert!(code == 2 && err.starts_with("error: cannot write the report"), "{err}");
}
