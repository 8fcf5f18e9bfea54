//! Recording: what people write down, made into nodes and committed at once.

pub(crate) mod assessing;
pub(crate) mod build;
pub(crate) mod details;
pub(crate) mod draft;
pub(crate) mod erased;
pub(crate) mod lineage;
pub(crate) mod signed_mark;
pub(crate) mod statement;
pub(crate) mod toml_source;

use griptrace_core::{id::NodeId, node::Kind};
use griptrace_store::{Receipt, record::NodeRecord};
use serde_json::json;

use self::{build::Unit, lineage::Lineage};
use crate::{error::CommandError, output::Output, view::short, workspace::Workspace};

/// What was recorded.
#[derive(Debug)]
pub(crate) struct Recorded {
    /// The nodes, in the order of the file.
    pub(crate) nodes: Vec<RecordedNode>,
    /// The receipt; `None` if everything was recorded already.
    pub(crate) receipt: Option<Receipt>,
}

/// One node that was recorded now or earlier.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct RecordedNode {
    /// Its id.
    pub(crate) id: NodeId,
    /// Its kind.
    pub(crate) kind: Kind,
    /// Its name.
    pub(crate) name: String,
    /// Whether an earlier commit has it (Rule R10).
    pub(crate) already: bool,
}

/// Hashes everything that `lineage` names, then commits all of it at once.
pub(crate) fn record(workspace: &Workspace, output: &Output, lineage: &Lineage) -> Result<Recorded, CommandError> {
    commit(workspace, build::units(workspace, output, lineage)?)
}

/// Commits the units that no earlier commit has.
fn commit(workspace: &Workspace, units: Vec<Unit>) -> Result<Recorded, CommandError> {
    let mut nodes = Vec::new();
    let mut fresh = Vec::new();
    for unit in units {
        nodes.extend(unit.nodes);
        fresh.extend(unit.records);
    }
    let receipt = if fresh.is_empty() { None } else { Some(workspace.commit(fresh)?) };
    Ok(Recorded { nodes, receipt })
}

/// Commits nodes that were made one by one, but for those that the log has.
pub(crate) fn commit_records(
    workspace: &Workspace,
    output: &Output,
    records: Vec<(NodeRecord, String)>,
) -> Result<Recorded, CommandError> {
    let mut nodes = Vec::new();
    let mut fresh = Vec::new();
    for (record, name) in records {
        let (id, kind) = (build::id_of(&record), build::core_of(&record)?.kind);
        let wrong = |e: CommandError| e.while_doing(format!("cannot look up {id}"));
        let known = workspace.store.node(&id).map_err(wrong)?;
        if let Some(since) = known.as_ref().and_then(|node| workspace.ended_before(node)) {
            let text = format!("{id} is in the log, and the key that recorded it does not count from leaf {since} on");
            return Err(CommandError::failed(text).with_hint(
                "a node stands in one commit: record the same again from its lineage file, under a new id",
            ));
        }
        let already = known.is_some();
        nodes.push(RecordedNode { id, kind, name: name.clone(), already });
        if !already {
            fresh.push((record, name));
        }
    }
    let named: Vec<(&NodeRecord, &str)> = fresh.iter().map(|(record, name)| (record, name.as_str())).collect();
    erased::refuse(workspace, output, &named)?;
    let fresh: Vec<NodeRecord> = fresh.into_iter().map(|(record, _)| record).collect();
    let receipt = if fresh.is_empty() { None } else { Some(workspace.commit(fresh)?) };
    Ok(Recorded { nodes, receipt })
}

/// Tells what was recorded: a line or object a node, and the receipt.
pub(crate) fn report(output: &Output, recorded: &Recorded) -> Result<(), CommandError> {
    for node in &recorded.nodes {
        let object = json!({
            "id": node.id.to_string(), "kind": node.kind.word(), "name": node.name, "already_recorded": node.already,
        });
        let what = if node.already { "already recorded" } else { "recorded" };
        let line = format!("{what:<16}  {:<14}  {}  {}", node.kind.word(), short(&node.id), node.name);
        output.either(&object, &[line])?;
    }
    if let Some(receipt) = &recorded.receipt {
        let nodes = receipt.ids.len();
        if output.is_json() {
            let checkpoint = receipt.checkpoint.clone();
            return output.object(&json!({
                "commit": { "index": receipt.index, "nodes": nodes, "size": receipt.size, "checkpoint": checkpoint },
            }));
        }
        let nodes = if nodes == 1 { "1 node".to_owned() } else { format!("{nodes} nodes") };
        output.talk(format_args!(
            "committed {nodes} as leaf {} under a checkpoint of size {}",
            receipt.index, receipt.size
        ));
    }
    Ok(())
}
