//! Verdicts, severities and the closed table of findings.

use alloc::string::String;
use core::fmt;

use griptrace_core::id::NodeId;

/// The verdict on a product, from best to worst (docs/spec/verify.md, "Verdicts").
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Verdict {
    /// Every source is covered by a signed assessment.
    TracedAssessed,
    /// Every source is covered, one at least only by an assessment that the committer states.
    TracedStated,
    /// A source crosses a border on a basis that needs no assessment.
    TracedExempt,
    /// A source is covered by no assessment.
    TracedUnassessed,
    /// The newest checkpoint is older than the buyer allows.
    Stale,
    /// A source's grade is not known.
    GradeUndetermined,
    /// The ancestry ends where no source is recorded, or something needed is not known.
    UpstreamUnknown,
    /// An assessment does not reach the purpose, modality, grade or destination.
    OutsideAssessmentScope,
    /// An assessment was not valid on the day.
    ExpiredAtShipment,
    /// Ancestry was recorded later than the policy allows.
    RecordedAfterShipment,
    /// A grade fell without a record by somebody trusted for it.
    GradeLoweredWithoutRecord,
    /// A licence forbids this use.
    LicenceForbids,
    /// Something was withdrawn, recalled or refused.
    Withdrawn,
    /// The shipped file, consignee or destination is another.
    Mismatch,
    /// The evidence does not hold together.
    Broken,
}

impl Verdict {
    /// Every verdict, from best to worst.
    pub const ALL: [Self; 15] = [
        Self::TracedAssessed,
        Self::TracedStated,
        Self::TracedExempt,
        Self::TracedUnassessed,
        Self::Stale,
        Self::GradeUndetermined,
        Self::UpstreamUnknown,
        Self::OutsideAssessmentScope,
        Self::ExpiredAtShipment,
        Self::RecordedAfterShipment,
        Self::GradeLoweredWithoutRecord,
        Self::LicenceForbids,
        Self::Withdrawn,
        Self::Mismatch,
        Self::Broken,
    ];

    /// Returns the name that stands in reports.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::TracedAssessed => "TRACED_ASSESSED",
            Self::TracedStated => "TRACED_STATED",
            Self::TracedExempt => "TRACED_EXEMPT",
            Self::TracedUnassessed => "TRACED_UNASSESSED",
            Self::Stale => "STALE",
            Self::GradeUndetermined => "GRADE_UNDETERMINED",
            Self::UpstreamUnknown => "UPSTREAM_UNKNOWN",
            Self::OutsideAssessmentScope => "OUTSIDE_ASSESSMENT_SCOPE",
            Self::ExpiredAtShipment => "EXPIRED_AT_SHIPMENT",
            Self::RecordedAfterShipment => "RECORDED_AFTER_SHIPMENT",
            Self::GradeLoweredWithoutRecord => "GRADE_LOWERED_WITHOUT_RECORD",
            Self::LicenceForbids => "LICENCE_FORBIDS",
            Self::Withdrawn => "WITHDRAWN",
            Self::Mismatch => "MISMATCH",
            Self::Broken => "BROKEN",
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// How much a finding weighs. The policy may change it where the table does not fix it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Severity {
    /// Told, and nothing more.
    Note,
    /// Told, and to be looked at.
    Warning,
    /// The policy is not met.
    Error,
}

impl Severity {
    /// Returns the word that stands in policies and reports.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Note => "note",
            Self::Warning => "warning",
            Self::Error => "error",
        }
    }

    /// Reads the word.
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Note, Self::Warning, Self::Error].into_iter().find(|s| s.as_str() == text)
    }
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What a verdict was made of, at which time.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum When {
    /// At any time: the evidence itself.
    Always,
    /// On the day of the shipment.
    AtShipment,
    /// Now.
    Now,
}

impl When {
    /// Returns the word that stands in reports.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Always => "always",
            Self::AtShipment => "at-shipment",
            Self::Now => "now",
        }
    }
}

macro_rules! codes {
    ($($(#[$doc:meta])* $id:ident = $code:literal, $verdict:ident, $severity:ident, $step:literal, $fixed:literal;)*) => {
        /// A kind of finding: the stable code that vectors, policies and JSON use.
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
        pub enum Code { $($(#[$doc])* $id),* }

        impl Code {
            /// Every code, in the order of the steps.
            pub const ALL: &'static [Self] = &[$(Self::$id),*];
            /// Returns the code's text.
            pub const fn as_str(self) -> &'static str { match self { $(Self::$id => $code),* } }
            /// Returns the verdict that the finding leads to; the best one for those that do not change it.
            pub const fn verdict(self) -> Verdict { match self { $(Self::$id => Verdict::$verdict),* } }
            /// Returns the severity where the policy says nothing.
            pub const fn severity(self) -> Severity { match self { $(Self::$id => Severity::$severity),* } }
            /// Returns the step of the procedure that finds it.
            pub const fn step(self) -> u8 { match self { $(Self::$id => $step),* } }
            /// Tells whether no policy may lower it: what makes BROKEN, MISMATCH or leaves the model unchecked.
            pub const fn is_fixed(self) -> bool { match self { $(Self::$id => $fixed),* } }
        }
    };
}

codes! {
    // Step 1: read.
    /// It begins like a bundle and cannot be read.
    BundleMalformed = "bundle-malformed", Broken, Error, 1, true;
    /// The digest at its end is not that of its bytes.
    BundleDigestMismatch = "bundle-digest-mismatch", Broken, Error, 1, true;
    /// A count, length or depth exceeds its limit.
    LimitExceeded = "limit-exceeded", Broken, Error, 1, true;
    // Step 2: logs.
    /// A log's first entry is not a genesis at index 0.
    GenesisInvalid = "genesis-invalid", Broken, Error, 2, true;
    /// One log stands twice in the bundle.
    LogDuplicate = "log-duplicate", Broken, Error, 2, true;
    /// The trust file knows no log of this origin and key.
    LogUntrusted = "log-untrusted", Broken, Error, 2, true;
    /// A key change is not signed by whom it concerns, or has no place in the log.
    KeyChangeInvalid = "key-change-invalid", Broken, Error, 2, true;
    // Step 3: checkpoints.
    /// A checkpoint is not a signed note of this log.
    CheckpointInvalid = "checkpoint-invalid", Broken, Error, 3, true;
    /// A checkpoint is not signed by its log's key.
    CheckpointUnsigned = "checkpoint-unsigned", Broken, Error, 3, true;
    /// A line by a known key does not verify.
    NoteSignatureInvalid = "note-signature-invalid", Broken, Error, 3, true;
    /// Checkpoints are not in ascending size, or there is none.
    AnchorOrder = "anchor-order", Broken, Error, 3, true;
    // Step 4: consistency.
    /// A checkpoint's tree is not a beginning of the next one's.
    ConsistencyMismatch = "consistency-mismatch", Broken, Error, 4, true;
    // Step 5: inclusion.
    /// Entries are out of order, twice, or beyond the tree.
    EntryOrder = "entry-order", Broken, Error, 5, true;
    /// The entries are not the leaves under the checkpoint.
    InclusionRootMismatch = "inclusion-root-mismatch", Broken, Error, 5, true;
    /// An entry cannot be read.
    EntryInvalid = "entry-invalid", Broken, Error, 5, true;
    /// The last leaf under a checkpoint is not a status head that names its own index.
    StatusHeadMissing = "status-head-missing", Broken, Error, 5, true;
    // Step 6: commits.
    /// A commit is for another log.
    HomeMismatch = "home-mismatch", Broken, Error, 6, true;
    /// A key signed where it does not count any more, or not yet.
    KeyRetired = "key-retired", Broken, Error, 6, true;
    /// No committer of the trust file has this key for this log and time.
    CommitterUntrusted = "committer-untrusted", Broken, Error, 6, true;
    /// A commit's signature does not verify.
    CommitSignatureInvalid = "commit-signature-invalid", Broken, Error, 6, true;
    // Step 7: nodes.
    /// The nodes are not those that the commit signed.
    CommitRootMismatch = "commit-root-mismatch", Broken, Error, 7, true;
    /// A node's core cannot be read, or breaks its kind's table.
    NodeInvalid = "node-invalid", Broken, Error, 7, true;
    /// One node stands twice.
    NodeDuplicate = "node-duplicate", Broken, Error, 7, true;
    // Step 8: structure.
    /// The root is neither a Shipment nor a Model.
    RootKind = "root-kind", Broken, Error, 8, true;
    /// An edge leads where the closed table does not allow it.
    EdgeKind = "edge-kind", Broken, Error, 8, true;
    /// A node and the step that generated it are in different commits.
    OutputApart = "output-apart-from-step", Broken, Error, 8, true;
    /// A node that the closure needs is not in the bundle.
    NodeMissing = "node-missing", Broken, Error, 8, true;
    /// Something is in the bundle that the closure does not need.
    Extraneous = "extraneous", Broken, Error, 8, true;
    /// A node in another log that the bundle does not resolve.
    ForeignUnresolved = "foreign-unresolved", UpstreamUnknown, Error, 8, false;
    /// The ancestry ends at a derived data set or a model without records.
    UpstreamUnknown = "upstream-unknown", UpstreamUnknown, Error, 8, false;
    /// No source at all lies behind the root.
    NoSource = "no-source", UpstreamUnknown, Error, 8, true;
    // Step 9: opened details, manifests and subjects.
    /// Opened details do not lead to the node's details root, or do not belong here.
    DisclosureMismatch = "disclosure-mismatch", Broken, Error, 9, true;
    /// An opened manifest is not the one that its node's details name.
    ManifestMismatch = "manifest-mismatch", Broken, Error, 9, true;
    /// A shipped model's content or manifest is not opened.
    ModelNotOpened = "model-not-opened", Broken, Error, 9, true;
    /// Opened subjects do not lead to the root that the assessor signed.
    SubjectMismatch = "subject-mismatch", Broken, Error, 9, true;
    /// An assessment cannot be read.
    AssessmentInvalid = "assessment-invalid", Broken, Error, 9, true;
    // Step 10: statuses.
    /// A checkpoint that judgement needs brings no statuses.
    StatusMissing = "status-missing", Broken, Error, 10, true;
    /// The statuses are not those under the status head.
    StatusProofMismatch = "status-proof-mismatch", Broken, Error, 10, true;
    /// A status stands under a key that is not its target's, or not in its commit's public lines.
    StatusLineMismatch = "status-line-mismatch", Broken, Error, 10, true;
    /// A status by somebody who may not give it; it does not count.
    StatusUnauthorised = "status-unauthorised", TracedAssessed, Warning, 10, false;
    /// The map root is the operator's claim: no witness that recomputes it has cosigned.
    MapUnwitnessed = "map-unwitnessed", TracedAssessed, Note, 10, false;
    // Step 11: times.
    /// The newest or the shipment's checkpoint lacks the witnesses that the trust file asks for.
    QuorumNotMet = "quorum-not-met", Broken, Error, 11, true;
    /// Times are the operator's own: the trust file asks for no witness.
    TimeSelfDeclared = "time-self-declared", TracedAssessed, Note, 11, false;
    /// The newest checkpoint is older than the trust file allows.
    Stale = "stale", Stale, Error, 11, false;
    /// Recorded later after its date than the policy allows.
    RecordedAfterShipment = "recorded-after-shipment", RecordedAfterShipment, Error, 11, false;
    /// A date is in the future of the checkpoint that covers it.
    DateInFuture = "date-in-future", RecordedAfterShipment, Error, 11, false;
    /// Now, as the buyer's clock or `--at` has it, is before the evidence was made.
    NowBeforeEvidence = "now-before-evidence", TracedAssessed, Warning, 11, false;
    /// A step has no date.
    DateUndeclared = "date-undeclared", UpstreamUnknown, Error, 11, false;
    // Step 12: marks.
    /// Withdrawn by somebody who may.
    Withdrawn = "withdrawn", Withdrawn, Error, 12, false;
    /// Recalled.
    Recalled = "recalled", Withdrawn, Error, 12, false;
    /// Refused by an assessor or authority.
    Refused = "refused", Withdrawn, Error, 12, false;
    /// Superseded: the record and its successor both count.
    Superseded = "superseded", TracedAssessed, Warning, 12, false;
    // Step 13: grades and other statements.
    /// A grade is missing, not in the policy's vocabulary, or by somebody not trusted to grade.
    GradeUndetermined = "grade-undetermined", GradeUndetermined, Error, 13, false;
    /// A grade was stated by a committer without the role for it; it does not count.
    GradeUnauthorised = "grade-unauthorised", GradeUndetermined, Error, 13, false;
    /// A derived node states a lower grade than what it came from.
    GradeLowered = "grade-lowered-without-record", GradeLoweredWithoutRecord, Error, 13, false;
    /// A lowering by somebody without the role for it; it does not count.
    RegradeUnauthorised = "regrade-unauthorised", GradeLoweredWithoutRecord, Error, 13, false;
    /// Many sources of low grade, and no statement on their sum.
    AggregateNotRegraded = "aggregate-not-regraded", TracedAssessed, Note, 13, false;
    /// The licence forbids this use.
    LicenceForbids = "licence-forbids", LicenceForbids, Error, 13, false;
    /// Whether the licence allows this use is not said.
    LicenceUnknown = "licence-unknown", TracedAssessed, Note, 13, false;
    /// A content digest that can be forged, or none.
    WeakDigest = "weak-digest", TracedAssessed, Warning, 13, false;
    /// Nobody looked for persons, or nobody says so.
    PersonsNotExamined = "persons-not-examined", TracedAssessed, Warning, 13, false;
    /// A modality or purpose is no word of the policy's vocabulary: it counts as unknown.
    WordUnknown = "word-unknown", TracedAssessed, Warning, 13, false;
    /// A country is not said.
    CountryUndeclared = "country-undeclared", UpstreamUnknown, Error, 13, false;
    /// A detail that the policy asks to see is hidden or absent.
    DetailNotDisclosed = "detail-not-disclosed", TracedAssessed, Warning, 13, false;
    // Step 14: assessments.
    /// Nothing covers a source where the policy asks for an assessment.
    AssessmentMissing = "assessment-missing", TracedUnassessed, Error, 14, false;
    /// An assessment by a key that the trust file does not know as an assessor of the scheme.
    AssessorUntrusted = "assessor-untrusted", TracedUnassessed, Error, 14, false;
    /// An assessor's signature does not verify.
    AssessmentSignatureInvalid = "assessment-signature-invalid", Broken, Error, 14, true;
    /// Only stated where the policy asks for signed.
    AssessmentOnlyStated = "assessment-only-stated", TracedStated, Error, 14, false;
    /// Not of a scheme that the policy accepts here.
    AssessmentScheme = "assessment-scheme", OutsideAssessmentScope, Error, 14, false;
    /// Its validity had ended, by itself or by the policy.
    AssessmentExpired = "assessment-expired", ExpiredAtShipment, Error, 14, false;
    /// Its validity had not begun.
    AssessmentNotYetValid = "assessment-not-yet-valid", ExpiredAtShipment, Error, 14, false;
    /// It does not reach the purpose.
    AssessmentPurpose = "assessment-purpose", OutsideAssessmentScope, Error, 14, false;
    /// It does not reach the modality.
    AssessmentModality = "assessment-modality", OutsideAssessmentScope, Error, 14, false;
    /// It does not reach the grade.
    AssessmentGrade = "assessment-grade", OutsideAssessmentScope, Error, 14, false;
    /// It does not reach the destination.
    AssessmentDestination = "assessment-destination", OutsideAssessmentScope, Error, 14, false;
    /// It names streams, and the data's streams are others or hidden.
    AssessmentStreams = "assessment-streams", OutsideAssessmentScope, Error, 14, false;
    /// The assessor's result was no.
    AssessmentRefused = "assessment-refused", Withdrawn, Error, 14, false;
    /// It was withdrawn.
    AssessmentWithdrawn = "assessment-withdrawn", Withdrawn, Error, 14, false;
    /// The trust file names a log for its assessor's statuses, and the bundle does not show it.
    AssessmentStatusUnknown = "assessment-status-unknown", UpstreamUnknown, Error, 14, false;
    /// It covered the crossing and has lapsed since.
    LapsedSince = "lapsed-since", TracedAssessed, Note, 14, false;
    /// Crosses on a basis that needs no assessment.
    Exempt = "exempt", TracedExempt, Note, 14, false;
    /// Claims an exempt basis without the role for it; it does not count.
    ExemptUnauthorised = "exempt-unauthorised", TracedUnassessed, Warning, 14, false;
    // Step 15: the buyer's question.
    /// The shipment was recorded by a committer without the role for it.
    ShipperUnauthorised = "shipper-unauthorised", Broken, Error, 15, true;
    /// A pre-check: there is no shipment.
    NoShipment = "no-shipment", TracedAssessed, Error, 15, true;
    /// The shipment goes to another country than the buyer says.
    DestinationMismatch = "destination-mismatch", Mismatch, Error, 15, true;
    /// Nobody asked for a destination.
    DestinationNotChecked = "destination-not-checked", TracedAssessed, Error, 15, true;
    /// The shipment goes to another consignee than the buyer says.
    ConsigneeMismatch = "consignee-mismatch", Mismatch, Error, 15, true;
    /// The consignee is asked for and not disclosed.
    ConsigneeNotDisclosed = "consignee-not-disclosed", Mismatch, Error, 15, true;
    /// The shipment is for other purposes than the buyer's.
    PurposeMismatch = "purpose-mismatch", Mismatch, Error, 15, true;
    /// The shipped files are others.
    ModelMismatch = "model-mismatch", Mismatch, Error, 15, true;
    /// Less than all that shipped was compared.
    ModelPartlyChecked = "model-partly-checked", TracedAssessed, Error, 15, true;
    /// No file was compared.
    ModelNotChecked = "model-not-checked", TracedAssessed, Error, 15, true;
}

impl Code {
    /// Reads a code's text.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|code| code.as_str() == text)
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Something found, with its weight under the policy.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Finding {
    /// What kind.
    pub code: Code,
    /// Its weight under the policy.
    pub severity: Severity,
    /// The node that it concerns, if it concerns one.
    pub node: Option<NodeId>,
    /// At which time it holds.
    pub when: When,
    /// What was found, with both values, in words.
    pub text: String,
}
