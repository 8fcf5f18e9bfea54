//! Runs the programs as a person would, and shows what was typed.

use std::{
    ffi::OsString,
    path::{Path, PathBuf},
    process::{Command, Output as Finished},
};

use crate::{error::CommandError, output::Output};

/// The two programs.
#[derive(Debug)]
pub(super) struct Shell<'a> {
    out: &'a Output,
    griptrace: PathBuf,
    verifier: PathBuf,
}

/// What a program said and how it ended.
#[derive(Debug)]
pub(super) struct Said {
    pub(super) code: i32,
    pub(super) text: String,
}

impl<'a> Shell<'a> {
    /// Finds this program, and `griptrace-verify` beside it; has cargo build that if it is not there.
    pub(super) fn new(out: &'a Output) -> Result<Self, CommandError> {
        let griptrace = std::env::current_exe()?;
        let verifier = find_verifier(&griptrace, out)?;
        Ok(Self { out, griptrace, verifier })
    }

    /// Runs `griptrace` with these arguments, shows the command, and returns what it printed.
    pub(super) fn run(&self, args: &[&str]) -> Result<String, CommandError> {
        self.out.line(format_args!("   $ griptrace {}", quoted(args)))?;
        self.run_quietly(args)
    }

    /// Runs `griptrace` without showing it.
    pub(super) fn run_quietly(&self, args: &[&str]) -> Result<String, CommandError> {
        let finished = Command::new(&self.griptrace).args(args).output()?;
        let said = text_of(&finished);
        if finished.status.success() {
            return Ok(String::from_utf8_lossy(&finished.stdout).into_owned());
        }
        Err(CommandError::failed(format!("`griptrace {}` left with {}", quoted(args), finished.status)).with_hint(said))
    }

    /// Runs `griptrace-verify`, and shows command and report if asked to.
    pub(super) fn verify(&self, args: &[OsString], show: bool) -> Result<Said, CommandError> {
        if show {
            self.out.line(format_args!("   $ {}", self.verify_line(args)))?;
        }
        let finished = Command::new(&self.verifier).args(args).output()?;
        let text = text_of(&finished);
        if show {
            self.out.line("")?;
            text.lines().try_for_each(|line| self.out.line(format_args!("   {line}")))?;
        }
        Ok(Said { code: finished.status.code().unwrap_or(2), text })
    }

    /// The exact command, with a path that works from the folder in which the demo was run.
    pub(super) fn verify_line(&self, args: &[OsString]) -> String {
        let args: Vec<String> = args.iter().map(|arg| arg.to_string_lossy().into_owned()).collect();
        let args: Vec<&str> = args.iter().map(String::as_str).collect();
        format!("{} {}", quoted(&[&short(&self.verifier)]), quoted(&args))
    }

    /// Where the talk goes.
    pub(super) const fn out(&self) -> &Output {
        self.out
    }
}

fn text_of(finished: &Finished) -> String {
    let mut text = String::from_utf8_lossy(&finished.stdout).into_owned();
    text.push_str(&String::from_utf8_lossy(&finished.stderr));
    text
}

/// Names a program relative to the current folder where it lies below it.
fn short(path: &Path) -> String {
    let here = std::env::current_dir().and_then(|here| here.canonicalize());
    let full = path.canonicalize().unwrap_or_else(|_| path.to_path_buf());
    here.ok().and_then(|here| full.strip_prefix(here).map(Path::to_path_buf).ok()).unwrap_or(full).display().to_string()
}

fn quoted(args: &[&str]) -> String {
    let plain = |arg: &str| !arg.is_empty() && arg.chars().all(|c| c.is_ascii_alphanumeric() || "-_./:=,@".contains(c));
    let words: Vec<String> = args
        .iter()
        .map(|arg| if plain(arg) { (*arg).to_owned() } else { format!("'{}'", arg.replace('\'', r"'\''")) })
        .collect();
    words.join(" ")
}

fn find_verifier(griptrace: &Path, out: &Output) -> Result<PathBuf, CommandError> {
    let name = format!("griptrace-verify{}", std::env::consts::EXE_SUFFIX);
    let beside = griptrace.with_file_name(&name);
    if beside.exists() {
        return Ok(beside);
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).with_file_name("Cargo.toml");
    if !root.exists() {
        return Err(CommandError::failed(format!("{} is not there", beside.display()))
            .with_hint("install griptrace-verify beside griptrace"));
    }
    out.line("griptrace-verify is not built yet; cargo builds it now, with `cargo build -p griptrace-verify`.")?;
    let release = griptrace.components().any(|part| part.as_os_str() == "release");
    let mut cargo = Command::new("cargo");
    cargo.args(["build", "--quiet", "-p", "griptrace-verify", "--manifest-path"]).arg(&root);
    if release {
        cargo.arg("--release");
    }
    if let Some(target) = griptrace.parent().and_then(Path::parent) {
        cargo.arg("--target-dir").arg(target);
    }
    let built = cargo.status()?;
    if built.success() && beside.exists() {
        return Ok(beside);
    }
    Err(CommandError::failed(format!("cargo did not build {}", beside.display())))
}
