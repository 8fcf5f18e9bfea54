//! `griptrace log witnesses`, `griptrace log cosign`.

use core::time::Duration;
use std::path::{Path, PathBuf};

use griptrace_core::note::NoteVerifier;
use serde_json::json;

use crate::{
    context::{Answer, Context},
    error::CommandError,
    view, witnesses,
    workspace::Workspace,
};

/// Name the witnesses of this log
#[derive(Debug, clap::Args)]
pub(crate) struct WitnessesArgs {
    /// A C2SP tlog-policy: lines `witness NAME VKEY URL`, groups, and a quorum
    pub(crate) file: PathBuf,
    /// The key with which a witness of that name vouches for recomputed status maps
    #[arg(long, value_name = "VKEY")]
    pub(crate) map: Vec<String>,
}

/// Have the newest checkpoint cosigned
#[derive(Debug, clap::Args)]
pub(crate) struct CosignArgs {
    /// How long the witnesses have, in seconds
    #[arg(long, value_name = "SECONDS", default_value_t = witnesses::DEADLINE_SECONDS)]
    pub(crate) deadline: u64,
}

pub(crate) fn name(context: &Context, args: &WitnessesArgs) -> Result<Answer, CommandError> {
    let store = Workspace::local_store(context, false)?;
    let panel = witnesses::take(&context.store_folder()?, &store.verifiers(), &args.file, &args.map)?;
    let addresses = panel.addresses();
    let lines: Vec<String> = addresses
        .iter()
        .map(|address| {
            let keys: Vec<String> = address.keys.iter().map(NoteVerifier::to_vkey).collect();
            format!("witness  {}  {}", address.url, keys.join(" "))
        })
        .collect();
    let urls: Vec<&str> = addresses.iter().map(|address| address.url.as_str()).collect();
    context.output.either(&json!({ "witnesses": urls, "quorum": panel.quorum().is_some() }), &lines)?;
    for name in panel.unreachable() {
        context.output.warn(format_args!("the witness {name} has no address in the policy, and can't be asked"));
    }
    Ok(Answer::YES)
}

pub(crate) fn cosign(context: &Context, args: &CosignArgs) -> Result<Answer, CommandError> {
    let store = Workspace::local_store(context, false)?;
    let folder = context.store_folder()?;
    let panel = witnesses::read(&folder, &store.verifiers())?.ok_or_else(no_witnesses)?;
    let round = witnesses::ask(&folder, &store, &panel, Duration::from_secs(args.deadline))?;
    let (is_met, is_met_now) = (round.is_met(&panel), round.is_met_now(&panel));
    let is_map_met = panel.is_map_met(&round.cosigned.times);
    let told: Vec<serde_json::Value> = round
        .answers
        .iter()
        .map(|(url, answer)| match answer {
            Ok(said) => json!({ "url": url, "cosigned_by": said.cosigned_by, "map_by": said.map_by }),
            Err(error) => json!({ "url": url, "error": error.to_string() }),
        })
        .collect();
    let as_of = round.cosigned.as_of;
    let object = json!({
        "size": round.size, "quorum_met": is_met, "met_now": is_met_now, "map_met": is_map_met, "as_of": as_of,
        "witnesses": told,
    });
    let mut lines = vec![format!("checkpoint  {} entries", round.size)];
    for (url, answer) in &round.answers {
        let Ok(said) = answer else { continue };
        lines.extend(said.cosigned_by.iter().map(|name| format!("cosigned    by {name} at {url}")));
        lines.extend(said.map_by.iter().map(|name| format!("status map  recomputed by {name} at {url}")));
    }
    lines.push(match (is_met, round.as_of().filter(|_| !is_met_now)) {
        (true, Some(kept)) => {
            format!("quorum      met by lines that were kept, as of {}; not by who answered now", view::time(kept))
        }
        (true, None) => "quorum      met".to_owned(),
        (false, _) => "quorum      not met".to_owned(),
    });
    lines.extend(as_of.map(|as_of| format!("current as of {}", view::time(as_of))));
    context.output.either(&object, &lines)?;
    witnesses::tell(context, &folder, (&store, &panel), &round)?;
    if is_map_met == Some(false) {
        witnesses::warn_of_map(context, round.size);
        witnesses::hint_at_map(context);
    }
    Ok(if is_met { Answer::YES } else { Answer::NO })
}

/// Asks the witnesses before a bundle is made. What fails is said, and the bundle is made all the same; unless a witness
/// has cosigned another history of the log.
pub(crate) fn before_proving(context: &Context, folder: &Path) -> Result<(), CommandError> {
    let store = Workspace::local_store(context, false)?;
    if let Some(panel) = witnesses::read(folder, &store.verifiers())? {
        let deadline = Duration::from_secs(witnesses::DEADLINE_SECONDS);
        match witnesses::ask(folder, &store, &panel, deadline) {
            Ok(round) => witnesses::tell(context, folder, (&store, &panel), &round).map_err(or_not_asked)?,
            Err(error) => {
                context.output.warn("no witness was asked for a cosignature");
                error.lines().iter().for_each(|line| context.output.talk(line));
            }
        }
    }
    // One that told before may not answer now.
    witnesses::refuse_split(folder, &store).map_err(or_not_asked)
}

fn or_not_asked(error: CommandError) -> CommandError {
    error.with_hint("--no-cosign asks no witness, and shows what is here")
}

fn no_witnesses() -> CommandError {
    CommandError::failed("this log has no witnesses").with_hint("griptrace log witnesses FILE names them")
}
