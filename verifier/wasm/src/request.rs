//! What the page asks, as JSON. It comes from the page, which is the buyer's; what it has wrong is said, and nothing is
//! checked then.

use griptrace_core::{
    date::Date,
    digest::Digest,
    limits::MANIFEST_FILES_MAX,
    manifest::{FileRecord, check_files},
    word::{Country, Word},
};
use griptrace_verifier::question::ModelInHand;
use serde_json::Value;

use crate::shell::Trouble;

/// A file by its name and size, which the page read as far as it may be read.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Named {
    /// The file's name.
    pub(crate) name: String,
    /// Bytes of the whole file.
    pub(crate) size: u64,
}

/// What the page asks.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Request {
    pub(crate) now: Date,
    pub(crate) destination: Option<Country>,
    pub(crate) consignee: Option<String>,
    pub(crate) purposes: Vec<Word>,
    pub(crate) model: ModelInHand,
    pub(crate) trust: Named,
    pub(crate) policy: Named,
    pub(crate) bundle: Named,
    pub(crate) updates: Vec<Named>,
    pub(crate) against: Vec<Named>,
}

impl Request {
    /// Reads a request.
    pub(crate) fn read(bytes: &[u8]) -> Result<Self, Trouble> {
        let all: Value = serde_json::from_slice(bytes)
            .map_err(|error| Trouble::new("request", "request", format!("the request: {error}")))?;
        let files =
            |name: &'static str| list(&all[name])?.iter().map(|one| named(name, one)).collect::<Result<Vec<_>, _>>();
        Ok(Self {
            now: required(
                ("now", "the day"),
                "a day such as 2026-05-31 is expected, from 1970 on",
                &all["now"],
                Date::parse,
            )?,
            destination: optional(
                ("destination", "the destination"),
                "two capital letters are expected (ISO 3166-1 alpha-2)",
                &all["destination"],
                Country::parse,
            )?,
            consignee: optional(("consignee", "the consignee"), "a text is expected", &all["consignee"], |text| {
                Some(text.to_owned()).filter(|text| !text.is_empty())
            })?,
            purposes: list(&all["purposes"])?
                .iter()
                .map(|one| {
                    required(("purposes", "a purpose"), "a word of a-z, 0-9, `.` and `-` is expected", one, Word::parse)
                })
                .collect::<Result<_, _>>()?,
            model: model(&all["model"])?,
            trust: named("trust", &all["trust"])?,
            policy: named("policy", &all["policy"])?,
            bundle: named("bundle", &all["bundle"])?,
            updates: files("updates")?,
            against: files("against")?,
        })
    }
}

/// A field by its name in the request, and in words.
type Field = (&'static str, &'static str);

fn wrong((of, what): Field, expected: &str) -> Trouble {
    Trouble::new(of, "field", format!("{what}: {expected}"))
}

fn required<T>(what: Field, expected: &str, value: &Value, read: impl Fn(&str) -> Option<T>) -> Result<T, Trouble> {
    value.as_str().and_then(read).ok_or_else(|| wrong(what, expected))
}

fn optional<T>(
    what: Field,
    expected: &str,
    value: &Value,
    read: impl Fn(&str) -> Option<T>,
) -> Result<Option<T>, Trouble> {
    if value.is_null() { Ok(None) } else { required(what, expected, value, read).map(Some) }
}

fn list(value: &Value) -> Result<&[Value], Trouble> {
    if value.is_null() {
        return Ok(&[]);
    }
    value.as_array().map(Vec::as_slice).ok_or_else(|| wrong(("request", "the request"), "a list is expected"))
}

fn named(of: &'static str, value: &Value) -> Result<Named, Trouble> {
    let name = value["name"].as_str();
    let size = value["size"].as_u64();
    let (name, size) = name.zip(size).ok_or_else(|| wrong((of, of), "name and size of a file are expected"))?;
    Ok(Named { name: name.to_owned(), size })
}

/// Reads what the buyer has in hand. A folder is exactly its files, by the bytes of their paths (Rule R12).
fn model(value: &Value) -> Result<ModelInHand, Trouble> {
    if value.is_null() {
        return Ok(ModelInHand::NotGiven);
    }
    if !value["digest"].is_null() {
        let expected = "64 hexadecimal digits are expected, after `blake3:`, `sha256:` or nothing";
        return required(("model-digest", "the digest"), expected, &value["digest"], digest).map(ModelInHand::Digest);
    }
    if !value["file"].is_null() {
        return record(&value["file"]).map(ModelInHand::File);
    }
    let name = value["name"].as_str().unwrap_or("the folder");
    let given = list(&value["folder"])?;
    if given.len() > MANIFEST_FILES_MAX {
        return Err(Trouble::new("model", "too-many-files", format!("{name}: more than {MANIFEST_FILES_MAX} files")));
    }
    if given.is_empty() {
        return Err(Trouble::new("model", "no-files", format!("{name}: the folder has no files")));
    }
    let mut files = given.iter().map(record).collect::<Result<Vec<_>, _>>()?;
    files.sort_by(|a, b| a.path.cmp(&b.path));
    check_files(&files).map_err(|error| Trouble::new("model", "paths", format!("{name}: {error}")))?;
    Ok(ModelInHand::Folder(files))
}

/// Reads 64 hexadecimal digits. Which hash made them need not be said: they are compared with both.
fn digest(text: &str) -> Option<Digest> {
    Digest::from_hex(text.strip_prefix("blake3:").or_else(|| text.strip_prefix("sha256:")).unwrap_or(text))
}

fn record(value: &Value) -> Result<FileRecord, Trouble> {
    let hash = |name: &'static str| {
        required(("model", name), "64 hexadecimal digits are expected", &value[name], Digest::from_hex)
    };
    let path = value["path"].as_str();
    let size = value["size"].as_u64();
    let (path, size) = path.zip(size).ok_or_else(|| wrong(("model", "a file"), "path and size are expected"))?;
    let sha256 = if value["sha256"].is_null() { None } else { Some(hash("sha256")?) };
    Ok(FileRecord { path: path.as_bytes().to_vec(), size, blake3: hash("blake3")?, sha256 })
}
