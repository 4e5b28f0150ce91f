/** Bounds what mysql2 holds of a server's packets. */
import { CodedError } from "#base";
import type { Connection } from "mysql2";
import { LongFrames } from "../shared/long-frames.ts";
import { longRow, type RowBound } from "../shared/sql-rows.ts";
import { mysqlLimits } from "./limits.ts";

interface Parser {
  execute(chunk: Buffer): void;
}

/** Undeclared members of a connection: mysql2 gives all that it receives, decrypted, to its parser. */
interface Insides {
  packetParser?: Parser;
  write?: (packet: Buffer) => void;
  readonly stream?: { destroy(error: Error): void };
}

const fullPart = 0xff_ff_ff;

/**
 * Packet: length in 24 bits, number within the exchange, content. A packet of `fullPart` bytes goes on in the next one. (MySQL's
 * documentation, "MySQL Packets".)
 */
export class BoundedPackets {
  readonly #bound: RowBound;
  /** Rows are coming, and may be long. */
  rowsCome = false;
  /** Rows that were left out. */
  leftOut = 0;
  /** Packets left out of the exchange in progress: later ones are numbered as if they had not been. */
  #gap = 0;
  /** Bytes of the parts so far of the packet in progress; 0 between packets. */
  #before = 0;
  #leaving = false;
  #ended = false;

  /** Throws MF_MYSQL_CLIENT if this mysql2 can't be bounded. */
  constructor(client: Connection, bound: RowBound) {
    this.#bound = bound;
    const insides = client as unknown as Insides;
    const { packetParser: parser, write } = insides;
    if (typeof parser?.execute !== "function" || typeof write !== "function") throw missingClient();
    insides.write = (packet) => {
      this.#gap = 0;
      write.call(client, packet);
    };
    const frames = new LongFrames(
      {
        headerBytes: 4,
        isFree: (bytes) => this.#before === 0 && bytes <= mysqlLimits.messageBytes,
        rest: (chunk, at) => this.#rest(chunk, at),
        passes: (_chunk, _at, bytes) => this.#passes(bytes),
      },
      (piece) => parser.execute(piece),
    );
    insides.packetParser = {
      execute: (chunk) => {
        if (this.#ended) return;
        try {
          frames.take(chunk);
        } catch (error) {
          this.#ended = true;
          insides.stream?.destroy(error as Error);
        }
      },
    };
  }

  #rest(chunk: Buffer, at: number): number {
    const number = chunk[at + 3] ?? 0;
    chunk[at + 3] = (number - this.#gap) & 0xff;
    return chunk.readUIntLE(at, 3);
  }

  /** A row in several parts is left out from its first one on: its length is known only with the last. */
  #passes(bytes: number): boolean {
    const { rowBytes, leaveOut } = this.#bound;
    const whole = this.#before + bytes;
    const goesOn = bytes === fullPart;
    if (!this.rowsCome) throw new Error(`the server sent a packet of ${whole} bytes that is no row`);
    if (!leaveOut && whole > rowBytes) throw longRow(rowBytes);
    if (leaveOut && this.#before === 0 && (goesOn || whole > rowBytes)) {
      this.#leaving = true;
      this.leftOut += 1;
    }
    this.#before = goesOn ? whole : 0;
    if (!this.#leaving) return true;
    this.#gap += 1;
    this.#leaving = goesOn;
    return false;
  }
}

export function missingClient(cause?: unknown): CodedError {
  const text = "the MySQL client is not installed, or not of version 3: run `npm install mysql2@3` beside mayfly";
  return new CodedError("MF_MYSQL_CLIENT", text, { cause });
}
