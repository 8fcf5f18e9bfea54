//! Evidence is read ten years later: bundles of every version that was released, each with the trust file, policy,
//! model and question of its day, and the report that was given then (`tests/ages/README.md`).
//!
//! `GRIPTRACE_NEW_AGE=0.1.0` writes the folder of a version that has none yet. Nothing ever writes an old one again.

use std::{
    ffi::OsString,
    fs,
    path::{Path, PathBuf},
};

use griptrace_core::node::Mark;
use griptrace_tests::paths::workspace_root;
use serde_json::Value;

use crate::attacks::{history, keys};
use crate::world::{Case, NodeSpec};

fn ages() -> PathBuf {
    workspace_root().join("tests/ages")
}

fn folders(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut found: Vec<PathBuf> = entries.map(|entry| entry.expect("it is read").path()).collect();
    found.retain(|path| path.is_dir());
    found.sort();
    found
}

/// Runs the verifier in a case's folder; returns its exit code and what it printed.
fn verify(case: &Path) -> (u8, Value) {
    let arguments = fs::read_to_string(case.join("arguments")).expect("the arguments are there");
    let place = |argument: &str| match argument.strip_prefix("./") {
        Some(file) => case.join(file).into_os_string(),
        None => OsString::from(argument),
    };
    let arguments = [OsString::from("griptrace-verify")].into_iter().chain(arguments.lines().map(place));
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let code = griptrace_verify::run(arguments, &mut out, &mut err);
    let report = serde_json::from_slice(&out);
    (code, report.unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&err))))
}

/// Checks that all that was said then is said now. A later version may say more.
fn says_as_much(then: &Value, now: &Value, at: &str) -> Result<(), String> {
    match (then, now) {
        (Value::Object(then), Value::Object(now)) => then.iter().try_for_each(|(name, value)| {
            let found = now.get(name).ok_or(format!("{at}.{name} is not said any more"))?;
            says_as_much(value, found, &format!("{at}.{name}"))
        }),
        (Value::Array(then), Value::Array(now)) if then.len() == now.len() => {
            let mut pairs = then.iter().zip(now).enumerate();
            pairs.try_for_each(|(place, (then, now))| says_as_much(then, now, &format!("{at}[{place}]")))
        }
        // Words may become clearer; what programs read may not change. A file is named as it was given.
        (Value::String(_), Value::String(_))
            if at.rsplit('.').next().is_some_and(|name| ["text", "file"].contains(&name)) =>
        {
            Ok(())
        }
        (then, now) if then == now => Ok(()),
        (then, now) => Err(format!("{at} was {then}, and is {now}")),
    }
}

#[test]
fn what_a_version_verified_every_later_one_verifies() {
    let mut cases = 0;
    for version in folders(&ages()) {
        for case in folders(&version) {
            let read = |name: &str| fs::read_to_string(case.join(name)).expect("it is there");
            let then: Value = serde_json::from_str(&read("report.json")).expect("a report is JSON");
            let (code, now) = verify(&case);
            assert_eq!(code.to_string(), read("exit-code").trim(), "{}", case.display());
            says_as_much(&then, &now, "report").unwrap_or_else(|why| panic!("{}: {why}", case.display()));
            cases += 1;
        }
    }
    assert!(cases >= 5, "only {cases} cases");
}

/// The comparison can fail: a report that lost or changed anything is noticed.
#[test]
fn a_report_that_says_less_is_noticed() {
    let case = folders(&folders(&ages())[0]).remove(0);
    let then: Value = serde_json::from_str(&fs::read_to_string(case.join("report.json")).unwrap()).unwrap();
    let changed = |change: fn(&mut Value)| {
        let mut now = then.clone();
        change(&mut now);
        says_as_much(&then, &now, "report").is_err()
    };
    assert!(changed(|now| now["verdict"] = "TRACED_STATED".into()));
    assert!(changed(|now| drop(now.as_object_mut().unwrap().remove("logs"))));
    assert!(changed(|now| now["sources"].as_array_mut().unwrap().truncate(1)));
    assert!(!changed(|now| now["added"] = "later".into()));
}

/// What a folder has: a name and the case.
type Made = (&'static str, fn(&mut Case));

const CASES: &[Made] = &[
    ("honest", |_| {}),
    ("committers-key-rotated", keys::rotated),
    ("logs-key-rotated", keys::log_rotated),
    ("stolen-key-revoked", |case| keys::revoked(case, 7)),
    ("withdrawn-since", |case| {
        case.world.mark(3, "maker", NodeSpec::status("withdrawal", Mark::Withdraw, "force", "2026-06-15"));
    }),
    ("brought-up-to-date", |case| case.base = Some(history::shown_at(case, 10))),
    ("grown-since", |case| {
        let older = history::shown_at(case, 10);
        case.buyer.known.push(older);
    }),
    ("two-companies", |case| {
        case.world.add_supplier(vec![NodeSpec::source("bought", "DE", "visual", "general")]);
        case.world.node("train").links.push(crate::world::Link::new(griptrace_core::node::Role::Used, "bought"));
    }),
];

#[test]
fn a_new_age_is_written_where_there_is_none() {
    let Some(version) = std::env::var_os("GRIPTRACE_NEW_AGE") else { return };
    let folder = ages().join(version);
    assert!(!folder.exists(), "{} is there, and is never written again", folder.display());
    for (name, make) in CASES {
        let mut case = Case::honest();
        make(&mut case);
        let folder = folder.join(name);
        fs::create_dir_all(folder.join("model")).unwrap();
        let (bundle, updates) = case.parcel();
        fs::write(folder.join("bundle.griptrace"), bundle).unwrap();
        fs::write(folder.join("trust.toml"), &case.buyer.trust).unwrap();
        fs::write(folder.join("policy.toml"), &case.buyer.policy).unwrap();
        fs::write(folder.join("model/grasp.int8.onnx"), b"weights").unwrap();
        fs::write(folder.join("model/labels.txt"), b"open\nshut\n").unwrap();
        let mut arguments = vec![
            "./bundle.griptrace",
            "--trust",
            "./trust.toml",
            "--policy",
            "./policy.toml",
            "--model",
            "./model",
            "--destination",
            "DE",
            "--purpose",
            "grasp",
            "--at",
            "2026-07-01",
            "--json",
        ];
        for (flag, file, content) in
            [("--update", "since.update", updates.first()), ("--against", "older.griptrace", case.buyer.known.first())]
        {
            let Some(content) = content else { continue };
            fs::write(folder.join(file), content).unwrap();
            arguments.extend([flag, if flag == "--update" { "./since.update" } else { "./older.griptrace" }]);
        }
        fs::write(folder.join("arguments"), arguments.join("\n") + "\n").unwrap();
        let (code, report) = verify(&folder);
        fs::write(folder.join("exit-code"), format!("{code}\n")).unwrap();
        let mut report = report;
        report["file"] = "./bundle.griptrace".into();
        fs::write(folder.join("report.json"), serde_json::to_string_pretty(&report).unwrap() + "\n").unwrap();
    }
}
