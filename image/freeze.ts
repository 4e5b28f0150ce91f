/** Picks the pages of a booted machine that hold anything. */
import { layout } from "#kernel";

const { pageBytes, stackTop, nativeEnd, monitorBytes } = layout;

export interface FrozenPages {
  readonly pageNumbers: Uint32Array;
  readonly pages: Uint8Array;
}

function isZero(words: Uint32Array): boolean {
  for (const word of words) if (word !== 0) return false;
  return true;
}

/**
 * The non-zero pages of `memory`. What the boot left on the engine's stack is dead: the stack is empty at rest, so its pages are
 * taken as zero. The monitor's part is never frozen.
 */
export function freezePages(memory: Uint8Array): FrozenPages {
  const numbers: number[] = [];
  for (let page = monitorBytes / pageBytes; page < memory.length / pageBytes; page++) {
    const at = page * pageBytes;
    if (at >= nativeEnd && at < stackTop) continue;
    if (!isZero(new Uint32Array(memory.buffer, memory.byteOffset + at, pageBytes / 4))) numbers.push(page);
  }
  const pages = new Uint8Array(numbers.length * pageBytes);
  for (const [index, page] of numbers.entries()) pages.set(memory.subarray(page * pageBytes, (page + 1) * pageBytes), index * pageBytes);
  return { pageNumbers: Uint32Array.from(numbers), pages };
}
