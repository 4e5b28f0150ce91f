/** The endpoints of sleeping machines, and the way in for signals by hand: `mayfly sleepers` and `mayfly signal`. */
import type { IncomingMessage } from "node:http";
import { hardLimits } from "#abi";
import { parseDuration } from "#base";
import type { GatewayMemory } from "../contract/memory.ts";
import type { HttpRoutes } from "../contract/http/routes.ts";
import type { IncomingSignal, SignalOutcome } from "../contract/sleep.ts";
import type { SleepDesk } from "../contract/sleep-desk.ts";
import {
  type Access,
  type Answer,
  flowName,
  guard,
  limit,
  messageHeaders,
  messageId,
  type Parameter,
  type Parameters,
  type Query,
} from "./guard.ts";

/** The part of the gateway that this needs. Rejects as SleepDesk does. */
export interface Sleeping {
  readonly memory: GatewayMemory;
  /** Milliseconds since 1970. */
  now(): number;
  readonly sleepers: Pick<SleepDesk, "wake" | "cancel" | "migrate">;
  /** Of a bounded number of sleepers that were looked at: a page may be short, even empty, and have a next one. */
  list(page: { readonly after: string | undefined; readonly most: number }, search: SleeperSearch): Promise<object>;
  show(id: string, flow: string | undefined): Promise<object>;
  /** `keptUntil`: of a signal nobody waits for yet. */
  signal(signal: IncomingSignal): Promise<{ readonly outcome: SignalOutcome; readonly keptUntil: string | null }>;
}

export interface SleeperSearch {
  readonly flow: string | undefined;
  /** Name of a wait. */
  readonly wait: string | undefined;
  /** Key of the message, or of a wait. */
  readonly key: string | undefined;
  readonly state: string | undefined;
  /** Fell asleep at this time or later, milliseconds since 1970. */
  readonly sinceMs: number | undefined;
  /** Wakes by itself until then. */
  readonly untilMs: number | undefined;
}

const after: Parameter = { pattern: /^[\w-]{1,1000}$/, says: "the `next` of the page before" };
const key: Parameter = { pattern: new RegExp(`^[^]{1,${hardLimits.keyBytes}}$`), says: `a key of 1 to ${hardLimits.keyBytes} characters` };

const signalName: Parameter = { pattern: new RegExp(`^[^]{1,${hardLimits.nameBytes}}$`), says: "the name of a signal" };
const state: Parameter = { pattern: /^(asleep|awake|retrying|stuck)$/, says: "asleep, awake, retrying or stuck" };
const time = (says: string): Parameter => ({
  pattern: /^(\d{1,16}(\.\d+)?|\d+(\.\d+)?(ms|s|m|h|d))$/,
  says: `milliseconds since 1970, or ${says}`,
});
const searches: Parameters = {
  flow: flowName,
  wait: signalName,
  key,
  state,
  since: time("a duration before now such as 24h"),
  until: time("a duration from now such as 24h"),
  after,
  most: limit,
};

/** A date, or a duration from now in the direction given. */
function timeOf(given: string | undefined, nowMs: number, direction: 1 | -1): number | undefined {
  if (given === undefined) return undefined;
  const span = parseDuration(given);
  return span === undefined ? Number(given) : nowMs + direction * span;
}

function searchOf(query: Query, nowMs: number): SleeperSearch {
  return {
    flow: query.get("flow"),
    wait: query.get("wait"),
    key: query.get("key"),
    state: query.get("state"),
    sinceMs: timeOf(query.get("since"), nowMs, -1),
    untilMs: timeOf(query.get("until"), nowMs, 1),
  };
}

type Answered = Awaited<ReturnType<Answer>>;

/** Statuses of signals that are refused for good; one that may be sent again is 503. */
const statuses: ReadonlyMap<string, number> = new Map([
  ["MF_FLOW_UNKNOWN", 404],
  ["MF_SIGNAL_NO_KEY", 400],
  ["MF_SIGNAL_TOO_LARGE", 413],
]);

function answerOf({ outcome, keptUntil }: Awaited<ReturnType<Sleeping["signal"]>>): Answered {
  switch (outcome.status) {
    case "kept":
      return { status: 202, value: { id: outcome.id, status: "kept", waiting: outcome.waiting, keptUntil } };
    case "duplicate":
      return { status: 200, value: { id: outcome.id, status: "duplicate" } };
    case "refused": {
      const { code, message, final } = outcome;
      return { status: final ? (statuses.get(code) ?? 409) : 503, value: { code, detail: message } };
    }
  }
}

export function addSleepers(routes: HttpRoutes, gateway: Sleeping, access: Access): void {
  const guarded = (method: string, path: string, known: Parameters, answer: Answer): void => {
    routes.add(method, path, guard(access, gateway.memory, known, answer));
  };
  guarded("GET", "/api/sleepers", searches, async (_request, _parameters, query) => ({
    status: 200,
    value: await gateway.list({ after: query.get("after"), most: Number(query.get("most") ?? 100) }, searchOf(query, gateway.now())),
  }));
  guarded("GET", "/api/sleepers/:id", { flow: flowName }, async (_request, { id = "" }, query) => ({
    status: 200,
    value: await gateway.show(id, query.get("flow")),
  }));
  for (const what of ["wake", "cancel", "migrate"] as const)
    guarded("POST", `/api/sleepers/:id/${what}`, { flow: flowName }, async (_request, { id = "" }, query) => {
      await gateway.sleepers[what](id, query.get("flow"));
      return { status: 200, value: { id, done: what } };
    });
  guarded(
    "POST",
    "/api/flows/:flow/signals/:name",
    { key, id: messageId },
    async (request: IncomingMessage, { flow = "", name = "" }, query, body) =>
      answerOf(
        await gateway.signal({
          flow,
          name,
          key: query.get("key") ?? "",
          id: query.get("id"),
          source: "api",
          headers: messageHeaders(request),
          contentType: request.headers["content-type"] ?? "",
          body,
        }),
      ),
  );
}
