//! `griptrace ship`.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
};

use griptrace_core::{
    date::Date,
    details::Values,
    digest::Digest,
    id::NodeId,
    node::{Core, Edge, Kind, Role},
    value::Value,
    word::{Country, Word},
};
use griptrace_store::StoredNode;

use super::{assess::paper, prove::erased::warn_of_files};
use crate::{
    arguments::{country, date, word},
    clock,
    context::{Answer, Context, or_today},
    error::CommandError,
    recording::{
        self, Recorded,
        build::make,
        details::Details,
        lineage::{check_name, check_text},
    },
    resolve::resolve_only,
    view,
    workspace::{Workspace, name},
};

/// Record that models leave for a consignee
///
/// The same again is the same shipment: one more of that day needs a name or serial number of its own.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The models that ship
    #[arg(required = true, value_name = "MODEL")]
    pub(crate) models: Vec<String>,
    /// To whom
    #[arg(long, value_name = "NAME")]
    pub(crate) to: String,
    /// What the shipment is called
    #[arg(long)]
    pub(crate) name: Option<String>,
    /// To which country
    #[arg(long, value_parser = country)]
    pub(crate) country: Country,
    /// When it leaves [default: today]
    #[arg(long, value_parser = date)]
    pub(crate) date: Option<Date>,
    /// On what basis the data crosses the border, a word of the policy's vocabulary
    #[arg(long, value_parser = word)]
    pub(crate) basis: Option<Word>,
    /// What it is for, a word of the policy's vocabulary (can be repeated)
    #[arg(long, value_parser = word)]
    pub(crate) purpose: Vec<Word>,
    /// The serial number of a gripper (can be repeated)
    #[arg(long)]
    pub(crate) serial: Vec<String>,
    /// A paper that goes with it, recorded by its digest (can be repeated)
    #[arg(long, value_name = "FILE")]
    pub(crate) document: Vec<PathBuf>,
}

pub(crate) fn run(context: &Context, args: &Args) -> Result<Answer, CommandError> {
    let workspace = context.workspace_for_recording()?;
    let recorded = ship(context, &workspace, args)?;
    recording::report(&context.output, &recorded)?;
    if let Some(node) = recorded.nodes.first() {
        if node.already {
            context.output.talk(
                "hint: it says the same; for one more shipment give a --name, --serial or --date that tells them apart",
            );
        }
        let id = view::short(&node.id);
        context.output.talk(format_args!("griptrace prove {id} -o shipment.griptrace writes its evidence"));
    }
    Ok(Answer::YES)
}

/// Records a shipment.
pub(crate) fn ship(context: &Context, workspace: &Workspace, args: &Args) -> Result<Recorded, CommandError> {
    check(args)?;
    let mut models = Vec::new();
    for text in &args.models {
        models.push(resolve_only(workspace, &context.output, text, &[Kind::Model])?);
    }
    models.sort();
    models.dedup();
    refuse_collisions(workspace, &models)?;
    warn_of_erased(context, workspace, &models)?;
    let mut core = Core::new(Kind::Shipment, workspace.home(), [0; 16], Digest::ZERO);
    core.edges = models.iter().map(|id| Edge::local(Role::Ships, *id)).collect();
    core.country = Some(args.country);
    core.date = Some(or_today(args.date));
    core.basis.clone_from(&args.basis);
    core.purpose.clone_from(&args.purpose);
    core.purpose.sort();
    core.purpose.dedup();
    let mut details = Details::new(Kind::Shipment);
    details.set("consignee", Value::text(&args.to));
    if let Some(name) = &args.name {
        check_name(name).map_err(CommandError::failed)?;
        details.set("name", Value::text(name));
    }
    if !args.serial.is_empty() {
        details.set("serials", Value::List(args.serial.iter().map(Value::text).collect()));
    }
    if !args.document.is_empty() {
        let papers = args.document.iter().map(|path| paper(path)).collect::<Result<_, _>>()?;
        details.set("documents", Value::List(papers));
    }
    warn_of_day(context, workspace, &models, or_today(args.date))?;
    let record = match recorded_before(context, workspace, args, (&core, &details.values()))? {
        Some(before) => before.record,
        None => make(core, details.values(), None, None)?,
    };
    let to = || format!("to {} in {}", args.to, args.country);
    let name = args.name.clone().unwrap_or_else(to);
    recording::commit_records(workspace, &context.output, vec![(record, name)])
}

fn check(args: &Args) -> Result<(), CommandError> {
    check_text("--to", &args.to).map_err(CommandError::failed)?;
    args.serial.iter().try_for_each(|serial| check_text("--serial", serial)).map_err(CommandError::failed)?;
    if let Some(date) = args.date.filter(|date| *date > clock::today()) {
        let text = format!("--date {date} is in the future: today is {} in UTC", clock::today());
        return Err(CommandError::failed(text));
    }
    Ok(())
}

/// Finds the shipment that says the same, which is recorded no second time (Rule R10); warns of one of the same name that
/// says something else, and of one of which was erased what this one has.
fn recorded_before(
    context: &Context,
    workspace: &Workspace,
    args: &Args,
    (core, values): (&Core, &Values),
) -> Result<Option<StoredNode>, CommandError> {
    let said = |core: &Core| (core.edges.clone(), core.country, core.date, core.basis.clone(), core.purpose.clone());
    let (mut erased, mut called) = (None, None);
    for before in alike(workspace, args, core)? {
        let is_same = said(&before.core) == said(core);
        if workspace.is_aside(&before)? {
            continue;
        }
        if is_same && before.record.values == *values {
            return Ok(Some(before));
        }
        let gone = before.record.secret.erased();
        let is_kept = |(slot, value): (&u8, _)| gone.contains(slot) || before.record.values.get(slot) == Some(value);
        if is_same && values.keys().any(|slot| gone.contains(slot)) && values.iter().all(is_kept) {
            erased = Some(view::headline(&before));
        } else if args.name.is_some() && args.name == name(&before) {
            called = Some(view::headline(&before));
        }
    }
    if let Some(before) = erased {
        context.output.warn(format_args!(
            "it was recorded before as {before}, of which was erased what this has: this is a new record, which has it again"
        ));
    }
    if let Some(before) = called {
        context
            .output
            .warn(format_args!("another shipment is called so, {before}: the name alone names neither from now on"));
    }
    Ok(None)
}

/// Returns the shipments of one of the models, and those of the name.
fn alike(workspace: &Workspace, args: &Args, core: &Core) -> Result<Vec<StoredNode>, CommandError> {
    let mut ids = BTreeSet::new();
    if let Some(model) = core.edges_of(Role::Ships).next() {
        let below = workspace.store.descendants(&model.to).map_err(|e| e.while_doing("cannot list the shipments"))?;
        ids.extend(below.iter().filter(|found| found.kind == Kind::Shipment).map(|found| found.id));
    }
    if let Some(name) = &args.name {
        ids.extend(workspace.store.by_name(name)?);
    }
    let ids: Vec<NodeId> = ids.into_iter().collect();
    workspace.store.prefetch_marks(&ids)?;
    let nodes = ids.iter().map(|id| workspace.node(id)).collect::<Result<Vec<_>, _>>()?;
    Ok(nodes.into_iter().filter(|node| node.core.kind == Kind::Shipment).collect())
}

/// Warns of a shipment that is dated before what ships was made.
fn warn_of_day(context: &Context, workspace: &Workspace, models: &[NodeId], day: Date) -> Result<(), CommandError> {
    for id in models {
        let model = workspace.node(id)?;
        for edge in model.core.edges_of(Role::GeneratedBy) {
            if let Some(made) = workspace.node(&edge.to)?.core.date.filter(|made| day < *made) {
                let title = view::headline(&model);
                context.output.warn(format_args!("the shipment is dated {day}, and {title} was made on {made}"));
            }
        }
    }
    Ok(())
}

/// Warns of models whose files no bundle opens any more.
fn warn_of_erased(context: &Context, workspace: &Workspace, models: &[NodeId]) -> Result<(), CommandError> {
    for id in models {
        warn_of_files(context, &workspace.node(id)?, "");
    }
    Ok(())
}

/// Rule R12: two shipped models may not have a file of the same path, and each must have its files.
fn refuse_collisions(workspace: &Workspace, models: &[NodeId]) -> Result<(), CommandError> {
    let mut seen: BTreeMap<Vec<u8>, String> = BTreeMap::new();
    for id in models {
        let node = workspace.node(id)?;
        let title = view::headline(&node);
        if let Some(mark) = workspace.put_aside(id)? {
            return Err(CommandError::failed(format!("{title} can't ship: it bears the mark {mark}")));
        }
        if let Some(since) = workspace.ended_before(&node) {
            let text = format!("{title} can't ship: the key that recorded it does not count from leaf {since} on");
            return Err(CommandError::failed(text).with_hint("record it again"));
        }
        if workspace.store.is_withheld(id) {
            return Err(CommandError::failed(format!("{title} can't ship: its files are withheld by the server"))
                .with_hint("ask the operator to let you see the details of what you ship"));
        }
        let Some(manifest) = &node.record.manifest else {
            return Err(CommandError::failed(format!("{title} can't ship: its files were not recorded"))
                .with_hint("a buyer compares files; record the model with its path"));
        };
        for file in &manifest.files {
            let folded = String::from_utf8_lossy(&file.path).to_lowercase().into_bytes();
            if let Some(other) = seen.insert(folded, title.clone()) {
                let path = String::from_utf8_lossy(&file.path);
                return Err(CommandError::failed(format!("{other} and {title} both have the file {path:?}"))
                    .with_hint("ship them apart, or record one of them with the file under another name"));
            }
        }
    }
    Ok(())
}
