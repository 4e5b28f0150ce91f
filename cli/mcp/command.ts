/**
 * Runs a `mayfly` command in a process of its own. So a call can be cancelled, whatever it does; what it prints can't disturb the
 * protocol on standard output; and a flow or a test that fills its memory ends alone.
 */
import { type ChildProcessByStdio, spawn } from "node:child_process";
import type { Readable, Writable } from "node:stream";
import { CodedError } from "#base";
import { parseJson } from "../format.ts";
import { mcpLimits } from "./limits.ts";

export interface CommandLine {
  readonly values: readonly string[];
  readonly stdin?: string;
}

export interface CommandPlace {
  /** The script that runs `mayfly`. */
  readonly entry: string;
  /** The project's folder. */
  readonly cwd: string;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly timeMs: number;
  readonly signal: AbortSignal;
}

export interface CommandResult {
  /** The JSON on standard output. */
  readonly value: unknown;
  /** Zero or one: one means that it found something, such as a difference. */
  readonly code: number;
  /** Its text on standard error. */
  readonly remarks: string;
}

type Child = ChildProcessByStdio<Writable, Readable, Readable>;

/** SIGTERM, and SIGKILL to one that stays. */
function stop(child: Child): void {
  child.kill("SIGTERM");
  const timer = setTimeout(() => child.kill("SIGKILL"), mcpLimits.stopMs);
  child.once("exit", () => clearTimeout(timer));
}

interface Ended {
  readonly code: number | null;
  readonly out: string;
  readonly err: string;
}

/** Resolves when the process has ended. Rejects with MF_MCP_CANCELLED, MF_MCP_TIME, MF_MCP_LENGTH or MF_MCP_COMMAND, also only then. */
function ended(child: Child, { signal, timeMs }: CommandPlace): Promise<Ended> {
  return new Promise((resolve, reject) => {
    const pieces: Buffer[] = [];
    let bytes = 0;
    let err = "";
    let failed: CodedError | undefined;
    const fail = (code: string, message: string): void => {
      failed ??= new CodedError(code, message);
      stop(child);
    };
    const cancel = (): void => fail("MF_MCP_CANCELLED", "the client cancelled the call, or went away");
    const timer = setTimeout(() => fail("MF_MCP_TIME", `it took longer than ${timeMs / 1000} s: ask for less`), timeMs);
    if (signal.aborted) cancel();
    else signal.addEventListener("abort", cancel, { once: true });
    child.stdout.on("data", (piece: Buffer) => {
      bytes += piece.length;
      if (bytes <= mcpLimits.outputBytes) pieces.push(piece);
      else fail("MF_MCP_LENGTH", `the result has more than ${mcpLimits.outputBytes} bytes: narrow the search`);
    });
    child.stderr.setEncoding("utf8").on("data", (text: string) => (err = (err + text).slice(-mcpLimits.remarkCharacters)));
    child.on("error", (cause) => (failed ??= new CodedError("MF_MCP_COMMAND", `the command can't be run: ${cause.message}`, { cause })));
    child.on("close", (code) => {
      clearTimeout(timer);
      signal.removeEventListener("abort", cancel);
      if (failed === undefined) resolve({ code, out: Buffer.concat(pieces).toString("utf8"), err: err.trim() });
      else reject(failed);
    });
  });
}

/** Runs it to its end. Rejects with the command's own error, or as `ended` does. */
export async function runCommand({ values, stdin = "" }: CommandLine, place: CommandPlace): Promise<CommandResult> {
  const env = { ...place.env, NO_COLOR: "1", CI: "1" };
  const child = spawn(process.execPath, [place.entry, ...values], { cwd: place.cwd, env, stdio: ["pipe", "pipe", "pipe"] });
  child.stdin.on("error", () => undefined); // it may end without reading
  child.stdin.end(stdin);
  const { code, out, err } = await ended(child, place);
  const value = out === "" ? undefined : parseJson(out);
  if (code === 0 || code === 1) return { value, code, remarks: err };
  const { error } = (typeof value === "object" && value !== null ? value : {}) as { error?: { code: string; message: string } };
  throw new CodedError(error?.code ?? "MF_MCP_COMMAND", error?.message ?? `the command ended with ${code ?? "a signal"}: ${err}`);
}
