//! Putting back what an audit found wrong and the segments still give. Nothing else is written: an audit alone changes nothing.

use griptrace_core::tile::TilePath;

use super::{Fault, FsckReport};
use crate::{
    Store,
    error::{ReadError, StorageError},
    index::Index,
    snapshot,
};

impl Store {
    /// Puts back what an audit of this store named that can be made again: tiles, the snapshot, this machine's index. Each is made
    /// of the segments, and hashed up to the root that was signed; and what was erased and stands there again is overwritten. `head`, `checkpoint`, `keys` and `genesis` were put back when
    /// the store was opened to write. Returns the faults that are mended.
    ///
    /// # Errors
    /// `Storage` if a write failed. What needs a segment that is damaged itself is left as it is, and so is everything if the store
    /// is not open for writing.
    pub fn mend(&self, report: &FsckReport) -> Result<Vec<Fault>, ReadError> {
        let mut mended = Vec::new();
        for fault in report.faults.iter().filter(|fault| fault.heals && self.is_writing()) {
            match self.put_back(&fault.object) {
                Ok(true) => mended.push(fault.clone()),
                Ok(false) | Err(ReadError::Storage(StorageError::Corrupt { .. })) => {}
                Err(error) => return Err(error),
            }
        }
        let erased: Vec<&Fault> = report.faults.iter().filter(|fault| fault.is_erased).collect();
        if let Some(writer) = self.0.writer().filter(|_| !erased.is_empty()) {
            let _alone = self.0.erasing();
            let strays = self.clear_away()?;
            self.0.finish_erasing(&writer)?;
            mended.extend(erased.into_iter().filter(|fault| !strays.contains(&fault.object)).cloned());
        }
        Ok(mended)
    }

    /// Removes what lies beside blocks; returns what is left, since its block is damaged.
    fn clear_away(&self) -> Result<Vec<String>, StorageError> {
        let Some(blocks) = self.0.objects.blocks() else { return Ok(Vec::new()) };
        let cleared = blocks.fill_now(&self.0.home, self.size()).and_then(|_| blocks.strays());
        cleared.map_err(self.0.objects.failed("put together the segments in", ""))
    }

    fn put_back(&self, object: &str) -> Result<bool, ReadError> {
        let inner = &self.0;
        if let Ok(path) = TilePath::parse(object) {
            let Some(bytes) = self.published(path)? else { return Ok(false) };
            inner.objects.put(object, &bytes)?;
            return Ok(true);
        }
        if object == snapshot::NAME {
            return Ok(inner.make_snapshot_again()?);
        }
        if object == "index" {
            let mut index = inner.index();
            *index = None;
            let made = inner.ask(|state| Ok::<_, StorageError>(Index::anew(&inner.objects, &state.catalogue)))?;
            *index = Some(made);
            return Ok(true);
        }
        Ok(false)
    }
}
