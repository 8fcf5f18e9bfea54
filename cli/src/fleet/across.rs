//! Questions across the logs of a fleet: each is asked in its own log, and an edge into another one is followed there.

use std::collections::{BTreeMap, VecDeque, btree_map::Entry};

use griptrace_core::{
    id::{GenesisHash, NodeId},
    node::{Edge, Kind},
};
use griptrace_store::StoredNode;

use super::{Fleet, abroad::Abroad, contact::one_line};
use crate::{error::CommandError, output::Output, resolve::resolve_here, view::headline, workspace::Workspace};

/// The plants, as far as they can be asked.
#[derive(Debug)]
pub(crate) struct Across<'f> {
    fleet: &'f Fleet,
    sites: Vec<Site>,
}

/// A plant that is asked, or why it can't be.
#[derive(Debug)]
struct Site {
    name: String,
    /// Its log, also of one that can't be asked, if it was mirrored.
    home: Option<GenesisHash>,
    workspace: Result<Workspace, String>,
}

/// A node, and at which plant it is: its place in the fleet.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) struct At {
    pub(crate) plant: usize,
    pub(crate) id: NodeId,
}

/// Nodes that were met on a walk, nearest first, and what could not be walked.
#[derive(Debug, Default)]
pub(crate) struct Walked {
    pub(crate) met: Vec<(At, u64)>,
    /// What is not known, in words.
    pub(crate) gaps: Vec<String>,
}

impl<'f> Across<'f> {
    /// Opens every plant's log that can be opened.
    pub(crate) fn open(fleet: &'f Fleet, output: &Output) -> Self {
        let sites = fleet.plants.iter().map(|plant| {
            let workspace = plant.open(output).map_err(|error| one_line(error.source.as_ref()));
            let home = workspace.as_ref().map_or_else(|_| plant.home(), |workspace| Some(workspace.home()));
            Site { name: plant.name.clone(), home, workspace }
        });
        Self { fleet, sites: sites.collect() }
    }

    /// Returns the name of a plant.
    pub(crate) fn name(&self, plant: usize) -> &str {
        self.sites.get(plant).map_or("", |site| &site.name)
    }

    /// Returns the log of a plant that can be asked.
    pub(crate) fn workspace(&self, plant: usize) -> Result<&Workspace, CommandError> {
        let unknown = || CommandError::failed(format!("the fleet has no plant {plant}"));
        let site = self.sites.get(plant).ok_or_else(unknown)?;
        site.workspace
            .as_ref()
            .map_err(|why| CommandError::failed(format!("not reachable: plant {}: {why}", site.name)))
    }

    /// Returns a node.
    pub(crate) fn node(&self, at: At) -> Result<StoredNode, CommandError> {
        self.workspace(at.plant)?.node(&at.id)
    }

    /// Returns the plant whose log this is.
    pub(crate) fn plant_of(&self, home: &GenesisHash) -> Option<usize> {
        self.sites.iter().position(|site| site.home.as_ref() == Some(home))
    }

    /// Says which plants can't be asked, and why.
    pub(crate) fn unreachable(&self) -> impl Iterator<Item = String> + '_ {
        let why = |site: &Site| Some(format!("not reachable: plant {}: {}", site.name, site.workspace.as_ref().err()?));
        self.sites.iter().filter_map(why)
    }

    /// Finds the one node that `text` means, in the log of the plant that is named, or in whichever has it.
    pub(crate) fn find(&self, output: &Output, text: &str, plant: Option<&str>) -> Result<At, CommandError> {
        if let Some(plant) = plant {
            self.fleet.plant(plant)?;
        }
        let mut found = Vec::new();
        for (number, site) in
            self.sites.iter().enumerate().filter(|(_, site)| plant.is_none_or(|name| name == site.name))
        {
            match &site.workspace {
                Ok(workspace) => {
                    let id = resolve_here(workspace, output, text)
                        .map_err(|e| e.while_doing(format!("asking plant {}", site.name)))?;
                    found.extend(id.map(|id| At { plant: number, id }));
                }
                Err(why) => output.warn(format_args!("not reachable: plant {}: {why}", site.name)),
            }
        }
        match found.as_slice() {
            [one] => Ok(*one),
            [] => Err(CommandError::failed(format!("no node {text:?} at any plant that can be reached"))),
            several => {
                let mut error =
                    CommandError::failed(format!("several plants have a node {text:?}; name one with --plant"));
                for at in several {
                    let (name, title) = (self.name(at.plant), headline(&self.node(*at)?));
                    error = error.with_hint(format!("candidate: {title} of plant {name}"));
                }
                Err(error)
            }
        }
    }

    /// Walks to everything that a node came from, over the borders of logs.
    pub(crate) fn ancestors(&self, from: At) -> Result<Walked, CommandError> {
        self.walk(
            from,
            |workspace, at| {
                let found = workspace.store.ancestors(&at.id).map_err(|e| e.while_doing("cannot walk the ancestry"))?;
                Ok(found.into_iter().map(|found| (found.id, found.kind, found.depth)).collect())
            },
            |workspace, (at, kind), gaps| {
                if !matches!(kind, Kind::Transformation | Kind::Shipment) {
                    return Ok(Vec::new());
                }
                let node = workspace.node(&at.id)?;
                let abroad = node.core.edges.iter().filter_map(|edge| Some((edge.home?, *edge)));
                let mut next = Vec::new();
                for (home, edge) in abroad {
                    match self.enter(&home, &edge) {
                        Ok(at) => next.push(at),
                        Err(gap) => gaps.push(format!("{} came from {gap}", headline(&node))),
                    }
                }
                Ok(next)
            },
        )
    }

    /// Goes over a border, or says why not.
    fn enter(&self, home: &GenesisHash, edge: &Edge) -> Result<At, String> {
        let id = edge.to;
        let plant = self
            .plant_of(home)
            .ok_or_else(|| format!("{id} in the log {home}, which is of no plant that was ever reached"))?;
        let workspace = self.workspace(plant).map_err(|e| format!("{id}: {}", one_line(e.source.as_ref())))?;
        match workspace.store.node(&id) {
            Ok(Some(_)) => Ok(At { plant, id }),
            Ok(None) => Err(format!("{id}, which plant {} does not have", self.name(plant))),
            Err(error) => Err(format!("{id} of plant {}: {}", self.name(plant), one_line(error.source.as_ref()))),
        }
    }

    /// Walks to everything that stands on a node, over the borders of logs.
    pub(crate) fn descendants(&self, from: At) -> Result<Walked, CommandError> {
        let abroad = self.references()?;
        let mut walked = self.walk(
            from,
            |workspace, at| {
                let found =
                    workspace.store.descendants(&at.id).map_err(|e| e.while_doing("cannot walk the descendants"))?;
                Ok(found.into_iter().map(|found| (found.id, found.kind, found.depth)).collect())
            },
            |workspace, (at, _), _| Ok(users(&abroad, workspace.home(), at.id)),
        )?;
        // Whoever can't be asked may have used anything.
        walked.gaps.extend(self.unreachable());
        Ok(walked)
    }

    /// Returns the nodes of other plants that name this one.
    pub(crate) fn users(&self, at: At) -> Result<Vec<At>, CommandError> {
        Ok(users(&self.references()?, self.workspace(at.plant)?.home(), at.id))
    }

    /// Reads what each plant's nodes name in other logs.
    fn references(&self) -> Result<Vec<(usize, Abroad)>, CommandError> {
        let open = self.sites.iter().zip(&self.fleet.plants).enumerate();
        let open = open.filter_map(|(number, (site, plant))| Some((number, site.workspace.as_ref().ok()?, plant)));
        open.map(|(number, workspace, plant)| Ok((number, Abroad::of(workspace, &plant.folder)?))).collect()
    }

    /// Walks, in each log by itself, and over borders from every node that names others or may be named.
    fn walk(
        &self,
        from: At,
        inside: impl Fn(&Workspace, At) -> Result<Vec<(NodeId, Kind, u64)>, CommandError>,
        over: impl Fn(&Workspace, (At, Kind), &mut Vec<String>) -> Result<Vec<At>, CommandError>,
    ) -> Result<Walked, CommandError> {
        let mut depths: BTreeMap<At, u64> = BTreeMap::from([(from, 0)]);
        let (mut order, mut gaps) = (vec![from], Vec::new());
        let mut todo = VecDeque::from([(from, 0_u64)]);
        while let Some((entry, depth)) = todo.pop_front() {
            let workspace = self.workspace(entry.plant)?;
            let mut found = inside(workspace, entry)?;
            found.insert(0, (entry.id, workspace.node(&entry.id)?.core.kind, 0));
            for (id, kind, further) in found {
                let (at, depth) = (At { plant: entry.plant, id }, depth.saturating_add(further));
                let known = depths.insert(at, depth.min(depths.get(&at).copied().unwrap_or(u64::MAX)));
                if known.is_some() && at != entry {
                    continue;
                }
                if known.is_none() {
                    order.push(at);
                }
                for next in over(workspace, (at, kind), &mut gaps)? {
                    if let Entry::Vacant(entry) = depths.entry(next) {
                        entry.insert(depth.saturating_add(1));
                        order.push(next);
                        todo.push_back((next, depth.saturating_add(1)));
                    }
                }
            }
        }
        let depth = |at: &At| depths.get(at).copied().unwrap_or_default();
        order.sort_by_key(depth);
        Ok(Walked { met: order.into_iter().map(|at| (at, depth(&at))).collect(), gaps })
    }
}

fn users(abroad: &[(usize, Abroad)], home: GenesisHash, id: NodeId) -> Vec<At> {
    let of = |(plant, abroad): &(usize, Abroad)| {
        let plant = *plant;
        abroad.naming(&home, &id).iter().map(move |id| At { plant, id: *id }).collect::<Vec<_>>()
    };
    abroad.iter().flat_map(of).collect()
}
