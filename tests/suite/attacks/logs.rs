//! Steps 1 to 5: the file, its logs, their checkpoints and entries.

use griptrace_core::{
    bundle::{Bundle, MAGIC},
    digest::{BUNDLE, Digest},
    entry::{Entry, genesis_hash},
    key::Signer as _,
    node::{Mark, Role},
    note::{Cosigner, Note, NoteSignature},
    tree::{Rfc9162, prove_leaves},
};
use griptrace_verifier::finding::Code;

use super::Attack;
use super::Liar::{Both, Courier, Exporter, Operator, Stranger};
use crate::world::{Built, Link, NodeSpec, ORIGIN, key, seed};

/// Replaces what stands between the magic line and the digest, and hashes again.
pub(super) fn rehashed(bytes: &[u8], edit: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    let mut body = bytes[MAGIC.len()..bytes.len() - 32].to_vec();
    edit(&mut body);
    let mut file = [MAGIC, body.as_slice()].concat();
    let digest = BUNDLE.hash(&file);
    file.extend_from_slice(digest.as_bytes());
    file
}

/// Shows other entries of a log, with their proof made anew.
pub(super) fn show_entries(bundle: &mut Bundle, built: &Built, log: usize, wanted: &[u64]) {
    let at = |index: u64| usize::try_from(index).expect("it is small");
    let size = bundle.logs[log].entries.last().expect("there are entries").0;
    let entries = &built.entries[log][..=at(size)];
    let leaves: Vec<Digest> = entries.iter().map(|entry| Rfc9162::leaf_hash(entry)).collect();
    bundle.logs[log].entries = wanted.iter().map(|index| (*index, entries[at(*index)].clone())).collect();
    bundle.logs[log].inclusion = prove_leaves(&Rfc9162, &leaves, wanted).expect("they are in the log");
}

fn note(bundle: &mut Bundle, anchor: usize, edit: impl FnOnce(&Note) -> String) {
    let parsed = Note::parse(bundle.logs[0].anchors[anchor].note.as_bytes()).expect("it is a note");
    bundle.logs[0].anchors[anchor].note = edit(&parsed);
}

/// Takes out the genesis and proves the rest.
fn without_genesis(bundle: &mut Bundle, built: &Built) {
    let wanted: Vec<u64> = bundle.logs[0].entries.iter().skip(1).map(|(index, _)| *index).collect();
    show_entries(bundle, built, 0, &wanted);
}

fn other_genesis(bundle: &mut Bundle, _: &Built) {
    let Ok(Entry::Genesis(mut genesis)) = Entry::parse(&bundle.logs[0].entries[0].1) else { panic!("it is a genesis") };
    let home = genesis_hash(&bundle.logs[0].entries[0].1);
    genesis.nonce = [0xee; 16];
    bundle.logs[0].entries[0].1 = genesis.to_bytes().expect("it can be written");
    assert_ne!(home, genesis_hash(&bundle.logs[0].entries[0].1));
}

fn drop_witness(bundle: &mut Bundle, _: &Built) {
    note(bundle, 3, |parsed| {
        Note::new(parsed.text(), parsed.signatures()[..1].to_vec()).expect("it is a note").to_text()
    });
}

fn forge_witness(bundle: &mut Bundle, _: &Built) {
    // w2's name and key id, with a signature over the same text by another key.
    note(bundle, 3, |parsed| {
        let honest = Cosigner::new("w2.example", &seed("w2")).expect("it is a name");
        let forger = Cosigner::new("w2.example", &seed("forger")).expect("it is a name");
        let line_of_forger = forger.sign(parsed.text(), 1_780_000_000).expect("it is a time");
        let line = NoteSignature::new("w2.example", honest.verifier().key_id(), line_of_forger.signature().to_vec());
        let lines = [parsed.signatures(), &[line.expect("it is a line")]].concat();
        Note::new(parsed.text(), lines).expect("it is a note").to_text()
    });
}

fn repeat_line(bundle: &mut Bundle, place: usize) {
    note(bundle, 3, |parsed| {
        let lines = [parsed.signatures(), &parsed.signatures()[place..=place]].concat();
        Note::new(parsed.text(), lines).expect("it is a note").to_text()
    });
}

/// A cosignature moved back in time, its bytes otherwise kept.
fn backdate(bundle: &mut Bundle, _: &Built) {
    note(bundle, 3, |parsed| {
        let cosigned = &parsed.signatures()[1];
        let mut bytes = cosigned.signature().to_vec();
        bytes[7] ^= 1;
        let line = NoteSignature::new(cosigned.name(), cosigned.key_id(), bytes);
        let lines = vec![parsed.signatures()[0].clone(), line.expect("it is a line")];
        Note::new(parsed.text(), lines).expect("it is a note").to_text()
    });
}

/// An older checkpoint shows the root of another tree, signed and cosigned.
fn fork(text: &str) -> String {
    let mut lines: Vec<&str> = text.lines().collect();
    lines[2] = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";
    lines.join("\n") + "\n"
}

pub(super) const ALL: &[&[Attack]] = &[LOGS];

const LOGS: &[Attack] = &[
    Attack::new("trailing-byte-in-map", Courier, "a byte after the map, digest anew", Code::BundleMalformed, |c| {
        c.bytes = Some(|bytes| rehashed(&bytes, |body| body.push(0)));
    }),
    Attack::new("map-of-another-version", Courier, "format version 2 inside", Code::BundleMalformed, |c| {
        c.bytes = Some(|bytes| rehashed(&bytes, |body| body[2] = 2));
    }),
    Attack::new("longer-form-of-a-number", Courier, "a number in a longer CBOR form", Code::BundleMalformed, |c| {
        c.bytes = Some(|bytes| rehashed(&bytes, |body| drop(body.splice(2..3, [0x18, 0x01]))));
    }),
    Attack::new("detail-slot-33", Courier, "a detail of slot 32, of 0 to 31", Code::BundleMalformed, |c| {
        c.courier = Some(|b, _| b.disclosures[0].opening.slots[0].0 = 32);
    }),
    Attack::new("last-byte-flipped", Courier, "one bit of the digest", Code::BundleDigestMismatch, |c| {
        c.bytes = Some(|mut bytes| {
            *bytes.last_mut().expect("there are bytes") ^= 1;
            bytes
        });
    }),
    Attack::new("cut-short", Courier, "the file ends after its first line", Code::BundleMalformed, |c| {
        c.bytes = Some(|bytes| bytes[..MAGIC.len() + 7].to_vec());
    }),
    Attack::new("65-logs", Courier, "more logs than a bundle may have", Code::LimitExceeded, |c| {
        c.courier = Some(|b, _| {
            let mut small = b.logs[0].clone();
            (small.entries, small.anchors, small.commits) = (Vec::new(), Vec::new(), Vec::new());
            b.logs = vec![small; 65];
        });
    }),
    Attack::new("checkpoint-of-2-to-the-41", Both, "a tree beyond any size", Code::LimitExceeded, |c| {
        c.world.heads()[3].text_edit = Some(|text| text.replacen("\n13\n", "\n2199023255552\n", 1));
    }),
    Attack::new("no-logs", Courier, "a bundle without a log", Code::GenesisInvalid, |c| {
        c.courier = Some(|b, _| b.logs.clear());
    }),
    Attack::new("genesis-omitted", Courier, "entries without the genesis", Code::GenesisInvalid, |c| {
        c.courier = Some(without_genesis);
    }),
    Attack::new("genesis-is-a-commit", Courier, "a commit at index 0", Code::GenesisInvalid, |c| {
        c.courier = Some(|b, _| b.logs[0].entries[0].1 = b.logs[0].entries[1].1.clone());
    }),
    Attack::new("genesis-swapped", Courier, "another genesis of the same log", Code::InclusionRootMismatch, |c| {
        c.courier = Some(other_genesis);
    }),
    Attack::new(
        "log-of-a-stranger",
        Stranger,
        "a log of the same origin with a key of his own",
        Code::LogUntrusted,
        |c| {
            c.world.logs[0].genesis.key = key("stranger").public_key();
            c.world.heads().into_iter().for_each(|head| head.log_signers = vec![("stranger", ORIGIN.into())]);
        },
    ),
    Attack::new("log-of-another-origin", Stranger, "the same key under another origin", Code::LogUntrusted, |c| {
        c.world.logs[0].genesis.origin = "other.example".into();
    }),
    Attack::new("log-twice", Courier, "the log's part stands twice", Code::LogDuplicate, |c| {
        c.courier = Some(|b, _| b.logs.push(b.logs[0].clone()));
    }),
    Attack::new(
        "two-logs-of-one-origin",
        Both,
        "a second genesis of the same origin and key",
        Code::LogDuplicate,
        |c| {
            c.world.add_supplier(vec![NodeSpec::source("late", "CN", "force-torque", "general")]);
            c.world.logs[1].genesis.origin = ORIGIN.into();
            c.world.logs[1].genesis.key = key("log").public_key();
            for head in c.world.heads_of(1) {
                head.log_signers = vec![("log", ORIGIN.into())];
            }
            c.world.node("extract").links.push(Link::new(Role::Used, "late"));
        },
    ),
    Attack::new(
        "map-of-the-shipment-contradicted",
        Both,
        "a map at shipment that lacks a mark which the newest map has from before",
        Code::StatusLineMismatch,
        |c| {
            c.world.mark(2, "maker", NodeSpec::status("m", Mark::Withdraw, "camera", "2026-05-30"));
            c.world.heads()[2].map_edit = Some(Vec::clear);
        },
    ),
    Attack::new(
        "foreign-parent-recorded-late",
        Exporter,
        "a parent in another log that was covered there only after the shipment",
        Code::RecordedAfterShipment,
        |c| {
            c.world.add_supplier(vec![NodeSpec::source("bought", "DE", "visual", "general")]);
            c.world.logs[1].steps.remove(1);
            c.world.node("train").links.push(Link::new(Role::Used, "bought"));
        },
    ),
    Attack::new(
        "foreign-assessment-recorded-late",
        Exporter,
        "an assessment that another log covered only after the shipment",
        Code::AssessmentMissing,
        |c| {
            c.world.add_supplier(vec![NodeSpec::source("dummy", "CN", "visual", "general")]);
            c.world.logs[1].steps.remove(1);
            c.world.commit_of("assessment").nodes.retain(|name| name != "assessment");
            c.world.commit_of("dummy").nodes = vec!["assessment".into()];
            c.world.nodes.retain(|node| node.name != "dummy");
        },
    ),
    Attack::new(
        "log-without-nodes",
        Operator,
        "a trusted log that nothing of the closure is asked in",
        Code::Extraneous,
        |c| {
            c.world.add_supplier(Vec::new());
            for name in ["assessment", "assessment-2"] {
                c.world.node(name).assessing().signer = None;
            }
            let steps = &mut c.world.logs[1].steps;
            steps.remove(0);
        },
    ),
    Attack::new("checkpoint-is-no-note", Courier, "text without signatures", Code::CheckpointInvalid, |c| {
        c.courier = Some(|b, _| b.logs[0].anchors[1].note = "maker.example/2026\n".into());
    }),
    Attack::new("checkpoint-of-another-origin", Operator, "signed text of another log", Code::CheckpointInvalid, |c| {
        c.world.heads()[3].text_edit = Some(|text| text.replacen(ORIGIN, "other.example", 1));
    }),
    Attack::new(
        "checkpoint-with-extension",
        Operator,
        "a line that nobody understands",
        Code::CheckpointInvalid,
        |c| {
            c.world.heads()[3].text_edit = Some(|text| text + "more\n");
        },
    ),
    Attack::new("checkpoint-unsigned", Courier, "only the witness signed", Code::CheckpointUnsigned, |c| {
        c.world.heads()[3].log_signers.clear();
    }),
    Attack::new(
        "checkpoint-by-another-key",
        Stranger,
        "a stranger's key under the log's name",
        Code::CheckpointUnsigned,
        |c| {
            c.world.heads()[3].log_signers = vec![("stranger", ORIGIN.into())];
        },
    ),
    Attack::new("checkpoint-text-changed", Courier, "another size, the lines kept", Code::NoteSignatureInvalid, |c| {
        c.courier = Some(|b, _| {
            let note = &mut b.logs[0].anchors[3].note;
            *note = note.replacen("\n13\n", "\n14\n", 1);
        });
    }),
    Attack::new(
        "witness-forged",
        Courier,
        "a line under a witness' name and key id",
        Code::NoteSignatureInvalid,
        |c| {
            c.courier = Some(forge_witness);
        },
    ),
    Attack::new("witness-backdated", Courier, "another time in a cosignature", Code::NoteSignatureInvalid, |c| {
        c.courier = Some(backdate);
    }),
    Attack::new(
        "witness-twice",
        Courier,
        "one witness' line twice, to fill a quorum",
        Code::NoteSignatureInvalid,
        |c| {
            c.buyer.trust("at_least = 1", "at_least = 2");
            c.courier = Some(|b, _| repeat_line(b, 1));
        },
    ),
    Attack::new("log-signs-twice", Courier, "the log's line twice", Code::NoteSignatureInvalid, |c| {
        c.courier = Some(|b, _| repeat_line(b, 0));
    }),
    Attack::new("anchors-swapped", Courier, "a newer checkpoint first", Code::AnchorOrder, |c| {
        c.courier = Some(|b, _| b.logs[0].anchors.swap(0, 1));
    }),
    Attack::new("anchor-twice", Courier, "one checkpoint twice", Code::AnchorOrder, |c| {
        c.courier = Some(|b, _| {
            let anchors = &mut b.logs[0].anchors;
            anchors.insert(1, anchors[0].clone());
        });
    }),
    Attack::new("no-anchor", Courier, "no checkpoint at all", Code::AnchorOrder, |c| {
        c.courier = Some(|b, _| b.logs[0].anchors.clear());
    }),
    Attack::new("history-forked", Operator, "an older checkpoint is of another tree", Code::ConsistencyMismatch, |c| {
        c.world.heads()[0].text_edit = Some(|text| fork(&text));
    }),
    Attack::new("consistency-changed", Courier, "one hash of a consistency proof", Code::ConsistencyMismatch, |c| {
        c.courier = Some(|b, _| b.logs[0].anchors[0].consistency[0] = Digest::ZERO);
    }),
    Attack::new("consistency-trailing", Courier, "a further hash", Code::ConsistencyMismatch, |c| {
        c.courier = Some(|b, _| b.logs[0].anchors[0].consistency.push(Digest::ZERO));
    }),
    Attack::new("consistency-short", Courier, "a hash too few", Code::ConsistencyMismatch, |c| {
        c.courier = Some(|b, _| b.logs[0].anchors[0].consistency.truncate(1));
    }),
    Attack::new("consistency-of-the-last", Courier, "a consistency proof that leads nowhere", Code::Extraneous, |c| {
        c.courier = Some(|b, _| b.logs[0].anchors[3].consistency.push(Digest::ZERO));
    }),
    Attack::new(
        "consistency-to-a-skipped-anchor",
        Courier,
        "a checkpoint taken out, the proof before it kept",
        Code::ConsistencyMismatch,
        |c| {
            c.courier = Some(|b, _| drop(b.logs[0].anchors.remove(1)));
        },
    ),
    Attack::new("entries-swapped", Courier, "two entries change places", Code::EntryOrder, |c| {
        c.courier = Some(|b, _| b.logs[0].entries.swap(1, 2));
    }),
    Attack::new("entry-twice", Courier, "one index twice", Code::EntryOrder, |c| {
        c.courier = Some(|b, _| {
            let entries = &mut b.logs[0].entries;
            entries.insert(2, entries[1].clone());
        });
    }),
    Attack::new("entry-beyond-the-tree", Courier, "an index at the tree's size", Code::EntryOrder, |c| {
        c.courier = Some(|b, _| b.logs[0].entries.push((13, vec![0])));
    }),
    Attack::new("entry-moved", Courier, "an entry under another free index", Code::InclusionRootMismatch, |c| {
        c.courier = Some(|b, _| {
            let place = b.logs[0].entries.len() - 1;
            assert_eq!(b.logs[0].entries[place].0, 12);
            b.logs[0].entries[place].0 = 11;
        });
    }),
    Attack::new("entry-changed", Courier, "one byte of a commit", Code::InclusionRootMismatch, |c| {
        c.courier = Some(|b, _| b.logs[0].entries[1].1[40] ^= 1);
    }),
    Attack::new("inclusion-trailing", Courier, "a hash too many", Code::InclusionRootMismatch, |c| {
        c.courier = Some(|b, _| b.logs[0].inclusion.push(Digest::ZERO));
    }),
    Attack::new("inclusion-short", Courier, "a hash too few", Code::InclusionRootMismatch, |c| {
        c.courier = Some(|b, _| {
            let hashes = b.logs[0].inclusion.len();
            b.logs[0].inclusion.truncate(hashes - 1);
        });
    }),
    Attack::new("entry-unreadable", Both, "a log entry of no known kind", Code::EntryInvalid, |c| {
        c.world.commit_of("shipment").entry_edit = Some(|_| vec![0x82, 0x07, 0xa0]);
    }),
    Attack::new("key-change-entry", Both, "a key change without signatures", Code::EntryInvalid, |c| {
        c.world.commit_of("shipment").entry_edit = Some(|_| vec![0x82, 0x01, 0xa0]);
    }),
    Attack::new("second-genesis", Both, "a genesis in the middle of the log", Code::EntryInvalid, |c| {
        c.world.commit_of("shipment").entry_edit = Some(|_| {
            let genesis = crate::world::honest().logs[0].genesis.clone();
            genesis.to_bytes().expect("it can be written")
        });
    }),
    Attack::new(
        "status-head-of-another-index",
        Operator,
        "a head that names the leaf before",
        Code::StatusHeadMissing,
        |c| {
            c.world.heads()[3].head_edit = Some(|head| head.index -= 1);
        },
    ),
    Attack::new("status-head-omitted", Courier, "an anchor's head not shown", Code::StatusHeadMissing, |c| {
        c.courier = Some(|b, built| {
            let entries = b.logs[0].entries.iter().map(|(index, _)| *index).filter(|index| *index != 7);
            let wanted: Vec<u64> = entries.collect();
            show_entries(b, built, 0, &wanted);
        });
    }),
    Attack::new(
        "status-head-of-no-anchor",
        Courier,
        "a head whose checkpoint is not in the bundle",
        Code::Extraneous,
        |c| {
            c.courier = Some(|b, _| drop(b.logs[0].anchors.remove(0)));
        },
    ),
    Attack::new(
        "cosignature-stripped",
        Courier,
        "the newest checkpoint without its witness",
        Code::QuorumNotMet,
        |c| {
            c.courier = Some(drop_witness);
        },
    ),
    Attack::new(
        "witness-not-of-the-quorum",
        Operator,
        "a witness of the trust file, not of its quorum",
        Code::QuorumNotMet,
        |c| {
            c.buyer.trust("of = [\"w1\", \"w2\"]", "of = [\"w2\"]");
            c.world.heads()[3].cosigners.retain(|(name, _)| name.starts_with("w1"));
        },
    ),
    Attack::new("unknown-witness", Stranger, "cosignatures by a witness that he made up", Code::QuorumNotMet, |c| {
        c.world.heads().into_iter().for_each(|head| head.cosigners = vec![("w9", head.time)]);
    }),
    Attack::new("time-of-the-operator", Operator, "no quorum: the times are his own", Code::TimeSelfDeclared, |c| {
        c.buyer.trust("quorum = { of = [\"w1\", \"w2\"], at_least = 1 }\n", "");
    })
    .met(),
    Attack::new("map-unwitnessed", Operator, "no witness recomputes the map", Code::MapUnwitnessed, |c| {
        c.buyer.trust("roles = [\"map\"]\n", "");
    })
    .met(),
    Attack::new("log-key-signs-as-witness", Operator, "the log's key as a witness' line", Code::QuorumNotMet, |c| {
        c.world.heads()[3].cosigners = vec![("log", 1_780_000_000)];
    }),
];
