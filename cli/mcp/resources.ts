/** Resources and prompts: mayfly.yaml as it counts, messages by their address, and the ways from a failure to its fix. */
import type * as Sdk from "@modelcontextprotocol/server";
import { CodedError } from "#base";
import type { Calls } from "./calls.ts";
import { readingTools } from "./reading-tools.ts";
import { placed, type Project, type Tool } from "./tool.ts";

interface ResourcePorts {
  readonly calls: Calls;
  readonly project: Project;
  readonly gone: AbortSignal | undefined;
}

const configuration: Tool = {
  name: "configuration",
  title: "mayfly.yaml as it counts",
  description: "Flows, sources, outlets and limits, with defaults filled in and secrets masked.",
  properties: {},
  command: (_given, project) => ({ values: ["config", "show", ...placed(project)] }),
};

const message = readingTools.find(({ name }) => name === "show_message") as Tool;

export function addResources(sdk: typeof Sdk, server: Sdk.McpServer, { calls, gone }: ResourcePorts): void {
  const read = async (uri: URL, tool: Tool, given: object, signal: AbortSignal): Promise<Sdk.ReadResourceResult> => {
    const { text, isError } = await calls.call(tool, given as never, gone === undefined ? signal : AbortSignal.any([signal, gone]));
    if (isError) throw new sdk.ProtocolError(sdk.ProtocolErrorCode.InvalidParams, text);
    return { contents: [{ uri: uri.href, mimeType: "text/plain", text }] };
  };
  const { title, description } = configuration;
  server.registerResource("configuration", "mayfly://configuration", { title, description, mimeType: "text/plain" }, (uri, { mcpReq }) =>
    read(uri, configuration, {}, mcpReq.signal),
  );
  server.registerResource(
    "message",
    new sdk.ResourceTemplate("mayfly://messages/{id}", { list: undefined }),
    { title: "A finished message", description: message.description, mimeType: "text/plain" },
    (uri, { id }, { mcpReq }) => read(uri, message, { id: decoded(String(id)) }, mcpReq.signal),
  );
  addPrompts(sdk, server);
}

/** Of an address. Throws MF_MCP_POINTER for one that is malformed. */
function decoded(id: string): string {
  let text = "";
  try {
    text = decodeURIComponent(id);
  } catch {
    // As an id that is missing.
  }
  if (text === "" || text.length > 1000 || text.includes("\0"))
    throw new CodedError("MF_MCP_POINTER", "the address names no message: write mayfly://messages/ID");
  return text;
}

const prompts = {
  why_did_it_fail: {
    title: "Why did this message fail?",
    description: "Finds a message by its key or id, and explains its failure from the record.",
    argument: { name: "message", description: "Key or id, such as 4711." },
    text: (what: string) =>
      `Find out why the Mayfly message ${what} failed. Search by id, then by key (search_messages). Show the failed one (show_message): read its error, the logs and calls of each attempt, and its deliveries. Follow its relatives with trace where the cause lies before it. Then read the flow's source. Say the cause, the place in the source, and whether the message, the flow, the peer or the configuration is at fault. Change nothing yet.`,
  },
  prove_a_fix: {
    title: "Prove a fix",
    description: "Runs a failed message, and those of a day, on a flow's changed code.",
    argument: { name: "message", description: "Id of the message that failed." },
    text: (what: string) =>
      `The flow's source was changed so that the Mayfly message ${what} does not fail any more. Prove it: lint; replay the message with file, and explain each difference; backtest the file over the last 24h, and explain each group but the same; run the flow tests; write the message as a case of a flow test (record_test) with the outcome that is right now. Where a tool is missing, say which permission the user has to give. Do not resubmit or deploy: report, and ask.`,
  },
} as const;

function addPrompts(sdk: typeof Sdk, server: Sdk.McpServer): void {
  for (const [name, { title, description, argument, text }] of Object.entries(prompts)) {
    const schema = {
      type: "object",
      properties: { [argument.name]: { type: "string", minLength: 1, maxLength: 200, description: argument.description } },
      required: [argument.name],
      additionalProperties: false,
    };
    const argsSchema = sdk.fromJsonSchema<Readonly<Record<string, string>>>(schema as Parameters<typeof sdk.fromJsonSchema>[0]);
    server.registerPrompt(name, { title, description, argsSchema }, (given: Readonly<Record<string, string>>) => ({
      messages: [{ role: "user", content: { type: "text", text: text(JSON.stringify(given[argument.name] ?? "")) } }],
    }));
  }
}
