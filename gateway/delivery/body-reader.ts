/**
 * Long JSON bodies, read for `key:` and `dedup.by:` in slices with other work in between: a few MiB of short values take a second, and
 * whoever sends them must not keep other flows waiting. One slice at a time for the whole process, in turn over the bodies.
 */
import { Scan } from "./json-pointer.ts";

/** Bodies up to this are read at once: that takes no longer than a slice. */
export const shortBytes = 16 * 1024;

interface Reading {
  readonly scan: Scan;
  readonly done: (values: readonly (string | undefined)[]) => void;
}

const readings: Reading[] = [];

/** The values at the pointers, as of `valuesAt`, later. */
export function readInSlices(bytes: Uint8Array, pointers: readonly (readonly string[])[]): Promise<readonly (string | undefined)[]> {
  return new Promise((done) => {
    readings.push({ scan: new Scan(bytes, pointers), done });
    if (readings.length === 1) setImmediate(turn);
  });
}

function turn(): void {
  const reading = readings.shift();
  if (reading === undefined) return;
  if (reading.scan.slice()) readings.push(reading);
  else reading.done(reading.scan.values());
  if (readings.length > 0) setImmediate(turn);
}
