/**
 * How a worker and the main thread talk: one shared buffer a worker, used as a ring of slots, first in, first out.
 *
 *   control   16 words, see `control`
 *   slot      16 words, see `word`, then `slotBytes` of data: the event's frame on the way in, the effects' on the way out
 *
 * The main thread fills a free slot, marks it queued and adds one to `submitted`; the worker sleeps on that word, takes the slot
 * by changing queued → running, runs the step, marks it done and rings the bell (a message on a port) unless it is rung already.
 * The main thread may change queued → recalled, when the step before it takes long; the worker passes over it and marks it done.
 * Frames that do not fit, and those with a machine's saved memory, go over the port before the slot is marked.
 */
import { layout } from "#kernel";

export const slotsPerWorker = 32;
const slotBytes = 32 * 1024;
/** Of each frame, where a slot holds several. */
export const frameHeadBytes = 4;
const controlWords = 16;
const headerWords = 16;

export const control = {
  /** Slots submitted since the start. The worker waits on it. */
  submitted: 0,
  /** 1 while a bell is on its way to the main thread, or none is wanted because it looks by itself. */
  bell: 1,
  /** 1 + number of the submission that runs now, 0 when idle. */
  running: 2,
  /** 1 + number of the submission to interrupt. */
  interrupt: 3,
  /** The worker's thread id in the operating system, 0 when unknown. */
  thread: 4,
  /** Pages of 64 KiB that the worker holds between steps: its instance, and images it keeps whole. */
  heldPages: 5,
  /** KiB of effects that no slot could hold and that the main thread has taken, since the start. The worker waits on it. */
  takenKib: 6,
  /** 1 once the worker takes slots. */
  ready: 7,
  /** Events begun since the start. */
  begun: 8,
} as const;

export const word = {
  state: 0,
  operation: 1,
  machine: 2,
  image: 3,
  /** Bytes of the frame, −1 when it goes over the port. In: the event's, or all events' so far; out: the effects'. */
  length: 4,
  /** Memory limit, in 64 KiB pages. */
  limitPages: 5,
  status: 6,
  cpuMicros: 7,
  /** Bytes the worker keeps of a machine that waits, 0 when it does not. */
  keptBytes: 8,
  /** Bytes of the text that says why, behind the effects. */
  detailLength: 9,
  /** Linear memory of the machine at the step's end, in 64 KiB pages. */
  memoryPages: 10,
  /** In: number of frames in the slot, each with its length before it (4 bytes, little endian); 0: one, without. */
  frames: 11,
} as const;

export const slotState = { free: 0, queued: 1, running: 2, done: 3, recalled: 4 } as const;
export const operation = { start: 1, step: 2, drop: 3, save: 4 } as const;
export const statuses = ["complete", "interrupted", "escaped", "trapped", "compromised", "no-memory", "lost", "missing"] as const;
export type Status = (typeof statuses)[number];

/** Submissions are numbered in turn, within 30 bits. */
export function nextSubmission(submission: number): number {
  return (submission + 1) & 0x3fff_ffff;
}

export class Slots {
  readonly buffer: SharedArrayBuffer;
  readonly control: Int32Array;
  readonly #headers: Int32Array[] = [];
  readonly #data: Buffer[] = [];

  constructor(buffer?: SharedArrayBuffer) {
    const size = 4 * controlWords + slotsPerWorker * (4 * headerWords + slotBytes);
    this.buffer = buffer ?? new SharedArrayBuffer(size);
    this.control = new Int32Array(this.buffer, 0, controlWords);
    for (let index = 0; index < slotsPerWorker; index++) {
      const at = 4 * controlWords + index * (4 * headerWords + slotBytes);
      this.#headers.push(new Int32Array(this.buffer, at, headerWords));
      this.#data.push(Buffer.from(this.buffer, at + 4 * headerWords, slotBytes));
    }
  }

  header(submission: number): Int32Array {
    return this.#headers[submission % slotsPerWorker] as Int32Array;
  }

  data(submission: number): Buffer {
    return this.#data[submission % slotsPerWorker] as Buffer;
  }

  /** The frames in a slot's first `length` bytes, as views. */
  frames(submission: number, length: number): readonly Uint8Array[] {
    const data = this.data(submission).subarray(0, length);
    const count = this.header(submission)[word.frames] as number;
    if (count === 0) return [data];
    const frames: Uint8Array[] = [];
    for (let at = 0; frames.length < count; ) {
      const from = at + frameHeadBytes;
      at = from + data.readUInt32LE(at);
      frames.push(data.subarray(from, at));
    }
    return frames;
  }
}

/** Bytes as they are counted in `takenKib`. */
export function kib(bytes: number): number {
  return Math.ceil(bytes / 1024);
}

/** Messages on the port, besides the bell (the number 0). */
export type ToWorker =
  | { readonly kind: "chunk"; readonly buffer: SharedArrayBuffer }
  | {
      readonly kind: "image";
      readonly slot: number;
      readonly entries: Uint32Array;
      readonly stackPointer: number;
      readonly memoryPages: number;
    }
  | { readonly kind: "forget" }
  | {
      readonly kind: "frames";
      readonly submission: number;
      readonly frames: readonly Uint8Array[];
      /** Memory of the machine before these events, packed (saved-memory.ts). Bytes that can't be read are answered `missing`. */
      readonly memory: Uint8Array | undefined;
    };

export type FromWorker =
  | { readonly submission: number; readonly effects: Uint8Array }
  /** A waiting machine's memory (saved-memory.ts); absent when it is not there. */
  | { readonly saved: number; readonly memory: Uint8Array | undefined };

export interface WorkerSetup {
  readonly engine: WebAssembly.Module;
  readonly native: WebAssembly.Module;
  readonly buffer: SharedArrayBuffer;
  /** Turns of the wait loop before the worker goes to sleep. */
  readonly spin: number;
  /** Pages of 64 KiB an instance's memory may have after a step; a larger one is replaced, so that one large message does not cost it for ever. */
  readonly keptPages: number;
  /** Bytes of waiting machines the worker keeps; one that does not fit is run again from its first event when its answer comes. */
  readonly waitingBytes: number;
}

export const wasmPageBytes: number = layout.wasmPageBytes;
