//! The objects of a store: files by name, whole or in parts, and errors that name them.
//!
//! An object is replaced as a whole or never: a temporary file, its sync, a rename, the sync of the
//! folder. A reader sees the old object or the new one, and after a power cut it is one of the two
//! as well. Two files are written in place, by those who know how to read what a crash leaves of
//! them: the last segment (`appender`) and the head (`head`). In a bucket nothing is written in place:
//! these two are written whole, on a condition that the bucket decides (`appender`, `lease`).

use core::{
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
    time::Duration,
};
use std::{
    collections::HashMap,
    io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use crate::{
    bucket::{
        Bucket, Put, When,
        ahead::Ahead,
        blocks::{Blocks, DamagedBlock},
        disk::{BucketDisk, LIST_MAX},
        get_small,
    },
    disk::{Disk, DiskFile, Folder},
    error::StorageError,
    number::narrow,
    segment,
};

/// Where unfinished writes are; whatever is left here after a crash is nobody's.
const TEMPORARY: &str = "tmp";
/// Segments that are kept open for reading.
const OPEN_SEGMENTS_MAX: usize = 128;

/// How often an object is changed anew that others changed meanwhile, and how much longer is waited each time.
const CHANGES_MAX: u32 = 32;
const CHANGE_AGAIN: Duration = Duration::from_millis(10);

/// Entries for which reading ahead is begun.
const AHEAD_ENTRIES_MIN: u64 = 16;

/// A bucket, and what small segments in it were put together to.
#[derive(Debug)]
struct InBucket {
    bucket: Arc<dyn Bucket>,
    blocks: Arc<Blocks>,
}

/// A folder of objects, or a bucket.
#[derive(Debug)]
pub(crate) struct Objects {
    disk: Box<dyn Disk>,
    root: PathBuf,
    /// Where this machine keeps what it made of them: the folder itself, or one beside a bucket.
    local: PathBuf,
    bucket: Option<InBucket>,
    counter: AtomicU64,
    /// Whether whoever has this may write.
    is_writer: AtomicBool,
    segments: Mutex<HashMap<u64, Arc<dyn DiskFile>>>,
}

impl Objects {
    /// Looks at a folder, without touching it.
    pub(crate) fn new(root: &Path) -> Self {
        Self::on(Box::new(Folder::new(root)), root)
    }

    /// Looks at a disk; `root` is what errors call it, and where the index is.
    pub(crate) fn on(disk: Box<dyn Disk>, root: &Path) -> Self {
        Self {
            disk,
            root: root.to_path_buf(),
            local: root.to_path_buf(),
            bucket: None,
            counter: AtomicU64::new(0),
            is_writer: AtomicBool::new(false),
            segments: Mutex::new(HashMap::new()),
        }
    }

    /// Looks at a bucket; `local` is where this machine keeps what it made of it.
    pub(crate) fn in_bucket(bucket: Arc<dyn Bucket>, local: &Path) -> Self {
        let blocks = Arc::new(Blocks::new(Arc::clone(&bucket)));
        Self {
            disk: Box::new(BucketDisk::new(Arc::clone(&bucket), Arc::clone(&blocks), local)),
            root: PathBuf::from(bucket.address()),
            local: local.to_path_buf(),
            bucket: Some(InBucket { bucket, blocks }),
            counter: AtomicU64::new(0),
            is_writer: AtomicBool::new(false),
            segments: Mutex::new(HashMap::new()),
        }
    }

    /// Returns what errors call the folder or bucket.
    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// Returns what the states of other places call this one: of a folder where it is, and on which machine.
    pub(crate) fn address(&self) -> String {
        if self.bucket.is_some() {
            return self.root.display().to_string();
        }
        let path = std::path::absolute(&self.root).unwrap_or_else(|_| self.root.clone());
        let named = ["/proc/sys/kernel/hostname", "/etc/hostname"].into_iter().find_map(|file| {
            let name = std::fs::read_to_string(file).ok()?.trim().to_owned();
            (!name.is_empty()).then_some(name)
        });
        // Elsewhere a path has to do.
        let machine = named.map(|name| format!(" on {name}")).unwrap_or_default();
        format!("{}{machine}", path.display()).replace('\n', " ")
    }

    /// Returns the folder for what this machine makes of the objects.
    pub(crate) fn local(&self) -> &Path {
        &self.local
    }

    /// Returns the bucket, if the objects are in one.
    pub(crate) fn bucket(&self) -> Option<&Arc<dyn Bucket>> {
        self.bucket.as_ref().map(|place| &place.bucket)
    }

    /// Returns the blocks of small segments, if the objects are in a bucket.
    pub(crate) fn blocks(&self) -> Option<&Blocks> {
        self.bucket.as_ref().map(|place| &*place.blocks)
    }

    /// Makes the error of an object that the disk failed on.
    pub(crate) fn failed(&self, doing: &'static str, name: &str) -> impl FnOnce(io::Error) -> StorageError {
        let path = if name.is_empty() { self.root.clone() } else { self.root.join(name) };
        move |source| match source.get_ref().and_then(|error| error.downcast_ref::<DamagedBlock>()) {
            Some(DamagedBlock(block)) => StorageError::corrupt(block, DamagedBlock::WHY),
            None => StorageError::Io { doing, path, source },
        }
    }

    /// Names the block of a segment that was put into one: that is the object which can be put back.
    pub(crate) fn in_block(&self, object: &str, why: &str) -> (String, String) {
        let block = segment::first_of(object).and_then(|first| self.blocks()?.name_of(first));
        match block {
            Some(block) => (block, format!("{object} in it: {why}")),
            None => (object.to_owned(), why.to_owned()),
        }
    }

    /// Does so in an error.
    pub(crate) fn name_block(&self, error: StorageError) -> StorageError {
        match error {
            StorageError::Corrupt { object, why } => {
                let (object, why) = self.in_block(&object, &why);
                StorageError::Corrupt { object, why }
            }
            other @ (StorageError::Io { .. } | StorageError::Fenced { .. }) => other,
        }
    }

    /// Makes the folder itself, durably.
    pub(crate) fn create_root(&self) -> Result<(), StorageError> {
        self.disk.make_folder("").map_err(self.failed("create", ""))
    }

    /// Makes the folder for temporary files, and empties it: whoever calls this holds the lock, so
    /// what lies there was left by a crash before its rename, and is under no name.
    pub(crate) fn prepare(&self) -> Result<(), StorageError> {
        self.set_writer(true);
        if self.bucket.is_some() {
            // Others of this machine may be at work beside it.
            return Ok(());
        }
        self.disk.remove_folder(TEMPORARY).map_err(self.failed("empty", TEMPORARY))?;
        self.disk.make_folder(TEMPORARY).map_err(self.failed("create", TEMPORARY))
    }

    /// Says whether whoever has this may write.
    pub(crate) fn set_writer(&self, is_writer: bool) {
        self.is_writer.store(is_writer, Ordering::Relaxed);
    }

    /// Tells whether whoever has this may write.
    pub(crate) fn is_writer(&self) -> bool {
        self.is_writer.load(Ordering::Relaxed)
    }

    /// Reads a whole object; `None` if there is none.
    pub(crate) fn read(&self, name: &str) -> Result<Option<Vec<u8>>, StorageError> {
        let Some(file) = self.open(name)? else { return Ok(None) };
        let length = file.length().map_err(self.failed("read", name))?;
        self.read_part(name, &*file, 0, length).map(Some)
    }

    /// Reads up to `length` bytes at an offset; fewer where the file ends.
    pub(crate) fn read_part(
        &self,
        name: &str,
        file: &dyn DiskFile,
        offset: u64,
        length: u64,
    ) -> Result<Vec<u8>, StorageError> {
        let size = file.length().map_err(self.failed("read", name))?;
        // Never more than there is, whatever a damaged length claims.
        let length = narrow(length.min(size.saturating_sub(offset)));
        let mut bytes = Vec::new();
        // In a bucket that is what a service says that there is.
        let no_room = |_| io::Error::new(io::ErrorKind::OutOfMemory, format!("it has {length} bytes"));
        bytes.try_reserve_exact(length).map_err(no_room).map_err(self.failed("read", name))?;
        bytes.resize(length, 0);
        let read = file.read_at(&mut bytes, offset).map_err(self.failed("read", name))?;
        bytes.truncate(read);
        Ok(bytes)
    }

    /// Opens an object for reading; `None` if there is none.
    pub(crate) fn open(&self, name: &str) -> Result<Option<Arc<dyn DiskFile>>, StorageError> {
        self.disk.open(name).map_err(self.failed("open", name))
    }

    /// Opens a segment for reading, or returns the one that is open.
    pub(crate) fn segment(&self, first: u64) -> Result<Arc<dyn DiskFile>, StorageError> {
        let mut open = self.segments.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(file) = open.get(&first) {
            return Ok(Arc::clone(file));
        }
        let name = segment::name(first);
        let missing = || StorageError::corrupt(&*name, "it is missing, and the log needs it; restore it from a copy");
        let file = self.open(&name)?.ok_or_else(|| self.name_block(missing()))?;
        if open.len() >= OPEN_SEGMENTS_MAX {
            open.clear();
        }
        open.insert(first, Arc::clone(&file));
        Ok(file)
    }

    /// Closes one segment, to read it anew.
    pub(crate) fn forget_segment(&self, first: u64) {
        self.segments.lock().unwrap_or_else(PoisonError::into_inner).remove(&first);
        self.blocks().iter().for_each(|blocks| blocks.forget_one(first));
    }

    /// Closes the segments that begin at this entry or after it, to look for them anew.
    pub(crate) fn forget_segments(&self, from: u64) {
        self.segments.lock().unwrap_or_else(PoisonError::into_inner).retain(|first, _| *first < from);
        self.blocks().iter().for_each(|blocks| blocks.forget(from));
    }

    /// Opens an object to write in place.
    pub(crate) fn open_for_writing(&self, name: &str) -> Result<Option<Arc<dyn DiskFile>>, StorageError> {
        self.disk.open_for_writing(name).map_err(self.failed("open", name))
    }

    /// Makes an empty object to write in place; durable under its name after [`Self::sync_name`].
    pub(crate) fn create(&self, name: &str) -> Result<Arc<dyn DiskFile>, StorageError> {
        self.disk.create(name).map_err(self.failed("create", name))
    }

    /// Makes the name of an object durable.
    pub(crate) fn sync_name(&self, name: &str) -> Result<(), StorageError> {
        self.disk.sync_folder(name).map_err(self.failed("sync", name))
    }

    /// Begins to read the segments from one on, up to those that begin below `size`, if the objects are in a bucket and there
    /// are several.
    pub(crate) fn read_ahead(&self, from: u64, size: u64) -> Option<Ahead> {
        let InBucket { bucket, blocks } = self.bucket.as_ref()?;
        // A group or two are read as they come.
        if size.saturating_sub(from) <= AHEAD_ENTRIES_MIN {
            return None;
        }
        Ahead::begin(Arc::clone(bucket), Arc::clone(blocks), from, size)
    }

    /// Tells whether there is an object.
    pub(crate) fn exists(&self, name: &str) -> Result<bool, StorageError> {
        self.disk.exists(name).map_err(self.failed("look for", name))
    }

    /// Returns the names of the files in a folder, sorted; none if there is no folder.
    pub(crate) fn list(&self, folder: &str) -> Result<Vec<String>, StorageError> {
        let mut names = self.disk.list(folder).map_err(self.failed("list", folder))?;
        names.sort_unstable();
        Ok(names)
    }

    /// Returns the names in a folder that follow one, sorted, and whether these are all: a bucket lists some at once.
    pub(crate) fn list_after(&self, folder: &str, after: Option<&str>) -> Result<(Vec<String>, bool), StorageError> {
        if let Some(bucket) = self.bucket() {
            let names = bucket.list(folder, after, LIST_MAX).map_err(self.failed("list", folder))?;
            let is_last = names.len() < LIST_MAX;
            return Ok((names, is_last));
        }
        let mut names = self.list(folder)?;
        names.retain(|name| after.is_none_or(|after| name.as_str() > after));
        Ok((names, true))
    }

    /// Tells whether there is any segment, and asks for no more than that.
    pub(crate) fn has_segments(&self) -> Result<bool, StorageError> {
        let Some(InBucket { bucket, blocks }) = &self.bucket else {
            return Ok(!self.list(segment::FOLDER)?.is_empty());
        };
        let failed = self.failed("list", segment::FOLDER);
        let is_any = || Ok(!bucket.list(segment::FOLDER, None, 1)?.is_empty() || blocks.is_any()?);
        is_any().map_err(failed)
    }

    /// Writes an object, durably, over any older one.
    pub(crate) fn put(&self, name: &str, bytes: &[u8]) -> Result<(), StorageError> {
        if let Some(bucket) = self.bucket() {
            return bucket.put(name, bytes, &When::Always).map(|_| ()).map_err(self.failed("write", name));
        }
        let (temporary, file) = self.begin()?;
        file.write_at(bytes, 0).map_err(self.failed("write", &temporary))?;
        self.finish(&temporary, &*file, name)
    }

    /// Writes an object, durably, that nobody reads before something else names it: a torn one is
    /// written again by whoever would have named it.
    pub(crate) fn put_unnamed(&self, name: &str, bytes: &[u8]) -> Result<(), StorageError> {
        if self.bucket.is_some() {
            return self.put(name, bytes);
        }
        let file = self.create(name)?;
        file.write_at(bytes, 0).and_then(|()| file.sync()).map_err(self.failed("write", name))?;
        self.sync_name(name)
    }

    /// Writes an object that others can be made from: whole, but not waiting for its durability.
    pub(crate) fn put_soft(&self, name: &str, bytes: &[u8]) -> Result<(), StorageError> {
        if self.bucket.is_some() {
            return self.put(name, bytes);
        }
        let (temporary, file) = self.begin()?;
        file.write_at(bytes, 0).map_err(self.failed("write", &temporary))?;
        self.disk.rename(&temporary, name).map_err(self.failed("rename to", name))
    }

    /// Writes an object that others can be made from, unless what is there in a bucket is as new: a process that was
    /// stopped on its way here for an hour takes nothing back.
    pub(crate) fn put_newer(
        &self,
        name: &str,
        bytes: &[u8],
        is_older: impl Fn(&[u8]) -> Result<bool, StorageError>,
    ) -> Result<(), StorageError> {
        if self.bucket.is_none() {
            return self.put_soft(name, bytes);
        }
        self.change(name, |there| {
            let is_as_new = there.map(|there| Ok::<_, StorageError>(!is_older(there)?)).transpose()?.unwrap_or(false);
            Ok((!is_as_new).then(|| bytes.to_vec()))
        })
    }

    /// Replaces an object, durably, by what `change` makes of what is there; `None` leaves that. Where another process came in
    /// between, it is made anew, so that what that one wrote is not lost.
    pub(crate) fn change<E: From<StorageError>>(
        &self,
        name: &str,
        mut change: impl FnMut(Option<&[u8]>) -> Result<Option<Vec<u8>>, E>,
    ) -> Result<(), E> {
        let Some(bucket) = self.bucket() else {
            let changed = change(self.read(name)?.as_deref())?;
            return Ok(changed.map(|bytes| self.put(name, &bytes)).transpose().map(drop)?);
        };
        for tries in 0..CHANGES_MAX {
            if tries > 0 {
                bucket.pause(CHANGE_AGAIN.saturating_mul(tries));
            }
            let found = get_small(&**bucket, name).map_err(self.failed("read", name))?;
            let Some(bytes) = change(found.as_ref().map(|part| &*part.bytes))? else { return Ok(()) };
            let when = found.map_or(When::Absent, |part| When::Is(part.version));
            if let Put::Done(_) = bucket.put(name, &bytes, &when).map_err(self.failed("write", name))? {
                return Ok(());
            }
        }
        let busy = io::Error::new(io::ErrorKind::ResourceBusy, "others write to it again and again");
        Err(self.failed("write", name)(busy).into())
    }

    /// Begins an object that is written bit by bit: under a temporary name.
    pub(crate) fn begin(&self) -> Result<(String, Arc<dyn DiskFile>), StorageError> {
        let number = self.counter.fetch_add(1, Ordering::Relaxed);
        let temporary = format!("{TEMPORARY}/{}-{number}", std::process::id());
        let file = self.create(&temporary)?;
        Ok((temporary, file))
    }

    /// Gives an object that was begun its name, durably.
    pub(crate) fn finish(&self, temporary: &str, file: &dyn DiskFile, name: &str) -> Result<(), StorageError> {
        file.sync().map_err(self.failed("sync", temporary))?;
        self.disk.rename(temporary, name).map_err(self.failed("rename to", name))?;
        self.sync_name(name)
    }

    /// Removes the object that said that something is under way, the only one in its folder or, in a bucket, one of several,
    /// durably.
    pub(crate) fn remove_mark(&self, name: &str) -> Result<(), StorageError> {
        if let Some(bucket) = self.bucket() {
            return bucket.remove(name).map_err(self.failed("remove", name));
        }
        let folder = name.split('/').next().unwrap_or(name);
        self.remove_folder(folder)?;
        self.sync_name(folder)
    }

    /// Removes a folder of objects that others make superfluous. Nothing waits for its durability.
    pub(crate) fn remove_folder(&self, name: &str) -> Result<(), StorageError> {
        self.disk.remove_folder(name).map_err(self.failed("remove", name))
    }
}
