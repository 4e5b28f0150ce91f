/** Reads a contract: from an OpenAPI document its operations, as far as one source serves them. */
import { CodedError } from "#base";
import type { JsonSchema } from "#gateway/contract";
import { type ContractFiles, type Located } from "./files.ts";
import { contractLimits } from "./limits.ts";
import {
  type Contract,
  type ContractMedia,
  type ContractOperation,
  type ContractParameter,
  type ContractReply,
  isPlain,
  type MediaTypes,
  type Place,
  type Plain,
} from "./model.ts";
import { routePath } from "./route-path.ts";
import { Schemas } from "./schemas.ts";

const methods = ["get", "put", "post", "delete", "options", "head", "patch", "trace"];
const places: readonly string[] = ["path", "query", "header", "cookie"];
const styles: Readonly<Record<Place, readonly string[]>> = {
  path: ["simple"],
  query: ["form", "deepObject", "spaceDelimited", "pipeDelimited"],
  header: ["simple"],
  cookie: ["form"],
};
/** OpenAPI says these elsewhere (Parameter Object, `name`). */
const notParameters = new Set(["accept", "content-type", "authorization"]);

interface Found {
  readonly id: string;
  readonly method: string;
  readonly template: string;
  readonly item: Located;
  readonly operation: Located;
}

export interface ReadOptions {
  /** As in mayfly.yaml. */
  readonly file: string;
  /** Before each path: "" or `/v1`. */
  readonly prefix: string;
  /** Ids of the operations to serve; undefined: all. */
  readonly wanted: readonly string[] | undefined;
}

class Reader {
  readonly #files: ContractFiles;
  readonly #schemas: Schemas;
  readonly #top: Located;
  readonly #options: ReadOptions;

  constructor(files: ContractFiles, options: ReadOptions) {
    this.#files = files;
    this.#options = options;
    this.#top = files.open(options.file);
    const version = isPlain(this.#top.value) ? String(this.#top.value["openapi"] ?? this.#top.value["swagger"] ?? "") : "";
    if (!/^3\.[01]\.\d+/.test(version))
      throw new CodedError(
        "MF_CONTRACT_VERSION",
        `${options.file} ${version === "" ? "is no OpenAPI document" : `is OpenAPI ${version}`}: write it in OpenAPI 3.1 or 3.0, with the version as \`openapi: 3.1.0\``,
      );
    this.#schemas = new Schemas(files, version.startsWith("3.0"));
  }

  read(): Contract {
    const { file, wanted } = this.#options;
    const found = this.#operations();
    const unknown = wanted?.find((id) => !found.some((each) => each.id === id));
    if (unknown !== undefined)
      throw new UnknownOperation(
        unknown,
        file,
        found.map(({ id }) => id),
      );
    const chosen = found.filter(({ id }) => wanted === undefined || wanted.includes(id));
    const written: Record<string, Record<string, JsonSchema>> = Object.create(null) as Record<string, Record<string, JsonSchema>>;
    const operations = chosen.map((each): ContractOperation => {
      const operation = this.#operation(each);
      (written[each.template] ??= {})[each.method] = this.#written(each, operation);
      return operation;
    });
    const schemas = { ...this.#schemas.components };
    const { origins } = this.#schemas;
    return { file, operations, all: found.map(({ id }) => id), schemas, origins, document: this.#document(written, schemas) };
  }

  /** Every operation of the document, with its id. */
  #operations(): readonly Found[] {
    const found: Found[] = [];
    const paths = this.#member(this.#top, "paths");
    for (const template of Object.keys(this.#plain(paths, "needs paths"))) {
      if (template.startsWith("x-")) continue;
      const item = this.#resolved(this.#member(paths, template) as Located);
      this.#plain(item, "is no path item");
      for (const method of methods) {
        const operation = this.#member(item, method);
        if (operation === undefined) continue;
        if (method === "trace") throw this.#wrong(operation, "has the method TRACE, which no source serves: remove it");
        const id = this.#plain(operation, "is no operation")["operationId"] ?? derivedId(method, template);
        if (typeof id !== "string" || id === "") throw this.#wrong(operation, "has an operationId that is no text");
        const twin = found.find((each) => each.id === id);
        if (twin !== undefined)
          throw this.#wrong(
            operation,
            `has the operationId ${id} of ${twin.method.toUpperCase()} ${twin.template}: give each operation its own`,
          );
        found.push({ id, method, template, item, operation });
      }
    }
    if (found.length === 0) throw this.#wrong(paths ?? this.#top, "has no operation: add one");
    if (found.length > contractLimits.operations)
      throw new CodedError("MF_CONTRACT_LIMIT", `${this.#options.file} has more than ${contractLimits.operations} operations`);
    return found;
  }

  #operation({ id, method, template, item, operation }: Found): ContractOperation {
    const route = routePath(template, this.#options.prefix);
    if (typeof route === "string") throw this.#wrong(operation, route);
    const parameters = this.#parameters(item, operation);
    const declared = parameters.filter((each) => each.in === "path").map(({ name }) => name);
    const missing = Object.values(route.names).find((name) => !declared.includes(name));
    if (missing !== undefined)
      throw this.#wrong(operation, `the path has {${missing}}, and no parameter with \`in: path\` is named so: add it`);
    const extra = declared.find((name) => !Object.values(route.names).includes(name));
    if (extra !== undefined) throw this.#wrong(operation, `the path ${template} has no {${extra}}: add it, or remove the parameter`);
    const body = this.#member(operation, "requestBody");
    const replies = this.#member(operation, "responses");
    const withReplies = replies === undefined ? {} : this.#plain(replies, "must have a reply for each status"); // 3.1 may do without
    return {
      id,
      method: method.toUpperCase(),
      template,
      path: route.path,
      names: route.names,
      parameters,
      body: body === undefined ? undefined : this.#body(this.#resolved(body)),
      replies: Object.fromEntries(
        Object.keys(withReplies)
          .filter((status) => !status.startsWith("x-"))
          .map((status) => [status.toUpperCase().replace("DEFAULT", "default"), this.#reply(status, replies as Located)]),
      ),
      security: this.#security(operation),
    };
  }

  #parameters(item: Located, operation: Located): readonly ContractParameter[] {
    const found = new Map<string, ContractParameter>();
    for (const holder of [item, operation]) {
      const list = this.#member(holder, "parameters");
      if (list === undefined) continue;
      if (!Array.isArray(list.value)) throw this.#wrong(list, "must be a list");
      list.value.forEach((value: unknown, index) => {
        const parameter = this.#parameter(this.#resolved({ file: list.file, steps: [...list.steps, String(index)], value }));
        if (parameter !== undefined) found.set(`${parameter.in} ${parameter.name}`, parameter);
      });
    }
    return [...found.values()];
  }

  #parameter(from: Located): ContractParameter | undefined {
    const { name, in: place, required, style, explode } = this.#plain(from, "is no parameter");
    if (typeof name !== "string" || name === "") throw this.#wrong(from, "needs a name");
    if (typeof place !== "string" || !places.includes(place)) throw this.#wrong(from, `must be \`in\` one of ${places.join(", ")}`);
    const where = place as Place;
    if (where === "header" && notParameters.has(name.toLowerCase())) return undefined;
    const [usual = ""] = styles[where];
    const own = style ?? usual;
    if (!styles[where].includes(String(own))) throw this.#wrong(from, `has the style ${String(own)}, which is not supported: use ${usual}`);
    const content = this.#member(from, "content");
    const [media] = content === undefined ? [] : Object.keys(this.#plain(content, "must have a media type"));
    if (content !== undefined && (media === undefined || !isJson(media))) throw this.#wrong(content, "must be application/json");
    const holder = content === undefined ? from : (this.#member(content, media as string) as Located);
    const schema = this.#member(holder, "schema");
    return {
      name,
      in: where,
      required: required === true || where === "path",
      style: String(own),
      explode: typeof explode === "boolean" ? explode : own === "form",
      json: content !== undefined,
      schema: schema === undefined ? {} : this.#schemas.use(schema),
    };
  }

  #body(from: Located): NonNullable<ContractOperation["body"]> {
    const { required } = this.#plain(from, "is no request body");
    const content = this.#member(from, "content");
    if (content === undefined) throw this.#wrong(from, "needs `content`");
    return { required: required === true, content: this.#media(content) };
  }

  #reply(status: string, replies: Located): ContractReply {
    if (!/^([1-5]\d\d|[1-5]XX|default)$/i.test(status))
      throw this.#wrong(this.#member(replies, status) as Located, "is no status: write 200, 2XX or default");
    const from = this.#resolved(this.#member(replies, status) as Located);
    const content = this.#member(from, "content");
    const headers = this.#member(from, "headers");
    const names = headers === undefined ? [] : Object.keys(this.#plain(headers, "must have a name for each header"));
    const required = names.filter(
      (name) => this.#plain(this.#resolved(this.#member(headers as Located, name) as Located), "is no header")["required"] === true,
    );
    return {
      content: content === undefined ? {} : this.#media(content),
      headers: required.map((name) => name.toLowerCase()).filter((name) => name !== "content-type"),
    };
  }

  #media(content: Located): MediaTypes {
    return Object.fromEntries(
      Object.keys(this.#plain(content, "must have media types")).map((type): [string, ContractMedia] => {
        const from = this.#member(content, type) as Located;
        const value = from.value === null ? {} : this.#plain(from, "is no media type");
        const schema = this.#member({ ...from, value }, "schema");
        const encoding = isPlain(value["encoding"]) ? value["encoding"] : {};
        const parts = Object.entries(encoding).flatMap(([name, each]) =>
          isPlain(each) && typeof each["contentType"] === "string" ? [[name, each["contentType"].toLowerCase()]] : [],
        );
        return [
          plainType(type),
          {
            schema: schema === undefined ? undefined : this.#schemas.use(schema),
            parts: Object.fromEntries(parts) as Record<string, string>,
          },
        ];
      }),
    );
  }

  /** Security Requirement Object: one of the list is enough, and an empty one lets anybody in. */
  #security(operation: Located): readonly string[] {
    const list = this.#member(operation, "security") ?? this.#member(this.#top, "security");
    if (!Array.isArray(list?.value)) return [];
    const ways = list.value.filter(isPlain).map((way) => Object.keys(way));
    return ways.some((way) => way.length === 0) ? [] : [...new Set(ways.flat())];
  }

  /** The operation as it is shown: references to schemas lead to the document's own, all others are replaced by what they lead to. */
  #written({ operation, item }: Found, { id }: ContractOperation): JsonSchema {
    const { parameters: _, ...own } = this.#inlined(operation) as Record<string, unknown>;
    const lists = [item, operation].map((holder) => this.#member(holder, "parameters")).filter((list) => list !== undefined);
    const parameters = new Map<string, unknown>();
    for (const list of lists)
      for (const each of this.#inlined(list) as Plain[]) parameters.set(`${String(each["in"])} ${String(each["name"])}`, each);
    return { ...own, operationId: id, ...(parameters.size === 0 ? {} : { parameters: [...parameters.values()] }) };
  }

  /** A copy in which schemas are converted. What is no schema can refer to itself only by mistake. */
  #inlined(from: Located, depth = 0): unknown {
    if (depth > contractLimits.depth) throw this.#wrong(from, "refers to itself: end the circle");
    const here = this.#resolved(from);
    const { value } = here;
    const member = (step: string, each: unknown): Located => ({ file: here.file, steps: [...here.steps, step], value: each });
    if (Array.isArray(value)) return value.map((each: unknown, index) => this.#inlined(member(String(index), each), depth + 1));
    if (!isPlain(value)) return value;
    return Object.fromEntries(
      Object.entries(value).flatMap(([name, each]) => {
        if (name === "callbacks" || name === "links") return []; // of other servers and other operations
        if (name === "schema") return [[name, this.#schemas.use(member(name, each))]];
        return [[name, name === "example" || name === "examples" ? each : this.#inlined(member(name, each), depth + 1)]];
      }),
    );
  }

  #document(paths: Readonly<Record<string, unknown>>, schemas: Readonly<Record<string, JsonSchema>>): JsonSchema {
    const { info, tags, security } = this.#top.value as Plain;
    const components = this.#member(this.#top, "components");
    const schemes = components === undefined ? undefined : this.#member(components, "securitySchemes");
    return {
      openapi: "3.1.0",
      info: isPlain(info) ? info : { title: this.#options.file, version: "0.0.0" },
      ...(this.#options.prefix === "" ? {} : { servers: [{ url: this.#options.prefix }] }),
      ...(tags === undefined ? {} : { tags }),
      ...(security === undefined ? {} : { security }),
      paths: { ...paths },
      components: { schemas, ...(schemes === undefined ? {} : { securitySchemes: this.#inlined(schemes) }) },
    };
  }

  #member(holder: Located | undefined, step: string): Located | undefined {
    if (holder === undefined || !isPlain(holder.value) || !Object.hasOwn(holder.value, step)) return undefined;
    return { file: holder.file, steps: [...holder.steps, step], value: holder.value[step] };
  }

  /** Follows references to a value that is not one. */
  #resolved(from: Located): Located {
    let found = from;
    for (let count = 0; isPlain(found.value) && typeof found.value["$ref"] === "string"; count++) {
      if (count >= contractLimits.references) throw this.#wrong(from, "refers to itself: end the circle");
      found = this.#files.follow(found.value["$ref"], found);
    }
    return found;
  }

  #plain(from: Located | undefined, otherwise: string): Plain {
    if (from === undefined || !isPlain(from.value)) throw this.#wrong(from ?? this.#top, otherwise);
    return from.value;
  }

  #wrong(from: Located, what: string): CodedError {
    return new CodedError("MF_CONTRACT_DOCUMENT", `${this.#files.placeOf(from)}: ${what}`);
  }
}

/** Thrown for an operation that mayfly.yaml names and the document lacks. */
export class UnknownOperation extends CodedError {
  constructor(id: string, file: string, known: readonly string[]) {
    super(
      "MF_CONTRACT_OPERATION",
      `${file} has no operation ${id}: it has ${known.slice(0, 20).join(", ")}${known.length > 20 ? ", …" : ""}`,
    );
  }
}

/** `getOrdersId` for GET /orders/{id}. */
function derivedId(method: string, template: string): string {
  const words = template.split(/[^A-Za-z0-9]+/).filter((word) => word !== "");
  return method + words.map((word) => (word[0] ?? "").toUpperCase() + word.slice(1)).join("");
}

/** A media type without parameters, in lower case. */
export function plainType(type: string): string {
  return (type.split(";")[0] ?? "").trim().toLowerCase();
}

export function isJson(type: string): boolean {
  return /^application\/(?:[\w.+-]+\+)?json$/.test(plainType(type));
}

/** Throws CodedErrors: MF_CONTRACT_ and what is wrong. */
export function readContract(files: ContractFiles, options: ReadOptions): Contract {
  return new Reader(files, options).read();
}
