//! TOML with places: every complaint names file, line and column.

use core::ops::Range;
use std::{fs, path::Path};

use griptrace_core::{
    date::Date,
    value::Value,
    word::{Country, Word},
};
use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

use crate::{error::CommandError, suggest::nearest};

/// A text and where it comes from.
#[derive(Debug)]
pub(crate) struct Source {
    name: String,
    text: String,
}

impl Source {
    /// Reads a file.
    pub(crate) fn read(path: &Path) -> Result<Self, CommandError> {
        let text = fs::read_to_string(path).map_err(|e| CommandError::file("read", path, e))?;
        Ok(Self { name: path.display().to_string(), text })
    }

    /// Takes a text that stands in no file.
    pub(crate) fn of(name: &str, text: &str) -> Self {
        Self { name: name.to_owned(), text: text.to_owned() }
    }

    /// Parses the whole text.
    pub(crate) fn parse(&self) -> Result<Spanned<DeTable<'_>>, CommandError> {
        DeTable::parse(&self.text).map_err(|e| {
            let span = e.span().unwrap_or(0..0);
            self.error(span.start, e.message().lines().collect::<Vec<_>>().join(", "))
        })
    }

    /// Returns what the text is called: its file.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Returns the root of what [`Source::parse`] gave.
    pub(crate) fn root<'a>(&'a self, parsed: &'a Spanned<DeTable<'a>>) -> Table<'a> {
        Table { source: self, table: parsed.get_ref(), span: parsed.span(), what: "lineage file".to_owned() }
    }

    /// Returns `file:line:column` of an offset in bytes; columns count characters, from 1.
    pub(crate) fn place(&self, offset: usize) -> String {
        let before = self.text.get(..offset).unwrap_or(&self.text);
        let line = before.matches('\n').count() + 1;
        let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
        format!("{}:{line}:{column}", self.name)
    }

    fn error(&self, offset: usize, text: impl AsRef<str>) -> CommandError {
        CommandError::failed(format!("{}: {}", self.place(offset), text.as_ref()))
    }
}

/// One table of a source.
#[derive(Debug)]
pub(crate) struct Table<'a> {
    source: &'a Source,
    table: &'a DeTable<'a>,
    span: Range<usize>,
    what: String,
}

impl<'a> Table<'a> {
    /// Gives the table a name for complaints.
    #[must_use]
    pub(crate) fn called(mut self, what: impl Into<String>) -> Self {
        self.what = what.into();
        self
    }

    /// Returns where the table stands.
    pub(crate) fn place(&self) -> String {
        self.source.place(self.span.start)
    }

    /// Refuses keys that are not `known`, with the nearest that is.
    pub(crate) fn refuse_unknown(&self, known: &[&str]) -> Result<(), CommandError> {
        for key in self.table.keys() {
            let name = key.get_ref().as_ref();
            if known.contains(&name) {
                continue;
            }
            let error = self.source.error(key.span().start, format!("{name:?} is no field of a {}", self.what));
            return Err(match nearest(name, known.iter().copied()) {
                Some(near) => error.with_hint(format!("did you mean {near:?}?")),
                None => error.with_hint(format!("the fields are {}", known.join(", "))),
            });
        }
        Ok(())
    }

    /// Makes an error about the whole table.
    pub(crate) fn error(&self, text: impl AsRef<str>) -> CommandError {
        self.source.error(self.span.start, format!("{}: {}", self.what, text.as_ref()))
    }

    /// Returns an item; `None` if it is absent.
    pub(crate) fn get(&self, key: &str) -> Option<Item<'a>> {
        self.table.get(key).map(|value| Item { source: self.source, key: key.to_owned(), value })
    }

    /// Returns an item that must be there.
    pub(crate) fn need(&self, key: &str) -> Result<Item<'a>, CommandError> {
        self.get(key).ok_or_else(|| self.error(format!("{key:?} is missing")))
    }

    /// Returns every key with its item.
    pub(crate) fn items(&self) -> impl Iterator<Item = Item<'a>> {
        let source = self.source;
        self.table.iter().map(move |(key, value)| Item { source, key: key.get_ref().to_string(), value })
    }

    /// Returns the tables of an array of tables; none if it is absent.
    pub(crate) fn tables(&self, key: &str) -> Result<Vec<Table<'a>>, CommandError> {
        self.get(key).map_or_else(|| Ok(Vec::new()), |item| item.tables())
    }
}

/// A value under its key.
#[derive(Debug)]
pub(crate) struct Item<'a> {
    source: &'a Source,
    /// The key.
    pub(crate) key: String,
    value: &'a Spanned<DeValue<'a>>,
}

impl<'a> Item<'a> {
    /// Makes an error about this value.
    pub(crate) fn error(&self, text: impl AsRef<str>) -> CommandError {
        self.source.error(self.value.span().start, format!("{}: {}", self.key, text.as_ref()))
    }

    /// Returns where the value stands.
    pub(crate) fn place(&self) -> String {
        self.source.place(self.value.span().start)
    }

    fn expected(&self, what: &str) -> CommandError {
        self.error(format!("expected {what}, found {}", article(self.value.get_ref().type_str())))
    }

    /// Reads text.
    pub(crate) fn text(&self) -> Result<&'a str, CommandError> {
        self.value.get_ref().as_str().ok_or_else(|| self.expected("a text"))
    }

    /// Reads a truth value.
    pub(crate) fn bool(&self) -> Result<bool, CommandError> {
        self.value.get_ref().as_bool().ok_or_else(|| self.expected("true or false"))
    }

    /// Reads a table.
    pub(crate) fn table(&self) -> Result<Table<'a>, CommandError> {
        let table = self.value.get_ref().as_table().ok_or_else(|| self.expected("a table"))?;
        Ok(Table { source: self.source, table, span: self.value.span(), what: self.key.clone() })
    }

    /// Reads a list of tables.
    pub(crate) fn tables(&self) -> Result<Vec<Table<'a>>, CommandError> {
        self.list()?.iter().map(Item::table).collect()
    }

    /// Reads a list; anything else is a list of itself.
    fn list_or_one(&self) -> Vec<Item<'a>> {
        self.list().unwrap_or_else(|_| vec![Item { source: self.source, key: self.key.clone(), value: self.value }])
    }

    fn list(&self) -> Result<Vec<Item<'a>>, CommandError> {
        let list = self.value.get_ref().as_array().ok_or_else(|| self.expected("a list"))?;
        Ok(list.iter().map(|value| Item { source: self.source, key: self.key.clone(), value }).collect())
    }

    /// Reads texts with their places.
    pub(crate) fn texts(&self) -> Result<Vec<(&'a str, String)>, CommandError> {
        self.list_or_one().iter().map(|item| Ok((item.text()?, item.place()))).collect()
    }

    /// Reads a word of some vocabulary.
    pub(crate) fn word(&self) -> Result<Word, CommandError> {
        let text = self.text()?;
        Word::parse(text).ok_or_else(|| {
            self.error(format!("{text:?} is no word"))
                .with_hint("a word is 1 to 64 of a-z 0-9 . - and begins with a letter or digit")
        })
    }

    /// Reads words, sorted, each once.
    pub(crate) fn words(&self) -> Result<Vec<Word>, CommandError> {
        let mut words = self.list_or_one().iter().map(Item::word).collect::<Result<Vec<_>, _>>()?;
        words.sort();
        words.dedup();
        Ok(words)
    }

    /// Reads a country.
    pub(crate) fn country(&self) -> Result<Country, CommandError> {
        let text = self.text()?;
        Country::parse(text).ok_or_else(|| {
            self.error(format!("{text:?} is no country"))
                .with_hint("a country is two capital letters (ISO 3166-1), such as \"CN\" or \"DE\"")
        })
    }

    /// Reads a date, written bare or as text.
    pub(crate) fn date(&self) -> Result<Date, CommandError> {
        let value = self.value.get_ref();
        let text = value.as_datetime().map(ToString::to_string).or_else(|| value.as_str().map(str::to_owned));
        let text = text.ok_or_else(|| self.expected("a date"))?;
        Date::parse(&text).ok_or_else(|| {
            self.error(format!("{text:?} is no day"))
                .with_hint("a day is written YYYY-MM-DD, without a time; days are UTC days")
        })
    }

    /// Reads one of a closed list.
    pub(crate) fn one_of<T>(&self, from: impl Fn(&str) -> Option<T>, words: &[&str]) -> Result<T, CommandError> {
        let text = self.text()?;
        from(text).ok_or_else(|| {
            let error = self.error(format!("{text:?} is none of {}", words.join(", ")));
            nearest(text, words.iter().copied()).map_or_else(
                || self.error(format!("{text:?} is none of {}", words.join(", "))),
                |near| error.with_hint(format!("did you mean {near:?}?")),
            )
        })
    }

    /// Reads a detail's value: dates and floats become text.
    pub(crate) fn value(&self) -> Result<Value, CommandError> {
        self.value_of(self.value)
    }

    fn value_of(&self, value: &Spanned<DeValue<'_>>) -> Result<Value, CommandError> {
        Ok(match value.get_ref() {
            DeValue::String(text) => Value::text(text.as_ref()),
            DeValue::Integer(number) => {
                Value::Int(i64::from_str_radix(number.as_str(), number.radix()).map_err(|_| {
                    self.source.error(value.span().start, format!("{}: the number is beyond 64 bits", self.key))
                })?)
            }
            DeValue::Float(number) => Value::text(number.as_str()),
            DeValue::Boolean(value) => Value::Bool(*value),
            DeValue::Datetime(date) => Value::text(date.to_string()),
            DeValue::Array(items) => {
                Value::List(items.iter().map(|item| self.value_of(item)).collect::<Result<_, _>>()?)
            }
            DeValue::Table(table) => Value::map(
                table
                    .iter()
                    .map(|(key, item)| Ok((key.get_ref().to_string(), self.value_of(item)?)))
                    .collect::<Result<_, CommandError>>()?,
            ),
        })
    }
}

fn article(kind: &str) -> String {
    let vowel = kind.starts_with(['a', 'e', 'i', 'o', 'u']);
    format!("{} {kind}", if vowel { "an" } else { "a" })
}
