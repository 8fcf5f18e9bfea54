//! The table of lies: each with its liar and the one reason code that meets it.
//!
//! `tests/attacks/README.md` is written from here (`UPDATE_EXPECTED=1`). Every code of
//! `verifier/src/finding.rs` is met by one of them at least.

mod across;
mod asked;
mod blind;
mod corrected;
mod graded;
pub(crate) mod history;
mod judged;
pub(crate) mod keys;
mod logs;
mod marked;
mod opened;
mod records;
mod revoked;
mod witnessed;

use std::collections::BTreeSet;

use griptrace_tests::paths::workspace_root;
use griptrace_tests::source::document;
use griptrace_verifier::finding::{Code, Severity, Verdict};

use crate::world::{Case, told};

pub(crate) use history::{checkpoint_at, shown_at, shown_uncosigned};
pub(crate) use records::p256_committer;

/// Who lies, by the keys that he owns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Liar {
    /// No keys: he changes the file on its way.
    Courier,
    /// A committer's key.
    Exporter,
    /// The log's key.
    Operator,
    /// Both: the exporter runs the log.
    Both,
    /// An assessor's key.
    Assessor,
    /// A witness's keys.
    Witness,
    /// A key that he stole, or that was his before.
    Thief,
    /// Keys that the trust file does not have.
    Stranger,
    /// Nobody lies: it is the buyer's question or the state of the records.
    Nobody,
}

/// One lie.
pub(crate) struct Attack {
    pub(crate) name: &'static str,
    pub(crate) liar: Liar,
    /// What he does.
    pub(crate) what: &'static str,
    /// What meets it.
    pub(crate) code: Code,
    /// Further errors that follow from the same fault.
    pub(crate) also: &'static [Code],
    pub(crate) verdict: Verdict,
    /// Whether the policy is met all the same.
    pub(crate) met: bool,
    /// Whether the finding itself is a warning or note.
    pub(crate) warned: bool,
    pub(crate) make: fn(&mut Case),
}

impl Attack {
    pub(crate) const fn new(
        name: &'static str,
        liar: Liar,
        what: &'static str,
        code: Code,
        make: fn(&mut Case),
    ) -> Self {
        Self { name, liar, what, code, also: &[], verdict: code.verdict(), met: false, warned: false, make }
    }

    const fn also(mut self, also: &'static [Code]) -> Self {
        self.also = also;
        self
    }

    const fn verdict(mut self, verdict: Verdict) -> Self {
        self.verdict = verdict;
        self
    }

    const fn met(mut self) -> Self {
        (self.met, self.warned) = (true, true);
        self
    }

    const fn warned(mut self) -> Self {
        self.warned = true;
        self
    }

    pub(crate) fn case(&self) -> Case {
        let mut case = Case::honest();
        (self.make)(&mut case);
        case
    }

    /// Checks the case; `Err` tells what was found instead.
    pub(crate) fn check(&self) -> Result<(), String> {
        let report = self.case().verify();
        let errors: BTreeSet<Code> =
            report.findings.iter().filter(|f| f.severity == Severity::Error).map(|f| f.code).collect();
        let mut expected: BTreeSet<Code> = self.also.iter().copied().collect();
        if !self.warned {
            expected.insert(self.code);
        }
        let found = report.findings.iter().any(|f| f.code == self.code);
        let good = found && errors == expected && report.verdict == self.verdict && report.policy_met == self.met;
        let asked = || format!("{}: {} and {} (met: {})", self.name, self.code, self.verdict, self.met);
        if good { Ok(()) } else { Err(format!("{}\nfound {}", asked(), told(&report))) }
    }
}

/// Every lie.
pub(crate) fn catalogue() -> impl Iterator<Item = &'static Attack> {
    let logs = [logs::ALL, witnessed::ALL, keys::ALL, revoked::ALL];
    let rest = [
        records::ALL,
        opened::ALL,
        marked::ALL,
        corrected::ALL,
        graded::ALL,
        judged::ALL,
        asked::ALL,
        history::ALL,
        across::ALL,
    ];
    let parts = logs.into_iter().chain(rest);
    parts.into_iter().flatten().copied().flatten()
}

/// What everybody asks first, and the lies that it goes by here.
const CLASSICS: &[(&str, &[&str])] = &[
    ("two buyers are shown two histories", &["split-view", "log-began-twice", "history-forked"]),
    ("an older state of the log", &["rollback", "older-map", "cosignature-stripped"]),
    ("a swapped status head", &["status-heads-swapped", "status-head-of-another-index"]),
    ("a proof of absence for another key", &["status-of-another-key", "further-key-struck-out", "withdrawal-left-out"]),
    ("derived data relabelled as a source", &["assessment-omitted-and-derived", "source-with-parents"]),
    ("laundering through an upstream model", &["upstream-model-laundered", "distilled-from-a-model"]),
    ("two buyers are shown two values of one detail", &["detail-for-another-reader", "detail-twice"]),
    ("duplicate leaves", &["entry-twice", "subject-twice", "node-twice"]),
    ("one log's parts in another", &["commit-for-another-home", "change-for-another-log", "ml-dsa-of-another-origin"]),
    (
        "a key used after it retired",
        &["key-reused-after-rotation", "log-key-after-its-size", "stolen-key-since-the-theft"],
    ),
    (
        "games with clocks",
        &["witness-backdated", "shipment-of-tomorrow", "step-in-the-future", "stolen-key-says-the-future"],
    ),
];

/// Codes that no attack reaches, each with the reason.
const UNREACHED: &[(Code, &str)] = &[];

#[test]
fn the_honest_world_is_traced_assessed_and_meets_the_policy() {
    let report = Case::honest().verify();
    assert!(report.policy_met && report.verdict == Verdict::TracedAssessed, "{}", told(&report));
    assert!(report.findings.is_empty(), "{}", told(&report));
    assert_eq!(report.model.matched, Some(true));
    assert_eq!(report.sources.len(), 2);
}

#[test]
fn every_lie_is_met_by_its_code() {
    let wrong: Vec<String> = catalogue().filter_map(|attack| attack.check().err()).collect();
    assert!(wrong.is_empty(), "{} lies are met otherwise:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn every_code_is_met_by_a_lie() {
    let seen: BTreeSet<Code> = catalogue().map(|attack| attack.code).collect();
    let unseen: Vec<&Code> = Code::ALL.iter().filter(|code| !seen.contains(code)).collect();
    let listed: Vec<&Code> = UNREACHED.iter().map(|(code, _)| code).collect();
    assert_eq!(unseen, listed, "codes without an attack, against those listed as not reachable");
}

/// Where a shipped model's files are not shown, nothing is said of those in hand: they may be the genuine ones.
#[test]
fn of_a_model_that_is_not_opened_nothing_in_hand_is_said_to_be_it_or_not() {
    let mut seen = 0;
    for attack in catalogue().filter(|attack| attack.code == Code::ModelNotOpened) {
        let report = attack.case().verify();
        assert_eq!((report.model.matched, report.model.digest), (None, None), "{}", attack.name);
        let words = griptrace_verifier::render::words(&report, false);
        let claimed = ["NOT what shipped", "is what shipped", "which did not ship", "0 files", "none of the"];
        let said: Vec<_> = claimed.iter().filter(|claim| words.contains(**claim)).collect();
        assert!(said.is_empty(), "{}: {said:?}\n{words}", attack.name);
        assert!(words.contains("nothing of yours was compared"), "{}\n{words}", attack.name);
        seen += 1;
    }
    assert!(seen > 6, "{seen}");
}

#[test]
fn no_two_lies_share_a_name() {
    let mut names = BTreeSet::new();
    for attack in catalogue() {
        assert!(names.insert(attack.name), "{} stands twice", attack.name);
    }
}

#[test]
fn the_readme_lists_the_lies() {
    let path = "tests/attacks/README.md";
    let mut text = String::from(
        "# Lies\n\nWritten by `tests/suite/attacks.rs` with `UPDATE_EXPECTED=1`; the cases themselves stand in\n\
         `tests/suite/attacks/*.rs`. Each changes the honest world of `tests/support/world.rs`, with every unkeyed\n\
         digest, length, root and proof made anew and signed with the keys that the liar owns, and asserts the code,\n\
         the verdict and that no other error is found.\n\n\
         The keys that a liar owns: *courier* none; *exporter* a committer's; *operator* the log's; *both* these two;\n\
         *assessor* an assessor's; *witness* a witness's; *thief* one that he stole, or that was his before;\n\
         *stranger* keys that the trust file lacks; *nobody* lies where the records or the\n\
         question are at fault.\n\n| lie | liar | what is done | code | verdict |\n|---|---|---|---|---|\n",
    );
    for (what, names) in CLASSICS {
        let missing = names.iter().find(|name| !catalogue().any(|attack| attack.name == **name));
        assert_eq!(missing, None, "{what}");
    }
    let classics = CLASSICS.iter().map(|(what, names)| format!("| {what} | {} |\n", names.join(", ")));
    let classics: String = classics.collect();
    let text_of = |rows: &str| {
        format!(
            "What is asked first:\n\n| attack | here |\n|---|---|\n{rows}| a receipt of another commit, or replayed | \
             `every_lie_in_an_answer_is_refused_for_its_own_reason`: receipts go to clients, and stand in no bundle |\n\n\
             What is out of reach, and why, stands in [SECURITY.md](../../SECURITY.md#what-is-out-of-reach).\n\n"
        )
    };
    let table = text.split_off(text.find("| lie | liar").expect("the table begins there"));
    text.push_str(&text_of(&classics));
    text.push_str(&table);
    for attack in catalogue() {
        let liar = format!("{:?}", attack.liar).to_lowercase();
        let verdict = if attack.met { format!("{}, met", attack.verdict) } else { attack.verdict.to_string() };
        let row = format!("| {} | {liar} | {} | `{}` | {verdict} |\n", attack.name, attack.what, attack.code);
        text.push_str(&row);
    }
    if std::env::var_os("UPDATE_EXPECTED").is_some() {
        std::fs::write(workspace_root().join(path), &text).expect("the table can be written");
    }
    assert_eq!(document(path), text, "UPDATE_EXPECTED=1 writes the table anew");
}
