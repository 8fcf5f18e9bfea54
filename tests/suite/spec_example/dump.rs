//! Bytes as people read them: deterministic CBOR one item a line, anything else sixteen bytes a line.

use griptrace_core::cbor::{Next, Reader};

/// Where the remarks begin.
const COLUMN: usize = 52;
/// Bytes in a line.
const WIDTH: usize = 16;

/// What an item is called, by its place: map keys and array places from the top, joined by dots; `*` is any of them.
pub(super) type Labels<'a> = &'a [(&'a str, &'a str)];

/// Writes CBOR bytes, one item a line, with the labels of `labels` as remarks.
///
/// # Panics
///
/// If the bytes are not one item of deterministic CBOR.
pub(super) fn cbor(bytes: &[u8], labels: Labels<'_>) -> String {
    let mut out = Out { text: String::new(), bytes, at: 0, labels };
    out.item("", 0, "");
    assert_eq!(out.at, bytes.len(), "bytes follow the item");
    out.text
}

/// Writes bytes, sixteen a line, with a remark in the first.
pub(super) fn raw(bytes: &[u8], indent: usize, remark: &str) -> String {
    let mut text = String::new();
    for (number, line) in bytes.chunks(WIDTH).enumerate() {
        text.push_str(&line_of(&hex(line), indent, if number == 0 { remark } else { "" }));
    }
    text
}

pub(super) fn hex(bytes: &[u8]) -> String {
    let digit = |nibble: u8| char::from_digit(nibble.into(), 16).expect("four bits");
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
}

fn line_of(hex: &str, indent: usize, remark: &str) -> String {
    let left = format!("{}{hex}", " ".repeat(indent * 2));
    if remark.is_empty() { format!("{left}\n") } else { format!("{left:COLUMN$}# {remark}\n") }
}

struct Out<'a> {
    text: String,
    bytes: &'a [u8],
    at: usize,
    labels: Labels<'a>,
}

impl Out<'_> {
    /// Writes the item at `place`. `before` is the map key that stands before it, as hexadecimal digits.
    fn item(&mut self, place: &str, indent: usize, before: &str) {
        let mut reader = Reader::new(&self.bytes[self.at..]);
        let next = reader.next().expect("an item follows");
        let label = self.labels.iter().find(|(at, _)| is_at(place, at)).map_or("", |(_, label)| label);
        match next {
            Next::Array => {
                let count = reader.array("items", usize::MAX).expect("an array");
                let head = self.take(self.head());
                self.line(&head, before, indent, &called(label, &format!("array of {count}")));
                (0..count).for_each(|i| self.item(&below(place, &i.to_string()), indent + 1, ""));
            }
            Next::Map => {
                let count = reader.map("pairs", usize::MAX).expect("a map");
                let head = self.take(self.head());
                self.line(&head, before, indent, &called(label, &format!("map of {count}")));
                (0..count).for_each(|_| self.pair(place, indent + 1));
            }
            Next::Bytes => {
                let bytes = reader.bytes("bytes", usize::MAX).expect("bytes").to_vec();
                let head = self.take(self.head());
                self.line(&head, before, indent, &called(label, &format!("{} bytes", bytes.len())));
                self.text.push_str(&raw(&bytes, indent + 1, ""));
                self.at += bytes.len();
            }
            Next::Text => {
                let text = reader.text("text", usize::MAX).expect("text").to_owned();
                let head = self.take(self.head());
                self.line(&head, before, indent, &called(label, &shown(&text)));
                self.text.push_str(&raw(text.as_bytes(), indent + 1, ""));
                self.at += text.len();
            }
            Next::Int => {
                let value = reader.int().expect("an integer");
                let head = self.take(self.head());
                self.line(&head, before, indent, &called(label, &value.to_string()));
            }
            Next::Bool | Next::Null | Next::Other => {
                let head = self.take(1);
                let words = [("f4", "false"), ("f5", "true"), ("f6", "null")];
                let (_, word) = words.iter().find(|(byte, _)| *byte == head).expect("a type of ours");
                self.line(&head, before, indent, &called(label, word));
            }
        }
    }

    /// Writes a pair whose key is a small number or a text.
    fn pair(&mut self, place: &str, indent: usize) {
        let mut reader = Reader::new(&self.bytes[self.at..]);
        if reader.next().expect("a key") == Next::Int {
            let key = reader.int().expect("a number");
            let head = self.take(self.head());
            self.item(&below(place, &key.to_string()), indent, &head);
            return;
        }
        let key = reader.text("key", usize::MAX).expect("a text").to_owned();
        let length = self.head() + key.len();
        let head = self.take(length);
        self.line(&head, "", indent, &format!("{key:?}:"));
        self.item(&below(place, &key), indent + 1, "");
    }

    fn line(&mut self, head: &str, before: &str, indent: usize, remark: &str) {
        let both = if before.is_empty() { head.to_owned() } else { format!("{before} {head}") };
        self.text.push_str(&line_of(&both, indent, remark));
    }

    /// Counts the bytes of the head at hand: RFC 8949, section 3.
    fn head(&self) -> usize {
        match self.bytes[self.at] & 0x1f {
            24 => 2,
            25 => 3,
            26 => 5,
            27 => 9,
            _ => 1,
        }
    }

    fn take(&mut self, length: usize) -> String {
        let taken = hex(&self.bytes[self.at..self.at + length]);
        self.at += length;
        taken
    }
}

/// Quotes a text if it is short.
fn shown(text: &str) -> String {
    if text.len() <= 64 { format!("{text:?}") } else { format!("text of {} bytes", text.len()) }
}

fn is_at(place: &str, pattern: &str) -> bool {
    let steps = || place.split('.').zip(pattern.split('.'));
    place.split('.').count() == pattern.split('.').count() && steps().all(|(step, at)| at == "*" || at == step)
}

fn called(label: &str, value: &str) -> String {
    if label.is_empty() { value.to_owned() } else { format!("{label}: {value}") }
}

fn below(place: &str, step: &str) -> String {
    if place.is_empty() { step.to_owned() } else { format!("{place}.{step}") }
}
