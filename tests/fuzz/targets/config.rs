//! Trust files and policies. What is accepted is all that the file says, by another reader of TOML,
//! and a bundle is then judged by it.

use griptrace_core::limits::{CONFIG_BYTES_MAX, CONFIG_ITEMS_MAX};
use griptrace_verifier::{
    policy,
    toml_source::ConfigError,
    trust::{self, Trust},
};
use toml::Table;

use super::{fixtures, guard::bounded, input::Input, report::judge_by};

/// The file's name in errors.
const NAME: &str = "a.toml";

pub(crate) fn trust(data: &[u8]) {
    let Ok(text) = core::str::from_utf8(data) else { return };
    let trust = match bounded(text.len(), || trust::parse(NAME, text)) {
        Ok(trust) => trust,
        Err(error) => return points_into(&error, text),
    };
    let table: Table = text.parse().expect("another reader reads what ours accepts");
    let counts = [
        ("log", trust.logs.len()),
        ("witness", trust.witnesses.len()),
        ("committer", trust.committers.len()),
        ("assessor", trust.assessors.len()),
        ("withdrawal", trust.withdrawals.len()),
    ];
    for (name, count) in counts {
        assert_eq!(items(&table, name), count, "{name}");
    }
    stands(&trust);
    let fixture = &fixtures::all()[0];
    let asked = fixtures::asked(fixture, &mut Input::new(&[]));
    let report = judge_by(&fixture.file, &trust, &asked.policy, &asked).expect("it begins like a bundle");
    if report.policy_met {
        let (own, has) = (&asked.trust, trust.logs.contains(&asked.trust.logs[0]));
        let maker = own.committers.iter().find(|known| known.name == "maker").expect("it is there");
        assert!(has && trust.committers.iter().any(|known| known.key == maker.key));
    }
}

/// What the rest of the verifier takes for granted.
fn stands(trust: &Trust) {
    let mut origins: Vec<&str> = trust.logs.iter().map(|log| log.origin.as_str()).collect();
    origins.sort_unstable();
    assert!(origins.windows(2).all(|pair| pair[0] != pair[1]));
    assert!(trust.logs.iter().all(|log| log.key.name() == log.origin));
    let mut names: Vec<&str> = trust.witnesses.iter().map(|witness| witness.name.as_str()).collect();
    names.sort_unstable();
    assert!(names.windows(2).all(|pair| pair[0] != pair[1]));
    if let Some(quorum) = &trust.quorum {
        assert!(quorum.groups.iter().all(|group| (1..=group.of.len()).contains(&group.at_least)));
        let of = quorum.witnesses();
        assert!(!of.is_empty() && of.iter().all(|place| *place < trust.witnesses.len()));
        assert!(of.windows(2).all(|pair| pair[0] != pair[1]), "a witness counts once");
        assert_eq!(quorum.completed(&vec![Some(7); trust.witnesses.len()]), Some(7), "all of them are enough");
        assert_eq!(quorum.completed(&vec![None; trust.witnesses.len()]), None, "and none is not");
    }
    for key in trust.witnesses.iter().flat_map(|witness| &witness.keys) {
        let key = key.public_key();
        assert!(trust.committers.iter().all(|known| known.key.as_bytes() != key), "a witness is somebody else");
        assert!(trust.logs.iter().all(|log| log.key.public_key() != key), "a witness is somebody else");
    }
    assert!(trust.committers.iter().all(|known| !known.roles.is_empty()));
    assert!(trust.assessors.iter().all(|known| !known.schemes.is_empty()));
}

pub(crate) fn policy(data: &[u8]) {
    let Ok(text) = core::str::from_utf8(data) else { return };
    let policy = match bounded(text.len(), || policy::parse(NAME, text)) {
        Ok(policy) => policy,
        Err(error) => return points_into(&error, text),
    };
    let table: Table = text.parse().expect("another reader reads what ours accepts");
    let counts = [
        ("scope", policy.scope.len()),
        ("require", policy.require.len()),
        ("exempt", policy.exempt.len()),
        ("disclose", policy.disclose.len()),
    ];
    for (name, count) in counts {
        assert_eq!(items(&table, name), count, "{name}");
    }
    assert_eq!(table["id"].as_str(), Some(policy.id.as_str()));
    assert!(policy.severity.iter().all(|(code, weight)| !code.is_fixed() || *weight >= code.severity()));
    for fixture in fixtures::all() {
        let asked = fixtures::asked(fixture, &mut Input::new(&[]));
        judge_by(&fixture.file, &asked.trust, &policy, &asked).expect("it begins like a bundle");
    }
}

fn items(table: &Table, name: &str) -> usize {
    let len = table.get(name).map_or(0, |list| list.as_array().expect("it is a list").len());
    assert!(len <= CONFIG_ITEMS_MAX);
    len
}

/// An error names a place that the file has.
fn points_into(error: &ConfigError, text: &str) {
    assert_eq!(error.file, NAME);
    assert!(!error.why.is_empty() && !error.to_string().is_empty());
    assert!(text.len() <= CONFIG_BYTES_MAX || error.why.contains("limit"));
    let lines: Vec<&str> = text.split('\n').collect();
    let line = error.line.checked_sub(1).and_then(|place| lines.get(place)).expect("the file has the line");
    assert!((1..=line.chars().count() + 1).contains(&error.column), "column {} of {line:?}", error.column);
}
