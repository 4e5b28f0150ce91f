import { alu } from "../assemble/assembler.ts";
import * as r from "../assemble/registers.ts";
import { opcode } from "../decode/opcodes.ts";
import type { FunctionType, Operator, ValueType } from "../decode/types.ts";
import { intrinsic } from "../assemble/intrinsics.ts";
import type { FunctionCompiler } from "./function.ts";
import type { ControlFrame } from "./state.ts";

/** Blocks, branches and calls. */

export type Emitter = (c: FunctionCompiler, operator: Operator) => void;

function enter(c: FunctionCompiler, kind: ControlFrame["kind"], type: FunctionType, elseLabel?: number): ControlFrame {
  const frame: ControlFrame = {
    kind,
    label: c.assembler.newLabel(),
    elseLabel,
    height: c.state.stack.length - type.params.length,
    params: type.params,
    results: type.results,
    live: true,
    targeted: false,
    caches: undefined,
    elseCaches: undefined,
  };
  c.frames.push(frame);
  return frame;
}

/** Binds the frame's label; what reaches it is in slots. */
function joinAt(c: FunctionCompiler, frame: ControlFrame, types: readonly ValueType[]): void {
  const { state } = c;
  if (c.reachable && frame.targeted) {
    c.moveToLabel(frame);
    frame.caches = state.mergeCaches(frame.caches);
  }
  if (frame.targeted) {
    state.truncate(frame.height);
    state.restoreCaches(frame.caches as Int32Array);
    for (const type of types) state.pushSlot(type);
    c.dead = -1;
  }
  c.assembler.bind(frame.label);
}

function end(c: FunctionCompiler): void {
  const frame = c.frames[c.frames.length - 1] as ControlFrame;
  const { state } = c;
  if (frame.kind === "function") {
    if (c.reachable) c.returnValues();
    c.frames.pop();
    return;
  }
  if (frame.kind === "if" && frame.elseLabel !== undefined) {
    // An if without else: its parameters are its results, and they lie in slots already on the path around.
    if (c.reachable) {
      c.moveToLabel(frame);
      c.target(frame);
      state.truncate(frame.height);
    } else if (!frame.targeted) frame.caches = frame.elseCaches as Int32Array;
    c.assembler.bind(frame.elseLabel);
    frame.targeted = true;
    const known = frame.caches as Int32Array;
    for (let i = 0; i < 32; i++) if (known[i] !== (frame.elseCaches as Int32Array)[i]) known[i] = -1;
    c.dead = 0;
  }
  if (frame.kind === "loop") {
    c.frames.pop();
    return;
  }
  joinAt(c, frame, frame.results);
  c.frames.pop();
}

function otherwise(c: FunctionCompiler): void {
  const frame = c.frames[c.frames.length - 1] as ControlFrame;
  const { state } = c;
  if (c.reachable) {
    c.moveToLabel(frame);
    c.target(frame);
    c.assembler.jump(frame.label);
  }
  state.truncate(frame.height);
  c.assembler.bind(frame.elseLabel as number);
  state.restoreCaches(frame.elseCaches as Int32Array);
  for (const type of frame.params) state.pushSlot(type);
  c.dead = -1;
  c.frames[c.frames.length - 1] = { ...frame, kind: "else", elseLabel: undefined };
}

function branchTable(c: FunctionCompiler, operator: Operator): void {
  const { state, assembler: a } = c;
  const index = state.pop();
  state.into(index, r.rcx);
  state.release(index);
  const edges = new Map<number, number>();
  const labels = operator.targets.map((depth) => {
    const frame = c.frameAt(depth);
    if (frame.kind !== "function" && c.labelArity(frame) === 0) {
      c.target(frame);
      return frame.label;
    }
    let label = edges.get(depth);
    if (label === undefined) {
      label = a.newLabel();
      edges.set(depth, label);
    }
    return label;
  });
  const last = labels.pop() as number;
  a.aluImmediate(alu.cmp, false, r.rcx, labels.length);
  a.jumpIf(r.aboveEqual, last);
  if (labels.length > 0) a.jumpTable(r.rcx, codeSymbol(c.item.index), labels);
  for (const [depth, label] of edges) {
    a.bind(label);
    c.branch(depth);
  }
  c.markDead();
}

export function codeSymbol(index: number): string {
  return `func.${index}`;
}

function callIndirect(c: FunctionCompiler, operator: Operator): void {
  const { state, assembler: a } = c;
  const index = state.pop();
  state.into(index, r.r14);
  state.release(index);
  // Bounds, then null, then the canonical type (spec 4.4.8).
  a.alu(alu.cmp, false, r.r14, { base: -1, index: -1, scale: 0, displacement: 8, symbol: `table.${operator.b}` });
  a.jumpIf(r.aboveEqual, a.coldTrap("undefined element"));
  a.move(true, r.r14, { base: -1, index: r.r14, scale: 3, displacement: 0, symbol: `table.${operator.b}.elements` });
  a.test(true, r.r14, r.r14);
  a.jumpIf(r.equal, a.coldTrap("uninitialized element"));
  a.compareWithSymbol({ base: r.r14, index: -1, scale: 0, displacement: 8, symbol: undefined }, `type.${operator.a}`);
  a.jumpIf(r.notEqual, a.coldTrap("indirect call type mismatch"));
  c.call(c.module.types[operator.a] as FunctionType, () =>
    a.callIndirect({ base: r.r14, index: -1, scale: 0, displacement: 0, symbol: undefined }),
  );
}

export const controlEmitters: Record<string, Emitter> = {
  unreachable: (c) => {
    c.assembler.trapHere("unreachable");
    c.markDead();
  },
  nop: () => undefined,
  block: (c, o) => {
    const type = c.signature(o);
    c.state.flushBelow(c.state.stack.length - type.params.length);
    enter(c, "block", type);
  },
  loop: (c, o) => {
    const type = c.signature(o);
    c.state.flush(c.state.stack.length - type.params.length);
    c.state.forgetCaches();
    const frame = enter(c, "loop", type);
    c.assembler.bind(frame.label);
  },
  if: (c, o) => {
    const type = c.signature(o);
    const { state } = c;
    // Flushing moves and keeps flags.
    const condition = c.takeCondition();
    state.flush(state.stack.length - type.params.length);
    const frame = enter(c, "if", type, c.assembler.newLabel());
    frame.elseCaches = state.cached.slice();
    jumpUnless(c, condition, frame.elseLabel as number);
  },
  else: otherwise,
  end,
  br: (c, o) => {
    c.branch(o.a);
    c.markDead();
  },
  br_if: (c, o) => {
    const frame = c.frameAt(o.a);
    const condition = c.takeCondition();
    if (frame.kind !== "function" && c.labelArity(frame) === 0) {
      c.target(frame);
      c.jumpIf(condition, frame.label);
      return;
    }
    const skip = c.assembler.newLabel();
    jumpUnless(c, condition, skip);
    c.branch(o.a);
    c.assembler.bind(skip);
  },
  br_table: branchTable,
  return: (c) => {
    c.returnValues();
    c.markDead();
  },
  call: (c, o) => {
    const imported = o.a < c.module.importedFunctions ? intrinsic(c.module, o.a) : undefined;
    c.call(c.functionType(o.a), () => {
      if (imported !== undefined) imported(c.assembler);
      else c.assembler.call(codeSymbol(o.a));
    });
  },
  call_indirect: callIndirect,
};

function jumpUnless(c: FunctionCompiler, condition: number, label: number): void {
  // Float conditions come in opposites: equal and notEqual.
  c.jumpIf(condition ^ 1, label);
}

const openers = new Set(["block", "loop", "if"].map(opcode));
const opEnd = opcode("end");
const opElse = opcode("else");

/** In unreachable code only the block structure is followed. True when the operator must be compiled after all. */
export function revives(c: FunctionCompiler, operator: Operator): boolean {
  if (openers.has(operator.code)) c.dead++;
  else if (operator.code === opEnd) {
    if (c.dead === 0) return true;
    c.dead--;
  } else if (operator.code === opElse) return c.dead === 0;
  return false;
}
