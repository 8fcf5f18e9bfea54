//! Updates and evidence of forks: as they come, with first line and digest made for them, and made of any two files.

use griptrace_core::{
    bundle::bundle_digest,
    digest::UPDATE,
    fork::Fork,
    update::{MAGIC, Part, Patch, Update},
};

use super::{fixtures, guard::bounded, input::Input, lax::is_deterministic};

pub(crate) fn run(data: &[u8]) {
    let mut input = Input::new(data);
    match input.byte() % 5 {
        0 => read(input.rest()),
        1 => read(&framed(input.rest())),
        2 => fork(input.rest()),
        3 => between(&mut input),
        _ => applied(&mut input),
    }
}

/// Puts bytes between first line and digest.
fn framed(body: &[u8]) -> Vec<u8> {
    let mut file = [MAGIC, body].concat();
    let digest = UPDATE.hash(&file);
    file.extend_from_slice(digest.as_bytes());
    file
}

fn read(file: &[u8]) {
    match bounded(file.len(), || Update::view(file)) {
        Ok((update, digest)) => {
            assert_eq!(update.to_bytes(), file);
            assert_eq!(digest.as_bytes(), &file[file.len() - 32..]);
            is_deterministic(&file[MAGIC.len()..file.len() - 32]);
            assert!(update.patch.is_some() || !update.withdrawals.is_empty());
            let base = &fixtures::all()[0].file;
            let Some(patch) = update.patch else { return };
            // Whatever it copies, it makes no more than both have.
            let patch = Patch { base: bundle_digest(base), ..patch };
            let made = bounded(file.len() + base.len(), || patch.apply(base));
            assert!(made.is_ok_and(|made| bundle_digest(&made) == patch.result) || patch.apply(base).is_err());
        }
        Err(error) => assert!(!error.to_string().is_empty() && !error.code().is_empty()),
    }
}

/// Nothing is evidence but two roots of one size under one key, and no such bytes can be made without it.
fn fork(bytes: &[u8]) {
    match bounded(bytes.len(), || Fork::parse(bytes)) {
        Ok(fork) => {
            assert_eq!(fork.to_text().as_bytes(), bytes);
            match fork.check(&fork.vkey.clone()) {
                Ok(shown) => assert_ne!(shown.roots[0], shown.roots[1]),
                Err(error) => assert!(!error.to_string().is_empty() && !error.code().is_empty()),
            }
        }
        Err(error) => assert!(!error.to_string().is_empty() && !error.is_readable()),
    }
}

/// A patch between any two files makes the second of the first, and nothing of another.
fn between(input: &mut Input<'_>) {
    let base = input.bytes(200).to_vec();
    // The second file is made of pieces of the first one and of bytes of its own.
    let mut result = Vec::new();
    while !input.is_empty() && result.len() < 4_000 {
        let (from, len) = (input.place(base.len() + 1), usize::from(input.byte()));
        result.extend_from_slice(&base[from..(from + len).min(base.len())]);
        result.extend_from_slice(input.bytes(20));
    }
    let patch = Patch::between(&base, &result);
    let file = Update { patch: Some(patch.clone()), withdrawals: Vec::new() }.to_bytes();
    match Update::view(&file) {
        Ok((read, _)) => assert_eq!(read.patch.as_ref(), Some(&patch)),
        Err(_) => assert!(result.is_empty(), "only what makes nothing is no update"),
    }
    assert_eq!(patch.apply(&base).as_ref(), Ok(&result));
    let literal: usize =
        patch.parts.iter().map(|part| if let Part::Literal(bytes) = part { bytes.len() } else { 0 }).sum();
    assert!(literal <= result.len());
    assert_eq!(patch.apply(&[base.as_slice(), &[0]].concat()).unwrap_err().code(), "update-base-mismatch");
}

/// A patch of an honest bundle, changed in one byte, makes nothing.
fn applied(input: &mut Input<'_>) {
    let all = fixtures::all();
    let (base, result) = (&all[input.place(all.len())].file, &all[input.place(all.len())].file);
    let mut file = Update { patch: Some(Patch::between(base, result)), withdrawals: Vec::new() }.to_bytes();
    let (place, change) = (input.place(file.len() - 32 - MAGIC.len()) + MAGIC.len(), input.byte());
    file[place] ^= change;
    let file = framed(&file[MAGIC.len()..file.len() - 32]);
    let Ok((update, _)) = Update::view(&file) else { return };
    let patch = update.patch.expect("it is none of withdrawals alone");
    assert!(patch.apply(base).is_err() || patch.apply(base).as_ref() == Ok(result));
}
