//! A writer that is killed at any moment leaves a store that opens by itself and has everything that
//! it acknowledged.

use core::time::Duration;
use std::{thread, time::Instant};

use griptrace_store::Store;
use griptrace_tests::seed::{Rng, Seed};

use super::{
    child::Child,
    factory::{NOW, genesis, log_signer},
    model::{Depth, Model},
    rounds, writer,
};

/// Entries up to which everything is compared after every round, and every how many rounds from then
/// on.
const SMALL_SIZE_MAX: u64 = 400;
const WHOLE_EVERY: u64 = 25;

/// One store through many rounds, each ended by a kill; returns what was wrong after each.
struct Rounds {
    dir: tempfile::TempDir,
    model: Model,
    rng: Rng,
    /// How long the last opening took.
    opening: Duration,
    openings: Vec<Duration>,
}

impl Rounds {
    fn new(rng: Rng) -> Self {
        let dir = tempfile::tempdir().unwrap();
        drop(Store::init(dir.path(), &genesis(3), log_signer(), NOW).unwrap());
        let opening = Duration::from_millis(20);
        Self { dir, model: Model::new(), rng, opening, openings: Vec::new() }
    }

    fn round(&mut self, number: u64, env: &[(&str, &str)]) -> Vec<String> {
        let threads = 1 + self.rng.below(6);
        let nodes = if number % 5 == 4 { 200 } else { 20 };
        let mut child = Child::commit(self.dir.path(), self.rng.next_u64(), threads, nodes, env);
        if number % 4 == 3 {
            // While it opens, and takes up what the last one left.
            let most = u64::try_from(self.opening.as_micros()).unwrap() * 3 / 2;
            thread::sleep(Duration::from_micros(self.rng.below(most)));
        } else {
            child.wait_until_open();
            thread::sleep(Duration::from_millis(self.rng.below(500)));
        }
        self.model.hear(&child.kill());
        let start = Instant::now();
        let store = match writer(self.dir.path()) {
            Ok(store) => store,
            Err(error) => return vec![format!("it can't be opened: {}", super::told(&error))],
        };
        self.opening = start.elapsed();
        self.openings.push(self.opening);
        let is_whole = store.size() < SMALL_SIZE_MAX || number % WHOLE_EVERY == WHOLE_EVERY - 1;
        let depth = if is_whole { Depth::Whole } else { Depth::New };
        self.model.check(&store, depth, &mut self.rng)
    }

    fn summary(&mut self) -> String {
        self.openings.sort();
        let (middle, last) = (self.openings[self.openings.len() / 2], self.openings[self.openings.len() - 1]);
        let (tally, size) = (self.model.tally, self.model.size());
        format!("{} rounds, {size} entries, {tally:?}; opened in {middle:?}, at most {last:?}", self.openings.len())
    }
}

#[test]
fn what_was_acknowledged_survives_being_killed() {
    let mut rounds_done = Rounds::new(Seed::for_test("survives_being_killed").rng());
    let asked = rounds(20);
    for number in 0..asked {
        let wrong = rounds_done.round(number, &[]);
        assert!(wrong.is_empty(), "round {number}: {wrong:#?}");
    }
    let store = writer(rounds_done.dir.path()).unwrap();
    let wrong = rounds_done.model.check(&store, Depth::Whole, &mut rounds_done.rng);
    assert!(wrong.is_empty(), "at the end: {wrong:#?}");
    println!("{}", rounds_done.summary());
    assert!(rounds_done.model.tally.acknowledged > 0, "nothing was acknowledged at all");
}

/// A writer that acknowledges before it has committed is found out, so that the test above can fail.
#[test]
fn a_writer_that_acknowledges_too_early_is_found_out() {
    let mut rounds_done = Rounds::new(Seed::for_test("acknowledges_too_early").rng());
    let lost = |wrong: &[String]| wrong.iter().any(|what| what.starts_with("lost"));
    let found = (0..10).any(|number| lost(&rounds_done.round(number, &[("GRIPTRACE_HELD_LIES", "1")])));
    assert!(found, "ten kills, and every lie came true");
}
