/**
 * The file that a dead letter keeps beside its body (`NAME.asleep`): the machine that slept, and the signals its last transaction was given.
 *
 *   u32 magic "MFYA" │ u32 version │ record │ record │ …          record: u32 length │ u32 crc │ payload (format/record.ts)
 *
 * The first record is the `sleeper`, if there is one, without its message's body; `signal` records follow, with theirs.
 */
import { crc32 } from "node:zlib";
import { CodedError } from "#base";
import { ByteWriter } from "./format/bytes.ts";
import { decodeRecord } from "./format/records.ts";
import { writeSignal, writeSleeper } from "./format/sleep-records.ts";
import type { KeptSignal } from "./journal.ts";
import type { SleepingLease } from "./slot.ts";

const magic = 0x41_59_46_4d; // "MFYA"
const version = 1;
const headerBytes = 8;
const nothing = new Uint8Array(0);

/** Both whole: their bodies are in memory. */
export interface AsleepLetter {
  readonly lease: SleepingLease | undefined;
  readonly signals: readonly KeptSignal[];
}

export function encodeAsleep({ lease, signals }: AsleepLetter): Uint8Array {
  const writer = new ByteWriter(1024);
  writer.u32(magic);
  writer.u32(version);
  const add = (encode: () => void): void => {
    const start = writer.length;
    writer.u32(0);
    writer.u32(0);
    encode();
    const payload = writer.buffer.subarray(start + headerBytes, writer.length);
    writer.buffer.writeUInt32LE(payload.length, start);
    writer.buffer.writeUInt32LE(crc32(payload), start + 4);
  };
  if (lease !== undefined) {
    const { recording, pages } = lease.sleeper;
    add(() => writeSleeper(writer, { lease, bodies: { body: nothing, recording, pages } }));
  }
  for (const signal of signals) add(() => void writeSignal(writer, { signal, burying: undefined, body: signal.body }));
  return writer.buffer.subarray(0, writer.length);
}

/** Throws MF_DEAD_LETTER_DAMAGED. The sleeper's message has no body: it is the letter's. */
export function decodeAsleep(id: string, bytes: Uint8Array): AsleepLetter {
  const view = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const signals: KeptSignal[] = [];
  let lease: SleepingLease | undefined;
  if (view.length < headerBytes || view.readUInt32LE(0) !== magic || view.readUInt32LE(4) !== version) throw damaged(id);
  for (let at = headerBytes; at < view.length; ) {
    if (at + headerBytes > view.length) throw damaged(id);
    const end = at + headerBytes + view.readUInt32LE(at);
    const payload = view.subarray(at + headerBytes, end);
    if (end > view.length || crc32(payload) !== view.readUInt32LE(at + 4)) throw damaged(id);
    const record = decodeRecord(payload);
    if (record?.kind === "signal" && record.body.form === "inline") {
      const body = Uint8Array.from(record.body.bytes); // it may be kept for long, the file must not
      signals.push({ ...record.signal, body });
    } else if (record?.kind === "sleeper" && lease === undefined && record.bodies.recording.form === "inline") {
      const { recording, pages } = record.bodies;
      const sleeper = { ...record.lease.sleeper, recording: recording.bytes, pages: pages?.form === "inline" ? pages.bytes : undefined };
      lease = { ...record.lease, sleeper };
    } else throw damaged(id);
    at = end;
  }
  return { lease, signals };
}

function damaged(id: string): CodedError {
  return new CodedError(
    "MF_DEAD_LETTER_DAMAGED",
    `the sleeping machine of the dead letter ${id} can't be read (${id}.asleep): put back that file from a copy, or send the message again as a new one`,
  );
}
