//! Certificates of an authority that the test makes.

use core::time::Duration;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, date_time_ymd};
use tonic::transport::{Certificate, ClientTlsConfig, Identity};

/// Who signs certificates.
pub(crate) struct Authority(CertifiedIssuer<'static, KeyPair>);

/// When a certificate counts.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Counts {
    Now,
    Past,
    Later,
}

impl Authority {
    pub(crate) fn new() -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, "the authority");
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    /// Returns its own certificate.
    pub(crate) fn pem(&self) -> String {
        self.0.pem()
    }

    /// Makes a certificate, and returns it with its key.
    pub(crate) fn sign(&self, common_name: &str, names: &[&str], counts: Counts) -> (String, String) {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let mut params = CertificateParams::new(names).unwrap();
        params.distinguished_name.push(DnType::CommonName, common_name);
        (params.not_before, params.not_after) = match counts {
            Counts::Now => (date_time_ymd(2020, 1, 1), date_time_ymd(2100, 1, 1)),
            Counts::Past => (date_time_ymd(2020, 1, 1), date_time_ymd(2020, 2, 1)),
            Counts::Later => (date_time_ymd(2100, 1, 1), date_time_ymd(2100, 2, 1)),
        };
        let key = KeyPair::generate().unwrap();
        (params.signed_by(&key, &self.0).unwrap().pem(), key.serialize_pem())
    }

    /// Returns the settings of a client that believes this authority.
    pub(crate) fn client(&self) -> ClientTlsConfig {
        let patience = Duration::from_secs(20);
        ClientTlsConfig::new().ca_certificate(Certificate::from_pem(self.pem())).timeout(patience)
    }
}

/// Adds a certificate to a client's settings.
pub(crate) fn with(tls: ClientTlsConfig, (certificate, key): &(String, String)) -> ClientTlsConfig {
    tls.identity(Identity::from_pem(certificate, key))
}
