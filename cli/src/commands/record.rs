//! `griptrace record`.

use std::path::{Path, PathBuf};

use serde_json::json;

use crate::{
    context::{Answer, Context},
    error::CommandError,
    recording::{self, build, draft, lineage},
    view::short,
    workspace::{Workspace, name_of_record},
};

/// Record what a lineage file says, all of it in one commit
///
/// A lineage file is TOML: `[[dataset]]`, `[[model]]` and `[[transformation]]` tables. docs/lineage-file.md has every field, with an example.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The lineage file; its relative paths begin at its folder
    #[arg(required_unless_present = "from_draft", conflicts_with = "from_draft")]
    pub(crate) file: Option<PathBuf>,
    /// Write a draft with the nodes' ids and secret seeds, and commit nothing
    #[arg(long, value_name = "OUT", conflicts_with = "from_draft")]
    pub(crate) draft: Option<PathBuf>,
    /// Commit exactly the nodes of a draft
    #[arg(long, value_name = "FILE")]
    pub(crate) from_draft: Option<PathBuf>,
    /// Read every file again, even one that did not change since it was hashed
    #[arg(long, conflicts_with = "from_draft")]
    pub(crate) rehash: bool,
    /// Record anew what was recorded before, though it has something that was erased since
    #[arg(long)]
    pub(crate) despite_erasure: bool,
}

pub(crate) fn run(context: &Context, args: &Args) -> Result<Answer, CommandError> {
    let output = &context.output;
    if let Some(path) = &args.from_draft {
        let records = draft::read(path)?;
        let mut workspace = context.workspace_for_recording()?;
        workspace.despite_erasure = args.despite_erasure;
        let named = records.into_iter().map(|record| {
            let name = name_of_record(&record);
            (record, name)
        });
        let recorded = recording::commit_records(&workspace, output, named.collect())?;
        recording::report(output, &recorded)?;
        return Ok(Answer::YES);
    }
    let Some(file) = &args.file else { return Err(CommandError::failed("no lineage file was named")) };
    let lineage = lineage::read(file)?;
    if let Some(out) = &args.draft {
        draft::refuse_existing(out)?;
        let mut workspace = context.workspace()?;
        (workspace.rehash, workspace.despite_erasure) = (args.rehash, args.despite_erasure);
        return write_draft(context, &workspace, &lineage, out);
    }
    let mut workspace = context.workspace_for_recording()?;
    (workspace.rehash, workspace.despite_erasure) = (args.rehash, args.despite_erasure);
    recording::report(output, &recording::record(&workspace, output, &lineage)?)?;
    Ok(Answer::YES)
}

fn write_draft(
    context: &Context,
    workspace: &Workspace,
    lineage: &lineage::Lineage,
    out: &Path,
) -> Result<Answer, CommandError> {
    let mut records = Vec::new();
    for unit in build::units(workspace, &context.output, lineage)? {
        for node in &unit.nodes {
            let what = if node.already { "already recorded" } else { "draft" };
            let object = json!({
                "id": node.id.to_string(), "kind": node.kind.word(), "name": node.name, "already_recorded": node.already,
            });
            let line = format!("{what:<16}  {:<14}  {}  {}", node.kind.word(), short(&node.id), node.name);
            context.output.either(&object, &[line])?;
        }
        records.extend(unit.records);
    }
    if records.is_empty() {
        context.output.talk("everything was recorded already: no draft was written");
        return Ok(Answer::YES);
    }
    draft::write(out, records)?;
    context.output.talk(format_args!(
        "wrote {}: nothing is committed. Whoever has the draft can open every detail in it; `griptrace record --from-draft` commits it",
        out.display()
    ));
    Ok(Answer::YES)
}
