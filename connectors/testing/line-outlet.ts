/** To a line server: one JSON line per message, answered with `ok` or `no`. The example of docs/CONNECTOR-HOWTO.md. */
import { type Outlet, type OutletContext, type OutletDefinition, OutletError } from "#gateway/contract";
import { explainNetwork } from "../shared/explain.ts";
import { Link, LossGuard, type Opening, unlessAborted } from "../shared/link.ts";
import { sendableOf } from "../shared/wire.ts";
import { type LineConfig, lineSchema, openLine } from "./line-client.ts";

interface Session {
  ask(line: string): Promise<string>;
}

export const lineOutlet: OutletDefinition<LineConfig> = {
  name: "line",
  summary: "To a line server.",
  description:
    "A message counts as sent when the server has answered `ok`. `MF_LINE_REFUSED`: it answered something else; not tried again.",
  schema: { type: "object", additionalProperties: false, required: ["port"], properties: lineSchema },
  example: "line: { port: 7000 }",
  answers: false,
  create: createLineOutlet,
};

function createLineOutlet(config: LineConfig, context: OutletContext): Outlet {
  const peer = `${config.host}:${config.port}`;
  const link = new Link<Session>({
    context,
    peer,
    open: (opening) => open(config, opening),
    explain: (error) => explainNetwork("LINE", peer, error),
  });
  return {
    start: () => link.start(),
    async send(message, attempt) {
      const { id, body } = sendableOf(message, attempt, undefined);
      const line = JSON.stringify({ id, body: Buffer.from(body).toString("base64") });
      const answer = await unlessAborted(attempt.signal, link.need().ask(line));
      if (answer !== "ok") throw new OutletError("MF_LINE_REFUSED", `${peer} answered ${answer}`, { retryable: false });
    },
    health: () => link.health(),
    stop: () => link.stop(),
  };
}

async function open(config: LineConfig, { lost, own }: Opening): Promise<Session> {
  const guard = new LossGuard();
  const { lines, write } = own(
    await openLine(config, (error) => {
      lost(error);
      guard.lost();
    }),
  );
  const waiting: ((line: string) => void)[] = []; // answers come in the order of the questions
  lines.on("line", (line) => waiting.shift()?.(line));
  const ask = (line: string): Promise<string> => guard.during(new Promise((resolve) => waiting.push(resolve) && write(line)));
  return { ask };
}
