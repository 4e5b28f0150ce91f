/**
 * Paths as the gateway's router finds them (find-my-way): `/orders/:id` has a parameter of one part, `/files/*` takes the rest. Of several
 * routes that fit, the one counts that is a text where the others have a parameter, first difference first.
 */
import { Bytes, putByte, putLatin, sequenceAt } from "../bytes";
import { firstRoute, Route } from "./config";
import { parameters, parameterUnits } from "./limits";

/** Of the route that was found last: where its parameters' names and raw values lie. */
export let found: u32 = 0;
// @ts-ignore: decorator
@lazy const values: usize = memory.data(256, 16);
// @ts-ignore: decorator
@lazy const tried: usize = memory.data(256, 16);
let triedCount: u32 = 0;

/** Length 0 and a name of `*` for what `*` took. */
export function parameterNameAt(index: u32): usize { return <usize>load<u32>(values + (<usize>index << 4)); }
export function parameterNameLength(index: u32): u32 { return load<u32>(values + (<usize>index << 4), 4); }
export function parameterAt(index: u32): usize { return <usize>load<u32>(values + (<usize>index << 4), 8); }
export function parameterLength(index: u32): u32 { return load<u32>(values + (<usize>index << 4), 12); }

/** False for a path that can't be served: parameters must be whole parts of it, and `*` its end. */
export function checkRoutes(): bool {
  for (let at = firstRoute; at !== 0; at = changetype<Route>(at).next) {
    const route = changetype<Route>(at);
    let count: u32 = 0;
    if (route.pathLength === 0 || load<u8>(route.path) !== 47) return false;
    for (let index: u32 = 1; index < route.pathLength; index++) {
      const byte = load<u8>(route.path + index);
      if (byte === 42 && index + 1 !== route.pathLength) return false;
      if (byte === 58 && load<u8>(route.path + index - 1) !== 47) return false;
      if (byte === 58 || byte === 42) count++;
    }
    if (count > parameters) return false;
    route.hasParameters = count > 0;
  }
  return true;
}

/** True if a route's list of methods has this one. */
function hasMethod(route: Route, at: usize, length: u32): bool {
  let from: u32 = 0;
  while (from <= route.methodsLength) {
    let to = from;
    while (to < route.methodsLength && load<u8>(route.methods + to) !== 44) to++;
    if (to - from === length && memory.compare(route.methods + from, at, length) === 0) return true;
    from = to + 1;
  }
  return false;
}

/** The route for a method and a path, or null. */
export function findRoute(method: usize, methodLength: u32, path: usize, length: u32): Route | null {
  let best: Route | null = null;
  const plain = lengthBeforeFragment(path, length);
  for (let at = firstRoute; at !== 0; at = changetype<Route>(at).next) {
    const route = changetype<Route>(at);
    if (!hasMethod(route, method, methodLength) || !fits(route, path, route.hasParameters ? plain : length)) continue;
    if (best !== null && (!route.hasParameters || !best.hasParameters ? best.hasParameters <= route.hasParameters : !isBefore(route, best))) continue;
    best = route;
    found = triedCount;
    memory.copy(values, tried, triedCount << 4);
  }
  return best;
}

/** A fragment that a caller should not have sent is read over where there are parameters, as the gateway's router does it. */
function lengthBeforeFragment(path: usize, length: u32): u32 {
  for (let index: u32 = 1; index < length; index++) if (load<u8>(path + index) === 35) return index;
  return length;
}

/** True if `a`, of two routes that fit one path, is more exact. */
function isBefore(a: Route, b: Route): bool {
  let one: u32 = 0;
  let other: u32 = 0;
  while (one < a.pathLength && other < b.pathLength) {
    const x = rank(load<u8>(a.path + one));
    const y = rank(load<u8>(b.path + other));
    if (x !== y) return x < y;
    one = x === 1 ? partEnd(a.path, one, a.pathLength) : one + 1;
    other = y === 1 ? partEnd(b.path, other, b.pathLength) : other + 1;
  }
  return false;
}

function rank(byte: u32): u32 {
  return byte === 58 ? 1 : byte === 42 ? 2 : 0;
}

function partEnd(at: usize, from: u32, length: u32): u32 {
  while (from < length && load<u8>(at + from) !== 47) from++;
  return from;
}

function fits(route: Route, path: usize, length: u32): bool {
  triedCount = 0;
  if (!route.hasParameters) return route.pathLength === length && memory.compare(route.path, path, length) === 0;
  let at: u32 = 0;
  let from: u32 = 0;
  while (at < route.pathLength) {
    const byte = load<u8>(route.path + at);
    if (byte === 42) return note(route.path + at, 1, path + from, length - from);
    if (byte === 58) {
      const nameEnd = partEnd(route.path, at, route.pathLength);
      const end = partEnd(path, from, length);
      if (unitsOf(path + from, end - from) > parameterUnits || !note(route.path + at + 1, nameEnd - at - 1, path + from, end - from)) return false;
      at = nameEnd;
      from = end;
      continue;
    }
    if (from >= length) return false;
    const step = sameAs(byte, path + from, length - from);
    if (step === 0) return false;
    from += step;
    at++;
  }
  return from === length;
}

function note(name: usize, nameLength: u32, at: usize, length: u32): bool {
  if (triedCount === parameters || !isDecodable(at, length)) return false;
  const row = tried + (<usize>(triedCount++) << 4);
  store<u32>(row, <u32>name);
  store<u32>(row, nameLength, 4);
  store<u32>(row, <u32>at, 8);
  store<u32>(row, length, 12);
  return true;
}

/** Bytes of the path that are this byte of a route: 1, 3 where it is encoded and need not be, 0: it is another. */
function sameAs(byte: u32, at: usize, length: u32): u32 {
  const own = load<u8>(at);
  if (own !== 37) return own === byte ? 1 : 0;
  if (length < 3) return 0;
  const code = decoded(at);
  return code === byte && !isReserved(code) ? 3 : 0;
}

function isReserved(byte: u32): bool {
  switch (byte) {
    case 35: case 36: case 38: case 43: case 44: case 47: case 58: case 59: case 61: case 63: case 64: return true;
    default: return false;
  }
}

function hexDigit(byte: u32): u32 {
  if (byte - 48 < 10) return byte - 48;
  return (byte | 32) - 97 < 6 ? (byte | 32) - 87 : 256;
}

/** The byte that %xx says; above 255: nothing. */
function decoded(at: usize): u32 {
  return (hexDigit(load<u8>(at, 1)) << 4) + hexDigit(load<u8>(at, 2));
}

// @ts-ignore: decorator
@lazy const sequence: usize = memory.data(4, 4);

/** Bytes of a value's next character in `sequence`, decoded; raw bytes beyond ASCII are Latin-1. Returns how many of the value it took, 0: malformed. */
function nextCharacter(at: usize, length: u32): u32 {
  const first = <u32>load<u8>(at);
  sequenceLength = 0;
  if (first !== 37) {
    store<u8>(sequence, first);
    sequenceLength = 1;
    isLatin = first > 127;
    return 1;
  }
  isLatin = false;
  let taken: u32 = 0;
  let wanted: u32 = 1;
  while (sequenceLength < wanted) {
    if (taken + 3 > length || load<u8>(at + taken) !== 37) return 0;
    const byte = decoded(at + taken);
    if (byte > 255) return 0;
    if (sequenceLength === 0 && byte > 127) wanted = byte < 0xe0 ? 2 : byte < 0xf0 ? 3 : 4;
    store<u8>(sequence + sequenceLength++, byte);
    taken += 3;
  }
  return wanted > 1 && sequenceAt(sequence, sequence + wanted) !== wanted ? 0 : taken;
}
let sequenceLength: u32 = 0;
let isLatin: bool = false;

/** Length of a value once it is decoded, in UTF-16 units as the gateway counts them; beyond all bounds if it is malformed. */
function unitsOf(at: usize, length: u32): u32 {
  let units: u32 = 0;
  for (let index: u32 = 0; index < length; ) {
    const taken = nextCharacter(at + index, length - index);
    if (taken === 0) return u32.MAX_VALUE;
    units += sequenceLength === 4 ? 2 : 1;
    index += taken;
  }
  return units;
}

function isDecodable(at: usize, length: u32): bool {
  for (let index: u32 = 0; index < length; ) {
    const taken = nextCharacter(at + index, length - index);
    if (taken === 0) return false;
    index += taken;
  }
  return true;
}

/** Puts a parameter's value, decoded. False if it has a control character. */
export function putParameter(b: Bytes, index: u32): bool {
  const at = parameterAt(index);
  const length = parameterLength(index);
  let isClean = true;
  for (let from: u32 = 0; from < length; ) {
    from += nextCharacter(at + from, length - from);
    const first = <u32>load<u8>(sequence);
    if (first < 32 || first === 127) isClean = false;
    if (isLatin) putLatin(b, first);
    else for (let byte: u32 = 0; byte < sequenceLength; byte++) putByte(b, load<u8>(sequence + byte));
  }
  return isClean;
}

// ---- methods of a path

// @ts-ignore: decorator
@lazy const names: usize = memory.data(256, 16);

/** Puts the methods a path has, sorted and with commas, as `Allow` lists them; with HEAD and OPTIONS. False: it has none. */
export function putMethods(b: Bytes, path: usize, length: u32): bool {
  let count: u32 = 0;
  for (let at = firstRoute; at !== 0; at = changetype<Route>(at).next) {
    const route = changetype<Route>(at);
    if (!fits(route, path, route.hasParameters ? lengthBeforeFragment(path, length) : length)) continue;
    for (let from: u32 = 0; from < route.methodsLength; ) {
      let to = from;
      while (to < route.methodsLength && load<u8>(route.methods + to) !== 44) to++;
      count = addMethod(route.methods + from, to - from, count);
      from = to + 1;
    }
  }
  if (count === 0) return false;
  if (hasName("GET", count)) count = addText("HEAD", count);
  count = addText("OPTIONS", count);
  for (let index: u32 = 0; index < count; index++) {
    if (index > 0) {
      putByte(b, 44);
      putByte(b, 32);
    }
    const row = names + (<usize>index << 3);
    for (let byte: u32 = 0; byte < load<u32>(row, 4); byte++) putByte(b, load<u8>(<usize>load<u32>(row) + byte));
  }
  return true;
}

function addMethod(at: usize, length: u32, count: u32): u32 {
  let place: u32 = 0;
  for (; place < count; place++) {
    const order = compare(at, length, names + (<usize>place << 3));
    if (order === 0) return count;
    if (order < 0) break;
  }
  if (count === 32) return count;
  const row = names + (<usize>place << 3);
  memory.copy(row + 8, row, (count - place) << 3);
  store<u32>(row, <u32>at);
  store<u32>(row, length, 4);
  return count + 1;
}

function compare(at: usize, length: u32, row: usize): i32 {
  const other = load<u32>(row, 4);
  const order = memory.compare(at, <usize>load<u32>(row), min<u32>(length, other));
  return order !== 0 ? order : <i32>length - <i32>other;
}

// @ts-ignore: decorator
@lazy const words: usize = memory.data(16, 8);

/** Adds HEAD or OPTIONS, from memory of their own. */
function addText(word: string, count: u32): u32 {
  const at = words + (word.length === 4 ? 0 : 8);
  for (let index = 0; index < word.length; index++) store<u8>(at + index, word.charCodeAt(index));
  return addMethod(at, word.length, count);
}

function hasName(word: string, count: u32): bool {
  for (let index: u32 = 0; index < count; index++) {
    const row = names + (<usize>index << 3);
    if (load<u32>(row, 4) !== <u32>word.length) continue;
    let isSame = true;
    for (let byte = 0; byte < word.length; byte++) if (load<u8>(<usize>load<u32>(row) + byte) !== word.charCodeAt(byte)) isSame = false;
    if (isSame) return true;
  }
  return false;
}
