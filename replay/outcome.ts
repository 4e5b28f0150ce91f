/** The outcome of an attempt: what would leave the gateway because of it. Two of them are compared by meaning, not by bytes. */
import type { CallEffect, Headers, LogEffect } from "#abi";
import { type Effects, type Failure, type NewSend, type Reply } from "#gateway";
import { Differences, jsonValue, pathTo } from "./differences.ts";
import { valueWithoutFrames, withoutFrames } from "./frames.ts";

export interface Outcome {
  /** Undefined: the flow completed. */
  readonly failure: Pick<Failure, "code" | "message" | "retry" | "status"> | undefined;
  readonly reply: Reply | undefined;
  /** Empty when the flow failed, as is `state`: nothing of it leaves then. */
  readonly sends: readonly NewSend[];
  /** JSON by name; undefined deletes it. */
  readonly state: ReadonlyMap<string, string | undefined>;
  readonly logs: readonly LogEffect[];
  readonly calls: readonly CallEffect[];
}

export interface Ran {
  readonly effects: Effects;
  readonly failure: Failure | undefined;
  readonly logs: readonly LogEffect[];
  readonly calls: readonly CallEffect[];
}

export function outcomeOf({ effects, failure, logs, calls }: Ran): Outcome {
  if (failure !== undefined) return { failure, reply: undefined, sends: [], state: new Map(), logs, calls };
  return {
    failure,
    reply: effects.end?.kind === "done" ? effects.end.reply : undefined,
    sends: effects.sends,
    state: new Map(effects.stateChanges.map(({ name, valueJson }) => [name, valueJson])),
    logs,
    calls,
  };
}

interface Content {
  readonly contentType: string;
  readonly headers: Headers;
  readonly body: Uint8Array;
}

function contents(to: Differences, recorded: Content, replayed: Content, path: string): void {
  if (recorded.contentType !== replayed.contentType) to.add(`${path}.contentType`, recorded.contentType, replayed.contentType);
  to.json(recorded.headers, replayed.headers, `${path}.headers`);
  to.bodies(recorded.body, replayed.body, `${path}.body`);
}

/** Members of both lists that have no partner are one difference each. */
function lists<T>(
  to: Differences,
  [recorded, replayed]: readonly [readonly T[], readonly T[]],
  path: string,
  { shown, compare }: { readonly shown: (value: T) => unknown; readonly compare: (recorded: T, replayed: T, path: string) => void },
): void {
  for (let index = 0; index < Math.max(recorded.length, replayed.length); index++) {
    const [before, after] = [recorded[index], replayed[index]];
    const at = `${path}[${index}]`;
    if (before !== undefined && after !== undefined) compare(before, after, at);
    else to.add(at, before === undefined ? undefined : shown(before), after === undefined ? undefined : shown(after));
  }
}

function scalar(to: Differences, recorded: unknown, replayed: unknown, path: string): void {
  if (recorded !== replayed) to.add(path, recorded, replayed);
}

function failures(to: Differences, recorded: Outcome["failure"], replayed: Outcome["failure"]): void {
  if (recorded === undefined && replayed === undefined) return;
  if (recorded === undefined || replayed === undefined) {
    const brief = (failure: Outcome["failure"]): unknown =>
      failure === undefined ? undefined : { code: failure.code, message: failure.message };
    return to.add("failure", brief(recorded), brief(replayed));
  }
  scalar(to, recorded.code, replayed.code, "failure.code");
  scalar(to, recorded.message, replayed.message, "failure.message");
  scalar(to, recorded.retry, replayed.retry, "failure.retry");
  scalar(to, recorded.status, replayed.status, "failure.status");
}

function sendBrief({ outlet, key, contentType, body }: NewSend): object {
  return { outlet, ...(key === undefined ? {} : { key }), contentType, body: brief(body) };
}

function brief(body: Uint8Array): unknown {
  const text = Buffer.from(body).toString("utf8");
  return jsonValue(text) ?? text;
}

function callHeaders({ headersJson }: CallEffect): Headers {
  return (jsonValue(headersJson) ?? {}) as Headers;
}

function fieldsOf({ fieldsJson }: LogEffect): unknown {
  return fieldsJson === undefined ? undefined : valueWithoutFrames(fieldsJson);
}

/** Every difference in meaning between two outcomes. */
export function outcomeDifferences(recorded: Outcome, replayed: Outcome): Differences {
  const to = new Differences();
  failures(to, recorded.failure, replayed.failure);
  const [before, after] = [recorded.reply, replayed.reply];
  if (before !== undefined && after !== undefined) {
    scalar(to, before.status, after.status, "reply.status");
    contents(to, before, after, "reply");
  } else if ((before === undefined) !== (after === undefined) && recorded.failure === replayed.failure)
    to.add("reply", before === undefined ? undefined : brief(before.body), after === undefined ? undefined : brief(after.body));
  const bothDone = recorded.failure === undefined && replayed.failure === undefined;
  if (bothDone) {
    lists(to, [recorded.sends, replayed.sends], "sends", {
      shown: sendBrief,
      compare: (a, b, path) => {
        scalar(to, a.outlet, b.outlet, `${path}.outlet`);
        scalar(to, a.key, b.key, `${path}.key`);
        contents(to, a, b, path);
      },
    });
    for (const name of new Set([...recorded.state.keys(), ...replayed.state.keys()])) states(to, recorded, replayed, name);
  }
  lists(to, [recorded.calls, replayed.calls], "calls", {
    shown: ({ operation, target, method, body }) => ({ operation, target, method, body: brief(body) }),
    compare: (a, b, path) => {
      scalar(to, a.operation, b.operation, `${path}.operation`);
      scalar(to, a.target, b.target, `${path}.target`);
      scalar(to, a.method, b.method, `${path}.method`);
      contents(to, { ...a, headers: callHeaders(a) }, { ...b, headers: callHeaders(b) }, path);
    },
  });
  lists(to, [recorded.logs, replayed.logs], "logs", {
    shown: ({ level, text }) => `${level} ${text}`,
    compare: (a, b, path) => {
      scalar(to, a.level, b.level, `${path}.level`);
      scalar(to, withoutFrames(a.text), withoutFrames(b.text), `${path}.text`);
      to.json(fieldsOf(a), fieldsOf(b), `${path}.fields`);
    },
  });
  return to;
}

/** A name that one side deletes is null there. */
function states(to: Differences, recorded: Outcome, replayed: Outcome, name: string): void {
  const value = ({ state }: Outcome): unknown => (state.has(name) ? (jsonValue(state.get(name) ?? "null") ?? null) : undefined);
  to.json(value(recorded), value(replayed), pathTo("state", name));
}
