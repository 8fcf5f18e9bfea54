//! The honest world: two sources in China, derived and synthetic data, a model trained in Germany.

use griptrace_core::{
    entry::Genesis,
    key::{PublicKey, Signer as _},
    node::{Activity, Origin},
    word::is_note_name,
};

use super::{CommitSpec, HeadSpec, Log, NodeSpec, Step, World, commit, file, key, noon};

/// The maker's log.
pub(crate) const ORIGIN: &str = "maker.example/2026";
/// The supplier's log.
pub(crate) const SUPPLIER_ORIGIN: &str = "supplier.example/log";

/// A status head that everybody who should has signed.
pub(crate) fn head(log_key: &'static str, origin: &str, time: u64) -> HeadSpec {
    HeadSpec {
        time,
        anchor: true,
        log_signers: vec![(log_key, origin.into())],
        cosigners: vec![("w1", time + 60), ("w1/map", time + 90)],
        map_edit: None,
        head_edit: None,
        text_edit: None,
    }
}

/// A log that has nothing yet.
pub(crate) fn log(origin: &str, log_key: &'static str) -> Log {
    assert!(is_note_name(origin), "a checkpoint can bear it");
    let public: PublicKey = key(log_key).public_key();
    let nonce = [origin.len().try_into().expect("it is short"); 16];
    let genesis = Genesis { origin: origin.into(), key: public, time: noon("2026-03-01"), nonce, revokers: Vec::new() };
    Log { genesis, steps: Vec::new() }
}

fn nodes() -> Vec<NodeSpec> {
    let mut model = NodeSpec::model("grasp-int8", "DE");
    model.files = vec![file("grasp.int8.onnx", b"weights"), file("labels.txt", b"open\nshut\n")];
    vec![
        NodeSpec::source("camera", "CN", "visual", "important"),
        NodeSpec::source("force", "CN", "force-torque", "general"),
        NodeSpec::source("tactile", "CN", "tactile", "general"),
        NodeSpec::step("anonymise", Activity::Anonymisation, ("CN", "2026-04-10"), &["camera"]),
        NodeSpec::dataset("camera-anonymised", "CN", &["visual"], Origin::Derived).by("anonymise"),
        NodeSpec::step("extract", Activity::Feature, ("CN", "2026-04-15"), &["camera-anonymised", "force"]),
        NodeSpec::dataset("features", "CN", &["force-torque", "visual"], Origin::Derived).by("extract"),
        NodeSpec::step("generate", Activity::Synthetic, ("CN", "2026-04-16"), &["features"]),
        NodeSpec::dataset("rows", "CN", &["force-torque", "visual"], Origin::Synthetic).by("generate"),
        NodeSpec::assessment("assessment", Some("office"), &["camera", "tactile", "camera-anonymised"], &["visual"]),
        NodeSpec::assessment("assessment-2", Some("bureau"), &["force"], &["force-torque"]),
        NodeSpec::step("train", Activity::Training, ("DE", "2026-05-20"), &["features", "rows"]),
        NodeSpec::model("grasp-fp32", "DE").by("train"),
        NodeSpec::step("quantise", Activity::Quantisation, ("DE", "2026-05-25"), &["grasp-fp32"]),
        model.by("quantise"),
        NodeSpec::shipment("shipment", "DE", "2026-06-01", &["grasp-int8"]),
        NodeSpec::source("unrelated", "CN", "visual", "core"),
    ]
}

fn by_maker(day: &str, names: &[&str]) -> Step {
    let nodes = names.iter().map(|name| (*name).into()).collect();
    let spec: CommitSpec = commit("maker", noon(day), nodes);
    Step::Commit(spec)
}

/// Everything as it should be: `TRACED_ASSESSED`, and the policy met.
///
/// Four checkpoints: on 21 April, 22 May, 2 June (the shipment's) and 21 June. `tactile` and
/// `unrelated` are recorded and no ancestor of the shipment.
pub(crate) fn honest() -> World {
    let mut log = log(ORIGIN, "log");
    let head = |day| Step::Head(head("log", ORIGIN, noon(day)));
    log.steps = vec![
        by_maker("2026-04-03", &["camera", "force", "tactile"]),
        by_maker("2026-04-11", &["anonymise", "camera-anonymised"]),
        by_maker("2026-04-16", &["extract", "features", "generate", "rows"]),
        by_maker("2026-04-20", &["assessment", "assessment-2"]),
        head("2026-04-21"),
        by_maker("2026-05-21", &["train", "grasp-fp32"]),
        head("2026-05-22"),
        by_maker("2026-05-26", &["quantise", "grasp-int8"]),
        by_maker("2026-06-01", &["shipment"]),
        head("2026-06-02"),
        by_maker("2026-06-20", &["unrelated"]),
        head("2026-06-21"),
    ];
    // The newest one has the line of every kind, the others less: a line by ML-DSA-44 has 3 300 bytes.
    if let Some(Step::Head(newest)) = log.steps.last_mut() {
        newest.cosigners.push(("w2/ml-dsa", newest.time + 120));
    }
    World {
        logs: vec![log],
        nodes: nodes(),
        root: "shipment".into(),
        extra: Vec::new(),
        omit: Vec::new(),
        hide_statuses: false,
    }
}

impl World {
    /// Adds the supplier's log, recorded by `supplier`, with checkpoints on 2 April and 21 June.
    pub(crate) fn add_supplier(&mut self, nodes: Vec<NodeSpec>) {
        let mut log = log(SUPPLIER_ORIGIN, "supplier-log");
        let names = nodes.iter().map(|node| node.name.clone()).collect();
        log.steps = vec![
            Step::Commit(commit("supplier", noon("2026-04-02"), names)),
            Step::Head(head("supplier-log", SUPPLIER_ORIGIN, noon("2026-04-02"))),
            Step::Head(head("supplier-log", SUPPLIER_ORIGIN, noon("2026-06-21"))),
        ];
        self.logs.push(log);
        for (place, node) in nodes.into_iter().enumerate() {
            self.nodes.insert(place, node);
        }
    }
}
