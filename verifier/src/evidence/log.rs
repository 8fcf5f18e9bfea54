//! Steps 2 to 5: the logs, their checkpoints, and the entries under them.

use alloc::{collections::BTreeSet, format, vec::Vec};

use griptrace_core::{
    bundle::{Anchor as AnchorPart, BundleView, LogPart},
    checkpoint::Checkpoint,
    digest::Digest,
    entry::{Entry, Genesis, StatusHead, genesis_hash},
    key::PublicKey,
    key_history::KeyHistory,
    limits::TREE_SIZE_MAX,
    note::{KeyKind, Note, NoteError, NoteVerifier, VerifiedSignature},
    tree::{Rfc9162, TreeSize, root_from_leaves, verify_consistency},
};

use super::{
    Anchor, Broken, Cosignature, Log, Parts, Proofs, broken,
    keys::{Keys, read_keys},
};
use crate::{
    finding::Code,
    report::TimeFrom,
    trust::{Trust, TrustedLog},
};

/// An entry that was shown to be a leaf: log, leaf index, content.
pub(crate) type ProvenEntry = (usize, u64, Entry);

/// Checks every log of a bundle and returns its entries beyond genesis and status heads.
pub(crate) fn check_logs(bundle: &BundleView<'_>, trust: &Trust) -> Result<(Vec<Log>, Vec<ProvenEntry>), Broken> {
    check_each(bundle, trust, Proofs::Checked)
}

/// The same, of what is being gathered.
pub(super) fn check_parts(parts: &Parts<'_>) -> Result<(Vec<Log>, Vec<ProvenEntry>), Broken> {
    check_each(parts.bundle, parts.trust, parts.proofs)
}

fn check_each(bundle: &BundleView<'_>, trust: &Trust, proofs: Proofs) -> Result<(Vec<Log>, Vec<ProvenEntry>), Broken> {
    let mut logs: Vec<Log> = Vec::new();
    let mut entries = Vec::new();
    for (place, part) in bundle.logs.iter().enumerate() {
        let log = check_log(part, (trust, proofs), place, &mut entries)?;
        if logs.iter().any(|other| other.genesis.origin == log.genesis.origin) {
            return Err(broken(Code::LogDuplicate, None, format!("log {} stands twice", log.genesis.origin)));
        }
        logs.push(log);
    }
    if logs.is_empty() {
        return Err(broken(Code::GenesisInvalid, None, "the bundle has no log".into()));
    }
    Ok((logs, entries))
}

fn check_log(
    part: &LogPart<&[u8]>,
    (trust, proofs): (&Trust, Proofs),
    place: usize,
    entries: &mut Vec<ProvenEntry>,
) -> Result<Log, Broken> {
    let (genesis, home) = read_genesis(part)?;
    let keys = read_keys(part, &genesis, &home)?;
    let trusted = find_trusted(trust, &genesis, &keys.history)?;
    let notes = check_notes(part, trust, trusted, &keys.history)?;
    let until = believed_until(trusted, &genesis, &keys, &notes)?;
    if let Some(newest) = notes.last().map(|note| note.checkpoint.size).filter(|size| until < *size) {
        let text = format!(
            "checkpoint of size {newest} of {}: the trust file has this key of the log up to size {until} only",
            genesis.origin
        );
        return Err(broken(Code::KeyRetired, None, text));
    }
    if proofs == Proofs::Checked {
        check_growth(part, &notes)?;
    }
    check_order(part, &notes)?;
    if proofs == Proofs::Checked {
        check_inclusion(part, &notes)?;
    }
    let heads = sort_entries(part, &notes, place, entries)?;
    let dated = notes.into_iter().zip(heads).map(|(note, head)| date_anchor(trust, note, &head));
    let log = Log { genesis, home, anchors: dated.collect(), keys, answers: BTreeSet::new() };
    log.newest().map_or(Ok(()), must_date)?;
    Ok(log)
}

/// Step 2: the first entry is the genesis, and the trust file knows the log by origin and key.
fn read_genesis(part: &LogPart<&[u8]>) -> Result<(Genesis, griptrace_core::id::GenesisHash), Broken> {
    let bad = |why: &str| broken(Code::GenesisInvalid, None, format!("a log's first entry {why}"));
    let Some((0, bytes)) = part.entries.first() else { return Err(bad("is not its genesis at index 0")) };
    match Entry::parse(bytes) {
        Ok(Entry::Genesis(genesis)) => Ok((genesis, genesis_hash(bytes))),
        Ok(Entry::Commit(_) | Entry::KeyChange(_) | Entry::StatusHead(_)) => Err(bad("is not a genesis")),
        Err(error) => Err(bad(&format!("cannot be read: {error}"))),
    }
}

/// The trust file may have any of the log's keys: each has signed the change to or from the next, or is revoked
/// ([`believed_until`]).
fn find_trusted<'t>(trust: &'t Trust, genesis: &Genesis, history: &KeyHistory) -> Result<&'t TrustedLog, Broken> {
    let shown = |key: &NoteVerifier| history.log_keys().any(|(_, known)| key.public_key() == known.as_bytes());
    let knows = |log: &&TrustedLog| log.keys().any(|(key, _)| shown(key));
    trust.logs.iter().filter(|log| log.origin == genesis.origin).find(knows).ok_or_else(|| {
        let text = format!("the trust file has no log {} with key {}", genesis.origin, genesis.key);
        broken(Code::LogUntrusted, None, text)
    })
}

/// Returns up to which size the keys of the trust file are believed: one that it has as an earlier key only, up to the
/// size beside it.
///
/// A genesis is signed by nobody, and anybody can write one that names another's key, and a revoker of his own who takes
/// that key out of use. So a key speaks for this genesis only by its own signature: on a checkpoint, whose tree has the
/// genesis, or on a key change, which names it.
fn believed_until(log: &TrustedLog, genesis: &Genesis, keys: &Keys, notes: &[CheckedNote]) -> Result<u64, Broken> {
    let signs = |size| keys.history.log_key(size).map(PublicKey::as_bytes);
    let has_signed = |key: &NoteVerifier| {
        let key = key.public_key();
        notes.iter().any(|note| signs(note.checkpoint.size) == Some(key)) || keys.has_signed(key)
    };
    log.keys().filter(|(key, _)| has_signed(key)).map(|(_, size)| size).max().ok_or_else(|| {
        let text = format!(
            "nothing here is signed by a key that the trust file has of {}: a revoker whom the genesis names took it out of use",
            genesis.origin
        );
        broken(Code::LogUntrusted, None, text)
    })
}

/// A checkpoint whose signatures were checked.
struct CheckedNote {
    checkpoint: Checkpoint,
    cosignatures: Vec<Cosignature>,
}

/// The keys that a log's notes are verified under.
struct Known {
    /// The log's own, each for checkpoints above the size beside it.
    own: Vec<(u64, NoteVerifier)>,
    /// Those of witnesses.
    keys: Vec<NoteVerifier>,
    /// Of each of these: the witness, and which of its keys it is, by their places in the trust file.
    of: Vec<(usize, usize)>,
}

impl Known {
    fn of(trust: &Trust, log: &TrustedLog, history: &KeyHistory) -> Result<Self, Broken> {
        let own = |(from, key): (u64, &PublicKey)| {
            let own = NoteVerifier::new(&log.origin, KeyKind::Ed25519, key.as_bytes());
            own.map(|own| (from, own)).map_err(|error| {
                broken(Code::KeyChangeInvalid, None, format!("key {} of {}: {error}", key.id(), log.origin))
            })
        };
        let own = history.log_keys().map(own).collect::<Result<_, _>>()?;
        let mut known = Self { own, keys: Vec::new(), of: Vec::new() };
        for (place, witness) in trust.witnesses.iter().enumerate() {
            known.keys.extend(witness.keys.iter().cloned());
            known.of.extend((0..witness.keys.len()).map(|key| (place, key)));
        }
        Ok(known)
    }

    /// Checks that the log's key at this size signed.
    fn check_own(&self, note: &Note, checkpoint: &Checkpoint) -> Result<(), Broken> {
        let Checkpoint { origin, size, .. } = checkpoint;
        let has_signed = |key: &NoteVerifier| {
            let signed = note.verify(core::slice::from_ref(key)).map_err(|error| signature_finding(&error))?;
            Ok::<_, Broken>(!signed.is_empty())
        };
        let signs = self.own.iter().rev().find(|(from, _)| from < size || *from == 0);
        if signs.map_or(Ok(false), |(_, key)| has_signed(key))? {
            return Ok(());
        }
        for (_, key) in &self.own {
            if has_signed(key)? {
                let text = format!("checkpoint of size {size} is signed by a key of {origin} that is not in use there");
                return Err(broken(Code::KeyRetired, None, text));
            }
        }
        let text = format!("checkpoint of size {size} is not signed by log {origin}");
        Err(broken(Code::CheckpointUnsigned, None, text))
    }
}

/// Step 3: every anchor is a note signed by the log's key; lines by known witnesses verify.
fn check_notes(
    part: &LogPart<&[u8]>,
    trust: &Trust,
    log: &TrustedLog,
    history: &KeyHistory,
) -> Result<Vec<CheckedNote>, Broken> {
    let known = Known::of(trust, log, history)?;
    let notes: Vec<CheckedNote> =
        part.anchors.iter().map(|anchor| check_note(anchor, log, trust, &known)).collect::<Result<_, _>>()?;
    let sizes = || notes.iter().map(|note| note.checkpoint.size);
    let ascending = sizes().zip(sizes().skip(1)).all(|(a, b)| a < b);
    if notes.is_empty() || !ascending {
        return Err(broken(
            Code::AnchorOrder,
            None,
            format!("log {}: checkpoints are not by ascending size, or there is none", log.origin),
        ));
    }
    Ok(notes)
}

fn check_note(
    anchor: &AnchorPart<&[u8]>,
    log: &TrustedLog,
    trust: &Trust,
    known: &Known,
) -> Result<CheckedNote, Broken> {
    let bad = |why: &dyn core::fmt::Display| {
        broken(Code::CheckpointInvalid, None, format!("checkpoint of {}: {why}", log.origin))
    };
    let note = Note::parse(anchor.note.as_bytes()).map_err(|error| bad(&error))?;
    let checkpoint = Checkpoint::parse(note.text()).map_err(|error| bad(&error))?;
    if checkpoint.origin != log.origin {
        return Err(bad(&format!("its origin line says {}", checkpoint.origin)));
    }
    if checkpoint.size > TREE_SIZE_MAX {
        return Err(broken(
            Code::LimitExceeded,
            None,
            format!("checkpoint of size {}: the limit is {TREE_SIZE_MAX}", checkpoint.size),
        ));
    }
    known.check_own(&note, &checkpoint)?;
    let signatures = note.verify(&known.keys).map_err(|error| signature_finding(&error))?;
    let cosignatures = signatures.iter().filter_map(|signature| cosignature(trust, known, signature)).collect();
    Ok(CheckedNote { checkpoint, cosignatures })
}

/// Returns what a verified line by a witness says. A line without a time says nothing that counts, nor does a status-map
/// key of a witness that is not trusted for the map.
fn cosignature(trust: &Trust, known: &Known, line: &VerifiedSignature) -> Option<Cosignature> {
    let (witness, key) = *known.of.get(line.key)?;
    let trusted = trust.witnesses.get(witness)?;
    let signer = trusted.keys.get(key).filter(|key| trusted.counts(key))?;
    Some(Cosignature { witness, key, time: line.timestamp?, map: signer.kind() == KeyKind::StatusMapV1 })
}

fn signature_finding(error: &NoteError) -> Broken {
    broken(Code::NoteSignatureInvalid, None, format!("a line by a known key on a checkpoint: {error}"))
}

/// Step 4: each anchor's tree is a beginning of the next one's.
fn check_growth(part: &LogPart<&[u8]>, notes: &[CheckedNote]) -> Result<(), Broken> {
    let nexts = notes.iter().skip(1);
    for ((anchor, old), new) in part.anchors.iter().zip(notes).zip(nexts) {
        let (old, new) = (&old.checkpoint, &new.checkpoint);
        verify_consistency(
            &Rfc9162,
            TreeSize::new(old.size),
            &old.root,
            TreeSize::new(new.size),
            &new.root,
            &anchor.consistency,
        )
        .map_err(|error| {
            let text = format!("checkpoints of size {} and {} of {}: {error}", old.size, new.size, old.origin);
            broken(Code::ConsistencyMismatch, None, text)
        })?;
    }
    if part.anchors.last().is_some_and(|last| !last.consistency.is_empty()) {
        return Err(broken(Code::Extraneous, None, "the newest checkpoint brings a consistency proof".into()));
    }
    Ok(())
}

/// Step 5: the entries stand in order, below the newest anchor's size.
fn check_order(part: &LogPart<&[u8]>, notes: &[CheckedNote]) -> Result<(), Broken> {
    let Some(newest) = notes.last().map(|note| &note.checkpoint) else {
        return Err(broken(Code::AnchorOrder, None, "a log brings no checkpoint".into()));
    };
    let indices = || part.entries.iter().map(|(index, _)| *index);
    let ascending = indices().zip(indices().skip(1)).all(|(a, b)| a < b);
    if !ascending || indices().next_back().is_some_and(|last| last >= newest.size) {
        let text = format!("entries of {} are out of order, twice, or beyond size {}", newest.origin, newest.size);
        return Err(broken(Code::EntryOrder, None, text));
    }
    Ok(())
}

/// Step 5: the entries are leaves under the newest anchor.
fn check_inclusion(part: &LogPart<&[u8]>, notes: &[CheckedNote]) -> Result<(), Broken> {
    let Some(newest) = notes.last().map(|note| &note.checkpoint) else { return Ok(()) };
    let leaves: Vec<(u64, Digest)> =
        part.entries.iter().map(|(index, bytes)| (*index, Rfc9162::leaf_hash(bytes))).collect();
    let root = root_from_leaves(&Rfc9162, newest.size, &leaves, &part.inclusion);
    if root.as_ref() != Ok(&newest.root) {
        let why = root.map_or_else(|error| format!("{error}"), |root| format!("they lead to root {root}"));
        let text = format!("entries of {} are not under root {}: {why}", newest.origin, newest.root);
        return Err(broken(Code::InclusionRootMismatch, None, text));
    }
    Ok(())
}

/// Step 5: each anchor ends in its status head. Parses the entries: heads to their anchors, commits onward.
fn sort_entries(
    part: &LogPart<&[u8]>,
    notes: &[CheckedNote],
    place: usize,
    entries: &mut Vec<ProvenEntry>,
) -> Result<Vec<StatusHead>, Broken> {
    let mut heads = Vec::new();
    let mut wanted = notes.iter().map(|note| note.checkpoint.size.saturating_sub(1)).peekable();
    for (index, bytes) in part.entries.iter().skip(1) {
        let entry =
            Entry::parse(bytes).map_err(|error| broken(Code::EntryInvalid, None, format!("entry {index}: {error}")))?;
        if let Some(passed) = wanted.peek().filter(|wanted| *wanted < index) {
            return Err(no_head(*passed));
        }
        if wanted.peek() != Some(index) {
            if matches!(entry, Entry::StatusHead(_)) {
                return Err(broken(
                    Code::Extraneous,
                    None,
                    format!("status head {index} belongs to no checkpoint of the bundle"),
                ));
            }
            entries.push((place, *index, entry));
            continue;
        }
        match entry {
            Entry::StatusHead(head) if head.index == *index => heads.push(head),
            Entry::StatusHead(_) | Entry::Genesis(_) | Entry::Commit(_) | Entry::KeyChange(_) => {
                return Err(no_head(*index));
            }
        }
        wanted.next();
    }
    match wanted.next() {
        Some(index) => Err(no_head(index)),
        None => Ok(heads),
    }
}

fn no_head(index: u64) -> Broken {
    broken(
        Code::StatusHeadMissing,
        None,
        format!("leaf {index}, the last under a checkpoint, is not a status head that names it"),
    )
}

/// Step 5: an anchor's time is that of the cosignature that completes the quorum, and it is current as of the time that
/// the quorum says last; without a quorum in the trust file both are the operator's own (Rule R7). One that does not
/// meet a quorum that is asked for dates nothing.
fn date_anchor(trust: &Trust, note: CheckedNote, head: &StatusHead) -> Anchor {
    let CheckedNote { checkpoint: Checkpoint { size, root, .. }, cosignatures } = note;
    let completed = |maps: bool| {
        let counted = cosignatures.iter().filter(|one| one.map || !maps);
        trust.quorum.as_ref()?.completed(&times(trust, counted, u64::min))
    };
    let as_of = trust.quorum.as_ref().and_then(|asked| asked.as_of(&times(trust, cosignatures.iter(), u64::max)));
    let (time, as_of, time_from) = match completed(false).zip(as_of) {
        Some((time, as_of)) => (time, as_of, TimeFrom::Witnesses),
        None => (head.time, head.time, TimeFrom::Operator),
    };
    let (map_root, dates) = (head.map_root, trust.quorum.is_none() || time_from == TimeFrom::Witnesses);
    let map_witnessed = completed(true).is_some();
    Anchor { size, root, map_root, time, as_of, time_from, dates, cosignatures, map_witnessed, statuses: None }
}

/// Returns the time of each witness of the trust file: the one to `keep` of those that it states, by whichever of its
/// keys.
fn times<'c>(
    trust: &Trust,
    cosignatures: impl Iterator<Item = &'c Cosignature>,
    keep: fn(u64, u64) -> u64,
) -> Vec<Option<u64>> {
    let mut times: Vec<Option<u64>> = alloc::vec![None; trust.witnesses.len()];
    for one in cosignatures {
        if let Some(time) = times.get_mut(one.witness) {
            *time = Some(time.map_or(one.time, |other| keep(other, one.time)));
        }
    }
    times
}

/// Refuses an anchor that has to date something and does not.
pub(super) fn must_date(anchor: &Anchor) -> Result<(), Broken> {
    if anchor.dates {
        return Ok(());
    }
    let found = anchor.cosigned_by(false).len();
    let text = format!(
        "checkpoint of size {}: the {found} witnesses that cosigned it are not the quorum that the trust file asks for",
        anchor.size
    );
    Err(broken(Code::QuorumNotMet, None, text))
}
