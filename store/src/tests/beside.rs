//! What stands beside a log and can't be made again: where it is damaged or lost, a copy keeps what it has, and it is told.

use std::{fs, path::Path};

use super::{
    across::{prove, supplier, tuned},
    cosigned::cosign,
    world::{NOW, World, open, reader},
};
use crate::{Closed, CopyError, Damage, Original, Place, Store, bucket::MemoryBucket};

fn quiet(_: &str, _: u64, _: u64) {}

fn folder(dir: &Path) -> Place {
    Place::Folder(dir.to_owned())
}

/// A log with a cosigned checkpoint and an adopted bundle.
fn log() -> World {
    let supplier = supplier();
    let (world, _) = tuned(&supplier);
    world.store.adopt(&prove(&supplier.world, &supplier.shipment), &supplier.model, None).unwrap();
    cosign(&world.store, world.store.size(), 1, NOW);
    world
}

/// Returns the objects beside a log.
fn beside(dir: &Path) -> Vec<String> {
    let inside = |folder: &str| {
        let files = fs::read_dir(dir.join(folder)).unwrap();
        files.map(|file| format!("{folder}/{}", file.unwrap().file_name().to_str().unwrap())).collect::<Vec<_>>()
    };
    let found = [inside("cosigned"), inside("adopted")].concat();
    assert_eq!(found.len(), 4, "{found:?}");
    found
}

/// Flips a bit, and returns what was there.
fn damage(file: &Path) -> Vec<u8> {
    let whole = fs::read(file).unwrap();
    let mut bytes = whole.clone();
    bytes[whole.len() / 2] ^= 1;
    fs::write(file, bytes).unwrap();
    whole
}

fn is_clean(store: &Store) -> bool {
    store.fsck(&quiet).unwrap().is_clean()
}

/// A rotten object went over the good one in the backup, the last that there was.
#[test]
fn what_is_damaged_or_lost_goes_over_nothing_in_a_backup() {
    let world = log();
    let (kept, local) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let bucket = MemoryBucket::default();
    let places = [folder(kept.path()), Place::Bucket(std::sync::Arc::new(bucket), local.path().to_owned())];
    for place in &places {
        let copied = world.store.back_up(place, &quiet).unwrap();
        assert!(copied.damaged.is_empty() && copied.lacking.is_empty(), "{copied:?}");
        for object in beside(world.dir.path()) {
            let here = world.dir.path().join(&object);
            let whole = damage(&here);
            world.add(world.source(&format!("after {object} of {}", place.name()), "DE"));
            let copied = world.store.back_up(place, &quiet).unwrap();
            let [Damage { object: told, is_kept: true, .. }] = &*copied.damaged else { panic!("{copied:?}") };
            assert_eq!((told, copied.size - copied.had), (&object, 2), "the rest is copied");
            assert!(is_clean(&place.open().unwrap()), "{object}");
            let there = place.open().unwrap().0.objects.read(&object).unwrap();
            assert_eq!(there.as_ref(), Some(&whole), "{object}");

            fs::remove_file(&here).unwrap();
            let copied = world.store.back_up(place, &quiet).unwrap();
            assert_eq!((copied.damaged.len(), &copied.lacking), (0, &vec![object.clone()]));
            assert_eq!(place.open().unwrap().0.objects.read(&object).unwrap(), Some(whole.clone()));
            fs::write(&here, whole).unwrap();
        }
        // What is damaged in the copy is mended by what is whole here.
        let object = beside(world.dir.path()).remove(0);
        if let Place::Folder(dir) = place {
            damage(&dir.join(&object));
        }
        let copied = world.store.back_up(place, &quiet).unwrap();
        assert!(copied.damaged.is_empty() && copied.lacking.is_empty() && is_clean(&place.open().unwrap()));
    }
}

/// A list that was lost is begun anew by the next adoption, and that one has less than the backup.
#[test]
fn a_list_that_was_begun_anew_takes_no_line_from_a_backup() {
    let world = log();
    let kept = tempfile::tempdir().unwrap();
    world.store.back_up(&folder(kept.path()), &quiet).unwrap();
    for list in ["adopted/names", "adopted/sizes"] {
        fs::remove_file(world.dir.path().join(list)).unwrap();
    }
    let other = supplier();
    let more = other.world.add(other.world.shipment(&[other.other], "IT"));
    world.store.adopt(&prove(&other.world, &more), &other.other, Some("anew")).unwrap();
    let copied = world.store.back_up(&folder(kept.path()), &quiet).unwrap();
    assert_eq!(copied.lacking, ["adopted/names", "adopted/sizes"]);
    let copy = reader(kept.path());
    assert!(is_clean(&copy) && copy.foreign_nodes().unwrap().len() == 2, "{:?}", copy.foreign_nodes());
    assert!(!is_clean(&world.store));
    for list in copied.lacking {
        fs::copy(kept.path().join(&list), world.dir.path().join(&list)).unwrap();
    }
    assert!(is_clean(&world.store));
    assert_eq!(world.store.back_up(&folder(kept.path()), &quiet).unwrap().lacking, [""; 0]);
}

#[test]
fn what_is_damaged_is_not_handed_on_by_a_restore_or_a_move() {
    let world = log();
    for object in beside(world.dir.path()) {
        let kept = tempfile::tempdir().unwrap();
        world.store.back_up(&folder(kept.path()), &quiet).unwrap();
        damage(&kept.path().join(&object));
        let place = tempfile::tempdir().unwrap();
        let copied = reader(kept.path()).restore_to(&folder(place.path()), &quiet).unwrap();
        let [Damage { object: told, is_kept: false, .. }] = &*copied.damaged else { panic!("{copied:?}") };
        assert_eq!(told, &object);
        assert!(!place.path().join(&object).exists());
        assert!(open(place.path()).state().unwrap().is_none(), "the rest is the log");

        let (whole, there) = (damage(&world.dir.path().join(&object)), tempfile::tempdir().unwrap());
        match world.store.move_to(&folder(there.path()), &quiet) {
            Err(CopyError::Damaged { object: told, .. }) => assert_eq!(told, object),
            other => panic!("{other:?}"),
        }
        assert_eq!(world.store.state().unwrap(), None, "it is not closed");
        fs::write(world.dir.path().join(&object), whole).unwrap();
        world.add(world.source(&object, "DE"));
    }
}

#[test]
fn an_audit_tells_what_was_adopted_and_is_lost() {
    let world = log();
    assert!(is_clean(&world.store));
    for object in beside(world.dir.path()) {
        let here = world.dir.path().join(&object);
        let whole = fs::read(&here).unwrap();
        fs::remove_file(&here).unwrap();
        let report = world.store.fsck(&quiet).unwrap();
        let told: Vec<&str> = report.faults.iter().map(|fault| fault.object.as_str()).collect();
        // Nothing says which checkpoints were cosigned.
        let is_cosigned = object.starts_with("cosigned/");
        assert_eq!(told, if is_cosigned { vec![] } else { vec![object.as_str()] });
        assert!(report.faults.iter().all(|fault| fault.why.contains("it is missing") && !fault.heals));
        fs::write(&here, whole).unwrap();
    }
    // Of both the bundle and what told its digest, the name is left.
    for name in beside(world.dir.path()).iter().filter(|name| name.contains("adopted") && !name.ends_with("names")) {
        fs::remove_file(world.dir.path().join(name)).unwrap();
    }
    let report = world.store.fsck(&quiet).unwrap();
    assert!(report.faults.len() == 1 && report.faults[0].why.contains("a bundle is missing"), "{:?}", report.faults);
}

#[test]
fn what_a_backup_is_of_is_found_where_it_is() {
    let world = log();
    let home = world.home();
    let kept = tempfile::tempdir().unwrap();
    let place = folder(world.dir.path());
    world.store.back_up(&folder(kept.path()), &quiet).unwrap();
    let Some(Closed::Backup(of)) = reader(kept.path()).state().unwrap() else { panic!("it is a backup") };
    assert_eq!(Place::folder_named(&of).map(|found| found.address()), Some(place.address()));
    assert!(Place::folder_named(&format!("{} on elsewhere", world.dir.path().display())).is_none());

    assert_eq!(place.original(&home).unwrap(), Original::There(Some(world.store.size())));
    assert_eq!(place.original(&World::called("b.example/1").home()).unwrap(), Original::Gone, "another log");
    let is_backup = |found| matches!(found, Original::Elsewhere(Closed::Backup(_)));
    assert!(is_backup(folder(kept.path()).original(&home).unwrap()));
    assert_eq!(folder(&kept.path().join("no")).original(&home).unwrap(), Original::Gone);
    // What is left of it tells.
    for lost in ["head", "genesis", "keys"] {
        fs::remove_file(world.dir.path().join(lost)).unwrap();
        assert!(matches!(place.original(&home).unwrap(), Original::There(_)), "without {lost}");
    }
    let there = tempfile::tempdir().unwrap();
    let other = log();
    other.store.move_to(&folder(there.path()), &quiet).unwrap();
    let moved = folder(other.dir.path()).original(&other.home()).unwrap();
    assert_eq!(moved, Original::Elsewhere(Closed::Moved(folder(there.path()).address())));
}
