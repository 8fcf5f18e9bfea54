//! `lineage.toml`: what happened to which data, as people write it down.

use std::path::{Path, PathBuf};

use griptrace_core::{
    date::Date,
    node::{Activity, Held, Kind, Origin, Persons},
    value::Value,
    word::{Country, Word},
};

use super::{
    details::Details,
    toml_source::{Item, Source, Table},
};
use crate::error::CommandError;

/// What one file records.
#[derive(Debug, Default)]
pub(crate) struct Lineage {
    /// Data sets and models that no step of this file made.
    pub(crate) sources: Vec<Artefact>,
    /// Steps, with what they made.
    pub(crate) steps: Vec<Step>,
}

/// A data set or model.
#[derive(Clone, Debug)]
pub(crate) struct Artefact {
    /// Dataset or Model.
    pub(crate) kind: Kind,
    /// What it is called.
    pub(crate) name: String,
    /// Where it was written down.
    pub(crate) place: String,
    /// Where its files are.
    pub(crate) content: Content,
    /// Where that was written down.
    pub(crate) content_place: String,
    /// Where a data set began.
    pub(crate) origin: Option<Origin>,
    /// Where a data set's bytes are, if stated.
    pub(crate) held: Option<Held>,
    /// Modalities, sorted.
    pub(crate) modality: Vec<Word>,
    /// Purposes, sorted.
    pub(crate) purpose: Vec<Word>,
    /// The grade.
    pub(crate) grade: Option<Word>,
    /// Where it lies.
    pub(crate) country: Option<Country>,
    /// Whether it is in scope, if stated.
    pub(crate) in_scope: Option<bool>,
    /// Details, and what they say for the core.
    pub(crate) details: Details,
}

/// What is known of an artefact's bytes.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Content {
    /// They are here, to be hashed.
    Path(PathBuf),
    /// Their BLAKE3 or SHA-256, or a folder's content digest, as `algorithm:HEX`.
    Strong(String),
    /// A digest that can be forged.
    Weak(String),
    /// Nothing.
    Unknown,
}

/// A step.
#[derive(Debug)]
pub(crate) struct Step {
    /// What it is called.
    pub(crate) name: Option<String>,
    /// Where it was written down.
    pub(crate) place: String,
    /// What it did.
    pub(crate) activity: Activity,
    /// What it used, and where that was written down.
    pub(crate) used: Vec<(String, String)>,
    /// What came out.
    pub(crate) generated: Vec<Artefact>,
    /// Where it ran.
    pub(crate) country: Option<Country>,
    /// When it ran.
    pub(crate) date: Option<Date>,
    /// On what basis data crossed a border into it.
    pub(crate) basis: Option<Word>,
    /// What it was for.
    pub(crate) purpose: Vec<Word>,
    /// Details.
    pub(crate) details: Details,
}

/// Reads a file. Its relative paths begin at its folder.
pub(crate) fn read(path: &Path) -> Result<Lineage, CommandError> {
    let folder = path.parent().unwrap_or(Path::new("")).to_owned();
    parse(&Source::read(path)?, &folder)
}

/// Parses a text whose relative paths begin at `folder`.
pub(crate) fn parse(source: &Source, folder: &Path) -> Result<Lineage, CommandError> {
    let parsed = source.parse()?;
    let root = source.root(&parsed);
    root.refuse_unknown(TABLES)?;
    let mut lineage = Lineage::default();
    for table in root.tables("dataset")? {
        lineage.sources.push(source_artefact(&table.called("[[dataset]]"), Kind::Dataset, folder)?);
    }
    for table in root.tables("model")? {
        lineage.sources.push(source_artefact(&table.called("[[model]]"), Kind::Model, folder)?);
    }
    for table in root.tables("transformation")? {
        lineage.steps.push(step(&table.called("[[transformation]]"), folder)?);
    }
    if lineage.sources.is_empty() && lineage.steps.is_empty() {
        return Err(CommandError::failed(format!("{} names nothing to record", source.name())).with_hint(
            "what is recorded stands under [[dataset]], [[model]] or [[transformation]]: docs/lineage-file.md",
        ));
    }
    refuse_doubles(&lineage)?;
    Ok(lineage)
}

/// The tables of a file. docs/lineage-file.md is held to these lists.
const TABLES: &[&str] = &["dataset", "model", "transformation"];
const DATASET_FIELDS: &[&str] = &[
    "name",
    "origin",
    "path",
    "digest",
    "content_held",
    "modality",
    "purpose",
    "grade",
    "country",
    "in_scope",
    "detail",
];
const MODEL_FIELDS: &[&str] = &["name", "path", "digest", "purpose", "grade", "country", "detail"];
const STEP_FIELDS: &[&str] = &["name", "kind", "used", "generated", "country", "date", "basis", "purpose", "detail"];

fn source_artefact(table: &Table<'_>, kind: Kind, folder: &Path) -> Result<Artefact, CommandError> {
    table.refuse_unknown(if kind == Kind::Dataset { DATASET_FIELDS } else { MODEL_FIELDS })?;
    let name = name(&table.need("name")?)?;
    let artefact = artefact(table, kind, name, folder)?;
    if kind == Kind::Dataset && artefact.origin.is_none() {
        let hint = "say where it began: origin = \"collected\", \"external\", \"derived\" or \"synthetic\"";
        return Err(table.error("\"origin\" is missing").with_hint(hint));
    }
    Ok(artefact)
}

fn artefact(table: &Table<'_>, kind: Kind, name: String, folder: &Path) -> Result<Artefact, CommandError> {
    let origin = table.get("origin").map(|item| item.one_of(Origin::from_word, &words(Origin::ALL, Origin::word)));
    let origin = origin.transpose()?;
    let mut details = read_details(table, kind)?;
    let grade = table.get("grade").map(|item| grade(&item, &mut details)).transpose()?;
    let content = content(table, folder)?;
    let held = table.get("content_held").map(|item| item.one_of(Held::from_word, &words(Held::ALL, Held::word)));
    let held = held.transpose()?;
    if kind == Kind::Dataset && held.is_none() && !matches!(content, Content::Path(_)) {
        return Err(table.error("\"path\" is missing, and nothing says where the bytes are").with_hint(
            "give `path`, or say content_held = \"here\", \"origin-only\" (what left is the digest) or \"destroyed\"",
        ));
    }
    Ok(Artefact {
        kind,
        name,
        place: table.place(),
        content,
        content_place: table.get("path").map_or_else(|| table.place(), |item| item.place()),
        origin,
        held,
        modality: table.get("modality").map_or_else(|| Ok(Vec::new()), |item| item.words())?,
        purpose: table.get("purpose").map_or_else(|| Ok(Vec::new()), |item| item.words())?,
        grade,
        country: table.get("country").map(|item| item.country()).transpose()?,
        in_scope: table.get("in_scope").map(|item| item.bool()).transpose()?,
        details,
    })
}

fn words<T: Copy>(all: &[T], word: impl Fn(T) -> &'static str) -> Vec<&'static str> {
    all.iter().map(|value| word(*value)).collect()
}

fn name(item: &Item<'_>) -> Result<String, CommandError> {
    let text = item.text()?;
    check_name(text).map_err(|why| item.error(why))?;
    Ok(text.to_owned())
}

/// Characters of the longest name.
const NAME_CHARS_MAX: usize = 1000;

/// Checks that a text which names somebody or something is neither empty nor endless, and all on one
/// line.
pub(crate) fn check_text(what: &str, text: &str) -> Result<(), String> {
    if text.trim().is_empty() {
        return Err(format!("{what} is empty"));
    }
    if text.chars().any(char::is_control) {
        return Err(format!("{what} has control characters: {text:?}"));
    }
    match text.chars().count() {
        count if count > NAME_CHARS_MAX => {
            Err(format!("{what} has {count} characters, and may have {NAME_CHARS_MAX} at most"))
        }
        _ => Ok(()),
    }
}

/// Checks that a name can be told from an id and from `kind:NAME`.
pub(crate) fn check_name(name: &str) -> Result<(), String> {
    if name.is_empty() || name.trim() != name || name.chars().any(char::is_control) {
        return Err(format!("{name:?} is no name: empty, or with space around it or control characters"));
    }
    check_text("a name", name)?;
    if name.contains(':') {
        return Err(format!("{name:?} is no name: a colon stands between a kind and a name, as in \"dataset:NAME\""));
    }
    Ok(())
}

fn read_details(table: &Table<'_>, kind: Kind) -> Result<Details, CommandError> {
    let mut details = Details::new(kind);
    let Some(item) = table.get("detail") else { return Ok(details) };
    for detail in item.table()?.items() {
        details.put(&detail.key, detail.value()?).map_err(|e| detail.error(e.text).with_hint(e.hint))?;
    }
    Ok(details)
}

/// Reads a grade: a word, or a table whose other fields go to the slot `grade-basis`.
fn grade(item: &Item<'_>, details: &mut Details) -> Result<Word, CommandError> {
    let Ok(table) = item.table() else { return item.word() };
    for field in table.items().filter(|field| field.key != "value") {
        if !details.has("grade-basis") {
            let hint = "write the grade as a word alone: grade = \"important\"; the detail `note` can say why";
            return Err(field.error("is kept of a data set only").with_hint(hint));
        }
        if field.key == "on" {
            field.date()?;
        }
        details.add_field("grade-basis", &field.key, field.value()?);
    }
    table.called("grade").need("value")?.word()
}

fn content(table: &Table<'_>, folder: &Path) -> Result<Content, CommandError> {
    match (table.get("path"), table.get("digest")) {
        (Some(_), Some(digest)) => Err(digest.error("stands beside `path`; one of them is enough")),
        (Some(path), None) => Ok(Content::Path(folder.join(path.text()?))),
        (None, Some(digest)) => parse_digest(digest.text()?).map_err(|why| digest.error(why)),
        (None, None) => Ok(Content::Unknown),
    }
}

/// Reads `algorithm:HEX`.
pub(crate) fn parse_digest(text: &str) -> Result<Content, String> {
    let (algorithm, value) = text.split_once(':').ok_or_else(|| format!("{text:?} has no `algorithm:` in front"))?;
    let hex = |digits: usize| value.len() == digits && value.bytes().all(|b| b.is_ascii_hexdigit());
    match algorithm {
        "blake3" | "sha256" | "tree" if hex(64) => Ok(Content::Strong(format!("{algorithm}:{}", value.to_lowercase()))),
        "blake3" | "sha256" | "tree" => Err(format!("{text:?} has not the 64 hexadecimal digits of {algorithm}")),
        "" => Err(format!("{text:?} has no `algorithm:` in front")),
        _ if value.is_empty() => Err(format!("{text:?} has no digest")),
        _ => Ok(Content::Weak(text.to_owned())),
    }
}

fn step(table: &Table<'_>, folder: &Path) -> Result<Step, CommandError> {
    table.refuse_unknown(STEP_FIELDS)?;
    let activity = table.need("kind")?.one_of(Activity::from_word, &words(Activity::ALL, Activity::word))?;
    let used = table.need("used")?.texts()?;
    if used.is_empty() {
        return Err(table
            .error("\"used\" is empty")
            .with_hint("a step that used nothing makes no lineage; record its output as a source"));
    }
    let country = table.get("country").map(|item| item.country()).transpose()?;
    let mut generated = Vec::new();
    for output in table.need("generated")?.tables()? {
        generated.push(output_artefact(&output.called("output of the step"), activity, country, folder)?);
    }
    if generated.is_empty() && activity != Activity::Evaluation {
        return Err(table
            .error("\"generated\" is empty")
            .with_hint("say what the step made: generated = [{ dataset = \"...\", path = \"...\" }]"));
    }
    Ok(Step {
        name: table.get("name").map(|item| name(&item)).transpose()?,
        place: table.place(),
        activity,
        used: used.into_iter().map(|(text, place)| (text.to_owned(), place)).collect(),
        generated,
        country,
        date: table.get("date").map(|item| item.date()).transpose()?,
        basis: table.get("basis").map(|item| item.word()).transpose()?,
        purpose: table.get("purpose").map_or_else(|| Ok(Vec::new()), |item| item.words())?,
        details: read_details(table, Kind::Transformation)?,
    })
}

fn output_artefact(
    table: &Table<'_>,
    activity: Activity,
    country: Option<Country>,
    folder: &Path,
) -> Result<Artefact, CommandError> {
    let (kind, item) = match (table.get("dataset"), table.get("model")) {
        (Some(item), None) => (Kind::Dataset, item),
        (None, Some(item)) => (Kind::Model, item),
        (Some(_), Some(item)) => return Err(item.error("an output is a data set or a model, not both")),
        (None, None) => return Err(table.error("names neither `dataset` nor `model`")),
    };
    let (own, fields) = if kind == Kind::Dataset { ("dataset", DATASET_FIELDS) } else { ("model", MODEL_FIELDS) };
    let known: Vec<&str> = fields.iter().map(|field| if *field == "name" { own } else { field }).collect();
    table.refuse_unknown(&known)?;
    let mut artefact = artefact(table, kind, name(&item)?, folder)?;
    artefact.country = artefact.country.or(country);
    if kind == Kind::Dataset {
        let made = if activity == Activity::Synthetic { Origin::Synthetic } else { Origin::Derived };
        let origin = *artefact.origin.get_or_insert(made);
        if matches!(origin, Origin::Collected | Origin::External) {
            return Err(table.error(format!("says origin = \"{origin}\", but a step generated it")));
        }
    }
    Ok(artefact)
}

/// Refuses two artefacts of one kind with one name: names would not say which is meant.
fn refuse_doubles(lineage: &Lineage) -> Result<(), CommandError> {
    let mut seen: Vec<&Artefact> = Vec::new();
    for artefact in lineage.sources.iter().chain(lineage.steps.iter().flat_map(|step| &step.generated)) {
        if let Some(first) = seen.iter().find(|a| a.kind == artefact.kind && a.name == artefact.name) {
            let text =
                format!("{}: the {} {:?} stands in this file twice", artefact.place, artefact.kind, artefact.name);
            return Err(CommandError::failed(text).with_hint(format!("the first is at {}", first.place)));
        }
        seen.push(artefact);
    }
    Ok(())
}

impl Artefact {
    /// Makes an artefact of which nothing but kind and name is known.
    pub(crate) fn new(kind: Kind, name: String, content: Content) -> Self {
        Self {
            kind,
            place: name.clone(),
            content_place: name.clone(),
            name,
            content,
            origin: None,
            held: None,
            modality: Vec::new(),
            purpose: Vec::new(),
            grade: None,
            country: None,
            in_scope: None,
            details: Details::new(kind),
        }
    }

    /// Returns whether persons can be found, as the details say it.
    pub(crate) const fn persons(&self) -> Option<Persons> {
        self.details.persons
    }

    /// Puts a part of the reasons for the grade.
    pub(crate) fn grade_basis(&mut self, field: &str, text: Option<&str>) {
        if let Some(text) = text {
            self.details.add_field("grade-basis", field, Value::text(text));
        }
    }
}

#[cfg(test)]
#[path = "lineage_tests.rs"]
mod tests;
