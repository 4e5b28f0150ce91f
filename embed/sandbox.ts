/** `sandbox`: a function by strangers, each of whose calls meets a machine of its own. */
import type { CallEffect, FlowLimits } from "#abi";
import { CodedError, toUtf8 } from "#base";
import { answered, type CallAnswer, type EffectRules, failedCall, flowsFault } from "#gateway/attempt";
import type { LoadedImage } from "#monitors";
import type { Attempt, Perform } from "./attempt.ts";
import { decodeUtf8, parseJson } from "./content.ts";
import type { LogLine, SandboxCall, SandboxedFunction, SandboxOptions } from "./embed.d.ts";
import { GuestError, optionError } from "./errors.ts";
import { Calls, checkRoom, closedError, deliverOf, rulesOf } from "./host.ts";
import { embedLimits } from "./limits.ts";
import { type MonitorShare, shareMonitor } from "./monitors.ts";
import { checkNames, checkSignal, limitsFrom } from "./options.ts";
import { shown } from "./outlets.ts";
import { lineOf } from "./result.ts";
import { buildSandbox, type SandboxPlaces } from "./sandbox-image.ts";
import { type Base64, decodeValue, encodeValue } from "./values.ts";

const base64: Base64 = {
  to: (bytes) => Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString("base64"),
  from: (text) => Uint8Array.from(Buffer.from(text, "base64")),
};
const { depth, valueParts, valueBytes } = embedLimits;
const bounds = { depth, parts: valueParts, characters: valueBytes };

/** Code of the fault as a CodedError. */
function coded<T>(work: () => T): T {
  try {
    return work();
  } catch (error) {
    if (error instanceof CodedError || (error as { readonly code?: unknown } | null)?.code !== "MF_VALUE_INVALID") throw error;
    throw new CodedError("MF_VALUE_INVALID", (error as Error).message);
  }
}

function encode(value: unknown): Uint8Array {
  return toUtf8(coded(() => encodeValue(value, bounds, base64)));
}

/** Arguments as the body of a message: a JSON array, or an object with their form. */
function encodeCall(values: readonly unknown[]): Uint8Array {
  const text = coded(() => encodeValue(values, bounds, base64));
  return toUtf8(text.startsWith("!") ? `{"form":${text.slice(1)}}` : text);
}

function decode(bytes: Uint8Array, what: string): unknown {
  if (bytes.length > valueBytes)
    throw new CodedError("MF_VALUE_INVALID", `${what} has ${bytes.length} bytes, more than ${valueBytes}: the guest should return less`);
  return coded(() => decodeValue(decodeUtf8(bytes, what), (json) => parseJson(json, what), base64));
}

type Functions = NonNullable<SandboxOptions["functions"]>;

function checkFunctions(functions: Functions): void {
  if (typeof functions !== "object" || functions === null) throw optionError("functions must be an object: name → function");
  for (const [name, own] of Object.entries(functions))
    if (typeof own !== "function") throw optionError(`functions.${name.slice(0, 64)} must be a function`);
}

const noHeaders = {};

interface SandboxTerms {
  readonly limits: FlowLimits;
  readonly functions: Functions;
  readonly log: SandboxOptions["log"];
}

/** One sandbox: its image in a monitor, and the calls under way. */
class Sandbox {
  readonly hash: string;
  readonly #places: SandboxPlaces;
  readonly #share: MonitorShare;
  readonly #loaded: LoadedImage;
  readonly #limits: FlowLimits;
  readonly #rules: EffectRules;
  readonly #functions: Functions;
  readonly #log: ((line: LogLine) => void) | undefined;
  readonly #calls = new Calls();
  #closing: Promise<void> | undefined;
  #nextCall = 1;

  constructor(places: SandboxPlaces, share: MonitorShare, loaded: LoadedImage, { limits, functions, log }: SandboxTerms) {
    this.hash = loaded.sha256;
    this.#places = places;
    this.#share = share;
    this.#loaded = loaded;
    this.#limits = limits;
    this.#rules = rulesOf(loaded.name, limits, Object.keys(functions));
    this.#functions = functions;
    this.#log = log;
  }

  async call(values: readonly unknown[], signal?: AbortSignal): Promise<unknown> {
    if (this.#closing !== undefined) throw closedError();
    const body = encodeCall(values);
    const deliver = deliverOf({ id: String(this.#nextCall++), key: undefined, headers: noHeaders, stateJson: undefined, body });
    let current: Attempt | undefined;
    const terms = {
      deliver,
      headers: noHeaders,
      rules: this.#rules,
      start: (event: typeof deliver) => this.#share.monitor.start(this.#loaded, event, this.#limits),
      perform: this.#perform((error) => {
        if (current !== undefined) current.cause = error;
      }),
      memory: this.#share.held,
      recorded: false,
    };
    const { attempt, ended } = await this.#calls.run(terms, signal, (attempt) => (current = attempt));
    if (this.#log !== undefined) for (const line of attempt.logs) this.#log(lineOf(this.#places.log(line)));
    if (ended.kind === "failed") throw new GuestError(ended.failure, this.#places, attempt.cause);
    return decode(ended.reply?.body ?? new Uint8Array(0), "the result");
  }

  #perform(threw: (error: unknown) => void): Perform {
    return async ({ operation, target, body }: CallEffect): Promise<CallAnswer> => {
      const own = operation === "request" && Object.hasOwn(this.#functions, target) ? this.#functions[target] : undefined;
      if (own === undefined)
        return failedCall("MF_OUTLET_UNKNOWN", "a guest reaches only the functions that its sandbox was given", flowsFault);
      try {
        const values = decode(body, "the arguments");
        const result: unknown = await own(...(Array.isArray(values) ? (values as unknown[]) : []));
        return answered({ status: 200, contentType: "", headers: noHeaders, body: encode(result) });
      } catch (error) {
        threw(error);
        return shown(error, target);
      }
    };
  }

  close(): Promise<void> {
    if (this.#closing === undefined) {
      this.#calls.close();
      this.#share.monitor.unload(this.#loaded);
      this.#closing = this.#share.release();
    }
    return this.#closing;
  }
}

export async function sandbox<Values extends readonly unknown[] = readonly unknown[], Result = unknown>(
  code: string,
  options: SandboxOptions = {},
): Promise<SandboxedFunction<Values, Result>> {
  checkNames(options, "the options of sandbox", ["functions", "limits", "log", "monitor", "workers"]);
  const { functions = {}, log } = options;
  checkFunctions(functions);
  if (log !== undefined && typeof log !== "function") throw optionError("log must be a function");
  const { frozen, places } = await buildSandbox(code, Object.keys(functions));
  const limits = limitsFrom(frozen.manifest.limits, options.limits);
  checkRoom(frozen.manifest, limits);
  const share = shareMonitor(options.monitor, options.workers);
  try {
    const loaded = await share.monitor.load(frozen);
    return callable(new Sandbox(places, share, loaded, { limits, functions, log }));
  } catch (error) {
    await share.release();
    throw error;
  }
}

function callable<Values extends readonly unknown[], Result>(own: Sandbox): SandboxedFunction<Values, Result> {
  const call: SandboxCall<Values, Result> = (...values) => own.call(values) as Promise<Awaited<Result>>;
  return Object.assign(call, {
    hash: own.hash,
    run(values: Values, options: { readonly signal?: AbortSignal | undefined } = {}) {
      checkNames(options, "the options of run", ["signal"]);
      checkSignal(options.signal);
      if (!Array.isArray(values)) throw optionError("run takes the list of the function's arguments");
      return own.call(values, options.signal) as Promise<Awaited<Result>>;
    },
    close: () => own.close(),
    [Symbol.asyncDispose]: () => own.close(),
  });
}
