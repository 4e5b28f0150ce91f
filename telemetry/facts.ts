/** The witness: takes out of the facts it is told what spans are made of, for messages that are sampled, and nothing else. */
import {
  causes,
  type Failure,
  told,
  type Witness,
  type WitnessedAttempt,
  type WitnessedDelivery,
  type WitnessedEnd,
  type WitnessedMessage,
} from "#gateway/contract";
import { isSampled } from "./context.ts";
import type { AttemptFact, EndFact, Fact, FailureFact, MessageFact } from "./records.ts";

type FlowConfig = WitnessedAttempt["flow"]["config"];

function text(value: unknown): string | undefined {
  return typeof value === "string" ? value : undefined;
}

/** Several tracestate lines are one list (W3C Trace Context, 3.3.1). */
function listText(value: string | readonly string[] | undefined): string | undefined {
  return typeof value === "string" || value === undefined ? value : value.join(",");
}

export class FactWitness implements Witness {
  readonly #take: (fact: Fact) => void;
  /** Paths of HTTP sources by method, as the configuration has them; undefined for a method with several. */
  readonly #routes = new WeakMap<FlowConfig, Map<string, string | undefined>>();

  constructor(take: (fact: Fact) => void) {
    this.#take = take;
  }

  wants({ headers }: WitnessedMessage): boolean {
    return isSampled(headers["traceparent"]);
  }

  attempted(message: WitnessedMessage, attempt: WitnessedAttempt): void {
    if (this.wants(message)) this.#take({ kind: "message", message: messageFact(message), attempt: attemptFact(attempt), end: undefined });
  }

  ended(message: WitnessedMessage, end: WitnessedEnd): void {
    if (!this.wants(message)) return;
    const attempt = end.last === undefined ? undefined : attemptFact(end.last);
    this.#take({ kind: "message", message: messageFact(message), attempt, end: this.#endFact(message, end) });
  }

  delivered(delivery: WitnessedDelivery): void {
    const { flow, outlet, connector, idempotencyKey, headers, attempt, startedMs, endedMs, status, failure, letter } = delivery;
    const traceparent = text(headers["traceparent"]);
    if (traceparent === undefined || !isSampled(traceparent)) return;
    const httpStatus = connector === "http" && failure !== undefined && failure.status > 0 ? failure.status : undefined;
    const context = { traceparent, tracestate: listText(headers["tracestate"]) };
    const when = { attempt, startedMs, endedMs, status, failure: failureFact(failure), httpStatus, letter };
    this.#take({ kind: "delivery", delivery: { flow, outlet, connector, idempotencyKey, ...context, ...when } });
  }

  #endFact(message: WitnessedMessage, { status, endedMs, attempts, failure, letter, last }: WitnessedEnd): EndFact {
    const isHttp = message.source === "http";
    const route = isHttp && last !== undefined ? this.#route(last.flow.config, text(message.headers["mayfly-method"]) ?? "") : undefined;
    const httpStatus = !isHttp ? undefined : failure === undefined ? last?.reply?.status : told(failure).status;
    return { status, endedMs, attempts, failure: failureFact(failure), letter, route, httpStatus };
  }

  /** The path's template, such as /orders/:id: one name for all messages of the route. */
  #route(config: FlowConfig, method: string): string | undefined {
    let routes = this.#routes.get(config);
    if (routes === undefined) {
      routes = new Map();
      for (const source of config.from) {
        if (source.connector !== "http") continue;
        const { method: own, path } = source.config as { readonly method: string; readonly path: string };
        routes.set(own, routes.has(own) ? undefined : path);
      }
      this.#routes.set(config, routes);
    }
    return routes.get(method);
  }
}

function failureFact(failure: Failure | undefined): FailureFact | undefined {
  return failure === undefined ? undefined : { code: failure.code, message: failure.message };
}

function messageFact({ flow, id, source, headers, body, correlationId, receivedMs }: WitnessedMessage): MessageFact {
  return {
    flow,
    id,
    source,
    traceparent: text(headers["traceparent"]) ?? "",
    tracestate: listText(headers["tracestate"]),
    method: text(headers["mayfly-method"]),
    path: text(headers["mayfly-path"]),
    bodyBytes: body.length,
    correlationId,
    receivedMs,
  };
}

function attemptFact({ attempt, flow, startedMs, endedMs, steps, calls, failure }: WitnessedAttempt): AttemptFact {
  return {
    attempt,
    image: flow.image.sha256,
    startedMs,
    endedMs,
    steps: steps.length,
    cpuMs: steps.reduce((sum, { cpuMs }) => sum + cpuMs, 0),
    calls: calls.map(({ call, operation, target, startedMs: from, endedMs: to, code, status }) => ({
      cause: causes.call(startedMs, call),
      operation,
      target,
      startedMs: from,
      endedMs: to,
      code,
      status,
    })),
    failure: failureFact(failure),
  };
}
