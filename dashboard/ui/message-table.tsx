/** Cells of a message in a list, and a short list of them. */
import type { JSX } from "preact";
import { count, duration, exact, time } from "../model/format.ts";
import type { Status, Summary } from "../model/types.ts";
import { flowHref, messageHref } from "../router.ts";
import { Badge, type Tone } from "./parts.tsx";

const tones: Readonly<Record<Status, Tone>> = { done: "ok", failed: "warn", dead: "bad" };

export function StatusBadge({ status }: { readonly status: Status }): JSX.Element {
  return <Badge tone={tones[status] ?? "calm"}>{status}</Badge>;
}

export function MessageTable({ messages }: { readonly messages: readonly Summary[] }): JSX.Element {
  return (
    <div class="scroll" tabIndex={0} role="region" aria-label="Messages">
      <table class="list">
        <thead>
          <tr>
            <th>Received</th>
            <th>Status</th>
            <th>Message</th>
            <th>Key</th>
            <th class="number">took</th>
            <th class="number">attempts</th>
            <th>Error</th>
          </tr>
        </thead>
        <tbody>
          {messages.map((each) => (
            <tr key={`${each.flow} ${each.id} ${each.receivedAt}`}>
              <td class="muted" title={exact(each.receivedAt)}>
                {time(each.receivedAt)}
              </td>
              <td>
                <StatusBadge status={each.status} />
              </td>
              <td>
                <a data-row class="cut" href={messageHref(each.flow, each.id)}>
                  {each.id}
                </a>
              </td>
              <td class="cut">{each.key ?? <span class="muted">–</span>}</td>
              <td class="number">{duration(each.durationMs)}</td>
              <td class="number">{count(each.attempts)}</td>
              <td class="cut wide">{each.error === null ? "" : `${each.error.code}: ${each.error.message}`}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

export const rowHead: JSX.Element = (
  <>
    <span role="columnheader">Received</span>
    <span role="columnheader">Status</span>
    <span role="columnheader">Flow</span>
    <span role="columnheader">Message</span>
    <span role="columnheader">Key</span>
    <span role="columnheader" class="number">
      took
    </span>
    <span role="columnheader" class="number">
      attempts
    </span>
    <span role="columnheader">Source and error</span>
  </>
);

export function RowCells({ message }: { readonly message: Summary }): JSX.Element {
  const { id, flow, status, receivedAt, durationMs, attempts, source, key, error } = message;
  return (
    <>
      <span role="cell" class="muted" title={exact(receivedAt)}>
        {time(receivedAt)}
      </span>
      <span role="cell">
        <StatusBadge status={status} />
      </span>
      <span role="cell">
        <a href={flowHref(flow)} tabIndex={-1}>
          {flow}
        </a>
      </span>
      <span role="cell">
        <a href={messageHref(flow, id)}>{id}</a>
      </span>
      <span role="cell">{key ?? ""}</span>
      <span role="cell" class="number">
        {duration(durationMs)}
      </span>
      <span role="cell" class="number">
        {count(attempts)}
      </span>
      <span role="cell" class={error === null ? "muted" : ""}>
        {error === null ? source : `${error.code}: ${error.message}`}
      </span>
    </>
  );
}
