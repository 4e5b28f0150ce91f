/** The service as the ELF carries it (abi/service.ts), as structures. Its texts lie where the host put the frame, until settings fill them in. */
import { isText } from "../bytes";
import { take } from "../memory";
import { scheduleTimer, Timer } from "../timers";
import { frameBytes, nameBytes, records, textBytes } from "./limits";
import {
  byte, count, expect, frameBroken, isAbsent, kind, nextRecord, openFrame, optionalText, partAt, partLength, serviceMagic, textAt, valid,
} from "./records";
import { takesTokens, tokenType } from "./variant";

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
  /** 0 bearer, 1 basic, 2 apiKey, 3 signature, 4 token */
  type: u32 = 0;
  header: usize = 0;
  headerLength: u32 = 0;
  caller: usize = 0;
  callerLength: u32 = 0;
  secret: usize = 0;
  secretLength: u32 = 0;
  // of a signature
  form: u32 = 0;
  prefix: usize = 0;
  prefixLength: u32 = 0;
  toleranceMs: u32 = 0;
  /** Of a token, whose `secret` is the URL of the keys, whose `caller` its rules, and whose `form` bits of algorithms (tokens/rules.ts). */
  rules: usize = 0;
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
  /** Failures in a row that open its circuit, and for how long; 0: it has no breaker. */
  breakerFailures: u32 = 0;
  breakerMs: u32 = 0;
  failuresInARow: u32 = 0;
  /** As `now()` counts. */
  openUntilUs: u64 = 0;
  /** The exchange that finds out whether the peer is well again. */
  probe: usize = 0;
  /** It leads into the log: of a line its level, text and most bytes of the body. */
  isLine: bool = false;
  level: u32 = 0;
  text: usize = 0;
  textLength: u32 = 0;
  mostBytes: u32 = 0;
  // counted
  sent: u32 = 0;
  requests: u32 = 0;
  retries: u32 = 0;
  dead: u32 = 0;
  pending: u32 = 0;
}

/** A message by the clock (schedules.ts). Begins with a timer, and is a route's stand-in for its messages. */
@unmanaged
export class Schedule extends Timer {
  route: usize = 0;
  name: usize = 0;
  nameLength: u32 = 0;
  /** 0: by the date. */
  everyMs: u32 = 0;
  atStart: bool = false;
  either: bool = false;
  /** Texts of "0" and "1". */
  minutes: usize = 0;
  hours: usize = 0;
  days: usize = 0;
  months: usize = 0;
  weekdays: usize = 0;
  contentType: usize = 0;
  contentTypeLength: u32 = 0;
  /** 0: an object with the date. */
  body: usize = 0;
  bodyLength: u32 = 0;
  /** Slot of the message of its last run, + 1. */
  running: u32 = 0;
  /** Minute since 1970 of its last run. */
  lastMinute: u64 = 0;
  next: usize = 0;
}

export let nameAt: usize = 0, nameLength: u32 = 0;
export let versionAt: usize = 0, versionLength: u32 = 0;
export let syslogAt: usize = 0, syslogLength: u32 = 0;
export let drainMs: u32 = 0, logLevel: u32 = 1;
export let port: u32 = 0, healthPort: u32 = 0;
/** Of all flows. */
export let outletCount: u32 = 0;
export let firstFlow: usize = 0, firstRoute: usize = 0, firstWay: usize = 0, firstSchedule: usize = 0;
export let scheduleCount: u32 = 0;

let lastFlow: usize = 0, lastRoute: usize = 0, lastWay: usize = 0, lastOutlet: usize = 0, lastPair: usize = 0, lastValue: usize = 0;
let lastSchedule: usize = 0;
/** The flow whose records are being read has a route or a schedule. */
let isReached: bool = true;
let groups: u32 = 0, seen: u32 = 0, order: u32 = 0;

const most: f64 = 2147483647;

/** Reads the frame, once. False if it is malformed. */
export function readService(at: usize, length: u32): bool {
  if (!openFrame(at, length, serviceMagic)) return false;
  for (let number: u32 = 0; nextRecord(); number++) {
    if (number === records) return false;
    const isOrdered = kind >= order || kind === 5 || (kind === 7 && order === 8);
    if (!isOrdered || (kind <= 3 && kind === order) || kind === 0 || kind > 11) return false;
    if (kind > 5 && lastFlow === 0) return false;
    order = kind;
    if (!readRecord() || !valid) return false;
  }
  return !frameBroken && seen === 3 && port > 0 && firstFlow !== 0 && isReached;
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
    case 9: return readLine();
    case 11: return readSchedule();
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
  if (at === 0 || !isReached) return false;
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
  isReached = false;
  lastOutlet = lastValue = 0;
  if (lastFlow === 0) firstFlow = at;
  else changetype<Flow>(lastFlow).next = at;
  lastFlow = at;
  return true;
}

function readWay(): bool {
  expect(8);
  const at = take(offsetof<Way>());
  if (at === 0) return false;
  const way = changetype<Way>(at);
  way.group = <u32>count(0, records);
  way.type = <u32>count(1, takesTokens ? tokenType : tokenType - 1);
  way.header = textAt(2, textBytes);
  way.headerLength = partLength(2);
  way.caller = optionalText(3, textBytes);
  way.callerLength = partLength(3);
  way.secret = textAt(4, textBytes);
  way.secretLength = partLength(4);
  if (way.type === 3) {
    way.form = <u32>count(5, 4);
    way.prefix = textAt(6, textBytes);
    way.prefixLength = partLength(6);
    way.toleranceMs = <u32>count(7, most);
  }
  if (takesTokens) if (way.type === tokenType) {
    way.form = <u32>count(5, 0xffff);
    way.toleranceMs = <u32>count(7, most);
  }
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
  isReached = true;
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
  expect(14);
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
  if (!isAbsent(12)) {
    outlet.breakerFailures = <u32>count(12, most);
    outlet.breakerMs = <u32>count(13, most);
  }
  outletCount++;
  lastPair = 0;
  addOutlet(at);
  return true;
}

function addOutlet(at: usize): void {
  if (lastOutlet === 0) changetype<Flow>(lastFlow).firstOutlet = at;
  else changetype<Outlet>(lastOutlet).next = at;
  lastOutlet = at;
}

function readLine(): bool {
  expect(4);
  const at = take(offsetof<Outlet>());
  if (at === 0) return false;
  const outlet = changetype<Outlet>(at);
  outlet.isLine = true;
  outlet.name = textAt(0, nameBytes);
  outlet.nameLength = partLength(0);
  outlet.level = <u32>count(1, 3);
  outlet.text = textAt(2, textBytes);
  outlet.textLength = partLength(2);
  outlet.mostBytes = <u32>count(3, frameBytes);
  addOutlet(at);
  return true;
}

/** A set of numbers: "0" and "1" for each. */
function setAt(index: u32, length: u32): usize {
  const at = textAt(index, length);
  if (partLength(index) !== length) return 0;
  for (let each: u32 = 0; each < length; each++) if (<u32>load<u8>(at + each) - 48 > 1) return 0;
  return at;
}

function readSchedule(): bool {
  expect(11);
  const at = take(offsetof<Schedule>());
  const routeAt = take(offsetof<Route>());
  if (at === 0 || routeAt === 0) return false;
  const schedule = changetype<Schedule>(at);
  changetype<Route>(routeAt).flow = lastFlow;
  isReached = true;
  schedule.kind = scheduleTimer;
  schedule.route = routeAt;
  schedule.name = textAt(0, nameBytes);
  schedule.nameLength = partLength(0);
  schedule.everyMs = <u32>count(1, most);
  schedule.atStart = byte(2) === 1;
  if (schedule.everyMs === 0) {
    schedule.minutes = setAt(3, 60);
    schedule.hours = setAt(4, 24);
    schedule.days = setAt(5, 31);
    schedule.months = setAt(6, 12);
    schedule.weekdays = setAt(7, 7);
    if (schedule.minutes === 0 || schedule.hours === 0 || schedule.days === 0 || schedule.months === 0 || schedule.weekdays === 0) return false;
  }
  schedule.either = byte(8) === 1;
  schedule.contentType = textAt(9, nameBytes);
  schedule.contentTypeLength = partLength(9);
  schedule.body = optionalText(10, textBytes);
  schedule.bodyLength = partLength(10);
  scheduleCount++;
  if (lastSchedule === 0) firstSchedule = at;
  else changetype<Schedule>(lastSchedule).next = at;
  lastSchedule = at;
  return true;
}

function readPair(): bool {
  expect(2);
  const at = take(offsetof<Pair>());
  if (at === 0 || (kind === 8 && (lastOutlet === 0 || changetype<Outlet>(lastOutlet).isLine))) return false;
  const pair = changetype<Pair>(at);
  pair.name = textAt(0, nameBytes);
  pair.nameLength = partLength(0);
  pair.value = textAt(1, textBytes);
  pair.valueLength = partLength(1);
  if (kind === 10) {
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

/** True if callers may show tokens: the keys of their issuers are fetched. */
export function hasTokens(): bool {
  for (let at = firstWay; at !== 0; at = changetype<Way>(at).next) if (changetype<Way>(at).type === tokenType) return true;
  return false;
}

export function flowOf(route: Route): Flow { return changetype<Flow>(route.flow); }

/** True where the image has several flows, and each message says which of them it is for. */
export function hasSeveral(): bool { return changetype<Flow>(firstFlow).next !== 0; }

// ---- after settings were filled in

export function setSyslog(at: usize, length: u32): void {
  syslogAt = at;
  syslogLength = length;
}
