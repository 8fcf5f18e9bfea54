//! The buyer's checklist, held against what a bundle says. Which field answers which point stands in `points.toml`.

use griptrace_core::{
    node::{Activity, Kind, Persons},
    value::Value,
};
use serde::Deserialize;

use super::facts::{Facts, Item, annotates, anonymises};

const TABLE: &str = include_str!("points.toml");

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Table {
    point: Vec<Point>,
}

/// A point of the checklist.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Point {
    /// Its own name, by which the texts know it.
    pub(crate) id: String,
    /// The place in the text that it is taken from.
    pub(crate) article: String,
    /// That text.
    pub(crate) source: String,
    /// How it was read, in a policy's words.
    pub(crate) read: String,
    ask: Vec<Ask>,
}

/// What a point asks of some nodes.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Ask {
    of: Whom,
    #[serde(default)]
    core: Vec<String>,
    #[serde(default)]
    fields: Vec<String>,
    #[serde(default, rename = "if")]
    only_if: Option<OnlyIf>,
}

/// Which nodes are asked.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Whom {
    Source,
    Step,
    Annotation,
    Anonymisation,
    Cleaning,
    Preparation,
    Model,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
enum OnlyIf {
    Persons,
}

/// How far a point is answered.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum State {
    /// Every field that is asked for is stated.
    Stated,
    /// Some are.
    Partly,
    /// None is.
    Missing,
    /// There is nothing that it could be asked of.
    NothingToAsk,
}

impl State {
    /// Returns the word of it, for programs.
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::Stated => "stated",
            Self::Partly => "partly-stated",
            Self::Missing => "missing",
            Self::NothingToAsk => "nothing-to-ask",
        }
    }
}

/// One field of the nodes that are asked: who states it, and who does not. Places in [`Facts::items`].
#[derive(Debug)]
pub(crate) struct Field {
    pub(crate) name: String,
    pub(crate) stated: Vec<usize>,
    pub(crate) missing: Vec<usize>,
}

/// A point, and what answers it.
#[derive(Debug)]
pub(crate) struct Answered {
    pub(crate) point: Point,
    pub(crate) fields: Vec<Field>,
}

impl Answered {
    /// Returns how far it is answered.
    pub(crate) fn state(&self) -> State {
        let stated = self.fields.iter().any(|field| !field.stated.is_empty());
        let missing = self.fields.iter().any(|field| !field.missing.is_empty());
        match (stated, missing) {
            (true, false) => State::Stated,
            (true, true) => State::Partly,
            (false, true) => State::Missing,
            (false, false) => State::NothingToAsk,
        }
    }
}

/// Returns the points of the checklist, in order.
pub(crate) fn points() -> Vec<Point> {
    toml::from_str::<Table>(TABLE).expect("the table is this program's own, and a test reads it").point
}

/// Holds a bundle against the checklist.
pub(crate) fn answer(facts: &Facts) -> Vec<Answered> {
    points().into_iter().map(|point| answer_one(facts, point)).collect()
}

fn answer_one(facts: &Facts, point: Point) -> Answered {
    let mut fields: Vec<Field> = Vec::new();
    for ask in &point.ask {
        let asked: Vec<usize> = (0..facts.items.len()).filter(|place| ask.is_of(facts.item(*place))).collect();
        for name in &ask.core {
            let (stated, missing) = asked.iter().partition(|place| core_says(facts.item(**place), name));
            add(&mut fields, Field { name: name.clone(), stated, missing });
        }
        for name in &ask.fields {
            let (stated, missing) = asked.iter().partition(|place| detail_says(facts.item(**place), name));
            add(&mut fields, Field { name: name.clone(), stated, missing });
        }
    }
    fields.retain(|field| !field.stated.is_empty() || !field.missing.is_empty());
    Answered { point, fields }
}

/// Adds a field, to one of the same name if there is one.
fn add(fields: &mut Vec<Field>, field: Field) {
    match fields.iter_mut().find(|known| known.name == field.name) {
        Some(known) => {
            known.stated.extend(field.stated);
            known.missing.extend(field.missing);
        }
        None => fields.push(field),
    }
}

impl Ask {
    fn is_of(&self, item: &Item) -> bool {
        let is_step = item.core.kind == Kind::Transformation;
        let is_asked = match self.of {
            Whom::Source => item.is_source(),
            Whom::Model => item.core.kind == Kind::Model,
            Whom::Step => is_step,
            Whom::Annotation => annotates(item),
            Whom::Anonymisation => anonymises(item),
            Whom::Cleaning => item.core.activity == Some(Activity::Cleaning),
            Whom::Preparation => item.core.activity.is_some_and(prepares),
        };
        let holds = match self.only_if {
            Some(OnlyIf::Persons) => item.core.persons != Some(Persons::NoneFound),
            None => true,
        };
        is_asked && holds
    }
}

const fn prepares(activity: Activity) -> bool {
    match activity {
        Activity::Annotation
        | Activity::Cleaning
        | Activity::Anonymisation
        | Activity::Feature
        | Activity::Synthetic
        | Activity::Merge
        | Activity::Split => true,
        Activity::Training | Activity::Quantisation | Activity::Packaging | Activity::Evaluation => false,
    }
}

fn core_says(item: &Item, name: &str) -> bool {
    let core = &item.core;
    match name {
        "origin" => core.origin.is_some(),
        "country" => core.country.is_some(),
        "purpose" => !core.purpose.is_empty(),
        "modality" => !core.modality.is_empty(),
        "activity" => core.activity.is_some(),
        "date" => core.date.is_some(),
        // Not examined is no answer to whether there are any.
        "persons" => matches!(core.persons, Some(Persons::NoneFound | Persons::Present)),
        _ => false,
    }
}

fn detail_says(item: &Item, name: &str) -> bool {
    match name.split_once('.') {
        Some((detail, entry)) => item.detail(detail).and_then(|value| value.field(entry)).is_some_and(says_something),
        None => item.detail(name).is_some_and(says_something),
    }
}

/// Tells whether a value is more than an empty one.
fn says_something(value: &Value) -> bool {
    match value {
        Value::Text(text) => !text.trim().is_empty(),
        Value::Bytes(bytes) => !bytes.is_empty(),
        Value::List(items) => !items.is_empty(),
        Value::Map(pairs) => !pairs.is_empty(),
        Value::Int(_) | Value::Bool(_) => true,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    const PROFILE: &str = include_str!("../../../policies/profiles/annex-iv-2d.toml");
    const POLICY: &str = include_str!("../../../policies/annex-iv-2d.toml");

    /// Kind and field of all that the checklist asks for: details, and with `of_core` what every reader sees.
    fn asked(of_core: bool) -> BTreeSet<(&'static str, String)> {
        let kind = |of: Whom| match of {
            Whom::Source => "dataset",
            Whom::Model => "model",
            Whom::Step | Whom::Annotation | Whom::Anonymisation | Whom::Cleaning | Whom::Preparation => {
                "transformation"
            }
        };
        let points = points();
        let asks = points.iter().flat_map(|point| &point.ask);
        let fields = asks.flat_map(|ask| {
            let core = ask.core.iter().filter(|_| of_core);
            ask.fields.iter().chain(core).map(move |name| (kind(ask.of), name))
        });
        fields.map(|(kind, name)| (kind, name.split('.').next().unwrap().to_owned())).collect()
    }

    #[test]
    fn the_points_are_those_of_article_10_2_and_annex_iv_2_d() {
        let points = points();
        for letter in 'a'..='h' {
            let article = format!("Article 10(2)({letter})");
            assert_eq!(points.iter().filter(|point| point.article == article).count(), 1, "{article}");
        }
        assert_eq!(points.iter().filter(|point| point.article == "Annex IV 2(d)").count(), 6);
        assert!(
            points.iter().all(|point| point.read == "text" && point.source.starts_with("Regulation (EU) 2024/1689"))
        );
        assert_eq!(points.len(), 14);
    }

    #[test]
    fn the_profile_opens_all_that_the_checklist_asks_for() {
        let profile: toml::Value = toml::from_str(PROFILE).unwrap();
        for (kind, field) in asked(false) {
            let shown = profile["show"][kind].as_array().unwrap();
            assert!(shown.iter().any(|name| name.as_str() == Some(&field)), "{kind}.{field}");
        }
    }

    #[test]
    fn the_checklist_asks_for_all_that_the_policy_names_of_these_articles() {
        let policy: toml::Value = toml::from_str(POLICY).unwrap();
        let asked = asked(true);
        let mut rules = 0;
        for rule in policy["disclose"].as_array().unwrap() {
            let (point, kind) = (rule["point"].as_str().unwrap(), rule["kind"].as_str().unwrap());
            if !point.starts_with("Article 10(2)") && !point.starts_with("Annex IV 2(d)") {
                continue;
            }
            rules += 1;
            for field in rule["fields"].as_array().unwrap() {
                let field = field.as_str().unwrap();
                assert!(asked.iter().any(|(of, name)| *of == kind && name == field), "{point}: {kind}.{field}");
            }
        }
        assert!(rules >= 14, "{rules} rules");
    }

    #[test]
    fn an_empty_value_answers_nothing() {
        for value in [Value::text(" "), Value::List(Vec::new()), Value::Map(Vec::new()), Value::Bytes(Vec::new())] {
            assert!(!says_something(&value), "{value:?}");
        }
        assert!(
            says_something(&Value::Bool(false)) && says_something(&Value::Int(0)) && says_something(&Value::text("x"))
        );
    }
}
