/**
 * Values as plain text in the outbox, for csv-write.ts and xml-write.ts: UTF-8 without escapes, which those put in afterwards. As in json-write.ts, `at` is
 * the address to write to, and 0 says that there is nothing to write any more: given up or, with `hasFailed`, because an exception stands.
 */
import { Context, float64Of, isFloat64, JS_FreeValue, JSValue, tagBool, tagInt, tagOf, tagRope, tagString } from "./engine";
import { room, stringOf, stringValue, writeDouble, writeInt32 } from "./json-write";
import { sliceStart, stringCharacters, stringHash, stringIsSlice, stringKind } from "./objects";
import { fourBytes, isLow, threeBytes, twoBytes } from "./utf8";

/** The places behind characters of 8 and of 16 bits; there is room for three bytes a character. */
function putNarrow(at: usize, from: usize, end: usize): usize {
  let to = at;
  let here = from;
  for (; here + 8 <= end; here += 8) {
    const word = load<u64>(here);
    if ((word & 0x8080808080808080) !== 0) break;
    store<u64>(to, word);
    to += 8;
  }
  for (; here < end; here++) {
    const character = <u32>load<u8>(here);
    if (character < 0x80) store<u8>(to++, <u8>character);
    else {
      store<u16>(to, twoBytes(character));
      to += 2;
    }
  }
  return to;
}

/** Gives up on half a surrogate pair. */
function putWide(at: usize, from: usize, end: usize): usize {
  let to = at;
  for (let here = from; here < end; here += 2) {
    const unit = <u32>load<u16>(here);
    if (unit < 0x80) store<u8>(to++, <u8>unit);
    else if (unit < 0x800) {
      store<u16>(to, twoBytes(unit));
      to += 2;
    } else if ((unit & 0xf800) !== 0xd800) {
      store<u32>(to, threeBytes(unit));
      to += 3;
    } else {
      const next = here + 2 < end ? <u32>load<u16>(here, 2) : 0;
      if (unit > 0xdbff || !isLow(next)) return 0;
      store<u32>(to, fourBytes(unit, next));
      to += 4;
      here += 2;
    }
  }
  return to;
}

/** Writes the characters of the engine's string. */
export function putString(given: usize, text: usize): usize {
  const header = load<u32>(text);
  const length = header & 0x7fffffff;
  const at = room(given, length * 3);
  if (at === 0) return 0;
  let from = text + stringCharacters;
  const kind = load<u32>(text, stringHash) & stringKind;
  if (kind !== 0) {
    if (kind !== stringIsSlice) return 0;
    from = <usize>load<u32>(text, stringCharacters) + stringCharacters + load<u32>(text, sliceStart);
  }
  return header === length ? putNarrow(at, from, from + length) : putWide(at, from, from + (length << 1));
}

/** Writes a text, a finite number or a boolean; gives up on anything else. */
export function putScalar(here: Context, given: usize, value: JSValue): usize {
  const tag = tagOf(value);
  if (tag === tagString) return putString(given, <u32>value);
  const at = room(given, 0);
  if (at === 0) return 0;
  if (tag === tagInt) return writeInt32(at, <i32>value);
  if (isFloat64(value)) return abs(float64Of(value)) < Infinity ? writeDouble(here, at, float64Of(value)) : 0;
  if (tag === tagBool) {
    store<u64>(at, <i32>value !== 0 ? 0x65757274 : 0x65736c6166);
    return at + (<i32>value !== 0 ? 4 : 5);
  }
  if (tag !== tagRope) return 0;
  const text = stringOf(here, value);
  if (text === 0) return 0;
  const end = putString(at, text);
  JS_FreeValue(here, stringValue(text));
  return end;
}
