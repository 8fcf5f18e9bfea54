//! Every kind of file of a closed store, damaged in every way: refused by name, or answered as before.
//!
//! Never shorter without a word, never wrong, never a panic; the audit names the file; and with the
//! file put back the store is whole again, so that nothing was cut off meanwhile.

use core::panic::AssertUnwindSafe;
use std::{
    collections::{BTreeMap, BTreeSet},
    panic::catch_unwind,
    path::Path,
};

use griptrace_store::{OpenError, Store};
use griptrace_tests::seed::{Rng, Seed};

use super::{
    answers::{Answers, names},
    faults::{ALL, Damage, Left, Others},
    folder::{self, Files, kind},
    model::check_audit,
    quiet, reader,
    rich::{self, Questions, Rich},
    rounds, told, writer,
};

/// A store and all that it is compared with.
struct Scene {
    rich: &'static Rich,
    before: Answers,
    /// Kinds of files that can be lost at any time: with all of them gone, opening makes them again.
    derived: BTreeSet<String>,
}

impl Scene {
    fn build() -> Self {
        let rich = rich::first();
        let dir = tempfile::tempdir().unwrap();
        folder::write(dir.path(), &rich.files);
        let before = Answers::of(&writer(dir.path()).unwrap(), &rich.questions);
        assert!(before.is_whole(), "{before:?}");
        let mut scene = Self { rich, before, derived: BTreeSet::new() };
        let kinds: BTreeSet<String> = scene.rich.files.keys().map(|name| kind(name)).collect();
        scene.derived = kinds.into_iter().filter(|kind| scene.is_derived(kind)).collect();
        scene
    }

    fn questions(&self) -> &Questions {
        &self.rich.questions
    }

    /// Tells whether the store does without the files of a kind, and makes what it needs of them.
    fn is_derived(&self, lost: &str) -> bool {
        let dir = tempfile::tempdir().unwrap();
        let kept = self.rich.files.iter().filter(|(name, _)| kind(name) != lost);
        folder::write(dir.path(), &kept.map(|(name, bytes)| (name.clone(), bytes.clone())).collect());
        let Ok(Ok(store)) = catch_unwind(|| writer(dir.path())) else { return false };
        let same = Answers::of(&store, self.questions()).compare(&self.before, lost).is_empty();
        let mut wrong = Vec::new();
        check_audit(&store, &mut wrong);
        same && wrong.is_empty()
    }

    /// Damages one file, and returns everything that goes wrong then.
    fn case(&self, name: &str, left: &Left) -> Vec<String> {
        let dir = tempfile::tempdir().unwrap();
        folder::write(dir.path(), &self.rich.files);
        folder::put(dir.path(), name, left.bytes());
        let mut wrong = self.audited(dir.path(), name);
        let (damaged, read) = self.asked(reader, dir.path(), name, false);
        wrong.extend(read.into_iter().map(|what| format!("read only: {what}")));
        let (still, read) = self.asked(writer, dir.path(), name, true);
        wrong.extend(read.into_iter().map(|what| format!("for writing: {what}")));
        if damaged || still {
            folder::put(dir.path(), name, self.rich.files.get(name).map(Vec::as_slice));
        }
        let (_, read) = self.asked(writer, dir.path(), "no file any more", true);
        wrong.extend(read.into_iter().map(|what| format!("afterwards: {what}")));
        wrong
    }

    /// Looks whether the audit names the file, or has no need to.
    fn audited(&self, dir: &Path, name: &str) -> Vec<String> {
        let report = match catch_unwind(|| Store::fsck_closed(dir, &quiet)) {
            Ok(Ok(report)) => report,
            Ok(Err(error)) if names(&told(&error), name) => return Vec::new(),
            Ok(Err(error)) => return vec![format!("audit: {}", told(&error))],
            Err(_) => return vec!["audit: it panicked".to_owned()],
        };
        let named = report.faults.iter().any(|fault| names(&fault.object, name) || names(&fault.why, name));
        match (report.is_clean(), named) {
            (_, true) => Vec::new(),
            (true, false) if self.derived.contains(&kind(name)) => Vec::new(),
            (true, false) => vec!["audit: it found nothing".to_owned()],
            (false, false) => {
                let faults: Vec<String> = report.faults.iter().map(|f| format!("{}: {}", f.object, f.why)).collect();
                vec![format!("audit: it does not name the file: {}", faults.join("; "))]
            }
        }
    }

    /// Opens, asks everything and lets the store check itself (`with_audit`). Returns whether the damage is still
    /// there, and what went wrong.
    fn asked(
        &self,
        open: impl Fn(&Path) -> Result<Store, OpenError>,
        dir: &Path,
        name: &str,
        with_audit: bool,
    ) -> (bool, Vec<String>) {
        let asked = catch_unwind(AssertUnwindSafe(|| {
            let store = open(dir)?;
            let answers = Answers::of(&store, self.questions());
            let mut audit = Vec::new();
            if with_audit && answers.is_whole() {
                check_audit(&store, &mut audit);
            }
            Ok::<_, OpenError>((answers, audit))
        }));
        match asked {
            Err(_) => (true, vec!["it panicked".to_owned()]),
            Ok(Err(error)) => {
                let why = told(&error);
                let wrong = if names(&why, name) { None } else { Some(format!("the refusal does not name it: {why}")) };
                (true, wrong.into_iter().collect())
            }
            Ok(Ok((answers, audit))) => {
                let mut wrong = answers.compare(&self.before, name);
                wrong.truncate(3);
                let is_damaged = !answers.is_whole() || !audit.is_empty();
                wrong.extend(audit.into_iter().filter(|fault| !names(fault, name)));
                (is_damaged, wrong)
            }
        }
    }
}

/// Chooses `count` files of each kind.
fn chosen(files: &Files, count: u64, rng: &mut Rng) -> Vec<String> {
    let mut kinds: BTreeMap<String, Vec<&String>> = BTreeMap::new();
    files.keys().for_each(|name| kinds.entry(kind(name)).or_default().push(name));
    let mut chosen = Vec::new();
    for names in kinds.values_mut() {
        rng.shuffle(names);
        chosen.extend(names.iter().take(usize::try_from(count).unwrap()).map(|name| (*name).clone()));
    }
    chosen
}

#[test]
fn damage_is_refused_by_name_or_changes_nothing() {
    let mut rng = Seed::for_test("damage_is_refused_by_name").rng();
    let scene = Scene::build();
    let others = Others { files: &scene.rich.files, older: &scene.rich.older, foreign: &rich::foreign().files };
    let (mut cases, mut wrong) = (0, Vec::new());
    let start = std::time::Instant::now();
    for damage in ALL {
        for name in chosen(&scene.rich.files, rounds(1), &mut rng) {
            let Some(left) = Damage::plant(damage, &name, &others, &mut rng) else { continue };
            cases += 1;
            let found = scene.case(&name, &left);
            wrong.extend(found.into_iter().map(|what| format!("{name} {damage:?}: {what}")));
        }
    }
    println!("{cases} cases in {:?}; can be lost: {:?}", start.elapsed(), scene.derived);
    assert!(wrong.is_empty(), "{cases} cases, {} went wrong:\n{}", wrong.len(), wrong.join("\n"));
}
