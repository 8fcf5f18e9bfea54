//! Whether the same was recorded before.

use std::collections::{BTreeMap, BTreeSet};

use griptrace_core::{
    cbor::{Record as _, Writer, encode},
    details::slot,
    digest::{Digest, LOOKUP},
    id::NodeId,
    node::{Core, Kind, Role},
};

use crate::record::NodeRecord;

/// Nodes that are recorded together: a source, or a Transformation with all its outputs.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Unit {
    /// Places of its nodes in the list that it was found in: the Transformation first, the outputs
    /// by what they say.
    pub(crate) places: Vec<usize>,
    bytes: Vec<u8>,
}

impl Unit {
    /// Rule R10: what is recorded again is found again, though seeds, nonces and salts are random. A
    /// unit's key is a hash of all it says in plain text: cores without nonce and details root,
    /// edges inside the unit without ids, details, files. The secret is the index's own, so that
    /// the key tells nobody else what was recorded.
    pub(crate) fn key(&self, secret: &[u8; 32]) -> Digest {
        LOOKUP.hash_parts(&[secret, b"u", &self.bytes])
    }

    /// Tells whether two units are the same but for what is random in them.
    pub(crate) fn says_the_same_as(&self, other: &Self) -> bool {
        self.bytes == other.bytes
    }
}

/// Tells whether two lists of nodes are one unit each, and say the same, node by node, but for what is random in
/// them: what [`crate::Store::find_recorded`] looks for. For who was told by somebody else that it was found.
pub fn says_the_same(one: &[NodeRecord], other: &[NodeRecord]) -> bool {
    let unit = |records: &[NodeRecord]| {
        let read = |record: &NodeRecord| Some((record.id(), record.core().ok()?, record.clone()));
        let nodes: Vec<_> = records.iter().map(read).collect::<Option<_>>()?;
        let mut units = units(&nodes);
        units.pop().filter(|unit| units.is_empty() && unit.places.len() == nodes.len())
    };
    unit(one).zip(unit(other)).is_some_and(|(one, other)| one == other)
}

/// Finds the units among nodes that are, or would be, in one commit.
pub(crate) fn units(nodes: &[(NodeId, Core, NodeRecord)]) -> Vec<Unit> {
    let places: BTreeMap<NodeId, usize> = nodes.iter().enumerate().map(|(place, (id, ..))| (*id, place)).collect();
    let mut outputs: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
    let mut units = Vec::new();
    for (place, (_, core, _)) in nodes.iter().enumerate() {
        let step = core.edges_of(Role::GeneratedBy).next().map(|edge| places.get(&edge.to));
        match (core.kind, step) {
            (Kind::Transformation, _) => drop(outputs.entry(place).or_default()),
            (Kind::Dataset | Kind::Model, Some(Some(step))) => outputs.entry(*step).or_default().push(place),
            (Kind::Dataset | Kind::Model, None) => units.push(unit(nodes, None, vec![place])),
            // Of those, what was made by a step that is elsewhere could not be committed.
            (Kind::Dataset | Kind::Model | Kind::Assessment | Kind::Shipment | Kind::Status | Kind::Erasure, _) => {}
        }
    }
    units.extend(outputs.into_iter().map(|(step, outputs)| unit(nodes, Some(step), outputs)));
    units
}

fn unit(nodes: &[(NodeId, Core, NodeRecord)], step: Option<usize>, others: Vec<usize>) -> Unit {
    let chosen = step.iter().chain(&others).filter_map(|place| nodes.get(*place));
    let inside: BTreeSet<NodeId> = chosen.map(|(id, ..)| *id).collect();
    let said = |place: usize| {
        let said = nodes.get(place).map(|(_, core, record)| plain(core, record, &inside));
        (said.unwrap_or_default(), place)
    };
    let mut all: Vec<(Vec<u8>, usize)> = others.into_iter().map(said).collect();
    all.sort();
    all.splice(0..0, step.map(said));
    let mut out = Writer::new();
    out.array(all.len());
    all.iter().for_each(|(said, _)| out.bytes(said).end());
    Unit { places: all.into_iter().map(|(_, place)| place).collect(), bytes: out.into_bytes() }
}

/// Returns what a node says, without what is random in it.
fn plain(core: &Core, record: &NodeRecord, inside: &BTreeSet<NodeId>) -> Vec<u8> {
    let mut core = Core { nonce: [0; 16], details: Digest::ZERO, ..core.clone() };
    for edge in core.edges.iter_mut().filter(|edge| inside.contains(&edge.to)) {
        edge.to = NodeId::new(Digest::ZERO);
    }
    // The detail `manifest` holds the root over salted leaves; the files stand for it.
    let salted = record.manifest.as_ref().and(slot(core.kind, "manifest"));
    let values: Vec<(&u8, &Vec<u8>)> = record.values.iter().filter(|(slot, _)| Some(**slot) != salted).collect();
    let files = record.manifest.as_ref().map_or(&[][..], |manifest| &manifest.files);
    let mut out = Writer::new();
    out.array(3).bytes(&encode(&core)).map(values.len());
    for (slot, value) in values {
        out.uint((*slot).into()).bytes(value);
    }
    out.array(files.len());
    files.iter().for_each(|file| file.write(&mut out));
    out.into_bytes()
}
