/** A connection of pg that holds no message of the server beyond a bound. */
import pg from "pg";
import { LongFrames } from "../shared/long-frames.ts";
import { longRow, type RowBound } from "../shared/sql-rows.ts";
import { copyData, type CopyFrames } from "./copy-frames.ts";
import { postgresLimits } from "./limits.ts";

const dataRow = 0x44; // "D"

/** Message: type, one byte; length in 32 bits, itself included; content. (PostgreSQL's documentation, "Message Formats".) */
export class BoundedConnection extends pg.Connection {
  readonly #bound: RowBound;
  readonly #copies: CopyFrames | undefined;
  /** Of pg, and not in its types. */
  declare readonly sendCopyFromChunk: (chunk: Buffer) => void;
  declare readonly endCopyFrom: () => void;
  /** Rows that were left out. */
  leftOut = 0;

  /** `copies` gets CopyData, and bounds it. */
  constructor(config: pg.ConnectionConfig, bound: RowBound, copies?: CopyFrames) {
    super(config);
    this.#bound = bound;
    this.#copies = copies;
  }

  /** Called by pg with the socket, or with the one in it that decrypts. */
  attachListeners(stream: pg.Connection["stream"]): void {
    const on = (event: string, listener: (chunk: Buffer) => void): unknown => {
      if (event !== "data") return stream.on(event, listener);
      const copies = this.#copies;
      const frames = new LongFrames(
        {
          headerBytes: 5,
          isFree: (bytes) => bytes <= postgresLimits.messageBytes,
          rest: (chunk, at) => restOf(chunk.readUInt32BE(at + 1)),
          passes: (chunk, at, bytes) => this.#passes(chunk[at], bytes),
        },
        copies === undefined ? listener : (piece) => copies.take(piece, listener),
      );
      return stream.on("data", (chunk: Buffer) => {
        if (stream.destroyed) return;
        try {
          frames.take(chunk);
        } catch (error) {
          stream.destroy(error as Error); // nobody would catch it, nor what pg's parser throws
        }
      });
    };
    (pg.Connection.prototype as unknown as BoundedConnection).attachListeners.call(this, { on } as unknown as pg.Connection["stream"]);
  }

  #passes(type: number | undefined, bytes: number): boolean {
    if (type === copyData && this.#copies !== undefined) return true;
    if (type !== dataRow) throw new Error(`the server sent a message of ${bytes} bytes that is no row`);
    const { rowBytes, leaveOut } = this.#bound;
    if (bytes <= rowBytes) return true;
    if (!leaveOut) throw longRow(rowBytes);
    this.leftOut += 1;
    return false;
  }
}

function restOf(length: number): number {
  if (length < 4) throw new Error(`the server sent a message of ${length} bytes`);
  return length - 4;
}
