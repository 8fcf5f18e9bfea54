//! `griptrace inspect --as-buyer`: everything that the reader of a bundle learns, before it leaves the house.

use std::collections::{BTreeMap, BTreeSet};

use griptrace_core::{
    assessment::{Assessed, assessed},
    bundle::{Bundle, LogPart, ManifestOpening, bundle_digest},
    checkpoint::Checkpoint,
    details::{read_value, slot_name},
    entry::Entry,
    id::NodeId,
    key::PublicKey,
    key_change::{KeyChange, KeyUse},
    node::{Edge, Kind},
    note::Note,
};
use serde_json::{Map, Value as Json, json};

use super::{Inside, keys_of, nodes_of};
use crate::{
    context::{Answer, Context},
    error::CommandError,
    keyfile::fingerprint,
    view,
};

/// What a line of the listing is as JSON, and in words.
type Item = (Json, Vec<String>);

/// What stands in a bundle, by what the parts are looked up by.
struct Learned<'a> {
    bundle: &'a Bundle,
    nodes: Vec<Inside>,
    /// Which assessments open a node.
    assessed_by: BTreeMap<u64, Vec<NodeId>>,
}

pub(super) fn show(context: &Context, bytes: &[u8], bundle: &Bundle) -> Result<Answer, CommandError> {
    let learned = Learned::read(bundle)?;
    let logs = learned.logs()?;
    let commits = learned.commits()?;
    let nodes = learned.nodes.iter().map(|node| learned.node(node)).collect::<Result<Vec<_>, _>>()?;
    let statuses = learned.statuses();
    let (unlearned, more) = (learned.unlearned(), learned.more());
    if context.output.is_json() {
        let all = |items: &[Item]| items.iter().map(|(json, _)| json.clone()).collect::<Vec<_>>();
        return context
            .output
            .object(&json!({
                "verified": false, "digest": bundle_digest(bytes).to_string(), "bytes": bytes.len(),
                "learns": {
                    "logs": all(&logs), "commits": all(&commits), "nodes": all(&nodes), "statuses": all(&statuses),
                    "also": more,
                },
                "does_not_learn": unlearned,
            }))
            .map(|()| Answer::YES);
    }
    let output = &context.output;
    output.line(format_args!("bundle  {} bytes, digest {}", bytes.len(), bundle_digest(bytes)))?;
    let sections = [
        ("LOGS AND KEYS", &logs),
        ("COMMITS", &commits),
        ("NODES, with every detail that is opened", &nodes),
        ("MARKS", &statuses),
    ];
    for (title, items) in sections {
        output.line(format_args!("\n{title} ({})", items.len()))?;
        items.iter().flat_map(|(_, lines)| lines).try_for_each(|line| output.line(format_args!("  {line}")))?;
    }
    for (title, points) in
        [("\nWHAT ALL THIS TELLS BESIDES", &more), ("\nWHAT A READER DOES NOT LEARN FROM THIS FILE", &unlearned)]
    {
        output.line(title)?;
        points.iter().try_for_each(|point| output.line(format_args!("  - {point}")))?;
    }
    Ok(Answer::YES)
}

fn malformed(why: impl Into<Box<dyn core::error::Error + Send + Sync>>) -> CommandError {
    CommandError::because("the bundle is malformed", why)
}

impl<'a> Learned<'a> {
    fn read(bundle: &'a Bundle) -> Result<Self, CommandError> {
        let nodes = nodes_of(bundle);
        let count = bundle.node_count().map_err(malformed)?;
        if u64::try_from(nodes.len()) != Ok(count) {
            // What can't be read can't be listed, and would be passed over in silence.
            return Err(malformed(format!("of {count} nodes {} can be read", nodes.len())));
        }
        let mut assessed_by: BTreeMap<u64, Vec<NodeId>> = BTreeMap::new();
        for opening in &bundle.openings {
            let Some(by) = nodes.iter().find(|node| node.ordinal == opening.assessment) else { continue };
            for (_, subject, _) in &opening.subjects {
                assessed_by.entry(*subject).or_default().push(by.id);
            }
        }
        Ok(Self { bundle, nodes, assessed_by })
    }

    /// Lists the logs with their checkpoints, and whose keys sign.
    fn logs(&self) -> Result<Vec<Item>, CommandError> {
        let mut items: Vec<Item> = self.bundle.logs.iter().map(log).collect::<Result<_, _>>()?;
        let keys = keys_of(self.bundle)?;
        for log in &keys.logs {
            let json = json!({ "role": "log", "name": log.origin, "vkey": log.vkey, "fingerprint": log.fingerprint });
            items.push((json, vec![format!("key of the log {}: {}", log.origin, log.fingerprint)]));
        }
        let committers = keys.committers.iter().map(|party| ("committer", &party.issuer, &party.key));
        for (role, issuer, key) in
            committers.chain(keys.assessors.iter().map(|party| ("assessor", &party.issuer, &party.key)))
        {
            let print = fingerprint(key);
            let json = json!({ "role": role, "name": issuer, "fingerprint": print });
            items.push((json, vec![format!("key of the {role} {issuer}: {print}")]));
        }
        Ok(items)
    }

    /// Lists the commits: who, when, and how many nodes each has in all.
    fn commits(&self) -> Result<Vec<Item>, CommandError> {
        let mut items = Vec::new();
        for log in &self.bundle.logs {
            for part in &log.commits {
                let entry = usize::try_from(part.entry).ok().and_then(|place| log.entries.get(place));
                let (index, bytes) = entry.ok_or_else(|| malformed("a commit names no entry"))?;
                let Entry::Commit(commit) = Entry::parse(bytes).map_err(malformed)? else {
                    return Err(malformed(format!("the entry {index} is no commit")));
                };
                let (time, all, here) = (commit.payload.time, commit.payload.count, part.cores.len());
                let marks = &commit.payload.statuses;
                let json = json!({
                    "entry": index, "issuer": commit.issuer(), "key": commit.key().to_string(), "time": time,
                    "nodes": all, "nodes_here": here,
                    "marks": marks.iter().map(|line| json!([line.key.to_string(), line.status.to_string()])).collect::<Vec<_>>(),
                });
                let mut lines = vec![format!(
                    "entry {index}, {}, by {}: {all} nodes in all, {here} of them here",
                    view::time(time),
                    commit.issuer()
                )];
                lines.extend(marks.iter().map(|line| format!("  bears the mark {} on {}", line.status, line.key)));
                items.push((json, lines));
            }
        }
        Ok(items)
    }

    fn node(&self, node: &Inside) -> Result<Item, CommandError> {
        let core = view::core_fields(&node.core);
        let opened = self.details(node)?;
        let manifest = self.bundle.manifests.iter().find(|manifest| manifest.node == node.ordinal);
        let by = self.assessed_by.get(&node.ordinal).map_or(&[][..], Vec::as_slice);
        let is_root = node.ordinal == self.bundle.root;
        let assessment = assessed(node.id, &node.core).ok().filter(|_| node.core.kind == Kind::Assessment);
        let mut lines = vec![format!("{} {}{}", node.core.kind, node.id, if is_root { " (the root)" } else { "" })];
        lines.extend(core.iter().map(|(name, value)| format!("  {name:<18} {value}")));
        lines.extend(node.core.edges.iter().map(|edge| format!("  {:<18} {}", edge.role.word(), edge_end(edge))));
        lines.extend(assessment.iter().flat_map(|of| self.assessment_lines(node, of)).map(|line| format!("  {line}")));
        if node.core.kind == Kind::Status && node.core.statement.is_some() {
            lines.push("  statement          the mark as its assessor signed it".to_owned());
        }
        lines.extend(by.iter().map(|id| format!("  {:<18} {id}", "assessed by")));
        lines.extend(opened.iter().map(|(name, value)| format!("  {:<18} {value}", format!("detail {name}"))));
        lines.extend(manifest.into_iter().flat_map(file_lines).map(|line| format!("  {line}")));
        lines.push("  other details      not shown; nor is whether there are any".to_owned());
        let fields: Map<String, Json> = core.iter().map(|(k, v)| ((*k).to_owned(), json!(v))).collect();
        let details: Map<String, Json> = opened.iter().map(|(k, v)| (k.clone(), json!(v))).collect();
        let json = json!({
            "id": node.id.to_string(), "kind": node.core.kind.word(), "root": is_root, "core": fields,
            "home": node.core.home.to_string(),
            "edges": node.core.edges.iter().map(|e| json!({ "role": e.role.word(), "to": edge_end(e) })).collect::<Vec<_>>(),
            "assessed_by": by.iter().map(ToString::to_string).collect::<Vec<_>>(),
            "assessment": assessment.as_ref().map(|of| self.assessment_lines(node, of)),
            "details": details,
            "files": manifest.map(file_lines),
        });
        Ok((json, lines))
    }

    /// Returns the opened details of a node.
    fn details(&self, node: &Inside) -> Result<Vec<(String, String)>, CommandError> {
        let opened = self.bundle.disclosures.iter().filter(|disclosure| disclosure.node == node.ordinal);
        opened
            .flat_map(|disclosure| &disclosure.opening.slots)
            .map(|(slot, _, bytes)| {
                let name = slot_name(node.core.kind, *slot).map_or_else(|| format!("slot-{slot}"), str::to_owned);
                Ok((name, read_value(bytes).map_err(malformed)?.to_string()))
            })
            .collect()
    }

    fn assessment_lines(&self, node: &Inside, of: &Assessed) -> Vec<String> {
        let mut lines = vec![format!("assessment    {}", view::scheme(of))];
        lines.extend(view::assessment_lines(&of.assessment));
        let streams: Vec<&str> = of.assessment.streams.iter().map(griptrace_core::word::Word::as_str).collect();
        if !streams.is_empty() {
            lines.push(format!("streams       {}", streams.join(", ")));
        }
        let opened = self.bundle.openings.iter().filter(|opening| opening.assessment == node.ordinal);
        let opened = opened.map(|opening| opening.subjects.len()).sum::<usize>();
        lines.push(format!("subjects      {} with decoys, {opened} of them here", of.assessment.subjects));
        lines
    }

    /// Lists the marks that the status maps have on nodes of the bundle.
    fn statuses(&self) -> Vec<Item> {
        let mut items = Vec::new();
        for log in &self.bundle.logs {
            for anchor in &log.anchors {
                let Some(part) = &anchor.status else { continue };
                let size = checkpoint(&anchor.note).map_or(0, |(checkpoint, _)| checkpoint.size);
                let mut lines = vec![format!(
                    "asked at size {size}: every node, signed assessment and key here that the log then had; {} bear marks",
                    part.present.len()
                )];
                let marks = |ids: &[NodeId]| ids.iter().map(ToString::to_string).collect::<Vec<_>>();
                lines.extend(part.present.iter().map(|(key, ids)| format!("  {key}: {}", marks(ids).join(", "))));
                let present =
                    part.present.iter().map(|(key, ids)| json!({ "key": key.to_string(), "marks": marks(ids) }));
                items.push((json!({ "size": size, "present": present.collect::<Vec<_>>() }), lines));
            }
        }
        items
    }

    /// Says what a reader does not learn: each is true of this very file.
    fn unlearned(&self) -> Vec<String> {
        let listed: BTreeSet<u64> = self.bundle.manifests.iter().map(|manifest| manifest.node).collect();
        let without = self.nodes.iter().filter(|node| matches!(node.core.kind, Kind::Dataset | Kind::Model));
        let without = without.filter(|node| !listed.contains(&node.ordinal)).count();
        vec![
            "the value, the length and the presence of any detail that is not listed: hidden and absent look alike"
                .to_owned(),
            format!(
                "path, name, size and digest of any single file of the {without} data sets and models whose files are not \
                 listed; what an opened detail says is listed as that"
            ),
            "whether a guess of a hidden value is right: each stands under 128 random bits of its own".to_owned(),
            "which other nodes are in these commits, and of what kind: only how many".to_owned(),
            "which other subjects an assessment has: only how many leaves it signs, decoys among them".to_owned(),
            "which profile this file was made with, and what other readers were shown".to_owned(),
        ]
    }

    /// Says what follows from ids, structure and counts.
    fn more(&self) -> Vec<String> {
        let kinds = Kind::ALL.iter().filter_map(|kind| {
            let count = self.nodes.iter().filter(|node| node.core.kind == *kind).count();
            (count > 0).then(|| format!("{count} {kind}"))
        });
        vec![
            format!("how the product was made, as a graph: {}", kinds.collect::<Vec<_>>().join(", ")),
            "ids are the same in every bundle: readers who compare theirs see which nodes they share".to_owned(),
            "a detail that another reader was shown can be checked against this file with that reader's bundle"
                .to_owned(),
            "leaf indices and sizes say how much the log recorded in between".to_owned(),
            "proofs that nodes bear no mark name by a hash some other keys that do; the log is public and has them all"
                .to_owned(),
        ]
    }
}

fn edge_end(edge: &Edge) -> String {
    edge.home.map_or_else(|| edge.to.to_string(), |home| format!("{} in the log {home}", edge.to))
}

fn file_lines(manifest: &ManifestOpening) -> Vec<String> {
    let line = |file: &griptrace_core::manifest::FileRecord| {
        let sha256 = file.sha256.map_or_else(String::new, |digest| format!(", SHA-256 {digest}"));
        format!("file {:?}: {} bytes, BLAKE3 {}{sha256}", String::from_utf8_lossy(&file.path), file.size, file.blake3)
    };
    manifest.files.iter().map(line).collect()
}

fn checkpoint(note: &str) -> Option<(Checkpoint, Vec<String>)> {
    let note = Note::parse(note.as_bytes()).ok()?;
    let signers = note.signatures().iter().map(|signature| signature.name().to_owned()).collect();
    Some((Checkpoint::parse(note.text()).ok()?, signers))
}

fn log(part: &LogPart) -> Result<Item, CommandError> {
    let mut lines = Vec::new();
    let mut heads = Vec::new();
    for (index, bytes) in &part.entries {
        match Entry::parse(bytes).map_err(malformed)? {
            Entry::Genesis(genesis) => {
                lines.push(format!("log {}, begun {}", genesis.origin, view::time(genesis.time)));
                lines.extend(genesis.revokers.iter().map(|key| format!("  may revoke keys: {}", fingerprint(key))));
            }
            Entry::StatusHead(head) => heads.push((index.saturating_add(1), head.time)),
            Entry::KeyChange(signed) => lines.push(key_change(*index, &signed.change)),
            Entry::Commit(_) => {}
        }
    }
    let mut anchors = Vec::new();
    for anchor in &part.anchors {
        let (checkpoint, signers) = checkpoint(&anchor.note).ok_or_else(|| malformed("a checkpoint can't be read"))?;
        let time = heads.iter().find(|(size, _)| *size == checkpoint.size).map(|(_, time)| *time);
        let said = time.map_or_else(|| "at no time said".to_owned(), view::time);
        lines.push(format!("  {} entries {said}, signed by {}", checkpoint.size, signers.join(", ")));
        anchors.push(json!({ "origin": checkpoint.origin, "size": checkpoint.size, "time": time, "signers": signers }));
    }
    let json = json!({ "role": "checkpoints", "lines": lines, "checkpoints": anchors });
    Ok((json, lines))
}

/// Says which key retired, for whom, when, and by whose word.
fn key_change(index: u64, change: &KeyChange) -> String {
    let of = match change.of {
        KeyUse::Log => "log's",
        KeyUse::Committer => "committer's",
    };
    let print = |key: &PublicKey| fingerprint(&key.id());
    let successor = change.successor.as_ref().map_or_else(|| "none".to_owned(), print);
    let revoker = change.revoker.as_ref().map_or_else(String::new, |key| format!(", revoked by {}", print(key)));
    let since = change.since.map_or_else(String::new, |since| format!(", not to count from entry {since} on"));
    let (time, retired) = (view::time(change.time), print(&change.retired));
    format!("  entry {index}, {time}: the {of} key {retired} retires, followed by {successor}{revoker}{since}")
}
