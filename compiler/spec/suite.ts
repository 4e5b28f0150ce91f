import { readFileSync } from "node:fs";
import { basename } from "node:path";
import { CodedError, concatBytes, isCoded } from "#base";
import { type Backend, compileModule, type CompiledModule } from "../compile.ts";
import { decodeModule } from "../decode/module.ts";
import type { Import, Module } from "../decode/types.ts";
import { bindModules, type ProgramModule } from "../link/bind.ts";
import { instantiateName, type LinkedProgram, linkProgram } from "../link/program.ts";
import { BenchProcess, type Outcome } from "../testing/bench-process.ts";
import { argumentWord, type Expression, head, matches, parseScript, stringBytes, stringText } from "./script.ts";

/** Runs a script of the core test suite natively: its modules become one executable, its commands go there one by one. */

export type TextToBinary = (name: string, text: string) => Uint8Array;

export interface SuiteResult {
  passed: number;
  readonly failures: string[];
  /** By reason. */
  readonly skipped: Map<string, number>;
}

const spectest = `(module
  (global (export "global_i32") i32 (i32.const 666)) (global (export "global_i64") i64 (i64.const 666))
  (global (export "global_f32") f32 (f32.const 666.6)) (global (export "global_f64") f64 (f64.const 666.6))
  (table (export "table") 10 20 funcref) (memory (export "memory") 1 2)
  (func (export "print")) (func (export "print_i32") (param i32)) (func (export "print_i64") (param i64))
  (func (export "print_f32") (param f32)) (func (export "print_f64") (param f64))
  (func (export "print_i32_f32") (param i32 f32)) (func (export "print_f64_f64") (param f64 f64)))`;

interface Step {
  readonly line: number;
  readonly run: (process: BenchProcess) => Promise<string | undefined>;
}

export class Suite {
  readonly file: string;
  readonly text: string;
  readonly convert: TextToBinary;
  readonly backend: Backend;
  readonly result: SuiteResult = { passed: 0, failures: [], skipped: new Map() };
  private readonly modules: ProgramModule[] = [];
  /** The registered names each module saw when it was defined. */
  private readonly visible = new Map<string, ReadonlyMap<string, string>>();
  private readonly registered = new Map<string, string>();
  private readonly named = new Map<string, string>();
  /** Undefined after a module that cannot be linked statically; what is asked of it is out of scope. */
  private current: string | undefined = "";
  private readonly outOfScope = new Set<string>();
  private readonly steps: Step[] = [];
  private program: LinkedProgram | undefined;

  constructor(path: string, convert: TextToBinary, backend: Backend) {
    this.file = basename(path);
    this.text = readFileSync(path, "utf8");
    this.convert = convert;
    this.backend = backend;
  }

  private line(expression: Expression): number {
    return this.text.slice(0, expression.start).split("\n").length;
  }
  private skip(reason: string): void {
    this.result.skipped.set(reason, (this.result.skipped.get(reason) ?? 0) + 1);
  }
  private fail(expression: Expression, why: string): void {
    this.result.failures.push(`${this.file}:${this.line(expression)}: ${why}`);
  }

  private binary(expression: Expression, expectsRefusal: boolean): Uint8Array | undefined {
    const rest = expression.items.slice(1).filter((item) => typeof item !== "string" || !item.startsWith("$"));
    if (rest[0] === "quote") {
      if (expectsRefusal) return undefined;
      const fields = new TextDecoder().decode(concatBytes(rest.slice(1).map((item) => stringBytes(item as string))));
      return this.convert(this.file, fields.trimStart().startsWith("(module") ? fields : `(module ${fields})`);
    }
    if (rest[0] === "binary") return concatBytes(rest.slice(1).map((item) => stringBytes(item as string)));
    return this.convert(this.file, this.text.slice(expression.start, expression.end));
  }

  private add(name: string, module: Module): void {
    const code: CompiledModule = compileModule(module, { backend: this.backend });
    this.modules.push({ name, code });
    this.visible.set(name, new Map(this.registered));
    this.steps.push({ line: 0, run: async () => undefined });
  }

  private readonly resolve = (importer: string, item: Import): { module: string; name: string } => ({
    module: this.visible.get(importer)?.get(item.module) ?? `unknown ${item.module}`,
    name: item.name,
  });

  private defineModule(expression: Expression, expectsRefusal = false): string | undefined {
    const bytes = this.binary(expression, expectsRefusal);
    if (bytes === undefined) {
      this.skip("malformed text (module quote): Mayfly never reads the text format");
      return undefined;
    }
    const name = `m${this.modules.length}`;
    const module = decodeModule(bytes);
    this.add(name, module);
    try {
      bindModules(this.modules, { resolve: this.resolve });
    } catch (error) {
      this.modules.pop();
      throw error;
    }
    const label = expression.items[1];
    if (typeof label === "string" && label.startsWith("$")) this.named.set(label, name);
    return name;
  }

  private action(expression: Expression): { readonly run: (p: BenchProcess) => Promise<Outcome> } {
    const items = [...expression.items.slice(1)];
    const module =
      typeof items[0] === "string" && items[0].startsWith("$")
        ? (this.named.get(items.shift() as string) as string)
        : (this.current as string);
    const name = stringText(items[0] as string);
    if (head(expression) === "get") {
      return {
        run: async (p) => {
          const i = p.program.modules.indexOf(module);
          const index = (this.modules[i] as ProgramModule).code.module.exports.find((e) => e.name === name)?.index as number;
          const at = this.program?.bindings.globals[i]?.[index];
          const address = p.program.linked.addresses.get(`${at?.owner}:global.${at?.index}`) as bigint;
          return { kind: "values", words: [Buffer.from(await p.peek(address, 8)).readBigUInt64LE()] };
        },
      };
    }
    const args = items.slice(1).map((item) => argumentWord(item as Expression));
    return { run: (p) => p.invoke(module, name, args) };
  }

  private step(expression: Expression, run: Step["run"]): void {
    this.steps.push({ line: this.line(expression), run });
  }

  private assertReturn(expression: Expression): void {
    const action = this.action(expression.items[1] as Expression);
    const expected = expression.items.slice(2) as Expression[];
    this.step(expression, async (p) => {
      const outcome = await action.run(p);
      if (outcome.kind === "trap") return `trapped: ${outcome.trap} in ${outcome.function}`;
      const good = outcome.words.length === expected.length && expected.every((e, i) => matches(e, outcome.words[i] as bigint));
      return good ? "" : `gave ${outcome.words.map((w) => `0x${w.toString(16)}`).join(" ")}`;
    });
  }

  private assertTrap(expression: Expression, message: string): void {
    const subject = expression.items[1] as Expression;
    if (head(subject) === "module") {
      const name = this.defineModule(subject);
      if (name === undefined) return;
      this.step(expression, async (p) => this.judgeTrap(await p.invoke(name, instantiateName), message));
      return;
    }
    const action = this.action(subject);
    this.step(expression, async (p) => this.judgeTrap(await action.run(p), message));
  }

  private judgeTrap(outcome: Outcome, message: string): string {
    if (outcome.kind === "values") return "did not trap";
    const same: Record<string, string> = {
      "out of bounds memory access": "memory access out of bounds",
      "out of bounds table access": "table access out of bounds",
      "indirect call type mismatch": "indirect call type mismatch",
      "call stack exhausted": "stack exhausted",
    };
    const wanted = same[message] ?? message;
    // "uninitialized element 2" names the element; null references in call_indirect are uninitialized elements.
    return wanted.startsWith(outcome.trap) || outcome.trap.startsWith(wanted) ? "" : `trapped with ${outcome.trap} instead of ${message}`;
  }

  /** Expects `defineModule` to be refused with one of the codes. */
  private assertRefused(expression: Expression, codes: readonly string[]): void {
    const before = this.modules.length;
    try {
      if (this.defineModule(expression.items[1] as Expression, true) === undefined) return;
      this.fail(expression, `accepted, expected ${stringText(expression.items[2] as string)}`);
    } catch (error) {
      if (!isCoded(error)) {
        if (error instanceof Error && /parseWat|\.wast:/.test(error.message))
          this.skip("refused by wabt's text parser already: the compiler sees binaries only");
        else throw error;
      } else if (codes.includes(error.code)) this.result.passed++;
      else this.fail(expression, `refused with ${error.code}: ${error.message}`);
    }
    this.modules.length = before;
  }

  private defineOrSkip(expression: Expression): string | undefined {
    try {
      return this.defineModule(expression);
    } catch (error) {
      const grown = isCoded(error) && error.code === "MF_LINK_INCOMPATIBLE" && error.message.includes("limits");
      const follows = isCoded(error) && [...this.outOfScope].some((name) => error.message.includes(`imports ${name}.`));
      if (!grown && !follows) throw error;
      return undefined;
    }
  }

  private command(expression: Expression): void {
    if (this.current === undefined && ["invoke", "assert_return"].includes(head(expression))) {
      this.skip("imports.wast, grown-memory: a memory grown before its importer is linked; a static link has no such moment");
      return;
    }
    switch (head(expression)) {
      case "module": {
        const name = this.defineOrSkip(expression);
        if (name === undefined) {
          this.current = undefined;
          return;
        }
        this.current = name;
        this.step(expression, async (p) => {
          const outcome = await p.invoke(name, instantiateName);
          return outcome.kind === "trap" ? `instantiation trapped: ${outcome.trap}` : undefined;
        });
        return;
      }
      case "register": {
        const name = stringText(expression.items[1] as string);
        const label = expression.items[2];
        if (this.current === undefined) {
          this.outOfScope.add(name);
          this.registered.delete(name);
          return;
        }
        this.registered.set(name, typeof label === "string" ? (this.named.get(label) as string) : this.current);
        return;
      }
      case "invoke": {
        const action = this.action(expression);
        this.step(expression, async (p) => {
          const outcome = await action.run(p);
          return outcome.kind === "trap" ? `trapped: ${outcome.trap}` : undefined;
        });
        return;
      }
      case "assert_return":
        this.assertReturn(expression);
        return;
      case "assert_trap":
      case "assert_exhaustion":
        this.assertTrap(expression, stringText(expression.items[2] as string));
        return;
      case "assert_invalid":
        this.assertRefused(expression, ["MF_WASM_INVALID"]);
        return;
      case "assert_malformed":
        this.assertRefused(expression, ["MF_WASM_MALFORMED", "MF_WASM_INVALID", "MF_WASM_UNSUPPORTED"]);
        return;
      case "assert_unlinkable":
        this.assertRefused(expression, ["MF_LINK_MISSING", "MF_LINK_INCOMPATIBLE"]);
        return;
      default:
        this.fail(expression, `unknown command ${head(expression)}`);
    }
  }

  /** A file of bare module fields is one module. */
  private expressions(): readonly Expression[] {
    const list = parseScript(this.text);
    const fields = ["func", "memory", "table", "global", "type", "import", "export"];
    if (!fields.includes(head(list[0] ?? { items: [], start: 0, end: 0 }))) return list;
    const literal = JSON.stringify(this.text).replaceAll("\\n", "\\0a");
    return [{ items: ["module", "quote", literal], start: 0, end: this.text.length }];
  }

  async run(): Promise<SuiteResult> {
    this.add("spectest", decodeModule(this.convert("spectest", spectest)));
    this.registered.set("spectest", "spectest");
    for (const expression of this.expressions()) {
      try {
        this.command(expression);
      } catch (error) {
        this.current = "";
        this.fail(expression, error instanceof CodedError ? `${error.code}: ${error.message}` : String(error));
      }
    }
    this.program = linkProgram(this.modules, { platform: "bench", resolve: this.resolve, stackBytes: 2 ** 20 });
    const process = new BenchProcess(this.program);
    try {
      await process.invoke("spectest", instantiateName);
      // Everything is sent before the first answer is awaited.
      const verdicts = await Promise.all(this.steps.map((s) => s.run(process).catch((error: unknown) => String(error))));
      verdicts.forEach((verdict, i) => {
        if (verdict === "") this.result.passed++;
        else if (verdict !== undefined) this.result.failures.push(`${this.file}:${this.steps[i]?.line}: ${verdict}`);
      });
    } finally {
      await process.close();
    }
    return this.result;
  }
}
