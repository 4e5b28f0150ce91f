/** A machine's supposed next transaction: sends, state, where it stops. */
import type { JSX } from "preact";
import { exact } from "../model/format.ts";
import type { Preview, PreviewEnd, ShownBytes } from "../model/types.ts";
import { BodyView } from "./body-view.tsx";
import { Logs } from "./life-part.tsx";

function Bytes({
  title,
  body,
  contentType,
}: {
  readonly title: string;
  readonly body: ShownBytes;
  readonly contentType: string;
}): JSX.Element {
  const { text, base64 = "" } = body;
  return (
    <>
      <BodyView title={title} body={text === undefined ? { base64 } : { text }} contentType={contentType} />
      {body.cut === true ? <p class="muted">The beginning of {body.bytes} bytes.</p> : null}
    </>
  );
}

function End({ end }: { readonly end: PreviewEnd }): JSX.Element {
  switch (end.kind) {
    case "done":
      return end.continues === null ? (
        <p>Then it is done.</p>
      ) : (
        <Bytes title="Then it begins again, with" body={end.continues} contentType="application/json" />
      );
    case "asks":
      return (
        <>
          <p>Then it asks, and what follows depends on the answer:</p>
          {end.calls.map(({ method, target, body }, index) => (
            <Bytes key={index} title={`${method} ${target}`.trim()} body={body} contentType="" />
          ))}
        </>
      );
    case "asleep":
      return (
        <p>
          Then it waits for{" "}
          {[
            ...end.waits.map(({ name, key, until }) => `${name} (key ${key})${until === null ? "" : ` until ${exact(until)}`}`),
            ...end.sleeps.map((at) => exact(at)),
          ].join(" or ")}
          .
        </p>
      );
    case "failed":
      return (
        <p class="warn">
          It would fail: <code>{end.code}</code> {end.message}
        </p>
      );
    case "unknown":
      return (
        <p class="warn">
          No preview: <code>{end.code}</code> {end.message}
        </p>
      );
  }
}

export function PreviewView({ preview }: { readonly preview: Preview }): JSX.Element {
  const { sends, state, logs, end, more } = preview;
  return (
    <div class="preview-view">
      {sends.map(({ outlet, key, contentType, body, due }, index) => (
        <Bytes
          key={index}
          title={`→ ${outlet}${key === null ? "" : ` (key ${key})`}${due === null ? "" : `, not before ${exact(due)}`}`}
          body={body}
          contentType={contentType}
        />
      ))}
      {state.map(({ name, value }) =>
        value === undefined ? (
          <p key={name}>State {name}: deleted</p>
        ) : (
          <Bytes key={name} title={`State ${name}`} body={value} contentType="application/json" />
        ),
      )}
      {sends.length + state.length > 0 || end.kind === "failed" || end.kind === "unknown" ? null : <p>Nothing is sent.</p>}
      {logs.length === 0 ? null : <Logs logs={logs} />}
      {more === 0 ? null : <p class="muted">and {more} more</p>}
      <End end={end} />
    </div>
  );
}
