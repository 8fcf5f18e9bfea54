// The files that the buyer chose or dropped.

const FIRST_BYTES = 65_536;

/** Walks what was dropped; a folder's files come with their paths in it. Returns lists of `{path, file}` by folder or file. */
export async function dropped(transfer) {
  // All entries are taken before the first wait: afterwards the list is empty.
  const entries = [...transfer.items].map((item) => item.webkitGetAsEntry?.()).filter(Boolean);
  const found = [];
  for (const entry of entries) {
    if (entry.isDirectory) found.push({ folder: entry.name, files: await walk(entry, "") });
    else found.push({ file: await fileOf(entry) });
  }
  return found;
}

const fileOf = (entry) => new Promise((yes, no) => entry.file(yes, no));

async function walk(folder, before) {
  const reader = folder.createReader();
  const files = [];
  for (;;) {
    // A reader gives some at a time, and none at its end.
    const some = await new Promise((yes, no) => reader.readEntries(yes, no));
    if (some.length === 0) return files;
    for (const entry of some) {
      const path = `${before}${entry.name}`;
      if (entry.isDirectory) files.push(...(await walk(entry, `${path}/`)));
      else files.push({ path, file: await fileOf(entry) });
    }
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
