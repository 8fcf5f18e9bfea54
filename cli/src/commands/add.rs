//! `griptrace add`.

use std::path::{Path, PathBuf};

use griptrace_core::{
    date::Date,
    node::{Held, Kind, Origin},
    value::Value,
    word::{Country, Word},
};

use super::adopt;
use crate::{
    arguments::{country, date, word},
    context::{Answer, Context},
    error::CommandError,
    recording::{
        self, Recorded,
        details::Details,
        lineage::{Artefact, Content, Lineage, check_name, parse_digest},
    },
    workspace::Workspace,
};

/// Record one data set or model, or adopt another company's
#[derive(Debug, clap::Args)]
#[command(args_conflicts_with_subcommands = true, arg_required_else_help = true)]
pub(crate) struct Args {
    #[command(subcommand)]
    what: Option<What>,
    #[command(flatten)]
    bundle: adopt::Args,
}

/// What is recorded
#[derive(Debug, clap::Subcommand)]
enum What {
    /// Record a data set
    Dataset(DatasetArgs),
    /// Record a model whose making is not recorded: one taken over from others
    Model(CommonArgs),
}

/// Record a data set
#[derive(Debug, clap::Args)]
pub(crate) struct DatasetArgs {
    #[command(flatten)]
    pub(crate) common: CommonArgs,
    /// Where it began: collected, external, derived or synthetic
    #[arg(long, value_parser = origin)]
    pub(crate) origin: Origin,
    /// What it holds, a word of the policy's vocabulary (can be repeated)
    #[arg(long, value_parser = word)]
    pub(crate) modality: Vec<Word>,
    /// Where its bytes are: here, origin-only or destroyed [default: here, for a path]
    #[arg(long, value_parser = held)]
    pub(crate) content_held: Option<Held>,
    /// Whether it is in the guidance's scope: true or false
    #[arg(long)]
    pub(crate) in_scope: Option<bool>,
    /// "none found" and how, "present" or "not examined"
    #[arg(long)]
    pub(crate) persons: Option<String>,
}

/// What data sets and models have in common
#[derive(Debug, clap::Args)]
pub(crate) struct CommonArgs {
    /// The file or folder, to be hashed
    #[arg(required_unless_present = "digest", conflicts_with = "digest")]
    pub(crate) path: Option<PathBuf>,
    /// The digest of bytes that are elsewhere: blake3:HEX, sha256:HEX, or a weaker one
    #[arg(long)]
    pub(crate) digest: Option<String>,
    /// What it is called [default: the name of the file or folder]
    #[arg(long)]
    pub(crate) name: Option<String>,
    /// What it is for, a word of the policy's vocabulary (can be repeated)
    #[arg(long, value_parser = word)]
    pub(crate) purpose: Vec<Word>,
    /// Its grade, a word of the policy's vocabulary
    #[arg(long, value_parser = word)]
    pub(crate) grade: Option<Word>,
    /// By what rule it was graded
    #[arg(long, requires = "grade")]
    pub(crate) grade_basis: Option<String>,
    /// Who graded it
    #[arg(long, requires = "grade")]
    pub(crate) grade_by: Option<String>,
    /// When it was graded
    #[arg(long, requires = "grade", value_parser = date)]
    pub(crate) grade_on: Option<Date>,
    /// Where it lies
    #[arg(long, value_parser = country)]
    pub(crate) country: Option<Country>,
    /// The licence
    #[arg(long)]
    pub(crate) licence: Option<String>,
    /// Whether the licence allows this use: true or false
    #[arg(long, requires = "licence")]
    pub(crate) licence_allows: Option<bool>,
    /// Read every file again, even one that did not change since it was hashed
    #[arg(long)]
    pub(crate) rehash: bool,
    /// Record anew what was recorded before, though it has something that was erased since
    #[arg(long)]
    pub(crate) despite_erasure: bool,
    /// Another detail (can be repeated)
    #[arg(long, value_name = "NAME=TEXT")]
    pub(crate) detail: Vec<String>,
}

fn origin(text: &str) -> Result<Origin, String> {
    Origin::from_word(text).ok_or_else(|| "an origin is collected, external, derived or synthetic".to_owned())
}

fn held(text: &str) -> Result<Held, String> {
    Held::from_word(text).ok_or_else(|| "content is held here, origin-only or destroyed".to_owned())
}

pub(crate) fn run(context: &Context, args: Args) -> Result<Answer, CommandError> {
    let (flags, artefact) = match args.what {
        Some(What::Dataset(args)) => ((args.common.rehash, args.common.despite_erasure), dataset(args)?),
        Some(What::Model(args)) => ((args.rehash, args.despite_erasure), common(Kind::Model, args)?),
        None => return adopt::run(context, &args.bundle),
    };
    let mut workspace = context.workspace_for_recording()?;
    (workspace.rehash, workspace.despite_erasure) = flags;
    recording::report(&context.output, &add(context, &workspace, artefact)?)?;
    Ok(Answer::YES)
}

/// Records one artefact.
pub(crate) fn add(context: &Context, workspace: &Workspace, artefact: Artefact) -> Result<Recorded, CommandError> {
    let lineage = Lineage { sources: vec![artefact], steps: Vec::new() };
    recording::record(workspace, &context.output, &lineage)
}

fn dataset(args: DatasetArgs) -> Result<Artefact, CommandError> {
    let mut artefact = common(Kind::Dataset, args.common)?;
    artefact.origin = Some(args.origin);
    artefact.modality = args.modality;
    artefact.modality.sort();
    artefact.modality.dedup();
    artefact.held = args.content_held;
    artefact.in_scope = args.in_scope;
    if artefact.held.is_none() && !matches!(artefact.content, Content::Path(_)) {
        return Err(CommandError::failed("nothing says where the bytes of the data set are")
            .with_hint("add --content-held here, origin-only (what left is the digest) or destroyed"));
    }
    if let Some(persons) = args.persons {
        put(&mut artefact.details, "persons", Value::text(persons))?;
    }
    Ok(artefact)
}

fn common(kind: Kind, args: CommonArgs) -> Result<Artefact, CommandError> {
    let content = match (&args.path, &args.digest) {
        (Some(path), _) => Content::Path(path.clone()),
        (None, Some(digest)) => parse_digest(digest).map_err(CommandError::failed)?,
        (None, None) => Content::Unknown,
    };
    let name = match args.name {
        Some(name) => name,
        None => file_name(args.path.as_deref())?,
    };
    check_name(&name).map_err(CommandError::failed)?;
    let mut artefact = Artefact::new(kind, name, content);
    artefact.purpose = args.purpose;
    artefact.purpose.sort();
    artefact.purpose.dedup();
    artefact.grade = args.grade;
    artefact.country = args.country;
    let has_reason = args.grade_basis.is_some() || args.grade_by.is_some() || args.grade_on.is_some();
    if has_reason && !artefact.details.has("grade-basis") {
        return Err(CommandError::failed("by what rule, who and when is kept of a data set's grade only")
            .with_hint("--detail note=TEXT can say it of a model"));
    }
    artefact.grade_basis("basis", args.grade_basis.as_deref());
    artefact.grade_basis("by", args.grade_by.as_deref());
    artefact.grade_basis("on", args.grade_on.map(|date| date.to_string()).as_deref());
    if let Some(licence) = args.licence {
        let mut value = Value::text(&licence);
        if let Some(allows) = args.licence_allows {
            value = Value::map(vec![("licence".to_owned(), value), ("allows".to_owned(), Value::Bool(allows))]);
        }
        put(&mut artefact.details, "licence", value)?;
    }
    for detail in &args.detail {
        let (name, text) = detail
            .split_once('=')
            .ok_or_else(|| CommandError::failed(format!("--detail {detail:?} is not NAME=TEXT")))?;
        put(&mut artefact.details, name, Value::text(text))?;
    }
    Ok(artefact)
}

fn put(details: &mut Details, name: &str, value: Value) -> Result<(), CommandError> {
    details.put(name, value).map_err(|e| CommandError::failed(e.text).with_hint(e.hint))
}

fn file_name(path: Option<&Path>) -> Result<String, CommandError> {
    let name = path.and_then(Path::file_name).and_then(|name| name.to_str());
    name.map(str::to_owned).ok_or_else(|| CommandError::failed("no name was given").with_hint("add --name NAME"))
}
