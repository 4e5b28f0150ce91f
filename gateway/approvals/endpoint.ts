/**
 * /approve/TOKEN on the public port. GET and HEAD only show: scanners of mail and chat follow every link. POST answers. The token is the only
 * secret: there is no cookie, so that no other page can act for whoever has the link.
 */
import type { IncomingMessage, ServerResponse } from "node:http";
import { fromUtf8, toUtf8 } from "#base";
import { readBody } from "../contract/http/body.ts";
import type { HttpRoutes } from "../contract/http/routes.ts";
import type { GatewayMemory } from "../contract/memory.ts";
import type { Logger } from "../contract/connector.ts";
import type { Answered, Approvals, FoundWait, GivenAnswer } from "./approvals.ts";
import { approvalLimits } from "./limits.ts";
import { approvalPath, type LinkedQuestion, type Links, tagOf } from "./links.ts";
import { noticePage, pageHeaders, questionPage } from "./page.ts";

/** A page that is asked for: with a form an answer. */
export interface AskedPage {
  readonly token: string;
  readonly form?: { readonly contentType: string; readonly body: Uint8Array } | undefined;
}

/** Asks the other nodes of a cluster; undefined: the question is open at none of them. Rejects when one of them does not answer. */
export type PageElsewhere = (asked: AskedPage) => Promise<Page | undefined>;

export interface ApprovalPagePorts {
  readonly approvals: Approvals;
  readonly links: Links;
  readonly memory: GatewayMemory;
  readonly logger: Logger;
  /** Milliseconds since 1970. */
  readonly now: () => number;
  /** Absent where there are no other nodes. */
  readonly elsewhere?: PageElsewhere | undefined;
}

export interface Page {
  readonly status: number;
  readonly html: string;
}

function notice(status: number, title: string, sentence: string, code?: string): Page {
  return { status, html: noticePage(title, sentence, code) };
}

/** The answer to all that this gateway has not made: whoever guesses learns nothing. */
const unknown = notice(
  404,
  "This link is not valid",
  "It may be cut off or mistyped: open it again from the message that brought it.",
  "MF_APPROVAL_UNKNOWN",
);
const expired = notice(410, "This question has expired", "Its time to be answered is over.", "MF_APPROVAL_EXPIRED");
const closed = notice(
  410,
  "This question is closed",
  "It has been answered already, or nobody waits for the answer any more.",
  "MF_APPROVAL_CLOSED",
);
const failed = notice(503, "Not now", "The gateway can't do this at the moment: try again in a minute.", "MF_APPROVAL_UNAVAILABLE");

export function addApprovals(routes: HttpRoutes, ports: ApprovalPagePorts): void {
  let open = 0;
  /** False when too many pages are open. Those of strangers, which are quick, don't count. */
  const enters = (response: ServerResponse, token: string): boolean => {
    if (ports.links.read(token) === undefined) return true;
    if (open >= approvalLimits.pagesAtOnce) return false;
    open += 1;
    response.on("close", () => (open -= 1));
    return true;
  };
  const answer = (request: IncomingMessage, response: ServerResponse, work: () => Promise<Page>): void => {
    work().then(
      (page) => sendPage(request, response, page),
      (error: unknown) => {
        ports.logger.warn({}, `a question could not be shown or answered: ${error instanceof Error ? error.message : String(error)}`);
        sendPage(request, response, failed);
      },
    );
  };
  routes.add("GET", `${approvalPath}*`, (request, response, { "*": token = "" }) => {
    request.resume();
    if (!enters(response, token)) return sendPage(request, response, failed);
    answer(request, response, () => anywhere(ports, { token }));
  });
  routes.add("POST", `${approvalPath}*`, (request, response, { "*": token = "" }) => {
    if (!enters(response, token)) {
      request.resume();
      return sendPage(request, response, failed);
    }
    readBody(request, { limit: approvalLimits.formBytes, memory: ports.memory }, (problem, body) => {
      if (problem !== undefined)
        return sendPage(request, response, notice(problem.status, "The answer can't be read", problem.detail, problem.code));
      answer(request, response, () => anywhere(ports, { token, form: { contentType: request.headers["content-type"] ?? "", body } }));
    });
  });
}

function sendPage(request: IncomingMessage, response: ServerResponse, { status, html }: Page): void {
  if (response.headersSent || response.destroyed) return;
  const body = toUtf8(html);
  const ends = status === 413 ? { connection: "close" } : {};
  response.writeHead(status, { ...pageHeaders, ...ends, "content-length": body.length });
  response.end(request.method === "HEAD" ? undefined : body);
}

/** The token's question, or the page that says why it can't be shown. */
async function found(
  { approvals, links, now }: ApprovalPagePorts,
  token: string,
): Promise<{ readonly wait: FoundWait & { readonly question: NonNullable<FoundWait["question"]> }; readonly link: LinkedQuestion } | Page> {
  const link = links.read(token);
  if (link === undefined) return unknown;
  if (now() >= link.untilMs) return expired;
  const wait = await approvals.find(link.flow, link.id, link.wait);
  if (wait === undefined || wait.question === null || tagOf(wait.wait) !== link.tag) return closed;
  return { wait: { ...wait, question: wait.question }, link };
}

/** The page of this node; undefined where the question is not open here. */
export async function pageHere(ports: ApprovalPagePorts, { token, form }: AskedPage): Promise<Page | undefined> {
  const page = await (form === undefined ? shown(ports, token) : answered(ports, token, form));
  return page === closed ? undefined : page;
}

async function anywhere(ports: ApprovalPagePorts, asked: AskedPage): Promise<Page> {
  return (await pageHere(ports, asked)) ?? (await ports.elsewhere?.(asked)) ?? closed;
}

async function shown(ports: ApprovalPagePorts, token: string): Promise<Page> {
  const asked = await found(ports, token);
  if ("status" in asked) return asked;
  const { wait, link } = asked;
  const { dueMs } = wait.wait;
  const previews = await ports.approvals.options(wait);
  const unanswered = dueMs === undefined ? undefined : { untilMs: dueMs, preview: await ports.approvals.preview(wait, undefined) };
  const { question, options } = wait.question;
  return { status: 200, html: questionPage({ flow: link.flow, id: link.id, question, options, previews, unanswered }) };
}

async function answered(ports: ApprovalPagePorts, token: string, form: NonNullable<AskedPage["form"]>): Promise<Page> {
  const asked = await found(ports, token);
  if ("status" in asked) return asked;
  const given = readForm(form.contentType, form.body);
  if (typeof given === "string") return notice(400, "The answer can't be read", given, "MF_APPROVAL_FORM");
  const { wait, link } = asked;
  const outcome = await ports.approvals.answer(wait, given, `approval-${link.use}`);
  ports.logger.info(
    { message: link.id, flow: link.flow, option: given.option, outcome: outcome.status },
    "a question was answered by its link",
  );
  return told(outcome, given);
}

function told(outcome: Answered, { option }: GivenAnswer): Page {
  switch (outcome.status) {
    case "kept":
      return notice(
        200,
        "Thank you",
        `Your answer “${option}” is kept safe${outcome.waiting ? ", and the flow goes on" : ""}. This link does not work again.`,
      );
    case "closed":
      return closed;
    case "refused":
      return notice(outcome.final ? 409 : 503, "The answer was not taken", outcome.message, outcome.code);
  }
}

/** A sentence when it is malformed. */
function readForm(contentType: string, body: Uint8Array): GivenAnswer | string {
  if (!/^application\/x-www-form-urlencoded\s*(;|$)/i.test(contentType)) return "Use the form on the page: what came was something else.";
  const fields = new URLSearchParams(fromUtf8(body));
  for (const name of ["option", "by", "comment"]) if (fields.getAll(name).length > 1) return `The field ${name} came more than once.`;
  const option = fields.get("option");
  const by = fields.get("by")?.trim() ?? "";
  const comment = fields.get("comment")?.trim() ?? "";
  if (option === null || option === "") return "No option was chosen.";
  if (by.length > approvalLimits.nameCharacters) return `The name is longer than ${approvalLimits.nameCharacters} characters.`;
  if (comment.length > approvalLimits.commentCharacters)
    return `The comment is longer than ${approvalLimits.commentCharacters} characters.`;
  return { option, by: by === "" ? undefined : by, comment: comment === "" ? undefined : comment };
}
