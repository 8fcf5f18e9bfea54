//! The log's key changes while several processes may write to its bucket: who has the key that follows goes on, and who has not
//! says so, follows, and leaves the turn alone.

use core::time::Duration;
use std::sync::Arc;

use griptrace_core::{
    entry::Genesis,
    key::Signer as _,
    key_change::KeyUse,
    note::{Note, NoteSigner},
};
use tempfile::TempDir;

use super::{
    keys::{key, rotation},
    weather::{Storm, Weather},
    world::{NOW, ORIGIN, World, signer},
};
use crate::{
    CommitError, OpenError, OpenOptions, Receipt, Standing, Store,
    bucket::{Bucket, MemoryBucket, When},
    head::{Head, sign},
    lease::SharedHead,
    log_keys::LogKeys,
    objects::Objects,
    open::init_on,
};

/// The signer of the log's second key.
fn second() -> NoteSigner {
    NoteSigner::new(ORIGIN, &[11; 32]).unwrap()
}

/// A log in a bucket, and who writes to it.
fn begun() -> (Weather, Store, TempDir) {
    let (weather, local) = (Weather::default(), tempfile::tempdir().unwrap());
    let (key, revokers) = (key(1).public_key(), Vec::new());
    let genesis = Genesis { origin: ORIGIN.into(), key, time: NOW, nonce: [3; 16], revokers };
    let objects = Objects::in_bucket(Arc::new(weather.clone()), local.path());
    let store = Store::from_opened(init_on(objects, &genesis, signer(), NOW).unwrap());
    add(&store, "camera").unwrap();
    (weather, store, local)
}

fn join(bucket: &MemoryBucket, signer: NoteSigner, next: Option<NoteSigner>) -> (Store, TempDir) {
    let local = tempfile::tempdir().unwrap();
    let options = OpenOptions { signer: Some(signer), next_signer: next, ..OpenOptions::default() };
    (Store::join_in(Arc::new(bucket.clone()), local.path(), options).unwrap(), local)
}

fn add(store: &Store, name: &str) -> Result<Receipt, CommitError> {
    store.commit(vec![World::at(store).source(name, "CN")], &key(2), "Maker", NOW)
}

fn change(store: &Store) -> Result<Receipt, CommitError> {
    let entry = rotation(store.home(), KeyUse::Log, &key(1), &key(11));
    store.change_key(&entry, Some(second()), NOW)
}

fn tend(store: &Store, seconds: u64) -> Standing {
    store.tend(Duration::from_secs(seconds)).unwrap()
}

fn is_signed_by(note: &str, signer: &NoteSigner) -> bool {
    let note = Note::parse(note.as_bytes()).unwrap();
    note.verify(core::slice::from_ref(signer.verifier())).unwrap().len() == 1
}

fn head(bucket: &MemoryBucket) -> Vec<u8> {
    bucket.get("head", None).unwrap().unwrap().bytes
}

fn copy(bucket: &MemoryBucket) -> MemoryBucket {
    let other = MemoryBucket::default();
    for name in bucket.names() {
        other.put(&name, &bucket.get(&name, None).unwrap().unwrap().bytes, &When::Always).unwrap();
    }
    other
}

/// The key that the log has, as a process says that was given another one.
fn missing(store: &Store) -> Option<String> {
    store.wrong_key().map(|error| {
        let OpenError::WrongKey { expected, .. } = error else { panic!("{error}") };
        expected
    })
}

/// Rule R9: whoever has the key that retired, and may write to the bucket, could lead those who follow into a log of its own.
#[test]
fn a_retired_key_is_not_believed_again_by_who_read_that_it_retired() {
    let (weather, writer, _local) = begun();
    let (bucket, forger) = (weather.bucket, NoteSigner::new(ORIGIN, &[66; 32]).unwrap());
    let index = change(&writer).unwrap().index;
    writer.0.publish();
    let (follower, local) = join(&bucket, signer(), None);
    let (size, note, keys) = (follower.size(), follower.checkpoint(), follower.verifiers());
    let own = rotation(writer.home(), KeyUse::Log, &key(1), &key(66));
    let at = Objects::in_bucket(Arc::new(bucket.clone()), local.path());
    LogKeys::of(writer.genesis(), vec![(index, own)]).unwrap().write(&at).unwrap();
    let there = SharedHead::parse(&head(&bucket)).unwrap();
    let longer = Head { size: size + 2, ..there.head };
    let note_by_it = sign(&forger, ORIGIN, longer).unwrap();
    bucket.put("checkpoint", note_by_it.as_bytes(), &When::Always).unwrap();
    bucket.put("head", &SharedHead { head: longer, note: note_by_it, ..there }.to_bytes(), &When::Always).unwrap();
    let error = follower.tend(Duration::from_secs(1)).unwrap_err().to_string();
    assert!(error.contains("it lacks a change of the log's key"), "{error}");
    assert_eq!((follower.size(), follower.checkpoint(), follower.verifiers()), (size, note, keys));
}

#[test]
fn who_lacks_the_logs_new_key_says_so_follows_and_leaves_the_turn_alone() {
    let (weather, writer, _local) = begun();
    let bucket = weather.bucket;
    let (old, _one) = join(&bucket, signer(), None);
    let (both, _two) = join(&bucket, signer(), Some(second()));
    let (new, _three) = join(&bucket, second(), None);
    for store in [&old, &both] {
        assert!(matches!(tend(store, 0), Standing::Reader(_)));
        assert_eq!(missing(store), None);
    }
    assert_eq!(missing(&new), Some(signer().verifier().to_vkey()), "its key is not the log's yet");
    change(&writer).unwrap();
    let last = add(&writer, "after").unwrap();
    writer.0.publish();
    assert_eq!((missing(&writer), writer.is_writing()), (None, true));
    for store in [&old, &both, &new] {
        assert!(matches!(tend(store, 1), Standing::Reader(_)));
        assert_eq!(store.size(), last.size);
    }
    // Before anybody needs it to write.
    let expected = Some(second().verifier().to_vkey());
    assert_eq!([missing(&old), missing(&both), missing(&new)], [expected.clone(), None, None]);
    drop(writer);
    let before = head(&bucket);
    for second in [2, 6, 10] {
        assert_eq!(tend(&old, second), Standing::Reader(String::new()));
        assert_eq!((head(&bucket) == before, missing(&old)), (true, expected.clone()), "the turn is left alone");
    }
    assert_eq!(tend(&both, 10), Standing::Writer);
    let receipt = add(&both, "by another").unwrap();
    assert!(is_signed_by(&receipt.checkpoint, &second()));
    both.0.publish();
    assert!(matches!(tend(&old, 11), Standing::Reader(_)));
    assert!(old.node(&receipt.ids[0]).unwrap().is_some(), "it follows");
    assert!(matches!(add(&old, "refused"), Err(CommitError::ReadOnly)));
    drop(both);
    assert_eq!(tend(&new, 12), Standing::Writer, "the new key alone is enough by now");
    assert!(new.fsck(&|_, _, _| {}).unwrap().is_clean());
    // To open at once for writing is refused for the key, and not for want of patience.
    let folder = tempfile::tempdir().unwrap();
    let options = OpenOptions { signer: Some(signer()), ..OpenOptions::default() };
    let opened = Store::open_in(Arc::new(bucket), folder.path(), options);
    assert!(matches!(opened, Err(OpenError::WrongKey { .. })), "{opened:?}");
}

/// Whoever changes the key crashes at any of its writes: what it left is signed with the key that it is for, or by nobody.
#[test]
fn a_change_of_the_logs_key_that_was_cut_off_is_taken_up_by_who_has_the_key_for_it() {
    let (mut changed, mut unchanged) = (0, 0);
    for storm in [Storm::Crash, Storm::Persisted, Storm::Lost] {
        for at in 0.. {
            let (weather, writer, _local) = begun();
            writer.0.publish();
            let (size, before) = (writer.size(), weather.writes());
            weather.brew(at, storm);
            let told = change(&writer);
            if weather.writes() - before <= at {
                break;
            }
            weather.cut_off(true);
            drop(writer);
            let what = format!("{storm:?} at write {at}");
            let is_there = weather.bucket.names().iter().any(|name| *name == format!("segments/{size:016}"));
            *(if is_there { &mut changed } else { &mut unchanged }) += 1;
            assert!(is_there || told.is_err(), "{what}: it was acknowledged and is lost");
            let right = if is_there { second() } else { signer() };
            let judge = |bucket: MemoryBucket, first: NoteSigner, next: Option<NoteSigner>, is_to_write: bool| {
                let (store, _local) = join(&bucket, first, next);
                tend(&store, 0);
                let standing = tend(&store, 4);
                assert_eq!(standing == Standing::Writer, is_to_write, "{what}: {standing:?}");
                if is_to_write {
                    let receipt = add(&store, "after").unwrap();
                    assert!(is_signed_by(&receipt.checkpoint, &right), "{what}");
                    store.0.publish();
                    assert!(store.fsck(&|_, _, _| {}).unwrap().is_clean(), "{what}");
                    return;
                }
                assert_eq!(missing(&store), Some(right.verifier().to_vkey()), "{what}");
                let before = head(&bucket);
                for seconds in [4, 8, 12] {
                    assert!(matches!(tend(&store, seconds), Standing::Reader(_)), "{what}");
                }
                assert!(head(&bucket) == before, "{what}: the turn is left alone");
                assert_eq!(missing(&store), Some(right.verifier().to_vkey()), "{what}");
            };
            judge(copy(&weather.bucket), signer(), None, !is_there);
            judge(copy(&weather.bucket), second(), None, is_there);
            judge(copy(&weather.bucket), signer(), Some(second()), true);
            judge(copy(&weather.bucket), second(), Some(signer()), true);
            // One that can't go on before one that can.
            let shared = copy(&weather.bucket);
            judge(shared.clone(), signer(), None, !is_there);
            judge(shared, signer(), Some(second()), true);
        }
    }
    assert!(changed > 3 && unchanged > 0, "it came before and after: {changed}, {unchanged}");
}
