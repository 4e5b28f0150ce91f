/** A debugger as VS Code is one: a client of Chrome's protocol over a WebSocket that finds places of the TypeScript by the source map. */
import { deepEqual, equal, match, ok } from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { SourceMap } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, afterEach, before, test } from "node:test";
import { pathToFileURL } from "node:url";
import { WebSocket } from "undici";
import { encodeRecording } from "#abi";
import { packageRoot } from "#cli";
import { embeddedMonitor } from "#monitors";
import { answer, delivered, record, startMs } from "../../replay/testing/record.ts";
import { cachedImage } from "../images/cache.ts";
import { projectFiles } from "../init/project.ts";

const source = `import { flow } from "mayfly";

interface Order {
  sku: string;
  qty: number;
}

export default flow<"stock">(async (msg, { to, sleep }) => {
  const order = msg.json<Order>();
  const stock = (await to.stock.request({ sku: order.sku })).json<{ left: number }>();
  await sleep("2s");
  const total = order.qty * 10;
  return { total, left: stock.left, luck: Math.random(), at: Date.now() };
});
`;
/** Line of \`const total\`, from 0. */
const breakLine = 11;

let folder: string;
const at = (...names: string[]): string => join(folder, ...names);

before(async () => {
  folder = await mkdtemp(join(tmpdir(), "mayfly-debug-cli-"));
  await mkdir(at("flows"));
  await writeFile(at("package.json"), "{}");
  await writeFile(
    at("mayfly.yaml"),
    `flows:\n  orders:\n    flow: flows/orders.ts\n    from: [{ http: { path: /orders } }]\n    to: { stock: { http: { url: "http://127.0.0.1:1/" } } }\n`,
  );
  await writeFile(at("flows", "orders.ts"), source);
  await writeFile(at("order.json"), '{"sku":"s-9","qty":7}');
  await writeFile(at("stock.json"), '{"left":2}');
  const monitor = embeddedMonitor({ workers: 1 });
  try {
    const { image } = await cachedImage(at("flows", "orders.ts"), { name: "orders" });
    const recording = await record(monitor, await monitor.load(image), delivered('{"sku":"s-1","qty":3}', { id: "4711" }), () =>
      answer({ left: 4 }),
    );
    await writeFile(at("4711.mfr"), encodeRecording(recording));
  } finally {
    await monitor.close();
  }
});
after(() => rm(folder, { recursive: true, force: true }));

const children: ChildProcess[] = [];
afterEach(() => {
  for (const child of children.splice(0)) child.kill("SIGKILL");
});

type Message = {
  readonly id?: number;
  readonly method?: string;
  readonly params?: Params;
  readonly result?: Params;
  readonly error?: unknown;
};
type Params = Readonly<Record<string, any>>;

/** A client of the inspector's protocol. */
class Client {
  readonly #socket: WebSocket;
  readonly #answers = new Map<number, (message: Message) => void>();
  readonly #waiting: { readonly method: string; readonly fits: (params: Params) => boolean; readonly found: (params: Params) => void }[] =
    [];
  readonly seen: Message[] = [];
  #last = 0;

  constructor(socket: WebSocket) {
    this.#socket = socket;
    socket.addEventListener("message", ({ data }) => this.#take(JSON.parse(String(data)) as Message));
  }

  static async open(url: string): Promise<Client> {
    const socket = new WebSocket(url);
    await new Promise<void>((opened, failed) => {
      socket.addEventListener("open", () => opened());
      socket.addEventListener("error", () => failed(new Error(`no connection to ${url}`)));
    });
    return new Client(socket);
  }

  #take(message: Message): void {
    if (message.id !== undefined) return this.#answers.get(message.id)?.(message);
    const index = this.#waiting.findIndex(({ method, fits }) => method === message.method && fits(message.params ?? {}));
    if (index >= 0) this.#waiting.splice(index, 1)[0]?.found(message.params ?? {});
    else this.seen.push(message);
  }

  async ask(method: string, params: Params = {}): Promise<Params> {
    const id = ++this.#last;
    const answered = new Promise<Message>((found) => this.#answers.set(id, found));
    this.#socket.send(JSON.stringify({ id, method, params }));
    const { result, error } = await answered;
    equal(error, undefined, method);
    return result ?? {};
  }

  /** The next event of that kind, or one that has come already. */
  next(method: string, fits: (params: Params) => boolean = () => true): Promise<Params> {
    const index = this.seen.findIndex((message) => message.method === method && fits(message.params ?? {}));
    if (index >= 0) return Promise.resolve(this.seen.splice(index, 1)[0]?.params ?? {});
    return new Promise((found) => this.#waiting.push({ method, fits, found }));
  }

  close(): void {
    this.#socket.close();
  }
}

interface Debugged {
  readonly child: ChildProcess;
  readonly client: Client;
  readonly ended: Promise<number | null>;
  readonly output: () => string;
}

async function start(...values: string[]): Promise<Debugged> {
  const child = spawn(process.execPath, [join(packageRoot, "scripts", "mayfly.mjs"), "debug", ...values], {
    cwd: folder,
    env: { ...process.env, NO_COLOR: "1", MAYFLY_QUIET: "1" },
  });
  children.push(child);
  let out = "";
  let err = "";
  child.stdout?.setEncoding("utf8").on("data", (text: string) => (out += text));
  const ended = new Promise<number | null>((done) => child.on("close", done));
  const url = await new Promise<string>((found, failed) => {
    child.stderr?.setEncoding("utf8").on("data", (text: string) => {
      err += text;
      const listening = /Debugger listening on (ws:\/\/\S+)/.exec(err)?.[1];
      if (listening !== undefined) found(listening);
    });
    void ended.then(() => failed(new Error(`it ended before it listened: ${out}${err}`)));
  });
  return { child, client: await Client.open(url), ended, output: () => out };
}

/** Place of a source's line in a script, by the script's inline source map; lines from 0. */
function generated(sourceMapUrl: string, file: string, line: number): { readonly lineNumber: number; readonly columnNumber: number } {
  const payload = JSON.parse(Buffer.from(sourceMapUrl.slice(sourceMapUrl.indexOf(",") + 1), "base64").toString()) as ConstructorParameters<
    typeof SourceMap
  >[0];
  const map = new SourceMap(payload);
  const url = pathToFileURL(file).href;
  for (let row = 0; row < 20_000; row++)
    for (let column = 0; column < 40; column++) {
      const entry = map.findEntry(row, column);
      if ("originalSource" in entry && entry.originalSource === url && entry.originalLine === line && entry.generatedLine === row)
        return { lineNumber: row, columnNumber: entry.generatedColumn };
    }
  throw new Error(`the map has no line ${line} of ${url}`);
}

/** Attaches, waits for the pause in front of the handler, and sets a breakpoint in the TypeScript. */
async function toBreakpoint({ client }: Debugged): Promise<Params> {
  await client.ask("Runtime.enable");
  await client.ask("Debugger.enable");
  await client.ask("Runtime.runIfWaitingForDebugger");
  const script = await client.next("Debugger.scriptParsed", ({ url }) => /\/\.mayfly\/debug\/orders\.js$/.test(String(url)));
  const first = await client.next("Debugger.paused");
  equal(first["callFrames"][0].functionName, "paused", "in front of the handler");
  const place = generated(String(script["sourceMapURL"]), at("flows", "orders.ts"), breakLine);
  const set = await client.ask("Debugger.setBreakpointByUrl", { url: script["url"], ...place });
  equal(set["locations"].length, 1, "it binds");
  await client.ask("Debugger.resume");
  return await client.next("Debugger.paused");
}

async function valueOf({ client }: Debugged, paused: Params, expression: string): Promise<unknown> {
  const { callFrameId } = paused["callFrames"][0] as { callFrameId: string };
  const { result } = await client.ask("Debugger.evaluateOnCallFrame", { callFrameId, expression, returnByValue: true });
  return (result as { value: unknown }).value;
}

async function goOn(debugged: Debugged): Promise<number | null> {
  await debugged.client.ask("Debugger.resume");
  await debugged.client.ask("Debugger.disable");
  debugged.client.close();
  return await debugged.ended;
}

test("a recorded message stops at a breakpoint in its TypeScript, with its variables, and is compared with its record", async () => {
  const debugged = await start(at("4711.mfr"), "--inspect-brk", "127.0.0.1:0", "--json");
  const paused = await toBreakpoint(debugged);
  deepEqual(await valueOf(debugged, paused, "[order, stock, Date.now()]"), [{ sku: "s-1", qty: 3 }, { left: 4 }, startMs + 12 + 2000 + 3]);
  equal(await goOn(debugged), 0);
  const result = JSON.parse(debugged.output()) as Record<string, unknown>;
  deepEqual([result["identical"], result["differences"], result["monitor"], result["compared"]], [true, [], "debug", "bits"]);
  match(String(result["remarks"]), /QuickJS/);
});

test("a variable that is changed in the debugger shows in the comparison", async () => {
  const debugged = await start(at("4711.mfr"), "--inspect-brk", "127.0.0.1:0");
  const paused = await toBreakpoint(debugged);
  await valueOf(debugged, paused, "order.qty = 5");
  equal(await goOn(debugged), 1);
  match(debugged.output(), /reply\.body\.total\n {2}- recorded 30\n {2}\+ replayed 50\n/);
});

test("a made-up message, with a stub for its call", async () => {
  const debugged = await start(
    at("flows", "orders.ts"),
    "-m",
    "order.json",
    "-O",
    "stock=stock.json",
    "--inspect-brk",
    "127.0.0.1:0",
    "--json",
  );
  const paused = await toBreakpoint(debugged);
  deepEqual(await valueOf(debugged, paused, "[order.qty, stock.left]"), [7, 2]);
  equal(await goOn(debugged), 0);
  const { status, reply } = JSON.parse(debugged.output()) as { status: string; reply: { body: string } };
  equal(status, "done");
  ok(reply.body.startsWith('{"total":70,"left":2,'));
});

test("--inspect waits for a debugger and does not pause", async () => {
  const debugged = await start(at("4711.mfr"), "--inspect", "127.0.0.1:0");
  await debugged.client.ask("Debugger.enable");
  await debugged.client.ask("Runtime.runIfWaitingForDebugger");
  await debugged.client.next("Debugger.scriptParsed", ({ url }) => String(url).endsWith("/orders.js"));
  debugged.client.close();
  equal(await debugged.ended, 0);
  match(debugged.output(), /^identical 3 steps/m);
});

test("the launch.json of docs/DEBUGGING.md is the one that init writes", async () => {
  const document = await readFile(join(packageRoot, "docs", "DEBUGGING.md"), "utf8");
  const shown = JSON.parse(/^```json\n([\s\S]*?)^```$/m.exec(document)?.[1] ?? "{}") as Record<string, unknown>;
  const written = JSON.parse(projectFiles("shop", "*")[".vscode/launch.json"] ?? "{}") as { configurations: Record<string, unknown>[] };
  const same = written.configurations.find(({ name }) => name === shown["name"]);
  deepEqual({ ...same, ...shown }, same);
});
