/** The gateway end to end, over real HTTP, with scripted flows. */
import { deepEqual, equal, match, ok, rejects } from "node:assert/strict";
import { createServer, type IncomingMessage, request as httpRequest, type Server, type ServerResponse } from "node:http";
import * as nodeFs from "node:fs/promises";
import { type AddressInfo, connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { gzipSync } from "node:zlib";
import { DeadLetters, type DeadLetterFs } from "./journal/dead-letters.ts";
import { openJournal } from "./journal/log/mod.ts";
import { connectors } from "#connectors";
import { done, fail, log, request, type Script, send, text, utf8 } from "./testing/scripted.ts";
import { type Rig, until, withGateway } from "./testing/rig.ts";

const echo = `flows: { echo: { image: echo.mfi, from: [ { http: { path: /echo } }, { http: { path: "/items/:id", method: GET } } ] } }`;

async function withPeer(
  handle: (request: IncomingMessage, response: ServerResponse) => void,
  run: (url: string, server: Server) => Promise<void>,
): Promise<void> {
  const server = createServer(handle);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  try {
    await run(`http://127.0.0.1:${(server.address() as AddressInfo).port}`, server);
  } finally {
    server.closeAllConnections();
    server.close();
  }
}

test("a request is a message and the reply is its response", async () => {
  await withGateway(
    echo,
    { echo: (event) => (event.kind === "deliver" ? [log("hi"), done(`${event.source} ${event.attempt} ${text(event.body)}`, 201)] : []) },
    async ({ url, runner, logs }) => {
      const response = await fetch(`${url}/echo?x=1`, {
        method: "POST",
        body: "hello",
        headers: { "content-type": "text/plain", "x-a": "b", "mayfly-query": "spoofed" },
      });
      deepEqual([response.status, await response.text(), response.headers.get("content-type")], [201, "http 1 hello", "text/plain"]);
      const headers = JSON.parse(runner.delivered[0]?.headersJson ?? "{}") as Record<string, string>;
      deepEqual(
        [headers["x-a"], headers["content-type"], headers["mayfly-query"], headers["mayfly-path"], headers["mayfly-method"]],
        ["b", "text/plain", "x=1", "/echo", "POST"],
      );
      equal(response.headers.get("mayfly-message-id"), runner.delivered[0]?.id);
      ok(logs.some((line) => line.text === "hi" && line.fields["flow"] === "echo"));
    },
  );
});

test("path parameters come as headers; HEAD, OPTIONS, 404 and 405 are sane", async () => {
  await withGateway(echo, { echo: () => [done("body")] }, async ({ url, runner }) => {
    equal((await fetch(`${url}/items/a%20b`)).status, 200);
    equal((JSON.parse(runner.delivered[0]?.headersJson ?? "{}") as Record<string, string>)["mayfly-path-id"], "a b");
    const head = await fetch(`${url}/items/7`, { method: "HEAD" });
    deepEqual([head.status, head.headers.get("content-length"), await head.text()], [200, "4", ""]);
    const options = await fetch(`${url}/items/7`, { method: "OPTIONS" });
    deepEqual([options.status, options.headers.get("allow")], [204, "GET, HEAD, OPTIONS"]);
    const wrong = await fetch(`${url}/echo`);
    deepEqual(
      [wrong.status, wrong.headers.get("allow"), ((await wrong.json()) as { code: string }).code],
      [405, "OPTIONS, POST", "MF_METHOD_NOT_ALLOWED"],
    );
    equal((await fetch(`${url}/nothing`)).status, 404);
  });
});

test("seeds and ids are never used twice", async () => {
  await withGateway(echo, { echo: () => [done("x")] }, async ({ url, runner }) => {
    for (let round = 0; round < 6; round += 1)
      await Promise.all(Array.from({ length: 50 }, async () => (await fetch(`${url}/echo`, { method: "POST", body: "x" })).text()));
    equal(new Set(runner.delivered.map((event) => Buffer.from(event.seed).toString("hex"))).size, 300);
    equal(new Set(runner.delivered.map((event) => event.id)).size, 300);
  });
});

test("a body over the limit is refused with 413, also when it only unfolds to that; garbage encodings with 400 and 415", async () => {
  const yaml = `flows: { echo: { image: echo.mfi, from: [ { http: { path: /echo, bodyLimit: 1KiB } } ] } }`;
  await withGateway(
    yaml,
    { echo: (event) => [done(event.kind === "deliver" ? String(event.body.length) : "")] },
    async ({ url, runner }) => {
      const post = (body: Uint8Array | ReadableStream, headers: Record<string, string> = {}): Promise<Response> =>
        fetch(`${url}/echo`, { method: "POST", body, headers, duplex: "half" } as RequestInit);
      equal((await post(new Uint8Array(1025))).status, 413);
      const bomb = await post(gzipSync(new Uint8Array(1_000_000)), { "content-encoding": "gzip" });
      deepEqual([bomb.status, ((await bomb.json()) as { code: string }).code], [413, "MF_BODY_LIMIT"]);
      const chunked = new ReadableStream({
        start(controller) {
          for (let chunk = 0; chunk < 4; chunk += 1) controller.enqueue(new Uint8Array(512));
          controller.close();
        },
      });
      equal((await post(chunked)).status, 413);
      equal((await post(utf8("not gzip"), { "content-encoding": "gzip" })).status, 400);
      equal((await post(utf8("x"), { "content-encoding": "zstd" })).status, 415);
      equal(runner.delivered.length, 0);
      equal(await (await post(gzipSync(new Uint8Array(1000)), { "content-encoding": "gzip" })).text(), "1000");
    },
  );
});

test("replies are compressed when asked for", async () => {
  const yaml = `flows: { echo: { image: echo.mfi, from: [ { http: { path: /echo, compress: true } } ] } }`;
  await withGateway(yaml, { echo: () => [done("x".repeat(5000))] }, async ({ url }) => {
    const response = await fetch(`${url}/echo`, { method: "POST", headers: { "accept-encoding": "gzip" } });
    deepEqual([response.headers.get("content-encoding"), (await response.text()).length], ["gzip", 5000]);
    equal(
      (await fetch(`${url}/echo`, { method: "POST", headers: { "accept-encoding": "identity" } })).headers.get("content-encoding"),
      null,
    );
  });
});

test("a reply has the flow's headers, but for those that are the connection's and the gateway's", async () => {
  const yaml = `flows: { echo: { image: echo.mfi, from: [ { http: { path: /echo, compress: true } } ] } }`;
  const headersJson = JSON.stringify({
    vary: "cookie",
    "x-a": "b",
    "content-length": "1",
    "mayfly-message-id": "forged",
    "mayfly-duplicate": "true",
  });
  const reply = { status: 200, contentType: "text/plain; a=\u00fc\r\n", headersJson, body: utf8("x".repeat(5000)) };
  await withGateway(yaml, { echo: () => [{ kind: "done", reply }] }, async ({ url, runner }) => {
    const response = await fetch(`${url}/echo`, { method: "POST", headers: { "accept-encoding": "gzip" } });
    equal((await response.text()).length, 5000);
    const of = (name: string): string | null => response.headers.get(name);
    deepEqual(
      [of("x-a"), of("vary"), of("content-type"), of("mayfly-message-id"), of("mayfly-duplicate")],
      ["b", "cookie, accept-encoding", "text/plain; a=", runner.delivered[0]?.id, null],
    );
  });
});

test("a flow that fails answers a problem with code and id; its own faults are kept as dead letters, the caller's are not", async () => {
  const script = (event: { kind: string; body?: Uint8Array }): ReturnType<typeof fail>[] => [
    text(event.body ?? utf8("")) === "bad" ? fail("BAD_ORDER", "no such customer", false, 422) : fail("MF_FLOW_THREW", "secret in hand"),
  ];
  await withGateway(echo, { echo: script as never }, async ({ url, deadLetters, runner }) => {
    const bad = await fetch(`${url}/echo`, { method: "POST", body: "bad" });
    const problem = (await bad.json()) as Record<string, unknown>;
    deepEqual(
      [bad.status, bad.headers.get("content-type"), problem["code"], problem["detail"], problem["id"]],
      [422, "application/problem+json", "BAD_ORDER", "no such customer", runner.delivered[0]?.id],
    );
    equal(await deadLetters.count("echo"), 0);
    const threw = await fetch(`${url}/echo`, { method: "POST", body: "boom" });
    const hidden = (await threw.json()) as Record<string, unknown>;
    deepEqual([threw.status, hidden["code"], String(hidden["detail"]).includes("secret")], [500, "MF_FLOW_THREW", false]);
    equal(await deadLetters.count("echo"), 1);
    equal(runner.delivered.length, 2);
  });
});

test("mode accept answers 202 and retries till it works; what never works becomes a dead letter with the original bytes", async () => {
  const yaml = `flows: { job: { image: job.mfi, from: [ { http: { path: /jobs, mode: accept } } ], retry: { attempts: 3, backoff: 1ms..2ms } } }`;
  await withGateway(
    yaml,
    {
      job: (event) =>
        event.kind === "deliver"
          ? [log(`try ${event.attempt}`), text(event.body) === "never" || event.attempt < 3 ? fail("MF_FLOW_THREW") : done()]
          : [],
    },
    async ({ url, runner, deadLetters }) => {
      const accepted = await fetch(`${url}/jobs`, { method: "POST", body: "later" });
      deepEqual([accepted.status, ((await accepted.json()) as { status: string }).status], [202, "accepted"]);
      await until(() => runner.delivered.length === 3);
      deepEqual(
        runner.delivered.map((event) => [event.id, event.attempt]),
        [1, 2, 3].map((attempt) => [runner.delivered[0]?.id, attempt]),
      );
      await fetch(`${url}/jobs`, { method: "POST", body: "never", headers: { "x-h": "v" } });
      await until(async () => (await deadLetters.count("job")) === 1);
      for await (const { id } of deadLetters.list()) {
        const found = await deadLetters.read(id);
        deepEqual(
          [
            text(found?.body ?? utf8("")),
            found?.letter.headers["x-h"],
            found?.letter.attempts.map((attempt) => [attempt.attempt, attempt.logs[0]?.text]),
          ],
          ["never", "v", [1, 2, 3].map((n) => [n, `try ${n}`])],
        );
      }
    },
  );
});

test("sends go out only when the flow completes, all with one idempotency key per send over retries, in order per key", async () => {
  const seen: { key: string; body: string; trace: string | undefined }[] = [];
  let refuse = 2;
  const handle = (incoming: IncomingMessage, response: ServerResponse): void => {
    const chunks: Buffer[] = [];
    incoming
      .on("data", (chunk: Buffer) => chunks.push(chunk))
      .on("end", () => {
        seen.push({
          key: String(incoming.headers["idempotency-key"]),
          body: Buffer.concat(chunks).toString(),
          trace: incoming.headers["traceparent"] as string | undefined,
        });
        response.statusCode = refuse-- > 0 ? 503 : 200;
        response.end();
      });
  };
  await withPeer(handle, async (peer) => {
    const yaml = `flows: { split: { image: split.mfi, from: [ { http: { path: /split } } ], to: { out: { http: { url: "${peer}" }, retry: { backoff: 1ms..2ms } } } } }`;
    const script = (event: { kind: string; body?: Uint8Array }): unknown =>
      text(event.body ?? utf8("")) === "fail"
        ? [send("out", "never"), fail("MF_FLOW_THREW")]
        : [send("out", "1", "k"), send("out", "2", "k"), send("out", "3", "k"), done("ok")];
    await withGateway(yaml, { split: script as never }, async ({ url, journal }) => {
      equal((await fetch(`${url}/split`, { method: "POST", body: "fail" })).status, 500);
      equal((await fetch(`${url}/split`, { method: "POST", headers: { traceparent: "00-1-2-01" } })).status, 200);
      await until(() => journal.outboxDepth("split", "out") === 0);
      deepEqual(
        seen.map((each) => each.body),
        ["1", "1", "1", "2", "3"],
      );
      equal(new Set(seen.map((each) => each.key)).size, 3);
      equal(seen[0]?.key, seen[2]?.key);
      equal(seen[0]?.trace, "00-1-2-01");
    });
  });
});

test("a request waits for the outlet's answer; what hangs, answers garbage or is not there becomes a coded error in the flow", async () => {
  const handle = (incoming: IncomingMessage, response: ServerResponse): void => {
    if (incoming.url === "/hang") return;
    if (incoming.url === "/garbage") return void incoming.socket.end("not http at all\r\n\r\n");
    response.statusCode = incoming.url === "/missing" ? 404 : 200;
    response.setHeader("x-peer", "1");
    response.end("answer");
  };
  await withPeer(handle, async (peer) => {
    const outlet = (path: string, timeout = "20s"): string =>
      `{ http: { url: "${peer}${path}", timeout: ${timeout} }, retry: { attempts: 2, backoff: 1ms..1ms } }`;
    const yaml = `flows: { ask: { image: ask.mfi, from: [ { http: { path: /ask } } ], to: { good: ${outlet("/")}, missing: ${outlet("/missing")}, hang: ${outlet("/hang", "60ms")}, garbage: ${outlet("/garbage")}, gone: { http: { url: "http://127.0.0.1:1" }, retry: { attempts: 1 } }, tap: { log: {} } } } }`;
    await withGateway(
      yaml,
      {
        ask: (event) =>
          event.kind === "deliver"
            ? [request(0, text(event.body), "q")]
            : event.kind === "resolve"
              ? [done(`${event.error?.code ?? "ok"} ${event.status} ${text(event.body)} ${event.headersJson.includes("x-peer")}`)]
              : [],
      },
      async ({ url }) => {
        const ask = async (outletName: string): Promise<string> => (await fetch(`${url}/ask`, { method: "POST", body: outletName })).text();
        equal(await ask("good"), "ok 200 answer true");
        equal(await ask("missing"), "ok 404 answer true");
        equal(await ask("hang"), "MF_OUTLET_TIMEOUT 0  false");
        equal(await ask("garbage"), "MF_HTTP_FAILED 0  false");
        equal(await ask("gone"), "MF_HTTP_FAILED 0  false");
        equal(await ask("tap"), "MF_OUTLET_NO_ANSWER 0  false");
        equal(await ask("nowhere"), "MF_OUTLET_UNKNOWN 0  false");
      },
    );
  });
});

test("fetch reaches declared hosts only, also over redirects", async () => {
  await withPeer(
    (_incoming, response) => response.end("other"),
    async (other) => {
      const handle = (incoming: IncomingMessage, response: ServerResponse): void => {
        if (incoming.url === "/there") response.writeHead(302, { location: "/here" }).end();
        else if (incoming.url === "/away") response.writeHead(302, { location: other }).end();
        else if (incoming.url === "/loop") response.writeHead(302, { location: "/loop" }).end();
        else response.end("here");
      };
      await withPeer(handle, async (peer) => {
        const yaml = `flows: { get: { image: get.mfi, from: [ { http: { path: /get } } ], hosts: [ "${new URL(peer).host}" ] } }`;
        await withGateway(
          yaml,
          {
            get: (event) =>
              event.kind === "deliver"
                ? [request(0, text(event.body), "", "fetch")]
                : event.kind === "resolve"
                  ? [done(`${event.error?.code ?? event.status} ${text(event.body)}`)]
                  : [],
          },
          async ({ url }) => {
            const get = async (target: string): Promise<string> => (await fetch(`${url}/get`, { method: "POST", body: target })).text();
            equal(await get(`${peer}/there`), "200 here");
            equal(await get(`${peer}/away`), "MF_HOST_NOT_DECLARED ");
            equal(await get(other), "MF_HOST_NOT_DECLARED ");
            equal(await get("file:///etc/passwd"), "MF_HOST_NOT_DECLARED ");
            equal(await get("nonsense"), "MF_URL_INVALID ");
            equal(await get(`${peer}/loop`), "MF_TOO_MANY_REDIRECTS ");
          },
        );
      });
    },
  );
});

test("a fetch without an answer in time fails with its address, and its connection is closed", async () => {
  let closed = false;
  await withPeer(
    (_incoming, response) => void response.once("close", () => (closed = true)),
    async (peer) => {
      const yaml = `flows: { get: { image: get.mfi, from: [ { http: { path: /get } } ], hosts: [ "${new URL(peer).host}" ] } }`;
      const get: Script = (event) => {
        if (event.kind === "deliver") return [request(0, `${peer}/slow`, "", "fetch", 20)];
        return event.kind === "resolve" ? [done(`${event.error?.code} ${event.error?.message}`)] : [];
      };
      await withGateway(yaml, { get }, async ({ url }) => {
        equal(await (await fetch(`${url}/get`, { method: "POST" })).text(), `MF_FETCH_TIMEOUT no answer within 20 ms from ${peer}/slow`);
        await until(() => closed);
      });
    },
  );
});

test("a flow that hangs is ended at its time limit, and its neighbours do not notice", async () => {
  const yaml = `flows: { slow: { image: slow.mfi, from: [ { http: { path: /slow } } ], limits: { time: 40ms } }, echo: { image: echo.mfi, from: [ { http: { path: /echo } } ] } }`;
  await withGateway(yaml, { slow: () => undefined, echo: () => [done("ok")] }, async ({ url, runner }) => {
    const slow = fetch(`${url}/slow`, { method: "POST" });
    equal(await (await fetch(`${url}/echo`, { method: "POST" })).text(), "ok");
    const response = await slow;
    deepEqual([response.status, ((await response.json()) as { code: string }).code], [504, "MF_TIME_LIMIT"]);
    await until(() => runner.running === 0);
  });
});

test("a caller who leaves cancels the message", async () => {
  const seen: string[] = [];
  await withGateway(
    echo,
    {
      echo: (event) =>
        event.kind === "deliver"
          ? [{ kind: "timer", timer: 0, dueMs: event.timeMs + 60_000 }]
          : (seen.push(event.kind), [log("bye"), fail("MF_CANCELLED")]),
    },
    async ({ url, logs, runner, deadLetters }) => {
      const outgoing = httpRequest(`${url}/echo`, { method: "POST" }).on("error", () => undefined);
      outgoing.end("x");
      await until(() => runner.running === 1);
      outgoing.destroy();
      await until(() => runner.running === 0);
      deepEqual(seen, ["cancel"]);
      await until(() => logs.some((line) => line.text === "bye"));
      equal(await deadLetters.count("echo"), 0);
    },
  );
});

test("a full queue answers 503 with Retry-After, and everything that was taken is answered", async () => {
  const yaml = `flows: { slow: { image: slow.mfi, from: [ { http: { path: /slow } } ], concurrency: 1, queue: 3 } }`;
  let held = true; // till all that are too many have been refused
  await withGateway(
    yaml,
    { slow: (event) => (held ? [{ kind: "timer", timer: 0, dueMs: event.timeMs + 5 }] : [done("ok")]) },
    async ({ url, runner }) => {
      let refusals = 0;
      const post = async (): Promise<Response> => {
        const response = await fetch(`${url}/slow`, { method: "POST" });
        if (response.status === 503) refusals += 1;
        if (refusals === 5) held = false;
        return response;
      };
      const responses = await Promise.all(Array.from({ length: 8 }, post));
      const statuses = responses.map((response) => response.status).sort();
      deepEqual(statuses, [200, 200, 200, 503, 503, 503, 503, 503]);
      const refused = responses.find((response) => response.status === 503);
      deepEqual([refused?.headers.get("retry-after"), ((await refused?.json()) as { code: string }).code], ["1", "MF_FLOW_BUSY"]);
      equal(runner.mostRunning, 1);
    },
  );
});

test("a flow that lies harms itself alone", async () => {
  const lies: Record<string, unknown[]> = {
    outlet: [send("nowhere", "x"), done("no")],
    headers: [{ ...send("tap", "x"), headersJson: '{"a":{"b":1}}' }, done("no")],
    split: [{ ...send("tap", "x"), headersJson: JSON.stringify({ "x-a": "1\r\nevil: 1" }) }, done("no")],
    reply: [{ kind: "done", reply: { status: 200, contentType: "text/plain", headersJson: '{"bad name":"x"}', body: utf8("x") } }],
    state: [{ kind: "state", name: "n", valueJson: "{" }, done("no")],
    stuck: [],
    early: [
      { kind: "log", level: "info", text: "x", fieldsJson: "{not json" },
      { kind: "timer", timer: 1, dueMs: -1 },
    ],
  };
  const yaml = `flows: { liar: { image: liar.mfi, key: '"k"', from: [ { http: { path: /liar } } ], to: { tap: { log: {} } } } }`;
  await withGateway(
    yaml,
    { liar: (event) => (event.kind === "deliver" ? ((lies[text(event.body)] ?? [done("fine")]) as never) : []) },
    async ({ url, journal }) => {
      const codes: Record<string, unknown> = {};
      for (const lie of Object.keys(lies)) {
        const response = await fetch(`${url}/liar`, { method: "POST", body: lie });
        codes[lie] = [response.status, ((await response.json()) as { code: string }).code];
      }
      deepEqual(codes, {
        outlet: [500, "MF_OUTLET_UNKNOWN"],
        headers: [500, "MF_HEADER_INVALID"],
        split: [500, "MF_HEADER_INVALID"],
        reply: [500, "MF_HEADER_INVALID"],
        state: [500, "MF_MACHINE_LIED"],
        stuck: [500, "MF_FLOW_STALLED"],
        early: [500, "MF_FLOW_STALLED"],
      });
      equal(journal.outboxDepth("liar", "tap"), 0);
      equal(await (await fetch(`${url}/liar`, { method: "POST", body: "honest" })).text(), "fine");
    },
  );
});

test("state is read with the message's key, committed with it, and its messages take turns", async () => {
  const yaml = `flows: { count: { image: count.mfi, key: "header:x-key", from: [ { http: { path: /count } } ] } }`;
  await withGateway(
    yaml,
    {
      count: (event) => {
        if (event.kind !== "deliver") return [];
        const before = (JSON.parse(event.stateJson ?? "{}") as { n?: number }).n ?? 0;
        return [{ kind: "state", name: "n", valueJson: String(before + 1) }, done(String(before + 1))];
      },
    },
    async ({ url }) => {
      const answers = await Promise.all(
        Array.from({ length: 20 }, async (_, index) =>
          (await fetch(`${url}/count`, { method: "POST", headers: { "x-key": index % 2 === 0 ? "a" : "b" } })).text(),
        ),
      );
      deepEqual(
        answers.map(Number).sort((a, b) => a - b),
        Array.from({ length: 20 }, (_, index) => Math.floor(index / 2) + 1),
      );
    },
  );
});

test("a duplicate within the window gets the first one's reply and is not run again; one that comes meanwhile waits for it", async () => {
  const yaml = `flows: { once: { image: once.mfi, dedup: { window: 1m }, from: [ { http: { path: /once } } ] } }`;
  await withGateway(
    yaml,
    { once: (event) => (event.kind === "deliver" ? [{ kind: "timer", timer: 0, dueMs: event.timeMs + 20 }] : [done("first")]) },
    async ({ url, runner }) => {
      const post = (): Promise<Response> => fetch(`${url}/once`, { method: "POST", headers: { "idempotency-key": "abc" } });
      const both = await Promise.all([post(), post()]);
      const third = await post();
      deepEqual(await Promise.all([...both, third].map((response) => response.text())), ["first", "first", "first"]);
      equal(third.headers.get("mayfly-duplicate"), "true");
      equal(runner.delivered.length, 1);
    },
  );
});

test("the port in use and a missing outlet are coded errors, and everything is closed again", async () => {
  await withGateway(echo, { echo: () => [done("ok")] }, async ({ url, config }) => {
    const { port } = new URL(url);
    const inUse = { ...config(echo), http: { ...config(echo).http, port: Number(port) } };
    await rejects(
      withGateway(echo, {}, async () => undefined, { ports: { loadFlow: async () => Promise.reject(new Error("no")) } }),
      /no/,
    );
    const { createGateway } = await import("./gateway.ts");
    const { MemoryJournal } = await import("./journal/memory.ts");
    const { silentLogger } = await import("./logger.ts");
    const { ScriptedRunner } = await import("./testing/scripted.ts");
    const { defaultFlowLimits } = await import("#abi");
    const deadLetters = new DeadLetters("/nonexistent");
    const make = (outlets: readonly string[] | undefined): Promise<void> =>
      createGateway(inUse, {
        runner: new ScriptedRunner({}),
        connectors,
        deadLetters,
        journal: new MemoryJournal(deadLetters),
        logger: silentLogger,
        loadFlow: async (name) => ({ image: { name, sha256: "" }, outlets, limits: defaultFlowLimits }),
      }).start();
    await rejects(make(undefined), { code: "MF_PORT_IN_USE" });
    await rejects(make(["erp"]), { code: "MF_OUTLET_MISSING" });
    equal((await fetch(`${url}/echo`, { method: "POST" })).status, 200);
  });
});

test("auth: 401 without, with wrong and with half credentials; the flow and the journal never see them", async () => {
  const guarded = `flows: { echo: { image: echo.mfi, from: [ { http: { path: /echo, auth: { bearer: s3cret, basic: "ada:love:lace" } } } ] } }`;
  await withGateway(guarded, { echo: () => [done("ok")] }, async ({ url, runner }) => {
    const ask = async (authorization?: string): Promise<Response> =>
      await fetch(`${url}/echo`, { method: "POST", body: "x", headers: authorization === undefined ? {} : { authorization } });
    const basic = (text: string): string => `Basic ${Buffer.from(text).toString("base64")}`;
    for (const wrong of [
      undefined,
      "",
      "Bearer",
      "Bearer s3cre",
      "Bearer s3crett",
      "s3cret",
      basic("ada:"),
      basic("ada:love"),
      basic("s3cret"),
      "Basic ???",
    ]) {
      const response = await ask(wrong);
      equal(response.status, 401, String(wrong));
      match(response.headers.get("www-authenticate") ?? "", /^Bearer .*, Basic /);
      const text = await response.text();
      equal((JSON.parse(text) as { code: string }).code, "MF_UNAUTHORIZED");
      ok(!text.includes("s3cret"));
    }
    for (const right of ["Bearer s3cret", "bearer s3cret", basic("ada:love:lace")]) equal((await ask(right)).status, 200, right);
    equal(runner.delivered.length, 3);
    for (const { headersJson } of runner.delivered) ok(!headersJson.includes("authorization"));
  });
});

test("/ping, /ready, /metrics and the admin endpoints", async () => {
  await withGateway(echo, { echo: () => [done("ok")] }, async ({ url, admin }) => {
    equal(await (await fetch(`${url}/ping`)).text(), "pong\n");
    deepEqual(await (await fetch(`${url}/ready`)).json(), { ready: true });
    deepEqual(await (await admin("/ready")).json(), { ready: true, problems: [] });
    await fetch(`${url}/echo`, { method: "POST" });
    const metrics = await (await fetch(`${url}/metrics`)).text();
    match(metrics, /mayfly_source_received_total\{flow="echo"\} 1/);
    match(metrics, /mayfly_flow_duration_seconds_count\{flow="echo"\} 1/);
    const sent = await admin("/-/flows/echo/messages", { method: "POST", body: "x" });
    const outcome = (await sent.json()) as { status: string; reply: { body: { text: string } } };
    deepEqual([sent.status, outcome.status, outcome.reply.body.text], [200, "done", "ok"]);
    equal((await admin("/-/flows/ecko/messages", { method: "POST" })).status, 404);
  });
});

test("a dead letter is retried through the admin endpoint, with another body if asked", async () => {
  const yaml = `flows: { job: { image: job.mfi, retry: { attempts: 1 }, from: [ { http: { path: /jobs, mode: accept } } ] } }`;
  await withGateway(
    yaml,
    { job: (event) => (event.kind === "deliver" && text(event.body) === "good" ? [done()] : [fail("NO")]) },
    async ({ url, admin, deadLetters, runner }) => {
      await fetch(`${url}/jobs`, { method: "POST", body: "bad" });
      await until(async () => (await deadLetters.count("job")) === 1);
      const [letter] = (await (await admin("/-/dead-letters?flow=job")).json()) as { id: string; failure: { code: string } }[];
      equal(letter?.failure.code, "NO");
      const retried = await admin(`/-/dead-letters/${letter?.id}/retry?edit=true`, { method: "POST", body: "good" });
      deepEqual([retried.status, ((await retried.json()) as { status: string }).status], [200, "done"]);
      await until(() => runner.delivered.length === 2);
      equal(await deadLetters.count("job"), 0);
      equal((await admin("/-/dead-letters/job/..%2f..%2fetc")).status, 404);
    },
  );
});

test("stopping finishes what is under way, answers it, and refuses what comes", async () => {
  await withGateway(
    echo,
    { echo: (event) => (event.kind === "deliver" ? [{ kind: "timer", timer: 0, dueMs: event.timeMs + 50 }] : [done("finished")]) },
    async ({ url, gateway, runner }) => {
      const open = fetch(`${url}/echo`, { method: "POST" });
      await until(() => runner.running === 1);
      const stopped = gateway.stop();
      deepEqual([await (await open).text()], ["finished"]);
      await stopped;
      await rejects(fetch(`${url}/ping`));
    },
  );
});

test("stopping with a journal in memory keeps what could not be finished as dead letters", async () => {
  const yaml = `flows: { job: { image: job.mfi, concurrency: 1, from: [ { http: { path: /jobs, mode: accept } } ] } }`;
  await withGateway(
    yaml,
    { job: () => undefined },
    async ({ url, gateway, deadLetters, runner }) => {
      for (const body of ["1", "2"]) await (await fetch(`${url}/jobs`, { method: "POST", body })).text();
      await gateway.stop();
      const bodies: string[] = [];
      for await (const { id, failure } of deadLetters.list())
        bodies.push(`${text((await deadLetters.read(id))?.body ?? utf8(""))} ${failure.code}`);
      deepEqual(bodies.sort(), ["1 MF_STOPPED", "2 MF_STOPPED"]);
      equal(runner.delivered.length, 1);
    },
    { drain: "50ms" },
  );
});

test("a reload swaps image and sources without dropping a message", async () => {
  const yaml = (image: string, path: string): string =>
    `flows: { echo: { image: ${image}.mfi, from: [ { http: { path: ${path} } }, { http: { path: /always } } ] } }`;
  await withGateway(yaml("one", "/one"), { one: () => [done("one")], two: () => [done("two")] }, async ({ url, gateway, config }) => {
    let dropped = 0;
    const answers = new Set<string>();
    let going = true;
    const load = (async () => {
      while (going) {
        const response = await fetch(`${url}/always`, { method: "POST" });
        if (response.status !== 200) dropped += 1;
        answers.add(await response.text());
      }
    })();
    await until(() => answers.has("one"));
    await gateway.reload(config(yaml("two", "/two")));
    await until(() => answers.has("two"));
    going = false;
    await load;
    equal(dropped, 0);
    deepEqual([(await fetch(`${url}/one`, { method: "POST" })).status, (await fetch(`${url}/two`, { method: "POST" })).status], [404, 200]);
  });
});

test("at a reload flows can exchange their paths, pass them on to a new flow, and nothing is refused", async () => {
  const served = (flows: Readonly<Record<string, string>>): string =>
    `flows: { ${Object.entries(flows).map(([flow, path]) => `${flow}: { image: ${flow}.mfi, from: [ { http: { path: ${path} } } ] }`)} }`;
  const scripts = Object.fromEntries(["a", "b", "c"].map((name): [string, Script] => [name, () => [done(name)]]));
  await withGateway(served({ a: "/x", b: "/y", c: "/z" }), scripts, async ({ url, gateway, config }) => {
    const answers = (): Promise<string[]> =>
      Promise.all(["/x", "/y", "/z"].map(async (path) => (await fetch(`${url}${path}`, { method: "POST" })).text()));
    deepEqual(await answers(), ["a", "b", "c"]);
    await gateway.reload(config(served({ a: "/y", b: "/x", c: "/z" })));
    deepEqual(await answers(), ["b", "a", "c"]);
    await gateway.reload(config(served({ a: "/z", b: "/x" })));
    await gateway.reload(config(served({ c: "/x", b: "/y", a: "/z" })));
    deepEqual(await answers(), ["c", "b", "a"]);
  });
});

test("a full disk under the dead letters holds up the message concerned and no other, shows in /ready, and is got over", async () => {
  const yaml = `flows: { job: { image: job.mfi, retry: { attempts: 1 }, from: [ { http: { path: /jobs, mode: accept } }, { http: { path: /ask } } ] }, echo: { image: echo.mfi, from: [ { http: { path: /echo } }, { http: { path: /later, mode: accept } } ] } }`;
  let full = true;
  const open: DeadLetterFs["open"] = async (path, flags) => {
    if (full && flags !== "r") throw Object.assign(new Error("ENOSPC: no space left on device"), { code: "ENOSPC" });
    return nodeFs.open(path, flags);
  };
  const fs = { ...nodeFs, open } as unknown as DeadLetterFs;
  await withGateway(
    yaml,
    { job: () => [fail("NO")], echo: () => [done("ok")] },
    async ({ url, admin, deadLetters, journal }) => {
      equal((await fetch(`${url}/jobs`, { method: "POST", body: "kept" })).status, 202);
      const ready = await until(async () => {
        const response = await admin("/ready");
        return response.status === 503 && (await response.text());
      });
      match(ready, /dead letter .* no space left/);
      equal(await (await fetch(`${url}/echo`, { method: "POST" })).text(), "ok");
      equal((await fetch(`${url}/later`, { method: "POST" })).status, 202);
      equal((await fetch(`${url}/ask`, { method: "POST" })).status, 500); // told at once, though no letter could be kept
      equal(journal.stats().pending >= 1, true);
      full = false;
      await until(async () => (await deadLetters.count("job")) === 1);
      await until(async () => (await fetch(`${url}/ready`)).status === 200);
      equal(journal.stats().pending, 0);
    },
    { fs },
  );
});

test("a message that is not begun in time is dead; the caller who waits is told", async () => {
  const yaml = `flows: { slow: { image: slow.mfi, concurrency: 1, expires: 20ms, from: [ { http: { path: /slow } } ] } }`;
  await withGateway(
    yaml,
    { slow: (event) => (event.kind === "deliver" ? [{ kind: "timer", timer: 0, dueMs: event.timeMs + 60 }] : [done("ok")]) },
    async ({ url }) => {
      const [first, second] = await Promise.all([1, 2].map(() => fetch(`${url}/slow`, { method: "POST" })));
      deepEqual([first?.status, second?.status].sort(), [200, 504]);
      const late = first?.status === 504 ? first : second;
      equal(((await late?.json()) as { code: string }).code, "MF_EXPIRED");
    },
  );
});

test("CloudEvents are unwrapped where the source says so", async () => {
  const yaml = `flows: { echo: { image: echo.mfi, from: [ { http: { path: /events, cloudevents: true } } ] } }`;
  await withGateway(
    yaml,
    { echo: (event) => [done(event.kind === "deliver" ? `${event.headersJson.includes('"ce-type":"t"')} ${text(event.body)}` : "")] },
    async ({ url }) => {
      const structured = { specversion: "1.0", id: "1", source: "/s", type: "t", datacontenttype: "application/json", data: { a: 1 } };
      const post = (body: string, headers: Record<string, string>): Promise<Response> =>
        fetch(`${url}/events`, { method: "POST", body, headers });
      equal(await (await post(JSON.stringify(structured), { "content-type": "application/cloudevents+json" })).text(), 'true {"a":1}');
      equal(await (await post("raw", { "ce-specversion": "1.0", "ce-id": "1", "ce-source": "/s", "ce-type": "t" })).text(), "true raw");
      equal((await post("{", { "content-type": "application/cloudevents+json" })).status, 400);
      equal(await (await post("plain", {})).text(), "false plain");
    },
  );
});

test("a flow sends to another flow and asks it; a circle of flows ends", async () => {
  const yaml = `flows:
  a: { image: a.mfi, from: [ { http: { path: /a } } ], to: { b: { flow: { name: b } } } }
  b: { image: b.mfi, from: [ { flow: {} } ], to: { again: { flow: { name: b } } } }`;
  let hops = 0;
  await withGateway(
    yaml,
    {
      a: (event) =>
        event.kind === "deliver" ? [send("b", "sent"), request(0, "b", "asked")] : event.kind === "resolve" ? [done(text(event.body))] : [],
      b: (event) =>
        event.kind !== "deliver" ? [] : text(event.body) === "asked" ? [done("answer")] : ((hops += 1), [send("again", "on"), done()]),
    },
    async ({ url, deadLetters }) => {
      equal(await (await fetch(`${url}/a`, { method: "POST" })).text(), "answer");
      await until(async () => (await deadLetters.count("b")) === 1);
      equal(hops, 32);
      for await (const letter of deadLetters.list("b")) equal(letter.failure.code, "MF_FLOW_LOOP");
    },
  );
});

test("what the journal takes while stopping has begun waits there: it does not overtake an older message of its key", async () => {
  const dir = await nodeFs.mkdtemp(join(tmpdir(), "mayfly-order-"));
  try {
    const deadLetters = new DeadLetters(join(dir, "dead"));
    const journal = openJournal(join(dir, "journal"), { deadLetters });
    const accept = journal.accept.bind(journal);
    let letGo = (): void => undefined;
    let holds = false;
    const held = new Promise<void>((resolve) => (letGo = resolve));
    journal.accept = async (message) => {
      const accepted = await accept(message);
      holds = message.id === "late";
      if (holds) await held;
      return accepted;
    };
    const yaml = `flows: { job: { image: job.mfi, key: '"all"', retry: { backoff: 1h..2h }, from: [ { http: { path: /jobs, mode: accept } } ] } }`;
    const script: Script = (event) => (event.kind === "deliver" ? [text(event.body) === "early" ? fail("E", "later") : done()] : []);
    const run = async ({ url, gateway, runner, logs }: Rig): Promise<void> => {
      const post = async (id: string): Promise<number> =>
        (await fetch(`${url}/jobs`, { method: "POST", body: id, headers: { "idempotency-key": id } })).status;
      equal(await post("early"), 202);
      await until(() => logs.some((line) => line.fields["retryInMs"] !== undefined));
      const answer = post("late");
      await until(() => holds);
      const stopping = gateway.stop();
      letGo();
      equal(await answer, 202);
      await stopping;
      deepEqual(
        runner.delivered.map((event) => event.id),
        ["early"],
      );
    };
    await withGateway(yaml, { job: script }, run, { ports: { journal, deadLetters } });
  } finally {
    await nodeFs.rm(dir, { recursive: true, force: true });
  }
});

test("a peer that is slow to answer keeps only the flow from starting that needs it", { timeout: 10_000 }, async () => {
  const yaml = `flows:
  slow: { image: echo.mfi, from: [ { direct: {} } ], to: { peer: { log: {} } } }
  quick: { image: echo.mfi, from: [ { cron: { every: 1h } } ] }`;
  let started = (): void => undefined;
  const quick = new Promise<void>((resolve) => (started = resolve));
  const health = (): { ready: boolean; detail: string } => ({ ready: true, detail: "" });
  const stop = async (): Promise<void> => undefined;
  // The slow one's peer answers only once the quick one takes messages.
  const slow = { start: () => quick, send: async () => undefined, health, stop };
  const mixed = {
    outlets: connectors.outlets.map((each) => (each.name === "log" ? { ...each, create: () => slow } : each)),
    sources: connectors.sources.map((each) =>
      each.name === "cron" ? { ...each, create: () => ({ start: async () => started(), health, stop }) } : each,
    ),
  };
  await withGateway(yaml, { echo: () => [done()] }, async ({ gateway }) => equal(gateway.ready().ready, true), {
    ports: { connectors: mixed },
  });
});

test("what is over the hard limits of HTTP itself is refused: headers too big, nonsense for a request", async () => {
  await withGateway(echo, { echo: () => [done("ok")] }, async ({ url }) => {
    const { port } = new URL(url);
    const raw = (bytes: string): Promise<string> =>
      new Promise((resolve, reject) => {
        const socket = connect(Number(port), "127.0.0.1", () => socket.write(bytes));
        let got = "";
        socket
          .on("data", (chunk) => (got += chunk.toString()))
          .on("close", () => resolve(got.split("\r\n")[0] ?? ""))
          .on("error", reject);
      });
    equal(
      await raw(`POST /echo HTTP/1.1\r\nhost: x\r\nx-big: ${"a".repeat(20_000)}\r\n\r\n`),
      "HTTP/1.1 431 Request Header Fields Too Large",
    );
    equal(await raw("nonsense\r\n\r\n"), "HTTP/1.1 400 Bad Request");
    equal(await (await fetch(`${url}/echo`, { method: "POST" })).text(), "ok");
  });
});

test("with the durable journal a stop leaves what was accepted to the next start: pending messages, sends, dedup windows", async () => {
  const dir = await nodeFs.mkdtemp(join(tmpdir(), "mayfly-durable-"));
  const seen: string[] = [];
  let down = true;
  const handle = (incoming: IncomingMessage, response: ServerResponse): void => {
    if (!down) seen.push(String(incoming.headers["idempotency-key"]));
    response.writeHead(down ? 503 : 200).end();
  };
  try {
    await withPeer(handle, async (peer) => {
      const yaml = `flows: { job: { image: job.mfi, concurrency: 1, dedup: { window: 1h }, from: [ { http: { path: /jobs, mode: accept } } ], to: { out: { http: { url: "${peer}" }, retry: { backoff: 5ms..10ms } } } } }`;
      const post = async (url: string, id: string): Promise<number> =>
        (await fetch(`${url}/jobs`, { method: "POST", body: id, headers: { "idempotency-key": id } })).status;
      const served = async (hang: boolean, run: (rig: Rig) => Promise<void>): Promise<void> => {
        const deadLetters = new DeadLetters(join(dir, "dead"));
        const journal = openJournal(join(dir, "journal"), { deadLetters });
        const script: Script = (event) =>
          event.kind !== "deliver" ? [] : hang && text(event.body) !== "first" ? undefined : [send("out", text(event.body)), done()];
        await withGateway(yaml, { job: script }, run, { drain: "30ms", ports: { journal, deadLetters } });
      };
      await served(true, async ({ url, runner }) => {
        deepEqual([await post(url, "first"), await post(url, "second"), await post(url, "third")], [202, 202, 202]);
        await until(() => runner.delivered.length === 2);
      });
      deepEqual(seen, []);
      down = false;
      await served(false, async ({ url, runner }) => {
        await until(() => seen.length === 3);
        deepEqual(
          runner.delivered.map((event) => event.id),
          ["second", "third"],
        );
        deepEqual([await post(url, "first"), await post(url, "third")], [202, 202]);
        equal(runner.delivered.length, 2);
      });
      equal(new Set(seen).size, 3);
    });
  } finally {
    await nodeFs.rm(dir, { recursive: true, force: true });
  }
});

test("a send to a flow that is stopping waits its turn: stopping ends, and the send is there at the next start", async () => {
  const yaml = `flows: { first: { image: first.mfi, from: [ { http: { path: /first } } ], to: { next: { flow: { name: second } } } }, second: { image: second.mfi } }`;
  const slow: Script = (event) =>
    event.kind === "deliver" ? [{ kind: "timer", timer: 1, dueMs: event.timeMs + 200 }] : [send("next", "late"), done("sent")];
  const dir = await nodeFs.mkdtemp(join(tmpdir(), "mayfly-durable-"));
  const deadLetters = new DeadLetters(join(dir, "dead"));
  const journal = openJournal(join(dir, "journal"), { deadLetters });
  try {
    await withGateway(
      yaml,
      { first: slow, second: () => [done()] },
      async ({ url, gateway, runner }) => {
        const reply = fetch(`${url}/first`, { method: "POST", body: "x" });
        await until(() => runner.running === 1);
        await gateway.stop();
        equal(await (await reply).text(), "sent");
      },
      { ports: { journal, deadLetters }, drain: "1s" },
    );
    const again = openJournal(join(dir, "journal"), { deadLetters });
    deepEqual((await again.recover()).outbox, [{ flow: "first", outlet: "next", entries: 1 }]);
    await again.close();
  } finally {
    await nodeFs.rm(dir, { recursive: true, force: true });
  }
});

test("a caller who leaves does not take the message from a duplicate that waits for it", async () => {
  const yaml = `flows: { once: { image: once.mfi, dedup: { window: 1m }, from: [ { http: { path: /once } } ] } }`;
  await withGateway(
    yaml,
    {
      once: (event) =>
        event.kind === "deliver"
          ? [{ kind: "timer", timer: 0, dueMs: event.timeMs + 80 }]
          : event.kind === "wake"
            ? [done("reply")]
            : [fail("MF_CANCELLED")],
    },
    async ({ url, runner, journal, logs }) => {
      const leaving = httpRequest(`${url}/once`, { method: "POST", headers: { "idempotency-key": "a" } }).on("error", () => undefined);
      leaving.end();
      await until(() => runner.running === 1);
      const staying = fetch(`${url}/once`, { method: "POST", headers: { "idempotency-key": "a" } });
      await until(async () => /duplicates_total\{flow="once"\} 1/.test(await (await fetch(`${url}/metrics`)).text()));
      leaving.destroy();
      equal(await (await staying).text(), "reply");
      equal(journal.stats().pending, 0);
      await (await fetch(`${url}/once`, { method: "POST", headers: { "idempotency-key": "a" } })).text();
      deepEqual(
        logs
          .filter((line) => line.text.startsWith("a duplicate"))
          .map(({ level, fields }) => [level, fields["message"], fields["source"], fields["first"]]),
        [
          ["info", "a", "http", "running"],
          ["info", "a", "http", "done"],
        ],
      );
    },
  );
});

test("a message too long for a machine is refused as the sender's fault, and a runner that throws harms its message alone", async () => {
  await withGateway(echo, { echo: () => [done("ok")] }, async ({ url, gateway, runner, deadLetters }) => {
    const outcome = await gateway.inject("echo", { body: utf8("x"), headers: { "x-long": "a".repeat(70_000) }, wait: true });
    deepEqual([outcome.status, outcome.status === "dead" ? outcome.failure.code : ""], ["dead", "MF_MESSAGE_LIMIT"]);
    equal(runner.delivered.length, 0);
    equal(await deadLetters.count("echo"), 0);
    const { scripts } = runner;
    const echoing = scripts.get("echo");
    scripts.delete("echo");
    const lost = await fetch(`${url}/echo`, { method: "POST" });
    deepEqual([lost.status, ((await lost.json()) as { code: string }).code], [500, "MF_MACHINE_LOST"]);
    if (echoing !== undefined) scripts.set("echo", echoing);
    equal(await (await fetch(`${url}/echo`, { method: "POST" })).text(), "ok");
  });
});
