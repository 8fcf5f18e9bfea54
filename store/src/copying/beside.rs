//! What stands beside a log: cosigned checkpoints, and other companies' bundles.
//!
//! Nothing else gives them, and a copy may have the last whole one. So each is checked as it is read, before it goes over
//! anything; what is damaged stays behind, and what is gone is not removed from the copy.

use std::collections::BTreeSet;

use super::{Copying, Damage};
use crate::{
    adopted, cosigned,
    error::{CopyError, StorageError},
    head::Signature,
    objects::Objects,
};

/// What was found while that was copied.
#[derive(Debug, Default)]
pub(super) struct Beside {
    pub(super) damaged: Vec<Damage>,
    pub(super) lacking: Vec<String>,
}

impl Beside {
    /// Copies what belongs to the first `size` entries.
    pub(super) fn copy(copying: &Copying<'_>, size: u64) -> Result<Self, CopyError> {
        let (from, to) = (&copying.from.0.objects, &copying.objects);
        let mut found = Self::default();
        let keys = copying.from.0.keys();
        let signature = Signature { keys: &keys.log };
        let names = cosigned_up_to(from, size)?;
        for size in &names {
            let check = |bytes: &[u8]| cosigned::check(signature, *size, bytes).map(drop);
            found.object(copying, &cosigned::name(*size), check, |_, bytes| (bytes, false))?;
        }
        let gone = cosigned_up_to(to, size)?.into_iter().filter(|size| !names.contains(size));
        found.lacking.extend(gone.map(cosigned::name));
        let names = adopted_in(from)?;
        for name in &names {
            let check = |bytes: &[u8]| adopted::check_object(name, bytes);
            found.object(copying, name, check, |there, bytes| adopted::with_what_is_lost(name, there, bytes))?;
        }
        found.lacking.extend(adopted_in(to)?.into_iter().filter(|name| !names.contains(name)));
        Ok(found)
    }

    /// Copies an object that is whole, with what `keep` keeps of what the copy has, and notes whether that is any.
    fn object(
        &mut self,
        copying: &Copying<'_>,
        name: &str,
        check: impl Fn(&[u8]) -> Result<(), StorageError>,
        keep: impl FnOnce(&[u8], Vec<u8>) -> (Vec<u8>, bool),
    ) -> Result<(), CopyError> {
        // One that went meanwhile is in no copy.
        let Some(bytes) = copying.from.0.objects.read(name)? else { return Ok(()) };
        let there = copying.objects.read(name)?;
        let whole = there.as_deref().filter(|there| check(there).is_ok());
        match check(&bytes) {
            Ok(()) => {
                let (bytes, is_lacking) =
                    whole.map_or_else(|| (bytes.clone(), false), |there| keep(there, bytes.clone()));
                if is_lacking {
                    self.lacking.push(name.to_owned());
                }
                if there.as_ref() != Some(&bytes) {
                    copying.guard().put(name, &bytes)?;
                }
                Ok(())
            }
            Err(StorageError::Corrupt { object, why }) => {
                self.damaged.push(Damage { object, why, is_kept: whole.is_some() });
                Ok(())
            }
            Err(error) => Err(error.into()),
        }
    }
}

fn cosigned_up_to(objects: &Objects, size: u64) -> Result<BTreeSet<u64>, StorageError> {
    Ok(cosigned::sizes(objects)?.into_iter().filter(|cosigned| *cosigned <= size).collect())
}

fn adopted_in(objects: &Objects) -> Result<BTreeSet<String>, StorageError> {
    Ok(objects.list(adopted::FOLDER)?.into_iter().map(|name| format!("{}/{name}", adopted::FOLDER)).collect())
}
