//! What a log holds, what was acknowledged of it, and whether the one has the other.

use std::{collections::BTreeSet, path::Path};

use griptrace_core::{
    digest::Digest,
    id::NodeId,
    tree::{Frontier, Rfc9162},
};
use griptrace_store::Store;
use serde_json::Value;

use super::super::{
    model::{KINDS, narrow, parse_note, unhex},
    reader, told,
};

/// What a program said that is in the log.
pub(super) struct Ack {
    ids: Vec<NodeId>,
    /// The leaf index and the checkpoint; `None` of what was there before.
    receipt: Option<(u64, String)>,
}

impl Ack {
    /// Reads what a program said: `griptrace --json`, or `griptrace-held`, which was given nodes with these ids. What it was
    /// killed over saying was not said.
    pub(super) fn read(out: &str, given: &[Vec<NodeId>]) -> Vec<Self> {
        let lines: Vec<&str> = out.split_inclusive('\n').filter_map(|line| line.strip_suffix('\n')).collect();
        if given.is_empty() { Self::of_griptrace(&lines) } else { Self::of_held(&lines, given) }
    }

    fn of_griptrace(lines: &[&str]) -> Vec<Self> {
        let lines = lines.iter().map(|line| serde_json::from_str::<Value>(line).expect("each line is JSON"));
        let (mut new, mut old, mut receipt) = (Vec::new(), Vec::new(), None);
        for line in lines {
            if let Some(id) = line["id"].as_str() {
                let ids = if line["already_recorded"] == true { &mut old } else { &mut new };
                ids.push(NodeId::from_hex(id).expect("it is an id"));
            }
            if let Some(note) = line["commit"]["checkpoint"].as_str() {
                receipt = Some((line["commit"]["index"].as_u64().expect("it is an index"), note.to_owned()));
            }
        }
        let all = [Self { ids: new, receipt }, Self { ids: old, receipt: None }];
        all.into_iter().filter(|ack| !ack.ids.is_empty()).collect()
    }

    fn of_held(lines: &[&str], given: &[Vec<NodeId>]) -> Vec<Self> {
        let ids = |number: &str| given[number.parse::<usize>().expect("it is a number")].clone();
        let read = |line: &&str| match line.split(' ').collect::<Vec<_>>().as_slice() {
            ["ack", number, index, _, note] => {
                let note = String::from_utf8(unhex(note)).expect("a note is text");
                Self { ids: ids(number), receipt: Some((index.parse().expect("it is an index"), note)) }
            }
            ["old", number] => Self { ids: ids(number), receipt: None },
            other => panic!("it said {other:?}"),
        };
        lines.iter().map(read).collect()
    }
}

/// A log as a reader sees it.
pub(super) struct Seen {
    leaves: Vec<Digest>,
    /// The root of each size.
    roots: Vec<Option<Digest>>,
    nodes: BTreeSet<NodeId>,
    /// How many nodes there are of each kind.
    counts: Vec<usize>,
    store: Store,
}

impl Seen {
    pub(super) fn read(dir: &Path) -> Result<Self, String> {
        let store = reader(dir).map_err(|error| format!("it can't be opened: {}", told(&error)))?;
        Self::of(store).map_err(|error| format!("it can't be read: {}", told(&error)))
    }

    fn of(store: Store) -> Result<Self, griptrace_store::ReadError> {
        let mut tree = Frontier::new(Rfc9162);
        let (mut leaves, mut roots) = (Vec::new(), vec![tree.root()]);
        for entry in store.entries(0..store.size())? {
            let leaf = Rfc9162::leaf_hash(&entry.bytes);
            tree.push(leaf).expect("the tree is not full");
            leaves.push(leaf);
            roots.push(tree.root());
        }
        let (mut nodes, mut counts) = (BTreeSet::new(), Vec::new());
        for kind in KINDS {
            let ids = store.of_kind(kind)?;
            counts.push(ids.len());
            nodes.extend(ids);
        }
        Ok(Self { leaves, roots, nodes, counts, store })
    }

    /// Compares with the log before, and with the log where nothing went wrong: it goes on from the one, and has as much as
    /// the other.
    pub(super) fn compare(&self, before: &Self, undisturbed: &Self) -> Vec<String> {
        let mut wrong = Vec::new();
        if !self.leaves.starts_with(&before.leaves) {
            wrong.push("lost: the log does not go on from what it was before".to_owned());
        }
        let lost = before.nodes.difference(&self.nodes).count();
        if lost > 0 {
            wrong.push(format!("lost: {lost} nodes from before are gone"));
        }
        if self.leaves.len() != undisturbed.leaves.len() {
            let (has, should) = (self.leaves.len(), undisturbed.leaves.len());
            wrong.push(format!("it has {has} entries, and {should} where nothing goes wrong: not once each"));
        }
        if self.counts != undisturbed.counts {
            wrong.push(format!("nodes of each kind: {:?}, not {:?}", self.counts, undisturbed.counts));
        }
        wrong
    }

    /// Compares with what was acknowledged.
    pub(super) fn check(&self, ack: &Ack) -> Vec<String> {
        let mut wrong = Vec::new();
        for id in &ack.ids {
            match (self.store.node(id), &ack.receipt) {
                (Err(error), _) => wrong.push(format!("node {id}: {}", told(&error))),
                (Ok(None), _) => wrong.push(format!("lost: node {id} was acknowledged")),
                (Ok(Some(node)), Some((index, _))) if node.index != *index => {
                    wrong.push(format!("node {id} is in leaf {}, and {index} was acknowledged", node.index));
                }
                (Ok(Some(_)), _) => {}
            }
        }
        let Some((index, note)) = &ack.receipt else { return wrong };
        match parse_note(note) {
            Ok(head) if head.size <= *index => wrong.push(format!("the receipt of {index} does not cover it")),
            Ok(head) if self.roots.get(narrow(head.size)) != Some(&Some(head.root)) => {
                wrong.push(format!("the receipt of {index} is of another log than this at size {}", head.size));
            }
            Ok(_) => {}
            Err(error) => wrong.push(format!("the receipt of {index}: {error}")),
        }
        wrong
    }
}
