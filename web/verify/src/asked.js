// What was asked: a verdict says nothing without its question, on paper least of all.
import { bytes, day, el, others, own } from "./dom.js";
import { rows } from "./rows.js";
import { pieces, t } from "./words.js";

/** Files of the model that are listed before somebody asks for more. */
const FILES = 20;
/** Characters of a file's name. */
const NAME = 300;

/**
 * Returns the question and the files as they were judged, beside the verdict that answers them. `is_now_set` says that the
 * day is not this computer's.
 */
export function asked(question, { policy }) {
  const facts = [
    ["destination", told(question.destination)],
    ["consignee", told(question.consignee)],
    ["purposes", purposes(question.purposes)],
    ["now", pieces(question.is_now_set ? "now-set" : "now-clock", { now: day(question.now) })],
    ["policy", [standing(policy), t("semicolon"), ...file(question.policy)]],
    ["trust", file(question.trust)],
    ["bundle", [...file(question.bundle), t("semicolon"), ...pieces("digest-in-reports", { digest: code(question.bundle.digest) })]],
    ...question.updates.map((one) => ["updates", file(one)]),
    ...question.against.map((one) => ["against", file(one)]),
    ["model", model(question.model)],
  ];
  return el("div", { class: "asked" }, el("h3", { id: "h-asked" }, t("asked-title")),
    el("dl", { id: "asked" }, facts.map(([name, text]) =>
      el("div", { "data-asked": name }, el("dt", {}, t(name)), el("dd", {}, text)))));
}

const code = (digest) => el("code", {}, digest);

/** What was asked, or what the trust file says in its place; what nobody asked was not checked. */
function told(one) {
  if (!one) return el("em", {}, t("not-asked"));
  return one.from_trust ? pieces("from-trust", { value: own(one.value, NAME) }) : own(one.value, NAME);
}

function purposes(list) {
  if (list.length === 0) return told(null);
  return list.flatMap((one, place) => [place ? t("comma") : "", told(one)].flat());
}

function standing({ id, version, status }) {
  const name = own(`${id} ${version}`, 200);
  return el("span", {}, pieces(status === "reference" ? "policy-reference" : "policy-binding", { name }));
}

const file = ({ name, sha256 }) => pieces("file-digest", { name: others(name, NAME), digest: code(sha256) });

function model(given) {
  if (!given) return el("em", {}, t("model-not-given"));
  if (given.digest) return pieces("model-digest-given", { digest: code(given.digest) });
  const one = (record) => [...file(record), t("comma"), "BLAKE3 ", code(record.blake3)];
  if (given.files.length === 1) return one(given.files[0]);
  const size = bytes(given.files.reduce((sum, record) => sum + record.size, 0));
  return [t("model-files-given", { count: given.files.length, size }),
    el("ul", { class: "texts" }, rows(given.files, FILES, (record) => el("li", {}, one(record))))];
}
