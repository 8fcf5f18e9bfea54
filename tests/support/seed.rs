//! Randomness that can be had again.
//!
//! Every random test starts with [`Seed::for_test`], which prints the seed. To replay a failure, or
//! to look further:
//!
//! ```text
//! GRIPTRACE_SEED=0x6772697074726163 cargo test -p griptrace-tests name_of_the_test
//! GRIPTRACE_SEED=random cargo test -p griptrace-tests
//! ```

use core::hash::{BuildHasher as _, Hasher as _};
use std::hash::RandomState;

/// The seed unless another is asked for: a verdict on the same source stays the same.
const DEFAULT_SEED: u64 = u64::from_be_bytes(*b"griptrac");

/// A printed starting point.
#[derive(Clone, Copy, Debug)]
pub struct Seed(u64);

impl Seed {
    /// Takes the seed from `GRIPTRACE_SEED` (decimal, `0x` hexadecimal or `random`) or else the
    /// default, and prints it with the command that replays `test`.
    ///
    /// # Panics
    ///
    /// If `GRIPTRACE_SEED` is none of the three.
    #[must_use]
    #[expect(clippy::print_stdout, reason = "a failing test must show how to have it again")]
    pub fn for_test(test: &str) -> Self {
        let seed = match std::env::var_os("GRIPTRACE_SEED") {
            None => DEFAULT_SEED,
            Some(asked) => {
                let asked = asked.to_str().expect("GRIPTRACE_SEED is text");
                parse(asked).expect("GRIPTRACE_SEED is a number or the word random")
            }
        };
        println!("seed: GRIPTRACE_SEED={seed:#x} cargo test -p griptrace-tests {test}");
        Self(seed)
    }

    /// Starts at a number that was drawn from another seed, or handed over; prints nothing.
    #[must_use]
    pub const fn from_number(number: u64) -> Self {
        Self(number)
    }

    /// Returns the stream of numbers that starts here.
    #[must_use]
    pub fn rng(self) -> Rng {
        Rng { state: self.0 }
    }
}

fn parse(asked: &str) -> Option<u64> {
    if asked == "random" {
        return Some(RandomState::new().build_hasher().finish());
    }
    match asked.strip_prefix("0x") {
        Some(digits) => u64::from_str_radix(digits, 16).ok(),
        None => asked.parse().ok(),
    }
}

/// A small deterministic generator (splitmix64). Not for keys, salts or nonces.
#[derive(Clone, Debug)]
pub struct Rng {
    state: u64,
}

impl Rng {
    /// Returns the next 64 bits.
    pub fn next_u64(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// Returns a number below `bound`, each about as likely.
    ///
    /// # Panics
    ///
    /// If `bound` is 0.
    pub fn below(&mut self, bound: u64) -> u64 {
        assert!(bound > 0, "there is no number below 0");
        self.next_u64() % bound
    }

    /// Returns a place in a list of `len` items.
    ///
    /// # Panics
    ///
    /// If the list is empty.
    pub fn index(&mut self, len: usize) -> usize {
        let bound = u64::try_from(len).expect("a length fits 64 bits");
        usize::try_from(self.below(bound)).expect("it is below a length")
    }

    /// Returns true once in `times`.
    pub fn one_in(&mut self, times: u64) -> bool {
        self.below(times) == 0
    }

    /// Fills `bytes`.
    pub fn fill(&mut self, bytes: &mut [u8]) {
        for chunk in bytes.chunks_mut(8) {
            let drawn = self.next_u64().to_le_bytes();
            chunk.copy_from_slice(&drawn[..chunk.len()]);
        }
    }

    /// Returns an array of drawn bytes.
    pub fn array<const N: usize>(&mut self) -> [u8; N] {
        let mut bytes = [0; N];
        self.fill(&mut bytes);
        bytes
    }

    /// Returns `len` drawn bytes.
    pub fn bytes(&mut self, len: usize) -> Vec<u8> {
        let mut bytes = vec![0; len];
        self.fill(&mut bytes);
        bytes
    }

    /// Puts `items` into a drawn order.
    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            items.swap(last, self.index(last + 1));
        }
    }
}
