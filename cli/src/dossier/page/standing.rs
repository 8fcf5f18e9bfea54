//! How each assessment was judged, or that nobody judged it.

use std::collections::BTreeMap;

use griptrace_core::assessment::assessed;
use griptrace_verifier::{finding::Code, report::Strength};

use super::{ENTRIES_MAX, Page, anchor, fill};
use crate::dossier::{
    facts::{Item, Label},
    html::Html,
    judged::Standing,
};

impl Page<'_> {
    /// Lists the assessments of a source, each as it is recorded and as it was judged.
    pub(super) fn assessments_of(&self, html: &mut Html, subject: &Item) {
        let facts = &self.dossier.facts;
        if subject.assessed_by.is_empty() {
            html.text(&self.texts.sources.no_assessment);
        }
        for place in subject.assessed_by.iter().take(ENTRIES_MAX) {
            let item = facts.item(*place);
            html.raw("<div class=\"assessed\">");
            anchor(html, item.label);
            self.as_recorded(html, item);
            self.as_judged(html, item, &[subject]);
            html.raw("</div>");
        }
        self.more(html, subject.assessed_by.len().saturating_sub(ENTRIES_MAX));
    }

    fn as_recorded(&self, html: &mut Html, item: &Item) {
        let comma = &self.texts.page.comma;
        if let Ok(of) = assessed(item.id, &item.core) {
            let assessment = &of.assessment;
            html.foreign(assessment.scheme.as_str()).text(comma).text(self.texts.word(assessment.outcome.word()));
            html.text(comma).text(&self.validity(assessment));
        }
        for mark in item.marks.iter().map(|place| self.dossier.facts.item(*place)) {
            html.text(comma).raw("<b>").text(self.mark(mark)).raw("</b>");
            html.text(&self.texts.bracketed(&mark.label.to_string()));
        }
    }

    /// Writes how an assessment was judged of some of what it opens: at each time, what is judged alike together.
    pub(super) fn as_judged(&self, html: &mut Html, assessment: &Item, subjects: &[&Item]) {
        let texts = &self.texts.assessments;
        let Some(judged) = &self.dossier.judged else {
            html.raw("<div class=\"absent\">").text(&texts.recorded).raw("</div>");
            return;
        };
        let mut alike: [BTreeMap<Standing, Vec<Label>>; 2] = [BTreeMap::new(), BTreeMap::new()];
        for subject in subjects {
            let at = judged.standing(&assessment.id, subject);
            alike.iter_mut().zip(at).for_each(|(alike, standing)| {
                alike.entry(standing).or_default().push(subject.label);
            });
        }
        for (heading, alike) in [&texts.at_shipment, &texts.now].into_iter().zip(&alike) {
            for (standing, labels) in alike.iter().take(ENTRIES_MAX) {
                html.raw("<div><span class=\"field\">").text(heading);
                if subjects.len() > 1 {
                    html.text(&self.texts.bracketed(&self.texts.listed(labels.iter().copied())));
                }
                html.text(&self.texts.page.colon).raw("</span>");
                self.standing(html, standing);
                html.raw("</div>");
            }
            self.more(html, alike.len().saturating_sub(ENTRIES_MAX));
        }
    }

    fn standing(&self, html: &mut Html, standing: &Standing) {
        let texts = &self.texts.assessments;
        match standing {
            Standing::Covers(Strength::Signed) => html.text(&texts.covers_signed),
            Standing::Covers(Strength::Stated) => html.text(&texts.covers_stated),
            Standing::Lapsed(end) => {
                html.text(&fill(&texts.lapsed, &[("date", &end.to_string())]));
                html.raw(" <code>").show(Code::LapsedSince).raw("</code>")
            }
            Standing::Unnamed => html.text(&texts.unnamed),
            Standing::CoversNot { code, why } => {
                html.raw("<b>").text(&texts.covers_not).raw("</b>").text(&self.texts.page.colon);
                html.raw("<code>").show(code).raw("</code> <span class=\"absent\" lang=\"en\">").foreign(why);
                html.raw("</span>")
            }
        };
    }
}
