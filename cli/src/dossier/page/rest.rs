//! Steps, what was made on the way, assessments, marks, and the index.

use griptrace_core::{
    assessment::{Assessed, Assessment, Destinations, assessed},
    node::{Kind, Role},
    value::Value,
    word::Word,
};

use super::{Page, anchor, cards::IDENTITY, section};
use crate::dossier::{
    facts::{Item, Letter},
    html::Html,
    texts::Section,
};

/// Rows of the index: some thirty pages.
const INDEX_MAX: usize = 1_000;

impl Page<'_> {
    pub(super) fn steps(&self, html: &mut Html) {
        let (facts, texts) = (&self.dossier.facts, &self.texts.steps);
        let (groups, left_out) = Self::alike(facts.of(Letter::T), |step| self.whole(step));
        if groups.is_empty() {
            return;
        }
        section(html, &texts.heading, &texts.about);
        for group in &groups {
            self.heading(html, &group.items, &texts.alike, &self.texts.page.not_disclosed);
            html.piece(&group.body).raw("<table class=\"facts\">\n");
            let used = group.items.iter().flat_map(|step| &step.parents);
            let used = self.labels_of(used.map(|place| facts.item(*place)));
            let is_made = |item: &&Item| item.core.edges.iter().any(|edge| edge.role == Role::GeneratedBy);
            let made = group.items.iter().flat_map(|step| &step.children).map(|place| facts.item(*place));
            let made = self.labels_of(made.filter(is_made));
            for (heading, list) in [(&texts.used, &used), (&texts.made, &made)] {
                html.row(heading, |html| {
                    html.text(if list.is_empty() { &self.texts.page.none } else { list });
                });
            }
            html.raw("</table>\n");
        }
        self.more(html, left_out);
        html.raw("</section>\n");
    }

    fn whole(&self, item: &Item) -> Html {
        let mut html = Html::default();
        self.body(&mut html, item, &IDENTITY);
        html
    }

    pub(super) fn derived(&self, html: &mut Html) {
        let items = self.dossier.facts.of(Letter::D);
        self.others(html, &self.texts.derived, items);
    }

    pub(super) fn models(&self, html: &mut Html) {
        let shipped = self.dossier.facts.shipped();
        let items = self.dossier.facts.of(Letter::M).filter(|item| !shipped.contains(&item.place));
        self.others(html, &self.texts.models, items);
    }

    fn others<'i>(&self, html: &mut Html, texts: &Section, items: impl Iterator<Item = &'i Item>) {
        let (groups, left_out) = Self::alike(items, |item| self.whole(item));
        if groups.is_empty() {
            return;
        }
        section(html, &texts.heading, "");
        for group in &groups {
            self.heading(html, &group.items, &texts.alike, &self.texts.page.not_disclosed);
            html.piece(&group.body);
        }
        self.more(html, left_out);
        html.raw("</section>\n");
    }

    pub(super) fn assessments(&self, html: &mut Html) {
        let (facts, texts) = (&self.dossier.facts, &self.texts.assessments);
        section(html, &texts.heading, &texts.about);
        let mut left_out = 0_usize;
        for (number, item) in facts.of(Letter::A).enumerate() {
            if number >= super::CARDS_MAX {
                left_out = left_out.saturating_add(1);
                continue;
            }
            html.raw("<h3>");
            anchor(html, item.label);
            if let Some(name) = item.name() {
                html.foreign(name);
            }
            html.raw("</h3>\n<table class=\"facts\">\n");
            if let Ok(of) = assessed(item.id, &item.core) {
                self.assessed(html, &of);
            }
            let of: Vec<&Item> =
                facts.items.iter().filter(|subject| subject.assessed_by.contains(&item.place)).collect();
            html.row(&texts.of, |html| {
                html.text(&self.labels_of(of.iter().copied()));
            });
            html.row(&texts.judged, |html| self.as_judged(html, item, &of));
            for (name, value) in item.details.iter().filter(|(name, _)| name != "name") {
                html.row(self.texts.field(name), |html| self.value(html, value));
            }
            self.remarks(html, item);
            html.raw("</table>\n");
        }
        if facts.of(Letter::A).next().is_none() {
            html.raw("<p class=\"missing\">").text(&texts.none).raw("</p>\n");
        }
        self.more(html, left_out);
        html.raw("</section>\n");
    }

    fn assessed(&self, html: &mut Html, of: &Assessed) {
        let (texts, assessment) = (&self.texts.assessments, &of.assessment);
        html.row(&texts.strength, |html| {
            match &of.signed {
                Some(signed) => html.text(&texts.signed).text(&self.texts.page.colon).foreign(&signed.issuer),
                None => html.text(&texts.stated),
            };
        });
        let destinations = match &assessment.destinations {
            Destinations::Anywhere => texts.anywhere.clone(),
            Destinations::Only(list) => {
                list.iter().map(ToString::to_string).collect::<Vec<_>>().join(&self.texts.page.comma)
            }
        };
        for (heading, text) in [
            (&texts.scheme, assessment.scheme.to_string()),
            (&texts.grade, assessment.grade.to_string()),
            (&texts.purposes, words(&assessment.purposes)),
            (&texts.modalities, words(&assessment.modalities)),
        ] {
            html.row(heading, |html| {
                html.foreign(&text);
            });
        }
        for (heading, text) in [
            (&texts.result, self.texts.word(assessment.outcome.word())),
            (&texts.destinations, &destinations),
            (&texts.issued, &assessment.issued.to_string()),
            (&texts.valid, &self.validity(assessment)),
        ] {
            html.row(heading, |html| {
                html.text(text);
            });
        }
    }

    /// Says from when to when an assessment says it is valid.
    pub(super) fn validity(&self, assessment: &Assessment) -> String {
        let end = assessment.valid_to.map_or_else(|| self.texts.assessments.no_end.clone(), |date| date.to_string());
        format!("{} – {end}", assessment.valid_from)
    }

    pub(super) fn marks(&self, html: &mut Html) {
        let (facts, texts) = (&self.dossier.facts, &self.texts.marks);
        section(html, &texts.heading, "");
        let items: Vec<&Item> = facts.of(Letter::R).chain(facts.of(Letter::E)).collect();
        if items.is_empty() {
            html.raw("<p>").text(&texts.none).raw("</p>\n");
        }
        for item in items.iter().take(super::CARDS_MAX) {
            let on = facts.items.iter().filter(|other| item.core.edges.iter().any(|edge| edge.to == other.id));
            html.raw("<h3>");
            anchor(html, item.label);
            html.text(self.texts.kinds.get(item.core.kind.word()).map_or("", String::as_str)).raw("</h3>\n");
            html.raw("<table class=\"facts\">\n");
            html.row(&texts.on, |html| {
                html.text(&self.labels_of(on));
            });
            html.raw("</table>\n");
            self.body(html, item, &[]);
        }
        self.more(html, items.len().saturating_sub(super::CARDS_MAX));
        html.raw("</section>\n");
    }

    pub(super) fn index(&self, html: &mut Html) {
        let (facts, texts) = (&self.dossier.facts, &self.texts.index);
        section(html, &texts.heading, &texts.about);
        html.raw("<table class=\"index\">\n<thead><tr>");
        html.element("th", &texts.label).element("th", &texts.name);
        html.raw("<th>")
            .text(&texts.id)
            .text(&self.texts.page.comma)
            .text(&texts.content)
            .raw("</th></tr></thead>\n<tbody>\n");
        for item in facts.items.iter().take(INDEX_MAX) {
            html.raw("<tr><td>");
            anchor(html, item.label);
            html.raw("</td><td>");
            match item.core.kind {
                Kind::Assessment | Kind::Status | Kind::Erasure => {
                    html.text(self.texts.kinds.get(item.core.kind.word()).map_or("", String::as_str));
                }
                Kind::Dataset | Kind::Transformation | Kind::Model | Kind::Shipment => self.name(html, item),
            }
            html.raw("</td><td><code>").show(item.id);
            if let Some(content) = item.detail("content").and_then(Value::as_text) {
                html.raw("<br>").foreign(content);
            }
            html.raw("</code></td></tr>\n");
        }
        html.raw("</tbody></table>\n");
        self.more(html, facts.items.len().saturating_sub(INDEX_MAX));
        html.raw("</section>\n");
    }
}

fn words(words: &[Word]) -> String {
    words.iter().map(Word::as_str).collect::<Vec<_>>().join(", ")
}
