//! What the world may read of a log: its newest published checkpoint, and the tiles under it.
//!
//! The bytes are handed out as they rest: whoever reads them checks them against the checkpoint. What
//! is missing or has another length is derived again.

use griptrace_core::tile::{EntryBundle, Tile, TilePath, decode_entries, encode_entries, encode_hashes};

use crate::{
    cosigned,
    error::{ReadError, StorageError},
    head::Signature,
    store::Store,
    tiles::TileReader,
};

impl Store {
    /// Returns the newest published checkpoint, as a note. Should its copy for the world be lost, the
    /// newest signed one takes its place.
    ///
    /// # Errors
    /// `Storage` if the disk failed.
    pub fn published_checkpoint(&self) -> Result<Vec<u8>, ReadError> {
        self.published_copy().map(|(_, note)| note.into_bytes())
    }

    /// Returns a tile of the tree under the newest published checkpoint, or a bundle of its entries;
    /// `None` if that tree has none of it. A tile that has become wider is there at each of its
    /// widths.
    ///
    /// # Errors
    /// `Storage` if it has to be derived, and can't be.
    pub fn published(&self, path: TilePath) -> Result<Option<Vec<u8>>, ReadError> {
        let (size, _) = self.published_copy()?;
        if !is_in_tree(path, size) {
            return Ok(None);
        }
        let found = self.0.objects.read(&path.path())?.filter(|bytes| is_whole(path, bytes));
        match found {
            Some(bytes) => Ok(Some(bytes)),
            None => self.derived(path).map(Some),
        }
    }

    fn published_copy(&self) -> Result<(u64, String), ReadError> {
        let (size, note) = self.published_alone()?;
        // With what witnesses said of it, if they did; damage to that is for the audit to tell.
        let cosigned = cosigned::read(&self.0.objects, size).ok().flatten();
        let text = |note: &str| note.split_once("\n\n").map(|(text, _)| format!("{text}\n"));
        let cosigned = cosigned.filter(|cosigned| text(&note).as_deref() == Some(cosigned.text()));
        let cosigned = cosigned.and_then(|kept| cosigned::current(&kept).ok());
        Ok((size, cosigned.map_or(note, |cosigned| cosigned.to_text())))
    }

    fn published_alone(&self) -> Result<(u64, String), ReadError> {
        let keys = self.0.keys();
        let signature = Signature { keys: &keys.log };
        match signature.published(&self.0.objects) {
            Ok(Some(signed)) => Ok((signed.head.size, signed.note)),
            Ok(None) | Err(StorageError::Corrupt { .. }) => {
                let state = self.0.read();
                Ok((state.catalogue.size(), state.note.clone()))
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Derives a tile: the widest of its index that there is now, cut to the width that was asked for.
    fn derived(&self, path: TilePath) -> Result<Vec<u8>, ReadError> {
        self.0.ask(|state| {
            let mut reader = TileReader::new(&self.0.objects, &state.catalogue);
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
        })
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

fn is_whole(path: TilePath, bytes: &[u8]) -> bool {
    match path {
        TilePath::Hashes(tile) => bytes.len() == usize::from(tile.width()).saturating_mul(32),
        TilePath::Entries(bundle) => decode_entries(bytes, bundle.width()).is_ok(),
    }
}
