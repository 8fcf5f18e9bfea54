//! Many short hashes at once.
//!
//! A hash of at most 64 bytes is one call of BLAKE3's compression function, and one call waits for itself from its
//! first step to its last: the processor does several in the time of one, if they are independent. Whole blocks of 64
//! bytes go through the vector code of the `blake3` crate ([`hash_blocks`]); that code knows no shorter ones, so those
//! are done side by side here ([`hash_short`]). Both give what [`blake3::keyed_hash`] gives, and the tests hold them
//! to that.

use alloc::vec::Vec;

use blake3::{
    IncrementCounter,
    platform::{Platform, words_from_le_bytes_32},
};

use super::Digest;

/// Flags of BLAKE3 (section 2.2 of its paper) for a keyed hash whose input is one block of one chunk, and so the root.
const ONE_BLOCK: u8 = CHUNK_START | CHUNK_END | ROOT | KEYED_HASH;
const CHUNK_START: u8 = 1;
const CHUNK_END: u8 = 1 << 1;
const ROOT: u8 = 1 << 3;
const KEYED_HASH: u8 = 1 << 4;

/// Blocks that are gathered before they are hashed: as many as the widest vectors take.
const GATHERED: usize = 16;

/// Hashes blocks of 64 bytes with a key, appending the digests to `digests` in order.
pub(super) fn hash_blocks(key: &[u8; 32], blocks: impl Iterator<Item = [u8; 64]>, digests: &mut Vec<Digest>) {
    let platform = Platform::detect();
    let key = words_from_le_bytes_32(key);
    let mut gathered = [[0; 64]; GATHERED];
    let mut blocks = blocks.fuse();
    loop {
        let mut count: usize = 0;
        for (place, block) in gathered.iter_mut().zip(&mut blocks) {
            *place = block;
            count = count.saturating_add(1);
        }
        let inputs = gathered.each_ref();
        let Some(inputs) = inputs.get(..count).filter(|inputs| !inputs.is_empty()) else { return };
        let mut out = [[0; 32]; GATHERED];
        platform.hash_many(inputs, &key, 0, IncrementCounter::No, ONE_BLOCK, 0, 0, out.as_flattened_mut());
        digests.extend(out.iter().take(count).map(|digest| Digest(*digest)));
    }
}

/// How many short inputs are hashed side by side.
pub(super) const LANES: usize = 32;

/// From how many inputs on hashing side by side is faster.
pub(super) const WORTHWHILE: usize = 16;

/// The first words of the initial state's second half: those of SHA-256.
const IV: [u32; 4] = [0x6a09_e667, 0xbb67_ae85, 0x3c6e_f372, 0xa54f_f53a];

/// Hashes inputs of the same length, at most 64 bytes, padded with zeros to a block, side by side.
///
/// This is BLAKE3's compression function (section 2.2 of its paper) in one loop over the lanes, which the compiler
/// turns into vectors: it does so only because the seven rounds are written out. All lanes take about the time of
/// [`WORTHWHILE`] hashes one by one.
#[expect(clippy::indexing_slicing, reason = "a lane is below LANES, which is how long every word is")]
pub(super) fn hash_short(key: &[u8; 32], blocks: &[[u8; 64]; LANES], length: u32) -> [Digest; LANES] {
    let key = words_from_le_bytes_32(key);
    let [i0, i1, i2, i3] = IV;
    let [k0, k1, k2, k3, k4, k5, k6, k7] = key;
    let start = [k0, k1, k2, k3, k4, k5, k6, k7, i0, i1, i2, i3, 0, 0, length, u32::from(ONE_BLOCK)];
    let message = words(blocks);
    let mut out = [[0; LANES]; 8];
    for lane in 0..LANES {
        let mut m = [0; 16];
        for word in 0..16 {
            m[word] = message[word][lane];
        }
        let mut s = start;
        round(&mut s, &m);
        m = permuted(&m);
        round(&mut s, &m);
        m = permuted(&m);
        round(&mut s, &m);
        m = permuted(&m);
        round(&mut s, &m);
        m = permuted(&m);
        round(&mut s, &m);
        m = permuted(&m);
        round(&mut s, &m);
        m = permuted(&m);
        round(&mut s, &m);
        let (low, high) = s.split_at(8);
        for word in 0..8 {
            out[word][lane] = low[word] ^ high[word];
        }
    }
    let mut digests = [[0_u8; 32]; LANES];
    for (place, words) in out.iter().enumerate() {
        for (digest, word) in digests.iter_mut().zip(words) {
            if let Some(bytes) = digest.as_chunks_mut::<4>().0.get_mut(place) {
                *bytes = word.to_le_bytes();
            }
        }
    }
    digests.map(Digest)
}

/// Turns blocks into words, each word of all blocks together.
fn words(blocks: &[[u8; 64]; LANES]) -> [[u32; LANES]; 16] {
    let mut words = [[0; LANES]; 16];
    for (lane, block) in blocks.iter().enumerate() {
        for (word, bytes) in words.iter_mut().zip(block.as_chunks::<4>().0) {
            if let Some(place) = word.get_mut(lane) {
                *place = u32::from_le_bytes(*bytes);
            }
        }
    }
    words
}

/// The order in which the next round takes the words.
#[expect(clippy::inline_always, reason = "a call in the loop over the lanes would keep it from becoming vectors")]
#[inline(always)]
fn permuted(message: &[u32; 16]) -> [u32; 16] {
    let [m0, m1, m2, m3, m4, m5, m6, m7, m8, m9, m10, m11, m12, m13, m14, m15] = *message;
    [m2, m6, m3, m10, m7, m0, m4, m13, m1, m11, m12, m5, m9, m14, m15, m8]
}

#[expect(clippy::inline_always, reason = "a call in the loop over the lanes would keep it from becoming vectors")]
#[inline(always)]
fn round(state: &mut [u32; 16], message: &[u32; 16]) {
    let [s0, s1, s2, s3, s4, s5, s6, s7, s8, s9, s10, s11, s12, s13, s14, s15] = state;
    let [m0, m1, m2, m3, m4, m5, m6, m7, m8, m9, m10, m11, m12, m13, m14, m15] = *message;
    mix([s0, s4, s8, s12], m0, m1);
    mix([s1, s5, s9, s13], m2, m3);
    mix([s2, s6, s10, s14], m4, m5);
    mix([s3, s7, s11, s15], m6, m7);
    mix([s0, s5, s10, s15], m8, m9);
    mix([s1, s6, s11, s12], m10, m11);
    mix([s2, s7, s8, s13], m12, m13);
    mix([s3, s4, s9, s14], m14, m15);
}

/// The quarter round.
#[expect(clippy::inline_always, reason = "a call in the loop over the lanes would keep it from becoming vectors")]
#[inline(always)]
fn mix([a, b, c, d]: [&mut u32; 4], one: u32, other: u32) {
    *a = a.wrapping_add(*b).wrapping_add(one);
    *d = (*d ^ *a).rotate_right(16);
    *c = c.wrapping_add(*d);
    *b = (*b ^ *c).rotate_right(12);
    *a = a.wrapping_add(*b).wrapping_add(other);
    *d = (*d ^ *a).rotate_right(8);
    *c = c.wrapping_add(*d);
    *b = (*b ^ *c).rotate_right(7);
}
