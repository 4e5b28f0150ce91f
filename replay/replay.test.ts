import { deepEqual, equal, match, notEqual, ok, rejects } from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { decodeRecording, type Effect, encodeRecording, type Recording } from "#abi";
import { toUtf8 } from "#base";
import { gatewayLimits } from "#gateway";
import { platformFault } from "../monitors/process/process.ts";
import { embeddedMonitor, findQemu, type LoadedImage, type Monitor, processMonitor, qemuMonitor } from "#monitors";
import { type Replay, replayRecording } from "#replay";
import { answer, delivered, imageOf, record, refusal, startMs } from "./testing/record.ts";

/** Seeds, time, timers, calls, state, and every format. */
const source = (price: string): string => `import { flow, json, xml, csv, text } from "mayfly";
export default flow(async (msg, { to, log, state, sleep, fetch, reply }) => {
  const order = msg.json();
  const id = crypto.randomUUID();
  log.info("order", { id, at: new Date().toISOString(), luck: Math.random(), known: state.get("seen") ?? null });
  const [stock, rates] = await Promise.all([
    to.stock.request({ sku: order.sku }, { method: "POST", path: "/v1" }),
    fetch("https://rates.test/eur").then((response) => response.json()),
  ]);
  await sleep("2s");
  const waited = await new Promise((done) => setTimeout(() => done(performance.now()), 40));
  let refused = "";
  try { await to.erp.request("x"); } catch (error) { refused = error.code; }
  const other = await state.read("other");
  const rows = csv.parse("a,b\\n1,2\\n3,4");
  const doc = xml.parse("<o><l q='2'>x</l><l q='3'>y</l></o>");
  const form = new FormData(); form.append("k", "v"); form.append("f", new Blob(["bytes"], { type: "text/plain" }), "f.txt");
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", text.stringify(order.sku)));
  state.set("seen", (state.get("seen") ?? 0) + 1); state.delete("old");
  to.books.send({ id, total: order.qty * ${price} * rates.rate, stock: stock.json(), waited }, { key: order.sku, headers: { "x-a": "1" } });
  to.archive.send(xml.stringify({ o: { l: doc.o.l, at: String(Date.now()) } }), { contentType: "application/xml" });
  to.archive.send(csv.stringify(rows), { contentType: "text/csv" });
  to.archive.send(digest);
  to.archive.send(form);
  log.warn("done", { refused, other });
  reply({ id, total: order.qty * ${price} * rates.rate, refused, lines: rows.length }, { status: 201, headers: { "x-id": id } });
});`;

const body = JSON.stringify({ sku: "s-1", qty: 3 });
const answers: Parameters<typeof record>[3] = (call) => {
  if (call.operation === "fetch") return answer({ rate: 1.25 }, 5);
  if (call.operation === "state") return answer({ n: 1 }, 0);
  return call.target === "stock" ? answer({ left: 4 }, 20) : refusal("MF_PEER_DOWN");
};

let monitor: Monitor;
let image: Awaited<ReturnType<typeof imageOf>>;
let loaded: LoadedImage;
let recording: Recording;
before(async () => {
  monitor = embeddedMonitor({ workers: 1 });
  image = await imageOf(source("10"));
  loaded = await monitor.load(image);
  const deliver = delivered(body, { key: "k", stateJson: '{"seen":4,"old":true}' });
  const recorded = await record(monitor, loaded, deliver, answers);
  // As it is kept: through the codec.
  const decoded = decodeRecording(encodeRecording(recorded));
  ok(decoded.ok);
  recording = decoded.value;
  equal(recording.steps.at(-1)?.status, "done");
  ok(recording.events.length >= 6, "calls, timers and a read of the state");
});
after(() => monitor.close());

const monitors: readonly { readonly name: string; readonly skip: string | false; readonly open: () => Monitor }[] = [
  { name: "embedded", skip: false, open: () => embeddedMonitor({ workers: 1 }) },
  { name: "process", skip: platformFault()?.message ?? false, open: () => processMonitor({ workers: 1 }) },
  { name: "qemu", skip: findQemu() === undefined && "there is no QEMU here", open: () => qemuMonitor({ cpuFactor: 5 }) },
];

for (const { name, skip, open } of monitors)
  describe(`the record's image on the ${name} monitor`, { skip }, () => {
    let own: Monitor;
    before(() => void (own = open()));
    after(() => own.close());

    test("is identical, bit for bit", async () => {
      const replay = await replayRecording(own, await own.load(image), recording);
      deepEqual(replay.differences, []);
      deepEqual(replay, { ...replay, identical: true, image: image.sha256, monitor: name, compared: "bits", remarks: [] });
    });

    test("a record that was tampered with is not", async () => {
      const steps = recording.steps.map((step) => ({
        ...step,
        effects: step.effects.map((effect): Effect => (effect.kind === "log" ? { ...effect, text: `${effect.text}!` } : effect)),
      }));
      const replay = await replayRecording(own, await own.load(image), { ...recording, steps });
      equal(replay.identical, false);
      deepEqual(replay.differences[0], { path: "steps[0].effects[0].text", recorded: "order!", replayed: "order" });
    });
  });

async function replayed(changed: Partial<Recording>): Promise<Replay> {
  return await replayRecording(monitor, loaded, { ...recording, ...changed });
}

/** Paths of the differences, and their recorded values. */
const paths = ({ differences }: Replay): readonly string[] => differences.map(({ path }) => path);

test("each kind of change to the record is seen: a body's byte, a status, an event's time, the seed, the state, an answer", async () => {
  const last = recording.steps.length - 1;
  const step = recording.steps[last];
  ok(step !== undefined);
  const done = step.effects.at(-1);
  ok(done?.kind === "done" && done.reply !== undefined);
  const body = Uint8Array.from(done.reply.body);
  body[body.length - 2] = (body[body.length - 2] as number) ^ 1;
  const withLast = (changed: Partial<typeof step>): Partial<Recording> => ({
    steps: [...recording.steps.slice(0, last), { ...step, ...changed }],
  });
  const other = await replayed(withLast({ effects: [...step.effects.slice(0, -1), { ...done, reply: { ...done.reply, body } }] }));
  match(paths(other).join(), new RegExp(`^steps\\[${last}\\]\\.effects\\[\\d+\\]\\.reply\\.body`));
  const spaced = toUtf8(Buffer.from(done.reply.body).toString().replace(":", ": "));
  const space = await replayed(withLast({ effects: [...step.effects.slice(0, -1), { ...done, reply: { ...done.reply, body: spaced } }] }));
  equal(space.identical, false, "the same JSON, written otherwise, is other bytes");
  deepEqual(paths(await replayed(withLast({ status: "failed" }))), [`steps[${last}].status`]);
  deepEqual(paths(await replayed(withLast({ status: "broken", failure: { code: "MF_CPU_LIMIT", message: "" } }))).slice(0, 2), [
    `steps[${last}].status`,
    `steps[${last}].failure.code`,
  ]);
  for (const deliver of [
    { ...recording.deliver, timeMs: startMs + 1 },
    { ...recording.deliver, seed: new Uint8Array(32) },
    { ...recording.deliver, stateJson: '{"seen":5,"old":true}' },
  ])
    equal((await replayed({ deliver })).identical, false);
  const events = recording.events.map((event) =>
    event.kind === "resolve" && event.body.length > 0 ? { ...event, body: toUtf8('{"rate":2,"left":1}') } : event,
  );
  equal((await replayed({ events })).identical, false);
});

test("an image that fails is replayed with its failure, and one that overran its CPU with its code only", async () => {
  const failing = await monitor.load(await imageOf(`import { flow } from "mayfly"; export default flow(() => { null.x; });`));
  const failed = await record(monitor, failing, delivered(""));
  equal(failed.steps[0]?.status, "failed");
  deepEqual((await replayRecording(monitor, failing, failed)).differences, []);
  const looping = await monitor.load(
    await imageOf(
      `import { flow } from "mayfly"; export default flow({ limits: { cpu: "20ms" } }, (msg, { log }) => { for (let i = 0; ; i++) if (i % 1e5 === 0) log.info(String(i)); });`,
    ),
  );
  const cut = await record(monitor, looping, delivered(""));
  equal(cut.steps[0]?.failure?.code, "MF_CPU_LIMIT");
  const again = await replayRecording(monitor, looping, cut);
  deepEqual([again.identical, again.differences], [true, []]);
  match(again.remarks.join(), /MF_CPU_LIMIT/);
});

test("an attempt that was cancelled is replayed to its cancel", async () => {
  const waiting = await monitor.load(
    await imageOf(
      `import { flow } from "mayfly"; export default flow(async (msg, { sleep, signal, log }) => { signal.addEventListener("abort", () => log.warn("given up")); await sleep("1h"); });`,
    ),
  );
  const machine = monitor.start(waiting, delivered(""));
  const first = await machine.first;
  const cancel = { kind: "cancel", timeMs: startMs + 500, reason: "the caller left" } as const;
  const second = await machine.step(cancel);
  const kept = (step: typeof first): Recording["steps"][number] => ({ ...step, failure: step.failure, pages: 0 });
  const cancelled = {
    ...recording,
    imageSha256: waiting.sha256,
    deliver: delivered(""),
    events: [cancel],
    steps: [kept(first), kept(second)],
  };
  deepEqual((await replayRecording(monitor, waiting, cancelled)).differences, []);
  const other = await replayRecording(monitor, loaded, { ...cancelled, deliver: delivered(body) });
  ok(other.differences.length > 0);
});

describe("another image", () => {
  const through = async (text: string, error?: { readonly code: string; readonly message: string }): Promise<Replay> =>
    await replayRecording(monitor, await monitor.load(await imageOf(text)), recording, { error });

  test("that does the same has no difference, in recorded time and with the recorded random values", async () => {
    const same = await through(`${source("10")}\nglobalThis.version = 2;`);
    notEqual(same.image, recording.imageSha256);
    deepEqual([same.compared, same.identical, same.differences, same.unanswered], ["outcome", true, [], []]);
  });

  test("with another price differs exactly there", async () => {
    const other = await through(source("11"));
    deepEqual(other.differences, [
      { path: "reply.body.total", recorded: 37.5, replayed: 41.25 },
      { path: "sends[0].body.total", recorded: 37.5, replayed: 41.25 },
    ]);
  });

  test("that asks in another order gets the record's answers", async () => {
    const swapped = source("10").replace(
      /const \[stock, rates\][\s\S]*?\]\);/,
      `const rates = await fetch("https://rates.test/eur").then((response) => response.json());
       const stock = await to.stock.request({ sku: order.sku }, { method: "POST", path: "/v1" });`,
    );
    const other = await through(swapped);
    deepEqual(other.unanswered, []);
    const reply = other.differences.filter(({ path }) => path.startsWith("reply"));
    deepEqual(reply, [], "the reply does not depend on the order");
    ok(
      other.differences.some(({ path }) => path.startsWith("calls[")),
      "but the order of its calls is another",
    );
  });

  test("that asks with another body gets the answer of the same outlet, and the call's difference is shown", async () => {
    const other = await through(source("10").replace("{ sku: order.sku }, {", "{ sku: order.sku, store: 7 }, {"));
    deepEqual([other.unanswered, other.differences], [[], [{ path: "calls[0].body.store", replayed: 7 }]]);
  });

  test("whose lines moved has no difference in the stacks it logs", async () => {
    const text = (lines: string): string =>
      `import { flow } from "mayfly";\n${lines}export default flow((msg, { log }) => { const error = new Error("x"); log.warn("bad", { error, more: 1 }); log.info(error.stack ?? ""); console.log(error); });`;
    const before = await monitor.load(await imageOf(text("")));
    const logged = await record(monitor, before, delivered(""));
    const moved = await monitor.load(await imageOf(text("globalThis.moved = 1;\n\n\n")));
    deepEqual((await replayRecording(monitor, moved, logged)).differences, []);
  });

  test("that asks somebody new is unanswered", async () => {
    const other = await through(source("10").replace("await sleep", `await to.tax.request("DE"); await sleep`));
    deepEqual(other.unanswered, [{ operation: "request", target: "tax", method: "" }]);
    equal(other.identical, false);
  });

  test("state, sends, logs and failure: each difference has its path", async () => {
    const other = await through(
      source("10")
        .replace(`state.set("seen", (state.get("seen") ?? 0) + 1);`, `state.set("seen", 1); state.set("new", [1]);`)
        .replace("to.archive.send(digest);", "")
        .replace(`log.warn("done", { refused, other })`, `log.error("done", { refused, other: 1 })`),
    );
    const found = new Map(other.differences.map(({ path, ...values }) => [path, values]));
    deepEqual(found.get("state.seen"), { recorded: 5, replayed: 1 });
    deepEqual(found.get("state.new"), { replayed: [1] });
    deepEqual(found.get("logs[1].level"), { recorded: "warn", replayed: "error" });
    deepEqual(found.get("logs[1].fields.other"), { recorded: { n: 1 }, replayed: 1 });
    ok(found.has("sends[4]"), "one send is missing");
    const failing = await through(source("10").replace("const rows =", `throw new TypeError("no"); const rows =`));
    const failure = failing.differences.find(({ path }) => path === "failure");
    equal(failure?.recorded, undefined);
    match(JSON.stringify(failure?.replayed), /"message":".*no"/);
  });
});

test("state beyond its limit fails another image, as its commit would; the recorded one was within it", async () => {
  const text = (size: string): string =>
    `import { flow } from "mayfly"; export default flow((msg, { state }) => { state.set("text", "x".repeat(${size})); });`;
  const within = await monitor.load(await imageOf(text("10")));
  const beyond = await monitor.load(await imageOf(text(String(gatewayLimits.stateBytes))));
  const small = await record(monitor, within, delivered("", { key: "k" }));
  const [difference, ...more] = (await replayRecording(monitor, beyond, small)).differences;
  deepEqual([difference?.path, (difference?.replayed as { code: string }).code, more], ["failure", "MF_STATE_LIMIT", []]);
  const large = await record(monitor, beyond, delivered("", { key: "k" }));
  const [mended] = (await replayRecording(monitor, within, large)).differences;
  equal((mended?.recorded as { code: string }).code, "MF_STATE_LIMIT");
});

test("an attempt that ended before its machine answered is run by its outcome, on its own image too", async () => {
  const quick = await monitor.load(await imageOf(`import { flow } from "mayfly"; export default flow(() => "quick");`));
  const late = { ...(await record(monitor, quick, delivered(""))), steps: [] };
  const error = { code: "MF_TIME_LIMIT", message: "the message exceeded its time limit" };
  const { identical, compared, differences, remarks } = await replayRecording(monitor, quick, late, { error });
  deepEqual([identical, compared, differences.map(({ path }) => path)], [false, "outcome", ["failure"]]);
  match(remarks.join(), /before its machine answered/);
});

test("a recording without bodies is refused, with the setting to change", async () => {
  const redaction = { headers: [], paths: [], bodies: "headers" } as const;
  await rejects(replayRecording(monitor, loaded, { ...recording, redaction }), { code: "MF_REPLAY_NO_BODIES", message: /history\.bodies/ });
});
