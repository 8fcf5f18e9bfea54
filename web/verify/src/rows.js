// Long lists: the first rows, and the next ones for who asks.
import { el } from "./dom.js";
import { t } from "./words.js";

/**
 * Returns the first rows, and behind a button the next ones; `wrap` makes of the button what stands in a list of such
 * rows. Paper has no button: it says how many are missing.
 */
export function rows(list, limit, make, wrap = (...button) => el("li", {}, button)) {
  const shown = list.slice(0, limit).map(make);
  const rest = list.slice(limit);
  if (rest.length === 0) return shown;
  const count = Math.min(limit, rest.length);
  const next = () => more.replaceWith(...rows(rest, limit, make, wrap));
  const more = wrap(
    el("button", { type: "button", click: next }, t("more-records", { count })),
    el("span", { class: "on-paper" }, t("not-printed", { count: rest.length })));
  return [...shown, more];
}
