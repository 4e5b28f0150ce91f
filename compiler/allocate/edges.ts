import { type Block, type Edge, isConstant, op, type Value } from "../ir/value.ts";
import type { Liveness } from "./liveness.ts";
import { isFloatValue, type Machine, type StartState } from "./machine.ts";

/** The moves on edges between blocks, and where values are when a block begins: decided when the first edge to it is met. */

/** Registers used at a loop's header; the rest is left free, so that its body need not begin with evictions. */
const loopRegisters = { general: 12, float: 11 };
/** Below this weight a value is not worth a register where blocks meet. */
const registerWeight = 0.1;
/** A loop's parameter changes, so that in memory it costs a store as well. */
const parameterBonus = 0.5;

function freeFor(registers: readonly (Value | undefined)[], float: boolean, preferred: number): number {
  if (preferred >= 0 && registers[preferred] === undefined) return preferred;
  const order = float ? [22, 23, 24, 25, 26, 27, 28, 29, 21, 20, 19, 18, 17, 16] : [3, 6, 7, 5, 8, 9, 10, 11, 12, 13, 14, 2, 1, 0];
  return order.find((register) => registers[register] === undefined) ?? -1;
}

class StartBuilder {
  readonly registers = new Array<Value | undefined>(32).fill(undefined);
  readonly saved = new Map<Value, number>();
  private readonly owners: (Value | undefined)[] = [];
  private readonly unsaved: Value[] = [];
  private readonly machine: Machine;

  constructor(machine: Machine) {
    this.machine = machine;
  }
  /** Keeps a value in memory: where it is, or later in a slot that is left. */
  inMemory(value: Value): void {
    if (value.saved) this.keepIn(value, value.slot);
    else this.unsaved.push(value);
  }
  private keepIn(value: Value, slot: number): void {
    this.saved.set(value, slot);
    this.owners[slot] = value;
  }
  chooseSlots(): void {
    for (const value of this.unsaved.splice(0)) this.keepIn(value, this.machine.chooseSlot(value, this.owners));
  }
  parameterInMemory(value: Value): void {
    this.keepIn(value, this.machine.chooseSlot(value, this.owners));
  }
}

function argument(edge: Edge, param: Value): Value {
  return edge.args[(edge.to as Block).params.indexOf(param)] as Value;
}

/** At a loop's header what weighs most gets the registers, wherever it comes from. */
function loopStart(b: StartBuilder, edge: Edge, values: readonly Value[], weights: ReadonlyMap<Value, number>): void {
  const block = edge.to as Block;
  const params = new Set(block.params);
  const score = (value: Value): number => (weights.get(value) ?? 0) + (params.has(value) ? parameterBonus : 0);
  const ranked = [...values].sort((x, y) => score(y) - score(x) || x.id - y.id);
  const chosen = new Set<Value>();
  let general = 0;
  let float = 0;
  for (const value of ranked) {
    if (score(value) < (params.has(value) ? parameterBonus + registerWeight : 2 * registerWeight)) break;
    if (isFloatValue(value) ? float++ < loopRegisters.float : general++ < loopRegisters.general) chosen.add(value);
  }
  // A value that is already in a register stays there.
  const late: Value[] = [];
  for (const value of chosen) {
    const from = params.has(value) ? argument(edge, value) : value;
    if (!isConstant(from) && from.register >= 0 && b.registers[from.register] === undefined) b.registers[from.register] = value;
    else late.push(value);
  }
  for (const value of late) b.registers[freeFor(b.registers, isFloatValue(value), value.hint)] = value;
  for (const value of ranked) {
    if (params.has(value)) continue;
    if (!chosen.has(value) || value.saved || block.loopCalls) b.inMemory(value);
  }
  b.chooseSlots();
  for (const value of ranked) if (params.has(value) && !chosen.has(value)) b.parameterInMemory(value);
}

/** Where forward branches meet, values stay where the first way in has them. */
function joinStart(
  b: StartBuilder,
  edge: Edge,
  values: readonly Value[],
  weights: ReadonlyMap<Value, number>,
  dominatorSaved: ReadonlySet<Value>,
): void {
  const block = edge.to as Block;
  const single = block.incoming.length === 1;
  const params = new Set(block.params);
  for (const value of values) {
    if (params.has(value)) continue;
    // Light and saved, a value is better left in memory; unsaved, it would have to be stored on every way here.
    const keep = value.register >= 0 && (single || !value.saved || (weights.get(value) ?? 0) >= registerWeight);
    if (keep) b.registers[value.register] = value;
    if (!keep || (single && value.saved) || dominatorSaved.has(value)) b.inMemory(value);
  }
  b.chooseSlots();
  for (const value of values) {
    if (!params.has(value)) continue;
    const arg = argument(edge, value);
    const inRegister = !isConstant(arg) && arg.register >= 0;
    const wanted = inRegister || isConstant(arg) || (weights.get(value) ?? 0) >= registerWeight;
    const register = wanted ? freeFor(b.registers, isFloatValue(value), inRegister ? arg.register : value.hint) : -1;
    if (register >= 0) b.registers[register] = value;
    else b.parameterInMemory(value);
  }
}

/** `dominatorSaved`: what is saved wherever the block can be reached from. */
export function decideStart(
  machine: Machine,
  edge: Edge,
  live: ReadonlyMap<Value, number>,
  weights: ReadonlyMap<Value, number>,
  dominatorSaved: ReadonlySet<Value>,
): StartState {
  const b = new StartBuilder(machine);
  const values = [...live]
    .filter(([value]) => !isConstant(value))
    .sort((x, y) => x[1] - y[1] || x[0].id - y[0].id)
    .map(([value]) => value);
  if ((edge.to as Block).isLoop) loopStart(b, edge, values, weights);
  else joinStart(b, edge, values, weights, dominatorSaved);
  return { registers: b.registers, saved: b.saved };
}

/** Registers by their number, slots from 64 on. */
interface Move {
  readonly to: number;
  readonly from: number;
}
export const slotBase = 64;

export interface EdgeMoves {
  readonly moves: readonly Move[];
  readonly constants: readonly { readonly to: number; readonly value: Value }[];
}

/** Where a value can be read: its register, else its slot. */
export function location(value: Value): number {
  return value.register >= 0 ? value.register : slotBase + value.slot;
}

/** Moves on an edge, given the machine at the end of the block that it leaves. */
export function edgeMoves(edge: Edge, start: StartState): EdgeMoves {
  const block = edge.to as Block;
  const moves: Move[] = [];
  const constants: { readonly to: number; readonly value: Value }[] = [];
  const add = (to: number, value: Value): void => {
    if (isConstant(value)) {
      constants.push({ to, value });
      return;
    }
    const from = location(value);
    if (from !== to) moves.push({ to, from });
  };
  start.registers.forEach((value, register) => {
    if (value === undefined) return;
    const place = value.op === op.parameter ? block.params.indexOf(value) : -1;
    add(register, place < 0 ? value : (edge.args[place] as Value));
  });
  for (const [value, slot] of start.saved) {
    const place = value.op === op.parameter ? block.params.indexOf(value) : -1;
    if (place < 0) {
      if (!value.saved || value.slot !== slot) moves.push({ to: slotBase + slot, from: location(value) });
    } else {
      const arg = edge.args[place] as Value;
      if (isConstant(arg)) constants.push({ to: slotBase + slot, value: arg });
      else if (!arg.saved || arg.slot !== slot) moves.push({ to: slotBase + slot, from: location(arg) });
    }
  }
  return { moves, constants };
}

/** Emits parallel moves: what nothing reads any more is written first; a cycle is exchanged, or goes through xmm15. Flags stay. */
export function emitMoves(machine: Machine, { moves, constants }: EdgeMoves): void {
  const scratch = 31;
  const pending = moves.filter((move) => move.to !== move.from);
  const one = (to: number, from: number): void => {
    if (to < slotBase && from < slotBase) machine.moveRegister(to, from);
    else if (to < slotBase) machine.loadSlot(to, from - slotBase);
    else if (from < slotBase) machine.storeSlot(to - slotBase, from);
    else {
      machine.loadSlot(30, from - slotBase);
      machine.storeSlot(to - slotBase, 30);
    }
  };
  while (pending.length > 0) {
    let ready = pending.findIndex((move) => !pending.some((other) => other.from === move.to));
    if (ready < 0) {
      // Everything pending lies on cycles: one source steps aside.
      const { from, to } = pending[0] as Move;
      if (from < 16 && to < 16) {
        // Exchanged, one is where it belongs, and what was in `to` is in `from` now.
        machine.exchangeRegisters(to, from);
        pending.shift();
        for (let i = 0; i < pending.length; i++) {
          const move = pending[i] as Move;
          if (move.from === to) pending[i] = { to: move.to, from };
          else if (move.from === from) pending[i] = { to: move.to, from: to };
        }
        for (let i = pending.length - 1; i >= 0; i--) if (pending[i]?.from === pending[i]?.to) pending.splice(i, 1);
        continue;
      }
      one(scratch, from);
      for (let i = 0; i < pending.length; i++) if (pending[i]?.from === from) pending[i] = { to: (pending[i] as Move).to, from: scratch };
      ready = pending.findIndex((move) => !pending.some((other) => other.from === move.to));
    }
    const [move] = pending.splice(ready, 1) as [Move];
    one(move.to, move.from);
  }
  for (const { to, value } of constants) {
    if (to < slotBase) machine.loadConstant(to, value);
    else machine.storeConstant(to - slotBase, value);
  }
}

export function hasMoves(moves: EdgeMoves): boolean {
  return moves.moves.length > 0 || moves.constants.length > 0;
}

/** Brings the machine to a block's start. */
export function enter(machine: Machine, start: StartState, live: Liveness["liveIn"][number]): void {
  for (let register = 0; register < 32; register++) {
    const value = machine.contents[register];
    if (value !== undefined) machine.drop(value);
  }
  machine.forgetSlots();
  for (const value of live.keys()) value.saved = false;
  for (const [value, slot] of start.saved) machine.own(value, slot);
  start.registers.forEach((value, register) => {
    if (value === undefined) return;
    machine.put(value, register);
  });
}
