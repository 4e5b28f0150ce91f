/** Counters, and /metrics: the gateway's names (gateway/metrics.ts), as far as they say something here. */
import { allocateZeroed, allBytes, freeBytes } from "../blocks";
import { Bytes, equal, putByte, putDecimal, putNumber, putText } from "../bytes";
import { openConnections, refusedConnections } from "../http/mod";
import { take } from "../memory";
import { isOpen } from "./circuit";
import { firstFlow, Flow, Outlet } from "./config";
import { failureCodes } from "./limits";

// ---- by code

/** next u32 │ count u32 │ length u32 │ bytes */
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

export function countFailure(flow: Flow, at: usize, length: u32): void { flow.failures = counted(flow.failures, at, length); }
export function countRefusal(flow: Flow, at: usize, length: u32): void { flow.refusals = counted(flow.refusals, at, length); }

// ---- durations

/** Upper bounds of buckets, in microseconds. */
// @ts-ignore: decorator
@lazy const bounds: usize = memory.data<u32>([
  250, 500, 1000, 2500, 5000, 10000, 25000, 50000, 100000, 250000, 500000, 1000000, 2500000, 5000000, 10000000, 30000000,
]);
const buckets: u32 = 16;

/** Room for every flow's buckets; false where there is no memory. */
export function startMetrics(): bool {
  for (let at = firstFlow; at !== 0; at = changetype<Flow>(at).next) {
    const room = take(buckets << 2);
    if (room === 0) return false;
    memory.fill(room, 0, buckets << 2);
    changetype<Flow>(at).buckets = room;
  }
  return true;
}

/** From a message's head to its answer. */
export function countDuration(flow: Flow, us: u64): void {
  flow.durations++;
  flow.sumUs += us;
  for (let bucket: u32 = 0; bucket < buckets; bucket++) {
    if (us > <u64>load<u32>(bounds + (<usize>bucket << 2))) continue;
    const at = flow.buckets + (<usize>bucket << 2);
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

function flowLabel(b: Bytes, flow: Flow, name: string, suffix: string): void {
  putText(b, name);
  putText(b, suffix);
  putByte(b, 123);
  putLabel(b, "flow", flow.name, flow.nameLength);
}

function value(b: Bytes, number: u64): void {
  putText(b, "} ");
  putNumber(b, number);
  putByte(b, 10);
}

/** A row for each flow, of the counter at that offset of `Flow`. */
function rows(b: Bytes, name: string, help: string, type: string, offset: usize): void {
  head(b, name, help, type);
  for (let at = firstFlow; at !== 0; at = changetype<Flow>(at).next) {
    flowLabel(b, changetype<Flow>(at), name, "");
    value(b, load<u32>(at + offset));
  }
}

/** Of the whole, without labels. */
function bare(b: Bytes, name: string, help: string, type: string, number: u64): void {
  head(b, name, help, type);
  putText(b, name);
  putByte(b, 32);
  putNumber(b, number);
  putByte(b, 10);
}

/** The same of the list at that offset: a row for each code in it. */
function byCode(b: Bytes, name: string, help: string, offset: usize): void {
  head(b, name, help, "counter");
  for (let at = firstFlow; at !== 0; at = changetype<Flow>(at).next)
    for (let code = load<usize>(at + offset); code !== 0; code = <usize>load<u32>(code)) {
      flowLabel(b, changetype<Flow>(at), name, "");
      putByte(b, 44);
      putLabel(b, "code", code + 12, load<u32>(code, 8));
      value(b, load<u32>(code, 4));
    }
}

/** The same of each outlet, of the counter at that offset of `Outlet`. */
function outlets(b: Bytes, name: string, help: string, type: string, offset: usize): void {
  head(b, name, help, type);
  for (let flow = firstFlow; flow !== 0; flow = changetype<Flow>(flow).next)
    for (let at = changetype<Flow>(flow).firstOutlet; at !== 0; at = changetype<Outlet>(at).next) {
      const outlet = changetype<Outlet>(at);
      flowLabel(b, changetype<Flow>(flow), name, "");
      putByte(b, 44);
      putLabel(b, "outlet", outlet.name, outlet.nameLength);
      value(b, load<u32>(at + offset));
    }
}

function circuits(b: Bytes): void {
  const name = "mayfly_outlet_circuit_open";
  head(b, name, "1 while the circuit is open", "gauge");
  for (let flow = firstFlow; flow !== 0; flow = changetype<Flow>(flow).next)
    for (let at = changetype<Flow>(flow).firstOutlet; at !== 0; at = changetype<Outlet>(at).next) {
      const outlet = changetype<Outlet>(at);
      flowLabel(b, changetype<Flow>(flow), name, "");
      putByte(b, 44);
      putLabel(b, "outlet", outlet.name, outlet.nameLength);
      value(b, isOpen(outlet) ? 1 : 0);
    }
}

const durationName = "mayfly_flow_duration_seconds";

function histogram(b: Bytes, flow: Flow): void {
  let sum: u32 = 0;
  for (let bucket: u32 = 0; bucket <= buckets; bucket++) {
    flowLabel(b, flow, durationName, "_bucket");
    putText(b, ",le=\"");
    if (bucket === buckets) putText(b, "+Inf");
    else {
      sum += load<u32>(flow.buckets + (<usize>bucket << 2));
      putDecimal(b, <u64>load<u32>(bounds + (<usize>bucket << 2)) * 1000);
    }
    putByte(b, 34);
    value(b, bucket === buckets ? flow.durations : sum);
  }
  flowLabel(b, flow, durationName, "_sum");
  putText(b, "} ");
  putDecimal(b, flow.sumUs * 1000);
  putByte(b, 10);
  flowLabel(b, flow, durationName, "_count");
  value(b, flow.durations);
}

/** Puts all of it. */
export function putMetrics(b: Bytes): void {
  rows(b, "mayfly_source_received_total", "Messages received from sources", "counter", offsetof<Flow>("received"));
  byCode(b, "mayfly_source_refused_total", "Messages refused, by code", offsetof<Flow>("refusals"));
  rows(b, "mayfly_flow_done_total", "Messages completed", "counter", offsetof<Flow>("done"));
  rows(b, "mayfly_flow_dead_total", "Messages that failed for good", "counter", offsetof<Flow>("dead"));
  rows(b, "mayfly_flow_cancelled_total", "Messages whose caller left", "counter", offsetof<Flow>("cancelled"));
  rows(b, "mayfly_flow_log_lines_dropped_total", "Log lines over limits.log", "counter", offsetof<Flow>("logsDropped"));
  byCode(b, "mayfly_flow_failures_total", "Failed attempts, by code", offsetof<Flow>("failures"));
  head(b, durationName, "From accept to done", "histogram");
  for (let at = firstFlow; at !== 0; at = changetype<Flow>(at).next) histogram(b, changetype<Flow>(at));
  rows(b, "mayfly_flow_pending", "Messages queued, running or waiting for a retry", "gauge", offsetof<Flow>("pending"));
  rows(b, "mayfly_flow_running", "Machines running or waiting", "gauge", offsetof<Flow>("machines"));
  outlets(b, "mayfly_outlet_sent_total", "Sends accepted by the peer", "counter", offsetof<Outlet>("sent"));
  outlets(b, "mayfly_outlet_requests_total", "Requests made", "counter", offsetof<Outlet>("requests"));
  outlets(b, "mayfly_outlet_retries_total", "Attempts after the first", "counter", offsetof<Outlet>("retries"));
  outlets(b, "mayfly_outlet_dead_total", "Sends that failed for good", "counter", offsetof<Outlet>("dead"));
  outlets(b, "mayfly_outlet_pending", "Sends not yet accepted by the peer", "gauge", offsetof<Outlet>("pending"));
  circuits(b);
  bare(b, "mayfly_http_connections_refused_total", "Connections refused over a limit", "counter", refusedConnections);
  bare(b, "mayfly_http_connections_open", "Connections of callers", "gauge", openConnections);
  bare(b, "mayfly_memory_budget_bytes", "The memory budget", "gauge", allBytes());
  bare(b, "mayfly_memory_taken_bytes", "Bytes of the memory budget in use", "gauge", allBytes() - freeBytes());
}
