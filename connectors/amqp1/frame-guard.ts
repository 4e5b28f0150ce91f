/**
 * Bytes from a broker, checked before the client library sees them: they are split into frames, each well formed and within the bounds that
 * the broker was told.
 * The library itself believes a frame that claims four gigabytes, and a list that claims four billion elements.
 */
import { amqp1Limits } from "./limits.ts";
import { BadEncoding, Described, Reader } from "./values.ts";

/** Of a protocol header, and of a frame's. */
const headerBytes = 8;
const magic = "AMQP";
/** Descriptor of `transfer` (part 2.7.5), and the places of two of its fields. */
const transferCode = 0x14;
const moreField = 5;
const abortedField = 9;

const isTransfer = (descriptor: unknown): boolean => descriptor === transferCode || descriptor === "amqp:transfer:list";

export class FrameGuard {
  readonly #forward: (frame: Buffer) => void;
  readonly #mostBytes: number;
  #waiting: Buffer[] = [];
  #waitingBytes = 0;
  #neededBytes = headerBytes;
  /** Payload of the message that is coming. */
  #messageBytes = 0;
  /** The message that came last was longer than may be: what is beyond the bound was left out. */
  isCut = false;

  /** `forward` gets one frame, or protocol header, at a time. */
  constructor(forward: (frame: Buffer) => void, mostBytes: number = amqp1Limits.messageBytes) {
    this.#forward = forward;
    this.#mostBytes = mostBytes;
  }

  /** Throws BadEncoding; nothing that comes after it can be read. */
  take(chunk: Buffer): void {
    this.#waiting.push(chunk);
    this.#waitingBytes += chunk.length;
    while (this.#waitingBytes >= this.#neededBytes) {
      const bytes = this.#waiting.length === 1 ? (this.#waiting[0] as Buffer) : Buffer.concat(this.#waiting);
      const sizeBytes = sizeOf(bytes);
      this.#neededBytes = sizeBytes;
      this.#waiting = [bytes];
      if (bytes.length < sizeBytes) return;
      this.#neededBytes = headerBytes;
      this.#waiting = bytes.length === sizeBytes ? [] : [bytes.subarray(sizeBytes)];
      this.#waitingBytes -= sizeBytes;
      this.#forward(this.#checked(bytes.subarray(0, sizeBytes)));
    }
  }

  #checked(frame: Buffer): Buffer {
    if (frame.toString("latin1", 0, 4) === magic) return frame;
    const startsAt = frame.readUInt8(4) * 4;
    if (startsAt < headerBytes || startsAt > frame.length) throw new BadEncoding("a frame begins beyond its end");
    if (startsAt === frame.length) return frame; // a heartbeat
    const reader = new Reader(frame.subarray(startsAt));
    const performative = reader.value();
    if (!(performative instanceof Described) || !Array.isArray(performative.value)) throw new BadEncoding("a frame has no performative");
    return isTransfer(performative.descriptor) ? this.#transfer(frame, startsAt + reader.at, performative.value) : frame;
  }

  #transfer(frame: Buffer, payloadAt: number, fields: readonly unknown[]): Buffer {
    // The library would take what came so far for the whole message.
    if (fields[abortedField] === true) throw new BadEncoding("the broker has given up a message that it had begun to send");
    this.#messageBytes += frame.length - payloadAt;
    const isLong = this.#messageBytes > this.#mostBytes;
    if (fields[moreField] !== true) {
      this.isCut = isLong;
      this.#messageBytes = 0;
    }
    if (!isLong) return frame;
    const head = Buffer.from(frame.subarray(0, payloadAt));
    head.writeUInt32BE(payloadAt, 0);
    return head;
  }
}

function sizeOf(bytes: Buffer): number {
  if (bytes.toString("latin1", 0, 4) === magic) return headerBytes;
  const size = bytes.readUInt32BE(0);
  if (size < headerBytes || size > amqp1Limits.frameBytes)
    throw new BadEncoding(`a frame claims ${size} bytes, and at most ${amqp1Limits.frameBytes} are agreed`);
  return size;
}
