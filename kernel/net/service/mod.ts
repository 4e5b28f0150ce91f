/**
 * The small gateway in the guest: requests become messages, messages become jobs for the host, effects become answers. http/ is below it,
 * drivers or a platform above.
 */
import { startBlocks } from "../blocks";
import { putNumber, putText } from "../bytes";
import { now, off } from "../host";
import { beginClosing, Client, Connection, connectionDue, listenForCallers, openConnections, startConnections } from "../http/mod";
import { listen } from "../streams";
import { remaining, take } from "../memory";
import { callTimer, connectionTimer, flowTimer, messageTimer, nextDue, pauseTimer, scheduleTimer, serviceTimer, setTimer, startTimers, takeDue, Timer } from "../timers";
import { startAdmission } from "./admit";
import { drainMs, healthPort, port, readService, Schedule, scheduleCount } from "./config";
import {
  bytesPerConnection, bytesPerMessage, callsUnderWay, configBytes, connections as mostConnections, leastConnections, messages as mostMessages, openTimers,
} from "./limits";
import { info, said, sayLine, startLog } from "./log";
import { FlowTimer, messageDue, timerDue } from "./machines";
import { Message, pending, startMessages } from "./message";
import { startMetrics } from "./metrics";
import { exchangeDue, Pause, pauseDue, startExchanges } from "./exchanges";
import { checkRoutes } from "./routes";
import { scheduleDue, startSchedules } from "./schedules";
import { complain, complainOfStart, fillIn, readSettings } from "./settings";
import { issuerDue, issuers, startIssuers } from "./tokens/issuers";
import { readRules } from "./tokens/rules";
import { takesTokens } from "./variant";

export { done, effectsBuffer, nextJob } from "./machines";
export { address, dns, gateway, onMissing, prefixBits } from "./settings";

/** Codes of `off`: a configuration that can't be served. */
const badConfiguration: u32 = 1;

let buffer: usize = 0;
let room: u32 = 0;
let hasService: bool = false;
let isStopping: bool = false;
let isOff: bool = false;

/** Room for a configuration, which stays where it is put; 0: it is too long. */
export function configBuffer(length: u32): usize {
  buffer = length > configBytes ? 0 : take(length);
  room = length;
  return buffer;
}

/** Kind 0: the service's frame; kind 1: config.json. 0, or 1 and the console says what is wrong. */
export function configure(kind: u32, length: u32): u32 {
  if (buffer === 0 || length > room) return complain("a configuration is too long"), 1;
  const at = buffer;
  buffer = 0;
  if (kind === 1) return readSettings(at, length) ? 0 : 1;
  if (kind !== 0 || hasService || !readService(at, length)) return complainOfStart("the service in this ELF is malformed: build it again"), 1;
  hasService = true;
  return 0;
}

/** Reads what start needs: called before the carrier of streams takes its memory. False: the machine ends, and the console says why. */
export function prepareService(): bool {
  if (!hasService) complainOfStart("there is no service in this ELF: build it with `mayfly build --target`");
  else if (!fillIn() || !readTokens()) {
    // said there
  } else if (!checkRoutes()) complainOfStart("a path of the service can't be served: parameters must be whole parts of it, and * its end");
  else if (!startLog()) complain("the address of the syslog server must be ADDRESS:PORT");
  else return true;
  end(badConfiguration);
  return false;
}

function readTokens(): bool {
  if (takesTokens) return readRules();
  return true;
}

function end(code: u32): void {
  isOff = true;
  off(code);
}

// @ts-ignore: decorator
@lazy const stop: Timer = changetype<Timer>(memory.data(16, 8));

/** Makes the tables in the memory that is left, and listens; false where that is too little. `streamNumbers`: the greatest number that a stream has. */
export function startService(streamNumbers: u32): bool {
  const bytes = remaining();
  const connections = max<u32>(min<u32>(bytes / bytesPerConnection, mostConnections), leastConnections);
  const messages = max<u32>(min<u32>(bytes / bytesPerMessage, mostMessages), leastConnections);
  const ofIssuers: u32 = takesTokens ? issuers : 0;
  const flowTimers = messages + openTimers + callsUnderWay, otherTimers = connections + messages + callsUnderWay + scheduleCount + ofIssuers + 1;
  if (
    startMetrics() && startConnections(min<u32>(connections, streamNumbers), streamNumbers) && startMessages(messages) && startTimers(flowTimers, otherTimers) &&
    startBlocks(remaining() - 64)
  ) {
    startAdmission();
    startExchanges();
    listenForCallers();
    listen(port);
    if (healthPort !== 0) listen(healthPort);
    startSchedules();
    if (takesTokens) startIssuers();
    return true;
  }
  complainOfStart("there is too little memory to serve: give the machine more");
  end(badConfiguration);
  return false;
}

/** Says where it serves, or that it has no address yet. Addresses are big-endian numbers; 0: none. */
export function sayAddress(own: u32): void {
  if (own === 0) putText(said, "there is no address yet: DHCP is asked for one");
  else {
    putText(said, "serving on port ");
    putNumber(said, port);
    for (let shift = 24; shift >= 0; shift -= 8) {
      putText(said, shift === 24 ? " at " : ".");
      putNumber(said, (own >> shift) & 255);
    }
  }
  sayLine(info, null);
}

/** Runs what is due; the time of the next call, u64.MAX_VALUE for never. */
export function runService(): u64 {
  const time = now();
  for (let timer = takeDue(time); timer !== null; timer = takeDue(time)) {
    switch (timer.kind) {
      case connectionTimer: connectionDue(changetype<Connection>(timer)); break;
      case messageTimer: messageDue(changetype<Message>(timer)); break;
      case flowTimer: timerDue(changetype<FlowTimer>(timer)); break;
      case callTimer: exchangeDue(changetype<Client>(timer)); break;
      case pauseTimer: pauseDue(changetype<Pause>(timer)); break;
      case scheduleTimer: scheduleDue(changetype<Schedule>(timer)); break;
      case serviceTimer: if (!isOff) end(0); break;
      default: if (takesTokens) issuerDue(changetype<usize>(timer));
    }
  }
  if (isStopping && !isOff && pending === 0 && openConnections === 0) end(0);
  return nextDue();
}

/** The power button, or SIGTERM: takes no new connection, finishes, and ends. */
export function button(): void {
  if (isStopping) return;
  isStopping = true;
  stop.kind = serviceTimer;
  setTimer(stop, now() + <u64>drainMs * 1000);
  beginClosing();
  listen(0);
  putText(said, "stopping");
  sayLine(info, null);
}
