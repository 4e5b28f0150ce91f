/** The bytes of one batch while records are added to it, for the log and for checkpoints. */
import { crc32 } from "node:zlib";
import { CodedError } from "#base";
import { batchHeaderBytes, fileHeaderBytes, mixCrc, recordHeaderBytes } from "./batch.ts";
import type { ByteWriter } from "../format/bytes.ts";

/** Records gathered for one write. */
export class BatchBuffer {
  readonly writer: ByteWriter;
  /** Of the records, without headers before and zeros after them. */
  bytes = 0;
  records = 0;
  mix = 0;

  constructor(writer: ByteWriter) {
    this.writer = writer;
    writer.length = fileHeaderBytes + batchHeaderBytes; // room for both headers before the records
  }

  /** Adds a record and gives where its payload begins in the buffer. Throws MF_JOURNAL_RECORD or MF_JOURNAL_RECORD_LIMIT; then nothing is added. */
  add(encode: (writer: ByteWriter) => void, mostBytes: number): number {
    const { writer } = this;
    const start = writer.length + recordHeaderBytes;
    writer.reserve(recordHeaderBytes);
    writer.length = start;
    try {
      encode(writer);
      if (writer.length - start > mostBytes) throw new RecordTooLong(writer.length - start);
    } catch (error) {
      writer.length = start - recordHeaderBytes;
      throw error instanceof RecordTooLong ? error : unwritable(error);
    }
    const crc = crc32(writer.buffer.subarray(start, writer.length));
    writer.buffer.writeUInt32LE(writer.length - start, start - recordHeaderBytes);
    writer.buffer.writeUInt32LE(crc, start - 4);
    this.mix = mixCrc(this.mix, crc);
    this.records += 1;
    this.bytes = writer.length - fileHeaderBytes - batchHeaderBytes;
    return start;
  }
}

function unwritable(cause: unknown): CodedError {
  const why = cause instanceof Error ? cause.message : String(cause);
  return new CodedError("MF_JOURNAL_RECORD", `a record of the journal can't be written (${why}): please report it`, { cause });
}

export class RecordTooLong extends CodedError {
  readonly bytes: number;
  constructor(bytes: number) {
    super("MF_JOURNAL_RECORD_LIMIT", `a record of ${bytes} bytes is too long for the journal: send less, or fewer headers`);
    this.bytes = bytes;
  }
}
