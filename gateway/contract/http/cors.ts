/**
 * Cross-origin requests (Fetch standard, "CORS protocol"): what a page of another origin may ask, and read of the answer. A browser asks first
 * (`OPTIONS`, a preflight) where the request is more than a form could send.
 */
import type { IncomingMessage, OutgoingHttpHeaders, ServerResponse } from "node:http";
import type { JsonSchema } from "../connector.ts";
import { duration } from "../units.ts";

export interface CorsConfig {
  /** `https://shop.example`, `https://*.shop.example`, or `*` for every origin. */
  readonly origins: readonly string[];
  /** Undefined: those of the path. */
  readonly methods?: readonly string[];
  /** Undefined: whatever the browser asks for. */
  readonly headers?: readonly string[];
  readonly expose?: readonly string[];
  readonly credentials: boolean;
  /** Milliseconds for which a browser may remember the answer to a preflight. */
  readonly maxAge: number;
}

/** Headers of ours that a page may read. */
const ownHeaders: readonly string[] = ["mayfly-message-id", "mayfly-duplicate", "retry-after"];

const headerName = {
  type: "string",
  pattern: "^[!#$%&'*+.^_`|~0-9A-Za-z-]+$",
  patternErrorMessage: "must be the name of a header",
} as const;

export const corsSchema: JsonSchema = {
  type: "object",
  additionalProperties: false,
  required: ["origins"],
  description:
    "Pages of other origins that may call this path from a browser, and read its answers, also those that are errors of the gateway. Default: none.",
  properties: {
    origins: {
      type: "array",
      minItems: 1,
      items: {
        type: "string",
        pattern: "^(\\*|https?://(\\*\\.)?[A-Za-z0-9.-]+(:[0-9]+)?|https?://\\[[0-9A-Fa-f:]+\\](:[0-9]+)?)$",
        patternErrorMessage: 'must be an origin such as https://shop.example or https://*.shop.example, without a path, or "*"',
      },
      description: "Origins, or `*` for every one, which excludes `credentials`.",
      examples: [["https://shop.example"]],
    },
    methods: {
      type: "array",
      items: { type: "string", pattern: "^[A-Z]+$", patternErrorMessage: "must be a method such as PUT" },
      description: "Methods a page may use. Default: those of the path.",
    },
    headers: { type: "array", items: headerName, description: "Headers a page may send. Default: whatever it asks for." },
    expose: {
      type: "array",
      items: headerName,
      description: "Headers of the reply a page may read, besides `mayfly-message-id`, `mayfly-duplicate` and `retry-after`.",
    },
    credentials: { type: "boolean", default: false, description: "Pages may send cookies and other credentials." },
    maxAge: duration("How long a browser remembers what is allowed.", "10m"),
  },
};

/** Why the settings make no sense; undefined for those that do. */
export function corsProblem({ origins, credentials }: CorsConfig): string | undefined {
  return credentials && origins.includes("*")
    ? 'origins: "*" would let every page act for its visitors: name the origins, or leave out credentials'
    : undefined;
}

function isAllowed({ origins }: CorsConfig, origin: string): boolean {
  const asked = origin.toLowerCase();
  return origins.some((each) => {
    const known = each.toLowerCase();
    const [scheme = "", host = ""] = known.split("://*.");
    return known === "*" || known === asked || (host !== "" && asked.startsWith(`${scheme}://`) && asked.endsWith(`.${host}`));
  });
}

/** Headers for an answer to this origin; for another one only that it depends on the origin. */
function headersFor(cors: CorsConfig, origin: string): OutgoingHttpHeaders {
  const isOpen = cors.origins.includes("*");
  const vary = isOpen ? {} : { vary: "origin" };
  if (!isAllowed(cors, origin)) return vary;
  return {
    ...vary,
    "access-control-allow-origin": isOpen ? "*" : origin,
    ...(cors.credentials ? { "access-control-allow-credentials": "true" } : {}),
  };
}

/** Sets the headers of an answer, whatever it will be. */
export function allowOrigin(cors: CorsConfig, request: IncomingMessage, response: ServerResponse): void {
  const { origin } = request.headers;
  const headers = headersFor(cors, origin ?? "");
  for (const name in headers) response.setHeader(name, headers[name] as string);
  if (origin !== undefined && "access-control-allow-origin" in headers)
    response.setHeader("access-control-expose-headers", [...ownHeaders, ...(cors.expose ?? [])].join(", "));
}

/** The answer to a preflight; `methods`: of the path. */
export function preflightHeaders(cors: CorsConfig, request: IncomingMessage, methods: readonly string[]): OutgoingHttpHeaders {
  const { origin = "" } = request.headers;
  const headers = headersFor(cors, origin);
  if (!("access-control-allow-origin" in headers)) return headers;
  const asked = request.headers["access-control-request-headers"];
  const allowed = cors.headers?.join(", ") ?? (asked !== undefined && /^[!#$%&'*+.^_`|~0-9A-Za-z, -]*$/.test(asked) ? asked : "");
  return {
    ...headers,
    vary: "origin, access-control-request-method, access-control-request-headers",
    "access-control-allow-methods": (cors.methods ?? methods).join(", "),
    ...(allowed === "" ? {} : { "access-control-allow-headers": allowed }),
    "access-control-max-age": String(Math.floor(cors.maxAge / 1000)),
  };
}

/** True for a browser's question about a request to come. */
export function isPreflight({ method, headers }: IncomingMessage): boolean {
  return method === "OPTIONS" && headers.origin !== undefined && headers["access-control-request-method"] !== undefined;
}
