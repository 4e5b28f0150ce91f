/** A server that lies about its messages: they are not waited for, and what ends the connection is told. */
import assert from "node:assert/strict";
import { type AddressInfo, createServer } from "node:net";
import { test } from "node:test";
import { eventually, startSource } from "../testing/rig.ts";
import { postgresSource } from "./source.ts";

function message(type: string, length: number, content: Uint8Array = new Uint8Array(length - 4)): Buffer {
  const head = Buffer.alloc(5);
  head.write(type, "latin1");
  head.writeUInt32BE(length, 1);
  return Buffer.concat([head, content]);
}
const ready = message("Z", 5, Buffer.from("I"));
const done = Buffer.concat([message("C", 8, Buffer.from("SET\0")), ready]);

for (const [what, lie, told] of [
  ["an error of two megabytes", message("E", 2 ** 21), /^MF_POSTGRES_UNREACHABLE: .*is no row/],
  ["a row of a gigabyte, of which it sends the beginning", message("D", 2 ** 30, Buffer.alloc(100)), /^MF_SQL_ROW/],
  ["a message shorter than its length", message("D", 3, Buffer.alloc(0)), /^MF_POSTGRES_UNREACHABLE: .*message of 3 bytes/],
] as const)
  test(`postgres: a server that sends ${what}`, { timeout: 30_000 }, async (t) => {
    const server = createServer((socket) => {
      socket.on("error", () => {});
      let count = 0;
      socket.on("data", () => {
        count += 1;
        socket.write(count === 1 ? Buffer.concat([message("R", 8, Buffer.alloc(4)), ready]) : count === 2 ? done : lie);
      });
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    t.after(() => server.close());
    const { port } = server.address() as AddressInfo;
    const { source } = await startSource(postgresSource, {
      url: `postgres://u@127.0.0.1:${port}/d`,
      table: "t",
      cursor: "id",
      heartbeat: "500ms",
    });
    await eventually("it is told", () => told.test(source.health().detail)).catch(() => assert.match(source.health().detail, told));
    await source.stop();
  });
