//! The power goes: what a store acknowledged had reached the disk.
//!
//! A kill leaves the system's cache in place, so it can't show a flush that is missing. Here the
//! store lies on a file system in an image; at a random moment the writer is stopped and the image
//! copied as it is: what the disk holds then. The copy is mounted, its journal replayed, and the
//! store in it opened and compared.

use core::time::Duration;
use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    thread,
};

use griptrace_store::Store;
use griptrace_tests::{
    seed::{Rng, Seed},
    skip, skipped,
};

use super::{
    child::Child,
    factory::{NOW, genesis, log_signer},
    image::{self, Mount, Unavailable},
    model::{Depth, Model},
    rounds, told, writer,
};

/// Where no file system can be mounted, the same is shown by a disk made of memory.
const INSTEAD: &str = "the store's own tests cut the power over a disk that keeps what is live and what is durable \
                       apart: cargo test -p griptrace-store";
/// Rounds with one store, so that its image does not fill up.
const ROUNDS_OF_A_STORE: u64 = 10;

/// A machine whose power fails again and again.
struct Machine {
    dir: tempfile::TempDir,
    model: Model,
    rng: Rng,
    number: u64,
}

impl Machine {
    fn new(rng: Rng) -> Result<Self, Unavailable> {
        let dir = tempfile::tempdir().unwrap();
        let machine = Self { dir, model: Model::new(), rng, number: 0 };
        image::make(&machine.image(0))?;
        let mount = Mount::new(&machine.image(0), &machine.place()).map_err(Unavailable::Machine)?;
        drop(Store::init(&machine.store(), &genesis(3), log_signer(), NOW).unwrap());
        drop(mount);
        Ok(machine)
    }

    fn image(&self, number: u64) -> PathBuf {
        self.dir.path().join(format!("disk-{number}"))
    }

    fn place(&self) -> PathBuf {
        self.dir.path().join("mounted")
    }

    fn store(&self) -> PathBuf {
        self.place().join("store")
    }

    /// Runs until the power goes, and starts again; returns what is wrong then.
    fn round(&mut self, env: &[(&str, &str)]) -> Vec<String> {
        let (disk, next) = (self.image(self.number), self.image(self.number + 1));
        let mount = Mount::new(&disk, &self.place()).unwrap();
        let threads = 1 + self.rng.below(4);
        let mut child = Child::commit(&self.store(), self.rng.next_u64(), threads, 50, env);
        child.wait_until_open();
        thread::sleep(Duration::from_millis(50 + self.rng.below(1450)));
        child.stop();
        let copied = image::copy(&disk, &next);
        self.model.hear(&child.kill());
        drop(mount);
        copied.unwrap();
        fs::remove_file(&disk).unwrap();
        self.number += 1;
        let mount = match Mount::new(&next, &self.place()) {
            Ok(mount) => mount,
            Err(error) => return vec![format!("the journal can't be replayed: {error}")],
        };
        let wrong = match writer(&self.store()) {
            Ok(store) => self.model.check(&store, Depth::Whole, &mut self.rng),
            Err(error) => vec![format!("lost: the store can't be opened: {}", told(&error))],
        };
        drop(mount);
        wrong
    }
}

/// Makes a machine, or tells why there is none.
fn machine(rng: Rng) -> Option<Machine> {
    match Machine::new(rng) {
        Ok(machine) => return Some(machine),
        Err(Unavailable::Program(program)) => skip::not_installed(program),
        Err(Unavailable::Machine(why)) => skip::skipped(&format!("{why}; {INSTEAD}")),
    }
    None
}

#[test]
fn what_was_acknowledged_survives_a_power_cut() {
    let mut rng = Seed::for_test("survives_a_power_cut").rng();
    let mut left = rounds(3);
    while left > 0 {
        let Some(mut machine) = machine(Seed::from_number(rng.next_u64()).rng()) else { return };
        for _ in 0..left.min(ROUNDS_OF_A_STORE) {
            let wrong = machine.round(&[]);
            assert!(wrong.is_empty(), "{left} rounds before the end: {wrong:#?}");
            left -= 1;
        }
        println!("{} entries, {:?}", machine.model.size(), machine.model.tally);
        assert!(machine.model.tally.acknowledged > 0, "nothing was acknowledged at all");
    }
}

/// Flushes that do nothing are found out, so that the test above can fail.
#[test]
fn a_store_whose_flushes_do_nothing_is_found_out() {
    let rng = Seed::for_test("flushes_do_nothing").rng();
    let Some(mut machine) = machine(rng) else { return };
    let Some(library) = no_flush(machine.dir.path()) else {
        skipped!(not_installed "cc, a C compiler");
    };
    let library = library.to_str().expect("our paths are text").to_owned();
    let wrong = machine.round(&[("LD_PRELOAD", &library)]);
    assert!(wrong.iter().any(|what| what.starts_with("lost")), "no flush, and all was there: {wrong:#?}");
}

/// Builds a library that stands before the system's, in which every flush succeeds and does nothing.
fn no_flush(folder: &Path) -> Option<PathBuf> {
    let (source, library) = (folder.join("no_flush.c"), folder.join("no_flush.so"));
    let code = "int fsync(int f) { (void)f; return 0; }\n\
                int fdatasync(int f) { (void)f; return 0; }\n\
                int msync(void *a, unsigned long n, int how) { (void)a; (void)n; (void)how; return 0; }\n\
                int sync_file_range(int f, long o, long n, unsigned how) { (void)f; (void)o; (void)n; (void)how; return 0; }\n";
    fs::write(&source, code).unwrap();
    let built = Command::new("cc").args(["-shared", "-fPIC", "-o"]).arg(&library).arg(&source).status();
    built.ok().filter(std::process::ExitStatus::success).map(|_| library)
}

/// A writer that acknowledges before it has committed is found out as well.
#[test]
fn acknowledging_before_the_flush_is_found_out() {
    let rng = Seed::for_test("acknowledging_before_the_flush").rng();
    let Some(mut machine) = machine(rng) else { return };
    let lost = |wrong: &[String]| wrong.iter().any(|what| what.starts_with("lost"));
    let found = (0..5).any(|_| lost(&machine.round(&[("GRIPTRACE_HELD_LIES", "1")])));
    assert!(found, "five power cuts, and every lie came true");
}
