/** Requests that a page of somebody else makes from the operator's browser: refused by Host and by Origin, whatever token they carry. */
import { deepEqual, equal } from "node:assert/strict";
import { request as httpRequest } from "node:http";
import { connect } from "node:net";
import { test } from "node:test";
import { done } from "../testing/scripted.ts";
import { withGateway } from "../testing/rig.ts";

const yaml = `http: { port: 0, admin: { port: 0, token: secret, hosts: [gateway.internal] } }
flows: { echo: { image: echo.mfi, from: [ { http: { path: /echo } } ] } }`;

interface Answer {
  readonly status: number | undefined;
  readonly code: string | undefined;
  readonly text: string;
}

function ask(url: string, headers: Record<string, string>, method = "GET"): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const request = httpRequest(url, { method, headers: { authorization: "Bearer secret", ...headers } }, (response) => {
      let text = "";
      response.on("data", (part: Buffer) => (text += part.toString()));
      response.on("end", () => {
        const { code } = /^\{/.test(text) ? (JSON.parse(text) as { code?: string }) : {};
        resolve({ status: response.statusCode, code, text });
      });
    });
    request.on("error", reject);
    request.end();
  });
}

test("a name that is not the gateway's is refused on every path, an IP address and localhost are not", async () => {
  await withGateway(yaml, { echo: () => [done("ok")] }, async ({ gateway, url }) => {
    const port = gateway.admin.address?.port ?? 0;
    const at = `http://127.0.0.1:${port}`;
    for (const path of ["/api/overview", "/-/flows", "/ready", "/metrics", "/", "/none"])
      for (const host of [
        "evil.example",
        `evil.example:${port}`,
        "127.0.0.1.evil.example",
        "localhost.evil.example",
        "a b",
        "[::1",
        "[evil]",
      ]) {
        const { status, code, text } = await ask(`${at}${path}`, { host });
        deepEqual([status, code], [421, "MF_HOST_DENIED"], `${path} ${host}`);
        equal(text.includes("echo"), false);
      }
    for (const host of ["127.0.0.1", `127.0.0.1:${port}`, "localhost", "LOCALHOST:1", "[::1]:80", "10.1.2.3", "gateway.internal:9"])
      equal((await ask(`${at}/api/overview`, { host })).status, 200, host);
    equal((await ask(`${url}/echo`, { host: "shop.example" }, "POST")).status, 200, "the public listener serves any name");
  });
});

test("a page of another origin is refused, the gateway's own is not", async () => {
  await withGateway(yaml, { echo: () => [done("ok")] }, async ({ gateway, admin }) => {
    const port = gateway.admin.address?.port ?? 0;
    const at = `http://127.0.0.1:${port}`;
    const forged = [
      "http://evil.example",
      "null",
      "https://127.0.0.1",
      `https://127.0.0.1:${port}`,
      "http://127.0.0.1:1",
      "http://localhost",
      "",
      "x",
    ];
    for (const origin of forged)
      for (const [method, path] of [
        ["GET", "/api/overview"],
        ["POST", "/api/dead-letters/drop"],
        ["POST", "/-/flows/echo/messages"],
        ["OPTIONS", "/api/overview"],
      ] as const)
        deepEqual([(await ask(`${at}${path}`, { origin }, method)).code], ["MF_ORIGIN_DENIED"], `${method} ${path} ${origin}`);
    equal((await ask(`${at}/api/overview`, { origin: at })).status, 200);
    equal((await ask(`${at}/api/overview`, { host: "localhost", origin: "http://localhost" })).status, 200);
    equal(
      (await admin("/api/overview", { headers: { origin: "http://evil.example" } })).status,
      200,
      "whoever opens the socket is trusted",
    );
  });
});

test("an absolute target counts as its Host", async () => {
  await withGateway(yaml, { echo: () => [done("ok")] }, async ({ gateway }) => {
    const answer = await new Promise<string>((resolve, reject) => {
      const socket = connect(gateway.admin.address?.port ?? 0, "127.0.0.1");
      socket.on("error", reject).on("data", (bytes: Buffer) => resolve(bytes.toString()));
      socket.write("GET http://evil.example/api/overview HTTP/1.1\r\nhost: 127.0.0.1\r\nauthorization: Bearer secret\r\n\r\n");
    });
    equal(/^HTTP\/1.1 (\d+)/.exec(answer)?.[1], "421");
  });
});
