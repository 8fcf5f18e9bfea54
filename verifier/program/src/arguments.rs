//! The arguments, the same for `griptrace-verify` and `griptrace verify`.

use std::path::PathBuf;

use clap::{Parser, builder::NonEmptyStringValueParser};
use griptrace_core::{
    date::Date,
    digest::Digest,
    word::{Country, Word},
};

/// Check Griptrace evidence files offline, under a trust file and a policy of your own.
#[derive(Parser, Debug)]
#[command(name = "griptrace-verify", version, after_help = AFTER_HELP, max_term_width = 100)]
pub(crate) struct Program {
    #[command(flatten)]
    pub(crate) args: Args,
}

/// What is to be checked, against what, and for whom.
#[derive(clap::Args, Clone, Debug)]
pub struct Args {
    /// Evidence files, at least one but with --check-fork; of several, a line each and the worst exit code
    #[arg(required_unless_present = "check_fork", value_name = "BUNDLE")]
    pub bundles: Vec<PathBuf>,

    /// Whom you believe: your own trust file, never the exporter's
    #[arg(long, value_name = "FILE")]
    pub trust: PathBuf,

    /// What you ask for: your own policy; needed but with --check-fork
    #[arg(long, value_name = "FILE", required_unless_present = "check_fork")]
    pub policy: Option<PathBuf>,

    /// The question.
    #[command(flatten)]
    pub asked: Asked,

    /// An older bundle or saved checkpoint: has each log only grown since? May be given several times
    #[arg(long, value_name = "FILE")]
    pub against: Vec<PathBuf>,

    /// Where to write what others can check, should the log's key have signed two histories
    #[arg(long, value_name = "FILE", requires = "against")]
    pub fork_evidence: Option<PathBuf>,

    /// Where to write the bundle that the updates make, if it holds together
    #[arg(long, value_name = "FILE", requires = "updates")]
    pub write_updated: Option<PathBuf>,

    /// Check evidence that a log's key signed two histories; needs --trust alone
    #[arg(long, value_name = "FILE", conflicts_with_all = ["bundles", "policy", "against", "updates"])]
    pub check_fork: Option<PathBuf>,

    /// Write one JSON object a line (docs/spec/report.schema.json)
    #[arg(long)]
    pub json: bool,

    /// Say what each finding means and what would clear it, and show the disclosed details
    #[arg(long)]
    pub explain: bool,
}

/// What is asked of one bundle: by whom, for what, and of which model. Every command that judges a bundle takes the same.
#[derive(clap::Args, Clone, Debug, Default)]
#[group(requires = "trust")]
pub struct Asked {
    /// The model as you have it: exactly this folder's files, or one file
    #[arg(long, value_name = "DIR_OR_FILE", conflicts_with = "digest")]
    pub model: Option<PathBuf>,

    /// The BLAKE3 or SHA-256 of the model's one file, where you do not have the file itself
    #[arg(long, value_name = "HEX", value_parser = parse_digest)]
    pub digest: Option<Digest>,

    /// Where you are: a country code such as DE [default: the trust file's]
    #[arg(long, value_name = "CC", value_parser = parse_country)]
    pub destination: Option<Country>,

    /// Who you are, as shipments name you [default: the trust file's]
    #[arg(long, value_name = "NAME", value_parser = NonEmptyStringValueParser::new())]
    pub consignee: Option<String>,

    /// What you use the model for; may be given several times
    #[arg(long = "purpose", value_name = "PURPOSE", value_parser = parse_word)]
    pub purposes: Vec<Word>,

    /// The day that counts as now, such as 2026-05-31; hides no mark [default: today, UTC]
    #[arg(long, value_name = "DATE", value_parser = parse_date)]
    pub at: Option<Date>,

    /// Bring the bundle up to date with this update first; may be given several times, in order
    #[arg(long = "update", value_name = "FILE")]
    pub updates: Vec<PathBuf>,
}

impl Args {
    /// Asks this about one bundle, and does nothing else with it.
    pub fn about(bundle: PathBuf, trust: PathBuf, policy: PathBuf, asked: Asked) -> Self {
        Self {
            bundles: vec![bundle],
            trust,
            policy: Some(policy),
            asked,
            against: Vec::new(),
            fork_evidence: None,
            write_updated: None,
            check_fork: None,
            json: false,
            explain: false,
        }
    }
}

const AFTER_HELP: &str = "\
Exit codes:
  0  the policy is met
  1  checked, and the policy is not met
  2  could not check: usage, a file that cannot be read or is no bundle, a bad trust file or policy

Without --model or --digest, and without a destination, nothing is ever met: the evidence could be
for another product.

Examples:
  # Is this the shipment for us, and is this what shipped?
  griptrace-verify shipment.griptrace --trust trust.toml --policy policy.toml \\
      --model gripper/model --destination DE --consignee \"Maschinenbau Muster GmbH\"

  # Why not?
  griptrace-verify shipment.griptrace --trust trust.toml --policy policy.toml --explain

  # Everything that came this year, for a script
  griptrace-verify incoming/*.griptrace --trust trust.toml --policy policy.toml --json

  # The second shipment: did the log only grow since the first?
  griptrace-verify second.griptrace --against first.griptrace --trust trust.toml --policy policy.toml

  # A year later: what has been withdrawn since?
  griptrace-verify shipment.griptrace --update 2027.update --trust trust.toml --policy policy.toml

  # Did a log's key sign two histories? 0: it did; 1: this does not show it
  griptrace-verify --check-fork evidence.fork --trust trust.toml

Trust file and policy are described in docs/spec/trust.md and docs/spec/policy.md.";

/// Reads 64 hexadecimal digits. Which hash made them need not be said: they are compared with both.
fn parse_digest(text: &str) -> Result<Digest, String> {
    let digits = text.strip_prefix("blake3:").or_else(|| text.strip_prefix("sha256:")).unwrap_or(text);
    Digest::from_hex(digits)
        .ok_or_else(|| "64 hexadecimal digits are expected, after `blake3:`, `sha256:` or nothing".into())
}

fn parse_country(text: &str) -> Result<Country, String> {
    Country::parse(text).ok_or_else(|| "two capital letters are expected (ISO 3166-1 alpha-2)".into())
}

fn parse_word(text: &str) -> Result<Word, String> {
    Word::parse(text).ok_or_else(|| "a word of a-z, 0-9, `.` and `-` is expected".into())
}

fn parse_date(text: &str) -> Result<Date, String> {
    Date::parse(text).ok_or_else(|| "a day such as 2026-05-31 is expected, from 1970 on".into())
}
