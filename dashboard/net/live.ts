/** The gateway's events: one stream for the whole page, opened again when it is lost. */
import { signal } from "@preact/signals";
import { limits } from "../model/limits.ts";
import type { Cell, Column, Overview, Past, Summary } from "../model/types.ts";
import { frames, open, storedToken } from "./client.ts";

export const overview = signal<Overview | undefined>(undefined);
export const past = signal<Past | undefined>(undefined);
export const connection = signal<"connecting" | "live" | "lost">("connecting");

const columns: readonly Column[] = ["received", "done", "failed", "pending", "outbox", "p50", "p95", "p99"];
const mostSamples = 900;

const listeners = new Set<(message: Summary) => void>();
export function onMessage(listener: (message: Summary) => void): () => void {
  listeners.add(listener);
  return () => void listeners.delete(listener);
}

function addSample(before: Past, { last, now }: Overview): Past {
  const grown = Object.fromEntries(columns.map((name) => [name, [...before[name], last[name]].slice(-mostSamples)]));
  return { ...before, ...(grown as Record<Column, Cell[]>), endMs: now };
}

function take(event: string, data: string): void {
  if (event === "overview") {
    const now = JSON.parse(data) as Overview;
    overview.value = now;
    if (now.past !== undefined) past.value = now.past;
    else if (past.value !== undefined && now.now > past.value.endMs) past.value = addSample(past.value, now);
  } else if (event === "message") {
    const message = JSON.parse(data) as Summary;
    for (const listener of listeners) listener(message);
  }
}

let controller: AbortController | undefined;

/** Listens until `stopLive`. */
export function startLive(): void {
  stopLive();
  const mine = (controller = new AbortController());
  const run = async (): Promise<void> => {
    let waitMs: number = limits.reconnectMs.least;
    while (!mine.signal.aborted && storedToken() !== null) {
      try {
        const response = await open("/api/events", { signal: mine.signal });
        connection.value = "live";
        waitMs = limits.reconnectMs.least;
        for await (const { event, data } of frames(response)) take(event, data);
      } catch {
        // Told by `connection`; the next attempt may do better.
      }
      if (mine.signal.aborted) return;
      connection.value = "lost";
      await new Promise((resolve) => setTimeout(resolve, waitMs));
      waitMs = Math.min(waitMs * 2, limits.reconnectMs.most);
    }
  };
  void run();
}

export function stopLive(): void {
  controller?.abort();
  controller = undefined;
  connection.value = "connecting";
}
