/** To a sleeping machine of a flow of this gateway. */
import {
  type Attempt,
  type Health,
  type IncomingSignal,
  type Outgoing,
  type Outlet,
  type OutletContext,
  type OutletDefinition,
  OutletError,
  type SignalOutcome,
} from "#gateway/contract";

export interface SignalOutletConfig {
  readonly flow: string;
  readonly name: string;
  readonly key?: string;
}

class SignalOutlet implements Outlet {
  readonly #config: SignalOutletConfig;
  readonly #context: OutletContext;
  readonly #keyOf: (message: Outgoing) => string | undefined;

  constructor(config: SignalOutletConfig, context: OutletContext) {
    this.#config = config;
    this.#context = context;
    this.#keyOf = config.key === undefined ? () => undefined : context.expression(config.key);
  }

  async send(message: Outgoing, { idempotencyKey }: Attempt): Promise<void> {
    const { flow, name } = this.#config;
    const key = message.key ?? this.#keyOf(message);
    if (key === undefined || key === "")
      throw new OutletError(
        "MF_SIGNAL_NO_KEY",
        `the send to ${flow} has no key: give one with send(…, { key }), or as \`key:\` of the outlet`,
        {
          retryable: false,
          origin: "flow",
        },
      );
    const { headers, contentType, body } = message;
    const outcome = await this.#given({
      flow,
      name,
      key,
      id: idempotencyKey,
      source: "signal",
      headers: { ...headers, "mayfly-from-flow": message.flow },
      contentType,
      body,
    });
    if (outcome.status !== "refused") return;
    const { code, final, retryAfterMs } = outcome;
    const unreached = code === "MF_STOPPING" || code === "MF_FLOW_PAUSED"; // waits as for a peer that is away: no attempt is used up
    throw new OutletError(code, outcome.message, { retryable: !final, retryAfterMs, unreached });
  }

  health(): Health {
    return { ready: true, detail: `signals ${this.#config.name} to flow ${this.#config.flow}` };
  }

  async stop(): Promise<void> {}

  #given(signal: IncomingSignal): Promise<SignalOutcome> {
    const given = this.#context.signalTo(signal);
    if (given !== undefined) return given;
    throw new OutletError("MF_FLOW_UNKNOWN", `the flow ${signal.flow} no longer exists: it was removed from mayfly.yaml`, {
      retryable: true,
    });
  }
}

export const signalOutlet: OutletDefinition<SignalOutletConfig> = {
  name: "signal",
  summary: "To a sleeping machine of a flow of this gateway.",
  description:
    "The signal that `wait(name, { key })` in the other flow waits for, or an early one for it. Its key is the send's own, `send(…, { key })`, or else what `key` finds in the send. A send is complete once the journal holds the signal, with the send's idempotency key as its id, so that none counts twice. Header: `mayfly-from-flow`. A send without a key (`MF_SIGNAL_NO_KEY`) or with too long a body (`MF_SIGNAL_TOO_LARGE`) becomes a dead letter.",
  answers: false,
  schema: {
    type: "object",
    additionalProperties: false,
    required: ["flow", "name"],
    properties: {
      flow: { type: "string", minLength: 1, description: "Name of the flow whose machines wait." },
      name: { type: "string", minLength: 1, description: "Name of the signal." },
      key: {
        type: "string",
        minLength: 1,
        description: "Key of a send that has none of its own: header:NAME, json:/pointer, id, body or a text in double quotes.",
      },
    },
  },
  example: "signal: { flow: billing, name: payment, key: json:/order }",
  create: (config, context) => new SignalOutlet(config, context),
};
