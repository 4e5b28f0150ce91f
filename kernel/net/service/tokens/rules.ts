/**
 * Rules that a token must keep, as the service's frame has them (abi/service-token.ts): lines of a letter and a text.
 *
 *     i ISSUER   a AUDIENCE   s SCOPE   c NAME of a claim, then   v TEXT that it may have
 */
import { Bytes, drop, equal, put, putText } from "../../bytes";
import { take } from "../../memory";
import { firstWay, Outlet, Way } from "../config";
import { complain, isSendable, splitUrl } from "../settings";
import { tokenType } from "../variant";
import { firstIssuer, Issuer, newIssuer } from "./issuers";
import { startVerified } from "./known";
import { beginItems, find, findName, isArray, isObject, isString, nextItem, putString, valueAt, valueLength } from "./members";

const issuerRule: u32 = 105, audienceRule: u32 = 97, scopeRule: u32 = 115, claimRule: u32 = 99, valueRule: u32 = 118;

/** Reads the places of all issuers' keys; ways with the same URL share an issuer. */
export function readRules(): bool {
  for (let at = firstWay; at !== 0; at = changetype<Way>(at).next) {
    const way = changetype<Way>(at);
    if (way.type !== tokenType) continue;
    way.rules = issuerAt(way);
    if (way.rules === 0) return false;
  }
  return firstIssuer === 0 || startVerified() || (complain("there is no memory for the configuration"), false);
}

function issuerAt(way: Way): usize {
  for (let each = firstWay; each !== changetype<usize>(way); each = changetype<Way>(each).next) {
    const other = changetype<Way>(each);
    if (other.type === tokenType && equal(other.secret, other.secretLength, way.secret, way.secretLength)) return other.rules;
  }
  const at = take(offsetof<Outlet>());
  if (at === 0) return complain("there is no memory for the configuration"), 0;
  const place = changetype<Outlet>(at);
  place.host = way.secret;
  place.hostLength = way.secretLength;
  const isPlace = splitUrl(place) && isSendable(place.path, place.pathLength) && isSendable(place.host, place.hostLength);
  if (!isPlace) return complain("jwks must be http://host:port/path: a service by itself does no TLS, name a proxy that does"), 0;
  const issuer = newIssuer(at);
  if (issuer === 0) complain("there is no memory for the configuration");
  return issuer;
}

export function issuerOf(way: Way): Issuer { return changetype<Issuer>(way.rules); }

// ---- walking

let ruleAt: usize = 0, ruleLength: u32 = 0, ruleKind: u32 = 0;
let nextAt: usize = 0, endAt: usize = 0;

function beginRules(way: Way): void {
  nextAt = way.caller;
  endAt = way.caller + way.callerLength;
}

function nextRule(): bool {
  if (nextAt >= endAt) return false;
  ruleKind = load<u8>(nextAt);
  ruleAt = nextAt + 1;
  let to = ruleAt;
  while (to < endAt && load<u8>(to) !== 10) to++;
  ruleLength = <u32>(to - ruleAt);
  nextAt = to + 1;
  return true;
}

// @ts-ignore: decorator
@lazy const text: Bytes = changetype<Bytes>(memory.data(16, 8));

/** True if the value found last is a text that the rules of a kind have. */
function isAllowed(way: Way, kind: u32): bool {
  text.length = 0;
  if (!isString() || !putString(text)) return false;
  beginRules(way);
  while (nextRule()) if (ruleKind === kind && equal(text.at, text.length, ruleAt, ruleLength)) return true;
  return false;
}

/** True if the value found last is one of the issuers that a way takes tokens of. */
export function isIssuer(way: Way): bool {
  return isAllowed(way, issuerRule);
}

export function hasAudience(way: Way): bool {
  if (!find("aud")) return false;
  beginItems();
  while (nextItem()) if (isAllowed(way, audienceRule)) return true;
  return false;
}

/** Puts into `missing` the scope or the claim that the token lacks. */
export function keepsRules(way: Way, missing: Bytes): bool {
  beginRules(way);
  while (nextRule()) {
    if (ruleKind === scopeRule && !hasScope("scope") && !hasScope("scp")) {
      putText(missing, "the token lacks the scope ");
      put(missing, ruleAt, ruleLength);
      return false;
    }
    if (ruleKind === claimRule && !hasClaim()) {
      putText(missing, "the claim ");
      put(missing, ruleAt, ruleLength);
      putText(missing, " of the token is not among those allowed");
      return false;
    }
  }
  return true;
}

/** True if a claim has the scope of the rule: texts with spaces between scopes, or a list. */
function hasScope(name: string): bool {
  if (!find(name)) return false;
  const isList = isArray();
  beginItems();
  while (nextItem()) {
    text.length = 0;
    if (!isString() || !putString(text)) continue;
    if (isList ? equal(text.at, text.length, ruleAt, ruleLength) : hasWord()) return true;
  }
  return false;
}

/** True if one of the words in `text` is that of the rule. */
function hasWord(): bool {
  for (let from: u32 = 0; from < text.length; ) {
    let to = from;
    while (to < text.length && load<u8>(text.at + to) !== 32) to++;
    if (to > from && equal(text.at + from, to - from, ruleAt, ruleLength)) return true;
    from = to + 1;
  }
  return false;
}

/** True if the claim of the rule has one of the texts behind it. */
function hasClaim(): bool {
  if (!findName(ruleAt, ruleLength)) return false;
  const from = nextAt;
  const nameAt = ruleAt;
  const nameLength = ruleLength;
  let isFound = false;
  beginItems();
  while (!isFound && nextItem()) {
    if (!textOf()) continue;
    nextAt = from;
    while (nextRule() && ruleKind === valueRule) if (equal(text.at, text.length, ruleAt, ruleLength)) isFound = true;
  }
  nextAt = from; // the texts behind it are no rules of their own
  ruleAt = nameAt;
  ruleLength = nameLength;
  return isFound;
}

/** The value as a text: of a number its digits. */
function textOf(): bool {
  text.length = 0;
  if (isString()) return putString(text);
  if (isObject() || isArray() || load<u8>(valueAt) === 110) return false;
  put(text, valueAt, valueLength);
  return !text.broken;
}

export function dropRules(): void { drop(text); }
