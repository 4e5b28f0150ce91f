/**
 * The natives of formats, in Node: an engine of their own, which is made when the first is called. Values come back through JSON. What a
 * helper reads in a unit test is so what it reads in a machine.
 */
import { assert } from "../../base/assert.ts";
import { kernelArtifacts } from "../artifacts.ts";
import { instantiateKernel, type KernelInstance } from "../instance.ts";
import { layout } from "../layout.ts";
import { nativeFunctions } from "../native-functions.ts";

/** The input is the event's first part, as bytes or as JSON; its second is a list of the function's name and further values. */
const script = `(isText) => {
  try {
    const [name, ...values] = native.json(1);
    return JSON.stringify({ value: native[name](isText ? native.json(0) : native.bytes(0), ...values) });
  } catch (error) {
    return JSON.stringify({ error: error.name, message: error.message });
  }
}`;
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

/** Calls a native of formats in Node. Throws TypeError and Error as it does. */
export function nativeInNode(name: string, input: string | Uint8Array, ...values: readonly unknown[]): unknown {
  kernel ??= start();
  const encoder = new TextEncoder();
  const parts = [
    typeof input === "string" ? encoder.encode(JSON.stringify(input)) : input,
    encoder.encode(JSON.stringify([name, ...values])),
  ];
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
  return answer(kernel, typeof input === "string");
}

function answer(machine: KernelInstance, isText: boolean): unknown {
  const flag = machine.call(isText ? "qjs_get_true" : "qjs_get_false");
  new DataView(machine.engine.memory.buffer).setUint32(room, flag, true);
  const result = machine.call("qjs_call", caller, machine.call("qjs_get_undefined"), 1, room);
  const address = machine.call("qjs_get_string", result);
  const memory = new Uint8Array(machine.engine.memory.buffer);
  const text = new TextDecoder().decode(memory.slice(address, memory.indexOf(0, address)));
  machine.call("qjs_free_cstring", address);
  machine.call("qjs_free_value", result);
  const { value, error, message } = JSON.parse(text) as { value?: unknown; error?: string; message?: string };
  if (error === undefined) return value;
  throw error === "TypeError" ? new TypeError(message) : new Error(message);
}
