//! Lies told blindly: no change of any byte, no cut and no addition is accepted.

use core::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use griptrace_core::bundle::{Bundle, MAGIC};
use griptrace_tests::seed::Seed;
use griptrace_verifier::{policy::Policy, question::Question, trust::Trust, verify::verify};

use super::logs::rehashed;
use crate::world::{Case, is_less_cosigned};

/// A buyer whose files were read once.
struct Ready {
    trust: Trust,
    policy: Policy,
    question: Question,
}

impl Ready {
    fn new(case: &Case) -> Self {
        let (trust, policy) = (case.buyer.read_trust(), case.buyer.read_policy());
        Self { trust, policy, question: case.buyer.question.clone() }
    }

    fn accepts(&self, bytes: &[u8]) -> bool {
        verify(bytes, &self.trust, &self.policy, &self.question).is_ok_and(|report| report.policy_met)
    }
}

/// Runs `work` for every number below `count`, on two threads, and returns those for which it holds.
fn those_that(count: usize, work: impl Fn(usize) -> bool + Sync) -> Vec<usize> {
    let next = AtomicUsize::new(0);
    let run = || {
        let mut found = Vec::new();
        loop {
            let number = next.fetch_add(1, Ordering::Relaxed);
            if number >= count {
                return found;
            }
            if work(number) {
                found.push(number);
            }
        }
    };
    thread::scope(|scope| {
        let threads: Vec<_> = (0..2).map(|_| scope.spawn(run)).collect();
        threads.into_iter().flat_map(|thread| thread.join().expect("nothing panics")).collect()
    })
}

#[test]
fn no_flipped_bit_is_accepted() {
    let case = Case::honest();
    let (file, ready) = (case.file(), Ready::new(&case));
    assert!(ready.accepts(&file));
    let accepted = those_that(file.len() * 8, |bit| {
        let mut flipped = file.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        ready.accepts(&flipped)
    });
    assert_eq!(accepted, [0_usize; 0], "bits that may be flipped");
}

/// The digest at the end needs no key: whoever flips a bit makes it anew.
#[test]
fn no_flipped_bit_is_accepted_under_a_new_digest() {
    let case = Case::honest();
    let (file, ready) = (case.file(), Ready::new(&case));
    let mut rng = Seed::for_test("attacks::blind").rng();
    let bits: Vec<u8> = (0..file.len()).map(|_| 1 << rng.below(8)).collect();
    let body = file.len() - 32 - MAGIC.len();
    let honest = case.world.build().bundle;
    let accepted = those_that(body, |at| {
        let other = rehashed(&file, |bytes| bytes[at] ^= bits[at]);
        let less = || Bundle::from_bytes(&other).is_ok_and(|bundle| is_less_cosigned(&bundle, &honest));
        ready.accepts(&other) && !less()
    });
    assert_eq!(accepted, [0_usize; 0], "bytes that may be changed");
}

#[test]
fn no_cut_is_accepted() {
    let case = Case::honest();
    let (file, ready) = (case.file(), Ready::new(&case));
    let cut = those_that(file.len(), |at| ready.accepts(&file[..at]));
    assert_eq!(cut, [0_usize; 0], "places to cut");
    let body = file.len() - 32 - MAGIC.len();
    let cut = those_that(body, |at| ready.accepts(&rehashed(&file, |bytes| bytes.truncate(at))));
    assert_eq!(cut, [0_usize; 0], "places to cut, digest anew");
}

#[test]
fn nothing_appended_is_accepted() {
    let case = Case::honest();
    let (file, ready) = (case.file(), Ready::new(&case));
    for byte in 0..=u8::MAX {
        let longer = [file.as_slice(), &[byte]].concat();
        assert!(!ready.accepts(&longer), "{byte}");
        assert!(!ready.accepts(&rehashed(&file, |bytes| bytes.push(byte))), "{byte}, digest anew");
    }
    assert!(!ready.accepts(&[file.as_slice(), &file].concat()), "twice the file");
}
