/**
 * Tokens of callers (RFC 7519, RFC 6750), with the answers of gateway/contract/http/tokens.ts: what costs little is looked at first, and a
 * signature is verified once.
 *
 *     parts ─▶ claims are JSON, of an issuer ─▶ header: algorithm, no `crit` ─▶ key ─▶ claims: audience, times ─▶ signature ─▶ scopes, claims
 *
 * The algorithm must be one of the way's, and the key's kind must be that of the algorithm: a token chooses neither.
 */
import { Bytes, clear, drop, putText } from "../../bytes";
import { wall } from "../../host";
import { Connection, putLine } from "../../http/mod";
import { putBearer, setHolder } from "../auth";
import { firstWay, Way } from "../config";
import { detail, extra, sendProblem } from "../problems";
import { tokenType } from "../variant";
import { askAgain, isFresh } from "./issuers";
import { algorithmOf, candidates, Key, keyFor } from "./keys";
import { isKnown, mayVerify, remember, verified } from "./known";
import { dropMembers, find, isNumber, isString, numberOf, putString, readObject } from "./members";
import { dropRules, hasAudience, isIssuer, issuerOf, keepsRules } from "./rules";
import { putBase64Url } from "./text";
import { noRoomToVerify, signatureRight, verify } from "./verify";

/** Results, from the one that says least. */
const right: u32 = 0, invalid: u32 = 1, expired: u32 = 2, forbidden: u32 = 3, keysAway: u32 = 4, keysComing: u32 = 5, busy: u32 = 6, noMemory: u32 = 7;

// @ts-ignore: decorator
@lazy const token: Bytes = changetype<Bytes>(memory.data(16, 8));
// @ts-ignore: decorator
@lazy const header: Bytes = changetype<Bytes>(memory.data(16, 8));
/** They stay until the next token: the message is made with them. */
// @ts-ignore: decorator
@lazy const payload: Bytes = changetype<Bytes>(memory.data(16, 8));
// @ts-ignore: decorator
@lazy const subject: Bytes = changetype<Bytes>(memory.data(16, 8));
// @ts-ignore: decorator
@lazy const signature: Bytes = changetype<Bytes>(memory.data(16, 8));
// @ts-ignore: decorator
@lazy const kid: Bytes = changetype<Bytes>(memory.data(16, 8));
/** The reason why a token is forbidden. */
// @ts-ignore: decorator
@lazy const missing: Bytes = changetype<Bytes>(memory.data(16, 8));
let firstDot: u32 = 0, secondDot: u32 = 0;
/** The reason in jose's words. */
let reason: string = "";

/** Judges the token in the head of the request that head.ts has. False: it has been answered. */
export function judge(c: Connection, group: u32): bool {
  drop(payload);
  drop(subject);
  clear(token);
  putBearer(token);
  const result = token.broken ? noMemory : judgeFor(group);
  drop(token);
  drop(header);
  drop(signature);
  drop(kid);
  dropMembers();
  dropRules();
  if (result === right) {
    setHolder(subject.at, subject.length, payload.at, payload.length);
    return true;
  }
  drop(payload);
  answer(c, result);
  return false;
}

function answer(c: Connection, result: u32): void {
  if (result <= expired) {
    if (result === expired) putText(detail, "the token has expired");
    else {
      putText(detail, "the token is not valid here (");
      putText(detail, reason);
      putText(detail, ")");
    }
    putLine(extra, "www-authenticate", "Bearer realm=\"mayfly\", error=\"invalid_token\"");
    return sendProblem(c, 401, "MF_TOKEN_INVALID");
  }
  if (result === forbidden) {
    detail.at = missing.at;
    detail.length = missing.length;
    detail.room = missing.room;
    clear(missing);
    putLine(extra, "www-authenticate", "Bearer realm=\"mayfly\", error=\"insufficient_scope\"");
    return sendProblem(c, 403, "MF_FORBIDDEN");
  }
  putLine(extra, "retry-after", result === keysAway ? "5" : "1");
  if (result === busy) {
    putText(detail, "too many tokens that are not known yet have to be verified: try again later");
    return sendProblem(c, 503, "MF_TOKENS_BUSY");
  }
  if (result === noMemory) {
    putText(detail, "the gateway is out of memory for messages: try again later");
    return sendProblem(c, 503, "MF_MEMORY_BUSY");
  }
  putText(detail, result === keysComing ? "the keys of the token's issuer are being fetched: try again" : "the keys of the token's issuer can't be fetched at the moment: try again later");
  sendProblem(c, 503, "MF_JWKS_UNAVAILABLE");
}

function because(why: string): u32 {
  reason = why;
  return invalid;
}

/** Of several ways the answer that says most. */
function judgeFor(group: u32): u32 {
  if (!split() || !putBase64Url(payload, token.at + firstDot + 1, secondDot - firstDot - 1)) return because("ERR_JWT_CLAIM_VALIDATION_FAILED");
  let result = right;
  for (let each = firstWay; each !== 0; each = changetype<Way>(each).next) {
    const way = changetype<Way>(each);
    if (way.group !== group || way.type !== tokenType) continue;
    if (!readObject(payload.at, payload.length) || !find("iss") || !isIssuer(way)) continue;
    const found = judgeWay(way);
    if (found === right) return right;
    if (result === right || found > expired) result = found;
  }
  return result === right ? because("ERR_JWT_CLAIM_VALIDATION_FAILED") : result;
}

function split(): bool {
  let dots: u32 = 0;
  for (let index: u32 = 0; index < token.length; index++) {
    if (load<u8>(token.at + index) !== 46) continue;
    if (dots++ === 0) firstDot = index;
    else secondDot = index;
  }
  return dots === 2;
}

function judgeWay(way: Way): u32 {
  header.length = 0;
  if (!putBase64Url(header, token.at, firstDot) || !readObject(header.at, header.length) || find("crit")) return because("ERR_JWS_INVALID");
  if (!find("alg") || !isString()) return because("ERR_JWS_INVALID");
  const algorithm = algorithmOf();
  if (((way.form >> algorithm) & 1) === 0) return because("ERR_JOSE_ALG_NOT_ALLOWED");
  const hasKid = find("kid");
  kid.length = 0;
  if (hasKid && (!isString() || !putString(kid))) return because("ERR_JWKS_NO_MATCHING_KEY");
  const issuer = issuerOf(way);
  if (!isFresh(issuer)) return keysAway;
  const found = keyFor(issuer.keys, algorithm, hasKid, kid.at, kid.length);
  if (candidates === 0) return askAgain(issuer) ? keysComing : because("ERR_JWKS_NO_MATCHING_KEY");
  if (candidates > 1) return because("ERR_JWKS_MULTIPLE_MATCHING_KEYS");
  const key = changetype<Key>(found);
  if (key.data === 0) return keysAway;
  const claims = judgeClaims(way);
  if (claims !== right) return claims;
  const signed = judgeSignature(key, algorithm, issuer.generation);
  if (signed !== right) return signed;
  return judgeRules(way);
}

/** Audience and times: whoever has a token can read them, so nothing is told that was not known. */
function judgeClaims(way: Way): u32 {
  if (!readObject(payload.at, payload.length)) return because("ERR_JWT_INVALID");
  if (!hasAudience(way)) return because("ERR_JWT_CLAIM_VALIDATION_FAILED");
  const seconds = Math.floor(wall() / 1000);
  const tolerance = <f64>way.toleranceMs / 1000;
  if (find("iat") && !isNumber()) return because("ERR_JWT_CLAIM_VALIDATION_FAILED");
  if (find("nbf") && (!isNumber() || numberOf() > seconds + tolerance)) return because("ERR_JWT_CLAIM_VALIDATION_FAILED");
  if (!find("exp") || !isNumber()) return because("ERR_JWT_CLAIM_VALIDATION_FAILED");
  return numberOf() <= seconds - tolerance ? expired : right;
}

function judgeSignature(key: Key, algorithm: u32, generation: u32): u32 {
  signature.length = 0;
  if (!putBase64Url(signature, token.at + secondDot + 1, token.length - secondDot - 1)) return because("ERR_JWS_INVALID");
  if (isKnown(token.at, token.length, generation)) return right;
  if (!mayVerify()) return busy;
  const found = verify(algorithm, key.data, key.size, token.at, secondDot, signature.at, signature.length);
  verified();
  if (found === noRoomToVerify) return noMemory;
  if (found !== signatureRight) return because("ERR_JWS_SIGNATURE_VERIFICATION_FAILED");
  remember(generation);
  return right;
}

function judgeRules(way: Way): u32 {
  drop(missing);
  if (!keepsRules(way, missing)) return forbidden;
  subject.length = 0;
  if (find("sub") && isString() && !putString(subject)) return noMemory;
  return right;
}
