/** TypeScript types of a contract: its schemas by name, and `Operations` for `flow<Operations["createOrder"]>`. */
import { normalize, resolve } from "node:path";
import type { GatewayConfig, JsonSchema } from "#gateway/contract";
import type { HttpSourceConfig } from "../source-settings.ts";
import { dereferenced } from "./coerce.ts";
import { type Contract, type ContractOperation, type ContractReply, isPlain, type MediaTypes, type Place } from "./model.ts";
import { ContractFiles } from "./files.ts";
import { isJson, readContract } from "./read.ts";
import { componentPrefix } from "./schemas.ts";

const builtIn = new Set(["Operations", "Record", "Uint8Array", "Array", "Readonly"]);
const keywords = new Set([
  "string",
  "number",
  "boolean",
  "unknown",
  "never",
  "null",
  "undefined",
  "object",
  "any",
  "void",
  "symbol",
  "bigint",
]);

/** A name's own, and as it may stand in TypeScript. */
function typeNames(names: readonly string[]): ReadonlyMap<string, string> {
  const taken = new Set<string>();
  const found = new Map<string, string>();
  for (const name of names) {
    const plain = name.replace(/\W/g, "_").replace(/^(?=\d)/, "_");
    const wanted = builtIn.has(plain) || keywords.has(plain) || reserved.has(plain) ? `${plain}_` : plain;
    let own = wanted;
    for (let count = 2; taken.has(own); count++) own = `${wanted}_${count}`;
    taken.add(own);
    found.set(name, own);
  }
  return found;
}

const reserved = new Set(
  "break case catch class const continue debugger default delete do else enum export extends false finally for function if import in instanceof new return super switch this throw true try typeof var while with implements interface let package private protected public static yield await".split(
    " ",
  ),
);

function key(name: string): string {
  return /^[A-Za-z_$][\w$]*$/.test(name) ? name : JSON.stringify(name);
}

function comment(text: unknown, indent: string): string {
  if (typeof text !== "string" || text.trim() === "") return "";
  return `${indent}/** ${text.trim().replace(/\*\//g, "*\\/").replace(/\s+/g, " ")} */\n`;
}

class TypeWriter {
  readonly #names: ReadonlyMap<string, string>;
  readonly #contract: Contract;

  constructor(contract: Contract) {
    this.#contract = contract;
    this.#names = typeNames(Object.keys(contract.schemas));
  }

  file(): string {
    const { schemas, file, operations } = this.#contract;
    const types = Object.entries(schemas).map(
      ([name, schema]) => `${comment(schema["description"], "")}export type ${this.#names.get(name)} = ${this.type(schema, "")};\n`,
    );
    const own = operations.map((operation) => this.#operation(operation));
    return [
      `// Written by \`mayfly types\` from ${file.replace(/\s/g, " ")}: changes are lost.\n`,
      ...types,
      `export interface Operations {\n${own.join("")}}\n`,
    ].join("\n");
  }

  type(given: unknown, indent: string): string {
    if (given === false) return "never";
    if (!isPlain(given)) return "unknown";
    const parts = [
      ...(typeof given["$ref"] === "string" ? [this.#names.get(given["$ref"].slice(componentPrefix.length)) ?? "unknown"] : []),
      ...this.#own(given, indent),
      ...list(given["allOf"]).map((each) => this.type(each, indent)),
      ...["anyOf", "oneOf"].flatMap((name) =>
        Array.isArray(given[name]) ? [union(list(given[name]).map((each) => this.type(each, indent)))] : [],
      ),
    ].filter((part) => part !== "unknown");
    const [only = "unknown"] = parts;
    return parts.length > 1 ? parts.map(grouped).join(" & ") : only;
  }

  /** Of the schema's own keywords. */
  #own(schema: JsonSchema, indent: string): readonly string[] {
    if ("const" in schema) return [literal(schema["const"])];
    if (Array.isArray(schema["enum"])) return [union(schema["enum"].map(literal))];
    const isObject = schema["properties"] !== undefined || schema["additionalProperties"] !== undefined;
    const isList = schema["items"] !== undefined || schema["prefixItems"] !== undefined;
    const named = schema["type"] === undefined ? (isObject ? ["object"] : isList ? ["array"] : []) : [schema["type"]].flat();
    return named.length === 0 ? [] : [union(named.map((name) => this.#named(String(name), schema, indent)))];
  }

  #named(name: string, schema: JsonSchema, indent: string): string {
    if (name === "integer" || name === "number") return "number";
    if (name === "array") return this.#list(schema, indent);
    if (name === "object") return this.#object(schema, indent);
    return ["string", "boolean", "null"].includes(name) ? name : "unknown";
  }

  #list(schema: JsonSchema, indent: string): string {
    const first = list(schema["prefixItems"]).map((each) => this.type(each, indent));
    const rest = `${grouped(this.type(schema["items"], indent))}[]`;
    if (first.length === 0) return rest;
    return `[${first.map((each) => `(${each})?`).join(", ")}${schema["items"] === false ? "" : `, ...${rest}`}]`;
  }

  #object(schema: JsonSchema, indent: string): string {
    const properties = isPlain(schema["properties"]) ? Object.entries(schema["properties"]) : [];
    const more = schema["additionalProperties"];
    const inner = `${indent}  `;
    if (properties.length === 0)
      return more === false ? "Record<string, never>" : `Record<string, ${isPlain(more) ? this.type(more, indent) : "unknown"}>`;
    const required = list(schema["required"]);
    const members = properties.map(([name, each]) => {
      const property = isPlain(each) ? each : {};
      const isThere = required.includes(name) && property["readOnly"] !== true && property["writeOnly"] !== true;
      return `${comment(property["description"], inner)}${inner}${key(name)}${isThere ? "" : "?"}: ${this.type(each, inner)}${isThere ? "" : " | undefined"};\n`;
    });
    const index = isPlain(more) || more === true ? `${inner}[name: string]: unknown;\n` : "";
    return `{\n${members.join("")}${index}${indent}}`;
  }

  #operation(operation: ContractOperation): string {
    const { id, body, replies } = operation;
    const lines = [
      ["operation", JSON.stringify(id)],
      ...(["path", "query", "header", "cookie"] as const).map((place) => [place, this.#parameters(operation, place)]),
      ["body", body === undefined ? "undefined" : this.#body(body.content)],
      [
        "replies",
        `{\n${Object.keys(replies).length === 0 ? "      default: unknown;\n" : ""}${Object.entries(replies)
          .map(([status, reply]) => `      ${/^\d+$/.test(status) ? status : JSON.stringify(status)}: ${this.#reply(reply)};\n`)
          .join("")}    }`,
      ],
    ];
    return `${comment(this.#summary(operation), "  ")}  ${key(id)}: {\n${lines.map(([name, type]) => `    ${name}: ${type};\n`).join("")}  };\n`;
  }

  #summary({ template, method }: ContractOperation): unknown {
    const paths = this.#contract.document["paths"] as Readonly<Record<string, Readonly<Record<string, JsonSchema>>>>;
    return paths[template]?.[method.toLowerCase()]?.["summary"];
  }

  #parameters({ parameters }: ContractOperation, place: Place): string {
    const own = parameters.filter((each) => each.in === place);
    if (own.length === 0) return "{}";
    const members = own.map(({ name, required, schema }) => {
      const isThere = required || dereferenced(schema, this.#contract.schemas)["default"] !== undefined;
      return `${key(place === "header" ? name.toLowerCase() : name)}${isThere ? "" : "?"}: ${this.type(schema, "    ")}${isThere ? "" : " | undefined"}`;
    });
    return `{ ${members.join("; ")} }`;
  }

  /** Of JSON: the flow reads other bodies by other functions. */
  #body(content: MediaTypes): string {
    const types = Object.entries(content).flatMap(([type, { schema }]) => (isJson(type) ? [this.type(schema ?? {}, "    ")] : []));
    return types.length === 0 ? "unknown" : union(types);
  }

  #reply({ content }: ContractReply): string {
    const types = Object.entries(content).map(([type, { schema }]) =>
      isJson(type) ? this.type(schema ?? {}, "    ") : "string | Uint8Array",
    );
    return types.length === 0 ? "undefined" : union(types);
  }
}

function list(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? (value as unknown[]) : [];
}

function literal(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(literal).join(", ")}]`;
  if (isPlain(value))
    return `{ ${Object.entries(value)
      .map(([name, each]) => `${key(name)}: ${literal(each)}`)
      .join("; ")} }`;
  return JSON.stringify(value);
}

function union(types: readonly string[]): string {
  return types.includes("unknown") ? "unknown" : [...new Set(types)].join(" | ") || "never";
}

/** In parentheses where an operator beside it would bind to a part. */
function grouped(type: string): string {
  return /^[\w.]+$|^\{[^{}]*\}$|^"[^"]*"$/.test(type) ? type : `(${type})`;
}

/** Path of the file of types beside a contract: `petstore.types.ts` for `petstore.yaml`. */
function typesFile(file: string): string {
  return `${file.replace(/\.(?:ya?ml|json)$/i, "")}.types.ts`;
}

/** Texts of the files of types by path, absolute: one for each document, with the operations that are served. Throws MF_CONTRACT_ codes. */
export function contractTypes({ flows, base }: Pick<GatewayConfig, "flows" | "base">): ReadonlyMap<string, string> {
  const served = new Map<string, string[]>();
  const sources = Object.values(flows).flatMap(({ from, signals }) => [
    ...from,
    ...Object.values(signals).flatMap((signal) => signal.from),
  ]);
  for (const { connector, config } of sources) {
    const { contract } = config as HttpSourceConfig;
    if (connector !== "http" || contract === undefined) continue;
    const file = normalize(contract.file);
    served.set(file, [...(served.get(file) ?? []), ...contract.operations.map(({ id }) => id)]);
  }
  // Read anew for all sources together, so that a schema has one name.
  const texts = [...served].map(([file, wanted]): [string, string] => [
    resolve(base, typesFile(file)),
    new TypeWriter(readContract(new ContractFiles(base), { file, prefix: "", wanted })).file(),
  ]);
  return new Map(texts);
}
