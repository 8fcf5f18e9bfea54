//! Judges every recorded shipment again: under the statuses and the policy of now, against what was before.
//!
//! For the holder of the store. Nothing is proven ([`griptrace_verifier::own`]); what somebody else believes is a bundle.

use core::sync::atomic::{AtomicUsize, Ordering};
use std::{
    collections::BTreeSet,
    sync::{Mutex, PoisonError},
    thread,
};

use griptrace_core::{
    date::Date,
    details::{read_value, slot},
    id::NodeId,
    node::Kind,
    value::Value,
    word::{Country, Word},
};
use griptrace_store::{ProveError, ReadError, Records, Store};
use griptrace_verifier::{
    finding::{Code, Finding, Severity, When},
    known::Known,
    own::{Rejudged, RejudgedAt, looks_at, rejudge},
    policy::Policy,
    question::{ModelInHand, Question},
    trust::Trust,
};

/// Bytes of what was read that are kept while shipments are judged.
pub const MEMORY_BYTES: u64 = 512 << 20;
/// Shipments that are judged before any of them is told.
const AT_A_TIME: usize = 256;

/// By what shipments are judged.
#[derive(Clone, Copy, Debug)]
pub struct Asked<'a> {
    /// Whom to believe.
    pub trust: &'a Trust,
    /// The policy.
    pub new: &'a Policy,
    /// What it is compared with; `None` compares what was at shipment with what is now.
    pub old: Option<&'a Policy>,
    /// The day that counts as now.
    pub now: Date,
    /// Where everything goes; `None` is where each shipment says.
    pub destination: Option<Country>,
    /// What everything is for; empty is what each shipment says.
    pub purposes: &'a [Word],
}

/// A shipment that was judged again.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Shipment {
    /// The Shipment node.
    pub id: NodeId,
    /// Its name, if it has one.
    pub name: Option<String>,
    /// Who it is for.
    pub consignee: Option<String>,
    /// Its date.
    pub date: Option<Date>,
    /// Where it went.
    pub destination: Option<Country>,
    /// Under the old policy, if one was named.
    pub old: Option<Rejudged>,
    /// Under the policy.
    pub new: Rejudged,
}

/// Why shipments could not be judged.
#[derive(Debug, thiserror::Error)]
pub enum RejudgeError {
    /// The store could not be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// What belongs to a shipment could not be put together.
    #[error("shipment {id} cannot be judged")]
    Shipment {
        /// The shipment.
        id: NodeId,
        /// Why.
        #[source]
        why: ProveError,
    },
}

/// What changed at one time, or between two.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Change<'a> {
    /// Of which time: of the old policy's and the new one's, or of the time at shipment and now.
    pub when: When,
    /// What it was.
    pub from: RejudgedAt,
    /// What it is.
    pub to: RejudgedAt,
    /// Findings that were not there.
    pub came: Vec<&'a Finding>,
    /// Findings that are no longer there.
    pub went: Vec<&'a Finding>,
}

impl Change<'_> {
    /// Tells whether verdict or policy are now worse.
    pub fn is_worse(&self) -> bool {
        self.to.verdict > self.from.verdict || (self.from.met && !self.to.met)
    }

    /// Tells whether verdict or policy are now others.
    pub fn is_one(&self) -> bool {
        self.to != self.from
    }
}

impl Shipment {
    /// Returns the changes that were looked for: between the policies at each time, or since the shipment.
    pub fn changes(&self) -> Vec<Change<'_>> {
        let Some(old) = &self.old else {
            return vec![change(
                When::Now,
                (&self.new, self.new.at_shipment, When::AtShipment),
                (&self.new, self.new.now, When::Now),
            )];
        };
        let one = |when, of: fn(&Rejudged) -> RejudgedAt| {
            change(when, (old, of(old), when), (&self.new, of(&self.new), when))
        };
        vec![one(When::AtShipment, |judged| judged.at_shipment), one(When::Now, |judged| judged.now)]
    }

    /// Tells whether anything that was looked for is worse.
    pub fn is_worse(&self) -> bool {
        self.changes().iter().any(Change::is_worse)
    }

    /// Tells whether anything that was looked for changed.
    pub fn is_changed(&self) -> bool {
        self.changes().iter().any(Change::is_one)
    }
}

fn change<'a>(
    when: When,
    (old, from, before): (&'a Rejudged, RejudgedAt, When),
    (new, to, after): (&'a Rejudged, RejudgedAt, When),
) -> Change<'a> {
    let of = |judged: &'a Rejudged, at: When| {
        judged.findings.iter().filter(move |finding| finding.when == at || finding.when == When::Always)
    };
    let key = |finding: &Finding| (finding.code, finding.node, finding.severity);
    let keys =
        |judged: &'a Rejudged, at| of(judged, at).map(key).collect::<BTreeSet<(Code, Option<NodeId>, Severity)>>();
    let (old_keys, new_keys) = (keys(old, before), keys(new, after));
    let came = of(new, after).filter(|finding| !old_keys.contains(&key(finding))).collect();
    let went = of(old, before).filter(|finding| !new_keys.contains(&key(finding))).collect();
    Change { when, from, to, came, went }
}

/// Judges every Shipment of a store, on all processors, and hands them out in log order as they come. `progress` hears how
/// many are done, of how many.
///
/// # Errors
/// [`RejudgeError`], or what `each` returns.
pub fn rejudge_all<E: From<RejudgeError>>(
    store: &Store,
    asked: &Asked<'_>,
    progress: &(dyn Fn(u64, u64) + Sync),
    mut each: impl FnMut(Shipment) -> Result<(), E>,
) -> Result<(), E> {
    let records = store.records(MEMORY_BYTES).map_err(RejudgeError::Read)?;
    let shipments = records.shipments();
    let total = u64::try_from(shipments.len()).unwrap_or(u64::MAX);
    let mut done = 0_u64;
    progress(done, total);
    for some in shipments.chunks(AT_A_TIME) {
        for judged in in_parallel(some, |id| judge_one(store, &records, asked, *id)) {
            each(judged?)?;
            done = done.saturating_add(1);
            progress(done, total);
        }
    }
    Ok(())
}

/// Works on each item, on all processors, and returns the results in their order.
fn in_parallel<T: Sync, R: Send>(items: &[T], work: impl Fn(&T) -> R + Sync) -> Vec<R> {
    let (next, results) = (AtomicUsize::new(0), Mutex::new(Vec::with_capacity(items.len())));
    let run = || {
        while let Some((place, item)) =
            Some(next.fetch_add(1, Ordering::Relaxed)).and_then(|at| Some((at, items.get(at)?)))
        {
            let result = work(item);
            results.lock().unwrap_or_else(PoisonError::into_inner).push((place, result));
        }
    };
    let threads = thread::available_parallelism().map_or(1, usize::from).min(items.len());
    thread::scope(|scope| {
        (1..threads).for_each(|_| drop(scope.spawn(run)));
        run();
    });
    let mut results = results.into_inner().unwrap_or_else(PoisonError::into_inner);
    results.sort_unstable_by_key(|(place, _)| *place);
    results.into_iter().map(|(_, result)| result).collect()
}

fn judge_one(store: &Store, records: &Records, asked: &Asked<'_>, id: NodeId) -> Result<Shipment, RejudgeError> {
    let node = store.node(&id)?.ok_or(ReadError::NoNode { id })?;
    let text = |name| {
        let bytes = node.record.values.get(&slot(Kind::Shipment, name)?)?;
        read_value(bytes).ok().as_ref().and_then(Value::as_text).map(str::to_owned)
    };
    let consignee = text("consignee");
    let own_purposes = || node.core.purpose.clone();
    let question = Question {
        now: asked.now,
        destination: asked.destination.or(node.core.country),
        consignee: consignee.clone(),
        purposes: if asked.purposes.is_empty() { own_purposes() } else { asked.purposes.to_vec() },
        model: ModelInHand::NotGiven,
        known: Known::default(),
    };
    let policies: Vec<&Policy> = asked.old.into_iter().chain([asked.new]).collect();
    let wanted = |kind, number| looks_at(&policies, kind, number);
    let content = records.about(&id, &wanted).map_err(|why| RejudgeError::Shipment { id, why })?;
    let cases: Vec<(&Policy, &Question)> = policies.iter().map(|policy| (*policy, &question)).collect();
    let mut judged = rejudge(&content, asked.trust, &cases).into_iter().rev();
    let missing = || ReadError::NoNode { id };
    let new = judged.next().ok_or_else(missing)?;
    Ok(Shipment {
        id,
        name: text("name"),
        consignee,
        date: node.core.date,
        destination: node.core.country,
        old: judged.next(),
        new,
    })
}
