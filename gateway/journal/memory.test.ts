import { rejects, equal, ok } from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import * as nodeFs from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { memoryBudget } from "#base";
import { DeadLetters, type DeadLetterFs } from "./dead-letters.ts";
import type { Lease, Sequence } from "./journal.ts";
import { completion, journalCases, leased, newMessage, record } from "./testing/journal.case.ts";
import { newSignal, newSleeper } from "./testing/sleep.case.ts";
import { MemoryJournal } from "./memory.ts";

journalCases({ name: "memory", durable: false, open: async (_dir, deadLetters) => new MemoryJournal(deadLetters) });

test("sleepers and signals count towards the memory while they are kept", async () => {
  const dir = await mkdtemp(join(tmpdir(), "mayfly-memory-"));
  try {
    const memory = memoryBudget(1e6);
    const journal = new MemoryJournal(new DeadLetters(dir), memory);
    const wake = async (sequence: Sequence): Promise<Lease> => (await journal.wake(sequence)) ?? leased({ status: "mismatch" });
    const first = leased(await journal.accept(newMessage({ body: new Uint8Array(100) })));
    const second = leased(await journal.accept(newMessage({ id: "m2" })));
    equal(memory.takenBytes, 0, "delivery counts what is pending");
    const sleeper = newSleeper({ recording: new Uint8Array(20), pages: new Uint8Array(3) });
    await journal.complete(first, completion({ sleeper }));
    equal(memory.takenBytes, 123);
    await journal.complete(await wake(first.sequence), completion({ sleeper: newSleeper({ recording: new Uint8Array(7) }) }));
    equal(memory.takenBytes, 107);
    const kept = [1, 2, 3].map((n) => newSignal({ id: `s${n}`, body: new Uint8Array(1_000) }));
    for (const signal of kept.slice(1)) await journal.keepSignal(signal);
    await journal.complete(second, completion({ kept: kept.slice(0, 1), sleeper: newSleeper({ recording: new Uint8Array(1) }) }));
    ok(memory.takenBytes > 3_100 && memory.takenBytes < 6_000, `${memory.takenBytes}`);
    const [one, two, three] = [...journal.keptSignals()].map(({ number }) => number);
    ok(one !== undefined && two !== undefined && three !== undefined);
    await journal.complete(await wake(first.sequence), completion({ consumed: [one] }));
    await journal.burySignal(two, record(1));
    await journal.bury(await wake(second.sequence), record(1), [three]);
    equal(memory.takenBytes, 0);
    const third = leased(await journal.accept(newMessage({ id: "m3" })));
    await journal.complete(third, completion({ sleeper }));
    ok(await journal.drop(await wake(third.sequence)));
    equal(memory.takenBytes, 0);
  } finally {
    await rm(dir, { recursive: true, force: true });
  }
});

test("a dead letter on a full disk rejects, leaves the lease held, and succeeds once there is room", async () => {
  const dir = await mkdtemp(join(tmpdir(), "mayfly-dead-"));
  try {
    let full = true;
    const open = async (path: string, flags: string): ReturnType<DeadLetterFs["open"]> => {
      const file = await nodeFs.open(path, flags);
      if (!full) return file;
      return {
        writeFile: async () => Promise.reject(Object.assign(new Error("ENOSPC: no space left on device"), { code: "ENOSPC" })),
        datasync: () => file.datasync(),
        close: () => file.close(),
      };
    };
    const deadLetters = new DeadLetters(dir, { ...nodeFs, open } as unknown as DeadLetterFs);
    const journal = new MemoryJournal(deadLetters);
    const accepted = await journal.accept(newMessage());
    ok(accepted.status === "leased");
    await rejects(journal.bury(accepted.lease, record(1)), { code: "MF_DEAD_LETTER_WRITE" });
    equal(journal.stats().pending, 1);
    equal((await nodeFs.readdir(join(dir, "orders"))).length, 0);
    full = false;
    ok(await journal.bury(accepted.lease, record(1)));
    equal(journal.stats().pending, 0);
  } finally {
    await rm(dir, { recursive: true, force: true });
  }
});
