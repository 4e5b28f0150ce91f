/** An image ready to run: a monitor, the image in it, and the calls under way. */
import { type DeliverEvent, type FlowLimits, type Headers } from "#abi";
import { CodedError, type MemoryAccount, memoryBudget, systemClock } from "#base";
import { type EffectRules, MessageIds, SeedPool, systemEntropy } from "#gateway/attempt";
import { memoryShortage } from "#image";
import { embeddedMonitor, type LoadedImage, type Monitor, processMonitor } from "#monitors";
import { Attempt, type AttemptTerms, type Ended, failed, stopped } from "./attempt.ts";
import type { Host, Image, LoadOptions, Message, RunAllOptions, RunOptions, RunResult } from "./embed.d.ts";
import { optionError } from "./errors.ts";
import { type GuestImage, imageFrom } from "./images.ts";
import { embedLimits } from "./limits.ts";
import { bodyFrom, checkNames, checkSignal, headersFrom, idFrom, keyFrom, limitsFrom, stateFrom, typed, workersFrom } from "./options.ts";
import { checkOutlets, outletPerformer } from "./outlets.ts";
import { CallResult } from "./result.ts";
import { runAll } from "./run-all.ts";

export interface OpenedMonitor {
  readonly monitor: Monitor;
  /** Bodies of calls under way are taken from it. */
  readonly held: MemoryAccount;
}

/** Opens a monitor whose idle threads do not keep the program from its end. Throws MF_EMBED_OPTION, MF_PLATFORM. */
export function openMonitor(name: LoadOptions["monitor"], workers: number | undefined): OpenedMonitor {
  const { waitingBytes, workerBytes, heldBytes } = embedLimits;
  const all = memoryBudget(waitingBytes + workerBytes + heldBytes);
  const held = all.reserve("held", heldBytes);
  const memory = { waiting: all.reserve("waiting", waitingBytes), workers: all.reserve("workers", workerBytes) };
  const count = workersFrom(workers);
  const options = { memory, ...(count === undefined ? {} : { workers: count }) };
  if (name === undefined || name === "embedded") return { monitor: embeddedMonitor({ ...options, background: true, spin: 0 }), held }; // the cores are the program's
  if (name === "process") return { monitor: processMonitor(options), held };
  throw optionError('monitor must be "embedded" or "process"');
}

/** Throws MF_IMAGE_MEMORY when the image leaves its machines no memory. */
export function checkRoom(manifest: Parameters<typeof memoryShortage>[0] & { readonly name: string }, limits: FlowLimits): void {
  const shortage = memoryShortage(manifest, limits.memoryBytes);
  if (shortage !== undefined) throw new CodedError("MF_IMAGE_MEMORY", `${manifest.name}: ${shortage}`);
}

export const seeds: SeedPool = new SeedPool(systemEntropy);
const ids = new MessageIds(systemEntropy);

/** Longest sleep of a machine whose caller waits: the time of the call ends it before. */
export function rulesOf(name: string, limits: FlowLimits, outlets: readonly string[] | undefined): EffectRules {
  return { name, limits, outlets, retriesProgramErrors: false, sleepMostMs: Number.MAX_SAFE_INTEGER };
}

/** The calls of one host under way. */
export class Calls {
  readonly #open = new Set<Attempt>();

  /** Never rejects. */
  async run(
    terms: AttemptTerms,
    signal: AbortSignal | undefined,
    began?: (attempt: Attempt) => void,
  ): Promise<{ readonly attempt: Attempt; readonly ended: Ended }> {
    const attempt = new Attempt(terms);
    began?.(attempt);
    if (signal?.aborted === true) return { attempt, ended: { kind: "failed", failure: cancelled } };
    if (this.#open.size >= embedLimits.calls)
      return {
        attempt,
        ended: failed("MF_MONITOR_BUSY", "too many calls are under way: await some of them before making more", {
          retry: true,
          status: 503,
        }),
      };
    this.#open.add(attempt);
    const leave = (): void => attempt.stop(cancelled);
    signal?.addEventListener("abort", leave, { once: true });
    const ended = await attempt.run();
    signal?.removeEventListener("abort", leave);
    this.#open.delete(attempt);
    return { attempt, ended };
  }

  close(): void {
    for (const attempt of [...this.#open]) attempt.stop(closed);
  }
}

const cancelled = stopped("MF_CANCELLED: the call was given up by its caller's signal");
const closed = stopped("MF_MONITOR_CLOSED: the host was closed while the call was under way: load the image again");

export function closedError(): CodedError {
  return new CodedError("MF_EMBED_CLOSED", "it was closed and takes no more calls: load the image again");
}

class LoadedHost implements Host {
  readonly image: GuestImage;
  readonly #opened: OpenedMonitor;
  readonly #loaded: LoadedImage;
  readonly #limits: FlowLimits;
  readonly #calls = new Calls();
  #closing: Promise<void> | undefined;

  constructor(image: GuestImage, opened: OpenedMonitor, loaded: LoadedImage, limits: FlowLimits) {
    this.image = image;
    this.#opened = opened;
    this.#loaded = loaded;
    this.#limits = limits;
  }

  async run(message: Message = {}, options: RunOptions = {}): Promise<RunResult> {
    if (this.#closing !== undefined) throw closedError();
    checkNames(message, "a message", ["body", "headers", "key", "state", "id"]);
    checkNames(options, "the options of run", ["outlets", "signal"]);
    const { outlets = {}, signal } = options;
    checkOutlets(outlets);
    checkSignal(signal);
    const key = keyFrom(message.key);
    const state = stateFrom(message.state, key);
    const { body, contentType } = bodyFrom(message.body, "body");
    const headers = typed(headersFrom(message.headers, "headers"), contentType);
    const deliver = deliverOf({ id: idFrom(message.id) ?? ids.next(), key, headers, stateJson: state.json, body });
    const { image } = this;
    let current: Attempt | undefined;
    const perform = outletPerformer({
      outlets,
      flow: image.name,
      headers,
      threw: (error) => {
        if (current !== undefined) current.cause = error;
      },
    });
    const { attempt, ended } = await this.#calls.run(
      {
        deliver,
        headers,
        rules: rulesOf(image.name, this.#limits, image.outlets ?? undefined),
        start: (event) => this.#opened.monitor.start(this.#loaded, event, this.#limits),
        perform,
        memory: this.#opened.held,
        recorded: true,
      },
      signal,
      (attempt) => (current = attempt),
    );
    const called = { imageSha256: image.hash, flow: image.name, limits: this.#limits, deliver, state: state.values, places: image.places };
    return new CallResult(called, attempt, ended);
  }

  runAll(messages: AsyncIterable<Message> | Iterable<Message>, options: RunAllOptions = {}): AsyncIterableIterator<RunResult> {
    if (this.#closing !== undefined) throw closedError();
    return runAll((message, one) => this.run(message, one), messages, options);
  }

  close(): Promise<void> {
    if (this.#closing === undefined) {
      this.#calls.close();
      this.#closing = this.#opened.monitor.close();
    }
    return this.#closing;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}

interface Delivered {
  readonly id: string;
  readonly key: string | undefined;
  readonly headers: Headers;
  readonly stateJson: string | undefined;
  readonly body: Uint8Array;
}

export function deliverOf({ id, key, headers, stateJson, body }: Delivered): DeliverEvent {
  const timeMs = systemClock.now();
  return {
    kind: "deliver",
    timeMs,
    seed: seeds.next(),
    id,
    source: "embed",
    attempt: 1,
    key,
    headersJson: JSON.stringify(headers),
    stateJson,
    body,
  };
}

export async function load(image: Image | Uint8Array, options: LoadOptions = {}): Promise<Host> {
  checkNames(options, "the options of load", ["monitor", "workers", "limits"]);
  const known = imageFrom(image);
  const limits = limitsFrom(known.frozen.manifest.limits, options.limits);
  checkRoom(known.frozen.manifest, limits);
  const opened = openMonitor(options.monitor, options.workers);
  try {
    return new LoadedHost(known, opened, await opened.monitor.load(known.frozen), limits);
  } catch (error) {
    await opened.monitor.close();
    throw error;
  }
}
