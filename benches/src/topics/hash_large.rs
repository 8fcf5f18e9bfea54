//! One large file, hashed warm.

use std::{
    fs::{self, File},
    io::{Read as _, Write as _},
    path::Path,
    process::{Command, Stdio},
};

use griptrace_store::hashing::{HashOptions, hash_path};

use crate::{
    Failure,
    figure::{Figure, Runs},
    measure::{by_turns, number, repeat, timed},
    report::{Report, progress},
    rivals,
    setup::Setup,
};

/// Bytes that are written and read at a time.
const CHUNK_BYTES: usize = 1 << 20;
const RUNS: usize = 5;

pub(crate) fn measure(setup: &Setup, report: &mut Report) -> Result<(), Failure> {
    let mebibytes = setup.size(4_096, 4);
    let folder = setup.folder()?;
    let path = folder.path().join("large.bin");
    progress(&format!("writing a file of {mebibytes} MiB"));
    write(&path, mebibytes)?;
    warm(&path)?;
    let name = format!("one file of {mebibytes} MiB, warm");
    let mut ours = || hashed(&path);
    match rivals::b3sum() {
        Ok(program) => {
            let mut theirs = || b3sum(&program, &path);
            let [ours, theirs] = by_turns(setup.size(RUNS, 1), [&mut ours, &mut theirs])?;
            report.add(rate(mebibytes, &ours));
            report.add(Figure::new(name, ours, "s").beside("b3sum 1.8.7", theirs).ratio_at_most(1.0, 1.0 / 1.05));
        }
        Err(why) => {
            let ours = repeat(setup.size(RUNS, 1), ours)?;
            report.add(rate(mebibytes, &ours));
            report.add(Figure::new(name.clone(), ours, "s"));
            report.add(Figure::skipped(format!("{name}, beside b3sum"), &why));
        }
    }
    Ok(())
}

fn rate(mebibytes: usize, seconds: &Runs) -> Figure {
    let gigabytes = number(mebibytes) * 1.048_576e-3;
    Figure::new("the same as a rate (10^9 bytes)", seconds.rate(gigabytes), "GB/s")
}

/// Writes blocks that differ, so that nothing is stored as one.
fn write(path: &Path, mebibytes: usize) -> Result<(), Failure> {
    let mut file = File::create(path)?;
    let mut chunk: Vec<u8> = (0..CHUNK_BYTES).map(|at| at.wrapping_mul(0x9e37_79b1).to_le_bytes()[2]).collect();
    for number in 0..mebibytes {
        for (to, from) in chunk.iter_mut().zip(number.to_le_bytes()) {
            *to = from;
        }
        file.write_all(&chunk)?;
    }
    file.sync_all()?;
    Ok(())
}

fn warm(path: &Path) -> Result<(), Failure> {
    let mut file = File::open(path)?;
    let mut buffer = vec![0; CHUNK_BYTES];
    while file.read(&mut buffer)? > 0 {}
    let found = fs::metadata(path)?.len();
    if found == 0 { Err("the file is empty".into()) } else { Ok(()) }
}

fn hashed(path: &Path) -> Result<f64, Failure> {
    timed(|| Ok(hash_path(path, &HashOptions::default(), &|_, _, _, _| {})?)).map(|(seconds, _)| seconds)
}

fn b3sum(program: &Path, path: &Path) -> Result<f64, Failure> {
    let (seconds, status) = timed(|| Ok(Command::new(program).arg(path).stdout(Stdio::null()).status()?))?;
    if status.success() { Ok(seconds) } else { Err(format!("b3sum left with {status}").into()) }
}
