//! What a node has to be before it is signed for.

use std::collections::{BTreeMap, HashSet};

use griptrace_core::{
    assessment::{Assessed, AssessorMark, assessed, subjects_root},
    cbor::decode,
    commit::StatusLine,
    cose::{MARK_TYPE, Signed},
    details::{read_value, slot},
    digest::Digest,
    id::{NodeId, StatusKey},
    limits::STATUSES_PER_KEY_MAX,
    manifest::{check_files, content_digest},
    node::{Core, Edge, Kind, Role},
    value::Value,
};

use crate::{
    catalogue::Catalogue,
    collision::{find_collision, shown},
    error::{CommitError, Refusal},
    number::wide,
    objects::Objects,
    parallel::on_all_processors,
    placed::Number,
    reading::SegmentReader,
    record::{ManifestRecord, NodeRecord, Secret, SubjectsRecord, total_bytes},
};

struct Candidate<'r> {
    record: &'r NodeRecord,
    core: Core,
    assessed: Option<Assessed>,
    /// The nodes of the log that its local edges lead to.
    old: Vec<Option<Number>>,
    /// Whether something of it was erased already.
    is_left: bool,
}

struct Checker<'a> {
    catalogue: &'a Catalogue,
    objects: &'a Objects,
    candidates: BTreeMap<NodeId, Candidate<'a>>,
}

/// Checks nodes strictly, one by one on all processors and as a set, and returns the public lines of
/// the statuses among them.
pub(crate) fn validate(
    catalogue: &Catalogue,
    objects: &Objects,
    nodes: &[(NodeId, NodeRecord)],
) -> Result<Vec<StatusLine>, CommitError> {
    validate_left(catalogue, objects, nodes, &HashSet::new())
}

/// Does the same where something of some nodes was erased already: of those only the core is looked at, and what leads from it.
pub(crate) fn validate_left(
    catalogue: &Catalogue,
    objects: &Objects,
    nodes: &[(NodeId, NodeRecord)],
    left: &HashSet<NodeId>,
) -> Result<Vec<StatusLine>, CommitError> {
    let refused = |id: NodeId| move |why| CommitError::Refused { id, why };
    let examine_one = |id, record| examine(catalogue, id, record, left.contains(&id));
    let mut examined = on_all_processors(nodes, |(id, record)| examine_one(*id, record).map_err(refused(*id)));
    // That a node is there already is said last: a commit that is sent again is answered as the one that is there only
    // if its records, too, are whole.
    let is_recorded = |error: &CommitError| matches!(error, CommitError::Refused { why: Refusal::Recorded, .. });
    if let Some(place) = examined.iter().position(|found| found.as_ref().is_err_and(|error| !is_recorded(error))) {
        examined.swap(0, place);
    }
    let mut candidates = BTreeMap::new();
    for ((id, _), candidate) in nodes.iter().zip(examined) {
        if candidates.insert(*id, candidate?).is_some() {
            return Err(refused(*id)(Refusal::Recorded));
        }
    }
    let checker = Checker { catalogue, objects, candidates };
    let mut lines = Vec::new();
    for (id, candidate) in &checker.candidates {
        lines.extend(checker.check(*id, candidate)?);
    }
    checker.check_counts(&lines)?;
    Ok(lines)
}

/// Checks what can be checked of a node without the others in its commit.
fn examine<'r>(
    catalogue: &Catalogue,
    id: NodeId,
    record: &'r NodeRecord,
    is_left: bool,
) -> Result<Candidate<'r>, Refusal> {
    let mut candidate = if is_left { read_core(id, record) } else { read(id, record) }?;
    candidate.is_left = is_left;
    let core = &candidate.core;
    if core.home != catalogue.home {
        return Err(Refusal::Home { expected: catalogue.home, found: core.home });
    }
    if !is_left {
        check_whole(record)?;
        check_manifest(core, record)?;
        check_subjects(&candidate)?;
    }
    let signed = candidate.assessed.as_ref().and_then(|assessed| assessed.signed.as_ref());
    if let Some(signed) = signed.filter(|signed| signed.home != core.home) {
        return Err(Refusal::Home { expected: core.home, found: signed.home });
    }
    if catalogue.number(&id).is_some() {
        return Err(Refusal::Recorded);
    }
    candidate.old = local_edges(core).map(|edge| catalogue.number(&edge.to)).collect();
    Ok(candidate)
}

fn local_edges(core: &Core) -> impl Iterator<Item = &Edge> {
    core.edges.iter().filter(|edge| edge.home.is_none())
}

/// Refuses a new node of which something was erased: nothing of what is not in the log yet can have been.
fn check_whole(record: &NodeRecord) -> Result<(), Refusal> {
    let is_kept = |secret: &Secret| matches!(secret, Secret::Kept(_));
    if is_kept(&record.secret) || record.manifest.as_ref().is_some_and(|manifest| is_kept(&manifest.secret)) {
        return Err(Refusal::Remains { why: "a new node comes whole, with the seed of its salts".to_owned() });
    }
    Ok(())
}

/// Checks what can be checked of a record alone, as a commit checks it, but for that something of it may have been erased.
pub(crate) fn check_alone(record: &NodeRecord) -> Result<(), Refusal> {
    let candidate = read(record.id(), record)?;
    check_manifest(&candidate.core, record)?;
    check_subjects(&candidate)
}

/// Reads what is inside a record.
fn read(id: NodeId, record: &NodeRecord) -> Result<Candidate<'_>, Refusal> {
    let candidate = read_core(id, record)?;
    for value in record.values.values() {
        read_value(value).map_err(|source| Refusal::Decode { what: "a detail is refused", source })?;
    }
    let core = &candidate.core;
    let computed = record.secret.root(core.kind, &record.values).unwrap_or(Digest::ZERO);
    if computed != core.details {
        return Err(Refusal::Details { stated: core.details, computed });
    }
    Ok(candidate)
}

/// Reads what is inside a core.
fn read_core(id: NodeId, record: &NodeRecord) -> Result<Candidate<'_>, Refusal> {
    let core = Core::from_bytes(&record.core);
    let core = core.map_err(|source| Refusal::Decode { what: "its core is refused", source })?;
    let is_assessment = core.kind == Kind::Assessment;
    let statement = |why: String| Refusal::Statement { why };
    let assessed = if is_assessment { Some(assessed(id, &core).map_err(|e| statement(e.to_string()))?) } else { None };
    Ok(Candidate { record, core, assessed, old: Vec::new(), is_left: false })
}

impl Checker<'_> {
    /// Checks one node among the others, and returns the public line of a status.
    fn check(&self, id: NodeId, candidate: &Candidate<'_>) -> Result<Option<StatusLine>, CommitError> {
        let refused = |why| CommitError::Refused { id, why };
        let core = &candidate.core;
        self.check_edges(candidate).map_err(refused)?;
        match core.kind {
            Kind::Shipment => self.check_shipment(id, core)?,
            Kind::Status => return self.check_status(id, core).map(Some).map_err(refused),
            Kind::Erasure => self.check_erasure(id, candidate)?,
            Kind::Dataset | Kind::Transformation | Kind::Model | Kind::Assessment => {}
        }
        Ok(None)
    }

    fn check_edges(&self, candidate: &Candidate<'_>) -> Result<(), Refusal> {
        let core = &candidate.core;
        for (edge, old) in local_edges(core).zip(&candidate.old) {
            let fresh = self.candidates.get(&edge.to);
            let kind = fresh.map(|candidate| candidate.core.kind);
            let kind = kind.or_else(|| old.map(|number| self.catalogue.node(number).kind));
            let (role, to) = (edge.role, edge.to);
            let kind = kind.ok_or(Refusal::EdgeMissing { role, to })?;
            if !role.leads(core.kind, kind) {
                return Err(Refusal::EdgeKind { role, from: core.kind, to, kind });
            }
            if role == Role::GeneratedBy && fresh.is_none() {
                return Err(Refusal::OutputApart { step: to });
            }
        }
        Ok(())
    }

    /// Checks an assessor's own mark, and returns the key under which the status will stand.
    fn check_status(&self, id: NodeId, core: &Core) -> Result<StatusLine, Refusal> {
        let target = core.edges_of(Role::Marks).next().map(|edge| edge.to);
        let key = target.map_or(StatusKey::of_node(id), |to| self.status_key(to));
        if let Some(statement) = &core.statement {
            let wrong = |why: String| Refusal::Statement { why };
            let signed = Signed::parse(statement, MARK_TYPE).map_err(|e| wrong(e.to_string()))?;
            let mark: AssessorMark = decode(&signed.payload).map_err(|e| wrong(e.to_string()))?;
            if mark.key != key || Some(mark.mark) != core.mark || Some(mark.date) != core.date {
                let why = format!(
                    "the assessor signed {} of {} on {}, which is not what the status says of {key}",
                    mark.mark, mark.key, mark.date
                );
                return Err(wrong(why));
            }
        }
        Ok(StatusLine { key, status: id })
    }

    fn status_key(&self, id: NodeId) -> StatusKey {
        match self.candidates.get(&id) {
            Some(candidate) => candidate.assessed.as_ref().map_or(StatusKey::of_node(id), |a| a.status_key),
            None => self.catalogue.number(&id).map_or(StatusKey::of_node(id), |n| self.catalogue.status_key(n)),
        }
    }

    fn check_counts(&self, lines: &[StatusLine]) -> Result<(), CommitError> {
        let mut counts: BTreeMap<StatusKey, usize> = BTreeMap::new();
        for line in lines {
            let before = self.catalogue.map().statuses(line.key.digest()).len();
            let count = counts.entry(line.key).or_insert(before);
            *count = count.saturating_add(1);
            if *count > STATUSES_PER_KEY_MAX {
                let why = Refusal::TooManyStatuses { found: STATUSES_PER_KEY_MAX };
                return Err(CommitError::Refused { id: line.status, why });
            }
        }
        Ok(())
    }

    /// Refuses an Erasure that has not all and only what is to be left of what it erases. One that comes over the network never
    /// has it, so that nobody but the store erases.
    fn check_erasure(&self, id: NodeId, candidate: &Candidate<'_>) -> Result<(), CommitError> {
        let refused = |why: &str| CommitError::Refused { id, why: Refusal::Remains { why: why.to_owned() } };
        let target = candidate.old.iter().flatten().next();
        let target = *target.ok_or_else(|| refused("what it erases is not in the log before it"))?;
        let remains = match candidate.record.remains.as_ref() {
            Some(remains) => remains,
            // A later one has them.
            None if candidate.is_left => return Ok(()),
            None => return Err(refused("it is made where the store is, by `griptrace erase`")),
        };
        let mut reader = SegmentReader::new(self.objects);
        let is_attached = self.catalogue.node(target).attached;
        let rest = reader.rest(self.catalogue, target, is_attached).map_err(CommitError::Storage)?;
        let before = reader.whole(self.catalogue, target).map_err(CommitError::Storage)?;
        let kind = self.catalogue.node(target).kind;
        let is_ahead = |taker: Option<NodeId>| taker.is_some_and(|taker| self.catalogue.number(&taker).is_none());
        let (details, attachment) = (is_ahead(rest.details_at), is_ahead(rest.attachment_at));
        let checked = if details || attachment {
            remains.check_carried_out(before, (details, attachment), &candidate.core)
        } else {
            remains.check(&before, kind, &candidate.core)
        };
        checked.map_err(|why| refused(&why))
    }

    /// Refuses models whose files could not be put into one folder: the buyer is to have exactly
    /// that folder.
    fn check_shipment(&self, id: NodeId, core: &Core) -> Result<(), CommitError> {
        let mut reader = SegmentReader::new(self.objects);
        let mut manifests = Vec::new();
        for edge in core.edges_of(Role::Ships).filter(|edge| edge.home.is_none()) {
            let manifest = match (self.candidates.get(&edge.to), self.catalogue.number(&edge.to)) {
                (Some(candidate), _) => candidate.record.manifest.clone(),
                (None, Some(number)) => reader.whole(self.catalogue, number).map_err(CommitError::Storage)?.manifest,
                (None, None) => None,
            };
            manifests.extend(manifest);
        }
        let paths = manifests.iter().flat_map(|manifest| &manifest.files).map(|file| file.path.as_slice());
        match find_collision(paths) {
            Some(pair) => Err(CommitError::Refused { id, why: collision(pair) }),
            None => Ok(()),
        }
    }
}

fn collision((first, second): (&[u8], &[u8])) -> Refusal {
    Refusal::Collision { first: shown(first), second: shown(second) }
}

/// Checks that manifest, its root in the details and the content digest say one thing.
fn check_manifest(core: &Core, record: &NodeRecord) -> Result<(), Refusal> {
    let wrong = |why: &str| Refusal::Manifest { why: why.to_owned() };
    let detail = |name| slot(core.kind, name).and_then(|slot| record.values.get(&slot)).map(|bytes| read_value(bytes));
    let may = matches!(core.kind, Kind::Dataset | Kind::Model);
    let stated = if may { detail("manifest") } else { None };
    let erased = record.secret.erased();
    let is_erased = |name| slot(core.kind, name).is_some_and(|slot| erased.contains(&slot));
    let (manifest, stated) = match (&record.manifest, stated) {
        (None, None) => return Ok(()),
        (Some(_), _) if !may => return Err(wrong("only a dataset or model has files")),
        (None, Some(_)) => return Err(wrong("the details state a manifest, and its files are not given")),
        (Some(manifest), None) if is_erased("manifest") => return check_paths(manifest),
        (Some(_), None) => return Err(wrong("files are given, and the details state no manifest")),
        (Some(manifest), Some(stated)) => {
            (manifest, stated.map_err(|source| Refusal::Decode { what: "a detail is refused", source })?)
        }
    };
    check_paths(manifest)?;
    check_stated(manifest, &stated)?;
    let content = detail("content").and_then(Result::ok);
    match content.as_ref().and_then(Value::as_text) {
        // It is over all files: of those that are left it can't be made again.
        _ if manifest.erased() > 0 => Ok(()),
        Some(content) => check_content(manifest, content),
        None if core.kind == Kind::Model && !is_erased("content") => {
            Err(wrong("the details of a model with files state their content digest too"))
        }
        None => Ok(()),
    }
}

fn check_paths(manifest: &ManifestRecord) -> Result<(), Refusal> {
    if manifest.files.is_empty() && manifest.erased() > 0 {
        return Ok(());
    }
    check_files(&manifest.files).map_err(|source| Refusal::Decode { what: "its files are refused", source })?;
    find_collision(manifest.files.iter().map(|file| file.path.as_slice())).map_or(Ok(()), |pair| Err(collision(pair)))
}

fn check_stated(manifest: &ManifestRecord, stated: &Value) -> Result<(), Refusal> {
    let root = manifest.root().unwrap_or(Digest::ZERO);
    let number = |field| stated.field(field).and_then(Value::as_int).and_then(|n| u64::try_from(n).ok());
    let (files, bytes) = (manifest.count(), total_bytes(&manifest.files));
    let same_root = stated.field("root").and_then(Value::as_bytes) == Some(root.as_bytes().as_slice());
    let same_bytes =
        number("bytes").is_some_and(|stated| stated == bytes || (manifest.erased() > 0 && stated >= bytes));
    if same_root && number("files") == Some(files) && same_bytes {
        return Ok(());
    }
    let why = format!("the details state {stated}; computed were root {root}, {files} files, {bytes} bytes");
    Err(Refusal::Manifest { why })
}

fn check_content(manifest: &ManifestRecord, content: &str) -> Result<(), Refusal> {
    let single =
        manifest.files.first().filter(|_| manifest.files.len() == 1).map(|file| format!("blake3:{}", file.blake3));
    let tree = format!("tree:{}", content_digest(&manifest.files));
    if single.as_deref() == Some(content) || tree == content {
        return Ok(());
    }
    let why = format!("the details state content {content}; computed was {}", single.unwrap_or(tree));
    Err(Refusal::Manifest { why })
}

fn check_subjects(candidate: &Candidate<'_>) -> Result<(), Refusal> {
    let wrong = |why: String| Refusal::Subjects { why };
    let (subjects, assessed): (&SubjectsRecord, &Assessed) = match (&candidate.record.subjects, &candidate.assessed) {
        (None, _) => return Ok(()),
        (Some(_), None) => return Err(wrong("only an assessment has subjects".to_owned())),
        (Some(subjects), Some(assessed)) => (subjects, assessed),
    };
    let assessment = &assessed.assessment;
    let root = subjects_root(&subjects.leaves);
    if wide(subjects.leaves.len()) != assessment.subjects || root != Some(assessment.subjects_root) {
        let computed = root.map_or_else(|| "none".to_owned(), |root| root.to_string());
        let (bound, count) = (assessment.subjects_root, assessment.subjects);
        let why = format!(
            "the assessment binds {count} leaves under {bound}, the record has {} under {computed}",
            subjects.leaves.len()
        );
        return Err(wrong(why));
    }
    subjects.fault().map_or(Ok(()), |why| Err(wrong(why)))
}
