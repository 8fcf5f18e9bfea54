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
    finding::{Code, Finding, Severity, Verdict, When},
    known::Known,
    own::{CountedMark, Rejudged, RejudgedAt, looks_at, rejudge},
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
    pub old: Option<Under>,
    /// Under the policy.
    pub new: Under,
}

/// A shipment under one policy.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Under {
    /// With all that is known now: what a bundle made now would say.
    pub known: Rejudged,
    /// With what was known when it shipped, where that is less: without other companies' bundles that were adopted since,
    /// and without withdrawals out of the trust file, which has no day for when they came.
    pub then: Option<Rejudged>,
}

impl Under {
    /// Returns the judgement that tells what was on the day of the shipment, as it was known then.
    pub fn shipped(&self) -> &Rejudged {
        self.then.as_ref().unwrap_or(&self.known)
    }

    /// Returns how it stood on its day.
    pub fn at_shipment(&self) -> RejudgedAt {
        self.shipped().at_shipment
    }

    /// Returns the marks that count now and did not when it shipped, as far as was known then.
    pub fn came(&self) -> impl Iterator<Item = &CountedMark> {
        let then: Vec<&CountedMark> = self.shipped().marks.iter().filter(|mark| mark.at_shipment).collect();
        // A withdrawal out of the trust file says nothing new of what a log had as withdrawn.
        let is_same = |old: &CountedMark, mark: &CountedMark| {
            (old.mark, old.status) == (mark.mark, mark.status) || (mark.status.is_none() && old.mark.is_terminal())
        };
        self.known.marks.iter().filter(move |mark| !then.iter().any(|old| old.node == mark.node && is_same(old, mark)))
    }
}

/// A shipment of which what belongs to it could not be put together.
#[derive(Debug)]
pub struct Unjudged {
    /// The Shipment node.
    pub id: NodeId,
    /// Why.
    pub why: ProveError,
}

/// Why shipments could not be judged.
#[derive(Debug, thiserror::Error)]
pub enum RejudgeError {
    /// The store could not be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// What a shipment rests on could not be read.
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
    /// Tells whether it is now worse: a worse verdict, a policy that is no longer met, an error as bad as the verdict that was
    /// not there, or anything that is wrong now where nothing can be relied on of before.
    pub fn is_worse(&self) -> bool {
        let (from, to) = (self.from, self.to);
        let from_nothing = from.verdict == Verdict::Broken && to.verdict != Verdict::Broken && !to.met;
        to.verdict > from.verdict || (from.met && !to.met) || from_nothing || self.came.iter().any(|f| self.is_bad(f))
    }

    /// Tells whether a finding that came is worse than its verdict's being there already tells.
    fn is_bad(&self, finding: &Finding) -> bool {
        let (from, to, it) = (self.from.verdict, self.to.verdict, finding.code.verdict());
        it >= Verdict::Withdrawn || (from == to && it == to && it > Verdict::TracedUnassessed)
    }

    /// Tells whether verdict or policy are now others.
    pub fn is_one(&self) -> bool {
        self.to != self.from || self.is_worse()
    }
}

impl Shipment {
    /// Returns the changes that were looked for: between the policies at each time, or since the shipment.
    pub fn changes(&self) -> Vec<Change<'_>> {
        let new = &self.new;
        let now = (&new.known, new.known.now, When::Now);
        let Some(old) = &self.old else {
            return vec![change(When::Now, (new.shipped(), new.at_shipment(), When::AtShipment), now)];
        };
        let on_its_day = |under: &'_ Under| under.at_shipment();
        vec![
            change(
                When::AtShipment,
                (old.shipped(), on_its_day(old), When::AtShipment),
                (new.shipped(), on_its_day(new), When::AtShipment),
            ),
            change(When::Now, (&old.known, old.known.now, When::Now), now),
        ]
    }

    /// Tells whether anything that was looked for is worse. Since the shipment, that is also a mark that came where the
    /// policy is not met.
    pub fn is_worse(&self) -> bool {
        let marked = self.marks_since().any(|mark| mark.mark.is_terminal()) && !self.new.known.now.met;
        marked || self.changes().iter().any(Change::is_worse)
    }

    /// Tells whether anything that was looked for changed.
    pub fn is_changed(&self) -> bool {
        self.is_worse() || self.marks_since().next().is_some() || self.changes().iter().any(Change::is_one)
    }

    /// Tells whether nothing can be relied on now, or on its day under the new policy.
    pub fn is_broken(&self) -> bool {
        self.changes().iter().any(|change| change.to.verdict == Verdict::Broken)
    }

    /// Returns the marks that came since, where that is what was looked for: two policies are compared under the same marks.
    fn marks_since(&self) -> impl Iterator<Item = &CountedMark> {
        self.old.is_none().then(|| self.new.came()).into_iter().flatten()
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

/// Judges every Shipment of a store, on all processors, and hands them out in log order as they come, with those that could
/// not be judged. `progress` hears how many are done, of how many.
///
/// # Errors
/// [`RejudgeError`], or what `each` returns.
pub fn rejudge_all<E: From<RejudgeError>>(
    store: &Store,
    asked: &Asked<'_>,
    progress: &(dyn Fn(u64, u64) + Sync),
    mut each: impl FnMut(Result<Shipment, Unjudged>) -> Result<(), E>,
) -> Result<(), E> {
    let records = store.records(MEMORY_BYTES).map_err(RejudgeError::Read)?;
    // Own records hold no cosignatures: their times are the logs' own.
    let trust = Trust { quorum: None, ..asked.trust.clone() };
    let unaided = Trust { withdrawals: Vec::new(), ..trust.clone() };
    let asked = &Asked { trust: &trust, ..*asked };
    let work = Work { store, records: &records, asked, unaided: &unaided };
    let shipments = records.shipments();
    let total = u64::try_from(shipments.len()).unwrap_or(u64::MAX);
    let mut done = 0_u64;
    progress(done, total);
    for some in shipments.chunks(AT_A_TIME) {
        for judged in in_parallel(some, |id| work.judge(*id)) {
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

/// What judging one shipment needs.
struct Work<'a> {
    store: &'a Store,
    records: &'a Records,
    asked: &'a Asked<'a>,
    /// The trust file without the withdrawals in it.
    unaided: &'a Trust,
}

impl Work<'_> {
    fn judge(&self, id: NodeId) -> Result<Result<Shipment, Unjudged>, RejudgeError> {
        let asked = self.asked;
        let node = self.store.node(&id)?.ok_or(ReadError::NoNode { id })?;
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
        let mut judged = match self.under(&id, &policies, &question) {
            Ok(judged) => judged.into_iter().rev(),
            Err(why @ ProveError::Storage(_)) => return Err(RejudgeError::Shipment { id, why }),
            Err(why) => return Ok(Err(Unjudged { id, why })),
        };
        let new = judged.next().ok_or(ReadError::NoNode { id })?;
        Ok(Ok(Shipment {
            id,
            name: text("name"),
            consignee,
            date: node.core.date,
            destination: node.core.country,
            old: judged.next(),
            new,
        }))
    }

    /// Judges under each policy, with what is known now and, where that is less, with what was known at shipment.
    fn under(&self, id: &NodeId, policies: &[&Policy], question: &Question) -> Result<Vec<Under>, ProveError> {
        let wanted = |kind, number| looks_at(policies, kind, number);
        let cases: Vec<(&Policy, &Question)> = policies.iter().map(|policy| (*policy, question)).collect();
        let content = self.records.about(id, &wanted)?;
        let known = rejudge(&content, self.asked.trust, &cases);
        let then = self.records.as_recorded(id, &content)?;
        let by_trust = |mark: &CountedMark| mark.status.is_none() && mark.at_shipment;
        let is_less = then.is_some() || known.iter().any(|judged| judged.marks.iter().any(by_trust));
        let mut then =
            if is_less { rejudge(then.as_ref().unwrap_or(&content), self.unaided, &cases) } else { Vec::new() }
                .into_iter();
        Ok(known.into_iter().map(|known| Under { known, then: then.next() }).collect())
    }
}
