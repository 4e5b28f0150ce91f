/**
 * A port that serves gRPC. Sources of several flows share it: each has methods of its own.
 *
 *     metadata ──admit──▶ may call? ──memory for a message──▶ message ──handle──▶ status, reply
 *
 * Memory for the longest message is taken before one is read, and given back once it is there: the library collects a message as a whole.
 */
import { readFile } from "node:fs/promises";
import { resolve } from "node:path";
import { createSecureContext } from "node:tls";
import type * as Grpc from "@grpc/grpc-js";
import { CodedError, isCoded, type MemoryAccount, type MemoryHolder } from "#base";
import type { JsonSchema, SourceContext } from "#gateway/contract";
import { codeOf, messageOf } from "../shared/explain.ts";
import { type GrpcLibrary, loadGrpc } from "./client.ts";
import { grpcLimits } from "./limits.ts";
import { grpcStatus } from "./status.ts";

export interface ServerTls {
  readonly cert: string;
  readonly key: string;
  readonly clientCa?: string;
}

export const serverTlsSchema: JsonSchema = {
  type: "object",
  additionalProperties: false,
  required: ["cert", "key"],
  description:
    "Serves with TLS. PEM files relative to mayfly.yaml, read when the port is opened. Default: without TLS, for a proxy in front.",
  properties: {
    cert: { type: "string", description: "File of the certificate, with those between it and the authority." },
    key: { type: "string", description: "File of its key." },
    clientCa: { type: "string", description: "File of authorities: callers must show a certificate that one of them has signed." },
  },
};

/** Settings that all sources of a port have in common. */
export interface PortSettings {
  readonly host: string;
  readonly port: number;
  readonly bodyLimit: number;
  readonly tls?: ServerTls;
}

/** An answer that ends a call. */
export interface CallEnd {
  readonly code: number;
  readonly details: string;
  readonly metadata?: Grpc.Metadata;
}

export interface ServedMethod {
  readonly path: string;
  /** True while its flow takes nothing more: callers should try again. */
  isStopping: boolean;
  /** The caller's credentials; an end for one that may not call. */
  admit(metadata: Grpc.Metadata): Promise<object> | object;
  handle(call: Grpc.ServerUnaryCall<Buffer, Uint8Array>, admitted: object, end: (end: CallEnd, reply?: Uint8Array) => void): void;
}

const isEnd = (value: object): value is CallEnd => "code" in value && "details" in value;

/** Memory for a message that is on its way. Callers that stall give it back when somebody else needs it. */
class Arrival implements MemoryHolder {
  readonly #account: MemoryAccount;
  readonly #bytes: number;
  readonly #evicted: () => void;
  #isHeld = true;

  constructor(account: MemoryAccount, bytes: number, evicted: () => void) {
    this.#account = account;
    this.#bytes = bytes;
    this.#evicted = evicted;
    account.progressed(this);
  }

  evict(): void {
    this.over();
    this.#evicted();
  }

  over(): void {
    if (!this.#isHeld) return;
    this.#isHeld = false;
    this.#account.left(this);
    this.#account.give(this.#bytes);
  }
}

export class GrpcPort {
  readonly #library: GrpcLibrary;
  readonly #settings: PortSettings;
  readonly #context: SourceContext;
  readonly #server: Grpc.Server;
  readonly #methods = new Map<string, ServedMethod>();
  readonly #admitted = new WeakMap<Grpc.Metadata, object>();

  constructor(library: GrpcLibrary, settings: PortSettings, context: SourceContext) {
    this.#library = library;
    this.#settings = settings;
    this.#context = context;
    this.#server = new library.Server({
      "grpc.max_receive_message_length": settings.bodyLimit,
      "grpc.max_send_message_length": grpcLimits.mostMessageBytes,
      "grpc.max_concurrent_streams": grpcLimits.callsPerConnection,
      "grpc.max_connection_idle_ms": grpcLimits.connectionIdleMs,
      "grpc.keepalive_time_ms": grpcLimits.pingMs,
      "grpc.keepalive_timeout_ms": grpcLimits.pingTimeoutMs,
      "grpc.enable_channelz": 0,
      interceptors: [(method: { path: string }, call: Grpc.ServerInterceptingCallInterface) => this.#intercept(method.path, call)],
    });
  }

  /** Throws MF_GRPC_PORT for an address that can't be listened on, MF_TLS_FILE, MF_GRPC_TLS. */
  async open(): Promise<void> {
    const { host, port } = this.#settings;
    const address = `${host.includes(":") ? `[${host}]` : host}:${port}`;
    const credentials = await this.#credentials();
    await new Promise<void>((done, failed) =>
      this.#server.bindAsync(address, credentials, (cause) => {
        if (cause === null) return done();
        const text = `can't listen on ${address}: ${messageOf(cause)}: choose another port, or end what uses it`;
        failed(new CodedError("MF_GRPC_PORT", text, { cause }));
      }),
    );
  }

  async #credentials(): Promise<Grpc.ServerCredentials> {
    const { ServerCredentials } = this.#library;
    const { tls } = this.#settings;
    if (tls === undefined) return ServerCredentials.createInsecure();
    const read = async (name: string): Promise<Buffer> => {
      try {
        return await readFile(resolve(this.#context.base, name));
      } catch (cause) {
        throw new CodedError("MF_TLS_FILE", `the TLS file ${name} can't be read: check the path under tls:`, { cause });
      }
    };
    const [cert_chain, private_key] = await Promise.all([read(tls.cert), read(tls.key)]);
    const clientCa = tls.clientCa === undefined ? null : await read(tls.clientCa);
    try {
      createSecureContext({ cert: cert_chain, key: private_key, ...(clientCa === null ? {} : { ca: clientCa }) });
      return ServerCredentials.createSsl(clientCa, [{ cert_chain, private_key }], clientCa !== null);
    } catch (cause) {
      const text = `the certificate or key under tls: can't be used (${codeOf(cause)}): check that they are PEM and belong together`;
      throw new CodedError("MF_GRPC_TLS", text, { cause });
    }
  }

  /** Replaces a method that is stopping. Throws MF_GRPC_PORT for one that another source serves. */
  add(method: ServedMethod): void {
    const { path } = method;
    if (this.#methods.get(path)?.isStopping === false)
      throw new CodedError(
        "MF_GRPC_PORT",
        `port ${this.#settings.port} serves ${path} for another source: name the methods of each under method`,
      );
    const isNew = !this.#methods.has(path);
    this.#methods.set(path, method);
    if (isNew)
      this.#server.register(
        path,
        (call: Grpc.ServerUnaryCall<Buffer, Uint8Array>, callback: Grpc.sendUnaryData<Uint8Array>) => this.#handle(path, call, callback),
        (reply: Uint8Array) => Buffer.from(reply.buffer, reply.byteOffset, reply.byteLength),
        (bytes: Buffer) => bytes,
        "unary",
      );
  }

  /** Unless another source serves it by now. */
  remove(method: ServedMethod): void {
    if (this.#methods.get(method.path) !== method) return;
    this.#methods.delete(method.path);
    this.#server.unregister(method.path);
  }

  /** Connections that stay open are cut after a while. */
  async close(): Promise<void> {
    const cut = this.#context.clock.after(grpcLimits.closeMs, () => this.#server.forceShutdown());
    await new Promise<void>((done) => this.#server.tryShutdown(() => done()));
    cut();
  }

  #intercept(path: string, call: Grpc.ServerInterceptingCallInterface): Grpc.ServerInterceptingCall {
    const { ServerInterceptingCall } = this.#library;
    let arrival: Arrival | undefined;
    let isOver = false;
    const end = ({ code, details, metadata }: CallEnd): void => {
      if (isOver) return;
      isOver = true;
      arrival?.over();
      call.sendStatus({ code, details, ...(metadata === undefined ? {} : { metadata }) });
    };
    const admitted = (metadata: Grpc.Metadata, found: object, next: (metadata: Grpc.Metadata) => void): void => {
      if (isOver) return;
      if (isEnd(found)) return end(found);
      const { uploads } = this.#context.memory;
      const bytes = Math.min(this.#settings.bodyLimit, uploads.largestBytes);
      if (!uploads.tryTake(bytes)) return end(this.#busy());
      arrival = new Arrival(uploads, bytes, () => end(this.#busy()));
      this.#admitted.set(metadata, found);
      next(metadata);
    };
    return new ServerInterceptingCall(call, {
      start: (next) =>
        next({
          onReceiveMetadata: (metadata, go) => {
            const method = this.#methods.get(path);
            if (method === undefined || method.isStopping) return end(this.#again("the method is being stopped: call it again"));
            const found = this.#guarded(() => method.admit(metadata));
            if (!(found instanceof Promise)) return admitted(metadata, found, go);
            found.then(
              (late) => admitted(metadata, late, go),
              (error: unknown) => end(this.#failed(error)),
            );
          },
          onReceiveMessage: (message, go) => {
            arrival?.over();
            if (!isOver) go(message);
          },
          onCancel: () => {
            isOver = true;
            arrival?.over();
          },
        }),
      sendStatus: (status, next) => {
        isOver = true;
        arrival?.over();
        next(status);
      },
    });
  }

  #handle(path: string, call: Grpc.ServerUnaryCall<Buffer, Uint8Array>, callback: Grpc.sendUnaryData<Uint8Array>): void {
    let isOver = false;
    const end = ({ code, details, metadata }: CallEnd, reply?: Uint8Array): void => {
      if (isOver) return;
      isOver = true;
      if (reply !== undefined && code === grpcStatus.OK) return callback(null, reply, metadata);
      callback({ code, details: details.slice(0, grpcLimits.statusCharacters), ...(metadata === undefined ? {} : { metadata }) }, null);
    };
    const method = this.#methods.get(path);
    const admitted = this.#admitted.get(call.metadata);
    if (method === undefined || admitted === undefined) return end(this.#again("the method is being stopped: call it again"));
    try {
      method.handle(call, admitted, end);
    } catch (error) {
      end(this.#failed(error));
    }
  }

  #guarded(work: () => Promise<object> | object): Promise<object> | object {
    try {
      return work();
    } catch (error) {
      return this.#failed(error);
    }
  }

  #failed(error: unknown): CallEnd {
    this.#context.unexpected(error, "a gRPC call");
    return { code: grpcStatus.INTERNAL, details: "the call failed in the gateway: its log has the reason" };
  }

  #busy(): CallEnd {
    return this.#again("the gateway is out of memory for messages: call again later");
  }

  #again(details: string): CallEnd {
    return { code: grpcStatus.UNAVAILABLE, details };
  }
}

interface OpenPort {
  readonly settings: string;
  readonly opening: Promise<GrpcPort>;
  users: number;
  closing: Promise<void> | undefined;
}

/** Of this process: a port of the computer is one, whichever flow asks for it. */
const ports = new Map<string, OpenPort>();

/** The port, for one more source. Throws MF_GRPC_PORT and MF_GRPC_CLIENT. */
export async function takePort(settings: PortSettings, context: SourceContext): Promise<GrpcPort> {
  const { host, port } = settings;
  const name = `${host}:${port}`;
  for (let open = ports.get(name); open !== undefined; open = ports.get(name)) {
    if (open.closing !== undefined) {
      await open.closing;
      continue;
    }
    if (open.settings !== settingsText(settings, context))
      throw new CodedError("MF_GRPC_PORT", `another source serves ${name} with other settings: give both the same tls and bodyLimit`);
    open.users += 1;
    return await open.opening;
  }
  const opening = loadGrpc().then(async (library) => {
    const made = new GrpcPort(library, settings, context);
    await made.open();
    return made;
  });
  ports.set(name, { settings: settingsText(settings, context), opening, users: 1, closing: undefined });
  try {
    return await opening;
  } catch (error) {
    ports.delete(name);
    throw isCoded(error) ? error : new CodedError("MF_GRPC_PORT", `can't serve ${name}: ${messageOf(error)}`, { cause: error });
  }
}

function settingsText({ host, port, bodyLimit, tls }: PortSettings, { base }: SourceContext): string {
  return JSON.stringify([host, port, bodyLimit, tls?.cert, tls?.key, tls?.clientCa, tls === undefined ? undefined : base]);
}

/** Closes the port when no source is left. */
export async function leavePort({ host, port }: PortSettings): Promise<void> {
  const name = `${host}:${port}`;
  const open = ports.get(name);
  if (open === undefined || open.closing !== undefined) return;
  open.users -= 1;
  if (open.users > 0) return;
  open.closing = open.opening
    .then((each) => each.close())
    .catch(() => {})
    .finally(() => ports.delete(name));
  await open.closing;
}
