//! `griptrace trust`.

mod witnesses;

use core::fmt::Write as _;
use std::{collections::BTreeSet, path::PathBuf};

use griptrace_core::{bundle::Bundle, date::Date, id::KeyId, key::PublicKey, node::Kind};
use serde_json::json;

use super::inspect::{CommitterKeys, Keys, keys_of};
use crate::{
    believed::Believed,
    context::{Answer, Context, read_bundle, write_file},
    ended::Earlier,
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
        None => own(&context.workspace()?, None)?,
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

/// Returns a trust file for the own store. Without those that adopted bundles are believed by, it is the start of one for
/// others: assessors' keys are commented out, to be confirmed.
pub(crate) fn own(workspace: &Workspace, believed: Option<&Believed>) -> Result<String, CommandError> {
    let confirm = believed.is_none();
    let genesis = workspace.store.genesis();
    let origin = quoted(&genesis.origin);
    let mut text =
        String::from("# Whom this file believes. Each key is to be confirmed by another way than the one it came.\n\n");
    // A quorum stands before the first table, or it would be a field of that.
    let asked = if confirm { witnesses::to_confirm(workspace)? } else { witnesses::ToConfirm::default() };
    text.push_str(&asked.quorum);
    let committer = match workspace.committer_now()? {
        Some(key) => key,
        None if confirm => return Err(no_committer(workspace)?),
        // What it signed while it counted is judged all the same.
        None => workspace.committer()?,
    };
    let more = earlier_line(&workspace.earlier_log_keys()?, "") + &revokers(&genesis.revokers, "");
    let _ = write!(text, "[[log]]\norigin = {origin}\nvkey = {}\n{more}\n", quoted(&workspace.log_vkey()?));
    text.push_str(&asked.witnesses);
    own_committer(&mut text, workspace, &committer);
    for (key, end) in workspace.unlinked_keys(&committer.id())? {
        let _ = writeln!(
            text,
            "# An earlier key of the same party: it counts before leaf {end} only, and nothing leads from it to the key in use."
        );
        own_committer(&mut text, workspace, &key);
    }
    let mut known = BTreeSet::new();
    for assessor in &workspace.config.assessor {
        let Ok(key) = PublicKey::parse(&assessor.key) else { continue };
        known.insert(key.id());
        let lead = if confirm { "# " } else { "" };
        if confirm {
            let _ = writeln!(text, "# CONFIRM BY PHONE, then take the `# ` away: {}", fingerprint(&key.id()));
        }
        // Who was believed by a trust file goes by the name that stands there, and beyond its schemes by the statement's.
        let (name, others) =
            believed.and_then(|believed| believed.assessor(&key)).unwrap_or((&assessor.name, Vec::new()));
        let schemes = assessor.schemes.iter().filter(|scheme| !others.contains(&scheme.as_str()));
        let schemes: Vec<String> = schemes.map(|scheme| quoted(scheme)).collect();
        if schemes.is_empty() {
            continue;
        }
        let _ = write!(
            text,
            "{lead}[[assessor]]\n{lead}name = {}\n{lead}key = \"{key}\"\n{lead}schemes = [{}]\n\n",
            quoted(name),
            schemes.join(", ")
        );
    }
    for (key, issuer, scheme) in signed_by(workspace)? {
        if known.insert(key) {
            assessor_placeholder(&mut text, &key, &issuer, &scheme);
        }
    }
    if let Some(believed) = believed {
        text.push_str(&believed.text()?);
    }
    Ok(text)
}

/// Writes the table of a key of the own party.
fn own_committer(text: &mut String, workspace: &Workspace, key: &PublicKey) {
    let genesis = workspace.store.genesis();
    let _ = write!(
        text,
        "# fingerprint {}\n[[committer]]\nname = {}\nkey = \"{key}\"\nlog = {}\n\
         # The log's first day; a later one would leave out older commits.\nfrom = {}\n\
         roles = [\"commit\", \"grade\", \"ship\"]\n\n",
        fingerprint(&key.id()),
        quoted(&workspace.config.issuer),
        quoted(&genesis.origin),
        Date::from_unix(genesis.time)
    );
}

/// Returns the line that names the keys that a log had before; nothing where it had none.
fn earlier_line(earlier: &[Earlier], lead: &str) -> String {
    if earlier.is_empty() {
        return String::new();
    }
    let keys: Vec<String> =
        earlier.iter().map(|key| format!("{{ vkey = {}, size = {} }}", quoted(&key.vkey), key.size)).collect();
    format!("{lead}earlier = [{}]\n", keys.join(", "))
}

fn no_committer(workspace: &Workspace) -> Result<CommandError, CommandError> {
    let key = workspace.committer()?;
    let since = workspace.key_end(&key.id()).unwrap_or_default();
    let text = format!("the committer's key {key} does not count from leaf {since} on: a trust file names keys of now");
    Ok(CommandError::failed(text).with_hint(workspace.how_to_go_on()?))
}

/// Returns the line that lists a log's revokers, if it has any, behind a lead.
fn revokers(keys: &[KeyId], lead: &str) -> String {
    if keys.is_empty() {
        return String::new();
    }
    let listed: Vec<String> = keys.iter().map(|key| format!("\"{key}\"")).collect();
    format!("{lead}revokers = [{}]\n", listed.join(", "))
}

fn revokers_to_confirm(keys: &[KeyId]) -> String {
    if keys.is_empty() {
        return String::new();
    }
    "# CONFIRM BY PHONE, or leave the next line out: whoever holds one of these may say which key follows a revoked one of any committer.\n".to_owned()
        + &revokers(keys, "# ")
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
            "# CONFIRM BY PHONE: the log's key; its key id must be\n#   {fingerprint}\n# [[log]]\n# origin = {origin}\n# vkey = {vkey}\n{}\n",
            earlier_line(&log.earlier, "# ") + &revokers_to_confirm(&log.revokers)
        );
    }
    keys.committers.iter().for_each(|committer| committer_placeholder(&mut text, committer));
    for assessor in &keys.assessors {
        assessor_placeholder(&mut text, &assessor.key, &assessor.issuer, &assessor.scheme);
    }
    text
}

fn committer_placeholder(text: &mut String, committer: &CommitterKeys) {
    let (print, name, log) = (fingerprint(&committer.key), quoted(&committer.issuer), quoted(&committer.origin));
    let what = if committer.public.is_some() { "the committer's key" } else { "ask the committer for the public key" };
    let _ = writeln!(text, "# CONFIRM BY PHONE: {what}; its key id must be\n#   {print}");
    for (key, end) in &committer.earlier {
        let _ = writeln!(text, "# It followed this one, which counts before leaf {end}:\n#   {}", fingerprint(key));
    }
    if let Some(end) = committer.end {
        let _ = writeln!(text, "# IT COUNTS BEFORE LEAF {end} ONLY: it was revoked, and no key follows it");
    }
    let key = committer.public.as_ref().map_or_else(|| "ed25519:...".to_owned(), ToString::to_string);
    let _ = write!(
        text,
        "# [[committer]]\n# name = {name}\n# key = \"{key}\"\n# log = {log}\n# roles = [\"commit\", \"grade\", \"ship\"]\n\n"
    );
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
