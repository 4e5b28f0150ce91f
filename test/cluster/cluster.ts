/** A cluster for tests: NATS servers, nodes as processes of their own on one mayfly.yaml, a sink for what they send. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { closeSync, openSync } from "node:fs";
import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { freePort } from "../../base/testing/free-port.ts";
import { NatsServers } from "../../cluster/testing/nats-servers.ts";

const command = fileURLToPath(new URL("../chaos/serve.js", import.meta.url));
const patienceMs = 60_000;

export const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

/** Waits until `check` gives something. */
export async function until<T>(check: () => T | Promise<T>, what: string, mostMs = patienceMs): Promise<NonNullable<Exclude<T, false>>> {
  for (const end = Date.now() + mostMs; Date.now() < end; await pause(50)) {
    const found = await check();
    if (found !== undefined && found !== null && found !== false) return found as NonNullable<Exclude<T, false>>;
  }
  throw new Error(`waited in vain: ${what}`);
}

/** One `mayfly serve`. */
export class ServedNode {
  readonly name: string;
  readonly port: number;
  readonly log: string;
  #child: ChildProcess | undefined;
  /** Its mayfly.yaml. */
  file: string;

  constructor(name: string, port: number, folder: string) {
    this.name = name;
    this.port = port;
    this.log = join(folder, `${name}.log`);
    this.file = join(folder, "mayfly.yaml");
  }

  get url(): string {
    return `http://127.0.0.1:${this.port}`;
  }

  get isUp(): boolean {
    return this.#child !== undefined;
  }

  start(): void {
    const output = openSync(this.log, "a");
    this.#child = spawn(process.execPath, ["--enable-source-maps", command, "serve", "-c", this.file, "-p", String(this.port)], {
      stdio: ["ignore", output, output],
      env: { ...process.env, NO_COLOR: "1", MAYFLY_NODE: this.name },
    });
    closeSync(output);
  }

  async ready(): Promise<void> {
    const answers = (): Promise<boolean> =>
      fetch(`${this.url}/ping`)
        .then(({ ok }) => ok)
        .catch(() => false);
    await until(answers, `${this.name} serves`).catch(async (error: unknown) => {
      throw new Error(`${String(error)}: ${(await readFile(this.log, "utf8")).slice(-2_000)}`);
    });
  }

  send(signal: NodeJS.Signals): void {
    this.#child?.kill(signal);
  }

  /** SIGTERM or SIGKILL, and waits for its end; gives how it ended. */
  async end(signal: "SIGTERM" | "SIGKILL"): Promise<string> {
    const child = this.#child;
    this.#child = undefined;
    if (child === undefined) return "not running";
    const ended = child.exitCode === null && child.signalCode === null ? once(child, "exit") : Promise.resolve();
    child.kill(signal);
    if (signal === "SIGKILL") child.kill("SIGCONT");
    await ended;
    return child.signalCode ?? `exit code ${child.exitCode}`;
  }
}

/** One thing that the nodes sent. */
export interface Arrived {
  readonly body: Readonly<Record<string, unknown>>;
  readonly idempotencyKey: string;
}

export class TestCluster {
  readonly folder: string;
  readonly servers: NatsServers;
  readonly nodes = new Map<string, ServedNode>();
  readonly arrived: Arrived[] = [];
  readonly #sink: Server;

  private constructor(folder: string, servers: NatsServers, sink: Server) {
    this.folder = folder;
    this.servers = servers;
    this.#sink = sink;
  }

  /** `configure`: mayfly.yaml's flows, by the URL of the sink and of the servers, and the flows' sources by file name. */
  static async open(
    count: 1 | 3,
    partitions: number,
    configure: (sink: string, nats: string) => { readonly flows: object; readonly files: Readonly<Record<string, string>> },
  ): Promise<TestCluster | string> {
    const program = process.env["MAYFLY_NATS_SERVER"];
    const servers = await NatsServers.start({ count, ...(program === undefined ? {} : { program }) });
    if (typeof servers === "string") return servers;
    const folder = await mkdtemp(join(tmpdir(), "mayfly-cluster-"));
    let receive = (_: Arrived): void => {};
    const sink = createServer((request, response) => {
      const parts: Buffer[] = [];
      request.on("error", () => undefined).on("data", (part: Buffer) => parts.push(part));
      request.on("end", () => {
        receive({
          body: JSON.parse(Buffer.concat(parts).toString()) as Arrived["body"],
          idempotencyKey: String(request.headers["idempotency-key"] ?? ""),
        });
        response.writeHead(200).end();
      });
    });
    sink.listen(0, "127.0.0.1");
    await once(sink, "listening");
    const { flows, files } = configure(`http://127.0.0.1:${(sink.address() as AddressInfo).port}`, servers.url);
    await mkdir(join(folder, "flows"));
    for (const [name, text] of Object.entries(files)) await writeFile(join(folder, "flows", name), text);
    const cluster = { nats: servers.url, name: "test", replicas: count, partitions };
    const config = { cluster, flows, drain: "5s", workers: 1, log: { level: "info", format: "json" } };
    await writeFile(join(folder, "mayfly.yaml"), JSON.stringify(config)); // JSON is YAML
    const opened = new TestCluster(folder, servers, sink);
    receive = (arrived) => void opened.arrived.push(arrived);
    return opened;
  }

  /** A node that is not started yet, or was before. */
  async add(name: string): Promise<ServedNode> {
    const node = this.nodes.get(name) ?? new ServedNode(name, await freePort(), this.folder);
    this.nodes.set(name, node);
    return node;
  }

  async start(...names: readonly string[]): Promise<void> {
    for (const name of names) (await this.add(name)).start();
    await Promise.all(names.map((name) => this.node(name).ready()));
  }

  node(name: string): ServedNode {
    const node = this.nodes.get(name);
    if (node === undefined) throw new Error(`no node ${name}`);
    return node;
  }

  get up(): readonly ServedNode[] {
    return [...this.nodes.values()].filter(({ isUp }) => isUp);
  }

  /** Ends everything; keeps the folder where `keep` is true. */
  async close(keep: boolean): Promise<void> {
    for (const node of this.nodes.values()) await node.end("SIGKILL");
    await this.servers.remove();
    this.#sink.closeAllConnections();
    this.#sink.close();
    if (!keep) await rm(this.folder, { recursive: true, force: true });
  }
}
