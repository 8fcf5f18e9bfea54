// The page's words and the findings' texts, in three languages, as data: words/ and findings/.
import deFindings from "./findings/de.json";
import enFindings from "./findings/en.json";
import zhFindings from "./findings/zh.json";
import de from "./words/de.json";
import en from "./words/en.json";
import zh from "./words/zh.json";
import { el, others } from "./dom.js";

const ALL = { en: [en, enFindings], de: [de, deFindings], zh: [zh, zhFindings] };

let [words, findings] = ALL.en;

/** Sets the language, for everything that is made from now on. */
export function speak(language) {
  [words, findings] = ALL[language] ?? ALL.en;
  document.documentElement.lang = language in ALL ? language : "en";
}

/** The language that the browser asks for, of those that there are. */
export const preferred = () =>
  navigator.languages.map((tag) => tag.slice(0, 2).toLowerCase()).find((tag) => tag in ALL) ?? "en";

/** Returns the words of a key, `{name}` replaced by what is given. */
export const t = (key, given = {}) => (words[key] ?? key).replace(/\{(\w+)\}/g, (_, name) => given[name] ?? "");

/** Returns the words of a key, if there are any. */
export const maybe = (key) => words[key];

/** Returns the words of a key that may have none: then the word of the format, which somebody else may have chosen. */
export const known = (prefix, word) => words[`${prefix}${word}`] ?? others(word, 64);

/** Returns the words of a key as pieces, elements or text of others put in where `{name}` stands. */
export const pieces = (key, given) =>
  (words[key] ?? key)
    .split(/(\{\w+\})/)
    .map((piece) => (piece.startsWith("{") ? (given[piece.slice(1, -1)] ?? "") : piece))
    .map((piece) => (typeof piece === "number" ? String(piece) : piece));

/** Returns what a finding means and what would clear it. */
export const meaning = (code) => findings[code];

/** Puts the words into what the page's own markup names by `data-t`. */
export function translate(root = document) {
  for (const place of root.querySelectorAll("[data-t]")) place.textContent = t(place.dataset.t);
  for (const place of root.querySelectorAll("[data-t-label]")) place.setAttribute("aria-label", t(place.dataset.tLabel));
  document.title = t("title");
}

/** A heading with an id, for the regions that it names. */
export const heading = (level, key, given) => el(`h${level}`, { id: `h-${key}` }, t(key, given));
