/**
 * Messages that bring a question to people: a machine that falls asleep on an `approve` with `to` sends the question and a link to that
 * outlet. They are sends of the same commit as the sleep, with the same idempotency.
 */
import { toUtf8 } from "#base";
import type { Failure } from "../../contract/message.ts";
import type { Flow } from "../../contract/runner.ts";
import { type OpenWait, type Question, questionOf, type Sleeper } from "../../contract/sleep.ts";
import type { NewMessage, NewSend } from "../../journal/journal.ts";
import { unknownOutlet } from "../attempt/effects.ts";
import { failureOf } from "../failures.ts";

/** A question that is open. */
export interface AskedQuestion {
  readonly flow: string;
  /** The message's id. */
  readonly id: string;
  readonly wait: OpenWait;
  readonly question: Question;
  /** Nobody can answer it from then on, milliseconds since 1970. */
  readonly untilMs: number;
}

export interface QuestionLinks {
  /** URL of its page; undefined where the gateway listens nowhere. Throws a CodedError where there can be no page. */
  linkTo(asked: AskedQuestion): string | undefined;
}

export interface FallingAsleep {
  readonly flow: Pick<Flow, "name" | "outlets" | "sleepMostMs">;
  readonly message: Pick<NewMessage, "id" | "key">;
  /** As it slept before: its questions have been sent. */
  readonly before: Sleeper | undefined;
  readonly now: Sleeper;
}

/** In the order in which they were asked; the failure of the attempt where one can't be sent. */
export function questionSends({ flow, message, before, now }: FallingAsleep, links: QuestionLinks): readonly NewSend[] | Failure {
  const sends: NewSend[] = [];
  for (const wait of now.waits) {
    const question = questionOf(wait.questionJson);
    if (question?.to === undefined || before?.waits.some((each) => each.wait === wait.wait) === true) continue;
    const outlet = question.to;
    if (!flow.outlets.includes(outlet)) return failureOf("MF_OUTLET_UNKNOWN", unknownOutlet(flow.name, outlet, flow.outlets), false);
    const asked = { flow: flow.name, id: message.id, wait, question, untilMs: wait.dueMs ?? now.sinceMs + flow.sleepMostMs };
    const link = links.linkTo(asked);
    if (link === undefined) return failureOf("MF_APPROVAL_URL", noUrl(outlet), false);
    sends.push({ outlet, key: message.key, contentType: "application/json", headers: {}, body: toUtf8(questionJson(asked, link)) });
  }
  return sends;
}

function noUrl(outlet: string): string {
  return `the flow sends a question to ${outlet}, but people can't reach the gateway: set approvals.url in mayfly.yaml to the URL under which http.port is reached, and approvals.key in a cluster`;
}

function questionJson({ flow, id, question, untilMs }: AskedQuestion, link: string): string {
  return JSON.stringify({ question: question.question, options: question.options, link, flow, id, until: new Date(untilMs).toISOString() });
}
