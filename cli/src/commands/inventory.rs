//! `griptrace inventory`.

use std::{collections::BTreeMap, path::PathBuf};

use griptrace_core::{
    assessment::assessed,
    date::Date,
    id::NodeId,
    node::{DigestStrength, Kind, Mark, Origin, Persons},
};
use griptrace_store::StoredNode;
use griptrace_verifier::policy::Policy;
use serde_json::json;

use super::policy::load;
use crate::{
    arguments::days,
    clock,
    context::{Answer, Context},
    error::CommandError,
    view,
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

/// One data set.
struct Row {
    id: String,
    name: String,
    origin: String,
    modality: String,
    grade: String,
    country: String,
    assessment: Option<Best>,
    gaps: Vec<&'static str>,
}

/// The assessment that holds longest; a signed one before a stated one.
struct Best {
    scheme: String,
    signed: bool,
    issuer: String,
    valid_to: Option<Date>,
}

pub(crate) fn run(context: &Context, args: &Args) -> Result<Answer, CommandError> {
    let workspace = context.workspace()?;
    let policy = args.policy.as_deref().map(load).transpose()?;
    let ids = workspace.store.of_kind(Kind::Dataset).map_err(|e| e.while_doing("cannot list the data sets"))?;
    workspace.store.prefetch_marks(&ids)?;
    workspace.store.prefetch_assessments(&ids)?;
    let mut rows = Vec::new();
    let mut inherited = Inherited { workspace: &workspace, policy: policy.as_ref(), known: BTreeMap::new() };
    for id in ids {
        let node = workspace.node(&id)?;
        let in_scope = policy.as_ref().is_none_or(|policy| policy.in_scope(&node.core.modality, &node.core.purpose));
        let aside = workspace.put_aside(&id)?;
        if in_scope && aside != Some(Mark::Supersede) {
            rows.push(row(&workspace, &node, &mut inherited, aside)?);
        }
    }
    if let Some(days) = args.expiring {
        let end = clock::today().plus_days(days);
        rows.retain(|row| row.assessment.as_ref().is_some_and(|best| best.valid_to.is_some_and(|to| to <= end)));
    }
    show(context, &rows, args.csv)
}

fn row(
    workspace: &Workspace,
    node: &StoredNode,
    inherited: &mut Inherited<'_>,
    aside: Option<Mark>,
) -> Result<Row, CommandError> {
    let (core, policy) = (&node.core, inherited.policy);
    let assessment = best(workspace, node)?;
    let words =
        |words: &[griptrace_core::word::Word]| words.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ");
    let reclassified = workspace.marks(&node.id)?.iter().rev().find_map(|status| status.core.grade.clone());
    let grade = reclassified.or_else(|| core.grade.clone());
    let source = matches!(core.origin, Some(Origin::Collected | Origin::External));
    let known_grade =
        grade.as_ref().is_some_and(|grade| policy.is_none_or(|policy| policy.grade_rank(grade).is_some()));
    let ended = assessment.as_ref().is_some_and(|best| best.valid_to.is_some_and(|to| to < clock::today()));
    let gaps = [
        (aside.map_or("", view::marked), aside.is_some()),
        ("no grade", source && grade.is_none()),
        ("grade not in the policy", grade.is_some() && !known_grade),
        ("no country", core.country.is_none()),
        ("no modality", core.modality.is_empty()),
        ("no purpose", source && core.purpose.is_empty()),
        ("persons not examined", source && !matches!(core.persons, Some(Persons::NoneFound | Persons::Present))),
        ("licence forbids", core.use_allowed == Some(false)),
        ("licence unknown", source && core.use_allowed.is_none()),
        ("weak digest", core.strength != Some(DigestStrength::Strong)),
        ("making not recorded", !source && core.edges.is_empty()),
        ("no assessment", source && assessment.is_none()),
        ("assessment ended", ended),
    ];
    Ok(Row {
        id: view::short(&node.id),
        name: view::title(node),
        origin: core.origin.map_or_else(String::new, |origin| origin.to_string()),
        modality: words(&core.modality),
        grade: match grade {
            Some(grade) => grade.to_string(),
            None if source => "undetermined".to_owned(),
            None => format!("{} (inherited)", inherited.of(node)?),
        },
        country: core.country.map_or_else(|| "??".to_owned(), |country| country.to_string()),
        assessment,
        gaps: gaps.into_iter().filter_map(|(gap, there)| there.then_some(gap)).collect(),
    })
}

/// What an ancestry says of the grade: undetermined, if any of it is; else the highest, if there is one.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Rank {
    None,
    Is(usize),
    Undetermined,
}

/// A node's own grade, and its parents.
type Seen = (Rank, Vec<NodeId>);

/// The grades that nodes inherit, each node looked at once however many stand on it.
struct Inherited<'a> {
    workspace: &'a Workspace,
    policy: Option<&'a Policy>,
    /// What each node hands down: its own grade and its ancestors'.
    known: BTreeMap<NodeId, Rank>,
}

impl Inherited<'_> {
    /// Returns the highest grade that a node came from, where a policy ranks them.
    fn of(&mut self, node: &StoredNode) -> Result<String, CommandError> {
        let Some(policy) = self.policy else { return Ok("highest".to_owned()) };
        let mut highest = Rank::None;
        for parent in view::parents(&node.core) {
            highest = highest.max(self.handed_down(policy, parent)?);
        }
        let grade = match highest {
            Rank::Is(rank) => policy.grades.get(rank),
            Rank::None | Rank::Undetermined => None,
        };
        Ok(grade.map_or_else(|| "undetermined".to_owned(), ToString::to_string))
    }

    /// Works out a node after its parents; a stack in place of recursion, as in a drawing.
    fn handed_down(&mut self, policy: &Policy, id: NodeId) -> Result<Rank, CommandError> {
        let mut todo: Vec<(NodeId, Option<Seen>)> = vec![(id, None)];
        while let Some((id, seen)) = todo.pop() {
            if self.known.contains_key(&id) {
                continue;
            }
            if let Some((own, parents)) = seen {
                let above = parents.iter().filter_map(|parent| self.known.get(parent)).max();
                self.known.insert(id, own.max(above.copied().unwrap_or(Rank::None)));
                continue;
            }
            let core = self.workspace.node(&id)?.core;
            let source = matches!(core.origin, Some(Origin::Collected | Origin::External));
            let rank = core.grade.as_ref().and_then(|grade| policy.grade_rank(grade));
            let own = match rank {
                Some(rank) => Rank::Is(rank),
                None if source || core.grade.is_some() => Rank::Undetermined,
                None => Rank::None,
            };
            let parents: Vec<NodeId> = view::parents(&core).collect();
            let above: Vec<NodeId> =
                parents.iter().filter(|parent| !self.known.contains_key(parent)).copied().collect();
            todo.push((id, Some((own, parents))));
            todo.extend(above.into_iter().map(|parent| (parent, None)));
        }
        Ok(self.known.get(&id).copied().unwrap_or(Rank::None))
    }
}

fn best(workspace: &Workspace, node: &StoredNode) -> Result<Option<Best>, CommandError> {
    let ids = workspace.store.assessments_of(&node.id).map_err(|e| e.while_doing("cannot look up the assessments"))?;
    let mut found: Option<Best> = None;
    for id in ids {
        let assessment = workspace.node(&id)?;
        let Ok(of) = assessed(id, &assessment.core) else { continue };
        if workspace.put_aside(&id)?.is_some() || of.assessment.outcome == griptrace_core::assessment::Outcome::Refused
        {
            continue;
        }
        let issuer = match &of.signed {
            Some(signed) => signed.issuer.clone(),
            None => crate::workspace::detail(&assessment, "issuer").map_or_else(String::new, |value| value.to_string()),
        };
        let new = Best {
            scheme: of.assessment.scheme.to_string(),
            signed: of.signed.is_some(),
            issuer,
            valid_to: of.assessment.valid_to,
        };
        let rank = |best: &Best| (best.signed, best.valid_to.is_none(), best.valid_to);
        if found.as_ref().is_none_or(|old| rank(&new) > rank(old)) {
            found = Some(new);
        }
    }
    Ok(found)
}

impl Row {
    fn cells(&self) -> [String; 8] {
        let assessment = self.assessment.as_ref().map_or_else(
            || "none".to_owned(),
            |best| {
                let to = best.valid_to.map_or_else(|| "no end".to_owned(), |date| format!("to {date}"));
                let strength = if best.signed { "signed by" } else { "stated, by" };
                format!("{} {strength} {} {to}", best.scheme, best.issuer)
            },
        );
        [
            self.id.clone(),
            self.name.clone(),
            self.origin.clone(),
            self.modality.clone(),
            self.grade.clone(),
            self.country.clone(),
            assessment,
            self.gaps.join("; "),
        ]
    }
}

const HEAD: [&str; 8] = ["id", "name", "origin", "modality", "grade", "country", "assessment", "gaps"];

fn show(context: &Context, rows: &[Row], csv: bool) -> Result<Answer, CommandError> {
    let output = &context.output;
    if output.is_json() {
        for row in rows {
            let assessment = row.assessment.as_ref().map(|best| {
                json!({
                    "scheme": best.scheme, "strength": if best.signed { "signed" } else { "stated" },
                    "issuer": best.issuer, "valid_to": best.valid_to.map(|date| date.to_string()),
                })
            });
            output.object(&json!({
                "id": row.id, "name": row.name, "origin": row.origin, "modality": row.modality, "grade": row.grade,
                "country": row.country, "assessment": assessment, "gaps": row.gaps,
            }))?;
        }
        return Ok(Answer::YES);
    }
    let table: Vec<[String; 8]> =
        core::iter::once(HEAD.map(str::to_owned)).chain(rows.iter().map(Row::cells)).collect();
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
