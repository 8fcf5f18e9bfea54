//! Finds any of many byte strings in a file.

use std::collections::HashMap;

use griptrace_core::id::NodeId;

/// Shorter ones would be found by chance.
const SHORTEST: usize = 8;

/// What may not be found, by its first bytes.
#[derive(Default)]
pub(super) struct Needles {
    by_head: HashMap<[u8; SHORTEST], Vec<usize>>,
    /// Whether any begins with these two bytes: most places are passed over by it.
    begins: Vec<bool>,
    needles: Vec<(&'static str, NodeId, Vec<u8>)>,
}

fn pair(bytes: &[u8]) -> usize {
    usize::from(bytes[0]) << 8 | usize::from(bytes[1])
}

impl Needles {
    /// Adds a secret of a node. One that is too short to be told from chance is left out.
    pub(super) fn add(&mut self, what: &'static str, node: &NodeId, bytes: &[u8]) {
        let Some(head) = bytes.first_chunk::<SHORTEST>() else { return };
        self.begins.resize(1 << 16, false);
        self.begins[pair(head)] = true;
        self.by_head.entry(*head).or_default().push(self.needles.len());
        self.needles.push((what, *node, bytes.to_vec()));
    }

    pub(super) fn len(&self) -> usize {
        self.needles.len()
    }

    pub(super) fn all(&self) -> impl Iterator<Item = &[u8]> {
        self.needles.iter().map(|(.., bytes)| bytes.as_slice())
    }

    /// Tells what is found, each once.
    pub(super) fn find_in(&self, bytes: &[u8]) -> Vec<String> {
        let mut found = std::collections::BTreeSet::new();
        for place in 0..bytes.len().saturating_sub(SHORTEST - 1) {
            let rest = &bytes[place..];
            if !self.begins.get(pair(rest)).is_some_and(|begins| *begins) {
                continue;
            }
            let head = rest.first_chunk::<SHORTEST>().expect("there are as many bytes");
            for needle in self.by_head.get(head).into_iter().flatten() {
                let (what, node, bytes) = &self.needles[*needle];
                if rest.starts_with(bytes) {
                    found.insert(format!("{what} {node}"));
                }
            }
        }
        found.into_iter().collect()
    }
}
