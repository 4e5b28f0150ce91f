import { equal, ok } from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { readConfig } from "../config/read.ts";
import { silentLogger } from "../logger.ts";
import { connectors } from "#connectors";
import { memoryBudget } from "#base";
import { configuredJournal } from "./configured.ts";
import { DeadLetters } from "./dead-letters.ts";
import { newMessage } from "./testing/journal.case.ts";
import { exportJournal, LogJournal } from "./log/mod.ts";

/** One message is accepted and completed, a checkpoint is written: what of it is left to be exported? */
async function historyAfter(yaml: string): Promise<number> {
  const dir = await mkdtemp(join(tmpdir(), "mayfly-configured-"));
  try {
    const config = readConfig(`flows: {}\n${yaml}`, join(dir, "mayfly.yaml"), { ...connectors, environment: {} });
    const journal = configuredJournal(config, new DeadLetters(join(dir, "dead")), silentLogger, memoryBudget(2 ** 20));
    ok(journal instanceof LogJournal);
    await journal.recover();
    const accepted = await journal.accept(newMessage({ id: "m1", flow: "orders" }));
    ok(accepted.status === "leased");
    await journal.complete(accepted.lease, { nowMs: Date.now(), sends: [], state: undefined, reply: undefined });
    await journal.compact();
    await journal.close();
    let lines = 0;
    for await (const line of exportJournal(join(dir, "kept"), ["history"])) if (line.includes('"m1"')) lines += 1;
    return lines;
  } finally {
    await rm(dir, { recursive: true, force: true });
  }
}

test("journal.retention keeps finished messages until they are too old or too many; without it a checkpoint removes it", async () => {
  ok((await historyAfter("journal: { dir: kept, retention: { age: 1h } }")) > 0);
  ok((await historyAfter("journal: { dir: kept, retention: {} }")) > 0, "an empty one has defaults");
  equal(await historyAfter("journal: { dir: kept, retention: { size: 1B } }"), 0);
  equal(await historyAfter("journal: { dir: kept }"), 0);
});
