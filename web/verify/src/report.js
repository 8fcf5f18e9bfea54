// The report as a page: what the program says in words, in the same order.
import { asked } from "./asked.js";
import { all, day, el, marked, others, own, short } from "./dom.js";
import { rows } from "./rows.js";
import { heading, known, maybe, meaning, pieces, t } from "./words.js";

/** Findings of one code that are shown before somebody asks for all. */
const LISTED = 10;
/** Rows of a table that are shown before somebody asks for more. */
const ROWS = 200;
const SEVERITIES = ["error", "warning", "note"];
const UNKNOWN_KEY = ["log-untrusted", "committer-untrusted"];

/** Returns the sections of a report, but for the graph; `question` is what it answers, as the verifier took it. */
export function sections(report, question) {
  const names = nameOf(report);
  return {
    before: [verdict(report, question), findings(report, names)],
    after: [sources(report), crossings(report, names), details(report, names), restsOn(report), doesNotShow(report)],
  };
}

/**
 * Returns what stands in a report's place where nothing could be checked: in the reader's words what it is about and what
 * is wrong, as far as there are words, and then the program's.
 */
export function couldNot({ text, hint, of, why }) {
  const what = maybe(of);
  const means = maybe(`why-${why}-${of}`) ?? maybe(`why-${why}`) ?? meaning(why)?.means;
  return section(
    "could-not",
    { class: "verdict bad", role: "alert", tabindex: "-1" },
    el("p", { class: "said" }, what ? what + t("colon") : "", means ?? own(text)),
    means && text ? el("p", { class: "aside" }, t("detail"), t("colon"), own(text)) : "",
    hint ? el("p", { class: "aside" }, t("hint"), t("colon"), own(hint)) : "",
    el("p", {}, t("could-not-means")),
  );
}

function section(key, attributes, ...children) {
  return el("section", { "aria-labelledby": `h-${key}`, ...attributes }, heading(2, key), ...children);
}

/** Names of nodes, where they are disclosed. */
function nameOf(report) {
  const names = new Map(report.details.filter(({ name }) => name === "name").map(({ node, value }) => [node, value]));
  return (id) => [short(id), names.has(id) ? [" ", others(names.get(id), 120)] : ""].flat();
}

// --- The verdict ---

/** A key of the words, or what stands in its place where nothing was shipped yet. */
const shipped = (report, key) => (report.findings.some(({ code }) => code === "no-shipment") ? `${key}-pre` : key);

const isKeyUnknown = ({ findings: list }) => list.some(({ code }) => UNKNOWN_KEY.includes(code));

function verdict(report, question) {
  const unknown = isKeyUnknown(report);
  return section(
    "result",
    { class: `verdict ${report.policy_met ? "good" : "bad"}`, tabindex: "-1" },
    el("p", { class: "word" }, el("span", { class: "sign", "aria-hidden": "true" }, report.policy_met ? "✓" : "✗"),
      " ", el("code", { id: "verdict" }, report.verdict)),
    el("p", { class: "met" }, t(report.policy_met ? "met" : "not-met")),
    el("p", {}, unknown ? t("not-judged") : t(`verdict-${report.verdict}`)),
    asked(question, report),
    el("h3", {}, t("found-title")),
    el("dl", {}, facts(report, question).map(([name, ...text]) => el("div", {}, el("dt", {}, t(name)), el("dd", {}, text)))),
    el("p", { class: "aside" }, t("of-others")),
  );
}

function facts(report, question) {
  const { shipment } = report;
  const consignee = shipment?.consignee === undefined ? t("not-disclosed") : others(shipment.consignee, 200);
  const where = { date: shipment?.date ?? "?", destination: shipment?.destination ?? "?", consignee };
  return [
    [shipped(report, "at-shipment"), ...judgement(report.at_shipment)],
    ["at-now", ...judgement(report.now)],
    ["model", ...model(report, question)],
    ["shipment", ...(shipment ? pieces("shipment-text", where) : [t(shipped(report, "no-shipment"))])],
    ...(report.findings.some(({ code }) => code === "log-untrusted") ? [["log", t("log-unknown")]] : []),
    ...report.logs.map((log) => ["log", ...logText(log)]),
    ...report.history.map(({ origin, from_size: from, to_size: to }) =>
      ["history", ...pieces(from === to ? "history-same" : "history-text", { origin: others(origin), from, to })]),
    ...report.updated_with.map((digest) => ["updated-with", el("code", {}, digest)]),
    ["bundle-digest", ...pieces("bundle-text", {
      name: others(report.file, 200), digest: el("code", {}, report.bundle_digest), count: report.nodes })],
  ];
}

const whose = (from) => t(`from-${from}`);

const judgement = ({ verdict: word, time, time_from: from }) =>
  pieces(time ? "time-at" : "time-at-unknown", { verdict: el("code", {}, word), time, whose: whose(from) });

/** What came of the comparison. A digest that was typed is nothing that the reader has. */
function model(report, question) {
  const { model: found, findings: list } = report;
  const has = (wanted) => list.some(({ code }) => code === wanted);
  const partly = has("model-partly-checked");
  const outcome = { true: partly ? "partly" : "same", false: "other" }[found.matched];
  const same = outcome ? shipped(report, `${question.model?.digest ? "typed" : "model"}-${outcome}`) : "model-none";
  const names = found.names.map((name) => [others(name, 120), t("comma")]).flat();
  const digest = found.digest ? el("code", {}, found.digest) : t("not-disclosed");
  const files = has("model-not-opened") ? [t("model-files-hidden")] : pieces("model-files", { count: found.files, digest });
  return [...names, t(same), t("semicolon"), ...files];
}

function logText(log) {
  const list = (names) => (names.length ? el("span", {}, all(names, 120)) : t("no-witness"));
  const asOf = log.as_of && log.as_of !== log.time ? t("as-of", { time: log.as_of }) : "";
  return pieces("log-text", {
    as_of: asOf,
    origin: others(log.origin), size: log.size, time: log.time ?? t("time-unknown"), whose: whose(log.time_from),
    cosigned: list(log.cosigned_by), maps: list(log.map_by) });
}

// --- The findings ---

function findings(report, names) {
  const groups = Map.groupBy ? Map.groupBy(report.findings, ({ code }) => code) : grouped(report.findings);
  const count = (severity) => report.findings.filter((finding) => finding.severity === severity).length;
  const [errors, warnings, notes] = SEVERITIES.map(count);
  return section(
    "findings",
    {},
    el("p", {}, report.findings.length ? t("findings-count", { errors, warnings, notes }) : t("no-findings")),
    el("ul", { class: "findings" }, [...groups.values()].map((group) => finding(group, names, report))),
  );
}

function grouped(list) {
  const groups = new Map();
  for (const one of list) groups.set(one.code, [...(groups.get(one.code) ?? []), one]);
  return groups;
}

function finding(group, names, report) {
  const [{ code, severity, step }] = group;
  const { means, clear } = meaning(code) ?? { means: code, clear: "" };
  const item = (one) =>
    el("li", {}, el("span", { class: "when" }, t(one.when === "at-shipment" ? shipped(report, "when-at-shipment") : `when-${one.when}`)), " ",
      one.node ? [...names(one.node), t("colon")] : "", own(one.text, 4000));
  return el(
    "li",
    { class: `finding ${severity}`, "data-code": code },
    el("h3", {}, el("span", { class: "badge" }, t(`severity-${severity}`)), " ", marked(means)),
    el("p", {}, el("strong", {}, t("clear"), t("colon")), marked(clear)),
    el("p", { class: "aside" }, el("code", { class: "code" }, code), ` · ${t("step", { step })} · `, t("detail"), t("colon")),
    el("ul", { class: "texts" }, rows(group, LISTED, item)),
  );
}

// --- Tables ---

/**
 * A table. In a narrow window each row is a list, with the column's head before each cell (style.css), and the roles say
 * that it is a table still; what is too wide all the same scrolls by itself, for the keyboard too.
 */
export function table(key, heads, list, row, limit = ROWS) {
  const cell = (text, place) => {
    const role = place ? { role: "cell" } : { role: "rowheader", scope: "row" };
    return el(place ? "td" : "th", { ...role, "data-head": t(heads[place]) }, el("span", {}, text));
  };
  const cells = (one) => el("tr", { role: "row" }, row(one).map(cell));
  const wrap = (...button) => el("tr", { role: "row" }, el("td", { role: "cell", colspan: heads.length }, button));
  return el(
    "div",
    { class: "wide", tabindex: "0", role: "region", "aria-labelledby": `h-${key}` },
    el("table", { role: "table" },
      el("thead", { role: "rowgroup" }, el("tr", { role: "row" }, heads.map((head) => el("th", { role: "columnheader", scope: "col" }, t(head))))),
      el("tbody", { role: "rowgroup" }, rows(list, limit, cells, wrap))),
  );
}

/** What stands in the place of an empty table: where nothing was judged, none is not what is there. */
const none = ({ nodes }) => el("p", {}, t(nodes ? "no-sources" : "not-judged-here"));

function sources(report) {
  const { sources: list, verdict: whole } = report;
  if (list.length === 0) return section("sources", {}, none(report));
  const heads = ["source", "modality", "origin", "grade", "country", "covered-by", shipped(report, "at-shipment"), "at-now", "recorded-by"];
  const isOfOne = whole === "TRACED_ASSESSED" || list.some((source) => [source.at_shipment, source.now].includes(whole));
  const remark = isOfOne ? "" : el("p", {}, t("not-of-a-source", { verdict: whole }));
  return section("sources", {}, remark, table("sources", heads, list, (source) => [
    [short(source.id), " ", source.hidden ? el("em", {}, t("hidden")) : others(source.name ?? "", 120)],
    all(source.modality, 64),
    known("origin-", source.origin),
    known("grade-word-", source.effective_grade),
    source.country ?? "?",
    covered(source),
    word(source.at_shipment),
    word(source.now),
    [others(source.party, 120), " ", el("small", {}, others(source.log, 200))],
  ]));
}

/** A verdict's word, which may be broken between its parts. */
const word = (verdict) => el("code", {}, verdict.split(/(?<=_)/).flatMap((part) => [part, el("wbr")]));

function covered({ assessment, in_scope: asked }) {
  if (!assessment) return t(asked ? "uncovered" : "not-in-scope");
  return pieces(assessment.strength === "signed" ? "signed-by" : "stated-by", {
    scheme: others(assessment.scheme, 64), issuer: assessment.issuer ? others(assessment.issuer, 120) : t("nobody"),
    from: assessment.valid_from, to: assessment.valid_to ?? t("no-end") });
}

function crossings(report, names) {
  const { crossings: list } = report;
  if (list.length === 0) return section("crossings", {}, none(report));
  const heads = ["date", "from", "to", "what-crossed", "by-step", "basis", "asked", "covered", "recorded-by"];
  return section("crossings", {}, table("crossings", heads, list, (one) => [
    day(one.date), one.from ?? "?", one.to ?? "?", names(one.node), names(one.by),
    one.basis ? others(one.basis, 64) : "–", one.required, one.covered, others(one.party, 120)]));
}

function details({ details: list }, names) {
  if (list.length === 0) return "";
  const head = el("summary", { id: "h-details" }, t("details", { count: list.length }));
  const row = ({ node, name, value }) => [names(node), own(name, 64), others(value, 1000)];
  return el("details", {}, head, table("details", ["record", "name", "value"], list, row));
}

// --- What it rests on, and what it does not show ---

function restsOn(report) {
  const key = ({ role, party, key: id }) =>
    el("li", {}, pieces("rests-key", { role: known("role-name-", role), party: others(party, 200), key: el("code", {}, id) }));
  return section("rests-on", {}, el("ul", {},
    el("li", {}, t("rests-own")), el("li", {}, t("rests-page")), report.keys.map(key),
    el("li", {}, t(shipped(report, "at-shipment")), t("colon"), whose(report.at_shipment.time_from)),
    el("li", {}, t("at-now"), t("colon"), whose(report.now.time_from))));
}

function doesNotShow(report) {
  const found = (code) => report.findings.some((finding) => finding.code === code);
  const broken = report.verdict === "BROKEN";
  const items = broken ? [isKeyUnknown(report) ? "unjudged" : "anything"] : [
    "true", "all", "other",
    found("map-unwitnessed") && "map",
    found("time-self-declared") && "times",
    (report.model.matched !== true || found("model-partly-checked")) && "whole",
    report.policy.status === "reference" ? "law-reference" : "law-binding",
  ];
  return section("does-not-show", {},
    el("ul", {}, items.filter(Boolean).map((item) => el("li", {}, t(`shows-not-${item}`)))));
}
