//! The dossier on paper: printed by a browser, read by programs of others.
//!
//! Needs Chromium, poppler's and zbar's programs. `.ci/run dossier` installs them; elsewhere the tests say that they are
//! missing.

use std::{
    collections::BTreeMap,
    fs,
    path::Path,
    process::{Command, Output},
};

use griptrace_tests::skipped;
use serde_json::Value;

use crate::pipeline::{self, Pipeline};
use crate::readme;

/// Pixels an inch of a page that is looked at.
const PER_INCH: u32 = 60;
/// Millimetres at each side of a page that are free, feet of pages apart.
const FREE: u32 = 11;

/// Returns a program that prints pages, if all that these tests need is there.
fn browser() -> Option<&'static str> {
    let there = |program: &str| Command::new(program).arg("-v").output().is_ok();
    let needed = ["pdfinfo", "pdftotext", "pdftoppm", "zbarimg"];
    let browser = ["chromium", "chromium-browser", "google-chrome"]
        .into_iter()
        .find(|program| Command::new(program).arg("--version").output().is_ok_and(|output| output.status.success()));
    browser.filter(|_| needed.into_iter().all(there))
}

macro_rules! browser {
    () => {
        match browser() {
            Some(browser) => browser,
            None => skipped!(not_installed "chromium, poppler-utils or zbar-tools"),
        }
    };
}

fn griptrace(folder: &Path, args: &[&str]) -> Output {
    let program = env!("CARGO_BIN_EXE_griptrace-under-test");
    Command::new(program).args(args).current_dir(folder).output().expect("the program starts")
}

/// Runs a command that may say no, and returns its summary.
fn json(folder: &Path, args: &[&str]) -> Value {
    let output = griptrace(folder, &[args, &["--json"]].concat());
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.code() < Some(2), "griptrace {args:?}: {said}");
    serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("griptrace {args:?}: {said}"))
}

fn outside(folder: &Path, program: &str, args: &[&str]) -> String {
    let output = Command::new(program).args(args).current_dir(folder).output().expect("it is installed");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{program} {args:?}: {}\n{said}", output.status);
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// A printed page, taken apart.
struct Printed {
    text: String,
    pages: usize,
}

/// Prints a page and looks at the paper: A4, nothing at its sides, no word over another.
fn print(browser: &str, folder: &Path, name: &str) -> Printed {
    let (html, pdf) = (format!("{name}.html"), format!("{name}.pdf"));
    let profile = folder.join("browser");
    outside(
        folder,
        browser,
        &[
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-dev-shm-usage",
            "--no-pdf-header-footer",
            &format!("--user-data-dir={}", profile.display()),
            &format!("--print-to-pdf={}", folder.join(&pdf).display()),
            &format!("file://{}", folder.join(&html).display()),
        ],
    );
    let about = outside(folder, "pdfinfo", &[&pdf]);
    let field =
        |name: &str| about.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default().trim().to_owned();
    assert!(field("Page size:").contains("A4"), "{about}");
    let pages: usize = field("Pages:").parse().unwrap();
    sides_are_free(folder, &pdf, pages);
    words_stand_apart(&outside(folder, "pdftotext", &["-bbox", &pdf, "-"]));
    Printed { text: outside(folder, "pdftotext", &["-layout", &pdf, "-"]), pages }
}

/// Asserts that nothing is printed at the sides and the top of any page, and something on each.
fn sides_are_free(folder: &Path, pdf: &str, pages: usize) {
    outside(folder, "pdftoppm", &["-r", &PER_INCH.to_string(), "-gray", pdf, "page"]);
    let margin = usize::try_from(FREE * PER_INCH * 10 / 254).unwrap();
    let mut seen = 0;
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if !name.starts_with("page") || path.extension().is_none_or(|ending| ending != "pgm") {
            continue;
        }
        let picture = fs::read(&path).unwrap();
        let (width, pixels) = gray(&picture);
        let dark = |place: usize| pixels[place] < 200;
        let inked = (0..pixels.len()).filter(|place| dark(*place)).collect::<Vec<_>>();
        assert!(inked.len() > 40, "{name} is empty");
        for place in inked {
            let (x, y) = (place % width, place / width);
            assert!(x >= margin && x < width - margin && y >= margin, "{name} is printed at {x}, {y}");
        }
        seen += 1;
        fs::remove_file(path).unwrap();
    }
    assert_eq!(seen, pages);
}

/// Reads a picture of gray pixels (netpbm, P5).
fn gray(bytes: &[u8]) -> (usize, &[u8]) {
    let mut fields = Vec::new();
    let mut at = 0;
    while fields.len() < 4 {
        let length = bytes[at..].iter().position(u8::is_ascii_whitespace).unwrap();
        fields.push(String::from_utf8_lossy(&bytes[at..at + length]).into_owned());
        at += length + 1;
    }
    assert_eq!(fields[0], "P5");
    (fields[1].parse().unwrap(), &bytes[at..])
}

/// Asserts that no word of a page lies over another.
fn words_stand_apart(boxes: &str) {
    let attribute = |line: &str, name: &str| -> f64 {
        line.split_once(&format!("{name}=\"")).unwrap().1.split_once('"').unwrap().0.parse().unwrap()
    };
    let mut page: Vec<([f64; 4], String)> = Vec::new();
    for line in boxes.lines().map(str::trim) {
        if line.starts_with("<page") {
            page.clear();
        }
        if !line.starts_with("<word") {
            continue;
        }
        let own = ["xMin", "yMin", "xMax", "yMax"].map(|name| attribute(line, name));
        for (other, text) in &page {
            let across = (own[2].min(other[2]) - own[0].max(other[0])) / (own[2] - own[0]).min(other[2] - other[0]);
            // Boxes have the font's full height, which of some fonts reaches into the lines around: what counts is how
            // far apart the middles are.
            let apart = (own[1] + own[3] - other[1] - other[3]).abs() / 2.0;
            let lies_over = across > 0.3 && apart < 0.35 * (own[3] - own[1]).min(other[3] - other[1]);
            assert!(!lies_over, "{line} lies over {text}");
        }
        page.push((own, line.to_owned()));
    }
}

/// Decodes the square on the first page with a program of others.
fn decoded(folder: &Path, pdf: &str) -> String {
    outside(folder, "pdftoppm", &["-r", "150", "-f", "1", "-l", "1", "-png", "-singlefile", pdf, "first"]);
    outside(folder, "zbarimg", &["--raw", "-q", "first.png"])
}

/// Returns what stands on a line of the square, without its spaces.
fn line_of(square: &str, begin: &str) -> String {
    let line = square.lines().find_map(|line| line.strip_prefix(begin));
    line.unwrap_or_else(|| panic!("no line {begin:?} in {square:?}")).replace(' ', "")
}

/// Prints a bundle's dossier and asserts what every dossier on paper has.
fn dossier(browser: &str, folder: &Path, bundle: &str, more: &[&str]) -> (Value, Printed) {
    let summary = json(folder, &[&["dossier", bundle, "-o", "d.html"], more].concat());
    let printed = print(browser, folder, "d");
    let digest = json_lines(folder, &["inspect", bundle])[0]["digest"].as_str().unwrap().to_owned();
    assert_eq!(summary["bundle_digest"], digest.as_str());
    let square = decoded(folder, "d.pdf");
    assert_eq!(line_of(&square, "bundle "), digest);
    assert_eq!(line_of(&square, "root "), summary["root"].as_str().unwrap());
    every_point_stands_there(&summary, &printed.text);
    assert_eq!(printed.text.matches(&digest).count(), printed.pages, "at the foot of every page");
    (summary, printed)
}

fn json_lines(folder: &Path, args: &[&str]) -> Vec<Value> {
    let output = griptrace(folder, &[args, &["--json"]].concat());
    String::from_utf8_lossy(&output.stdout).lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// Asserts that the paper has each point, and that each is answered by named records or said to be missing.
fn every_point_stands_there(summary: &Value, text: &str) {
    let points = summary["points"].as_array().unwrap();
    let mut articles: BTreeMap<&str, usize> = BTreeMap::new();
    for point in points {
        let (article, state) = (point["article"].as_str().unwrap(), point["state"].as_str().unwrap());
        *articles.entry(article).or_default() += 1;
        let some = |side: &str| point["fields"].as_array().unwrap().iter().any(|field| field[side] != "");
        let expected = match (some("stated"), some("missing")) {
            (true, false) => "stated",
            (true, true) => "partly-stated",
            (false, true) => "missing",
            (false, false) => "nothing-to-ask",
        };
        assert_eq!(state, expected, "{point}");
        assert!(text.contains(article), "{article} is not on paper");
    }
    let letters: Vec<String> = ('a'..='h').map(|letter| format!("Article 10(2)({letter})")).collect();
    assert!(letters.iter().all(|letter| articles.get(letter.as_str()) == Some(&1)), "{articles:?}");
    assert_eq!(articles.get("Annex IV 2(d)"), Some(&6));
    let missing =
        points.iter().filter(|point| ["missing", "nothing-to-ask"].contains(&point["state"].as_str().unwrap()));
    assert_eq!(text.matches("MISSING").count(), missing.count(), "{text}");
}

#[test]
fn the_demos_dossier_is_printed_and_its_square_names_the_bundle() {
    let browser = browser!();
    let folder = tempfile::tempdir().unwrap();
    let bin = readme::programs(folder.path());
    let (code, said) = readme::run(&bin, folder.path(), "griptrace demo");
    assert_eq!(code, 0, "{said}");
    let demo = folder.path().join("demo");
    let asked = ["--trust", "trust.toml", "--policy", "policy.toml", "--model", "model", "--destination", "DE"];
    let (summary, printed) = dossier(browser, &demo, "shipment.griptrace", &asked);
    assert_eq!((&summary["verdict"], &summary["policy_met"]), (&"TRACED_ASSESSED".into(), &true.into()));
    assert!(printed.text.contains("TRACED_ASSESSED: the policy is met"), "{}", printed.text);
    assert!((4..=16).contains(&printed.pages), "{} pages", printed.pages);
    let (_, unverified) = dossier(browser, &demo, "shipment.griptrace", &[]);
    // Once as its verdict, and at the foot of every page.
    assert_eq!(unverified.text.matches("NOTHING WAS VERIFIED").count(), 1 + unverified.pages);
    of_a_withdrawn_one_every_page_says_so(browser, &demo);
    a_broken_one_fills_no_more_than_a_page(browser, &demo);
    for language in ["de", "zh"] {
        let args = ["dossier", "shipment.griptrace", "-o", "d.html", "--language", language];
        assert!(griptrace(&demo, &args).status.success());
        assert!((4..=16).contains(&print(browser, &demo, "d").pages));
    }
    let digest = summary["bundle_digest"].as_str().unwrap();
    assert!(griptrace(&demo, &["label", "shipment.griptrace", "-o", "label.html"]).status.success());
    assert_eq!(print(browser, &demo, "label").pages, 1);
    assert_eq!(line_of(&decoded(&demo, "label.pdf"), "bundle "), digest);
}

fn of_a_withdrawn_one_every_page_says_so(browser: &str, demo: &Path) {
    let asked = ["--trust", "trust.toml", "--policy", "policy.toml", "--model", "model", "--destination", "DE"];
    let (summary, printed) = dossier(browser, &demo.join("lies/withdrawn"), "shipment.griptrace", &asked);
    assert_eq!(summary["verdict"], "WITHDRAWN");
    let foot = format!("WITHDRAWN: the policy is NOT met, judged for {}", summary["asked"]["now"].as_str().unwrap());
    assert_eq!(printed.text.matches(&foot).count(), printed.pages, "{}", printed.text);
    let text: String = printed.text.split_whitespace().collect::<Vec<_>>().join(" ");
    for said in [
        "now: does NOT cover it: assessment-withdrawn",
        "at shipment: covers it, signed by an assessor",
        "! assessment:",
    ] {
        assert!(text.contains(said), "{said}: {}", printed.text);
    }
}

fn a_broken_one_fills_no_more_than_a_page(browser: &str, demo: &Path) {
    let bundle = "lies/flipped-proof/shipment.griptrace";
    let asked = ["--trust", "trust.toml", "--policy", "policy.toml", "--destination", "DE"];
    let summary = json(demo, &[&["dossier", bundle, "-o", "d.html"], &asked[..]].concat());
    assert_eq!(summary["verdict"], "BROKEN");
    let printed = print(browser, demo, "d");
    assert_eq!(printed.pages, 1);
    assert!(printed.text.contains("BROKEN: rely on nothing in this file"), "{}", printed.text);
    for said in ["grasp-int8", "newest head", "A verdict shows", "Keys that"] {
        assert!(!printed.text.contains(said), "{said}: {}", printed.text);
    }
}

#[test]
fn a_real_pipelines_dossier_stays_readable() {
    let browser = browser!();
    let Some(pipeline) = Pipeline::read() else {
        skipped!("../shared/data, with the real recordings, is not there");
    };
    let desk = pipeline::record(&pipeline, false);
    for model in pipeline::INT8 {
        let bundle = desk.ship(model);
        let file = pipeline.file(model).unwrap().display().to_string();
        let asked = ["--trust", "trust.toml", "--policy", "policy.toml", "--destination", "DE", "--model", &file];
        let (summary, printed) = dossier(browser, desk.folder(), &bundle, &asked);
        assert_eq!(summary["verdict"], "TRACED_ASSESSED");
        assert!((4..=60).contains(&printed.pages), "{} pages of {model}", printed.pages);
    }
}

/// Texts that try to leave their places: the paper stays as it is, and nobody's words lie over others'.
#[test]
fn hostile_texts_leave_the_paper_as_it_is() {
    let browser = browser!();
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let quoted = |text: &str| -> String {
        let escaped = text.chars().map(|c| format!("\\U{:08X}", u32::from(c)));
        format!("\"{}\"", escaped.collect::<String>())
    };
    let evil = quoted(&format!(
        "</td></table><script>document.body.remove()</script><div style='position:fixed;top:0'>X</div>\u{202e}evil a{} {} {}",
        "\u{301}".repeat(90),
        "W".repeat(900),
        "\u{fdfd}".repeat(60),
    ));
    let name = quoted(&format!("{}{}", "夹爪".repeat(40), "W".repeat(100)));
    fs::write(folder.join("grasp.bin"), "weights").unwrap();
    let lineage = format!(
        "[[dataset]]\nname = {name}\norigin = \"external\"\ncontent_held = \"destroyed\"\ncountry = \"CN\"\n\
         detail = {{ site = {evil}, bias = [{{ {evil} = {evil} }}], gaps = {evil} }}\n\
         [[transformation]]\nname = \"train\"\nkind = \"training\"\nused = [{name}]\ncountry = \"DE\"\n\
         generated = [{{ model = \"grasp\", path = \"grasp.bin\" }}]\ndetail = {{ tool = {evil}, method = {evil} }}\n"
    );
    fs::write(folder.join("lineage.toml"), lineage).unwrap();
    for args in [
        &["init", "--origin", "evil.example/2026", "--name", "</h1><script>"][..],
        &["record", "lineage.toml"],
        &["ship", "model:grasp", "--to", "<b>Buyer</b>", "--country", "DE", "--name", "first"],
        &["prove", "first", "-o", "b.griptrace", "--profile", "full"],
    ] {
        let output = griptrace(folder, args);
        assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
    }
    let (_, printed) = dossier(browser, folder, "b.griptrace", &[]);
    for stays in ["Source by source", "Index of records", "<b>Buyer</b>", "<script>document.body.remove()</script>"] {
        let text: String = printed.text.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(text.contains(stays), "{stays}: {}", printed.text);
    }
}
