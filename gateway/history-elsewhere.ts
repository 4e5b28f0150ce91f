/**
 * Recorded messages of all nodes of a cluster, searched together. Each node has the messages that ended there, in a folder of its own; a page of all
 * is merged from a page of each.
 *
 *   cursor   {"t": TIME, "seen": {"a": 2}}   as base64url: messages received at TIME or before, of node a without the first two of that millisecond
 */
import { decodeRecording, encodeRecording } from "#abi";
import type { Cluster } from "./contract/cluster.ts";
import { historyLimits } from "./history/limits.ts";
import type { HistoryPage, HistoryQuery, HistoryReader, MessageDetail, MessageSummary, RecordedMessage } from "./history/history.ts";

/** The part of a reader that a node asks of another. */
export type HistorySearch = Pick<HistoryReader, "list" | "show" | "recording">;

interface Place {
  /** Milliseconds since 1970. */
  readonly t: number;
  readonly seen: Readonly<Record<string, number>>;
}

interface NodePage extends HistoryPage {
  readonly node: string;
}

function placeIn(cursor: string | undefined): Place | undefined {
  if (cursor === undefined) return undefined;
  try {
    const { t, seen } = JSON.parse(Buffer.from(cursor, "base64url").toString()) as Partial<Place>;
    const isSeen =
      typeof seen === "object" && seen !== null && Object.values(seen).every((each) => Number.isSafeInteger(each) && each >= 0);
    return typeof t === "number" && Number.isFinite(t) && isSeen ? { t, seen } : undefined;
  } catch {
    return undefined; // as no cursor, which a node takes one for as well
  }
}

function cursorOf(place: Place): string {
  return Buffer.from(JSON.stringify(place)).toString("base64url");
}

/** A node's own cursor for everything received at that time or before (history/reader.ts). */
function ownCursor({ t }: Place): string {
  return `${t}_${Number.MAX_SAFE_INTEGER}_0`;
}

function isSummary(value: unknown): value is MessageSummary {
  const { id, receivedAt } = (typeof value === "object" && value !== null ? value : {}) as Partial<MessageSummary>;
  return typeof id === "string" && typeof receivedAt === "number";
}

/** A page from another node; undefined for what is no page. */
function pageIn(answer: unknown): HistoryPage | undefined {
  if (typeof answer !== "object" || answer === null) return undefined;
  const { messages, next, remarks } = answer as Partial<Record<keyof HistoryPage, unknown>>;
  if (!Array.isArray(messages) || !messages.every(isSummary)) return undefined;
  const sentences = Array.isArray(remarks) ? remarks.filter((each) => typeof each === "string") : [];
  return { messages, next: typeof next === "string" ? next : undefined, remarks: sentences };
}

function newest<T>(found: readonly T[], receivedAt: (each: T) => number): T | undefined {
  return found.reduce<T | undefined>((best, each) => (best === undefined || receivedAt(each) > receivedAt(best) ? each : best), undefined);
}

/** The messages of a page that were not on the page before. */
function withoutSeen(page: NodePage, place: Place | undefined): readonly MessageSummary[] {
  const seen = place?.seen[page.node] ?? 0;
  return page.messages.filter(({ receivedAt }, index) => index >= seen || receivedAt !== place?.t);
}

export class HistoryEverywhere implements HistorySearch {
  readonly #own: HistorySearch;
  readonly #cluster: Pick<Cluster, "node" | "askOthers">;

  constructor(own: HistorySearch, cluster: Pick<Cluster, "node" | "askOthers">) {
    this.#own = own;
    this.#cluster = cluster;
  }

  async list(query: HistoryQuery): Promise<HistoryPage> {
    const place = placeIn(query.cursor);
    const most = Math.max(0, ...Object.values(place?.seen ?? {}));
    const limit = Math.min(query.limit + most, historyLimits.page);
    const asked = { ...query, limit, cursor: place === undefined ? undefined : ownCursor(place) };
    const [own, others] = await Promise.all([
      this.#own.list(asked),
      this.#cluster.askOthers({ kind: "history", ask: "list", query: asked }),
    ]);
    const pages: NodePage[] = [{ ...own, node: this.#cluster.node }];
    const remarks = [...own.remarks];
    for (const { node, answer } of others) {
      const page = pageIn(answer);
      if (page === undefined) remarks.push(`the node ${node} does not answer: its messages are not here`);
      else {
        pages.push({ ...page, node });
        remarks.push(...page.remarks.map((remark) => `${node}: ${remark}`));
      }
    }
    return { ...merged(pages, query.limit, place), remarks };
  }

  async show(id: string, flow?: string): Promise<MessageDetail | undefined> {
    const [own, others] = await Promise.all([
      this.#own.show(id, flow),
      this.#cluster.askOthers({ kind: "history", ask: "show", id, flow }),
    ]);
    const found = others.flatMap(({ answer }) => (isSummary(answer) ? [answer as unknown as MessageDetail] : []));
    return newest([...(own === undefined ? [] : [own]), ...found], ({ receivedAt }) => receivedAt);
  }

  async recording(
    id: string,
    options: { readonly flow?: string | undefined; readonly attempt?: number | undefined } = {},
  ): Promise<RecordedMessage | undefined> {
    const [own, others] = await Promise.all([
      this.#own.recording(id, options),
      this.#cluster.askOthers({ kind: "history", ask: "recording", id, ...options }),
    ]);
    const found = others.flatMap(({ answer }) => recordedIn(answer));
    return newest([...(own === undefined ? [] : [own]), ...found], ({ summary }) => summary.receivedAt);
  }
}

/** The newest messages of all pages; `next` where there are more. */
function merged(pages: readonly NodePage[], limit: number, place: Place | undefined): Pick<HistoryPage, "messages" | "next"> {
  const rows = pages.flatMap((page) => withoutSeen(page, place).map((message) => ({ message, node: page.node })));
  rows.sort((a, b) => b.message.receivedAt - a.message.receivedAt); // stable: of one millisecond each node's own order
  const shown = rows.slice(0, limit);
  const messages = shown.map(({ message }) => message);
  const t = messages.at(-1)?.receivedAt;
  const hasMore = rows.length > limit || pages.some(({ next }) => next !== undefined);
  if (t === undefined || !hasMore) return { messages, next: undefined };
  const seen: Record<string, number> = t === place?.t ? { ...place.seen } : {};
  for (const { message, node } of shown) if (message.receivedAt === t) seen[node] = (seen[node] ?? 0) + 1;
  return { messages, next: cursorOf({ t, seen }) };
}

function recordedIn(answer: unknown): readonly RecordedMessage[] {
  const { summary, recording } = (typeof answer === "object" && answer !== null ? answer : {}) as Partial<Record<string, unknown>>;
  if (!isSummary(summary) || typeof recording !== "string") return [];
  const decoded = decodeRecording(new Uint8Array(Buffer.from(recording, "base64")));
  return decoded.ok ? [{ summary, recording: decoded.value }] : [];
}

/** The answer to another node's question, as JSON has it; undefined for another question, and where there is nothing to answer. */
export async function historyAnswer(question: unknown, own: () => HistorySearch): Promise<unknown> {
  const { kind, ask, query, id, flow, attempt } = (typeof question === "object" && question !== null ? question : {}) as Partial<
    Record<string, unknown>
  >;
  if (kind !== "history") return undefined;
  if (ask === "list" && typeof query === "object" && query !== null) return await own().list(query as HistoryQuery);
  if (typeof id !== "string" || (flow !== undefined && typeof flow !== "string")) return undefined;
  if (ask === "show") return await own().show(id, flow);
  if (ask !== "recording" || (attempt !== undefined && typeof attempt !== "number")) return undefined;
  const found = await own().recording(id, { flow, attempt });
  return found === undefined
    ? undefined
    : { summary: found.summary, recording: Buffer.from(encodeRecording(found.recording)).toString("base64") };
}
