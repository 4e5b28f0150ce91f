/** A signal that moves to the partition of whoever takes it: cut at every step, it is there once, and only once taken. */
import { deepEqual, equal, ok } from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import type { Partition } from "../../contract/cluster.ts";
import { DeadLetters } from "../dead-letters.ts";
import type { Journal, Sequence } from "../journal.ts";
import { MemoryJournal } from "../memory.ts";
import { completion, leased, newMessage } from "../testing/journal.case.ts";
import { newSignal, newSleeper, newWait } from "../testing/sleep.case.ts";
import { numbersOf, PartitionedJournal } from "./partitioned-journal.ts";

const partitions = 2;
const any = (): boolean => true;
const steps = ["replaceSignal", "keepSignal", "dropSignal"] as const;

/** A journal whose `step` never returns, done or not. `reached` resolves there. */
function cutAt(journal: Journal, step: (typeof steps)[number], isDone: boolean, reached: () => void): Journal {
  return new Proxy(journal, {
    get: (target, name) => {
      const value = target[name as keyof Journal] as unknown;
      if (typeof value !== "function") return value;
      if (name !== step) return value.bind(target) as unknown;
      return async (...given: unknown[]) => {
        if (isDone) await (value as (...all: unknown[]) => Promise<unknown>).apply(target, given);
        reached();
        await new Promise(() => undefined);
      };
    },
  });
}

/** Two journals; the sleeper in one waits for a signal that is kept in the other. */
async function place(dir: string): Promise<{ readonly journals: readonly Journal[]; readonly sleepers: readonly Sequence[] }> {
  const letters = new DeadLetters(join(dir, "dead"));
  const journals = [0, 1].map((partition) => new MemoryJournal(letters, undefined, numbersOf(partition as Partition, partitions)));
  const both = nodeOf(journals);
  const sleepers: Sequence[] = [];
  const away = [..."abcdefgh"].filter((key) => both.partitionOf({ flow: "orders", key, dedup: undefined }) !== home(both)).slice(0, 2);
  for (const key of away) {
    const lease = leased(await both.accept(newMessage({ key })));
    await both.complete(lease, completion({ sleeper: newSleeper({ waits: [newWait("paid", "k1")] }) }));
    sleepers.push(lease.sequence);
  }
  await both.keepSignal(newSignal());
  return { journals, sleepers };
}

const home = (journal: PartitionedJournal): Partition => journal.partitionOfSignal(newSignal());

function nodeOf(journals: readonly Journal[]): PartitionedJournal {
  const node = new PartitionedJournal({ partitions });
  for (const [partition, journal] of journals.entries()) node.gain(partition as Partition, journal);
  return node;
}

async function take(node: PartitionedJournal, sequence: Sequence | undefined): Promise<string> {
  const signal = await node.firstSignal("orders", "paid", "k1", any);
  const lease = sequence === undefined ? undefined : await node.wake(sequence);
  ok(signal !== undefined && lease !== undefined);
  return (await node.complete(lease, completion({ consumed: [signal.number] }))).status;
}

for (const step of steps)
  for (const isDone of [false, true])
    test(`a move that is cut at ${step}, ${isDone ? "done" : "not done"}, leaves one signal`, async () => {
      const dir = await mkdtemp(join(tmpdir(), "mayfly-moved-"));
      try {
        const { journals, sleepers } = await place(dir);
        let before: PartitionedJournal | undefined;
        await new Promise<void>((reached) => {
          before = nodeOf(journals.map((journal) => cutAt(journal, step, isDone, reached)));
          void take(before, sleepers[0]);
        });
        ok(before !== undefined);
        const isWhole = step === "replaceSignal" && !isDone;
        equal(before.hasSignal("orders", "paid", "k1", any), isWhole, "while it moves it is nobody else's");
        equal([...before.keptSignals()].length, isWhole ? 1 : 0);
        const node = nodeOf(journals);
        if (!isWhole && !(step === "dropSignal" && isDone))
          equal(node.hasSignal("orders", "paid", "k1", any), false, "not before it is settled");
        await node.settleMoves();
        deepEqual(
          [...node.keptSignals()].map(({ key }) => key),
          ["k1"],
        );
        const [, second] = sleepers;
        equal(await take(node, second), "committed");
        equal(node.stats().signals, 0);
        equal(node.hasSignal("orders", "paid", "k1", any), false);
        await node.settleMoves();
        equal(node.stats().signals, 0);
      } finally {
        await rm(dir, { recursive: true, force: true });
      }
    });

test("of two that take a signal at once, one gets it", async () => {
  const dir = await mkdtemp(join(tmpdir(), "mayfly-moved-"));
  try {
    const { journals, sleepers } = await place(dir);
    const node = nodeOf(journals);
    const taken = await Promise.all(sleepers.map((sequence) => take(node, sequence)));
    deepEqual(taken.sort(), ["committed", "stale"]);
    equal(node.stats().signals, 0);
  } finally {
    await rm(dir, { recursive: true, force: true });
  }
});
