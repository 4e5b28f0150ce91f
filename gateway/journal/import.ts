/**
 * Takes the lines of `mayfly journal export` into a journal that is empty: one computer's into a cluster, and back. Each message, send and
 * sleeper gets a number of its new journal; idempotency keys of sends stay what they were. What nobody can move is refused before anything is
 * written; after that only a journal that fails ends it, and then the journal holds a part and must be emptied before another try.
 */
import { CodedError } from "#base";
import { storedBodyOf } from "../contract/stored-body.ts";
import type { Headers, Reply } from "../contract/message.ts";
import type { Sleeper } from "../contract/sleep.ts";
import { gatewayLimits } from "../contract/limits.ts";
import type { AttemptRecord, Completion, Journal, Lease, NewMessage, NewSend, NewSignal } from "./journal.ts";
import type { Resend } from "./ledger.ts";

type Line = Readonly<Record<string, unknown>> & { readonly kind: string };

/** Lines by kind that were taken in. */
export interface ImportReport {
  readonly pending: number;
  readonly outbox: number;
  readonly sleepers: number;
  readonly signals: number;
  readonly state: number;
  readonly dedup: number;
}

interface Bytes {
  readonly text?: string;
  readonly base64?: string;
}

const kinds: readonly string[] = ["pending", "outbox", "sleeper", "signal", "state", "dedup"];
/** Begins ids of signals that were kept: a journal gives them anew with the signals it keeps. */
const signalMark = "signal ";
function unusable(number: number, why: string): CodedError {
  return new CodedError("MF_JOURNAL_IMPORT", `line ${number} can't be taken in, ${why}: nothing was written`);
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** The line as an object; throws MF_JOURNAL_IMPORT. Undefined for history, which is no part of a journal's state. */
function parsed(text: string, number: number): Line | undefined {
  if (text.length > gatewayLimits.importCharacters) throw unusable(number, "it is too long");
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw unusable(number, "it is no JSON");
  }
  if (!isRecord(value) || typeof value["kind"] !== "string") throw unusable(number, "it has no kind");
  if (value["kind"] === "history") return undefined;
  if (!kinds.includes(value["kind"])) throw unusable(number, `its kind is ${JSON.stringify(value["kind"])}`);
  if (typeof value["flow"] !== "string" || value["flow"] === "") throw unusable(number, "it names no flow");
  return value as Line;
}

/** Checks what would otherwise be found in the middle of writing. */
function checkLine(line: Line, number: number): void {
  const { kind } = line;
  const texts = {
    pending: ["id"],
    outbox: ["outlet", "idempotencyKey", "messageId"],
    sleeper: ["id", "imageSha256"],
    signal: ["name", "key", "id"],
    state: ["key"],
    dedup: ["dedupId", "id"],
  };
  for (const name of texts[kind as keyof typeof texts]) if (typeof line[name] !== "string") throw unusable(number, `${name} is missing`);
  if (kind === "state" && !isRecord(line["values"])) throw unusable(number, "values is missing");
  if (kind === "dedup" && typeof line["untilMs"] !== "number") throw unusable(number, "untilMs is missing");
  if (kind === "state" || kind === "dedup") return;
  const body = line["body"];
  if (line["missing"] !== undefined || (isRecord(body) && body["missing"] !== undefined))
    throw unusable(number, "its body could not be read when it was exported; leave the line out to go on without it");
  if (!isRecord(body) || (typeof body["text"] !== "string") === (typeof body["base64"] !== "string"))
    throw unusable(number, "its body is missing");
  if (!isRecord(line["headers"])) throw unusable(number, "headers is missing");
  if (storedBodyOf(line["headers"] as Headers) !== undefined)
    throw unusable(number, "its body is stored beside its journal (claimCheck) and does not move; let the gateway finish it first");
  if (kind === "sleeper" && typeof line["recording"] !== "string")
    throw unusable(number, "it has no recording: export it with this version");
}

function bytesOf({ text, base64 }: Bytes): Buffer {
  return base64 === undefined ? Buffer.from(text ?? "") : Buffer.from(base64, "base64");
}

/** Lines of one lane are written one after the other, those of others at the same time. */
class Lanes {
  readonly #lanes = new Map<string, Promise<void>>();
  readonly #open = new Set<Promise<void>>();
  #failure: unknown;

  async run(lane: string, task: () => Promise<void>): Promise<void> {
    while (this.#open.size >= gatewayLimits.importedAtOnce) await Promise.race(this.#open);
    if (this.#failure !== undefined) throw this.#failure;
    const before = this.#lanes.get(lane) ?? Promise.resolve();
    const turn = before.then(task).catch((error: unknown) => void (this.#failure ??= error));
    this.#lanes.set(lane, turn);
    this.#open.add(turn);
    void turn.finally(() => {
      this.#open.delete(turn);
      if (this.#lanes.get(lane) === turn) this.#lanes.delete(lane);
    });
  }

  async end(): Promise<void> {
    await Promise.all(this.#open);
    if (this.#failure !== undefined) throw this.#failure;
  }
}

/** Throws MF_JOURNAL_IMPORT for a journal that is not empty: a second import would double every message. */
function checkEmpty(journal: Journal): void {
  const { pending, outbox, sleepers, signals, stateKeys, dedupIds } = journal.stats();
  const all = { messages: pending, sends: outbox, sleepers, signals, "keys with state": stateKeys, ids: dedupIds };
  const found = Object.entries(all).flatMap(([name, count]) => (count === 0 ? [] : [`${count} ${name}`]));
  if (found.length > 0)
    throw new CodedError(
      "MF_JOURNAL_IMPORT",
      `the journal is not empty (${found.join(", ")}), and a second import would double what is there: take an empty one`,
    );
}

export interface ImportTarget {
  /** Recovered, and nobody else's. */
  readonly journal: Journal;
  /** Journals that remember ids: of a cluster all, since a line does not say which key the message had, and with it which partition. */
  readonly rememberers: readonly Journal[];
}

/**
 * `read`: gives the lines from the beginning, each time it is called. All are checked before the first is written. Rejects with
 * MF_JOURNAL_IMPORT, and as the journal does.
 */
export async function importJournal(
  { journal, rememberers }: ImportTarget,
  read: () => AsyncIterable<string>,
  nowMs: number,
): Promise<ImportReport> {
  checkEmpty(journal);
  let number = 0;
  for await (const text of read()) {
    number += 1;
    const line = text === "" ? undefined : parsed(text, number);
    if (line !== undefined) checkLine(line, number);
  }
  const counts = { pending: 0, outbox: 0, sleepers: 0, signals: 0, state: 0, dedup: 0 };
  const lanes = new Lanes();
  for await (const text of read()) {
    const line = text === "" ? undefined : parsed(text, 0);
    if (line === undefined) continue;
    const { kind } = line;
    if (kind === "dedup" && String(line["dedupId"]).startsWith(signalMark)) continue;
    counts[kind === "sleeper" ? "sleepers" : kind === "signal" ? "signals" : (kind as "pending")] += 1;
    if (kind !== "dedup") await lanes.run(laneOf(line), () => takeIn(journal, line, nowMs));
    else for (const [index, each] of rememberers.entries()) await lanes.run(`${index} ${laneOf(line)}`, () => takeId(each, line, nowMs));
  }
  await lanes.end();
  await journal.sync();
  return counts;
}

/** Order counts among messages of one key, and among sends of one key to one outlet. */
function laneOf({ kind, flow, outlet, key, id, dedupId }: Line): string {
  return JSON.stringify([kind, flow, outlet, key ?? (kind === "outbox" ? "" : (id ?? dedupId))]);
}

async function takeIn(journal: Journal, line: Line, nowMs: number): Promise<void> {
  switch (line.kind) {
    case "pending":
      return await takeMessage(journal, line);
    case "outbox":
      return await takeSend(journal, line, nowMs);
    case "sleeper":
      return await takeSleeper(journal, line);
    case "signal":
      return void (await journal.keepSignal({ ...(line as unknown as NewSignal), body: bytesOf(line["body"] as Bytes), dedup: undefined }));
    default:
      return await takeState(journal, line, nowMs);
  }
}

function messageOf(line: Line): NewMessage {
  const { flow, id, source, headers, contentType, key, correlationId, receivedMs, expiresMs, dedup } = line as unknown as NewMessage;
  return { flow, id, source, headers, contentType, body: bytesOf(line["body"] as Bytes), key, correlationId, receivedMs, expiresMs, dedup };
}

/** Attempts that failed are remembered; it is begun at once. */
async function takeMessage(journal: Journal, line: Line): Promise<void> {
  const accepted = await journal.accept(messageOf(line));
  if (accepted.status !== "leased") throw twice(line);
  let lease: Lease | undefined = accepted.lease;
  for (const record of (line["attempts"] ?? []) as readonly AttemptRecord[]) {
    lease = await journal.retryLater(lease, record, 0);
    if (lease === undefined) throw twice(line);
  }
  journal.release(lease);
}

function twice({ id, flow }: Line): CodedError {
  return new CodedError(
    "MF_JOURNAL_IMPORT",
    `the message ${String(id)} of ${String(flow)} is there already: empty the journal, and import again`,
  );
}

/** A message of no content, that nobody keeps, to write something with. */
function bearer(
  { flow, id, key }: { readonly flow: string; readonly id: string; readonly key: string | undefined },
  nowMs: number,
): NewMessage {
  const empty = { headers: {}, contentType: "", body: new Uint8Array(0), correlationId: undefined, expiresMs: undefined, dedup: undefined };
  return { flow, id, key, source: "import", receivedMs: nowMs, ...empty };
}

/** Commits something in the name of a message that is gone with it. */
async function commit(journal: Journal, message: NewMessage, completion: Partial<Completion> & Pick<Completion, "nowMs">): Promise<void> {
  const adopted = journal.adopt(message);
  if (adopted.status !== "leased") throw twice({ kind: "", ...message });
  const whole: Completion = { sends: [], state: undefined, reply: undefined, ...completion };
  const completed = await journal.complete(adopted.lease, whole);
  if (completed.status === "committed") return;
  journal.release(adopted.lease);
  throw new CodedError(
    completed.status === "refused" ? completed.code : "MF_JOURNAL_IMPORT",
    completed.status === "refused" ? completed.message : `the journal answers "${completed.status}": something else writes to it`,
  );
}

interface SendLine extends Omit<NewSend, "body"> {
  readonly flow: string;
  readonly messageId: string;
  readonly correlationId: string | undefined;
  readonly committedMs: number;
  readonly idempotencyKey: string;
}

/** Its key in the peer's eyes stays, and its date if that is still to come; a retry is due at once. */
async function takeSend(journal: Journal, line: Line, nowMs: number): Promise<void> {
  const { flow, messageId, correlationId, outlet, key, contentType, headers, committedMs, dueMs, idempotencyKey } =
    line as unknown as SendLine;
  const later = dueMs !== undefined && dueMs > nowMs ? { dueMs } : {}; // of a retry it is a time of a clock that is gone, and far below
  const send: NewSend & Resend = { outlet, key, contentType, headers, body: bytesOf(line["body"] as Bytes), idempotencyKey, ...later };
  await commit(journal, { ...bearer({ flow, id: messageId, key }, committedMs), correlationId }, { nowMs: committedMs, sends: [send] });
}

async function takeSleeper(journal: Journal, line: Line): Promise<void> {
  const { imageSha256, sinceMs, dueMs, transactions, waits, timers } = line as unknown as Sleeper;
  const recording = Buffer.from(String(line["recording"]), "base64");
  const pages = typeof line["pages"] === "string" ? Buffer.from(line["pages"], "base64") : undefined;
  const sleeper: Sleeper = { imageSha256, sinceMs, dueMs, transactions, waits, timers, recording, pages };
  await commit(journal, { ...messageOf(line), dedup: undefined }, { nowMs: sinceMs, sleeper });
}

async function takeState(journal: Journal, line: Line, nowMs: number): Promise<void> {
  const {
    flow,
    key,
    values,
    exact = {},
  } = line as unknown as {
    readonly flow: string;
    readonly key: string;
    readonly values: Readonly<Record<string, unknown>>;
    readonly exact?: Readonly<Record<string, string>>;
  };
  const changes = Object.entries(values).map(([name, value]) => ({ name, valueJson: exact[name] ?? JSON.stringify(value) }));
  const { version } = await journal.readState(flow, key);
  await commit(journal, bearer({ flow, id: "import", key }, nowMs), { nowMs, state: { key, version, changes } });
}

async function takeId(journal: Journal, line: Line, nowMs: number): Promise<void> {
  const { flow, dedupId, id, untilMs, reply } = line as unknown as {
    readonly flow: string;
    readonly dedupId: string;
    readonly id: string;
    readonly untilMs: number;
    readonly reply?: Omit<Reply, "body"> & { readonly body: Bytes };
  };
  if (untilMs <= nowMs) return;
  const dedup = { id: dedupId, windowMs: untilMs - nowMs, count: gatewayLimits.dedupIds };
  const message = { ...bearer({ flow, id, key: undefined }, nowMs), dedup };
  const adopted = journal.adopt(message);
  if (adopted.status !== "leased") return; // it is remembered already: a cluster's partitions all know it
  const given = reply && { ...reply, body: bytesOf(reply.body) };
  await journal.complete(adopted.lease, { nowMs, sends: [], state: undefined, reply: given });
}
