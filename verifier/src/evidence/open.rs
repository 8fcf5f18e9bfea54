//! Step 9: opened details, manifests and subjects lead to what was hashed and signed.

use alloc::{collections::BTreeSet, format, string::String, vec::Vec};

use griptrace_core::{
    assessment::subject_leaf,
    bundle::{Disclosure, ManifestOpening, SubjectOpening},
    details::{read_value, slot},
    digest::{Digest, SUBJECT_TREE},
    manifest::{check_files, content_digest, root as manifest_root},
    node::Kind,
    tree::root_from_leaves,
    value::Value,
};

use super::{Broken, Node, OpenedSubject, Ordinal, Parts, Proofs, broken};
use crate::finding::Code;

/// Checks and attaches everything that the bundle opens.
///
/// `details` are the roots of the nodes' details.
pub(super) fn open_all(
    parts: &Parts<'_>,
    mut nodes: Vec<Node>,
    details: Vec<Digest>,
) -> Result<(Vec<Node>, Vec<OpenedSubject>), Broken> {
    let Parts { bundle, proofs, .. } = *parts;
    ascending(Code::DisclosureMismatch, bundle.disclosures.iter().map(|d| d.node))?;
    for disclosure in &bundle.disclosures {
        open_details(disclosure, proofs, &mut nodes, &details)?;
    }
    drop(details);
    ascending(Code::ManifestMismatch, bundle.manifests.iter().map(|m| m.node))?;
    for manifest in &bundle.manifests {
        open_manifest(manifest, proofs, &mut nodes)?;
    }
    ascending(Code::SubjectMismatch, bundle.openings.iter().map(|o| o.assessment))?;
    let mut subjects = Vec::new();
    for opening in &bundle.openings {
        open_subjects(opening, proofs, &nodes, &mut subjects)?;
    }
    Ok((nodes, subjects))
}

/// Refuses what stands out of order or twice.
fn ascending(code: Code, ordinals: impl Iterator<Item = u64>) -> Result<(), Broken> {
    let mut last = None;
    for ordinal in ordinals {
        if last.is_some_and(|last| last >= ordinal) {
            return Err(broken(
                code,
                None,
                format!("what is opened for node {ordinal} is out of order, or stands twice"),
            ));
        }
        last = Some(ordinal);
    }
    Ok(())
}

fn ordinal(code: Code, number: u64, nodes: &[Node]) -> Result<Ordinal, Broken> {
    let place = usize::try_from(number).ok().filter(|place| *place < nodes.len());
    place.ok_or_else(|| broken(code, None, format!("something is opened for node {number} of {}", nodes.len())))
}

fn open_details(
    disclosure: &Disclosure<&[u8]>,
    proofs: Proofs,
    nodes: &mut [Node],
    details: &[Digest],
) -> Result<(), Broken> {
    let place = ordinal(Code::DisclosureMismatch, disclosure.node, nodes)?;
    let (Some(node), Some(hashed)) = (nodes.get_mut(place), details.get(place)) else { return Ok(()) };
    let id = node.id;
    let bad = |why: String| broken(Code::DisclosureMismatch, Some(id), why);
    if proofs == Proofs::Checked {
        let root = disclosure.opening.root(node.core.kind).map_err(|error| bad(format!("opened details: {error}")))?;
        if root != *hashed {
            return Err(bad(format!("the opened details lead to {root}, the node has {hashed}")));
        }
    }
    for (slot, _, bytes) in &disclosure.opening.slots {
        let value = read_value(bytes).map_err(|error| bad(format!("detail {slot}: {error}")))?;
        node.more().details.insert(*slot, value);
    }
    Ok(())
}

/// Rule R12: an opened manifest is whole, and is the one that the node's details name.
fn open_manifest(part: &ManifestOpening, proofs: Proofs, nodes: &mut [Node]) -> Result<(), Broken> {
    let place = ordinal(Code::ManifestMismatch, part.node, nodes)?;
    let Some(node) = nodes.get_mut(place) else { return Ok(()) };
    if proofs == Proofs::None {
        // Own records say that it would be opened, and name no file.
        node.more().manifest = Some(Vec::new());
        return Ok(());
    }
    let bad = |why: String| broken(Code::ManifestMismatch, Some(node.id), why);
    check_files(&part.files).map_err(|error| bad(format!("{error}")))?;
    let kind = node.core.kind;
    let detail = |name| slot(kind, name).and_then(|slot| node.detail(slot));
    let (Some(stated), Some(content)) = (detail("manifest"), detail("content").and_then(Value::as_text)) else {
        return Err(bad("a manifest is opened, but not the details that name it".into()));
    };
    let root = manifest_root(&part.seed, &part.files).unwrap_or(Digest::ZERO);
    let files = i64::try_from(part.files.len()).ok();
    let bytes =
        part.files.iter().try_fold(0_u64, |sum, file| sum.checked_add(file.size)).and_then(|n| i64::try_from(n).ok());
    let same = stated.field("root").and_then(Value::as_bytes) == Some(root.as_bytes().as_slice())
        && stated.field("files").and_then(Value::as_int) == files
        && stated.field("bytes").and_then(Value::as_int) == bytes;
    if !same {
        return Err(bad(format!("the opened manifest has root {root}, which is not what the details say")));
    }
    let single = part.files.first().filter(|_| part.files.len() == 1).map(|file| format!("blake3:{}", file.blake3));
    let tree = format!("tree:{}", content_digest(&part.files));
    if single.as_deref() != Some(content) && tree != content {
        return Err(bad(format!("the opened manifest is of other content than {content}")));
    }
    node.more().manifest = Some(part.files.clone());
    Ok(())
}

/// Rule R6: each use opens one subject of the root that the assessor signed.
fn open_subjects(
    opening: &SubjectOpening,
    proofs: Proofs,
    nodes: &[Node],
    subjects: &mut Vec<OpenedSubject>,
) -> Result<(), Broken> {
    let place = ordinal(Code::SubjectMismatch, opening.assessment, nodes)?;
    let Some(node) = nodes.get(place) else { return Ok(()) };
    let bad = |why: String| broken(Code::SubjectMismatch, Some(node.id), why);
    let Some(assessed) = node.assessed() else {
        return Err(bad("subjects are opened of what is no assessment".into()));
    };
    let mut leaves = Vec::new();
    let mut seen = BTreeSet::new();
    for (index, number, salt) in &opening.subjects {
        let subject = ordinal(Code::SubjectMismatch, *number, nodes)?;
        let Some(target) = nodes.get(subject) else { continue };
        if !matches!(target.core.kind, Kind::Dataset | Kind::Model) || !seen.insert(subject) {
            return Err(bad(format!("{} is no dataset or model, or is opened twice", target.id)));
        }
        leaves.push((*index, subject_leaf(salt, &target.id)));
        subjects.push((place, subject, *index, *salt));
    }
    let assessment = &assessed.assessment;
    let root = || root_from_leaves(&SUBJECT_TREE, assessment.subjects, &leaves, &opening.proof);
    if proofs == Proofs::Checked && root() != Ok(assessment.subjects_root) {
        return Err(bad(format!("the opened subjects are not under the assessor's root {}", assessment.subjects_root)));
    }
    Ok(())
}
