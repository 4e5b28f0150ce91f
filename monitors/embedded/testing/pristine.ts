/** The memory of an instance that is a machine of an image. */
import { deepEqual, ok } from "node:assert/strict";
import { layout } from "#kernel";
import { pagesPerChunk, type PageTable } from "../page-store.ts";
import type { WarmInstance } from "../warm.ts";

/** The image's memory, `bytes` long: everything but the card table. */
function imageMemory(table: PageTable, chunks: readonly Uint8Array[], bytes: number): Uint8Array {
  const memory = new Uint8Array(bytes);
  for (const [page, entry] of table.entries.entries()) {
    if (entry === 0) continue;
    const at = ((entry - 1) % pagesPerChunk) * layout.pageBytes;
    const chunk = chunks[Math.floor((entry - 1) / pagesPerChunk)] as Uint8Array;
    memory.set(chunk.subarray(at, at + layout.pageBytes), page * layout.pageBytes);
  }
  return memory;
}

/** Resets the instance to the image and throws when a byte of it, or a global, is not the image's. */
export function expectPristine(instance: WarmInstance, table: PageTable, chunks: readonly Uint8Array[], limitPages: number): void {
  instance.reset(table, limitPages);
  const { memory } = instance;
  const expected = imageMemory(table, chunks, memory.length);
  if (Buffer.compare(memory, expected) !== 0) {
    const at = memory.findIndex((byte, index) => byte !== expected[index]);
    ok(false, `byte ${at} (page ${Math.floor(at / layout.pageBytes)}) differs from the image`);
  }
  deepEqual(instance.globals, { stackPointer: table.stackPointer, memoryPages: table.memoryPages });
}
