import { assert, concatBytes, toUtf8 } from "#base";
import { opcodeInfo, opcode } from "./opcodes.ts";
import type { FunctionType, GlobalType, Module, ModuleFunction, ValueType } from "./types.ts";

/**
 * Re-emits a module with some operators replaced and things added at the ends of its index spaces, so that no index
 * in the untouched bytes changes. Sections without an edit are copied byte for byte.
 */

/** Replaces the bytes [at, end) of the original module, which must be whole operators of one function. */
export interface CodeEdit {
  readonly at: number;
  readonly end: number;
  readonly code: Uint8Array;
}

export interface FunctionEdit {
  readonly edits: readonly CodeEdit[];
  /** Appended to the function's locals; the first has index params + locals. */
  readonly addLocals?: readonly ValueType[];
}

export interface ModuleEdits {
  /** Called for each defined function; undefined leaves it as it is. Edits must be in ascending order. */
  readonly functions?: (item: ModuleFunction) => FunctionEdit | undefined;
  /** The first gets index `module.types.length`. */
  readonly addTypes?: readonly FunctionType[];
  /** The first gets index `module.globalTypes.length`; `initial` is the constant expression without its `end`. */
  readonly addGlobals?: readonly (GlobalType & { readonly initial: Uint8Array })[];
  /** The first gets index `module.functionTypes.length`; `code` is the body without its closing `end`. */
  readonly addFunctions?: readonly { readonly type: number; readonly locals: readonly ValueType[]; readonly code: Uint8Array }[];
  readonly addExports?: readonly {
    readonly name: string;
    readonly kind: "function" | "table" | "memory" | "global";
    readonly index: number;
  }[];
}

export function encodeUnsigned(value: number): Uint8Array {
  const out: number[] = [];
  let rest = value >>> 0;
  do {
    const byte = rest & 0x7f;
    rest >>>= 7;
    out.push(rest === 0 ? byte : byte | 0x80);
  } while (rest !== 0);
  return Uint8Array.from(out);
}

export function encodeSigned(value: bigint): Uint8Array {
  const out: number[] = [];
  let rest = BigInt.asIntN(64, value);
  for (;;) {
    const byte = Number(rest & 0x7fn);
    rest >>= 7n;
    if ((rest === 0n && byte < 0x40) || (rest === -1n && byte >= 0x40)) {
      out.push(byte);
      return Uint8Array.from(out);
    }
    out.push(byte | 0x80);
  }
}

/**
 * The bytes of one operator: `instruction("i32.const", 5)`, `instruction("local.get", 0)`, `instruction("i32.load", alignmentLog2, offset)`,
 * `instruction("block", blockTypeByte)`. Immediates in the order of the binary format.
 */
export function instruction(name: string, ...immediates: readonly (number | bigint)[]): Uint8Array {
  const code = opcode(name);
  const kind = opcodeInfo(code)?.immediate;
  const head = code < 0x100 ? Uint8Array.of(code) : concatBytes([Uint8Array.of(0xfc), encodeUnsigned(code - 0x100)]);
  const first = immediates[0] ?? 0;
  const float = (bytes: 4 | 8): Uint8Array => {
    const view = new DataView(new ArrayBuffer(bytes));
    if (bytes === 4) view.setFloat32(0, Number(first), true);
    else view.setFloat64(0, Number(first), true);
    return new Uint8Array(view.buffer);
  };
  if (kind === "f32") return concatBytes([head, float(4)]);
  if (kind === "f64") return concatBytes([head, float(8)]);
  if (kind === "i32") return concatBytes([head, encodeSigned(BigInt(Number(first) | 0))]);
  if (kind === "i64") return concatBytes([head, encodeSigned(BigInt(first))]);
  assert(kind !== "types" && kind !== "labels", `${name} is encoded by hand`);
  const fixed = kind === "memory" ? [0] : kind === "memories" ? [0, 0] : kind === "dataMemory" ? [first, 0] : immediates;
  return concatBytes([head, ...fixed.map((value) => encodeUnsigned(Number(value)))]);
}

export function encodeName(text: string): Uint8Array {
  const bytes = toUtf8(text);
  return concatBytes([encodeUnsigned(bytes.length), bytes]);
}

export function encodeType(type: FunctionType): Uint8Array {
  return Uint8Array.from([
    0x60,
    ...encodeUnsigned(type.params.length),
    ...type.params,
    ...encodeUnsigned(type.results.length),
    ...type.results,
  ]);
}

function localGroups(locals: readonly ValueType[]): Uint8Array {
  const groups: { count: number; readonly type: ValueType }[] = [];
  for (const type of locals) {
    const last = groups[groups.length - 1];
    if (last?.type === type) last.count++;
    else groups.push({ count: 1, type });
  }
  return concatBytes([encodeUnsigned(groups.length), ...groups.map((g) => Uint8Array.from([...encodeUnsigned(g.count), g.type]))]);
}

function sized(parts: readonly Uint8Array[]): Uint8Array {
  const body = concatBytes(parts);
  return concatBytes([encodeUnsigned(body.length), body]);
}

function editedBody(module: Module, item: ModuleFunction, edit: FunctionEdit | undefined): Uint8Array {
  const { start, codeStart, end, locals } = item.body;
  if (edit === undefined) return sized([module.bytes.subarray(start, end)]);
  const parts = [localGroups([...locals, ...(edit.addLocals ?? [])])];
  let at = codeStart;
  for (const change of edit.edits) {
    assert(change.at >= at && change.end >= change.at && change.end <= end, "code edits are ascending and inside their function");
    parts.push(module.bytes.subarray(at, change.at), change.code);
    at = change.end;
  }
  parts.push(module.bytes.subarray(at, end));
  return sized(parts);
}

const sectionOrder = [1, 2, 3, 4, 5, 6, 7, 8, 9, 12, 10, 11];
const exportKindByte = { function: 0, table: 1, memory: 2, global: 3 } as const;

/** The contents a section gets besides what it has, as encoded items. */
function additions(edits: ModuleEdits): Map<number, Uint8Array[]> {
  const end = Uint8Array.of(0x0b);
  return new Map<number, Uint8Array[]>([
    [1, (edits.addTypes ?? []).map(encodeType)],
    [3, (edits.addFunctions ?? []).map((f) => encodeUnsigned(f.type))],
    [6, (edits.addGlobals ?? []).map((g) => concatBytes([Uint8Array.of(g.type, g.mutable ? 1 : 0), g.initial, end]))],
    [
      7,
      (edits.addExports ?? []).map((e) =>
        concatBytes([encodeName(e.name), Uint8Array.of(exportKindByte[e.kind]), encodeUnsigned(e.index)]),
      ),
    ],
    [10, (edits.addFunctions ?? []).map((f) => sized([localGroups(f.locals), f.code, end]))],
  ]);
}

export function encodeModule(module: Module, edits: ModuleEdits): Uint8Array {
  const added = additions(edits);
  const existing: Record<number, number> = {
    1: module.types.length,
    3: module.functions.length,
    6: module.globals.length,
    7: module.exports.length,
    10: module.functions.length,
  };
  const contents = (id: number, old: Uint8Array | undefined): Uint8Array | undefined => {
    const more = added.get(id) ?? [];
    if (id === 10 && edits.functions !== undefined && old !== undefined) {
      const bodies = module.functions.map((item) => editedBody(module, item, edits.functions?.(item)));
      return concatBytes([encodeUnsigned(bodies.length + more.length), ...bodies, ...more]);
    }
    if (more.length === 0) return old;
    const count = existing[id] as number;
    // The old count's own length may be padded, so skip it by its continuation bits.
    let skip = 0;
    if (old !== undefined) while (((old[skip++] as number) & 0x80) !== 0);
    return concatBytes([encodeUnsigned(count + more.length), old?.subarray(skip) ?? new Uint8Array(0), ...more]);
  };
  const parts = [module.bytes.subarray(0, 8)];
  const emit = (id: number, body: Uint8Array): void => void parts.push(Uint8Array.of(id), sized([body]));
  const pending = sectionOrder.filter((id) => !module.sections.some((s) => s.id === id) && (added.get(id)?.length ?? 0) > 0);
  const flush = (before: number): void => {
    while (pending.length > 0 && sectionOrder.indexOf(pending[0] as number) < before) {
      const id = pending.shift() as number;
      emit(id, contents(id, undefined) as Uint8Array);
    }
  };
  for (const section of module.sections) {
    if (section.id !== 0) flush(sectionOrder.indexOf(section.id));
    emit(section.id, contents(section.id, module.bytes.subarray(section.start, section.end)) as Uint8Array);
  }
  flush(Infinity);
  return concatBytes(parts);
}
