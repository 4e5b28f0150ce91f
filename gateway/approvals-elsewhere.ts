/**
 * Questions to people in a cluster: a link opens at any node, which hands it to the others where its machine does not sleep; so do the endpoints for
 * operators. All nodes sign links with `approvals.key`.
 */
import { CodedError } from "#base";
import { type AskedWait, type WaitAnswer, waitDeeds } from "./approvals/admin.ts";
import type { AskedPage, Page } from "./approvals/endpoint.ts";
import type { Cluster } from "./contract/cluster.ts";

type Fields = Readonly<Record<string, unknown>>;

/** The part of this node that others ask for. Undefined: the question is not open here. */
export interface ApprovalsHere {
  page(asked: AskedPage): Promise<Page | undefined>;
  wait(asked: AskedWait): Promise<WaitAnswer | undefined>;
}

function fieldsOf(value: unknown): Fields {
  return typeof value === "object" && value !== null ? (value as Fields) : {};
}

const sent = (body: Uint8Array): string => Buffer.from(body).toString("base64");
const received = (body: string): Uint8Array => new Uint8Array(Buffer.from(body, "base64"));

/** The same of all other nodes. Rejects with MF_PARTITION_AWAY when none has the question and one did not answer: it may be there. */
export class ApprovalsElsewhere implements ApprovalsHere {
  readonly #cluster: Pick<Cluster, "askOthers">;

  constructor(cluster: Pick<Cluster, "askOthers">) {
    this.#cluster = cluster;
  }

  async page({ token, form }: AskedPage): Promise<Page | undefined> {
    const given = form === undefined ? undefined : { ...form, body: sent(form.body) };
    const { status, html } = await this.#ask({ ask: "page", token, form: given });
    return typeof status === "number" && typeof html === "string" ? { status, html } : undefined;
  }

  async wait({ body, ...asked }: AskedWait): Promise<WaitAnswer | undefined> {
    const { status, value } = await this.#ask({ ask: "wait", ...asked, body: sent(body) });
    return typeof status === "number" ? { status, value } : undefined;
  }

  /** The answer of the node that has it; empty where none has. */
  async #ask(question: object): Promise<Fields> {
    const answers = await this.#cluster.askOthers({ kind: "approval", ...question });
    const found = answers.map(({ answer }) => fieldsOf(answer)).find(({ status }) => typeof status === "number");
    const silent = answers.filter(({ answer }) => answer === undefined).map(({ node }) => node);
    if (found !== undefined || silent.length === 0) return found ?? {};
    throw new CodedError("MF_PARTITION_AWAY", `${silent.join(", ")} did not answer, where the question may be: try again later`);
  }
}

/** The answer to another node's question, as JSON has it; undefined for another question. */
export async function approvalAnswer(question: unknown, here: ApprovalsHere): Promise<unknown> {
  const { kind, ask, ...fields } = fieldsOf(question);
  if (kind !== "approval") return undefined;
  const asked = ask === "page" ? pageIn(fields) : undefined;
  if (asked !== undefined) return (await here.page(asked)) ?? {};
  const wait = ask === "wait" ? waitIn(fields) : undefined;
  return wait === undefined ? undefined : ((await here.wait(wait)) ?? {});
}

function pageIn({ token, form }: Fields): AskedPage | undefined {
  if (typeof token !== "string") return undefined;
  const { contentType, body } = fieldsOf(form);
  const isForm = typeof contentType === "string" && typeof body === "string";
  return { token, form: isForm ? { contentType, body: received(body) } : undefined };
}

function waitIn({ what, id, flow, wait, timeout, contentType, body }: Fields): AskedWait | undefined {
  const deed = waitDeeds.find((each) => each === what);
  if (deed === undefined || typeof id !== "string" || typeof wait !== "number" || typeof timeout !== "boolean") return undefined;
  if (typeof contentType !== "string" || typeof body !== "string" || (flow !== undefined && typeof flow !== "string")) return undefined;
  return { what: deed, id, flow, wait, timeout, contentType, body: received(body) };
}
