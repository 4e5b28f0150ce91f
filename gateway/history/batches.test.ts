/** Entries on their way to the writer: batches, one that is longer than a batch, and what is dropped when nothing is written. */
import { deepEqual, equal, ok } from "node:assert/strict";
import { test } from "node:test";
import { Batches } from "./batches.ts";
import type { Entry } from "./facts.ts";
import { historyLimits } from "./limits.ts";

const entry = (bytes: number): Entry => ({ facts: [{ kind: 1, parts: [new Uint8Array(bytes)] }], recording: undefined });

function bench(): { readonly batches: Batches; readonly handed: { readonly length: number; readonly entries: number }[] } {
  const handed: { readonly length: number; readonly entries: number }[] = [];
  const batches = new Batches({ hand: (_bytes, length, entries) => void handed.push({ length, entries }), after: () => () => undefined });
  return { batches, handed };
}

test("entries share a batch; one that no longer fits begins the next", () => {
  const { batches, handed } = bench();
  const half = Math.floor(historyLimits.batchBytes / 2);
  ok(batches.add(entry(10)) && batches.add(entry(half)) && batches.add(entry(half)));
  deepEqual(
    handed.map(({ entries }) => entries),
    [2],
  );
  batches.flush();
  batches.flush();
  deepEqual([handed.length, handed[1]?.entries, batches.recorded], [2, 1, 3]);
});

test("one that is longer than a batch goes alone and whole, up to what may wait", () => {
  const { batches, handed } = bench();
  const long = historyLimits.entryBytes + historyLimits.batchBytes;
  ok(batches.add(entry(10)) && batches.add(entry(long)));
  deepEqual(
    handed.map(({ entries }) => entries),
    [1, 1],
  );
  ok((handed[1]?.length ?? 0) > long);
  equal(batches.add(entry(2 * historyLimits.waitingBytes + historyLimits.entryBytes)), 0);
  deepEqual([batches.recorded, batches.dropped], [2, 1]);
});

test("while nothing is written, entries are dropped and counted beyond the bound; what was written makes room", () => {
  const { batches, handed } = bench();
  let added = 0;
  while (added < 10 && batches.add(entry(historyLimits.entryBytes))) added += 1;
  deepEqual([added, batches.dropped], [2, 1]);
  equal(batches.waitingBytes, (handed[0]?.length ?? 0) + (handed[1]?.length ?? 0));
  batches.written(handed[0]?.length ?? 0, undefined);
  ok(batches.add(entry(10)));
});
