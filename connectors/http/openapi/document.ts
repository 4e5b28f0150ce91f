/** The OpenAPI 3.1 document of all that the HTTP sources of a mayfly.yaml serve. */
import { CodedError } from "#base";
import { type AuthWay, type JsonSchema, methodList } from "#gateway/contract";
import type { HttpSourceConfig } from "../source-settings.ts";
import { type PathParameter, shapeOf, type TemplatedPath, templatedPaths } from "./paths.ts";
import { replyHeaders, replySchemas, responsesOf } from "./replies.ts";
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

/** Settings that decide the document must be there: what the environment or a file gives may be a secret, and is not read. */
function checkLiteral({ place, config }: Served): void {
  const ways = [config.auth ?? []].flat() as readonly AuthWay[];
  const { method, path, mode, idHeader, cloudevents } = config;
  const headers = ways.flatMap(({ apiKey, hmac }) => [apiKey?.header, hmac?.header, hmac?.preset]);
  for (const [name, value] of Object.entries({ method, path, mode, idHeader, cloudevents, auth: headers }))
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

  add(source: Served): void {
    checkLiteral(source);
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
    const securitySchemes = this.#security.section;
    return { schemas: replySchemas, headers: replyHeaders, ...(securitySchemes === undefined ? {} : { securitySchemes }) };
  }

  #operation({ flow, signal, config, hasDedup }: Served, method: string, inPath: readonly PathParameter[]): JsonSchema {
    const { auth, allow, rateLimit, mode, cloudevents } = config;
    const ways = [auth ?? []].flat() as readonly AuthWay[];
    const hasBody = withBody.has(method);
    const content = { "*/*": {}, ...(cloudevents ? { "application/cloudevents+json": {} } : {}) };
    return {
      operationId: this.#id(method, signal === undefined ? flow : `${flow}_${signal}`),
      summary: signal === undefined ? `Flow ${flow}.` : `Signal ${signal} of flow ${flow}.`,
      tags: [flow],
      parameters: parametersOf(config, inPath),
      ...(hasBody ? { requestBody: { required: false, content } } : {}),
      responses: responsesOf({
        waits: mode === "reply" && signal === undefined,
        isSignal: signal !== undefined,
        hasBody,
        hasAuth: auth !== undefined,
        hasChallenge: ways.some(({ bearer, basic, jwt, oidc }) => (bearer ?? basic ?? jwt ?? oidc) !== undefined),
        mayForbid: allow !== undefined || ways.some(({ jwt, oidc }) => (jwt ?? oidc) !== undefined),
        hasDedup,
        hasRateLimit: rateLimit !== undefined,
      }),
      ...(auth === undefined ? {} : { security: this.#security.add(auth) }),
    };
  }

  /** Code generators name functions by it: `post_orders`. */
  #id(method: string, name: string): string {
    const wanted = `${method.toLowerCase()}_${name}`;
    let id = wanted;
    for (let count = 2; this.#ids.has(id); count++) id = `${wanted}_${count}`;
    this.#ids.add(id);
    return id;
  }
}

/** The address in mayfly.yaml, if it is one that a caller can use; undefined: the document's own. */
function serverUrl({ http: { host, port, tls } = {} }: ShownConfig): string | undefined {
  if (typeof port !== "number" || port === 0 || typeof host !== "string" || host.includes("${")) return undefined;
  const named = host === "0.0.0.0" || host === "::" ? "localhost" : host.includes(":") ? `[${host}]` : host;
  return `${tls === undefined ? "http" : "https"}://${named}:${port}`;
}

/** Throws MF_OPENAPI_REFERENCE for a path and the like that the environment gives, MF_ROUTE_TAKEN for one that two sources serve. */
export function openApiDocument(config: ShownConfig, info: DocumentInfo): JsonSchema {
  const writer = new DocumentWriter();
  for (const source of served(config)) writer.add(source);
  const url = serverUrl(config);
  return {
    openapi: "3.1.0",
    info,
    ...(url === undefined ? {} : { servers: [{ url }] }),
    paths: writer.paths,
    components: writer.components,
  };
}
