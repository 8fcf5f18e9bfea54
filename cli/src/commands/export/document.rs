//! Documents about the lineage in a bundle: `griptrace export cyclonedx`, `prov`, `slsa`.

use std::path::{Path, PathBuf};

use griptrace_export::{
    cyclonedx,
    lineage::Lineage,
    prov, slsa,
    statement::{envelope, envelope_begins},
};
use serde_json::{Value as Json, json};

use super::{Written, json_file, write};
use crate::{
    commands::check::load_trust,
    context::{Answer, Context, read_bundle},
    error::CommandError,
    keyfile,
    view::short,
};

/// A document about a bundle
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The bundle
    pub(crate) bundle: PathBuf,
    /// Whom you believe: the bundle's evidence has to hold together under this trust file
    #[arg(long, value_name = "FILE")]
    pub(crate) trust: PathBuf,
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
    let begins = br#"{"$schema":"http://cyclonedx.org/schema/bom-1.6.schema.json""#;
    let lineage = lineage(&args.bundle, &args.trust)?;
    put(context, args, &json_file(&cyclonedx::bom(&lineage)), ("CycloneDX BOM", begins), (&lineage, None, &[]))
}

pub(super) fn prov(context: &Context, args: &Args) -> Result<Answer, CommandError> {
    let lineage = lineage(&args.bundle, &args.trust)?;
    let bytes = json_file(&prov::document(&lineage));
    put(context, args, &bytes, ("PROV-JSON", br#"{"activity":{"#), (&lineage, None, &[]))
}

pub(super) fn slsa(context: &Context, args: &SlsaArgs) -> Result<Answer, CommandError> {
    let lineage = lineage(&args.document.bundle, &args.document.trust)?;
    let made = slsa::provenance(&lineage);
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
    let begins = match made.statements.first().filter(|_| key.is_some()) {
        Some(statement) => envelope_begins(statement),
        None => br#"{"_type":"https://in-toto.io/Statement/v1""#.to_vec(),
    };
    let more = [
        ("statements", json!(made.statements.len())),
        ("left_out", json!(made.left_out.iter().map(ToString::to_string).collect::<Vec<_>>())),
    ];
    let kind = ("SLSA provenance", begins.as_slice());
    put(context, &args.document, &bytes, kind, (&lineage, args.key.as_deref(), &more))
}

/// Reads a bundle whose evidence holds together.
pub(super) fn lineage(bundle: &Path, trust: &Path) -> Result<Lineage, CommandError> {
    let trust = load_trust(trust)?;
    Lineage::read(&read_bundle(bundle)?, &trust).map_err(|e| {
        CommandError::because(format!("{} is not exported", bundle.display()), e)
            .with_hint("griptrace verify says more")
    })
}

fn put(
    context: &Context,
    args: &Args,
    bytes: &[u8],
    kind: (&str, &[u8]),
    (lineage, key, more): (&Lineage, Option<&Path>, &[(&str, Json)]),
) -> Result<Answer, CommandError> {
    let inputs: Vec<&Path> = [args.bundle.as_path(), &args.trust].into_iter().chain(key).collect();
    let bundle = [("bundle_digest", json!(lineage.digest.to_string()))];
    let more: Vec<(&str, Json)> = bundle.iter().chain(more).cloned().collect();
    write(context, &Written { path: &args.output, bytes, kind, inputs: &inputs, more: &more })?;
    Ok(Answer::YES)
}
