//! `griptrace fleet show`, `trace` and `impact`.

use griptrace_core::node::{Kind, Mark};
use griptrace_service::inventory;
use serde_json::json;

use crate::{
    commands::show,
    context::{Answer, Context},
    error::CommandError,
    fleet::{
        Fleet,
        across::{Across, At, Walked},
    },
    view::{self, headline},
};

/// A node of one of the plants
#[derive(Debug, clap::Args)]
pub(super) struct Node {
    /// The node: as elsewhere an id, a name or a file
    node: String,
    /// The plant whose node is meant, where several have one of this name
    #[arg(long, value_name = "NAME")]
    plant: Option<String>,
}

impl Node {
    fn find(&self, context: &Context, across: &Across<'_>) -> Result<At, CommandError> {
        across.find(&context.output, &self.node, self.plant.as_deref())
    }
}

pub(super) fn show(context: &Context, fleet: &Fleet, node: &Node) -> Result<Answer, CommandError> {
    let across = Across::open(fleet, &context.output);
    let at = node.find(context, &across)?;
    let workspace = across.workspace(at.plant)?;
    let found = workspace.node(&at.id)?;
    let mut object = show::object(workspace, &found, false)?;
    let mut lines = vec![format!("plant {}", across.name(at.plant))];
    lines.extend(show::lines(workspace, &found, false)?);
    let mut users = Vec::new();
    for user in across.users(at)? {
        // What is not told here is told with the plant that was lost.
        let Ok(node) = across.node(user) else { continue };
        lines.push(format!("  {:<18} {}, of plant {}", "used by", headline(&node), across.name(user.plant)));
        users.push(json!({ "plant": across.name(user.plant), "id": user.id.to_string() }));
    }
    let gaps = across.unreachable();
    if let Some(map) = object.as_object_mut() {
        map.insert("plant".to_owned(), json!(across.name(at.plant)));
        map.insert("used_by".to_owned(), json!(users));
        map.insert("not_known".to_owned(), json!(gaps));
    }
    context.output.either(&object, &lines)?;
    Ok(tell_gaps(context, &gaps))
}

pub(super) fn trace(context: &Context, fleet: &Fleet, node: &Node) -> Result<Answer, CommandError> {
    let across = Across::open(fleet, &context.output);
    let walked = across.ancestors(node.find(context, &across)?);
    list(context, &across, &walked)?;
    let mut gaps = walked.gaps;
    gaps.extend(across.lost());
    list_gaps(context, &gaps)
}

pub(super) fn impact(context: &Context, fleet: &Fleet, node: &Node) -> Result<Answer, CommandError> {
    let across = Across::open(fleet, &context.output);
    let from = node.find(context, &across)?;
    let walked = across.descendants(from);
    let kinds = list(context, &across, &walked)?;
    // Whoever can't be asked may have used anything.
    let mut gaps = walked.gaps;
    gaps.extend(across.unreachable());
    let answer = list_gaps(context, &gaps)?;
    for kind in [Kind::Model, Kind::Shipment] {
        let hit = kinds.iter().filter(|(at, of)| *at != from && *of == kind).count();
        context.output.talk(format_args!("{hit} {kind}{} on it", if hit == 1 { " stands" } else { "s stand" }));
    }
    Ok(answer)
}

/// Lists what was met, nearest first, and returns the kind of each. What a plant does not tell any more is told with the plant.
fn list(context: &Context, across: &Across<'_>, walked: &Walked) -> Result<Vec<(At, Kind)>, CommandError> {
    let mut kinds = Vec::new();
    for (at, depth) in &walked.met {
        let told = across.ask(at.plant, |workspace| Ok((workspace.node(&at.id)?, workspace.put_aside(&at.id)?)));
        let Ok((node, aside)) = told else { continue };
        let plant = across.name(at.plant);
        let mut object = view::node_json(&node);
        if let Some(map) = object.as_object_mut() {
            map.insert("plant".to_owned(), json!(plant));
            map.insert("depth".to_owned(), json!(depth));
            map.insert("put_aside".to_owned(), json!(aside.map(Mark::word)));
        }
        let aside = aside.map_or_else(String::new, |mark| format!(" [{}]", inventory::marked(mark)));
        context.output.either(&object, &[format!("{depth:>3}  {plant:<16} {}{aside}", headline(&node))])?;
        kinds.push((*at, node.core.kind));
    }
    Ok(kinds)
}

/// Says what a list lacks.
fn list_gaps(context: &Context, gaps: &[String]) -> Result<Answer, CommandError> {
    if context.output.is_json() {
        gaps.iter().try_for_each(|gap| context.output.object(&json!({ "not_known": gap })))?;
    }
    Ok(tell_gaps(context, gaps))
}

/// Says what the answer lacks: one that lacks something is not whole.
fn tell_gaps(context: &Context, gaps: &[String]) -> Answer {
    gaps.iter().for_each(|gap| context.output.warn(gap));
    if gaps.is_empty() { Answer::YES } else { Answer::COULD_NOT }
}
