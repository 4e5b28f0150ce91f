/** Tools that only read. They need no permission, and no gateway that runs but for `flows` and `functions`. */
import { partOf } from "./bounded.ts";
import { mcpLimits } from "./limits.ts";
import { count, flowName, options, placed, text, time, type Tool } from "./tool.ts";

const id = text("The message's id, as search_messages shows it.");

interface Letter {
  readonly attempts: readonly { readonly failure: object; readonly [name: string]: unknown }[];
  readonly [name: string]: unknown;
}

/** Letters without what history may hide: body, headers, logs. */
function shownLetters(value: unknown): unknown {
  const letters = (value as readonly Letter[]).map(({ headers: _headers, attempts, ...letter }) => ({
    ...letter,
    attempts: attempts.map(({ logs: _logs, ...attempt }) => attempt),
  }));
  return { letters, note: "for body, headers and logs use show_message with the letter's messageId: there they are as history keeps them" };
}

export const readingTools: readonly Tool[] = [
  {
    name: "search_messages",
    title: "Search messages",
    description:
      "Finished messages, newest first: id, flow, key, status (done, failed: the caller was told; dead: there is a dead letter), error, times. All filters given must match.",
    properties: {
      flow: flowName,
      status: { enum: ["done", "failed", "dead"], description: "How the message ended." },
      code: text("Code of the failure, such as MF_OUTLET_TIMEOUT."),
      key: text("The message's key: what its flow orders by, such as an order's number."),
      id: text("The message's id."),
      correlation: text("The correlation id."),
      header: { ...text("A header it came with, as `name: value`."), pattern: "^[!#$%&'*+.^_`|~0-9A-Za-z-]+:[^\\u0000]*$" },
      text: text("A text in a body, header, send, log line or error. Slower than the other filters."),
      since: time,
      until: time,
      limit: count("At most so many.", mcpLimits.searched, 20),
    },
    command: (given, project) => ({
      values: [
        "messages",
        "ls",
        ...placed(project),
        ...options({ limit: 20, ...given }, [
          "flow",
          "status",
          "code",
          "key",
          "id",
          "correlation",
          "header",
          "text",
          "since",
          "until",
          "limit",
        ]),
      ],
    }),
  },
  {
    name: "show_message",
    title: "Show a message",
    description:
      "One finished message whole: body, headers, each attempt with its image, steps, calls and answers, logs, sends, state changes and error, each delivery, and its relatives. Long texts are cut: give pointer and offset to read on.",
    properties: {
      id,
      flow: { ...flowName, description: "The flow, where two have a message of that id." },
      pointer: {
        type: "string",
        pattern: "^(/[^\\u0000]{0,200}){0,20}$",
        maxLength: mcpLimits.argumentCharacters,
        description: "JSON pointer to a part, such as /body/text.",
      },
      offset: { type: "integer", minimum: 0, maximum: 2 ** 31, description: "Characters of the text at pointer to pass over." },
    },
    required: ["id"],
    command: (given, project) => ({
      values: ["messages", "show", ...placed(project), ...options(given, ["flow"]), "--", String(given["id"])],
    }),
    shown: (value, { pointer = "", offset = 0 }) => partOf(value, String(pointer), Number(offset)),
  },
  {
    name: "trace",
    title: "Trace a key",
    description:
      "All messages of a key, of a correlation id, or one message with those it came from and caused, over all flows: `timeline` in the order of time. Give exactly one of key, correlation and id.",
    properties: { key: text("Such as an order's number."), correlation: text("The correlation id."), id, flow: flowName },
    command: (given, project) => ({ values: ["trace", ...placed(project), ...options(given, ["key", "correlation", "id", "flow"])] }),
    shown: (value) => ({
      timeline: (value as { readonly timeline: unknown }).timeline,
      messages: (value as { readonly messages: readonly Readonly<Record<string, unknown>>[] }).messages.map(
        ({ id: name, flow, key, status, error }) => ({ id: name, flow, key, status, error }),
      ),
    }),
  },
  {
    name: "dead_letters",
    title: "List dead letters",
    description:
      "Messages and sends that were given up and wait for a person: failure, attempts, the message's id, and whether one holds back later messages.",
    properties: { flow: flowName, code: text("Code of the failure.") },
    command: (given, project) => ({ values: ["dlq", "ls", ...placed(project), ...options(given, ["flow", "code"])] }),
    shown: shownLetters,
  },
  {
    name: "sleepers",
    title: "List sleepers",
    description: "Machines that wait durably: for which signals and keys, since when, until when.",
    properties: { flow: flowName, limit: count("At most so many.", mcpLimits.searched, 50) },
    command: (given, project) => ({
      values: ["sleepers", "ls", ...placed(project), ...options({ limit: 50, ...given }, ["flow", "limit"])],
    }),
  },
  {
    name: "show_sleeper",
    title: "Show a sleeper",
    description: "One sleeping machine: its waits, its life so far, its last log lines.",
    properties: { id, flow: flowName },
    required: ["id"],
    command: (given, project) => ({
      values: ["sleepers", "show", ...placed(project), ...options(given, ["flow"]), "--", String(given["id"])],
    }),
  },
  {
    name: "flows",
    title: "Flows and health",
    description:
      "The running gateway's flows: state, image, messages pending, running, done, failed and dead; and its health: whether it is ready, problems, remarks. Needs a gateway that runs.",
    properties: {},
    command: (_given, project) => ({ values: ["flows", "ls", ...placed(project)] }),
  },
  {
    name: "functions",
    title: "Deployed functions",
    description:
      "Functions that were deployed to the running gateway: URLs, live version, revision, canary, aliases. Needs a gateway that runs.",
    properties: {},
    command: (_given, project) => ({ values: ["functions", "ls", ...placed(project)] }),
  },
];
