//! Style that no lint checks, and the promises that documents make about the code.
//!
//! A document that doesn't exist fails its check: it is not passed over.

use std::collections::BTreeSet;

use griptrace_tests::paths::workspace_root;
use griptrace_tests::source::{SourceFile, document, files, prose, rust_files};

/// Lines of code of one function, comments and blank lines apart.
const FUNCTION_LINES_MAX: usize = 70;
/// Lines of one file, its trailing unit tests apart.
const FILE_LINES_MAX: usize = 800;
/// The rules of the protocol, R1 to this one.
const RULES: usize = 13;

// --- Sizes ---

#[test]
fn no_function_is_too_long() {
    let mut long = Vec::new();
    for file in written_files() {
        for function in functions(&file.text) {
            if function.code_lines > FUNCTION_LINES_MAX {
                long.push(format!("{}:{} has {}", file.path, function.line, function.code_lines));
            }
        }
    }
    assert_none(&long, "functions of more than 70 lines");
}

#[test]
fn no_file_is_too_long() {
    let mut long = Vec::new();
    for file in written_files() {
        let code = file.text.split("\n#[cfg(test)]\nmod tests {").next().unwrap_or_default();
        let lines = code.lines().count();
        if lines > FILE_LINES_MAX {
            long.push(format!("{} has {lines}", file.path));
        }
    }
    assert_none(&long, "files of more than 800 lines");
}

/// Returns the Rust files that people wrote: nobody reads generated code from top to bottom.
fn written_files() -> impl Iterator<Item = SourceFile> {
    rust_files().into_iter().filter(|file| !file.path.contains("/generated/"))
}

/// A function as rustfmt lays it out.
struct Function {
    name: String,
    line: usize,
    is_test: bool,
    code_lines: usize,
}

/// Finds the functions of a source by their indentation: a body ends at the first line that holds
/// only the closing brace at the depth of its `fn`.
fn functions(source: &str) -> Vec<Function> {
    let lines: Vec<&str> = source.lines().collect();
    let mut found = Vec::new();
    for (place, line) in lines.iter().enumerate() {
        let Some(name) = function_name(line) else { continue };
        let indent = &line[..line.len() - line.trim_start().len()];
        let (open, close) = (format!("{indent}}}"), format!("{indent}}});"));
        let ends = |line: &str| line == open || line == close;
        // A declaration in a trait, or a body on the same line, has no lines to count.
        let is_short = line.ends_with(';') || line.ends_with('}');
        let body = if is_short { 0 } else { lines[place..].iter().copied().position(ends).unwrap_or(0) };
        let before = &lines[place.saturating_sub(6)..place];
        found.push(Function {
            name: name.to_owned(),
            line: place + 1,
            is_test: has_test_attribute(before),
            code_lines: lines[place..place + body].iter().skip(1).filter(|l| is_code(l)).count(),
        });
    }
    found
}

fn function_name(line: &str) -> Option<&str> {
    let mut words = line.trim_start().split(' ');
    let is_word_before_fn = |word: &str| {
        let word = word.split('(').next().unwrap_or_default();
        ["pub", "const", "async", "unsafe", "extern", "\"C\""].contains(&word)
    };
    let keyword = words.by_ref().find(|word| !is_word_before_fn(word))?;
    let name = words.next()?;
    let end = name.find(|letter: char| !letter.is_alphanumeric() && letter != '_')?;
    (keyword == "fn" && end > 0).then(|| &name[..end])
}

/// Tells whether the attributes straight above a function make it a test.
fn has_test_attribute(above: &[&str]) -> bool {
    above
        .iter()
        .rev()
        .map(|line| line.trim())
        .take_while(|line| line.starts_with("#[") || line.starts_with("///"))
        .any(|line| line == "#[test]")
}

fn is_code(line: &str) -> bool {
    let line = line.trim();
    !line.is_empty() && !line.starts_with("//")
}

// --- What is left over ---

#[test]
fn nothing_is_left_to_do() {
    // Joined here, so that this file doesn't find itself.
    let left_over = [["todo", "!("], ["unimplemented", "!("], ["FIX", "ME"]].map(|word| word.concat());
    let mut found = Vec::new();
    for file in files("", &[".rs", ".md", ".toml", ".proto", ".js", ".html", ".py"]) {
        for (place, line) in file.text.lines().enumerate() {
            for word in left_over.iter().filter(|word| line.contains(*word)) {
                found.push(format!("{}:{}: {word}", file.path, place + 1));
            }
        }
    }
    assert_none(&found, "left to do");
}

// --- Links ---

#[test]
fn no_markdown_link_is_dead() {
    let root = workspace_root();
    let mut dead = Vec::new();
    for file in files("", &[".md"]) {
        let folder = root.join(&file.path).parent().expect("a file has a folder").to_path_buf();
        for (line, target) in links(&file.text) {
            let path = target.split('#').next().unwrap_or_default();
            let leads_out = target.contains("://") || target.starts_with("mailto:");
            if !leads_out && !path.is_empty() && !folder.join(path).exists() {
                dead.push(format!("{}:{line}: {target}", file.path));
            }
        }
    }
    assert_none(&dead, "dead links");
}

/// Returns the targets of inline links and of reference definitions, outside code blocks, with
/// their lines.
fn links(markdown: &str) -> Vec<(usize, &str)> {
    let mut found = Vec::new();
    let mut in_code = false;
    for (place, line) in markdown.lines().enumerate() {
        if line.trim_start().starts_with("```") {
            in_code = !in_code;
        }
        if in_code {
            continue;
        }
        for after in line.split("](").skip(1) {
            let target = after.split([')', ' ']).next().unwrap_or_default();
            found.push((place + 1, target));
        }
        if let Some((_, target)) = line.split_once("]: ").filter(|_| line.starts_with('[')) {
            found.push((place + 1, target.trim()));
        }
    }
    found
}

// --- The specification and the code ---

#[test]
fn every_rule_stands_in_the_specification_and_in_the_code() {
    let spec = files("docs/spec", &[".md"]);
    let code: Vec<SourceFile> =
        ["core", "verifier", "store"].iter().flat_map(|folder| files(folder, &[".rs"])).collect();
    let mut missing = Vec::new();
    for number in 1..=RULES {
        let rule = format!("R{number}");
        if !spec.iter().any(|file| has_word(&file.text, &rule)) {
            missing.push(format!("{rule} is nowhere in docs/spec"));
        }
        let marker = format!("Rule {rule}");
        if !code.iter().any(|file| has_doc_marker(&file.text, &marker)) {
            missing.push(format!("no doc comment of core, verifier or store says \"{marker}\""));
        }
    }
    assert_none(&missing, "rules without their place");
}

#[test]
fn every_step_of_the_procedure_stands_in_the_verifier() {
    let spec = document("docs/spec/verify.md");
    let steps: Vec<usize> = spec.lines().filter_map(|line| number_after(line.strip_prefix("### Step ")?)).collect();
    let counted: Vec<usize> = (1..=steps.len()).collect();
    assert!(!steps.is_empty(), "docs/spec/verify.md has no heading \"### Step 1\"");
    assert_eq!(steps, counted, "the steps are numbered from 1, without a gap");

    let code = files("verifier/src", &[".rs"]);
    let mut wrong = Vec::new();
    for step in &steps {
        let name = format!("Step {step}");
        if !code.iter().any(|file| has_word(&file.text, &name)) {
            wrong.push(format!("{name} is nowhere in verifier/src"));
        }
    }
    for file in &code {
        for number in file.text.split("Step ").skip(1).filter_map(number_after) {
            if !steps.contains(&number) {
                wrong.push(format!("{} names Step {number}, which is not specified", file.path));
            }
        }
    }
    assert_none(&wrong, "steps without their place");
}

/// Tells whether a doc comment of the source holds `marker` as a word.
fn has_doc_marker(source: &str, marker: &str) -> bool {
    source
        .lines()
        .map(str::trim_start)
        .filter(|line| line.starts_with("///") || line.starts_with("//!"))
        .any(|line| has_word(line, marker))
}

/// Tells whether `text` holds `word` with no letter or digit on either side.
fn has_word(text: &str, word: &str) -> bool {
    let is_part = |letter: char| letter.is_alphanumeric() || letter == '_';
    text.match_indices(word).any(|(place, _)| {
        let before = text[..place].chars().next_back();
        let after = text[place + word.len()..].chars().next();
        !before.is_some_and(is_part) && !after.is_some_and(is_part)
    })
}

fn number_after(text: &str) -> Option<usize> {
    let end = text.find(|letter: char| !letter.is_ascii_digit()).unwrap_or(text.len());
    text[..end].parse().ok()
}

// --- The invariants ---

/// An invariant is a paragraph, list item or table row of ARCHITECTURE.md that begins with its
/// number (`I1`) and names at least one test in backticks.
#[test]
fn every_invariant_names_a_test() {
    let architecture = document("ARCHITECTURE.md");
    let tests: BTreeSet<String> = rust_files()
        .iter()
        .flat_map(|file| functions(&file.text))
        .filter(|function| function.is_test)
        .map(|function| function.name)
        .collect();
    let mut wrong = Vec::new();
    let mut numbers = Vec::new();
    for block in blocks(&architecture) {
        let Some(number) = invariant_number(&block) else { continue };
        numbers.push(number);
        let named = block.split('`').skip(1).step_by(2);
        let mut named = named.map(|name| name.rsplit("::").next().unwrap_or_default());
        if !named.any(|name| tests.contains(name)) {
            wrong.push(format!("I{number} names no test that exists"));
        }
    }
    let counted: Vec<usize> = (1..=numbers.len()).collect();
    assert!(!numbers.is_empty(), "ARCHITECTURE.md has no invariant I1");
    assert_eq!(numbers, counted, "the invariants are numbered from I1, without a gap");
    assert_none(&wrong, "invariants without a test");
}

/// Splits Markdown into paragraphs, list items and table rows, each in one line.
fn blocks(markdown: &str) -> Vec<String> {
    let mut found = vec![String::new()];
    for line in markdown.lines() {
        let line = line.trim();
        if line.is_empty() || ["- ", "* ", "| ", "#"].iter().any(|mark| line.starts_with(mark)) {
            found.push(String::new());
        }
        if let Some(block) = found.last_mut() {
            block.push_str(line);
            block.push(' ');
        }
    }
    found
}

fn invariant_number(block: &str) -> Option<usize> {
    let text = block.trim_start_matches(['-', '*', '|', '#', ' ']);
    number_after(text.strip_prefix('I')?)
}

// --- Words ---

/// What no output says, by any ending: a verdict is none of these.
pub(crate) const NEVER_SAID: [&str; 3] = ["compliant", "approved", "certified"];

/// Sentences that say that we don't say it.
const SAYS_THAT_WE_DO_NOT: [&str; 3] = [
    "\"compliant\", \"approved\" or \"certified\"",
    r#"\"compliant\", \"approved\" or \"certified\""#,
    "`compliant`, `approved` or `certified`",
];

#[test]
fn no_output_says_more_than_was_checked() {
    let mut said = Vec::new();
    for file in files("", &[".rs", ".md", ".toml", ".proto", ".js", ".html", ".json", ".trycmd"]) {
        // This file names the words; recorded vectors and packages are others' text.
        if file.path == "tests/suite/tidy.rs" || file.ends_with(&["Cargo.toml"]) {
            continue;
        }
        for (line, text) in texts(&file) {
            let mut text = text.to_lowercase();
            for sentence in SAYS_THAT_WE_DO_NOT {
                text = text.replace(sentence, "");
            }
            for word in NEVER_SAID.iter().filter(|word| text.contains(*word)) {
                said.push(format!("{}:{line}: {word}", file.path));
            }
        }
    }
    assert_none(&said, "words that no output says");
}

/// What somebody gets to read of a file: all of it, or of Rust its literals and doc comments.
fn texts(file: &SourceFile) -> Vec<(usize, String)> {
    if file.ends_with(&[".rs"]) {
        return prose(&file.text).into_iter().map(|prose| (prose.line, prose.text)).collect();
    }
    file.text.lines().enumerate().map(|(place, line)| (place + 1, line.to_owned())).collect()
}

fn assert_none(found: &[String], what: &str) {
    assert!(found.is_empty(), "{what}:\n  {}", found.join("\n  "));
}

// --- The checks, checked ---

#[test]
fn prose_is_literals_and_doc_comments() {
    let source = "/// one\nfn a<'x>() -> char { '\"' } // not this\nlet b = b\"two \\\" more\";\nr#\"three\"#";
    let found: Vec<String> = prose(source).into_iter().map(|prose| prose.text).collect();
    assert_eq!(found, [" one", "two \\\" more", "three"]);
}

#[test]
fn functions_are_found_and_measured() {
    let source = "#[test]\nfn one() {\n    // why\n    two();\n\n    three();\n}\n\ntrait T {\n    fn two();\n}\npub(crate) const fn three() {\n}\n";
    let found: Vec<(String, bool, usize)> =
        functions(source).into_iter().map(|f| (f.name, f.is_test, f.code_lines)).collect();
    let expected = [("one", true, 2), ("two", false, 0), ("three", false, 0)];
    assert_eq!(found, expected.map(|(name, is_test, lines)| (name.to_owned(), is_test, lines)));
}

#[test]
fn a_rule_is_not_found_inside_another() {
    assert!(!has_word("Rule R13", "Rule R1"));
    assert!(has_word("(Rule R1: no vacuous ancestry)", "Rule R1"));
}

#[test]
fn links_are_found_outside_code() {
    let markdown = "a [b](c.md#d) and [e](f.md \"g\")\n```\n[h](i)\n```\n[j]: k.md\n";
    assert_eq!(links(markdown), [(1, "c.md#d"), (1, "f.md"), (5, "k.md")]);
}

#[test]
fn an_invariant_is_known_by_its_number() {
    let found: Vec<usize> = blocks("## Invariants\n\n| **I1** | no | `a` |\n- **I2** yes,\n  and more\n\nIt is so.\n")
        .iter()
        .filter_map(|block| invariant_number(block))
        .collect();
    assert_eq!(found, [1, 2]);
}
