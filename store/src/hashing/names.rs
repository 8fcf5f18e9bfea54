//! Which paths may stand in a manifest, and side by side.

use griptrace_core::manifest::check_path;
use rayon::{
    iter::{IntoParallelRefIterator as _, ParallelIterator as _},
    slice::ParallelSliceMut as _,
};

use super::{
    HashError,
    walk::{Candidate, Tree},
};
use crate::collision::{find_collision, shown};

/// Refuses paths that can't stand in a manifest, or not side by side.
///
/// # Errors
/// `Path` and `Collision`.
pub(super) fn refuse(tree: &Tree, candidates: &[Candidate]) -> Result<(), HashError> {
    candidates.par_iter().try_for_each(|candidate| {
        check_path(&candidate.name).map_err(|source| HashError::Path { path: tree.path_of(&candidate.name), source })
    })?;
    if !may_collide(candidates) {
        return Ok(());
    }
    match find_collision(candidates.iter().map(|candidate| candidate.name.as_slice())) {
        Some((first, second)) => Err(HashError::Collision { first: shown(first), second: shown(second) }),
        None => Ok(()),
    }
}

/// Whether two paths may collide. That they don't is seen fast for ASCII, where folding is simple:
/// the whole answer costs as much as looking up all files in the cache.
fn may_collide(candidates: &[Candidate]) -> bool {
    let folded = candidates.par_iter().map(|candidate| {
        let is_simple = candidate.name.is_ascii();
        is_simple.then(|| hash_of(candidate.name.iter().map(u8::to_ascii_lowercase)))
    });
    let Some(mut folded) = folded.collect::<Option<Vec<u64>>>() else { return true };
    folded.par_sort_unstable();
    folded.windows(2).any(|pair| pair.first() == pair.last())
}

/// Hashes a name by FNV-1a, where chance collisions cost little, and so do chosen ones.
pub(super) fn hash_of(name: impl Iterator<Item = u8>) -> u64 {
    name.fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3))
}
