//! A question that waits for the bucket keeps nobody else waiting.

use core::time::Duration;
use std::{
    sync::{
        Arc,
        mpsc::{Receiver, Sender, channel},
    },
    thread::{self, JoinHandle},
};

use griptrace_core::{id::NodeId, node::Kind};
use tempfile::TempDir;

use super::{
    bucket::{init, join as join_plainly},
    erasing,
    hooked::{Asked, Hooked, commit, join, tend, writer},
    weather::Weather,
};
use crate::{
    Standing, Store,
    bucket::MemoryBucket,
    segment,
    store::{Inner, State},
};

/// How long a request is held that nobody lets go on: whoever waited for it is found out by then.
const HELD_MAX: Duration = Duration::from_secs(9);

/// A log of so many commits of one node, and where each of these is.
fn log(commits: usize) -> (MemoryBucket, Vec<(NodeId, String)>) {
    let made = init(&Weather::default());
    let add = |at: usize| {
        let first = made.store.size();
        let ids = made.commit(vec![made.source(&format!("n{at}"))]).unwrap();
        (ids[0], segment::name(first))
    };
    let nodes = (0..commits).map(add).collect();
    made.store.0.publish();
    (made.weather.bucket.clone(), nodes)
}

/// Holds the next request for an object; returns what tells that it has come, and what lets it go on.
fn hold(hooked: &Hooked, object: &str) -> (Receiver<()>, Sender<()>) {
    let ((tell, told), (go_on, goes_on)) = (channel(), channel());
    let object = object.to_owned();
    let is_meant = move |asked: Asked<'_>| matches!(asked, Asked::Get(name) if name == object);
    hooked.once(is_meant, move || {
        tell.send(()).unwrap();
        goes_on.recv_timeout(HELD_MAX).unwrap_or_default();
    });
    (told, go_on)
}

/// Asks something that waits for an object of which nothing is kept, and returns once it does.
fn ask_slowly<T: Send + 'static>(
    hooked: &Hooked,
    store: &Store,
    object: &str,
    question: impl FnOnce(&Store) -> T + Send + 'static,
) -> (JoinHandle<T>, Sender<()>) {
    store.0.objects.forget_segments(0);
    let (told, go_on) = hold(hooked, object);
    let store = store.clone();
    let asking = thread::spawn(move || question(&store));
    told.recv_timeout(HELD_MAX).unwrap();
    (asking, go_on)
}

/// A log that this one writes, under a bucket of which each request can be held.
fn writing(commits: usize) -> (Hooked, Store, TempDir, Vec<(NodeId, String)>) {
    let (bucket, nodes) = log(commits);
    let hooked = Hooked::over(&bucket);
    let (store, local) = writer(&hooked);
    (hooked, store, local, nodes)
}

fn has(store: &Store, id: &NodeId) -> bool {
    store.node(id).unwrap().is_some()
}

/// The catalogue was locked while a question read from the bucket: a commit waited for it, and whatever came then waited for the commit. The
/// beat was among it, so that the turn went to somebody else.
#[test]
fn a_question_that_waits_for_the_bucket_keeps_nobody_waiting() {
    let (hooked, store, _local, nodes) = writing(2);
    let (cold, other) = (nodes[0].clone(), nodes[1].0);
    let (asking, go_on) = ask_slowly(&hooked, &store, &cold.1, move |store| has(store, &cold.0));
    let size = store.size();
    commit(&store, "new").unwrap();
    assert_eq!(store.size(), size + 2);
    assert!(store.checkpoint().contains(&format!("\n{}\n", size + 2)));
    for seconds in 1..6 {
        assert_eq!(tend(&store, seconds).unwrap(), Standing::Writer);
    }
    assert!(has(&store, &other), "another question, which reads from the bucket too");
    assert!(!asking.is_finished(), "it kept the others waiting");
    go_on.send(()).unwrap();
    assert!(asking.join().unwrap());
}

/// As for who writes: a reader came no further, and answered nobody else.
#[test]
fn a_question_that_waits_for_the_bucket_keeps_nobody_from_following() {
    let (bucket, nodes) = log(1);
    let hooked = Hooked::over(&bucket);
    let (reader, _local) = join(&hooked, false);
    let cold = nodes[0].clone();
    let (asking, go_on) = ask_slowly(&hooked, &reader, &cold.1, move |store| has(store, &cold.0));
    let other = join_plainly(&bucket, "");
    assert_eq!(other.tend(0), Standing::Writer);
    let ids = other.commit(vec![other.source("new")]).unwrap();
    other.store.0.publish();
    tend(&reader, 1).unwrap();
    assert_eq!(reader.size(), other.store.size());
    assert!(has(&reader, &ids[0]));
    assert!(!asking.is_finished(), "it kept the others waiting");
    go_on.send(()).unwrap();
    assert!(asking.join().unwrap());
}

/// Nobody beat, and nobody was told the size, until the whole log was read.
#[test]
fn whoever_derives_the_catalogue_again_keeps_nobody_waiting() {
    let (bucket, nodes) = log(1);
    let made = join_plainly(&bucket, "");
    assert_eq!(made.tend(0), Standing::Writer);
    let many = (0..1100).map(|at| made.source(&format!("s{at}"))).collect();
    drop(made.commit(many).unwrap());
    made.store.0.errands.wait();
    drop(made);
    let hooked = Hooked::over(&bucket);
    let (store, _local) = writer(&hooked);
    assert!(store.0.read().catalogue.has_snapshot());
    store.0.read().catalogue.distrust();
    // It reads nothing else than the catalogue.
    let (asking, go_on) = ask_slowly(&hooked, &store, &nodes[0].1, |store| store.of_kind(Kind::Dataset).unwrap());
    for seconds in 1..6 {
        assert_eq!(tend(&store, seconds).unwrap(), Standing::Writer);
    }
    assert!(store.size() > 0 && store.checkpoint().contains(&format!("\n{}\n", store.size())));
    assert!(!asking.is_finished(), "it kept the others waiting");
    go_on.send(()).unwrap();
    assert_eq!(asking.join().unwrap().len(), 1101);
    assert!(!store.0.read().catalogue.has_snapshot());
    commit(&store, "after it").unwrap();
}

/// An answer is of one state of the log, whatever comes while it is made.
#[test]
fn what_comes_while_a_question_is_answered_is_not_in_its_answer() {
    let (_hooked, store, _local, nodes) = writing(3);
    let look = |state: &State| {
        let catalogue = &state.catalogue;
        let ids: Vec<NodeId> = catalogue.numbers().map(|number| catalogue.id(number)).collect();
        let edges: Vec<_> = catalogue.numbers().flat_map(|number| catalogue.incoming(number)).collect();
        (catalogue.size(), catalogue.root(), catalogue.map().root(), ids, edges, state.note.clone())
    };
    let world = super::world::World::at(&store);
    let added = store.0.ask(|state| {
        let before = look(state);
        let derived = world.commit(world.derive("step", &[nodes[0].0], "CN"));
        let assessment = world.add(world.assessment(&[nodes[0].0]));
        assert!(look(state) == before, "what was asked has changed");
        assert!(derived.iter().chain([&assessment]).all(|id| state.catalogue.number(id).is_none()));
        assert_eq!(state.catalogue.assessments_of(&nodes[0].0).count(), 0);
        Ok::<_, crate::StorageError>((derived, assessment))
    });
    let (derived, assessment) = added.unwrap();
    assert!(derived.iter().all(|id| has(&store, id)));
    assert_eq!(store.assessments_of(&nodes[0].0).unwrap(), [assessment]);
}

/// Two that go on from one state, each its own way, see nothing of each other.
#[test]
fn a_catalogue_that_was_given_up_leaves_nothing_behind() {
    let (_hooked, store, _local, nodes) = writing(3);
    // As who takes the turn does, and fails.
    let given_up = |inner: &Inner| {
        let state = inner.read();
        let mut catalogue = state.catalogue.clone();
        commit(&store, "one").unwrap();
        let group = inner.objects.read(&segment::name(catalogue.size())).unwrap().unwrap();
        let begin = segment::header(&inner.home, catalogue.size()).len();
        let (name, size) = (segment::name(catalogue.size()), catalogue.size());
        let begin = u64::try_from(begin).unwrap();
        let bytes = &group[usize::try_from(begin).unwrap()..];
        let group = segment::Groups::new(&name, size, bytes, begin, size).next().unwrap().unwrap();
        let delta = crate::delta::Delta::of(&catalogue, &group).unwrap();
        catalogue.apply(delta);
        catalogue
    };
    let other = given_up(&store.0);
    assert_eq!((other.size(), other.root()), (store.size(), store.0.read().catalogue.root()));
    commit(&store, "two").unwrap();
    let ids = |catalogue: &crate::catalogue::Catalogue| -> Vec<NodeId> {
        catalogue.numbers().map(|number| catalogue.id(number)).collect()
    };
    let (mine, others) = (ids(&store.0.read().catalogue), ids(&other));
    assert_eq!((mine.len(), others.len()), (nodes.len() + 2, nodes.len() + 1));
    assert_eq!(mine[..others.len()], others);
    assert!(other.number(&mine[mine.len() - 1]).is_none() && others.iter().all(|id| other.number(id).is_some()));
    assert!(store.fsck(&|_, _, _| {}).unwrap().is_clean());
}

/// What was read before an erasure came back for good, by who had begun to read it.
#[test]
fn what_was_being_opened_when_it_was_to_be_forgotten_is_not_kept() {
    for forgets in [false, true] {
        let (hooked, store, _local, nodes) = writing(2);
        let (first, name) = (2, nodes[0].1.clone());
        assert_eq!(name, segment::name(first));
        let (opening, go_on) =
            ask_slowly(&hooked, &store, &name, move |store| drop(store.0.objects.segment(first).unwrap()));
        if forgets {
            store.0.objects.forget_segments(0);
        }
        go_on.send(()).unwrap();
        opening.join().unwrap();
        let before = hooked.requests();
        drop(store.0.objects.segment(first).unwrap());
        assert_eq!(hooked.requests() > before, forgets);
    }
}

/// Neither waits for questions that are under way, and these leave nothing of what was erased where others read.
#[test]
fn an_erasure_goes_on_while_a_question_waits_and_nothing_of_it_is_kept() {
    let (bucket, local) = (MemoryBucket::default(), tempfile::tempdir().unwrap());
    let hooked = Hooked::over(&bucket);
    let store = erasing::init_over(Arc::new(hooked.clone()), &local);
    let erasing::Person { set, .. } = erasing::record(&store);
    let (id, name) = (set.id(), {
        let state = store.0.read();
        let number = state.catalogue.number(&set.id()).unwrap();
        segment::name(state.catalogue.commit_of(number).segment)
    });
    let (asking, go_on) = ask_slowly(&hooked, &store, &name, move |store| store.node(&id).unwrap().unwrap());
    erasing::erase(&store, set.id(), &[0], &[]).unwrap();
    assert!(!asking.is_finished(), "it kept the erasure waiting");
    go_on.send(()).unwrap();
    asking.join().unwrap();
    let left = store.node(&set.id()).unwrap().unwrap();
    assert!(set.values.contains_key(&0) && !left.record.values.contains_key(&0));
}
