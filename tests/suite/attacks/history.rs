//! Step 5, and what comes with updates: what the buyer saw before is not to be rewritten, hidden or forgotten.

use griptrace_core::{
    bundle::Bundle,
    checkpoint::Checkpoint,
    digest::Digest,
    fork::Fork,
    key::Signer as _,
    key_change::{KeyUse, key_status},
    node::Mark,
    note::{Note, NoteSigner},
    update::{MAGIC, Patch, Update},
};
use griptrace_verifier::{
    finding::{Code, Verdict},
    known::{Known, fork},
    update::bring_up_to_date,
};

use super::{
    Attack,
    Liar::{Assessor, Both, Courier, Exporter, Nobody, Operator, Stranger, Thief},
    marked::mark,
};
use crate::world::{
    Case, KeySpec, Lines, ORIGIN, SUPPLIER_ORIGIN, Step, head, history, key, noon, seed, signed_mark, status_key,
};

/// Returns the bundle as it was made after so many entries beyond the genesis.
pub(crate) fn shown_at(case: &Case, entries: usize) -> Vec<u8> {
    let mut world = case.world.clone();
    world.logs[0].steps.truncate(entries);
    world.build().bundle.to_bytes()
}

/// Returns the checkpoint of a size that an honest buyer saved.
pub(crate) fn checkpoint_at(case: &Case, size: u64) -> String {
    let notes = case.world.build().bundle.logs.swap_remove(0).anchors.into_iter().map(|anchor| anchor.note);
    let of_size = |note: &String| note.lines().nth(1) == Some(&size.to_string());
    notes.into_iter().find(of_size).expect("there is one of this size")
}

/// Puts a checkpoint that no witness cosigned behind the shipment's, and lets the buyer have seen that one.
pub(crate) fn shown_uncosigned(case: &mut Case) {
    case.world.logs[0].steps.insert(10, head_on("2026-06-10"));
    case.world.heads()[3].cosigners.clear();
    case.buyer.known.push(checkpoint_at(case, 12).into_bytes());
}

/// A checkpoint that its log's key signed, whatever it says.
fn signed(name: &str, origin: &str, size: u64, root: Digest) -> Vec<u8> {
    let signer = NoteSigner::new(origin, &seed(name)).expect("it is a name");
    let text = Checkpoint::new(origin, size, root).expect("it is a checkpoint").to_text();
    Note::new(&text, vec![signer.sign(&text)]).expect("it is a note").to_text().into_bytes()
}

fn head_on(day: &str) -> Step {
    Step::Head(head("log", ORIGIN, noon(day)))
}

/// What another buyer is shown: the same sizes, with another record in the shipment's commit.
fn another_view(case: &Case) -> Vec<u8> {
    let mut other = case.clone();
    other.world.node("shipment").values.insert("name", griptrace_core::value::Value::text("another"));
    shown_at(&other, 10)
}

fn withdrawal(case: &Case, signer: &str, mark: Mark) -> Vec<u8> {
    let built = case.world.build();
    signed_mark(signer, status_key(&built, "assessment"), mark, "2026-06-20", built.homes[0])
}

/// The newest head no longer has the mark that the one before it had.
fn forget_mark(case: &mut Case, code: impl Fn(&mut Case, Vec<u8>)) {
    mark(case, 3, "maker", Mark::Supersede, "force");
    case.world.node("mark").links.push(crate::world::Link::new(griptrace_core::node::Role::Successor, "force-2"));
    let place = case.world.place("mark");
    case.world.nodes.insert(place, crate::world::NodeSpec::source("force-2", "CN", "force-torque", "general"));
    case.world.commit_of("mark").nodes.push("force-2".into());
    let older = case.file();
    case.world.logs[0].steps.push(head_on("2026-06-25"));
    case.world.heads()[4].map_edit = Some(Vec::clear);
    code(case, older);
}

/// Since the older file, which shows how a key retired, somebody signs a checkpoint whose map has nothing of that, and
/// the bundle leaves it out.
fn forget_retirement(case: &mut Case, change: KeySpec, map_edit: fn(&mut Lines)) -> Vec<u8> {
    case.world.change_key(1, change);
    let older = case.file();
    case.world.logs[0].steps.push(head_on("2026-06-25"));
    case.world.heads()[4].map_edit = Some(map_edit);
    let steps = case.world.logs[0].steps.iter_mut();
    steps
        .filter_map(|step| if let Step::Key(change) = step { Some(change) } else { None })
        .for_each(|c| c.hidden = true);
    older
}

fn without_the_maker(lines: &mut Lines) {
    lines.retain(|(line, _)| *line != key_status(&key("maker").public_key().id()));
}

fn without_the_log(lines: &mut Lines) {
    lines.retain(|(line, _)| *line != key_status(&key("log").public_key().id()));
}

pub(super) const ALL: &[&[Attack]] = &[FORKS, GAPS, UPDATES, RETIREMENTS];

const RETIREMENTS: &[Attack] = &[
    Attack::new(
        "retirement-forgotten",
        Both,
        "a key signs on whose retirement an older file shows, and the map has nothing of it any more",
        Code::HistoryStatusDropped,
        |c| {
            let change = KeySpec::rotation(KeyUse::Committer, "maker", "maker-2");
            let older = forget_retirement(c, change, without_the_maker);
            c.buyer.known.push(older);
        },
    ),
    Attack::new(
        "log-key-forgotten-by-update",
        Thief,
        "the log's former key signs a newer checkpoint, whose map does not know its successor, and an update brings it",
        Code::HistoryStatusDropped,
        |c| {
            c.world.sign_from(1, "log-2");
            let change = KeySpec::rotation(KeyUse::Log, "log", "log-2");
            let older = forget_retirement(c, change, without_the_log);
            c.world.sign_from(1, "log");
            c.base = Some(older);
        },
    ),
];

const FORKS: &[Attack] = &[
    Attack::new("split-view", Both, "two buyers are shown two histories of one size", Code::HistoryForked, |c| {
        c.buyer.known.push(another_view(c));
    }),
    Attack::new(
        "fork-at-an-older-checkpoint",
        Operator,
        "a saved checkpoint has another root, while the newest one that was seen is linked",
        Code::HistoryForked,
        |c| {
            c.buyer.known.push(shown_at(c, 10));
            c.buyer.known.push(signed("log", ORIGIN, 6, Digest::from_bytes([7; 32])));
        },
    ),
    Attack::new(
        "log-began-twice",
        Operator,
        "a log of the same origin and key with another genesis, at sizes that nobody else sees",
        Code::HistoryForked,
        |c| {
            let mut other = c.clone();
            other.world.logs[0].genesis.nonce = [0xee; 16];
            other.world.logs[0].steps.insert(4, head_on("2026-04-20"));
            let Step::Head(extra) = &mut other.world.logs[0].steps[4] else { panic!("it is a head") };
            extra.anchor = false;
            c.buyer.known.push(other.file());
        },
    ),
    Attack::new(
        "mark-forgotten",
        Operator,
        "a mark that an older file shows is gone from the map",
        Code::HistoryStatusDropped,
        |c| forget_mark(c, |c, older| c.buyer.known.push(older)),
    ),
];

const GAPS: &[Attack] = &[
    Attack::new(
        "rollback",
        Exporter,
        "a bundle under an older checkpoint than the buyer has seen",
        Code::HistoryShorter,
        |c| {
            c.buyer.known.push(c.file());
            c.world.logs[0].steps.truncate(10);
        },
    ),
    Attack::new(
        "history-withheld",
        Exporter,
        "no checkpoint of the size that the buyer has seen",
        Code::HistoryNotLinked,
        |c| {
            c.world.logs[0].steps.insert(10, head_on("2026-06-10"));
            c.buyer.known.push(shown_at(c, 11));
            c.world.heads()[3].anchor = false;
        },
    ),
    Attack::new(
        "compared-with-another-log",
        Nobody,
        "the saved checkpoint is of a log that the bundle does not show",
        Code::HistoryNotLinked,
        |c| c.buyer.known.push(signed("supplier-log", SUPPLIER_ORIGIN, 4, Digest::from_bytes([7; 32]))),
    ),
];

const UPDATES: &[Attack] = &[
    Attack::new(
        "update-forgets-a-mark",
        Operator,
        "an update to a map without a mark that the older bundle shows",
        Code::HistoryStatusDropped,
        |c| forget_mark(c, |c, older| c.base = Some(older)),
    ),
    Attack::new(
        "update-back-in-time",
        Courier,
        "an update that makes the bundle of an older checkpoint",
        Code::HistoryShorter,
        |c| {
            c.base = Some(c.file());
            c.world.logs[0].steps.truncate(10);
        },
    ),
    Attack::new(
        "update-to-another-history",
        Both,
        "an update to a bundle of another history of the log",
        Code::HistoryForked,
        |c| c.base = Some(another_view(c)),
    ),
    Attack::new(
        "update-skips-the-link",
        Exporter,
        "an update to a bundle without the older one's newest checkpoint",
        Code::HistoryNotLinked,
        |c| {
            c.world.logs[0].steps.insert(10, head_on("2026-06-10"));
            c.base = Some(shown_at(c, 11));
            c.world.heads()[3].anchor = false;
        },
    ),
    Attack::new(
        "assessment-withdrawn-by-update",
        Assessor,
        "a mark that the log refused, from an update",
        Code::AssessmentWithdrawn,
        |c| c.withdrawals.push(withdrawal(c, "office", Mark::Withdraw)),
    ),
    Attack::new(
        "assessment-withdrawn-by-update-with-a-patch",
        Assessor,
        "the same, beside a newer bundle",
        Code::AssessmentWithdrawn,
        |c| {
            c.base = Some(shown_at(c, 10));
            c.withdrawals.push(withdrawal(c, "office", Mark::Refuse));
        },
    ),
    Attack::new(
        "withdrawal-by-a-stranger",
        Stranger,
        "a withdrawal by a key that the trust file lacks",
        Code::WithdrawalUnknown,
        |c| c.withdrawals.push(withdrawal(c, "stranger", Mark::Withdraw)),
    )
    .met(),
    Attack::new(
        "withdrawal-that-withdraws-nothing",
        Assessor,
        "an assessor's own mark that is no withdrawal",
        Code::WithdrawalUnknown,
        |c| c.withdrawals.push(withdrawal(c, "office", Mark::Supersede)),
    )
    .met(),
    Attack::new("withdrawal-of-rubbish", Courier, "bytes that nobody signed", Code::WithdrawalUnknown, |c| {
        c.withdrawals.push(b"rubbish".to_vec());
    })
    .met(),
];

#[test]
fn growth_is_told() {
    for known in [shown_at(&Case::honest(), 10), checkpoint_at(&Case::honest(), 11).into_bytes()] {
        let mut case = Case::honest();
        case.buyer.known.push(known);
        let report = case.verify();
        assert!(report.policy_met, "{}", crate::world::told(&report));
        let told: Vec<_> = report.history.iter().map(|log| (log.origin.as_str(), log.from_size, log.to_size)).collect();
        assert_eq!(told, [(ORIGIN, 11, 13)]);
    }
}

#[test]
fn an_updated_bundle_is_the_newer_one_and_names_the_update() {
    let mut case = Case::honest();
    let newer = case.verify();
    case.base = Some(shown_at(&case, 10));
    let (base, updates) = case.parcel();
    assert_ne!(base, case.file());
    let report = case.verify();
    assert!(report.policy_met, "{}", crate::world::told(&report));
    assert_eq!(report.updated_with, [Update::view(&updates[0]).unwrap().1]);
    assert_eq!(report.history.len(), 1, "the older bundle is compared with as well");
    assert_eq!((report.bundle_digest, report.logs), (newer.bundle_digest, newer.logs));
}

/// A withdrawal brings its own finding as a warning at the most: it can only worsen.
#[test]
fn a_withdrawal_from_an_update_counts_as_one_from_the_trust_file() {
    let mut case = Case::honest();
    case.withdrawals.push(withdrawal(&case, "office", Mark::Withdraw));
    let report = case.verify();
    let at = |when| report.findings.iter().any(|f| f.code == Code::AssessmentWithdrawn && f.when == when);
    assert!(at(griptrace_verifier::finding::When::Now) && !report.policy_met, "{}", crate::world::told(&report));
    assert_eq!(report.at_shipment.verdict, Verdict::TracedAssessed, "it is dated after the shipment");
}

#[test]
fn what_no_log_signed_is_no_history() {
    let trust = Case::honest().buyer.read_trust();
    let code = |file: &[u8]| history(file, &trust).map(drop).map_err(|error| error.code());
    let note = checkpoint_at(&Case::honest(), 11);
    assert_eq!(code(note.as_bytes()), Ok(()));
    let unsigned = signed("stranger", ORIGIN, 11, Digest::from_bytes([7; 32]));
    assert_eq!(code(&unsigned), Err("fork-unsigned"));
    assert_eq!(code(&signed("log", "nobody.example", 11, Digest::ZERO)), Err("log-untrusted"));
    assert_eq!(code(note.replacen("\n11\n", "\n12\n", 1).as_bytes()), Err("note-signature-invalid"));
    assert_eq!(code(b"a note"), Err("note-separator-missing"));
    let mut other = Case::honest();
    other.world.heads()[3].log_signers.clear();
    assert_eq!(code(&other.file()), Err("checkpoint-unsigned"));
    let cut = &Case::honest().file()[..1_000];
    assert_eq!(code(cut), Err("bundle-digest-mismatch"));
}

/// A bundle whose genesis is swapped is broken by itself: it accuses no log of having begun twice.
#[test]
fn a_swapped_genesis_accuses_nobody() {
    let mut case = Case::honest();
    case.buyer.known.push(case.file());
    case.courier = Some(|bundle: &mut Bundle, _| {
        use griptrace_core::entry::Entry;
        let Ok(Entry::Genesis(mut genesis)) = Entry::parse(&bundle.logs[0].entries[0].1) else { panic!("it is one") };
        genesis.nonce = [0xee; 16];
        bundle.logs[0].entries[0].1 = genesis.to_bytes().expect("it can be written");
    });
    let codes: Vec<Code> = case.verify().findings.iter().map(|finding| finding.code).collect();
    assert_eq!(codes, [Code::InclusionRootMismatch]);
}

#[test]
fn a_fork_leaves_evidence_that_others_can_check() {
    let mut case = Case::honest();
    let trust = case.buyer.read_trust();
    case.buyer.known.push(another_view(&case));
    let known = Known { histories: vec![history(&case.buyer.known[0], &trust).unwrap()], ..Known::default() };
    let evidence = fork(&case.file(), &trust, &known).expect("there is a fork");
    let read = Fork::parse(evidence.to_text().as_bytes()).unwrap();
    let shown = read.check(&trust.logs[0].key).unwrap();
    assert_eq!((shown.origin.as_str(), shown.size), (ORIGIN, 11));
    assert_ne!(shown.roots[0], shown.roots[1]);
    let honest =
        Known { histories: vec![history(&shown_at(&Case::honest(), 10), &trust).unwrap()], ..Known::default() };
    assert_eq!(fork(&case.file(), &trust, &honest), None);
}

#[test]
fn updates_for_other_bundles_and_replayed_ones_are_refused() {
    let honest = Case::honest();
    let trust = honest.buyer.read_trust();
    let (older, newer) = (shown_at(&honest, 10), honest.file());
    let apply = |base: &[u8], updates: &[Vec<u8>]| {
        let mut known = Known::default();
        let made = bring_up_to_date(base.to_vec(), updates, &trust, &mut known).map_err(|error| error.code());
        assert!(made.is_ok() || known == Known::default() || updates.len() > 1);
        made
    };
    let update = |base: &[u8], result: &[u8]| {
        Update { patch: Some(Patch::between(base, result)), withdrawals: Vec::new() }.to_bytes()
    };
    let good = update(&older, &newer);
    assert_eq!(apply(&older, core::slice::from_ref(&good)), Ok(newer.clone()));
    assert_eq!(apply(&newer, core::slice::from_ref(&good)), Err("update-base-mismatch"), "it was applied already");
    assert_eq!(apply(&older, &[good.clone(), good.clone()]), Err("update-base-mismatch"));
    assert_eq!(apply(&another_view(&honest), core::slice::from_ref(&good)), Err("update-base-mismatch"));
    let back = update(&newer, &older);
    assert_eq!(apply(&older, &[good.clone(), back, good.clone()]), Ok(newer.clone()), "what comes of it is judged");
    assert_eq!(apply(b"no bundle", &[update(b"no bundle", &newer)]), Err("not-a-bundle"));
    let mut cut = good.clone();
    cut.truncate(MAGIC.len() + 40);
    assert_eq!(apply(&older, &[cut]), Err("update-digest-mismatch"));
    assert_eq!(apply(&older, core::slice::from_ref(&newer)), Err("not-an-update"));
    // Its digest was made anew by whoever changed it.
    let other = Patch { result: Digest::ZERO, ..Patch::between(&older, &newer) };
    let other = Update { patch: Some(other), withdrawals: Vec::new() }.to_bytes();
    assert_eq!(apply(&older, &[other]), Err("update-result-mismatch"));
    // The model alone, or another shipment of it: what was recalled would be out of sight.
    let mut model = honest.clone();
    model.world.root = "grasp-int8".into();
    assert_eq!(apply(&older, &[update(&older, &model.file())]), Err("update-root-mismatch"));
}
