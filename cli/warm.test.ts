/** `flow({ warm })`: what it leaves in the image, what it may not do, and what `mayfly build` says of it. */
import { deepEqual, equal, match, ok } from "node:assert/strict";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { capture } from "#cli";

let folder: string;
before(async () => {
  folder = await mkdtemp(join(tmpdir(), "mayfly-warm-"));
  await writeFile(join(folder, "package.json"), "{}");
});
after(() => rm(folder, { recursive: true, force: true }));

/** A flow that counts how often a table is made, with a `warm` of this text. */
function flowOf(warm: string, handler = "({ made, size: table.size })"): string {
  return `import { flow } from "mayfly";
let made = 0;
let kept: Promise<unknown> | undefined;
const table = new Map<string, number>();
function words(text: string): void {
  if (table.size === 0) made++;
  for (const word of text.split(" ")) table.set(word, word.length);
}
export default flow<"erp">(
  { warm: ${warm} },
  async (msg, { to, log, state, sleep, reply, values, signal }) => {
    words(msg.text());
    ${handler.startsWith("(") ? `return ${handler};` : handler}
  },
);`;
}

async function write(source: string): Promise<string> {
  const path = join(folder, "flow.ts");
  await writeFile(path, source);
  return path;
}

async function mayfly(...values: string[]): Promise<{ code: number; out: string; err: string }> {
  return await capture(values);
}

/** The reply to a message "one two", from a fresh build. */
async function replyOf(source: string): Promise<unknown> {
  const body = join(folder, "body.txt");
  await writeFile(body, "one two");
  const { code, out, err } = await mayfly("run", await write(source), "-m", body, "--json", "-O", `erp=${body}`);
  equal(code, 0, err + out);
  return JSON.parse((JSON.parse(out) as { reply: { body: string } }).reply.body);
}

test("what warm leaves in variables is there for every message, and samples' runs count", async () => {
  deepEqual(await replyOf(flowOf("undefined")), { made: 1, size: 2 });
  deepEqual(await replyOf(flowOf('() => words("one three four")')), { made: 1, size: 4 });
  deepEqual(await replyOf(flowOf('async ({ handle }) => { await handle({ body: "a b" }); await handle({ body: "c" }); }')), {
    made: 1,
    size: 5,
  });
});

test("a sample's run has no effects, and ends where it asks for an answer", async () => {
  const handler = `log.info("seen"); state.set("a", [1]); to.erp.send({ a: 1 }); reply("x"); made += 10 * state.get<number[]>("a")!.length;
    if (values["how"] === "wait") await sleep("1h");
    if (values["how"] === "ask") await to.erp.request({});
    if (values["how"] === "fetch") await fetch("https://example.com/");
    if (values["how"] === "abort" && signal !== undefined) await new Promise((_, gone) => gone(new Error(msg.source + msg.key + msg.headers["x-a"] + msg.contentType)));
    made += 100;
    return { made };`;
  const warm = (how: string): string =>
    `async ({ handle }) => { made = (await handle({ body: "a", values: { how: "${how}" } })) ? 1000 : made; }`;
  const source = (how: string): string =>
    flowOf(warm(how), handler)
      .replace("state.set", "if (msg.source === 'warm') state.set")
      .replace('state.get<number[]>("a")!', '(state.get<number[]>("a") ?? [1])')
      .replaceAll("(state.get", "(msg.source !== 'warm' ? [1] : state.get");
  deepEqual(await replyOf(source("none")), { made: 1110 });
  for (const how of ["wait", "ask", "fetch"]) deepEqual(await replyOf(source(how)), { made: 121 }, how);
  const shown = flowOf(
    'async ({ handle }) => void (await handle({ body: { a: 1 }, key: "k", source: "http", headers: { "X-A": "b" }, values: { how: "abort" } }))',
    handler,
  );
  match((await mayfly("build", await write(shown))).err, /^MF_WARM_FAILED: \S*flow\.ts:\d+:\d+: httpkbapplication\/json/);
});

test("what must not be frozen is refused with a code and its place", async () => {
  const cases: readonly (readonly [warm: string, handler: string, expected: RegExp])[] = [
    ['() => { throw new Error("no table"); }', "return 1;", /^MF_WARM_FAILED: \S*flow\.ts:10:\d+: no table/],
    ['async () => { await 1; throw new Error("no table"); }', "return 1;", /^MF_WARM_FAILED: \S*flow\.ts:10:\d+: no table/],
    [
      "async ({ handle }) => void (await handle({ body: '{' }))",
      "return msg.json();",
      /^MF_WARM_FAILED: \S*flow\.ts:13:\d+: MF_MESSAGE_INVALID: /,
    ],
    ["() => void setTimeout(() => {}, 1)", "return 1;", /^MF_TOP_LEVEL: \S*flow\.ts:10:\d+: /],
    ["() => void crypto.randomUUID()", "return 1;", /^MF_TOP_LEVEL: \S*flow\.ts:10:\d+: crypto\.randomUUID/],
    ["({ handle }) => handle()", "for await (const row of msg.rows()) void row;", /^MF_TOP_LEVEL: \S*flow\.ts:13:\d+: msg\.rows/],
    ["({ handle }) => handle()", 'to["nope" as "erp"].send(1);', /^MF_WARM_FAILED: \S*flow\.ts:13:\d+: MF_OUTLET_UNKNOWN: .*erp/],
    ["() => new Promise(() => {})", "return 1;", /^MF_WARM_PENDING: \S*flow\.ts: warm awaits/],
    ["({ handle }) => handle()", "await new Promise(() => {});", /^MF_WARM_PENDING: \S*flow\.ts:?.*: the run of a sample awaits/],
    ["({ handle }) => handle()", "kept ??= to.erp.request({}); await kept;", /^MF_WARM_PENDING: \S*flow\.ts: a variable/],
    [
      "({ handle }) => handle()",
      "kept ??= to.erp.request({}).then((answer) => answer.json()); await kept;",
      /^MF_WARM_PENDING: \S*flow\.ts: a variable/,
    ],
    [
      "async ({ handle }) => { void handle(); await handle(); }",
      "await sleep(1);",
      /^MF_WARM_FAILED: \S*flow\.ts:10:\d+: MF_ARGUMENT: handle: await the run/,
    ],
    ['() => void Promise.reject(new Error("lost"))', "return 1;", /^MF_UNHANDLED_REJECTION: \S*flow\.ts:10:\d+: .*lost/],
    ['() => queueMicrotask(() => { throw new Error("late"); })', "return 1;", /^MF_WARM_FAILED: \S*flow\.ts:10:\d+: .*late/],
    ["() => { for (;;) {} }", "return 1;", /^MF_WARM_FAILED: .*with warm, took more than 5 s/],
    ["3 as never", "return 1;", /^MF_FLOW_INVALID: .*warm must be a function/],
  ];
  for (const [warm, handler, expected] of cases) {
    const { code, err } = await mayfly("build", "--no-check", await write(flowOf(warm, handler)), "-o", join(folder, "bad.mfi"));
    match(err, expected, warm + handler);
    equal(code, 2, err);
  }
});

test("the build says what warm won, and gives the same bytes again", async () => {
  const image = join(folder, "flow.mfi");
  const path = await write(flowOf('async ({ handle }) => { await handle({ body: "a b" }); words("c".repeat(3)); }'));
  const build = async (): Promise<Buffer> => {
    const { code, out, err } = await mayfly("build", path, "-o", image, "--json");
    equal(code, 0, err);
    const { warm } = JSON.parse(out) as { warm: { coldMs: number; warmMs: number } };
    ok(warm.coldMs >= 0 && warm.warmMs >= 0);
    return await readFile(image);
  };
  ok((await build()).equals(await build()));
  match((await mayfly("build", path, "-o", image)).out, /^warm: \S+ \S+ in this image instead of \S+ \S+$/m);
});
