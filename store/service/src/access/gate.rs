//! The gate: the register that is in force, and how it is replaced.

use std::sync::{Arc, PoisonError, RwLock};

use griptrace_core::{id::KeyId, key::PublicKey};

use super::{
    Caller, KeyRefusal, Registry,
    certificate::Presented,
    register::{NotNamed, Register, Stranger},
};

/// The register that is in force.
#[derive(Debug)]
pub(crate) struct Gate(RwLock<Arc<Register>>);

/// What a call brings along of who makes it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Credentials<'a> {
    /// The certificate of the connection.
    pub(crate) certificate: Option<&'a Presented>,
    /// The value of the header `authorization`.
    pub(crate) authorization: Option<&'a [u8]>,
}

/// Why a call is not let in.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub(crate) enum Refused {
    /// The header is no bearer token.
    #[error("the header authorization is not `Bearer TOKEN`")]
    Header,
    /// Nobody whom the configuration lets in.
    #[error(transparent)]
    Stranger(#[from] Stranger),
}

impl Refused {
    /// Returns what the caller is told: not whether a token or certificate is known.
    pub(crate) const fn told(&self) -> &'static str {
        match self {
            Self::Header => "the header authorization is not `Bearer TOKEN`",
            Self::Stranger(Stranger::Nothing) => "neither a client certificate nor a bearer token was given",
            Self::Stranger(_) => "the credentials are not accepted",
        }
    }
}

impl Gate {
    /// Puts a register in force.
    pub(crate) fn new(register: Register) -> Self {
        Self(RwLock::new(Arc::new(register)))
    }

    /// Puts another register in force, from the next call on.
    pub(crate) fn replace(&self, register: Register) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(register);
    }

    fn register(&self) -> Arc<Register> {
        Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Tells who calls.
    pub(crate) fn admit(&self, credentials: Credentials<'_>, now: u64) -> Result<Arc<Caller>, Refused> {
        let token = credentials.authorization.map(bearer).transpose()?;
        Ok(self.register().caller(credentials.certificate, token, now)?)
    }
}

impl Registry for Gate {
    fn committer_key(&self, id: KeyId, caller: &Caller, now: u64) -> Result<PublicKey, KeyRefusal> {
        self.register().committer_key(id, caller, now)
    }

    fn named(&self, name: &str, now: u64) -> Result<Arc<Caller>, NotNamed> {
        self.register().named(name, now)
    }
}

/// Reads `Bearer TOKEN`, whose first word is of any case (RFC 9110, 11.1).
fn bearer(header: &[u8]) -> Result<&str, Refused> {
    let text = core::str::from_utf8(header).map_err(|_| Refused::Header)?;
    let (scheme, token) = text.split_once(' ').ok_or(Refused::Header)?;
    let token = token.trim_matches(' ');
    if scheme.eq_ignore_ascii_case("bearer") && !token.is_empty() { Ok(token) } else { Err(Refused::Header) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bearer_token_is_read_strictly() {
        assert_eq!(bearer(b"Bearer abc"), Ok("abc"));
        assert_eq!(bearer(b"bearer  abc"), Ok("abc"));
        for header in [b"Basic abc".as_slice(), b"Bearer", b"Bearer ", b"", b"abc", b"Bearer \xff"] {
            assert_eq!(bearer(header), Err(Refused::Header), "{header:?}");
        }
    }

    #[test]
    fn nobody_is_told_whether_a_token_exists() {
        let told = |stranger| Refused::Stranger(stranger).told();
        let unknown = told(Stranger::Token);
        assert_eq!(told(Stranger::TokenDates("robot".to_owned())), unknown);
        assert_eq!(told(Stranger::Two("robot".to_owned(), "trainer".to_owned())), unknown);
        assert_eq!(told(Stranger::CertificateDates("robot".to_owned())), unknown);
    }
}
