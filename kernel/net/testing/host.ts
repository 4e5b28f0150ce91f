/** The imports of "host" in V8 under virtual time: what the drivers are to net.wasm on metal. */
import { type Prng, prng } from "#base";

export interface NetExports {
  readonly memory: WebAssembly.Memory;
  start(macHigh: number, macLow: number): void;
  frameBuffer(): number;
  receive(length: number): void;
  poll(): bigint;
}

export interface HostOptions {
  /** Memory in bytes; the module's own if that is more. Default: 1 MiB. */
  readonly memoryBytes?: number;
  readonly seed?: number;
  /** Milliseconds since 1970 when virtual time begins. */
  readonly wallMs?: number;
  /** Receives every frame the module sends. It must not call into the module: frames are delivered later. */
  readonly onFrame: (frame: Uint8Array) => void;
  /** Imports besides "host". */
  readonly imports?: WebAssembly.Imports;
}

/** Beyond any virtual time: `poll` has nothing due. */
export const never = Number.POSITIVE_INFINITY;

export class NetHost<E extends NetExports = NetExports> {
  readonly exports: E;
  /** Virtual time in microseconds; begins at one second. */
  nowUs = 1_000_000;
  /** Everything that was printed. */
  console = "";
  /** The code of `off`, once it was called. */
  ended: number | undefined;
  /** The wall clock at virtual time 0. */
  #wallMs: number;
  readonly #random: Prng;

  constructor(module: WebAssembly.Module, options: HostOptions) {
    this.#random = prng(options.seed ?? 1);
    this.#wallMs = options.wallMs ?? 1.79e12;
    const bytes = (at: number, length: number): Uint8Array => new Uint8Array(this.exports.memory.buffer, at >>> 0, length >>> 0);
    const host = {
      now: () => BigInt(Math.floor(this.nowUs)),
      wall: () => this.wallMs,
      random: (at: number, length: number) => {
        const to = bytes(at, length);
        for (let index = 0; index < to.length; index++) to[index] = this.#random.uint32();
      },
      print: (at: number, length: number) => void (this.console += Buffer.from(bytes(at, length)).toString("latin1")),
      send: (at: number, length: number) => options.onFrame(bytes(at, length).slice()),
      off: (code: number) => void (this.ended ??= code),
    };
    this.exports = new WebAssembly.Instance(module, { host, ...options.imports }).exports as unknown as E;
    const pages = Math.ceil((options.memoryBytes ?? 1 << 20) / 65_536) - this.exports.memory.buffer.byteLength / 65_536;
    if (pages > 0) this.exports.memory.grow(pages);
  }

  /** Milliseconds since 1970; somebody may set it. */
  get wallMs(): number {
    return this.#wallMs + this.nowUs / 1000;
  }

  set wallMs(ms: number) {
    this.#wallMs = ms - this.nowUs / 1000;
  }

  /** Gives the module one frame, as the drivers would. */
  receive(frame: Uint8Array): void {
    new Uint8Array(this.exports.memory.buffer, this.exports.frameBuffer() >>> 0, frame.length).set(frame);
    this.exports.receive(frame.length);
  }

  /** Runs what is due; the virtual time of the next call, or `never`. */
  poll(): number {
    const next = BigInt.asUintN(64, this.exports.poll());
    return next === 0xffff_ffff_ffff_ffffn ? never : Number(next);
  }
}
