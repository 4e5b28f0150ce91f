/**
 * kill -9 at any instant, on a real disk: a child process works and says on its standard output what was acknowledged; the parent
 * kills it, opens the journal and holds it against what it heard. The seed is printed; MAYFLY_SEED runs it again.
 */
import { equal, ok } from "node:assert/strict";
import { spawn } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { fromUtf8, prng, type Prng, toUtf8 } from "#base";
import { newMessage } from "../testing/journal.case.ts";
import type { LogJournal } from "./log-journal.ts";
import { openJournal } from "./open.ts";

const kills = Number(process.env["MAYFLY_KILLS"] ?? 15);
const childDir = process.env["MAYFLY_KILL_DIR"];
const limits = { segmentBytes: 60_000, checkpointBytes: 200_000, blobBytes: 3_000, bodyMemoryBytes: 20_000, reserveBytes: 1_000 };

/**
 * Works until it is killed. One line per acknowledged fact: `a N` accepted, `c N` completed, `s N` sent. A line that must not be missing, of
 * what is tried and of what was sent, is waited for: a parent that is slow to read leaves some hundred lines in the child's own memory.
 */
async function work(dir: string, from: number, random: Prng): Promise<void> {
  const journal = openJournal(dir, { limits });
  await journal.recover();
  let next = from;
  const say = (line: string): Promise<void> => new Promise((written) => process.stdout.write(`${line}\n`, () => written()));
  const message = async (): Promise<void> => {
    const n = next++;
    const body = toUtf8(`${n}:${"x".repeat([10, 300, 5_000][random.below(3)] ?? 10)}`);
    await say(`t ${n}`);
    const accepted = await journal.accept(newMessage({ id: `m${n}`, body, dedup: { id: `d${n}`, windowMs: 1e15, count: 100_000 } }));
    if (accepted.status !== "leased") throw new Error(`a new message is ${accepted.status}`);
    void say(`a ${n}`);
    if (random.below(5) === 0) return;
    const state = await journal.readState("orders", "count");
    const count = (JSON.parse(state.json ?? '{"n":0}') as { n: number }).n;
    const sends = [0, 1].map((index) => ({ outlet: "a", key: `k${n % 3}`, contentType: "", headers: {}, body: toUtf8(`${n}:${index}`) }));
    const changes = [{ name: "n", valueJson: String(count + 1) }];
    const completed = await journal.complete(accepted.lease, {
      nowMs: 2_000,
      sends,
      state: { key: "count", version: state.version, changes },
      reply: undefined,
    });
    if (completed.status === "committed") void say(`c ${n}`);
  };
  const send = async (): Promise<void> => {
    for (const entry of await journal.leaseOutbox("orders", "a", 5, Date.now())) {
      await say(`s ${fromUtf8(entry.body)}`);
      await journal.settleOutbox(entry);
    }
  };
  const lane = async (): Promise<never> => {
    for (;;) await (random.below(4) === 0 ? send() : message());
  };
  await Promise.all(Array.from({ length: 6 }, lane));
}

/** Runs a child for a while and kills it; gives the lines it said. */
async function runAndKill(dir: string, from: number, seed: number, afterLines: number): Promise<string[]> {
  const environment: NodeJS.ProcessEnv = {
    ...process.env,
    MAYFLY_KILL_DIR: dir,
    MAYFLY_KILL_FROM: String(from),
    MAYFLY_KILL_SEED: String(seed),
  };
  delete environment["NODE_TEST_CONTEXT"]; // or the child would report as a test file
  const child = spawn(process.execPath, [fileURLToPath(import.meta.url)], { env: environment, stdio: ["ignore", "pipe", "inherit"] });
  let text = "";
  let lines = 0;
  child.stdout.on("data", (chunk: Buffer) => {
    text += chunk.toString();
    for (const byte of chunk) if (byte === 10) lines += 1;
    if (lines >= afterLines) child.kill("SIGKILL");
  });
  const signal = await new Promise((resolve) => child.once("close", (_code, killedBy) => resolve(killedBy)));
  equal(signal, "SIGKILL", "the child ended by itself");
  return text.split("\n").slice(0, -1);
}

interface Heard {
  next: number;
  readonly tried: Set<number>;
  readonly accepted: Set<number>;
  readonly completed: Set<number>;
  readonly sent: Set<string>;
}

async function check(journal: LogJournal, heard: Heard): Promise<void> {
  const pending = new Set((await journal.lease("orders", 1e6)).map((lease) => Number(fromUtf8(lease.message.body).split(":")[0])));
  for (const n of heard.completed) ok(!pending.has(n), `message ${n} was completed and is pending`);
  for (const n of pending) ok(heard.tried.has(n), `message ${n} was never sent`);
  const done: number[] = [];
  for (const n of heard.tried) {
    const again = journal.adopt(newMessage({ id: "again", dedup: { id: `d${n}`, windowMs: 1e15, count: 1 } }));
    if (again.status === "duplicate") done.push(n);
    else equal(again.status, pending.has(n) ? "running" : "leased", `message ${n}`);
    if (heard.completed.has(n)) equal(again.status, "duplicate", `message ${n} was completed and is forgotten`);
    if (heard.accepted.has(n)) ok(again.status !== "leased", `message ${n} was acknowledged and is missing`);
    if (again.status === "leased") journal.release(again.lease);
  }
  const state = await journal.readState("orders", "count");
  equal((JSON.parse(state.json ?? '{"n":0}') as { n: number }).n, done.length, "each completion has counted once");
  const waiting = new Set<string>();
  for (let depth = journal.outboxDepth("orders", "a"); depth > 0; depth = journal.outboxDepth("orders", "a")) {
    for (const entry of await journal.leaseOutbox("orders", "a", 1_000, 1e15)) {
      const send = fromUtf8(entry.body);
      ok(!waiting.has(send), `send ${send} is in the outbox twice`);
      waiting.add(send);
      await journal.settleOutbox(entry);
    }
  }
  for (const n of done)
    for (const index of [0, 1]) ok(waiting.has(`${n}:${index}`) || heard.sent.has(`${n}:${index}`), `send ${n}:${index} is lost`);
  for (const send of waiting) {
    ok(done.includes(Number(send.split(":")[0])), `send ${send} of a message that was not completed`);
    heard.sent.add(send); // settled here, so that it need not come again
  }
}

if (childDir !== undefined) {
  await work(childDir, Number(process.env["MAYFLY_KILL_FROM"]), prng(Number(process.env["MAYFLY_KILL_SEED"])));
} else {
  test(`after kill -9 at any instant everything acknowledged is there, once (${kills} kills)`, async (t) => {
    const seed = Number(process.env["MAYFLY_SEED"] ?? Date.now() % 1e9);
    t.diagnostic(`seed ${seed}`);
    const random = prng(seed);
    const dir = await mkdtemp(join(tmpdir(), "mayfly-kill-"));
    const heard: Heard = { next: 0, tried: new Set(), accepted: new Set(), completed: new Set(), sent: new Set() };
    try {
      for (let kill = 0; kill < kills; kill++) {
        for (const line of await runAndKill(dir, heard.next, random.uint32(), 1 + random.below(600))) {
          const [what, of = ""] = line.split(" ");
          if (what === "s") heard.sent.add(of);
          else ({ t: heard.tried, a: heard.accepted, c: heard.completed })[what ?? ""]?.add(Number(of));
        }
        heard.next = heard.tried.size === 0 ? 0 : Math.max(...heard.tried) + 1_000; // the last lines may not have been heard
        for (let n = heard.next - 1_000; n < heard.next; n++) heard.tried.add(n);
        const journal = openJournal(dir, { limits });
        await journal.recover();
        await check(journal, heard);
        await journal.close();
      }
      t.diagnostic(`${heard.accepted.size} accepted, ${heard.completed.size} completed, ${heard.sent.size} sent`);
    } finally {
      await rm(dir, { recursive: true, force: true });
    }
  });
}
