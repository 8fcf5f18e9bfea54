//! What the world may read of a log: its newest published checkpoint, and the tiles under it.
//!
//! The bytes are hashed up to the published root before they are handed out: others keep a tile for ever. What is missing or
//! damaged is derived again.

use std::sync::PoisonError;

use griptrace_core::tile::{EntryBundle, Tile, TilePath, encode_entries, encode_hashes};

use crate::{
    State, cosigned,
    error::{ReadError, StorageError},
    head::{CHECKPOINT, Head, Signature, Signed},
    log_keys::LogKeys,
    store::{Inner, Store},
    tiles::TileReader,
};

/// What was published when it was read.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Published {
    head: Head,
    note: String,
}

impl Published {
    /// Returns how many entries the log has under it.
    pub const fn size(&self) -> u64 {
        self.head.size
    }

    /// Returns the checkpoint, as a note.
    pub fn note(&self) -> &str {
        &self.note
    }
}

impl Store {
    /// Returns the newest published checkpoint, as a note. Should its copy for the world be lost, the
    /// newest signed one takes its place.
    ///
    /// # Errors
    /// `Storage` if the disk failed.
    pub fn published_checkpoint(&self) -> Result<Vec<u8>, ReadError> {
        self.newest_published().map(|published| published.note.into_bytes())
    }

    /// Returns the newest published checkpoint, to ask for tiles under it without reading it again. Where its copy for the world is
    /// lost that may be older than what was returned before, if this process follows another one.
    ///
    /// # Errors
    /// `Storage` if the disk failed.
    pub fn newest_published(&self) -> Result<Published, ReadError> {
        let Signed { head, note, .. } = self.published_alone()?;
        // With what witnesses said of it, if they did; damage to that is for the audit to tell.
        let cosigned = cosigned::read(&self.0.objects, head.size).ok().flatten();
        let text = |note: &str| note.split_once("\n\n").map(|(text, _)| format!("{text}\n"));
        let cosigned = cosigned.filter(|cosigned| text(&note).as_deref() == Some(cosigned.text()));
        let cosigned = cosigned.and_then(|kept| cosigned::current(&kept).ok());
        Ok(Published { head, note: cosigned.map_or(note, |cosigned| cosigned.to_text()) })
    }

    /// Returns a tile of the tree under the newest published checkpoint, or a bundle of its entries;
    /// `None` if that tree has none of it. A tile that has become wider is there at each of its
    /// widths.
    ///
    /// # Errors
    /// `Storage` if it has to be derived, and can't be.
    pub fn published(&self, path: TilePath) -> Result<Option<Vec<u8>>, ReadError> {
        let Signed { head, note, .. } = self.published_alone()?;
        self.published_under(&Published { head, note }, path)
    }

    /// Returns a tile as [`Self::published`] does, of the tree under a published checkpoint that was read before.
    ///
    /// # Errors
    /// `Storage` if it has to be derived, and can't be.
    pub fn published_under(&self, published: &Published, path: TilePath) -> Result<Option<Vec<u8>>, ReadError> {
        let head = published.head;
        if !is_in_tree(path, head.size) {
            return Ok(None);
        }
        let bytes = self.0.ask(|state| {
            let mut reader = self.0.published_tiles(state, head)?;
            read(&mut reader, path)
        })?;
        self.0.put_back(path, &bytes);
        Ok(Some(bytes))
    }

    fn published_alone(&self) -> Result<Signed, ReadError> {
        let inner = &self.0;
        let read = |keys: &LogKeys| (Signature { keys }).published(&inner.objects);
        let known = inner.read();
        let mut found = read(&known.keys.log);
        if let Err(StorageError::Corrupt { .. }) = found {
            // Signed with a key that came since, perhaps. No more is read for it: anybody may ask, again and again.
            let stored = LogKeys::stored(&inner.objects, &inner.genesis)?;
            if let Some(keys) = stored.filter(|keys| keys.go_on_from(&known.keys.log, known.catalogue.size())) {
                found = read(&keys);
            }
        }
        match found {
            Ok(Some(signed)) => Ok(signed),
            Ok(None) | Err(StorageError::Corrupt { .. }) => {
                let state = inner.read();
                let head = Head { size: state.catalogue.size(), root: state.catalogue.root() };
                Ok(Signed { object: CHECKPOINT, head, note: state.note.clone() })
            }
            Err(error) => Err(error.into()),
        }
    }
}

impl Inner {
    /// Begins to read the tiles of the published tree. Its right edge is read once for all who ask.
    fn published_tiles<'a>(&'a self, state: &'a State, head: Head) -> Result<TileReader<'a>, StorageError> {
        let mut known = self.edge.lock().unwrap_or_else(PoisonError::into_inner);
        let mut reader = TileReader::at(&self.objects, &state.catalogue, head);
        if let Some((_, edge)) = known.as_ref().filter(|(of, _)| *of == head) {
            return Ok(reader.with_edge(edge.clone()));
        }
        *known = Some((head, reader.edge()?));
        Ok(reader)
    }

    /// Puts a narrower tile that the tree had once right again, if it is damaged and this process writes; what a wider one
    /// needs `TileReader` puts back.
    fn put_back(&self, path: TilePath, bytes: &[u8]) {
        let name = path.path();
        let is_damaged = || matches!(self.objects.read(&name), Ok(Some(found)) if found != bytes);
        if self.objects.is_writer() && name.contains(".p/") && is_damaged() {
            // Where it can't be written, it is right all the same the next time.
            drop(self.objects.put(&name, bytes));
        }
    }
}

/// Reads a tile: the widest of its index that there is, cut to the width that was asked for.
fn read(reader: &mut TileReader<'_>, path: TilePath) -> Result<Vec<u8>, ReadError> {
    let beyond = || StorageError::corrupt(path.path(), "the log has no such tile");
    let wrong = |error| StorageError::corrupt(path.path(), error);
    match path {
        TilePath::Hashes(tile) => {
            let widest = Tile::in_tree(tile.level(), tile.index(), reader.size()).ok_or_else(beyond)?;
            let mut hashes = reader.hashes(widest)?;
            hashes.truncate(tile.width().into());
            Ok(encode_hashes(&hashes).map_err(wrong)?)
        }
        TilePath::Entries(bundle) => {
            let widest = EntryBundle::in_tree(bundle.index(), reader.size()).ok_or_else(beyond)?;
            let entries = reader.bundle(widest)?.iter().take(bundle.width().into());
            let entries: Vec<&[u8]> = entries.map(Vec::as_slice).collect();
            Ok(encode_entries(&entries).map_err(wrong)?)
        }
    }
}

/// Tells whether a tree of `size` leaves has a tile at least as wide.
fn is_in_tree(path: TilePath, size: u64) -> bool {
    match path {
        TilePath::Hashes(tile) => {
            Tile::in_tree(tile.level(), tile.index(), size).is_some_and(|widest| tile.width() <= widest.width())
        }
        TilePath::Entries(bundle) => {
            EntryBundle::in_tree(bundle.index(), size).is_some_and(|widest| bundle.width() <= widest.width())
        }
    }
}
