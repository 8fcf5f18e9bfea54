//! Source by source: origin, annotation, anonymisation, bias and gaps, and which points each answers.

use super::{Page, anchor, cards::IDENTITY, fill, section};
use crate::{
    dossier::{
        facts::{Item, Letter, NOTED_MAX, annotates, anonymises},
        html::Html,
    },
    view,
};

/// Where a source comes from.
const ORIGIN: [&str; 13] = [
    "site",
    "device",
    "robot-type",
    "method",
    "collected",
    "collector",
    "source-uri",
    "licence",
    "persons",
    "legal-basis",
    "domain",
    "scope-reason",
    "parties",
];
/// What a source is.
const DATA: [&str; 6] = ["streams", "counts", "statistics", "setting", "assumptions", "suitability"];
/// Fields of the core that say where a source comes from; the others say what it is.
const ORIGIN_CORE: [&str; 4] = ["origin", "country", "persons", "use-allowed"];

impl Page<'_> {
    pub(super) fn sources(&self, html: &mut Html) {
        let (facts, texts) = (&self.dossier.facts, &self.texts.sources);
        section(html, &texts.heading, &texts.about);
        let (groups, left_out) = Self::alike(facts.of(Letter::S), |item| self.source(item));
        if groups.is_empty() {
            html.raw("<p class=\"missing\">").text(&texts.none).raw("</p>\n");
        }
        for group in &groups {
            self.heading(html, &group.items, &texts.alike, &texts.hidden);
            html.piece(&group.body);
        }
        self.more(html, left_out);
        html.raw("</section>\n");
    }

    /// Writes all of a source but its name, its digests and its label.
    fn source(&self, item: &Item) -> Html {
        let texts = &self.texts.sources;
        let mut html = Html::default();
        html.raw("<table class=\"facts tall\">\n");
        html.row(&texts.origin, |html| {
            self.core_lines(html, item, true);
            self.some_details(html, item, &ORIGIN);
        });
        html.row(&texts.data, |html| {
            self.core_lines(html, item, false);
            self.some_details(html, item, &DATA);
        });
        html.row(&texts.annotation, |html| {
            self.way(html, item, annotates, &["method", "labeller", "checked-share"], &texts.no_annotation);
        });
        html.row(&texts.anonymisation, |html| {
            self.way(html, item, anonymises, &["method", "anonymisation"], &texts.no_anonymisation);
        });
        html.row(&texts.bias, |html| self.one(html, item, "bias"));
        html.row(&texts.gaps, |html| self.one(html, item, "gaps"));
        self.other_details(&mut html, item);
        html.row(&texts.assessments, |html| {
            self.assessments_of(html, item);
        });
        self.judged(&mut html, item);
        html.row(&texts.answers, |html| {
            html.text(&self.points_of(item));
        });
        self.remarks(&mut html, item);
        html.raw("</table>\n");
        html
    }

    fn core_lines(&self, html: &mut Html, item: &Item, is_origin: bool) {
        for (name, value) in view::core_fields(&item.core) {
            if ORIGIN_CORE.contains(&name) == is_origin {
                html.raw("<div><span class=\"field\">")
                    .text(self.texts.field(name))
                    .text(&self.texts.page.colon)
                    .raw("</span>");
                self.core_value(html, name, &value);
                html.raw("</div>");
            }
        }
    }

    /// Writes the steps of a kind that what came of a source went through.
    fn way(&self, html: &mut Html, item: &Item, is_kind: fn(&Item) -> bool, details: &[&str], none: &str) {
        let facts = &self.dossier.facts;
        let steps = facts.noted_behind(item, is_kind);
        if steps.is_empty() {
            html.raw("<span class=\"absent\">").text(none).raw("</span>");
        }
        for step in steps.iter().take(super::ENTRIES_MAX).map(|place| facts.item(*place)) {
            html.raw("<div>");
            anchor(html, step.label);
            html.text(self.texts.word(step.core.activity.map_or("", griptrace_core::node::Activity::word)));
            html.raw("</div>");
            self.some_details(html, step, details);
        }
        self.more(html, steps.len().saturating_sub(super::ENTRIES_MAX));
        if facts.noted_all > NOTED_MAX {
            let (all, told) = (facts.noted_all.to_string(), NOTED_MAX.to_string());
            html.raw("<div class=\"absent\">");
            html.text(&fill(&self.texts.sources.too_many, &[("n", &all), ("m", &told)])).raw("</div>");
        }
    }

    fn one(&self, html: &mut Html, item: &Item, name: &str) {
        match item.detail(name) {
            Some(value) => self.value(html, value),
            None => {
                html.raw("<span class=\"absent\">").text(&self.texts.page.not_disclosed).raw("</span>");
            }
        }
    }

    fn other_details(&self, html: &mut Html, item: &Item) {
        let told = |name: &str| {
            IDENTITY.contains(&name)
                || ORIGIN.contains(&name)
                || DATA.contains(&name)
                || ["bias", "gaps"].contains(&name)
        };
        let others: Vec<_> = item.details.iter().filter(|(name, _)| !told(name)).collect();
        if !others.is_empty() {
            html.row(&self.texts.sources.other, |html| {
                others.iter().for_each(|(name, value)| self.detail(html, name, value));
            });
        }
    }

    /// Writes what the verifier said of a source.
    fn judged(&self, html: &mut Html, item: &Item) {
        let texts = &self.texts.sources;
        let found = self.dossier.judged.as_ref().and_then(|judged| judged.source(&item.id));
        let Some(source) = found else { return };
        let values = [
            ("shipment", source.at_shipment.as_str()),
            ("now", source.now.as_str()),
            ("grade", source.effective_grade.as_str()),
        ];
        html.row(&texts.judged, |html| {
            html.text(&fill(&texts.judged_at, &values));
        });
    }

    /// Lists the points to which a record states something.
    fn points_of(&self, item: &Item) -> String {
        let points = self.dossier.points_of.get(item.place).map_or(&[][..], Vec::as_slice);
        let answers = points.iter().filter_map(|point| self.dossier.answers.get(*point));
        let names: Vec<String> = answers.map(|answered| self.point_name(&answered.point)).collect();
        if names.is_empty() { self.texts.page.none.clone() } else { names.join(&self.texts.page.semicolon) }
    }
}
