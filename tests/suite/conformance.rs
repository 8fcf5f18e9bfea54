//! The 518 proof vectors of transparency-dev/merkle (Apache-2.0), read in place.
//!
//! Hashes there are byte strings of any length; ours have 32 bytes. An empty or overlong hash can't become a digest
//! and counts as refused. A short one ("don't care") is filled up with zeros, which keeps different ones different,
//! so that the labels of those vectors are judged too.

use std::fs;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use griptrace_core::digest::Digest;
use griptrace_core::tree::{
    LeafIndex, Rfc9162, TreeSize, verify_consistency, verify_inclusion, verify_subtree_consistency,
    verify_subtree_inclusion,
};
use griptrace_tests::paths::shared_data;
use griptrace_tests::skipped;
use serde_json::Value;

/// Verifies one vector: `None` is refused.
type Judge = fn(&Value) -> Option<()>;

#[test]
fn every_vector_is_judged_as_labelled() {
    let Some(data) = shared_data() else { skipped!("../shared is absent") };
    let folder = data.join("vectors/transparency-dev-merkle");
    let judges: [(&str, usize, Judge); 4] = [
        ("inclusion", 98, inclusion),
        ("consistency", 98, consistency),
        ("subtreeinclusion", 204, subtree_inclusion),
        ("subtreeconsistency", 118, subtree_consistency),
    ];
    let mut wrong = Vec::new();
    for (kind, count, judge) in judges {
        let files = vector_files(&folder.join(kind));
        assert_eq!(files.len(), count, "{kind}");
        for file in files {
            let vector: Value = serde_json::from_str(&fs::read_to_string(&file).unwrap()).unwrap();
            if judge(&vector).is_none() != vector["wantErr"].as_bool().unwrap() {
                wrong.push(file);
            }
        }
    }
    assert!(wrong.is_empty(), "judged against the label: {wrong:#?}");
}

fn inclusion(vector: &Value) -> Option<()> {
    let (index, size) = (LeafIndex::new(number(vector, "leafIdx")), TreeSize::new(number(vector, "treeSize")));
    let (leaf, root) = (digest(&vector["leafHash"])?, digest(&vector["root"])?);
    verify_inclusion(&Rfc9162, index, size, &leaf, &proof(vector)?, &root).ok()
}

fn subtree_inclusion(vector: &Value) -> Option<()> {
    let index = LeafIndex::new(number(vector, "leafIdx"));
    let subtree = number(vector, "start")..number(vector, "end");
    let (leaf, root) = (digest(&vector["leafHash"])?, digest(&vector["root"])?);
    verify_subtree_inclusion(&Rfc9162, index, &subtree, &leaf, &proof(vector)?, &root).ok()
}

fn consistency(vector: &Value) -> Option<()> {
    let (old, new) = (TreeSize::new(number(vector, "size1")), TreeSize::new(number(vector, "size2")));
    let (old_root, new_root) = (digest(&vector["root1"])?, digest(&vector["root2"])?);
    verify_consistency(&Rfc9162, old, &old_root, new, &new_root, &proof(vector)?).ok()
}

fn subtree_consistency(vector: &Value) -> Option<()> {
    let subtree = number(vector, "start")..number(vector, "end");
    let size = TreeSize::new(number(vector, "size"));
    let (subtree_root, root) = (digest(&vector["root1"])?, digest(&vector["root2"])?);
    verify_subtree_consistency(&Rfc9162, &subtree, &subtree_root, size, &root, &proof(vector)?).ok()
}

fn number(vector: &Value, field: &str) -> u64 {
    vector[field].as_u64().expect("the field is a number")
}

/// Reads the proof, `null` being none.
fn proof(vector: &Value) -> Option<Vec<Digest>> {
    vector["proof"].as_array().map_or_else(|| Some(Vec::new()), |hashes| hashes.iter().map(digest).collect())
}

fn digest(text: &Value) -> Option<Digest> {
    let bytes = STANDARD.decode(text.as_str().expect("a hash is text")).expect("a hash is base64");
    let mut filled = [0; 32];
    filled.get_mut(..bytes.len())?.copy_from_slice(&bytes);
    (!bytes.is_empty()).then(|| Digest::from_bytes(filled))
}

fn vector_files(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).expect("the folder of vectors can be read") {
        let path = entry.expect("a listed entry can be read").path();
        if path.is_dir() {
            files.extend(vector_files(&path));
        } else {
            files.push(path);
        }
    }
    files.sort();
    files
}
