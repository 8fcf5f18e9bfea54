//! Own records judged without proofs are judged as a bundle of them would be: same code, same findings, word for word.

use std::collections::BTreeSet;

use griptrace_core::{
    bundle::Bundle,
    cbor::encode,
    date::Date,
    details::{Values, slot},
    id::NodeId,
    key::Signer as _,
    node::{Kind, Mark},
    unproven::Unproven,
    value::Value,
    word::Country,
};
use griptrace_store::{Disclose, Erase, ProveOptions, Store};
use griptrace_tests::seed::{Rng, Seed};
use griptrace_verifier::{
    finding::{Code, Finding, Severity, Verdict, When},
    own::{OF_THE_FILE, Rejudged, looks_at, rejudge},
    policy::{self, Policy},
    question::{ModelInHand, Question},
    report::Report,
    trust::{self, Trust},
    verify::verify,
};

use crate::attacks::catalogue;
use crate::holding::factory::{self, Factory, ISSUER, ORIGIN};
use crate::world::{Case, told};

/// What only proofs show: who judges own records does not look.
const OF_THE_PROOFS: [Code; 8] = [
    Code::InclusionRootMismatch,
    Code::ConsistencyMismatch,
    Code::CommitSignatureInvalid,
    Code::CommitRootMismatch,
    Code::DisclosureMismatch,
    Code::ManifestMismatch,
    Code::SubjectMismatch,
    Code::StatusProofMismatch,
];

/// Changes a policy in what decides most.
type Changed = (&'static str, fn(&mut Policy));

const POLICIES: [Changed; 6] = [
    ("as it is", |_| ()),
    ("at the shipment alone", |policy| policy.judge = policy::Judge::Shipment),
    ("now alone", |policy| policy.judge = policy::Judge::Now),
    ("everything is asked for", |policy| {
        for rule in &mut policy.require {
            (rule.crossing, rule.grade) = (None, policy.grades.clone());
        }
    }),
    ("nothing is asked for", |policy| policy.require.clear()),
    ("a shorter lag and milder weights", |policy| {
        policy.max_lag = None;
        policy.severity.insert(Code::Withdrawn, Severity::Note);
        policy.severity.insert(Code::Superseded, Severity::Error);
    }),
];

/// Tells how a judgement of own records differs from the report on a bundle of them.
fn difference(report: &Report, own: &Rejudged) -> Option<String> {
    let counts = |finding: &&Finding| !OF_THE_FILE.contains(&finding.code);
    let expected: Vec<&Finding> = report.findings.iter().filter(counts).collect();
    let found: Vec<&Finding> = own.findings.iter().collect();
    if expected != found {
        return Some(format!("bundle: {expected:#?}\nown: {found:#?}"));
    }
    let at = |when: When, of: fn(&griptrace_verifier::report::SourceReport) -> Verdict| {
        let here = || expected.iter().filter(|f| f.when == when || f.when == When::Always);
        let verdicts = here().map(|f| f.code.verdict()).chain(report.sources.iter().map(of));
        (verdicts.max().unwrap_or(Verdict::TracedAssessed), here().all(|f| f.severity != Severity::Error))
    };
    let (then, now) = (at(When::AtShipment, |s| s.at_shipment), at(When::Now, |s| s.now));
    let own_times = ((own.at_shipment.verdict, own.at_shipment.met), (own.now.verdict, own.now.met));
    if report.nodes > 0 && own_times != (then, now) {
        return Some(format!("bundle: {then:?}, {now:?}; own: {own_times:?}"));
    }
    let sources = report.sources.iter().map(|s| (s.id, s.assessment.as_ref().map(|a| a.id), s.at_shipment, s.now));
    let own_sources = own.sources.iter().map(|s| (s.id, s.assessment, s.at_shipment, s.now));
    if !sources.eq(own_sources) {
        return Some(format!("bundle: {:#?}\nown: {:#?}", report.sources, own.sources));
    }
    (report.shipment != own.shipment).then(|| format!("{:?} {:?}", report.shipment, own.shipment))
}

/// Judges one case under every policy, as a bundle and as own records. Returns how many were compared.
fn compare(name: &str, case: &Case, wrong: &mut Vec<String>) -> usize {
    let file = case.file();
    let Ok(bundle) = Bundle::from_bytes(&file) else { return 0 };
    let (trust, records) = (case.buyer.read_trust(), Unproven::of(bundle));
    let policies: Vec<(&str, Policy)> = POLICIES
        .iter()
        .map(|(what, change)| {
            let mut policy = case.buyer.read_policy();
            change(&mut policy);
            (*what, policy)
        })
        .collect();
    let question = &case.buyer.question;
    let asked: Vec<_> = policies.iter().map(|(_, policy)| (policy, question)).collect();
    let all = rejudge(&records, &trust, &asked);
    assert_eq!(all.len(), asked.len(), "{name}");
    let mut compared = 0;
    for ((what, policy), own) in policies.iter().zip(&all) {
        let report = verify(&file, &trust, policy, question).unwrap();
        let ended_by_proof = report.nodes == 0 && report.findings.iter().all(|f| OF_THE_PROOFS.contains(&f.code));
        // What does not belong into a bundle is seen where the closure is walked, or where the map's proof is checked.
        let ended_by_excess = report.nodes == 0 && report.findings.iter().all(|f| f.code == Code::Extraneous);
        if ended_by_proof || (ended_by_excess && own.nodes > 0) {
            continue;
        }
        compared += 1;
        wrong.extend(difference(&report, own).map(|why| format!("{name}, {what}: {why}\n{}", told(&report))));
    }
    compared
}

#[test]
fn own_records_are_judged_as_a_bundle_of_them_is() {
    let mut wrong = Vec::new();
    let mut compared = compare("honest", &Case::honest(), &mut wrong);
    let mut codes = BTreeSet::new();
    for attack in catalogue() {
        let more = compare(attack.name, &attack.case(), &mut wrong);
        if more > 0 {
            codes.insert(attack.code);
        }
        compared += more;
    }
    assert!(wrong.is_empty(), "{} of {compared} differ:\n{}", wrong.len(), wrong.join("\n"));
    // Every code but those of proofs and of the file was among what was compared.
    let unseen: Vec<&Code> = Code::ALL
        .iter()
        .filter(|code| !codes.contains(code) && !OF_THE_PROOFS.contains(code) && !OF_THE_FILE.contains(code))
        .collect();
    let expected = [Code::BundleMalformed, Code::BundleDigestMismatch];
    assert!(unseen.iter().all(|code| expected.contains(code)), "never compared: {unseen:?}");
}

#[test]
fn one_policy_of_several_is_judged_as_if_alone() {
    for attack in catalogue().step_by(7) {
        let case = attack.case();
        let Ok(bundle) = Bundle::from_bytes(&case.file()) else { continue };
        let (trust, records) = (case.buyer.read_trust(), Unproven::of(bundle));
        let (plain, mut other) = (case.buyer.read_policy(), case.buyer.read_policy());
        other.require.clear();
        let question = &case.buyer.question;
        let mut later = question.clone();
        later.purposes.clear();
        let both = rejudge(&records, &trust, &[(&other, &later), (&plain, question)]);
        let alone = rejudge(&records, &trust, &[(&plain, question)]);
        assert_eq!(both.get(1), alone.first(), "{}", attack.name);
    }
}

/// A proof that is not there is no reason to believe a bundle without one.
#[test]
fn records_without_proofs_are_no_bundle() {
    let case = Case::honest();
    let records = Unproven::of(Bundle::from_bytes(&case.file()).unwrap());
    assert!(records.content().logs.iter().all(|log| log.inclusion.is_empty()), "proofs were dropped");
    let mut stripped = Bundle::from_bytes(&case.file()).unwrap();
    for log in &mut stripped.logs {
        log.inclusion.clear();
        log.commits.iter_mut().for_each(|part| part.proof.clear());
    }
    let report = case.buyer.verify(&stripped.to_bytes()).unwrap();
    assert_eq!((report.verdict, report.policy_met), (Verdict::Broken, false), "{}", told(&report));
}

// --- Out of a store ---

/// A log with several shipments, assessments and marks, drawn from a seed.
fn random_store(dir: &std::path::Path, seed: Seed) -> (Store, Vec<NodeId>) {
    let mut random = seed.rng();
    let store = Store::init(dir, &factory::genesis(1), factory::log_signer(), factory::NOW).unwrap();
    let mut make = Factory::new(store.home(), seed.rng());
    let commit = |nodes| store.commit(nodes, &factory::committer(), ISSUER, factory::NOW).unwrap().ids;
    let (mut data, mut shipped, mut all): (Vec<NodeId>, Vec<NodeId>, Vec<NodeId>) = Default::default();
    for round in 0..40 {
        let name = format!("n{round}");
        let some = |random: &mut Rng, of: &[NodeId]| -> Vec<NodeId> {
            let mut chosen: Vec<NodeId> = (0..=random.index(3)).map(|_| of[random.index(of.len())]).collect();
            chosen.sort_unstable();
            chosen.dedup();
            chosen
        };
        let nodes = match random.below(8) {
            2 | 3 if !data.is_empty() => make.derive(&name, &some(&mut random, &data)),
            4 if !data.is_empty() => make.train(&name, &some(&mut random, &data), &["a.onnx", "b.txt"]),
            5 if !data.is_empty() => vec![make.assessment(&some(&mut random, &data))],
            6 if !all.is_empty() => {
                let mark = [Mark::Withdraw, Mark::Recall, Mark::Refuse, Mark::Reclassify][random.index(4)];
                let on = if mark == Mark::Reclassify { &data } else { &all };
                on.first().map(|_| make.status(on[random.index(on.len())], mark)).into_iter().collect()
            }
            _ => vec![make.source(&name)],
        };
        if nodes.is_empty() {
            continue;
        }
        let kinds: Vec<(NodeId, Kind)> = nodes.iter().map(|node| (node.id(), node.core().unwrap().kind)).collect();
        commit(nodes);
        for (id, kind) in kinds {
            match kind {
                Kind::Dataset => data.push(id),
                Kind::Model => {
                    let shipment = make.shipment(&[id]);
                    shipped.push(shipment.id());
                    all.push(shipment.id());
                    commit(vec![shipment]);
                }
                Kind::Transformation | Kind::Assessment | Kind::Shipment | Kind::Status | Kind::Erasure => {}
            }
            if !matches!(kind, Kind::Status) {
                all.push(id);
            }
        }
    }
    (store, shipped)
}

/// Erases of one model a file, of the next both digests over its files, and nothing of the third; and so on.
fn erase_some(store: &Store, shipped: &[NodeId]) {
    let values = |kind| Values::from([(slot(kind, "reason").unwrap(), encode(&Value::text("asked")))]);
    let digests: Vec<u8> = ["content", "manifest"].iter().filter_map(|name| slot(Kind::Model, name)).collect();
    for (place, id) in shipped.iter().enumerate() {
        let target = store.node(id).unwrap().unwrap().core.edges[0].to;
        let (slots, files) = match place % 3 {
            0 => (Vec::new(), vec![b"a.onnx".to_vec()]),
            1 => (digests.clone(), vec![b"a.onnx".to_vec(), b"b.txt".to_vec()]),
            _ => continue,
        };
        let date = Date::parse("2026-11-01").unwrap();
        let erase = Erase { target, slots, files, date, values: values(Kind::Erasure) };
        store.erase(erase, &factory::committer(), ISSUER, factory::NOW).unwrap();
    }
}

fn trust_of_the_store(roles: &str) -> Trust {
    let (log, committer, assessor) = (factory::log_signer(), factory::committer(), factory::assessor());
    let text = format!(
        "[[log]]\norigin = \"{ORIGIN}\"\nvkey = \"{}\"\n[[committer]]\nname = \"Maker\"\nkey = \"{}\"\nroles = [{roles}]\n\
         [[assessor]]\nname = \"Office\"\nkey = \"{}\"\nschemes = [\"security-assessment\"]\n",
        log.verifier().to_vkey(),
        committer.public_key(),
        assessor.public_key(),
    );
    trust::parse("trust.toml", &text).unwrap()
}

/// Policies that ask for details too, which have to be among those that are taken.
fn policies_of_the_store() -> Vec<Policy> {
    let plain = Case::honest().buyer.read_policy();
    let mut asking = Case::honest().buyer.policy;
    asking += "[[disclose]]\nkind = \"dataset\"\nfields = [\"licence\", \"note\", \"site\"]\nsource = \"a test\"\n";
    asking += "read = \"own-choice\"\n";
    let asking = policy::parse("policy.toml", &asking).unwrap();
    vec![plain, asking]
}

#[test]
fn what_a_store_holds_is_judged_as_its_bundles_are() {
    let seed = Seed::for_test("what_a_store_holds_is_judged_as_its_bundles_are");
    let mut numbers = seed.rng();
    let (mut compared, mut marked, mut closed) = (0, 0, 0);
    for _ in 0..6 {
        let dir = tempfile::tempdir().unwrap();
        let (store, shipped) = random_store(dir.path(), Seed::from_number(numbers.next_u64()));
        erase_some(&store, &shipped);
        let policies = policies_of_the_store();
        let lent: Vec<&Policy> = policies.iter().collect();
        // Little memory, so that what is kept is also thrown away.
        let records = store.records(64 << 10).unwrap();
        assert_eq!(records.shipments(), shipped, "in log order");
        for roles in ["\"commit\", \"grade\", \"ship\"", "\"commit\", \"regrade\""] {
            let trust = trust_of_the_store(roles);
            for id in &shipped {
                let question = Question {
                    now: Date::parse("2027-01-01").unwrap(),
                    destination: Country::parse("DE"),
                    consignee: Some("Buyer".into()),
                    purposes: Vec::new(),
                    model: ModelInHand::NotGiven,
                    known: griptrace_verifier::known::Known::default(),
                };
                let file =
                    store.prove(id, &ProveOptions { disclose: Disclose::All, ..ProveOptions::default() }).unwrap();
                let own = records.about(id, &|kind, slot| looks_at(&lent, kind, slot)).unwrap();
                let asked: Vec<_> = policies.iter().map(|policy| (policy, &question)).collect();
                for ((policy, _), own) in asked.iter().zip(rejudge(&own, &trust, &asked)) {
                    let report = verify(&file, &trust, policy, &question).unwrap();
                    assert!(report.nodes > 0, "it holds together: {}", told(&report));
                    assert_eq!(difference(&report, &own), None, "{seed:?} {}", told(&report));
                    marked += usize::from(!own.marks.is_empty());
                    closed += usize::from(own.verdict == Verdict::Broken && !own.policy_met);
                    compared += 1;
                }
            }
        }
    }
    assert!(compared > 20 && marked > 4, "{compared} were compared, {marked} of them with marks");
    assert!(closed > 8 && closed < compared, "{closed} of {compared} are of models of which something was erased");
}
