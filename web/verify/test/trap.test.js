// What the page says when its verifier stops: nothing that could be taken for a verdict.
import assert from "node:assert/strict";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";

import { page as build } from "../build.js";
import { PAGE, ROOT, WASM, browser, folder, json, open, verify } from "./support.js";

const VECTORS = join(ROOT, "tests/vectors/bundles");
const PAGE_OF_MEMORY = 65_536;
const cleaning = [];
const whole = { after: (clean) => cleaning.push(clean) };
let context;

before(async () => {
  context = await browser(whole);
});
after(async () => {
  for (const clean of cleaning.reverse()) await clean();
});

// --- The verifier's own module, changed as little as makes it stop ---

/** Reads a number as WebAssembly writes it (LEB128), and where it ends. */
function number(bytes, at) {
  let [value, shift, place] = [0, 0, at];
  for (;;) {
    const byte = bytes[place];
    place += 1;
    value += (byte & 0x7f) * 2 ** shift;
    if (byte < 0x80) return [value, place];
    shift += 7;
  }
}

function written(value) {
  const bytes = [];
  for (let rest = value; ; rest = Math.floor(rest / 128)) {
    if (rest < 128) return Buffer.from([...bytes, rest]);
    bytes.push((rest % 128) + 128);
  }
}

/** Replaces the content of a section of a module. */
function section(wasm, id, change) {
  for (let at = 8; at < wasm.length; ) {
    const [size, from] = number(wasm, at + 1);
    if (wasm[at] === id) {
      const content = change(wasm.subarray(from, from + size));
      return Buffer.concat([wasm.subarray(0, at), Buffer.from([id]), written(content.length), content, wasm.subarray(from + size)]);
    }
    at = from + size;
  }
  throw new Error(`the module has no section ${id}`);
}

/** The verifier with no more memory than it begins with, and so many bytes. */
const withMemory = (more) => (wasm) =>
  section(wasm, 5, (memory) => {
    assert.deepEqual([...memory.subarray(0, 2)], [1, 0], "one memory, without a maximum");
    const [least] = number(memory, 2);
    return Buffer.concat([Buffer.from([1, 1]), written(least), written(least + Math.ceil(more / PAGE_OF_MEMORY))]);
  });

/** The verifier whose exported function of a name does nothing but stop. */
const stoppingIn = (name) => (wasm) => {
  const index = exported(wasm, name) - imported(wasm);
  return section(wasm, 10, (code) => {
    const [count, from] = number(code, 0);
    const bodies = [];
    for (let [left, at] = [count, from]; left > 0; left -= 1) {
      const [size, begin] = number(code, at);
      bodies.push(code.subarray(begin, begin + size));
      at = begin + size;
    }
    // No local variables, `unreachable`, the end.
    bodies[index] = Buffer.from([0, 0, 0x0b]);
    return Buffer.concat([written(count), ...bodies.flatMap((body) => [written(body.length), body])]);
  });
};

/** The verifier imports nothing (units.test.js), so that its functions are counted from 0. */
function imported(wasm) {
  return WebAssembly.Module.imports(new WebAssembly.Module(wasm)).length;
}

function exported(wasm, wanted) {
  let found;
  section(wasm, 7, (content) => {
    let [count, at] = number(content, 0);
    for (; count > 0; count -= 1) {
      const [length, begin] = number(content, at);
      const name = content.subarray(begin, begin + length).toString();
      const [index, end] = number(content, begin + length + 1);
      if (name === wanted) found = index;
      at = end;
    }
    return content;
  });
  return found;
}

async function pageWith(test, change) {
  const path = join(folder(test), "page.html");
  writeFileSync(path, await build(change(readFileSync(WASM))));
  const page = await open(context, path);
  test.after(() => page.close());
  return page;
}

const at = (name) => join(VECTORS, name);
const GIVEN = { bundle: at("accept/honest/bundle.griptrace"), trust: at("trust.toml"), policy: at("policy.toml"), question: { destination: "DE" } };

/** Holds the page to have said that nothing was verified, and to show nothing else. */
async function assertStopped(page) {
  const words = json(join(ROOT, "web/verify/src/words/en.json"));
  const said = await page.textContent("#result");
  assert.ok(said.includes(words["why-trap"]) && said.includes(words["could-not-means"]), said);
  assert.match(words["why-trap"], /^The verifier stopped; nothing was verified\./);
  assert.equal(await page.$("#verdict"), null);
  assert.equal(await page.$$eval("#result section", (sections) => sections.length), 1);
  assert.ok(await page.isHidden("#after"), "nothing can be printed or saved");
  assert.ok(await page.isEnabled("#verify"), "it can be tried again");
  assert.equal((await page.evaluate(() => globalThis.griptrace.answer())).report, undefined);
  for (const language of ["de", "zh"]) {
    await page.selectOption("#language", language);
    assert.ok((await page.textContent("#result")).includes(json(join(ROOT, `web/verify/src/words/${language}.json`))["why-trap"]), language);
    assert.equal(await page.$("#verdict"), null);
  }
}

for (const name of ["about", "room", "part", "verify", "output"]) {
  test(`a verifier that stops has verified nothing: in ${name}`, async (t) => {
    const page = await pageWith(t, stoppingIn(name));
    await verify(page, GIVEN);
    await assertStopped(page);
  });
}

test("a verifier that stops while it hashes the model has verified nothing", async (t) => {
  const page = await pageWith(t, stoppingIn("hash_chunk"));
  await verify(page, { ...GIVEN, model: { file: at("policy.toml") } });
  await assertStopped(page);
});

test("memory that runs out is said, wherever it does", async (t) => {
  const size = readFileSync(GIVEN.bundle).length;
  const stopped = [];
  for (const more of [0, size, 3 * size, 1 << 20]) {
    const page = await pageWith(t, withMemory(more));
    await verify(page, GIVEN);
    if (await page.$("#verdict")) {
      assert.equal(await page.textContent("#verdict"), await verdictOfAll(t));
      continue;
    }
    await assertStopped(page);
    stopped.push(more);
  }
  assert.ok(stopped.length > 0, "it had enough memory each time");
});

async function verdictOfAll(t) {
  const page = await open(context, PAGE);
  t.after(() => page.close());
  await verify(page, GIVEN);
  return page.textContent("#verdict");
}

test("after a stop nothing of the instance is left: the same page verifies what it can", async (t) => {
  const page = await pageWith(t, stoppingIn("hash_chunk"));
  await verify(page, { ...GIVEN, model: { file: at("policy.toml") } });
  assert.equal(await page.$("#verdict"), null);
  assert.equal(page.workers().length, 0, "the worker has gone");
  await page.click("#model-chosen button");
  await page.click("#verify");
  await page.waitForSelector("#verdict");
  assert.equal(await page.textContent("#verdict"), await verdictOfAll(t));
});
