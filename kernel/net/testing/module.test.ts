/** net.wasm by itself: what it exports and what it may ask of its host. */
import { deepEqual, equal, match, ok } from "node:assert/strict";
import { test } from "node:test";
import { netModule } from "#kernel";
import { encodeService } from "#abi";
import { NetHost, type NetExports } from "./host.ts";
import { plainService } from "./service.ts";

const module = new WebAssembly.Module(netModule() as Uint8Array<ArrayBuffer>);

interface Configurable extends NetExports {
  configBuffer(length: number): number;
  configure(kind: number, length: number): number;
}

test("it asks nothing of its host but clock, randomness, console, frames and the end", () => {
  const known = ["now", "wall", "random", "print", "send", "off"];
  deepEqual(
    WebAssembly.Module.imports(module).filter((each) => each.module !== "host" || !known.includes(each.name)),
    [],
  );
});

test("started in a memory that the host has grown, it takes frames and says when to be polled", () => {
  const host = new NetHost<Configurable>(module, { onFrame: () => {} });
  const service = encodeService(plainService);
  new Uint8Array(host.exports.memory.buffer, host.exports.configBuffer(service.length), service.length).set(service);
  equal(host.exports.configure(0, service.length), 0);
  host.exports.start(0x52540012, 0x3456);
  host.receive(new Uint8Array(60));
  ok(host.poll() > host.nowUs);
  equal(host.ended, undefined);
});

test("without a service it says so, and ends", () => {
  const host = new NetHost(module, { onFrame: () => {} });
  host.exports.start(0x52540012, 0x3456);
  equal(host.ended, 1);
  match(host.console, /no service in this ELF/);
});
