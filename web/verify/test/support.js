// What the tests share: the browser, the page in it, and the program that it is compared with.
import { spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";

import { chromium } from "playwright-core";

export const ROOT = join(dirname(fileURLToPath(import.meta.url)), "../../..");
export const PAGE = join(ROOT, "web/verify/dist/griptrace-verify.html");
/** The verifier that the page was built with. */
export const WASM = process.env.GRIPTRACE_WASM ?? join(ROOT, "target/web/wasm32-unknown-unknown/release/griptrace_verifier_wasm.wasm");
const TARGET = process.env.CARGO_TARGET_DIR ?? join(ROOT, "target");
const PROGRAMS = process.env.GRIPTRACE_PROGRAMS ?? join(TARGET, "release");

const FLAGS = [
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
];

/** A folder that goes when the test ends. */
export function folder(test) {
  const path = mkdtempSync(join(tmpdir(), "griptrace-web-"));
  test.after(() => rmSync(path, { recursive: true, force: true }));
  return path;
}

/** Starts the browser, as a user of its own would. */
export async function browser(test, { flags = [], ...options } = {}) {
  const profile = folder(test);
  const context = await chromium.launchPersistentContext(profile, {
    executablePath: process.env.GRIPTRACE_CHROMIUM ?? "/usr/bin/chromium",
    chromiumSandbox: process.getuid() !== 0,
    args: [...FLAGS, ...flags],
    acceptDownloads: true,
    ...options,
  });
  test.after(() => context.close());
  return context;
}

/** Opens the page from its file, and fails the test on anything that the page complains of. */
export async function open(context, file = PAGE) {
  const page = await context.newPage();
  page.complaints = [];
  page.on("console", (message) => message.type() === "error" && page.complaints.push(message.text()));
  page.on("pageerror", (error) => page.complaints.push(String(error)));
  await page.goto(pathToFileURL(file).href);
  return page;
}

/**
 * Gives the page what a buyer has, and returns what it answers. `model` is a file or, with `folder`, a folder;
 * `updates` and `against` are lists of files.
 */
export async function verify(page, { bundle, trust, policy, model, question = {}, updates = [], against = [] }) {
  await page.reload();
  await page.setInputFiles("#bundle", bundle);
  await page.setInputFiles("#trust", trust);
  await page.setInputFiles("#policy", policy);
  if (model?.file) await page.setInputFiles("#model-file", model.file);
  if (model?.folder) await page.setInputFiles("#model-folder", model.folder);
  if (model?.digest) await page.fill("#model-digest", model.digest);
  if (updates.length + against.length) {
    await page.click("details.more summary");
    await page.setInputFiles("#updates", updates);
    await page.setInputFiles("#against", against);
  }
  for (const [field, value] of Object.entries(question)) await page.fill(`#${field}`, value);
  await page.click("#verify");
  await page.waitForSelector("#result section", { timeout: 300_000 });
  return page.evaluate(() => globalThis.griptrace.answer());
}

/** Runs `griptrace-verify` as the page was asked, and returns its report line, complaints and exit code. */
export function program(cwd, args) {
  const found = spawnSync(join(PROGRAMS, "griptrace-verify"), [...args, "--json"], { cwd, encoding: "utf8", maxBuffer: 1 << 30 });
  if (found.error) throw found.error;
  return { line: found.stdout.trimEnd(), complaints: found.stderr, code: found.status };
}

/** Runs `griptrace`. */
export function griptrace(cwd, ...args) {
  const found = spawnSync(join(PROGRAMS, "griptrace"), args, { cwd, encoding: "utf8", maxBuffer: 1 << 30 });
  if (found.error) throw found.error;
  if (found.status !== 0) throw new Error(`griptrace ${args.join(" ")}: ${found.stdout}${found.stderr}`);
  return found.stdout;
}

/** The story that `griptrace demo` plays, with its lies. Made once for a file of tests. */
let demo;
export function story(test) {
  if (!demo || !existsSync(demo)) {
    const path = folder(test);
    griptrace(path, "demo");
    demo = join(path, "demo");
  }
  return demo;
}

export const json = (path) => JSON.parse(readFileSync(path, "utf8"));
export const text = (path) => readFileSync(path, "utf8");

/** Codes of a report's findings, each once. */
export const codes = (report) => [...new Set(report.findings.map(({ code }) => code))].sort();

/** Holds two reports to be the same bytes, and says where they differ. */
export function sameBytes(shown, reported, more = "") {
  if (shown === reported) return;
  const at = [...reported].findIndex((letter, place) => letter !== shown?.[place]);
  const around = (text = "") => text.slice(Math.max(0, at - 80), at + 80);
  throw new Error(`the page says ...${around(shown)}...\nand the program ...${around(reported)}... ${more}`);
}
