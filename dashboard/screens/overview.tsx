/** How the gateway does: rates, latency, queues, what is wrong and since when, the busiest flows. */
import type { JSX } from "preact";
import { age, bytes, count, duration, percent, plural, rate, time } from "../model/format.ts";
import type { Overview, Past } from "../model/types.ts";
import { overview, past } from "../net/live.ts";
import { flowHref, href } from "../router.ts";
import { Chart } from "../ui/chart.tsx";
import { FlowTable } from "../ui/flow-table.tsx";
import { Dot, Empty, Figure, Loading, Panel, type Tone } from "../ui/parts.tsx";

export function Charts({ past: shown }: { readonly past: Past | undefined }): JSX.Element {
  return (
    <div class="charts">
      <Chart
        title="Messages a second"
        past={shown}
        show={rate}
        series={[
          { name: "received", tone: "accent", values: shown?.received ?? [], filled: true },
          { name: "done", tone: "ok", values: shown?.done ?? [] },
        ]}
      />
      <Chart
        title="Failed attempts a second"
        past={shown}
        show={rate}
        series={[{ name: "failed", tone: "bad", values: shown?.failed ?? [], filled: true }]}
      />
      <Chart
        title="Latency"
        past={shown}
        show={duration}
        series={[
          { name: "p50", tone: "ok", values: shown?.p50 ?? [] },
          { name: "p95", tone: "accent", values: shown?.p95 ?? [] },
          { name: "p99", tone: "warn", values: shown?.p99 ?? [] },
        ]}
      />
      <Chart
        title="Waiting"
        past={shown}
        show={count}
        series={[
          { name: "messages", tone: "accent", values: shown?.pending ?? [], filled: true },
          { name: "sends", tone: "warn", values: shown?.outbox ?? [] },
        ]}
      />
    </div>
  );
}

function Problems({ now }: { readonly now: Overview }): JSX.Element | null {
  if (now.problems.length === 0) return null;
  return (
    <Panel title={<>Needs attention</>} class="problems">
      <ul class="rows">
        {now.problems.map(({ flow, connector, detail, since }) => (
          <li key={`${flow} ${connector} ${detail.replace(/\d+/g, "0")}`} class="problem">
            <Dot tone="bad" label="not ready" />
            <span class="problem-where">
              {flow === null ? (connector ?? "gateway") : <a href={flowHref(flow)}>{flow}</a>}
              {flow !== null && connector !== null ? <span class="muted"> {connector}</span> : null}
            </span>
            <span class="problem-what">{detail}</span>
            <span class="muted" title={time(since, now.now)}>
              for {age(now.now - since)}
            </span>
          </li>
        ))}
      </ul>
    </Panel>
  );
}

function Figures({ now }: { readonly now: Overview }): JSX.Element {
  const state: Tone = now.state === "running" && now.problems.length === 0 ? "ok" : "warn";
  const used = now.memory.takenBytes / Math.max(now.memory.mostBytes, 1);
  const said = now.state === "running" ? (now.problems.length === 0 ? "healthy" : plural(now.problems.length, "problem")) : now.state;
  return (
    <div class="figures">
      <Figure name="Gateway" value={said} tone={state} note={`up ${age(now.now - now.since)}`} />
      <Figure name="Done / s" value={rate(now.rates.done)} note={`${rate(now.rates.received)} received`} href="#/flows" />
      <Figure
        name="Failed / s"
        value={rate(now.rates.failed)}
        note="attempts"
        href={href(["messages"], { status: "dead" })}
        {...(now.rates.failed > 0 ? { tone: "bad" as const } : {})}
      />
      <Figure
        name="Latency p95"
        value={now.latency === null ? "–" : duration(now.latency.p95)}
        note={now.latency === null ? "none in a minute" : `p99 ${duration(now.latency.p99)}`}
      />
      <Figure name="Waiting" value={count(now.queue.pending)} note={plural(now.queue.outbox, "send")} />
      <Figure
        name="Dead letters"
        value={count(now.deadLetters)}
        note="retry or drop"
        href="#/dead-letters"
        {...(now.deadLetters > 0 ? { tone: "warn" as const } : {})}
      />
      <Figure
        name="Memory"
        value={percent(used)}
        note={`of ${bytes(now.memory.mostBytes)}`}
        {...(used > 0.85 ? { tone: "warn" as const } : {})}
      />
      <Figure name="Journal" value={bytes(now.journal.diskBytes)} note={now.journal.durable ? "on disk" : "in memory"} />
    </div>
  );
}

export function OverviewScreen(): JSX.Element {
  const now = overview.value;
  if (now === undefined)
    return (
      <div class="screen">
        <h1>Overview</h1>
        <Loading rows={8} />
      </div>
    );
  return (
    <div class="screen">
      <h1>Overview</h1>
      <Figures now={now} />
      <Problems now={now} />
      <Panel title="The last quarter of an hour">
        <Charts past={past.value} />
      </Panel>
      <Panel title="Flows" actions={now.flowCount > now.flows.length ? <a href="#/flows">all {count(now.flowCount)}</a> : undefined}>
        {now.flows.length === 0 ? (
          <Empty title="No flow is configured.">Add one below flows in mayfly.yaml, then reload with SIGHUP.</Empty>
        ) : (
          <FlowTable flows={now.flows} />
        )}
      </Panel>
    </div>
  );
}
