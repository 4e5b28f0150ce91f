/** Bytes on a connection to a served flow: whatever comes, the connection ends or is answered, and the next caller gets his reply. */
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { serve } from "#cli";
import { silentLogger } from "#gateway";
import { toUtf8 } from "#base";
import { faulty, type Target } from "../target.ts";

/** After this long without an answer a changed request is taken for unfinished, and its connection is cut. */
const patienceMs = 60;
/** A whole request has an answer by then, however busy the computer. */
const guardMs = 30_000;

const config = `flows:
  echo:
    flow: echo.ts
    from:
      - http: { method: POST, path: "/echo/:id", bodyLimit: 64KB, cloudevents: true }
      - http: { method: POST, path: "/kept/*", mode: accept, auth: { bearer: t, basic: "u:p" } }
    dedup: { window: 1h }
    key: json:/key
http: { port: 0 }
journal: { memory: true }
`;

const heads = [
  'POST /echo/1 HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\ncontent-length: 9\r\n\r\n{"key":1}',
  'POST /echo/%C3%BC?a=1&a=2 HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\nidempotency-key: "k"\r\n\r\n3\r\nabc\r\n0\r\n\r\n',
  "POST /kept/a/b HTTP/1.1\r\nhost: a\r\nauthorization: Basic dTpw\r\ncontent-encoding: gzip\r\ncontent-length: 2\r\ncookie: a=b\r\n\r\n\x1f\x8b",
  "POST /echo/1 HTTP/1.1\r\nhost: a\r\nce-id: 1\r\nce-source: /s\r\nce-type: t\r\nce-specversion: 1.0\r\ncontent-length: 0\r\n\r\n",
  "GET http://a/ready HTTP/1.1\r\nhost: a\r\nexpect: 100-continue\r\nforwarded: for=1.2.3.4\r\n\r\n",
];

/** Sends bytes and gives the first line of the answer, "" without one. */
function send(port: number, bytes: Uint8Array, limitMs: number): Promise<string> {
  return new Promise((resolve) => {
    let answer = "";
    const socket = connect(port, "127.0.0.1", () => socket.write(bytes));
    const end = (): void => {
      clearTimeout(timer);
      socket.destroy();
      resolve(answer.slice(0, answer.indexOf("\r\n") < 0 ? 0 : answer.indexOf("\r\n")));
    };
    const timer = setTimeout(end, limitMs);
    socket.on("data", (part) => {
      answer += part.toString("latin1");
      if (answer.includes("\r\n\r\n")) end();
    });
    socket.on("error", end).on("close", end);
  });
}

export async function openHttp(): Promise<Target> {
  const folder = await mkdtemp(join(tmpdir(), "mayfly-fuzz-http-"));
  await writeFile(join(folder, "mayfly.yaml"), config);
  await writeFile(join(folder, "echo.ts"), 'import { flow } from "mayfly";\nexport default flow((msg) => msg.bytes);');
  const serving = await serve({ file: join(folder, "mayfly.yaml"), logger: silentLogger });
  const port = serving.gateway.address?.port ?? 0;
  const innocent = toUtf8("POST /echo/2 HTTP/1.1\r\nhost: a\r\ncontent-length: 2\r\nconnection: close\r\n\r\n{}");
  return {
    name: "http",
    seeds: heads.map((text) => Buffer.from(text, "latin1")),
    words: [
      "\r\n",
      "\r\n\r\n",
      "host: b\r\n",
      "content-length: 5\r\n",
      "transfer-encoding: chunked\r\n",
      "content-encoding: br\r\n",
      "idempotency-key: k\r\n",
      "../",
      "%2e%2e",
      "%C0%80",
      "\x00",
      "mayfly-value-x: 1\r\n",
      "__proto__: 1\r\n",
      "content-type: application/cloudevents+json\r\n",
    ],
    run: async (input) => {
      const status = (await send(port, input, patienceMs)).slice(9, 12);
      const next = await send(port, innocent, guardMs);
      return next.includes(" 200 ") ? { signature: status } : faulty(status, `the next caller got ${JSON.stringify(next)}`);
    },
    close: async () => {
      await serving.stop();
      await rm(folder, { recursive: true, force: true });
    },
  };
}
