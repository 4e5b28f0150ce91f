/** The frames of the channel, as kernel/drivers/serve.ts describes them. What comes from the guest is hostile. */
import { hardLimits } from "#abi";
import { concatBytes } from "#base";

export const frameMagic = 0x4843464d; // "MFCH"
export const frameHeadBytes = 16;

export const toGuest = { start: 1, step: 2, interrupt: 3, drop: 4, check: 5, stop: 6 } as const;
export const fromGuest = { ready: 16, complete: 17, interrupted: 18, escaped: 19, noMemory: 20, lied: 21, checked: 22 } as const;

export interface GuestFrame {
  readonly kind: number;
  readonly argument: number;
  readonly body: Uint8Array;
}

export function guestHead(kind: number, slot: number, length: number, argument: number): Uint8Array {
  const head = new Uint8Array(frameHeadBytes);
  const view = new DataView(head.buffer);
  view.setUint32(0, frameMagic, true);
  view.setUint16(4, kind, true);
  view.setUint16(6, slot, true);
  view.setUint32(8, length, true);
  view.setUint32(12, argument, true);
  return head;
}

/**
 * Puts frames together from whatever pieces they come in. Holds one frame at most; `take` reports a malformed stream.
 */
export class FrameReader {
  #parts: Uint8Array[] = [];
  #held = 0;
  #wanted = frameHeadBytes;
  #head: DataView | undefined;

  push(bytes: Uint8Array): void {
    this.#parts.push(bytes);
    this.#held += bytes.length;
  }

  /** Bytes that belong to no complete frame yet. */
  get held(): number {
    return this.#held;
  }

  #join(): Uint8Array {
    const joined = this.#parts.length === 1 ? (this.#parts[0] as Uint8Array) : concatBytes(this.#parts);
    this.#parts = [joined];
    return joined;
  }

  #keep(rest: Uint8Array): void {
    this.#parts = rest.length === 0 ? [] : [rest];
    this.#held = rest.length;
  }

  /** The next complete frame, undefined while it is incomplete, or a sentence about what came instead. */
  take(): GuestFrame | string | undefined {
    if (this.#held < this.#wanted) return undefined;
    if (this.#head === undefined) {
      const bytes = this.#join();
      const head = new DataView(bytes.buffer, bytes.byteOffset, frameHeadBytes);
      if (head.getUint32(0, true) !== frameMagic) return "the guest sent a malformed frame";
      const length = head.getUint32(8, true);
      if (length > hardLimits.frameBytes) return `the guest announces a frame of ${length} bytes`;
      this.#head = head;
      this.#wanted = frameHeadBytes + length;
      if (this.#held < this.#wanted) return undefined;
    }
    const bytes = this.#join();
    const frame = {
      kind: this.#head.getUint32(4, true),
      argument: this.#head.getUint32(12, true),
      body: bytes.slice(frameHeadBytes, this.#wanted),
    };
    this.#keep(bytes.subarray(this.#wanted));
    this.#head = undefined;
    this.#wanted = frameHeadBytes;
    return frame;
  }
}
