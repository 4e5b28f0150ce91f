import { assert } from "#base";
import type { Operand } from "../../assemble/assembler.ts";
import { type Edge, isConstant, op, type Value } from "../../ir/value.ts";
import type { Node } from "../../select/tile.ts";
import { slotBase } from "../edges.ts";
import { Machine, type StartState } from "../machine.ts";

/**
 * A machine that follows what the emitted moves really do, apart from what the allocator believes, and compares the two whenever
 * a value is read and on every edge. For tests.
 */
export class CheckedMachine extends Machine {
  /** By register, and by slot from `slotBase` on: the value that is there. */
  private actual = new Map<number, Value | undefined>();

  private expect(location: number, value: Value, where: string): void {
    const found = this.actual.get(location);
    assert(found === value, `${where}: location ${location} holds v${found?.id} where v${value.id} is expected`);
  }

  override moveRegister(to: number, from: number): void {
    super.moveRegister(to, from);
    this.actual.set(to, this.actual.get(from));
  }
  override exchangeRegisters(x: number, y: number): void {
    super.exchangeRegisters(x, y);
    const kept = this.actual.get(x);
    this.actual.set(x, this.actual.get(y));
    this.actual.set(y, kept);
  }
  override loadSlot(register: number, slot: number): void {
    super.loadSlot(register, slot);
    this.actual.set(register, this.actual.get(slotBase + slot));
  }
  override storeSlot(slot: number, register: number): void {
    super.storeSlot(slot, register);
    this.actual.set(slotBase + slot, this.actual.get(register));
  }
  override loadConstant(register: number, value: Value): void {
    super.loadConstant(register, value);
    this.actual.set(register, value);
  }
  override storeConstant(slot: number, value: Value): void {
    super.storeConstant(slot, value);
    this.actual.set(slotBase + slot, value);
  }
  override place(value: Value, register: number, next: number): void {
    super.place(value, register, next);
    this.actual.set(register, value);
  }
  override settle(value: Value): void {
    super.settle(value);
    // Its register was put together in steps.
    if (value.register >= 0) this.actual.set(value.register, value);
  }
  override register(value: Value): number {
    const register = super.register(value);
    this.expect(register, value, "read");
    return register;
  }
  override operand(value: Value, node: Node): Operand {
    const operand = super.operand(value, node);
    if (value.register < 0 && !isConstant(value)) this.expect(slotBase + value.slot, value, "read from its slot");
    return operand;
  }
  override fetch(value: Value, register: number): void {
    super.fetch(value, register);
    this.expect(register, value, "fetched");
  }
  override temporary(float: boolean): number {
    const register = super.temporary(float);
    this.actual.delete(register);
    return register;
  }
  override reserve(register: number): void {
    super.reserve(register);
    this.actual.delete(register);
  }
  override clear(): void {
    super.clear();
    for (let register = 0; register < 32; register++) this.actual.delete(register);
  }

  override entered(start: StartState): void {
    this.actual = new Map();
    start.registers.forEach((value, register) => value !== undefined && this.actual.set(register, value));
    for (const [value, slot] of start.saved) this.actual.set(slotBase + slot, value);
  }

  override edge(edge: Edge, start: StartState, emit: () => void): void {
    const before = new Map(this.actual);
    emit();
    const source = (value: Value): Value => {
      const place = value.op === op.parameter ? (edge.to?.params.indexOf(value) ?? -1) : -1;
      return place < 0 ? value : (edge.args[place] as Value);
    };
    start.registers.forEach(
      (value, register) => value !== undefined && this.expect(register, source(value), `edge ${edge.from.id} → ${edge.to?.id}`),
    );
    for (const [value, slot] of start.saved) this.expect(slotBase + slot, source(value), `edge ${edge.from.id} → ${edge.to?.id}`);
    this.actual = before;
  }
}
