/**
 * A platform that is compromised from the start, for tests: locked down like the real one, it makes whatever system call it is
 * told, or writes to whatever address.
 *
 *   request  u64 number │ u64 arguments[6]        number `poke`: write the byte arguments[1] to arguments[0]
 *   answer   i64 result, if it lives
 */
import { address, call, exit, receive, send, write8 } from "../cpu";
import { lockDown } from "../lockdown";
import { imageBytes, rememberImage } from "../pristine";

const poke: u64 = 0xffff_ffff;
const wordBytes: u32 = 56;
// @ts-ignore: decorator
@lazy const words: usize = memory.data(64, 8);

function word(index: u32): u64 {
  return load<u64>(words + (<usize>index << 3));
}

export function interrupt(): i32 {
  return 0;
}

export function main(): void {
  rememberImage();
  lockDown(imageBytes());
  for (let got: u64 = 0; got < wordBytes; ) got += receive(address(words) + got, wordBytes - got);
  let result: i64 = 0;
  if (word(0) === poke) write8(word(1), <u32>word(2));
  else result = call(<i32>word(0), word(1), word(2), word(3), word(4), word(5), word(6));
  store<i64>(words, result);
  send(address(words), 8);
  exit(0);
}
