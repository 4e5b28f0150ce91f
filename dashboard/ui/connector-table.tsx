/** Connectors with their state, last error and circuit. */
import { Fragment, type JSX } from "preact";
import { useState } from "preact/hooks";
import { age, ago, count, exact, rate } from "../model/format.ts";
import type { Connector } from "../model/types.ts";
import { type ApiError, ask } from "../net/client.ts";
import { offered } from "../net/offered.ts";
import { flowHref } from "../router.ts";
import { announce, Badge, Button, Dot, Failed, type Tone } from "./parts.tsx";

function stateOf({ ready, paused, circuit }: Connector): { readonly tone: Tone; readonly label: string } {
  if (paused) return { tone: "warn", label: "paused" };
  if (circuit?.state === "open") return { tone: "bad", label: "circuit open" };
  return ready ? { tone: "ok", label: "ready" } : { tone: "bad", label: "not ready" };
}

/** An address says its kind itself. */
function shortPlace({ connector, place }: Connector): string {
  return place.includes("://") ? place.slice(connector.length + 1) : place;
}

function Circuit({ circuit }: { readonly circuit: Connector["circuit"] }): JSX.Element {
  if (circuit === null) return <span class="muted">–</span>;
  if (circuit.state === "open") return <Badge tone="bad">open, {age(circuit.openMs)} more</Badge>;
  if (circuit.state === "half-open") return <Badge tone="warn">half-open</Badge>;
  return (
    <span class="muted">
      {circuit.failuresInARow === 0 ? "closed" : `closed, ${circuit.failuresInARow} of ${circuit.failures} failures`}
    </span>
  );
}

export function ConnectorTable(props: {
  readonly connectors: readonly Connector[];
  readonly withFlow: boolean;
  readonly changed: () => void;
}): JSX.Element {
  const { connectors, withFlow, changed } = props;
  const [error, setError] = useState<ApiError | undefined>(undefined);
  const switches = offered("pauseOutlet");
  const now = Date.now();
  const turn = async ({ flow, name, paused }: Connector): Promise<void> => {
    setError(undefined);
    await ask(`/api/flows/${encodeURIComponent(flow)}/outlets/${encodeURIComponent(name)}/${paused ? "resume" : "pause"}`, {
      method: "POST",
    });
    announce(`${name} ${paused ? "goes on" : "is paused"}`);
    changed();
  };
  return (
    <>
      {error === undefined ? null : <Failed error={error} />}
      <div class="scroll" tabIndex={0} role="region" aria-label="Connectors">
        <table class="list">
          <thead>
            <tr>
              <th>State</th>
              {withFlow ? <th>Flow</th> : null}
              <th>Connector</th>
              <th>Circuit</th>
              <th class="number" title="Connections that were lost and made again">
                reconnects
              </th>
              <th class="number">waiting</th>
              <th class="number">a second</th>
              <th class="number">in all</th>
              {switches ? (
                <th class="row-actions">
                  <span class="sr">Actions</span>
                </th>
              ) : null}
            </tr>
          </thead>
          <tbody>
            {connectors.map((each) => {
              const { tone, label } = stateOf(each);
              return (
                <Fragment key={`${each.flow} ${each.direction} ${each.name}`}>
                  <tr tabIndex={-1} data-row>
                    <td>
                      <Dot tone={tone} label={label} /> {label}
                    </td>
                    {withFlow ? (
                      <td>
                        <a href={flowHref(each.flow)}>{each.flow}</a>
                      </td>
                    ) : null}
                    <td>
                      <span class="arrow">{each.direction === "from" ? "in" : "out"}</span>{" "}
                      <b>{each.direction === "from" ? each.place : each.name}</b>
                      {each.direction === "from" ? null : (
                        <span class="muted cut place-of" title={each.place}>
                          {shortPlace(each)}
                        </span>
                      )}
                    </td>
                    <td>
                      <Circuit circuit={each.circuit} />
                    </td>
                    <td class="number">{count(each.reconnects)}</td>
                    <td class="number">{count(each.waiting)}</td>
                    <td class="number">{rate(each.perSecond)}</td>
                    <td class="number">{count(each.count)}</td>
                    {switches ? (
                      <td class="row-actions">
                        {each.direction === "to" ? (
                          <Button onClick={() => turn(each)} failed={setError}>
                            {each.paused ? "Resume" : "Pause"}
                          </Button>
                        ) : null}
                      </td>
                    ) : null}
                  </tr>
                  {each.lastError === null ? null : (
                    <tr class="note">
                      <td colSpan={withFlow ? 9 : 8}>
                        <span class="muted" title={exact(each.lastError.at)}>
                          last error {ago(now - each.lastError.at)}:
                        </span>{" "}
                        <span class={stateOf(each).tone === "bad" ? "bad" : ""}>{each.lastError.message}</span>
                      </td>
                    </tr>
                  )}
                </Fragment>
              );
            })}
          </tbody>
        </table>
      </div>
    </>
  );
}
