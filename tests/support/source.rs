//! The project's own files, as text, for tests that check what no lint does.

use std::fs;
use std::path::Path;

use crate::paths::workspace_root;

/// One text file of the project.
#[derive(Clone, Debug)]
pub struct SourceFile {
    /// The path from the workspace's root, `/`-separated.
    pub path: String,
    /// What it holds.
    pub text: String,
}

impl SourceFile {
    /// Tells whether the file's name ends with one of `endings` (with their dot).
    #[must_use]
    pub fn ends_with(&self, endings: &[&str]) -> bool {
        endings.iter().any(|ending| self.path.ends_with(ending))
    }
}

/// Reads a file that has to exist.
///
/// # Panics
///
/// If it doesn't, or is not UTF-8: a check over a missing document fails.
#[must_use]
pub fn document(path: &str) -> String {
    fs::read_to_string(workspace_root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// Returns every file below `folder` (`""`: the whole workspace) whose name ends with one of
/// `endings`, sorted by path. Leaves out what is built and what begins with a dot.
///
/// # Panics
///
/// If `folder` doesn't exist or a file is not UTF-8.
#[must_use]
pub fn files(folder: &str, endings: &[&str]) -> Vec<SourceFile> {
    let mut found = Vec::new();
    gather(&workspace_root(), folder, endings, &mut found);
    found.sort_by(|one, other| one.path.cmp(&other.path));
    found
}

fn gather(root: &Path, folder: &str, endings: &[&str], found: &mut Vec<SourceFile>) {
    let entries = fs::read_dir(root.join(folder)).unwrap_or_else(|e| panic!("{folder}/: {e}"));
    for entry in entries {
        let entry = entry.expect("a listed entry can be read");
        let name = entry.file_name().to_str().expect("our names are text").to_owned();
        let path = if folder.is_empty() { name.clone() } else { format!("{folder}/{name}") };
        if name.starts_with('.') || ["target", "demo", "benches/out"].contains(&path.as_str()) {
            continue;
        }
        if entry.file_type().expect("a listed entry has a type").is_dir() {
            // A package outside the workspace has folders of its own for what is built and installed.
            if !["target", "node_modules", "dist"].contains(&name.as_str()) {
                gather(root, &path, endings, found);
            }
        } else if endings.iter().any(|ending| name.ends_with(ending)) {
            let text = document(&path);
            found.push(SourceFile { path, text });
        }
    }
}

/// Returns every Rust file of the workspace, tests, benches and excluded packages included.
#[must_use]
pub fn rust_files() -> Vec<SourceFile> {
    files("", &[".rs"])
}

/// A piece of Rust source that people get to read: a string literal or a doc comment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Prose {
    /// The line where it begins, counted from 1.
    pub line: usize,
    /// The text between the marks, escapes as written.
    pub text: String,
}

/// Returns the string literals and doc comments of a Rust source, in their order.
#[must_use]
pub fn prose(source: &str) -> Vec<Prose> {
    let mut found = Vec::new();
    let mut at = 0;
    while at < source.len() {
        let rest = &source[at..];
        let token = token(rest);
        if let Some((start, end)) = token.prose {
            let line = source[..at].matches('\n').count() + 1;
            found.push(Prose { line, text: rest[start..end].to_owned() });
        }
        at += token.len;
    }
    found
}

/// The length of the token at the start of `rest`, and where in it there is prose.
struct Token {
    len: usize,
    prose: Option<(usize, usize)>,
}

fn token(rest: &str) -> Token {
    if rest.starts_with("//") {
        let len = rest.find('\n').unwrap_or(rest.len());
        let is_doc = rest.starts_with("///") || rest.starts_with("//!");
        return Token { len, prose: is_doc.then_some((3, len)) };
    }
    if rest.starts_with("/*") {
        let len = rest.find("*/").map_or(rest.len(), |end| end + 2);
        return Token { len, prose: None };
    }
    if let Some(hashes) = raw_string_hashes(rest) {
        let start = hashes + 2;
        let close = format!("\"{}", "#".repeat(hashes));
        let end = rest[start..].find(&close).map_or(rest.len(), |end| start + end);
        return Token { len: (end + close.len()).min(rest.len()), prose: Some((start, end)) };
    }
    match rest.chars().next() {
        Some('"') => {
            let end = closing_quote(&rest[1..], '"').map_or(rest.len(), |end| end + 1);
            Token { len: (end + 1).min(rest.len()), prose: Some((1, end)) }
        }
        Some('\'') => Token { len: char_literal_len(rest).unwrap_or(1), prose: None },
        Some(letter) if letter.is_alphanumeric() || letter == '_' => Token { len: word_len(rest), prose: None },
        Some(other) => Token { len: other.len_utf8(), prose: None },
        None => Token { len: 0, prose: None },
    }
}

/// Returns how many `#` stand in `r##"`, if `rest` begins a raw string.
fn raw_string_hashes(rest: &str) -> Option<usize> {
    let after = rest.strip_prefix('r')?;
    let hashes = after.len() - after.trim_start_matches('#').len();
    after[hashes..].starts_with('"').then_some(hashes)
}

/// Returns where the quote closes in `text`, which begins after the opening one.
fn closing_quote(text: &str, quote: char) -> Option<usize> {
    let mut escaped = false;
    for (place, letter) in text.char_indices() {
        if escaped {
            escaped = false;
        } else if letter == '\\' {
            escaped = true;
        } else if letter == quote {
            return Some(place);
        }
    }
    None
}

/// Returns the length of a character literal, or none for a lifetime.
fn char_literal_len(rest: &str) -> Option<usize> {
    let inside = &rest[1..];
    if inside.starts_with('\\') {
        return closing_quote(inside, '\'').map(|end| end + 2);
    }
    let letter = inside.chars().next()?;
    inside[letter.len_utf8()..].starts_with('\'').then_some(letter.len_utf8() + 2)
}

/// Returns the length of an identifier or number. A `b` or `c` prefix ends where its literal begins.
fn word_len(rest: &str) -> usize {
    let len = rest.find(|letter: char| !letter.is_alphanumeric() && letter != '_').unwrap_or(rest.len());
    match &rest[..len] {
        "br" | "cr" if raw_string_hashes(&rest[1..]).is_some() => 1,
        _ => len,
    }
}
