/**
 * `npm run chaos -- --standalone`: a Linux executable that serves by itself, for minutes, under callers that are many, rude and wrong, flows that do
 * their worst, and an outlet and an issuer that fail in turn. Rounds end in quiet: then nothing may be under way, and memory, descriptors and
 * connections must be those of the first round.
 */
import { readdirSync, readFileSync } from "node:fs";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { Agent, createServer, request, type Server, type ServerResponse } from "node:http";
import { type AddressInfo, connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { parseArgs } from "node:util";
import { exportJWK, generateKeyPair, SignJWT } from "jose";
import { type Prng, prng } from "#base";
import { capture } from "#cli";
import { freePort } from "../../base/testing/free-port.ts";
import { linuxMissing, LinuxService } from "../standalone/linux-service.ts";

const flow = `import { flow } from "mayfly";
let seen = 0;
export default flow(async (msg, { to, reply, sleep }) => {
  const { number, kind } = msg.json();
  seen++;
  if (kind === "throw") throw new TypeError("as asked");
  if (kind === "spin") for (;;);
  if (kind === "grow") for (const all = []; ; ) all.push(new Uint8Array(65536).fill(1));
  if (kind === "sleep") await sleep(50);
  if (kind === "ask") await to.peer.request({ number });
  if (kind === "send") to.peer.send({ number });
  reply({ number, seen });
});
`;

const yaml = `flows:
  f:
    flow: flows/f.ts
    from: [{ http: { path: /, auth: [{ jwt: { jwks: "\${KEYS}", issuer: i, audience: a, algorithms: [ES256] } }, { bearer: "\${TOKEN}" }] } }]
    to: { peer: { http: { url: "\${PEER}", timeout: 1s }, retry: { attempts: 2, backoff: 20ms..50ms }, breaker: { failures: 5, pause: 300ms } } }
    limits: { memory: 16MiB, cpu: 50ms, time: 5s }
    queue: 64
drain: 5s
`;

const kinds = ["plain", "plain", "plain", "ask", "send", "sleep", "throw", "spin", "grow"] as const;
const roundMs = 15_000;
const callers = 12;
/** A round is quiet by then: what is under way has ended, and connections are over. */
const quietMs = 90_000;
/** Pages that are touched for the first time in a later round, and counts of failures by code. */
const slack = { residentBytes: 4 * 2 ** 20, takenBytes: 16 * 1024 };

const modes = ["well", "well", "error", "silent", "cut", "garbage", "slow"] as const;

/** A server that fails in turn. */
class Failing {
  mode: (typeof modes)[number] = "well";
  readonly #server: Server;

  constructor(answer: (response: ServerResponse) => void) {
    this.#server = createServer((incoming, response) => {
      incoming.resume().on("error", () => undefined);
      response.on("error", () => undefined);
      if (this.mode === "error") return void response.writeHead(503).end("no");
      if (this.mode === "silent") return;
      if (this.mode === "cut") return void response.writeHead(200, { "content-length": 100 }).write("x", () => incoming.socket.destroy());
      if (this.mode === "garbage") return void incoming.socket.end("HTTP/9.9 what\r\n\r\n");
      if (this.mode === "slow") return void setTimeout(() => answer(response), 700);
      answer(response);
    });
  }

  async listen(): Promise<string> {
    await new Promise<void>((done) => this.#server.listen(0, "127.0.0.1", done));
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}/`;
  }

  close(): void {
    this.#server.closeAllConnections();
    this.#server.close();
  }
}

/** Keys that turn, and tokens of the newest. */
class Issuer extends Failing {
  static #jwks = "";
  #count = 0;
  token = "";

  constructor() {
    super((response) => response.end(Issuer.#jwks));
  }

  async turn(): Promise<void> {
    const { publicKey, privateKey } = await generateKeyPair("ES256", { extractable: true });
    const kid = `k${this.#count++}`;
    Issuer.#jwks = JSON.stringify({ keys: [{ ...(await exportJWK(publicKey)), kid }] });
    this.token = await new SignJWT({ iss: "i", aud: "a", sub: "ada", exp: 4e9 }).setProtectedHeader({ alg: "ES256", kid }).sign(privateKey);
  }
}

interface Measure {
  readonly residentBytes: number;
  readonly takenBytes: number;
  readonly descriptors: number;
}

interface Report {
  readonly seed: number;
  readonly answers: Record<string, number>;
  rude: number;
  readonly measures: Measure[];
  readonly broken: string[];
}

class Campaign {
  readonly #service: LinuxService;
  readonly #peer: Failing;
  readonly #issuer: Issuer;
  readonly #random: Prng;
  readonly report: Report;
  #number = 0;

  constructor(service: LinuxService, { peer, issuer, seed }: { readonly peer: Failing; readonly issuer: Issuer; readonly seed: number }) {
    this.#service = service;
    this.#peer = peer;
    this.#issuer = issuer;
    this.#random = prng(seed);
    this.report = { seed, answers: {}, rude: 0, measures: [], broken: [] };
  }

  #one<T>(list: readonly T[]): T {
    return list[this.#random.below(list.length)] as T;
  }

  #note(what: string): void {
    this.report.answers[what] = (this.report.answers[what] ?? 0) + 1;
  }

  /** Status and body; status 0: no answer. */
  #ask(body: string, authorization: string, agent: Agent): Promise<readonly [number, string]> {
    return new Promise((done) => {
      const headers = { authorization, "content-type": "application/json", "content-length": body.length };
      const asked = request({ host: "127.0.0.1", port: this.#service.port, method: "POST", path: "/", headers, agent, timeout: 20_000 });
      asked.on("response", (response) => {
        let text = "";
        response.setEncoding("utf8").on("data", (part: string) => (text += part));
        response.on("end", () => done([response.statusCode ?? 0, text])).on("error", () => done([0, ""]));
      });
      asked.on("timeout", () => asked.destroy()).on("error", () => done([0, ""]));
      asked.end(body);
    });
  }

  async #call(agent: Agent): Promise<void> {
    const number = this.#number++;
    const kind = this.#one(kinds);
    const right = [`Bearer ${this.#issuer.token}`, "Bearer fixed"];
    const isRight = this.#random.below(4) > 0;
    const wrong = [`Bearer ${this.#issuer.token.slice(0, -4)}AAAA`, "Bearer a.b.c", "Bearer wrong", ""];
    const [status, text] = await this.#ask(JSON.stringify({ number, kind }), this.#one(isRight ? right : wrong), agent);
    if (status === 0) return this.report.broken.push(`${kind}: no answer`), undefined;
    if (status === 200) {
      this.#note(`200 ${kind}`);
      if (!isRight) this.report.broken.push(`${kind}: wrong credentials were let in`);
      if (text !== JSON.stringify({ number, seen: 1 })) this.report.broken.push(`${kind} ${number}: ${text.slice(0, 200)}`);
      return;
    }
    const { code = "none" } = JSON.parse(text) as { code?: string };
    this.#note(`${status} ${code}`);
    const isBusy = status === 503 && /^MF_(JWKS_UNAVAILABLE|TOKENS_BUSY|FLOW_BUSY|MEMORY_BUSY)$/.test(code);
    if (isRight && (kind === "plain" || kind === "sleep") && !isBusy && code !== "MF_TIME_LIMIT" && code !== "MF_TOKEN_INVALID")
      this.report.broken.push(`${kind}: ${status} ${code}`);
    if (!isRight && status !== 401 && !isBusy) this.report.broken.push(`wrong credentials: ${status} ${code}`);
  }

  /** A connection that ends badly. */
  async #rude(): Promise<void> {
    this.report.rude++;
    const head = `POST / HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer fixed\r\nContent-Length: 30\r\n\r\n{"number":1,"kind":"plain"}   `;
    const text = this.#one([
      head.slice(0, this.#random.below(head.length)),
      head.repeat(20),
      `${head}GARBAGE\0\r\n\r\n`,
      Buffer.from(Array.from({ length: 300 }, () => this.#random.below(256))).toString("latin1"),
    ]);
    await new Promise<void>((done) => {
      const socket = connect(this.#service.port, "127.0.0.1");
      socket.on("error", () => undefined).on("close", () => done());
      socket.resume().write(text, "latin1");
      setTimeout(() => (this.#random.below(2) === 0 ? socket.resetAndDestroy() : socket.destroy()), this.#random.below(200));
    });
  }

  async #faults(untilMs: number): Promise<void> {
    while (performance.now() < untilMs) {
      await pause(200 + this.#random.below(800));
      this.#peer.mode = this.#one(modes);
      this.#issuer.mode = this.#one(modes);
      if (this.#random.below(8) === 0) await this.#issuer.turn();
      if (this.#random.below(10) > 0) continue;
      this.#service.process.kill("SIGSTOP");
      await pause(this.#random.below(1_000));
      this.#service.process.kill("SIGCONT");
    }
    this.#peer.mode = this.#issuer.mode = "well";
  }

  async round(): Promise<void> {
    const until = performance.now() + roundMs;
    const repeat = async (work: () => Promise<void>): Promise<void> => {
      while (performance.now() < until && this.report.broken.length < 20) await work();
    };
    const agents = Array.from({ length: callers }, (_, index) => new Agent({ keepAlive: index % 2 === 0, maxSockets: 1 }));
    await Promise.all([
      this.#faults(until),
      ...agents.map((agent) => repeat(() => this.#call(agent))),
      repeat(() => this.#rude()),
      repeat(() => this.#rude()),
    ]);
    for (const agent of agents) agent.destroy();
    await this.#quiet();
  }

  async #quiet(): Promise<void> {
    const gauge = (page: string, name: string): number => Number(new RegExp(`^${name}(?:\\{[^}]*\\})? (\\d+)$`, "m").exec(page)?.[1]);
    const names = ["mayfly_flow_pending", "mayfly_flow_running", "mayfly_outlet_pending"];
    let page = "";
    let isQuiet = false;
    for (const until = performance.now() + quietMs; !isQuiet && performance.now() < until; await pause(500)) {
      page = await (await this.#service.ask("/metrics", { headers: { connection: "close" } })).text();
      isQuiet = names.every((name) => gauge(page, name) === 0) && gauge(page, "mayfly_http_connections_open") === 1; // the one that asks
    }
    if (!isQuiet) this.report.broken.push(`not quiet: ${names.map((name) => `${name} ${gauge(page, name)}`).join(", ")}`);
    await pause(6_000); // exchanges of the client wait 5 s for their stream's end
    const folder = `/proc/${this.#service.process.pid}`;
    const resident = /^VmRSS:\s+(\d+) kB/m.exec(readFileSync(`${folder}/status`, "latin1"))?.[1];
    const taken = gauge(
      await (await this.#service.ask("/metrics", { headers: { connection: "close" } })).text(),
      "mayfly_memory_taken_bytes",
    );
    await pause(500);
    this.report.measures.push({
      residentBytes: Number(resident) * 1024,
      takenBytes: taken,
      descriptors: readdirSync(`${folder}/fd`).length,
    });
  }

  judge(): void {
    const { measures, broken } = this.report;
    const [first, last] = [measures[0], measures.at(-1)];
    if (first === undefined || last === undefined) return;
    for (const name of ["residentBytes", "takenBytes"] as const)
      if (last[name] > first[name] + slack[name]) broken.push(`${name} grew from ${first[name]} to ${last[name]}`);
    if (last.descriptors !== first.descriptors) broken.push(`${last.descriptors} descriptors, in the first round ${first.descriptors}`);
  }
}

async function build(folder: string): Promise<string> {
  await mkdir(join(folder, "flows"));
  await writeFile(join(folder, "flows/f.ts"), flow);
  await writeFile(join(folder, "mayfly.yaml"), yaml);
  const app = join(folder, "app");
  const values = ["build", "--config", join(folder, "mayfly.yaml"), "--target", "linux", "--serve", "-o", app, "--no-check"];
  const { code, err } = await capture(values);
  if (code !== 0) throw new Error(err);
  return app;
}

/** Resolves with the exit status. */
export async function runStandaloneChaos(argv: readonly string[], say: (line: string) => void): Promise<number> {
  const text = { type: "string" } as const;
  const { values } = parseArgs({ args: [...argv], options: { standalone: { type: "boolean" }, seed: text, minutes: text } });
  const missing = linuxMissing();
  if (missing !== undefined) return say(`skipped: ${missing}`), 0;
  const seed = Number(values.seed ?? Date.now() % 1_000_000);
  const folder = await mkdtemp(join(tmpdir(), "mayfly-soak-"));
  const [peer, issuer] = [new Failing((response) => response.end("{}")), new Issuer()];
  let service: LinuxService | undefined;
  try {
    await issuer.turn();
    const env = { KEYS: await issuer.listen(), PEER: await peer.listen(), TOKEN: "fixed" };
    const port = await freePort();
    service = await new LinuxService(await build(folder), ["-p", String(port)], port, env).serving();
    say(`seed ${seed}, in ${folder}`);
    const campaign = new Campaign(service, { peer, issuer, seed });
    const { report } = campaign;
    for (
      const until = performance.now() + Number(values.minutes ?? 5) * 60_000;
      performance.now() < until && report.broken.length === 0;
    ) {
      await campaign.round();
      say(JSON.stringify(report.measures.at(-1)));
    }
    campaign.judge();
    const { code } = await service.stop();
    if (code !== 0) report.broken.push(`it ended with ${code}`);
    say(JSON.stringify(report, undefined, 1));
    return report.broken.length === 0 ? 0 : 1;
  } finally {
    service?.process.kill("SIGKILL");
    peer.close();
    issuer.close();
    await rm(folder, { recursive: true, force: true });
  }
}
