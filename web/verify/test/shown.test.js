// How an answer is shown: beside its question, on screen, in narrow windows and on paper.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";

import { ROOT, browser, folder, griptrace, json, open, verify } from "./support.js";

const VECTORS = join(ROOT, "tests/vectors/bundles");
const BUYER = { destination: "DE", consignee: "Maschinenbau Muster GmbH", purposes: "train-adaptive-grasp-control", now: "2026-12-01" };
const cleaning = [];
const whole = { after: (clean) => cleaning.push(clean) };
let page;
let story;

before(async () => {
  const path = folder(whole);
  griptrace(path, "demo");
  story = join(path, "demo");
  page = await open(await browser(whole));
});
after(async () => {
  for (const clean of cleaning.reverse()) await clean();
});

const at = (name) => join(story, name);
const files = () => ({ bundle: at("shipment.griptrace"), trust: at("trust.toml"), policy: at("policy.toml") });
const sha256 = (path) => createHash("sha256").update(readFileSync(path)).digest("hex");
const words = (language) => json(join(ROOT, `web/verify/src/words/${language}.json`));

/** The question as it is shown: names to texts. */
const shown = () =>
  page.$$eval("#asked > div", (rows) => rows.map((row) => [row.dataset.asked, row.querySelector("dd").textContent]))
    .then(Object.fromEntries);

/** Prints, and returns the text of each page of paper. */
async function printed(t) {
  const path = join(folder(t), "page.pdf");
  await page.evaluate(() => dispatchEvent(new Event("beforeprint")));
  writeFileSync(path, await page.pdf({ preferCSSPageSize: true, format: "A4" }));
  const text = execFileSync("pdftotext", ["-layout", path, "-"], { encoding: "utf8" });
  return text.split("\f").slice(0, -1);
}

const joined = (text) => text.replace(/\s+/g, "");

test("the question stands beside the verdict: on screen, on paper, in every language", async (t) => {
  const model = "model/grasp.int8.safetensors";
  const answer = await verify(page, { ...files(), model: { folder: at("model") }, question: BUYER });
  const report = JSON.parse(answer.report);
  const wanted = {
    destination: ["DE"],
    consignee: [BUYER.consignee],
    purposes: [BUYER.purposes],
    now: [BUYER.now],
    policy: [report.policy.id, report.policy.version, "policy.toml", sha256(at("policy.toml"))],
    trust: ["trust.toml", sha256(at("trust.toml"))],
    bundle: ["shipment.griptrace", sha256(at("shipment.griptrace")), report.bundle_digest],
    model: ["grasp.int8.safetensors", sha256(at(model)), report.model.digest.replace(/^\w+:/, "")],
  };
  for (const language of ["en", "de", "zh"]) {
    await page.selectOption("#language", language);
    const told = await shown();
    const [first] = await printed(t);
    assert.deepEqual(Object.keys(told), Object.keys(wanted), language);
    for (const [name, texts] of Object.entries(wanted)) {
      for (const text of texts) {
        assert.ok(told[name].includes(text), `${language}: ${name}: ${told[name]}`);
        assert.ok(joined(first).includes(joined(text)), `${language}: the first page of paper lacks ${text}`);
      }
    }
    const { "policy-reference": standing, "now-set": set } = words(language);
    assert.ok(told.policy.includes(standing.replace("{name}", "")), told.policy);
    assert.equal(told.now, set.replace("{now}", BUYER.now));
    assert.ok(first.includes(report.verdict));
  }
  assert.ok(await page.$eval("#asked", (asked) => asked.closest(".verdict") !== null));
});

test("what nobody asked is said, and what the trust file says in its place", async () => {
  await verify(page, files());
  const en = words("en");
  const told = await shown();
  for (const name of ["destination", "consignee", "purposes"]) assert.equal(told[name], en["not-asked"], name);
  assert.equal(told.model, en["model-not-given"]);
  assert.match(told.now, /this computer’s clock/);
  const trust = join(folder({ after: (clean) => cleaning.push(clean) }), "trust.toml");
  writeFileSync(trust, `expect = { destination = "FR" }\n${readFileSync(at("trust.toml"), "utf8")}`);
  await verify(page, { ...files(), trust, model: { digest: "1".repeat(64) } });
  const other = await shown();
  assert.equal(other.destination, en["from-trust"].replace("{value}", "FR"));
  assert.equal(other.model, en["model-digest-given"].replace("{digest}", "1".repeat(64)));
});

test("every page of paper has its number, the verdict and the evidence's digest; none has a button or a field", async (t) => {
  const { report } = await verify(page, { ...files(), model: { folder: at("lies/changed-model") }, question: BUYER });
  await page.waitForSelector(".printed canvas", { state: "attached" });
  const pages = await printed(t);
  assert.ok(pages.length > 2, `${pages.length} pages`);
  const { verdict, bundle_digest: digest } = JSON.parse(report);
  for (const [place, text] of pages.entries()) {
    const foot = text.trimEnd().split("\n").at(-1);
    assert.ok(foot.includes(`${verdict} · ${words("en")["not-met"]} · ${digest}`), foot);
    assert.match(foot, new RegExp(` ${place + 1} ?/ ?${pages.length}$`), foot);
  }
  const all = pages.join("");
  for (const key of ["verify", "save", "zoom-in", "graph-move", "drop", "graph-not-printed"]) assert.ok(!all.includes(words("en")[key]), key);
  // No page but the last is half empty: the drawing, which can't be divided, comes at the end.
  const lines = (text) => text.split("\n").filter((line) => line.trim()).length;
  assert.ok(pages.slice(0, -2).every((text) => lines(text) > 25), pages.map(lines).join(" "));
  const about = pages.find((text) => joined(text).includes("checkitsownSHA-256"));
  assert.ok(lines(about) > 5, `alone on its page: ${about}`);
});

test("another answer has another margin", async (t) => {
  await verify(page, { ...files(), question: BUYER });
  const first = (await printed(t))[0].trimEnd().split("\n").at(-1);
  await page.fill("#destination", "FR");
  await page.click("#verify");
  await page.waitForSelector("#verdict");
  const second = (await printed(t))[0].trimEnd().split("\n").at(-1);
  assert.match(first, /^ *TRACED_/);
  assert.match(second, /^ *MISMATCH/);
});

test("a log that the trust file does not know is said, and nothing is said to be absent", async () => {
  const own = (name) => join(VECTORS, name);
  await verify(page, { bundle: own("reject/log-of-a-stranger/bundle.griptrace"), trust: own("trust.toml"), policy: own("policy.toml") });
  for (const language of ["en", "de", "zh"]) {
    await page.selectOption("#language", language);
    const said = await page.textContent("#result");
    for (const key of ["log-unknown", "not-judged", "shows-not-unjudged"]) assert.ok(said.includes(words(language)[key]), key);
    for (const part of ["sources", "crossings", "graph"]) {
      assert.equal(await page.textContent(`section[aria-labelledby=h-${part}] p`), words(language)["not-judged-here"], part);
    }
  }
});

test("a file in the wrong place is told by the place, in the reader's words", async () => {
  await verify(page, { ...files(), trust: at("shipment.griptrace") });
  for (const language of ["en", "de", "zh"]) {
    await page.selectOption("#language", language);
    const { trust, colon, "why-not-text": why } = words(language);
    assert.equal(await page.textContent("#result .said"), `${trust}${colon}${why}`);
  }
  await page.selectOption("#language", "en");
  await verify(page, { ...files(), question: { destination: "de" } });
  const { destination, "why-field-destination": expected } = words("en");
  assert.equal(await page.textContent("#result .said"), `${destination}: ${expected}`);
});

for (const [name, size] of Object.entries({ phone: { width: 360, height: 740 }, "zoomed to 200 %": { width: 640, height: 450 } })) {
  test(`no column is out of sight, and labels can be read: ${name}`, async () => {
    await page.setViewportSize(size);
    await verify(page, { ...files(), model: { folder: at("model") }, question: BUYER });
    await page.click("summary#h-records");
    const cells = await page.$$eval(".wide tbody [data-head]", (all) => all.filter((cell) => cell.getClientRects().length).map((cell) => {
      const { left, right } = cell.querySelector("span").getBoundingClientRect();
      return { inside: left >= 0 && right <= innerWidth, head: getComputedStyle(cell, "::before").content, of: cell.dataset.head };
    }));
    assert.ok(cells.length > 30, `${cells.length} cells`);
    for (const { inside, head, of } of cells) {
      assert.ok(inside, of);
      assert.equal(head, `"${of}"`);
    }
    const view = () => page.$eval(".graph", (graph) => {
      const { cy } = graph._cyreg;
      const { x1, x2, y1, y2 } = cy.$id("n0").renderedBoundingBox();
      return { zoom: cy.zoom(), sees: x1 >= 0 && y1 >= 0 && x2 <= cy.width() && y2 <= cy.height() };
    });
    // Letters of 14 pixels at 1: 8 at least, and the product is in view.
    const { zoom, sees } = await view();
    assert.ok(zoom >= 0.6 && sees, `${zoom} ${sees}`);
    assert.ok(await page.isVisible(".ancestry > .on-screen"), "it says that there is more");
    await page.click(".ancestry .tools button:nth-child(3)");
    assert.ok((await view()).zoom < 0.6, "all is shown to who asks");
    await page.setViewportSize({ width: 1280, height: 900 });
  });
}

test("a drawing fits the window again after the window changed", async () => {
  await page.setViewportSize({ width: 360, height: 740 });
  await verify(page, { ...files(), question: BUYER });
  await page.setViewportSize({ width: 1280, height: 1400 });
  const fits = () => page.$eval(".graph", ({ _cyreg: { cy } }) => {
    const { x1, x2, y1, y2 } = cy.elements().renderedBoundingBox();
    return x1 >= 0 && y1 >= 0 && x2 <= cy.width() && y2 <= cy.height() && cy.zoom() >= 0.6;
  });
  await page.waitForFunction(() => document.querySelector(".graph")._cyreg.cy.width() > 1000);
  assert.ok(await fits());
  assert.ok(await page.isHidden(".ancestry > .on-screen"));
  await page.setViewportSize({ width: 1280, height: 900 });
});

test("a reader of the screen still has tables", async () => {
  await page.setViewportSize({ width: 360, height: 740 });
  await verify(page, { ...files(), question: BUYER });
  const found = await page.getByRole("region", { name: words("en").sources }).getByRole("rowheader").count();
  assert.equal(found, 2);
  await page.setViewportSize({ width: 1280, height: 900 });
});

test("a digest that was typed is not told as what the reader has", async () => {
  const digest = sha256(at("model/grasp.int8.safetensors"));
  await verify(page, { ...files(), model: { digest }, question: BUYER });
  for (const language of ["en", "de", "zh"]) {
    await page.selectOption("#language", language);
    const said = await page.textContent("#result .verdict");
    assert.ok(!said.includes(words(language)["model-same"]), said);
    const told = ["typed-same", "typed-partly", "typed-other"].filter((key) => said.includes(words(language)[key]));
    assert.equal(told.length, 1, said);
    assert.equal((await shown()).model, words(language)["model-digest-given"].replace("{digest}", digest));
  }
  await page.fill("#model-digest", "1".repeat(64));
  await page.setInputFiles("#model-file", at("model/grasp.int8.safetensors"));
  await page.click("#verify");
  await page.waitForSelector("#result .said");
  assert.equal(await page.textContent("#result .said"), words("zh")["both-given"]);
  assert.equal(await page.$("#verdict"), null);
});

test("the day is the clock's when Verify is pressed, and the reader's only if it was set", async () => {
  const own = await open(page.context());
  await own.clock.setFixedTime("2026-12-01T23:59:00Z");
  await own.reload();
  for (const [slot, path] of Object.entries(files())) await own.setInputFiles(`#${slot}`, path);
  await own.clock.setFixedTime("2026-12-02T00:01:00Z");
  const told = async () => {
    await own.click("#verify");
    await own.waitForSelector("#verdict");
    return own.textContent("[data-asked=now] dd");
  };
  const { "now-clock": clock, "now-set": set } = words("en");
  assert.equal(await told(), clock.replace("{now}", "2026-12-02"));
  await own.fill("#now", "2026-12-02");
  assert.equal(await told(), set.replace("{now}", "2026-12-02"));
  await own.close();
});

/** Makes evidence of an exporter whose names pretend, with marks on what it shipped; returns what a buyer would have. */
function pretended(t, ...prove) {
  const cwd = folder(t);
  const run = (...args) => griptrace(cwd, ...args);
  run("init", "--origin", "lineage.example/2026", "--name", "Maker, cosigned by BSI");
  writeFileSync(join(cwd, "weights"), "weights");
  const toml = (text) => JSON.stringify(text);
  writeFileSync(join(cwd, "lineage.toml"), `
[[dataset]]
name = ${toml(PRETENDING)}
origin = "collected"
digest = "blake3:${"7".repeat(64)}"
content_held = "origin-only"
country = "DE"
[[transformation]]
name = "train"
kind = "training"
used = [${toml(PRETENDING)}]
country = "DE"
date = ${new Date().toISOString().slice(0, 10)}
generated = [{ model = "m", path = "weights" }]
`);
  run("record", "lineage.toml");
  run("ship", "model:m", "--name", "s", "--to", `Buyer${PRETENDING}`, "--country", "DE");
  run("mark", "recall", "model:m", "--reason", "slips");
  run("prove", ...prove, "--profile", "full", "-o", "b.griptrace");
  run("trust", "init", "-o", "trust.toml");
  const own = (name) => join(cwd, name);
  const policy = join(ROOT, "policies/cn-industrial-reference.toml");
  return { bundle: own("b.griptrace"), trust: own("trust.toml"), policy, model: { file: own("weights") }, question: { destination: "DE" } };
}
const PRETENDING = "”, files hashed, all matched “";

test("names of others stand in quotation marks and underlined: in the box, in tables, in the drawing, on paper", async (t) => {
  await verify(page, pretended(t, "s"));
  for (const language of ["en", "de", "zh"]) {
    await page.selectOption("#language", language);
    const { "quote-open": open, "quote-close": close } = words(language);
    const shown = `${open}", files hashed, all matched "${close}`;
    const consignee = `${open}Buyer", files hashed, all matched "${close}`;
    const [box, table, paper] = [await page.textContent("#result .verdict"), await page.textContent("section[aria-labelledby=h-sources]"), (await printed(t)).join("")];
    assert.ok(box.includes(consignee) && joined(paper).includes(joined(consignee)), box);
    assert.ok(table.includes(shown) && table.includes(`${open}Maker, cosigned by BSI${close}`), table);
    const foreign = await page.$$eval("#result .foreign", (all) => all.map((one) => [one.textContent, getComputedStyle(one.querySelector("bdi")).textDecorationStyle]));
    assert.ok(foreign.length > 5);
    for (const [text, style] of foreign) {
      assert.ok(text.startsWith(open) && text.endsWith(close) && style === "dotted", text);
      assert.ok(!/[“”„「」]/u.test(text.slice(open.length, -close.length)), text);
    }
    const labels = await page.$eval(".graph", ({ _cyreg: { cy } }) => cy.nodes().map((node) => node.data("label")));
    assert.ok(labels.some((label) => label.startsWith(`${open}", files`)), labels.join("\n"));
    // Which mark it is, in the drawing and in the list.
    const recalled = `${words(language)["kind-status"]}${words(language).colon}${words(language)["mark-recall"]}`;
    assert.ok(labels.some((label) => label.includes(recalled)), labels.join("\n"));
    assert.ok((await page.textContent("section.ancestry table")).includes(recalled));
  }
});

test("a pre-check is told as that of a model that was not shipped yet", async (t) => {
  await verify(page, pretended(t, "model:m"));
  for (const language of ["en", "de", "zh"]) {
    await page.selectOption("#language", language);
    const told = words(language);
    const said = await page.textContent("#result");
    for (const key of ["model-same", "at-shipment", "no-shipment", "when-at-shipment"]) {
      assert.ok(said.includes(told[`${key}-pre`]) || key === "when-at-shipment", `${language}: ${key}: ${said}`);
    }
    assert.ok(!said.includes(told["model-same"]) && !said.includes(told["at-shipment"]), `${language}: ${said}`);
  }
});
