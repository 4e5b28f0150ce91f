/** Checks requests and replies against the operations of a contract. What is compiled here is compiled when the source is made. */
import type { IncomingHttpHeaders } from "node:http";
import type { HeadersDraft } from "#abi";
import type { JsonSchema, Problem, Reply } from "#gateway/contract";
import { multipartForm, urlencodedForm } from "./forms.ts";
import { contractLimits } from "./limits.ts";
import type { Contract, ContractMedia, ContractOperation, ContractReply, MediaTypes } from "./model.ts";
import { keyOf, Malformed, readParameters } from "./parameters.ts";
import { isJson, plainType } from "./read.ts";
import { type Breach, type Check, type Direction, quoted, Validators } from "./validators.ts";
import { OutOfTime } from "./within-time.ts";

export interface CheckedRequest {
  /** As the router has them. */
  readonly parameters: Readonly<Record<string, string | undefined>>;
  readonly query: string;
  readonly headers: IncomingHttpHeaders;
  readonly body: Uint8Array;
  /** True where the body is in the body store instead. */
  readonly isStored: boolean;
}

interface CompiledMedia {
  readonly media: ContractMedia;
  readonly check: Check | undefined;
}

type Compiled = Readonly<Record<string, CompiledMedia>>;

/** The entry for a media type: its own, that of its range, or that of all. */
function mediaOf<Entry>(content: Readonly<Record<string, Entry>>, type: string): Entry | undefined {
  for (const name of [type, `${type.split("/")[0] ?? ""}/*`, "*/*"]) if (Object.hasOwn(content, name)) return content[name];
  return undefined;
}

/** The entry for a status: `404`, `4XX` or `default`. */
export function replyOf<Entry>(replies: Readonly<Record<string, Entry>>, status: number): Entry | undefined {
  for (const name of [String(status), `${Math.floor(status / 100)}XX`, "default"]) if (Object.hasOwn(replies, name)) return replies[name];
  return undefined;
}

const openers = new Set([0x7b, 0x5b]);
const closers = new Set([0x7d, 0x5d]);

/** True if a JSON text has more levels than are checked. */
function isTooDeep(body: Uint8Array): boolean {
  let depth = 0;
  let inText = false;
  for (let at = 0; at < body.length; at++) {
    const byte = body[at] as number;
    if (inText) {
      if (byte === 0x5c) at += 1;
      else if (byte === 0x22) inText = false;
    } else if (byte === 0x22) inText = true;
    else if (openers.has(byte) && ++depth > contractLimits.bodyDepth) return true;
    else if (closers.has(byte)) depth -= 1;
  }
  return false;
}

const decoder = new TextDecoder("utf-8", { fatal: true });

/** Never throws. */
function jsonOf(body: Uint8Array): { readonly value: unknown } | { readonly breach: Breach } {
  if (isTooDeep(body))
    return { breach: { pointer: "", rule: "depth", message: `must not have more than ${contractLimits.bodyDepth} levels` } };
  try {
    return { value: JSON.parse(decoder.decode(body)) as unknown };
  } catch {
    return { breach: { pointer: "", rule: "json", message: "must be JSON in UTF-8" } };
  }
}

/** One operation. */
export class OperationCheck {
  readonly operation: ContractOperation;
  readonly #contract: Contract;
  readonly #parameters: Check;
  readonly #body: Compiled;
  readonly #replies: Readonly<Record<string, { readonly reply: ContractReply; readonly content: Compiled }>>;

  /** Throws MF_CONTRACT_SCHEMA. */
  constructor(contract: Contract, operation: ContractOperation, validators: Validators) {
    this.operation = operation;
    this.#contract = contract;
    const place = `${contract.file}, operation ${operation.id}`;
    const compiled = (content: MediaTypes, side: Direction, what: string): Compiled =>
      Object.fromEntries(
        Object.entries(content).map(([type, media]) => [
          type,
          { media, check: media.schema === undefined ? undefined : validators.compile(media.schema, side, `${place}, ${what}, ${type}`) },
        ]),
      );
    this.#parameters = validators.compile(parametersSchema(operation), "request", `${place}, parameters`);
    this.#body = compiled(operation.body?.content ?? {}, "request", "body");
    this.#replies = Object.fromEntries(
      Object.entries(operation.replies).map(([status, reply]) => [status, { reply, content: compiled(reply.content, "reply", status) }]),
    );
  }

  /** True where a body is looked into, so that it must be in memory as a whole. */
  get readsBody(): boolean {
    return this.operation.body === undefined || Object.entries(this.#body).some(([type, { check }]) => check !== undefined || isJson(type));
  }

  /** The headers that a flow gets besides the caller's, or why nothing is run. */
  request(request: CheckedRequest): HeadersDraft | Problem {
    try {
      return this.#request(request);
    } catch (error) {
      if (error instanceof OutOfTime) return this.#problem("body", { pointer: "", rule: "time", message: "takes too long to check" });
      throw error;
    }
  }

  #request({ parameters, query, headers, body, isStored }: CheckedRequest): HeadersDraft | Problem {
    const { names, parameters: declared } = this.operation;
    const path = Object.fromEntries(Object.entries(parameters).map(([name, value]) => [names[name] ?? name, value]));
    try {
      const values = readParameters(declared, { path, query, headers }, this.#contract.schemas);
      const breach = this.#parameters(values, query.length);
      if (breach !== undefined) return this.#badParameter(breach);
      return (
        this.#badBody(headers["content-type"], body, isStored) ?? {
          "mayfly-operation": this.operation.id,
          "mayfly-parameters": JSON.stringify(values),
        }
      );
    } catch (error) {
      if (!(error instanceof Malformed)) throw error;
      return this.#problem(error.at.in, { pointer: `/${keyOf(error.at)}`, rule: error.rule, message: error.message });
    }
  }

  #badParameter({ pointer, missing, ...breach }: Breach): Problem {
    const [, place = "", ...steps] = pointer.split("/");
    const within = steps.map((step) => `/${step}`).join("");
    if (steps.length > 0 || missing === undefined) return this.#problem(place, { ...breach, pointer: within });
    return this.#problem(place, { ...breach, pointer: `/${missing}`, message: "is missing" });
  }

  #badBody(contentType: string | undefined, body: Uint8Array, isStored: boolean): Problem | undefined {
    const { body: declared } = this.operation;
    if (body.length === 0 && !isStored)
      return declared?.required === true ? this.#problem("body", { pointer: "", rule: "required", message: "is missing" }) : undefined;
    if (declared === undefined)
      return this.#problem("body", { pointer: "", rule: "unexpected", message: "must be empty: the operation has none" });
    const type = plainType(contentType ?? "");
    const found = mediaOf(this.#body, type);
    if (found === undefined) {
      const accepted = Object.keys(this.#body).join(", ");
      return {
        status: 415,
        code: "MF_CONTRACT_MEDIA",
        detail: `the operation ${this.operation.id} takes no body of type ${type === "" ? "none" : quoted(type)}: send ${accepted}`,
        headers: { accept: accepted },
      };
    }
    if (isStored) return undefined; // of a type that is not looked into, since others are not stored
    const breach = this.#bodyBreach(found, type, contentType ?? "", body);
    return breach === undefined ? undefined : this.#problem("body", breach);
  }

  #bodyBreach({ media, check }: CompiledMedia, type: string, contentType: string, body: Uint8Array): Breach | undefined {
    if (check === undefined || media.schema === undefined) return isJson(type) ? breachIn(jsonOf(body)) : undefined;
    const rules = { schema: media.schema, schemas: this.#contract.schemas, parts: media.parts };
    const read =
      type === "application/x-www-form-urlencoded"
        ? urlencodedForm(body, rules)
        : type === "multipart/form-data"
          ? multipartForm(body, contentType, rules)
          : valueOf(type, body);
    if (read === undefined) return undefined;
    return "breach" in read ? read.breach : check(read.value, body.length);
  }

  /** Checks a reply; undefined if it keeps to the contract. */
  reply({ status, contentType, body, headers }: Reply): Breach | undefined {
    if (Object.keys(this.#replies).length === 0) return undefined; // it says nothing of them
    const found = replyOf(this.#replies, status);
    if (found === undefined) return { pointer: "", rule: "status", message: `has the status ${status}, which the contract does not list` };
    const missing = found.reply.headers.find((name) => headers[name] === undefined);
    if (missing !== undefined) return { pointer: "", rule: "header", message: `has no header ${missing}` };
    if (body.length === 0)
      return Object.keys(found.content).length === 0 || withoutContent.has(status)
        ? undefined
        : { pointer: "", rule: "body", message: "has no body" };
    const type = plainType(contentType);
    const media = mediaOf(found.content, type);
    if (media === undefined)
      return {
        pointer: "",
        rule: "media type",
        message: `has a body of type ${type === "" ? "none" : quoted(type)}, which the contract does not list`,
      };
    if (body.length > contractLimits.bodyBytes)
      return { pointer: "", rule: "length", message: `is longer than the ${contractLimits.bodyBytes} bytes that are checked` };
    try {
      const read = media.check === undefined ? undefined : valueOf(type, body);
      if (read === undefined) return undefined;
      return "breach" in read ? read.breach : media.check?.(read.value, body.length);
    } catch (error) {
      if (error instanceof OutOfTime) return { pointer: "", rule: "time", message: "takes too long to check" };
      throw error;
    }
  }

  #problem(place: string, { pointer, rule, message }: Breach): Problem {
    const where = place === "body" ? `the body${pointer === "" ? "" : ` at ${pointer}`}` : `the ${place} parameter ${pointer.slice(1)}`;
    return {
      status: 400,
      code: "MF_CONTRACT_REQUEST",
      detail: `the request breaks the contract of ${this.operation.id}: ${where} ${message}`,
      more: { in: place, pointer, rule },
    };
  }
}

/** RFC 9110: their replies never have content. */
const withoutContent = new Set([204, 205, 304]);

function breachIn(read: object): Breach | undefined {
  return "breach" in read ? (read.breach as Breach) : undefined;
}

/** Undefined for a type whose bodies are not looked into. */
function valueOf(type: string, body: Uint8Array): ReturnType<typeof jsonOf> | undefined {
  if (isJson(type)) return jsonOf(body);
  return type.startsWith("text/") ? { value: Buffer.from(body.buffer, body.byteOffset, body.byteLength).toString("utf8") } : undefined;
}

function parametersSchema({ parameters }: ContractOperation): JsonSchema {
  const places = ["path", "query", "header", "cookie"].map((place) => {
    const own = parameters.filter((each) => each.in === place);
    const properties = Object.fromEntries(own.map((each) => [keyOf(each), each.schema]));
    return [place, { type: "object", properties, required: own.filter(({ required }) => required).map(keyOf) }];
  });
  return { type: "object", properties: Object.fromEntries(places) as object };
}

const compiled = new WeakMap<Contract, readonly OperationCheck[]>();

/** The checks of all operations. A contract is compiled once, however many sources are made of it. Throws MF_CONTRACT_SCHEMA. */
export function contractChecks(contract: Contract): readonly OperationCheck[] {
  const known = compiled.get(contract);
  if (known !== undefined) return known;
  const validators = new Validators(contract.schemas);
  const checks = contract.operations.map((operation) => new OperationCheck(contract, operation, validators));
  compiled.set(contract, checks);
  return checks;
}
