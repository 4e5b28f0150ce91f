/**
 * Rewrites a WebAssembly module so that it notes which pages it writes, and so that every loop of it can be stopped. V8 cannot
 * write-protect memory, so the stores themselves keep a card table, one byte per 4 KiB page, in the lowest 64 KiB of the memory
 * (kernel/layout.ts).
 *
 *   store            →  store, then card[address >> 12] = 1
 *   memory.copy/fill →  the same, then every card of the range
 *   memory.size/grow →  of a size of its own, so that a machine whose predecessor grew the memory still sees a pristine one
 *   br to a loop     →  fuel − 1, then the same; without fuel, the monitor is asked whether to stop: if so, a trap (warm.ts)
 *
 * The interpreter's own loops are left as they are: it polls for interrupts by itself. memory.copy and memory.fill take fuel too.
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
  type Module,
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
/** Asks the monitor whether to stop, and traps if so. The engine's only; the natives call it through the table, at `pollSlot`. */
export const pollExport = "mayfly_poll";
/** Of a rewritten engine: 1 while a loop asks, 0 while the interpreter does. */
export const askingExport = "mayfly_asking";
export const pollSlot: number = layout.engineTable + layout.nativeTable - 1;

/** Turns of loops between two polls: a few tenths of a millisecond. */
const fuelPerPoll = 100_000;
/** Bytes copied or filled for one unit of fuel, as a shift. */
const fuelShift = 6;

/** Indices of what is added to the module. */
interface Added {
  readonly mark: number;
  readonly grow: number;
  /** Refills the fuel and polls. */
  readonly refuel: number;
  readonly pages: number;
  readonly limit: number;
  readonly fuel: number;
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

type Instruction = readonly [string, ...(number | bigint)[]];

function code(...parts: readonly Instruction[]): Uint8Array {
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

/** Takes the fuel that `amount` leaves on the stack, and polls when none is left. `scratch`: a local. */
function burn(...amount: readonly Instruction[]): (scratch: number, added: Added) => readonly Instruction[] {
  return (scratch, { fuel, refuel }) => [
    ["global.get", fuel],
    ...amount,
    ["i32.sub"],
    ["local.tee", scratch],
    ["global.set", fuel],
    ["local.get", scratch],
    ["i32.const", 0],
    ["i32.lt_s"],
    ["if", noResult],
    ["call", refuel],
    ["end"],
  ];
}

const burnOne = burn(["i32.const", 1]);

function trackFunction(bytes: Uint8Array, item: ModuleFunction, added: Added, polls: boolean): FunctionEdit | undefined {
  const scratch = item.type.params.length + item.body.locals.length;
  const edits: CodeEdit[] = [];
  /** Of each block around: is it a loop? */
  const loops: boolean[] = [];
  const goesBack = (label: number): boolean => loops.at(-1 - label) === true;
  for (const { code: opcode, at, end, a, targets } of item.body.operators) {
    const name = opcodeName(opcode);
    if (name === "block" || name === "loop" || name === "if") loops.push(name === "loop");
    else if (name === "end") loops.pop();
    const original = bytes.subarray(at, end);
    const stored = storeValueTypes[name];
    if (stored !== undefined) edits.push({ at, end, code: trackedStore(original, stored, a, scratch) });
    else if (name === "memory.copy" || name === "memory.fill" || name === "memory.init")
      edits.push({ at, end, code: trackedRange(original, scratch, added) });
    else if (name === "memory.size") edits.push({ at, end, code: code(["global.get", added.pages]) });
    else if (name === "memory.grow") edits.push({ at, end, code: code(["call", added.grow]) });
    else if (polls && (name === "br_table" ? targets.some(goesBack) : (name === "br" || name === "br_if") && goesBack(a)))
      edits.push({ at, end: at, code: code(...burnOne(scratch, added)) });
  }
  return edits.length === 0 ? undefined : { edits, addLocals: scratchTypes };
}

/** mark(target, length): sets every card of the range, and takes fuel for it. */
function markCode(added: Added): Uint8Array {
  return code(
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
    ...burn(["local.get", 1], ["i32.const", fuelShift], ["i32.shr_u"])(2, added),
    ["end"],
  );
}

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

/** poll(): traps when the monitor wants the step to stop. Undefined in a module that can't ask it. */
function askCode(module: Module, asking: number): Uint8Array | undefined {
  const asks = module.imports
    .filter(({ description }) => description.kind === "function")
    .findIndex(({ name }) => name === "host_interrupt");
  if (asks < 0) return undefined;
  const mark = (value: number): readonly Instruction[] => [
    ["i32.const", value],
    ["global.set", asking],
  ];
  return code(...mark(1), ["call", asks], ...mark(0), ["if", noResult], ["unreachable"], ["end"]);
}

/** The interpreter: by far the longest function of the engine. */
function interpreterOf(module: Module): number {
  const operators = (item: ModuleFunction): number => item.body.operators.length;
  return module.functions.reduce((longest, item) => (operators(item) > operators(longest) ? item : longest)).index;
}

/** Rewrites a module whose memory is the machine's. It must not have the exports above. */
export function trackWrites(binary: Uint8Array): Uint8Array {
  const module = decodeModule(binary);
  const firstType = module.types.length;
  const firstFunction = module.functionTypes.length;
  const firstGlobal = module.globalTypes.length;
  const added: Added = {
    mark: firstFunction,
    grow: firstFunction + 1,
    refuel: firstFunction + 2,
    pages: firstGlobal,
    limit: firstGlobal + 1,
    fuel: firstGlobal + 2,
  };
  const asking = firstGlobal + 3;
  const ask = askCode(module, asking);
  const interpreter = ask === undefined ? -1 : interpreterOf(module);
  const poll = ask ?? code(["i32.const", pollSlot], ["call_indirect", firstType + 2, 0]);
  const refuelCode = concatBytes([code(["i32.const", fuelPerPoll], ["global.set", added.fuel]), poll]);
  const zero = code(["i32.const", 0]);
  return encodeModule(module, {
    functions: (item) => trackFunction(binary, item, added, item.index !== interpreter),
    addTypes: [
      { params: [i32, i32], results: [] },
      { params: [i32], results: [i32] },
      { params: [], results: [] },
    ],
    addGlobals: [
      { type: i32, mutable: true, initial: zero },
      { type: i32, mutable: true, initial: zero },
      { type: i32, mutable: true, initial: zero },
      { type: i32, mutable: true, initial: zero },
    ],
    addFunctions: [
      { type: firstType, locals: [i32], code: markCode(added) },
      { type: firstType + 1, locals: [i32], code: growCode(added) },
      { type: firstType + 2, locals: [], code: refuelCode },
      ...(ask === undefined ? [] : [{ type: firstType + 2, locals: [], code: ask }]),
    ],
    addExports: [
      ...(ask === undefined
        ? []
        : [
            { name: pollExport, kind: "function" as const, index: firstFunction + 3 },
            { name: askingExport, kind: "global" as const, index: asking },
          ]),
      { name: pagesExport, kind: "global", index: added.pages },
      { name: pageLimitExport, kind: "global", index: added.limit },
    ],
  });
}
