//! The witnesses of a trust file, their groups and the quorum: as tables, or as a C2SP tlog-policy.

use alloc::{
    borrow::ToOwned,
    collections::BTreeMap,
    format,
    string::{String, ToString},
    vec::Vec,
};

use griptrace_core::{
    note::{KeyKind, NoteVerifier},
    quorum::{Group, Member, Quorum},
    tlog_policy::TlogPolicy,
    word::is_note_name,
};

use super::{Keys, TrustedLog, TrustedWitness, read_name, read_unlike, read_vkey};
use crate::toml_source::{ConfigError, Fields, Item};

/// Names that may stand once only, with the line of each.
#[derive(Default)]
pub(super) struct Names(BTreeMap<String, usize>);

impl Names {
    /// Notes a name that stands at `item`.
    pub(super) fn add(&mut self, item: &Item<'_>, name: &str) -> Result<(), ConfigError> {
        match self.0.insert(name.to_owned(), item.line()) {
            None => Ok(()),
            Some(line) => Err(item.error(format!("{name:?} stands also in line {line}"))),
        }
    }
}

/// Who witnesses, and who of them is asked for.
#[derive(Default)]
pub(super) struct Parties {
    pub(super) witnesses: Vec<TrustedWitness>,
    groups: Vec<Group>,
    /// Witnesses and groups have their names in common.
    names: Names,
    members: BTreeMap<String, Member>,
    /// The line in which a name became a member of a group.
    used: BTreeMap<String, usize>,
    /// Whether the file has a `tlog_policy`, which states the quorum; and which, `quorum none` being none.
    by_policy: bool,
    quorum: Option<Quorum>,
}

impl Parties {
    /// Reads the text of a C2SP tlog-policy, and returns its logs.
    pub(super) fn read_policy(
        &mut self,
        top: &Fields<'_>,
        keys: &mut Keys,
        origins: &mut Names,
    ) -> Result<Vec<TrustedLog>, ConfigError> {
        let Some(item) = top.get("tlog_policy") else { return Ok(Vec::new()) };
        if let Some(group) = top.list("group", |group| Ok(group.clone()))?.first() {
            let hint = "a policy brings its own groups: add a `group` line to it";
            return Err(group.error("stands beside a tlog_policy").hint(hint));
        }
        let policy = TlogPolicy::parse(item.long_text()?.as_bytes());
        let policy = policy.map_err(|error| item.in_line(error.line).error(error.to_string()))?;
        let mut logs = Vec::new();
        for log in policy.logs {
            let (item, origin) = (item.in_line(log.line), log.key.name().to_owned());
            if !is_note_name(&origin) {
                return Err(item.error(format!("{origin:?} is not the origin of a log")));
            }
            origins.add(&item, &origin)?;
            keys.add(&item, "log", &origin, log.key.public_key())?;
            logs.push(TrustedLog { origin, key: log.key, earlier: Vec::new(), revokers: Vec::new() });
        }
        for witness in policy.witnesses {
            let item = item.in_line(witness.line);
            let name = String::from_utf8(witness.name).map_err(|_| item.error("a name is not UTF-8"))?;
            let witness = TrustedWitness { name, keys: Vec::from([witness.key]), map: false };
            self.add(Placed { name: item.clone(), keys: Vec::from([item]), witness }, keys)?;
        }
        (self.by_policy, self.quorum) = (true, policy.quorum);
        Ok(logs)
    }

    /// Reads the tables of witnesses and groups.
    pub(super) fn read_tables(&mut self, top: &Fields<'_>, keys: &mut Keys) -> Result<(), ConfigError> {
        for placed in top.each("witness", &["name", "vkey", "roles"], read_witness)? {
            self.add(placed, keys)?;
        }
        top.each("group", &["name", "of", "at_least"], |fields| {
            let item = fields.need("name")?;
            let name = read_name(&item)?;
            let group = self.read_group(&fields.need("of")?, &fields.need("at_least")?)?;
            self.names.add(&item, &name)?;
            self.members.insert(name, Member::Group(self.groups.len()));
            self.groups.push(group);
            Ok(())
        })?;
        Ok(())
    }

    /// Reads the quorum, where the policy did not bring it.
    pub(super) fn read_quorum(&mut self, top: &Fields<'_>) -> Result<Option<Quorum>, ConfigError> {
        let Some(item) = top.get("quorum") else {
            let idle = !self.groups.is_empty();
            let why = "groups without a `quorum` that asks for them count for nothing";
            return if idle { Err(top.error(why)) } else { Ok(self.quorum.take()) };
        };
        if self.by_policy {
            return Err(item.error("the tlog_policy of this file states the quorum too"));
        }
        let fields = item.fields(&["of", "at_least"])?;
        let whole = self.read_group(&fields.need("of")?, &fields.need("at_least")?)?;
        let mut groups = core::mem::take(&mut self.groups);
        groups.push(whole);
        let asked = Member::Group(groups.len().saturating_sub(1));
        Ok(Some(Quorum { groups, asked }))
    }

    fn add(&mut self, placed: Placed<'_>, keys: &mut Keys) -> Result<(), ConfigError> {
        let witness = placed.witness;
        for (item, key) in placed.keys.iter().zip(&witness.keys) {
            keys.add(item, "witness", &witness.name, key.public_key())?;
        }
        self.names.add(&placed.name, &witness.name)?;
        self.members.insert(witness.name.clone(), Member::Witness(self.witnesses.len()));
        self.witnesses.push(witness);
        Ok(())
    }

    fn read_group(&mut self, of: &Item<'_>, at_least: &Item<'_>) -> Result<Group, ConfigError> {
        let of = of.some_items()?.iter().map(|item| self.take(item)).collect::<Result<Vec<_>, _>>()?;
        let number = usize::try_from(at_least.number()?).unwrap_or(usize::MAX);
        if number == 0 || number > of.len() {
            return Err(at_least.error(format!("{number} is not from 1 to {}, the members", of.len())));
        }
        Ok(Group { of, at_least: number })
    }

    /// Makes a name a member; none is that twice, so that each witness counts in one way only.
    fn take(&mut self, item: &Item<'_>) -> Result<Member, ConfigError> {
        let name = item.text()?;
        let Some(member) = self.members.get(name) else {
            let why = format!("no [[witness]] of this file, and no [[group]] above, has the name {name:?}");
            return Err(item.error(why));
        };
        match self.used.insert(name.to_owned(), item.line()) {
            None => Ok(*member),
            Some(line) => Err(item.error(format!("{name:?} is a member already, in line {line}, and counts once"))),
        }
    }
}

/// A witness, and where its name and its keys stand.
struct Placed<'s> {
    name: Item<'s>,
    keys: Vec<Item<'s>>,
    witness: TrustedWitness,
}

fn read_witness<'s>(fields: &Fields<'s>) -> Result<Placed<'s>, ConfigError> {
    let name_item = fields.need("name")?;
    let name = read_name(&name_item)?;
    let item = fields.need("vkey")?;
    let items = if item.is_list() { item.some_items()? } else { Vec::from([item]) };
    let mut keys: Vec<NoteVerifier> = Vec::new();
    for item in &items {
        let key = read_vkey(item)?;
        if !key.kind().is_cosigner() {
            return Err(item.error("is a key of type 0x01, of a log; a witness has type 0x04, 0x06 or 0xff"));
        }
        if keys.iter().any(|other| other.public_key() == key.public_key()) {
            return Err(item
                .error("stands twice in this list")
                .hint("a witness has a key of its own for each statement"));
        }
        keys.push(key);
    }
    let roles = read_unlike(fields, "roles", |item| item.one_of(&[("map", ())]).map(|()| "map"))?;
    let map = !roles.is_empty();
    if map && keys.iter().all(|key| key.kind() != KeyKind::StatusMapV1) {
        let why = "the witness has no status-map key (type 0xff), so that nothing could say that it recomputed the map";
        return Err(fields.need("roles")?.error(why));
    }
    Ok(Placed { name: name_item, keys: items, witness: TrustedWitness { name, keys, map } })
}
