//! The witnesses that a log on this machine asks, and asking them.

use core::{error::Error as _, time::Duration};
use std::{
    fs,
    path::{Path, PathBuf},
};

use griptrace_core::{
    bundle::BundleView,
    checkpoint::Checkpoint,
    note::{Note, NoteVerifier},
};
use griptrace_service::cosigning::{Round, cosign, held_against, keep_evidence, witnesses};
use griptrace_store::{OpenOptions, Store, Witnesses};
use griptrace_witness::{client::CosignError, fetch::Fetcher, panel::Panel};

use crate::{context::Context, error::CommandError, place::Place, workspace::Config};

/// The policy, as it was given, beside the settings.
const POLICY: &str = "witnesses.policy";
/// Keys for recomputed status maps, a vkey a line.
const MAPS: &str = "witnesses.maps";
/// What a witness answers to a checkpoint that no key signed which it knows of the log (C2SP tlog-witness).
const NO_KNOWN_KEY: u16 = 403;
/// How long all witnesses together have, unless another time is given.
pub(crate) const DEADLINE_SECONDS: u64 = 10;

/// Reads the witnesses of the log in a folder; `None` if none were named.
pub(crate) fn read(folder: &Path, log: &[NoteVerifier]) -> Result<Option<Panel>, CommandError> {
    let path = folder.join(POLICY);
    if !path.exists() {
        return Ok(None);
    }
    let policy = fs::read(&path).map_err(|e| CommandError::file("read", &path, e))?;
    let maps = fs::read_to_string(folder.join(MAPS)).unwrap_or_default();
    let maps: Vec<&str> = maps.lines().collect();
    let panel = Panel::parse(&policy, &maps, log);
    panel.map(Some).map_err(|e| CommandError::because(format!("{} is wrong", path.display()), e))
}

/// Takes a policy for the log in a folder. Nothing is written unless all of it can be read.
pub(crate) fn take(folder: &Path, log: &[NoteVerifier], file: &Path, maps: &[String]) -> Result<Panel, CommandError> {
    let policy = fs::read(file).map_err(|e| CommandError::file("read", file, e))?;
    let named: Vec<&str> = maps.iter().map(String::as_str).collect();
    let wrong = |e| CommandError::because(format!("{} can't be this log's witnesses", file.display()), e);
    let panel = Panel::parse(&policy, &named, log).map_err(wrong)?;
    let write = |name: &str, bytes: &[u8]| {
        let path = folder.join(name);
        fs::write(&path, bytes).map_err(|e| CommandError::file("write", &path, e))
    };
    write(MAPS, maps.join("\n").as_bytes())?;
    write(POLICY, &policy)?;
    Ok(panel)
}

/// Returns whose cosignatures bundles show.
pub(crate) fn to_show(panel: Option<&Panel>) -> Witnesses {
    panel.map(witnesses).unwrap_or_default()
}

/// What the quorum of a log's own witnesses says of a bundle.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Standing {
    /// The sizes of the checkpoints that have to meet the quorum and do not.
    pub(crate) lacking: Vec<u64>,
    /// The sizes of those that status-map keys alone have to have cosigned by the same quorum, and have not; `None` where
    /// no such key is known.
    pub(crate) map_lacking: Option<Vec<u64>>,
    /// The latest time as of which the quorum says that the newest one is the newest.
    pub(crate) as_of: Option<u64>,
}

impl Standing {
    /// Looks at the first log's checkpoints that a bundle is judged under: the newest and the shipment's. `None` if no
    /// quorum is asked for.
    pub(crate) fn of(bundle: &[u8], panel: &Panel) -> Result<Option<Self>, CommandError> {
        if panel.quorum().is_none() {
            return Ok(None);
        }
        let bundle = BundleView::view(bundle).map_err(|e| CommandError::because("cannot read the bundle", e))?;
        let asked = witnesses(panel);
        let mut standing = Self { lacking: Vec::new(), map_lacking: None, as_of: None };
        let wrong = |e: &dyn core::error::Error| CommandError::failed(format!("cannot read a checkpoint: {e}"));
        for anchor in bundle.logs.iter().take(1).flat_map(|log| &log.anchors).filter(|anchor| anchor.status.is_some()) {
            let note = Note::parse(anchor.note.as_bytes()).map_err(|e| wrong(&e))?;
            let found = asked.judge(&note).map_err(|e| wrong(&e))?;
            standing.as_of = found.as_of;
            let size = Checkpoint::parse(note.text()).map_err(|e| wrong(&e))?.size;
            if found.completed.is_none() {
                standing.lacking.push(size);
            }
            if let Some(is_met) = panel.is_map_met(&found.times) {
                standing.map_lacking.get_or_insert_default().extend((!is_met).then_some(size));
            }
        }
        Ok(Some(standing))
    }

    /// Tells whether the quorum is met by status-map keys wherever it has to be.
    pub(crate) fn is_map_met(&self) -> Option<bool> {
        self.map_lacking.as_ref().map(Vec::is_empty)
    }

    /// Tells whether the quorum is met wherever it has to be.
    pub(crate) fn is_met(&self) -> bool {
        self.lacking.is_empty()
    }
}

/// Has the newest checkpoint cosigned.
pub(crate) fn ask(folder: &Path, store: &Store, panel: &Panel, deadline: Duration) -> Result<Round, CommandError> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|e| CommandError::because("the system gives no runtime for the network", e))?;
    let fetcher = Fetcher::new().map_err(|e| CommandError::because("cannot use TLS", e))?;
    let once = |store: &Store| {
        runtime
            .block_on(cosign(store, panel, &fetcher, deadline))
            .map_err(|e| CommandError::because("cannot keep what the witnesses said", e))
    };
    let round = once(store)?;
    let ahead = round.answers.iter().filter_map(|(_, answer)| match answer {
        Err(CosignError::Ahead { last, .. }) => Some(*last),
        Ok(_) | Err(_) => None,
    });
    let Some(ahead) = ahead.max() else { return Ok(round) };
    // Another process may have gone on with the log meanwhile, and had that cosigned.
    let again = Place::of(folder, &Config::read(folder)?)?.open(OpenOptions::default())?;
    if again.size() >= ahead { once(&again) } else { Ok(round) }
}

/// Warns that a status map is not vouched for by as many as cosign.
pub(crate) fn warn_of_map(context: &Context, size: u64) {
    context.output.warn(format_args!(
        "the quorum of this log's witnesses is not met by status-map cosignatures for the checkpoint of {size} entries: \
         a buyer finds map-unwitnessed"
    ));
}

/// Says what may bring the status-map cosignatures that lack.
pub(crate) fn hint_at_map(context: &Context) {
    context.output.talk(
        "hint: a witness may have it later: ask again with `griptrace log cosign`; it has to know where this log is \
         published (`griptrace witness add-log FOLDER VKEY --url URL`), and the quorum's members need such keys \
         (`griptrace log witnesses FILE --map VKEY`)",
    );
}

/// Refuses to go on with a log of which a witness showed another history.
pub(crate) fn refuse_split(folder: &Path, store: &Store) -> Result<(), CommandError> {
    let held = held_against(folder, store).map_err(|e| CommandError::because("cannot judge the evidence", e))?;
    let Some(path) = held else { return Ok(()) };
    let origin = &store.genesis().origin;
    Err(CommandError::failed(format!(
        "a witness has cosigned the log {origin} otherwise than it is here, as {} shows, and nothing goes on from here",
        path.display()
    ))
    .with_hint(
        "the store was set back, or another copy of it was written to: put the copy that was written to last in its \
         place, or begin a new log with `griptrace init`",
    )
    .with_hint("if that file is about something else, move it out of the folder, and go on"))
}

/// Says what each witness that did not cosign said. A witness that shows another history of this log is an error:
/// then the store was set back, or two write to one log.
pub(crate) fn tell(
    context: &Context,
    folder: &Path,
    (store, panel): (&Store, &Panel),
    round: &Round,
) -> Result<(), CommandError> {
    for name in panel.unreachable() {
        context.output.warn(format_args!("the witness {name} has no address in the policy, and is not asked"));
    }
    let mut evidence: Option<(String, PathBuf)> = None;
    let mut is_key_unknown = false;
    for (url, answer) in &round.answers {
        let Err(error) = answer else { continue };
        let cause = error.source().map_or_else(String::new, |cause| format!(": {cause}"));
        context.output.warn(format_args!("the witness at {url}: {error}{cause}"));
        is_key_unknown |= matches!(error, CosignError::Refused { status: NO_KNOWN_KEY, .. });
        if let Some(note) = error.evidence() {
            let path =
                keep_evidence(folder, url, note).map_err(|e| CommandError::file("keep evidence in", folder, e))?;
            evidence = Some((url.clone(), path));
        }
    }
    // The newest key first.
    if let ([newest, _, ..], true) = (store.verifiers().as_slice(), is_key_unknown) {
        context.output.talk(format_args!(
            "hint: the log's key has changed, and a witness has to be told the one of now: `griptrace witness add-log FOLDER {}`, and start it again",
            newest.to_vkey()
        ));
    }
    let Some((url, path)) = evidence else { return Ok(()) };
    Err(CommandError::failed(format!(
        "the witness at {url} has cosigned this log otherwise than it is here; the checkpoint is in {}",
        path.display()
    ))
    .with_hint("never go on writing here: the store was set back, or another copy of it was written to"))
}
