import { at, type Memory } from "./assembler.ts";
import { f32, f64, type FunctionType, type ValueType } from "../decode/types.ts";
import { r8, r9, rax, rbx, rcx, rdi, rdx, rsi, rsp } from "./registers.ts";

/**
 * How compiled functions call each other, whichever backend made them.
 *
 * Integers and references go in rax rcx rdx rbx rsi rdi r8 r9, floats in xmm0–7, results the same way; what does not fit goes
 * to 8-byte slots of the caller's outgoing area: first the parameters' slots, then the results'.
 *
 *     caller, before call:  [rsp + 8 i]                callee, after its prologue:  [rsp + frame + 8 + 8 i]
 *
 * A call changes every register but rsp and r15. An i32 in a register has zero upper bits, always, across calls too.
 */
export const integerRegisters = [rax, rcx, rdx, rbx, rsi, rdi, r8, r9] as const;
export const floatRegisters = [0, 1, 2, 3, 4, 5, 6, 7] as const;

export interface Place {
  readonly kind: "integer" | "float" | "stack";
  /** Register number, or slot. */
  readonly index: number;
}

export interface SignatureLayout {
  readonly params: readonly Place[];
  readonly results: readonly Place[];
  /** Slots of the outgoing area. */
  readonly slots: number;
}

export function isFloat(type: ValueType): boolean {
  return type === f32 || type === f64;
}

function places(types: readonly ValueType[], firstSlot: number): { readonly list: Place[]; readonly slot: number } {
  let integers = 0;
  let floats = 0;
  let slot = firstSlot;
  const list = types.map((type): Place => {
    if (isFloat(type)) {
      const register = floatRegisters[floats++];
      if (register !== undefined) return { kind: "float", index: register };
    } else {
      const register = integerRegisters[integers++];
      if (register !== undefined) return { kind: "integer", index: register };
    }
    return { kind: "stack", index: slot++ };
  });
  return { list, slot };
}

const layouts = new WeakMap<FunctionType, SignatureLayout>();

export function signatureLayout(type: FunctionType): SignatureLayout {
  let layout = layouts.get(type);
  if (layout === undefined) {
    const params = places(type.params, 0);
    const results = places(type.results, params.slot);
    layout = { params: params.list, results: results.list, slots: results.slot };
    layouts.set(type, layout);
  }
  return layout;
}

export function outgoing(slot: number): Memory {
  return at(rsp, 8 * slot);
}
export function incoming(slot: number, frameBytes: number): Memory {
  return at(rsp, frameBytes + 8 + 8 * slot);
}

/**
 * A frame may be as large as this; the stack's guard is larger, so that no frame can step over it.
 */
export const maximumFrameBytes = 2 ** 20;

/** One transfer of a parallel move: everything is read before anything is written. */
export interface Transfer {
  readonly from: number;
  readonly to: number;
}

/** Orders parallel register moves; cycles are broken with `exchange`. Each register is written at most once. */
export function parallelMoves(
  moves: readonly Transfer[],
  move: (to: number, from: number) => void,
  exchange: (a: number, b: number) => void,
): void {
  const pending = moves.filter((m) => m.from !== m.to);
  while (pending.length > 0) {
    const ready = pending.findIndex((m) => !pending.some((other) => other.from === m.to));
    if (ready >= 0) {
      const [m] = pending.splice(ready, 1) as [Transfer];
      move(m.to, m.from);
      continue;
    }
    const m = pending.shift() as Transfer;
    exchange(m.to, m.from);
    // The value of m.to is now in m.from.
    for (let i = 0; i < pending.length; i++) {
      const other = pending[i] as Transfer;
      if (other.from === m.to) pending[i] = { from: m.from, to: other.to };
      else if (other.from === m.from) pending[i] = { from: m.to, to: other.to };
    }
    for (let i = pending.length - 1; i >= 0; i--) if (pending[i]?.from === pending[i]?.to) pending.splice(i, 1);
  }
}
