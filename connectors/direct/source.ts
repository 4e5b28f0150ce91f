/** Messages that are put in by hand: they come through the gateway itself. */
import type { SourceDefinition } from "#gateway/contract";

export const directSource: SourceDefinition<object> = {
  name: "direct",
  summary: "Messages from `mayfly send` and from programs that embed the gateway.",
  description:
    "Every flow takes messages this way, whether this is given or not; it says so for a flow that has no other source. `mayfly send` talks to the gateway's admin socket (`http.admin`).",
  schema: { type: "object", additionalProperties: false, properties: {} },
  example: "direct: {}",
  create: () => ({
    start: async () => undefined,
    stop: async () => undefined,
    health: () => ({ ready: true, detail: "takes messages from mayfly send" }),
  }),
};
