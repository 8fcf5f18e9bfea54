//! Every system call that a commit, a mark or the making of a log makes of the file system fails, or is where the program is killed.
//!
//! `strace` counts the calls of a whole program, from where it begins to its end: it opens the store, takes up what a crash
//! left, commits, publishes, writes index and snapshot, and closes. Then the same is done with each occurrence of each
//! call failing as a broken disk does, as a full one does, and with the program killed there. After each the store is
//! checked, and the program run again: without any step by hand it has everything that was acknowledged, and what it was to
//! record once.

mod begin;
mod judge;
mod scene;
mod trace;

use core::sync::atomic::{AtomicUsize, Ordering};
use std::{collections::BTreeMap, path::Path, sync::Mutex, thread};

use griptrace_tests::{
    seed::{Rng, Seed},
    skip,
};
use serde_json::Value;

use self::{
    judge::{Ack, Seen},
    scene::{Scene, Workshop, griptrace, store_of},
    trace::{BLOWS, Blow, Calls, Point, Ran},
};

/// What nobody needs: a commit succeeds without it.
const DERIVED: [&str; 3] = [".griptrace/hashes", ".griptrace/store/index", ".griptrace/store/snapshots"];

/// The one panic that is not ours: Rust's library ends a program when a folder that was read can't be closed, which
/// Linux's own file systems never refuse. The log has to survive that as it survives a kill.
const OF_THE_LIBRARY: &str = "unexpected error during closedir";

/// A call and what happens at it.
type Case = (Point, Blow);

/// A scene, what was there before, and what is there where nothing goes wrong.
struct Stage<'a> {
    scene: &'a Scene,
    calls: Calls,
    before: Seen,
    undisturbed: Seen,
}

/// What came of all cases.
#[derive(Default, Debug)]
struct Tally {
    acknowledged: u64,
    refused: u64,
    killed: u64,
    killed_after_acknowledging: u64,
    /// The program did not come to this call.
    missed: u64,
    left_to_heal: u64,
}

#[test]
fn a_commit_survives_the_failure_of_any_system_call() {
    survive(Workshop::plain, 1);
}

#[test]
fn a_commit_that_fills_a_tile_survives_the_failure_of_any_system_call() {
    survive(Workshop::full, 1);
}

#[test]
fn a_mark_survives_the_failure_of_any_system_call() {
    survive(Workshop::marked, 1);
}

#[test]
fn making_a_log_survives_the_failure_of_any_system_call() {
    if is_skipped() {
        return;
    }
    let workshop = Workshop::new();
    let begin = begin::Begin::new(&workshop);
    play_all("init", &workshop, &begin.calls, 1, |place, case, tally| begin.play(&workshop, place, case, tally));
}

#[test]
fn recovery_survives_the_failure_of_any_system_call() {
    survive(Workshop::crashed, 1);
}

#[test]
fn a_commit_that_begins_a_segment_survives_the_failure_of_any_system_call() {
    // Sixteen megabytes are laid out for each.
    survive(Workshop::sealed, 4);
}

/// A program that acknowledges before it commits is found out, so that the tests above can fail.
#[test]
fn acknowledging_before_committing_is_found_out() {
    if is_skipped() {
        return;
    }
    let workshop = Workshop::new();
    let scene = workshop.sealed();
    let honest = Stage::new(&workshop, &scene);
    let mut lying = scene.clone();
    lying.program.push("lie".to_owned());
    let stage = Stage { scene: &lying, ..honest };
    let is_meant = |point: &&Point| point.call == "pwrite64" && point.object.contains("/segments/");
    let point = stage.calls.points.iter().find(is_meant).expect("a segment is written");
    let wrong = stage.play(&workshop.place("lies"), &(point.clone(), Blow::Kill), &Mutex::default());
    assert!(wrong.iter().any(|what| what.contains("lost: node")), "it lied, and nothing was wrong: {wrong:#?}");
}

fn survive(make: impl FnOnce(&Workshop) -> Scene, weight: usize) {
    if is_skipped() {
        return;
    }
    let workshop = Workshop::new();
    let scene = make(&workshop);
    let stage = Stage::new(&workshop, &scene);
    play_all(scene.name, &workshop, &stage.calls, weight, |place, case, tally| stage.play(place, case, tally));
}

/// Plays the cases that are drawn, or all, on all processors; where a case takes long, one where it would be `weight`.
#[expect(clippy::print_stdout, reason = "what went wrong is seen at once, and what was tried")]
fn play_all(
    name: &str,
    workshop: &Workshop,
    calls: &Calls,
    weight: usize,
    play: impl Fn(&Path, &Case, &Mutex<Tally>) -> Vec<String> + Sync,
) {
    let mut rng = Seed::for_test("survives_the_failure_of_any_system_call").rng();
    let (cases, of) = draw(calls, &mut rng, most().div_ceil(weight));
    tell(name, calls, cases.len(), of);
    let (next, tally, wrong) = (AtomicUsize::new(0), Mutex::default(), Mutex::new(Vec::new()));
    thread::scope(|scope| {
        for number in 0..thread::available_parallelism().map_or(1, usize::from) {
            let place = workshop.place(&format!("run-{number}"));
            let (play, cases, next, tally, wrong) = (&play, &cases, &next, &tally, &wrong);
            scope.spawn(move || {
                while let Some(case) = cases.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let found = play(&place, case, tally);
                    let (Point { call, nth, object, .. }, blow) = case;
                    for what in found {
                        let what = format!("{blow:?} at {call} {nth} of {object}: {what}");
                        println!("wrong: {what}");
                        wrong.lock().unwrap().push(what);
                    }
                }
            });
        }
    });
    let (tally, wrong): (Tally, Vec<String>) = (tally.into_inner().unwrap(), wrong.into_inner().unwrap());
    println!("{tally:?}");
    assert!(wrong.is_empty(), "{name}: {} things are wrong:\n{}", wrong.len(), wrong.join("\n"));
    let missed = usize::try_from(tally.missed).expect("it is a length");
    assert!(missed * 10 <= cases.len(), "{missed} of {} calls were not met", cases.len());
}

/// How many cases are tried of each scene: `GRIPTRACE_ROUNDS`, which may be `all`, or else as many as every run has time for.
fn most() -> usize {
    std::env::var_os("GRIPTRACE_ROUNDS").map_or(12, |asked| match asked.to_str() {
        Some("all") => usize::MAX,
        asked => asked.and_then(|asked| asked.parse().ok()).expect("GRIPTRACE_ROUNDS is a number, or `all`"),
    })
}

/// Draws cases: of each call upon each kind of object each blow at least once, as far as that goes, and then more of
/// all. Returns them, and how many there are.
fn draw(calls: &Calls, rng: &mut Rng, most: usize) -> (Vec<Case>, usize) {
    let points = calls.points.iter();
    let mut cases: Vec<Case> = points.flat_map(|point| BLOWS.map(|blow| (point.clone(), blow))).collect();
    rng.shuffle(&mut cases);
    let mut seen: BTreeMap<(&str, &str, Blow), usize> = BTreeMap::new();
    let mut ranked: Vec<(usize, usize)> = Vec::new();
    for (place, (point, blow)) in cases.iter().enumerate() {
        let rank = seen.entry((&point.call, &point.object, *blow)).or_default();
        ranked.push((*rank, place));
        *rank += 1;
    }
    ranked.sort_unstable();
    let drawn = ranked.iter().take(most).map(|(_, place)| cases[*place].clone()).collect();
    (drawn, cases.len())
}

/// Tells what is done, and what not and why.
#[expect(clippy::print_stdout, reason = "nothing is left out without a word")]
fn tell(name: &str, calls: &Calls, drawn: usize, of: usize) {
    let mut counted: BTreeMap<&str, u64> = BTreeMap::new();
    for point in &calls.points {
        *counted.entry(&point.call).or_default() += 1;
    }
    println!("{name}: {} calls: {counted:?}", calls.points.len());
    println!("left alone: {:#?}", calls.left);
    println!("{name}: {drawn} of {of} cases are tried; GRIPTRACE_ROUNDS=all tries all");
}

/// Tells whether there is no `strace` here, or none that may trace.
fn is_skipped() -> bool {
    match trace::why_not() {
        Ok(()) => return false,
        Err(None) => skip::not_installed("strace"),
        Err(Some(why)) => skip::skipped(&format!("strace can't trace here: {why}")),
    }
    true
}

impl<'a> Stage<'a> {
    /// Runs the scene's program without a fault, counting its calls.
    fn new(workshop: &Workshop, scene: &'a Scene) -> Self {
        let place = workshop.place("counted");
        scene.lay_out(&place);
        let before = Seen::read(&store_of(&place)).unwrap();
        let (ran, calls) = trace::count(&place, &scene.program);
        assert_eq!(ran.code, Some(0), "{}: {}", scene.name, ran.err);
        let undisturbed = Seen::read(&store_of(&place)).unwrap();
        let stage = Self { scene, calls, before, undisturbed };
        let acks = scene.acknowledged(&ran);
        assert!(!acks.is_empty(), "{}: nothing was acknowledged: {}", scene.name, ran.out);
        let wrong: Vec<String> = acks.iter().flat_map(|ack| stage.undisturbed.check(ack)).collect();
        assert!(wrong.is_empty(), "{}: {wrong:#?}", scene.name);
        stage
    }

    /// Plays one case; returns what is wrong.
    fn play(&self, place: &Path, case: &Case, tally: &Mutex<Tally>) -> Vec<String> {
        let (point, blow) = case;
        self.scene.lay_out(place);
        let Some(ran) = trace::strike(place, &self.scene.program, point, *blow) else {
            return vec!["it hangs".to_owned()];
        };
        let acks = self.scene.acknowledged(&ran);
        count(&mut tally.lock().unwrap(), &ran, !acks.is_empty());
        let mut wrong = judge(&ran, *blow, !acks.is_empty());
        wrong.extend(self.go_on(place, &acks, tally));
        wrong
    }

    /// Goes on where the program was struck: a check, the same again, a check.
    fn go_on(&self, place: &Path, acks: &[Ack], tally: &Mutex<Tally>) -> Vec<String> {
        let (heals, mut wrong) = check(place);
        tally.lock().unwrap().left_to_heal += u64::from(!heals.is_empty());
        // Before the next one puts anything back.
        match Seen::read(&store_of(place)) {
            Ok(seen) => wrong.extend(acks.iter().flat_map(|ack| seen.check(ack))),
            Err(error) => wrong.push(error),
        }
        let Some(again) = trace::run(place, &self.scene.program, None) else {
            return vec!["the next one hangs".to_owned()];
        };
        if again.code != Some(0) {
            wrong.push(format!("the next one failed with {:?}: {}", again.code, again.err));
        }
        let (heals, after) = check(place);
        wrong.extend(after.into_iter().map(|what| format!("after the next one: {what}")));
        wrong.extend(heals.into_iter().map(|what| format!("after the next one: {what}")));
        match Seen::read(&store_of(place)) {
            Ok(seen) => {
                wrong.extend(seen.compare(&self.before, &self.undisturbed));
                let again = self.scene.acknowledged(&again);
                wrong.extend(acks.iter().chain(&again).flat_map(|ack| seen.check(ack)));
            }
            Err(error) => wrong.push(error),
        }
        wrong
    }
}

/// Judges what a program that was struck said.
fn judge(ran: &Ran, blow: Blow, is_acknowledged: bool) -> Vec<String> {
    let mut wrong = Vec::new();
    if ran.err.contains(OF_THE_LIBRARY) {
        return wrong;
    }
    if ran.err.contains("panicked") {
        wrong.push(format!("it panicked: {}", ran.err));
    }
    let injected = ran.injected();
    let Some(code) = ran.code else {
        if blow != Blow::Kill {
            wrong.push("it was killed, and nobody did".to_owned());
        }
        return wrong;
    };
    let is_derived = injected.iter().all(|line| DERIVED.iter().any(|derived| line.contains(derived)));
    match code {
        0 if !is_acknowledged => wrong.push(format!("it says yes, and acknowledged nothing: {}", ran.err)),
        0 => {}
        2 if is_derived => wrong.push(format!("a commit needs none of it, and failed: {}", ran.err)),
        2 => {
            let names = |line: &&str| trace::names(line).iter().any(|name| ran.err.contains(name));
            if !ran.err.contains(blow.message()) || !injected.iter().any(names) {
                wrong.push(format!("it does not tell what failed: {}\n{}", ran.err, injected.join("\n")));
            }
        }
        code => wrong.push(format!("it ended with {code}: {}", ran.err)),
    }
    wrong
}

/// Runs `griptrace fsck`; returns what the next writer makes again, and what is wrong.
fn check(place: &Path) -> (Vec<String>, Vec<String>) {
    let Some(ran) = trace::run(place, &griptrace(&["fsck", "--json"]), None) else {
        return (Vec::new(), vec!["fsck hangs".to_owned()]);
    };
    if !matches!(ran.code, Some(0 | 1)) {
        return (Vec::new(), vec![format!("fsck ended with {:?}: {}", ran.code, ran.err)]);
    }
    let lines = ran.out.lines().map(|line| serde_json::from_str::<Value>(line).expect("each line is JSON"));
    let faults = lines.filter(|line| line["object"].is_string());
    let (heals, damaged): (Vec<Value>, Vec<Value>) = faults.partition(|fault| fault["heals"] == true);
    let said = |faults: Vec<Value>| faults.iter().map(|fault| format!("fsck: {fault}")).collect();
    (said(heals), said(damaged))
}

fn count(tally: &mut Tally, ran: &Ran, is_acknowledged: bool) {
    match ran.code {
        None if !is_acknowledged => tally.killed += 1,
        None => tally.killed_after_acknowledging += 1,
        Some(0) => tally.acknowledged += 1,
        Some(_) => tally.refused += 1,
    }
    tally.missed += u64::from(ran.code.is_some() && ran.injected().is_empty());
}
