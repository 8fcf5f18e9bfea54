//! The lies, and the reason for which each is refused.

use std::{ffi::OsString, fs, path::Path};

use griptrace_core::{
    bundle::Bundle,
    commit::Commit,
    digest::COMMIT_TREE,
    node::{Core, Kind, node_id},
    tree::prove_leaves,
};

use super::{
    shell::Shell,
    story::{Story, Variant},
};
use crate::{error::CommandError, output::Output};

/// A lie: what is said, the reason code that must refuse it, and the arguments with which the buyer
/// meets it.
struct Lie {
    told: &'static str,
    code: &'static str,
    args: Vec<OsString>,
}

/// Tells every lie and returns how many were believed.
pub(super) fn tell(story: &Story, shell: &Shell<'_>, out: &Output) -> Result<usize, CommandError> {
    out.line("")?;
    out.line("8. Lies, and why each is refused")?;
    fs::create_dir_all(story.path("lies"))?;
    let mut believed: usize = 0;
    for lie in lies(story, shell)? {
        let mut args = lie.args;
        args.push("--json".into());
        let said = shell.verify(&args, false)?;
        let refused = said.code == 1 && said.text.contains(&format!("\"{}\"", lie.code));
        believed = believed.saturating_add(usize::from(!refused));
        let verdict = verdict(&said.text);
        let how = if refused { "refused" } else { "NOT REFUSED FOR ITS REASON" };
        out.line(format_args!("   {how:7}  {:58} {verdict}, {}", lie.told, lie.code))?;
        if !refused {
            out.line(&said.text)?;
        }
    }
    Ok(believed)
}

fn verdict(json: &str) -> String {
    let report: serde_json::Value = serde_json::from_str(json.lines().next().unwrap_or_default()).unwrap_or_default();
    report["verdict"].as_str().unwrap_or("no verdict").to_owned()
}

fn lies(story: &Story, shell: &Shell<'_>) -> Result<Vec<Lie>, CommandError> {
    let lie = |told, code, args| Lie { told, code, args };
    let retold = |variant| retell(story, shell, variant);
    Ok(vec![
        lie("a changed model file", "model-mismatch", changed_model(story)?),
        lie("a removed ancestor", "node-missing", with_bundle(story, "removed-ancestor", remove_source)?),
        lie("an assessment by an untrusted key", "assessor-untrusted", retold(Variant::UntrustedAssessor)?),
        lie("an assessment that had expired on the shipment date", "assessment-expired", retold(Variant::Expired)?),
        lie("a grade lowered without a record", "grade-lowered-without-record", retold(Variant::Lowered)?),
        lie(
            "derived data declared as collected, without an assessment",
            "assessment-missing",
            retold(Variant::Relabelled)?,
        ),
        lie("another destination", "destination-mismatch", story.verify_args("FR")),
        lie("a withdrawn assessment", "assessment-withdrawn", retold(Variant::Withdrawn)?),
        lie("a flipped byte in a proof", "inclusion-root-mismatch", with_bundle(story, "flipped-proof", flip_proof)?),
    ])
}

/// Tells the whole story again with one lie in it, and gives the buyer what the honest buyer has:
/// the keys that were compared by phone.
fn retell(story: &Story, shell: &Shell<'_>, variant: Variant) -> Result<Vec<OsString>, CommandError> {
    let lie = story.retell(variant);
    lie.record(shell)?;
    lie.ship(shell)?;
    lie.write_buyer_files(shell)?;
    if variant == Variant::UntrustedAssessor {
        replace_assessor(&lie.path("trust.toml"), &story.path("trust.toml"))?;
    }
    Ok(lie.verify_args("DE"))
}

/// Puts the honest assessor's section in place of the liar's.
fn replace_assessor(into: &Path, from: &Path) -> Result<(), CommandError> {
    let (liar, honest) = (fs::read_to_string(into)?, fs::read_to_string(from)?);
    let at = |text: &str| text.find("[[assessor]]").unwrap_or(text.len());
    let text = format!("{}{}", &liar[..at(&liar)], &honest[at(&honest)..]);
    fs::write(into, text)?;
    Ok(())
}

fn changed_model(story: &Story) -> Result<Vec<OsString>, CommandError> {
    let folder = story.path("lies").join("changed-model");
    fs::create_dir_all(&folder)?;
    let name = "grasp.int8.safetensors";
    let mut bytes = fs::read(story.path("model").join(name))?;
    if let Some(last) = bytes.last_mut() {
        *last ^= 1;
    }
    fs::write(folder.join(name), bytes)?;
    let mut args = story.verify_args("DE");
    if let Some(at) = args.iter().position(|arg| arg == "--model") {
        args[at + 1] = folder.into();
    }
    Ok(args)
}

/// Rewrites the honest bundle with its digest recomputed, as a careful liar would.
fn with_bundle(story: &Story, name: &str, lie: fn(&mut Bundle) -> Option<()>) -> Result<Vec<OsString>, CommandError> {
    let file = fs::read(story.path("shipment.griptrace"))?;
    let mut bundle = Bundle::from_bytes(&file)?;
    lie(&mut bundle).ok_or_else(|| CommandError::failed(format!("the bundle has nothing for the lie {name}")))?;
    let folder = story.path("lies").join(name);
    fs::create_dir_all(&folder)?;
    let path = folder.join("shipment.griptrace");
    fs::write(&path, bundle.to_bytes())?;
    let mut args = story.verify_args("DE");
    args[0] = path.into();
    Ok(args)
}

/// Takes a source out of its commit and makes the commit's proof again for those that are left.
fn remove_source(bundle: &mut Bundle) -> Option<()> {
    let log = bundle.logs.first_mut()?;
    let mut ordinal = 0_u64;
    for part in &mut log.commits {
        let entry = log.entries.get(usize::try_from(part.entry).ok()?)?;
        let count = Commit::parse(&entry.1).ok()?.payload.count;
        let is_source = |bytes: &Vec<u8>| {
            Core::from_bytes(bytes).is_ok_and(|core| core.kind == Kind::Dataset && core.edges.is_empty())
        };
        let found =
            part.cores.iter().position(is_source).filter(|_| u64::try_from(part.cores.len()) == Ok(count) && count > 1);
        let Some(place) = found else {
            ordinal += u64::try_from(part.cores.len()).ok()?;
            continue;
        };
        let all: Vec<_> = part.cores.iter().map(|core| *node_id(core).digest()).collect();
        part.cores.remove(place);
        part.places.remove(place);
        part.proof = prove_leaves(&COMMIT_TREE, &all, &part.places).ok()?;
        let gone = ordinal + u64::try_from(place).ok()?;
        renumber(bundle, gone);
        return Some(());
    }
    None
}

/// Closes the gap that a removed node leaves in the ordinals.
fn renumber(bundle: &mut Bundle, gone: u64) {
    let close = |n: &mut u64| *n -= u64::from(*n > gone);
    close(&mut bundle.root);
    bundle.disclosures.retain(|d| d.node != gone);
    bundle.manifests.retain(|m| m.node != gone);
    bundle.disclosures.iter_mut().for_each(|d| close(&mut d.node));
    bundle.manifests.iter_mut().for_each(|m| close(&mut m.node));
    for opening in &mut bundle.openings {
        close(&mut opening.assessment);
        opening.subjects.iter_mut().for_each(|(_, node, _)| close(node));
    }
}

fn flip_proof(bundle: &mut Bundle) -> Option<()> {
    let hash = bundle.logs.first_mut()?.inclusion.first_mut()?;
    let mut bytes = *hash.as_bytes();
    bytes[0] ^= 1;
    *hash = griptrace_core::digest::Digest::from_bytes(bytes);
    Some(())
}
