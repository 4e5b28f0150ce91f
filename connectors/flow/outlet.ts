/** To another flow of this gateway. */
import {
  type Answer,
  type Attempt,
  type Failure,
  type FailureOrigin,
  gatewayLimits,
  type Incoming,
  type Outcome,
  type Outgoing,
  type Outlet,
  type OutletContext,
  type OutletDefinition,
  OutletError,
  type OutletRequest,
} from "#gateway/contract";
import { type CloudEventsConfig, cloudEventsSchema, emitCloudEvent } from "../shared/cloudevents/write.ts";

export interface FlowOutletConfig {
  readonly name: string;
  readonly cloudevents?: CloudEventsConfig;
}

const hopsHeader = "mayfly-hops";

/** This flow is the other flow's caller: an error of the caller there is an error of this flow here. */
function originOf({ origin }: Failure): FailureOrigin {
  return origin === "caller" ? "flow" : origin;
}

class FlowOutlet implements Outlet {
  readonly #target: string;
  readonly #cloudevents: CloudEventsConfig | undefined;
  readonly #context: OutletContext;

  constructor(config: FlowOutletConfig, context: OutletContext) {
    this.#target = config.name;
    this.#cloudevents = config.cloudevents;
    this.#context = context;
  }

  /** The stored body goes on, unless the event has its data in it. */
  get streams(): boolean {
    return this.#cloudevents?.mode !== "structured";
  }

  async send(message: Outgoing, attempt: Attempt): Promise<void> {
    const outcome = await this.#deliver(message, attempt, false);
    if (outcome.status === "dead")
      throw new OutletError(outcome.failure.code, outcome.failure.message, { retryable: false, origin: originOf(outcome.failure) });
  }

  async request(message: OutletRequest, attempt: Attempt): Promise<Answer> {
    const outcome = await this.#deliver(message, attempt, true);
    if (outcome.status === "dead")
      throw new OutletError(outcome.failure.code, `the flow ${this.#target} failed: ${outcome.failure.message}`, {
        retryable: outcome.failure.retry,
        status: outcome.failure.status,
        origin: originOf(outcome.failure),
      });
    const reply = outcome.status === "done" || outcome.status === "duplicate" ? outcome.reply : undefined;
    return reply ?? { status: 204, contentType: "", headers: {}, body: new Uint8Array(0) };
  }

  health(): { ready: boolean; detail: string } {
    return { ready: true, detail: `to flow ${this.#target}` };
  }

  async stop(): Promise<void> {}

  async #deliver(message: Outgoing, { idempotencyKey }: Attempt, replyWanted: boolean): Promise<Outcome> {
    const hops = Number(message.headers[hopsHeader] ?? 0) + 1;
    if (!(hops <= gatewayLimits.flowHops))
      throw new OutletError(
        "MF_FLOW_LOOP",
        `the message has passed through ${gatewayLimits.flowHops} flows: look for flows that send to each other in a cycle`,
        { retryable: false },
      );
    const { headers, contentType, body } =
      this.#cloudevents === undefined ? message : emitCloudEvent(message, idempotencyKey, this.#cloudevents);
    const incoming: Incoming = {
      id: idempotencyKey,
      headers: { ...headers, "mayfly-from-flow": message.flow, [hopsHeader]: String(hops) },
      contentType,
      body,
      storedBody: message.storedBody,
      key: message.key,
      correlationId: message.correlationId,
      replyWanted,
      keeper: replyWanted ? "source" : "journal",
      parent: { how: "send", flow: message.flow, id: message.messageId },
    };
    const outcome = await (this.#context.deliverTo(this.#target, incoming) ??
      Promise.reject(
        new OutletError("MF_FLOW_UNKNOWN", `the flow ${this.#target} no longer exists: it was removed from mayfly.yaml`, {
          retryable: true,
        }),
      ));
    if (outcome.status === "refused") {
      const isPaused = outcome.code === "MF_FLOW_PAUSED"; // waits as for a peer that is away: no attempt is used up
      throw new OutletError(outcome.code, outcome.message, {
        retryable: true,
        retryAfterMs: outcome.retryAfterMs,
        unreached: isPaused,
        callerStatus: isPaused ? 503 : 0,
      });
    }
    return outcome;
  }
}

export const flowOutlet: OutletDefinition<FlowOutletConfig> = {
  name: "flow",
  summary: "To another flow of this gateway.",
  description:
    "A send is complete once the journal holds it for the other flow, with the send's idempotency key as its id. A request waits for the other flow's reply. Header: `mayfly-from-flow`. A message that circulates between flows fails after a number of hops.",
  answers: true,
  schema: {
    type: "object",
    additionalProperties: false,
    required: ["name"],
    properties: { name: { type: "string", minLength: 1, description: "Name of the flow." }, cloudevents: cloudEventsSchema },
  },
  example: "flow: { name: billing }",
  create: (config, context) => new FlowOutlet(config, context),
};
