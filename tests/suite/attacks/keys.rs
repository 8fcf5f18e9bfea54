//! Keys that follow one another: what a thief of a key, or its former owner, could try.

use griptrace_core::{
    digest::Digest,
    id::GenesisHash,
    key::Signer as _,
    key_change::{KeyUse, key_status},
};
use griptrace_verifier::{
    finding::Code,
    known::{Known, check_fork, fork},
};

use super::Attack;
use super::Liar::{Both, Courier, Exporter, Operator, Stranger, Thief};
use crate::world::{Case, KeySpec, Step, World, key};

/// The maker's key is followed by `maker-2` at leaf 7, which signs from then on.
pub(crate) fn rotated(case: &mut Case) {
    case.world.change_key(1, KeySpec::rotation(KeyUse::Committer, "maker", "maker-2"));
    sign_later(&mut case.world, "maker-2");
}

/// Has another key sign what comes after the second checkpoint.
pub(super) fn sign_later(world: &mut World, signer: &'static str) {
    for node in ["quantise", "shipment", "unrelated"] {
        world.commit_of(node).signer = signer;
    }
}

/// The log's key is followed by `log-2` at leaf 7, which signs the checkpoints from then on.
pub(crate) fn log_rotated(case: &mut Case) {
    case.world.change_key(1, KeySpec::rotation(KeyUse::Log, "log", "log-2"));
    case.world.sign_from(1, "log-2");
}

/// The maker's key was stolen before leaf `since`; `guard`, whom the buyer believes, revokes it at leaf 7, and `maker-2`
/// follows it.
pub(crate) fn revoked(case: &mut Case, since: u64) {
    revoked_by_guard(case, since, "maker-2");
    believe_guard(case);
}

/// The same with another successor, whoever the buyer believes.
pub(super) fn revoked_by_guard(case: &mut Case, since: u64, successor: &'static str) {
    case.world.logs[0].genesis.revokers = vec![key("guard").public_key().id()];
    let revocation = KeySpec { successor: Some(successor), ..KeySpec::revocation("guard", "maker", since) };
    case.world.change_key(1, revocation);
    sign_later(&mut case.world, successor);
}

/// The buyer believes `guard` whom a committer's lost key is followed by.
pub(super) fn believe_guard(case: &mut Case) {
    believe_guard_in(case, crate::world::ORIGIN);
}

pub(super) fn believe_guard_in(case: &mut Case, origin: &str) {
    let (line, guard) = (format!("origin = \"{origin}\"\n"), key("guard").public_key().id());
    case.buyer.trust(&line, &format!("{line}revokers = [\"{guard}\"]\n"));
}

pub(super) fn change(case: &mut Case, edit: impl FnOnce(&mut KeySpec)) {
    let mut change = KeySpec::rotation(KeyUse::Committer, "maker", "maker-2");
    edit(&mut change);
    case.world.change_key(1, change);
}

fn without_the_maker(lines: &mut crate::world::Lines) {
    let retired = key_status(&key("maker").public_key().id());
    lines.retain(|(key, _)| *key != retired);
}

/// Their entries in the catalogue.
pub(super) const ALL: &[&[Attack]] = &[COMMITTERS, LOGS, CHANGES];

const COMMITTERS: &[Attack] = &[
    Attack::new("key-reused-after-rotation", Thief, "the key that retired signs once more", Code::KeyRetired, |c| {
        rotated(c);
        c.world.commit_of("shipment").signer = "maker";
    })
    .also(&[Code::ShipperUnauthorised]),
    Attack::new(
        "rotation-never-shown",
        Exporter,
        "a rotation is left out, and the old key signs on",
        Code::StatusProofMismatch,
        |c| {
            change(c, |change| change.hidden = true);
        },
    ),
    Attack::new(
        "rotation-shown-and-not-in-the-map",
        Both,
        "the map has nothing of a rotation",
        Code::StatusProofMismatch,
        |c| {
            rotated(c);
            c.world.heads().into_iter().for_each(|head| head.map_edit = Some(without_the_maker));
        },
    ),
    Attack::new(
        "successor-before-its-time",
        Thief,
        "the next key signs before the change",
        Code::CommitterUntrusted,
        |c| {
            rotated(c);
            c.world.commit_of("train").signer = "maker-2";
        },
    ),
    Attack::new(
        "successor-of-a-key-that-ended",
        Exporter,
        "a key is followed after its last day",
        Code::CommitterUntrusted,
        |c| {
            rotated(c);
            c.buyer.trust(
                "from = 2026-01-01\nroles = [\"commit\", \"grade\", \"ship\"]",
                "from = 2026-01-01\nto = 2026-05-25\nroles = [\"commit\", \"grade\", \"ship\"]",
            );
        },
    ),
    Attack::new("stolen-key-since-the-theft", Thief, "a commit between theft and revocation", Code::KeyRetired, |c| {
        revoked(c, 6);
    }),
    Attack::new(
        "revocation-never-shown",
        Exporter,
        "a revocation is left out of the bundle",
        Code::StatusProofMismatch,
        |c| {
            c.world.logs[0].genesis.revokers = vec![key("guard").public_key().id()];
            c.world.change_key(1, KeySpec { hidden: true, ..KeySpec::revocation("guard", "maker", 7) });
        },
    ),
    Attack::new(
        "successor-of-a-stolen-key",
        Thief,
        "the thief's own key follows the stolen one",
        Code::KeyRetired,
        |c| {
            c.world.logs[0].genesis.revokers = vec![key("guard").public_key().id()];
            change(c, |change| change.successor = Some("thief"));
            c.world.change_key(2, KeySpec { successor: Some("maker-2"), ..KeySpec::revocation("guard", "maker", 7) });
            sign_later(&mut c.world, "thief");
        },
    )
    .also(&[Code::ShipperUnauthorised]),
    Attack::new(
        "rotation-from-a-stranger",
        Exporter,
        "a key follows one that the trust file lacks",
        Code::CommitterUntrusted,
        |c| {
            c.world.change_key(1, KeySpec::rotation(KeyUse::Committer, "stranger", "maker-2"));
            sign_later(&mut c.world, "maker-2");
        },
    ),
];

const LOGS: &[Attack] = &[
    Attack::new("log-key-after-its-size", Thief, "a log's old key signs a larger checkpoint", Code::KeyRetired, |c| {
        log_rotated(c);
        c.world.sign_from(3, "log");
    }),
    Attack::new(
        "log-key-before-its-size",
        Operator,
        "a log's new key signs an older checkpoint",
        Code::KeyRetired,
        |c| {
            log_rotated(c);
            c.world.sign_from(0, "log-2");
        },
    ),
    Attack::new(
        "log-key-change-hidden",
        Operator,
        "a change of the log's key is left out",
        Code::StatusProofMismatch,
        |c| {
            let change = KeySpec { hidden: true, ..KeySpec::rotation(KeyUse::Log, "log", "log-2") };
            c.world.change_key(1, change);
        },
    ),
    Attack::new("log-key-of-nobody", Thief, "a key signs that no change leads to", Code::CheckpointUnsigned, |c| {
        log_rotated(c);
        c.world.sign_from(1, "thief");
    }),
    Attack::new(
        "log-key-changed-by-a-committer",
        Exporter,
        "a committer's key retires as the log's",
        Code::KeyChangeInvalid,
        |c| {
            c.world.change_key(1, KeySpec::rotation(KeyUse::Log, "maker", "log-2"));
        },
    ),
    Attack::new(
        "log-key-retired-twice",
        Thief,
        "the log's old key names another successor",
        Code::KeyChangeInvalid,
        |c| {
            log_rotated(c);
            c.world.change_key(2, KeySpec::rotation(KeyUse::Log, "log", "thief"));
        },
    ),
    Attack::new(
        "earlier-log-key-beyond-its-size",
        Thief,
        "a key that the trust file has up to a size signs a larger tree, without a change",
        Code::KeyRetired,
        |c| earlier_key(c, 11),
    ),
    Attack::new(
        "log-key-revoked-by-whoever-wrote-the-genesis",
        Stranger,
        "a genesis names the log's key and a revoker of the stranger's, who takes that key out of use at once",
        Code::LogUntrusted,
        |c| {
            revoked_log_key(c, 0);
            c.world.sign_from(0, "thief");
        },
    ),
    Attack::new(
        "log-key-that-nobody-trusts",
        Operator,
        "none of a log's keys is in the trust file",
        Code::LogUntrusted,
        |c| {
            log_rotated(c);
            let text = c.buyer.trust.replace("vkey = \"maker.example/2026+", "vkey = \"other.example/2026+");
            c.buyer.trust = text.replace("\"maker.example/2026\"", "\"other.example/2026\"");
            let vkey = griptrace_core::note::NoteSigner::new("other.example/2026", &crate::world::seed("log"));
            let vkey = vkey.expect("it is a name").verifier().to_vkey();
            let (head, rest) = c.buyer.trust.split_once("vkey = \"other.example/2026+").expect("it is there");
            let (_, rest) = rest.split_once('"').expect("it ends");
            c.buyer.trust = format!("{head}vkey = \"{vkey}\"{rest}");
        },
    ),
];

/// `guard` takes the log's key out of use at the `place`-th step of the log, and the next one follows.
fn revoked_log_key(case: &mut Case, place: usize) {
    case.world.logs[0].genesis.revokers = vec![key("guard").public_key().id()];
    let change = KeySpec { revoker: Some("guard"), ..KeySpec::rotation(KeyUse::Log, "log", "thief") };
    case.world.logs[0].steps.insert(place, Step::Key(change));
}

/// The trust file has the log's next key, and the first one up to a size.
fn earlier_key(case: &mut Case, size: u64) {
    let vkey = |name| {
        let signer = griptrace_core::note::NoteSigner::new(crate::world::ORIGIN, &crate::world::seed(name));
        signer.expect("it is a name").verifier().to_vkey()
    };
    let (old, new) = (vkey("log"), vkey("log-2"));
    let line = format!("vkey = \"{new}\"\nearlier = [{{ vkey = \"{old}\", size = {size} }}]");
    case.buyer.trust(&format!("vkey = \"{old}\""), &line);
}

const CHANGES: &[Attack] = &[
    Attack::new("rotation-by-one-key-alone", Thief, "only the old key signs the change", Code::EntryInvalid, |c| {
        change(c, |change| change.signers = Some(vec!["maker"]));
    }),
    Attack::new("rotation-without-the-old-key", Thief, "somebody else signs in its place", Code::EntryInvalid, |c| {
        change(c, |change| change.signers = Some(vec!["thief", "maker-2"]));
    }),
    Attack::new("rotation-forged", Both, "a signature of the change does not verify", Code::KeyChangeInvalid, |c| {
        rotated(c);
        c.courier = Some(|b, _| {
            let entry = b.logs[0].entries.iter_mut().find(|(_, entry)| entry.starts_with(&[0x82, 0x01]));
            *entry.and_then(|(_, entry)| entry.last_mut()).expect("it is there") ^= 1;
        });
    }),
    Attack::new(
        "revoked-by-a-stranger",
        Thief,
        "a revoker whom the genesis does not name",
        Code::KeyChangeInvalid,
        |c| {
            revoked(c, 7);
            c.world.logs[0].genesis.revokers = vec![key("other").public_key().id()];
        },
    ),
    Attack::new("revoked-ahead", Operator, "a revocation since a leaf that comes later", Code::KeyChangeInvalid, |c| {
        revoked(c, 8);
    }),
    Attack::new("retired-twice", Thief, "a key that retired names a second successor", Code::KeyChangeInvalid, |c| {
        rotated(c);
        c.world.change_key(2, KeySpec::rotation(KeyUse::Committer, "maker", "thief"));
    }),
    Attack::new("key-brought-back", Thief, "a key that retired follows its successor", Code::KeyChangeInvalid, |c| {
        rotated(c);
        c.world.change_key(2, KeySpec::rotation(KeyUse::Committer, "maker-2", "maker"));
    }),
    Attack::new("change-for-another-log", Courier, "a key change of another log", Code::KeyChangeInvalid, |c| {
        change(c, |change| change.home = Some(GenesisHash::new(Digest::ZERO)));
    }),
    Attack::new("change-that-nobody-needs", Exporter, "a key change on which nothing rests", Code::Extraneous, |c| {
        c.world.change_key(1, KeySpec::rotation(KeyUse::Committer, "clerk", "clerk-2"));
    }),
    Attack::new(
        "change-moved",
        Courier,
        "a key change at another leaf, so that it comes later",
        Code::InclusionRootMismatch,
        |c| {
            rotated(c);
            c.courier = Some(|b, _| {
                let entry = b.logs[0].entries.iter_mut().find(|(_, entry)| entry.starts_with(&[0x82, 0x01]));
                entry.expect("it is there").0 -= 1;
                b.logs[0].entries.retain(|(leaf, entry)| *leaf != 6 || entry.starts_with(&[0x82, 0x01]));
            });
        },
    ),
];

/// Makes a world, and expects that the policy is met.
pub(super) fn accepted(name: &str, make: &dyn Fn(&mut Case)) {
    let mut case = Case::honest();
    make(&mut case);
    let report = case.verify();
    assert!(report.policy_met, "{name}: {}", crate::world::told(&report));
}

/// The buyer's file has one key in the place of another.
pub(super) fn other(case: &mut Case, from: &str, to: &str) {
    let (from, to) = (key(from).public_key().to_string(), key(to).public_key().to_string());
    case.buyer.trust(&from, &to);
}

/// Everybody who knows one of the keys finds the way to the others.
#[test]
fn who_knows_an_older_or_a_newer_key_believes_what_the_other_signed() {
    accepted("the old key of the committer", &rotated);
    accepted("its new key", &|c| {
        rotated(c);
        other(c, "maker", "maker-2");
    });
    accepted("the first of three", &|c| {
        rotated(c);
        c.world.change_key(2, KeySpec::rotation(KeyUse::Committer, "maker-2", "maker-3"));
        c.world.commit_of("unrelated").signer = "maker-3";
    });
    accepted("the last of three", &|c| {
        rotated(c);
        c.world.change_key(2, KeySpec::rotation(KeyUse::Committer, "maker-2", "maker-3"));
        other(c, "maker", "maker-3");
    });
    accepted("the old key of the log", &log_rotated);
    accepted("its new key", &|c| {
        log_rotated(c);
        let vkey = |name| {
            let signer = griptrace_core::note::NoteSigner::new(crate::world::ORIGIN, &crate::world::seed(name));
            signer.expect("it is a name").verifier().to_vkey()
        };
        c.buyer.trust(&vkey("log"), &vkey("log-2"));
    });
    accepted("the revoked key of the log, which signed a checkpoint before", &|c| {
        revoked_log_key(c, 5);
        c.world.sign_from(1, "thief");
    });
    accepted("a key of that day", &|c| earlier_key(c, 13));
    accepted("a key of that day, and the next one", &|c| {
        log_rotated(c);
        earlier_key(c, 7);
    });
}

/// A checkpoint that was saved before the log's key changed is of the key that the trust file has as an earlier one.
#[test]
fn a_saved_checkpoint_of_an_earlier_key_can_be_compared_with() {
    let saved = |until| {
        let mut case = Case::honest();
        log_rotated(&mut case);
        let note = super::checkpoint_at(&case, 6);
        earlier_key(&mut case, until);
        crate::world::history(note.as_bytes(), &case.buyer.read_trust()).map_err(|error| error.code()).map(|_| ())
    };
    assert_eq!(saved(6), Ok(()));
    assert_eq!(saved(5), Err("fork-unsigned"), "it is larger than what the earlier key is believed for");
}

/// A log that changes its key does not get rid of evidence that it signed two histories before.
#[test]
fn evidence_of_a_fork_outlives_the_key_that_signed_it() {
    let evidence = |until| {
        let mut case = Case::honest();
        log_rotated(&mut case);
        let honest =
            crate::world::history(super::checkpoint_at(&case, 6).as_bytes(), &case.buyer.read_trust()).unwrap();
        let mut other = case.clone();
        other.world.node("camera").values.insert("name", griptrace_core::value::Value::text("another"));
        earlier_key(&mut other, 6);
        let known = Known { histories: vec![honest], ..Known::default() };
        let evidence = fork(&other.file(), &other.buyer.read_trust(), &known).expect("there is a fork");
        earlier_key(&mut case, until);
        check_fork(&evidence, &case.buyer.read_trust().logs[0]).map(|shown| shown.size).map_err(|error| error.code())
    };
    assert_eq!(evidence(6), Ok(6));
    assert_eq!(evidence(5), Err("fork-key-untrusted"), "a thief of a key that retired accuses nobody");
}
