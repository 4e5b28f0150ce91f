import { rejects, equal, ok } from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import * as nodeFs from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { DeadLetters, type DeadLetterFs } from "./dead-letters.ts";
import { journalCases, newMessage } from "./testing/journal.case.ts";
import { MemoryJournal } from "./memory.ts";

journalCases({ name: "memory", durable: false, open: async (_dir, deadLetters) => new MemoryJournal(deadLetters) });

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
    const record = {
      attempt: 1,
      startedMs: 1,
      endedMs: 2,
      imageSha256: "",
      failure: { origin: "flow" as const, code: "MF_X", message: "x", status: 0, retry: false },
      logs: [],
    };
    await rejects(journal.bury(accepted.lease, record), { code: "MF_DEAD_LETTER_WRITE" });
    equal(journal.stats().pending, 1);
    equal((await nodeFs.readdir(join(dir, "orders"))).length, 0);
    full = false;
    ok(await journal.bury(accepted.lease, record));
    equal(journal.stats().pending, 0);
  } finally {
    await rm(dir, { recursive: true, force: true });
  }
});
