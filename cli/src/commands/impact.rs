//! `griptrace impact`.

use std::collections::BTreeMap;

use griptrace_core::{id::NodeId, node::Kind};
use griptrace_store::{ForeignNode, StoredNode};

use super::trace::Graph;
use crate::{
    context::{Answer, Context},
    error::CommandError,
    foreign,
    resolve::resolve,
    view::{self, headline},
    workspace::Workspace,
};

/// Show what stands on a node: which models and shipments would be hit if it fell
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The node
    pub(crate) node: String,
    /// Write a graph for Graphviz
    #[arg(long)]
    pub(crate) dot: bool,
}

pub(crate) fn run(context: &Context, args: &Args) -> Result<Answer, CommandError> {
    let workspace = context.workspace()?;
    if let Some(node) = foreign::find(&workspace, &args.node, foreign::LOOKED_AT)? {
        return of_foreign(context, &workspace, &node);
    }
    let id = resolve(&workspace, &context.output, &args.node)?;
    let found = workspace.store.descendants(&id).map_err(|e| e.while_doing("cannot walk the descendants"))?;
    let mut graph = Graph::default();
    Graph::prefetch(&workspace, &id, &found)?;
    graph.add(&workspace, &id, 0)?;
    for descendant in found {
        graph.add(&workspace, &descendant.id, descendant.depth)?;
    }
    let below = graph.children();
    graph.show(&context.output, id, &below, args.dot)?;
    if args.dot || context.output.is_json() {
        return Ok(Answer::YES);
    }
    for (kind, none) in [(Kind::Model, "no model stands on it"), (Kind::Shipment, "no shipment stands on it")] {
        let hit: Vec<String> = graph.of_kind(kind).filter(|node| node.id != id).map(headline).collect();
        if hit.is_empty() {
            context.output.talk(none);
            continue;
        }
        context.output.talk(format_args!(
            "{} {kind}{} on it:",
            hit.len(),
            if hit.len() == 1 { " stands" } else { "s stand" }
        ));
        hit.iter().for_each(|line| context.output.talk(format_args!("  {line}")));
    }
    Ok(Answer::YES)
}

/// Lists what stands on another company's node: the steps and shipments that name it, and all that stands on these.
fn of_foreign(context: &Context, workspace: &Workspace, node: &ForeignNode) -> Result<Answer, CommandError> {
    let mut hit: BTreeMap<NodeId, StoredNode> = BTreeMap::new();
    for kind in [Kind::Transformation, Kind::Shipment] {
        let ids = workspace.store.of_kind(kind).map_err(|e| e.while_doing(format!("cannot list every {kind}")))?;
        for id in ids {
            let found = workspace.node(&id)?;
            let is_named = |edge: &griptrace_core::node::Edge| edge.home == Some(node.home) && edge.to == node.id;
            if !found.core.edges.iter().any(is_named) {
                continue;
            }
            for below in workspace.store.descendants(&id).map_err(|e| e.while_doing("cannot walk the descendants"))? {
                hit.insert(below.id, workspace.node(&below.id)?);
            }
            hit.insert(id, found);
        }
    }
    let mut hit: Vec<StoredNode> = hit.into_values().collect();
    hit.sort_by_key(|node| node.index);
    if context.output.is_json() {
        hit.iter().try_for_each(|node| context.output.object(&view::node_json(node)))?;
        return Ok(Answer::YES);
    }
    context.output.line(foreign::line(node))?;
    hit.iter().try_for_each(|node| context.output.line(format_args!("  {}", headline(node))))?;
    Ok(Answer::YES)
}
