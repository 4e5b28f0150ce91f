/** The module on Linux: the small gateway over the kernel's sockets, in a process of its own. docs/STANDALONE.md draws where it runs. */
import { isText, putNumber, putText } from "./bytes";
import { dnsDue, resolve, runDns } from "./dns/mod";
import { carryResolve } from "./names";
import { info, said, sayLine } from "./service/log";
import { hasTokens, outletCount } from "./service/config";
import * as service from "./service/mod";
import { dns, onMissing, prepareService, runService, startService } from "./service/mod";
import { complainOfStart } from "./service/settings";
import { takesTokens } from "./service/variant";
import { startQueries } from "./sockets/queries";
import { readResolver } from "./sockets/resolver";
import { flushSockets, ownPort, runSockets, socketsDue, startSockets } from "./sockets/mod";

export { button, done, effectsBuffer, nextJob } from "./service/mod";
export { event } from "./sockets/mod";

/** A setting of the environment: copies its value to `to`, at most `most` bytes, and returns the value's length; negative: it is not set. */
// @ts-ignore: decorator
@external("host", "environment")
declare function environment(nameAt: u32, nameLength: u32, to: u32, most: u32): i32;
// @ts-ignore: decorator
@external("host", "off")
declare function off(code: u32): void;

function missing(name: usize, length: u32, to: usize, most: u32): i32 {
  return environment(<u32>name, length, <u32>to, most);
}

const resolverKind: u32 = 2;
let buffer: usize = 0;
/** The system's DNS server, big endian; 0: none. */
let systemDns: u32 = 0;
// "127.0.0.1"
// @ts-ignore: decorator
@lazy const loopback: usize = memory.data<u8>([49, 50, 55, 46, 48, 46, 48, 46, 49]);
const loopbackBytes: u32 = 9;

/** Room for a configuration, which stays where it is put; 0: it is too long. */
export function configBuffer(length: u32): usize {
  buffer = service.configBuffer(length);
  return buffer;
}

/** Kind 0: the service's frame; kind 1: config.json; kind 2: /etc/resolv.conf. 0, or 1 and the console says what is wrong. */
export function configure(kind: u32, length: u32): u32 {
  if (kind !== resolverKind) return service.configure(kind, length);
  systemDns = readResolver(buffer, length);
  return 0;
}

/** True when the service has outlets, or issuers whose keys it fetches. */
export function reaches(): u32 {
  if (takesTokens) if (hasTokens()) return 1;
  return u32(outletCount > 0);
}

/** Reads the configuration to its end, and listens; ends the process with `off` where that can't be. */
export function start(): void {
  onMissing(missing);
  if (!prepareService()) return;
  const streams = startSockets();
  if (streams === 0) {
    complainOfStart("there are too few descriptors to serve with: raise the limit of open files (ulimit -n)");
    return off(1);
  }
  startQueries(dns === 0 ? systemDns : dns);
  carryResolve(resolveName);
  startService(streams);
}

/** /etc/hosts is not read; this name is in each. */
function resolveName(at: usize, length: u32, ask: u32): bool {
  if (isText(at, length, "localhost")) return resolve(loopback, loopbackBytes, ask);
  return resolve(at, length, ask);
}

/** Says where it serves. `address`: big endian. */
export function sayServing(address: u32): void {
  putText(said, "serving on port ");
  putNumber(said, ownPort);
  for (let shift = 24; shift >= 0; shift -= 8) {
    putText(said, shift === 24 ? " at " : ".");
    putNumber(said, (address >> shift) & 255);
  }
  sayLine(info, null);
}

/** Sends what was written since it was last called. True: `poll` has something to do. */
export function flush(): u32 {
  return u32(flushSockets());
}

/** Runs what is due; returns when to call again, as `now()` counts, or u64.MAX_VALUE for never. A job may be ready afterwards. */
export function poll(): u64 {
  runSockets();
  runDns();
  const due = runService();
  return min<u64>(due, min<u64>(dnsDue(), socketsDue()));
}
