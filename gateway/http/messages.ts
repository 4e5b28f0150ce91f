/** The endpoints of recorded messages: search, one message, its recording and body, resubmit, replay, a flow test of it. */
import { Readable } from "node:stream";
import { encodeRecording } from "#abi";
import { isCoded, parseDuration, toUtf8 } from "#base";
import type { GatewayMemory } from "../contract/memory.ts";
import type { Outcome, ParentMessage } from "../contract/message.ts";
import type { HttpRoutes } from "../contract/http/routes.ts";
import type { HistoryQuery, HistoryReader, MessageStatus, RecordedMessage, ReplayPort, ShownBody } from "../history/history.ts";
import { outcomeJson } from "./admin.ts";
import { type Access, type Answer, flag, flowName, guard, limit, messageId, type Parameter, type Parameters, type Query } from "./guard.ts";

/** The part of the gateway that this needs. */
export interface Messages {
  readonly memory: GatewayMemory;
  /** Throws MF_HISTORY_OFF where nothing is recorded. */
  readonly reader: Pick<HistoryReader, "list" | "show" | "recording">;
  /** Throws MF_REPLAY_MISSING where no one can run a recording. */
  readonly replay: ReplayPort;
  /** Milliseconds since 1970. */
  now(): number;
  resubmit(
    id: string,
    options: { readonly flow: string | undefined; readonly body: Uint8Array | undefined; readonly wait: boolean },
  ): Promise<{
    readonly id: string;
    readonly parent: ParentMessage;
    readonly outcome: Outcome;
  }>;
}

const text = (most: number): Parameter => ({ pattern: new RegExp(`^[^]{1,${most}}$`), says: `1 to ${most} characters` });
const time: Parameter = {
  pattern: /^(\d{1,16}(\.\d+)?|\d+(\.\d+)?(ms|s|m|h|d))$/,
  says: "milliseconds since 1970, or a duration before now such as 24h",
};
const attempt: Parameter = { pattern: /^[1-9]\d{0,9}$/, says: "a whole number from 1" };
const searches: Parameters = {
  flow: flowName,
  status: { pattern: /^(done|failed|dead)$/, says: "done, failed or dead" },
  code: text(256),
  key: text(1024),
  id: messageId,
  correlation: text(1024),
  header: { pattern: /^[!#$%&'*+.^_`|~0-9A-Za-z-]+:[^]*$/, says: "NAME:VALUE" },
  text: text(1000),
  since: time,
  until: time,
  limit,
  cursor: { pattern: /^[-\w.]{1,8000}$/, says: "the `next` of the page before" },
};

function timeOf(given: string | undefined, nowMs: number): number | undefined {
  if (given === undefined) return undefined;
  const ago = parseDuration(given);
  return ago === undefined ? Number(given) : nowMs - ago;
}

function queryOf(query: Query, nowMs: number): HistoryQuery {
  const header = query.get("header");
  const colon = header?.indexOf(":") ?? 0;
  return {
    flow: query.get("flow"),
    status: query.get("status") as MessageStatus | undefined,
    code: query.get("code"),
    key: query.get("key"),
    id: query.get("id"),
    correlationId: query.get("correlation"),
    header: header === undefined ? undefined : { name: header.slice(0, colon).toLowerCase(), value: header.slice(colon + 1).trim() },
    text: query.get("text"),
    sinceMs: timeOf(query.get("since"), nowMs),
    untilMs: timeOf(query.get("until"), nowMs),
    limit: Number(query.get("limit") ?? 100),
    cursor: query.get("cursor"),
  };
}

/** Statuses of problems; any other is 500. */
const statuses: ReadonlyMap<string, number> = new Map([
  ["MF_FLOW_UNKNOWN", 404],
  ["MF_MESSAGE_UNKNOWN", 404],
  ["MF_HISTORY_OFF", 404],
  ["MF_HISTORY_NO_BODY", 409],
  ["MF_HISTORY_REDACTED", 409],
  ["MF_REPLAY_MISSING", 501],
]);

type Answered = Awaited<ReturnType<Answer>>;

/** A problem of the caller's, or of the record, as JSON with a code. */
async function told(task: () => Promise<Answered>): Promise<Answered> {
  try {
    return await task();
  } catch (error) {
    if (!isCoded(error)) throw error;
    return { status: statuses.get(error.code) ?? 500, value: { code: error.code, detail: error.message } };
  }
}

function unknown(id: string): Answered {
  const detail = `no recorded message has the id ${id.slice(0, 200)}: list them with \`mayfly messages ls\`; it may have expired`;
  return { status: 404, value: { code: "MF_MESSAGE_UNKNOWN", detail } };
}

const bytes = (content: Uint8Array): Answered => ({
  bytes: content.length,
  stream: Readable.from([Buffer.from(content)], { objectMode: false }),
});

/** Bytes of a body that was shown; undefined when it was not recorded. */
export function bytesOfShown(body: ShownBody): Uint8Array | undefined {
  if ("omitted" in body) return undefined;
  return "text" in body ? toUtf8(body.text) : new Uint8Array(Buffer.from(body.base64, "base64"));
}

export function addMessages(routes: HttpRoutes, gateway: Messages, access: Access): void {
  type Give = (id: string, query: Query, body: Uint8Array) => Promise<Answered>;
  const guarded = (method: string, path: string, known: Parameters, give: Give): void => {
    const handler = guard(access, gateway.memory, known, (_request, { id = "" }, query, body) => told(() => give(id, query, body)));
    routes.add(method, path, handler);
  };
  const recorded = async (id: string, query: Query, use: (found: RecordedMessage) => Promise<Answered>): Promise<Answered> => {
    const number = query.get("attempt");
    const found = await gateway.reader.recording(id, {
      flow: query.get("flow"),
      attempt: number === undefined ? undefined : Number(number),
    });
    return found === undefined ? unknown(id) : use(found);
  };
  guarded("GET", "/api/messages", searches, async (_id, query) => {
    const { messages, next = null, remarks } = await gateway.reader.list(queryOf(query, gateway.now()));
    return { status: 200, value: { messages, next, remarks } };
  });
  guarded("GET", "/api/messages/:id", { flow: flowName }, async (id, query) => {
    const detail = await gateway.reader.show(id, query.get("flow"));
    return detail === undefined ? unknown(id) : { status: 200, value: detail };
  });
  guarded("GET", "/api/messages/:id/recording", { flow: flowName, attempt }, (id, query) =>
    recorded(id, query, async ({ recording }) => bytes(encodeRecording(recording))),
  );
  guarded("GET", "/api/messages/:id/body", { flow: flowName }, async (id, query) => {
    const detail = await gateway.reader.show(id, query.get("flow"));
    if (detail === undefined) return unknown(id);
    const body = bytesOfShown(detail.body);
    return body === undefined ? noBody(id) : bytes(body);
  });
  guarded("POST", "/api/messages/:id/resubmit", { flow: flowName, edit: flag, wait: flag }, async (id, query, body) => {
    const edited = body.length > 0 || query.get("edit") === "true" ? body : undefined;
    const { outcome, ...linked } = await gateway.resubmit(id, {
      flow: query.get("flow"),
      body: edited,
      wait: query.get("wait") !== "false",
    });
    return { status: outcome.status === "refused" ? 503 : 200, value: { ...linked, outcome: outcomeJson(outcome) } };
  });
  const image: Parameter = { pattern: /^(same|newest)$/, says: "same or newest" };
  guarded("POST", "/api/messages/:id/replay", { flow: flowName, attempt, image }, (id, query) =>
    recorded(id, query, async (found) => ({
      status: 200,
      value: await gateway.replay.replay(found, query.get("image") === "newest" ? "newest" : "same"),
    })),
  );
  guarded("GET", "/api/messages/:id/flow-test", { flow: flowName, attempt }, (id, query) =>
    recorded(id, query, async (found) => bytes(toUtf8(await gateway.replay.flowTest(found)))),
  );
}

function noBody(id: string): Answered {
  const detail = `the body of the message ${id.slice(0, 200)} was not recorded: history.bodies leaves it out, or it was too long`;
  return { status: 409, value: { code: "MF_HISTORY_NO_BODY", detail } };
}
