//! End to end: real recordings, and the demo's story, recorded by four clients at once over TLS, proven and verified
//! offline. What a buyer is told is what the same record in a store of one maker's own tells.

use core::{
    panic::AssertUnwindSafe,
    sync::atomic::{AtomicBool, Ordering},
};
use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    panic::{catch_unwind, resume_unwind},
    path::{Path, PathBuf},
    thread,
};

use griptrace_tests::skipped;
use serde_json::Value;

use crate::{
    clients::{Client, Operator, at_once, tables, trust},
    pipeline::{
        self, INT8, INVENTED, ORIGIN, PURPOSE, Pipeline, confirmed, days_ago, days_ahead, source_counts, sources,
        steps, terms, upstream, verify, write_buyer_files,
    },
    process::works,
    readme,
};

/// Who records the real recordings.
const PLANTS: [&str; 4] = ["plant-1", "plant-2", "plant-3", "plant-4"];
/// The steps that each of them records, and then; the last one waits for what the first one makes meanwhile.
const FIRST: [&[&str]; 4] = [
    &["annotate-grasp-phase"],
    &["anonymise-video"],
    &["pseudonymise-state", "tactile-features"],
    &["force-features", "force-synthetic"],
];
const THEN: [&[&str]; 4] = [
    &["vision-features"],
    &["train-tactile_object", "quantise-tactile_object"],
    &["train-force_contact_state", "quantise-force_contact_state"],
    &["train-vision_grasp_phase", "quantise-vision_grasp_phase"],
];

/// Records the real pipeline in four folders at once.
fn record(pipeline: &Pipeline, clients: &[Client], with_upstream: bool) {
    let all = sources(pipeline);
    let quarters: Vec<String> = all.chunks(all.len().div_ceil(4)).map(<[String]>::concat).collect();
    let named = at_once(clients, |number, client| client.records("sources.toml", &quarters[number])).concat();
    assert_eq!(named.len(), all.len());
    assess(&clients[0], named.iter().map(|(name, _)| name.as_str()));

    let tables: BTreeMap<&str, String> = steps(pipeline, with_upstream).into_iter().collect();
    let pick = |names: &[&str]| names.iter().map(|name| tables[name].as_str()).collect::<String>();
    at_once(clients, |number, client| {
        let more = if with_upstream && number == 2 { upstream(pipeline) } else { String::new() };
        client.records("first.toml", &(more + &pick(FIRST[number])));
    });
    let models = at_once(clients, |number, client| {
        if number == 3 {
            client.waits_for_node("dataset:out/features/vision.npz");
        }
        client.records("then.toml", &pick(THEN[number]))
    });
    // What others made is named by its id here, and was by its name above.
    let models: BTreeMap<String, String> = models.concat().into_iter().collect();
    let by_id =
        INT8.iter().fold(pick(&["package"]), |text, model| text.replace(&format!("model:{model}"), &models[*model]));
    assert!(!by_id.contains("model:"), "{by_id}");
    clients[3].records("package.toml", &by_id);
}

/// Has the sources assessed by an invented office.
fn assess<'n>(client: &Client, names: impl Iterator<Item = &'n str>) {
    client.works(&["key", "new", "office.key"]);
    let subjects = names.flat_map(|name| ["--subject".to_owned(), format!("dataset:{name}")]);
    let sign: Vec<String> = ["assess", "sign"].map(str::to_owned).into_iter().chain(subjects).chain(terms()).collect();
    client.works(&sign.iter().map(String::as_str).collect::<Vec<_>>());
    client.works(&["assess", "record", "office.statement", "--reference", INVENTED]);
}

/// Makes the folder of a buyer who believes these clients, and these assessors.
fn buyer(operator: &Operator, clients: &[Client], assessors: &[String]) -> PathBuf {
    let folder = operator.at().join("buyer");
    fs::create_dir(&folder).unwrap();
    write_buyer_files(&folder, &(trust(clients) + &assessors.concat()));
    folder
}

/// Asks the server again and again, as somebody who may only read, while `work` is done; each answer has to come.
fn asked_meanwhile<T>(operator: &Operator, work: impl FnOnce() -> T) -> T {
    let is_done = AtomicBool::new(false);
    thread::scope(|scope| {
        let asking = scope.spawn(|| {
            let mut traced: usize = 0;
            while !is_done.load(Ordering::Relaxed) {
                traced += usize::from(ask_all(operator));
            }
            traced
        });
        let done = catch_unwind(AssertUnwindSafe(work));
        is_done.store(true, Ordering::Relaxed);
        let done = done.unwrap_or_else(|panic| resume_unwind(panic));
        let traced = asking.join().expect("each answer comes");
        assert!(traced > 0, "it was asked while the log had something in it");
        done
    })
}

/// Asks for the newest commits, the inventory, and what the newest node came from; tells whether there was one.
fn ask_all(operator: &Operator) -> bool {
    let flags = ["--server", &operator.url, "--ca", "ca.pem", "--token-file", "reader.token", "--json"];
    let ask = |question: &[&str]| works(operator.at(), &[&flags[..], question].concat());
    ask(&["inventory"]);
    let newest = ask(&["log", "--limit", "1"]);
    let Some(commit) = newest.lines().next() else { return false };
    let commit: Value = serde_json::from_str(commit).unwrap();
    let id = commit["nodes"][0]["id"].as_str().expect("a commit has a node");
    assert!(ask(&["trace", id]).contains(id));
    true
}

#[test]
fn four_clients_at_once_are_told_what_one_store_tells() {
    let Some(pipeline) = Pipeline::read() else {
        skipped!("../shared/data, with the real recordings, is not there");
    };
    let mut operator = Operator::new(ORIGIN, &PLANTS);
    let clients = PLANTS.map(|plant| operator.client(plant));
    let bundles = asked_meanwhile(&operator, || {
        record(&pipeline, &clients, false);
        at_once(&clients[..INT8.len()], |number, client| {
            let bundle = pipeline::ship(|args| drop(client.works(args)), INT8[number]);
            client.folder.join(bundle).display().to_string()
        })
    });
    let known = confirmed(&clients[0].works(&["trust", "init"]));
    let buyer = buyer(&operator, &clients, &tables(&known, "assessor"));
    operator.end(&clients);

    let (desk, sources) = (pipeline::record(&pipeline, false), source_counts(&pipeline));
    let mut committers = BTreeSet::new();
    for (model, bundle) in INT8.iter().zip(&bundles) {
        let alone = desk.ship(model);
        let other = INT8.iter().find(|other| *other != model).unwrap();
        for (file, expected) in [(model, (0, "TRACED_ASSESSED")), (other, (1, "MISMATCH"))] {
            let file = pipeline.file(file).unwrap();
            let ((code, ours), theirs) = (verify(&buyer, bundle, &file, &[]), desk.verify(&alone, &file));
            assert_eq!((code, ours["verdict"].as_str().unwrap()), expected, "{model}: {ours:#}");
            assert_eq!((code, &ours["nodes"]), (theirs.0, &theirs.1["nodes"]), "{model}");
            assert_same(&mapped(&ours), &mapped(&theirs.1), model);
            assert_eq!(ours["sources"].as_array().unwrap().len(), sources[model], "{model}");
            committers.extend(committers_of(&ours));
        }
    }
    assert_eq!(committers, PLANTS.map(str::to_owned).into(), "the verdicts rest on all of them");
    pipeline::raw_videos_are_known_by_digest_only(&buyer, &bundles[2]);
}

#[test]
fn an_upstream_model_is_as_unknown_through_a_server() {
    let Some(pipeline) = Pipeline::read() else {
        skipped!("../shared/data, with the real recordings, is not there");
    };
    let mut operator = Operator::new(ORIGIN, &PLANTS);
    let clients = PLANTS.map(|plant| operator.client(plant));
    record(&pipeline, &clients, true);
    let bundle = pipeline::ship(|args| drop(clients[2].works(args)), INT8[0]);
    let bundle = clients[2].folder.join(bundle).display().to_string();
    let known = confirmed(&clients[0].works(&["trust", "init"]));
    let buyer = buyer(&operator, &clients, &tables(&known, "assessor"));
    operator.end(&clients);

    let (code, report) = verify(&buyer, &bundle, &pipeline.file(INT8[0]).unwrap(), &[]);
    assert_eq!((code, &report["verdict"]), (1, &"UPSTREAM_UNKNOWN".into()), "{report:#}");
    let desk = pipeline::record(&pipeline, true);
    let (_, alone) = desk.verify(&desk.ship(INT8[0]), &pipeline.file(INT8[0]).unwrap());
    assert_same(&mapped(&report), &mapped(&alone), INT8[0]);
}

/// The demo's parties: two who collect, one who prepares, one who trains and ships.
const PARTIES: [&str; 4] = ["camera", "force", "preparation", "training"];

#[test]
fn the_demo_and_its_lies_are_judged_alike_through_a_server() {
    let folder = tempfile::tempdir().unwrap();
    let (code, said) = readme::run(&readme::programs(folder.path()), folder.path(), "griptrace demo");
    assert_eq!(code, 0, "{said}");
    let demo = folder.path().join("demo");
    for (telling, verdict) in [
        ("", "TRACED_ASSESSED"),
        ("lies/untrusted-assessor", "TRACED_UNASSESSED"),
        ("lies/expired", "EXPIRED_AT_SHIPMENT"),
        ("lies/lowered", "GRADE_LOWERED_WITHOUT_RECORD"),
        ("lies/relabelled", "TRACED_UNASSESSED"),
        ("lies/withdrawn", "WITHDRAWN"),
    ] {
        let home = demo.join(telling);
        let mut operator = Operator::new("lineage.gripper-maker.example/demo", &PARTIES);
        let clients = PARTIES.map(|party| operator.client(party));
        let bundle = retell(&operator, &clients, &home, telling);
        let assessors = tables(&fs::read_to_string(home.join("trust.toml")).unwrap(), "assessor");
        let buyer = buyer(&operator, &clients, &assessors);
        operator.end(&clients);

        let asked = ["--consignee", "Maschinenbau Muster GmbH", "--purpose", PURPOSE];
        let (code, report) = verify(&buyer, &bundle, &home.join("model"), &asked);
        assert_eq!(
            (code, &report["verdict"]),
            (i32::from(!telling.is_empty()), &verdict.into()),
            "{telling}: {report:#}"
        );
        let alone = verify(&home, "shipment.griptrace", &home.join("model"), &asked);
        assert_eq!(code, alone.0, "{telling}");
        assert_same(&mapped(&report), &mapped(&alone.1), telling);
    }
}

/// Tells the demo's story, or one of its lies, from the files that it left; returns the bundle.
fn retell(operator: &Operator, clients: &[Client; 4], home: &Path, telling: &str) -> String {
    let text = |name: &str| fs::read_to_string(home.join(name)).unwrap();
    let sources = tables(&text("sources.toml"), "dataset");
    let [.., training] = clients;
    let assessed = at_once(clients, |number, client| match number {
        2 => {
            client.waits_for_commits(4);
            client.records("steps.toml", &text("steps-cn.toml"));
            String::new()
        }
        3 => {
            client.waits_for_commits(5);
            client.records("steps.toml", &text("steps-de.toml"));
            let note = home.join("delivery-note.txt").display().to_string();
            let (what, to) = (["ship", "model:grasp-int8", "--name", "shipment-1"], "Maschinenbau Muster GmbH");
            let rest =
                ["--to", to, "--country", "DE", "--purpose", PURPOSE, "--serial", "SIM-0001", "--document", &note];
            client.works(&[&what[..], &rest].concat());
            String::new()
        }
        _ => collect(operator, client, &sources[number], home, telling),
    });
    if telling == "lies/withdrawn" {
        let key = home.join("office.key").display().to_string();
        for (client, assessment) in clients.iter().zip(&assessed[..2]) {
            client.works(&["assess", "withdraw", assessment, "--key", &key, "-o", "withdrawn.update"]);
            let mark = ["mark", "withdraw", assessment, "--statement", "withdrawn.update", "--reason", "invented"];
            client.works(&mark);
        }
    }
    training.works(&["prove", "shipment-1", "-o", "shipment.griptrace", "--profile", "full"]);
    training.folder.join("shipment.griptrace").display().to_string()
}

/// Drafts one source, has it assessed by who sees nothing but the draft, records both, and returns the assessment.
fn collect(operator: &Operator, client: &Client, source: &str, home: &Path, telling: &str) -> String {
    fs::write(client.folder.join("sources.toml"), source).unwrap();
    client.works(&["record", "sources.toml", "--draft", "sources.draft"]);
    let office = operator.at().join(format!("office of {}", client.party));
    fs::create_dir(&office).unwrap();
    fs::copy(client.folder.join("sources.draft"), office.join("sources.draft")).unwrap();
    let (key, from) = (home.join("office.key").display().to_string(), days_ago(10));
    let to = if telling == "lies/expired" { days_ago(3) } else { days_ahead(3 * 365) };
    let sign = ["assess", "sign", "--draft", "sources.draft", "--key", &key, "--issuer", "Simulated Assessment Office"];
    let scope =
        ["--scheme", "security-assessment", "--grade", "important", "--purpose", PURPOSE, "--destination", "DE"];
    let more = ["--modality", "visual", "--modality", "force-torque", "--valid-from", &from, "--valid-to", &to];
    works(&office, &[&sign[..], &scope, &more, &["-o", "assessment.statement"]].concat());
    client.works(&["record", "--from-draft", "sources.draft"]);
    let statement = office.join("assessment.statement").display().to_string();
    let told = client.works(&["assess", "record", &statement, "--reference", "INVENTED-0001", "--json"]);
    let recorded: Value = serde_json::from_str(told.lines().next().unwrap()).unwrap();
    recorded["id"].as_str().unwrap().to_owned()
}

/// Returns the committers that a verdict rests on.
fn committers_of(report: &Value) -> BTreeSet<String> {
    let keys = report["keys"].as_array().unwrap().iter();
    keys.filter(|key| key["role"] == "committer").map(|key| key["party"].as_str().unwrap().to_owned()).collect()
}

/// Returns a report without what differs from log to log: ids are names, and times, sizes and keys are gone.
fn mapped(report: &Value) -> Value {
    let mut names: BTreeMap<&str, &str> = BTreeMap::new();
    for detail in report["details"].as_array().unwrap() {
        let (node, value) = (detail["node"].as_str().unwrap(), detail["value"].as_str().unwrap());
        if detail["name"] == "name" {
            names.insert(node, value);
        } else {
            names.entry(node).or_insert("a node without a name");
        }
    }
    let mut mapped = without_ids(report, &names);
    let fields = mapped.as_object_mut().unwrap();
    for gone in ["bundle_digest", "file", "keys", "nodes"] {
        fields.remove(gone);
    }
    fields["at_shipment"].as_object_mut().unwrap().remove("time");
    for log in fields["logs"].as_array_mut().unwrap() {
        // Who records is one party here, and four there: `committers_of` compares them.
        log.as_object_mut().unwrap().retain(|key, _| !["size", "time", "as_of", "parties"].contains(&key.as_str()));
    }
    for list in ["sources", "crossings"] {
        for one in fields[list].as_array_mut().unwrap() {
            one.as_object_mut().unwrap().remove("party");
        }
    }
    // Each assessment tells its reference; how many there are is up to who assesses.
    fields["details"].as_array_mut().unwrap().dedup();
    mapped
}

/// Puts names in the place of ids, and lists in an order that does not hang on ids.
fn without_ids(value: &Value, names: &BTreeMap<&str, &str>) -> Value {
    match value {
        Value::String(text) => {
            let text = names.iter().fold(text.clone(), |text, (id, name)| text.replace(id, name));
            // The root of a manifest is over a secret that is drawn.
            let manifest = text.strip_prefix("root: ").and_then(|rest| rest.split_once("; "));
            manifest.map_or_else(|| text.clone(), |(_, rest)| rest.to_owned()).into()
        }
        Value::Array(values) => {
            let mut values: Vec<Value> = values.iter().map(|value| without_ids(value, names)).collect();
            values.sort_by_key(ToString::to_string);
            values.into()
        }
        Value::Object(fields) => fields.iter().map(|(key, value)| (key.clone(), without_ids(value, names))).collect(),
        Value::Null | Value::Bool(_) | Value::Number(_) => value.clone(),
    }
}

/// Asserts that two reports say the same, and shows where they don't.
fn assert_same(ours: &Value, theirs: &Value, what: &str) {
    let (ours, theirs) = (ours.as_object().unwrap(), theirs.as_object().unwrap());
    assert!(ours.keys().eq(theirs.keys()), "{what}: {:?}", ours.keys());
    for (key, theirs) in theirs {
        assert_eq!(&ours[key], theirs, "{what}: {key} is told otherwise through a server");
    }
}
