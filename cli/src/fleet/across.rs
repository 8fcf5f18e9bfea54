//! Questions across the logs of a fleet: each is asked in its own log, and an edge into another one is followed there.

use core::cell::OnceCell;
use std::collections::{BTreeMap, VecDeque, btree_map::Entry};

use griptrace_core::{
    id::{GenesisHash, NodeId},
    node::{Edge, Kind},
};
use griptrace_store::StoredNode;

use super::{Fleet, Plant, abroad::Abroad, contact::one_line};
use crate::{
    error::{CommandError, ErrorKind},
    output::Output,
    resolve::resolve_here,
    view::headline,
    workspace::Workspace,
};

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
    /// Why it can't be asked any more, if it was lost in between.
    lost: OnceCell<String>,
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
            Site { name: plant.name.clone(), home, workspace, lost: OnceCell::new() }
        });
        Self { fleet, sites: sites.collect() }
    }

    /// Returns the name of a plant.
    pub(crate) fn name(&self, plant: usize) -> &str {
        self.sites.get(plant).map_or("", |site| &site.name)
    }

    /// Returns the log of a plant that can be asked.
    pub(crate) fn workspace(&self, plant: usize) -> Result<&Workspace, CommandError> {
        let site = self.site(plant)?;
        match (&site.workspace, site.lost.get()) {
            (Ok(workspace), None) => Ok(workspace),
            (Err(why), _) | (_, Some(why)) => Err(CommandError::failed(not_reachable(&site.name, why))),
        }
    }

    /// Asks a plant. One that has no answer is not asked again: it takes its time each time.
    pub(crate) fn ask<T>(
        &self,
        plant: usize,
        question: impl FnOnce(&Workspace) -> Result<T, CommandError>,
    ) -> Result<T, CommandError> {
        let site = self.site(plant)?;
        question(self.workspace(plant)?).map_err(|error| {
            if error.kind == ErrorKind::Ambiguous {
                return error.while_doing(format!("asking plant {}", site.name));
            }
            let why = site.lost.get_or_init(|| one_line(error.source.as_ref()));
            CommandError { hints: error.hints, ..CommandError::failed(not_reachable(&site.name, why)) }
        })
    }

    fn site(&self, plant: usize) -> Result<&Site, CommandError> {
        self.sites.get(plant).ok_or_else(|| CommandError::failed(format!("the fleet has no plant {plant}")))
    }

    /// Returns a node.
    pub(crate) fn node(&self, at: At) -> Result<StoredNode, CommandError> {
        self.ask(at.plant, |workspace| workspace.node(&at.id))
    }

    /// Returns the plant whose log this is.
    pub(crate) fn plant_of(&self, home: &GenesisHash) -> Option<usize> {
        self.sites.iter().position(|site| site.home.as_ref() == Some(home))
    }

    /// Says which plants can't be asked, and why.
    pub(crate) fn unreachable(&self) -> Vec<String> {
        let never = self.sites.iter().filter_map(|site| Some((&site.name, site.workspace.as_ref().err()?)));
        never.map(|(name, why)| not_reachable(name, why)).chain(self.lost()).collect()
    }

    /// Says which plants could be asked and then no more, and why.
    pub(crate) fn lost(&self) -> Vec<String> {
        self.sites.iter().filter_map(|site| Some(not_reachable(&site.name, site.lost.get()?))).collect()
    }

    /// Finds the one node that `text` means, in the log of the plant that is named, or in whichever has it.
    pub(crate) fn find(&self, output: &Output, text: &str, plant: Option<&str>) -> Result<At, CommandError> {
        if let Some(plant) = plant {
            self.fleet.plant(plant)?;
        }
        let mut found = Vec::new();
        for (number, _) in self.sites.iter().enumerate().filter(|(_, site)| plant.is_none_or(|name| name == site.name))
        {
            match self.ask(number, |workspace| resolve_here(workspace, output, text)) {
                Ok(id) => found.extend(id.map(|id| At { plant: number, id })),
                Err(error) if error.kind == ErrorKind::Ambiguous => return Err(error),
                Err(error) => output.warn(one_line(error.source.as_ref())),
            }
        }
        match found.as_slice() {
            [one] => Ok(*one),
            [] => Err(CommandError::failed(format!("no node {text:?} at any plant that can be reached"))),
            several => {
                let text = format!("several plants have a node {text:?}; name one with --plant");
                let mut error = CommandError::ambiguous(text);
                for at in several {
                    let (name, title) = (self.name(at.plant), headline(&self.node(*at)?));
                    error = error.with_hint(format!("candidate: {title} of plant {name}"));
                }
                Err(error)
            }
        }
    }

    /// Walks to everything that a node came from, over the borders of logs.
    pub(crate) fn ancestors(&self, from: At) -> Walked {
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
        match self.ask(plant, |workspace| workspace.store.node(&id)) {
            Ok(Some(_)) => Ok(At { plant, id }),
            Ok(None) => Err(format!("{id}, which plant {} does not have", self.name(plant))),
            Err(error) => Err(format!("{id}: {}", one_line(error.source.as_ref()))),
        }
    }

    /// Walks to everything that stands on a node, over the borders of logs.
    pub(crate) fn descendants(&self, from: At) -> Walked {
        let abroad = self.references();
        self.walk(
            from,
            |workspace, at| {
                let found =
                    workspace.store.descendants(&at.id).map_err(|e| e.while_doing("cannot walk the descendants"))?;
                Ok(found.into_iter().map(|found| (found.id, found.kind, found.depth)).collect())
            },
            |workspace, (at, _), _| Ok(users(&abroad, workspace.home(), at.id)),
        )
    }

    /// Returns the nodes of other plants that name this one.
    pub(crate) fn users(&self, at: At) -> Result<Vec<At>, CommandError> {
        let home = self.workspace(at.plant)?.home();
        Ok(users(&self.references(), home, at.id))
    }

    /// Reads what the nodes of each plant that can be asked name in other logs.
    fn references(&self) -> Vec<(usize, Abroad)> {
        let plants = self.fleet.plants.iter().enumerate();
        let read = |(number, plant): (usize, &Plant)| {
            let abroad = self.ask(number, |workspace| Abroad::of(workspace, &plant.folder));
            Some((number, abroad.ok()?))
        };
        plants.filter_map(read).collect()
    }

    /// Walks, in each log by itself, and over borders from every node that names others or may be named. A plant that is lost on
    /// the way ends it there alone.
    fn walk(
        &self,
        from: At,
        inside: impl Fn(&Workspace, At) -> Result<Vec<(NodeId, Kind, u64)>, CommandError>,
        over: impl Fn(&Workspace, (At, Kind), &mut Vec<String>) -> Result<Vec<At>, CommandError>,
    ) -> Walked {
        let mut depths: BTreeMap<At, u64> = BTreeMap::from([(from, 0)]);
        let (mut order, mut gaps) = (vec![from], Vec::new());
        let mut todo = VecDeque::from([(from, 0_u64)]);
        while let Some((entry, depth)) = todo.pop_front() {
            let found = self.ask(entry.plant, |workspace| {
                let own = (entry.id, workspace.node(&entry.id)?.core.kind, 0);
                let further = inside(workspace, entry)?;
                Ok([own].into_iter().chain(further).collect::<Vec<_>>())
            });
            for (id, kind, further) in found.unwrap_or_default() {
                let (at, depth) = (At { plant: entry.plant, id }, depth.saturating_add(further));
                let known = depths.insert(at, depth.min(depths.get(&at).copied().unwrap_or(u64::MAX)));
                if known.is_some() && at != entry {
                    continue;
                }
                if known.is_none() {
                    order.push(at);
                }
                let borders = self.ask(at.plant, |workspace| over(workspace, (at, kind), &mut gaps));
                for next in borders.unwrap_or_default() {
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
        Walked { met: order.into_iter().map(|at| (at, depth(&at))).collect(), gaps }
    }
}

fn not_reachable(plant: &str, why: &str) -> String {
    format!("not reachable: plant {plant}: {why}")
}

fn users(abroad: &[(usize, Abroad)], home: GenesisHash, id: NodeId) -> Vec<At> {
    let of = |(plant, abroad): &(usize, Abroad)| {
        let plant = *plant;
        abroad.naming(&home, &id).iter().map(move |id| At { plant, id: *id }).collect::<Vec<_>>()
    };
    abroad.iter().flat_map(of).collect()
}
