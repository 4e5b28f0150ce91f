/** net.wasm by itself: what it exports and what it may ask of its host. */
import { deepEqual, equal, match, ok } from "node:assert/strict";
import { test } from "node:test";
import { netModule } from "#kernel";
import { encodeService } from "#abi";
import { toUtf8 } from "#base";
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

/** A module with a service, and with settings if there are any, before its start. */
function configured(settings?: object): NetHost<Configurable> {
  const host = new NetHost<Configurable>(module, { onFrame: () => {} });
  const configurations = [encodeService(plainService), ...(settings === undefined ? [] : [toUtf8(JSON.stringify(settings))])];
  for (const [kind, bytes] of configurations.entries()) {
    new Uint8Array(host.exports.memory.buffer, host.exports.configBuffer(bytes.length), bytes.length).set(bytes);
    equal(host.exports.configure(kind, bytes.length), 0);
  }
  return host;
}

test("it says that it serves once it has an address", () => {
  const fixed = configured({ network: { address: "10.0.2.15/24" } });
  fixed.exports.start(0x52540012, 0x3456);
  match(fixed.console, /"msg":"serving on port 80 at 10\.0\.2\.15"/);
  const asking = configured();
  asking.exports.start(0x52540012, 0x3456);
  asking.poll();
  match(asking.console, /"msg":"there is no address yet: DHCP is asked for one"/);
  equal(asking.console.includes("serving"), false);
});

test("started in a memory that the host has grown, it takes frames and says when to be polled", () => {
  const host = configured();
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
