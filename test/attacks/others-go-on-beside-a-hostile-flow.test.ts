/**
 * A flow takes no more than its part of the CPU, whatever its author or its senders do: while it has more messages than can be run, each of
 * another flow's is answered after few of them. Counts and order, no times.
 */
import { deepEqual, equal, ok } from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { pathToFileURL } from "node:url";
import { packageRoot } from "#cli";

const entry = JSON.stringify(pathToFileURL(join(packageRoot, "dist", "cli", "mod.js")).href);
const script = `const { main } = await import(${entry}); process.exitCode = await main(process.argv.slice(2));\n`;
const hostile = `import { flow } from "mayfly";
const burn = (rounds: number) => { for (let i = 0; i < rounds; i++) Math.sin(i); };
export default flow({ limits: { cpu: "1h" } }, async (msg, { sleep }) => {
  const kind = msg.headers["mayfly-path-kind"];
  if (kind === "long") burn(5e5);
  if (kind === "waiting") for (let step = 0; step < 3; step++) { await sleep(1); burn(2e5); }
  if (kind === "now-and-then" && Number(msg.text()) % 2 === 0) burn(1e6);
  if (kind === "endless") for (;;);
  if (kind === "object") return String(Object.keys(msg.json()).length);
  return kind;
});`;
const quiet = `import { flow } from "mayfly"; export default flow(async (msg, { sleep }) => { if (msg.text() === "wait") await sleep(1); return "quiet"; });`;
const several = [1, 2, 3, 4, 5, 6];
const yaml = (ceiling: string, more: string): string => `flows:
  hostile: { flow: hostile.ts, concurrency: 1000, from: [ { http: { path: "/hostile/:kind", bodyLimit: 8MiB } } ] }
${several.map((n) => `  hostile${n}: { flow: hostile.ts, from: [ { http: { path: "/hostile${n}/:kind" } } ] }`).join("\n")}
  quiet: { flow: quiet.ts, from: [ { http: { path: /quiet } } ] }
ceilings: { cpu: ${ceiling} }
${more}
http: { port: 0 }
journal: { memory: true }
log: { format: json }
`;

let folder: string;
let served: Served;
before(async () => {
  folder = await mkdtemp(join(tmpdir(), "mayfly-fair-"));
  for (const [name, text] of Object.entries({ "mayfly.mjs": script, "hostile.ts": hostile, "quiet.ts": quiet }))
    await writeFile(join(folder, name), text);
  served = await Served.start(yaml("150ms", "workers: 2"));
});
after(async () => {
  served.child.kill("SIGKILL");
  await rm(folder, { recursive: true, force: true });
});

/** `mayfly serve` as a process of its own. */
class Served {
  readonly child: ChildProcess;
  out = "";
  url = "";

  private constructor() {
    this.child = spawn(process.execPath, ["mayfly.mjs", "serve"], { cwd: folder, stdio: ["ignore", "pipe", "inherit"] });
    this.child.stdout?.setEncoding("utf8").on("data", (text: string) => (this.out += text));
  }

  static async start(config: string): Promise<Served> {
    await writeFile(join(folder, "mayfly.yaml"), config);
    const served = new Served();
    let found: RegExpExecArray | null = null;
    while ((found = /"url":"(http:[^"]+)".*"msg":"ready"/.exec(served.out)) === null)
      await once(served.child.stdout as NodeJS.ReadableStream, "data");
    served.url = found[1] as string;
    return served;
  }
}

const post = async (path: string, body = "", url = served.url): Promise<Response> => fetch(`${url}${path}`, { method: "POST", body });

/** Sends the flow `count` messages at once, and ten to the quiet one, in turn; how many of the first came before the last of the second. */
async function answeredBefore(kind: string, count: number): Promise<number> {
  let answered = 0;
  const attack = Array.from({ length: count }, async (_, index) => {
    await (await post(`/hostile/${kind}`, String(index))).text();
    answered += 1;
  });
  for (let i = 0; i < 10; i++) equal(await (await post("/quiet", i % 2 === 0 ? "" : "wait")).text(), "quiet");
  const before = answered;
  await Promise.all(attack);
  return before;
}

for (const kind of ["long", "waiting", "now-and-then"]) {
  test(`ten messages go past sixty of another flow: ${kind}`, { timeout: 120_000 }, async () => {
    const before = await answeredBefore(kind, 60);
    // Ten in turn, each behind one or two steps on two workers and those added; in order of arrival all sixty would come first.
    ok(before < 50, `${before} of 60 came first`);
  });
}

test("a flow that gives itself an hour of CPU is stopped at the ceiling, others are answered, and the log says so", {
  timeout: 120_000,
}, async () => {
  ok(/limits\.cpu of the flow hostile is above ceilings\.cpu/.test(served.out), served.out);
  const attack = Array.from({ length: 8 }, async () => ((await (await post("/hostile/endless")).json()) as { code: string }).code);
  let over = false;
  void Promise.all(attack).then(() => (over = true));
  for (let i = 0; i < 5; i++) equal(await (await post("/quiet")).text(), "quiet");
  equal(over, false, "the quiet flow's come first");
  for (const code of await Promise.all(attack)) equal(code, "MF_CPU_LIMIT");
});

/** Names of one hash to the engine, which is h · 263 + unit for each unit: a pair (c − i, d + 263 · i) adds the same for every i. */
function namesOfOneHash(count: number): string[] {
  const pairs = Array.from({ length: 35 }, (_, i) => String.fromCharCode(100 - i, 1000 + 263 * i));
  return pairs.flatMap((a) => pairs.flatMap((b) => pairs.map((c) => a + b + c))).slice(0, count);
}

test("JSON objects of names that share a hash end at the ceiling, and others are answered", { timeout: 120_000 }, async () => {
  const names = namesOfOneHash(40_000);
  const hash = (name: string): number => name.split("").reduce((sum, unit) => (Math.imul(sum, 263) + unit.charCodeAt(0)) | 0, 1);
  deepEqual([new Set(names).size, new Set(names.map(hash)).size], [40_000, 1]);
  const body = JSON.stringify(Object.fromEntries(names.map((name) => [name, 1])));
  const answers = Array.from({ length: 12 }, async () => (await post("/hostile/object", body)).text());
  for (let i = 0; i < 10; i++) equal(await (await post("/quiet", i % 2 === 0 ? "" : "wait")).text(), "quiet");
  for (const text of await Promise.all(answers)) if (text !== "40000") equal((JSON.parse(text) as { code: string }).code, "MF_CPU_LIMIT");
  equal(await (await post("/hostile/object", '{"a":1,"b":2}')).text(), "2");
});

for (const [name, more] of [
  ["workers enough", "workers: 1"],
  ["hardly any memory for workers", "workers: 1\nmemory: 64MiB"],
]) {
  test(`loops that end in an hour keep nobody waiting: ${name}`, { timeout: 120_000 }, async () => {
    const hour = await Served.start(yaml("1h", more as string));
    try {
      let answered = 0;
      // Of one flow more than there are workers, and of more flows than there are workers.
      const loops = ["", "", "", "", "", ...several].map((n) =>
        post(`/hostile${n}/endless`, "", hour.url).then(
          () => (answered += 1),
          () => undefined, // the process is ended
        ),
      );
      for (let i = 0; i < 12; i++) equal(await (await post("/quiet", i % 2 === 0 ? "" : "wait", hour.url)).text(), "quiet");
      equal(answered, 0);
      hour.child.kill("SIGKILL");
      await Promise.all(loops);
    } finally {
      hour.child.kill("SIGKILL");
    }
  });
}
