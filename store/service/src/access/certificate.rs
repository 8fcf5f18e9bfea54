//! Client certificates: which name of one is that of a client.
//!
//! The chain was verified against `client_ca` when the connection was made (`tls`). A connection may
//! outlive its certificate, so the dates are looked at again for each call.

use core::fmt;

use griptrace_core::digest::Digest;
use sha2::{Digest as _, Sha256};
use x509_parser::{certificate::X509Certificate, extensions::GeneralName, prelude::FromDer as _};

/// By what a client's certificate is known.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(crate) enum CertificateName {
    /// The SHA-256 of the certificate.
    Digest([u8; 32]),
    /// A common name of its subject.
    CommonName(String),
    /// A DNS name or URI among its alternative names.
    AlternativeName(String),
}

impl fmt::Display for CertificateName {
    /// Writes it as the configuration does.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Digest(digest) => write!(f, "sha256:{}", Digest::from_bytes(*digest)),
            Self::CommonName(name) => write!(f, "cn:{name}"),
            Self::AlternativeName(name) => write!(f, "san:{name}"),
        }
    }
}

/// A certificate that a caller presented.
#[derive(Clone, Debug)]
pub(crate) struct Presented {
    digest: [u8; 32],
    common_names: Vec<String>,
    alternative_names: Vec<String>,
    not_before: i64,
    not_after: i64,
}

impl Presented {
    /// Reads a certificate; `None` if it can't be read as one.
    pub(crate) fn read(der: &[u8]) -> Option<Self> {
        let (rest, certificate) = X509Certificate::from_der(der).ok()?;
        if !rest.is_empty() {
            return None;
        }
        let common_names = certificate.subject().iter_common_name().filter_map(|name| name.as_str().ok());
        let validity = certificate.validity();
        Some(Self {
            digest: Sha256::digest(der).into(),
            common_names: common_names.map(str::to_owned).collect(),
            alternative_names: alternative_names(&certificate)?,
            not_before: validity.not_before.timestamp(),
            not_after: validity.not_after.timestamp(),
        })
    }

    /// Tells whether it counts at this time.
    pub(crate) fn counts_at(&self, now: u64) -> bool {
        i64::try_from(now).is_ok_and(|now| (self.not_before..=self.not_after).contains(&now))
    }

    /// Tells whether it bears a name, letter by letter.
    pub(crate) fn bears(&self, name: &CertificateName) -> bool {
        match name {
            CertificateName::Digest(digest) => *digest == self.digest,
            CertificateName::CommonName(name) => self.common_names.contains(name),
            CertificateName::AlternativeName(name) => self.alternative_names.contains(name),
        }
    }
}

fn alternative_names(certificate: &X509Certificate<'_>) -> Option<Vec<String>> {
    let Some(extension) = certificate.subject_alternative_name().ok()? else { return Some(Vec::new()) };
    let name = |name: &GeneralName<'_>| {
        let (GeneralName::DNSName(name) | GeneralName::URI(name)) = name else { return None };
        Some((*name).to_owned())
    };
    Some(extension.value.general_names.iter().filter_map(name).collect())
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, DnType, KeyPair, SanType};

    use super::*;

    fn certificate() -> Vec<u8> {
        let mut params = CertificateParams::new(vec!["robot.example".to_owned()]).unwrap();
        params.subject_alt_names.push(SanType::URI("spiffe://example/robot".try_into().unwrap()));
        params.distinguished_name.push(DnType::CommonName, "robot 7");
        params.not_before = rcgen::date_time_ymd(2026, 3, 1);
        params.not_after = rcgen::date_time_ymd(2026, 4, 1);
        params.self_signed(&KeyPair::generate().unwrap()).unwrap().der().to_vec()
    }

    #[test]
    fn a_certificate_bears_its_names_exactly() {
        let der = certificate();
        let presented = Presented::read(&der).unwrap();
        let common = |name: &str| CertificateName::CommonName(name.to_owned());
        let alternative = |name: &str| CertificateName::AlternativeName(name.to_owned());
        assert!(presented.bears(&common("robot 7")));
        assert!(presented.bears(&alternative("robot.example")));
        assert!(presented.bears(&alternative("spiffe://example/robot")));
        assert!(presented.bears(&CertificateName::Digest(Sha256::digest(&der).into())));
        for other in [common("robot"), common("robot.example"), alternative("robot 7"), alternative("ROBOT.example")] {
            assert!(!presented.bears(&other), "{other:?}");
        }
    }

    #[test]
    fn a_certificate_counts_between_its_dates_only() {
        let presented = Presented::read(&certificate()).unwrap();
        let (begin, end) = (1_772_323_200, 1_775_001_600);
        assert!(presented.counts_at(begin) && presented.counts_at(end));
        assert!(!presented.counts_at(begin - 1) && !presented.counts_at(end + 1) && !presented.counts_at(u64::MAX));
    }

    #[test]
    fn what_is_no_certificate_is_none() {
        let der = certificate();
        assert!(Presented::read(&der[..der.len() - 1]).is_none());
        assert!(Presented::read(&[der.as_slice(), b"\0"].concat()).is_none(), "trailing bytes");
        assert!(Presented::read(b"").is_none());
    }
}
