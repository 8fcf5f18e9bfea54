//! `griptrace fleet adopt` and `griptrace fleet refresh`.

use core::time::Duration;
use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
    thread,
};

use griptrace_core::{
    bundle::BundleView,
    checkpoint::Checkpoint,
    id::NodeId,
    node::Kind,
    note::Note,
    word::{Country, Word},
};
use griptrace_service::check::{self, blocking, verdict, without_those_of_a_pre_check};
use griptrace_store::{ForeignNode, Store, StoredNode};
use griptrace_verifier::{
    known::Known, policy::Policy, render::causes, report::Report, trust::Trust, verify::holds_together,
};
use griptrace_witness::fetch::Fetcher;

use crate::{
    arguments::{country, word},
    clock,
    commands::{
        adopt::{Evidence, refuse, take_over},
        check::{judge, load_trust},
        policy::load,
        prove::bundle,
    },
    context::{Answer, Context},
    error::CommandError,
    fleet::{
        Fleet, Plant,
        across::Across,
        contact::{one_line, runtime, sync},
    },
    log_source::Log,
    profile::Profile,
    recording::lineage::check_name,
    view::{headline, short},
    workspace::{Workspace, name},
};

/// How long a plant may take to publish what it has signed.
const PUBLISHED_AFTER: Duration = Duration::from_millis(1_500);

/// What is asked of the plants' evidence
#[derive(Debug, clap::Args)]
pub(super) struct Asked {
    /// Whom it is believed by [default: as fleet.toml says]
    #[arg(long, value_name = "FILE")]
    trust: Option<PathBuf>,
    /// What is asked of it [default: as fleet.toml says]
    #[arg(long, value_name = "FILE")]
    policy: Option<PathBuf>,
    /// Where you are [default: the trust file's]
    #[arg(long, value_parser = country)]
    destination: Option<Country>,
    /// What you use it for (can be repeated)
    #[arg(long, value_parser = word)]
    purpose: Vec<Word>,
}

/// A node of a plant, to be used here
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The data set or model: as elsewhere an id, a name or a file
    node: String,
    /// The plant whose node is meant, where several have one of this name
    #[arg(long, value_name = "NAME")]
    plant: Option<String>,
    /// What it is called here [default: as the plant calls it]
    #[arg(long = "as", value_name = "NAME")]
    called: Option<String>,
    /// Adopt it although something blocks, if this is the verdict; BROKEN only if its evidence holds together
    #[arg(long, value_name = "VERDICT")]
    accept: Option<String>,
    /// Which details the plant opens: what you may show to your buyers
    #[arg(long, default_value = "minimal", value_name = "NAME|FILE")]
    profile: String,
    #[command(flatten)]
    asked: Asked,
}

/// By whom evidence is believed, and what is asked of it.
struct Judge<'a> {
    trust: Trust,
    trust_file: PathBuf,
    policy: Policy,
    asked: &'a Asked,
}

impl<'a> Judge<'a> {
    fn of(fleet: &Fleet, asked: &'a Asked) -> Result<Self, CommandError> {
        let file = |named: &Option<PathBuf>, of_fleet: &Option<PathBuf>, what: &str| {
            named.clone().or_else(|| of_fleet.clone()).ok_or_else(|| {
                CommandError::failed(format!("nothing says by which {what} file evidence is judged"))
                    .with_hint(format!("add `{what} = \"FILE\"` to {}, or --{what} FILE", fleet.file.display()))
            })
        };
        let trust_file = file(&asked.trust, &fleet.trust, "trust")?;
        let policy = load(&file(&asked.policy, &fleet.policy, "policy")?)?;
        Ok(Self { trust: load_trust(&trust_file)?, trust_file, policy, asked })
    }

    /// Judges evidence as a buyer would, without a file in hand.
    fn judge(&self, bytes: &[u8]) -> Result<Report, CommandError> {
        let asked = check::Asked {
            destination: self.asked.destination,
            date: clock::today(),
            purposes: self.asked.purpose.clone(),
        };
        judge(bytes, &self.trust, &self.policy, &asked)
    }
}

pub(super) fn run(context: &Context, fleet: &Fleet, args: &Args) -> Result<Answer, CommandError> {
    args.called.as_deref().map_or(Ok(()), check_name).map_err(CommandError::failed)?;
    let judge = Judge::of(fleet, &args.asked)?;
    let own = context.workspace_for_recording()?;
    let store = own_store(&own)?;
    let across = Across::open(fleet, &context.output);
    let at = across.find(&context.output, &args.node, args.plant.as_deref())?;
    let (plant, site) = (fleet.plant(across.name(at.plant))?, across.workspace(at.plant)?);
    let node = site.node(&at.id)?;
    if !matches!(node.core.kind, Kind::Dataset | Kind::Model) {
        return Err(CommandError::failed(format!("{} is no data set and no model", headline(&node)))
            .with_hint("a step uses data sets and models: of a shipment, adopt the model that it ships"));
    }
    if site.home() == store.home() {
        return Err(CommandError::failed(format!("{} is of this log itself", headline(&node)))
            .with_hint("a step here uses it by its name"));
    }
    // All of a log in one bundle comes from one adopted bundle: so what is here of this plant should be in it too.
    let mut needed: BTreeSet<NodeId> =
        store.foreign_nodes()?.iter().filter(|n| n.home == site.home()).map(|n| n.id).collect();
    needed.insert(at.id);
    let root = root_of(context, (plant, site), &needed, &node)?;
    let bytes = prove(context, plant, site, &root, &args.profile)?;
    let report = judge.judge(&bytes)?;
    causes(&without_those_of_a_pre_check(&report)).iter().for_each(|line| context.output.warn(line));
    let file = format!("the evidence of plant {}", plant.name);
    let met = (blocking(&report).is_empty(), verdict(&report));
    refuse(&report, met, args.accept.as_deref(), &file, || {
        Ok(holds_together(&bytes, &judge.trust, &Known::default()))
    })?;
    let called = args.called.clone().or_else(|| name(&node));
    let evidence = Evidence { bytes: &bytes, report: &report, file: &file, trust: &judge.trust_file };
    take_over(context, &own, &evidence, &at.id, called.as_deref())?;
    Ok(Answer::YES)
}

/// Returns the store that adopts: a server's is its operator's.
fn own_store(own: &Workspace) -> Result<&Store, CommandError> {
    match &own.store {
        Log::Local(store) => Ok(store),
        Log::Remote(_) => Err(CommandError::failed("the log is on a server, which adopts nothing for others")
            .with_hint("whoever runs the server adopts it in its folder: griptrace --store DIR fleet adopt")),
    }
}

/// Finds what is to be proven: what has all that is needed of the plant, or else this node alone, which is said.
fn root_of(
    context: &Context,
    (plant, site): (&Plant, &Workspace),
    needed: &BTreeSet<NodeId>,
    node: &StoredNode,
) -> Result<NodeId, CommandError> {
    if let Some(root) = root_for(site, needed)? {
        return Ok(root);
    }
    let (name, title) = (&plant.name, headline(node));
    let root = root_for(site, &BTreeSet::from([node.id]))?.ok_or_else(|| nothing_to_prove(plant, &title))?;
    context.output.warn(format_args!(
        "no shipment of plant {name} covers all that is used here of it: a bundle that needs {title} and others of it \
         can't be made; have the plant ship them together, and adopt again"
    ));
    Ok(root)
}

fn nothing_to_prove(plant: &Plant, title: &str) -> CommandError {
    CommandError::failed(format!("no model and no shipment of plant {} stands on {title}", plant.name)).with_hint(
        "evidence is made for a model or a shipment: have the plant record the model that it makes of it; one that only \
         hands data sets over records what it fits to all of them, as docs/fleet.md shows",
    )
}

/// Finds the newest model or shipment whose ancestry has all of these; one that is put aside only if there is no other.
fn root_for(site: &Workspace, needed: &BTreeSet<NodeId>) -> Result<Option<NodeId>, CommandError> {
    let mut roots: Option<BTreeSet<NodeId>> = None;
    for id in needed {
        if needed.len() == 1 && site.node(id)?.core.kind == Kind::Model {
            return Ok(Some(*id));
        }
        let found = site.store.descendants(id).map_err(|e| e.while_doing("cannot walk the descendants"))?;
        let mut on_it: BTreeSet<NodeId> =
            found.iter().filter(|f| matches!(f.kind, Kind::Model | Kind::Shipment)).map(|f| f.id).collect();
        if site.node(id)?.core.kind == Kind::Model {
            on_it.insert(*id);
        }
        roots = Some(match roots {
            Some(roots) => roots.intersection(&on_it).copied().collect(),
            None => on_it,
        });
    }
    let mut best: Option<((bool, u64), NodeId)> = None;
    for id in roots.unwrap_or_default() {
        let node = site.node(&id)?;
        let rank = (!site.is_aside(&node)?, node.index);
        if best.is_none_or(|(known, _)| known < rank) {
            best = Some((rank, id));
        }
    }
    Ok(best.map(|(_, id)| id))
}

/// Has a plant prove a node, and holds the checkpoint of that against what it publishes to everybody.
fn prove(
    context: &Context,
    plant: &Plant,
    site: &Workspace,
    root: &NodeId,
    profile: &str,
) -> Result<Vec<u8>, CommandError> {
    let disclose = Profile::load(profile)?.disclose(site, &context.output)?;
    let bytes = bundle(site, root, &disclose, &[])?;
    let wrong =
        |e: &dyn core::error::Error| CommandError::failed(format!("cannot read what plant {} proves: {e}", plant.name));
    let shown = BundleView::view(&bytes).map_err(|e| wrong(&e))?;
    let newest = shown.logs.first().and_then(|log| log.anchors.last());
    let newest = newest.ok_or_else(|| CommandError::failed("the evidence has no checkpoint"))?;
    let note = Note::parse(newest.note.as_bytes()).map_err(|e| wrong(&e))?;
    let checkpoint = Checkpoint::parse(note.text()).map_err(|e| wrong(&e))?;
    hold_against(plant, &checkpoint)?;
    Ok(bytes)
}

/// Refuses a checkpoint of another history than the one that the plant publishes.
fn hold_against(plant: &Plant, checkpoint: &Checkpoint) -> Result<(), CommandError> {
    let fetcher = Fetcher::new().map_err(|e| CommandError::because("cannot use TLS", e))?;
    let runtime = runtime()?;
    let failed = |text: String| CommandError::failed(format!("plant {}: {text}", plant.name));
    for is_last in [false, true] {
        runtime.block_on(sync(plant.clone(), fetcher.clone())).map_err(|trouble| failed(trouble.text))?;
        let root = runtime.block_on(plant.mirror().root_at(checkpoint.size)).map_err(|e| failed(one_line(&e)))?;
        match root {
            Some(root) if root == checkpoint.root => return Ok(()),
            Some(root) => {
                let (size, shown) = (checkpoint.size, checkpoint.root);
                return Err(failed(format!("it proves under the root {shown} at size {size}, and publishes {root}"))
                    .with_hint("its log has two histories: believe nothing of it until its operator has told why"));
            }
            // What is signed is published a little later.
            None if !is_last => thread::sleep(PUBLISHED_AFTER),
            None => {}
        }
    }
    Err(failed(format!("it proves under a checkpoint of {} entries, which it has not published", checkpoint.size))
        .with_hint("ask again later"))
}

/// What is here of a plant's log.
#[derive(Default)]
struct Here {
    /// The size of its newest checkpoint here.
    size: u64,
    /// The data sets and models, as each adopted bundle has them.
    lists: BTreeSet<BTreeSet<NodeId>>,
}

pub(super) fn refresh(context: &Context, fleet: &Fleet, asked: &Asked) -> Result<Answer, CommandError> {
    let judge = Judge::of(fleet, asked)?;
    let own = context.workspace_for_recording()?;
    let store = own_store(&own)?;
    let across = Across::open(fleet, &context.output);
    let mut answer = Answer::YES;
    for (number, here) in what_is_here(store, &across)? {
        let plant = fleet.plant(across.name(number))?;
        let refreshed = across
            .workspace(number)
            .and_then(|site| refresh_plant(context, (&own, store), (plant, site), &here, &judge));
        match refreshed {
            Ok(is_met) if is_met || answer.0 > 0 => {}
            Ok(_) => answer = Answer::NO,
            Err(error) => {
                context.output.warn(format_args!("plant {}: its evidence stays as it is", plant.name));
                error.lines().iter().for_each(|line| context.output.talk(line));
                answer = Answer::COULD_NOT;
            }
        }
    }
    Ok(answer)
}

/// Returns what adopted bundles have of each plant's log, also by way of another plant.
fn what_is_here(store: &Store, across: &Across<'_>) -> Result<BTreeMap<usize, Here>, CommandError> {
    let mut plants: BTreeMap<usize, Here> = BTreeMap::new();
    for log in store.adopted()?.into_iter().flat_map(|bundle| bundle.logs).filter(|log| log.home != store.home()) {
        let Some(number) = across.plant_of(&log.home) else { continue };
        let here = plants.entry(number).or_default();
        here.size = here.size.max(log.size);
        here.lists.insert(log.nodes.into_iter().collect());
    }
    Ok(plants)
}

/// Has a plant prove again what is here of it, if its log has grown. Tells whether nothing blocks.
fn refresh_plant(
    context: &Context,
    (own, store): (&Workspace, &Store),
    (plant, site): (&Plant, &Workspace),
    here: &Here,
    judge: &Judge<'_>,
) -> Result<bool, CommandError> {
    if site.store.size() <= here.size {
        context.output.talk(format_args!("plant {}: nothing new since {} entries", plant.name, here.size));
        return Ok(true);
    }
    let mut is_met = true;
    for (needed, root) in roots_of(plant, site, here)? {
        let bytes = prove(context, plant, site, &root, "minimal")?;
        let report = judge.judge(&bytes)?;
        // Bad news is what this is for: only what proves nothing is not taken over.
        holds_together(&bytes, &judge.trust, &Known::default()).map_err(|finding| {
            CommandError::failed(format!("its evidence does not hold together ({}): {}", finding.code, finding.text))
        })?;
        let blocking = blocking(&report);
        for finding in &blocking {
            let title = |id| site.node(&id).map_or_else(|_| short(&id), |node| headline(&node));
            let place = finding.node.map_or_else(String::new, |id| format!("{}: ", title(id)));
            let (name, code, text) = (&plant.name, finding.code, &finding.text);
            context.output.warn(format_args!("plant {name}: {code}: {place}{text}"));
        }
        is_met &= blocking.is_empty();
        let file = format!("the evidence of plant {}", plant.name);
        let evidence = Evidence { bytes: &bytes, report: &report, file: &file, trust: &judge.trust_file };
        let known: Vec<ForeignNode> =
            store.foreign_nodes()?.into_iter().filter(|node| needed.contains(&node.id)).collect();
        let Some(node) = known.first() else {
            let id = needed.iter().next().copied().unwrap_or(root);
            take_over(context, own, &evidence, &id, Some(&called(plant, site, &id)?))?;
            continue;
        };
        // The bundle is kept once; every name goes on meaning what it meant.
        take_over(context, own, &evidence, &node.id, Some(&node.name))?;
    }
    Ok(is_met)
}

/// Returns what is to be proven: one root for all that is here, or else one for what each bundle has.
fn roots_of(plant: &Plant, site: &Workspace, here: &Here) -> Result<Vec<(BTreeSet<NodeId>, NodeId)>, CommandError> {
    let mut lists = BTreeSet::new();
    for list in &here.lists {
        let mut things = BTreeSet::new();
        for id in list {
            if matches!(site.node(id)?.core.kind, Kind::Dataset | Kind::Model) {
                things.insert(*id);
            }
        }
        lists.insert(things);
    }
    let all: BTreeSet<NodeId> = lists.iter().flatten().copied().collect();
    if let Some(root) = root_for(site, &all)? {
        return Ok(vec![(all, root)]);
    }
    let root = |list: BTreeSet<NodeId>| {
        let root = root_for(site, &list)?.ok_or_else(|| nothing_to_prove(plant, "all that a bundle here has of it"))?;
        Ok((list, root))
    };
    lists.into_iter().map(root).collect()
}

/// Returns what a node is called that came by way of another plant: a name that no step here meant yet.
fn called(plant: &Plant, site: &Workspace, id: &NodeId) -> Result<String, CommandError> {
    let name = name(&site.node(id)?).unwrap_or_else(|| short(id));
    Ok(format!("{}/{name}", plant.name))
}

/// Warns where the evidence in a bundle is older than what was seen of the plant.
pub(crate) fn warn_of_older(context: &Context, fleet: &Fleet, bytes: &[u8]) -> Result<(), CommandError> {
    let bundle = BundleView::view(bytes).map_err(|e| CommandError::because("cannot read the bundle", e))?;
    for log in bundle.logs.iter().skip(1) {
        let newest = log.anchors.last().and_then(|anchor| Note::parse(anchor.note.as_bytes()).ok());
        let Some(here) = newest.and_then(|note| Checkpoint::parse(note.text()).ok()) else { continue };
        let Some(plant) = fleet.plants.iter().find(|plant| plant.origin() == here.origin) else { continue };
        let seen = plant
            .mirror()
            .seen()
            .map_err(|e| CommandError::failed(format!("plant {}: {}", plant.name, one_line(&e))))?;
        if let Some(seen) = seen.map(|seen| seen.checkpoint.size).filter(|seen| *seen > here.size) {
            context.output.warn(format_args!(
                "the evidence of plant {} is of {} entries, and {seen} were seen since: `griptrace fleet refresh` brings what is new",
                plant.name, here.size
            ));
        }
    }
    Ok(())
}
