/** In over HTTP: `http` is answered once the journal has the message, `reply` once the flow has replied. */
import { Agent, request } from "undici";
import { Proxy } from "../../../connectors/testing/proxy.ts";
import type { Probe } from "../message.ts";
import type { Lane, Transport } from "./transport.ts";

export async function httpTransport(gatewayPort: number): Promise<Transport> {
  const proxy = await Proxy.open({ host: "127.0.0.1", port: gatewayPort });
  const agent = new Agent({ connections: 32, connectTimeout: 3_000, headersTimeout: 8_000, bodyTimeout: 8_000 });
  const send = async ({ id, lane, body }: Probe): Promise<void> => {
    const headers = { "content-type": "application/json", "idempotency-key": id };
    const answer = await request(`http://127.0.0.1:${proxy.port}/${lane}`, { method: "POST", headers, body, dispatcher: agent });
    await answer.body.dump();
    if (answer.statusCode < 200 || answer.statusCode > 299) throw new Error(`answered ${answer.statusCode}`);
  };
  const lane = (name: string, mode: string): Lane => ({
    name,
    ordered: true,
    lossy: false,
    waits: mode === "reply",
    from: { http: { path: `/${name}`, mode } },
    out: undefined,
    send,
  });
  return {
    name: "http",
    lanes: [lane("http", "accept"), lane("reply", "reply")],
    proxy,
    broker: undefined,
    stops: [],
    async close() {
      await agent.destroy();
      await proxy.close();
    },
  };
}
