//! `griptrace label`.

use std::path::PathBuf;

use griptrace_core::bundle::{Bundle, BundleError};

use crate::{
    context::{Answer, Context, read_bundle, write_output},
    dossier::{
        Language,
        label::{Form, Label},
    },
    error::{CommandError, ErrorKind},
};

/// Write a label that names a bundle, for the shipping papers
///
/// A QR code and text with the digest of the bundle and the id of its root. It proves nothing by itself: it names the file
/// to ask for. Without -o the text goes to standard output. Of a file that is damaged no label is written, and the exit
/// code is 1.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The bundle
    pub(crate) bundle: PathBuf,
    /// Where to write it: a name that ends in .html, .svg or .txt says in which form
    #[arg(short, long, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,
    /// The language of a page, and of what is said of a pre-check
    #[arg(long, value_enum, default_value_t)]
    pub(crate) language: Language,
}

pub(crate) fn run(context: &Context, args: &Args) -> Result<Answer, CommandError> {
    let bytes = read_bundle(&args.bundle)?;
    let label = read(args, &bytes)?;
    if let Some(path) = &args.output {
        let ending = path.extension().and_then(|ending| ending.to_str());
        let form = match ending {
            Some("html") => Form::Html,
            Some("svg") => Form::Svg,
            Some("txt") => Form::Text,
            _ => {
                let text = format!("{} does not say in which form the label is to be", path.display());
                return Err(CommandError::failed(text).with_hint("end the name in .html, .svg or .txt"));
            }
        };
        let text = label.write(form, args.language);
        write_output(path, text.as_bytes(), ("label of this form", form.magic().as_bytes()), &[&args.bundle])?;
    }
    match &args.output {
        _ if context.output.is_json() => context.output.object(&label.to_json())?,
        Some(path) => context.output.line(format_args!("wrote {}", path.display()))?,
        None => context.output.raw(label.write(Form::Text, args.language).as_bytes())?,
    }
    Ok(Answer::YES)
}

/// Reads what the label names. Damage is the answer no: the file is an evidence file, and not one to be named on papers.
fn read(args: &Args, bytes: &[u8]) -> Result<Label, CommandError> {
    let name = args.bundle.display();
    let damaged = |error: CommandError| {
        let error = error.while_doing(format!("no label is written: {name} is damaged or was tampered with"));
        CommandError { kind: ErrorKind::Refused, ..error }
    };
    match Bundle::from_bytes(bytes) {
        Ok(bundle) => Label::read(bytes, &bundle).map_err(damaged),
        Err(error @ (BundleError::NotABundle | BundleError::Version)) => {
            Err(CommandError::because(format!("cannot read {name}"), error))
        }
        Err(error) => Err(damaged(error.into())),
    }
}
