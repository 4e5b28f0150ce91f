/** Places of the map's nodes: sources, flows and outlets in three columns, near what they are joined with. */
import type { Graph, MapEdge, MapNode } from "./types.ts";

export interface PlacedNode extends MapNode {
  readonly x: number;
  readonly y: number;
}

export interface PlacedEdge extends MapEdge {
  /** SVG path. */
  readonly path: string;
  readonly width: number;
}

export interface Layout {
  readonly nodes: readonly PlacedNode[];
  readonly edges: readonly PlacedEdge[];
  readonly width: number;
  readonly height: number;
}

export const box = { width: 208, height: 46, gap: 16, column: 336, margin: 24, top: 44 } as const;
const columns: Readonly<Record<MapNode["kind"], number>> = { source: 0, flow: 1, outlet: 2 };

/** Edges grow with the logarithm: a hundred times as many messages are not a hundred times as wide. */
export function edgeWidth(perSecond: number): number {
  return Math.min(1.5 + Math.log10(1 + Math.max(perSecond, 0)) * 3, 14);
}

/** Rows of the flows: as the gateway names them, each beside the tallest of its neighbours' stacks. */
export function layout({ nodes, edges }: Graph): Layout {
  const known = new Map(nodes.map((node) => [node.id, node]));
  const flows = nodes.filter(({ kind }) => kind === "flow");
  const rows = new Map<string, number>();
  const free = [0, 0, 0];
  const put = (id: string, column: number, row: number): void => {
    if (rows.has(id)) return;
    const at = Math.max(row, free[column] ?? 0);
    rows.set(id, at);
    free[column] = at + 1;
  };
  for (const flow of flows) {
    const sources = edges.filter(({ to, from }) => to === flow.id && known.get(from)?.kind === "source").map(({ from }) => from);
    const outlets = edges.filter(({ to, from }) => from === flow.id && known.get(to)?.kind === "outlet").map(({ to }) => to);
    const tallest = Math.max(sources.length, outlets.length, 1);
    const first = Math.max(...free);
    const middle = (count: number): number => first + (tallest - count) / 2;
    for (const [index, id] of sources.entries()) put(id, 0, middle(sources.length) + index);
    put(flow.id, 1, middle(1));
    for (const [index, id] of outlets.entries()) put(id, 2, middle(outlets.length) + index);
    for (let column = 0; column < 3; column += 1) free[column] = Math.max(free[column] ?? 0, first + tallest);
  }
  for (const { id, kind } of nodes) put(id, columns[kind], free[columns[kind]] ?? 0);
  const placed = nodes.map(
    (node): PlacedNode => ({
      ...node,
      x: box.margin + columns[node.kind] * box.column,
      y: box.top + (rows.get(node.id) ?? 0) * (box.height + box.gap),
    }),
  );
  const places = new Map(placed.map((node) => [node.id, node]));
  const drawn = edges.flatMap((edge): PlacedEdge[] => {
    const [from, to] = [places.get(edge.from), places.get(edge.to)];
    return from === undefined || to === undefined ? [] : [{ ...edge, path: pathOf(from, to), width: edgeWidth(edge.perSecond) }];
  });
  const lowest = Math.max(0, ...placed.map(({ y }) => y + box.height));
  return { nodes: placed, edges: drawn, width: box.margin * 2 + 2 * box.column + box.width, height: lowest + box.margin };
}

/** From right to left side; within one column an arc beside it. */
function pathOf(from: PlacedNode, to: PlacedNode): string {
  const [y1, y2] = [from.y + box.height / 2, to.y + box.height / 2];
  const x1 = from.x + box.width;
  if (from.x === to.x) {
    const out = x1 + 28 + Math.min(Math.abs(y2 - y1) / 6, 36);
    const end = from.id === to.id ? y1 + 14 : y2;
    return `M${x1} ${y1} C${out} ${y1} ${out} ${end} ${x1} ${end}`;
  }
  const bend = (to.x - x1) / 2;
  return `M${x1} ${y1} C${x1 + bend} ${y1} ${to.x - bend} ${y2} ${to.x} ${y2}`;
}
