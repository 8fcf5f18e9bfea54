//! What the nodes of a log name in others: an index of the fleet's own, since no log knows who names its nodes.
//!
//! It is made of the log's steps and shipments, and kept beside the mirror. A log only grows, so that what was read stays
//! true, and only what came since is read. Lost or damaged, it is made again.

use std::{collections::BTreeMap, fs, path::Path};

use griptrace_core::{
    digest::file_digest,
    id::{GenesisHash, NodeId},
    node::Kind,
};

use crate::{error::CommandError, workspace::Workspace};

/// The index, in the plant's folder.
const FILE: &str = "abroad";
const MAGIC: &str = "griptrace abroad v1";
/// The kinds whose edges may lead into other logs.
const KINDS: [Kind; 2] = [Kind::Transformation, Kind::Shipment];
/// Nodes that are read at a time.
const BATCH: usize = 1000;

/// Which nodes of a log name which nodes of others.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub(crate) struct Abroad {
    /// How many nodes of each kind were read.
    read: [usize; 2],
    naming: BTreeMap<(GenesisHash, NodeId), Vec<NodeId>>,
}

impl Abroad {
    /// Reads what is known of a log, and what came since.
    pub(crate) fn of(workspace: &Workspace, folder: &Path) -> Result<Self, CommandError> {
        let path = folder.join(FILE);
        let home = workspace.home();
        let known = fs::read_to_string(&path).ok().and_then(|text| Self::parse(&home, &text)).unwrap_or_default();
        let mut abroad = known.clone();
        for (kind, read) in KINDS.into_iter().zip(&mut abroad.read) {
            let ids = workspace.store.of_kind(kind).map_err(|e| e.while_doing(format!("cannot list every {kind}")))?;
            // Fewer than were read is another log: everything is read again.
            if ids.len() < *read {
                fs::remove_file(&path).map_err(|e| CommandError::file("remove", &path, e))?;
                return Self::of(workspace, folder);
            }
            for some in ids.get(*read..).unwrap_or_default().chunks(BATCH) {
                workspace.store.prefetch(some)?;
                for id in some {
                    for edge in workspace.node(id)?.core.edges {
                        let Some(home) = edge.home else { continue };
                        abroad.naming.entry((home, edge.to)).or_default().push(*id);
                    }
                }
            }
            *read = ids.len();
        }
        if abroad != known {
            fs::create_dir_all(folder).map_err(|e| CommandError::file("create", folder, e))?;
            let temporary = folder.join("abroad.new");
            let written = fs::write(&temporary, abroad.text(&home)).and_then(|()| fs::rename(&temporary, &path));
            written.map_err(|e| CommandError::file("write", &path, e))?;
        }
        Ok(abroad)
    }

    /// Returns the nodes that name this one.
    pub(crate) fn naming(&self, home: &GenesisHash, id: &NodeId) -> &[NodeId] {
        self.naming.get(&(*home, *id)).map_or(&[], Vec::as_slice)
    }

    fn text(&self, home: &GenesisHash) -> String {
        let [steps, shipments] = self.read;
        let mut text = format!("{MAGIC} {home} {steps} {shipments}\n");
        for ((home, id), naming) in &self.naming {
            let lines: Vec<String> = naming.iter().map(|by| format!("{home} {id} {by}\n")).collect();
            text.push_str(&lines.concat());
        }
        let digest = file_digest(text.as_bytes());
        format!("{text}{digest}\n")
    }

    fn parse(home: &GenesisHash, text: &str) -> Option<Self> {
        let at = text.strip_suffix('\n')?.rfind('\n')?.checked_add(1)?;
        let (body, digest) = text.split_at(at);
        if digest.trim_end() != file_digest(body.as_bytes()).to_string() {
            return None;
        }
        let (first, lines) = body.split_once('\n')?;
        let mut counts = first.strip_prefix(&format!("{MAGIC} {home} "))?.split(' ').map(|count| count.parse().ok());
        let mut abroad = Self { read: [counts.next()??, counts.next()??], naming: BTreeMap::new() };
        for line in lines.lines() {
            let mut words = line.split(' ');
            let key = (GenesisHash::from_hex(words.next()?)?, NodeId::from_hex(words.next()?)?);
            abroad.naming.entry(key).or_default().push(NodeId::from_hex(words.next()?)?);
        }
        Some(abroad)
    }
}
