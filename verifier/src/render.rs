//! Reports in words and as JSON.
//!
//! All text that comes out of a bundle is its maker's: it is escaped and cut, so that no name can
//! look like a line of the report.

mod json;
mod meaning;
mod safe;
mod table;
mod words;

pub use json::{SCHEMA, could_not_check, graph_json, json, json_text};
pub use meaning::{Meaning, meaning};
pub use safe::plain;
pub use words::{causes, errors, line, words};

#[cfg(test)]
mod tests;
