/** Journals on the current NATS server, and a take-over there: what Debian's older one takes is in jetstream.test.ts. */
import { equal, rejects } from "node:assert/strict";
import { after, test } from "node:test";
import { toUtf8 } from "#base";
import { journalCases } from "../../gateway/journal/testing/journal.case.ts";
import { currentServer } from "../testing/current-server.ts";
import { NatsServers } from "../testing/nats-servers.ts";
import { partitionRig } from "./testing/partition-rig.ts";

const built = currentServer();
const servers = "why" in built ? built.why : await NatsServers.start({ count: 1, program: built.program });
const rig = partitionRig(servers);
after(() => rig.close());

if (typeof servers === "string") test("a journal on the current server", { skip: servers }, () => undefined);
else {
  journalCases({ name: "JetStream, current", durable: true, open: (dir, deadLetters) => rig.openJournal(dir, deadLetters, true) });

  test("the current server refuses who was deposed", async () => {
    const first = await rig.open("deposed", "a");
    const file = await first.disk.create("a");
    await file.write(toUtf8("a"), 0);
    const second = await rig.open("deposed", "b");
    await rejects(file.write(toUtf8("b"), 1), { code: "MF_PARTITION_LOST" });
    equal(await (await second.disk.open("a")).size(), 1);
    for (const { disk } of [first, second]) await disk.close();
  });
}
