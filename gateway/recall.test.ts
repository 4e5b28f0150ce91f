import { deepEqual, equal } from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { prng, systemClock } from "#base";
import { Persistence } from "./delivery/persistence.ts";
import { DeadLetters } from "./journal/dead-letters.ts";
import { openJournal } from "./journal/log/mod.ts";
import { silentLogger } from "./logger.ts";
import { journalRecall } from "./recall.ts";

test("what a source keeps is there after a restart, of each flow and name its own", async () => {
  const dir = await mkdtemp(join(tmpdir(), "mayfly-recall-"));
  try {
    for (const life of [1, 2, 3]) {
      const journal = openJournal(join(dir, "journal"), { deadLetters: new DeadLetters(join(dir, "dead")) });
      await journal.recover();
      const persistence = new Persistence(systemClock, prng(1), silentLogger);
      const recall = (flow: string): ReturnType<typeof journalRecall> => journalRecall(flow, { journal, persistence, clock: systemClock });
      equal(await recall("f").read("cron"), life === 1 ? undefined : `life ${life - 1}`);
      deepEqual([await recall("g").read("cron"), await recall("f").read("other")], [undefined, undefined]);
      for (const fact of ["soon over", `life ${life}`]) await recall("f").write("cron", fact);
      equal(await recall("f").read("cron"), `life ${life}`);
      equal(journal.stats().pending, 0);
      await journal.close();
    }
  } finally {
    await rm(dir, { recursive: true, force: true });
  }
});
