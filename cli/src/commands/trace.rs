//! `griptrace trace`.

use core::fmt::Write as _;
use std::collections::{BTreeMap, BTreeSet};

use griptrace_core::{
    id::NodeId,
    node::{Kind, Mark},
};
use griptrace_service::inventory;
use griptrace_store::{Found, StoredNode};
use serde_json::json;

use crate::{
    context::{Answer, Context},
    error::CommandError,
    foreign,
    output::Output,
    resolve::resolve,
    view::{self, headline, short},
    workspace::Workspace,
};

/// Show what a node came from
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The node
    pub(crate) node: String,
    /// Show only the ways to this ancestor
    #[arg(long, value_name = "NODE")]
    pub(crate) to: Option<String>,
    /// Ways that are shown at most with --to
    #[arg(long, value_name = "N", default_value_t = 20, requires = "to")]
    pub(crate) limit: usize,
    /// Write a graph for Graphviz
    #[arg(long)]
    pub(crate) dot: bool,
    /// Write only id, kind and distance of each, nearest first: no node is read, so that a million
    /// take a second
    #[arg(long, conflicts_with_all = ["to", "dot"])]
    pub(crate) ids: bool,
}

pub(crate) fn run(context: &Context, args: &Args) -> Result<Answer, CommandError> {
    let workspace = context.workspace()?;
    let id = resolve(&workspace, &context.output, &args.node)?;
    if let Some(to) = &args.to {
        return show_paths(context, &workspace, args, id, to);
    }
    let found = workspace.store.ancestors(&id).map_err(|e| e.while_doing("cannot walk the ancestry"))?;
    if args.ids {
        return list(&context.output, &found);
    }
    let mut graph = Graph::default();
    Graph::prefetch(&workspace, &id, &found)?;
    graph.add(&workspace, &id, 0)?;
    for ancestor in found {
        graph.add(&workspace, &ancestor.id, ancestor.depth)?;
    }
    let down = graph.parents();
    graph.show(&context.output, id, &down, args.dot)?;
    Ok(Answer::YES)
}

/// Writes the ancestors in pieces, since a line each to the system would cost more than the walk.
fn list(output: &Output, found: &[Found]) -> Result<Answer, CommandError> {
    for some in found.chunks(1 << 12) {
        let mut lines = String::new();
        for Found { id, kind, depth } in some {
            let written = if output.is_json() {
                writeln!(lines, "{{\"id\":\"{id}\",\"kind\":\"{kind}\",\"distance\":{depth}}}")
            } else {
                writeln!(lines, "{id}  {kind}  {depth}")
            };
            written.map_err(|e| CommandError::because("cannot write", e))?;
        }
        output.raw(lines.as_bytes())?;
    }
    Ok(Answer::YES)
}

fn show_paths(
    context: &Context,
    workspace: &Workspace,
    args: &Args,
    from: NodeId,
    to: &str,
) -> Result<Answer, CommandError> {
    let to = resolve(workspace, &context.output, to)?;
    if args.limit == 0 {
        return Err(CommandError::failed("--limit 0 shows no way at all").with_hint("1 is the least"));
    }
    let found = workspace.store.paths(&from, &to, args.limit).map_err(|e| e.while_doing("cannot walk the ancestry"))?;
    for path in &found.paths {
        let nodes = path.iter().map(|id| workspace.node(id)).collect::<Result<Vec<_>, _>>()?;
        if args.dot || !context.output.is_json() {
            let titles: Vec<String> = nodes.iter().map(headline).collect();
            context.output.line(titles.join("\n  <- "))?;
        } else {
            context.output.object(&json!({ "path": nodes.iter().map(|n| n.id.to_string()).collect::<Vec<_>>() }))?;
        }
    }
    if found.cut {
        context.output.warn(format_args!("there are more ways than {}; --limit shows more", args.limit));
    }
    if found.paths.is_empty() {
        context.output.talk("no way leads there");
        return Ok(Answer::NO);
    }
    Ok(Answer::YES)
}

/// Nodes and how they hang together.
#[derive(Debug, Default)]
pub(crate) struct Graph {
    nodes: BTreeMap<NodeId, (StoredNode, u64)>,
    /// The marks of those that are put aside.
    aside: BTreeMap<NodeId, Mark>,
    /// Those that count for nobody, as the key that recorded them had ended.
    ended: BTreeSet<NodeId>,
    /// Other companies' nodes that these came from: where the own log ends.
    foreign: BTreeMap<NodeId, String>,
    order: Vec<NodeId>,
}

/// Which nodes stand below which in the drawing.
pub(crate) type Below = BTreeMap<NodeId, Vec<NodeId>>;

impl Graph {
    /// Loads what will be added, in few calls where the log is on a server.
    pub(crate) fn prefetch(workspace: &Workspace, id: &NodeId, found: &[Found]) -> Result<(), CommandError> {
        let ids: Vec<NodeId> = core::iter::once(*id).chain(found.iter().map(|found| found.id)).collect();
        workspace.store.prefetch_marks(&ids)
    }

    /// Adds a node that is `depth` edges away.
    pub(crate) fn add(&mut self, workspace: &Workspace, id: &NodeId, depth: u64) -> Result<(), CommandError> {
        let node = workspace.node(id)?;
        if node.core.edges.iter().any(|edge| edge.home.is_some()) {
            let known = workspace.store.foreign_nodes()?;
            let named = node.core.edges.iter().filter_map(|edge| Some((edge.to, foreign::named(&known, edge)?)));
            self.foreign.extend(named);
        }
        if workspace.ended_before(&node).is_some() {
            self.ended.insert(*id);
        }
        if self.nodes.insert(*id, (node, depth)).is_none() {
            self.order.push(*id);
        }
        self.aside.extend(workspace.put_aside(id)?.map(|mark| (*id, mark)));
        Ok(())
    }

    /// Returns each node's parents.
    pub(crate) fn parents(&self) -> Below {
        let parents = |(node, _): &(StoredNode, u64)| {
            let local = view::parents(&node.core).filter(|id| self.nodes.contains_key(id));
            let foreign = node.core.edges.iter().map(|edge| edge.to).filter(|id| self.foreign.contains_key(id));
            local.chain(foreign).collect()
        };
        self.nodes.iter().map(|(id, found)| (*id, parents(found))).collect()
    }

    /// Returns each node's children.
    pub(crate) fn children(&self) -> Below {
        let mut below = Below::new();
        for (id, (node, _)) in &self.nodes {
            for parent in view::parents(&node.core) {
                below.entry(parent).or_default().push(*id);
            }
        }
        below
    }

    /// Returns the nodes of a kind, in the order in which they were found.
    pub(crate) fn of_kind(&self, kind: Kind) -> impl Iterator<Item = &StoredNode> {
        self.order.iter().filter_map(|id| self.nodes.get(id)).map(|(node, _)| node).filter(move |n| n.core.kind == kind)
    }

    /// Writes the graph: JSON, Graphviz or a tree.
    pub(crate) fn show(&self, output: &Output, root: NodeId, below: &Below, dot: bool) -> Result<(), CommandError> {
        if dot {
            return self.show_dot(output);
        }
        if output.is_json() {
            return self.order.iter().filter_map(|id| self.nodes.get(id)).try_for_each(|(node, depth)| {
                let mut object = view::node_json(node);
                if let Some(map) = object.as_object_mut() {
                    map.insert("depth".to_owned(), json!(depth));
                    map.insert("put_aside".to_owned(), json!(self.aside.get(&node.id).map(|mark| mark.word())));
                    map.insert("key_ended".to_owned(), json!(self.ended.contains(&node.id)));
                }
                output.object(&object)
            });
        }
        self.show_tree(output, root, below)
    }

    /// Returns what a drawing says of a node's marks and key.
    fn marks(&self, id: &NodeId) -> String {
        let aside = self.aside.get(id).map_or_else(String::new, |mark| format!(" [{}]", inventory::marked(*mark)));
        let ended = if self.ended.contains(id) { " [key ended]" } else { "" };
        format!("{aside}{ended}")
    }

    fn show_dot(&self, output: &Output) -> Result<(), CommandError> {
        output.line("digraph lineage {\n  rankdir=RL;")?;
        let quoted = |text: &str| text.replace('\\', "\\\\").replace('"', "\\\"");
        for (id, (node, _)) in &self.nodes {
            let shape = match node.core.kind {
                Kind::Transformation => "box",
                Kind::Shipment => "house",
                Kind::Dataset | Kind::Model | Kind::Assessment | Kind::Status | Kind::Erasure => "ellipse",
            };
            let label = quoted(&format!("{} {}{}", node.core.kind, view::title(node), self.marks(id)));
            output.line(format_args!("  \"{}\" [shape={shape}, label=\"{label}\"];", short(id)))?;
            for parent in view::parents(&node.core).filter(|parent| self.nodes.contains_key(parent)) {
                output.line(format_args!("  \"{}\" -> \"{}\";", short(id), short(&parent)))?;
            }
            for edge in node.core.edges.iter().filter(|edge| edge.home.is_some()) {
                output.line(format_args!("  \"{}\" -> \"{}\";", short(id), short(&edge.to)))?;
            }
        }
        for (id, line) in &self.foreign {
            output.line(format_args!("  \"{}\" [shape=component, label=\"{}\"];", short(id), quoted(line)))?;
        }
        output.line("}")
    }

    /// Draws a tree; what stands in it twice is drawn once, and then only named, with `^`.
    fn show_tree(&self, output: &Output, root: NodeId, below: &Below) -> Result<(), CommandError> {
        let mut drawn = BTreeSet::new();
        // A stack in place of recursion: an ancestry may be deeper than any call stack.
        let mut todo = vec![(root, String::new(), String::new())];
        while let Some((id, lead, indent)) = todo.pop() {
            let Some((node, _)) = self.nodes.get(&id) else {
                let foreign = self.foreign.get(&id).map_or("", String::as_str);
                output.line(format_args!("{lead}{foreign}"))?;
                continue;
            };
            let under = below.get(&id).map(Vec::as_slice).unwrap_or_default();
            let again = !drawn.insert(id);
            let mark = if again && !under.is_empty() { " ^" } else { "" };
            output.line(format_args!("{lead}{}{}{mark}", line(node), self.marks(&id)))?;
            if again {
                continue;
            }
            let last = under.len().saturating_sub(1);
            for (place, child) in under.iter().enumerate().rev() {
                let (branch, more) = if place == last { ("└─ ", "   ") } else { ("├─ ", "│  ") };
                todo.push((*child, format!("{indent}{branch}"), format!("{indent}{more}")));
            }
        }
        Ok(())
    }
}

/// One node of a drawing: what it is, and what a reader looks for first.
fn line(node: &StoredNode) -> String {
    let core = &node.core;
    let words = [
        core.activity.map(|a| a.to_string()),
        core.origin.map(|o| o.to_string()),
        core.grade.as_ref().map(ToString::to_string),
        core.country.map(|c| c.to_string()),
        core.date.map(|d| d.to_string()),
    ];
    let words: Vec<String> = words.into_iter().flatten().collect();
    if words.is_empty() {
        return format!("{} {}  {}", core.kind, view::title(node), short(&node.id));
    }
    format!("{} {} ({})  {}", core.kind, view::title(node), words.join(", "), short(&node.id))
}
