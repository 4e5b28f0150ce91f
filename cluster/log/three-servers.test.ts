/** A journal on three servers of which one after the other is killed, paused and started again, while owners change. */
import { deepEqual, equal, ok } from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { type CodedError, fromUtf8, prng, toUtf8 } from "#base";
import { DeadLetters, LogJournal } from "#gateway";
import { newMessage } from "../../gateway/journal/testing/journal.case.ts";
import { NatsServers } from "../testing/nats-servers.ts";
import { replicatedLimits } from "./open.ts";
import { type PartitionRig, partitionRig } from "./testing/partition-rig.ts";

const seed = Number(process.env["MAYFLY_SEED"] ?? Date.now() % 1_000_000);

interface Owner {
  readonly journal: LogJournal;
  readonly accepted: Set<string>;
  readonly refused: Set<string>;
  readonly done: Promise<void>;
  stop(): Promise<void>;
}

/** Opens the partition, and accepts numbered messages, eight at once, until it is told to stop or deposed. */
async function own(rig: PartitionRig, name: string, dir: string): Promise<Owner> {
  const { disk } = await rig.open("three", name);
  const journal = new LogJournal({ disk, deadLetters: new DeadLetters(join(dir, "dead")), limits: replicatedLimits(disk) });
  await journal.recover();
  const accepted = new Set<string>();
  const refused = new Set<string>();
  let over = false;
  let next = 0;
  const work = async (): Promise<void> => {
    while (!over) {
      const text = `${name}-${next++}`;
      try {
        await journal.accept(newMessage({ id: text, body: toUtf8(text) }));
        accepted.add(text);
        await new Promise((resolve) => setTimeout(resolve, 10)); // or what is read at the end is long
      } catch (error) {
        refused.add(text);
        over ||= (error as CodedError).code === "MF_PARTITION_LOST";
      }
    }
  };
  const done = Promise.all(Array.from({ length: 8 }, work)).then(() => undefined);
  return {
    journal,
    accepted,
    refused,
    done,
    stop: async () => {
      over = true;
      await done;
      await journal.close().catch(() => undefined);
      await disk.close();
    },
  };
}

/** Resolves once the owner has taken so many more. */
async function more(owner: Owner, count: number): Promise<void> {
  const wanted = owner.accepted.size + count;
  let isOver = false;
  void owner.done.then(() => (isOver = true));
  while (owner.accepted.size < wanted) {
    if (isOver) throw new Error("the owner was deposed, and nobody has taken over");
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

test("servers end, stand still and come back while owners change: nothing acknowledged is missing, nothing is there twice", {
  timeout: 300_000,
}, async (t) => {
  const servers = await NatsServers.start({ count: 3 });
  if (typeof servers === "string") return t.skip(servers);
  t.diagnostic(`seed ${seed}`);
  const random = prng(seed);
  const rig = partitionRig(servers, 3);
  const dir = await mkdtemp(join(tmpdir(), "mayfly-three-"));
  try {
    const owners: Owner[] = [];
    for (let round = 0; round < 4; round++) {
      const owner = await own(rig, `n${round}`, dir);
      owners.push(owner); // the one before goes on, until it is refused
      await more(owner, 200);
      const server = random.below(3);
      if (random.below(2) === 0) {
        await servers.kill(server);
        await more(owner, 200);
        await servers.up(server);
      } else {
        await servers.pause(server);
        await more(owner, 200);
        servers.resume(server);
      }
      await more(owner, 200);
    }
    await owners.at(-1)?.stop();
    for (const owner of owners) await owner.done;
    const last = await own(rig, "last", dir);
    await last.stop();
    const { disk } = await rig.open("three", "reader");
    const reader = new LogJournal({ disk, deadLetters: new DeadLetters(join(dir, "dead")) });
    await reader.recover();
    const there = (await reader.lease("orders", 1_000_000)).map(({ message }) => fromUtf8(message.body));
    const known = [...owners, last];
    equal(new Set(there).size, there.length, "twice");
    const missing = known.flatMap(({ accepted }) => [...accepted]).filter((text) => !there.includes(text));
    deepEqual(missing, [], "acknowledged and missing");
    const unknown = there.filter((text) => !known.some(({ accepted, refused }) => accepted.has(text) || refused.has(text)));
    deepEqual(unknown, [], "nobody sent it");
    ok(there.length > 2_000);
    t.diagnostic(`${there.length} messages, ${known.reduce((sum, { refused }) => sum + refused.size, 0)} refused`);
    for (const { journal } of owners.slice(0, -1)) await journal.close().catch(() => undefined);
    await reader.close();
    await disk.close();
  } finally {
    await rig.close();
    await rm(dir, { recursive: true, force: true });
  }
});
