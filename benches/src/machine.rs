//! What a reader has to know of the machine to compare figures.

use std::{fs, path::Path, thread};

/// Flags of the processor that hashing and signing depend on.
const FLAGS: &[&str] = &["sse4_1", "avx2", "avx512f", "avx512ifma", "sha_ni", "neon", "asimd", "sha2"];

/// Returns one line: processors, their flags, memory, the file system under the stores.
pub(crate) fn facts(temp: &Path) -> String {
    let cores = thread::available_parallelism().map_or(1, core::num::NonZero::get);
    let info = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let field = |name: &str| info.lines().find(|line| line.starts_with(name)).and_then(|line| line.split_once(':'));
    let model = field("model name").map_or("processor of unknown model", |(_, model)| model.trim());
    let flags: Vec<&str> = field("flags")
        .or_else(|| field("Features"))
        .map_or_else(Vec::new, |(_, all)| all.split_whitespace().filter(|flag| FLAGS.contains(flag)).collect());
    let memory = fs::read_to_string("/proc/meminfo").ok().and_then(|text| gibibytes(&text));
    let memory = memory.map_or_else(String::new, |memory| format!(", {memory} GiB of memory"));
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let system = file_system(temp).unwrap_or_else(|| "unknown".to_owned());
    format!(
        "machine: {cores} cores, {model} ({}){memory}, {} {}, file system of the stores: {system}",
        flags.join(" "),
        std::env::consts::OS,
        kernel.trim(),
    )
}

fn gibibytes(meminfo: &str) -> Option<u64> {
    let line = meminfo.lines().find(|line| line.starts_with("MemTotal:"))?;
    let kibibytes: u64 = line.split_whitespace().nth(1)?.parse().ok()?;
    Some(kibibytes.div_ceil(1 << 20))
}

/// Returns the type of the file system that a folder lies on: that of the longest mount above it.
fn file_system(folder: &Path) -> Option<String> {
    let folder = fs::canonicalize(folder).ok()?;
    let mounts = fs::read_to_string("/proc/mounts").ok()?;
    let above = mounts.lines().filter_map(|line| {
        let mut words = line.split(' ').skip(1);
        let (at, kind) = (words.next()?, words.next()?);
        folder.starts_with(at).then(|| (at.len(), kind.to_owned()))
    });
    above.max_by_key(|(length, _)| *length).map(|(_, kind)| kind)
}
