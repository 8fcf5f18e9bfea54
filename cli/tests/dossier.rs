//! The dossier and the label, from the exporter's commands to the page. What others read of them (a printed page, a code
//! in a picture) is tried in tests/suite/dossier.rs.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use core::fmt::Write as _;
use std::{
    fs,
    process::{Command, Output, Stdio},
};

use serde_json::Value;
use tempfile::TempDir;

const LINEAGE: &str = r#"
[[dataset]]
name = "camera"
origin = "collected"
path = "raw"
modality = ["visual"]
purpose = ["train-adaptive-grasp-control"]
grade = { value = "important", basis = "own", by = "Data office", on = 2026-04-02 }
country = "CN"
detail = { site = "cell 3", device = "wrist camera A", licence = { name = "own", allows = true }, persons = "none found (all frames)", bias = { examined = "yes", measures = "two objects added" }, gaps = "one scene only" }

[[transformation]]
name = "label frames"
kind = "annotation"
used = ["camera"]
country = "CN"
date = @TODAY@
generated = [{ dataset = "labels", path = "labels.csv" }]
detail = { labeller = "two persons, apart", checked-share = "10 of 100", method = "slip yes or no" }

[[transformation]]
name = "crop"
kind = "anonymisation"
used = ["camera"]
country = "CN"
date = @TODAY@
generated = [{ dataset = "cropped", path = "cropped.bin" }]
detail = { anonymisation = "edges cropped; rest unexamined" }

[[transformation]]
name = "train"
kind = "training"
used = ["cropped", "labels"]
country = "CN"
date = @TODAY@
purpose = ["train-adaptive-grasp-control"]
generated = [{ model = "grasp", path = "grasp.bin", country = "CN" }]
detail = { tool = "train.py", design-choices = "a small net, since the gripper has no more room" }
"#;

/// What no page says of anything; joined here, so that nothing finds it in this file.
const NEVER_SAID: [[&str; 2]; 3] = [["compli", "ant"], ["appro", "ved"], ["certi", "fied"]];

/// An exporter with a shipped model.
struct Desk(TempDir);

impl Desk {
    fn new(lineage: &str) -> Self {
        let desk = Self(tempfile::tempdir().unwrap());
        fs::create_dir_all(desk.0.path().join("raw")).unwrap();
        fs::create_dir_all(desk.0.path().join("cleaned")).unwrap();
        (0..60).for_each(|number| desk.write(&format!("cleaned/{number}"), &number.to_string()));
        for file in ["raw/1.pgm", "labels.csv", "cropped.bin", "grasp.bin"] {
            fs::write(desk.0.path().join(file), file).unwrap();
        }
        desk.write("policy.toml", include_str!("../../policies/cn-industrial-reference.toml"));
        desk.say("init --origin maker.example/2026 --name Maker");
        let trust = desk.say("trust init");
        let today = trust.lines().find_map(|line| line.strip_prefix("from = ")).unwrap().to_owned();
        desk.write("lineage.toml", &lineage.replace("@TODAY@", &today));
        desk.say("record lineage.toml");
        desk.say("key new office.key");
        desk.say(
            "assess sign --subject camera --key office.key --issuer Office --scheme security-assessment \
             --grade important --purpose train-adaptive-grasp-control --modality visual --destination DE \
             --valid-from 2026-01-01 --valid-to 2028-12-31 -o a.statement",
        );
        desk.say("assess record a.statement");
        desk.say("ship model:grasp --to Buyer --country DE --name first --purpose train-adaptive-grasp-control");
        let trust = desk.say("trust init").replace("# [[a", "[[a").replace("# name", "name").replace("# key", "key");
        desk.write("trust.toml", &trust.replace("# schemes", "schemes"));
        desk
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.0.path().join(name), text).unwrap();
    }

    fn read(&self, name: &str) -> String {
        fs::read_to_string(self.0.path().join(name)).unwrap()
    }

    fn run(&self, args: &str) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_griptrace"));
        command.args(args.split_whitespace()).current_dir(self.0.path());
        command.env_remove("GRIPTRACE_STORE").env_remove("GRIPTRACE_PASSPHRASE");
        command.stdin(Stdio::null()).output().unwrap()
    }

    /// Runs a command that must succeed, and returns what it printed.
    #[track_caller]
    fn say(&self, args: &str) -> String {
        let output = self.run(args);
        let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert!(output.status.success(), "griptrace {args}: {}\n{out}{err}", output.status);
        out.into_owned()
    }

    fn json(&self, args: &str) -> Value {
        serde_json::from_str(&self.say(&format!("{args} --json"))).unwrap()
    }
}

fn states(summary: &Value) -> Vec<(&str, &str)> {
    let points = summary["points"].as_array().unwrap().iter();
    points.map(|point| (point["point"].as_str().unwrap(), point["state"].as_str().unwrap())).collect()
}

fn field<'v>(summary: &'v Value, point: &str, field: &str) -> &'v Value {
    let points = summary["points"].as_array().unwrap();
    let point = points.iter().find(|known| known["point"] == point).unwrap();
    point["fields"].as_array().unwrap().iter().find(|known| known["field"] == field).unwrap()
}

/// Asserts that a page is one file that does nothing and reaches nowhere, and says no more than it may.
#[track_caller]
fn is_harmless(page: &str) {
    let lower = page.to_lowercase();
    for word in NEVER_SAID.map(|word| word.concat()) {
        assert!(!lower.contains(&word), "{word}");
    }
    for doing in ["<script", "javascript:", "<img", "<link", "<iframe", " src=", " href=", " onload="] {
        assert!(!lower.contains(doing), "{doing}");
    }
    let policy = "content=\"default-src 'none'; style-src 'sha256-";
    assert!(page.contains(policy), "no content security policy");
    assert!(lower.matches("url(").count() == lower.matches("url(#arrow)").count());
    is_balanced(page);
}

/// Asserts that every element that is opened is closed where it belongs.
#[track_caller]
fn is_balanced(page: &str) {
    let mut open: Vec<&str> = Vec::new();
    for part in page.split('<').skip(1) {
        let tag = part.split('>').next().unwrap();
        let name = tag.trim_start_matches('/').split([' ', '/']).next().unwrap();
        if tag.starts_with('!') || tag.ends_with('/') || ["meta", "br"].contains(&name) {
            continue;
        }
        if tag.starts_with('/') {
            assert_eq!(open.pop(), Some(name), "{part:.80}");
        } else {
            open.push(name);
        }
    }
    assert_eq!(open, Vec::<&str>::new());
}

#[test]
fn a_dossier_tells_what_is_stated_and_what_is_missing() {
    let desk = Desk::new(LINEAGE);
    desk.say("prove first -o b.griptrace --profile full");
    let summary = desk.json("dossier b.griptrace -o d.html");
    let page = desk.read("d.html");
    is_harmless(&page);
    assert_eq!(summary["bundle_digest"], desk.say("inspect b.griptrace --json").lines().next().map(digest_of).unwrap());
    assert_eq!((&summary["verified"], &summary["verdict"]), (&Value::Bool(false), &Value::Null));
    assert!(page.contains("NOTHING WAS VERIFIED"));
    let expected = [
        ("10-2-a", "partly-stated"),
        ("10-2-b", "partly-stated"),
        ("10-2-c", "partly-stated"),
        ("10-2-d", "partly-stated"),
        ("10-2-e", "missing"),
        ("10-2-f", "partly-stated"),
        ("10-2-g", "partly-stated"),
        ("10-2-h", "partly-stated"),
        ("annex-iv-2-d-description", "stated"),
        ("annex-iv-2-d-provenance", "partly-stated"),
        ("annex-iv-2-d-scope", "partly-stated"),
        ("annex-iv-2-d-obtained", "missing"),
        ("annex-iv-2-d-labelling", "stated"),
        ("annex-iv-2-d-cleaning", "nothing-to-ask"),
    ];
    assert_eq!(states(&summary), expected);
    let bias = field(&summary, "10-2-f", "bias");
    assert_eq!((&bias["stated"], &bias["missing"]), (&"S1".into(), &"M1".into()));
    for said in [
        "Article 10(2)(a)",
        "Article 10(2)(h)",
        "Annex IV 2(d)",
        "two persons, apart",
        "10 of 100",
        "edges cropped; rest unexamined",
        "one scene only",
        "measures: two objects added",
        "wrist camera A",
        "signed, by somebody who says to be",
        "It does not say that these bind anybody",
    ] {
        assert!(page.contains(said), "{said}");
    }
    assert!(!page.contains("equired by Article"));
}

fn digest_of(line: &str) -> Value {
    serde_json::from_str::<Value>(line).unwrap()["digest"].clone()
}

#[test]
fn what_is_hidden_is_said_to_be_not_disclosed() {
    let desk = Desk::new(LINEAGE);
    desk.say("prove first -o b.griptrace");
    let summary = desk.json("dossier b.griptrace -o d.html");
    let page = desk.read("d.html");
    for hidden in ["two persons, apart", "edges cropped", "one scene only", "wrist camera A", "camera"] {
        assert!(!page.contains(hidden), "{hidden}");
    }
    let bias = field(&summary, "10-2-f", "bias");
    assert_eq!((&bias["stated"], &bias["missing"]), (&"".into(), &"M1, S1".into()));
    // The core is shown in every bundle.
    assert_eq!(field(&summary, "10-2-b", "country")["stated"], "S1");
    assert!(page.contains("Sources that show neither name nor content: S1."));
    assert!(page.contains("Hidden and absent look alike"));
}

#[test]
fn the_verdict_is_the_verifiers_and_of_what_is_broken_nothing_is_repeated() {
    let desk = Desk::new(LINEAGE);
    desk.say("prove first -o b.griptrace --profile full");
    let asked = "dossier b.griptrace -o d.html --trust trust.toml --policy policy.toml --model grasp.bin";
    let summary = desk.json(&format!("{asked} --destination DE"));
    let report =
        desk.json("verify b.griptrace --trust trust.toml --policy policy.toml --model grasp.bin --destination DE");
    assert_eq!((&summary["verdict"], &summary["policy_met"]), (&report["verdict"], &report["policy_met"]));
    let page = desk.read("d.html");
    is_harmless(&page);
    assert!(page.contains("TRACED_ASSESSED: the policy is met") && !page.contains("NOTHING WAS VERIFIED"));

    let output = desk.run(&format!("{asked} --destination FR"));
    assert_eq!(output.status.code(), Some(1));
    let page = desk.read("d.html");
    assert!(page.contains("MISMATCH: the policy is NOT met") && page.contains("destination-mismatch"), "{page}");

    let other = Desk::new(LINEAGE);
    desk.write("trust.toml", &other.read("trust.toml"));
    assert_eq!(desk.run(&format!("{asked} --destination DE")).status.code(), Some(1));
    let page = desk.read("d.html");
    assert!(page.contains("BROKEN: the policy is NOT met"), "{page}");
    for said in ["camera", "two persons", "Source by source", "Article 10(2)"] {
        assert!(!page.contains(said), "a broken file's {said}");
    }
}

#[test]
fn every_language_tells_the_same_and_says_no_more_than_it_may() {
    let desk = Desk::new(LINEAGE);
    desk.say("prove first -o b.griptrace --profile full");
    for (language, heading) in [("de", "Quelle für Quelle"), ("zh", "逐项来源")] {
        desk.say(&format!("dossier b.griptrace -o d.html --language {language}"));
        let page = desk.read("d.html");
        is_harmless(&page);
        assert!(page.contains(heading) && page.contains("two persons, apart"), "{language}");
    }
}

/// A text that tries to leave its place: it ends its element, opens others, turns the direction of writing, piles up marks,
/// and is longer than any line.
fn hostile() -> String {
    let word = "W".repeat(600);
    let tower = "\u{301}".repeat(80);
    format!(
        "</td></table><script>alert(1)</script><img src=x onerror=alert(1)> \u{202e}evil\u{2066} a{tower} {word} ]]> --> &lt;"
    )
}

#[test]
fn a_hostile_text_stays_in_its_place() {
    let text = toml_text(&hostile());
    let lineage = LINEAGE
        .replace("\"cell 3\"", &text)
        .replace("\"one scene only\"", &format!("[{{ what = {text}, \"<b>key</b>\" = {text} }}]"))
        .replace("\"train.py\"", &text)
        .replace("\"slip yes or no\"", &text);
    let desk = Desk::new(&lineage);
    desk.say("prove first -o b.griptrace --profile full");
    desk.say("dossier b.griptrace -o d.html");
    let page = desk.read("d.html");
    is_balanced(&page);
    for markup in ["<script", "<img", "<b>", "\u{202e}", "\u{2066}", "\u{301}\u{301}\u{301}"] {
        assert!(!page.contains(markup), "{markup:?}");
    }
    assert!(page.contains("&lt;script&gt;alert(1)&lt;/script&gt;") && page.contains("\\u{202e}evil"));
}

fn toml_text(text: &str) -> String {
    let quoted: String = text
        .chars()
        .map(|c| {
            if c.is_ascii_graphic() && c != '"' && c != '\\' || c == ' ' {
                c.to_string()
            } else {
                format!("\\u{:04X}", u32::from(c))
            }
        })
        .collect();
    format!("\"{quoted}\"")
}

#[test]
fn many_sources_that_say_the_same_stand_together() {
    let mut lineage = LINEAGE.to_owned();
    let mut used = String::new();
    for number in 0..120 {
        write!(
            lineage,
            "\n[[dataset]]\nname = \"episode {number}\"\norigin = \"external\"\ncontent_held = \"origin-only\"\ndigest = \"sha256:{number:064x}\"\n\
             modality = [\"visual\"]\ncountry = \"DE\"\n"
        )
        .unwrap();
        write!(used, ", \"episode {number}\"").unwrap();
    }
    let desk = Desk::new(&lineage.replace("used = [\"cropped\"", &format!("used = [\"cropped\"{used}")));
    desk.say("prove first -o b.griptrace --profile full");
    desk.say("dossier b.griptrace -o d.html");
    let page = desk.read("d.html");
    assert!(page.contains("120 sources that say the same") && page.contains("120 sources</text>"), "{page}");
    assert!(page.contains("Sources that look alike stand together in one box."));
    // Together, and yet each by its id.
    assert!((0..120).all(|number| page.contains(&format!("<bdi>episode {number}</bdi>"))));
    let boxes = page.matches("<rect class=").count();
    assert!(boxes < 10, "{boxes} boxes");
}

/// Writes steps over the camera's frames: each on its own, or each on what the one before made.
fn with_steps(count: usize, is_chain: bool) -> String {
    let mut lineage = LINEAGE.to_owned();
    let mut used = String::new();
    for number in 0..count {
        let from = if is_chain && number > 0 { format!("cleaned {}", number - 1) } else { "camera".to_owned() };
        write!(
            lineage,
            "\n[[transformation]]\nname = \"clean {number}\"\nkind = \"cleaning\"\nused = [\"{from}\"]\ncountry = \"CN\"\ndate = @TODAY@\n\
             generated = [{{ dataset = \"cleaned {number}\", path = \"cleaned/{number}\" }}]\ndetail = {{ method = \"number {number}\" }}\n"
        )
        .unwrap();
        write!(used, ", \"cleaned {number}\"").unwrap();
    }
    lineage.replace("used = [\"cropped\"", &format!("used = [\"cropped\"{used}"))
}

#[test]
fn a_picture_of_many_steps_still_fits_a_page() {
    let grouped = [
        (false, "Sources of a kind, and steps of a kind at the same stage, stand together in one box."),
        (true, "There are too many records for a picture of each"),
    ];
    for (is_chain, said) in grouped {
        let desk = Desk::new(&with_steps(60, is_chain));
        desk.say("prove first -o b.griptrace --profile full");
        desk.say("dossier b.griptrace -o d.html");
        let page = desk.read("d.html");
        assert!(page.contains(said), "chain: {is_chain}");
        assert!(page.matches("<rect class=").count() < 10);
        // What the picture groups the list of steps tells one by one.
        assert!((0..60).all(|number| page.contains(&format!("<bdi>number {number}</bdi>"))));
    }
}

#[test]
fn a_label_names_the_bundle_in_every_form() {
    let desk = Desk::new(LINEAGE);
    desk.say("prove first -o b.griptrace");
    let head: Value = serde_json::from_str(desk.say("inspect b.griptrace --json").lines().next().unwrap()).unwrap();
    let digest = head["digest"].as_str().unwrap();
    let label = desk.json("label b.griptrace");
    assert_eq!(label["bundle_digest"], digest);
    let text = desk.say("label b.griptrace");
    let line = |begin: &str| text.lines().find_map(|line| line.strip_prefix(begin)).unwrap().replace(' ', "");
    assert_eq!((line("bundle "), line("root ")), (digest.to_owned(), label["root"].as_str().unwrap().to_owned()));
    for (name, begin) in [("l.html", "<!DOCTYPE html>"), ("l.svg", "<svg "), ("l.txt", "Griptrace evidence file\n")] {
        desk.say(&format!("label b.griptrace -o {name}"));
        let written = desk.read(name);
        assert!(written.starts_with(begin), "{name}");
        desk.say(&format!("label b.griptrace -o {name}"));
        assert_eq!(desk.read(name), written, "the same again");
    }
    is_balanced(&desk.read("l.html"));
    for name in ["policy.toml", "notes.txt", "l.pdf"] {
        desk.write(name, "mine");
        assert_eq!(desk.run(&format!("label b.griptrace -o {name}")).status.code(), Some(2), "{name}");
        assert_eq!(desk.run(&format!("dossier b.griptrace -o {name}")).status.code(), Some(2), "{name}");
        assert_eq!(desk.read(name), "mine");
    }
}
