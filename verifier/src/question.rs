//! What the buyer asks (Rule R8: the buyer asks, the exporter does not).

use alloc::{string::String, vec::Vec};

use griptrace_core::{
    date::Date,
    digest::Digest,
    manifest::FileRecord,
    word::{Country, Word},
};

use crate::{known::Known, trust::Trust};

/// What the buyer asks of a bundle. None of it is read from the bundle.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Question {
    /// The day that counts as now.
    pub now: Date,
    /// Where the buyer is; the trust file's `expect` otherwise.
    pub destination: Option<Country>,
    /// Who the buyer is; the trust file's `expect` otherwise.
    pub consignee: Option<String>,
    /// What the buyer uses the model for.
    pub purposes: Vec<Word>,
    /// What the buyer has in hand.
    pub model: ModelInHand,
    /// What the buyer has from before, or from updates.
    pub known: Known,
}

impl Question {
    /// Returns the destination that is asked for: the question's, or else the trust file's.
    pub fn destination(&self, trust: &Trust) -> Option<Country> {
        self.destination.or(trust.expect.destination)
    }

    /// Returns the consignee that is asked for: the question's, or else the trust file's.
    pub fn consignee<'a>(&'a self, trust: &'a Trust) -> Option<&'a str> {
        self.consignee.as_deref().or(trust.expect.consignee.as_deref())
    }

    /// Returns the purposes that are asked for: the question's and the trust file's, sorted.
    pub fn purposes(&self, trust: &Trust) -> Vec<Word> {
        let mut purposes = self.purposes.clone();
        purposes.extend(trust.expect.purposes.iter().cloned());
        purposes.sort();
        purposes.dedup();
        purposes
    }
}

/// The file or files that the buyer has in hand.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum ModelInHand {
    /// None given.
    NotGiven,
    /// Only a digest of a file: BLAKE3, or SHA-256 where the manifest has it.
    Digest(Digest),
    /// One file, compared by its bytes; its path does not matter.
    File(FileRecord),
    /// A folder: exactly this set of files, sorted by path.
    Folder(Vec<FileRecord>),
}
