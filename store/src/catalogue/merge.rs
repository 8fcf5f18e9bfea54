//! Writing the catalogue as a snapshot: the old snapshot's records, and those of the tail.

use griptrace_core::{id::NodeId, node::Role};

use super::Catalogue;
use crate::{
    error::StorageError,
    number::{place, wide},
    objects::Objects,
    placed::{Number, Placed, PlacedCommit, PlacedHead, by_id_from_record, by_id_to_record, line_to_record},
    snapshot::{Column, Snapshot, SnapshotWriter},
};

impl Catalogue {
    /// Writes a snapshot of the whole catalogue, and opens it. `None` if what was written can't be
    /// read.
    pub(crate) fn write_snapshot(&self, objects: &Objects) -> Result<Option<Snapshot>, StorageError> {
        let mut writer = SnapshotWriter::begin(objects, &self.home, &self.reached, &self.counts())?;
        self.write_nodes(&mut writer)?;
        self.write_incoming(&mut writer)?;
        self.write_order(&mut writer)?;
        self.write_rest(&mut writer)?;
        if self.is_damaged() {
            return Ok(None);
        }
        writer.finish()?;
        Ok(Snapshot::open(objects, &self.home))
    }

    fn counts(&self) -> [(Column, u64); 14] {
        let subjects = self.tail.assessments().map(|assessment| wide(assessment.subjects.len())).sum::<u64>();
        let tail = self.tail.ends();
        let (nodes, edges) = (self.len().into(), self.edges().into());
        let with = |column, tail: u64| (column, u64::from(self.count(column)).saturating_add(tail));
        [
            (Column::Id, nodes),
            (Column::Node, nodes),
            (Column::EdgeTo, edges),
            (Column::EdgeRole, edges),
            (Column::IncomingFirst, nodes.saturating_add(1)),
            (Column::IncomingFrom, edges),
            (Column::IncomingRole, edges),
            (Column::ById, nodes),
            with(Column::Commit, wide(tail.commits)),
            with(Column::Head, wide(tail.heads)),
            with(Column::Line, wide(tail.lines)),
            with(Column::Change, wide(tail.changes)),
            with(Column::Assessment, wide(tail.assessments)),
            with(Column::Subject, subjects),
        ]
    }

    /// Returns the records of a column in the old snapshot.
    fn old<const N: usize>(&self, column: Column) -> impl Iterator<Item = [u8; N]> + '_ {
        let base = self.base.as_ref();
        base.into_iter().flat_map(move |base| (0..base.count(column)).map(move |at| base.record(column, at)))
    }

    fn write_nodes(&self, writer: &mut SnapshotWriter<'_>) -> Result<(), StorageError> {
        let tail = &self.tail;
        writer.column(Column::Id, self.old(Column::Id).chain(tail.ids().map(|id| *id.as_bytes())))?;
        writer.column(Column::Node, self.old(Column::Node).chain(tail.nodes().map(Placed::to_record)))?;
        let to = tail.edges().map(|edge| edge.to.to_le_bytes());
        writer.column(Column::EdgeTo, self.old(Column::EdgeTo).chain(to))?;
        let roles = tail.edges().map(|edge| [edge.role.number()]);
        writer.column(Column::EdgeRole, self.old(Column::EdgeRole).chain(roles))
    }

    /// Writes the edges by where they lead: counted, and then put in their places.
    fn write_incoming(&self, writer: &mut SnapshotWriter<'_>) -> Result<(), StorageError> {
        let nodes = place(self.len());
        let mut first = vec![0_u32; nodes.saturating_add(1)];
        for at in 0..self.edges() {
            if let Some(count) = first.get_mut(place(self.edge(at).to).saturating_add(1)) {
                *count = count.saturating_add(1);
            }
        }
        let mut sum = 0_u32;
        for count in &mut first {
            sum = sum.saturating_add(*count);
            *count = sum;
        }
        writer.column(Column::IncomingFirst, first.iter().map(|first| first.to_le_bytes()))?;
        let mut incoming: Vec<(Number, Role)> = vec![(0, Role::Used); place(self.edges())];
        for number in self.numbers() {
            for edge in self.edges_of(number) {
                let Some(next) = first.get_mut(place(edge.to)) else { continue };
                if let Some(slot) = incoming.get_mut(place(*next)) {
                    *slot = (number, edge.role);
                }
                *next = next.saturating_add(1);
            }
        }
        writer.column(Column::IncomingFrom, incoming.iter().map(|(from, _)| from.to_le_bytes()))?;
        writer.column(Column::IncomingRole, incoming.iter().map(|(_, role)| [role.number()]))
    }

    /// Writes the nodes in the order of their ids: two sorted lists, merged.
    fn write_order(&self, writer: &mut SnapshotWriter<'_>) -> Result<(), StorageError> {
        let numbers = self.tail.first_node..self.len();
        let mut fresh: Vec<(NodeId, Number)> = self.tail.ids().zip(numbers).collect();
        fresh.sort_unstable();
        let mut fresh = fresh.into_iter().peekable();
        let old = self.old(Column::ById).map(by_id_from_record);
        let mut old = old.map(|(_, number)| (self.id(number), number)).peekable();
        let merged = core::iter::from_fn(|| match (old.peek(), fresh.peek()) {
            (Some(a), Some(b)) if a <= b => old.next(),
            (Some(_), None) => old.next(),
            _ => fresh.next(),
        });
        writer.column(Column::ById, merged.map(|(id, number)| by_id_to_record(&id, number)))
    }

    fn write_rest(&self, writer: &mut SnapshotWriter<'_>) -> Result<(), StorageError> {
        let tail = &self.tail;
        let commits = tail.commits().map(PlacedCommit::to_record);
        writer.column(Column::Commit, self.old(Column::Commit).chain(commits))?;
        writer.column(Column::Head, self.old(Column::Head).chain(tail.heads().map(PlacedHead::to_record)))?;
        writer.column(Column::Line, self.old(Column::Line).chain(tail.lines().map(|line| line_to_record(&line))))?;
        let changes = tail.changes().map(u64::to_le_bytes);
        writer.column(Column::Change, self.old(Column::Change).chain(changes))?;
        let mut first = self.count(Column::Subject);
        let assessments = tail.assessments().map(|assessment| {
            let record = assessment.to_record(first);
            first = first.saturating_add(u32::try_from(assessment.subjects.len()).unwrap_or(u32::MAX));
            record
        });
        writer.column(Column::Assessment, self.old(Column::Assessment).chain(assessments))?;
        let subjects = tail.assessments().flat_map(|assessment| assessment.subjects);
        writer.column(Column::Subject, self.old(Column::Subject).chain(subjects.map(|id| *id.as_bytes())))
    }
}
