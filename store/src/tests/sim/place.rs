//! The simulated object store: what it holds, what it is asked, and how it may be broken on purpose.

use core::ops::Range;
use std::io;

use griptrace_core::id::NodeId;

use crate::bucket::{Bucket as _, MemoryBucket, Part, Put, Version, When};

/// A bug that is planted in the object store, for the simulator to find.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Flaw {
    None,
    /// `If-Match` is ignored for objects whose name begins so: for the head nobody is fenced off.
    IgnoresVersionOf(&'static str),
    /// `If-None-Match` is ignored.
    IgnoresAbsence,
    /// A write that was refused is said to be done.
    SaysDone,
}

const ERASING: &str = "erasing/";

/// A request.
#[derive(Clone, Debug)]
pub(super) enum Ask {
    Get(String, Option<Range<u64>>),
    Put(String, Vec<u8>, When),
    List(String, Option<String>, usize),
    Remove(String),
}

/// What it was answered.
#[derive(Clone, Debug)]
pub(super) enum Answer {
    Part(Option<Part>),
    Put(Put),
    Names(Vec<String>),
    Removed,
}

impl Ask {
    /// What it is about, for the trace.
    pub(super) fn words(&self) -> String {
        // Ids of Erasures are random.
        let name_of = |name: &str| if name.starts_with(ERASING) { ERASING.to_owned() } else { name.to_owned() };
        match self {
            Self::Get(name, range) => format!("get {} {range:?}", name_of(name)),
            Self::Put(name, bytes, when) => {
                let name = name_of(name);
                let when = match when {
                    When::Always => "always",
                    When::Absent => "if absent",
                    When::Is(_) => "if the same",
                };
                format!("put {name} {} {when}", bytes.len())
            }
            Self::List(folder, after, limit) => format!("list {folder} {after:?} {limit}"),
            Self::Remove(name) => format!("remove {}", name_of(name)),
        }
    }
}

impl Answer {
    /// What it says, for the trace: no bytes, since ids of writers are random.
    pub(super) fn words(&self) -> String {
        match self {
            Self::Part(part) => format!("{:?}", part.as_ref().map(|part| (part.bytes.len(), part.length))),
            Self::Put(Put::Done(_)) => "done".to_owned(),
            Self::Put(Put::Refused) => "refused".to_owned(),
            Self::Names(names) if names.iter().any(|name| NodeId::from_hex(name).is_some()) => {
                format!("{} ids", names.len())
            }
            Self::Names(names) => format!("{names:?}"),
            Self::Removed => "removed".to_owned(),
        }
    }
}

/// The objects. A version is the digest of the bytes, as it is at S3: who puts back what was there before gives it its
/// old version.
#[derive(Debug)]
pub(super) struct Place {
    pub(super) objects: MemoryBucket,
    flaw: Flaw,
}

fn version(bytes: &[u8]) -> Version {
    Version(blake3::hash(bytes).to_hex().to_string())
}

impl Place {
    pub(super) fn new(flaw: Flaw) -> Self {
        Self { objects: MemoryBucket::default(), flaw }
    }

    fn found(&self, name: &str) -> Option<Part> {
        self.objects.get(name, None).unwrap()
    }

    pub(super) fn serve(&mut self, ask: &Ask) -> Answer {
        match ask {
            Ask::Get(name, range) => Answer::Part(self.found(name).map(|whole| Part {
                version: version(&whole.bytes),
                ..self.objects.get(name, range.clone()).unwrap().unwrap()
            })),
            Ask::Put(name, bytes, when) => Answer::Put(self.put(name, bytes, when)),
            Ask::List(folder, after, limit) => {
                Answer::Names(self.objects.list(folder, after.as_deref(), *limit).unwrap())
            }
            Ask::Remove(name) => {
                self.objects.remove(name).unwrap();
                Answer::Removed
            }
        }
    }

    fn put(&mut self, name: &str, bytes: &[u8], when: &When) -> Put {
        let found = self.found(name);
        let holds = match when {
            When::Always => true,
            When::Absent => found.is_none() || self.flaw == Flaw::IgnoresAbsence,
            When::Is(expected) => {
                let is_ignored = match self.flaw {
                    Flaw::IgnoresVersionOf(begins) => name.starts_with(begins),
                    Flaw::None | Flaw::IgnoresAbsence | Flaw::SaysDone => false,
                };
                is_ignored || found.is_some_and(|part| version(&part.bytes) == *expected)
            }
        };
        if holds {
            self.objects.put(name, bytes, &When::Always).unwrap();
        }
        if holds || self.flaw == Flaw::SaysDone { Put::Done(version(bytes)) } else { Put::Refused }
    }
}

/// Says that no answer came.
pub(super) fn no_answer() -> io::Error {
    io::Error::new(io::ErrorKind::TimedOut, "no answer came")
}
