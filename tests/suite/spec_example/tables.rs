//! The tables of docs/spec against the code's: what one of them has, the other has.

use core::fmt::Write as _;
use std::collections::BTreeSet;

use griptrace_core::details::slot_names;
use griptrace_core::digest::{ALL_CONTEXTS, Digest};
use griptrace_core::node::Kind;
use griptrace_tests::paths::workspace_root;
use griptrace_tests::source::{document, files};

/// Pages with CDDL, in the order of reading.
const CDDL_PAGES: [&str; 7] = ["cbor", "node", "commit", "assessment", "log", "bundle", "update"];
const CDDL: &str = "docs/spec/griptrace.cddl";

#[test]
fn every_hash_context_stands_in_the_table() {
    let page = document("docs/spec/hashes.md");
    for context in ALL_CONTEXTS {
        let row = format!("| `{}`<br>`{}` |", context.name, Digest::from_bytes(*context.key()));
        assert!(page.contains(&row), "docs/spec/hashes.md lacks {row}");
    }
    assert_eq!(page.matches("<br>`").count(), ALL_CONTEXTS.len(), "docs/spec/hashes.md has a context too many");
}

#[test]
fn every_detail_slot_stands_in_the_table() {
    let page = document("docs/spec/node.md");
    for slot in 0..32 {
        let mut row = format!("| {slot} |");
        for kind in Kind::ALL {
            let name = slot_names(*kind).get(slot).copied().unwrap_or_default();
            write!(row, " {name} |").expect("a String takes it");
        }
        assert!(page.contains(&format!("\n{row}\n")), "docs/spec/node.md lacks {row}");
    }
}

#[test]
fn every_reason_code_of_core_stands_in_the_specification() {
    let pages: String = files("docs/spec", &[".md"]).into_iter().map(|page| page.text).collect();
    let words: BTreeSet<&str> = pages.split(|c: char| c != '-' && !c.is_alphanumeric()).collect();
    let mut missing = Vec::new();
    for file in files("core/src", &[".rs"]) {
        let Some((_, after)) = file.text.split_once("fn code(") else { continue };
        let body = after.split("\n    }\n").next().unwrap_or_default();
        for code in body.split("=> \"").skip(1).filter_map(|rest| rest.split('"').next()) {
            if !words.contains(code) {
                missing.push(format!("{code} of {}", file.path));
            }
        }
    }
    assert!(missing.is_empty(), "docs/spec does not name {missing:?}");
}

#[test]
fn the_cddl_file_collects_that_of_the_pages() {
    let mut collected = String::from("; The CDDL (RFC 8610) of all pages of docs/spec, collected.\n");
    for page in CDDL_PAGES {
        let text = document(&format!("docs/spec/{page}.md"));
        write!(collected, "\n; --- {page}.md ---\n").expect("a String takes it");
        for block in text.split("```cddl\n").skip(1) {
            let block = block.split("```").next().unwrap_or_default();
            write!(collected, "\n{block}").expect("a String takes it");
        }
    }
    if std::env::var_os("UPDATE_EXPECTED").is_some() {
        std::fs::write(workspace_root().join(CDDL), &collected).expect("the file can be written");
    }
    assert!(document(CDDL) == collected, "{CDDL} is another; UPDATE_EXPECTED=1 writes it anew");
}
