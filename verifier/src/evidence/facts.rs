//! What judgement needs of a node's core, small: there can be millions.

use alloc::{collections::BTreeSet, sync::Arc, vec::Vec};

use griptrace_core::{
    date::Date,
    node::{Core, DigestStrength, Held, Kind, Mark, Origin, Persons, Role},
    word::{Country, Word},
};

use super::Ordinal;

/// A core, but for its edges and what only binds it to other parts of the bundle.
#[derive(Debug)]
pub(crate) struct Facts {
    /// The lists and words, which many nodes have in common.
    pub(crate) words: Arc<Words>,
    pub(crate) date: Option<Date>,
    pub(crate) country: Option<Country>,
    pub(crate) kind: Kind,
    pub(crate) origin: Option<Origin>,
    pub(crate) held: Option<Held>,
    pub(crate) strength: Option<DigestStrength>,
    pub(crate) persons: Option<Persons>,
    pub(crate) mark: Option<Mark>,
    pub(crate) use_allowed: Option<bool>,
    /// Whether it names any other node, resolved or not.
    pub(crate) has_edges: bool,
}

/// The words of a core.
#[derive(PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) struct Words {
    pub(crate) modality: Vec<Word>,
    pub(crate) purpose: Vec<Word>,
    pub(crate) grade: Option<Word>,
    pub(crate) basis: Option<Word>,
}

/// The words of all cores so far, each combination once.
#[derive(Debug, Default)]
pub(super) struct Vocabulary {
    known: BTreeSet<Arc<Words>>,
    /// Those of the core before, which mostly has the same.
    last: Option<Arc<Words>>,
}

impl Vocabulary {
    /// Takes what judgement needs out of a core.
    pub(super) fn facts(&mut self, core: &mut Core) -> Facts {
        Facts {
            date: core.date,
            country: core.country,
            kind: core.kind,
            origin: core.origin,
            held: core.held,
            strength: core.strength,
            persons: core.persons,
            mark: core.mark,
            use_allowed: core.use_allowed,
            has_edges: !core.edges.is_empty(),
            words: self.words(Words {
                modality: core::mem::take(&mut core.modality),
                purpose: core::mem::take(&mut core.purpose),
                grade: core.grade.take(),
                basis: core.basis.take(),
            }),
        }
    }

    fn words(&mut self, words: Words) -> Arc<Words> {
        if let Some(last) = self.last.as_ref().filter(|last| ***last == words) {
            return Arc::clone(last);
        }
        let known = self.known.get(&words).cloned().unwrap_or_else(|| {
            let new = Arc::new(words);
            self.known.insert(Arc::clone(&new));
            new
        });
        self.last = Some(Arc::clone(&known));
        known
    }
}

/// An edge to a node of the bundle: the role's number and the ordinal in one word.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Link(u32);

/// Bits of an ordinal in a link: a bundle has no more than `NODES_MAX` nodes, which is below 2^28.
const ORDINAL_BITS: u32 = 28;
const _: () = assert!(griptrace_core::limits::NODES_MAX < 1 << ORDINAL_BITS);
const ORDINAL_MASK: u32 = (1 << ORDINAL_BITS) - 1;

impl Link {
    /// Makes a link; `None` for an ordinal that no bundle has.
    pub(super) fn new(role: Role, to: Ordinal) -> Option<Self> {
        let to = u32::try_from(to).ok().filter(|to| *to <= ORDINAL_MASK)?;
        Some(Self(to | u32::from(role.number()).wrapping_shl(ORDINAL_BITS)))
    }

    /// Returns the same link to another place.
    pub(super) fn moved(self, to: Ordinal) -> Self {
        let to = u32::try_from(to).unwrap_or(ORDINAL_MASK) & ORDINAL_MASK;
        Self((self.0 & !ORDINAL_MASK) | to)
    }

    /// Tells whether it is of one role.
    pub(crate) fn is(self, role: Role) -> bool {
        self.0.wrapping_shr(ORDINAL_BITS) == u32::from(role.number())
    }

    /// Returns where it leads.
    pub(crate) fn to(self) -> Ordinal {
        usize::try_from(self.0 & ORDINAL_MASK).unwrap_or(usize::MAX)
    }
}
