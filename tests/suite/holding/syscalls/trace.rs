//! `strace`: which system calls a program makes of the file system, and one of them that goes wrong.

use core::time::Duration;
use std::{
    collections::BTreeMap,
    fs::{self, File},
    os::unix::process::{CommandExt as _, ExitStatusExt as _},
    path::Path,
    process::{Command, Stdio},
    thread,
    time::Instant,
};

/// What stands in a command line for the place where it is run.
pub(super) const PLACE: &str = "{place}";
/// The longest that a program may take: more, and it hangs.
const PATIENCE: Duration = Duration::from_secs(120);
/// Rust's own beginning asks with this call whether the first three descriptors are open; what comes before it is the
/// dynamic loader's.
const BEGINNING: &str = "poll";
/// What is no call of the file system, though it takes a descriptor.
const OTHERS: [&str; 11] = [
    "poll",
    "ppoll",
    "ioctl",
    "epoll_create1",
    "epoll_ctl",
    "epoll_wait",
    "eventfd2",
    "execve",
    "dup",
    "dup3",
    "pipe2",
];
/// What `fcntl` is asked of the table of descriptors, where no file is touched; Rust asks before each `close` of a debug build.
const OF_THE_TABLE: [&str; 4] = ["F_GETFD", "F_SETFD", "F_GETFL", "F_DUPFD_CLOEXEC"];

/// What happens at a call.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) enum Blow {
    /// It fails: the disk is broken.
    Io,
    /// It fails: the disk is full.
    Space,
    /// The program is killed before it.
    Kill,
}

pub(super) const BLOWS: [Blow; 3] = [Blow::Io, Blow::Space, Blow::Kill];

impl Blow {
    const fn option(self) -> &'static str {
        match self {
            Self::Io => "error=EIO",
            Self::Space => "error=ENOSPC",
            Self::Kill => "signal=KILL",
        }
    }

    /// What the system calls it.
    pub(super) const fn message(self) -> &'static str {
        match self {
            Self::Io => "Input/output error",
            Self::Space => "No space left on device",
            Self::Kill => "",
        }
    }
}

/// One occurrence of one system call.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) struct Point {
    /// The system call.
    pub(super) call: String,
    /// Which occurrence, from 1; `strace` counts for each thread.
    pub(super) nth: u64,
    /// Counted are only calls with this file, below the place. So are those of other threads than the first, since
    /// the same number in the first may be the dynamic loader's.
    pub(super) only: Option<String>,
    /// What it is done to, below the place, with `#` for what differs between runs.
    pub(super) object: String,
}

/// What a program's calls were.
#[derive(Default)]
pub(super) struct Calls {
    pub(super) points: Vec<Point>,
    /// Those that nothing is done to, and how many there are, by why.
    pub(super) left: BTreeMap<String, u64>,
}

/// How a program ended.
pub(super) struct Ran {
    /// The exit code; `None` if it was killed.
    pub(super) code: Option<i32>,
    pub(super) out: String,
    pub(super) err: String,
    /// The lines of `strace`.
    pub(super) lines: String,
}

impl Ran {
    /// Returns the calls that failed, as `strace` has them.
    pub(super) fn injected(&self) -> Vec<&str> {
        self.lines.lines().filter(|line| line.contains("(INJECTED)")).collect()
    }
}

/// Tells why nothing can be traced here, if so: `None` where there is no `strace`.
pub(super) fn why_not() -> Result<(), Option<String>> {
    let tried = Command::new("strace").args(["-f", "-o", "/dev/null", "true"]).output().map_err(|_| None)?;
    if tried.status.success() {
        return Ok(());
    }
    Err(Some(String::from_utf8_lossy(&tried.stderr).trim().to_owned()))
}

/// Runs a program at a place: a folder with `project`, where it runs, and beside it what it writes. Returns `None` if it did
/// not end.
pub(super) fn run(place: &Path, program: &[String], strace: Option<&[String]>) -> Option<Ran> {
    let file = |name: &str| File::create(place.join(name)).unwrap();
    let log = place.join("strace");
    drop(file("strace"));
    let program = program.iter().map(|word| word.replace(PLACE, place.to_str().unwrap()));
    let mut words: Vec<String> = Vec::new();
    if let Some(options) = strace {
        words.extend(["strace", "-f", "-y", "-o", log.to_str().unwrap()].map(str::to_owned));
        words.extend(options.iter().cloned().chain(["--".to_owned()]));
    }
    words.extend(program);
    let mut child = Command::new(&words[0])
        .args(&words[1..])
        .current_dir(place.join("project"))
        .env_remove("GRIPTRACE_STORE")
        .env_remove("GRIPTRACE_PASSPHRASE")
        // As few threads as there can be, so that a number leads to the same call each time.
        .env("RAYON_NUM_THREADS", "1")
        .stdin(Stdio::null())
        .stdout(file("stdout"))
        .stderr(file("stderr"))
        .process_group(0)
        .spawn()
        .unwrap();
    let start = Instant::now();
    let status = loop {
        if let Some(status) = child.try_wait().unwrap() {
            break status;
        }
        if start.elapsed() > PATIENCE {
            let group = format!("-{}", child.id());
            Command::new("kill").args(["-KILL", "--", &group]).status().unwrap();
            child.wait().unwrap();
            return None;
        }
        thread::sleep(Duration::from_millis(1));
    };
    let read = |name: &str| String::from_utf8_lossy(&fs::read(place.join(name)).unwrap()).into_owned();
    // A program that was killed takes `strace` along.
    let code = if status.signal().is_some() { None } else { status.code() };
    Some(Ran { code, out: read("stdout"), err: read("stderr"), lines: read("strace") })
}

/// Runs a program and returns its calls.
pub(super) fn count(place: &Path, program: &[String]) -> (Ran, Calls) {
    let options = ["-e", "trace=%file,%desc,sync"].map(str::to_owned);
    let ran = run(place, program, Some(&options)).expect("the program ends");
    let calls = calls_of(place, &ran.lines);
    (ran, calls)
}

/// Runs a program with a blow at one call.
pub(super) fn strike(place: &Path, program: &[String], point: &Point, blow: Blow) -> Option<Ran> {
    let mut options = vec!["-e".to_owned(), format!("trace={}", point.call), "-e".to_owned()];
    options.push(format!("inject={}:{}:when={}", point.call, blow.option(), point.nth));
    if let Some(only) = &point.only {
        options.extend(["-P".to_owned(), format!("{}{only}", place.to_str().unwrap())]);
    }
    run(place, program, Some(&options))
}

/// Returns what a message about a call may name: the files in the line of `strace`, without their folders.
pub(super) fn names(line: &str) -> Vec<&str> {
    if line.contains("/stdout>") {
        return vec!["standard output"];
    }
    if line.contains("getcwd(") {
        return vec!["current folder"];
    }
    let parts = line.split(['<', '>', '"']).filter(|part| part.starts_with('/'));
    parts.filter_map(|path| path.rsplit('/').next()).filter(|name| !name.is_empty()).collect()
}

/// Reads what `strace` said.
fn calls_of(place: &Path, lines: &str) -> Calls {
    let mut calls = Calls::default();
    let mut numbers: BTreeMap<(&str, &str, Option<String>), u64> = BTreeMap::new();
    let first = lines.split_once(' ').map_or("", |(thread, _)| thread);
    let mut has_begun = false;
    for (thread, rest) in lines.lines().filter_map(|line| line.split_once(' ')) {
        let Some((call, arguments)) = rest.trim_start().split_once('(') else { continue };
        if !call.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_') {
            continue; // How a call went on, or a thread ended.
        }
        let mut count = |only: Option<String>| {
            let number = numbers.entry((thread, call, only)).or_default();
            *number += 1;
            *number
        };
        has_begun |= call == BEGINNING;
        let paths = paths_of(place, arguments);
        let (plain, object) = (count(None), object_of(place, call, arguments));
        let why = if has_begun {
            why_left(call, arguments)
        } else {
            Some("the dynamic loader's, before the program".to_owned())
        };
        if let Some(why) = why {
            *calls.left.entry(why).or_default() += 1;
            continue;
        }
        let call = call.to_owned();
        if thread == first {
            calls.points.push(Point { call, nth: plain, only: None, object });
            continue;
        }
        let Some(only) = paths.into_iter().find(|path| !path.contains("/tmp/")) else {
            let why = format!("{call} of {object} in another thread, which can't be told from others");
            *calls.left.entry(why).or_default() += 1;
            continue;
        };
        let nth = count(Some(only.clone()));
        calls.points.push(Point { call, nth, only: Some(only), object });
    }
    assert!(has_begun, "the program never called {BEGINNING}, so that nobody knows where it begins");
    calls.points.sort();
    // Threads that do the same are struck together.
    calls.points.dedup();
    calls
}

/// Tells why nothing is done to a call.
fn why_left(call: &str, arguments: &str) -> Option<String> {
    if OTHERS.contains(&call) {
        return Some(format!("{call}: no call of the file system"));
    }
    if call == "mmap" && arguments.contains("MAP_ANONYMOUS") {
        return Some("mmap of memory".to_owned());
    }
    if call == "fcntl" && OF_THE_TABLE.iter().any(|what| arguments.contains(what)) {
        return Some("fcntl of the table of descriptors: no file is touched".to_owned());
    }
    None
}

/// Returns the files that a call names and that lie at the place, from there on.
fn paths_of(place: &Path, arguments: &str) -> Vec<String> {
    let place = place.to_str().unwrap();
    let named = arguments.split(['<', '>', '"']).filter_map(|part| part.strip_prefix(place));
    named.filter(|path| !path.is_empty()).map(str::to_owned).collect()
}

/// Returns what a call is about, with `#` for numbers of processes.
fn object_of(place: &Path, call: &str, arguments: &str) -> String {
    let mut object = paths_of(place, arguments).pop().unwrap_or_else(|| {
        let parts: Vec<&str> = arguments.split(['<', '>', '"']).collect();
        parts.iter().rfind(|part| part.starts_with('/')).map_or_else(|| "nothing".to_owned(), ToString::to_string)
    });
    // A name below an open folder.
    let takes_names = call.ends_with("at") || call == "statx";
    let below = arguments.split_once(">, \"").filter(|(_, name)| takes_names && !name.starts_with(['/', '"']));
    if let Some((_, name)) = below {
        object = format!("{object}/{}", name.split('"').next().unwrap_or_default());
    }
    for folder in ["/store/tmp/", "/proc/"] {
        if let Some((before, after)) = object.split_once(folder) {
            let rest = after.split_once('/').map_or("", |(_, rest)| rest);
            object = format!("{before}{folder}#{}{rest}", if rest.is_empty() { "" } else { "/" });
        }
    }
    if let Some((_, shared)) = object.split_once("/shared/") {
        return format!("shared/{shared}");
    }
    object.trim_start_matches("/project/").to_owned()
}

#[test]
fn calls_are_read_as_strace_writes_them() {
    let lines = "7 execve(\"/bin/griptrace\", [\"griptrace\"], 0x7ffe /* 36 vars */) = 0\n\
        7 openat(AT_FDCWD</p/project>, \"/etc/ld.so.cache\", O_RDONLY) = 3</etc/ld.so.cache>\n\
        7 poll([{fd=0</dev/null>, events=0}], 3, 0) = 0 (Timeout)\n\
        7 openat(AT_FDCWD</p/project>, \"/p/project/store/head\", O_RDWR) = 3</p/project/store/head>\n\
        7 rename(\"/p/project/store/tmp/7-0\", \"/p/project/store/checkpoint\") = 0\n\
        9 pread64(3</p/project/store/head>, \"\\1\"..., 1, 0 <unfinished ...>\n\
        7 unlinkat(4</p/project/store/index>, \"db\", 0) = 0\n\
        9 <... pread64 resumed>) = 1\n\
        7 fcntl(3</p/project/store/head>, F_GETFD) = 0x1 (flags FD_CLOEXEC)\n\
        7 +++ exited with 0 +++\n";
    let calls = calls_of(Path::new("/p"), lines);
    let said: Vec<String> = calls
        .points
        .iter()
        .map(|point| format!("{} {} {} {:?}", point.call, point.nth, point.object, point.only))
        .collect();
    assert_eq!(
        said,
        [
            "openat 2 store/head None",
            "pread64 1 store/head Some(\"/project/store/head\")",
            "rename 1 store/checkpoint None",
            "unlinkat 1 store/index/db None",
        ]
    );
    assert_eq!(calls.left.values().sum::<u64>(), 4, "{:?}", calls.left);
}
