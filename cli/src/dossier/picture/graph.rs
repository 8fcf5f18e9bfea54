//! Which boxes and arrows a picture has.

use std::collections::{BTreeMap, BTreeSet};

use griptrace_core::node::{Kind, Mark, Role};
use griptrace_verifier::finding::Verdict;

use crate::dossier::{
    Dossier,
    facts::{Facts, Item, Label, Letter},
    texts::Texts,
};

/// Boxes of one picture.
pub(super) const CELLS_MAX: usize = 40;
/// Rows that all arrows together cross: the layout takes time and room for each.
const CROSSED_MAX: usize = 240;
/// Countries that have a box of their own where everything is grouped.
const COUNTRIES_MAX: usize = 3;

/// How much stands together in one box.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) enum Grouping {
    /// Nothing: a box for each.
    Nothing,
    /// Sources that look alike and go the same way.
    Alike,
    /// Sources of a kind, steps of a kind at the same stage.
    Kinds,
    /// All but what can't be left apart.
    Everything,
}

impl Grouping {
    pub(super) const ALL: [Self; 4] = [Self::Nothing, Self::Alike, Self::Kinds, Self::Everything];
}

/// A box.
#[derive(Debug)]
pub(super) struct Cell {
    pub(super) class: &'static str,
    /// The head, the name, and what is known besides; broken into rows of the box when it is drawn.
    pub(super) lines: Vec<String>,
    /// Marks that are on it, or on an assessment of it.
    pub(super) marks: Vec<String>,
}

impl Cell {
    const fn new(class: &'static str, lines: Vec<String>) -> Self {
        Self { class, lines, marks: Vec::new() }
    }
}

/// Boxes, and arrows between them by their places.
#[derive(Debug, Default)]
pub(super) struct Graph {
    pub(super) cells: Vec<Cell>,
    pub(super) edges: BTreeSet<(usize, usize)>,
}

impl Graph {
    /// Tells whether it can be placed, and looked at.
    pub(super) fn is_small(&self) -> bool {
        self.cells.len() <= CELLS_MAX && self.crossed() <= CROSSED_MAX
    }

    /// Counts the rows that the arrows cross.
    fn crossed(&self) -> usize {
        let mut rows = vec![0_usize; self.cells.len()];
        for _ in 0..self.cells.len() {
            for (from, to) in &self.edges {
                let above = rows.get(*from).map_or(0, |row| row.saturating_add(1));
                if let Some(row) = rows.get_mut(*to) {
                    *row = (*row).max(above);
                }
            }
        }
        let row = |place: &usize| rows.get(*place).copied().unwrap_or_default();
        self.edges.iter().map(|(from, to)| row(to).saturating_sub(row(from))).sum()
    }
}

/// Makes the boxes and arrows of a bundle.
pub(super) fn graph(dossier: &Dossier, texts: &Texts, grouping: Grouping) -> Graph {
    let facts = &dossier.facts;
    let keys = Keys { facts, grouping, shipped: facts.shipped().into_iter().collect(), countries: countries(facts) };
    let mut boxes: BTreeMap<String, Vec<usize>> = BTreeMap::new();
    let mut key_of: Vec<Option<String>> = Vec::new();
    for place in 0..facts.items.len() {
        let key = keys.key(place);
        if let Some(key) = &key {
            boxes.entry(key.clone()).or_default().push(place);
        }
        key_of.push(key);
    }
    let places: BTreeMap<&String, usize> = boxes.keys().enumerate().map(|(place, key)| (key, place)).collect();
    let mut graph = Graph::default();
    graph.cells.extend(boxes.values().map(|items| {
        let items: Vec<&Item> = items.iter().map(|place| facts.item(*place)).collect();
        Cell { marks: marks(dossier, texts, &items), ..cell(texts, &items, grouping) }
    }));
    let of = |item: usize| key_of.get(item).and_then(Option::as_ref).and_then(|key| places.get(key)).copied();
    for (place, item) in facts.items.iter().enumerate() {
        for parent in &item.parents {
            let (Some(from), Some(to)) = (of(*parent), of(place)) else { continue };
            // What ships may be used again; grouped, that would lead around in a circle.
            let turns_back = grouping == Grouping::Everything && keys.shipped.contains(parent) && !is_shipment(item);
            if from != to && !turns_back {
                graph.edges.insert((from, to));
            }
        }
    }
    graph
}

fn is_shipment(item: &Item) -> bool {
    item.core.kind == Kind::Shipment
}

/// Returns the countries with the most sources.
fn countries(facts: &Facts) -> BTreeSet<String> {
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    for item in facts.of(Letter::S) {
        let count = counts.entry(country(item)).or_default();
        *count = count.saturating_add(1);
    }
    let mut counted: Vec<(usize, String)> = counts.into_iter().map(|(country, count)| (count, country)).collect();
    counted.sort_by(|a, b| b.cmp(a));
    counted.into_iter().take(COUNTRIES_MAX).map(|(_, country)| country).collect()
}

fn country(item: &Item) -> String {
    item.core.country.map_or_else(|| "?".to_owned(), |country| country.to_string())
}

/// Says which box a node is in. Keys sort as the boxes are to stand.
struct Keys<'a> {
    facts: &'a Facts,
    grouping: Grouping,
    shipped: BTreeSet<usize>,
    countries: BTreeSet<String>,
}

impl Keys<'_> {
    fn key(&self, place: usize) -> Option<String> {
        let item = self.facts.item(place);
        let own = format!("{}{:09}", item.label.letter, item.label.number);
        match item.core.kind {
            Kind::Assessment | Kind::Status | Kind::Erasure => None,
            Kind::Shipment => Some(format!("z{own}")),
            Kind::Transformation => Some(self.step(item, &own)),
            Kind::Model if self.shipped.contains(&place) => {
                Some(if self.grouping == Grouping::Everything { "y".to_owned() } else { format!("y{own}") })
            }
            Kind::Dataset | Kind::Model => Some(self.data(item, &own)),
        }
    }

    fn step(&self, step: &Item, own: &str) -> String {
        let activity = step.core.activity.map_or("", griptrace_core::node::Activity::word);
        match self.grouping {
            Grouping::Nothing | Grouping::Alike => format!("t{own}"),
            Grouping::Kinds => format!("t{:09}|{activity}|{}", step.depth, country(step)),
            Grouping::Everything => "t".to_owned(),
        }
    }

    /// What a step made stands in the step's box.
    fn data(&self, item: &Item, own: &str) -> String {
        let made_by = item.core.edges_of(Role::GeneratedBy).next();
        if let Some(step) = item.parents.first().filter(|_| made_by.is_some()) {
            let step = self.facts.item(*step);
            return self.step(step, &format!("{}{:09}", step.label.letter, step.label.number));
        }
        if !item.is_source() {
            return match self.grouping {
                Grouping::Nothing | Grouping::Alike => format!("o{own}"),
                Grouping::Kinds | Grouping::Everything => format!("o{}", item.label.letter),
            };
        }
        let look = format!("{}|{:?}", looks(item), marked(self.facts, item).collect::<BTreeSet<_>>());
        match self.grouping {
            Grouping::Nothing => format!("s{own}"),
            Grouping::Alike => format!("s{look}|{:?}", item.children),
            Grouping::Kinds => format!("s{look}"),
            Grouping::Everything if self.countries.contains(&country(item)) => format!("s{}", country(item)),
            Grouping::Everything => "s~".to_owned(),
        }
    }
}

fn looks(item: &Item) -> String {
    let core = &item.core;
    let words: Vec<&str> = core.modality.iter().map(griptrace_core::word::Word::as_str).collect();
    let grade = core.grade.as_ref().map_or("", griptrace_core::word::Word::as_str);
    format!("{}|{}|{grade}|{:?}|{:?}", country(item), words.join(","), core.origin, core.held)
}

/// Returns what marks do to a record: those on it, and those on assessments of it.
fn marked<'f>(facts: &'f Facts, item: &'f Item) -> impl Iterator<Item = (bool, Mark)> + 'f {
    let words = |item: &'f Item| item.marks.iter().filter_map(|mark| facts.item(*mark).core.mark);
    let of_assessments = item.assessed_by.iter().flat_map(move |place| words(facts.item(*place)));
    words(item).map(|mark| (false, mark)).chain(of_assessments.map(|mark| (true, mark)))
}

/// Says which marks are on the records of a box. What only the verifier found to be withdrawn, such as by a trust file's
/// own withdrawal, counts too.
fn marks(dossier: &Dossier, texts: &Texts, items: &[&Item]) -> Vec<String> {
    let mut on: BTreeMap<(bool, Mark), Vec<Label>> = BTreeMap::new();
    for item in items {
        for mark in marked(&dossier.facts, item).collect::<BTreeSet<_>>() {
            on.entry(mark).or_default().push(item.label);
        }
    }
    let colon = &texts.page.colon;
    let of_which = |labels: &[Label]| match labels.len() {
        _ if items.len() == 1 => String::new(),
        1 | 2 => format!("{}{colon}", texts.listed(labels.iter().copied())),
        many => format!("{many} × "),
    };
    let assessment = texts.kinds.get(Kind::Assessment.word()).map_or("", String::as_str);
    let said = on.iter().map(|((of_assessment, mark), labels)| {
        let of = if *of_assessment { format!("{assessment}{colon}") } else { String::new() };
        format!("! {}{of}{}", of_which(labels), texts.word(mark.word()))
    });
    let mut said: Vec<String> = said.collect();
    let judged = dossier.judged.as_ref();
    let is_withdrawn = |item: &&&Item| {
        judged.and_then(|judged| judged.source(&item.id)).is_some_and(|source| source.now == Verdict::Withdrawn)
    };
    let withdrawn: Vec<Label> = items.iter().filter(is_withdrawn).map(|item| item.label).collect();
    if said.is_empty() && !withdrawn.is_empty() {
        said.push(format!("! {}{}{colon}{}", of_which(&withdrawn), texts.assessments.now, Verdict::Withdrawn));
    }
    said
}

fn cell(texts: &Texts, items: &[&Item], grouping: Grouping) -> Cell {
    let first = items.first().expect("a box holds something");
    if first.is_source() {
        return sources(texts, items, grouping);
    }
    // Of a step's box the step comes first.
    let step = items.iter().find(|item| item.core.kind == Kind::Transformation);
    match step {
        Some(step) => steps(texts, step, items),
        None => single(texts, first, items),
    }
}

fn sources(texts: &Texts, items: &[&Item], grouping: Grouping) -> Cell {
    let first = items.first().expect("a box holds something");
    let labels = texts.listed(items.iter().map(|item| item.label));
    let words: BTreeSet<&str> =
        items.iter().flat_map(|item| &item.core.modality).map(griptrace_core::word::Word::as_str).collect();
    let words: Vec<&str> = words.into_iter().collect();
    let grades: BTreeSet<&str> =
        items.iter().filter_map(|item| item.core.grade.as_ref()).map(griptrace_core::word::Word::as_str).collect();
    let places: BTreeSet<String> = items.iter().map(|item| country(item)).collect();
    let comma = &texts.page.comma;
    let place = match (places.len(), grouping) {
        (1, _) => places.into_iter().collect::<String>(),
        (_, Grouping::Everything) => texts.picture.other_countries.clone(),
        (..) => places.into_iter().collect::<Vec<_>>().join(comma),
    };
    let grades: Vec<&str> = grades.into_iter().collect();
    let foot = [place, words.join(comma), grades.join(comma)];
    let foot: Vec<String> = foot.into_iter().filter(|text| !text.is_empty()).collect();
    let (head, name) = if items.len() == 1 {
        (
            format!("{} {}", first.label, texts.word(first.core.origin.map_or("", griptrace_core::node::Origin::word))),
            named(texts, first),
        )
    } else {
        (format!("{} {}", items.len(), texts.picture.sources), labels)
    };
    Cell::new("source", vec![head, name, foot.join(" · ")])
}

fn named(texts: &Texts, item: &Item) -> String {
    item.name().map_or_else(|| texts.bracketed(&texts.page.not_disclosed).trim().to_owned(), str::to_owned)
}

fn steps(texts: &Texts, step: &Item, items: &[&Item]) -> Cell {
    let all: Vec<&&Item> = items.iter().filter(|item| item.core.kind == Kind::Transformation).collect();
    let made: Vec<String> = items
        .iter()
        .filter(|item| item.core.kind != Kind::Transformation)
        .map(|item| item.name().map_or_else(|| item.label.to_string(), str::to_owned))
        .collect();
    let activities: BTreeSet<&str> =
        all.iter().filter_map(|item| item.core.activity).map(|activity| texts.word(activity.word())).collect();
    let activities = activities.into_iter().collect::<Vec<_>>().join(&texts.page.comma);
    if all.len() > 1 {
        let head = format!("{} {}", all.len(), texts.picture.steps);
        return Cell::new("step", vec![head, activities, texts.listed(all.iter().map(|item| item.label))]);
    }
    let made = match made.as_slice() {
        [] => named(texts, step),
        [one] => format!("→ {one}"),
        [first, ..] => format!("→ {}: {first}, …", made.len()),
    };
    let date = step.core.date.map_or_else(String::new, |date| format!(" · {date}"));
    Cell::new("step", vec![format!("{} {activities}", step.label), made, format!("{}{date}", country(step))])
}

/// A shipment, models, or data of which nobody recorded how it was made.
fn single(texts: &Texts, first: &Item, items: &[&Item]) -> Cell {
    let class = match first.core.kind {
        Kind::Shipment => "shipment",
        Kind::Model => "model",
        Kind::Dataset | Kind::Transformation | Kind::Assessment | Kind::Status | Kind::Erasure => "unknown",
    };
    if items.len() > 1 {
        let what = if first.core.kind == Kind::Model { &texts.picture.models } else { &texts.picture.others };
        let labels = texts.listed(items.iter().map(|item| item.label));
        return Cell::new(class, vec![format!("{} {what}", items.len()), labels]);
    }
    let kind = texts.kinds.get(first.core.kind.word()).map_or("", String::as_str);
    let date = first.core.date.map_or_else(String::new, |date| format!(" · {date}"));
    let foot = if class == "shipment" { format!("→ {}{date}", country(first)) } else { country(first) };
    Cell::new(class, vec![format!("{} {kind}", first.label), named(texts, first), foot])
}
