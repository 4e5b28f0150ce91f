/** The life of a message in its transactions: as JSON, and as lines for people. */
import type { RunResult, Transaction } from "#replay";
import { bodyJson, parseJson, safeText, spanText } from "../format.ts";

type Waits = NonNullable<RunResult["waits"]>;
type Wait = Waits["waits"][number];

function iso(timeMs: number): string {
  return new Date(timeMs).toISOString();
}

function waitJson({ name, key, dueMs, questionJson }: Wait): object {
  const question = questionJson === undefined ? {} : { question: parseJson(questionJson) };
  return { name, key, ...(dueMs === undefined ? {} : { until: iso(dueMs) }), ...question };
}

/** Members for what a machine sleeps on. */
export function waitsJson({ waits, timers }: Waits): object {
  return { waits: waits.map(waitJson), ...(timers.length === 0 ? {} : { timers: timers.map(({ dueMs }) => iso(dueMs)) }) };
}

/** Events that began a transaction after the first. */
function wokenBy({ events }: Transaction, waits: readonly Wait[]): object[] {
  return events.flatMap((event): object[] => {
    if (event.kind === "wake") return [{ timer: true }];
    if (event.kind !== "signal") return [];
    const { name = "", key = "" } = waits.find(({ wait }) => wait === event.wait) ?? {};
    return [event.id === undefined ? { timeout: name, key } : { signal: name, key, id: event.id }];
  });
}

export function transactionsJson({ transactions }: RunResult): object[] {
  return transactions.map((transaction, index) => {
    const { beganMs, endedMs, steps, sends, asleep } = transaction;
    const woken = wokenBy(transaction, transactions[index - 1]?.asleep?.waits ?? []);
    return {
      began: iso(beganMs),
      ended: iso(endedMs),
      steps,
      sends,
      ...(index === 0 ? {} : { wokenBy: woken }),
      ...(asleep === undefined ? {} : { asleep: waitsJson(asleep) }),
    };
  });
}

export function continuedJson({ contentType, headers, body }: NonNullable<RunResult["next"]>): object {
  return { contentType, headers, ...bodyJson(body) };
}

export function unclaimedJson(signals: RunResult["unclaimed"]): object[] {
  return signals.map(({ id, name, key, atMs }) => ({ id, name, ...(key === undefined ? {} : { key }), at: iso(atMs) }));
}

function waitText({ name, key, dueMs }: Wait, sinceMs: number): string {
  return `${name} ${safeText(key)}${dueMs === undefined ? "" : ` for ${spanText(dueMs - sinceMs)}`}`;
}

/** `payment 4711 for 2d or 3h of time`: what a machine sleeps on. */
export function waitsText({ waits, timers }: Waits, sinceMs: number): string {
  return [...waits.map((wait) => waitText(wait, sinceMs)), ...timers.map(({ dueMs }) => `${spanText(dueMs - sinceMs)} to pass`)].join(", ");
}

/** One line for each sleep and each wake, with the virtual time at which it came. */
export function lifeLines({ transactions }: RunResult): string[] {
  const startMs = transactions[0]?.beganMs ?? 0;
  return transactions.flatMap((transaction, index) => {
    const { beganMs, endedMs, sends, asleep } = transaction;
    const lines: string[] = [];
    const waits = transactions[index - 1]?.asleep?.waits ?? [];
    const at = (timeMs: number): string => `+${spanText(timeMs - startMs)}`.padEnd(8);
    for (const event of transaction.events) {
      const wait = event.kind === "signal" ? waits.find((each) => each.wait === event.wait) : undefined;
      const what = wait === undefined ? "time has passed" : `${wait.name} ${safeText(wait.key)}`;
      lines.push(
        `${at(beganMs)} awake: ${wait === undefined || event.kind !== "signal" ? what : event.id === undefined ? `no ${what} in time` : `${what} (${event.id})`}`,
      );
    }
    const sent = sends === 0 ? "" : `${sends} ${sends === 1 ? "send" : "sends"} committed; `;
    if (asleep !== undefined) lines.push(`${at(endedMs)} asleep: ${sent}waits for ${waitsText(asleep, endedMs)}`);
    return lines;
  });
}
