/** Tools that change what a gateway does: messages are worked on again and their sends leave, or other code is served. Each has a permission. */
import { lstatSync } from "node:fs";
import { join } from "node:path";
import { mcpLimits } from "./limits.ts";
import { pathIn } from "./paths.ts";
import { flowName, list, options, placed, text, type Tool } from "./tool.ts";

type Outcome = Readonly<Record<string, unknown>> & { readonly reply?: { readonly status?: number } };

/** Without the reply's body and headers, of which history may hide some. */
function withoutReply({ reply, ...outcome }: Outcome): object {
  return reply === undefined ? outcome : { ...outcome, replyStatus: reply.status };
}

interface Resubmitted {
  readonly resubmitted: readonly { readonly outcome: Outcome }[];
}

function shownResubmitted(value: unknown): unknown {
  return {
    resubmitted: (value as Resubmitted).resubmitted.map(({ outcome, ...linked }) => ({ ...linked, outcome: withoutReply(outcome) })),
    note: "show_message with the new id has its reply and sends",
  };
}

function shownRetried(value: unknown): unknown {
  const { outcomes, ...counts } = value as { readonly outcomes: readonly Outcome[] };
  return { ...counts, outcomes: outcomes.map(withoutReply) };
}

export const changingTools: readonly Tool[] = [
  {
    name: "resubmit",
    title: "Resubmit messages",
    permission: "resubmit",
    runs: "outlets",
    description:
      "Puts finished messages into the running gateway again, as new ones linked to the old. Their sends reach the outlets. Ask the user first. Waits for their ends.",
    properties: {
      ids: list(text("A message's id."), mcpLimits.ids, "Ids of the messages."),
      flow: { ...flowName, description: "The flow, where two have a message of that id." },
      body: { ...text("Another body, for exactly one message.", mcpLimits.bodyCharacters), minLength: 0, pattern: "^" },
    },
    required: ["ids"],
    command: ({ ids, body, ...given }, project) => ({
      values: [
        "resubmit",
        ...placed(project),
        ...options(given, ["flow"]),
        ...(body === undefined ? [] : ["--edit=-"]),
        "--",
        ...(ids as readonly string[]),
      ],
      ...(body === undefined ? {} : { stdin: String(body) }),
    }),
    shown: shownResubmitted,
  },
  {
    name: "retry_dead_letter",
    title: "Retry a dead letter",
    permission: "retry",
    runs: "outlets",
    description:
      "Retries one dead letter in the running gateway, and says how it ended. Its sends reach the outlets. Ask the user first. With body, the letter stays until the edited message has succeeded.",
    properties: {
      id: text("The letter's id, FLOW/NAME, as dead_letters shows it."),
      body: { ...text("Another body.", mcpLimits.bodyCharacters), minLength: 0, pattern: "^" },
    },
    required: ["id"],
    command: ({ id, body }, project) => ({
      values: ["dlq", "retry", ...placed(project), ...(body === undefined ? [] : ["--edit=-"]), "--", String(id)],
      ...(body === undefined ? {} : { stdin: String(body) }),
    }),
    shown: shownRetried,
  },
  {
    name: "deploy",
    title: "Deploy a function",
    permission: "deploy",
    runs: "outlets",
    description:
      "Builds a flow and has the running gateway serve it at once as a function, with the settings of NAME.mayfly.yaml beside it. Ask the user first, with the results of replay and backtest. Give the revision that functions shows, or 0 for a new one: if somebody changed it meanwhile, nothing happens.",
    properties: {
      file: text("The flow's source file, relative to the folder of mayfly.yaml."),
      name: { ...flowName, description: "The function's name; the file's name unless it is given." },
      revision: { type: "integer", minimum: 0, maximum: 2 ** 53 - 1, description: "The revision that is replaced." },
      canary: {
        type: "string",
        pattern: "^[0-9]{1,2}(\\.[0-9]{1,3})?%$",
        description: "Share of the messages beside the live version, such as 5%.",
      },
    },
    required: ["file", "revision"],
    command: ({ file, ...given }, project) => {
      const source = pathIn(project.root, String(file));
      const fragment = source.replace(/\.[^./]+$/, ".mayfly.yaml");
      if (lstatSync(join(project.root, fragment), { throwIfNoEntry: false }) !== undefined) pathIn(project.root, fragment);
      return { values: ["deploy", ...placed(project), ...options(given, ["name", "revision", "canary"]), "--", source] };
    },
  },
];
