/** Errors are shown at their places in the flow's TypeScript, with their causes, wherever somebody sees them. */
import { deepEqual, equal, match, ok } from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { capture, serve } from "#cli";
import { type RootLogger, silentLogger } from "#gateway";

let folder: string;
const at = (name: string): string => join(folder, name);

before(async () => {
  folder = await mkdtemp(join(tmpdir(), "mayfly-errors-"));
  await writeFile(at("package.json"), "{}");
  await writeFile(
    at("store.ts"),
    `// A comment, so that lines differ from those of the bundle.
export function read(id: string): never {
  throw new RangeError("no row " + id);
}`,
  );
  await writeFile(
    at("orders.ts"),
    `import { flow } from "mayfly";
import { read } from "./store.ts";

export default flow((msg, { log }) => {
  try {
    read(msg.text());
  } catch (cause) {
    const error = new Error("the order is unknown", { cause });
    log.error("looked in vain", { error, tried: { first: cause } });
    console.error(error);
    log.info("no stack of ours", { stack: "    at other (orders.ts:1:1)\\n    at peer (server.js:7:9)" });
    throw new AggregateError([error, new TypeError("again")], "nothing worked");
  }
});`,
  );
  await writeFile(
    at("mayfly.yaml"),
    `flows:
  orders: { flow: orders.ts, from: [{ http: { path: /orders, mode: accept } }], retry: { attempts: 1 } }
journal: { dir: journal }
deadLetters: { dir: dead }
http: { port: 0 }
`,
  );
  await writeFile(
    at("orders.flow-test.yaml"),
    `cases:
  - name: fails
    message: { text: "7" }
    expect: { reply: { text: never } }
`,
  );
});
after(() => rm(folder, { recursive: true, force: true }));

/** Text or JSON in which no place is that of a bundle or of the kernel, and those of both sources are found. */
function inSource(text: string): void {
  match(text, /store\.ts:3:\d+/);
  match(text, /orders\.ts:(6|8):\d+/);
  ok(!/orders\.js:|mayfly:kernel/.test(text), text);
}

interface ShownError {
  readonly stack: string;
  readonly cause: { readonly message: string; readonly stack: string };
}

test("mayfly run: the log, its fields, the text of console, and the failure", async () => {
  const { code, out } = await capture(["run", at("orders.ts"), "-m", "-", "--no-check", "--json"], { stdin: "7" });
  equal(code, 1);
  const { logs, error } = JSON.parse(out) as {
    readonly logs: readonly { readonly text: string; readonly fields: { readonly error: ShownError; readonly stack: string } }[];
    readonly error: { readonly at: { readonly line: number }; readonly stack: readonly string[] };
  };
  const [logged, printed, others] = logs;
  match(logged?.fields.error.stack ?? "", /^ {4}at \S*orders\.ts:8:\d+/);
  match(logged?.fields.error.cause.message ?? "", /no row 7/);
  match(logged?.fields.error.cause.stack ?? "", /^ {4}at read \(\S*store\.ts:3:\d+\)\n {4}at \S*orders\.ts:6:/);
  match(
    printed?.text ?? "",
    /^Error: the order is unknown\n {4}at \S*orders\.ts:8:\d+\ncaused by RangeError: no row 7\n {4}at read \(\S*store\.ts:3:/,
  );
  equal(others?.fields.stack, "    at other (orders.ts:1:1)\n    at peer (server.js:7:9)", "what is no frame of the bundle stays");
  equal(error.at.line, 12);
  deepEqual(
    error.stack.filter((line) => !line.startsWith("at ")),
    ["error 1 of 2 Error: the order is unknown", "caused by RangeError: no row 7", "error 2 of 2 TypeError: again"],
  );
  inSource(out);
  inSource((await capture(["run", at("orders.ts"), "-m", "-", "--no-check"], { stdin: "7" })).out);
});

test("a promise that is rejected at the top level, with a text, is told with its line", async () => {
  await writeFile(at("rejecting.ts"), 'import { flow } from "mayfly";\n\nPromise.reject("no table");\nexport default flow(() => 1);');
  const { code, err } = await capture(["build", at("rejecting.ts"), "--no-check"]);
  equal(code, 2);
  match(err, /^MF_UNHANDLED_REJECTION: \S*rejecting\.ts:3:\d+: .*"no table" instead of an Error/);
});

test("a limit names the line that was running", async () => {
  await writeFile(
    at("greedy.ts"),
    `import { flow } from "mayfly";

const deeds: Record<string, () => unknown> = {
  spin: () => {
    let total = 0;
    while (total >= 0)
      total += Math.abs(1);
    return total;
  },
  search: () =>
    "a".repeat(1 << 21).indexOf("a".repeat(1 << 20) + "b"),
  hoard: () => {
    const list: unknown[] = [];
    for (;;) list.push(new Array(1000).fill(1));
  },
};
export default flow({ limits: { cpu: "1s", memory: "16MiB" } }, async (msg, { sleep }) => {
  await sleep(1);
  return deeds[msg.text()]?.();
});`,
  );
  for (const [deed, code, line] of [
    ["spin", "MF_CPU_LIMIT", 7],
    ["search", "MF_CPU_LIMIT", 11],
    ["hoard", "MF_MEMORY_LIMIT", 14],
  ] as const) {
    const { out } = await capture(["run", at("greedy.ts"), "-m", "-", "--no-check", "--json"], { stdin: deed });
    const { error } = JSON.parse(out) as { readonly error: { readonly code: string; readonly at?: { readonly line: number } } };
    deepEqual([error.code, error.at?.line], [code, line], out);
  }
});

test("mayfly test: what a case that fails shows", async () => {
  const { code, out } = await capture(["test", at("orders.flow-test.yaml")]);
  equal(code, 1);
  inSource(out);
  match(out, /caused by RangeError: no row 7/);
});

test("serve: the log, and the dead letter with its attempts and their logs", async () => {
  const lines: string[] = [];
  const keep = (fields: object, text: string): void => void lines.push(JSON.stringify({ fields, text }));
  const logger: RootLogger = { ...silentLogger, warn: keep, error: keep, child: () => logger };
  const serving = await serve({ file: at("mayfly.yaml"), logger });
  try {
    equal((await fetch(`${serving.url}/orders`, { method: "POST", body: "7" })).status, 202);
    const letters = async (): Promise<readonly { readonly id: string }[]> => {
      const { out } = await capture(["dlq", "ls", "-c", at("mayfly.yaml"), "--json"]);
      return JSON.parse(out) as readonly { readonly id: string }[];
    };
    const untilMs = Date.now() + 60_000;
    while ((await letters()).length === 0 && Date.now() < untilMs) await new Promise((done) => setTimeout(done, 20));
    const [letter] = await letters();
    for (const line of [lines.find((text) => text.includes("looked in vain")), lines.find((text) => text.includes("nothing worked"))])
      inSource(line ?? "");
    for (const more of [[], ["--json"]]) {
      const { out } = await capture(["dlq", "show", letter?.id ?? "", "-c", at("mayfly.yaml"), ...more]);
      inSource(out);
      match(out, /caused by RangeError: no row 7/);
    }
  } finally {
    await serving.stop();
  }
});
