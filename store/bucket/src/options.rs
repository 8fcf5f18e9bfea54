//! How a bucket is reached.

use core::{fmt, time::Duration};
use std::{collections::BTreeMap, io};

use http::Uri;
use object_store::{BackoffConfig, RetryConfig};

/// Beginnings of the environment variables that the services' own programs read.
const FAMILIES: [&str; 3] = ["aws_", "google_", "azure_"];
/// What is set to the address of a service.
const URLS: [&str; 10] = [
    "aws_endpoint",
    "aws_endpoint_url",
    "aws_endpoint_url_s3",
    "aws_endpoint_url_sts",
    "aws_metadata_endpoint",
    "azure_authority_host",
    "azure_endpoint",
    "azure_msi_endpoint",
    "azure_storage_endpoint",
    "google_base_url",
];
/// Bytes a second that a request is taken to move at least: one that moves less is given up.
const BYTES_A_SECOND: u64 = 1 << 20;

/// How long is waited, and how often is tried.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Until there is a connection.
    pub connect: Duration,
    /// Until a request is answered whole; on top of it comes a second for each MiB that is moved.
    pub request: Duration,
    /// How often a request is sent again at most.
    pub retries: usize,
    /// How long after the first try another one may begin.
    pub patience: Duration,
    /// Bytes of the parts in which a file is written; a file of no more is written at once. S3 takes 5 MiB at least,
    /// and 10 000 parts.
    pub part: usize,
    /// Parts that are on their way at once.
    pub parts_at_once: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(3),
            request: Duration::from_secs(10),
            retries: 10,
            patience: Duration::from_secs(10),
            part: 16 << 20,
            parts_at_once: 4,
        }
    }
}

impl Limits {
    /// Returns how long a request may take that moves so many bytes.
    pub(crate) fn whole(&self, bytes: u64) -> Duration {
        self.request.saturating_add(Duration::from_secs(bytes / BYTES_A_SECOND))
    }

    pub(crate) fn tries(&self) -> RetryConfig {
        let backoff =
            BackoffConfig { init_backoff: Duration::from_millis(50), max_backoff: Duration::from_secs(2), base: 2.0 };
        RetryConfig { backoff, max_retries: self.retries, retry_timeout: self.patience }
    }
}

/// Where a bucket's service is, who asks, and how long is waited. Without a key, the machine's own identity is asked for, where
/// a cloud gives it one.
#[derive(Clone, Default)]
pub struct Options {
    settings: BTreeMap<String, String>,
    /// Certificates that are believed besides the system's, as PEM.
    pub authorities: Vec<u8>,
    /// How long is waited.
    pub limits: Limits,
}

/// Tells what is set, and nothing that is secret.
impl fmt::Debug for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&String> = self.settings.keys().collect();
        f.debug_struct("Options").field("settings", &names).field("limits", &self.limits).finish_non_exhaustive()
    }
}

impl Options {
    /// Takes what the environment says to the services' own programs: variables that begin with `AWS_`, `GOOGLE_` or `AZURE_`, such as
    /// `AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY`, `AWS_SESSION_TOKEN`, `AWS_REGION`, `AWS_ENDPOINT_URL_S3`,
    /// `AWS_ALLOW_HTTP`. Who calls reads the environment; all others are passed over.
    pub fn from_environment(variables: impl IntoIterator<Item = (String, String)>) -> Self {
        let mut options = Self::default();
        for (name, value) in variables {
            let name = name.to_ascii_lowercase();
            if !value.is_empty() && FAMILIES.iter().any(|family| name.starts_with(family)) {
                options.settings.insert(name, value);
            }
        }
        options
    }

    /// Sets one thing, by the name of the environment variable that means it, in any case of letters.
    #[must_use]
    pub fn with(mut self, name: &str, value: &str) -> Self {
        self.settings.insert(name.to_ascii_lowercase(), value.to_owned());
        self
    }

    /// Returns names in lower case, and values.
    pub(crate) fn settings(&self) -> impl Iterator<Item = (&str, &str)> {
        self.settings.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// Refuses the address of a service that is none: whoever asks it finds out too late to say so.
    pub(crate) fn check_urls(&self) -> io::Result<()> {
        for (name, value) in self.settings().filter(|(name, _)| URLS.contains(name)) {
            let is_url = |url: Uri| {
                matches!(url.scheme_str(), Some("http" | "https")) && url.host().is_some_and(|host| !host.is_empty())
            };
            if !value.parse().is_ok_and(is_url) {
                let name = name.to_ascii_uppercase();
                let said = format!(
                    "{value:?} is not the address of a service, http://HOST:PORT or https://HOST; correct the endpoint ({name})"
                );
                return Err(io::Error::new(io::ErrorKind::InvalidInput, said));
            }
        }
        Ok(())
    }

    pub(crate) fn setting(&self, names: &[&str]) -> Option<&str> {
        names.iter().find_map(|name| self.settings.get(*name)).map(String::as_str)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_the_environment_only_the_services_names_are_taken() {
        let pairs = [
            ("AWS_ACCESS_KEY_ID", "id"),
            ("PATH", "/bin"),
            ("AWS_REGION", ""),
            ("GOOGLE_BUCKET", "b"),
            ("XAWS_X", "x"),
        ];
        let options = Options::from_environment(pairs.map(|(name, value)| (name.to_owned(), value.to_owned())));
        let found: Vec<_> = options.settings().collect();
        assert_eq!(found, [("aws_access_key_id", "id"), ("google_bucket", "b")]);
    }

    /// Without a scheme it was taken, and a thread panicked at the first request.
    #[test]
    fn what_is_no_address_of_a_service_is_refused_by_name() {
        for name in ["AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3", "AZURE_ENDPOINT"] {
            let check = |value| Options::default().with(name, value).check_urls();
            for good in ["http://127.0.0.1:18333", "https://gateway.example/s3/", "http://[::1]:9000", "HTTPS://a"] {
                check(good).unwrap();
            }
            for bad in
                ["127.0.0.1:18333", "localhost:9000", "gateway.example", "ftp://a", "http://", "https:///x", "/x"]
            {
                let said = check(bad).unwrap_err().to_string();
                assert!(
                    said.contains(&format!("{bad:?}")) && said.contains(name) && said.contains("http://"),
                    "{said}"
                );
            }
        }
    }

    #[test]
    fn a_secret_is_not_printed() {
        let options = Options::default().with("AWS_SECRET_ACCESS_KEY", "hush");
        let printed = format!("{options:?}");
        assert!(printed.contains("aws_secret_access_key") && !printed.contains("hush"), "{printed}");
    }

    #[test]
    fn more_bytes_are_given_more_time() {
        let limits = Limits::default();
        assert_eq!(limits.whole(4096), Duration::from_secs(10));
        assert_eq!(limits.whole(64 << 20), Duration::from_secs(74));
    }
}
