//! How long it takes to judge everything that shipped again, under a new policy and an old one.

use std::fs;

use griptrace_core::{
    date::Date,
    key::{Algorithm, SecretKey, Signer as _},
};
use griptrace_service::rejudge::{Asked, MEMORY_BYTES, RejudgeError, rejudge_all};
use griptrace_store::Store;
use griptrace_verifier::{
    own::{looks_at, rejudge},
    policy::{self, Policy},
    question::{ModelInHand, Question},
    trust::{self, Trust},
};
use serde_json::{Value as Json, json};

use crate::{
    Failure,
    audited::{Plan, record},
    child::{self, peak_bytes, told},
    figure::{Figure, Runs},
    measure::timed,
    report::{Report, progress},
    setup::Setup,
    topics::index::peak,
    world::{Log, NOW, trust_of},
};

/// Shipments of which reading and judging are timed apart, on one thread.
const TIMED_APART: usize = 500;

/// Asks for an assessment of everything important that crosses, and holds it valid for so long.
fn policy_of(version: &str, validity: &str) -> Result<Policy, Failure> {
    let text = format!(
        "id = \"bench\"\nversion = \"{version}\"\nstatus = \"reference\"\n[vocabulary]\ngrades = [\"general\", \"important\"]\n\
         modality = [\"visual\"]\nschemes = [\"security-assessment\"]\n[[require]]\ngrade = [\"important\"]\n\
         crossing = {{ from = [\"CN\"], to = [\"*\"] }}\nany_of = [\"security-assessment\"]\nstrength = \"signed\"\nvalidity = \"{validity}\"\n\
         source = \"a trial\"\nread = \"own-choice\"\n"
    );
    Ok(policy::parse("policy.toml", &text)?)
}

fn assessor() -> Result<SecretKey, Failure> {
    Ok(SecretKey::from_bytes(Algorithm::Ed25519, &[77; 32])?)
}

fn trusted() -> Result<Trust, Failure> {
    let assessor = assessor()?.public_key();
    let text = trust_of()?;
    let office =
        format!("[[assessor]]\nname = \"Office\"\nkey = \"{assessor}\"\nschemes = [\"security-assessment\"]\n");
    Ok(trust::parse("trust.toml", &(text + &office))?)
}

pub(crate) fn measure(setup: &Setup, report: &mut Report) -> Result<(), Failure> {
    let (nodes, each) = (setup.size(1_000, 40), setup.size(100, 3));
    let factory = Plan { models: each, shipments_each: each, nodes, shared: nodes / 5 * 4, by_turns: false };
    let (models, shipments_each) = (setup.size(1_000, 4), setup.size(10, 2));
    let apart = Plan { models, shipments_each, nodes, shared: 0, by_turns: false };
    let by_turns = Plan { by_turns: true, ..apart };
    let plans = [
        ("one factory", factory, true),
        ("models share nothing", apart, true),
        ("and ship by turns, so that all is read again each time", by_turns, false),
    ];
    for (what, plan, is_held) in plans {
        let folder = setup.folder()?;
        let log = Log::make(&folder.path().join("log"))?;
        progress(&format!("recording {} shipments of {nodes} nodes: {what}", plan.models * plan.shipments_each));
        let recorded = record(&log, &plan, &assessor()?)?;
        drop(log);
        progress(&format!("judging them: {what}"));
        let answer = child::ask("audit", &[folder.path().join("log").as_os_str()])?;
        let shipments = told(&answer, "shipments")?;
        let name = format!(
            "audit {shipments} shipments, {:.0} nodes each, of {recorded}: {what}",
            told(&answer, "nodes")? / shipments
        );
        let seconds = Runs::one(told(&answer, "seconds")?);
        let rate = seconds.rate(told(&answer, "nodes")?);
        let figure = Figure::new(name, seconds, "s");
        report.add(if is_held { figure.at_most(60.0, None) } else { figure });
        report.add(Figure::new("  nodes judged, under two policies, at two times", rate, "nodes/s"));
        report.add(Figure::new(
            "  reading, of reading and judging, on one thread",
            Runs::one(told(&answer, "reading")?),
            "x",
        ));
        if let Some(peak) = peak(&answer) {
            report.add(Figure::new("  most memory of the process that judges", peak, "MiB"));
        }
        fs::remove_dir_all(folder.path().join("log"))?;
    }
    Ok(())
}

/// The job `audit FOLDER`: judges all shipments of a store, under two policies.
pub(crate) fn judged(words: &[String]) -> Result<Json, Failure> {
    let [folder] = words else { return Err("audit FOLDER".into()) };
    let store = Log::read(folder.as_ref())?;
    let (trust, old, new) = (trusted()?, policy_of("1", "3y")?, policy_of("2", "2y")?);
    let now = Date::from_unix(NOW).plus_days(40);
    let asked = Asked { trust: &trust, new: &new, old: Some(&old), now, destination: None, purposes: &[] };
    let (mut shipments, mut nodes, mut withdrawn) = (0_u64, 0_u64, 0_u64);
    let (seconds, ()) = timed(|| {
        rejudge_all(&store, &asked, &|_, _| {}, |shipment| {
            let shipment = shipment.map_err(|not| RejudgeError::Shipment { id: not.id, why: not.why })?;
            shipments += 1;
            nodes += shipment.new.known.nodes;
            withdrawn += u64::from(!shipment.new.known.now.met && shipment.new.at_shipment().met);
            Ok::<_, RejudgeError>(())
        })?;
        Ok(())
    })?;
    if withdrawn == 0 || withdrawn == shipments {
        return Err(format!("{withdrawn} of {shipments} shipments were hit by a withdrawal").into());
    }
    let reading = apart(&store, &asked)?;
    Ok(json!({
        "seconds": seconds, "shipments": shipments, "nodes": nodes, "withdrawn": withdrawn, "reading": reading,
        "peak_bytes": peak_bytes(),
    }))
}

/// Times reading and judging apart. Returns the share of reading.
fn apart(store: &Store, asked: &Asked<'_>) -> Result<f64, Failure> {
    let records = store.records(MEMORY_BYTES)?;
    let policies: Vec<&Policy> = asked.old.into_iter().chain([asked.new]).collect();
    let question = Question {
        now: asked.now,
        destination: griptrace_core::word::Country::parse("DE"),
        consignee: None,
        purposes: Vec::new(),
        model: ModelInHand::NotGiven,
        known: griptrace_verifier::known::Known::default(),
    };
    let cases: Vec<(&Policy, &Question)> = policies.iter().map(|policy| (*policy, &question)).collect();
    let (mut reading, mut judging) = (0.0, 0.0);
    for id in records.shipments().iter().take(TIMED_APART) {
        let (seconds, content) = timed(|| Ok(records.about(id, &|kind, slot| looks_at(&policies, kind, slot))?))?;
        reading += seconds;
        judging += timed(|| Ok(rejudge(&content, asked.trust, &cases)))?.0;
    }
    let sum: f64 = reading + judging;
    if sum > 0.0 { Ok(reading / sum) } else { Err("nothing was timed".into()) }
}
