/** Dates, as HTTP writes them (RFC 9110, 5.6.7) and as logs do (RFC 3339). Years from 1970 to 9999. */
import { Bytes, putPadded, putText, putByte } from "../bytes";

let year: u32 = 0;
/** Of the date that was set last, from 1. */
export let month: u32 = 0, day: u32 = 0;

/** Days since 1970 as a date: years begin in March, so that leap days come last. */
export function setDate(days: u32): void {
  const shifted = days + 719_468;
  const era = shifted / 146_097;
  const ofEra = shifted % 146_097;
  const yearOfEra = (ofEra - ofEra / 1460 + ofEra / 36_524 - ofEra / 146_096) / 365;
  const ofYear = ofEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100);
  const fromMarch = (5 * ofYear + 2) / 153;
  day = ofYear - (153 * fromMarch + 2) / 5 + 1;
  month = fromMarch < 10 ? fromMarch + 3 : fromMarch - 9;
  year = yearOfEra + era * 400 + (month <= 2 ? 1 : 0);
}

/** Milliseconds since 1970 within the years that are written. */
function whole(ms: f64): u64 {
  return ms > 0 && ms < 253_402_300_800_000 ? <u64>ms : 0;
}

function putTime(b: Bytes, seconds: u32): void {
  putPadded(b, seconds / 3600, 2);
  putByte(b, 58);
  putPadded(b, (seconds / 60) % 60, 2);
  putByte(b, 58);
  putPadded(b, seconds % 60, 2);
}

function putName(b: Bytes, names: string, index: u32): void {
  for (let letter: u32 = 0; letter < 3; letter++) putByte(b, names.charCodeAt(3 * index + letter));
}

/** Sun, 06 Nov 1994 08:49:37 GMT */
export function putHttpDate(b: Bytes, ms: f64): void {
  const seconds = whole(ms) / 1000;
  const days = <u32>(seconds / 86_400);
  setDate(days);
  putName(b, "SunMonTueWedThuFriSat", (days + 4) % 7);
  putText(b, ", ");
  putPadded(b, day, 2);
  putByte(b, 32);
  putName(b, "JanFebMarAprMayJunJulAugSepOctNovDec", month - 1);
  putByte(b, 32);
  putPadded(b, year, 4);
  putByte(b, 32);
  putTime(b, <u32>(seconds % 86_400));
  putText(b, " GMT");
}

/** 1994-11-06T08:49:37.000Z */
export function putIsoDate(b: Bytes, ms: f64): void {
  const time = whole(ms);
  setDate(<u32>(time / 86_400_000));
  putPadded(b, year, 4);
  putByte(b, 45);
  putPadded(b, month, 2);
  putByte(b, 45);
  putPadded(b, day, 2);
  putByte(b, 84);
  putTime(b, <u32>((time / 1000) % 86_400));
  putByte(b, 46);
  putPadded(b, <u32>(time % 1000), 3);
  putByte(b, 90);
}
