//! The log's key changes: who has the next one goes on, and who has not says so and does all the rest.

use core::time::Duration;
use std::time::Instant;

use griptrace_core::{
    key::{Algorithm, SecretKey, Signer as _},
    key_change::{KeyChange, KeyUse},
    note::Note,
};

use super::{
    super::{site::ask, world::now},
    fleet::{Fleet, PATIENCE, next},
};

const FORWARD: &str = "[forward]\n";

#[tokio::test(flavor = "multi_thread")]
async fn who_has_the_logs_next_key_takes_over_and_who_has_not_says_so_and_goes_on_answering() {
    let fleet = Fleet::new();
    let writer = fleet.write();
    let old = fleet.serve("old", FORWARD).await;
    let both = fleet.serve_with_next("both", FORWARD).await;
    let key = |seed: u8| SecretKey::from_bytes(Algorithm::Ed25519, &[seed; 32]).unwrap();
    let (retired, successor) = (key(1).public_key(), Some(key(11).public_key()));
    let (home, of, time) = (writer.home(), KeyUse::Log, now());
    let change = KeyChange { home, of, retired, successor, revoker: None, since: None, time };
    let entry = change.sign(&[&key(1), &key(11)], "Maker").unwrap();
    let size = writer.change_key(&entry, Some(next()), now()).unwrap().size;
    // It is told before anybody has to take the turn.
    let begun = Instant::now();
    while old.figure("log_key_is_wrong").await == 0 {
        assert!(begun.elapsed() < PATIENCE, "it does not say that it lacks the key");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!((old.figure("log_size").await, both.figure("log_key_is_wrong").await), (size, 0));
    drop(writer);
    both.writes().await;
    // Through the one that can't write, the other one's receipt, under the new key.
    let (request, id) = fleet.commit("camera");
    let first = old.commit(&request).await.unwrap();
    let note = Note::parse(first.checkpoint.as_bytes()).unwrap();
    assert_eq!(note.verify(&[next().verifier().clone()]).unwrap().len(), 1);
    old.node(&id, first.tree_size).await.unwrap();
    both.running.stop().await;
    // The turn is free for longer than anybody waits, and is left alone; what only reads goes on.
    let turn = old.figure("turn").await;
    tokio::time::sleep(Duration::from_secs(5)).await;
    assert_eq!(
        (old.is_writer().await, old.figure("turn").await, old.figure("bucket_is_silent").await),
        (false, turn, 0)
    );
    assert_eq!(ask(old.running.http.as_ref().unwrap(), "GET", "/readyz").await.status, 200);
    old.node(&id, first.tree_size).await.unwrap();
    // One that comes back with it finishes what waits.
    let (late, _) = fleet.commit("late");
    let (both, receipt) = tokio::join!(fleet.serve_with_next("both", FORWARD), async {
        let begun = Instant::now();
        loop {
            match old.commit(&late).await {
                Ok(receipt) => return receipt,
                Err(_) => assert!(begun.elapsed() < PATIENCE, "no receipt comes"),
            }
        }
    });
    fleet.holds(&[(request, first), (late, receipt)]);
    both.running.stop().await;
    old.running.stop().await;
}
