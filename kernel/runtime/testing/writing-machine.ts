/** A format's writer in an engine with the natives and without them: what it writes, and what it refuses, must be the same. */
import { readFileSync } from "node:fs";
import { type Box, NativeMachine } from "./native-machine.ts";

/** A compiled module as statements: what it imports is in front of it. */
function statements(path: string): string {
  return readFileSync(new URL(path, import.meta.url), "utf8")
    .replace(/^import [^;]*;$/gm, "")
    .replace(/^export (?=const|function|class)/gm, "");
}

/** The result of one text of a value: by both ways, and whether the natives wrote it. */
export interface Written {
  readonly native: string;
  readonly plain: string;
  readonly isNative: boolean;
}

/** `modules`: compiled files from this folder, the last with `stringify(value, natives, options)`. `without`: an object without natives, as script. */
export class WritingMachine {
  readonly machine: NativeMachine = new NativeMachine();
  readonly #call: Box;

  constructor(modules: readonly string[], natives: string, without: string) {
    this.machine.run(`(() => { const table = (object) => Object.assign(Object.create(null), object);
      ${modules.map(statements).join("\n")}
      const said = (writer, value, options) => { try { return "text " + stringify(value, writer, options); } catch (error) { return "error " + (error === null ? "null" : error.message); } };
      globalThis.write = (make, options) => {
        let wrote = false;
        const value = make();
        const watched = Object.fromEntries(${natives}.map((name) => [name, (...given) => { const made = native[name](...given); if (typeof made === "string") wrote = true; return made; }]));
        return JSON.stringify({ native: said(watched, value, options), plain: said(${without}, make(), options), isNative: wrote });
      };
    })()`);
    this.#call = this.machine.global("write");
  }

  /** `value`: an expression. */
  write(value: string, options: object = {}): Written {
    const { machine } = this;
    const [make, given] = [machine.run(`() => (${value})`), machine.run(`(${JSON.stringify(options)})`)];
    const result = machine.apply(this.#call, make, given);
    const text = machine.string(result);
    machine.free(make, given, result);
    return JSON.parse(text) as Written;
  }
}
