//! Making a store, opening it, and what a crash left behind.
//!
//! Recovery has no code of its own for the log: it takes the steps of a commit (`publish`) from
//! wherever the crash stopped them.

use std::path::Path;

use griptrace_core::{
    checkpoint::Checkpoint,
    digest::Digest,
    entry::{Entry, Genesis, StatusHead, genesis_hash},
    id::GenesisHash,
    note::{KeyKind, NoteSigner, NoteVerifier},
};

use crate::{
    OpenOptions,
    catalogue::Catalogue,
    error::{OpenError, StorageError},
    head::{self, CHECKPOINT, HEAD, Head, read_checkpoint},
    lock::WriterLock,
    objects::Objects,
    publish::Desk,
    segment::{self, Segment, SegmentWriter},
    snapshot,
    tiles::{Edge, TileReader, Writes},
};

pub(crate) const GENESIS: &str = "genesis";

/// A log, opened.
#[derive(Debug)]
pub(crate) struct Opened {
    pub(crate) objects: Objects,
    pub(crate) genesis: Genesis,
    pub(crate) verifier: NoteVerifier,
    pub(crate) catalogue: Catalogue,
    /// The newest published checkpoint.
    pub(crate) note: String,
    pub(crate) desk: Option<Desk>,
    /// Nodes in the snapshot on disk.
    pub(crate) snapshot_nodes: u32,
}

/// Makes a new store in `dir`.
pub(crate) fn init(dir: &Path, genesis: &Genesis, signer: NoteSigner, now: u64) -> Result<Opened, OpenError> {
    let objects = Objects::new(dir);
    objects.create()?;
    let lock = WriterLock::take(dir)?;
    if objects.exists(HEAD) || objects.exists(CHECKPOINT) {
        return Err(OpenError::Exists { path: dir.to_path_buf() });
    }
    check_signer(genesis, &signer)?;
    let entry = genesis.to_bytes().map_err(OpenError::Genesis)?;
    let home = genesis_hash(&entry);
    objects.prepare()?;
    let catalogue = Catalogue::new(home);
    let status = StatusHead { index: 1, map_root: catalogue.map.root(), time: now };
    let mut writer = SegmentWriter::new(&home, 0)?;
    writer.entry(&entry)?;
    writer.entry(&status.to_bytes())?;
    // No head, no checkpoint: whatever lies here is of an `init` that crashed and told nobody.
    objects.put(GENESIS, &entry)?;
    objects.put(&segment::name(0), &writer.finish()?)?;
    // Crash here, or anywhere before the head is written: there is no store, and `init` begins anew.
    let verifier = signer.verifier().clone();
    let mut desk = Desk::new(lock, signer, genesis.origin.clone(), Edge::new());
    let mut opened = Opened {
        objects,
        genesis: genesis.clone(),
        verifier,
        catalogue,
        note: String::new(),
        desk: None,
        snapshot_nodes: 0,
    };
    let (delta, note) = desk.adopt(&opened.objects, &opened.catalogue)?;
    opened.catalogue.apply(delta);
    opened.note = note;
    opened.desk = Some(desk);
    Ok(opened)
}

/// Opens a store, for writing if there is a signer.
pub(crate) fn open(dir: &Path, options: OpenOptions) -> Result<Opened, OpenError> {
    let objects = Objects::new(dir);
    let no_store = || OpenError::NoStore { path: dir.to_path_buf() };
    if !objects.exists(HEAD) && !objects.exists(CHECKPOINT) {
        return Err(no_store());
    }
    let Named { genesis, verifier, home } = read_genesis(&objects)?.ok_or_else(no_store)?;
    let progress = options.progress.unwrap_or_else(|| Box::new(|_, _, _| {}));
    let reading =
        Reading { objects: &objects, home, verifier: &verifier, origin: &genesis.origin, progress: &*progress };
    let Some(signer) = options.signer else {
        let (catalogue, note, snapshot_nodes) = reading.read_only()?;
        return Ok(Opened { objects, genesis, verifier, catalogue, note, desk: None, snapshot_nodes });
    };
    check_signer(&genesis, &signer)?;
    let lock = WriterLock::take(dir)?;
    objects.prepare()?;
    let (catalogue, snapshot_nodes, head) = reading.for_writing()?;
    let (catalogue, note, desk) = reading.recover(catalogue, head, lock, signer)?;
    Ok(Opened { objects, genesis, verifier, catalogue, note, desk: Some(desk), snapshot_nodes })
}

/// What the genesis says: which log this is, and whose.
#[derive(Debug)]
pub(crate) struct Named {
    pub(crate) genesis: Genesis,
    pub(crate) verifier: NoteVerifier,
    pub(crate) home: GenesisHash,
}

/// Reads the genesis; `None` if there is none.
pub(crate) fn read_genesis(objects: &Objects) -> Result<Option<Named>, StorageError> {
    let Some(entry) = objects.read(GENESIS)? else { return Ok(None) };
    let genesis = match Entry::parse(&entry) {
        Ok(Entry::Genesis(genesis)) => genesis,
        Ok(Entry::Commit(_) | Entry::StatusHead(_)) => {
            return Err(StorageError::corrupt(GENESIS, "it is another entry"));
        }
        Err(error) => return Err(StorageError::corrupt(GENESIS, error)),
    };
    let bad_key = |why: &dyn core::fmt::Display| StorageError::corrupt(GENESIS, why);
    let key: [u8; 32] = genesis.key.as_bytes().try_into().map_err(|e| bad_key(&e))?;
    let verifier = NoteVerifier::new(&genesis.origin, KeyKind::Ed25519, &key).map_err(|e| bad_key(&e))?;
    Ok(Some(Named { genesis, verifier, home: genesis_hash(&entry) }))
}

fn check_signer(genesis: &Genesis, signer: &NoteSigner) -> Result<(), OpenError> {
    let found = signer.verifier();
    if found.name() == genesis.origin && found.public_key().as_slice() == genesis.key.as_bytes() {
        return Ok(());
    }
    let expected = genesis.key.to_string();
    Err(OpenError::WrongKey { origin: genesis.origin.clone(), expected, found: found.to_vkey() })
}

struct Reading<'a> {
    objects: &'a Objects,
    home: GenesisHash,
    verifier: &'a NoteVerifier,
    origin: &'a str,
    progress: &'a (dyn Fn(&str, u64, u64) + Send + Sync),
}

impl Reading<'_> {
    fn read_only(&self) -> Result<(Catalogue, String, u32), OpenError> {
        // The snapshot first: a writer that goes on meanwhile only makes the checkpoint newer.
        let snapshot = snapshot::read(self.objects, &self.home)?;
        let found = read_checkpoint(self.objects, CHECKPOINT, self.verifier, self.origin)?;
        let (checkpoint, note) = found.ok_or_else(|| {
            StorageError::corrupt(CHECKPOINT, "it is missing; opening the store for writing signs the head again")
        })?;
        let head = Head { size: checkpoint.size, root: checkpoint.root };
        let (catalogue, nodes) = self.load(snapshot, head, CHECKPOINT)?;
        Ok((catalogue, note, nodes))
    }

    fn for_writing(&self) -> Result<(Catalogue, u32, Head), OpenError> {
        let missing = || StorageError::corrupt(HEAD, "it is missing, though a checkpoint was published; restore it");
        let head = Head::read(self.objects)?.ok_or_else(missing)?;
        self.check_signed(head)?;
        let snapshot = snapshot::read(self.objects, &self.home)?;
        let (catalogue, nodes) = self.load(snapshot, head, HEAD)?;
        Ok((catalogue, nodes, head))
    }

    /// Refuses to write below any size that was signed (R11).
    fn check_signed(&self, head: Head) -> Result<(), OpenError> {
        let newest = self.objects.list("checkpoints")?.pop().map(|name| format!("checkpoints/{name}"));
        for object in newest.into_iter().chain([CHECKPOINT.to_owned()]) {
            let Some((signed, _)) = read_checkpoint(self.objects, &object, self.verifier, self.origin)? else {
                continue;
            };
            if signed.size > head.size {
                return Err(OpenError::SetBack { object, signed: signed.size, found: head.size });
            }
        }
        Ok(())
    }

    /// Reads the catalogue of the tree that `head` names: a snapshot and what came after it, or, if
    /// these don't lead there, all segments.
    fn load(&self, snapshot: Option<Catalogue>, head: Head, named_by: &str) -> Result<(Catalogue, u32), StorageError> {
        if let Some(mut catalogue) = snapshot.filter(|snapshot| snapshot.size() <= head.size) {
            let nodes = catalogue.len();
            if self.replay(&mut catalogue, head.size).is_ok() && catalogue.root() == head.root {
                return Ok((catalogue, nodes));
            }
        }
        let mut catalogue = Catalogue::new(self.home);
        self.replay(&mut catalogue, head.size)?;
        if catalogue.root() == head.root {
            return Ok((catalogue, 0));
        }
        let why = format!(
            "at size {} it says root {}, and the entries in segments/ lead to {}",
            head.size,
            head.root,
            catalogue.root()
        );
        Err(StorageError::corrupt(named_by, why))
    }

    fn replay(&self, catalogue: &mut Catalogue, size: u64) -> Result<(), StorageError> {
        let from = catalogue.size();
        while catalogue.size() < size {
            (self.progress)("reading the log", catalogue.size() - from, size - from);
            let first = catalogue.size();
            let name = segment::name(first);
            let missing = || {
                let why = format!(
                    "it is missing, and the log has {size} entries, of which it begins with {first}; restore it from a copy"
                );
                StorageError::corrupt(&*name, why)
            };
            let bytes = self.objects.read(&name)?.ok_or_else(missing)?;
            let delta = catalogue.delta(&Segment::parse(&self.home, first, &bytes)?)?;
            catalogue.apply(delta);
        }
        if catalogue.size() == size {
            return Ok(());
        }
        let why = format!("the head says {size} entries, which is within a segment: {} come with it", catalogue.size());
        Err(StorageError::corrupt(HEAD, why))
    }

    /// Takes up where a crash stopped the last writer.
    fn recover(
        &self,
        mut catalogue: Catalogue,
        head: Head,
        lock: WriterLock,
        signer: NoteSigner,
    ) -> Result<(Catalogue, String, Desk), StorageError> {
        let edge = match self.edge(head) {
            Some(edge) => edge,
            None => self.rewrite_tiles(head.size)?,
        };
        let mut note = match read_checkpoint(self.objects, CHECKPOINT, self.verifier, self.origin)? {
            Some((published, note)) if published.size == head.size => {
                check_root(CHECKPOINT, &published, head.root)?;
                note
            }
            Some((published, _)) => {
                check_root(CHECKPOINT, &published, self.root_at(head.size, published.size)?)?;
                head::sign_head(self.objects, &signer, self.origin, head)?
            }
            None => head::sign_head(self.objects, &signer, self.origin, head)?,
        };
        let mut desk = Desk::new(lock, signer, self.origin.to_owned(), edge);
        // A segment that is durable, but not yet under the head: nobody was told of it, and it is
        // whole. It is adopted by the code that would have gone on with it.
        while self.objects.exists(&segment::name(catalogue.size())) {
            let (delta, published) = desk.adopt(self.objects, &catalogue)?;
            catalogue.apply(delta);
            note = published;
        }
        Ok((catalogue, note, desk))
    }

    /// Reads the right edge of the tiles, if they lead to the head's root.
    fn edge(&self, head: Head) -> Option<Edge> {
        let mut reader = TileReader::new(self.objects, head.size);
        if reader.root().ok()? != head.root {
            return None;
        }
        // The last bundle of entries is compared too: it is what the next append goes on from.
        reader.entry(head.size.checked_sub(1)?).ok()?;
        Edge::read(&mut reader).ok()
    }

    fn root_at(&self, size: u64, older: u64) -> Result<Digest, StorageError> {
        TileReader::new(self.objects, size).root_at(older)
    }

    /// Writes all tiles again from the segments.
    fn rewrite_tiles(&self, size: u64) -> Result<Edge, StorageError> {
        let mut edge = Edge::new();
        let mut first = 0;
        while first < size {
            (self.progress)("writing the tiles again", first, size);
            let name = segment::name(first);
            let bytes = self.objects.read(&name)?.ok_or_else(|| StorageError::corrupt(&*name, "it is missing"))?;
            let segment = Segment::parse(&self.home, first, &bytes)?;
            let mut writes = Writes::default();
            for entry in &segment.entries {
                edge.push(entry.bytes, griptrace_core::tree::Rfc9162::leaf_hash(entry.bytes), &mut writes)?;
                first += 1;
            }
            if first >= size {
                edge.finish(&mut writes)?;
            }
            for (name, bytes) in &writes.objects {
                self.objects.put(name, bytes)?;
            }
        }
        Ok(edge)
    }
}

fn check_root(object: &str, signed: &Checkpoint, root: Digest) -> Result<(), StorageError> {
    if signed.root == root {
        return Ok(());
    }
    let why = format!("at size {} it says root {}, and the entries lead to {root}", signed.size, signed.root);
    Err(StorageError::corrupt(object, why))
}
