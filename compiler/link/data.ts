import { assert, CodedError } from "#base";
import { Assembler } from "../assemble/assembler.ts";
import { opcodeName } from "../decode/opcodes.ts";
import type { ConstantExpression, Module } from "../decode/types.ts";
import type { Bindings, Definition, ProgramModule } from "./bind.ts";
import type { Linker } from "./linker.ts";
import type { ProgramOptions } from "./options.ts";

/** The data of a program: tables, globals and segments, whose constant expressions are all known when it is linked. */

type Cell = { readonly bits: bigint } | { readonly symbol: string };

export class ProgramData {
  private readonly bindings: Bindings;
  private readonly linker: Linker;
  private readonly options: ProgramOptions;
  /** The symbol of a function's record. */
  private readonly reference: (i: number, index: number) => string;

  constructor(bindings: Bindings, linker: Linker, options: ProgramOptions, reference: (i: number, index: number) => string) {
    this.bindings = bindings;
    this.linker = linker;
    this.options = options;
    this.reference = reference;
  }

  private module(i: number): Module {
    return (this.bindings.modules[i] as ProgramModule).code.module;
  }

  /** Contents that active data segments put into the memory that module `owner` defines. */
  initialData(owner: number): { offset: number; bytes: Uint8Array }[] {
    return this.bindings.modules.flatMap((_, i) =>
      this.module(i).data.flatMap(({ mode, bytes }) => {
        if (mode.kind !== "active" || this.bindings.memory[i] !== owner) return [];
        return [{ offset: this.offset(i, mode.offset), bytes }];
      }),
    );
  }

  private evaluate(i: number, expression: ConstantExpression): Cell {
    const stack: Cell[] = [];
    const number = (): bigint => {
      const cell = stack.pop();
      assert(cell !== undefined && "bits" in cell, "validated constant expressions compute with numbers");
      return cell.bits;
    };
    for (const { code, a, b } of expression) {
      const name = opcodeName(code);
      if (name === "i32.const" || name === "f32.const") stack.push({ bits: BigInt(a >>> 0) });
      else if (name === "i64.const" || name === "f64.const") stack.push({ bits: BigInt(a >>> 0) | (BigInt(b >>> 0) << 32n) });
      else if (name === "ref.null") stack.push({ bits: 0n });
      else if (name === "ref.func") stack.push({ symbol: this.reference(i, a) });
      else if (name === "global.get") {
        const { owner, index } = (this.bindings.globals[i] as readonly Definition[])[a] as Definition;
        const given = this.bindings.given.get(`${owner}:${index}`);
        if (given !== undefined) {
          stack.push({ bits: given });
          continue;
        }
        const global = this.module(owner).globals[index - this.module(owner).importedGlobals];
        assert(global !== undefined, "a definition is in its owner");
        stack.push(this.evaluate(owner, global.initial));
      } else {
        const right = number();
        const left = number();
        const result = name.endsWith("add") ? left + right : name.endsWith("sub") ? left - right : left * right;
        stack.push({ bits: BigInt.asUintN(name.startsWith("i32") ? 32 : 64, result) });
      }
    }
    return stack[0] as Cell;
  }

  private cell(a: Assembler, value: Cell): void {
    if ("symbol" in value) a.relocate("absolute64", value.symbol, 0);
    else {
      a.int32(Number(BigInt.asIntN(32, value.bits)));
      a.int32(Number(BigInt.asIntN(32, value.bits >> 32n)));
    }
  }

  addTables(i: number): void {
    const { linker } = this;
    const module = this.module(i);
    (this.bindings.tables[i] as readonly Definition[]).forEach(({ owner, index }, own) => {
      if (owner !== i) {
        linker.alias(`${i}:table.${own}`, `${owner}:table.${index}`);
        linker.alias(`${i}:table.${own}.elements`, `${owner}:table.${index}.elements`);
        return;
      }
      const { limits } = module.tables[own] as { limits: { minimum: number; maximum: number | undefined } };
      if (limits.minimum > 2 ** 20)
        throw new CodedError("MF_LINK_LIMIT", `a table of ${limits.minimum} elements is too large; ${2 ** 20} are allowed`);
      const size = this.options.growTables === true ? Math.max(limits.minimum, this.segmentsEnd(i, own)) : limits.minimum;
      const capacity = this.growsTables() ? Math.max(size, Math.min(limits.maximum ?? 2 ** 16, 2 ** 16)) : size;
      const bench = this.options.platform === "bench";
      const a = new Assembler();
      a.relocate("absolute64", `${i}:table.${own}.elements`, 0);
      a.int32(size);
      a.int32(capacity);
      linker.add("data", `${i}:table.${own}`, a.finish());
      if (bench) linker.addZeroes(`${i}:table.${own}.elements`, 8 * Math.max(capacity, 1));
      else this.addFrozenTable(i, own, capacity);
    });
    module.elements.forEach((segment, index) => {
      const items = new Assembler();
      for (const item of segment.items) this.cell(items, this.evaluate(i, item));
      linker.add("rodata", `${i}:elem.${index}.items`, items.finish());
      this.addSegmentDescriptor(
        `${i}:elem.${index}`,
        `${i}:elem.${index}.items`,
        segment.mode.kind === "declarative" ? 0 : segment.items.length,
      );
    });
    module.data.forEach((segment, index) => {
      linker.add(
        "rodata",
        `${i}:data.${index}.bytes`,
        {
          bytes: this.options.platform === "bench" || segment.mode.kind === "passive" ? segment.bytes : new Uint8Array(0),
          relocations: [],
        },
        { align: 1 },
      );
      this.addSegmentDescriptor(
        `${i}:data.${index}`,
        `${i}:data.${index}.bytes`,
        segment.mode.kind === "passive" || this.options.platform === "bench" ? segment.bytes.length : 0,
      );
    });
  }

  private activeSegments(
    owner: number,
    table: number,
  ): { readonly user: number; readonly offset: number; readonly items: readonly ConstantExpression[] }[] {
    return this.bindings.tables.flatMap((tables, user) =>
      this.module(user).elements.flatMap(({ mode, items }) => {
        const used = mode.kind === "active" ? tables[mode.index] : undefined;
        if (mode.kind !== "active" || used?.owner !== owner || used.index !== table) return [];
        return [{ user, offset: this.offset(user, mode.offset), items }];
      }),
    );
  }
  private segmentsEnd(owner: number, table: number): number {
    const end = Math.max(0, ...this.activeSegments(owner, table).map(({ offset, items }) => offset + items.length));
    if (end > 2 ** 20) throw new CodedError("MF_LINK_LIMIT", `a table of ${end} elements is too large; ${2 ** 20} are allowed`);
    return end;
  }
  /** True if anything can grow a table; otherwise its capacity is its size. */
  private growsTables(): boolean {
    this.tablesGrow ??= this.bindings.modules.some(({ code }) =>
      code.functions.some((f) => f.code.relocations.some((x) => x.symbol === "runtime.tableGrow")),
    );
    return this.tablesGrow;
  }
  private tablesGrow: boolean | undefined;

  /** A table as its active segments leave it: where nothing instantiates at run time. */
  private addFrozenTable(i: number, own: number, capacity: number): void {
    const cells = new Array<Cell>(capacity).fill({ bits: 0n });
    for (const { user, offset, items } of this.activeSegments(i, own)) {
      if (offset + items.length > capacity)
        throw new CodedError("MF_LINK_SEGMENT", "an element segment lies outside its table; with growTables the table gets room for it");
      items.forEach((item, n) => (cells[offset + n] = this.evaluate(user, item)));
    }
    const a = new Assembler();
    for (const value of cells) this.cell(a, value);
    this.linker.add("data", `${i}:table.${own}.elements`, a.finish());
  }

  private addSegmentDescriptor(name: string, bytes: string, length: number): void {
    const a = new Assembler();
    a.relocate("absolute64", bytes, 0);
    a.int32(length);
    a.int32(0);
    this.linker.add("data", name, a.finish());
  }

  addGlobals(i: number): void {
    const module = this.module(i);
    (this.bindings.globals[i] as readonly Definition[]).forEach(({ owner, index }, own) => {
      if (owner !== i) {
        this.linker.alias(`${i}:global.${own}`, `${owner}:global.${index}`);
        return;
      }
      const a = new Assembler();
      const given = this.bindings.given.get(`${i}:${own}`);
      this.cell(
        a,
        given === undefined
          ? this.evaluate(i, (module.globals[own - module.importedGlobals] as { initial: ConstantExpression }).initial)
          : { bits: given },
      );
      this.linker.add("data", `${i}:global.${own}`, a.finish());
    });
  }

  /** Value of an offset expression. */
  offset(i: number, expression: ConstantExpression): number {
    const value = this.evaluate(i, expression);
    assert("bits" in value, "offsets are numbers");
    return Number(value.bits);
  }
}
