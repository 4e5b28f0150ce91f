/** Events of a server (Server-Sent Events): a GET whose answer does not end. */
import type { Dispatcher } from "undici";
import { CodedError, isCoded } from "#base";
import { duration, type JsonSchema, newAgent, size, type Source, type SourceContext, type SourceDefinition } from "#gateway/contract";
import { brokerSource, type SourceOpening } from "../shared/broker-source.ts";
import { codeOf, explainNetwork, parseUrl, withoutSecrets } from "../shared/explain.ts";
import type { Delivery } from "../shared/intake.ts";
import { brokerLimits } from "../shared/limits.ts";
import { Position } from "../shared/position.ts";
import { checkTls, readTls, type TlsConfig, tlsSchema } from "../shared/tls.ts";
import { headersOf, incomingOf } from "../shared/wire.ts";
import { EventReader, type SseEvent } from "./events.ts";
import { sseLimits } from "./limits.ts";

export interface SseSourceConfig {
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly bearer?: string;
  readonly events?: readonly string[];
  readonly resume: boolean;
  readonly lastEventId: string;
  readonly contentType: string;
  readonly idleTimeout: number;
  readonly eventLimit: number;
  readonly prefetch?: number;
  readonly tls?: TlsConfig;
}

function createSseSource(config: SseSourceConfig, context: SourceContext): Source {
  const url = parseUrl(config.url, ["http:", "https:"]);
  checkTls(config.url, config.tls, { "http:": "https:" });
  const place = "events";
  const position = config.resume ? new Position(context, `sse ${context.name} ${url.origin}${url.pathname}`) : undefined;
  return brokerSource({
    context,
    peer: withoutSecrets(config.url),
    place,
    prefetch: config.prefetch,
    atMostOnce: !config.resume,
    explain: (peer, _place, error) => explain(peer, config, error),
    async open(opening) {
      const last = (await position?.load(config.lastEventId)) ?? "";
      const body = await openStream(url, config, { context, opening, last });
      const reading = readEvents(body, new EventReader(config.eventLimit, last), { config, context, opening, position });
      reading.catch(opening.lost);
      return { flush: async () => position?.flush() };
    },
  });
}

function explain(peer: string, { idleTimeout }: SseSourceConfig, error: unknown): CodedError {
  if (isCoded(error)) return error;
  const isIdle = codeOf(error) === "UND_ERR_BODY_TIMEOUT";
  return explainNetwork("SSE", peer, isIdle ? new Error(`nothing came within ${idleTimeout} ms`, { cause: undefined }) : error);
}

interface StreamOpening {
  readonly context: SourceContext;
  readonly opening: SourceOpening;
  /** Id of the last event; empty without one. */
  readonly last: string;
}

async function openStream(
  url: URL,
  config: SseSourceConfig,
  { context, opening, last }: StreamOpening,
): Promise<Dispatcher.ResponseData["body"]> {
  const agent = newAgent(1, await readTls(config.tls, context));
  opening.own({ close: () => agent.destroy() });
  const { username, password } = url;
  const user = username === "" ? undefined : `${decodeURIComponent(username)}:${decodeURIComponent(password)}`;
  const answer = await agent.request({
    origin: url.origin,
    path: `${url.pathname}${url.search}`,
    method: "GET",
    headers: {
      ...(user === undefined ? {} : { authorization: `Basic ${Buffer.from(user).toString("base64")}` }),
      ...(config.bearer === undefined ? {} : { authorization: `Bearer ${config.bearer}` }),
      ...config.headers,
      accept: "text/event-stream",
      "cache-control": "no-store",
      ...(last === "" ? {} : { "last-event-id": Buffer.from(last).toString("latin1") }), // UTF-8, as the specification has it
    },
    headersTimeout: brokerLimits.connectMs,
    bodyTimeout: config.idleTimeout,
  });
  const { statusCode, headers, body } = answer;
  body.on("error", () => {}); // told where it is read
  const peer = withoutSecrets(config.url);
  if (statusCode === 401 || statusCode === 403)
    throw new CodedError("MF_SSE_AUTH", `${peer} answered ${statusCode}: check bearer, headers, or user and password in the url`);
  if (statusCode !== 200)
    throw new CodedError("MF_SSE_STATUS", `${peer} answered ${statusCode}, not 200: check the url; redirects are not followed`);
  const type = String(headers["content-type"] ?? "");
  if (!/^text\/event-stream\s*(?:;|$)/i.test(type))
    throw new CodedError("MF_SSE_PROTOCOL", `${peer} answered with another type than text/event-stream: check the url`);
  return body;
}

interface Reading {
  readonly config: SseSourceConfig;
  readonly context: SourceContext;
  readonly opening: SourceOpening;
  readonly position: Position | undefined;
}

/** Reads no further while the flow is busy: the server's bytes wait in its socket. Rejects when the stream ends. */
async function readEvents(body: AsyncIterable<Uint8Array>, reader: EventReader, reading: Reading): Promise<void> {
  const { config, context, opening, position } = reading;
  const { intake } = opening;
  for await (const chunk of body)
    for (const event of reader.read(chunk)) {
      if ((await intake.untilRoom()) === 0) return; // stopping, or lost
      const over = position?.begin(event.position) ?? (() => {});
      if (event.isTooLong) {
        context.metrics.count("too_long");
        context.logger.error({ code: "MF_SSE_LIMIT" }, `an event with more than ${config.eventLimit} bytes was left out: raise eventLimit`);
        over();
      } else if (config.events?.includes(event.type) === false) over();
      else intake.offer(delivery(event, over, reading));
    }
  throw new Error("the server ended the stream");
}

function delivery({ type, data, id }: SseEvent, over: () => void, { config, context }: Reading): Delivery {
  const headers = headersOf([["sse-event", type], ...(id === undefined ? [] : [["sse-id", id] as const])], context);
  const { contentType, resume } = config;
  return {
    incoming: incomingOf({ headers, body: Buffer.from(data), id, contentType, keeper: resume ? "source" : "journal" }, undefined),
    settle: over,
    giveBack: () => {}, // it comes again: the position is before it
  };
}

const text: JsonSchema = { type: "string", minLength: 1 };

export const sseSource: SourceDefinition<SseSourceConfig> = {
  name: "sse",
  summary: "Events of a server: Server-Sent Events (`text/event-stream`).",
  description: `Subscribes with a GET and takes each event as a message; the body is its \`data\`. Order: that of the stream.

- **Delivery**: a server that gives ids goes on after the \`Last-Event-ID\` it is sent. The id up to which every event has ended is kept in the journal and sent at each
  connection, also after a restart: at least once, as far back as the server remembers. Events that come again are recognised by their id (\`dedup\`). Events without an id
  that were in hand when the connection was lost are lost, as those that the server sent meanwhile.
- **Without ids**: with \`resume: false\` events go into the journal at once, and those received before a loss are handed over: at most once.
- **Backpressure**: no more is read than the flow can take; a server that can't wait may close the connection.
- **Connection**: opened again with backoff; the stream's \`retry:\` is ignored. One that is silent for \`idleTimeout\`, comments included, counts as lost. In a cluster one node reads.
- **Headers**: \`sse-event\` (\`message\` where the stream names none) and \`sse-id\`. An id with control characters or of more than ${sseLimits.idCharacters} characters is ignored.
- **Limits**: an event over \`eventLimit\` is left out, logged as \`MF_SSE_LIMIT\` and counted as \`too_long\`.
- **Errors** (retried with backoff, shown by \`/ready\`): \`MF_SSE_AUTH\` (401, 403), \`MF_SSE_STATUS\`, \`MF_SSE_PROTOCOL\`, \`MF_SSE_UNREACHABLE\`, \`MF_SSE_TLS\`.`,
  schema: {
    type: "object",
    additionalProperties: false,
    required: ["url"],
    properties: {
      url: {
        ...text,
        description: "`https://…` or `http://…`; `user:password@` in it is sent as Basic credentials.",
        examples: ["https://feed.example.com/prices"],
      },
      bearer: { ...text, description: "Token, sent as `Authorization: Bearer …`.", examples: ["${FEED_TOKEN}"] },
      headers: {
        type: "object",
        default: {},
        description: "Headers of the request. Names in lower case.",
        propertyNames: { pattern: "^[a-z0-9-]+$", patternErrorMessage: "must be a header name in lower case" },
        additionalProperties: { type: "string" },
      },
      events: {
        type: "array",
        minItems: 1,
        uniqueItems: true,
        items: text,
        description: "Types of events to take. Default: all.",
        examples: [["price", "trade"]],
      },
      resume: { type: "boolean", default: true, description: "false: the server gives no ids." },
      lastEventId: {
        type: "string",
        default: "",
        maxLength: sseLimits.idCharacters,
        description: "Where to begin when nothing is kept yet. Default: where the server begins.",
      },
      contentType: { ...text, default: "application/json", description: "Content type of the messages." },
      idleTimeout: duration("Time without a byte after which the connection counts as lost.", "2m"),
      eventLimit: size("Longest event.", "1MiB"),
      prefetch: { type: "integer", minimum: 1, description: "Maximum number of messages in hand; capped by the flow's queue." },
      tls: tlsSchema,
    },
  },
  example: 'sse: { url: "https://feed.example.com/prices", bearer: "${FEED_TOKEN}", events: [price] }',
  isSingle: () => true,
  create: (config, context) => createSseSource({ ...config, eventLimit: Math.min(config.eventLimit, sseLimits.mostEventBytes) }, context),
};
