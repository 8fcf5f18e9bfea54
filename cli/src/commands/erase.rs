//! `griptrace erase`.

use std::path::{Path, PathBuf};

use griptrace_core::{
    date::Date,
    details::{slot, slot_name, slot_names},
    node::Kind,
    value::Value,
};
use griptrace_store::{Erase, EraseError, Erased, OpenError, Store, StoredNode};
use serde_json::json;

use super::assess::paper;
use crate::{
    arguments::date,
    clock,
    context::{Answer, Context, or_today},
    error::CommandError,
    log_source::Log,
    recording::details::Details,
    resolve::resolve_only,
    suggest::nearest,
    view::{headline, short},
    workspace::Workspace,
};

/// Erase details or files of a node from the store: a person's request, a recalled recording
///
/// The value, its salt and the secret seed are overwritten, and an Erasure is recorded. Ids, proofs and every bundle that was
/// made before hold; what was erased is unknown from then on. It can't be undone.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The node: an id, a name, or a file
    pub(crate) node: String,
    /// The details to erase, as `griptrace show` names them
    #[arg(value_name = "FIELD", required_unless_present = "file")]
    pub(crate) fields: Vec<String>,
    /// Erase the path, size and digests of this file of the node's manifest, as `griptrace show --files` names it; may be
    /// given several times
    #[arg(long, value_name = "PATH")]
    pub(crate) file: Vec<PathBuf>,
    /// Why
    #[arg(long)]
    pub(crate) reason: String,
    /// A paper with the request or order, recorded by its digest
    #[arg(long, value_name = "FILE")]
    pub(crate) evidence: Option<PathBuf>,
    /// Who asked for it or ordered it
    #[arg(long, value_name = "TEXT")]
    pub(crate) authority: Option<String>,
    /// A remark
    #[arg(long, value_name = "TEXT")]
    pub(crate) note: Option<String>,
    /// When it was erased [default: today]
    #[arg(long, value_parser = date)]
    pub(crate) date: Option<Date>,
}

pub(crate) fn run(context: &Context, args: &Args) -> Result<Answer, CommandError> {
    if let Some(url) = Workspace::server_url(context)? {
        let text = format!("erasing needs the store itself, and {url} is a server");
        return Err(CommandError::failed(text).with_hint(
            "where the store or its bucket is reached: end the servers that may write to it, then griptrace erase --store DIR (docs/operations.md)",
        ));
    }
    check(args)?;
    let mut workspace = context.workspace_for_recording().map_err(who_writes)?;
    let target = workspace.node(&resolve_only(&workspace, &context.output, &args.node, &[])?)?;
    let slots = slots(args, &target)?;
    if let Some(answer) = erased_before(context, &workspace, args, &target, &slots)? {
        return Ok(answer);
    }
    let files: Vec<Vec<u8>> = args.file.iter().map(|path| bytes_of(path)).collect();
    if !files.is_empty() {
        // Before, so that a command that was cut off has no reason to come back for it.
        workspace.forget_hashes()?;
    }
    let date = or_today(args.date);
    let erase = Erase { target: target.id, slots: slots.clone(), files, date, values: details(args)?.values() };
    let key = workspace.committer_key()?;
    let erased = store(&workspace)?
        .erase(erase, &key, &workspace.config.issuer, clock::now())
        .map_err(|error| failed(error, args, &target))?;
    report(context, &workspace.node(&target.id)?, &slots, args, &erased)?;
    tell(context, &workspace, &target, &slots, args, &erased);
    Ok(Answer::YES)
}

fn store(workspace: &Workspace) -> Result<&Store, CommandError> {
    match &workspace.store {
        Log::Local(store) => Ok(store),
        Log::Remote(_) => Err(CommandError::failed("erasing needs the store itself")),
    }
}

fn check(args: &Args) -> Result<(), CommandError> {
    if args.reason.trim().is_empty() {
        return Err(CommandError::failed("an erasure needs a reason: --reason is empty"));
    }
    if let Some(date) = args.date.filter(|date| *date > clock::today()) {
        let text = format!("--date {date} is in the future: today is {} in UTC", clock::today());
        return Err(CommandError::failed(text));
    }
    Ok(())
}

/// Says what to do about another one that writes.
fn who_writes(error: CommandError) -> CommandError {
    let cause = error.source.source().and_then(|cause| cause.downcast_ref::<OpenError>());
    let hint = match cause {
        Some(OpenError::Locked { .. }) => "if it is a server: end it, erase, and start it again",
        Some(OpenError::Taken { .. }) => {
            "end every server that may write to this log, or start it again with --replica: whoever erases takes the turn, and replicas go on meanwhile (docs/operations.md)"
        }
        Some(_) | None => return error,
    };
    // That of a commit does not help here.
    CommandError { hints: Vec::new(), ..error }.with_hint(hint)
}

/// Finds the slots of the fields.
fn slots(args: &Args, target: &StoredNode) -> Result<Vec<u8>, CommandError> {
    let kind = target.core.kind;
    let find = |field: &String| {
        let name = field.replace('_', "-");
        slot(kind, &name).ok_or_else(|| {
            let known = slot_names(kind);
            let near = nearest(&name, known.iter().copied());
            let hint = near.map_or_else(
                || format!("its details are {}", known.join(", ")),
                |near| format!("did you mean {near:?}?"),
            );
            CommandError::failed(format!("{field:?} is no detail of a {kind}"))
                .with_hint(hint)
                .with_hint("what stands in the core (griptrace inspect) is hashed into the id, and can't be erased")
        })
    };
    args.fields.iter().map(find).collect()
}

/// Answers a command that was given again: all that it asks for was erased.
fn erased_before(
    context: &Context,
    workspace: &Workspace,
    args: &Args,
    target: &StoredNode,
    slots: &[u8],
) -> Result<Option<Answer>, CommandError> {
    let gone = target.record.secret.erased();
    if !args.file.is_empty() || !slots.iter().all(|slot| gone.contains(slot)) {
        return Ok(None);
    }
    let mut of_these = Vec::new();
    for id in store(workspace)?.erasures_of(&target.id)? {
        let erasure = workspace.node(&id)?;
        if erasure.core.erased_slots.iter().any(|slot| slots.contains(slot)) {
            of_these.push(erasure);
        }
    }
    for erasure in of_these {
        let object = json!({ "id": erasure.id.to_string(), "of": target.id.to_string(), "already_erased": true });
        let date = erasure.core.date.map_or_else(String::new, |date| format!(" on {date}"));
        let line = format!("already erased{date}  {}  of {}", short(&erasure.id), headline(target));
        context.output.either(&object, &[line])?;
    }
    Ok(Some(Answer::YES))
}

fn details(args: &Args) -> Result<Details, CommandError> {
    let mut details = Details::new(Kind::Erasure);
    details.set("reason", Value::text(&args.reason));
    if let Some(path) = &args.evidence {
        details.set("evidence", paper(path)?);
    }
    for (name, text) in [("authority", &args.authority), ("note", &args.note)] {
        text.iter().for_each(|text| details.set(name, Value::text(text)));
    }
    Ok(details)
}

fn failed(error: EraseError, args: &Args, target: &StoredNode) -> CommandError {
    let kind = target.core.kind;
    let field = |slot: u8| slot_name(kind, slot).map_or_else(|| slot.to_string(), str::to_owned);
    match error {
        EraseError::NoValue { slot } => {
            CommandError::failed(format!("{} has no {}", headline(target), field(slot)))
        }
        EraseError::Gone { slot } => {
            CommandError::failed(format!("the {} of {} was erased before", field(slot), headline(target)))
                .with_hint("leave it out; nothing was erased now")
        }
        EraseError::NoFile { path } => {
            CommandError::failed(format!("{} has no file {path:?}, or it was erased before", headline(target)))
                .with_hint(format!("griptrace show --files {} lists what it has; nothing was erased now", args.node))
        }
        EraseError::Storage(error) => CommandError::because("the Erasure is not carried out, or not wholly", error)
            .with_hint("what was begun is brought to its end by whoever opens the log for writing next: give the command again, or griptrace fsck tells"),
        other @ (EraseError::NoNode { .. } | EraseError::Nothing { .. } | EraseError::Commit(_) | _) => {
            CommandError::because(format!("cannot erase anything of {}", headline(target)), other)
        }
    }
}

fn report(
    context: &Context,
    left: &StoredNode,
    slots: &[u8],
    args: &Args,
    erased: &Erased,
) -> Result<(), CommandError> {
    let kind = left.core.kind;
    let fields: Vec<&str> = slots.iter().filter_map(|slot| slot_name(kind, *slot)).collect();
    let object = json!({
        "id": erased.id.to_string(), "kind": Kind::Erasure.word(), "of": left.id.to_string(), "fields": fields,
        "files": args.file.len(), "objects": erased.objects, "index": erased.receipt.index, "size": erased.receipt.size,
    });
    let files = match args.file.len() {
        0 => None,
        1 => Some("1 file".to_owned()),
        more => Some(format!("{more} files")),
    };
    let what: Vec<String> = fields.iter().map(|field| (*field).to_owned()).chain(files).collect();
    let line = format!("erased            {}  of {}", what.join(", "), headline(left));
    let recorded = format!("recorded          erasure         {}", short(&erased.id));
    context.output.either(&object, &[line, recorded])
}

/// Says in words what still has the value.
fn tell(context: &Context, workspace: &Workspace, target: &StoredNode, slots: &[u8], args: &Args, erased: &Erased) {
    let output = &context.output;
    output.talk(
        "it still stands in what was handed out or copied before: bundles, drafts, backups (griptrace backup onto one carries the erasure over; older ones have to be removed)",
    );
    if workspace.config.bucket().is_some() {
        output.talk(format_args!(
            "if the bucket keeps old versions of objects, remove those of: {}",
            erased.objects.join(", ")
        ));
    }
    let stays = |name: &&str| {
        slot(target.core.kind, name)
            .is_some_and(|slot| target.record.values.contains_key(&slot) && !slots.contains(&slot))
    };
    let hashes: Vec<&str> = ["content", "manifest"].into_iter().filter(stays).collect();
    if !args.file.is_empty() && !hashes.is_empty() {
        output.talk(format_args!(
            "hint: {} of the node {} over all its files, the erased ones too: who has the others and a guess of an erased file can try it; griptrace erase {} {} takes {} too",
            hashes.join(" and "),
            if hashes.len() == 1 { "is" } else { "are" },
            short(&target.id),
            hashes.join(" "),
            if hashes.len() == 1 { "it" } else { "them" },
        ));
    }
}

#[cfg(unix)]
fn bytes_of(path: &Path) -> Vec<u8> {
    std::os::unix::ffi::OsStrExt::as_bytes(path.as_os_str()).to_vec()
}

#[cfg(not(unix))]
fn bytes_of(path: &Path) -> Vec<u8> {
    path.to_string_lossy().replace('\\', "/").into_bytes()
}
