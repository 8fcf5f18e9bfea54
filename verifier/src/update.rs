//! Brings a bundle up to date with update files, before it is verified as any other (docs/spec/update.md).

use alloc::vec::Vec;
use core::fmt;

use griptrace_core::{
    bundle::BundleView,
    id::NodeId,
    node::node_id,
    update::{Update, UpdateError},
};

use crate::{
    known::{History, HistoryError, Known, fork},
    trust::Trust,
};

/// Why a bundle could not be brought up to date.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum UpdatingError {
    /// An update can't be read, or is for another bundle.
    Update {
        /// Which one, counted from 0.
        number: usize,
        /// Why.
        error: UpdateError,
    },
    /// An update makes a bundle about another shipment or model: that is no later state of this one.
    Root {
        /// Which one, counted from 0.
        number: usize,
        /// The root of the older bundle.
        expected: NodeId,
        /// That of the newer one.
        found: NodeId,
    },
    /// The older bundle does not hold together, so that the newer one can't be compared with it.
    Base(HistoryError),
}

impl UpdatingError {
    /// Returns the stable reason code.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Update { error, .. } => error.code(),
            Self::Root { .. } => "update-root-mismatch",
            Self::Base(error) => error.code(),
        }
    }

    /// Returns which update it is about, counted from 0; `None` if it is the bundle.
    pub fn number(&self) -> Option<usize> {
        match self {
            Self::Update { number, .. } | Self::Root { number, .. } => Some(*number),
            Self::Base(_) => None,
        }
    }
}

impl fmt::Display for UpdatingError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Update { error, .. } => fmt::Display::fmt(error, f),
            Self::Root { expected, found, .. } => {
                write!(f, "the update makes a bundle about {found}, and this one is about {expected}")
            }
            Self::Base(error) => write!(f, "the bundle to be updated: {error}"),
        }
    }
}

impl core::error::Error for UpdatingError {}

/// Returns what a bundle says that it is about; `None` if that can't be told, which is found when it is verified.
fn root_of(file: &[u8]) -> Option<NodeId> {
    let bundle = BundleView::view(file).ok()?;
    let mut cores = bundle.logs.iter().flat_map(|log| &log.commits).flat_map(|part| &part.cores);
    cores.nth(usize::try_from(bundle.root).ok()?).map(|core| node_id(core))
}

/// Applies updates, in order, to a bundle. Returns the newer one, and adds to what is `known`: the history that the
/// older one shows, which the newer one must not rewrite; the withdrawals; the digests of the updates.
///
/// # Errors
/// [`UpdatingError`]; nothing was verified then.
pub fn bring_up_to_date<U: AsRef<[u8]>>(
    bundle: Vec<u8>,
    updates: &[U],
    trust: &Trust,
    known: &mut Known,
) -> Result<Vec<u8>, UpdatingError> {
    let mut newest = bundle;
    let mut seen = None;
    for (number, file) in updates.iter().enumerate() {
        let wrong = |error| UpdatingError::Update { number, error };
        let (update, digest) = Update::view(file.as_ref()).map_err(wrong)?;
        if let Some(patch) = update.patch {
            let newer = patch.apply(&newest).map_err(wrong)?;
            if seen.is_none() {
                seen = Some(History::of_bundle(&newest, trust).map_err(UpdatingError::Base)?);
            }
            if let (Some(expected), Some(found)) = (root_of(&newest), root_of(&newer))
                && expected != found
                && fork(&newer, trust, &Known { histories: seen.iter().cloned().collect(), ..Known::default() })
                    .is_none()
            {
                // A fork is found when the newer one is verified, and says more.
                return Err(UpdatingError::Root { number, expected, found });
            }
            newest = newer;
        }
        known.withdrawals.extend(update.withdrawals.into_iter().map(<[u8]>::to_vec));
        known.updated_with.push(digest);
    }
    known.histories.extend(seen);
    Ok(newest)
}
