/** A flow's `values:` stand in no log line, no file of the journal or of history, no dead letter and no outlet, however the flow shows its message. */
import { deepEqual, equal, ok } from "node:assert/strict";
import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { serve } from "#cli";
import { type RootLogger, silentLogger } from "#gateway";

const flow = `import { fail, flow } from "mayfly";
export default flow<"out">(async (msg, context) => {
  const { to, log, values, sleep } = context;
  const show = () => {
    log.info("got", { msg });
    log.info("headers", msg.headers);
    log.info("copies", { ...msg.headers, all: Object.entries(msg.headers), clone: structuredClone(msg), context });
    console.log(msg, msg.headers, [msg], JSON.stringify(msg), String(Object.values(msg.headers)), new Headers(msg.headers as any));
    to.out.send(msg, { headers: msg.headers });
    to.out.send({ msg, headers: msg.headers, more: { ...msg } });
  };
  const before = msg.text() === "late" ? "" : values["secret"];
  if (before !== "") show();
  await sleep(5);
  show();
  if (values["secret"] !== msg.headers["mayfly-value-secret"]) throw new Error("not the same");
  if (msg.text() === "fail") fail("for good", { retry: false });
  return { length: values["secret"]?.length, none: values["constructor"] ?? null, names: Object.keys(values) };
});`;

async function everyFile(folder: string): Promise<string> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  const files = entries.filter((entry) => entry.isFile() && entry.name !== "mayfly.yaml");
  return (await Promise.all(files.map((entry) => readFile(join(entry.parentPath, entry.name), "latin1")))).join("\n");
}

test("a flow has its values, and shows them nowhere by showing its message", async () => {
  const folder = await mkdtemp(join(tmpdir(), "mayfly-values-"));
  const secret = "zq7-not-to-be-seen-zq7";
  const lines: string[] = [];
  await writeFile(join(folder, "flow.ts"), flow);
  await writeFile(
    join(folder, "mayfly.yaml"),
    `flows:\n  shows:\n    flow: flow.ts\n    values: { secret: "\${SECRET}" }\n    from:\n      - http: { method: POST, path: /shows }\n` +
      "    to:\n      out: { file: { dir: out, name: out.jsonl, append: true } }\n",
  );
  const write = (fields: object, text: string): void => void lines.push(`${text} ${JSON.stringify(fields)}`);
  const logger: RootLogger = { ...silentLogger, debug: write, info: write, warn: write, error: write, child: () => logger };
  const serving = await serve({ file: join(folder, "mayfly.yaml"), port: 0, environment: { SECRET: secret }, logger });
  try {
    const post = (body: string): Promise<Response> =>
      fetch(`${serving.url}/shows`, { method: "POST", body, headers: { "mayfly-value-secret": "forged" } });
    for (const body of ["early", "late"]) {
      const response = await post(body);
      deepEqual(await response.json(), { length: secret.length, none: null, names: ["secret"] });
    }
    equal((await post("fail")).status, 500);
  } finally {
    await serving.stop();
  }
  const files = await everyFile(folder);
  ok(files.includes("content-type") || files.includes("user-agent"), "the headers of messages are on disk");
  ok(
    lines.some((line) => line.includes("copies")),
    "the flow's log lines are seen",
  );
  ok(files.includes('"mayfly-value-secret":"[redacted]"'), "messages are recorded");
  ok(!files.includes(secret), "on disk");
  ok(!lines.join("\n").includes(secret), "in the log");
  await rm(folder, { recursive: true, force: true });
});
