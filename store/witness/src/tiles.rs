//! What a log publishes, its checkpoint, hashes and entries: over HTTP, in a folder, or wherever else.

use core::fmt;
use std::{io, path::PathBuf, sync::Arc};

use griptrace_core::{
    digest::Digest,
    limits::NOTE_BYTES_MAX,
    tile::{EntryBundle, TILE_WIDTH, Tile, TileError, decode_entries, decode_hashes, encode_entries},
};

use crate::fetch::{FetchError, Fetcher};

/// Bytes of the largest bundle: 256 entries of 65 535 bytes, each with its length.
const BUNDLE_BYTES_MAX: usize = 256 * (65_535 + 2);
/// Bytes of a full tile.
const TILE_BYTES_MAX: usize = 256 * 32;

/// What the checkpoint is called.
const CHECKPOINT: &str = "checkpoint";

/// Resources by name, wherever they are: in a bucket, or in a test.
pub trait Resources: fmt::Debug + Send + Sync {
    /// Reads a resource; `None` if there is none.
    ///
    /// # Errors
    /// What the system said.
    fn read(&self, path: &str) -> io::Result<Option<Vec<u8>>>;
}

/// Where a log publishes its checkpoint, hashes and entries (C2SP tlog-tiles).
#[derive(Clone, Debug)]
pub enum Tiles {
    /// Below an address.
    Http {
        /// The address.
        url: String,
        /// Who asks.
        fetcher: Fetcher,
    },
    /// In a folder.
    Folder(PathBuf),
    /// Elsewhere.
    Other(Arc<dyn Resources>),
}

/// Why entries can't be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TilesError {
    /// There was no answer.
    #[error(transparent)]
    Fetch(#[from] FetchError),
    /// The file can't be read.
    #[error("cannot read {path}")]
    Io {
        /// The path.
        path: String,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// The answer is neither yes nor no.
    #[error("{url} answers {status}")]
    Status {
        /// The address.
        url: String,
        /// The HTTP status.
        status: u16,
    },
    /// There is no such resource.
    #[error("{path} is not published")]
    Missing {
        /// The path.
        path: String,
    },
    /// The bundle or tile is none of that width.
    #[error("{path} is malformed: {why}")]
    Malformed {
        /// The path.
        path: String,
        /// What is wrong.
        why: TileError,
    },
    /// The tree has no such bundle.
    #[error("a tree of {size} entries has no bundle {index}")]
    NoBundle {
        /// Which one.
        index: u64,
        /// The size.
        size: u64,
    },
}

impl Tiles {
    /// Names the place: an address, or else a folder.
    pub fn at(place: &str, fetcher: &Fetcher) -> Self {
        if place.starts_with("http://") || place.starts_with("https://") {
            return Self::Http { url: place.trim_end_matches('/').to_owned(), fetcher: fetcher.clone() };
        }
        Self::Folder(PathBuf::from(place))
    }

    /// Returns the checkpoint's note.
    ///
    /// # Errors
    /// [`TilesError`].
    pub async fn checkpoint(&self) -> Result<Vec<u8>, TilesError> {
        let found = self.read(CHECKPOINT, NOTE_BYTES_MAX).await?;
        found.ok_or_else(|| TilesError::Missing { path: CHECKPOINT.to_owned() })
    }

    /// Returns the hashes of a tile. A partial one that is gone is cut from the full one.
    ///
    /// # Errors
    /// [`TilesError`].
    pub async fn hashes(&self, tile: Tile) -> Result<Vec<Digest>, TilesError> {
        let path = tile.path();
        let malformed = |why| TilesError::Malformed { path: path.clone(), why };
        if let Some(bytes) = self.read(&path, TILE_BYTES_MAX).await? {
            return decode_hashes(&bytes, tile.width()).map_err(malformed);
        }
        let missing = || TilesError::Missing { path: path.clone() };
        let whole = Tile::new(tile.level(), tile.index(), TILE_WIDTH).map_err(malformed)?;
        let bytes = if tile.is_partial() { self.read(&whole.path(), TILE_BYTES_MAX).await? } else { None };
        let mut hashes = decode_hashes(&bytes.ok_or_else(missing)?, TILE_WIDTH).map_err(malformed)?;
        hashes.truncate(tile.width().into());
        Ok(hashes)
    }

    /// Returns the bytes of a bundle. A partial one that is gone is cut from the full one (tlog-tiles lets logs
    /// remove partial tiles).
    ///
    /// # Errors
    /// [`TilesError`].
    pub async fn bundle(&self, bundle: EntryBundle) -> Result<Vec<u8>, TilesError> {
        let path = bundle.path();
        if let Some(bytes) = self.read(&path, BUNDLE_BYTES_MAX).await? {
            return Ok(bytes);
        }
        let malformed = |why| TilesError::Malformed { path: path.clone(), why };
        let whole = EntryBundle::new(bundle.index(), TILE_WIDTH).map_err(malformed)?;
        let missing = || TilesError::Missing { path: path.clone() };
        let bytes = if bundle.is_partial() { self.read(&whole.path(), BUNDLE_BYTES_MAX).await? } else { None }
            .ok_or_else(missing)?;
        let entries = decode_entries(&bytes, TILE_WIDTH).map_err(malformed)?;
        let entries: Vec<&[u8]> = entries.into_iter().take(bundle.width().into()).collect();
        encode_entries(&entries).map_err(malformed)
    }

    /// Reads a resource; `None` if there is none.
    async fn read(&self, path: &str, limit: usize) -> Result<Option<Vec<u8>>, TilesError> {
        match self {
            Self::Http { url, fetcher } => {
                let url = format!("{url}/{path}");
                let answer = fetcher.get(&url, limit).await?;
                match answer.status {
                    200 => Ok(Some(answer.body)),
                    404 | 410 => Ok(None),
                    status => Err(TilesError::Status { url, status }),
                }
            }
            Self::Folder(folder) => {
                let file = folder.join(path);
                blocking(path, move || match std::fs::read(file) {
                    Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
                    other => other.map(Some),
                })
                .await
            }
            Self::Other(resources) => {
                let (resources, name) = (Arc::clone(resources), path.to_owned());
                blocking(path, move || resources.read(&name)).await
            }
        }
    }
}

async fn blocking<T: Send + 'static>(
    path: &str,
    read: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> Result<T, TilesError> {
    let read = tokio::task::spawn_blocking(read).await.map_err(io::Error::other).flatten();
    read.map_err(|source| TilesError::Io { path: path.to_owned(), source })
}
