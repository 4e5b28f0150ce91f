/** To a WebSocket server: each message one frame, over a connection that is kept. */
import { isUtf8 } from "node:buffer";
import {
  type Answer,
  type Attempt,
  gatewayLimits,
  type JsonSchema,
  type Outgoing,
  type Outlet,
  type OutletContext,
  type OutletDefinition,
  OutletError,
} from "#gateway/contract";
import { withoutSecrets } from "../shared/explain.ts";
import { quoteLimits } from "../shared/limits.ts";
import { Link, LossGuard, type Opening, unlessAborted } from "../shared/link.ts";
import {
  boundedFrames,
  checkSocket,
  explainSocket,
  type OpenSocket,
  openSocket,
  type SocketConfig,
  socketErrors,
  socketSchema,
} from "./client.ts";
import { type FrameConfig, framesSchema, pointerSchema, stepsOf, templates, textsAt } from "./frames.ts";
import { websocketLimits } from "./limits.ts";

/** Where an answer has the id of its message, and where the message has it. */
interface Correlation {
  readonly id: string;
  readonly sent?: string;
}

export interface WebSocketOutletConfig extends SocketConfig {
  readonly hello?: FrameConfig | readonly FrameConfig[];
  readonly as?: "text" | "binary";
  readonly proof: "pong" | "none";
  readonly ack?: Correlation & { readonly error?: string };
  readonly reply?: Correlation;
  readonly contentType: string;
}

interface Received {
  readonly body: Uint8Array;
  readonly isBinary: boolean;
  /** The peer's word that it refuses the message. */
  readonly refusal: string | undefined;
}

/** Messages whose answers are awaited, by id. */
class Awaited {
  readonly #place: string;
  readonly #sent: readonly string[];
  readonly #places: readonly (readonly string[])[];
  readonly #waiting = new Map<string, (received: Received) => void>();

  constructor({ id, sent = id, error }: Correlation & { readonly error?: string }) {
    this.#place = sent;
    this.#sent = stepsOf(sent);
    this.#places = [id, ...(error === undefined ? [] : [error])].map(stepsOf);
  }

  /** Begins to wait. `leave` ends it. Throws MF_WEBSOCKET_ID. */
  answerTo(body: Uint8Array): { readonly answer: Promise<Received>; readonly leave: () => void } {
    const [id] = textsAt(body, [this.#sent]);
    if (id === undefined) {
      const how = { retryable: false, origin: "flow" } as const;
      throw new OutletError("MF_WEBSOCKET_ID", `the message has no id at ${this.#place}, by which its answer would be known`, how);
    }
    if (this.#waiting.has(id))
      throw new OutletError("MF_WEBSOCKET_ID", "another message with the same id waits for its answer", { retryable: true });
    const answer = new Promise<Received>((resolve) => this.#waiting.set(id, resolve));
    return { answer, leave: () => void this.#waiting.delete(id) };
  }

  /** True if a message waited for it. */
  take(body: Uint8Array, isBinary: boolean): boolean {
    if (this.#waiting.size === 0) return false;
    const [id, error] = textsAt(body, this.#places);
    const resolve = id === undefined ? undefined : this.#waiting.get(id);
    if (id === undefined || resolve === undefined) return false;
    this.#waiting.delete(id);
    resolve({ body, isBinary, refusal: error === "false" ? undefined : error });
    return true;
  }
}

interface Session {
  readonly open: OpenSocket;
  readonly guard: LossGuard;
  readonly acks: Awaited | undefined;
  readonly replies: Awaited | undefined;
}

const textTypes = /^(?:text\/|application\/(?:[^;]+\+)?(?:json|xml)\s*(?:;|$)|application\/x-www-form-urlencoded)/i;

class WebSocketOutlet implements Outlet {
  readonly #config: WebSocketOutletConfig;
  readonly #context: OutletContext;
  readonly #peer: string;
  readonly #link: Link<Session>;
  /** Absent without `reply`. */
  readonly request?: (message: Outgoing, attempt: Attempt) => Promise<Answer>;

  constructor(config: WebSocketOutletConfig, context: OutletContext) {
    this.#config = config;
    this.#context = context;
    this.#peer = withoutSecrets(config.url);
    const url = checkSocket(config, context);
    this.#link = new Link<Session>({
      context,
      peer: this.#peer,
      open: (opening) => this.#open(opening, url),
      explain: (error) => explainSocket(this.#peer, config, error),
    });
    if (config.reply !== undefined) this.request = (message, attempt) => this.#ask(message, attempt);
  }

  start(): Promise<void> {
    return this.#link.start();
  }

  health(): ReturnType<Outlet["health"]> {
    return this.#link.health();
  }

  stop(): Promise<void> {
    return this.#link.stop();
  }

  async send(message: Outgoing, attempt: Attempt): Promise<void> {
    const session = this.#link.need();
    if (session.acks !== undefined) {
      const { refusal } = await this.#exchange(session, session.acks, message, attempt);
      if (refusal === undefined) return;
      const text = `${this.#peer} refused the message: ${refusal.slice(0, quoteLimits.answer)}`;
      throw new OutletError("MF_WEBSOCKET_REFUSED", text, { retryable: false });
    }
    const written = this.#write(session, message);
    const read = this.#config.proof === "pong" ? written.then(() => session.open.read()) : written;
    await unlessAborted(attempt.signal, session.guard.during(read));
  }

  async #ask(message: Outgoing, attempt: Attempt): Promise<Answer> {
    const session = this.#link.need();
    const { body, isBinary } = await this.#exchange(session, session.replies as Awaited, message, attempt);
    const contentType = isBinary ? "application/octet-stream" : this.#config.contentType;
    return { status: 200, contentType, headers: {}, body: Uint8Array.from(body) };
  }

  async #exchange(session: Session, awaited: Awaited, message: Outgoing, attempt: Attempt): Promise<Received> {
    const { answer, leave } = awaited.answerTo(message.body);
    try {
      const both = Promise.all([answer, this.#write(session, message)]).then(([received]) => received);
      return await unlessAborted(attempt.signal, session.guard.during(both));
    } finally {
      leave();
    }
  }

  /** Resolves when the frame is with the operating system. */
  async #write({ open: { socket } }: Session, { body, contentType }: Outgoing): Promise<void> {
    const { as = textTypes.test(contentType) ? "text" : "binary" } = this.#config;
    if (as === "text" && !isUtf8(body)) {
      const text = "a text frame must be UTF-8, and the body is not: send it with a binary content type, or set as: binary";
      throw new OutletError("MF_WEBSOCKET_TEXT", text, { retryable: false, origin: "flow" });
    }
    if (socket.bufferedAmount > websocketLimits.unreadBytes)
      throw new OutletError("MF_WEBSOCKET_BUSY", `${this.#peer} does not read: ${socket.bufferedAmount} bytes wait for it`, {
        retryable: true,
      });
    await new Promise<void>((resolve, reject) => {
      socket.send(body, { binary: as === "binary" }, (error) => {
        if (error === undefined || error === null) return resolve();
        const { code, message } = explainSocket(this.#peer, this.#config, error);
        reject(new OutletError(code, message, { retryable: true, cause: error }));
      });
    });
  }

  async #open(opening: Opening, url: URL): Promise<Session> {
    const config = this.#config;
    const guard = new LossGuard();
    const lost = (error: unknown): void => {
      opening.lost(error);
      guard.lost();
    };
    const open = await openSocket(config, { context: this.#context, opening: { ...opening, lost }, url });
    const acks = config.ack === undefined ? undefined : new Awaited(config.ack);
    const replies = config.reply === undefined ? undefined : new Awaited(config.reply);
    open.socket.on("message", (data: Buffer, isBinary: boolean) => {
      const isAwaited = acks?.take(data, isBinary) === true || replies?.take(data, isBinary) === true;
      if (!isAwaited) this.#context.metrics.count("unasked");
    });
    for (const frame of templates(config.hello, "")) open.socket.send(frame.fill(""));
    open.resume();
    return { open, guard, acks, replies };
  }
}

const correlation: Readonly<Record<string, JsonSchema>> = {
  id: { ...pointerSchema, description: "Where the answer has the id: `json:/pointer`.", examples: ["json:/id"] },
  sent: { ...pointerSchema, description: "Where the message has it. Default: as `id`.", examples: ["json:/id"] },
};

export const websocketOutlet: OutletDefinition<WebSocketOutletConfig> = {
  name: "websocket",
  summary: "To a WebSocket server, over a connection that is kept (RFC 6455).",
  description: `Each message is one frame. Needs the package \`ws\`: \`npm install ws@8\`.

- **Send** without \`ack\`: counts as sent when the server has answered a ping that was written behind it. Its WebSocket library has read the message then, or that of a
  proxy in between; the application may still lose it. With \`proof: none\` it counts as sent when it is written to the network, which proves nothing about the server.
- **Send** with \`ack\`: counts as sent when the server has sent a frame with the same id. One with a value at \`error\` (other than null and false) refuses the message:
  \`MF_WEBSOCKET_REFUSED\`, not tried again.
- **Request** with \`reply\`: the frame with the same id is the answer, with status 200.
- **Loss**: of the connection before that fails the attempt, which is retried: the server may get a message twice. A frame has no place for the idempotency key, the
  headers and the content type: put into the body what the server needs.
- **Frames**: text for \`text/…\`, JSON, XML and forms, else binary, unless \`as\` says otherwise. Text that is not UTF-8 is \`MF_WEBSOCKET_TEXT\`.
- **Order**: that of the sends; one that is retried comes behind others of other keys.
- **Frames of the server** that nobody waits for are counted as \`unasked\`, and dropped.
- **Connection**: opened again with backoff; \`heartbeat\` finds a dead one.
- **Errors**: ${socketErrors}; \`MF_WEBSOCKET_ID\` (the message has no id, or one that another waits with), \`MF_WEBSOCKET_BUSY\` (the server does not read).`,
  answers: true,
  schema: {
    type: "object",
    additionalProperties: false,
    required: ["url"],
    properties: {
      url: {
        type: "string",
        minLength: 1,
        description: "`wss://…` or `ws://…`; `user:password@` in it is sent as Basic credentials.",
        examples: ["wss://orders.example.com/socket"],
      },
      hello: framesSchema("Frames that are sent first: a text, an object that is sent as JSON, or a list of them.", [
        '{ op: login, token: "${TOKEN}" }',
      ]),
      as: { type: "string", enum: ["text", "binary"], description: "Kind of the frames. Default: by the content type." },
      proof: {
        type: "string",
        enum: ["pong", "none"],
        default: "pong",
        description: "Without `ack`: what a send waits for. `none` is for servers that count pings.",
      },
      ack: {
        type: "object",
        additionalProperties: false,
        required: ["id"],
        description: "A send waits for a frame of the server.",
        properties: {
          ...correlation,
          error: { ...pointerSchema, description: "Where it says that it refuses the message.", examples: ["json:/error"] },
        },
      },
      reply: {
        type: "object",
        additionalProperties: false,
        required: ["id"],
        description: "A request waits for a frame of the server.",
        properties: correlation,
      },
      contentType: { type: "string", minLength: 1, default: "application/json", description: "Content type of answers that are text." },
      ...socketSchema(`Longest message of the server; answers have up to ${gatewayLimits.answerBytes / 2 ** 20}MiB`),
    },
  },
  example:
    'websocket: { url: "wss://orders.example.com/socket", auth: { bearer: "${ORDERS_TOKEN}" }, ack: { id: json:/id, error: json:/error } }',
  create: (config, context) => new WebSocketOutlet(boundedFrames(config), context),
};
