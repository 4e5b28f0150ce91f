/** net.wasm by itself: what it exports and what it may ask of its host. */
import { deepEqual, equal, ok } from "node:assert/strict";
import { test } from "node:test";
import { netModule } from "#kernel";
import { NetHost } from "./host.ts";

const module = new WebAssembly.Module(netModule() as Uint8Array<ArrayBuffer>);

test("it asks nothing of its host but clock, randomness, console, frames and the end", () => {
  const known = ["now", "wall", "random", "print", "send", "off"];
  deepEqual(
    WebAssembly.Module.imports(module).filter((each) => each.module !== "host" || !known.includes(each.name)),
    [],
  );
});

test("started in a memory that the host has grown, it takes frames and says when to be polled", () => {
  const host = new NetHost(module, { onFrame: () => {} });
  host.exports.start(0x52540012, 0x3456);
  host.receive(new Uint8Array(60));
  ok(host.poll() > host.nowUs);
  equal(host.ended, undefined);
});
