//! Details as people write them, put into their slots.

use std::collections::BTreeMap;

use griptrace_core::{
    cbor::encode,
    details::{Values, read_value, slot, slot_names},
    node::{Kind, Persons},
    value::Value,
};

use crate::suggest::nearest;

/// Slots that the program fills itself, and what to write instead.
const OWN: &[(&str, &str)] = &[
    ("name", "the name is the field `name` beside `detail`"),
    ("content", "the content is hashed from `path`, or given as `digest`"),
    ("manifest", "the manifest is made from the files under `path`"),
    ("weak-digests", "give a weak digest as `digest = \"md5:...\"`"),
    ("consignee", "the consignee is given by `--to`"),
    ("serials", "serial numbers are given by `--serial`"),
    ("documents", "documents are given by `--document`"),
];

/// Why a detail was refused, and what may help.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct DetailError {
    /// What is wrong.
    pub(crate) text: String,
    /// A remedy.
    pub(crate) hint: String,
}

/// The details of one node, and what they say for its core.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Details {
    kind: Kind,
    slots: BTreeMap<u8, Value>,
    /// What `persons` begins with.
    pub(crate) persons: Option<Persons>,
    /// What `licence` says in `allows`.
    pub(crate) use_allowed: Option<bool>,
}

impl Details {
    /// Begins with none.
    pub(crate) const fn new(kind: Kind) -> Self {
        Self { kind, slots: BTreeMap::new(), persons: None, use_allowed: None }
    }

    /// Puts a detail that somebody wrote.
    pub(crate) fn put(&mut self, key: &str, value: Value) -> Result<(), DetailError> {
        let name = key.replace('_', "-");
        if let Some((_, hint)) = OWN.iter().find(|(own, _)| *own == name && slot(self.kind, own).is_some()) {
            return Err(DetailError { text: format!("{key:?} is filled by the program"), hint: (*hint).to_owned() });
        }
        check_size(key, &value)?;
        let end = name.strip_prefix("collected-").filter(|end| matches!(*end, "from" | "to"));
        if self.kind == Kind::Dataset
            && let Some(end) = end
        {
            self.add_field("collected", end, value);
            return Ok(());
        }
        let Some(slot) = slot(self.kind, &name) else { return Err(self.unknown(key, &name)) };
        match name.as_str() {
            "persons" => self.persons = persons(&value)?,
            "licence" => self.use_allowed = allows(&value)?,
            _ => {}
        }
        self.slots.insert(slot, value);
        Ok(())
    }

    /// Puts a detail that the program makes; a name that the kind lacks is left out.
    pub(crate) fn set(&mut self, name: &str, value: Value) {
        if let Some(slot) = slot(self.kind, name) {
            self.slots.insert(slot, value);
        }
    }

    /// Tells whether the kind has a detail.
    pub(crate) fn has(&self, name: &str) -> bool {
        slot(self.kind, name).is_some()
    }

    /// Puts a field of the map in a slot.
    pub(crate) fn add_field(&mut self, name: &str, field: &str, value: Value) {
        let Some(slot) = slot(self.kind, name) else { return };
        let mut pairs = match self.slots.remove(&slot) {
            Some(Value::Map(pairs)) => pairs,
            Some(other) => vec![("value".to_owned(), other)],
            None => Vec::new(),
        };
        pairs.retain(|(key, _)| key != field);
        pairs.push((field.to_owned(), value));
        self.slots.insert(slot, Value::map(pairs));
    }

    /// Returns the slots' bytes.
    pub(crate) fn values(&self) -> Values {
        self.slots.iter().map(|(slot, value)| (*slot, encode(value))).collect()
    }

    fn unknown(&self, key: &str, name: &str) -> DetailError {
        let known = known(self.kind);
        let hint = nearest(name, known.iter().copied())
            .map_or_else(|| format!("the details are {}", known.join(", ")), |near| format!("did you mean {near:?}?"));
        DetailError { text: format!("{key:?} is no detail of a {}", self.kind), hint }
    }
}

/// Returns the names of the details of a kind that people write.
pub(super) fn known(kind: Kind) -> Vec<&'static str> {
    let mut known: Vec<&str> =
        slot_names(kind).iter().copied().filter(|n| OWN.iter().all(|(own, _)| own != n)).collect();
    if kind == Kind::Dataset {
        known.extend(["collected-from", "collected-to"]);
    }
    known
}

/// Refuses what no log takes, while the line of it is known.
fn check_size(key: &str, value: &Value) -> Result<(), DetailError> {
    read_value(&encode(value)).map(drop).map_err(|error| DetailError {
        text: format!("{key:?} can't be a detail: {error}"),
        hint: "shorten it, or put it into a file of its own, and here its digest".to_owned(),
    })
}

fn persons(value: &Value) -> Result<Option<Persons>, DetailError> {
    let text = value.as_text().or_else(|| value.field("result").and_then(Value::as_text)).unwrap_or_default();
    let begins = |with: &str| text.to_ascii_lowercase().replace('-', " ").starts_with(with);
    if begins("none found") {
        return Ok(Some(Persons::NoneFound));
    }
    if begins("present") {
        return Ok(Some(Persons::Present));
    }
    if begins("not examined") {
        return Ok(Some(Persons::NotExamined));
    }
    Err(DetailError {
        text: format!("persons: {text:?} says neither that there are some nor that there are none"),
        hint: "begin with \"none found\" and how that was found out, with \"present\", or with \"not examined\""
            .to_owned(),
    })
}

fn allows(value: &Value) -> Result<Option<bool>, DetailError> {
    match value.field("allows") {
        None => Ok(None),
        Some(Value::Bool(allows)) => Ok(Some(*allows)),
        Some(other) => Err(DetailError {
            text: format!("licence: allows: \"{other}\" is neither true nor false"),
            hint: "leave `allows` out where it is not known whether the licence allows this use".to_owned(),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_may_be_written_with_low_lines_and_collected_is_one_slot() {
        let mut details = Details::new(Kind::Dataset);
        details.put("robot_type", Value::text("gripper")).unwrap();
        details.put("collected_to", Value::text("2026-03-20")).unwrap();
        details.put("collected_from", Value::text("2026-03-01")).unwrap();
        let values = details.values();
        let collected = read_value(&values[&slot(Kind::Dataset, "collected").unwrap()]).unwrap();
        assert_eq!(collected.field("from"), Some(&Value::text("2026-03-01")));
        assert_eq!(collected.field("to"), Some(&Value::text("2026-03-20")));
        assert_eq!(values.len(), 2);
    }

    #[test]
    fn persons_and_licence_speak_for_the_core() {
        let mut details = Details::new(Kind::Dataset);
        details.put("persons", Value::text("none found (two reviewers)")).unwrap();
        let licence = vec![("spdx".to_owned(), Value::text("MIT")), ("allows".to_owned(), Value::Bool(false))];
        details.put("licence", Value::map(licence)).unwrap();
        assert_eq!((details.persons, details.use_allowed), (Some(Persons::NoneFound), Some(false)));
        assert!(details.put("persons", Value::text("maybe")).unwrap_err().text.contains("maybe"));
        details.put("licence", Value::text("proprietary")).unwrap();
        assert_eq!(details.use_allowed, None);
    }

    #[test]
    fn unknown_details_and_those_of_the_program_are_refused() {
        let mut details = Details::new(Kind::Dataset);
        assert_eq!(details.put("licens", Value::text("x")).unwrap_err().hint, "did you mean \"licence\"?");
        assert!(details.put("content", Value::text("x")).unwrap_err().text.contains("filled by the program"));
        assert!(Details::new(Kind::Model).put("site", Value::text("x")).is_err());
    }
}
