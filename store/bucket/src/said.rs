//! What went wrong, and what to do about it.

use std::io;

use crate::{
    address::{Address, Kind},
    calls::{Failure, Refusal, Silence},
    options::Options,
};

/// What was to be done.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Doing {
    Reading,
    Writing,
    Listing,
    Removing,
}

impl Doing {
    const fn verb(self) -> &'static str {
        match self {
            Self::Reading => "read",
            Self::Writing => "write",
            Self::Listing => "list",
            Self::Removing => "remove",
        }
    }

    /// Returns the right that it takes.
    const fn right(self, kind: Kind) -> &'static str {
        match (kind, self) {
            (Kind::S3, Self::Reading) => {
                "s3:GetObject on it, and s3:ListBucket on the bucket (without the latter, S3 says this of objects that don't exist)"
            }
            (Kind::S3, Self::Writing) => "s3:PutObject and s3:AbortMultipartUpload on it",
            (Kind::S3, Self::Listing) => "s3:ListBucket on the bucket",
            (Kind::S3, Self::Removing) => "s3:DeleteObject on it",
            (Kind::Google, Self::Reading) => "storage.objects.get on it",
            (Kind::Google, Self::Writing) => {
                "storage.objects.create and storage.objects.delete on it (the latter to write over one)"
            }
            (Kind::Google, Self::Listing) => "storage.objects.list on the bucket",
            (Kind::Google, Self::Removing) => "storage.objects.delete on it",
            (Kind::Azure, _) => "the role Storage Blob Data Contributor on the container",
        }
    }
}

/// What stands in a sentence about a failure.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Context<'a> {
    pub(crate) doing: Doing,
    pub(crate) address: &'a Address,
    /// The object or folder.
    pub(crate) name: &'a str,
    pub(crate) options: &'a Options,
}

/// A kind of error, what happened, and what to do.
type Sentence = (io::ErrorKind, String, String);

impl Context<'_> {
    /// Makes the error of a call.
    pub(crate) fn error(&self, error: &object_store::Error, failure: Option<&Failure>) -> io::Error {
        let (kind, what, remedy) = match failure {
            Some(Failure::Answer(refusal)) => self.refused(refusal),
            Some(Failure::Silence { host, why }) => self.unanswered(host, why),
            None => (io::ErrorKind::Other, error.to_string(), String::new()),
        };
        let separator = if remedy.is_empty() { "" } else { "; " };
        let doing = self.doing.verb();
        io::Error::new(kind, format!("cannot {doing} {}/{}: {what}{separator}{remedy}", self.address, self.name))
    }

    fn refused(&self, refusal: &Refusal) -> Sentence {
        if self.is_identity(&refusal.host) {
            return self.no_key(&format!("{} answered {}", refusal.host, number(refusal)));
        }
        let kind = io::ErrorKind::PermissionDenied;
        let number = number(refusal);
        match (refusal.code.as_str(), refusal.status) {
            ("InvalidAccessKeyId", _) => {
                let key = self.options.setting(&["aws_access_key_id"]).unwrap_or_default();
                let what = format!("{} does not know the access key {key:?} ({number})", refusal.host);
                (kind, what, "set AWS_ACCESS_KEY_ID to one that it knows".into())
            }
            ("SignatureDoesNotMatch" | "AuthenticationFailed", _) => {
                let what = format!("the secret is not that of the access key ({number})");
                (
                    kind,
                    what,
                    "set the secret (AWS_SECRET_ACCESS_KEY, AZURE_STORAGE_ACCOUNT_KEY) that belongs to it".into(),
                )
            }
            ("ExpiredToken" | "InvalidToken" | "TokenRefreshRequired", _) => {
                let what = format!("the session's token has expired or is not valid ({number})");
                (kind, what, "ask for a new one, and set AWS_SESSION_TOKEN and the key that came with it".into())
            }
            ("RequestTimeTooSkewed", _) => {
                let theirs = refusal.time.as_deref().unwrap_or("another one");
                let what = format!("this machine's clock is too far from the bucket's, which is {theirs} ({number})");
                (kind, what, "set this machine's clock".into())
            }
            ("NoSuchBucket" | "ContainerNotFound", _) => {
                let what = format!("there is no bucket {:?} at {} ({number})", self.address.bucket, refusal.host);
                (io::ErrorKind::NotFound, what, "make it, or correct the address".into())
            }
            ("AuthorizationHeaderMalformed" | "PermanentRedirect" | "IllegalLocationConstraintException", _)
            | (_, 301 | 307 | 308) => self.elsewhere(refusal),
            ("AccessDenied" | "AuthorizationPermissionMismatch" | "AllAccessDisabled", _) | (_, 401 | 403) => {
                let what = format!("access is denied ({number})");
                (kind, what, format!("grant the key {}", self.doing.right(self.address.kind)))
            }
            ("SlowDown" | "ServerBusy" | "TooManyRequests", _) | (_, 429 | 503) => {
                let what =
                    format!("the bucket asks for fewer requests, at every one of {} tries ({number})", self.tries());
                (io::ErrorKind::ResourceBusy, what, "wait, or let fewer machines use it".into())
            }
            ("ConditionalRequestConflict" | "OperationAborted", _) => {
                let what = format!("somebody else is writing the same object ({number})");
                (io::ErrorKind::ResourceBusy, what, "try again".into())
            }
            (
                "BadDigest"
                | "InvalidDigest"
                | "XAmzContentSHA256Mismatch"
                | "XAmzContentChecksumMismatch"
                | "Md5Mismatch",
                _,
            ) => {
                let what = format!("other bytes arrived than were sent ({number})");
                (io::ErrorKind::InvalidData, what, "see what stands between this machine and the bucket".into())
            }
            ("NotImplemented", _) | (_, 501) => {
                let what = format!("the bucket can't do what was asked of it ({number})");
                (io::ErrorKind::Unsupported, what, "use a service that does".into())
            }
            (_, 500..) => {
                let what = format!("the bucket failed at every one of {} tries ({number})", self.tries());
                (io::ErrorKind::Other, what, "see how the service is".into())
            }
            _ => (io::ErrorKind::Other, format!("the bucket answered {number}"), String::new()),
        }
    }

    fn tries(&self) -> String {
        format!("up to {}", self.options.limits.retries.saturating_add(1))
    }

    fn elsewhere(&self, refusal: &Refusal) -> Sentence {
        let asked = self.options.setting(&["aws_region", "aws_default_region"]).unwrap_or("us-east-1");
        let kind = io::ErrorKind::InvalidInput;
        if let Some(region) = &refusal.region {
            let what =
                format!("the bucket is in the region {region}, and was asked for in {asked} ({})", number(refusal));
            return (kind, what, format!("set AWS_REGION={region}"));
        }
        let what = format!("the bucket is not in the region {asked} ({})", number(refusal));
        (kind, what, "set AWS_REGION to where it is, and AWS_ENDPOINT_URL if it is not Amazon's".into())
    }

    fn unanswered(&self, host: &str, why: &Silence) -> Sentence {
        if self.is_identity(host) {
            return self.no_key(&format!("{host} does not answer"));
        }
        let endpoint = "correct the endpoint (AWS_ENDPOINT_URL)";
        match why {
            Silence::Closed => {
                let what = format!("nothing listens at {host} (connection refused)");
                (io::ErrorKind::ConnectionRefused, what, format!("start the service, or {endpoint}"))
            }
            Silence::Nameless => {
                let what = format!("the name of {host} is not known (DNS)");
                (io::ErrorKind::AddrNotAvailable, what, format!("see to the network, or {endpoint}"))
            }
            Silence::Untrusted(said) => {
                let what = format!("the certificate of {host} is not believed ({said})");
                (io::ErrorKind::InvalidData, what, "name the authority's certificate in AWS_CA_BUNDLE".into())
            }
            Silence::Plain => {
                let what = format!("{host} is not reached over https");
                (io::ErrorKind::InvalidInput, what, "take an https:// endpoint, or set AWS_ALLOW_HTTP=true".into())
            }
            Silence::Late => {
                let what = format!("{host} did not answer in time");
                (io::ErrorKind::TimedOut, what, "see to the network and the service".into())
            }
            Silence::Broken(said) => {
                let what = format!("the connection to {host} breaks ({said})");
                (io::ErrorKind::ConnectionAborted, what, "see what stands between this machine and the bucket".into())
            }
        }
    }

    /// Tells whether a host is asked who this machine is, and is not the bucket.
    fn is_identity(&self, host: &str) -> bool {
        let given = self.options.setting(&["aws_metadata_endpoint"]).and_then(|url| url.split_once("://"));
        let is_given = given.is_some_and(|(_, rest)| rest.trim_end_matches('/') == host);
        is_given || host.starts_with("169.254.") || host.starts_with("sts.") || host == "metadata.google.internal"
    }

    fn no_key(&self, what: &str) -> Sentence {
        let remedy = match self.address.kind {
            Kind::S3 => "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY",
            Kind::Google => "set GOOGLE_SERVICE_ACCOUNT to a key file",
            Kind::Azure => "set AZURE_STORAGE_ACCOUNT_NAME and AZURE_STORAGE_ACCOUNT_KEY",
        };
        let what = format!("no key is set, and this machine has no identity of its own ({what})");
        (io::ErrorKind::PermissionDenied, what, remedy.into())
    }
}

/// Returns `403 AccessDenied: what the service says`.
fn number(refusal: &Refusal) -> String {
    let Refusal { status, code, message, .. } = refusal;
    match (code.is_empty(), message.is_empty()) {
        (true, _) => status.to_string(),
        (false, true) => format!("{status} {code}"),
        (false, false) => format!("{status} {code}: {message}"),
    }
}
