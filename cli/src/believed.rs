//! Whom adopted bundles were believed by: judging the own records believes them too.
//!
//! What `add --from-bundle --trust FILE` named of other companies stands in a trust file beside the settings, which people
//! may read and correct. It holds parties alone: how old or how well witnessed evidence has to be, and who asks, was for
//! the one bundle.

use std::{fs, path::PathBuf};

use griptrace_core::key::PublicKey;
use griptrace_verifier::trust::Trust;
use toml::{Table, Value};

use crate::{error::CommandError, workspace::Workspace};

/// The trust file, in the folder of the settings.
const FILE: &str = "believed.toml";

/// Parties of other companies, as tables of a trust file.
#[derive(Clone, PartialEq, Debug, Default)]
pub(crate) struct Believed(Table);

impl Believed {
    /// Reads them.
    pub(crate) fn read(workspace: &Workspace) -> Result<Self, CommandError> {
        let path = path(workspace);
        if !path.exists() {
            return Ok(Self::default());
        }
        let text = fs::read_to_string(&path).map_err(|e| CommandError::file("read", &path, e))?;
        let table = toml::from_str(&text);
        table.map(Self).map_err(|e| CommandError::because(format!("{} is wrong", path.display()), e))
    }

    /// Writes them.
    pub(crate) fn write(&self, workspace: &Workspace) -> Result<(), CommandError> {
        let lead = "# Whom bundles were believed by when they were adopted (griptrace add --from-bundle --trust).\n\n";
        let (path, text) = (path(workspace), format!("{lead}{}", self.text()?));
        let temporary = path.with_extension("toml.new");
        let written = fs::write(&temporary, text).and_then(|()| fs::rename(&temporary, &path));
        written.map_err(|e| CommandError::file("write", &path, e))
    }

    /// Returns them as the text of a trust file.
    pub(crate) fn text(&self) -> Result<String, CommandError> {
        toml::to_string(&self.0)
            .map_err(|e| CommandError::because("cannot write whom adopted bundles are believed by", e))
    }

    /// Returns what an assessor's key goes by here, and for which schemes it counts.
    pub(crate) fn assessor(&self, key: &PublicKey) -> Option<(&str, Vec<&str>)> {
        let mut found = self.tables("assessor").filter(|table| key_of(table).as_ref() == Some(key)).peekable();
        let name = text(found.peek()?, "name")?;
        let schemes = found.filter_map(|table| table.get("schemes")?.as_array()).flatten().filter_map(Value::as_str);
        Some((name, schemes.collect()))
    }

    /// Adds whom a trust file names, but for the own log and committer's keys. It decides alone about each log that it names, and
    /// each key; what was believed of others stays.
    #[must_use]
    pub(crate) fn joined(&self, file: &Table, read: &Trust, own: &(String, Vec<PublicKey>)) -> Self {
        let newer = Self(file.clone());
        let (own_origin, own_keys) = own;
        let named = |table: &&Table, field| text(table, field).unwrap_or_default().to_owned();
        let mut logs: Vec<Table> = newer.tables("log").filter(|t| named(t, "origin") != *own_origin).cloned().collect();
        let in_tables = |origin: &str| newer.tables("log").any(|table| text(table, "origin") == Some(origin));
        for log in read.logs.iter().filter(|log| log.origin != *own_origin && !in_tables(&log.origin)) {
            let fields = [("origin", log.origin.clone()), ("vkey", log.key.to_vkey())];
            logs.push(fields.into_iter().map(|(name, value)| (name.to_owned(), Value::String(value))).collect());
        }
        let origins: Vec<String> = logs.iter().map(|log| named(&log, "origin")).collect();
        let mut committers = Vec::new();
        for table in newer.tables("committer").filter(|t| key_of(t).is_none_or(|key| !own_keys.contains(&key))) {
            // Somebody who is believed in every log of that file is not yet believed in every other.
            for origin in origins.iter().filter(|origin| text(table, "log").is_none_or(|log| log == *origin)) {
                let mut table = table.clone();
                table.insert("log".to_owned(), Value::String(origin.clone()));
                committers.push(table);
            }
        }
        let mut assessors: Vec<Table> = newer.tables("assessor").cloned().collect();
        let keys: Vec<PublicKey> = assessors.iter().chain(&committers).filter_map(key_of).collect();
        let mut withdrawals: Vec<Table> = newer.tables("withdrawal").cloned().collect();
        let is_older = |origin: &String| !origins.contains(origin);
        logs.extend(self.tables("log").filter(|table| is_older(&named(table, "origin"))).cloned());
        committers.extend(self.tables("committer").filter(|table| is_older(&named(table, "log"))).cloned());
        assessors.extend(self.tables("assessor").filter(|t| key_of(t).is_none_or(|key| !keys.contains(&key))).cloned());
        let others: Vec<Table> = self.tables("withdrawal").filter(|t| !withdrawals.contains(t)).cloned().collect();
        withdrawals.extend(others);
        let all = [("log", logs), ("committer", committers), ("assessor", assessors), ("withdrawal", withdrawals)];
        let array = |tables: Vec<Table>| Value::Array(tables.into_iter().map(Value::Table).collect());
        let some = all.into_iter().filter(|(_, tables)| !tables.is_empty());
        Self(some.map(|(name, tables)| (name.to_owned(), array(tables))).collect())
    }

    fn tables(&self, name: &str) -> impl Iterator<Item = &Table> {
        self.0.get(name).and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_table)
    }
}

fn text<'t>(table: &'t Table, field: &str) -> Option<&'t str> {
    table.get(field)?.as_str()
}

fn key_of(table: &Table) -> Option<PublicKey> {
    PublicKey::parse(text(table, "key")?).ok()
}

fn path(workspace: &Workspace) -> PathBuf {
    workspace.folder().join(FILE)
}

#[cfg(test)]
mod tests {
    use griptrace_core::{
        key::{Algorithm, SecretKey, Signer as _},
        note::NoteSigner,
    };
    use griptrace_verifier::trust::{self, Role};

    use super::*;

    const OWN: &str = "own.example/1";

    fn key(seed: u8) -> PublicKey {
        SecretKey::from_bytes(Algorithm::Ed25519, &[seed; 32]).unwrap().public_key().clone()
    }

    fn vkey(origin: &str, seed: u8) -> String {
        NoteSigner::new(origin, &[seed; 32]).unwrap().verifier().to_vkey()
    }

    fn log(origin: &str, seed: u8) -> String {
        format!("[[log]]\norigin = \"{origin}\"\nvkey = \"{}\"\n", vkey(origin, seed))
    }

    fn committer(name: &str, seed: u8, more: &str) -> String {
        format!("[[committer]]\nname = \"{name}\"\nkey = \"{}\"\nroles = [\"commit\"]\n{more}\n", key(seed))
    }

    fn assessor(name: &str, seed: u8, scheme: &str) -> String {
        format!("[[assessor]]\nname = \"{name}\"\nkey = \"{}\"\nschemes = [\"{scheme}\"]\n", key(seed))
    }

    fn join(known: &Believed, text: &str) -> Believed {
        known.joined(&toml::from_str(text).unwrap(), &trust::parse("t", text).unwrap(), &(OWN.to_owned(), vec![key(1)]))
    }

    fn read(believed: &Believed) -> Trust {
        trust::parse("believed", &believed.text().unwrap()).unwrap()
    }

    #[test]
    fn parties_are_taken_over_and_what_was_asked_of_one_bundle_is_not() {
        let earlier = format!("earlier = [{{ vkey = \"{}\", size = 7 }}]\n", vkey("a.example/1", 9));
        let witness = griptrace_core::note::Cosigner::new("w.example", &[6; 32]).unwrap().verifier().to_vkey();
        let text = format!(
            "max_age = \"1d\"\nexpect = {{ destination = \"DE\" }}\nquorum = {{ of = [\"w\"], at_least = 1 }}\n\
             [[witness]]\nname = \"w\"\nvkey = \"{witness}\"\n{}{earlier}{}{}{}{}{}",
            log("a.example/1", 2),
            log(OWN, 8),
            committer("A", 3, "from = 2026-01-01"),
            committer("Own again", 1, ""),
            committer("Own other", 4, &format!("log = \"{OWN}\"")),
            assessor("Office", 5, "security-assessment"),
        );
        let believed = join(&Believed::default(), &text);
        let read = read(&believed);
        assert_eq!((read.max_age, read.quorum, read.witnesses.len()), (None, None, 0));
        assert_eq!(read.expect, trust::Expect::default());
        let logs: Vec<(&str, usize)> = read.logs.iter().map(|log| (log.origin.as_str(), log.earlier.len())).collect();
        assert_eq!(logs, [("a.example/1", 1)], "with what it is believed by");
        let committers: Vec<_> =
            read.committers.iter().map(|c| (c.name.as_str(), c.log.as_deref(), &*c.roles)).collect();
        assert_eq!(committers, [("A", Some("a.example/1"), &[Role::Commit][..])], "in that log, and not in others");
        assert_eq!(read.committers[0].from.unwrap().to_string(), "2026-01-01");
        assert_eq!(believed.assessor(&key(5)), Some(("Office", vec!["security-assessment"])));
    }

    #[test]
    fn the_newest_file_decides_about_the_logs_and_keys_that_it_names() {
        let first = [log("a.example/1", 2), log("b.example/1", 3), committer("A", 4, "log = \"a.example/1\"")];
        let first = [first.concat(), committer("B", 5, "log = \"b.example/1\""), assessor("Office", 6, "one")].concat();
        let believed = join(&Believed::default(), &first);
        let second = [log("a.example/1", 7), committer("A", 8, ""), assessor("Bureau", 6, "two")].concat();
        let read = read(&join(&believed, &second));
        let keys: Vec<(&str, &PublicKey)> = read.committers.iter().map(|c| (c.name.as_str(), &c.key)).collect();
        assert_eq!(keys, [("A", &key(8)), ("B", &key(5))], "who is no longer named in a log is not believed there");
        let of_a = read.logs.iter().find(|log| log.origin == "a.example/1").unwrap();
        assert_eq!((of_a.key.to_vkey(), read.logs.len()), (vkey("a.example/1", 7), 2));
        let assessors: Vec<(&str, String)> =
            read.assessors.iter().map(|a| (a.name.as_str(), a.schemes[0].to_string())).collect();
        assert_eq!(assessors, [("Bureau", "two".to_owned())]);
        assert_eq!(join(&believed, &first), believed);
    }

    #[test]
    fn a_policy_of_witnesses_names_logs_too() {
        let text = format!(
            "tlog_policy = \"\"\"\nlog {}\nquorum none\n\"\"\"\n{}",
            vkey("a.example/1", 2),
            committer("A", 3, "")
        );
        let read = read(&join(&Believed::default(), &text));
        assert_eq!((read.logs.len(), read.committers[0].log.as_deref()), (1, Some("a.example/1")));
    }
}
