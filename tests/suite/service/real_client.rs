//! A client that others wrote, `grpcurl`, which knows the contract by reflection alone: docs/grpcurl.md is run.
//!
//! A line that begins with `$ ` is a command, which leaves with 0 or as `# exit N` says; what follows is what it prints,
//! where `[..]` stands for anything within a line, `...` for any lines, and space at a line's ends for nothing.

use std::{
    ffi::OsString,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use griptrace_core::id::NodeId;
use griptrace_proto::v1;
use griptrace_tests::{seed::Seed, skipped, source::document};
use serde_json::{Value, json};

use crate::served::{Desk, Maker, Server};

/// Returns the program: of `GRIPTRACE_GRPCURL`, or of the path.
fn grpcurl() -> Option<PathBuf> {
    if let Some(named) = std::env::var_os("GRIPTRACE_GRPCURL") {
        return Some(PathBuf::from(named)).filter(|path| path.is_file());
    }
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|folder| folder.join("grpcurl")).find(|program| program.is_file())
}

/// A command of the document, and what it says.
#[derive(Debug)]
struct Step {
    command: String,
    exit: i32,
    said: Vec<String>,
}

fn steps(markdown: &str) -> Vec<Step> {
    let mut steps: Vec<Step> = Vec::new();
    let mut is_inside = false;
    let mut goes_on = false;
    for line in markdown.lines() {
        if line.starts_with("```") {
            is_inside = line == "```console";
        } else if is_inside && (goes_on || line.starts_with("$ ")) {
            let text = line.strip_prefix("$ ").unwrap_or(line);
            let (text, is_cut) = text.strip_suffix('\\').map_or((text, false), |text| (text, true));
            match steps.last_mut().filter(|_| goes_on) {
                Some(step) => step.command.push_str(text),
                None => steps.push(Step { command: text.to_owned(), exit: 0, said: Vec::new() }),
            }
            goes_on = is_cut;
        } else if is_inside && let Some(step) = steps.last_mut() {
            step.said.push(line.to_owned());
        }
    }
    for step in &mut steps {
        if let Some((command, exit)) = step.command.clone().split_once("# exit ") {
            (step.command, step.exit) = (command.trim().to_owned(), exit.trim().parse().expect("a code"));
        }
    }
    steps
}

/// Tells whether lines are those that are expected.
fn is_like(expected: &[String], said: &[&str]) -> bool {
    match (expected.split_first(), said.split_first()) {
        (None, None) => true,
        (Some((first, rest)), _) if first.trim() == "..." => {
            is_like(rest, said) || said.split_first().is_some_and(|(_, less)| is_like(expected, less))
        }
        (Some((first, rest)), Some((line, less))) => is_line(first.trim(), line.trim()) && is_like(rest, less),
        _ => false,
    }
}

fn is_line(expected: &str, line: &str) -> bool {
    match expected.split_once("[..]") {
        None => expected == line,
        Some((begin, rest)) => {
            let Some(after) = line.strip_prefix(begin) else { return false };
            (0..=after.len()).filter(|at| after.is_char_boundary(*at)).any(|at| is_line(rest, &after[at..]))
        }
    }
}

fn as_json(request: &v1::CommitRequest) -> Value {
    let nodes: Vec<String> = request.nodes.iter().map(|node| STANDARD.encode(node)).collect();
    json!({ "entry": STANDARD.encode(&request.entry), "nodes": nodes })
}

/// Writes signed commits beside the service, and returns a node of the first.
fn prepare(desk: &Desk, folder: &Path) -> NodeId {
    let mut maker = Maker::new(desk, Seed::for_test("docs/grpcurl.md").rng());
    let source = maker.nodes.source("camera");
    let write = |name: &str, values: &[Value]| {
        let text: Vec<String> = values.iter().map(ToString::to_string).collect();
        fs::write(folder.join(name), text.join("\n")).unwrap();
    };
    write("commit.json", &[as_json(&maker.sign(core::slice::from_ref(&source)))]);
    let (first, second) = (maker.nodes.derive("features", &[source.id()]), maker.nodes.source("force"));
    write("commits.json", &[as_json(&maker.sign(&first)), as_json(&maker.sign(&[second]))]);
    source.id()
}

fn run(step: &Step, program: &Path, server: &Server, folder: &Path, node: &NodeId) -> Result<(), String> {
    let mut path = OsString::from(program.parent().expect("it lies in a folder"));
    path.push(":");
    path.push(std::env::var_os("PATH").unwrap_or_default());
    let output = Command::new("sh")
        .args(["-c", &format!("{} 2>&1", step.command)])
        .current_dir(folder)
        .env("PATH", path)
        .env("ADDRESS", server.grpc.to_string())
        .env("NODE", STANDARD.encode(node.as_bytes()))
        .output()
        .map_err(|error| error.to_string())?;
    let said = String::from_utf8_lossy(&output.stdout).replace('\t', " ");
    let lines: Vec<&str> = said.lines().collect();
    if output.status.code() == Some(step.exit) && is_like(&step.said, &lines) {
        return Ok(());
    }
    Err(format!("$ {}\nleft with {:?}, and said\n{said}", step.command, output.status.code()))
}

#[test]
fn a_client_that_others_wrote_says_what_the_document_says() {
    let Some(program) = grpcurl() else { skipped!("no grpcurl") };
    let steps = steps(&document("docs/grpcurl.md"));
    assert!(steps.len() > 10, "docs/grpcurl.md has {} commands", steps.len());
    let desk = Desk::new();
    let server = desk.serve("");
    let folder = tempfile::tempdir().unwrap();
    let node = prepare(&desk, folder.path());
    let wrong: Vec<String> =
        steps.iter().filter_map(|step| run(step, &program, &server, folder.path(), &node).err()).collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    println!("{} commands of docs/grpcurl.md, by {}", steps.len(), program.display());
}

#[test]
fn what_a_program_says_is_compared_with_its_placeholders() {
    let lines = |text: &str| text.lines().map(str::to_owned).collect::<Vec<_>>();
    assert!(is_like(&lines("a\n...\nb [..] c"), &["a", "x", "y", "b 7 c"]));
    assert!(is_like(&lines("..."), &[]));
    assert!(!is_like(&lines("a"), &["a", "b"]) && !is_like(&lines("a\nb"), &["a"]));
    assert!(!is_like(&lines("a [..] c"), &["a 7 d"]));
    let found = steps("```console\n$ one \\\n  two # exit 3\nsaid\n```\n$ none\n```sh\n$ none\n```\n");
    let [Step { command, exit, said }] = found.as_slice() else { panic!("{found:?}") };
    assert_eq!((command.as_str(), *exit, said.as_slice()), ("one   two", 3, &lines("said")[..]));
}
