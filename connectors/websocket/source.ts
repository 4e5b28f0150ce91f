/** Messages of a server, over a WebSocket that Mayfly opens. */
import { CodedError, Queue } from "#base";
import type { JsonSchema, Source, SourceContext, SourceDefinition } from "#gateway/contract";
import { brokerSource, type SourceOpening } from "../shared/broker-source.ts";
import { withoutSecrets } from "../shared/explain.ts";
import type { Delivery } from "../shared/intake.ts";
import { type Closable } from "../shared/link.ts";
import { Position } from "../shared/position.ts";
import { headersOf, incomingOf } from "../shared/wire.ts";
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
import { type FrameConfig, framesSchema, FrameTemplate, isUsable, pointerSchema, stepsOf, templates, textsAt } from "./frames.ts";
import { websocketLimits } from "./limits.ts";

export interface WebSocketSourceConfig extends SocketConfig {
  readonly subscribe?: FrameConfig | readonly FrameConfig[];
  readonly resume?: FrameConfig | readonly FrameConfig[];
  readonly id?: string;
  readonly ack?: FrameConfig;
  readonly lastId: string;
  readonly stream?: string;
  readonly contentType: string;
  readonly prefetch?: number;
}

const place = "{lastId}";

/** A configuration, read. */
interface Feed {
  readonly config: WebSocketSourceConfig;
  readonly context: SourceContext;
  /** Frames of a connection without and with a position. */
  readonly subscribe: readonly FrameTemplate[];
  readonly resume: readonly FrameTemplate[];
  readonly ack: FrameTemplate | undefined;
  readonly idSteps: readonly string[] | undefined;
  readonly position: Position;
  /** The server gives messages again that had not ended. */
  readonly keeps: boolean;
}

/** Throws MF_WEBSOCKET_ID for a place that no id would fill. */
function feedOf(config: WebSocketSourceConfig, context: SourceContext): Feed {
  const subscribe = templates(config.subscribe, "lastId");
  const resume = config.resume === undefined ? subscribe : templates(config.resume, "lastId");
  const ack = config.ack === undefined ? undefined : new FrameTemplate(config.ack, "id");
  const resumes = config.url.includes(place) || [...subscribe, ...resume].some((frame) => frame.hasPlace);
  if (config.id === undefined && (resumes || ack?.hasPlace === true))
    throw new CodedError("MF_WEBSOCKET_ID", "{lastId} and {id} stand for the id of a message: say where it is, for example id: json:/id");
  const fact = `websocket ${context.name} ${config.stream ?? withoutSecrets(config.url)}`;
  return {
    config,
    context,
    subscribe,
    resume,
    ack,
    idSteps: config.id === undefined ? undefined : stepsOf(config.id),
    position: new Position(context, resumes ? fact : undefined),
    keeps: resumes || ack !== undefined,
  };
}

function createWebSocketSource(config: WebSocketSourceConfig, context: SourceContext): Source {
  checkSocket(config, context);
  const feed = feedOf(config, context);
  return brokerSource({
    context,
    peer: withoutSecrets(config.url.replaceAll(place, "")),
    place: "messages",
    prefetch: config.prefetch,
    atMostOnce: !feed.keeps,
    explain: (peer, _place, error) => explainSocket(peer, config, error),
    async open(opening) {
      const last = await feed.position.load(config.lastId);
      const frames = last === "" ? feed.subscribe : feed.resume;
      if (last !== config.lastId && !frames.every((frame) => frame.fits(last)))
        throw new CodedError(
          "MF_WEBSOCKET_ID",
          "the id that is kept does not fit into the frames: write them as JSON, or give stream another name",
        );
      const url = new URL(config.url.replaceAll(place, () => encodeURIComponent(last)));
      const open = await openSocket(config, { context, opening, url });
      const reader = opening.own(new FrameReader(feed, opening, { open, last }));
      open.socket.on(
        "message",
        opening.callback((data: Buffer, isBinary: boolean) => reader.take(data, isBinary)),
      );
      for (const frame of frames) open.socket.send(frame.fill(last));
      reader.begin();
      return { end: async () => reader.end(), flush: () => feed.position.flush() };
    },
  });
}

interface Frame {
  readonly body: Uint8Array;
  readonly isBinary: boolean;
}

interface Begin {
  readonly open: OpenSocket;
  /** Id of the last message before; empty without one. */
  readonly last: string;
}

/**
 * Frames of one connection. While the flow is busy the socket is paused; frames that its last bytes contained wait here. These are 64 KiB,
 * or what they decompress to, at most a thousand times as much.
 */
class FrameReader implements Closable {
  readonly #feed: Feed;
  readonly #opening: SourceOpening;
  readonly #open: OpenSocket;
  readonly #waiting = new Queue<Frame>();
  /** Id of the last message that had one. */
  #last: string;
  #isReading = false;
  #isClosed = false;

  constructor(feed: Feed, opening: SourceOpening, { open, last }: Begin) {
    this.#feed = feed;
    this.#opening = opening;
    this.#open = open;
    this.#last = last;
  }

  take(body: Uint8Array, isBinary: boolean): void {
    if (this.#isClosed) return;
    this.#feed.context.memory.requests.force(body.length);
    this.#waiting.push({ body, isBinary });
    if (!this.#isReading) this.begin();
  }

  /** Reads no more. A server that keeps nothing will not send again what is here. */
  end(): void {
    this.#isClosed = true;
    this.#open.pause();
    for (let frame = this.#shift(); frame !== undefined; frame = this.#shift()) if (!this.#feed.keeps) this.#offer(frame);
  }

  close(): void {
    this.end();
  }

  /** Waits for room before the first frame, too: connections that are lost again and again must not fill the memory. */
  begin(): void {
    this.#isReading = true;
    this.#read().catch(this.#opening.lost);
  }

  async #read(): Promise<void> {
    const { intake } = this.#opening;
    do {
      if (intake.room === 0) this.#open.pause();
      const room = await intake.untilRoom();
      if (this.#isClosed) return;
      if (room === 0) return this.end(); // stopping, or lost
      const frame = this.#shift();
      if (frame !== undefined) this.#offer(frame);
    } while (this.#waiting.length > 0);
    this.#isReading = false;
    this.#open.resume();
  }

  #shift(): Frame | undefined {
    const frame = this.#waiting.shift();
    if (frame !== undefined) this.#feed.context.memory.requests.give(frame.body.length);
    return frame;
  }

  #offer({ body, isBinary }: Frame): void {
    const { config, context, position, keeps } = this.#feed;
    const id = this.#idOf(body);
    if (id !== undefined) this.#last = id;
    const over = position.begin(this.#last, () => this.#acknowledge(id));
    const delivery: Delivery = {
      incoming: incomingOf(
        {
          headers: headersOf(id === undefined ? [] : [["websocket-id", id]], context),
          body,
          id,
          contentType: isBinary ? "application/octet-stream" : config.contentType,
          keeper: keeps ? "source" : "journal",
        },
        undefined,
      ),
      settle: over,
      giveBack: () => {}, // it comes again: the position is before it
    };
    this.#opening.intake.offer(delivery);
  }

  /** Messages are acknowledged in their order: an acknowledgement may be meant for all before it. */
  #acknowledge(id: string | undefined): void {
    const { ack } = this.#feed;
    const { socket } = this.#open;
    if (ack === undefined || (ack.hasPlace && id === undefined) || socket.readyState !== socket.OPEN) return;
    socket.send(ack.fill(id ?? ""), () => {}); // a failure shows as a loss
  }

  #idOf(body: Uint8Array): string | undefined {
    const { idSteps, subscribe, resume, ack, context } = this.#feed;
    const id = idSteps === undefined ? undefined : textsAt(body, [idSteps])[0];
    if (id === undefined) return undefined;
    if (isUsable(id) && [...subscribe, ...resume].every((frame) => frame.fits(id)) && ack?.fits(id) !== false) return id;
    context.metrics.count("id_ignored");
    return undefined;
  }
}

const text: JsonSchema = { type: "string", minLength: 1 };

export const websocketSource: SourceDefinition<WebSocketSourceConfig> = {
  name: "websocket",
  summary: "Messages of a server, over a WebSocket that Mayfly opens (RFC 6455).",
  description: `Connects, sends the frames of \`subscribe\`, and takes each text or binary message of the server as one message. Order: that of the connection. Needs the
package \`ws\`: \`npm install ws@8\`.

- **Resumed**: with \`id\` and \`{lastId}\` in \`resume\`, \`subscribe\` or \`url\`. The id up to which every message has ended is kept in the journal and shown at each connection, also
  after a restart: at least once, as far back as the server remembers. Messages that come again are recognised by their id (\`dedup\`). One without an id counts as a part
  of the message before it.
- **Acknowledged**: with \`ack\`, a frame that is sent once the effects of a message and of all before it are committed; at least once, if the server gives
  again what was not acknowledged. With \`{id}\` in it, messages without an id are not acknowledged.
- **Neither**: messages go into the journal at once, and those received before a loss are handed over: at most once. What the server sends meanwhile is lost.
- **Placeholders**: in JSON an id is escaped; in another text it may have letters, digits and \`_.:+/=~@-\` only. An id that does not fit, has control characters or more
  than ${websocketLimits.idCharacters} characters is ignored and counted as \`id_ignored\`.
- **Backpressure**: the socket is not read while the flow is busy; a server that can't wait, or wants its pings answered meanwhile, may close the connection.
- **Connection**: opened again with backoff. \`heartbeat\` finds a dead one, except while the flow is busy. In a cluster one node reads.
- **Headers**: \`websocket-id\`.
- **Limits**: a message over \`frameLimit\` ends the connection, \`MF_WEBSOCKET_LIMIT\`; one that the server keeps comes again until \`frameLimit\` is raised.
- **Errors** (retried with backoff, shown by \`/ready\`): ${socketErrors}.`,
  schema: {
    type: "object",
    additionalProperties: false,
    required: ["url"],
    properties: {
      url: {
        ...text,
        description: "`wss://…` or `ws://…`, may contain `{lastId}`; `user:password@` in it is sent as Basic credentials.",
        examples: ["wss://feed.example.com/prices"],
      },
      subscribe: framesSchema(
        "Frames that are sent first: a text, an object that is sent as JSON, or a list of them. `{lastId}` stands for the last id.",
        ['{ op: subscribe, channel: prices, after: "{lastId}" }'],
      ),
      resume: framesSchema("Sent in place of `subscribe` once an id is known.", ['{ op: resume, after: "{lastId}" }']),
      id: { ...pointerSchema, description: "Where a message has its id: `json:/pointer`.", examples: ["json:/seq"] },
      ack: {
        type: ["string", "object"],
        minLength: 1,
        maxLength: websocketLimits.openingCharacters,
        description: "Frame that acknowledges a message, with `{id}` for its id.",
        examples: ['{ ack: "{id}" }'],
      },
      lastId: {
        type: "string",
        default: "",
        maxLength: websocketLimits.idCharacters,
        description: "`{lastId}` when nothing is kept yet.",
      },
      stream: {
        ...text,
        description:
          "Name of the position, where one `url` has several streams; another name begins anew. Default: the url without its query.",
      },
      contentType: {
        ...text,
        default: "application/json",
        description: "Content type of text messages; binary ones have `application/octet-stream`.",
      },
      prefetch: { type: "integer", minimum: 1, description: "Maximum number of messages in hand; capped by the flow's queue." },
      ...socketSchema("Longest message"),
    },
  },
  example: 'websocket: { url: "wss://feed.example.com/prices", id: json:/seq, subscribe: { op: subscribe, after: "{lastId}" } }',
  isSingle: () => true,
  create: (config, context) => createWebSocketSource(boundedFrames(config), context),
};
