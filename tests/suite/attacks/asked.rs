//! Step 15: the buyer's question.

use griptrace_core::{digest::Digest, manifest::FileRecord, node::Role};
use griptrace_verifier::{
    finding::{Code, Verdict},
    question::ModelInHand,
};

use super::Attack;
use super::Liar::{Courier, Exporter, Nobody};
use super::records::ELSEWHERE;
use crate::world::{Case, Link, NodeSpec, country, file, shipped_files, words};

/// Changes the folder that the buyer has in hand.
fn folder(case: &mut Case, edit: impl FnOnce(&mut Vec<FileRecord>)) {
    let ModelInHand::Folder(files) = &mut case.buyer.question.model else { panic!("it is a folder") };
    edit(files);
    files.sort_by(|a, b| a.path.cmp(&b.path));
}

/// Leaves out what shipped, so that nothing in hand can be compared with it.
fn close(case: &mut Case, in_hand: ModelInHand) {
    case.courier = Some(|bundle, _| bundle.manifests.clear());
    case.buyer.question.model = in_hand;
}

/// Ships a second model beside the first one.
fn ship_another(case: &mut Case, files: Vec<FileRecord>) {
    let mut second = NodeSpec::model("grasp-spare", "DE").by("quantise");
    second.files = files;
    case.world.insert_before("shipment", second);
    let commit = case.world.commit_of("shipment");
    commit.nodes.retain(|name| name != "grasp-spare");
    case.world.commit_of("quantise").nodes.push("grasp-spare".into());
    case.world.node("shipment").links.push(Link::new(Role::Ships, "grasp-spare"));
}

pub(super) const ALL: &[&[Attack]] = &[SHIPMENTS, MODELS, NOT_OPENED];

const SHIPMENTS: &[Attack] = &[
    Attack::new(
        "shipped-without-role",
        Exporter,
        "a shipment by a key without the role",
        Code::ShipperUnauthorised,
        |c| {
            c.world.commit_of("shipment").signer = "clerk";
        },
    ),
    Attack::new("pre-check", Nobody, "a model that has not shipped", Code::NoShipment, |c| {
        c.world.root = "grasp-int8".into();
    }),
    Attack::new(
        "pre-check-to-another-country",
        Nobody,
        "a pre-check for a country without an assessment",
        Code::AssessmentDestination,
        |c| {
            c.world.root = "grasp-int8".into();
            c.buyer.question.destination = Some(country("US"));
        },
    )
    .also(&[Code::NoShipment]),
    Attack::new(
        "destination-of-another-buyer",
        Exporter,
        "a shipment to another country",
        Code::DestinationMismatch,
        |c| {
            c.buyer.question.destination = Some(country("FR"));
        },
    ),
    Attack::new("destination-not-asked", Nobody, "no destination asked for", Code::DestinationNotChecked, |c| {
        c.buyer.question.destination = None;
        c.buyer.trust("destination = \"DE\", ", "");
    }),
    Attack::new("consignee-of-another-buyer", Exporter, "a shipment to somebody else", Code::ConsigneeMismatch, |c| {
        c.buyer.question.consignee = Some("Somebody Else".into());
    }),
    Attack::new(
        "consignee-in-other-letters",
        Exporter,
        "a name that only looks the same",
        Code::ConsigneeMismatch,
        |c| {
            c.world
                .node("shipment")
                .values
                .insert("consignee", griptrace_core::value::Value::text("Muster Gmb\u{041d}"));
        },
    ),
    Attack::new("purpose-of-another-buyer", Exporter, "a shipment for other purposes", Code::PurposeMismatch, |c| {
        c.world.node("shipment").core.purpose = words(&["weld"]);
        for name in ["assessment", "assessment-2"] {
            c.world.node(name).terms().purposes = words(&["grasp", "weld"]);
        }
    }),
];

const MODELS: &[Attack] = &[
    Attack::new("model-changed", Courier, "another byte in a shipped file", Code::ModelMismatch, |c| {
        folder(c, |files| files[0] = file("grasp.int8.onnx", b"Weights"));
    }),
    Attack::new("model-file-too-many", Courier, "a further file in the folder", Code::ModelMismatch, |c| {
        folder(c, |files| files.push(file("plugin.so", b"evil")));
    }),
    Attack::new("model-file-missing", Courier, "a file too few in the folder", Code::ModelMismatch, |c| {
        folder(c, |files| drop(files.pop()));
    }),
    Attack::new("model-file-renamed", Courier, "a file under another name", Code::ModelMismatch, |c| {
        folder(c, |files| files[1].path = b"other.txt".to_vec());
    }),
    Attack::new("model-folder-empty", Courier, "an empty folder", Code::ModelMismatch, |c| {
        folder(c, Vec::clear);
    }),
    Attack::new("model-of-another-size", Courier, "a digest under another size", Code::ModelMismatch, |c| {
        folder(c, |files| files[0].size += 1);
    }),
    Attack::new("single-file-of-another-model", Courier, "one file that did not ship", Code::ModelMismatch, |c| {
        c.buyer.question.model = ModelInHand::File(file("grasp.int8.onnx", b"other"));
    }),
    Attack::new("digest-of-another-model", Courier, "a digest that did not ship", Code::ModelMismatch, |c| {
        c.buyer.question.model = ModelInHand::Digest(Digest::ZERO);
    }),
    Attack::new("one-file-of-two", Nobody, "one of several shipped files", Code::ModelPartlyChecked, |c| {
        c.buyer.question.model = ModelInHand::File(file("any-name", b"weights"));
    }),
    Attack::new("one-digest-of-two", Nobody, "the digest of one of several files", Code::ModelPartlyChecked, |c| {
        c.buyer.question.model = ModelInHand::Digest(file("", b"weights").blake3);
    }),
    Attack::new("no-model-given", Nobody, "nothing to compare", Code::ModelNotChecked, |c| {
        c.buyer.question.model = ModelInHand::NotGiven;
    }),
    Attack::new(
        "two-models-of-one-path",
        Exporter,
        "two shipped models with a file of the same path",
        Code::ModelMismatch,
        |c| {
            ship_another(c, vec![file("labels.txt", b"other")]);
        },
    )
    .verdict(Verdict::Mismatch),
];

/// Whatever is in hand, nothing is claimed of it, and nothing is met.
const NOT_OPENED: &[Attack] = &[
    Attack::new(
        "manifest-not-opened-and-other-files",
        Courier,
        "the manifest is left out, for who has files that did not ship",
        Code::ModelNotOpened,
        |c| {
            close(c, ModelInHand::Folder(vec![file("plugin.so", b"evil")]));
        },
    ),
    Attack::new(
        "manifest-not-opened-and-no-files",
        Courier,
        "the manifest is left out, for who has an empty folder: as many files as are shown",
        Code::ModelNotOpened,
        |c| close(c, ModelInHand::Folder(Vec::new())),
    ),
    Attack::new(
        "manifest-not-opened-and-one-file",
        Courier,
        "the manifest is left out, for who has one shipped file",
        Code::ModelNotOpened,
        |c| close(c, ModelInHand::File(file("grasp.int8.onnx", b"weights"))),
    ),
    Attack::new(
        "manifest-not-opened-and-a-digest",
        Courier,
        "the manifest is left out, for who has the digest of a shipped file",
        Code::ModelNotOpened,
        |c| close(c, ModelInHand::Digest(file("", b"weights").blake3)),
    ),
    Attack::new(
        "manifest-not-opened-and-nothing",
        Courier,
        "the manifest is left out, for who compares nothing",
        Code::ModelNotOpened,
        |c| close(c, ModelInHand::NotGiven),
    )
    .also(&[Code::ModelNotChecked]),
    Attack::new(
        "pre-check-not-opened",
        Courier,
        "the manifest of a model that has not shipped is left out",
        Code::ModelNotOpened,
        |c| {
            c.world.root = "grasp-int8".into();
            close(c, ModelInHand::Folder(shipped_files()));
        },
    )
    .also(&[Code::NoShipment]),
    Attack::new(
        "one-of-two-manifests-not-opened",
        Courier,
        "of two shipped models that which is not in hand is left out",
        Code::ModelNotOpened,
        |c| {
            ship_another(c, vec![file("spare.onnx", b"other")]);
            c.courier = Some(|bundle, built| bundle.manifests.retain(|part| part.node == built.ordinal("grasp-int8")));
        },
    ),
    Attack::new(
        "shipped-model-not-shown",
        Exporter,
        "a second model ships out of a log that the bundle lacks, where the policy lets ancestry end there",
        Code::ModelNotOpened,
        |c| {
            c.world.node("shipment").links.push(Link { home: Some(ELSEWHERE), ..Link::new(Role::Ships, "elsewhere") });
            c.buyer.policy += "[severity]\n\"foreign-unresolved\" = \"note\"\n";
        },
    ),
];
