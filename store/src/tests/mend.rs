//! Putting back what can be made again.

use std::collections::BTreeMap;

use super::world::{World, in_a_bucket_too, object, open, put};
use crate::{Store, head::CHECKPOINT, log_keys::KEYS, open::GENESIS, snapshot::NAME as SNAPSHOT};

fn quiet(_: &str, _: u64, _: u64) {}

in_a_bucket_too!(what_can_be_made_again_is_put_back_and_an_audit_alone_changes_nothing);

/// Full tiles, which nobody who writes looks at any more, stayed damaged for ever, and the audit said that the next writer mends them.
#[test]
fn what_can_be_made_again_is_put_back_and_an_audit_alone_changes_nothing() {
    let world = World::new();
    for i in 0..140 {
        world.add(world.source(&format!("s{i}"), "CN"));
    }
    let catalogue = world.store.0.read().catalogue.clone();
    catalogue.write_snapshot(&world.store.0.objects).unwrap();
    let World { dir, store, .. } = world;
    let size = store.size();
    let entries = store.entries(0..size).unwrap();
    drop(store);
    let names = ["tile/0/000", "tile/entries/000", "tile/1/000.p/1", CHECKPOINT, KEYS, GENESIS, SNAPSHOT];
    let whole: BTreeMap<&str, Vec<u8>> = names.iter().map(|name| (*name, object(dir.path(), name).unwrap())).collect();
    for lost in [false, true] {
        for (name, bytes) in &whole {
            let mut damaged = bytes.clone();
            *damaged.last_mut().unwrap() ^= 1;
            put(dir.path(), name, Some(&*damaged).filter(|_| !lost));
        }
        let found = |store: &Store| store.fsck(&quiet).unwrap();
        let reader = super::world::reader(dir.path());
        let told = found(&reader);
        assert!(told.faults.iter().all(|fault| fault.heals), "{:?}", told.faults);
        assert_eq!(reader.mend(&told).unwrap(), [], "who does not write mends nothing");
        assert_eq!(found(&reader), told, "an audit changes nothing");
        drop(reader);
        let store = open(dir.path());
        let rest = found(&store);
        assert!(rest.faults.iter().all(|fault| fault.heals && !fault.heals_by_writing()), "{:?}", rest.faults);
        let full: Vec<&str> = rest.faults.iter().map(|fault| fault.object.as_str()).collect();
        assert!(lost || full.contains(&"tile/entries/000"), "whoever writes does not look at it: {full:?}");
        assert_eq!(store.mend(&rest).unwrap(), rest.faults);
        assert_eq!(found(&store).faults, []);
        drop(store);
        for (name, bytes) in whole.iter().filter(|(name, _)| ![CHECKPOINT, SNAPSHOT].contains(*name)) {
            assert_eq!(object(dir.path(), name).as_ref(), Some(bytes), "{name}");
        }
        assert_eq!(super::world::reader(dir.path()).entries(0..size).unwrap(), entries);
    }
}
