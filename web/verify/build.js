// Builds the page: everything that it needs in one file, with a policy that lets nothing else in.
//
//   node build.js                builds the verifier too (verifier/wasm/build.sh)
//   node build.js --wasm FILE    takes one that was built
import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { gzipSync } from "node:zlib";

import { build } from "esbuild";

const here = dirname(fileURLToPath(import.meta.url));
/** Bytes of the page at most: it is sent by mail. */
const PAGE_BYTES_MAX = 3 << 20;
/** Browsers that know what the page needs: SIMD in WebAssembly, and unpacking. */
const BROWSERS = ["chrome91", "firefox113", "safari16.4"];
/** What the graph library would add itself, and the policy would refuse. */
const GRAPH_STYLE = ".__________cytoscape_container { position: relative; }";

const hash = (text, form) => createHash("sha256").update(text).digest(form);
const source = (name) => readFileSync(join(here, "src", name), "utf8");

async function bundle(name, define) {
  const result = await build({
    entryPoints: [join(here, "src", name)],
    absWorkingDir: here,
    bundle: true,
    charset: "utf8",
    define,
    format: "iife",
    legalComments: "none",
    loader: { ".json": "json" },
    minify: true,
    target: BROWSERS,
    write: false,
  });
  return result.outputFiles[0].text;
}

/** Compresses without the time and the system that gzip would note. */
function pack(wasm) {
  const packed = gzipSync(wasm, { level: 9 });
  packed.fill(0, 4, 8);
  packed[9] = 255;
  return packed.toString("base64");
}

function licences() {
  const parts = ["cytoscape", "cytoscape-dagre"].map((name) => {
    const folder = join(here, "node_modules", name);
    const { version } = JSON.parse(readFileSync(join(folder, "package.json"), "utf8"));
    return `${name} ${version}\n\n${readFileSync(join(folder, "LICENSE"), "utf8").trim()}`;
  });
  return `<!--\n${parts.join("\n\n").replaceAll("--", "- -")}\n-->\n`;
}

export async function page(wasm) {
  const worker = await bundle("worker.js", { WASM: JSON.stringify(pack(wasm)) });
  const script = await bundle("main.js", { WORKER: JSON.stringify(worker) });
  if (/<!--|<\/script/i.test(script)) throw new Error("the script holds what would end it in the page");
  const style = source("style.css");
  const inline = (text) => `'sha256-${hash(text, "base64")}'`;
  const policy = [
    "default-src 'none'",
    `script-src ${inline(script)} 'wasm-unsafe-eval'`,
    `style-src ${inline(style)} ${inline(GRAPH_STYLE)}`,
    "worker-src blob:",
    "connect-src 'none'",
    "base-uri 'none'",
    "form-action 'none'",
  ].join("; ");
  const parts = { CSP: policy, GRAPH_STYLE, STYLE: style, SCRIPT: script };
  return source("page.html").replace(/%([A-Z_]+)%/g, (_, name) => parts[name]) + licences();
}

async function main() {
  const { wasm } = parseArgs({ options: { wasm: { type: "string" } } }).values;
  const path = wasm ?? execFileSync(join(here, "../../verifier/wasm/build.sh"), { encoding: "utf8" }).trim();
  const html = await page(readFileSync(path));
  const size = Buffer.byteLength(html);
  if (size > PAGE_BYTES_MAX) throw new Error(`the page has ${size} bytes, more than ${PAGE_BYTES_MAX}`);
  mkdirSync(join(here, "dist"), { recursive: true });
  const out = join(here, "dist", "griptrace-verify.html");
  writeFileSync(out, html);
  console.log(`${out}: ${size} bytes\nsha256 ${hash(html, "hex")}`);
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await main();
