//! What each finding means, and what would clear it: the text behind `--explain`.

use crate::finding::Code;

/// What a finding means.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Meaning {
    /// What it means for whoever wants to use the product.
    pub means: &'static str,
    /// What would clear it.
    pub clear: &'static str,
}

/// Returns what a kind of finding means; `None` for one that has no entry yet.
pub fn meaning(code: Code) -> Option<Meaning> {
    let entry = MEANINGS.iter().find(|(name, ..)| *name == code.as_str());
    entry.map(|(_, means, clear)| Meaning { means, clear })
}

/// What is wrong with the file itself can only be cleared by another file.
const NEW_FILE: &str = "Ask the exporter for the file again. If it stays so, the file was changed or badly made.";
const NEW_PROOF: &str = "Ask the exporter to make the evidence again with `griptrace prove`.";
const ASK_LOG: &str = "Ask the log's operator. Do not go on: such a log may tell others something else.";

/// Code, meaning, remedy; in the order of the steps.
const MEANINGS: &[(&str, &str, &str)] = &[
    ("bundle-malformed", "The file begins like a bundle and cannot be read to its end.", NEW_FILE),
    ("bundle-digest-mismatch", "Bytes of the file changed after it was made, or some are missing.", NEW_FILE),
    ("limit-exceeded", "A part of the file is larger than any verifier accepts.", NEW_PROOF),
    ("genesis-invalid", "The log does not say in its first entry who it is.", NEW_PROOF),
    ("log-duplicate", "One log is shown twice, so that two histories of it could be told.", NEW_PROOF),
    (
        "log-untrusted",
        "The evidence comes from a log that your trust file does not know by this origin and key.",
        "If you trust that log, get its vkey by a way other than this file, and put it into the trust file.",
    ),
    (
        "key-change-invalid",
        "The log says that a key followed another or was revoked, and not everybody who has to has signed that, or the log \
         said otherwise before.",
        ASK_LOG,
    ),
    ("checkpoint-invalid", "A log's signed head is not in the form that such heads have.", NEW_PROOF),
    ("checkpoint-unsigned", "Nobody with the log's key signed this head of the log.", ASK_LOG),
    (
        "note-signature-invalid",
        "A signature by a key that you know does not verify: the head was changed or forged.",
        ASK_LOG,
    ),
    ("anchor-order", "The log's heads do not stand in the order of their sizes, or there is none.", NEW_PROOF),
    ("consistency-mismatch", "The log was rewritten between two of its signed heads.", ASK_LOG),
    ("entry-order", "Entries of the log stand out of order, twice, or beyond its end.", NEW_PROOF),
    ("inclusion-root-mismatch", "What is shown as entries of the log is not what its signed head covers.", ASK_LOG),
    ("entry-invalid", "An entry of the log cannot be read.", NEW_PROOF),
    ("status-head-missing", "A signed head does not end with the statement of all marks up to there.", ASK_LOG),
    ("home-mismatch", "A commit was made for another log than the one it is shown in.", NEW_PROOF),
    (
        "key-retired",
        "A key signed this where it does not count: it had retired or was revoked, or was not in use yet.",
        "Ask who owns the key. Somebody who stole it, or was let go, could have signed this.",
    ),
    (
        "committer-untrusted",
        "Your trust file does not name this key as a committer for this log and day.",
        "If you trust that party, get its key by a way other than this file, and add it with log and dates.",
    ),
    (
        "commit-signature-invalid",
        "The committer's signature does not verify: the commit was changed or forged.",
        NEW_PROOF,
    ),
    (
        "history-forked",
        "The log's key signed two histories, so that nothing under it can be relied upon.",
        "Keep both files. `--fork-evidence` writes what others can check, where both checkpoints have one size.",
    ),
    (
        "history-shorter",
        "What you saw before is newer than this file: marks that were set since are hidden.",
        "Ask the exporter for evidence under the newest head of the log.",
    ),
    (
        "history-not-linked",
        "Nothing shows that this file and what you saw before are of one history of the log.",
        "Ask the exporter for evidence made with `griptrace prove --since` what you have.",
    ),
    ("commit-root-mismatch", "The records shown are not those that the committer signed.", NEW_PROOF),
    ("node-invalid", "A record cannot be read, or has fields that its kind cannot have.", NEW_PROOF),
    ("node-duplicate", "One record is shown twice.", NEW_PROOF),
    ("root-kind", "The evidence is neither for a shipment nor for a model.", NEW_PROOF),
    ("edge-kind", "A record names another as something that this kind of record cannot be.", NEW_PROOF),
    (
        "output-apart-from-step",
        "A data set or model was recorded apart from the step that made it, so it could have been hung on later.",
        "The exporter has to record step and outputs together, and make a new shipment.",
    ),
    ("node-missing", "A record of the ancestry was left out of the file.", NEW_PROOF),
    ("extraneous", "The file holds something that the shipment's ancestry does not need.", NEW_PROOF),
    (
        "foreign-unresolved",
        "The ancestry leads to another company's log, and its records are not in the file.",
        "The exporter has to ask that company for its evidence and make the file with it.",
    ),
    (
        "upstream-unknown",
        "The ancestry ends at something that was made from other data, and from what is not recorded.",
        "The exporter has to record what it was made from, down to data that was collected or bought in.",
    ),
    (
        "no-source",
        "There is no data set behind this model at all, so nothing was traced.",
        "The exporter has to record the data.",
    ),
    ("disclosure-mismatch", "A disclosed detail is not the one that was recorded.", NEW_PROOF),
    ("manifest-mismatch", "The list of files shown is not the one that was recorded.", NEW_PROOF),
    (
        "model-not-opened",
        "The list of the model's files is not shown, so that no file can be compared with it: nothing is said of those that you have.",
        "Ask the exporter. If the list was only left out, a new file made with `griptrace prove` shows it. If it was erased, no new file does: only one from before, or one made with `griptrace prove --update-of` that one.",
    ),
    ("subject-mismatch", "A data set is shown as assessed, and the assessor did not sign for it.", NEW_PROOF),
    ("assessment-invalid", "An assessment cannot be read.", NEW_PROOF),
    ("status-missing", "The file does not show whether anything was withdrawn.", NEW_PROOF),
    ("status-proof-mismatch", "The marks shown are not those of the log.", ASK_LOG),
    ("status-line-mismatch", "A mark is listed in the log under another record than the one that it marks.", ASK_LOG),
    (
        "history-status-dropped",
        "A mark or a change of a key that the log had when you saw it before is missing from its map.",
        ASK_LOG,
    ),
    (
        "status-unauthorised",
        "Somebody marked a record without being allowed to. The mark does not count.",
        "If that party may do so for you, give it the role in the trust file. Otherwise ask why it tried.",
    ),
    (
        "map-unwitnessed",
        "That no mark was left out is the word of the log's operator alone.",
        "Name witnesses that recompute the marks, with roles = [\"map\"] and the key that says so, in the trust file's quorum.",
    ),
    (
        "quorum-not-met",
        "Fewer of your witnesses have seen this head of the log than your trust file asks for.",
        "Ask the exporter for evidence under a head that they have cosigned.",
    ),
    (
        "time-self-declared",
        "The times are those of the log operator's own clock.",
        "Name witnesses and a quorum in the trust file: then the times are theirs.",
    ),
    (
        "stale",
        "The newest head of the log is older than your trust file allows; later marks are not seen.",
        "Ask the exporter to make the evidence again. A log in which nothing happened is as old as before then: witnesses have to \
         cosign it once more, or something has to be recorded.",
    ),
    (
        "recorded-after-shipment",
        "This was first seen in the log later after its date than the policy allows.",
        "Nothing: it stays late. Ask for the reason, and judge for yourself whether the date is to be believed.",
    ),
    (
        "date-in-future",
        "A record has a date after the time at which the log held it.",
        "The exporter has to correct the record: the wrong one is superseded.",
    ),
    ("date-undeclared", "A step does not say when it was.", "The exporter has to record the date."),
    (
        "withdrawn",
        "It was withdrawn by somebody who may do so.",
        "Nothing: a withdrawal is final. Ask for another product.",
    ),
    ("recalled", "The product was called back.", "Nothing: a recall is final. Follow the recall."),
    (
        "withdrawal-unknown",
        "An update brings a withdrawal by nobody that your trust file knows as an assessor. It does not count.",
        "If you trust that office, get its key by a way other than this file, and add it.",
    ),
    ("refused", "An assessor or authority refused this.", "Nothing: a refusal is final. Ask for another product."),
    (
        "superseded",
        "A corrected record took this one's place. Both count, and the worse decides.",
        "A shipment made from the corrected records has no such finding.",
    ),
    (
        "grade-undetermined",
        "What grade the data has is not known: not said, not in the policy's words, or by nobody trusted to say it.",
        "The data's owner has to grade it with a key that your trust file gives the role `grade`.",
    ),
    (
        "grade-unauthorised",
        "A grade was stated with a key without the role `grade`. It does not count.",
        "If you trust that party to grade, give the key the role in the trust file.",
    ),
    (
        "grade-lowered-without-record",
        "Derived data says a lower grade than what it was made from, and nobody recorded why.",
        "Somebody with the role `regrade` has to record the lowering, with reason and evidence.",
    ),
    (
        "regrade-unauthorised",
        "A grade was lowered with a key without the role `regrade`. It does not count.",
        "If you trust that party to lower grades, give the key the role in the trust file.",
    ),
    (
        "aggregate-not-regraded",
        "Many sources of low grade came together, which may deserve a higher grade. Nobody said whether it does.",
        "Somebody trusted for it has to state a grade for the sum.",
    ),
    (
        "licence-forbids",
        "The data's licence does not allow this use.",
        "The exporter needs another licence, or other data.",
    ),
    (
        "licence-unknown",
        "Nothing says whether the data's licence allows this use.",
        "The exporter has to record the licence and what it allows.",
    ),
    (
        "weak-digest",
        "The data is named by a digest that can be forged, or by none: other data could stand in its place.",
        "The exporter has to hash the data with BLAKE3 or SHA-256 and record it again.",
    ),
    (
        "word-unknown",
        "A kind of data or a purpose is said in a word that your policy does not have; it may be misspelt.",
        "The committer records it anew in the policy's words, or the policy's vocabulary gets the word.",
    ),
    (
        "now-before-evidence",
        "Your clock, or `--at`, is before the evidence was made: what happened since is not looked at.",
        "Set the clock, or leave `--at` out.",
    ),
    (
        "persons-not-examined",
        "Nobody looked for persons in this data, or nobody says so.",
        "The exporter has to have it examined, and record how and with what result.",
    ),
    (
        "country-undeclared",
        "Where the data lies or was processed is not said, so no crossing can be judged.",
        "The exporter has to record the country.",
    ),
    (
        "detail-not-disclosed",
        "The policy asks to see a detail that the file does not open.",
        "Ask the exporter to disclose it: `griptrace prove` with that field.",
    ),
    (
        "source-hidden",
        "A source shows neither its name nor its content. Its grade, country and assessment are shown, and were judged.",
        "Ask the exporter to disclose its name or content: `griptrace prove` with a wider profile.",
    ),
    (
        "assessment-missing",
        "The policy asks for an assessment here, and none covers this.",
        "The exporter has to have it assessed, record the assessment, and ship again. Where no assessment of any scheme suffices, it has to be left out.",
    ),
    (
        "assessor-untrusted",
        "The assessor's key is not in your trust file for this scheme. The assessment does not count.",
        "If you trust that office, get its key by a way other than this file, and add it with the scheme.",
    ),
    (
        "assessment-signature-invalid",
        "The assessor's signature does not verify: the assessment was changed or forged.",
        NEW_PROOF,
    ),
    (
        "assessment-only-stated",
        "That there is an assessment is the committer's word; the policy asks for the assessor's signature.",
        "The assessor has to sign with `griptrace assess sign`; or ask to see the paper and decide for yourself.",
    ),
    (
        "assessment-scheme",
        "It was assessed under a scheme that the policy does not accept here.",
        "An assessment under a scheme that the policy names here. Where no assessment of any scheme suffices, it has to be left out.",
    ),
    (
        "assessment-expired",
        "The assessment had ended on that day, by itself or by the policy.",
        "An assessment that covers the day.",
    ),
    ("assessment-not-yet-valid", "The assessment had not begun on that day.", "An assessment that covers the day."),
    (
        "assessment-purpose",
        "The assessment was made for other purposes than this one.",
        "An assessment for the purpose; or say with --purpose what you use the model for.",
    ),
    ("assessment-modality", "The assessment does not cover this kind of data.", "An assessment for it."),
    ("assessment-grade", "The assessment covers data of a lower grade only.", "An assessment up to the grade."),
    (
        "assessment-destination",
        "The assessment does not allow the data to go there.",
        "An assessment for the destination.",
    ),
    (
        "assessment-streams",
        "The assessment names streams, and the data's streams are others or are not disclosed.",
        "Ask the exporter to disclose the streams, or to have the others assessed.",
    ),
    (
        "assessment-refused",
        "The assessor looked at it and said no.",
        "Nothing, for this data: ask for another product.",
    ),
    ("assessment-withdrawn", "The assessment was withdrawn.", "A new assessment, and a new shipment under it."),
    (
        "assessment-status-unknown",
        "Your trust file says in which log this assessor's withdrawals stand, and the file does not show that log.",
        "Ask the exporter for evidence with the assessment as that log records it.",
    ),
    (
        "lapsed-since",
        "The assessment covered the data when it crossed, and has ended since.",
        "Nothing has to be done: what counts is the day of the crossing.",
    ),
    ("exempt", "The data crossed on a basis that needs no assessment, by this policy.", "Nothing has to be done."),
    (
        "exempt-unauthorised",
        "A basis that needs no assessment was claimed with a key without the role for it. It does not count.",
        "If you trust that party for it, give the key the role in the trust file.",
    ),
    (
        "shipper-unauthorised",
        "The shipment was recorded with a key without the role `ship`.",
        "If you trust that party to ship, give the key the role in the trust file.",
    ),
    (
        "no-shipment",
        "This is a pre-check of a model. Nothing was shipped yet.",
        "Evidence for a shipment: `griptrace ship`, then `griptrace prove`.",
    ),
    (
        "destination-mismatch",
        "The shipment says that it goes to another country than you say.",
        "If your destination is right, this evidence is for another shipment: ask for yours.",
    ),
    (
        "destination-not-checked",
        "You did not say where the product goes.",
        "Give --destination, or `expect` in the trust file.",
    ),
    (
        "consignee-mismatch",
        "The shipment says that it goes to somebody else than you say.",
        "If your name is right, this evidence is for another shipment: ask for yours.",
    ),
    (
        "consignee-not-disclosed",
        "You asked for a consignee, and the file does not say whom the shipment goes to.",
        "Ask the exporter to disclose the consignee.",
    ),
    (
        "purpose-mismatch",
        "You use the model for something that its shipment does not name.",
        "If your purpose is right, this evidence is for another use: ask the exporter for one that names yours.",
    ),
    (
        "model-mismatch",
        "The files that you have are not those that this evidence is of.",
        "Take the files off the product again. If they stay others, the product does not run what this evidence is of.",
    ),
    ("model-partly-checked", "You compared less than the whole model.", "Give the whole folder with --model."),
    (
        "model-not-checked",
        "No file of yours was compared: the evidence may be for another product.",
        "Give --model or --digest.",
    ),
];
