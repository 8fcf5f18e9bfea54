//! Bearer tokens: known by their SHA-256 only, good from one day to another.

use core::{fmt, hint::black_box};

use griptrace_core::date::Date;
use sha2::{Digest as _, Sha256};

/// Days, both ends included; open where nothing is said.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub(crate) struct Period {
    pub(crate) from: Option<Date>,
    pub(crate) to: Option<Date>,
}

impl Period {
    /// Tells whether a day lies in it.
    pub(crate) fn holds(self, day: Date) -> bool {
        self.from.is_none_or(|from| from <= day) && self.to.is_none_or(|to| day <= to)
    }
}

impl fmt::Display for Period {
    /// Writes ` from DAY to DAY`, or what there is of it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.from.map_or(Ok(()), |from| write!(f, " from {from}"))?;
        self.to.map_or(Ok(()), |to| write!(f, " to {to}"))
    }
}

/// A token, as the configuration knows it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Token {
    pub(crate) digest: [u8; 32],
    pub(crate) period: Period,
}

impl Token {
    /// Tells whether this is the digest of the token. Takes as long for a wrong one as for the right one.
    pub(crate) fn is(&self, digest: &[u8; 32]) -> bool {
        let differences = self.digest.iter().zip(digest).fold(0_u8, |all, (one, other)| black_box(all | (one ^ other)));
        differences == 0
    }
}

/// Returns what the configuration says of a token: its SHA-256.
pub fn token_digest(token: &str) -> [u8; 32] {
    Sha256::digest(token.as_bytes()).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_period_holds_its_first_and_its_last_day() {
        let day = |text| Date::parse(text).unwrap();
        let period = Period { from: Some(day("2026-03-01")), to: Some(day("2026-03-31")) };
        assert!(["2026-03-01", "2026-03-15", "2026-03-31"].iter().all(|text| period.holds(day(text))));
        assert!(["2026-02-28", "2026-04-01"].iter().all(|text| !period.holds(day(text))));
        assert!(Period::default().holds(day("1970-01-01")));
    }

    #[test]
    fn a_token_is_its_digest_and_no_other() {
        let token = Token { digest: token_digest("one"), period: Period::default() };
        assert!(token.is(&token_digest("one")));
        for bit in 0..256_usize {
            let mut other = token.digest;
            other[bit / 8] ^= 1 << (bit % 8);
            assert!(!token.is(&other), "bit {bit}");
        }
    }
}
