/**
 * JSON's numbers: the digits as an integer below 2^53, multiplied or divided by a power of ten that is a double, are rounded once and so
 * rightly (W. D. Clinger, "How to read floating point numbers accurately"); what does not fit goes to the engine.
 */
import { Context, float64Value } from "./engine";
import { isDigit } from "./json-scan";
import { push, pushMade, slice } from "./json-values";

/** The powers of ten that are doubles. */
// @ts-ignore: decorator
@lazy const powers: usize = memory.data<f64>([
  1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22,
]);
const mostPower: i32 = 22;
/** Up to here every integer is a double. */
const mostMantissa: u64 = 1 << 53;
/** So many digits fit into 64 bits. */
const mostDigits: usize = 19;

/** Pushes the number that begins at `from`. */
export function parseNumber(here: Context, from: usize): usize {
  let at = from;
  let byte = <u32>load<u8>(at);
  const negative = byte === 0x2d;
  if (negative) byte = load<u8>(++at);
  if (!isDigit(byte)) return 0;
  const first = at;
  let mantissa: u64 = 0;
  do {
    mantissa = mantissa * 10 + <u64>(byte - 0x30);
    byte = load<u8>(++at);
  } while (isDigit(byte));
  let digits = at - first;
  if (digits > 1 && load<u8>(first) === 0x30) return 0;
  if (byte !== 0x2e && (byte | 0x20) !== 0x65) {
    if (mantissa <= 0x7fffffff && digits <= mostDigits && !(negative && mantissa === 0))
      return push(here, <u64>(<u32>(negative ? -(<i32>mantissa) : <i32>mantissa)), at);
    return pushDouble(here, from, at, negative, mantissa, digits, 0);
  }
  let power: i32 = 0;
  if (byte === 0x2e) {
    byte = load<u8>(++at);
    if (!isDigit(byte)) return 0;
    const point = at;
    do {
      mantissa = mantissa * 10 + <u64>(byte - 0x30);
      byte = load<u8>(++at);
    } while (isDigit(byte));
    digits += at - point;
    power = -(<i32>(at - point));
  }
  if ((byte | 0x20) === 0x65) {
    byte = load<u8>(++at);
    const minus = byte === 0x2d;
    if (minus || byte === 0x2b) byte = load<u8>(++at);
    if (!isDigit(byte)) return 0;
    let exponent: i32 = 0;
    do {
      if (exponent < 10_000) exponent = exponent * 10 + <i32>(byte - 0x30);
      byte = load<u8>(++at);
    } while (isDigit(byte));
    power += minus ? -exponent : exponent;
  }
  return pushDouble(here, from, at, negative, mantissa, digits, power);
}

/** Pushes ±mantissa × 10^power, the number that stands from `from` to `to`. */
// @ts-ignore: decorator
@inline
function pushDouble(here: Context, from: usize, to: usize, negative: bool, mantissa: u64, digits: usize, power: i32): usize {
  if (digits > mostDigits || mantissa > mostMantissa || power < -mostPower || power > mostPower) return pushMade(here, slice(here, from, to), to);
  const whole = <f64>mantissa;
  const size = power < 0 ? whole / load<f64>(powers + (<usize>-power << 3)) : whole * load<f64>(powers + (<usize>power << 3));
  return push(here, float64Value(negative ? -size : size), to);
}
