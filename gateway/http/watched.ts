/** The endpoints behind the page: overview, map, flows, connectors, dead letters, events. Their figures come from ../watch/. */
import { fromUtf8 } from "#base";
import { gatewayLimits } from "../contract/limits.ts";
import type { HttpRoutes } from "../contract/http/routes.ts";
import { sendProblem } from "../contract/http/problem.ts";
import type { GatewayMemory } from "../contract/memory.ts";
import type { EventStreams } from "./event-streams.ts";
import {
  type Access,
  type Answer,
  denied,
  flag,
  flowName,
  guard,
  isTrusted,
  limit,
  notFound,
  type Parameter,
  type Parameters,
} from "./guard.ts";

export interface LetterSelectionJson {
  readonly ids?: readonly string[] | undefined;
  readonly flow?: string | undefined;
  readonly code?: string | undefined;
  readonly outlet?: string | undefined;
  readonly kind?: "message" | "send" | "signal" | undefined;
}

/** The part of the gateway that this needs. */
export interface Watched {
  readonly memory: GatewayMemory;
  readonly events: EventStreams;
  overview(past: boolean): Promise<object>;
  map(): object;
  flowList(): object;
  oneFlow(name: string): object | undefined;
  connectorList(): object;
  readonly letters: {
    list(selection: LetterSelectionJson, limit: number, cursor: string | undefined): Promise<object>;
    groups(): Promise<object>;
    preview(selection: LetterSelectionJson): Promise<object>;
    bulk(what: "retry" | "drop", selection: LetterSelectionJson): Promise<object>;
  };
}

const code: Parameter = { pattern: /^.{1,200}$/s, says: "a code of 1 to 200 characters" };
const letterId: Parameter = { pattern: /^[A-Za-z0-9][A-Za-z0-9_.-]*\/[A-Za-z0-9-]+$/, says: "a dead letter's id" };
const kind: Parameter = { pattern: /^(message|send|signal)$/, says: "message, send or signal" };

type Fields = Readonly<Record<string, unknown>>;

/** A selection as it is asked for in a body; a sentence when it is malformed. Never everything by mistake: a field must be given. */
function readSelection(body: Uint8Array): { readonly selection: LetterSelectionJson; readonly dryRun: boolean } | string {
  let value: unknown;
  try {
    value = body.length > gatewayLimits.selectionBytes ? undefined : (JSON.parse(fromUtf8(body)) as unknown);
  } catch {
    value = undefined;
  }
  if (typeof value !== "object" || value === null || Array.isArray(value))
    return "the body must be JSON: an object with ids, or with flow and code";
  const { ids, dryRun = false, ...fields } = value as Fields;
  if (typeof dryRun !== "boolean") return "dryRun must be true or false";
  const known: Parameters = { flow: flowName, outlet: flowName, code, kind };
  for (const [name, given] of Object.entries(fields)) {
    const parameter = Object.hasOwn(known, name) ? known[name] : undefined;
    if (parameter === undefined) return `unknown field ${JSON.stringify(name.slice(0, 64))}`;
    if (typeof given !== "string" || !parameter.pattern.test(given)) return `${name} must be ${parameter.says}`;
  }
  if (ids !== undefined && (!Array.isArray(ids) || !ids.every((id) => typeof id === "string" && letterId.pattern.test(id))))
    return "ids must be a list of dead letters' ids";
  if (ids === undefined && Object.keys(fields).length === 0) return "name the letters: ids, or a flow, outlet, code or kind";
  return { selection: { ...(fields as LetterSelectionJson), ids: ids as string[] | undefined }, dryRun };
}

export function addWatched(routes: HttpRoutes, gateway: Watched, access: Access): void {
  const guarded = (method: string, path: string, known: Parameters, answer: Answer): void => {
    routes.add(method, path, guard(access, gateway.memory, known, answer));
  };
  const found = (value: object | undefined): { readonly status: number; readonly value: unknown } =>
    value === undefined ? notFound : { status: 200, value };
  guarded("GET", "/api/overview", { past: flag }, async (_request, _parameters, query) =>
    found(await gateway.overview(query.get("past") !== "false")),
  );
  guarded("GET", "/api/map", {}, async () => found(gateway.map()));
  guarded("GET", "/api/flows", {}, async () => found(gateway.flowList()));
  guarded("GET", "/api/flows/:flow", {}, async (_request, { flow = "" }) => found(gateway.oneFlow(flow)));
  guarded("GET", "/api/connectors", {}, async () => found(gateway.connectorList()));
  addLetters(guarded, gateway);
  routes.add("GET", "/api/events", (request, response, _parameters, query) => {
    request.resume();
    if (!isTrusted(request, access)) return sendProblem(response, denied);
    if (query !== "") return sendProblem(response, { status: 400, code: "MF_QUERY_INVALID", detail: "/api/events has no parameters" });
    gateway.overview(true).then(
      (now) => gateway.events.open(response, () => [["overview", now]]),
      (error: unknown) => sendProblem(response, { status: 500, code: "MF_INTERNAL", detail: String(error) }),
    );
  });
}

function addLetters(guarded: (method: string, path: string, known: Parameters, answer: Answer) => void, { letters }: Watched): void {
  const known = { flow: flowName, outlet: flowName, code, kind, limit, cursor: letterId };
  guarded("GET", "/api/dead-letters", known, async (_request, _parameters, query) => {
    const selection = {
      flow: query.get("flow"),
      outlet: query.get("outlet"),
      code: query.get("code"),
      kind: query.get("kind") as LetterSelectionJson["kind"],
    };
    return { status: 200, value: await letters.list(selection, Number(query.get("limit") ?? 100), query.get("cursor")) };
  });
  guarded("GET", "/api/dead-letters/groups", {}, async () => ({ status: 200, value: await letters.groups() }));
  for (const what of ["retry", "drop"] as const)
    guarded("POST", `/api/dead-letters/${what}`, {}, async (_request, _parameters, _query, body) => {
      const read = readSelection(body);
      if (typeof read === "string")
        return { status: 400, value: { code: "MF_SELECTION_INVALID", detail: `no dead letter is selected: ${read}` } };
      return { status: 200, value: await (read.dryRun ? letters.preview(read.selection) : letters.bulk(what, read.selection)) };
    });
}
