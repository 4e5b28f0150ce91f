import { deepEqual, equal, match, notEqual, ok } from "node:assert/strict";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { capture, type CaptureOptions } from "#cli";

let folder: string;
const at = (name: string): string => join(folder, name);

const flows: Readonly<Record<string, string>> = {
  "orders.ts": `import { flow } from "mayfly";
export default flow<"erp" | "audit">(async (msg, { to, log }) => {
  const order = msg.json<{ id: number; lines: { sku: string }[] }>();
  log.info("order received", { id: order.id });
  for (const line of order.lines) to.audit.send(line, { key: line.sku });
  const answer = await to.erp.request({ id: order.id });
  return { erp: answer.json() };
});`,
  "thrower.ts": `import { flow } from "mayfly";
import { check } from "./helper.ts";
export default flow<"audit">((msg, { to }) => {
  to.audit.send("never leaves");
  check(msg.json<number>());
});`,
  "helper.ts": `// A comment, so that lines differ from those of the bundle.
export function check(value: number): void {
  if (value > 1)
    throw new RangeError("too much");
}`,
  "sleeper.ts": `import { flow } from "mayfly";
export default flow(async (msg, { sleep, log }) => {
  const before = Date.now();
  await sleep(msg.text());
  log.info("slept", { ms: Date.now() - before });
});`,
  "counter.ts": `import { flow } from "mayfly";
export default flow((_msg, { state }) => {
  const seen = (state.get<number>("seen") ?? 0) + 1;
  state.set("seen", seen);
  state.delete("old");
  return [crypto.randomUUID(), Math.random(), new Date().toISOString()];
});`,
  "bytes.ts": `import { flow } from "mayfly";
export default flow((msg) => new Uint8Array([0, 255, ...msg.bytes]));`,
  "endless.ts": `import { flow } from "mayfly";
export default flow({ limits: { cpu: "50ms" } }, () => { for (;;); });`,
  "undeclared.ts": `import { flow } from "mayfly";
export default flow(async (_msg, { fetch }) => (await fetch("https://api.example.com/rates?x=1")).text());`,
  "top.ts": `import { flow } from "mayfly";
import { limits } from "./settings.ts";
export default flow(() => limits);`,
  "settings.ts": `const text = "{oops";
export const limits = JSON.parse(text);`,
  "loads.ts": `// A comment, so that lines differ from those of the bundle.
// And another one.
export async function load(): Promise<number> {
  throw new Error("no table");
}`,
  "rejects.ts": `import { flow } from "mayfly";
import { load } from "./loads.ts";
const table = load();
export default flow(async () => await table);`,
  "timer.ts": `import { flow } from "mayfly";
setTimeout(() => {}, 10);
export default flow(() => 1);`,
  "nothing.ts": "export const table = [1];",
  "chance.ts": `import { flow } from "mayfly";
const id = crypto.randomUUID();
export default flow(() => id);`,
  "no-flow.ts": "export default 5;",
  "wrong-type.ts": `import { flow } from "mayfly";
export default flow((msg) => {
  const id: number = msg.id;
  return id;
});`,
  "node.ts": `import { readFileSync } from "node:fs";
import { flow } from "mayfly";
export default flow(() => readFileSync("/etc/passwd"));`,
};

before(async () => {
  folder = await mkdtemp(join(tmpdir(), "mayfly-run-"));
  for (const [name, text] of Object.entries(flows)) await writeFile(at(name), text);
  await writeFile(at("order.json"), '{"id":7,"lines":[{"sku":"a"},{"sku":"b"}]}');
  await writeFile(at("erp.json"), '{"number":"A-7"}');
});
after(() => rm(folder, { recursive: true, force: true }));

interface RunJson {
  readonly status: string;
  readonly reply: { readonly status: number; readonly contentType: string; readonly body: string; readonly encoding?: string } | null;
  readonly sends: readonly object[];
  readonly discardedSends: number;
  readonly logs: readonly { readonly level: string; readonly text: string; readonly fields?: Readonly<Record<string, unknown>> }[];
  readonly error?: {
    readonly code: string;
    readonly message: string;
    readonly at?: { file: string; line: number; column: number };
    readonly stack?: readonly string[];
  };
  readonly state?: object;
  readonly timings: { readonly virtualMs: number };
}

async function run(code: number, values: readonly string[], options?: CaptureOptions): Promise<RunJson> {
  const result = await capture(["run", "--json", "--no-check", ...values], options);
  equal(result.code, code, result.out + result.err);
  return JSON.parse(result.out) as RunJson;
}

test("build says what it made, and makes the same bytes again", async () => {
  const build = async (output: string): Promise<Record<string, unknown>> => {
    const { code, out } = await capture(["build", at("orders.ts"), "-o", output, "--json"]);
    equal(code, 0, out);
    return JSON.parse(out) as Record<string, unknown>;
  };
  const first = await build(at("one.mfi"));
  const second = await build(at("two.mfi"));
  equal(first["image"], at("one.mfi"));
  match(String(first["sha256"]), /^[0-9a-f]{64}$/);
  equal(first["sha256"], second["sha256"]);
  equal(first["bytes"], (await readFile(at("one.mfi"))).length);
  for (const name of ["pages", "buildMs"]) equal(typeof first[name], "number");
});

test("inspect accounts for every page and names the sources", async () => {
  await capture(["build", at("orders.ts"), "-o", at("inspected.mfi"), "--no-check"]);
  const { code, out } = await capture(["inspect", at("inspected.mfi"), "--json"]);
  equal(code, 0);
  const report = JSON.parse(out) as {
    pages: number;
    regions: { pages: number }[];
    manifest: { outlets: string[]; sources: { path: string }[] };
  };
  equal(
    report.regions.reduce((sum, { pages }) => sum + pages, 0),
    report.pages,
  );
  deepEqual(report.manifest.outlets, ["erp", "audit"]);
  ok(report.manifest.sources.some(({ path }) => path === "orders.ts"));
});

test("a run gives reply, sends and logs as the contract says, from a flow and from its image alike, whatever that is called", async () => {
  for (const image of ["orders.mfi", "or ders.bin"]) await capture(["build", at("orders.ts"), "-o", at(image), "--no-check"]);
  for (const target of ["orders.ts", "orders.mfi", "or ders.bin"]) {
    const result = await run(0, [at(target), "--message", at("order.json"), "--outlet", `erp=${at("erp.json")}`]);
    equal(result.status, "done");
    deepEqual(result.reply, { status: 200, contentType: "application/json", headers: {}, body: '{"erp":{"number":"A-7"}}' });
    deepEqual(result.sends, [
      { outlet: "audit", key: "a", contentType: "application/json", headers: {}, body: '{"sku":"a"}' },
      { outlet: "audit", key: "b", contentType: "application/json", headers: {}, body: '{"sku":"b"}' },
    ]);
    deepEqual(result.logs, [{ level: "info", text: "order received", fields: { id: 7 } }]);
    equal(result.error, undefined);
  }
});

test("the machine as a process gives the same, where it can run", async (context) => {
  const { out } = await capture(["doctor", "--json"]);
  const { findings } = JSON.parse(out) as { findings: { name: string; status: string }[] };
  if (findings.find(({ name }) => name === "Process monitor")?.status !== "ok") return context.skip("no process monitor here");
  const values = [at("counter.ts"), "-k", "x", "--seed", "01", "--time", "2026-03-02T10:00:00Z"];
  const [embedded, process] = [await run(0, values), await run(0, [...values, "--monitor", "process"])];
  deepEqual([process.reply, process.state], [embedded.reply, embedded.state]);
});

test("a request nobody answers fails the flow and names the flag; a fetch as well", async () => {
  const outlet = await run(1, [at("orders.ts"), "-m", at("order.json")]);
  equal(outlet.status, "failed");
  equal(outlet.error?.code, "MF_OUTLET_UNANSWERED");
  match(outlet.error?.message ?? "", /--outlet erp=FILE/);
  deepEqual([outlet.sends.length, outlet.discardedSends], [0, 2]);
  const fetched = await run(1, [at("undeclared.ts")]);
  match(fetched.error?.message ?? "", /--fetch https:\/\/api\.example\.com\/rates=FILE/);
  const answered = await run(0, [at("undeclared.ts"), "--fetch", `https://api.example.com/=${at("erp.json")}`]);
  equal(answered.reply?.body, '{"number":"A-7"}');
});

test("an error is placed in the source it was thrown in, file, line and column", async () => {
  const { error, discardedSends } = await run(1, [at("thrower.ts"), "-m", "-"], { stdin: "5" });
  equal(error?.code, "MF_FLOW_THREW");
  match(error?.message ?? "", /too much/);
  match(error?.at?.file ?? "", /helper\.ts$/);
  equal(error?.at?.line, 4);
  equal(error?.stack?.length, 2);
  match(error?.stack?.[1] ?? "", /thrower\.ts:5:/);
  equal(discardedSends, 1);
  const { out } = await capture(["run", at("thrower.ts"), "--no-check", "-m", "-"], { stdin: "5" });
  match(out, /MF_FLOW_THREW: RangeError: too much\n\s+at check \(.*helper\.ts:4:\d+\)/);
});

test("waiting takes no time, and the flow's clock does not know; a long sleep is durable, and a flow whose caller waits has its limit", async () => {
  const slept = await run(0, [at("sleeper.ts"), "-m", "-"], { stdin: "25s" });
  equal(Math.round(Number(slept.logs[0]?.fields?.["ms"]) / 1000), 25);
  equal(Math.round(slept.timings.virtualMs / 1000), 25);
  const late = await run(0, [at("sleeper.ts"), "-m", "-"], { stdin: "2h" });
  equal(late.timings.virtualMs, 2 * 3_600_000);
});

test("state is given, changed and shown; without a key it is refused", async () => {
  const { state } = await run(0, [at("counter.ts"), "--state", '{"seen":3,"old":1,"kept":true}']);
  deepEqual(state, { seen: 4, kept: true });
  equal((await run(1, [at("counter.ts")])).error?.code, "MF_STATE_NO_KEY");
});

test("the same seed and time give the same result, another seed another", async () => {
  const reply = async (seed: string): Promise<string> =>
    (await run(0, [at("counter.ts"), "-k", "x", "--seed", seed, "--time", "2026-03-02T10:00:00Z"])).reply?.body ?? "";
  equal(await reply("0a"), await reply("0a"));
  notEqual(await reply("0a"), await reply("0b"));
  match(await reply("0a"), /2026-03-02T10:00:00\.000Z/);
});

test("bytes that are not text come as base64, and say so", async () => {
  const { reply } = await run(0, [at("bytes.ts"), "-m", "-"], { stdin: new Uint8Array([1]) });
  equal(reply?.encoding, "base64");
  equal(reply?.body, Buffer.from([0, 255, 1]).toString("base64"));
});

test("a flow that never ends is ended", async () => {
  equal((await run(1, [at("endless.ts")])).error?.code, "MF_CPU_LIMIT");
});

test("what can't be built or understood ends with 2, a code, a place, and no stack", async () => {
  for (const name of ["corrupt.mfi", "corrupt.bin"]) await writeFile(at(name), "MFYI and then nothing");
  const cases: readonly (readonly [values: readonly string[], expected: RegExp])[] = [
    [["run", at("wrong-type.ts")], /^MF_TYPE_ERROR: \S*wrong-type\.ts:3:9: /],
    [["build", at("node.ts")], /^MF_BUNDLE_FAILED: \S*node\.ts:1:30: a machine has no Node module "node:fs": use /],
    [["run", at("top.ts")], /^MF_FLOW_TOP_LEVEL: \S*settings\.ts:2:\d+: .*JSON/],
    [["build", at("chance.ts")], /^MF_TOP_LEVEL: \S*chance\.ts:2:\d+: crypto\.randomUUID: /],
    [["build", at("no-flow.ts")], /^MF_FLOW_INVALID: \S*no-flow\.ts: the flow's module must/],
    [["build", at("nothing.ts")], /^MF_FLOW_INVALID: \S*nothing\.ts: the flow's module has no default export/],
    [["build", at("timer.ts")], /^MF_TOP_LEVEL: \S*timer\.ts:2:1: sends, requests, state and timers are not available yet/],
    [
      ["build", at("rejects.ts")],
      /^MF_UNHANDLED_REJECTION: \S*loads\.ts:4:\d+: unhandled promise rejection: no table\n\s+at \S*rejects\.ts:3:/,
    ],
    [["build", folder], /^MF_FLOW_NOT_FOUND: .* is a folder: give the flow's source file in it/],
    [["run", at("nowhere.ts")], /^MF_FLOW_NOT_FOUND: /],
    [["run", at("corrupt.mfi")], /^MF_IMAGE_CORRUPT: \S*corrupt\.mfi: .*mayfly build/],
    [["run", at("corrupt.bin")], /^MF_IMAGE_CORRUPT: \S*corrupt\.bin: .*mayfly build/],
    [["run", at("order.json")], /^MF_FLOW_INVALID: .* is neither a flow \(\.ts, \.js\) nor an image/],
    [["run", at("orders.ts"), "-m", at("nowhere.json")], /^MF_FILE_UNREADABLE: the message .* no such file/],
    [["run", at("orders.ts"), "--no-check", "--outlet", "nope=x"], /^MF_FILE_UNREADABLE: /],
    [["run", at("orders.ts"), "--no-check", "--outlet", `nope=${at("erp.json")}`], /^MF_USAGE: .*the flow has erp, audit/],
    [["run", at("orders.ts"), "--state", "[]"], /^MF_USAGE: --state must be a JSON object/],
    [["run", at("orders.ts"), "--seed", "xyz"], /^MF_USAGE: --seed/],
    [["run", at("orders.ts"), "--time", "soon"], /^MF_USAGE: --time/],
    [["run", at("orders.ts"), "--header", "x"], /^MF_USAGE: --header x: give it as/],
    [["run", at("orders.ts"), "--header", "a name=x"], /^MF_USAGE: --header a name=x: give it as/],
    [["run", at("orders.ts"), "--header", "x=a\nb"], /^MF_USAGE: --header x: a header can't have line breaks/],
    [["send", "orders", "--header", "x=€"], /^MF_USAGE: --header x: .*Latin-1/],
    [["run"], /^MF_USAGE: missing required argument/],
    [["rnu"], /^MF_USAGE: unknown command 'rnu'/],
    [["run", "x", "--bogus"], /^MF_USAGE: unknown option '--bogus'/],
  ];
  for (const [values, expected] of cases) {
    const { code, out, err } = await capture(values);
    equal(code, 2, `${values.join(" ")}: ${out}${err}`);
    match(err, expected);
    equal(/\n\s+at .*\.js:/.test(err), false, err);
    const inJson = await capture([...values, "--json"]);
    if (values[0] === "rnu") continue;
    match((JSON.parse(inJson.out) as { error: { code: string } }).error.code, /^MF_[A-Z_]+$/);
  }
});

test("MAYFLY_DEBUG=1 adds the stack", async () => {
  const { err } = await capture(["run", at("nowhere.ts")], { env: { MAYFLY_DEBUG: "1" } });
  match(err, /\n\s+at .*load\.[jt]s/);
});

test("every command has help with examples", async () => {
  const { out } = await capture(["--help"]);
  const names = [...out.matchAll(/^ {2}([a-z]+) (?=.*\[)/gm)]
    .map(([, name = ""]) => name)
    .filter((name) => name !== "help" && name !== "mayfly");
  ok(names.length >= 10, out);
  for (const name of names) {
    const help = await capture([name, "--help"]);
    equal(help.code, 0);
    match(help.out, /Examples:/, name);
  }
});
