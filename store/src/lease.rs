//! The head of a log in a bucket: how far the log is, and whose turn it is to write.
//!
//! The object `head` moves by compare-and-swap alone, as an unsigned size and root (Rule R11): who is
//! not the one who wrote it last can't move it, and signs nothing. So two processes that both think
//! they write do no harm, and taking over needs no agreement and no clock that anybody shares: who sees
//! the head unmoved for as long as three beats swaps the turn to itself, and the other one
//! finds out at its next swap, before it signs or acknowledges anything.
//!
//! What is signed follows with the next move, and stands in `checkpoint` and the next segment too.

use core::{
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};
use std::{
    io,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use griptrace_core::digest::Digest;

use crate::{
    bucket::{Bucket, Put, Version, When, get_small, try_again},
    error::StorageError,
    head::{HEAD, Head},
    objects::Objects,
    random,
};

const MAGIC: &str = "griptrace head v1";
/// How long who writes may leave the head alone, so that others see it alive.
pub(crate) const BEAT_EVERY: Duration = Duration::from_secs(1);
/// How long the head has to stand still before another one takes the turn.
pub(crate) const TAKE_OVER_AFTER: Duration = Duration::from_secs(3);
/// How the head is swapped: with new bytes, on a condition; `None` if that does not hold.
type Swap = fn(&dyn Bucket, &[u8], &When) -> io::Result<Option<Version>>;

/// Who writes: a number that nobody else has.
pub(crate) type WriterId = Digest;

/// Makes up a number for who writes.
pub(crate) fn new_writer() -> Result<WriterId, StorageError> {
    let mut bytes = [0; 32];
    random(&mut bytes).map_err(|source| StorageError::Io {
        doing: "ask for randomness for",
        path: HEAD.into(),
        source,
    })?;
    Ok(Digest::from_bytes(bytes))
}

/// Whose turn it is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Turn {
    /// Counts the take-overs.
    pub(crate) number: u64,
    /// Who writes; nobody, if its turn was ended.
    pub(crate) writer: Option<WriterId>,
    /// Counts the moves of the head in this turn: no two heads have the same bytes.
    pub(crate) beat: u64,
    /// Where the writer takes commits of others; empty if it doesn't.
    pub(crate) address: String,
}

/// What the object `head` says.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct SharedHead {
    /// Size and root of the tree.
    pub(crate) head: Head,
    pub(crate) turn: Turn,
    /// The newest checkpoint that was signed when it was written: of this head, or of one before.
    pub(crate) note: String,
}

impl SharedHead {
    /// Returns the bytes of the object.
    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        let Self { head: Head { size, root }, turn: Turn { number, writer, beat, address }, note } = self;
        let writer = writer.map_or_else(|| "nobody".to_owned(), |id| id.to_string());
        let text = format!(
            "{MAGIC}\nsize {size}\nroot {root}\nturn {number}\nwriter {writer}\nbeat {beat}\naddress {address}\n\n{note}"
        );
        format!("{}\n{text}", blake3::hash(text.as_bytes()).to_hex()).into_bytes()
    }

    /// Reads the object.
    pub(crate) fn parse(bytes: &[u8]) -> Result<Self, StorageError> {
        let bad = |why: &str| StorageError::corrupt(HEAD, why);
        let text = core::str::from_utf8(bytes).map_err(|_| bad("it is not text"))?;
        let (sum, text) = text.split_once('\n').ok_or_else(|| bad("it is cut short"))?;
        if blake3::hash(text.as_bytes()).to_hex().as_str() != sum {
            return Err(bad("it has another checksum than its bytes"));
        }
        let (fields, note) = text.split_once("\n\n").ok_or_else(|| bad("it is cut short"))?;
        let mut lines = fields.split('\n');
        if lines.next() != Some(MAGIC) {
            return Err(bad("it is of another version of the format"));
        }
        let mut field = |name: &str| {
            let line = lines.next().and_then(|line| line.strip_prefix(name)?.strip_prefix(' '));
            line.ok_or_else(|| bad(&format!("it has no {name} where one belongs")))
        };
        let number = |text: &str| text.parse::<u64>().map_err(|_| bad("a number in it is none"));
        let size = number(field("size")?)?;
        let root = Digest::from_hex(field("root")?).ok_or_else(|| bad("its root is no digest"))?;
        let turn = number(field("turn")?)?;
        let writer = match field("writer")? {
            "nobody" => None,
            id => Some(Digest::from_hex(id).ok_or_else(|| bad("its writer is no id"))?),
        };
        let (beat, address) = (number(field("beat")?)?, field("address")?.to_owned());
        let turn = Turn { number: turn, writer, beat, address };
        Ok(Self { head: Head { size, root }, turn, note: note.to_owned() })
    }

    /// Returns how many entries the head of a bucket tells of, signed or not; `None` if there is none, or in a folder.
    pub(crate) fn size(objects: &Objects) -> Result<Option<u64>, StorageError> {
        let Some(bucket) = objects.bucket() else { return Ok(None) };
        Ok(Self::read(objects, &**bucket)?.map(|(shared, _)| shared.head.size))
    }

    /// Reads the head of a bucket; `None` if there is none.
    pub(crate) fn read(objects: &Objects, bucket: &dyn Bucket) -> Result<Option<(Self, Version)>, StorageError> {
        let found = get_small(bucket, HEAD).map_err(objects.failed("read", HEAD))?;
        found.map(|part| Ok((Self::parse(&part.bytes)?, part.version))).transpose()
    }
}

/// The turn to write, as long as nobody took it over.
#[derive(Debug)]
pub(crate) struct Lease {
    bucket: Arc<dyn Bucket>,
    held: Mutex<Held>,
    is_lost: AtomicBool,
}

#[derive(Debug)]
struct Held {
    now: SharedHead,
    version: Version,
}

impl Lease {
    /// Makes the head of a new log; `None` if there is one.
    pub(crate) fn begin(
        objects: &Objects,
        bucket: &Arc<dyn Bucket>,
        new: SharedHead,
    ) -> Result<Option<Self>, StorageError> {
        let bytes = new.to_bytes();
        let swapped = swap(&**bucket, &bytes, &When::Absent).map_err(objects.failed("write", HEAD))?;
        Ok(swapped.map(|version| Self::holding(bucket, new, version)))
    }

    /// Takes the turn from whoever has it; `None` if the head is not as it was seen any more.
    pub(crate) fn take(
        objects: &Objects,
        bucket: &Arc<dyn Bucket>,
        seen: &(SharedHead, Version),
        writer: WriterId,
        address: &str,
    ) -> Result<Option<Self>, StorageError> {
        let (before, version) = seen;
        let number = before.turn.number.saturating_add(1);
        let turn = Turn { number, writer: Some(writer), beat: 0, address: address.to_owned() };
        let next = SharedHead { turn, ..before.clone() };
        let swapped =
            swap(&**bucket, &next.to_bytes(), &When::Is(version.clone())).map_err(objects.failed("write", HEAD))?;
        Ok(swapped.map(|version| Self::holding(bucket, next, version)))
    }

    fn holding(bucket: &Arc<dyn Bucket>, now: SharedHead, version: Version) -> Self {
        let held = Mutex::new(Held { now, version });
        Self { bucket: Arc::clone(bucket), held, is_lost: AtomicBool::new(false) }
    }

    fn held(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tells whether somebody else has the turn.
    pub(crate) fn is_lost(&self) -> bool {
        self.is_lost.load(Ordering::Acquire)
    }

    /// Returns how often the head was moved in this turn.
    pub(crate) fn beats(&self) -> u64 {
        self.held().now.turn.beat
    }

    /// Returns what the head says.
    pub(crate) fn now(&self) -> SharedHead {
        self.held().now.clone()
    }

    /// Returns how far the log is.
    pub(crate) fn head(&self) -> Head {
        self.held().now.head
    }

    /// Reads the head from the bucket: how far the log is, and whether this turn goes on.
    pub(crate) fn look(&self, objects: &Objects) -> Result<(Head, bool), StorageError> {
        let found = SharedHead::read(objects, &*self.bucket)?;
        let (found, _) = found.ok_or_else(|| StorageError::corrupt(HEAD, "it is missing"))?;
        let turn = self.held().now.turn.clone();
        Ok((found.head, (found.turn.number, found.turn.writer) == (turn.number, turn.writer)))
    }

    /// Keeps a checkpoint, to go into the bucket with the next move.
    pub(crate) fn keep(&self, note: &str) {
        note.clone_into(&mut self.held().now.note);
    }

    /// Moves the head to this size and root.
    ///
    /// # Errors
    /// `Fenced` if somebody else moved it: from then on this process moves it no more.
    pub(crate) fn advance(&self, objects: &Objects, head: Head) -> Result<(), StorageError> {
        let there = self.head();
        if head.size < there.size {
            // What was acknowledged already is being signed again.
            return if self.is_lost() { Err(fenced(objects)) } else { Ok(()) };
        }
        if head.size == there.size && head.root != there.root {
            let (said, computed) = (there.root, head.root);
            let why = format!("it says root {said} at size {}, and the segments lead to {computed}", head.size);
            return Err(StorageError::corrupt(HEAD, why));
        }
        self.swap(objects, swap, |now| now.head = head)
    }

    /// Moves the head without a change, so that others see who writes alive.
    pub(crate) fn beat(&self, objects: &Objects) -> Result<(), StorageError> {
        self.swap(objects, swap, |_| {})
    }

    /// Ends the turn, so that nobody has to wait for it to be over.
    pub(crate) fn release(&self, objects: &Objects) -> Result<(), StorageError> {
        // Once: where the bucket does not answer, a program that ends need not wait for it. Others wait for some seconds then.
        let released = self.swap(objects, swap_once, |now| now.turn.writer = None);
        self.is_lost.store(true, Ordering::Release);
        released
    }

    fn swap(&self, objects: &Objects, swap: Swap, change: impl FnOnce(&mut SharedHead)) -> Result<(), StorageError> {
        let mut held = self.held();
        if self.is_lost() {
            return Err(fenced(objects));
        }
        let mut next = held.now.clone();
        next.turn.beat = next.turn.beat.saturating_add(1);
        change(&mut next);
        let swapped = swap(&*self.bucket, &next.to_bytes(), &When::Is(held.version.clone()));
        match swapped.map_err(objects.failed("write", HEAD)) {
            Ok(Some(version)) => {
                *held = Held { now: next, version };
                Ok(())
            }
            Ok(None) => {
                self.is_lost.store(true, Ordering::Release);
                Err(fenced(objects))
            }
            Err(error) => {
                // Whether it was moved nobody knows: only who takes the turn anew can tell.
                self.is_lost.store(true, Ordering::Release);
                Err(error)
            }
        }
    }
}

fn fenced(objects: &Objects) -> StorageError {
    StorageError::Fenced { path: objects.root().to_path_buf() }
}

/// Swaps the head; `None` if the condition does not hold. After a lost answer, and where the condition
/// fails, what stands there tells whether it was done: no two heads have the same bytes.
fn swap(bucket: &dyn Bucket, bytes: &[u8], when: &When) -> io::Result<Option<Version>> {
    try_again(bucket, |_| false, || swap_once(bucket, bytes, when))
}

fn swap_once(bucket: &dyn Bucket, bytes: &[u8], when: &When) -> io::Result<Option<Version>> {
    let failed = match bucket.put(HEAD, bytes, when) {
        Ok(Put::Done(version)) => return Ok(Some(version)),
        Ok(Put::Refused) => None,
        Err(error) => Some(error),
    };
    match (get_small(bucket, HEAD)?, failed) {
        (Some(part), _) if part.bytes == bytes => Ok(Some(part.version)),
        (part, Some(error)) if holds(when, part.as_ref().map(|part| &part.version)) => Err(error),
        (Some(_) | None, _) => Ok(None),
    }
}

fn holds(when: &When, found: Option<&Version>) -> bool {
    match when {
        When::Always => true,
        When::Absent => found.is_none(),
        When::Is(version) => found == Some(version),
    }
}
