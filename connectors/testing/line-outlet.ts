/** To a line server: one JSON line per message, answered with `ok` or `no`. The example of docs/CONNECTOR-HOWTO.md. */
import { connect, type Socket } from "node:net";
import { createInterface } from "node:readline";
import { type Outlet, type OutletContext, type OutletDefinition, OutletError } from "#gateway/contract";
import { explainNetwork } from "../shared/explain.ts";
import { Link, LossGuard, unlessAborted } from "../shared/link.ts";
import { sendableOf } from "../shared/wire.ts";

export interface LineConfig {
  readonly host: string;
  readonly port: number;
}

interface Session {
  ask(line: string): Promise<string>;
  close(): Promise<void>;
}

export const lineOutlet: OutletDefinition<LineConfig> = {
  name: "line",
  summary: "To a line server.",
  description:
    "A message counts as sent when the server has answered `ok`. `MF_LINE_REFUSED`: it answered something else; not tried again.",
  schema: {
    type: "object",
    additionalProperties: false,
    required: ["port"],
    properties: { host: { type: "string", default: "127.0.0.1" }, port: { type: "integer", minimum: 1, maximum: 65535 } },
  },
  example: "line: { port: 7000 }",
  answers: false,
  create: createLineOutlet,
};

function createLineOutlet(config: LineConfig, context: OutletContext): Outlet {
  const peer = `${config.host}:${config.port}`;
  const link = new Link<Session>({
    context,
    peer,
    open: (lost) => open(config, lost),
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

async function open({ host, port }: LineConfig, lost: (error: unknown) => void): Promise<Session> {
  const socket = await new Promise<Socket>((resolve, reject) => {
    const opening: Socket = connect(port, host, () => resolve(opening)).once("error", reject);
  });
  const guard = new LossGuard();
  const waiting: ((line: string) => void)[] = []; // answers come in the order of the questions
  createInterface(socket)
    .on("line", (line) => waiting.shift()?.(line))
    .on("error", lost);
  socket.on("error", lost).on("close", () => {
    lost(new Error("the connection was closed"));
    guard.lost();
  });
  const ask = (line: string): Promise<string> => guard.during(new Promise((resolve) => waiting.push(resolve) && socket.write(`${line}\n`)));
  return { ask, close: async () => void socket.destroy() };
}
