//! A bucket as the disk of a store: objects are read in parts and written whole.
//!
//! What is in the making is a file of this machine (`tmp/`), and goes to the bucket when it gets its
//! name. Nothing is durable by a sync: a write that returned is.

use std::{
    collections::VecDeque,
    fs, io,
    path::Path,
    sync::{Arc, Mutex, PoisonError},
};

use super::{Bucket, Part, Version, blocks::Blocks};
use crate::{
    disk::{Disk, DiskFile, Folder},
    number::{narrow, wide},
    segment, snapshot,
};

/// Where files are in the making.
const TEMPORARY: &str = "tmp/";
/// The folder for copies of objects of which little is read at a time.
const COPIES: &str = "copies";
/// Bytes that are read at once: the whole of most objects.
const CHUNK_BYTES: u64 = 256 << 10;
/// Chunks that an open object keeps.
const CHUNKS_MAX: usize = 4;
/// Bytes that are read at once of what is copied whole.
const COPY_BYTES: u64 = 8 << 20;
/// Names that are listed at once.
pub(crate) const LIST_MAX: usize = 1000;

/// A bucket, and a folder of this machine beside it.
#[derive(Debug)]
pub(crate) struct BucketDisk {
    bucket: Arc<dyn Bucket>,
    local: Folder,
    blocks: Arc<Blocks>,
}

impl BucketDisk {
    /// Looks at a bucket, and touches nothing.
    pub(crate) fn new(bucket: Arc<dyn Bucket>, blocks: Arc<Blocks>, local: &Path) -> Self {
        Self { bucket, local: Folder::new(local), blocks }
    }

    fn open_object(&self, name: &str) -> io::Result<Option<Arc<dyn DiskFile>>> {
        let found = self.bucket.get(name, Some(0..CHUNK_BYTES))?;
        Ok(found.map(|part| -> Arc<dyn DiskFile> { Arc::new(Object::new(Arc::clone(&self.bucket), name, 0, part)) }))
    }

    /// Opens a segment, which may have been put into a block.
    fn open_segment(&self, name: &str, first: u64) -> io::Result<Option<Arc<dyn DiskFile>>> {
        if self.blocks.may_stand(first)
            && let Some(inside) = self.blocks.open(first)?
        {
            return Ok(Some(Arc::new(inside)));
        }
        match self.bucket.get(name, Some(0..CHUNK_BYTES))? {
            Some(part) => {
                let object = Object::new(Arc::clone(&self.bucket), name, 0, part);
                Ok(Some(Arc::new(Object { moved: Some((first, Arc::clone(&self.blocks))), ..object })))
            }
            None => Ok(self.blocks.open(first)?.map(|inside| -> Arc<dyn DiskFile> { Arc::new(inside) })),
        }
    }

    /// Opens this machine's copy of an object, which is made if there is none of this version.
    fn open_copy(&self, name: &str) -> io::Result<Option<Arc<dyn DiskFile>>> {
        let Some(part) = self.bucket.get(name, Some(0..1))? else { return Ok(None) };
        let copy = Self::copy_path(name, &part);
        let path = self.local.path(&copy);
        if !path.is_file() {
            self.forget_copies()?;
            if !self.fetch(name, &part, &path)? {
                return self.open_object(name);
            }
        }
        self.local.open(&copy)
    }

    /// Removes the copies of older versions, and makes room for a new one.
    fn forget_copies(&self) -> io::Result<()> {
        self.local.make_folder(COPIES)?;
        for old in self.local.list(COPIES)? {
            fs::remove_file(self.local.path(&format!("{COPIES}/{old}"))).unwrap_or_default();
        }
        Ok(())
    }

    fn copy_path(name: &str, part: &Part) -> String {
        let version = blake3::hash(format!("{name} {} {}", part.version.0, part.length).as_bytes());
        format!("{COPIES}/{}", version.to_hex().get(..32).unwrap_or_default())
    }

    /// Fetches a version of an object; tells whether it was that version to the end.
    fn fetch(&self, name: &str, wanted: &Part, path: &Path) -> io::Result<bool> {
        let making = path.with_extension(std::process::id().to_string());
        let file = fs::File::create(&making)?;
        let mut at = 0;
        while at < wanted.length {
            let to = at.saturating_add(COPY_BYTES).min(wanted.length);
            let part = self.bucket.get(name, Some(at..to))?.filter(|part| part.version == wanted.version);
            let Some(part) = part.filter(|part| wide(part.bytes.len()) == to.saturating_sub(at)) else {
                fs::remove_file(&making)?;
                return Ok(false);
            };
            file.write_at(&part.bytes, at)?;
            at = to;
        }
        fs::rename(&making, path)?;
        Ok(true)
    }
}

impl Disk for BucketDisk {
    fn open(&self, name: &str) -> io::Result<Option<Arc<dyn DiskFile>>> {
        match (segment::first_of(name), name) {
            (Some(first), _) => self.open_segment(name, first),
            (None, snapshot::NAME) => self.open_copy(name),
            (None, _) => self.open_object(name),
        }
    }

    fn open_for_writing(&self, name: &str) -> io::Result<Option<Arc<dyn DiskFile>>> {
        Err(in_place(name))
    }

    fn create(&self, name: &str) -> io::Result<Arc<dyn DiskFile>> {
        if name.starts_with(TEMPORARY) { self.local.create(name) } else { Err(in_place(name)) }
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        let file = self.local.path(from);
        self.bucket.put_file(to, &file)?;
        if to != snapshot::NAME {
            return fs::remove_file(file);
        }
        // What was just written need not be fetched; should another one have written it meanwhile, its length or version
        // tell, or its checksums.
        let Some(part) = self.bucket.get(to, Some(0..1))? else { return fs::remove_file(file) };
        self.forget_copies()?;
        fs::rename(file, self.local.path(&Self::copy_path(to, &part)))
    }

    fn sync_folder(&self, _name: &str) -> io::Result<()> {
        Ok(())
    }

    fn make_folder(&self, name: &str) -> io::Result<()> {
        self.local.make_folder(name)
    }

    fn remove_folder(&self, name: &str) -> io::Result<()> {
        loop {
            let names = self.bucket.list(name, None, LIST_MAX)?;
            names.iter().try_for_each(|inside| self.bucket.remove(&format!("{name}/{inside}")))?;
            if names.len() < LIST_MAX {
                return Ok(());
            }
        }
    }

    fn exists(&self, name: &str) -> io::Result<bool> {
        let found = self.bucket.get(name, Some(0..1))?.is_some();
        match segment::first_of(name) {
            Some(first) if !found => Ok(self.blocks.open(first)?.is_some()),
            _ => Ok(found),
        }
    }

    fn list(&self, folder: &str) -> io::Result<Vec<String>> {
        let mut names = all(&*self.bucket, folder)?;
        if folder == segment::FOLDER {
            names.extend(self.blocks.segments()?);
            names.sort_unstable();
            names.dedup();
        }
        Ok(names)
    }
}

/// Returns all names in a folder of a bucket, sorted.
pub(super) fn all(bucket: &dyn Bucket, folder: &str) -> io::Result<Vec<String>> {
    let mut names: Vec<String> = Vec::new();
    loop {
        let more = bucket.list(folder, names.last().map(String::as_str), LIST_MAX)?;
        let is_last = more.len() < LIST_MAX;
        names.extend(more);
        if is_last {
            return Ok(names);
        }
    }
}

fn in_place(name: &str) -> io::Error {
    io::Error::new(io::ErrorKind::Unsupported, format!("nothing in a bucket is written in place, and {name} was to be"))
}

/// What was read of an object last.
#[derive(Debug, Default)]
struct Chunks {
    /// The version that all of it is of: an erasure may write the object again.
    version: Option<Version>,
    /// How often another version was read.
    turns: u64,
    /// Bytes, with their offset in the object.
    kept: VecDeque<(u64, Vec<u8>)>,
}

/// Part of an object, open for reading: the whole of it, or a segment in a block.
#[derive(Debug)]
pub(super) struct Object {
    bucket: Arc<dyn Bucket>,
    name: String,
    /// Where the part begins in the object, and how long it is.
    base: u64,
    length: u64,
    chunks: Mutex<Chunks>,
    /// Where to look should it be gone: a segment that was put into a block.
    moved: Option<(u64, Arc<Blocks>)>,
}

impl Object {
    /// Opens an object of which the beginning, from `base` on, was read.
    pub(super) fn new(bucket: Arc<dyn Bucket>, name: &str, base: u64, read: Part) -> Self {
        let length = read.length.saturating_sub(base);
        let chunks = Chunks { version: Some(read.version), turns: 0, kept: VecDeque::from([(base, read.bytes)]) };
        let chunks = Mutex::new(chunks);
        Self { bucket, name: name.to_owned(), base, length, chunks, moved: None }
    }

    /// Opens part of an object of which nothing was read.
    pub(super) fn part(bucket: Arc<dyn Bucket>, name: &str, base: u64, length: u64) -> Self {
        Self { bucket, name: name.to_owned(), base, length, chunks: Mutex::default(), moved: None }
    }

    /// Copies from a chunk that is kept; returns how much, and how often another version was read by then.
    fn copy_kept(&self, buffer: &mut [u8], at: u64) -> (usize, u64) {
        let chunks = self.chunks.lock().unwrap_or_else(PoisonError::into_inner);
        for (begin, bytes) in &chunks.kept {
            let skip = at.checked_sub(*begin).and_then(|skip| usize::try_from(skip).ok());
            if let Some(found) = skip.and_then(|skip| bytes.get(skip..)).filter(|found| !found.is_empty()) {
                let count = found.len().min(buffer.len());
                for (to, from) in buffer.iter_mut().zip(found) {
                    *to = *from;
                }
                return (count, chunks.turns);
            }
        }
        (0, chunks.turns)
    }

    /// Reads a chunk, and keeps it. What was read of another version before is forgotten.
    fn fetch(&self, at: u64, wanted: u64) -> io::Result<()> {
        let end = self.base.saturating_add(self.length);
        let to = at.saturating_add(wanted.max(CHUNK_BYTES)).min(end);
        let gone = || io::Error::new(io::ErrorKind::NotFound, "it was there, and is gone");
        let part = self.bucket.get(&self.name, Some(at..to))?.ok_or_else(gone)?;
        if part.bytes.is_empty() {
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "it is shorter than it was"));
        }
        let mut chunks = self.chunks.lock().unwrap_or_else(PoisonError::into_inner);
        if chunks.version.as_ref().is_some_and(|version| *version != part.version) {
            chunks.kept.clear();
            chunks.turns = chunks.turns.saturating_add(1);
        }
        chunks.version = Some(part.version);
        if chunks.kept.len() >= CHUNKS_MAX {
            chunks.kept.pop_front();
        }
        chunks.kept.push_back((at, part.bytes));
        Ok(())
    }

    fn read_here(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let (mut filled, mut version) = (0, 0);
        while let Some(rest) = buffer.get_mut(filled..).filter(|rest| !rest.is_empty()) {
            let from = offset.saturating_add(wide(filled));
            let left = self.length.saturating_sub(from);
            if left == 0 {
                break;
            }
            let wanted = narrow(left.min(wide(rest.len())));
            let rest = rest.get_mut(..wanted).unwrap_or_default();
            let at = self.base.saturating_add(from);
            let (copied, turns) = self.copy_kept(rest, at);
            if filled > 0 && turns != version {
                // Bytes of two versions are never put together.
                filled = 0;
                continue;
            }
            version = turns;
            if copied == 0 {
                self.fetch(at, wide(wanted))?;
            }
            filled = filled.saturating_add(copied);
        }
        Ok(filled)
    }
}

impl DiskFile for Object {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        match (self.read_here(buffer, offset), &self.moved) {
            (Err(error), Some((first, blocks))) if error.kind() == io::ErrorKind::NotFound => {
                let inside = blocks.open(*first)?.ok_or(error)?;
                inside.read_here(buffer, offset)
            }
            (read, _) => read,
        }
    }

    fn write_at(&self, _bytes: &[u8], _offset: u64) -> io::Result<()> {
        Err(in_place(&self.name))
    }

    fn sync(&self) -> io::Result<()> {
        Err(in_place(&self.name))
    }

    fn length(&self) -> io::Result<u64> {
        Ok(self.length)
    }

    fn set_length(&self, _length: u64) -> io::Result<()> {
        Err(in_place(&self.name))
    }
}
