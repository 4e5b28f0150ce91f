/** An HTTP server to send to, and the configuration of an outlet that does. */
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import type { HttpOutletConfig } from "../http/outlet.ts";

export async function withPeer(
  handle: (request: IncomingMessage, response: ServerResponse, body: string) => void,
  run: (url: string) => Promise<void>,
): Promise<void> {
  const server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on("data", (chunk: Buffer) => chunks.push(chunk)).on("end", () => handle(request, response, Buffer.concat(chunks).toString()));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  try {
    await run(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);
  } finally {
    server.closeAllConnections();
    server.close();
  }
}

export function httpSettings(url: string, change: Partial<HttpOutletConfig> = {}): never {
  return { url, method: "POST", headers: {}, timeout: 1000, cloudevents: undefined, ...change } as never;
}
