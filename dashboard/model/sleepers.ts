/** The search for sleeping messages, and how each is told. */
import type { Attempt, Detail, SleeperDetail, SleeperRow } from "./types.ts";

export const sleeperFields = ["flow", "wait", "key", "state", "since", "until"] as const;
export type SleeperField = (typeof sleeperFields)[number];
export type SleeperSearch = Readonly<Partial<Record<SleeperField, string>>>;

export function readSleeperSearch(query: URLSearchParams): SleeperSearch {
  return Object.fromEntries(sleeperFields.flatMap((name) => (query.get(name) ? [[name, query.get(name) as string]] : [])));
}

/** A date as `2026-11-29 14:00` becomes milliseconds; a duration such as `2d` is the gateway's to understand. */
function moment(text: string): string {
  const at = /^\d{4}-\d{2}-\d{2}/.test(text) ? Date.parse(text.replace(" ", "T")) : Number.NaN;
  return Number.isNaN(at) ? text : String(at);
}

export function sleepersPath(search: SleeperSearch, most: number, after?: string): string {
  const query = new URLSearchParams();
  for (const name of sleeperFields) {
    const value = search[name]?.trim();
    if (value) query.set(name, name === "since" || name === "until" ? moment(value) : value);
  }
  query.set("most", String(most));
  if (after !== undefined) query.set("after", after);
  return `/api/sleepers?${query.toString()}`;
}

export function sleeperPath(
  { id, flow }: Pick<SleeperRow, "id" | "flow">,
  what?: string,
  more: Readonly<Record<string, string>> = {},
): string {
  const query = new URLSearchParams({ flow, ...more }).toString();
  return `/api/sleepers/${encodeURIComponent(id)}${what === undefined ? "" : `/${what}`}?${query}`;
}

/** In a list: what it waits for, in a few words. */
export function waitsFor({ waits, sleeps }: Pick<SleeperRow, "waits" | "sleeps">): string {
  const names = waits.map(({ name, question }) => (question === null ? name : question.question));
  return [...names, ...(sleeps.length === 0 ? [] : ["a time"])].join(", ");
}

/** A sleeper's life so far, in the form that a finished message has. */
export function lifeOf(sleeper: SleeperDetail): Detail | undefined {
  const { message, timeline } = sleeper;
  if (message === null || timeline === null) return undefined;
  const attempt: Attempt = { ...timeline, durationMs: Date.parse(sleeper.since) - timeline.startedAt };
  return {
    id: sleeper.id,
    flow: sleeper.flow,
    status: "done",
    receivedAt: Date.parse(sleeper.received),
    durationMs: attempt.durationMs,
    source: sleeper.source,
    key: sleeper.key,
    correlationId: null,
    image: sleeper.image,
    error: null,
    headers: message.headers,
    contentType: message.contentType,
    body: message.body,
    state: message.state ?? null,
    deadLetter: null,
    redacted: sleeper.redacted ?? null,
    attempts: [attempt],
    outlets: [],
    parents: [],
    children: [],
  };
}
