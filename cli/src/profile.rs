//! Disclosure profiles: which details a bundle opens (docs/disclosure.md).
//!
//! A profile is data: of each kind of node the details that are shown, and exceptions for single nodes. What it does
//! not name stays under the details root.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
};

use griptrace_core::{
    details::{slot, slot_name, slot_names},
    id::NodeId,
    limits::DETAIL_SLOTS,
    node::Kind,
};
use griptrace_store::{Chosen, Disclose};

use crate::{
    error::CommandError,
    output::Output,
    recording::toml_source::{Item, Source, Table},
    resolve::resolve_all,
    suggest::nearest,
    workspace::Workspace,
};

/// The profiles that come with the program, by name, as their files stand.
const BUILT_IN: [(&str, &str); 3] = [
    ("minimal", include_str!("../../policies/profiles/minimal.toml")),
    ("annex-iv-2d", include_str!("../../policies/profiles/annex-iv-2d.toml")),
    ("full", include_str!("../../policies/profiles/full.toml")),
];

/// Stands for every detail of a kind.
const EVERY: &str = "*";

type Slots = BTreeSet<u8>;

/// Which details are shown.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Profile {
    /// What it is called.
    pub(crate) name: String,
    /// What it is for.
    pub(crate) about: String,
    kinds: BTreeMap<Kind, Slots>,
    nodes: Vec<Exception>,
    /// Hidden whatever else is said.
    hidden: BTreeMap<Kind, Slots>,
}

/// What is shown of some nodes, in place of what is shown of their kind.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Exception {
    /// An id, a name, or `kind:name`.
    node: String,
    show: Vec<String>,
}

/// One detail of one kind, or all of them.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Field {
    kind: Kind,
    slots: Slots,
}

impl Field {
    /// Reads `KIND.FIELD` or `KIND.*`, for clap.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let (kind, field) = text.split_once('.').ok_or("a detail is written KIND.FIELD, such as dataset.licence")?;
        let kind = kind_of(kind)?;
        Ok(Self { kind, slots: slots_of(kind, field)? })
    }

    /// Tells whether it is a detail of a kind of node, by its slot.
    pub(crate) fn is(&self, kind: Kind, slot: u8) -> bool {
        self.kind == kind && self.slots.contains(&slot)
    }
}

fn kind_of(word: &str) -> Result<Kind, String> {
    let known: Vec<&str> = Kind::ALL.iter().map(|kind| kind.word()).collect();
    Kind::from_word(word).ok_or_else(|| format!("{word:?} is no kind of node: they are {}", known.join(", ")))
}

fn slots_of(kind: Kind, field: &str) -> Result<Slots, String> {
    if field == EVERY {
        return Ok((0..DETAIL_SLOTS).collect());
    }
    if let Some(slot) = slot(kind, field) {
        return Ok([slot].into());
    }
    let names = slot_names(kind);
    let near = nearest(field, names.iter().copied()).map(|near| format!("; did you mean {near:?}?"));
    let near = near.unwrap_or_default();
    Err(format!("a {kind} has no detail {field:?}{near} It has: {}, and {EVERY:?} for all of them", names.join(", ")))
}

impl Profile {
    /// Returns the profiles that come with the program.
    pub(crate) fn built_in() -> Result<Vec<Self>, CommandError> {
        BUILT_IN.iter().map(|(name, text)| Self::parse(&Source::of(name, text))).collect()
    }

    /// Reads a profile: one that comes with the program, or a file.
    pub(crate) fn load(named: &str) -> Result<Self, CommandError> {
        if let Some((name, text)) = BUILT_IN.iter().find(|(name, _)| *name == named) {
            return Self::parse(&Source::of(name, text));
        }
        let path = Path::new(named);
        if !path.exists() {
            let known: Vec<&str> = BUILT_IN.iter().map(|(name, _)| *name).collect();
            return Err(CommandError::failed(format!("{named:?} is no disclosure profile and no file"))
                .with_hint(format!("profiles that come with the program: {}", known.join(", "))));
        }
        Self::parse(&Source::read(path)?)
    }

    fn parse(source: &Source) -> Result<Self, CommandError> {
        let parsed = source.parse()?;
        let root = source.root(&parsed).called("profile");
        root.refuse_unknown(&["name", "about", "show", "node"])?;
        let text = |key| root.get(key).map(|item| item.text().map(str::to_owned)).transpose();
        let name = root.need("name")?.text()?.to_owned();
        let about = text("about")?.unwrap_or_default();
        let kinds = root.get("show").map_or_else(|| Ok(BTreeMap::new()), |item| read_show(&item.table()?))?;
        let nodes = root.tables("node")?.into_iter().map(|table| read_exception(&table.called("node")));
        let nodes = nodes.collect::<Result<_, _>>()?;
        Ok(Self { name, about, kinds, nodes, hidden: BTreeMap::new() })
    }

    /// Shows some details more.
    pub(crate) fn show(&mut self, field: &Field) {
        self.kinds.entry(field.kind).or_default().extend(&field.slots);
    }

    /// Hides some details, whatever else shows them.
    pub(crate) fn hide(&mut self, field: &Field) {
        self.hidden.entry(field.kind).or_default().extend(&field.slots);
    }

    /// Hides every detail of the nodes of an id or name, whatever else shows them.
    pub(crate) fn hide_node(&mut self, node: &str) {
        self.nodes.push(Exception { node: node.to_owned(), show: Vec::new() });
    }

    /// Lists what is shown, by kind.
    pub(crate) fn lines(&self) -> Vec<(String, Vec<String>)> {
        let kinds = self.kinds.iter().map(|(kind, slots)| {
            let every = slots.len() == usize::from(DETAIL_SLOTS);
            let names = slots.iter().filter_map(|slot| slot_name(*kind, *slot)).map(str::to_owned).collect();
            (kind.word().to_owned(), if every { vec![EVERY.to_owned()] } else { names })
        });
        kinds.chain(self.nodes.iter().map(|node| (format!("node {}", node.node), node.show.clone()))).collect()
    }

    /// Returns what is opened of the nodes of a log.
    ///
    /// # Errors
    /// An exception for a node that the log does not have, or with a detail that its kind does not have.
    pub(crate) fn disclose(&self, workspace: &Workspace, output: &Output) -> Result<Disclose, CommandError> {
        let shown = |kind: Kind, slots: &Slots| -> Vec<u8> {
            let hidden = self.hidden.get(&kind);
            slots.iter().copied().filter(|slot| !hidden.is_some_and(|hidden| hidden.contains(slot))).collect()
        };
        let mut nodes: BTreeMap<NodeId, Vec<u8>> = BTreeMap::new();
        for exception in &self.nodes {
            for id in resolve_all(workspace, output, &exception.node)? {
                let kind = workspace.node(&id)?.core.kind;
                let slots = exception.slots(kind).map_err(CommandError::failed)?;
                let slots = shown(kind, &slots);
                // Of several exceptions for one node, only what all of them show is shown.
                nodes.entry(id).and_modify(|known| known.retain(|slot| slots.contains(slot))).or_insert(slots);
            }
        }
        let kinds = self.kinds.iter().map(|(kind, slots)| (*kind, shown(*kind, slots)));
        let chosen = Chosen { kinds: kinds.filter(|(_, slots)| !slots.is_empty()).collect(), nodes };
        Ok(plainly(chosen))
    }
}

impl Exception {
    fn slots(&self, kind: Kind) -> Result<Slots, String> {
        let mut slots = Slots::new();
        for field in &self.show {
            slots.extend(slots_of(kind, field).map_err(|why| format!("{}: {why}", self.node))?);
        }
        Ok(slots)
    }
}

/// Says by one word what one word says: a server that knows no other is asked for it.
fn plainly(chosen: Chosen) -> Disclose {
    let is_all = |kind| chosen.kinds.get(kind).is_some_and(|slots| slots.len() == usize::from(DETAIL_SLOTS));
    let minimal: BTreeMap<Kind, Vec<u8>> =
        slot(Kind::Shipment, "consignee").map(|slot| (Kind::Shipment, vec![slot])).into_iter().collect();
    if chosen.nodes.is_empty() && Kind::ALL.iter().all(is_all) {
        return Disclose::All;
    }
    if chosen.nodes.is_empty() && chosen.kinds == minimal {
        return Disclose::Minimal;
    }
    Disclose::Chosen(chosen)
}

fn read_show(table: &Table<'_>) -> Result<BTreeMap<Kind, Slots>, CommandError> {
    let mut kinds = BTreeMap::new();
    for item in table.items() {
        let kind = kind_of(&item.key).map_err(|why| item.error(why))?;
        kinds.insert(kind, read_slots(&item, kind)?);
    }
    Ok(kinds)
}

fn read_slots(item: &Item<'_>, kind: Kind) -> Result<Slots, CommandError> {
    let mut slots = Slots::new();
    for (field, place) in item.texts()? {
        slots.extend(slots_of(kind, field).map_err(|why| CommandError::failed(format!("{place}: {why}")))?);
    }
    Ok(slots)
}

fn read_exception(table: &Table<'_>) -> Result<Exception, CommandError> {
    table.refuse_unknown(&["id", "show"])?;
    let node = table.need("id")?.text()?.to_owned();
    let show = table.need("show")?;
    for (field, place) in show.texts()? {
        // Which kind the node is, the log will say; a name that no kind has is wrong in any case.
        if !Kind::ALL.iter().any(|kind| slots_of(*kind, field).is_ok()) {
            return Err(CommandError::failed(format!("{place}: no kind of node has a detail {field:?}")));
        }
    }
    let show = show.texts()?.into_iter().map(|(field, _)| field.to_owned()).collect();
    Ok(Exception { node, show })
}

#[cfg(test)]
mod tests {
    use griptrace_verifier::policy;

    use super::*;

    fn read(text: &str) -> Result<Profile, String> {
        Profile::parse(&Source::of("p.toml", text)).map_err(|error| error.lines().join("\n"))
    }

    fn slots(profile: &Profile, kind: Kind) -> Vec<&'static str> {
        profile.kinds.get(&kind).into_iter().flatten().filter_map(|slot| slot_name(kind, *slot)).collect()
    }

    #[test]
    fn the_profiles_that_come_with_the_program_are_read_and_named_alike() {
        for ((name, _), profile) in BUILT_IN.iter().zip(Profile::built_in().unwrap()) {
            assert_eq!(*name, profile.name);
            assert!(!profile.about.is_empty());
        }
        let plain = |named| {
            let kinds = Profile::load(named).unwrap().kinds;
            let slots = |(kind, slots): (Kind, Slots)| (kind, slots.into_iter().collect());
            plainly(Chosen { kinds: kinds.into_iter().map(slots).collect(), nodes: BTreeMap::new() })
        };
        assert_eq!((plain("minimal"), plain("full")), (Disclose::Minimal, Disclose::All));
    }

    #[test]
    fn the_checklist_profile_shows_what_the_checklist_asks_for_and_the_consignee() {
        let text = include_str!("../../policies/annex-iv-2d.toml");
        let mut asked: BTreeMap<Kind, Slots> =
            [(Kind::Shipment, slots_of(Kind::Shipment, "consignee").unwrap())].into();
        for rule in policy::parse("annex-iv-2d.toml", text).unwrap().disclose {
            asked.entry(rule.kind).or_default().extend(rule.slots);
        }
        assert_eq!(Profile::load("annex-iv-2d").unwrap().kinds, asked);
    }

    #[test]
    fn the_example_of_the_document_is_read() {
        let page = include_str!("../../docs/disclosure.md");
        let example = page.split("```toml\n").nth(1).unwrap().split("```").next().unwrap();
        let profile = read(example).unwrap();
        assert_eq!(profile.name, "for-muster");
        assert_eq!(slots(&profile, Kind::Dataset), ["name", "licence", "persons"]);
        assert_eq!(profile.nodes.len(), 2);
        assert_eq!(profile.nodes.first().map(|node| node.show.len()), Some(0));
    }

    #[test]
    fn what_does_not_exist_is_refused_and_what_does_is_named() {
        for (text, expected) in [
            ("about = \"x\"", "\"name\" is missing"),
            ("name = \"x\"\nshows = {}", "did you mean \"show\"?"),
            (
                "name = \"x\"\n[show]\ndatasets = [\"name\"]",
                "p.toml:3:12: datasets: \"datasets\" is no kind of node: they are dataset,",
            ),
            ("name = \"x\"\n[show]\nmodel = [\"name\", \"device\"]", "p.toml:3:18: a model has no detail \"device\""),
            ("name = \"x\"\n[show]\ndataset = [\"license\"]", "did you mean \"licence\"?"),
            ("name = \"x\"\n[show]\ndataset = 3", "expected a text"),
            ("name = \"x\"\n[[node]]\nshow = []", "\"id\" is missing"),
            ("name = \"x\"\n[[node]]\nid = \"a\"", "\"show\" is missing"),
            (
                "name = \"x\"\n[[node]]\nid = \"a\"\nshow = [\"none\"]",
                "p.toml:4:9: no kind of node has a detail \"none\"",
            ),
        ] {
            let said = read(text).unwrap_err();
            assert!(said.contains(expected), "{text}\n{said}");
        }
        for (text, expected) in [
            ("licence", "written KIND.FIELD"),
            ("data.licence", "\"data\" is no kind of node"),
            ("model.device", "It has: name, content"),
        ] {
            assert!(Field::parse(text).unwrap_err().contains(expected), "{text}");
        }
        let said = Profile::load("minimum").unwrap_err().lines().join("\n");
        assert!(said.contains("minimal, annex-iv-2d, full"), "{said}");
    }
}
