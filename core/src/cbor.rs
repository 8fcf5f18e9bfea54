//! Deterministic CBOR (RFC 8949, 4.2.1) with strict reading.
//!
//! What may stand: unsigned and negative integers, byte and text strings, arrays, maps, booleans
//! and null; definite lengths, shortest heads, map keys in bytewise order, no floats, no tags.
//! [`decode`] reads a record and refuses it unless writing it again gives the same bytes, so that
//! nothing has two encodings.

use alloc::vec::Vec;
use core::fmt;

use minicbor::data::Type;

/// Why bytes could not be read.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum DecodeError {
    /// The bytes are not the CBOR that was expected here.
    Malformed {
        /// Where reading stopped, in bytes from the record's start.
        offset: usize,
        /// What was expected.
        expected: &'static str,
    },
    /// Bytes follow the record.
    Trailing {
        /// Where the record ended.
        offset: usize,
    },
    /// The bytes are CBOR, but not in its one deterministic form.
    NotCanonical {
        /// The first byte that differs from the deterministic form.
        offset: usize,
    },
    /// A count, length or depth exceeds its limit (`limits`).
    Limit {
        /// What is too large.
        what: &'static str,
        /// The largest allowed.
        limit: u64,
        /// What was found.
        found: u64,
    },
    /// A field has a value that the format does not allow.
    Field {
        /// The record and field.
        field: &'static str,
        /// What is wrong with it.
        why: &'static str,
    },
}

impl DecodeError {
    /// Returns the stable reason code.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Malformed { .. } => "cbor-malformed",
            Self::Trailing { .. } => "cbor-trailing-bytes",
            Self::NotCanonical { .. } => "cbor-not-canonical",
            Self::Limit { .. } => "limit-exceeded",
            Self::Field { .. } => "field-invalid",
        }
    }
}

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Malformed { offset, expected } => write!(f, "expected {expected} at byte {offset}"),
            Self::Trailing { offset } => write!(f, "bytes follow the record's end at byte {offset}"),
            Self::NotCanonical { offset } => write!(f, "not deterministic CBOR: first difference at byte {offset}"),
            Self::Limit { what, limit, found } => write!(f, "{what}: {found} exceeds the limit of {limit}"),
            Self::Field { field, why } => write!(f, "{field}: {why}"),
        }
    }
}

impl core::error::Error for DecodeError {}

/// A record with one deterministic encoding.
pub trait Record: Sized {
    /// Writes the record.
    fn write(&self, out: &mut Writer<'_>);
    /// Reads the record; may accept more than [`Record::write`] makes, [`decode`] does not.
    fn read(input: &mut Reader<'_>) -> Result<Self, DecodeError>;
}

/// Room for a node's core, which is the record that most are of.
const TYPICAL_BYTES: usize = 256;

/// Returns the record's bytes.
pub fn encode(record: &impl Record) -> Vec<u8> {
    let mut out = Writer::with_capacity(TYPICAL_BYTES);
    record.write(&mut out);
    out.into_bytes()
}

/// Reads one record that fills `bytes`, strictly.
///
/// # Errors
/// Any [`DecodeError`]; `NotCanonical` if writing the record again gives other bytes.
pub fn decode<T: Record>(bytes: &[u8]) -> Result<T, DecodeError> {
    decode_with(bytes, T::read, T::write)
}

/// Reads with `read`, strictly: `write` has to give the same bytes again. It writes them nowhere, and compares.
pub(crate) fn decode_with<'a, T>(
    bytes: &'a [u8],
    read: impl FnOnce(&mut Reader<'a>) -> Result<T, DecodeError>,
    write: impl FnOnce(&T, &mut Writer<'a>),
) -> Result<T, DecodeError> {
    let mut input = Reader::new(bytes);
    let record = read(&mut input)?;
    input.finish()?;
    let mut again = Writer(Sink::Compare { rest: bytes, same: true });
    write(&record, &mut again);
    match again.0 {
        Sink::Compare { rest: [], same: true } => Ok(record),
        Sink::Compare { rest, .. } => Err(DecodeError::NotCanonical { offset: bytes.len().saturating_sub(rest.len()) }),
        Sink::Keep(_) => Err(DecodeError::NotCanonical { offset: 0 }),
    }
}

/// Writes deterministic CBOR. Map keys are the caller's to order; [`decode`] would notice.
#[derive(Debug)]
pub struct Writer<'a>(Sink<'a>);

/// Where bytes are written to.
#[derive(Debug)]
enum Sink<'a> {
    /// They are kept.
    Keep(Vec<u8>),
    /// They are compared with what was read.
    Compare {
        /// What nothing was written for yet; from the first difference on, it begins there.
        rest: &'a [u8],
        /// Whether all was the same so far.
        same: bool,
    },
}

impl Sink<'_> {
    #[inline]
    fn put(&mut self, bytes: &[u8]) {
        match self {
            Self::Keep(kept) => kept.extend_from_slice(bytes),
            Self::Compare { rest, same: true } if rest.starts_with(bytes) => {
                *rest = rest.get(bytes.len()..).unwrap_or_default();
            }
            Self::Compare { rest, same } => {
                if *same {
                    let equal = rest.iter().zip(bytes).take_while(|(one, other)| one == other).count();
                    *rest = rest.get(equal..).unwrap_or_default();
                }
                *same = false;
            }
        }
    }
}

impl Default for Writer<'_> {
    fn default() -> Self {
        Self::new()
    }
}

/// The major types of RFC 8949, 3.1, in the three bits where they stand.
mod major {
    pub(super) const UINT: u8 = 0;
    pub(super) const NEGATIVE: u8 = 1 << 5;
    pub(super) const BYTES: u8 = 2 << 5;
    pub(super) const TEXT: u8 = 3 << 5;
    pub(super) const ARRAY: u8 = 4 << 5;
    pub(super) const MAP: u8 = 5 << 5;
    pub(super) const TAG: u8 = 6 << 5;
    pub(super) const SIMPLE: u8 = 7 << 5;
}

impl Writer<'_> {
    /// Begins with nothing.
    pub fn new() -> Self {
        Self::with_capacity(0)
    }
    /// Begins with nothing, in memory for as many bytes.
    pub fn with_capacity(bytes: usize) -> Self {
        Self::after(Vec::with_capacity(bytes))
    }
    /// Begins after `bytes`, in the memory that they have.
    pub fn after(bytes: Vec<u8>) -> Self {
        Self(Sink::Keep(bytes))
    }
    /// Returns what was written.
    pub fn into_bytes(self) -> Vec<u8> {
        match self.0 {
            Sink::Keep(kept) => kept,
            Sink::Compare { .. } => Vec::new(),
        }
    }
    /// Writes a head with its argument in the shortest form.
    #[inline]
    fn head(&mut self, major: u8, argument: u64) -> &mut Self {
        if let Ok(small) = u8::try_from(argument) {
            if small < 24 { self.0.put(&[major | small]) } else { self.0.put(&[major | 0x18, small]) }
        } else if let Ok(two) = u16::try_from(argument) {
            let [a, b] = two.to_be_bytes();
            self.0.put(&[major | 0x19, a, b]);
        } else if let Ok(four) = u32::try_from(argument) {
            let [a, b, c, d] = four.to_be_bytes();
            self.0.put(&[major | 0x1a, a, b, c, d]);
        } else {
            self.0.put(&[major | 0x1b]);
            self.0.put(&argument.to_be_bytes());
        }
        self
    }
    /// Writes an unsigned integer.
    pub fn uint(&mut self, value: u64) -> &mut Self {
        self.head(major::UINT, value)
    }
    /// Writes a signed integer.
    pub fn int(&mut self, value: i64) -> &mut Self {
        match u64::try_from(value) {
            Ok(value) => self.head(major::UINT, value),
            // -1 is written as 0, -2 as 1: the bits turned over.
            Err(_) => self.head(major::NEGATIVE, (!value).unsigned_abs()),
        }
    }
    /// Writes a byte string.
    pub fn bytes(&mut self, value: &[u8]) -> &mut Self {
        self.head(major::BYTES, wide(value.len())).0.put(value);
        self
    }
    /// Writes a text string.
    pub fn text(&mut self, value: &str) -> &mut Self {
        self.head(major::TEXT, wide(value.len())).0.put(value.as_bytes());
        self
    }
    /// Writes a boolean.
    pub fn bool(&mut self, value: bool) -> &mut Self {
        self.head(major::SIMPLE, if value { 21 } else { 20 })
    }
    /// Writes null.
    pub fn null(&mut self) -> &mut Self {
        self.head(major::SIMPLE, 22)
    }
    /// Begins an array of `len` items.
    pub fn array(&mut self, len: usize) -> &mut Self {
        self.head(major::ARRAY, wide(len))
    }
    /// Writes the tag of the item that follows.
    pub(crate) fn tag(&mut self, tag: u64) -> &mut Self {
        self.head(major::TAG, tag)
    }
    /// Ends a chain of calls where nothing is to be returned.
    pub fn end(&mut self) {}
    /// Begins a map of `len` pairs.
    pub fn map(&mut self, len: usize) -> &mut Self {
        self.head(major::MAP, wide(len))
    }
}

/// Widens a length; no platform has lengths beyond 64 bits.
pub(crate) fn wide(len: usize) -> u64 {
    u64::try_from(len).unwrap_or(u64::MAX)
}

/// What the next item is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// An integer of either sign.
    Int,
    /// A byte string.
    Bytes,
    /// A text string.
    Text,
    /// An array.
    Array,
    /// A map.
    Map,
    /// A boolean.
    Bool,
    /// Null.
    Null,
    /// Something that no record holds.
    Other,
}

/// Reads CBOR, one item at a time.
#[derive(Debug)]
pub struct Reader<'a>(minicbor::Decoder<'a>);

impl<'a> Reader<'a> {
    /// Reads from the start of `bytes`.
    pub fn new(bytes: &'a [u8]) -> Self {
        Self(minicbor::Decoder::new(bytes))
    }
    /// Returns how many bytes were read.
    pub fn offset(&self) -> usize {
        self.0.position()
    }
    /// Ends reading.
    ///
    /// # Errors
    /// `Trailing` if bytes are left.
    pub fn finish(&self) -> Result<(), DecodeError> {
        if self.0.position() == self.0.input().len() {
            return Ok(());
        }
        Err(DecodeError::Trailing { offset: self.0.position() })
    }
    fn bad<T>(&self, expected: &'static str) -> Result<T, DecodeError> {
        Err(DecodeError::Malformed { offset: self.0.position(), expected })
    }
    /// Tells what comes next, without reading it.
    pub fn next(&self) -> Result<Next, DecodeError> {
        let Ok(kind) = self.0.datatype() else { return self.bad("an item") };
        Ok(match kind {
            Type::U8 | Type::U16 | Type::U32 | Type::U64 | Type::I8 | Type::I16 | Type::I32 | Type::I64 => Next::Int,
            Type::Bytes => Next::Bytes,
            Type::String => Next::Text,
            Type::Array => Next::Array,
            Type::Map => Next::Map,
            Type::Bool => Next::Bool,
            Type::Null => Next::Null,
            Type::Int
            | Type::F16
            | Type::F32
            | Type::F64
            | Type::Simple
            | Type::Undefined
            | Type::BytesIndef
            | Type::StringIndef
            | Type::ArrayIndef
            | Type::MapIndef
            | Type::Tag
            | Type::Break
            | Type::Unknown(_) => Next::Other,
        })
    }
    /// Reads an unsigned integer.
    pub fn uint(&mut self) -> Result<u64, DecodeError> {
        self.0.u64().or_else(|_| self.bad("an unsigned integer"))
    }
    /// Reads a signed integer.
    pub fn int(&mut self) -> Result<i64, DecodeError> {
        self.0.i64().or_else(|_| self.bad("an integer"))
    }
    /// Reads a byte string of at most `limit` bytes.
    pub fn bytes(&mut self, what: &'static str, limit: usize) -> Result<&'a [u8], DecodeError> {
        let Ok(bytes) = self.0.bytes() else { return self.bad("a byte string") };
        within(what, bytes.len(), limit)?;
        Ok(bytes)
    }
    /// Reads a byte string of exactly `N` bytes.
    pub fn fixed<const N: usize>(&mut self) -> Result<[u8; N], DecodeError> {
        let offset = self.0.position();
        let wrong = DecodeError::Malformed { offset, expected: "a byte string of fixed length" };
        self.0.bytes().ok().and_then(|bytes| bytes.try_into().ok()).ok_or(wrong)
    }
    /// Reads a 32-byte digest.
    pub fn digest(&mut self) -> Result<crate::digest::Digest, DecodeError> {
        self.fixed().map(crate::digest::Digest::from_bytes)
    }
    /// Reads a text string of at most `limit` bytes.
    pub fn text(&mut self, what: &'static str, limit: usize) -> Result<&'a str, DecodeError> {
        let Ok(text) = self.0.str() else { return self.bad("a text string") };
        within(what, text.len(), limit)?;
        Ok(text)
    }
    /// Reads a boolean.
    pub fn bool(&mut self) -> Result<bool, DecodeError> {
        self.0.bool().or_else(|_| self.bad("a boolean"))
    }
    /// Reads null.
    pub fn null(&mut self) -> Result<(), DecodeError> {
        self.0.null().or_else(|_| self.bad("null"))
    }
    /// Reads the tag `tag`.
    pub(crate) fn tag(&mut self, tag: u64) -> Result<(), DecodeError> {
        match self.0.tag() {
            Ok(found) if found.as_u64() == tag => Ok(()),
            Ok(_) | Err(_) => self.bad("a tag"),
        }
    }
    /// Reads the head of an array of at most `limit` items.
    pub fn array(&mut self, what: &'static str, limit: usize) -> Result<usize, DecodeError> {
        let Ok(Some(len)) = self.0.array() else { return self.bad("an array") };
        within_u64(what, len, limit)
    }
    /// Reads the head of an array of exactly `len` items.
    pub fn tuple(&mut self, len: usize) -> Result<(), DecodeError> {
        match self.0.array() {
            Ok(Some(found)) if found == wide(len) => Ok(()),
            Ok(_) | Err(_) => self.bad("an array of fixed length"),
        }
    }
    /// Reads the head of a map of at most `limit` pairs.
    pub fn map(&mut self, what: &'static str, limit: usize) -> Result<usize, DecodeError> {
        let Ok(Some(len)) = self.0.map() else { return self.bad("a map") };
        within_u64(what, len, limit)
    }
    /// Reads a list of at most `limit` items with `read`.
    ///
    /// Memory grows with what is read, never with what a count claims.
    pub fn list<T>(
        &mut self,
        what: &'static str,
        limit: usize,
        mut read: impl FnMut(&mut Self) -> Result<T, DecodeError>,
    ) -> Result<Vec<T>, DecodeError> {
        let len = self.array(what, limit)?;
        let mut items = Vec::new();
        for _ in 0..len {
            items.push(read(self)?);
        }
        Ok(items)
    }
}

/// Checks a length against its limit.
///
/// # Errors
/// `Limit` if it is larger.
pub fn within(what: &'static str, found: usize, limit: usize) -> Result<(), DecodeError> {
    within_u64(what, wide(found), limit).map(|_| ())
}

fn within_u64(what: &'static str, found: u64, limit: usize) -> Result<usize, DecodeError> {
    match usize::try_from(found) {
        Ok(len) if len <= limit => Ok(len),
        Ok(_) | Err(_) => Err(DecodeError::Limit { what, limit: wide(limit), found }),
    }
}

/// Makes the error of a field that holds what the format does not allow.
pub(crate) const fn bad_field(field: &'static str, why: &'static str) -> DecodeError {
    DecodeError::Field { field, why }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// minicbor's own writer is the oracle.
    #[test]
    fn what_is_written_is_what_minicbor_writes() {
        let edges = [0, 1, 23, 24, 255, 256, 65_535, 65_536, u32::MAX.into(), 1 << 32, u64::MAX >> 1, u64::MAX];
        for value in edges {
            let signed = i64::try_from(value).unwrap_or(i64::MAX);
            let len = usize::try_from(value.min(70_000)).unwrap();
            let (bytes, text) = (alloc::vec![7; len], "x".repeat(len));
            let mut out = Writer::after([9].into());
            out.uint(value)
                .int(signed)
                .int(-signed)
                .int(!signed)
                .bytes(&bytes)
                .text(&text)
                .bool(true)
                .bool(false)
                .null();
            out.array(len).map(len).tag(value);
            let mut oracle = minicbor::Encoder::new(Vec::from([9]));
            oracle.u64(value).unwrap().i64(signed).unwrap().i64(-signed).unwrap().i64(!signed).unwrap();
            oracle.bytes(&bytes).unwrap().str(&text).unwrap().bool(true).unwrap().bool(false).unwrap().null().unwrap();
            oracle.array(wide(len)).unwrap().map(wide(len)).unwrap().tag(minicbor::data::Tag::new(value)).unwrap();
            assert_eq!(out.into_bytes(), oracle.into_writer(), "{value}");
        }
    }
}
