/** Sources, flows and outlets as a graph: width by rate, colour by health. */
import type { JSX } from "preact";
import { rate } from "../model/format.ts";
import { box, layout, type PlacedEdge, type PlacedNode } from "../model/layout.ts";
import type { Graph } from "../model/types.ts";
import { useLoaded } from "../net/loading.ts";
import { flowHref, href } from "../router.ts";
import { Await, Empty, Panel } from "../ui/parts.tsx";

function cut(text: string, most: number): string {
  return text.length > most ? `${text.slice(0, most - 1)}…` : text;
}

function Node({ node, perSecond }: { readonly node: PlacedNode; readonly perSecond: number }): JSX.Element {
  const { x, y, kind, label, ready, detail, flow } = node;
  const target = kind === "flow" ? flowHref(label) : href(["connectors"], { search: flow });
  const name = cut(label, 24);
  const note = ready ? (perSecond > 0 ? `${rate(perSecond)}/s` : "idle") : cut(detail, 28);
  const said = `${name} ${note}, ${kind}, ${ready ? "ready" : "not ready"}`;
  return (
    <a href={target} aria-label={said} class={`node ${kind} ${ready ? "" : "bad"}`} data-row>
      <rect x={x} y={y} width={box.width} height={box.height} rx={9} />
      <circle cx={x + 16} cy={y + box.height / 2} r={4.5} />
      <text x={x + 30} y={y + 20} class="node-label">
        {name}
      </text>{" "}
      <text x={x + 30} y={y + 36} class="node-note">
        {note}
      </text>
    </a>
  );
}

function Edge({ edge }: { readonly edge: PlacedEdge }): JSX.Element {
  const state = edge.failing ? "failing" : edge.perSecond > 0 ? "busy" : "idle";
  return <path d={edge.path} class={`edge ${state}`} stroke-width={edge.width} />;
}

function Drawing({ graph }: { readonly graph: Graph }): JSX.Element {
  const { nodes, edges, width, height } = layout(graph);
  const rates = new Map<string, number>();
  for (const { from, to, perSecond } of edges) {
    rates.set(to, (rates.get(to) ?? 0) + perSecond);
    if (from.startsWith("source:")) rates.set(from, perSecond);
  }
  const heads = [
    [box.margin, "Sources"],
    [box.margin + box.column, "Flows"],
    [box.margin + 2 * box.column, "Outlets"],
  ] as const;
  return (
    <div class="map" tabIndex={0} role="region" aria-label="Map">
      <svg viewBox={`0 0 ${width} ${height}`} width={width} height={height} role="group" aria-label="Sources, flows and outlets">
        {heads.map(([x, name]) => (
          <text key={name} x={x} y={26} class="map-head">
            {name}
          </text>
        ))}
        {edges.map((edge) => (
          <Edge key={`${edge.from} ${edge.to}`} edge={edge} />
        ))}
        {nodes.map((node) => (
          <Node key={node.id} node={node} perSecond={rates.get(node.id) ?? 0} />
        ))}
      </svg>
    </div>
  );
}

export function MapScreen(): JSX.Element {
  const loaded = useLoaded<Graph>("/api/map", 2_000);
  return (
    <div class="screen">
      <div class="screen-head">
        <h1>Map</h1>
        <p class="key">
          <span class="key-line busy" /> messages <span class="key-line failing" /> failing <span class="key-line idle" /> idle
        </p>
      </div>
      <Panel>
        <Await of={loaded} rows={10}>
          {(graph) => (graph.nodes.length === 0 ? <Empty title="No flow is configured." /> : <Drawing graph={graph} />)}
        </Await>
      </Panel>
    </div>
  );
}
