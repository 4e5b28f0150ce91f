/** A contract as the configuration holds it: plain data, so that a reload sees what has changed. All schemas are JSON Schema 2020-12. */
import { CodedError } from "#base";
import type { JsonSchema } from "#gateway/contract";

export type Place = "path" | "query" | "header" | "cookie";

export interface ContractParameter {
  readonly name: string;
  readonly in: Place;
  readonly required: boolean;
  readonly style: string;
  readonly explode: boolean;
  /** True where the value is JSON (`content: application/json`). */
  readonly json: boolean;
  readonly schema: JsonSchema;
}

/** By media type or range, in lower case and without parameters. */
export type MediaTypes = Readonly<Record<string, ContractMedia>>;

export interface ContractMedia {
  /** Undefined: anything of that type. */
  readonly schema?: JsonSchema | undefined;
  /** Media types of a form's parts, by name. */
  readonly parts: Readonly<Record<string, string>>;
}

export interface ContractReply {
  readonly content: MediaTypes;
  /** Names of headers that it must have, in lower case. */
  readonly headers: readonly string[];
}

export interface ContractOperation {
  readonly id: string;
  readonly method: string;
  /** `/orders/{id}` */
  readonly template: string;
  /** As the router has it: `/orders/:id`, behind the source's prefix. */
  readonly path: string;
  /** Names of path parameters as the router has them, with the contract's. */
  readonly names: Readonly<Record<string, string>>;
  readonly parameters: readonly ContractParameter[];
  readonly body: { readonly required: boolean; readonly content: MediaTypes } | undefined;
  /** By status: `200`, `4XX`, `default`. Empty: replies are not checked. */
  readonly replies: Readonly<Record<string, ContractReply>>;
  /** Names of the security schemes it asks for; empty if a caller may do without. */
  readonly security: readonly string[];
}

export interface Contract {
  /** As written in mayfly.yaml. */
  readonly file: string;
  readonly operations: readonly ContractOperation[];
  /** Ids of all operations of the document. */
  readonly all: readonly string[];
  /** Schemas that references name: `#/components/schemas/NAME`. */
  readonly schemas: Readonly<Record<string, JsonSchema>>;
  /** Where each of them was, by name: the same for the same place. */
  readonly origins: Readonly<Record<string, string>>;
  /** OpenAPI 3.1: the operations above with all that they refer to. */
  readonly document: JsonSchema;
}

export type Plain = Readonly<Record<string, unknown>>;

export function isPlain(value: unknown): value is Plain {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

export function unusable(code: string, place: string, what: string): CodedError {
  return new CodedError(code, `${place}: ${what}`);
}

/** A step of a JSON pointer. */
export function escaped(step: string): string {
  return step.replace(/~/g, "~0").replace(/\//g, "~1");
}
