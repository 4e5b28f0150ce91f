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

export function addApprovalEndpoints(routes: HttpRoutes, { approvals, memory }: ApprovalEndpointPorts, access: Access): void {
  const guarded = (method: string, path: string, known: Readonly<Record<string, Parameter>>, answer: Answer): void => {
    routes.add(method, `/api/sleepers/:id/${path}`, guard(access, memory, { flow: flowName, wait, ...known }, answer));
  };
  guarded("GET", "options", {}, async (_request, { id = "" }, query) => {
    const found = await approvals.find(query.get("flow"), id, Number(query.get("wait") ?? 0));
    if (found === undefined) return unknownWait;
    const options = await approvals.options(found);
    const unanswered = found.wait.dueMs === undefined ? null : await approvals.preview(found, undefined);
    return { status: 200, value: { question: found.question, until: found.wait.dueMs ?? null, options, unanswered } };
  });
  guarded("POST", "preview", { timeout: flag }, async (request, { id = "" }, query, body) => {
    const found = await approvals.find(query.get("flow"), id, Number(query.get("wait") ?? 0));
    if (found === undefined) return unknownWait;
    const signal = query.get("timeout") === "true" ? undefined : { contentType: request.headers["content-type"] ?? "", body };
    return { status: 200, value: await approvals.preview(found, signal) };
  });
  guarded("POST", "answer", {}, async (_request, { id = "" }, query, body) => {
    const given = readAnswer(body);
    if (given === undefined)
      return {
        status: 400,
        value: { code: "MF_REQUEST_INVALID", detail: 'the body must be JSON: {"option": "…", "by": "…", "comment": "…"}' },
      };
    const found = await approvals.find(query.get("flow"), id, Number(query.get("wait") ?? 0));
    return found === undefined ? unknownWait : told(await approvals.answer(found, given, undefined));
  });
}
