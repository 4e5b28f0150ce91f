/**
 * Names of an XML document, where too many are alike to the engine. It finds the atom of a name under a hash that nobody can seed: names of
 * one length that collide do so from whatever value it starts, and each is compared with all of them. Names that the engine did not know are
 * counted by sixteen bits of their hash, from the `freeNames`th of a message on; of names that nobody chose to be alike a few share these bits.
 */
import { free, malloc } from "./engine";
import { countBefore, runtimeAtoms, stringHash } from "./objects";
import { runtime } from "./state";

/** So many names that are all alike take the engine some 30 ms. */
const freeNames: u32 = 1024;
const cellCount: u32 = 65_536;
/** Names in one cell, besides twice as many as there are on the average. */
const mostAlike: u32 = 32;
/** A cell is a byte. */
const mostCounted: u32 = 255;

// Names that were new; the cells, or 0.
// @ts-ignore: decorator
@lazy const state: usize = memory.data(8, 4);
const atCells: usize = 4;

/** A document begins, or has ended. */
export function forgetNames(): void {
  store<u32>(state, 0);
  const cells: usize = load<u32>(state, atCells);
  if (cells === 0) return;
  free(cells);
  store<u32>(state, 0, atCells);
}

/** False for a name that is one too many. */
export function isWelcome(atom: u32): bool {
  if (<i32>atom < 0) return true; // an integer
  const text: usize = load<u32>(<usize>load<u32>(runtime(), runtimeAtoms) + (<usize>atom << 2));
  if (load<i32>(text - countBefore) !== 1) return true; // others have it too: it is not new
  const names = load<u32>(state) + 1;
  store<u32>(state, names);
  return names <= freeNames || hasRoom(load<u32>(text, stringHash) & (cellCount - 1), names);
}

function hasRoom(hash: u32, names: u32): bool {
  let cells: usize = load<u32>(state, atCells);
  if (cells === 0) {
    cells = malloc(cellCount);
    if (cells === 0) return true; // what comes next fails
    memory.fill(cells, 0, cellCount);
    store<u32>(state, <u32>cells, atCells);
  }
  const alike = <u32>load<u8>(cells + hash);
  if (alike >= min(mostAlike + names / (cellCount / 2), mostCounted)) return false;
  store<u8>(cells + hash, alike + 1);
  return true;
}
