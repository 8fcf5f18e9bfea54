//! `griptrace impact`.

use griptrace_core::node::Kind;

use super::trace::Graph;
use crate::{
    context::{Answer, Context},
    error::CommandError,
    resolve::resolve,
    view::headline,
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
