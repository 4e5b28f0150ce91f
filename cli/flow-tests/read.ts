/** Reads a *.flow-test.yaml: text → YAML with positions → schema → cases. Every fault says file, line and column. */
import { readFileSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { dirname, join, relative, resolve } from "node:path";
import { Ajv, type ErrorObject, type ValidateFunction } from "ajv";
import { isMap, isNode, isScalar, LineCounter, type Document, parseDocument } from "yaml";
import { CodedError } from "#base";
import { packageRoot } from "../package.ts";
import type { CaseSpec, GivenSpec, TestFile } from "./case.ts";
import { cliLimits } from "../limits.ts";

const bodyKeys = ["json", "jsonLike", "text", "base64", "file"] as const;

let validate: ValidateFunction | undefined;

function validator(): ValidateFunction {
  validate ??= new Ajv({ allErrors: true, strict: true, allowUnionTypes: true, strictRequired: false, verbose: true }).compile(
    JSON.parse(readFileSync(join(packageRoot, "cli", "flow-test.schema.json"), "utf8")) as object,
  );
  return validate;
}

class TestReader {
  readonly #shown: string;
  readonly #lines = new LineCounter();
  readonly #document: Document;
  readonly #faults: string[] = [];

  constructor(path: string, text: string) {
    this.#shown = relative(process.cwd(), path);
    this.#document = parseDocument(text, { lineCounter: this.#lines, prettyErrors: false, logLevel: "error" });
    for (const error of this.#document.errors) this.#fault(error.pos[0], error.message);
    this.#check();
  }

  #fault(offset: number, message: string): void {
    const { line, col } = this.#lines.linePos(offset);
    const text = `${this.#shown}:${line}:${col}: ${message}`;
    if (this.#faults.length < cliLimits.testFaults && !this.#faults.includes(text)) this.#faults.push(text);
  }

  #check(): void {
    if (this.#faults.length > 0) throw new CodedError("MF_TEST_INVALID", this.#faults.join("\n"));
  }

  /** Offset of the value at a path, or of the key `name` in it. */
  #offset(path: readonly (string | number)[], name?: string): number {
    let node: unknown = this.#document.contents;
    let offset = 0;
    for (const step of path) {
      const next: unknown = (node as { get?: (key: unknown, keep: boolean) => unknown } | null)?.get?.(step, true);
      if (!isNode(next)) break;
      node = next;
      offset = next.range?.[0] ?? offset;
    }
    if (name === undefined || !isMap(node)) return offset;
    const key = node.items.find((pair) => isScalar(pair.key) && pair.key.value === name)?.key;
    return isNode(key) ? (key.range?.[0] ?? offset) : offset;
  }

  line(index: number): number {
    return this.#lines.linePos(this.#offset(["cases", index])).line;
  }

  data(): unknown {
    const data: unknown = this.#document.toJS({ maxAliasCount: 1000 });
    const check = validator();
    if (check(data)) return data;
    for (const error of useful(check.errors ?? [])) this.#schemaFault(error);
    this.#check();
    return data;
  }

  #schemaFault(error: ErrorObject): void {
    const path = error.instancePath
      .split("/")
      .slice(1)
      .map((step) => (/^\d+$/.test(step) ? Number(step) : step.replace(/~1/g, "/").replace(/~0/g, "~")));
    const where = path
      .map((step) => (typeof step === "number" ? `[${step}]` : `.${step}`))
      .join("")
      .replace(/^\./, "");
    const unknownKey = (error.params as { additionalProperty?: string }).additionalProperty;
    if (unknownKey !== undefined) {
      const known = Object.keys((error.parentSchema as { properties?: object } | undefined)?.properties ?? {});
      this.#fault(
        this.#offset(path, unknownKey),
        `${where === "" ? "" : `${where}: `}unknown key "${unknownKey}"; known are ${known.join(", ")}`,
      );
      return;
    }
    const values = (error.params as { allowedValues?: unknown[] }).allowedValues;
    this.#fault(
      this.#offset(path),
      `${where === "" ? "" : `${where} `}${values === undefined ? (error.message ?? "is invalid") : `must be one of ${values.join(", ")}`}`,
    );
  }

  /** A rule that the schema does not express: at most one body. */
  checkBodies(value: unknown, path: readonly (string | number)[]): void {
    if (Array.isArray(value)) {
      for (const [index, each] of value.entries()) this.checkBodies(each, [...path, index]);
      return;
    }
    if (typeof value !== "object" || value === null) return;
    const given = bodyKeys.filter((key) => Object.hasOwn(value, key));
    if (given.length > 1)
      this.#fault(this.#offset(path), `${path.join(".")} has ${given.join(" and ")}: a message has one body, give only one of them`);
    for (const [key, each] of Object.entries(value))
      if (!["json", "jsonLike", "fields", "state", "states"].includes(key)) this.checkBodies(each, [...path, key]);
  }

  finish(): void {
    this.#check();
  }
}

/** Of the faults below a `oneOf` those that say most; "must match exactly one schema" helps nobody. */
function useful(errors: readonly ErrorObject[]): ErrorObject[] {
  const plain = errors.filter(({ keyword, params }) => keyword !== "oneOf" && (params as { type?: unknown }).type !== "null");
  const saysMore = (other: ErrorObject, { instancePath }: ErrorObject): boolean =>
    other.instancePath.startsWith(other.keyword === "type" ? `${instancePath}/` : instancePath);
  const precise = plain.filter((error) => error.keyword !== "type" || !plain.some((other) => saysMore(other, error)));
  return precise.length > 0 ? precise : [...errors];
}

interface RawFile {
  readonly flow?: string;
  readonly defaults?: GivenSpec;
  readonly cases: readonly Omit<CaseSpec, "line">[];
}

/** Reads one test file. Throws MF_TEST_INVALID with every fault. */
export async function readTestFile(path: string): Promise<TestFile> {
  const reader = new TestReader(path, await readFile(path, "utf8"));
  const raw = reader.data() as RawFile;
  reader.checkBodies(raw.cases, ["cases"]);
  reader.finish();
  const flow = raw.flow ?? path.slice(path.lastIndexOf("/") + 1).replace(/\.flow-test\.ya?ml$/, ".ts");
  const cases = raw.cases.map(
    (each, index): CaseSpec => ({ ...merge(raw.defaults, each), name: each.name, expect: each.expect, line: reader.line(index) }),
  );
  return { path, flow: resolve(dirname(path), flow), cases };
}

/** A case's own words win; outlets and fetches are taken together, a message's headers as well. */
function merge(defaults: GivenSpec | undefined, own: GivenSpec): GivenSpec {
  if (defaults === undefined) return own;
  const body = bodyKeys.some((key) => own.message !== undefined && Object.hasOwn(own.message, key));
  const base = Object.entries(defaults.message ?? {}).filter(([key]) => !body || !(bodyKeys as readonly string[]).includes(key));
  const headers = { ...defaults.message?.headers, ...own.message?.headers };
  return {
    ...defaults,
    ...own,
    message: { ...Object.fromEntries(base), ...own.message, headers },
    outlets: { ...defaults.outlets, ...own.outlets },
    ...(own.signals === undefined && defaults.signals === undefined ? {} : { signals: own.signals ?? defaults.signals }),
    fetch: { ...defaults.fetch, ...own.fetch },
  };
}
