/**
 * The same for the journal, delivery and the monitors: callback after callback of theirs is made to throw and call after call of the disk
 * to fail, in a real `serve` under each monitor. The gateway stands, and what it has accepted arrives, after a restart at the latest.
 */
import { deepEqual, equal, ok } from "node:assert/strict";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { prng } from "#base";
import { capture, packageRoot } from "#cli";
import { seed } from "../../base/testing/seed.ts";
import { installed } from "../../connectors/testing/brokers.ts";
import { SabotagedProcess } from "../../gateway/testing/sabotaged-process.ts";

const taker = `import { flow } from "mayfly";
export default flow<"peer">(async (msg, { to, log, sleep }) => {
  log.info("taken");
  if (msg.text().endsWith("0")) await sleep("10ms");
  const answer = await to.peer.request("ask");
  to.peer.send(msg.text());
  return answer.text();
});
`;

/** Answers requests, and keeps what it is sent. */
class Peer {
  readonly arrived = new Set<string>();
  readonly #server = createServer((request, response) => {
    let body = "";
    request.setEncoding("utf8").on("data", (text: string) => (body += text));
    request.on("end", () => {
      if (body !== "ask") this.arrived.add(body);
      response.end("fine");
    });
  });

  async open(): Promise<string> {
    await new Promise<void>((done) => this.#server.listen(0, "127.0.0.1", done));
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  close(): void {
    this.#server.closeAllConnections();
    this.#server.close();
  }
}

const yaml = (peer: string, monitor: string): string => `monitor: ${monitor}
flows:
  taker:
    flow: taker.ts
    limits: { time: 2s }
    from:
      - http: { path: /accept, mode: accept }
      - http: { path: /reply }
    to: { peer: { http: { url: "${peer}" }, timeout: 2s, retry: { backoff: "50ms..200ms" } } }
    retry: { attempts: 50, backoff: "50ms..200ms" }
journal: { dir: ./journal }
log: { level: error }
drain: 1s
`;

/** `rounds` times the n-th callback or call fails, for an n up to `deepest`; afterwards all that was accepted arrives. */
async function campaign(t: TestContext, monitor: string, rounds: number, deepest: number): Promise<void> {
  const peer = new Peer();
  const at = await peer.open();
  const project = { "taker.ts": taker, "mayfly.yaml": yaml(at, monitor) };
  let gateway = await SabotagedProcess.start(join(packageRoot, "dist"), project, {
    callbacks: /\/dist\/(gateway\/(delivery|stored-bodies)\/|monitors\/)/,
    disk: /\/dist\/gateway\/journal\//,
    journal: true,
  });
  const post = async (path: string, body: string): Promise<number> => {
    const response = await fetch(`${gateway.url}${path}`, { method: "POST", body, signal: AbortSignal.timeout(4_000) }).catch(
      () => undefined,
    );
    await response?.arrayBuffer();
    return response?.status ?? 0;
  };
  const accepted = new Set<string>();
  const accept = async (body: string): Promise<boolean> => {
    const taken = (await post("/accept", body)) === 202;
    if (taken) accepted.add(body);
    return taken;
  };
  t.after(async () => {
    await gateway.end();
    peer.close();
  });
  let failed = 0;
  const random = prng(seed);
  for (let round = 0; round < rounds; round += 1) {
    const n = 1 + random.below(deepest);
    await until(() => accept(`${round}-before`), "messages are taken"); // a journal that has failed takes none for a moment
    await gateway.tell(`arm ${n}`);
    await Promise.all([
      ...["0", "1", "2"].map((part) => accept(`${round}-${part}`)),
      Promise.race([post("/reply", `${round}-r`), new Promise((done) => setTimeout(done, 300))]),
    ]);
    if ((await gateway.tell("disarm")) >= n) failed += 1;
    ok(gateway.alive, `round ${round}, callback ${n}`);
  }
  ok(failed > rounds / 4, `${failed} of ${rounds} failed`);
  await until(async () => (await post("/reply", "last")) === 200, "an innocent message is answered");
  const missing = (): string[] => [...accepted].filter((body) => !peer.arrived.has(body));
  equal(await gateway.stop(), 0);
  gateway = await gateway.again(); // a message whose callback threw may wait in the journal until now
  await until(async () => missing().length === 0, "all that was accepted arrives").catch(async () => {
    const letters = await capture(["dlq", "ls", "--json", "-c", join(gateway.folder, "mayfly.yaml")]);
    deepEqual(missing(), [], `dead letters: ${letters.out}${letters.err}`);
  });
  equal(await gateway.stop(), 0);
}

async function until(holds: () => Promise<boolean>, what: string): Promise<void> {
  for (let tries = 0; !(await holds()); tries += 1) {
    ok(tries < 200, what);
    await new Promise((done) => setTimeout(done, 100));
  }
}

test("embedded: whichever callback or call fails", { timeout: 120_000 }, (t) => campaign(t, "embedded", 40, 40));

test("process: whichever callback or call fails", { timeout: 120_000 }, (t) => campaign(t, "process", 20, 60));

const skip = !installed("qemu-system-x86_64") && "no qemu-system-x86_64";
test("qemu: whichever callback or call fails", { skip, timeout: 120_000 }, (t) => campaign(t, "qemu", 10, 60));
