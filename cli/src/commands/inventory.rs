//! `griptrace inventory`.

use std::path::{Path, PathBuf};

use griptrace_core::{
    assessment::Destinations,
    id::NodeId,
    key_history::KeyHistory,
    node::Kind,
    word::{Country, Word},
};
use griptrace_service::inventory::{Asked, Best, Covers, Inventory, Row, Seen, Source};
use griptrace_store::{ForeignNode, StoredNode};
use griptrace_verifier::trust::Trust;
use serde_json::{Value as Json, json};

use super::{
    check::{load_trust, own_trust},
    policy::load,
};
use crate::{
    arguments::{country, days, word},
    clock,
    context::{Answer, Context},
    error::CommandError,
    foreign,
    log_source::Log,
    view,
    workspace::Workspace,
};

/// List the data sets in scope, with grade, assessment and gaps
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Take scope and grades from this policy [default: every data set]
    #[arg(long, value_name = "FILE")]
    pub(crate) policy: Option<PathBuf>,
    /// Judge with this trust file [default: the own keys, and whom recorded statements and adopted bundles brought]
    #[arg(long, value_name = "FILE", requires = "policy")]
    pub(crate) trust: Option<PathBuf>,
    /// Where the data goes [default: not known; an assessment is told with where it reaches]
    #[arg(long, value_parser = country, requires = "policy")]
    pub(crate) destination: Option<Country>,
    /// What it is for, beside what each data set says (can be repeated)
    #[arg(long, value_parser = word, requires = "policy")]
    pub(crate) purpose: Vec<Word>,
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
    let trust = if policy.is_some() { believed(&workspace, args.trust.as_deref())? } else { None };
    let asked = Asked {
        policy: policy.as_ref(),
        trust: trust.as_ref(),
        today: clock::today(),
        destination: args.destination,
        purposes: &args.purpose,
    };
    let mut seen = Seen::default();
    let mut inventory = Inventory::new(&workspace, &asked, &mut seen);
    let mut rows = Vec::new();
    for id in ids {
        rows.extend(inventory.row(&id)?);
    }
    let outside = inventory.outside();
    if let Some(days) = args.expiring {
        let end = clock::today().plus_days(days);
        rows.retain(|row| row.ends_by(end));
    }
    // What ends soon is known of own assessments alone.
    let foreign = if args.expiring.is_some() { Vec::new() } else { workspace.store.foreign_nodes()? };
    show(context, &rows, &foreign, args.csv)?;
    if policy.is_some() && !context.output.is_json() {
        remark(context, args, outside);
    }
    Ok(Answer::YES)
}

/// Returns whom to believe; nobody where there is no own party, as for who only asks a server.
fn believed(workspace: &Workspace, file: Option<&Path>) -> Result<Option<Trust>, CommandError> {
    match file {
        Some(path) => load_trust(path).map(Some),
        None if workspace.config.committer.is_empty() => Ok(None),
        None => own_trust(workspace).map(Some),
    }
}

/// Says what was not asked.
fn remark(context: &Context, args: &Args, outside: u64) {
    let output = &context.output;
    if outside > 0 {
        output
            .talk(format_args!("out of the policy's scope, by what they say of themselves, and not listed: {outside}"));
    }
    if args.destination.is_none() {
        output.talk("where the data goes is not known here: an assessment \"for DE\" covers nothing that goes elsewhere (--destination asks)");
    }
    output.talk("each data set is judged by itself: what is made of it may ask for more, and `griptrace check` tells of a model or shipment");
}

impl Source for Workspace {
    type Error = CommandError;

    fn node(&self, id: &NodeId) -> Result<StoredNode, CommandError> {
        Self::node(self, id)
    }

    fn prefetch(&self, ids: &[NodeId]) -> Result<(), CommandError> {
        self.store.prefetch_marks(ids)
    }

    fn marks(&self, id: &NodeId) -> Result<Vec<StoredNode>, CommandError> {
        Self::marks(self, id)
    }

    fn assessments_of(&self, id: &NodeId) -> Result<Vec<NodeId>, CommandError> {
        self.store.assessments_of(id).map_err(|e| e.while_doing("cannot look up the assessments"))
    }

    fn origin(&self) -> String {
        self.store.genesis().origin.clone()
    }

    fn history(&self) -> KeyHistory {
        match &self.store {
            Log::Local(store) => store.key_history(),
            // Clients of a server are not told of changes.
            Log::Remote(remote) => KeyHistory::new(remote.genesis()),
        }
    }
}

/// Says whose an assessment is, until when, and how far it reaches.
fn assessed(best: &Best) -> String {
    let strength = if best.signed { "signed" } else { "stated" };
    let by = if best.issuer.is_empty() { String::new() } else { format!(" by {}", best.issuer) };
    let to = best.valid_to.map_or_else(|| "no end".to_owned(), |date| format!("to {date}"));
    let own = best.own_valid_to.map_or_else(|| "none".to_owned(), |date| date.to_string());
    let capped =
        if best.valid_to == best.own_valid_to { String::new() } else { format!(" by the policy, its own end {own}") };
    let reach = match (&best.covers, &best.destinations) {
        (Covers::No(..), _) => ", does not cover".to_owned(),
        (Covers::ByDestination, Destinations::Only(only)) => {
            format!(", for {}", only.iter().map(ToString::to_string).collect::<Vec<_>>().join(" "))
        }
        _ => String::new(),
    };
    format!("{} {strength}{by} {to}{capped}{reach}", best.scheme)
}

fn cells(row: &Row) -> [String; 8] {
    let core = &row.node.core;
    [
        view::short(&row.node.id),
        view::title(&row.node),
        core.origin.map_or_else(String::new, |origin| origin.to_string()),
        core.modality.iter().map(ToString::to_string).collect::<Vec<_>>().join(" "),
        row.grade.clone(),
        core.country.map_or_else(|| "??".to_owned(), |country| country.to_string()),
        row.assessment.as_ref().map_or_else(|| "none".to_owned(), assessed),
        row.gaps.join("; "),
    ]
}

/// Returns an assessment as JSON. `covers` is null where no policy asked, and where that depends on the destination.
fn assessment_object(best: &Best) -> Json {
    let (covers, why) = match &best.covers {
        Covers::Unasked | Covers::ByDestination => (None, None),
        Covers::Yes => (Some(true), None),
        Covers::No(_, why) => (Some(false), Some(why)),
    };
    let destinations = match &best.destinations {
        Destinations::Anywhere => None,
        Destinations::Only(only) => Some(only.iter().map(ToString::to_string).collect::<Vec<_>>()),
    };
    json!({
        "scheme": best.scheme, "strength": if best.signed { "signed" } else { "stated" },
        "issuer": best.issuer, "valid_to": best.valid_to.map(|date| date.to_string()),
        "id": best.id.to_string(), "own_valid_to": best.own_valid_to.map(|date| date.to_string()),
        "destinations": destinations, "covers": covers, "why": why,
    })
}

const HEAD: [&str; 8] = ["id", "name", "origin", "modality", "grade", "country", "assessment", "gaps"];

/// Another company's node stands in a row of its own: what is to be known of it is in its bundle.
fn foreign_cells(node: &ForeignNode) -> [String; 8] {
    let mut cells = [const { String::new() }; 8];
    let known = [view::short(&node.id), node.name.clone(), format!("{} of {}", node.kind, node.origin)];
    cells.iter_mut().zip(known).for_each(|(cell, text)| *cell = text);
    cells
}

fn show(context: &Context, rows: &[Row], foreign: &[ForeignNode], csv: bool) -> Result<(), CommandError> {
    let output = &context.output;
    if output.is_json() {
        for row in rows {
            let assessment = row.assessment.as_ref().map(assessment_object);
            let [id, name, origin, modality, grade, country, ..] = cells(row);
            output.object(&json!({
                "id": id, "name": (!view::is_withheld(&row.node)).then_some(name), "origin": origin, "modality": modality, "grade": grade, "country": country,
                "assessment": assessment, "gaps": row.gaps,
            }))?;
        }
        foreign.iter().try_for_each(|node| output.object(&foreign::object(node)))?;
        return Ok(());
    }
    let rows = rows.iter().map(cells).chain(foreign.iter().map(foreign_cells));
    let table: Vec<[String; 8]> = core::iter::once(HEAD.map(str::to_owned)).chain(rows).collect();
    if csv {
        table.iter().try_for_each(|cells| output.line(cells.each_ref().map(|cell| quoted(cell)).join(",")))?;
        return Ok(());
    }
    let widths: Vec<usize> = (0..HEAD.len())
        .map(|at| table.iter().filter_map(|cells| cells.get(at)).map(|c| c.chars().count()).max().unwrap_or(0))
        .collect();
    for cells in &table {
        let padded = cells.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}"));
        output.line(padded.collect::<Vec<_>>().join("  ").trim_end())?;
    }
    Ok(())
}

/// Writes a cell of comma-separated values; what a spreadsheet would take for a formula stays text.
fn quoted(cell: &str) -> String {
    let guard = if cell.starts_with(['=', '+', '-', '@']) { "'" } else { "" };
    if guard.is_empty() && !cell.contains([',', '"', '\n', '\r']) {
        return cell.to_owned();
    }
    format!("\"{guard}{}\"", cell.replace('"', "\"\""))
}
