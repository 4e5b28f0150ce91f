/** Messages from other flows' `flow` outlets. */
import type { SourceDefinition } from "#gateway/contract";

export const flowSource: SourceDefinition<object> = {
  name: "flow",
  summary: "Messages from other flows of this gateway.",
  description:
    "Messages from another flow's `flow` outlet. The journal stores a send before the sending flow's outbox releases it; its id is the send's idempotency key, so with `dedup` none runs twice. Requests are answered with this flow's reply. This entry only tells readers so: any flow can be the target of a `flow` outlet.",
  schema: { type: "object", additionalProperties: false, properties: {} },
  example: "flow: {}",
  create: () => ({
    start: async () => undefined,
    stop: async () => undefined,
    health: () => ({ ready: true, detail: "takes messages from other flows" }),
  }),
};
