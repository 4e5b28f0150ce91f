/** The bytes on disk: records and batches come back as they went in, and no bytes make a reader throw. */
import { deepEqual, equal, ok } from "node:assert/strict";
import { test } from "node:test";
import { prng, toUtf8 } from "#base";
import fc from "fast-check";
import { SeededHash } from "../seeded-hash.ts";
import { slotOf, type SleepingLease } from "../slot.ts";
import type { AttemptRecord, EntryNumber, FencingToken, KeptSignal, Lease, OutboxEntry, Sequence, SignalNumber } from "../journal.ts";
import type { Commit } from "../ledger.ts";
import { BatchReader, fileHeaderBytes, getBatchHeader, getFileHeader, putBatchHeader, putFileHeader } from "../log/batch.ts";
import { ByteReader, ByteWriter } from "./bytes.ts";
import type { DiskFile } from "../log/disk.ts";
import {
  writeBurying,
  writeClosed,
  writeCompletedId,
  writeEnd,
  writeFinish,
  writeRetry,
  writeSendAttempt,
  writeSettle,
  writeState,
} from "./change-records.ts";
import type { AsleepPack, CapturedSlot } from "./asleep-pack.ts";
import { writeAsleep } from "./asleep-record.ts";
import { writeCommit } from "./commit-record.ts";
import { writeEntry, writeMessage } from "./message-records.ts";
import { decodeRecord } from "./records.ts";
import { writeBurySignal, writeEndSignal, writeSignal, writeSleeper } from "./sleep-records.ts";
import { BatchBuffer } from "../log/batch-buffer.ts";
import { sectorBytes } from "../log/limits.ts";

const attempt: AttemptRecord = {
  attempt: 1,
  startedMs: 1,
  endedMs: 2,
  imageSha256: "00",
  failure: { origin: "flow" as const, code: "MF_TEST", message: "no luck — ☂", status: 0, retry: true },
  logs: [{ kind: "log", level: "info", text: "tried", fieldsJson: undefined }],
};

const lease: Lease = {
  sequence: 7 as Sequence,
  token: 0 as FencingToken,
  attempt: 2,
  dueMs: 9,
  durable: true,
  attempts: [JSON.parse(JSON.stringify(attempt)) as AttemptRecord],
  message: {
    flow: "orders",
    id: "m☂1",
    source: "http",
    headers: { a: "1", ["__proto__"]: "x" },
    contentType: "text/plain",
    body: new Uint8Array(0),
    key: "",
    correlationId: undefined,
    receivedMs: 1_000.5,
    expiresMs: 2_000,
    dedup: { id: "d", windowMs: 5, count: 6 },
  },
};

const entry: OutboxEntry = {
  number: 3 as EntryNumber,
  flow: "orders",
  outlet: "a",
  idempotencyKey: "orders/m/7/0",
  messageId: "m",
  correlationId: "c",
  key: undefined,
  contentType: "",
  headers: {},
  body: new Uint8Array(0),
  committedMs: 4,
  attempt: 1,
  attempts: [],
};

const commit: Commit = {
  sleeping: undefined,
  consumed: [],
  next: undefined,
  kept: [],
  flow: "orders",
  sequence: 7 as Sequence,
  entries: [entry, { ...entry, number: 4 as EntryNumber, key: "k" }],
  state: {
    key: "s",
    version: 3,
    changes: [
      { name: "a", valueJson: "[1]" },
      { name: "b", valueJson: undefined },
    ],
  },
  completedId: {
    dedup: { id: "d", windowMs: 1, count: 2 },
    id: "m",
    reply: { status: 200, contentType: "x", headers: { h: "v" }, body: Buffer.from("yes") },
  },
  nowMs: 4,
};

const sleeping: SleepingLease = {
  ...lease,
  sleeper: {
    imageSha256: "ab".repeat(32),
    sinceMs: 5,
    dueMs: 6,
    transactions: 2,
    waits: [
      { wait: 3, name: "paid", key: "k☂", dueMs: 77, questionJson: undefined },
      { wait: 4, name: "", key: "", dueMs: undefined, questionJson: '{"question":"?","options":[]}' },
    ],
    timers: [{ timer: 1, dueMs: 9 }],
    recording: new Uint8Array(0),
  },
};

const later: OutboxEntry = { ...entry, number: 5 as EntryNumber, dueMs: 9_999 };
const place = { file: "sleepers-0000000000000007.mfj", offset: 520, length: 33 };
const slot = slotOf({ ...sleeping, attempt: 1 }, place, ["blob-s1.mfb"]);
const slots: readonly CapturedSlot[] = [
  { slot, place, failed: undefined, burying: undefined },
  {
    slot: slotOf({ ...sleeping, message: { ...sleeping.message, id: "" } }, place),
    place,
    failed: { attempt: 2, dueMs: 9, attempts: lease.attempts },
    burying: attempt,
  },
];
const asleep: Commit = { ...commit, entries: [entry, later], sleeping, consumed: [5 as SignalNumber, 6 as SignalNumber] };

const signal: KeptSignal = {
  number: 8 as SignalNumber,
  flow: "orders",
  name: "paid",
  key: "k",
  id: "s1",
  source: "api",
  headers: { a: ["1", "2"] },
  contentType: "application/json",
  body: new Uint8Array(0),
  receivedMs: 3,
  keptUntilMs: 4,
  dedup: { id: "s1", windowMs: 5, count: 6 },
};

const body = toUtf8("the body");
const blob = { form: "blob", file: "blob-m7.mfb", length: 1_000_000, crc: 0xdead_beef } as const;

const writers: readonly ((writer: ByteWriter) => void)[] = [
  (writer) => writeMessage(writer, "accept", { lease, burying: undefined, body }),
  (writer) => writeMessage(writer, "pending", { lease, burying: attempt, body: blob }),
  (writer) => writeCommit(writer, commit, { entries: [body, blob], sleeping: undefined, next: undefined }),
  (writer) =>
    writeCommit(
      writer,
      { ...commit, entries: [], state: undefined, completedId: undefined },
      { entries: [], sleeping: undefined, next: undefined },
    ),
  (writer) => writeCommit(writer, asleep, { entries: [body, blob], sleeping: { body, recording: blob, pages: body }, next: undefined }),
  (writer) =>
    writeCommit(
      writer,
      { ...commit, consumed: asleep.consumed, next: lease, kept: [signal] },
      { entries: [body, blob], sleeping: undefined, next: body },
    ),
  (writer) => writeSleeper(writer, { lease: sleeping, bodies: { body: blob, recording: body, pages: undefined } }),
  (writer) => writeAsleep(writer, slots, Number.POSITIVE_INFINITY),
  (writer) => writeSignal(writer, { signal, burying: undefined, body }),
  (writer) => writeSignal(writer, { signal: { ...signal, dedup: undefined }, burying: attempt, body: blob }),
  (writer) => writeBurySignal(writer, { number: signal.number, record: attempt }),
  (writer) => writeEndSignal(writer, { number: signal.number, letter: "orders/x" }),
  (writer) => writeRetry(writer, { flow: "orders", sequence: lease.sequence, dueMs: 5, record: attempt }),
  (writer) => writeBurying(writer, { flow: "orders", sequence: lease.sequence, record: attempt, consumed: [] }),
  (writer) => writeBurying(writer, { flow: "orders", sequence: lease.sequence, record: attempt, consumed: asleep.consumed }),
  (writer) => writeFinish(writer, { flow: "orders", sequence: lease.sequence, letter: "orders/x" }),
  (writer) => writeSettle(writer, { ...entry, letter: undefined }),
  (writer) => writeSendAttempt(writer, "defer", { ...entry, dueMs: 6, record: attempt }),
  (writer) => writeSendAttempt(writer, "burySend", { ...entry, dueMs: 0, record: attempt }),
  (writer) => writeClosed(writer),
  (writer) => writeEntry(writer, { entry, dueMs: 8, entered: true, burying: attempt, body }),
  (writer) => writeEntry(writer, { entry: { ...entry, dueMs: 77 }, dueMs: 0, entered: false, burying: undefined, body }),
  (writer) => writeCompletedId(writer, { flow: "orders", dedupId: "d", id: "m", untilMs: 99, reply: undefined }),
  (writer) => writeState(writer, { flow: "orders", key: "s", version: 4, values: [["a", "1"]] }),
  (writer) => writeEnd(writer, 12),
];

function payloadOf(write: (writer: ByteWriter) => void): Buffer {
  const writer = new ByteWriter(1);
  write(writer);
  return writer.buffer.subarray(0, writer.length);
}

test("records come back as they went in", () => {
  const plain = (value: unknown): unknown => JSON.parse(JSON.stringify(value));
  const [accept, pending, complete] = writers.map((write) => decodeRecord(payloadOf(write)));
  ok(accept?.kind === "accept" && pending?.kind === "pending" && complete?.kind === "complete");
  deepEqual(plain(accept.lease), plain(lease));
  equal(Object.getPrototypeOf(accept.lease.message.headers), Object.prototype);
  equal(accept.lease.message.headers["__proto__"], "x");
  ok(accept.body.form === "inline");
  deepEqual(Uint8Array.from(accept.body.bytes), body);
  const payload = payloadOf(writers[0] ?? (() => undefined));
  deepEqual(Uint8Array.from(payload.subarray(accept.body.offset, accept.body.offset + body.length)), body);
  deepEqual(pending.body, blob);
  deepEqual(plain(pending.burying), plain(attempt));
  deepEqual(plain(complete.commit), plain(commit));
  deepEqual(complete.bodies[1], blob);
  const [transaction, taking, sleeper, lying, kept, buried, burying, ended] = writers
    .slice(4)
    .map((write) => decodeRecord(payloadOf(write)));
  ok(lying?.kind === "asleep");
  deepEqual(
    plain([...lying.slots]),
    plain(slots.map(({ slot: each, failed, burying: begun }) => ({ slot: { ...each, failed }, burying: begun }))),
  );
  ok(transaction?.kind === "transaction" && sleeper?.kind === "sleeper" && kept?.kind === "signal" && buried?.kind === "signal");
  deepEqual(plain(transaction.commit), plain(asleep));
  deepEqual([transaction.sleeping?.bodies.recording, transaction.sleeping?.bodies.pages?.form], [blob, "inline"]);
  deepEqual(plain(sleeper.lease), plain(sleeping));
  deepEqual([sleeper.bodies.body, sleeper.bodies.recording.form, sleeper.bodies.pages], [blob, "inline", undefined]);
  deepEqual([plain(kept.signal), kept.burying], [plain(signal), undefined]);
  deepEqual([plain(buried.burying), buried.body], [plain(attempt), blob]);
  ok(taking?.kind === "transaction" && taking.nextBody?.form === "inline");
  deepEqual([plain(taking.commit.kept), plain(taking.commit.next)], [plain([signal]), plain(lease)]);
  ok(taking?.kind === "transaction" && taking.sleeping === undefined && burying?.kind === "burySignal" && ended?.kind === "endSignal");
  deepEqual(
    [taking.commit.consumed, burying.number, ended.number, ended.letter],
    [asleep.consumed, signal.number, signal.number, "orders/x"],
  );
  const dated = writers.map((write) => decodeRecord(payloadOf(write))).filter((record) => record?.kind === "entry");
  deepEqual(
    dated.map(({ entry: each, entered }) => [each.dueMs, entered]),
    [
      [undefined, true],
      [77, false],
    ],
  );
  for (const [index, write] of writers.entries()) ok(decodeRecord(payloadOf(write)) !== undefined, `record ${index}`);
});

test("a record of slots ends before it is longer than asked, with one slot at least", () => {
  const counts = [0, 1e3, 1e6].map((mostBytes) => {
    const writer = new ByteWriter(1);
    const written = writeAsleep(writer, [...slots, ...slots], mostBytes);
    const record = decodeRecord(writer.buffer.subarray(0, writer.length));
    ok(record?.kind === "asleep" && record.slots.length === written);
    ok(written === 1 || writer.length <= mostBytes);
    return written;
  });
  deepEqual(counts, [1, 3, 4]);
});

test("a burial comes back with the signals it takes, and without them as in version 1", () => {
  const burials = writers.flatMap((write) => {
    const record = decodeRecord(payloadOf(write));
    return record?.kind === "burying" ? [[payloadOf(write)[0], record.consumed]] : [];
  });
  deepEqual(burials, [
    [4, []],
    [14, asleep.consumed],
  ]);
});

const hash = new SeededHash();

/** Reads all of it; the parts must be those of the whole. */
function lookAt(pack: AsleepPack): void {
  const marked: number[] = [];
  for (const [at, { slot: each }] of [...pack].entries()) {
    deepEqual(
      [pack.id(at), pack.waits(at), pack.sequence(at), pack.flow(at), pack.imageSha256(at), pack.dueMs(at), pack.stored(at)],
      [each.id, each.waits, each.sequence, each.flow, each.imageSha256, each.dueMs, each.stored],
    );
    if (each.headers !== undefined || each.blobs.length > 0) marked.push(at);
    equal([...pack.waitHashes(at, hash, 3)].length, each.waits.length);
    ok(Number.isInteger(pack.idHash(at, hash, 3)) && pack.bytes(at) >= 53);
  }
  deepEqual(pack.marked, marked);
}

test("a slot of a record is found by the hash of its id and its waits, and can be moved", () => {
  const text = fc.string({ unit: fc.constantFrom("a", "ü", "☂", "\0", "😀"), maxLength: 70 });
  fc.assert(
    fc.property(fc.array(fc.record({ id: text, waits: fc.array(text, { maxLength: 3 }) }), { minLength: 1, maxLength: 5 }), (given) => {
      const captured = given.map(({ id, waits }, index) => {
        const each = { ...slot, sequence: (2 ** 40 + index) as Sequence, id, waits: waits.map((wait) => `${slot.flow}\0${wait}`) };
        return { slot: each, place, failed: undefined, burying: undefined };
      });
      const record = decodeRecord(payloadOf((writer) => writeAsleep(writer, captured, Number.POSITIVE_INFINITY)));
      ok(record?.kind === "asleep" && record.slots.length === given.length);
      const pack = record.slots.kept();
      lookAt(pack);
      for (const [at, { id, waits }] of given.entries()) {
        equal(pack.idHash(at, hash, 9), hash.ofText(id, 9));
        deepEqual(
          [...pack.waitHashes(at, hash, 9)],
          waits.map((wait) => hash.ofText(wait, 9)),
        );
        const moved = { file: `sleepers-${at}`, offset: 2 ** 35 + at, length: at };
        pack.store(at, moved);
        deepEqual(pack.slot(at), { ...captured[at]?.slot, stored: moved });
      }
      lookAt(pack);
    }),
  );
});

test("a record that is cut, longer or changed is refused or read as another record, never thrown on", () => {
  const random = prng(20_260_101);
  for (const write of writers) {
    const payload = payloadOf(write);
    for (let length = 0; length < payload.length; length++) equal(decodeRecord(payload.subarray(0, length)), undefined, `cut to ${length}`);
    equal(decodeRecord(Buffer.concat([payload, Buffer.from([0])])), undefined);
    for (let round = 0; round < 3_000; round++) {
      const changed = Buffer.from(payload);
      for (let changes = 1 + random.below(4); changes > 0; changes--) changed[random.below(changed.length)] = random.below(256);
      const record = decodeRecord(changed);
      if (record?.kind === "asleep") lookAt(record.slots);
    }
  }
  for (let round = 0; round < 20_000; round++) decodeRecord(Buffer.from(Array.from({ length: random.below(60) }, () => random.below(256))));
});

test("a reader that ran out of bytes gives empty values and says so", () => {
  const reader = new ByteReader(Uint8Array.of(255, 255, 255, 127));
  deepEqual(
    [reader.text(), reader.number(), reader.u8(), reader.items(8), [...reader.bytes()], reader.valid, reader.done],
    ["", 0, 0, 0, [], false, false],
  );
});

const counters = { sequence: 5, token: 6, entry: 7 };

function fileOf(bytes: Buffer): DiskFile {
  const never = async (): Promise<never> => Promise.reject(new Error("not in this test"));
  return {
    name: "x",
    read: async (into, at) => bytes.copy(into, 0, at),
    size: async () => bytes.length,
    write: never,
    sync: never,
    isLinked: () => true,
    truncate: never,
    close: never,
  };
}

/** A file with one batch of the records above. */
function oneBatch(salt: number): Buffer {
  const batch = new BatchBuffer(new ByteWriter(16));
  for (const write of writers) batch.add(write, 1e6);
  batch.writer.pad(sectorBytes);
  const { buffer, length } = batch.writer;
  putFileHeader(buffer, { version: 1, kind: "segment", salt, number: 3, previous: 2, previousEnd: 1024, createdMs: 5, firstBatch: 9 });
  const header = { bytes: batch.bytes, records: batch.records, mix: batch.mix, number: 9, counters, timeMs: 5 };
  putBatchHeader(buffer.subarray(fileHeaderBytes), header, salt, fileHeaderBytes);
  return Buffer.from(buffer.subarray(0, length));
}

test("a batch is read whole, and refused when one bit of it changes, or when it stands elsewhere", async () => {
  const bytes = oneBatch(42);
  const reader = (of: Buffer): BatchReader => new BatchReader(fileOf(of), of.length, Buffer.alloc(64));
  const read = await reader(bytes).batchAt(fileHeaderBytes, 42);
  equal(read.batch?.payloads.length, writers.length);
  deepEqual(getFileHeader(bytes)?.number, 3);
  equal((await reader(bytes).batchAt(fileHeaderBytes, 43)).batch, undefined);
  const elsewhere = Buffer.concat([bytes.subarray(0, fileHeaderBytes), Buffer.alloc(sectorBytes), bytes.subarray(fileHeaderBytes)]);
  equal((await reader(elsewhere).batchAt(fileHeaderBytes + sectorBytes, 42)).batch, undefined);
  const used = fileHeaderBytes + 64 + (read.batch?.header.bytes ?? 0);
  for (let at = fileHeaderBytes; at < used; at++) {
    const changed = Buffer.from(bytes);
    changed[at] = (changed[at] ?? 0) ^ (1 << (at % 8));
    equal((await reader(changed).batchAt(fileHeaderBytes, 42)).batch, undefined, `byte ${at}`);
  }
  for (let length = 0; length < bytes.length; length += 7) {
    const cut = bytes.subarray(0, length);
    if (length >= fileHeaderBytes) equal((await reader(cut).batchAt(fileHeaderBytes, 42)).batch, undefined, `cut at ${length}`);
    else equal(await reader(cut).header(), undefined);
  }
});

test("random bytes are never a header", () => {
  const random = prng(7);
  for (let round = 0; round < 5_000; round++) {
    const bytes = Buffer.from(Array.from({ length: 64 }, () => random.below(256)));
    bytes.writeUInt32LE(0x42_59_46_4d, 0);
    equal(getBatchHeader(bytes, 1, 512), undefined);
    equal(getFileHeader(bytes), undefined);
  }
});
