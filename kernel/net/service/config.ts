/** The service as the ELF carries it (abi/service.ts), as structures. Its texts lie where the host put the frame, until settings fill them in. */
import { isText } from "../bytes";
import { take } from "../memory";
import { nameBytes, records, textBytes } from "./limits";
import {
  byte, count, expect, frameBroken, isAbsent, kind, nextRecord, openFrame, optionalText, partAt, partLength, serviceMagic, textAt, valid,
} from "./records";

@unmanaged
export class Flow {
  name: usize = 0;
  nameLength: u32 = 0;
  concurrency: u32 = 0;
  queue: u32 = 0;
  memoryUnits: u32 = 0;
  cpuMs: u32 = 0;
  timeMs: u32 = 0;
  mostSends: u32 = 0;
  logBytes: u32 = 0;
  firstOutlet: usize = 0;
  firstValue: usize = 0;
  next: usize = 0;
  /** Messages that wait for a machine, in order. */
  firstQueued: usize = 0;
  lastQueued: usize = 0;
  // counted
  pending: u32 = 0;
  machines: u32 = 0;
  received: u32 = 0;
  done: u32 = 0;
  dead: u32 = 0;
  cancelled: u32 = 0;
  logsDropped: u32 = 0;
  /** By code (metrics.ts). */
  failures: usize = 0;
  refusals: usize = 0;
  /** Durations, and how many lay in each bucket. */
  durations: u32 = 0;
  buckets: usize = 0;
  sumUs: u64 = 0;
}

@unmanaged
export class Route {
  flow: usize = 0;
  path: usize = 0;
  pathLength: u32 = 0;
  /** Separated by commas. */
  methods: usize = 0;
  methodsLength: u32 = 0;
  idHeader: usize = 0;
  idHeaderLength: u32 = 0;
  timeoutMs: u32 = 0;
  bodyLimit: u32 = 0;
  /** Group of credentials + 1; 0: anyone may call. */
  group: u32 = 0;
  fullErrors: bool = false;
  hasParameters: bool = false;
  next: usize = 0;
}

@unmanaged
export class Way {
  group: u32 = 0;
  /** 0 bearer, 1 basic, 2 apiKey */
  type: u32 = 0;
  header: usize = 0;
  headerLength: u32 = 0;
  caller: usize = 0;
  callerLength: u32 = 0;
  secret: usize = 0;
  secretLength: u32 = 0;
  next: usize = 0;
}

/** A name with a value: a header of an outlet, or one of a flow's values. */
@unmanaged
export class Pair {
  name: usize = 0;
  nameLength: u32 = 0;
  value: usize = 0;
  valueLength: u32 = 0;
  next: usize = 0;
}

@unmanaged
export class Outlet {
  name: usize = 0;
  nameLength: u32 = 0;
  host: usize = 0;
  hostLength: u32 = 0;
  path: usize = 0;
  pathLength: u32 = 0;
  method: usize = 0;
  methodLength: u32 = 0;
  /** `user:password`; 0: none. */
  basic: usize = 0;
  basicLength: u32 = 0;
  port: u32 = 0;
  timeoutMs: u32 = 0;
  attempts: u32 = 0;
  leastMs: u32 = 0;
  mostMs: u32 = 0;
  retryAgeMs: f64 = 0;
  headers: usize = 0;
  next: usize = 0;
  // counted
  sent: u32 = 0;
  requests: u32 = 0;
  retries: u32 = 0;
  dead: u32 = 0;
  pending: u32 = 0;
}

export let nameAt: usize = 0, nameLength: u32 = 0;
export let versionAt: usize = 0, versionLength: u32 = 0;
export let syslogAt: usize = 0, syslogLength: u32 = 0;
export let drainMs: u32 = 0, logLevel: u32 = 1;
export let port: u32 = 0, healthPort: u32 = 0;
/** Of all flows. */
export let outletCount: u32 = 0;
export let firstFlow: usize = 0, firstRoute: usize = 0, firstWay: usize = 0;

let lastFlow: usize = 0, lastRoute: usize = 0, lastWay: usize = 0, lastOutlet: usize = 0, lastPair: usize = 0, lastValue: usize = 0;
/** The flow whose records are being read has a route. */
let isRouted: bool = true;
let groups: u32 = 0, seen: u32 = 0, order: u32 = 0;

const most: f64 = 2147483647;

/** Reads the frame, once. False if it is malformed. */
export function readService(at: usize, length: u32): bool {
  if (!openFrame(at, length, serviceMagic)) return false;
  for (let number: u32 = 0; nextRecord(); number++) {
    if (number === records) return false;
    const isOrdered = kind >= order || kind === 5 || (kind === 7 && order === 8);
    if (!isOrdered || (kind <= 3 && kind === order) || kind === 0 || kind > 9) return false;
    if (kind > 5 && lastFlow === 0) return false;
    order = kind;
    if (!readRecord() || !valid) return false;
  }
  return !frameBroken && seen === 3 && port > 0 && firstFlow !== 0 && isRouted;
}

function readRecord(): bool {
  switch (kind) {
    case 1: return readHead();
    case 2:
      expect(2);
      port = <u32>count(0, 65535);
      healthPort = <u32>count(1, 65535);
      seen |= 2;
      return true;
    case 3:
      expect(1);
      syslogAt = textAt(0, textBytes);
      syslogLength = partLength(0);
      return true;
    case 4: return readWay();
    case 5: return readFlow();
    case 6: return readRoute();
    case 7: return readOutlet();
    default: return readPair();
  }
}

function readHead(): bool {
  expect(5);
  nameAt = textAt(0, nameBytes);
  nameLength = partLength(0);
  versionAt = textAt(1, nameBytes);
  versionLength = partLength(1);
  textAt(2, nameBytes);
  drainMs = <u32>count(3, most);
  logLevel = <u32>count(4, 4);
  seen |= 1;
  return true;
}

function readFlow(): bool {
  expect(8);
  const at = take(offsetof<Flow>());
  if (at === 0 || !isRouted) return false;
  const flow = changetype<Flow>(at);
  flow.name = textAt(0, nameBytes);
  flow.nameLength = partLength(0);
  flow.concurrency = <u32>count(1, most);
  flow.queue = <u32>count(2, most);
  flow.memoryUnits = <u32>(count(3, 268435456) / 65536);
  flow.cpuMs = <u32>count(4, most);
  flow.timeMs = <u32>count(5, most);
  flow.mostSends = <u32>count(6, most);
  flow.logBytes = <u32>count(7, most);
  isRouted = false;
  lastOutlet = lastValue = 0;
  if (lastFlow === 0) firstFlow = at;
  else changetype<Flow>(lastFlow).next = at;
  lastFlow = at;
  return true;
}

function readWay(): bool {
  expect(5);
  const at = take(offsetof<Way>());
  if (at === 0) return false;
  const way = changetype<Way>(at);
  way.group = <u32>count(0, records);
  way.type = <u32>count(1, 2);
  way.header = textAt(2, textBytes);
  way.headerLength = partLength(2);
  way.caller = optionalText(3, textBytes);
  way.callerLength = partLength(3);
  way.secret = textAt(4, textBytes);
  way.secretLength = partLength(4);
  if (way.group !== groups && way.group + 1 !== groups) return false;
  groups = way.group + 1;
  if (lastWay === 0) firstWay = at;
  else changetype<Way>(lastWay).next = at;
  lastWay = at;
  return true;
}

function readRoute(): bool {
  expect(7);
  const at = take(offsetof<Route>());
  if (at === 0) return false;
  const route = changetype<Route>(at);
  route.flow = lastFlow;
  isRouted = true;
  route.path = textAt(0, textBytes);
  route.pathLength = partLength(0);
  route.methods = textAt(1, textBytes);
  route.methodsLength = partLength(1);
  route.timeoutMs = <u32>count(2, most);
  route.bodyLimit = <u32>count(3, 67108864);
  route.group = isAbsent(4) ? 0 : <u32>count(4, records) + 1;
  route.idHeader = textAt(5, nameBytes);
  route.idHeaderLength = partLength(5);
  route.fullErrors = byte(6) === 1;
  if (route.group > groups) return false;
  if (lastRoute === 0) firstRoute = at;
  else changetype<Route>(lastRoute).next = at;
  lastRoute = at;
  return true;
}

function readOutlet(): bool {
  expect(12);
  const at = take(offsetof<Outlet>());
  if (at === 0) return false;
  const outlet = changetype<Outlet>(at);
  outlet.name = textAt(0, nameBytes);
  outlet.nameLength = partLength(0);
  textAt(1, textBytes);
  if (!isText(partAt(1), partLength(1), "http")) return false;
  outlet.host = textAt(2, textBytes);
  outlet.hostLength = partLength(2);
  outlet.port = <u32>count(3, 65535);
  outlet.path = textAt(4, textBytes);
  outlet.pathLength = partLength(4);
  outlet.method = textAt(5, nameBytes);
  outlet.methodLength = partLength(5);
  outlet.timeoutMs = <u32>count(6, most);
  outlet.attempts = <u32>count(7, most);
  outlet.leastMs = <u32>count(8, most);
  outlet.mostMs = <u32>count(9, most);
  outlet.retryAgeMs = count(10, 9007199254740991);
  outlet.basic = optionalText(11, textBytes);
  outlet.basicLength = partLength(11);
  outletCount++;
  lastPair = 0;
  if (lastOutlet === 0) changetype<Flow>(lastFlow).firstOutlet = at;
  else changetype<Outlet>(lastOutlet).next = at;
  lastOutlet = at;
  return true;
}

function readPair(): bool {
  expect(2);
  const at = take(offsetof<Pair>());
  if (at === 0 || (kind === 8 && lastOutlet === 0)) return false;
  const pair = changetype<Pair>(at);
  pair.name = textAt(0, nameBytes);
  pair.nameLength = partLength(0);
  pair.value = textAt(1, textBytes);
  pair.valueLength = partLength(1);
  if (kind === 9) {
    if (lastValue === 0) changetype<Flow>(lastFlow).firstValue = at;
    else changetype<Pair>(lastValue).next = at;
    lastValue = at;
  } else {
    if (lastPair === 0) changetype<Outlet>(lastOutlet).headers = at;
    else changetype<Pair>(lastPair).next = at;
    lastPair = at;
  }
  return true;
}

export function flowOf(route: Route): Flow { return changetype<Flow>(route.flow); }

/** True where the image has several flows, and each message says which of them it is for. */
export function hasSeveral(): bool { return changetype<Flow>(firstFlow).next !== 0; }

// ---- after settings were filled in

export function setSyslog(at: usize, length: u32): void {
  syslogAt = at;
  syslogLength = length;
}
