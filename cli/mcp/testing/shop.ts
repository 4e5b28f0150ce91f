/** A project whose orders fail, with a gateway that runs or has run, and clients of `mayfly mcp` in it. */
import { mkdir, mkdtemp, realpath, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { type CallToolResult, Client } from "@modelcontextprotocol/client";
import { StdioClientTransport } from "@modelcontextprotocol/client/stdio";
import { freePort } from "../../../base/testing/free-port.ts";
import { capture, packageRoot, serve, type Serving } from "#cli";
import { silentLogger } from "#gateway";

/** An order fails where its customer has no address. */
export const brokenFlow = `import { flow } from "mayfly";
export default flow<"bills">((msg, { to, log, values }) => {
  const order = msg.json<{ id: string; note?: string; customer: { address?: { city: string } } }>();
  log.info("order", { id: order.id, secret: values["secret"] === undefined ? "none" : "some" });
  to.bills.send({ bill: order.id, city: order.customer.address!.city.toUpperCase() });
  return { accepted: order.id };
});
`;
export const mendedFlow = brokenFlow.replace(
  "order.customer.address!.city.toUpperCase()",
  '(order.customer.address?.city ?? "").toUpperCase()',
);

const configFor = (adminPort: number): string => `http:
  admin: { port: ${adminPort}, token: "\${SHOP_TOKEN}" }
functions: {}
history: { redact: { paths: [/card], headers: [x-secret] } }
flows:
  orders:
    flow: flows/orders.ts
    key: json:/id
    retry: { attempts: 1 }
    values: { secret: "\${SHOP_SECRET:-plain}" }
    to: { bills: { flow: { name: bills } } }
  bills: { flow: flows/bills.ts }
`;

const entryText = `const { main } = await import(${JSON.stringify(pathToFileURL(join(packageRoot, "dist", "cli", "mod.js")).href)});
process.exitCode = await main(process.argv.slice(2));
`;

export interface Shop {
  /** Without links. */
  readonly folder: string;
  readonly entry: string;
  at(...names: string[]): string;
  /** The admin token is in the environment of no test: the socket serves. */
  serve(): Promise<Serving>;
  send(order: object): Promise<void>;
  /** A client over stdio; closed with the shop. */
  client(...values: string[]): Promise<Client>;
  remove(): Promise<void>;
}

export async function shop(): Promise<Shop> {
  const folder = await realpath(await mkdtemp(join(tmpdir(), "mayfly-mcp-")));
  const at = (...names: string[]): string => join(folder, ...names);
  await mkdir(at("flows"));
  const files = {
    "package.json": "{}",
    "mayfly.yaml": configFor(await freePort()),
    "flows/orders.ts": brokenFlow,
    "flows/bills.ts": 'import { flow } from "mayfly";\nexport default flow(() => undefined);\n',
    "mayfly.mjs": entryText,
  };
  for (const [name, text] of Object.entries(files)) await writeFile(at(name), text);
  const clients: Client[] = [];
  const env = { SHOP_TOKEN: "t-17", SHOP_SECRET: "hunter2" };
  return {
    folder,
    entry: at("mayfly.mjs"),
    at,
    serve: async () => {
      Object.assign(process.env, env);
      return await serve({ file: at("mayfly.yaml"), port: 0, logger: { ...silentLogger, child: () => silentLogger } });
    },
    send: async (order) => void (await capture(["send", "orders", "-m", "-", "-c", at("mayfly.yaml")], { stdin: JSON.stringify(order) })),
    client: async (...values) => {
      const client = new Client({ name: "test", version: "1.0.0" });
      const environment = { PATH: process.env["PATH"] ?? "", HOME: process.env["HOME"] ?? "", ...env };
      const [command, args] = [process.execPath, [at("mayfly.mjs"), "mcp", ...values]];
      await client.connect(new StdioClientTransport({ command, args, cwd: folder, env: environment, stderr: "ignore" }));
      clients.push(client);
      return client;
    },
    remove: async () => {
      for (const client of clients) await client.close();
      await rm(folder, { recursive: true, force: true });
    },
  };
}

export interface Told {
  readonly isError: boolean;
  readonly text: string;
  /** The line of data; undefined for an error. */
  readonly json: unknown;
}

/** Calls a tool. */
export async function told(client: Client, name: string, values: Readonly<Record<string, unknown>> = {}): Promise<Told> {
  return toldBy((await client.callTool({ name, arguments: values })) as CallToolResult);
}

export function toldBy({ content, isError = false }: CallToolResult): Told {
  const [first] = content;
  const text = first?.type === "text" ? first.text : "";
  return { isError, text, json: isError ? undefined : (JSON.parse(text.split("\n")[1] ?? "null") as unknown) };
}
