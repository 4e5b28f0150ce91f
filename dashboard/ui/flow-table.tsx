/** Flows with their figures, one a row. */
import type { JSX } from "preact";
import { count, duration, rate } from "../model/format.ts";
import type { FlowRow } from "../model/types.ts";
import { flowHref } from "../router.ts";
import { Dot, type Tone } from "./parts.tsx";

export function stateOf({ ready, state, failingPerSecond }: FlowRow): { readonly tone: Tone; readonly label: string } {
  if (state !== undefined && state !== "running") return { tone: "warn", label: state };
  if (!ready) return { tone: "bad", label: "not ready" };
  return failingPerSecond > 0 ? { tone: "warn", label: "attempts fail" } : { tone: "ok", label: "ready" };
}

export function FlowTable({ flows }: { readonly flows: readonly FlowRow[] }): JSX.Element {
  return (
    <div class="scroll" tabIndex={0} role="region" aria-label="Flows">
      <table class="list">
        <thead>
          <tr>
            <th>Flow</th>
            <th>From</th>
            <th>To</th>
            <th class="number">a second</th>
            <th class="number">p50</th>
            <th class="number">p95</th>
            <th class="number">waiting</th>
            <th class="number">failed</th>
            <th class="number">done</th>
          </tr>
        </thead>
        <tbody>
          {flows.map((flow) => {
            const { tone, label } = stateOf(flow);
            return (
              <tr key={flow.name}>
                <td>
                  <Dot tone={tone} label={label} />{" "}
                  <a data-row href={flowHref(flow.name)}>
                    {flow.name}
                  </a>
                </td>
                <td class="muted cut">{flow.from.join(", ") || "–"}</td>
                <td class="muted cut">{flow.to.join(", ") || "–"}</td>
                <td class="number">{rate(flow.perSecond)}</td>
                <td class="number">{flow.latency === null ? "–" : duration(flow.latency.p50)}</td>
                <td class="number">{flow.latency === null ? "–" : duration(flow.latency.p95)}</td>
                <td class="number">{count(flow.pending + flow.outbox)}</td>
                <td class={`number ${flow.failingPerSecond > 0 ? "bad" : ""}`}>{count(flow.failed)}</td>
                <td class="number">{count(flow.done)}</td>
              </tr>
            );
          })}
        </tbody>
      </table>
    </div>
  );
}
