import { deepEqual, doesNotMatch, equal, match } from "node:assert/strict";
import { mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { capture } from "#cli";

let folder: string;
const at = (name: string): string => join(folder, name);

before(async () => {
  folder = await mkdtemp(join(tmpdir(), "mayfly-test-"));
  await writeFile(at("package.json"), "{}");
  await writeFile(
    at("greet.ts"),
    `import { flow } from "mayfly";
export default flow<"audit" | "erp">(async (msg, { to, state, log, fetch }) => {
  const { name, ask } = msg.json<{ name: string; ask?: string }>();
  state.set("last", name);
  log.info("greeting", { name, at: Date.now() });
  to.audit.send({ name }, { key: name });
  if (ask === "erp") return (await to.erp.request(name)).text();
  if (ask === "twice") return (await to.erp.request(1)).text() + (await to.erp.request(2)).text();
  if (ask === "fetch") return (await fetch("https://example.com/a")).text();
  if (ask === "state") return await state.read("other");
  return { greeting: "Hello, " + name };
});`,
  );
});
after(() => rm(folder, { recursive: true, force: true }));

async function yaml(text: string, ...more: string[]): Promise<{ code: number; out: string; err: string }> {
  await writeFile(at("greet.flow-test.yaml"), text);
  return await capture(["test", at("greet.flow-test.yaml"), ...more]);
}

test("what is as expected passes: reply, sends, requests, logs, state, error, answers in turn", async () => {
  const { code, out } = await yaml(`
defaults: { message: { key: k } }
cases:
  - name: plain
    message: { json: { name: Ada } }
    state: { first: 1 }
    expect:
      reply: { status: 200, contentType: application/json, json: { greeting: "Hello, Ada" } }
      sends: [{ outlet: audit, key: Ada, json: { name: Ada } }]
      requests: []
      logs: [{ text: greeting, fields: { at: 1767225600000 } }]
      state: { first: 1, last: Ada }
  - name: asks
    message: { json: { name: Ada, ask: twice } }
    outlets: { erp: [{ text: one }, { text: two, after: 2s }] }
    expect: { reply: { text: onetwo }, requests: [{ outlet: erp, json: 1 }, { outlet: erp, json: 2 }] }
  - name: asks too often
    message: { json: { name: Ada, ask: twice } }
    outlets: { erp: [{ text: one }] }
    expect: { error: { code: MF_OUTLET_UNANSWERED, message: 1 answers } , sends: [] }
  - name: fetches
    message: { json: { name: Ada, ask: fetch } }
    fetch: { "https://example.com/": { text: page } }
    expect: { reply: { text: page }, requests: [{ fetch: "https://example.com/a" }] }
  - name: reads other state
    message: { json: { name: Ada, ask: state } }
    states: { other: { a: 1 } }
    expect: { reply: { json: { a: 1 } } }
  - name: an outlet that fails
    message: { json: { name: Ada, ask: erp } }
    outlets: { erp: { error: { code: MF_CIRCUIT_OPEN, message: later } } }
    expect: { error: { code: MF_CIRCUIT_OPEN, message: later, retry: true }, state: {} }
`);
  equal(code, 0, out);
  match(out, /6 passed/);
});

test("what is not as expected is told by its path, with both values, and ends with 1", async () => {
  const { code, out } = await yaml(
    `
cases:
  - name: wrong in every way
    message: { json: { name: Ada }, key: k }
    expect:
      reply: { status: 201, json: { greeting: "Hello, Eve", extra: 1 } }
      sends: [{ outlet: erp, json: { name: Ada } }, { outlet: audit }]
      logs: [{ text: nothing like it }]
      state: { last: Eve }
  - name: fails instead
    message: { text: "{", contentType: application/json }
    expect: { reply: { json: 1 } }
  - name: does not fail
    message: { json: { name: Ada }, key: k }
    expect: { error: { code: X } }
`,
    "--json",
  );
  equal(code, 1);
  const report = JSON.parse(out) as { failed: number; cases: { line: number; differences: { path: string }[] }[] };
  equal(report.failed, 3);
  deepEqual(
    report.cases[0]?.differences.map(({ path }) => path),
    ["reply.status", "reply.json.greeting", "reply.json.extra", "sends[0].outlet", "sends[1]", "logs[0]", "state.last"],
  );
  deepEqual(
    report.cases.map(({ line }) => line),
    [3, 10, 13],
  );
  deepEqual(
    report.cases[1]?.differences.map(({ path }) => path),
    ["status"],
  );
  deepEqual(
    report.cases[2]?.differences.map(({ path }) => path),
    ["status"],
  );
});

test("a test file that makes no sense ends with 2, and every fault has its line and column", async () => {
  const { code, err } = await yaml(`
cases:
  - name: a
    mesage: {}
    message: { json: 1, text: x }
    expect: { logs: [{ level: loud }] }
`);
  equal(code, 2);
  match(err, /:4:5: cases\[0\]: unknown key "mesage"/);
  match(err, /:6:\d+: cases\[0\]\.expect\.logs\[0\]\.level must be one of debug, info, warn, error/);
  match(
    (await yaml("cases:\n  - name: a\n    message: { json: 1, text: x }\n    expect: { state: {} }\n")).err,
    /:3:14: .*json and text: a message has one body/,
  );
  const faults = (text: string): Promise<string[]> => yaml(text).then(({ err }) => err.trimEnd().split("\n"));
  const unknown = Array.from({ length: 30 }, (_, index) => `    key${index}: 1`).join("\n");
  equal((await faults(`cases:\n  - name: a\n${unknown}\n    expect: {}\n`)).length, 20);
  // Of a value that fits no alternative the fault that says most is told, once.
  deepEqual(
    (await faults("cases:\n  - name: a\n    outlets: { erp: { status: x } }\n    expect: { state: {} }\n")).map((line) =>
      line.replace(/^.*:(\d+:\d+)/, "$1"),
    ),
    ["3:31: cases[0].outlets.erp.status must be integer"],
  );
  match((await yaml("cases: [")).err, /^MF_TEST_INVALID: \S+:1:9: /);
  match((await yaml("flow: nope.ts\ncases:\n  - name: a\n    expect: { state: {} }\n")).err, /^MF_FLOW_NOT_FOUND: .*nope\.ts/);
});

test("tests in TypeScript run against the machine, and what they throw fails them", async () => {
  await writeFile(
    at("greet.flow-test.ts"),
    `import { equal } from "node:assert/strict";
import { test } from "mayfly/test";
test("passes", async ({ run }) => {
  const { reply, sends, requests } = await run({ message: { json: { name: "Ada", ask: "erp" }, key: "k" }, outlets: { erp: (request) => ({ text: "you said " + request.text() }) } });
  equal(reply?.text(), "you said Ada");
  equal(sends.length, 1);
  equal(requests[0]?.target, "erp");
});
test("fails", async ({ run }) => {
  equal((await run({ message: { json: { name: "Ada" }, key: "k" } })).reply?.json().greeting, "Bye");
});`,
  );
  const { code, out } = await capture(["test", at("greet.flow-test.ts"), "--json"]);
  equal(code, 1);
  const { cases } = JSON.parse(out) as { cases: { name: string; passed: boolean; thrown?: string }[] };
  deepEqual(
    cases.map(({ name, passed }) => [name, passed]),
    [
      ["passes", true],
      ["fails", false],
    ],
  );
  match(cases[1]?.thrown ?? "", /'Hello, Ada'[\s\S]*greet\.flow-test\.ts:10:/);
  doesNotMatch(cases[1]?.thrown ?? "", /cli\/flow-tests/, "frames of the runner are not shown");
  equal(
    (await readdir(folder)).some((name) => name.endsWith(".mjs")),
    false,
    "the bundle is taken away again",
  );
});

test("functions answer with json, text, bytes or an error, of outlets and of hosts; data answers beside them", async () => {
  await writeFile(
    at("ask.ts"),
    `import { flow } from "mayfly";
export default flow<"peer" | "other">(async (msg, { to, fetch }) => {
  const answers = [await to.peer.request(1), await to.peer.request(2), await to.peer.request(3), await to.other.request("data")];
  const page = await (await fetch("https://a.example/x")).text();
  const failed = await to.peer.request(4).catch((error) => error.code + ": " + error.message);
  return [...answers.map((answer) => [answer.status, answer.contentType, answer.text()]), page, failed, msg.text()];
});`,
  );
  await writeFile(
    at("ask.flow-test.ts"),
    `import { deepEqual, equal } from "node:assert/strict";
import { test } from "mayfly/test";
const answers = { 1: { json: { a: 1 } }, 2: { text: "hi", status: 201, headers: { "x-a": "1" } }, 3: { bytes: new Uint8Array([104, 111]) }, 4: { error: { code: "MF_X" } } };
test("each", async ({ run }) => {
  const { reply, requests, transactions, continues, status } = await run({
    message: { bytes: new Uint8Array([98]) },
    outlets: { peer: (request) => answers[request.json()], other: [{ text: "data" }] },
    fetch: { "https://a.example/": (request) => ({ text: request.operation + " " + request.method + " " + request.target }) },
  });
  deepEqual(reply.json(), [
    [200, "application/json", '{"a":1}'],
    [201, "text/plain; charset=utf-8", "hi"],
    [200, "application/octet-stream", "ho"],
    [200, "text/plain; charset=utf-8", "data"],
    "fetch GET https://a.example/x",
    "MF_X: the test says so",
    "b",
  ]);
  equal(requests.length, 6);
  deepEqual([transactions, continues, status], [1, undefined, "done"]);
});
test("a file", async ({ run }) => void (await run({ outlets: { peer: () => ({ file: "x" }) } })));
test("no flow", async ({ run }) => void (await run({}, "nowhere.ts")));`,
  );
  const only = (name: string): Promise<{ code: number; out: string; err: string }> =>
    capture(["test", at("ask.flow-test.ts"), "--only", name]);
  const each = await only("each");
  equal(each.code, 0, each.out + each.err);
  match((await only("a file")).err, /^MF_TEST_INVALID: a function can't answer with a file/);
  match((await only("no flow")).err, /^MF_FLOW_NOT_FOUND: .*nowhere\.ts/);
});

test("a test in TypeScript that does not build says where", async () => {
  await writeFile(at("broken.flow-test.ts"), 'import { test } from "mayfly/test";\n  const = 1;\n');
  const { code, err } = await capture(["test", at("broken.flow-test.ts")]);
  equal(code, 2);
  match(err, /^MF_TEST_INVALID: \S*broken\.flow-test\.ts:2:9: /);
  await writeFile(at("broken.flow-test.ts"), 'throw new Error("at the top");\n');
  match((await capture(["test", at("broken.flow-test.ts")])).err, /^MF_TEST_INVALID: \S*broken\.flow-test\.ts: at the top/);
  await rm(at("broken.flow-test.ts"));
});

test("a case that does not pass shows twenty log lines and where it failed", async () => {
  await writeFile(
    at("loud.ts"),
    `import { flow } from "mayfly";
export default flow(async (msg, { log }) => {
  for (let line = 1; line <= 25; line++) log.warn("line " + line, { line });
  throw new Error("at the end");
});`,
  );
  await writeFile(at("loud.flow-test.yaml"), "cases:\n  - name: a\n    expect: { reply: null }\n");
  const { code, out } = await capture(["test", at("loud.flow-test.yaml"), "--json"]);
  equal(code, 1);
  const [only] = (JSON.parse(out) as { cases: { context: string[] }[] }).cases;
  equal(only?.context.filter((line) => line.startsWith("log ")).length, 20);
  equal(only?.context[19], 'log warn: line 20 {"line":20}');
  match(only?.context[20] ?? "", /at the end/);
  match(only?.context[21] ?? "", /loud\.ts:4/);
});

test("an answer of a function comes after its duration, in every unit", async () => {
  await writeFile(
    at("slow.ts"),
    `import { flow } from "mayfly";
export default flow<"peer">(async (_msg, { to, reply, sleep }) => {
  const late = sleep("1500ms").then(() => "late");
  reply(await Promise.race([to.peer.request("x").then((answer) => answer.text()), late]));
});`,
  );
  const cases = [
    ["200ms", "came"],
    ["1s", "came"],
    ["2s", "late"],
    ["1m", "late"],
    ["1h", "late"],
  ] as const;
  await writeFile(
    at("slow.flow-test.ts"),
    `import { equal } from "node:assert/strict";
import { test } from "mayfly/test";
for (const [after, expected] of ${JSON.stringify(cases)})
  test(after, async ({ run }) => equal((await run({ outlets: { peer: () => ({ text: "came", after }) } })).reply?.text(), expected));
test("soon", async ({ run }) => void (await run({ outlets: { peer: () => ({ text: "came", after: "soon" }) } })));`,
  );
  const each = cases.map(([after]) => after);
  for (const after of each) equal((await capture(["test", at("slow.flow-test.ts"), "--only", after])).code, 0, after);
  const wrong = await capture(["test", at("slow.flow-test.ts"), "--only", "soon"]);
  match(wrong.err + wrong.out, /MF_TEST_INVALID: after: soon is not a duration such as 5s/);
  equal(wrong.code, 2);
});

test("nothing to run is not success", async () => {
  equal((await capture(["test", join(folder, "nowhere")])).code, 2);
  equal(
    (await yaml("cases:\n  - name: a\n    message: { json: { name: A }, key: k }\n    expect: { state: { last: A } }\n", "--only", "zzz"))
      .code,
    1,
  );
});

test("a repeated header is a list, in what is given and in what is expected, and --header takes each value", async () => {
  await writeFile(
    at("many.ts"),
    `import { flow } from "mayfly";
export default flow<"peer">(async (msg, { to, reply }) => {
  const answer = await to.peer.request(msg.headerValues("x-many").join("|"), { headers: msg.headers });
  reply(answer.headerValues("set-cookie").join("|"), { headers: { "set-cookie": answer.headerValues("set-cookie"), "x-wide": msg.headers["x-wide"] } });
});`,
  );
  const testOf = (cookie: string): string => `
cases:
  - name: many
    message: { text: x, headers: { X-Many: [a, "b, c"] } }
    outlets: { peer: { text: ok, headers: { set-cookie: [s=1, t=2] } } }
    expect:
      requests: [{ outlet: peer, text: "a|b, c", headers: { X-Many: [a, "b, c"] } }]
      reply: { text: "s=1|t=2", headers: { Set-Cookie: [s=1, ${cookie}] } }
`;
  await writeFile(at("many.flow-test.yaml"), testOf("t=2"));
  const { code, out, err } = await capture(["test", at("many.flow-test.yaml")]);
  equal(code, 0, out + err);
  await writeFile(at("many.flow-test.yaml"), testOf("t=3"));
  equal((await capture(["test", at("many.flow-test.yaml")])).code, 1);
  await rm(at("many.flow-test.yaml"));
  await writeFile(at("answer.txt"), "");
  const headers = ["x-many=1", "x-many=2", "x-wide=日本"].flatMap((each) => ["--header", each]);
  const ran = await capture(["run", at("many.ts"), ...headers, "--outlet", `peer=${at("answer.txt")}`, "--json", "--no-check"]);
  const { reply } = JSON.parse(ran.out) as { readonly reply: { readonly headers: object } };
  deepEqual(reply.headers, { "x-wide": "日本" });
});

test("texts in other charsets are given, compared and shown as texts", async () => {
  const source = `import { flow } from "mayfly";
export default flow<"bank">((msg, { to, reply }) => {
  to.bank.send(msg.text() + ";€", { contentType: "text/csv; charset=windows-1252" });
  reply({ name: "東" }, { contentType: "application/json; charset=Shift_JIS" });
});`;
  await writeFile(at("bank.ts"), source);
  const cases = (text: string, name: string, message: string): string => `cases:
  - name: a
    message: { text: "${message}", contentType: "text/plain; charset=iso-8859-1" }
    expect: { sends: [{ outlet: bank, text: "${text}" }], reply: { json: { name: "${name}" } } }
`;
  const run = async (text: string, name: string, message = "Müller"): Promise<{ code: number; out: string; err: string }> => {
    await writeFile(at("bank.flow-test.yaml"), cases(text, name, message));
    return await capture(["test", at("bank.flow-test.yaml")]);
  };
  equal((await run("Müller;€", "東")).code, 0);
  const other = await run("Muller;€", "京");
  equal(other.code, 1);
  match(other.out, /sends\[0\]\.text\s+expected {2}"Muller;€"\s+got {7}"Müller;€"/);
  match(other.out, /reply\.json\.name\s+expected {2}"京"\s+got {7}"東"/);
  match((await run("x", "x", "Ł")).err, /MF_TEST_INVALID.*iso-8859-1 has no Ł \(U\+0141\), which is character 0/);
  await writeFile(
    at("bank.flow-test.ts"),
    `import { test } from "mayfly/test";
import { equal } from "node:assert/strict";
test("text", async ({ run }) => {
  const { sends, reply } = await run({ message: { text: "Müller" } }, "bank.ts");
  equal(sends[0].text(), "Müller;€");
  equal(reply.json().name, "東");
});`,
  );
  const typed = await capture(["test", at("bank.flow-test.ts")]);
  equal(typed.code, 0, typed.out + typed.err);
  const shown = await capture(["run", at("bank.ts"), "-m", at("package.json")]);
  match(shown.out, /\{\};€[^]*\{"name":"東"\}/);
});
