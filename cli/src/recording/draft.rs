//! Drafts: nodes with ids that are not committed yet, so that an assessor can look at them first.
//!
//! A draft file is the line `griptrace draft v1` and a CBOR list of node records, with their nonces
//! and secret seeds: whoever has it can open every detail in it.

use std::{fs::OpenOptions, io::Write as _, path::Path};

use griptrace_core::{
    cbor::{DecodeError, Reader, Record, Writer, decode, encode},
    limits::COMMIT_NODES_MAX,
};
use griptrace_store::record::NodeRecord;

use crate::{
    context::read_file,
    error::CommandError,
    recording::build::{core_of, id_of},
};

const MAGIC: &[u8] = b"griptrace draft v1\n";

struct Records(Vec<NodeRecord>);

impl Record for Records {
    fn write(&self, out: &mut Writer<'_>) {
        out.array(self.0.len());
        self.0.iter().for_each(|record| record.write(out));
    }

    fn read(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        input.list("nodes of a draft", COMMIT_NODES_MAX, NodeRecord::read).map(Self)
    }
}

/// Returns the bytes of a draft file.
pub(crate) fn to_bytes(records: Vec<NodeRecord>) -> Vec<u8> {
    [MAGIC, &encode(&Records(records))].concat()
}

/// Reads the bytes of a draft file.
pub(crate) fn from_bytes(bytes: &[u8]) -> Result<Vec<NodeRecord>, CommandError> {
    let body = bytes.strip_prefix(MAGIC).ok_or_else(|| CommandError::failed("the file does not begin like a draft"))?;
    let Records(records) = decode(body).map_err(|e| CommandError::because("the draft is malformed", e))?;
    for record in &records {
        let core = core_of(record)?;
        if record.secret.root(core.kind, &record.values) != Some(core.details) || record.secret.seed().is_none() {
            return Err(CommandError::failed(format!("the details of {} in the draft are not its own", id_of(record))));
        }
    }
    Ok(records)
}

/// Refuses a path where something is already: the ids in a draft are what an assessor signs.
pub(crate) fn refuse_existing(path: &Path) -> Result<(), CommandError> {
    if path.symlink_metadata().is_err() {
        return Ok(());
    }
    let text = format!("{} is there already, and a draft never replaces a file", path.display());
    Err(CommandError::failed(text)
        .with_hint("a draft's ids are what an assessor signs: choose another name, or remove it"))
}

/// Writes a new draft file that only its owner can read: there are secrets in it.
pub(crate) fn write(path: &Path, records: Vec<NodeRecord>) -> Result<(), CommandError> {
    refuse_existing(path)?;
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let written = options.open(path).and_then(|mut file| file.write_all(&to_bytes(records)));
    written.map_err(|e| CommandError::file("write", path, e))
}

/// Reads a draft file.
pub(crate) fn read(path: &Path) -> Result<Vec<NodeRecord>, CommandError> {
    from_bytes(&read_file(path)?).map_err(|e| e.while_doing(format!("cannot read the draft {}", path.display())))
}

#[cfg(test)]
mod tests {
    use griptrace_core::{
        details::slot,
        digest::Digest,
        id::GenesisHash,
        node::{Core, DigestStrength, Held, Kind, Origin},
    };

    use super::*;
    use crate::recording::build::make;

    fn record() -> NodeRecord {
        let mut core = Core::new(Kind::Dataset, GenesisHash::new(Digest::ZERO), [0; 16], Digest::ZERO);
        core.origin = Some(Origin::Collected);
        core.held = Some(Held::Here);
        core.strength = Some(DigestStrength::None);
        let name = encode(&griptrace_core::value::Value::text("camera"));
        make(core, [(slot(Kind::Dataset, "name").unwrap(), name)].into(), None, None).unwrap()
    }

    #[test]
    fn a_draft_keeps_its_ids() {
        let records = vec![record(), record()];
        let ids: Vec<_> = records.iter().map(id_of).collect();
        assert_ne!(ids[0], ids[1], "equal records have different ids");
        let again = from_bytes(&to_bytes(records)).unwrap();
        assert_eq!(again.iter().map(id_of).collect::<Vec<_>>(), ids);
    }

    #[test]
    fn what_is_no_draft_is_refused() {
        let bytes = to_bytes(vec![record()]);
        assert!(from_bytes(b"griptrace bundle v1\n").is_err());
        assert!(from_bytes(&bytes[..bytes.len() - 1]).is_err());
        assert!(from_bytes(&[bytes.as_slice(), &[0]].concat()).is_err());
    }
}
