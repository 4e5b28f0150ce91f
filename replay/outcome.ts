/** The outcome of an attempt: what would leave the gateway because of it. Two of them are compared by meaning, not by bytes. */
import type { CallEffect, Headers, LogEffect } from "#abi";
import type { Failure, NewSend, NextMessage, OpenWait, Reply, StateChange, Waits } from "#gateway";
import type { LifeEnd } from "./drive.ts";
import { Differences, jsonValue, pathTo } from "./differences.ts";
import { valueWithoutFrames, withoutFrames } from "./frames.ts";

export interface Outcome {
  /** Undefined: the flow completed. */
  readonly failure: Pick<Failure, "code" | "message" | "retry" | "status"> | undefined;
  readonly reply: Reply | undefined;
  /** Of the transactions that were committed, as is `state`: nothing of one that failed leaves. */
  readonly sends: readonly NewSend[];
  /** JSON by name; undefined deletes it. */
  readonly state: ReadonlyMap<string, string | undefined>;
  /** Sleeps in order; the last one goes on where `asleep` is true. */
  readonly sleeps: readonly Sleep[];
  readonly asleep: boolean;
  /** The message that the flow continues as. */
  readonly next: NextMessage | undefined;
  readonly logs: readonly LogEffect[];
  readonly calls: readonly CallEffect[];
}

/** One sleep: what it waited for, and the sends that were committed by then. */
export interface Sleep {
  readonly waits: readonly (Pick<OpenWait, "name" | "key" | "questionJson"> & { readonly forMs: number | undefined })[];
  /** Milliseconds from its beginning. */
  readonly timersMs: readonly number[];
  readonly sends: number;
}

/** A life that was driven, or read from a recording. */
export interface Ran {
  readonly sends: readonly NewSend[];
  readonly stateChanges: readonly StateChange[];
  readonly transactions: readonly { readonly endedMs: number; readonly sends: number; readonly asleep: Waits | undefined }[];
  readonly calls: readonly CallEffect[];
}

export function outcomeOf({ sends, stateChanges, transactions, calls }: Ran, end: LifeEnd, logs: readonly LogEffect[]): Outcome {
  let committed = 0;
  const sleeps = transactions.flatMap(({ endedMs, sends: more, asleep }): Sleep[] => {
    committed += more;
    if (asleep === undefined) return [];
    const waits = asleep.waits.map(({ name, key, questionJson, dueMs }) => ({
      name,
      key,
      questionJson,
      forMs: dueMs === undefined ? undefined : dueMs - endedMs,
    }));
    return [{ waits, timersMs: asleep.timers.map(({ dueMs }) => dueMs - endedMs), sends: committed }];
  });
  return {
    failure: end.kind === "failed" ? end.failure : undefined,
    reply: end.kind === "done" ? end.reply : undefined,
    sends,
    state: new Map(stateChanges.map(({ name, valueJson }) => [name, valueJson])),
    sleeps,
    asleep: end.kind === "asleep",
    next: end.kind === "done" ? end.next : undefined,
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
  endings(to, recorded, replayed);
  const bothEndAlike = (recorded.failure === undefined) === (replayed.failure === undefined);
  if (bothEndAlike) {
    lists(to, [recorded.sends, replayed.sends], "sends", {
      shown: sendBrief,
      compare: (a, b, path) => {
        scalar(to, a.outlet, b.outlet, `${path}.outlet`);
        scalar(to, a.key, b.key, `${path}.key`);
        scalar(to, a.dueMs, b.dueMs, `${path}.dueMs`);
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

/** Sleeps, an end that is one, and the message that the flow continues as. */
function endings(to: Differences, recorded: Outcome, replayed: Outcome): void {
  if (recorded.failure === undefined && replayed.failure === undefined) scalar(to, recorded.asleep, replayed.asleep, "asleep");
  lists(to, [recorded.sleeps, replayed.sleeps], "sleeps", {
    shown: (sleep) => sleep,
    compare: (a, b, path) => {
      scalar(to, a.sends, b.sends, `${path}.sends`);
      to.json(a.timersMs, b.timersMs, `${path}.timersMs`);
      lists(to, [a.waits, b.waits], `${path}.waits`, {
        shown: (wait) => wait,
        compare: (before, after, at) => {
          for (const name of ["name", "key", "forMs", "questionJson"] as const) scalar(to, before[name], after[name], `${at}.${name}`);
        },
      });
    },
  });
  const [before, after] = [recorded.next, replayed.next];
  if (before !== undefined && after !== undefined) contents(to, before, after, "continue");
  else if (before !== after)
    to.add("continue", before === undefined ? undefined : brief(before.body), after === undefined ? undefined : brief(after.body));
}

/** A name that one side deletes is null there. */
function states(to: Differences, recorded: Outcome, replayed: Outcome, name: string): void {
  const value = ({ state }: Outcome): unknown => (state.has(name) ? (jsonValue(state.get(name) ?? "null") ?? null) : undefined);
  to.json(value(recorded), value(replayed), pathTo("state", name));
}
