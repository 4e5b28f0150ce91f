/**
 * Reads mayfly.yaml: text → YAML with positions → environment → schema → meaning. Every problem says file, line and column.
 *
 *   mayfly.yaml:12:7 MF_CONFIG_INVALID flows.orders.from[0].http.method: must be one of GET, POST, …
 */
import { basename, dirname, resolve } from "node:path";
import type { ErrorObject } from "ajv";
import { Document, isAlias, isMap, isScalar, LineCounter, type Node, parse as parseYaml, parseDocument, type Scalar, visit } from "yaml";
import type { Connectors } from "../contract/connectors.ts";
import type { ConnectorDescription } from "../contract/connector.ts";
import { gatewayLimits } from "../contract/limits.ts";
import { buildConfig } from "./build.ts";
import { type Environment, expand, type ReadSecret, secretFiles } from "./environment.ts";
import { expandConnectors } from "./expand.ts";
import { configSchema } from "./schema.ts";
import { ConfigError, type ConfigProblem, type Path, pathText, type Report } from "./problem.ts";
import { mergeDocuments, type ProfileText } from "./profile.ts";
import { pointerPath, sentence, withoutChoices } from "./sentences.ts";
import { tryConnectors } from "./trial.ts";
import { schemaCompiler } from "./validator.ts";
import type { GatewayConfig } from "../contract/config.ts";

export interface ReadOptions extends Connectors {
  readonly environment: Environment;
  /** Put over the configuration. */
  readonly profile?: ProfileText | undefined;
  /** Gives what references stand for. Absent: files below the configuration's folder, and no secrets. */
  readonly readSecret?: ReadSecret | undefined;
}

type Validate = (data: unknown) => readonly ErrorObject[];

/** Compiled once for each list of connectors: that takes longer than all the rest of reading. */
const compiled = new WeakMap<
  readonly ConnectorDescription[],
  { readonly outlets: readonly ConnectorDescription[]; readonly validate: Validate }
>();

function validator({ sources, outlets }: ReadOptions): Validate {
  const known = compiled.get(sources);
  if (known?.outlets === outlets) return known.validate;
  const validate = compile(sources, outlets);
  compiled.set(sources, { outlets, validate });
  return validate;
}

function compile(sources: readonly ConnectorDescription[], outlets: readonly ConnectorDescription[]): Validate {
  const validate = schemaCompiler().compile(configSchema(sources, outlets) as object);
  return (data) => {
    validate(data);
    return validate.errors ?? [];
  };
}

class Reader {
  readonly #lines = new LineCounter();
  /** Of the profile, whose offsets follow those of the file. */
  readonly #profile: { readonly from: number; readonly name: string; readonly lines: LineCounter } | undefined;
  /** Paths of references that nothing stands for, in a reader that goes on without, by their texts. */
  readonly missing = new Map<string, Path>();
  readonly #document: Document;
  /** Values that were one reference alone, by path. */
  readonly #references = new Map<string, Scalar>();
  /** Texts with references as they stand in the file, by path, and their values. */
  readonly written: { readonly path: Path; readonly text: string; readonly value: string }[] = [];
  readonly problems: ConfigProblem[] = [];
  /** Files that sources name and that were read, absolute. */
  files: readonly string[] = [];

  constructor(text: string, profile?: ProfileText) {
    this.#document = this.#parsed(text, this.#lines, 0);
    if (profile === undefined) return;
    const from = text.length + 1;
    this.#profile = { from, name: basename(profile.file), lines: new LineCounter() };
    mergeDocuments(this.#document, this.#parsed(profile.text, this.#profile.lines, from), from);
  }

  /** `from`: the offset at which the text begins. */
  #parsed(text: string, lineCounter: LineCounter, from: number): Document {
    const document = this.#parsedDocument(text, lineCounter, from);
    for (const error of document.errors) {
      const beside = text.slice(Math.max(0, error.pos[0] - 2), error.pos[1] + 2).includes("${"); // YAML takes the brace for the begin of a map
      const message = beside ? 'a ${NAME} within { } must be in double quotes: "${NAME}"' : error.message;
      this.#add("MF_CONFIG_SYNTAX", error.pos[0] + from, "", message);
      if (beside) break;
    }
    return document;
  }

  #parsedDocument(text: string, lineCounter: LineCounter, from: number): Document {
    try {
      return parseDocument(text, { lineCounter, prettyErrors: false, merge: true, logLevel: "error" });
    } catch (error) {
      // The parser calls itself for each level, as deep as this Node's stack allows.
      if (!(error instanceof RangeError)) throw error;
      this.#add("MF_CONFIG_SYNTAX", from, "", "the file is nested too deeply");
      return new Document({});
    }
  }

  /** At the value of `path`, or at `key` inside it, or at the nearest thing above that is in the file. */
  invalid(path: Path, message: string, key?: string, code = "MF_CONFIG_INVALID"): void {
    this.#add(code, this.#offset(path, key), pathText(key === undefined ? path : [...path, key]), message);
  }

  /**
   * Replaces references in place. Where a text is one reference alone and the schema wants a number, `retype` makes it one.
   */
  expand(environment: Environment, readSecret: ReadSecret, { without = false, isLate }: References): void {
    visit(this.#document, {
      Scalar: (key, node, parents) => {
        if (key === "key" || typeof node.value !== "string" || !node.value.includes("${")) return;
        const path = this.#pathOf(parents, node);
        const late = isLate?.(path) === true;
        const expanded = late ? expand(node.value, anything) : expand(node.value, environment, readSecret);
        if (late && expanded.ok) {
          this.missing.set(pathText(path), path);
          return;
        }
        if (!expanded.ok) {
          if (without) {
            this.missing.set(pathText(path), path);
            this.written.push({ path, text: node.value, value: node.value });
          } else this.#add("MF_CONFIG_ENV", node.range?.[0] ?? 0, pathText(path), expanded.error);
          return;
        }
        this.written.push({ path, text: node.value, value: expanded.value });
        if (/^\$\{[^}]*\}$/.test(node.value)) this.#references.set(pathText(path), node);
        node.value = expanded.value;
      },
    });
  }

  /** True when the file names a part of itself again (`*name`, also in a merge), which then has several paths. */
  get hasAliases(): boolean {
    let found = false;
    visit(this.#document, {
      Alias: () => {
        found = true;
        return visit.BREAK;
      },
    });
    return found;
  }

  /** True when the value of `path` was one reference alone and now is a number or a boolean. */
  retype(path: Path): boolean {
    const node = this.#references.get(pathText(path));
    const value = typeof node?.value === "string" ? retyped(node.value) : undefined;
    if (node === undefined || value === undefined) return false;
    node.value = value;
    return true;
  }

  data(): unknown {
    try {
      const data: unknown = this.#document.toJS({ maxAliasCount: 1000 });
      return this.hasAliases ? unshared(data) : data; // the validator puts units and defaults in place, once in each
    } catch (error) {
      this.#add("MF_CONFIG_SYNTAX", 0, "", error instanceof Error ? error.message : String(error));
      return undefined;
    }
  }

  #add(code: ConfigProblem["code"], offset: number, path: string, message: string): void {
    const profile = this.#profile !== undefined && offset >= this.#profile.from ? this.#profile : undefined;
    const { line, col } = profile === undefined ? this.#lines.linePos(offset) : profile.lines.linePos(offset - profile.from);
    const problem = { code, line, column: col, path, message, ...(profile === undefined ? {} : { file: profile.name }) };
    if (!this.problems.some((each) => each.path === path && each.message === message && each.line === line)) this.problems.push(problem);
  }

  #offset(path: Path, key: string | undefined): number {
    let node: unknown = this.#document.contents;
    let offset = (node as Node | null)?.range?.[0] ?? 0;
    for (const step of key === undefined ? path : [...path, key]) {
      if (isAlias(node)) node = node.resolve(this.#document);
      if (isMap(node)) {
        const pair = node.items.find((each) => isScalar(each.key) && each.key.value === step);
        if (pair === undefined) return offset;
        offset = (pair.key as Node).range?.[0] ?? offset;
        node = pair.value;
      } else {
        node = (node as { get?: (index: unknown, keep: boolean) => unknown } | null)?.get?.(step, true);
        if (node === undefined || node === null) return offset;
      }
      const at = (node as Node | null)?.range?.[0];
      if (at !== undefined && (key === undefined || step !== key)) offset = at;
    }
    return offset;
  }

  #pathOf(parents: readonly unknown[], node: unknown): (string | number)[] {
    const path: (string | number)[] = [];
    const chain = [...parents, node];
    for (const [index, each] of chain.entries()) {
      const child = chain[index + 1];
      const items = (each as { items?: unknown[] } | undefined)?.items;
      if (items !== undefined && !isMap(each)) path.push(items.indexOf(child));
      const pair = each as { key?: unknown; value?: unknown } | undefined;
      if (pair !== undefined && isScalar(pair.key) && pair.value === child && child !== undefined) path.push(String(pair.key.value));
    }
    return path;
  }
}

/** A copy in which no two parts are one object. */
function unshared(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(unshared);
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([name, each]) => [name, unshared(each)]));
}

function retyped(text: string): number | boolean | undefined {
  try {
    const value: unknown = parseYaml(text);
    return typeof value === "number" || typeof value === "boolean" ? value : undefined;
  } catch {
    return undefined;
  }
}

/** Values of a configuration, checked, with defaults and units; and the reader that knows where each stands. */
interface Checked {
  readonly reader: Reader;
  readonly data: unknown;
  readonly secretFiles: readonly string[];
  /** Throws a ConfigError for the problems found so far. */
  readonly check: () => void;
}

/** How references are treated. */
interface References {
  /** True: values that the environment and the files lack stay as they are written, and are not needed. */
  readonly without?: boolean;
  /** The same, but what can't be as it is written is left out, so that defaults count. */
  readonly lacking?: Lacking;
  /** Values that stay as they are written, whatever the environment holds: somebody else fills them in. */
  readonly isLate?: (path: Path) => boolean;
}

/** Paths of values that are missing. */
interface Lacking {
  readonly leftOut: Set<string>;
  /** Left out, something required would be absent: they stay for good. */
  readonly kept: Set<string>;
}

/** Has every variable. */
const anything: Environment = new Proxy({}, { get: () => "x" });

/** Reads text to values, which are checked but for those that are missing. */
export function checkedValues(text: string, file: string, options: ReadOptions, references: References = {}): Checked {
  const shown = file.split("/").at(-1) ?? file;
  if (Math.max(text.length, options.profile?.text.length ?? 0) > gatewayLimits.configBytes)
    throw new ConfigError(shown, [
      { code: "MF_CONFIG_INVALID", line: 1, column: 1, path: "", message: `the file is longer than ${gatewayLimits.configBytes} bytes` },
    ]);
  const reader = new Reader(text, options.profile);
  const check = (): void => {
    if (reader.problems.length > 0) throw new ConfigError(shown, reader.problems, reader.files);
  };
  check();
  const files = new Set<string>();
  reader.expand(options.environment, options.readSecret ?? secretFiles(dirname(resolve(file)), files), references);
  check();
  const { lacking } = references;
  const values = (): unknown => {
    const all = reader.data() ?? {};
    for (const [text, path] of reader.missing) if (lacking?.leftOut.has(text) === true) takeAway(all, path);
    return all;
  };
  const isMissing = ({ instancePath }: ErrorObject): boolean => reader.missing.has(pathText(pointerPath(instancePath, data)));
  const validate = (value: unknown): readonly ErrorObject[] => validator(options)(value);
  let data = values();
  check();
  let errors = validate(data);
  const isRetyped = ({ keyword, instancePath }: ErrorObject): boolean =>
    keyword === "type" && reader.retype(pointerPath(instancePath, data));
  if (errors.filter(isRetyped).length > 0) {
    data = values();
    errors = validate(data);
  }
  const isSettled = ({ instancePath }: ErrorObject): boolean => settle(pathText(pointerPath(instancePath, data)), reader.missing, lacking);
  while (errors.filter(isSettled).length > 0) {
    data = values();
    errors = validate(data);
  }
  errors = errors.filter((error) => !isMissing(error));
  for (const error of withoutChoices(errors)) {
    if (error.keyword === "pattern" && error.propertyName !== undefined) continue; // said better by propertyNames
    const { message, key } = sentence(error);
    reader.invalid(pointerPath(error.instancePath, data), message, key);
  }
  check();
  return { reader, data, secretFiles: [...files], check };
}

/** Takes the value of a path away, unless it is an item of a list. */
function takeAway(data: unknown, path: Path): void {
  let place = data as Record<string | number, unknown> | undefined;
  for (const step of path.slice(0, -1)) place = place?.[step] as Record<string | number, unknown> | undefined;
  const last = path.at(-1);
  if (place !== undefined && last !== undefined && !Array.isArray(place)) delete place[last];
}

/**
 * Decides on missing values by a fault at that path. A value that is at fault as it is written is left out. An object that is at fault gets back
 * what was left out of it, as it is written. True: something has changed.
 */
function settle(at: string, missing: ReadonlyMap<string, Path>, lacking: Lacking | undefined): boolean {
  if (lacking === undefined) return false;
  const { leftOut, kept } = lacking;
  if (missing.has(at)) {
    if (leftOut.has(at) || kept.has(at)) return false;
    leftOut.add(at);
    return true;
  }
  const needed = [...leftOut].filter((text) => pathText(missing.get(text)?.slice(0, -1) ?? []) === at);
  for (const text of needed) {
    leftOut.delete(text);
    kept.add(text);
  }
  return needed.length > 0;
}

/** Reads a configuration's text. `file` is its path, for messages and as the place relative paths start from. Throws a ConfigError. */
export function readConfig(text: string, file: string, options: ReadOptions): GatewayConfig {
  const { reader, data, secretFiles: files, check } = checkedValues(text, file, options);
  const base = dirname(resolve(file));
  const report: Report = (path, message, key, code) => reader.invalid(path, message, key, code);
  reader.files = expandConnectors(data as never, base, options, report);
  check();
  const config = { ...buildConfig(data as never, base, options, report), secretFiles: files, contractFiles: reader.files };
  check();
  tryConnectors(config, options, (path, message, code) => reader.invalid(path, message, undefined, code));
  check();
  return config;
}

/**
 * The same for who does not serve it, without values that the environment lacks: they stay as they are written, or are left out where they can't
 * be so, and in `values`. No connector is made of what is there. Throws a ConfigError.
 */
export function readConfigWithout(text: string, file: string, options: ReadOptions): GatewayConfig {
  const base = dirname(resolve(file));
  const lacking: Lacking = { leftOut: new Set(), kept: new Set() };
  for (;;) {
    const { reader, data, secretFiles: files, check } = checkedValues(text, file, options, { without: true, lacking });
    let isSettled = true;
    const leave = (name: string): void => {
      if (settle(name, reader.missing, lacking)) isSettled = false;
    };
    for (const [name, path] of reader.missing) if (path[0] === "flows" && path[2] === "values") leave(name);
    const report: Report = (path, message, key, code) => {
      const name = pathText(key === undefined ? path : [...path, key]);
      if (reader.missing.has(name)) leave(name);
      else reader.invalid(path, message, key, code);
    };
    reader.files = expandConnectors(data as never, base, options, report);
    check();
    const config = { ...buildConfig(data as never, base, options, report), secretFiles: files, contractFiles: reader.files };
    check();
    if (isSettled) return config;
  }
}

/** Names of settings that hold secrets, however they are written. */
const secretNames =
  /^(bearer|basic|password|passphrase|secret|secrets|token|digest|accessKey|secretKey|secretAccessKey|sessionToken|privateKey|clientSecret|keys|authorization|cookie|x-api-key|nkey)$/i;
const masked = "[masked]";

/** Without user and password of each URL in it. */
function withoutUser(text: string): string {
  return text.replace(/(:\/\/)[^/@\s]+@/g, `$1${masked}@`);
}

/** Settings whose values are all secret, and those that are so below another. */
function isSecretName(name: string, value: unknown, above: string): boolean {
  if (secretNames.test(name) || name === "values") return true;
  if (name === "headers") return !Array.isArray(value); // a list is of names
  return name === "key" && above === "apiKey";
}

/** `written`: for values that were references, the text in the file. */
function mask(value: unknown, written: ReadonlyMap<string, string>, isSecret = false, above = ""): unknown {
  if (typeof value === "string")
    return written.get(value) ?? (isSecret || value.includes("PRIVATE KEY-----") ? masked : withoutUser(value));
  if (Array.isArray(value)) return value.map((each) => mask(each, written, isSecret, above));
  if (typeof value !== "object" || value === null) return isSecret ? masked : value;
  return Object.fromEntries(
    Object.entries(value).map(([name, each]) => [name, mask(each, written, isSecret || isSecretName(name, each, above), name)]),
  );
}

/**
 * Every setting as it counts, defaults included, without secrets: what came from a reference is shown as it was written, and need not be there.
 * Throws a ConfigError.
 */
export function shownConfig(text: string, file: string, options: ReadOptions): unknown {
  const { reader, data } = checkedValues(text, file, options, { without: true });
  // A part that is named again stands at paths of its own: there its references are known by their values.
  const references = reader.hasAliases ? reader.written.filter(({ value }) => value !== "") : [];
  const shown = mask(data, new Map(references.map(({ value, text: written }) => [value, withoutUser(written)])));
  for (const { path, text: written } of reader.written) {
    let place = shown as Record<string | number, unknown> | undefined;
    for (const step of path.slice(0, -1)) place = place?.[step] as Record<string | number, unknown> | undefined;
    const last = path.at(-1);
    if (place !== undefined && last !== undefined) place[last] = withoutUser(written);
  }
  return shown;
}
