//! The words of the dossier and the label, by language. They stand in `texts/`, one file a language.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::{facts::Label, ranges};

/// A language that a dossier can be written in.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, clap::ValueEnum)]
pub(crate) enum Language {
    /// English
    #[default]
    En,
    /// German
    De,
    /// Chinese, simplified
    Zh,
}

impl Language {
    #[cfg(test)]
    const ALL: [Self; 3] = [Self::En, Self::De, Self::Zh];

    /// Returns the tag of BCP 47.
    pub(crate) const fn tag(self) -> &'static str {
        match self {
            Self::En => "en",
            Self::De => "de",
            Self::Zh => "zh-Hans",
        }
    }

    const fn source(self) -> &'static str {
        match self {
            Self::En => include_str!("texts/en.toml"),
            Self::De => include_str!("texts/de.toml"),
            Self::Zh => include_str!("texts/zh.toml"),
        }
    }

    /// Returns the texts.
    pub(crate) fn texts(self) -> Texts {
        toml::from_str(self.source()).expect("the texts are this program's own, and a test reads them")
    }
}

/// Texts by a name that records know, such as a field's.
pub(crate) type Names = BTreeMap<String, String>;

macro_rules! texts {
    ($($(#[$doc:meta])* $name:ident { $($field:ident: $type:ty),* $(,)? })*) => {
        $(
            $(#[$doc])*
            #[derive(Debug, Default, Deserialize)]
            #[serde(deny_unknown_fields)]
            pub(crate) struct $name {
                $(pub(crate) $field: $type,)*
            }
        )*
    };
}

texts! {
    /// All texts of one language.
    Texts {
        page: Page, about: About, verdict: VerdictTexts, shipped: Shipped, picture: Picture, checklist: Checklist,
        sources: Sources, steps: Steps, derived: Section, models: Section, assessments: Assessments, marks: Marks,
        gaps: Gaps, index: Index, label: LabelTexts, pre_check: PreCheck, kinds: Names, words: Names, fields: Names,
    }
    /// What stands on every page, and what is said anywhere.
    Page {
        title: String, foot: String, foot_unverified: String, foot_met: String, foot_not_met: String,
        foot_broken: String, colon: String, comma: String, semicolon: String, brackets: String,
        page_of: [String; 3], made_from: String, given: String, update: String, updated: String, foot_updated: String, root: String, size: String, bytes: String,
        program: String, log: String, log_at: String, log_untimed: String, compare: String,
        not_disclosed: String, and_more: String, none: String, yes: String, no: String,
    }
    /// What the paper is and is not.
    About { heading: String, items: Vec<String> }
    /// The verdict.
    VerdictTexts {
        heading: String, none: String, met: String, not_met: String, by: String, question: String, answer: String, destination: String,
        consignee: String, purposes: String, unsaid: String, no_purposes: String, judged_for: String,
        day_given: String, day_of_clock: String, policy: String, trust: String, reference: String, binding: String,
        at_shipment: String, now: String, at_time: String, time_unknown: String, model: String, findings: String, no_findings: String, more_findings: String,
        hand_none: String, hand_digest: String, hand_file: String, hand_folder: String, hand_more: String,
        severity: String, finding: String, places: String, means: String, keys: String, broken: String,
        untrusted: String, shows: String, english: String, whose: Names, severities: Names, roles: Names, hand: Names,
    }
    /// The shipment and its models.
    Shipped {
        heading: String, pre_check: String, model: String, file: String, bytes: String, digest: String,
        files_hidden: String,
    }
    /// The picture.
    Picture {
        heading: String, about: String, grouped: [String; 4], alt: String, sources: String, steps: String,
        models: String, others: String, other_countries: String,
    }
    /// The checklist.
    Checklist {
        heading: String, about: String, article: String, annex: String, article_10: String, annex_iv: String, point: String, state: String,
        stated_by: String, missing_from: String, all: String, states: Names, points: Names,
    }
    /// The sources.
    Sources {
        heading: String, about: String, none: String, alike: String, hidden: String, origin: String,
        annotation: String, no_annotation: String, anonymisation: String, no_anonymisation: String, too_many: String,
        bias: String, gaps: String, data: String, other: String, assessments: String, no_assessment: String,
        judged: String, judged_at: String, answers: String, marks: String, erased: String,
    }
    /// The steps.
    Steps { heading: String, about: String, alike: String, used: String, made: String }
    /// A section with no more words of its own.
    Section { heading: String, alike: String }
    /// The assessments.
    Assessments {
        heading: String, about: String, none: String, signed: String, stated: String, result: String, scheme: String,
        strength: String, grade: String, purposes: String, modalities: String, destinations: String, anywhere: String,
        valid: String, no_end: String, issued: String, of: String, judged: String,
        recorded: String, at_shipment: String, now: String, covers_signed: String, covers_stated: String,
        lapsed: String, covers_not: String, unnamed: String,
    }
    /// The marks and erasures.
    Marks { heading: String, none: String, on: String }
    /// What is not there.
    Gaps {
        heading: String, missing_points: String, partly_points: String, no_missing: String, unnamed: String,
        bare: String, hidden_sources: String, no_files: String, unknown_upstream: String, absent: String,
        persons: String, weak: String, elsewhere: String, unassessed: String, alike: String,
    }
    /// The index.
    Index { heading: String, about: String, label: String, name: String, id: String, content: String }
    /// What is said in the place of other texts where nothing was shipped yet.
    PreCheck {
        title: String, foot: String, compare: String, at_shipment: String, lapsed: String, shipped: String,
        picture: String, judged_at: String, label_title: String, label_about: String, hand: Names,
    }
    /// The label.
    LabelTexts { title: String, bundle: String, root: String, about: String, is_not: String }
}

impl Texts {
    /// Puts the texts of a pre-check in the place of those of a delivery.
    pub(crate) fn of_pre_check(self) -> Self {
        let pre = self.pre_check;
        let at_shipment = pre.at_shipment.clone();
        Self {
            page: Page { title: pre.title, foot: pre.foot, compare: pre.compare, ..self.page },
            verdict: VerdictTexts { at_shipment: pre.at_shipment, hand: pre.hand, ..self.verdict },
            shipped: Shipped { heading: pre.shipped, ..self.shipped },
            picture: Picture { about: pre.picture, ..self.picture },
            sources: Sources { judged_at: pre.judged_at, ..self.sources },
            assessments: Assessments { at_shipment, lapsed: pre.lapsed, ..self.assessments },
            label: LabelTexts { title: pre.label_title, about: pre.label_about, ..self.label },
            pre_check: PreCheck::default(),
            ..self
        }
    }

    /// Returns what a field is called; one that these texts don't know, by its own name.
    pub(crate) fn field<'t>(&'t self, name: &'t str) -> &'t str {
        self.fields.get(name).map_or(name, String::as_str)
    }

    /// Puts a text in brackets as this language has them behind a word.
    pub(crate) fn bracketed(&self, text: &str) -> String {
        fill(&self.page.brackets, &[("text", text)])
    }

    /// Lists labels as this language does.
    pub(crate) fn listed(&self, labels: impl IntoIterator<Item = Label>) -> String {
        ranges(labels).replace(", ", &self.page.comma)
    }

    /// Returns a word of a closed list in this language; another, as it is.
    pub(crate) fn word<'t>(&'t self, word: &'t str) -> &'t str {
        self.words.get(word).map_or(word, String::as_str)
    }
}

/// Fills values into the braces of a text.
pub(crate) fn fill(text: &str, values: &[(&str, &str)]) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('{') {
        let (name, behind) = after.split_once('}').unwrap_or((after, ""));
        out.push_str(before);
        out.push_str(values.iter().find(|(known, _)| *known == name).map_or("", |(_, value)| value));
        rest = behind;
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use griptrace_core::{details::slot_names, node::Kind};

    use super::*;
    use crate::dossier::points::points;

    #[test]
    fn every_language_has_a_text_for_every_field_and_point() {
        for language in Language::ALL {
            let texts = language.texts();
            let slots = Kind::ALL.iter().flat_map(|kind| slot_names(*kind));
            for name in slots.filter(|name| !name.is_empty()) {
                assert!(texts.fields.contains_key(*name), "{language:?}: {name}");
            }
            for point in points() {
                assert!(texts.checklist.points.contains_key(&point.id), "{language:?}: {}", point.id);
            }
            for kind in Kind::ALL {
                assert!(texts.kinds.contains_key(kind.word()), "{language:?}: {kind}");
            }
        }
    }

    #[test]
    fn every_language_has_the_same_texts_with_the_same_braces() {
        let braces = |text: &str| {
            let names = text.split('{').skip(1).filter_map(|part| part.split('}').next());
            names.map(str::to_owned).collect::<BTreeSet<_>>()
        };
        let flat = |language: Language| {
            let value: toml::Value = toml::from_str(language.source()).unwrap();
            let mut out = Vec::new();
            flatten("", &value, &mut out);
            out
        };
        let english = flat(Language::En);
        for language in Language::ALL {
            let other = flat(language);
            let names =
                |texts: &[(String, String)]| texts.iter().map(|(name, _)| name.clone()).collect::<BTreeSet<_>>();
            assert_eq!(names(&english), names(&other), "{language:?}");
            for (name, text) in &english {
                let theirs = &other.iter().find(|(known, _)| known == name).unwrap().1;
                assert_eq!(braces(text), braces(theirs), "{language:?}: {name}");
            }
        }
    }

    fn flatten(name: &str, value: &toml::Value, out: &mut Vec<(String, String)>) {
        match value {
            toml::Value::Table(table) => {
                table.iter().for_each(|(key, value)| flatten(&format!("{name}.{key}"), value, out));
            }
            toml::Value::Array(items) => {
                items.iter().enumerate().for_each(|(i, value)| flatten(&format!("{name}[{i}]"), value, out));
            }
            toml::Value::String(text) => out.push((name.to_owned(), text.clone())),
            toml::Value::Integer(_) | toml::Value::Float(_) | toml::Value::Boolean(_) | toml::Value::Datetime(_) => {
                panic!("{name} is no text")
            }
        }
    }

    #[test]
    fn braces_are_filled_once() {
        assert_eq!(fill("{a} of {b}, {c}.", &[("a", "{b}"), ("b", "2")]), "{b} of 2, .");
    }
}
