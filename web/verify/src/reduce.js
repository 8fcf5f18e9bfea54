// Makes a graph small enough to be drawn: alike nodes become one, and what is far from the product is left out.

/** Nodes that are drawn at most: more can't be told apart. */
const DRAWN = 240;
/** Nodes from which on alike ones become one. */
const GROUPED_FROM = 60;
/** Rounds of putting alike nodes together: what is alike because its neighbours became one. */
const ROUNDS = 4;

/**
 * Returns what is to be drawn: `nodes` with `places` (which nodes of the graph each stands for), `edges` as
 * `[from, to, role]` between them, and how many nodes of the graph that is. `kept(place)` tells of a node that it stands
 * alone. The first node is the root.
 */
export function reduce(graph, kept = () => false) {
  let group = graph.nodes.map((_, place) => place);
  if (graph.nodes.length > GROUPED_FROM) {
    for (let round = 0; round < ROUNDS; round += 1) {
      const next = together(graph, group, kept);
      if (new Set(next).size === new Set(group).size) break;
      group = next;
    }
  }
  const members = new Map();
  group.forEach((name, place) => members.set(name, [...(members.get(name) ?? []), place]));
  const nodes = [...members.values()].slice(0, DRAWN).map((places) => ({ places }));
  const drawn = new Map(nodes.flatMap(({ places }, number) => places.map((place) => [place, number])));
  const edges = new Map();
  for (const [from, to, role] of graph.edges) {
    const edge = [drawn.get(from), drawn.get(to), role];
    if (edge[0] !== undefined && edge[1] !== undefined) edges.set(edge.join(" "), edge);
  }
  return { nodes, edges: [...edges.values()], count: drawn.size };
}

/** Names the group of each node: kind, party and what it leads to and from, by the groups of before. */
function together(graph, group, kept) {
  const beside = graph.nodes.map(() => new Set());
  for (const [from, to, role] of graph.edges) {
    beside[from].add(`>${role} ${group[to]}`);
    beside[to].add(`<${role} ${group[from]}`);
  }
  const seen = new Map();
  return graph.nodes.map(({ kind, party, country, mark }, place) => {
    if (place === 0 || kept(place)) return place;
    const alike = JSON.stringify([kind, mark, party, country, [...beside[place]].sort()]);
    if (!seen.has(alike)) seen.set(alike, place);
    return seen.get(alike);
  });
}
