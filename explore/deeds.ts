/** Deeds: the requests and committed sends of jobs, and the logs of worlds that share their beginnings. */
import type { CallEffect } from "#abi";
import type { Deed } from "./matter.ts";
import type { Reading } from "./steps.ts";
import type { DeedLog, Draft, Job } from "./world.ts";

/** Logs as a tree: worlds that did the same have the same log. */
export class DeedLogs {
  readonly first: DeedLog = { id: 0, before: undefined, deed: undefined, next: [] };
  #last = 0;

  /** Adds a deed to a world; one that goes against an idempotency key breaks it. */
  add(draft: Pick<Draft, "log" | "broken">, deed: Deed): void {
    if (deed.kind === "request" && sameKey(draft.log, deed) !== undefined)
      draft.broken ??= {
        rule: "no double effect under one idempotency key",
        why: `two different requests to ${deed.target} have the idempotency key ${deed.idempotencyKey}: a peer that honours it takes the first and drops the second`,
      };
    let log = draft.log.next.find((each) => each.deed === deed);
    if (log === undefined) {
      log = { id: ++this.#last, before: draft.log, deed, next: [] };
      draft.log.next.push(log);
    }
    draft.log = log;
  }
}

/** A request under the same key with other content. */
function sameKey(log: DeedLog, deed: Deed): Deed | undefined {
  for (let at: DeedLog | undefined = log; at !== undefined; at = at.before) {
    const other = at.deed;
    if (other?.kind !== "request" || other.idempotencyKey !== deed.idempotencyKey) continue;
    if (other.target !== deed.target || other.method !== deed.method || Buffer.compare(other.body, deed.body) !== 0) return other;
  }
  return undefined;
}

function parsedHeaders(json: string): Deed["headers"] {
  try {
    return JSON.parse(json) as Deed["headers"];
  } catch {
    return {};
  }
}

export function requestOf({ flow, message, number, transaction }: Job, call: CallEffect, nowMs: number): Deed {
  const { target, contentType, headersJson, body, method } = call;
  return {
    kind: "request",
    flow: flow.name,
    messageId: message.id,
    target,
    key: message.key,
    contentType,
    headers: parsedHeaders(headersJson),
    body,
    idempotencyKey: `${flow.name}/${message.id}/${number}/call/${call.call}`,
    atMs: nowMs,
    transaction,
    dueMs: undefined,
    method,
  };
}

export function sendOf({ flow, message, number, transaction }: Job, send: Reading["sends"][number], index: number, nowMs: number): Deed {
  const { outlet, key, contentType, headers, body, dueMs } = send;
  return {
    kind: "send",
    flow: flow.name,
    messageId: message.id,
    target: outlet,
    key,
    contentType,
    headers,
    body,
    idempotencyKey: `${flow.name}/${message.id}/${number}/${transaction}/${index}`,
    atMs: nowMs,
    transaction,
    dueMs,
    method: "",
  };
}
