/** The optional package of WebSocket, a connection that is watched, and errors in our words. */
import type { IncomingMessage } from "node:http";
import type { ClientOptions, WebSocket } from "ws";
import { CodedError, isCoded } from "#base";
import { type ConnectorContext, duration, type JsonSchema, size } from "#gateway/contract";
import { codeOf, explainNetwork, messageOf, parseUrl, withoutSecrets } from "../shared/explain.ts";
import { brokerLimits } from "../shared/limits.ts";
import { heartbeat, type Opening } from "../shared/link.ts";
import { checkTls, readTls, type TlsConfig, tlsSchema } from "../shared/tls.ts";
import { checkAuth, shownHeaders, type SocketAuth, socketAuthSchema } from "./auth.ts";
import { websocketLimits } from "./limits.ts";

export interface SocketConfig {
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly auth?: SocketAuth;
  readonly protocols: readonly string[];
  readonly compression: boolean;
  readonly heartbeat: number;
  readonly frameLimit: number;
  readonly tls?: TlsConfig;
}

type Library = typeof import("ws");

/** Throws MF_WEBSOCKET_CLIENT when the package is not installed. */
export async function loadWebSocket(load: () => Promise<Library> = () => import("ws")): Promise<Library> {
  try {
    return await load();
  } catch (cause) {
    if (codeOf(cause) !== "ERR_MODULE_NOT_FOUND") throw cause;
    throw new CodedError("MF_WEBSOCKET_CLIENT", "the client for WebSocket is not installed: run `npm install ws@8` beside mayfly", {
      cause,
    });
  }
}

/** The peer's close frame, or its absence. */
class SocketClosed extends Error {
  readonly closeCode: number;
  readonly reason: string;

  constructor(closeCode: number, reason: Uint8Array) {
    super("the connection ended without a close frame");
    this.closeCode = closeCode;
    this.reason = Buffer.from(reason)
      .toString("utf8")
      .slice(0, websocketLimits.reasonCharacters)
      .replace(/[\p{Cc}\p{Cf}]/gu, " ");
  }
}

/** RFC 6455, 7.4.1, and IANA's registry of close codes. */
const closeMeanings: ReadonlyMap<number, string> = new Map([
  [1000, "normal closure"],
  [1001, "going away"],
  [1002, "protocol error"],
  [1003, "it takes no data of this kind: set `as`"],
  [1005, "no reason"],
  [1007, "it could not read the data: see content type and `as`"],
  [1008, "its policy forbids it: check auth, headers and the frames that are sent first"],
  [1009, "the message is too long for it: send less"],
  [1010, "it wants an extension: see compression"],
  [1011, "it failed"],
  [1012, "it restarts"],
  [1013, "it is busy"],
  [1014, "a server behind it failed"],
  [3000, "unauthorized: check auth"],
  [3003, "forbidden: check auth"],
  [3008, "timeout"],
]);

const refusals = new Set([3000, 3003]);

/** Errors of the handshake have no code: the client says what the server did. */
const handshake = /^(?:Invalid |Server sent |Unexpected server response)/;

export function explainSocket(peer: string, { frameLimit }: Pick<SocketConfig, "frameLimit">, error: unknown): CodedError {
  if (isCoded(error)) return error;
  if (error instanceof SocketClosed && error.closeCode !== 1006) return explainClose(peer, error);
  const code = codeOf(error);
  const how = { cause: error };
  if (code === "WS_ERR_UNSUPPORTED_MESSAGE_LENGTH")
    return new CodedError("MF_WEBSOCKET_LIMIT", `${peer} sent a message of more than ${frameLimit} bytes: raise frameLimit`, how);
  if (code === "WS_ERR_TOO_MANY_BUFFERED_PARTS")
    return new CodedError("MF_WEBSOCKET_LIMIT", `${peer} sent a message in more than ${websocketLimits.fragments} fragments`, how);
  if (code.startsWith("WS_ERR_") || code.startsWith("HPE_") || (code === "" && handshake.test(messageOf(error))))
    return new CodedError("MF_WEBSOCKET_PROTOCOL", `${peer} does not speak WebSocket as RFC 6455 has it: ${messageOf(error)}`, how);
  return explainNetwork("WEBSOCKET", peer, error);
}

function explainClose(peer: string, error: SocketClosed): CodedError {
  const { closeCode, reason } = error;
  const meaning = closeMeanings.get(closeCode) ?? "a code of its own";
  return new CodedError(
    refusals.has(closeCode) ? "MF_WEBSOCKET_AUTH" : "MF_WEBSOCKET_CLOSED",
    `${peer} closed the connection with ${closeCode}, ${meaning}${reason === "" ? "" : `; it said: ${reason}`}`,
    { cause: error },
  );
}

function explainStatus(peer: string, { statusCode = 0 }: IncomingMessage): CodedError {
  if (statusCode === 401 || statusCode === 403)
    return new CodedError("MF_WEBSOCKET_AUTH", `${peer} answered ${statusCode}: check auth, headers, or user and password in the url`);
  const text = `${peer} answered ${statusCode}, not 101: check the url; redirects are not followed`;
  return new CodedError("MF_WEBSOCKET_STATUS", text);
}

/**
 * Pings with a number each. A pong proves that the peer has read all frames before its ping; of several pings the peer may answer the last
 * alone (RFC 6455, 5.5.3).
 */
class Pings {
  readonly #socket: WebSocket;
  #count = 0;
  /** Those whom the ping with the number `#asked` covers, and those for the next. */
  #asked = 0;
  #covered: (() => void)[] = [];
  #next: (() => void)[] = [];

  constructor(socket: WebSocket) {
    this.#socket = socket;
    socket.on("pong", (data) => this.#pong(Number(data.toString("latin1"))));
  }

  send(): number {
    this.#count += 1;
    this.#socket.ping(String(this.#count), undefined, () => {}); // a failure shows as a loss
    return this.#count;
  }

  /** Resolves when the peer has read all that was written so far. Stays pending when the connection is lost. */
  answered(): Promise<void> {
    return new Promise((resolve) => {
      this.#next.push(resolve);
      if (this.#covered.length === 0) this.#ask();
    });
  }

  #ask(): void {
    this.#covered = this.#next;
    this.#next = [];
    this.#asked = this.send();
  }

  #pong(number: number): void {
    if (this.#covered.length === 0 || !(number >= this.#asked && number <= this.#count)) return;
    for (const resolve of this.#covered.splice(0)) resolve();
    if (this.#next.length > 0) this.#ask();
  }
}

/** An open connection. It is paused until `resume` is called. */
export class OpenSocket {
  readonly socket: WebSocket;
  readonly #pings: Pings;
  #waiting: (() => void)[] = [];

  constructor(socket: WebSocket) {
    this.socket = socket;
    this.#pings = new Pings(socket);
    for (const event of ["message", "ping", "pong"] as const) socket.on(event, () => this.#heard());
  }

  pause(): void {
    this.socket.pause();
    this.#heard(); // a pong that comes now is not read
  }

  resume(): void {
    this.socket.resume();
  }

  /** Resolves when the peer has read all that was written so far. Stays pending when the connection is lost. */
  read(): Promise<void> {
    return this.#pings.answered();
  }

  /** Resolves when anything comes of the peer, or nothing is read of it. */
  alive(): Promise<void> {
    if (this.socket.isPaused) return Promise.resolve();
    this.#pings.send();
    return new Promise((resolve) => this.#waiting.push(resolve));
  }

  async close(): Promise<void> {
    const { socket } = this;
    if (socket.readyState === socket.CLOSED) return;
    await new Promise<void>((resolve) => {
      socket.once("close", () => resolve());
      socket.resume(); // its close frame is behind what was not read
      socket.close(1000);
    });
  }

  #heard(): void {
    for (const resolve of this.#waiting.splice(0)) resolve();
  }
}

/** Throws MF_CONFIG_URL, MF_CONFIG_TLS, MF_HEADER_INVALID and what OAuth2Credentials throws. */
export function checkSocket(config: SocketConfig, context: ConnectorContext): URL {
  const url = parseUrl(config.url, ["ws:", "wss:"]);
  if (url.hash !== "") throw new CodedError("MF_CONFIG_URL", "url must have no fragment (#…)");
  checkTls(config.url, config.tls, { "ws:": "wss:" });
  checkAuth({ url, headers: config.headers, auth: config.auth }, context);
  return url;
}

interface SocketOpening {
  readonly context: ConnectorContext;
  readonly opening: Opening;
  readonly url: URL;
}

/** Connects and watches the connection; its losses go to `opening.lost`. */
export async function openSocket(config: SocketConfig, { context, opening, url }: SocketOpening): Promise<OpenSocket> {
  const { WebSocket } = await loadWebSocket();
  const headers = await shownHeaders({ url, headers: config.headers, auth: config.auth }, context, opening);
  const bare = new URL(url);
  bare.username = bare.password = "";
  const options: ClientOptions & { readonly closeTimeout: number; readonly maxPendingAutoPongs: number } = {
    ...(await readTls(config.tls, context)),
    headers: { ...headers },
    handshakeTimeout: brokerLimits.connectMs,
    closeTimeout: brokerLimits.closeMs,
    maxPayload: config.frameLimit,
    maxFragments: websocketLimits.fragments,
    maxPendingAutoPongs: websocketLimits.pendingPongs,
    perMessageDeflate: config.compression,
  };
  const socket = new WebSocket(bare, [...config.protocols], options);
  const open = await opened(socket, withoutSecrets(config.url), opening.lost);
  opening.own(open);
  opening.own({ close: heartbeat(context, config.heartbeat, () => open.alive(), opening.lost) });
  return open;
}

function opened(socket: WebSocket, peer: string, lost: (error: unknown) => void): Promise<OpenSocket> {
  return new Promise((resolve, reject) => {
    let isOpen = false;
    const failed = (error: unknown): void => (isOpen ? lost(error) : reject(error as Error));
    socket.on("error", failed);
    socket.on("close", (code, reason) => failed(new SocketClosed(code, reason)));
    socket.on("unexpected-response", (request, response) => {
      failed(explainStatus(peer, response));
      request.destroy();
    });
    socket.on("open", () => {
      isOpen = true;
      socket.pause(); // frames may have come with the handshake, and nobody listens yet
      resolve(new OpenSocket(socket));
    });
  });
}

const text: JsonSchema = { type: "string", minLength: 1 };

/** `limited`: what `frameLimit` bounds. */
export function socketSchema(limited: string): Readonly<Record<string, JsonSchema>> {
  return {
    headers: {
      type: "object",
      default: {},
      description: "Headers of the handshake. Names in lower case.",
      propertyNames: { pattern: "^[a-z0-9-]+$", patternErrorMessage: "must be a header name in lower case" },
      additionalProperties: { type: "string" },
    },
    auth: socketAuthSchema,
    protocols: {
      type: "array",
      default: [],
      uniqueItems: true,
      items: { ...text, pattern: "^[!#$%&'*+.^_`|~0-9A-Za-z-]+$", patternErrorMessage: "must be the name of a subprotocol" },
      description: "Subprotocols that are offered; the server must take one of them.",
      examples: [["v2.feed"]],
    },
    compression: { type: "boolean", default: false, description: "true: messages may be compressed (permessage-deflate)." },
    heartbeat: duration("Interval of pings. A peer from which nothing comes within the same time counts as lost.", "30s"),
    frameLimit: size(`${limited}; at most ${websocketLimits.mostFrameBytes / 2 ** 20}MiB.`, `${websocketLimits.frameBytes / 2 ** 20}MiB`),
    tls: tlsSchema,
  };
}

export const boundedFrames = <C extends SocketConfig>(config: C): C => ({
  ...config,
  frameLimit: Math.min(config.frameLimit, websocketLimits.mostFrameBytes),
});

/** Errors of both directions, for their descriptions. */
export const socketErrors =
  "`MF_WEBSOCKET_AUTH` (401, 403, or closed with 3000, 3003), `MF_WEBSOCKET_STATUS`, `MF_WEBSOCKET_CLOSED` (the code of the close frame and its meaning), `MF_WEBSOCKET_LIMIT`, `MF_WEBSOCKET_PROTOCOL`, `MF_WEBSOCKET_UNREACHABLE`, `MF_WEBSOCKET_TLS`, `MF_WEBSOCKET_CLIENT` (the client is not installed: `npm install ws@8`)";
