/** Runs a command in this process and keeps what it writes: for tests, and for programs that embed the command line. */
import { main } from "./command-line.ts";
import { paintWith } from "./terminal.ts";

export interface Captured {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

export interface CaptureOptions {
  readonly stdin?: string | Uint8Array;
  readonly env?: Readonly<Record<string, string | undefined>>;
}

export async function capture(values: readonly string[], { stdin = "", env = {} }: CaptureOptions = {}): Promise<Captured> {
  let out = "";
  let err = "";
  const code = await main(values, {
    out: (text) => void (out += text),
    err: (text) => void (err += text),
    paint: paintWith(false),
    paintErr: paintWith(false),
    interactive: false,
    env,
    readStdin: () => Promise.resolve(typeof stdin === "string" ? Buffer.from(stdin) : stdin),
  });
  return { code, out, err };
}
