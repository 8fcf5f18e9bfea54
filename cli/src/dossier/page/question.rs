//! What the verifier was asked: a verdict says nothing without its question.

use griptrace_core::digest::Digest;
use griptrace_verifier::report::{Judgement, TimeFrom};

use super::{Page, fill, one_line};
use crate::{
    dossier::{html::Html, judged::Judged},
    view,
};

impl Page<'_> {
    /// Writes the question. All of it is the reader's own: none of its words are the evidence's.
    pub(super) fn question(&self, html: &mut Html, judged: &Judged) {
        let (texts, asked) = (&self.texts.verdict, &judged.asked);
        let said = |text: Option<String>| text.unwrap_or_else(|| texts.unsaid.clone());
        let purposes: Vec<String> = asked.purposes.iter().map(ToString::to_string).collect();
        let purposes = purposes.join(&self.texts.page.comma);
        let day = if asked.is_now_given { &texts.day_given } else { &texts.day_of_clock };
        html.element("h3", &texts.question).raw("\n<table class=\"facts\" id=\"question\">\n");
        for (heading, text) in [
            (&texts.destination, said(asked.destination.map(|country| country.to_string()))),
            (&texts.consignee, said(asked.consignee.as_deref().map(one_line))),
            (&texts.purposes, if purposes.is_empty() { texts.no_purposes.clone() } else { purposes }),
            (&texts.judged_for, fill(day, &[("date", &asked.now.to_string())])),
        ] {
            html.row(heading, |html| {
                html.text(&text);
            });
        }
        html.row(&texts.policy, |html| {
            let policy = &judged.report.policy;
            let standing = if policy.status == "reference" { &texts.reference } else { &texts.binding };
            html.text(&one_line(&policy.id)).raw(" ").text(&one_line(&policy.version));
            html.text(&self.texts.page.colon).text(standing);
            sha256(html, &asked.policy_sha256);
        });
        html.row(&texts.trust, |html| sha256(html, &asked.trust_sha256));
        html.row(&texts.model, |html| {
            html.text(self.in_hand(&judged.report));
        });
        html.raw("</table>\n");
    }

    /// Writes a judgement, and whose clock its time comes from.
    pub(super) fn judgement(&self, html: &mut Html, judgement: &Judgement) {
        let texts = &self.texts.verdict;
        let whose = texts.whose.get(word(judgement.time_from)).map_or("", String::as_str);
        let time = judgement.time.map(view::time);
        let text = if time.is_some() { &texts.at_time } else { &texts.time_unknown };
        let time = time.unwrap_or_default();
        html.text(&fill(text, &[("verdict", judgement.verdict.as_str()), ("time", &time), ("whose", whose)]));
    }
}

fn sha256(html: &mut Html, digest: &Digest) {
    html.raw("<div>SHA-256 <code>").show(digest).raw("</code></div>");
}

/// Returns the word by which texts know whose clock a time comes from.
pub(super) const fn word(time_from: TimeFrom) -> &'static str {
    match time_from {
        TimeFrom::Witnesses => "witnesses",
        TimeFrom::Operator => "operator",
        TimeFrom::Buyer => "buyer",
        TimeFrom::Nothing => "nothing",
    }
}
