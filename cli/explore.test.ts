/** `mayfly explore`: planted faults are found, shrunk and told; rules that always hold; sound flows are left alone. */
import { deepEqual, equal, match, ok } from "node:assert/strict";
import { mkdir, mkdtemp, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { capture, packageRoot } from "#cli";

let folder: string;
const at = (name: string): string => join(folder, name);

before(async () => {
  folder = await mkdtemp(join(tmpdir(), "mayfly-explore-"));
  await writeFile(at("package.json"), "{}");
  await mkdir(at("node_modules"));
  await symlink(packageRoot, at("node_modules/mayfly"));
});
after(() => rm(folder, { recursive: true, force: true }));

interface Line {
  readonly token: string;
  readonly event: string;
  readonly happened: readonly string[];
}

interface Report {
  readonly schedules: number;
  readonly worlds: number;
  readonly complete: boolean;
  readonly violations: readonly {
    readonly rule: string;
    readonly why: string;
    readonly schedule: string;
    readonly timeline: readonly Line[];
  }[];
}

async function explored(
  name: string,
  handler: string,
  exploration: string,
  ...more: string[]
): Promise<Report & { readonly code: number }> {
  await writeFile(
    at(`${name}.ts`),
    `import { flow } from "mayfly";\nexport default flow<string>(async (msg, { to, wait, sleep, state, approve, continueAs }) => {\n${handler}\n});\n`,
  );
  await writeFile(at(`${name}.explore.ts`), `import { explore } from "mayfly/explore";\nexport default explore(${exploration});\n`);
  return await again(name, ...more);
}

async function again(name: string, ...more: string[]): Promise<Report & { readonly code: number }> {
  const { code, out, err } = await capture(["explore", at(`${name}.ts`), "--json", "--seconds", "30", ...more]);
  ok(code === 0 || code === 1, err);
  return { ...(JSON.parse(out) as Report), code };
}

const rules = ({ violations }: Report): string[] => violations.map(({ rule }) => rule);

test("a payment that comes while the release is under way: found, as short as can be, and the same when it is run again", async () => {
  const handler = `
  const order = msg.json<any>();
  to.mail.send("please pay");
  let paid = false;
  const payment = wait("payment", { key: order.id }).then(() => { paid = true; to.billing.send(order.id); });
  await Promise.race([payment, sleep("2d")]);
  if (!paid) { await to.stock.request({ release: order.id }); to.mail.send("cancelled"); }`;
  const rule = `({ sends, requests }) => sends.to("billing").length === 0 || requests.to("stock").length === 0`;
  const exploration = `{ messages: [{ json: { id: "1" } }], signals: [{ name: "payment", key: "1" }], invariants: { "released or billed": ${rule} } }`;
  const report = await explored("race", handler, exploration);
  equal(report.code, 1);
  deepEqual(rules(report), ["released or billed"]);
  const [violation] = report.violations;
  equal(violation?.schedule, "m1 t w1 s1 w1 a1.0=0", "message, two days, release, payment, bill, answer");
  ok(violation.timeline.some(({ happened }) => happened.some((line) => line.includes("sends to billing"))));
  for (const seed of ["2", "3"]) equal((await again("race", "--seed", seed)).violations[0]?.schedule, violation.schedule);
  const single = await again("race", "--schedule", violation.schedule);
  deepEqual([single.code, single.violations[0]?.timeline], [1, violation.timeline]);
  const sound = JSON.parse((await capture(["explore", at("race.ts"), "--json", "--schedule", "m1 t"])).out) as Report & {
    timeline: Line[];
  };
  deepEqual([sound.violations, sound.timeline.map(({ token }) => token)], [[], ["m1", "t"]]);
  const other = await capture(["explore", at("race.ts"), "--schedule", "m1 w7"]);
  deepEqual([other.code, /MF_EXPLORE_SCHEDULE.*the event w7/.test(other.err)], [2, true]);
  const shown = await capture(["explore", at("race.ts")]);
  match(shown.out, /✗ released or billed\n[^]*\+2d {2}t {7}time passes[^]*mayfly explore .* --schedule "m1 t w1 s1 w1 a1\.0=0"/);
});

test("the same flow without the fault breaks no rule, over every schedule within the bounds", async () => {
  const handler = `
  const order = msg.json<any>();
  const stock = await to.stock.request({ reserve: order.id });
  to.mail.send("please pay");
  const payment = await wait("payment", { key: order.id, timeout: "2d" });
  if (payment === undefined) to.stock.send({ release: order.id }); else to.billing.send(order.id);`;
  const exploration = `{ bounds: { errors: 1, crashes: 1, duplicates: 0, delays: 0 }, messages: [{ json: { id: "1" } }], signals: [{ name: "payment", key: "1" }, { name: "payment", key: "2" }],
  invariants: {
    "billed once": ({ sends }) => new Set(sends.to("billing").map((send) => send.text())).size === sends.to("billing").length,
    "ends": ({ ended, messages }) => !ended || messages.every(({ status }) => status === "done" || status === "dead"),
  } }`;
  const report = await explored("sound", handler, exploration);
  deepEqual([report.code, rules(report), report.complete], [0, [], true]);
  ok(report.schedules > 30 && report.worlds > 30, `${report.schedules} ${report.worlds}`);
});

test("a signal that comes twice, as two: the bound of duplicates counts", async () => {
  const handler = `for (let turn = 0; turn < 2; turn++) { const paid = await wait("payment", { timeout: "1d" }); if (paid) to.billing.send("bill"); }`;
  const exploration = (duplicates: number): string =>
    `{ messages: [{ text: "x", key: "k" }], signals: [{ name: "payment" }], bounds: { duplicates: ${duplicates} }, invariants: { "billed once": ({ sends }) => sends.to("billing").length < 2 } }`;
  const report = await explored("twice", handler, exploration(1));
  match(report.violations[0]?.schedule ?? "", /s1\+/);
  deepEqual(rules(await explored("once", handler, exploration(0))), []);
});

test("a crash loses what is not committed: requests are made again under their key, sends leave once", async () => {
  const handler = `
  await to.stock.request("reserve");
  to.mail.send("reserved");
  await wait("go", { timeout: "1d" });
  await to.stock.request("take");
  to.mail.send("taken");`;
  const exploration = (rule: string): string =>
    `{ messages: [{ text: "x" }], bounds: { errors: 0, delays: 0, duplicates: 0 }, invariants: { rule: (world) => ${rule} } }`;
  const repeated = await explored("crash", handler, exploration("world.attempts.length < 3"));
  match(repeated.violations[0]?.schedule ?? "", /x/);
  const sound = `world.requests.length < 3 && world.sends.to("mail").length < 3 && (!world.ended || world.sends.to("mail").length === 2)
    && world.attempts.filter((each) => each.text() === "reserve").every((each, _, all) => all.length === 1 || world.attempts.filter((other) => other.text() === "take").length < 2)`;
  deepEqual(rules(await explored("crash", handler, exploration(sound))), []);
});

test("two messages of one key that were woken together: a commit over another's is a conflict, and none of the updates is lost", async () => {
  const handler = `
  await wait("go", { key: "all", timeout: "1d" });
  const seen = state.get<number>("seen") ?? 0;
  await to.stock.request(String(seen));
  state.set("seen", seen + 1);`;
  const exploration = `{
  messages: [{ text: "a", key: "k" }, { text: "b", key: "k" }],
  bounds: { errors: 0, crashes: 0, duplicates: 0, delays: 1 },
  invariants: { "both count": ({ ended, state, messages }) => !ended || state("both", "k").seen === messages.length, "told apart": () => true },
}`;
  const report = await explored("both", handler, exploration);
  deepEqual([rules(report), report.complete], [["no double effect under one idempotency key"], true], "the request is made of the state");
  const steady = await explored("both", handler.replace("String(seen)", '"same"'), exploration);
  deepEqual([rules(steady), steady.complete], [[], true]);
});

test("built in: a value read before a sleep and written after it, over another message's update", async () => {
  const flow = (read: string): string => `
  ${read === "before" ? 'const seen = state.get<number>("seen") ?? 0;' : ""}
  state.set("last", msg.text());
  await wait("go", { key: msg.id, timeout: "1d" });
  ${read === "after" ? 'const seen = state.get<number>("seen") ?? 0;' : ""}
  state.set("seen", seen + 1);`;
  const exploration = `{ messages: [{ text: "a", key: "k" }, { text: "b", key: "k" }] }`;
  const report = await explored("stale", flow("before"), exploration);
  deepEqual(rules(report), ["no lost update"]);
  match(
    report.violations[0]?.why ?? "",
    /sets "seen" to 1, made of the value nothing that it read before it slept; meanwhile job \d had set it to 1/,
  );
  deepEqual(rules(await explored("fresh", flow("after"), exploration)), [], 'a blind write of "last" is no lost update either');
});

test("built in: a lost update by a transaction that was given the old value, or over a deletion", async () => {
  const read = (work: string): string => `
  if (msg.text() === "adds") { state.set("seen", (state.get<number>("seen") ?? 0) + 1); return; }
  if (msg.text() === "deletes") { state.delete("seen"); return; }
  const seen = state.get<number>("seen") ?? 0;
  ${work}
  await wait("go", { timeout: "1d" });
  state.set("seen", seen + 1);`;
  const exploration = (other: string): string =>
    `{ messages: [{ text: "sleeps", key: "k", state: { seen: 4 } }, { text: "${other}", key: "k" }], bounds: { crashes: 0, errors: 0, delays: 1 } }`;
  const deleted = await explored("stale-deleted", read(""), exploration("deletes"));
  deepEqual(rules(deleted), ["no lost update"]);
  match(deleted.violations[0]?.why ?? "", /meanwhile job 2 had deleted it: read/);
  // Both sleep; one reads while the other's first transaction is under way.
  const late = `
  const seen = state.get<number>("seen") ?? 0;
  if (msg.text() === "asks") await to.x.request({});
  await wait(msg.text(), { timeout: "1d" });
  if (msg.text() === "asks") state.set("seen", seen + 1); else state.set("seen", state.get<number>("seen")! + 1);`;
  const both = `{ messages: [{ text: "other", key: "k", state: { seen: 4 } }, { text: "asks", key: "k" }],
  signals: [{ name: "other", repeats: false }], bounds: { crashes: 0, errors: 0, duplicates: 0, delays: 0 } }`;
  const report = await explored("stale-late", late, both, "--schedule", "m1 m2 s1 w1 a2.0=0 t w2");
  deepEqual(rules(report), ["no lost update"]);
});

test("built in: another request under the idempotency key of one that was made", async () => {
  const retried = `
  const answer = await to.stock.request(msg.attempt === 1 ? "reserve" : "reserve again").catch((error) => { throw error; });
  return answer.status;`;
  const byError = await explored("key", retried, `{ messages: [{ text: "x" }] }`);
  deepEqual(rules(byError), ["no double effect under one idempotency key"]);
  const steady = retried.replace('"reserve again"', '"reserve"');
  deepEqual(rules(await explored("key2", steady, `{ messages: [{ text: "x" }] }`)), []);
});

test("built in: a wait that nothing can end, and a flow that never ends", async () => {
  const endless = await explored(
    "wait",
    `await wait("payment");`,
    `{ messages: [{ text: "x" }], signals: [{ name: "payment", key: "other" }] }`,
  );
  deepEqual(rules(endless), ["no wait that nothing can end"]);
  equal(endless.violations[0]?.schedule.includes("m1"), true);
  const loop = await explored(
    "loop",
    `for (;;) { to.out.send("tick"); await sleep("1d"); }`,
    `{ messages: [{ text: "x" }], bounds: { events: 20 } }`,
  );
  deepEqual(rules(loop), ["always ends"]);
  const turns = await explored(
    "turns",
    `to.out.send("tick"); await sleep("1d"); continueAs("y");`,
    `{ messages: [{ text: "x" }], bounds: { events: 20 } }`,
  );
  deepEqual([rules(turns), turns.complete], [[], true]);
});

test("an approval takes each of its options, and its time may be over; a failure after a wait is tried again from there", async () => {
  const handler = `
  to.mail.send("asked");
  const chosen = await approve("Pay?", { options: ["yes", "no"], timeout: "1d" });
  if (chosen === "yes") await to.bank.request("pay");
  to.out.send(String(chosen));`;
  const exploration = (rule: string): string =>
    `{ messages: [{ text: "x" }], invariants: { rule: (world) => { const all = world.sends.to("out").map((send) => send.text()); return ${rule}; } } }`;
  for (const option of ["yes", "no", "undefined"])
    deepEqual(rules(await explored(`approve-${option}`, handler, exploration(`!all.includes("${option}")`))), ["rule"], option);
  deepEqual(rules(await explored("approve", handler, exploration(`all.length < 2 && world.sends.to("mail").length <= 1`))), []);
});

test("several flows: what one sends is a message or a signal for another", async () => {
  await writeFile(
    at("bank.ts"),
    `import { flow } from "mayfly";\nexport default flow<string>(async (msg, { to }) => { const { id } = msg.json<{ id: string }>(); to.paid.send({ id }); });\n`,
  );
  const handler = `
  const { id } = msg.json<any>();
  to.bank.send({ id });
  const paid = await wait("paid", { key: id });
  to.out.send(paid?.json());`;
  const exploration = (key: string): string => `{
  flows: { shop: "./shop.ts", bank: "./bank.ts" },
  messages: [{ json: { id: "1" } }],
  routes: {
    "shop.bank": (send) => ({ flow: "bank", json: send.json() }),
    "bank.paid": (send) => ({ flow: "shop", name: "paid", key: ${key}, json: send.json() }),
  },
  invariants: { "paid in the end": ({ ended, sends, messages }) => !ended || messages.some(({ status }) => status === "dead") || sends.to("out").length === 1 },
}`;
  deepEqual(rules(await explored("shop", handler, exploration("send.json().id"))), []);
  const wrong = await explored("shop", handler, exploration('"other"'));
  deepEqual(rules(wrong), ["paid in the end"]);
  match(wrong.violations[0]?.schedule ?? "", /^m1 r1\.1\.0 r2\.1\.0$/);
});

test("what a message becomes is told apart by its content, in whatever order the answers are tried", async () => {
  const answers = ["{ json: { n: 1 } }, { json: { n: 2 } }", "{ json: { n: 2 } }, { json: { n: 1 } }"];
  const next = `
  if (msg.headers["content-type"] === "text/plain; charset=utf-8") { const answer = await to.x.request({}); continueAs({ n: answer.json<any>().n }); }
  else to.out.send(msg.json());`;
  await writeFile(
    at("bank.ts"),
    `import { flow } from "mayfly";\nexport default flow(async (msg, { to }) => { to.out.send(msg.json()); });\n`,
  );
  const routed = `to.bank.send({ n: (await to.x.request({})).json<any>().n });`;
  const signalled = `const { n } = (await to.x.request({})).json<any>(); to.self.send({ n }); const got = await wait("told"); to.out.send(got?.json() ?? null);`;
  for (const choices of answers) {
    const rule = `invariants: { "never sends 2": ({ sends }) => sends.to("out").every((send) => send.json().n !== 2) }`;
    const shared = `answers: { x: [${choices}] }, ${rule}, messages: [{ text: "x" }]`;
    deepEqual(rules(await explored("content-next", next, `{ ${shared} }`)), ["never sends 2"], choices);
    const flows = (name: string): string => `flows: { ${name}: "./content-routed.ts", bank: "./bank.ts" }`;
    const route = `routes: { "shop.bank": (send) => ({ flow: "bank", json: send.json() }) }`;
    deepEqual(rules(await explored("content-routed", routed, `{ ${flows("shop")}, ${route}, ${shared} }`)), ["never sends 2"], choices);
    const back = `routes: { self: (send) => ({ name: "told", json: send.json() }) }`;
    deepEqual(rules(await explored("content-signal", signalled, `{ ${back}, ${shared} }`)), ["never sends 2"], choices);
  }
});

test("a rule is asked after every event, and sees what each failure was", async () => {
  const shared = `messages: [{ text: "x" }]`;
  const late = `{ ${shared}, invariants: { early: ({ nowMs }) => nowMs < 1000 } }`;
  const passed = await explored("asked-time", `await sleep("1d"); to.out.send("late");`, late);
  deepEqual([rules(passed), passed.violations[0]?.schedule], [["early"], "m1 t"]);
  const kept = `{ ${shared}, signals: [{ name: "go" }], invariants: { "none kept": ({ signals }) => signals.length === 0 } }`;
  const [violation] = (await explored("asked-kept", `to.out.send("x");`, kept)).violations;
  deepEqual([violation?.rule, violation?.schedule], ["none kept", "s1"]);
  // The worlds after the two answers are alike but for the failure.
  const handler = `const { why } = (await to.x.request({})).json<any>(); if (why !== "") throw new Error(why);`;
  for (const [first, second] of [
    ["bad", "worse"],
    ["worse", "bad"],
  ]) {
    const choices = `[{ json: { why: "${first}" } }, { json: { why: "${second}" } }]`;
    const rule = `({ messages }) => !messages.some(({ error }) => error?.message === "worse")`;
    const bounds = "bounds: { attempts: 1, crashes: 0, errors: 0, duplicates: 0, delays: 0 }";
    const exploration = `{ ${shared}, ${bounds}, answers: { x: ${choices} }, invariants: { "no worse": ${rule} } }`;
    deepEqual(rules(await explored("asked-failure", handler, exploration)), ["no worse"], first);
  }
});

test("an empty list of answers is refused: it would stop every schedule at its call", async () => {
  for (const answers of ["[]", "() => []"]) {
    await writeFile(
      at("none.ts"),
      `import { flow } from "mayfly";\nexport default flow(async (msg, { to }) => { await to.stock.request({}); });\n`,
    );
    const exploration = `import { explore } from "mayfly/explore";\nexport default explore({ messages: [{ text: "x" }], answers: { stock: ${answers} } });\n`;
    await writeFile(at("none.explore.ts"), exploration);
    const { code, err } = await capture(["explore", at("none.ts")]);
    deepEqual([code, /MF_EXPLORE_INVALID.*the answers of stock are an empty list/.test(err)], [2, true], err);
  }
});

test("a delayed send comes when it is due, not before", async () => {
  await writeFile(
    at("told.ts"),
    `import { flow } from "mayfly";\nexport default flow(async (msg, { to }) => { to.out.send("reminded"); });\n`,
  );
  const exploration = (rule: string): string => `{
  flows: { shop: "./delayed.ts", told: "./told.ts" },
  messages: [{ text: "x" }],
  routes: { later: (send) => ({ flow: "told", text: "remind" }) },
  invariants: { rule: ({ sends, nowMs, ended }) => ${rule} },
}`;
  const handler = `to.later.send("x", { after: "27d" }); await sleep("1d"); to.out.send("rested");`;
  const early = await explored(
    "delayed",
    handler,
    exploration("nowMs >= 27 * 86_400_000 || !sends.to('out').some((send) => send.text() === 'reminded')"),
  );
  deepEqual([rules(early), early.complete], [[], true]);
  const never = await explored("delayed", handler, exploration("!ended || sends.to('out').length < 2"));
  deepEqual([rules(never), never.violations[0]?.schedule], [["rule"], "m1 t w1 t r1.1.0"]);
});

test("no call stays open beyond the time limit of its transaction, however late others are", async () => {
  await writeFile(
    at("other.ts"),
    `import { flow } from "mayfly";\nexport default flow(async (msg, { sleep }) => { await sleep("2d"); });\n`,
  );
  const exploration = `{
  flows: { open: "./open.ts", other: "./other.ts" },
  messages: [{ text: "x" }, { flow: "other", text: "y" }],
  bounds: { crashes: 0, delays: 3 },
  invariants: { "answered in time": ({ sends }) => sends.to("out").every((send) => send.json() < 86_400_000) },
}`;
  const handler = `const begun = Date.now(); await to.x.request({}); to.out.send(Date.now() - begun);`;
  const report = await explored("open", handler, exploration);
  deepEqual([rules(report), report.complete], [[], true]);
  const naps = `for (let nap = 0; nap < 4; nap++) await sleep("9s"); to.out.send("rested");`;
  const rested = `({ sends, messages }) => sends.length === 0 && messages.every(({ error }) => error === undefined || error.code === "MF_TIME_LIMIT")`;
  deepEqual(rules(await explored("naps", naps, `{ messages: [{ text: "x" }], invariants: { "runs out of time": ${rested} } }`)), []);
});

test("the exploration in EXPLORE.md holds for the saga of the examples", async () => {
  const text = await readFile(join(packageRoot, "docs/EXPLORE.md"), "utf8");
  const block = /^```ts\n([^]*?)^```$/m.exec(text)?.[1] ?? "";
  await writeFile(at("documented.ts"), await readFile(join(packageRoot, "examples/saga/flows/saga.ts"), "utf8"));
  await writeFile(at("documented.explore.ts"), block);
  const report = await again("documented");
  deepEqual([report.code, rules(report), report.complete], [0, [], true]);
});

test("mayfly test --explore runs each exploration as a case, and tells the schedule of one that fails", async () => {
  await mkdir(at("both"));
  const write = async (name: string, handler: string): Promise<void> => {
    await writeFile(
      at(`both/${name}.ts`),
      `import { flow } from "mayfly";\nexport default flow<string>(async (msg, { wait }) => { ${handler} });\n`,
    );
    const exploration = `import { explore } from "mayfly/explore";\nexport default explore({ messages: [{ text: "x" }] });\n`;
    await writeFile(at(`both/${name}.explore.ts`), exploration);
  };
  await write("good", `await wait("go", { timeout: "1d" });`);
  await write("bad", `await wait("go");`);
  const { code, out } = await capture(["test", "--explore", at("both")]);
  equal(code, 1);
  match(out, /1 failed.*, 1 passed/);
  match(out, /no wait that nothing can end[^]*mayfly explore .*bad\.explore\.ts --schedule "m1"/);
});

test("a flow without an exploration takes its message from a file; without either it says what to write", async () => {
  await writeFile(
    at("plain.ts"),
    `import { flow } from "mayfly";\nexport default flow<string>(async (msg, { wait, to }) => { const got = await wait("go", { timeout: "1d" }); to.out.send(got?.json() ?? null); });\n`,
  );
  await writeFile(at("message.json"), "{}");
  const { code, out } = await capture(["explore", at("plain.ts"), "--case", at("message.json"), "--signal", `go=${at("message.json")}`]);
  deepEqual([code, /nothing breaks a rule .*all within the bounds/.test(out)], [0, true], out);
  await mkdir(at("cases"));
  for (const id of ["1", "2"]) await writeFile(at(`cases/${id}.json`), id);
  const exploration = `{ messages: [{ json: 9 }], invariants: { small: ({ messages }) => messages.every((each) => each.json() < 9) } }`;
  deepEqual(rules(await explored("cased", `to.out.send("x");`, exploration)), ["small"]);
  const cased = await again("cased", "--case", at("cases"));
  deepEqual([cased.code, cased.complete], [0, true], "the rules stay");
  const none = await capture(["explore", at("plain.ts")]);
  equal(none.code, 2);
  match(none.err, /MF_EXPLORE_INVALID.*write .*plain\.explore\.ts, or give a message with --case FILE/);
});
