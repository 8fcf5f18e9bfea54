//! Other companies' bundles that were taken over: the evidence for what their nodes are parents of.
//!
//! Each is kept whole, under its digest, and never changed. Beside them stand the names that their nodes go by here, and
//! when each came. They are private: what of them leaves with a bundle is made anew each time (`prove`).

mod sizes;
mod supplied;

use std::{
    collections::BTreeMap,
    sync::{Arc, PoisonError},
};

use griptrace_core::{
    bundle::bundle_digest,
    details::{read_value, slot},
    digest::{Digest, file_digest},
    id::{GenesisHash, NodeId},
    node::Kind,
};

pub(crate) use sizes::{Sizes, read_sizes};
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
        if self.0.writer().is_none() {
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
        // The bundle before the name, which would else lead to nothing.
        let _turn = self.0.adopting.lock().unwrap_or_else(PoisonError::into_inner);
        let object = object_of(&digest);
        let is_there = self.0.objects.exists(&object)?;
        let size = self.0.ask(|state| Ok::<_, StorageError>(state.catalogue.size()))?;
        sizes::note_size(&self.0.objects, &digest, is_there, size)?;
        if !is_there {
            // From the first bundle on it is there: that it is lost is noticed.
            let begin = |there: Option<&[u8]>| Ok::<_, StorageError>(there.is_none().then(|| write_names(&[])));
            self.0.objects.change(&names_object(), begin)?;
            self.0.objects.put(&object, bundle)?;
        }
        // In a bucket another process that believes to write may adopt at the same time.
        self.0.objects.change(&names_object(), |there| {
            let mut names = parse_lines(there, &names_object(), read_name)?;
            names.retain(|other| (other.kind, &other.name) != (kind, &adopted.name));
            names.push(adopted.clone());
            Ok::<_, StorageError>(Some(write_names(&names)))
        })?;
        Ok(adopted)
    }

    /// Returns the names that other companies' nodes go by, the newest last.
    ///
    /// # Errors
    /// `Storage` if the list is damaged.
    pub fn foreign_nodes(&self) -> Result<Vec<ForeignNode>, ReadError> {
        Ok(read_names(&self.0.objects)?)
    }

    /// Returns every node of adopted bundles, each once: by the name that it goes by here, else by that which a bundle
    /// discloses; where none does, the name is empty.
    ///
    /// # Errors
    /// `Storage` if a bundle or the list of names is damaged.
    pub fn adopted_nodes(&self) -> Result<Vec<ForeignNode>, ReadError> {
        let mut nodes: BTreeMap<NodeId, ForeignNode> = BTreeMap::new();
        for supplied in read_all(&self.0.objects)? {
            for node in supplied.nodes() {
                let origin = supplied.origin(node.log).to_owned();
                let (name, kind, home, id) = (String::new(), node.core.kind, node.core.home, node.id);
                let known = nodes.entry(id).or_insert(ForeignNode { name, kind, origin, home, id });
                if known.name.is_empty() {
                    known.name = supplied.disclosed_name(&id).unwrap_or_default();
                }
            }
        }
        nodes.extend(read_names(&self.0.objects)?.into_iter().map(|node| (node.id, node)));
        Ok(nodes.into_values().collect())
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
pub(crate) fn read_all(objects: &Objects) -> Result<Vec<Arc<Supplied>>, StorageError> {
    digests(objects)?.map(|name| read(objects, &name).map(Arc::new)).collect()
}

/// Lists the bundles: each is called by its digest.
fn digests(objects: &Objects) -> Result<impl Iterator<Item = String>, StorageError> {
    Ok(objects.list(FOLDER)?.into_iter().filter(|name| name != NAMES && name != sizes::SIZES))
}

fn read(objects: &Objects, name: &str) -> Result<Supplied, StorageError> {
    let object = format!("{FOLDER}/{name}");
    let bytes = objects.read(&object)?.ok_or_else(|| StorageError::corrupt(&*object, "it is missing"))?;
    parse(&object, &bytes)
}

/// Takes a bundle apart, which has to be the one that the object is called by.
fn parse(object: &str, bytes: &[u8]) -> Result<Supplied, StorageError> {
    let digest = bundle_digest(bytes);
    if object_of(&digest) != object {
        return Err(StorageError::corrupt(object, format!("it holds the bundle {digest}")));
    }
    Supplied::read(digest, bytes).map_err(|why| StorageError::corrupt(object, why))
}

/// Checks the bytes of an object in the folder: a bundle, or one of the lists.
pub(crate) fn check_object(object: &str, bytes: &[u8]) -> Result<(), StorageError> {
    if object == names_object() {
        parse_lines(Some(bytes), object, read_name).map(drop)
    } else if object == sizes::object() {
        sizes::parse(Some(bytes)).map(drop)
    } else {
        parse(object, bytes).map(drop)
    }
}

/// Adds to a list what only an older copy of it, `there`, has: nothing is ever taken out of one, so that it was lost. Tells whether
/// there is any. A bundle is what it is.
pub(crate) fn with_what_is_lost(object: &str, there: &[u8], bytes: Vec<u8>) -> (Vec<u8>, bool) {
    let added = if object == names_object() {
        both(there, &bytes, |bytes| parse_lines(Some(bytes), object, read_name)).and_then(|(mut all, new)| {
            all.retain(|old| !new.iter().any(|new| (new.kind, &new.name) == (old.kind, &old.name)));
            let is_any = !all.is_empty();
            all.extend(new);
            is_any.then(|| write_names(&all))
        })
    } else if object == sizes::object() {
        both(there, &bytes, |bytes| sizes::parse(Some(bytes))).and_then(|(mut all, new)| {
            let is_any = all.keys().any(|old| !new.contains_key(old));
            all.extend(new);
            is_any.then(|| sizes::write(&all))
        })
    } else {
        None
    };
    added.map_or((bytes, false), |bytes| (bytes, true))
}

fn both<T>(one: &[u8], other: &[u8], read: impl Fn(&[u8]) -> Result<T, StorageError>) -> Option<(T, T)> {
    read(one).ok().zip(read(other).ok())
}

/// Checks every adopted bundle and the lists, and returns what is damaged or lost: the object, and why.
pub(crate) fn check(objects: &Objects) -> Result<Vec<(String, String)>, StorageError> {
    let mut faults = Vec::new();
    let mut bundles = BTreeMap::new();
    for name in digests(objects)? {
        if let Some(bundle) = noted(&mut faults, read(objects, &name))? {
            bundles.insert(bundle.digest, bundle);
        }
    }
    let are_whole = faults.is_empty();
    let names = noted(&mut faults, read_names(objects))?;
    let sizes = noted(&mut faults, read_sizes(objects))?;
    if !bundles.is_empty() && !objects.exists(&names_object())? {
        faults.push((names_object(), "it is missing, and bundles were adopted".to_owned()));
    }
    let undated = bundles.keys().find(|digest| sizes.as_ref().is_some_and(|sizes| !sizes.contains_key(digest)));
    if let Some(digest) = undated {
        let lost = if objects.exists(&sizes::object())? { "it does not tell" } else { "it is missing, and would tell" };
        faults.push((sizes::object(), format!("{lost} when {} was adopted", object_of(digest))));
    }
    // A bundle that is damaged may be the one that has them.
    let is_in_none = |node: &ForeignNode| bundles.values().all(|bundle| bundle.node(&node.id).is_none());
    if let Some(node) = names.into_iter().flatten().find(|node| are_whole && is_in_none(node)) {
        let why = format!("no bundle here has the node {}, which is called {:?} here", node.id, node.name);
        let dated = sizes.iter().flatten().map(|(digest, _)| digest);
        let lost: Vec<String> = dated.filter(|digest| !bundles.contains_key(*digest)).map(object_of).collect();
        if lost.is_empty() {
            faults.push((FOLDER.to_owned(), format!("a bundle is missing: {why}")));
        }
        faults.extend(lost.into_iter().map(|object| (object, format!("it is missing, and {why}"))));
    }
    Ok(faults)
}

/// Notes damage, and hands on what the disk says.
fn noted<T>(faults: &mut Vec<(String, String)>, result: Result<T, StorageError>) -> Result<Option<T>, StorageError> {
    match result {
        Ok(found) => Ok(Some(found)),
        Err(StorageError::Corrupt { object, why }) => {
            faults.push((object, why));
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

/// Returns the object that holds a bundle.
pub(crate) fn object_of(digest: &Digest) -> String {
    format!("{FOLDER}/{digest}")
}

fn names_object() -> String {
    format!("{FOLDER}/{NAMES}")
}

fn write_names(names: &[ForeignNode]) -> Vec<u8> {
    let line = |n: &ForeignNode| format!("{} {} {} {} {}\n", n.kind, n.origin, n.home, n.id, n.name);
    write_lines(&names.iter().map(line).collect::<String>())
}

fn read_names(objects: &Objects) -> Result<Vec<ForeignNode>, StorageError> {
    parse_lines(objects.read(&names_object())?.as_deref(), &names_object(), read_name)
}

/// Adds a last line with the digest of those before.
fn write_lines(lines: &str) -> Vec<u8> {
    format!("{lines}blake3 {}\n", file_digest(lines.as_bytes())).into_bytes()
}

/// Reads what [`write_lines`] wrote; nothing of it is there before anything was adopted.
fn parse_lines<T>(
    bytes: Option<&[u8]>,
    object: &str,
    read: impl Fn(&str) -> Option<T>,
) -> Result<Vec<T>, StorageError> {
    let Some(bytes) = bytes else { return Ok(Vec::new()) };
    let corrupt = || StorageError::corrupt(object, "its last line is not the digest of those before it");
    let text = core::str::from_utf8(bytes).map_err(|_| corrupt())?;
    let body = text.strip_suffix('\n').ok_or_else(corrupt)?;
    let lines = body.rfind('\n').map_or(0, |at| at.saturating_add(1));
    let (lines, last) = text.split_at(lines);
    if last != format!("blake3 {}\n", file_digest(lines.as_bytes())) {
        return Err(corrupt());
    }
    lines.lines().map(|line| read(line).ok_or_else(corrupt)).collect()
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
