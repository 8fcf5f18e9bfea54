//! The published entries of a log: over HTTP, or in a folder.

use std::{io, path::PathBuf};

use griptrace_core::tile::{EntryBundle, TILE_WIDTH, TileError, decode_entries, encode_entries};

use crate::fetch::{FetchError, Fetcher};

/// Bytes of the largest bundle: 256 entries of 65 535 bytes, each with its length.
const BUNDLE_BYTES_MAX: usize = 256 * (65_535 + 2);

/// Where a log publishes its entries (C2SP tlog-tiles).
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
    /// There is no such bundle.
    #[error("{path} is not published")]
    Missing {
        /// The path.
        path: String,
    },
    /// The bundle is no bundle of that width.
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

    /// Returns the bytes of a bundle. A partial one that is gone is cut from the full one (tlog-tiles lets logs
    /// remove partial tiles).
    ///
    /// # Errors
    /// [`TilesError`].
    pub async fn bundle(&self, bundle: EntryBundle) -> Result<Vec<u8>, TilesError> {
        let path = bundle.path();
        if let Some(bytes) = self.read(&path).await? {
            return Ok(bytes);
        }
        let malformed = |why| TilesError::Malformed { path: path.clone(), why };
        let whole = EntryBundle::new(bundle.index(), TILE_WIDTH).map_err(malformed)?;
        let missing = || TilesError::Missing { path: path.clone() };
        let bytes = if bundle.is_partial() { self.read(&whole.path()).await? } else { None }.ok_or_else(missing)?;
        let entries = decode_entries(&bytes, TILE_WIDTH).map_err(malformed)?;
        let entries: Vec<&[u8]> = entries.into_iter().take(bundle.width().into()).collect();
        encode_entries(&entries).map_err(malformed)
    }

    /// Reads a resource; `None` if there is none.
    async fn read(&self, path: &str) -> Result<Option<Vec<u8>>, TilesError> {
        match self {
            Self::Http { url, fetcher } => {
                let answer = fetcher.get(&format!("{url}/{path}"), BUNDLE_BYTES_MAX).await?;
                Ok((answer.status == 200).then_some(answer.body))
            }
            Self::Folder(folder) => {
                let file = folder.join(path);
                match tokio::task::spawn_blocking(move || std::fs::read(file)).await.map_err(io::Error::other).flatten()
                {
                    Ok(bytes) => Ok(Some(bytes)),
                    Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
                    Err(source) => Err(TilesError::Io { path: path.to_owned(), source }),
                }
            }
        }
    }
}
