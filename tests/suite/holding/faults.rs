//! What happens to files.

use griptrace_tests::seed::Rng;

use super::{
    folder::{Files, kind},
    model::{narrow, wide},
};

/// Bytes of a page of a disk.
const PAGE: usize = 4096;

/// What is done to one file.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Damage {
    /// Bytes are cut off its end.
    CutBy(usize),
    CutInHalf,
    Emptied,
    /// A bit flips in the last bytes, in the middle, anywhere.
    FlippedTail,
    FlippedMiddle,
    FlippedAnywhere,
    /// A page, or all of it if it is smaller, becomes zeros.
    ZeroedPage,
    Deleted,
    /// Another file of its kind takes its place.
    Sibling,
    /// It is as it was some commits ago.
    Older,
    /// It is the one of another log.
    Foreign,
    /// Something was appended.
    Longer,
}

pub(super) const ALL: [Damage; 13] = [
    Damage::CutBy(1),
    Damage::CutBy(100),
    Damage::CutInHalf,
    Damage::Emptied,
    Damage::FlippedTail,
    Damage::FlippedMiddle,
    Damage::FlippedAnywhere,
    Damage::ZeroedPage,
    Damage::Deleted,
    Damage::Sibling,
    Damage::Older,
    Damage::Foreign,
    Damage::Longer,
];

/// Where other files are taken from.
pub(super) struct Others<'a> {
    pub(super) files: &'a Files,
    pub(super) older: &'a Files,
    pub(super) foreign: &'a Files,
}

/// What is left of a file.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Left {
    Bytes(Vec<u8>),
    Nothing,
}

impl Left {
    pub(super) fn bytes(&self) -> Option<&[u8]> {
        match self {
            Self::Bytes(bytes) => Some(bytes),
            Self::Nothing => None,
        }
    }
}

impl Damage {
    /// Returns what is left of a file; `None` if that is all of it.
    pub(super) fn plant(self, name: &str, others: &Others<'_>, rng: &mut Rng) -> Option<Left> {
        let whole = others.files.get(name)?;
        let mut bytes = whole.clone();
        match self {
            Self::CutBy(count) => bytes.truncate(whole.len().saturating_sub(count)),
            Self::CutInHalf => bytes.truncate(whole.len() / 2),
            Self::Emptied => bytes.clear(),
            Self::FlippedTail => flip(&mut bytes, whole.len().saturating_sub(1 + rng.index(64)), rng),
            Self::FlippedMiddle => flip(&mut bytes, whole.len() / 2, rng),
            Self::FlippedAnywhere => {
                let at = narrow(rng.below(wide(whole.len()).max(1)));
                flip(&mut bytes, at, rng);
            }
            Self::ZeroedPage => {
                let page = rng.index(whole.len().div_ceil(PAGE).max(1));
                bytes.iter_mut().skip(page * PAGE).take(PAGE).for_each(|byte| *byte = 0);
            }
            Self::Deleted => return Some(Left::Nothing),
            Self::Sibling => bytes = sibling(name, others.files, rng)?,
            Self::Older => bytes.clone_from(others.older.get(name)?),
            Self::Foreign => bytes.clone_from(others.foreign.get(name)?),
            Self::Longer => bytes.extend_from_slice(&rng.array::<32>()),
        }
        (bytes != *whole).then_some(Left::Bytes(bytes))
    }
}

fn flip(bytes: &mut [u8], at: usize, rng: &mut Rng) {
    if let Some(byte) = bytes.get_mut(at) {
        *byte ^= 1 << rng.below(8);
    }
}

fn sibling(name: &str, files: &Files, rng: &mut Rng) -> Option<Vec<u8>> {
    let own = kind(name);
    let same: Vec<&Vec<u8>> = files
        .iter()
        .filter(|(other, _)| other.as_str() != name && kind(other) == own)
        .map(|(_, bytes)| bytes)
        .collect();
    if same.is_empty() { None } else { Some(same[rng.index(same.len())].clone()) }
}
