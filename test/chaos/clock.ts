/** A computer's clock that somebody sets: a file says how far it is off, and the gateway's process follows it. */
import { readFileSync, renameSync, writeFileSync } from "node:fs";

const lookMs = 20;

function offsetIn(file: string): number {
  try {
    return Number(readFileSync(file, "utf8"));
  } catch {
    return 0; // it was never set
  }
}

/** Dates of this process are off by what the file says; durations are not. */
export function followClock(file: string | undefined): void {
  if (file === undefined) return;
  const rightMs = Date.now;
  let offsetMs = offsetIn(file);
  Date.now = () => rightMs() + offsetMs;
  setInterval(() => (offsetMs = offsetIn(file)), lookMs).unref();
}

/** The harness's hand on that clock. */
export class SetClock {
  readonly file: string;
  offsetMs = 0;

  constructor(file: string) {
    this.file = file;
  }

  set(offsetMs: number): void {
    this.offsetMs = offsetMs;
    writeFileSync(`${this.file}.next`, String(offsetMs));
    renameSync(`${this.file}.next`, this.file);
  }
}
