//! The value of a detail: text, integers, bytes, booleans, and lists and maps of them.

use alloc::{string::String, vec::Vec};
use core::fmt;

use crate::cbor::{DecodeError, Next, Reader, Record, Writer, bad_field, within};
use crate::limits::{VALUE_BYTES_MAX, VALUE_DEPTH_MAX, VALUE_ITEMS_MAX};

/// A detail's value. There are no floats: a measured number is text, as it was written.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Value {
    /// Text.
    Text(String),
    /// An integer.
    Int(i64),
    /// Bytes, such as a digest.
    Bytes(Vec<u8>),
    /// A truth value.
    Bool(bool),
    /// A list.
    List(Vec<Value>),
    /// A map, its keys in the order that deterministic CBOR asks for.
    Map(Vec<(String, Value)>),
}

impl Value {
    /// Makes a text value.
    pub fn text(text: impl Into<String>) -> Self {
        Self::Text(text.into())
    }

    /// Makes a map, putting its keys in order. Of two equal keys the first is kept.
    pub fn map(mut pairs: Vec<(String, Self)>) -> Self {
        pairs.sort_by(|a, b| key_order(&a.0, &b.0));
        pairs.dedup_by(|a, b| a.0 == b.0);
        Self::Map(pairs)
    }

    /// Returns the text, if it is text.
    pub fn as_text(&self) -> Option<&str> {
        if let Self::Text(text) = self { Some(text) } else { None }
    }

    /// Returns the entry of a map.
    pub fn field(&self, key: &str) -> Option<&Self> {
        let Self::Map(pairs) = self else { return None };
        pairs.iter().find(|(name, _)| name == key).map(|(_, value)| value)
    }

    /// Returns the integer, if it is one.
    pub fn as_int(&self) -> Option<i64> {
        if let Self::Int(value) = self { Some(*value) } else { None }
    }

    /// Returns the bytes, if it is bytes.
    pub fn as_bytes(&self) -> Option<&[u8]> {
        if let Self::Bytes(bytes) = self { Some(bytes) } else { None }
    }

    fn read_at(input: &mut Reader<'_>, depth: usize, items: &mut usize) -> Result<Self, DecodeError> {
        *items = items.saturating_add(1);
        within("items of a detail value", *items, VALUE_ITEMS_MAX)?;
        within("nesting of a detail value", depth, VALUE_DEPTH_MAX)?;
        let deeper = depth.saturating_add(1);
        Ok(match input.next()? {
            Next::Text => Self::Text(input.text("detail text", VALUE_BYTES_MAX)?.into()),
            Next::Int => Self::Int(input.int()?),
            Next::Bytes => Self::Bytes(input.bytes("detail bytes", VALUE_BYTES_MAX)?.into()),
            Next::Bool => Self::Bool(input.bool()?),
            Next::Array => Self::List(input.list("detail list", VALUE_BYTES_MAX, |i| Self::read_at(i, deeper, items))?),
            Next::Map => Self::read_map(input, deeper, items)?,
            Next::Null | Next::Other => return Err(bad_field("detail value", "holds a type that details do not have")),
        })
    }

    fn read_map(input: &mut Reader<'_>, depth: usize, items: &mut usize) -> Result<Self, DecodeError> {
        let len = input.map("detail map", VALUE_BYTES_MAX)?;
        let mut pairs: Vec<(String, Self)> = Vec::new();
        for _ in 0..len {
            let key = input.text("detail map key", VALUE_BYTES_MAX)?;
            if pairs.last().is_some_and(|(last, _)| key_order(last, key).is_ge()) {
                return Err(bad_field("detail map", "keys are not in order, or one stands twice"));
            }
            pairs.push((key.into(), Self::read_at(input, depth, items)?));
        }
        Ok(Self::Map(pairs))
    }
}

/// Bytewise order of the encoded keys: shorter first, then by bytes.
fn key_order(a: &str, b: &str) -> core::cmp::Ordering {
    (a.len(), a.as_bytes()).cmp(&(b.len(), b.as_bytes()))
}

impl Record for Value {
    fn write(&self, out: &mut Writer<'_>) {
        match self {
            Self::Text(text) => out.text(text).end(),
            Self::Int(value) => out.int(*value).end(),
            Self::Bytes(bytes) => out.bytes(bytes).end(),
            Self::Bool(value) => out.bool(*value).end(),
            Self::List(items) => {
                out.array(items.len());
                items.iter().for_each(|item| item.write(out));
            }
            Self::Map(pairs) => {
                out.map(pairs.len());
                for (key, value) in pairs {
                    out.text(key);
                    value.write(out);
                }
            }
        }
    }

    fn read(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Self::read_at(input, 0, &mut 0)
    }
}

impl fmt::Display for Value {
    /// Writes the value on one line, for people.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) => text
                .chars()
                .try_for_each(|c| if c.is_control() { write!(f, "{}", c.escape_default()) } else { write!(f, "{c}") }),
            Self::Int(value) => write!(f, "{value}"),
            Self::Bytes(bytes) => bytes.iter().try_for_each(|byte| write!(f, "{byte:02x}")),
            Self::Bool(value) => write!(f, "{value}"),
            Self::List(items) => {
                for (i, item) in items.iter().enumerate() {
                    write!(f, "{}{item}", if i == 0 { "" } else { ", " })?;
                }
                Ok(())
            }
            Self::Map(pairs) => {
                for (i, (key, value)) in pairs.iter().enumerate() {
                    write!(f, "{}{}: {value}", if i == 0 { "" } else { "; " }, Self::Text(key.clone()))?;
                }
                Ok(())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cbor::{decode, encode};

    #[test]
    fn a_value_has_a_bounded_number_of_items() {
        let lists = |count| Value::List(alloc::vec![Value::List(Vec::new()); count]);
        let most = lists(VALUE_ITEMS_MAX - 1);
        assert_eq!(decode::<Value>(&encode(&most)), Ok(most));
        let error = decode::<Value>(&encode(&lists(VALUE_ITEMS_MAX))).unwrap_err();
        assert_eq!(error.code(), "limit-exceeded");
    }
}
