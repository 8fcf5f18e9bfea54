//! Step 15: the buyer's question.

use alloc::{
    collections::BTreeSet,
    format,
    string::{String, ToString},
    vec::Vec,
};

use griptrace_core::{
    digest::Digest,
    id::NodeId,
    manifest::{FileRecord, content_digest},
    node::{Kind, Role},
    value::Value,
};

use super::{Case, Findings};
use crate::{
    evidence::{Node, Ordinal},
    finding::{Code, When},
    question::ModelInHand,
    report::{ModelReport, ShipmentReport},
    trust::Role as Trusted,
};

/// What the bundle answers.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) shipment: Option<ShipmentReport>,
    pub(crate) model: ModelReport,
}

/// Compares the shipment with what the buyer says, and the shipped files with what is in hand.
pub(crate) fn answer(case: &Case<'_>, findings: &mut Findings) -> Option<Answer> {
    let root = case.node(case.evidence.root)?;
    let shipment = check_shipment(case, root, findings);
    let model = check_models(case, root, findings);
    Some(Answer { shipment, model })
}

/// Returns what ships; of a pre-check, its model.
fn models(case: &Case<'_>, root: &Node) -> Vec<Ordinal> {
    let shipped = root.core.kind == Kind::Shipment;
    if shipped { root.to(Role::Ships).collect() } else { Vec::from([case.evidence.root]) }
}

/// Compares the shipment with what the buyer says.
pub(crate) fn check_shipment(case: &Case<'_>, root: &Node, findings: &mut Findings) -> Option<ShipmentReport> {
    let mut add = |code, text: String| findings.add(case.policy, code, When::Always, Some(root.id), text);
    if root.core.kind != Kind::Shipment {
        add(Code::NoShipment, "a pre-check of a model: nothing has shipped".into());
        return None;
    }
    if !case.has_role(root, Trusted::Ship) {
        let who = case.who(root);
        add(Code::ShipperUnauthorised, format!("recorded by {who}, who has not the role ship"));
    }
    match (case.destination(), root.core.country) {
        (None, _) => add(Code::DestinationNotChecked, "no destination was asked for".into()),
        (Some(asked), Some(said)) if asked != said => {
            add(Code::DestinationMismatch, format!("the shipment goes to {said}, the buyer is in {asked}"));
        }
        (Some(_), _) => {}
    }
    let consignee = Case::detail(root, "consignee").and_then(Value::as_text);
    let asked = case.question.consignee(case.trust);
    match (asked, consignee) {
        (Some(asked), None) => {
            add(Code::ConsigneeNotDisclosed, format!("the buyer is {asked:?}; the bundle does not show the consignee"));
        }
        (Some(asked), Some(said)) if asked != said => {
            add(Code::ConsigneeMismatch, format!("the shipment is for {said:?}, the buyer is {asked:?}"));
        }
        (Some(_), Some(_)) | (None, _) => {}
    }
    let purpose =
        case.purposes.iter().find(|p| !root.core.words.purpose.is_empty() && !root.core.words.purpose.contains(p));
    if let Some(purpose) = purpose {
        add(Code::PurposeMismatch, format!("the shipment is not for the buyer's purpose {purpose}"));
    }
    Some(ShipmentReport {
        id: root.id,
        date: root.core.date,
        destination: root.core.country,
        consignee: consignee.map(ToString::to_string),
    })
}

fn check_models(case: &Case<'_>, root: &Node, findings: &mut Findings) -> ModelReport {
    let nodes: Vec<&Node> = models(case, root).into_iter().filter_map(|ordinal| case.node(ordinal)).collect();
    let is_opened = check_opened(case, root, findings);
    let mut shipped: Vec<FileRecord> = nodes.iter().filter_map(|node| node.manifest()).flatten().cloned().collect();
    shipped.sort_by(|a, b| a.path.cmp(&b.path));
    let node = nodes.first().map(|node| node.id);
    let matched = compare(case, is_opened.then_some(shipped.as_slice()), node, findings);
    ModelReport {
        nodes: nodes.iter().map(|node| node.id).collect(),
        names: nodes.iter().filter_map(|node| Case::name(node)).collect(),
        digest: match shipped.as_slice() {
            _ if !is_opened => None,
            [] => None,
            [one] => Some(one.blake3),
            several => Some(content_digest(several)),
        },
        files: u64::try_from(shipped.len()).unwrap_or(u64::MAX),
        matched,
    }
}

/// Finds the shipped models whose files are not shown; tells whether those of every one are.
pub(crate) fn check_opened(case: &Case<'_>, root: &Node, findings: &mut Findings) -> bool {
    let models = models(case, root);
    let here = models.iter().filter_map(|model| case.node(*model)).filter(|node| node.manifest().is_none());
    let here = here.map(|node| (node.id, "its content and manifest are not opened"));
    // A shipment names nothing but what it ships.
    let elsewhere = case.evidence.unresolved.iter().filter(|(from, _)| *from == case.evidence.root);
    let elsewhere = elsewhere.filter(|_| root.core.kind == Kind::Shipment);
    let elsewhere = elsewhere.map(|(_, id)| (*id, "it ships, is in another log, and is not shown"));
    let closed: Vec<(NodeId, &str)> = here.chain(elsewhere).collect();
    for (id, why) in &closed {
        let text = format!("{why}: no file can be compared with it");
        findings.add(case.policy, Code::ModelNotOpened, When::Always, Some(*id), text);
    }
    closed.is_empty()
}

/// Rule R12: a folder is exactly the set of files that shipped; a single file is compared by its
/// bytes, and less than all that shipped is only partly checked. `None` for `shipped` is a set that is not known whole:
/// nothing is in it or not, and so nothing is said of what is in hand.
fn compare(
    case: &Case<'_>,
    shipped: Option<&[FileRecord]>,
    node: Option<NodeId>,
    findings: &mut Findings,
) -> Option<bool> {
    let mut add = |code, text: String| findings.add(case.policy, code, When::Always, node, text);
    if case.question.model == ModelInHand::NotGiven {
        add(Code::ModelNotChecked, "no model file or digest was given".into());
    }
    let shipped = shipped?;
    let is_pre_check = case.node(case.evidence.root).is_some_and(|root| root.core.kind == Kind::Model);
    let words = if is_pre_check { &OF_THE_MODEL } else { &OF_THE_SHIPMENT };
    let single = |found: Option<&FileRecord>, said: String, add: &mut dyn FnMut(Code, String)| {
        let count = words.count(shipped.len());
        if found.is_none() {
            add(Code::ModelMismatch, format!("{said} is none of the {count}"));
            return Some(false);
        }
        if shipped.len() > 1 {
            add(Code::ModelPartlyChecked, format!("one of the {count} was compared"));
        }
        Some(true)
    };
    match &case.question.model {
        ModelInHand::NotGiven => None,
        ModelInHand::Digest(digest) => {
            let same = |file: &&FileRecord| file.blake3 == *digest || file.sha256 == Some(*digest);
            single(shipped.iter().find(same), format!("digest {digest}"), &mut add)
        }
        ModelInHand::File(given) => {
            let same = |file: &&FileRecord| same_bytes(file, given);
            single(shipped.iter().find(same), format!("the file in hand, BLAKE3 {},", given.blake3), &mut add)
        }
        ModelInHand::Folder(given) => {
            let why = difference(shipped, given, words);
            if let Some(why) = &why {
                add(Code::ModelMismatch, why.clone());
            }
            Some(why.is_none())
        }
    }
}

/// How it is said of a file that it is among those that are compared with, or not.
#[derive(Debug)]
struct Words {
    has: &'static str,
    has_not: &'static str,
    other: &'static str,
    one: &'static str,
    many: &'static str,
}

const OF_THE_SHIPMENT: Words =
    Words { has: "shipped", has_not: "did not ship", other: "shipped was", one: "shipped file", many: "shipped files" };

/// Of a pre-check nothing has shipped.
const OF_THE_MODEL: Words = Words {
    has: "the model has",
    has_not: "the model has not",
    other: "the model's is",
    one: "file of the model",
    many: "files of the model",
};

impl Words {
    fn count(&self, files: usize) -> String {
        format!("{files} {}", if files == 1 { self.one } else { self.many })
    }
}

/// Compares size and BLAKE3, and SHA-256 where both have it.
fn same_bytes(shipped: &FileRecord, given: &FileRecord) -> bool {
    let sha: Option<bool> = shipped.sha256.zip(given.sha256).map(|(a, b)| a == b);
    shipped.size == given.size && shipped.blake3 == given.blake3 && sha != Some(false)
}

/// Tells how a folder differs from what shipped: the first file that is too many, missing or other.
fn difference(shipped: &[FileRecord], given: &[FileRecord], words: &Words) -> Option<String> {
    let name = |file: &FileRecord| String::from_utf8_lossy(&file.path).into_owned();
    let paths = |files: &[FileRecord]| files.iter().map(|f| f.path.clone()).collect::<BTreeSet<_>>();
    let (ours, theirs) = (paths(shipped), paths(given));
    if ours.len() != shipped.len() {
        return Some("two shipped models have a file of the same path".into());
    }
    if let Some(file) = given.iter().find(|file| !ours.contains(&file.path)) {
        return Some(format!("the folder has {:?}, which {}", name(file), words.has_not));
    }
    if let Some(file) = shipped.iter().find(|file| !theirs.contains(&file.path)) {
        return Some(format!("the folder lacks {:?}, which {}", name(file), words.has));
    }
    shipped.iter().zip(given).find(|(a, b)| !same_bytes(a, b)).map(|(a, b)| {
        let (x, y): (&Digest, &Digest) = (&a.blake3, &b.blake3);
        format!("{:?} has BLAKE3 {y}, {} {x}", name(a), words.other)
    })
}
