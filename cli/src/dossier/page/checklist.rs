//! The buyer's checklist, and what is not there.

use griptrace_core::node::{DigestStrength, Held, Kind, Persons};

use super::{Page, fill, section};
use crate::dossier::{
    facts::{Item, Letter},
    html::Html,
    points::{Answered, Field, Point, State},
};

/// Characters of a list that is not broken.
const KEPT_MAX: usize = 18;

/// Tells whether a record is one of those that a sentence names.
type IsOne = fn(&Item) -> bool;

impl Page<'_> {
    pub(super) fn checklist(&self, html: &mut Html) {
        let texts = &self.texts.checklist;
        section(html, &texts.heading, &texts.about);
        for (heading, is_annex) in [(&texts.article_10, false), (&texts.annex_iv, true)] {
            html.element("h3", heading);
            html.raw("<table class=\"checklist\">\n<thead><tr>");
            [&texts.point, &texts.state, &texts.stated_by, &texts.missing_from].iter().for_each(|heading| {
                html.element("th", heading);
            });
            html.raw("</tr></thead>\n<tbody>\n");
            let points = self.dossier.answers.iter().filter(|answered| is_annexed(&answered.point) == is_annex);
            points.for_each(|answered| self.point(html, answered));
            html.raw("</tbody></table>\n");
        }
        html.raw("</section>\n");
    }

    fn point(&self, html: &mut Html, answered: &Answered) {
        let texts = &self.texts.checklist;
        let state = answered.state();
        html.raw("<tr><td>").text(&self.article(&answered.point)).raw("<div class=\"field\">");
        html.text(texts.points.get(&answered.point.id).map_or("", String::as_str)).raw("</div></td><td>");
        html.raw(if matches!(state, State::Missing | State::NothingToAsk) {
            "<span class=\"missing\">"
        } else {
            "<span>"
        });
        html.text(texts.states.get(state.word()).map_or("", String::as_str)).raw("</span></td><td>");
        self.fields(html, &answered.fields, |field| (&field.stated, &field.missing));
        html.raw("</td><td>");
        self.fields(html, &answered.fields, |field| (&field.missing, &field.stated));
        html.raw("</td></tr>\n");
    }

    /// Lists fields with the nodes on one side; `all` where nobody is on the other.
    fn fields<'f>(
        &self,
        html: &mut Html,
        fields: &'f [Field],
        sides: impl Fn(&'f Field) -> (&'f Vec<usize>, &'f Vec<usize>),
    ) {
        for field in fields {
            let (here, there) = sides(field);
            if here.is_empty() {
                continue;
            }
            let labels = self.labels(here);
            let all = if there.is_empty() && here.len() > 1 {
                format!("{}{}", self.texts.checklist.all, self.texts.bracketed(&labels))
            } else {
                labels
            };
            html.raw("<div><span class=\"field\">")
                .text(self.texts.field(&field.name))
                .text(&self.texts.page.colon)
                .raw("</span>");
            let is_short = all.chars().count() <= KEPT_MAX;
            html.raw(if is_short { "<span class=\"keep\">" } else { "<span>" }).text(&all).raw("</span></div>");
        }
    }

    /// Returns what a point is called in one phrase.
    pub(super) fn point_name(&self, point: &Point) -> String {
        let article = self.article(point);
        if !is_annexed(point) {
            return article;
        }
        let what = self.texts.checklist.points.get(&point.id).map_or("", String::as_str);
        format!("{article}{}{what}", self.texts.page.colon)
    }

    /// Returns where a point stands in the regulation, as this language cites it.
    fn article(&self, point: &Point) -> String {
        let texts = &self.texts.checklist;
        let letter = point.id.rsplit_once('-').map_or("", |(_, letter)| letter);
        if is_annexed(point) { texts.annex.clone() } else { fill(&texts.article, &[("letter", letter)]) }
    }

    pub(super) fn not_disclosed(&self, html: &mut Html) {
        let texts = &self.texts.gaps;
        section(html, &texts.heading, "");
        html.raw("<ul>\n");
        self.open_points(html);
        let facts = &self.dossier.facts;
        let told: [(&str, IsOne); 10] = [
            (&texts.unknown_upstream, |item| is_data(item) && !item.is_source() && item.parents.is_empty()),
            (&texts.absent, |item| !item.absent.is_empty()),
            (&texts.hidden_sources, |item| item.is_source() && hides(item, "name") && hides(item, "content")),
            (&texts.unnamed, |item| hides(item, "name") && is_part(item)),
            (&texts.bare, |item| item.details.is_empty() && is_part(item)),
            (&texts.no_files, |item| is_data(item) && item.files.is_none()),
            (&texts.persons, |item| {
                item.is_source() && !matches!(item.core.persons, Some(Persons::NoneFound | Persons::Present))
            }),
            (&texts.weak, |item| is_data(item) && item.core.strength != Some(DigestStrength::Strong)),
            (&texts.elsewhere, |item| {
                item.is_source() && matches!(item.core.held, Some(Held::OriginOnly | Held::Destroyed))
            }),
            (&texts.unassessed, |item| item.is_source() && item.assessed_by.is_empty()),
        ];
        for (text, is_one) in told {
            let list = self.labels_of(facts.items.iter().filter(|item| is_one(item)));
            if !list.is_empty() {
                html.element("li", &fill(text, &[("list", &list)])).raw("\n");
            }
        }
        html.element("li", &texts.alike).raw("\n</ul>\n</section>\n");
    }

    /// Lists the points to which nothing, or not everything, is stated.
    fn open_points(&self, html: &mut Html) {
        let texts = &self.texts.gaps;
        let of = |is_it: fn(State) -> bool| {
            let points = self.dossier.answers.iter().filter(|answered| is_it(answered.state()));
            points.map(|answered| self.point_name(&answered.point)).collect::<Vec<_>>().join(&self.texts.page.semicolon)
        };
        let missing = of(|state| matches!(state, State::Missing | State::NothingToAsk));
        let partly = of(|state| state == State::Partly);
        for (text, list) in [(&texts.missing_points, &missing), (&texts.partly_points, &partly)] {
            if !list.is_empty() {
                html.element("li", &fill(text, &[("list", list)])).raw("\n");
            }
        }
        if missing.is_empty() && partly.is_empty() {
            html.element("li", &texts.no_missing).raw("\n");
        }
    }
}

fn is_annexed(point: &Point) -> bool {
    point.article.starts_with("Annex")
}

fn is_data(item: &Item) -> bool {
    matches!(item.core.kind, Kind::Dataset | Kind::Model)
}

fn hides(item: &Item, name: &str) -> bool {
    item.detail(name).is_none()
}

/// Tells whether a node is part of how the product was made.
fn is_part(item: &Item) -> bool {
    matches!(item.label.letter, Letter::S | Letter::D | Letter::T | Letter::M)
}
