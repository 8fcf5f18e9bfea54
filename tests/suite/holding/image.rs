//! A journaled file system in a file, mounted, and taken away again however the test ends.

use core::time::Duration;
use std::{
    ffi::OsStr,
    fs::{self, File},
    path::{Path, PathBuf},
    process::Command,
    thread,
};

/// Size of an image: holes, mostly.
const IMAGE_BYTES: u64 = 256 << 20;
/// Tries to take a mount away, a tenth of a second apart: what a killed process held is let go late.
const TRIES: u32 = 100;

/// Why there is no file system to be had.
#[derive(Debug)]
pub(crate) enum Unavailable {
    /// A program that could be installed.
    Program(&'static str),
    /// The machine, or who one is on it.
    Machine(String),
}

/// A mounted image; unmounted when dropped, on which its loop device goes too.
pub(crate) struct Mount {
    at: PathBuf,
}

/// Makes an image with an empty ext4 with a journal.
pub(crate) fn make(image: &Path) -> Result<(), Unavailable> {
    let size = File::create(image).and_then(|file| file.set_len(IMAGE_BYTES));
    size.expect("an image can be made in a temporary folder");
    for (program, package) in [("mkfs.ext4", "mkfs.ext4 (e2fsprogs)"), ("mount", "mount"), ("losetup", "losetup")] {
        if command(program).arg("--version").output().is_err() {
            return Err(Unavailable::Program(package));
        }
    }
    run("mkfs.ext4", &["-q".as_ref(), "-F".as_ref(), "-E".as_ref(), "nodiscard".as_ref(), image.as_os_str()])
        .map_err(Unavailable::Machine)
}

impl Mount {
    /// Mounts an image at a folder, which is made. Its own five-second commits are put off, so that
    /// only what somebody waits for reaches the disk.
    pub(crate) fn new(image: &Path, at: &Path) -> Result<Self, String> {
        fs::create_dir_all(at).expect("a folder can be made in a temporary folder");
        let options = "loop,data=ordered,commit=300";
        run(
            "mount",
            &["-t".as_ref(), "ext4".as_ref(), "-o".as_ref(), options.as_ref(), image.as_os_str(), at.as_os_str()],
        )?;
        Ok(Self { at: at.to_path_buf() })
    }

    /// Mounts a file system of a size in memory, which is not there before or afterwards.
    pub(crate) fn in_memory(at: &Path, kib: u64) -> Result<Self, String> {
        fs::create_dir_all(at).expect("a folder can be made in a temporary folder");
        let options = format!("size={kib}k");
        run(
            "mount",
            &["-t".as_ref(), "tmpfs".as_ref(), "-o".as_ref(), options.as_ref(), "tmpfs".as_ref(), at.as_os_str()],
        )?;
        Ok(Self { at: at.to_path_buf() })
    }
}

impl Drop for Mount {
    #[expect(clippy::print_stderr, reason = "what is left behind has to be seen, and a panic in here could abort")]
    fn drop(&mut self) {
        for _ in 0..TRIES {
            if run("umount", &[self.at.as_os_str()]).is_ok() {
                return;
            }
            thread::sleep(Duration::from_millis(100));
        }
        // Out of the way at least, and gone with whoever still holds it.
        if let Err(error) = run("umount", &["-l".as_ref(), self.at.as_os_str()]) {
            eprintln!("cannot unmount {}: {error}", self.at.display());
        }
    }
}

/// Copies an image as it is at this moment: what has reached the disk, and nothing that is waiting to.
pub(crate) fn copy(from: &Path, to: &Path) -> Result<(), String> {
    run("cp", &["--sparse=always".as_ref(), from.as_os_str(), to.as_os_str()])
}

/// What makes file systems lies where only root looks.
fn command(program: &str) -> Command {
    let mut path = std::env::var_os("PATH").unwrap_or_default();
    path.push(":/usr/sbin:/sbin");
    let mut command = Command::new(program);
    command.env("PATH", path);
    command
}

fn run(program: &str, arguments: &[&OsStr]) -> Result<(), String> {
    let output = command(program).args(arguments).output().map_err(|error| format!("{program}: {error}"))?;
    if output.status.success() {
        return Ok(());
    }
    Err(format!("{program} {arguments:?}: {}", String::from_utf8_lossy(&output.stderr).trim()))
}
