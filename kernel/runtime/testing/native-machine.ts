/**
 * The engine with the natives below it and no runtime on top, for tests of the natives themselves: texts go in as a part of an event,
 * values stay in the machine and are looked at by scripts that run there.
 */
import { assert, fromUtf8, toUtf8 } from "#base";
import { instantiateKernel, kernelArtifacts, type KernelInstance, layout, nativeFunctions } from "#kernel";

/** Address of a boxed value. */
export type Box = number;

let modules: { engine: WebAssembly.Module; native: WebAssembly.Module } | undefined;

function compiled(): { engine: WebAssembly.Module; native: WebAssembly.Module } {
  const { engine, native } = kernelArtifacts();
  modules ??= { engine: new WebAssembly.Module(engine), native: new WebAssembly.Module(native) };
  return modules;
}

const mostBytes = 1 << 20;

export class NativeMachine {
  readonly kernel: KernelInstance;
  readonly #global: Box;
  readonly #parse: Box;
  readonly #part: Box;
  /** Room for a text, a list of values, and what the engine counts of itself. */
  readonly #room: number;

  constructor() {
    const { engine, native } = compiled();
    this.kernel = instantiateKernel(engine, native, () => 0);
    this.call("_initialize");
    assert(this.call("qjs_init") === 0, "the engine starts");
    this.call("qjs_set_max_stack_size", layout.stackBytes);
    this.kernel.door.boot();
    this.#room = this.call("wasm_malloc", mostBytes);
    const natives = this.call("qjs_new_object");
    for (const [index, name] of nativeFunctions.entries()) assert(this.kernel.door.define(natives, this.#text(name), index) !== 0, name);
    this.#global = this.call("qjs_get_global");
    this.call("qjs_set_prop_string", this.#global, this.#text("native"), natives);
    this.#parse = this.property(natives, "json");
    this.#part = this.call("qjs_new_number", 0);
  }

  call(name: string, ...values: number[]): number {
    return this.kernel.call(name, ...values);
  }

  get memory(): DataView {
    return new DataView(this.kernel.engine.memory.buffer);
  }

  #bytes(bytes: Uint8Array, at: number = this.#room): number {
    const memory = new Uint8Array(this.kernel.engine.memory.buffer);
    memory.set(bytes, at);
    memory[at + bytes.length] = 0;
    return at;
  }

  #text(text: string): number {
    return this.#bytes(toUtf8(text));
  }

  property(object: Box, name: string): Box {
    return this.call("qjs_get_prop_string", object, this.#text(name));
  }

  global(name: string): Box {
    return this.property(this.#global, name);
  }

  /** Runs a script that must not throw. */
  run(script: string): Box {
    const length = toUtf8(script).length;
    const result = this.call("qjs_eval", this.#text(script), length, this.#bytes(toUtf8("test.js"), this.#room + length + 1), 0);
    if (this.isException(result)) throw new Error(this.string(this.call("qjs_get_exception")));
    return result;
  }

  apply(callee: Box, ...values: Box[]): Box {
    for (const [index, value] of values.entries()) this.memory.setUint32(this.#room + 4 * index, value, true);
    return this.call("qjs_call", callee, this.call("qjs_get_undefined"), values.length, this.#room);
  }

  isException(value: Box): boolean {
    return this.call("qjs_is_exception", value) !== 0;
  }

  string(value: Box): string {
    const address = this.call("qjs_get_string", value);
    const bytes = new Uint8Array(this.kernel.engine.memory.buffer);
    const text = fromUtf8(bytes.slice(address, bytes.indexOf(0, address)));
    this.call("qjs_free_cstring", address);
    return text;
  }

  free(...values: Box[]): void {
    for (const value of values) this.call("qjs_free_value", value);
  }

  /** Address of the object in a box. */
  address(value: Box): number {
    return this.memory.getUint32(value, true);
  }

  /** The result of `native.json(0)` for an event whose first part is `text`; `behind` follows in its second. */
  json(text: Uint8Array, behind: Uint8Array = new Uint8Array(0)): Box {
    const frame = new Uint8Array(8 + 4 + 8 + text.length + behind.length);
    frame.set([1, 2], 8);
    new DataView(frame.buffer).setUint32(12, text.length, true);
    new DataView(frame.buffer).setUint32(16, behind.length, true);
    frame.set(text, 20);
    frame.set(behind, 20 + text.length);
    const at = this.kernel.door.eventBuffer(frame.length);
    this.#bytes(frame, at);
    const value = this.apply(this.#parse, this.#part);
    assert(Buffer.compare(this.bytesAt(at, frame.length), frame) === 0, "the event is as it was");
    return value;
  }

  /** The result of the engine's own parser for the same bytes. */
  engineJson(text: Uint8Array): Box {
    const parse = this.kernel.engine["JS_ParseJSON"] as (context: number, at: number, length: number, name: number) => bigint;
    const name = this.#bytes(toUtf8("event"), this.#room + text.length + 1);
    const value = parse(this.call("qjs_get_context_ptr"), this.#bytes(text), text.length, name);
    const box = this.call("qjs_new_number", 0);
    this.memory.setBigUint64(box, BigInt.asUintN(64, value), true);
    return box;
  }

  bytesAt(address: number, length: number): Uint8Array {
    return new Uint8Array(this.kernel.engine.memory.buffer).slice(address, address + length);
  }

  /** The engine may have so many bytes; 0 lifts the limit. */
  limit(bytes: number): void {
    this.call("JS_SetMemoryLimit", this.call("qjs_get_runtime_ptr"), bytes);
  }

  /** The engine's own memory statistics. */
  usage(): { bytes: number; allocations: number; atoms: number; objects: number; shapes: number } {
    this.call("qjs_compute_memory_usage", this.#room);
    const at = (index: number): number => Number(this.memory.getBigInt64(this.#room + 8 * index, true));
    return { bytes: at(0), allocations: at(3), atoms: at(5), objects: at(9), shapes: at(13) };
  }
}
