//! What others made, where `benches/rivals/install.sh` puts it.

use std::{
    env,
    path::{Path, PathBuf},
    process::Command,
};

use crate::{Failure, setup::Setup};

/// The version of b3sum that the figures are for.
const B3SUM: &str = "b3sum 1.8.7";

/// Returns the folder of what was built: that above the one of this program.
fn target() -> Option<PathBuf> {
    let program = env::current_exe().ok()?;
    Some(program.parent()?.parent()?.to_path_buf())
}

/// Finds b3sum in the version that the figures are for.
pub(crate) fn b3sum() -> Result<PathBuf, Failure> {
    let missing = || format!("{B3SUM} is not installed; run benches/rivals/install.sh");
    let path = target().ok_or_else(missing)?.join("rivals/bin/b3sum");
    let output = Command::new(&path).arg("--version").output().map_err(|_| missing())?;
    let said = String::from_utf8_lossy(&output.stdout);
    if said.trim() == B3SUM { Ok(path) } else { Err(format!("{} is there; {}", said.trim(), missing()).into()) }
}

/// Finds the Python that has ml-metadata.
pub(crate) fn mlmd_python() -> Result<PathBuf, Failure> {
    let path = target().map(|target| target.join("rivals/mlmd/bin/python")).filter(|path| path.exists());
    path.ok_or_else(|| "ml-metadata 1.17.1 is not installed; run benches/rivals/install.sh".into())
}

/// Returns the `griptrace` program beside this one. For a measurement it is built first, so that
/// no old one is measured; a trial takes it as it is there.
pub(crate) fn griptrace(setup: &Setup) -> Result<PathBuf, Failure> {
    if !setup.smoke {
        let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        let built = Command::new(cargo)
            .args(["build", "--quiet", "--release", "--package", "griptrace-cli"])
            .current_dir(root)
            .env("CARGO_TARGET_DIR", target().ok_or("this program lies nowhere")?)
            .status()?;
        if !built.success() {
            return Err("griptrace cannot be built: cargo build --release -p griptrace-cli".into());
        }
    }
    let beside = env::current_exe()?.with_file_name("griptrace");
    if beside.exists() {
        return Ok(beside);
    }
    Err("griptrace is not built; run cargo build --release -p griptrace-cli".into())
}
