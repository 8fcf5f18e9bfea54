//! `griptrace export`: in formats that programs of others read (docs/export.md).

mod document;
mod log_proof;
mod model;
mod verdict;

use std::path::Path;

use serde_json::{Map, Value as Json, json};

use crate::{
    context::{Answer, Context, IsOwn, write_recognised},
    error::CommandError,
};

/// Export a bundle, a commit or a model in a format that other programs read
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Args {
    /// A commit as an RFC 9943 transparent statement, with a receipt (RFC 9942) that this log signs
    Statement(log_proof::StatementArgs),
    /// The proof that a commit is in its log, as a C2SP tlog-proof
    TlogProof(log_proof::TlogProofArgs),
    /// The verdict on a bundle as a simple verification result, signed by who verifies; exit code 1 if the policy is not met
    Svr(Box<verdict::Args>),
    /// The verdict on a bundle as a SLSA verification summary, signed by who verifies; exit code 1 if the policy is not met
    Vsa(Box<verdict::Args>),
    /// An OMS v1.0 signature over a recorded model's files
    Oms(model::Args),
    /// The lineage in a bundle as a CycloneDX 1.6 ML-BOM
    Cyclonedx(document::Args),
    /// The lineage in a bundle as W3C PROV-JSON
    Prov(document::Args),
    /// SLSA provenance v1 of each step in a bundle that made a model, a statement a line
    Slsa(document::SlsaArgs),
}

pub(crate) fn run(context: &Context, args: &Args) -> Result<Answer, CommandError> {
    match args {
        Args::Statement(args) => log_proof::statement(context, args),
        Args::TlogProof(args) => log_proof::tlog_proof(context, args),
        Args::Svr(args) => verdict::run(context, args, verdict::Format::Svr),
        Args::Vsa(args) => verdict::run(context, args, verdict::Format::Vsa),
        Args::Oms(args) => model::run(context, args),
        Args::Cyclonedx(args) => document::cyclonedx(context, args),
        Args::Prov(args) => document::prov(context, args),
        Args::Slsa(args) => document::slsa(context, args),
    }
}

/// The bytes of a file, and what is told of it.
struct Written<'a> {
    path: &'a Path,
    bytes: &'a [u8],
    /// What the file is, and whether another is such a one that was written here: only that is replaced.
    kind: (&'a str, IsOwn<'a>),
    /// The command's own inputs, which are never replaced.
    inputs: &'a [&'a Path],
    /// What else is told.
    more: &'a [(&'a str, Json)],
}

/// Writes the file and tells so.
fn write(context: &Context, written: &Written<'_>) -> Result<(), CommandError> {
    write_recognised(written.path, written.bytes, written.kind, written.inputs)?;
    let (file, bytes) = (written.path.display().to_string(), written.bytes.len());
    let line = format!("wrote {file}: {}, {bytes} bytes", written.kind.0);
    let mut object = Map::new();
    object.insert("file".into(), json!(file));
    object.insert("bytes".into(), json!(bytes));
    object.extend(written.more.iter().map(|(name, value)| ((*name).to_owned(), value.clone())));
    context.output.either(&Json::Object(object), &[line])
}

/// Returns a JSON document as the bytes of a file.
fn json_file(document: &Json) -> Vec<u8> {
    format!("{document}\n").into_bytes()
}
