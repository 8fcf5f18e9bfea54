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
        let title = headline(&across.node(user)?);
        lines.push(format!("  {:<18} {title}, of plant {}", "used by", across.name(user.plant)));
        users.push(json!({ "plant": across.name(user.plant), "id": user.id.to_string() }));
    }
    let gaps: Vec<String> = across.unreachable().collect();
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
    let walked = across.ancestors(node.find(context, &across)?)?;
    list(context, &across, &walked)
}

pub(super) fn impact(context: &Context, fleet: &Fleet, node: &Node) -> Result<Answer, CommandError> {
    let across = Across::open(fleet, &context.output);
    let from = node.find(context, &across)?;
    let walked = across.descendants(from)?;
    let answer = list(context, &across, &walked)?;
    for kind in [Kind::Model, Kind::Shipment] {
        let mut hit = 0_usize;
        for (at, _) in walked.met.iter().filter(|(at, _)| *at != from) {
            hit += usize::from(across.node(*at)?.core.kind == kind);
        }
        context.output.talk(format_args!("{hit} {kind}{} on it", if hit == 1 { " stands" } else { "s stand" }));
    }
    Ok(answer)
}

/// Lists what was met, nearest first, and then what is not known.
fn list(context: &Context, across: &Across<'_>, walked: &Walked) -> Result<Answer, CommandError> {
    for (at, depth) in &walked.met {
        let workspace = across.workspace(at.plant)?;
        let node = workspace.node(&at.id)?;
        let (plant, aside) = (across.name(at.plant), workspace.put_aside(&at.id)?);
        let mut object = view::node_json(&node);
        if let Some(map) = object.as_object_mut() {
            map.insert("plant".to_owned(), json!(plant));
            map.insert("depth".to_owned(), json!(depth));
            map.insert("put_aside".to_owned(), json!(aside.map(Mark::word)));
        }
        let aside = aside.map_or_else(String::new, |mark| format!(" [{}]", inventory::marked(mark)));
        context.output.either(&object, &[format!("{depth:>3}  {plant:<16} {}{aside}", headline(&node))])?;
    }
    if context.output.is_json() {
        walked.gaps.iter().try_for_each(|gap| context.output.object(&json!({ "not_known": gap })))?;
    }
    Ok(tell_gaps(context, &walked.gaps))
}

/// Says what the answer lacks: one that lacks something is not whole.
fn tell_gaps(context: &Context, gaps: &[String]) -> Answer {
    gaps.iter().for_each(|gap| context.output.warn(gap));
    if gaps.is_empty() { Answer::YES } else { Answer::COULD_NOT }
}
