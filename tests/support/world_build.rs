//! From the structure to a bundle, as an honest prover would go.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use griptrace_core::{
    assessment::{lay_out_subjects, status_key_of_payload, subjects_root},
    bundle::{Anchor, Bundle, CommitPart, Disclosure, LogPart, ManifestOpening, StatusPart, SubjectOpening},
    cbor::encode,
    checkpoint::Checkpoint,
    commit::{CommitPayload, StatusLine},
    cose::{self, ASSESSMENT_TYPE, COMMIT_TYPE},
    details::{self, Salt, Values, slot},
    digest::{COMMIT_TREE, Digest, SUBJECT_TREE},
    entry::{Entry, StatusHead, genesis_hash},
    id::{GenesisHash, NodeId, StatusKey},
    key_change::key_line,
    manifest::{content_digest, root as manifest_root},
    node::{Core, Edge, Kind, Role, node_id},
    note::{Note, NoteSignature, NoteSigner},
    status_map::StatusMap,
    tree::{Rfc9162, TreeSize, prove_consistency, prove_leaves, root},
    value::Value,
};

use super::{
    AssessSpec, CommitSpec, HeadSpec, Lines, NodeSpec, Step, World, cosigner, key, nowhere, seed, signed_mark,
    world_keys::asked_of_keys,
};

/// A world that was built: the bundle of its root, and what a liar may want to know of it.
pub(crate) struct Built {
    pub(crate) bundle: Bundle,
    /// Genesis hashes by log.
    pub(crate) homes: Vec<GenesisHash>,
    /// Signed payloads of assessments by name.
    pub(crate) payloads: HashMap<String, Vec<u8>>,
    ids: HashMap<String, NodeId>,
    ordinals: HashMap<String, u64>,
    /// Every entry of each log.
    pub(crate) entries: Vec<Vec<Vec<u8>>>,
    /// Core bytes by name.
    pub(crate) cores: HashMap<String, Vec<u8>>,
}

impl Built {
    pub(crate) fn id(&self, name: &str) -> NodeId {
        self.ids.get(name).copied().unwrap_or_else(|| nowhere(name))
    }

    /// Returns the ordinal of a node in the honest bundle.
    pub(crate) fn ordinal(&self, name: &str) -> u64 {
        *self.ordinals.get(name).unwrap_or_else(|| panic!("{name} is not in the bundle"))
    }

    /// Returns the place of a node's commit in the bundle's list, and the node's place there.
    pub(crate) fn part_of(&self, name: &str) -> (usize, usize) {
        let core = &self.cores[name];
        let mut parts = self.bundle.logs[0].commits.iter().enumerate();
        let found = parts.find_map(|(part, commit)| Some((part, commit.cores.iter().position(|c| c == core)?)));
        found.unwrap_or_else(|| panic!("{name} is not in the bundle"))
    }
}

/// A node that was encoded.
struct Made {
    log: usize,
    leaf: u64,
    bytes: Vec<u8>,
    id: NodeId,
    kind: Kind,
    parents: Vec<usize>,
    marks: Option<usize>,
    successor: Option<usize>,
    key: StatusKey,
    signed: bool,
    /// Leaf index and salt of each subject, by its place.
    subjects: Vec<(u64, usize, Salt)>,
    subject_leaves: Vec<Digest>,
    values: Values,
}

/// A log that was written.
struct Written {
    entries: Vec<Vec<u8>>,
    /// The nodes of each commit by leaf index, sorted by id.
    commits: BTreeMap<u64, Vec<usize>>,
    /// The leaf indices of key changes that the bundle shows.
    changes: Vec<u64>,
    /// Anchors: size, note, and what the map holds.
    anchors: Vec<(u64, String, Lines)>,
}

fn index(number: u64) -> usize {
    usize::try_from(number).expect("it is small")
}

fn wide(number: usize) -> u64 {
    u64::try_from(number).expect("it is small")
}

impl World {
    /// Builds everything and proves the root.
    pub(crate) fn build(&self) -> Built {
        let mut payloads = HashMap::new();
        let genesis: Vec<Vec<u8>> = self.logs.iter().map(|log| encode(&log.genesis)).collect();
        let homes: Vec<GenesisHash> = genesis.iter().map(|bytes| genesis_hash(bytes)).collect();
        let places = self.placements();
        let mut made: Vec<Made> = Vec::new();
        let mut known: HashMap<&str, usize> = HashMap::new();
        for (number, spec) in self.nodes.iter().enumerate() {
            let (log, leaf) = places.get(spec.name.as_str()).copied().unwrap_or((0, 0));
            let node = make(spec, number, (log, leaf), &homes, &made, &known, &mut payloads);
            known.insert(&spec.name, number);
            made.push(node);
        }
        let written: Vec<Written> =
            (0..self.logs.len()).map(|log| self.write(log, genesis[log].clone(), homes[log], &made, &known)).collect();
        let (bundle, order) = self.prove(&made, &written);
        let ordinals = order.iter().zip(0..).map(|(node, ordinal)| (self.nodes[*node].name.clone(), ordinal)).collect();
        let ids = self.nodes.iter().zip(&made).map(|(spec, node)| (spec.name.clone(), node.id)).collect();
        let cores = self.nodes.iter().zip(&made).map(|(spec, node)| (spec.name.clone(), node.bytes.clone())).collect();
        let entries = written.into_iter().map(|log| log.entries).collect();
        Built { bundle, homes, payloads, ids, ordinals, entries, cores }
    }

    /// Returns log and leaf of every node.
    fn placements(&self) -> HashMap<&str, (usize, u64)> {
        let mut places = HashMap::new();
        for (number, log) in self.logs.iter().enumerate() {
            for (step, leaf) in log.steps.iter().zip(1..) {
                if let Step::Commit(commit) = step {
                    places.extend(commit.nodes.iter().map(|name| (name.as_str(), (number, leaf))));
                }
            }
        }
        places
    }

    /// Writes a log's entries and signs its checkpoints.
    fn write(
        &self,
        number: usize,
        genesis: Vec<u8>,
        home: GenesisHash,
        made: &[Made],
        known: &HashMap<&str, usize>,
    ) -> Written {
        let mut written =
            Written { entries: vec![genesis], commits: BTreeMap::new(), changes: Vec::new(), anchors: Vec::new() };
        let mut map: Vec<(StatusKey, NodeId)> = Vec::new();
        for step in &self.logs[number].steps {
            let leaf = wide(written.entries.len());
            match step {
                Step::Commit(spec) => {
                    let (payload, nodes) = payload_of(spec, home, made, known);
                    map.extend(payload.statuses.iter().map(|line| (line.key, line.status)));
                    written.entries.push(sign_commit(spec, &payload));
                    written.commits.insert(leaf, nodes);
                }
                Step::Key(spec) => {
                    let entry = spec.entry(home);
                    if let Ok(Entry::KeyChange(signed)) = Entry::parse(&entry) {
                        let line = key_line(&signed.change, &entry);
                        map.push((line.key, line.status));
                    }
                    if !spec.hidden {
                        written.changes.push(leaf);
                    }
                    written.entries.push(entry);
                }
                Step::Head(spec) => {
                    let mut here = map.clone();
                    if let Some(edit) = spec.map_edit {
                        edit(&mut here);
                    }
                    let mut head = StatusHead { index: leaf, map_root: map_of(&here).root(), time: spec.time };
                    if let Some(edit) = spec.head_edit {
                        edit(&mut head);
                    }
                    written.entries.push(head.to_bytes());
                    if spec.anchor {
                        let note = sign_note(spec, &self.logs[number].genesis.origin, &written.entries);
                        written.anchors.push((leaf + 1, note, here));
                    }
                }
            }
        }
        written
    }
}

/// Encodes one node.
fn make(
    spec: &NodeSpec,
    number: usize,
    (log, leaf): (usize, u64),
    homes: &[GenesisHash],
    made: &[Made],
    known: &HashMap<&str, usize>,
    payloads: &mut HashMap<String, Vec<u8>>,
) -> Made {
    let mut core = spec.core.clone();
    core.home = homes[log];
    core.nonce[..8].copy_from_slice(&wide(number).to_be_bytes());
    let values = values_of(spec);
    core.details = details::root(core.kind, &seed(&spec.name), &values);
    let target = |role: Role| {
        let mut links = spec.links.iter().filter(move |link| link.role == role);
        links.next().and_then(|link| known.get(link.to.as_str()).copied())
    };
    core.edges = spec.links.iter().map(|link| edge(link, log, homes, made, known)).collect();
    core.edges.sort_unstable();
    let (mut subjects, mut subject_leaves, mut payload) = (Vec::new(), Vec::new(), None);
    if let Some(assess) = &spec.assess {
        let layout = spec.copies.unwrap_or(&spec.name);
        let signed = sign_assessment(assess, layout, homes[log], made, known, &mut core);
        (subject_leaves, subjects) = (signed.0, signed.1);
        payload = assess.signer.map(|_| signed.2);
    }
    if let (Some(signer), Some(mark), Some(on)) = (spec.marked_by, core.mark, core.date) {
        let key_of = target(Role::Marks).map_or(StatusKey::of_node(nowhere("")), |to| made[to].key);
        core.statement = Some(signed_mark(signer, key_of, mark, &on.to_string(), homes[log]));
    }
    if let Some(edit) = spec.edit {
        edit(&mut core);
    }
    let bytes = spec.bytes_edit.map_or_else(|| encode(&core), |edit| edit(encode(&core)));
    let id = node_id(&bytes);
    let status_key = payload.as_deref().map_or(StatusKey::of_node(id), status_key_of_payload);
    let signed = payload.is_some();
    payloads.extend(payload.map(|payload| (spec.name.clone(), payload)));
    let is_parent = |role| matches!(role, Role::Used | Role::GeneratedBy | Role::Ships);
    let parents = spec.links.iter().filter(|link| is_parent(link.role));
    let parents = parents.filter_map(|link| known.get(link.to.as_str()).copied()).collect();
    let (marks, successor) = (target(Role::Marks), target(Role::Successor));
    Made {
        log,
        leaf,
        bytes,
        id,
        kind: core.kind,
        parents,
        marks,
        successor,
        key: status_key,
        signed,
        subjects,
        subject_leaves,
        values,
    }
}

fn edge(link: &super::Link, log: usize, homes: &[GenesisHash], made: &[Made], known: &HashMap<&str, usize>) -> Edge {
    let target = known.get(link.to.as_str()).map(|place| &made[*place]);
    let foreign = target.filter(|target| target.log != log).map(|target| homes[target.log]);
    Edge { role: link.role, home: link.home.or(foreign), to: target.map_or_else(|| nowhere(&link.to), |t| t.id) }
}

/// The details as they are hashed; files add `manifest` and `content`.
fn values_of(spec: &NodeSpec) -> Values {
    let mut values = spec.values.clone();
    if let [first, rest @ ..] = spec.files.as_slice() {
        let root = manifest_root(&seed(&spec.name), &spec.files).expect("there are files");
        let bytes: u64 = spec.files.iter().map(|file| file.size).sum();
        let number = |number: u64| Value::Int(i64::try_from(number).expect("it is small"));
        let manifest = Value::map(vec![
            ("root".into(), Value::Bytes(root.as_bytes().to_vec())),
            ("files".into(), number(wide(spec.files.len()))),
            ("bytes".into(), number(bytes)),
        ]);
        let content = if rest.is_empty() {
            format!("blake3:{}", first.blake3)
        } else {
            format!("tree:{}", content_digest(&spec.files))
        };
        values.entry("manifest").or_insert(manifest);
        values.entry("content").or_insert(Value::text(content));
    }
    let slot_of = |name| slot(spec.core.kind, name).unwrap_or_else(|| panic!("no slot {name}"));
    values.iter().map(|(name, value)| (slot_of(name), encode(value))).collect()
}

type SignedAssessment = (Vec<Digest>, Vec<(u64, usize, Salt)>, Vec<u8>);

fn sign_assessment(
    assess: &AssessSpec,
    name: &str,
    home: GenesisHash,
    made: &[Made],
    known: &HashMap<&str, usize>,
    core: &mut Core,
) -> SignedAssessment {
    let subjects: Vec<usize> = assess.subjects.iter().filter_map(|name| known.get(name.as_str()).copied()).collect();
    let ids: Vec<NodeId> = subjects.iter().map(|place| made[*place].id).collect();
    let mut counter = 0_u32;
    let random = |bytes: &mut [u8]| {
        counter += 1;
        let drawn = seed(&format!("{name} {counter}"));
        bytes.copy_from_slice(&drawn[..bytes.len()]);
    };
    let (leaves, openings) = lay_out_subjects(&ids, random).expect("there are subjects");
    let mut assessment = assess.assessment.clone();
    assessment.subjects = wide(leaves.len());
    assessment.subjects_root = subjects_root(&leaves).expect("there are subjects");
    let payload = encode(&assessment);
    match assess.signer {
        Some(signer) => {
            let home = assess.home.unwrap_or(home);
            let object = cose::sign(&key(signer), ASSESSMENT_TYPE, signer, &home, payload.clone()).expect("it fits");
            core.statement = Some(assess.edit.map_or_else(|| object.clone(), |edit| edit(object.clone())));
        }
        None => core.stated = Some(payload.clone()),
    }
    let mut opened: Vec<(u64, usize, Salt)> =
        openings.iter().zip(subjects).map(|((salt, leaf), subject)| (*leaf, subject, *salt)).collect();
    opened.sort_unstable();
    (leaves, opened, payload)
}

fn payload_of(
    spec: &CommitSpec,
    home: GenesisHash,
    made: &[Made],
    known: &HashMap<&str, usize>,
) -> (CommitPayload, Vec<usize>) {
    let mut nodes: Vec<usize> = spec.nodes.iter().map(|name| known[name.as_str()]).collect();
    nodes.sort_by_key(|node| made[*node].id);
    let statuses = nodes.iter().filter(|node| made[**node].kind == Kind::Status);
    let line = |node: &usize| {
        let key_of = made[*node].marks.map_or(StatusKey::of_node(nowhere("")), |target| made[target].key);
        StatusLine { key: key_of, status: made[*node].id }
    };
    let mut statuses: Vec<StatusLine> = statuses.map(line).collect();
    statuses.sort_unstable();
    let leaves: Vec<Digest> = nodes.iter().map(|node| *made[*node].id.digest()).collect();
    let root = root(&COMMIT_TREE, &leaves).expect("a commit has nodes");
    let mut payload = CommitPayload { home, root, count: wide(nodes.len()), time: spec.time, statuses };
    if let Some(edit) = spec.payload_edit {
        edit(&mut payload);
    }
    (payload, nodes)
}

fn sign_commit(spec: &CommitSpec, payload: &CommitPayload) -> Vec<u8> {
    let bytes = encode(payload);
    let entry = cose::sign(&key(spec.signer), COMMIT_TYPE, spec.signer, &payload.home, bytes).expect("it fits");
    spec.entry_edit.map_or_else(|| entry.clone(), |edit| edit(entry.clone()))
}

fn map_of(lines: &[(StatusKey, NodeId)]) -> StatusMap {
    let mut map = StatusMap::new();
    for (key_of, status) in lines {
        map.append(key_of.digest(), status.digest());
    }
    map
}

fn sign_note(spec: &HeadSpec, origin: &str, entries: &[Vec<u8>]) -> String {
    let leaves: Vec<Digest> = entries.iter().map(|entry| Rfc9162::leaf_hash(entry)).collect();
    let root = root(&Rfc9162, &leaves).expect("there are entries");
    let checkpoint = Checkpoint::new(origin, wide(entries.len()), root).expect("it can be written");
    let text = spec.text_edit.map_or_else(|| checkpoint.to_text(), |edit| edit(checkpoint.to_text()));
    let log_line =
        |(name, origin): &(&str, String)| NoteSigner::new(origin, &seed(name)).expect("it is a name").sign(&text);
    // Who signs with ML-DSA-44 signs no text that is no checkpoint.
    let cosigned = |(name, time): &(&str, u64)| cosigner(name).sign(&text, *time).ok();
    let mut lines: Vec<NoteSignature> = spec.log_signers.iter().map(log_line).collect();
    lines.extend(spec.cosigners.iter().filter_map(cosigned));
    Note::new(&text, lines).expect("it is a note").to_text()
}

/// The closure under some maps, as places of nodes.
struct Closure {
    members: BTreeSet<usize>,
    statuses: BTreeSet<usize>,
}

impl World {
    /// Walks to the closure; `shipped` gives the anchor of the first log to walk under.
    fn closure(&self, made: &[Made], written: &[Written], shipped: Option<usize>) -> Closure {
        let by_id: HashMap<NodeId, usize> = made.iter().enumerate().map(|(place, node)| (node.id, place)).collect();
        let anchor = |log: usize| match shipped {
            Some(place) if log == 0 => written[log].anchors.get(place),
            _ => written[log].anchors.last(),
        };
        let mut marked: HashMap<StatusKey, Vec<usize>> = HashMap::new();
        let mut opening: HashMap<usize, Vec<usize>> = HashMap::new();
        for (size, _, lines) in (0..written.len()).filter_map(anchor) {
            for (key_of, status) in lines.iter().filter(|_| *size > 0 && !self.hide_statuses) {
                marked.entry(*key_of).or_default().extend(by_id.get(status).copied());
            }
        }
        for (place, node) in made.iter().enumerate() {
            if anchor(node.log).is_some_and(|(size, ..)| node.leaf < *size && node.leaf > 0) {
                node.subjects.iter().for_each(|(_, subject, _)| opening.entry(*subject).or_default().push(place));
            }
        }
        let mut closure = Closure { members: BTreeSet::new(), statuses: BTreeSet::new() };
        let mut todo = vec![self.place(&self.root)];
        while let Some(place) = todo.pop() {
            if !closure.members.insert(place) {
                continue;
            }
            todo.extend(&made[place].parents);
            todo.extend(opening.get(&place).into_iter().flatten());
            for status in marked.get(&made[place].key).into_iter().flatten() {
                closure.statuses.insert(*status);
                todo.extend(made[*status].successor);
                todo.extend(made[*status].marks);
            }
        }
        closure
    }

    /// Puts the bundle together. Returns it with the places of its nodes in order.
    fn prove(&self, made: &[Made], written: &[Written]) -> (Bundle, Vec<usize>) {
        let root = self.place(&self.root);
        let shipped_at = written[0].anchors.iter().position(|(size, ..)| *size > made[root].leaf).unwrap_or(0);
        let newest = self.closure(made, written, None);
        let shipped = self.closure(made, written, Some(shipped_at));
        let mut shown: BTreeSet<usize> = newest.members.union(&newest.statuses).copied().collect();
        shown.extend(self.extra.iter().map(|name| self.place(name)));
        for name in &self.omit {
            shown.remove(&self.place(name));
        }
        let mut order = Vec::new();
        let mut logs = Vec::new();
        for (number, log) in written.iter().enumerate() {
            let statuses = |place: usize| {
                let last = log.anchors.len() - 1;
                let closure = match place {
                    _ if place == last => &newest,
                    _ if number == 0 && place == shipped_at => &shipped,
                    _ => return None,
                };
                Some(self.prove_statuses(number, &log.anchors[place], &closure.members, made))
            };
            let mut part = prove_log(log, &shown, made, statuses, &mut order);
            self.ask_for_keys(&mut part, log, number, &newest.members, made);
            logs.push(part);
        }
        let ordinals: HashMap<usize, u64> = order.iter().zip(0..).map(|(place, ordinal)| (*place, ordinal)).collect();
        let openings = order.iter().filter_map(|place| open_subjects(&made[*place], *place, &ordinals)).collect();
        let disclosures = order.iter().filter_map(|place| self.disclose(*place, &made[*place], &ordinals)).collect();
        let manifests = order.iter().filter(|place| !self.nodes[**place].files.is_empty()).map(|place| {
            let spec = &self.nodes[*place];
            ManifestOpening { node: ordinals[place], seed: seed(&spec.name), files: spec.files.clone() }
        });
        let manifests = manifests.collect();
        let root = ordinals.get(&root).copied().unwrap_or(wide(order.len()));
        (Bundle { root, logs, openings, disclosures, manifests }, order)
    }

    fn prove_statuses(
        &self,
        log: usize,
        (size, _, lines): &(u64, String, Lines),
        members: &BTreeSet<usize>,
        made: &[Made],
    ) -> StatusPart {
        let asked = members.iter().map(|place| &made[*place]);
        let asked = asked.filter(|node| (node.log == log && node.leaf < *size) || node.signed);
        let keys: BTreeSet<StatusKey> = asked.map(|node| node.key).collect();
        let map = map_of(lines);
        let ids = |key_of: &StatusKey| map.statuses(key_of.digest()).iter().map(|id| NodeId::new(*id)).collect();
        let present = keys.iter().map(|key_of| (*key_of, ids(key_of)));
        let present = present.filter(|(_, ids): &(StatusKey, Vec<NodeId>)| !ids.is_empty() && !self.hide_statuses);
        let keys: Vec<Digest> = keys.iter().map(|key_of| *key_of.digest()).collect();
        StatusPart { present: present.collect(), proof: map.prove(&keys).into_bytes() }
    }

    /// Proves the newest statuses once more, with what the map says of the keys that the evidence rests on.
    fn ask_for_keys(&self, part: &mut LogPart, log: &Written, number: usize, members: &BTreeSet<usize>, made: &[Made]) {
        let keys = asked_of_keys(part);
        let Some((anchor, newest)) = part.anchors.last_mut().zip(log.anchors.last()) else { return };
        let asked = members.iter().map(|place| &made[*place]);
        let asked = asked.filter(|node| (node.log == number && node.leaf < newest.0) || node.signed);
        let keys: Vec<Digest> = asked.map(|node| *node.key.digest()).chain(keys).collect();
        if let Some(status) = &mut anchor.status {
            status.proof = map_of(&newest.2).prove(&keys).into_bytes();
        }
    }

    fn disclose(&self, place: usize, node: &Made, ordinals: &HashMap<usize, u64>) -> Option<Disclosure> {
        let spec = &self.nodes[place];
        let mut open = spec.open.clone();
        if !spec.files.is_empty() {
            open.extend(["manifest", "content"]);
        }
        let slots: Vec<u8> = open.iter().filter_map(|name| slot(node.kind, name)).collect();
        let opening = details::open(node.kind, &seed(&spec.name), &node.values, &slots)?;
        Some(Disclosure { node: ordinals[&place], opening })
    }
}

fn prove_log(
    log: &Written,
    shown: &BTreeSet<usize>,
    made: &[Made],
    statuses: impl Fn(usize) -> Option<StatusPart>,
    order: &mut Vec<usize>,
) -> LogPart {
    let leaves: Vec<Digest> = log.entries.iter().map(|entry| Rfc9162::leaf_hash(entry)).collect();
    let newest = index(log.anchors.last().expect("a log has a checkpoint").0);
    let leaves = &leaves[..newest];
    let is_shown = |nodes: &Vec<usize>| nodes.iter().any(|node| shown.contains(node));
    let commits = || log.commits.iter().filter(|(leaf, nodes)| index(**leaf) < newest && is_shown(nodes));
    let mut wanted: BTreeSet<u64> = commits().map(|(leaf, _)| *leaf).collect();
    wanted.insert(0);
    wanted.extend(&log.changes);
    wanted.extend(log.anchors.iter().map(|(size, ..)| size - 1));
    let wanted: Vec<u64> = wanted.into_iter().collect();
    let mut parts = Vec::new();
    for (leaf, nodes) in commits() {
        let ids: Vec<Digest> = nodes.iter().map(|node| *made[*node].id.digest()).collect();
        let places: Vec<usize> = (0..nodes.len()).filter(|place| shown.contains(&nodes[*place])).collect();
        order.extend(places.iter().map(|place| nodes[*place]));
        let cores = places.iter().map(|place| made[nodes[*place]].bytes.clone()).collect();
        let places: Vec<u64> = places.into_iter().map(wide).collect();
        let proof = prove_leaves(&COMMIT_TREE, &ids, &places).expect("the places are in the commit");
        let entry = wide(wanted.binary_search(leaf).expect("it is wanted"));
        parts.push(CommitPart { entry, places, cores, proof });
    }
    let next = |place: usize| log.anchors.get(place + 1).map(|(size, ..)| index(*size));
    let anchors = log.anchors.iter().enumerate().map(|(place, (size, note, _))| {
        let grown = next(place).map(|next| prove_consistency(&Rfc9162, &leaves[..next], TreeSize::new(*size)));
        let consistency = grown.map_or_else(Vec::new, |proof| proof.expect("the log grew"));
        Anchor { note: note.clone(), consistency, status: statuses(place) }
    });
    let entries = wanted.iter().map(|leaf| (*leaf, log.entries[index(*leaf)].clone())).collect();
    let inclusion = prove_leaves(&Rfc9162, leaves, &wanted).expect("the entries are in the log");
    LogPart { entries, inclusion, anchors: anchors.collect(), commits: parts }
}

fn open_subjects(node: &Made, place: usize, ordinals: &HashMap<usize, u64>) -> Option<SubjectOpening> {
    let shown = |(leaf, subject, salt): &(u64, usize, Salt)| Some((*leaf, *ordinals.get(subject)?, *salt));
    let subjects: Vec<(u64, u64, Salt)> = node.subjects.iter().filter_map(shown).collect();
    let indices: Vec<u64> = subjects.iter().map(|(leaf, ..)| *leaf).collect();
    let proof = prove_leaves(&SUBJECT_TREE, &node.subject_leaves, &indices).ok()?;
    Some(SubjectOpening { assessment: ordinals[&place], subjects, proof })
}
