/**
 * A rewritten engine as its differences from the module it was made of: the package's engine is installed beside Mayfly anyway, and
 * two of the three rewritings change a few bytes of it.
 */
import { createHash } from "node:crypto";
import { assert } from "#base";

/** From offset `at` of the original, `removed` bytes give way to `added` (base64). In order, without overlaps. */
export interface Splice {
  readonly at: number;
  readonly removed: number;
  readonly added: string;
}

export interface EngineFile {
  /** SHA-256 of the rewritten module, 64 hexadecimal digits. */
  readonly sha256: string;
  readonly splices: readonly Splice[];
}

/** Equal bytes that end a difference, and the farthest distance at which they are looked for. */
const anchorBytes = 24;
const reachBytes = 512;

function agree(original: Uint8Array, at: number, rewritten: Uint8Array, to: number): boolean {
  const length = Math.min(anchorBytes, original.length - at);
  if (rewritten.length - to < length || (length < anchorBytes && rewritten.length - to !== length)) return false;
  for (let offset = 0; offset < length; offset++) if (original[at + offset] !== rewritten[to + offset]) return false;
  return true;
}

/** The lengths of the shortest difference that begins at `at` and `to`. */
function difference(original: Uint8Array, at: number, rewritten: Uint8Array, to: number): [removed: number, added: number] {
  for (let both = 1; both < 2 * reachBytes; both++)
    for (let removed = Math.max(0, both - reachBytes); removed <= Math.min(both, reachBytes); removed++)
      if (agree(original, at + removed, rewritten, to + both - removed)) return [removed, both - removed];
  return [original.length - at, rewritten.length - to];
}

export function engineFile(original: Uint8Array, rewritten: Uint8Array): EngineFile {
  const splices: Splice[] = [];
  let at = 0;
  let to = 0;
  while (at < original.length || to < rewritten.length) {
    if (at < original.length && original[at] === rewritten[to]) {
      at++;
      to++;
      continue;
    }
    const [removed, added] = difference(original, at, rewritten, to);
    splices.push({ at, removed, added: Buffer.from(rewritten.subarray(to, to + added)).toString("base64") });
    at += removed;
    to += added;
  }
  const file = { sha256: createHash("sha256").update(rewritten).digest("hex"), splices };
  assert(rewrittenEngine(original, file)?.length === rewritten.length, "the differences make the rewritten engine");
  return file;
}

/** Undefined when `original` is not the module that the differences were taken from. */
export function rewrittenEngine(original: Uint8Array, { sha256, splices }: EngineFile): Uint8Array | undefined {
  const parts: Uint8Array[] = [];
  let end = 0;
  for (const { at, removed, added } of splices) {
    parts.push(original.subarray(end, at), Buffer.from(added, "base64"));
    end = at + removed;
  }
  const module = Buffer.concat([...parts, original.subarray(end)]);
  return createHash("sha256").update(module).digest("hex") === sha256 ? module : undefined;
}
