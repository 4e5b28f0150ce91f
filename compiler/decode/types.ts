/** A decoded WebAssembly module as plain data. Byte offsets count from the start of the module's binary. */

/** Value types by their byte in the binary format (spec 5.3). */
export const i32 = 0x7f;
export const i64 = 0x7e;
export const f32 = 0x7d;
export const f64 = 0x7c;
export const funcref = 0x70;
export const externref = 0x6f;
export type ValueType = 0x7f | 0x7e | 0x7d | 0x7c | 0x70 | 0x6f;

export interface FunctionType {
  readonly params: readonly ValueType[];
  readonly results: readonly ValueType[];
}

/** Of a memory in pages of 64 KiB, of a table in elements. */
export interface Limits {
  readonly minimum: number;
  readonly maximum: number | undefined;
}

export interface TableType {
  readonly element: ValueType;
  readonly limits: Limits;
}

export interface GlobalType {
  readonly type: ValueType;
  readonly mutable: boolean;
}

export type ImportDescription =
  | { readonly kind: "function"; readonly type: number }
  | { readonly kind: "table"; readonly table: TableType }
  | { readonly kind: "memory"; readonly memory: Limits }
  | { readonly kind: "global"; readonly global: GlobalType };

export interface Import {
  readonly module: string;
  readonly name: string;
  readonly description: ImportDescription;
}

export type ExternalKind = "function" | "table" | "memory" | "global";

export interface Export {
  readonly name: string;
  readonly kind: ExternalKind;
  readonly index: number;
}

/**
 * One operator. `a` and `b` hold the immediates:
 *   block, loop, if    a = block type: a type index, −64 for none, or value type − 128
 *   br, br_if          a = label            br_table   targets, the default last
 *   call, ref.func     a = function         call_indirect  a = type, b = table
 *   local.*, global.*  a = index            table.*    a = table (copy: a = destination, b = source)
 *   loads and stores   a = offset as unsigned number, b = log2 of the alignment
 *   i32.const, f32.const  a = bits          i64.const, f64.const  a = low bits, b = high bits
 *   memory.init, data.drop, table.init, elem.drop  a = segment (table.init: b = table)
 *   select t, ref.null    a = type
 */
export interface Operator {
  readonly code: number;
  /** Offset of its first byte. */
  readonly at: number;
  /** Offset of the byte after it. */
  readonly end: number;
  readonly a: number;
  readonly b: number;
  readonly targets: readonly number[];
}

export type ConstantExpression = readonly Operator[];

export interface FunctionBody {
  /** Offset of the body's first byte: the local declarations. */
  readonly start: number;
  /** Offset of the first operator. */
  readonly codeStart: number;
  readonly end: number;
  /** Declared locals, without the parameters. */
  readonly locals: readonly ValueType[];
  /** Ends with the `end` of the function itself. */
  readonly operators: readonly Operator[];
}

export interface ModuleFunction {
  /** Index in the function index space, imports first. */
  readonly index: number;
  readonly typeIndex: number;
  readonly type: FunctionType;
  readonly body: FunctionBody;
}

export interface Global extends GlobalType {
  readonly initial: ConstantExpression;
}

export type SegmentMode =
  | { readonly kind: "active"; readonly index: number; readonly offset: ConstantExpression }
  | { readonly kind: "passive" }
  | { readonly kind: "declarative" };

export interface ElementSegment {
  readonly type: ValueType;
  readonly mode: SegmentMode;
  readonly items: readonly ConstantExpression[];
}

export interface DataSegment {
  readonly mode: SegmentMode;
  readonly bytes: Uint8Array;
}

export interface CustomSection {
  readonly name: string;
  readonly bytes: Uint8Array;
}

export interface Section {
  readonly id: number;
  /** Offset of the section's identifier byte. */
  readonly at: number;
  /** Offset of the contents. */
  readonly start: number;
  readonly end: number;
}

export interface Module {
  readonly bytes: Uint8Array;
  readonly sections: readonly Section[];
  readonly types: readonly FunctionType[];
  readonly imports: readonly Import[];
  /** Index spaces, imports first. */
  readonly functionTypes: readonly number[];
  readonly tables: readonly TableType[];
  readonly memories: readonly Limits[];
  readonly globalTypes: readonly GlobalType[];
  readonly importedFunctions: number;
  readonly importedTables: number;
  readonly importedMemories: number;
  readonly importedGlobals: number;
  /** Defined here; `globals[i]` has index `importedGlobals + i`. */
  readonly globals: readonly Global[];
  readonly functions: readonly ModuleFunction[];
  readonly exports: readonly Export[];
  readonly start: number | undefined;
  readonly elements: readonly ElementSegment[];
  readonly data: readonly DataSegment[];
  readonly customs: readonly CustomSection[];
  /** From the name section, where there is one, else from the exports. */
  readonly functionNames: ReadonlyMap<number, string>;
}

export function isReference(type: number): boolean {
  return type === funcref || type === externref;
}

export function typeName(type: number): string {
  const names: Record<number, string> = {
    [i32]: "i32",
    [i64]: "i64",
    [f32]: "f32",
    [f64]: "f64",
    [funcref]: "funcref",
    [externref]: "externref",
  };
  return names[type] ?? "any";
}

export function typeText(type: FunctionType): string {
  return `(${type.params.map(typeName).join(" ")}) → (${type.results.map(typeName).join(" ")})`;
}

export function sameType(a: FunctionType, b: FunctionType): boolean {
  const same = (x: readonly number[], y: readonly number[]): boolean => x.length === y.length && x.every((t, i) => t === y[i]);
  return same(a.params, b.params) && same(a.results, b.results);
}
