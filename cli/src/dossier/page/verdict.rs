//! What the verifier found, if it was asked. The dossier decides nothing.

use std::collections::BTreeMap;

use griptrace_core::id::NodeId;
use griptrace_verifier::{
    finding::{Code, Finding},
    render::meaning,
    report::{Judgement, Report},
};

use super::{ENTRIES_MAX, Page, one_line, section};
use crate::{
    dossier::{facts::Label, html::Html, ranges},
    keyfile::fingerprint,
    view,
};

impl Page<'_> {
    pub(super) fn verdict(&self, html: &mut Html) {
        let texts = &self.texts.verdict;
        section(html, &texts.heading, "");
        match &self.dossier.report {
            Some(report) => self.report(html, report),
            None => {
                html.raw("<p class=\"box missing\" id=\"unverified\">").text(&texts.none).raw("</p>\n");
            }
        }
        html.raw("</section>\n");
    }

    fn report(&self, html: &mut Html, report: &Report) {
        let texts = &self.texts.verdict;
        html.raw("<div class=\"box\"><p class=\"verdict\" id=\"verdict\">").show(report.verdict).raw(": ");
        html.text(if report.policy_met { &texts.met } else { &texts.not_met }).raw("</p>\n<p>");
        html.text(&texts.by).raw(" ").text(&texts.shows).raw("</p></div>\n");
        if self.is_broken() {
            html.raw("<p class=\"missing\">").text(&texts.broken).raw("</p>\n");
        }
        html.raw("<table class=\"facts\">\n");
        html.row(&texts.policy, |html| {
            let policy = &report.policy;
            let standing = if policy.status == "reference" { &texts.reference } else { &texts.binding };
            // The reader's own files: their words are none of the evidence's.
            html.text(&one_line(&policy.id)).raw(" ").text(&one_line(&policy.version)).raw(": ").text(standing);
        });
        html.row(&texts.at_shipment, |html| judgement(html, &report.at_shipment));
        html.row(&texts.now, |html| judgement(html, &report.now));
        html.row(&texts.model, |html| {
            html.text(self.in_hand(report));
        });
        html.row(&texts.keys, |html| {
            for key in report.keys.iter().take(ENTRIES_MAX) {
                html.raw("<div>").text(&key.role).raw(" ").text(&one_line(&key.party));
                html.raw(" <code>").text(&fingerprint(&key.key)).raw("</code></div>");
            }
            self.more(html, report.keys.len().saturating_sub(ENTRIES_MAX));
        });
        html.raw("</table>\n");
        self.findings(html, report);
    }

    fn in_hand(&self, report: &Report) -> &str {
        let texts = &self.texts.verdict;
        let partly = report.findings.iter().any(|finding| finding.code == Code::ModelPartlyChecked);
        match report.model.matched {
            Some(true) if partly => &texts.matched_partly,
            Some(true) => &texts.matched,
            Some(false) => &texts.unmatched,
            None => &texts.not_compared,
        }
    }

    fn findings(&self, html: &mut Html, report: &Report) {
        let texts = &self.texts.verdict;
        html.element("h3", &texts.findings);
        if report.findings.is_empty() {
            html.raw("<p>").text(&texts.no_findings).raw("</p>\n");
            return;
        }
        if !texts.english.is_empty() {
            html.raw("<p class=\"about\">").text(&texts.english).raw("</p>\n");
        }
        let facts = &self.dossier.facts;
        let labels: BTreeMap<NodeId, Label> = facts.items.iter().map(|item| (item.id, item.label)).collect();
        html.raw("<table class=\"findings\">\n<thead><tr>");
        [&texts.severity, &texts.finding, &texts.means].iter().for_each(|heading| {
            html.element("th", heading);
        });
        html.raw("</tr></thead>\n<tbody>\n");
        let mut kinds: Vec<Vec<&Finding>> = Vec::new();
        for finding in &report.findings {
            match kinds.iter_mut().find(|kind| kind.first().is_some_and(|first| first.code == finding.code)) {
                Some(kind) => kind.push(finding),
                None => kinds.push(vec![finding]),
            }
        }
        for kind in &kinds {
            let Some(first) = kind.first() else { continue };
            html.raw("<tr><td>").text(first.severity.as_str()).raw("</td><td><code>").show(first.code).raw("</code>");
            let places = ranges(kind.iter().filter_map(|finding| labels.get(&finding.node?).copied()));
            if !places.is_empty() && !self.is_broken() {
                html.raw("<div>").text(&texts.places).raw(": ").text(&places).raw("</div>");
            }
            html.raw("</td><td>");
            if let Some(meaning) = meaning(first.code) {
                html.raw("<div lang=\"en\">").text(meaning.means).raw("</div>");
            }
            html.raw("<div class=\"absent\" lang=\"en\">").foreign(&first.text).raw("</div></td></tr>\n");
        }
        html.raw("</tbody></table>\n");
    }
}

fn judgement(html: &mut Html, judgement: &Judgement) {
    html.show(judgement.verdict);
    if let Some(time) = judgement.time {
        html.raw(" (").text(&view::time(time)).raw(")");
    }
}
