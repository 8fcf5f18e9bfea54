//! `griptrace policy`.

use std::path::{Path, PathBuf};

use griptrace_verifier::policy::{self, Because, CountryMatch, Match, Policy};
use serde_json::{Value as Json, json};

use crate::{
    context::{Answer, Context, read_config},
    error::CommandError,
    profile::Profile,
};

/// Check policy files, and list disclosure profiles
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Args {
    /// Read a policy and list its rules, each with its source and how that was read
    Check {
        /// The policy file
        file: PathBuf,
    },
    /// List what disclosure profiles show: those that come with the program, or one
    Profiles {
        /// A profile that comes with the program, or a file of one
        #[arg(value_name = "NAME|FILE")]
        profile: Option<String>,
    },
}

pub(crate) fn run(context: &Context, args: &Args) -> Result<Answer, CommandError> {
    match args {
        Args::Check { file } => check(context, file),
        Args::Profiles { profile } => profiles(context, profile.as_deref()),
    }
}

fn profiles(context: &Context, named: Option<&str>) -> Result<Answer, CommandError> {
    let profiles = named.map_or_else(Profile::built_in, |named| Ok(vec![Profile::load(named)?]))?;
    for profile in &profiles {
        let shown = profile.lines();
        let object = json!({
            "profile": profile.name, "about": profile.about,
            "show": shown.iter().map(|(of, fields)| json!({ "of": of, "fields": fields })).collect::<Vec<_>>(),
        });
        let mut lines = vec![format!("{}: {}", profile.name, profile.about)];
        lines.extend(shown.iter().map(|(of, fields)| match fields.as_slice() {
            [] => format!("  {of}: nothing"),
            fields => format!("  {of}: {}", fields.join(", ")),
        }));
        context.output.either(&object, &lines)?;
    }
    Ok(Answer::YES)
}

fn check(context: &Context, file: &Path) -> Result<Answer, CommandError> {
    let policy = load(file)?;
    let head = json!({ "id": policy.id, "version": policy.version, "status": policy.status.as_str(), "judge": policy.judge.as_str() });
    context.output.either(&head, &[format!("{} {} ({})", policy.id, policy.version, policy.status.as_str())])?;
    for (rule, because) in rules(&policy) {
        let object = json!({
            "rule": rule, "source": because.source, "read": because.read.as_str(), "status": because.status.as_str(),
        });
        let source =
            format!("    source  {} (read: {}; {})", because.source, because.read.as_str(), because.status.as_str());
        context.output.either(&object, &[format!("- {rule}"), source])?;
    }
    for (code, severity) in &policy.severity {
        let object: Json = json!({ "severity": { code.as_str(): severity.as_str() } });
        context.output.either(&object, &[format!("- {code} weighs as {severity}")])?;
    }
    Ok(Answer::YES)
}

/// Reads a policy file.
pub(crate) fn load(path: &Path) -> Result<Policy, CommandError> {
    let text = read_config(path)?;
    policy::parse(&path.display().to_string(), &text).map_err(config_error)
}

/// Keeps the hint of a policy's or trust file's error.
pub(crate) fn config_error(error: griptrace_verifier::trust::ConfigError) -> CommandError {
    let text = error.to_string();
    let (hint, error) = (error.hint, CommandError::failed(text));
    match hint {
        Some(hint) => error.with_hint(hint),
        None => error,
    }
}

fn rules(policy: &Policy) -> Vec<(String, &Because)> {
    let mut rules = Vec::new();
    for scope in &policy.scope {
        let rule = format!("in scope: modality {}, purpose {}", matched(&scope.modality), matched(&scope.purpose));
        rules.push((rule, &scope.because));
    }
    for require in &policy.require {
        let crossing = require.crossing.as_ref().map_or_else(String::new, |crossing| {
            format!(" that crosses from {} to {}", countries(&crossing.from), countries(&crossing.to))
        });
        let schemes = if require.any_of.is_empty() {
            "nothing suffices".to_owned()
        } else {
            format!("one of {}", joined(&require.any_of))
        };
        let strength = match require.strength {
            griptrace_verifier::report::Strength::Signed => "signed",
            griptrace_verifier::report::Strength::Stated => "stated",
        };
        let validity = require.validity.map_or_else(String::new, |validity| format!(", valid {validity} at most"));
        rules.push((
            format!("{} data{crossing}: {schemes}, {strength}{validity}", joined(&require.grade)),
            &require.because,
        ));
    }
    for exempt in &policy.exempt {
        rules.push((
            format!("exempt on the basis {}, stated with the role {}", exempt.basis, exempt.role.as_str()),
            &exempt.because,
        ));
    }
    for disclose in &policy.disclose {
        let slots = disclose.slots.iter().filter_map(|slot| griptrace_core::details::slot_name(disclose.kind, *slot));
        let point = disclose.point.as_deref().map_or_else(String::new, |point| format!(" ({point})"));
        let rule =
            format!("to be disclosed of each {}: {}{point}", disclose.kind, slots.collect::<Vec<_>>().join(", "));
        rules.push((rule, &disclose.because));
    }
    if let Some(aggregate) = &policy.aggregate {
        let rule = format!("a statement on the sum from {} sources on", aggregate.min_sources);
        rules.push((rule, &aggregate.because));
    }
    rules
}

fn joined<T: ToString>(items: &[T]) -> String {
    items.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

fn matched(words: &Match) -> String {
    match words {
        Match::Any => "any".to_owned(),
        Match::Only(only) => joined(only),
    }
}

fn countries(of: &CountryMatch) -> String {
    match of {
        CountryMatch::Any => "anywhere".to_owned(),
        CountryMatch::Only(only) => joined(only),
    }
}
