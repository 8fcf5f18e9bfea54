//! Changes of a decoded bundle, as somebody without keys can make them.

use griptrace_core::{
    bundle::{Anchor, Bundle, CommitPart, LogPart, StatusPart},
    cbor::{decode, encode},
    date::Date,
    digest::Digest,
    entry::{Entry, StatusHead},
    id::{GenesisHash, NodeId, StatusKey},
    node::{Core, DigestStrength, Held, Mark, Origin, Role},
    word::{Country, Word},
};

use super::input::Input;

/// Makes one change.
pub(crate) fn bundle(bundle: &mut Bundle, input: &mut Input<'_>) {
    match input.byte() % 12 {
        0 => bundle.root = input.number(),
        1 => list(&mut bundle.logs, input),
        2..=6 => with(&mut bundle.logs, input, log),
        7 => {
            list(&mut bundle.openings, input);
            with(&mut bundle.openings, input, |opening, input| match input.byte() % 5 {
                0 => opening.assessment = input.number(),
                1 => list(&mut opening.subjects, input),
                2 => list(&mut opening.proof, input),
                3 => with(&mut opening.proof, input, hash),
                _ => with(&mut opening.subjects, input, |subject, input| match input.byte() % 3 {
                    0 => subject.0 = input.number(),
                    1 => subject.1 = input.number(),
                    _ => subject.2 = input.array(),
                }),
            });
        }
        8 => list(&mut bundle.disclosures, input),
        9 => with(&mut bundle.disclosures, input, |disclosure, input| match input.byte() % 5 {
            0 => disclosure.node = input.number(),
            1 => list(&mut disclosure.opening.slots, input),
            2 => list(&mut disclosure.opening.proof, input),
            3 => with(&mut disclosure.opening.proof, input, hash),
            _ => with(&mut disclosure.opening.slots, input, |slot, input| match input.byte() % 3 {
                0 => slot.0 = input.byte(),
                1 => slot.1 = input.array(),
                _ => bytes(&mut slot.2, input),
            }),
        }),
        10 => list(&mut bundle.manifests, input),
        _ => with(&mut bundle.manifests, input, |manifest, input| match input.byte() % 4 {
            0 => manifest.node = input.number(),
            1 => manifest.seed = input.array(),
            2 => list(&mut manifest.files, input),
            _ => with(&mut manifest.files, input, |file, input| match input.byte() % 4 {
                0 => bytes(&mut file.path, input),
                1 => file.size = input.number(),
                2 => hash(&mut file.blake3, input),
                _ => file.sha256 = input.yes().then(|| Digest::from_bytes(input.array())),
            }),
        }),
    }
}

fn log(log: &mut LogPart, input: &mut Input<'_>) {
    match input.byte() % 10 {
        0 => list(&mut log.entries, input),
        1 => with(&mut log.entries, input, |entry, input| entry.0 = input.number()),
        2 => with(&mut log.entries, input, |entry, input| entry_bytes(&mut entry.1, input)),
        3 => list(&mut log.inclusion, input),
        4 => with(&mut log.inclusion, input, hash),
        5 => list(&mut log.anchors, input),
        6 => with(&mut log.anchors, input, anchor),
        7 => list(&mut log.commits, input),
        _ => with(&mut log.commits, input, commit),
    }
}

fn anchor(anchor: &mut Anchor, input: &mut Input<'_>) {
    match input.byte() % 6 {
        0 => note(&mut anchor.note, input),
        1 => list(&mut anchor.consistency, input),
        2 => with(&mut anchor.consistency, input, hash),
        3 => anchor.status = None,
        4 => {
            let proof = input.bytes(64).to_vec();
            anchor.status = Some(StatusPart { present: Vec::new(), proof, further: Vec::new() });
        }
        _ => {
            let Some(status) = &mut anchor.status else { return };
            match input.byte() % 5 {
                0 => bytes(&mut status.proof, input),
                4 => list(&mut status.further, input),
                1 => list(&mut status.present, input),
                2 => with(&mut status.present, input, |present, input| list(&mut present.1, input)),
                _ => {
                    let id = NodeId::new(Digest::from_bytes([input.byte(); 32]));
                    status.present.push((StatusKey::of_node(id), vec![id]));
                }
            }
        }
    }
}

/// Lines of a note in another order, twice, gone or changed.
fn note(note: &mut String, input: &mut Input<'_>) {
    let mut lines: Vec<String> = note.split('\n').map(str::to_owned).collect();
    if input.yes() {
        list(&mut lines, input);
    } else {
        with(&mut lines, input, |line, input| {
            let mut raw = core::mem::take(line).into_bytes();
            bytes(&mut raw, input);
            *line = String::from_utf8_lossy(&raw).into_owned();
        });
    }
    *note = lines.join("\n");
}

fn commit(part: &mut CommitPart, input: &mut Input<'_>) {
    match input.byte() % 7 {
        0 => part.entry = input.number(),
        1 => list(&mut part.places, input),
        2 => with(&mut part.places, input, |place, input| *place = input.number()),
        3 => list(&mut part.cores, input),
        4 => list(&mut part.proof, input),
        5 => with(&mut part.proof, input, hash),
        _ => with(&mut part.cores, input, core_bytes),
    }
}

/// Another content for a log entry, still well-formed if it can be.
fn entry_bytes(entry: &mut Vec<u8>, input: &mut Input<'_>) {
    match (input.byte() % 3, Entry::parse(entry)) {
        (0, Ok(Entry::StatusHead(head))) => {
            *entry = StatusHead { time: input.number(), ..head }.to_bytes();
        }
        (1, Ok(Entry::Genesis(genesis))) => {
            *entry = encode(&griptrace_core::entry::Genesis { nonce: input.array(), ..genesis });
        }
        _ => bytes(entry, input),
    }
}

fn core_bytes(raw: &mut Vec<u8>, input: &mut Input<'_>) {
    match decode::<Core>(raw) {
        Ok(mut core) if input.yes() => {
            core_field(&mut core, input);
            *raw = encode(&core);
        }
        _ => bytes(raw, input),
    }
}

/// Changes one field of a core to something that may stand there.
pub(crate) fn core_field(core: &mut Core, input: &mut Input<'_>) {
    let word = |input: &mut Input<'_>| input.one_of(WORDS).and_then(Word::parse);
    match input.byte() % 18 {
        0 => core.home = GenesisHash::new(Digest::from_bytes([input.byte(); 32])),
        1 => list(&mut core.edges, input),
        2 => with(&mut core.edges, input, |edge, input| edge.role = input.one_of(Role::ALL)),
        3 => core.modality = word(input).into_iter().collect(),
        4 => core.purpose = word(input).into_iter().collect(),
        5 => core.grade = word(input),
        6 => core.country = input.one_of(&["CN", "DE", "FR", ""]).get(..2).and_then(Country::parse),
        7 => core.date = Date::parse(input.one_of(DATES)),
        8 => core.origin = input.yes().then(|| input.one_of(Origin::ALL)),
        9 => core.held = input.yes().then(|| input.one_of(Held::ALL)),
        10 => core.strength = input.yes().then(|| input.one_of(DigestStrength::ALL)),
        11 => core.use_allowed = input.yes().then(|| input.yes()),
        12 => core.in_scope = input.yes().then(|| input.yes()),
        13 => core.basis = word(input),
        14 => core.mark = input.yes().then(|| input.one_of(Mark::ALL)),
        15 => core.nonce = input.array(),
        16 => core.details = Digest::from_bytes([input.byte(); 32]),
        _ => core.statement = input.yes().then(|| input.bytes(40).to_vec()),
    }
}

/// Words of the policy's vocabulary, and one that is not.
pub(crate) const WORDS: &[Option<&str>] = &[
    None,
    Some("general"),
    Some("important"),
    Some("core"),
    Some("visual"),
    Some("force-torque"),
    Some("tactile"),
    Some("grasp"),
    Some("weld"),
    Some("foreign-origin-transit"),
    Some("undetermined"),
    Some("nobody-knows"),
];

/// Days about those on which something happens in the honest world.
pub(crate) const DATES: &[&str] = &[
    "1970-01-01",
    "2026-04-02",
    "2026-04-10",
    "2026-04-18",
    "2026-05-20",
    "2026-05-25",
    "2026-06-01",
    "2026-06-30",
    "2026-07-01",
    "2028-04-17",
    "9999-12-31",
    "no day",
];

/// Changes one item, if there is one.
fn with<T>(items: &mut [T], input: &mut Input<'_>, edit: impl FnOnce(&mut T, &mut Input<'_>)) {
    let place = input.place(items.len());
    if let Some(item) = items.get_mut(place) {
        edit(item, input);
    }
}

/// Takes one item away, doubles or moves it, or cuts the list.
pub(crate) fn list<T: Clone>(items: &mut Vec<T>, input: &mut Input<'_>) {
    let (at, to) = (input.place(items.len()), input.place(items.len()));
    if items.is_empty() {
        return;
    }
    match input.byte() % 6 {
        0 => drop(items.remove(at)),
        1 => items.insert(to, items[at].clone()),
        2 => items.swap(at, to),
        3 => items.truncate(at),
        4 => items[to] = items[at].clone(),
        _ => items.reverse(),
    }
}

/// Changes bytes.
pub(crate) fn bytes(bytes: &mut Vec<u8>, input: &mut Input<'_>) {
    let at = input.place(bytes.len());
    match input.byte() % 5 {
        0 if !bytes.is_empty() => bytes[at] ^= input.byte(),
        1 => bytes.truncate(at),
        2 => bytes.push(input.byte()),
        3 if !bytes.is_empty() => drop(bytes.remove(at)),
        _ => {
            let new = input.bytes(48).to_vec();
            let end = (at + new.len()).min(bytes.len());
            bytes.splice(at.min(end)..end, new);
        }
    }
}

fn hash(hash: &mut Digest, input: &mut Input<'_>) {
    let mut raw = *hash.as_bytes();
    raw[input.place(32)] ^= input.byte();
    *hash = Digest::from_bytes(raw);
}
