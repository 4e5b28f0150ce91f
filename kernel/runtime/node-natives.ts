/**
 * The natives that need no event, in Node: an engine of their own, which is made when the first is called. Values come back through JSON, bytes
 * as hexadecimal digits. What a helper reads in a unit test, and a flow in the debugger, is so what it reads in a machine.
 */
import { assert } from "../../base/assert.ts";
import { kernelArtifacts } from "../artifacts.ts";
import { instantiateKernel, type KernelInstance } from "../instance.ts";
import { layout } from "../layout.ts";
import { nativeFunctions } from "../native-functions.ts";

/**
 * The event's first part is a list of the function's name, its values and the numbers of those that it works on, which come back as well; bytes
 * stand in the parts behind, and among the values their numbers.
 */
const script = `() => {
  try {
    const [name, values, worked] = native.json(0);
    const given = values.map((value) => (typeof value?.part === "number" ? native.bytes(value.part) : value));
    const value = native[name](...given);
    return JSON.stringify(value instanceof Uint8Array ? { hex: value.toHex() } : { value, worked: worked.map((index) => given[index].toHex()) });
  } catch (error) {
    return JSON.stringify({ error: error.name, message: error.message });
  }
}`;
/** Values that a function changes. */
const inPlace: ReadonlyMap<string, readonly number[]> = new Map([
  ["inflate", [0]],
  ["deflate", [0]],
  ["repeatHmac", [2, 3]],
  ["decodeMultibyte", [3]],
]);
const frameHeader = 8;
const recordHeader = 4;
const mostScriptBytes = 4096;

let kernel: KernelInstance | undefined;
let caller = 0;
let room = 0;

function textAt(machine: KernelInstance, text: string): number {
  const memory = new Uint8Array(machine.engine.memory.buffer);
  const { written } = new TextEncoder().encodeInto(text, memory.subarray(room, room + mostScriptBytes - 1));
  memory[room + written] = 0;
  return room;
}

function start(): KernelInstance {
  const { engine, native } = kernelArtifacts();
  const machine = instantiateKernel(new WebAssembly.Module(engine), new WebAssembly.Module(native), () => 0);
  machine.call("_initialize");
  assert(machine.call("qjs_init") === 0, "the engine starts");
  machine.call("qjs_set_max_stack_size", layout.stackBytes);
  machine.door.boot();
  room = machine.call("wasm_malloc", mostScriptBytes);
  const natives = machine.call("qjs_new_object");
  for (const [index, name] of nativeFunctions.entries()) machine.door.define(natives, textAt(machine, name), index);
  machine.call("qjs_set_prop_string", machine.call("qjs_get_global"), textAt(machine, "native"), natives);
  caller = machine.call("qjs_eval", textAt(machine, script), script.length, room + script.length, 0);
  return machine;
}

/** Calls a native in Node, which changes the values that it changes in a machine. Throws TypeError and Error as it does. */
export function nativeInNode(name: string, ...values: readonly unknown[]): unknown {
  kernel ??= start();
  const places = inPlace.get(name) ?? [];
  const parts: Uint8Array[] = [];
  const list = values.map((value) => (value instanceof Uint8Array ? { part: parts.push(value) } : value));
  parts.unshift(new TextEncoder().encode(JSON.stringify([name, list, places])));
  const frame = new Uint8Array(frameHeader + recordHeader + parts.reduce((size, part) => size + 4 + part.length, 0));
  const view = new DataView(frame.buffer);
  frame[frameHeader + 1] = parts.length;
  let at = frameHeader + recordHeader + 4 * parts.length;
  for (const [index, part] of parts.entries()) {
    view.setUint32(frameHeader + recordHeader + 4 * index, part.length, true);
    frame.set(part, at);
    at += part.length;
  }
  const buffer = kernel.door.eventBuffer(frame.length);
  if (buffer === 0) throw new Error("out of memory");
  new Uint8Array(kernel.engine.memory.buffer).set(frame, buffer);
  const { value, hex, worked, error, message } = answer(kernel);
  if (error !== undefined) throw error === "TypeError" ? new TypeError(message) : new Error(message);
  for (const [index, bytes] of worked?.entries() ?? []) (values[places[index]!] as Uint8Array).set(Buffer.from(bytes, "hex"));
  return hex === undefined ? value : Uint8Array.from(Buffer.from(hex, "hex"));
}

interface NativeAnswer {
  readonly value?: unknown;
  readonly hex?: string;
  readonly worked?: readonly string[];
  readonly error?: string;
  readonly message?: string;
}

function answer(machine: KernelInstance): NativeAnswer {
  const result = machine.call("qjs_call", caller, machine.call("qjs_get_undefined"), 0, room);
  const address = machine.call("qjs_get_string", result);
  const memory = new Uint8Array(machine.engine.memory.buffer);
  const text = new TextDecoder().decode(memory.slice(address, memory.indexOf(0, address)));
  machine.call("qjs_free_cstring", address);
  machine.call("qjs_free_value", result);
  return JSON.parse(text) as NativeAnswer;
}
