//! Digests, and the one table of hash contexts (docs/spec/hashes.md).

mod many;

use alloc::vec::Vec;
use core::fmt;

/// A 32-byte digest. Which hash made it is told by the type or field that holds it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Digest([u8; 32]);

impl Digest {
    /// All zero bytes: the root of an empty status map, and nothing else.
    pub const ZERO: Self = Self([0; 32]);

    /// Wraps the bytes of a digest.
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// Returns the digest in a slice of exactly 32 bytes.
    pub fn from_slice(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(Self)
    }

    /// Returns the bytes.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// Parses 64 hexadecimal digits (either case).
    pub fn from_hex(text: &str) -> Option<Self> {
        let text = text.as_bytes();
        if text.len() != 64 {
            return None;
        }
        let mut out = [0; 32];
        for (byte, pair) in out.iter_mut().zip(text.chunks_exact(2)) {
            let [high, low] = pair else { return None };
            *byte = (nibble(*high)? << 4) | nibble(*low)?;
        }
        Some(Self(out))
    }
}

fn nibble(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).and_then(|value| u8::try_from(value).ok())
}

impl fmt::Display for Digest {
    /// Writes 64 lower-case hexadecimal digits.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digit = |nibble: u8| b"0123456789abcdef".get(usize::from(nibble)).copied().unwrap_or(b'?');
        let mut text = [0; 64];
        for (pair, byte) in text.as_chunks_mut::<2>().0.iter_mut().zip(&self.0) {
            *pair = [digit(byte >> 4), digit(byte & 15)];
        }
        f.write_str(core::str::from_utf8(&text).unwrap_or("?"))
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// What a hash is for. Each context has its own key, so that no bytes hash alike in two roles.
///
/// The hash of `x` in a context is keyed BLAKE3 with the 32-byte key
/// `BLAKE3.derive_key(context string, "")`. The table of strings and keys stands in
/// docs/spec/hashes.md.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Context {
    /// The BLAKE3 context string.
    pub name: &'static str,
    key: [u8; 32],
}

impl Context {
    /// Hashes `bytes` in this context.
    pub fn hash(&self, bytes: &[u8]) -> Digest {
        Digest(*blake3::keyed_hash(&self.key, bytes).as_bytes())
    }

    /// Hashes the concatenation of `parts` in this context.
    pub fn hash_parts(&self, parts: &[&[u8]]) -> Digest {
        let mut hasher = blake3::Hasher::new_keyed(&self.key);
        for part in parts {
            hasher.update(part);
        }
        Digest(*hasher.finalize().as_bytes())
    }

    /// Hashes two digests side by side: the inner node of our own trees, one 64-byte block.
    pub fn hash_pair(&self, left: &Digest, right: &Digest) -> Digest {
        self.hash(&joined(left, right))
    }

    /// Hashes many pairs of digests, appending to `digests` in order what [`Context::hash_pair`] gives for each.
    ///
    /// A fifth of the time and less, where the processor has wide vectors.
    pub fn hash_pairs(&self, pairs: &[[Digest; 2]], digests: &mut Vec<Digest>) {
        match pairs {
            [] => {}
            [[left, right]] => digests.push(self.hash_pair(left, right)),
            _ => many::hash_blocks(&self.key, pairs.iter().map(|[left, right]| joined(left, right)), digests),
        }
    }

    /// Hashes many blocks of 64 bytes, appending to `digests` in order what [`Context::hash`] gives for each.
    pub fn hash_blocks(&self, blocks: impl IntoIterator<Item = [u8; 64]>, digests: &mut Vec<Digest>) {
        many::hash_blocks(&self.key, blocks.into_iter(), digests);
    }

    /// Hashes many inputs of `N` bytes, at most 64, appending to `digests` in order what [`Context::hash`] gives for
    /// each. For whole blocks [`Context::hash_blocks`] is faster.
    pub fn hash_short<const N: usize>(&self, inputs: impl IntoIterator<Item = [u8; N]>, digests: &mut Vec<Digest>) {
        const { assert!(N <= 64, "one block") };
        let length = u32::try_from(N).unwrap_or(0);
        let mut inputs = inputs.into_iter().fuse();
        loop {
            let mut blocks = [[0; 64]; many::LANES];
            let mut count: usize = 0;
            for (block, input) in blocks.iter_mut().zip(&mut inputs) {
                block.iter_mut().zip(input).for_each(|(to, from)| *to = from);
                count = count.saturating_add(1);
            }
            if count == 0 {
                return;
            }
            if count >= many::WORTHWHILE {
                digests.extend(many::hash_short(&self.key, &blocks, length).into_iter().take(count));
            } else {
                let inputs = blocks.iter().take(count).filter_map(|block| block.get(..N));
                digests.extend(inputs.map(|input| self.hash(input)));
            }
        }
    }

    /// Returns the key of this context.
    pub const fn key(&self) -> &[u8; 32] {
        &self.key
    }
}

/// Puts two digests side by side.
fn joined(left: &Digest, right: &Digest) -> [u8; 64] {
    let mut block = [0; 64];
    let (first, second) = block.split_at_mut(32);
    first.copy_from_slice(&left.0);
    second.copy_from_slice(&right.0);
    block
}

/// Plain BLAKE3 of `bytes`: the content digest of a file. No context, so that `b3sum` agrees.
pub fn file_digest(bytes: &[u8]) -> Digest {
    Digest(*blake3::hash(bytes).as_bytes())
}

macro_rules! contexts {
    ($($(#[$doc:meta])* $id:ident = $name:literal, $key:literal;)*) => {
        $($(#[$doc])* pub const $id: Context = Context { name: $name, key: unhex($key) };)*
        /// Every context, in the order of the table in docs/spec/hashes.md.
        pub const ALL_CONTEXTS: &[Context] = &[$($id),*];
    };
}

#[expect(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "runs at compile time, over the literals below"
)]
pub(crate) const fn unhex(text: &str) -> [u8; 32] {
    let text = text.as_bytes();
    let mut out = [0; 32];
    let mut i = 0;
    while i < 32 {
        out[i] = (digit(text[2 * i]) << 4) | digit(text[2 * i + 1]);
        i += 1;
    }
    out
}

#[expect(clippy::arithmetic_side_effects, reason = "runs at compile time, over the literals below")]
const fn digit(c: u8) -> u8 {
    match c {
        b'0'..=b'9' => c - b'0',
        b'a'..=b'f' => c - b'a' + 10,
        _ => panic!("not a lower-case hexadecimal digit"),
    }
}

contexts! {
    /// The id of a node, over the bytes of its core.
    NODE = "griptrace 2026-11 v1 node id", "11116d9c6730691d6e3a637d65a343397383767d41a36d04fe2af59157bba22e";
    /// An inner node of a commit's tree; its leaves are the sorted node ids.
    COMMIT_TREE = "griptrace 2026-11 v1 commit tree", "d0581bb000cad1938660a62d1ed4800778ea7dc6c344f0cde9d628baa91cab21";
    /// A detail's value, over its CBOR bytes.
    DETAIL_VALUE = "griptrace 2026-11 v1 detail value", "11f4f91e150ac6a6226e01d1d77f41b3571c57470b8913bef247967084f0dfdb";
    /// The value digest of an absent detail, over no bytes.
    DETAIL_ABSENT = "griptrace 2026-11 v1 detail absent", "20f4b1b9237637a532f8424f601e653228bee8653a95bc2de5b389f62d3c07fb";
    /// A leaf of the details tree: one 64-byte block.
    DETAIL_LEAF = "griptrace 2026-11 v1 detail leaf", "e8f9fcd24e72fa4bb3128b0b13ecbb3eadadc7c54c395768b86e84f313d08ebf";
    /// An inner node of the details tree.
    DETAIL_TREE = "griptrace 2026-11 v1 detail tree", "eed3a964906b623c8b3bd2ba27dbeca0eca912f5ed450c524e609ee3808c4520";
    /// The salt of one detail slot, over the node's secret seed and the slot.
    DETAIL_SALT = "griptrace 2026-11 v1 detail salt", "1b043b5cc07c636e27390ea591db4bd3ee84ed44930581e76758cc87edeaa478";
    /// A leaf of a manifest, over salt and file record.
    MANIFEST_LEAF = "griptrace 2026-11 v1 manifest leaf", "dcee150b3d4ba63c37b0645e03746da9821f2210fa5a211a7fec17a01fdc8f10";
    /// An inner node of a manifest tree.
    MANIFEST_TREE = "griptrace 2026-11 v1 manifest tree", "02faf11f7df23b415fdad9ba33c25738fe67cb4ff0cc8e14ddcbc0929da4875c";
    /// The salt of one manifest leaf, over the manifest's secret seed and the leaf's index.
    MANIFEST_SALT = "griptrace 2026-11 v1 manifest salt", "04b7fda3ef01d8dd7bd3dc1b8b13a02ff2bbbdce0347a392ebeb205028d403ef";
    /// The content digest of a set of files, over their sorted records.
    CONTENT = "griptrace 2026-11 v1 content", "3426753a1698348b5fb8b40b0aab6264cb002c44b092b698251296a77335a552";
    /// A leaf of an assessment's subject tree, over salt and node id.
    SUBJECT_LEAF = "griptrace 2026-11 v1 subject leaf", "e9f79ae566d5149e39eba9f5a6291e9136f3cbf59640bfb1affd4a86462c6889";
    /// An inner node of an assessment's subject tree.
    SUBJECT_TREE = "griptrace 2026-11 v1 subject tree", "44acbae916ebf2557ada019c0038d411e902acd30f7db181b7d9ac4dfb2d597f";
    /// An assessor's statement, over its payload: also its key in the status map.
    STATEMENT = "griptrace 2026-11 v1 statement", "b70f03f5b6e5aba98b7d0766b2dd2c9dfdbe375121ca9181d7683e6b04a99e84";
    /// Where a key stands in the status map.
    STATUS_POSITION = "griptrace 2026-11 v1 status position", "c98e12702b7d61a9b4def3a26fb5031459c7275b78cbbe8e3efed3808e81aa42";
    /// A leaf of the status map.
    STATUS_LEAF = "griptrace 2026-11 v1 status leaf", "93cd29ca4e84a83327fc0a07d4d265b9d065730135900376251c7abd9d5b5293";
    /// An inner node of the status map.
    STATUS_TREE = "griptrace 2026-11 v1 status tree", "95ba56f3a050759bba83ddbefcd1715022c8fd9a426a1400cf38a6ea83343bf0";
    /// All status ids of one key, in log order.
    STATUS_VALUE = "griptrace 2026-11 v1 status value", "90f9fcf59c18e1ceddfc1379547114ff2be672abba6942320de08191af124043";
    /// A log's genesis hash, over its first entry: the home of its nodes.
    GENESIS = "griptrace 2026-11 v1 genesis", "a86dad87f1c219538b78a3e70358693597b658a79ff76dc4c3df5def7f24f8be";
    /// The full hash of a public key: COSE's key id.
    KEY = "griptrace 2026-11 v1 key", "93cf3f0655bdd7d020377c904a57bfa500b3720e1d6f2445330b1dea9334eef3";
    /// The digest of a key change's entry: what stands in the status map for it.
    KEY_CHANGE = "griptrace 2026-11 v1 key change", "03270a98ba50c9ff58d00057d04d2e6467126690bf11f0cd9d1f85d8ed3c93bc";
    /// The key of the status map for a public key, over its key id.
    KEY_STATUS = "griptrace 2026-11 v1 key status", "4f21d92bc97434e18fef11959ad0df2c993e01e81e29250f8a106f6a67682465";
    /// The digest at a bundle's end, over every byte before it.
    BUNDLE = "griptrace 2026-11 v1 bundle", "2d23b7924c13ed4d4aac8f06ab97f74745b10ec9bc0b73e88872d99c227b4baf";
    /// The digest that reports name a bundle by, over the whole file.
    BUNDLE_ID = "griptrace 2026-11 v1 bundle id", "48341e586201bbb72ba9a32e5592411af0c598486fcce1273f7a4ec03e8ea6d6";
    /// A store's private lookup of what was recorded before (R10).
    LOOKUP = "griptrace 2026-11 v1 lookup", "05e282c4377de4bbd790f7a6646eca672747e19d59ebaec59395c3124ba8f314";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_key_is_derived_from_its_context_string() {
        for context in ALL_CONTEXTS {
            let expected = Digest(blake3::derive_key(context.name, b""));
            assert_eq!(Digest(context.key), expected, "{}", context.name);
        }
    }

    /// 200 different blocks: more than the widest vectors take, and every remainder on the way there.
    fn blocks() -> Vec<[u8; 64]> {
        (0..200_u64).map(|i| joined(&NODE.hash(&i.to_be_bytes()), &LOOKUP.hash(&i.to_le_bytes()))).collect()
    }

    #[test]
    fn many_blocks_at_once_hash_as_one_by_one() {
        let blocks = blocks();
        for context in [DETAIL_LEAF, COMMIT_TREE] {
            for count in 0..=blocks.len() {
                let mut many = Vec::from([Digest::ZERO]);
                context.hash_blocks(blocks[..count].iter().copied(), &mut many);
                assert_eq!(many[0], Digest::ZERO, "what was there stays");
                let single =
                    blocks[..count].iter().map(|block| Digest(*blake3::keyed_hash(&context.key, block).as_bytes()));
                assert!(many[1..].iter().copied().eq(single), "{count} blocks");
            }
        }
    }

    #[test]
    fn many_pairs_at_once_hash_as_one_by_one() {
        let halves: Vec<Digest> = (0..400_u64).map(|i| NODE.hash(&i.to_be_bytes())).collect();
        let (pairs, _) = halves.as_chunks::<2>();
        for count in 0..=pairs.len() {
            let mut many = Vec::new();
            STATUS_TREE.hash_pairs(&pairs[..count], &mut many);
            assert!(
                many.iter().copied().eq(pairs[..count].iter().map(|[l, r]| STATUS_TREE.hash_pair(l, r))),
                "{count}"
            );
        }
    }

    fn check_short<const N: usize>() {
        let inputs: Vec<[u8; N]> =
            blocks().iter().map(|block| core::array::from_fn(|i| block.get(i).copied().unwrap_or(0))).collect();
        for count in [0, 1, 2, 7, 8, 9, 15, 16, 17, 32, 33, 200] {
            let mut many = Vec::new();
            DETAIL_SALT.hash_short(inputs[..count].iter().copied(), &mut many);
            let single =
                inputs[..count].iter().map(|input| Digest(*blake3::keyed_hash(&DETAIL_SALT.key, input).as_bytes()));
            assert!(many.iter().copied().eq(single), "{count} inputs of {N} bytes");
        }
    }

    #[test]
    fn many_short_inputs_at_once_hash_as_one_by_one() {
        check_short::<0>();
        check_short::<1>();
        check_short::<3>();
        check_short::<16>();
        check_short::<31>();
        check_short::<32>();
        check_short::<33>();
        check_short::<40>();
        check_short::<48>();
        check_short::<63>();
        check_short::<64>();
    }

    #[test]
    fn no_two_contexts_share_a_string() {
        for (i, a) in ALL_CONTEXTS.iter().enumerate() {
            for b in &ALL_CONTEXTS[i + 1..] {
                assert_ne!(a.name, b.name);
            }
        }
    }

    #[test]
    fn hex_goes_there_and_back_and_refuses_the_rest() {
        let digest = NODE.hash(b"x");
        let text = alloc::format!("{digest}");
        assert_eq!(Digest::from_hex(&text), Some(digest));
        assert_eq!(Digest::from_hex(&text[1..]), None);
        assert_eq!(Digest::from_hex(&text.replace(&text[..1], "g")), None);
    }
}
