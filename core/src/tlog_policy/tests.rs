//! Policies that are read, and lines that are refused.

use alloc::format;
use alloc::vec;

use super::*;
use crate::note::{Cosigner, NoteSigner};

fn log(seed: u8) -> String {
    NoteSigner::new("log.example/1", &[seed; 32]).unwrap().verifier().to_vkey()
}

fn witness(name: &str, seed: u8) -> String {
    Cosigner::new(name, &[seed; 32]).unwrap().verifier().to_vkey()
}

/// The example of C2SP tlog-policy, with keys; every line of it is replaced by some test.
fn sample() -> String {
    let key = |number: u8| witness("w.example", number);
    format!(
        "# two organisations\nlog {}\n\nwitness X1 {}\nwitness X2 {} https://x2.example/\n\twitness  X3\t{} \n\
         group X-witnesses 2 X1 X2 X3\n\nwitness Y1 {}\nwitness Y2 {}\nwitness Y3 {}\n\
         group Y-witnesses any Y1 Y2 Y3\n\n  # both\ngroup X-and-Y all X-witnesses Y-witnesses\nquorum X-and-Y\n",
        log(1),
        key(2),
        key(3),
        Cosigner::subtree("x3.example", &[4; 32]).unwrap().verifier().to_vkey(),
        key(5),
        key(6),
        key(7),
    )
}

#[track_caller]
fn assert_refused(from: &str, to: &str, line: usize, code: &str) {
    let text = sample();
    assert!(text.contains(from), "{from:?}");
    let error = TlogPolicy::parse(text.replacen(from, to, 1).as_bytes()).unwrap_err();
    assert_eq!((error.line, error.fault.code()), (line, code), "{error}");
    assert!(format!("{error}").starts_with(&format!("line {line}: ")));
}

#[test]
fn the_example_of_the_specification_is_read() {
    let policy = TlogPolicy::parse(sample().as_bytes()).unwrap();
    assert_eq!(policy.logs.iter().map(|log| (log.key.name(), log.line)).collect::<Vec<_>>(), [("log.example/1", 2)]);
    let names: Vec<&[u8]> = policy.witnesses.iter().map(|witness| witness.name.as_slice()).collect();
    assert_eq!(names, [b"X1", b"X2", b"X3", b"Y1", b"Y2", b"Y3"]);
    assert_eq!(policy.witnesses[1].url.as_deref(), Some("https://x2.example/"));
    assert_eq!(policy.witnesses[2].key.kind(), KeyKind::SubtreeV1);
    let quorum = policy.quorum.unwrap();
    assert_eq!(quorum.completed(&[Some(1), None, Some(4), None, Some(3), None]), Some(4));
    assert_eq!(quorum.completed(&[Some(1), None, None, None, Some(3), None]), None);
    assert_eq!(quorum.witnesses(), [0, 1, 2, 3, 4, 5]);
}

#[test]
fn small_policies_are_read() {
    let none = TlogPolicy::parse(b"quorum none").unwrap();
    assert_eq!(none, TlogPolicy { logs: vec![], witnesses: vec![], quorum: None });
    let one = format!("witness \u{212a} {}\nquorum \u{212a}\n", witness("w", 2));
    let one = TlogPolicy::parse(one.as_bytes()).unwrap();
    assert_eq!(one.quorum.unwrap().asked, Member::Witness(0));
    let opaque = [b"witness \xff ", witness("w", 2).as_bytes(), b"\nquorum \xff\n"].concat();
    assert_eq!(TlogPolicy::parse(&opaque).unwrap().witnesses[0].name, b"\xff");
    // A quorum may ask for a group that is a member of another.
    let asked = sample().replace("quorum X-and-Y", "quorum X-witnesses");
    let quorum = TlogPolicy::parse(asked.as_bytes()).unwrap().quorum.unwrap();
    assert_eq!(quorum.witnesses(), [0, 1, 2]);
}

#[test]
fn forty_of_each_are_read() {
    let lines = |number: u8| {
        let (log, witness) = (log(number), witness("w", number + 40));
        format!("log {log}\nwitness w{number} {witness}\ngroup g{number} 1 w{number}\n")
    };
    let text = (1..=40).map(lines).collect::<String>() + "quorum g40\n";
    let policy = TlogPolicy::parse(text.as_bytes()).unwrap();
    assert_eq!((policy.logs.len(), policy.witnesses.len(), policy.quorum.unwrap().groups.len()), (40, 40, 40));
}

#[test]
fn what_is_wrong_is_told_with_its_line() {
    assert_refused("witness X2", "witless X2", 5, "tlog-policy-keyword");
    assert_refused("# two", "two", 1, "tlog-policy-keyword");
    assert_refused("witness X2 ", "witness ", 5, "vkey-malformed");
    assert_refused(" https://x2.example/", " a b", 5, "tlog-policy-items");
    assert_refused("group X-witnesses 2 X1 X2 X3", "group X-witnesses 2", 7, "tlog-policy-items");
    assert_refused("quorum X-and-Y", "quorum", 16, "tlog-policy-items");
    assert_refused("quorum X-and-Y", "quorum X-and-Y Y1", 16, "tlog-policy-items");
    assert_refused("# two", "# \r two", 1, "tlog-policy-octet");
    assert_refused("# both", "# \u{7f}", 14, "tlog-policy-octet");
    for number in ["0", "4", "02", "+2", "most", ""] {
        assert_refused("X-witnesses 2 X1", &format!("X-witnesses {number} X1"), 7, "tlog-policy-threshold");
    }
    assert_refused("2 X1 X2 X3", "2 X1 X2 X2", 7, "tlog-policy-member-twice");
    assert_refused("any Y1 Y2 Y3", "any Y1 Y2 X3", 12, "tlog-policy-member-twice");
    assert_refused("any Y1 Y2 Y3", "any Y1 Y2 X-and-Y", 12, "tlog-policy-undeclared");
    assert_refused("any Y1 Y2 Y3", "any Y1 Y2 Y-witnesses", 12, "tlog-policy-undeclared");
    assert_refused("any Y1 Y2 Y3", "any Y1 Y2 none", 12, "tlog-policy-undeclared");
    assert_refused("quorum X-and-Y", "quorum x-and-y", 16, "tlog-policy-undeclared");
    assert_refused("witness X2", "witness X1", 5, "tlog-policy-name-twice");
    assert_refused("group Y-witnesses", "group X1", 12, "tlog-policy-name-twice");
    assert_refused("witness X2", "witness none", 5, "tlog-policy-name-none");
    assert_refused("group Y-witnesses", "group none", 12, "tlog-policy-name-none");
    assert_refused("quorum X-and-Y", "", 17, "tlog-policy-quorum-missing");
    assert_refused("quorum X-and-Y", "quorum X-and-Y\nquorum none", 17, "tlog-policy-quorum-twice");
}

#[test]
fn keys_of_another_kind_or_that_stand_twice_are_refused() {
    assert_refused(&log(1), &witness("log.example/1", 1), 2, "tlog-policy-key-type");
    let map = Cosigner::status_map("w.example", &[2; 32]).unwrap().verifier().to_vkey();
    assert_refused(&witness("w.example", 2), &map, 4, "tlog-policy-key-type");
    assert_refused(&witness("w.example", 2), &log(2), 4, "tlog-policy-key-type");
    assert_refused(&witness("w.example", 3), &witness("other.example", 2), 5, "tlog-policy-key-twice");
    assert_refused("\n\nwitness X1", &format!("\nlog {}\nwitness X1", log(1)), 3, "tlog-policy-key-twice");
    assert_refused(&log(1), &log(1).replace("log.example/1+", "log.example/2+"), 2, "vkey-key-id-mismatch");
    let many = "witness ".len() + CONFIG_BYTES_MAX;
    assert_eq!(TlogPolicy::parse(&vec![b' '; many]).unwrap_err().fault.code(), "limit-exceeded");
}
