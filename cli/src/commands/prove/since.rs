//! What somebody has seen of the own log: an older bundle's newest checkpoint, or a saved one.

use std::path::{Path, PathBuf};

use griptrace_core::{
    bundle::{BundleView, LogPart, MAGIC},
    checkpoint::Checkpoint,
    entry::{Genesis, genesis_hash},
    fork::{ForkError, signed},
};

use crate::{
    context::read_bundle,
    error::CommandError,
    workspace::{Workspace, verifier},
};

/// A checkpoint that the own log's key signed.
#[derive(Debug)]
pub(super) struct Seen {
    path: PathBuf,
    pub(super) checkpoint: Checkpoint,
    /// The newest checkpoint of each other log that the file shows: not verified, since it only leads to a warning.
    others: Vec<Checkpoint>,
}

impl Seen {
    /// Reads a bundle or a checkpoint, and verifies that the own log signed it.
    pub(super) fn read(workspace: &Workspace, path: &Path) -> Result<Self, CommandError> {
        let bytes = read_bundle(path)?;
        let wrong = |why: String| CommandError::failed(format!("{} shows nothing of this log: {why}", path.display()));
        let genesis = workspace.store.genesis();
        let mut others = Vec::new();
        let note = if bytes.starts_with(MAGIC) {
            let bundle = BundleView::view(&bytes).map_err(|e| wrong(e.to_string()))?;
            let home = workspace.home();
            let is_own =
                |part: &LogPart<&[u8]>| part.entries.first().is_some_and(|first| genesis_hash(first.1) == home);
            let newest = |part: &LogPart<&[u8]>| part.anchors.last().map(|anchor| anchor.note.clone());
            let strangers = bundle.logs.iter().filter(|part| !is_own(part));
            others.extend(strangers.filter_map(|part| checkpoint_of(&newest(part)?)));
            let own = bundle.logs.iter().find(|part| is_own(part));
            own.and_then(newest).ok_or_else(|| wrong(format!("the bundle has no checkpoint of {}", genesis.origin)))?
        } else {
            String::from_utf8(bytes).map_err(|_| wrong("it is neither a bundle nor a checkpoint".to_owned()))?
        };
        // By whichever of the log's keys: an older file may be signed with one that has retired since.
        let mut shown = Err(ForkError::Unsigned);
        for key in workspace.store.log_keys() {
            let log = verifier(&Genesis { key, ..genesis.clone() })?;
            shown = signed(&log, &note);
            if !matches!(shown, Err(ForkError::Unsigned)) {
                break;
            }
        }
        let checkpoint = shown.map_err(|e| wrong(e.to_string()))?;
        Ok(Self { path: path.to_owned(), checkpoint, others })
    }

    /// Refuses a bundle that has another root at this size: then the own log forked.
    pub(super) fn check(&self, bundle: &[u8]) -> Result<(), CommandError> {
        let malformed = |e| CommandError::because("the bundle that was made can't be read", e);
        let bundle = BundleView::view(bundle).map_err(malformed)?;
        let notes = bundle.logs.first().into_iter().flat_map(|log| &log.anchors).map(|anchor| &anchor.note);
        let checkpoints = notes.filter_map(|note| checkpoint_of(note));
        let (origin, size, root) = (&self.checkpoint.origin, self.checkpoint.size, self.checkpoint.root);
        match checkpoints.into_iter().find(|own| own.size == size) {
            Some(own) if own.root == root => Ok(()),
            Some(own) => Err(CommandError::failed(format!(
                "the log {origin} forked: its checkpoints of size {size} have the root {} here and {root} in {}",
                own.root,
                self.path.display()
            ))
            .with_hint("a log that was set back goes on as another one: begin a new log, and tell who has that file")),
            None => Err(CommandError::failed(format!("the bundle has no checkpoint of size {size}"))),
        }
    }

    /// Returns the checkpoints of other logs that the older file shows and that a bundle has no link to: a buyer who
    /// compares the two finds `history-not-linked` there.
    pub(super) fn not_linked(&self, bundle: &[u8]) -> Vec<&Checkpoint> {
        let Ok(bundle) = BundleView::view(bundle) else { return Vec::new() };
        let shown: Vec<Checkpoint> = bundle
            .logs
            .iter()
            .flat_map(|part| &part.anchors)
            .filter_map(|anchor| checkpoint_of(&anchor.note))
            .collect();
        let is_in = |old: &&Checkpoint| shown.iter().any(|new| new.origin == old.origin);
        let is_linked = |old: &&Checkpoint| shown.iter().any(|new| new.origin == old.origin && new.size == old.size);
        self.others.iter().filter(is_in).filter(|old| !is_linked(old)).collect()
    }
}

fn checkpoint_of(note: &str) -> Option<Checkpoint> {
    let (text, _) = note.split_once("\n\n")?;
    Checkpoint::parse(&format!("{text}\n")).ok()
}
