//! What the verifier found, if it was asked. The dossier decides nothing.

use std::collections::BTreeMap;

use griptrace_core::id::NodeId;
use griptrace_verifier::{
    finding::{Code, Finding, When},
    question::ModelInHand,
    render::meaning,
    report::Report,
};

use super::{ENTRIES_MAX, Page, fill, section};
use crate::{
    dossier::{facts::Label, html::Html, judged::Judged},
    keyfile::fingerprint,
};

impl Page<'_> {
    pub(super) fn verdict(&self, html: &mut Html) {
        let texts = &self.texts.verdict;
        section(html, &texts.heading, "");
        match &self.dossier.judged {
            Some(judged) => self.report(html, judged),
            None => {
                html.raw("<p class=\"box missing\" id=\"unverified\">").text(&texts.none).raw("</p>\n");
            }
        }
        html.raw("</section>\n");
    }

    fn report(&self, html: &mut Html, judged: &Judged) {
        let (texts, report) = (&self.texts.verdict, &judged.report);
        html.raw("<div class=\"box\"><p class=\"verdict\" id=\"verdict\">").show(report.verdict);
        html.text(&self.texts.page.colon).text(if report.policy_met { &texts.met } else { &texts.not_met });
        html.raw("</p>\n");
        if judged.is_broken() {
            let unknown = |finding: &Finding| matches!(finding.code, Code::LogUntrusted | Code::CommitterUntrusted);
            let is_untrusted = report.findings.iter().any(unknown);
            html.raw("<p class=\"missing\">").text(if is_untrusted { &texts.untrusted } else { &texts.broken });
            html.raw("</p>\n<p>").text(&texts.by).raw("</p></div>\n");
            self.question(html, judged);
            self.findings(html, report);
            return;
        }
        html.raw("<p>").text(&texts.by).raw("</p>\n<p>").text(&texts.shows).raw("</p></div>\n");
        self.question(html, judged);
        html.element("h3", &texts.answer).raw("\n<table class=\"facts\">\n");
        html.row(&texts.at_shipment, |html| self.judgement(html, &report.at_shipment));
        html.row(&texts.now, |html| self.judgement(html, &report.now));
        html.row(&texts.keys, |html| self.keys(html, report));
        html.raw("</table>\n");
        self.findings(html, report);
    }

    fn keys(&self, html: &mut Html, report: &Report) {
        for key in report.keys.iter().take(ENTRIES_MAX) {
            let role = self.texts.verdict.roles.get(&key.role).unwrap_or(&key.role);
            html.raw("<div>").text(role).raw(" ").foreign(&key.party);
            html.raw("<br><code>").text(&fingerprint(&key.key)).raw("</code></div>");
        }
        self.more(html, report.keys.len().saturating_sub(ENTRIES_MAX));
    }

    /// Says what came of the comparison of what the reader gave.
    pub(super) fn in_hand(&self, judged: &Judged) -> &str {
        let report = &judged.report;
        let partly = report.findings.iter().any(|finding| finding.code == Code::ModelPartlyChecked);
        let is_typed = matches!(judged.asked.model, ModelInHand::Digest(_));
        let key = match (report.model.matched, is_typed) {
            (None, _) => "not-compared",
            (Some(true), false) if partly => "partly",
            (Some(true), false) => "same",
            (Some(false), false) => "other",
            (Some(true), true) if partly => "digest-partly",
            (Some(true), true) => "digest-same",
            (Some(false), true) => "digest-other",
        };
        self.texts.verdict.hand.get(key).map_or(key, String::as_str)
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
        html.raw("<table class=\"findings tall\">\n<thead><tr>");
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
        let facts = &self.dossier.facts;
        let labels: BTreeMap<NodeId, Label> = facts.items.iter().map(|item| (item.id, item.label)).collect();
        kinds.iter().for_each(|kind| self.kind_of_finding(html, kind, &labels));
        html.raw("</tbody></table>\n");
    }

    /// Writes all findings of one kind in a row.
    fn kind_of_finding(&self, html: &mut Html, kind: &[&Finding], labels: &BTreeMap<NodeId, Label>) {
        let texts = &self.texts.verdict;
        let Some(first) = kind.first() else { return };
        let severity = first.severity.as_str();
        html.raw("<tr><td>").text(texts.severities.get(severity).map_or(severity, String::as_str));
        html.raw("</td><td><code>").show(first.code).raw("</code>");
        let places = self.texts.listed(kind.iter().filter_map(|finding| labels.get(&finding.node?).copied()));
        if !places.is_empty() && !self.is_broken() {
            html.raw("<div>").text(&texts.places).text(&self.texts.page.colon).text(&places).raw("</div>");
        }
        html.raw("</td><td>");
        if let Some(meaning) = meaning(first.code) {
            html.raw("<div lang=\"en\">").text(meaning.means).raw("</div>");
        }
        self.texts_of_findings(html, kind, labels);
        html.raw("</td></tr>\n");
    }

    /// Writes every text of some findings of one kind once for each time at which it holds.
    fn texts_of_findings(&self, html: &mut Html, kind: &[&Finding], labels: &BTreeMap<NodeId, Label>) {
        let mut distinct: Vec<(&Finding, Vec<Label>)> = Vec::new();
        let mut known: BTreeMap<(&str, &str), usize> = BTreeMap::new();
        for finding in kind {
            let place = *known.entry((finding.when.as_str(), &finding.text)).or_insert(distinct.len());
            if place == distinct.len() {
                distinct.push((finding, Vec::new()));
            }
            let label = finding.node.and_then(|node| labels.get(&node));
            if let (Some((_, places)), Some(label)) = (distinct.get_mut(place), label) {
                places.push(*label);
            }
        }
        for (finding, places) in distinct.iter().take(ENTRIES_MAX) {
            html.raw("<div class=\"absent\">");
            let when = match finding.when {
                When::Always => None,
                When::AtShipment => Some(&self.texts.assessments.at_shipment),
                When::Now => Some(&self.texts.assessments.now),
            };
            if let Some(when) = when {
                html.raw("[").text(when).raw("] ");
            }
            html.raw("<span lang=\"en\">").foreign(&finding.text).raw("</span>");
            if distinct.len() > 1 && !places.is_empty() {
                html.text(&self.texts.bracketed(&self.texts.listed(places.iter().copied())));
            }
            html.raw("</div>");
        }
        let more = distinct.len().saturating_sub(ENTRIES_MAX);
        if more > 0 {
            let text = fill(&self.texts.verdict.more_findings, &[("n", &more.to_string())]);
            html.raw("<p class=\"more\">").text(&text).raw("</p>");
        }
    }
}
