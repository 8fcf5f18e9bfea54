// The page in a browser: what it says is what the program says, and nothing leaves it.
import assert from "node:assert/strict";
import { cpSync, existsSync, mkdirSync, readFileSync, readdirSync, statSync, truncateSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { after, before, test } from "node:test";

import { ROOT, browser, codes, folder, griptrace, json, open, program, sameBytes, text, verify } from "./support.js";

const VECTORS = join(ROOT, "tests/vectors/bundles");
const AXE = createRequire(import.meta.url).resolve("axe-core/axe.min.js");

// One browser for all tests of this file; what it is cleaned up by is asked for through `after`.
const whole = { after: (clean) => cleaning.push(clean) };
const cleaning = [];
let context;
let page;
let story;

before(async () => {
  const path = folder(whole);
  griptrace(path, "demo");
  story = join(path, "demo");
  context = await browser(whole, { flags: [`--log-net-log=${join(path, "net.json")}`] });
  page = await open(context);
  whole.log = join(path, "net.json");
});
after(async () => {
  for (const clean of cleaning.reverse()) await clean();
});

const BUYER = { destination: "DE", consignee: "Maschinenbau Muster GmbH", purposes: "train-adaptive-grasp-control" };
const flags = ({ destination, consignee, purposes = "", now }) => [
  ...(destination ? ["--destination", destination] : []),
  ...(consignee ? ["--consignee", consignee] : []),
  ...purposes.split(" ").filter(Boolean).flatMap((word) => ["--purpose", word]),
  ...(now ? ["--at", now] : []),
];

/** Asks page and program the same, and returns both answers. All files lie in one folder, under these names. */
async function both(cwd, { model, question = {}, updates = [], against = [], bundle = "shipment.griptrace" }) {
  const at = (name) => join(cwd, name);
  const hand = model?.digest ? ["--digest", model.digest] : model ? ["--model", model.file ?? model.folder] : [];
  const more = [...updates.flatMap((name) => ["--update", name]), ...against.flatMap((name) => ["--against", name])];
  const args = [bundle, "--trust", "trust.toml", "--policy", "policy.toml", ...hand, ...flags(question), ...more];
  const said = program(cwd, args);
  const files = model?.digest ? model : model && Object.fromEntries(Object.entries(model).map(([kind, name]) => [kind, at(name)]));
  const answer = await verify(page, {
    bundle: at(bundle), trust: at("trust.toml"), policy: at("policy.toml"), model: files, question,
    updates: updates.map(at), against: against.map(at) });
  return { answer, said };
}

/** Holds the page to the program's report, byte for byte but for the folder before an older or newer file's name. */
async function same(cwd, asked) {
  const { answer, said } = await both(cwd, asked);
  sameBytes(answer.report, said.line, said.complaints);
  const report = JSON.parse(answer.report);
  assert.equal(report.policy_met, said.code === 0);
  assert.equal(await page.textContent("#verdict"), report.verdict);
  const shown = await page.$$eval("[data-code]", (items) => items.map(({ dataset }) => dataset.code));
  assert.deepEqual([...new Set(shown)].sort(), codes(report));
  return report;
}

test("the honest bundle is shown as the program reports it", async () => {
  const report = await same(story, { model: { folder: "model" }, question: BUYER });
  assert.deepEqual([report.verdict, report.policy_met], ["TRACED_ASSESSED", true]);
  assert.equal(await page.$$eval("section[aria-labelledby=h-sources] tbody tr", (rows) => rows.length), 2);
  const graph = await page.evaluate(() => globalThis.griptrace.answer().graph);
  assert.equal(graph.nodes.length, report.nodes);
  assert.equal(graph.nodes[0].kind, "shipment");
  const painted = await page.$eval(".graph canvas:last-of-type", (canvas) =>
    canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data.some((value) => value > 0));
  assert.ok(painted, "the graph is drawn");
  await page.click("summary#h-records");
  await page.click("section.ancestry details tbody tr:first-child button");
  assert.deepEqual(page.complaints, []);
});

const LIES = {
  "changed-model": ["model-mismatch", { model: { folder: "lies/changed-model" } }],
  "removed-ancestor": ["node-missing"],
  "untrusted-assessor": ["assessor-untrusted"],
  expired: ["assessment-expired"],
  lowered: ["grade-lowered-without-record"],
  relabelled: ["assessment-missing"],
  withdrawn: ["assessment-withdrawn"],
  "flipped-proof": ["inclusion-root-mismatch"],
  "another destination": ["destination-mismatch", { question: { ...BUYER, destination: "FR" } }],
};

for (const [lie, [code, change = {}]] of Object.entries(LIES)) {
  test(`the demo's lie is refused for its reason: ${lie}`, async () => {
    const own = join(story, "lies", lie);
    const told = existsSync(join(own, "trust.toml"));
    let asked = { model: { folder: "model" }, question: BUYER, ...change };
    if (!told && existsSync(join(own, "shipment.griptrace"))) asked = { ...asked, bundle: `lies/${lie}/shipment.griptrace` };
    const { answer, said } = await both(told ? own : story, asked);
    const [shown, reported] = [answer.report, said.line].map(JSON.parse);
    // The page knows a file by its name, the program by its path.
    assert.deepEqual({ ...shown, file: "" }, { ...reported, file: "" });
    assert.ok(codes(shown).includes(code), codes(shown));
    assert.equal(shown.policy_met, false);
    assert.deepEqual(page.complaints, []);
  });
}

/** Puts a vector's files where a buyer would have them. */
function laidOut(cwd, path) {
  const first = (name) => [join(path, name), join(VECTORS, name)].find(existsSync);
  const bundle = join(path, "bundle.griptrace");
  cpSync(existsSync(bundle) ? bundle : join(VECTORS, "accept/honest/bundle.griptrace"), join(cwd, "shipment.griptrace"));
  for (const name of ["trust.toml", "policy.toml"]) cpSync(first(name), join(cwd, name));
  const { now, destination, consignee, purposes, model } = json(first("question.json"));
  const list = (kind) => (existsSync(join(path, kind)) ? readdirSync(join(path, kind)).sort() : []);
  for (const kind of ["updates", "known"]) {
    for (const name of list(kind)) cpSync(join(path, kind, name), join(cwd, name));
  }
  // The vectors have digests; whose file they don't have gets other bytes, which is what they say of it.
  const put = ({ path: name, size }, to) => {
    const known = join(VECTORS, "model", name);
    if (existsSync(known)) writeFileSync(to, changed(path, name) ? Buffer.alloc(size, 1) : readFileSync(known));
    else writeFileSync(to, name.startsWith("any") || name.startsWith("renamed") ? readFileSync(join(VECTORS, "model/grasp.int8.onnx")) : Buffer.alloc(size, 1));
  };
  if (model?.folder) {
    mkdirSync(join(cwd, "model"));
    for (const file of model.folder) put(file, join(cwd, "model", file.path));
  }
  if (model?.file) put(model.file, join(cwd, model.file.path));
  const hand = model && (model.digest ? { digest: model.digest } : model.file ? { file: model.file.path } : { folder: "model" });
  const question = { now, destination: destination ?? "", consignee: consignee ?? "", purposes: purposes.join(" ") };
  return { model: hand, question, updates: list("updates"), against: list("known") };
}

const changed = (path, name) => path.endsWith("model-changed") && name.endsWith(".onnx");

for (const kind of ["accept", "reject"]) {
  test(`every vector gets the program's report, and its own codes: ${kind}`, async (t) => {
    const cases = readdirSync(join(VECTORS, kind)).filter((name) => statSync(join(VECTORS, kind, name)).isDirectory());
    assert.ok(cases.length > (kind === "accept" ? 30 : 180), `${cases.length} cases`);
    for (const name of cases) {
      const cwd = folder(t);
      const path = join(VECTORS, kind, name);
      const asked = laidOut(cwd, path);
      // A browser hands over no folder that is empty.
      if (asked.model?.folder && readdirSync(join(cwd, "model")).length === 0) continue;
      const expected = json(join(path, "expected.json"));
      const report = await same(cwd, asked).catch((error) => assert.fail(`${name}: ${error.message}`));
      assert.equal(report.verdict, expected.verdict, name);
      const wanted = [expected.errors, expected.warnings, expected.notes].flat().sort();
      assert.deepEqual(codes(report), [...new Set(wanted)], name);
    }
    assert.deepEqual(page.complaints, []);
  });
}

test("what can't be checked is said in the program's words", async (t) => {
  const cwd = folder(t);
  for (const name of ["shipment.griptrace", "trust.toml", "policy.toml"]) cpSync(join(story, name), join(cwd, name));
  const honest = Object.fromEntries(["shipment.griptrace", "trust.toml", "policy.toml"].map((name) => [name, readFileSync(join(cwd, name))]));
  const bad = [
    ["shipment.griptrace", "not a bundle at all"],
    ["shipment.griptrace", "griptrace bundle v9\n0123456789"],
    ["shipment.griptrace", ""],
    ["trust.toml", "[[log]]\norigin = 1\n"],
    ["trust.toml", "witnes = 1\n"],
    ["trust.toml", Buffer.from([0x61, 0xff, 0xfe])],
    ["trust.toml", Buffer.alloc((1 << 20) + 1, 0x23)],
    ["policy.toml", "id = "],
    ["policy.toml", ""],
  ];
  for (const [name, bytes] of bad) {
    for (const [file, honestly] of Object.entries(honest)) writeFileSync(join(cwd, file), file === name ? bytes : honestly);
    const { answer, said } = await both(cwd, { question: BUYER });
    const [error, hint] = ["error", "hint"].map((word) => said.complaints.match(new RegExp(`^${word}: (.*)$`, "m"))?.[1]);
    assert.equal(said.code, 2, name);
    assert.deepEqual([answer.error, answer.hint ?? undefined], [error, hint], `${name}: ${bytes.slice(0, 20)}`);
    assert.equal(answer.report ?? "", said.line, name);
    assert.ok(await page.isVisible("section[aria-labelledby=h-could-not]"));
  }
  assert.deepEqual(page.complaints, []);
});

test("names of others are text, and can't pose as something else", async (t) => {
  const cwd = folder(t);
  const nasty = "<img src=x onerror=alert(1)> \\u202Egnp.exe {name} </script>";
  const run = (...args) => griptrace(cwd, ...args);
  run("init", "--origin", "lineage.example/2026", "--name", "<b>Maker</b>");
  writeFileSync(join(cwd, "weights"), "weights");
  writeFileSync(join(cwd, "lineage.toml"), `
[[dataset]]
name = "${nasty}"
origin = "collected"
digest = "blake3:${"7".repeat(64)}"
content_held = "origin-only"
country = "DE"
[[transformation]]
name = "train"
kind = "training"
used = ["${nasty}"]
country = "DE"
date = ${new Date().toISOString().slice(0, 10)}
generated = [{ model = "m", path = "weights" }]
`);
  run("record", "lineage.toml");
  run("ship", "model:m", "--name", "s", "--to", "<i>Buyer</i>", "--country", "DE");
  run("prove", "s", "--profile", "full", "-o", "shipment.griptrace");
  run("trust", "init", "-o", "trust.toml");
  cpSync(join(ROOT, "policies/cn-industrial-reference.toml"), join(cwd, "policy.toml"));
  await same(cwd, { model: { file: "weights" }, question: { destination: "DE" } });
  assert.equal(await page.$$eval("#result img, #result b, #result i, #result script", (found) => found.length), 0);
  const shown = await page.textContent("section[aria-labelledby=h-sources] tbody");
  assert.ok(shown.includes("<img src=x onerror=alert(1)> \\u{202e}gnp.exe {name} </script>"), shown);
  assert.deepEqual(page.complaints, []);
});

test("every finding is told in the reader's language", async () => {
  await both(story, { model: { folder: "model" }, question: { ...BUYER, destination: "FR" } });
  for (const language of ["de", "zh", "en"]) {
    await page.selectOption("#language", language);
    const findings = json(join(ROOT, `web/verify/src/findings/${language}.json`));
    const shown = await page.$$eval("[data-code]", (items) =>
      items.map((item) => [item.dataset.code, item.querySelector("h3").textContent, item.textContent]));
    assert.ok(shown.length > 1);
    for (const [code, head, all] of shown) {
      assert.ok(head.includes(findings[code].means.replaceAll("`", "")), `${language}: ${head}`);
      assert.ok(all.includes(findings[code].clear.replaceAll("`", "")), `${language}: ${all}`);
    }
    assert.equal(await page.getAttribute("html", "lang"), language);
  }
});

test("files that are dropped go where they belong, and a folder is the model", async () => {
  await page.reload();
  const files = ["trust.toml", "policy.toml", "model", "shipment.griptrace"].map((name) => join(story, name));
  const hand = await context.newCDPSession(page);
  for (const type of ["dragEnter", "dragOver", "drop"]) {
    await hand.send("Input.dispatchDragEvent", { type, x: 200, y: 200, data: { items: [], files, dragOperationsMask: 1 } });
  }
  await page.waitForFunction(() => document.querySelectorAll(".slot.filled").length === 4);
  for (const [field, value] of Object.entries(BUYER)) await page.fill(`#${field}`, value);
  await page.click("#verify");
  await page.waitForSelector("#verdict");
  assert.equal(await page.textContent("#verdict"), "TRACED_ASSESSED");
});

test("the keyboard alone is enough", async () => {
  await page.reload();
  for (const name of ["bundle", "trust", "policy"]) {
    await page.setInputFiles(`#${name}`, join(story, { bundle: "shipment.griptrace", trust: "trust.toml", policy: "policy.toml" }[name]));
  }
  const seen = [];
  for (let presses = 0; presses < 60 && seen.at(-1) !== "verify"; presses += 1) {
    await page.keyboard.press("Tab");
    const { id, outline } = await page.evaluate(() => {
      const { id, tagName } = document.activeElement;
      return { id: id || tagName, outline: getComputedStyle(document.activeElement).outlineStyle };
    });
    assert.notEqual(outline, "none", `${id} does not show that it is at hand`);
    seen.push(id);
  }
  const wanted = ["language", "bundle", "trust", "policy", "model-folder", "model-file", "model-digest", "destination", "consignee", "purposes", "now", "verify"];
  assert.deepEqual(wanted.filter((id) => !seen.includes(id)), [], seen.join(" "));
  await page.keyboard.press("Enter");
  await page.waitForSelector("#verdict");
  assert.ok(await page.evaluate(() => document.activeElement.classList.contains("verdict")));
});

test("the report that is saved is the program's line", async () => {
  const { answer } = await both(story, { model: { folder: "model" }, question: BUYER });
  const [download] = await Promise.all([page.waitForEvent("download"), page.click("#save")]);
  assert.equal(download.suggestedFilename(), "report.json");
  assert.equal(text(await download.path()), `${answer.report}\n`);
});

test("a result stands beside no other files and no other question than it is about", async () => {
  const given = () => page.evaluate(() => globalThis.griptrace.answer());
  const changes = {
    destination: () => page.fill("#destination", "FR"),
    "another model": () => page.setInputFiles("#model-file", join(story, "lies/changed-model/grasp.int8.safetensors")),
    "other evidence": () => page.setInputFiles("#bundle", join(story, "lies/flipped-proof/shipment.griptrace")),
    "no evidence": () => page.click("#bundle-chosen button"),
  };
  for (const [what, change] of Object.entries(changes)) {
    await both(story, { model: { folder: "model" }, question: BUYER });
    assert.ok(await given(), what);
    await change();
    assert.equal(await page.$("#result section"), null, what);
    assert.equal(await page.isHidden("#after"), true, what);
    assert.equal(await given(), null, what);
    assert.notEqual(await page.textContent("#said"), "", what);
  }
});

test("what is hashed can be stopped", async (t) => {
  const cwd = folder(t);
  writeFileSync(join(cwd, "large"), "");
  truncateSync(join(cwd, "large"), 2 ** 33);
  await page.reload();
  for (const [slot, name] of [["bundle", "shipment.griptrace"], ["trust", "trust.toml"], ["policy", "policy.toml"]]) {
    await page.setInputFiles(`#${slot}`, join(story, name));
  }
  await page.setInputFiles("#model-file", join(cwd, "large"));
  await page.click("#verify");
  await page.waitForFunction(() => document.getElementById("progress").value > 0);
  await page.click("#cancel");
  assert.equal(await page.$("#result section"), null);
  assert.equal(await page.isEnabled("#verify"), true);
});

for (const scheme of ["light", "dark"]) {
  test(`nothing serious is found by axe: ${scheme}`, async () => {
    await page.emulateMedia({ colorScheme: scheme });
    await page.reload();
    const serious = async () => {
      await page.evaluate(readFileSync(AXE, "utf8"));
      const { violations } = await page.evaluate(() => globalThis.axe.run());
      return violations.filter(({ impact }) => ["serious", "critical"].includes(impact)).map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html).slice(0, 3)}`);
    };
    assert.deepEqual(await serious(), [], "as it opens");
    await both(story, { model: { folder: "model" }, question: { ...BUYER, destination: "FR" } });
    await page.click("summary#h-records");
    assert.deepEqual(await serious(), [], "with a result");
    await page.emulateMedia({ colorScheme: null });
  });
}

for (const [name, size] of Object.entries({ phone: { width: 360, height: 740 }, "zoomed to 200 %": { width: 640, height: 400 }, wide: { width: 1600, height: 1000 } })) {
  test(`nothing stands beyond the window's edge: ${name}`, async () => {
    await page.setViewportSize(size);
    await both(story, { model: { folder: "model" }, question: { ...BUYER, destination: "FR" } });
    for (const language of ["en", "de", "zh"]) {
      await page.selectOption("#language", language);
      const beyond = await page.evaluate(() => {
        const scrolled = (item) => item.closest(".wide, .graph") !== null && !item.matches(".wide, .graph");
        return [...document.querySelectorAll("body *")]
          .filter((item) => item.getClientRects().length && !scrolled(item) && item.getBoundingClientRect().right > innerWidth + 1)
          .map(({ tagName, id, className }) => `${tagName} ${id} ${className}`);
      });
      assert.deepEqual(beyond, [], language);
      assert.equal(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth), true, language);
    }
    await page.setViewportSize({ width: 1280, height: 900 });
  });
}

test("the policy in the page lets nothing in and nothing out", async () => {
  await page.reload();
  const policy = await page.getAttribute("meta[http-equiv=Content-Security-Policy]", "content");
  const rules = Object.fromEntries(policy.split("; ").map((rule) => [rule.split(" ")[0], rule.split(" ").slice(1).join(" ")]));
  assert.deepEqual([rules["default-src"], rules["connect-src"], rules["worker-src"]], ["'none'", "'none'", "blob:"]);
  assert.match(rules["script-src"], /^'sha256-[A-Za-z0-9+/]{43}=' 'wasm-unsafe-eval'$/);
  assert.match(rules["style-src"], /^('sha256-[A-Za-z0-9+/]{43}=' ?)+$/);
  const tried = await page.evaluate(async () => {
    const script = document.createElement("script");
    script.textContent = "globalThis.got = true";
    document.head.append(script);
    const asked = await fetch("https://example.com/").then(() => "answered", (error) => error.name);
    const image = await new Promise((yes) => {
      const made = new Image();
      made.onload = () => yes("loaded");
      made.onerror = () => yes("refused");
      made.src = "data:image/gif;base64,R0lGODlhAQABAAAAACw=";
    });
    return [globalThis.got ?? "refused", asked, image];
  });
  assert.deepEqual(tried, ["refused", "TypeError", "refused"]);
  assert.ok(page.complaints.length >= 3, "the browser says that it refused");
  page.complaints = [];
});

test("no request left the page in all of this", async (t) => {
  // Another page asks for something, so that this can fail.
  const cwd = folder(t);
  writeFileSync(join(cwd, "other.html"), "<!doctype html>");
  const other = await context.newPage();
  await other.goto(`file://${join(cwd, "other.html")}`);
  await other.evaluate(() => fetch("http://127.0.0.1:9/asked-by-another-page").catch(() => {}));
  await context.close();
  const { constants, events } = json(whole.log);
  const begun = constants.logEventTypes.URL_REQUEST_START_JOB;
  const asked = events.filter(({ type, params }) => type === begun && /^(https?|wss?|ftp):/.test(params?.url ?? ""));
  // What the browser asks for on its own account, such as its updates, says that no origin asked for it.
  const byPages = asked.filter(({ params }) => params.initiator !== "not an origin").map(({ params }) => params.url);
  assert.deepEqual(byPages, ["http://127.0.0.1:9/asked-by-another-page"]);
});
