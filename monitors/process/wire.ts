/**
 * The protocol on the two streams of a machine process. Little endian; kernel/platform-linux/main.ts is the other side.
 *
 *   request  u32 "MFRQ" │ operation │ number │ length of the frame │ memory limit, 64 KiB pages │ CPU limit, ms │ berth │ 1 to stay   then the event's frame
 *   answer   u32 "MFAN" │ number │ status │ length of the frame │ CPU time, µs │ 1 if kept │ pages held for waiting machines │ 0   then the effects'
 *
 * Requests are answered in their order, except `drop`, which has no answer. The first answer is a greeting, numbered `greeting`.
 * A machine is replayed by `start` and `next`s that follow each other: all but the last let it stay in the memory.
 * A berth is where a process keeps a machine that waits: the monitor hands them out, so that neither side searches.
 * An answer is hostile input: the process may be compromised.
 */
import { hardLimits } from "#abi";

export const operation = { start: 1, step: 2, drop: 3, next: 4 } as const;
export type Operation = (typeof operation)[keyof typeof operation];

/** Flags of an answer. `missing`: the berth was empty; in the greeting: the kernel does not tell which pages were written. */
export const statuses = ["complete", "interrupted", "escaped", "no-memory", "compromised", "missing"] as const;
export type AnswerStatus = (typeof statuses)[number];

export const headerBytes = 32;
export const greeting = 0xffff_ffff;
export const noBerth = 0xffff_ffff;
/** Machines that may wait in one process (`mostBerths` in kernel/platform-linux/pristine.ts). */
export const berthsPerProcess = 4096;

const requestMagic = 0x51_52_46_4d;
const answerMagic = 0x4e_41_46_4d;

export interface Request {
  readonly operation: Operation;
  readonly number: number;
  readonly limitPages: number;
  readonly cpuMs: number;
  readonly berth: number;
  /** Leaves a machine that waits in the memory, for a `next`. */
  readonly stay?: boolean;
}

export function requestHeader(request: Request, frameBytes: number): Uint8Array {
  const header = new Uint8Array(headerBytes);
  const view = new DataView(header.buffer);
  view.setUint32(0, requestMagic, true);
  view.setUint32(4, request.operation, true);
  view.setUint32(8, request.number, true);
  view.setUint32(12, frameBytes, true);
  view.setUint32(16, request.limitPages, true);
  view.setUint32(20, Math.min(request.cpuMs, 0xffff_ffff), true);
  view.setUint32(24, request.berth, true);
  view.setUint32(28, request.stay === true ? 1 : 0, true);
  return header;
}

export interface Answer {
  readonly number: number;
  readonly status: AnswerStatus;
  readonly cpuMs: number;
  readonly kept: boolean;
  readonly waitingPages: number;
  /** The effects' frame, the caller's own. */
  readonly frame: Uint8Array;
}

interface AnswerHeader extends Omit<Answer, "frame"> {
  readonly length: number;
}

/** Reads answers from whatever pieces they come in. Total on hostile bytes: after a fault it takes nothing more. */
export class AnswerReader {
  /** The first fault, if any. */
  fault: string | undefined;
  readonly #parts: Uint8Array[] = [];
  #bytes = 0;
  #header: AnswerHeader | undefined;

  /** Takes in a piece; `use` gets every answer that is complete. `use` returns false to stop: the answer makes no sense to it. */
  push(piece: Uint8Array, use: (answer: Answer) => boolean): void {
    if (this.fault !== undefined) return;
    this.#parts.push(piece);
    this.#bytes += piece.length;
    for (;;) {
      if (this.#header === undefined) {
        if (this.#bytes < headerBytes) return;
        this.#header = this.#readHeader(this.#take(headerBytes));
        if (this.#header === undefined) return;
      }
      const header: AnswerHeader = this.#header;
      if (this.#bytes < header.length) return;
      this.#header = undefined;
      const frame = this.#take(header.length);
      if (!use({ ...header, frame })) {
        this.fault = `an answer with the unknown number ${header.number}`;
        return;
      }
    }
  }

  /** The next bytes, copied: pieces are views into large buffers. */
  #take(length: number): Uint8Array {
    const taken = new Uint8Array(length);
    let done = 0;
    let first = 0;
    while (done < length) {
      const part = this.#parts[first] as Uint8Array;
      const wanted = length - done;
      taken.set(part.length <= wanted ? part : part.subarray(0, wanted), done);
      done += Math.min(part.length, wanted);
      if (part.length > wanted) this.#parts[first] = part.subarray(wanted);
      else first++;
    }
    if (first > 0) this.#parts.splice(0, first);
    this.#bytes -= length;
    return taken;
  }

  #readHeader(bytes: Uint8Array): AnswerHeader | undefined {
    const view = new DataView(bytes.buffer);
    const word = (index: number): number => view.getUint32(4 * index, true);
    const status = statuses[word(2)];
    if (word(0) !== answerMagic || status === undefined || word(5) > 1 || word(7) !== 0) this.fault = "an answer's header is malformed";
    else if (word(3) > hardLimits.frameBytes) this.fault = `an answer claims ${word(3)} bytes of effects`;
    if (this.fault !== undefined || status === undefined) return undefined;
    return { number: word(1), status, length: word(3), cpuMs: word(4) / 1000, kept: word(5) === 1, waitingPages: word(6) };
  }
}

/** Exit codes of a process that failed to start (`Fault` in kernel/platform-linux/lockdown.ts). */
export const startFaults: Readonly<Record<number, string>> = {
  70: "prctl was refused",
  71: "setrlimit was refused",
  72: "its file descriptors could not be closed",
  73: "the image's copy could not be made read-only",
  74: "the kernel rejected the seccomp filter",
};
