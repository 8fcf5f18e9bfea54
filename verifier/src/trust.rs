//! The trust file: whom the buyer believes, for what, and from when to when (docs/spec/trust.md).
//!
//! Keys come from nowhere else. The file is the buyer's own and is never read out of a bundle.

mod witnesses;

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
    id::KeyId,
    key::PublicKey,
    limits::NAME_BYTES_MAX,
    node::Mark,
    note::{KeyKind, NoteVerifier},
    quorum::Quorum,
    word::{Country, Word, is_note_name},
};

use self::witnesses::{Names, Parties};
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
    /// Which of [`Self::witnesses`] have to have cosigned; without it, none.
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

/// A log.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TrustedLog {
    /// Its origin, which is also its key's name.
    pub origin: String,
    /// Its key, of the type that signs checkpoints.
    pub key: NoteVerifier,
    /// Keys that it had before, each with the size up to which it signed: for evidence of that time, which can't show
    /// what came later.
    pub earlier: Vec<(NoteVerifier, u64)>,
    /// Who is believed to say whom a committer's revoked key is followed by, if the log's genesis names them too.
    pub revokers: Vec<KeyId>,
}

impl TrustedLog {
    /// Returns its keys, each with the size up to which it is believed, the present one first.
    pub fn keys(&self) -> impl Iterator<Item = (&NoteVerifier, u64)> {
        let earlier = self.earlier.iter().map(|(key, size)| (key, *size));
        [(&self.key, u64::MAX)].into_iter().chain(earlier)
    }
}

impl Trust {
    /// Returns the revokers who are believed in the log with an origin.
    pub fn revokers(&self, origin: &str) -> &[KeyId] {
        self.logs.iter().find(|log| log.origin == origin).map_or(&[], |log| &log.revokers)
    }
}

/// A witness.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TrustedWitness {
    /// Its name in this file.
    pub name: String,
    /// Its keys, of the types that cosign: at least one, none twice. It counts once, by whichever of them.
    pub keys: Vec<NoteVerifier>,
    /// Whether it is trusted to have recomputed the status map where it says so (`roles = ["map"]`): only then its
    /// status-map keys count.
    pub map: bool,
}

impl TrustedWitness {
    /// Tells whether what a key of it signed counts.
    pub fn counts(&self, key: &NoteVerifier) -> bool {
        self.map || key.kind() != KeyKind::StatusMapV1
    }
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

impl TrustedCommitter {
    /// Tells whether the key counts for commits to the log with an origin on a day.
    pub fn commits(&self, origin: &str, day: Date) -> bool {
        self.roles.contains(&Role::Commit)
            && self.log.as_deref().is_none_or(|log| log == origin)
            && self.from.is_none_or(|from| from <= day)
            && self.to.is_none_or(|to| day <= to)
    }
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
    let known = [
        "max_age",
        "expect",
        "quorum",
        "log",
        "witness",
        "group",
        "tlog_policy",
        "committer",
        "assessor",
        "withdrawal",
    ];
    let top = source.top(&document, &known)?;
    let mut keys = Keys::default();
    let mut origins = Names::default();
    let mut parties = Parties::default();
    let mut logs = parties.read_policy(&top, &mut keys, &mut origins)?;
    logs.extend(
        top.each("log", &["origin", "vkey", "earlier", "revokers"], |fields| {
            read_log(fields, &mut keys, &mut origins)
        })?,
    );
    parties.read_tables(&top, &mut keys)?;
    let quorum = parties.read_quorum(&top)?;
    let committer = ["name", "key", "log", "from", "to", "roles"];
    let committers = top.each("committer", &committer, |fields| read_committer(fields, &logs, &mut keys))?;
    let assessor = ["name", "key", "schemes", "status_log", "from", "to", "roles"];
    let assessors = top.each("assessor", &assessor, |fields| read_assessor(fields, &logs, &mut keys))?;
    let withdrawals = top.each("withdrawal", &["statement"], |fields| read_withdrawal(fields, &assessors))?;
    Ok(Trust {
        max_age: top.get("max_age").map(|item| read_duration(&item)).transpose()?,
        expect: top.get("expect").map_or_else(|| Ok(Expect::default()), |item| read_expect(&item))?,
        quorum,
        logs,
        witnesses: parties.witnesses,
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

fn read_log(fields: &Fields<'_>, keys: &mut Keys, origins: &mut Names) -> Result<TrustedLog, ConfigError> {
    let origin_item = fields.need("origin")?;
    let name = |text: &str| is_note_name(text).then(|| text.to_owned());
    let origin = origin_item.parsed("the origin of a log", name)?;
    origins.add(&origin_item, &origin)?;
    let key = read_log_key(&fields.need("vkey")?, &origin, keys)?;
    let mut seen = Vec::from([key.clone()]);
    let earlier = fields.list("earlier", |item| {
        let fields = item.fields(&["vkey", "size"])?;
        let item = fields.need("vkey")?;
        let key = read_log_key(&item, &origin, keys)?;
        if seen.contains(&key) {
            return Err(item.error("is a key of this log already"));
        }
        seen.push(key.clone());
        Ok((key, fields.need("size")?.number()?))
    })?;
    let read_revoker = |item: &Item<'_>| {
        KeyId::from_hex(item.text()?).ok_or_else(|| item.error("is not a key id, of 64 hexadecimal digits"))
    };
    let revokers = read_unlike(fields, "revokers", read_revoker)?;
    Ok(TrustedLog { origin, key, earlier, revokers })
}

/// Reads a key of a log, which bears the log's origin as its name.
fn read_log_key(item: &Item<'_>, origin: &str, keys: &mut Keys) -> Result<NoteVerifier, ConfigError> {
    let key = read_vkey(item)?;
    if key.kind().is_cosigner() {
        let why = format!("is a key of type {:#04x}, of a witness; a log has type 0x01", key.kind().byte());
        return Err(item.error(why));
    }
    if key.name() != origin {
        let why = format!("is the key of {:?}, not of {origin:?}", key.name());
        return Err(item.error(why).hint("a log's key is named by the log's origin"));
    }
    keys.add(item, "log", origin, key.public_key())?;
    Ok(key)
}

fn read_vkey(item: &Item<'_>) -> Result<NoteVerifier, ConfigError> {
    NoteVerifier::parse(item.text()?).map_err(|error| item.error(error.to_string()))
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

fn read_expect(item: &Item<'_>) -> Result<Expect, ConfigError> {
    let fields = item.fields(&["destination", "consignee", "purpose"])?;
    Ok(Expect {
        destination: fields.get("destination").map(|item| read_country(&item)).transpose()?,
        consignee: fields.get("consignee").map(|item| item.text().map(str::to_owned)).transpose()?,
        purposes: read_unlike(&fields, "purpose", read_word)?,
    })
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

    fn map_vkey(name: &str, seed: u8) -> String {
        Cosigner::status_map(name, &[seed; 32]).unwrap().verifier().to_vkey()
    }

    fn subtree_vkey(name: &str, seed: u8) -> String {
        Cosigner::subtree(name, &[seed; 32]).unwrap().verifier().to_vkey()
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
vkey = ["{}", "{}"]
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
            map_vkey("w1.example", 7),
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
        assert_eq!(trust.quorum, Some(Quorum::of_witnesses([0, 1], 1)));
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
        assert_refused(&w1, &itself, "9:9", "also the key of log");
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
        assert_refused("[\"w1\", \"w2\"]", "[\"w1\", \"w1\"]", "3:24", "is a member already, in line 3");
        assert_refused("[\"w1\", \"w2\"]", "[]", "3:17", "the list is empty");
        assert_refused("at_least = 1", "at_least = 0", "3:42", "0 is not from 1 to 2");
        assert_refused("at_least = 1", "at_least = 3", "3:42", "3 is not from 1 to 2");
        assert_refused("at_least = 1", "at_least = -1", "3:42", "is not a number from 0 on");
        assert_refused(", at_least = 1", "", "3:10", "quorum: the field `at_least` is missing");
        assert_refused("\nlog = \"log.example/1\"", "\nlog = \"log.example/2\"", "17:7", "committer.log: no [[log]]");
        assert_refused("status_log = \"log.example/1\"", "status_log = \"x\"", "29:14", "no [[log]]");
    }

    #[test]
    fn a_log_may_have_had_other_keys_up_to_a_size() {
        let earlier = |vkey: &str, size: &str| {
            let line = format!("vkey = \"{}\"", log_vkey(1));
            sample().replacen(&line, &format!("{line}\nearlier = [{{ vkey = \"{vkey}\", size = {size} }}]"), 1)
        };
        let trust = parse("t", &earlier(&log_vkey(9), "12")).unwrap();
        assert_eq!(
            trust.logs[0].earlier.iter().map(|(key, size)| (key.to_vkey(), *size)).collect::<Vec<_>>(),
            [(log_vkey(9), 12)]
        );
        let why = |text: &str| parse("t", text).unwrap_err().why;
        assert!(why(&earlier(&log_vkey(1), "12")).contains("is a key of this log already"));
        assert!(why(&earlier(&log_vkey(9), "-1")).contains("is not a number from 0 on"));
        assert!(why(&earlier(&witness_vkey("log.example/1", 9), "1")).contains("type 0x04, of a witness"));
        let other = NoteSigner::new("log.example/2", &[9; 32]).unwrap().verifier().to_vkey();
        assert!(why(&earlier(&other, "1")).contains("not of \"log.example/1\""));
    }

    #[test]
    fn a_revoker_of_a_log_is_believed_by_its_key_id() {
        let revokers = |list: &str| {
            let line = format!("vkey = \"{}\"", log_vkey(1));
            sample().replacen(&line, &format!("{line}\nrevokers = [{list}]"), 1)
        };
        let id = key(7).public_key().id();
        let trust = parse("t", &revokers(&format!("\"{id}\""))).unwrap();
        assert_eq!((trust.revokers("log.example/1"), trust.revokers("log.example/2")), (&[id][..], &[][..]));
        let why = |list: &str| parse("t", &revokers(list)).unwrap_err().why;
        assert!(why(&format!("\"{id}\", \"{id}\"")).contains("stands twice in this list"));
        assert!(why("\"ed25519:AAAA\"").contains("is not a key id"));
        assert!(why(&format!("\"{id}00\"")).contains("is not a key id"));
        assert!(why("7").contains("a string is expected"));
    }

    #[test]
    fn a_witness_has_keys_of_its_own_for_each_statement() {
        let (w1, map, w2) = (witness_vkey("w1.example", 2), map_vkey("w1.example", 7), witness_vkey("w2.example", 3));
        let many =
            sample().replace(&format!("\"{w2}\""), &format!("[\"{w2}\", \"{}\"]", subtree_vkey("w2.example", 8)));
        let trust = parse("t", &many).unwrap();
        assert_eq!(trust.witnesses.iter().map(|witness| witness.keys.len()).collect::<Vec<_>>(), [2, 2]);
        let counts: Vec<bool> = trust.witnesses[0].keys.iter().map(|key| trust.witnesses[0].counts(key)).collect();
        assert_eq!(counts, [true, true]);
        let roleless = parse("t", &sample().replace("roles = [\"map\"]\n", "")).unwrap();
        assert!(
            !roleless.witnesses[0].counts(&roleless.witnesses[0].keys[1]),
            "the buyer does not trust it for the map"
        );

        assert_refused(&format!(", \"{map}\""), "", "10:9", "has no status-map key");
        assert_refused(&map, &map_vkey("w1.example", 2), "9:77", "stands twice in this list");
        assert_refused(&map, &map_vkey("w1.example", 3), "13:8", "is also the key of witness \"w1\" in line 9");
        assert_refused(&format!("[\"{w1}\", \"{map}\"]"), "[]", "9:8", "the list is empty");
        assert_refused(&w2, &subtree_vkey("w2.example", 8).replace("+B", "+C"), "13:8", "keys of type");
    }

    #[test]
    fn groups_of_witnesses_are_read_in_order() {
        let grouped = |groups: &str, quorum: &str| {
            let text = sample().replacen("{ of = [\"w1\", \"w2\"], at_least = 1 }", quorum, 1);
            parse("trust.toml", &format!("{text}{groups}"))
        };
        let near = "[[group]]\nname = \"near\"\nof = [\"w1\"]\nat_least = 1\n";
        let both = format!("{near}[[group]]\nname = \"both\"\nof = [\"near\", \"w2\"]\nat_least = 2\n");
        let quorum = grouped(&both, "{ of = [\"both\"], at_least = 1 }").unwrap().quorum.unwrap();
        assert_eq!(quorum.completed(&[Some(5), Some(9)]), Some(9));
        assert_eq!(quorum.completed(&[Some(5), None]), None);

        let refused = |groups: &str, quorum: &str| grouped(groups, quorum).unwrap_err().to_string();
        let one = "{ of = [\"near\"], at_least = 1 }";
        assert!(
            refused("", one).contains("no [[witness]] of this file, and no [[group]] above, has the name \"near\"")
        );
        let again = refused(near, "{ of = [\"near\", \"w1\"], at_least = 1 }");
        assert!(again.starts_with("trust.toml:3:26: quorum.of: \"w1\" is a member already, in line 35"), "{again}");
        let named = refused(&near.replace("\"near\"", "\"w2\""), "{ of = [\"w2\"], at_least = 1 }");
        assert!(named.contains("group.name: \"w2\" stands also in line 12"), "{named}");
        assert!(refused(&near.replace("at_least = 1", "at_least = 2"), one).contains("2 is not from 1 to 1"));
        let later = both.replacen("[\"w1\"]", "[\"both\"]", 1);
        assert!(refused(&later, one).contains("no [[group]] above, has the name \"both\""));
        let alone = format!("{}{near}", sample().replacen("quorum", "# quorum", 1));
        assert!(parse("t", &alone).unwrap_err().why.contains("without a `quorum`"));
    }

    /// The sample with its log and witnesses as a tlog-policy.
    fn with_policy(policy: &str) -> Result<Trust, ConfigError> {
        let text = sample();
        let parties = text.find("[[log]]").unwrap()..text.find("[[committer]]").unwrap();
        let text = text.replace(&text[parties], "").replacen("quorum", "# quorum", 1);
        parse("trust.toml", &format!("tlog_policy = \"\"\"\n{policy}\"\"\"\n{text}"))
    }

    #[test]
    fn a_tlog_policy_stands_for_logs_witnesses_and_quorum() {
        let policy = format!(
            "log {}\nwitness a {}\nwitness b {}\ngroup any-of-them any a b\nquorum any-of-them\n",
            log_vkey(1),
            witness_vkey("w1.example", 2),
            subtree_vkey("w2.example", 3)
        );
        let trust = with_policy(&policy).unwrap();
        assert_eq!(trust.logs[0].origin, "log.example/1");
        let names: Vec<(&str, bool)> = trust.witnesses.iter().map(|w| (w.name.as_str(), w.map)).collect();
        assert_eq!(names, [("a", false), ("b", false)]);
        assert_eq!(trust.quorum.unwrap().completed(&[None, Some(4)]), Some(4));
        assert_eq!(with_policy(&policy.replace("quorum any-of-them", "quorum none")).unwrap().quorum, None);

        let refused = |policy: &str| with_policy(policy).unwrap_err().to_string();
        let told = refused(&policy.replace("any a b", "any a c"));
        assert_eq!(told, "trust.toml:5:1: tlog_policy: line 4: no line before this one declares \"c\"");
        let told = refused(&policy.replace(&witness_vkey("w1.example", 2), &witness_vkey("w1.example", 1)));
        assert!(
            told.starts_with("trust.toml:3:1: tlog_policy: is also the key of log \"log.example/1\" in line 2"),
            "{told}"
        );
        let told = refused(&policy.replace(&witness_vkey("w1.example", 2), &witness_vkey("w1.example", 4)));
        assert!(told.contains("is also the key of witness \"a\" in line 3"), "{told}");
        // Written with an escape, the lines of the file are not those of the policy.
        let told = refused(&policy.replace("any a b", "any a\\u0020c"));
        assert_eq!(told, "trust.toml:1:15: tlog_policy: line 4: no line before this one declares \"c\"");
    }

    #[test]
    fn a_tlog_policy_and_tables_do_not_clash() {
        let policy = format!("witness w1 {}\nquorum w1\n", subtree_vkey("w1.example", 9));
        let both = |text: String| parse("t", &format!("tlog_policy = \"\"\"\n{policy}\"\"\"\n{text}")).unwrap_err().why;
        assert!(both(sample()).contains("\"w1\" stands also in line 2"));
        let apart = sample().replace("\"w1\"", "\"w3\"");
        assert!(both(apart.clone()).contains("states the quorum too"));
        let group = "[[group]]\nname = \"g\"\nof = [\"w1\"]\nat_least = 1\n";
        assert!(both(apart.clone() + group).contains("stands beside a tlog_policy"));
        let twice =
            apart.replacen("quorum", "# quorum", 1).replace(&map_vkey("w1.example", 7), &map_vkey("w1.example", 2));
        assert!(both(twice).contains("stands twice"));
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
