//! What a supplier says after the shipment is told by `griptrace audit` as what came since, whoever is believed by default.

use super::*;

/// Judges what a company shipped, with its own default trust unless told otherwise.
fn audit(company: &Company, more: &[&str]) -> (i32, Vec<Value>) {
    let args = [&["--json", "audit", "--shipped", "--policy", "policy.toml", "--all"], more].concat();
    let finished = company.start(&args);
    let out = String::from_utf8(finished.stdout).unwrap();
    (finished.status.code().unwrap(), out.lines().map(|line| serde_json::from_str(line).unwrap()).collect())
}

/// Adopts newer evidence of a supplier, whatever it says.
fn adopt_anyway(company: &Company, supplier: &Company, bundle: &str, verdict: &str) {
    let model = supplier.path("model.bin");
    fs::write(company.path("theirs.toml"), supplier.trust()).unwrap();
    let question = ["--trust", "theirs.toml", "--policy", "policy.toml", "--model", &model, "--destination", "DE"];
    company.run(&[&["add", "--from-bundle", bundle, "--accept", verdict], &question[..]].concat());
}

/// Returns what one audit says of the only shipment: exit code, lead, verdict on its day and now.
fn shipment(company: &Company) -> (i32, Value) {
    let (code, objects) = audit(company, &[]);
    (code, objects.into_iter().find(|object| object["shipment"].is_string()).unwrap())
}

#[test]
fn what_a_supplier_withdrew_since_is_worse_than_what_shipped() {
    let [base, _, gripper] = chain();
    let (code, before) = shipment(&gripper);
    assert_eq!((code, &before["worse"], &before["changed"]), (0, &false.into(), &false.into()), "{before:#}");
    assert_eq!(before["new"]["verdict"], "TRACED_ASSESSED", "the suppliers are believed as when they were adopted");

    // A day that the supplier states, before the shipment, changes nothing: it came after it.
    let long_ago = days_ago(1);
    base.run(&["mark", "withdraw", "model:base", "--reason", "wrong data", "--date", &long_ago]);
    adopt_anyway(&gripper, &base, &base.prove("newer.griptrace"), "WITHDRAWN");
    let (code, objects) = audit(&gripper, &[]);
    let after = objects.iter().find(|object| object["shipment"].is_string()).unwrap();
    assert_eq!((code, &after["worse"]), (1, &true.into()), "{after:#}");
    assert_eq!(after["new"]["at_shipment"]["verdict"], "TRACED_ASSESSED");
    assert_eq!(after["new"]["now"]["verdict"], "WITHDRAWN");
    let came = &after["changes"][0]["came"][0];
    assert_eq!((&came["code"], &came["name"]), (&"withdrawn".into(), &"base".into()));
    let cause = objects.iter().find(|object| object["cause"] == "mark").unwrap();
    assert_eq!((&cause["mark"], &cause["name"]), (&"withdraw".into(), &"base".into()));
    assert_eq!(cause["shipments"][0]["consignee"], "Next");
    let words = gripper.start(&["audit", "--shipped", "--policy", "policy.toml"]);
    let words = String::from_utf8(words.stdout).unwrap();
    assert!(words.contains("WORSE  shipment") && words.contains("model base of base.example/1"), "{words}");
    let words = gripper.start(&["check", "sent", "--policy", "policy.toml"]);
    let words = (words.status.code(), String::from_utf8(words.stdout).unwrap());
    assert!(words.0 == Some(1) && words.1.contains("model base of base.example/1"), "{words:?}");

    // Adopted again, or an older file of theirs after it, it came no earlier.
    adopt_anyway(&gripper, &base, &base.path("newer.griptrace"), "WITHDRAWN");
    adopt_anyway(&gripper, &base, &base.path("sent.griptrace"), "TRACED_ASSESSED");
    assert_eq!(shipment(&gripper), (1, after.clone()));

    // What ships from now on was shipped in spite of it, so that nothing is worse; another withdrawal is.
    gripper.run(&["mark", "recall", "sent", "--reason", "withdrawn by its supplier"]);
    let again =
        ["ship", "model:gripper", "--to", "Again", "--country", "DE", "--date", &days_ago(0), "--name", "again"];
    gripper.run(&[&again[..], &["--purpose", PURPOSE]].concat());
    let of = |objects: Vec<Value>| objects.into_iter().find(|object| object["name"] == "again").unwrap();
    assert_eq!(of(audit(&gripper, &[]).1)["worse"], false);
    base.run(&["mark", "withdraw", "dataset:base-source", "--reason", "the source too"]);
    adopt_anyway(&gripper, &base, &base.prove("newest.griptrace"), "WITHDRAWN");
    let last = of(audit(&gripper, &[]).1);
    assert_eq!((&last["worse"], &last["changes"][0]["from"]), (&true.into(), &last["changes"][0]["to"]), "{last:#}");
    assert_eq!(last["changes"][0]["came"][0]["name"], "base-source");
}

/// Nobody could take it over: a supplier that withdrew its source had its key revoked too, and its news was refused as BROKEN,
/// so that nothing changed for whoever had built on it.
#[test]
fn what_a_supplier_broke_by_its_own_revocation_is_taken_over_as_bad_news() {
    let [base, backbone, gripper] = chain();
    base.run(&["mark", "withdraw", "dataset:base-source", "--reason", "wrong data"]);
    base.revoke();
    let newer = base.prove("newer.griptrace");
    fs::write(gripper.path("theirs.toml"), base.trust()).unwrap();
    let model = base.path("model.bin");
    let question = ["--trust", "theirs.toml", "--policy", "policy.toml", "--model", &model, "--destination", "DE"];
    let add = |bundle: &str, more: &[&str]| {
        let finished = gripper.start(&[&["add", "--from-bundle", bundle], &question[..], more].concat());
        (finished.status.code().unwrap(), String::from_utf8(finished.stderr).unwrap())
    };
    let (code, said) = add(&newer, &[]);
    assert!(code == 1 && said.contains("key-retired (error)") && said.contains("withdrawn (error)"), "{said}");
    assert!(said.contains("its evidence holds together") && said.contains("--accept BROKEN adopts it"), "{said}");
    assert!(said.contains("`audit` and what you prove go on without the news otherwise"), "{said}");
    assert_eq!(add(&newer, &["--accept", "WITHDRAWN"]).0, 1, "the verdict is another");
    let buys = |name: &str| bought(&gripper, &gripper.prove(name), &[&base, &backbone, &gripper]);
    assert_eq!(buys("before.griptrace").0, 0, "the buyer of what goes on without it sees nothing");
    assert_eq!(shipment(&gripper).0, 0, "nothing was adopted");

    // What does not hold together is never adopted: nobody is believed in it, or a byte is another.
    fs::write(gripper.path("strangers.toml"), gripper.trust()).unwrap();
    let adopt = ["add", "--from-bundle", &newer, "--accept", "BROKEN", "--policy", "policy.toml", "--model", &model];
    let strangers = gripper.start(&[&adopt[..], &["--trust", "strangers.toml", "--destination", "DE"]].concat());
    let said = String::from_utf8_lossy(&strangers.stderr);
    assert!(strangers.status.code() == Some(1) && said.contains("does not hold together (log-untrusted)"), "{said}");
    assert!(
        said.contains("it is not adopted, whatever is accepted") && said.contains("If you trust that log"),
        "{said}"
    );
    let bytes = fs::read(&newer).unwrap();
    let mut forged = bytes.clone();
    let middle = forged.len() / 2;
    forged[middle] ^= 1;
    fs::write(gripper.path("forged.griptrace"), forged).unwrap();
    let (code, said) = add("forged.griptrace", &["--accept", "BROKEN"]);
    assert!(code == 1 && said.contains("does not hold together (bundle-digest-mismatch)"), "{said}");
    assert_eq!(shipment(&gripper).0, 0, "nothing was adopted");

    let (code, said) = add(&newer, &["--accept", "BROKEN", "--json"]);
    assert_eq!(code, 0, "{said}");
    let kept = fs::read_dir(gripper.path(".griptrace/store/adopted")).unwrap();
    assert!(kept.into_iter().any(|file| fs::read(file.unwrap().path()).unwrap() == bytes), "what was judged is kept");
    let (code, objects) = audit(&gripper, &[]);
    let after = objects.iter().find(|object| object["shipment"].is_string()).unwrap();
    assert_eq!((code, &after["worse"], &after["consignee"]), (1, &true.into(), &"Next".into()), "{after:#}");
    assert_eq!(after["new"]["at_shipment"]["verdict"], "TRACED_ASSESSED");
    assert_eq!(after["new"]["now"]["verdict"], "BROKEN");
    let named = |code: &str| {
        let found = |object: &&Value| object["code"] == code && object["name"] == "base-source";
        objects.iter().find(found).map(|object| object["shipments"][0]["consignee"].clone())
    };
    assert_eq!((named("key-retired"), named("withdrawn")), (Some("Next".into()), Some("Next".into())), "{objects:#?}");

    // Older evidence after it is told, and takes nothing back.
    let (code, said) = add(&base.path("sent.griptrace"), &[]);
    assert!(code == 0 && said.contains("newer evidence of base.example/1 is here, of "), "{said}");
    assert!(said.contains("is not used where the newer has all that is needed"), "{said}");
    assert_eq!(shipment(&gripper), (1, after.clone()));
    let (code, report) = buys("after.griptrace");
    assert_eq!((code, &report["verdict"]), (1, &"BROKEN".into()), "{report:#}");
    assert!(codes(&report).contains(&"key-retired") && codes(&report).contains(&"withdrawn"), "{report:#}");
}

#[test]
fn an_assessors_withdrawal_that_a_supplier_recorded_is_what_came_since() {
    let [base, _, gripper] = chain();
    base.run(&["assess", "withdraw", "office.statement", "--key", "office.key", "-o", "w.update"]);
    let trace = base.run(&["--json", "show", "dataset:base-source"]);
    let assessment = base.run(&["--json", "inventory"]);
    let id = assessment
        .lines()
        .chain(trace.lines())
        .filter_map(|line| serde_json::from_str::<Value>(line).ok())
        .find_map(|object| object["assessments"][0]["id"].as_str().map(str::to_owned));
    let id = id.expect("the inventory names the assessment");
    base.run(&["mark", "withdraw", &id, "--reason", "a mistake in the sample", "--statement", "w.update"]);
    adopt_anyway(&gripper, &base, &base.prove("newer.griptrace"), "WITHDRAWN");
    let (code, after) = shipment(&gripper);
    assert_eq!((code, &after["worse"]), (1, &true.into()), "{after:#}");
    assert_eq!(after["changes"][0]["came"][0]["code"], "assessment-withdrawn");
}

#[test]
fn what_nobody_is_believed_for_or_can_be_put_together_is_never_fine() {
    let [base, backbone, gripper] = chain();
    let (code, objects) = audit(&gripper, &["--trust", "own.toml"]);
    let told = &objects[0];
    assert_eq!((code, &told["broken"][0]["code"]), (1, &"log-untrusted".into()), "{told:#}");
    assert_eq!(objects.last().unwrap()["broken"], 1);
    let words = gripper.start(&["audit", "--shipped", "--policy", "policy.toml", "--trust", "own.toml"]);
    let words = String::from_utf8(words.stdout).unwrap();
    assert!(words.contains("BROKEN  shipment") && words.contains("1 cannot be relied on"), "{words}");
    assert!(words.contains("to clear: of a supplier: adopt its bundle with a --trust file"), "{words}");
    let checked = gripper.start(&["check", "sent", "--policy", "policy.toml", "--trust", "own.toml"]);
    let words = String::from_utf8(checked.stdout).unwrap();
    assert!(checked.status.code() == Some(1) && words.contains("or name such a file with --trust"), "{words}");
    assert_eq!(gripper.start(&["check", "sent", "--policy", "policy.toml"]).status.code(), Some(0));

    // Two bundles of one log, each with a part of what a shipment needs: it is not judged, and the others are.
    fs::write(base.path("extra.bin"), "other weights").unwrap();
    let step =
        base.step(&[]).replace("base-training", "extra-training").replace("model = \"base\"", "model = \"extra\"");
    fs::write(base.path("extra.toml"), step.replace("model.bin", "extra.bin")).unwrap();
    base.run(&["record", "extra.toml"]);
    base.run(&["prove", "model:extra", "-o", "extra.griptrace", "--profile", "full"]);
    fs::write(backbone.path("theirs.toml"), base.trust()).unwrap();
    let (bundle, model) = (base.path("extra.griptrace"), base.path("extra.bin"));
    let adopt = ["add", "--from-bundle", &bundle, "--model", &model, "--accept", "TRACED_ASSESSED"];
    let by = ["--trust", "theirs.toml", "--policy", "policy.toml", "--destination", "DE"];
    backbone.run(&[&adopt[..], &by].concat());
    let step = backbone.step(&["model:base", "model:extra"]).replace("backbone-training", "both-training");
    fs::write(backbone.path("both.bin"), "both").unwrap();
    let step = step.replace("model = \"backbone\"", "model = \"both\"").replace("model.bin", "both.bin");
    fs::write(backbone.path("both.toml"), step).unwrap();
    backbone.run(&["record", "both.toml"]);
    let ship = ["ship", "model:both", "--to", "Next", "--country", "DE", "--date", &days_ago(0), "--name", "both"];
    backbone.run(&[&ship[..], &["--purpose", PURPOSE]].concat());
    let (code, objects) = audit(&backbone, &[]);
    let of = |name: &str| objects.iter().find(|object| object["name"] == name).unwrap();
    assert_eq!((code, &of("sent")["worse"]), (2, &false.into()), "{objects:#?}");
    assert!(of("both")["unjudged"].as_str().unwrap().contains("no adopted bundle has all"), "{objects:#?}");
    assert_eq!(objects.last().unwrap()["unjudged"], 1);

    // One bundle of both settles it: what was not to be put together on its day is not held against it now.
    let ship = ["ship", "model:base", "model:extra", "--to", "Next", "--country", "DE", "--date", &days_ago(0)];
    base.run(&[&ship[..], &["--purpose", PURPOSE, "--name", "joint"]].concat());
    base.run(&["prove", "joint", "-o", "joint.griptrace", "--profile", "full"]);
    let id = base.run(&["--json", "show", "model:extra"]);
    let id = serde_json::from_str::<Value>(id.lines().next().unwrap()).unwrap()["id"].as_str().unwrap().to_owned();
    let bundle = base.path("joint.griptrace");
    let adopt = ["add", "--from-bundle", &bundle, "--node", &id, "--accept", "TRACED_ASSESSED"];
    backbone.run(&[&adopt[..], &by].concat());
    let (code, objects) = audit(&backbone, &[]);
    let both = objects.iter().find(|object| object["name"] == "both").unwrap();
    assert_eq!((code, &both["changed"], &both["worse"]), (0, &true.into(), &false.into()), "{both:#}");
    let change = &both["changes"][0];
    assert_eq!((&change["from"]["verdict"], &change["to"]["met"]), (&"UPSTREAM_UNKNOWN".into(), &true.into()));
}

#[test]
fn two_files_that_call_one_key_by_two_names_are_not_joined() {
    let [base, backbone, gripper] = chain();
    let before = fs::read_to_string(gripper.path(".griptrace/believed.toml")).unwrap();
    let theirs = backbone.trust();
    let (_, table) = theirs.split_once("[[committer]]").unwrap();
    let key = table.lines().find(|line| line.starts_with("key = ")).unwrap();
    let more = format!("\n[[assessor]]\nname = \"Somebody\"\n{key}\nschemes = [\"security-assessment\"]\n");
    fs::write(gripper.path("two.toml"), base.trust() + &more).unwrap();
    let (bundle, model) = (base.path("sent.griptrace"), base.path("model.bin"));
    let question = ["--trust", "two.toml", "--policy", "policy.toml", "--model", &model, "--destination", "DE"];
    let adopted = gripper.start(&[&["add", "--from-bundle", &bundle], &question[..]].concat());
    let said = String::from_utf8_lossy(&adopted.stderr);
    assert!(adopted.status.success() && said.contains("the own trust file does not take over"), "{said}");
    assert!(said.contains("one key under two names") && said.contains("name a trust file with --trust"), "{said}");
    assert_eq!(fs::read_to_string(gripper.path(".griptrace/believed.toml")).unwrap(), before);
    assert_eq!(audit(&gripper, &[]).0, 0, "who was believed before still is");
}

#[test]
fn a_refused_bundle_is_answered_with_no_and_each_cause_is_told_once() {
    let [base, backbone, _] = chain();
    base.run(&["mark", "withdraw", "model:base", "--reason", "wrong data"]);
    base.run(&["mark", "withdraw", "dataset:base-source", "--reason", "the source too"]);
    let refused = backbone.adopt(&base.prove("newer.griptrace"), &base, &[&base]);
    let said = String::from_utf8_lossy(&refused.stderr);
    assert_eq!(refused.status.code(), Some(1), "checked, and it is not: {said}");
    let told: Vec<&str> = said.lines().filter(|line| line.contains("withdraw")).collect();
    assert!(told[0].contains("withdrawn (error), 2 times:"), "{said}");
    assert!(
        told[1..3].iter().any(|line| line.contains("\"base-source\": the dataset has the mark withdraw")),
        "{said}"
    );
    assert!(told[1..3].iter().all(|line| line.ends_with("[now]")), "{said}");
    assert_eq!(said.matches("has the mark withdraw").count(), 2, "{said}");
    // Nobody is believed in it.
    let strangers = backbone.adopt(&base.path("newer.griptrace"), &base, &[&backbone]);
    let said = String::from_utf8_lossy(&strangers.stderr);
    assert!(strangers.status.code() == Some(1) && said.contains("log-untrusted (error): "), "{said}");
    assert_eq!(backbone.run(&["--json", "inventory"]).matches("base.example/1").count(), 1, "nothing was adopted");
}
