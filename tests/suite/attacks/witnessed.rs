//! Steps 3, 5, 10 and 11: what witnesses signed, what of it counts, and when.
//!
//! The honest world: `w1` and `w2` have three keys each, one of either is asked for; `w1` cosigns every checkpoint and says
//! that it recomputed the map, `w2` cosigns the newest with ML-DSA-44. Checkpoints are of 21 April, 22 May, 2 June (the
//! shipment's) and 21 June.

use griptrace_core::{
    bundle::Bundle,
    date::Date,
    node::Role,
    note::{Note, NoteSignature},
};
use griptrace_verifier::finding::{Code, Verdict};

use super::Attack;
use super::Liar::{Both, Courier, Exporter, Operator, Stranger, Thief, Witness};
use crate::world::{Built, Case, Link, NodeSpec, ORIGIN, SUPPLIER_ORIGIN, cosigner, noon, vkey_of_witness};

/// The place of the newest checkpoint.
const NEWEST: usize = 3;
/// The place of the shipment's checkpoint.
const SHIPPED: usize = 2;

/// What the honest world's buyer asks for.
const QUORUM: &str = "quorum = { of = [\"w1\", \"w2\"], at_least = 1 }\n";

/// Changes the lines of a checkpoint's note.
fn lines(bundle: &mut Bundle, log: usize, anchor: usize, edit: impl FnOnce(&str, &mut Vec<NoteSignature>)) {
    let note = Note::parse(bundle.logs[log].anchors[anchor].note.as_bytes()).expect("it is a note");
    let mut signatures = note.signatures().to_vec();
    edit(note.text(), &mut signatures);
    bundle.logs[log].anchors[anchor].note = Note::new(note.text(), signatures).expect("it is a note").to_text();
}

/// Changes the bytes of the newest checkpoint's line by ML-DSA-44.
fn ml_dsa(bundle: &mut Bundle, edit: impl FnOnce(&mut Vec<u8>)) {
    lines(bundle, 0, NEWEST, |_, signatures| {
        let line = signatures.iter_mut().find(|line| line.signature().len() > 2_000).expect("w2 signed");
        let mut bytes = line.signature().to_vec();
        edit(&mut bytes);
        *line = NoteSignature::new(line.name(), line.key_id(), bytes).expect("it is a line");
    });
}

/// Adds a line that one key made, under the name and id of another.
fn passed_off(bundle: &mut Bundle, made_by: &str, named: &str, time: u64) {
    lines(bundle, 0, NEWEST, |text, signatures| {
        let key = cosigner(named);
        signatures.retain(|line| line.key_id() != key.verifier().key_id());
        let signature = cosigner(made_by).sign(text, time).expect("it is a time").signature().to_vec();
        let line = NoteSignature::new(key.verifier().name(), key.verifier().key_id(), signature);
        signatures.push(line.expect("it is a line"));
    });
}

/// Says who cosigns the checkpoint at a place.
fn cosigned(case: &mut Case, place: usize, by: &[(&'static str, u64)]) {
    case.world.heads()[place].cosigners = by.to_vec();
}

/// Asks for another quorum.
fn quorum(case: &mut Case, asked: &str) {
    case.buyer.trust(QUORUM, asked);
}

/// Asks for `w1` and `w2` both.
fn both(case: &mut Case) {
    quorum(case, "quorum = { of = [\"w1\", \"w2\"], at_least = 2 }\n");
}

/// Has the second witness cosign everything too.
fn w2_cosigns(case: &mut Case) {
    for head in case.world.heads().into_iter().take(NEWEST) {
        let time = head.time + 120;
        head.cosigners.push(("w2/ml-dsa", time));
    }
}

/// Asks in late July, when a newest checkpoint of June is too old unless it was cosigned again.
fn in_july(case: &mut Case) {
    case.buyer.question.now = Date::parse("2026-07-25").expect("it is a day");
}

/// The day before, on which witnesses cosign again.
fn lately() -> u64 {
    noon("2026-07-24")
}

/// Has a witness cosign the newest checkpoint again.
fn again(case: &mut Case, key: &'static str) {
    case.world.heads()[NEWEST].cosigners.push((key, lately()));
}

/// Replaces the keys of `w2` in the trust file.
fn keys_of_w2(case: &mut Case, keys: &[&str]) {
    let vkeys: Vec<String> = keys.iter().map(|key| vkey_of_witness(key)).collect();
    let old = ["w2", "w2/ml-dsa", "w2/map"].map(vkey_of_witness).join("\",\n  \"");
    case.buyer.trust(&old, &vkeys.join("\",\n  \""));
}

pub(super) const ALL: &[&[Attack]] = &[LINES, MAPS, QUORUMS, TIMES, AGES];

const LINES: &[Attack] = &[
    Attack::new(
        "ml-dsa-forged",
        Courier,
        "w2's ML-DSA-44 line with one bit changed",
        Code::NoteSignatureInvalid,
        |c| {
            c.courier = Some(|b, _| ml_dsa(b, |bytes| bytes[1_000] ^= 1));
        },
    ),
    Attack::new("ml-dsa-backdated", Courier, "its time set to a month before", Code::NoteSignatureInvalid, |c| {
        c.courier = Some(|b, _| ml_dsa(b, |bytes| bytes[..8].copy_from_slice(&noon("2026-05-21").to_be_bytes())));
    }),
    Attack::new("ml-dsa-without-time", Courier, "its time set to 0, which is none", Code::NoteSignatureInvalid, |c| {
        c.courier = Some(|b, _| ml_dsa(b, |bytes| bytes[..8].fill(0)));
    }),
    Attack::new("ml-dsa-time-beyond", Courier, "its time set beyond 2^63", Code::NoteSignatureInvalid, |c| {
        c.courier = Some(|b, _| ml_dsa(b, |bytes| bytes[0] |= 0x80));
    }),
    Attack::new("ml-dsa-truncated", Courier, "the line without its last byte", Code::NoteSignatureInvalid, |c| {
        c.courier = Some(|b, _| ml_dsa(b, |bytes| bytes.truncate(2_427)));
    }),
    Attack::new("ml-dsa-extended", Courier, "the line with a byte too many", Code::NoteSignatureInvalid, |c| {
        c.courier = Some(|b, _| ml_dsa(b, |bytes| bytes.push(0)));
    }),
    Attack::new("ml-dsa-twice", Courier, "the line twice", Code::NoteSignatureInvalid, |c| {
        c.courier = Some(|b, _| {
            lines(b, 0, NEWEST, |_, signatures| {
                let line = signatures.iter().find(|line| line.signature().len() > 2_000).expect("w2 signed").clone();
                signatures.push(line);
            });
        });
    }),
    Attack::new(
        "ml-dsa-of-another-checkpoint",
        Operator,
        "w2's line from the newest checkpoint under an older one",
        Code::NoteSignatureInvalid,
        |c| {
            c.courier = Some(|b, _| {
                let note = Note::parse(b.logs[0].anchors[NEWEST].note.as_bytes()).expect("it is a note");
                let line = note.signatures().iter().find(|line| line.signature().len() > 2_000).expect("w2 signed");
                lines(b, 0, SHIPPED, |_, signatures| signatures.push(line.clone()));
            });
        },
    ),
    Attack::new(
        "ml-dsa-of-another-origin",
        Witness,
        "a line that w2 made for another log's checkpoint of the same size and root",
        Code::NoteSignatureInvalid,
        |c| {
            c.courier = Some(|b, _| {
                lines(b, 0, NEWEST, |text, signatures| {
                    let elsewhere = text.replacen(ORIGIN, SUPPLIER_ORIGIN, 1);
                    signatures.retain(|line| line.signature().len() < 2_000);
                    let line = cosigner("w2/ml-dsa").sign(&elsewhere, noon("2026-06-21"));
                    signatures.push(line.expect("it is a checkpoint"));
                });
            });
        },
    ),
    Attack::new(
        "ml-dsa-by-another-name",
        Witness,
        "the line of a key of w1's, under w2's name and key id",
        Code::NoteSignatureInvalid,
        |c| c.courier = Some(|b, _| passed_off(b, "w1/ml-dsa", "w2/ml-dsa", noon("2026-06-21"))),
    ),
    Attack::new(
        "cosignature-passed-off-as-map",
        Witness,
        "w1's plain cosignature under the id of its status-map key",
        Code::NoteSignatureInvalid,
        |c| c.courier = Some(|b, _| passed_off(b, "w1", "w1/map", noon("2026-06-21"))),
    ),
    Attack::new(
        "map-passed-off-as-cosignature",
        Witness,
        "its status-map line under the id of the plain key",
        Code::NoteSignatureInvalid,
        |c| c.courier = Some(|b, _| passed_off(b, "w1/map", "w1", noon("2026-06-21"))),
    ),
    Attack::new(
        "map-forged",
        Stranger,
        "a status-map line in w1's name by a key of his own",
        Code::NoteSignatureInvalid,
        |c| {
            c.courier = Some(|b, _| passed_off(b, "w9/map", "w1/map", noon("2026-06-21")));
        },
    ),
];

const MAPS: &[Attack] = &[
    Attack::new(
        "map-by-nobody-known",
        Stranger,
        "status-map lines by a witness that he made up",
        Code::MapUnwitnessed,
        |c| {
            for head in c.world.heads() {
                head.cosigners = vec![("w1", head.time + 60), ("w9/map", head.time)];
            }
        },
    )
    .met(),
    Attack::new(
        "map-cosigned-only",
        Operator,
        "witnesses cosign, and none recomputes the map",
        Code::MapUnwitnessed,
        |c| {
            for head in c.world.heads() {
                head.cosigners = vec![("w1", head.time + 60), ("w2/ml-dsa", head.time + 60)];
            }
        },
    )
    .met(),
    Attack::new(
        "map-by-a-witness-without-the-role",
        Witness,
        "the status-map line of one that is not trusted for the map",
        Code::MapUnwitnessed,
        |c| {
            c.buyer.trust("roles = [\"map\"]\n", "");
            w2_cosigns(c);
        },
    )
    .met(),
    Attack::new(
        "map-without-the-role-is-no-cosignature",
        Witness,
        "nothing but the status-map line of such a one",
        Code::QuorumNotMet,
        |c| {
            c.buyer.trust("roles = [\"map\"]\n", "");
            let time = noon("2026-06-21");
            cosigned(c, NEWEST, &[("w1/map", time)]);
        },
    ),
    Attack::new(
        "map-by-half-a-quorum",
        Operator,
        "one of two that are asked for recomputed it",
        Code::MapUnwitnessed,
        |c| {
            both(c);
            w2_cosigns(c);
        },
    )
    .met(),
    Attack::new(
        "map-of-the-newest-only",
        Operator,
        "the shipment's map was recomputed by nobody",
        Code::MapUnwitnessed,
        |c| {
            let time = noon("2026-06-02");
            cosigned(c, SHIPPED, &[("w1", time + 60)]);
        },
    )
    .met(),
];

const QUORUMS: &[Attack] = &[
    Attack::new(
        "one-witness-with-two-keys",
        Witness,
        "w1 signs with its three keys, where two witnesses are asked for",
        Code::QuorumNotMet,
        |c| {
            both(c);
            w2_cosigns(c);
            let time = noon("2026-06-21");
            cosigned(c, NEWEST, &[("w1", time), ("w1/ml-dsa", time), ("w1/map", time)]);
        },
    ),
    Attack::new(
        "group-met-by-two-keys-of-one",
        Witness,
        "the same inside a group of groups",
        Code::QuorumNotMet,
        |c| {
            quorum(c, "quorum = { of = [\"near\", \"w3\"], at_least = 1 }\n");
            let near = "[[group]]\nname = \"near\"\nof = [\"w1\", \"w2\"]\nat_least = 2\n";
            c.buyer.trust_also(&format!(
                "[[witness]]\nname = \"w3\"\nvkey = \"{}\"\n{near}",
                vkey_of_witness("w3/ml-dsa")
            ));
            w2_cosigns(c);
            let time = noon("2026-06-21");
            cosigned(c, NEWEST, &[("w1", time), ("w1/ml-dsa", time), ("w1/map", time)]);
        },
    ),
    Attack::new(
        "group-short-of-a-member",
        Operator,
        "a quorum of two groups, of which one cosigned",
        Code::QuorumNotMet,
        |c| {
            quorum(c, "quorum = { of = [\"near\", \"far\"], at_least = 2 }\n");
            c.buyer.trust_also(&format!(
                "[[witness]]\nname = \"w3\"\nvkey = \"{}\"\n[[group]]\nname = \"near\"\nof = [\"w1\", \"w2\"]\nat_least = 1\n\
                 [[group]]\nname = \"far\"\nof = [\"w3\"]\nat_least = 1\n",
                vkey_of_witness("w3/ml-dsa")
            ));
        },
    ),
    Attack::new(
        "policy-quorum-not-met",
        Operator,
        "a tlog-policy asks for a witness that did not cosign",
        Code::QuorumNotMet,
        |c| {
            quorum(c, "");
            c.buyer.trust = format!(
                "tlog_policy = \"\"\"\nwitness w3 {}\ngroup all-of-it all w3\nquorum all-of-it\n\"\"\"\n{}",
                vkey_of_witness("w3/ml-dsa"),
                c.buyer.trust
            );
        },
    ),
    Attack::new(
        "quorum-met-by-an-older-checkpoint-only",
        Operator,
        "the newest one is cosigned by one of two",
        Code::QuorumNotMet,
        |c| {
            both(c);
            w2_cosigns(c);
            let time = noon("2026-06-21");
            cosigned(c, NEWEST, &[("w1", time)]);
        },
    ),
    Attack::new(
        "shipment-anchor-not-cosigned",
        Operator,
        "the statuses of the shipment under a checkpoint that nobody cosigned",
        Code::QuorumNotMet,
        |c| cosigned(c, SHIPPED, &[]),
    ),
    Attack::new(
        "ml-dsa-at-no-time-is-no-quorum",
        Witness,
        "a line of w2's that states no time is all that there is",
        Code::QuorumNotMet,
        |c| {
            cosigned(c, NEWEST, &[]);
            c.courier = Some(|b, _| {
                lines(b, 0, NEWEST, |text, signatures| {
                    signatures.push(cosigner("w2/ml-dsa").sign(text, 0).expect("no time is allowed"));
                });
            });
        },
    ),
];

const TIMES: &[Attack] = &[
    Attack::new(
        "early-anchor-not-cosigned",
        Both,
        "a training step is dated by an early checkpoint that nobody cosigned",
        Code::RecordedAfterShipment,
        |c| cosigned(c, 1, &[]),
    ),
    Attack::new(
        "early-anchor-cosigned-by-too-few",
        Both,
        "the same, cosigned by one of the two that are asked for",
        Code::RecordedAfterShipment,
        |c| {
            both(c);
            w2_cosigns(c);
            let time = noon("2026-05-22");
            cosigned(c, 1, &[("w1", time)]);
        },
    ),
    Attack::new(
        "shipment-dated-by-an-older-anchor",
        Both,
        "an older checkpoint covers the shipment in time; its statuses come with a later one, and so does its date",
        Code::RecordedAfterShipment,
        |c| c.courier = Some(|b, _| b.logs[0].anchors[SHIPPED].status = None),
    ),
    Attack::new(
        "stolen-key-backdates-below-the-quorum",
        Thief,
        "w2's key says May of the shipment's checkpoint, recorded in June; of two witnesses the later one counts",
        Code::RecordedAfterShipment,
        |c| {
            both(c);
            w2_cosigns(c);
            let late = noon("2026-06-15");
            c.world.heads()[SHIPPED].time = late;
            cosigned(c, SHIPPED, &[("w1", late), ("w1/map", late), ("w2/ml-dsa", noon("2026-05-01"))]);
        },
    ),
    Attack::new(
        "stolen-key-says-the-future",
        Thief,
        "w2's key says next year of the newest checkpoint, and both are asked for",
        Code::NowBeforeEvidence,
        |c| {
            both(c);
            w2_cosigns(c);
            let time = noon("2026-06-21");
            cosigned(c, NEWEST, &[("w1", time), ("w1/map", time), ("w2/ml-dsa", noon("2027-06-21"))]);
        },
    )
    .met(),
    Attack::new(
        "statuses-before-the-shipment",
        Exporter,
        "an anchor that does not cover the shipment brings statuses",
        Code::Extraneous,
        |c| c.courier = Some(|b, _| b.logs[0].anchors[1].status = b.logs[0].anchors[SHIPPED].status.clone()),
    ),
    Attack::new(
        "three-anchors-with-statuses",
        Exporter,
        "a further checkpoint between the shipment's and the newest brings statuses",
        Code::Extraneous,
        |c| {
            let between = c.world.heads()[SHIPPED].clone();
            c.world.logs[0].steps.insert(10, crate::world::Step::Head(between));
            c.courier = Some(|b, _| {
                assert_eq!(b.logs[0].anchors.len(), 5);
                b.logs[0].anchors[3].status = b.logs[0].anchors[SHIPPED].status.clone();
            });
        },
    ),
    Attack::new(
        "retired-key-of-a-witness",
        Thief,
        "a key that the buyer no longer has for w2 is all that cosigned",
        Code::QuorumNotMet,
        |c| {
            keys_of_w2(c, &["w2", "w2/map"]);
            let time = noon("2026-06-21");
            cosigned(c, NEWEST, &[("w2/ml-dsa", time)]);
        },
    ),
    Attack::new(
        "supplier-cosigned-by-nobody",
        Operator,
        "the newest checkpoint of another log without its witness",
        Code::QuorumNotMet,
        |c| {
            c.world.add_supplier(vec![NodeSpec::source("bought", "DE", "visual", "general")]);
            c.world.node("train").links.push(Link::new(Role::Used, "bought"));
            c.world.heads_of(1)[1].cosigners.clear();
        },
    ),
];

/// How current a checkpoint is: what was cosigned again, and by whom.
const AGES: &[Attack] = &[
    Attack::new(
        "stolen-key-hides-age",
        Thief,
        "w2's key says July of a checkpoint of June; both are asked for, and w1 does not say so",
        Code::Stale,
        |c| {
            both(c);
            c.world.heads().into_iter().for_each(|head| head.cosigners.push(("w2", head.time + 120)));
            in_july(c);
            again(c, "w2");
        },
    )
    .verdict(Verdict::Stale),
    Attack::new(
        "cosigned-again-by-one-not-asked-for",
        Stranger,
        "w2 cosigns again, where w1 alone is asked for",
        Code::Stale,
        |c| {
            quorum(c, "quorum = { of = [\"w1\"], at_least = 1 }\n");
            in_july(c);
            again(c, "w2/ml-dsa");
        },
    )
    .verdict(Verdict::Stale),
    Attack::new(
        "cosigned-again-by-a-map-key-without-the-role",
        Witness,
        "a witness that is not trusted for the map says again that it recomputed it",
        Code::Stale,
        |c| {
            c.buyer.trust("roles = [\"map\"]\n", "");
            in_july(c);
            again(c, "w1/map");
        },
    )
    .verdict(Verdict::Stale),
    Attack::new(
        "cosigned-again-at-no-time",
        Witness,
        "w2's second line states no time",
        Code::Stale,
        |c| {
            in_july(c);
            c.courier = Some(|b, _| {
                lines(b, 0, NEWEST, |text, signatures| {
                    signatures.push(cosigner("w2/ml-dsa").sign(text, 0).expect("no time is allowed"));
                });
            });
        },
    )
    .verdict(Verdict::Stale),
    Attack::new(
        "older-checkpoint-cosigned-again",
        Operator,
        "what was cosigned again is the shipment's checkpoint, before the log went on",
        Code::Stale,
        |c| {
            in_july(c);
            c.world.heads()[SHIPPED].cosigners.push(("w1", lately()));
        },
    )
    .verdict(Verdict::Stale),
    Attack::new(
        "stolen-key-alone-hides-age",
        Thief,
        "the same, where w2 has cosigned the newest checkpoint in July only",
        Code::Stale,
        |c| {
            both(c);
            w2_cosigns(c);
            in_july(c);
            let time = noon("2026-06-21");
            cosigned(c, NEWEST, &[("w1", time), ("w1/map", time), ("w2/ml-dsa", lately())]);
        },
    )
    .verdict(Verdict::Stale),
    Attack::new(
        "stolen-key-hides-age-in-its-group",
        Thief,
        "w2's key speaks for its group; the other group does not say so",
        Code::Stale,
        |c| {
            quorum(c, "quorum = { of = [\"near\", \"far\"], at_least = 2 }\n");
            c.buyer.trust_also(&format!(
                "[[witness]]\nname = \"w3\"\nvkey = \"{}\"\n[[group]]\nname = \"near\"\nof = [\"w1\", \"w2\"]\nat_least = 1\n\
                 [[group]]\nname = \"far\"\nof = [\"w3\"]\nat_least = 1\n",
                vkey_of_witness("w3/ml-dsa")
            ));
            for head in c.world.heads() {
                head.cosigners.push(("w3/ml-dsa", head.time + 180));
            }
            in_july(c);
            again(c, "w2/ml-dsa");
        },
    )
    .verdict(Verdict::Stale),
    Attack::new(
        "supplier-not-cosigned-again",
        Operator,
        "the own log is current, the supplier's is not",
        Code::Stale,
        |c| {
            c.world.add_supplier(vec![NodeSpec::source("bought", "DE", "visual", "general")]);
            c.world.node("train").links.push(Link::new(Role::Used, "bought"));
            in_july(c);
            again(c, "w1");
        },
    )
    .verdict(Verdict::Stale),
    Attack::new(
        "time-of-the-second-line-changed",
        Courier,
        "w1's second line, of June, with a time in July",
        Code::NoteSignatureInvalid,
        |c| {
            in_july(c);
            c.world.heads()[NEWEST].cosigners.push(("w1", noon("2026-06-25")));
            c.courier = Some(|b, _| {
                lines(b, 0, NEWEST, |_, signatures| {
                    let line = signatures.iter_mut().rfind(|line| line.name().starts_with("w1")).expect("w1 signed");
                    let bytes = [&lately().to_be_bytes(), &line.signature()[8..]].concat();
                    *line = NoteSignature::new(line.name(), line.key_id(), bytes).expect("it is a line");
                });
            });
        },
    ),
    Attack::new(
        "three-lines-by-one-key",
        Operator,
        "w1's line three times, each of another day",
        Code::NoteSignatureInvalid,
        |c| {
            in_july(c);
            c.world.heads()[NEWEST].cosigners.push(("w1", noon("2026-06-25")));
            again(c, "w1");
        },
    ),
    Attack::new(
        "earliest-line-left-out",
        Exporter,
        "of the shipment's checkpoint only the line that w1 made weeks later: it is current, and dated late",
        Code::RecordedAfterShipment,
        |c| cosigned(c, SHIPPED, &[("w1", noon("2026-06-20")), ("w1/map", noon("2026-06-20"))]),
    ),
    Attack::new(
        "stolen-key-adds-an-earlier-line",
        Thief,
        "beside w2's true line one that says May, and both are asked for",
        Code::RecordedAfterShipment,
        |c| {
            both(c);
            w2_cosigns(c);
            let late = noon("2026-06-15");
            c.world.heads()[SHIPPED].time = late;
            let lines = [("w1", late), ("w1/map", late), ("w2/ml-dsa", late), ("w2/ml-dsa", noon("2026-05-01"))];
            cosigned(c, SHIPPED, &lines);
        },
    ),
];

/// A quorum that only history lacks changes nothing.
#[test]
fn an_old_checkpoint_that_nobody_cosigned_is_history() {
    let mut case = Case::honest();
    cosigned(&mut case, 0, &[]);
    let mut also = Case::honest();
    also.buyer.policy("max_lag = \"7d\"\n", "max_lag = \"60d\"\n");
    cosigned(&mut also, 1, &[]);
    for case in [case, also] {
        let report = case.verify();
        assert!(!report.findings.iter().any(|found| found.code == Code::QuorumNotMet), "{}", super::told(&report));
    }
}

/// Which witnesses cosigned, and which of them recomputed the map, is told apart.
#[test]
fn who_cosigned_and_who_recomputed_is_told_apart() {
    let report = Case::honest().verify();
    assert_eq!(report.logs[0].cosigned_by, ["w1", "w2"]);
    assert_eq!(report.logs[0].map_by, ["w1"]);
    let mut roleless = Case::honest();
    roleless.buyer.trust("roles = [\"map\"]\n", "");
    assert_eq!(roleless.verify().logs[0].map_by, [""; 0]);
}

/// A witness counts at the earliest time that it states, by whichever of its keys.
#[test]
fn a_witness_counts_once_at_its_earliest_time() {
    let mut case = Case::honest();
    let time = noon("2026-06-21");
    cosigned(&mut case, NEWEST, &[("w1", time + 900), ("w1/ml-dsa", time + 300), ("w1/map", time + 600)]);
    assert_eq!(case.verify().logs[0].time, Some(time + 300));
    quorum(&mut case, "quorum = { of = [\"w1\"], at_least = 1 }\n");
    cosigned(&mut case, NEWEST, &[("w2", time), ("w1/map", time + 600)]);
    assert_eq!(case.verify().logs[0].time, Some(time + 600), "w2 is not asked for, and saying more is cosigning too");
}

/// An idle log was stale after `max_age`, though its witnesses cosigned the same checkpoint again and again: the latest
/// lines that make up the quorum say as of when it is the newest, and the earliest go on dating it.
#[test]
fn an_idle_log_that_is_cosigned_again_is_current() {
    let mut case = Case::honest();
    in_july(&mut case);
    let idle = case.verify();
    assert!(idle.findings.iter().any(|found| found.code == Code::Stale), "{}", super::told(&idle));
    again(&mut case, "w1");
    let report = case.verify();
    assert!(report.policy_met, "{}", super::told(&report));
    assert_eq!((report.logs[0].time, report.logs[0].as_of), (idle.logs[0].time, Some(lately())));
    assert_eq!(report.logs[0].cosigned_by, ["w1", "w2"], "who signs twice is named once");
    // Where both are asked for, both have to say so; who left off among three holds nobody back.
    both(&mut case);
    w2_cosigns(&mut case);
    again(&mut case, "w2/ml-dsa");
    let report = case.verify();
    assert_eq!(report.logs[0].as_of, Some(lately()), "{}", super::told(&report));
    let dated = report.logs[0].time;
    case.buyer.trust("quorum = { of = [\"w1\", \"w2\"], at", "quorum = { of = [\"w1\", \"w2\", \"w3\"], at");
    case.buyer.trust_also(&format!("[[witness]]\nname = \"w3\"\nvkey = \"{}\"\n", vkey_of_witness("w3/ml-dsa")));
    let left_off = noon("2026-06-21") + 3;
    case.world.heads()[NEWEST].cosigners.push(("w3/ml-dsa", left_off));
    let report = case.verify();
    assert_eq!(report.logs[0].as_of, Some(lately()), "{}", super::told(&report));
    assert!(report.logs[0].time < dated, "the third came before the second");
}

/// Whose recomputed map is asked for: without a quorum nobody's counts, and with one as many as the quorum takes.
#[test]
fn the_quorum_counts_maps_by_map_cosignatures_alone() {
    let unwitnessed = |case: &Case| case.verify().findings.iter().any(|found| found.code == Code::MapUnwitnessed);
    let mut case = Case::honest();
    assert!(!unwitnessed(&case), "one of two is asked for, and w1 recomputed it");
    both(&mut case);
    w2_cosigns(&mut case);
    assert!(unwitnessed(&case), "w2 cosigned, and did not recompute it");
    for place in [SHIPPED, NEWEST] {
        let time = case.world.heads()[place].time + 200;
        case.world.heads()[place].cosigners.push(("w2/map", time));
    }
    assert!(!unwitnessed(&case), "{}", super::told(&case.verify()));
    let mut none = Case::honest();
    quorum(&mut none, "");
    assert!(unwitnessed(&none), "without a quorum nothing says how many are enough");
}

/// The names that the helpers use are those of the honest world.
#[test]
fn the_honest_bundle_has_every_kind_of_line() {
    let built: Built = Case::honest().world.build();
    let note = Note::parse(built.bundle.logs[0].anchors[NEWEST].note.as_bytes()).expect("it is a note");
    let lengths: Vec<usize> = note.signatures().iter().map(|line| line.signature().len()).collect();
    assert_eq!(lengths, [64, 72, 72, 2_428]);
}
