//! What a simulated process sees of the world: the bucket, a clock, and that it is still alive.
//!
//! Each process is a thread, of which one goes at a time: every call here hands over to the director,
//! and returns when the director says so.

use core::{
    ops::Range,
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
    time::Duration,
};
use std::{
    io,
    path::Path,
    sync::{
        Arc, Mutex,
        mpsc::{Receiver, Sender},
    },
};

use super::place::{Answer, Ask, Place, no_answer};
use crate::{
    bucket::{Bucket, Part, Put, When},
    head::{Head, SIGNED},
};

/// What a process wants of the director.
#[derive(Debug)]
pub(super) enum Call {
    Ask(Ask),
    Sleep(Duration),
    /// It is dead, and its memory gone.
    Ended,
}

/// What a process signed since it was heard last, and what it wants.
pub(super) type Said = (Vec<Head>, Call);

/// What the director lets it go on with.
#[derive(Debug)]
pub(super) enum Reply {
    /// It begins, with a folder of its own that is empty, or the one it had.
    Begin {
        is_fresh: bool,
    },
    Answer(io::Result<Answer>),
    Woken,
    /// It crashed.
    Dead,
}

#[derive(Debug)]
pub(super) struct Port {
    calls: Sender<Said>,
    replies: Mutex<Receiver<Reply>>,
    place: Arc<Mutex<Place>>,
    is_dead: AtomicBool,
    /// Everything is done at once, and nothing fails: the simulation is over.
    is_still: AtomicBool,
    /// Microseconds of the simulation.
    now: Arc<AtomicU64>,
}

impl Port {
    pub(super) fn new(
        calls: Sender<Said>,
        replies: Receiver<Reply>,
        place: Arc<Mutex<Place>>,
        now: Arc<AtomicU64>,
    ) -> Self {
        let (is_dead, is_still) = (AtomicBool::new(true), AtomicBool::new(false));
        Self { calls, replies: Mutex::new(replies), place, is_dead, is_still, now }
    }

    /// Does everything at once from now on.
    pub(super) fn still(&self) {
        self.is_still.store(true, Ordering::SeqCst);
    }

    pub(super) fn is_dead(&self) -> bool {
        self.is_dead.load(Ordering::SeqCst)
    }

    pub(super) fn now(&self) -> u64 {
        self.now.load(Ordering::SeqCst)
    }

    /// Waits to be begun; `None` if the simulation is over.
    pub(super) fn begin(&self) -> Option<bool> {
        match self.replies.lock().unwrap().recv() {
            Ok(Reply::Begin { is_fresh }) => {
                self.is_dead.store(false, Ordering::SeqCst);
                drop(SIGNED.take());
                Some(is_fresh)
            }
            Ok(reply) => panic!("{reply:?} to a process that was not begun"),
            Err(_) => None,
        }
    }

    /// Says that the process ended.
    pub(super) fn end(&self) {
        self.is_dead.store(true, Ordering::SeqCst);
        drop(self.calls.send((Vec::new(), Call::Ended)));
    }

    fn call(&self, call: Call) -> Option<Reply> {
        if self.is_dead() {
            return None;
        }
        let reply = self.calls.send((SIGNED.take(), call)).ok().and_then(|()| self.replies.lock().unwrap().recv().ok());
        if matches!(reply, None | Some(Reply::Dead)) {
            self.is_dead.store(true, Ordering::SeqCst);
            return None;
        }
        reply
    }

    fn ask(&self, ask: Ask) -> io::Result<Answer> {
        if self.is_still.load(Ordering::SeqCst) {
            return Ok(self.place.lock().unwrap().serve(&ask));
        }
        match self.call(Call::Ask(ask)) {
            Some(Reply::Answer(answer)) => answer,
            Some(reply) => panic!("{reply:?} to a question"),
            None => Err(no_answer()),
        }
    }

    /// Sleeps; returns at once if the process is dead.
    pub(super) fn sleep(&self, time: Duration) {
        if !self.is_still.load(Ordering::SeqCst) {
            drop(self.call(Call::Sleep(time)));
        }
    }
}

impl Bucket for Port {
    fn address(&self) -> String {
        "simulated:".to_owned()
    }

    fn get(&self, name: &str, range: Option<Range<u64>>) -> io::Result<Option<Part>> {
        let answer = self.ask(Ask::Get(name.to_owned(), range))?;
        let Answer::Part(part) = answer else { panic!("{answer:?} to a read") };
        Ok(part)
    }

    fn put(&self, name: &str, bytes: &[u8], when: &When) -> io::Result<Put> {
        let answer = self.ask(Ask::Put(name.to_owned(), bytes.to_vec(), when.clone()))?;
        let Answer::Put(put) = answer else { panic!("{answer:?} to a write") };
        Ok(put)
    }

    fn put_file(&self, name: &str, file: &Path) -> io::Result<()> {
        self.put(name, &std::fs::read(file)?, &When::Always).map(|_| ())
    }

    fn list(&self, folder: &str, after: Option<&str>, limit: usize) -> io::Result<Vec<String>> {
        let answer = self.ask(Ask::List(folder.to_owned(), after.map(str::to_owned), limit))?;
        let Answer::Names(names) = answer else { panic!("{answer:?} to a list") };
        Ok(names)
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        self.ask(Ask::Remove(name.to_owned())).map(|_| ())
    }

    fn has_threads(&self) -> bool {
        false
    }

    fn pause(&self, time: Duration) {
        self.sleep(time);
    }
}
