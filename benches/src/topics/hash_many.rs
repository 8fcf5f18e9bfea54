//! Many small files, hashed warm; and once more unchanged, with the cache of digests.

use core::time::Duration;
use std::{
    fs::{self, File},
    io::Write as _,
    path::Path,
    process::{Command, Stdio},
    thread,
    time::{SystemTime, UNIX_EPOCH},
};

use griptrace_store::hashing::{HashCache, HashOptions, hash_path};

use crate::{
    Failure,
    figure::{Figure, Runs},
    measure::{by_turns, repeat, timed},
    report::{Report, progress},
    rivals,
    setup::Setup,
};

const FOLDERS: usize = 200;
const FILE_BYTES: usize = 10 << 10;
const RUNS: usize = 5;
/// The cache trusts no file that changed in the last two seconds.
const SETTLING: Duration = Duration::from_secs(4);

pub(crate) fn measure(setup: &Setup, report: &mut Report) -> Result<(), Failure> {
    let (folders, each) = (setup.size(FOLDERS, 4), setup.size(1_000, 10));
    let count = folders * each;
    let folder = setup.folder()?;
    let data = folder.path().join("data");
    progress(&format!("writing {count} files of 10 KiB"));
    write(&data, folders, each)?;
    thread::sleep(SETTLING);
    let runs = setup.size(RUNS, 1);
    let name = format!("{count} files of 10 KiB in {folders} folders, warm");
    let mut ours = || hashed(&data, None, count, 0);
    ours()?;
    match rivals::b3sum() {
        Ok(program) => {
            let mut theirs = || b3sum(&program, &data);
            theirs()?;
            let [ours, theirs] = by_turns(runs, [&mut ours, &mut theirs])?;
            let rival = "find | xargs -n500 -P2 b3sum --num-threads 1";
            report.add(Figure::new(name, ours, "s").beside(rival, theirs).ratio_at_most(0.6, 0.5));
        }
        Err(why) => {
            report.add(Figure::new(name.clone(), repeat(runs, ours)?, "s"));
            report.add(Figure::skipped(format!("{name}, beside b3sum"), &why));
        }
    }
    let cache = folder.path().join("cache");
    let first = timed(|| cached(&data, &cache, count, 0))?.0;
    report.add(Figure::new("the same, filling the cache of digests", Runs::one(first), "s"));
    let again = repeat(runs, || cached(&data, &cache, count, count))?;
    report.add(Figure::new("the same unchanged, opening the cache counted", again, "s").at_most(1.0, 0.5));
    Ok(())
}

fn write(data: &Path, folders: usize, each: usize) -> Result<(), Failure> {
    let mut bytes = vec![7; FILE_BYTES];
    for folder in 0..folders {
        let path = data.join(format!("{folder:03}"));
        fs::create_dir_all(&path)?;
        for number in 0..each {
            for (to, from) in bytes.iter_mut().zip((folder * each + number).to_le_bytes()) {
                *to = from;
            }
            let mut file = File::create(path.join(format!("{number:04}.bin")))?;
            file.write_all(&bytes)?;
        }
    }
    Ok(())
}

/// Hashes all files, and makes sure that so many of them came from the cache.
fn hashed(data: &Path, cache: Option<&HashCache>, count: usize, from_cache: usize) -> Result<f64, Failure> {
    let options = HashOptions { cache, ..HashOptions::default() };
    let (seconds, hashed) = timed(|| Ok(hash_path(data, &options, &|_, _, _, _| {})?))?;
    if hashed.files.len() != count || hashed.cached != from_cache {
        let (files, cached) = (hashed.files.len(), hashed.cached);
        return Err(format!("{files} files and {cached} of them cached, not {count} and {from_cache}").into());
    }
    Ok(seconds)
}

/// The same with a cache that is opened for it, and closed again.
fn cached(data: &Path, cache: &Path, count: usize, from_cache: usize) -> Result<f64, Failure> {
    let (seconds, _) = timed(|| {
        let cache = HashCache::open(cache, now()?).ok_or("the cache cannot be opened")?;
        hashed(data, Some(&cache), count, from_cache)
    })?;
    Ok(seconds)
}

/// Returns what the program's clock would say.
#[expect(clippy::disallowed_methods, reason = "the cache compares it with the times of real files")]
fn now() -> Result<u64, Failure> {
    Ok(SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs())
}

fn b3sum(program: &Path, data: &Path) -> Result<f64, Failure> {
    let line = "find \"$1\" -type f -print0 | xargs -0 -n500 -P2 \"$2\" --num-threads 1";
    let mut command = Command::new("sh");
    command.args(["-c", line, "sh"]).arg(data).arg(program).stdout(Stdio::null());
    let (seconds, status) = timed(|| Ok(command.status()?))?;
    if status.success() { Ok(seconds) } else { Err(format!("find | xargs b3sum left with {status}").into()) }
}
