//! What travels between a log and a witness (C2SP tlog-witness v1.0.0, `add-checkpoint`).

use base64::{Engine as _, engine::general_purpose::STANDARD};
use griptrace_core::{
    digest::Digest,
    note::{Note, NoteError},
};

/// Hashes of one consistency proof: a tree of 2^64 leaves has no longer one (tlog-witness: "MUST NOT send more").
pub const PROOF_HASHES_MAX: usize = 63;
/// Bytes of one request: a checkpoint with its log's signatures, some cosignatures of 3.3 kB, and a proof of 3 kB.
pub const REQUEST_BYTES_MAX: usize = 256 << 10;
/// The content type of a body that tells a size.
pub const SIZE_TYPE: &str = "text/x.tlog.size";

/// What a log sends: its checkpoint, and that it grew from the one the witness cosigned last.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct AddCheckpoint {
    /// The size that the witness is thought to have cosigned last; 0 for none.
    pub old: u64,
    /// The consistency proof from there (RFC 6962, 2.1.2).
    pub proof: Vec<Digest>,
    /// The signed checkpoint.
    pub note: Note,
}

/// Why a request can't be read.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RequestError {
    /// The first line is not `old SIZE`.
    #[error("the first line is not `old` and a size")]
    Old,
    /// A line of the proof is not the base64 of 32 bytes.
    #[error("proof line {line} is not the base64 of a hash")]
    Hash {
        /// Which one, from 0.
        line: usize,
    },
    /// The proof is longer than any.
    #[error("the proof has more than {PROOF_HASHES_MAX} lines")]
    ProofLength,
    /// There is no empty line before the checkpoint.
    #[error("there is no empty line before the checkpoint")]
    Separator,
    /// The checkpoint is no signed note.
    #[error("the checkpoint is malformed: {0}")]
    Note(NoteError),
}

impl AddCheckpoint {
    /// Writes the body of the request.
    pub fn to_bytes(&self) -> Vec<u8> {
        let hashes: String = self.proof.iter().map(|hash| STANDARD.encode(hash.as_bytes()) + "\n").collect();
        format!("old {}\n{hashes}\n{}", self.old, self.note.to_text()).into_bytes()
    }

    /// Reads the body of a request. Only the one canonical spelling is taken.
    ///
    /// # Errors
    /// [`RequestError`].
    pub fn parse(body: &[u8]) -> Result<Self, RequestError> {
        let (first, mut rest) = line(body).ok_or(RequestError::Old)?;
        let old = first.strip_prefix(b"old ").and_then(parse_size).ok_or(RequestError::Old)?;
        let mut proof = Vec::new();
        loop {
            let (next, after) = line(rest).ok_or(RequestError::Separator)?;
            rest = after;
            if next.is_empty() {
                break;
            }
            if proof.len() == PROOF_HASHES_MAX {
                return Err(RequestError::ProofLength);
            }
            let bytes = STANDARD.decode(next).ok();
            let hash = bytes.and_then(|bytes| Digest::from_slice(&bytes));
            proof.push(hash.ok_or(RequestError::Hash { line: proof.len() })?);
        }
        let note = Note::parse(rest).map_err(RequestError::Note)?;
        Ok(Self { old, proof, note })
    }
}

/// Takes the first line off, without its newline; `None` where there is no whole one.
fn line(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let end = bytes.iter().position(|byte| *byte == b'\n')?;
    let (line, rest) = bytes.split_at_checked(end)?;
    Some((line, rest.get(1..)?))
}

/// Reads a size: decimal digits without a leading zero.
pub fn parse_size(text: &[u8]) -> Option<u64> {
    let is_canonical = text == b"0" || (!text.starts_with(b"0") && text.iter().all(u8::is_ascii_digit));
    core::str::from_utf8(text).ok().filter(|_| is_canonical)?.parse().ok()
}

/// Reads the body that tells a size: the size and a newline.
pub fn parse_size_body(body: &[u8]) -> Option<u64> {
    parse_size(body.strip_suffix(b"\n")?)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of tlog-witness, `add-checkpoint`.
    const EXAMPLE: &str = "old 20852014
PlRNCrwHpqhGrupue0L7gxbjbMiKA9temvuZZDDpkaw=
jrJZDmY8Y7SyJE0MWLpLozkIVMSMZcD5kvuKxPC3swk=
5+pKlUdi2LeF/BcMHBn+Ku6yhPGNCswZZD1X/6QgPd8=
/6WVhPs2CwSsb5rYBH5cjHV/wSmA79abXAwhXw3Kj/0=

example.com/behind-the-sofa
20852163
CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=

\u{2014} example.com/behind-the-sofa Az3grlgtzPICa5OS8npVmf1Myq/5IZniMp+ZJurmRDeOoRDe4URYN7u5/Zhcyv2q1gGzGku9nTo+zyWE+xeMcTOAYQ8=
";

    #[test]
    fn the_example_of_the_specification_goes_there_and_back() {
        let request = AddCheckpoint::parse(EXAMPLE.as_bytes()).unwrap();
        assert_eq!((request.old, request.proof.len()), (20_852_014, 4));
        assert_eq!(request.note.text().lines().next(), Some("example.com/behind-the-sofa"));
        assert_eq!(request.to_bytes(), EXAMPLE.as_bytes());
    }

    #[test]
    fn what_is_not_canonical_is_refused_for_its_reason() {
        let refused =
            |from: &str, to: &str| AddCheckpoint::parse(EXAMPLE.replacen(from, to, 1).as_bytes()).unwrap_err();
        for old in [
            "old 020852014",
            "old  20852014",
            "old +1",
            "old -1",
            "old 20852014 ",
            "Old 1",
            "old",
            "",
            "old 18446744073709551616",
        ] {
            assert_eq!(refused("old 20852014", old), RequestError::Old, "{old:?}");
        }
        assert_eq!(refused("PlRN", "PlR"), RequestError::Hash { line: 0 });
        assert_eq!(refused("5+pK", "AAAA5+pK"), RequestError::Hash { line: 2 });
        assert_eq!(refused("\n\nexample", "\nexample"), RequestError::Hash { line: 4 });
        let hashes = "PlRNCrwHpqhGrupue0L7gxbjbMiKA9temvuZZDDpkaw=\n".repeat(60);
        assert_eq!(refused("PlRN", &format!("{hashes}PlRN")), RequestError::ProofLength);
        assert!(
            AddCheckpoint::parse(EXAMPLE.replacen("PlRN", &format!("{}PlRN", &hashes[45..]), 1).as_bytes()).is_ok()
        );
        assert!(matches!(refused("\u{2014}", "-"), RequestError::Note(_)));
        assert_eq!(AddCheckpoint::parse(b"old 1\n"), Err(RequestError::Separator));
        assert_eq!(AddCheckpoint::parse(b"old 1"), Err(RequestError::Old));
    }

    #[test]
    fn a_size_is_told_in_one_spelling() {
        assert_eq!(parse_size_body(b"20852014\n"), Some(20_852_014));
        assert_eq!(parse_size_body(b"0\n"), Some(0));
        for body in [b"1".as_slice(), b"01\n", b"1\n\n", b"+1\n", b" 1\n", b"\n", b"", b"1\r\n"] {
            assert_eq!(parse_size_body(body), None, "{body:?}");
        }
    }
}
