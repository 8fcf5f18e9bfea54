// The ancestry: drawn, and as a list for those who can't see a drawing.
import cytoscape from "cytoscape";
import dagre from "cytoscape-dagre";
import { day, el, others, quoted, short } from "./dom.js";
import { reduce } from "./reduce.js";
import { table } from "./report.js";
import { heading, known, t } from "./words.js";

cytoscape.use(dagre);

/** Roles whose edges are drawn against their direction, so that arrows lead the way of the data. */
const ALONG = ["used", "generated-by", "ships"];
const RECORDS = 100;
const LABEL_MAX = 24;
const LAYOUT = { name: "dagre", nodeSep: 16, rankSep: 32, animate: false, padding: 16 };
/** Pixels of a label's letters where the drawing is not zoomed. */
const LETTERS = 14;
/** The zoom at which a label can still be read. */
const READABLE = 0.6;
/** Pixels between the drawing and the edge of its window. */
const EDGE = 16;
/** Pixels of paper for the drawing (182 mm by 150 mm, style.css), and of letters that can be read on it. */
const PAPER = { width: 688, height: 567, letters: 4 };
/** Pixels of the printed copy's longer side at most. */
const PRINT_MAX = 2400;

// Colours that can be read on light and dark paper alike; kinds differ in shape too.
const KINDS = {
  dataset: ["round-rectangle", "#bcd9f5"],
  transformation: ["ellipse", "#e3e3e3"],
  model: ["hexagon", "#cfeac4"],
  assessment: ["cut-rectangle", "#f6e3b0"],
  shipment: ["rectangle", "#e4cdf2"],
  status: ["octagon", "#f5c9c0"],
  erasure: ["octagon", "#f5c9c0"],
};
const STYLE = [
  { selector: "node", style: {
    label: "data(label)", shape: "data(shape)", "background-color": "data(colour)", color: "#10202e",
    "border-width": 1, "border-color": "#5f6f7d", width: 170, height: 50, "font-size": LETTERS, "text-wrap": "wrap",
    "text-valign": "center", "text-halign": "center", "font-family": "system-ui, sans-serif" } },
  { selector: "node[severity = 'error']", style: { "border-width": 4, "border-color": "#c62828" } },
  { selector: "node[severity = 'warning']", style: { "border-width": 4, "border-color": "#c77700" } },
  { selector: "node:selected", style: { "border-width": 5, "border-color": "#0b62c4" } },
  { selector: "edge", style: {
    width: 1.5, "line-color": "#7b8996", "target-arrow-color": "#7b8996", "target-arrow-shape": "triangle",
    "curve-style": "bezier" } },
  { selector: "edge[?aside]", style: { "line-style": "dashed" } },
];

/**
 * Returns the section, and for paper, at the end of all, a picture of the whole, which can't flow around what comes before.
 * `shown()` is to be called when they stand in the page, and they can be printed when that is done.
 */
export function ancestry(graph, report) {
  const head = heading(2, "graph");
  const frame = (...children) => el("section", { "aria-labelledby": "h-graph", class: "ancestry" }, head, ...children);
  if (graph.nodes.length === 0) {
    return { section: frame(el("p", {}, t("not-judged-here"))), picture: "", shown: async () => {} };
  }
  const worst = severities(report);
  const reduced = reduce(graph, (place) => worst.has(graph.nodes[place].id));
  const canvas = el("div", { class: "graph", "aria-hidden": "true" });
  const printed = el("section", { class: "printed", "aria-hidden": "true" }, el("h2", {}, t("graph")), el("p", {}, t("graph-not-printed")));
  const drawing = { cy: null };
  const button = (key, act) => el("button", { type: "button", click: () => act(drawing.cy) }, t(key));
  const zoom = (by) => (cy) => cy.zoom({ level: cy.zoom() * by, renderedPosition: { x: cy.width() / 2, y: cy.height() / 2 } });
  const part = reduced.nodes.length < report.nodes;
  const move = el("p", { class: "help on-screen", hidden: true }, t("graph-move"));
  const section = frame(
    el("p", {}, t("graph-help"), part ? ` ${t("graph-part", { drawn: reduced.count, total: report.nodes })}` : ""),
    el("div", { class: "tools" }, button("zoom-in", zoom(1.3)), button("zoom-out", zoom(1 / 1.3)), button("fit", (cy) => cy.fit(undefined, EDGE)), legend()),
    move,
    canvas,
    records(graph, reduced, drawing),
  );
  return { section, picture: printed, shown: () => draw(graph, reduced, worst, { canvas, printed, drawing, move }) };
}

/** The worst severity of the findings on each node. */
function severities({ findings }) {
  const worst = new Map();
  // The worst come first.
  for (const { node, severity } of findings) {
    if (node && severity !== "note" && !worst.has(node)) worst.set(node, severity);
  }
  return worst;
}

function legend() {
  const item = (kind) => el("li", { class: `kind-${kind}` }, t(`kind-${kind}`));
  return el("ul", { class: "legend" }, ["dataset", "transformation", "model", "assessment", "shipment", "status"].map(item));
}

function draw(graph, reduced, worst, { canvas, printed, drawing, move }) {
  const elements = [
    ...reduced.nodes.map(({ places }, number) => ({ data: { id: `n${number}`, ...look(graph, places, worst) } })),
    ...reduced.edges.map(([from, to, role], number) => {
      const along = ALONG.includes(role);
      const [source, target] = along ? [to, from] : [from, to];
      return { data: { id: `e${number}`, source: `n${source}`, target: `n${target}`, aside: !along } };
    }),
  ];
  const cy = cytoscape({
    container: canvas, elements, style: STYLE, userZoomingEnabled: matchMedia("(pointer: coarse)").matches, maxZoom: 3, minZoom: 0.02, boxSelectionEnabled: false,
    layout: { name: "null" },
  });
  layOut(cy);
  drawing.cy = cy;
  const view = () => (move.hidden = isAllReadable(cy));
  view();
  // Another size of the window is another view; on paper there is none.
  cy.on("resize", () => cy.width() > 0 && cy.height() > 0 && (cy.fit(undefined, EDGE), view()));
  return copyForPrint(cy, printed);
}

/** Lays out from left to right or from the top down, whichever shows all of it larger. */
function layOut(cy) {
  const zooms = ["LR", "TB"].map((rankDir) => {
    cy.layout({ ...LAYOUT, rankDir }).run();
    return cy.zoom();
  });
  if (zooms[0] > zooms[1]) cy.layout({ ...LAYOUT, rankDir: "LR" }).run();
}

/** Shows the product and what is nearest to it, where the letters of the whole would be too small; returns whether all is in view. */
function isAllReadable(cy) {
  if (cy.zoom() >= READABLE) return true;
  cy.zoom(READABLE);
  const [box, product] = [cy.elements().boundingBox(), cy.$id("n0").position()];
  cy.pan({
    x: shift(cy.width(), product.x, box.x1, box.x2),
    y: shift(cy.height(), product.y, box.y1, box.y2),
  });
  return box.w * READABLE <= cy.width() && box.h * READABLE <= cy.height();
}

/** How far to shift so that a place is in the middle of a window, with none of the window left empty for it. */
function shift(window, place, from, to) {
  const [least, most] = [window - EDGE - to * READABLE, EDGE - from * READABLE];
  if (least > most) return (least + most) / 2;
  return Math.min(most, Math.max(least, window / 2 - place * READABLE));
}

/** Paper can't scroll or zoom: it gets a picture of the whole, if letters can be read in it, and stands by what it says else. */
async function copyForPrint(cy, printed) {
  const { w, h } = cy.elements().boundingBox();
  if (LETTERS * Math.min(PAPER.width / w, PAPER.height / h) < PAPER.letters) return;
  const blob = await cy.png({ full: true, bg: "#ffffff", maxWidth: PRINT_MAX, maxHeight: PRINT_MAX, output: "blob-promise" });
  const picture = await createImageBitmap(blob);
  const canvas = el("canvas", { width: picture.width, height: picture.height });
  canvas.getContext("2d").drawImage(picture, 0, 0);
  printed.lastChild.replaceWith(legend(), canvas);
}

/** What a record is; of a mark, which. */
const kindOf = ({ kind, mark }) => (mark ? `${t(`kind-${kind}`)}${t("colon")}${t(`mark-${mark}`)}` : t(`kind-${kind}`));

function look(graph, places, worst) {
  const node = graph.nodes[places[0]];
  const [shape, colour] = KINDS[node.kind] ?? KINDS.dataset;
  const name = node.name ? quoted(node.name, LABEL_MAX) : node.id.slice(0, 12);
  const kind = kindOf(node);
  const many = places.length > 1;
  const label = many ? t("group", { count: places.length, kind }) : `${name}\n${[kind, node.country].filter(Boolean).join(" · ")}`;
  return { label, shape, colour, severity: worst.get(node.id) };
}

// --- The list ---

function records(graph, reduced, drawing) {
  const leads = graph.nodes.map(() => []);
  for (const [from, to, role] of graph.edges) leads[from].push([to, role]);
  const drawn = new Map(reduced.nodes.flatMap(({ places }, number) => places.map((place) => [place, number])));
  const find = (place) => {
    const node = drawing.cy.$id(`n${drawn.get(place)}`);
    drawing.cy.elements().unselect();
    node.select();
    drawing.cy.animate({ center: { eles: node }, zoom: 1, duration: 0 });
    drawing.cy.container().scrollIntoView({ block: "center" });
  };
  const named = ([to, role]) => [known("role-", role), " ", short(graph.nodes[to].id), t("semicolon")];
  const row = (node, place) => [
    drawn.has(place)
      ? el("button", { type: "button", title: t("find"), click: () => find(place) }, node.id.slice(0, 12))
      : short(node.id),
    others(node.name ?? "", 120), kindOf(node), node.country ?? "", day(node.date ?? ""), others(node.grade ?? "", 64),
    others(node.party, 120), leads[place].slice(0, 12).flatMap(named).concat(leads[place].length > 12 ? "…" : []),
  ];
  const places = new Map(graph.nodes.map((node, place) => [node, place]));
  const heads = ["id", "name", "kind", "country", "date", "grade", "recorded-by", "leads-to"];
  return el("details", {}, el("summary", { id: "h-records" }, t("records", { count: graph.nodes.length })),
    table("records", heads, graph.nodes, (node) => row(node, places.get(node)), RECORDS));
}
