/**
 * The part `warm`: runs the function of `flow({ warm })` while the image is built, and for it the handler with sample messages. A sample's
 * run has no effects: what it sends, logs, stores and replies is dropped, and where it asks for an answer it ends.
 */
import type { Handler } from "./definition.ts";
import { kernel } from "./link.ts";
import type { SampleParts } from "./message.ts";
import type { Warmer } from "./warming.ts";

const { FlowError, milliseconds, sampleMessage, serialised, setHeldBack } = kernel;

interface Sample {
  readonly body?: unknown;
  readonly headers?: Readonly<Record<string, string>>;
  readonly source?: string;
  readonly key?: string;
  readonly values?: Readonly<Record<string, string>>;
}

function pending(what: string): Error {
  return new FlowError("MF_WARM_PENDING", `${what}: await only what settles without requests and timers`, false);
}

let open: WeakRef<object>[] = [];
/** Ends the current run: `true` when it asked for an answer. */
let stop: ((asked: boolean) => void) | undefined;
let hasAsked = false;

/** A promise that nothing settles. */
function never(): Promise<never> {
  hasAsked = true;
  const promise = new Promise<never>(() => {});
  open.push(new WeakRef(promise));
  return promise;
}

function ignore(): void {}
const log = Object.freeze({ debug: ignore, info: ignore, warn: ignore, error: ignore });

function outletsOf(known: Record<string, object>): object {
  return new Proxy(Object.create(null), {
    get(_target, name) {
      const outlet = Reflect.get(known, name) as { readonly name: string } | undefined;
      if (outlet === undefined || typeof name === "symbol") return outlet;
      return { name: outlet.name, send: (body: unknown) => void serialised(body), request: never };
    },
  });
}

function stateOf(): object {
  const values = new Map<string, unknown>();
  return {
    get: (name: string) => values.get(name),
    has: (name: string) => values.has(name),
    entries: () => [...values],
    set: (name: string, value: unknown) => void values.set(name, JSON.parse(JSON.stringify(value))),
    delete: (name: string) => void values.delete(name),
    read: never,
  };
}

function contextOf(sample: Sample): object {
  const { AbortController, fetch } = globalThis as { AbortController?: typeof globalThis.AbortController; fetch?: unknown };
  return {
    to: outletsOf(kernel.outletsOfFlow() as Record<string, object>),
    log,
    state: stateOf(),
    reply: ignore,
    continueAs: ignore,
    sleep: (span: number | string) => (milliseconds(span, "sleep"), never()),
    at: never,
    wait: never,
    approve: never,
    values: Object.assign(Object.create(null), sample.values),
    signal: AbortController === undefined ? undefined : new AbortController().signal,
    fetch,
  };
}

function partsOf({ body, headers, source, key }: Sample): SampleParts {
  const fields: Record<string, string> = {};
  for (const [name, value] of Object.entries(headers ?? {})) fields[name.toLowerCase()] = String(value);
  const { bytes, type } = serialised(body ?? "");
  if (body !== undefined) fields["content-type"] ??= type;
  return { source: source ?? "warm", key, headersJson: JSON.stringify(fields), body: bytes };
}

/** Runs the handler with a sample; true once it has completed, false when it asked for an answer. */
function runSample(handler: Handler, sample: Sample): Promise<boolean> {
  if (stop !== undefined) throw new FlowError("MF_ARGUMENT", "handle: await the run of one sample before the next begins", false);
  hasAsked = false;
  return new Promise<boolean>((resolve, reject) => {
    const ended = (settle: () => void): void => {
      if (stop === undefined) return;
      stop = undefined;
      settle();
    };
    stop = (asked) => ended(() => (asked ? resolve(false) : reject(pending("the run of a sample awaits a promise that nothing settles"))));
    let result: unknown;
    try {
      result = handler(sampleMessage(partsOf(sample)), contextOf(sample));
    } catch (error) {
      return ended(() => reject(error));
    }
    const run = Promise.resolve(result);
    open.push(new WeakRef(run));
    run.then(
      () => ended(() => resolve(true)),
      (error) => ended(() => reject(error)),
    );
  });
}

let isCompleted = false;
let failure: { readonly error: unknown } | undefined;

const part: Warmer = {
  start(warm, handler) {
    setHeldBack(never);
    isCompleted = false;
    const handle = async (sample: Sample = {}): Promise<boolean> => await runSample(handler, sample);
    Promise.resolve()
      .then(() => warm(Object.freeze({ handle })))
      .then(
        () => (isCompleted = true),
        (error) => (failure = { error }),
      );
  },
  advance() {
    if (stop === undefined) return false;
    stop(hasAsked);
    return true;
  },
  end() {
    if (failure !== undefined) throw failure.error;
    if (!isCompleted) throw pending("warm awaits a promise that nothing settles");
  },
  get open() {
    const promises = open;
    open = [];
    return promises;
  },
};

kernel.onWarm(part);
