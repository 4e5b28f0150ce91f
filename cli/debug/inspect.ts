/** Node's inspector around a task. */
import inspector from "node:inspector";
import { CodedError } from "#base";
import type { Terminal } from "../terminal.ts";

export interface DebugPlace {
  readonly host: string;
  readonly port: number;
  /** Stop in front of the flow's handler. */
  readonly pauses: boolean;
}

function isLoopback(host: string): boolean {
  return /^(localhost|127(\.\d{1,3}){3}|\[?::1\]?)$/.test(host);
}

/** Opens the inspector unless a debugger started this process, and returns once one is attached. */
function open({ err, paintErr }: Terminal, { host, port }: DebugPlace): void {
  if (inspector.url() !== undefined) return;
  if (!isLoopback(host)) err(`${paintErr.yellow("warning")}: whoever reaches ${host} can run programs as you while the debugger is open\n`);
  err(
    `waiting for a debugger at ${host}:${port === 0 ? "PORT" : port}: attach with VS Code (Debug: Attach to Node Process) or chrome://inspect\n`,
  );
  try {
    inspector.open(port, host, true);
  } catch (cause) {
    throw new CodedError(
      "MF_DEBUG_PORT",
      `the inspector can't listen at ${host}:${port}: ${(cause as Error).message}: choose another with --inspect-brk HOST:PORT`,
      {
        cause,
      },
    );
  }
  if (inspector.url() === undefined)
    throw new CodedError("MF_DEBUG_PORT", `the inspector can't listen at ${host}:${port}: choose another with --inspect-brk HOST:PORT`);
}

/** Runs the task in a machine's time zone, with a debugger attached. */
export async function underInspector<T>(terminal: Terminal, place: DebugPlace, task: () => Promise<T>): Promise<T> {
  open(terminal, place);
  const zone = process.env["TZ"];
  process.env["TZ"] = "UTC";
  try {
    return await task();
  } finally {
    if (zone === undefined) delete process.env["TZ"];
    else process.env["TZ"] = zone;
  }
}
