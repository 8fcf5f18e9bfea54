use alloc::{vec, vec::Vec};

use super::*;

/// Bytes that do not repeat, other ones for each seed.
fn noise(seed: u64, len: usize) -> Vec<u8> {
    let block = |number: u64| *UPDATE.hash(&[seed.to_be_bytes(), number.to_be_bytes()].concat()).as_bytes();
    (0..).flat_map(block).take(len).collect()
}

fn there_and_back(base: &[u8], result: &[u8]) -> Vec<u8> {
    let update = Update { patch: Some(Patch::between(base, result)), withdrawals: Vec::new() };
    let file = update.to_bytes();
    let (read, _) = Update::view(&file).unwrap();
    assert_eq!(read, update);
    assert_eq!(read.patch.unwrap().apply(base).unwrap(), result);
    file
}

#[test]
fn what_changed_here_and_there_costs_little() {
    let base = noise(1, 40_000);
    let mut result = base.clone();
    // A hash here and there is another one; bytes come in between and go.
    for at in [100, 900, 932, 20_000, 39_900] {
        result[at..at + 32].copy_from_slice(&noise(2 + u64::try_from(at).unwrap(), 32));
    }
    result.splice(5_000..5_000, noise(9, 77));
    result.drain(30_000..31_000);
    let file = there_and_back(&base, &result);
    assert!(file.len() < 77 + 5 * 32 + 300, "{} bytes", file.len());
}

#[test]
fn a_hash_that_stayed_between_two_that_did_not_is_copied() {
    let base = noise(1, 32 * 100);
    let mut result = base.clone();
    for place in (0..100).step_by(2) {
        result[place * 32..place * 32 + 32].copy_from_slice(&noise(50 + u64::try_from(place).unwrap(), 32));
    }
    let file = there_and_back(&base[..], &[&noise(3, 5), &result[..]].concat());
    assert!(file.len() < 50 * 32 + 50 * 9 + 200, "{} bytes", file.len());
}

#[test]
fn a_hit_far_ahead_does_not_cost_what_stands_before_it() {
    let base = noise(1, 20_000);
    // Bytes from the end come first, then everything as it was.
    let result = [&base[19_000..19_040], &noise(2, 10), &base].concat();
    let file = there_and_back(&base, &result);
    assert!(file.len() < 300, "{} bytes", file.len());
}

#[test]
fn nothing_in_common_and_all_in_common_are_patches_too() {
    for (base, result) in [
        (noise(1, 1_000), noise(2, 1_000)),
        (noise(1, 1_000), noise(1, 1_000)),
        (Vec::new(), noise(1, 3)),
        (noise(1, 3), noise(1, 17)),
        (vec![0; 1_000], vec![0; 999]),
        ([vec![0; 64], noise(1, 64), vec![0; 64]].concat(), [noise(1, 64), vec![0; 200], noise(1, 64)].concat()),
    ] {
        there_and_back(&base, &result);
    }
}

fn file_of(parts: Vec<Part<'_>>) -> Vec<u8> {
    let base = noise(1, 100);
    let patch = Patch { base: bundle_digest(&base), result: Digest::ZERO, parts };
    Update { patch: Some(patch), withdrawals: Vec::new() }.to_bytes()
}

#[track_caller]
fn assert_malformed(file: &[u8]) {
    assert_eq!(Update::view(file).unwrap_err().code(), "update-malformed");
}

#[test]
fn parts_that_overlap_go_backward_or_hold_nothing_are_refused() {
    let copy = |offset, len| Part::Copy { offset, len };
    assert!(Update::view(&file_of(vec![copy(0, 10), copy(11, 10)])).is_ok());
    assert!(Update::view(&file_of(vec![copy(0, 10), Part::Literal(b"x"), copy(10, 10)])).is_ok());
    for parts in [
        vec![copy(0, 10), copy(9, 10)],
        vec![copy(50, 10), copy(0, 10)],
        vec![copy(50, 10), Part::Literal(b"x"), copy(59, 1)],
        vec![copy(0, 10), copy(10, 10)],
        vec![copy(0, 0)],
        vec![Part::Literal(b"")],
        vec![Part::Literal(b"a"), Part::Literal(b"b")],
        vec![copy(0, usize::MAX)],
        vec![copy(usize::MAX, 1), copy(usize::MAX, 1)],
        vec![],
    ] {
        assert_malformed(&file_of(parts));
    }
}

#[test]
fn what_is_only_claimed_costs_nothing() {
    let base = noise(1, 100);
    let apply = |parts| {
        let file = file_of(parts);
        let patch = Update::view(&file).unwrap().0.patch.unwrap();
        patch.apply(&base).unwrap_err().code()
    };
    assert_eq!(apply(vec![Part::Copy { offset: 0, len: BUNDLE_BYTES_MAX }]), "update-beyond-base");
    assert_eq!(apply(vec![Part::Copy { offset: 101, len: 1 }]), "update-beyond-base");
    assert_eq!(apply(vec![Part::Copy { offset: 0, len: 100 }]), "update-result-mismatch");
    let patch = Patch::between(&base, b"new");
    assert_eq!(patch.apply(b"another").unwrap_err().code(), "update-base-mismatch");
}

#[test]
fn withdrawals_may_come_alone_each_once() {
    let update = |withdrawals: Vec<&'static [u8]>| Update { patch: None, withdrawals }.to_bytes();
    assert_eq!(Update::view(&update(vec![b"a", b"b"])).unwrap().0.withdrawals, [b"a", b"b"]);
    assert_malformed(&update(vec![]));
    assert_malformed(&update(vec![b"b", b"a"]));
    assert_malformed(&update(vec![b"a", b"a"]));
    let halved =
        Update { patch: Some(Patch { parts: Vec::new(), ..Patch::between(b"", b"x") }), withdrawals: vec![b"a"] };
    assert_malformed(&halved.to_bytes());
}

#[test]
fn no_bit_and_no_byte_of_a_file_may_change() {
    let file = there_and_back(&noise(1, 200), &[noise(1, 90), noise(2, 10)].concat());
    for at in 0..file.len() {
        let mut other = file.clone();
        other[at] ^= 1;
        assert!(Update::view(&other).is_err(), "byte {at}");
        assert!(Update::view(&file[..at]).is_err(), "cut at {at}");
    }
    assert!(Update::view(&[file, vec![0]].concat()).is_err());
    let code = |bytes: &[u8]| Update::view(bytes).unwrap_err().code();
    assert_eq!(code(b"griptrace bundle v1\n"), "not-an-update");
    assert_eq!(code(b"griptrace update v2\n"), "update-version");
    assert_eq!(code(MAGIC), "update-size");
    assert_eq!(code(&[MAGIC, &[0; 40]].concat()), "update-digest-mismatch");
}
