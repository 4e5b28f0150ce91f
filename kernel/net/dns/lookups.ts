/** A bounded cache of names, and lookups that wait for them. Ids and ports of queries are random, and new for every try. */
import { now, random } from "../host";
import { resolved } from "../names";
import { dnsInterval, dnsTries, failedTtl, knownNames, lookups } from "./limits";
import { copyName, answerAddress, answerTtl, found, noAddress, notOurs, readAnswer, readQuad, writeQuery } from "./message";

type Ask = (at: usize, length: u32) => u32;
type Forget = (port: u32) => void;

/** Sends a query to the DNS server, from a port that nobody can guess. Returns the number that its answer comes with; 0: it can't be sent now. */
let sendQuery: Ask = (_at: usize, _length: u32): u32 => 0;
/** No answer is waited for under that number any more. */
let forgetQuery: Forget = (_port: u32): void => {};

/** Registers who carries queries: stack/ on metal, sockets/ on Linux. */
export function carryQueries(send: Ask, forget: Forget): void {
  sendQuery = send;
  forgetQuery = forget;
}

const never: u64 = u64.MAX_VALUE, second: u64 = 1_000_000;
// @ts-ignore: decorator
@lazy const query: usize = memory.data(512, 8);
// @ts-ignore: decorator
@lazy const drawn: usize = memory.data(4, 4);

const enum State { free = 0, asked = 1, known = 2 }

@unmanaged
class Name {
  state: u32;
  /** 0 in state known: it has no address. */
  address: u32;
  id: u32;
  /** Number of the query that is under way; 0: none. */
  port: u32;
  tries: u32;
  length: u32;
  /** Of the next try, or the end of what is known. */
  dueAt: u64;
  usedAt: u64;
}

const nameBytes: u32 = offsetof<Name>() + 256;
// @ts-ignore: decorator
@lazy const table: usize = memory.data(32 * 296, 8);
/** Lookups: 1 + number of the name u32 (0: free; 0xffffffff: answered with the address), ask u32, address u32, unused u32. */
// @ts-ignore: decorator
@lazy const waiting: usize = memory.data(256 * 16, 8);
// @ts-ignore: decorator
@lazy const lower: usize = memory.data(256, 8);
let lookupCount: u32 = 0, askedCount: u32 = 0;
const answered: u32 = 0xffffffff;

function nameAt(index: u32): Name { return changetype<Name>(table + index * nameBytes); }
function textOf(name: Name): usize { return changetype<usize>(name) + offsetof<Name>(); }

function wait(what: u32, ask: u32, value: u32): bool {
  for (let index: u32 = 0; index < lookups; index++) {
    const at = waiting + (index << 4);
    if (load<u32>(at) !== 0) continue;
    store<u32>(at, what);
    store<u32>(at, ask, 4);
    store<u32>(at, value, 8);
    lookupCount++;
    return true;
  }
  return false;
}

/** The entry of a name that is known or asked for, a free one, or that used least recently; -1 when all are asked for. */
function entryFor(length: u32): i32 {
  let best: i32 = -1;
  for (let index: u32 = 0; index < knownNames; index++) {
    const name = nameAt(index);
    if (name.state !== State.free && name.length === length && memory.compare(textOf(name), lower, length) === 0) return index;
    if (name.state === State.asked) continue;
    if (best < 0 || (nameAt(best).state !== State.free && (name.state === State.free || name.usedAt < nameAt(best).usedAt))) best = index;
  }
  return best;
}

function ask(name: Name): void {
  forget(name);
  name.tries++;
  random(<u32>drawn, 4);
  name.id = load<u16>(drawn);
  name.dueAt = now() + (dnsInterval << (name.tries - 1));
  name.port = sendQuery(query, writeQuery(query, name.id, textOf(name), name.length));
}

function forget(name: Name): void {
  if (name.port !== 0) forgetQuery(name.port);
  name.port = 0;
}

/** Names a lookup whose answer comes from a poll; false: there is no room, or it is no name. */
export function resolve(at: usize, length: u32, token: u32): bool {
  const time = now();
  const quad = readQuad(at, length);
  if (quad !== 0) return wait(answered, token, quad);
  const size = copyName(lower, at, length);
  if (size === 0 || lookupCount >= lookups) return false;
  const index = entryFor(size);
  if (index < 0) return false;
  const name = nameAt(index);
  const same = name.state !== State.free && name.length === size && memory.compare(textOf(name), lower, size) === 0;
  name.usedAt = time;
  if (same && name.state === State.known && name.dueAt > time) return wait(answered, token, name.address);
  if (!same || name.state === State.known) {
    memory.copy(textOf(name), lower, size);
    name.length = size;
    name.state = State.asked;
    name.address = 0;
    name.tries = 0;
    askedCount++;
    ask(name);
  }
  return wait(index + 1, token, 0);
}

function conclude(index: u32, value: u32, seconds: u32): void {
  const name = nameAt(index);
  forget(name);
  name.state = State.known;
  name.address = value;
  name.dueAt = now() + <u64>seconds * second;
  askedCount--;
  for (let each: u32 = 0; each < lookups; each++) {
    const at = waiting + (each << 4);
    if (load<u32>(at) !== index + 1) continue;
    store<u32>(at, answered);
    store<u32>(at, value, 8);
  }
}

/** A datagram from the DNS server's port 53, to the query of that number. */
export function receiveDns(toPort: u32, at: usize, length: u32): void {
  if (askedCount === 0) return;
  for (let index: u32 = 0; index < knownNames; index++) {
    const name = nameAt(index);
    if (name.state !== State.asked || name.port !== toPort) continue;
    const outcome = readAnswer(at, length, name.id, textOf(name), name.length);
    if (outcome === notOurs) continue;
    if (outcome === found) conclude(index, answerAddress, answerTtl);
    else if (outcome === noAddress) conclude(index, 0, failedTtl);
    else name.dueAt = now(); // the server could not: the next try
    return;
  }
}

/** True for a port that a query was sent from. */
export function expectsDns(toPort: u32): bool {
  for (let index: u32 = 0; askedCount !== 0 && index < knownNames; index++)
    if (nameAt(index).state === State.asked && nameAt(index).port === toPort) return true;
  return false;
}

function tell(): void {
  for (let index: u32 = 0; index < lookups; index++) {
    const at = waiting + (index << 4);
    if (load<u32>(at) !== answered) continue;
    store<u32>(at, 0);
    lookupCount--;
    resolved(load<u32>(at, 4), load<u32>(at, 8));
  }
}

/** Tries again, gives up, and tells what is known. */
export function runDns(): void {
  const time = now();
  for (let index: u32 = 0; askedCount !== 0 && index < knownNames; index++) {
    const name = nameAt(index);
    if (name.state !== State.asked || name.dueAt > time) continue;
    if (name.tries < dnsTries) ask(name);
    else conclude(index, 0, failedTtl);
  }
  if (lookupCount !== 0) tell();
}

/** The time of the next call of `runDns`. */
export function dnsDue(): u64 {
  for (let index: u32 = 0; lookupCount !== 0 && index < lookups; index++) if (load<u32>(waiting + (index << 4)) === answered) return 0;
  let next = never;
  for (let index: u32 = 0; askedCount !== 0 && index < knownNames; index++)
    if (nameAt(index).state === State.asked) next = min(next, nameAt(index).dueAt);
  return next;
}
