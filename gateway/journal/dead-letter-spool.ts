/**
 * How the command line asks a running gateway, which has the journal's lock, to retry or drop dead letters: through a folder.
 *
 *   DIR/NAME.request.json    what is asked; written beside and renamed, so it is whole
 *   DIR/NAME.answer.json     the report, or an error; the request is gone then
 *
 * The gateway calls `serveSpool` every second or so, and the command waits in `askThroughSpool`. A request is removed only after
 * its answer is there: after a crash in between it is carried out again, which retryLetters and dropLetters bear.
 */
import { randomBytes } from "node:crypto";
import * as fs from "node:fs/promises";
import { join } from "node:path";
import type { Headers } from "#abi";
import { type Clock, CodedError } from "#base";
import {
  type DropReport,
  dropLetters,
  type LetterSelection,
  type RetryJournal,
  retryLetters,
  type RetryOptions,
  type RetryReport,
} from "./dead-letter-operations.ts";
import type { DeadLetters } from "./dead-letters.ts";

export interface SpoolRequest {
  readonly operation: "retry" | "drop";
  readonly selection: LetterSelection;
  /** As LetterEdit, the body in base64. */
  readonly edit?:
    | {
        readonly bodyBase64?: string | undefined;
        readonly headers?: Headers | undefined;
        readonly contentType?: string | undefined;
      }
    | undefined;
}

export type SpoolAnswer =
  | { readonly operation: "retry"; readonly report: RetryReport }
  | { readonly operation: "drop"; readonly report: DropReport }
  | { readonly operation: "error"; readonly code: string; readonly message: string };

/** Bounds: a spool is for people, a request for a command line. */
export const spoolLimits = { requestsAtOnce: 100, requestBytes: 96 * 2 ** 20, pollMs: 200 } as const;

const requestEnding = ".request.json";
const answerEnding = ".answer.json";

async function writeWhole(path: string, value: unknown): Promise<void> {
  const temporary = `${path}.tmp`;
  await fs.writeFile(temporary, JSON.stringify(value), { mode: 0o600 });
  await fs.rename(temporary, path);
}

/** Puts a request into the folder and waits for its answer; MF_SPOOL_TIMEOUT when none comes, and then the request is taken back. */
export async function askThroughSpool(dir: string, request: SpoolRequest, clock: Clock, timeoutMs: number): Promise<SpoolAnswer> {
  await fs.mkdir(dir, { recursive: true, mode: 0o700 });
  const name = join(dir, randomBytes(8).toString("hex"));
  await writeWhole(`${name}${requestEnding}`, request);
  const untilMs = clock.monotonicMs() + timeoutMs;
  for (;;) {
    const text = await fs.readFile(`${name}${answerEnding}`, "utf8").catch(() => undefined);
    if (text !== undefined) {
      await fs.rm(`${name}${answerEnding}`, { force: true });
      return JSON.parse(text) as SpoolAnswer;
    }
    if (clock.monotonicMs() >= untilMs) break;
    await new Promise<void>((resolve) => clock.after(spoolLimits.pollMs, resolve));
  }
  await fs.rm(`${name}${requestEnding}`, { force: true });
  throw new CodedError("MF_SPOOL_TIMEOUT", `the gateway did not answer within ${timeoutMs} ms: is it running with this folder (${dir})?`);
}

async function carryOut(
  text: string,
  journal: RetryJournal,
  deadLetters: DeadLetters,
  options: Omit<RetryOptions, "edit">,
): Promise<SpoolAnswer> {
  try {
    const { operation, selection, edit } = JSON.parse(text) as SpoolRequest;
    if (typeof selection !== "object" || selection === null) throw new CodedError("MF_SPOOL_REQUEST", "a request needs a selection");
    if (operation === "drop") return { operation, report: await dropLetters(deadLetters, selection) };
    if (operation !== "retry") throw new CodedError("MF_SPOOL_REQUEST", `unknown operation ${String(operation)}`);
    const body = edit?.bodyBase64 === undefined ? undefined : Buffer.from(edit.bodyBase64, "base64");
    const changed = edit === undefined ? undefined : { body, headers: edit.headers, contentType: edit.contentType };
    return { operation, report: await retryLetters(journal, deadLetters, selection, { ...options, edit: changed }) };
  } catch (error) {
    const code = error instanceof CodedError ? error.code : "MF_SPOOL_REQUEST";
    return { operation: "error", code, message: error instanceof Error ? error.message : String(error) };
  }
}

/** Carries out what lies in the folder, once over. Gives how many requests it answered. */
export async function serveSpool(
  dir: string,
  journal: RetryJournal,
  deadLetters: DeadLetters,
  options: Omit<RetryOptions, "edit">,
): Promise<number> {
  const names = (await fs.readdir(dir).catch(() => [])).filter((name) => name.endsWith(requestEnding)).sort();
  let answered = 0;
  for (const name of names.slice(0, spoolLimits.requestsAtOnce)) {
    const path = join(dir, name);
    const size = (await fs.stat(path).catch(() => undefined))?.size;
    if (size === undefined) continue; // taken back meanwhile
    const answer: SpoolAnswer =
      size > spoolLimits.requestBytes
        ? { operation: "error", code: "MF_SPOOL_REQUEST", message: `a request of ${size} bytes is too long` }
        : await carryOut(await fs.readFile(path, "utf8"), journal, deadLetters, options);
    await writeWhole(join(dir, `${name.slice(0, -requestEnding.length)}${answerEnding}`), answer);
    await fs.rm(path, { force: true });
    answered += 1;
  }
  return answered;
}
