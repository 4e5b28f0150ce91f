/** The endpoints of questions and previews, for the dashboard and for operators. */
import { fromUtf8 } from "#base";
import type { HttpRoutes } from "../contract/http/routes.ts";
import type { GatewayMemory } from "../contract/memory.ts";
import { type Access, type Answer, flag, flowName, guard, type Parameter } from "../http/guard.ts";
import type { Answered, Approvals, GivenAnswer } from "./approvals.ts";
import { approvalLimits } from "./limits.ts";

export interface ApprovalEndpointPorts {
  readonly approvals: Approvals;
  readonly memory: GatewayMemory;
  /** Asks the other nodes of a cluster; undefined: no machine there waits for it. Rejects when one of them does not answer. */
  readonly elsewhere?: ((asked: AskedWait) => Promise<WaitAnswer | undefined>) | undefined;
}

const wait: Parameter = { pattern: /^\d{1,10}$/, says: "the number of a wait, as `mayfly sleepers show` has it" };

const unknownWait = {
  status: 404,
  value: {
    code: "MF_WAIT_UNKNOWN",
    detail: "the machine does not wait for this any more: it was answered, its time is over, or it has ended",
  },
};

function readAnswer(body: Uint8Array): GivenAnswer | undefined {
  try {
    const { option, by, comment } = JSON.parse(fromUtf8(body)) as Partial<Record<keyof GivenAnswer, unknown>>;
    const text = (value: unknown, most: number): value is string | undefined =>
      value === undefined || (typeof value === "string" && value.length <= most);
    if (typeof option !== "string" || !text(by, approvalLimits.nameCharacters) || !text(comment, approvalLimits.commentCharacters))
      return undefined;
    return { option, by, comment };
  } catch {
    return undefined;
  }
}

function told(outcome: Answered): { readonly status: number; readonly value: object } {
  if (outcome.status === "kept") return { status: 202, value: outcome };
  if (outcome.status === "closed") return unknownWait;
  return { status: outcome.final ? 409 : 503, value: { code: outcome.code, detail: outcome.message } };
}

/** A question about a wait, or an answer to it. */
export interface AskedWait {
  readonly what: (typeof waitDeeds)[number];
  readonly id: string;
  readonly flow: string | undefined;
  readonly wait: number;
  /** Of a preview: of the end of the wait's time instead of a signal. */
  readonly timeout: boolean;
  readonly contentType: string;
  readonly body: Uint8Array;
}

export const waitDeeds = ["options", "preview", "answer"] as const;

export interface WaitAnswer {
  readonly status: number;
  readonly value: unknown;
}

/** Undefined: no machine here waits for it. */
export async function waitHere(approvals: Approvals, asked: AskedWait): Promise<WaitAnswer | undefined> {
  const { what, id, flow, wait: number, timeout, contentType, body } = asked;
  const given = what === "answer" ? readAnswer(body) : undefined;
  if (what === "answer" && given === undefined)
    return {
      status: 400,
      value: { code: "MF_REQUEST_INVALID", detail: 'the body must be JSON: {"option": "…", "by": "…", "comment": "…"}' },
    };
  const found = await approvals.find(flow, id, number);
  if (found === undefined) return undefined;
  if (given !== undefined) return told(await approvals.answer(found, given, undefined));
  if (what === "preview") return { status: 200, value: await approvals.preview(found, timeout ? undefined : { contentType, body }) };
  const options = await approvals.options(found);
  const unanswered = found.wait.dueMs === undefined ? null : await approvals.preview(found, undefined);
  return { status: 200, value: { question: found.question, until: found.wait.dueMs ?? null, options, unanswered } };
}

export function addApprovalEndpoints(routes: HttpRoutes, { approvals, memory, elsewhere }: ApprovalEndpointPorts, access: Access): void {
  const guarded = (method: string, what: AskedWait["what"], known: Readonly<Record<string, Parameter>> = {}): void => {
    const answer: Answer = async (request, { id = "" }, query, body) => {
      const contentType = request.headers["content-type"] ?? "";
      const timeout = query.get("timeout") === "true";
      const asked = { what, id, flow: query.get("flow"), wait: Number(query.get("wait") ?? 0), timeout, contentType, body };
      return (await waitHere(approvals, asked)) ?? (await elsewhere?.(asked)) ?? unknownWait;
    };
    routes.add(method, `/api/sleepers/:id/${what}`, guard(access, memory, { flow: flowName, wait, ...known }, answer));
  };
  guarded("GET", "options");
  guarded("POST", "preview", { timeout: flag });
  guarded("POST", "answer");
}
