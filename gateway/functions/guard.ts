/** Access to the endpoints of functions: the operator may ask everything, a tenant's key what its scopes say, for its own tenant. */
import type { IncomingMessage, ServerResponse } from "node:http";
import { type CodedError, isCoded } from "#base";
import type { GatewayMemory } from "../contract/memory.ts";
import { readBody } from "../contract/http/body.ts";
import { sendProblem } from "../contract/http/problem.ts";
import type { RouteHandler } from "../contract/http/routes.ts";
import { type Access, denied, isTrusted, type Parameters, type Query, readQuery, sendJson } from "../http/guard.ts";
import { functionLimits } from "./limits.ts";
import { operator, type Principal, type Scope, type Tenants } from "./tenants.ts";

export interface Asked {
  readonly request: IncomingMessage;
  readonly principal: Principal;
  readonly parameters: Readonly<Record<string, string | undefined>>;
  readonly query: Query;
  readonly body: Uint8Array;
}

export interface FunctionAnswer {
  readonly status: number;
  readonly value: unknown;
  readonly headers?: Readonly<Record<string, string>>;
}

export interface Rule {
  readonly scope: Scope;
  /** Query parameters, besides `tenant`. */
  readonly known?: Parameters;
  /** Longest body, in bytes. */
  readonly bodyBytes?: number;
  /** Status of errors that no list has: those of what was sent. Default: 500. */
  readonly otherwise?: number;
}

const statuses: ReadonlyMap<string, number> = new Map([
  ["MF_REQUEST_INVALID", 400],
  ["MF_TENANT_DENIED", 403],
  ["MF_TENANT_UNKNOWN", 404],
  ["MF_FUNCTION_UNKNOWN", 404],
  ["MF_SECRET_UNKNOWN", 404],
  ["MF_FUNCTION_TAKEN", 409],
  ["MF_FUNCTION_IMAGE", 409],
  ["MF_FUNCTION_CHANGED", 412],
  ["MF_FUNCTION_NAME", 422],
  ["MF_FUNCTION_FRAGMENT", 422],
  ["MF_FUNCTION_LIMIT", 422],
  ["MF_FUNCTION_VERSION", 422],
  ["MF_CONFIG_INVALID", 422],
  ["MF_CONFIG_SYNTAX", 422],
  ["MF_CONFIG_ENV", 422],
  ["MF_IMAGE_CORRUPT", 422],
  ["MF_IMAGE_VERSION", 422],
  ["MF_IMAGE_HASH", 422],
  ["MF_IMAGE_MEMORY", 422],
  ["MF_OUTLET_MISSING", 422],
  ["MF_SECRET_INVALID", 422],
  ["MF_TENANT_QUOTA", 429],
  ["MF_TENANT_RATE", 429],
  ["MF_TENANT_CPU", 429],
  ["MF_DEPLOY_RATE", 429],
  ["MF_TENANT_BUSY", 503],
  ["MF_FUNCTION_START", 503],
  ["MF_STOPPING", 503],
  ["MF_BUILD_BUSY", 503],
  ["MF_TENANT_FULL", 507],
  ["MF_FUNCTIONS_FULL", 507],
  ["MF_FUNCTIONS_DISK", 507],
]);

/** A connector's own faults, with their places, are the caller's as well. */
function statusOf(error: CodedError, otherwise: number): number {
  return statuses.get(error.code) ?? (error.name === "ConfigError" ? 422 : otherwise);
}

function principalOf(request: IncomingMessage, access: Access, tenants: Tenants): Principal | undefined {
  if (isTrusted(request, access)) return operator;
  const [, key] = /^Bearer (\S{1,512})$/.exec(request.headers.authorization ?? "") ?? [];
  return key === undefined || access.kind === "public" ? undefined : tenants.ofKey(key);
}

const tenantParameter: Parameters = { tenant: { pattern: /^[A-Za-z][A-Za-z0-9_-]{0,63}$/, says: "a tenant's name" } };

export interface GuardPorts {
  readonly access: Access;
  readonly memory: GatewayMemory;
  readonly tenants: () => Tenants;
  /** Takes an error without a code. */
  readonly unexpected: (error: unknown, where: string) => void;
}

/** A handler that asks for a key with the scope, checks the query and reads the body before it answers. */
export function guarded(
  ports: GuardPorts,
  { scope, known = {}, bodyBytes = functionLimits.bodyBytes, otherwise = 500 }: Rule,
  answer: (asked: Asked) => Promise<FunctionAnswer>,
): RouteHandler {
  return (request, response, parameters, queryText) => {
    const refuse = (status: number, code: string, detail: string): void => {
      request.resume();
      sendProblem(response, { status, code, detail });
    };
    const principal = principalOf(request, ports.access, ports.tenants());
    if (principal === undefined) {
      request.resume();
      return sendProblem(response, { ...denied, detail: "send the token of http.admin.token, or a tenant's key, as a bearer token" });
    }
    if (!principal.scopes.includes(scope))
      return refuse(
        403,
        "MF_SCOPE_DENIED",
        `the key ${principal.by} has no scope ${scope}: use one that has, or ask whoever runs the gateway`,
      );
    const query = readQuery(queryText, { ...tenantParameter, ...known });
    if (typeof query === "string") return refuse(400, "MF_QUERY_INVALID", query);
    return readBody(request, { limit: bodyBytes, memory: ports.memory }, (problem, body) => {
      if (problem !== undefined) return sendProblem(response, problem);
      answer({ request, principal, parameters, query, body }).then(
        ({ status, value, headers }) => {
          if (response.headersSent || response.destroyed) return;
          for (const [name, text] of Object.entries(headers ?? {})) response.setHeader(name, text);
          sendJson(response, status, value);
        },
        (error: unknown) => failed(response, error, { ...ports, otherwise }),
      );
    });
  };
}

function failed(
  response: ServerResponse,
  error: unknown,
  { unexpected, otherwise }: Pick<GuardPorts, "unexpected"> & Required<Pick<Rule, "otherwise">>,
): void {
  if (isCoded(error)) return sendProblem(response, { status: statusOf(error, otherwise), code: error.code, detail: error.message });
  unexpected(error, "the endpoints of functions");
  sendProblem(response, { status: 500, code: "MF_INTERNAL", detail: "the gateway failed on this request; its log has the reason" });
}
