/** Messages that are put in by hand: they come through the gateway itself. */
import type { SourceDefinition } from "#gateway/contract";

export const directSource: SourceDefinition<object> = {
  name: "direct",
  summary: "Messages from `mayfly send` and from programs that embed the gateway.",
  description:
    "Every flow accepts such messages, with or without this source; it documents a flow that has no other one. `mayfly send` uses the gateway's admin socket (`http.admin`).",
  schema: { type: "object", additionalProperties: false, properties: {} },
  example: "direct: {}",
  create: () => ({
    start: async () => undefined,
    stop: async () => undefined,
    health: () => ({ ready: true, detail: "takes messages from mayfly send" }),
  }),
};
