/** Connections to a line server, the broker of the examples in docs/CONNECTOR-HOWTO.md. */
import { connect, type Socket } from "node:net";
import { createInterface, type Interface } from "node:readline";
import type { JsonSchema } from "#gateway/contract";

export interface LineConfig {
  readonly host: string;
  readonly port: number;
}

export const lineSchema: Readonly<Record<string, JsonSchema>> = {
  host: { type: "string", default: "127.0.0.1" },
  port: { type: "integer", minimum: 1, maximum: 65535 },
};

export interface LineConnection {
  readonly lines: Interface;
  write(line: string): void;
  close(): Promise<void>;
}

export async function openLine({ host, port }: LineConfig, lost: (error: unknown) => void): Promise<LineConnection> {
  const socket = await new Promise<Socket>((resolve, reject) => {
    const opening: Socket = connect(port, host, () => resolve(opening)).once("error", reject);
  });
  socket.on("error", lost).on("close", () => lost(new Error("the connection was closed")));
  return {
    lines: createInterface(socket).on("error", lost),
    write: (line) => void socket.write(`${line}\n`),
    close: () => new Promise((resolve) => socket.end(() => resolve())),
  };
}
