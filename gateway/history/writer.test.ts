/** The folder of history: what a kill, damage, a full disk, age and another process do to it. */
import { deepEqual, equal, match, ok } from "node:assert/strict";
import { execFileSync, spawn } from "node:child_process";
import { appendFileSync, readFileSync, readdirSync, rmSync, statSync, writeFileSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test, type TestContext } from "node:test";
import { fileURLToPath } from "node:url";
import fc from "fast-check";
import { systemClock } from "#base";
import { Batches } from "./batches.ts";
import { endedEntry } from "./facts.ts";
import { type FilledMessage, writeHistory } from "./fill.ts";
import { openHistory } from "./mod.ts";
import { Redactor } from "./redact.ts";
import { HistoryStore } from "./store.ts";
import { deliverMade, endMade, messageMade, rules } from "./testing/messages.ts";
import { HistoryWriter, type WriterPorts } from "./writer.ts";

const childDir = process.env["MAYFLY_HISTORY_DIR"];

function storeIn(folder: string, warnings: string[] = []): HistoryStore {
  const told = (_fields: object, text: string): void => void warnings.push(text);
  return new HistoryStore({
    folder,
    keepMs: 1e15,
    sizeBytes: 64 * 2 ** 20,
    flows: { orders: { history: rules } as never },
    clock: systemClock,
    logger: { debug: () => undefined, info: () => undefined, warn: told, error: told },
  });
}

/** Records until it is killed, and says which messages the thread has written. */
async function work(folder: string): Promise<never> {
  const store = storeIn(folder);
  for (let index = 0; ; index++) {
    const made = { id: `m${index}`, receivedMs: 1000 + index, body: "x".repeat(index % 3000) };
    store.ended(messageMade(made), endMade(made));
    if (index % 100 !== 99) continue;
    await store.flush();
    process.stdout.write(`${index}\n`);
  }
}

async function inFolder(run: (folder: string) => Promise<void>): Promise<void> {
  const dir = await mkdtemp(join(tmpdir(), "mayfly-history-"));
  try {
    await run(join(dir, "history"));
  } finally {
    await rm(dir, { recursive: true, force: true });
  }
}

const message = (index: number): FilledMessage => ({
  image: "ab".repeat(32),
  flow: "orders",
  deliver: deliverMade({ id: `m${index}`, key: `k${index % 10}`, receivedMs: 1000 + index, body: `body ${index}` }),
  logs: [`line ${index}`],
  reply: "{}",
});

const segmentBytes = 64 * 1024;

/** All messages of the folder, newest first. */
async function idsIn(folder: string): Promise<{ readonly ids: string[]; readonly remarks: readonly string[] }> {
  const reader = openHistory(folder);
  const ids: string[] = [];
  const remarks: string[] = [];
  let cursor: string | undefined;
  do {
    const page = await reader.list({ limit: 10_000, cursor });
    ids.push(...page.messages.map(({ id }) => id));
    remarks.push(...page.remarks);
    cursor = page.next;
  } while (cursor !== undefined);
  await reader.close();
  return { ids, remarks };
}

if (childDir !== undefined) await work(childDir);
else {
  test("kill -9: what was written is there, a cut tail is cut off and said, and recording goes on", async () => {
    await inFolder(async (folder) => {
      for (let round = 0; round < 3; round++) {
        rmSync(folder, { recursive: true, force: true });
        const env: NodeJS.ProcessEnv = { ...process.env, MAYFLY_HISTORY_DIR: folder };
        delete env["NODE_TEST_CONTEXT"];
        const child = spawn(process.execPath, [fileURLToPath(import.meta.url)], { env, stdio: ["ignore", "pipe", "inherit"] });
        let said = "";
        child.stdout.on("data", (chunk: Buffer) => {
          said += chunk.toString();
          if (said.split("\n").length > 5 + round * 7) child.kill("SIGKILL");
        });
        equal(await new Promise((resolve) => child.once("close", (_code, signal) => resolve(signal))), "SIGKILL");
        const last = Number(said.trim().split("\n").at(-1));
        const newest =
          readdirSync(folder)
            .filter((name) => name.endsWith(".hist"))
            .sort()
            .at(-1) ?? "";
        appendFileSync(join(folder, newest), readFileSync(join(folder, newest)).subarray(16, 300)); // an entry that was written in part
        const { ids } = await idsIn(folder);
        ok(ids.length > last, `${ids.length} of ${last + 1}`);
        const warnings: string[] = [];
        const store = storeIn(folder, warnings);
        const made = { id: "after", receivedMs: 9e9 };
        store.ended(messageMade(made), endMade(made));
        equal((await store.reader.list({ limit: 1 })).messages[0]?.id, "after");
        equal((await idsIn(folder)).ids.length, ids.length + 1);
        await store.close();
        match(warnings.join("\n"), /ended in the middle of an entry: its last \d+ bytes were cut off/);
      }
    });
  });

  test("a damaged entry costs itself, says so, and nothing throws: also where indexes are damaged or gone", async () => {
    await inFolder(async (folder) => {
      await writeHistory(folder, 1000, message, segmentBytes);
      const segments = readdirSync(folder)
        .filter((name) => name.endsWith(".hist"))
        .sort();
      ok(segments.length > 3, `${segments.length} segments`);
      const damage = (name: string, at: number): void => {
        const bytes = readFileSync(join(folder, name));
        bytes.fill(0x2a, at, at + 8);
        writeFileSync(join(folder, name), bytes);
      };
      damage(segments[0] as string, 5000);
      const found = await idsIn(folder);
      equal(found.ids.length, 999);
      match(found.remarks.join(), /segment 1 of history is damaged/);
      for (const name of readdirSync(folder)) if (name.endsWith(".index")) rmSync(join(folder, name));
      const scanned = await idsIn(folder);
      deepEqual(scanned.ids, found.ids);
      match(scanned.remarks.join(), /segment 1 of history is damaged in 1 places/);
      damage(segments[1] as string, 0);
      const headless = await idsIn(folder);
      ok(headless.ids.length > 600 && headless.ids.length < 999, `${headless.ids.length} messages`);
      match(headless.remarks.join(), /segment 2 of history is damaged from its beginning/);
    });
  });

  test("whatever bytes change in a segment or an index, reading never throws, and a writer makes the index anew", async () => {
    await inFolder(async (folder) => {
      await writeHistory(folder, 200, message, segmentBytes / 4);
      const files = new Map(
        readdirSync(folder)
          .filter((name) => name !== "lock")
          .map((name) => [name, readFileSync(join(folder, name))]),
      );
      const names = [...files.keys()];
      await fc.assert(
        fc.asyncProperty(fc.array(fc.tuple(fc.nat(), fc.nat(), fc.nat(255)), { minLength: 1, maxLength: 4 }), async (changes) => {
          for (const [name, bytes] of files) writeFileSync(join(folder, name), bytes);
          for (const [file, at, value] of changes) {
            const name = names[file % names.length] as string;
            const bytes = readFileSync(join(folder, name));
            bytes[at % bytes.length] = value;
            writeFileSync(join(folder, name), bytes);
          }
          const reader = openHistory(folder);
          for (const query of [
            {},
            { id: "m50" },
            { key: "k3" },
            { text: "line 7" },
            { header: { name: "content-type", value: "text/plain" } },
          ])
            await reader.list({ limit: 300, ...query });
          for (let index = 0; index < 200; index += 17) {
            await reader.show(`m${index}`);
            await reader.recording(`m${index}`);
          }
          await reader.close();
        }),
        { numRuns: 60 },
      );
      for (const [name, bytes] of files) writeFileSync(join(folder, name), bytes);
      const index = names.find((name) => name.endsWith(".index")) as string;
      const bytes = Buffer.from(files.get(index) as Buffer);
      bytes.fill(0, bytes.length - 64);
      writeFileSync(join(folder, index), bytes);
      writerOn(folder).close();
      deepEqual(readFileSync(join(folder, index)), files.get(index));
    });
  });

  test("the disk is short: the oldest goes first, then nothing is recorded, said, until there is room again", async () => {
    await inFolder(async (folder) => {
      await writeHistory(folder, 500, message, segmentBytes);
      let short = 0;
      let nowMs = 5000;
      const writer = writerOn(folder, { now: () => nowMs, bytesShort: () => short });
      const before = writer.status().segments;
      let asked = 0;
      short = 1;
      const gives = writerOn(`${folder}-none`, { now: () => nowMs, bytesShort: () => (asked++ < 2 ? 1 : 0) });
      gives.close();
      writer.tick();
      const status = writer.status();
      equal(status.gaveWay, before - 1);
      match(status.trouble ?? "", /nearly full: history is not recorded until there is room again/);
      equal(record(writer, { id: "lost" }), false);
      equal(writer.status().lost, 1);
      short = 0;
      nowMs += 6000;
      writer.tick();
      equal(writer.status().trouble, undefined);
      equal(record(writer, { id: "kept", receivedMs: 9e9 }), true);
      writer.close();
      equal((await idsIn(folder)).ids[0], "kept");
    });
  });

  test("a disk that is really full: history gives way to what else is written, and goes on", {
    skip: process.getuid?.() !== 0 && "needs root to mount a tmpfs",
  }, async (t) => {
    await onSmallDisk(t, "8m", async (dir) => {
      const folder = join(dir, "history");
      const writer = writerOn(folder, { bytesShort: () => 0, segmentBytes: 512 * 1024 });
      for (let index = 0; index < 12_000; index++) record(writer, { id: `m${index}`, receivedMs: 1000 + index, body: "x".repeat(800) });
      const { trouble, gaveWay } = writer.status();
      equal(trouble, undefined);
      ok(gaveWay > 3, `${gaveWay} segments gave way`);
      writer.close();
      const { ids } = await idsIn(folder);
      equal(ids[0], "m11999");
      ok(ids.length > 1000, `${ids.length} messages`);
    });
  });

  test("age: segments that are sealed and too old go, at a start and while it runs", async () => {
    await inFolder(async (folder) => {
      let nowMs = 1000;
      const writer = writerOn(folder, { now: () => nowMs, segmentBytes: 1024 }, 1600);
      for (let index = 0; index < 50; index++) {
        nowMs = 1000 + 100 * index;
        record(writer, { id: `m${index}`, receivedMs: nowMs });
        writer.tick();
      }
      writer.close();
      const { ids } = await idsIn(folder);
      equal(ids[0], "m49");
      ok(ids.length >= 16 && ids.length <= 20, `${ids.length} messages`);
      nowMs += 10_000;
      writerOn(folder, { now: () => nowMs, segmentBytes: 1024 }, 1600).close();
      ok((await idsIn(folder)).ids.length <= 2);
    });
  });

  test("one process writes: another one says who does, and takes over when it is gone", async () => {
    await inFolder(async (folder) => {
      const first = writerOn(folder);
      const second = writerOn(folder);
      match(second.status().trouble ?? "", new RegExp(`another process \\(${process.pid}\\) writes to`));
      equal(record(second, { id: "no" }), false);
      first.close();
      const third = writerOn(folder);
      equal(third.status().trouble, undefined);
      third.close();
      writeFileSync(join(folder, "lock"), JSON.stringify({ pid: 999_999, startTime: "1", namespace: "" }));
      writerOn(folder, { now: () => Date.now() + 60_000 }).close();
      for (const name of readdirSync(folder)) equal((statSync(join(folder, name)).mode & 0o777).toString(8), "600", name);
      equal((statSync(folder).mode & 0o777).toString(8), "700");
    });
  });

  test("a reader sees what is written while it reads, across segments that are sealed and expire under it", async () => {
    await inFolder(async (folder) => {
      const writer = writerOn(folder, { segmentBytes: 16 * 1024 }, 1e15, 128 * 1024);
      const reader = openHistory(folder);
      for (let index = 0; index < 600; index++) {
        record(writer, { id: `m${index}`, receivedMs: 1000 + index, body: "x".repeat(200), key: `k${index % 7}` });
        if (index % 20 !== 0) continue;
        const { messages, remarks } = await reader.list({ limit: 5 });
        deepEqual(
          messages.map(({ id }) => id),
          Array.from({ length: Math.min(5, index + 1) }, (_, back) => `m${index - back}`),
        );
        deepEqual(remarks, []);
        equal((await reader.list({ limit: 1, key: `k${index % 7}` })).messages[0]?.id, `m${index}`);
        equal((await reader.show(`m${index}`))?.id, `m${index}`);
      }
      equal(await reader.show("m0"), undefined);
      await reader.close();
      writer.close();
    });
  });

  test("lists are what a plain sort and filter give, page by page, over many segments and in any order of ends", async () => {
    const made = fc.record({ received: fc.nat(50), key: fc.nat(4), flow: fc.constantFrom("orders", "billing"), dead: fc.boolean() });
    await fc.assert(
      fc.asyncProperty(fc.array(made, { minLength: 1, maxLength: 80 }), fc.integer({ min: 1, max: 30 }), async (messages, limit) => {
        await inFolder(async (folder) => {
          const writer = writerOn(folder, { segmentBytes: 4096 });
          for (const [index, { received, key, flow, dead }] of messages.entries())
            record(writer, { id: `m${index}`, flow, key: `k${key}`, receivedMs: received, ...(dead ? { failure, letter: "l" } : {}) });
          writer.close();
          const newestFirst = messages
            .map((each, index) => ({ ...each, index }))
            .sort((a, b) => b.received - a.received || b.index - a.index);
          const reader = openHistory(folder);
          for (const query of [{}, { key: "k2" }, { flow: "billing" }, { status: "dead" as const }, { sinceMs: 10, untilMs: 40 }]) {
            const expected = newestFirst.filter(
              ({ key, flow, dead, received }) =>
                (!("key" in query) || key === 2) &&
                (!("flow" in query) || flow === "billing") &&
                (!("status" in query) || dead) &&
                (!("sinceMs" in query) || (received >= 10 && received < 40)),
            );
            const found: string[] = [];
            let cursor: string | undefined;
            do {
              const page = await reader.list({ limit, cursor, ...query });
              found.push(...page.messages.map(({ id }) => id));
              cursor = page.next;
            } while (cursor !== undefined);
            deepEqual(
              found,
              expected.map(({ index }) => `m${index}`),
            );
          }
          await reader.close();
        });
      }),
      { numRuns: 40 },
    );
  });
}

const failure = { origin: "flow", code: "NO", message: "no", status: 0, retry: false } as const;

function writerOn(folder: string, ports: Partial<WriterPorts> = {}, keepMs = 1e15, sizeBytes = 64 * 2 ** 20): HistoryWriter {
  const writer = new HistoryWriter(folder, { keepMs, sizeBytes }, { now: Date.now, ...ports });
  writer.open();
  return writer;
}

/** Batches of a writer: their buffers are used again. */
const batchesOf = new WeakMap<HistoryWriter, { readonly batches: Batches; written: boolean }>();

function batchesFor(writer: HistoryWriter): { readonly batches: Batches; written: boolean } {
  const batches = new Batches({
    after: () => () => undefined,
    hand: (bytes, length, entries) => {
      made.written = writer.append(Buffer.from(bytes, 0, length), entries);
      batches.written(length, bytes);
    },
  });
  const made = { batches, written: false };
  batchesOf.set(writer, made);
  return made;
}

/** Writes one message at once; false if it is lost. */
function record(writer: HistoryWriter, made: Parameters<typeof messageMade>[0]): boolean {
  const found = batchesOf.get(writer) ?? batchesFor(writer);
  found.batches.add(endedEntry(messageMade(made), endMade(made), new Redactor(rules)));
  found.batches.flush();
  return found.written;
}

async function onSmallDisk(t: TestContext, size: string, run: (dir: string) => Promise<void>): Promise<void> {
  const dir = await mkdtemp(join(tmpdir(), "mayfly-small-"));
  let mounted = false;
  try {
    execFileSync("mount", ["-t", "tmpfs", "-o", `size=${size}`, "tmpfs", dir], { stdio: "pipe" });
    mounted = true;
    await run(dir);
  } catch (error) {
    if (mounted) throw error;
    t.skip(`cannot mount a tmpfs: ${String(error)}`);
  } finally {
    if (mounted) execFileSync("umount", ["-l", dir], { stdio: "pipe" });
    await rm(dir, { recursive: true, force: true });
  }
}
