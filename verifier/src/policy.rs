//! The policy: what has to be assessed, how, for which crossing, and what each finding weighs
//! (docs/spec/policy.md).
//!
//! Categories, grades, schemes and scopes are data of this file, each rule with its source. No
//! legal constant stands in code.

use alloc::{borrow::ToOwned, collections::BTreeMap, format, string::String, vec::Vec};
use core::fmt;

use griptrace_core::{
    date::Date,
    details,
    node::Kind,
    word::{Country, Word},
};

use crate::{
    finding::{Code, Severity},
    report::Strength,
    toml_source::{Fields, Item, Source},
    trust::{ConfigError, Role, read_country, read_unlike, read_word},
};

/// What the buyer asks of a product.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Policy {
    /// Its id.
    pub id: String,
    /// Its version.
    pub version: String,
    /// Whether it is only a reference.
    pub status: Standing,
    /// Which judgements decide.
    pub judge: Judge,
    /// How long after its date a shipment or crossing may first be seen; without it, any time.
    pub max_lag: Option<Duration>,
    /// Grades, from low to high. `undetermined` is above them and not among them.
    pub grades: Vec<Word>,
    /// Modalities; empty leaves them open.
    pub modality: Vec<Word>,
    /// Purposes; empty leaves them open.
    pub purpose: Vec<Word>,
    /// Schemes of assessment.
    pub schemes: Vec<Word>,
    /// On what a crossing may be said to rest.
    pub bases: Vec<Word>,
    /// What the policy is about; empty is everything.
    pub scope: Vec<Scope>,
    /// What has to be assessed.
    pub require: Vec<Require>,
    /// What needs no assessment.
    pub exempt: Vec<Exempt>,
    /// Which details have to be disclosed.
    pub disclose: Vec<Disclose>,
    /// From how many low-graded sources on a statement is asked for.
    pub aggregate: Option<Aggregate>,
    /// What findings weigh, where it is not what [`Code::severity`] says.
    pub severity: BTreeMap<Code, Severity>,
}

/// Whether a policy or rule is law for somebody.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Standing {
    /// Guidance: it binds nobody.
    Reference,
    /// Whoever wrote the policy holds it to be binding.
    Binding,
}

impl Standing {
    const WORDS: [(&'static str, Self); 2] = [("reference", Self::Reference), ("binding", Self::Binding)];

    /// Returns the word that stands in policies and reports.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Reference => "reference",
            Self::Binding => "binding",
        }
    }
}

/// Which judgements decide whether the policy is met.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Judge {
    /// The one on the day of the shipment.
    Shipment,
    /// The one now.
    Now,
    /// Both.
    Both,
}

impl Judge {
    const WORDS: [(&'static str, Self); 3] = [("shipment", Self::Shipment), ("now", Self::Now), ("both", Self::Both)];

    /// Returns the word that stands in policies.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Shipment => "shipment",
            Self::Now => "now",
            Self::Both => "both",
        }
    }
}

/// How a rule's source was read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Reading {
    /// The text, or an official page's content.
    Text,
    /// Somebody's account of it.
    Secondary,
    /// A draft, and not the final text.
    Draft,
    /// No text says it.
    OwnChoice,
}

impl Reading {
    const WORDS: [(&'static str, Self); 4] =
        [("text", Self::Text), ("secondary", Self::Secondary), ("draft", Self::Draft), ("own-choice", Self::OwnChoice)];

    /// Returns the word that stands in policies and reports.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Secondary => "secondary",
            Self::Draft => "draft",
            Self::OwnChoice => "own-choice",
        }
    }
}

/// Why a rule is there.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Because {
    /// The text that says it.
    pub source: String,
    /// How that was read.
    pub read: Reading,
    /// Whether it is only a reference; the policy's own standing unless the rule says another.
    pub status: Standing,
}

/// Words that a rule is for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Match {
    /// `"*"`.
    Any,
    /// These; at least one.
    Only(Vec<Word>),
}

impl Match {
    /// Tells whether one of `words` is meant. Unknown (no word) is.
    pub fn has_any(&self, words: &[Word]) -> bool {
        match self {
            Self::Any => true,
            Self::Only(only) => words.is_empty() || words.iter().any(|word| only.contains(word)),
        }
    }
}

/// Countries that a rule is for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum CountryMatch {
    /// `"*"`.
    Any,
    /// These; at least one.
    Only(Vec<Country>),
}

impl CountryMatch {
    /// Tells whether `country` is meant.
    pub fn matches(&self, country: Country) -> bool {
        match self {
            Self::Any => true,
            Self::Only(only) => only.contains(&country),
        }
    }
}

/// What the policy is about.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Scope {
    /// Modalities.
    pub modality: Match,
    /// Purposes.
    pub purpose: Match,
    /// Why.
    pub because: Because,
}

/// What has to be assessed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Require {
    /// Grades that it is for; at least one.
    pub grade: Vec<Word>,
    /// Crossings that it is for; without it, wherever the source is, at the shipment.
    pub crossing: Option<Crossing>,
    /// Schemes one of which suffices; none suffices if it is empty.
    pub any_of: Vec<Word>,
    /// Whose word suffices.
    pub strength: Strength,
    /// How long an assessment holds at most, from its first day on.
    pub validity: Option<Duration>,
    /// Why.
    pub because: Because,
}

/// From where to where data crosses.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Crossing {
    /// Where it comes from.
    pub from: CountryMatch,
    /// Where it goes.
    pub to: CountryMatch,
}

/// What needs no assessment.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Exempt {
    /// The basis that the step states.
    pub basis: Word,
    /// The role that the stating key needs.
    pub role: Role,
    /// Why.
    pub because: Because,
}

/// Which details have to be disclosed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Disclose {
    /// Of nodes of this kind.
    pub kind: Kind,
    /// These slots; at least one.
    pub slots: Vec<u8>,
    /// Only of sources, not of derived data.
    pub only_sources: bool,
    /// The point of a list that they answer.
    pub point: Option<String>,
    /// Why.
    pub because: Because,
}

/// From how many low-graded sources on a statement on their sum is asked for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Aggregate {
    /// That many.
    pub min_sources: u64,
    /// Why.
    pub because: Because,
}

impl Policy {
    /// Returns what a finding weighs under this policy.
    pub fn severity(&self, code: Code) -> Severity {
        self.severity.get(&code).copied().unwrap_or(code.severity())
    }

    /// Returns a grade's place, from 0 for the lowest; `None` for a word that is no grade here.
    pub fn grade_rank(&self, word: &Word) -> Option<usize> {
        self.grades.iter().position(|grade| grade == word)
    }

    /// Tells whether data of these modalities, for these purposes, is what the policy is about.
    /// What is not known is in scope, and without a scope everything is. A word that the vocabulary
    /// lacks makes all that is said with it unknown: a misspelt word must not take data out of scope.
    pub fn in_scope(&self, modality: &[Word], purposes: &[Word]) -> bool {
        let modality = known(modality, &self.modality);
        let purposes = known(purposes, &self.purpose);
        let meant = |scope: &Scope| scope.modality.has_any(modality) && scope.purpose.has_any(purposes);
        self.scope.is_empty() || self.scope.iter().any(meant)
    }
}

/// Returns the words if the vocabulary has them all; none if it lacks one. An empty vocabulary asks
/// for nothing.
fn known<'w>(words: &'w [Word], vocabulary: &[Word]) -> &'w [Word] {
    if vocabulary.is_empty() || words.iter().all(|word| vocabulary.contains(word)) { words } else { &[] }
}

/// A span of days, months or years, written `30d`, `24m`, `3y`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Duration {
    count: u16,
    unit: Unit,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Unit {
    Days,
    Months,
    Years,
}

impl Duration {
    /// Parses up to four digits without a leading zero, and `d`, `m` or `y`.
    pub fn parse(text: &str) -> Option<Self> {
        let (unit, digits) = [(Unit::Days, 'd'), (Unit::Months, 'm'), (Unit::Years, 'y')]
            .into_iter()
            .find_map(|(unit, letter)| Some((unit, text.strip_suffix(letter)?)))?;
        let plain = (1..=4).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_digit());
        let leading = digits.len() > 1 && digits.starts_with('0');
        let count = digits.parse().ok().filter(|_| plain && !leading)?;
        Some(Self { count, unit })
    }

    /// Returns the last day that is within the span from `date` on: that many days later, or the
    /// same day of a later month (its last, where that month lacks it).
    #[must_use]
    pub fn after(&self, date: Date) -> Date {
        let count = u32::from(self.count);
        match self.unit {
            Unit::Days => date.plus_days(count),
            Unit::Months => date.plus_months(count),
            Unit::Years => date.plus_months(count.saturating_mul(12)),
        }
    }
}

impl fmt::Display for Duration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let letter = match self.unit {
            Unit::Days => 'd',
            Unit::Months => 'm',
            Unit::Years => 'y',
        };
        write!(f, "{}{letter}", self.count)
    }
}

/// Reads a duration.
pub(crate) fn read_duration(item: &Item<'_>) -> Result<Duration, ConfigError> {
    let text = item.text()?;
    Duration::parse(text).ok_or_else(|| {
        item.error(format!("{text:?} is not a duration"))
            .hint("a duration is up to four digits and d, m or y: \"30d\", \"24m\", \"3y\"")
    })
}

/// Parses a policy. `file_name` only stands in errors.
///
/// # Errors
/// A [`ConfigError`] with line and column.
pub fn parse(file_name: &str, text: &str) -> Result<Policy, ConfigError> {
    let (source, document) = Source::parse(file_name, text)?;
    let known = [
        "id",
        "version",
        "status",
        "judge",
        "max_lag",
        "vocabulary",
        "scope",
        "require",
        "exempt",
        "disclose",
        "aggregate",
        "severity",
    ];
    let top = source.top(&document, &known)?;
    let id = top.need("id")?.text()?.to_owned();
    let version = top.need("version")?.text()?.to_owned();
    let status = top.need("status")?.one_of(&Standing::WORDS)?;
    let judge = top.get("judge").map_or(Ok(Judge::Both), |item| item.one_of(&Judge::WORDS))?;
    let max_lag = top.get("max_lag").map(|item| read_duration(&item)).transpose()?;
    let words = Vocabulary::read(&top.need("vocabulary")?)?;
    let reader = Rules { words: &words, status };
    let scope = top.each("scope", &with_why(&["modality", "purpose"]), |fields| reader.scope(fields))?;
    let require = ["grade", "crossing", "any_of", "strength", "validity"];
    let require = top.each("require", &with_why(&require), |fields| reader.require(fields))?;
    let exempt = top.each("exempt", &with_why(&["basis", "role"]), |fields| reader.exempt(fields))?;
    let disclose = ["kind", "fields", "only_sources", "point"];
    let disclose = top.each("disclose", &with_why(&disclose), |fields| reader.disclose(fields))?;
    let aggregate = top.get("aggregate").map(|item| reader.aggregate(&item)).transpose()?;
    let severity = top.get("severity").map_or_else(|| Ok(BTreeMap::new()), |item| read_severity(&item))?;
    let Vocabulary { grades, modality, purpose, schemes, bases } = words;
    Ok(Policy {
        id,
        version,
        status,
        judge,
        max_lag,
        grades,
        modality,
        purpose,
        schemes,
        bases,
        scope,
        require,
        exempt,
        disclose,
        aggregate,
        severity,
    })
}

/// Adds the fields that say why a rule is there.
fn with_why<'a>(fields: &[&'a str]) -> Vec<&'a str> {
    fields.iter().copied().chain(["source", "read", "status"]).collect()
}

struct Vocabulary {
    grades: Vec<Word>,
    modality: Vec<Word>,
    purpose: Vec<Word>,
    schemes: Vec<Word>,
    bases: Vec<Word>,
}

impl Vocabulary {
    fn read(item: &Item<'_>) -> Result<Self, ConfigError> {
        let fields = item.fields(&["grades", "modality", "purpose", "schemes", "bases"])?;
        fields.need("grades")?.some_items()?;
        let grade = |item: &Item<'_>| {
            let word = read_word(item)?;
            if word.as_str() == "undetermined" {
                return Err(item.error("`undetermined` is above every grade, and not one of them"));
            }
            Ok(word)
        };
        Ok(Self {
            grades: read_unlike(&fields, "grades", grade)?,
            modality: read_unlike(&fields, "modality", read_word)?,
            purpose: read_unlike(&fields, "purpose", read_word)?,
            schemes: read_unlike(&fields, "schemes", read_word)?,
            bases: read_unlike(&fields, "bases", read_word)?,
        })
    }
}

/// What the reading of a rule needs of the rest.
struct Rules<'v> {
    words: &'v Vocabulary,
    status: Standing,
}

impl Rules<'_> {
    fn because(&self, fields: &Fields<'_>) -> Result<Because, ConfigError> {
        let status = fields.get("status").map_or(Ok(self.status), |item| item.one_of(&Standing::WORDS))?;
        Ok(Because {
            source: fields.need("source")?.text()?.to_owned(),
            read: fields.need("read")?.one_of(&Reading::WORDS)?,
            status,
        })
    }

    fn scope(&self, fields: &Fields<'_>) -> Result<Scope, ConfigError> {
        Ok(Scope {
            modality: read_match(fields, "modality", &self.words.modality)?,
            purpose: read_match(fields, "purpose", &self.words.purpose)?,
            because: self.because(fields)?,
        })
    }

    fn require(&self, fields: &Fields<'_>) -> Result<Require, ConfigError> {
        fields.need("grade")?.some_items()?;
        fields.need("any_of")?;
        let strength = [("signed", Strength::Signed), ("stated", Strength::Stated)];
        Ok(Require {
            grade: read_unlike(fields, "grade", |item| known_word(item, "grades", &self.words.grades))?,
            crossing: fields.get("crossing").map(|item| read_crossing(&item)).transpose()?,
            any_of: read_unlike(fields, "any_of", |item| known_word(item, "schemes", &self.words.schemes))?,
            strength: fields.need("strength")?.one_of(&strength)?,
            validity: fields.get("validity").map(|item| read_duration(&item)).transpose()?,
            because: self.because(fields)?,
        })
    }

    fn exempt(&self, fields: &Fields<'_>) -> Result<Exempt, ConfigError> {
        Ok(Exempt {
            basis: known_word(&fields.need("basis")?, "bases", &self.words.bases)?,
            role: fields.need("role")?.one_of(&Role::WORDS)?,
            because: self.because(fields)?,
        })
    }

    fn disclose(&self, fields: &Fields<'_>) -> Result<Disclose, ConfigError> {
        let kind = fields.need("kind")?.parsed("a kind of node", Kind::from_word)?;
        fields.need("fields")?.some_items()?;
        let slots = read_unlike(fields, "fields", |item| {
            let name = item.text()?;
            details::slot(kind, name).ok_or_else(|| {
                let known = details::slot_names(kind).join(", ");
                item.error(format!("a {kind} has no detail {name:?}")).hint(format!("it has: {known}"))
            })
        })?;
        let only_sources = match fields.get("only_sources") {
            None => false,
            Some(item) if item.boolean()? && kind != Kind::Dataset => {
                return Err(item.error("only datasets are sources"));
            }
            Some(item) => item.boolean()?,
        };
        let point = fields.get("point").map(|item| item.text().map(str::to_owned)).transpose()?;
        Ok(Disclose { kind, slots, only_sources, point, because: self.because(fields)? })
    }

    fn aggregate(&self, item: &Item<'_>) -> Result<Aggregate, ConfigError> {
        let fields = item.fields(&with_why(&["min_sources"]))?;
        let item = fields.need("min_sources")?;
        let min_sources = item.number()?;
        if min_sources < 2 {
            return Err(item.error("is below 2, and one source is no sum"));
        }
        Ok(Aggregate { min_sources, because: self.because(&fields)? })
    }
}

/// Reads a word that stands in a list of the vocabulary.
fn known_word(item: &Item<'_>, list: &str, known: &[Word]) -> Result<Word, ConfigError> {
    let word = read_word(item)?;
    if known.contains(&word) {
        return Ok(word);
    }
    Err(item.error(format!("{:?} does not stand in vocabulary.{list}", word.as_str())))
}

/// Reads a list of words, or `["*"]`. A vocabulary without the list leaves the words open.
fn read_match(fields: &Fields<'_>, name: &str, known: &[Word]) -> Result<Match, ConfigError> {
    let item = fields.need(name)?;
    if is_star(&item)? {
        return Ok(Match::Any);
    }
    let word = |item: &Item<'_>| if known.is_empty() { read_word(item) } else { known_word(item, name, known) };
    read_unlike(fields, name, word).map(Match::Only)
}

fn read_crossing(item: &Item<'_>) -> Result<Crossing, ConfigError> {
    let fields = item.fields(&["from", "to"])?;
    let side = |name: &str| {
        let item = fields.need(name)?;
        if is_star(&item)? {
            return Ok(CountryMatch::Any);
        }
        read_unlike(&fields, name, read_country).map(CountryMatch::Only)
    };
    Ok(Crossing { from: side("from")?, to: side("to")? })
}

/// Tells whether a list is `["*"]`. Beside other words the star is refused.
fn is_star(list: &Item<'_>) -> Result<bool, ConfigError> {
    let items = list.some_items()?;
    let star = items.iter().find(|item| item.text().is_ok_and(|text| text == "*"));
    match star {
        Some(star) if items.len() > 1 => Err(star.error("\"*\" is everything, and stands alone")),
        found => Ok(found.is_some()),
    }
}

fn read_severity(item: &Item<'_>) -> Result<BTreeMap<Code, Severity>, ConfigError> {
    let weights = [Severity::Error, Severity::Warning, Severity::Note].map(|weight| (weight.as_str(), weight));
    let mut severity = BTreeMap::new();
    for (name, at, item) in item.open_fields()?.all() {
        let code = Code::parse(name).ok_or_else(|| {
            let near =
                Code::ALL.iter().map(|code| code.as_str()).find(|code| code.contains(name) || name.contains(code));
            let error = item.name_error(at, "is no finding's code");
            match near {
                Some(near) => error.hint(format!("is {near:?} meant?")),
                None => error.hint("docs/spec/verify.md lists the codes"),
            }
        })?;
        let weight = item.one_of(&weights)?;
        if code.is_fixed() && weight < code.severity() {
            let why = format!("weighs {} always, and cannot be lowered", code.severity());
            return Err(item.error(why));
        }
        severity.insert(code, weight);
    }
    Ok(severity)
}

#[cfg(test)]
mod tests {
    use alloc::vec;

    use super::*;

    const SAMPLE: &str = r#"id = "sample"
version = "1"
status = "reference"
judge = "now"
max_lag = "7d"
[vocabulary]
grades = ["general", "important"]
modality = ["visual", "tactile"]
purpose = ["grasp"]
schemes = ["office"]
bases = ["transit"]
[[scope]]
modality = ["visual"]
purpose = ["*"]
source = "a page"
read = "secondary"
[[require]]
grade = ["important"]
crossing = { from = ["CN"], to = ["*"] }
any_of = ["office"]
strength = "signed"
validity = "3y"
source = "a text"
read = "text"
status = "binding"
[[exempt]]
basis = "transit"
role = "grade"
source = "a draft"
read = "draft"
[[disclose]]
kind = "dataset"
fields = ["name", "device"]
only_sources = true
point = "2(d)"
source = "none"
read = "own-choice"
[aggregate]
min_sources = 10
source = "none"
read = "own-choice"
[severity]
"weak-digest" = "error"
"time-self-declared" = "warning"
"#;

    #[track_caller]
    fn assert_refused(from: &str, to: &str, at: &str, why: &str) {
        assert!(SAMPLE.contains(from), "{from}");
        let error = parse("policy.toml", &SAMPLE.replacen(from, to, 1)).unwrap_err();
        let text = format!("{error}");
        assert!(text.starts_with(&format!("policy.toml:{at}: ")) && text.contains(why), "{text}");
    }

    fn word(text: &str) -> Word {
        Word::parse(text).unwrap()
    }

    #[test]
    fn a_complete_policy_is_read() {
        let policy = parse("policy.toml", SAMPLE).unwrap();
        assert_eq!((policy.status, policy.judge), (Standing::Reference, Judge::Now));
        assert_eq!(policy.grade_rank(&word("important")), Some(1));
        assert_eq!(policy.grade_rank(&word("undetermined")), None);
        let [require] = policy.require.as_slice() else { panic!("one rule") };
        assert_eq!(
            require.because,
            Because { source: "a text".into(), read: Reading::Text, status: Standing::Binding }
        );
        let crossing = require.crossing.as_ref().unwrap();
        let country = |code| Country::parse(code).unwrap();
        assert!(crossing.from.matches(country("CN")) && !crossing.from.matches(country("DE")));
        assert!(crossing.to.matches(country("DE")));
        assert_eq!(policy.exempt[0].because.status, Standing::Reference);
        assert_eq!(policy.disclose[0].slots, [0, 4]);
        assert_eq!(policy.aggregate.as_ref().map(|a| a.min_sources), Some(10));
        assert_eq!(policy.severity(Code::WeakDigest), Severity::Error);
        assert_eq!(policy.severity(Code::Stale), Code::Stale.severity());
    }

    #[test]
    fn the_published_policies_are_read() {
        let china = parse("p", include_str!("../../policies/cn-industrial-reference.toml")).unwrap();
        assert_eq!((china.status, china.require.len()), (Standing::Reference, 2));
        assert!(china.require.iter().any(|rule| rule.any_of.is_empty()), "nothing suffices for the highest grade");
        let list = parse("p", include_str!("../../policies/annex-iv-2d.toml")).unwrap();
        assert!(list.require.is_empty() && list.disclose.len() > 10);
    }

    #[test]
    fn the_example_of_the_specification_is_read() {
        let page = include_str!("../../docs/spec/policy.md");
        let (_, rest) = page.split_once("```toml\n").unwrap();
        let (example, _) = rest.split_once("```").unwrap();
        let policy = parse("p", example).unwrap();
        assert_eq!((policy.require.len(), policy.disclose.len()), (1, 1));
    }

    #[test]
    fn what_is_unknown_is_in_scope() {
        let policy = parse("policy.toml", SAMPLE).unwrap();
        assert!(policy.in_scope(&[word("visual")], &[word("other")]));
        assert!(policy.in_scope(&[], &[]));
        assert!(policy.in_scope(&[word("tactile"), word("visual")], &[]));
        assert!(!policy.in_scope(&[word("tactile")], &[]));
        let everything = Policy { scope: vec![], ..policy };
        assert!(everything.in_scope(&[word("tactile")], &[]));
    }

    #[test]
    fn durations_are_added_on_the_calendar() {
        let after = |text, date| format!("{}", Duration::parse(text).unwrap().after(Date::parse(date).unwrap()));
        assert_eq!(after("30d", "2026-01-15"), "2026-02-14");
        assert_eq!(after("1m", "2026-01-31"), "2026-02-28");
        assert_eq!(after("3y", "2024-02-29"), "2027-02-28");
        assert_eq!(after("0d", "2026-01-15"), "2026-01-15");
        assert_eq!(after("9999y", "2026-01-15"), "9999-12-31");
        for text in ["", "d", "3", "3 y", "-3y", "+3y", "03y", "10000d", "3w", "3Y", "3yy", "٣y"] {
            assert_eq!(Duration::parse(text), None, "{text}");
        }
        assert_eq!(format!("{}", Duration::parse("24m").unwrap()), "24m");
    }

    #[test]
    fn unknown_and_missing_fields_are_refused_where_they_stand() {
        assert_refused("judge", "judged", "4:1", "judged: unknown field");
        assert_refused("bases", "basis", "11:1", "vocabulary.basis: unknown field");
        assert_refused("purpose = [\"*\"]", "purposes = [\"*\"]", "14:1", "scope.purposes: unknown field");
        assert_refused("to = [\"*\"]", "into = [\"*\"]", "19:29", "require.crossing.into: unknown field");
        assert_refused("id = \"sample\"\n", "", "1:1", "the field `id` is missing");
        assert_refused(
            "grades = [\"general\", \"important\"]\n",
            "",
            "6:1",
            "vocabulary: the field `grades` is missing",
        );
        assert_refused("read = \"secondary\"\n", "", "12:1", "scope: the field `read` is missing");
        assert_refused("source = \"a text\"\n", "", "17:1", "require: the field `source` is missing");
        assert_refused("any_of = [\"office\"]\n", "", "17:1", "require: the field `any_of` is missing");
        assert_refused("role = \"grade\"\n", "", "26:1", "exempt: the field `role` is missing");
        assert_refused(
            "[aggregate]\nmin_sources = 10\n",
            "[aggregate]\n",
            "38:1",
            "the field `min_sources` is missing",
        );
    }

    #[test]
    fn words_that_are_not_known_are_refused_where_they_stand() {
        assert_refused("status = \"reference\"", "status = \"law\"", "3:10", "status: \"law\" is not known here");
        assert_refused("\"now\"", "\"later\"", "4:9", "judge: \"later\"");
        assert_refused("\"7d\"", "\"a week\"", "5:11", "max_lag: \"a week\" is not a duration");
        assert_refused("\"important\"]\nmod", "\"undetermined\"]\nmod", "7:22", "is above every grade");
        assert_refused("\"tactile\"", "\"visual\"", "8:23", "stands twice");
        assert_refused(
            "modality = [\"visual\"]",
            "modality = [\"audio\"]",
            "13:13",
            "not stand in vocabulary.modality",
        );
        assert_refused("purpose = [\"*\"]", "purpose = [\"weld\"]", "14:12", "not stand in vocabulary.purpose");
        assert_refused("purpose = [\"*\"]", "purpose = [\"grasp\", \"*\"]", "14:21", "stands alone");
        assert_refused("purpose = [\"*\"]", "purpose = []", "14:11", "the list is empty");
        assert_refused("\"secondary\"", "\"heard\"", "16:8", "scope.read: \"heard\"");
        assert_refused(
            "grade = [\"important\"]",
            "grade = [\"core\"]",
            "18:10",
            "\"core\" does not stand in vocabulary.grades",
        );
        assert_refused("[\"CN\"]", "[\"cn\"]", "19:22", "require.crossing.from: \"cn\" is not a country code");
        assert_refused("[\"office\"]\nstrength", "[\"court\"]\nstrength", "20:11", "not stand in vocabulary.schemes");
        assert_refused("\"signed\"", "\"sworn\"", "21:12", "require.strength: \"sworn\"");
        assert_refused("\"3y\"", "\"3 years\"", "22:12", "require.validity");
        assert_refused("basis = \"transit\"", "basis = \"gift\"", "27:9", "not stand in vocabulary.bases");
        assert_refused("role = \"grade\"", "role = \"map\"", "28:8", "exempt.role: \"map\"");
        assert_refused("kind = \"dataset\"", "kind = \"table\"", "32:8", "\"table\" is not a kind of node");
        assert_refused("kind = \"dataset\"", "kind = \"model\"", "33:19", "a model has no detail \"device\"");
        assert_refused("\"device\"", "\"name\"", "33:19", "stands twice");
        assert_refused("true", "\"yes\"", "34:16", "`true` or `false` is expected here, not a string");
        assert_refused("min_sources = 10", "min_sources = 1", "39:15", "one source is no sum");
    }

    #[test]
    fn only_datasets_are_sources() {
        let model = SAMPLE
            .replace("kind = \"dataset\"\nfields = [\"name\", \"device\"]", "kind = \"model\"\nfields = [\"name\"]");
        let error = parse("p", &model).unwrap_err();
        assert_eq!((error.line, error.why.as_str()), (34, "only datasets are sources"));
    }

    #[test]
    fn findings_that_are_unknown_or_fixed_are_refused_where_they_stand() {
        assert_refused(
            "\"weak-digest\" =",
            "\"weak-digests\" =",
            "43:1",
            "severity.weak-digests: is no finding's code",
        );
        assert_refused("= \"error\"", "= \"fatal\"", "43:17", "severity.weak-digest: \"fatal\"");
        let fixed = Code::ALL.iter().filter(|code| code.is_fixed());
        for code in fixed {
            let text = SAMPLE.replace("weak-digest", code.as_str());
            assert!(parse("p", &text).is_ok(), "{code} may stay what it is");
            let error = parse("p", &text.replace("= \"error\"", "= \"warning\"")).unwrap_err();
            assert_eq!((error.line, error.why.as_str()), (43, "weighs error always, and cannot be lowered"));
        }
    }
}
