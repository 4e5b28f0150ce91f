import { deepEqual, equal, match, notDeepEqual, ok } from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { bundleFlow } from "#image";
import { embeddedMonitor, type Monitor } from "#monitors";
import { alike, debugBundle, debugMonitor, replayRecording, type Replay } from "#replay";
import { answer, delivered, imageOf, record, refusal } from "../testing/record.ts";
import { SeededRandom } from "./random.ts";

let monitor: Monitor;
let folder: string;
before(async () => {
  process.env["TZ"] = "UTC";
  monitor = embeddedMonitor({ workers: 1 });
  folder = await mkdtemp(join(tmpdir(), "mayfly-debug-"));
  await writeFile(join(folder, "package.json"), "{}");
});
after(async () => {
  await monitor.close();
  await rm(folder, { recursive: true, force: true });
});

/** Records the flow in a machine, and runs the record on V8. */
async function debugged(
  source: string,
  body: string | Uint8Array = "{}",
  answerTo: Parameters<typeof record>[3] = () => answer({ rate: 2 }),
): Promise<Replay> {
  const image = await monitor.load(await imageOf(source));
  const recording = await record(monitor, image, delivered(body, { key: "k", stateJson: '{"n":1}' }), answerTo);
  await writeFile(join(folder, "flow.ts"), source);
  const script = { ...(await debugBundle(join(folder, "flow.ts"), [])), outlets: null };
  return await replayRecording(debugMonitor({ script, pauses: false }), image, recording, { alike });
}

const flow = (handler: string): string =>
  `import { flow, json, xml, csv, text, fail, timingSafeEqual } from "mayfly"; export default flow(async (msg, { to, log, state, sleep, fetch, reply, signal, values }) => { ${handler} });`;

test("the generator is the machine's: RFC 8439's key stream, and the same over many pieces", async () => {
  const zero = new Uint8Array(64);
  new SeededRandom(new Uint8Array(32)).fill(zero);
  // RFC 8439, appendix A.1, test vector 1.
  equal(Buffer.from(zero).toString("hex").slice(0, 64), "76b8e0ada0f13d90405d6ae55386bd28bdd219b8a08ded1aa836efcc8b770dc7");
  const replay = await debugged(
    flow(`const all = []; for (let i = 0; i < 90; i++) all.push(i % 3 ? Math.random() : crypto.randomUUID()); return all;`),
  );
  deepEqual(replay.differences, []);
});

const sound: Readonly<Record<string, readonly [handler: string, body?: string]>> = {
  "time, timers and their order": [
    `const at = [Date.now(), new Date().toISOString(), new Date(2026, 0, 1).getTime(), String(new Date(0)), Date(), performance.now()];
     await Promise.all([sleep(20), sleep(5).then(() => at.push("five")), new Promise((done) => setTimeout(done, 10)).then(() => at.push(Date.now()))]);
     at.push(new Date() instanceof Date, Object.prototype.toString.call(new Date()), class extends Date {}.name); return at;`,
  ],
  "calls, refusals and state": [
    `const a = (await to.rates.request({ q: 1 })).json(); const b = await (await fetch("https://h.test/x", { method: "POST", body: "b" })).text();
     state.set("n", state.get("n") + a.rate); state.delete("x"); const other = await state.read("o"); to.out.send({ a, b, other }, { key: "q", headers: { "x-h": ["1", "2"] } }); return a;`,
  ],
  "formats, forms, blobs and bytes": [
    `const form = new FormData(); form.append("f", new Blob(["ä", new Uint8Array([1, 255])]), "n.bin"); to.a.send(form);
     to.a.send(xml.stringify({ o: { "@x": 1, l: ["a", "b"] } })); to.a.send(csv.stringify([{ a: 1, b: "x,y" }]));
     to.a.send(xml.parse("<o><l>1</l></o>")); to.a.send(csv.parse("a;b\\n1;2")); to.a.send(text.parse(new Uint8Array([0xe4]), "latin1"));
     to.a.send(new Uint8Array(await crypto.subtle.digest("SHA-512", text.stringify("x")))); to.a.send(btoa("x") + atob("eA=="));
     return new Response(JSON.stringify({ u: new URL("?a=b", "https://x.test/y").href, d: structuredClone({ d: new Date(1), m: new Map([[1, 2]]) }).d }), { status: 202 });`,
  ],
  "what a machine does in native code": [
    `const key = { name: "ECDSA", namedCurve: "P-256" }, plain = text.stringify("hello ".repeat(20000));
     const through = async (bytes, stream) => new Uint8Array(await new Response(new Blob([bytes]).stream().pipeThrough(stream)).arrayBuffer());
     const packed = await through(plain, new CompressionStream("gzip")); const back = await through(packed, new DecompressionStream("gzip"));
     const aes = await crypto.subtle.importKey("raw", new Uint8Array(16), "AES-GCM", false, ["encrypt"]);
     const sealed = new Uint8Array(await crypto.subtle.encrypt({ name: "AES-GCM", iv: new Uint8Array(12) }, aes, new Uint8Array(40)));
     const pair = await crypto.subtle.generateKey(key, true, ["sign", "verify"]);
     const signature = await crypto.subtle.sign({ name: "ECDSA", hash: "SHA-256" }, pair.privateKey, sealed);
     const held = await crypto.subtle.verify({ name: "ECDSA", hash: "SHA-256" }, pair.publicKey, signature, sealed);
     const word = await crypto.subtle.importKey("raw", text.stringify("p"), "PBKDF2", false, ["deriveBits"]);
     const bits = new Uint8Array(await crypto.subtle.deriveBits({ name: "PBKDF2", hash: "SHA-256", salt: new Uint8Array(8), iterations: 9 }, word, 256));
     to.a.send(packed); to.a.send(sealed); to.a.send(bits); to.a.send(structuredClone({ a: [1, { b: 2 }] }));
     const buffer = new ArrayBuffer(4), moved = buffer.transfer(8); return [back.length === plain.length, held, buffer.byteLength, moved.byteLength];`,
  ],
  "instances of the realm": [
    `return [msg.json() instanceof Object, msg.bytes instanceof Uint8Array, [] instanceof Array, (() => { try { json.parse("{"); } catch (e) { return [e instanceof Error, e.code]; } })(),
     (() => { try { new TextDecoder("utf-8", { fatal: true }).decode(new Uint8Array([65, 0xff])); } catch (e) { return [e instanceof TypeError, e.message]; } })()];`,
  ],
  "failures: the flow's own, the program's, a rejection nobody handles, one handled late, no JSON": [
    `fail("no", { code: "ORDER_NO", status: 422, retry: false });`,
  ],
  "a program's error": [`null.x;`],
  "an unhandled rejection": [`Promise.reject(new Error("lost")); await sleep(1);`],
  "a rejection that is handled in time": [
    `const p = Promise.reject(new Error("late")); await null; await null; p.catch(() => {}); return 1;`,
  ],
  "a message that is no JSON": [`return msg.json();`, "{"],
  "a log with an error": [`log.error("bad", { error: new TypeError("x"), n: 1 }); console.log("c", { a: [1] }); return 1;`],
  "a stalled flow": [`await new Promise(() => {});`],
};

/** The test runner takes every rejection for a failed test; some here are the flow's. */
async function withoutRunnersListener<T>(task: () => Promise<T>): Promise<T> {
  const listeners = process.listeners("unhandledRejection");
  process.removeAllListeners("unhandledRejection");
  try {
    return await task();
  } finally {
    for (const listener of listeners) process.on("unhandledRejection", listener);
  }
}

for (const [name, [handler, body]] of Object.entries(sound))
  test(`V8 gives the machine's effects: ${name}`, async () => {
    const replay = await withoutRunnersListener(() =>
      debugged(flow(handler), body ?? '{"a":1}', (call) => (call.target === "down" ? refusal("MF_DOWN") : answer({ rate: 2 }, 7))),
    );
    deepEqual(replay.differences, []);
    deepEqual([replay.identical, replay.compared, replay.monitor], [true, "bits", "debug"]);
  });

test("nothing of Node is in reach, and what a machine lacks is missing here too", async () => {
  const replay = await debugged(
    flow(
      `return [typeof process, typeof require, typeof Buffer, typeof Intl, typeof WebAssembly, typeof setImmediate, typeof __mayfly, typeof __flow, typeof structuredClone, this === undefined];`,
    ),
  );
  deepEqual(replay.differences, []);
});

test("a difference is seen: another source on the same record", async () => {
  const image = await monitor.load(await imageOf(flow(`return msg.json().a + 1;`)));
  const recording = await record(monitor, image, delivered('{"a":1}'));
  await writeFile(join(folder, "other.ts"), flow(`return msg.json().a + 2;`));
  const script = { ...(await debugBundle(join(folder, "other.ts"), [])), outlets: null };
  const replay = await replayRecording(debugMonitor({ script, pauses: false }), { ...image, sha256: "0".repeat(64) }, recording, { alike });
  deepEqual(replay.differences, [{ path: "reply.body", recorded: 2, replayed: 3 }]);
});

test("the source map names the source by its URL, with the bundler's mappings", async () => {
  await writeFile(join(folder, "mapped.ts"), flow(`return 1;`));
  const { text, url } = await debugBundle(join(folder, "mapped.ts"), []);
  const inline = /sourceMappingURL=data:application\/json;charset=utf-8;base64,(\S+)/.exec(text)?.[1] ?? "";
  const map = JSON.parse(Buffer.from(inline, "base64").toString()) as { sources: string[]; mappings: string };
  ok(map.sources.some((source) => source.endsWith("/mapped.ts") && source.startsWith("file:///")));
  match(url, /^file:\/\/\/.*\/\.mayfly\/debug\/mapped\.js$/);
  notDeepEqual(map.mappings, "");
  equal(
    Buffer.from((await bundleFlow(join(folder, "mapped.ts"), [], { plain: true })).script).toString(),
    text.slice(0, text.lastIndexOf("\n//#")),
  );
});
