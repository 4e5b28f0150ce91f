/** Counters, and /metrics: the gateway's names (gateway/metrics.ts), as far as they say something here. */
import { allocateZeroed, allBytes, freeBytes } from "../blocks";
import { Bytes, equal, putByte, putDecimal, putNumber, putText } from "../bytes";
import { openConnections, refusedConnections } from "../http/mod";
import { firstOutlet, nameAt, nameLength, Outlet } from "./config";
import { failureCodes } from "./limits";
import { pending } from "./message";

export let received: u32 = 0, done: u32 = 0, dead: u32 = 0, cancelled: u32 = 0, logsDropped: u32 = 0, machines: u32 = 0;

export function countReceived(): void { received++; }
export function countDone(): void { done++; }
export function countDead(): void { dead++; }
export function countCancelled(): void { cancelled++; }
export function countLogDropped(): void { logsDropped++; }
/** Machines that run or wait. */
export function countMachine(change: i32): void { machines += change; }

// ---- by code

/** next u32 │ count u32 │ length u32 │ bytes */
let failures: usize = 0, refusals: usize = 0;
let codes: u32 = 0;

function counted(list: usize, at: usize, length: u32): usize {
  for (let each = list; each !== 0; each = <usize>load<u32>(each)) {
    if (equal(each + 12, load<u32>(each, 8), at, length)) {
      store<u32>(each, load<u32>(each, 4) + 1, 4);
      return list;
    }
  }
  if (codes >= failureCodes || length > 256) return list;
  const row = allocateZeroed(12 + length);
  if (row === 0) return list;
  codes++;
  store<u32>(row, <u32>list);
  store<u32>(row, 1, 4);
  store<u32>(row, length, 8);
  memory.copy(row + 12, at, length);
  return row;
}

export function countFailure(at: usize, length: u32): void { failures = counted(failures, at, length); }
export function countRefusal(at: usize, length: u32): void { refusals = counted(refusals, at, length); }

// ---- durations

/** Upper bounds of buckets, in microseconds. */
// @ts-ignore: decorator
@lazy const bounds: usize = memory.data<u32>([
  250, 500, 1000, 2500, 5000, 10000, 25000, 50000, 100000, 250000, 500000, 1000000, 2500000, 5000000, 10000000, 30000000,
]);
const buckets: u32 = 16;
// @ts-ignore: decorator
@lazy const counts: usize = memory.data(64, 16);
let durations: u32 = 0;
let sumUs: u64 = 0;

/** From a message's head to its answer. */
export function countDuration(us: u64): void {
  durations++;
  sumUs += us;
  for (let bucket: u32 = 0; bucket < buckets; bucket++) {
    if (us > <u64>load<u32>(bounds + (<usize>bucket << 2))) continue;
    const at = counts + (<usize>bucket << 2);
    store<u32>(at, load<u32>(at) + 1);
    return;
  }
}

// ---- text

function head(b: Bytes, name: string, help: string, type: string): void {
  putText(b, "# HELP ");
  putText(b, name);
  putByte(b, 32);
  putText(b, help);
  putText(b, "\n# TYPE ");
  putText(b, name);
  putByte(b, 32);
  putText(b, type);
  putByte(b, 10);
}

/** A label's value: what would end it is escaped. */
function putLabel(b: Bytes, name: string, at: usize, length: u32): void {
  putText(b, name);
  putText(b, "=\"");
  for (let index: u32 = 0; index < length; index++) {
    const byte = <u32>load<u8>(at + index);
    if (byte === 10) putText(b, "\\n");
    else {
      if (byte === 34 || byte === 92) putByte(b, 92);
      putByte(b, byte);
    }
  }
  putByte(b, 34);
}

function flow(b: Bytes, name: string, suffix: string): void {
  putText(b, name);
  putText(b, suffix);
  putByte(b, 123);
  putLabel(b, "flow", nameAt, nameLength);
}

function value(b: Bytes, number: u64): void {
  putText(b, "} ");
  putNumber(b, number);
  putByte(b, 10);
}

function one(b: Bytes, name: string, help: string, type: string, number: u64): void {
  head(b, name, help, type);
  flow(b, name, "");
  value(b, number);
}

/** Of the whole, without labels. */
function bare(b: Bytes, name: string, help: string, type: string, number: u64): void {
  head(b, name, help, type);
  putText(b, name);
  putByte(b, 32);
  putNumber(b, number);
  putByte(b, 10);
}

function byCode(b: Bytes, name: string, help: string, list: usize): void {
  head(b, name, help, "counter");
  for (let each = list; each !== 0; each = <usize>load<u32>(each)) {
    flow(b, name, "");
    putByte(b, 44);
    putLabel(b, "code", each + 12, load<u32>(each, 8));
    value(b, load<u32>(each, 4));
  }
}

function outlets(b: Bytes, name: string, help: string, type: string, field: u32): void {
  head(b, name, help, type);
  for (let at = firstOutlet; at !== 0; at = changetype<Outlet>(at).next) {
    const outlet = changetype<Outlet>(at);
    flow(b, name, "");
    putByte(b, 44);
    putLabel(b, "outlet", outlet.name, outlet.nameLength);
    value(b, field === 0 ? outlet.sent : field === 1 ? outlet.requests : field === 2 ? outlet.retries : field === 3 ? outlet.dead : outlet.pending);
  }
}

function histogram(b: Bytes): void {
  const name = "mayfly_flow_duration_seconds";
  head(b, name, "From accept to done", "histogram");
  let sum: u32 = 0;
  for (let bucket: u32 = 0; bucket <= buckets; bucket++) {
    flow(b, name, "_bucket");
    putText(b, ",le=\"");
    if (bucket === buckets) putText(b, "+Inf");
    else {
      sum += load<u32>(counts + (<usize>bucket << 2));
      putDecimal(b, <u64>load<u32>(bounds + (<usize>bucket << 2)) * 1000);
    }
    putByte(b, 34);
    value(b, bucket === buckets ? durations : sum);
  }
  flow(b, name, "_sum");
  putText(b, "} ");
  putDecimal(b, sumUs * 1000);
  putByte(b, 10);
  flow(b, name, "_count");
  value(b, durations);
}

/** Puts all of it. */
export function putMetrics(b: Bytes): void {
  one(b, "mayfly_source_received_total", "Messages received from sources", "counter", received);
  byCode(b, "mayfly_source_refused_total", "Messages refused, by code", refusals);
  one(b, "mayfly_flow_done_total", "Messages completed", "counter", done);
  one(b, "mayfly_flow_dead_total", "Messages that failed for good", "counter", dead);
  one(b, "mayfly_flow_cancelled_total", "Messages whose caller left", "counter", cancelled);
  one(b, "mayfly_flow_log_lines_dropped_total", "Log lines over limits.log", "counter", logsDropped);
  byCode(b, "mayfly_flow_failures_total", "Failed attempts, by code", failures);
  histogram(b);
  one(b, "mayfly_flow_pending", "Messages queued, running or waiting for a retry", "gauge", pending);
  one(b, "mayfly_flow_running", "Machines running or waiting", "gauge", machines);
  outlets(b, "mayfly_outlet_sent_total", "Sends accepted by the peer", "counter", 0);
  outlets(b, "mayfly_outlet_requests_total", "Requests made", "counter", 1);
  outlets(b, "mayfly_outlet_retries_total", "Attempts after the first", "counter", 2);
  outlets(b, "mayfly_outlet_dead_total", "Sends that failed for good", "counter", 3);
  outlets(b, "mayfly_outlet_pending", "Sends not yet accepted by the peer", "gauge", 4);
  bare(b, "mayfly_http_connections_refused_total", "Connections refused over a limit", "counter", refusedConnections);
  bare(b, "mayfly_http_connections_open", "Connections of callers", "gauge", openConnections);
  bare(b, "mayfly_memory_budget_bytes", "The memory budget", "gauge", allBytes());
  bare(b, "mayfly_memory_taken_bytes", "Bytes of the memory budget in use", "gauge", allBytes() - freeBytes());
}
