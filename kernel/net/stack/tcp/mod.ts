/** TCP: the table of connections between the network and streams.ts. */
import * as streams from "../../streams";
import { blockBytes, bytesPerConnection, leastConnections, mostConnections } from "../limits";
import { startBlocks } from "./blocks";
import { connect, listen } from "./open";
import { bucketsFor, startTable, tcbBytes } from "./tcb";
import { abort, finish, localPort, push, resume, roomOf, startReady, write } from "./user";

export { receiveError, receiveTcp } from "./input";
export { runTcp, tcpDue } from "./run";
export { usedCount } from "./tcb";
export { freeBlocks, allBlocks } from "./blocks";
export { halfOpenCount, halfOpenDue, runHalfOpen } from "./halfopen";

/** Divides `bytes` zeroed bytes at `at` between connections and blocks. */
export function startTcp(at: usize, bytes: u32): void {
  const connections = max(leastConnections, min(mostConnections, bytes / bytesPerConnection));
  const buckets = bucketsFor(connections), words = (connections + 63) >> 6;
  let next = at;
  startTable(next, next + connections * tcbBytes, connections);
  next += connections * tcbBytes + buckets * 2;
  next = (next + 7) & ~7;
  startReady(next, words);
  next += words << 3;
  const left = <u32>(at + bytes - next);
  const blocks = min<u32>(left / (blockBytes + 2), 0xffff);
  startBlocks(next + ((blocks * 2 + 15) & ~15), next, blocks - 1);
  streams.carryWrite(write);
  streams.carryPush(push);
  streams.carryResume(resume);
  streams.carryFinish(finish);
  streams.carryAbort(abort);
  streams.carryConnect(connect);
  streams.carryLocalPort(localPort);
  streams.carryRoom(roomOf);
  streams.carryListen(listen);
}
