//! Reports in words: the verdict first, then what it is made of, then what it does not show.

use alloc::{
    collections::BTreeMap,
    format,
    string::{String, ToString},
    vec::Vec,
};

use griptrace_core::{
    date::Date,
    id::NodeId,
    word::{Country, Word},
};

use super::{
    json::strength,
    meaning::meaning,
    safe::{iso, plain, quoted, short, wrapped},
    table,
};
use crate::{
    finding::{Code, Finding, Severity, Verdict, When},
    report::{AssessmentReport, CrossingReport, Cut, Judgement, LogReport, Report, SourceReport, Strength, TimeFrom},
};

/// Columns of running text.
const COLUMNS: usize = 100;
/// Characters of a name in a table.
const NAME_MAX: usize = 40;
/// Characters of a finding's text or a detail's value.
const TEXT_MAX: usize = 600;
/// Places that are listed of findings of one kind.
const PLACES_MAX: usize = 10;
/// Details that are listed.
const DETAILS_MAX: usize = 400;

/// Returns a report in words. `explain` adds what each kind of finding means and the opened details.
pub fn words(report: &Report, explain: bool) -> String {
    let mut page = Page::default();
    let names = names(report);
    head(&mut page, report);
    sources(&mut page, report);
    crossings(&mut page, report, &names);
    vouched(&mut page, report);
    findings(&mut page, report, explain, &names);
    if explain {
        details(&mut page, report, &names);
    }
    rests_on(&mut page, report);
    does_not_show(&mut page, report);
    page.0
}

/// Returns a report in one line: the verdict, whether the policy is met, the file, the worst findings.
pub fn line(report: &Report, file: &str) -> String {
    let met = if report.policy_met { "met" } else { "not met" };
    let mut codes: Vec<&str> = Vec::new();
    for finding in report.findings.iter().filter(|finding| finding.severity > Severity::Note) {
        if !codes.contains(&finding.code.as_str()) {
            codes.push(finding.code.as_str());
        }
    }
    let more = codes.len().saturating_sub(3);
    codes.truncate(3);
    let more = if more == 0 { String::new() } else { format!(" and {more} more") };
    let text = format!("{:27} {met:7}  {}  {}{more}", report.verdict.as_str(), plain(file, TEXT_MAX), codes.join(", "));
    text.trim_end().into()
}

/// Returns the findings in lines, the heaviest first and each cause once: of how many records it is said, of which, and of
/// which times.
pub fn causes(report: &Report) -> Vec<String> {
    causes_where(report, |_| true)
}

/// Returns the findings that are errors under the policy, in lines as [`causes`] does.
pub fn errors(report: &Report) -> Vec<String> {
    causes_where(report, |finding| finding.severity == Severity::Error)
}

fn causes_where(report: &Report, is_wanted: impl Fn(&Finding) -> bool) -> Vec<String> {
    let names = names(report);
    let mut lines = Vec::new();
    for group in grouped(&report.findings) {
        let group: Vec<&Finding> = group.into_iter().filter(|finding| is_wanted(finding)).collect();
        let Some(first) = group.first() else { continue };
        let mut places: Vec<(String, Vec<&str>)> = Vec::new();
        for finding in &group {
            let place = place_alone(finding, &names);
            let when: Vec<&str> = time(report, finding.when).into_iter().collect();
            match places.iter_mut().find(|(known, _)| *known == place) {
                Some((_, times)) => times.extend(when),
                None => places.push((place, when)),
            }
        }
        let kind = format!("{} ({})", first.code, first.severity);
        let place = |(place, times): &(String, Vec<&str>)| {
            if times.is_empty() { place.clone() } else { format!("{place} [{}]", times.join(" and ")) }
        };
        if let [one] = places.as_slice() {
            lines.push(format!("{kind}: {}", place(one)));
            continue;
        }
        lines.push(format!("{kind}, {} times:", places.len()));
        lines.extend(places.iter().take(PLACES_MAX).map(|one| format!("  {}", place(one))));
        let more = places.len().saturating_sub(PLACES_MAX);
        lines.extend((more > 0).then(|| format!("  and {more} more")));
    }
    lines
}

/// Lines of a report, each ending with a newline.
#[derive(Default)]
struct Page(String);

impl Page {
    fn line(&mut self, text: &str) {
        self.0.push_str(text.trim_end());
        self.0.push('\n');
    }

    fn section(&mut self, title: &str) {
        self.line("");
        self.line(title);
    }

    /// Adds text, broken into lines: the first begins with `first`, the others are indented as far.
    fn text(&mut self, first: &str, text: &str) {
        let indent = first.chars().count();
        for (number, part) in wrapped(text, COLUMNS.saturating_sub(indent)).iter().enumerate() {
            let start = if number == 0 { first.into() } else { " ".repeat(indent) };
            self.line(&format!("{start}{part}"));
        }
    }

    fn field(&mut self, name: &str, text: &str) {
        self.text(&format!("  {name:13}"), text);
    }

    fn table(&mut self, head: &[&str], rows: &[Vec<String>]) {
        table::lines(head, rows).iter().for_each(|line| self.line(&format!("  {line}")));
    }

    fn item(&mut self, text: &str) {
        self.text("  - ", text);
    }
}

/// Names of nodes, where the bundle opens them.
type Names = BTreeMap<NodeId, String>;

fn names(report: &Report) -> Names {
    let details = report.details.iter().filter(|detail| detail.name == "name");
    let opened = details.map(|detail| (detail.node, detail.value.as_str()));
    let sources = report.sources.iter().filter_map(|source| Some((source.id, source.name.as_deref()?)));
    opened.chain(sources).map(|(node, name)| (node, quoted(name, NAME_MAX))).collect()
}

fn named(node: &NodeId, names: &Names) -> String {
    names.get(node).map_or_else(|| short(node), |name| format!("{} {name}", short(node)))
}

fn count(number: u64, one: &str, many: &str) -> String {
    format!("{number} {}", if number == 1 { one } else { many })
}

fn wide(number: usize) -> u64 {
    u64::try_from(number).unwrap_or(u64::MAX)
}

// --- The head ---

/// Says what a verdict means, in one sentence.
const fn sentence(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::TracedAssessed => "Every source is recorded and covered by a signed assessment.",
        Verdict::TracedStated => "Every source is recorded and covered; one at least only by the committer's word.",
        Verdict::TracedExempt => "Every source is recorded; one at least crosses on a basis that needs no assessment.",
        Verdict::TracedUnassessed => "Every source is recorded; one at least is covered by no assessment.",
        Verdict::Stale => "The evidence is older than you allow.",
        Verdict::GradeUndetermined => "A source's grade is not known.",
        Verdict::UpstreamUnknown => "The ancestry ends where no source is recorded, or something needed is not known.",
        Verdict::OutsideAssessmentScope => {
            "An assessment does not reach the purpose, the kind of data, the grade or the destination."
        }
        Verdict::ExpiredAtShipment => "An assessment was not valid on the day.",
        Verdict::RecordedAfterShipment => "Ancestry was recorded later than the policy allows.",
        Verdict::GradeLoweredWithoutRecord => "A grade fell without a record by somebody trusted for it.",
        Verdict::LicenceForbids => "A licence forbids this use.",
        Verdict::Withdrawn => "Something was withdrawn, recalled or refused.",
        Verdict::Mismatch => "What you have, or who and where you are, is not what this evidence is for.",
        Verdict::Broken => "The evidence does not hold together: rely on nothing in it.",
    }
}

fn head(page: &mut Page, report: &Report) {
    let met = if report.policy_met { "the policy is met" } else { "the policy is NOT met" };
    page.line(&format!("{}: {met}", report.verdict));
    let unknown_key = report.findings.iter().any(|f| matches!(f.code, Code::LogUntrusted | Code::CommitterUntrusted));
    if unknown_key {
        page.text("  ", "Nothing was judged: your trust file does not have a key that the evidence rests on.");
    } else {
        page.text("  ", sentence(report.verdict));
    }
    if !report.policy_met {
        page.text("  ", &format!("Errors found: {}.", error_kinds(report)));
    }
    page.line("");
    page.field(if is_pre_check(report) { "recorded" } else { "at shipment" }, &judgement(&report.at_shipment));
    page.field("now", &judgement(&report.now));
    let policy = &report.policy;
    let (id, version) = (plain(&policy.id, NAME_MAX), plain(&policy.version, NAME_MAX));
    let standing =
        if policy.status == "reference" { "a reference, not law" } else { "held to be binding by its author" };
    page.field("policy", &format!("{id} {version}: {standing}"));
    page.field("model", &model(report));
    page.field("shipment", &shipment(report));
    for log in &report.logs {
        page.field("log", &log_line(log));
    }
    for growth in &report.history {
        let (origin, from, to) = (plain(&growth.origin, TEXT_MAX), growth.from_size, growth.to_size);
        page.field("history", &growth_text(&origin, from, to));
    }
    for digest in &report.updated_with {
        page.field("updated with", &digest.to_string());
    }
    page.field(
        "bundle",
        &format!("{}, {}", report.bundle_digest, count(report.nodes, "record checked", "records checked")),
    );
}

/// Says how much a log grew, if it did.
fn growth_text(origin: &str, from: u64, to: u64) -> String {
    if from == to {
        return format!("{origin} has size {to}, as in what you compared it with");
    }
    format!("{origin} grew from size {from} to size {to} since what you compared it with")
}

/// Tells whether the evidence is of a model that has not shipped.
const fn is_pre_check(report: &Report) -> bool {
    report.shipment.is_none() && report.nodes > 0
}

/// Says when the first of the two judgements is.
const fn at_shipment(report: &Report) -> &'static str {
    if is_pre_check(report) { "when recorded" } else { "at shipment" }
}

/// Lists the kinds of findings that are errors under the policy.
fn error_kinds(report: &Report) -> String {
    let errors = grouped(&report.findings).into_iter().filter_map(|group| {
        let first = group.first().filter(|finding| finding.severity == Severity::Error)?;
        Some(if group.len() > 1 { format!("{} ({} times)", first.code, group.len()) } else { first.code.to_string() })
    });
    errors.collect::<Vec<_>>().join(", ")
}

fn judgement(judgement: &Judgement) -> String {
    let time = judgement.time.map_or_else(|| "time unknown".into(), iso);
    format!("{} at {time} ({})", judgement.verdict, whose(judgement.time_from))
}

const fn whose(time: TimeFrom) -> &'static str {
    match time {
        TimeFrom::Witnesses => "by the witnesses' clocks",
        TimeFrom::Operator => "by the log operator's own clock",
        TimeFrom::Buyer => "by your clock, or as you asked",
        TimeFrom::Nothing => "nothing in the evidence says when",
    }
}

fn model(report: &Report) -> String {
    let model = &report.model;
    let found = |code| report.findings.iter().any(|finding| finding.code == code);
    let partly = found(Code::ModelPartlyChecked);
    let matched = match (model.matched, is_pre_check(report)) {
        (Some(true), false) if partly => "what you have is one of the files that shipped; the others were NOT compared",
        (Some(true), false) => "what you have is what shipped",
        (Some(false), false) => "what you have is NOT what shipped",
        (Some(true), true) if partly => "what you have is one of the files of this model; the others were NOT compared",
        (Some(true), true) => "what you have is the model of this pre-check",
        (Some(false), true) => "what you have is NOT the model of this pre-check",
        (None, _) => "nothing of yours was compared",
    };
    let names: Vec<String> = model.names.iter().map(|name| quoted(name, NAME_MAX)).collect();
    let names = if names.is_empty() { "name not disclosed".into() } else { names.join(", ") };
    let digest = model.digest.map(|digest| format!(", digest {digest}")).unwrap_or_default();
    let files =
        if found(Code::ModelNotOpened) { "files not shown".into() } else { count(model.files, "file", "files") };
    format!("{names}, {files}: {matched}{digest}")
}

fn shipment(report: &Report) -> String {
    let Some(shipment) = &report.shipment else {
        let why = if is_pre_check(report) { "none yet: this is a pre-check of a model" } else { "none is shown" };
        return why.into();
    };
    let date = shipment.date.map_or_else(|| "no date".into(), |date| date.to_string());
    let to = shipment.destination.map_or_else(|| "nowhere stated".into(), |to| to.to_string());
    let consignee = shipment.consignee.as_ref().map_or_else(|| "not disclosed".into(), |name| quoted(name, TEXT_MAX));
    format!("{date} to {to}, consignee {consignee}")
}

fn log_line(log: &LogReport) -> String {
    let time = log.time.map_or_else(|| "time unknown".into(), iso);
    let names = |names: &[String]| {
        let names: Vec<String> = names.iter().map(|name| plain(name, NAME_MAX)).collect();
        if names.is_empty() { "no witness of yours".into() } else { names.join(", ") }
    };
    let cosigned = format!("cosigned by {}; status map recomputed by {}", names(&log.cosigned_by), names(&log.map_by));
    let size = count(log.size, "entry", "entries");
    let as_of = log.as_of.filter(|as_of| log.time != Some(*as_of));
    let as_of = as_of.map_or_else(String::new, |as_of| format!(", current as of {}", iso(as_of)));
    let origin = plain(&log.origin, TEXT_MAX);
    format!("{origin}, {size}, newest head at {time}{as_of} ({}), {cosigned}", whose(log.time_from))
}

// --- The tables ---

fn sources(page: &mut Page, report: &Report) {
    page.section(&format!("SOURCES ({})", report.sources.len()));
    if report.sources.is_empty() {
        page.line("  none shown");
        return;
    }
    let mut sorted: Vec<&SourceReport> = report.sources.iter().collect();
    sorted.sort_by_key(|source| core::cmp::Reverse(source.at_shipment.max(source.now)));
    let same = sorted.iter().all(|source| source.at_shipment == source.now);
    let mut head = Vec::from(["id", "name", "modality", "grade", "country", "covered by"]);
    let first = at_shipment(report);
    let both = format!("{first} and now");
    if same {
        head.push(both.as_str());
    } else {
        head.extend([first, "now"]);
    }
    let mut covers: BTreeMap<String, usize> = BTreeMap::new();
    let rows: Vec<Vec<String>> = sorted.iter().map(|source| source_row(source, same, &mut covers)).collect();
    page.table(&head, &rows);
    let mut covers: Vec<(usize, String)> = covers.into_iter().map(|(cover, number)| (number, cover)).collect();
    covers.sort_unstable();
    for (number, cover) in &covers {
        page.text(&format!("  [{number}] "), cover);
    }
    if sorted.first().is_some_and(|worst| worst.at_shipment.max(worst.now) < report.verdict) {
        page.line(&format!("  {} is not of a source: FINDINGS say what of", report.verdict));
    }
    remark(page, &sorted, "Never left its site, known by digest only", |source| source.held == "origin-only");
    remark(page, &sorted, "Destroyed since, known by digest only", |source| source.held == "destroyed");
    remark(page, &sorted, "Outside what the policy is about", |source| !source.in_scope);
    let raised =
        |source: &SourceReport| source.grade.as_ref().is_some_and(|grade| grade.as_str() != source.effective_grade);
    remark(page, &sorted, "Graded otherwise than first stated; the table has what counts", raised);
}

fn source_row(source: &SourceReport, same: bool, covers: &mut BTreeMap<String, usize>) -> Vec<String> {
    let words: Vec<&str> = source.modality.iter().map(Word::as_str).collect();
    let modality = if words.is_empty() { "not stated".into() } else { plain(&words.join(","), NAME_MAX) };
    let cover = source.assessment.as_ref().map(|found| assessment(found, source));
    let unnamed = if source.hidden { "(hidden source)" } else { "not disclosed" };
    let mut row = Vec::from([
        short(&source.id),
        source.name.as_ref().map_or_else(|| unnamed.into(), |name| quoted(name, NAME_MAX)),
        modality,
        plain(&source.effective_grade, NAME_MAX),
        source.country.map_or_else(|| "not stated".into(), |country| country.to_string()),
        cover.map_or_else(|| "nothing".into(), |cover| label(cover, covers)),
        source.at_shipment.to_string(),
    ]);
    if !same {
        row.push(source.now.to_string());
    }
    row
}

/// Returns the number under which what covers a source is told below the table.
fn label(cover: String, covers: &mut BTreeMap<String, usize>) -> String {
    let next = covers.len().saturating_add(1);
    format!("[{}]", covers.entry(cover).or_insert(next))
}

fn assessment(found: &AssessmentReport, source: &SourceReport) -> String {
    let via = if found.subject == source.id { String::new() } else { format!(" of {}", short(&found.subject)) };
    let issuer = match (found.strength, &found.issuer) {
        (Strength::Signed, Some(name)) => format!(" by {}", plain(name, NAME_MAX)),
        (Strength::Stated, Some(name)) => format!(" by the committer, naming {}", quoted(name, NAME_MAX)),
        (Strength::Signed, None) => String::new(),
        (Strength::Stated, None) => " by the committer".into(),
    };
    let day = |day: Option<Date>| day.map_or_else(|| "no end".into(), |day| day.to_string());
    let cut = |cut: Cut| format!(", but only to {}{}", day(found.valid_to), cut.words());
    let (cut, end) = (found.cut.map_or_else(String::new, cut), day(found.stated_to));
    let scheme = plain(found.scheme.as_str(), NAME_MAX);
    format!("{scheme}{via}, {}{issuer}, valid {} to {end}{cut}", strength(found.strength), found.valid_from)
}

/// Adds a line on those sources for which something holds.
fn remark(page: &mut Page, sources: &[&SourceReport], text: &str, holds: impl Fn(&SourceReport) -> bool) {
    let ids: Vec<String> = sources.iter().filter(|source| holds(source)).map(|source| short(&source.id)).collect();
    let more = ids.len().saturating_sub(PLACES_MAX);
    if ids.is_empty() {
        return;
    }
    let more = if more == 0 { String::new() } else { format!(" and {more} more") };
    let shown: Vec<String> = ids.into_iter().take(PLACES_MAX).collect();
    page.text("  ", &format!("{text}: {}{more}", shown.join(", ")));
}

fn crossings(page: &mut Page, report: &Report, names: &Names) {
    page.section(&format!("CROSSINGS ({})", report.crossings.len()));
    if report.crossings.is_empty() {
        page.line("  none recorded");
        return;
    }
    let head = ["date", "from", "to", "what crossed", "by", "basis", "sources", "covered"];
    let row = |crossing: &CrossingReport| -> Vec<String> {
        let country = |country: Option<Country>| country.map_or_else(|| "?".into(), |c| c.to_string());
        let own = crossing.name.as_ref().map(|name| format!("{} {}", short(&crossing.node), quoted(name, NAME_MAX)));
        [
            crossing.date.map_or_else(|| "not stated".into(), |date| date.to_string()),
            country(crossing.from),
            country(crossing.to),
            own.unwrap_or_else(|| named(&crossing.node, names)),
            named(&crossing.by, names),
            crossing.basis.as_ref().map_or_else(|| "-".into(), |basis| plain(basis.as_str(), NAME_MAX)),
            crossing.required.to_string(),
            crossing.covered.to_string(),
        ]
        .into()
    };
    let rows: Vec<Vec<String>> = report.crossings.iter().map(row).collect();
    page.table(&head, &rows);
}

/// Says who vouches for which part, where there is more than one who does.
fn vouched(page: &mut Page, report: &Report) {
    if report.logs.iter().map(|log| log.parties.len()).sum::<usize>() < 2 {
        return;
    }
    page.section("WHO VOUCHES FOR WHAT");
    for log in &report.logs {
        page.line(&format!("  {}", plain(&log.origin, TEXT_MAX)));
        for party in &log.parties {
            let kinds: Vec<String> = party.kinds.iter().map(|(kind, count)| format!("{count} {kind}")).collect();
            let records = count(party.nodes, "record", "records");
            let name = plain(&party.name, NAME_MAX);
            page.text("    ", &format!("{name} vouches for {records}: {}", kinds.join(", ")));
            let of = |source: &SourceReport| source.log == log.origin && source.party == party.name;
            let sources: Vec<&SourceReport> = report.sources.iter().collect();
            remark(page, &sources, "    sources", of);
        }
    }
}

// --- The findings ---

fn findings(page: &mut Page, report: &Report, explain: bool, names: &Names) {
    let of = |severity| wide(report.findings.iter().filter(|finding| finding.severity == severity).count());
    let counts = [
        count(of(Severity::Error), "error", "errors"),
        count(of(Severity::Warning), "warning", "warnings"),
        count(of(Severity::Note), "note", "notes"),
    ];
    page.section(&format!("FINDINGS: {}", counts.join(", ")));
    for group in grouped(&report.findings) {
        let Some(first) = group.first() else { continue };
        page.line(&format!("  {:7}  {}", first.severity.as_str(), first.code));
        for finding in group.iter().take(PLACES_MAX) {
            page.text("             ", &place(report, finding, names));
        }
        let more = group.len().saturating_sub(PLACES_MAX);
        if more > 0 {
            page.line(&format!("             and {more} more, all of them with --json"));
        }
        if let Some(meaning) = meaning(first.code).filter(|_| explain) {
            page.text("           It means: ", meaning.means);
            page.text("           To clear: ", meaning.clear);
        }
    }
    if !explain && !report.findings.is_empty() {
        page.line("  (--explain says what each means, and what would clear it)");
    }
}

/// Puts findings of one kind and weight together: the heaviest first, otherwise in their order.
fn grouped(findings: &[Finding]) -> Vec<Vec<&Finding>> {
    let mut places: BTreeMap<(Severity, Code), usize> = BTreeMap::new();
    let mut groups: Vec<Vec<&Finding>> = Vec::new();
    for finding in findings {
        let place = *places.entry((finding.severity, finding.code)).or_insert(groups.len());
        match groups.get_mut(place) {
            Some(group) => group.push(finding),
            None => groups.push([finding].into()),
        }
    }
    groups.sort_by_key(|group| group.first().map(|finding| core::cmp::Reverse(finding.severity)));
    groups
}

fn place(report: &Report, finding: &Finding, names: &Names) -> String {
    let when = time(report, finding.when).map_or_else(String::new, |when| format!(" [{when}]"));
    format!("{}{when}", place_alone(finding, names))
}

/// Returns what was found, and of which record.
fn place_alone(finding: &Finding, names: &Names) -> String {
    let node = finding.node.map(|node| format!("{}: ", named(&node, names))).unwrap_or_default();
    format!("{node}{}", plain(&finding.text, TEXT_MAX))
}

const fn time(report: &Report, when: When) -> Option<&'static str> {
    match when {
        When::Always => None,
        When::AtShipment => Some(at_shipment(report)),
        When::Now => Some("now"),
    }
}

fn details(page: &mut Page, report: &Report, names: &Names) {
    page.section(&format!("DISCLOSED DETAILS ({}): what the committer states", report.details.len()));
    for detail in report.details.iter().take(DETAILS_MAX) {
        let (name, value) = (plain(&detail.name, NAME_MAX), plain(&detail.value, TEXT_MAX));
        page.text("  ", &format!("{}: {name} = {value}", named(&detail.node, names)));
    }
    let more = report.details.len().saturating_sub(DETAILS_MAX);
    if more > 0 {
        page.line(&format!("  and {more} more, all of them with --json"));
    }
}

// --- What it rests on, and what it does not show ---

fn rests_on(page: &mut Page, report: &Report) {
    page.section("WHAT THIS RESTS ON");
    page.item("Your trust file and your policy; nothing of either was read from the bundle.");
    for key in &report.keys {
        let (role, party) = (plain(&key.role, NAME_MAX), plain(&key.party, NAME_MAX));
        page.item(&format!("The key of {role} {party}: {}", key.key));
    }
    let when = if is_pre_check(report) { "The time when it was recorded" } else { "The time at shipment" };
    page.item(&format!("{when}: {}.", whose(report.at_shipment.time_from)));
    page.item(&format!("The time now: {}.", whose(report.now.time_from)));
}

fn does_not_show(page: &mut Page, report: &Report) {
    page.section("WHAT THIS DOES NOT SHOW");
    if report.verdict == Verdict::Broken {
        page.item("Anything: the evidence does not hold together, whatever of it is listed above.");
        return;
    }
    page.item("That a statement is true. It shows who made which statement, and that it was not changed since.");
    page.item("That all data that was used was recorded. It shows that nothing was left out of what was recorded.");
    page.item("That the same bytes have no other record, here or elsewhere.");
    let found = |code| report.findings.iter().any(|finding| finding.code == code);
    if found(Code::MapUnwitnessed) {
        page.item("That the list of withdrawals and other marks is whole: that is the log operator's claim alone.");
    }
    if found(Code::TimeSelfDeclared) {
        page.item("That the times are right: they are the log operator's own.");
    }
    if report.model.matched != Some(true) || found(Code::ModelPartlyChecked) {
        page.item("That this evidence is for the whole product that you have.");
    }
    if report.policy.status == "reference" {
        page.item("That any law is met: the policy is a reference, and not law.");
    } else {
        page.item("That any law is met: a policy is what its author makes of the law.");
    }
}
