/**
 * The cost of verifying. Tokens with a right signature are remembered by their hash until the issuer's keys change; all others together get a share
 * of the processor. So a flood of wrong tokens holds up neither other work nor callers that are known.
 */
import { digest } from "../../../native/digest";
import { now } from "../../host";
import { take } from "../../memory";
import { tokensKnown, verifyCreditUs } from "./limits";

// A row: SHA-256 of the token, 32 bytes │ generation of the keys u32, 0: the row is empty │ 12 bytes unused
const rowBytes: u32 = 48;
let rows: usize = 0;
// @ts-ignore: decorator
@lazy const hash: usize = memory.data(32, 16);

let creditUs: i64 = verifyCreditUs;
let creditAtUs: u64 = 0;
let beganUs: u64 = 0;

export function startVerified(): bool {
  rows = take(rowBytes * tokensKnown);
  return rows !== 0;
}

function rowOf(): usize { return rows + rowBytes * (load<u32>(hash) % tokensKnown); }

/** True if this token was verified with these keys. */
export function isKnown(token: usize, length: u32, generation: u32): bool {
  digest(256, token, length, hash);
  const row = rowOf();
  return load<u32>(row, 32) === generation && memory.compare(row, hash, 32) === 0;
}

/** The token that `isKnown` was asked for last was verified. */
export function remember(generation: u32): void {
  const row = rowOf();
  memory.copy(row, hash, 32);
  store<u32>(row, generation, 32);
}

/** False while verifying has used up its share. */
export function mayVerify(): bool {
  beganUs = now();
  const passed = <i64>min<u64>((beganUs - creditAtUs) >> 1, <u64>verifyCreditUs * 2);
  creditUs = min<i64>(creditUs + passed, verifyCreditUs);
  creditAtUs = beganUs;
  return creditUs > 0;
}

/** The time since `mayVerify` was verifying's. */
export function verified(): void {
  creditUs -= <i64>(now() - beganUs);
}
