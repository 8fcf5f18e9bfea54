//! The director: one clock, one list of what happens when, and chance. It decides what becomes of each request, and
//! which process goes on; so the same seed gives the same run.

use core::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};
use std::{
    collections::BTreeMap,
    io,
    sync::{
        Arc, Mutex,
        mpsc::{Receiver, Sender, channel},
    },
    thread::{self, JoinHandle},
};

use super::{
    dice::Dice,
    place::{Answer, Ask, Place, no_answer},
    port::{Call, Port, Reply, Said},
    process::{Process, SharedWorld},
};
use crate::bucket::Put;

pub(super) const MILLI: u64 = 1_000;
pub(super) const SECOND: u64 = 1_000_000;

/// What happens at its time.
#[derive(Debug)]
enum Event {
    /// A request reaches the bucket; `to` waits for the answer, which takes so long.
    Arrive { ask: Ask, to: Option<(usize, u64)>, answer_after: u64 },
    /// A process goes on.
    Reply { process: usize, life: u64, reply: Reply },
    /// A process begins.
    Begin { process: usize, is_fresh: bool },
    /// The clients send what they have.
    Clients,
}

#[derive(Debug)]
struct Actor {
    replies: Sender<Reply>,
    calls: Receiver<Said>,
    thread: Option<JoinHandle<()>>,
    /// Counts the crashes: what was meant for an earlier life is dropped.
    life: u64,
    is_alive: bool,
    stopped_until: u64,
    cut_off_until: u64,
}

/// What becomes of a request.
#[derive(Clone, Copy, Debug)]
enum Fate {
    Fine,
    Lost,
    /// Done, and the answer lost.
    Persisted,
    /// No answer came, and it is done much later.
    Late,
    /// Done, and done again much later.
    Twice,
    /// Done, and the answer takes long.
    Slow,
    /// Refused at once by a bucket that has too much to do.
    Busy,
}

#[derive(Debug)]
pub(super) struct Director {
    pub(super) now: u64,
    clock: Arc<AtomicU64>,
    events: BTreeMap<(u64, u64), Event>,
    count: u64,
    dice: Dice,
    actors: Vec<Actor>,
    pub(super) place: Arc<Mutex<Place>>,
    pub(super) shared: Arc<SharedWorld>,
    pub(super) steps: u64,
    pub(super) trace: blake3::Hasher,
    /// How much goes wrong in bad weather, in hundredths of the usual.
    severity: u64,
    /// Whether clients think of new commits.
    pub(super) is_end: bool,
    pub(super) is_told: bool,
}

impl Director {
    pub(super) fn new(seed: u64, place: Arc<Mutex<Place>>, shared: Arc<SharedWorld>) -> Self {
        let mut dice = Dice::new(seed, 1);
        let severity = dice.between(10, 250);
        Self {
            now: 0,
            clock: Arc::default(),
            events: BTreeMap::new(),
            count: 0,
            dice,
            actors: Vec::new(),
            place,
            shared,
            steps: 0,
            trace: blake3::Hasher::new(),
            severity,
            is_end: false,
            is_told: std::env::var_os("GRIPTRACE_SIM_TOLD").is_some(),
        }
    }

    /// Adds a process, which begins at once.
    pub(super) fn add(&mut self, seed: u64, is_candidate: bool) {
        let number = self.actors.len();
        let (replies, from_director) = channel();
        let (to_director, calls) = channel();
        let port = Port::new(to_director, from_director, Arc::clone(&self.place), Arc::clone(&self.clock));
        let process = Process {
            number,
            port: Arc::new(port),
            shared: Arc::clone(&self.shared),
            dice: Dice::new(seed, 100 + u64::try_from(number).unwrap()),
            local: tempfile::tempdir().unwrap(),
            is_candidate,
            rate: self.dice.between(95, 106),
            key: 0,
            has_old_key: false,
        };
        let thread = Some(thread::Builder::new().spawn(|| process.run()).unwrap());
        let (life, is_alive, stopped_until, cut_off_until) = (0, false, 0, 0);
        self.actors.push(Actor { replies, calls, thread, life, is_alive, stopped_until, cut_off_until });
        self.shared.standings.lock().unwrap().push(None);
        self.after(0, Event::Begin { process: number, is_fresh: false });
    }

    fn after(&mut self, time: u64, event: Event) {
        self.count += 1;
        self.events.insert((self.now + time, self.count), event);
    }

    fn tell(&mut self, what: &str) {
        let line = format!("{} {what}\n", self.now);
        self.trace.update(line.as_bytes());
        if self.is_told {
            print!("{line}");
        }
    }

    /// Lets the next thing happen.
    pub(super) fn step(&mut self) {
        let Some(((time, _), event)) = self.events.pop_first() else { panic!("nothing happens any more") };
        self.now = time;
        self.clock.store(time, Ordering::SeqCst);
        self.steps += 1;
        match event {
            Event::Arrive { ask, to, answer_after } => {
                if let (true, Some((process, _))) = (self.is_told, to) {
                    print!("[{process}] ");
                }
                let answer = self.arrive(&ask);
                if let Some((process, life)) = to {
                    let reply = Reply::Answer(Ok(answer));
                    self.after(answer_after, Event::Reply { process, life, reply });
                }
            }
            Event::Reply { process, life, reply } => {
                if self.is_told && matches!(reply, Reply::Answer(Err(_))) {
                    println!("{} process {process} hears of an error", self.now);
                }
                self.reply(process, life, reply);
            }
            Event::Begin { process, is_fresh } => {
                self.tell(&format!("process {process} begins"));
                let actor = &mut self.actors[process];
                (actor.is_alive, actor.stopped_until, actor.cut_off_until) = (true, 0, 0);
                self.go_on(process, Reply::Begin { is_fresh });
            }
            Event::Clients => {
                let is_open: Vec<bool> = self.shared.standings.lock().unwrap().iter().map(Option::is_some).collect();
                self.shared.clients.lock().unwrap().go(self.now, self.is_end, &is_open);
                self.after(20 * MILLI, Event::Clients);
            }
        }
    }

    /// Begins to have clients.
    pub(super) fn open(&mut self) {
        self.after(0, Event::Clients);
    }

    /// Does what was asked.
    fn arrive(&mut self, ask: &Ask) -> Answer {
        let answer = self.place.lock().unwrap().serve(ask);
        self.tell(&format!("{} -> {}", ask.words(), answer.words()));
        if let (Ask::Put(name, bytes, _), Answer::Put(Put::Done(_))) = (ask, &answer) {
            let mut ledger = self.shared.ledger.lock().unwrap();
            match &**name {
                "checkpoint" => ledger.published(bytes),
                "head" => ledger.moved(bytes),
                _ => {}
            }
        }
        answer
    }

    fn reply(&mut self, process: usize, life: u64, reply: Reply) {
        let actor = &self.actors[process];
        if actor.life != life || !actor.is_alive {
            return;
        }
        let stopped_until = actor.stopped_until;
        if stopped_until > self.now {
            self.after(stopped_until - self.now, Event::Reply { process, life, reply });
            return;
        }
        self.go_on(process, reply);
    }

    /// Lets a process go on until it wants something again.
    fn go_on(&mut self, process: usize, reply: Reply) {
        self.actors[process].replies.send(reply).unwrap();
        let life = self.actors[process].life;
        let said = self.actors[process].calls.recv();
        let said = said.map(|(signed, call)| {
            let mut ledger = self.shared.ledger.lock().unwrap();
            signed.into_iter().for_each(|head| ledger.signed(head, &format!("process {process}")));
            call
        });
        match said {
            Ok(Call::Sleep(time)) => {
                let time = u64::try_from(time.as_micros()).unwrap();
                self.after(time, Event::Reply { process, life, reply: Reply::Woken });
            }
            Ok(Call::Ask(ask)) => self.ask(process, ask),
            Ok(Call::Ended) => {
                let actor = &mut self.actors[process];
                (actor.is_alive, actor.life) = (false, life + 1);
            }
            Err(_) => self.shared.ledger.lock().unwrap().fail(format!("process {process} panicked")),
        }
    }

    fn ask(&mut self, process: usize, ask: Ask) {
        if let Ask::Put(name, bytes, _) = &ask {
            self.shared.ledger.lock().unwrap().written(name, bytes);
        }
        let fate = self.fate(process);
        if !matches!(fate, Fate::Fine) {
            self.tell(&format!("process {process}: {fate:?}: {}", ask.words()));
        }
        let blow = if self.is_stormy() { self.strike(process) } else { None };
        // Who is stopped may be so just before its request goes out, or just after.
        let stopped_for = self.actors[process].stopped_until.saturating_sub(self.now);
        let held_back = if self.dice.hits(5_000) { stopped_for } else { 0 };
        let there = held_back + self.dice.between(MILLI / 2, 4 * MILLI);
        let back = self.dice.between(MILLI / 2, 4 * MILLI);
        let timeout = self.dice.between(50 * MILLI, SECOND);
        let later = timeout + self.dice.between(0, 30 * SECOND);
        let life = self.actors[process].life;
        let to = Some((process, life));
        match fate {
            Fate::Fine => self.after(there, Event::Arrive { ask, to, answer_after: back }),
            Fate::Slow => self.after(there, Event::Arrive { ask, to, answer_after: timeout * 3 }),
            Fate::Busy => self.fail(process, there + back, "too much to do"),
            Fate::Lost => self.fail(process, timeout, "no answer came"),
            Fate::Persisted => {
                self.after(there, Event::Arrive { ask, to: None, answer_after: 0 });
                self.fail(process, timeout, "no answer came");
            }
            Fate::Late => {
                self.after(later, Event::Arrive { ask, to: None, answer_after: 0 });
                self.fail(process, timeout, "no answer came");
            }
            Fate::Twice => {
                self.after(later, Event::Arrive { ask: ask.clone(), to: None, answer_after: 0 });
                self.after(there, Event::Arrive { ask, to, answer_after: back });
            }
        }
        if let Some(time) = blow {
            self.crash(process, time);
        }
    }

    fn fail(&mut self, process: usize, time: u64, why: &str) {
        let error = if why == "no answer came" { no_answer() } else { io::Error::other(why) };
        let life = self.actors[process].life;
        self.after(time, Event::Reply { process, life, reply: Reply::Answer(Err(error)) });
    }

    fn fate(&mut self, process: usize) -> Fate {
        if self.actors[process].cut_off_until > self.now {
            return if self.dice.hits(5_000) { Fate::Lost } else { Fate::Persisted };
        }
        let at = self.dice.between(0, 1_000_000);
        let each = 40 * self.severity;
        match at.checked_div(each) {
            _ if !self.is_stormy() => Fate::Fine,
            Some(0) => Fate::Lost,
            Some(1) => Fate::Persisted,
            Some(2) => Fate::Late,
            Some(3) => Fate::Twice,
            Some(4) => Fate::Slow,
            Some(5) => Fate::Busy,
            _ => Fate::Fine,
        }
    }

    /// Stops a process or cuts it off, now and then; or has it end, and tells for how long.
    fn strike(&mut self, process: usize) -> Option<u64> {
        let chance = self.dice.between(0, 1_000_000);
        let each = 5 * self.severity;
        let longest = if self.dice.hits(2_000) { 60 * SECOND } else { 15 * SECOND };
        let time = self.dice.between(SECOND / 2, longest);
        match chance / each {
            // The most dangerous of all: who wakes up believes that it writes.
            0..=3 => {
                self.tell(&format!("process {process} is stopped for {time}"));
                self.actors[process].stopped_until = self.now + time;
            }
            4 => {
                self.tell(&format!("process {process} is cut off for {time}"));
                self.actors[process].cut_off_until = self.now + time;
            }
            5 => return Some(time / 2),
            _ => {}
        }
        None
    }

    /// Ends a process between two of its steps, and has it begin again after a time.
    pub(super) fn crash(&mut self, process: usize, begin_after: u64) {
        if !self.actors[process].is_alive {
            return;
        }
        self.tell(&format!("process {process} crashes"));
        self.shared.clients.lock().unwrap().forget(process);
        self.go_on(process, Reply::Dead);
        let is_fresh = self.dice.hits(5_000);
        self.after(begin_after, Event::Begin { process, is_fresh });
    }

    fn is_stormy(&self) -> bool {
        self.shared.is_stormy.load(Ordering::SeqCst)
    }

    /// Lets things go wrong.
    pub(super) fn brew(&mut self) {
        self.shared.is_stormy.store(true, Ordering::SeqCst);
    }

    /// Ends all that goes wrong: who is stopped, away or dead is back, and what was under way arrives.
    pub(super) fn calm_down(&mut self) {
        self.shared.is_stormy.store(false, Ordering::SeqCst);
        for actor in &mut self.actors {
            (actor.stopped_until, actor.cut_off_until) = (0, 0);
        }
        for (at, event) in core::mem::take(&mut self.events) {
            let soon = match &event {
                Event::Arrive { .. } | Event::Begin { .. } => self.now,
                Event::Reply { reply: Reply::Answer(_), .. } => at.0.min(self.now + SECOND),
                Event::Reply { .. } | Event::Clients => at.0,
            };
            self.events.insert((soon, at.1), event);
        }
        self.shared.clients.lock().unwrap().lose_patience();
    }

    pub(super) fn are_all_ended(&self) -> bool {
        self.actors.iter().all(|actor| !actor.is_alive)
    }

    /// A port that answers at once.
    pub(super) fn still_port(&self) -> Arc<Port> {
        let (to_director, _) = channel();
        let (_, from_director) = channel();
        let port = Port::new(to_director, from_director, Arc::clone(&self.place), Arc::clone(&self.clock));
        port.still();
        Arc::new(port)
    }

    pub(super) fn elapsed(&self) -> Duration {
        Duration::from_micros(self.now)
    }
}

impl Drop for Director {
    fn drop(&mut self) {
        for actor in self.actors.drain(..) {
            let Actor { replies, calls, thread, .. } = actor;
            drop((replies, calls));
            // One that panicked was told of.
            drop(thread.map(JoinHandle::join));
        }
    }
}
