/**
 * The CloudEvents project's own scenarios for the HTTP binding, sent over HTTP. They are read from beside the repository
 * (`../shared/data/conformance`) or from MAYFLY_CONFORMANCE, and are not part of it.
 */
import { deepEqual, equal, match, ok } from "node:assert/strict";
import { once } from "node:events";
import { existsSync, readFileSync } from "node:fs";
import { connect } from "node:net";
import { join } from "node:path";
import { test } from "node:test";
import { packageRoot } from "#cli";
import type { Effect } from "#abi";
import { fromUtf8 } from "#base";
import { done, utf8 } from "../gateway/testing/scripted.ts";
import { withGateway } from "../gateway/testing/rig.ts";

const data = process.env["MAYFLY_CONFORMANCE"] ?? join(packageRoot, "..", "shared", "data", "conformance");
const feature = join(data, "cloudevents", "features", "http-protocol-binding.feature");

interface Scenario {
  readonly name: string;
  readonly request: string;
  readonly attributes: Readonly<Record<string, string>>;
  readonly json: string;
}

const cells = (line: string): string[] =>
  line
    .split("|")
    .slice(1, -1)
    .map((cell) => cell.trim());

/** Scenario outlines with one doc string for the request, a table of attributes, one doc string of JSON, and examples. */
function scenarios(text: string): Scenario[] {
  const all: Scenario[] = [];
  for (const block of text.split(/^ *Scenario(?: Outline)?: /m).slice(1)) {
    const [name = ""] = block.split("\n", 1);
    const strings = [...block.matchAll(/^( *)"""\n([\s\S]*?)^ *"""/gm)].map(([, indent = "", body = ""]) =>
      body.replaceAll(new RegExp(`^${indent}`, "gm"), "").replace(/\n$/, ""),
    );
    const table = /Then the attributes are:\n((?: *\|.*\n)+)/.exec(block)?.[1] ?? "";
    const examples = /Examples:\n((?: *\|.*(?:\n|$))+)/.exec(block)?.[1]?.trim().split("\n").map(cells) ?? [[], []];
    const [columns = [], ...rows] = examples;
    for (const row of rows) {
      const filled = (value: string): string =>
        columns.reduce((made, column, index) => made.replaceAll(`<${column}>`, row[index] ?? ""), value);
      const attributes = Object.fromEntries(
        table
          .trim()
          .split("\n")
          .slice(1)
          .map((line) => cells(filled(line)) as [string, string]),
      );
      all.push({ name: filled(name), request: filled(strings[0] ?? ""), attributes, json: strings[1] ?? "" });
    }
  }
  return all;
}

const echo = `flows: { echo: { image: echo.mfi, from: [ { http: { path: /someresource, cloudevents: true } }, { http: { path: /plain } } ] } }`;
const shows = (event: { kind: string; headersJson?: string; body?: Uint8Array }): Effect[] =>
  event.kind === "deliver"
    ? [done(JSON.stringify({ headers: JSON.parse(event.headersJson ?? "{}") as object, body: fromUtf8(event.body ?? utf8("")) }))]
    : [];

async function sent(url: string, request: string): Promise<string> {
  const [head = "", ...rest] = request.split("\n\n");
  const body = rest.join("\n\n");
  const lines = head.split("\n").map((line) => (/^content-length:/i.test(line) ? `Content-Length: ${Buffer.byteLength(body)}` : line));
  const socket = connect(Number(new URL(url).port), "127.0.0.1");
  let answer = "";
  socket.setEncoding("utf8").on("data", (part: string) => (answer += part));
  socket.write([...lines, "Connection: close", "", body].join("\r\n"));
  await once(socket, "close");
  return answer;
}

test("the scenarios of the HTTP protocol binding", { skip: !existsSync(feature) && "the scenarios are not here" }, async () => {
  const all = scenarios(readFileSync(feature, "utf8"));
  ok(all.length >= 4, `${all.length} scenarios`);
  await withGateway(echo, { echo: shows as never }, async ({ url }) => {
    for (const { name, request, attributes, json } of all) {
      const answer = await sent(url, request);
      match(answer, /^HTTP\/1\.1 200 /, name);
      const { headers, body } = JSON.parse(answer.slice(answer.indexOf("\r\n\r\n") + 4)) as {
        headers: Record<string, string>;
        body: string;
      };
      const got = Object.fromEntries(
        Object.keys(attributes).map((key) => [key, key === "datacontenttype" ? headers["content-type"] : headers[`ce-${key}`]]),
      );
      deepEqual(got, attributes, name);
      deepEqual(JSON.parse(body), JSON.parse(json), name);
    }
  });
});

test("structured data arrives byte for byte; a value that is not UTF-8 gets 400", async () => {
  await withGateway(echo, { echo: shows as never }, async ({ url }) => {
    const structured = `{"specversion":"1.0","id":"1","source":"/s","type":"t","data": {"n":12345678901234567890.10,  "e":1E400}}`;
    const response = await fetch(`${url}/someresource`, {
      method: "POST",
      body: structured,
      headers: { "content-type": "application/cloudevents+json" },
    });
    equal(((await response.json()) as { body: string }).body, `{"n":12345678901234567890.10,  "e":1E400}`);
    const binary = { "ce-specversion": "1.0", "ce-id": "1", "ce-source": "/s", "ce-type": "t" };
    for (const [value, status] of [
      [`"a%20b"`, 200],
      ["%C0%A0", 400],
      ["%0D%0Ax: y", 400],
    ] as const)
      equal((await fetch(`${url}/someresource`, { method: "POST", headers: { ...binary, "ce-subject": value } })).status, status, value);
  });
});

test("a webhook's handshake is answered where CloudEvents are taken, and nowhere else", async () => {
  await withGateway(echo, { echo: shows as never }, async ({ url, runner }) => {
    const ask = async (path: string, headers: Record<string, string>): Promise<unknown[]> => {
      const { status, headers: got } = await fetch(`${url}${path}`, { method: "OPTIONS", headers });
      return [status, got.get("webhook-allowed-origin"), got.get("webhook-allowed-rate"), got.get("allow")];
    };
    const origin = { "webhook-request-origin": "eventemitter.example.com" };
    deepEqual(await ask("/someresource", origin), [200, "eventemitter.example.com", null, "OPTIONS, POST"]);
    deepEqual(await ask("/someresource", { ...origin, "webhook-request-rate": "120" }), [
      200,
      "eventemitter.example.com",
      "*",
      "OPTIONS, POST",
    ]);
    deepEqual(await ask("/someresource", {}), [204, null, null, "OPTIONS, POST"]);
    deepEqual(await ask("/someresource", { "webhook-request-origin": "a b<c>" }), [204, null, null, "OPTIONS, POST"]);
    deepEqual(await ask("/plain", origin), [204, null, null, "OPTIONS, POST"]);
    equal((await ask("/none", origin))[0], 404);
    equal(runner.delivered.length, 0);
  });
});
