/**
 * The natives under hostile arguments. A machine that has got hold of them, which no flow can, makes the calls that bytes say: with
 * valueOf that calls natives again, proxies, getters, detached and resized buffers, numbers out of range, long and lone texts; short of
 * memory, and interrupted. After each run the instance is the image again, byte for byte, and a machine of another flow answers rightly.
 */
import { abiVersion, decodeEffects, encodeEvent } from "#abi";
import { fromUtf8, toUtf8 } from "#base";
import { imageOfBundle, type Image } from "#image";
import { nativeFunctions } from "#kernel";
import { trackedModules } from "../kernels.ts";
import { PageStore } from "../page-store.ts";
import { type StepStatus, WarmInstance } from "../warm.ts";
import { expectPristine } from "./pristine.ts";

/** Runs inside the machine. `choose(n)`: the next byte of the program, below n. */
const hostile = `
const { native, flow } = globalThis[Symbol.for("mayfly.kernel")];
const names = ${JSON.stringify(nativeFunctions)};
globalThis.__flow = flow((msg) => {
  const program = native.bytes(8);
  let at = 2, deep = 0;
  const choose = (most) => (at < program.length ? program[at++] % most : 0);
  const kept = [];
  function again() {
    if (deep > 3) return 1;
    deep++;
    try { call(); kept.push(new Uint8Array(3000)); if (kept.length > 20) kept.length = 0; } catch {} finally { deep--; }
    return 1;
  }
  const proxy = (target) => new Proxy(target, new Proxy({}, { get: (_t, trap) => (...given) => { again(); return Reflect[trap](...given); } }));
  const makers = [
    () => [0, 1, 2, 5, 8, 200, 255, 256, 384, -1, 1.5, -0, NaN, Infinity, 2 ** 31, 2 ** 32, 2 ** 53, -(2 ** 31), 1e308][choose(19)],
    () => ["", "a", "\\ud800", "\\udc00x", "\\u00fc", "\\u65e5", "\\0", "{\\"toJSON\\":1}", "[1,[2]]"][choose(9)],
    () => "ab\\ud83d".repeat(1 << choose(18)),
    () => "x".repeat(3000) + choose(9) + "y".repeat(3000),
    () => new Uint8Array(1 << choose(20)),
    () => ({ valueOf: again, toString: () => { again(); return "t"; } }),
    () => ({ [Symbol.toPrimitive]: again }),
    () => ({ get length() { return again(); }, get toJSON() { again(); return undefined; }, get a() { return again(); }, b: 1 }),
    () => ({ toJSON() { again(); return { a: [1, "\\ud800"] }; } }),
    () => { const bytes = new Uint8Array(5000); bytes.buffer.transfer(); return bytes; },
    () => { const buffer = new ArrayBuffer(9000, { maxByteLength: 20000 }); const bytes = new Uint8Array(buffer, 1000, 8000); buffer.resize(choose(9000)); return bytes; },
    () => { const buffer = new ArrayBuffer(10, { maxByteLength: 20000 }); const bytes = new Uint8Array(buffer); buffer.resize(choose(20000)); return bytes; },
    () => new (class extends Uint8Array {})(choose(99)),
    () => [new DataView(new ArrayBuffer(9)), new Float64Array(9), new ArrayBuffer(9), new Uint8ClampedArray(9), new SharedArrayBuffer(9)][choose(5)],
    () => proxy([1, 2, { a: 1 }]),
    () => proxy(new Uint8Array(9)),
    () => { const cycle = { a: [1] }; cycle.a.push(cycle); return cycle; },
    () => { let nested = 1; for (let i = choose(256) * 8; i > 0; i--) nested = i & 1 ? [nested] : { nested }; return nested; },
    () => { const list = [1, , 3]; list.length = choose(256) * 1000; return list; },
    () => Object.fromEntries(Array.from({ length: choose(200) }, (_, i) => [i % 3 ? "k" + i : i, make()])),
    () => Array.from({ length: choose(30) }, () => 1.1 * choose(256)),
    () => [10n ** 30n, Symbol("s"), Symbol.iterator, null, undefined, true, false, () => 1, new Date(NaN), /x/g][choose(10)],
    () => new Map([[make(), 1]]),
    () => native,
  ];
  let making = 0;
  function make() {
    if (making > 4) return 1;
    making++;
    try { return makers[choose(makers.length)](); } finally { making--; }
  }
  function call() {
    const callee = native[names[choose(names.length)]];
    const given = Array.from({ length: choose(20) }, make);
    if (callee === native.emit && choose(2) === 0) given[0] = 1 + choose(8);
    return choose(4) === 0 ? Reflect.apply(callee, make(), given) : callee(...given);
  }
  let outcome = "";
  for (let calls = 0; at < program.length && calls < 200; calls++) {
    try { const value = call(); outcome = typeof value; kept[calls % 8] = value; } catch (error) { outcome = error === null ? "null" : String(error?.message).slice(0, 40); }
  }
  return outcome;
});`;

const innocent = `
const { flow } = globalThis[Symbol.for("mayfly.kernel")];
globalThis.__flow = flow((msg, { to, log }) => {
  const order = msg.json();
  log.info("read", { lines: order.lines.length });
  for (const line of order.lines) to.out.send({ ...line, text: msg.text().slice(0, 20) });
  return { total: order.lines.reduce((sum, { price }) => sum + price, 0), random: Math.random() };
});`;

function imageOfScript(script: string, name: string): Image {
  return imageOfBundle({ script: toUtf8(script), sourceMap: new Uint8Array(0), inputs: [], sources: [] }, "", name, `0.0.${abiVersion}`)
    .image;
}

function frame(body: Uint8Array): Uint8Array {
  return encodeEvent({
    kind: "deliver",
    timeMs: 1_767_225_600_000,
    seed: new Uint8Array(32).fill(7),
    id: "m",
    source: "test",
    attempt: 1,
    key: undefined,
    headersJson: "{}",
    stateJson: undefined,
    body,
  });
}

/** The result of one program; `fault` undefined: as it should. */
export interface NativesVerdict {
  readonly status: StepStatus;
  /** The value or error of its last call. */
  readonly outcome: string;
  readonly fault: string | undefined;
}

const wasmPagesPerMiB = 16;
/** Errors with which the stack of V8 or of the engine may end, however deep the values are. */
const stackEnds = /Maximum call stack/;

/** The instance that programs run in, one after the other. */
export class NativesFuzzer {
  readonly #store = new PageStore();
  readonly #hostile = this.#store.add(imageOfScript(hostile, "hostile"));
  readonly #innocent = this.#store.add(imageOfScript(innocent, "innocent"));
  readonly #chunks: readonly Uint8Array[] = this.#store.chunks.map((chunk) => new Uint8Array(chunk));
  readonly #question = frame(toUtf8(JSON.stringify({ lines: [{ price: 1.5, name: "Zoë" }, { price: 2 }], note: "日本".repeat(200) })));
  #polls = 0;
  #instance: WarmInstance = this.#fresh();
  readonly #answer: Uint8Array = this.#ask();

  #fresh(): WarmInstance {
    const { engine, native } = trackedModules();
    return new WarmInstance(engine, native, this.#chunks, () => (--this.#polls < 0 ? 1 : 0));
  }

  /** The innocent flow's answer now. */
  #ask(): Uint8Array {
    this.#polls = Number.MAX_SAFE_INTEGER;
    this.#instance.reset(this.#innocent, 256);
    return this.#instance.step(this.#question).effects.slice();
  }

  /** The program's first byte says how much memory it has, its second when it is interrupted; the others are choices. */
  run(program: Uint8Array): NativesVerdict {
    const [memory = 0, polls = 0] = program;
    const limitPages = this.#hostile.memoryPages + (memory % 4 === 0 ? (memory >> 2) * 2 : 12 * wasmPagesPerMiB);
    this.#polls = polls % 4 === 0 ? polls >> 2 : 100;
    this.#instance.reset(this.#hostile, limitPages);
    const { status, detail, effects } = this.#instance.step(frame(program));
    const outcome = outcomeOf(effects);
    const soundly = status !== "compromised" && (status !== "trapped" || stackEnds.test(detail));
    return { status, outcome, fault: soundly ? this.#harm() : `the machine is ${status}: ${detail}` };
  }

  /** The effect of the run on those that come after it. */
  #harm(): string | undefined {
    if (this.#instance.unfit) return "the instance is unfit";
    try {
      expectPristine(this.#instance, this.#hostile, this.#chunks, 256);
      const answer = this.#ask();
      if (Buffer.compare(answer, this.#answer) !== 0) return `the next machine answers ${fromUtf8(answer).slice(0, 200)}`;
      expectPristine(this.#instance, this.#innocent, this.#chunks, 256);
      if (this.#instance.memoryPages > 512) this.#instance = this.#fresh();
      return undefined;
    } catch (error) {
      this.#instance = this.#fresh();
      return error instanceof Error ? error.message : String(error);
    }
  }
}

function outcomeOf(effects: Uint8Array): string {
  const decoded = decodeEffects(effects);
  if (!decoded.ok) return decoded.error.replace(/\d+/g, "n");
  const last = decoded.value.at(-1);
  if (last?.kind === "done") return fromUtf8(last.reply?.body ?? new Uint8Array(0));
  return last?.kind === "fail" ? last.code : (last?.kind ?? "nothing");
}
