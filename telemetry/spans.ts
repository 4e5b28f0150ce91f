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
import type {
  Failure,
  Witness,
  WitnessedAttempt,
  WitnessedCall,
  WitnessedDelivery,
  WitnessedEnd,
  WitnessedMessage,
} from "#gateway/contract";
import { causes } from "#gateway/contract";
import { childSpan, parentOf, parseTraceparent, type TraceContext } from "./context.ts";
import { telemetryLimits } from "./limits.ts";
import { type Attribute, type Attributes, spanKinds, type SpanRecord } from "./records.ts";

/** `messaging.system` of connectors that have one; the connector's name otherwise. */
const systems: ReadonlyMap<string, string> = new Map([["amqp", "rabbitmq"]]);

/** Connectors whose messages are HTTP requests. */
const isHttp = (connector: string): boolean => connector === "http";

type Given = Readonly<Record<string, Attribute | undefined>>;

function attributes(given: Given): Attributes {
  const all: Record<string, Attribute> = {};
  for (const [name, value] of Object.entries(given)) {
    if (value === undefined || value === "") continue;
    all[name] = typeof value === "string" ? value.slice(0, telemetryLimits.textCharacters) : value;
  }
  return all;
}

function errorOf(failure: Failure | undefined): string | undefined {
  return failure === undefined ? undefined : `${failure.code}: ${failure.message}`.slice(0, telemetryLimits.textCharacters);
}

function text(value: unknown): string | undefined {
  return typeof value === "string" ? value : undefined;
}

/** The path's template in the configuration, such as /orders/:id: a name for all messages of the route. */
function routeOf({ source, headers }: WitnessedMessage, end: WitnessedEnd): string | undefined {
  if (!isHttp(source)) return undefined;
  const method = text(headers["mayfly-method"]);
  const routes = (end.last?.flow.config.from ?? [])
    .filter(({ connector }) => isHttp(connector))
    .map(({ config }) => config as { readonly method?: string; readonly path?: string })
    .filter((each) => each.method === undefined || each.method === method);
  return routes.length === 1 ? routes[0]?.path : undefined;
}

interface LastAttempt {
  readonly spanId: string;
  readonly endedMs: number;
}

export class SpanWitness implements Witness {
  readonly #take: (span: SpanRecord) => void;
  /** The attempt before, of open messages, by the message's span. Without an entry a span lacks its link, nothing else. */
  readonly #open = new Map<string, LastAttempt>();

  constructor(take: (span: SpanRecord) => void) {
    this.#take = take;
  }

  attempted(message: WitnessedMessage, attempt: WitnessedAttempt): void {
    const own = sampledContext(message.headers);
    if (own === undefined) return;
    const spanId = this.#attempt(own, message, attempt);
    this.#open.delete(own.spanId);
    this.#open.set(own.spanId, { spanId, endedMs: attempt.endedMs });
    if (this.#open.size <= telemetryLimits.openMessages) return;
    const [oldest] = this.#open.keys();
    if (oldest !== undefined) this.#open.delete(oldest);
  }

  ended(message: WitnessedMessage, end: WitnessedEnd): void {
    const own = sampledContext(message.headers);
    if (own === undefined) return;
    const { last, endedMs, failure, status } = end;
    if (last !== undefined) {
      const spanId = this.#attempt(own, message, last);
      if (status === "done" && endedMs > last.endedMs)
        this.#take({
          ...below(own, childSpan(own.spanId, "commit")),
          name: "commit",
          startMs: last.endedMs,
          endMs: endedMs,
          links: [spanId],
        });
    }
    this.#open.delete(own.spanId);
    const parent = parentOf(message.headers);
    const http = isHttp(message.source);
    const method = text(message.headers["mayfly-method"]) ?? "";
    const route = routeOf(message, end);
    this.#take({
      ...own,
      parentId: parent,
      remote: parent !== undefined,
      name: http ? `${method} ${route ?? ""}`.trim() : `process ${message.flow}`,
      kind: http ? spanKinds.server : spanKinds.consumer,
      startMs: message.receivedMs,
      endMs: endedMs,
      attributes: attributes({
        ...(http ? httpAttributes(message, end, route) : messagingAttributes(message.source, "process")),
        "messaging.message.id": message.id,
        "messaging.message.conversation_id": message.correlationId,
        "messaging.message.body.size": message.body.length,
        "mayfly.flow": message.flow,
        "mayfly.source": message.source,
        "mayfly.status": status,
        "mayfly.attempts": end.attempts,
        "mayfly.dead_letter": end.letter,
        "error.type": failure?.code,
      }),
      error: errorOf(failure),
      links: [],
    });
  }

  delivered(delivery: WitnessedDelivery): void {
    const found = sampledContext(delivery.headers);
    if (found === undefined) return;
    const { connector, outlet, status, failure } = delivery;
    const parent = parentOf(delivery.headers);
    // The peer has the send's span; an attempt it does not know of is a span beside it. A context that the flow set is its parent.
    const isLast = parent !== undefined && (status === "sent" || status === "dead");
    const spanId = isLast ? found.spanId : childSpan(found.spanId, `attempt ${delivery.attempt} ${delivery.startedMs}`);
    this.#take({
      ...found,
      spanId,
      parentId: parent ?? found.spanId,
      remote: parent === undefined,
      name: `send ${outlet}`,
      kind: isHttp(connector) ? spanKinds.client : spanKinds.producer,
      startMs: delivery.startedMs,
      endMs: delivery.endedMs,
      attributes: attributes({
        ...(isHttp(connector) ? {} : messagingAttributes(connector, "send")),
        "http.response.status_code": isHttp(connector) && failure !== undefined && failure.status > 0 ? failure.status : undefined,
        "messaging.message.id": delivery.idempotencyKey,
        "mayfly.flow": delivery.flow,
        "mayfly.outlet": outlet,
        "mayfly.connector": connector,
        "mayfly.attempt": delivery.attempt,
        "mayfly.status": status,
        "mayfly.dead_letter": delivery.letter,
        "error.type": failure?.code,
      }),
      error: errorOf(failure),
      links: isLast || parent === undefined ? [] : [found.spanId],
    });
  }

  /** One attempt with its calls, and the wait before it. Gives its span. */
  #attempt(own: TraceContext, message: WitnessedMessage, attempt: WitnessedAttempt): string {
    const before = this.#open.get(own.spanId);
    const waitedSinceMs = before?.endedMs ?? (attempt.attempt === 1 ? message.receivedMs : attempt.startedMs);
    if (attempt.startedMs > waitedSinceMs) {
      const name = before === undefined ? "queue" : "wait for retry";
      const wait = childSpan(own.spanId, `wait ${attempt.startedMs}`);
      this.#take({ ...below(own, wait), name, startMs: waitedSinceMs, endMs: attempt.startedMs });
    }
    const spanId = childSpan(own.spanId, `attempt ${attempt.attempt} ${attempt.startedMs}`);
    const { failure, flow } = attempt;
    this.#take({
      ...below(own, spanId),
      name: `attempt ${attempt.attempt}`,
      startMs: attempt.startedMs,
      endMs: attempt.endedMs,
      attributes: attributes({
        "mayfly.flow": flow.name,
        "mayfly.image": `sha256:${flow.image.sha256}`,
        "mayfly.attempt": attempt.attempt,
        "mayfly.steps": attempt.steps.length,
        "mayfly.cpu_ms": attempt.steps.reduce((sum, { cpuMs }) => sum + cpuMs, 0),
        "error.type": failure?.code,
      }),
      error: errorOf(failure),
      links: before === undefined ? [] : [before.spanId],
    });
    for (const call of attempt.calls) this.#call(own, attempt, spanId, call);
    return spanId;
  }

  #call(own: TraceContext, attempt: WitnessedAttempt, parentId: string, call: WitnessedCall): void {
    const { operation, target, code, status } = call;
    this.#take({
      ...below(own, childSpan(own.spanId, causes.call(attempt.startedMs, call.call))),
      parentId,
      name: operation === "fetch" ? "fetch" : operation === "state" ? "read state" : `request ${target}`,
      kind: operation === "state" ? spanKinds.internal : spanKinds.client,
      startMs: call.startedMs,
      endMs: call.endedMs,
      attributes: attributes({
        "http.response.status_code": status > 0 && operation !== "state" ? status : undefined,
        ...(operation === "fetch" ? urlAttributes(target) : {}),
        "mayfly.flow": attempt.flow.name,
        "mayfly.outlet": operation === "request" ? target : undefined,
        "error.type": code ?? (status >= 500 ? String(status) : undefined),
      }),
      error: code ?? (status >= 500 ? `the answer's status is ${status}` : undefined),
    });
  }
}

function sampledContext(headers: WitnessedMessage["headers"]): TraceContext | undefined {
  const own = parseTraceparent(headers["traceparent"]);
  return own?.sampled === true ? own : undefined;
}

/** Of a span inside the message's. */
function below(
  { traceId, spanId }: TraceContext,
  own: string,
): Pick<SpanRecord, "traceId" | "spanId" | "parentId" | "remote" | "kind" | "attributes" | "error" | "links"> {
  const inside = { remote: false, kind: spanKinds.internal, attributes: {}, error: undefined, links: [] };
  return { traceId, spanId: own, parentId: spanId, ...inside };
}

function messagingAttributes(connector: string, operation: "process" | "send"): Given {
  return {
    "messaging.system": systems.get(connector) ?? connector,
    "messaging.operation.name": operation,
    "messaging.operation.type": operation,
  };
}

function httpAttributes({ headers }: WitnessedMessage, { last, failure, status }: WitnessedEnd, route: string | undefined): Given {
  return {
    "http.request.method": text(headers["mayfly-method"]),
    "http.route": route,
    "url.path": text(headers["mayfly-path"]),
    "http.response.status_code":
      status === "done" ? last?.reply?.status : failure !== undefined && failure.status > 0 ? failure.status : undefined,
  };
}

/** Of a URL the host and the path: a query may hold secrets. */
function urlAttributes(target: string): Given {
  if (!URL.canParse(target)) return {};
  const { hostname, port, pathname } = new URL(target);
  return { "server.address": hostname, "server.port": port === "" ? undefined : Number(port), "url.path": pathname };
}
