/** A journal with something of every kind in it, and what its export says whatever its numbers are. */
import { ok } from "node:assert/strict";
import type { AttemptRecord, Journal, NewMessage } from "../journal.ts";
import { exportJournal } from "../log/mod.ts";

/** When its messages came. */
export const nowMs = Date.now();
export const dayMs = 24 * 3_600_000;
const long = Buffer.alloc(300_000, "long ");
export const reply = { status: 201, contentType: "text/plain", headers: { a: ["1", "2"] }, body: Buffer.from([0, 255]) };

export function message(id: string, more: Partial<NewMessage> = {}): NewMessage {
  return {
    ...{ flow: "orders", id, source: "http", headers: { "x-id": id }, contentType: "text/plain", body: Buffer.from(`body of ${id}`) },
    ...{ key: undefined, correlationId: `c-${id}`, receivedMs: nowMs, expiresMs: undefined, dedup: undefined, ...more },
  };
}

const failed: AttemptRecord = {
  ...{ attempt: 1, startedMs: nowMs, endedMs: nowMs + 5, imageSha256: "a".repeat(64), logs: [] },
  failure: { origin: "flow", code: "MF_FLOW_THREW", message: "no", status: 500, retry: true },
};

async function leased(journal: Journal, given: NewMessage): Promise<Parameters<Journal["complete"]>[0]> {
  const accepted = await journal.accept(given);
  ok(accepted.status === "leased");
  return accepted.lease;
}

/** Seven messages, seven sends, a sleeper, a signal, state and ids. */
export async function fill(journal: Journal): Promise<void> {
  const none = { nowMs, state: undefined, reply: undefined, sends: [] };
  for (const [index, key] of ["k1", "k2", "k1", undefined, "k1"].entries())
    journal.release(await leased(journal, message(`pending ${index}`, { key, ...(index === 3 ? { body: long } : {}) })));
  const retried = await journal.retryLater(await leased(journal, message("failed", { key: "k3" })), failed, 7);
  ok(retried !== undefined);
  journal.release(retried);
  const send = { contentType: "text/plain", headers: { h: "1" } };
  for (const index of [0, 1, 2])
    await journal.complete(await leased(journal, message(`sends ${index}`, { key: "k1" })), {
      ...none,
      sends: [
        { ...send, outlet: "erp", key: "k1", body: Buffer.from(`erp ${index}`) },
        { ...send, outlet: "audit", key: undefined, body: index === 1 ? long : Buffer.from([255, index]) },
        ...(index === 2 ? [{ ...send, outlet: "erp", key: "k2", body: Buffer.from("tomorrow"), dueMs: nowMs + dayMs }] : []),
      ],
      state: {
        key: "k1",
        version: index,
        changes: [{ name: `n${index}`, valueJson: index === 2 ? "12345678901234567890" : `{"at":${index}}` }],
      },
    });
  const dedup = { id: '["http /","POST","7"]\0fingerprint', windowMs: dayMs, count: 100 };
  await journal.complete(await leased(journal, message("once", { key: "k9", dedup })), { ...none, reply });
  journal.release(await leased(journal, message("once more", { dedup: { ...dedup, id: '["http /","POST","8"]' } })));
  const sleeper = {
    ...{ imageSha256: "b".repeat(64), sinceMs: nowMs, dueMs: nowMs + 2 * dayMs, transactions: 2, timers: [] },
    waits: [{ wait: 1, name: "payment", key: "4711", dueMs: nowMs + dayMs, questionJson: undefined }],
    ...{ recording: Buffer.from([1, 2, 3]), pages: Buffer.alloc(5_000, 7) },
  };
  await journal.complete(await leased(journal, message("asleep", { key: "k4" })), { ...none, sleeper });
  await journal.keepSignal({
    ...{ flow: "orders", name: "refund", key: "1", id: "s1", source: "cli", headers: {}, contentType: "", body: Buffer.from("early") },
    ...{ receivedMs: nowMs, keptUntilMs: nowMs + dayMs, dedup: undefined },
  });
}

export async function exported(dir: string): Promise<string[]> {
  const lines: string[] = [];
  for await (const line of exportJournal(dir)) lines.push(line.trim());
  return lines;
}

/** Lines without the numbers and times that a journal gives anew, sorted. */
export function comparable(lines: readonly string[]): string[] {
  return lines
    .map((line) => {
      const { sequence: _, number: __, token: ___, version: ____, ...rest } = JSON.parse(line) as Record<string, unknown>;
      if (rest["kind"] === "pending") rest["dueMs"] = 0;
      if (rest["kind"] === "outbox" && Number(rest["dueMs"]) < nowMs) rest["dueMs"] = 0;
      if (rest["kind"] === "dedup") rest["untilMs"] = Number(rest["untilMs"]) > nowMs;
      return JSON.stringify(rest, Object.keys(flat(rest)).sort());
    })
    .sort();
}

/** All names in a value: what JSON.stringify keeps. */
function flat(value: unknown, names: Record<string, true> = {}): Record<string, true> {
  if (typeof value !== "object" || value === null) return names;
  for (const [name, each] of Object.entries(value)) {
    names[name] = true;
    flat(each, names);
  }
  return names;
}
