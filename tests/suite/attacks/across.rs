//! Bundles of several companies' logs: what each may say of the others' nodes, and what it has to answer for.

use griptrace_core::{
    assessment::status_key_of_payload,
    bundle::{Bundle, StatusPart},
    digest::Digest,
    id::StatusKey,
    node::{Activity, Edge, Mark, Role},
    tree::{Rfc9162, prove_leaves},
};
use griptrace_verifier::finding::{Code, Verdict};

use super::{
    Attack,
    Liar::{Both, Courier, Exporter, Nobody},
    marked::withdrawn_elsewhere,
    records::ELSEWHERE,
};
use crate::world::{Case, Link, NodeSpec, Step, nowhere, word};

/// The maker fine-tunes a supplier's model, which came from the supplier's own source and step.
fn fine_tuned(case: &mut Case) {
    case.world.add_supplier(vec![
        NodeSpec::source("upstream-data", "DE", "visual", "general"),
        NodeSpec::step("upstream-training", Activity::Training, ("DE", "2026-04-01"), &["upstream-data"]),
        NodeSpec::model("backbone", "DE").by("upstream-training"),
    ]);
    case.world.node("train").links.push(Link::new(Role::Used, "backbone"));
}

/// Returns what the supplier's log answers for beyond its duty: what the maker's assessors signed.
fn further(bundle: &mut Bundle) -> &mut Vec<StatusKey> {
    &mut newest(bundle, 1).further
}

fn newest(bundle: &mut Bundle, log: usize) -> &mut StatusPart {
    let anchor = bundle.logs[log].anchors.last_mut().expect("a log has a checkpoint");
    anchor.status.as_mut().expect("it brings statuses")
}

/// Shows the supplier's log without one of its nodes, with all proofs made anew.
fn without(case: &mut Case, name: &str) {
    fine_tuned(case);
    case.world.omit = vec![name.into()];
}

pub(super) const ALL: &[&[Attack]] = &[ASKED, SHOWN, SAID];

/// What another company's log is asked for, and answers.
const ASKED: &[Attack] = &[
    Attack::new(
        "withdrawal-in-a-log-that-is-not-asked",
        Both,
        "the assessor withdrew in the supplier's log, of which the exporter shows only what lives there",
        Code::AssessmentStatusUnknown,
        |c| {
            withdrawn_elsewhere(c);
            c.world.commit_of("mark").nodes.push("bought".into());
            c.world.nodes.insert(0, NodeSpec::source("bought", "DE", "visual", "general"));
            c.world.node("train").links.push(Link::new(Role::Used, "bought"));
            c.world.ask_at_home_only = true;
            c.world.omit = vec!["assessment-copy".into()];
            let schemes = "schemes = [\"security-assessment\"]\n";
            let asked = [schemes, "status_log = \"supplier.example/log\"\n"].concat();
            c.buyer.trust(schemes, &asked);
        },
    ),
    Attack::new(
        "further-key-struck-out",
        Courier,
        "the supplier's log no longer says that it answers for the assessments that its proof is about",
        Code::StatusProofMismatch,
        |c| {
            fine_tuned(c);
            mark_strangers(c);
            c.courier = Some(|b, _| further(b).clear());
        },
    ),
    Attack::new(
        "further-key-of-nothing",
        Courier,
        "a further key that no assessment of the closure has",
        Code::Extraneous,
        |c| {
            fine_tuned(c);
            c.courier = Some(|b, _| {
                further(b).push(StatusKey::of_node(nowhere("nothing")));
                further(b).sort_unstable();
            });
        },
    ),
    Attack::new(
        "further-key-of-a-node",
        Courier,
        "a further key that is a node's of the maker, and no signed assessment's",
        Code::Extraneous,
        |c| {
            fine_tuned(c);
            c.courier = Some(|b, built| {
                further(b).push(StatusKey::of_node(built.id("camera")));
                further(b).sort_unstable();
            });
        },
    ),
    Attack::new("further-key-twice", Courier, "one further key twice", Code::StatusProofMismatch, |c| {
        fine_tuned(c);
        c.courier = Some(|b, _| {
            let key = further(b)[0];
            further(b).insert(0, key);
        });
    }),
    Attack::new("further-keys-swapped", Courier, "further keys out of order", Code::StatusProofMismatch, |c| {
        fine_tuned(c);
        c.courier = Some(|b, _| further(b).swap(0, 1));
    }),
    Attack::new(
        "further-key-in-the-first-log",
        Courier,
        "the first log lists what it has to answer for anyhow",
        Code::Extraneous,
        |c| {
            fine_tuned(c);
            c.courier = Some(|b, _| {
                let keys = further(b).clone();
                newest(b, 0).further = keys;
            });
        },
    ),
    Attack::new(
        "further-key-of-the-own-log",
        Courier,
        "a log lists an assessment that lives in it",
        Code::Extraneous,
        |c| {
            fine_tuned(c);
            c.world.commit_of("assessment").nodes.retain(|name| name != "assessment");
            c.world.record(1, 1, "supplier", Vec::new());
            c.world.logs[1].steps.iter_mut().for_each(|step| {
                if let Step::Commit(commit) = step
                    && commit.nodes.is_empty()
                {
                    commit.nodes.push("assessment".into());
                }
            });
            c.courier = Some(|b, built| {
                let key = status_key_of_payload(&built.payloads["assessment"]);
                further(b).push(key);
                further(b).sort_unstable();
            });
        },
    ),
    Attack::new(
        "further-key-not-proven",
        Courier,
        "the supplier's log is said to answer for an assessment that its proof does not show",
        Code::StatusProofMismatch,
        |c| {
            fine_tuned(c);
            c.world.ask_at_home_only = true;
            mark_strangers(c);
            c.courier = Some(|b, built| {
                let payloads = ["assessment", "assessment-2"].map(|name| &built.payloads[name]);
                let keys = payloads.map(|payload| status_key_of_payload(payload));
                further(b).extend(keys);
                further(b).sort_unstable();
            });
        },
    ),
];

/// Marks on what is no part of any bundle, so that the supplier's map is not empty.
fn mark_strangers(case: &mut Case) {
    let strangers: Vec<String> = (0..64).map(|number| format!("stranger-{number}")).collect();
    let sources = strangers.iter().map(|name| NodeSpec::source(name, "DE", "visual", "general")).collect();
    case.world.record(1, 1, "supplier", sources);
    let mark = |name: &String| NodeSpec::status(&format!("{name}-mark"), Mark::Withdraw, name, "2026-05-02");
    case.world.record(1, 1, "supplier", strangers.iter().map(mark).collect());
}

/// What of another company's log is shown, and where.
const SHOWN: &[Attack] = &[
    Attack::new(
        "upstream-model-of-another-log",
        Exporter,
        "the supplier's model, claimed to be of a log that nobody sees",
        Code::HomeMismatch,
        |c| {
            fine_tuned(c);
            c.world.node("train").links.last_mut().expect("it uses the backbone").home = Some(ELSEWHERE);
        },
    ),
    Attack::new(
        "upstream-model-as-the-own",
        Exporter,
        "the supplier's model, claimed to be of the maker's own log",
        Code::HomeMismatch,
        |c| {
            fine_tuned(c);
            c.world.node("train").edit = Some(|core| {
                core.edges.iter_mut().for_each(|edge| edge.home = None);
                core.edges.sort();
            });
        },
    ),
    Attack::new(
        "upstream-model-laundered",
        Exporter,
        "the step names a model that the supplier's log does not show, to be rid of the ancestry of the one it used",
        Code::ForeignUnresolved,
        |c| {
            c.world.add_supplier(vec![NodeSpec::source("bought", "DE", "visual", "general")]);
            c.world.node("train").links.push(Link::new(Role::Used, "bought"));
            c.world.node("train").edit = Some(|core| {
                let home = core.edges.iter().find_map(|edge| edge.home);
                core.edges.push(Edge { role: Role::Used, home, to: nowhere("clean-backbone") });
                core.edges.sort();
            });
        },
    ),
    Attack::new(
        "node-proven-in-another-log",
        Courier,
        "the supplier's nodes under a commit of the maker's",
        Code::CommitRootMismatch,
        |c| {
            fine_tuned(c);
            c.courier = Some(|b, _| {
                let mut part = b.logs[1].commits.remove(0);
                part.entry = b.logs[0].commits[0].entry;
                b.logs[0].commits[0] = part;
            });
        },
    ),
    Attack::new("root-in-another-log", Courier, "the supplier's model as the root", Code::RootKind, |c| {
        fine_tuned(c);
        c.courier = Some(|b, built| b.root = built.ordinal("backbone"));
    }),
    Attack::new(
        "supplier-shipment-smuggled-in",
        Exporter,
        "the supplier's own shipment of the model, which says whom else it went to",
        Code::Extraneous,
        |c| {
            fine_tuned(c);
            let shipment = NodeSpec::shipment("upstream-shipment", "DE", "2026-04-02", &["backbone"]);
            c.world.record(1, 1, "supplier", vec![shipment]);
            c.world.extra = vec!["upstream-shipment".into()];
        },
    ),
    Attack::new(
        "upstream-source-left-out",
        Exporter,
        "the supplier's log without the data that its model came from",
        Code::NodeMissing,
        |c| without(c, "upstream-data"),
    ),
    Attack::new(
        "upstream-step-left-out",
        Exporter,
        "the supplier's log without the step that made its model",
        Code::NodeMissing,
        |c| without(c, "upstream-training"),
    ),
    Attack::new(
        "statuses-of-another-log-left-out",
        Courier,
        "the supplier's newest checkpoint brings no statuses",
        Code::StatusMissing,
        |c| {
            fine_tuned(c);
            c.courier = Some(|b, _| b.logs[1].anchors.last_mut().expect("it has one").status = None);
        },
    ),
    Attack::new(
        "statuses-of-an-older-anchor",
        Courier,
        "an older checkpoint of the supplier's log brings statuses, which would pass for the newest",
        Code::Extraneous,
        |c| {
            fine_tuned(c);
            c.courier = Some(|b, _| {
                let status = newest(b, 1).clone();
                b.logs[1].anchors[0].status = Some(status);
            });
        },
    ),
    Attack::new(
        "newest-anchor-of-another-log-struck-out",
        Courier,
        "the supplier's newest checkpoint struck out, so that nobody sees what it marked since",
        Code::Stale,
        |c| {
            fine_tuned(c);
            c.courier = Some(|b, _| {
                let status = newest(b, 1).clone();
                let log = &mut b.logs[1];
                log.anchors.pop();
                let last = log.anchors.last_mut().expect("it has two");
                (last.status, last.consistency) = (Some(status), Vec::new());
                let (_, entries) = (log.entries.pop(), &log.entries);
                let leaves: Vec<Digest> = entries.iter().map(|(_, entry)| Rfc9162::leaf_hash(entry)).collect();
                let all: Vec<u64> = (0..).take(leaves.len()).collect();
                log.inclusion = prove_leaves(&Rfc9162, &leaves, &all).expect("they are all there");
            });
        },
    ),
    Attack::new(
        "company-nobody-trusts",
        Nobody,
        "the trust file has everybody but the supplier's log",
        Code::LogUntrusted,
        |c| {
            fine_tuned(c);
            let start = c.buyer.trust.find("[[log]]\norigin = \"supplier").expect("it is there");
            let end = c.buyer.trust.find("[[witness]]").expect("witnesses follow");
            c.buyer.trust.replace_range(start..end, "");
        },
    ),
];

/// What one company says of another one's nodes.
const SAID: &[Attack] = &[
    Attack::new(
        "upstream-model-withdrawn",
        Nobody,
        "the supplier withdrew the model that the maker fine-tuned",
        Code::Withdrawn,
        |c| {
            fine_tuned(c);
            let mark = NodeSpec::status("mark", Mark::Withdraw, "backbone", "2026-06-20");
            c.world.record(1, 1, "supplier", vec![mark]);
        },
    ),
    Attack::new(
        "upstream-withdrawal-left-out",
        Exporter,
        "the exporter shows the supplier's log without the mark on its model",
        Code::StatusProofMismatch,
        |c| {
            fine_tuned(c);
            let mark = NodeSpec::status("mark", Mark::Withdraw, "backbone", "2026-06-20");
            c.world.record(1, 1, "supplier", vec![mark]);
            c.world.hide_statuses = true;
        },
    ),
    Attack::new(
        "upstream-model-marked-from-outside",
        Exporter,
        "the maker's log has a mark on the supplier's model",
        Code::NodeInvalid,
        |c| {
            fine_tuned(c);
            let mark = NodeSpec::status("mark", Mark::Withdraw, "backbone", "2026-06-20");
            c.world.mark(3, "maker", mark);
            c.world.extra = vec!["mark".into()];
        },
    ),
    Attack::new(
        "upstream-grade-lowered-by-another",
        Exporter,
        "the maker's key lowers the grade of the supplier's data in the supplier's log",
        Code::RegradeUnauthorised,
        |c| {
            fine_tuned(c);
            c.world.node("upstream-data").core.grade = Some(word("core"));
            let mut lower = NodeSpec::status("lower", Mark::Reclassify, "upstream-data", "2026-06-20");
            lower.core.grade = Some(word("general"));
            c.world.record(1, 1, "maker", vec![lower]);
        },
    ),
    Attack::new(
        "upstream-model-withdrawn-by-another",
        Exporter,
        "the maker's key withdraws the supplier's model in the supplier's log",
        Code::StatusUnauthorised,
        |c| {
            fine_tuned(c);
            let mark = NodeSpec::status("mark", Mark::Withdraw, "backbone", "2026-06-20");
            c.world.record(1, 1, "maker", vec![mark]);
        },
    )
    .verdict(Verdict::TracedUnassessed)
    .met(),
];
