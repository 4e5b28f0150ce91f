/** Shape of a tool: its arguments as JSON Schema, the command that it runs, and what of the answer an assistant gets. */
import type { CommandLine } from "./command.ts";
import { mcpLimits } from "./limits.ts";
import type { Permission } from "./permissions.ts";

export type Schema = Readonly<Record<string, unknown>>;

/** Arguments that have passed the schema. */
export type Arguments = Readonly<Record<string, unknown>>;

export interface Project {
  /** Folder of mayfly.yaml, without links. */
  readonly root: string;
  /** Name of the configuration in it. */
  readonly config: string;
  readonly allowed: ReadonlySet<Permission>;
}

export interface Tool {
  readonly name: string;
  readonly title: string;
  readonly description: string;
  /** Undefined: it reads, and every client may use it. */
  readonly permission?: Permission;
  /** `flows`: it runs what may be in flows, and gets no secret from the environment; `outlets`: messages leave the gateway, or other code is served. */
  readonly runs?: "flows" | "outlets";
  readonly properties: Readonly<Record<string, Schema>>;
  readonly required?: readonly string[];
  /** Throws a CodedError for arguments that no schema can judge. */
  command(given: Arguments, project: Project): CommandLine | Promise<CommandLine>;
  /** The part of the command's JSON that is shown; the whole unless it is given. */
  shown?(value: unknown, given: Arguments): unknown;
}

/** A text that a process can be given: no NUL. */
export function text(description: string, most: number = mcpLimits.argumentCharacters): Schema {
  return { type: "string", minLength: 1, maxLength: most, pattern: "^[^\\u0000]*$", description };
}

export function count(description: string, most: number, byDefault: number): Schema {
  return { type: "integer", minimum: 1, maximum: most, default: byDefault, description };
}

export function list(items: Schema, most: number, description: string): Schema {
  return { type: "array", items, minItems: 1, maxItems: most, description };
}

export const flowName: Schema = {
  type: "string",
  pattern: "^[A-Za-z][A-Za-z0-9_-]{0,63}$",
  description: "The flow's name in mayfly.yaml.",
};

export const time: Schema = {
  type: "string",
  pattern: "^([0-9]{1,9}(\\.[0-9]+)?(ms|s|m|h|d)|[0-9]{4}-[0-9]{2}-[0-9]{2}(T[0-9:.]{5,12}Z)?)$",
  description: "A duration before now such as 24h, or a date such as 2026-03-02T10:15:00Z.",
};

/** `--name=value` of those arguments that were given: a value that begins with a dash stays a value. */
export function options(given: Arguments, names: readonly string[]): string[] {
  return names.flatMap((name) => (given[name] === undefined ? [] : [`--${name}=${String(given[name])}`]));
}

/** Options that every command with a configuration takes. */
export function placed({ config }: Project): string[] {
  return [`--config=${config}`, "--json"];
}
