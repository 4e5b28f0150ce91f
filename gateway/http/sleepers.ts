/** The endpoints of sleeping machines, and the way in for signals by hand: `mayfly sleepers` and `mayfly signal`. */
import type { IncomingMessage } from "node:http";
import { hardLimits } from "#abi";
import type { GatewayMemory } from "../contract/memory.ts";
import type { HttpRoutes } from "../contract/http/routes.ts";
import type { IncomingSignal, SignalOutcome } from "../contract/sleep.ts";
import type { SleepDesk } from "../contract/sleep-desk.ts";
import { type Access, type Answer, flowName, guard, limit, messageHeaders, messageId, type Parameter, type Parameters } from "./guard.ts";

/** The part of the gateway that this needs. Rejects as SleepDesk does. */
export interface Sleeping {
  readonly memory: GatewayMemory;
  readonly sleepers: Pick<SleepDesk, "wake" | "cancel" | "migrate">;
  list(page: { readonly flow: string | undefined; readonly after: string | undefined; readonly most: number }): Promise<object>;
  show(id: string, flow: string | undefined): Promise<object>;
  /** `keptUntil`: of a signal nobody waits for yet. */
  signal(signal: IncomingSignal): Promise<{ readonly outcome: SignalOutcome; readonly keptUntil: string | null }>;
}

const after: Parameter = { pattern: /^\d{1,16}$/, says: "the `next` of the page before" };
const key: Parameter = { pattern: new RegExp(`^[^]{1,${hardLimits.keyBytes}}$`), says: `a key of 1 to ${hardLimits.keyBytes} characters` };

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
  guarded("GET", "/api/sleepers", { flow: flowName, after, most: limit }, async (_request, _parameters, query) => ({
    status: 200,
    value: await gateway.list({ flow: query.get("flow"), after: query.get("after"), most: Number(query.get("most") ?? 100) }),
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
