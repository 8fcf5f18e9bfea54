//! Status maps recomputed over HTTP: of an honest log, of one whose map hides a mark, and of one that shows other
//! entries than it signed.

use griptrace_core::{
    node::Mark,
    note::{NoteSigner, NoteVerifier},
};

use super::{
    wire::{Got, Site, add_checkpoint, body, fetch},
    *,
};
use crate::world::{Built, Case, NodeSpec, ORIGIN, seed};

/// A log that hides from its newest status map that `force` was withdrawn.
fn lying() -> Built {
    let mut case = Case::honest();
    case.world.mark(3, "maker", NodeSpec::status("withdrawal", Mark::Withdraw, "force", "2026-06-15"));
    case.world.hide_statuses = true;
    case.world.heads()[3].map_edit = Some(Vec::clear);
    case.world.build()
}

/// A map witness beside a site that publishes a log.
struct Watched {
    desk: Desk,
    site: Site,
    running: Witness,
    keys: Vec<NoteVerifier>,
}

impl Watched {
    fn start() -> Self {
        let desk = Desk::new();
        let vkeys = make(&desk, "w1.example", &["--map"]);
        let site = Site::start();
        let log = NoteSigner::new(ORIGIN, &seed("log")).unwrap();
        desk.say(&["witness", "add-log", "w1.example", &log.verifier().to_vkey(), "--url", &site.url]);
        let running = Witness::start(&desk, "w1.example");
        let keys = vkeys.iter().map(|vkey| NoteVerifier::parse(vkey).unwrap()).collect();
        Self { desk, site, running, keys }
    }

    /// Has the newest checkpoint cosigned, and tells which of the two keys did.
    fn cosigned_by(&self, built: &Built, old: u64) -> Vec<usize> {
        let note = &built.bundle.logs[0].anchors.last().unwrap().note;
        let got = add_checkpoint(&self.running.url, &body(old, &[], note));
        let Got::Answer(200, lines) = got else { panic!("{got:?}: {}", self.running.log()) };
        let (text, _) = note.split_once("\n\n").unwrap();
        let cosigned = Note::parse(format!("{text}\n\n{lines}").as_bytes()).unwrap();
        let mut keys: Vec<usize> = cosigned.verify(&self.keys).unwrap().iter().map(|found| found.key).collect();
        keys.sort_unstable();
        keys
    }

    fn shown(&self) -> serde_json::Value {
        let said = self.desk.say(&["--json", "witness", "show", "w1.example"]);
        serde_json::from_str(said.lines().next().unwrap()).unwrap()
    }
}

fn size(built: &Built) -> u64 {
    u64::try_from(built.entries[0].len()).unwrap()
}

#[test]
fn a_map_witness_recomputes_the_map_over_http() {
    let (watched, built) = (Watched::start(), Case::honest().world.build());
    watched.site.publish(&built.entries[0]);
    let begun = Instant::now();
    let mut keys = watched.cosigned_by(&built, 0);
    // On a machine that is busy the map may come after the answer; then the log asks again.
    while keys != [0, 1] {
        assert!(keys == [0] && begun.elapsed() < PATIENCE, "{keys:?}: {}", watched.running.log());
        thread::sleep(Duration::from_millis(100));
        keys = watched.cosigned_by(&built, size(&built));
    }
    assert!(watched.site.was_read());
    assert_eq!(watched.shown()["logs"][0]["evidence"], serde_json::json!([]));
}

#[test]
fn a_map_witness_refuses_a_log_whose_map_is_false() {
    let (watched, built) = (Watched::start(), lying());
    watched.site.publish(&built.entries[0]);
    assert_eq!(watched.cosigned_by(&built, 0), [0], "the log grew, and that is all that is said");
    let begun = Instant::now();
    let evidence = loop {
        let shown = watched.shown();
        match shown["logs"][0]["evidence"].as_array().unwrap().first() {
            Some(name) => break name.as_str().unwrap().to_owned(),
            None => assert!(begun.elapsed() < PATIENCE, "{}", watched.running.log()),
        }
        thread::sleep(Duration::from_millis(100));
    };
    assert!(watched.site.was_read());
    assert!(evidence.starts_with(&format!("map-{}-", size(&built))), "{evidence}");
    let said = watched.desk.say(&["witness", "show", "w1.example"]);
    let path = said.lines().find_map(|line| line.trim().strip_prefix("EVIDENCE ")).unwrap();
    let kept = fs::read_to_string(watched.desk.path().join("w1.example").join(path)).unwrap();
    let expected = format!("the status head at index {} states map root ", size(&built) - 1);
    assert!(kept.starts_with(&expected) && kept.contains(&format!("\n{ORIGIN}\n{}\n", size(&built))), "{kept}");
    // It stays a lie: neither asking again nor the folder shows another line.
    assert_eq!(watched.cosigned_by(&built, size(&built)), [0]);
    let hash = path.split('/').nth(1).unwrap();
    let Got::Answer(200, shown) = fetch(&watched.running.url, &format!("/{hash}/checkpoint")) else {
        panic!("nothing")
    };
    assert_eq!(Note::parse(shown.as_bytes()).unwrap().verify(&watched.keys).unwrap().len(), 1);
}

/// Entries that were not signed prove nothing against anybody, and are vouched for by nobody.
#[test]
fn a_map_witness_believes_no_entries_that_were_not_signed() {
    let (watched, honest, other) = (Watched::start(), Case::honest().world.build(), lying());
    let mut entries = honest.entries[0].clone();
    let last = entries.len() - 2;
    entries[last].clone_from(&other.entries[0][other.entries[0].len() - 2]);
    assert_ne!(entries, honest.entries[0]);
    watched.site.publish(&entries);
    assert_eq!(watched.cosigned_by(&honest, 0), [0]);
    let begun = Instant::now();
    while !watched.running.log().contains("the published entries lead to root") {
        assert!(begun.elapsed() < PATIENCE, "{}", watched.running.log());
        thread::sleep(Duration::from_millis(100));
    }
    assert_eq!(watched.shown()["logs"][0]["evidence"], serde_json::json!([]));
    // Once it shows what it signed, the map is vouched for.
    watched.site.publish(&honest.entries[0]);
    while watched.cosigned_by(&honest, size(&honest)) != [0, 1] {
        assert!(begun.elapsed() < PATIENCE, "{}", watched.running.log());
        thread::sleep(Duration::from_millis(100));
    }
}
