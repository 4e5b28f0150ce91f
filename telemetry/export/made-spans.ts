/**
 * Spans of a message, made from facts about what has happened.
 *
 *   POST /orders                    from its receipt to its end           server (HTTP), consumer
 *   ├─ queue                        until its first attempt began
 *   ├─ attempt 1                    one machine; a link to the attempt before it
 *   │  └─ request crm               one call                              client
 *   ├─ commit                       until its effects were durable
 *   └─ send audit                   one attempt to deliver a send         producer
 */
import { childSpan, parentOf, parseTraceparent, type TraceContext } from "../context.ts";
import { telemetryLimits } from "../limits.ts";
import {
  type AttemptFact,
  type Attributes,
  type CallFact,
  type DeliveryFact,
  type EndFact,
  type Fact,
  type FailureFact,
  type MessageFact,
  spanKinds,
  type SpanRecord,
} from "../records.ts";

/** `messaging.system` of connectors that have one; the connector's name otherwise. */
const systems: ReadonlyMap<string, string> = new Map([["amqp", "rabbitmq"]]);

function errorOf(failure: FailureFact | undefined): string | undefined {
  return failure === undefined ? undefined : `${failure.code}: ${failure.message}`.slice(0, telemetryLimits.textCharacters);
}

/** A message's place. `base`: the span of its context, of which the ids of all below are made. */
interface Place extends TraceContext {
  readonly base: string;
}

/** Connector of a dead letter that is retried: its context is that of its first life, whose span has been told already. */
const retried = "dead-letter";

function rootOf({ spanId }: TraceContext, { source, receivedMs }: MessageFact): string {
  return source === retried ? childSpan(spanId, `again ${receivedMs}`) : spanId;
}

interface LastAttempt {
  readonly spanId: string;
  readonly endedMs: number;
}

export class SpanMaker {
  /** The attempt before, of open messages, by the message's span. Without an entry a span lacks its link, nothing else. */
  readonly #open = new Map<string, LastAttempt>();

  spansOf(fact: Fact): SpanRecord[] {
    if (fact.kind === "delivery") return deliverySpans(fact.delivery);
    const { message, attempt, end } = fact;
    const context = parseTraceparent(message.traceparent);
    if (context === undefined) return [];
    const own = { ...context, base: context.spanId, spanId: rootOf(context, message) };
    const spans: SpanRecord[] = [];
    const before = this.#open.get(own.spanId);
    this.#open.delete(own.spanId);
    if (attempt !== undefined) {
      const spanId = addAttempt(spans, { own, message, attempt, before });
      if (end === undefined) this.#remember(own.spanId, { spanId, endedMs: attempt.endedMs });
      else if (end.status === "done" && end.endedMs > attempt.endedMs)
        spans.push({
          ...below(own, childSpan(own.base, `commit ${end.endedMs}`)),
          name: "commit",
          startMs: attempt.endedMs,
          endMs: end.endedMs,
          links: [spanId],
        });
    }
    if (end !== undefined) spans.push(messageSpan(own, message, end));
    return spans;
  }

  #remember(span: string, last: LastAttempt): void {
    this.#open.set(span, last);
    if (this.#open.size <= telemetryLimits.openMessages) return;
    const [oldest] = this.#open.keys();
    if (oldest !== undefined) this.#open.delete(oldest);
  }
}

function messageSpan(own: Place, message: MessageFact, end: EndFact): SpanRecord {
  const { flow, id, source, method = "", path, bodyBytes, correlationId, receivedMs } = message;
  const { status, endedMs, attempts, failure, letter, route, httpStatus } = end;
  const isRetried = source === retried;
  const parent = isRetried ? own.base : parentOf({ tracestate: message.tracestate ?? "" });
  const isHttp = source === "http";
  const http = { "http.request.method": method, "http.route": route, "url.path": path, "http.response.status_code": httpStatus };
  return {
    ...own,
    parentId: parent,
    remote: parent !== undefined && !isRetried,
    name: isHttp ? `${method} ${route ?? ""}`.trim() : `process ${flow}`,
    kind: isHttp ? spanKinds.server : spanKinds.consumer,
    startMs: receivedMs,
    endMs: endedMs,
    attributes: {
      ...(isHttp ? http : messagingAttributes(source, "process")),
      "messaging.message.id": id,
      "messaging.message.conversation_id": correlationId,
      "messaging.message.body.size": bodyBytes,
      "mayfly.flow": flow,
      "mayfly.source": source,
      "mayfly.status": status,
      "mayfly.attempts": attempts,
      "mayfly.dead_letter": letter,
      "error.type": failure?.code,
    },
    error: errorOf(failure),
    links: [],
  };
}

interface Begun {
  readonly own: Place;
  readonly message: MessageFact;
  readonly attempt: AttemptFact;
  readonly before: LastAttempt | undefined;
}

/** One attempt with its calls, and the wait before it. Gives its span. */
function addAttempt(spans: SpanRecord[], { own, message, attempt, before }: Begun): string {
  const { startedMs, endedMs, failure } = attempt;
  const waitedSinceMs = before?.endedMs ?? (attempt.attempt === 1 ? message.receivedMs : startedMs);
  if (startedMs > waitedSinceMs) {
    const name = before === undefined ? "queue" : "wait for retry";
    spans.push({ ...below(own, childSpan(own.base, `wait ${startedMs}`)), name, startMs: waitedSinceMs, endMs: startedMs });
  }
  const spanId = childSpan(own.base, `attempt ${attempt.attempt} ${startedMs}`);
  spans.push({
    ...below(own, spanId),
    name: `attempt ${attempt.attempt}`,
    startMs: startedMs,
    endMs: endedMs,
    attributes: {
      "mayfly.flow": message.flow,
      "mayfly.image": `sha256:${attempt.image}`,
      "mayfly.attempt": attempt.attempt,
      "mayfly.steps": attempt.steps,
      "mayfly.cpu_ms": attempt.cpuMs,
      "error.type": failure?.code,
    },
    error: errorOf(failure),
    links: before === undefined ? [] : [before.spanId],
  });
  for (const call of attempt.calls) spans.push({ ...callSpan(own, message.flow, call), parentId: spanId });
  return spanId;
}

function callSpan(own: Place, flow: string, { cause, operation, target, startedMs, endedMs, code, status }: CallFact): SpanRecord {
  const isState = operation === "state";
  return {
    ...below(own, childSpan(own.base, cause)),
    name: operation === "fetch" ? "fetch" : isState ? "read state" : `request ${target}`,
    kind: isState ? spanKinds.internal : spanKinds.client,
    startMs: startedMs,
    endMs: endedMs,
    attributes: {
      "http.response.status_code": status > 0 && !isState ? status : undefined,
      ...(operation === "fetch" ? urlAttributes(target) : {}),
      "mayfly.flow": flow,
      "mayfly.outlet": operation === "request" ? target : undefined,
      "error.type": code ?? (status >= 500 ? String(status) : undefined),
    },
    error: code ?? (status >= 500 ? `the answer's status is ${status}` : undefined),
  };
}

/**
 * The peer has the send's span, which stands for the attempt that it accepted; the others are spans beside it, also of a send that became a
 * dead letter and may be sent yet. A context that the flow set itself is the parent.
 */
function deliverySpans(delivery: DeliveryFact): SpanRecord[] {
  const { flow, outlet, connector, idempotencyKey, attempt, startedMs, endedMs, status, failure, httpStatus, letter } = delivery;
  const found = parseTraceparent(delivery.traceparent);
  if (found === undefined) return [];
  const parent = parentOf({ tracestate: delivery.tracestate ?? "" });
  const isLast = parent !== undefined && status === "sent";
  const isHttp = connector === "http";
  const span: SpanRecord = {
    ...found,
    spanId: isLast ? found.spanId : childSpan(found.spanId, `attempt ${attempt} ${startedMs}`),
    parentId: parent ?? found.spanId,
    remote: parent === undefined,
    name: `send ${outlet}`,
    kind: isHttp ? spanKinds.client : spanKinds.producer,
    startMs: startedMs,
    endMs: endedMs,
    attributes: {
      ...(isHttp ? { "http.response.status_code": httpStatus } : messagingAttributes(connector, "send")),
      "messaging.message.id": idempotencyKey,
      "mayfly.flow": flow,
      "mayfly.outlet": outlet,
      "mayfly.connector": connector,
      "mayfly.attempt": attempt,
      "mayfly.status": status,
      "mayfly.dead_letter": letter,
      "error.type": failure?.code,
    },
    error: errorOf(failure),
    links: isLast || parent === undefined ? [] : [found.spanId],
  };
  return [span];
}

/** Of a span inside the message's. */
function below(
  { traceId, spanId }: TraceContext,
  own: string,
): Pick<SpanRecord, "traceId" | "spanId" | "parentId" | "remote" | "kind" | "attributes" | "error" | "links"> {
  const inside = { remote: false, kind: spanKinds.internal, attributes: {}, error: undefined, links: [] };
  return { traceId, spanId: own, parentId: spanId, ...inside };
}

function messagingAttributes(connector: string, operation: "process" | "send"): Attributes {
  return {
    "messaging.system": systems.get(connector) ?? connector,
    "messaging.operation.name": operation,
    "messaging.operation.type": operation,
  };
}

/** Of a URL the host and the path: a query may hold secrets. */
function urlAttributes(target: string): Attributes {
  if (!URL.canParse(target)) return {};
  const { hostname, port, pathname } = new URL(target);
  return { "server.address": hostname, "server.port": port === "" ? undefined : Number(port), "url.path": pathname };
}
