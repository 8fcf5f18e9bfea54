//! The dossier and the label, from the exporter's commands to the page. What others read of them (a printed page, a code
//! in a picture) is tried in tests/suite/dossier.rs.

use core::{fmt::Write as _, ops::Deref};
use std::fs;

use griptrace_core::{bundle::Bundle, digest::Digest};
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use crate::support::Folder;

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
struct Desk(Folder);

impl Deref for Desk {
    type Target = Folder;

    fn deref(&self) -> &Folder {
        &self.0
    }
}

impl Desk {
    fn new(lineage: &str) -> Self {
        let desk = Self(Folder::new());
        fs::create_dir_all(desk.path().join("raw")).unwrap();
        fs::create_dir_all(desk.path().join("cleaned")).unwrap();
        (0..60).for_each(|number| desk.write(&format!("cleaned/{number}"), &number.to_string()));
        for file in ["raw/1.pgm", "labels.csv", "cropped.bin", "grasp.bin"] {
            fs::write(desk.path().join(file), file).unwrap();
        }
        desk.write("policy.toml", include_str!("../../policies/cn-industrial-reference.toml"));
        desk.say("init --origin maker.example/2026 --name Maker");
        desk.write("lineage.toml", &lineage.replace("@TODAY@", &desk.today()));
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
    is_harmless(&page);
    for said in
        ["BROKEN: the policy is NOT met", "NOTHING IN THIS FILE CAN BE RELIED ON", "does not have a key", "-untrusted"]
    {
        assert!(page.contains(said), "{said}: {page}");
    }
    assert!(page.contains("BROKEN: rely on nothing in this file\\a "), "at the foot of every page");
    let root = summary["root"].as_str().unwrap();
    for said in [
        "camera",
        "two persons",
        "Source by source",
        "Article 10(2)",
        "A verdict shows",
        "Keys that",
        " entries",
        "root-id",
        "What this paper is",
        "<svg",
        "grasp",
        &root[..8],
    ] {
        assert!(!page.contains(said), "a broken file's {said}");
    }
}

fn sha256(bytes: &str) -> String {
    Digest::from_bytes(Sha256::digest(bytes).into()).to_string()
}

#[test]
fn the_question_stands_beside_the_verdict() {
    let desk = Desk::new(LINEAGE);
    desk.say("prove first -o b.griptrace");
    let files = "dossier b.griptrace -o d.html --trust trust.toml --policy policy.toml";
    let more = "--destination DE --consignee Buyer --purpose train-adaptive-grasp-control --at 2027-03-04";
    // Whether the policy is met is asked elsewhere; here only what was asked.
    let ask = |more: &str| -> (Value, String) {
        let output = desk.run(&format!("{files} {more} --json"));
        assert!(output.status.code() < Some(2), "{}", String::from_utf8_lossy(&output.stderr));
        (serde_json::from_slice(&output.stdout).unwrap(), desk.read("d.html"))
    };
    let row = |heading: &str, value: &str| format!("<tr><th scope=\"row\">{heading}</th><td>{value}");
    let (summary, page) = ask(more);
    let (trust, policy) = (sha256(&desk.read("trust.toml")), sha256(&desk.read("policy.toml")));
    for (heading, value) in [
        ("Destination", "DE</td>"),
        ("Consignee", "Buyer</td>"),
        ("Purposes", "train-adaptive-grasp-control</td>"),
        ("Judged for the day", "2027-03-04, as the reader asked</td>"),
        ("Policy", "cn-industrial-reference 2026-05: a reference, not law"),
        ("Trust file", &format!("<div>SHA-256 <code>{trust}</code>")),
    ] {
        assert!(page.contains(&row(heading, value)), "{heading}: {page}");
    }
    assert!(page.contains(&format!("<div>SHA-256 <code>{policy}</code>")));
    let asked = &summary["asked"];
    assert_eq!((&asked["now"], &asked["trust_sha256"]), (&"2027-03-04".into(), &trust.clone().into()));
    assert_eq!((&asked["destination"], &asked["policy"]["sha256"]), (&"DE".into(), &policy.into()));
    let at = summary["verdict"].as_str().unwrap();
    assert!(page.contains(&format!("{at}: the policy is ")) && page.contains("judged for 2027-03-04\\a "));

    let (summary, page) = ask("");
    assert_eq!((&summary["asked"]["destination"], &summary["asked"]["consignee"]), (&Value::Null, &Value::Null));
    assert!(
        page.contains(&row("Consignee", "not said</td>")) && page.contains("by the clock of the reader&#39;s computer")
    );

    // What the trust file expects is asked too, and another trust file has another digest.
    let expect = "[expect]\ndestination = \"FR\"\nconsignee = \"Other\"\npurpose = [\"grasp-tests\"]\n";
    desk.write("trust.toml", &format!("{}\n{expect}", desk.read("trust.toml")));
    let (summary, page) = ask("--destination DE");
    assert!(page.contains(&row("Destination", "DE</td>")) && page.contains(&row("Consignee", "Other</td>")), "{page}");
    assert!(page.contains(&row("Purposes", "grasp-tests</td>")));
    assert_ne!(summary["asked"]["trust_sha256"], trust.as_str());
}

#[test]
fn whose_clock_a_time_comes_from_stands_beside_it() {
    let desk = Desk::new(LINEAGE);
    desk.say("prove first -o b.griptrace");
    let asked =
        "dossier b.griptrace -o d.html --trust trust.toml --policy policy.toml --model grasp.bin --destination DE";
    desk.say(asked);
    let page = desk.read("d.html");
    assert!(page.contains("UTC by the log operator&#39;s own clock"), "{page}");
    assert!(page.contains("UTC (by the log operator&#39;s own clock)"), "at shipment: {page}");
    assert!(page.contains("UTC (by the reader&#39;s clock, or as asked)"), "now: {page}");
}

#[test]
fn an_assessment_is_told_as_it_was_judged_and_not_as_if_it_counted() {
    let desk = Desk::new(LINEAGE);
    desk.say("prove first -o b.griptrace --profile full");
    let asked = "--trust trust.toml --policy policy.toml --model grasp.bin --destination DE";
    let page = |more: &str| {
        let output = desk.run(&format!("dossier b.griptrace -o d.html {more}"));
        assert!(output.status.code() < Some(2), "{}", String::from_utf8_lossy(&output.stderr));
        desk.read("d.html")
    };
    let (covers, covers_not) = ("covers it, signed by an assessor of the trust file", "<b>does NOT cover it</b>");
    let unjudged = page("");
    assert!(unjudged.contains("Assessments of it") && unjudged.contains("as recorded, not judged"));
    assert!(!unjudged.contains(covers) && !unjudged.contains(covers_not));
    let good = page(asked);
    // Of the source and among the assessments, at shipment and now.
    assert_eq!((good.matches(covers).count(), good.matches(covers_not).count()), (4, 0), "{good}");
    assert!(!good.contains("as recorded, not judged") && !good.contains("<rect class=\"source marked\""));
    // Signed by a key that the trust file no longer has.
    let trust = desk.read("trust.toml");
    let (before, office) = trust.split_once("[[assessor]]").unwrap();
    let office =
        office.lines().skip_while(|line| !line.starts_with('[')).fold(String::new(), |all, line| all + line + "\n");
    desk.write("trust.toml", &format!("{before}{office}"));
    let untrusted = page(asked);
    assert!(untrusted.contains("assessor-untrusted") && untrusted.contains(covers_not), "{untrusted}");
    assert_eq!((untrusted.matches(covers).count(), untrusted.matches(covers_not).count()), (0, 4), "{untrusted}");
    desk.write("trust.toml", &trust);

    desk.say("mark withdraw assessment --reason mistaken");
    desk.say("prove first -o b.griptrace --profile full");
    let withdrawn = page(asked);
    for said in
        [covers_not, "assessment-withdrawn", "<b>withdrawn</b> (R1)", "<rect class=\"source marked\"", ">! assessment:"]
    {
        assert!(withdrawn.contains(said), "{said}: {withdrawn}");
    }
    let now = withdrawn.split("<span class=\"field\">now: </span>").nth(1).unwrap();
    assert!(now.starts_with(covers_not), "{now:.300}");
    // Without a verdict the mark is shown all the same.
    assert!(page("").contains("<rect class=\"source marked\""));
}

#[test]
fn the_picture_has_marks_and_whole_grades() {
    let grade = "of-a-grade-with-a-name-that-is-as-long-as-names-of-grades-may-be";
    let desk = Desk::new(&LINEAGE.replace("value = \"important\"", &format!("value = \"{grade}\"")));
    desk.say("mark recall model:grasp --reason slips");
    desk.say("mark supersede dataset:labels --successor dataset:cropped --reason better");
    desk.say("prove first -o b.griptrace --profile full");
    desk.say("dossier b.griptrace -o d.html");
    let page = desk.read("d.html");
    let picture = page.split("<svg xmlns=\"http://www.w3.org/2000/svg\" class=\"ancestry\"").nth(1).unwrap();
    let picture = picture.split("</section>").next().unwrap();
    for said in [">! recalled</text>", ">! D2: superseded</text>", "class=\"model marked\"", "class=\"step marked\""] {
        assert!(picture.contains(said), "{said}: {picture}");
    }
    let rows = picture.split("<text ").skip(1).filter_map(|row| row.split(['>', '<']).nth(1));
    assert!(rows.collect::<String>().contains(grade), "{picture}");
}

#[test]
fn every_page_says_that_nothing_was_verified() {
    let desk = Desk::new(LINEAGE);
    desk.say("prove first -o b.griptrace");
    for (language, said) in [("en", "NOTHING WAS VERIFIED"), ("de", "ES WURDE NICHTS GEPRÜFT"), ("zh", "未作任何验证")]
    {
        desk.say(&format!("dossier b.griptrace -o d.html --language {language}"));
        let page = desk.read("d.html");
        let foot = page.split("@bottom-left").nth(1).unwrap().split(';').next().unwrap();
        assert!(foot.contains(said), "{foot}");
    }
}

#[test]
fn no_label_is_printed_for_a_file_that_is_damaged() {
    let desk = Desk::new(LINEAGE);
    desk.say("prove first -o b.griptrace");
    let good = fs::read(desk.path().join("b.griptrace")).unwrap();
    let mut flipped = good.clone();
    let middle = flipped.len() / 2;
    flipped[middle] ^= 1;
    // Whoever tampers can make the digest at the end anew.
    let mut bundle = Bundle::from_bytes(&good).unwrap();
    bundle.logs[0].commits[0].cores[0] = vec![0xff];
    for (bytes, why) in [(flipped, "digest"), (bundle.to_bytes(), "malformed"), (good[..100].to_vec(), "digest")] {
        fs::write(desk.path().join("b.griptrace"), bytes).unwrap();
        for output in ["", "-o l.html", "-o l.svg", "-o l.txt"] {
            let output = desk.run(&format!("label b.griptrace {output}"));
            let said = String::from_utf8_lossy(&output.stderr).into_owned();
            assert_eq!((output.status.code(), output.stdout.as_slice()), (Some(1), &b""[..]), "{said}");
            assert!(said.contains("no label is written") && said.contains(why), "{said}");
        }
        assert!(["l.html", "l.svg", "l.txt"].iter().all(|name| !desk.path().join(name).exists()));
    }
    desk.write("b.griptrace", "no evidence file at all");
    assert_eq!(desk.run("label b.griptrace").status.code(), Some(2));
}

#[test]
fn every_language_tells_the_same_and_says_no_more_than_it_may() {
    let desk = Desk::new(LINEAGE);
    desk.say("prove first -o b.griptrace --profile full");
    for (language, heading) in [("de", "Die einzelnen Quellen"), ("zh", "各个来源")] {
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
        assert_eq!(desk.say(&format!("label b.griptrace -o {name}")), format!("wrote {name}\n"));
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

const ASKED: &str = "--trust trust.toml --policy policy.toml --destination DE";

impl Desk {
    /// Writes a dossier that is judged, and returns it; whether the policy is met is asked elsewhere.
    #[track_caller]
    fn judged(&self, bundle: &str, more: &str) -> String {
        let output = self.run(&format!("dossier {bundle} -o d.html {ASKED} {more}"));
        assert!(output.status.code() < Some(2), "{}", String::from_utf8_lossy(&output.stderr));
        let page = self.read("d.html");
        is_harmless(&page);
        page
    }
}

#[test]
fn every_finding_is_written_and_when_it_holds() {
    let desk = Desk::new(LINEAGE);
    desk.say("mark withdraw dataset:camera --reason mistaken");
    desk.say("mark withdraw model:grasp --reason slips");
    desk.say("prove first -o b.griptrace --profile full");
    let page = desk.judged("b.griptrace", "--model grasp.bin");
    for said in
        ["the dataset has the mark withdraw</bdi></span> (S1)", "the model has the mark withdraw</bdi></span> (M1)"]
    {
        assert!(page.contains(said), "{said}: {page}");
    }
    assert_eq!(page.matches("<div class=\"absent\">[now] <span lang=\"en\"><bdi>").count(), 2, "{page}");
}

#[test]
fn what_was_compared_is_named() {
    let desk = Desk::new(LINEAGE);
    desk.say("prove first -o b.griptrace --profile full");
    let digest = sha256("grasp.bin");
    let (same, typed) = ("what was compared is what shipped", "the digest that was typed is that of what shipped");
    let page = desk.judged("b.griptrace", "--model grasp.bin");
    let file = format!("a file, hashed:<div><bdi>grasp.bin</bdi><div>SHA-256 <code>{digest}</code></div></div>");
    assert!(page.contains(&file) && page.contains(same) && !page.contains(typed), "{page}");
    let page = desk.judged("b.griptrace", &format!("--digest {digest}"));
    let said = format!("only a digest was typed; no file was hashed:<div><code>{digest}</code></div>");
    assert!(page.contains(&said) && page.contains(typed) && !page.contains(same), "{page}");
    let page = desk.judged("b.griptrace", &format!("--digest {}", "0".repeat(64)));
    assert!(page.contains("the digest that was typed is NOT that of what shipped"), "{page}");
    let page = desk.judged("b.griptrace", "--model raw");
    assert!(page.contains("a folder of 1 files with 9 bytes, hashed: <bdi>raw</bdi><div><bdi>1.pgm</bdi>"), "{page}");
    let page = desk.judged("b.griptrace", "");
    assert!(page.contains("none was given<div><b>nothing was compared</b></div>"), "{page}");
}

#[test]
fn a_dossier_of_an_updated_file_names_the_file_that_was_given() {
    let desk = Desk::new(LINEAGE);
    desk.say("prove first -o b.griptrace");
    desk.say("mark withdraw model:grasp --reason slips");
    desk.say("prove first --update-of b.griptrace -o u.update");
    let given = desk.json("label b.griptrace")["bundle_digest"].as_str().unwrap().to_owned();
    let update = Digest::from_bytes(Sha256::digest(fs::read(desk.path().join("u.update")).unwrap()).into()).to_string();
    let output = desk.run(&format!("dossier b.griptrace -o d.html {ASKED} --update u.update --json"));
    let summary: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((&summary["given_digest"], &summary["updates"][0]), (&given.clone().into(), &update.clone().into()));
    let made = summary["bundle_digest"].as_str().unwrap();
    assert_ne!(made, given);
    let page = desk.read("d.html");
    let spaced = |digest: &str| {
        digest.as_bytes().chunks(8).map(|part| str::from_utf8(part).unwrap()).collect::<Vec<_>>().join(" ")
    };
    for said in [
        format!("<code id=\"bundle-digest\">{}</code>", spaced(&given)),
        format!("SHA-256 <code>{update}</code>"),
        format!("<code id=\"updated-digest\">{}</code>", spaced(made)),
        format!("evidence file {given}\\a brought up to date: {made}"),
    ] {
        assert!(page.contains(&said), "{said}: {page}");
    }
}

#[test]
fn an_assessment_that_ended_since_is_not_told_as_covering_now() {
    let desk = Desk::new(LINEAGE);
    desk.say("prove first -o b.griptrace --profile full");
    let page = desk.judged("b.griptrace", "--model grasp.bin --at 2030-01-01");
    let now = page.split("<span class=\"field\">now: </span>").nth(1).unwrap();
    assert!(now.starts_with("covered at shipment; ended on 2028-12-31 since <code>lapsed-since</code>"), "{now:.200}");
    // Of the source and among the assessments, at shipment only.
    assert_eq!(page.matches("covers it, signed").count(), 2, "{page}");
}

#[test]
fn a_pre_check_is_not_told_as_a_delivery() {
    let desk = Desk::new(LINEAGE);
    desk.say("prove model:grasp -o b.griptrace");
    for (language, title, never) in [
        ("en", "a model that was not shipped yet", &["deliver", "what shipped", "t shipment", "shipping papers"][..]),
        (
            "de",
            "noch nicht gelieferten Modell",
            &["das Gelieferte", "ei der Lieferung", "dieser Lieferung", "was geliefert"],
        ),
        ("zh", "尚未发货的模型", &["本次交付", "所交付", "发货时", "随货单据"]),
    ] {
        let page = desk.judged("b.griptrace", &format!("--model grasp.bin --language {language}"));
        let written = ["l.html", "l.svg", "l.txt"].map(|name| {
            desk.say(&format!("label b.griptrace -o {name} --language {language}"));
            desk.read(name)
        });
        for text in [page].into_iter().chain(written) {
            assert!(text.contains(title), "{language}: {text}");
            let found = never.iter().find(|said| text.contains(**said));
            assert_eq!(found, None, "{language}: {text}");
        }
    }
    let label = desk.json("label b.griptrace");
    assert_eq!(label["pre_check"], true);
    // The square is the same for both: it names a file.
    assert!(desk.say("label b.griptrace").starts_with(label["text"].as_str().unwrap()));
    is_balanced(&desk.read("l.svg"));
}

#[test]
fn a_file_whose_end_does_not_hold_gets_a_page_that_says_so() {
    let desk = Desk::new(LINEAGE);
    desk.say("prove first -o b.griptrace --profile full");
    let mut bytes = fs::read(desk.path().join("b.griptrace")).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(desk.path().join("b.griptrace"), bytes).unwrap();
    let asked = format!("dossier b.griptrace -o d.html {ASKED} --model grasp.bin --json");
    let output = desk.run(&asked);
    assert_eq!(output.status.code(), Some(1), "{}", String::from_utf8_lossy(&output.stderr));
    let summary: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((&summary["verdict"], &summary["root"]), (&"BROKEN".into(), &Value::Null));
    let page = desk.read("d.html");
    is_harmless(&page);
    assert!(
        page.contains("NOTHING IN THIS FILE CAN BE RELIED ON") && page.contains("bundle-digest-mismatch"),
        "{page}"
    );
    assert!(!page.contains("grasp") && !page.contains("camera"), "{page}");
    // Without a verdict there is nothing to say of it.
    assert_eq!(desk.run("dossier b.griptrace -o e.html").status.code(), Some(2));
}
