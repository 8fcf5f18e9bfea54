// Elements of the page. Text goes in as text, never as markup: most of it is whoever made the evidence's.
import { t } from "./words.js";

// What is not itself to be seen, or turns the direction of writing, as verifier/src/render/safe.rs has it.
const UNSEEN =
  /[\p{Cc}\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u2028-\u202e\u2060-\u206f\u2800\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufffb\u{1d173}-\u{1d17a}\u{e0000}-\u{e0fff}]/gu;

/** Returns text of others on one line: what would not be seen is escaped, and what is too long is cut. */
export function plain(text, limit = 2000) {
  const shown = String(text)
    .replace(UNSEEN, (c) => `\\u{${c.codePointAt(0).toString(16)}}`)
    .replace(/\s+/gu, " ");
  const letters = [...shown];
  return letters.length > limit ? `${letters.slice(0, limit - 3).join("")}...` : shown;
}

/** Makes an element of a tag, attributes (functions are listeners) and children (text or elements; empty ones left out). */
export function el(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === undefined || value === false || value === null) continue;
    if (typeof value === "function") made.addEventListener(name, value);
    else made.setAttribute(name, value === true ? "" : value);
  }
  made.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== ""));
  return made;
}

const long = (shown) => /\S{25}/u.test(shown) && "long";

/** Text of the reader's or the verifier's, whichever way it is written. What has no space is broken anywhere. */
export function own(text, limit) {
  const shown = plain(text, limit);
  return el("bdi", { class: long(shown) }, shown);
}

/** Text of others in quotation marks, of which it can hold none itself. */
export const quoted = (text, limit) => `${t("quote-open")}${unquoted(text, limit)}${t("quote-close")}`;

const unquoted = (text, limit) => plain(text, limit).replace(/[“”„‟「」『』]/gu, '"');

/** Text of others, so that none of it can pass for the page's: in quotation marks, underlined (style.css), and not long. */
export function others(text, limit = 200) {
  const shown = unquoted(text, limit);
  if (shown === "") return "";
  return el("span", { class: ["foreign", long(shown)].filter(Boolean).join(" ") }, t("quote-open"), el("bdi", {}, shown), t("quote-close"));
}

/** Several texts of others. */
export const all = (texts, limit) => texts.flatMap((text, place) => [place ? t("comma") : "", others(text, limit)]);

/** Words of ours with what is written in backquotes as code. */
export const marked = (text) => text.split("`").map((part, place) => (place % 2 ? el("code", {}, part) : part));

/** A day, which stays on one line. */
export const day = (date) => el("span", { class: "day" }, date ?? "?");

/** An id, short to the eye and whole to whoever points at it, copies it or prints it. */
export const short = (id) => el("code", { title: id }, id.slice(0, 12));

/** A size in bytes, for people. */
export function bytes(count) {
  const units = ["B", "KB", "MB", "GB", "TB"];
  let place = 0;
  let size = count;
  while (size >= 1000 && place < units.length - 1) {
    size /= 1000;
    place += 1;
  }
  return `${size.toFixed(place && size < 100 ? 1 : 0)} ${units[place]}`;
}
