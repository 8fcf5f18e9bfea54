//! An assessor's own signed mark, on its way to whoever records it or trusts it.
//!
//! The file is a piece of a trust file (docs/spec/trust.md): appended to one, the mark counts.

use std::path::Path;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use griptrace_core::{
    assessment::{Assessed, AssessorMark},
    cbor::{decode, encode},
    cose::{MARK_TYPE, Signed, sign},
    id::GenesisHash,
    key::Signer,
    node::Mark,
};

use crate::{
    context::{read_file, write_output},
    error::CommandError,
};

const MAGIC: &str = "# A mark that an assessor signed.";

/// A mark that an assessor signed.
#[derive(Clone, Debug)]
pub(crate) struct SignedMark {
    /// The COSE_Sign1.
    pub(crate) bytes: Vec<u8>,
    /// What it says.
    pub(crate) mark: AssessorMark,
    signed: Signed,
}

impl SignedMark {
    /// Signs a mark on an assessment, with the key that signed the assessment.
    pub(crate) fn sign(
        key: &dyn Signer,
        path: &Path,
        assessment: &Signed,
        mark: &AssessorMark,
    ) -> Result<Self, CommandError> {
        if key.public_key().id() != assessment.key {
            let path = path.display();
            return Err(CommandError::failed(format!("{path} is not the key that signed this assessment")));
        }
        let bytes = sign(key, MARK_TYPE, &assessment.issuer, &assessment.home, encode(mark))
            .map_err(|e| CommandError::because("cannot sign the mark", e))?;
        Self::parse(bytes)
    }

    fn parse(bytes: Vec<u8>) -> Result<Self, CommandError> {
        let signed = Signed::parse(&bytes, MARK_TYPE)
            .map_err(|e| CommandError::because("the mark is no signed mark of an assessor", e))?;
        let mark = decode(&signed.payload).map_err(|e| CommandError::because("the mark is malformed", e))?;
        Ok(Self { bytes, mark, signed })
    }

    /// Writes the file, which is none of the inputs of the command.
    pub(crate) fn write_to(&self, path: &Path, inputs: &[&Path]) -> Result<(), CommandError> {
        let Self { mark, signed, .. } = self;
        let text = format!(
            "{MAGIC} Append this to a trust file, or record it: griptrace mark {} NODE --statement FILE\n\
             # {} of {}, on assessment {}, by key {}\n[[withdrawal]]\nstatement = \"{}\"\n",
            mark.mark,
            mark.mark,
            mark.date,
            mark.key,
            signed.key,
            STANDARD.encode(&self.bytes)
        );
        write_output(path, text.as_bytes(), ("signed mark", MAGIC.as_bytes()), inputs)
    }

    /// Reads the file. Whose signature it is, who records it does not know: who judges it does.
    pub(crate) fn read_from(path: &Path) -> Result<Self, CommandError> {
        let shown = path.display();
        let wrong = || CommandError::failed(format!("{shown} is no signed mark, as `griptrace assess mark` writes it"));
        let text = String::from_utf8(read_file(path)?).map_err(|_| wrong())?;
        let table: toml::Table =
            toml::from_str(&text).map_err(|e| CommandError::because(format!("{shown} is wrong"), e))?;
        let [one] = table.get("withdrawal").and_then(toml::Value::as_array).ok_or_else(wrong)?.as_slice() else {
            return Err(wrong());
        };
        let encoded = one.get("statement").and_then(toml::Value::as_str).ok_or_else(wrong)?;
        let bytes = STANDARD.decode(encoded).map_err(|e| CommandError::failed(format!("{shown} is wrong: {e}")))?;
        Self::parse(bytes).map_err(|e| e.while_doing(format!("cannot read {shown}")))
    }

    /// Checks that it is what is to be recorded: another mark, or one on another assessment or for another log, would
    /// count nowhere.
    pub(crate) fn check(&self, home: GenesisHash, of: &Assessed, mark: Mark) -> Result<(), CommandError> {
        let Self { mark: said, signed, .. } = self;
        let wrong = |what: &str, found: &dyn core::fmt::Display, wanted: &dyn core::fmt::Display| {
            Err(CommandError::failed(format!("the assessor's mark is {what} {found}, and not {wanted}")))
        };
        if said.mark != mark {
            return wrong("to", &said.mark, &mark);
        }
        if said.key != of.status_key {
            return wrong("on assessment", &said.key, &of.status_key);
        }
        if signed.home != home {
            return wrong("for log", &signed.home, &home);
        }
        match &of.signed {
            Some(assessment) if assessment.key != signed.key => wrong("by key", &signed.key, &assessment.key),
            Some(_) | None => Ok(()),
        }
    }
}
