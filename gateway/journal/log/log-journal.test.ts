import { join } from "node:path";
import { systemClock } from "#base";
import { journalCases } from "../testing/journal.case.ts";
import { openJournal } from "./open.ts";

journalCases({ name: "log", durable: true, open: async (dir, deadLetters) => openJournal(join(dir, "journal"), { deadLetters }) });

journalCases({
  name: "log, compacted",
  durable: true,
  open: async (dir, deadLetters) => {
    const journal = openJournal(join(dir, "journal"), { deadLetters, clock: { ...systemClock, now: () => 2_500 } });
    const close = journal.close.bind(journal);
    return Object.assign(journal, { close: () => journal.compact().then(close, close) });
  },
});
