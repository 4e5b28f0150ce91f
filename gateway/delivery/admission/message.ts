/** How a message gets in: what is taken out of it for order and duplicates, and what its source is told when it does not. */
import { createHash } from "node:crypto";
import type { HeaderValue } from "#abi";
import { assert, table } from "#base";
import { withParent } from "../../contract/lineage.ts";
import { withoutPosition, withStoredBody } from "../../contract/stored-body.ts";
import { dedupIdOf } from "../../journal/dedup-id.ts";
import type { Lease, NewMessage } from "../../journal/journal.ts";
import { gatewayLimits } from "../../contract/limits.ts";
import type { Incoming, Outcome } from "../../contract/message.ts";
import type { Flow } from "../../contract/runner.ts";
import type { Tracing } from "../../contract/tracing.ts";
import { failureOf } from "../failures.ts";
import { bounded, type KeyExpression, parseKey, type Texts } from "./keys.ts";
import { cleanId, type MessageIds } from "../seeds.ts";

/** A flow's `key` and `dedup.by`, ready for use. */
export interface Expressions {
  readonly key: KeyExpression | undefined;
  readonly dedup: KeyExpression | undefined;
}

export function expressionsOf(flow: Flow): Expressions {
  const parse = (text: string | undefined): KeyExpression | undefined => {
    if (text === undefined) return undefined;
    const parsed = parseKey(text);
    assert(parsed.ok, "key expressions are checked with the configuration");
    return parsed.value;
  };
  return { key: parse(flow.config.key), dedup: flow.config.dedup === undefined ? undefined : parse(flow.config.dedup.by ?? "id") };
}

/** Where a message comes from. */
export interface Origin {
  /** The connector's name. */
  readonly source: string;
  /** The queue, path or table of that kind. Ids of two places are never duplicates of each other. */
  readonly place: string;
}

/** Properties of a message's flow that are fixed when it comes in. */
export interface Admission {
  readonly flow: Flow;
  readonly expressions: Expressions;
  readonly ids: MessageIds;
  readonly tracing: Tracing;
  /** Of the message: the texts of `key` and `dedup`. */
  readonly texts: Texts;
}

function isHeaderValue(value: unknown): value is HeaderValue {
  return typeof value === "string" || (Array.isArray(value) && value.every((each) => typeof each === "string"));
}

/**
 * The message as its source gave it; set aside if a header is no text, which the journal could not write. Such headers are a fault of the
 * source's code, and are left out of the dead letter.
 */
export function fitForJournal(incoming: Incoming): Incoming {
  const { headers } = incoming;
  let fault: string | undefined;
  for (const name in headers) if (!isHeaderValue(headers[name])) fault ??= name;
  if (fault === undefined) return incoming;
  const text = `the source gave the header ${JSON.stringify(fault)} a value that is no text: please report it`;
  return {
    ...incoming,
    headers: Object.fromEntries(Object.entries(headers).filter(([, value]) => isHeaderValue(value))),
    setAside: incoming.setAside ?? failureOf("MF_SOURCE_HEADER", text, false),
  };
}

/** The message as the journal takes it. */
export function newMessage(
  { flow, expressions, ids, tracing, texts }: Admission,
  incoming: Incoming,
  { source, place }: Origin,
  receivedMs: number,
): NewMessage {
  const { expires, dedup } = flow.config;
  const given = incoming.id === undefined ? undefined : cleanId(incoming.id);
  const [key, by] = texts;
  return {
    flow: flow.name,
    id: given ?? ids.next(),
    source,
    headers: withParent(withStoredBody(withoutPosition(tracing.received(incoming.headers)), incoming.storedBody), incoming.parent),
    contentType: incoming.contentType,
    body: incoming.body,
    key: expressions.key === undefined ? bounded(incoming.key) : key,
    correlationId: incoming.correlationId,
    receivedMs,
    expiresMs: expires === undefined ? undefined : receivedMs + expires,
    dedup:
      by === undefined || dedup === undefined
        ? undefined
        : {
            id: dedupIdOf({ place, scope: incoming.idScope ?? "", id: by, fingerprint: fingerprintOf(incoming, dedup.by) }),
            windowMs: dedup.window,
            count: dedup.count,
          },
  };
}

/** Of a request whose id promises that it is the same again; a key of the flow's own (`dedup.by`) promises no such thing. */
function fingerprintOf({ sameRequest, headers, body, storedBody }: Incoming, by: string | undefined): string | undefined {
  if (sameRequest !== true || (by !== undefined && by !== "id")) return undefined;
  const target = JSON.stringify([headers["mayfly-path"] ?? "", headers["mayfly-query"] ?? "", storedBody?.sha256 ?? ""]);
  return createHash("sha256").update(target).update(body).digest("base64url");
}

/** A message of an earlier process: nobody waits for it. */
export function recovered({ message }: Lease): Incoming {
  return { ...message, replyWanted: false, keeper: "journal" };
}

const refusals: Readonly<Record<string, string>> = table({
  MF_STOPPING: "the gateway is stopping: send the message again, to the next gateway",
  MF_FLOW_PAUSED: "the flow is paused by its operator: try again later",
  MF_FLOW_BUSY: "the flow's queue is full: try again later",
  MF_GATEWAY_BUSY: "the gateway's queues are full: try again later",
  MF_MEMORY_BUSY: "the gateway is out of memory for messages: try again later",
  MF_JOURNAL_UNAVAILABLE: "the journal can't be written at the moment (see the gateway's log): try again later",
  MF_FLOW_HELD: "a dead letter holds back the messages of this key, or all messages, until it is retried or dropped: try again later",
  MF_OUTBOX_FULL: "an outlet of this flow is falling behind: try again later",
  MF_SLEEPERS_FULL: "as many messages of this flow sleep as sleep.atMost allows: try again later, or raise it",
  MF_TENANT_FULL:
    "the tenant's waiting messages or dead letters take as many bytes as they may: see to them, or raise the quota of the tenant",
  MF_PARTITION_AWAY: "the message's partition moves to another node: send the message again",
  MF_MONITOR_BUSY: "all machines are busy: try again later",
});

/** Nothing was kept and nothing was run: the source is to give the message again. */
export function refusedWith(code: string, id: string | undefined): Outcome {
  return { status: "refused", id, code, message: refusals[code] ?? code, retryAfterMs: gatewayLimits.retryAfterMs };
}
