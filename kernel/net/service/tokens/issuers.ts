/**
 * Sets of keys of issuers: fetched at start, by age, and when a token names a key that is not among them.
 *
 *     waiting ─▶ resolving ─▶ fetching ─▶ waiting
 *
 * Keys of before go on while the issuer does not answer, until they are too old. No token waits for a fetch.
 */
import { digest } from "../../../native/digest";
import { Bytes, clear, drop, put, putByte, putNumber, putText } from "../../bytes";
import { now } from "../../host";
import { answerOf, Client, exchanges, newClient, noRoom, startClient, tooBig, unreached } from "../../http/mod";
import { resolve } from "../../names";
import { take } from "../../memory";
import { clearTimer, keysTimer, setTimer, Timer } from "../../timers";
import { Outlet } from "../config";
import { callsUnderWay } from "../limits";
import { beginLine, endLine, error, putTextMember, said } from "../log";
import { putBase64 } from "../requests";
import { firstKey, freeKeys, readKeys } from "./keys";
import { cooldownUs, fetchUs, freshUs, keysBytes, leastRetryUs, mostRetryUs, refreshUs, repeatedLogUs } from "./limits";

/** Questions for names with this bit are the issuers'. */
const keysAsk: u32 = 0x80000000;
const waiting: u32 = 0, resolving: u32 = 1, fetching: u32 = 2;

/** Begins with a timer: of the next fetch, or of waiting for a name. */
@unmanaged
export class Issuer extends Timer {
  next: usize = 0;
  /** The URL, taken apart as an outlet's. */
  url: usize = 0;
  state: u32 = 0;
  ask: u32 = 0;
  keys: usize = 0;
  hasKeys: bool = false;
  /** Counts the sets of all issuers. */
  generation: u32 = 0;
  failures: u32 = 0;
  /** `now()` when its keys came, when a fetch began, and when a failure was logged. */
  atUs: u64 = 0;
  beganUs: u64 = 0;
  loggedUs: u64 = 0;
  /** The request; and SHA-256 of the set. */
  head: usize = 0;
  headLength: u32 = 0;
  hash: usize = 0;
}

export let firstIssuer: usize = 0;
/** Each has a timer. */
export let issuers: u32 = 0;
let asks: u32 = 0;
let generations: u32 = 0;
// @ts-ignore: decorator
@lazy const hash: usize = memory.data(32, 16);
// @ts-ignore: decorator
@lazy const head: Bytes = changetype<Bytes>(memory.data(16, 8));

/** An issuer whose keys are at a place; 0 without memory. */
export function newIssuer(place: usize): usize {
  const at = take(offsetof<Issuer>());
  if (at === 0) return 0;
  const issuer = changetype<Issuer>(at);
  issuer.kind = keysTimer;
  issuer.url = place;
  issuer.hash = take(32);
  issuer.next = firstIssuer;
  firstIssuer = at;
  issuers++;
  return issuer.hash === 0 ? 0 : at;
}

export function startIssuers(): void {
  for (let at = firstIssuer; at !== 0; at = changetype<Issuer>(at).next) setTimer(changetype<Issuer>(at), now());
}

/** True while its keys may be used. */
export function isFresh(issuer: Issuer): bool {
  return issuer.hasKeys && now() - issuer.atUs < freshUs;
}

/** A token names a key that is not in the set. True: the set is being fetched. */
export function askAgain(issuer: Issuer): bool {
  if (issuer.state !== waiting) return true;
  if (issuer.beganUs !== 0 && now() - issuer.beganUs < cooldownUs) return false;
  fetch(issuer);
  return true;
}

export function issuerDue(at: usize): void {
  const issuer = changetype<Issuer>(at);
  if (issuer.state === waiting) fetch(issuer);
  else failed(issuer, "the name of its host has no address, or the DNS server does not answer");
}

function fetch(issuer: Issuer): void {
  const place = changetype<Outlet>(issuer.url);
  issuer.beganUs = now();
  issuer.state = resolving;
  issuer.ask = keysAsk | (++asks & 0x7fffffff);
  setTimer(issuer, now() + fetchUs);
  if (!resolve(place.host, place.hostLength, issuer.ask)) failed(issuer, "its name can't be looked up now");
}

export function issuerNamed(ask: u32, address: u32): void {
  let at = firstIssuer;
  while (at !== 0 && changetype<Issuer>(at).ask !== ask) at = changetype<Issuer>(at).next;
  if (at === 0 || changetype<Issuer>(at).state !== resolving) return;
  const issuer = changetype<Issuer>(at);
  const place = changetype<Outlet>(issuer.url);
  issuer.ask = 0;
  if (address === 0) return failed(issuer, "the name of its host has no address, or the DNS server does not answer");
  if (issuer.headLength === 0 && !makeHead(issuer, place)) return failed(issuer, "there is no memory for a request");
  const client = exchanges < callsUnderWay ? newClient(at) : null;
  if (client === null) return failed(issuer, "too many requests to outlets are under way");
  client.isOfKeys = true;
  client.headAt = issuer.head;
  client.headLength = issuer.headLength;
  client.most = client.kept = keysBytes;
  if (!startClient(client, address, place.port, fetchUs)) return failed(issuer, "there is no connection left");
  clearTimer(issuer);
  issuer.state = fetching;
}

function makeHead(issuer: Issuer, place: Outlet): bool {
  clear(head);
  putText(head, "GET ");
  put(head, place.path, place.pathLength);
  putText(head, " HTTP/1.1\r\nhost: ");
  put(head, place.host, place.hostLength);
  if (place.port !== 80) {
    putByte(head, 58);
    putNumber(head, place.port);
  }
  putText(head, "\r\naccept: application/json, application/jwk-set+json\r\n");
  if (place.basic !== 0) {
    putText(head, "authorization: Basic ");
    putBase64(head, place.basic, place.basicLength);
    putText(head, "\r\n");
  }
  putText(head, "connection: close\r\n\r\n");
  if (head.broken) return drop(head), false;
  issuer.head = head.at; // kept: it is the same each time
  issuer.headLength = head.length;
  return true;
}

/** The end of a fetch. */
export function issuerFetched(owner: usize, clientAt: usize, why: u32): void {
  const issuer = changetype<Issuer>(owner);
  if (clientAt === 0) return failed(issuer, "it did not answer in time");
  const client = changetype<Client>(clientAt);
  client.owner = 0;
  if (why === unreached) return failed(issuer, "no connection");
  if (why === tooBig) return failed(issuer, "its answer is longer than a set of keys may be");
  if (why === noRoom) return failed(issuer, "there is no memory for its answer");
  if (why !== 0) return failed(issuer, "its answer broke off, or is not HTTP/1.1");
  if (client.status !== 200) return failed(issuer, "its answer has another status than 200");
  const answer = answerOf(client);
  digest(256, answer.at, answer.length, hash);
  if (!issuer.hasKeys || memory.compare(hash, issuer.hash, 32) !== 0) {
    if (!readKeys(answer.at, answer.length)) return failed(issuer, "its answer is not a JSON Web Key Set");
    freeKeys(issuer.keys);
    issuer.keys = firstKey;
    issuer.generation = ++generations;
    memory.copy(issuer.hash, hash, 32);
  }
  issuer.hasKeys = true;
  issuer.atUs = now();
  issuer.failures = 0;
  issuer.state = waiting;
  setTimer(issuer, now() + refreshUs);
}

function failed(issuer: Issuer, why: string): void {
  issuer.state = waiting;
  issuer.ask = 0;
  let wait = leastRetryUs;
  for (let index: u32 = 0; index < issuer.failures && wait < mostRetryUs; index++) wait *= 2;
  issuer.failures++;
  setTimer(issuer, now() + min<u64>(wait, mostRetryUs));
  if (issuer.loggedUs !== 0 && now() - issuer.loggedUs < repeatedLogUs) return;
  issuer.loggedUs = now();
  if (!beginLine(error, null)) return;
  putTextMember("code", "MF_JWKS_UNAVAILABLE");
  const place = changetype<Outlet>(issuer.url);
  put(said, place.host, place.hostLength);
  putText(said, " gave no keys: ");
  putText(said, why);
  putText(said, ": check jwks");
  endLine(error, said.at, said.length);
  drop(said);
}
