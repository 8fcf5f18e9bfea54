//! The table of findings in docs/spec/verify.md is the one in the code.

use core::fmt::Write as _;
use std::fs;

use griptrace_tests::paths;
use griptrace_verifier::finding::Code;

const BEGIN: &str = "<!-- findings: begin -->\n";
const END: &str = "<!-- findings: end -->";

fn table() -> String {
    let mut table = String::from("| code | verdict | severity | step | |\n|---|---|---|---|---|\n");
    for code in Code::ALL {
        let fixed = if code.is_fixed() { "fixed" } else { "" };
        let (verdict, severity, step) = (code.verdict(), code.severity(), code.step());
        writeln!(table, "| `{code}` | `{verdict}` | {severity} | {step} | {fixed} |").unwrap();
    }
    table
}

#[test]
fn the_specification_has_the_codes_of_the_code() {
    let path = paths::workspace_root().join("docs/spec/verify.md");
    let page = fs::read_to_string(&path).unwrap();
    let begin = page.find(BEGIN).expect("the page marks where the table begins") + BEGIN.len();
    let end = page.find(END).expect("the page marks where the table ends");
    if std::env::var_os("UPDATE_EXPECTED").is_some() {
        fs::write(&path, format!("{}{}{}", &page[..begin], table(), &page[end..])).unwrap();
        return;
    }
    assert_eq!(&page[begin..end], table(), "run with UPDATE_EXPECTED=1 to write it anew");
}

#[test]
fn codes_are_unique_and_read_back() {
    for code in Code::ALL {
        assert_eq!(Code::parse(code.as_str()), Some(*code));
    }
}

#[test]
fn every_code_that_breaks_or_mismatches_is_fixed() {
    use griptrace_verifier::finding::Verdict;
    for code in Code::ALL {
        if matches!(code.verdict(), Verdict::Broken | Verdict::Mismatch) {
            assert!(code.is_fixed(), "{code}: a policy could turn it into a note");
        }
    }
}
