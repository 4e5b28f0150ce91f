/** Every step can be stopped wherever it is: in the engine's own loops and the natives', with what it logged, and without harm to the next. */
import { deepEqual, equal } from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { before, describe, test } from "node:test";
import { decodeEffects, encodeEvent } from "#abi";
import { buildImage, type Image } from "#image";
import { deliver } from "../monitor.case.ts";
import { trackedModules } from "./kernels.ts";
import { PageStore, type PageTable } from "./page-store.ts";
import { WarmInstance } from "./warm.ts";

/** Runs the script in the header, with the message as `msg`. */
const runsScripts = `
import { flow, timingSafeEqual } from "mayfly";
export default flow((msg, { log }) => {
  log.info("begun");
  return new Function("msg", "timingSafeEqual", msg.headers.script)(msg, timingSafeEqual);
});`;

async function buildFlow(source: string): Promise<Image> {
  const folder = await mkdtemp(join(tmpdir(), "mayfly-interrupt-"));
  try {
    const file = join(folder, "flow.ts");
    await writeFile(file, source);
    return (await buildImage(file, { check: false })).image;
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** Texts of two characters that the engine's hash, h · 263 + unit, maps to one value; `pairs` of them in a row make a key. */
function collidingKeys(count: number): string[] {
  const keys: string[] = [];
  for (let number = 0; keys.length < count; number++) {
    let key = "";
    for (let digit = 0, rest = number; digit < 8; digit++, rest = Math.floor(rest / 4))
      key += String.fromCharCode(100 - (rest % 4), 1000 + 263 * (rest % 4));
    keys.push(key);
  }
  return keys;
}

/** One call each that never ends, or not within minutes, and that the interpreter sees nothing of. */
const endless: Readonly<Record<string, string>> = {
  "indexOf of a long text": `return "a".repeat(1 << 21).indexOf("a".repeat(1 << 20) + "b")`,
  "lastIndexOf of a long text": `return "a".repeat(1 << 21).lastIndexOf("b" + "a".repeat(1 << 20))`,
  "replaceAll of a long text": `return "a".repeat(1 << 21).replaceAll("a".repeat(1 << 20) + "b", "")`,
  "split by a long text": `return "a".repeat(1 << 21).split("a".repeat(1 << 20) + "b")`,
  "indexOf of what has a length only": `return Array.prototype.indexOf.call({ length: 2 ** 53 - 1 }, 1)`,
  "includes of what has a length only": `return Array.prototype.includes.call({ length: 2 ** 53 - 1 }, 1)`,
  "reverse of what has a length only": `return Array.prototype.reverse.call({ length: 2 ** 53 - 1 })`,
  "copyWithin of what has a length only": `return Array.prototype.copyWithin.call({ length: 2 ** 53 - 1 }, 0, 1)`,
  "unshift of what has a length only": `return Array.prototype.unshift.call({ length: 2 ** 53 - 2 }, 1)`,
  "join of nothing": `return Array.prototype.join.call({ length: 2 ** 31 - 1 }, "")`,
  "a BigInt from text": `return BigInt("9".repeat(4_000_000))`,
  "a BigInt to text": `return ((1n << 1_000_000n) - 1n).toString()`,
  "a product of BigInts": `const a = (1n << 500_000n) - 1n; return (a * a) % 7n`,
  "Map keys of one hash": `const map = new Map(); for (const key of JSON.parse(msg.text())) map.set(key + "", 1); return map.size`,
  "JSON.parse of keys of one hash": `return Object.keys(JSON.parse(msg.headers.keys)).length`,
  "a regular expression": `return /^(a+)+$/.test("a".repeat(60) + "!")`,
  "a loop of JavaScript": `for (;;);`,
};

describe("a step is interrupted", () => {
  const store = new PageStore();
  const { engine, native } = trackedModules();
  let table: PageTable;
  let instance: WarmInstance;
  let polls = 0;

  before(async () => {
    table = store.add(await buildFlow(runsScripts));
    const chunks = store.chunks.map((chunk) => new Uint8Array(chunk));
    instance = new WarmInstance(engine, native, chunks, () => (--polls < 0 ? 1 : 0));
  });

  function run(
    script: string,
    body: string,
    mostPolls: number,
    headers = {},
  ): { readonly status: string; readonly texts: readonly string[] } {
    polls = mostPolls;
    instance.reset(table, 2048);
    const { status, effects } = instance.step(encodeEvent(deliver({ body, headers: { script, ...headers } })));
    const decoded = decodeEffects(effects);
    const texts = decoded.ok ? decoded.value.map((effect) => (effect.kind === "log" ? effect.text : effect.kind)) : [decoded.error];
    return { status, texts };
  }

  /** The last effect says where it was stopped. */
  const stopped = { status: "interrupted", texts: ["begun", "fail"] };
  const innocent = (): void => deepEqual(run("return 1", "", 3), { status: "complete", texts: ["begun", "done"] });

  for (const [name, script] of Object.entries(endless)) {
    test(`in ${name}`, () => {
      const keys = name.includes("keys of one hash") ? collidingKeys(60_000) : [];
      const object = name.startsWith("JSON") ? { keys: JSON.stringify(Object.fromEntries(keys.map((key) => [key, 1]))) } : {};
      deepEqual(run(script, JSON.stringify(keys), 40, object), stopped);
      innocent();
    });
  }

  test("in msg.json() of keys of one hash", () => {
    const body = JSON.stringify(Object.fromEntries(collidingKeys(60_000).map((key) => [key, 1])));
    deepEqual(run("return Object.keys(msg.json()).length", body, 40), stopped);
    innocent();
  });

  // Not endless: what is long enough is polled in often enough.
  for (const [name, script] of Object.entries({
    "reading JSON": "return msg.json().length",
    "comparing bytes": "return timingSafeEqual(msg.bytes, msg.bytes.slice())",
    "reading text": "return msg.text().length",
  })) {
    test(`in ${name} of several MiB`, () => {
      const body = `[${'"ü",'.repeat(1 << 19)}1]`;
      // Stopped inside the allocator, the engine can't say where it was.
      const { status, texts } = run(script, body, 0);
      deepEqual([status, texts[0]], ["interrupted", "begun"]);
      innocent();
    });
  }
});

test("colliding keys do collide", () => {
  const hash = (text: string): number => [...text].reduce((sum, unit) => (Math.imul(sum, 263) + unit.charCodeAt(0)) | 0, 0);
  const keys = collidingKeys(1000);
  equal(new Set(keys).size, 1000);
  equal(new Set(keys.map(hash)).size, 1);
});
