/** Tools that run flows or write images, each with a permission. Nothing leaves the gateway. */
import { CodedError } from "#base";
import { mcpLimits } from "./limits.ts";
import { outputIn, pathIn } from "./paths.ts";
import { count, flowName, list, options, placed, type Project, text, time, type Tool } from "./tool.ts";

const file = text("A flow's source file, relative to the folder of mayfly.yaml, such as flows/orders.ts.");

const recorded = {
  id: text("The message's id, as search_messages shows it."),
  of: { ...flowName, description: "The flow's name, where two flows have a message of that id." },
  attempt: { type: "integer", minimum: 1, maximum: 1_000_000, description: "This attempt; the last unless it is given." },
};

/** An id is no path of an exported recording, which the command would read as well. */
function recordedId(given: unknown): string {
  const id = String(given);
  if (id.endsWith(".mfr")) throw new CodedError("MF_MCP_PATH", `${id} looks like a file: give a message's id`);
  return id;
}

/** Tests below the paths that this client may run, relative to the project. */
async function testsIn({ root, allowed }: Project, paths: readonly string[]): Promise<readonly string[]> {
  const { findTests } = await import("../flow-tests/runner.ts");
  const found = await findTests(paths.map((path) => `${root}/${pathIn(root, path)}`));
  const runnable = found.filter((path) => allowed.has("code") || /\.ya?ml$/.test(path)).map((path) => pathIn(root, path));
  if (runnable.length > 0) return runnable;
  throw new CodedError(
    "MF_MCP_DENIED",
    `all ${found.length} flow tests there are TypeScript, which are programs with the user's rights: ask the user to run them, or to start mayfly mcp with --allow test,code`,
  );
}

export const runningTools: readonly Tool[] = [
  {
    name: "replay",
    title: "Replay a message",
    permission: "replay",
    runs: "flows",
    description:
      "Runs a recorded message again and compares. Nothing is sent. Without file on the image that ran, bit for bit; with file on that flow's code as it is now: `differences` lists reply, sends, state, calls, logs and failure by path, recorded and replayed.",
    properties: {
      ...recorded,
      file,
      image: { type: "string", pattern: "^sha256:[0-9a-f]{8,64}$", description: "Another image that the project keeps, by its hash." },
    },
    required: ["id"],
    command: (given, project) => ({
      values: [
        "replay",
        ...placed(project),
        ...options(given, ["of", "attempt", "image"]),
        ...(given["file"] === undefined ? [] : [`--flow=${pathIn(project.root, String(given["file"]))}`]),
        "--",
        recordedId(given["id"]),
      ],
    }),
  },
  {
    name: "record_test",
    title: "A flow test of a message",
    permission: "replay",
    runs: "flows",
    description:
      "The recorded message as a case of a flow test, in YAML: message, answers it got, outcome. Nothing is written: put it into NAME.flow-test.yaml.",
    properties: recorded,
    required: ["id"],
    command: (given, project) => ({
      values: ["test", ...placed(project), ...options(given, ["of", "attempt"]), `--record=${recordedId(given["id"])}`],
    }),
  },
  {
    name: "backtest",
    title: "Backtest a flow",
    permission: "backtest",
    runs: "flows",
    description:
      "Runs a flow's code as it is now over its recorded messages, nothing sent, and groups what would have changed: different, failsNow, passesNow, unanswered (it asked what no record answers), with examples.",
    properties: {
      file,
      flow: flowName,
      since: time,
      until: time,
      limit: count("At most so many messages, the newest first.", mcpLimits.backtested, 1000),
    },
    required: ["file"],
    command: (given, project) => ({
      values: [
        "backtest",
        ...placed(project),
        ...options({ limit: 1000, ...given }, ["flow", "since", "until", "limit"]),
        "--",
        pathIn(project.root, String(given["file"])),
      ],
    }),
  },
  {
    name: "lint",
    title: "Check flows and configuration",
    permission: "lint",
    runs: "flows",
    description:
      "Findings with file, line and code: types, Node built-ins, time and randomness at the top level, promises that are not awaited, outlets, mayfly.yaml.",
    properties: { paths: list(text("A flow, a mayfly.yaml, or a folder."), mcpLimits.paths, "The whole project unless they are given.") },
    command: ({ paths = ["."] }, project) => ({
      values: ["lint", "--json", "--", ...(paths as readonly string[]).map((path) => pathIn(project.root, path))],
    }),
  },
  {
    name: "test",
    title: "Run flow tests",
    permission: "test",
    runs: "flows",
    description: "Runs flow tests in real machines, with stubbed answers of outlets: cases with expected and actual where they differ.",
    properties: {
      paths: list(text("A test file, or a folder."), mcpLimits.paths, "The whole project unless they are given."),
      only: text("Only cases whose name contains this text."),
    },
    command: async ({ paths = ["."], ...given }, project) => ({
      values: ["test", "--json", ...options(given, ["only"]), "--", ...(await testsIn(project, paths as readonly string[]))],
    }),
  },
  {
    name: "build",
    title: "Build an image",
    permission: "build",
    runs: "flows",
    description: "Checks a flow's types, boots it once and freezes it into an image (.mfi): its path, hash, size and warnings.",
    properties: { file, output: text("Where to write it, ending in .mfi; NAME.mfi beside mayfly.yaml unless it is given.") },
    required: ["file"],
    command: (given, { root }) => {
      const source = pathIn(root, String(given["file"]));
      const output =
        given["output"] ??
        `${source
          .split("/")
          .at(-1)
          ?.replace(/\.[^.]+$/, "")}.mfi`;
      return { values: ["build", "--json", `--output=${outputIn(root, String(output), ".mfi")}`, "--", source] };
    },
  },
];
