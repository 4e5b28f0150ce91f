import { CodedError } from "#base";
import { intrinsic } from "../assemble/intrinsics.ts";
import type { CompiledModule } from "../compile.ts";
import { type ExternalKind, type Import, isReference, type Limits, type Module, sameType, typeText } from "../decode/types.ts";

/** Finds for every index of every module what it stands for, following imports to exports. */

export interface ProgramModule {
  readonly name: string;
  readonly code: CompiledModule;
}

/** A definition: which module defines it, under which index of that module. */
export interface Definition {
  readonly owner: number;
  readonly index: number;
}

/** Meanings of a function index besides a definition. */
export type FunctionTarget = Definition | "intrinsic" | "unbound";

export interface BindOptions {
  /** Where an import is found: module name and export name; by default its own two names. */
  readonly resolve?: (importer: string, item: Import) => { readonly module: string; readonly name: string };
  /** True if a function import without an export traps when called; by default it is refused. */
  readonly missing?: "refuse" | "trap";
  /** Bits of a global that nothing exports, such as `__memory_base` of a side module: what its loader would have given it. */
  readonly globals?: (importer: string, item: Import) => bigint | undefined;
}

export interface Bindings {
  readonly modules: readonly ProgramModule[];
  /** By module, by index. */
  readonly functions: readonly (readonly FunctionTarget[])[];
  readonly tables: readonly (readonly Definition[])[];
  readonly globals: readonly (readonly Definition[])[];
  /** By module: the module that defines its memory, or −1. */
  readonly memory: readonly number[];
  /** Bits of globals given by `BindOptions.globals`, by `module:index`; their definition is the import itself. */
  readonly given: ReadonlyMap<string, bigint>;
  /** True if function references may reach a module with another memory. */
  readonly referencesCross: boolean;
}

function incompatible(importer: string, item: Import, why: string): CodedError {
  return new CodedError(
    "MF_LINK_INCOMPATIBLE",
    `incompatible import type: ${importer} imports ${item.module}.${item.name}, ${why}; build both against each other`,
  );
}

function checkLimits(importer: string, item: Import, wanted: Limits, offered: Limits): void {
  const fits =
    offered.minimum >= wanted.minimum &&
    (wanted.maximum === undefined || (offered.maximum !== undefined && offered.maximum <= wanted.maximum));
  if (!fits) throw incompatible(importer, item, "but the limits of the export do not fit");
}

class Binder {
  readonly modules: readonly ProgramModule[];
  readonly options: BindOptions;
  readonly functions: FunctionTarget[][] = [];
  readonly tables: Definition[][] = [];
  readonly globals: Definition[][] = [];
  readonly memory: number[] = [];
  readonly given = new Map<string, bigint>();
  private readonly byName = new Map<string, number>();

  constructor(modules: readonly ProgramModule[], options: BindOptions) {
    this.modules = modules;
    this.options = options;
  }

  /** Modules may import from those before them and, for functions, from any: names are found first. */
  bind(): Bindings {
    this.modules.forEach(({ name }, i) => {
      if (this.byName.has(name)) throw new CodedError("MF_LINK_DUPLICATE", `two modules are called ${name}; name each once`);
      this.byName.set(name, i);
    });
    for (let i = 0; i < this.modules.length; i++) {
      const { module } = (this.modules[i] as ProgramModule).code;
      this.functions.push(module.functions.map((f) => ({ owner: i, index: f.index })));
      this.tables.push([]);
      this.globals.push([]);
      this.memory.push(-1);
    }
    for (let i = 0; i < this.modules.length; i++) this.bindModule(i);
    return {
      modules: this.modules,
      functions: this.functions,
      tables: this.tables,
      globals: this.globals,
      memory: this.memory,
      given: this.given,
      referencesCross: this.referencesCross(),
    };
  }

  private bindModule(i: number): void {
    const { name, code } = this.modules[i] as ProgramModule;
    const { module } = code;
    const functions: FunctionTarget[] = [];
    const tables: Definition[] = [];
    const globals: Definition[] = [];
    for (const item of module.imports) {
      const { description } = item;
      if (description.kind === "function") {
        functions.push(this.bindFunction(name, module, item, functions.length));
        continue;
      }
      const found = this.find(name, item, description.kind, 0);
      const bits = found === undefined && description.kind === "global" ? this.options.globals?.(name, item) : undefined;
      if (bits !== undefined) {
        this.given.set(`${i}:${globals.length}`, bits);
        globals.push({ owner: i, index: globals.length });
        continue;
      }
      if (found === undefined)
        throw new CodedError(
          "MF_LINK_MISSING",
          `unknown import: ${name} imports ${item.module}.${item.name} (${description.kind}), which nothing exports`,
        );
      const owner = (this.modules[found.owner] as ProgramModule).code.module;
      if (description.kind === "memory") {
        checkLimits(name, item, description.memory, owner.memories[0] as Limits);
        this.memory[i] = found.owner;
      } else if (description.kind === "table") {
        const table = owner.tables[found.index];
        if (table?.element !== description.table.element) throw incompatible(name, item, "but the elements differ");
        checkLimits(name, item, description.table.limits, table.limits);
        tables.push(found);
      } else {
        const global = owner.globalTypes[found.index];
        if (global?.type !== description.global.type || global.mutable !== description.global.mutable)
          throw incompatible(name, item, "but the global's type differs");
        globals.push(found);
      }
    }
    // Index spaces hold imports first.
    this.functions[i] = [...functions, ...(this.functions[i] as FunctionTarget[])];
    for (let index = tables.length; index < module.tables.length; index++) tables.push({ owner: i, index });
    for (let index = globals.length; index < module.globalTypes.length; index++) globals.push({ owner: i, index });
    this.tables[i] = tables;
    this.globals[i] = globals;
    if (module.memories.length > module.importedMemories) this.memory[i] = i;
  }

  private bindFunction(name: string, module: Module, item: Import, index: number): FunctionTarget {
    const target = this.find(name, item, "function", 0);
    if (target === undefined) {
      if (intrinsic(module, index) !== undefined) return "intrinsic";
      if (this.options.missing === "trap") return "unbound";
      throw new CodedError(
        "MF_LINK_MISSING",
        `unknown import: ${name} imports the function ${item.module}.${item.name}, which nothing exports`,
      );
    }
    const wanted = module.types[module.functionTypes[index] as number];
    const owner = (this.modules[target.owner] as ProgramModule).code.module;
    const offered = owner.types[owner.functionTypes[target.index] as number];
    if (wanted === undefined || offered === undefined || !sameType(wanted, offered))
      throw incompatible(name, item, `as ${wanted && typeText(wanted)}, but the export has ${offered && typeText(offered)}`);
    return target;
  }

  /** The definition behind an import, through re-exports. */
  private find(importer: string, item: Import, kind: ExternalKind, depth: number): Definition | undefined {
    if (depth > this.modules.length) throw new CodedError("MF_LINK_CYCLE", `the import ${item.module}.${item.name} leads back to itself`);
    const wanted = this.options.resolve?.(importer, item) ?? item;
    const owner = this.byName.get(wanted.module);
    if (owner === undefined) return undefined;
    const { name, code } = this.modules[owner] as ProgramModule;
    const { module } = code;
    const found = module.exports.find((e) => e.name === wanted.name);
    if (found === undefined) return undefined;
    if (found.kind !== kind) throw incompatible(importer, item, `a ${kind}, but the export is a ${found.kind}`);
    const imports = module.imports.filter((entry) => entry.description.kind === kind);
    const again = imports[found.index];
    if (again === undefined) return { owner, index: found.index };
    return this.find(name, again, kind, depth + 1);
  }

  private referencesCross(): boolean {
    const differ = (a: number, b: number): boolean => this.memory[a] !== this.memory[b];
    return this.modules.some(({ code }, i) => {
      const { module } = code;
      if ((this.tables[i] as Definition[]).some((t) => differ(i, t.owner))) return true;
      if ((this.globals[i] as Definition[]).some((g, index) => differ(i, g.owner) && isReference(module.globalTypes[index]?.type ?? 0)))
        return true;
      return (this.functions[i] as FunctionTarget[]).some((f, index) => {
        if (typeof f === "string" || !differ(i, f.owner)) return false;
        const type = module.types[module.functionTypes[index] as number];
        return [...(type?.params ?? []), ...(type?.results ?? [])].some(isReference);
      });
    });
  }
}

export function bindModules(modules: readonly ProgramModule[], options: BindOptions = {}): Bindings {
  return new Binder(modules, options).bind();
}
