//! `griptrace assess`.

mod withdraw;
mod words;

use std::path::{Path, PathBuf};

use griptrace_core::{
    assessment::Outcome,
    date::Date,
    details::{read_value, slot_name},
    digest::file_digest,
    id::{GenesisHash, NodeId},
    node::Kind,
    value::Value,
    word::{Country, Word},
};
use griptrace_store::{StoredNode, record::NodeRecord};
use serde_json::json;

use self::{withdraw::WithdrawArgs, words::Words};
use crate::{
    arguments::{date, word},
    context::{Answer, Context, or_today, read_file},
    error::CommandError,
    keyfile,
    recording::{
        self, Recorded, RecordedNode,
        assessing::{Terms, assessment_details, sign_assessment, signed_record, stated_record},
        build::{core_of, id_of},
        draft,
        statement::Statement,
    },
    resolve::resolve_kind,
    view,
    workspace::{KnownAssessor, Workspace, name_of_record},
};

/// Sign or record an assessment
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Args {
    /// Sign an assessment with the assessor's own key; needs no store with --draft
    Sign(SignArgs),
    Withdraw(WithdrawArgs),
    /// Record a signed assessment, or state one without a signature
    Record(RecordArgs),
}

/// What an assessment says
#[derive(Debug, clap::Args)]
pub(crate) struct TermArgs {
    /// A data set or model that is assessed (can be repeated)
    #[arg(long, value_name = "NODE")]
    pub(crate) subject: Vec<String>,
    /// The scheme, a word of the policy's vocabulary
    #[arg(long, value_parser = word)]
    pub(crate) scheme: Option<Word>,
    /// The result: passed, passed-with-conditions or refused
    #[arg(long, default_value = "passed", value_parser = outcome)]
    pub(crate) result: Outcome,
    /// The highest grade that is covered
    #[arg(long, value_parser = word)]
    pub(crate) grade: Option<Word>,
    /// A purpose that is covered (can be repeated)
    #[arg(long, value_parser = word)]
    pub(crate) purpose: Vec<Word>,
    /// A modality that is covered (can be repeated)
    #[arg(long, value_parser = word)]
    pub(crate) modality: Vec<Word>,
    /// A stream that is covered (can be repeated) [default: says nothing of streams]
    #[arg(long, value_parser = word)]
    pub(crate) stream: Vec<Word>,
    /// A country that the data may go to, or '*' (can be repeated)
    #[arg(long, value_name = "COUNTRY")]
    pub(crate) destination: Vec<String>,
    /// The day of issue [default: the first day of validity]
    #[arg(long, value_parser = date)]
    pub(crate) issued: Option<Date>,
    /// The first day of validity [default: today]
    #[arg(long, value_parser = date)]
    pub(crate) valid_from: Option<Date>,
    /// The last day of validity
    #[arg(long, value_parser = date)]
    pub(crate) valid_to: Option<Date>,
}

/// Sign an assessment with the assessor's own key; needs no store with --draft
#[derive(Debug, clap::Args)]
pub(crate) struct SignArgs {
    #[command(flatten)]
    pub(crate) terms: TermArgs,
    /// Take the subjects from a draft: all its data sets and models, or those of --subject
    #[arg(long, value_name = "FILE")]
    pub(crate) draft: Option<PathBuf>,
    /// The assessor's key file
    #[arg(long, value_name = "FILE")]
    pub(crate) key: PathBuf,
    /// Who assesses
    #[arg(long, value_name = "NAME")]
    pub(crate) issuer: String,
    /// The genesis hash of the log that the assessment is for [default: that of the draft or store]
    #[arg(long, value_name = "GENESIS")]
    pub(crate) home: Option<String>,
    /// The statement file to write
    #[arg(short, long, value_name = "FILE")]
    pub(crate) output: PathBuf,
}

/// Record a signed assessment, or state one without a signature
#[derive(Debug, clap::Args)]
pub(crate) struct RecordArgs {
    /// The statement file that `assess sign` wrote
    #[arg(required_unless_present = "stated", conflicts_with = "stated")]
    pub(crate) file: Option<PathBuf>,
    /// State an assessment that no assessor signed
    #[arg(long)]
    pub(crate) stated: bool,
    #[command(flatten)]
    pub(crate) terms: TermArgs,
    /// The assessor's number for it
    #[arg(long)]
    pub(crate) reference: Option<String>,
    /// Who assessed
    #[arg(long)]
    pub(crate) issuer: Option<String>,
    /// The paper itself, recorded by its digest
    #[arg(long, value_name = "FILE")]
    pub(crate) paper: Option<PathBuf>,
}

fn outcome(text: &str) -> Result<Outcome, String> {
    Outcome::from_word(text).ok_or_else(|| "a result is passed, passed-with-conditions or refused".to_owned())
}

pub(crate) fn run(context: &Context, args: &Args) -> Result<Answer, CommandError> {
    match args {
        Args::Sign(args) => sign(context, args),
        Args::Withdraw(args) => withdraw::withdraw(context, args),
        Args::Record(args) => {
            let workspace = context.workspace_for_recording()?;
            let recorded = record(context, workspace, args)?;
            recording::report(&context.output, &recorded)?;
            Ok(Answer::YES)
        }
    }
}

impl TermArgs {
    fn terms(&self) -> Result<Terms, CommandError> {
        let missing = |what: &str| CommandError::failed(format!("an assessment needs --{what}"));
        let valid_from = or_today(self.valid_from);
        if self.purpose.is_empty() || self.modality.is_empty() {
            return Err(missing("purpose and --modality").with_hint("without them it would cover nothing"));
        }
        Ok(Terms {
            scheme: self.scheme.clone().ok_or_else(|| missing("scheme"))?,
            outcome: self.result,
            grade: self.grade.clone().ok_or_else(|| missing("grade"))?,
            purposes: self.purpose.clone(),
            modalities: self.modality.clone(),
            streams: self.stream.clone(),
            issued: self.issued.unwrap_or(valid_from),
            valid_from,
            valid_to: self.valid_to,
            destinations: destinations(&self.destination)?,
        })
    }

    fn subjects(&self, context: &Context, workspace: &Workspace) -> Result<Vec<NodeId>, CommandError> {
        let mut ids = Vec::new();
        for text in &self.subject {
            let id = resolve_kind(workspace, &context.output, text, &[Kind::Dataset, Kind::Model])?;
            if !ids.contains(&id) {
                ids.push(id);
            }
        }
        if ids.is_empty() {
            return Err(CommandError::failed("an assessment needs --subject NODE"));
        }
        Ok(ids)
    }
}

fn destinations(texts: &[String]) -> Result<Option<Vec<Country>>, CommandError> {
    if texts.is_empty() {
        return Err(CommandError::failed("an assessment needs --destination COUNTRY, or '*' for anywhere"));
    }
    if texts.iter().any(|text| text == "*") {
        return Ok(None);
    }
    let read =
        |text: &String| Country::parse(text).ok_or_else(|| CommandError::failed(format!("{text:?} is no country")));
    texts.iter().map(read).collect::<Result<_, _>>().map(Some)
}

/// Signs an assessment and writes the statement file.
pub(crate) fn sign(context: &Context, args: &SignArgs) -> Result<Answer, CommandError> {
    let terms = args.terms.terms()?;
    let (subjects, known_home, words) = match &args.draft {
        Some(path) => draft_subjects(context, &args.terms, path)?,
        None => store_subjects(context, &args.terms)?,
    };
    words.warn(context, &terms);
    let stated = args.home.as_deref().map(|text| {
        GenesisHash::from_hex(text).ok_or_else(|| CommandError::failed(format!("{text:?} is no genesis hash")))
    });
    let stated = stated.transpose()?;
    if let Some((stated, known)) = stated.zip(known_home).filter(|(stated, known)| stated != known) {
        return Err(CommandError::failed(format!("--home is {stated}, but the subjects are for the log {known}")));
    }
    let home = stated
        .or(known_home)
        .ok_or_else(|| CommandError::failed("nothing says which log it is for").with_hint("add --home GENESIS"))?;
    let key = keyfile::read(&args.key)?.signer()?;
    let statement = sign_assessment(&terms, &subjects, &home, &key, &args.issuer)?;
    let inputs: Vec<&Path> = [args.key.as_path()].into_iter().chain(args.draft.as_deref()).collect();
    statement.write_to(&args.output, &inputs)?;
    let (_, signed, assessment) = Statement::read_from(&args.output)?;
    let object = json!({
        "file": args.output.display().to_string(), "issuer": signed.issuer, "key": signed.key.to_string(),
        "home": home.to_string(), "subjects": subjects.iter().map(ToString::to_string).collect::<Vec<_>>(),
    });
    let mut lines = vec![format!("signed by     {} ({})", signed.issuer, statement.key)];
    lines.extend(view::assessment_lines(&assessment));
    lines.push(format!("written to    {}", args.output.display()));
    context.output.either(&object, &lines)?;
    Ok(Answer::YES)
}

/// The subjects, the log that they are for, and the words that are known there.
type Subjects = (Vec<NodeId>, Option<GenesisHash>, Words);

/// Takes the subjects out of the store.
fn store_subjects(context: &Context, terms: &TermArgs) -> Result<Subjects, CommandError> {
    let workspace = context.workspace()?;
    let ids = terms.subjects(context, &workspace)?;
    for id in &ids {
        context.output.talk(format_args!("subject {}", view::headline(&workspace.node(id)?)));
    }
    Ok((ids, Some(workspace.home()), Words::of(&workspace)?))
}

/// Takes the subjects out of a draft, after showing what it opens.
fn draft_subjects(context: &Context, terms: &TermArgs, path: &Path) -> Result<Subjects, CommandError> {
    let (mut ids, mut words) = (Vec::new(), Words::default());
    let mut home = None;
    let mut unmatched = terms.subject.clone();
    for record in draft::read(path)? {
        let core = core_of(&record)?;
        home = Some(core.home);
        if !matches!(core.kind, Kind::Dataset | Kind::Model) {
            continue;
        }
        words.add(&core);
        let (id, name) = (id_of(&record), name_of_record(&record));
        let is_meant = |text: &String| {
            *text == name || *text == format!("{}:{name}", core.kind) || id.to_string().starts_with(text.as_str())
        };
        if !terms.subject.is_empty() && !terms.subject.iter().any(is_meant) {
            continue;
        }
        unmatched.retain(|text| !is_meant(text));
        ids.push(id);
        opened(&record, core.kind).iter().for_each(|line| context.output.talk(line));
    }
    if let Some(text) = unmatched.first() {
        return Err(CommandError::failed(format!("{text:?} is no data set or model of the draft {}", path.display())));
    }
    Ok((ids, home, words))
}

/// Returns what a draft node says, in lines.
fn opened(record: &NodeRecord, kind: Kind) -> Vec<String> {
    let mut lines = vec![format!("subject {} {kind} {}", view::short(&id_of(record)), name_of_record(record))];
    let core = core_of(record).map(|core| view::core_fields(&core)).unwrap_or_default();
    lines.extend(core.into_iter().map(|(name, value)| format!("  {name:<16} {value}")));
    for (slot, bytes) in &record.values {
        if let (Some(name), Ok(value)) = (slot_name(kind, *slot), read_value(bytes)) {
            lines.push(format!("  {name:<16} {value}"));
        }
    }
    lines
}

/// Records an assessment, signed or stated.
pub(crate) fn record(context: &Context, mut workspace: Workspace, args: &RecordArgs) -> Result<Recorded, CommandError> {
    let paper = args.paper.as_deref().map(paper).transpose()?;
    if args.stated {
        let terms = args.terms.terms()?;
        let subjects = args.terms.subjects(context, &workspace)?;
        warn_of_unused(context, &workspace, &subjects)?;
        Words::of(&workspace)?.warn(context, &terms);
        let details = assessment_details(args.reference.as_deref(), args.issuer.as_deref(), paper);
        let record = stated_record(workspace.home(), &terms, &subjects, &details)?;
        return recording::commit_records(
            &workspace,
            &context.output,
            vec![(record, format!("{} (stated)", terms.scheme))],
        );
    }
    let Some(file) = &args.file else { return Err(CommandError::failed("no statement file was named")) };
    let (statement, signed, assessment) = Statement::read_from(file)?;
    for (subject, ..) in &statement.openings {
        let kind = workspace
            .node(subject)
            .map_err(|e| e.while_doing("cannot record the assessment of what this log does not hold"))?
            .core
            .kind;
        if !matches!(kind, Kind::Dataset | Kind::Model) {
            return Err(CommandError::failed(format!(
                "the assessment is of {subject}, a {kind}, not of a data set or model"
            )));
        }
    }
    let subjects: Vec<NodeId> = statement.openings.iter().map(|(subject, ..)| *subject).collect();
    warn_of_unused(context, &workspace, &subjects)?;
    let known = KnownAssessor {
        name: signed.issuer.clone(),
        key: statement.key.clone(),
        schemes: vec![assessment.scheme.to_string()],
    };
    let issuer = args.issuer.as_deref().unwrap_or(&signed.issuer);
    let details = assessment_details(args.reference.as_deref(), Some(issuer), paper);
    let name = format!("{} (signed by {})", assessment.scheme, signed.issuer);
    if let Some(node) = recorded_before(&workspace, &statement)? {
        if node.record.values != details.values() {
            context
                .output
                .warn("the statement is recorded already, with another reference, issuer or paper, which stays");
        }
        let node = RecordedNode { id: node.id, kind: Kind::Assessment, name, already: true };
        return Ok(Recorded { nodes: vec![node], receipt: None });
    }
    let record = signed_record(workspace.home(), statement, &details)?;
    let recorded = recording::commit_records(&workspace, &context.output, vec![(record, name)])?;
    remember(&mut workspace, known)?;
    Ok(recorded)
}

/// Warns if every subject counts for nobody: recorded again, it has another id, which this assessment does not cover.
fn warn_of_unused(context: &Context, workspace: &Workspace, subjects: &[NodeId]) -> Result<(), CommandError> {
    for subject in subjects {
        if workspace.ended_before(&workspace.node(subject)?).is_none() {
            return Ok(());
        }
    }
    context.output.warn(
        "the assessment covers nothing in use: the key that recorded its subjects did not count there. What was recorded again has new ids, and has to be assessed under these",
    );
    Ok(())
}

/// Finds the node that holds this statement and can open all of its subjects.
fn recorded_before(workspace: &Workspace, statement: &Statement) -> Result<Option<StoredNode>, CommandError> {
    let Some((subject, ..)) = statement.openings.first() else { return Ok(None) };
    let wrong = |e: CommandError| e.while_doing("cannot look up the assessments");
    for id in workspace.store.assessments_of(subject).map_err(wrong)? {
        let node = workspace.node(&id)?;
        let opened = node.record.subjects.as_ref().map(|subjects| &subjects.openings);
        let all = opened.is_some_and(|opened| statement.openings.iter().all(|opening| opened.contains(opening)));
        let is_same = all && node.core.statement.as_ref() == Some(&statement.signed);
        if is_same && workspace.ended_before(&node).is_none() {
            return Ok(Some(node));
        }
    }
    Ok(None)
}

/// Keeps the assessor's key in the settings: for the own trust file, where it is to be confirmed.
fn remember(workspace: &mut Workspace, new: KnownAssessor) -> Result<(), CommandError> {
    match workspace.config.assessor.iter_mut().find(|known| known.key == new.key) {
        Some(known) if new.schemes.iter().all(|scheme| known.schemes.contains(scheme)) => return Ok(()),
        Some(known) => known.schemes.extend(new.schemes),
        None => workspace.config.assessor.push(new),
    }
    workspace.save_config()
}

/// Returns a paper as a detail: its file name and digest.
pub(crate) fn paper(path: &Path) -> Result<Value, CommandError> {
    let digest = file_digest(&read_file(path)?);
    let name = path.file_name().map_or_else(String::new, |name| name.to_string_lossy().into_owned());
    Ok(Value::map(vec![("file".to_owned(), Value::text(name)), ("blake3".to_owned(), Value::text(digest.to_string()))]))
}
