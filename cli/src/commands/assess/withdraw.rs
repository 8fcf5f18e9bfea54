//! `griptrace assess withdraw`: an assessor's own withdrawal, as a file.

use std::path::{Path, PathBuf};

use griptrace_core::{
    assessment::{AssessorMark, assessed, status_key_of_payload},
    cose::Signed,
    date::Date,
    key::Signer as _,
    node::{Kind, Mark},
    update::MAGIC,
};
use serde_json::json;

use crate::{
    arguments::date,
    context::{Answer, Context, or_today, write_output},
    error::CommandError,
    keyfile,
    recording::{signed_mark::SignedMark, statement::Statement},
    resolve::resolve_kind,
};

/// Withdraw an assessment with the assessor's own key, as a file that needs no log
///
/// What is written is an update: a buyer takes it with `griptrace-verify BUNDLE --update FILE`, or puts the table that is
/// printed into the trust file. `griptrace mark withdraw NODE --statement FILE` records it in a log (after `--refuse`:
/// `griptrace mark refuse NODE --statement FILE`).
///
/// The assessment covers nothing from then on. A later assessment may cover the data again.
#[derive(Debug, clap::Args)]
pub(crate) struct WithdrawArgs {
    /// The assessment: the statement file that `assess sign` wrote, which needs no store; or a record of it, by its id, or
    /// as `assessment`, the newest one that is not put aside
    pub(crate) assessment: String,
    /// The assessor's key file: the key that signed the assessment
    #[arg(long, value_name = "FILE")]
    pub(crate) key: PathBuf,
    /// Write the word refuse in place of withdraw: it says that the assessor's answer is no now. It counts alike
    #[arg(long)]
    pub(crate) refuse: bool,
    /// When it was withdrawn [default: today]
    #[arg(long, value_parser = date)]
    pub(crate) date: Option<Date>,
    /// The update to write
    #[arg(short, long, value_name = "FILE")]
    pub(crate) output: PathBuf,
}

/// Signs a withdrawal and writes it as an update.
pub(super) fn withdraw(context: &Context, args: &WithdrawArgs) -> Result<Answer, CommandError> {
    let signed = assessment(context, &args.assessment)?;
    let key = keyfile::read(&args.key)?.signer()?;
    let mark = if args.refuse { Mark::Refuse } else { Mark::Withdraw };
    let mark = AssessorMark { key: status_key_of_payload(&signed.payload), mark, date: or_today(args.date) };
    let made = SignedMark::sign(&key, &args.key, &signed, &mark)?;
    let inputs = [Path::new(&args.assessment), &args.key];
    write_output(&args.output, &made.to_update(), ("update", MAGIC), &inputs)?;
    let (file, table) = (args.output.display().to_string(), made.to_table());
    let object = json!({
        "file": file, "mark": mark.mark.word(), "date": mark.date.to_string(), "assessment": mark.key.to_string(),
        "issuer": signed.issuer, "key": key.public_key().id().to_string(), "table": table.join("\n"),
    });
    let mut lines = vec![
        format!("{} on {} by {}", mark.mark, mark.date, signed.issuer),
        format!("wrote {file}; for a trust file, the same is"),
        String::new(),
    ];
    lines.extend(table);
    context.output.either(&object, &lines)?;
    Ok(Answer::YES)
}

/// Returns the signed assessment that `text` means.
fn assessment(context: &Context, text: &str) -> Result<Signed, CommandError> {
    let path = Path::new(text);
    if path.is_file() {
        return Ok(Statement::read_from(path)?.1);
    }
    let workspace = context
        .workspace()
        .map_err(|e| e.while_doing(format!("{text:?} is no file, and there is no store with a record of it")))?;
    let node = workspace.node(&resolve_kind(&workspace, &context.output, text, &[Kind::Assessment])?)?;
    let signed = assessed(node.id, &node.core).ok().and_then(|found| found.signed.clone());
    signed.ok_or_else(|| CommandError::failed(format!("{text:?} is an assessment that no assessor signed")))
}
