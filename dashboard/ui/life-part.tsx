/** One row of a message's life in full: bodies, headers, logs, state, errors. */
import type { JSX } from "preact";
import { bytes, duration, exact, shortHash } from "../model/format.ts";
import type { Part } from "../model/timeline.ts";
import type { Attempt, Call, Delivery, Detail, Log, Send, ShownError, Wait } from "../model/types.ts";
import { letterHref } from "../router.ts";
import { BodyView, HeaderList } from "./body-view.tsx";
import { JsonTree } from "./json-tree.tsx";
import { Badge, type Tone } from "./parts.tsx";

function Pairs({ pairs }: { readonly pairs: readonly (readonly [string, JSX.Element | string | null])[] }): JSX.Element {
  return (
    <dl class="pairs">
      {pairs.map(([name, value]) =>
        value === null ? null : (
          <div key={name}>
            <dt>{name}</dt>
            <dd>{value}</dd>
          </div>
        ),
      )}
    </dl>
  );
}

export function ErrorView({ error }: { readonly error: ShownError }): JSX.Element {
  return (
    <div class="error-view">
      <p>
        <code>{error.code}</code> {error.message}
      </p>
      {error.stack === undefined || error.stack === "" ? null : <pre>{error.stack}</pre>}
    </div>
  );
}

function Folded({ title, children }: { readonly title: string; readonly children: JSX.Element }): JSX.Element {
  return (
    <details>
      <summary>{title}</summary>
      {children}
    </details>
  );
}

const levels: Readonly<Record<string, Tone>> = { error: "bad", warn: "warn", info: "accent" };

function fieldsOf({ fieldsJson }: Log): unknown {
  if (fieldsJson === undefined || fieldsJson === "") return undefined;
  try {
    return JSON.parse(fieldsJson) as unknown;
  } catch {
    return fieldsJson;
  }
}

export function Logs({ logs }: { readonly logs: readonly Log[] }): JSX.Element {
  return (
    <ol class="logs">
      {logs.map((log, index) => {
        const fields = fieldsOf(log);
        return (
          <li key={index}>
            <Badge tone={levels[log.level] ?? "calm"}>{log.level}</Badge>
            <span class="log-text">{log.text}</span>
            {fields === undefined ? null : <code class="log-fields">{JSON.stringify(fields)}</code>}
          </li>
        );
      })}
    </ol>
  );
}

function AttemptPart({ attempt }: { readonly attempt: Attempt }): JSX.Element {
  const cpu = attempt.steps.reduce((sum, { cpuMs }) => sum + cpuMs, 0);
  const pages = Math.max(0, ...attempt.steps.map((step) => step.pages));
  return (
    <>
      <Pairs
        pairs={[
          ["started", exact(attempt.startedAt)],
          ["took", duration(attempt.durationMs)],
          ["CPU", duration(cpu)],
          ["pages changed", pages === 0 ? null : `${pages} (${pages * 64} KiB)`],
          ["image", <code>{shortHash(attempt.image)}</code>],
          ["seed", <code class="wrap">{attempt.seed}</code>],
        ]}
      />
      {attempt.error === null ? null : <ErrorView error={attempt.error} />}
      {attempt.logs.length === 0 ? null : <Logs logs={attempt.logs} />}
    </>
  );
}

function CallPart({ call }: { readonly call: Call }): JSX.Element {
  const { answer } = call;
  return (
    <>
      <Pairs
        pairs={[
          ["asked", exact(call.askedAt)],
          ["answered", call.answeredAt === null ? "never" : `${exact(call.answeredAt)}, after ${duration(call.answeredAt - call.askedAt)}`],
          ["status", answer === null || answer.status === 0 ? null : String(answer.status)],
        ]}
      />
      {call.error === null ? null : <ErrorView error={call.error} />}
      <BodyView title="Asked" body={call.body} contentType={call.contentType} />
      <Folded title="Headers of the request">
        <HeaderList headers={call.headers} />
      </Folded>
      {answer === null ? null : (
        <>
          <BodyView title="Answer" body={answer.body} contentType={String(answer.headers["content-type"] ?? "")} />
          <Folded title="Headers of the answer">
            <HeaderList headers={answer.headers} />
          </Folded>
        </>
      )}
    </>
  );
}

function WaitPart({ wait }: { readonly wait: Wait }): JSX.Element {
  const { signal } = wait;
  const ended = wait.endedAt === null ? "not yet" : `${exact(wait.endedAt)}, after ${duration(wait.endedAt - wait.at)}`;
  return (
    <>
      <Pairs
        pairs={[
          ["waits for", `${wait.name} (${wait.key})`],
          ["since", exact(wait.at)],
          ["until", wait.until === null ? "its signal comes" : exact(wait.until)],
          ["ended", ended],
          ["by", wait.endedAt === null ? null : signal === null ? "its time" : `signal ${signal.id}`],
        ]}
      />
      {wait.question === null ? null : <JsonTree value={wait.question} />}
      {signal === null ? null : (
        <>
          <BodyView title="Signal" body={signal.body} contentType={String(signal.headers["content-type"] ?? "")} />
          <Folded title="Headers of the signal">
            <HeaderList headers={signal.headers} />
          </Folded>
        </>
      )}
    </>
  );
}

function SendView({ send }: { readonly send: Send }): JSX.Element {
  return (
    <>
      <BodyView
        title={`→ ${send.outlet}${send.key === null ? "" : ` (key ${send.key})`}`}
        body={send.body}
        contentType={send.contentType}
      />
      <Folded title="Headers">
        <HeaderList headers={send.headers} />
      </Folded>
    </>
  );
}

function StateChange({ before, changes }: { readonly before: Detail["state"]; readonly changes: Attempt["state"] }): JSX.Element {
  return (
    <table class="cells">
      <thead>
        <tr>
          <th>State</th>
          <th>before</th>
          <th>after</th>
        </tr>
      </thead>
      <tbody>
        {Object.entries(changes).map(([name, after]) => (
          <tr key={name}>
            <th scope="row">{name}</th>
            <td>{before?.[name] === undefined ? <span class="muted">absent</span> : <JsonTree value={before[name]} />}</td>
            <td>{after === null ? <span class="muted">deleted</span> : <JsonTree value={after} />}</td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}

function CommitPart({ attempt, before }: { readonly attempt: Attempt; readonly before: Detail["state"] }): JSX.Element {
  return (
    <>
      {attempt.reply === null ? null : (
        <>
          <BodyView title={`Reply ${attempt.reply.status}`} body={attempt.reply.body} contentType={attempt.reply.contentType} />
          <Folded title="Headers of the reply">
            <HeaderList headers={attempt.reply.headers} />
          </Folded>
        </>
      )}
      {attempt.sends.map((send, index) => (
        <SendView key={index} send={send} />
      ))}
      {Object.keys(attempt.state).length === 0 ? null : <StateChange before={before} changes={attempt.state} />}
      {attempt.reply === null && attempt.sends.length === 0 ? <p class="muted">Neither a reply nor a send.</p> : null}
    </>
  );
}

function DeliveryPart({ delivery }: { readonly delivery: Delivery }): JSX.Element {
  const { deadLetter } = delivery;
  return (
    <>
      <Pairs
        pairs={[
          ["at", exact(delivery.at)],
          ["took", duration(delivery.durationMs)],
          ["idempotency key", <code class="wrap">{delivery.idempotencyKey}</code>],
          ["dead letter", deadLetter === null ? null : <a href={letterHref(deadLetter)}>{deadLetter}</a>],
        ]}
      />
      {delivery.error === null ? null : <ErrorView error={delivery.error} />}
    </>
  );
}

export function LifePart({ message, part }: { readonly message: Detail; readonly part: Part }): JSX.Element {
  switch (part.kind) {
    case "source":
      return (
        <>
          <BodyView title="Message" body={message.body} contentType={message.contentType} />
          <HeaderList headers={message.headers} />
        </>
      );
    case "attempt":
      return <AttemptPart attempt={part.attempt} />;
    case "step": {
      const step = part.attempt.steps[part.index];
      if (step === undefined) return <p class="muted">No step.</p>;
      const { event, at, status, cpuMs, pages } = step;
      return (
        <Pairs
          pairs={[
            ["event", event],
            ["at", exact(at)],
            ["status", status ?? "no answer"],
            ["CPU", duration(cpuMs)],
            ["memory", pages === 0 ? "not measured" : bytes(pages * 65_536)],
          ]}
        />
      );
    }
    case "call":
      return <CallPart call={part.call} />;
    case "wait":
      return <WaitPart wait={part.wait} />;
    case "logs":
      return <Logs logs={part.logs} />;
    case "commit":
      return <CommitPart attempt={part.attempt} before={message.state} />;
    case "delivery":
      return <DeliveryPart delivery={part.delivery} />;
  }
}
