/** Messages from other flows' `flow` outlets. */
import type { SourceDefinition } from "#gateway/contract";

export const flowSource: SourceDefinition<object> = {
  name: "flow",
  summary: "Messages from other flows of this gateway.",
  description:
    "Another flow's `flow` outlet hands its messages over. Sends are kept safe by the journal before the sending flow's outbox lets go of them; their id is the send's idempotency key, so with `dedup` none is run twice. Requests are answered with this flow's reply. This source says that a flow is meant for it; any flow can be the target of a `flow` outlet.",
  schema: { type: "object", additionalProperties: false, properties: {} },
  example: "flow: {}",
  create: () => ({
    start: async () => undefined,
    stop: async () => undefined,
    health: () => ({ ready: true, detail: "takes messages from other flows" }),
  }),
};
