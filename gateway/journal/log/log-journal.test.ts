import { join } from "node:path";
import { journalCases } from "../testing/journal.case.ts";
import { openJournal } from "./open.ts";

journalCases({ name: "log", durable: true, open: async (dir, deadLetters) => openJournal(join(dir, "journal"), { deadLetters }) });
