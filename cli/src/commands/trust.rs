//! `griptrace trust`.

use core::fmt::Write as _;
use std::{collections::BTreeSet, path::PathBuf};

use griptrace_core::{bundle::Bundle, date::Date, id::KeyId, node::Kind};
use serde_json::json;

use super::inspect::{Keys, keys_of};
use crate::{
    context::{Answer, Context, read_bundle, write_file},
    error::CommandError,
    keyfile::fingerprint,
    workspace::Workspace,
};

/// Write a trust file
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Args {
    /// Write a trust file: for the own store, or a start for that of a buyer
    Init {
        /// Where to write it [default: standard output]
        #[arg(short, long, value_name = "FILE")]
        output: Option<PathBuf>,
        /// Take the keys that this bundle names, each of them still to be confirmed
        #[arg(long, value_name = "BUNDLE")]
        from_bundle: Option<PathBuf>,
    },
}

pub(crate) fn run(context: &Context, args: &Args) -> Result<Answer, CommandError> {
    let Args::Init { output, from_bundle } = args;
    let text = match from_bundle {
        Some(path) => {
            let bundle = Bundle::from_bytes(&read_bundle(path)?)
                .map_err(|e| CommandError::because(format!("cannot read {}", path.display()), e))?;
            from_keys(&keys_of(&bundle)?)
        }
        None => own(&context.workspace()?, true)?,
    };
    match output {
        Some(path) if path.exists() => {
            return Err(CommandError::failed(format!("{} is there already", path.display()))
                .with_hint("a trust file is never replaced; choose another name or move the old file away"));
        }
        Some(path) => {
            write_file(path, text.as_bytes())?;
            let object = json!({ "file": path.display().to_string() });
            context.output.either(&object, &[format!("wrote {}", path.display())])?;
            context.output.talk("confirm every key by phone or in person before you rely on it");
        }
        None if context.output.is_json() => context.output.object(&json!({ "trust": text }))?,
        None => context.output.raw(text.as_bytes())?,
    }
    Ok(Answer::YES)
}

/// Writes text as a TOML string on one line: it may stand in a comment, which it must not leave.
fn quoted(text: &str) -> String {
    let mut line = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => line.extend(['\\', c]),
            c if c.is_control() || matches!(c, '\u{2028}' | '\u{2029}') => {
                let _ = write!(line, "\\u{:04X}", u32::from(c));
            }
            c => line.push(c),
        }
    }
    line.push('"');
    line
}

/// Returns a trust file for the own store; assessors' keys commented out where `confirm` is wanted.
pub(crate) fn own(workspace: &Workspace, confirm: bool) -> Result<String, CommandError> {
    let genesis = workspace.store.genesis();
    let (origin, from) = (quoted(&genesis.origin), Date::from_unix(genesis.time));
    let mut text =
        String::from("# Whom this file believes. Each key is to be confirmed by another way than the one it came.\n\n");
    let log = workspace.log_vkey()?;
    let committer = workspace.committer()?;
    let _ = write!(text, "[[log]]\norigin = {origin}\nvkey = {}\n{}\n", quoted(&log), revokers(&genesis.revokers, ""));
    let _ = writeln!(text, "# fingerprint {}", fingerprint(&committer.id()));
    let _ = write!(
        text,
        "[[committer]]\nname = {}\nkey = \"{committer}\"\nlog = {origin}\nfrom = {from}\nroles = [\"commit\", \"grade\", \"ship\"]\n\n",
        quoted(&workspace.config.issuer)
    );
    let mut known = BTreeSet::new();
    for assessor in &workspace.config.assessor {
        let Ok(key) = griptrace_core::key::PublicKey::parse(&assessor.key) else { continue };
        known.insert(key.id());
        let lead = if confirm { "# " } else { "" };
        if confirm {
            let _ = writeln!(text, "# CONFIRM BY PHONE, then take the `# ` away: {}", fingerprint(&key.id()));
        }
        let schemes: Vec<String> = assessor.schemes.iter().map(|scheme| quoted(scheme)).collect();
        let _ = write!(
            text,
            "{lead}[[assessor]]\n{lead}name = {}\n{lead}key = \"{key}\"\n{lead}schemes = [{}]\n\n",
            quoted(&assessor.name),
            schemes.join(", ")
        );
    }
    for (key, issuer, scheme) in signed_by(workspace)? {
        if known.insert(key) {
            assessor_placeholder(&mut text, &key, &issuer, &scheme);
        }
    }
    Ok(text)
}

/// Returns the line that lists a log's revokers, if it has any, behind a lead.
fn revokers(keys: &[KeyId], lead: &str) -> String {
    if keys.is_empty() {
        return String::new();
    }
    let listed: Vec<String> = keys.iter().map(|key| format!("\"{key}\"")).collect();
    format!("{lead}revokers = [{}]\n", listed.join(", "))
}

/// Returns the key id, issuer and scheme of every signed assessment in the store.
fn signed_by(workspace: &Workspace) -> Result<Vec<(KeyId, String, String)>, CommandError> {
    let ids = workspace.store.of_kind(Kind::Assessment).map_err(|e| e.while_doing("cannot list the assessments"))?;
    workspace.store.prefetch(&ids)?;
    let mut found = Vec::new();
    for id in ids {
        let node = workspace.node(&id)?;
        let Ok(of) = griptrace_core::assessment::assessed(id, &node.core) else { continue };
        if let Some(signed) = of.signed {
            found.push((signed.key, signed.issuer, of.assessment.scheme.to_string()));
        }
    }
    Ok(found)
}

fn assessor_placeholder(text: &mut String, key: &KeyId, issuer: &str, scheme: &str) {
    let _ = write!(
        text,
        "# CONFIRM BY PHONE: ask the assessor for the public key; its key id must be\n#   {}\n# [[assessor]]\n# name = {}\n# key = \"ed25519:...\"\n# schemes = [{}]\n\n",
        fingerprint(key),
        quoted(issuer),
        quoted(scheme)
    );
}

/// Returns the start of a buyer's trust file: everything that a bundle only claims is commented out.
fn from_keys(keys: &Keys) -> String {
    let mut text = String::from(
        "# A start for a trust file, made from what a bundle says of itself. A bundle can say anything:\n\
         # confirm each key with its owner, by phone or in person, and only then take the `# ` away.\n\
         # `griptrace key show KEY` shows the key id of a public key that somebody gave you.\n\n\
         # max_age = \"30d\"\n# expect = { destination = \"DE\", consignee = \"...\" }\n\n",
    );
    for log in &keys.logs {
        let (origin, vkey) = (quoted(&log.origin), quoted(&log.vkey));
        let fingerprint = &log.fingerprint;
        let _ = write!(
            text,
            "# CONFIRM BY PHONE: the log's key; its key id must be\n#   {fingerprint}\n# [[log]]\n# origin = {origin}\n# vkey = {vkey}\n\n"
        );
    }
    for committer in &keys.committers {
        let _ = write!(
            text,
            "# CONFIRM BY PHONE: ask the committer for the public key; its key id must be\n#   {}\n# [[committer]]\n# name = {}\n# key = \"ed25519:...\"\n# log = {}\n# roles = [\"commit\", \"grade\", \"ship\"]\n\n",
            fingerprint(&committer.key),
            quoted(&committer.issuer),
            quoted(&committer.origin)
        );
    }
    for assessor in &keys.assessors {
        assessor_placeholder(&mut text, &assessor.key, &assessor.issuer, &assessor.scheme);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_out_of_a_bundle_cannot_leave_their_comment() {
        let line = quoted("a\nb\"c");
        assert_eq!(line, r#""a\u000Ab\"c""#);
        let read: toml::Table = toml::from_str(&format!("x = {line}")).unwrap();
        assert_eq!(read["x"].as_str(), Some("a\nb\"c"));
        let mut text = String::new();
        assessor_placeholder(&mut text, &KeyId::new(griptrace_core::digest::Digest::ZERO), "x\n[[log]]", "s");
        assert!(text.lines().all(|line| line.is_empty() || line.starts_with('#')), "{text}");
    }
}
