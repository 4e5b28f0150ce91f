/**
 * A machine for unit tests: the runtime's real bundle in a bare V8 realm, which knows of the web no more than the engine does, above a
 * `Native` of Node's own crypto. Effects are encoded as a real machine encodes them and decoded by abi/, which refuses what it must.
 */
import { createHash, createHmac, timingSafeEqual } from "node:crypto";
import { resolve } from "node:path";
import { createContext, Script } from "node:vm";
import { type Effect, decodeEffects, decodeFrame, encodeEvent, encodeFrame, type Event, type Part } from "#abi";
import { buildSync } from "esbuild";
import type { Native } from "../native.ts";

const runtime = resolve(process.cwd(), "kernel/runtime");
const scripts = new Map<string, Script>();

/** Bundles source text as a script, once. */
function bundle(source: string, name: string): Script {
  let script = scripts.get(source);
  if (script === undefined) {
    const built = buildSync({
      stdin: { contents: source, resolveDir: runtime, sourcefile: name, loader: "ts" },
      bundle: true,
      write: false,
      format: "iife",
      globalName: "exported",
      platform: "neutral",
      mainFields: ["module", "main"],
      conditions: ["source"],
      target: "es2023",
      alias: { mayfly: `${runtime}/flow.ts`, "mayfly/xml": `${runtime}/formats/xml.ts`, "mayfly/csv": `${runtime}/formats/csv.ts` },
    });
    script = new Script(built.outputFiles[0]!.text, { filename: name });
    scripts.set(source, script);
  }
  return script;
}

export interface Step {
  readonly effects: readonly Effect[];
  /** 0 waiting, 1 done, 2 failed. */
  readonly outcome: number;
}

export interface FakeMachine {
  event(event: Event): Promise<Step>;
  /** The realm's globals. */
  readonly realm: Record<string, unknown>;
}

export interface MachineOptions {
  readonly outlets?: readonly string[];
  readonly limits?: { readonly sends?: number; readonly logBytes?: number };
}

const algorithms: Readonly<Record<number, string>> = { 1: "sha1", 256: "sha256", 384: "sha384", 512: "sha512" };

class Door {
  private parts: readonly (Uint8Array | undefined)[] = [];
  private eventKind = 0;
  private records: { kind: number; parts: Part[] }[] = [];
  private draws = 0;
  timeMs = 0;

  load(event: Event): void {
    const frame = decodeFrame(encodeEvent(event), 1);
    if (!frame.ok) throw new Error(frame.error);
    this.parts = frame.value[0]!.parts;
    this.eventKind = frame.value[0]!.kind;
    this.timeMs = event.timeMs;
    this.records = [];
  }

  effects(): Effect[] {
    const decoded = decodeEffects(encodeFrame(this.records));
    if (!decoded.ok) throw new Error(decoded.error);
    return decoded.value;
  }

  /** `realm` makes the arrays, as the engine would: its own, not Node's. */
  native(realm: { Uint8Array: Uint8ArrayConstructor; JSON: JSON; TypeError: TypeErrorConstructor; RangeError: RangeErrorConstructor }): Native {
    const own = (bytes: Uint8Array): Uint8Array => {
      const copy = new realm.Uint8Array(bytes.length);
      copy.set(bytes);
      return copy;
    };
    const decodeUtf8 = (bytes: Uint8Array, fatal: boolean): string => {
      try {
        return new TextDecoder("utf-8", { fatal, ignoreBOM: true }).decode(bytes);
      } catch {
        throw new realm.TypeError("malformed UTF-8");
      }
    };
    return {
      kind: () => this.eventKind,
      text: (part) => (this.parts[part] === undefined ? undefined : decodeUtf8(this.parts[part], false)),
      bytes: (part) => (this.parts[part] === undefined ? undefined : own(this.parts[part])),
      json: (part) => (this.parts[part] === undefined || this.parts[part].length === 0 ? undefined : realm.JSON.parse(decodeUtf8(this.parts[part], false))),
      number: (part) => {
        const bytes = this.parts[part];
        return bytes?.length === 8 ? new DataView(bytes.buffer, bytes.byteOffset, 8).getFloat64(0, true) : Number.NaN;
      },
      emit: (kind, ...parts) => {
        if (this.records.length >= 100_000) throw new realm.RangeError("the step has too many effects");
        this.records.push({ kind, parts: parts.map((part) => (typeof part === "object" ? Uint8Array.from(part) : part)) });
      },
      encodeUtf8: (text) => own(new TextEncoder().encode(text)),
      decodeUtf8,
      random: (bytes) => {
        for (let index = 0; index < bytes.length; index++) bytes[index] = (this.draws = (this.draws * 69069 + 12345) >>> 0) >>> 24;
      },
      randomFloat: () => (this.draws = (this.draws * 69069 + 12345) >>> 0) / 2 ** 32,
      digest: (algorithm, bytes) => own(createHash(algorithms[algorithm]!).update(bytes).digest()),
      hmac: (algorithm, key, bytes) => own(createHmac(algorithms[algorithm]!, key).update(bytes).digest()),
      equal: (a, b) => a.length === b.length && timingSafeEqual(a, b),
    };
  }
}

interface Runtime {
  step(): void;
  settle(): number;
  rejection(promise: unknown, reason: unknown, handled: boolean): void;
  setFlow(exported: unknown): void;
}

/** Boots a machine with a flow given as source text. */
export function bootMachine(source: string, options: MachineOptions = {}): FakeMachine {
  const realm = createContext({}) as Record<string, unknown>;
  const door = new Door();
  new Script("Date.now = () => __now(); delete globalThis.console; delete globalThis.Intl;").runInContext(realm);
  realm["__now"] = () => door.timeMs;
  bundle('import "./boot.ts";', "kernel.js").runInContext(realm);
  const intrinsics = new Script("({ Uint8Array, JSON, TypeError, RangeError })").runInContext(realm) as Parameters<Door["native"]>[0];
  const boot = realm["__mayfly"] as (native: Native, manifest: MachineOptions) => Runtime;
  const runtime = boot(door.native(intrinsics), options);
  bundle(source, "flow.js").runInContext(realm);
  runtime.setFlow((realm["exported"] as { default: unknown }).default);
  const track = (promise: unknown, reason: unknown, handled: boolean): void => runtime.rejection(promise, reason, handled);
  return {
    realm,
    async event(event) {
      door.load(event);
      trackRejections(track);
      runtime.step();
      // Every job of the realm has run when Node's own turn comes again.
      await new Promise((done) => setImmediate(done));
      const outcome = runtime.settle();
      return { outcome, effects: door.effects() };
    },
  };
}

let tracker: ((promise: unknown, reason: unknown, handled: boolean) => void) | undefined;

/** Node tells of rejections by events of the process; one machine at a time is listened to. */
function trackRejections(track: typeof tracker): void {
  if (tracker === undefined) {
    process.on("unhandledRejection", (reason, promise) => tracker?.(promise, reason, false));
    process.on("rejectionHandled", (promise) => tracker?.(promise, undefined, true));
  }
  tracker = track;
}

export const deliver = {
  kind: "deliver",
  timeMs: 1_700_000_000_000,
  seed: new Uint8Array(32),
  id: "m-1",
  source: "test",
  attempt: 1,
  key: undefined,
  headersJson: "{}",
  stateJson: undefined,
  body: new Uint8Array(0),
} satisfies Event;

/** A deliver event with a body; objects go as JSON. */
export function deliverBody(body: unknown, more: Partial<Extract<Event, { kind: "deliver" }>> = {}): Event {
  const bytes = body instanceof Uint8Array ? body : new TextEncoder().encode(typeof body === "string" ? body : JSON.stringify(body));
  return { ...deliver, body: bytes, ...more };
}

/** Runs a flow on one message: its first step. */
export function run(source: string, event: Event = deliver, options: MachineOptions = {}): Promise<Step> {
  return bootMachine(source, options).event(event);
}
