/**
 * The operations behind `mayfly journal check|compact|export`, as functions. `check` and `export` only read and need no lock: beside a running
 * gateway they show the journal as it was a moment ago, and the end that is being written is reported as cut. `compact` takes the
 * lock and is refused with MF_JOURNAL_LOCKED while a gateway runs (that gateway compacts by itself).
 */
import * as fs from "node:fs/promises";
import { join } from "node:path";
import { type Clock, CodedError, systemClock } from "#base";
import { BatchReader, fileHeaderBytes } from "./batch.ts";
import { Bodies } from "./bodies.ts";
import { capture, writeCheckpoint } from "./checkpoint.ts";
import type { CompactionResult } from "./compaction.ts";
import { type Disk, realDisk } from "./disk.ts";
import { diskCode, journalError } from "./errors.ts";
import { logLimits, readings } from "./limits.ts";
import { type LockTimes, takeLock } from "./lock.ts";
import { isSleepers, numberOfCheckpoint, numberOfSegment } from "./names.ts";
import { openJournal } from "./open.ts";
import { type FileReport, type Problem, readLog, type ReadLog } from "./recovery.ts";
import { listSleepers } from "./sleep-calls.ts";
import { loadSleeping } from "./sleeping-bodies.ts";
import type { SleeperInfo } from "../journal.ts";
import { decodeRecord } from "../format/records.ts";

export interface CheckReport {
  /** False when something that was safe is lost. A cut end is not: nothing in it was ever acknowledged. */
  readonly ok: boolean;
  readonly problems: readonly Problem[];
  readonly remarks: readonly string[];
  /** Files that were read, in order: the checkpoint, then the segments after it. */
  readonly files: readonly FileReport[];
  /** The undamaged contents, with problems or without. */
  readonly live: {
    readonly pending: Readonly<Record<string, number>>;
    readonly outbox: readonly { readonly flow: string; readonly outlet: string; readonly entries: number }[];
    readonly sleepers: Readonly<Record<string, number>>;
    readonly signals: number;
    readonly dedupIds: number;
    readonly stateKeys: number;
  };
  readonly diskBytes: number;
  /** Files that no longer count: leftovers of crashes, and history under retention. */
  readonly obsoleteFiles: number;
}

/** A checkpoint of a running gateway removes files during a read; then reading starts again. */
async function readQuietly(disk: Disk, salvage: boolean): Promise<ReadLog> {
  for (let reading = 1; ; reading++) {
    try {
      return await readLog({ disk, bodies: new Bodies(disk, logLimits), limits: logLimits, salvage });
    } catch (error) {
      const gone = diskCode((error as { cause?: unknown }).cause) === "ENOENT";
      if (!gone || reading === readings) throw error;
    }
  }
}

async function existing(dir: string): Promise<Disk> {
  const stat = await fs.stat(dir).catch(() => undefined);
  if (stat?.isDirectory() !== true)
    throw new CodedError("MF_JOURNAL_MISSING", `there is no journal in ${dir}: name the folder of the gateway's journal`);
  return realDisk(dir);
}

export async function checkJournal(dir: string): Promise<CheckReport> {
  const disk = await existing(dir);
  const log = await readQuietly(disk, true);
  const { pending, sleepers, outbox } = log.index.ledger.recovery([]);
  const { dedupIds, stateKeys, signals } = log.index.ledger.stats();
  let diskBytes = 0;
  for (const bytes of log.sizes.values()) diskBytes += bytes;
  const problems = [...log.problems, ...(await damagedSleepers(disk, log))];
  return {
    ok: problems.length === 0,
    problems,
    remarks: log.remarks,
    files: log.files,
    live: { pending, outbox, sleepers, signals, dedupIds, stateKeys },
    diskBytes,
    obsoleteFiles: log.obsolete.length + log.covered.length,
  };
}

/** Sleepers whose bytes are not what was written; a start does not read them. Files that are known to be missing are left out. */
async function damagedSleepers(disk: Disk, { index, problems }: ReadLog): Promise<Problem[]> {
  const known = new Set(problems.map(({ file }) => file));
  const found: Problem[] = [];
  for (const slot of index.ledger.sleepers.slots()) {
    const { file, offset } = slot.stored;
    if (known.has(file)) continue;
    try {
      await loadSleeping(slot, index.bodies);
    } catch (error) {
      if (!(await disk.list()).includes(file)) continue; // a running gateway has moved on
      found.push({ file, offset, code: "MF_JOURNAL_CORRUPT", message: error instanceof Error ? error.message : String(error) });
    }
  }
  return found;
}

/** Sleepers of a journal as of a moment ago, in the order of their messages. Reads only. */
export async function sleepersOfJournal(dir: string, flow: string | undefined): Promise<readonly SleeperInfo[]> {
  const log = await readQuietly(await existing(dir), true);
  return listSleepers(log.index, flow, undefined, Number.MAX_SAFE_INTEGER);
}

export interface CompactOptions {
  /** Keeps what survives of a damaged journal, and moves the damaged files to `DIR/damaged-TIME/`. */
  readonly salvage?: boolean | undefined;
  readonly clock?: Clock | undefined;
  readonly lockTimes?: LockTimes | undefined;
}

export interface CompactReport extends CompactionResult {
  /** Findings of salvage, and entries it could not keep because their body is gone. Empty without salvage. */
  readonly problems: readonly Problem[];
  readonly lost: readonly string[];
  readonly movedTo: string | undefined;
}

/** Writes a checkpoint and removes what it makes superfluous. */
export async function compactJournal(dir: string, options: CompactOptions = {}): Promise<CompactReport> {
  await existing(dir);
  if (options.salvage === true) {
    const salvaged = await salvage(dir, options);
    if (salvaged !== undefined) return salvaged;
  }
  const journal = openJournal(dir, { clock: options.clock, lockTimes: options.lockTimes });
  await journal.recover();
  try {
    return { ...(await journal.compact()), problems: [], lost: [], movedTo: undefined };
  } finally {
    await journal.close();
  }
}

/** Undefined when nothing is damaged. */
async function salvage(dir: string, options: CompactOptions): Promise<CompactReport | undefined> {
  const clock = options.clock ?? systemClock;
  const disk = realDisk(dir);
  const lock = await takeLock(dir, clock, () => undefined, options.lockTimes);
  try {
    const log = await readQuietly(disk, true);
    const damaged = await damagedSleepers(disk, log);
    if (log.problems.length === 0 && damaged.length === 0) return undefined;
    const lost = await forgetLost(log);
    const salt = log.salt ?? Math.floor(Math.random() * 2 ** 32);
    const captured = capture(log.index, log.end.highest + 1, log.end.batch, clock.now());
    const written = await writeCheckpoint(captured, {
      disk,
      clock,
      limits: logLimits,
      salt,
      index: log.index,
      sleeperFiles: log.sleeperFiles,
    });
    const movedTo = join(dir, `damaged-${new Date(clock.now()).toISOString().replace(/[-:.]/g, "")}`);
    let removedFiles = 0;
    let removedBytes = 0;
    await fs.mkdir(movedTo, { recursive: true });
    const isLog = (name: string): boolean => numberOfSegment(name) !== undefined || numberOfCheckpoint(name) !== undefined;
    for (const name of await disk.list()) {
      const isOld = isSleepers(name) ? !written.sleeperFiles.has(name) : isLog(name) && name !== written.file;
      if (!isOld) continue;
      removedFiles += 1;
      removedBytes += log.sizes.get(name) ?? 0;
      await fs.rename(join(dir, name), join(movedTo, name));
    }
    await disk.syncNames();
    const problems = [...log.problems, ...damaged];
    return { checkpoint: written.file, checkpointBytes: written.bytes, removedFiles, removedBytes, problems, lost, movedTo };
  } catch (error) {
    throw journalError(error, "salvage what survives");
  } finally {
    await lock.release();
  }
}

/** Messages and sends whose body was in a file that is missing can't be worked on: they go, and are named. */
async function forgetLost(log: ReadLog): Promise<string[]> {
  const missing = new Set(log.problems.map((problem) => problem.file));
  const { ledger, bodies } = log.index;
  const isLost = (body: Uint8Array): boolean => {
    const place = bodies.placeOf(body);
    return place?.blob === true && missing.has(place.file);
  };
  const lost: string[] = [];
  for (const flow of ledger.flows.values()) {
    for (const { lease } of [...flow.pending.values()]) {
      if (!isLost(lease.message.body)) continue;
      lost.push(`message ${lease.message.id} of ${lease.message.flow}`);
      ledger.finish(lease);
    }
    for (const queue of flow.outbox.values()) {
      for (const [entry] of [...queue.entries()]) {
        if (!isLost(entry.body)) continue;
        lost.push(`send ${entry.idempotencyKey}`);
        queue.remove(entry.number);
      }
    }
  }
  for (const slot of [...ledger.sleepers.slots()]) {
    const isWhole = await loadSleeping(slot, bodies).then(
      () => true,
      () => false,
    );
    if (isWhole) continue;
    lost.push(`sleeping message ${slot.id} of ${slot.flow}`);
    ledger.end(slot.flow, slot.sequence);
  }
  for (const signal of [...ledger.signals.kept()]) {
    if (!isLost(signal.body)) continue;
    lost.push(`signal ${signal.id} for ${signal.flow}`);
    ledger.signals.take(signal.number);
  }
  return lost;
}

export type ExportPart = "pending" | "outbox" | "sleepers" | "signals" | "state" | "dedup" | "history";

/** Bytes as JSON: as `text` when they are UTF-8, else in base64. */
export function bodyAsJson(body: Uint8Array): { readonly text: string } | { readonly base64: string } {
  const bytes = Buffer.from(body.buffer, body.byteOffset, body.byteLength);
  const text = bytes.toString("utf8");
  return Buffer.from(text, "utf8").equals(bytes) ? { text } : { base64: bytes.toString("base64") };
}

function withoutBody<T extends { readonly body: unknown }>(value: T): Omit<T, "body"> {
  const { body: _, ...rest } = value;
  return rest;
}

/**
 * The journal as lines of JSON, each with its `kind`:
 *
 *   {"kind":"pending","sequence","attempt","dueMs","attempts",…every field of the message, "body":{"text"|"base64"}}
 *   {"kind":"outbox","number","attempt","dueMs",…every field of the entry, "body"}
 *   {"kind":"sleeper","sequence","attempt",…every field of the message and its sleep, "body", "recordingBytes", "pagesBytes", "recording", "pages"}
 *   {"kind":"signal","number",…every field of the signal, "body"}
 *   {"kind":"state","flow","key","version","values":{name: value},"exact"?:{name: JSON that a parser would change}}
 *   {"kind":"dedup","flow","dedupId","id","untilMs","reply"?}
 *   {"kind":"history","file","timeMs","record":{"kind":"accept"|"complete"|…}}   every record on disk, oldest first, bodies by length
 */
export async function* exportJournal(
  dir: string,
  parts: readonly ExportPart[] = ["pending", "outbox", "sleepers", "signals", "state", "dedup"],
): AsyncGenerator<string> {
  yield* exportDisk(await existing(dir), parts);
}

/** The same of a journal on any disk, which is only read. */
export async function* exportDisk(
  disk: Disk,
  parts: readonly ExportPart[] = ["pending", "outbox", "sleepers", "signals", "state", "dedup"],
): AsyncGenerator<string> {
  if (parts.includes("history")) yield* exportHistory(disk);
  if (parts.every((part) => part === "history")) return;
  const { index } = await readQuietly(disk, true);
  const captured = capture(index, 0, 0, 0);
  const load = async (body: Uint8Array): Promise<unknown> => {
    try {
      return bodyAsJson(await index.bodies.load(body));
    } catch (error) {
      return { missing: error instanceof Error ? error.message : String(error) };
    }
  };
  const line = (value: unknown): string => `${JSON.stringify(value)}\n`;
  if (parts.includes("pending")) {
    for (const { lease } of captured.messages) {
      const { sequence, attempt, dueMs, attempts, message } = lease;
      yield line({ kind: "pending", sequence, attempt, dueMs, attempts, ...withoutBody(message), body: await load(message.body) });
    }
  }
  if (parts.includes("outbox")) {
    for (const { entry, dueMs } of captured.entries)
      yield line({ kind: "outbox", dueMs, ...withoutBody(entry), body: await load(entry.body) });
  }
  if (parts.includes("sleepers")) {
    for (const { slot } of captured.sleepers) {
      try {
        const { sequence, message, sleeper } = await loadSleeping(slot, index.bodies);
        const { recording, pages, ...sleep } = sleeper;
        const { attempt = 1, attempts = [] } = slot.failed ?? {};
        const bytes = {
          body: bodyAsJson(message.body),
          recordingBytes: recording.length,
          pagesBytes: pages?.length,
          recording: base64Of(recording),
          pages: pages && base64Of(pages),
        };
        yield line({ kind: "sleeper", sequence, attempt, attempts, ...withoutBody(message), ...sleep, ...bytes });
      } catch (error) {
        const missing = error instanceof Error ? error.message : String(error);
        yield line({ kind: "sleeper", sequence: slot.sequence, flow: slot.flow, id: slot.id, missing });
      }
    }
  }
  if (parts.includes("signals"))
    for (const { signal } of captured.signals) yield line({ kind: "signal", ...withoutBody(signal), body: await load(signal.body) });
  if (parts.includes("state")) {
    for (const { flow, key, version, values } of captured.states) {
      yield line({
        kind: "state",
        flow,
        key,
        version,
        values: Object.fromEntries(values.map(([name, json]) => [name, JSON.parse(json) as unknown])),
        exact: exactValues(values),
      });
    }
  }
  if (parts.includes("dedup"))
    for (const { flow, dedupId, id, untilMs, reply } of captured.ids) {
      const given = reply && { ...withoutBody(reply), body: bodyAsJson(reply.body) };
      yield line({ kind: "dedup", flow, dedupId, id, untilMs, reply: given });
    }
}

function base64Of({ buffer, byteOffset, byteLength }: Uint8Array): string {
  return Buffer.from(buffer, byteOffset, byteLength).toString("base64");
}

/** Values whose JSON a parser changes, such as a number of twenty digits. */
function exactValues(values: readonly (readonly [string, string])[]): Readonly<Record<string, string>> | undefined {
  const changed = values.filter(([, json]) => JSON.stringify(JSON.parse(json)) !== json);
  return changed.length === 0 ? undefined : Object.fromEntries(changed);
}

async function* exportHistory(disk: Disk): AsyncGenerator<string> {
  const window = Buffer.allocUnsafeSlow(logLimits.readBytes);
  for (const name of (await disk.list()).filter((each) => numberOfSegment(each) !== undefined).sort()) {
    const file = await disk.open(name);
    try {
      const reader = new BatchReader(file, await file.size(), window);
      const header = await reader.header();
      if (header === undefined) continue;
      for (let at = fileHeaderBytes; at < reader.size; ) {
        const { batch } = await reader.batchAt(at, header.salt);
        if (batch === undefined) break;
        for (const { bytes } of batch.payloads) {
          const record = decodeRecord(bytes);
          if (record !== undefined)
            yield `${JSON.stringify({ kind: "history", file: name, timeMs: batch.header.timeMs, record }, historyValue)}\n`;
        }
        at = batch.end;
      }
    } finally {
      await file.close();
    }
  }
}

/** Bodies by their length: history is for what happened, and most bodies are gone by then. */
function historyValue(_key: string, value: unknown): unknown {
  if (value instanceof Uint8Array) return { bytes: value.length };
  if (typeof value === "object" && value !== null && "type" in value && value.type === "Buffer")
    return { bytes: (value as unknown as { data: unknown[] }).data.length };
  return value;
}
