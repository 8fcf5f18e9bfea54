//! `griptrace ship`.

use std::{collections::BTreeMap, path::PathBuf};

use griptrace_core::{
    date::Date,
    digest::Digest,
    id::NodeId,
    node::{Core, Edge, Kind, Role},
    value::Value,
    word::{Country, Word},
};

use super::{assess::paper, prove::erased::warn_of_files};
use crate::{
    arguments::{country, date, word},
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
    workspace::Workspace,
};

/// Record that models leave for a consignee
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
        let id = view::short(&node.id);
        context.output.talk(format_args!("griptrace prove {id} -o shipment.griptrace writes its evidence"));
    }
    Ok(Answer::YES)
}

/// Records a shipment.
pub(crate) fn ship(context: &Context, workspace: &Workspace, args: &Args) -> Result<Recorded, CommandError> {
    check_text("--to", &args.to).map_err(CommandError::failed)?;
    args.serial.iter().try_for_each(|serial| check_text("--serial", serial)).map_err(CommandError::failed)?;
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
    let record = make(core, details.values(), None, None)?;
    let to = || format!("to {} in {}", args.to, args.country);
    let name = args.name.clone().unwrap_or_else(to);
    recording::commit_records(workspace, vec![(record, name)])
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
