//! The buyer: a trust file, a policy and a question, as text that the verifier's own parsers read.

use griptrace_core::{
    bundle::{Bundle, BundleError, MAGIC},
    key::Signer as _,
    manifest::FileRecord,
    note::{Note, NoteSignature, NoteSigner},
    update::{Patch, Update},
};
use griptrace_verifier::{
    known::{History, HistoryError, Known},
    policy::{self, Policy},
    question::{ModelInHand, Question},
    report::Report,
    trust::{self, Trust},
    update::bring_up_to_date,
    verify::verify,
};

use super::{Built, ORIGIN, SUPPLIER_ORIGIN, World, cosigner, country, date, file, honest, key, seed, words};

/// What the buyer holds.
#[derive(Clone)]
pub(crate) struct Buyer {
    pub(crate) trust: String,
    pub(crate) policy: String,
    pub(crate) question: Question,
    /// Older bundles and saved checkpoints.
    pub(crate) known: Vec<Vec<u8>>,
}

/// The policy of the tests: after policies/cn-industrial-reference.toml, with its own words.
const POLICY: &str = r#"id = "test"
version = "1"
status = "reference"
judge = "both"
max_lag = "7d"
[vocabulary]
grades = ["general", "important", "core"]
modality = ["visual", "force-torque", "tactile"]
purpose = ["grasp", "weld"]
schemes = ["security-assessment", "self-assessment"]
bases = ["foreign-origin-transit", "other"]
[[scope]]
modality = ["visual", "force-torque"]
purpose = ["grasp"]
source = "a test"
read = "own-choice"
[[require]]
grade = ["important", "core"]
crossing = { from = ["CN"], to = ["*"] }
any_of = ["security-assessment"]
strength = "signed"
validity = "3y"
source = "a test"
read = "own-choice"
[[exempt]]
basis = "foreign-origin-transit"
role = "exempt"
source = "a test"
read = "own-choice"
"#;

fn vkey_of_log(origin: &str, name: &str) -> String {
    NoteSigner::new(origin, &seed(name)).expect("it is a name").verifier().to_vkey()
}

/// The vkey of a witness's key ([`cosigner`]).
pub(crate) fn vkey_of_witness(name: &str) -> String {
    cosigner(name).verifier().to_vkey()
}

fn witness(name: &str) -> String {
    let vkeys = ["", "/ml-dsa", "/map"].map(|kind| vkey_of_witness(&format!("{name}{kind}")));
    format!("[[witness]]\nname = \"{name}\"\nvkey = [\n  \"{}\",\n]\nroles = [\"map\"]\n", vkeys.join("\",\n  \""))
}

fn committer(name: &str, roles: &str) -> String {
    let public = key(name).public_key();
    format!("[[committer]]\nname = \"{name}\"\nkey = \"{public}\"\nfrom = 2026-01-01\nroles = [{roles}]\n")
}

fn assessor(name: &str) -> String {
    let public = key(name).public_key();
    format!("[[assessor]]\nname = \"{name}\"\nkey = \"{public}\"\nschemes = [\"security-assessment\"]\n")
}

fn trust_text() -> String {
    let mut text = String::from(
        "max_age = \"30d\"\nexpect = { destination = \"DE\", consignee = \"Muster GmbH\" }\n\
         quorum = { of = [\"w1\", \"w2\"], at_least = 1 }\n",
    );
    for (origin, name) in [(ORIGIN, "log"), (SUPPLIER_ORIGIN, "supplier-log")] {
        text += "[[log]]\n";
        text += &["origin = \"", origin, "\"\nvkey = \"", &vkey_of_log(origin, name), "\"\n"].concat();
    }
    text += &witness("w1");
    text += &witness("w2");
    text += &committer("maker", r#""commit", "grade", "ship""#);
    text += &committer("authority", r#""commit", "regrade""#);
    text += &committer("clerk", r#""commit""#);
    text += &committer("supplier", r#""commit", "grade", "ship""#);
    text += &assessor("office");
    text += &assessor("bureau");
    text
}

/// The files that shipped.
pub(crate) fn shipped_files() -> Vec<FileRecord> {
    vec![file("grasp.int8.onnx", b"weights"), file("labels.txt", b"open\nshut\n")]
}

impl Buyer {
    pub(crate) fn new() -> Self {
        let question = Question {
            now: date("2026-07-01"),
            destination: Some(country("DE")),
            consignee: None,
            purposes: words(&["grasp"]),
            model: ModelInHand::Folder(shipped_files()),
            known: Known::default(),
        };
        Self { trust: trust_text(), policy: POLICY.into(), question, known: Vec::new() }
    }

    /// Replaces what has to stand in the trust file.
    pub(crate) fn trust(&mut self, from: &str, to: &str) {
        assert!(self.trust.contains(from), "the trust file has no {from:?}");
        self.trust = self.trust.replacen(from, to, 1);
    }

    /// Gives a committer other roles.
    pub(crate) fn roles(&mut self, name: &str, roles: &str) {
        let head = committer_head(name);
        let start = self.trust.find(&head).expect("the committer is in the trust file") + head.len();
        let end = start + self.trust[start..].find(']').expect("the list ends");
        self.trust.replace_range(start..end, roles);
    }

    /// Adds to the trust file.
    pub(crate) fn trust_also(&mut self, text: &str) {
        self.trust.push_str(text);
    }

    /// Replaces what has to stand in the policy.
    pub(crate) fn policy(&mut self, from: &str, to: &str) {
        assert!(self.policy.contains(from), "the policy has no {from:?}");
        self.policy = self.policy.replacen(from, to, 1);
    }

    pub(crate) fn read_trust(&self) -> Trust {
        trust::parse("trust.toml", &self.trust).unwrap_or_else(|error| panic!("{error}"))
    }

    pub(crate) fn read_policy(&self) -> Policy {
        policy::parse("policy.toml", &self.policy).unwrap_or_else(|error| panic!("{error}"))
    }

    pub(crate) fn verify(&self, bytes: &[u8]) -> Result<Report, BundleError> {
        self.verify_with(bytes, self.read_known())
    }

    fn verify_with(&self, bytes: &[u8], known: Known) -> Result<Report, BundleError> {
        verify(bytes, &self.read_trust(), &self.read_policy(), &Question { known, ..self.question.clone() })
    }

    /// Brings a bundle up to date, and verifies what comes of it.
    pub(crate) fn verify_updated(&self, bytes: Vec<u8>, updates: &[Vec<u8>]) -> Report {
        let mut known = self.read_known();
        let newest = bring_up_to_date(bytes, updates, &self.read_trust(), &mut known);
        let newest = newest.unwrap_or_else(|error| panic!("{error}"));
        self.verify_with(&newest, known).unwrap_or_else(|error| panic!("{error}"))
    }

    pub(crate) fn read_known(&self) -> Known {
        let trust = self.read_trust();
        let read = |file: &Vec<u8>| history(file, &trust).unwrap_or_else(|error| panic!("{error}"));
        Known { histories: self.known.iter().map(read).collect(), ..Known::default() }
    }
}

/// Takes what an older bundle or a saved checkpoint shows.
pub(crate) fn history(file: &[u8], trust: &Trust) -> Result<History, HistoryError> {
    if file.starts_with(MAGIC) { History::of_bundle(file, trust) } else { History::of_checkpoint(file, trust) }
}

/// A committer's table up to the list of roles.
fn committer_head(name: &str) -> String {
    let public = key(name).public_key();
    format!("[[committer]]\nname = \"{name}\"\nkey = \"{public}\"\nfrom = 2026-01-01\nroles = [")
}

type BundleEdit = fn(&mut Bundle, &Built);

/// A world, a buyer, and what is done to the bundle on its way.
#[derive(Clone)]
pub(crate) struct Case {
    pub(crate) world: World,
    pub(crate) buyer: Buyer,
    /// What the courier does to the decoded bundle.
    pub(crate) courier: Option<BundleEdit>,
    /// What the courier does to the bytes.
    pub(crate) bytes: Option<fn(Vec<u8>) -> Vec<u8>>,
    /// The older bundle that the buyer has: what comes is an update of it.
    pub(crate) base: Option<Vec<u8>>,
    /// Withdrawals that come with an update.
    pub(crate) withdrawals: Vec<Vec<u8>>,
}

impl Case {
    /// The honest world and its buyer.
    pub(crate) fn honest() -> Self {
        Self { world: honest(), buyer: Buyer::new(), courier: None, bytes: None, base: None, withdrawals: Vec::new() }
    }

    /// Returns the file that reaches the buyer.
    pub(crate) fn file(&self) -> Vec<u8> {
        let built = self.world.build();
        let mut bundle = built.bundle.clone();
        if let Some(edit) = self.courier {
            edit(&mut bundle, &built);
        }
        let bytes = bundle.to_bytes();
        self.bytes.map_or_else(|| bytes.clone(), |edit| edit(bytes.clone()))
    }

    /// Returns the bundle that the buyer has in the end, and the updates that come for it.
    pub(crate) fn parcel(&self) -> (Vec<u8>, Vec<Vec<u8>>) {
        let file = self.file();
        let patch = self.base.as_deref().map(|base| Patch::between(base, &file));
        let mut withdrawals: Vec<&[u8]> = self.withdrawals.iter().map(Vec::as_slice).collect();
        withdrawals.sort_unstable();
        if patch.is_none() && withdrawals.is_empty() {
            return (file, Vec::new());
        }
        let update = Update { patch, withdrawals }.to_bytes();
        (self.base.clone().unwrap_or(file), vec![update])
    }

    /// Returns what the buyer's verifier says.
    pub(crate) fn verify(&self) -> Report {
        let (file, updates) = self.parcel();
        if updates.is_empty() {
            return self.buyer.verify(&file).unwrap_or_else(|error| panic!("{error}"));
        }
        self.buyer.verify_updated(file, &updates)
    }
}

/// Tells whether a bundle is the honest one but for lines by witnesses that are missing: anybody can leave out a
/// cosignature, or make its name or key id that of nobody, and the quorum decides whether what is left will do.
pub(crate) fn is_less_cosigned(other: &Bundle, honest: &Bundle) -> bool {
    let mut restored = other.clone();
    let anchors = restored.logs.iter_mut().flat_map(|log| &mut log.anchors);
    for (anchor, whole) in anchors.zip(honest.logs.iter().flat_map(|log| &log.anchors)) {
        let (Ok(left), Ok(all)) = (Note::parse(anchor.note.as_bytes()), Note::parse(whole.note.as_bytes())) else {
            return false;
        };
        let is_known = |line: &&NoteSignature| {
            all.signatures().iter().any(|known| known.name() == line.name() && known.key_id() == line.key_id())
        };
        let unchanged = left.signatures().iter().filter(is_known).all(|line| all.signatures().contains(line));
        if left.text() == all.text() && unchanged {
            anchor.note.clone_from(&whole.note);
        }
    }
    restored == *honest
}

/// The findings on one line each, for messages.
pub(crate) fn told(report: &Report) -> String {
    let line = |f: &griptrace_verifier::finding::Finding| {
        format!("  {} {} {}: {}\n", f.code, f.severity, f.when.as_str(), f.text)
    };
    let findings: String = report.findings.iter().map(line).collect();
    format!("{} (met: {})\n{findings}", report.verdict, report.policy_met)
}
