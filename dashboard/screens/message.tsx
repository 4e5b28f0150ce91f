/** One message: its life as a waterfall, what each part held, before beside after, its relatives, and what can be done with it. */
import type { JSX } from "preact";
import { useState } from "preact/hooks";
import { duration, exact, plural, shortHash } from "../model/format.ts";
import { timelineOf } from "../model/timeline.ts";
import type { Detail, Relative, Replayed } from "../model/types.ts";
import { type ApiError, ask, download } from "../net/client.ts";
import { useLoaded } from "../net/loading.ts";
import { offered } from "../net/offered.ts";
import { flowHref, href, letterHref, messageHref } from "../router.ts";
import { BodyView } from "../ui/body-view.tsx";
import { EditDialog } from "../ui/edit-dialog.tsx";
import { ErrorView, LifePart } from "../ui/life-part.tsx";
import { StatusBadge } from "../ui/message-table.tsx";
import { announce, Await, Badge, Button, Failed, Missing, Panel } from "../ui/parts.tsx";
import { Waterfall } from "../ui/waterfall.tsx";

const api = (message: Detail, what: string): string =>
  `/api/messages/${encodeURIComponent(message.id)}/${what}?flow=${encodeURIComponent(message.flow)}`;

function ReplayResult({ result }: { readonly result: Replayed }): JSX.Element {
  const shown = (value: unknown): string =>
    value === undefined ? "–" : typeof value === "string" ? value : JSON.stringify(value, undefined, 2);
  return (
    <Panel
      title={
        <>
          Replay{" "}
          <Badge tone={result.identical ? "ok" : "warn"}>
            {result.identical ? "identical" : plural(result.differences.length, "difference")}
          </Badge>
        </>
      }
    >
      <p class="muted padded">
        Image {shortHash(result.image)}, {result.monitor} monitor. Nothing was sent.
      </p>
      {result.differences.length === 0 ? null : (
        <div class="scroll" tabIndex={0} role="region" aria-label="Differences">
          <table class="cells">
            <thead>
              <tr>
                <th>Where</th>
                <th>recorded</th>
                <th>replayed</th>
              </tr>
            </thead>
            <tbody>
              {result.differences.map((each, index) => {
                const { path, recorded, replayed } =
                  typeof each === "object" && each !== null ? (each as Readonly<Record<string, unknown>>) : { path: String(each) };
                return (
                  <tr key={index}>
                    <th scope="row">{shown(path)}</th>
                    <td class="before">
                      <pre>{shown(recorded)}</pre>
                    </td>
                    <td class="after">
                      <pre>{shown(replayed)}</pre>
                    </td>
                  </tr>
                );
              })}
            </tbody>
          </table>
        </div>
      )}
    </Panel>
  );
}

function Actions({ message, replayed }: { readonly message: Detail; readonly replayed: (result: Replayed) => void }): JSX.Element {
  const [error, setError] = useState<ApiError | undefined>(undefined);
  const [editing, setEditing] = useState(false);
  const replay = async (image: "same" | "newest"): Promise<void> => {
    setError(undefined);
    const result = await ask<Replayed>(`${api(message, "replay")}&image=${image}`, { method: "POST" });
    replayed(result);
    announce(result.identical ? "Replayed: identical" : "Replayed: it differs");
  };
  const resubmit = async (body: string | undefined): Promise<void> => {
    const made = await ask<{ readonly id: string }>(api(message, "resubmit"), { method: "POST", ...(body === undefined ? {} : { body }) });
    announce(`Resubmitted as ${made.id}`);
    setEditing(false);
    location.hash = messageHref(message.flow, made.id);
  };
  const line = `mayfly debug ${/^[\w.:-]+$/.test(message.id) ? message.id : `'${message.id.replaceAll("'", "'\\''")}'`}`;
  return (
    <>
      <div class="actions">
        {offered("replay") ? (
          <>
            <Button onClick={() => replay("same")} failed={setError} title="Runs the same image from the record; nothing is sent">
              Replay
            </Button>
            <Button onClick={() => replay("newest")} failed={setError} title="Runs the newest image from the record; nothing is sent">
              Replay on newest
            </Button>
          </>
        ) : null}
        {offered("resubmit") ? <Button onClick={() => setEditing(true)}>Edit and resubmit</Button> : null}
        {offered("flowTest") ? (
          <Button onClick={() => download(api(message, "flow-test"), `${message.flow}.flow-test.yaml`)} failed={setError}>
            Flow test
          </Button>
        ) : null}
        <Button
          title={line}
          failed={setError}
          onClick={async () => {
            await navigator.clipboard.writeText(line);
            announce(`Copied: ${line}`);
          }}
        >
          Copy debug line
        </Button>
        <Button kind="quiet" onClick={() => download(api(message, "body"), `${message.flow}-body.bin`)} failed={setError}>
          Raw body
        </Button>
      </div>
      {error === undefined ? null : <Failed error={error} />}
      {editing ? (
        <EditDialog
          title="Edit and resubmit"
          says="It goes in as a new message, linked to this one."
          body={message.body}
          contentType={message.contentType}
          close={() => setEditing(false)}
          submit={resubmit}
          verb="Resubmit"
        />
      ) : null}
    </>
  );
}

function Relatives({ title, all }: { readonly title: string; readonly all: readonly Relative[] }): JSX.Element {
  return (
    <div class="relatives">
      <h3>{title}</h3>
      {all.length === 0 ? <p class="muted">nothing</p> : null}
      <ul>
        {all.map(({ flow, id, how }) => (
          <li key={`${flow} ${id}`}>
            <a href={messageHref(flow, id)}>
              {flow} <span class="muted cut">{id}</span>
            </a>{" "}
            <span class="muted">by {how}</span>
          </li>
        ))}
      </ul>
    </div>
  );
}

function Facts({ message }: { readonly message: Detail }): JSX.Element {
  const { flow, receivedAt, durationMs, attempts, source, key, correlationId, image, deadLetter } = message;
  const fact = (name: string, value: JSX.Element | string): JSX.Element => (
    <div>
      <dt>{name}</dt>
      <dd>{value}</dd>
    </div>
  );
  return (
    <dl class="facts">
      {fact("flow", <a href={flowHref(flow)}>{flow}</a>)}
      {fact("received", exact(receivedAt))}
      {fact("took", duration(durationMs))}
      {fact("attempts", String(attempts.length))}
      {fact("source", source)}
      {key === null ? null : fact("key", <a href={href(["messages"], { flow, key })}>{key}</a>)}
      {correlationId === null
        ? null
        : fact("correlation", <a href={href(["messages"], { correlation: correlationId })}>{correlationId}</a>)}
      {image === null ? null : fact("image", <code>{shortHash(image)}</code>)}
      {deadLetter === null ? null : fact("dead letter", <a href={letterHref(deadLetter)}>open</a>)}
    </dl>
  );
}

/** Before beside after: the message, and what came of it. */
function InAndOut({ message }: { readonly message: Detail }): JSX.Element | null {
  const last = message.attempts.at(-1);
  if (last === undefined || (last.reply === null && last.sends.length === 0)) return null;
  return (
    <Panel title="In and out">
      <div class="beside">
        <BodyView title="In" body={message.body} contentType={message.contentType} />
        <div>
          {last.reply === null ? null : (
            <BodyView title={`Reply ${last.reply.status}`} body={last.reply.body} contentType={last.reply.contentType} />
          )}
          {last.sends.map((send, index) => (
            <BodyView key={index} title={`→ ${send.outlet}`} body={send.body} contentType={send.contentType} />
          ))}
        </div>
      </div>
    </Panel>
  );
}

function Body({ message }: { readonly message: Detail }): JSX.Element {
  const timeline = timelineOf(message);
  const failed = timeline.rows.findLast(({ tone, part }) => tone === "bad" && part.kind === "attempt");
  const [chosen, setChosen] = useState(
    (failed ?? timeline.rows.find(({ part }) => part.kind === "commit") ?? timeline.rows[0])?.id ?? "source",
  );
  const [result, setResult] = useState<Replayed | undefined>(undefined);
  const row = timeline.rows.find(({ id }) => id === chosen) ?? timeline.rows[0];
  const { redacted } = message;
  return (
    <>
      <div class="screen-head">
        <h1>
          <a href="#/messages" class="crumb">
            Messages
          </a>
          <span class="cut">{message.id}</span> <StatusBadge status={message.status} />
        </h1>
      </div>
      <Actions message={message} replayed={setResult} />
      {message.error === null ? null : (
        <div class="banner bad" role="alert">
          <ErrorView error={{ code: message.error.code, message: message.error.message }} />
        </div>
      )}
      <Facts message={message} />
      {redacted === null ? null : (
        <p class="banner">
          Redacted before it was recorded:{" "}
          {[
            ...redacted.headers.map((name) => `header ${name}`),
            ...redacted.paths,
            ...(redacted.bodies === "all" ? [] : [`bodies: ${redacted.bodies}`]),
          ].join(", ")}
        </p>
      )}
      {result === undefined ? null : <ReplayResult result={result} />}
      <div class="life-columns">
        <Panel title="Life">
          <Waterfall timeline={timeline} chosen={chosen} choose={setChosen} />
        </Panel>
        <Panel title={row === undefined ? "" : `${row.label}`} class="life-detail">
          {row === undefined ? null : <LifePart key={row.id} message={message} part={row.part} />}
        </Panel>
      </div>
      <InAndOut message={message} />
      {message.parents.length + message.children.length === 0 ? null : (
        <Panel title="Lineage">
          <div class="beside">
            <Relatives title="Came from" all={message.parents} />
            <Relatives title="Caused" all={message.children} />
          </div>
        </Panel>
      )}
    </>
  );
}

export function MessageScreen({ flow, id }: { readonly flow: string; readonly id: string }): JSX.Element {
  const loaded = useLoaded<Detail>(`/api/messages/${encodeURIComponent(id)}?flow=${encodeURIComponent(flow)}`, 5_000);
  return (
    <div class="screen">
      {loaded.error?.status === 404 ? (
        <Missing title={`History has no message ${id}.`}>
          It may not have ended yet, or be older than history keeps. <a href="#/messages">All messages</a>
        </Missing>
      ) : (
        <Await of={loaded} rows={10} title={id}>
          {(message) => <Body message={message} />}
        </Await>
      )}
    </div>
  );
}
