/** Effects carried out for real: sends, requests, fetch, state; a machine that lies. */
import { deepEqual, equal } from "node:assert/strict";
import { type IncomingMessage, type ServerResponse } from "node:http";
import { test } from "node:test";
import { done, fail, request, type Script, send, text, utf8 } from "../../testing/scripted.ts";
import { until, withGateway, withPeer } from "../../testing/rig.ts";

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
