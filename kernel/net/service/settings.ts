/**
 * config.json, which comes beside the ELF: settings that fill in `${NAME}` and `${NAME:-default}` in the service's texts, and the network's
 * addresses.
 *
 *     { "settings": { "NAME": "text" }, "network": { "address": "10.0.2.15/24", "gateway": "10.0.2.2", "dns": "10.0.2.3" } }
 */
import { Bytes, equal, isText, put, putByte, putText } from "../bytes";
import { print } from "../host";
import { take } from "../memory";
import {
  firstFlow, firstRoute, firstWay, Flow, Outlet, Pair, Route, setSyslog, syslogAt, syslogLength, Way,
} from "./config";
import { accept, atEnd, openJson, peek, readString, skipValue } from "./json";
import { settings as mostSettings, textBytes } from "./limits";
import { takesTokens, tokenType } from "./variant";

/** Big endian; 0: not given. */
export let address: u32 = 0, prefixBits: u32 = 0, gateway: u32 = 0, dns: u32 = 0;

let first: usize = 0;
let settings: u32 = 0;

// @ts-ignore: decorator
@lazy const text: Bytes = changetype<Bytes>(memory.data(16, 8));

/** Points `text` at memory of its own, so that it never grows. */
function setRoom(bytes: u32): bool {
  text.at = take(bytes);
  text.length = 0;
  text.room = bytes;
  text.broken = text.at === 0;
  return !text.broken;
}

let scratch: usize = 0;

/** The same, with memory that is used again. */
function useScratch(): bool {
  if (scratch === 0) scratch = take(textBytes);
  text.at = scratch;
  text.length = 0;
  text.room = textBytes;
  text.broken = scratch === 0;
  return !text.broken;
}

/** Prints a line about the configuration: a code of docs/ERRORS.md, and a sentence around a text in memory. */
function say(code: string, before: string, at: usize, length: u32, after: string): void {
  if (!useScratch()) return;
  putText(text, "mayfly: ");
  putText(text, code);
  putText(text, ": ");
  putText(text, before);
  for (let index: u32 = 0; index < min<u32>(length, 64); index++) {
    const byte = load<u8>(at + index);
    putByte(text, byte < 32 || byte > 126 ? 63 : byte);
  }
  putText(text, after);
  putText(text, "\r\n");
  print(<u32>text.at, text.length);
}

/** Of config.json. */
export function complain(what: string): void {
  say("MF_STANDALONE_SETTINGS", what, 0, 0, "");
}

/** Of the ELF, or of the machine. */
export function complainOfStart(what: string): void {
  say("MF_STANDALONE_START", what, 0, 0, "");
}

/** Reads config.json, once. False, and the console says why, if it is not as drawn above. */
export function readSettings(at: usize, length: u32): bool {
  if (!setRoom(length + 16)) return complain("config.json is longer than there is memory"), false;
  openJson(at, length);
  if (!accept(123)) return complain("config.json is no JSON object"), false;
  if (!accept(125)) {
    do {
      if (!readMember()) return complain("config.json must be { \"settings\": { \"NAME\": \"text\" }, \"network\": { \"address\", \"gateway\", \"dns\" } }"), false;
    } while (accept(44));
    if (!accept(125)) return complain("config.json is no JSON object"), false;
  }
  return atEnd() ? true : (complain("config.json has something behind its object"), false);
}

let nameAt: usize = 0, nameLength: u32 = 0;

/** Reads a name and its colon into `text`, where it stays. */
function readName(): bool {
  nameAt = text.at + text.length;
  const before = text.length;
  if (!readString(text) || !accept(58)) return false;
  nameLength = text.length - before;
  return true;
}

function readMember(): bool {
  if (!readName()) return false;
  const isSettings = isText(nameAt, nameLength, "settings");
  if (!isSettings && !isText(nameAt, nameLength, "network")) return skipValue();
  if (!accept(123)) return false;
  if (accept(125)) return true;
  do {
    if (!readName()) return false;
    const name = nameAt;
    const length = nameLength;
    const value = text.at + text.length;
    const before = text.length;
    if (peek() !== 34 || !readString(text)) return false;
    if (isSettings ? !addSetting(name, length, value, text.length - before) : !setNetwork(name, length, value, text.length - before)) return false;
  } while (accept(44));
  return accept(125);
}

function addSetting(name: usize, length: u32, value: usize, valueLength: u32): bool {
  const at = ++settings > mostSettings ? <usize>0 : take(offsetof<Pair>());
  if (at === 0) return false;
  const pair = changetype<Pair>(at);
  pair.name = name;
  pair.nameLength = length;
  pair.value = value;
  pair.valueLength = valueLength;
  pair.next = first;
  first = at;
  return true;
}

function setNetwork(name: usize, nameLength: u32, at: usize, length: u32): bool {
  if (isText(name, nameLength, "address")) {
    let slash: u32 = 0;
    while (slash < length && load<u8>(at + slash) !== 47) slash++;
    address = readAddress(at, slash);
    prefixBits = slash < length ? readNumber(at + slash + 1, length - slash - 1, 32) : 33;
    return address !== 0 && prefixBits > 0 && prefixBits <= 32;
  }
  const given = readAddress(at, length);
  if (isText(name, nameLength, "gateway")) gateway = given;
  else if (isText(name, nameLength, "dns")) dns = given;
  else return false;
  return given !== 0;
}

/** A whole number in decimal, or a greater one than `most` if it is malformed. */
export function readNumber(at: usize, length: u32, most: u32): u32 {
  if (length === 0 || length > 5) return most + 1;
  let value: u32 = 0;
  for (let index: u32 = 0; index < length; index++) {
    const digit = <u32>load<u8>(at + index) - 48;
    if (digit > 9) return most + 1;
    value = value * 10 + digit;
  }
  return min<u32>(value, most + 1);
}

/** A dotted quad as a big-endian number; 0: it is malformed. */
export function readAddress(at: usize, length: u32): u32 {
  let value: u32 = 0;
  let from: u32 = 0;
  for (let part: u32 = 0; part < 4; part++) {
    let to = from;
    while (to < length && load<u8>(at + to) !== 46) to++;
    const number = to - from > 3 ? 256 : readNumber(at + from, to - from, 255);
    if (number > 255 || (part < 3) !== (to < length)) return 0;
    value = (value << 8) | number;
    from = to + 1;
  }
  return value;
}

// ---- filling in

let filledAt: usize = 0, filledLength: u32 = 0;

function isNameByte(byte: u32, isFirst: bool): bool {
  return (byte | 32) - 97 < 26 || byte === 95 || (!isFirst && byte - 48 < 10);
}

/** Fills in a text. False, and the console says why, where a setting is missing. */
function fill(at: usize, length: u32): bool {
  filledAt = at;
  filledLength = length;
  let from: u32 = 0;
  while (from + 1 < length && load<u16>(at + from) !== 0x7b24) from++; // "${"
  if (from + 1 >= length) return true;
  if (!useScratch()) return complain("there is no memory for the configuration"), false;
  for (from = 0; from < length; ) {
    if (from + 2 < length && load<u8>(at + from) === 36 && load<u16>(at + from + 1) === 0x7b24) { // "$${" is a plain "${"
      from++;
      putByte(text, load<u8>(at + from++));
      putByte(text, load<u8>(at + from++));
      continue;
    }
    const end = from + 1 < length && load<u16>(at + from) === 0x7b24 ? closing(at, from, length) : 0;
    if (end === 0) putByte(text, load<u8>(at + from++));
    else {
      if (!fillOne(at + from + 2, end - from - 2)) return false;
      from = end + 1;
    }
    if (text.broken || text.length > textBytes - 4) return complain("a text of the service is too long with its settings filled in"), false;
  }
  filledAt = take(text.length);
  filledLength = text.length;
  if (filledAt === 0) return complain("there is no memory for the configuration"), false;
  memory.copy(filledAt, text.at, text.length);
  return true;
}

/** Index of the brace that ends a reference at `from`; 0: it is malformed. */
function closing(at: usize, from: u32, length: u32): u32 {
  let index = from + 2;
  while (index < length && isNameByte(load<u8>(at + index), index === from + 2)) index++;
  if (index === from + 2 || index >= length) return 0;
  if (load<u8>(at + index) === 125) return index;
  if (index + 1 >= length || load<u16>(at + index) !== 0x2d3a) return 0; // ":-"
  while (index < length && load<u8>(at + index) !== 125) index++;
  return index < length ? index : 0;
}

type Missing = (name: usize, length: u32, to: usize, most: u32) => i32;
let findMissing: Missing = (_name: usize, _length: u32, _to: usize, _most: u32): i32 => -1;

/**
 * Registers who knows settings that are not in config.json: copies a value of at most `most` bytes to `to`, and returns its length, which may
 * be greater; negative: the setting is not known.
 */
export function onMissing(call: Missing): void { findMissing = call; }

/** `at`: NAME or NAME:-default. */
function fillOne(at: usize, length: u32): bool {
  let name: u32 = 0;
  while (name < length && load<u8>(at + name) !== 58) name++;
  for (let pair = first; pair !== 0; pair = changetype<Pair>(pair).next) {
    const setting = changetype<Pair>(pair);
    if (!equal(setting.name, setting.nameLength, at, name) || (setting.valueLength === 0 && name < length)) continue;
    return putSetting(setting.value, setting.valueLength);
  }
  const found = findMissing(at, name, text.at + text.length, textBytes - 4 - text.length);
  if (found > 0 || (found === 0 && name === length)) {
    if (<u32>found > textBytes - 4 - text.length) return complain("a text of the service is too long with its settings filled in"), false;
    text.length += found;
    return true;
  }
  if (name < length) return putSetting(at + name + 2, length - name - 2);
  say("MF_STANDALONE_SETTINGS", "the service needs the setting ", at, name, ": give it under \"settings\" in the file of --config, or in the environment");
  return false;
}

/** `text` has its room, and must not grow: blocks are not there yet. */
function putSetting(at: usize, length: u32): bool {
  if (length > textBytes - 4 - text.length) return complain("a text of the service is too long with its settings filled in"), false;
  put(text, at, length);
  return true;
}

/** Fills in all texts of the service. False, and the console says why, where one can't be. */
export function fillIn(): bool {
  if (!fill(syslogAt, syslogLength)) return false;
  setSyslog(filledAt, filledLength);
  for (let at = firstWay; at !== 0; at = changetype<Way>(at).next) {
    const way = changetype<Way>(at);
    if (!fill(way.secret, way.secretLength)) return false;
    way.secret = filledAt;
    way.secretLength = filledLength;
    if (takesTokens) if (way.type === tokenType) {
      if (!fill(way.caller, way.callerLength)) return false;
      way.caller = filledAt;
      way.callerLength = filledLength;
      continue;
    }
    if (filledLength === 0) return complain("the secret of a caller is empty: set it in config.json"), false;
  }
  for (let at = firstRoute; at !== 0; at = changetype<Route>(at).next) {
    const route = changetype<Route>(at);
    if (!fill(route.path, route.pathLength)) return false;
    route.path = filledAt;
    route.pathLength = filledLength;
  }
  for (let at = firstFlow; at !== 0; at = changetype<Flow>(at).next)
    if (!fillPairs(changetype<Flow>(at).firstValue) || !fillOutlets(changetype<Flow>(at).firstOutlet)) return false;
  return true;
}

function fillPairs(from: usize): bool {
  for (let at = from; at !== 0; at = changetype<Pair>(at).next) {
    const pair = changetype<Pair>(at);
    if (!fill(pair.value, pair.valueLength)) return false;
    pair.value = filledAt;
    pair.valueLength = filledLength;
  }
  return true;
}

function fillOutlets(from: usize): bool {
  for (let at = from; at !== 0; at = changetype<Outlet>(at).next) {
    const outlet = changetype<Outlet>(at);
    if (outlet.isLine) continue;
    if (!fillPairs(outlet.headers) || !fill(outlet.host, outlet.hostLength)) return false;
    outlet.host = filledAt;
    outlet.hostLength = filledLength;
    if (!fill(outlet.path, outlet.pathLength)) return false;
    outlet.path = filledAt;
    outlet.pathLength = filledLength;
    if (outlet.basic !== 0) {
      if (!fill(outlet.basic, outlet.basicLength)) return false;
      outlet.basic = filledAt;
      outlet.basicLength = filledLength;
    }
    if (outlet.port === 0 && !splitUrl(outlet)) {
      say("MF_STANDALONE_SETTINGS", "the url of the outlet ", outlet.name, outlet.nameLength, " must be http://host:port/path: correct its setting");
      return false;
    }
    if (!isSendable(outlet.path, outlet.pathLength) || !isSendable(outlet.host, outlet.hostLength)) {
      say("MF_STANDALONE_SETTINGS", "the url of the outlet ", outlet.name, outlet.nameLength, " has characters that HTTP can't carry: encode them");
      return false;
    }
  }
  return true;
}

export function isSendable(at: usize, length: u32): bool {
  for (let index: u32 = 0; index < length; index++) if (<u32>load<u8>(at + index) - 33 > 93) return false;
  return length > 0;
}

/** Takes a whole URL apart: http://user:password@host:port/path?query. */
export function splitUrl(outlet: Outlet): bool {
  const at = outlet.host;
  const length = outlet.hostLength;
  if (length < 8 || !isText(at, 7, "http://")) return false;
  let slash: u32 = 7;
  while (slash < length && load<u8>(at + slash) !== 47 && load<u8>(at + slash) !== 63) slash++;
  let host: u32 = 7;
  for (let index: u32 = 7; index < slash; index++) if (load<u8>(at + index) === 64) host = index + 1;
  if (host > 7) {
    outlet.basic = at + 7;
    outlet.basicLength = host - 8;
  }
  let colon = host;
  while (colon < slash && load<u8>(at + colon) !== 58) colon++;
  outlet.port = colon < slash ? readNumber(at + colon + 1, slash - colon - 1, 65535) : 80;
  outlet.host = at + host;
  outlet.hostLength = colon - host;
  outlet.path = at + slash;
  outlet.pathLength = length - slash;
  if (slash === length) {
    outlet.path = take(1);
    outlet.pathLength = 1;
    if (outlet.path !== 0) store<u8>(outlet.path, 47);
  }
  return colon > host && outlet.port > 0 && outlet.port < 65536 && outlet.path !== 0 && load<u8>(outlet.path) === 47;
}
