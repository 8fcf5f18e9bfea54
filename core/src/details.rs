//! Details: every field that a verifier need not see, as 32 salted slots under one root.
//!
//! Slot *i* hashes `(kind, i, salt, digest of the value or of "absent")` in one 64-byte block, so
//! that neither the values nor how many there are can be read from the root, and a slot can hold
//! one value only. See docs/spec/node.md.

use alloc::{collections::BTreeMap, vec::Vec};

use crate::{
    cbor::{DecodeError, bad_field, decode, within},
    digest::{DETAIL_LEAF, DETAIL_SALT, DETAIL_TREE, DETAIL_VALUE, Digest, unhex},
    limits::{DETAIL_SLOTS, VALUE_BYTES_MAX},
    node::Kind,
    tree::{self, ProofError},
    value::Value,
};

/// A 128-bit salt.
pub type Salt = [u8; 16];

/// The values of a node's details, as CBOR bytes by slot. Absent slots are not listed.
pub type Values = BTreeMap<u8, Vec<u8>>;

/// Names of the slots of one kind, by number. Numbers are never reused.
pub const fn slot_names(kind: Kind) -> &'static [&'static str] {
    match kind {
        Kind::Dataset => DATASET_SLOTS,
        Kind::Transformation => TRANSFORMATION_SLOTS,
        Kind::Model => MODEL_SLOTS,
        Kind::Assessment => ASSESSMENT_SLOTS,
        Kind::Shipment => SHIPMENT_SLOTS,
        Kind::Status => STATUS_SLOTS,
        Kind::Erasure => ERASURE_SLOTS,
    }
}

#[rustfmt::skip]
const DATASET_SLOTS: &[&str] = &[
    "name", "content", "manifest", "site", "device", "robot-type", "method", "collected", "licence",
    "persons", "legal-basis", "bias", "gaps", "streams", "counts", "grade-basis", "domain", "filing",
    "source-uri", "collector", "assumptions", "statistics", "setting", "scope-reason", "labels", "split",
    "retention", "parties", "suitability", "weak-digests", "generator", "note",
];

#[rustfmt::skip]
const TRANSFORMATION_SLOTS: &[&str] = &[
    "name", "tool", "version", "code", "parameters", "method", "anonymisation", "labeller", "checked-share",
    "excluded", "seed", "generator", "design-choices", "environment", "operator", "transfer", "parentage",
    "split", "metrics", "parties", "note",
];

#[rustfmt::skip]
const MODEL_SLOTS: &[&str] = &[
    "name", "content", "manifest", "version", "architecture", "metrics", "licence", "provider",
    "training-summary", "setting", "bias", "gaps", "signature", "retention", "design-choices", "parties",
    "weak-digests", "note",
];

#[rustfmt::skip]
const ASSESSMENT_SLOTS: &[&str] = &[
    "name", "reference", "issuer", "paper", "self-assessment", "contract", "recipient", "filing",
    "extension-of", "conditions", "rule", "storage-term", "note",
];

#[rustfmt::skip]
const SHIPMENT_SLOTS: &[&str] = &[
    "name", "consignee", "serials", "documents", "contract", "recipient-use", "storage-term", "onward-limits",
    "retention", "placed-on-market", "parties", "note",
];

#[rustfmt::skip]
const STATUS_SLOTS: &[&str] = &[
    "name", "reason", "evidence", "authority", "reference", "note",
];

#[rustfmt::skip]
const ERASURE_SLOTS: &[&str] = &[
    "name", "reason", "evidence", "authority", "note",
];

/// Returns the slot of a name in a kind.
pub fn slot(kind: Kind, name: &str) -> Option<u8> {
    slot_names(kind).iter().position(|n| *n == name).and_then(|i| u8::try_from(i).ok())
}

/// Returns the name of a slot; `None` for slots that this version does not know.
pub fn slot_name(kind: Kind, slot: u8) -> Option<&'static str> {
    slot_names(kind).get(usize::from(slot)).copied()
}

/// Derives a slot's salt from the node's secret seed.
pub fn salt(seed: &[u8; 32], slot: u8) -> Salt {
    first_half(&DETAIL_SALT.hash(&salted(seed, slot)))
}

/// Returns the first 16 bytes of a digest.
pub(crate) fn first_half(digest: &Digest) -> Salt {
    let mut out = [0; 16];
    for (to, from) in out.iter_mut().zip(digest.as_bytes()) {
        *to = *from;
    }
    out
}

/// Derives the salts of all slots, as [`salt`] does for one.
pub fn salts(seed: &[u8; 32]) -> Vec<Salt> {
    let mut digests = Vec::with_capacity(usize::from(DETAIL_SLOTS));
    DETAIL_SALT.hash_short((0..DETAIL_SLOTS).map(|slot| salted(seed, slot)), &mut digests);
    digests.iter().map(first_half).collect()
}

/// The bytes that a slot's salt is the hash of.
fn salted(seed: &[u8; 32], slot: u8) -> [u8; 33] {
    let mut bytes = [slot; 33];
    bytes.iter_mut().zip(seed).for_each(|(to, from)| *to = *from);
    bytes
}

/// The value digest of an absent detail: `DETAIL_ABSENT.hash(&[])`, which a test holds it to.
const ABSENT: Digest = Digest::from_bytes(unhex("92045503e74e7c49755e9454d101396f988eb7f2e53a8c928af5e1557935b1bb"));

/// Hashes one slot.
pub fn leaf(kind: Kind, slot: u8, salt: &Salt, value: Option<&[u8]>) -> Digest {
    DETAIL_LEAF.hash(&leaf_block(kind, slot, salt, value))
}

/// The block that a slot's leaf is the hash of.
fn leaf_block(kind: Kind, slot: u8, salt: &Salt, value: Option<&[u8]>) -> [u8; 64] {
    let digest = value.map_or(ABSENT, |bytes| DETAIL_VALUE.hash(bytes));
    let mut block = [0; 64];
    let (head, tail) = block.split_at_mut(32);
    tail.copy_from_slice(digest.as_bytes());
    let (head, salted) = head.split_at_mut(16);
    salted.copy_from_slice(salt);
    head.iter_mut().zip([kind.number(), slot]).for_each(|(to, from)| *to = from);
    block
}

/// What is kept of one slot's, or one file's, secret.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kept {
    /// The salt: what is hashed with it can be shown.
    Salt(Salt),
    /// The leaf alone. It was hashed over a salt that is gone, so that no guess of what it hashes can be tried.
    Leaf(Digest),
}

/// Returns all that a seed gives, salt by salt, as it is kept once the seed is gone.
pub fn kept(seed: &[u8; 32]) -> Vec<Kept> {
    salts(seed).into_iter().map(Kept::Salt).collect()
}

/// Returns the leaves of what is kept; `None` if it is not one entry for each slot, or a value stands where no salt is kept.
fn kept_leaves(kind: Kind, kept: &[Kept], values: &Values) -> Option<Vec<Digest>> {
    let leaf_of = |(slot, kept): (u8, &Kept)| match (kept, values.get(&slot)) {
        (Kept::Salt(salt), value) => Some(leaf(kind, slot, salt, value.map(Vec::as_slice))),
        (Kept::Leaf(leaf), None) => Some(*leaf),
        (Kept::Leaf(_), Some(_)) => None,
    };
    let leaves: Option<Vec<Digest>> = (0..DETAIL_SLOTS).zip(kept).map(leaf_of).collect();
    leaves.filter(|leaves| leaves.len() == kept.len() && leaves.len() == usize::from(DETAIL_SLOTS))
}

/// Returns the details root of a node by what is kept of it: that which [`root`] gives. `None` if it is not one entry for
/// each slot, or a value stands where no salt is kept.
pub fn root_of_kept(kind: Kind, kept: &[Kept], values: &Values) -> Option<Digest> {
    tree::root(&DETAIL_TREE, &kept_leaves(kind, kept, values)?)
}

/// Opens the present ones among `slots` by what is kept, as [`open`] does by the seed; `None` if none of them is present, or
/// what is kept is malformed.
pub fn open_kept(kind: Kind, kept: &[Kept], values: &Values, slots: &[u8]) -> Option<Opening> {
    let leaves = kept_leaves(kind, kept, values)?;
    let opened = (0..DETAIL_SLOTS).zip(kept).filter_map(|(slot, kept)| match kept {
        Kept::Salt(salt) if slots.contains(&slot) => Some((slot, *salt, values.get(&slot)?.clone())),
        Kept::Salt(_) | Kept::Leaf(_) => None,
    });
    let slots: Vec<(u8, Salt, Vec<u8>)> = opened.collect();
    let indices: Vec<u64> = slots.iter().map(|(slot, ..)| u64::from(*slot)).collect();
    let proof = tree::prove_leaves(&DETAIL_TREE, &leaves, &indices).ok()?;
    Some(Opening { slots, proof })
}

fn leaves(kind: Kind, seed: &[u8; 32], values: &Values) -> Vec<Digest> {
    let salts = salts(seed);
    let block = |(slot, salt): (u8, &Salt)| leaf_block(kind, slot, salt, values.get(&slot).map(Vec::as_slice));
    let mut leaves = Vec::with_capacity(usize::from(DETAIL_SLOTS));
    DETAIL_LEAF.hash_blocks((0..DETAIL_SLOTS).zip(&salts).map(block), &mut leaves);
    leaves
}

/// Returns the details root of a node.
pub fn root(kind: Kind, seed: &[u8; 32], values: &Values) -> Digest {
    tree::root(&DETAIL_TREE, &leaves(kind, seed, values)).unwrap_or(Digest::ZERO)
}

/// Some slots of one node, opened.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Opening<B = Vec<u8>> {
    /// Slot, salt and CBOR value, by ascending slot.
    pub slots: Vec<(u8, Salt, B)>,
    /// The hashes of the rest of the details tree.
    pub proof: Vec<Digest>,
}

/// Opens the present ones among `slots`; `None` if none of them is present.
pub fn open(kind: Kind, seed: &[u8; 32], values: &Values, slots: &[u8]) -> Option<Opening> {
    let chosen: Vec<u8> = (0..DETAIL_SLOTS).filter(|slot| slots.contains(slot) && values.contains_key(slot)).collect();
    let indices: Vec<u64> = chosen.iter().map(|slot| u64::from(*slot)).collect();
    let proof = tree::prove_leaves(&DETAIL_TREE, &leaves(kind, seed, values), &indices).ok()?;
    let slots = chosen.iter().filter_map(|slot| Some((*slot, salt(seed, *slot), values.get(slot)?.clone()))).collect();
    Some(Opening { slots, proof })
}

impl<B: AsRef<[u8]>> Opening<B> {
    /// Computes the details root that this opening belongs to.
    ///
    /// # Errors
    /// [`ProofError`] for slots out of order or a proof of the wrong length.
    pub fn root(&self, kind: Kind) -> Result<Digest, ProofError> {
        let leaves: Vec<(u64, Digest)> = self
            .slots
            .iter()
            .map(|(slot, salt, value)| (u64::from(*slot), leaf(kind, *slot, salt, Some(value.as_ref()))))
            .collect();
        tree::root_from_leaves(&DETAIL_TREE, u64::from(DETAIL_SLOTS), &leaves, &self.proof)
    }
}

impl Opening {
    /// Returns the opening of those of its slots that are `kept`, as who has the seed would make it; `None` if none is.
    ///
    /// # Errors
    /// [`ProofError`] for slots out of order or a proof of the wrong length.
    pub fn narrow(&self, kind: Kind, kept: &[u8]) -> Result<Option<Self>, ProofError> {
        let slots: Vec<(u8, Salt, Vec<u8>)> =
            self.slots.iter().filter(|(slot, ..)| kept.contains(slot)).cloned().collect();
        if slots.is_empty() {
            return Ok(None);
        }
        let leaf_of =
            |(slot, salt, value): &(u8, Salt, Vec<u8>)| (u64::from(*slot), leaf(kind, *slot, salt, Some(value)));
        let leaves: Vec<(u64, Digest)> = self.slots.iter().map(leaf_of).collect();
        let indices: Vec<u64> = slots.iter().map(|(slot, ..)| u64::from(*slot)).collect();
        let proof = tree::narrow_leaves(&DETAIL_TREE, u64::from(DETAIL_SLOTS), &leaves, &self.proof, &indices)?;
        Ok(Some(Self { slots, proof }))
    }
}

/// Reads a detail's value strictly.
///
/// # Errors
/// A [`DecodeError`]: too large, not canonical, or of a type that details do not have.
pub fn read_value(bytes: &[u8]) -> Result<Value, DecodeError> {
    within("bytes of a detail value", bytes.len(), VALUE_BYTES_MAX)?;
    decode(bytes)
}

/// Checks that a slot number is one of the 32.
pub(crate) fn check_slot(slot: u64) -> Result<u8, DecodeError> {
    u8::try_from(slot).ok().filter(|s| *s < DETAIL_SLOTS).ok_or(bad_field("detail slot", "is not below 32"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{cbor::encode, digest::DETAIL_ABSENT};

    fn values() -> Values {
        [(0, encode(&Value::text("camera"))), (8, encode(&Value::text("proprietary"))), (31, encode(&Value::Int(-4)))]
            .into()
    }

    #[test]
    fn leaves_and_salts_are_those_of_the_specification() {
        assert_eq!(ABSENT, DETAIL_ABSENT.hash(&[]));
        let seed = [6; 32];
        for (slot, salt) in (0..DETAIL_SLOTS).zip(salts(&seed)) {
            assert_eq!(salt, first_half(&DETAIL_SALT.hash_parts(&[&seed, &[slot]])));
            assert_eq!(salt, super::salt(&seed, slot));
        }
        for (slot, found) in (0..DETAIL_SLOTS).zip(leaves(Kind::Model, &seed, &values())) {
            let value = values().get(&slot).map_or_else(|| DETAIL_ABSENT.hash(&[]), |bytes| DETAIL_VALUE.hash(bytes));
            let salt = salt(&seed, slot);
            let expected = DETAIL_LEAF.hash_parts(&[&[Kind::Model.number(), slot], &[0; 14], &salt, value.as_bytes()]);
            assert_eq!(found, expected, "slot {slot}");
            assert_eq!(leaf(Kind::Model, slot, &salt, values().get(&slot).map(Vec::as_slice)), expected);
        }
    }

    #[test]
    fn a_narrowed_opening_is_the_one_that_the_seed_gives() {
        let (seed, values) = ([7; 32], values());
        let all: Vec<u8> = (0..DETAIL_SLOTS).collect();
        let whole = open(Kind::Dataset, &seed, &values, &all).unwrap();
        for kept in [&[][..], &[0], &[1, 3], &[0, 1, 2, 3, 4], &[31], &all] {
            let narrowed = whole.narrow(Kind::Dataset, kept).unwrap();
            assert_eq!(narrowed, open(Kind::Dataset, &seed, &values, kept), "{kept:?}");
        }
        let cut = Opening { proof: Vec::new(), ..open(Kind::Dataset, &seed, &values, &[0, 1]).unwrap() };
        assert!(cut.narrow(Kind::Dataset, &[0]).is_err());
    }

    #[test]
    fn an_opening_leads_to_the_root_and_to_no_other() {
        let root = root(Kind::Dataset, &[1; 32], &values());
        let opening = open(Kind::Dataset, &[1; 32], &values(), &[0, 8, 9]).unwrap();
        assert_eq!(opening.slots.len(), 2, "absent slots are not opened");
        assert_eq!(opening.root(Kind::Dataset), Ok(root));
        assert_ne!(opening.root(Kind::Model), Ok(root), "the kind is hashed");
        let mut other = opening.clone();
        other.slots[1].2 = encode(&Value::text("open"));
        assert_ne!(other.root(Kind::Dataset), Ok(root));
        let mut moved = opening;
        moved.slots[1].0 = 9;
        assert_ne!(moved.root(Kind::Dataset), Ok(root), "the slot is hashed");
    }

    #[test]
    fn what_is_kept_gives_the_root_and_the_openings_that_the_seed_gives() {
        let (seed, values) = ([9; 32], values());
        let expected = root(Kind::Dataset, &seed, &values);
        let all: Vec<u8> = (0..DETAIL_SLOTS).collect();
        let mut kept = kept(&seed);
        let mut left = values.clone();
        for erased in [None, Some(8), Some(5), Some(31), Some(0)] {
            if let Some(slot) = erased {
                let salt = salt(&seed, slot);
                let value = left.remove(&slot);
                kept[usize::from(slot)] = Kept::Leaf(leaf(Kind::Dataset, slot, &salt, value.as_deref()));
            }
            assert_eq!(root_of_kept(Kind::Dataset, &kept, &left), Some(expected), "{erased:?}");
            for slots in [&[][..], &[0], &[1, 3], &[0, 8], &all] {
                let wanted: Vec<u8> = slots.iter().copied().filter(|slot| left.contains_key(slot)).collect();
                let opened = open_kept(Kind::Dataset, &kept, &left, slots);
                assert_eq!(opened, open(Kind::Dataset, &seed, &values, &wanted), "{erased:?} {slots:?}");
            }
        }
    }

    #[test]
    fn what_is_kept_and_malformed_gives_nothing() {
        let (seed, values) = ([9; 32], values());
        let whole = kept(&seed);
        let longer = [&whole[..], &whole[..1]].concat();
        for wrong in [&whole[..31], &longer, &[]] {
            assert_eq!(root_of_kept(Kind::Dataset, wrong, &values), None);
            assert_eq!(open_kept(Kind::Dataset, wrong, &values, &[0]), None);
        }
        let mut leaf = whole;
        leaf[8] = Kept::Leaf(Digest::ZERO);
        assert_eq!(root_of_kept(Kind::Dataset, &leaf, &values), None, "a value without its salt");
    }

    #[test]
    fn names_are_unique_and_fit_the_slots() {
        for kind in Kind::ALL.iter().copied() {
            let names = slot_names(kind);
            assert!(names.len() <= usize::from(DETAIL_SLOTS));
            for (i, name) in names.iter().enumerate() {
                assert_eq!(slot(kind, name).map(usize::from), Some(i));
            }
        }
    }
}
