//! `griptrace erase`.

mod namesakes;

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
};

use griptrace_core::{
    date::Date,
    details::{slot, slot_names},
    id::NodeId,
    limits::DETAIL_SLOTS,
    node::Kind,
    value::Value,
};
use griptrace_store::{Erase, EraseError, Erased, OpenError, Store, StoredNode, record::ManifestRecord};
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
    view::{field_name, headline, short},
    workspace::{Workspace, detail},
};

/// Erase details or files of a node from the store: a person's request, a recalled recording
///
/// The value, its salt and the secret seed are overwritten, and an Erasure is recorded. Ids, proofs and every bundle that was
/// made before hold; what was erased is unknown from then on. It can't be undone.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The node: an id, a name, or a file
    pub(crate) node: String,
    /// The details to erase, as `griptrace show` names them. Of `content` and `manifest` the files are the same once more: with
    /// them, all files have to go
    #[arg(value_name = "FIELD", required_unless_present_any = ["file", "files"])]
    pub(crate) fields: Vec<String>,
    /// Erase the path, size and digests of this file of the node's manifest, as `griptrace show --files` names it; may be
    /// given several times
    #[arg(long, value_name = "PATH")]
    pub(crate) file: Vec<PathBuf>,
    /// Erase all files of the node's manifest
    #[arg(long, conflicts_with = "file")]
    pub(crate) files: bool,
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
    let named = named(args, &target)?;
    let there = there(context, &workspace, args, &target, &named)?;
    if there.is_empty() {
        return Ok(Answer::YES);
    }
    refuse_half(args, &target, &there)?;
    if there.touches_files(target.core.kind) {
        // Before, so that a command that was cut off has no reason to come back for it.
        workspace.forget_hashes()?;
    }
    if is_in(target.core.kind, "name", &there.slots) && args.node != target.id.to_string() {
        context.output.talk(format_args!("should it be cut off, give the same with the id: {}", target.id));
    }
    let (date, values) = (or_today(args.date), details(args)?.values());
    let erase = Erase { target: target.id, slots: there.slots.clone(), files: there.files.clone(), date, values };
    let key = workspace.committer_key()?;
    let erased = store(&workspace)?
        .erase(erase, &key, &workspace.config.issuer, clock::now())
        .map_err(|error| failed(error, args, &target))?;
    report(context, &workspace.node(&target.id)?, &there, &erased)?;
    tell(context, &workspace, &target, &there, &erased);
    namesakes::tell(context, &workspace, &target, &there)?;
    Ok(Answer::YES)
}

/// What is to be erased of a node: each once.
#[derive(Default)]
struct What {
    slots: Vec<u8>,
    files: Vec<Vec<u8>>,
}

impl What {
    const fn is_empty(&self) -> bool {
        self.slots.is_empty() && self.files.is_empty()
    }

    /// Tells whether what is known of files is among it.
    fn touches_files(&self, kind: Kind) -> bool {
        !self.files.is_empty() || OVER_FILES.iter().any(|name| is_in(kind, name, &self.slots))
    }
}

/// The details that are digests over all files.
pub(crate) const OVER_FILES: [&str; 2] = ["content", "manifest"];

fn is_in(kind: Kind, name: &str, slots: &[u8]) -> bool {
    slot(kind, name).is_some_and(|slot| slots.contains(&slot))
}

fn files_of(target: &StoredNode) -> impl Iterator<Item = &Vec<u8>> {
    target.record.manifest.iter().flat_map(|manifest| &manifest.files).map(|file| &file.path)
}

/// Finds what the command names.
fn named(args: &Args, target: &StoredNode) -> Result<What, CommandError> {
    let mut slots = slots(args, target)?;
    let mut files: Vec<Vec<u8>> = if args.files {
        if target.record.manifest.is_none() {
            return Err(CommandError::failed(format!("{} has no files", headline(target))));
        }
        files_of(target).cloned().collect()
    } else {
        args.file.iter().map(|path| bytes_of(path)).collect()
    };
    let (mut seen_slots, mut seen_files) = (BTreeSet::new(), BTreeSet::new());
    slots.retain(|slot| seen_slots.insert(*slot));
    files.retain(|path| seen_files.insert(path.clone()));
    Ok(What { slots, files })
}

/// Returns what of it is still there, and says by which Erasures the rest went: a command that was cut off is given again.
fn there(
    context: &Context,
    workspace: &Workspace,
    args: &Args,
    target: &StoredNode,
    named: &What,
) -> Result<What, CommandError> {
    let erased = target.record.secret.erased();
    let (gone, slots): (Vec<u8>, Vec<u8>) = named.slots.iter().partition(|slot| erased.contains(slot));
    let known: Vec<&Vec<u8>> = files_of(target).collect();
    let (files, missing): (Vec<Vec<u8>>, Vec<Vec<u8>>) =
        named.files.iter().cloned().partition(|path| known.contains(&path));
    let erased_files = target.record.manifest.as_ref().map_or(0, ManifestRecord::erased);
    let mut of_these = Vec::new();
    let mut is_same = false;
    for id in store(workspace)?.erasures_of(&target.id)? {
        let erasure = workspace.node(&id)?;
        let took_files = erasure.core.erased_files.is_some();
        // What a file was called is gone with it: that the command is the same is seen by its reason.
        let is_this = took_files && detail(&erasure, "reason") == Some(Value::text(&args.reason));
        is_same |= is_this;
        let took_these = (!missing.is_empty() && is_this) || (args.files && files.is_empty() && took_files);
        if took_these || erasure.core.erased_slots.iter().any(|slot| gone.contains(slot)) {
            of_these.push(erasure);
        }
    }
    let is_too_many = u64::try_from(missing.len()).unwrap_or(u64::MAX) > erased_files;
    if let Some(path) = missing.first().filter(|_| is_too_many || !is_same) {
        let path = String::from_utf8_lossy(path).into_owned();
        return Err(failed(EraseError::NoFile { path }, args, target));
    }
    let there = What { slots, files };
    if !of_these.is_empty() && workspace.config.bucket().is_some() {
        let objects = store(workspace)?.erased_objects(&target.id)?.join(", ");
        context.output.talk(format_args!("if the bucket keeps old versions of objects, remove those of: {objects}"));
    }
    for erasure in of_these {
        let object = json!({ "id": erasure.id.to_string(), "of": target.id.to_string(), "already_erased": true });
        let date = erasure.core.date.map_or_else(String::new, |date| format!(" on {date}"));
        let line = format!("already erased{date}  {}  of {}", short(&erasure.id), headline(target));
        if there.is_empty() { context.output.either(&object, &[line])? } else { context.output.talk(line) }
    }
    if !missing.is_empty() {
        let which = "no file of that path is there, and which ones an Erasure took is known to nobody";
        context.output.talk(format_args!("{which}: griptrace show --files {} lists what is left", short(&target.id)));
    }
    Ok(there)
}

/// Refuses to take digests over files while files stand from which they can be made again.
fn refuse_half(args: &Args, target: &StoredNode, there: &What) -> Result<(), CommandError> {
    let kind = target.core.kind;
    let over: Vec<&str> = OVER_FILES.into_iter().filter(|name| is_in(kind, name, &there.slots)).collect();
    let stay = files_of(target).filter(|path| !there.files.contains(path)).count();
    if over.is_empty() || stay == 0 {
        return Ok(());
    }
    let over = over.join(" and ");
    let text =
        format!("the {over} of {} would still stand in its list of files, of which {stay} stay", headline(target));
    let error = CommandError::failed(text).with_hint(format!(
        "erase all its files too: griptrace erase {} {} --files; nothing was erased now",
        args.node,
        args.fields.join(" ")
    ));
    if kind != Kind::Model {
        return Err(error);
    }
    Err(error
        .with_hint("every later bundle of a shipment of this model is BROKEN to its buyer then (model-not-opened)"))
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
        // As `griptrace show` calls what this version has no name for.
        let number = || name.strip_prefix("slot-")?.parse().ok().filter(|slot| *slot < DETAIL_SLOTS);
        slot(kind, &name).or_else(number).ok_or_else(|| {
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
    let field = |slot: u8| field_name(kind, slot);
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

fn report(context: &Context, left: &StoredNode, what: &What, erased: &Erased) -> Result<(), CommandError> {
    let fields: Vec<String> = what.slots.iter().map(|slot| field_name(left.core.kind, *slot)).collect();
    let object = json!({
        "id": erased.id.to_string(), "kind": Kind::Erasure.word(), "of": left.id.to_string(), "fields": fields,
        "files": what.files.len(), "objects": erased.objects, "index": erased.receipt.index, "size": erased.receipt.size,
    });
    let files = match what.files.len() {
        0 => None,
        1 => Some("1 file".to_owned()),
        more => Some(format!("{more} files")),
    };
    let what: Vec<String> = fields.into_iter().chain(files).collect();
    let line = format!("erased            {}  of {}", what.join(", "), headline(left));
    let recorded = format!("recorded          erasure         {}", short(&erased.id));
    context.output.either(&object, &[line, recorded])
}

/// Says in words what still has the value, and what goes with it.
fn tell(context: &Context, workspace: &Workspace, target: &StoredNode, what: &What, erased: &Erased) {
    let (output, kind) = (&context.output, target.core.kind);
    output.talk(
        "it still stands in what was handed out or copied before: bundles, drafts, backups (griptrace backup onto one carries the erasure over; older ones have to be removed)",
    );
    if workspace.config.bucket().is_some() {
        output.talk(format_args!(
            "if the bucket keeps old versions of objects, remove those of: {} (of a block, those of the segments that it was put together from too)",
            erased.objects.join(", ")
        ));
    }
    warn_of_adopted(context, workspace, &target.id);
    if is_in(kind, "name", &what.slots) {
        output.talk(format_args!(
            "hint: it is found by its id {} from now on, and clients of a server that are held to prefixes of names don't see its details any more",
            target.id
        ));
    }
    let takes_digests = OVER_FILES.iter().any(|name| is_in(kind, name, &what.slots));
    if kind == Kind::Model && (takes_digests || !what.files.is_empty()) {
        output.talk(
            "hint: no bundle that is made from now on opens the files of this model: every one of a shipment of it is BROKEN to its buyer (model-not-opened); griptrace prove --update-of keeps what an older bundle opened",
        );
    }
    hint_at_digests(context, target, what);
}

/// Names the adopted bundles that have the node: they are kept as they came.
fn warn_of_adopted(context: &Context, workspace: &Workspace, id: &NodeId) {
    let adopted = match workspace.store.adopted() {
        Ok(adopted) => adopted,
        Err(error) => {
            let text = "what was adopted can't be read, and may have it";
            return context.output.warn(format_args!("{text}: {}", error.source));
        }
    };
    for bundle in adopted.iter().filter(|bundle| bundle.logs.iter().any(|log| log.nodes.contains(id))) {
        context.output.warn(format_args!(
            "adopted/{} is another company's bundle that has this node, with what was opened of it; the store and its backups keep it as it came",
            bundle.digest
        ));
    }
}

/// Says which digests over all files stay after some were erased.
fn hint_at_digests(context: &Context, target: &StoredNode, what: &What) {
    let stays = |name: &&str| {
        slot(target.core.kind, name)
            .is_some_and(|slot| target.record.values.contains_key(&slot) && !what.slots.contains(&slot))
    };
    let hashes: Vec<&str> = OVER_FILES.into_iter().filter(stays).collect();
    if what.files.is_empty() || hashes.is_empty() {
        return;
    }
    let (are, them) = if hashes.len() == 1 { ("is", "it") } else { ("are", "them") };
    context.output.talk(format_args!(
        "hint: {} of the node {are} over all its files, the erased ones too: who has the others and a guess of an erased file can try it; griptrace erase {} {} --files takes {them} with the other files",
        hashes.join(" and "),
        short(&target.id),
        hashes.join(" "),
    ));
}

#[cfg(unix)]
fn bytes_of(path: &Path) -> Vec<u8> {
    std::os::unix::ffi::OsStrExt::as_bytes(path.as_os_str()).to_vec()
}

#[cfg(not(unix))]
fn bytes_of(path: &Path) -> Vec<u8> {
    path.to_string_lossy().replace('\\', "/").into_bytes()
}
