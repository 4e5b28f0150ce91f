import { deepEqual, equal, match, notEqual, ok } from "node:assert/strict";
import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { encodeRecording, type Recording } from "#abi";
import { capture } from "#cli";
import { embeddedMonitor } from "#monitors";
import { answer, delivered, record, refusal } from "../replay/testing/record.ts";
import { cachedImage } from "./images/cache.ts";
import { storeFolder } from "./images/store.ts";

let folder: string;
const at = (...names: string[]): string => join(folder, ...names);

const source = (factor: string): string => `import { flow } from "mayfly";
export default flow<"stock" | "audit">(async (msg, { to, log, state, sleep, values }) => {
  const order = msg.json<{ sku: string; qty: number }>();
  const stock = (await to.stock.request({ sku: order.sku })).json<{ left: number }>();
  await sleep("1s");
  log.info("order", { left: stock.left, luck: Math.random() });
  state.set("orders", (state.get<number>("orders") ?? 0) + 1);
  to.audit.send({ sku: order.sku, at: Date.now(), luck: Math.random() }, { key: order.sku });
  return { total: order.qty * ${factor}, left: stock.left, region: values["region"] };
});
`;

const config = `flows:
  orders:
    flow: flows/orders.ts
    key: json:/sku
    from: [{ http: { path: /orders } }]
    values: { region: "north" }
    to:
      stock: { http: { url: "http://127.0.0.1:1/" } }
      audit: { file: { dir: ./audit, name: "{date}.jsonl" } }
`;

let recording: Recording;
before(async () => {
  folder = await mkdtemp(join(tmpdir(), "mayfly-replay-cli-"));
  await mkdir(at("flows"));
  await writeFile(at("package.json"), "{}");
  await writeFile(at("mayfly.yaml"), config);
  await writeFile(at("flows", "orders.ts"), source("10"));
  const monitor = embeddedMonitor({ workers: 1 });
  try {
    const { image } = await cachedImage(at("flows", "orders.ts"), { name: "orders" });
    const headersJson = '{"content-type":"application/json","x-tenant":"t1","mayfly-value-region":"north"}';
    const deliver = delivered('{"sku":"s-1","qty":3}', { id: "4711", source: "http", key: "s-1", headersJson, stateJson: '{"orders":6}' });
    recording = await record(monitor, await monitor.load(image), deliver, () => answer({ left: 4 }, 25));
  } finally {
    await monitor.close();
  }
  equal(recording.steps.at(-1)?.status, "done");
  await writeFile(at("4711.mfr"), encodeRecording(recording));
});
after(() => rm(folder, { recursive: true, force: true }));

const run = async (...values: string[]): ReturnType<typeof capture> => await capture([...values, "-c", at("mayfly.yaml")]);

test("replay: identical on the image that ran, by its hash in the store, with exit code 0", async () => {
  const { code, out, err } = await run("replay", at("4711.mfr"), "--json");
  equal(err, "");
  const result = JSON.parse(out) as Record<string, unknown>;
  deepEqual(
    [result["identical"], result["differences"], result["image"], result["monitor"]],
    [true, [], recording.imageSha256, "embedded"],
  );
  equal(code, 0);
  match(
    (await run("replay", at("4711.mfr"), "--monitor", "embedded")).out,
    /^identical 3 steps, bit for bit sha256:[0-9a-f]{12}, embedded monitor\n$/,
  );
  const digits = recording.imageSha256.slice(0, 12);
  equal((await run("replay", at("4711.mfr"), "--image", `sha256:${digits}`)).code, 0);
  equal((await run("replay", at("4711.mfr"), "--flow", at("flows", "orders.ts"))).code, 0, "the same source has the same hash");
});

test("replay of a changed source: exit code 1, every difference with its path", async () => {
  await writeFile(at("flows", "dearer.ts"), source("11"));
  const { code, out } = await run("replay", at("4711.mfr"), "--flow", at("flows", "dearer.ts"), "--json");
  equal(code, 1);
  const result = JSON.parse(out) as { differences: unknown; image: string };
  deepEqual(result.differences, [{ path: "reply.body.total", recorded: 30, replayed: 33 }]);
  notEqual(result.image, recording.imageSha256);
  const shown = await run("replay", at("4711.mfr"), "--flow", at("flows", "dearer.ts"), "--diff");
  match(shown.out, /reply\.body\.total\n {2}- recorded 30\n {2}\+ replayed 33\n1 difference sha256:/);
});

test("replay: what can't be done says what to do, with exit code 2", async () => {
  const text = async (...values: string[]): Promise<string> => {
    const { code, err } = await run("replay", ...values);
    equal(code, 2);
    return err;
  };
  match(await text(at("4711.mfr"), "--image", "sha256:0123456789ab"), /MF_IMAGE_NOT_FOUND/);
  match(await text(at("4711.mfr"), "--image", "x y"), /MF_USAGE: --image x y: give it as sha256:DIGITS/);
  match(await text(at("4711.mfr"), "--image", "sha256:0123456789ab", "--flow", "a.ts"), /not both/);
  await writeFile(at("damaged.mfr"), encodeRecording(recording).subarray(0, 100));
  match(await text(at("damaged.mfr")), /MF_RECORDING_INVALID: .*damaged\.mfr: /);
  await writeFile(at("bare.mfr"), encodeRecording({ ...recording, redaction: { headers: [], paths: [], bodies: "headers" } }));
  match(await text(at("bare.mfr")), /MF_REPLAY_NO_BODIES/);
  await writeFile(at("gone.mfr"), encodeRecording({ ...recording, imageSha256: "ab".repeat(32) }));
  match(await text(at("gone.mfr")), /MF_REPLAY_IMAGE_GONE: .*sha256:abab.*--flow .*orders\.ts/);
});

test("an image that was removed from the store is built again from a source that has not changed", async () => {
  await rm(storeFolder(folder), { recursive: true });
  equal((await run("replay", at("4711.mfr"))).code, 0);
});

test("test --record: the case passes, is redacted and readable, and joins a file that is there", async () => {
  const redacted = {
    ...recording,
    deliver: {
      ...recording.deliver,
      headersJson: recording.deliver.headersJson.replace("t1", "[redacted]").replace("north", "[redacted]"),
    },
    redaction: { headers: ["mayfly-value-region", "x-tenant"], paths: [], bodies: "all" } as const,
  };
  await writeFile(at("redacted.mfr"), encodeRecording(redacted));
  const file = at("flows", "orders.flow-test.yaml");
  const first = await run("test", "--record", at("redacted.mfr"), "-o", file);
  equal(first.code, 0, first.out + first.err);
  match(first.out, /✓ message 4711 of 2026-11-03/);
  const text = await readFile(file, "utf8");
  match(text, /^# Recorded: message 4711 of the flow orders/);
  match(text, /json:\n {8}sku: s-1\n {8}qty: 3\n/, "bodies are laid out");
  match(text, /x-tenant: "\[redacted\]"/);
  match(text, /# Not as recorded, since a test has its answers and timers exactly on time: sends\[0\]\.body\.at\./);
  equal(/north/.test(text.replace(/region: north/, "")), false, "values stay in mayfly.yaml, apart from what the flow made of them");
  equal(/mayfly-value/.test(text.replace(/^#.*$/gm, "")), false);

  const again = await run("test", "--record", at("4711.mfr"), "-o", file);
  equal(again.code, 0, again.out + again.err);
  equal((await readFile(file, "utf8")).match(/- name: message 4711/g)?.length, 2);
  equal((await capture(["test", file])).code, 0);

  await writeFile(at("flows", "orders.ts"), source("12"));
  const changed = await capture(["test", file]);
  equal(changed.code, 1, "another source, another total");
  match(changed.out, /reply\.json\.total/);
  match((await run("test", "--record", at("4711.mfr"), "-o", at("flows", "x.yaml"))).err, /NAME\.flow-test\.yaml/);
  await writeFile(at("flows", "orders.ts"), source("10"));
});

test("test --record without -o writes YAML to standard output", async () => {
  const { code, out } = await run("test", "--record", at("4711.mfr"));
  equal(code, 0);
  ok(out.includes("seed: "));
  match(out, /expect:\n {6}reply:\n {8}status: 200/);
});

test("test --record passes for every kind of message: forms of bodies, fetches, answers in turn, refusals, state of others, failures", async () => {
  await writeFile(
    at("flows", "all.ts"),
    `import { fail, flow } from "mayfly";
export default flow<"erp">(async (msg, { to, fetch, state, log, sleep }) => {
  const kind = msg.headers["x-kind"];
  if (kind === "fail") fail("not today", { code: "NOT_TODAY", status: 409, retry: false });
  if (kind === "throw") (null as unknown as { x: number }).x;
  const first = (await to.erp.request("1", { method: "PUT", path: "/a" })).text();
  const second = await to.erp.request(new Uint8Array([1, 255])).then((answer) => answer.bytes.length, (error: { code: string }) => error.code);
  const page = await fetch("https://rates.test/x?y=1", { method: "POST", body: "q", headers: { "x-a": "b" } });
  const other = await state.read("other");
  const sent = Date.now();
  await sleep(1500);
  log.info("all", { first, second, other, took: Date.now() - sent });
  log.error("with a stack", { error: new Error("x") });
  state.set("list", [1, { two: 2 }]); state.delete("gone");
  return new Response(new Uint8Array([0, 200, 255]), { status: 207, headers: { "x-page": String(page.status), "content-type": "application/x-own" } });
});
`,
  );
  await writeFile(
    at("mayfly.yaml"),
    `${config}  all:
    flow: flows/all.ts
    key: key
    from: [{ http: { path: /all } }]
    hosts: [rates.test]
    to: { erp: { http: { url: "http://127.0.0.1:1/" } } }
`,
  );
  const monitor = embeddedMonitor({ workers: 1 });
  try {
    const { image } = await cachedImage(at("flows", "all.ts"), { name: "all" });
    const loaded = await monitor.load(image);
    let asked = 0;
    const bodies = ["plain text, two\nlines", '{ "spaced":  true }', Uint8Array.of(0, 255, 7), ""];
    for (const kind of ["", "json", "bytes", "none", "fail", "throw"]) {
      const headersJson = JSON.stringify({ "x-kind": kind, ...(kind === "none" ? {} : { "content-type": "text/x-own" }) });
      const body = bodies[["", "json", "bytes", "none"].indexOf(kind)] ?? "x";
      const deliver = delivered(body, { id: `all-${kind}`, key: "k", attempt: 2, headersJson, stateJson: '{"gone":1,"stays":"s"}' });
      const recorded = await record(monitor, loaded, deliver, (call) => {
        if (call.operation === "state") return answer({ n: 1 }, 4);
        if (call.operation === "fetch") return answer("page", 31, { "content-type": "text/html", "mayfly-fetch-url": call.target });
        if (call.body.length === 1 && kind === "none") return { answer: { ...answer("busy").answer, status: 503 }, delayMs: 2 };
        return ++asked % 2 === 1 ? answer('{ "not":"canonical" }', 3) : refusal("MF_ERP_DOWN", 250);
      });
      await writeFile(at(`all-${kind}.mfr`), encodeRecording(recorded));
      const written = await run("test", "--record", at(`all-${kind}.mfr`), "-o", at("flows", "all.flow-test.yaml"));
      equal(written.code, 0, written.out + written.err);
    }
    const all = await capture(["test", at("flows", "all.flow-test.yaml")]);
    match(all.out, /6 passed/);
  } finally {
    await monitor.close();
  }
  const text = await readFile(at("flows", "all.flow-test.yaml"), "utf8");
  match(text, /- status: 503\n/);
  match(text, /code: NOT_TODAY\n {8}message: not today\n {8}retry: false\n {8}status: 409/);
  match(text, /https:\/\/rates\.test\/x\?y=1:\n {8}text: page/);
});
