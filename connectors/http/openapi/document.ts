/** The OpenAPI 3.1 document of all that the HTTP sources of a mayfly.yaml serve. */
import { normalize } from "node:path";
import { CodedError } from "#base";
import { type AuthWay, type GatewayConfig, type JsonSchema, methodList, type SourceConfig } from "#gateway/contract";
import { ContractFiles } from "../contract/files.ts";
import type { Contract } from "../contract/model.ts";
import { readContract } from "../contract/read.ts";
import type { HttpSourceConfig } from "../source-settings.ts";
import { Components, type MergedOperation, withErrors } from "./merge.ts";
import { type PathParameter, shapeOf, type TemplatedPath, templatedPaths } from "./paths.ts";
import { type Answering, replyHeaders, replySchemas, responsesOf } from "./replies.ts";
import { SecuritySchemes } from "./security.ts";

/** Of `mayfly config show`: defaults filled in, references as they are written. */
export interface ShownConfig {
  readonly http?: { readonly host?: unknown; readonly port?: unknown; readonly tls?: unknown };
  readonly flows?: Readonly<Record<string, ShownFlow>>;
}

interface ShownFlow {
  readonly from?: ShownSources;
  readonly dedup?: unknown;
  readonly signals?: Readonly<Record<string, { readonly from?: ShownSources }>>;
}

type ShownSources = readonly { readonly http?: HttpSourceConfig }[];

export interface DocumentInfo {
  readonly title: string;
  readonly version: string;
}

/** An HTTP source and whose it is. */
interface Served {
  readonly flow: string;
  readonly signal: string | undefined;
  /** In mayfly.yaml: `flows.orders.from[0].http`. */
  readonly place: string;
  readonly config: HttpSourceConfig;
  readonly hasDedup: boolean;
}

function served({ flows = {} }: ShownConfig): readonly Served[] {
  const found: Served[] = [];
  for (const [flow, { from, dedup, signals = {} }] of Object.entries(flows)) {
    const add = (sources: ShownSources = [], place: string, signal?: string): void =>
      sources.forEach(({ http }, index) => {
        const own = { flow, signal, place: `flows.${flow}.${place}[${index}].http`, hasDedup: dedup !== undefined };
        if (http !== undefined) found.push({ ...own, config: http });
      });
    add(from, "from");
    for (const [name, signal] of Object.entries(signals)) add(signal.from, `signals.${name}.from`, name);
  }
  return found;
}

/** The contract of a source, read unless it has been; undefined without one. `folder`: of mayfly.yaml. */
function contractOf({ config: { contract, openapi, operation, path } }: Served, folder: string): Contract | undefined {
  if (contract !== undefined || openapi === undefined) return contract;
  const wanted = operation === undefined ? undefined : [operation].flat();
  return readContract(new ContractFiles(folder), { file: openapi, prefix: path ?? "", wanted });
}

/** Settings that decide the document must be there: what the environment or a file gives may be a secret, and is not read. */
function checkLiteral({ place, config }: Served): void {
  const ways = [config.auth ?? []].flat() as readonly AuthWay[];
  const { method, path, openapi, operation, mode, idHeader, cloudevents } = config;
  const headers = ways.flatMap(({ apiKey, hmac }) => [apiKey?.header, hmac?.header, hmac?.preset]);
  for (const [name, value] of Object.entries({ method, path, openapi, operation, mode, idHeader, cloudevents, auth: headers }))
    for (const each of [value].flat())
      if (typeof each === "string" && each.includes("${"))
        throw new CodedError(
          "MF_OPENAPI_REFERENCE",
          `${place}.${name} contains ${each}, and the document is made without the environment and its secrets: write the value itself, here or in a profile`,
        );
}

/** Methods whose requests have content that means something (RFC 9110, 9.3). */
const withBody = new Set(["POST", "PUT", "PATCH"]);
/** RFC 9110's headers that OpenAPI describes elsewhere, and does not take as parameters. */
const notParameters = new Set(["accept", "content-type", "authorization"]);

function headerParameter(name: string, description: string): JsonSchema {
  return { name, in: "header", required: false, description, schema: { type: "string" } };
}

function parametersOf({ idHeader }: HttpSourceConfig, inPath: readonly PathParameter[]): readonly JsonSchema[] {
  const own: readonly (readonly [string, string])[] = [
    [idHeader, "Id of the message. A second request with it is a duplicate, if the flow looks for them."],
    ["x-correlation-id", "Id that goes with the message to whatever the flow sends."],
  ];
  return [
    ...inPath.map(({ name, schema, ...more }) => ({ name, in: "path", required: true, ...more, schema })),
    ...own
      .filter(([name], index) => !notParameters.has(name) && own.findIndex(([other]) => other === name) === index)
      .map(([name, description]) => headerParameter(name, description)),
  ];
}

class DocumentWriter {
  readonly #paths: Record<string, Record<string, JsonSchema>> = {};
  /** Templates by their shape. */
  readonly #templates = new Map<string, TemplatedPath>();
  readonly #ids = new Set<string>();
  readonly #security = new SecuritySchemes();
  readonly #components = new Components(replySchemas);

  addContract(source: Served, contract: Contract): void {
    for (const [index, merged] of this.#components.add(contract, source.config.path ?? "").entries()) {
      const { template, method, operation } = this.#contracted(source, contract, merged, index);
      const shape = shapeOf(template);
      const known = this.#templates.get(shape)?.template ?? template;
      this.#templates.set(shape, { template: known, parameters: [] });
      (this.#paths[known] ??= {})[method] = operation;
    }
  }

  #contracted(source: Served, contract: Contract, merged: MergedOperation, index: number): MergedOperation {
    const { replies = {} } = contract.operations[index] ?? {};
    const { responses, security, ...own } = merged.operation;
    const { auth } = source.config;
    const errors = responsesOf({ ...answeringOf(source, merged.method.toUpperCase()), hasBody: own["requestBody"] !== undefined });
    return {
      ...merged,
      operation: {
        ...own,
        operationId: this.#freeId(String(own["operationId"])),
        responses: withErrors({ replies }, responses, errors),
        ...(security !== undefined ? { security } : auth === undefined ? {} : { security: this.#security.add(auth) }),
      },
    };
  }

  add(source: Served): void {
    for (const templated of templatedPaths(source.config.path ?? "")) {
      const shape = shapeOf(templated.template);
      const known = this.#templates.get(shape) ?? templated;
      this.#templates.set(shape, known);
      const item = (this.#paths[known.template] ??= {});
      for (const method of methodList(source.config.method ?? "POST")) {
        const name = method.toLowerCase();
        if (item[name] !== undefined)
          throw new CodedError(
            "MF_ROUTE_TAKEN",
            `${source.place}: ${method} ${source.config.path} is already served by another source: change the path or method of one of them`,
          );
        const parameters = templated.parameters.map((each, index) => ({ ...each, name: known.parameters[index]?.name ?? each.name }));
        item[name] = this.#operation(source, method, parameters);
      }
    }
  }

  get paths(): Readonly<Record<string, Readonly<Record<string, JsonSchema>>>> {
    return this.#paths;
  }

  get components(): JsonSchema {
    const securitySchemes = { ...this.#components.securitySchemes, ...this.#security.section };
    return {
      schemas: this.#components.schemas,
      headers: replyHeaders,
      ...(Object.keys(securitySchemes).length === 0 ? {} : { securitySchemes }),
    };
  }

  #operation(source: Served, method: string, inPath: readonly PathParameter[]): JsonSchema {
    const { flow, signal, config } = source;
    const { auth, cloudevents } = config;
    const hasBody = withBody.has(method);
    const content = { "*/*": {}, ...(cloudevents ? { "application/cloudevents+json": {} } : {}) };
    return {
      operationId: this.#id(method, signal === undefined ? flow : `${flow}_${signal}`),
      summary: signal === undefined ? `Flow ${flow}.` : `Signal ${signal} of flow ${flow}.`,
      tags: [flow],
      parameters: parametersOf(config, inPath),
      ...(hasBody ? { requestBody: { required: false, content } } : {}),
      responses: responsesOf(answeringOf(source, method)),
      ...(auth === undefined ? {} : { security: this.#security.add(auth) }),
    };
  }

  /** Code generators name functions by it: `post_orders`. */
  #id(method: string, name: string): string {
    return this.#freeId(`${method.toLowerCase()}_${name}`);
  }

  #freeId(wanted: string): string {
    let id = wanted;
    for (let count = 2; this.#ids.has(id); count++) id = `${wanted}_${count}`;
    this.#ids.add(id);
    return id;
  }
}

function answeringOf({ signal, config, hasDedup }: Served, method: string): Answering {
  const { auth, allow, rateLimit, mode } = config;
  const ways = [auth ?? []].flat() as readonly AuthWay[];
  return {
    waits: mode === "reply" && signal === undefined,
    isSignal: signal !== undefined,
    hasBody: withBody.has(method),
    hasAuth: auth !== undefined,
    hasChallenge: ways.some(({ bearer, basic, jwt, oidc }) => (bearer ?? basic ?? jwt ?? oidc) !== undefined),
    mayForbid: allow !== undefined || ways.some(({ jwt, oidc }) => (jwt ?? oidc) !== undefined),
    hasDedup,
    hasRateLimit: rateLimit !== undefined,
  };
}

/** The address in mayfly.yaml, if it is one that a caller can use; undefined: the document's own. */
function serverUrl({ http: { host, port, tls } = {} }: ShownConfig): string | undefined {
  if (typeof port !== "number" || port === 0 || typeof host !== "string" || host.includes("${")) return undefined;
  const named = host === "0.0.0.0" || host === "::" ? "localhost" : host.includes(":") ? `[${host}]` : host;
  return `${tls === undefined ? "http" : "https"}://${named}:${port}`;
}

/**
 * `folder`: of mayfly.yaml, where contracts are. Throws MF_OPENAPI_REFERENCE for a path and the like that the environment gives,
 * MF_ROUTE_TAKEN for one that two sources serve, and MF_CONTRACT_ codes.
 */
export function openApiDocument(config: ShownConfig, info: DocumentInfo, folder: string): JsonSchema {
  const writer = new DocumentWriter();
  for (const source of served(config)) {
    checkLiteral(source);
    const contract = contractOf(source, folder);
    if (contract === undefined) writer.add(source);
    else writer.addContract(source, contract);
  }
  const url = serverUrl(config);
  return {
    openapi: "3.1.0",
    info,
    ...(url === undefined ? {} : { servers: [{ url }] }),
    paths: writer.paths,
    components: writer.components,
  };
}

/** The document of the contracts that are served, as callers see it; undefined if there are none. */
export function contractsDocument({ flows }: Pick<GatewayConfig, "flows">): JsonSchema | undefined {
  const writer = new DocumentWriter();
  const infos = new Map<string, { readonly title?: unknown }>();
  const entries = (from: readonly SourceConfig[]): ShownSources =>
    from.map(({ connector, config }) => (connector === "http" ? { http: config as HttpSourceConfig } : {}));
  const shown = Object.entries(flows).map(([name, { from, dedup, signals }]): [string, ShownFlow] => [
    name,
    {
      from: entries(from),
      dedup,
      signals: Object.fromEntries(Object.entries(signals).map(([signal, own]) => [signal, { from: entries(own.from) }])),
    },
  ]);
  for (const source of served({ flows: Object.fromEntries(shown) })) {
    const { contract } = source.config;
    if (contract === undefined) continue;
    infos.set(normalize(contract.file), contract.document["info"] as { readonly title?: unknown });
    writer.addContract(source, contract);
  }
  const [info, ...others] = infos.values();
  if (info === undefined) return undefined;
  const joined = others.length === 0 ? info : { title: [info, ...others].map(({ title }) => String(title)).join(", "), version: "0.0.0" };
  return { openapi: "3.1.0", info: joined, paths: writer.paths, components: writer.components };
}
