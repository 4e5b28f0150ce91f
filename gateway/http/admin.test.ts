/** Access to the admin endpoints: by the socket, by the port with a token, and by nothing else. */
import { deepEqual, equal, match, rejects } from "node:assert/strict";
import { existsSync, lstatSync, mkdirSync, writeFileSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { request as httpRequest } from "node:http";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { done, fail } from "../testing/scripted.ts";
import { until, withGateway } from "../testing/rig.ts";
import { adminSocketPaths, listenAtSocket } from "./admin-socket.ts";

const echo = `flows: { echo: { image: echo.mfi, retry: { attempts: 1 }, from: [ { http: { path: /echo } } ] } }`;
const endpoints = [
  ["GET", "/-/flows"],
  ["POST", "/-/flows/echo/messages"],
  ["GET", "/-/dead-letters"],
  ["GET", "/-/dead-letters/echo/x"],
  ["GET", "/-/dead-letters/echo/x/body"],
  ["DELETE", "/-/dead-letters/echo/x"],
  ["POST", "/-/dead-letters/echo/x/retry"],
  ["GET", "/api/messages"],
  ["GET", "/api/messages/x"],
  ["GET", "/api/messages/x/recording"],
  ["GET", "/api/messages/x/body"],
  ["GET", "/api/messages/x/flow-test"],
  ["POST", "/api/messages/x/resubmit"],
  ["POST", "/api/messages/x/replay"],
] as const;

function statusOf(url: string, method: string, headers: Record<string, string>): Promise<number | undefined> {
  return new Promise((resolve) =>
    httpRequest(url, { method, headers }, (response) => (response.resume(), resolve(response.statusCode))).end(),
  );
}

test("the public listener has no admin endpoints, whatever the caller says of itself", async () => {
  await withGateway(echo, { echo: () => [done("ok")] }, async ({ url, runner }) => {
    for (const [method, path] of endpoints)
      for (const headers of [{}, { "mayfly-admin": "1" }, { "mayfly-admin": "1", host: "localhost" }, { "x-forwarded-for": "127.0.0.1" }])
        equal(await statusOf(`${url}${path}`, method, headers as Record<string, string>), 404);
    equal(runner.delivered.length, 0);
    equal(JSON.stringify(await (await fetch(`${url}/ready`)).json()), '{"ready":true}');
  });
});

test("the socket is this user's alone, needs no token, and goes when the gateway stops", async () => {
  let path = "";
  await withGateway(`journal: { memory: true }\n${echo}`, { echo: () => [done("ok")] }, async ({ admin, gateway, dir }) => {
    path = gateway.admin.socket ?? "";
    equal(path, join(dir, ".mayfly", "run", "admin.sock"));
    equal(lstatSync(path).isSocket(), true);
    equal((lstatSync(path).mode & 0o777).toString(8), "600");
    equal((lstatSync(join(path, "..")).mode & 0o777).toString(8), "700");
    equal((await admin("/-/flows")).status, 200);
  });
  equal(existsSync(path), false);
});

test("over TCP every endpoint that tells or does something needs the token, on a port of its own", async () => {
  const yaml = `http: { port: 0, metrics: admin, admin: { port: 0, token: secret } }\n${echo}`;
  await withGateway(yaml, { echo: () => [done("ok")] }, async ({ url, gateway }) => {
    const at = `http://127.0.0.1:${gateway.admin.address?.port}`;
    for (const [method, path] of [...endpoints, ["GET", "/metrics"] as const]) {
      for (const authorization of ["", "Bearer wrong", "Bearer secre", "Bearer secret2", "secret", "Basic c2VjcmV0"])
        equal(await statusOf(`${at}${path}`, method, { authorization, "mayfly-admin": "1" }), 401, `${path} ${authorization}`);
    }
    equal(await statusOf(`${at}/-/flows`, "GET", { authorization: "Bearer secret" }), 200);
    equal(await statusOf(`${at}/metrics`, "GET", { authorization: "Bearer secret" }), 200);
    equal(await statusOf(`${url}/metrics`, "GET", { authorization: "Bearer secret" }), 404);
    equal(await statusOf(`${at}/echo`, "POST", { authorization: "Bearer secret" }), 404);
    deepEqual(await (await fetch(`${at}/ready`)).json(), { ready: true });
    for (const listener of [at, url])
      deepEqual(await (await fetch(`${listener}/ready`, { headers: { authorization: "Bearer secret" } })).json(), {
        ready: true,
        problems: [],
      });
  });
});

test("a query parameter that is not what it may be gets 400 and lifts no bound", async () => {
  await withGateway(echo, { echo: () => [fail("NO")] }, async ({ url, admin, deadLetters }) => {
    for (let index = 0; index < 3; index += 1) await fetch(`${url}/echo`, { method: "POST", body: "x" });
    await until(async () => (await deadLetters.count("echo")) === 3);
    const list = async (query: string): Promise<unknown> => {
      const answer = await admin(`/-/dead-letters${query}`);
      const value = (await answer.json()) as { code?: string; length?: number };
      return value.code ?? value.length;
    };
    deepEqual([await list(""), await list("?limit=2"), await list("?limit=10000&flow=echo"), await list("?flow=none")], [3, 2, 3, 0]);
    const wrong = ["abc", "", "0", "-1", "1e9", "NaN", "Infinity", "10001", "2.5", "0x10", "%201", "1&limit=2", "1&most=3"].map(
      (text) => `?limit=${text}`,
    );
    for (const query of [...wrong, "?flow=../x", "?flow=", "?Limit=1", "?__proto__=1", "?toString=1"])
      equal(await list(query), "MF_QUERY_INVALID", query);
    for (const path of ["/-/flows?x=1", "/-/flows/echo/messages?wait=maybe", "/-/dead-letters/echo/x/retry?edit=1"])
      equal((await admin(path, { method: path.includes("echo") ? "POST" : "GET" })).status, 400, path);
  });
});

test("a path too long for a socket has a name of its own in a private folder, the same for the gateway and the command line", async () => {
  const long = join("/srv", "x".repeat(120));
  const user = { temporaryDir: "/tmp", user: 7 };
  const journal = { dir: "./.mayfly/journal" };
  deepEqual(adminSocketPaths({ base: "/srv/a", journal }, { ...user, runtimeDir: "/run/user/7" }), ["/srv/a/.mayfly/journal/admin.sock"]);
  const [first, second, ...none] = adminSocketPaths({ base: long, journal }, { ...user, runtimeDir: "/run/user/7" });
  match(`${first} ${second}`, /^\/run\/user\/7\/mayfly\/([0-9a-f]{32})\.sock \/tmp\/mayfly-7\/\1\.sock$/);
  deepEqual(none, []);
  deepEqual(adminSocketPaths({ base: long, journal }, { ...user, runtimeDir: undefined }), [second]);
  equal(adminSocketPaths({ base: long, journal: { dir: "other" } }, { ...user, runtimeDir: undefined })[0] === second, false);
  equal(
    Buffer.byteLength(adminSocketPaths({ base: `/${"ü".repeat(50)}`, journal }, { ...user, runtimeDir: undefined })[0] ?? "") <= 107,
    true,
  );
});

test("a socket a dead process left is replaced; one that answers, and a folder that is everybody's, are left alone", async () => {
  const dir = await mkdtemp(join(tmpdir(), "mayfly-socket-"));
  const place = { base: dir, journal: { dir: "journal" } };
  const path = join(dir, "journal", "admin.sock");
  const server = createServer();
  const listen = (at: string): Promise<void> => new Promise((resolve) => server.listen(at, resolve));
  try {
    mkdirSync(join(dir, "journal"));
    writeFileSync(path, "left");
    equal(await listenAtSocket(place, listen), path);
    await rejects(listenAtSocket(place, listen), /MF_ADMIN_SOCKET|another gateway listens/);
    equal(lstatSync(path).isSocket(), true);
    process.umask(0);
    mkdirSync(join(dir, "everybodys"), { mode: 0o777 });
    await rejects(listenAtSocket({ base: dir, journal: { dir: "everybodys" } }, listen), /a folder that only this user can access/);
  } finally {
    process.umask(0o022);
    server.close();
    await rm(dir, { recursive: true, force: true });
  }
});
