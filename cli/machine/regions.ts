/** Where the engine's own data ends and its heap begins: read from the engine's module, which says so only by its data segments. */
import { kernelArtifacts } from "#kernel";

const dataSection = 11;

/** Unsigned LEB128; `at` moves on. */
function leb(bytes: Uint8Array, cursor: { at: number }): number {
  let value = 0;
  for (let shift = 0; shift < 35; shift += 7) {
    const byte = bytes[cursor.at++] ?? 0;
    value += (byte & 0x7f) * 2 ** shift;
    if ((byte & 0x80) === 0) break;
  }
  return value;
}

/** The highest address a data segment reaches (WebAssembly 1.0, 5.5.14), rounded up to a page. */
export function engineDataEnd(): number {
  const { engine } = kernelArtifacts();
  const cursor = { at: 8 };
  let end = 0;
  while (cursor.at < engine.length) {
    const id = engine[cursor.at++];
    const size = leb(engine, cursor);
    const next = cursor.at + size;
    if (id === dataSection) {
      for (let left = leb(engine, cursor); left > 0; left--) {
        if (leb(engine, cursor) !== 0 || engine[cursor.at++] !== 0x41) return end; // not an active segment at an i32.const
        const base = leb(engine, cursor);
        cursor.at++; // end of the constant expression
        const length = leb(engine, cursor);
        end = Math.max(end, base + length);
        cursor.at += length;
      }
    }
    cursor.at = next;
  }
  return Math.ceil(end / 4096) * 4096;
}
