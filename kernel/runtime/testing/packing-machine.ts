/** packing.ts on the natives, in an engine without the rest of the runtime: bytes go in as an event's part, and come out of the engine's memory. */
import { readFileSync } from "node:fs";
import { assert } from "#base";
import { type Box, NativeMachine } from "./native-machine.ts";

/** The compiled module as a script that gives a function: `(operation, kind)` leaves its result in `out`, a list of a message, a sum, an end and bytes. */
function script(): string {
  const source = readFileSync(new URL("../web/packing.js", import.meta.url), "utf8")
    .replace(/^import .*$/gm, "")
    .replace(/^export (?=const|function)/gm, "");
  return `(() => { const kernel = { native }; ${source}
    return (operation, kind) => {
      globalThis.out = undefined;
      globalThis.end = 0;
      const input = native.bytes(0);
      try {
        const { pieces, sum, end = 0 } = operation === 0 ? inflateRaw(input, 0, kind) : deflateRaw(input, kind);
        const bytes = new Uint8Array(pieces.reduce((total, piece) => total + piece.length, 0));
        let at = 0;
        for (const piece of pieces) { bytes.set(piece, at); at += piece.length; }
        globalThis.out = bytes;
        globalThis.end = end;
        return String(sum);
      } catch (error) { return error === null ? "null" : error.message; }
    };
  })()`;
}

/** `bytes` undefined: `said` is why. */
export interface Packed {
  readonly bytes: Uint8Array | undefined;
  /** The sum, or the message of the error. */
  readonly said: string;
  readonly end: number;
}

export class PackingMachine {
  readonly machine: NativeMachine = new NativeMachine();
  readonly #run: Box;

  constructor() {
    this.#run = this.machine.run(script());
  }

  #number(value: number): Box {
    return this.machine.call("qjs_new_number", value);
  }

  #call(operation: number, input: Uint8Array, kind: number): Packed {
    const { machine } = this;
    const frame = new Uint8Array(16 + input.length);
    frame.set([1, 1], 8);
    new DataView(frame.buffer).setUint32(12, input.length, true);
    frame.set(input, 16);
    const at = machine.kernel.door.eventBuffer(frame.length);
    assert(at !== 0, "the input fits");
    new Uint8Array(machine.kernel.engine.memory.buffer).set(frame, at);
    const values = [this.#number(operation), this.#number(kind)];
    const result = machine.apply(this.#run, ...values);
    if (machine.isException(result)) {
      machine.free(...values, machine.call("qjs_get_exception"));
      return { bytes: undefined, said: "exception", end: 0 };
    }
    const said = machine.string(result);
    const [out, end] = [machine.global("out"), machine.global("end")];
    const bytes = this.#bytes(out);
    const packed = { bytes, said, end: Number(machine.string(end)) };
    machine.free(result, out, end, ...values);
    return packed;
  }

  #bytes(box: Box): Uint8Array | undefined {
    const { machine } = this;
    const find = machine.kernel.engine["JS_GetUint8Array"] as (context: number, length: number, value: bigint) => number;
    if (machine.call("qjs_is_undefined", box) !== 0) return undefined;
    const length = machine.call("wasm_malloc", 4);
    const at = find(machine.call("qjs_get_context_ptr"), length, machine.memory.getBigInt64(box, true));
    const bytes = machine.bytesAt(at, machine.memory.getUint32(length, true));
    machine.call("wasm_free", length);
    return bytes;
  }

  inflate(input: Uint8Array, kind = 0): Packed {
    return this.#call(0, input, kind);
  }

  deflate(input: Uint8Array, kind = 0): Packed {
    return this.#call(1, input, kind);
  }
}
