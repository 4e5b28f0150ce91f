import { join } from "node:path";
import { systemClock } from "#base";
import type { Partition } from "../../contract/cluster.ts";
import { openJournal } from "../log/mod.ts";
import { MemoryJournal } from "../memory.ts";
import { journalCases } from "../testing/journal.case.ts";
import type { DeadLetters } from "../dead-letters.ts";
import type { Journal } from "../journal.ts";
import { numbersOf, PartitionedJournal } from "./partitioned-journal.ts";

const partitions = 3;
const all = Array.from({ length: partitions }, (_, index) => index as Partition);

/** Owns every partition, from its recovery on. */
class WholeJournal extends PartitionedJournal {
  readonly #open: (partition: Partition) => Journal;

  constructor(open: (partition: Partition) => Journal) {
    super({ partitions });
    this.#open = open;
  }

  override async recover(): ReturnType<Journal["recover"]> {
    const recoveries = await Promise.all(
      all.map(async (partition) => {
        const journal = this.#open(partition);
        const recovery = await journal.recover();
        this.gain(partition, journal);
        return recovery;
      }),
    );
    const sum = (counts: readonly Readonly<Record<string, number>>[]): Record<string, number> => {
      const total: Record<string, number> = {};
      for (const each of counts) for (const [flow, count] of Object.entries(each)) total[flow] = (total[flow] ?? 0) + count;
      return total;
    };
    return {
      pending: sum(recoveries.map(({ pending }) => pending)),
      sleepers: sum(recoveries.map(({ sleepers }) => sleepers)),
      outbox: recoveries.flatMap(({ outbox }) => outbox),
      remarks: recoveries.flatMap(({ remarks }) => remarks),
    };
  }
}

journalCases({
  name: "partitions in memory",
  durable: false,
  open: async (_dir, deadLetters) =>
    new WholeJournal((partition) => new MemoryJournal(deadLetters, undefined, numbersOf(partition, partitions))),
});

const folder = (dir: string, deadLetters: DeadLetters) => (partition: Partition) =>
  openJournal(join(dir, `p${partition}`), { deadLetters, clock: systemClock, numbers: numbersOf(partition, partitions) });

journalCases({
  name: "partitions in folders",
  durable: true,
  open: async (dir, deadLetters) => new WholeJournal(folder(dir, deadLetters)),
});
