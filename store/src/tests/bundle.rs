use std::collections::BTreeMap;

use griptrace_core::{
    bundle::Bundle,
    checkpoint::Checkpoint,
    commit::Commit,
    date::Date,
    details::slot,
    digest::{COMMIT_TREE, Digest, SUBJECT_TREE},
    entry::Entry,
    id::{NodeId, StatusKey},
    key::{Algorithm, SecretKey},
    node::{Core, Kind, Mark, node_id},
    note::Note,
    status_map::{status_value, verify_status_proof},
    tree::{Rfc9162, TreeSize, root_from_leaves, verify_consistency},
    value::Value,
};

use super::world::{NOW, World, open, reader, values};
use crate::{Chosen, Disclose, Erase, ProveError, ProveOptions};

/// A bundle, every proof in it recomputed.
struct Checked {
    bundle: Bundle,
    nodes: Vec<(NodeId, Core, u64)>,
}

fn check(file: &[u8]) -> Checked {
    let bundle = Bundle::from_bytes(file).unwrap();
    let log = &bundle.logs[0];
    let checkpoint = |note: &str| Checkpoint::parse(Note::parse(note.as_bytes()).unwrap().text()).unwrap();
    let anchors: Vec<Checkpoint> = log.anchors.iter().map(|anchor| checkpoint(&anchor.note)).collect();
    let newest = anchors.last().unwrap();
    let leaves: Vec<(u64, Digest)> = log.entries.iter().map(|(i, bytes)| (*i, Rfc9162::leaf_hash(bytes))).collect();
    assert_eq!(root_from_leaves(&Rfc9162, newest.size, &leaves, &log.inclusion), Ok(newest.root));
    for (at, pair) in anchors.windows(2).enumerate() {
        let (old, new) = (&pair[0], &pair[1]);
        let sizes = (TreeSize::new(old.size), TreeSize::new(new.size));
        let proof = &log.anchors[at].consistency;
        verify_consistency(&Rfc9162, sizes.0, &old.root, sizes.1, &new.root, proof).unwrap();
    }
    let mut nodes = Vec::new();
    for part in &log.commits {
        let (index, bytes) = &log.entries[usize::try_from(part.entry).unwrap()];
        let payload = Commit::parse(bytes).unwrap().payload;
        let ids: Vec<NodeId> = part.cores.iter().map(|core| node_id(core)).collect();
        let leaves: Vec<_> = part.places.iter().copied().zip(ids.iter().map(|id| *id.digest())).collect();
        assert_eq!(root_from_leaves(&COMMIT_TREE, payload.count, &leaves, &part.proof), Ok(payload.root));
        nodes.extend(ids.into_iter().zip(&part.cores).map(|(id, core)| (id, Core::from_bytes(core).unwrap(), *index)));
    }
    for disclosure in &bundle.disclosures {
        let core = &nodes[usize::try_from(disclosure.node).unwrap()].1;
        assert_eq!(disclosure.opening.root(core.kind), Ok(core.details));
    }
    for part in &bundle.manifests {
        let core = &nodes[usize::try_from(part.node).unwrap()].1;
        let opened = bundle.disclosures.iter().filter(|disclosure| disclosure.node == part.node);
        let opened: Vec<u8> = opened.flat_map(|disclosure| &disclosure.opening.slots).map(|(slot, ..)| *slot).collect();
        let named = ["content", "manifest"].map(|name| slot(core.kind, name).unwrap());
        assert!(
            named.iter().all(|slot| opened.contains(slot)),
            "a manifest is opened, but not the details that name it"
        );
    }
    for opening in &bundle.openings {
        let (id, core, _) = &nodes[usize::try_from(opening.assessment).unwrap()];
        let assessment = griptrace_core::assessment::assessed(*id, core).unwrap().assessment;
        let leaf = |(index, subject, salt): &(u64, u64, [u8; 16])| {
            (*index, griptrace_core::assessment::subject_leaf(salt, &nodes[usize::try_from(*subject).unwrap()].0))
        };
        let leaves: Vec<_> = opening.subjects.iter().map(leaf).collect();
        let root = root_from_leaves(&SUBJECT_TREE, assessment.subjects, &leaves, &opening.proof);
        assert_eq!(root, Ok(assessment.subjects_root));
    }
    Checked { bundle, nodes }
}

impl Checked {
    /// Checks the status proof of an anchor over exactly these keys, and returns what it says.
    fn statuses(&self, anchor: usize, keys: &[StatusKey]) -> BTreeMap<StatusKey, Vec<NodeId>> {
        let log = &self.bundle.logs[0];
        let part = log.anchors[anchor].status.as_ref().unwrap();
        let size = Checkpoint::parse(Note::parse(log.anchors[anchor].note.as_bytes()).unwrap().text()).unwrap().size;
        let (_, head) = log.entries.iter().find(|(index, _)| *index == size - 1).unwrap();
        let Ok(Entry::StatusHead(head)) = Entry::parse(head) else { panic!("no status head") };
        let present: BTreeMap<StatusKey, Vec<NodeId>> = part.present.iter().cloned().collect();
        let mut keys: Vec<StatusKey> = keys.to_vec();
        keys.sort();
        let value = |key| {
            let ids: Vec<Digest> = present.get(key)?.iter().map(|id| *id.digest()).collect();
            Some(status_value(&ids))
        };
        let queries: Vec<(Digest, Option<Digest>)> = keys.iter().map(|key| (*key.digest(), value(key))).collect();
        verify_status_proof(&head.map_root, &queries, &part.proof).unwrap();
        present
    }

    fn has(&self, id: &NodeId) -> bool {
        self.nodes.iter().any(|(other, ..)| other == id)
    }
}

#[test]
fn a_bundle_holds_the_closure_and_every_proof_leads_to_its_root() {
    let world = World::new();
    let source = world.add(world.source("camera", "CN"));
    let stranger = world.add(world.source("not used", "CN"));
    let assessment = world.add(world.assessment(&[source, stranger]));
    let derived = world.commit(world.derive("features", &[source], "CN"));
    let model = world.commit(world.train("grasp", &[derived[1]], "DE", &["grasp.onnx", "labels.txt"]));
    let shipment = world.add(world.shipment(&[model[1]], "DE"));
    let shipped_at = world.store.size();
    let newer = world.add(world.source("corrected", "CN"));
    let mark = world.add(world.status(source, Mark::Supersede, Some(newer)));
    let late = world.add(world.assessment(&[source]));
    world.add(world.source("much later", "CN"));

    let file = world.store.prove(&shipment, &ProveOptions::default()).unwrap();
    let checked = check(&file);
    let expected = [source, assessment, derived[0], derived[1], model[0], model[1], shipment, newer, mark, late];
    assert!(expected.iter().all(|id| checked.has(id)));
    assert_eq!(checked.nodes.len(), expected.len(), "and nothing else");
    assert_eq!(checked.nodes[usize::try_from(checked.bundle.root).unwrap()].0, shipment);
    assert!(checked.nodes.is_sorted_by_key(|(id, _, leaf)| (*leaf, *id)));
    // The training in DE of data from CN is a crossing; then the shipment's anchor, that of the key's last commit, and
    // the newest.
    assert_eq!(checked.bundle.logs[0].anchors.len(), 4);
    let key = |id: &NodeId| world.store.status_key(id).unwrap();
    let old: Vec<StatusKey> = expected[..7].iter().map(key).collect();
    assert!(checked.statuses(1, &old).is_empty(), "at shipment nothing was marked");
    let new: Vec<StatusKey> = expected.iter().filter(|id| **id != mark).map(key).collect();
    assert_eq!(checked.statuses(3, &new), [(key(&source), vec![mark])].into());
    assert!(checked.bundle.logs[0].anchors[0].status.is_none());
    assert!(shipped_at < world.store.size());
    let opened: Vec<usize> = checked.bundle.openings.iter().map(|opening| opening.subjects.len()).collect();
    assert_eq!(opened, [1, 1], "the subject that is not in the closure stays hidden");
}

#[test]
fn disclosures_follow_the_options() {
    let world = World::new();
    let source = world.add(world.source("camera", "DE"));
    let model = world.commit(world.train("grasp", &[source], "DE", &["grasp.onnx"]));
    let shipment = world.add(world.shipment(&[model[1]], "DE"));
    let slots = |disclose| {
        let options = ProveOptions { disclose, ..ProveOptions::default() };
        let checked = check(&world.store.prove(&shipment, &options).unwrap());
        let slots = |d: &griptrace_core::bundle::Disclosure| {
            let kind = checked.nodes[usize::try_from(d.node).unwrap()].1.kind;
            (kind, d.opening.slots.iter().map(|(slot, ..)| *slot).collect::<Vec<u8>>())
        };
        assert_eq!(checked.bundle.manifests.len(), 1);
        assert_eq!(checked.bundle.logs[0].anchors.len(), 1, "no crossing, and the newest covers the shipment");
        checked.bundle.disclosures.iter().map(slots).collect::<Vec<_>>()
    };
    let of = |kind, names: &[&str]| (kind, names.iter().map(|name| slot(kind, name).unwrap()).collect::<Vec<u8>>());
    let shipped = of(Kind::Model, &["content", "manifest"]);
    let consignee = of(Kind::Shipment, &["consignee"]);
    assert_eq!(slots(Disclose::Minimal), [shipped.clone(), consignee.clone()]);
    let licence = of(Kind::Dataset, &["licence"]);
    let chosen = |nodes: &[(NodeId, &[&str])]| {
        let nodes = nodes.iter().map(|(id, names)| (*id, of(Kind::Dataset, names).1)).collect();
        Disclose::Chosen(Chosen { kinds: [licence.clone()].into(), nodes })
    };
    assert_eq!(slots(chosen(&[])), [licence.clone(), shipped.clone()]);
    assert_eq!(slots(chosen(&[(source, &["name"])])), [of(Kind::Dataset, &["name"]), shipped.clone()]);
    assert_eq!(slots(chosen(&[(source, &[]), (model[1], &[])])), [shipped], "what ships is opened all the same");
    let all = slots(Disclose::All);
    assert_eq!(all.len(), 4);
    assert!(all.contains(&of(Kind::Model, &["name", "content", "manifest"])));
}

#[test]
fn a_manifest_is_opened_only_with_both_details_that_name_it() {
    for gone in ["content", "manifest"] {
        let world = World::new();
        let set = world.add(world.source("set", "CN"));
        let nodes = world.commit(world.train("grasp", &[set], "CN", &["weights.bin"]));
        let is_model = |id: &&NodeId| world.store.node(id).unwrap().unwrap().core.kind == Kind::Model;
        let model = *nodes.iter().find(is_model).unwrap();
        let shipment = world.add(world.shipment(&[model], "DE"));
        let options = ProveOptions::default();
        assert_eq!(check(&world.store.prove(&shipment, &options).unwrap()).bundle.manifests.len(), 1);
        let date = Date::parse("2026-06-02").unwrap();
        let slots = vec![slot(Kind::Model, gone).unwrap()];
        let values = values(Kind::Erasure, &[("reason", Value::text("a request"))]);
        let erase = Erase { target: model, slots, files: Vec::new(), date, values };
        let key = SecretKey::from_bytes(Algorithm::Ed25519, &[2; 32]).unwrap();
        world.store.erase(erase, &key, "Maker", NOW).unwrap();
        let after = check(&world.store.prove(&shipment, &options).unwrap());
        assert_eq!(after.bundle.manifests, [], "{gone}");
    }
}

#[test]
fn the_same_state_gives_the_same_bytes() {
    let world = World::new();
    let source = world.add(world.source("camera", "CN"));
    let model = world.commit(world.train("grasp", &[source], "DE", &["grasp.onnx"]));
    let shipment = world.add(world.shipment(&[model[1]], "DE"));
    world.add(world.status(source, Mark::Withdraw, None));
    let options = ProveOptions { disclose: Disclose::All, ..ProveOptions::default() };
    let file = world.store.prove(&shipment, &options).unwrap();
    assert_eq!(reader(world.dir.path()).prove(&shipment, &options).unwrap(), file);
    let World { dir, store, .. } = world;
    drop(store);
    std::fs::remove_dir_all(dir.path().join("tile")).unwrap();
    assert_eq!(open(dir.path()).prove(&shipment, &options).unwrap(), file);
}

#[test]
fn one_signed_assessment_that_was_recorded_twice_opens_alike() {
    // A status marks one record of it, and stands under the key of both: the bundle needs both.
    let world = World::new();
    let source = world.add(world.source("camera", "CN"));
    let assessment = world.assessment(&[source]);
    let first = world.add(assessment.clone());
    let mut core = assessment.core().unwrap();
    core.nonce = [7; 16];
    let bare = super::world::build(core, assessment.values, None, None);
    let second = world.add(bare);
    let model = world.commit(world.train("grasp", &[source], "CN", &["g"]));
    let shipment = world.add(world.shipment(&[model[1]], "DE"));
    let mark = world.add(world.status(second, Mark::Withdraw, None));
    let checked = check(&world.store.prove(&shipment, &ProveOptions::default()).unwrap());
    assert!([first, second, mark].iter().all(|id| checked.has(id)));
    assert_eq!(checked.bundle.openings.len(), 2);
}

#[test]
fn only_shipments_and_models_are_proven() {
    let world = World::new();
    let source = world.add(world.source("camera", "CN"));
    let refused = world.store.prove(&source, &ProveOptions::default());
    assert!(matches!(refused, Err(ProveError::RootKind { kind: Kind::Dataset, .. })));
    let model = world.add(world.model("taken over", "DE", &["m"]));
    let checked = check(&world.store.prove(&model, &ProveOptions::default()).unwrap());
    assert_eq!((checked.nodes.len(), checked.bundle.manifests.len()), (1, 1));
}

#[test]
fn growth_is_shown_since_any_size_that_was_signed() {
    let world = World::new();
    let source = world.add(world.source("camera", "CN"));
    let seen = world.store.size();
    let model = world.commit(world.train("grasp", &[source], "CN", &["grasp.onnx"]));
    let shipment = world.add(world.shipment(&[model[1]], "DE"));
    let shipped = world.store.size();
    world.add(world.status(source, Mark::Withdraw, None));
    let sizes = |since: &[u64]| {
        let options = ProveOptions { since: since.to_vec(), ..ProveOptions::default() };
        let checked = check(&world.store.prove(&shipment, &options)?);
        let notes = checked.bundle.logs[0].anchors.iter().map(|anchor| Note::parse(anchor.note.as_bytes()).unwrap());
        let sizes = notes.map(|note| Checkpoint::parse(note.text()).unwrap().size).collect::<Vec<u64>>();
        Ok::<_, ProveError>(sizes)
    };
    let newest = world.store.size();
    let plain = sizes(&[]).unwrap();
    assert!(!plain.contains(&seen) && plain.contains(&newest), "{plain:?}");
    let since = sizes(&[seen, newest, seen]).unwrap();
    assert_eq!(since, [&[seen], plain.as_slice()].concat());
    for size in [0, seen - 1, newest + 1] {
        assert!(matches!(sizes(&[size]), Err(ProveError::NoCheckpoint { size: found }) if found == size), "{size}");
    }
    let early = ProveOptions { at: Some(shipped), since: vec![newest], ..ProveOptions::default() };
    assert!(matches!(world.store.prove(&shipment, &early), Err(ProveError::NoCheckpoint { .. })));
}

/// The figure at full size is that of `benches`, topic `update-size`.
#[test]
fn an_update_takes_a_fraction_of_the_bundle() {
    let world = World::new();
    let mut data = world.add(world.source("camera", "CN"));
    for step in 0..49 {
        data = world.commit(world.derive(&format!("step-{step}"), &[data], "CN"))[1];
    }
    let model = world.commit(world.train("grasp", &[data], "DE", &["grasp.onnx"]));
    let shipment = world.add(world.shipment(&[model[1]], "DE"));
    let mark = |count: usize| {
        let others: Vec<NodeId> = (0..count).map(|n| world.add(world.source(&format!("other-{n}"), "CN"))).collect();
        for other in others {
            world.add(world.status(other, Mark::Withdraw, None));
        }
    };
    mark(200);
    let base = world.store.prove(&shipment, &ProveOptions::default()).unwrap();
    let since = vec![world.store.size()];
    mark(20);
    world.add(world.status(data, Mark::Recall, None));
    let newer = world.store.prove(&shipment, &ProveOptions { since, ..ProveOptions::default() }).unwrap();
    assert!(check(&newer).nodes.len() > 100);
    let patch = griptrace_core::update::Patch::between(&base, &newer);
    assert_eq!(patch.apply(&base).unwrap(), newer);
    let update = griptrace_core::update::Update { patch: Some(patch), withdrawals: Vec::new() }.to_bytes();
    assert!(update.len() < 32 * 1024 && update.len() < newer.len() / 3, "{} of {}", update.len(), newer.len());
}

/// Whoever believes a key up to a day only has to see a checkpoint of before that, also where nothing crosses a border.
#[test]
fn what_each_key_signed_is_dated_soon_after() {
    let world = World::new();
    let clerk = SecretKey::from_bytes(Algorithm::Ed25519, &[21; 32]).unwrap();
    let by_clerk = |name: &str| {
        let receipt = world.store.commit(vec![world.source(name, "DE")], &clerk, "Clerk", NOW).unwrap();
        (receipt.ids[0], receipt.size)
    };
    let ((first, early), (second, late)) = (by_clerk("first"), by_clerk("second"));
    let trained = world.train("model", &[first, second], "DE", &["model.bin"]);
    let model = trained[1].id();
    world.commit(trained);
    let shipment = world.add(world.shipment(&[model], "DE"));
    world.add(world.source("later", "DE"));
    let bundle = check(&world.store.prove(&shipment, &ProveOptions::default()).unwrap()).bundle;
    let sizes: Vec<u64> =
        bundle.logs[0].anchors.iter().map(|anchor| anchor.note.lines().nth(1).unwrap().parse().unwrap()).collect();
    assert!(sizes.contains(&late), "{sizes:?}");
    assert!(!sizes.contains(&early), "{sizes:?}: one of each key is enough");
}

/// A later bundle of another company, which shipped on in between, is judged by when the assessment was there.
#[test]
fn what_was_assessed_after_the_shipment_is_dated_soon_after() {
    let world = World::new();
    let source = world.add(world.source("camera", "DE"));
    let trained = world.train("model", &[source], "DE", &["model.bin"]);
    let model = trained[1].id();
    world.commit(trained);
    let shipment = world.add(world.shipment(&[model], "DE"));
    world.add(world.assessment(&[source]));
    let assessed_at = world.store.size();
    world.add(world.status(source, Mark::Withdraw, None));
    world.add(world.source("later", "DE"));
    let bundle = check(&world.store.prove(&shipment, &ProveOptions::default()).unwrap()).bundle;
    let size = |note: &str| note.lines().nth(1).unwrap().parse::<u64>().unwrap();
    assert!(bundle.logs[0].anchors.iter().any(|anchor| size(&anchor.note) == assessed_at));
}

super::world::in_a_bucket_too! {
    a_bundle_holds_the_closure_and_every_proof_leads_to_its_root,
    disclosures_follow_the_options,
    one_signed_assessment_that_was_recorded_twice_opens_alike,
    only_shipments_and_models_are_proven,
    growth_is_shown_since_any_size_that_was_signed,
    an_update_takes_a_fraction_of_the_bundle,
    what_each_key_signed_is_dated_soon_after,
    what_was_assessed_after_the_shipment_is_dated_soon_after,
}
