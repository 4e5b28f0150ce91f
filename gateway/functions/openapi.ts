/** OpenAPI 3.1 description of the endpoints of functions. */
type Json = Readonly<Record<string, unknown>>;

interface Operation {
  readonly id: string;
  readonly summary: string;
  readonly scope: string;
  readonly body?: Json;
  readonly answer: Json;
  readonly status?: number;
  /** True: If-Match and If-None-Match are heeded. */
  readonly fenced?: boolean;
  readonly query?: Json;
}

const ref = (name: string): Json => ({ $ref: `#/components/schemas/${name}` });
const object = (properties: Json, required: readonly string[] = Object.keys(properties)): Json => ({
  type: "object",
  properties,
  required,
});
const string: Json = { type: "string" };
const integer: Json = { type: "integer" };
const list = (items: Json): Json => ({ type: "array", items });
const json = (schema: Json): Json => ({ content: { "application/json": { schema } }, required: true });
const bytes: Json = { content: { "application/octet-stream": {} }, required: true };
const versionBody = json(object({ version: { type: ["integer", "string"], description: "A version's number, or an alias." } }));
const deployBody = json(
  object(
    {
      image: { type: "string", pattern: "^sha256:[0-9a-f]{64}$" },
      fragment: { type: "string", description: "Text of NAME.mayfly.yaml." },
      canary: { type: "number", description: "Share of the messages, beside the live version." },
    },
    ["image"],
  ),
);

const schemas: Json = {
  Function: object({
    name: string,
    tenant: { type: ["string", "null"] },
    urls: list(string),
    revision: { ...integer, description: "Also the ETag." },
    live: integer,
    canary: { type: ["object", "null"], properties: { version: integer, share: { type: "number" } } },
    aliases: { type: "object", additionalProperties: integer },
    versions: list(object({ version: integer, image: string, fragment: string, at: integer, by: string })),
    served: { type: "boolean", description: "True while it is in memory." },
  }),
  LogLine: object({ line: integer, at: integer, level: string, text: string, fields: { type: "object" } }),
  Usage: object({
    tenant: { type: ["string", "null"] },
    day: string,
    received: integer,
    done: integer,
    dead: integer,
    cpuMs: { type: "number" },
    functions: integer,
    quotas: { type: "object" },
    kept: {
      type: ["object", "null"],
      description: "Bytes of state, messages, deadLetters and images, and of history this day; null without tenants.",
    },
    full: { type: ["string", "null"], description: "Why no message is taken; null where it is." },
  }),
  Problem: object({
    type: string,
    title: string,
    status: integer,
    detail: string,
    code: { ...string, description: "A code of docs/ERRORS.md." },
  }),
};

const operations: ReadonlyMap<string, Readonly<Record<string, Operation>>> = new Map<string, Readonly<Record<string, Operation>>>([
  [
    "/api/functions",
    {
      get: {
        id: "listFunctions",
        summary: "Functions by name, at most 1,000 at once.",
        scope: "read",
        answer: object({ functions: list(ref("Function")), next: { type: ["string", "null"] } }),
        query: { after: string },
      },
    },
  ],
  [
    "/api/functions/{name}",
    {
      get: { id: "showFunction", summary: "One function.", scope: "read", answer: ref("Function") },
      put: {
        id: "deployFunction",
        summary: "Deploy an image that was uploaded. The same again changes nothing.",
        scope: "deploy",
        body: deployBody,
        answer: ref("Function"),
        fenced: true,
      },
      delete: {
        id: "removeFunction",
        summary: "End a function and forget it.",
        scope: "deploy",
        answer: object({ removed: { type: "boolean" } }),
        fenced: true,
      },
    },
  ],
  [
    "/api/functions/{name}/live",
    {
      put: {
        id: "activateVersion",
        summary: "Serve a version that was deployed before.",
        scope: "deploy",
        body: versionBody,
        answer: ref("Function"),
        fenced: true,
      },
    },
  ],
  [
    "/api/functions/{name}/canary",
    {
      put: {
        id: "setCanary",
        summary: "Give a version a share of the messages.",
        scope: "deploy",
        body: json(object({ version: { type: ["integer", "string"] }, share: { type: "number" } })),
        answer: ref("Function"),
        fenced: true,
      },
      delete: { id: "endCanary", summary: "End the canary.", scope: "deploy", answer: ref("Function"), fenced: true },
    },
  ],
  [
    "/api/functions/{name}/aliases/{alias}",
    {
      put: { id: "setAlias", summary: "Name a version.", scope: "deploy", body: versionBody, answer: ref("Function"), fenced: true },
      delete: { id: "removeAlias", summary: "Take a name away.", scope: "deploy", answer: ref("Function"), fenced: true },
    },
  ],
  [
    "/api/functions/{name}/logs",
    {
      get: {
        id: "functionLogs",
        summary: "The last log lines, or those after one.",
        scope: "read",
        answer: object({ lines: list(ref("LogLine")) }),
        query: { after: integer },
      },
    },
  ],
  [
    "/api/functions/{name}/invoke",
    {
      post: {
        id: "invokeFunction",
        summary: "Put in a message and wait for its outcome. Headers that begin with x-message- are the message's.",
        scope: "invoke",
        body: bytes,
        answer: { type: "object" },
      },
    },
  ],
  [
    "/api/functions/{name}/build",
    {
      post: {
        id: "buildFunction",
        summary: "Build a flow from its TypeScript, at most 256 KiB, and keep its image as if it were uploaded.",
        scope: "deploy",
        body: { content: { "text/typescript": {} }, required: true },
        answer: object({ image: string, outlets: { type: ["array", "null"] }, limits: { type: "object" } }),
        status: 201,
      },
    },
  ],
  [
    "/api/functions/{name}/try",
    {
      post: {
        id: "tryFunction",
        summary: "Run an image once on a message, apart from what is served. Sends go nowhere, and outlets answer nothing.",
        scope: "deploy",
        body: json(object({ image: string, body: string, contentType: string }, ["image"])),
        answer: { type: "object" },
      },
    },
  ],
  [
    "/api/images/{image}",
    {
      head: { id: "hasImage", summary: "Whether the tenant has uploaded the image sha256:…", scope: "deploy", answer: { type: "object" } },
      put: {
        id: "putImage",
        summary: "Upload an image, at most 32 MiB.",
        scope: "deploy",
        body: bytes,
        answer: object({ image: string, outlets: { type: ["array", "null"] }, limits: { type: "object" } }),
        status: 201,
      },
    },
  ],
  [
    "/api/secrets",
    {
      get: {
        id: "listSecrets",
        summary: "Names of secrets. Values can't be read.",
        scope: "secrets",
        answer: object({ secrets: list(string) }),
      },
    },
  ],
  [
    "/api/secrets/{secret}",
    {
      put: { id: "setSecret", summary: "Set a secret: the body is its value.", scope: "secrets", body: bytes, answer: { type: "object" } },
      delete: { id: "removeSecret", summary: "Remove a secret.", scope: "secrets", answer: { type: "object" } },
    },
  ],
  [
    "/api/usage",
    {
      get: { id: "usage", summary: "Usage of this day (UTC), and quotas.", scope: "read", answer: object({ tenants: list(ref("Usage")) }) },
    },
  ],
]);

function parametersOf(path: string, { fenced = false, query = {} }: Operation): Json[] {
  const inPath = [...path.matchAll(/\{(\w+)\}/g)].map(([, name = ""]) => ({ name, in: "path", required: true, schema: string }));
  const tenant = { name: "tenant", in: "query", schema: string, description: "For the operator, where there are several." };
  const others = Object.entries(query).map(([name, schema]) => ({ name, in: "query", schema }));
  const fences = [
    {
      name: "If-Match",
      in: "header",
      schema: string,
      description: "The ETag of the function as it was seen; another one is answered 412.",
    },
    { name: "If-None-Match", in: "header", schema: string, description: "*: the function must not exist yet." },
  ];
  return [...inPath, tenant, ...others, ...(fenced ? fences : [])];
}

function described(path: string, operation: Operation): Json {
  const { id, summary, scope, body, answer, status = 200 } = operation;
  return {
    operationId: id,
    summary,
    description: `Needs the scope ${scope}.`,
    parameters: parametersOf(path, operation),
    ...(body === undefined ? {} : { requestBody: body }),
    responses: {
      [status]: { description: "Done.", content: { "application/json": { schema: answer } } },
      default: { description: "Refused, and nothing has changed.", content: { "application/problem+json": { schema: ref("Problem") } } },
    },
  };
}

export function functionsDocument(): Json {
  const paths = [...operations].map(([path, methods]) => [
    path,
    Object.fromEntries(Object.entries(methods).map(([method, operation]) => [method, described(path, operation)])),
  ]);
  return {
    openapi: "3.1.0",
    info: { title: "Functions of a Mayfly gateway", version: "1" },
    security: [{ key: [] }],
    paths: Object.fromEntries(paths) as Json,
    components: { schemas, securitySchemes: { key: { type: "http", scheme: "bearer" } } },
  };
}
