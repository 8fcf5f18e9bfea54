//! `griptrace inspect --keys`: the keys that a bundle names, those of now and those before them.

use std::collections::BTreeMap;

use griptrace_core::{
    assessment::assessed,
    bundle::{Bundle, LogPart},
    commit::Commit,
    entry::{Entry, Genesis, genesis_hash},
    id::{GenesisHash, KeyId},
    key::PublicKey,
    key_change::KeyChange,
    key_history::KeyHistory,
    node::Kind,
};
use serde_json::{Value as Json, json};

use super::nodes_of;
use crate::{
    context::{Answer, Context},
    ended::{Earlier, earlier, followers},
    error::CommandError,
    keyfile::fingerprint,
    workspace::vkey,
};

/// The keys that a bundle names. Public keys of assessors are not in it, and of committers only those that a key change
/// names: of the others, their ids.
#[derive(Debug, Default)]
pub(crate) struct Keys {
    /// The logs.
    pub(crate) logs: Vec<LogKeys>,
    /// Who committed.
    pub(crate) committers: Vec<CommitterKeys>,
    /// Who signed assessments.
    pub(crate) assessors: Vec<AssessorKey>,
}

/// A log's keys.
#[derive(Debug)]
pub(crate) struct LogKeys {
    /// The origin.
    pub(crate) origin: String,
    /// The genesis hash.
    pub(crate) home: GenesisHash,
    /// The vkey of now.
    pub(crate) vkey: String,
    /// That key's full hash in groups.
    pub(crate) fingerprint: String,
    /// The keys before it.
    pub(crate) earlier: Vec<Earlier>,
    /// The ids of the keys that may revoke others.
    pub(crate) revokers: Vec<KeyId>,
}

/// A committer's keys.
#[derive(Debug)]
pub(crate) struct CommitterKeys {
    /// The id of the key of now.
    pub(crate) key: KeyId,
    /// That key, if a change names it.
    pub(crate) public: Option<PublicKey>,
    /// The leaf from which on it does not count, if it was revoked and none follows it.
    pub(crate) end: Option<u64>,
    /// The keys before it that signed or led to it, each with the leaf before which it counts.
    pub(crate) earlier: BTreeMap<KeyId, u64>,
    /// Who its owner says to be.
    pub(crate) issuer: String,
    /// The log.
    pub(crate) origin: String,
}

/// An assessor's key, known by its id.
#[derive(Debug)]
pub(crate) struct AssessorKey {
    /// The full hash of the key.
    pub(crate) key: KeyId,
    /// Who its owner says to be.
    pub(crate) issuer: String,
    /// The scheme.
    pub(crate) scheme: String,
}

/// Collects the keys that a bundle names.
pub(crate) fn keys_of(bundle: &Bundle) -> Result<Keys, CommandError> {
    let mut keys = Keys::default();
    for log in &bundle.logs {
        let Part { genesis, home, history, commits } = read(log)?;
        let now = history.log_keys().last().map_or_else(|| genesis.key.clone(), |(_, key)| key.clone());
        keys.logs.push(LogKeys {
            origin: genesis.origin.clone(),
            home,
            fingerprint: fingerprint(&now.id()),
            earlier: earlier(&genesis, &history)?,
            revokers: genesis.revokers.clone(),
            vkey: vkey(&Genesis { key: now, ..genesis.clone() })?,
        });
        keys.committers.extend(committers(&genesis.origin, &history, &commits));
    }
    let mut assessors = BTreeMap::new();
    for node in nodes_of(bundle).iter().filter(|node| node.core.kind == Kind::Assessment) {
        let Ok(of) = assessed(node.id, &node.core) else { continue };
        if let Some(signed) = of.signed {
            assessors.insert((signed.key, of.assessment.scheme.to_string()), signed.issuer);
        }
    }
    keys.assessors = assessors.into_iter().map(|((key, scheme), issuer)| AssessorKey { key, issuer, scheme }).collect();
    Ok(keys)
}

/// What a log part says of keys.
struct Part {
    genesis: Genesis,
    home: GenesisHash,
    history: KeyHistory,
    commits: Vec<Commit>,
}

fn read(log: &LogPart) -> Result<Part, CommandError> {
    let malformed = |why: &dyn core::fmt::Display| CommandError::failed(format!("the bundle is malformed: {why}"));
    let mut begin = None;
    let mut changes: Vec<(u64, KeyChange)> = Vec::new();
    let mut commits = Vec::new();
    for (index, bytes) in &log.entries {
        match Entry::parse(bytes).map_err(|e| malformed(&e))? {
            Entry::Genesis(genesis) => begin = Some((genesis, genesis_hash(bytes))),
            Entry::Commit(commit) => commits.push(commit),
            Entry::KeyChange(signed) => {
                signed.verify().map_err(|e| malformed(&e))?;
                changes.push((*index, signed.change));
            }
            Entry::StatusHead(_) => {}
        }
    }
    let (genesis, home) = begin.ok_or_else(|| malformed(&"a log has no genesis"))?;
    let history = KeyHistory::of(&genesis, &home, changes.iter().map(|(index, change)| (*index, change)));
    let history = history.map_err(|e| malformed(&e))?;
    Ok(Part { genesis, home, history, commits })
}

/// Puts together the keys of which the later ones followed the earlier ones.
fn committers(origin: &str, history: &KeyHistory, commits: &[Commit]) -> Vec<CommitterKeys> {
    let mut found: BTreeMap<KeyId, CommitterKeys> = BTreeMap::new();
    for commit in commits {
        let mut before = followers(history, &commit.key());
        let key = before.pop().unwrap_or(commit.key());
        let new = || CommitterKeys {
            key,
            public: history.key(&key).cloned(),
            end: history.end(&key),
            earlier: BTreeMap::new(),
            issuer: String::new(),
            origin: origin.to_owned(),
        };
        let committer = found.entry(key).or_insert_with(new);
        // The newest commit says how its owner is called now.
        committer.issuer.clone_from(commit.issuer());
        committer.earlier.extend(before.into_iter().filter_map(|other| Some((other, history.end(&other)?))));
    }
    found.into_values().collect()
}

/// Shows the keys.
pub(super) fn show(context: &Context, keys: &Keys) -> Result<Answer, CommandError> {
    let output = &context.output;
    let shown = keys.logs.iter().map(log).chain(keys.committers.iter().map(committer));
    for (object, lines) in shown.chain(keys.assessors.iter().map(assessor)) {
        output.either(&object, &lines)?;
    }
    output.talk("ask each owner for the public key; `griptrace key show KEY` must show the same fingerprint");
    Ok(Answer::YES)
}

type Shown = (Json, Vec<String>);

fn log(log: &LogKeys) -> Shown {
    let earlier: Vec<Json> = log.earlier.iter().map(|key| json!({ "vkey": key.vkey, "size": key.size })).collect();
    let object = json!({
        "role": "log", "origin": log.origin, "genesis": log.home.to_string(), "vkey": log.vkey,
        "fingerprint": log.fingerprint, "earlier": earlier, "verified": false,
        "revokers": log.revokers.iter().map(ToString::to_string).collect::<Vec<_>>(),
    });
    let mut lines = vec![
        format!("log {}", log.origin),
        format!("  genesis      {}", log.home),
        format!("  vkey         {}", log.vkey),
        format!("  fingerprint  {}", log.fingerprint),
    ];
    lines.extend(log.earlier.iter().map(|key| format!("  earlier      {} up to size {}", key.vkey, key.size)));
    lines.extend(log.revokers.iter().map(|key| format!("  revoker      {}", fingerprint(key))));
    (object, lines)
}

fn committer(party: &CommitterKeys) -> Shown {
    let earlier: Vec<Json> =
        party.earlier.iter().map(|(key, end)| json!({ "key_id": key.to_string(), "end": end })).collect();
    let public = party.public.as_ref().map(ToString::to_string);
    let of = format!("log {}", party.origin);
    let object = json!({
        "role": "committer", "issuer": party.issuer, "of": of, "public_key": public, "key_id": party.key.to_string(),
        "fingerprint": fingerprint(&party.key), "end": party.end, "earlier": earlier, "verified": false,
    });
    let mut lines = vec![format!("committer {} ({of})", party.issuer)];
    lines.extend(public.map(|key| format!("  key          {key}")));
    lines.push(format!("  fingerprint  {}", fingerprint(&party.key)));
    lines.extend(party.end.map(|end| format!("  revoked      counts before leaf {end} only, and no key follows it")));
    let before =
        party.earlier.iter().map(|(key, end)| format!("  earlier      {} before leaf {end}", fingerprint(key)));
    lines.extend(before);
    (object, lines)
}

fn assessor(party: &AssessorKey) -> Shown {
    let object = json!({
        "role": "assessor", "issuer": party.issuer, "of": party.scheme, "key_id": party.key.to_string(),
        "fingerprint": fingerprint(&party.key), "verified": false,
    });
    let lines = vec![
        format!("assessor {} ({})", party.issuer, party.scheme),
        format!("  fingerprint  {}", fingerprint(&party.key)),
    ];
    (object, lines)
}
