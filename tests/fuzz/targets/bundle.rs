//! The bundle's file: as it comes, and with its first line and digest made for it, so that what
//! stands between them is reached.

use griptrace_core::{
    bundle::{Bundle, MAGIC},
    digest::BUNDLE,
};

use super::{guard::bounded, lax::is_deterministic};

pub(crate) fn run(data: &[u8]) {
    read(data);
    read(&framed(data));
}

/// Puts bytes between first line and digest.
pub(crate) fn framed(body: &[u8]) -> Vec<u8> {
    let mut file = [MAGIC, body].concat();
    let digest = BUNDLE.hash(&file);
    file.extend_from_slice(digest.as_bytes());
    file
}

fn read(file: &[u8]) {
    match bounded(file.len(), || Bundle::from_bytes(file)) {
        Ok(bundle) => {
            assert_eq!(bundle.to_bytes(), file);
            is_deterministic(&file[MAGIC.len()..file.len() - 32]);
            let cores = bundle.logs.iter().flat_map(|log| &log.commits).map(|part| part.cores.len()).sum();
            assert_eq!(bundle.node_count().map(usize::try_from), Ok(Ok(cores)));
        }
        Err(error) => assert!(!error.to_string().is_empty() && !error.code().is_empty()),
    }
}
