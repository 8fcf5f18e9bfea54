//! Trust policies of transparency logs: known logs, known witnesses, and a quorum of them, line by line
//! (C2SP tlog-policy).
//!
//! Reading is strict: what is not understood is refused with the number of its line. Names are opaque octets.

mod error;

use alloc::string::String;
use alloc::vec::Vec;

pub use self::error::{PolicyFault, TlogPolicyError};
use crate::limits::{CONFIG_BYTES_MAX, CONFIG_ITEMS_MAX};
use crate::note::{KeyKind, NoteVerifier};
use crate::quorum::{Group, Member, Quorum};

/// A policy.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TlogPolicy {
    /// The logs, no key twice.
    pub logs: Vec<PolicyLog>,
    /// The witnesses, no key and no name twice.
    pub witnesses: Vec<PolicyWitness>,
    /// What of [`Self::witnesses`] has to have cosigned; `None` for `quorum none`.
    pub quorum: Option<Quorum>,
}

/// A log of a policy.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PolicyLog {
    /// Its key, of the type 0x01, named by its origin.
    pub key: NoteVerifier,
    /// Where it is, as the policy says.
    pub url: Option<String>,
    /// The line that it stands in, from 1.
    pub line: usize,
}

/// A witness of a policy.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PolicyWitness {
    /// Its name in the policy.
    pub name: Vec<u8>,
    /// Its key, of the type 0x04 or 0x06.
    pub key: NoteVerifier,
    /// Where it is, as the policy says: its submission prefix (tlog-witness).
    pub url: Option<String>,
    /// The line that it stands in, from 1.
    pub line: usize,
}

impl TlogPolicy {
    /// Parses a policy.
    ///
    /// # Errors
    /// The first fault, with its line.
    pub fn parse(bytes: &[u8]) -> Result<Self, TlogPolicyError> {
        let mut reader = Reader::default();
        if bytes.len() > CONFIG_BYTES_MAX {
            return Err(PolicyFault::TooLong { bytes: bytes.len() }.at(1));
        }
        let mut last = 1;
        for (number, line) in (1..).zip(bytes.split(|byte| *byte == b'\n')) {
            last = number;
            reader.read(number, line).map_err(|fault| fault.at(number))?;
        }
        let Some((quorum, _)) = reader.quorum else { return Err(PolicyFault::QuorumMissing.at(last)) };
        let quorum = quorum.map(|asked| Quorum { groups: reader.groups, asked });
        Ok(Self { logs: reader.logs, witnesses: reader.witnesses, quorum })
    }
}

/// A name that was declared: what it is, in which line, and in which line it became a member.
struct Declared {
    name: Vec<u8>,
    member: Member,
    line: usize,
    used: Option<usize>,
}

/// What was read so far.
#[derive(Default)]
struct Reader {
    logs: Vec<PolicyLog>,
    witnesses: Vec<PolicyWitness>,
    groups: Vec<Group>,
    names: Vec<Declared>,
    quorum: Option<(Option<Member>, usize)>,
}

impl Reader {
    fn read(&mut self, number: usize, line: &[u8]) -> Result<(), PolicyFault> {
        if let Some(octet) = line.iter().find(|octet| (**octet < 0x20 && **octet != b'\t') || **octet == 0x7f) {
            return Err(PolicyFault::Octet { octet: *octet });
        }
        let items: Vec<&[u8]> = line.split(|byte| matches!(byte, b' ' | b'\t')).filter(|i| !i.is_empty()).collect();
        let Some((keyword, items)) = items.split_first() else { return Ok(()) };
        match (*keyword, items) {
            ([b'#', ..], _) => Ok(()),
            (b"log", [vkey]) => self.log(number, vkey, None),
            (b"log", [vkey, url]) => self.log(number, vkey, Some(url)),
            (b"witness", [name, vkey]) => self.witness(number, name, vkey, None),
            (b"witness", [name, vkey, url]) => self.witness(number, name, vkey, Some(url)),
            (b"group", [name, threshold, members @ ..]) if !members.is_empty() => {
                self.group(number, name, threshold, members)
            }
            (b"quorum", [name]) => self.quorum(number, name),
            (b"log" | b"witness" | b"group" | b"quorum", _) => {
                Err(PolicyFault::Items { keyword: lossy(keyword), found: items.len() })
            }
            _ => Err(PolicyFault::Keyword { found: lossy(keyword) }),
        }
    }

    fn log(&mut self, line: usize, vkey: &[u8], url: Option<&&[u8]>) -> Result<(), PolicyFault> {
        let key = read_key(vkey, &[KeyKind::Ed25519])?;
        check_room(self.logs.len())?;
        if let Some(other) = self.logs.iter().find(|other| other.key.public_key() == key.public_key()) {
            return Err(PolicyFault::KeyTwice { line: other.line });
        }
        self.logs.push(PolicyLog { key, url: url.map(|url| read_url(url)).transpose()?, line });
        Ok(())
    }

    fn witness(&mut self, line: usize, name: &[u8], vkey: &[u8], url: Option<&&[u8]>) -> Result<(), PolicyFault> {
        let key = read_key(vkey, &[KeyKind::CosignatureV1, KeyKind::SubtreeV1])?;
        check_room(self.witnesses.len())?;
        if let Some(other) = self.witnesses.iter().find(|other| other.key.public_key() == key.public_key()) {
            return Err(PolicyFault::KeyTwice { line: other.line });
        }
        self.declare(line, name, Member::Witness(self.witnesses.len()))?;
        let url = url.map(|url| read_url(url)).transpose()?;
        self.witnesses.push(PolicyWitness { name: name.to_vec(), key, url, line });
        Ok(())
    }

    fn group(&mut self, line: usize, name: &[u8], threshold: &[u8], members: &[&[u8]]) -> Result<(), PolicyFault> {
        check_room(self.groups.len())?;
        let at_least = match threshold {
            b"all" => Some(members.len()),
            b"any" => Some(1),
            number => read_number(number).filter(|number| (1..=members.len()).contains(number)),
        };
        let wrong = || PolicyFault::Threshold { found: lossy(threshold), members: members.len() };
        let at_least = at_least.ok_or_else(wrong)?;
        let of = members.iter().map(|member| self.take(line, member)).collect::<Result<_, _>>()?;
        self.declare(line, name, Member::Group(self.groups.len()))?;
        self.groups.push(Group { of, at_least });
        Ok(())
    }

    fn quorum(&mut self, line: usize, name: &[u8]) -> Result<(), PolicyFault> {
        if let Some((_, line)) = self.quorum {
            return Err(PolicyFault::QuorumTwice { line });
        }
        let asked = if name == b"none" { None } else { Some(self.find(name)?.member) };
        self.quorum = Some((asked, line));
        Ok(())
    }

    fn declare(&mut self, line: usize, name: &[u8], member: Member) -> Result<(), PolicyFault> {
        if name == b"none" {
            return Err(PolicyFault::NameNone);
        }
        if let Some(other) = self.names.iter().find(|other| other.name == name) {
            return Err(PolicyFault::NameTwice { name: lossy(name), line: other.line });
        }
        self.names.push(Declared { name: name.to_vec(), member, line, used: None });
        Ok(())
    }

    fn find(&mut self, name: &[u8]) -> Result<&mut Declared, PolicyFault> {
        self.names.iter_mut().find(|one| one.name == name).ok_or_else(|| PolicyFault::Undeclared { name: lossy(name) })
    }

    /// Makes a name the member of a group; no name is that twice.
    fn take(&mut self, line: usize, name: &[u8]) -> Result<Member, PolicyFault> {
        let found = self.find(name)?;
        match found.used.replace(line) {
            None => Ok(found.member),
            Some(line) => Err(PolicyFault::MemberTwice { name: lossy(name), line }),
        }
    }
}

fn check_room(count: usize) -> Result<(), PolicyFault> {
    if count < CONFIG_ITEMS_MAX { Ok(()) } else { Err(PolicyFault::TooMany) }
}

fn read_key(vkey: &[u8], kinds: &[KeyKind]) -> Result<NoteVerifier, PolicyFault> {
    let vkey = core::str::from_utf8(vkey).map_err(|_| PolicyFault::NotUtf8)?;
    let key = NoteVerifier::parse(vkey).map_err(PolicyFault::Key)?;
    if kinds.contains(&key.kind()) { Ok(key) } else { Err(PolicyFault::KeyType { kind: key.kind().byte() }) }
}

fn read_url(url: &[u8]) -> Result<String, PolicyFault> {
    core::str::from_utf8(url).map(String::from).map_err(|_| PolicyFault::NotUtf8)
}

/// Reads decimal digits without a sign or a leading zero.
fn read_number(text: &[u8]) -> Option<usize> {
    let digits = core::str::from_utf8(text).ok().filter(|text| text.bytes().all(|digit| digit.is_ascii_digit()))?;
    digits.parse().ok().filter(|_| !digits.starts_with('0'))
}

fn lossy(name: &[u8]) -> String {
    String::from_utf8_lossy(name).into_owned()
}

#[cfg(test)]
mod tests;
