//! The update: a small file that brings an older bundle up to date offline (docs/spec/update.md).
//!
//! It is a patch, and holds no proof of its own: what it makes is a whole bundle, which is verified as any other. It may
//! also hold assessors' signed withdrawals, or nothing but these. Reading checks form and limits only.

mod diff;

use alloc::{collections::BTreeMap, vec::Vec};
use core::fmt;

use crate::{
    bundle::{Bundle, bundle_digest},
    cbor::{DecodeError, Next, Reader, Writer, bad_field, decode_with},
    digest::{Digest, UPDATE},
    id::NodeId,
    limits::{BUNDLE_BYTES_MAX, STATEMENT_BYTES_MAX, UPDATE_BYTES_MAX, UPDATE_PARTS_MAX, UPDATE_WITHDRAWALS_MAX},
    node::{keyed, node_id},
};

/// The first bytes of every update.
pub const MAGIC: &[u8] = b"griptrace update v1\n";
/// What a file must begin with to be called an update at all; versions may follow.
const MAGIC_STEM: &[u8] = b"griptrace update ";
const VERSION: u64 = 1;

/// What an update brings. Bytes are lent by its file, or by the bundle that it was made of.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Update<'a> {
    /// How the newer bundle is made; `None` in an update that brings withdrawals alone.
    pub patch: Option<Patch<'a>>,
    /// Assessors' own signed marks (`COSE_Sign1`), by ascending bytes.
    pub withdrawals: Vec<&'a [u8]>,
}

/// How a newer bundle is made out of an older one.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Patch<'a> {
    /// The bundle digest of the older one.
    pub base: Digest,
    /// The bundle digest of the newer one.
    pub result: Digest,
    /// What the newer one consists of, in order.
    pub parts: Vec<Part<'a>>,
}

/// Bytes of the newer bundle.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Part<'a> {
    /// These bytes of the older one; each copy begins behind the one before.
    Copy {
        /// Where they begin.
        offset: usize,
        /// How many there are; never none.
        len: usize,
    },
    /// These bytes; never none.
    Literal(&'a [u8]),
}

/// Why an update could not be read or applied.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum UpdateError {
    /// The file does not begin like an update.
    NotAnUpdate,
    /// It begins like one, of a version that this program does not know.
    Version,
    /// It is cut short, or larger than any update may be.
    Size {
        /// Bytes found.
        found: usize,
    },
    /// The digest at its end is not that of its bytes.
    Digest {
        /// The digest at the end.
        stated: Digest,
        /// The digest of the bytes.
        computed: Digest,
    },
    /// What is between is malformed.
    Decode(DecodeError),
    /// It was made for another bundle.
    Base {
        /// The bundle that it was made for.
        stated: Digest,
        /// The bundle in hand.
        found: Digest,
    },
    /// It copies bytes that the older bundle does not have.
    Beyond {
        /// Where the bytes would end.
        end: usize,
        /// Bytes of the older bundle.
        base: usize,
    },
    /// What it makes is not the bundle that it names.
    Result {
        /// The bundle that it names.
        stated: Digest,
        /// The bundle that it makes.
        computed: Digest,
    },
}

impl UpdateError {
    /// Returns the stable reason code.
    pub fn code(&self) -> &'static str {
        match self {
            Self::NotAnUpdate => "not-an-update",
            Self::Version => "update-version",
            Self::Size { .. } => "update-size",
            Self::Digest { .. } => "update-digest-mismatch",
            Self::Decode(_) => "update-malformed",
            Self::Base { .. } => "update-base-mismatch",
            Self::Beyond { .. } => "update-beyond-base",
            Self::Result { .. } => "update-result-mismatch",
        }
    }
}

impl fmt::Display for UpdateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotAnUpdate => f.write_str("the file does not begin like an update"),
            Self::Version => f.write_str("the update is of a version that this program does not know"),
            Self::Size { found } => write!(f, "{found} bytes: cut short, or over the limit of {UPDATE_BYTES_MAX}"),
            Self::Digest { stated, computed } => {
                write!(f, "the digest at the end is {stated}, that of the bytes {computed}")
            }
            Self::Decode(error) => write!(f, "the update is malformed: {error}"),
            Self::Base { stated, found } => write!(f, "the update is for bundle {stated}, not for {found}"),
            Self::Beyond { end, base } => {
                write!(f, "the update copies up to byte {end} of a bundle that has {base} bytes")
            }
            Self::Result { stated, computed } => {
                write!(f, "the update makes bundle {computed}, not {stated} as it says")
            }
        }
    }
}

impl core::error::Error for UpdateError {}

impl<'a> Update<'a> {
    /// Returns the bytes of the file.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = Writer::after(MAGIC.to_vec());
        self.write(&mut out);
        let mut file = out.into_bytes();
        let digest = UPDATE.hash(&file);
        file.extend_from_slice(digest.as_bytes());
        file
    }

    /// Reads a file strictly, and returns the digest that reports name it by: the one at its end.
    ///
    /// # Errors
    /// `NotAnUpdate`, `Version`, `Size`, `Digest`, `Decode`.
    pub fn view(file: &'a [u8]) -> Result<(Self, Digest), UpdateError> {
        let Some(body) = file.strip_prefix(MAGIC) else {
            let known = file.starts_with(MAGIC_STEM);
            return Err(if known { UpdateError::Version } else { UpdateError::NotAnUpdate });
        };
        let cut = body.split_last_chunk::<32>().filter(|_| file.len() <= UPDATE_BYTES_MAX);
        let Some((map, stated)) = cut else { return Err(UpdateError::Size { found: file.len() }) };
        let stated = Digest::from_bytes(*stated);
        let computed = UPDATE.hash_parts(&[MAGIC, map]);
        if stated != computed {
            return Err(UpdateError::Digest { stated, computed });
        }
        let update = decode_with(map, Self::read, Self::write).map_err(UpdateError::Decode)?;
        Ok((update, stated))
    }

    fn write(&self, out: &mut Writer<'_>) {
        out.map(5).uint(0).uint(VERSION);
        let digests = self.patch.as_ref().map(|patch| (patch.base, patch.result));
        let (base, result) = digests.unzip();
        for (key, digest) in [(1, base), (2, result)] {
            out.uint(key);
            match digest {
                Some(digest) => out.bytes(digest.as_bytes()).end(),
                None => out.null().end(),
            }
        }
        let parts = self.patch.as_ref().map_or(&[][..], |patch| &patch.parts);
        out.uint(3).array(parts.len());
        parts.iter().for_each(|part| part.write(out));
        out.uint(4).array(self.withdrawals.len());
        self.withdrawals.iter().for_each(|withdrawal| out.bytes(withdrawal).end());
    }

    fn read(input: &mut Reader<'a>) -> Result<Self, DecodeError> {
        if input.map("fields of an update", 5)? != 5 || keyed(input, 0, Reader::uint)? != VERSION {
            return Err(bad_field("update", "is of no version that this version knows"));
        }
        let (base, result) = (keyed(input, 1, read_digest)?, keyed(input, 2, read_digest)?);
        let parts = keyed(input, 3, |i| i.list("parts of an update", UPDATE_PARTS_MAX, Part::read))?;
        check_parts(&parts)?;
        let withdrawals: Vec<&'a [u8]> = keyed(input, 4, |i| {
            i.list("withdrawals of an update", UPDATE_WITHDRAWALS_MAX, |i| {
                i.bytes("bytes of a statement", STATEMENT_BYTES_MAX)
            })
        })?;
        if !withdrawals.is_sorted_by(|one, next| one < next) {
            return Err(bad_field("withdrawals of an update", "are not by ascending bytes, each once"));
        }
        let patch = match (base, result) {
            (Some(base), Some(result)) if !parts.is_empty() => Some(Patch { base, result, parts }),
            (None, None) if parts.is_empty() && !withdrawals.is_empty() => None,
            _ => return Err(bad_field("update", "neither makes a bundle of a bundle nor brings withdrawals alone")),
        };
        Ok(Self { patch, withdrawals })
    }
}

fn read_digest(input: &mut Reader<'_>) -> Result<Option<Digest>, DecodeError> {
    if input.next()? == Next::Null { input.null().map(|()| None) } else { input.digest().map(Some) }
}

impl<'a> Part<'a> {
    fn write(&self, out: &mut Writer<'_>) {
        match self {
            Self::Copy { offset, len } => {
                out.array(2).uint(crate::cbor::wide(*offset)).uint(crate::cbor::wide(*len)).end();
            }
            Self::Literal(bytes) => out.bytes(bytes).end(),
        }
    }

    fn read(input: &mut Reader<'a>) -> Result<Self, DecodeError> {
        if input.next()? == Next::Bytes {
            return Ok(Self::Literal(input.bytes("bytes of a bundle", BUNDLE_BYTES_MAX)?));
        }
        input.tuple(2)?;
        let mut place = || input.uint().map(|number| usize::try_from(number).unwrap_or(usize::MAX));
        Ok(Self::Copy { offset: place()?, len: place()? })
    }

    const fn len(&self) -> usize {
        match self {
            Self::Copy { len, .. } => *len,
            Self::Literal(bytes) => bytes.len(),
        }
    }
}

/// Checks what can be checked without the older bundle: nothing is copied twice or backward, so that no more is made
/// than the older bundle and the update have together; and one bundle has one list of parts, bar where it is cut.
fn check_parts(parts: &[Part<'_>]) -> Result<(), DecodeError> {
    let mut copied: usize = 0;
    let mut made: usize = 0;
    let mut after_literal = false;
    let mut first = true;
    for part in parts {
        let follows = match part {
            Part::Copy { offset, len } => {
                let follows = *offset > copied || (*offset == copied && (first || after_literal));
                copied = offset.saturating_add(*len);
                after_literal = false;
                follows
            }
            Part::Literal(_) => !core::mem::replace(&mut after_literal, true),
        };
        if !follows || part.len() == 0 {
            return Err(bad_field("parts of an update", "overlap, go backward, hold nothing or could be one"));
        }
        first = false;
        made = made.saturating_add(part.len());
    }
    crate::cbor::within("bytes of a bundle", made, BUNDLE_BYTES_MAX)
}

impl<'a> Patch<'a> {
    /// Makes the patch that turns one bundle into another. Time is linear in the bytes of both, times the logarithm of
    /// those of `base`; memory is about twice the bytes of `base`.
    pub fn between(base: &[u8], result: &'a [u8]) -> Self {
        let parts = diff::parts(base, result);
        Self { base: bundle_digest(base), result: bundle_digest(result), parts }
    }

    /// Makes the newer bundle. It has at most the bytes of the older one and of the update together.
    ///
    /// # Errors
    /// `Base`, `Beyond`, `Result`.
    pub fn apply(&self, base: &[u8]) -> Result<Vec<u8>, UpdateError> {
        let found = bundle_digest(base);
        if found != self.base {
            return Err(UpdateError::Base { stated: self.base, found });
        }
        let mut file = Vec::new();
        for part in &self.parts {
            match part {
                Part::Copy { offset, len } => {
                    let end = offset.saturating_add(*len);
                    let copied = base.get(*offset..end);
                    file.extend_from_slice(copied.ok_or(UpdateError::Beyond { end, base: base.len() })?);
                }
                Part::Literal(bytes) => file.extend_from_slice(bytes),
            }
        }
        let computed = bundle_digest(&file);
        if computed == self.result { Ok(file) } else { Err(UpdateError::Result { stated: self.result, computed }) }
    }
}

/// Opens in a newer bundle exactly what an older one about the same root opened, details and manifests, and nothing else.
///
/// # Errors
/// The id of a node of the older bundle that the newer one lacks: it is no later state of the same records.
pub fn open_alike(new: &mut Bundle, old: &Bundle) -> Result<(), NodeId> {
    let ordinals: BTreeMap<NodeId, u64> = ids(new).zip(0..).collect();
    let ids: Vec<NodeId> = ids(old).collect();
    // An ordinal beyond all nodes is in no bundle that was made by us; what it opens is left out.
    let moved = |node: u64| {
        let id = usize::try_from(node).ok().and_then(|place| ids.get(place).copied());
        id.map(|id| ordinals.get(&id).copied().ok_or(id)).transpose()
    };
    new.disclosures.clear();
    for disclosure in &old.disclosures {
        if let Some(node) = moved(disclosure.node)? {
            new.disclosures.push(crate::bundle::Disclosure { node, opening: disclosure.opening.clone() });
        }
    }
    new.manifests.clear();
    for manifest in &old.manifests {
        if let Some(node) = moved(manifest.node)? {
            new.manifests.push(crate::bundle::ManifestOpening { node, ..manifest.clone() });
        }
    }
    new.disclosures.sort_by_key(|disclosure| disclosure.node);
    new.manifests.sort_by_key(|manifest| manifest.node);
    Ok(())
}

/// Returns the ids of a bundle's nodes, in the order of their ordinals.
fn ids(bundle: &Bundle) -> impl Iterator<Item = NodeId> + '_ {
    let commits = bundle.logs.iter().flat_map(|log| &log.commits);
    commits.flat_map(|commit| &commit.cores).map(|core| node_id(core))
}

#[cfg(test)]
mod tests;
