/** Messages of a line server: `take 16` asks for them, each comes as `ID BODY` and is answered. The example of docs/CONNECTOR-HOWTO.md. */
import type { Source, SourceContext, SourceDefinition } from "#gateway/contract";
import { brokerSource } from "../shared/broker-source.ts";
import { explainNetwork } from "../shared/explain.ts";
import type { Delivery } from "../shared/intake.ts";
import { incomingOf } from "../shared/wire.ts";
import { type LineConfig, type LineConnection, lineSchema, openLine } from "./line-client.ts";

export interface LineSourceConfig extends LineConfig {
  readonly prefetch?: number;
}

export const lineSource: SourceDefinition<LineSourceConfig> = {
  name: "line",
  summary: "Messages of a line server.",
  description: "At least once. A message is answered with `ok` only after its effects are committed; the server gives it again until then.",
  schema: {
    type: "object",
    additionalProperties: false,
    required: ["port"],
    properties: { ...lineSchema, prefetch: { type: "integer", minimum: 1, description: "Most unanswered messages." } },
  },
  example: "line: { port: 7000 }",
  create: createLineSource,
};

function createLineSource(config: LineSourceConfig, context: SourceContext): Source {
  return brokerSource({
    context,
    peer: `${config.host}:${config.port}`,
    place: "messages",
    prefetch: config.prefetch,
    explain: (peer, _place, error) => explainNetwork("LINE", peer, error),
    async open({ intake, lost, own, callback }) {
      const connection = own(await openLine(config, lost));
      connection.lines.on(
        "line",
        callback((line: string) => intake.offer(delivery(connection, line))),
      );
      connection.write(`take ${intake.limit}`);
      return {};
    },
  });
}

function delivery({ write }: LineConnection, line: string): Delivery {
  const [id = "", body = ""] = line.split(" ");
  return {
    incoming: incomingOf({ id, headers: {}, body: Buffer.from(body, "base64") }, undefined),
    settle: () => write(`ok ${id}`),
    giveBack: () => write(`back ${id}`),
  };
}
