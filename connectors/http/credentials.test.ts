/** Credentials of outlets against a server that gives tokens and one that wants them. */
import { deepEqual, equal, ok, rejects } from "node:assert/strict";
import { test } from "node:test";
import { connectors } from "#connectors";
import { readConfig } from "../../gateway/config/read.ts";
import { ManualClock } from "../../gateway/testing/manual-clock.ts";
import { httpSettings, withPeer } from "../testing/http-peer.ts";
import { attempt, message } from "../testing/messages.ts";
import { testContext } from "../testing/rig.ts";
import { httpOutlet } from "./outlet.ts";

const oauth2 = (url: string, more: object = {}): object => ({
  oauth2: { tokenUrl: `${url}/token`, clientId: "may fly", clientSecret: "s:3cret", credentials: "header", ...more },
});

interface Server {
  readonly url: string;
  readonly asked: { readonly form: string; readonly authorization: string | undefined }[];
  readonly shown: (string | undefined)[];
  /** Tokens that are taken; others are 401. */
  readonly good: Set<string>;
  seconds: number | undefined;
  broken: boolean;
}

async function withServer(run: (server: Server) => Promise<void>): Promise<void> {
  const server = { asked: [], shown: [], good: new Set<string>(), seconds: 100, broken: false, url: "" } as unknown as {
    -readonly [K in keyof Server]: Server[K];
  };
  await withPeer(
    (request, response, body) => {
      if (request.url !== "/token") {
        server.shown.push(request.headers.authorization);
        return response.writeHead(server.good.has(request.headers.authorization ?? "") ? 200 : 401).end();
      }
      server.asked.push({ form: body, authorization: request.headers.authorization });
      if (server.broken) return response.writeHead(400).end('{"error":"invalid_client","error_description":"s:3cret"}');
      const token = `t${server.asked.length}`;
      server.good.add(`Bearer ${token}`);
      return response.end(JSON.stringify({ access_token: token, token_type: "Bearer", expires_in: server.seconds }));
    },
    async (url) => run(Object.assign(server, { url })),
  );
}

test("a token is fetched once for all outlets of a client, and renewed before its end", async () => {
  await withServer(async (server) => {
    const clock = new ManualClock();
    const make = () =>
      httpOutlet.create(httpSettings(`${server.url}/a`, { auth: oauth2(server.url, { scope: "orders.write" }) }), {
        ...testContext(),
        clock,
      });
    const outlets = [make(), make()];
    await Promise.all(outlets.flatMap((outlet) => [outlet.send(message, attempt), outlet.send(message, attempt)]));
    deepEqual(server.asked, [
      {
        form: "grant_type=client_credentials&scope=orders.write",
        authorization: `Basic ${Buffer.from("may+fly:s%3A3cret").toString("base64")}`,
      },
    ]);
    deepEqual([...new Set(server.shown)], ["Bearer t1"]);
    clock.advance(79_000);
    await outlets[0]?.send(message, attempt);
    equal(server.asked.length, 1);
    clock.advance(2_000);
    await outlets[1]?.send(message, attempt);
    deepEqual([server.asked.length, server.shown.at(-1)], [2, "Bearer t2"]);
    for (const outlet of outlets) await outlet.stop();
    const later = make();
    await later.send(message, attempt);
    equal(server.asked.length, 3, "nothing of it is kept once all have stopped");
    await later.stop();
  });
});

test("a token that is refused before its end is fetched anew, once", async () => {
  await withServer(async (server) => {
    const outlet = httpOutlet.create(httpSettings(`${server.url}/a`, { auth: oauth2(server.url, { credentials: "body" }) }), testContext());
    await outlet.send(message, attempt);
    server.good.clear();
    await outlet.send(message, attempt);
    deepEqual(server.shown, ["Bearer t1", "Bearer t1", "Bearer t2"]);
    equal(server.asked[0]?.form, "grant_type=client_credentials&client_id=may+fly&client_secret=s%3A3cret");
    server.good.add = (): Set<string> => server.good; // from now on no token is taken
    server.good.clear();
    await rejects(outlet.send(message, attempt), { code: "MF_HTTP_STATUS", status: 401 });
    equal(server.shown.length, 5);
    await outlet.stop();
  });
});

test("without a token nothing is sent, and the error names no secret", async () => {
  await withServer(async (server) => {
    server.broken = true;
    const outlet = httpOutlet.create(httpSettings(`${server.url}/a`, { auth: oauth2(server.url) }), testContext());
    await rejects(outlet.send(message, attempt), (error: { code: string; message: string; retryable: boolean }) => {
      deepEqual([error.code, error.retryable], ["MF_OAUTH2_TOKEN", true]);
      ok(error.message.includes("invalid_client") && !error.message.includes("3cret"));
      return true;
    });
    deepEqual(server.shown, []);
    await outlet.stop();
  });
  const away = httpOutlet.create(httpSettings("http://127.0.0.1:1/a", { auth: oauth2("http://127.0.0.1:1") }), testContext());
  await rejects(away.send(message, attempt), { code: "MF_OAUTH2_TOKEN", unreached: true });
  await away.stop();
});

test("a key, a token and a user are sent as they are", async () => {
  await withServer(async (server) => {
    server.good.add("Bearer fixed").add(`Basic ${Buffer.from("ada:pw").toString("base64")}`);
    for (const auth of [{ bearer: "fixed" }, { basic: "ada:pw" }]) {
      const outlet = httpOutlet.create(httpSettings(`${server.url}/a`, { auth }), testContext());
      await outlet.send(message, attempt);
      await outlet.stop();
    }
  });
  const keys: unknown[] = [];
  await withPeer(
    (request, response) => response.end(String(keys.push(request.headers["x-erp"]))),
    async (url) => {
      const outlet = httpOutlet.create(httpSettings(url, { auth: { apiKey: { header: "x-erp", key: "k" } } }), testContext());
      await outlet.send(message, attempt);
      await outlet.stop();
    },
  );
  deepEqual(keys, ["k"]);
});

test("a configuration that is read and not run keeps no client", async () => {
  await withServer(async (server) => {
    const given = { url: `${server.url}/a`, auth: oauth2(server.url) };
    for (let turn = 0; turn < 2; turn += 1)
      readConfig(`flows: { f: { image: f.mfi, to: { erp: { http: ${JSON.stringify(given)} } } } }`, "/nowhere/mayfly.yaml", {
        ...connectors,
        environment: {},
      });
    for (const asked of [1, 2]) {
      const outlet = httpOutlet.create(httpSettings(given.url, { auth: given.auth }), testContext());
      await outlet.send(message, attempt);
      await outlet.stop();
      equal(server.asked.length, asked, "nothing of it is kept once all have stopped");
    }
  });
});
