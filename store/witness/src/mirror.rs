//! A mirror of a log: the newest checkpoint that was seen, and everything that the log publishes under it.
//!
//! What is copied is checked before it is written: the tiles lead to the checkpoint's root, from above to below, and the
//! entries to the tiles; so what is damaged is named. The log's checkpoint is kept before anything is copied, so that no later one is
//! taken that does not extend it, and is published in the mirror only when all under it is there. A crash leaves tiles that lead
//! to the checkpoint that was kept; the next time goes on from there.

mod tree;

use core::time::Duration;
use std::{io, sync::Arc};

use griptrace_core::{
    checkpoint::Checkpoint,
    digest::Digest,
    fork::Fork,
    note::{Note, NoteError, NoteVerifier},
    tile::{EntryBundle, TILE_HEIGHT, Tile, TileError, decode_entries, encode_hashes},
    tree::{ProofError, Rfc9162, TreeSize, verify_consistency},
};
use tokio::time::timeout;

use self::tree::Tree;
use crate::{
    judge::{self, Refusal},
    shelf::Shelf,
    tiles::{Resources, Tiles, TilesError},
};

/// The newest checkpoint that was seen.
const SEEN: &str = "seen";
/// The folder that is published: what the log publishes, and nothing else.
pub const PUBLISHED: &str = "log";
/// The folder of what was held against the log.
pub const EVIDENCE: &str = "evidence";
/// Levels of tiles that a tree may have.
const LEVELS: u8 = 8;
/// How long one resource may take to come.
const READ_MAX: Duration = Duration::from_secs(30);

/// A mirror of one log.
#[derive(Clone, Debug)]
pub struct Mirror {
    shelf: Arc<dyn Shelf>,
    /// The log's keys, in the order in which they were in use.
    keys: Vec<NoteVerifier>,
}

/// A checkpoint that a key of the log signed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Signed {
    /// The whole note.
    pub note: Note,
    /// What it says.
    pub checkpoint: Checkpoint,
}

/// What came of following a log.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Synced {
    /// The log's newest checkpoint.
    pub checkpoint: Checkpoint,
    /// How many entries the mirror had before.
    pub before: u64,
}

/// What a log did that none may do.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Lie {
    /// Its checkpoint is of a smaller size than one that was seen.
    #[error("shrank")]
    Shrank,
    /// Two checkpoints of one size have different roots.
    #[error("forked")]
    TwoRoots,
    /// The smaller checkpoint is not the beginning of the larger one.
    #[error("forked: what it shows does not extend what was seen")]
    NotExtended,
}

/// Why a log could not be followed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MirrorError {
    /// What it publishes can't be read.
    #[error(transparent)]
    Tiles(#[from] TilesError),
    /// A resource did not come in time.
    #[error("{path} did not come within {seconds} s")]
    Late {
        /// The path.
        path: String,
        /// How long was waited.
        seconds: u64,
    },
    /// The checkpoint is no signed note.
    #[error("the checkpoint is malformed: {0}")]
    Note(NoteError),
    /// The checkpoint is of another log.
    #[error("the checkpoint is of the log {found}, not of {expected}")]
    Origin {
        /// Whose it is.
        found: String,
        /// Whose it should be.
        expected: String,
    },
    /// The checkpoint is not taken.
    #[error("the checkpoint is refused: {0}")]
    Refused(Refusal),
    /// A tile or bundle is not what the tiles above it say.
    #[error("{path} is damaged: {why}")]
    Damaged {
        /// The path.
        path: String,
        /// What is wrong.
        why: String,
    },
    /// The log broke its promise, and what shows it was kept.
    #[error(
        "the log {origin} {lie}: it was seen at size {seen}, and shows size {shown}; what shows it is kept in {evidence}"
    )]
    Lie {
        /// The log.
        origin: String,
        /// What it did.
        lie: Lie,
        /// The size that was seen.
        seen: u64,
        /// The size that it shows.
        shown: u64,
        /// The file, in the mirror's folder.
        evidence: String,
    },
    /// A proof can't be made.
    #[error("cannot prove how the log grew: {0}")]
    Proof(ProofError),
    /// What the mirror keeps can't be read.
    #[error("{name} is damaged: {why}")]
    Kept {
        /// The file.
        name: String,
        /// What is wrong.
        why: String,
    },
    /// The mirror can't be read or written.
    #[error("cannot read or write {name}")]
    Io {
        /// The file.
        name: String,
        /// What the system said.
        #[source]
        source: io::Error,
    },
}

/// What stands in the published folder, as something to read from.
#[derive(Debug)]
struct Own(Arc<dyn Shelf>);

impl Resources for Own {
    fn read(&self, path: &str) -> io::Result<Option<Vec<u8>>> {
        self.0.read(&format!("{PUBLISHED}/{path}"))
    }
}

impl Mirror {
    /// Makes the mirror of a log in a folder. The keys stand in the order in which they were in use; one process at a time may
    /// [`Self::sync`].
    pub fn new(shelf: Arc<dyn Shelf>, keys: Vec<NoteVerifier>) -> Self {
        Self { shelf, keys }
    }

    /// Returns the log's name.
    pub fn origin(&self) -> &str {
        self.keys.first().map_or("", NoteVerifier::name)
    }

    /// Returns the newest checkpoint that was seen.
    ///
    /// # Errors
    /// `Kept`, `Io`.
    pub fn seen(&self) -> Result<Option<Signed>, MirrorError> {
        let (seen, mirrored) = (self.kept(SEEN)?, self.mirrored()?);
        // Should one of them be lost, the other one is what was seen.
        let size = |signed: &Option<Signed>| signed.as_ref().map_or(0, |signed| signed.checkpoint.size);
        Ok(if size(&seen) >= size(&mirrored) { seen } else { mirrored })
    }

    /// Returns the checkpoint under which everything is here.
    ///
    /// # Errors
    /// `Kept`, `Io`.
    pub fn mirrored(&self) -> Result<Option<Signed>, MirrorError> {
        self.kept(&published("checkpoint"))
    }

    /// Returns the names of the files that are held against the log, sorted.
    ///
    /// # Errors
    /// `Io`.
    pub fn evidence(&self) -> Result<Vec<String>, MirrorError> {
        let mut names = self.shelf.list(EVIDENCE).map_err(io(EVIDENCE))?;
        names.sort();
        Ok(names.into_iter().map(|name| format!("{EVIDENCE}/{name}")).collect())
    }

    /// Takes the log's newest checkpoint, which has to extend the one that was seen, and copies what is new under it.
    ///
    /// # Errors
    /// [`MirrorError`]; what was copied until then is not copied again.
    pub async fn sync(&self, source: &Tiles) -> Result<Synced, MirrorError> {
        let seen = self.seen()?;
        let shown = self.shown(source, seen.as_ref()).await?;
        let size = shown.checkpoint.size;
        let mut tree = match &seen {
            Some(seen) if seen.checkpoint.size >= size => {
                if let Some(lie) = went_back(&seen.checkpoint, &shown.checkpoint) {
                    return Err(self.lie(seen, &shown, lie, &[])?);
                }
                None
            }
            Some(seen) => {
                let mut tree = Tree::open(source, &shown.checkpoint).await?;
                self.check_growth(seen, &shown, &mut tree).await?;
                Some(tree)
            }
            None => Some(Tree::open(source, &shown.checkpoint).await?),
        };
        // Before anything is copied: whatever comes later has to extend it. That of the same size may have more cosignatures.
        self.write(SEEN, shown.note.to_text().as_bytes())?;
        let before = self.mirrored()?.map_or(0, |mirrored| mirrored.checkpoint.size);
        if before < size {
            let tree = match &mut tree {
                Some(tree) => tree,
                None => tree.insert(Tree::open(source, &shown.checkpoint).await?),
            };
            self.copy(tree, before).await?;
        }
        self.write(&published("checkpoint"), shown.note.to_text().as_bytes())?;
        self.remove_superfluous(before, size)?;
        Ok(Synced { checkpoint: shown.checkpoint, before })
    }

    /// Returns the root that the mirrored log had at a size; `None` if it did not reach that.
    ///
    /// # Errors
    /// [`MirrorError`] if the mirror itself is damaged.
    pub async fn root_at(&self, size: u64) -> Result<Option<Digest>, MirrorError> {
        let Some(mirrored) = self.mirrored()?.filter(|mirrored| mirrored.checkpoint.size >= size) else {
            return Ok(None);
        };
        let own = Tiles::Other(Arc::new(Own(Arc::clone(&self.shelf))));
        let mut tree = Tree::open(&own, &mirrored.checkpoint).await?;
        tree.root_at(size).await.map(Some)
    }

    /// Reads the log's checkpoint, which one of its keys has to have signed.
    async fn shown(&self, source: &Tiles, seen: Option<&Signed>) -> Result<Signed, MirrorError> {
        let bytes = in_time("checkpoint", source.checkpoint()).await?;
        let note = Note::parse(&bytes).map_err(MirrorError::Note)?;
        let shown = self.signed(note)?;
        if let Some(seen) = seen {
            judge::in_use(&shown.note, &seen.note, &self.keys).map_err(MirrorError::Refused)?;
        }
        Ok(shown)
    }

    fn signed(&self, note: Note) -> Result<Signed, MirrorError> {
        let checkpoint = judge::checkpoint(&note).map_err(MirrorError::Refused)?;
        if checkpoint.origin != self.origin() {
            let (found, expected) = (checkpoint.origin, self.origin().to_owned());
            return Err(MirrorError::Origin { found, expected });
        }
        judge::signed(&note, &self.keys).map_err(MirrorError::Refused)?;
        if checkpoint.size == 0 && checkpoint.root != Rfc9162::EMPTY_ROOT {
            return Err(MirrorError::Refused(Refusal::EmptyRoot));
        }
        Ok(Signed { note, checkpoint })
    }

    async fn check_growth(&self, seen: &Signed, shown: &Signed, tree: &mut Tree<'_>) -> Result<(), MirrorError> {
        let (old, new) = (&seen.checkpoint, &shown.checkpoint);
        if old.size == 0 {
            return Ok(());
        }
        let proof = tree.consistency(old.size).await?;
        let sizes = (TreeSize::new(old.size), TreeSize::new(new.size));
        match verify_consistency(&Rfc9162, sizes.0, &old.root, sizes.1, &new.root, &proof) {
            Ok(()) => Ok(()),
            // The tiles that the proof is made of lead to the root that was signed: it is the log that does not.
            Err(_) => Err(self.lie(seen, shown, Lie::NotExtended, &proof)?),
        }
    }

    /// Keeps what shows a lie, once.
    fn lie(&self, seen: &Signed, shown: &Signed, lie: Lie, proof: &[Digest]) -> Result<MirrorError, MirrorError> {
        let (origin, old, new) = (self.origin().to_owned(), seen.checkpoint.size, shown.checkpoint.size);
        let (before, now) = (seen.note.to_text(), shown.note.to_text());
        let fork =
            self.keys.iter().rev().map(|vkey| Fork { vkey: vkey.clone(), before: before.clone(), now: now.clone() });
        // Of one size, others can check it (docs/spec/fork.md); of two, nothing is proven without the tree.
        let fork = fork.filter(|_| lie == Lie::TwoRoots).find(|fork| fork.check(&fork.vkey).is_ok());
        let (ending, text) = if let Some(fork) = fork {
            ("fork", fork.to_text())
        } else {
            let proof: Vec<String> = proof.iter().map(|digest| format!("{digest}\n")).collect();
            let text = format!(
                "the log {origin} {lie}\n\nseen before:\n\n{before}\nshown now:\n\n{now}\nconsistency proof:\n\n{}",
                proof.concat()
            );
            ("txt", text)
        };
        let root: String = shown.checkpoint.root.to_string().chars().take(16).collect();
        let evidence = format!("{EVIDENCE}/{old}-{new}-{root}.{ending}");
        if self.read(&evidence)?.is_none() {
            self.write(&evidence, text.as_bytes())?;
        }
        Ok(MirrorError::Lie { origin, lie, seen: old, shown: new, evidence })
    }

    /// Copies the tiles and entries that a log of `before` entries had not, each after it was checked.
    async fn copy(&self, tree: &mut Tree<'_>, before: u64) -> Result<(), MirrorError> {
        for level in (0..LEVELS).rev() {
            let first = full_tiles(level, before);
            let size = tree.size();
            for tile in (first..).map_while(|index| Tile::in_tree(level, index, size)) {
                let hashes = tree.tile(tile).await?.to_vec();
                let bytes = encode_hashes(&hashes).map_err(|why| malformed(tile.path(), &why))?;
                self.write_new(&published(&tile.path()), &bytes)?;
                if level == 0 {
                    self.copy_entries(tree, tile.index(), &hashes).await?;
                    tree.forget(tile);
                }
            }
        }
        Ok(())
    }

    /// Copies the entries under a tile of level 0, unless they are here.
    async fn copy_entries(&self, tree: &Tree<'_>, index: u64, hashes: &[Digest]) -> Result<(), MirrorError> {
        let Some(bundle) = EntryBundle::in_tree(index, tree.size()) else { return Ok(()) };
        let name = published(&bundle.path());
        if self.read(&name)?.is_some_and(|bytes| check_entries(bundle, &bytes, hashes).is_ok()) {
            return Ok(());
        }
        let bytes = in_time(&bundle.path(), tree.source().bundle(bundle)).await?;
        check_entries(bundle, &bytes, hashes)?;
        self.write(&name, &bytes)
    }

    /// Removes partial tiles in whose place the full one stands now. A crash leaves them; they are right, and nobody reads them.
    fn remove_superfluous(&self, before: u64, size: u64) -> Result<(), MirrorError> {
        for level in 0..LEVELS {
            let index = full_tiles(level, before);
            let is_full = Tile::in_tree(level, index, size).is_some_and(|tile| !tile.is_partial());
            let partial =
                [Tile::new(level, index, 1).map(Tile::path), EntryBundle::new(index, 1).map(EntryBundle::path)];
            for path in partial.into_iter().flatten().take(if level == 0 { 2 } else { 1 }).filter(|_| is_full) {
                let Some((folder, _)) = path.rsplit_once('/') else { continue };
                let folder = published(folder);
                self.shelf.remove(&folder).map_err(io(&folder))?;
            }
        }
        Ok(())
    }

    fn kept(&self, name: &str) -> Result<Option<Signed>, MirrorError> {
        let Some(bytes) = self.read(name)? else { return Ok(None) };
        let damaged = |why: String| MirrorError::Kept { name: name.to_owned(), why };
        let note = Note::parse(&bytes).map_err(|e| damaged(e.to_string()))?;
        self.signed(note).map(Some).map_err(|e| damaged(e.to_string()))
    }

    fn read(&self, name: &str) -> Result<Option<Vec<u8>>, MirrorError> {
        self.shelf.read(name).map_err(io(name))
    }

    fn write(&self, name: &str, bytes: &[u8]) -> Result<(), MirrorError> {
        self.shelf.replace(name, bytes).map_err(io(name))
    }

    /// Writes a file unless it is there as it should be.
    fn write_new(&self, name: &str, bytes: &[u8]) -> Result<(), MirrorError> {
        if self.read(name)?.is_some_and(|there| there == bytes) { Ok(()) } else { self.write(name, bytes) }
    }
}

/// Tells what is wrong with a checkpoint that is no larger than the one that was seen.
fn went_back(seen: &Checkpoint, shown: &Checkpoint) -> Option<Lie> {
    if shown.size < seen.size {
        return Some(Lie::Shrank);
    }
    (shown.root != seen.root).then_some(Lie::TwoRoots)
}

/// Returns how many full tiles of a level a log of `size` entries has.
fn full_tiles(level: u8, size: u64) -> u64 {
    let height = u32::from(level).saturating_add(1).saturating_mul(TILE_HEIGHT.into());
    size.checked_shr(height).unwrap_or(0)
}

fn published(path: &str) -> String {
    format!("{PUBLISHED}/{path}")
}

/// Compares entries with the hashes over them.
fn check_entries(bundle: EntryBundle, bytes: &[u8], hashes: &[Digest]) -> Result<(), MirrorError> {
    let entries = decode_entries(bytes, bundle.width()).map_err(|why| malformed(bundle.path(), &why))?;
    let wrong = entries.iter().zip(hashes).position(|(entry, hash)| Rfc9162::leaf_hash(entry) != *hash);
    match wrong {
        None => Ok(()),
        Some(at) => {
            let why = format!("its entry {at} is not the one that the tile above it has the hash of");
            Err(MirrorError::Damaged { path: bundle.path(), why })
        }
    }
}

fn malformed(path: String, why: &TileError) -> MirrorError {
    MirrorError::Damaged { path, why: why.to_string() }
}

fn io(name: &str) -> impl FnOnce(io::Error) -> MirrorError {
    move |source| MirrorError::Io { name: name.to_owned(), source }
}

/// Waits for a resource, and not for ever.
async fn in_time<T>(path: &str, read: impl Future<Output = Result<T, TilesError>>) -> Result<T, MirrorError> {
    let late = |_| MirrorError::Late { path: path.to_owned(), seconds: READ_MAX.as_secs() };
    match timeout(READ_MAX, read).await.map_err(late)? {
        Err(TilesError::Malformed { path, why }) => Err(malformed(path, &why)),
        other => Ok(other?),
    }
}

#[cfg(test)]
mod tests;
