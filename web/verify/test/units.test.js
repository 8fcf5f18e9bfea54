// What needs no browser: the texts, the graph that is drawn, the verifier's functions, the build.
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";

import { page } from "../build.js";
import { reduce } from "../src/reduce.js";
import { Verifier } from "../src/verifier.js";
import { PAGE, ROOT, WASM, json, text } from "./support.js";

const LANGUAGES = ["en", "de", "zh"];
const data = (kind, language) => json(join(ROOT, `web/verify/src/${kind}/${language}.json`));

test("every finding has a text in every language", () => {
  const spec = text(join(ROOT, "docs/spec/verify.md"));
  const table = spec.split("<!-- findings: begin -->")[1].split("<!-- findings: end -->")[0];
  const codes = [...table.matchAll(/^\| `([a-z-]+)` \|/gm)].map(([, code]) => code);
  assert.ok(codes.length > 90, `the table has ${codes.length} codes`);
  for (const language of LANGUAGES) {
    const findings = data("findings", language);
    assert.deepEqual(Object.keys(findings), codes, language);
    for (const [code, { means, clear }] of Object.entries(findings)) {
      assert.ok(means.length > 3 && clear.length > 3, `${language}: ${code}`);
    }
  }
  const [en, de, zh] = LANGUAGES.map((language) => data("findings", language));
  const same = codes.filter((code) => new Set([en, de, zh].map((all) => all[code].means)).size < 3);
  assert.deepEqual(same, [], "not translated");
});

test("every word of the page stands in every language, with the same places to fill", () => {
  const [en, ...others] = LANGUAGES.map((language) => data("words", language));
  const places = (words) => (words.match(/\{\w+\}/g) ?? []).sort();
  for (const words of others) {
    assert.deepEqual(Object.keys(words), Object.keys(en));
    for (const key of Object.keys(en)) assert.deepEqual(places(words[key]), places(en[key]), key);
  }
  const used = [...text(join(ROOT, "web/verify/src/page.html")).matchAll(/data-t(?:-label)?="([a-z-]+)"/g)];
  assert.deepEqual(used.map(([, key]) => key).filter((key) => !(key in en)), []);
});

// The English words are looked for in all files, by tests/suite/tidy.rs.
test("nothing says more than was checked, in other languages", () => {
  const all = ["de", "zh"].flatMap((language) => ["words", "findings"].map((kind) => JSON.stringify(data(kind, language))));
  const claims = /konform|zugelassen|zertifiziert|合规|认证|批准/i;
  assert.deepEqual(all.map((words) => words.match(claims)?.[0]).filter(Boolean), []);
});

test("no text sends a reader of the page to the program's options, or to a document that is not there", () => {
  for (const language of LANGUAGES) {
    const all = ["words", "findings"].map((kind) => JSON.stringify(data(kind, language))).join("").replaceAll(/`griptrace prove --(?:since|update-of)`/g, "");
    assert.deepEqual([...all.matchAll(/.{20}(?:--[a-z]|docs\/).{20}/g)].map(String), [], language);
  }
});

test("Chinese has its own punctuation", () => {
  const all = ["words", "findings"].flatMap((kind) => Object.values(data(kind, "zh"))).flatMap((one) => (typeof one === "string" ? one : Object.values(one)));
  const half = all.filter((text) => /[\u4e00-\u9fff}] ?[,;:?!()]|[,;:?!()] ?[\u4e00-\u9fff{]/u.test(text));
  assert.deepEqual(half, []);
});

test("one thing has one name: assessors, committers and checkpoints in German and Chinese", () => {
  const old = { de: /Prüfer|Eintragende|Unterschrift|unterschr|Kopf|Köpfe/, zh: /头部|证据包/ };
  for (const [language, words] of Object.entries(old)) {
    const all = ["words", "findings"].map((kind) => JSON.stringify(data(kind, language))).join("");
    assert.equal(all.match(words)?.[0], undefined, language);
  }
});

// --- The graph that is drawn ---

const graph = (nodes, edges) => ({ nodes: nodes.map((kind, n) => ({ kind, id: String(n), party: "maker", country: "DE" })), edges });

test("a small graph is drawn as it is", () => {
  const small = graph(["shipment", "model", "dataset", "dataset"], [[0, 1, "ships"], [1, 2, "used"], [1, 3, "used"]]);
  const drawn = reduce(small);
  assert.deepEqual(drawn.nodes.map(({ places }) => places), [[0], [1], [2], [3]]);
  assert.deepEqual(drawn.edges, small.edges);
});

test("alike nodes of a large graph are one, and what has a finding stands alone", () => {
  const many = 500;
  const kinds = ["model", "transformation", ...Array(many).fill("dataset")];
  const edges = [[0, 1, "generated-by"], ...Array.from({ length: many }, (_, n) => [1, n + 2, "used"])];
  const drawn = reduce(graph(kinds, edges), (place) => place === 7);
  assert.deepEqual(drawn.nodes.map(({ places }) => places.length).sort((a, b) => a - b), [1, 1, 1, many - 1]);
  assert.equal(drawn.count, many + 2);
  assert.equal(drawn.edges.length, 3);
});

test("what can't be drawn is left out from the far end, and counted", () => {
  const length = 1000;
  const edges = Array.from({ length: length - 1 }, (_, n) => [n, n + 1, "used"]);
  const drawn = reduce(graph(Array(length).fill("dataset"), edges));
  assert.ok(drawn.count < length && drawn.nodes.length <= 240);
  assert.deepEqual(drawn.nodes[0].places, [0]);
  assert.ok(drawn.edges.every(([from, to]) => from < drawn.nodes.length && to < drawn.nodes.length));
});

// --- The verifier's functions ---

const verifier = async () => new Verifier(await WebAssembly.instantiate(await WebAssembly.compile(readFileSync(WASM)), {}));
const VECTORS = join(ROOT, "tests/vectors/bundles");
const honest = () => ["trust.toml", "policy.toml", "accept/honest/bundle.griptrace"].map((name) => readFileSync(join(VECTORS, name)));

function request(change = {}) {
  const { now, destination, consignee, purposes, model } = json(join(VECTORS, "question.json"));
  const file = (name) => ({ name, size: 1 });
  const files = { trust: file("trust.toml"), policy: file("policy.toml"), bundle: file("bundle.griptrace") };
  return { now, destination, consignee, purposes, model, ...files, ...change };
}

test("the wasm asks for nothing: no clock, file, network or randomness could be handed to it", async () => {
  assert.deepEqual(WebAssembly.Module.imports(await WebAssembly.compile(readFileSync(WASM))), []);
});

test("what is wrong with a request is said, and nothing is checked", async () => {
  const one = await verifier();
  const wrong = {
    now: ["2026-13-01", /^the day: /],
    destination: ["de", /^the destination: two capital letters/],
    purposes: [["Grasp!"], /^a purpose: a word of a-z/],
    trust: [{}, /^trust: name and size/],
    model: [{ folder: [] }, /the folder has no files/],
    bundle: [{ name: "b", size: 2 ** 30 + 1 }, /^b: 1073741825 bytes or more are above the limit of 1073741824/],
  };
  for (const [field, [value, expected]] of Object.entries(wrong)) {
    const { error, graph: drawn } = one.verify(request({ [field]: value }), honest());
    assert.match(error, expected, field);
    assert.equal(drawn, undefined);
  }
  const digest = one.verify(request({ model: { digest: "sha256:12" } }), honest());
  assert.match(digest.error, /^the digest: 64 hexadecimal digits/);
  const twice = { path: "a", size: 1, blake3: "0".repeat(64) };
  assert.match(one.verify(request({ model: { folder: [twice, twice], name: "m" } }), honest()).error, /^m: .*stands twice/);
  assert.equal(JSON.parse(one.verify(request(), honest()).report).policy_met, true, "the instance still works");
});

test("an answer says what was asked, and whose files it is about", async () => {
  const one = await verifier();
  const [trust, policy, bundle] = honest();
  const expect = 'expect = { destination = "DE", consignee = "Somebody GmbH", purpose = ["train-adaptive-grasp-control", "weld"] }\n';
  const told = Buffer.from(trust.toString().replace(/^expect = .*\n/m, expect));
  assert.ok(told.includes("Somebody"));
  const model = { name: "m", folder: [{ path: "b", size: 3, blake3: "1".repeat(64), sha256: "2".repeat(64) }, { path: "a", size: 1, blake3: "3".repeat(64) }] };
  const change = { destination: null, consignee: null, purposes: ["train-adaptive-grasp-control"], model };
  const { asked, report } = one.verify(request(change), [told, policy, bundle]);
  const sha256 = (bytes) => createHash("sha256").update(bytes).digest("hex");
  const named = (name, bytes) => ({ name, size: 1, sha256: sha256(bytes) });
  assert.deepEqual(asked, {
    now: request().now,
    destination: { value: "DE", from_trust: true },
    consignee: { value: "Somebody GmbH", from_trust: true },
    purposes: [{ value: "train-adaptive-grasp-control", from_trust: false }, { value: "weld", from_trust: true }],
    trust: named("trust.toml", told), policy: named("policy.toml", policy),
    bundle: { ...named("bundle.griptrace", bundle), digest: JSON.parse(report).bundle_digest },
    updates: [], against: [],
    model: { files: [
      { name: "a", size: 1, blake3: "3".repeat(64), sha256: null },
      { name: "b", size: 3, blake3: "1".repeat(64), sha256: "2".repeat(64) },
    ] },
  });
  const own = one.verify(request({ destination: "FR", model: null }), [told, policy, bundle]).asked;
  assert.deepEqual([own.destination, own.model], [{ value: "FR", from_trust: false }, null]);
});

test("what could not be checked has a word for what it is with, and what is wrong", async () => {
  const one = await verifier();
  const [trust, policy, bundle] = honest();
  const wrong = (change, files) => {
    const { of, why, asked } = one.verify(request(change), files);
    assert.equal(asked, undefined);
    return [of, why];
  };
  const update = { name: "u", size: 1 };
  const cases = [
    [["trust", "not-text"], {}, [Buffer.from([0xff]), policy, bundle]],
    [["policy", "config"], {}, [trust, Buffer.from("id ="), bundle]],
    [["trust", "too-large"], { trust: { name: "t", size: 2 ** 21 } }, [trust, policy, bundle]],
    [["bundle", "not-a-bundle"], {}, [trust, policy, Buffer.from("no")]],
    [["updates", "not-an-update"], { updates: [update] }, [trust, policy, bundle, Buffer.from("no")]],
    [["destination", "field"], { destination: "de" }, [trust, policy, bundle]],
    [["model-digest", "field"], { model: { digest: "1" } }, [trust, policy, bundle]],
    [["model", "no-files"], { model: { folder: [] } }, [trust, policy, bundle]],
  ];
  for (const [expected, change, files] of cases) assert.deepEqual(wrong(change, files), expected);
  const words = data("words", "en");
  for (const [[of, why]] of cases) assert.ok(of in words && (`why-${why}` in words || `why-${why}-${of}` in words), `${of} ${why}`);
});

test("no change of a byte is taken, or stops the verifier", async () => {
  const one = await verifier();
  const [trust, policy, bundle] = honest();
  // Numbers that look random and are the same in every run.
  let seed = 20261128;
  const below = (end) => {
    seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0;
    return Math.floor((seed / 2 ** 32) * end);
  };
  for (let round = 0; round < 200; round += 1) {
    const changed = Buffer.from(bundle);
    const at = below(changed.length);
    changed[at] ^= 1 << below(8);
    const cut = round % 10 === 0 ? changed.subarray(0, at) : changed;
    const { report, error } = one.verify(request(), [trust, policy, cut]);
    const found = JSON.parse(report);
    assert.ok(error !== undefined || found.verdict === "BROKEN", `byte ${at}: ${report}`);
  }
});

test("both digests of a file are hashed at 250 MB/s and more of one core's time", async () => {
  const one = await verifier();
  const chunk = new Uint8Array(8 << 20).fill(7);
  const chunks = Array(32).fill(chunk);
  let best = 0;
  for (let round = 0; round < 5 && best < 400; round += 1) {
    const before = process.cpuUsage();
    await one.hash(chunks, chunk.length);
    const { user, system } = process.cpuUsage(before);
    best = Math.max(best, (chunks.length * chunk.length) / (user + system));
  }
  console.log(`hashing: ${best.toFixed(0)} MB a second of one core's time`);
  assert.ok(best >= 250, `${best.toFixed(0)} MB/s`);
});

// --- The build ---

test("the page has the same bytes whenever it is built", async () => {
  const wasm = readFileSync(WASM);
  const [first, second] = [await page(wasm), await page(wasm)];
  assert.equal(first, second);
  assert.equal(first, text(PAGE), "the page in dist is of other sources");
  assert.ok(Buffer.byteLength(first) < 3 << 20);
});

test("the page names nothing outside itself", () => {
  const html = text(PAGE).replace(/<script>[\s\S]*?<\/script>/, "").replace(/<!--[\s\S]*?-->/g, "");
  assert.doesNotMatch(html, /\b(src|href|srcset|data|action|poster)=|url\(|@import/);
});
