// The page: what the buyer gives, the worker that checks it, and what came of it.
/* global WORKER */
import { all, bytes, el, others } from "./dom.js";
import { chosenFolder, dropped, guess } from "./files.js";
import { ancestry } from "./graph.js";
import { couldNot, sections } from "./report.js";
import { pieces, preferred, speak, t, translate } from "./words.js";

const at = (id) => document.getElementById(id);
const LISTS = ["updates", "against"];

/** What the buyer gave. `model` is `{folder?, files: [{path, file}]}`. */
const given = { bundle: null, trust: null, policy: null, model: null, updates: [], against: [] };
/** What was found last, to be shown again in another language. */
let last = null;
let worker = null;
/** Whether the day is the reader's: otherwise it is the clock's when Verify is pressed, however long the page was open. */
let isDaySet = false;
/** When the drawing is there for paper too. */
let printable = Promise.resolve();
/** The style of what changes in the margin of printed pages. */
const margin = new CSSStyleSheet();
document.adoptedStyleSheets = [margin];

// --- Giving ---

function give(slot, files) {
  if (LISTS.includes(slot)) given[slot] = [...files].sort((a, b) => (a.name < b.name ? -1 : 1));
  else given[slot] = files[0] ?? null;
  tellChosen();
  changed();
}

function giveModel(model) {
  given.model = model;
  tellChosen();
  changed();
}

function tellChosen() {
  for (const slot of ["bundle", "trust", "policy", ...LISTS]) {
    const files = [given[slot]].flat().filter(Boolean);
    chosen(slot, files.length && ["chosen", { name: el("span", {}, all(files.map(({ name }) => name), 300)) }]);
  }
  const { model } = given;
  const size = () => bytes(model.files.reduce((sum, { file }) => sum + file.size, 0));
  chosen("model", model && (model.folder === undefined
    ? ["chosen", { name: others(model.files[0].path, 300) }]
    : ["chosen-folder", { name: others(model.folder, 300), count: model.files.length, size: size() }]));
}

function chosen(slot, said) {
  const place = at(`${slot}-chosen`);
  const clear = () => {
    for (const input of place.closest(".slot").querySelectorAll("input[type=file]")) input.value = "";
    if (slot === "model") giveModel(null);
    else give(slot, []);
  };
  const name = t(slot);
  place.replaceChildren(...(said
    ? [...pieces(...said), " ", el("button", { type: "button", click: clear, "aria-label": `${t("remove")}${t("colon")}${name}` }, t("remove"))]
    : []));
  place.closest(".slot").classList.toggle("filled", Boolean(said));
}

async function take(transfer) {
  for (const { folder, files, file } of await dropped(transfer)) {
    if (folder !== undefined) giveModel({ folder, files });
    else {
      const slot = await guess(file);
      if (slot === "model") giveModel({ files: [{ path: file.name, file }] });
      else give(slot, LISTS.includes(slot) ? [...given[slot], file] : [file]);
    }
  }
}

function listen() {
  for (const slot of ["bundle", "trust", "policy", ...LISTS]) {
    at(slot).addEventListener("change", ({ target }) => give(slot, target.files));
  }
  at("model-file").addEventListener("change", ({ target: { files } }) =>
    giveModel(files.length ? { files: [{ path: files[0].name, file: files[0] }] } : null));
  at("model-folder").addEventListener("change", ({ target: { files } }) => giveModel(chosenFolder(files)));
  addEventListener("dragover", (event) => {
    event.preventDefault();
    document.body.classList.add("over");
  });
  addEventListener("dragleave", ({ relatedTarget }) => relatedTarget || document.body.classList.remove("over"));
  addEventListener("drop", (event) => {
    event.preventDefault();
    document.body.classList.remove("over");
    take(event.dataTransfer).catch((error) => show({ failed: { key: "cannot-read", name: "", why: String(error) } }));
  });
  at("form").addEventListener("input", ({ target }) => {
    if (target.id === "now") isDaySet = target.value !== "";
    if (target.type !== "file") changed();
  });
  at("form").addEventListener("submit", (event) => {
    event.preventDefault();
    verify();
  });
  at("cancel").addEventListener("click", () => {
    stop();
    say(t("cancelled"));
  });
  at("print").addEventListener("click", () => printable.then(() => print()));
  addEventListener("beforeprint", () => {
    for (const closed of document.querySelectorAll("#result details:not([open])")) {
      closed.open = true;
      addEventListener("afterprint", () => (closed.open = false), { once: true });
    }
  });
  at("save").addEventListener("click", save);
  at("language").addEventListener("change", ({ target }) => inLanguage(target.value));
}

// --- Verifying ---

function question() {
  const text = (id) => at(id).value.trim() || null;
  return {
    now: text("now") ?? today(),
    destination: text("destination"),
    consignee: at("consignee").value || null,
    purposes: (text("purposes") ?? "").split(/[\s,]+/).filter(Boolean),
  };
}

const today = () => new Date().toISOString().slice(0, 10);

function verify() {
  const missing = ["bundle", "trust", "policy"].filter((slot) => !given[slot]);
  if (missing.length) return say(t("missing", { what: missing.map((slot) => t(slot)).join(t("comma")) }));
  stop();
  forget();
  const digest = at("model-digest").value.trim();
  if (given.model && digest) return show({ failed: { key: "both-given" } });
  const model = given.model ?? (digest ? { digest } : null);
  if (!isDaySet) at("now").value = today();
  const url = URL.createObjectURL(new Blob([WORKER], { type: "text/javascript" }));
  worker = new Worker(url);
  URL.revokeObjectURL(url);
  const asks = question();
  const isNowSet = isDaySet;
  worker.addEventListener("message", ({ data }) => hear(data, isNowSet));
  worker.addEventListener("error", ({ message }) => hear({ failed: { key: "trap", why: message } }));
  busy(true);
  const { bundle, trust, policy, updates, against } = given;
  worker.postMessage({ question: asks, model, bundle, trust, policy, updates, against });
}

function hear({ progress, stage, answer, failed }, isNowSet) {
  if (progress) return tellProgress(progress);
  if (stage) return say(t(stage));
  // The instance goes with its worker, and what it said before it stopped was no answer.
  stop();
  if (answer?.asked) answer.asked.is_now_set = isNowSet;
  try {
    show({ answer, failed });
  } catch (error) {
    show({ failed: { key: "trap", why: String(error) } });
  }
}

function stop() {
  worker?.terminate();
  worker = null;
  busy(false);
}

function busy(is) {
  at("working").hidden = !is;
  at("verify").disabled = is;
  at("progress").removeAttribute("value");
  say("");
}

function tellProgress({ name, done, total, seconds }) {
  at("progress").value = total ? done / total : 1;
  const rate = bytes(seconds > 0 ? done / seconds : 0);
  at("said").replaceChildren(...pieces("hashing", { name: others(name) }), el("br"), t("hashed", { done: bytes(done), total: bytes(total), rate }));
}

function say(text) {
  at("said").textContent = text;
}

// --- Showing ---

// What was found is of other files or another question: nobody should read, print or save it beside these.
function changed() {
  if (!last && !worker) return;
  stop();
  forget();
  say(t("given-anew"));
}

function forget() {
  last = null;
  at("result").replaceChildren();
  at("after").hidden = true;
}

function show(found) {
  last = found;
  const { answer, failed } = found;
  at("after").hidden = true;
  if (failed) at("result").replaceChildren(couldNot(inWords(failed)));
  else if (answer.error) at("result").replaceChildren(couldNot({ ...answer, text: answer.error }));
  else showReport(answer);
  at("result").querySelector(".verdict").focus({ preventScroll: true });
  at("result").scrollIntoView();
}

/** A fault of the page's or the verifier's has a meaning of its own; what else there is, is a sentence. */
const inWords = (failed) => (failed.key === "trap" ? { why: "trap", text: failed.why } : { text: t(failed.key, failed) });

function showReport(answer) {
  const report = JSON.parse(answer.report);
  const { before, after } = sections(report, answer.asked);
  const graph = ancestry(answer.graph, report);
  const about = t("about", { version: answer.version });
  // On paper before the drawing, which may leave it no room behind.
  const onPaper = el("p", { class: "paper", "aria-hidden": "true" }, about);
  at("result").replaceChildren(...before, graph.section, ...after, onPaper, graph.picture);
  at("result").dataset.milliseconds = answer.milliseconds.toFixed(1);
  at("about").textContent = about;
  at("after").hidden = false;
  inMargin(report);
  printable = graph.shown();
}

/** Says on every printed page what it is of, so that none can be put among those of another print. */
function inMargin(report) {
  const text = [report.verdict, t(report.policy_met ? "met" : "not-met"), report.bundle_digest].join(" · ");
  margin.replaceSync(`@page { @bottom-left { content: ${JSON.stringify(text)} } }`);
}

function save() {
  const url = URL.createObjectURL(new Blob([`${last.answer.report}\n`], { type: "application/json" }));
  el("a", { href: url, download: "report.json" }).click();
  setTimeout(() => URL.revokeObjectURL(url), 10_000);
}

function inLanguage(language) {
  speak(language);
  translate();
  tellChosen();
  if (last) show(last);
}

at("now").value = today();
at("language").value = preferred();
listen();
inLanguage(preferred());
// For tests, and for whoever wants the answer itself.
globalThis.griptrace = { answer: () => last?.answer ?? last };
