//! Where a bucket is.

use core::fmt;
use std::io;

/// Whose interface a bucket has.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Kind {
    S3,
    Google,
    Azure,
}

impl Kind {
    const ALL: [Self; 3] = [Self::S3, Self::Google, Self::Azure];

    const fn scheme(self) -> &'static str {
        match self {
            Self::S3 => "s3",
            Self::Google => "gs",
            Self::Azure => "az",
        }
    }
}

/// A bucket, and the folder in it that is ours.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Address {
    pub(crate) kind: Kind,
    pub(crate) bucket: String,
    /// Without `/` at its ends; empty for the whole bucket.
    pub(crate) prefix: String,
}

impl Address {
    pub(crate) fn parse(text: &str) -> io::Result<Self> {
        let found = Kind::ALL
            .iter()
            .find_map(|kind| Some((*kind, text.strip_prefix(kind.scheme())?.strip_prefix("://")?)))
            .map(|(kind, rest)| (kind, rest.split_once('/').unwrap_or((rest, ""))));
        let wrong = || {
            let said = format!(
                "{text:?} is not the address of a bucket: s3://BUCKET/FOLDER, gs://BUCKET/FOLDER or az://CONTAINER/FOLDER"
            );
            io::Error::new(io::ErrorKind::InvalidInput, said)
        };
        let (kind, (bucket, prefix)) = found.ok_or_else(wrong)?;
        let prefix = prefix.trim_matches('/');
        let is_letter = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_');
        let is_bucket = !bucket.is_empty() && bucket.chars().all(is_letter);
        let is_prefix = prefix.is_empty() || prefix.split('/').all(is_name);
        if !is_bucket || !is_prefix {
            return Err(wrong());
        }
        Ok(Self { kind, bucket: bucket.to_owned(), prefix: prefix.to_owned() })
    }

    /// Returns the name in the bucket of an object or folder of ours.
    pub(crate) fn key(&self, name: &str) -> io::Result<String> {
        if !name.split('/').all(is_name) {
            let said = format!("{name:?} is no name in a bucket");
            return Err(io::Error::new(io::ErrorKind::InvalidInput, said));
        }
        Ok(if self.prefix.is_empty() { name.to_owned() } else { format!("{}/{name}", self.prefix) })
    }
}

/// Tells whether every service takes this between two `/`, and means by it what we do.
fn is_name(part: &str) -> bool {
    !part.is_empty() && part != "." && part != ".." && !part.chars().any(|c| c.is_control() || c == '\\')
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}", self.kind.scheme(), self.bucket)?;
        if self.prefix.is_empty() { Ok(()) } else { write!(f, "/{}", self.prefix) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_taken_apart() {
        for (text, kind, bucket, prefix) in [
            ("s3://logs", Kind::S3, "logs", ""),
            ("s3://logs/maker/2026/", Kind::S3, "logs", "maker/2026"),
            ("gs://a.b_c/x", Kind::Google, "a.b_c", "x"),
            ("az://box/x", Kind::Azure, "box", "x"),
        ] {
            let expected = Address { kind, bucket: bucket.to_owned(), prefix: prefix.to_owned() };
            let address = Address::parse(text).unwrap();
            assert_eq!(address, expected);
            assert_eq!(address.to_string(), text.trim_end_matches('/'));
        }
        for text in [
            "",
            "logs",
            "s3:logs",
            "s3://",
            "s3:///x",
            "http://logs/x",
            "s3://a b/x",
            "s3://logs/a//b",
            "s3://logs/../b",
        ] {
            let error = Address::parse(text).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::InvalidInput, "{text}");
            assert!(error.to_string().contains("is not the address of a bucket"), "{error}");
        }
    }

    #[test]
    fn names_stay_in_the_folder() {
        let address = Address::parse("s3://logs/maker").unwrap();
        assert_eq!(address.key("tile/0/001").unwrap(), "maker/tile/0/001");
        for name in ["", "/a", "a/", "a//b", "../b", "a/./b", "a\nb"] {
            assert_eq!(address.key(name).unwrap_err().kind(), io::ErrorKind::InvalidInput, "{name:?}");
        }
    }
}
