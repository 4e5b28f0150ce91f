/** Into the gateway's log. */
import { fromUtf8 } from "#base";
import type { OutletDefinition } from "#gateway/contract";
import { type CloudEventsConfig, emitCloudEvent, structuredCloudEventsSchema } from "../shared/cloudevents/write.ts";

export interface LogOutletConfig {
  readonly level: "debug" | "info" | "warn" | "error";
  readonly text: string;
  readonly maxBytes: number;
  readonly cloudevents?: CloudEventsConfig;
}

export const logOutlet: OutletDefinition<LogOutletConfig> = {
  name: "log",
  summary: "To the gateway's log.",
  description:
    "Every send is one line of the log, with its body as text, truncated after `maxBytes`. Useful for experiments and as a wire tap.",
  answers: false,
  schema: {
    type: "object",
    additionalProperties: false,
    properties: {
      level: { type: "string", enum: ["debug", "info", "warn", "error"], default: "info", description: "Level of the line." },
      text: { type: "string", default: "sent", description: "Text of the line." },
      maxBytes: { type: "integer", minimum: 0, maximum: 65_536, default: 4_096, description: "Maximum number of bytes of the body shown." },
      cloudevents: structuredCloudEventsSchema,
    },
  },
  example: "log: { level: info }",
  create: (config, context) => ({
    send: async (message, { idempotencyKey }) => {
      const { cloudevents } = config;
      const { contentType, body } = cloudevents === undefined ? message : emitCloudEvent(message, idempotencyKey, cloudevents);
      context.logger[config.level](
        {
          message: message.messageId,
          send: idempotencyKey,
          key: message.key,
          contentType,
          bytes: body.length,
          body: fromUtf8(body.subarray(0, config.maxBytes)),
        },
        config.text,
      );
    },
    health: () => ({ ready: true, detail: "writing to the log" }),
    stop: async () => undefined,
  }),
};
