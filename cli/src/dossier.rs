//! The dossier: what a bundle says, as one printable page for whoever files it; and the label that names a bundle on paper.
//!
//! It puts in order and judges nothing. A verdict stands in it only if the verifier gave one (`griptrace-verifier`), under a
//! trust file and a policy of the reader's own. Every text of a bundle is a stranger's: see [`html`].

mod facts;
mod html;
mod judged;
pub(crate) mod label;
mod page;
mod picture;
mod points;
mod qr;
mod texts;

use griptrace_core::bundle::Bundle;
use serde_json::{Value as Json, json};

use self::{
    facts::{Facts, Label},
    points::{Answered, answer},
};
pub(crate) use self::{
    judged::{Asked, Given, Judged},
    page::MAGIC,
    texts::{Language, fill},
};
use crate::error::CommandError;

/// All that goes into a dossier.
#[derive(Debug)]
pub(crate) struct Dossier {
    given: Given,
    facts: Facts,
    answers: Vec<Answered>,
    /// By node: the points to which it states something, by their places in `answers`.
    points_of: Vec<Vec<usize>>,
    judged: Option<Judged>,
    language: Language,
}

impl Dossier {
    /// Reads what a bundle says. `judged` is what the verifier found of the same bytes; without a bundle nothing is
    /// told but that.
    ///
    /// # Errors
    /// The bundle can't be read to its end.
    pub(crate) fn read(
        bytes: &[u8],
        bundle: Option<&Bundle>,
        given: Given,
        judged: Option<Judged>,
        language: Language,
    ) -> Result<Self, CommandError> {
        let facts = bundle.map_or_else(|| Ok(Facts::untold(bytes)), |bundle| Facts::read(bytes, bundle))?;
        let answers = if bundle.is_some() { answer(&facts) } else { Vec::new() };
        let points_of = points_of(&facts, &answers);
        Ok(Self { given, facts, answers, points_of, judged, language })
    }

    /// Writes the page.
    pub(crate) fn to_html(&self) -> String {
        page::write(self)
    }

    /// Returns a summary for programs.
    pub(crate) fn to_json(&self) -> Json {
        let labels = |places: &[usize]| ranges(places.iter().map(|place| self.facts.item(*place).label));
        let points = self.answers.iter().map(|answered| {
            let fields = answered.fields.iter().map(
                |field| json!({ "field": field.name, "stated": labels(&field.stated), "missing": labels(&field.missing) }),
            );
            json!({
                "point": answered.point.id, "article": answered.point.article, "source": answered.point.source,
                "read": answered.point.read, "state": answered.state().word(), "fields": fields.collect::<Vec<_>>(),
            })
        });
        json!({
            "given_digest": self.given.digest.to_string(),
            "updates": self.given.updates.iter().map(ToString::to_string).collect::<Vec<_>>(),
            "bundle_digest": self.facts.digest.to_string(),
            "root": self.facts.told_root().map(|root| root.id.to_string()),
            "verified": self.judged.is_some(),
            "verdict": self.judged.as_ref().map(|judged| judged.report.verdict.as_str()),
            "policy_met": self.judged.as_ref().map(|judged| judged.report.policy_met),
            "asked": self.judged.as_ref().map(Judged::asked_json),
            "points": points.collect::<Vec<_>>(),
        })
    }
}

fn points_of(facts: &Facts, answers: &[Answered]) -> Vec<Vec<usize>> {
    let mut points = vec![Vec::new(); facts.items.len()];
    for (point, answered) in answers.iter().enumerate() {
        for item in answered.fields.iter().flat_map(|field| &field.stated) {
            let known: Option<&mut Vec<usize>> = points.get_mut(*item);
            if let Some(known) = known.filter(|known| known.last() != Some(&point)) {
                known.push(point);
            }
        }
    }
    points
}

/// Writes labels shortly: `S1-S3, S5`.
pub(crate) fn ranges(labels: impl IntoIterator<Item = Label>) -> String {
    let mut labels: Vec<Label> = labels.into_iter().collect();
    labels.sort_unstable();
    labels.dedup();
    let mut out: Vec<String> = Vec::new();
    let mut rest = labels.as_slice();
    while let Some(first) = rest.first() {
        let follows = |(place, label): &(usize, &Label)| {
            label.letter == first.letter && label.number == first.number.saturating_add(*place)
        };
        let run = rest.iter().enumerate().take_while(follows).count().max(1);
        let last = rest.get(run.saturating_sub(1)).unwrap_or(first);
        out.push(match run {
            1 => first.to_string(),
            2 => format!("{first}, {last}"),
            _ => format!("{first}–{last}"),
        });
        rest = rest.get(run..).unwrap_or_default();
    }
    out.join(", ")
}

#[cfg(test)]
mod tests {
    use super::{facts::Letter, *};

    #[test]
    fn labels_are_written_as_ranges() {
        let label = |letter, number| Label { letter, number };
        let labels = [(Letter::S, 3), (Letter::S, 1), (Letter::S, 2), (Letter::T, 4), (Letter::S, 5), (Letter::T, 5)];
        assert_eq!(ranges(labels.map(|(letter, number)| label(letter, number))), "S1–S3, S5, T4, T5");
        assert_eq!(ranges([]), "");
    }
}
