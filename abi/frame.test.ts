/** The wire form byte by byte, and each way in which a frame can be wrong on its own. */
import { deepEqual, equal, ok, throws } from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { decodeFrame, encodeFrame, encodeRecordInto, frameMagic, lastRecordKind, type PartRecord } from "./frame.ts";
import { abiVersion, defaultFlowLimits, hardLimits } from "./limits.ts";

const text = new TextEncoder();

/** "MFY" and the version, length, then one record of kind 7: a text, an absent part, a flag and a number. */
const golden = Uint8Array.of(
  ...[0x4d, 0x46, 0x59, abiVersion, 39, 0, 0, 0],
  ...[7, 4, 0, 0],
  ...[2, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 1, 0, 0, 0, 8, 0, 0, 0],
  ...[0x68, 0xc3, 1],
  ...[0, 0, 0, 0, 0, 0, 0xf8, 0x3f],
);
const parts = [Uint8Array.of(0x68, 0xc3), undefined, true, 1.5] as const;

function only(frame: Uint8Array): PartRecord {
  const decoded = decodeFrame(frame);
  ok(decoded.ok, JSON.stringify(decoded));
  equal(decoded.value.length, 1);
  return decoded.value[0] as PartRecord;
}

function refusal(frame: Uint8Array): string {
  const decoded = decodeFrame(frame);
  return decoded.ok ? "" : decoded.error;
}

/** The golden frame with bytes changed, by offset. */
function changed(bytes: Readonly<Record<number, number>>): Uint8Array {
  const frame = golden.slice();
  for (const [at, value] of Object.entries(bytes)) frame[Number(at)] = value;
  return frame;
}

test("a frame's bytes are those of the document, however it is written", () => {
  deepEqual(encodeFrame([{ kind: 7, parts }]), golden);
  const target = Buffer.alloc(100);
  equal(encodeRecordInto(target, 7, parts), golden.length);
  deepEqual(new Uint8Array(target.subarray(0, golden.length)), golden);
  deepEqual([...encodeFrame([{ kind: 1, parts: [false] }])].at(-1), 0);
  equal(encodeRecordInto(target, 1, [false]), 17);
  equal(target[16], 0);
});

test("a record that just fits is written in place, and one byte less is refused", () => {
  const cases: readonly (readonly [number, readonly (Uint8Array | string | number | boolean | undefined)[]])[] = [
    [16, [undefined]],
    [17, [true]],
    [24, [2]],
    [19, [Uint8Array.of(1, 2, 3)]],
    [22, ["ab"]], // room for three bytes for each UTF-16 unit
  ];
  for (const [room, given] of cases) {
    ok(encodeRecordInto(Buffer.alloc(room), 1, given) > 0, `${room}`);
    equal(encodeRecordInto(Buffer.alloc(room - 1), 1, given), -1, `${room}`);
  }
});

test("parts are read by their types; one that is absent or of another size makes its record misshapen", () => {
  const record = only(golden);
  equal(record.kind, 7);
  deepEqual(
    record.parts.map((part) => part?.length),
    [2, undefined, 1, 8],
  );
  deepEqual([record.absent(0), record.absent(1), record.absent(4)], [false, true, true]);
  deepEqual([record.flag(2), record.byte(2), record.number(3)], [true, 1, 1.5]);
  deepEqual([...record.bytes(0)], [0x68, 0xc3]);
  equal(record.optionalText(1, 10), undefined);
  ok(record.valid);
  const reads: readonly ((record: PartRecord) => unknown)[] = [
    (each) => each.number(1),
    (each) => each.number(0),
    (each) => each.byte(1),
    (each) => each.byte(0),
    (each) => each.count(3, 10), // 1.5
    (each) => each.text(1, 10),
    (each) => each.bytes(1),
    (each) => each.text(0, 1),
    (each) => each.expect(3),
  ];
  for (const read of reads) {
    const fresh = only(golden);
    const value = read(fresh);
    equal(fresh.valid, false, String(read));
    if (typeof value === "number" && String(read) !== String(reads[3])) equal(value, 0, String(read));
  }
  for (const value of [Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY]) {
    const fresh = only(encodeFrame([{ kind: 1, parts: [value] }]));
    deepEqual([fresh.number(0), fresh.valid], [0, false], `${value}`);
  }
  const whole = only(encodeFrame([{ kind: 1, parts: [3] }]));
  equal(whole.count(0, 3), 3);
  ok(whole.valid);
  equal(whole.count(0, 2), 0);
  equal(whole.valid, false);
});

test("each field of a frame that is wrong is named", () => {
  const wrong: readonly (readonly [Uint8Array, string])[] = [
    [golden.subarray(0, 7), "frame: shorter than its header"],
    [changed({ 0: 0 }), "frame: wrong magic or version"],
    [changed({ 3: abiVersion + 1 }), "frame: wrong magic or version"],
    [changed({ 4: 38 }), "frame: its length field is wrong"],
    [changed({ 10: 1 }), "record: reserved bytes are not zero"],
    [changed({ 11: 1 }), "record: reserved bytes are not zero"],
    [changed({ 9: hardLimits.partsPerRecord + 1 }), "record: too many parts"],
    [changed({ 9: hardLimits.partsPerRecord }), "record: cut short"],
    [changed({ 24: 9 }), "part: longer than its frame"],
  ];
  for (const [frame, error] of wrong) equal(refusal(frame), error);
  const two = encodeFrame([
    { kind: 1, parts: [] },
    { kind: 2, parts: [] },
  ]);
  const cut = two.slice(0, -1);
  cut[4] = cut.length;
  equal(refusal(cut), "record: cut short");
  equal(lastRecordKind(two), 2);
  equal(lastRecordKind(cut), undefined);
  equal(lastRecordKind(changed({ 24: 9 })), undefined);
  equal(lastRecordKind(changed({ 24: 7 })), undefined);
  equal(lastRecordKind(golden.subarray(0, 7)), undefined);
  equal(lastRecordKind(changed({ 4: 38 })), undefined);
  equal(lastRecordKind(golden), 7);
  equal(lastRecordKind(encodeFrame([])), 0);
  equal(frameMagic & 0xff_ffff, 0x59_46_4d);
});

test("a record of the most parts and a frame of the most bytes are written; more is our own fault", () => {
  const most = Array.from({ length: hardLimits.partsPerRecord }, () => true);
  equal(only(encodeFrame([{ kind: 1, parts: most }])).parts.length, hardLimits.partsPerRecord);
  throws(() => encodeFrame([{ kind: 1, parts: [...most, true] }]), /too many parts/);
  const longest = new Uint8Array(hardLimits.frameBytes - 16);
  equal(encodeFrame([{ kind: 1, parts: [longest] }]).length, hardLimits.frameBytes);
  throws(() => encodeFrame([{ kind: 1, parts: [longest, true] }]), /longer than the ABI allows/);
});

test("short texts are told apart wherever they stand, up to the length of those that are remembered", () => {
  for (const length of [1, 31, 32, 33]) {
    const first = "a".repeat(length);
    const second = `${"a".repeat(length - 1)}b`;
    for (const each of [first, second, first])
      equal(only(encodeFrame([{ kind: 1, parts: [text.encode(each)] }])).text(0, 100), each, `${length}`);
  }
});

test("the limits are those of docs/ABI.md", () => {
  const document = readFileSync(fileURLToPath(new URL("../../docs/ABI.md", import.meta.url)), "utf8").replace(/\s+/g, " ");
  const kib = 1024;
  const mib = 1024 * kib;
  const said: readonly (readonly [string, number, number])[] = [
    ["frame 64 MiB", hardLimits.frameBytes, 64 * mib],
    ["100,000 effects a step", hardLimits.effectsPerStep, 100_000],
    ["16 parts a record", hardLimits.partsPerRecord, 16],
    ["names 256 bytes", hardLimits.nameBytes, 256],
    ["keys 1 KiB", hardLimits.keyBytes, kib],
    ["headers 64 KiB", hardLimits.headersBytes, 64 * kib],
    ["one log text 16 KiB", hardLimits.logTextBytes, 16 * kib],
    ["error texts 16 KiB each", hardLimits.errorTextBytes, 16 * kib],
    ["questions 16 KiB", hardLimits.questionBytes, 16 * kib],
    ["windows 256 KiB", hardLimits.windowBytes, 256 * kib],
    ["positions 32 KiB", hardLimits.positionBytes, 32 * kib],
    ["sleeps 3,660 days", hardLimits.sleepMs, 3660 * 86_400_000],
    ["seeds 32 bytes", hardLimits.seedBytes, 32],
    ["a machine's memory 256 MiB", hardLimits.memoryBytes, 256 * mib],
    ["A recording has at most 256 MiB and 1,000,000 records", hardLimits.recordingBytes, 256 * mib],
    ["A recording has at most 256 MiB and 1,000,000 records", hardLimits.recordingRecords, 1_000_000],
    ["memory 64 MiB", defaultFlowLimits.memoryBytes, 64 * mib],
    ["CPU 500 ms a step", defaultFlowLimits.cpuMs, 500],
    ["time 30 s", defaultFlowLimits.timeMs, 30_000],
    ["10,000 sends", defaultFlowLimits.sends, 10_000],
    ["256 KiB of log", defaultFlowLimits.logBytes, 256 * kib],
  ];
  for (const [sentence, is, should] of said) {
    ok(document.includes(sentence), `docs/ABI.md should say "${sentence}"`);
    equal(is, should, sentence);
  }
});
