//! What can be made again: the snapshot and the index, compared with what the segments give.

use rayon::iter::{IntoParallelIterator as _, ParallelIterator as _};

use super::{Audit, Progress};
use crate::{
    catalogue::Catalogue,
    error::StorageError,
    index::Index,
    placed::Number,
    snapshot::{self, Snapshot},
    store::Inner,
};

impl Audit<'_> {
    /// Compares the snapshot on disk.
    pub(super) fn snapshot(&mut self, progress: Progress<'_>) -> Result<(), StorageError> {
        if !self.objects.exists(snapshot::NAME)? {
            return Ok(());
        }
        progress("checking the snapshot", 0, 1);
        let Some(snapshot) = Snapshot::open(self.objects, &self.derived.home) else {
            if Snapshot::is_of_another_version(self.objects) {
                return Ok(());
            }
            self.fault(snapshot::NAME, "it can't be read");
            return Ok(());
        };
        if let Some(block) = snapshot.first_damaged() {
            self.fault(snapshot::NAME, format!("its block {block} has another checksum"));
            return Ok(());
        }
        self.differs(difference(&Catalogue::on(self.derived.home, snapshot), &self.derived));
        Ok(())
    }

    /// Compares what an open store answers from.
    pub(super) fn live(&mut self, inner: &Inner) -> Result<(), StorageError> {
        let derived = &self.derived;
        let what = inner.ask(|state| {
            // A writer may have gone on meanwhile.
            let is_same_size = state.catalogue.size() == derived.size();
            Ok::<_, StorageError>(if is_same_size { difference(&state.catalogue, derived) } else { None })
        })?;
        self.differs(what);
        Ok(())
    }

    fn differs(&mut self, what: Option<&str>) {
        if let Some(what) = what {
            self.fault(snapshot::NAME, format!("it has other {what} than the segments"));
        }
    }

    /// Compares the index with the segments, as far as it has got.
    pub(super) fn index(&mut self, open: &mut Option<Index>, progress: Progress<'_>) -> Result<(), StorageError> {
        progress("checking the index", 0, 1);
        let inspected;
        let index = match open {
            Some(index) => &*index,
            None => match Index::inspect(self.objects.local(), &self.derived) {
                Ok(Some(index)) => {
                    inspected = index;
                    &inspected
                }
                Ok(None) => return Ok(()),
                Err(_) => {
                    self.fault("index", "it can't be read, or is of another log");
                    return Ok(());
                }
            },
        };
        // What was erased since it was begun may stand in it still: it is made again before it is asked.
        if !index.is_sifted(&self.derived) {
            return Ok(());
        }
        let compared = index.difference(self.objects, &self.derived);
        let Some(compared) = self.note(compared)? else { return Ok(()) };
        match compared {
            Ok(None) => {}
            Ok(Some((found, expected))) => {
                let why =
                    format!("{found} pairs of it are not the {expected} that the segments give; delete it if it stays");
                self.fault("index", why);
            }
            Err(_) => self.fault("index", "it is damaged"),
        }
        progress("checking the index", 1, 1);
        Ok(())
    }
}

/// Tells what a catalogue has otherwise than one that is derived and at least as large.
pub(super) fn difference(found: &Catalogue, derived: &Catalogue) -> Option<&'static str> {
    // A writer may have gone on meanwhile, and written a newer one.
    if found.size() > derived.size() {
        return None;
    }
    let count = found.len();
    let same_node = |number: Number| {
        let edges = found.edges_of(number).eq(derived.edges_of(number));
        let incoming = derived.incoming(number).filter(|(_, from)| *from < count);
        found.id(number) == derived.id(number)
            && found.node(number) == derived.node(number)
            && edges
            && found.incoming(number).eq(incoming)
            && found.number(&derived.id(number)) == Some(number)
    };
    if count > derived.len() || !(0..count).into_par_iter().all(same_node) {
        return Some("nodes or edges");
    }
    if found.commits() > derived.commits() || !(0..found.commits()).all(|at| found.commit(at) == derived.commit(at)) {
        return Some("commits");
    }
    if found.heads() > derived.heads() || !(0..found.heads()).all(|at| found.head(at) == derived.head(at)) {
        return Some("status heads");
    }
    let size = found.size();
    if !found.lines().eq(derived.lines().take_while(|(leaf, _)| *leaf < size)) {
        return Some("lines of the status map");
    }
    let assessments = derived.assessments().take_while(|assessment| assessment.node < count);
    if !found.assessments().eq(assessments) {
        return Some("assessments");
    }
    None
}
