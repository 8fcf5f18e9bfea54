//! `griptrace audit`.

mod causes;
mod tell;

use std::path::PathBuf;

use griptrace_core::{
    date::Date,
    word::{Country, Word},
};
use griptrace_service::rejudge::{Asked, RejudgeError, Shipment, rejudge_all};
use serde_json::json;

use self::{
    causes::{Causes, shipments as in_words},
    tell::Teller,
};
use super::{
    check::{load_trust, own_trust},
    policy::load,
};
use crate::{
    arguments::{country, date, word},
    context::{Answer, Context, or_today},
    error::CommandError,
    log_source::Log,
};

/// Judge every recorded shipment again: what does a new policy or a withdrawal touch, and whom is it to be told?
///
/// Every shipment is judged under the marks and the policy of now, on its own day and today, and those are listed that
/// changed or do not meet the policy. With --policy-old the two policies are compared; without it, what was on the
/// shipment's day with what is now. Nothing is proven: it is for the holder of the store. Exit code 1 if anything
/// became worse or is BROKEN, 2 if a shipment could not be judged.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Judge what has shipped
    #[arg(long, required = true)]
    pub(crate) shipped: bool,
    /// The policy file to judge by
    #[arg(long, value_name = "FILE")]
    pub(crate) policy: PathBuf,
    /// The policy file to compare with [default: each shipment's own day under --policy]
    #[arg(long, value_name = "FILE")]
    pub(crate) policy_old: Option<PathBuf>,
    /// Judge with this trust file [default: the own keys, and whom recorded statements and adopted bundles brought]
    #[arg(long, value_name = "FILE")]
    pub(crate) trust: Option<PathBuf>,
    /// The day that counts as now [default: today]
    #[arg(long, value_parser = date)]
    pub(crate) at: Option<Date>,
    /// Judge as if everything went there [default: where each shipment says]
    #[arg(long, value_parser = country)]
    pub(crate) destination: Option<Country>,
    /// Judge for this purpose (can be repeated) [default: those that each shipment says]
    #[arg(long, value_parser = word)]
    pub(crate) purpose: Vec<Word>,
    /// List every shipment
    #[arg(long)]
    pub(crate) all: bool,
}

/// What was counted.
#[derive(Clone, Copy, Debug, Default)]
struct Counts {
    shipments: u64,
    changed: u64,
    worse: u64,
    not_met: u64,
    broken: u64,
    unjudged: u64,
    nodes: u64,
}

impl Counts {
    fn take(&mut self, shipment: &Shipment) {
        self.shipments += 1;
        self.changed += u64::from(shipment.is_changed());
        self.worse += u64::from(shipment.is_worse());
        self.not_met += u64::from(!shipment.new.known.policy_met);
        self.broken += u64::from(shipment.is_broken());
        self.nodes += shipment.new.known.nodes;
    }

    /// Returns what the command answers: a shipment that was not judged may be as bad as any.
    const fn answer(&self) -> Answer {
        if self.unjudged > 0 {
            return Answer::COULD_NOT;
        }
        if self.worse > 0 || self.broken > 0 { Answer::NO } else { Answer::YES }
    }
}

pub(crate) fn run(context: &Context, args: &Args) -> Result<Answer, CommandError> {
    let workspace = context.workspace()?;
    let Log::Local(store) = &workspace.store else {
        return Err(CommandError::failed("shipments are judged again where the store is, not through a server")
            .with_hint("run it on the machine of the store, with --store DIR; it only reads"));
    };
    let policy = load(&args.policy)?;
    let old = args.policy_old.as_deref().map(load).transpose()?;
    let trust = match &args.trust {
        Some(path) => load_trust(path)?,
        None => own_trust(&workspace)?,
    };
    let asked = Asked {
        trust: &trust,
        new: &policy,
        old: old.as_ref(),
        now: or_today(args.at),
        destination: args.destination,
        purposes: &args.purpose,
    };
    let (mut counts, mut causes) = (Counts::default(), Causes::default());
    let mut teller = Teller::new(&context.output, &workspace);
    let bar = context.output.progress("judging shipments");
    rejudge_all(store, &asked, &|done, total| bar.at(done, total), |judged| {
        let shipment = match judged {
            Ok(shipment) => shipment,
            Err(not) => {
                counts.shipments += 1;
                counts.unjudged += 1;
                return teller.unjudged(&not);
            }
        };
        counts.take(&shipment);
        causes.take(&shipment);
        if args.all || shipment.is_changed() || !shipment.new.known.policy_met || shipment.is_broken() {
            teller.shipment(&shipment)?;
        }
        Ok::<_, CommandError>(())
    })?;
    drop(bar);
    causes.tell(&mut teller)?;
    summary(context, &asked, counts)?;
    Ok(counts.answer())
}

fn summary(context: &Context, asked: &Asked<'_>, counts: Counts) -> Result<(), CommandError> {
    let Counts { shipments, changed, worse, not_met, broken, unjudged, nodes } = counts;
    let name = |policy: &griptrace_verifier::policy::Policy| format!("{} {}", policy.id, policy.version);
    let (new, old) = (name(asked.new), asked.old.map(name));
    let object = json!({
        "shipments": shipments, "changed": changed, "worse": worse, "not_met": not_met,
        "broken": broken, "unjudged": unjudged, "nodes": nodes,
        "policy": new, "policy_old": old, "now": asked.now.to_string(),
    });
    let against = old.map_or_else(|| "what was on their day".to_owned(), |old| format!("the policy {old}"));
    let more = [(broken, "cannot be relied on (BROKEN)"), (unjudged, "could not be judged")];
    let more: Vec<String> = more.iter().filter(|(n, _)| *n > 0).map(|(n, what)| format!(", {n} {what}")).collect();
    let more = more.concat();
    let do_not = if not_met == 1 { "does not" } else { "do not" };
    let line = format!(
        "{} under the policy {new} against {against}: {changed} changed, {worse} for the worse, {not_met} {do_not} meet it{more}",
        in_words(shipments)
    );
    context.output.either(&object, &[line])
}

impl From<RejudgeError> for CommandError {
    fn from(error: RejudgeError) -> Self {
        Self::because("cannot judge the shipments", error)
    }
}
