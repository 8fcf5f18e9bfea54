//! Other companies' bundles that were taken over: the evidence for what their nodes are parents of.
//!
//! Each is kept whole, under its digest, and never changed. Beside them stand the names that their nodes go by here.
//! They are private: what of them leaves with a bundle is made anew each time (`prove`).

mod supplied;

use std::sync::PoisonError;

use griptrace_core::{
    bundle::bundle_digest,
    details::{read_value, slot},
    digest::{Digest, file_digest},
    id::{GenesisHash, NodeId},
    node::Kind,
};

pub(crate) use supplied::Supplied;

use crate::{
    Store,
    error::{AdoptError, ReadError, StorageError},
    objects::Objects,
};

/// The folder of adopted bundles, each under its digest.
pub(crate) const FOLDER: &str = "adopted";
/// The names that other companies' nodes go by, beside the bundles.
const NAMES: &str = "names";

/// Another company's node, and what it is called here.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ForeignNode {
    /// What it is called.
    pub name: String,
    /// Dataset or Model.
    pub kind: Kind,
    /// The origin of its log.
    pub origin: String,
    /// Its log.
    pub home: GenesisHash,
    /// Its id there.
    pub id: NodeId,
}

/// A log of an adopted bundle.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct AdoptedLog {
    /// Its origin.
    pub origin: String,
    /// The hash of its genesis.
    pub home: GenesisHash,
    /// The size of its newest checkpoint in the bundle.
    pub size: u64,
    /// The ids of its nodes in the bundle.
    pub nodes: Vec<NodeId>,
}

/// A bundle that was adopted.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct AdoptedBundle {
    /// The digest that reports name it by.
    pub digest: Digest,
    /// Its logs.
    pub logs: Vec<AdoptedLog>,
}

impl Store {
    /// Keeps another company's bundle, durably, as evidence for its node `id`, which is called `name` here from now on; without
    /// a name, what the bundle discloses. Whoever calls this has verified the bundle. Adopted again, it changes
    /// nothing but the name.
    ///
    /// # Errors
    /// `ReadOnly`; `Malformed` for bytes that are no bundle; `NoNode` if it does not have the node, `Kind` if that is
    /// neither a Dataset nor a Model, `Own` if it is of this log, `NoName` if nothing names it, `Storage`.
    pub fn adopt(&self, bundle: &[u8], id: &NodeId, name: Option<&str>) -> Result<ForeignNode, AdoptError> {
        if self.0.writer.is_none() {
            return Err(AdoptError::ReadOnly);
        }
        let digest = bundle_digest(bundle);
        let supplied = Supplied::read(digest, bundle).map_err(|why| AdoptError::Malformed { why })?;
        let node = supplied.node(id).ok_or(AdoptError::NoNode { id: *id })?;
        let kind = node.core.kind;
        if !matches!(kind, Kind::Dataset | Kind::Model) {
            return Err(AdoptError::Kind { id: *id, kind });
        }
        if node.core.home == self.0.home {
            return Err(AdoptError::Own { id: *id });
        }
        let name = name.map(str::to_owned).or_else(|| supplied.disclosed_name(id)).ok_or(AdoptError::NoName)?;
        if name.is_empty() || name.chars().any(char::is_control) {
            return Err(AdoptError::NoName);
        }
        let origin = supplied.origin_of(id).unwrap_or_default().to_owned();
        let adopted = ForeignNode { name, kind, origin, home: node.core.home, id: *id };
        // One after another, or a name would be lost; the bundle before the name, which would else lead to nothing.
        let _turn = self.0.adopting.lock().unwrap_or_else(PoisonError::into_inner);
        let object = object_of(&digest);
        if !self.0.objects.exists(&object) {
            self.0.objects.put(&object, bundle)?;
        }
        let mut names = read_names(&self.0.objects)?;
        names.retain(|other| (other.kind, &other.name) != (kind, &adopted.name));
        names.push(adopted.clone());
        self.0.objects.put(&names_object(), &write_names(&names))?;
        Ok(adopted)
    }

    /// Returns the names that other companies' nodes go by, the newest last.
    ///
    /// # Errors
    /// `Storage` if the list is damaged.
    pub fn foreign_nodes(&self) -> Result<Vec<ForeignNode>, ReadError> {
        Ok(read_names(&self.0.objects)?)
    }

    /// Returns the adopted bundles, by digest.
    ///
    /// # Errors
    /// `Storage` if one is damaged.
    pub fn adopted(&self) -> Result<Vec<AdoptedBundle>, ReadError> {
        let all = read_all(&self.0.objects)?;
        Ok(all.iter().map(|one| AdoptedBundle { digest: one.digest, logs: one.summary() }).collect())
    }
}

/// Reads every adopted bundle, by digest.
pub(crate) fn read_all(objects: &Objects) -> Result<Vec<Supplied>, StorageError> {
    let names = objects.list(FOLDER)?.into_iter().filter(|name| name != NAMES);
    names.map(|name| read(objects, &name)).collect()
}

fn read(objects: &Objects, name: &str) -> Result<Supplied, StorageError> {
    let object = format!("{FOLDER}/{name}");
    let corrupt = |why: String| StorageError::corrupt(object.clone(), why);
    let bytes = objects.read(&object)?.ok_or_else(|| corrupt("it is missing".to_owned()))?;
    let digest = bundle_digest(&bytes);
    if digest.to_string() != name {
        return Err(corrupt(format!("it holds the bundle {digest}")));
    }
    Supplied::read(digest, &bytes).map_err(corrupt)
}

/// Checks every adopted bundle and the names, and returns what is damaged: the object, and why.
pub(crate) fn check(objects: &Objects) -> Result<Vec<(String, String)>, StorageError> {
    let mut faults = Vec::new();
    let mut note = |result: Result<(), StorageError>| match result {
        Err(StorageError::Corrupt { object, why }) => {
            faults.push((object, why));
            Ok(())
        }
        other => other,
    };
    for name in objects.list(FOLDER)?.into_iter().filter(|name| name != NAMES) {
        note(read(objects, &name).map(drop))?;
    }
    note(read_names(objects).map(drop))?;
    Ok(faults)
}

/// Returns the object that holds a bundle.
pub(crate) fn object_of(digest: &Digest) -> String {
    format!("{FOLDER}/{digest}")
}

fn names_object() -> String {
    format!("{FOLDER}/{NAMES}")
}

/// A line a name, and a last one with the digest of those before.
fn write_names(names: &[ForeignNode]) -> Vec<u8> {
    let line = |n: &ForeignNode| format!("{} {} {} {} {}\n", n.kind, n.origin, n.home, n.id, n.name);
    let lines: String = names.iter().map(line).collect();
    format!("{lines}blake3 {}\n", file_digest(lines.as_bytes())).into_bytes()
}

fn read_names(objects: &Objects) -> Result<Vec<ForeignNode>, StorageError> {
    let Some(bytes) = objects.read(&names_object())? else { return Ok(Vec::new()) };
    let corrupt = || StorageError::corrupt(names_object(), "its last line is not the digest of those before it");
    let text = String::from_utf8(bytes).map_err(|_| corrupt())?;
    let body = text.strip_suffix('\n').ok_or_else(corrupt)?;
    let lines = body.rfind('\n').map_or(0, |at| at.saturating_add(1));
    let (lines, last) = text.split_at(lines);
    if last != format!("blake3 {}\n", file_digest(lines.as_bytes())) {
        return Err(corrupt());
    }
    lines.lines().map(|line| read_name(line).ok_or_else(corrupt)).collect()
}

fn read_name(line: &str) -> Option<ForeignNode> {
    let mut words = line.splitn(5, ' ');
    let mut next = || words.next();
    Some(ForeignNode {
        kind: Kind::from_word(next()?)?,
        origin: next()?.to_owned(),
        home: GenesisHash::from_hex(next()?)?,
        id: NodeId::from_hex(next()?)?,
        name: next()?.to_owned(),
    })
}

impl Supplied {
    /// Returns what the bundle discloses as the node's name.
    fn disclosed_name(&self, id: &NodeId) -> Option<String> {
        let wanted = slot(self.node(id)?.core.kind, "name")?;
        let (.., value) = self.disclosure(id)?.slots.iter().find(|(slot, ..)| *slot == wanted)?;
        Some(read_value(value).ok()?.as_text()?.to_owned())
    }
}
