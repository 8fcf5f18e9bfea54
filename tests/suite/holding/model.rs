//! What a store was told and what it acknowledged, and the comparison with what it has.

use std::collections::BTreeMap;

use griptrace_core::{
    checkpoint::Checkpoint,
    digest::{Digest, file_digest},
    entry::Entry,
    id::NodeId,
    node::Kind,
    note::Note,
    tree::{Frontier, Rfc9162},
};
use griptrace_store::Store;
use griptrace_tests::seed::Rng;

use super::{factory::log_signer, quiet, told};

pub(super) const KINDS: [Kind; 7] =
    [Kind::Dataset, Kind::Transformation, Kind::Model, Kind::Assessment, Kind::Shipment, Kind::Status, Kind::Erasure];

/// How much is compared.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Depth {
    /// What is new, and some of the rest.
    New,
    /// Everything, and the store's own audit.
    Whole,
}

/// A commit that a child began.
#[derive(Debug)]
struct Tried {
    /// Each node with the digest of its record.
    nodes: Vec<(NodeId, Digest)>,
    /// What was acknowledged of it.
    receipt: Option<Receipt>,
    /// Whether the store has been seen to have it since: then it must not vanish.
    is_there: bool,
}

#[derive(Debug)]
struct Receipt {
    /// The leaf index; `None` of a child that lies, which knows none.
    index: Option<u64>,
    checkpoint: String,
}

/// What a store has to have.
pub(super) struct Model {
    /// All that may be there: what was never acknowledged and is not there is dropped.
    tried: Vec<Tried>,
    /// Those of `tried` that were compared before.
    compared: usize,
    tree: Frontier<Rfc9162>,
    leaves: Vec<Digest>,
    /// The root of each size.
    roots: Vec<Option<Digest>>,
    /// Nodes of the commit at each leaf.
    counts: BTreeMap<u64, u64>,
    pub(super) tally: Tally,
}

/// What came of it all.
#[derive(Clone, Copy, Default, Debug)]
pub(super) struct Tally {
    pub(super) acknowledged: u64,
    pub(super) kept_unacknowledged: u64,
    pub(super) gone_unacknowledged: u64,
    pub(super) nodes: u64,
}

impl Model {
    pub(super) fn new() -> Self {
        let tree = Frontier::new(Rfc9162);
        let roots = vec![tree.root()];
        Self {
            tried: Vec::new(),
            compared: 0,
            tree,
            leaves: Vec::new(),
            roots,
            counts: BTreeMap::new(),
            tally: Tally::default(),
        }
    }

    /// Takes in what a child said.
    pub(super) fn hear(&mut self, lines: &[String]) {
        let mut numbers: BTreeMap<&str, usize> = BTreeMap::new();
        for line in lines {
            let words: Vec<&str> = line.split(' ').collect();
            match words.as_slice() {
                ["open", _] => {}
                ["try", number, nodes @ ..] => {
                    numbers.insert(number, self.tried.len());
                    let nodes = nodes.iter().map(|node| parse_node(node).expect("it is ID:HASH")).collect();
                    self.tried.push(Tried { nodes, receipt: None, is_there: false });
                }
                ["ack", number, index, _, note] => {
                    let checkpoint = String::from_utf8(unhex(note)).expect("a note is text");
                    let index = Some(index.parse().expect("it is an index")).filter(|index| *index != 0);
                    let at = numbers.get(number).expect("it was tried before");
                    self.tried[*at].receipt = Some(Receipt { index, checkpoint });
                    self.tally.acknowledged += 1;
                }
                other => panic!("the child said {other:?}"),
            }
        }
    }

    /// Returns how many entries were seen.
    pub(super) fn size(&self) -> u64 {
        wide(self.leaves.len())
    }

    /// Compares a store with all this; returns what is wrong.
    pub(super) fn check(&mut self, store: &Store, depth: Depth, rng: &mut Rng) -> Vec<String> {
        let mut wrong = Vec::new();
        self.take_entries(store, depth, &mut wrong);
        self.check_head(store, &mut wrong);
        let compared = self.compared;
        let sample = |place: usize, rng: &mut Rng| depth == Depth::Whole || place >= compared || rng.one_in(50);
        let mut tried = core::mem::take(&mut self.tried);
        for (place, commit) in tried.iter_mut().enumerate() {
            if sample(place, rng) {
                self.check_commit(store, commit, place >= compared, &mut wrong);
            }
        }
        tried.retain(|commit| commit.is_there || commit.receipt.is_some());
        self.compared = tried.len();
        self.tried = tried;
        if depth == Depth::Whole {
            self.check_count(store, &mut wrong);
            check_audit(store, &mut wrong);
        }
        wrong
    }

    /// Reads the entries that are new, or all of them again, into the tree.
    fn take_entries(&mut self, store: &Store, depth: Depth, wrong: &mut Vec<String>) {
        let (seen, size) = (self.size(), store.size());
        if size < seen {
            wrong.push(format!("the log has {size} entries, and had {seen}"));
            return;
        }
        let from = if depth == Depth::Whole { 0 } else { seen };
        let entries = match store.entries(from..size) {
            Ok(entries) => entries,
            Err(error) => {
                wrong.push(format!("entries {from} to {size}: {}", told(&error)));
                return;
            }
        };
        for entry in entries {
            let leaf = Rfc9162::leaf_hash(&entry.bytes);
            if let Some(before) = self.leaves.get(narrow(entry.index)) {
                if *before != leaf {
                    wrong.push(format!("entry {} is another than before", entry.index));
                }
                continue;
            }
            if let Ok(Entry::Commit(commit)) = Entry::parse(&entry.bytes) {
                self.counts.insert(entry.index, commit.payload.count);
            }
            self.tree.push(leaf).expect("the tree is not full");
            self.leaves.push(leaf);
            self.roots.push(self.tree.root());
        }
    }

    fn check_head(&self, store: &Store, wrong: &mut Vec<String>) {
        match parse_note(&store.checkpoint()) {
            Ok(head) if head.size != store.size() => {
                wrong.push(format!("the checkpoint is of size {}, the log of {}", head.size, store.size()));
            }
            Ok(head) => self.check_root("the newest checkpoint", &head, wrong),
            Err(error) => wrong.push(format!("the newest checkpoint: {error}")),
        }
    }

    /// Compares a checkpoint with the root that the entries lead to at its size: an older head of the
    /// same tree has that root.
    fn check_root(&self, what: &str, head: &Checkpoint, wrong: &mut Vec<String>) {
        match self.roots.get(narrow(head.size)) {
            None => wrong.push(format!("{what} is of size {}, and the log has {} entries", head.size, self.size())),
            Some(root) if *root == Some(head.root) => {}
            Some(root) => wrong.push(format!("{what}, of size {}: {:?}, not {:?}", head.size, root, head.root)),
        }
    }

    fn check_commit(&mut self, store: &Store, commit: &mut Tried, is_new: bool, wrong: &mut Vec<String>) {
        let mut found = Vec::new();
        for (id, hash) in &commit.nodes {
            match store.node(id) {
                Ok(Some(node)) if file_digest(&node.record.to_bytes()) == *hash => found.push(node.index),
                Ok(Some(_)) => wrong.push(format!("node {id} is not what was committed")),
                Ok(None) => {}
                Err(error) => wrong.push(format!("node {id}: {}", told(&error))),
            }
        }
        let (has, of) = (found.len(), commit.nodes.len());
        let first = commit.nodes.first().map(|(id, _)| *id);
        let must = commit.receipt.is_some() || commit.is_there;
        if has != of && (has > 0 || must) {
            let what = if must { "lost" } else { "torn" };
            wrong.push(format!("{what}: of the commit of {first:?} {has} of {of} nodes are there"));
            return;
        }
        if is_new {
            self.count(commit, has > 0);
        }
        commit.is_there = has > 0;
        let Some(index) = found.first().copied() else { return };
        if found.iter().any(|other| *other != index) {
            wrong.push(format!("torn: the nodes of {first:?} are in several commits"));
        }
        if self.counts.get(&index).copied() != Some(wide(of)) {
            wrong.push(format!("commit {index} is of {:?} nodes, not {of}", self.counts.get(&index)));
        }
        if let Some(Receipt { index: Some(told), checkpoint }) = &commit.receipt {
            if *told != index {
                wrong.push(format!("commit {index} was acknowledged as {told}"));
            }
            match parse_note(checkpoint) {
                Ok(head) if head.size <= index => wrong.push(format!("the receipt of {index} does not cover it")),
                Ok(head) => self.check_root(&format!("the receipt of {index}"), &head, wrong),
                Err(error) => wrong.push(format!("the receipt of {index}: {error}")),
            }
        }
    }

    fn count(&mut self, commit: &Tried, is_there: bool) {
        let tally = &mut self.tally;
        match (commit.receipt.is_some(), is_there) {
            (false, true) => tally.kept_unacknowledged += 1,
            (false, false) => tally.gone_unacknowledged += 1,
            (true, _) => {}
        }
        if is_there {
            tally.nodes += wide(commit.nodes.len());
        }
    }

    /// Compares the number of nodes: there is nothing but what was committed.
    fn check_count(&self, store: &Store, wrong: &mut Vec<String>) {
        let listed: usize = KINDS.iter().map(|kind| store.of_kind(*kind).map_or(0, |ids| ids.len())).sum();
        let there: usize = self.tried.iter().filter(|commit| commit.is_there).map(|commit| commit.nodes.len()).sum();
        if listed != there {
            wrong.push(format!("{listed} nodes are listed, and {there} were committed"));
        }
    }
}

/// Lets the store check itself.
pub(super) fn check_audit(store: &Store, wrong: &mut Vec<String>) {
    match store.fsck(&quiet) {
        Ok(report) => wrong.extend(report.faults.iter().map(|fault| format!("fsck: {}: {}", fault.object, fault.why))),
        Err(error) => wrong.push(format!("fsck: {}", told(&error))),
    }
}

/// Reads a checkpoint that the log signed.
pub(super) fn parse_note(text: &str) -> Result<Checkpoint, String> {
    let note = Note::parse(text.as_bytes()).map_err(|error| told(&error))?;
    let signed = note.verify(&[log_signer().verifier().clone()]).map_err(|error| told(&error))?;
    if signed.is_empty() {
        return Err("it is not signed by the log".to_owned());
    }
    Checkpoint::parse(note.text()).map_err(|error| told(&error))
}

fn parse_node(text: &str) -> Option<(NodeId, Digest)> {
    let (id, hash) = text.split_once(':')?;
    Some((NodeId::from_hex(id)?, Digest::from_hex(hash)?))
}

pub(super) fn unhex(text: &str) -> Vec<u8> {
    let digit = |at: usize| u8::from_str_radix(&text[at..at + 2], 16).expect("they are hexadecimal digits");
    (0..text.len() / 2).map(|place| digit(place * 2)).collect()
}

pub(super) fn wide(number: usize) -> u64 {
    u64::try_from(number).expect("it fits 64 bits")
}

pub(super) fn narrow(number: u64) -> usize {
    usize::try_from(number).expect("it is a length")
}
