//! `griptrace assess withdraw`: an assessor's own withdrawal, as a file.

use std::path::PathBuf;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use griptrace_core::{
    assessment::{AssessorMark, status_key_of_payload},
    cbor::encode,
    cose::{MARK_TYPE, sign},
    date::Date,
    key::Signer as _,
    node::Mark,
    update::{MAGIC, Update},
};
use serde_json::json;

use crate::{
    arguments::date,
    context::{Answer, Context, or_today, write_output},
    error::CommandError,
    keyfile,
    recording::statement::Statement,
};

/// What is withdrawn, and by whose key
#[derive(Debug, clap::Args)]
pub(crate) struct WithdrawArgs {
    /// The statement file that `assess sign` wrote
    pub(crate) file: PathBuf,
    /// The assessor's key file: the key that signed the assessment
    #[arg(long, value_name = "FILE")]
    pub(crate) key: PathBuf,
    /// When it was withdrawn [default: today]
    #[arg(long, value_parser = date)]
    pub(crate) date: Option<Date>,
    /// The update to write
    #[arg(short, long, value_name = "FILE")]
    pub(crate) output: PathBuf,
}

/// Signs a withdrawal and writes it as an update.
pub(super) fn withdraw(context: &Context, args: &WithdrawArgs) -> Result<Answer, CommandError> {
    let (_, assessed, _) = Statement::read_from(&args.file)?;
    let key = keyfile::read(&args.key)?.signer()?;
    if key.public_key().id() != assessed.key {
        let (key, file) = (args.key.display(), args.file.display());
        return Err(CommandError::failed(format!("{key} is not the key that signed {file}")));
    }
    let mark =
        AssessorMark { key: status_key_of_payload(&assessed.payload), mark: Mark::Withdraw, date: or_today(args.date) };
    let signed = sign(&key, MARK_TYPE, &assessed.issuer, &assessed.home, encode(&mark))
        .map_err(|e| CommandError::because("cannot sign the withdrawal", e))?;
    let update = Update { patch: None, withdrawals: vec![&signed] }.to_bytes();
    write_output(&args.output, &update, ("update", MAGIC), &[&args.file, &args.key])?;
    let (file, statement) = (args.output.display().to_string(), STANDARD.encode(&signed));
    let object = json!({ "file": file, "statement": statement, "date": mark.date.to_string() });
    let lines = [
        format!("withdrawn on {} by {}", mark.date, assessed.issuer),
        format!("wrote {file}; for a trust file, the same is"),
        String::new(),
        "[[withdrawal]]".to_owned(),
        format!("statement = \"{statement}\""),
    ];
    context.output.either(&object, &lines)?;
    Ok(Answer::YES)
}
