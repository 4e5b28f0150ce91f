/** The disk of a partition on real servers: everything a journal must do, take-overs, and what others do to the stream. */
import { deepEqual, equal, match, ok, rejects } from "node:assert/strict";
import { after, test } from "node:test";
import { jetstream, jetstreamManager } from "@nats-io/jetstream";
import { type CodedError, fromUtf8, toUtf8 } from "#base";
import { journalCases } from "../../gateway/journal/testing/journal.case.ts";
import { NatsServers } from "../testing/nats-servers.ts";
import { partitionRig } from "./testing/partition-rig.ts";

const servers = await NatsServers.start({ count: 1 });
const rig = partitionRig(servers);
after(() => rig.close());
const { connection, open } = rig;

if (typeof servers === "string") test("a journal on JetStream", { skip: servers }, () => undefined);
else {
  for (const compacts of [false, true])
    journalCases({
      name: compacts ? "JetStream, compacted" : "JetStream",
      durable: true,
      open: (dir, deadLetters) => rig.openJournal(dir, deadLetters, compacts),
    });

  test("who was deposed is refused, says so once, and loses nothing that was acknowledged", async () => {
    const first = await open("deposed", "a");
    const file = await first.disk.create("segment-1.mfj");
    await file.write(toUtf8("before"), 0);
    const second = await open("deposed", "b");
    await rejects(file.write(toUtf8("after"), 6), { code: "MF_PARTITION_LOST", message: /node b has taken over/ });
    await rejects(first.disk.create("other"), { code: "MF_PARTITION_LOST" });
    await rejects(file.read(new Uint8Array(1), 0), { code: "MF_PARTITION_LOST" });
    equal(first.lost.length, 1);
    deepEqual(await second.disk.list(), ["segment-1.mfj"]);
    const taken = await second.disk.open("segment-1.mfj");
    const bytes = new Uint8Array(20);
    equal(await taken.read(bytes, 0), 6);
    equal(fromUtf8(bytes.subarray(0, 6)), "before");
    await taken.write(toUtf8("!"), 6);
    equal(await taken.size(), 7);
    for (const { disk } of [first, second]) await disk.close();
  });

  test("a message that is not the journal's is named, and nothing is opened on it", async () => {
    const { disk } = await open("foreign", "a");
    await (await disk.create("a")).write(toUtf8("a"), 0);
    const stranger = jetstream(await connection());
    const { seq } = await stranger.publish("mayfly.foreign.P007.f.2", "not ours");
    await rejects(disk.create("b"), {
      code: "MF_JOURNAL_CORRUPT",
      message: new RegExp(`MAYFLY_foreign_P007 is damaged at message ${seq}`),
    });
    await rejects(open("foreign", "b"), { code: "MF_JOURNAL_CORRUPT", message: new RegExp(`message ${seq}`) });
    await disk.close();
  });

  test("what the new owner has removed is no damage to who was deposed and does not know it", async () => {
    const first = await open("unknowing", "a");
    for (const name of ["few", "many"]) {
      const file = await first.disk.create(name);
      for (let at = 0; at < (name === "few" ? 2 : 30); at++) await file.write(toUtf8("a"), at);
    }
    const second = await open("unknowing", "b");
    for (const name of ["few", "many"]) await second.disk.remove(name);
    await second.disk.purged();
    const many = await first.disk.open("many");
    await rejects(many.read(new Uint8Array(30), 0), { code: "MF_PARTITION_LOST" });
    await rejects((await first.disk.open("few").catch(() => many)).read(new Uint8Array(2), 0), { code: "MF_PARTITION_LOST" });
    equal(first.lost.length, 1);
    for (const { disk } of [first, second]) await disk.close();
  });

  test("a stream of another form is refused, with what differs", async () => {
    const manager = await jetstreamManager(await connection());
    await manager.streams.add({ name: "MAYFLY_other_P007", subjects: ["mayfly.other.P007.>"], max_age: 60e9 });
    await rejects(open("other", "a"), (error: CodedError) => {
      equal(error.code, "MF_CLUSTER_STREAM");
      match(error.message, /max_age is 60000000000, not 0/);
      return true;
    });
  });

  test("removed files leave the stream, those that are open when they are closed", async () => {
    const { disk } = await open("purged", "a");
    const kept = await disk.create("kept");
    await kept.write(new Uint8Array(1_000).fill(1), 0);
    const held = await disk.create("held");
    await held.write(new Uint8Array(1_000).fill(2), 0);
    await disk.remove("held");
    for (let number = 0; number < 20; number++) {
      const file = await disk.create(`file-${number}`);
      await file.write(new Uint8Array(50_000), 0);
      await file.close();
      await disk.remove(`file-${number}`);
    }
    const bytes = new Uint8Array(1_000);
    equal(await held.read(bytes, 0), 1_000);
    ok(bytes.every((byte) => byte === 2));
    await held.close();
    await disk.purged();
    await disk.close();
    const manager = await jetstreamManager(await connection());
    const { state } = await manager.streams.info("MAYFLY_purged_P007", { subjects_filter: ">" });
    deepEqual(Object.keys(state.subjects ?? {}).sort(), [
      "mayfly.purged.P007.f.2",
      "mayfly.purged.P007.owner",
      "mayfly.purged.P007.removed",
    ]);
    ok(state.bytes < 20_000, `${state.bytes} bytes`);
  });

  test("many pieces are read as one stream, over the bounds of messages", async () => {
    const { disk } = await open("pieces", "a");
    const file = await disk.create("a");
    const whole = Buffer.alloc(3 * 1024 * 1024);
    for (let at = 0; at < whole.length; at++) whole[at] = (at * 31) >>> 8;
    for (let at = 0; at < whole.length; at += 40_000) await file.write(whole.subarray(at, at + 40_000), at);
    const again = await open("pieces", "b");
    const reading = await again.disk.open("a");
    const bytes = Buffer.alloc(whole.length + 10);
    equal(await reading.read(bytes, 0), whole.length);
    ok(bytes.subarray(0, whole.length).equals(whole));
    const part = Buffer.alloc(100_001);
    equal(await reading.read(part, 39_999), part.length);
    ok(part.equals(whole.subarray(39_999, 39_999 + part.length)));
    for (const { disk: each } of [{ disk }, again]) await each.close();
  });
}
