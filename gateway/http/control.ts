/** The endpoints with which an operator changes what a gateway does: `mayfly flows`, `outlets`, `queue`, `images` and `rollback`. */
import { fromUtf8 } from "#base";
import { controlLimits } from "../contract/limits.ts";
import type { HttpRoutes } from "../contract/http/routes.ts";
import type { GatewayMemory } from "../contract/memory.ts";
import { type Access, type Answer, flowName, guard, type Parameters } from "./guard.ts";

/** The part of the gateway that this needs. Each rejects with MF_FLOW_UNKNOWN. */
export interface Controlled {
  readonly memory: GatewayMemory;
  turn(flow: string, state: "running" | "paused" | "draining"): Promise<object>;
  turnOutlet(flow: string, outlet: string, paused: boolean): Promise<object>;
  queue(flow: string | undefined): Promise<object>;
  purge(flow: string, dryRun: boolean): Promise<object>;
  images(): Promise<object>;
  rollback(flow: string, image: string | undefined): Promise<object>;
}

const states = { pause: "paused", resume: "running", drain: "draining" } as const;
const imageName = /^sha256:[0-9a-fA-F]{8,64}$/;

function readFields(body: Uint8Array): Readonly<Record<string, unknown>> | undefined {
  if (body.length === 0) return {};
  try {
    const value = body.length > controlLimits.bodyBytes ? undefined : (JSON.parse(fromUtf8(body)) as unknown);
    return typeof value === "object" && value !== null && !Array.isArray(value) ? (value as Readonly<Record<string, unknown>>) : undefined;
  } catch {
    return undefined;
  }
}

function invalid(detail: string): { readonly status: number; readonly value: unknown } {
  return { status: 400, value: { code: "MF_REQUEST_INVALID", detail } };
}

export function addControl(routes: HttpRoutes, gateway: Controlled, access: Access): void {
  const guarded = (method: string, path: string, known: Parameters, answer: Answer): void => {
    routes.add(method, path, guard(access, gateway.memory, known, answer));
  };
  for (const [word, state] of Object.entries(states))
    guarded("POST", `/api/flows/:flow/${word}`, {}, async (_request, { flow = "" }) => ({
      status: 200,
      value: await gateway.turn(flow, state),
    }));
  for (const word of ["pause", "resume"])
    guarded("POST", `/api/flows/:flow/outlets/:outlet/${word}`, {}, async (_request, { flow = "", outlet = "" }) => ({
      status: 200,
      value: await gateway.turnOutlet(flow, outlet, word === "pause"),
    }));
  guarded("GET", "/api/queue", { flow: flowName }, async (_request, _parameters, query) => ({
    status: 200,
    value: await gateway.queue(query.get("flow")),
  }));
  guarded("POST", "/api/flows/:flow/purge", {}, async (_request, { flow = "" }, _query, body) => {
    const { dryRun = false } = readFields(body) ?? { dryRun: undefined };
    if (typeof dryRun !== "boolean") return invalid('the body must be empty or JSON such as {"dryRun": true}');
    return { status: 200, value: await gateway.purge(flow, dryRun) };
  });
  guarded("GET", "/api/images", {}, async () => ({ status: 200, value: await gateway.images() }));
  guarded("POST", "/api/flows/:flow/rollback", {}, async (_request, { flow = "" }, _query, body) => {
    const fields = readFields(body);
    const image = fields?.["image"];
    if (fields?.["undo"] === true && image === undefined) return { status: 200, value: await gateway.rollback(flow, undefined) };
    if (typeof image !== "string" || !imageName.test(image))
      return invalid('the body must be JSON: {"image": "sha256:…"} with at least 8 digits, or {"undo": true}');
    return { status: 200, value: await gateway.rollback(flow, image) };
  });
}
