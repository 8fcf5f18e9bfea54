//! Projects that are prepared, and the program that commits in them.

use core::time::Duration;
use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    time::UNIX_EPOCH,
};

use griptrace_core::{id::NodeId, node::Kind};
use griptrace_store::{Store, record::NodeRecord};
use griptrace_tests::seed::Seed;
use tempfile::TempDir;

use super::{
    super::{
        factory::{Factory, ISSUER, NOW, committer, content_of, genesis, log_signer},
        folder::{self, Files},
        reader, writer,
    },
    judge::Ack,
    trace::{self, Blow, PLACE, Point, Ran},
};
use crate::served::write_settings;

/// Commits of a log whose next one fills a tile of 256 entries: each is a commit and a status head, and there are two
/// entries before them.
const COMMITS_OF_A_TILE: usize = 127;
/// Nodes of each, so that the next commit makes it enough for a snapshot.
const NODES_OF_EACH: usize = 8;
/// Bytes of a segment that takes no more groups, and how much is left when the program begins.
const SEGMENT_BYTES: usize = 16 << 20;
const LEFT_BYTES: usize = 64 << 10;
/// Bytes of a path in a manifest, and of all that is kept of a file with it at most.
const PATH_BYTES: usize = 4000;
const FILE_BYTES: usize = PATH_BYTES + 200;

/// A project and what is run in it.
#[derive(Clone)]
pub(super) struct Scene {
    pub(super) name: &'static str,
    /// What the project's folder holds.
    pub(super) files: Files,
    pub(super) program: Vec<String>,
    /// The nodes of each step that `griptrace-held` is given; `griptrace` says itself what it recorded.
    ids: Vec<Vec<NodeId>>,
}

/// What all projects record from, and where they are made.
pub(super) struct Workshop(TempDir);

impl Workshop {
    pub(super) fn new() -> Self {
        let workshop = Self(tempfile::tempdir().unwrap());
        let shared = workshop.shared();
        for name in ["camera/1.csv", "camera/2.csv", "force/1.csv", "touch/1.csv", "grasp.onnx"] {
            folder::put(&shared, name, Some(name.as_bytes()));
            // Long ago: the digest of a file that changed just now is not kept.
            let old = UNIX_EPOCH + Duration::from_secs(1_000_000_000);
            File::options().write(true).open(shared.join(name)).unwrap().set_modified(old).unwrap();
        }
        let first = format!("{}{}", dataset("camera"), training());
        let second = format!("{}{}", dataset("force"), features());
        let many: String = (0..40).map(|number| elsewhere(&format!("other {number}"))).collect();
        let lineages = [
            ("zeroth", elsewhere("zero")),
            ("first", first),
            ("second", second.clone()),
            ("many", format!("{second}{many}")),
            ("third", dataset("touch")),
        ];
        for (name, text) in lineages {
            fs::write(shared.join(name).with_extension("toml"), text).unwrap();
        }
        workshop
    }

    fn shared(&self) -> PathBuf {
        self.0.path().join("shared")
    }

    /// Makes a folder to run programs at.
    pub(super) fn place(&self, name: &str) -> PathBuf {
        let place = self.0.path().join(name);
        fs::create_dir_all(place.join("project")).unwrap();
        place
    }

    pub(super) fn record(&self, lineage: &str) -> Vec<String> {
        let file = self.shared().join(lineage).with_extension("toml");
        griptrace(&["record", "--json", file.to_str().unwrap()])
    }

    /// A small log, with an index and a cache of digests: a data set and a step with its output, by name and by content.
    pub(super) fn plain(&self) -> Scene {
        let place = self.begun("plain");
        Scene::at("a commit", &place, self.record("second"))
    }

    /// The same, and a data set of it is withdrawn.
    pub(super) fn marked(&self) -> Scene {
        let place = self.begun("marked");
        let store = reader(&store_of(&place)).unwrap();
        let camera = store.of_kind(Kind::Dataset).unwrap().pop().expect("one was recorded").to_string();
        // By its id: once it is marked, its name leads to no other; and by a day, since another one is another mark.
        let said = ["--reason", "a part of it was not collected", "--date", "2026-06-01", "--json"];
        let program = griptrace(&[&["mark", "withdraw", &camera][..], &said].concat());
        Scene::at("a mark", &place, program)
    }

    /// A log of which a commit fills a tile, and then is long enough for a snapshot.
    pub(super) fn full(&self) -> Scene {
        let place = self.begun("full");
        let store = writer(&store_of(&place)).unwrap();
        let mut factory = Factory::new(store.home(), Seed::from_number(7).rng());
        for commit in 3..COMMITS_OF_A_TILE {
            let nodes = (0..NODES_OF_EACH).map(|node| factory.source(&format!("{commit}/{node}"))).collect();
            store.commit(nodes, &committer(), ISSUER, NOW).unwrap();
        }
        drop(store);
        Scene::at("a commit that fills a tile, and a snapshot", &place, self.record("many"))
    }

    /// What a crash before the head was written leaves, with other losses: opening adopts the group, and makes again what is
    /// gone.
    pub(super) fn crashed(&self) -> Scene {
        let full = self.full();
        let place = self.place("crashed");
        full.lay_out(&place);
        let head = "/project/.griptrace/store/head";
        // The first write of it is of what was there.
        let point = Point { call: "pwrite64".to_owned(), nth: 2, only: Some(head.to_owned()), object: String::new() };
        let ran = trace::strike(&place, &full.program, &point, Blow::Kill).expect("it is killed");
        assert!(ran.code.is_none() && ran.out.is_empty(), "it was killed before it acknowledged: {}", ran.err);
        let store = store_of(&place);
        for lost in ["genesis", "keys", "checkpoint"] {
            fs::remove_file(store.join(lost)).unwrap();
        }
        // Both slots have the same by now.
        let mut head = fs::read(store.join("head")).unwrap();
        head[40..90].fill(b'#');
        fs::write(store.join("head"), head).unwrap();
        folder::put(&store, "tmp/1-0", Some(b"half of an ob"));
        Scene::at("a commit after a crash", &place, self.record("third"))
    }

    /// A log whose segment is nearly as long as one may be: the first of two commits makes it longer, and the second
    /// begins another one.
    pub(super) fn sealed(&self) -> Scene {
        let place = self.begun("sealed");
        let path = |number| format!("{number}/{}", vec!["x".repeat(200); PATH_BYTES / 201].join("/"));
        let paths: Vec<String> = (0..SEGMENT_BYTES / PATH_BYTES).map(path).collect();
        let paths: Vec<&str> = paths.iter().map(String::as_str).collect();
        let commit = |nodes| writer(&store_of(&place)).unwrap().commit(nodes, &committer(), ISSUER, NOW).unwrap();
        let mut factory = Factory::new(reader(&store_of(&place)).unwrap().home(), Seed::from_number(9).rng());
        let source = factory.source("source");
        let used = [source.id()];
        commit(vec![source]);
        let segment = store_of(&place).join("segments/0000000000000000");
        loop {
            let length = usize::try_from(fs::metadata(&segment).unwrap().len()).unwrap();
            let room = SEGMENT_BYTES.checked_sub(length).expect("there is room left");
            if room < LEFT_BYTES {
                break;
            }
            let files = &paths[..((room - LEFT_BYTES / 2) / FILE_BYTES).max(1)];
            // Opened each time, so that the file ends where its last group does.
            commit(factory.train("large", &used, files));
        }
        let steps = [factory.train("last", &used, &paths[..2 * LEFT_BYTES / PATH_BYTES]), vec![factory.source("next")]];
        let mut program = vec![env!("CARGO_BIN_EXE_griptrace-held").to_owned(), "steps".to_owned()];
        program.push(format!("{PLACE}/project/.griptrace/store"));
        for (number, nodes) in steps.iter().enumerate() {
            let mut files = Vec::new();
            for (place, node) in nodes.iter().enumerate() {
                let file = self.shared().join(format!("{number}-{place}.node"));
                fs::write(&file, node.to_bytes()).unwrap();
                files.push(file.to_str().unwrap().to_owned());
            }
            program.push(files.join(","));
        }
        let ids = steps.iter().map(|nodes| nodes.iter().map(NodeRecord::id).collect()).collect();
        Scene { ids, ..Scene::at("a commit that begins a segment", &place, program) }
    }

    /// A project with two commits.
    fn begun(&self, name: &str) -> PathBuf {
        let place = self.place(name);
        write_settings(&place.join("project/.griptrace"));
        drop(Store::init(&store_of(&place), &genesis(3), log_signer(), NOW).unwrap());
        // Two, since an index of an empty log holds nothing.
        for lineage in ["zeroth", "first"] {
            let ran = trace::run(&place, &self.record(lineage), None).expect("it ends");
            assert_eq!(ran.code, Some(0), "{}", ran.err);
        }
        place
    }
}

impl Scene {
    fn at(name: &'static str, place: &Path, program: Vec<String>) -> Self {
        Self { name, files: folder::read(&place.join("project")), program, ids: Vec::new() }
    }

    /// Lays the project out anew at a place.
    pub(super) fn lay_out(&self, place: &Path) {
        let project = place.join("project");
        fs::remove_dir_all(&project).unwrap();
        fs::create_dir(&project).unwrap();
        folder::write(&project, &self.files);
        // Once more, since only their owner may read keys.
        write_settings(&project.join(".griptrace"));
    }

    /// Returns what the program acknowledged.
    pub(super) fn acknowledged(&self, ran: &Ran) -> Vec<Ack> {
        Ack::read(&ran.out, &self.ids)
    }
}

/// Returns the words of a command line.
pub(super) fn griptrace(arguments: &[&str]) -> Vec<String> {
    [&[env!("CARGO_BIN_EXE_griptrace-under-test")], arguments].concat().into_iter().map(str::to_owned).collect()
}

/// Returns where the store of a place is.
pub(super) fn store_of(place: &Path) -> PathBuf {
    place.join("project/.griptrace/store")
}

fn dataset(name: &str) -> String {
    format!(
        "[[dataset]]\nname = \"{name}\"\norigin = \"collected\"\npath = \"{name}\"\nmodality = [\"visual\"]\ncountry = \"CN\"\n"
    )
}

/// Data whose bytes are on another machine.
fn elsewhere(name: &str) -> String {
    let digest = content_of(name);
    format!(
        "[[dataset]]\nname = \"{name}\"\norigin = \"external\"\ndigest = \"blake3:{digest}\"\ncontent_held = \"origin-only\"\n"
    )
}

fn training() -> &'static str {
    "[[transformation]]\nname = \"train\"\nkind = \"training\"\nused = [\"camera\"]\ncountry = \"DE\"\ndate = 2026-05-20\n\
     generated = [{ model = \"grasp\", path = \"grasp.onnx\" }]\n"
}

fn features() -> &'static str {
    "[[transformation]]\nname = \"features\"\nkind = \"feature\"\nused = [\"force\", \"camera\"]\ncountry = \"CN\"\n\
     date = 2026-05-21\ngenerated = [{ dataset = \"forces and frames\", path = \"touch\" }]\n"
}
