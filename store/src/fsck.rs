//! The audit: everything re-derived from bytes, every fault named, nothing changed.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
};

use griptrace_core::{
    commit::StatusLine,
    digest::Digest,
    entry::Entry,
    id::{GenesisHash, NodeId},
    node::{Kind, Role},
    note::NoteVerifier,
};

use crate::{
    Store,
    catalogue::{Catalogue, PlacedCommit},
    error::{FsckError, StorageError},
    head::{CHECKPOINT, HEAD, Head, checkpoint_name, read_checkpoint},
    index::{Index, read_commit},
    number::{place, wide},
    objects::Objects,
    open::{GENESIS, read_genesis},
    reading::SegmentReader,
    record::NodeRecord,
    segment::{self, Segment},
    tiles::{Edge, Writes},
    validate::check_alone,
};

/// What is wrong with one object.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Fault {
    /// The object in the store's folder.
    pub object: String,
    /// What was found, and what was expected.
    pub why: String,
}

/// What was checked, and what is wrong.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
#[non_exhaustive]
pub struct FsckReport {
    /// Segments read.
    pub segments: u64,
    /// Log entries hashed.
    pub entries: u64,
    /// Nodes hashed, with details, manifests and subjects.
    pub nodes: u64,
    /// Tiles compared, those of entries included.
    pub tiles: u64,
    /// Published checkpoints whose signature and root were checked.
    pub checkpoints: u64,
    /// Everything that is wrong.
    pub faults: Vec<Fault>,
}

impl FsckReport {
    /// Tells whether nothing is wrong.
    pub fn is_clean(&self) -> bool {
        self.faults.is_empty()
    }

    /// Reports what made it impossible to check anything else.
    fn of_one(object: &str, why: String) -> Self {
        Self { faults: vec![Fault { object: object.to_owned(), why }], ..Self::default() }
    }
}

impl Store {
    /// Checks the whole store against its log, up to the size that it was opened at or has written:
    /// segments, entries, nodes, tiles, status map, checkpoints, snapshot and index, all from their
    /// bytes. Changes nothing. Committers' signatures are not checked: the store does not hold
    /// their keys.
    ///
    /// # Errors
    /// `Storage` with `Io` if the disk fails. What is damaged is a fault of the report.
    pub fn fsck(&self, progress: &dyn Fn(&str, u64, u64)) -> Result<FsckReport, FsckError> {
        let mut index = self.0.index();
        let state = self.0.read();
        let size = state.catalogue.size();
        let mut audit =
            Audit::new(&self.0.objects, &self.0.verifier, &self.0.genesis.origin, state.catalogue.home, Some(size));
        audit.segments(progress)?;
        audit.heads()?;
        audit.snapshot(&state.catalogue);
        audit.index(index.get_or_insert_with(|| Index::open(self.0.objects.root(), &state.catalogue)), progress)?;
        Ok(audit.report)
    }

    /// Checks a store that is too damaged to be opened, as far as that goes: as [`Self::fsck`], up to
    /// the newest size that anything in it still tells. Takes no lock and changes nothing.
    ///
    /// # Errors
    /// `Storage` with `Io` if the disk fails. What is damaged is a fault of the report.
    pub fn fsck_closed(dir: &Path, progress: &dyn Fn(&str, u64, u64)) -> Result<FsckReport, FsckError> {
        let objects = Objects::new(dir);
        let log = match read_genesis(&objects) {
            Ok(Some(log)) => log,
            Ok(None) => return Ok(FsckReport::of_one(GENESIS, "it is missing".to_owned())),
            Err(StorageError::Corrupt { object, why }) => return Ok(FsckReport::of_one(&object, why)),
            Err(error @ StorageError::Io { .. }) => return Err(error.into()),
        };
        let origin = &log.genesis.origin;
        let mut sizes = vec![Head::read(&objects).ok().flatten().map(|head| head.size)];
        for name in
            objects.list("checkpoints")?.iter().map(|name| format!("checkpoints/{name}")).chain([CHECKPOINT.to_owned()])
        {
            let found = read_checkpoint(&objects, &name, &log.verifier, origin).ok().flatten();
            sizes.push(found.map(|(checkpoint, _)| checkpoint.size));
        }
        let size = sizes.into_iter().flatten().max();
        let mut audit = Audit::new(&objects, &log.verifier, origin, log.home, size);
        let (begins, first) = (segment::name(0), objects.read(GENESIS)?.unwrap_or_default());
        let begin = objects.read(&begins)?.filter(|_| !first.is_empty());
        if begin.is_some_and(|bytes| !bytes.windows(first.len()).any(|window| window == first)) {
            audit.fault(GENESIS, format!("it is not the entry with which {begins} begins: one of the two is damaged"));
        }
        audit.segments(progress)?;
        audit.heads()?;
        Ok(audit.report)
    }
}

struct Audit<'a> {
    objects: &'a Objects,
    verifier: &'a NoteVerifier,
    origin: &'a str,
    home: GenesisHash,
    /// How many entries there are; all that the segments have, if nothing else tells.
    size: u64,
    /// The catalogue as the segments give it.
    derived: Catalogue,
    /// The root after each segment.
    roots: BTreeMap<u64, Digest>,
    report: FsckReport,
}

impl<'a> Audit<'a> {
    fn new(
        objects: &'a Objects,
        verifier: &'a NoteVerifier,
        origin: &'a str,
        home: GenesisHash,
        size: Option<u64>,
    ) -> Self {
        let (derived, roots, report) = (Catalogue::new(home), BTreeMap::new(), FsckReport::default());
        Self { objects, verifier, origin, home, size: size.unwrap_or(u64::MAX), derived, roots, report }
    }
}

impl Audit<'_> {
    #[expect(
        clippy::needless_pass_by_value,
        reason = "errors and texts are handed over alike, mostly made on the spot"
    )]
    fn fault(&mut self, object: impl Into<String>, why: impl ToString) {
        self.report.faults.push(Fault { object: object.into(), why: why.to_string() });
    }

    /// Notes damage, and hands on what the disk says.
    fn note<T>(&mut self, result: Result<T, StorageError>) -> Result<Option<T>, StorageError> {
        match result {
            Ok(value) => Ok(Some(value)),
            Err(StorageError::Corrupt { object, why }) => {
                self.fault(object, why);
                Ok(None)
            }
            Err(error @ StorageError::Io { .. }) => Err(error),
        }
    }

    /// Checks the segments in their order. Behind a damaged one the others are still checked one by
    /// one, but what hangs on the tree before them can't be.
    fn segments(&mut self, progress: &dyn Fn(&str, u64, u64)) -> Result<(), StorageError> {
        let mut edge = Edge::new();
        let mut is_whole = true;
        for name in self.objects.list("segments")? {
            let Ok(first) = name.parse::<u64>() else {
                self.fault(format!("segments/{name}"), "its name is no number");
                continue;
            };
            if first >= self.size {
                continue;
            }
            progress("checking segments", first, self.size);
            let name = segment::name(first);
            if is_whole && first != self.derived.size() {
                self.fault(segment::name(self.derived.size()), format!("it is missing: {name} comes next"));
                is_whole = false;
            }
            let Some(bytes) = self.objects.read(&name)? else { continue };
            let parsed = Segment::parse(&self.home, first, &bytes);
            let Some(segment) = self.note(parsed)? else {
                is_whole = false;
                continue;
            };
            self.report.segments += 1;
            self.nodes(&segment);
            is_whole = is_whole && self.integrate(&segment, &mut edge)?;
        }
        if is_whole && self.derived.size() < self.size && self.size < u64::MAX {
            let name = segment::name(self.derived.size());
            self.fault(name, format!("it is missing: the log has {} entries", self.size));
            is_whole = false;
        }
        if is_whole {
            let mut writes = Writes::default();
            edge.finish(&mut writes)?;
            self.tiles(&writes)?;
        }
        Ok(())
    }

    /// Checks every node of a segment alone, and the public lines of every commit.
    fn nodes(&mut self, segment: &Segment<'_>) {
        for entry in &segment.entries {
            self.report.entries += 1;
            let mut statuses = BTreeSet::new();
            for node in &entry.nodes {
                self.report.nodes += 1;
                let mut record = match NodeRecord::from_bytes(node.bytes) {
                    Ok(record) => record,
                    Err(error) => {
                        self.fault(&*segment.name, error);
                        continue;
                    }
                };
                let id = record.id();
                let attachment = node.attachment.map(|bytes| segment::decode_attachment(&segment.name, bytes));
                match attachment.transpose() {
                    Ok(Some(attachment)) => {
                        (record.manifest, record.subjects) = (attachment.manifest, attachment.subjects);
                    }
                    Ok(None) => {}
                    Err(error) => self.fault(&*segment.name, format!("node {id}: {error}")),
                }
                if let Err(refusal) = check_alone(&record) {
                    self.fault(&*segment.name, format!("node {id}: {refusal}"));
                }
                if record.core().is_ok_and(|core| core.kind == Kind::Status) {
                    statuses.insert(id);
                }
            }
            let Ok(Entry::Commit(commit)) = Entry::parse(entry.bytes) else { continue };
            let lines: BTreeSet<NodeId> = commit.payload.statuses.iter().map(|line| line.status).collect();
            if lines != statuses {
                let why =
                    format!("a commit has {} public lines and {} statuses, or others", lines.len(), statuses.len());
                self.fault(&*segment.name, why);
            }
        }
    }

    /// Checks how a segment follows those before it, its status head and its full tiles.
    fn integrate(&mut self, segment: &Segment<'_>, edge: &mut Edge) -> Result<bool, StorageError> {
        let delta = self.derived.delta(segment);
        let Some(delta) = self.note(delta)? else { return Ok(false) };
        let mut writes = Writes::default();
        for (entry, leaf) in segment.entries.iter().zip(&delta.leaves) {
            edge.push(entry.bytes, *leaf, &mut writes)?;
        }
        self.tiles(&writes)?;
        let (size, root) = delta.head();
        self.roots.insert(size, root);
        let before = self.derived.lines.len();
        self.derived.apply(delta);
        self.lines(&segment.name, before);
        Ok(true)
    }

    /// Checks that each new public line stands under the key of what its status marks.
    fn lines(&mut self, name: &str, from: usize) {
        let lines: Vec<StatusLine> = self.derived.lines.iter().skip(from).map(|(_, line)| *line).collect();
        for line in lines {
            let status = self.derived.number(&line.status);
            let target = status.and_then(|status| self.derived.to(status, Role::Marks).next());
            let key = target.map(|target| self.derived.status_key(target));
            if key != Some(line.key) {
                self.fault(
                    name,
                    format!("status {} stands under {}, which is not what it marks", line.status, line.key),
                );
            }
        }
    }

    fn tiles(&mut self, writes: &Writes) -> Result<(), StorageError> {
        for (name, expected) in &writes.objects {
            self.report.tiles += 1;
            match self.objects.read(name)? {
                Some(found) if found == *expected => {}
                Some(_) => self.fault(name, "it holds other bytes than the segments give"),
                None => self.fault(name, "it is missing; opening the store for writing makes it again"),
            }
        }
        Ok(())
    }

    /// Checks head and checkpoints against the roots of the segments.
    fn heads(&mut self) -> Result<(), StorageError> {
        let head = Head::read(self.objects);
        match self.note(head)? {
            Some(Some(head)) => self.root(HEAD, head.size, head.root),
            Some(None) => self.fault(HEAD, "it is missing"),
            None => {}
        }
        let kept: BTreeSet<String> =
            self.objects.list("checkpoints")?.into_iter().map(|name| format!("checkpoints/{name}")).collect();
        let expected: Vec<String> =
            self.derived.heads.iter().map(|head| checkpoint_name(head.saturating_add(1))).collect();
        for name in expected.iter().filter(|name| !kept.contains(*name)) {
            self.fault(name, "it is missing: every published checkpoint is kept");
        }
        for name in kept.iter().map(String::as_str).chain([CHECKPOINT]) {
            self.report.checkpoints += 1;
            let found = read_checkpoint(self.objects, name, self.verifier, self.origin);
            match self.note(found)? {
                Some(Some((checkpoint, _))) => {
                    self.root(name, checkpoint.size, checkpoint.root);
                    if name != CHECKPOINT && name != checkpoint_name(checkpoint.size) {
                        self.fault(name, format!("it is of size {}", checkpoint.size));
                    }
                }
                Some(None) => self.fault(name, "it is missing"),
                None => {}
            }
        }
        Ok(())
    }

    /// Compares a root with that of the segments; what a writer published meanwhile is left alone.
    fn root(&mut self, object: &str, size: u64, root: Digest) {
        match self.roots.get(&size) {
            Some(derived) if *derived == root => {}
            Some(derived) => {
                self.fault(object, format!("at size {size} it says root {root}, the segments give {derived}"));
            }
            None if size > self.size => {}
            None if self.derived.size() < size => {}
            None => self.fault(object, format!("it is of size {size}, which ends within a segment")),
        }
    }

    /// Compares what this store answers from, which may come from a snapshot, with the segments.
    fn snapshot(&mut self, live: &Catalogue) {
        let derived = &self.derived;
        if derived.size() != live.size() {
            return;
        }
        let same = live.nodes == derived.nodes
            && live.edges == derived.edges
            && live.commits == derived.commits
            && live.heads == derived.heads
            && live.lines == derived.lines
            && live.assessments == derived.assessments
            && live.map.root() == derived.map.root();
        if !same {
            self.fault("snapshots/catalogue", "it says otherwise than the segments; delete it");
        }
    }

    /// Compares the index with the segments, as far as it has got.
    fn index(&mut self, index: &Index, progress: &dyn Fn(&str, u64, u64)) -> Result<(), StorageError> {
        if self.derived.size() != self.size {
            return Ok(());
        }
        let mut reader = SegmentReader::new(self.objects);
        let commits: Vec<PlacedCommit> = self.derived.commits.iter().take(place(index.commits())).copied().collect();
        for (done, commit) in (0..).zip(&commits) {
            progress("checking the index", done, wide(commits.len()));
            let nodes = read_commit(&mut reader, &self.derived, commit);
            let Some(nodes) = self.note(nodes)? else { continue };
            match index.lacks(&nodes, commit.first_node) {
                Ok(0) => {}
                Ok(_) => self.fault("index", format!("it lacks something of commit {}; delete it", commit.leaf)),
                Err(_) => {
                    self.fault("index", "it is broken; delete it");
                    return Ok(());
                }
            }
        }
        Ok(())
    }
}
