//! The fuzzers' seeds, replayed: every case that is worth keeping, without a fuzzer.
//!
//! `GRIPTRACE_UPDATE_SEEDS=1 cargo test -p griptrace-tests fuzz_seeds` makes those named `made-*`
//! anew, out of the honest world, the vectors and the lies; what fuzzing found stays
//! (`tests/fuzz/README.md`).

#[path = "../fuzz/targets/mod.rs"]
mod targets;

use core::{panic::AssertUnwindSafe, time::Duration};
use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    panic::catch_unwind,
    path::PathBuf,
    time::Instant,
};

use griptrace_core::{
    bundle::{Bundle, MAGIC},
    cbor::encode,
    checkpoint::Checkpoint,
    cose::{ASSESSMENT_TYPE, MARK_TYPE, sign},
    node::Core,
    note::{Note, NoteSigner},
    tlog_proof::Included,
};
use griptrace_tests::{
    paths::workspace_root,
    seed::{Rng, Seed},
    source::document,
};
use serde_json::Value;

use crate::{
    attacks::{Liar, catalogue},
    world::{Case, key},
};

/// What one seed may take in an unoptimised build, on a machine that does other things too.
const SEED_TIME_MAX: Duration = Duration::from_secs(20);
/// All seeds together.
const SEEDS_BYTES_MAX: u64 = 2_000_000;
/// One seed made here.
const MADE_BYTES_MAX: usize = 24_000;
/// Seeds made here for one target.
const MADE_MAX: usize = 120;

fn folder(target: &str) -> PathBuf {
    workspace_root().join("tests/fuzz/seeds").join(target)
}

/// Returns a target's seeds by name.
fn seeds(target: &str) -> BTreeMap<String, Vec<u8>> {
    let entries = fs::read_dir(folder(target)).unwrap_or_else(|error| panic!("{target}: {error}"));
    let read = |entry: std::io::Result<fs::DirEntry>| {
        let entry = entry.expect("a listed entry can be read");
        let name = entry.file_name().into_string().expect("our names are text");
        (name, fs::read(entry.path()).expect("a seed can be read"))
    };
    entries.map(read).collect()
}

fn replay(name: &str) {
    let target = targets::ALL.iter().find(|target| target.name == name).expect("the target is listed");
    let all = seeds(name);
    assert!(all.len() >= 5, "{name} has {} seeds", all.len());
    for (seed, bytes) in all {
        let start = Instant::now();
        let ran = catch_unwind(AssertUnwindSafe(|| target.run(&bytes)));
        let took = start.elapsed();
        assert!(ran.is_ok(), "tests/fuzz/seeds/{name}/{seed} breaks a promise: the panic is above");
        assert!(took < SEED_TIME_MAX, "tests/fuzz/seeds/{name}/{seed} took {took:?}");
    }
}

/// One test a target, so that they run beside each other.
macro_rules! replayed {
    ($($name:ident)*) => {
        /// Targets that are replayed.
        const REPLAYED: &[&str] = &[$(stringify!($name)),*];

        $(#[test]
        fn $name() {
            update(stringify!($name));
            replay(stringify!($name));
        })*
    };
}

replayed!(records bundle tile note proofs trust policy verify verify_raw judge store patch);

#[test]
fn every_target_is_replayed_built_and_run() {
    let listed: Vec<&str> = targets::ALL.iter().map(|target| target.name).collect();
    assert_eq!(listed, REPLAYED);
    let folders = fs::read_dir(folder("")).expect("the folder can be read");
    let folders: BTreeSet<String> =
        folders.map(|entry| entry.expect("it is listed").file_name().into_string().expect("it is text")).collect();
    assert_eq!(folders, listed.iter().map(|name| (*name).to_owned()).collect());
    let (manifest, script) = (document("tests/fuzz/Cargo.toml"), document("tests/fuzz/run.sh"));
    for name in &listed {
        assert!(manifest.contains(&format!("name = \"{name}\"\npath = \"bin/{name}.rs\"")), "{name}");
        assert!(document(&format!("tests/fuzz/bin/{name}.rs")).contains(&format!("run(\"{name}\", data)")));
    }
    assert!(script.contains(&format!("all=({})", listed.join(" "))), "tests/fuzz/run.sh");
    let size: u64 = listed.iter().flat_map(|name| seeds(name)).map(|(_, bytes)| wide(bytes.len())).sum();
    assert!(size < SEEDS_BYTES_MAX, "{size} bytes of seeds");
}

fn wide(len: usize) -> u64 {
    u64::try_from(len).expect("a length fits 64 bits")
}

/// A claimed length that is given room shows in the count.
#[test]
fn memory_that_is_taken_is_counted() {
    let (kept, peak) = targets::guard::peak_of(|| drop(Vec::<u8>::with_capacity(1 << 24)));
    assert_eq!(kept, ());
    assert!((1 << 24..1 << 25).contains(&peak), "{peak}");
    let (list, peak) = targets::guard::peak_of(|| vec![0_u8; 1 << 10]);
    assert!((1 << 10..1 << 20).contains(&peak), "{peak}");
    drop(list);
}

// --- Making the seeds ---

type Made = BTreeMap<String, Vec<u8>>;

fn update(target: &str) {
    if std::env::var_os("GRIPTRACE_UPDATE_SEEDS").is_none() {
        return;
    }
    let folder = folder(target);
    fs::create_dir_all(&folder).expect("a folder can be made");
    for old in seeds(target).into_keys().filter(|name| name.starts_with("made-")) {
        fs::remove_file(folder.join(old)).expect("a seed can be removed");
    }
    let mut known = BTreeSet::new();
    for (name, bytes) in make(target).into_iter().take(MADE_MAX) {
        if bytes.len() <= MADE_BYTES_MAX && known.insert(bytes.clone()) {
            fs::write(folder.join(format!("made-{name}")), bytes).expect("a seed can be written");
        }
    }
}

fn make(target: &str) -> Made {
    match target {
        "records" => records_seeds(),
        "bundle" => bodies().into_iter().collect(),
        "verify_raw" => bodies().into_iter().map(|(name, body)| (name, [&[0; 7], body.as_slice()].concat())).collect(),
        "tile" => tile_seeds(),
        "note" => note_seeds(),
        "trust" => texts(|case| case.buyer.trust.clone()),
        "policy" => policy_seeds(),
        "store" => store_seeds(),
        "patch" => patch_seeds(),
        other => drawn(other),
    }
}

/// Choices without a meaning of their own.
fn drawn(target: &str) -> Made {
    let mut rng = Seed::for_test(&format!("fuzz_seeds::{target}")).rng();
    let mut one = |number: u64| {
        let len = usize::try_from(4 + number % 30).expect("it is small");
        (format!("{number:02}"), edits(&mut rng, len))
    };
    (0..40).map(&mut one).collect()
}

/// Small bytes are likelier: most choices are among few.
fn edits(rng: &mut Rng, len: usize) -> Vec<u8> {
    let mut bytes = rng.bytes(len);
    bytes.iter_mut().filter(|_| rng.one_in(2)).for_each(|byte| *byte %= 12);
    bytes
}

fn name_of(text: &str) -> String {
    text.chars().map(|letter| if letter.is_ascii_alphanumeric() { letter } else { '-' }).collect()
}

/// The vectors of one decoder.
fn vectors(decoder: &str) -> Vec<(String, Vec<u8>)> {
    let text = document(&format!("tests/vectors/decoders/{decoder}.json"));
    let list: Value = serde_json::from_str(&text).expect("a vector is JSON");
    let one = |vector: &Value| {
        let name = name_of(vector["name"].as_str().expect("a name is text"));
        (format!("{decoder}-{name}"), unhex(vector["hex"].as_str().expect("bytes are text")))
    };
    list.as_array().expect("it is a list").iter().map(one).collect()
}

fn unhex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text.bytes().map(|digit| hex_digit(char::from(digit))).collect();
    digits.chunks(2).map(|pair| pair[0] << 4 | pair[1]).collect()
}

fn hex_digit(digit: char) -> u8 {
    digit.to_digit(16).and_then(|value| u8::try_from(value).ok()).expect("it is hexadecimal")
}

fn records_seeds() -> Made {
    let place = |decoder: &str| {
        let place = targets::records::DECODERS.iter().position(|(name, _)| *name == decoder);
        u8::try_from(place.unwrap_or_else(|| panic!("no decoder {decoder}"))).expect("there are few")
    };
    let mut made = Made::new();
    let mut add = |decoder: &str, name: String, bytes: &[u8]| {
        made.insert(name, [&[place(decoder)], bytes].concat());
    };
    for decoder in ["core", "commit", "entry", "assessment", "path", "detail-value"] {
        // The limits on lengths are long; the tests have them.
        for (name, bytes) in vectors(decoder).into_iter().filter(|(_, bytes)| bytes.len() < 2_000) {
            add(decoder, name, &bytes);
        }
    }
    let built = targets::fixtures::cases().swap_remove(2).world.build();
    let Bundle { openings, manifests, .. } = &built.bundle;
    add("subjects", "subjects".into(), &encode(&openings[0]));
    add("manifest", "manifest".into(), &encode(&manifests[0]));
    add("files", "files".into(), &manifests[0].files.iter().flat_map(encode).collect::<Vec<u8>>());
    let core = Core::from_bytes(&built.cores["assessment"]).expect("it is a core");
    add("signed-assessment", "signed-assessment".into(), &core.statement.expect("it is signed"));
    add("edge", "edge".into(), &encode(&Core::from_bytes(&built.cores["train"]).expect("it is a core").edges[0]));
    let mark = griptrace_core::assessment::AssessorMark {
        key: crate::world::status_key(&built, "assessment"),
        mark: griptrace_core::node::Mark::Withdraw,
        date: crate::world::date("2026-05-21"),
    };
    add("mark", "mark".into(), &encode(&mark));
    let signed = sign(&key("office"), MARK_TYPE, "office", &built.homes[0], encode(&mark)).expect("it fits");
    add("signed-mark", "signed-mark".into(), &signed);
    let other = sign(&key("bureau"), ASSESSMENT_TYPE, "bureau", &built.homes[0], vec![0xa0]).expect("it fits");
    add("signed-assessment", "signed-nothing".into(), &other);
    let payload = griptrace_core::commit::Commit::parse(&built.entries[0][1]).expect("it is a commit").payload;
    add("payload", "payload".into(), &encode(&payload));
    let entry = &built.entries[0][1];
    let receipt = receipt_of(entry, built.homes[0]);
    add("receipt", "receipt".into(), &receipt);
    let statement = griptrace_core::receipt::transparent(entry, &[receipt]).expect("it is a signed entry");
    add("transparent-statement", "transparent-statement".into(), &statement);
    let public = griptrace_core::key::Signer::public_key(&key("bureau")).to_string();
    for (name, text) in [("day", "2026-02-28"), ("country", "DE"), ("word", "force-torque"), ("key", &public)] {
        add("text", format!("text-{name}"), text.as_bytes());
    }
    made
}

/// Returns the receipt of an entry that is alone in its log.
fn receipt_of(entry: &[u8], home: griptrace_core::id::GenesisHash) -> Vec<u8> {
    let root = griptrace_core::tree::Rfc9162::leaf_hash(entry);
    let text = Checkpoint::new("log.example", 1, root).expect("it is a name").to_text();
    let signer = NoteSigner::new("log.example", &[1; 32]).expect("it is a name");
    let note = Note::new(&text, vec![signer.sign(&text)]).expect("it is a checkpoint").to_text();
    let included = Included::new(entry, 0, Vec::new(), &note).expect("it is the only leaf");
    griptrace_core::receipt::sign(&key("bureau"), &home, &included)
}

/// What stands between first line and digest: honest bundles, and what somebody without keys made
/// of one. Who has keys may make a bundle that meets some policy.
fn bodies() -> Vec<(String, Vec<u8>)> {
    let body = |file: &[u8]| Some(file.strip_prefix(MAGIC)?.split_last_chunk::<32>()?.0.to_vec());
    let honest = targets::fixtures::all().iter().enumerate();
    let honest = honest.filter_map(|(place, fixture)| Some((format!("honest-{place}"), body(&fixture.file)?)));
    let lies = catalogue().filter(|attack| attack.liar == Liar::Courier).step_by(3);
    let lies = lies.filter_map(|attack| Some((attack.name.to_owned(), body(&attack.case().file())?)));
    honest.chain(lies).collect()
}

/// What the lies make of one of the buyer's files, each once.
fn texts(of: fn(&Case) -> String) -> Made {
    let mut known = BTreeSet::new();
    let mut made = Made::from([("honest".to_owned(), of(&Case::honest()).into_bytes())]);
    for attack in catalogue() {
        let text = of(&attack.case());
        if known.insert(text.clone()) {
            made.insert(attack.name.to_owned(), text.into_bytes());
        }
    }
    made
}

fn policy_seeds() -> Made {
    let mut made = texts(|case| case.buyer.policy.clone());
    for file in griptrace_tests::source::files("policies", &[".toml"]) {
        made.insert(name_of(&file.path), file.text.into_bytes());
    }
    made
}

fn tile_seeds() -> Made {
    let paths =
        ["tile/0/000", "tile/entries/x001/234.p/17", "tile/63/x999/999.p/255", "tile/1/x000/001", "tile/64/000"];
    let mut made: Made = drawn("tile");
    for path in paths {
        made.insert(name_of(path), [&[0], path.as_bytes()].concat());
    }
    made.insert("hashes".into(), [&[1, 2, 0], [7; 64].as_slice()].concat());
    made.insert("entries".into(), [&[2, 3, 0, 0, 1, 9, 0, 0, 0, 2, 8], [7; 1].as_slice()].concat());
    made
}

fn note_seeds() -> Made {
    let mut made = Made::new();
    for (place, decoder) in [(0, "note"), (1, "checkpoint"), (2, "vkey")] {
        for (name, bytes) in vectors(decoder).into_iter().filter(|(_, bytes)| bytes.len() < 1_000) {
            made.insert(name, [&[place], bytes.as_slice()].concat());
        }
    }
    let note = &Case::honest().world.build().bundle.logs[0].anchors[0].note;
    let line = note.lines().last().expect("it has lines");
    made.insert("line".into(), [&[3], line.as_bytes()].concat());
    made.insert("signed".into(), [&[4, 0, 9, 20], b"maker.example/2026\n5".as_slice()].concat());
    made
}

fn patch_seeds() -> Made {
    let mut made: Made = drawn("patch").into_iter().take(12).collect();
    for (place, decoder) in [(0, "update"), (2, "fork")] {
        for (name, bytes) in vectors(decoder).into_iter().filter(|(_, bytes)| bytes.len() < 4_000) {
            made.insert(name, [&[place], bytes.as_slice()].concat());
        }
    }
    for (number, attack) in catalogue().filter(|attack| attack.name.contains("update")).enumerate() {
        for update in attack.case().parcel().1 {
            let body = &update[griptrace_core::update::MAGIC.len()..update.len() - 32];
            made.insert(format!("body-{number}"), [&[1], body].concat());
        }
    }
    made
}

/// What a real store wrote, cut down to what each reader takes.
fn store_seeds() -> Made {
    let place = |reader: &str| {
        let place = targets::store::READERS.iter().position(|name| *name == reader);
        u8::try_from(place.unwrap_or_else(|| panic!("no reader {reader}"))).expect("there are few")
    };
    let mut made: Made = drawn("store");
    let folder = tempfile::tempdir().expect("a folder can be made");
    let world = crate::holding::small_store(folder.path());
    let read = |name: &str| fs::read(folder.path().join(name)).expect("a store has it");
    let segment = read("segments/0000000000000000");
    let header = griptrace_store::fuzzing::segment_header().len();
    let end = segment.iter().rposition(|byte| *byte != 0).map_or(0, |at| at + 1);
    made.insert("groups".into(), [&[place("groups")], &segment[header..end]].concat());
    made.insert("segment".into(), [&[place("segment")], &segment[header..end]].concat());
    made.insert("head".into(), [&[place("head")], &read("head")[..512]].concat());
    for (number, record) in world.iter().enumerate() {
        made.insert(format!("record-{number}"), [&[place("record")], record.as_slice()].concat());
    }
    made
}
