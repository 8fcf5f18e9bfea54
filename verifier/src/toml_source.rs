//! Reading of TOML so that whatever is refused is refused with its line and column.
//!
//! Trust file and policy decide what is believed, so nothing in them is passed over: an unknown
//! field is an error, and so is a value of another type.

use alloc::{
    format,
    string::{String, ToString},
    vec::Vec,
};
use core::fmt;

use griptrace_core::date::Date;
use griptrace_core::limits::{CONFIG_BYTES_MAX, CONFIG_ITEMS_MAX, CONFIG_TEXT_MAX};
use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

/// Why a trust file or policy was refused, and where.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ConfigError {
    /// The file, as it was named to the parser.
    pub file: String,
    /// The line, from 1.
    pub line: usize,
    /// The column in characters, from 1.
    pub column: usize,
    /// The field, by its path: `committer.key`. Empty where the whole file is meant.
    pub what: String,
    /// What is wrong.
    pub why: String,
    /// What to do about it, if there is something to say.
    pub hint: Option<String>,
}

impl fmt::Display for ConfigError {
    /// Writes `FILE:LINE:COLUMN: FIELD: WHY`, without the hint.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}: ", self.file, self.line, self.column)?;
        if !self.what.is_empty() {
            write!(f, "{}: ", self.what)?;
        }
        f.write_str(&self.why)
    }
}

impl core::error::Error for ConfigError {}

impl ConfigError {
    /// Adds what to do about it.
    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

/// A file's name and text, to tell places in it.
#[derive(Debug)]
pub(crate) struct Source<'a> {
    file: &'a str,
    text: &'a str,
}

impl<'a> Source<'a> {
    /// Parses a file's text.
    pub(crate) fn parse(file: &'a str, text: &'a str) -> Result<(Self, Spanned<DeTable<'a>>), ConfigError> {
        let source = Self { file, text };
        if text.len() > CONFIG_BYTES_MAX {
            let why = format!("{} bytes are above the limit of {CONFIG_BYTES_MAX}", text.len());
            return Err(source.error(0, "", why));
        }
        let table = DeTable::parse(text).map_err(|error| {
            let at = error.span().map_or(text.len(), |span| span.start);
            source.error(at, "", error.message().to_string())
        })?;
        Ok((source, table))
    }

    /// Opens the top of the file, which has no other fields than `known`.
    pub(crate) fn top<'s>(
        &'s self,
        table: &'s Spanned<DeTable<'a>>,
        known: &[&str],
    ) -> Result<Fields<'s>, ConfigError> {
        let fields = Fields { source: self, table: table.get_ref(), at: 0, path: String::new() };
        fields.check_known(known)?;
        Ok(fields)
    }

    fn error(&self, at: usize, what: &str, why: String) -> ConfigError {
        let before = self.text.get(..at).unwrap_or(self.text);
        let line = before.matches('\n').count().saturating_add(1);
        let last = before.rsplit('\n').next().unwrap_or_default();
        let column = last.chars().count().saturating_add(1);
        ConfigError { file: self.file.into(), line, column, what: what.into(), why, hint: None }
    }
}

/// The fields of one table.
#[derive(Debug)]
pub(crate) struct Fields<'s> {
    source: &'s Source<'s>,
    table: &'s DeTable<'s>,
    at: usize,
    path: String,
}

impl<'s> Fields<'s> {
    /// Refuses fields that are not among `known`, the first in the file first.
    fn check_known(&self, known: &[&str]) -> Result<(), ConfigError> {
        let unknown = self.table.keys().filter(|key| !known.contains(&key.get_ref().as_ref()));
        let Some(first) = unknown.min_by_key(|key| key.span().start) else { return Ok(()) };
        let error = self.source.error(first.span().start, &self.path_of(first.get_ref()), "unknown field".into());
        Err(error.hint(format!("known here: {}", known.join(", "))))
    }

    fn path_of(&self, name: &str) -> String {
        if self.path.is_empty() { name.into() } else { format!("{}.{name}", self.path) }
    }

    /// Returns a field's value, if it is there.
    pub(crate) fn get(&self, name: &str) -> Option<Item<'s>> {
        self.table.get(name).map(|value| Item::new(self.source, value, self.path_of(name)))
    }

    /// Returns the value of a field that must be there.
    pub(crate) fn need(&self, name: &str) -> Result<Item<'s>, ConfigError> {
        self.get(name).ok_or_else(|| self.error(format!("the field `{name}` is missing")))
    }

    /// Returns every field in the order of the file: the place of its name as an error, and its value.
    pub(crate) fn all(&self) -> Vec<(&'s str, usize, Item<'s>)> {
        let item = |name: &str, value| Item::new(self.source, value, self.path_of(name));
        let mut all: Vec<_> = self
            .table
            .iter()
            .map(|(key, value)| (key.get_ref().as_ref(), key.span().start, item(key.get_ref(), value)))
            .collect();
        all.sort_by_key(|(_, at, _)| *at);
        all
    }

    /// Reads each table of an array of tables.
    pub(crate) fn each<T>(
        &self,
        name: &str,
        known: &[&str],
        mut read: impl FnMut(&Fields<'s>) -> Result<T, ConfigError>,
    ) -> Result<Vec<T>, ConfigError> {
        let Some(item) = self.get(name) else { return Ok(Vec::new()) };
        item.items()?.iter().map(|one| read(&one.fields(known)?)).collect()
    }

    /// Returns the list of a field, empty if it is not there.
    pub(crate) fn list<T>(
        &self,
        name: &str,
        read: impl FnMut(&Item<'s>) -> Result<T, ConfigError>,
    ) -> Result<Vec<T>, ConfigError> {
        self.get(name).map_or_else(|| Ok(Vec::new()), |item| item.items()?.iter().map(read).collect())
    }

    /// Makes an error of the whole table.
    pub(crate) fn error(&self, why: impl Into<String>) -> ConfigError {
        self.source.error(self.at, &self.path, why.into())
    }
}

/// A value, with the path and place of its field.
#[derive(Clone, Debug)]
pub(crate) struct Item<'s> {
    source: &'s Source<'s>,
    value: &'s Spanned<DeValue<'s>>,
    path: String,
    /// Where errors are, in bytes.
    at: usize,
}

impl<'s> Item<'s> {
    fn new(source: &'s Source<'s>, value: &'s Spanned<DeValue<'s>>, path: String) -> Self {
        Self { source, value, path, at: value.span().start }
    }

    /// Makes an error at this value.
    pub(crate) fn error(&self, why: impl Into<String>) -> ConfigError {
        self.source.error(self.at, &self.path, why.into())
    }

    /// Returns the value with its errors in one line of its text, from 1. Where the file spells the text otherwise than
    /// it reads, they stay at its beginning.
    pub(crate) fn in_line(&self, line: usize) -> Self {
        let span = self.value.span();
        let (written, text) = (self.source.text.get(span.clone()), self.value.get_ref().as_str());
        let lines = |text: &str| text.split_inclusive('\n').take(line.saturating_sub(1)).map(str::len).sum::<usize>();
        let found = written.zip(text).and_then(|(written, text)| Some((written.find(text)?, lines(text))));
        let inside = found.map_or(0, |(before, lines)| before.saturating_add(lines));
        Self { at: span.start.saturating_add(inside), ..self.clone() }
    }

    /// Makes an error at this field's name, which stands at `at`.
    pub(crate) fn name_error(&self, at: usize, why: impl Into<String>) -> ConfigError {
        self.source.error(at, &self.path, why.into())
    }

    /// Tells in which line the value stands.
    pub(crate) fn line(&self) -> usize {
        self.error("").line
    }

    fn expected(&self, what: &str) -> ConfigError {
        let found = match self.value.get_ref() {
            DeValue::String(_) => "a string",
            DeValue::Integer(_) => "an integer",
            DeValue::Float(_) => "a float",
            DeValue::Boolean(_) => "a boolean",
            DeValue::Datetime(_) => "a date or time",
            DeValue::Array(_) => "a list",
            DeValue::Table(_) => "a table",
        };
        self.error(format!("{what} is expected here, not {found}"))
    }

    /// Returns a string of any length.
    pub(crate) fn long_text(&self) -> Result<&'s str, ConfigError> {
        self.value.get_ref().as_str().ok_or_else(|| self.expected("a string"))
    }

    /// Returns a string that people read: on one line, neither empty nor too long.
    pub(crate) fn text(&self) -> Result<&'s str, ConfigError> {
        let text = self.long_text()?;
        if text.trim().is_empty() {
            return Err(self.error("is empty"));
        }
        if text.len() > CONFIG_TEXT_MAX {
            return Err(self.error(format!("{} bytes are above the limit of {CONFIG_TEXT_MAX}", text.len())));
        }
        if text.chars().any(char::is_control) {
            return Err(self.error("has a control character"));
        }
        Ok(text)
    }

    /// Reads a string by `parse`, which returns nothing for one that is not `what`.
    pub(crate) fn parsed<T>(&self, what: &str, parse: impl FnOnce(&str) -> Option<T>) -> Result<T, ConfigError> {
        let text = self.text()?;
        parse(text).ok_or_else(|| self.error(format!("{text:?} is not {what}")))
    }

    /// Reads one of a few words.
    pub(crate) fn one_of<T: Copy>(&self, choices: &[(&str, T)]) -> Result<T, ConfigError> {
        let text = self.text()?;
        choices.iter().find(|(word, _)| *word == text).map(|(_, choice)| *choice).ok_or_else(|| {
            let words: Vec<&str> = choices.iter().map(|(word, _)| *word).collect();
            self.error(format!("{text:?} is not known here")).hint(format!("one of: {}", words.join(", ")))
        })
    }

    /// Tells whether the value is a list.
    pub(crate) fn is_list(&self) -> bool {
        matches!(self.value.get_ref(), DeValue::Array(_))
    }

    /// Returns the values of a list.
    pub(crate) fn items(&self) -> Result<Vec<Item<'s>>, ConfigError> {
        let DeValue::Array(array) = self.value.get_ref() else { return Err(self.expected("a list")) };
        if array.len() > CONFIG_ITEMS_MAX {
            return Err(self.error(format!("{} items are above the limit of {CONFIG_ITEMS_MAX}", array.len())));
        }
        Ok(array.iter().map(|value| Item::new(self.source, value, self.path.clone())).collect())
    }

    /// Returns a list of at least one value.
    pub(crate) fn some_items(&self) -> Result<Vec<Item<'s>>, ConfigError> {
        let items = self.items()?;
        if items.is_empty() { Err(self.error("the list is empty")) } else { Ok(items) }
    }

    /// Opens a table, which has no other fields than `known`.
    pub(crate) fn fields(&self, known: &[&str]) -> Result<Fields<'s>, ConfigError> {
        let fields = self.open_fields()?;
        fields.check_known(known)?;
        Ok(fields)
    }

    /// Opens a table whose names are data.
    pub(crate) fn open_fields(&self) -> Result<Fields<'s>, ConfigError> {
        let DeValue::Table(table) = self.value.get_ref() else { return Err(self.expected("a table")) };
        Ok(Fields { source: self.source, table, at: self.value.span().start, path: self.path.clone() })
    }

    /// Returns `true` or `false`.
    pub(crate) fn boolean(&self) -> Result<bool, ConfigError> {
        self.value.get_ref().as_bool().ok_or_else(|| self.expected("`true` or `false`"))
    }

    /// Returns a whole number that is not negative.
    pub(crate) fn number(&self) -> Result<u64, ConfigError> {
        let DeValue::Integer(integer) = self.value.get_ref() else { return Err(self.expected("a whole number")) };
        u64::from_str_radix(integer.as_str(), integer.radix()).map_err(|_| self.error("is not a number from 0 on"))
    }

    /// Returns a day, written as TOML's date without quotation marks.
    pub(crate) fn date(&self) -> Result<Date, ConfigError> {
        let wrong = || {
            let error = self.error("is not a day from 1970-01-01 on");
            error.hint("a day is written 2026-01-31, without quotation marks, and is a whole UTC day")
        };
        let DeValue::Datetime(found) = self.value.get_ref() else { return Err(wrong()) };
        if found.time.is_some() || found.offset.is_some() {
            return Err(wrong());
        }
        let date = found.date.ok_or_else(wrong)?;
        Date::parse(&format!("{:04}-{:02}-{:02}", date.year, date.month, date.day)).ok_or_else(wrong)
    }
}
