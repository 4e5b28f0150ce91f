/**
 * The operations behind `mayfly dlq ls|show|retry|drop|export`, as functions over a folder of dead letters and, for retry, a journal.
 *
 * A retried letter goes back into the journal first and is removed then. Its way in has an id of its own in the dedup window, so
 * that a crash in between, and the retry after it, do not give the message twice: the second time it is recognised and only the
 * letter goes. A message starts again from the beginning, a machine that had slept from there; a send keeps its idempotency key, unless
 * its body was edited.
 */
import { createHash } from "node:crypto";
import { CodedError, isCoded } from "#base";
import { positionHeader, storedBodyOf, withoutPosition, withStoredBody } from "../contract/stored-body.ts";
import { gatewayLimits } from "../contract/limits.ts";
import type { Headers } from "../contract/message.ts";
import { withParent } from "../contract/lineage.ts";
import type { Sleeper } from "../contract/sleep.ts";
import { type AsleepLetter, decodeAsleep } from "./asleep-file.ts";
import { type DeadLetter, type DeadLetters, keepsAsleep } from "./dead-letters.ts";
import type { Accepted, Journal, KeptSignal, Lease, NewMessage, NewSend, NewSignal } from "./journal.ts";
import type { Resend } from "./ledger.ts";
import { bodyAsJson } from "./log/operations.ts";
import type { SleepingLease } from "./slot.ts";

interface FoundLetter {
  readonly letter: DeadLetter;
  readonly body: Uint8Array;
}

const nothingAsleep: AsleepLetter = { lease: undefined, signals: [] };

/** Which letters: those named, or all that fit every field given. An empty selection is all letters. */
export interface LetterSelection {
  readonly ids?: readonly string[] | undefined;
  readonly flow?: string | undefined;
  /** Of the failure they were given up for. */
  readonly code?: string | undefined;
  readonly kind?: DeadLetter["kind"] | undefined;
}

/** Changes in the retry of a letter. */
export interface LetterEdit {
  readonly body?: Uint8Array | undefined;
  readonly headers?: Headers | undefined;
  readonly contentType?: string | undefined;
}

export interface LetterFailure {
  readonly id: string;
  readonly code: string;
  readonly message: string;
}

export interface RetryReport {
  /** Letters that are back in the journal, and gone from the folder. */
  readonly retried: readonly string[];
  /** Letters that were back in the journal already, by a retry that was cut short; only the letter was removed. */
  readonly repeated: readonly string[];
  readonly failed: readonly LetterFailure[];
}

export interface DropReport {
  readonly dropped: readonly string[];
  readonly failed: readonly LetterFailure[];
}

/** The part of a journal that a retry needs. */
export type RetryJournal = Pick<Journal, "accept" | "adopt" | "complete" | "release" | "keepSignal">;

export interface RetryOptions {
  readonly edit?: LetterEdit | undefined;
  readonly nowMs: number;
  /** The letter stays, for whoever takes the message over to remove once it has ended well. */
  readonly keepLetter?: boolean;
  /** Takes over a message that is back in the journal. Absent: its lease is released, and the next `lease` gives it out. */
  readonly started?: ((lease: Lease) => void) | undefined;
  /** Told of a machine that is asleep again. */
  readonly slept?: ((flow: string, sleeper: Sleeper) => void) | undefined;
  /** Told of a signal that is kept again. */
  readonly signalled?: ((signal: KeptSignal) => void) | undefined;
  /** Told that the outbox has something new. */
  readonly resent?: ((flow: string, outlet: string) => void) | undefined;
}

function missing(id: string): LetterFailure {
  return { id, code: "MF_DEAD_LETTER_MISSING", message: `there is no dead letter ${id}: it may have been retried or dropped already` };
}

function failureOf(id: string, error: unknown): LetterFailure {
  const coded: Pick<CodedError, "code" | "message"> = isCoded(error) ? error : { code: "MF_DEAD_LETTER_READ", message: String(error) };
  return { id, code: coded.code, message: coded.message };
}

/** The letters chosen, oldest first within a flow. Ids that name none are passed over. */
export async function* listLetters(deadLetters: DeadLetters, selection: LetterSelection = {}): AsyncGenerator<DeadLetter> {
  const { ids, flow, code, kind } = selection;
  const fits = (letter: DeadLetter): boolean =>
    (flow === undefined || letter.flow === flow) &&
    (code === undefined || letter.failure.code === code) &&
    (kind === undefined || letter.kind === kind);
  if (ids === undefined) {
    for await (const letter of deadLetters.list(flow)) if (fits(letter)) yield letter;
    return;
  }
  for (const id of ids) {
    const found = await deadLetters.read(id);
    if (found !== undefined && fits(found.letter)) yield found.letter;
  }
}

/** A letter with its payload, as it came; undefined if the id is unknown. */
export async function showLetter(
  deadLetters: DeadLetters,
  id: string,
): Promise<{ readonly letter: DeadLetter; readonly body: Uint8Array } | undefined> {
  return deadLetters.read(id);
}

/** Letters as lines of JSON: everything in the letter, and `body` as `{"text"}` or `{"base64"}`. */
export async function* exportLetters(deadLetters: DeadLetters, selection: LetterSelection = {}): AsyncGenerator<string> {
  for await (const { id } of listLetters(deadLetters, selection)) {
    const found = await deadLetters.read(id);
    if (found !== undefined) yield `${JSON.stringify({ ...found.letter, body: bodyAsJson(found.body) })}\n`;
  }
}

async function chosen(deadLetters: DeadLetters, selection: LetterSelection): Promise<{ ids: string[]; failed: LetterFailure[] }> {
  const ids: string[] = [];
  for await (const { id } of listLetters(deadLetters, selection)) ids.push(id);
  const failed = (selection.ids ?? []).filter((id) => !ids.includes(id)).map(missing);
  return { ids, failed };
}

export async function dropLetters(deadLetters: DeadLetters, selection: LetterSelection): Promise<DropReport> {
  const { ids, failed } = await chosen(deadLetters, selection);
  const dropped: string[] = [];
  for (const id of ids) {
    try {
      if (await deadLetters.remove(id)) dropped.push(id);
      else failed.push(missing(id));
    } catch (error) {
      failed.push(failureOf(id, error));
    }
  }
  return { dropped, failed };
}

/** Puts letters back. One that fails stays; the others go on. An edit is meant for one letter. */
export async function retryLetters(
  journal: RetryJournal,
  deadLetters: DeadLetters,
  selection: LetterSelection,
  options: RetryOptions,
): Promise<RetryReport> {
  const { ids, failed } = await chosen(deadLetters, selection);
  const retried: string[] = [];
  const repeated: string[] = [];
  for (const id of ids) {
    try {
      const found = await deadLetters.read(id);
      if (found === undefined) {
        failed.push(missing(id));
        continue;
      }
      const again = await putBack(journal, deadLetters, found, options);
      if (!again || options.keepLetter !== true) await deadLetters.remove(id);
      (again ? retried : repeated).push(id);
    } catch (error) {
      failed.push(failureOf(id, error));
    }
  }
  return { retried, repeated, failed };
}

/** The message of a letter as it goes in again. */
export function messageAgain(letter: DeadLetter, payload: Uint8Array, { edit, nowMs }: Pick<RetryOptions, "edit" | "nowMs">): NewMessage {
  const send = letter.kind === "send";
  return {
    flow: letter.flow,
    id: letter.messageId,
    source: send ? letter.source : "dead-letter",
    headers: send ? {} : withParent(editedHeaders(letter, edit), { how: "retry", flow: letter.flow, id: letter.messageId }),
    contentType: send ? "" : (edit?.contentType ?? letter.contentType),
    body: send ? new Uint8Array(0) : (edit?.body ?? payload),
    key: letter.key,
    correlationId: letter.correlationId,
    receivedMs: nowMs,
    expiresMs: undefined,
    dedup: retriedId(letter.id),
  };
}

/** False when the letter was put back before. */
async function putBack(journal: RetryJournal, deadLetters: DeadLetters, found: FoundLetter, options: RetryOptions): Promise<boolean> {
  const { letter, body } = found;
  if (letter.kind === "send") return resend(journal, found, options);
  if (letter.kind === "signal") return keepAgain(journal, signalAgain(found, options), options);
  if (letter.asleep !== undefined && options.edit !== undefined)
    throw new CodedError(
      "MF_DEAD_LETTER_ASLEEP",
      `${letter.id} is of a machine that had slept and has read its message already: retry it as it is, or send the edited message as a new one`,
    );
  const { lease: sleeping, signals } = await asleepOf(deadLetters, letter, options);
  if (sleeping !== undefined) return sleepAgain(journal, { letter, sleeping, kept: signals, body }, options);
  // First: were the message there without them, it could end by its timeout.
  for (const signal of signals) await keepAgain(journal, signal, options);
  const accepted: Accepted = await journal.accept(messageAgain(letter, body, options));
  if (accepted.status === "running" && options.keepLetter === true) throw running(letter.id);
  if (accepted.status !== "leased") return false;
  const { lease } = accepted;
  if (options.started === undefined) journal.release(lease);
  else options.started(lease);
  return true;
}

interface AsleepAgain {
  readonly lease: SleepingLease | undefined;
  readonly signals: readonly NewSignal[];
}

/** The machine of a letter, and the signals it had taken, as they go in again. */
async function asleepOf(
  deadLetters: Pick<DeadLetters, "asleep">,
  letter: DeadLetter,
  { nowMs }: Pick<RetryOptions, "nowMs">,
): Promise<AsleepAgain> {
  const { lease, signals } = keepsAsleep(letter) ? decodeAsleep(letter.id, await deadLetters.asleep(letter.id)) : nothingAsleep;
  const again = signals.map((signal, index) => ({
    ...signal,
    keptUntilMs: Math.max(signal.keptUntilMs, nowMs + gatewayLimits.earlySignalMs),
    dedup: retriedId(`${letter.id}/${index}`),
  }));
  return { lease, signals: again };
}

/** Keeps the signals of a letter again, whose message begins anew. */
export async function keepSignalsAgain(
  journal: Pick<Journal, "keepSignal">,
  deadLetters: Pick<DeadLetters, "asleep">,
  letter: DeadLetter,
  options: Pick<RetryOptions, "nowMs" | "signalled">,
): Promise<void> {
  for (const signal of (await asleepOf(deadLetters, letter, options)).signals) await keepAgain(journal, signal, options);
}

async function resend(journal: RetryJournal, { letter, body }: FoundLetter, options: RetryOptions): Promise<boolean> {
  const adopted = journal.adopt(messageAgain(letter, body, options));
  if (adopted.status === "running") throw running(letter.id);
  if (adopted.status !== "leased") return false;
  const { lease } = adopted;
  try {
    const sends = [sendAgain(letter, body, options.edit)];
    await journal.complete(lease, { nowMs: options.nowMs, sends, state: undefined, reply: undefined });
  } catch (error) {
    journal.release(lease);
    throw error;
  }
  options.resent?.(letter.flow, letter.outlet ?? "");
  return true;
}

interface SleepingLetter {
  readonly letter: DeadLetter;
  readonly sleeping: SleepingLease;
  readonly kept: readonly NewSignal[];
  readonly body: Uint8Array;
}

/** Puts a machine back to sleep where it was: it is woken at once if its time is over. */
async function sleepAgain(
  journal: RetryJournal,
  { letter, sleeping, kept, body }: SleepingLetter,
  options: RetryOptions,
): Promise<boolean> {
  const { message, sleeper } = sleeping;
  const adopted = journal.adopt({ ...message, body, expiresMs: undefined, dedup: retriedId(letter.id) });
  if (adopted.status === "running") throw running(letter.id);
  if (adopted.status !== "leased") return false;
  const { lease } = adopted;
  try {
    const completed = await journal.complete(lease, { nowMs: options.nowMs, sends: [], state: undefined, reply: undefined, sleeper, kept });
    if (completed.status === "refused") throw new CodedError(completed.code, completed.message);
  } catch (error) {
    journal.release(lease);
    throw error;
  }
  options.slept?.(letter.flow, sleeper);
  return true;
}

async function keepAgain(
  journal: Pick<Journal, "keepSignal">,
  signal: NewSignal,
  options: Pick<RetryOptions, "signalled">,
): Promise<boolean> {
  const kept = await journal.keepSignal(signal);
  if (kept.status === "duplicate") return false;
  options.signalled?.(kept.signal);
  return true;
}

/** A signal that nobody waited for, as if it came now. */
function signalAgain({ letter, body }: FoundLetter, { edit, nowMs }: RetryOptions): NewSignal {
  return {
    flow: letter.flow,
    name: letter.signal ?? "",
    key: letter.key ?? "",
    id: letter.messageId,
    source: letter.source,
    headers: edit?.headers ?? letter.headers,
    contentType: edit?.contentType ?? letter.contentType,
    body: edit?.body ?? body,
    receivedMs: nowMs,
    keptUntilMs: nowMs + gatewayLimits.earlySignalMs,
    dedup: retriedId(letter.id),
  };
}

function running(id: string): CodedError {
  return new CodedError("MF_DEAD_LETTER_RUNNING", `${id} is already being retried: wait for the result`);
}

function retriedId(id: string): NonNullable<NewMessage["dedup"]> {
  return { id: `dead-letter/${id}`, windowMs: gatewayLimits.retriedIdMs, count: gatewayLimits.dedupIds };
}

/** A stored body stays the letter's, and where it is read on, unless the edit has a body; an edit can name neither. */
function editedHeaders(letter: DeadLetter, edit: LetterEdit | undefined): Headers {
  if (edit === undefined) return letter.headers;
  const { headers = letter.headers, body } = edit;
  const { [positionHeader]: position } = letter.headers;
  if (body !== undefined) return withoutPosition(withStoredBody(headers, undefined)); // another body is read from its beginning
  const own = withStoredBody(withoutPosition(headers), storedBodyOf(letter.headers));
  return position === undefined ? own : { ...own, [positionHeader]: position };
}

/** The send of a letter as it goes out again. */
export function sendAgain(letter: DeadLetter, payload: Uint8Array, edit: LetterEdit | undefined): NewSend & Resend {
  const body = edit?.body ?? payload;
  const headers = editedHeaders(letter, edit);
  // A peer that has seen the key may take what was edited for what it has already.
  const edited =
    edit === undefined ? "" : `/edited-${createHash("sha256").update(body).update(JSON.stringify(headers)).digest("hex").slice(0, 8)}`;
  return {
    outlet: letter.outlet ?? "",
    key: letter.key,
    contentType: edit?.contentType ?? letter.contentType,
    headers,
    body,
    idempotencyKey: letter.idempotencyKey === undefined ? undefined : `${letter.idempotencyKey}${edited}`,
  };
}
