//! The witnesses of the own log, as a buyer may ask for them in a trust file.

use core::fmt::Write as _;

use griptrace_core::quorum::{Group, Member, Quorum};
use griptrace_witness::panel::Panel;

use super::quoted;
use crate::{error::CommandError, log_source::Log, witnesses, workspace::Workspace};

/// What stands in a trust file of witnesses; all of it commented out.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(super) struct ToConfirm {
    /// How many of them have to have cosigned: a line for before the first table.
    pub(super) quorum: String,
    /// Their tables.
    pub(super) witnesses: String,
}

/// Returns the witnesses that the log on this machine asks, and its quorum.
pub(super) fn to_confirm(workspace: &Workspace) -> Result<ToConfirm, CommandError> {
    let Log::Local(store) = &workspace.store else { return Ok(ToConfirm::default()) };
    let panel = witnesses::read(workspace.folder(), &store.verifiers())?;
    Ok(panel.as_ref().map(of_panel).unwrap_or_default())
}

fn of_panel(panel: &Panel) -> ToConfirm {
    // A policy has a line for each key; all that go by one name are one party's, which counts once.
    let keys = panel.keys();
    let mut names: Vec<&str> = Vec::new();
    for key in &keys {
        if !names.contains(&key.name()) {
            names.push(key.name());
        }
    }
    let mut tables = String::new();
    for name in names {
        let of_name = || keys.iter().filter(|key| key.name() == name);
        let vkeys: Vec<String> = of_name().map(|key| quoted(&key.to_vkey())).collect();
        let is_map = of_name().any(|key| panel.maps().contains(key));
        let roles = if is_map { "# roles = [\"map\"]\n" } else { "" };
        let _ = write!(
            tables,
            "# CONFIRM BY PHONE, with the witness itself, then take the `# ` away here and before the quorum\n\
             # [[witness]]\n# name = {}\n# vkey = [{}]\n{roles}\n",
            quoted(name),
            vkeys.join(", ")
        );
    }
    let Some(quorum) = panel.quorum() else { return ToConfirm { quorum: String::new(), witnesses: tables } };
    let name = |member: &Member| match member {
        Member::Witness(place) => keys.get(*place).map_or_else(String::new, |key| key.name().to_owned()),
        Member::Group(place) => format!("group-{place}"),
    };
    let asked = asked(quorum);
    for (place, group) in quorum.groups.iter().enumerate().filter(|(place, _)| quorum.asked != Member::Group(*place)) {
        let _ = write!(tables, "# [[group]]\n# name = \"group-{place}\"\n# {}\n\n", members(group, &name, "\n# "));
    }
    let quorum = format!(
        "# Whose cosignatures you ask for, once the witnesses below are confirmed. The line stands before every table.\n\
         # quorum = {{ {} }}\n\n",
        members(&asked, &name, ", ")
    );
    ToConfirm { quorum, witnesses: tables }
}

/// Returns what is asked for as a group, which a single witness is too.
fn asked(quorum: &Quorum) -> Group {
    let group = match quorum.asked {
        Member::Group(place) => quorum.groups.get(place).cloned(),
        Member::Witness(_) => None,
    };
    group.unwrap_or_else(|| Group { of: vec![quorum.asked], at_least: 1 })
}

fn members(group: &Group, name: &impl Fn(&Member) -> String, between: &str) -> String {
    let mut of: Vec<String> = group.of.iter().map(|member| quoted(&name(member))).collect();
    of.sort();
    of.dedup();
    let at_least = group.at_least.min(of.len());
    format!("of = [{}]{between}at_least = {at_least}", of.join(", "))
}

#[cfg(test)]
mod tests {
    use griptrace_core::note::{Cosigner, NoteSigner};
    use griptrace_verifier::trust;

    use super::*;

    #[test]
    fn what_is_confirmed_asks_for_what_the_policy_of_the_log_asks_for() {
        let log = NoteSigner::new("log.example", &[1; 32]).unwrap().verifier().clone();
        let key = |name: &str, seed: u8| Cosigner::new(name, &[seed; 32]).unwrap().verifier().to_vkey();
        let map = Cosigner::status_map("w1.example", &[5; 32]).unwrap().verifier().to_vkey();
        let more = Cosigner::subtree("w1.example", &[6; 32]).unwrap().verifier().to_vkey();
        let witnesses = format!(
            "witness a {}\nwitness a2 {more}\nwitness b {}\nwitness c {}\n",
            key("w1.example", 2),
            key("w2.example", 3),
            key("w3.example", 4)
        );
        let read = |rest: &str| {
            let policy = format!("{witnesses}{rest}");
            let found = of_panel(&Panel::parse(policy.as_bytes(), &[&map], core::slice::from_ref(&log)).unwrap());
            let table = format!("[[log]]\norigin = \"log.example\"\nvkey = \"{}\"\n", log.to_vkey());
            let text = format!("{}{table}{}", found.quorum, found.witnesses);
            let unconfirmed = trust::parse("t", &text).unwrap();
            assert!(unconfirmed.witnesses.is_empty() && unconfirmed.quorum.is_none(), "{text}");
            let lines = text.lines().map(|line| line.strip_prefix("# ").unwrap_or(line));
            let lines: Vec<&str> = lines.filter(|line| line.starts_with('[') || line.contains(" = ")).collect();
            trust::parse("t", &lines.join("\n")).unwrap()
        };
        let nested = read("group g any b c\ngroup q all a g\nquorum q\n");
        let names: Vec<&str> = nested.witnesses.iter().map(|witness| witness.name.as_str()).collect();
        assert_eq!(names, ["w1.example", "w2.example", "w3.example"]);
        let quorum = nested.quorum.unwrap();
        assert_eq!(quorum.completed(&[Some(1), None, None]), None);
        assert_eq!(quorum.completed(&[Some(1), None, Some(2)]), Some(2));
        let both = read("group q 2 a a2\nquorum q\n").quorum.unwrap();
        assert_eq!(both.completed(&[Some(4), None, None]), Some(4), "a party counts once");
        assert_eq!(read("quorum c\n").quorum.unwrap().completed(&[Some(1), Some(1), None]), None);
        assert!(read("quorum none\n").quorum.is_none());
    }
}
