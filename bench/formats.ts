/** XML, CSV, charsets and compression by the machine's native code, warm, beside Node's and parsers in Node. Values are made in both, and dropped. */
import { deflateRawSync, inflateRawSync } from "node:zlib";
import { createMultibyteEncoder } from "@exodus/bytes/multi-byte.js";
import { XMLBuilder, XMLParser } from "fast-xml-parser";
import papaparse from "papaparse";
import { assert, toUtf8 } from "#base";
import { instantiateKernel, kernelArtifacts, type KernelInstance, layout, nativeFunctions } from "#kernel";
import { durations, type Row, sample } from "./rows.ts";

function xmlText(bytes: number): string {
  let text = "<orders>";
  for (let i = 0; text.length < bytes; i++)
    text += `\n  <order id="${i}"><customer>M\u00fcller &amp; Co ${i}</customer><line sku="A-${i % 97}"><qty>${i % 9}</qty><price>${i}.50</price></line></order>`;
  return `${text}</orders>`;
}

function csvText(rows: number): string {
  const lines = Array.from({ length: rows }, (_, i) => `${i},Customer ${i},c${i}@example.com,"Brussels, BE",${i}.50,2026-01-01`);
  return `id,name,email,city,amount,date\n${lines.join("\n")}\n`;
}

/** An engine with the natives and no runtime: bodies are an event's first part, as they are in a machine. */
class Engine {
  readonly #kernel: KernelInstance;
  readonly #room: number;

  constructor() {
    const { engine, native } = kernelArtifacts();
    this.#kernel = instantiateKernel(new WebAssembly.Module(engine), new WebAssembly.Module(native), () => 0);
    const { call, door } = this.#kernel;
    call("_initialize");
    assert(call("qjs_init") === 0, "the engine starts");
    call("qjs_set_max_stack_size", layout.stackBytes);
    door.boot();
    this.#room = call("wasm_malloc", 4096);
    const natives = call("qjs_new_object");
    for (const [index, name] of nativeFunctions.entries()) door.define(natives, this.#text(name), index);
    call("qjs_set_prop_string", call("qjs_get_global"), this.#text("native"), natives);
  }

  #text(text: string): number {
    const memory = new Uint8Array(this.#kernel.engine.memory.buffer);
    memory.set(toUtf8(`${text}\0`), this.#room);
    return this.#room;
  }

  load(body: Uint8Array): void {
    const frame = new Uint8Array(16 + body.length);
    frame.set([1, 1], 8);
    new DataView(frame.buffer).setUint32(12, body.length, true);
    frame.set(body, 16);
    const at = this.#kernel.door.eventBuffer(frame.length);
    new Uint8Array(this.#kernel.engine.memory.buffer).set(frame, at);
  }

  /** Makes a script's function callable. */
  compile(script: string): () => void {
    const { call } = this.#kernel;
    const callee = call("qjs_eval", this.#text(script), script.length, this.#room + script.length, 0);
    const self = call("qjs_get_undefined");
    return () => {
      const value = call("qjs_call", callee, self, 0, this.#room);
      assert(call("qjs_is_exception", value) === 0, `${script} returns`);
      call("qjs_free_value", value);
    };
  }
}

async function compared(
  what: {
    name: string;
    peer: string;
    aim: string;
    most: number | ((besideMs: number) => number);
    machine: () => void;
    node: () => unknown;
  },
  count: number,
): Promise<Row> {
  const value = sample(await durations(count, what.machine)).p50;
  const beside = sample(await durations(Math.ceil(count / 2), what.node)).p50;
  return {
    suite: "formats",
    name: what.name,
    value,
    unit: "ms",
    beside: { name: what.peer, value: beside },
    ratio: beside / value,
    aim: what.aim,
    met: value <= (typeof what.most === "number" ? what.most : what.most(beside)),
  };
}

/** inflate and deflate in a machine, with room for their output (kernel/runtime/web/packing.ts). */
const packing = `(() => {
  const [inflating, deflating] = [new Uint8Array(307456), new Uint8Array(454656)];
  const [inflated, deflated] = [new DataView(inflating.buffer), new DataView(deflating.buffer)];
  globalThis.inflate = () => {
    const input = native.bytes(0);
    for (inflating.fill(0, 0, 64); inflated.getUint32(4, true) !== 4; ) inflating.slice(45312, 45312 + native.inflate(inflating, input));
  };
  globalThis.deflate = () => {
    const input = native.bytes(0);
    for (deflating.fill(0); deflated.getUint32(12, true) === 0; ) deflating.slice(352256, 352256 + native.deflate(deflating, input));
  };
  return () => 0;
})()`;

const twice = (besideMs: number): number => 2 * besideMs;

async function packingRows(engine: Engine, text: Uint8Array, count: number): Promise<Row[]> {
  const packed = deflateRawSync(text);
  engine.compile(packing);
  engine.load(packed);
  const machine = engine.compile("() => inflate()");
  const inflated = await compared(
    { name: "inflate, 1 MB of XML", peer: "zlib", aim: "2 × zlib's", most: twice, machine, node: () => inflateRawSync(packed) },
    count,
  );
  engine.load(text);
  const deflate = engine.compile("() => deflate()");
  const deflated = await compared(
    { name: "deflate, 1 MB of XML", peer: "zlib", aim: "2 × zlib's", most: twice, machine: deflate, node: () => deflateRawSync(text) },
    count,
  );
  return [inflated, deflated];
}

/** Rows of a table, as a script's text for both. */
const table =
  "Array.from({ length: 5000 }, (_, i) => ({ id: i, name: 'Customer ' + i, email: 'c' + i + '@example.com', city: 'Brussels, BE', amount: i + 0.5, date: '2026-01-01' }))";

async function rowsRows(engine: Engine, count: number): Promise<Row[]> {
  engine.compile(`(() => { globalThis.rows = ${table}; return () => 0; })()`);
  const rows = new Function(`return ${table}`)() as object[];
  const builder = new XMLBuilder({ ignoreAttributes: false });
  const names = "['id','name','email','city','amount','date']";
  const once = (besideMs: number): number => besideMs;
  const compare = (name: string, peer: string, most: (besideMs: number) => number, script: string, node: () => unknown): Promise<Row> =>
    compared({ name, peer, aim: most === twice ? `2 × ${peer}` : peer, most, machine: engine.compile(script), node }, count);
  return [
    await compare("structuredClone of 5,000 rows", "Node's", twice, "() => native.clone(rows)", () => structuredClone(rows)),
    await compare(
      "csv.stringify of 5,000 rows",
      "papaparse",
      once,
      `() => native.csvText(native.unlikeRows(rows) && rows, ${names}, 44, 0x0a0d)`,
      () => papaparse.unparse(rows, {}),
    ),
    await compare("xml.stringify of 5,000 rows", "fast-xml-parser", once, "() => native.xmlText('rows', { row: rows })", () =>
      builder.build({ rows: { row: rows } }),
    ),
  ];
}

export async function formatRows(quick: boolean): Promise<Row[]> {
  const count = quick ? 8 : 40;
  const engine = new Engine();
  const [xml, csv] = [xmlText(1_000_000), csvText(20_000)];
  const parser = new XMLParser({ ignoreAttributes: false });
  const latin = Buffer.from(xml.slice(0, 1 << 20), "latin1");
  const windows = new TextDecoder("windows-1252");
  const rows: Row[] = [];
  engine.load(toUtf8(xml));
  rows.push(
    await compared(
      {
        name: "msg.xml() of 1 MB",
        peer: "fast-xml-parser",
        aim: "12 ms",
        most: 12,
        machine: engine.compile("() => native.xml(native.bytes(0), 0, '')"),
        node: () => parser.parse(xml),
      },
      count,
    ),
  );
  engine.load(toUtf8(csv));
  const names = "['id','name','email','city','amount','date']";
  rows.push(
    await compared(
      {
        name: "msg.csv() of 20,000 rows",
        peer: "papaparse",
        aim: "15 ms",
        most: 15,
        machine: engine.compile(`() => native.csv(native.text(0), ',', 6, 1e9, ${names})`),
        node: () => papaparse.parse(csv, { delimiter: ",", newline: "\n", skipEmptyLines: false }),
      },
      count,
    ),
  );
  engine.load(latin);
  rows.push(
    await compared(
      {
        name: "windows-1252, 1 MB",
        peer: "TextDecoder",
        aim: "3 ms",
        most: 3,
        machine: engine.compile("() => native.decodeBytes(native.bytes(0), '\\u00e9'.repeat(128))"),
        node: () => windows.decode(latin),
      },
      count,
    ),
  );
  const japanese = createMultibyteEncoder("shift_jis")("注文番号 4711、東京都千代田区\n".repeat(40_000)).subarray(0, 1 << 20);
  engine.load(japanese);
  const shiftJis = new TextDecoder("shift_jis");
  rows.push(
    await compared(
      {
        name: "Shift_JIS, 1 MB",
        peer: "TextDecoder",
        aim: "3 ms",
        most: 3,
        // A table of one sign serves as well as the charset's: the same pages are read and written.
        machine: engine.compile(
          "(() => { const tables = new Uint8Array(36630).fill(0x4e), state = new Uint8Array(16); return () => native.decodeMultibyte(native.bytes(0), 4, tables, state, 0, -1); })()",
        ),
        node: () => shiftJis.decode(japanese),
      },
      count,
    ),
  );
  return [...rows, ...(await packingRows(engine, toUtf8(xml), count)), ...(await rowsRows(engine, count))];
}
