use griptrace_core::limits::{
    COMMIT_NODES_MAX, EDGES_MAX, MANIFEST_FILES_MAX, PATH_BYTES_MAX, VALUE_BYTES_MAX, VALUE_DEPTH_MAX, VALUE_ITEMS_MAX,
    WORD_BYTES_MAX, WORDS_MAX,
};

use super::*;

const EXAMPLE: &str = r#"
[[dataset]]
name = "plant-7-wrist-camera"
origin = "collected"
path = "raw/camera"
modality = ["visual"]
purpose = ["train-adaptive-grasp-control"]
grade = { value = "important", basis = "cn-industrial-reference 2026-05", by = "Plant 7 data office", on = 2026-04-02 }
country = "CN"
detail = { site = "plant 7, cell 3", device = "wrist camera A", collected_from = 2026-03-01, collected_to = 2026-03-20, licence = "proprietary", persons = "none found (two reviewers, all frames)" }

[[transformation]]
name = "anonymise"
kind = "anonymisation"
used = ["plant-7-wrist-camera"]
country = "CN"
date = 2026-04-10
generated = [{ dataset = "camera-anonymised", path = "anonymised/camera", modality = ["visual"] }]
detail = { tool = "anonymise.py", version = "1.4", code = "git:3f2c", method = "crop, grey, 32x24", anonymisation = { residual_risk = "low" } }

[[transformation]]
name = "train"
kind = "training"
used = ["camera-anonymised", "model:upstream-backbone"]
country = "DE"
date = 2026-05-20
generated = [{ model = "grasp-int8", path = "out/grasp.int8.onnx" }]
"#;

fn parsed(text: &str) -> Result<Lineage, Vec<String>> {
    parse(&Source::of("lineage.toml", text), Path::new("base")).map_err(|e| e.lines())
}

/// Returns the first line and the last, which is the hint if there is one.
fn complaint(text: &str) -> (String, String) {
    let lines = parsed(text).unwrap_err();
    (lines.first().unwrap().clone(), lines.last().unwrap().clone())
}

#[test]
fn the_example_of_the_design_is_read() {
    let lineage = parsed(EXAMPLE).unwrap();
    let [source] = lineage.sources.as_slice() else { panic!("one source") };
    assert_eq!(source.content, Content::Path("base/raw/camera".into()));
    assert_eq!((source.origin, source.persons()), (Some(Origin::Collected), Some(Persons::NoneFound)));
    assert_eq!(source.grade, Word::parse("important"));
    let [anonymise, train] = lineage.steps.as_slice() else { panic!("two steps") };
    assert_eq!(anonymise.activity, Activity::Anonymisation);
    assert_eq!(anonymise.generated[0].origin, Some(Origin::Derived));
    assert_eq!(anonymise.generated[0].country, Country::parse("CN"), "outputs lie where the step ran");
    assert_eq!(train.used[1], ("model:upstream-backbone".to_owned(), "lineage.toml:24:30".to_owned()));
    assert_eq!(train.generated[0].kind, Kind::Model);
}

#[test]
fn complaints_name_line_and_column_and_a_remedy() {
    let (error, hint) =
        complaint(&EXAMPLE.replace("modality = [\"visual\"]\npurpose", "modalty = [\"visual\"]\npurpose"));
    assert_eq!(error, "error: lineage.toml:6:1: \"modalty\" is no field of a [[dataset]]");
    assert_eq!(hint, "hint: did you mean \"modality\"?");
    let (error, hint) = complaint(&EXAMPLE.replace("\"anonymisation\"", "\"anonymization\""));
    assert!(error.starts_with("error: lineage.toml:14:8: kind: \"anonymization\" is none of annotation,"), "{error}");
    assert_eq!(hint, "hint: did you mean \"anonymisation\"?");
    let (error, _) = complaint(&EXAMPLE.replace("date = 2026-04-10", "date = 2026-04-10T10:00:00Z"));
    assert!(error.starts_with("error: lineage.toml:17:8: date:"), "{error}");
    let (error, _) = complaint(&EXAMPLE.replace("country = \"DE\"", "country = \"Germany\""));
    assert_eq!(error, "error: lineage.toml:25:11: country: \"Germany\" is no country");
    let (error, hint) = complaint(&EXAMPLE.replace("licence =", "license ="));
    assert!(error.starts_with("error: lineage.toml:10:"), "{error}");
    assert_eq!(hint, "hint: did you mean \"licence\"?");
    let (error, _) = complaint("[[dataset]\nname = 1");
    assert!(error.starts_with("error: lineage.toml:1:"), "{error}");
}

#[test]
fn what_is_missing_or_contradicts_itself_is_refused() {
    let without = |text: &str| complaint(&EXAMPLE.replace(text, "")).0;
    assert!(without("origin = \"collected\"\n").contains("\"origin\" is missing"));
    assert!(without("path = \"raw/camera\"\n").contains("where the bytes are"));
    assert!(without("used = [\"plant-7-wrist-camera\"]\n").contains("\"used\" is missing"));
    let with = |from: &str, to: &str| complaint(&EXAMPLE.replace(from, to)).0;
    assert!(with("path = \"raw/camera\"", "path = \"a\"\ndigest = \"md5:0\"").contains("beside `path`"));
    assert!(with("dataset = \"camera-anonymised\"", "dataset = \"a\", model = \"b\"").contains("not both"));
    assert!(with("\"camera-anonymised\", path", "\"plant-7-wrist-camera\", path").contains("twice"));
    assert!(with("modality = [\"visual\"] }", "origin = \"external\" }").contains("but a step generated it"));
    assert!(with("name = \"train\"", "name = \"a:b\"").contains("colon"));
    assert!(with("modality = [\"visual\"]\n", "modality = [\"Visual\"]\n").contains("is no word"));
}

#[test]
fn digests_are_strong_or_weak() {
    let hex = "ab".repeat(32);
    assert_eq!(parse_digest(&format!("blake3:{hex}")), Ok(Content::Strong(format!("blake3:{hex}"))));
    assert_eq!(parse_digest(&format!("sha256:{}", hex.to_uppercase())), Ok(Content::Strong(format!("sha256:{hex}"))));
    assert_eq!(parse_digest("md5:d41d8cd9"), Ok(Content::Weak("md5:d41d8cd9".to_owned())));
    for text in ["abcd", "blake3:12", ":12", "md5:"] {
        assert!(parse_digest(text).is_err(), "{text}");
    }
}

/// The page that says all this to people.
const PAGE: &str = include_str!("../../../docs/lineage-file.md");

/// Returns the rows of the table under a heading, by what stands first in them.
fn rows(heading: &str) -> Vec<(String, Vec<&'static str>)> {
    let (_, section) = PAGE.split_once(&format!("\n{heading}\n")).unwrap_or_else(|| panic!("no {heading}"));
    let section = section.split("\n#").next().unwrap_or_default();
    let rows = section.lines().filter_map(|line| line.strip_prefix("| `"));
    let row = |line: &'static str| {
        let (name, rest) = line.split_once("` |").unwrap();
        (name.to_owned(), rest.split(" | ").map(str::trim).collect())
    };
    rows.map(row).collect()
}

fn names(heading: &str) -> Vec<String> {
    rows(heading).into_iter().map(|(name, _)| name).collect()
}

#[test]
fn the_page_has_every_field_that_is_known_and_no_other() {
    assert_eq!(names("## `[[dataset]]`"), DATASET_FIELDS);
    assert_eq!(names("## `[[model]]`"), MODEL_FIELDS);
    assert_eq!(names("## `[[transformation]]`"), STEP_FIELDS);
    assert_eq!(names("## `generated`"), ["dataset", "model"]);
    assert_eq!(names("## `grade`"), ["value", "on"]);
    let tables: Vec<&str> = PAGE
        .lines()
        .filter_map(|line| line.strip_prefix("## `[["))
        .filter_map(|rest| rest.strip_suffix("]]`"))
        .collect();
    assert_eq!(tables, TABLES);
}

#[test]
fn the_page_has_every_detail_with_its_slot_and_no_other() {
    for (heading, kind) in
        [("### Of a data set", Kind::Dataset), ("### Of a step", Kind::Transformation), ("### Of a model", Kind::Model)]
    {
        let mut known = super::super::details::known(kind);
        let mut told = names(heading);
        known.sort_unstable();
        told.sort_unstable();
        assert_eq!(told, known, "{heading}");
        for (name, cells) in rows(heading) {
            let of = if name.starts_with("collected-") { "collected" } else { &name };
            let number = griptrace_core::details::slot(kind, of).unwrap();
            assert_eq!(cells[0], number.to_string(), "{heading} {name}");
        }
    }
}

#[test]
fn the_page_has_every_word_of_closed_lists_and_the_limits() {
    let listed = |words: Vec<&str>| words.iter().map(|word| format!("`{word}`")).collect::<Vec<_>>().join(", ");
    let cell = |heading: &str, field: &str| {
        let rows = rows(heading);
        rows.into_iter().find(|(name, _)| name == field).unwrap().1[0].to_owned()
    };
    assert_eq!(cell("## `[[dataset]]`", "origin"), listed(words(Origin::ALL, Origin::word)));
    assert_eq!(cell("## `[[dataset]]`", "content_held"), listed(words(Held::ALL, Held::word)));
    assert_eq!(cell("## `[[transformation]]`", "kind"), listed(words(Activity::ALL, Activity::word)));
    for said in [
        format!("1 to {WORD_BYTES_MAX} of"),
        format!("At most {WORDS_MAX} words"),
        format!("up to {NAME_CHARS_MAX} characters"),
        format!("a folder of {MANIFEST_FILES_MAX} files at most"),
        format!("at most {PATH_BYTES_MAX} bytes each"),
        format!("{EDGES_MAX} at most"),
        format!("at most {EDGES_MAX} parents"),
        format!(
            "at most {VALUE_BYTES_MAX} bytes, nests at most {VALUE_DEPTH_MAX} deep and has at most {VALUE_ITEMS_MAX} items"
        ),
        format!("at most {COMMIT_NODES_MAX} nodes"),
    ] {
        assert!(PAGE.contains(&said), "{said}");
    }
}

#[test]
fn why_a_model_has_its_grade_is_not_dropped_in_silence() {
    let text = "[[model]]\nname = \"m\"\ngrade = { value = \"core\", by = \"the office\" }\n";
    let (error, hint) = complaint(text);
    assert_eq!(error, "error: lineage.toml:3:32: by: is kept of a data set only");
    assert!(hint.contains("`note`"), "{hint}");
    assert!(parsed(&text.replace(", by = \"the office\"", "")).is_ok());
}
