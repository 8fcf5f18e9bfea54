//! The digests that a file in the buyer's hand is compared by.

use griptrace_core::digest::Digest;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

/// Bytes that both hashes take in turn: few enough that the second finds them in the processor's cache.
const TURN: usize = 64 << 10;

/// A file that comes in chunks, hashed with both hashes in one reading, so that both are of the same bytes.
#[derive(Default)]
pub(crate) struct Hashing {
    blake3: blake3::Hasher,
    sha256: Sha256,
    size: u64,
}

impl Hashing {
    /// Takes the next bytes.
    pub(crate) fn update(&mut self, chunk: &[u8]) {
        for bytes in chunk.chunks(TURN) {
            self.blake3.update(bytes);
            self.sha256.update(bytes);
        }
        self.size = self.size.saturating_add(u64::try_from(chunk.len()).unwrap_or(u64::MAX));
    }

    /// Returns the file's record, but for its path.
    pub(crate) fn finish(self) -> Value {
        json!({
            "size": self.size,
            "blake3": Digest::from_bytes(*self.blake3.finalize().as_bytes()).to_string(),
            "sha256": Digest::from_bytes(self.sha256.finalize().into()).to_string(),
        })
    }
}

#[cfg(test)]
mod tests {
    use griptrace_core::digest::file_digest;

    use super::*;

    #[test]
    fn chunks_are_hashed_as_the_whole() {
        let bytes: Vec<u8> = (0..100_000_u32).map(|n| n.to_le_bytes()[0]).collect();
        let mut hashing = Hashing::default();
        bytes.chunks(999).for_each(|chunk| hashing.update(chunk));
        let found = hashing.finish();
        assert_eq!(found["size"], 100_000);
        assert_eq!(found["blake3"], file_digest(&bytes).to_string());
        assert_eq!(found["sha256"], Digest::from_bytes(Sha256::digest(&bytes).into()).to_string());
    }

    #[test]
    fn an_empty_file_has_the_digests_of_nothing() {
        let found = Hashing::default().finish();
        assert_eq!(found["sha256"], "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
        assert_eq!(found["blake3"], "af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262");
    }
}
