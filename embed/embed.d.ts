/** Types of `import … from "mayfly/embed"`. docs/EMBED.md explains them by examples. */

/** The one class of errors here: `code` is stable (docs/ERRORS.md), the message says what to do. */
export interface EmbedError extends Error {
  readonly code: string;
}

/** A place in the guest's own source. Line and column count from 1. */
export interface Place {
  readonly file: string;
  readonly line: number;
  readonly column: number;
}

/** Sizes in bytes or as "16MiB", times in milliseconds or as "50ms". */
export interface Limits {
  /** Memory of one machine, at most 256 MiB. */
  readonly memory?: number | string | undefined;
  /** CPU time between two waits. */
  readonly cpu?: number | string | undefined;
  /** Time of one call, waiting included. */
  readonly time?: number | string | undefined;
  /** Messages that one call may send. */
  readonly sends?: number | undefined;
  /** Log text and fields of one call; what is beyond is dropped and counted. */
  readonly logBytes?: number | string | undefined;
}

/** Engine, library OS and guest, booted once and frozen. May be kept as a file, and loaded by any number of hosts. */
export interface Image {
  readonly name: string;
  /** SHA-256, 64 hexadecimal digits. */
  readonly hash: string;
  /** The whole `.mfi` file. Not to be changed. */
  readonly bytes: Uint8Array;
  /** Outlets the flow declares; null where it does not say. */
  readonly outlets: readonly string[] | null;
}

/** A file of the project; the text of a flow; or the bytes of an image. */
export type ImageSource = { readonly file: string } | { readonly code: string } | Uint8Array;

export interface BuildOptions {
  /** Of the image; default: the file's name without its ending, or "code". */
  readonly name?: string | undefined;
  /** False skips the type check. Default: true for a file, false for code, since a stranger's types can keep the checker busy. */
  readonly check?: boolean | undefined;
  /** Folders that the file's build may read besides its project. */
  readonly include?: readonly string[] | undefined;
}

/**
 * Makes an image. Code may import only "mayfly" and its parts, a file what its project may. Both run their top level, at most 5 s of CPU
 * time; code is built in a process of its own. Rejects with MF_FLOW_NOT_FOUND, MF_BUNDLE_FAILED, MF_BUNDLE_OUTSIDE, MF_TYPE_ERROR,
 * MF_FLOW_TOP_LEVEL, MF_FLOW_INVALID, MF_IMAGE_CORRUPT, MF_IMAGE_VERSION, MF_EMBED_OPTION; for code MF_BUILD_TIME, MF_BUILD_BUSY,
 * MF_BUILD_FAILED.
 */
export function build(source: ImageSource, options?: BuildOptions): Promise<Image>;

export interface LoadOptions {
  /** `embedded` (default): V8's WebAssembly in threads. `process`: machine code in processes under seccomp; x86-64 Linux only, and the program ends only after `close`. */
  readonly monitor?: "embedded" | "process" | undefined;
  /** Threads, or processes. Default: one less than there are cores. */
  readonly workers?: number | undefined;
  /** In place of the image's own. */
  readonly limits?: Limits | undefined;
}

/** An image, or the bytes of one, ready to run. Rejects with MF_EMBED_OPTION, MF_IMAGE_MEMORY, MF_PLATFORM and what `build` says of bytes. */
export function load(image: Image | Uint8Array, options?: LoadOptions): Promise<Host>;

/** Text or a list of texts by name. */
export type HeadersIn = Readonly<Record<string, string | readonly string[] | undefined>>;

/** A message for a machine. */
export interface Message {
  /** Bytes as they are, a string as text, none as empty, anything else as JSON. */
  readonly body?: unknown;
  readonly headers?: HeadersIn | undefined;
  /** Key that owns `state`. */
  readonly key?: string | undefined;
  /** Values under the key; the flow's changes are in the result. Needs `key`. */
  readonly state?: Readonly<Record<string, unknown>> | undefined;
  /** Default: 128 random bits. */
  readonly id?: string | undefined;
}

/** Body of what a machine says. Hostile: read it as you would a request from the internet. */
export interface Content {
  readonly contentType: string;
  /** Names in lower case. */
  readonly headers: Readonly<Record<string, string | readonly string[]>>;
  readonly body: Uint8Array;
  /** Throws MF_VALUE_INVALID for bytes that are not UTF-8. */
  text(): string;
  /** Throws MF_VALUE_INVALID for text that is not JSON, or nests deeper than 500 levels. A key `__proto__` is an own property. */
  json<T = unknown>(): T;
}

export interface OutletRequest extends Content {
  readonly outlet: string;
  /** HTTP method the guest asked for, "" for none. */
  readonly method: string;
  /** Path the guest asked for, "" for none. */
  readonly path: string;
  /** Aborted when nobody waits for the answer any more. */
  readonly signal: AbortSignal;
}

/** The first of `json`, `text`, `body` counts; none is an empty body. */
export interface OutletAnswer {
  readonly json?: unknown;
  readonly text?: string | undefined;
  readonly body?: Uint8Array | undefined;
  /** Default 200. */
  readonly status?: number | undefined;
  readonly headers?: HeadersIn | undefined;
  /** Default: by the kind of the body. */
  readonly contentType?: string | undefined;
}

/**
 * Answers `to.NAME.request(…)` of the guest. What it throws reaches the guest as MF_OUTLET_FAILED without its text, which may hold secrets;
 * with `expose: true` on the error, as its `code` and its message. The result's `error.cause` has the error itself.
 */
export type OutletFunction = (request: OutletRequest) => OutletAnswer | undefined | void | Promise<OutletAnswer | undefined | void>;

export interface RunOptions {
  /** By name. A request to any other fails in the guest with MF_OUTLET_UNKNOWN. */
  readonly outlets?: Readonly<Record<string, OutletFunction>> | undefined;
  /** Ends the call: its result is a failure, MF_CANCELLED. */
  readonly signal?: AbortSignal | undefined;
}

export interface RunAllOptions extends RunOptions {
  /** Calls under way at once, with results that nobody has taken yet: 1 to 10,000, default 32. */
  readonly atOnce?: number | undefined;
}

export interface Reply extends Content {
  readonly status: number;
}

/** A message that the flow sent. It is carried out by whoever has the result, and only if the flow did not fail. */
export interface Send extends Content {
  readonly outlet: string;
  readonly key: string | undefined;
  /** Not before this time, milliseconds since 1970. */
  readonly dueMs: number | undefined;
}

export interface LogLine {
  readonly level: "debug" | "info" | "warn" | "error";
  readonly text: string;
  readonly fields: unknown;
}

/** Failure of a guest. `stack` has places in the guest's source; `cause` is what an outlet threw. */
export interface RunError extends EmbedError {
  readonly at: Place | undefined;
  /** HTTP status for a caller; 0 where the guest named none. */
  readonly status: number;
  /** False when the same message would fail again. */
  readonly retry: boolean;
}

export interface RunResult {
  readonly status: "done" | "failed";
  readonly reply: Reply | undefined;
  /** Empty for a flow that failed. */
  readonly sends: readonly Send[];
  readonly logs: readonly LogLine[];
  /** Lines beyond limits.logBytes. */
  readonly droppedLogs: number;
  /** Values under the key after the call; as they were, if the flow failed. */
  readonly state: Readonly<Record<string, unknown>> | undefined;
  readonly error: RunError | undefined;
  /** All that the machine was given and did, in bytes: `replay` runs it again. Holds bodies. Written when it is first read. */
  readonly recording: Uint8Array;
  /** CPU time in milliseconds, and steps between waits. */
  readonly cpuMs: number;
  readonly steps: number;
}

export interface Host {
  readonly image: Image;
  /** Starts a fresh machine with the message. Resolves for whatever the guest does; rejects with MF_EMBED_CLOSED and MF_EMBED_OPTION. */
  run(message?: Message, options?: RunOptions): Promise<RunResult>;
  /**
   * Runs many messages, some at once, and gives their results in the order of the messages. A message is taken only when a result may follow:
   * who takes results slowly has messages taken slowly. What the iterable throws comes after the results of the messages before it. Who stops
   * early ends the calls under way.
   */
  runAll(messages: AsyncIterable<Message> | Iterable<Message>, options?: RunAllOptions): AsyncIterableIterator<RunResult>;
  /** Ends all calls (MF_MONITOR_CLOSED) and gives back threads and processes. */
  close(): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
}

export interface Replay extends RunResult {
  /** True if each step had the same effects, bit for bit. */
  readonly identical: boolean;
  /** Places in which they differ, at most 200. */
  readonly differences: readonly { readonly path: string; readonly recorded: unknown; readonly replayed: unknown }[];
}

/**
 * Runs a recording again: nothing is asked of outlets. Without `image`, one that this process built or loaded is used. Rejects with
 * MF_RECORDING_INVALID, MF_EMBED_IMAGE.
 */
export function replay(recording: Uint8Array, image?: Image | Uint8Array): Promise<Replay>;

export interface SandboxOptions extends LoadOptions {
  /** Functions of this program, by the names under which the code calls them. They get and give values as the sandbox does; the code awaits them. */
  // biome-ignore lint/suspicious/noExplicitAny: the host's own functions have any parameters
  readonly functions?: Readonly<Record<string, (...values: any[]) => unknown>> | undefined;
  /** Takes the lines that the code writes to `console`. */
  readonly log?: ((line: LogLine) => void) | undefined;
}

/** Rejects with a RunError for whatever the code does, and with MF_VALUE_INVALID, MF_EMBED_CLOSED. */
export type SandboxCall<Values extends readonly unknown[], Result> = (...values: Values) => Promise<Awaited<Result>>;

export type SandboxedFunction<Values extends readonly unknown[], Result> = SandboxCall<Values, Result> & {
  /** SHA-256 of the function's image: the same code with the same names of functions has the same. */
  readonly hash: string;
  /** The call with options. */
  run(values: Values, options?: { readonly signal?: AbortSignal | undefined }): Promise<Awaited<Result>>;
  /** Ends its calls; with the last sandbox of the program the threads go too. */
  close(): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
};

/**
 * A function from the text of one, in JavaScript or TypeScript. Nobody need trust it: nothing of it runs before the first call, each call
 * meets a fresh machine, and it reaches nothing but `functions`. Arguments and results are data: what JSON can hold, undefined, NaN, BigInt,
 * Date, Map, Set, typed arrays, errors; at most 16 MiB, 500 levels. Rejects with MF_SANDBOX_INVALID, MF_BUNDLE_OUTSIDE, MF_BUILD_TIME, MF_EMBED_OPTION.
 */
export function sandbox<Values extends readonly unknown[] = readonly unknown[], Result = unknown>(
  code: string,
  options?: SandboxOptions,
): Promise<SandboxedFunction<Values, Result>>;

/** A request and a reply of Fastify, as far as they are used here. */
export interface FastifyLike {
  readonly request: {
    readonly headers: Readonly<Record<string, string | readonly string[] | undefined>>;
    readonly body?: unknown;
  };
  readonly reply: {
    readonly raw: import("node:http").ServerResponse;
    code(status: number): unknown;
    header(name: string, value: string | string[]): unknown;
    send(body: Uint8Array): unknown;
  };
}

/** A context of Hono, as far as it is used here. */
export interface HonoLike {
  readonly req: { readonly raw: Request };
}

export interface HandlerOptions<Request> {
  /** Outlets for the call of one request. */
  readonly outlets?: ((request: Request) => RunOptions["outlets"]) | undefined;
  /** Members of the message in place of those of the request: `key`, `state`, other headers. */
  readonly message?: ((request: Request) => Message | Promise<Message>) | undefined;
  /** Takes each result before its response: carries out its sends, keeps its state and its recording. Without it a flow that sends fails. */
  readonly result?: ((result: RunResult, request: Request) => void | Promise<void>) | undefined;
  /** Longest body of a request, in bytes; default 1 MiB. */
  readonly bodyBytes?: number | undefined;
}

/**
 * Handlers for routes: the request's body and headers are the message, the reply is the response. A failure is a problem document with its
 * code; its text is in it only if the guest gave a status. A guest sets no cookies and no headers of the connection.
 */
export function expressHandler(
  host: Host,
  options?: HandlerOptions<import("node:http").IncomingMessage>,
): (request: import("node:http").IncomingMessage, response: import("node:http").ServerResponse) => Promise<void>;
export function fastifyHandler(
  host: Host,
  options?: HandlerOptions<FastifyLike["request"]>,
): (request: FastifyLike["request"], reply: FastifyLike["reply"]) => Promise<unknown>;
export function honoHandler(host: Host, options?: HandlerOptions<Request>): (context: HonoLike) => Promise<Response>;
