//! What a bundle says, without anything that proves it: for who holds the records and judges them again.
//!
//! Nothing here is read from a file or written to one. A holder who trusts the own store needs no proof of what is in
//! it; somebody else gets a bundle, and `griptrace-verifier` never takes this for one.

use alloc::{sync::Arc, vec::Vec};

use crate::{
    bundle::{
        Anchor, Bundle, BundleError, BundleView, CommitPart, Disclosure, LogPart, ManifestOpening, StatusPart,
        SubjectOpening, read_file,
    },
    details::Opening,
};

/// The content of a bundle without its proofs; of a manifest there is only that it is opened. What it says of details, subjects, statuses, commits and
/// checkpoints is what its maker put there.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Unproven<B = Vec<u8>>(Bundle<B>);

impl Unproven<Arc<[u8]>> {
    /// Takes the content of a bundle's file, which its holder made.
    ///
    /// # Errors
    /// [`BundleError`].
    pub fn of_file(file: &[u8]) -> Result<Self, BundleError> {
        read_file(file).map(Self::of)
    }
}

impl<B: Default> Unproven<B> {
    /// Takes the content, and drops what proves it.
    pub fn of(mut content: Bundle<B>) -> Self {
        for log in &mut content.logs {
            log.inclusion = Vec::new();
            log.commits.iter_mut().for_each(|part| part.proof = Vec::new());
            for anchor in &mut log.anchors {
                anchor.consistency = Vec::new();
                anchor.status.iter_mut().for_each(|status| status.proof = B::default());
            }
        }
        content.openings.iter_mut().for_each(|opening| opening.proof = Vec::new());
        content.disclosures.iter_mut().for_each(|disclosure| disclosure.opening.proof = Vec::new());
        content.manifests = content.manifests.iter().map(|manifest| Self::opened(manifest.node)).collect();
        Self(content)
    }
}

impl<B> Unproven<B> {
    /// Says that a bundle opens the manifest of the node with this ordinal.
    pub const fn opened(node: u64) -> ManifestOpening {
        ManifestOpening { node, seed: [0; 32], files: Vec::new() }
    }

    /// Returns of how many logs it is.
    pub const fn logs(&self) -> usize {
        self.0.logs.len()
    }
}

impl<B: AsRef<[u8]>> Unproven<B> {
    /// Lends the content, in the form that bundles have.
    pub fn content(&self) -> BundleView<'_> {
        Bundle {
            root: self.0.root,
            logs: self.0.logs.iter().map(lend_log).collect(),
            openings: self.0.openings.iter().map(lend_subjects).collect(),
            disclosures: self.0.disclosures.iter().map(lend_details).collect(),
            manifests: self.0.manifests.clone(),
        }
    }
}

fn lend_log<B: AsRef<[u8]>>(log: &LogPart<B>) -> LogPart<&[u8]> {
    LogPart {
        entries: log.entries.iter().map(|(index, entry)| (*index, entry.as_ref())).collect(),
        inclusion: Vec::new(),
        anchors: log.anchors.iter().map(lend_anchor).collect(),
        commits: log.commits.iter().map(lend_commit).collect(),
    }
}

fn lend_anchor<B>(anchor: &Anchor<B>) -> Anchor<&[u8]> {
    let status = anchor.status.as_ref().map(|part| StatusPart {
        present: part.present.clone(),
        proof: &[][..],
        further: part.further.clone(),
    });
    Anchor { note: anchor.note.clone(), consistency: Vec::new(), status }
}

fn lend_commit<B: AsRef<[u8]>>(part: &CommitPart<B>) -> CommitPart<&[u8]> {
    CommitPart {
        entry: part.entry,
        places: part.places.clone(),
        cores: part.cores.iter().map(AsRef::as_ref).collect(),
        proof: Vec::new(),
    }
}

fn lend_subjects(opening: &SubjectOpening) -> SubjectOpening {
    SubjectOpening { assessment: opening.assessment, subjects: opening.subjects.clone(), proof: Vec::new() }
}

fn lend_details<B: AsRef<[u8]>>(disclosure: &Disclosure<B>) -> Disclosure<&[u8]> {
    let slots = disclosure.opening.slots.iter().map(|(slot, salt, value)| (*slot, *salt, value.as_ref())).collect();
    Disclosure { node: disclosure.node, opening: Opening { slots, proof: Vec::new() } }
}
