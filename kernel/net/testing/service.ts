/** A service in V8 under virtual time: streams are carried by whoever tests, jobs are run by a function. */
import { decodeEvent, type Effect, encodeEffects, encodeService, type Event, type Service, type ServiceFlow } from "#abi";
import { assert } from "#base";
import { changed, type ServiceChange } from "../../../abi/testing/changed.ts";
import { NetHost, type NetExports } from "./host.ts";
import { netModuleOf } from "./module.ts";

interface ServiceExports extends NetExports {
  start(): void;
  configBuffer(length: number): number;
  configure(kind: number, length: number): number;
  nextJob(): number;
  effectsBuffer(length: number): number;
  done(slot: number, kind: number, length: number): void;
  button(): void;
  bytesBuffer(): number;
  tellOpened(stream: number, address: number, port: number): number;
  tellConnected(stream: number): void;
  tellReceived(stream: number, length: number): number;
  tellWritable(stream: number): void;
  tellEnded(stream: number): void;
  tellClosed(stream: number, reason: number): void;
  tellResolved(ask: number, address: number): void;
  takenBytes(): number;
}

/** Most bytes that a stream offers at once. */
const pieceBytes = 65_536;

/** Results of a job (kernel/drivers/machines.ts). */
export const jobEnd = { complete: 17, interrupted: 18, escaped: 19, noMemory: 20, lied: 21 } as const;

/** The result of a step: its effects, or the end that the host gives it, or a frame as it is. */
export type StepResult = readonly Effect[] | Uint8Array | { readonly end: number; readonly effects?: readonly Effect[] };

/** Runs a step of the machine in a slot. */
export type RunStep = (event: Event, slot: number, frame: Uint8Array) => StepResult;

export interface Job {
  readonly slot: number;
  readonly event: Event;
  readonly frame: Uint8Array;
}

/** One route, `POST /`, and no outlet. */
export const plainFlow: ServiceFlow = {
  name: "orders",
  concurrency: 256,
  queue: 1024,
  limits: { memoryBytes: 64 * 2 ** 20, cpuMs: 500, timeMs: 30_000, sends: 10_000, logBytes: 256 * 1024 },
  routes: [
    { path: "/", methods: ["POST"], timeoutMs: 0, bodyLimit: 8 * 2 ** 20, auth: undefined, idHeader: "idempotency-key", fullErrors: false },
  ],
  outlets: [],
  lines: [],
  schedules: [],
  values: {},
};

export const plainService: Service = {
  name: "orders",
  version: "1",
  imageSha256: "0".repeat(64),
  drainMs: 10_000,
  logLevel: "info",
  port: 80,
  healthPort: 0,
  syslog: undefined,
  auth: [],
  flows: [plainFlow],
};

/** One end of a stream, on the side of the peer. */
export interface Peer {
  readonly stream: number;
  /** Where the service connected to; undefined for a caller's. */
  readonly target: { readonly address: number; readonly port: number } | undefined;
  /** Bytes that the service wrote. */
  text: string;
  /** Bytes that it may still write. */
  room: number;
  /** Bytes it did not take yet. */
  kept: Uint8Array;
  wantsResume: boolean;
  /** The service ended its direction, or aborted. */
  finished: boolean;
  aborted: boolean;
  closed: boolean;
}

export interface BenchOptions {
  readonly service?: ServiceChange;
  readonly config?: unknown;
  /** `undefined` given: whoever tests takes the jobs. Default: machines that reply nothing. */
  readonly run?: RunStep | undefined;
  readonly memoryBytes?: number;
  /** False: it is configured only. */
  readonly started?: boolean;
  /** True: the form that judges tokens. */
  readonly tokens?: boolean;
  /** Addresses of names, in the service's numbers. */
  readonly names?: Readonly<Record<string, number>>;
}

export class ServiceBench {
  readonly host: NetHost<ServiceExports>;
  readonly listening: number[] = [];
  readonly peers = new Map<number, Peer>();
  /** Streams that the service opened. */
  readonly connected: Peer[] = [];
  readonly drops: number[] = [];
  readonly datagrams: string[] = [];
  run: RunStep | undefined;
  #nextStream = 1;
  readonly #asks: { readonly ask: number; readonly address: number }[] = [];

  static async create(options: BenchOptions = {}): Promise<ServiceBench> {
    return new ServiceBench(await netModuleOf("testing/probe/service.ts", options.tokens), options);
  }

  private constructor(module: WebAssembly.Module, options: BenchOptions) {
    const { service = {}, config, memoryBytes = 8 << 20, names = {}, started = true } = options;
    this.run = "run" in options ? options.run : () => [{ kind: "done", reply: undefined }];
    const carrier = {
      write: (stream: number, at: number, length: number): number => {
        const peer = this.#peer(stream);
        const count = Math.min(length >>> 0, peer.room);
        peer.text += Buffer.from(this.#memory(at, count)).toString("latin1");
        peer.room -= count;
        return count;
      },
      push: () => {},
      resume: (stream: number) => void (this.#peer(stream).wantsResume = true),
      finish: (stream: number) => void (this.#peer(stream).finished = true),
      abort: (stream: number) => {
        const peer = this.#peer(stream);
        peer.aborted = peer.closed = true;
      },
      connect: (address: number, port: number): number => {
        const peer = this.#newPeer({ address: address >>> 0, port });
        this.connected.push(peer);
        return peer.stream;
      },
      localPort: () => service.port ?? plainService.port,
      listen: (port: number): number => this.listening.push(port),
      resolve: (at: number, length: number, ask: number): number => {
        const name = Buffer.from(this.#memory(at, length)).toString();
        this.#asks.push({ ask, address: names[name] ?? 0 });
        return 1;
      },
      datagram: (_address: number, _port: number, _from: number, at: number, length: number): number =>
        this.datagrams.push(Buffer.from(this.#memory(at, length)).toString()),
    };
    this.host = new NetHost<ServiceExports>(module, { onFrame: () => {}, memoryBytes, imports: { carrier } });
    this.configure(0, encodeService(changed(plainService, service)));
    if (config !== undefined) this.configure(1, Buffer.from(JSON.stringify(config)));
    if (started) this.host.exports.start();
  }

  /** The result of `configure`. */
  configure(kind: number, bytes: Uint8Array): number {
    const at = this.host.exports.configBuffer(bytes.length);
    if (at === 0) return 1;
    this.#memory(at, bytes.length).set(bytes);
    return this.host.exports.configure(kind, bytes.length);
  }

  #memory(at: number, length: number): Uint8Array {
    return new Uint8Array(this.host.exports.memory.buffer, at >>> 0, length >>> 0);
  }

  #peer(stream: number): Peer {
    const peer = this.peers.get(stream);
    assert(peer !== undefined && !peer.closed, `the service uses the stream ${stream}, which is closed`);
    return peer;
  }

  #newPeer(target: Peer["target"]): Peer {
    const stream = this.#nextStream++;
    const peer: Peer = {
      stream,
      target,
      text: "",
      room: Number.POSITIVE_INFINITY,
      kept: new Uint8Array(0),
      wantsResume: false,
      finished: false,
      aborted: false,
      closed: false,
    };
    this.peers.set(stream, peer);
    return peer;
  }

  /** A caller connects; undefined: it was refused. */
  open(): Peer | undefined {
    const peer = this.#newPeer(undefined);
    if (this.host.exports.tellOpened(peer.stream, 0x0a000202, 4000) !== 0) return peer;
    peer.closed = true;
    return undefined;
  }

  /** The peer sends bytes; then all jobs are run. */
  send(peer: Peer, bytes: string | Uint8Array): void {
    const more = typeof bytes === "string" ? Buffer.from(bytes, "latin1") : bytes;
    peer.kept = Buffer.concat([peer.kept, more]);
    this.#offer(peer);
    this.work();
  }

  #offer(peer: Peer): void {
    const { exports } = this.host;
    peer.wantsResume = false;
    while (peer.kept.length > 0 && !peer.closed) {
      const piece = peer.kept.subarray(0, pieceBytes);
      this.#memory(exports.bytesBuffer(), piece.length).set(piece);
      const taken = exports.tellReceived(peer.stream, piece.length) >>> 0;
      assert(taken <= piece.length, "the service took more bytes than there were");
      peer.kept = peer.kept.subarray(taken);
      if (taken < piece.length) return;
    }
  }

  /** The peer sends no more. */
  end(peer: Peer): void {
    if (!peer.closed) this.host.exports.tellEnded(peer.stream);
    this.work();
  }

  /** The stream is over. */
  close(peer: Peer, reason = 0): void {
    if (peer.closed) return;
    peer.closed = true;
    this.host.exports.tellClosed(peer.stream, reason);
    this.work();
  }

  connect(peer: Peer): void {
    this.host.exports.tellConnected(peer.stream);
    this.work();
  }

  /** The service may write so many bytes more. */
  allow(peer: Peer, bytes: number): void {
    peer.room += bytes;
    this.host.exports.tellWritable(peer.stream);
    this.work();
  }

  /** Runs jobs, answers questions for names and resumes streams until there is nothing to do. */
  work(): void {
    for (let again = true; again; ) {
      again = this.#runJob();
      for (const { ask, address } of this.#asks.splice(0)) {
        this.host.exports.tellResolved(ask, address);
        again = true;
      }
      for (const peer of this.peers.values()) {
        if (!peer.wantsResume || peer.closed || peer.kept.length === 0) continue;
        this.#offer(peer);
        again = true;
      }
    }
  }

  /** The next start or step; drops are noted on the way. */
  takeJob(): Job | undefined {
    const { exports } = this.host;
    for (;;) {
      const at = exports.nextJob();
      if (at === 0) return undefined;
      const [kind, slot = 0, eventAt = 0, eventLength = 0] = new Uint32Array(exports.memory.buffer, at, 6);
      if (kind === 4) {
        this.drops.push(slot);
        continue;
      }
      const frame = this.#memory(eventAt, eventLength).slice();
      const event = decodeEvent(frame);
      assert(event.ok, "the service made a malformed event");
      return { slot, event: event.value, frame };
    }
  }

  /** The result of the job that was taken last. */
  finishJob(slot: number, result: StepResult): void {
    const { exports } = this.host;
    const end = "end" in result ? result.end : jobEnd.complete;
    const effects = "end" in result ? (result.effects ?? []) : result;
    const bytes = effects instanceof Uint8Array ? effects : encodeEffects(effects);
    const room = exports.effectsBuffer(bytes.length);
    if (room === 0) return exports.done(slot, jobEnd.noMemory, 0);
    this.#memory(room, bytes.length).set(bytes);
    exports.done(slot, end, bytes.length);
  }

  #runJob(): boolean {
    if (this.run === undefined) return false;
    const job = this.takeJob();
    if (job === undefined) return false;
    this.finishJob(job.slot, this.run(job.event, job.slot, job.frame));
    return true;
  }

  /** Lets virtual time pass, and everything happen that is due. */
  pass(ms: number): void {
    const untilUs = this.host.nowUs + ms * 1000;
    for (let next = this.host.poll(); next <= untilUs; next = this.host.poll()) {
      this.host.nowUs = Math.max(this.host.nowUs, next);
      this.host.poll();
      this.work();
    }
    this.host.nowUs = untilUs;
    this.host.poll();
    this.work();
  }

  /** One request on a connection of its own; what was answered. */
  ask(request: string | Uint8Array): string {
    const peer = this.open();
    assert(peer !== undefined, "the connection was refused");
    this.send(peer, request);
    const { text } = peer;
    this.close(peer);
    return text;
  }
}

/** Status of an answer, or 0 without one. */
export function statusOf(text: string): number {
  return Number(/^HTTP\/1\.1 (\d{3}) /.exec(text)?.[1] ?? 0);
}

/** The bytes behind the head. */
export function bodyOf(text: string): string {
  const at = text.indexOf("\r\n\r\n");
  return at < 0 ? "" : text.slice(at + 4);
}
