//! What assessments say, whose word that is, and the withdrawals that no log has to have.

use std::collections::BTreeMap;

use griptrace_core::{
    assessment::{Assessed, Assessment, AssessorMark, Destinations, assessed},
    cbor::decode,
    cose::{MARK_TYPE, Signed},
    id::{NodeId, StatusKey},
    node::Mark,
    word::Word,
};
use griptrace_verifier::{
    known::Known,
    trust::{Trust, TrustedAssessor},
};

use crate::lineage::Node;

/// An assessment.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Words {
    /// What it says, by field.
    pub(crate) fields: Vec<(&'static str, String)>,
    /// Whose word it is: a signature is the assessor's only if the trust file has the key.
    pub(crate) by: String,
    /// The assessor's own withdrawals, out of the trust file or an update: the mark, and words for it.
    pub(crate) withdrawn: Vec<(Mark, String)>,
}

/// Reads the assessments among nodes.
pub(crate) fn read_words(nodes: &[Node], trust: &Trust, known: &Known) -> BTreeMap<NodeId, Words> {
    let files = trust.withdrawals.iter().map(|withdrawal| &withdrawal.statement).chain(&known.withdrawals);
    let marks: Vec<(AssessorMark, &TrustedAssessor)> = files.filter_map(|bytes| read_mark(trust, bytes)).collect();
    let read = |node: &Node| {
        let of = assessed(node.id, &node.core).ok()?;
        let assessor = of.signed.as_ref().and_then(|signed| signer(trust, signed));
        let withdrawn = assessor.map(|assessor| withdrawals(&marks, of.status_key, assessor)).unwrap_or_default();
        Some((node.id, Words { fields: fields(&of.assessment), by: by(&of, trust, assessor), withdrawn }))
    };
    nodes.iter().filter_map(read).collect()
}

/// Returns the assessor of the trust file whose key signed.
fn signer<'a>(trust: &'a Trust, signed: &Signed) -> Option<&'a TrustedAssessor> {
    trust.assessors.iter().find(|known| known.key.id() == signed.key && signed.verify(&known.key).is_ok())
}

/// Reads an assessor's own mark; `None` unless an assessor of the trust file signed it.
fn read_mark<'a>(trust: &'a Trust, bytes: &[u8]) -> Option<(AssessorMark, &'a TrustedAssessor)> {
    let signed = Signed::parse(bytes, MARK_TYPE).ok()?;
    Some((decode(&signed.payload).ok()?, signer(trust, &signed)?))
}

/// Returns the marks on one assessment by the party that signed it, with whichever of its keys.
fn withdrawals(
    marks: &[(AssessorMark, &TrustedAssessor)],
    key: StatusKey,
    assessor: &TrustedAssessor,
) -> Vec<(Mark, String)> {
    let own = marks.iter().filter(|(mark, by)| mark.key == key && by.name == assessor.name);
    let words = |(mark, by): &(AssessorMark, &TrustedAssessor)| {
        let (word, date, key) = (mark.mark, mark.date, by.key.id());
        (word, format!("{word} of {date}, signed by the assessor {} with key {key}, in no log that is shown", by.name))
    };
    let mut words: Vec<_> = own.map(words).collect();
    words.sort_unstable();
    words.dedup();
    words
}

fn by(of: &Assessed, trust: &Trust, assessor: Option<&TrustedAssessor>) -> String {
    let Some(signed) = &of.signed else { return "stated by the committer, signed by no assessor".to_owned() };
    let scheme = &of.assessment.scheme;
    let counts_for_it = |known: &TrustedAssessor| known.key.id() == signed.key && known.schemes.contains(scheme);
    match assessor {
        Some(known) if trust.assessors.iter().any(counts_for_it) => {
            format!("signed by key {}, that of {}, an assessor of the trust file", signed.key, known.name)
        }
        Some(known) => {
            format!(
                "signed by key {}, that of {}, whom the trust file does not know for {scheme}",
                signed.key, known.name
            )
        }
        None if trust.assessors.iter().any(|known| known.key.id() == signed.key) => {
            format!("naming key {}, whose signature does not verify", signed.key)
        }
        None => format!("signed by a key that the trust file does not know, {}", signed.key),
    }
}

/// Returns the fields of an assessment, but for the subject tree, by name.
fn fields(of: &Assessment) -> Vec<(&'static str, String)> {
    let list = |words: &[Word]| {
        let words: Vec<&str> = words.iter().map(Word::as_str).collect();
        if words.is_empty() { "none".to_owned() } else { words.join(", ") }
    };
    let destinations = match &of.destinations {
        Destinations::Anywhere => "anywhere".to_owned(),
        Destinations::Only(countries) => countries.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "),
    };
    let mut fields = vec![
        ("scheme", of.scheme.to_string()),
        ("result", of.outcome.to_string()),
        ("covers-grade", of.grade.to_string()),
        ("covers-purpose", list(&of.purposes)),
        ("covers-modality", list(&of.modalities)),
    ];
    if !of.streams.is_empty() {
        fields.push(("covers-stream", list(&of.streams)));
    }
    fields.extend([
        ("issued", of.issued.to_string()),
        ("valid-from", of.valid_from.to_string()),
        ("valid-to", of.valid_to.map_or_else(|| "no end".to_owned(), |date| date.to_string())),
        ("destinations", destinations),
    ]);
    fields
}
