/** A service that is a Linux process: its life, its flows and its settings. */
import { deepEqual, equal, match, notEqual, ok } from "node:assert/strict";
import { readFile, writeFile } from "node:fs/promises";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import type { ServiceOutlet } from "#abi";
import type { Image } from "#image";
import { linuxMissing, ServiceFolder } from "./linux-service.ts";

const flow = `import { flow } from "mayfly";
let seen = 0;
export default flow(async (msg, { to, reply, sleep, log, values }) => {
  seen++;
  const { kind } = msg.json();
  if (kind === "crash") throw new TypeError("oops");
  if (kind === "spin") for (;;);
  if (kind === "stuck") return Array.prototype.indexOf.call({ length: 2 ** 52 }, 1); // one call, in which the engine polls for nothing
  if (kind === "deep") { const dive = (n) => n === 0 ? 0 : 1 + dive(n - 1); return dive(1e6); }
  if (kind === "fill") { const all = []; for (;;) all.push(new Uint8Array(65536).fill(1)); }
  if (kind === "sleep") await sleep(50);
  if (kind === "ask") { const answer = await to.peer.request({ n: 1 }); to.peer.send({ sent: true }); return { status: answer.status, got: answer.json() }; }
  if (kind === "log") log.info("y".repeat(4000), { kind });
  if (kind === "long") return "z".repeat(3_000_000);
  return { kind, seen, random: Math.random(), now: Date.now(), value: values?.region };
});
`;

const post = (body: object): RequestInit => ({ method: "POST", body: JSON.stringify(body) });
const outlet: ServiceOutlet = {
  ...{ name: "peer", scheme: "http" as const, host: "${PEER}", port: 0, path: "", method: "POST", timeoutMs: 5000, attempts: 1 },
  ...{ backoffMs: { least: 100, most: 200 }, retryAgeMs: 1000, basic: undefined, headers: {} },
};

describe("a Linux process that serves", { skip: linuxMissing() ?? false, timeout: 180_000 }, () => {
  let folder: ServiceFolder;
  let image: Image;
  let file: string;

  before(async () => {
    folder = await ServiceFolder.create();
    image = await folder.image(flow);
    file = await folder.executable(image);
  });
  after(() => folder.close());

  test("gives each request a machine of its own, with its own time and randomness", async () => {
    const service = await (await folder.start(file)).serving();
    const answers = await Promise.all(Array.from({ length: 40 }, async () => (await service.ask("/", post({ kind: "plain" }))).json()));
    const all = answers as { readonly seen: number; readonly random: number; readonly now: number }[];
    deepEqual(new Set(all.map(({ seen }) => seen)), new Set([1]), "nothing of one request is seen by another");
    equal(new Set(all.map(({ random }) => random)).size, all.length);
    ok(all.every(({ now }) => Math.abs(now - Date.now()) < 60_000));
    equal((await service.ask("/healthz")).status, 200);
    match(await (await service.ask("/metrics")).text(), /mayfly_source_received_total\{flow="flow0"\} 40\n/);
    equal((await service.stop()).code, 0);
  });

  test("what a flow does to its machine harms its own request only", async () => {
    const limits = { memoryBytes: 32 * 2 ** 20, cpuMs: 300, timeMs: 30_000, sends: 10, logBytes: 65_536 };
    const service = await (await folder.start(await folder.executable(image, { limits }))).serving();
    const code = async (kind: string): Promise<unknown> =>
      ((await (await service.ask("/", post({ kind }))).json()) as { code?: string }).code;
    for (const [kind, expected] of [
      ["crash", "MF_FLOW_THREW"],
      ["spin", "MF_CPU_LIMIT"],
      ["deep", "MF_STACK_OVERFLOW"],
      ["fill", "MF_MEMORY_LIMIT"],
      ["stuck", "MF_CPU_LIMIT"],
    ] as const) {
      equal(await code(kind), expected, kind);
      const next = (await (await service.ask("/", post({ kind: "plain" }))).json()) as { readonly seen: number };
      equal(next.seen, 1, `after ${kind}`);
    }
    equal((await service.stop()).code, 0);
  });

  test("memory is the image's for each request, also after one that wrote all of it, and a machine that waits keeps what it wrote", async () => {
    const wide = await folder.image(`import { flow } from "mayfly";
const table = new Uint8Array(3_000_000).fill(7);
const sum = () => { let all = 0; for (let at = 0; at < table.length; at += 1024) all += table[at]; return all; };
export default flow(async (msg, { sleep }) => {
  const before = sum();
  const step = Number(msg.query.step ?? 0);
  if (step > 0) for (let at = 0; at < table.length; at += step) table[at] = 9;
  const written = sum();
  if (step > 0) await sleep(20);
  return [before, written, sum()];
});
`);
    const service = await (await folder.start(await folder.executable(wide))).serving();
    const parts = Math.ceil(3_000_000 / 1024);
    for (const step of [1024, 4096, 40_960, 1024]) {
      const asked = Array.from({ length: 4 }, async () => (await service.ask(`/?step=${step}`)).json());
      for (const [before, written, after] of (await Promise.all(asked)) as [number, number, number][]) {
        equal(before, 7 * parts);
        ok(written > before);
        equal(after, written, "it has what it wrote");
      }
      deepEqual(await (await service.ask("/")).json(), [7 * parts, 7 * parts, 7 * parts]);
    }
    const socket = await service.connect();
    const rounds = 2500; // pages are learnt anew meanwhile
    socket.write("GET / HTTP/1.1\r\nHost: x\r\n\r\n".repeat(rounds));
    let [text, count] = ["", 0];
    await new Promise<void>((done) => {
      socket.setEncoding("latin1").on("data", (more: string) => {
        text += more;
        for (let end = text.indexOf("]"); end >= 0; end = text.indexOf("]")) {
          equal(text.slice(text.indexOf("[", text.indexOf("\r\n\r\n")), end + 1), JSON.stringify([7 * parts, 7 * parts, 7 * parts]));
          text = text.slice(end + 1);
          if (++count === rounds) done();
        }
      });
    });
    socket.destroy();
    equal((await service.stop()).code, 0);
  });

  test("machines wait for timers and outlets while others run, and go on as they were", async () => {
    const received: string[] = [];
    const peer = createServer((request, response) => {
      request.setEncoding("utf8").on("data", (text: string) => received.push(text));
      request.on("end", () => response.writeHead(201).end('{"ok":true}'));
    });
    await new Promise<void>((done) => peer.listen(0, "127.0.0.1", done));
    const { port } = peer.address() as AddressInfo;
    const withPeer = await folder.executable(image, { outlets: [outlet] });
    for (const host of ["localhost", "127.0.0.1"]) {
      received.length = 0;
      const service = await (await folder.start(withPeer, { env: { PEER: `http://${host}:${port}/in` } })).serving();
      const sleepers = Array.from({ length: 20 }, async () => (await service.ask("/", post({ kind: "sleep" }))).json());
      const asking = Array.from({ length: 20 }, async () => (await service.ask("/", post({ kind: "ask" }))).json());
      deepEqual(
        await Promise.all(asking),
        asking.map(() => ({ status: 201, got: { ok: true } })),
      );
      deepEqual(received.filter((text) => text === '{"sent":true}').length, 20, "sends have left before the reply");
      for (const { seen } of (await Promise.all(sleepers)) as { readonly seen: number }[]) equal(seen, 1);
      equal((await service.stop()).code, 0);
    }
    await new Promise((done) => peer.close(done));
  });

  test("takes settings from a file, else from the environment, and says which is missing", async () => {
    const withValue = await folder.executable(image, { values: { region: "${REGION}" } });
    const config = join(folder.folder, "config.json");
    const region = async (options: Parameters<ServiceFolder["start"]>[1]): Promise<unknown> => {
      const service = await (await folder.start(withValue, options)).serving();
      const { value } = (await (await service.ask("/", post({ kind: "plain" }))).json()) as { readonly value: unknown };
      await service.stop();
      return value;
    };
    await writeFile(config, '{"settings":{"REGION":"file"}}');
    equal(await region({ env: { REGION: "environment" } }), "environment");
    equal(await region({ env: { REGION: "environment", REGIONAL: "x" }, values: ["--config", config] }), "file");
    const ends = async (values: readonly string[], expected: RegExp): Promise<void> => {
      const { code, err, out } = await folder.run(withValue, values).ended;
      match(err, expected);
      match(err, /^mayfly: MF_\w+: [^\n]+\n$/, "one line");
      deepEqual([code, out], [1, ""]);
    };
    await ends([], /MF_STANDALONE_SETTINGS: the service needs the setting REGION/);
    await ends(["--config", "/nowhere.json"], /MF_STANDALONE_SETTINGS: \/nowhere\.json does not exist/);
    await ends(["--config", "/dev/zero"], /MF_STANDALONE_SETTINGS: \/dev\/zero is longer than/);
    await writeFile(config, '{"settings":');
    await ends(["--config", config], /MF_STANDALONE_SETTINGS: config\.json must be/);
    await ends(["--config"], /MF_USAGE: a value is missing after --config/);
    for (const port of ["0", "x", "70000", "1.2.3:80", "1.2.3.256:80", ""])
      await ends(["-p", port], /MF_USAGE: -p must be PORT or ADDRESS:PORT/);
    await ends(["--verbose"], /MF_USAGE: it does not know --verbose/);
    await ends(["-p", "203.0.113.1:8080", "--config", "/dev/null"], /MF_STANDALONE/);
  });

  test("a port that is taken, and an address of another computer, are said", async () => {
    const service = await (await folder.start(file)).serving();
    const taken = await folder.run(file, ["-p", String(service.port)]).ended;
    match(taken.err, /^mayfly: MF_STANDALONE_PORT: 127\.0\.0\.1:\d+ is taken by another process: .*-p\n$/);
    equal(taken.code, 1);
    match(
      (await folder.run(file, ["-p", `203.0.113.1:${service.port}`]).ended).err,
      /MF_STANDALONE_PORT: .* is no address of this computer/,
    );
    equal((await service.stop()).code, 0);
  });

  test("SIGTERM finishes what is under way and takes nothing new; a second signal ends it at once", async () => {
    const service = await (await folder.start(file)).serving();
    const sleeping = service.ask("/", post({ kind: "sleep" }));
    const late = await service.connect();
    late.write("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 16\r\n\r\n");
    await service.ask("/healthz");
    service.process.kill("SIGINT");
    await service.logged('"msg":"stopping"');
    let text = "";
    late.setEncoding("latin1").on("data", (more: string) => (text += more));
    const closed = new Promise((done) => late.once("close", done));
    late.write('{"kind":"plain"}');
    equal((await sleeping).status, 200);
    await closed;
    match(text, /^HTTP\/1\.1 200 OK\r\n[^]*\r\nConnection: close\r\n/);
    equal((await service.ended).code, 0);

    const other = await (await folder.start(file)).serving();
    const held = await other.connect();
    held.write("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 16\r\n\r\n");
    await other.ask("/healthz");
    other.process.kill("SIGTERM");
    await other.logged('"msg":"stopping"');
    other.process.kill("SIGTERM");
    equal((await other.ended).code, 1);
  });

  test("the same inputs give the same bytes, of less than 3 MB", async () => {
    const [first, second] = [await readFile(file), await readFile(await folder.executable(image))];
    ok(first.equals(second));
    ok(first.length < 3_000_000, `${first.length} bytes`);
    notEqual(first.indexOf("Mayfly\0"), -1);
  });
});
