import { opcode } from "../decode/opcodes.ts";
import type { FunctionType, Module, ModuleFunction, ValueType } from "../decode/types.ts";

/**
 * The intermediate representation: SSA with block parameters.
 *
 * A value's `op` is the code of the WebAssembly operator that computes it, or one of the few below. `a` and `b` are the operator's
 * immediates. Values are computed where they stand in their block's `body`; constants stand nowhere and are made again where they are used.
 */
export const op = {
  /** Block parameter; also the function's parameters, in the entry block. */
  parameter: 0x200,
  /** A further result of the call in args[0]; a = its number, from 1 on. */
  result: 0x201,
} as const;

export class Value {
  readonly id: number;
  readonly op: number;
  readonly type: ValueType | 0;
  args: Value[];
  readonly a: number;
  readonly b: number;
  /** Set when this value turned out to be another one. */
  forward: Value | undefined = undefined;
  uses = 0;
  /** Of calls: the callee's type. */
  readonly signature: FunctionType | undefined;

  // ---- for allocation ----
  /** Where it is now: a register, SSE ones from 16 on, or −1. */
  register = -1;
  /** The slot of the frame that holds it on the path being compiled, if any. */
  saved = false;
  slot = -1;
  /** The local it was first assigned to, or −1. */
  local = -1;
  /** Position of the next use on the path being compiled; Infinity without a next use. */
  next = Infinity;
  /** A register its next user would like it in, or −1. */
  hint = -1;
  /** Computed inside the one instruction that uses it. */
  folded = false;
  /** Effects before it in its block; see `select`. */
  epoch = 0;

  constructor(id: number, operation: number, type: ValueType | 0, args: Value[], a: number, b: number, signature?: FunctionType) {
    this.id = id;
    this.op = operation;
    this.type = type;
    this.args = args;
    this.a = a;
    this.b = b;
    this.signature = signature;
  }
}

export interface Edge {
  readonly from: Block;
  to: Block | undefined;
  args: Value[];
}

export type Terminator =
  | { readonly kind: "jump" }
  /** edges[0] when the condition is not zero, else edges[1]. */
  | { readonly kind: "branch"; condition: Value }
  /** edges[i] for index i, the last for all others. */
  | { readonly kind: "table"; index: Value }
  | { readonly kind: "return"; values: Value[] }
  | { readonly kind: "trap" };

export class Block {
  readonly id: number;
  params: Value[] = [];
  body: Value[] = [];
  terminator: Terminator = { kind: "trap" };
  edges: Edge[] = [];
  incoming: Edge[] = [];
  readonly isLoop: boolean;
  readonly loopDepth: number;
  /** Of a loop's header: whether anything in the loop calls. */
  loopCalls = false;
  constructor(id: number, isLoop: boolean, loopDepth: number) {
    this.id = id;
    this.isLoop = isLoop;
    this.loopDepth = loopDepth;
  }
}

export interface FunctionIr {
  readonly module: Module;
  readonly item: ModuleFunction;
  /** In the order of the code; the first is the entry. */
  blocks: Block[];
  valueCount: number;
}

/** The value it stands for, following forwards. */
export function resolve(value: Value): Value {
  if (value.forward === undefined) return value;
  let end: Value = value.forward;
  while (end.forward !== undefined) end = end.forward;
  // Shorten the path for the next time.
  let step = value;
  while (step.forward !== undefined) {
    const next: Value = step.forward;
    step.forward = end;
    step = next;
  }
  end.forward = undefined;
  return end;
}

export const opcodes = {
  i32Const: opcode("i32.const"),
  i64Const: opcode("i64.const"),
  f32Const: opcode("f32.const"),
  f64Const: opcode("f64.const"),
  refNull: opcode("ref.null"),
} as const;

export function isConstant(value: Value): boolean {
  return (value.op >= opcodes.i32Const && value.op <= opcodes.f64Const) || value.op === opcodes.refNull;
}
export function isIntegerConstant(value: Value): boolean {
  return value.op === opcodes.i32Const || value.op === opcodes.i64Const;
}
