/**
 * Rewrites the engine for booting only: `free` zeroes what it is given back. What the boot leaves on the heap is garbage that
 * would be frozen into every image; the engine that runs messages is not changed.
 */
import { assert, concatBytes } from "#base";
import { decodeModule, encodeModule, instruction, opcode, type Module } from "#compiler";

/**
 * The usable length of an allocation, from the word before it: the chunk's size with its flags in the low three bits, less the
 * word itself (dlmalloc, "Chunk representations"; wasi-libc's malloc is dlmalloc).
 */
const zeroAllocation = concatBytes([
  instruction("local.get", 0),
  instruction("if", 0x40),
  instruction("local.get", 0),
  instruction("i32.const", 0),
  instruction("local.get", 0),
  instruction("i32.const", 4),
  instruction("i32.sub"),
  instruction("i32.load", 2, 0),
  instruction("i32.const", -8),
  instruction("i32.and"),
  instruction("i32.const", 4),
  instruction("i32.sub"),
  instruction("memory.fill"),
  instruction("end"),
]);

const handsOn = ["local.get", "call", "end"].map(opcode).join();

/**
 * The function that frees, which the engine calls by itself: the exported one may do no more than hand its argument on. Small
 * allocations share blocks of the engine's own, and are zeroed with their block.
 */
function freeingFunction({ exports, functions }: Module): number {
  const free = exports.find(({ name, kind }) => name === "free" && kind === "function");
  assert(free !== undefined, "the engine exports free");
  const { operators } = functions.find(({ index }) => index === free.index)!.body;
  return operators.map(({ code }) => code).join() === handsOn ? operators[1]!.a : free.index;
}

export function zeroOnFree(engine: Uint8Array): Uint8Array {
  const module = decodeModule(engine);
  const freeing = freeingFunction(module);
  return encodeModule(module, {
    functions: ({ index, body }) =>
      index === freeing ? { edits: [{ at: body.codeStart, end: body.codeStart, code: zeroAllocation }] } : undefined,
  });
}
