/** Messages, attempts and ends as delivery tells them to a witness. */
import { defaultFlowLimits, type DeliverEvent, type Headers, type StepOutcome } from "#abi";
import { toUtf8 } from "#base";
import type { HistoryRules } from "../../contract/config.ts";
import type { Failure } from "../../contract/message.ts";
import type { Flow } from "../../contract/runner.ts";
import type { WitnessedAttempt, WitnessedDelivery, WitnessedEnd, WitnessedMessage } from "../../contract/witness.ts";

export const rules: HistoryRules = { record: "all", sample: 0.1, bodies: "all", redact: { headers: [], paths: [] } };

/** A flow as a witness sees it. */
export function flowNamed(name: string): Flow {
  return { name, image: { name, sha256: "ab".repeat(32) }, limits: defaultFlowLimits } as unknown as Flow;
}

export interface Made {
  readonly flow?: string;
  readonly id: string;
  readonly body?: string;
  readonly key?: string | undefined;
  readonly correlationId?: string;
  readonly headers?: Headers;
  readonly receivedMs?: number;
  readonly failure?: Failure;
  readonly letter?: string;
  readonly attempt?: number;
  readonly outcome?: StepOutcome;
  readonly events?: WitnessedAttempt["events"];
  readonly steps?: readonly StepOutcome[];
}

export function messageMade({
  flow = "orders",
  id,
  body = "",
  key,
  correlationId,
  headers = {},
  receivedMs = 1000,
}: Made): WitnessedMessage {
  return { flow, id, source: "http", headers, contentType: "text/plain", body: toUtf8(body), key, correlationId, receivedMs };
}

export function deliverMade({ id, body = "", key, headers = {}, receivedMs = 1000, attempt = 1 }: Made): DeliverEvent {
  return {
    kind: "deliver",
    timeMs: receivedMs,
    seed: new Uint8Array(32).fill(7),
    id,
    source: "http",
    attempt,
    key,
    headersJson: JSON.stringify({ ...headers, "content-type": "text/plain" }),
    stateJson: undefined,
    body: toUtf8(body),
  };
}

const done: StepOutcome = { status: "done", effects: [{ kind: "done", reply: undefined }], cpuMs: 0.1 };

export function attemptMade(made: Made): WitnessedAttempt {
  const { flow = "orders", receivedMs = 1000, attempt = 1, failure, outcome = done, events = [], steps = [outcome] } = made;
  const logs = steps.flatMap(({ effects }) => effects.flatMap((effect) => (effect.kind === "log" ? [effect] : [])));
  return {
    attempt,
    flow: flowNamed(flow),
    startedMs: receivedMs,
    endedMs: receivedMs + 5,
    deliver: deliverMade(made),
    events,
    steps,
    calls: [],
    logs,
    failure,
    reply: undefined,
  };
}

export function endMade(made: Made): WitnessedEnd {
  const { receivedMs = 1000, failure, letter, attempt = 1 } = made;
  const status = failure === undefined ? "done" : letter === undefined ? "failed" : "dead";
  return { status, last: attemptMade(made), attempts: attempt, endedMs: receivedMs + 10, failure, letter };
}

export function deliveryMade(messageId: string, more: Partial<WitnessedDelivery> = {}): WitnessedDelivery {
  return {
    flow: "orders",
    messageId,
    outlet: "billing",
    connector: "http",
    idempotencyKey: `orders/${messageId}/1/0`,
    headers: {},
    attempt: 1,
    startedMs: 1020,
    endedMs: 1030,
    status: "sent",
    failure: undefined,
    letter: undefined,
    ...more,
  };
}

export const failed: Failure = { origin: "flow", code: "OUT_OF_STOCK", message: "nothing left", status: 409, retry: false };
