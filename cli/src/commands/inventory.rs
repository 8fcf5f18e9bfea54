//! `griptrace inventory`.

use std::path::PathBuf;

use griptrace_core::{id::NodeId, node::Kind};
use griptrace_service::inventory::{Inventory, Row, Source};
use griptrace_store::{ForeignNode, StoredNode};
use serde_json::json;

use super::policy::load;
use crate::{
    arguments::days,
    clock,
    context::{Answer, Context},
    error::CommandError,
    foreign, view,
    workspace::Workspace,
};

/// List the data sets in scope, with grade, assessment and gaps
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Take scope and grades from this policy [default: every data set]
    #[arg(long, value_name = "FILE")]
    pub(crate) policy: Option<PathBuf>,
    /// List only those whose assessment has ended or ends within so many days
    #[arg(long, value_name = "60d", value_parser = days)]
    pub(crate) expiring: Option<u32>,
    /// Write comma-separated values
    #[arg(long, conflicts_with = "json")]
    pub(crate) csv: bool,
}

pub(crate) fn run(context: &Context, args: &Args) -> Result<Answer, CommandError> {
    let workspace = context.workspace()?;
    let policy = args.policy.as_deref().map(load).transpose()?;
    let ids = workspace.store.of_kind(Kind::Dataset).map_err(|e| e.while_doing("cannot list the data sets"))?;
    workspace.store.prefetch_marks(&ids)?;
    workspace.store.prefetch_assessments(&ids)?;
    let mut inventory = Inventory::new(&workspace, policy.as_ref(), clock::today());
    let mut rows = Vec::new();
    for id in ids {
        rows.extend(inventory.row(&id)?);
    }
    if let Some(days) = args.expiring {
        let end = clock::today().plus_days(days);
        rows.retain(|row| row.assessment.as_ref().is_some_and(|best| best.valid_to.is_some_and(|to| to <= end)));
    }
    // What ends soon is known of own assessments alone.
    let foreign = if args.expiring.is_some() { Vec::new() } else { workspace.store.foreign_nodes()? };
    show(context, &rows, &foreign, args.csv)
}

impl Source for Workspace {
    type Error = CommandError;

    fn node(&self, id: &NodeId) -> Result<StoredNode, CommandError> {
        Self::node(self, id)
    }

    fn counts(&self, node: &StoredNode) -> bool {
        self.ended_before(node).is_none()
    }

    fn marks(&self, id: &NodeId) -> Result<Vec<StoredNode>, CommandError> {
        Self::marks(self, id)
    }

    fn assessments_of(&self, id: &NodeId) -> Result<Vec<NodeId>, CommandError> {
        self.store.assessments_of(id).map_err(|e| e.while_doing("cannot look up the assessments"))
    }
}

fn cells(row: &Row) -> [String; 8] {
    let core = &row.node.core;
    let assessment = row.assessment.as_ref().map_or_else(
        || "none".to_owned(),
        |best| {
            let to = best.valid_to.map_or_else(|| "no end".to_owned(), |date| format!("to {date}"));
            let strength = if best.signed { "signed by" } else { "stated, by" };
            format!("{} {strength} {} {to}", best.scheme, best.issuer)
        },
    );
    [
        view::short(&row.node.id),
        view::title(&row.node),
        core.origin.map_or_else(String::new, |origin| origin.to_string()),
        core.modality.iter().map(ToString::to_string).collect::<Vec<_>>().join(" "),
        row.grade.clone(),
        core.country.map_or_else(|| "??".to_owned(), |country| country.to_string()),
        assessment,
        row.gaps.join("; "),
    ]
}

const HEAD: [&str; 8] = ["id", "name", "origin", "modality", "grade", "country", "assessment", "gaps"];

/// Another company's node stands in a row of its own: what is to be known of it is in its bundle.
fn foreign_cells(node: &ForeignNode) -> [String; 8] {
    let mut cells = [const { String::new() }; 8];
    let known = [view::short(&node.id), node.name.clone(), format!("{} of {}", node.kind, node.origin)];
    cells.iter_mut().zip(known).for_each(|(cell, text)| *cell = text);
    cells
}

fn show(context: &Context, rows: &[Row], foreign: &[ForeignNode], csv: bool) -> Result<Answer, CommandError> {
    let output = &context.output;
    if output.is_json() {
        for row in rows {
            let assessment = row.assessment.as_ref().map(|best| {
                json!({
                    "scheme": best.scheme, "strength": if best.signed { "signed" } else { "stated" },
                    "issuer": best.issuer, "valid_to": best.valid_to.map(|date| date.to_string()),
                })
            });
            let [id, name, origin, modality, grade, country, ..] = cells(row);
            output.object(&json!({
                "id": id, "name": (!view::is_withheld(&row.node)).then_some(name), "origin": origin, "modality": modality, "grade": grade, "country": country,
                "assessment": assessment, "gaps": row.gaps,
            }))?;
        }
        foreign.iter().try_for_each(|node| output.object(&foreign::object(node)))?;
        return Ok(Answer::YES);
    }
    let rows = rows.iter().map(cells).chain(foreign.iter().map(foreign_cells));
    let table: Vec<[String; 8]> = core::iter::once(HEAD.map(str::to_owned)).chain(rows).collect();
    if csv {
        table.iter().try_for_each(|cells| output.line(cells.each_ref().map(|cell| quoted(cell)).join(",")))?;
        return Ok(Answer::YES);
    }
    let widths: Vec<usize> = (0..HEAD.len())
        .map(|at| table.iter().filter_map(|cells| cells.get(at)).map(|c| c.chars().count()).max().unwrap_or(0))
        .collect();
    for cells in &table {
        let padded = cells.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}"));
        output.line(padded.collect::<Vec<_>>().join("  ").trim_end())?;
    }
    Ok(Answer::YES)
}

/// Writes a cell of comma-separated values; what a spreadsheet would take for a formula stays text.
fn quoted(cell: &str) -> String {
    let guard = if cell.starts_with(['=', '+', '-', '@']) { "'" } else { "" };
    if guard.is_empty() && !cell.contains([',', '"', '\n', '\r']) {
        return cell.to_owned();
    }
    format!("\"{guard}{}\"", cell.replace('"', "\"\""))
}
