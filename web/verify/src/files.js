// The files that the buyer chose or dropped.

const FIRST_BYTES = 65_536;

/**
 * Walks what was dropped; a folder's files come with their paths in it. Returns `{folder, files: [{path, file}]}` and
 * `{file}`.
 */
export async function dropped(transfer) {
  // All of it is taken before the first wait: afterwards the list is empty.
  const taken = [...transfer.items]
    .filter(({ kind }) => kind === "file")
    .map((item) => ({ file: item.getAsFile(), folder: folderOf(item) }));
  const found = [];
  for (const { file, folder } of taken) {
    const opened = await folder;
    if (opened) found.push({ folder: opened.name, files: await walk(opened, "") });
    else if (file) found.push({ file });
  }
  return found;
}

/**
 * Opens what was dropped if it is a folder. By its handle, where the browser has them: Chromium does not read the older
 * entries in a page that comes from a file.
 */
async function folderOf(item) {
  if (!item.getAsFileSystemHandle) {
    const entry = item.webkitGetAsEntry?.();
    return entry?.isDirectory ? entry : null;
  }
  const handle = await item.getAsFileSystemHandle();
  return handle?.kind === "directory" ? handle : null;
}

async function walk(folder, before) {
  const files = [];
  for await (const item of folder.values ? folder.values() : entries(folder)) {
    const path = `${before}${item.name}`;
    if (item.kind === "directory" || item.isDirectory) files.push(...(await walk(item, `${path}/`)));
    else files.push({ path, file: await (item.getFile ? item.getFile() : new Promise((yes, no) => item.file(yes, no))) });
  }
  return files;
}

/** The entries of a folder, which a reader gives some at a time, and none at its end. */
async function* entries(folder) {
  const reader = folder.createReader();
  for (;;) {
    const some = await new Promise((yes, no) => reader.readEntries(yes, no));
    if (some.length === 0) return;
    yield* some;
  }
}

/** What an input for folders gave: the folder's name, and its files by their paths in it. */
export function chosenFolder(list) {
  const files = [...list].map((file) => ({ path: file.webkitRelativePath.split("/").slice(1).join("/"), file }));
  return { folder: list[0]?.webkitRelativePath.split("/")[0] ?? "", files };
}

/** Guesses what a dropped file is by how it begins, so that it needs no choosing; the buyer sees it and may change it. */
export async function guess(file) {
  const begin = await file.slice(0, FIRST_BYTES).text();
  if (begin.startsWith("griptrace bundle ")) return "bundle";
  if (begin.startsWith("griptrace update ")) return "updates";
  if (!file.name.endsWith(".toml")) return "model";
  return /^\s*id\s*=/m.test(begin.split(/^\s*\[/m)[0]) ? "policy" : "trust";
}
