//! Statement files: what an assessor signed offline, on its way to whoever records it.
//!
//! A statement file is the line `griptrace assessment v1` and a CBOR list of four: the COSE_Sign1,
//! the leaves of the subject tree, the openings (subject, salt, leaf index) and the public key.

use std::path::Path;

use griptrace_core::{
    assessment::{Assessment, subject_leaf, subjects_root},
    cbor::{DecodeError, Reader, Record, Writer, decode, encode},
    cose::{ASSESSMENT_TYPE, Signed},
    details::Salt,
    digest::Digest,
    id::NodeId,
    key::PublicKey,
    limits::{STATEMENT_BYTES_MAX, SUBJECTS_MAX},
};

use crate::{
    context::{read_file, write_output},
    error::CommandError,
};

const MAGIC: &[u8] = b"griptrace assessment v1\n";

/// What an assessor signed, with what opens its subjects.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Statement {
    /// The COSE_Sign1.
    pub(crate) signed: Vec<u8>,
    /// The sorted leaves of the subject tree, decoys included.
    pub(crate) leaves: Vec<Digest>,
    /// Subject, salt and leaf index.
    pub(crate) openings: Vec<(NodeId, Salt, u64)>,
    /// The assessor's public key, as `ed25519:...` or `p256:...`.
    pub(crate) key: String,
}

/// Bytes of a written public key at most.
const KEY_BYTES_MAX: usize = 128;

impl Record for Statement {
    fn write(&self, out: &mut Writer<'_>) {
        out.array(4).bytes(&self.signed).array(self.leaves.len());
        self.leaves.iter().for_each(|leaf| out.bytes(leaf.as_bytes()).end());
        out.array(self.openings.len());
        for (subject, salt, index) in &self.openings {
            out.array(3).bytes(subject.as_bytes()).bytes(salt).uint(*index);
        }
        out.text(&self.key);
    }

    fn read(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let limit = usize::try_from(SUBJECTS_MAX).unwrap_or(usize::MAX);
        input.tuple(4)?;
        Ok(Self {
            signed: input.bytes("bytes of a statement", STATEMENT_BYTES_MAX)?.to_vec(),
            leaves: input.list("leaves of the subjects", limit, Reader::digest)?,
            openings: input.list("opened subjects", limit, |i| {
                i.tuple(3)?;
                Ok((NodeId::new(i.digest()?), i.fixed()?, i.uint()?))
            })?,
            key: input.text("bytes of a key", KEY_BYTES_MAX)?.to_owned(),
        })
    }
}

impl Statement {
    /// Writes the file, which is none of the inputs of the command.
    pub(crate) fn write_to(&self, path: &Path, inputs: &[&Path]) -> Result<(), CommandError> {
        write_output(path, &[MAGIC, &encode(self)].concat(), ("statement", MAGIC), inputs)
    }

    /// Reads the file and checks that it hangs together; the signature by the key that it brings.
    pub(crate) fn read_from(path: &Path) -> Result<(Self, Signed, Assessment), CommandError> {
        let bytes = read_file(path)?;
        Self::parse(&bytes).map_err(|e| e.while_doing(format!("cannot read the statement {}", path.display())))
    }

    fn parse(bytes: &[u8]) -> Result<(Self, Signed, Assessment), CommandError> {
        let body = bytes
            .strip_prefix(MAGIC)
            .ok_or_else(|| CommandError::failed("the file does not begin like a statement"))?;
        let wrong = |what: &str| CommandError::failed(format!("the statement does not hang together: {what}"));
        let statement: Self = decode(body).map_err(|e| CommandError::because("the statement is malformed", e))?;
        let signed = Signed::parse(&statement.signed, ASSESSMENT_TYPE)
            .map_err(|e| CommandError::because("the signed object is malformed", e))?;
        let key = PublicKey::parse(&statement.key).map_err(|e| CommandError::because("the key is malformed", e))?;
        signed.verify(&key).map_err(|e| CommandError::because("the assessor's signature does not hold", e))?;
        let assessment = Assessment::from_bytes(&signed.payload)
            .map_err(|e| CommandError::because("the assessment is malformed", e))?;
        if subjects_root(&statement.leaves) != Some(assessment.subjects_root)
            || u64::try_from(statement.leaves.len()) != Ok(assessment.subjects)
        {
            return Err(wrong("its leaves are not those that were signed"));
        }
        for (subject, salt, index) in &statement.openings {
            let leaf = usize::try_from(*index).ok().and_then(|index| statement.leaves.get(index));
            if leaf != Some(&subject_leaf(salt, subject)) {
                return Err(wrong(&format!("{subject} is no subject of it")));
            }
        }
        Ok((statement, signed, assessment))
    }
}
