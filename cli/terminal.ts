/** Where a command writes and what it may know of its surroundings. A test passes its own. */

/** How text is painted; every function is the identity when colours are off. */
export interface Paint {
  bold(text: string): string;
  dim(text: string): string;
  red(text: string): string;
  green(text: string): string;
  yellow(text: string): string;
  cyan(text: string): string;
}

export interface Terminal {
  /** Results: what a pipe is to get. */
  out(text: string): void;
  /** Everything for people only: progress, warnings, errors. */
  err(text: string): void;
  readonly paint: Paint;
  readonly paintErr: Paint;
  /** True when a person is looking at what `err` writes. */
  readonly interactive: boolean;
  readonly env: Readonly<Record<string, string | undefined>>;
  readStdin(): Promise<Uint8Array>;
}

const codes = { bold: [1, 22], dim: [2, 22], red: [31, 39], green: [32, 39], yellow: [33, 39], cyan: [36, 39] } as const;

function painter(on: boolean, [open, close]: readonly [number, number]): (text: string) => string {
  return on ? (text) => `\x1b[${open}m${text}\x1b[${close}m` : (text) => text;
}

export function paintWith(on: boolean): Paint {
  return {
    bold: painter(on, codes.bold),
    dim: painter(on, codes.dim),
    red: painter(on, codes.red),
    green: painter(on, codes.green),
    yellow: painter(on, codes.yellow),
    cyan: painter(on, codes.cyan),
  };
}

/** https://no-color.org: any value but the empty one turns colours off. */
function coloured(stream: NodeJS.WriteStream): boolean {
  const { NO_COLOR: none, FORCE_COLOR: force, TERM: term } = process.env;
  if (none !== undefined && none !== "") return false;
  if (force !== undefined && force !== "" && force !== "0") return true;
  return stream.isTTY === true && term !== "dumb";
}

async function readStdin(): Promise<Uint8Array> {
  const parts: Buffer[] = [];
  for await (const part of process.stdin as AsyncIterable<Buffer>) parts.push(part);
  return Buffer.concat(parts);
}

export function processTerminal(): Terminal {
  // `mayfly inspect x | head`: whoever read has seen enough.
  process.stdout.on("error", (error: NodeJS.ErrnoException) => {
    if (error.code === "EPIPE") process.exit(0);
    throw error;
  });
  return {
    out: (text) => void process.stdout.write(text),
    err: (text) => void process.stderr.write(text),
    paint: paintWith(coloured(process.stdout)),
    paintErr: paintWith(coloured(process.stderr)),
    interactive: process.stderr.isTTY === true && process.env["CI"] === undefined,
    env: process.env,
    readStdin,
  };
}

const eraseLine = "\r\x1b[K";

/** Says what takes long, on a terminal only, and takes it back when it is over. */
export async function withProgress<T>(terminal: Terminal, text: string, task: () => Promise<T>): Promise<T> {
  if (!terminal.interactive) return await task();
  // A short wait is not worth a flicker.
  const timer = setTimeout(() => terminal.err(`${terminal.paintErr.dim(`${text} …`)}`), 150);
  try {
    return await task();
  } finally {
    clearTimeout(timer);
    terminal.err(eraseLine);
  }
}
