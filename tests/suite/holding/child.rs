//! The program that is killed, and what it had said until then.

use core::time::Duration;
use std::{
    fs,
    io::{BufRead as _, BufReader, Read as _},
    path::Path,
    process::{Child as Process, ChildStderr, ChildStdout, Command, Stdio},
    sync::{Arc, Condvar, Mutex},
    thread::{self, JoinHandle},
    time::Instant,
};

/// Longest time that a child has to do what it is waited for.
const PATIENCE: Duration = Duration::from_secs(120);

/// A running `griptrace-held`. It is killed when it is dropped.
pub(super) struct Child {
    process: Process,
    heard: Arc<Heard>,
    listener: Option<JoinHandle<()>>,
    complaints: Option<ChildStderr>,
}

#[derive(Default)]
struct Heard {
    /// Whole lines only: what was cut off by the end was not said.
    said: Mutex<Said>,
    news: Condvar,
}

#[derive(Default)]
struct Said {
    lines: Vec<String>,
    is_over: bool,
}

impl Child {
    /// Starts one that commits from `threads` threads, up to `nodes` nodes at a time.
    pub(super) fn commit(store: &Path, seed: u64, threads: u64, nodes: u64, env: &[(&str, &str)]) -> Self {
        let words = ["commit".to_owned(), path(store), seed.to_string(), threads.to_string(), nodes.to_string()];
        Self::start(&words, env)
    }

    /// Starts one that reads all, over and over.
    pub(super) fn read(store: &Path) -> Self {
        Self::start(&["read".to_owned(), path(store)], &[])
    }

    fn start(words: &[String], env: &[(&str, &str)]) -> Self {
        let mut process = Command::new(env!("CARGO_BIN_EXE_griptrace-held"))
            .args(words)
            .envs(env.iter().copied())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the child program can be started");
        let heard = Arc::new(Heard::default());
        let out = process.stdout.take().expect("it is piped");
        let listener = thread::spawn({
            let heard = Arc::clone(&heard);
            move || heard.listen(out)
        });
        let complaints = process.stderr.take();
        Self { process, heard, listener: Some(listener), complaints }
    }

    pub(super) fn id(&self) -> u32 {
        self.process.id()
    }

    /// Waits until it has said `count` lines that begin with `word`. Returns whether it has; it has not
    /// if it ended before.
    pub(super) fn wait_for(&self, word: &str, count: usize) -> bool {
        let start = Instant::now();
        let mut said = self.heard.said.lock().unwrap();
        loop {
            if said.lines.iter().filter(|line| line.starts_with(word)).count() >= count {
                return true;
            }
            let left = PATIENCE.saturating_sub(start.elapsed());
            assert!(!left.is_zero(), "the child did not say {word:?} {count} times in {PATIENCE:?}");
            if said.is_over {
                return false;
            }
            said = self.heard.news.wait_timeout(said, left).unwrap().0;
        }
    }

    /// Waits until it is open, which it has to become.
    pub(super) fn wait_until_open(&mut self) {
        let is_open = self.wait_for("open ", 1);
        assert!(is_open, "the child could not open the store: {}", self.complaints());
    }

    /// Stops it where it is, all its threads, and returns when they have stopped.
    pub(super) fn stop(&self) {
        let id = self.id();
        let sent = Command::new("sh").args(["-c", &format!("kill -STOP {id}")]).status();
        assert!(sent.is_ok_and(|status| status.success()), "process {id} can be stopped");
        let start = Instant::now();
        while !is_stopped(id) {
            assert!(start.elapsed() < PATIENCE, "process {id} does not stop");
            thread::sleep(Duration::from_millis(1));
        }
    }

    /// Kills it and returns all that it had said.
    ///
    /// # Panics
    /// If it had ended by itself: it has no reason to.
    pub(super) fn kill(mut self) -> Vec<String> {
        let ended = self.process.try_wait().unwrap();
        self.process.kill().unwrap();
        self.process.wait().unwrap();
        if let Some(status) = ended {
            panic!("the child ended by itself with {status}: {}", self.complaints());
        }
        self.lines()
    }

    /// Lets one that reads come to its end, and returns all that it said.
    ///
    /// # Panics
    /// If it failed.
    pub(super) fn finish(mut self) -> Vec<String> {
        drop(self.process.stdin.take());
        let status = self.process.wait().unwrap();
        assert!(status.success(), "the child ended with {status}: {}", self.complaints());
        self.lines()
    }

    fn lines(&mut self) -> Vec<String> {
        if let Some(listener) = self.listener.take() {
            listener.join().unwrap();
        }
        core::mem::take(&mut self.heard.said.lock().unwrap().lines)
    }

    fn complaints(&mut self) -> String {
        let mut text = String::new();
        if let Some(mut complaints) = self.complaints.take() {
            complaints.read_to_string(&mut text).unwrap();
        }
        text
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        // It may have ended already, which is all that is wanted.
        drop(self.process.kill());
        drop(self.process.wait());
    }
}

impl Heard {
    fn listen(&self, out: ChildStdout) {
        let mut out = BufReader::new(out);
        loop {
            let mut line = String::new();
            let read = out.read_line(&mut line).unwrap_or(0);
            let mut said = self.said.lock().unwrap();
            if read == 0 || !line.ends_with('\n') {
                said.is_over = true;
                self.news.notify_all();
                return;
            }
            said.lines.push(line.trim_end().to_owned());
            self.news.notify_all();
        }
    }
}

/// Tells whether every thread of a process has stopped, as Linux has it.
fn is_stopped(id: u32) -> bool {
    let tasks = fs::read_dir(format!("/proc/{id}/task")).expect("the process is there");
    tasks.flatten().all(|task| {
        let stat = fs::read_to_string(task.path().join("stat")).unwrap_or_default();
        let state = stat.rsplit_once(") ").and_then(|(_, rest)| rest.chars().next());
        state.is_none_or(|state| matches!(state, 'T' | 't'))
    })
}

fn path(path: &Path) -> String {
    path.to_str().expect("our paths are text").to_owned()
}
