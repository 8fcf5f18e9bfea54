//! A large graph, loaded in commits: layers of steps and data sets, all of which every model that
//! comes later stands on.

use std::{
    sync::mpsc::{Receiver, sync_channel},
    thread,
    time::Instant,
};

use griptrace_core::id::NodeId;
use griptrace_store::record::NodeRecord;

use crate::{
    Failure,
    measure::{number, timed},
    world::{Log, Maker},
};

/// Data sets that a step uses at most, but for those that end in a model.
const PARENTS_MAX: u64 = 3;
/// Commits that are made before they are taken.
const AHEAD: usize = 8;

/// Numbers that look random and are the same in every run.
#[derive(Clone, Debug)]
pub(crate) struct Dice(u64);

impl Dice {
    pub(crate) const fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// Returns a number below `end` (`splitmix64`).
    pub(crate) fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % end.max(1)
    }

    /// Returns two different ones of these, if there are two.
    pub(crate) fn two_of<T: Copy + PartialEq>(&mut self, items: &[T]) -> Vec<T> {
        let mut chosen = Vec::with_capacity(2);
        while chosen.len() < items.len().min(2) {
            chosen.extend(self.one_of(items).filter(|item| !chosen.contains(*item)).copied());
        }
        chosen
    }

    /// Returns one of these.
    fn one_of<'a, T>(&mut self, items: &'a [T]) -> Option<&'a T> {
        let end = u64::try_from(items.len()).ok()?;
        items.get(usize::try_from(self.below(end)).ok()?)
    }
}

/// Makes the commits one after the other.
#[derive(Debug)]
pub(crate) struct Layers {
    maker: Maker,
    dice: Dice,
    /// The data sets of the commit before.
    last: Vec<NodeId>,
    /// All data sets.
    all: Vec<NodeId>,
}

/// A commit, and the model in it.
type Made = (Vec<NodeRecord>, Option<NodeId>);

impl Layers {
    pub(crate) fn new(maker: Maker) -> Self {
        Self { maker, dice: Dice::new(1), last: Vec::new(), all: Vec::new() }
    }

    /// Makes a commit of `each` nodes: sources at first, then steps with a data set each. Every data
    /// set of the commit before is used by a step, and so are some of long ago: 1 to 3 a step. With
    /// a model, that stands on all data sets of its commit, and by these on all before.
    pub(crate) fn next(&mut self, each: usize, with_model: bool) -> Result<Made, Failure> {
        let room = if with_model { each.saturating_sub(2) } else { each };
        let mut nodes = Vec::with_capacity(each);
        let mut fresh = Vec::new();
        let steps = if self.last.is_empty() { 0 } else { room / 2 };
        for place in 0..steps {
            let used = self.used(place, steps);
            let step = self.maker.step(&used)?;
            let dataset = self.maker.dataset(Some(step.id()))?;
            fresh.push(dataset.id());
            nodes.extend([step, dataset]);
        }
        while nodes.len() < room {
            let source = self.maker.dataset(None)?;
            fresh.push(source.id());
            nodes.push(source);
        }
        let mut model = None;
        if with_model {
            let step = self.maker.step(&fresh)?;
            let made = self.maker.model(step.id())?;
            model = Some(made.id());
            nodes.extend([step, made]);
        }
        self.all.extend(&fresh);
        self.last = fresh;
        Ok((nodes, model))
    }

    /// Chooses what a step uses: its share of the layer before, and up to three with others.
    fn used(&mut self, place: usize, steps: usize) -> Vec<NodeId> {
        let mut used: Vec<NodeId> = self.last.iter().skip(place).step_by(steps).copied().collect();
        let wanted = self.dice.below(PARENTS_MAX) + 1;
        for _ in u64::try_from(used.len()).unwrap_or(PARENTS_MAX)..wanted {
            used.extend(self.dice.one_of(&self.all).copied());
        }
        used
    }
}

/// What a load gave.
#[derive(Debug)]
pub(crate) struct Loaded {
    /// Models, with how many nodes there were, themselves included.
    pub(crate) models: Vec<(usize, NodeId)>,
    pub(crate) nodes: usize,
    /// From the first commit to the last, making the nodes included (a thread of its own).
    pub(crate) seconds: f64,
    /// Spent in commits.
    pub(crate) committing: f64,
    /// Spent in the last tenth of the commits, and the nodes of these.
    pub(crate) last_tenth: (f64, usize),
}

/// Loads commits of `each` nodes, and a model at the end of those whose numbers are given; the
/// last number is the count of commits.
pub(crate) fn load(log: &Log, each: usize, models_after: &[usize], told: impl Fn(usize)) -> Result<Loaded, Failure> {
    let commits = models_after.iter().copied().max().unwrap_or(0);
    let mut layers = Layers::new(log.maker("bulk"));
    thread::scope(|scope| {
        let (sender, receiver) = sync_channel(AHEAD);
        scope.spawn(move || {
            for commit in 1..=commits {
                let made = layers.next(each, models_after.contains(&commit));
                // Nobody takes it any more when a commit failed.
                if sender.send(made).is_err() {
                    return;
                }
            }
        });
        take(log, commits, &receiver, told)
    })
}

fn take(
    log: &Log,
    commits: usize,
    made: &Receiver<Result<Made, Failure>>,
    told: impl Fn(usize),
) -> Result<Loaded, Failure> {
    let mut loaded = Loaded { models: Vec::new(), nodes: 0, seconds: 0.0, committing: 0.0, last_tenth: (0.0, 0) };
    let begun = Instant::now();
    for (place, made) in made.iter().enumerate() {
        let (nodes, model) = made?;
        let count = nodes.len();
        let (seconds, _) = timed(|| log.commit(nodes))?;
        loaded.nodes += count;
        loaded.committing += seconds;
        if number(place + 1) > number(commits) * 0.9 {
            loaded.last_tenth.0 += seconds;
            loaded.last_tenth.1 += count;
        }
        loaded.models.extend(model.map(|model| (loaded.nodes, model)));
        told(loaded.nodes);
    }
    loaded.seconds = begun.elapsed().as_secs_f64();
    Ok(loaded)
}
