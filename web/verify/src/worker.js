// Reads and hashes files and verifies, beside the page, so that the page never waits.
/* global WASM */
import { Verifier } from "./verifier.js";

/** Bytes that are read at once: few enough to show progress, enough that reading costs little. */
const CHUNK = 8 << 20;
/** Milliseconds between two reports of progress. */
const EVERY = 100;

let compiled;

async function instance() {
  compiled ??= unpack(WASM).then((bytes) => WebAssembly.compile(bytes));
  return new Verifier(await WebAssembly.instantiate(await compiled, {}));
}

/** Unpacks what the build packed: gzip, in base64. */
async function unpack(text) {
  const packed = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
  return new Response(new Blob([packed]).stream().pipeThrough(new DecompressionStream("gzip"))).arrayBuffer();
}

/** Why a file could not be read. */
class Unreadable extends Error {
  constructor(key, name, why) {
    super(why);
    this.said = { key, name, why };
  }
}

async function read(file, from, to) {
  try {
    return await file.slice(from, to).arrayBuffer();
  } catch (error) {
    throw new Unreadable("cannot-read", file.name, error.message);
  }
}

/** Reads a file in chunks; the next one is on its way while one is used. */
async function* chunks(file, tell) {
  let next = read(file, 0, CHUNK);
  for (let at = 0; at < file.size; at += CHUNK) {
    const piece = await next;
    next = at + CHUNK < file.size ? read(file, at + CHUNK, at + 2 * CHUNK) : undefined;
    if (piece.byteLength !== Math.min(CHUNK, file.size - at)) throw new Unreadable("changed", file.name, "");
    yield piece;
    tell(piece.byteLength);
  }
}

/** Hashes the model's files and returns what the request says of them. */
async function inHand(verifier, model) {
  if (!model) return null;
  if (model.digest) return { digest: model.digest };
  const total = model.files.reduce((sum, { file }) => sum + file.size, 0);
  const began = performance.now();
  let [done, told] = [0, 0];
  const records = [];
  for (const { path, file } of model.files) {
    const tell = (count) => {
      done += count;
      const now = performance.now();
      if (now - told < EVERY && done < total) return;
      told = now;
      postMessage({ progress: { name: path, done, total, seconds: (now - began) / 1000 } });
    };
    records.push({ path, ...(await verifier.hash(chunks(file, tell), CHUNK)) });
  }
  return model.folder === undefined ? { file: records[0] } : { folder: records, name: model.folder };
}

async function verify({ question, model, trust, policy, bundle, updates, against }) {
  const verifier = await instance();
  const limits = verifier.about();
  const hand = await inHand(verifier, model);
  postMessage({ stage: "reading" });
  const named = ({ name, size }) => ({ name, size });
  // What is above its limit is refused for its size, and need not be read.
  const upTo = (limit) => (file) => (file.size > limit ? new ArrayBuffer(0) : read(file, 0, file.size));
  const parts = await Promise.all([
    upTo(limits.config_bytes_max)(trust),
    upTo(limits.config_bytes_max)(policy),
    upTo(limits.bundle_bytes_max)(bundle),
    ...updates.map(upTo(limits.update_bytes_max)),
    ...against.map(upTo(limits.bundle_bytes_max)),
  ]);
  postMessage({ stage: "verifying" });
  const files = { trust: named(trust), policy: named(policy), bundle: named(bundle) };
  const lists = { updates: updates.map(named), against: against.map(named) };
  const began = performance.now();
  const answer = verifier.verify({ ...question, model: hand, ...files, ...lists }, parts);
  return { ...answer, milliseconds: performance.now() - began, version: limits.version };
}

addEventListener("message", async ({ data }) => {
  try {
    postMessage({ answer: await verify(data) });
  } catch (error) {
    if (error instanceof Unreadable) postMessage({ failed: error.said });
    else if (error instanceof WebAssembly.CompileError || error instanceof ReferenceError) {
      postMessage({ failed: { key: "old-browser" } });
    } else postMessage({ failed: { key: "trap", why: String(error) } });
  }
});
