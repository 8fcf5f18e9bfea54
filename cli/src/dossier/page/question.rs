//! What the verifier was asked: a verdict says nothing without its question.

use griptrace_core::{digest::Digest, manifest::FileRecord};
use griptrace_verifier::{
    question::ModelInHand,
    report::{Judgement, TimeFrom},
};

use super::{Page, fill, one_line};
use crate::{
    dossier::{html::Html, judged::Judged},
    view,
};

/// Files of a folder that are named.
const HASHED_MAX: usize = 10;

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
            self.given_model(html, judged);
            html.raw("<div><b>").text(self.in_hand(judged)).raw("</b></div>");
        });
        html.raw("</table>\n");
    }

    /// Writes what the reader gave to be compared: a digest that was typed is no file that was hashed.
    fn given_model(&self, html: &mut Html, judged: &Judged) {
        let (texts, asked) = (&self.texts.verdict, &judged.asked);
        match &asked.model {
            ModelInHand::NotGiven => {
                html.text(&texts.hand_none);
            }
            ModelInHand::Digest(digest) => {
                html.text(&texts.hand_digest).raw("<div><code>").show(digest).raw("</code></div>");
            }
            ModelInHand::File(file) => {
                html.text(&texts.hand_file);
                self.hashed(html, file);
            }
            ModelInHand::Folder(files) => {
                let size = files.iter().fold(0_u64, |sum, file| sum.saturating_add(file.size));
                let (count, size) = (files.len().to_string(), size.to_string());
                html.text(&fill(&texts.hand_folder, &[("n", &count), ("bytes", &size)]));
                if let Some(folder) = asked.folder.as_ref().filter(|_| !self.is_broken()) {
                    html.text(&self.texts.page.colon).foreign(folder);
                }
                files.iter().take(HASHED_MAX).for_each(|file| self.hashed(html, file));
                let more = files.len().saturating_sub(HASHED_MAX);
                if more > 0 {
                    let text = fill(&texts.hand_more, &[("n", &more.to_string())]);
                    html.raw("<p class=\"more\">").text(&text).raw("</p>");
                }
            }
        }
    }

    /// Writes a file that was hashed. Its name may come from whoever made the evidence.
    fn hashed(&self, html: &mut Html, file: &FileRecord) {
        html.raw("<div>");
        if !self.is_broken() {
            html.foreign(&String::from_utf8_lossy(&file.path));
        }
        match &file.sha256 {
            Some(digest) => sha256(html, digest),
            None => {
                html.raw("<div>BLAKE3 <code>").show(file.blake3).raw("</code></div>");
            }
        }
        html.raw("</div>");
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

pub(super) fn sha256(html: &mut Html, digest: &Digest) {
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
