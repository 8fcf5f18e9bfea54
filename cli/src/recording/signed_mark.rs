//! An assessor's own signed mark, on its way to whoever records it or trusts it.
//!
//! It travels as an update (docs/spec/update.md), which buyers read and whoever records it too.

use std::path::Path;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use griptrace_core::{
    assessment::{Assessed, AssessorMark},
    cbor::{decode, encode},
    cose::{MARK_TYPE, Signed, sign},
    id::GenesisHash,
    key::Signer,
    node::Mark,
    update::Update,
};

use crate::{context::read_file, error::CommandError};

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

    /// Returns the update that brings it to a buyer, and nothing else.
    pub(crate) fn to_update(&self) -> Vec<u8> {
        Update { patch: None, withdrawals: vec![&self.bytes] }.to_bytes()
    }

    /// Returns the table that brings it in a trust file.
    pub(crate) fn to_table(&self) -> [String; 2] {
        ["[[withdrawal]]".to_owned(), format!("statement = \"{}\"", STANDARD.encode(&self.bytes))]
    }

    /// Reads out of an update the mark on an assessment; the first one if none is on it. Whose signature it is, who
    /// records it does not know: who judges it does.
    pub(crate) fn read_from(path: &Path, of: &Assessed) -> Result<Self, CommandError> {
        let shown = path.display();
        let file = read_file(path)?;
        let (update, _) = Update::view(&file)
            .map_err(|e| CommandError::because(format!("cannot read {shown}"), e))
            .map_err(|e| e.with_hint("griptrace assess withdraw writes such a file"))?;
        let marks = update.withdrawals.iter().map(|bytes| Self::parse(bytes.to_vec()));
        let mut marks: Vec<Self> =
            marks.collect::<Result<_, _>>().map_err(|e| e.while_doing(format!("cannot read {shown}")))?;
        if marks.is_empty() {
            return Err(CommandError::failed(format!("{shown} holds no withdrawal")));
        }
        let place = marks.iter().position(|signed| signed.mark.key == of.status_key);
        Ok(marks.swap_remove(place.unwrap_or(0)))
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
