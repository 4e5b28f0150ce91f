import { assert, CodedError } from "#base";
import { Assembler, symbol } from "../assemble/assembler.ts";
import { intrinsic } from "../assemble/intrinsics.ts";
import * as r from "../assemble/registers.ts";
import { functionName } from "../compile.ts";
import { type ConstantExpression, type FunctionType, type Module, typeText } from "../decode/types.ts";
import { helperBlocks } from "../runtime/helpers.ts";
import { addPlatform, type Platform } from "../runtime/platforms.ts";
import { type Bindings, bindModules, type Definition, type FunctionTarget, type ProgramModule } from "./bind.ts";
import { ProgramData } from "./data.ts";
import { type Linked, Linker } from "./linker.ts";
import type { ProgramOptions } from "./options.ts";
import { entryThunk, swapStub } from "./stubs.ts";

/** Puts modules, their data and the platform together. Symbols of module i begin with `i:`. */

export interface Thunk {
  readonly module: string;
  readonly name: string;
  readonly type: FunctionType;
}

/** Not a name an export of a real module has. */
export const instantiateName = "\0instantiate";

export interface ProgramMemory {
  readonly module: string;
  /** Contents from active data segments, when nothing instantiates at run time. */
  readonly initial: readonly { readonly offset: number; readonly bytes: Uint8Array }[];
  readonly base: bigint;
  readonly minimumPages: number;
  readonly maximumPages: number;
}

/** Code and data at their addresses, without the contents of linear memories: link once, then write many executables. */
export interface Program {
  readonly platform: Platform;
  readonly linked: Linked;
  readonly entry: bigint;
  readonly memories: readonly ProgramMemory[];
  readonly stack: { readonly limit: bigint; readonly bytes: number };
  /** By thunk number, for the bench's invoke command; each module has one called `instantiateName`. */
  readonly thunks: readonly Thunk[];
  /** Names in the order of their numbers: a symbol of module i begins with `i:`. */
  readonly modules: readonly string[];
}

/** A program together with what it was linked from, which its cached form does without. */
export interface LinkedProgram extends Program {
  readonly bindings: Bindings;
}

const defaults = {
  baseAddress: 0x400000,
  stackBytes: 8 * 2 ** 20,
  stackLimit: 0xe_0000_0000n,
  firstMemory: 0x10_0000_0000n,
  windowBytes: 0x4_0000_0000n,
};

class ProgramBuilder {
  readonly options: ProgramOptions;
  readonly bindings: Bindings;
  readonly linker = new Linker();
  readonly data: ProgramData;
  readonly memories: ProgramMemory[] = [];
  readonly thunks: Thunk[] = [];
  private readonly thunkSymbols: string[] = [];
  private readonly types = new Map<string, number>();
  private readonly records = new Set<string>();

  constructor(modules: readonly ProgramModule[], options: ProgramOptions) {
    this.options = options;
    this.bindings = bindModules(modules, options);
    this.data = new ProgramData(this.bindings, this.linker, options, (i, index) => this.reference(i, index));
  }

  module(i: number): Module {
    return (this.bindings.modules[i] as ProgramModule).code.module;
  }
  name(i: number): string {
    return (this.bindings.modules[i] as ProgramModule).name;
  }
  /** The symbol of the base of the module's memory. */
  base(i: number): string | undefined {
    const owner = this.bindings.memory[i] as number;
    return owner < 0 ? undefined : `memory.${this.name(owner)}.base`;
  }
  type(i: number, functionIndex: number): FunctionType {
    const module = this.module(i);
    return module.types[module.functionTypes[functionIndex] as number] as FunctionType;
  }

  build(): LinkedProgram {
    const { linker, options } = this;
    const count = this.bindings.modules.length;
    for (const [name, block] of helperBlocks()) linker.add("text", name, block, { title: name });
    linker.add("text", "runtime.helpersEnd", { bytes: new Uint8Array(0), relocations: [] });
    for (let i = 0; i < count; i++) this.addMemory(i);
    for (let i = 0; i < count; i++) this.addTypes(i);
    for (let i = 0; i < count; i++) this.addFunctions(i);
    for (let i = 0; i < count; i++) this.data.addTables(i);
    for (let i = 0; i < count; i++) this.data.addGlobals(i);
    if (options.platform === "bench") for (let i = 0; i < count; i++) this.addInstantiation(i);
    if (options.platform === "bench") for (let i = 0; i < count; i++) this.addThunks(i);
    const table = new Assembler();
    for (const thunk of this.thunkSymbols) table.relocate("absolute64", thunk, 0);
    linker.add("rodata", "runtime.thunks", table.finish());
    const stackBytes = options.stackBytes ?? defaults.stackBytes;
    linker.define("stack.limit", defaults.stackLimit);
    linker.define("stack.top", defaults.stackLimit + BigInt(stackBytes));
    linker.define("memory.first", defaults.firstMemory);
    const start = addPlatform(linker, options.platform, this.addEntry());
    const linked = linker.link(options.baseAddress ?? defaults.baseAddress);
    return {
      platform: options.platform,
      linked,
      entry: linked.addresses.get(start) as bigint,
      memories: this.memories,
      stack: { limit: defaults.stackLimit, bytes: stackBytes },
      thunks: this.thunks,
      modules: this.bindings.modules.map((m) => m.name),
      bindings: this.bindings,
    };
  }

  private addMemory(i: number): void {
    const owner = this.bindings.memory[i] as number;
    if (owner >= 0) this.linker.alias(`${i}:memory`, `memory.${this.name(owner)}.descriptor`);
    if (owner !== i) return;
    const limits = this.module(i).memories[0];
    assert(limits !== undefined, "a module that owns its memory has one");
    const name = this.name(i);
    const ordinal = this.memories.length;
    const base = this.options.memoryBase?.(name, ordinal) ?? defaults.firstMemory + BigInt(ordinal) * defaults.windowBytes;
    const maximumPages = Math.min(limits.maximum ?? 65536, this.options.memoryPages?.(name) ?? 65536);
    if (limits.minimum > maximumPages)
      throw new CodedError(
        "MF_LINK_LIMIT",
        `${name} needs ${limits.minimum} pages of memory, ${maximumPages} are allowed; raise the limit`,
      );
    this.memories.push({ module: name, initial: this.data.initialData(i), base, minimumPages: limits.minimum, maximumPages });
    this.linker.define(`memory.${name}.base`, base);
    const a = new Assembler();
    a.relocate("absolute64", `memory.${name}.base`, 0);
    a.int32(this.options.platform === "bench" ? 0 : limits.minimum); // the bench maps it when it instantiates
    a.int32(maximumPages);
    this.linker.add("data", `memory.${name}.descriptor`, a.finish(), { title: `${name}.memory` });
  }

  private addTypes(i: number): void {
    this.module(i).types.forEach((type, index) => {
      const text = typeText(type);
      const id = this.types.get(text) ?? this.types.size + 1;
      this.types.set(text, id);
      this.linker.define(`${i}:type.${index}`, BigInt(id));
    });
  }

  private addFunctions(i: number): void {
    const { linker } = this;
    const { code, name } = this.bindings.modules[i] as ProgramModule;
    const scope = `${i}:`;
    const targets = this.bindings.functions[i] as readonly FunctionTarget[];
    for (let index = 0; index < code.module.importedFunctions; index++) {
      const target = targets[index] as FunctionTarget;
      const symbolName = `${i}:func.${index}`;
      if (typeof target === "string") {
        const a = new Assembler();
        const emit = target === "intrinsic" ? intrinsic(code.module, index) : undefined;
        if (emit !== undefined) emit(a);
        else a.trapHere("unbound import called");
        a.return();
        linker.add("text", symbolName, a.finish(), { scope, title: `${name}.import.${functionName(code.module, index)}` });
      } else if (this.bindings.memory[i] === this.bindings.memory[target.owner])
        linker.alias(symbolName, `${target.owner}:func.${target.index}`);
      else
        linker.add("text", symbolName, swapStub(this.type(i, index), `${target.owner}:func.${target.index}`, this.base(target.owner)), {
          title: `${name}.stub.${functionName(code.module, index)}`,
        });
    }
    for (const item of code.functions) {
      linker.add("text", `${i}:func.${item.index}`, item.code, { scope, title: `${name}.${item.name}` });
      for (const { symbol: used } of item.code.relocations) if (used.startsWith("ref.")) this.reference(i, Number(used.slice(4)));
    }
  }

  /** The record of a function, for tables and `ref.func`. */
  private reference(i: number, index: number): string {
    const target = (this.bindings.functions[i] as readonly FunctionTarget[])[index] as FunctionTarget;
    const { owner, index: defined }: Definition = typeof target === "string" ? { owner: i, index } : target;
    const record = `${owner}:record.${defined}`;
    this.linker.alias(`${i}:ref.${index}`, record);
    if (this.records.has(record)) return record;
    this.records.add(record);
    let code = `${owner}:func.${defined}`;
    if (this.bindings.referencesCross) {
      const stub = `${owner}:entry.${defined}`;
      this.linker.add("text", stub, swapStub(this.type(owner, defined), code, this.base(owner)), {
        title: `${this.name(owner)}.entry.${functionName(this.module(owner), defined)}`,
      });
      code = stub;
    }
    const a = new Assembler();
    a.relocate("absolute64", code, 0);
    a.relocate("absolute32", `${owner}:type.${this.module(owner).functionTypes[defined]}`, 0);
    a.int32(0);
    this.linker.add("rodata", record, a.finish());
    return record;
  }

  /** Memory, active segments in order, start function (spec 4.5.4). */
  private addInstantiation(i: number): void {
    const module = this.module(i);
    const a = new Assembler();
    if (this.bindings.memory[i] === i && (module.memories[0]?.minimum ?? 0) > 0) {
      a.constant32(r.rax, module.memories[0]?.minimum ?? 0);
      a.addressOf(r.rcx, `${i}:memory`);
      a.call("runtime.memoryGrow");
    }
    const copy = (offset: ConstantExpression, length: number, helper: string, to: string, segment: string): void => {
      a.constant32(r.rax, this.data.offset(i, offset) | 0);
      a.constant32(r.rcx, 0);
      a.constant32(r.rdx, length);
      a.addressOf(r.rbx, to);
      a.addressOf(r.rsi, segment);
      a.call(helper);
      a.storeImmediate(4, symbol(segment, 8), 0);
    };
    module.elements.forEach((segment, index) => {
      if (segment.mode.kind !== "active") return;
      copy(segment.mode.offset, segment.items.length, "runtime.tableInit", `${i}:table.${segment.mode.index}`, `${i}:elem.${index}`);
    });
    module.data.forEach((segment, index) => {
      if (segment.mode.kind === "active")
        copy(segment.mode.offset, segment.bytes.length, "runtime.memoryInit", `${i}:memory`, `${i}:data.${index}`);
    });
    if (module.start !== undefined) a.call(`${i}:func.${module.start}`);
    a.return();
    this.linker.add("text", `${i}:instantiate`, a.finish(), { title: `${this.name(i)}.instantiate` });
    this.addThunk(i, instantiateName, { params: [], results: [] }, `${i}:instantiate`);
  }

  private addThunk(i: number, name: string, type: FunctionType, target: string): void {
    const thunk = `${i}:thunk.${this.thunks.length}`;
    this.linker.add("text", thunk, entryThunk(type, target, this.base(i)), { title: `${this.name(i)}.thunk.${name}` });
    this.thunks.push({ module: this.name(i), name, type });
    this.thunkSymbols.push(thunk);
  }

  private addThunks(i: number): void {
    for (const item of this.module(i).exports)
      if (item.kind === "function") this.addThunk(i, item.name, this.type(i, item.index), `${i}:func.${item.index}`);
  }

  private findExport(wanted: { readonly module: string; readonly name: string }): Definition {
    const owner = this.bindings.modules.findIndex((m) => m.name === wanted.module);
    const found = owner < 0 ? undefined : this.module(owner).exports.find((e) => e.name === wanted.name && e.kind === "function");
    if (found === undefined) throw new CodedError("MF_LINK_ENTRY", `no module exports the entry function ${wanted.module}.${wanted.name}`);
    return { owner, index: found.index };
  }

  /** A thunk for a module's start function; returns its symbol. */
  private addStart(name: string): string {
    const i = this.bindings.modules.findIndex((m) => m.name === name);
    const start = i < 0 ? undefined : this.module(i).start;
    if (start === undefined) throw new CodedError("MF_LINK_ENTRY", `no module called ${name} has a start function`);
    const symbolName = `runtime.start.${name}`;
    this.linker.add("text", symbolName, entryThunk({ params: [], results: [] }, `${i}:func.${start}`, this.base(i)), { title: symbolName });
    return symbolName;
  }

  private addEntry(): string | undefined {
    const { entry, handler } = this.options;
    if (handler !== undefined) {
      const { owner, index } = this.findExport(handler);
      this.linker.alias("runtime.handler", `${owner}:func.${index}`);
    }
    if (entry === undefined) return undefined;
    const { owner: i, index } = this.findExport(entry);
    const type = this.type(i, index);
    if (type.params.length > 0 || type.results.length > 0)
      throw new CodedError("MF_LINK_ENTRY", `the entry function ${entry.name} must take and return nothing`);
    const a = new Assembler();
    for (const name of this.options.start ?? []) a.call(this.addStart(name));
    a.jumpSymbol("runtime.entryThunk");
    this.linker.add("text", "runtime.entryThunk", entryThunk(type, `${i}:func.${index}`, this.base(i)), { title: "runtime.entryThunk" });
    this.linker.add("text", "runtime.entry", a.finish(), { title: "runtime.entry" });
    return "runtime.entry";
  }
}

export function linkProgram(modules: readonly ProgramModule[], options: ProgramOptions): LinkedProgram {
  return new ProgramBuilder(modules, options).build();
}
