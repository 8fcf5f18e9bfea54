//! Keys of committers that were rotated or revoked: which one counts now, and what the others recorded too late.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
};

use griptrace_core::{
    entry::{Entry, Genesis},
    id::KeyId,
    key::PublicKey,
    key_change::{KeyChange, KeyUse},
    key_history::{AsOf, KeyHistory},
    node::Mark,
};
use griptrace_store::StoredNode;

use crate::{
    error::CommandError,
    keyfile::{self, PrivateKey},
    log_source::Log,
    view::short,
    workspace::{Workspace, detail, vkey},
};

/// Where a folder has its keys.
const KEYS: &str = "keys";
/// Entries that are read at a time.
const CHUNK: u64 = 1_024;

/// A key that a log had before, as a trust file names it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Earlier {
    /// The key as checkpoints name it.
    pub(crate) vkey: String,
    /// The size up to which it signed.
    pub(crate) size: u64,
}

/// Returns the keys that a log had before that of now, the oldest first.
pub(crate) fn earlier(genesis: &Genesis, history: &KeyHistory) -> Result<Vec<Earlier>, CommandError> {
    let keys: Vec<(u64, &PublicKey)> = history.log_keys().collect();
    let ends = keys.iter().skip(1).map(|(from, _)| *from);
    let earlier = |((_, key), size): (&(u64, &PublicKey), u64)| {
        Ok(Earlier { vkey: vkey(&Genesis { key: (*key).clone(), ..genesis.clone() })?, size })
    };
    keys.iter().zip(ends).map(earlier).collect()
}

/// Returns a committer's key and those that followed it, the last one last.
pub(crate) fn followers(history: &KeyHistory, key: &KeyId) -> Vec<KeyId> {
    // At leaf 0 no key has followed one before it, so that the chain is the key and those that followed it later.
    history.chain(key, 0, AsOf::Now, &[])
}

/// Tells whether a committer's key came by its own right: no key that it followed, one after another, had been stolen when
/// it named the next.
fn is_genuine(history: &KeyHistory, changes: &[&KeyChange], key: &KeyId) -> bool {
    let mut at = *key;
    while let Some(change) = changes.iter().find(|c| c.successor.as_ref().is_some_and(|next| next.id() == at)) {
        let before = change.retired.id();
        if change.revoker.is_none() && followers(history, &before).get(1) != Some(&at) {
            return false;
        }
        at = before;
    }
    true
}

/// Tells which mark a node bears, of which day, why, and by which status.
fn bears(mark: Mark, status: &StoredNode) -> String {
    let day = status.core.date.map_or_else(String::new, |date| format!(" of {date}"));
    let reason = detail(status, "reason").map_or_else(String::new, |reason| format!(": {reason}"));
    format!("bears the mark {mark}{day} (status {}{reason})", short(&status.id))
}

impl Workspace {
    /// Returns the own party's keys before that of now to which no chain leads from there, each with the leaf before which it
    /// counts: revoked without a successor, or in another line. None of a log on a server, whose clients are not told of changes.
    pub(crate) fn unlinked_keys(&self, now: &KeyId) -> Result<Vec<(PublicKey, u64)>, CommandError> {
        let Log::Local(store) = &self.store else { return Ok(Vec::new()) };
        let (history, changes) = (store.key_history(), store.key_changes());
        let changes: Vec<&KeyChange> =
            changes.iter().map(|(_, change)| change).filter(|change| change.of == KeyUse::Committer).collect();
        let mut found: Vec<(PublicKey, u64)> = Vec::new();
        for text in &self.config.earlier {
            let key = PublicKey::parse(text).map_err(|e| CommandError::because("an earlier key of the settings", e))?;
            let id = key.id();
            let is_linked = id == *now || followers(&history, &id).contains(now);
            let end = history.end(&id).filter(|_| !is_linked && is_genuine(&history, &changes, &id));
            found.extend(end.map(|end| (key, end)));
        }
        Ok(found)
    }

    /// Reads the whole log, once, for the keys that signed its commits.
    pub(crate) fn signers(&self) -> Result<&BTreeSet<KeyId>, CommandError> {
        if let Some(found) = self.signers.get() {
            return Ok(found);
        }
        let mut found = BTreeSet::new();
        let (mut start, size) = (0, self.store.size());
        while start < size {
            let end = start.saturating_add(CHUNK).min(size);
            let entries = self.store.entries(start..end).map_err(|e| e.while_doing("cannot read the log"))?;
            found.extend(entries.iter().filter_map(|entry| match Entry::parse(&entry.bytes) {
                Ok(Entry::Commit(commit)) => Some(commit.key()),
                Ok(_) | Err(_) => None,
            }));
            start = end;
        }
        Ok(self.signers.get_or_init(|| found))
    }

    /// Returns the keys that the log had before that of now, the oldest first.
    pub(crate) fn earlier_log_keys(&self) -> Result<Vec<Earlier>, CommandError> {
        match &self.store {
            Log::Local(store) => earlier(store.genesis(), &store.key_history()),
            Log::Remote(remote) => earlier(remote.genesis(), remote.key_history()),
        }
    }

    /// Returns the committer's key that counts now: that of the settings, or the one that followed it. `None` if neither
    /// does.
    pub(crate) fn committer_now(&self) -> Result<Option<PublicKey>, CommandError> {
        let named = self.committer()?;
        let Log::Local(store) = &self.store else { return Ok(Some(named)) };
        let history = store.key_history();
        let last = followers(&history, &named.id()).last().copied().unwrap_or(named.id());
        if history.end(&last).is_some() {
            return Ok(None);
        }
        Ok(Some(history.key(&last).cloned().unwrap_or(named)))
    }

    /// Returns the leaf index from which on a committer's key does not count. What keys of a log on a server have ended its
    /// clients are not told.
    pub(crate) fn key_end(&self, key: &KeyId) -> Option<u64> {
        match &self.store {
            Log::Local(store) => store.key_end(key),
            Log::Remote(_) => None,
        }
    }

    /// Tells whether any committer's key of the log has ended.
    pub(crate) fn has_ended_keys(&self) -> bool {
        matches!(&self.store, Log::Local(store) if store.key_changes().iter().any(|(_, change)| change.of == KeyUse::Committer))
    }

    /// Returns the leaf index from which on the key that recorded a node does not count, if the node came at or after it:
    /// then it counts for nobody.
    pub(crate) fn ended_before(&self, node: &StoredNode) -> Option<u64> {
        self.key_end(&node.committer).filter(|end| *end <= node.index)
    }

    /// Tells whether a node was put aside by a mark, or counts for nobody.
    pub(crate) fn is_aside(&self, node: &StoredNode) -> Result<bool, CommandError> {
        Ok(self.ended_before(node).is_some() || self.put_aside(&node.id)?.is_some())
    }

    /// Tells why a node is put aside, as the rest of a sentence about it; `None` if it is not.
    pub(crate) fn why_aside(&self, node: &StoredNode) -> Result<Option<String>, CommandError> {
        if let Some(why) = self.why_void(node)? {
            return Ok(Some(why));
        }
        Ok(self.status_aside(&node.id)?.map(|(mark, status)| bears(mark, &status)))
    }

    /// Tells why nothing can be based on a node, as the rest of a sentence about it: a terminal mark, or a key that does not
    /// count. One that is merely superseded still counts.
    pub(crate) fn why_void(&self, node: &StoredNode) -> Result<Option<String>, CommandError> {
        let terminal = |status: &StoredNode| status.core.mark.filter(|mark| mark.is_terminal());
        let marks = self.marks(&node.id)?;
        let marked = marks.iter().rev().find_map(|status| Some(bears(terminal(status)?, status)));
        let ended = |since| format!("was recorded with a key that does not count from leaf {since} on");
        Ok(marked.or_else(|| self.ended_before(node).map(ended)))
    }

    /// Says how to go on where the settings name a committer's key that has ended.
    pub(crate) fn how_to_go_on(&self) -> Result<String, CommandError> {
        const COMMAND: &str = "`griptrace key record CHANGE --new KEYFILE`, with the change that ended the old key";
        Ok(match self.committer_now()? {
            Some(key) => format!("{COMMAND}, goes on with the key that followed it, {key}"),
            None => format!(
                "no key follows it: {COMMAND}, goes on with a key that `griptrace key new` made, which every buyer has to be told"
            ),
        })
    }

    /// Says so with an error, if the committer's key has ended.
    pub(crate) fn with_way_on(&self, error: CommandError) -> CommandError {
        let ended = self.committer().ok().and_then(|key| self.key_end(&key.id()));
        match ended.map(|_| self.how_to_go_on()) {
            Some(Ok(hint)) => error.with_hint(hint),
            Some(Err(_)) | None => error,
        }
    }

    /// Takes a key file into the folder's own keys, under a new name, unless it lies there already. Returns its path from the
    /// folder on.
    pub(crate) fn take_key(&self, file: &Path, word: &str) -> Result<PathBuf, CommandError> {
        let keys = self.folder().join(KEYS);
        std::fs::create_dir_all(&keys).map_err(|e| CommandError::file("create", &keys, e))?;
        let whole = |path: &Path| path.canonicalize().map_err(|e| CommandError::file("find", path, e));
        let found = whole(file)?;
        if let Ok(inside) = found.strip_prefix(whole(&keys)?) {
            return Ok(Path::new(KEYS).join(inside));
        }
        let path = self.free_name(word);
        keyfile::copy(file, &self.folder().join(&path))?;
        Ok(path)
    }

    /// Returns a name for one more key file, from the folder on.
    pub(crate) fn free_name(&self, word: &str) -> PathBuf {
        let name = |number: u32| Path::new(KEYS).join(format!("{word}-{number}.key"));
        (2..u32::MAX).map(name).find(|path| !self.folder().join(path).exists()).unwrap_or_default()
    }

    /// Reads a key file of the settings.
    pub(crate) fn own_key(&self, path: &Path) -> Result<PrivateKey, CommandError> {
        keyfile::read(&self.folder().join(path))
    }
}
