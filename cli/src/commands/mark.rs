//! `griptrace mark`.

use std::path::PathBuf;

use griptrace_core::{
    assessment::assessed,
    date::Date,
    details::Values,
    digest::Digest,
    id::NodeId,
    node::{Core, Edge, Kind, Mark, Role},
    value::Value,
    word::Word,
};
use griptrace_store::StoredNode;

use super::{assess::paper, policy::load};
use crate::{
    arguments::{date, word},
    clock,
    context::{Answer, Context, or_today},
    error::CommandError,
    recording::{self, Recorded, build::make, details::Details, signed_mark::SignedMark},
    resolve::{resolve, resolve_only},
    view,
    workspace::Workspace,
};

/// Mark a node: withdraw, supersede, reclassify, recall or refuse
///
/// A node that is wrong is corrected in two steps: record it anew, then mark the old one with
/// `supersede --successor`. Both stay; a verifier counts the worse of the two.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// What the mark says: withdraw, supersede, reclassify, recall or refuse
    #[arg(value_parser = mark)]
    pub(crate) mark: Mark,
    /// The node that it says it of. An assessment has no name: it is named by its id, which `griptrace show NODE` lists
    /// for what was assessed; `assessment` means the newest that is not put aside, unless a node is called so
    pub(crate) node: String,
    /// supersede: the corrected node
    #[arg(long, value_name = "NODE")]
    pub(crate) successor: Option<String>,
    /// reclassify: the new grade
    #[arg(long, value_parser = word)]
    pub(crate) grade: Option<Word>,
    /// reclassify: refuse a grade that is none of this policy's
    #[arg(long, value_name = "FILE", requires = "grade")]
    pub(crate) policy: Option<PathBuf>,
    /// Why
    #[arg(long)]
    pub(crate) reason: String,
    /// A paper with the evidence, recorded by its digest
    #[arg(long, value_name = "FILE")]
    pub(crate) evidence: Option<PathBuf>,
    /// withdraw, refuse: the assessor's own word, in the file that `assess withdraw` wrote
    #[arg(long, value_name = "FILE", conflicts_with = "date")]
    pub(crate) statement: Option<PathBuf>,
    /// When it was made [default: today]
    #[arg(long, value_parser = date)]
    pub(crate) date: Option<Date>,
}

fn mark(text: &str) -> Result<Mark, String> {
    Mark::from_word(text).ok_or_else(|| "a mark is withdraw, supersede, reclassify, recall or refuse".to_owned())
}

pub(crate) fn run(context: &Context, args: &Args) -> Result<Answer, CommandError> {
    let workspace = context.workspace_for_recording()?;
    let recorded = set_mark(context, &workspace, args)?;
    recording::report(&context.output, &recorded)?;
    Ok(Answer::YES)
}

/// Records a mark.
pub(crate) fn set_mark(context: &Context, workspace: &Workspace, args: &Args) -> Result<Recorded, CommandError> {
    let target = workspace.node(&resolve_only(workspace, &context.output, &args.node, &[])?)?;
    let successor = args.successor.as_deref().map(|text| resolve(workspace, &context.output, text)).transpose()?;
    check(workspace, args, &target, successor)?;
    if let Some(grade) = &args.grade {
        check_grade(context, workspace, args, &target, grade)?;
    }
    let mut core = Core::new(Kind::Status, workspace.home(), [0; 16], Digest::ZERO);
    core.edges = vec![Edge::local(Role::Marks, target.id)];
    core.edges.extend(successor.map(|id| Edge::local(Role::Successor, id)));
    core.mark = Some(args.mark);
    core.grade.clone_from(&args.grade);
    let (date, statement) = assessor_mark(workspace, args, &target)?;
    core.date = Some(date);
    core.statement = statement;
    let mut details = Details::new(Kind::Status);
    details.set("reason", Value::text(&args.reason));
    if let Some(path) = &args.evidence {
        details.set("evidence", paper(path)?);
    }
    // Said again it is the same mark: whoever was cut off, and can't know whether it is in the log, does it again.
    let last = workspace.marks(&target.id)?.pop().filter(|last| says(last, &core, &details.values()));
    let record = last.map_or_else(|| make(core, details.values(), None, None), |last| Ok(last.record))?;
    let name = format!("{} {}", args.mark, view::headline(&target));
    recording::commit_records(workspace, &context.output, vec![(record, name)])
}

/// Tells whether a mark that is recorded says this, and nothing else.
fn says(recorded: &StoredNode, core: &Core, values: &Values) -> bool {
    let said = |core: &Core| (core.mark, core.grade.clone(), core.date, core.statement.clone(), core.edges.clone());
    said(&recorded.core) == said(core) && recorded.record.values == *values
}

fn check(
    workspace: &Workspace,
    args: &Args,
    target: &StoredNode,
    successor: Option<NodeId>,
) -> Result<(), CommandError> {
    if args.reason.trim().is_empty() {
        return Err(CommandError::failed("a mark needs a reason: --reason is empty"));
    }
    if let Some(date) = args.date.filter(|date| *date > clock::today()) {
        let text = format!("--date {date} is in the future: today is {} in UTC", clock::today());
        return Err(CommandError::failed(text));
    }
    let kind = target.core.kind;
    if matches!(kind, Kind::Status | Kind::Erasure) {
        return Err(CommandError::failed(format!("{} can't be marked: it is a {kind}", args.node)));
    }
    match (args.mark, successor) {
        (Mark::Supersede, None) => {
            return Err(CommandError::failed("a superseded node needs --successor NODE")
                .with_hint("record the corrected one first, then mark the old one; `withdraw` needs no successor"));
        }
        (Mark::Supersede, Some(id)) => check_successor(workspace, target, id)?,
        (_, Some(_)) => {
            return Err(CommandError::failed(format!("--successor goes with supersede, not with {}", args.mark)));
        }
        (_, None) => {}
    }
    let graded = matches!(kind, Kind::Dataset | Kind::Model);
    match (args.mark == Mark::Reclassify, &args.grade) {
        (true, None) => Err(CommandError::failed("a reclassification needs --grade GRADE")),
        (false, Some(_)) => Err(CommandError::failed(format!("--grade goes with reclassify, not with {}", args.mark))),
        (true, Some(_)) if !graded => Err(CommandError::failed(format!("a {kind} has no grade to reclassify"))),
        (true, Some(_)) | (false, None) => Ok(()),
    }
}

/// Refuses a grade that the policy lacks, and warns of one that nothing here has.
fn check_grade(
    context: &Context,
    workspace: &Workspace,
    args: &Args,
    target: &StoredNode,
    grade: &Word,
) -> Result<(), CommandError> {
    const LOWERING: &str = "lowering a grade needs the role `regrade` in the buyer's trust file";
    if let Some(path) = &args.policy {
        let policy = load(path)?;
        let Some(rank) = policy.grade_rank(grade) else {
            let words: Vec<String> = policy.grades.iter().map(ToString::to_string).collect();
            return Err(CommandError::failed(format!("{:?} is no grade of the policy {}", grade.as_str(), policy.id))
                .with_hint(format!("its grades are {}", words.join(", "))));
        };
        if target.core.grade.as_ref().and_then(|old| policy.grade_rank(old)).is_some_and(|old| rank < old) {
            context.output.warn(format_args!("this lowers the grade: {LOWERING}"));
        }
    }
    for kind in [Kind::Dataset, Kind::Model] {
        let ids = workspace.store.of_kind(kind).map_err(|e| e.while_doing("cannot list the nodes"))?;
        workspace.store.prefetch(&ids)?;
        for id in ids {
            if workspace.node(&id)?.core.grade.as_ref() == Some(grade) {
                return Ok(());
            }
        }
    }
    context.output.warn(format_args!(
        "no data set or model of this store has the grade {:?}: is it a word of the buyer's policy? {LOWERING}",
        grade.as_str()
    ));
    Ok(())
}

fn check_successor(workspace: &Workspace, target: &StoredNode, id: NodeId) -> Result<(), CommandError> {
    let successor = workspace.node(&id)?;
    if id == target.id {
        return Err(CommandError::failed("a node can't take its own place").with_hint(
            "a name means the newest node that is not put aside: name the old one by its id (griptrace log shows it)",
        ));
    }
    if successor.core.kind != target.core.kind {
        let (new, old) = (successor.core.kind, target.core.kind);
        return Err(CommandError::failed(format!("a {new} can't take the place of a {old}")));
    }
    Ok(())
}

/// Returns the day of the mark, and the assessor's own signed one where one was brought.
fn assessor_mark(
    workspace: &Workspace,
    args: &Args,
    target: &StoredNode,
) -> Result<(Date, Option<Vec<u8>>), CommandError> {
    let Some(path) = &args.statement else { return Ok((or_today(args.date), None)) };
    let of = assessed(target.id, &target.core).ok().filter(|_| target.core.kind == Kind::Assessment);
    let Some(of) = of.filter(|of| of.signed.is_some()) else {
        let text = format!("--statement brings an assessor's mark on a signed assessment; {} is none", args.node);
        return Err(CommandError::failed(text));
    };
    if !matches!(args.mark, Mark::Withdraw | Mark::Refuse) {
        return Err(CommandError::failed(format!("an assessor withdraws or refuses; {} is neither", args.mark)));
    }
    let brought = SignedMark::read_from(path, &of)?;
    brought.check(workspace.home(), &of, args.mark)?;
    Ok((brought.mark.date, Some(brought.bytes)))
}
