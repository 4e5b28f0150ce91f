/** How errors end a command: a code, a sentence, an exit code; a stack only for whoever asks for it. */
import { CodedError, isCoded } from "#base";
import type { Terminal } from "./terminal.ts";

export const exitCodes = {
  ok: 0,
  /** The flow failed, a test failed, a check found something. */
  failed: 1,
  /** The command could not be carried out: usage, configuration, build. */
  unusable: 2,
} as const;

export function usageError(message: string): CodedError {
  return new CodedError("MF_USAGE", message);
}

/** Any error as a coded one. An unexpected one is our bug and says so. */
export function asCoded(error: unknown): CodedError {
  if (isCoded(error)) return error;
  const { code, message } = error as { code?: unknown; message?: unknown };
  // CodedErrors of another copy of #base, and errors of the system.
  if (typeof code === "string" && code.startsWith("MF_")) return new CodedError(code, String(message), { cause: error });
  if (typeof code === "string" && /^E[A-Z]+$/.test(code)) return new CodedError("MF_IO", String(message), { cause: error });
  const text = error instanceof Error ? error.message : String(error);
  return new CodedError("MF_INTERNAL", `${text} — this is a bug in Mayfly: please report it, with the output under MAYFLY_DEBUG=1`, {
    cause: error,
  });
}

/** Writes an error; with `json` also as an object on standard output, so that a machine has one place to look. */
export function reportFailure(terminal: Terminal, error: unknown, json: boolean): void {
  const coded = asCoded(error);
  const { red, dim } = terminal.paintErr;
  if (json) terminal.out(`${JSON.stringify({ error: { code: coded.code, message: coded.message } })}\n`);
  // A configuration's faults name their code on every line: once is enough.
  const sentence = coded.message.replace(new RegExp(`^(\\S+:\\d+:\\d+) ${coded.code} `, "gm"), "$1: ");
  terminal.err(`${red(coded.code)}: ${sentence}\n`);
  if (terminal.env["MAYFLY_DEBUG"] !== "1") return;
  for (let at: unknown = coded; at instanceof Error; at = at.cause) terminal.err(`${dim(at.stack ?? String(at))}\n`);
}
