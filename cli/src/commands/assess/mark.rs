//! `griptrace assess mark`.

use std::path::PathBuf;

use griptrace_core::{
    assessment::{AssessorMark, status_key_of_payload},
    date::Date,
    key::Signer as _,
    node::Mark,
};
use serde_json::json;

use crate::{
    arguments::date,
    context::{Answer, Context, or_today},
    error::CommandError,
    keyfile,
    recording::{signed_mark::SignedMark, statement::Statement},
};

/// Sign a mark on an assessment with the assessor's own key: withdraw or refuse; needs no store
///
/// The file that is written can be recorded (`griptrace mark withdraw NODE --statement FILE`), or appended to a buyer's
/// trust file, where it counts whether or not a log has it.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// What the mark says: withdraw or refuse
    #[arg(value_parser = mark)]
    mark: Mark,
    /// The statement file of the assessment, as `assess sign` wrote it
    statement: PathBuf,
    /// The assessor's key file: the key that signed the assessment
    #[arg(long, value_name = "FILE")]
    key: PathBuf,
    /// When it was made [default: today]
    #[arg(long, value_parser = date)]
    date: Option<Date>,
    /// The file to write
    #[arg(short, long, value_name = "FILE")]
    output: PathBuf,
}

fn mark(text: &str) -> Result<Mark, String> {
    let known = Mark::from_word(text).filter(|mark| matches!(mark, Mark::Withdraw | Mark::Refuse));
    known.ok_or_else(|| "an assessor's mark is withdraw or refuse".to_owned())
}

/// Signs a mark and writes its file.
pub(crate) fn run(context: &Context, args: &Args) -> Result<Answer, CommandError> {
    let (_, assessment, _) = Statement::read_from(&args.statement)?;
    let key = keyfile::read(&args.key)?.signer()?;
    let of = status_key_of_payload(&assessment.payload);
    let mark = AssessorMark { key: of, mark: args.mark, date: or_today(args.date) };
    let signed = SignedMark::sign(&key, &args.key, &assessment, &mark)?;
    signed.write_to(&args.output, &[&args.statement, &args.key])?;
    let object = json!({
        "file": args.output.display().to_string(), "mark": mark.mark.word(), "date": mark.date.to_string(),
        "assessment": of.to_string(), "issuer": assessment.issuer, "key": key.public_key().id().to_string(),
    });
    let lines = [
        format!("signed by     {}", assessment.issuer),
        format!("mark          {} of {}", mark.mark, mark.date),
        format!("assessment    {of}"),
        format!("written to    {}", args.output.display()),
    ];
    context.output.either(&object, &lines)?;
    Ok(Answer::YES)
}
