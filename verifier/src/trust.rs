//! The trust file: whom the buyer believes, for what, and from when to when (docs/spec/trust.md).
//!
//! Keys come from nowhere else. The file is the buyer's own and is never read out of a bundle.

use alloc::{
    borrow::ToOwned,
    collections::BTreeMap,
    format,
    string::{String, ToString},
    vec::Vec,
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use griptrace_core::{
    assessment::AssessorMark,
    cbor::decode,
    cose::{MARK_TYPE, Signed},
    date::Date,
    key::PublicKey,
    limits::NAME_BYTES_MAX,
    node::Mark,
    note::{KeyKind, NoteVerifier},
    word::{Country, Word, is_note_name},
};

pub use crate::toml_source::ConfigError;
use crate::{
    policy::{Duration, read_duration},
    toml_source::{Fields, Item, Source},
};

/// Whom the buyer believes.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Trust {
    /// How old the newest checkpoint may be; without it, any age.
    pub max_age: Option<Duration>,
    /// What the buyer expects of a shipment, where the question does not say it.
    pub expect: Expect,
    /// How many witnesses have to have cosigned; without it, none.
    pub quorum: Option<Quorum>,
    /// The logs, each origin once.
    pub logs: Vec<TrustedLog>,
    /// The witnesses, each name once.
    pub witnesses: Vec<TrustedWitness>,
    /// The committers. One party may stand here several times.
    pub committers: Vec<TrustedCommitter>,
    /// The assessors. One party may stand here several times.
    pub assessors: Vec<TrustedAssessor>,
    /// Assessors' own marks that count whether or not a log has them.
    pub withdrawals: Vec<Withdrawal>,
}

/// What the buyer expects of a shipment.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Expect {
    /// Where the buyer is.
    pub destination: Option<Country>,
    /// Who the buyer is, as shipments name the consignee.
    pub consignee: Option<String>,
    /// What the buyer uses models for.
    pub purposes: Vec<Word>,
}

/// How many of which witnesses have to have cosigned a checkpoint.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Quorum {
    /// Places in [`Trust::witnesses`], in the order of the file.
    pub of: Vec<usize>,
    /// How many of them: from 1 to all.
    pub at_least: usize,
}

/// A log.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TrustedLog {
    /// Its origin, which is also its key's name.
    pub origin: String,
    /// Its key, of the type that signs checkpoints.
    pub key: NoteVerifier,
}

/// A witness.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TrustedWitness {
    /// Its name in this file.
    pub name: String,
    /// Its key, of the type that cosigns.
    pub key: NoteVerifier,
    /// Whether it is trusted to have recomputed the status map (`roles = ["map"]`).
    pub map: bool,
}

/// A key of a party that records.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TrustedCommitter {
    /// The party.
    pub name: String,
    /// The key.
    pub key: PublicKey,
    /// The origin of the one log that it counts in; without it, every log of the file.
    pub log: Option<String>,
    /// First day on which it counts.
    pub from: Option<Date>,
    /// Last day on which it counts.
    pub to: Option<Date>,
    /// What the party may do with it.
    pub roles: Vec<Role>,
}

/// A key of a party that assesses.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TrustedAssessor {
    /// The party.
    pub name: String,
    /// The key.
    pub key: PublicKey,
    /// Schemes for which its assessments count; at least one.
    pub schemes: Vec<Word>,
    /// The origin of the log that has its marks, if the buyer knows one (Rule R5).
    pub status_log: Option<String>,
    /// First day on which it counts.
    pub from: Option<Date>,
    /// Last day on which it counts.
    pub to: Option<Date>,
    /// What else the party may do with it.
    pub roles: Vec<Role>,
}

/// An assessor's own signed mark on an assessment.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Withdrawal {
    /// The signed object (COSE_Sign1 of the mark's content type). Its signature, by an assessor of
    /// the same file, was checked when the file was read.
    pub statement: Vec<u8>,
}

/// What a party may do with a key.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Role {
    /// Sign commits.
    Commit,
    /// State grades.
    Grade,
    /// Record shipments.
    Ship,
    /// Lower grades.
    Regrade,
    /// State that a crossing is exempt.
    Exempt,
}

impl Role {
    /// Every role with its word.
    pub const WORDS: [(&'static str, Self); 5] = [
        ("commit", Self::Commit),
        ("grade", Self::Grade),
        ("ship", Self::Ship),
        ("regrade", Self::Regrade),
        ("exempt", Self::Exempt),
    ];

    /// Returns the word that stands in trust files and policies.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Commit => "commit",
            Self::Grade => "grade",
            Self::Ship => "ship",
            Self::Regrade => "regrade",
            Self::Exempt => "exempt",
        }
    }
}

/// What assessors may do beside assessing; to record, a party is a committer too.
const ASSESSOR_ROLES: [(&str, Role); 3] =
    [("grade", Role::Grade), ("regrade", Role::Regrade), ("exempt", Role::Exempt)];

/// Parses a trust file. `file_name` only stands in errors.
///
/// # Errors
/// A [`ConfigError`] with line and column.
pub fn parse(file_name: &str, text: &str) -> Result<Trust, ConfigError> {
    let (source, document) = Source::parse(file_name, text)?;
    let known = ["max_age", "expect", "quorum", "log", "witness", "committer", "assessor", "withdrawal"];
    let top = source.top(&document, &known)?;
    let mut keys = Keys::default();
    let logs = top.each("log", &["origin", "vkey"], |fields| read_log(fields, &mut keys))?;
    let witnesses = top.each("witness", &["name", "vkey", "roles"], |fields| read_witness(fields, &mut keys))?;
    check_unlike(&top, "log", "origin", logs.iter().map(|log| log.origin.as_str()))?;
    check_unlike(&top, "witness", "name", witnesses.iter().map(|witness| witness.name.as_str()))?;
    let committer = ["name", "key", "log", "from", "to", "roles"];
    let committers = top.each("committer", &committer, |fields| read_committer(fields, &logs, &mut keys))?;
    let assessor = ["name", "key", "schemes", "status_log", "from", "to", "roles"];
    let assessors = top.each("assessor", &assessor, |fields| read_assessor(fields, &logs, &mut keys))?;
    let withdrawals = top.each("withdrawal", &["statement"], |fields| read_withdrawal(fields, &assessors))?;
    Ok(Trust {
        max_age: top.get("max_age").map(|item| read_duration(&item)).transpose()?,
        expect: top.get("expect").map_or_else(|| Ok(Expect::default()), |item| read_expect(&item))?,
        quorum: top.get("quorum").map(|item| read_quorum(&item, &witnesses)).transpose()?,
        logs,
        witnesses,
        committers,
        assessors,
        withdrawals,
    })
}

/// Whose key it is, by the section and name that it stands under.
#[derive(Default)]
struct Keys(BTreeMap<Vec<u8>, (&'static str, String, usize)>);

impl Keys {
    /// Notes the owner of a key. The same 32 bytes are the same key, in whichever form written.
    ///
    /// A witness is somebody else than the log and its committers: its key stands nowhere else,
    /// not even under the same name.
    fn add(&mut self, item: &Item<'_>, section: &'static str, name: &str, bytes: &[u8]) -> Result<(), ConfigError> {
        let Some((other_section, other_name, line)) = self.0.get(bytes) else {
            self.0.insert(bytes.to_vec(), (section, name.to_owned(), item.line()));
            return Ok(());
        };
        let alone = section == "log" || section == "witness";
        let shared = (alone || *other_section == "witness" || *other_section == "log") && section != *other_section;
        if name == other_name && !shared {
            return Ok(());
        }
        let why = format!("is also the key of {other_section} {other_name:?} in line {line}");
        let hint = if name == other_name {
            "a log or witness has a key of its own, that does nothing else"
        } else {
            "one key under two names would let one party speak for two: each key belongs to one name"
        };
        Err(item.error(why).hint(hint))
    }
}

fn read_log(fields: &Fields<'_>, keys: &mut Keys) -> Result<TrustedLog, ConfigError> {
    let origin_item = fields.need("origin")?;
    let name = |text: &str| is_note_name(text).then(|| text.to_owned());
    let origin = origin_item.parsed("the origin of a log", name)?;
    let item = fields.need("vkey")?;
    let key = read_vkey(&item, KeyKind::Ed25519, "a log", "a witness")?;
    if key.name() != origin {
        let why = format!("is the key of {:?}, not of {origin:?}", key.name());
        return Err(item.error(why).hint("a log's key is named by the log's origin"));
    }
    keys.add(&item, "log", &origin, key.public_key())?;
    Ok(TrustedLog { origin, key })
}

fn read_witness(fields: &Fields<'_>, keys: &mut Keys) -> Result<TrustedWitness, ConfigError> {
    let name = read_name(&fields.need("name")?)?;
    let item = fields.need("vkey")?;
    let key = read_vkey(&item, KeyKind::CosignatureV1, "a witness", "a log")?;
    keys.add(&item, "witness", &name, key.public_key())?;
    let roles = read_unlike(fields, "roles", |item| item.one_of(&[("map", ())]).map(|()| "map"))?;
    Ok(TrustedWitness { name, key, map: !roles.is_empty() })
}

fn read_vkey(item: &Item<'_>, kind: KeyKind, what: &str, other: &str) -> Result<NoteVerifier, ConfigError> {
    let key = NoteVerifier::parse(item.text()?).map_err(|error| item.error(error.to_string()))?;
    if key.kind() == kind {
        return Ok(key);
    }
    let why = format!("is a key of type {:#04x}, of {other}; {what} has type {:#04x}", key.kind().byte(), kind.byte());
    Err(item.error(why))
}

fn read_committer(fields: &Fields<'_>, logs: &[TrustedLog], keys: &mut Keys) -> Result<TrustedCommitter, ConfigError> {
    let name = read_name(&fields.need("name")?)?;
    let key = read_key(&fields.need("key")?, "committer", &name, keys)?;
    let log = fields.get("log").map(|item| read_origin(&item, logs)).transpose()?;
    let (from, to) = read_days(fields)?;
    fields.need("roles")?.some_items()?;
    let roles = read_unlike(fields, "roles", |item| item.one_of(&Role::WORDS))?;
    Ok(TrustedCommitter { name, key, log, from, to, roles })
}

fn read_assessor(fields: &Fields<'_>, logs: &[TrustedLog], keys: &mut Keys) -> Result<TrustedAssessor, ConfigError> {
    let name = read_name(&fields.need("name")?)?;
    let key = read_key(&fields.need("key")?, "assessor", &name, keys)?;
    fields.need("schemes")?.some_items()?;
    let schemes = read_unlike(fields, "schemes", read_word)?;
    let status_log = fields.get("status_log").map(|item| read_origin(&item, logs)).transpose()?;
    let (from, to) = read_days(fields)?;
    let roles = read_unlike(fields, "roles", |item| item.one_of(&ASSESSOR_ROLES))?;
    Ok(TrustedAssessor { name, key, schemes, status_log, from, to, roles })
}

fn read_name(item: &Item<'_>) -> Result<String, ConfigError> {
    let text = item.text()?;
    if text.len() > NAME_BYTES_MAX {
        return Err(item.error(format!("{} bytes are above the limit of {NAME_BYTES_MAX}", text.len())));
    }
    if text.trim() != text {
        return Err(item.error("begins or ends with white space"));
    }
    Ok(text.to_owned())
}

fn read_key(item: &Item<'_>, section: &'static str, name: &str, keys: &mut Keys) -> Result<PublicKey, ConfigError> {
    let key = PublicKey::parse(item.text()?).map_err(|error| item.error(error.to_string()))?;
    keys.add(item, section, name, key.as_bytes())?;
    Ok(key)
}

fn read_origin(item: &Item<'_>, logs: &[TrustedLog]) -> Result<String, ConfigError> {
    let origin = item.text()?;
    if logs.iter().any(|log| log.origin == origin) {
        return Ok(origin.to_owned());
    }
    Err(item.error(format!("no [[log]] of this file has the origin {origin:?}")))
}

fn read_days(fields: &Fields<'_>) -> Result<(Option<Date>, Option<Date>), ConfigError> {
    let from = fields.get("from").map(|item| item.date()).transpose()?;
    let Some(item) = fields.get("to") else { return Ok((from, None)) };
    let to = item.date()?;
    match from {
        Some(from) if to < from => Err(item.error(format!("{to} is before `from`, {from}"))),
        Some(_) | None => Ok((from, Some(to))),
    }
}

/// Reads a word of some vocabulary.
pub(crate) fn read_word(item: &Item<'_>) -> Result<Word, ConfigError> {
    item.parsed("a word", Word::parse).map_err(|error| match error.hint {
        None => error.hint("a word is 1 to 64 of a-z, 0-9, `.` and `-`, and begins with a letter or digit"),
        Some(_) => error,
    })
}

/// Reads a country code.
pub(crate) fn read_country(item: &Item<'_>) -> Result<Country, ConfigError> {
    item.parsed("a country code of two capital letters (ISO 3166-1 alpha-2)", Country::parse)
}

/// Reads a list in which nothing stands twice; empty if the field is not there.
pub(crate) fn read_unlike<'s, T: PartialEq>(
    fields: &Fields<'s>,
    name: &str,
    mut read: impl FnMut(&Item<'s>) -> Result<T, ConfigError>,
) -> Result<Vec<T>, ConfigError> {
    let mut found: Vec<T> = Vec::new();
    for item in fields.list(name, |item| Ok(item.clone()))? {
        let value = read(&item)?;
        if found.contains(&value) {
            return Err(item.error("stands twice in this list"));
        }
        found.push(value);
    }
    Ok(found)
}

/// Refuses two tables of one section with the same name.
fn check_unlike<'a>(
    top: &Fields<'_>,
    section: &str,
    field: &str,
    names: impl Iterator<Item = &'a str>,
) -> Result<(), ConfigError> {
    let mut seen = BTreeMap::new();
    let tables = top.list(section, |item| item.open_fields()?.need(field))?;
    for (item, name) in tables.iter().zip(names) {
        if let Some(line) = seen.insert(name, item.line()) {
            return Err(item.error(format!("{name:?} stands also in line {line}")));
        }
    }
    Ok(())
}

fn read_expect(item: &Item<'_>) -> Result<Expect, ConfigError> {
    let fields = item.fields(&["destination", "consignee", "purpose"])?;
    Ok(Expect {
        destination: fields.get("destination").map(|item| read_country(&item)).transpose()?,
        consignee: fields.get("consignee").map(|item| item.text().map(str::to_owned)).transpose()?,
        purposes: read_unlike(&fields, "purpose", read_word)?,
    })
}

fn read_quorum(item: &Item<'_>, witnesses: &[TrustedWitness]) -> Result<Quorum, ConfigError> {
    let fields = item.fields(&["of", "at_least"])?;
    fields.need("of")?.some_items()?;
    let of = read_unlike(&fields, "of", |item| {
        let name = item.text()?;
        let place = witnesses.iter().position(|witness| witness.name == name);
        place.ok_or_else(|| item.error(format!("no [[witness]] of this file has the name {name:?}")))
    })?;
    let item = fields.need("at_least")?;
    let at_least = usize::try_from(item.number()?).unwrap_or(usize::MAX);
    if at_least == 0 || at_least > of.len() {
        return Err(item.error(format!("{at_least} is not from 1 to {}, the witnesses of the quorum", of.len())));
    }
    Ok(Quorum { of, at_least })
}

/// Reads an assessor's mark. One that could not count is refused: the buyer put it here to count.
fn read_withdrawal(fields: &Fields<'_>, assessors: &[TrustedAssessor]) -> Result<Withdrawal, ConfigError> {
    let item = fields.need("statement")?;
    let encoded: String = item.long_text()?.chars().filter(|c| !c.is_ascii_whitespace()).collect();
    let statement = STANDARD.decode(encoded).map_err(|_| item.error("is not base64"))?;
    let signed = Signed::parse(&statement, MARK_TYPE).map_err(|error| item.error(error.to_string()))?;
    let Some(assessor) = assessors.iter().find(|assessor| assessor.key.id() == signed.key) else {
        let why = format!("is signed by key {}, which is no [[assessor]]'s of this file", signed.key);
        return Err(item.error(why));
    };
    signed.verify(&assessor.key).map_err(|error| item.error(error.to_string()))?;
    let mark: AssessorMark = decode(&signed.payload).map_err(|error| item.error(error.to_string()))?;
    if matches!(mark.mark, Mark::Withdraw | Mark::Refuse) {
        return Ok(Withdrawal { statement });
    }
    Err(item.error(format!("is the mark {}, not withdraw or refuse", mark.mark)))
}

#[cfg(test)]
mod tests {
    use alloc::vec;

    use griptrace_core::{
        cbor::encode,
        cose,
        digest::Digest,
        id::{GenesisHash, StatusKey},
        key::{Algorithm, SecretKey, Signer as _},
        note::{Cosigner, NoteSigner},
    };

    use super::*;

    fn key(seed: u8) -> SecretKey {
        SecretKey::from_bytes(Algorithm::Ed25519, &[seed; 32]).unwrap()
    }

    fn log_vkey(seed: u8) -> String {
        NoteSigner::new("log.example/1", &[seed; 32]).unwrap().verifier().to_vkey()
    }

    fn witness_vkey(name: &str, seed: u8) -> String {
        Cosigner::new(name, &[seed; 32]).unwrap().verifier().to_vkey()
    }

    fn statement(mark: Mark) -> String {
        let mark = AssessorMark {
            key: StatusKey::new(Digest::from_bytes([7; 32])),
            mark,
            date: Date::parse("2026-05-01").unwrap(),
        };
        let home = GenesisHash::new(Digest::from_bytes([3; 32]));
        STANDARD.encode(cose::sign(&key(5), MARK_TYPE, "Office", &home, encode(&mark)).unwrap())
    }

    /// A complete file; every line of it is replaced by some test.
    fn sample() -> String {
        format!(
            r#"max_age = "30d"
expect = {{ destination = "DE", consignee = "Muster GmbH", purpose = ["grasp"] }}
quorum = {{ of = ["w1", "w2"], at_least = 1 }}
[[log]]
origin = "log.example/1"
vkey = "{}"
[[witness]]
name = "w1"
vkey = "{}"
roles = ["map"]
[[witness]]
name = "w2"
vkey = "{}"
[[committer]]
name = "Maker"
key = "{}"
log = "log.example/1"
from = 2026-01-01
to = 2027-12-31
roles = ["commit", "grade", "ship"]
[[committer]]
name = "Maker"
key = "{}"
roles = ["regrade", "exempt"]
[[assessor]]
name = "Office"
key = "{}"
schemes = ["security-assessment"]
status_log = "log.example/1"
roles = ["grade"]
[[withdrawal]]
statement = "{}"
"#,
            log_vkey(1),
            witness_vkey("w1.example", 2),
            witness_vkey("w2.example", 3),
            key(4).public_key(),
            key(4).public_key(),
            key(5).public_key(),
            statement(Mark::Withdraw),
        )
    }

    /// Replaces one part of the sample and returns the error's first line.
    fn refused(from: &str, to: &str) -> String {
        let text = sample();
        assert!(text.contains(from), "{from}");
        format!("{}", parse("trust.toml", &text.replacen(from, to, 1)).unwrap_err())
    }

    #[track_caller]
    fn assert_refused(from: &str, to: &str, at: &str, why: &str) {
        let error = refused(from, to);
        assert!(error.starts_with(&format!("trust.toml:{at}: ")) && error.contains(why), "{error}");
    }

    #[test]
    fn a_complete_file_is_read() {
        let trust = parse("trust.toml", &sample()).unwrap();
        assert_eq!(trust.max_age, Duration::parse("30d"));
        assert_eq!(trust.expect.destination, Country::parse("DE"));
        assert_eq!(trust.expect.consignee.as_deref(), Some("Muster GmbH"));
        assert_eq!(trust.expect.purposes, [Word::parse("grasp").unwrap()]);
        assert_eq!(trust.quorum, Some(Quorum { of: vec![0, 1], at_least: 1 }));
        assert_eq!(trust.logs[0].key.to_vkey(), log_vkey(1));
        assert_eq!(trust.witnesses.iter().map(|w| w.map).collect::<Vec<_>>(), [true, false]);
        assert_eq!(trust.committers[0].from, Date::parse("2026-01-01"));
        assert_eq!(trust.committers[0].log.as_deref(), Some("log.example/1"));
        assert_eq!(trust.committers[1].roles, [Role::Regrade, Role::Exempt]);
        assert_eq!(trust.assessors[0].schemes, [Word::parse("security-assessment").unwrap()]);
        assert_eq!(trust.assessors[0].status_log.as_deref(), Some("log.example/1"));
        assert_eq!(trust.withdrawals.len(), 1);
        assert_eq!(parse("trust.toml", ""), Ok(Trust::default()), "nobody is believed");
    }

    #[test]
    fn unknown_fields_and_broken_toml_are_refused_where_they_stand() {
        assert_refused("max_age", "maxage", "1:1", "maxage: unknown field");
        assert_refused("consignee", "consigne", "2:32", "expect.consigne: unknown field");
        assert_refused("name = \"w1\"", "nickname = \"w1\"", "8:1", "witness.nickname: unknown field");
        assert_refused("from = 2026-01-01", "since = 2026-01-01", "18:1", "committer.since");
        assert_refused("max_age = \"30d\"", "max_age = \"30d", "1:15", "invalid basic string");
        assert_refused("max_age = \"30d\"", "max_age = \"30d\"\nmax_age = \"31d\"", "2:1", "duplicate");
        let error = parse("trust.toml", &sample().replace("max_age", "maxage")).unwrap_err();
        assert!(error.hint.unwrap().contains("quorum"));
        let large = " ".repeat(griptrace_core::limits::CONFIG_BYTES_MAX + 1);
        assert_eq!(parse("t", &large).unwrap_err().why, "1048577 bytes are above the limit of 1048576");
        let many = "[[log]]\n".repeat(5_000);
        assert!(parse("t", &many).unwrap_err().why.contains("above the limit of 4096"));
    }

    #[test]
    fn values_of_another_form_are_refused_where_they_stand() {
        assert_refused("\"30d\"", "30", "1:11", "max_age: a string is expected here, not an integer");
        assert_refused("\"30d\"", "\"30 days\"", "1:11", "is not a duration");
        assert_refused("\"DE\"", "\"de\"", "2:26", "expect.destination: \"de\" is not a country code");
        assert_refused("[\"grasp\"]", "[\"Grasp\"]", "2:70", "expect.purpose: \"Grasp\" is not a word");
        assert_refused("[\"grasp\"]", "[\"grasp\", \"grasp\"]", "2:79", "stands twice");
        assert_refused("\"Muster GmbH\"", "\"\"", "2:44", "is empty");
        assert_refused("from = 2026-01-01", "from = \"2026-01-01\"", "18:8", "is not a day");
        assert_refused("from = 2026-01-01", "from = 2026-01-01T00:00:00Z", "18:8", "is not a day");
        assert_refused("from = 2026-01-01", "from = 1969-12-31", "18:8", "is not a day");
        assert_refused("to = 2027-12-31", "to = 2025-12-31", "19:6", "2025-12-31 is before `from`, 2026-01-01");
        assert_refused("\"ship\"", "\"shipp\"", "20:29", "committer.roles: \"shipp\" is not known here");
        assert_refused("\"ship\"", "\"map\"", "20:29", "committer.roles: \"map\" is not known here");
        assert_refused("\"ship\"", "\"grade\"", "20:29", "stands twice");
        assert_refused("[\"commit\", \"grade\", \"ship\"]", "[]", "20:9", "the list is empty");
        assert_refused("[\"map\"]", "[\"commit\"]", "10:10", "witness.roles: \"commit\" is not known here");
        assert_refused("[\"security-assessment\"]", "[\"Security\"]", "28:12", "assessor.schemes: \"Security\"");
        assert_refused("[\"security-assessment\"]", "[]", "28:11", "the list is empty");
        assert_refused("roles = [\"grade\"]", "roles = [\"commit\"]", "30:10", "assessor.roles: \"commit\"");
        assert_refused("name = \"Maker\"\n", "", "14:1", "committer: the field `name` is missing");
        assert_refused("\"Office\"", "\" Office\"", "26:8", "begins or ends with white space");
    }

    #[test]
    fn keys_that_are_none_or_of_another_kind_are_refused() {
        let maker = format!("{}", key(4).public_key());
        assert_refused(&maker, "ed25519:AAAA", "16:7", "committer.key: the bytes are not a public key");
        assert_refused(&maker, "rsa:AAAA", "16:7", "a key is written");
        assert_refused(&log_vkey(1), "log.example/1+AAAA", "6:8", "log.vkey: a vkey is");
        assert_refused(&log_vkey(1), &witness_vkey("log.example/1", 1), "6:8", "type 0x04, of a witness");
        assert_refused(&witness_vkey("w2.example", 3), &log_vkey(3), "13:8", "type 0x01, of a log");
        assert_refused("origin = \"log.example/1\"", "origin = \"log.example/2\"", "6:8", "not of \"log.example/2\"");
        assert_refused("origin = \"log.example/1\"", "origin = \"a+b\"", "5:10", "is not the origin of a log");
    }

    #[test]
    fn one_key_under_two_names_is_refused() {
        let maker = format!("{}", key(4).public_key());
        let office = format!("{}", key(5).public_key());
        assert_refused(&office, &maker, "27:7", "is also the key of committer \"Maker\" in line 16");
        assert_refused(&maker, &format!("{}", key(1).public_key()), "16:7", "also the key of log \"log.example/1\"");
        assert_refused(&maker, &format!("{}", key(2).public_key()), "16:7", "also the key of witness \"w1\"");
        let w1 = witness_vkey("w1.example", 2);
        assert_refused(&witness_vkey("w2.example", 3), &w1, "13:8", "also the key of witness \"w1\" in line 9");
        // A witness is somebody else than the log, by whatever name.
        let itself = witness_vkey("log.example/1", 1);
        assert_refused(&w1, &itself, "9:8", "also the key of log");
        let text = sample().replacen(&w1, &itself, 1).replacen("\"w1\"", "\"log.example/1\"", 2);
        let error = parse("t", &text).unwrap_err();
        assert_eq!((error.line, error.hint.unwrap().starts_with("a log or witness has a key of its own")), (9, true));
        // One party may assess and commit with one key.
        let text = sample().replacen("\"Office\"", "\"Maker\"", 1).replacen(&maker, &office, 2);
        assert!(parse("t", &text).is_ok());
    }

    #[test]
    fn names_that_stand_twice_or_nowhere_are_refused() {
        assert_refused("name = \"w2\"", "name = \"w1\"", "12:8", "\"w1\" stands also in line 8");
        let second = NoteSigner::new("log.example/1", &[9; 32]).unwrap().verifier().to_vkey();
        let twice = format!("[[log]]\norigin = \"log.example/1\"\nvkey = \"{second}\"\n[[witness]]");
        assert_refused("[[witness]]", &twice, "8:10", "stands also in line 5");
        assert_refused("[\"w1\", \"w2\"]", "[\"w1\", \"w3\"]", "3:24", "quorum.of: no [[witness]]");
        assert_refused("[\"w1\", \"w2\"]", "[\"w1\", \"w1\"]", "3:24", "stands twice");
        assert_refused("[\"w1\", \"w2\"]", "[]", "3:17", "the list is empty");
        assert_refused("at_least = 1", "at_least = 0", "3:42", "0 is not from 1 to 2");
        assert_refused("at_least = 1", "at_least = 3", "3:42", "3 is not from 1 to 2");
        assert_refused("at_least = 1", "at_least = -1", "3:42", "is not a number from 0 on");
        assert_refused(", at_least = 1", "", "3:10", "quorum: the field `at_least` is missing");
        assert_refused("\nlog = \"log.example/1\"", "\nlog = \"log.example/2\"", "17:7", "committer.log: no [[log]]");
        assert_refused("status_log = \"log.example/1\"", "status_log = \"x\"", "29:14", "no [[log]]");
    }

    #[test]
    fn a_withdrawal_that_could_not_count_is_refused() {
        let good = statement(Mark::Withdraw);
        assert_refused(&good, "?", "32:13", "is not base64");
        assert_refused(&good, "AAAA", "32:13", "withdrawal.statement: not a tagged COSE_Sign1");
        assert_refused(&good, &statement(Mark::Reclassify), "32:13", "is none that an assessor makes");
        assert_refused(
            &format!("{}", key(5).public_key()),
            &format!("{}", key(6).public_key()),
            "32:13",
            "no [[assessor]]'s",
        );
        let mut forged = STANDARD.decode(&good).unwrap();
        *forged.last_mut().unwrap() ^= 1;
        assert_refused(&good, &STANDARD.encode(forged), "32:13", "the signature does not verify");
        let (first, rest) = good.split_at(40);
        assert!(
            parse("t", &sample().replace(&format!("\"{good}\""), &format!("\"\"\"\n{first}\n  {rest}\n\"\"\"")))
                .is_ok()
        );
    }
}
