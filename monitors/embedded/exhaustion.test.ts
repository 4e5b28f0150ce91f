/**
 * Memory that runs out, anywhere: a flow that uses every native, format and part is run with each limit from none to enough, and with
 * the n-th allocation refused. The step ends as "no memory", or with the right answer; never with another one.
 */
import { deepEqual, equal, ok } from "node:assert/strict";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { before, test } from "node:test";
import { fileURLToPath } from "node:url";
import { decodeEffects, encodeEvent } from "#abi";
import { concatBytes, fromUtf8 } from "#base";
import { decodeModule, encodeModule, instruction } from "#compiler";
import { buildImage, type Image } from "#image";
import { kernelArtifacts, layout } from "#kernel";
import { deliver } from "../monitor.case.ts";
import { trackedModules } from "./kernels.ts";
import { PageStore, type PageTable } from "./page-store.ts";
import { expectPristine } from "./testing/pristine.ts";
import { trackWrites } from "./track.ts";
import { type StepResult, WarmInstance } from "./warm.ts";

/** Everything that allocates; each reading by a way of its own, and what a swallowed failure would change is in the answer. */
const flow = `
import { csv, flow, json, text, timingSafeEqual, xml } from "mayfly";
export default flow<"out">(async (msg, { to, log, state, reply }) => {
  const rows = msg.csv<{ name: string; amount: string }>();
  const whole = msg.text();
  const bytes = msg.bytes;
  const data = rows.map((row, index) => ({ ...row, index, half: index / 7, tags: [row.name, null, true], more: { deep: [index] } }));
  const written = JSON.stringify(data);
  const again = json.parse<typeof data>(written);
  const tree = xml.parse<any>("<a><!-- c --><b x='ü'>" + whole.slice(0, 400).replace(/[<&\\0-\\x1f]/g, "-") + "</b><b/></a>");
  const back = xml.stringify({ a: { b: rows.slice(0, 9).map((row) => row.name) } });
  const table = csv.stringify(rows.slice(0, 30));
  const url = new URL("https://ex.example/a?x=" + encodeURIComponent(rows[1]!.name));
  const params = new URLSearchParams(url.search);
  const decoded = new TextDecoder("utf-8", { fatal: true }).decode(new TextEncoder().encode(whole));
  const copied = structuredClone({ map: new Map([[1, rows[0]]]), set: new Set(["a"]), when: new Date(0) });
  const latin = text.parse(Uint8Array.of(0xfc, 0x80), "latin1"), wide = text.parse(Uint8Array.of(0xfc, 0, 0x3c, 0xd8), "utf-16le", { malformed: "replace" });
  log.info("read " + rows.length, { rows: rows.length, last: rows.at(-1), map: new Map([["k", 1]]) });
  state.set("sum", rows.reduce((sum, { amount }) => sum + Number(amount), 0));
  for (const row of again.slice(0, 40)) to.out.send(row, { key: row.name, headers: { "x-index": String(row.index) } });
  to.out.send(bytes);
  to.out.send(whole);
  const parts = whole.split(/\\r?\\n/).map((line) => line.split(",")).flat().sort().reverse();
  const big = (123456789n ** 20n).toString(36), random = crypto.randomUUID(), values = crypto.getRandomValues(new Uint8Array(9));
  const form = new FormData();
  form.append("whole", whole.slice(0, 500));
  form.append("file", new Blob([bytes, "ü"], { type: "text/csv" }), "rows.csv");
  const encoded = new Response(form), reread = await new Response(await encoded.bytes(), { headers: encoded.headers }).formData();
  const file = reread.get("file") as File;
  const response = new Headers({ a: "1", b: "2" });
  return {
    rows: rows.length, chars: whole.length, bytes: bytes.length, same: whole === decoded, written: written.length, again: again.length,
    tree: JSON.stringify(tree).length, back, table: table.length, url: String(url), params: [...params], latin, wide, big, random, parts: parts.length,
    clone: copied.map.get(1), key: msg.key ?? null, first: parts[0], bigger: parts.join("|").length, form: [(reread.get("whole") as string).length, file.name, file.size, (await file.slice(1, 9).text())], equal: timingSafeEqual(whole, decoded), headers: [...response],
    values: [...values], sum: state.get("sum"), fixed: whole.normalize("NFD").length, padded: whole.slice(0, 50).padStart(2000, "ü").length,
    valid: URL.canParse("http://a/?b=ü"), names: Object.keys(rows[0]!), last: rows.at(-1), text: "ü".repeat(300),
  };
});`;

async function buildFlow(): Promise<Image> {
  const folder = await mkdtemp(join(tmpdir(), "mayfly-exhaustion-"));
  try {
    await writeFile(join(folder, "flow.ts"), flow);
    return (await buildImage(join(folder, "flow.ts"), { check: false })).image;
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** The C library's, and the engine's own for small blocks. */
const allocators = ["malloc", "calloc", "realloc", "js_malloc_rt", "js_calloc_rt", "js_mallocz_rt", "js_realloc_rt"];
const countdownExport = "test_allocations";

/** The engine with allocations that fail once the countdown is over, as they do without memory. */
function refusing(engine: Uint8Array): Uint8Array {
  const module = decodeModule(engine);
  const indices = allocators.map((name) => module.exports.find((each) => each.name === name)?.index);
  const countdown = module.globalTypes.length;
  const check = concatBytes([
    instruction("global.get", countdown),
    instruction("i32.const", 1),
    instruction("i32.sub"),
    instruction("global.set", countdown),
    instruction("global.get", countdown),
    instruction("i32.eqz"),
    instruction("if", 0x40),
    instruction("i32.const", layout.exhaustedAt),
    instruction("i32.const", 1),
    instruction("i32.store", 2, 0),
    instruction("i32.const", 0),
    instruction("return"),
    instruction("end"),
  ]);
  return encodeModule(module, {
    functions: ({ index, body }) =>
      indices.includes(index) ? { edits: [{ at: body.codeStart, end: body.codeStart, code: check }] } : undefined,
    addGlobals: [{ type: 0x7f, mutable: true, initial: instruction("i32.const", 0) }],
    addExports: [{ name: countdownExport, kind: "global", index: countdown }],
  });
}

let table: PageTable;
let chunks: readonly Uint8Array[];
const { native } = trackedModules();
const bodyOf = (rows: number): string =>
  `name,amount\n${Array.from({ length: rows }, (_, index) => `n${index} ${index % 3 === 0 ? "Zoë" : "x"},${index * 1.5}`).join("\n")}`;
const eventOf = (rows: number): Uint8Array =>
  encodeEvent(deliver({ body: bodyOf(rows), key: "k", state: {}, headers: { "content-type": "text/csv" } }));

before(async () => {
  const store = new PageStore();
  table = store.add(await buildFlow());
  chunks = store.chunks.map((chunk) => new Uint8Array(chunk));
});

/** All a step gave, or how it ended without. */
function answerOf({ status, effects }: StepResult): string {
  if (status !== "complete") return status === "escaped" ? "no-memory" : status;
  const decoded = decodeEffects(effects);
  if (!decoded.ok) return decoded.error;
  const last = decoded.value.at(-1);
  if (last?.kind === "fail" && last.code === "MF_MEMORY_LIMIT" && last.retry && last.message.includes("limits.memory")) return "no-memory";
  return JSON.stringify(decoded.value.map((each) => ({ ...each, body: "body" in each ? fromUtf8(each.body) : undefined })));
}

test("whatever the limit, the answer is the right one or that memory ran out", () => {
  const instance = new WarmInstance(trackedModules().engine, native, chunks, () => 0);
  instance.reset(table, 4096);
  const event = eventOf(600);
  const right = answerOf(instance.step(event));
  ok(right.includes('"kind":"done"'), right.slice(0, 300));
  let refused = 0;
  for (let pages = table.memoryPages; ; pages++) {
    instance.reset(table, pages);
    const answer = answerOf(instance.step(event));
    if (answer === right) break;
    equal(answer, "no-memory", `with ${pages} pages`);
    refused++;
    expectPristine(instance, table, chunks, 4096);
  }
  ok(refused > 0, "no limit was too small");
});

test("whichever allocation is refused, the step ends as one without memory, and the instance is the image again", async () => {
  const engine = new WebAssembly.Module(trackWrites(refusing(kernelArtifacts().engine)));
  const fresh = (): WarmInstance => new WarmInstance(engine, native, chunks, () => 0);
  let instance = fresh();
  const event = eventOf(45);
  /** Runs with the n-th allocation refused; whether there were so many. */
  const run = (nth: number): StepResult | undefined => {
    instance.reset(table, 4096);
    instance.setGlobalForTest(countdownExport, nth);
    const result = instance.step(event);
    return nth !== 0 && instance.globalForTest(countdownExport) > 0 ? undefined : result;
  };
  const right = answerOf(run(0) as StepResult);
  ok(right.includes('"kind":"done"'));
  const total = -instance.globalForTest(countdownExport);
  ok(total > 1000, `${total} allocations`);
  // Every one by and by: each run of the test takes others.
  const stride = Number(process.env["STRIDE"] ?? 37);
  const first = 1 + Math.floor(Math.random() * stride);
  for (let nth = first; nth <= total; nth += stride) {
    const result = run(nth);
    if (result === undefined) continue;
    equal(answerOf(result), "no-memory", `allocation ${nth} of ${total}: ${result.detail}`);
    if (instance.unfit) instance = fresh();
    else if (nth % 10 === 0) expectPristine(instance, table, chunks, 4096);
  }
  instance.reset(table, 4096);
  instance.setGlobalForTest(countdownExport, 0);
  equal(answerOf(instance.step(event)), right);
});

test("the natives and the layout mean the same word", async () => {
  const state = await readFile(join(fileURLToPath(new URL("../../../", import.meta.url)), "kernel", "native", "state.ts"), "utf8");
  const written = /const exhaustedAt: usize = (\d+) \* 1024 - (\d+);/.exec(state);
  deepEqual([Number(written?.[1]) * 1024 - Number(written?.[2])], [layout.exhaustedAt]);
});
