//! Steps 9 and 10: what is opened, and the status map.

use griptrace_core::{
    bundle::Bundle,
    cbor::encode,
    details::{self, slot},
    digest::{Digest, SUBJECT_TREE},
    id::{NodeId, StatusKey},
    node::{Kind, Mark},
    tree::prove_leaves,
    value::Value,
};
use griptrace_verifier::finding::{Code, Verdict};

use super::Attack;
use super::Liar::{Both, Courier, Exporter, Operator};
use crate::world::{Built, Case, NodeSpec, file};

fn disclosed<'b>(bundle: &'b mut Bundle, built: &Built, name: &str) -> &'b mut details::Opening {
    let ordinal = built.ordinal(name);
    let found = bundle.disclosures.iter_mut().find(|disclosure| disclosure.node == ordinal);
    &mut found.expect("it is disclosed").opening
}

fn manifest(case: &mut Case, edit: fn(&mut Bundle, &Built)) {
    case.courier = Some(edit);
}

/// The exporter records files with this path beside an honest one.
fn path_trick(case: &mut Case, path: &str) {
    case.world.node("grasp-int8").files.insert(0, file(path, b"x"));
}

/// A status by the maker on its own source, recorded before the third checkpoint.
fn withdrawn(case: &mut Case) {
    case.world.mark(2, "maker", NodeSpec::status("no-longer", Mark::Withdraw, "camera", "2026-06-01"));
}

pub(super) const ALL: &[&[Attack]] = &[DETAILS_AND_MANIFESTS, SUBJECTS, STATUSES, HIDDEN];

const DETAILS_AND_MANIFESTS: &[Attack] = &[
    Attack::new("detail-changed", Courier, "another consignee in an opened detail", Code::DisclosureMismatch, |c| {
        c.courier = Some(|b, built| {
            disclosed(b, built, "shipment").slots[1].2 = encode(&Value::text("Somebody Else"));
        });
    }),
    Attack::new("detail-values-swapped", Courier, "the values of two slots", Code::DisclosureMismatch, |c| {
        c.courier = Some(|b, built| {
            let slots = &mut disclosed(b, built, "shipment").slots;
            let first = slots[0].2.clone();
            slots[0].2 = core::mem::replace(&mut slots[1].2, first);
        });
    }),
    Attack::new("detail-salt-changed", Courier, "another salt", Code::DisclosureMismatch, |c| {
        c.courier = Some(|b, built| disclosed(b, built, "shipment").slots[0].1 = [0; 16]);
    }),
    Attack::new("detail-added", Courier, "a slot that the node leaves empty", Code::DisclosureMismatch, |c| {
        c.courier = Some(|b, built| {
            let value = encode(&Value::text("contract 7"));
            disclosed(b, built, "shipment").slots.push((4, [0; 16], value));
        });
    }),
    Attack::new(
        "details-of-another-node",
        Courier,
        "opened details under another ordinal",
        Code::DisclosureMismatch,
        |c| {
            c.courier = Some(|b, _| {
                let first = b.disclosures[0].opening.clone();
                b.disclosures[0].opening = b.disclosures[1].opening.clone();
                b.disclosures[1].opening = first;
            });
        },
    ),
    Attack::new("details-twice", Courier, "one node's details twice", Code::DisclosureMismatch, |c| {
        c.courier = Some(|b, _| b.disclosures.insert(1, b.disclosures[0].clone()));
    }),
    Attack::new(
        "details-beyond-the-nodes",
        Courier,
        "details of an ordinal that no node has",
        Code::DisclosureMismatch,
        |c| {
            c.courier = Some(|b, _| b.disclosures.last_mut().expect("there are some").node = 99);
        },
    ),
    Attack::new("detail-salt-of-another-slot", Courier, "the salt of another slot", Code::DisclosureMismatch, |c| {
        c.courier = Some(|b, built| {
            let slots = &mut disclosed(b, built, "shipment").slots;
            slots[0].1 = slots[1].1;
        });
    }),
    Attack::new("detail-twice", Courier, "one slot twice, with two values", Code::DisclosureMismatch, |c| {
        c.courier = Some(|b, built| {
            let slots = &mut disclosed(b, built, "shipment").slots;
            let mut again = slots[1].clone();
            again.2 = encode(&Value::text("Somebody Else"));
            slots.insert(1, again);
        });
    }),
    Attack::new(
        "detail-for-another-reader",
        Exporter,
        "a second reader is shown another value of a detail, with salt and proof as the first one got them",
        Code::DisclosureMismatch,
        |c| {
            c.world.node("camera").values.insert("licence", Value::text("research only"));
            c.world.node("camera").open.push("licence");
            c.courier = Some(|b, built| {
                let slots = &mut disclosed(b, built, "camera").slots;
                slots[1].2 = encode(&Value::text("any use"));
            });
        },
    ),
    Attack::new(
        "hidden-source-as-another-kind",
        Exporter,
        "details that were hashed as a model's are opened as a source's",
        Code::DisclosureMismatch,
        |c| {
            c.world.node("camera").edit = Some(|core| {
                let values = [(0, encode(&Value::text("camera")))].into();
                core.details = details::root(Kind::Model, &crate::world::seed("camera"), &values);
            });
        },
    ),
    Attack::new(
        "hidden-source-as-derived-data",
        Courier,
        "a source that shows nothing is passed off as derived data",
        Code::CommitRootMismatch,
        |c| {
            c.world.node("camera").hide.push("name");
            c.courier = Some(|b, built| {
                let (part, place) = built.part_of("camera");
                let core = &mut b.logs[0].commits[part].cores[place];
                let mut changed = griptrace_core::node::Core::from_bytes(core).expect("it was encoded");
                changed.origin = Some(griptrace_core::node::Origin::Derived);
                *core = changed.to_bytes().expect("it is well formed");
            });
        },
    ),
    Attack::new("manifest-file-changed", Courier, "another digest in a manifest", Code::ManifestMismatch, |c| {
        manifest(c, |b, _| b.manifests[0].files[0].blake3 = Digest::ZERO);
    }),
    Attack::new("manifest-sha-added", Courier, "a SHA-256 that was not recorded", Code::ManifestMismatch, |c| {
        manifest(c, |b, _| b.manifests[0].files[0].sha256 = Some(Digest::ZERO));
    }),
    Attack::new("manifest-file-omitted", Courier, "a file of the manifest", Code::ManifestMismatch, |c| {
        manifest(c, |b, _| drop(b.manifests[0].files.pop()));
    }),
    Attack::new("manifest-reordered", Courier, "files out of order", Code::ManifestMismatch, |c| {
        manifest(c, |b, _| b.manifests[0].files.reverse());
    }),
    Attack::new("manifest-twice", Courier, "one manifest twice", Code::ManifestMismatch, |c| {
        manifest(c, |b, _| b.manifests.push(b.manifests[0].clone()));
    }),
    Attack::new("manifest-of-another-node", Courier, "the manifest under another model", Code::ManifestMismatch, |c| {
        manifest(c, |b, built| b.manifests[0].node = built.ordinal("grasp-fp32"));
    }),
    Attack::new("manifest-seed-changed", Courier, "another seed", Code::ManifestMismatch, |c| {
        manifest(c, |b, _| b.manifests[0].seed = [0; 32]);
    }),
    Attack::new("manifest-empty", Courier, "a manifest without files", Code::ManifestMismatch, |c| {
        manifest(c, |b, _| b.manifests[0].files.clear());
    }),
    Attack::new(
        "manifest-of-other-content",
        Exporter,
        "a content digest that is not the manifest's",
        Code::ManifestMismatch,
        |c| {
            c.world.node("grasp-int8").values.insert("content", Value::text("blake3:00"));
        },
    ),
    Attack::new(
        "manifest-count-changed",
        Exporter,
        "a number of files that is not the manifest's",
        Code::ManifestMismatch,
        |c| {
            c.world.node("grasp-int8").values.insert("manifest", Value::map(vec![("files".into(), Value::Int(1))]));
        },
    ),
    Attack::new(
        "manifest-details-hidden",
        Courier,
        "a manifest whose details are not opened",
        Code::ManifestMismatch,
        |c| {
            manifest(c, |b, built| b.disclosures.retain(|d| d.node != built.ordinal("grasp-int8")));
        },
    ),
    Attack::new("path-upwards", Exporter, "a path with `..`", Code::ManifestMismatch, |c| path_trick(c, "../a")),
    Attack::new("path-absolute", Exporter, "an absolute path", Code::ManifestMismatch, |c| path_trick(c, "/a")),
    Attack::new("path-with-nul", Exporter, "a path with a NUL", Code::ManifestMismatch, |c| path_trick(c, "a\0b")),
    Attack::new("path-with-dot", Exporter, "a path with `.`", Code::ManifestMismatch, |c| path_trick(c, "./a")),
    Attack::new("path-with-empty-part", Exporter, "a path with `//`", Code::ManifestMismatch, |c| {
        path_trick(c, "a//b");
    }),
    Attack::new("path-out-of-order", Exporter, "a path out of order", Code::ManifestMismatch, |c| path_trick(c, "z")),
    Attack::new("path-twice", Exporter, "one path twice", Code::ManifestMismatch, |c| path_trick(c, "grasp.int8.onnx")),
];

const SUBJECTS: &[Attack] = &[
    Attack::new("subject-salts-swapped", Courier, "the salts of two opened subjects", Code::SubjectMismatch, |c| {
        c.courier = Some(|b, _| {
            let opened = b.openings.iter_mut().find(|o| o.subjects.len() == 2).expect("one opens two");
            let first = opened.subjects[0].2;
            opened.subjects[0].2 = opened.subjects[1].2;
            opened.subjects[1].2 = first;
        });
    }),
    Attack::new(
        "subject-not-among-them",
        Courier,
        "a node that the assessor did not see",
        Code::SubjectMismatch,
        |c| {
            c.courier = Some(|b, built| {
                let other = built.ordinal("features");
                b.openings[0].subjects[0].1 = other;
            });
        },
    ),
    Attack::new("subject-is-a-decoy", Courier, "a decoy's leaf opened as a source", Code::SubjectMismatch, |c| {
        c.courier = Some(|b, built| {
            let opened = b.openings.iter_mut().find(|o| o.subjects.len() == 2).expect("one opens two");
            let taken: Vec<u64> = opened.subjects.iter().map(|(index, ..)| *index).collect();
            let free = (0..4).find(|index| !taken.contains(index)).expect("there are four leaves");
            opened.subjects.push((free, built.ordinal("force"), [0; 16]));
            opened.subjects.sort_unstable();
            opened.proof.pop();
        });
    }),
    Attack::new("subject-is-a-step", Courier, "a step opened as a subject", Code::SubjectMismatch, |c| {
        c.courier = Some(|b, built| b.openings[0].subjects[0].1 = built.ordinal("anonymise"));
    }),
    Attack::new("subject-index-moved", Courier, "a subject under another leaf", Code::SubjectMismatch, |c| {
        c.courier = Some(|b, _| b.openings[0].subjects[0].0 += 4);
    }),
    Attack::new("subjects-of-no-assessment", Courier, "subjects opened of a data set", Code::SubjectMismatch, |c| {
        c.courier = Some(|b, built| {
            b.openings.remove(1);
            b.openings[0].assessment = built.ordinal("camera");
        });
    }),
    Attack::new("subject-proof-trailing", Courier, "a hash too many", Code::SubjectMismatch, |c| {
        c.courier = Some(|b, _| b.openings[0].proof.push(Digest::ZERO));
    }),
    Attack::new("subject-twice", Courier, "one subject under two leaves", Code::SubjectMismatch, |c| {
        c.courier = Some(|b, _| {
            let opened = b.openings.iter_mut().find(|o| o.subjects.len() == 2).expect("one opens two");
            opened.subjects[1].1 = opened.subjects[0].1;
        });
    }),
    Attack::new("openings-swapped", Courier, "opened assessments out of order", Code::SubjectMismatch, |c| {
        c.courier = Some(|b, _| b.openings.swap(0, 1));
    }),
    Attack::new("opening-omitted", Courier, "an assessment that opens nothing", Code::Extraneous, |c| {
        c.courier = Some(|b, _| drop(b.openings.remove(0)));
    }),
];

const STATUSES: &[Attack] = &[
    Attack::new(
        "statuses-missing-now",
        Courier,
        "the newest checkpoint without its statuses",
        Code::StatusMissing,
        |c| {
            c.courier = Some(|b, _| b.logs[0].anchors[3].status = None);
        },
    ),
    Attack::new(
        "statuses-on-another-anchor",
        Courier,
        "statuses where no judgement needs them",
        Code::Extraneous,
        |c| {
            c.courier = Some(|b, _| b.logs[0].anchors[0].status = b.logs[0].anchors[2].status.clone());
        },
    ),
    Attack::new("status-proof-trailing", Courier, "a byte after the proof", Code::StatusProofMismatch, |c| {
        c.courier = Some(|b, _| b.logs[0].anchors[3].status.as_mut().expect("it has some").proof.push(0));
    }),
    Attack::new("status-proof-empty", Courier, "no proof", Code::StatusProofMismatch, |c| {
        c.courier = Some(|b, _| b.logs[0].anchors[3].status.as_mut().expect("it has some").proof.clear());
    }),
    Attack::new(
        "older-map",
        Courier,
        "the statuses of the shipment's day as those of now",
        Code::StatusProofMismatch,
        |c| {
            c.world.mark(3, "maker", NodeSpec::status("no-longer", Mark::Withdraw, "camera", "2026-06-20"));
            c.world.hide_statuses = true;
            c.courier = Some(|b, _| b.logs[0].anchors[3].status = b.logs[0].anchors[2].status.clone());
        },
    ),
    Attack::new("withdrawal-left-out", Exporter, "a mark on a source is not shown", Code::StatusProofMismatch, |c| {
        withdrawn(c);
        c.world.hide_statuses = true;
    }),
    Attack::new("status-node-left-out", Exporter, "a listed status is not in the bundle", Code::NodeMissing, |c| {
        withdrawn(c);
        c.world.omit.push("no-longer".into());
    }),
    Attack::new("status-shown-as-a-node-only", Courier, "the list is emptied, the node kept", Code::Extraneous, |c| {
        withdrawn(c);
        c.courier = Some(|b, _| {
            for anchor in &mut b.logs[0].anchors[2..] {
                anchor.status.as_mut().expect("it has some").present.clear();
            }
        });
    }),
    Attack::new("status-list-empty", Courier, "a key with no status", Code::StatusProofMismatch, |c| {
        c.courier = Some(|b, built| {
            let key_of = StatusKey::of_node(built.id("camera"));
            b.logs[0].anchors[3].status.as_mut().expect("it has some").present.push((key_of, Vec::new()));
        });
    }),
    Attack::new("status-keys-out-of-order", Courier, "one key twice", Code::StatusProofMismatch, |c| {
        withdrawn(c);
        c.courier = Some(|b, _| {
            let present = &mut b.logs[0].anchors[3].status.as_mut().expect("it has some").present;
            present.push(present[0].clone());
        });
    }),
    Attack::new(
        "status-of-another-key",
        Courier,
        "a mark listed under a node that it does not mark",
        Code::StatusLineMismatch,
        |c| {
            withdrawn(c);
            c.courier = Some(|b, built| {
                let present = &mut b.logs[0].anchors[3].status.as_mut().expect("it has some").present;
                present[0].0 = StatusKey::of_node(built.id("force"));
            });
        },
    ),
    Attack::new("statuses-reordered", Courier, "two marks on one node change places", Code::StatusLineMismatch, |c| {
        withdrawn(c);
        c.world.mark(2, "maker", NodeSpec::status("again", Mark::Withdraw, "camera", "2026-06-01"));
        c.courier = Some(|b, _| {
            let present = &mut b.logs[0].anchors[3].status.as_mut().expect("it has some").present;
            present[0].1.reverse();
        });
    }),
    Attack::new("status-listed-twice", Courier, "one mark twice under its key", Code::StatusLineMismatch, |c| {
        withdrawn(c);
        c.courier = Some(|b, _| {
            let present = &mut b.logs[0].anchors[3].status.as_mut().expect("it has some").present;
            let first = present[0].1[0];
            present[0].1.push(first);
        });
    }),
    Attack::new(
        "status-line-omitted",
        Operator,
        "a mark in the map that no public line of a commit has",
        Code::StatusLineMismatch,
        |c| {
            withdrawn(c);
            c.world.commit_of("no-longer").payload_edit = Some(|payload| payload.statuses.clear());
            c.world.heads()[2].map_edit = Some(from_maps);
            c.world.heads()[3].map_edit = Some(from_maps);
        },
    ),
    Attack::new("status-not-a-status", Operator, "a map that lists a data set as a status", Code::NodeMissing, |c| {
        c.courier = Some(|b, built| {
            let key_of = StatusKey::of_node(built.id("camera"));
            let status = b.logs[0].anchors[3].status.as_mut().expect("it has some");
            status.present.push((key_of, vec![built.id("force")]));
        });
    }),
    Attack::new(
        "statuses-of-a-stranger-node",
        Courier,
        "a key that the closure does not have",
        Code::Extraneous,
        |c| {
            withdrawn(c);
            c.courier = Some(|b, built| {
                let present = &mut b.logs[0].anchors[3].status.as_mut().expect("it has some").present;
                let listed = present[0].1.clone();
                present.push((StatusKey::of_node(built.id("unrelated")), listed));
                present.sort_unstable();
            });
        },
    ),
    Attack::new("status-heads-swapped", Operator, "the newest head with another map", Code::StatusProofMismatch, |c| {
        c.world.heads()[3].head_edit = Some(|head| head.map_root = Digest::from_bytes([7; 32]));
    }),
    Attack::new(
        "map-without-the-mark",
        Both,
        "the operator drops a mark from the map, the exporter lists it",
        Code::StatusProofMismatch,
        |c| {
            withdrawn(c);
            c.world.heads()[3].head_edit = Some(|head| head.map_root = Digest::ZERO);
        },
    ),
];

/// The honest map of a mark whose public line is missing: key and id as the world makes them.
fn from_maps(map: &mut Vec<(StatusKey, NodeId)>) {
    let mut case = Case::honest();
    withdrawn(&mut case);
    case.world.commit_of("no-longer").payload_edit = Some(|payload| payload.statuses.clear());
    let built = case.world.build();
    map.push((StatusKey::of_node(built.id("camera")), built.id("no-longer")));
}

const HIDDEN: &[Attack] = &[
    Attack::new(
        "manifest-not-opened",
        Courier,
        "the shipped model's manifest is left out",
        Code::ModelNotOpened,
        |c| {
            manifest(c, |b, _| b.manifests.clear());
        },
    )
    .verdict(Verdict::Broken),
    Attack::new("consignee-hidden", Courier, "the consignee is not opened", Code::ConsigneeNotDisclosed, |c| {
        c.world.node("shipment").open.retain(|name| *name != "consignee");
    }),
    Attack::new(
        "streams-hidden",
        Exporter,
        "an assessment names streams, those of the data are hidden",
        Code::AssessmentStreams,
        |c| {
            c.world.node("assessment").terms().streams = vec![crate::world::word("wrist")];
            c.world.node("camera").values.insert("streams", streams(&["wrist"]));
            assert!(slot(Kind::Dataset, "streams").is_some() && prove_leaves(&SUBJECT_TREE, &[], &[0]).is_err());
        },
    ),
    Attack::new("source-hidden", Exporter, "a source without name and content", Code::SourceHidden, |c| {
        c.world.node("camera").hide.push("name");
    })
    .met(),
    Attack::new(
        "source-hidden-and-not-allowed",
        Exporter,
        "a source without name and content, where the policy wants them",
        Code::SourceHidden,
        |c| {
            c.world.node("camera").hide.push("name");
            c.buyer.policy += "[severity]\n\"source-hidden\" = \"error\"\n";
        },
    ),
    Attack::new(
        "source-named-nothing",
        Exporter,
        "a hidden source that shows an empty name and a content that is none",
        Code::SourceHidden,
        |c| {
            let camera = c.world.node("camera");
            camera.values.insert("name", Value::text(" "));
            camera.values.insert("content", Value::text("blake3:"));
            camera.open.push("content");
            c.buyer.policy += "[severity]\n\"source-hidden\" = \"error\"\n";
        },
    ),
    Attack::new(
        "streams-others",
        Exporter,
        "the data has a stream that the assessment does not name",
        Code::AssessmentStreams,
        |c| {
            c.world.node("assessment").terms().streams = vec![crate::world::word("wrist")];
            c.world.node("camera").values.insert("streams", streams(&["ceiling", "wrist"]));
            c.world.node("camera").open.push("streams");
        },
    ),
];

pub(super) fn streams(names: &[&str]) -> Value {
    Value::List(names.iter().map(|name| Value::map(vec![("name".into(), Value::text(*name))])).collect())
}
