//! `griptrace init`, cut off or failing anywhere: the same command again goes on, and there is one log, which can be used.

use std::{fs, path::Path, sync::Mutex};

use griptrace_core::id::GenesisHash;
use serde_json::Value;

use super::{
    super::{reader, told},
    Case, Tally, check, count, judge,
    scene::{Workshop, griptrace, store_of},
    trace::{self, Calls, PLACE, Ran},
};

/// What it says where everything was made before it was struck.
const MADE: &str = "holds a store already";

/// The making of a log.
pub(super) struct Begin {
    program: Vec<String>,
    pub(super) calls: Calls,
}

impl Begin {
    pub(super) fn new(workshop: &Workshop) -> Self {
        // As a whole path, by which a message about it is known.
        let project = format!("{PLACE}/project");
        let program = griptrace(&["init", &project, "--json", "--origin", "maker.example/2026", "--name", "Maker"]);
        let place = workshop.place("counted");
        let (ran, calls) = trace::count(&place, &program);
        assert_eq!((ran.code, told_home(&ran).is_some()), (Some(0), true), "{}", ran.err);
        Self { program, calls }
    }

    /// Plays one case; returns what is wrong.
    pub(super) fn play(&self, workshop: &Workshop, place: &Path, case: &Case, tally: &Mutex<Tally>) -> Vec<String> {
        let (point, blow) = case;
        let project = place.join("project");
        fs::remove_dir_all(&project).unwrap();
        fs::create_dir(&project).unwrap();
        let Some(ran) = trace::strike(place, &self.program, point, *blow) else {
            return vec!["it hangs".to_owned()];
        };
        let first = told_home(&ran);
        count(&mut tally.lock().unwrap(), &ran, first.is_some());
        let mut wrong = judge(&ran, *blow, first.is_some());
        let Some(again) = trace::run(place, &self.program, None) else {
            wrong.push("the next one hangs".to_owned());
            return wrong;
        };
        match again.code {
            Some(0) if first.is_some() => wrong.push("a second log was begun over the first".to_owned()),
            Some(0) => {}
            Some(2) if again.err.contains(MADE) => {}
            code => wrong.push(format!("the next one ended with {code:?}: {}", again.err)),
        }
        wrong.extend(can_be_used(workshop, place, first.or_else(|| told_home(&again))));
        wrong
    }
}

/// Returns the log that was said to be made.
fn told_home(ran: &Ran) -> Option<GenesisHash> {
    let line: Value = serde_json::from_str(ran.out.strip_suffix('\n')?).ok()?;
    GenesisHash::from_hex(line["home"].as_str()?)
}

/// Records something, with the keys and settings that are there.
fn can_be_used(workshop: &Workshop, place: &Path, home: Option<GenesisHash>) -> Vec<String> {
    let mut wrong = Vec::new();
    let Some(recorded) = trace::run(place, &workshop.record("third"), None) else {
        return vec!["recording hangs".to_owned()];
    };
    if recorded.code != Some(0) {
        wrong.push(format!("nothing can be recorded: {}", recorded.err));
    }
    match reader(&store_of(place)) {
        Ok(store) if home.is_some_and(|home| home != store.home()) => {
            wrong.push("it is another log than was told".to_owned())
        }
        Ok(store) if store.size() != 4 => wrong.push(format!("it has {} entries, and 4 are right", store.size())),
        Ok(_) => {}
        Err(error) => wrong.push(format!("it can't be opened: {}", told(&error))),
    }
    let (heals, damaged) = check(place);
    wrong.extend(heals.into_iter().chain(damaged));
    wrong
}
