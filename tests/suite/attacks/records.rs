//! Steps 6 to 8: commits, nodes and edges.

use coset::{CborSerializable as _, CoseSign1, HeaderBuilder, TaggedCborSerializable as _, iana};
use griptrace_core::{
    bundle::Bundle,
    cbor::{decode, encode},
    commit::CommitPayload,
    cose::{self, COMMIT_TYPE, MARK_TYPE},
    details::Salt,
    digest::Digest,
    id::{GenesisHash, NodeId},
    key::Signer as _,
    node::{Activity, Core, Edge, Kind, Mark, Origin, Role},
};
use griptrace_verifier::finding::{Code, Verdict};

use super::Attack;
use super::Liar::{Both, Courier, Exporter, Nobody, Stranger};
use super::logs::show_entries;
use crate::world::{Built, Case, Link, NodeSpec, Step, commit, key, noon, word};

pub(super) const ELSEWHERE: GenesisHash = GenesisHash::new(Digest::from_bytes([9; 32]));

/// Opens a commit's COSE object, changes it and signs it again with a key of that name.
fn resigned(entry: &[u8], signer: &str, edit: impl FnOnce(&mut CoseSign1)) -> Vec<u8> {
    let mut object = CoseSign1::from_tagged_slice(entry).expect("it is a commit");
    edit(&mut object);
    object.protected.original_data = None;
    let message = object.tbs_data(&[]);
    object.signature = key(signer).sign(&message);
    object.to_tagged_vec().expect("it can be written")
}

/// Changes the first byte that the commit's payload gives the signature.
fn commit_payload(entry: &[u8]) -> CommitPayload {
    let object = CoseSign1::from_tagged_slice(entry).expect("it is a commit");
    decode(&object.payload.expect("it is attached")).expect("it is a payload")
}

/// A P-256 committer of the trust file, and the shipment signed by it with the other valid `s`.
fn high_s(case: &mut Case) {
    p256_committer(case);
    case.world.commit_of("shipment").entry_edit = Some(|entry| {
        let mut object = CoseSign1::from_tagged_slice(&entry).expect("it is a commit");
        let low = p256::ecdsa::Signature::from_slice(&object.signature).expect("it is a signature");
        let high = p256::ecdsa::Signature::from_scalars(low.r(), -*low.s()).expect("it is a signature");
        object.signature = high.to_bytes().to_vec();
        object.to_tagged_vec().expect("it can be written")
    });
}

/// Has the shipment signed by a P-256 key of the maker's.
pub(crate) fn p256_committer(case: &mut Case) {
    let public = key("bureau-maker").public_key();
    let party = "[[committer]]\nname = \"maker\"\n";
    case.buyer.trust_also(&format!("{party}key = \"{public}\"\nroles = [\"commit\", \"ship\"]\n"));
    case.world.commit_of("shipment").signer = "bureau-maker";
}

fn core(bundle: &mut Bundle, built: &Built, name: &str, edit: impl FnOnce(&mut Core)) {
    let (part, place) = built.part_of(name);
    let bytes = &mut bundle.logs[0].commits[part].cores[place];
    let mut core: Core = decode(bytes).expect("it is a core");
    edit(&mut core);
    *bytes = encode(&core);
}

/// Takes a node out of its commit's part, with the proof for the rest made anew.
fn drop_node(bundle: &mut Bundle, built: &Built, name: &str) {
    let (part, place) = built.part_of(name);
    let part = &mut bundle.logs[0].commits[part];
    part.cores.remove(place);
    part.places.remove(place);
    let _ = built;
}

/// Shows all but one commit, with all proofs made anew.
fn drop_commit(bundle: &mut Bundle, built: &Built) {
    let (part, _) = built.part_of("camera-anonymised");
    let entry = usize::try_from(bundle.logs[0].commits[part].entry).expect("it is small");
    let mut wanted: Vec<u64> = bundle.logs[0].entries.iter().map(|(index, _)| *index).collect();
    wanted.remove(entry);
    show_entries(bundle, built, 0, &wanted);
    bundle.logs[0].commits.remove(part);
    for (number, part) in bundle.logs[0].commits.iter_mut().enumerate() {
        part.entry = u64::try_from(number).expect("it is small") + 1;
        // Status heads stand between the commits.
        part.entry += u64::from(number > 2) + u64::from(number > 3);
    }
}

/// Shows a commit of the log that brings no node.
fn idle_commit(bundle: &mut Bundle, built: &Built) {
    let mut wanted: Vec<u64> = bundle.logs[0].entries.iter().map(|(index, _)| *index).collect();
    wanted.insert(wanted.len() - 1, 11);
    show_entries(bundle, built, 0, &wanted);
}

/// Every field of every core of the honest bundle, changed by somebody without keys.
#[test]
fn no_field_of_any_core_can_be_changed() {
    let edits: &[fn(&mut Core)] = &[
        |c| c.kind = Kind::Erasure,
        |c| c.home = ELSEWHERE,
        |c| c.nonce = Salt::default(),
        |c| c.details = Digest::ZERO,
        |c| c.edges.clear(),
        |c| c.edges.truncate(1),
        |c| c.edges.reverse(),
        |c| c.edges.extend(c.edges.clone()),
        |c| c.edges.push(Edge::local(Role::Used, NodeId::new(Digest::ZERO))),
        |c| c.edges.iter_mut().for_each(|edge| edge.role = Role::Successor),
        |c| c.edges.iter_mut().for_each(|edge| edge.home = Some(ELSEWHERE)),
        |c| c.modality = vec![word("tactile")],
        |c| c.purpose = vec![word("weld")],
        |c| c.grade = Some(word("core")),
        |c| c.grade = None,
        |c| c.country = Some(crate::world::country("FR")),
        |c| c.country = None,
        |c| c.date = Some(crate::world::date("2026-04-01")),
        |c| c.origin = Some(Origin::External),
        |c| c.held = Some(griptrace_core::node::Held::Destroyed),
        |c| c.strength = Some(griptrace_core::node::DigestStrength::Weak),
        |c| c.use_allowed = Some(false),
        |c| c.in_scope = Some(false),
        |c| c.persons = Some(griptrace_core::node::Persons::Present),
        |c| c.activity = Some(Activity::Packaging),
        |c| c.basis = Some(word("other")),
        |c| c.statement = Some(vec![1]),
        |c| c.stated = Some(vec![1]),
        |c| c.mark = Some(Mark::Withdraw),
        |c| c.erased_slots = vec![1],
        |c| c.erased_files = Some(true),
    ];
    let honest = Case::honest();
    let built = honest.world.build();
    let buyer = (honest.buyer.read_trust(), honest.buyer.read_policy());
    let mut changed = 0;
    for (part, place) in parts(&built.bundle) {
        for edit in edits {
            let mut bundle = built.bundle.clone();
            let bytes = &mut bundle.logs[0].commits[part].cores[place];
            let mut core: Core = decode(bytes).expect("it is a core");
            edit(&mut core);
            if encode(&core) == *bytes {
                continue;
            }
            *bytes = encode(&core);
            let report =
                griptrace_verifier::verify::verify(&bundle.to_bytes(), &buyer.0, &buyer.1, &honest.buyer.question)
                    .expect("it begins like a bundle");
            assert_eq!(report.findings[0].code, Code::CommitRootMismatch, "{core:?}");
            assert!(!report.policy_met && report.verdict == Verdict::Broken);
            changed += 1;
        }
    }
    assert!(changed > 300, "{changed}");
}

fn parts(bundle: &Bundle) -> Vec<(usize, usize)> {
    let parts = bundle.logs[0].commits.iter().enumerate();
    parts.flat_map(|(part, commit)| (0..commit.cores.len()).map(move |place| (part, place))).collect()
}

pub(super) const ALL: &[&[Attack]] = &[COMMITS, NODES, EDGES, ENDS];

const COMMITS: &[Attack] = &[
    Attack::new("commit-for-another-home", Both, "a commit signed for another log", Code::HomeMismatch, |c| {
        c.world.commit_of("shipment").payload_edit = Some(|payload| payload.home = ELSEWHERE);
    }),
    Attack::new(
        "committer-unknown",
        Stranger,
        "a commit by a key that the buyer lacks",
        Code::CommitterUntrusted,
        |c| {
            c.world.commit_of("shipment").signer = "stranger";
        },
    ),
    Attack::new("committer-expired", Exporter, "a key whose last day has passed", Code::CommitterUntrusted, |c| {
        c.buyer.trust("from = 2026-01-01\n", "from = 2026-01-01\nto = 2026-06-01\n");
    }),
    Attack::new("committer-not-yet", Exporter, "a key whose first day has not come", Code::CommitterUntrusted, |c| {
        c.buyer.trust("from = 2026-01-01\n", "from = 2026-06-01\n");
    }),
    Attack::new(
        "committer-of-another-log",
        Exporter,
        "a key that counts in another log",
        Code::CommitterUntrusted,
        |c| {
            c.buyer.trust("from = 2026-01-01\n", "from = 2026-01-01\nlog = \"supplier.example/log\"\n");
        },
    ),
    Attack::new("committer-without-role", Exporter, "a key without the role commit", Code::CommitterUntrusted, |c| {
        c.buyer.roles("maker", r#""grade", "ship""#);
    }),
    Attack::new(
        "commit-signed-by-another",
        Stranger,
        "another key under the committer's key id",
        Code::CommitSignatureInvalid,
        |c| {
            c.world.commit_of("shipment").entry_edit = Some(|entry| resigned(&entry, "stranger", |_| {}));
        },
    ),
    Attack::new(
        "commit-payload-changed",
        Both,
        "another time in a signed payload",
        Code::CommitSignatureInvalid,
        |c| {
            c.world.commit_of("shipment").entry_edit = Some(|entry| {
                let mut payload = commit_payload(&entry);
                payload.time += 1;
                let mut object = CoseSign1::from_tagged_slice(&entry).expect("it is a commit");
                object.payload = Some(encode(&payload));
                object.to_tagged_vec().expect("it can be written")
            });
        },
    ),
    Attack::new(
        "commit-high-s",
        Stranger,
        "the other valid form of a P-256 signature",
        Code::CommitSignatureInvalid,
        high_s,
    ),
    Attack::new("commit-header-extra", Exporter, "a further field in the protected header", Code::EntryInvalid, |c| {
        c.world.commit_of("shipment").entry_edit = Some(|entry| {
            resigned(&entry, "maker", |object| {
                object.protected.header.rest.push((coset::Label::Int(99), coset::cbor::value::Value::Bool(true)));
            })
        });
    }),
    Attack::new("commit-unprotected-filled", Courier, "a field in the unprotected header", Code::EntryInvalid, |c| {
        c.world.commit_of("shipment").entry_edit = Some(|entry| {
            let mut object = CoseSign1::from_tagged_slice(&entry).expect("it is a commit");
            object.unprotected = HeaderBuilder::new().key_id(vec![1]).build();
            object.to_tagged_vec().expect("it can be written")
        });
    }),
    Attack::new("commit-untagged", Exporter, "a COSE_Sign1 without its tag", Code::EntryInvalid, |c| {
        c.world.commit_of("shipment").entry_edit = Some(|entry| {
            let object = CoseSign1::from_tagged_slice(&entry).expect("it is a commit");
            object.to_vec().expect("it can be written")
        });
    }),
    Attack::new(
        "commit-algorithm-swapped",
        Exporter,
        "ES256 in the header of an Ed25519 signature",
        Code::CommitSignatureInvalid,
        |c| {
            c.world.commit_of("shipment").entry_edit = Some(|entry| {
                resigned(&entry, "maker", |object| {
                    object.protected.header.alg =
                        Some(coset::RegisteredLabelWithPrivate::Assigned(iana::Algorithm::ES256));
                })
            });
        },
    ),
    Attack::new("mark-as-commit", Exporter, "a signed object of another content type", Code::EntryInvalid, |c| {
        c.world.commit_of("shipment").entry_edit = Some(|entry| {
            let payload = commit_payload(&entry);
            let home = payload.home;
            cose::sign(&key("maker"), MARK_TYPE, "maker", &home, encode(&payload)).expect("it fits")
        });
    }),
    Attack::new(
        "commit-home-in-header-only",
        Exporter,
        "header and payload name different logs",
        Code::EntryInvalid,
        |c| {
            c.world.commit_of("shipment").entry_edit = Some(|entry| {
                let payload = commit_payload(&entry);
                cose::sign(&key("maker"), COMMIT_TYPE, "maker", &ELSEWHERE, encode(&payload)).expect("it fits")
            });
        },
    ),
];

const NODES: &[Attack] = &[
    Attack::new("grade-lowered-on-the-way", Courier, "a source's grade", Code::CommitRootMismatch, |c| {
        c.courier = Some(|b, built| core(b, built, "camera", |core| core.grade = Some(word("general"))));
    }),
    Attack::new("ancestor-replaced", Courier, "a source by another recorded one", Code::CommitRootMismatch, |c| {
        c.courier = Some(|b, built| {
            let (part, place) = built.part_of("camera");
            b.logs[0].commits[part].cores[place].clone_from(&built.cores["unrelated"]);
        });
    }),
    Attack::new("node-taken-out", Courier, "one node of a commit's part", Code::CommitRootMismatch, |c| {
        c.courier = Some(|b, built| drop_node(b, built, "force"));
    }),
    Attack::new("nodes-swapped", Courier, "two nodes of a commit change places", Code::CommitRootMismatch, |c| {
        c.courier = Some(|b, built| {
            let (part, _) = built.part_of("extract");
            b.logs[0].commits[part].cores.swap(0, 1);
        });
    }),
    Attack::new("place-beyond-the-count", Courier, "a place beyond the signed count", Code::CommitRootMismatch, |c| {
        c.courier = Some(|b, built| {
            let (part, _) = built.part_of("shipment");
            b.logs[0].commits[part].places = vec![1];
        });
    }),
    Attack::new("places-without-cores", Courier, "more places than nodes", Code::CommitRootMismatch, |c| {
        c.courier = Some(|b, built| {
            let (part, _) = built.part_of("shipment");
            b.logs[0].commits[part].places.push(1);
        });
    }),
    Attack::new(
        "commit-proof-trailing",
        Courier,
        "a hash too many in a commit's proof",
        Code::CommitRootMismatch,
        |c| {
            c.courier = Some(|b, built| {
                let (part, _) = built.part_of("shipment");
                b.logs[0].commits[part].proof.push(Digest::ZERO);
            });
        },
    ),
    Attack::new(
        "commit-count-changed",
        Exporter,
        "a signed count that is not that of the nodes",
        Code::CommitRootMismatch,
        |c| {
            c.world.commit_of("shipment").payload_edit = Some(|payload| payload.count = 2);
        },
    ),
    Attack::new("commit-parts-swapped", Courier, "the parts of two commits change places", Code::Extraneous, |c| {
        c.courier = Some(|b, _| b.logs[0].commits.swap(0, 1));
    }),
    Attack::new("commit-part-twice", Courier, "a commit's part twice", Code::Extraneous, |c| {
        c.courier = Some(|b, _| {
            let commits = &mut b.logs[0].commits;
            commits.push(commits[0].clone());
        });
    }),
    Attack::new("commit-part-omitted", Courier, "a commit's nodes", Code::Extraneous, |c| {
        c.courier = Some(|b, _| drop(b.logs[0].commits.remove(0)));
    }),
    Attack::new(
        "commit-without-nodes",
        Courier,
        "a further commit of the log, without its nodes",
        Code::Extraneous,
        |c| {
            c.courier = Some(idle_commit);
        },
    ),
    Attack::new("commit-part-empty", Courier, "a commit's part without a node", Code::CommitRootMismatch, |c| {
        c.courier = Some(|b, _| {
            b.logs[0].commits[0].cores.clear();
            b.logs[0].commits[0].places.clear();
        });
    }),
    Attack::new("core-of-a-later-version", Exporter, "a core that says version 2", Code::NodeInvalid, |c| {
        c.world.node("shipment").bytes_edit = Some(|mut bytes| {
            bytes[2] = 2;
            bytes
        });
    }),
    Attack::new("core-not-canonical", Exporter, "a core in a longer CBOR form", Code::NodeInvalid, |c| {
        c.world.node("shipment").bytes_edit = Some(|mut bytes| {
            drop(bytes.splice(2..3, [0x18, 0x01]));
            bytes
        });
    }),
    Attack::new("core-field-of-another-kind", Exporter, "a model that says collected", Code::NodeInvalid, |c| {
        c.world.node("grasp-int8").core.origin = Some(Origin::Collected);
    }),
    Attack::new(
        "source-with-parents",
        Exporter,
        "a data set that a step made, said to be collected",
        Code::NodeInvalid,
        |c| {
            c.world.node("features").core.origin = Some(Origin::Collected);
        },
    ),
    Attack::new("edges-unsorted", Exporter, "edges out of order", Code::NodeInvalid, |c| {
        c.world.node("train").edit = Some(|core| core.edges.reverse());
    }),
    Attack::new("edge-twice", Exporter, "one edge twice", Code::NodeInvalid, |c| {
        c.world.node("train").edit = Some(|core| core.edges.push(core.edges[1]));
    }),
    Attack::new("step-without-input", Exporter, "a step that used nothing", Code::NodeInvalid, |c| {
        c.world.node("train").links.clear();
    }),
    Attack::new("words-unsorted", Exporter, "modalities out of order", Code::NodeInvalid, |c| {
        c.world.node("features").core.modality.reverse();
    }),
    Attack::new("word-too-long", Exporter, "a grade of 65 letters", Code::NodeInvalid, |c| {
        c.world.node("camera").bytes_edit = Some(|bytes| {
            let at = bytes.windows(9).position(|part| part == b"important").expect("it says so");
            [&bytes[..at - 1], &[0x78, 65], &[b'a'; 65], &bytes[at + 9..]].concat()
        });
    }),
    Attack::new("too-many-words", Exporter, "257 purposes", Code::NodeInvalid, |c| {
        c.world.node("camera").core.purpose = (1000..1257).map(|number| word(&format!("p{number}"))).collect();
    }),
    Attack::new(
        "node-for-another-home",
        Exporter,
        "a node that names another log as its home",
        Code::HomeMismatch,
        |c| {
            c.world.node("shipment").edit = Some(|core| core.home = ELSEWHERE);
        },
    ),
    Attack::new(
        "source-for-another-home",
        Exporter,
        "a source that names another log, and so does the edge to it",
        Code::HomeMismatch,
        |c| {
            c.world.node("camera").edit = Some(|core| core.home = ELSEWHERE);
            c.world.node("anonymise").links[0].home = Some(ELSEWHERE);
        },
    ),
    Attack::new("node-twice", Exporter, "one node in two commits", Code::NodeDuplicate, |c| {
        let steps = &mut c.world.logs[0].steps;
        steps.insert(4, Step::Commit(commit("maker", noon("2026-04-20"), vec!["camera".into()])));
    }),
    Attack::new("assessment-unreadable", Exporter, "a statement that is no COSE_Sign1", Code::AssessmentInvalid, |c| {
        c.world.node("assessment").assessing().edit = Some(|_| vec![1, 2, 3]);
    }),
    Attack::new(
        "commit-as-assessment",
        Exporter,
        "a signed object of another content type",
        Code::AssessmentInvalid,
        |c| {
            c.world.node("assessment").assessing().edit = Some(|bytes| {
                let object = CoseSign1::from_tagged_slice(&bytes).expect("it is signed");
                let payload = object.payload.expect("it is attached");
                cose::sign(&key("office"), COMMIT_TYPE, "office", &ELSEWHERE, payload).expect("it fits")
            });
        },
    ),
    Attack::new(
        "assessment-for-another-log",
        Exporter,
        "an assessor's word for another log",
        Code::HomeMismatch,
        |c| {
            c.world.node("assessment").assessing().home = Some(ELSEWHERE);
        },
    ),
    Attack::new(
        "assessment-ends-before-it-begins",
        Exporter,
        "a last day before the first",
        Code::AssessmentInvalid,
        |c| {
            c.world.node("assessment").terms().valid_to = Some(crate::world::date("2026-01-01"));
        },
    ),
];

const EDGES: &[Attack] = &[
    Attack::new("node-omitted", Exporter, "an ancestor left out, all proofs anew", Code::NodeMissing, |c| {
        c.world.omit.push("force".into());
    }),
    Attack::new("commit-omitted", Courier, "a whole commit left out, all proofs anew", Code::NodeMissing, |c| {
        c.courier = Some(drop_commit);
    }),
    Attack::new("edge-to-nowhere", Exporter, "an edge to a node that does not exist", Code::NodeMissing, |c| {
        c.world.node("train").links.push(Link::new(Role::Used, "nothing"));
    }),
    Attack::new("edge-beyond-the-table", Exporter, "a shipment that ships a data set", Code::EdgeKind, |c| {
        c.world.node("shipment").links.push(Link::new(Role::Ships, "features"));
    }),
    Attack::new("step-uses-a-step", Exporter, "a step that used a step", Code::EdgeKind, |c| {
        c.world.node("train").links.push(Link::new(Role::Used, "anonymise"));
    }),
    Attack::new(
        "edge-names-another-log",
        Exporter,
        "an edge to a node of this log as one of another",
        Code::HomeMismatch,
        |c| {
            c.world.node("train").links[0].home = Some(ELSEWHERE);
        },
    ),
    Attack::new(
        "output-in-another-commit",
        Exporter,
        "a data set hung on a step of another commit",
        Code::OutputApart,
        |c| {
            let place = c.world.place("train");
            c.world.nodes.insert(place, NodeSpec::dataset("late", "CN", &["visual"], Origin::Derived).by("anonymise"));
            c.world.commit_of("train").nodes.push("late".into());
            c.world.node("train").links.push(Link::new(Role::Used, "late"));
        },
    ),
    Attack::new("root-is-a-dataset", Courier, "a data set as the root", Code::RootKind, |c| {
        c.courier = Some(|b, built| b.root = built.ordinal("features"));
    }),
    Attack::new("root-beyond-the-nodes", Courier, "an ordinal that no node has", Code::NodeMissing, |c| {
        c.courier = Some(|b, _| b.root = 99);
    }),
    Attack::new("root-is-an-ancestor", Courier, "the model as the root, to hide the shipment", Code::Extraneous, |c| {
        c.courier = Some(|b, built| b.root = built.ordinal("grasp-int8"));
    }),
    Attack::new("extra-source", Exporter, "a source of the same commit that is no ancestor", Code::Extraneous, |c| {
        c.world.extra.push("tactile".into());
    }),
    Attack::new("extra-commit", Exporter, "a recorded node that is no ancestor", Code::Extraneous, |c| {
        c.world.extra.push("unrelated".into());
    }),
    Attack::new("second-shipment", Exporter, "two shipments in a bundle", Code::Extraneous, |c| {
        let second = NodeSpec::shipment("second", "FR", "2026-06-01", &["grasp-int8"]);
        c.world.nodes.push(second);
        c.world.commit_of("shipment").nodes.push("second".into());
        c.world.extra.push("second".into());
    }),
];

const ENDS: &[Attack] = &[
    Attack::new(
        "foreign-parent-not-shown",
        Exporter,
        "a parent in a log that the bundle lacks",
        Code::ForeignUnresolved,
        |c| {
            let link = Link { home: Some(ELSEWHERE), ..Link::new(Role::Used, "elsewhere") };
            c.world.node("train").links.push(link);
        },
    ),
    Attack::new(
        "walk-ends-at-derived-data",
        Exporter,
        "a derived data set without its step",
        Code::UpstreamUnknown,
        |c| {
            let place = c.world.place("train");
            c.world.nodes.insert(place, NodeSpec::dataset("found", "DE", &["visual"], Origin::Derived));
            c.world.commit_of("train").nodes.push("found".into());
            c.world.node("train").links.push(Link::new(Role::Used, "found"));
        },
    ),
    Attack::new(
        "upstream-model-without-records",
        Nobody,
        "a backbone whose training is not recorded",
        Code::UpstreamUnknown,
        |c| {
            let place = c.world.place("train");
            c.world.nodes.insert(place, NodeSpec::model("backbone", "DE"));
            c.world.commit_of("train").nodes.push("backbone".into());
            c.world.node("train").links.push(Link::new(Role::Used, "backbone"));
        },
    ),
    Attack::new("no-source-at-all", Exporter, "a model that came from nowhere", Code::NoSource, |c| {
        c.world.node("grasp-fp32").links.clear();
    })
    .also(&[Code::UpstreamUnknown])
    .verdict(Verdict::UpstreamUnknown),
];
