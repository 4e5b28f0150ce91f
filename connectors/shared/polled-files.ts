/**
 * State of a source that polls a place for files: the files in hand, whether there is room for another, a file's body within the memory
 * budget, and troubles that are told once. The connector knows where the files are, and moves or deletes those that have ended.
 *
 *     listed ──read──▶ in hand ──Outcome──▶ ended (moved, deleted, tagged)
 *        ▲                │
 *        └──── refused ───┘      listed again, not before the time that the gateway names
 */
import {
  type Accept,
  gatewayLimits,
  type Health,
  type Incoming,
  type Outcome,
  type SourceContext,
  type StagedBody,
} from "#gateway/contract";
import { polledLimits } from "./limits.ts";
import { ToldOnce } from "./told-once.ts";

/** A body as `Incoming` has it: one of the two is empty. */
export interface ReadBody {
  readonly body: Uint8Array;
  readonly storedBody: StagedBody | undefined;
}

/** A file has more or fewer bytes than its listing says. */
export class WrongSize extends Error {}

/** A file comes so slowly that others would wait for it for ever. */
export class TooSlow extends Error {}

export type Ended = Exclude<Outcome, { readonly status: "refused" }>;

export class PolledFiles {
  readonly #context: SourceContext;
  readonly #inHand = new Map<string, Promise<void>>();
  readonly #told: ToldOnce;
  #refusedUntilMs = Number.NEGATIVE_INFINITY;
  #waiting: (() => void)[] = [];
  #paused = false;
  #stopped = false;

  constructor(context: SourceContext) {
    this.#context = context;
    this.#told = new ToldOnce(context);
  }

  has(name: string): boolean {
    return this.#inHand.has(name);
  }

  get count(): number {
    return this.#inHand.size;
  }

  get hasRoom(): boolean {
    const most = Math.min(gatewayLimits.filesAtOnce, this.#context.prefetch);
    const free = !this.#stopped && !this.#paused && this.#inHand.size < most;
    return free && this.#context.clock.monotonicMs() >= this.#refusedUntilMs;
  }

  /** Resolves when there is room, or with false once the source has stopped or `over` has aborted. */
  async untilRoom(over: AbortSignal): Promise<boolean> {
    while (!this.#stopped && !over.aborted && !this.hasRoom) {
      const restMs = this.#refusedUntilMs - this.#context.clock.monotonicMs();
      let cancel = (): void => {};
      await new Promise<void>((resolve) => {
        this.#waiting.push(resolve);
        over.addEventListener("abort", this.wake, { once: true });
        if (restMs > 0) cancel = this.#context.clock.after(restMs, resolve);
      });
      over.removeEventListener("abort", this.wake);
      cancel();
    }
    return !this.#stopped && !over.aborted;
  }

  /** Makes `untilRoom` look again. */
  readonly wake = (): void => {
    for (const wake of this.#waiting.splice(0)) wake();
  };

  pause(): void {
    this.#paused = true;
  }

  resume(): void {
    this.#paused = false;
    this.wake();
  }

  stop(): void {
    this.#stopped = true;
    this.wake();
  }

  /** Takes no new files for this time. */
  refuse(forMs: number): void {
    this.#refusedUntilMs = this.#context.clock.monotonicMs() + forMs;
  }

  isLarge(size: number): boolean {
    const check = this.#context.longBodies?.();
    return check !== undefined && size > check.thresholdBytes;
  }

  /** Why a file of `size` bytes is never read, or undefined. */
  limitOf(size: number, maxSize: number | undefined): string | undefined {
    if (size > (maxSize ?? (this.isLarge(size) ? gatewayLimits.storedFileBytes : gatewayLimits.fileBytes))) return "maxSize";
    return !this.isLarge(size) && size > this.#context.memory.uploads.largestBytes ? "`memory` allows" : undefined;
  }

  /**
   * The body of a file of `size` bytes: a large one goes into the body store, and takes `bufferBytes` of memory meanwhile. Undefined: there is
   * no memory for it now. Rejects as `pieces` do, with WrongSize, TooSlow, or with the body store's CodedError.
   */
  async read(size: number, bufferBytes: number, pieces: () => Promise<AsyncIterable<Uint8Array>>): Promise<ReadBody | undefined> {
    const check = this.#context.longBodies?.();
    const large = check !== undefined && size > check.thresholdBytes;
    const { uploads } = this.#context.memory;
    const heldBytes = large ? Math.min(size, bufferBytes) : size;
    if (!uploads.tryTake(heldBytes)) {
      this.refuse(gatewayLimits.retryAfterMs);
      return undefined;
    }
    try {
      const whole = exactly(inTime(await pieces(), this.#context.clock), size);
      if (large) return { body: new Uint8Array(0), storedBody: await check.store.stage(whole) };
      return { body: await wholeOf(whole, size), storedBody: undefined };
    } finally {
      uploads.give(heldBytes); // the flow's queue takes them
    }
  }

  /** Hands a file's message over. `ended` gets its outcome, unless it was refused. Resolves once a refusal would be known. */
  async handOver(name: string, accept: Accept, incoming: Incoming & ReadBody, ended: (outcome: Ended) => Promise<void>): Promise<void> {
    const settled = accept(incoming).then(async (outcome) => {
      incoming.storedBody?.release();
      if (outcome.status === "refused") this.refuse(outcome.retryAfterMs);
      else await ended(outcome);
    });
    const over = settled.finally(() => {
      this.#inHand.delete(name);
      this.wake();
    });
    this.#inHand.set(name, over);
    await new Promise((resolve) => setImmediate(resolve));
  }

  /** Resolves when no file is in hand. */
  async idle(): Promise<void> {
    await Promise.all(this.#inHand.values());
  }

  /** Logs a trouble the first time. True if it was logged now. */
  tellOnce(what: string, code: string, text: string, file?: string): boolean {
    return this.#told.tell(what, code, text, file === undefined ? {} : { file });
  }

  /** The trouble is over: it is logged again when it comes back. */
  forget(what: string): void {
    this.#told.forget(what);
  }

  /** Ready while the connection is, and there is no trouble. */
  health(link: Health, trouble: string | undefined, watched: string): Health {
    if (!link.ready) return link;
    if (trouble !== undefined) return { ready: false, detail: trouble };
    return { ready: true, detail: `watching ${watched}, ${this.#inHand.size} in hand` };
  }
}

async function wholeOf(pieces: AsyncIterable<Uint8Array>, size: number): Promise<Uint8Array> {
  const body = new Uint8Array(size);
  let at = 0;
  for await (const piece of pieces) {
    body.set(piece, at);
    at += piece.length;
  }
  return body;
}

/** The pieces as they are, if they have `size` bytes. Throws WrongSize before a piece that would be too much. */
async function* exactly(pieces: AsyncIterable<Uint8Array>, size: number): AsyncGenerator<Uint8Array> {
  let bytes = 0;
  for await (const piece of pieces) {
    bytes += piece.length;
    if (bytes > size) throw new WrongSize(`it has more bytes than the ${size} of its listing`);
    yield piece;
  }
  if (bytes < size) throw new WrongSize(`it has ${bytes} bytes, not the ${size} of its listing`);
}

/** The pieces as they are. Throws TooSlow at one that comes after a time with too few bytes; the connection's timeout is for none at all. */
export async function* inTime(pieces: AsyncIterable<Uint8Array>, clock: SourceContext["clock"]): AsyncGenerator<Uint8Array> {
  let sinceMs = clock.monotonicMs();
  let bytes = 0;
  for await (const piece of pieces) {
    const nowMs = clock.monotonicMs();
    bytes += piece.length;
    if (bytes >= polledLimits.progressBytes) [sinceMs, bytes] = [nowMs, 0];
    else if (nowMs - sinceMs > polledLimits.progressMs)
      throw new TooSlow(`fewer than ${polledLimits.progressBytes} bytes came in ${polledLimits.progressMs} ms`);
    yield piece;
  }
}
