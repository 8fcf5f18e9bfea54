//! Words of an assessment that nothing here has: a slip of the pen covers nothing, and nobody would say so.

use std::collections::BTreeSet;

use griptrace_core::{
    assessment::assessed,
    node::{Core, Kind},
    word::Word,
};

use crate::{context::Context, error::CommandError, recording::assessing::Terms, workspace::Workspace};

/// The words that are known of.
#[derive(Default)]
pub(super) struct Words {
    grades: BTreeSet<Word>,
    modalities: BTreeSet<Word>,
    schemes: BTreeSet<Word>,
}

impl Words {
    /// Adds those of a data set or model.
    pub(super) fn add(&mut self, core: &Core) {
        self.grades.extend(core.grade.clone());
        self.modalities.extend(core.modality.iter().cloned());
    }

    /// Returns those of everything in a store.
    pub(super) fn of(workspace: &Workspace) -> Result<Self, CommandError> {
        let mut words = Self::default();
        for kind in [Kind::Dataset, Kind::Model, Kind::Assessment] {
            let ids = workspace.store.of_kind(kind).map_err(|e| e.while_doing("cannot list the nodes"))?;
            workspace.store.prefetch(&ids)?;
            for id in ids {
                let core = workspace.node(&id)?.core;
                words.add(&core);
                words.schemes.extend(assessed(id, &core).ok().map(|assessed| assessed.assessment.scheme));
            }
        }
        Ok(words)
    }

    /// Warns of what none of it has. Where nothing has any word of that sort, none is missed.
    pub(super) fn warn(&self, context: &Context, terms: &Terms) {
        let sorts = [
            ("no data set or model here has the grade", &self.grades, core::slice::from_ref(&terms.grade)),
            ("no data set here has the modality", &self.modalities, terms.modalities.as_slice()),
            ("no assessment here has the scheme", &self.schemes, core::slice::from_ref(&terms.scheme)),
        ];
        for (lacks, known, words) in sorts {
            for word in words.iter().filter(|word| !known.is_empty() && !known.contains(*word)) {
                let known: Vec<&str> = known.iter().map(Word::as_str).collect();
                context.output.warn(format_args!(
                    "{lacks} {:?}, but {}: is it a word of the buyer's policy?",
                    word.as_str(),
                    known.join(", ")
                ));
            }
        }
    }
}
