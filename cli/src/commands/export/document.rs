//! Documents about the lineage in a bundle: `griptrace export cyclonedx`, `prov`, `slsa`.

use std::path::{Path, PathBuf};

use griptrace_core::{id::NodeId, node::Kind};
use griptrace_export::{
    cyclonedx,
    lineage::Lineage,
    prov, slsa,
    statement::{envelope, holds_only},
};
use griptrace_verify::Evidence;
use serde_json::{Value as Json, json};

use super::{Written, json_file, write};
use crate::{
    context::{Answer, Context, IsOwn, read_bundle},
    error::CommandError,
    keyfile,
    view::short,
};

/// Nodes that are named of those that bear a mark.
pub(super) const MARKED_TOLD: usize = 5;

/// A document about a bundle
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The bundle
    pub(crate) bundle: PathBuf,
    /// Whom you believe: the bundle's evidence has to hold together under this trust file
    #[arg(long, value_name = "FILE")]
    pub(crate) trust: PathBuf,
    /// Bring the bundle up to date with this update first; may be given several times, in order
    #[arg(long = "update", value_name = "FILE")]
    pub(crate) updates: Vec<PathBuf>,
    /// The file to write
    #[arg(short, long, value_name = "FILE")]
    pub(crate) output: PathBuf,
}

/// Statements about a bundle
#[derive(Debug, clap::Args)]
pub(crate) struct SlsaArgs {
    #[command(flatten)]
    pub(crate) document: Args,
    /// Sign each statement with this key, in a DSSE envelope
    #[arg(long, value_name = "KEY")]
    pub(crate) key: Option<PathBuf>,
}

pub(super) fn cyclonedx(context: &Context, args: &Args) -> Result<Answer, CommandError> {
    let lineage = lineage(&args.bundle, &args.trust, &args.updates)?;
    let bytes = json_file(&cyclonedx::bom(&lineage));
    put(context, args, &bytes, ("CycloneDX BOM", &cyclonedx::is_bom), (&lineage, None, &[]))
}

pub(super) fn prov(context: &Context, args: &Args) -> Result<Answer, CommandError> {
    let lineage = lineage(&args.bundle, &args.trust, &args.updates)?;
    let bytes = json_file(&prov::document(&lineage));
    put(context, args, &bytes, ("PROV-JSON", &prov::is_document), (&lineage, None, &[]))
}

pub(super) fn slsa(context: &Context, args: &SlsaArgs) -> Result<Answer, CommandError> {
    let Args { bundle, trust, updates, .. } = &args.document;
    let lineage = lineage(bundle, trust, updates)?;
    let made = slsa::provenance(&lineage);
    warn_of_marks(context, &made.void);
    for model in &made.left_out {
        let model = short(model);
        context.output.warn(format_args!(
            "no digest of a file of the model {model} is disclosed: no statement says how it was made"
        ));
    }
    if made.statements.is_empty() {
        return Err(CommandError::failed("no step of the bundle made a model whose files are known by a digest")
            .with_hint("a bundle of a shipment opens the files of what ships"));
    }
    let key = args.key.as_deref().map(keyfile::read).transpose()?.map(|key| key.signer()).transpose()?;
    let line = |statement: &Json| match &key {
        Some(key) => json_file(&envelope(statement, key)),
        None => json_file(statement),
    };
    let bytes: Vec<u8> = made.statements.iter().flat_map(line).collect();
    let is_own = |old: &[u8]| made.statements.iter().take(1).any(|like| holds_only(old, like, key.is_some()));
    let void = |(kind, id, marks): &(Kind, NodeId, Vec<String>)| json!({ "kind": kind.word(), "id": id.to_string(), "marks": marks });
    let more = [
        ("statements", json!(made.statements.len())),
        ("left_out", json!(made.left_out.iter().map(ToString::to_string).collect::<Vec<_>>())),
        ("marked", made.void.iter().map(void).collect()),
    ];
    put(context, &args.document, &bytes, ("SLSA provenance", &is_own), (&lineage, args.key.as_deref(), &more))
}

/// Warns of what nothing can be based on any more, behind the models of which it is said how they were made.
fn warn_of_marks(context: &Context, void: &[(Kind, NodeId, Vec<String>)]) {
    for (kind, id, marks) in void.iter().take(MARKED_TOLD) {
        let (id, marks) = (short(id), marks.join(", "));
        context
            .output
            .warn(format_args!("the {kind} {id}, behind what the provenance is about, bears the mark {marks}"));
    }
    if let Some(more) = void.len().checked_sub(MARKED_TOLD).filter(|more| *more > 0) {
        context.output.warn(format_args!("the same holds of {more} more"));
    }
    if !void.is_empty() {
        context.output.talk("hint: a provenance is no verdict; griptrace verify judges");
    }
}

/// Reads a bundle, brought up to date, whose evidence holds together.
pub(super) fn lineage(bundle: &Path, trust: &Path, updates: &[PathBuf]) -> Result<Lineage, CommandError> {
    let name = bundle.display();
    let evidence = griptrace_verify::evidence(read_bundle(bundle)?, bundle, trust, updates);
    let Evidence { file, trust, known } = evidence.map_err(|(text, hint)| {
        let error = CommandError::failed(format!("{name} is not exported: {text}"));
        hint.into_iter().fold(error, CommandError::with_hint)
    })?;
    Lineage::read(&file, &trust, &known).map_err(|e| {
        CommandError::because(format!("{name} is not exported"), e).with_hint("griptrace verify says more")
    })
}

fn put(
    context: &Context,
    args: &Args,
    bytes: &[u8],
    kind: (&str, IsOwn<'_>),
    (lineage, key, more): (&Lineage, Option<&Path>, &[(&str, Json)]),
) -> Result<Answer, CommandError> {
    let updates = args.updates.iter().map(PathBuf::as_path);
    let inputs: Vec<&Path> = [args.bundle.as_path(), &args.trust].into_iter().chain(updates).chain(key).collect();
    let bundle = [("bundle_digest", json!(lineage.digest.to_string()))];
    let more: Vec<(&str, Json)> = bundle.iter().chain(more).cloned().collect();
    write(context, &Written { path: &args.output, bytes, kind, inputs: &inputs, more: &more })?;
    Ok(Answer::YES)
}
