/** One flow: charts, limits against use, failures, versions, connectors, the newest messages. */
import type { JSX } from "preact";
import { useState } from "preact/hooks";
import { bytes, count, duration, exact, percent, plural, rate, shortHash } from "../model/format.ts";
import type { FlowDetail, Limit, Summary } from "../model/types.ts";
import { type ApiError, ask } from "../net/client.ts";
import { useLoaded } from "../net/loading.ts";
import { offered } from "../net/offered.ts";
import { href } from "../router.ts";
import { ConnectorTable } from "../ui/connector-table.tsx";
import { stateOf } from "../ui/flow-table.tsx";
import { MessageTable } from "../ui/message-table.tsx";
import { announce, Await, Badge, Bar, Button, Dialog, Empty, Failed, Figure, Missing, Panel } from "../ui/parts.tsx";
import { Charts } from "./overview.tsx";

function shown(value: number, unit: Limit["unit"]): string {
  return unit === "bytes" ? bytes(value) : unit === "ms" ? duration(value) : count(value);
}

function Limits({ limits }: { readonly limits: readonly Limit[] }): JSX.Element {
  return (
    <ul class="rows">
      {limits.map(({ name, unit, used, most }) => (
        <li key={name} class="limit">
          <span>{name}</span>
          {used === null ? <span class="muted">not measured</span> : <Bar share={used / most} label={`${name}: ${percent(used / most)}`} />}
          <span class="number">
            {used === null ? "" : `${shown(used, unit)} of `}
            {shown(most, unit)}
          </span>
        </li>
      ))}
    </ul>
  );
}

function Failures({ flow }: { readonly flow: FlowDetail }): JSX.Element {
  if (flow.failures.length === 0) return <Empty title="Nothing has failed since the start." />;
  const most = flow.failures[0]?.count ?? 1;
  return (
    <ul class="rows">
      {flow.failures.map(({ code, count: times, at }) => (
        <li key={`${code} ${at}`} class="limit">
          <a href={href(["messages"], { flow: flow.name, code })} class="cut">
            <code>{code}</code>
          </a>
          <span class="share" aria-hidden="true">
            <span style={{ width: `${(times / most) * 100}%` }} />
          </span>
          <span class="number">
            {count(times)} <span class="muted">{at === "attempt" ? "attempts" : at === "refused" ? at : `→ ${at}`}</span>
          </span>
        </li>
      ))}
    </ul>
  );
}

interface Image {
  readonly sha256: string;
  /** The flow's file, where that is known. */
  readonly flow: string | null;
  readonly bytes: number | null;
  readonly builtAt: number | null;
  readonly builtBy: string | null;
  readonly usedBy: readonly string[];
}

/** Of this flow: it uses the image, or its file was built to it. The newest first. */
function versionsOf({ name, file, image }: FlowDetail, images: readonly Image[]): readonly Image[] {
  const own = images.filter(
    ({ sha256, flow, usedBy }) => sha256 === image || usedBy.includes(name) || (flow !== null && file !== null && samePath(flow, file)),
  );
  return [...own].sort((a, b) => (b.builtAt ?? 0) - (a.builtAt ?? 0));
}

function samePath(one: string, other: string): boolean {
  const parts = (path: string): string => path.replace(/^\.\//, "");
  return parts(one) === parts(other);
}

/** The new image beside the current one. */
function Canary({ canary }: { readonly canary: NonNullable<FlowDetail["canary"]> }): JSX.Element {
  return (
    <table class="list">
      <thead>
        <tr>
          <th>Image</th>
          <th class="number">done</th>
          <th class="number">failed</th>
          <th class="number">average</th>
        </tr>
      </thead>
      <tbody>
        {canary.sides.map(({ side, image, done, failed, averageMs }) => (
          <tr key={side}>
            <td>
              <code title={image}>{shortHash(image)}</code>{" "}
              <span class="muted">{side === "new" ? `new, ${percent(canary.share)} of the keys` : side}</span>
            </td>
            <td class="number">{count(done)}</td>
            <td class={`number ${failed > 0 ? "bad" : ""}`}>{count(failed)}</td>
            <td class="number">{averageMs === null ? "–" : duration(averageMs)}</td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}

function Versions({ flow, changed }: { readonly flow: FlowDetail; readonly changed: () => void }): JSX.Element | null {
  const loaded = useLoaded<{ readonly images: readonly Image[] }>(offered("images") ? "/api/images" : undefined);
  const [chosen, setChosen] = useState<string | undefined>(undefined);
  const [error, setError] = useState<ApiError | undefined>(undefined);
  if (!offered("images"))
    return (
      <Panel title="Version">
        <ul class="rows">
          <li class="limit">
            <code>{shortHash(flow.image)}</code>
            <span class="muted cut">{flow.file ?? ""}</span>
            <Badge tone="ok">serves</Badge>
          </li>
        </ul>
      </Panel>
    );
  const roll = async (): Promise<void> => {
    setError(undefined);
    await ask(`/api/flows/${encodeURIComponent(flow.name)}/rollback`, { method: "POST", json: { image: `sha256:${chosen ?? ""}` } });
    announce(`${flow.name} runs ${shortHash(chosen ?? "")} from now on`);
    setChosen(undefined);
    changed();
    loaded.reload();
  };
  return (
    <Panel title="Versions">
      <Await of={loaded}>
        {({ images }) => (
          <ul class="rows">
            {versionsOf(flow, images).map(({ sha256, builtAt, builtBy, bytes: size }) => (
              <li key={sha256} class="version">
                <code title={sha256}>{shortHash(sha256)}</code>
                <span class="muted">
                  {[
                    builtAt === null ? "" : exact(builtAt).slice(0, 16),
                    builtBy === null ? "" : `by ${builtBy}`,
                    size === null ? "" : bytes(size),
                  ]
                    .filter((text) => text !== "")
                    .join(" · ")}
                </span>
                {sha256 === flow.image ? (
                  <Badge tone="ok">serves</Badge>
                ) : offered("rollback") ? (
                  <Button onClick={() => setChosen(sha256)}>Use</Button>
                ) : null}
              </li>
            ))}
          </ul>
        )}
      </Await>
      {chosen === undefined ? null : (
        <Dialog
          title={`Use image ${shortHash(chosen)}?`}
          close={() => setChosen(undefined)}
          actions={
            <Button kind="primary" onClick={roll} failed={setError}>
              Use it
            </Button>
          }
        >
          <p>New messages of {flow.name} run this image from now on. Messages that run go on as they are.</p>
          {error === undefined ? null : <Failed error={error} />}
        </Dialog>
      )}
    </Panel>
  );
}

function Recent({ flow }: { readonly flow: string }): JSX.Element | null {
  const path = `/api/messages?flow=${encodeURIComponent(flow)}&limit=12`;
  const loaded = useLoaded<{ readonly messages: readonly Summary[] }>(offered("messages") ? path : undefined, 3_000);
  if (!offered("messages")) return null;
  return (
    <Panel title="Newest messages" actions={<a href={href(["messages"], { flow })}>all</a>}>
      <Await of={loaded}>
        {({ messages }) => (messages.length === 0 ? <Empty title="No message has ended yet." /> : <MessageTable messages={messages} />)}
      </Await>
    </Panel>
  );
}

function Switches({ flow, changed }: { readonly flow: FlowDetail; readonly changed: () => void }): JSX.Element | null {
  const [error, setError] = useState<ApiError | undefined>(undefined);
  const running = flow.state === undefined || flow.state === "running";
  const turn = async (what: "pause" | "resume" | "drain"): Promise<void> => {
    setError(undefined);
    const { state } = await ask<{ readonly state: string }>(`/api/flows/${encodeURIComponent(flow.name)}/${what}`, { method: "POST" });
    announce(`${flow.name}: ${state}`);
    changed();
  };
  if (!offered("pauseFlow")) return null;
  return (
    <>
      <Button onClick={() => turn(running ? "pause" : "resume")} failed={setError}>
        {running ? "Pause" : "Resume"}
      </Button>
      {running && offered("drainFlow") ? (
        <Button onClick={() => turn("drain")} failed={setError} title="Takes no new messages, finishes those it has">
          Drain
        </Button>
      ) : null}
      {error === undefined ? null : <Failed error={error} />}
    </>
  );
}

function Body({ flow, changed }: { readonly flow: FlowDetail; readonly changed: () => void }): JSX.Element {
  const { tone, label } = stateOf(flow);
  return (
    <>
      <div class="screen-head">
        <h1>
          <a href="#/flows" class="crumb">
            Flows
          </a>
          {flow.name} <Badge tone={tone}>{label}</Badge>
        </h1>
        <div class="actions">
          <Switches flow={flow} changed={changed} />
        </div>
      </div>
      {flow.problems.map(({ connector, detail }) => (
        <p key={detail} class="banner" role="alert">
          <b>{connector}</b> {detail}
        </p>
      ))}
      <div class="figures">
        <Figure name="Done / s" value={rate(flow.perSecond)} note={`${count(flow.done)} in all`} />
        <Figure
          name="Latency p95"
          value={flow.latency === null ? "–" : duration(flow.latency.p95)}
          note={flow.latency === null ? "no message in the last minute" : `p50 ${duration(flow.latency.p50)}`}
        />
        <Figure name="Waiting" value={count(flow.pending)} note={`${plural(flow.running, "machine")} run`} />
        {flow.sleepers === undefined || flow.sleepers === 0 ? null : (
          <Figure name="Asleep" value={count(flow.sleepers)} note="wait durably" href={href(["sleepers"], { flow: flow.name })} />
        )}
        <Figure name="Outbox" value={count(flow.outbox)} note="sends that wait" />
        <Figure
          name="Failed"
          value={count(flow.failed)}
          note={plural(flow.retries, "retry", "retries")}
          {...(flow.failingPerSecond > 0 ? { tone: "bad" as const } : {})}
        />
        <Figure name="Dead" value={count(flow.dead)} note="letters" href={href(["dead-letters"], { flow: flow.name })} />
      </div>
      <Panel title="The last quarter of an hour">
        {flow.past === null ? <Empty title="No message since the start." /> : <Charts past={flow.past} />}
      </Panel>
      <div class="columns">
        <Panel title="Limits and use">
          <Limits limits={flow.limits} />
        </Panel>
        <Panel title="Top failures">
          <Failures flow={flow} />
        </Panel>
        <Versions flow={flow} changed={changed} />
        {flow.canary ? (
          <Panel title="Canary">
            <Canary canary={flow.canary} />
          </Panel>
        ) : null}
      </div>
      <Panel title="Connectors">
        {flow.connectors.length === 0 ? (
          <Empty title="Neither source nor outlet." />
        ) : (
          <ConnectorTable connectors={flow.connectors} withFlow={false} changed={changed} />
        )}
      </Panel>
      <Recent flow={flow.name} />
    </>
  );
}

export function FlowScreen({ name }: { readonly name: string }): JSX.Element {
  const loaded = useLoaded<FlowDetail>(`/api/flows/${encodeURIComponent(name)}`, 2_000);
  return (
    <div class="screen">
      {loaded.error?.status === 404 ? (
        <Missing title={`There is no flow ${name}.`}>
          <a href="#/flows">All flows</a>
        </Missing>
      ) : (
        <Await of={loaded} rows={10} title={name}>
          {(flow) => <Body flow={flow} changed={loaded.reload} />}
        </Await>
      )}
    </div>
  );
}
