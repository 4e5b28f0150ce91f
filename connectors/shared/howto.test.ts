/** The example of docs/CONNECTOR-HOWTO.md is the file that is compiled and tested here. */
import assert from "node:assert/strict";
import { existsSync, readFileSync } from "node:fs";
import { type AddressInfo, createServer, type Socket } from "node:net";
import { dirname, join } from "node:path";
import { test } from "node:test";
import { attemptOf, eventually, outgoing, sendSurely, startOutlet } from "../testing/rig.ts";
import { lineOutlet } from "../testing/line-outlet.ts";

function root(): string {
  let dir = process.cwd();
  while (!existsSync(join(dir, "docs", "CONNECTOR-HOWTO.md")) && dirname(dir) !== dir) dir = dirname(dir);
  return dir;
}

test("the example in the documentation is the one that is compiled", () => {
  const source = readFileSync(join(root(), "connectors/testing/line-outlet.ts"), "utf8");
  const document = readFileSync(join(root(), "docs/CONNECTOR-HOWTO.md"), "utf8");
  assert.ok(document.includes(`\`\`\`ts\n${source}\`\`\``), "copy connectors/testing/line-outlet.ts into docs/CONNECTOR-HOWTO.md");
});

test("the example sends, is refused, loses its connection and comes back", { timeout: 20_000 }, async () => {
  const sockets = new Set<Socket>();
  const lines: string[] = [];
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on("error", () => {});
    socket.on("data", (chunk) => {
      for (const line of chunk
        .toString()
        .split("\n")
        .filter((text) => text !== "")) {
        const body = Buffer.from((JSON.parse(line) as { readonly body: string }).body, "base64").toString();
        lines.push(body);
        if (body !== "silence") socket.write(body === "bad" ? "no\n" : "ok\n");
      }
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { outlet } = await startOutlet(lineOutlet, { port: (server.address() as AddressInfo).port });
  await outlet.send(outgoing("good"), attemptOf());
  await assert.rejects(outlet.send(outgoing("bad"), attemptOf()), { code: "MF_LINE_REFUSED", retryable: false });
  const unanswered = assert.rejects(outlet.send(outgoing("silence"), attemptOf()), { code: "MF_CONNECTION_LOST", retryable: true });
  await eventually("it is there", () => lines.includes("silence"));
  for (const socket of sockets) socket.resetAndDestroy();
  await unanswered;
  await sendSurely(outlet, outgoing("again"));
  assert.deepEqual(lines, ["good", "bad", "silence", "again"]);
  await outlet.stop();
  server.close();
});
