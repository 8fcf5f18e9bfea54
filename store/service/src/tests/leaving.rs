//! Callers who leave while something is done for them: it is done all the same, and counts as long as it takes.

use core::time::Duration;
use std::{
    sync::{
        Arc, Mutex,
        mpsc::{Receiver, Sender, channel},
    },
    time::Instant,
};

use griptrace_core::{
    details::Values,
    digest::Digest,
    id::KeyId,
    key::{Algorithm, PublicKey, SecretKey, Signer as _},
    node::{Core, DigestStrength, Held, Kind, Origin},
};
use griptrace_proto::v1;
use griptrace_store::{record::NodeRecord, signed_commit};
use tokio::time::timeout;

use super::world::{World, now};
use crate::{
    access::{Caller, KeyRefusal, NotNamed, Registry, Role, SharedRegistry},
    admission::Admission,
    committing::Committers,
    limits::Limits,
    standing::Post,
};

/// A registry that knows one key, and says so when it is let.
#[derive(Debug)]
struct Slow {
    asked: Mutex<Sender<()>>,
    may_answer: Mutex<Receiver<()>>,
}

impl Registry for Slow {
    fn committer_key(&self, _: KeyId, _: &Caller, _: u64) -> Result<PublicKey, KeyRefusal> {
        self.asked.lock().unwrap().send(()).unwrap();
        self.may_answer.lock().unwrap().recv().unwrap();
        Ok(committer().public_key())
    }

    fn named(&self, name: &str, _: u64) -> Result<Arc<Caller>, NotNamed> {
        Err(NotNamed::Nobody(name.to_owned()))
    }
}

fn committer() -> SecretKey {
    SecretKey::from_bytes(Algorithm::Ed25519, &[2; 32]).unwrap()
}

fn request(world: &World) -> v1::CommitRequest {
    let core = Core {
        origin: Some(Origin::Collected),
        held: Some(Held::Here),
        strength: Some(DigestStrength::None),
        ..Core::new(Kind::Dataset, world.store.home(), [0; 16], Digest::ZERO)
    };
    let node = NodeRecord::build(core, Values::new(), None, None, |out| out.fill(5)).unwrap();
    let nodes = [node];
    let entry = signed_commit(world.store.home(), &nodes, &|_| None, &committer(), "Maker", now()).unwrap();
    v1::CommitRequest { entry: entry.into(), nodes: nodes.iter().map(|node| node.to_bytes().into()).collect() }
}

/// A commit whose sender left gave its place back while it was still queued, so that senders who left again and again
/// filled the queue without end; and no watcher was told of it.
#[tokio::test(flavor = "multi_thread")]
async fn a_commit_that_nobody_waits_for_keeps_its_place_and_watchers_are_told() {
    let world = World::new();
    let (asked, was_asked) = channel();
    let (may_answer, answers) = channel();
    let registry: SharedRegistry = Arc::new(Slow { asked: Mutex::new(asked), may_answer: Mutex::new(answers) });
    let post = Arc::new(Post::new(&world.store));
    let committers = Committers::start(&world.store, &registry, now, &post);
    let gate = Admission::new(&Limits { commits_at_once: 1, commits_waiting_max: 0, ..Limits::default() });
    let roles = vec![Role::Commit];
    let caller = Caller { name: "one".to_owned(), roles, prefixes: Vec::new(), sees_details: true };

    let (before, place) = (world.store.size(), gate.commit(1).await.unwrap());
    let sent = committers.take(Arc::new(place), Arc::new(caller), request(&world));
    assert!(timeout(Duration::from_millis(50), sent).await.is_err(), "its sender leaves");
    was_asked.recv().unwrap();
    assert!(gate.commit(1).await.is_err(), "the place was given back while the commit is still held");

    may_answer.send(()).unwrap();
    let mut told = post.reaches();
    let grown = timeout(Duration::from_secs(20), told.wait_for(|size| *size > before)).await;
    assert_eq!(*grown.expect("no watcher is told").unwrap(), world.store.size());
    let begun = Instant::now();
    while gate.commit(1).await.is_err() {
        assert!(begun.elapsed() < Duration::from_secs(20), "the place does not come back");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
