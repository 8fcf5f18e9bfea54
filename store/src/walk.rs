//! Walks along the edges, breadth first, at a pinned tree size, a step at a time: between two steps nothing is
//! locked, so that whoever reads slowly holds nobody up.

use std::collections::VecDeque;

use griptrace_core::{id::NodeId, node::Kind};

use crate::{
    State, Store,
    catalogue::Catalogue,
    error::ReadError,
    number::{place, wide},
    placed::Number,
    query::Found,
};

/// Where a walk goes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Direction {
    /// To what a node came from.
    Ancestors,
    /// To what stands on a node. From an assessment: its subjects, and what stands on them.
    Descendants,
}

/// How to walk.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct WalkOptions {
    /// Where to.
    pub direction: Direction,
    /// In the log of how many entries; `None` is now.
    pub at: Option<u64>,
    /// The most edges to go; `None` is no limit.
    pub depth_max: Option<u64>,
    /// The most nodes to return; `None` is no limit.
    pub limit: Option<u64>,
    /// The kinds to return; others are walked through. Empty is all kinds.
    pub kinds: Vec<Kind>,
}

impl WalkOptions {
    /// Returns the options of a walk without limits.
    pub const fn new(direction: Direction, at: Option<u64>) -> Self {
        Self { direction, at, depth_max: None, limit: None, kinds: Vec::new() }
    }
}

/// A walk on its way.
#[derive(Debug)]
pub struct Walk {
    store: Store,
    from: NodeId,
    options: WalkOptions,
    size: u64,
    way: Way,
    returned: u64,
}

/// How far a walk has come.
#[derive(Debug)]
struct Way {
    seen: Seen,
    /// The number of the first node that came later.
    end: Number,
    todo: VecDeque<(Number, u64)>,
    /// Whether the node that it began at is behind it.
    is_under_way: bool,
    cut: bool,
}

/// Nodes that are visited in a step when nobody says otherwise.
const STEP_NODES: usize = 1 << 16;

impl Store {
    /// Begins a walk.
    ///
    /// # Errors
    /// `NoNode`, also for a node that came later; `Beyond` for a size that the log has not reached.
    pub fn walk(&self, from: NodeId, options: &WalkOptions) -> Result<Walk, ReadError> {
        self.0.ask(|state| {
            let size = options.at.unwrap_or(state.catalogue.size());
            state.reached(size)?;
            let way = Way::begin(state, &from, size)?;
            Ok(Walk { store: self.clone(), from, options: options.clone(), size, way, returned: 0 })
        })
    }
}

impl Walk {
    /// Returns the size of the log that is walked in.
    pub const fn size(&self) -> u64 {
        self.size
    }

    /// Tells whether a limit left anything out, once the walk has ended.
    pub const fn is_cut(&self) -> bool {
        self.way.cut
    }

    /// Goes on by so many nodes, and returns those of them that were asked for; `None` at the end.
    ///
    /// # Errors
    /// `Storage` if the catalogue was damaged and can't be derived again.
    pub fn step(&mut self, visits: usize) -> Result<Option<Vec<Found>>, ReadError> {
        let inner = self.store.0.clone();
        let mut is_again = false;
        let found = inner.ask(|state| {
            if is_again {
                // The snapshot was damaged: what was returned before was read from sound blocks, and comes again.
                self.way = Way::begin(state, &self.from, self.size)?;
                let mut before = 0;
                while before < self.returned {
                    before = before.saturating_add(wide(self.go(state, 1, before).len()));
                    if self.way.todo.is_empty() {
                        break;
                    }
                }
            }
            is_again = true;
            let is_over = self.way.todo.is_empty();
            Ok::<_, ReadError>((!is_over).then(|| self.go(state, visits, self.returned)))
        })?;
        self.returned = self.returned.saturating_add(found.as_ref().map_or(0, |found| wide(found.len())));
        Ok(found)
    }

    /// Goes to the end.
    ///
    /// # Errors
    /// As [`Self::step`].
    pub fn rest(mut self) -> Result<Vec<Found>, ReadError> {
        let mut all = Vec::new();
        while let Some(found) = self.step(STEP_NODES)? {
            all.extend(found);
        }
        Ok(all)
    }

    fn go(&mut self, state: &State, visits: usize, before: u64) -> Vec<Found> {
        let catalogue = &state.catalogue;
        let mut found = Vec::new();
        let mut next = Vec::new();
        for _ in 0..visits {
            let Some((number, depth)) = self.way.todo.pop_front() else { break };
            if core::mem::replace(&mut self.way.is_under_way, true) {
                let kind = catalogue.node(number).kind;
                if self.options.kinds.is_empty() || self.options.kinds.contains(&kind) {
                    if self.options.limit.is_some_and(|limit| before.saturating_add(wide(found.len())) >= limit) {
                        self.way.stop();
                        break;
                    }
                    found.push(Found { id: catalogue.id(number), kind, depth });
                }
            }
            self.neighbours(catalogue, number, &mut next);
            let is_last = self.options.depth_max.is_some_and(|most| depth >= most);
            for neighbour in next.drain(..) {
                if neighbour >= self.way.end || !self.way.seen.insert(neighbour) {
                    continue;
                }
                if is_last {
                    self.way.cut = true;
                } else {
                    self.way.todo.push_back((neighbour, depth.saturating_add(1)));
                }
            }
        }
        found
    }

    fn neighbours(&self, catalogue: &Catalogue, number: Number, next: &mut Vec<Number>) {
        match self.options.direction {
            Direction::Ancestors => next.extend(catalogue.parents(number)),
            Direction::Descendants => {
                next.extend(catalogue.children(number));
                if catalogue.node(number).kind == Kind::Assessment {
                    next.extend(catalogue.subjects_of(number).iter().filter_map(|id| catalogue.number(id)));
                }
            }
        }
    }
}

impl Way {
    fn begin(state: &State, from: &NodeId, size: u64) -> Result<Self, ReadError> {
        let number = state.number_at(from, size)?;
        let end = state.catalogue.end_at(size);
        let mut seen = Seen::new(end);
        seen.insert(number);
        Ok(Self { seen, end, todo: VecDeque::from([(number, 0)]), is_under_way: false, cut: false })
    }

    fn stop(&mut self) {
        self.todo.clear();
        self.cut = true;
    }
}

/// Nodes that were come to: a bit for each number.
#[derive(Debug)]
struct Seen(Vec<u64>);

impl Seen {
    fn new(nodes: Number) -> Self {
        Self(vec![0; place(nodes).div_ceil(64)])
    }

    /// Notes a node; tells whether it is new.
    fn insert(&mut self, number: Number) -> bool {
        let Some(word) = self.0.get_mut(place(number) / 64) else { return false };
        let bit = 1_u64 << (number % 64);
        let is_new = *word & bit == 0;
        *word |= bit;
        is_new
    }
}
