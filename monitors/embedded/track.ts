/**
 * Rewrites a WebAssembly module so that it notes which pages it writes: V8 cannot write-protect memory, so the stores
 * themselves keep a card table, one byte per 4 KiB page, in the lowest 64 KiB of the memory (kernel/layout.ts).
 *
 *   store            →  store, then card[address >> 12] = 1
 *   memory.copy/fill →  the same, then every card of the range
 *   memory.size/grow →  of a size of its own, so that a machine whose predecessor grew the memory still sees a pristine one
 *
 * The card is written after the store. A machine that is compromised enough to write to the table itself can clear a card, but
 * that store then marks the table's own page, and nothing after it can leave that unmarked: see warm.ts.
 * A store may reach 7 bytes into the next page, whose card it does not mark: restoring a page puts back 8 bytes beyond it too.
 */
import { concatBytes } from "#base";
import {
  type CodeEdit,
  decodeModule,
  encodeModule,
  type FunctionEdit,
  instruction,
  type ModuleFunction,
  opcodeName,
  type ValueType,
} from "#compiler";
import { layout } from "#kernel";

const pageShift = Math.log2(layout.pageBytes);
const i32 = 0x7f;
const i64 = 0x7e;
const f32 = 0x7d;
const f64 = 0x7c;
const noResult = 0x40;

/** Names under which a rewritten engine exports its own size and limit, both in 64 KiB pages. */
export const pagesExport = "mayfly_pages";
export const pageLimitExport = "mayfly_page_limit";

/** Indices of what is added to the module. */
interface Added {
  readonly mark: number;
  readonly grow: number;
  readonly pages: number;
  readonly limit: number;
}

const storeValueTypes: Readonly<Record<string, ValueType>> = {
  "i32.store": i32,
  "i64.store": i64,
  "f32.store": f32,
  "f64.store": f64,
  "i32.store8": i32,
  "i32.store16": i32,
  "i64.store8": i64,
  "i64.store16": i64,
  "i64.store32": i64,
};

/** Locals a rewritten function gets behind its own: address, a value of each type, a length. */
const scratchTypes: readonly ValueType[] = [i32, i32, i64, f32, f64, i32];

function code(...parts: readonly (readonly [string, ...(number | bigint)[]])[]): Uint8Array {
  return concatBytes(parts.map(([name, ...immediates]) => instruction(name, ...immediates)));
}

function trackedStore(original: Uint8Array, type: ValueType, offset: number, scratch: number): Uint8Array {
  const value = scratch + scratchTypes.indexOf(type, 1);
  return concatBytes([
    code(["local.set", value], ["local.tee", scratch], ["local.get", value]),
    original,
    code(["local.get", scratch]),
    offset === 0 ? new Uint8Array(0) : code(["i32.const", offset], ["i32.add"]),
    code(["i32.const", pageShift], ["i32.shr_u"], ["i32.const", 1], ["i32.store8", 0, 0]),
  ]);
}

function trackedRange(original: Uint8Array, scratch: number, added: Added): Uint8Array {
  const [target, middle, length] = [scratch, scratch + 1, scratch + 5];
  return concatBytes([
    code(["local.set", length], ["local.set", middle], ["local.tee", target], ["local.get", middle], ["local.get", length]),
    original,
    code(["local.get", target], ["local.get", length], ["call", added.mark]),
  ]);
}

function trackFunction(bytes: Uint8Array, item: ModuleFunction, added: Added): FunctionEdit | undefined {
  const scratch = item.type.params.length + item.body.locals.length;
  const edits: CodeEdit[] = [];
  for (const { code: opcode, at, end, a } of item.body.operators) {
    const name = opcodeName(opcode);
    const original = bytes.subarray(at, end);
    const stored = storeValueTypes[name];
    if (stored !== undefined) edits.push({ at, end, code: trackedStore(original, stored, a, scratch) });
    else if (name === "memory.copy" || name === "memory.fill" || name === "memory.init")
      edits.push({ at, end, code: trackedRange(original, scratch, added) });
    else if (name === "memory.size") edits.push({ at, end, code: code(["global.get", added.pages]) });
    else if (name === "memory.grow") edits.push({ at, end, code: code(["call", added.grow]) });
  }
  return edits.length === 0 ? undefined : { edits, addLocals: scratchTypes };
}

/** mark(target, length): sets every card of the range. */
const markCode = code(
  ["local.get", 1],
  ["if", noResult],
  ["local.get", 0],
  ["i32.const", pageShift],
  ["i32.shr_u"],
  ["local.tee", 2], // the first card
  ["i32.const", 1],
  ["local.get", 0],
  ["local.get", 1],
  ["i32.add"],
  ["i32.const", 1],
  ["i32.sub"],
  ["i32.const", pageShift],
  ["i32.shr_u"],
  ["local.get", 2],
  ["i32.sub"],
  ["i32.const", 1],
  ["i32.add"], // how many
  ["memory.fill"],
  ["end"],
);

/** grow(more) → the old size or −1, on the machine's own size; what the memory has beyond that is zero (warm.ts). */
function growCode({ pages, limit }: Added): Uint8Array {
  return code(
    ["local.get", 0],
    ["global.get", limit],
    ["global.get", pages],
    ["i32.sub"],
    ["i32.gt_u"],
    ["if", noResult],
    ["i32.const", -1],
    ["return"],
    ["end"],
    ["global.get", pages],
    ["local.get", 0],
    ["i32.add"],
    ["local.tee", 1],
    ["memory.size"],
    ["i32.gt_u"],
    ["if", noResult],
    ["local.get", 1],
    ["memory.size"],
    ["i32.sub"],
    ["memory.grow"],
    ["i32.const", -1],
    ["i32.eq"],
    ["if", noResult],
    ["i32.const", -1],
    ["return"],
    ["end"],
    ["end"],
    ["global.get", pages],
    ["local.get", 1],
    ["global.set", pages],
  );
}

/** Rewrites a module whose memory is the machine's. It must not have the exports above. */
export function trackWrites(binary: Uint8Array): Uint8Array {
  const module = decodeModule(binary);
  const added: Added = {
    mark: module.functionTypes.length,
    grow: module.functionTypes.length + 1,
    pages: module.globalTypes.length,
    limit: module.globalTypes.length + 1,
  };
  const zero = code(["i32.const", 0]);
  return encodeModule(module, {
    functions: (item) => trackFunction(binary, item, added),
    addTypes: [
      { params: [i32, i32], results: [] },
      { params: [i32], results: [i32] },
    ],
    addGlobals: [
      { type: i32, mutable: true, initial: zero },
      { type: i32, mutable: true, initial: zero },
    ],
    addFunctions: [
      { type: module.types.length, locals: [i32], code: markCode },
      { type: module.types.length + 1, locals: [i32], code: growCode(added) },
    ],
    addExports: [
      { name: pagesExport, kind: "global", index: added.pages },
      { name: pageLimitExport, kind: "global", index: added.limit },
    ],
  });
}
