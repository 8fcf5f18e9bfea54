//! `griptrace show`.

use griptrace_core::{
    assessment::assessed,
    node::{Kind, Mark, Role},
};
use griptrace_store::{ForeignNode, StoredNode, record::ManifestRecord};
use serde_json::{Map, Value as Json, json};

use crate::{
    context::{Answer, Context},
    error::CommandError,
    foreign,
    resolve::resolve,
    view::{self, headline, json_value, short},
    workspace::{Workspace, detail},
};

/// Show one node
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The node: an id, a name, or a file; a kind alone, such as `assessment`, means the newest of it that is not put aside
    pub(crate) node: String,
    /// List the files of its manifest too
    #[arg(long)]
    pub(crate) files: bool,
}

pub(crate) fn run(context: &Context, args: &Args) -> Result<Answer, CommandError> {
    let workspace = context.workspace()?;
    if let Some(node) = foreign::find(&workspace, &args.node, foreign::LOOKED_AT)? {
        return show_foreign(context, &workspace, &node);
    }
    let node = workspace.node(&resolve(&workspace, &context.output, &args.node)?)?;
    if context.output.is_json() {
        context.output.object(&object(&workspace, &node, args.files)?)?;
        return Ok(Answer::YES);
    }
    lines(&workspace, &node, args.files)?.iter().try_for_each(|line| context.output.line(line))?;
    Ok(Answer::YES)
}

/// Shows another company's node: what it is called, and which adopted bundles are the evidence for it.
fn show_foreign(context: &Context, workspace: &Workspace, node: &ForeignNode) -> Result<Answer, CommandError> {
    let mut object = foreign::object(node);
    let mut lines = vec![format!("{} {}", node.kind, node.id), format!("  {:<18} {}", "name", node.name)];
    lines.push(format!("  {:<18} {}, another company's", "log", node.origin));
    let mut bundles = Vec::new();
    for adopted in workspace.store.adopted()? {
        let Some(log) = adopted.logs.iter().find(|log| log.nodes.contains(&node.id)) else { continue };
        lines.push(format!("  {:<18} {}, up to entry {} of its log", "bundle", adopted.digest, log.size));
        bundles.push(json!({ "digest": adopted.digest.to_string(), "size": log.size }));
    }
    if let Some(map) = object.as_object_mut() {
        map.insert("bundles".to_owned(), Json::Array(bundles));
    }
    context.output.either(&object, &lines)?;
    Ok(Answer::YES)
}

/// Returns a node as JSON.
pub(crate) fn object(workspace: &Workspace, node: &StoredNode, files: bool) -> Result<Json, CommandError> {
    let mut object = view::node_json(node);
    let details: Map<String, Json> = view::details(node).iter().map(|(k, v)| (k.clone(), json_value(v))).collect();
    let marks: Vec<Json> = workspace.marks(&node.id)?.iter().map(view::node_json).collect();
    let mut assessments_json = Vec::new();
    for assessment in assessments(workspace, node)? {
        let mut object = view::node_json(&assessment);
        if let Some(map) = object.as_object_mut() {
            let mark = workspace.put_aside(&assessment.id)?;
            map.insert("put_aside".to_owned(), json!(mark.map(Mark::word)));
        }
        assessments_json.push(object);
    }
    let took = took(workspace, node)?;
    if let Some(map) = object.as_object_mut() {
        if let Some((fields, files)) = took {
            map.insert("took".to_owned(), json!({ "fields": fields, "files": files }));
        }
        map.insert("details".to_owned(), Json::Object(details));
        map.insert("key_ended_at".to_owned(), json!(workspace.ended_before(node)));
        map.insert("marks".to_owned(), Json::Array(marks));
        map.insert("assessments".to_owned(), Json::Array(assessments_json));
        if files {
            let records = node.record.manifest.iter().flat_map(|manifest| &manifest.files);
            let files = records.map(|file| {
                json!({
                    "path": String::from_utf8_lossy(&file.path), "size": file.size,
                    "blake3": file.blake3.to_string(), "sha256": file.sha256.map(|d| d.to_string()),
                })
            });
            map.insert("files".to_owned(), Json::Array(files.collect()));
        }
    }
    Ok(object)
}

fn assessments(workspace: &Workspace, node: &StoredNode) -> Result<Vec<StoredNode>, CommandError> {
    let ids = workspace.store.assessments_of(&node.id).map_err(|e| e.while_doing("cannot look up the assessments"))?;
    ids.iter().map(|id| workspace.node(id)).collect()
}

/// Returns what an Erasure took: fields by the names that they have in what it erased, and whether files.
fn took(workspace: &Workspace, node: &StoredNode) -> Result<Option<(Vec<String>, bool)>, CommandError> {
    let Some(target) = node.core.edges_of(Role::Erases).next() else { return Ok(None) };
    let kind = workspace.node(&target.to)?.core.kind;
    let named = |slot: &u8| view::field_name(kind, *slot);
    Ok(Some((node.core.erased_slots.iter().map(named).collect(), node.core.erased_files.is_some())))
}

/// Returns what was erased of a node, and by which Erasures.
fn erased(workspace: &Workspace, node: &StoredNode) -> Result<Vec<(String, String)>, CommandError> {
    let (gone, files) = (node.record.secret.erased(), node.record.manifest.as_ref().map_or(0, ManifestRecord::erased));
    if gone.is_empty() && files == 0 {
        return Ok(Vec::new());
    }
    let erasures = workspace.store.erasures_of(&node.id)?;
    let erasures = erasures.iter().map(|id| workspace.node(id)).collect::<Result<Vec<_>, _>>()?;
    let by = |erasure: &StoredNode| {
        let date = erasure.core.date.map_or_else(String::new, |date| format!(" on {date}"));
        format!("erased{date} ({})", short(&erasure.id))
    };
    let of_slot = |slot: u8| {
        let found = erasures.iter().rev().find(|erasure| erasure.core.erased_slots.contains(&slot));
        found.map_or_else(|| "erased".to_owned(), by)
    };
    let mut lines: Vec<(String, String)> =
        view::erased(node).into_iter().zip(gone).map(|(name, slot)| (name, of_slot(slot))).collect();
    if files > 0 {
        let by: Vec<String> = erasures.iter().filter(|erasure| erasure.core.erased_files.is_some()).map(by).collect();
        // A server tells of no Erasure.
        let by = if by.is_empty() { "erased".to_owned() } else { by.join(", ") };
        lines.push(("files".to_owned(), format!("{files} {by}")));
    }
    Ok(lines)
}

/// Returns a node in lines.
pub(crate) fn lines(workspace: &Workspace, node: &StoredNode, files: bool) -> Result<Vec<String>, CommandError> {
    let mut lines = vec![format!("{} {}", node.core.kind, node.id)];
    let field = |name: &str, value: &str| format!("  {name:<18} {value}");
    lines.extend(view::core_fields(&node.core).iter().map(|(name, value)| field(name, value)));
    lines.extend(view::details(node).iter().map(|(name, value)| field(name, &value.to_string())));
    if let Some((fields, files)) = took(workspace, node)? {
        let files = files.then(|| "files".to_owned());
        lines.push(field("took", &fields.into_iter().chain(files).collect::<Vec<_>>().join(", ")));
    }
    lines.extend(erased(workspace, node)?.iter().map(|(name, by)| field(name, by)));
    if workspace.store.is_withheld(&node.id) {
        lines.push("  details withheld by the server".to_owned());
    }
    let known = workspace.store.foreign_nodes()?;
    for edge in &node.core.edges {
        let to = match foreign::named(&known, edge) {
            Some(named) => named,
            None => headline(&workspace.node(&edge.to)?),
        };
        lines.push(field(edge.role.word(), &to));
    }
    if node.core.kind == Kind::Assessment {
        let assessed =
            assessed(node.id, &node.core).map_err(|e| CommandError::because("the assessment is malformed", e))?;
        lines.push(field(
            "strength",
            if assessed.signed.is_some() { "signed" } else { "stated, signed by no assessor" },
        ));
        lines.extend(
            view::assessment_lines(&assessed.assessment)
                .iter()
                .map(|line| format!("  {}", line.replacen("  ", "       ", 1))),
        );
        for (subject, ..) in node.record.subjects.iter().flat_map(|subjects| &subjects.openings) {
            lines.push(field("subject", &headline(&workspace.node(subject)?)));
        }
    }
    for status in workspace.marks(&node.id)? {
        lines.push(field("marked", &headline(&status)));
        lines.extend(detail(&status, "reason").map(|reason| field("  reason", &reason.to_string())));
        for edge in status.core.edges_of(Role::Successor) {
            lines.push(field("  successor", &headline(&workspace.node(&edge.to)?)));
        }
    }
    for assessment in assessments(workspace, node)? {
        let void = workspace.why_aside(&assessment)?.map_or_else(String::new, |why| format!(", which {why}"));
        lines.push(field("assessed", &format!("{}{void}", headline(&assessment))));
    }
    let commit =
        format!("leaf {} by {} (key {}) on {}", node.index, node.issuer, node.committer, view::time(node.time));
    lines.push(field("committed", &commit));
    if let Some(since) = workspace.ended_before(node) {
        lines.push(field("counts", &format!("for nobody: the key does not count from leaf {since} on")));
    }
    if files {
        for file in node.record.manifest.iter().flat_map(|manifest| &manifest.files) {
            let path = String::from_utf8_lossy(&file.path).replace('\n', "\\n");
            lines.push(format!("  file blake3:{} {:>12} {path}", file.blake3, file.size));
        }
    }
    Ok(lines)
}
