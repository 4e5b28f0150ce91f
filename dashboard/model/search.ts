/** The search for messages: what the form has, the query it makes, and whether a live message belongs to it. */
import type { Summary } from "./types.ts";

export const fields = ["flow", "status", "code", "key", "id", "correlation", "header", "text", "since", "until"] as const;
export type Field = (typeof fields)[number];
export type Search = Readonly<Partial<Record<Field, string>>>;

export function readSearch(query: URLSearchParams): Search {
  return Object.fromEntries(fields.flatMap((name) => (query.get(name) ? [[name, query.get(name) as string]] : [])));
}

/** A date as `2026-11-29 14:00` becomes milliseconds; a duration such as `24h` is the gateway's to understand. */
function moment(text: string): string {
  const at = /^\d{4}-\d{2}-\d{2}/.test(text) ? Date.parse(text.replace(" ", "T")) : Number.NaN;
  return Number.isNaN(at) ? text : String(at);
}

export function messagesPath(search: Search, limit: number, cursor?: string): string {
  const query = new URLSearchParams();
  for (const name of fields) {
    const value = search[name]?.trim();
    if (value) query.set(name, name === "since" || name === "until" ? moment(value) : value);
  }
  query.set("limit", String(limit));
  if (cursor !== undefined) query.set("cursor", cursor);
  return `/api/messages?${query.toString()}`;
}

/** Headers and texts are not in a summary: such a search has no live messages. */
export function isLive(search: Search): boolean {
  return !search.header && !search.text && !search.until;
}

export function belongs(message: Summary, { flow, status, code, key, id, correlation }: Search): boolean {
  return (
    (!flow || message.flow === flow) &&
    (!status || message.status === status) &&
    (!code || message.error?.code === code) &&
    (!key || message.key === key) &&
    (!id || message.id === id) &&
    (!correlation || message.correlationId === correlation)
  );
}
