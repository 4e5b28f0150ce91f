/** Calls through a host: the result of each kind of end, and bounds on what guest and caller do. */
import { deepEqual, equal, match, ok, rejects } from "node:assert/strict";
import { tmpdir } from "node:os";
import { basename, relative } from "node:path";
import { test } from "node:test";
import { CodedError } from "../base/mod.ts";
import { load } from "./host.ts";
import { build, inFolder } from "./images.ts";
import { hostOf } from "./testing/open.ts";

test("a call gives reply, sends, logs and state", async (context) => {
  const host = await hostOf(
    context,
    `async (msg, { to, log, state }) => {
      log.info("got", { n: msg.json().n, who: msg.headers["x-who"] });
      state.set("n", state.get("n") + msg.json().n);
      const answer = await to.erp.request({ ask: 1 }, { path: "/orders", method: "PUT", headers: { "x-a": "b" } });
      to.audit.send("seen", { key: "k", headers: { "x-s": "1" } });
      return { status: answer.status, said: answer.json(), type: answer.contentType, header: answer.headers["x-r"] };
    }`,
  );
  const asked: unknown[] = [];
  const result = await host.run(
    { body: { n: 2 }, headers: { "X-Who": "ada" }, key: "a", state: { n: 1, kept: true } },
    {
      outlets: {
        erp: (request) => {
          const { outlet, method, path, headers, contentType } = request;
          asked.push({ outlet, method, path, header: headers["x-a"], contentType, json: request.json() });
          return { json: [1], status: 201, headers: { "X-R": "y" } };
        },
      },
    },
  );
  equal(result.error, undefined);
  deepEqual(asked, [{ outlet: "erp", method: "PUT", path: "/orders", header: "b", contentType: "application/json", json: { ask: 1 } }]);
  equal(result.status, "done");
  equal(result.reply?.status, 200);
  deepEqual(result.reply?.json(), { status: 201, said: [1], type: "application/json", header: "y" });
  deepEqual(
    result.sends.map((send) => [send.outlet, send.key, send.text(), send.headers["x-s"]]),
    [["audit", "k", "seen", "1"]],
  );
  deepEqual(result.logs, [{ level: "info", text: "got", fields: { n: 2, who: "ada" } }]);
  deepEqual(result.state, { n: 3, kept: true });
  equal(result.steps, 2);
});

test("bodies are bytes, text, JSON or nothing", async (context) => {
  const host = await hostOf(context, "(msg) => ({ type: msg.contentType, bytes: [...msg.bytes] })");
  const seen = async (body: unknown, headers = {}) => (await host.run({ body, headers })).reply?.json();
  deepEqual(await seen(undefined), { type: "", bytes: [] });
  deepEqual(await seen("ä"), { type: "text/plain; charset=utf-8", bytes: [195, 164] });
  deepEqual(await seen(new Uint8Array([1, 255])), { type: "application/octet-stream", bytes: [1, 255] });
  deepEqual(await seen([1], { "Content-Type": "application/vnd.x+json" }), { type: "application/vnd.x+json", bytes: [91, 49, 93] });
});

test("a guest that throws has a place in its source, and neither sends nor state", async (context) => {
  const host = await hostOf(
    context,
    `async (msg, { to, state }) => {
      to.x.send("never"); state.set("n", 2);
      const deep = (n: number): never => { throw new RangeError("no " + n); };
      deep(7);
    }`,
  );
  const { status, error, sends, state, reply } = await host.run({ key: "k", state: { n: 1 } });
  equal(status, "failed");
  equal(error?.code, "MF_FLOW_THREW");
  equal(error?.message, "RangeError: no 7");
  deepEqual(error?.at, { file: "code.ts", line: 3, column: 73 });
  match(error?.stack ?? "", /^GuestError: RangeError: no 7\n {4}at code\.ts:3:73\n/);
  deepEqual([sends, state, reply], [[], { n: 1 }, undefined]);
});

test("an outlet's error is the host's: the guest gets its text only where it says so", async (context) => {
  const host = await hostOf(context, "async (msg, { to }) => { try { await to.a.request(); } catch (e) { return [e.code, e.message]; } }");
  const secret = new Error("password=1");
  const kept = await host.run({}, { outlets: { a: () => Promise.reject(secret) } });
  deepEqual(kept.reply?.json(), ["MF_OUTLET_FAILED", "the outlet a failed"]);
  const told = Object.assign(new Error("no such order"), { expose: true, code: "NO_ORDER" });
  const exposed = await host.run({}, { outlets: { a: () => Promise.reject(told) } });
  deepEqual(exposed.reply?.json(), ["NO_ORDER", "no such order"]);
  const failing = await hostOf(context, "async (msg, { to }) => { await to.a.request(); }");
  const failed = await failing.run({}, { outlets: { a: () => Promise.reject(secret) } });
  equal(failed.error?.code, "MF_OUTLET_FAILED");
  equal(failed.error?.cause, secret);
});

test("a guest reaches its outlets, and no other name, host or state", async (context) => {
  const host = await hostOf(
    context,
    `async (msg, { to, fetch, state }) => {
      const tried = {};
      for (const name of ["other", "erp"])
        tried["to " + name] = await to[name].request().then((a) => a.status, (e) => e.code);
      tried.fetch = await fetch("http://127.0.0.1/").then(() => "reached", (e) => e.cause?.code ?? e.code);
      tried.state = await state.read("other");
      return tried;
    }`,
  );
  const { reply, error } = await host.run({}, { outlets: { erp: () => undefined } });
  equal(error, undefined);
  deepEqual(reply?.json(), {
    "to other": "MF_OUTLET_UNKNOWN",
    "to erp": 200,
    fetch: "MF_HOST_NOT_DECLARED",
    state: {},
  });
});

test("the caller's signal ends a call, and the outlet's signal with it", async (context) => {
  const host = await hostOf(context, "async (msg, { to, log }) => { log.info('on'); await to.slow.request(); }");
  const controller = new AbortController();
  let outletSignal: AbortSignal | undefined;
  const result = await host.run(
    {},
    {
      signal: controller.signal,
      outlets: {
        slow: ({ signal }) => {
          outletSignal = signal;
          controller.abort();
          return new Promise(() => undefined);
        },
      },
    },
  );
  deepEqual([result.status, result.error?.code, result.error?.name, result.logs.length], ["failed", "MF_CANCELLED", "AbortError", 1]);
  equal(outletSignal?.aborted, true);
  const before = await host.run({}, { signal: controller.signal });
  equal(before.error?.code, "MF_CANCELLED");
});

test("limits end a guest: CPU, memory, time, sends, a promise that nothing settles", async (context) => {
  const host = await hostOf(
    context,
    `async (msg, { to }) => {
      switch (msg.text()) {
        case "loop": for (;;);
        case "memory": { const all = []; for (;;) all.push(new Uint8Array(1_000_000)); }
        case "never": await new Promise(() => {});
        case "late": await to.never.request();
        case "timer": await new Promise((done) => setTimeout(done, 100_000));
        case "wait": return void (await to.never, 0);
        case "sends": for (let i = 0; i < 11; i++) to.x.send(i);
      }
    }`,
    { limits: { cpu: "50ms", memory: "16MiB", time: "3s", sends: 10 } },
  );
  const outlets = { never: () => new Promise<undefined>(() => undefined) };
  const codeOf = async (body: string) => (await host.run({ body }, { outlets })).error?.code;
  equal(await codeOf("loop"), "MF_CPU_LIMIT");
  equal(await codeOf("memory"), "MF_MEMORY_LIMIT");
  equal(await codeOf("never"), "MF_FLOW_STALLED");
  equal(await codeOf("late"), "MF_TIME_LIMIT");
  equal(await codeOf("timer"), "MF_TIME_LIMIT");
  equal(await codeOf("sends"), "MF_EFFECT_LIMIT");
  equal(await codeOf("fine"), undefined);
});

test("time counts while a step runs, and while a call waits for its turn", async (context) => {
  const host = await hostOf(context, "() => { for (;;); }", { limits: { cpu: "20s", time: "200ms" } });
  const all = await Promise.all(Array.from({ length: 8 }, () => host.run()));
  deepEqual(new Set(all.map(({ error }) => error?.code)), new Set(["MF_TIME_LIMIT"]));
});

test("durable waits are refused: the caller waits", async (context) => {
  const host = await hostOf(context, "async (msg, { wait }) => { await wait('paid', { key: 'k' }); }");
  equal((await host.run()).error?.code, "MF_SLEEP_CALLER");
});

test("each call meets a fresh machine", async (context) => {
  const host = await hostOf(
    context,
    "() => { globalThis.count = (globalThis.count ?? 0) + 1; Array.prototype.x = 1; return globalThis.count; }",
  );
  const all = await Promise.all(Array.from({ length: 50 }, () => host.run()));
  deepEqual(new Set(all.map(({ reply }) => reply?.json())), new Set([1]));
});

test("closing ends calls under way; later ones are refused", async (context) => {
  const host = await hostOf(context, "async (msg, { to }) => { await to.a.request(); }");
  const { promise: asked, resolve } = promised();
  const call = host.run({}, { outlets: { a: () => (resolve(), new Promise<undefined>(() => undefined)) } });
  await asked;
  await Promise.all([host.close(), host.close()]);
  equal((await call).error?.code, "MF_MONITOR_CLOSED");
  await rejects(host.run(), { code: "MF_EMBED_CLOSED" });
  await host[Symbol.asyncDispose]();
});

function promised(): { readonly promise: Promise<void>; readonly resolve: () => void } {
  let resolve = (): void => undefined;
  const promise = new Promise<void>((done) => (resolve = done));
  return { promise, resolve };
}

test("wrong options are refused, each by its name", async (context) => {
  const host = await hostOf(context, "() => 1");
  const { image } = host;
  const wrong = async (given: object, sentence: RegExp) =>
    rejects(load(image, given), (error: Error & { code?: string }) => {
      equal(error.code, "MF_EMBED_OPTION");
      match(error.message, sentence);
      return true;
    });
  await wrong({ worker: 2 }, /no "worker": there are monitor, workers, limits/);
  await wrong({ workers: 0 }, /workers must be a whole number/);
  await wrong({ monitor: "qemu" }, /monitor must be/);
  await wrong({ limits: { cpus: 1 } }, /limits has no "cpus"/);
  await wrong({ limits: { cpu: "fast" } }, /limits\.cpu must be a duration/);
  await wrong({ limits: { memory: "1GiB" } }, /limits\.memory must be at most 256 MiB/);
  await wrong({ limits: { sends: -1 } }, /limits\.sends/);
  await rejects(load(image, { limits: { memory: "64KiB" } }), { code: "MF_IMAGE_MEMORY" });
  const refused = async (message: object, options: object = {}) => rejects(host.run(message, options), { code: "MF_EMBED_OPTION" });
  await refused({ boddy: 1 });
  await refused({ body: 1n });
  await refused({ headers: { "a b": "c" } });
  await refused({ headers: { a: "x\r\ny: z" } });
  await refused({ state: { a: 1 } });
  await refused({ key: "x".repeat(1025) });
  await refused({}, { outlets: { a: 1 } });
  await refused({}, { signal: {} });
  await refused({}, { timeout: 1 });
});

test("a message that no machine can take fails; an answer that none can take fails the request", async (context) => {
  const host = await hostOf(context, "async (msg, { to }) => { await to.big.request(); }");
  equal((await host.run({ body: new Uint8Array(65 * 2 ** 20) })).error?.code, "MF_MESSAGE_LIMIT");
  const { error } = await host.run({}, { outlets: { big: () => ({ body: new Uint8Array(17 * 2 ** 20) }) } });
  equal(error?.code, "MF_ANSWER_LIMIT");
});

test("a log flood is bounded, and its dropped lines are counted", async (context) => {
  const host = await hostOf(context, "(msg, { log }) => { for (let i = 0; i < 20_000; i++) log.info(msg.text()); }", {
    limits: { cpu: "5s" },
  });
  const long = await host.run({ body: "x".repeat(1000) });
  equal(long.logs.length, 263);
  match(long.logs.at(-1)?.text ?? "", /^19738 log lines were dropped/); // the machine's own bound
  const empty = await host.run();
  deepEqual([empty.logs.length, empty.droppedLogs], [10_000, 10_000]);
});

test("images are the same from file, code and bytes; a damaged one is refused", async () => {
  const code = 'import { flow } from "mayfly"; export default flow(() => 1);';
  const [first, second] = await Promise.all([build({ code }), build({ code })]);
  equal(first.hash, second.hash);
  const read = await build(first.bytes);
  deepEqual([read.hash, read.name, read.outlets], [first.hash, "code", null]);
  const damaged = first.bytes.slice();
  damaged[5000] = (damaged[5000] ?? 0) ^ 1;
  await rejects(build(damaged), { code: "MF_IMAGE_CORRUPT" });
  await rejects(load(new Uint8Array(10)), { code: "MF_IMAGE_CORRUPT" });
  await rejects(load({} as never), { code: "MF_EMBED_OPTION" });
});

test("a build's error names the file alone, wherever the program runs", async () => {
  const before = process.cwd();
  try {
    for (const place of ["/", "/usr/lib", tmpdir()]) {
      process.chdir(place);
      for (const path of [(folder: string) => folder, (folder: string) => relative(process.cwd(), folder), basename])
        await rejects(
          inFolder({}, async (folder) => {
            throw new CodedError("MF_BUNDLE_FAILED", `${path(folder)}/code.ts:1:1: wrong`);
          }),
          { code: "MF_BUNDLE_FAILED", message: "code.ts:1:1: wrong" },
        );
    }
  } finally {
    process.chdir(before);
  }
});

test("what does not build says where, and nothing of the folder it was built in", async () => {
  const refused = async (code: string, expected: string, sentence: RegExp, options = {}) =>
    rejects(build({ code }, options), (error: Error & { code?: string }) => {
      equal(error.code, expected, error.message);
      match(error.message, sentence);
      ok(!error.message.includes("mayfly-embed-"), error.message);
      return true;
    });
  await refused("export default (", "MF_BUNDLE_FAILED", /^code\.ts:1:17: /);
  await refused("\nexport const x = 1;", "MF_FLOW_INVALID", /no default export/);
  const flow = 'import { flow } from "mayfly"; export default flow(() => 1);\n';
  await refused(`${flow}function f() { throw new Error("top"); }\nf();`, "MF_FLOW_TOP_LEVEL", /^code\.ts:2:\d+: top/);
  await rejects(
    build({ code: `${flow}for (;;);` }),
    (error: Error & { code?: string }) => ["MF_FLOW_TOP_LEVEL", "MF_BUILD_TIME"].includes(error.code ?? ""), // which of them, the computer's load says
  );
  await refused(`${flow}const n: number = "x";`, "MF_TYPE_ERROR", /^rules\.ts:2:7: /, { check: true, name: "rules" });
  await refused("", "MF_EMBED_OPTION", /text/);
  await refused(flow, "MF_EMBED_OPTION", /name must be/, { name: "../x" });
});

test("code imports only from mayfly: no file, whatever it is called", async () => {
  for (const path of [
    "/etc/hostname",
    "./mayfly.yaml",
    "../x.json",
    "file:///etc/hostname",
    "esbuild",
    "data:text/plain,1",
    process.execPath,
  ])
    for (const form of [
      `import x from ${JSON.stringify(path)}; x;`,
      `await import(${JSON.stringify(path)});`,
      `require(${JSON.stringify(path)});`,
    ])
      await rejects(
        build({
          code: `import { flow } from "mayfly"; export default flow(async () => { }); async () => { ${form.startsWith("import x") ? "" : form} };${form.startsWith("import x") ? form : ""}`,
        }),
        { code: "MF_BUNDLE_OUTSIDE" },
        form,
      );
});
