/** Parts of an XML document beside its elements: the declaration, a document type, comments, instructions (XML 1.0, §2.5 to §2.8). */
import {
  commentOpen, declarationMisplaced, declarationOpen, declarationSpace, doctype, doctypeName, doctypeOpen, encodingValue, entityDeclared, hyphensInComment,
  instructionName, instructionOpen, instructionSpace, publicIdCharacter, publicIdMissing, quoteMissing, standaloneValue, subsetMarkup, subsetOpen, systemIdMissing,
  versionMissing, versionValue,
} from "../runtime/formats/xml-faults";
import { ignoreDoctype } from "../runtime/formats/xml-options";
import { allowedUntil, findBad, findSequence, isNameAt, isSpace, nameEnd, skipSpace } from "./xml-scan";
import { atEnd, atOptions, fault, get, later } from "./xml-state";

/** The literal read last: where it begins, and how long it is. */
// @ts-ignore: decorator
@lazy const literal: usize = memory.data(8, 4);

// @ts-ignore: decorator
@inline
function literalAt(): usize {
  return load<u32>(literal);
}

// @ts-ignore: decorator
@inline
function literalLength(): u32 {
  return load<u32>(literal, 4);
}

// @ts-ignore: decorator
@inline
function has(at: usize, word: u32): bool {
  return load<u32>(at) === word;
}

/** Reads a quoted text into `literal`. Returns the place behind it; without a quote, `at`; after a fault, 0. */
function readLiteral(at: usize): usize {
  const quote = <u32>load<u8>(at);
  if (quote !== 0x22 && quote !== 0x27) return at;
  const end: usize = get(atEnd);
  let to = at + 1;
  while (to < end && load<u8>(to) !== quote) to++;
  if (to === end) return fault(quoteMissing, at + 1);
  if (allowedUntil(to) === 0) return 0;
  store<u32>(literal, <u32>at + 1);
  store<u32>(literal, <u32>(to - at) - 1, 4);
  return to + 1;
}

// @ts-ignore: decorator
@inline
function isDigit(byte: u32): bool {
  return byte - 0x30 < 10;
}

// @ts-ignore: decorator
@inline
function isLetter(byte: u32): bool {
  return (byte | 0x20) - 0x61 < 26;
}

/** "1." and digits. */
function isVersion(): bool {
  const length = literalLength();
  if (length < 3 || load<u16>(literalAt()) !== 0x2e31) return false;
  for (let i: u32 = 2; i < length; i++) if (!isDigit(load<u8>(literalAt() + i))) return false;
  return true;
}

function isEncodingName(): bool {
  for (let i: u32 = 0; i < literalLength(); i++) {
    const byte = <u32>load<u8>(literalAt() + i);
    if (!isLetter(byte) && (i === 0 || (!isDigit(byte) && byte !== 0x2d && byte !== 0x2e && byte !== 0x5f))) return false;
  }
  return true;
}

/** Reads `= "…"` behind a name into `literal`, which stays empty if something else stands there. Returns the place behind what was read. */
function readSetting(at: usize): usize {
  store<u32>(literal, 0);
  store<u32>(literal, 0, 4);
  at = skipSpace(at);
  return load<u8>(at) === 0x3d ? readLiteral(skipSpace(at + 1)) : at;
}

/** Reads the optional XML declaration (production 23). Returns the place behind it; after a fault, 0. */
export function readDeclaration(at: usize): usize {
  if (!has(at, 0x6d783f3c) || load<u8>(at, 4) !== 0x6c || isNameAt(at + 5)) return at; // "<?xml"
  at += 5;
  if (!isSpace(load<u8>(at))) return fault(declarationSpace, at);
  at = skipSpace(at);
  if (!has(at, 0x73726576) || (load<u32>(at, 4) & 0xffffff) !== 0x6e6f69) return fault(versionMissing, at); // "version"
  at = readSetting(at + 7);
  if (at === 0) return 0;
  if (literalAt() === 0) return fault(versionMissing, at);
  if (!isVersion()) return fault(versionValue, at);
  if (isSpace(load<u8>(at))) {
    at = readSettings(skipSpace(at));
    if (at === 0) return 0;
  }
  return load<u16>(at) === 0x3e3f ? at + 2 : fault(declarationOpen, at);
}

function readSettings(at: usize): usize {
  if (load<u64>(at) === 0x676e69646f636e65) { // "encoding"
    at = readSetting(at + 8);
    if (at === 0) return 0;
    if (literalLength() > 0) {
      if (!isEncodingName()) return fault(encodingValue, at);
      at = skipSpace(at);
    }
  }
  if (load<u64>(at) !== 0x6f6c61646e617473 || load<u16>(at, 8) !== 0x656e) return at; // "standalone"
  at = readSetting(at + 10);
  if (at === 0 || literalLength() === 0) return at;
  const from = literalAt();
  const isYes = literalLength() === 3 && load<u16>(from) === 0x6579 && load<u8>(from, 2) === 0x73;
  const isNo = literalLength() === 2 && load<u16>(from) === 0x6f6e;
  return isYes || isNo ? skipSpace(at) : fault(standaloneValue, at);
}

/** A comment, from its `<!--` on (production 15). */
export function readComment(at: usize): usize {
  at += 4;
  const end = findSequence(at, 0x2d2d, 2);
  if (end === 0) return fault(commentOpen, at);
  if (allowedUntil(end) === 0) return 0;
  return load<u8>(end, 2) === 0x3e ? end + 3 : fault(hyphensInComment, end);
}

/** A processing instruction, from its `<?` on (production 16). */
export function readInstruction(at: usize): usize {
  const name = at + 2;
  const end = nameEnd(name);
  if (end === name) return fault(instructionName, name);
  if (end - name === 3 && (load<u32>(name) & 0xdfdfdf) === 0x4c4d58) return fault(declarationMisplaced, at); // "XML"
  if (!isSpace(load<u8>(end))) return load<u16>(end) === 0x3e3f ? end + 2 : fault(instructionSpace, end);
  const content = skipSpace(end);
  const last = findSequence(content, 0x3e3f, 2);
  if (last === 0) return fault(instructionOpen, content);
  return allowedUntil(last) === 0 ? 0 : last + 2;
}

/** Skips any comments, instructions and white space. Returns the place behind them; after a fault, 0. */
export function readMisc(at: usize): usize {
  while (true) {
    at = skipSpace(at);
    if (has(at, 0x2d2d213c)) at = readComment(at);
    else if (load<u16>(at) === 0x3f3c) at = readInstruction(at);
    else return at;
    if (at === 0) return 0;
  }
}

function isPublicId(): bool {
  for (let i: u32 = 0; i < literalLength(); i++) {
    const byte = <u32>load<u8>(literalAt() + i);
    if (isDigit(byte) || isLetter(byte)) continue;
    if (byte === 0x20 || byte === 0x0d || byte === 0x0a || byte === 0x21 || (byte >= 0x23 && byte <= 0x25) || byte === 0x5f) continue; // ! # $ % _
    if ((byte >= 0x27 && byte <= 0x2f) || (byte >= 0x3a && byte <= 0x3b) || byte === 0x3d || byte === 0x3f || byte === 0x40) continue; // ' to / : ; = ? @
    return false;
  }
  return true;
}

/** Reads the optional public and system identifiers (production 75). Returns the place behind them; after a fault, 0. */
function readIds(at: usize): usize {
  let isPublic = false;
  if (load<u32>(at) === 0x4c425550 && load<u16>(at, 4) === 0x4349) { // "PUBLIC"
    const literalStart = skipSpace(at + 6);
    if (literalStart === at + 6) return fault(publicIdMissing, literalStart);
    at = readLiteral(literalStart);
    if (at === 0) return 0;
    if (at === literalStart) return fault(publicIdMissing, at);
    if (!isPublicId()) return fault(publicIdCharacter, literalStart);
    at = skipSpace(at);
    isPublic = true;
  }
  if (!isPublic) {
    if (load<u32>(at) !== 0x54535953 || load<u16>(at, 4) !== 0x4d45) return at; // "SYSTEM"
    at += 6;
  }
  at = skipSpace(at);
  const next = readLiteral(at);
  if (next === 0) return 0;
  return next === at ? fault(systemIdMissing, at) : skipSpace(next);
}

/** The place of the first `]` with nothing but white space between it and a `>`; without one, 0. */
function subsetEnd(at: usize): usize {
  for (const end: usize = get(atEnd); at < end; at++) {
    if (load<u8>(at) !== 0x5d) continue;
    const next = skipSpace(at + 1);
    if (load<u8>(next) === 0x3e) return at;
    at = next - 1;
  }
  return 0;
}

/** Skips a markup declaration of the subset but for its beginning: quoted texts and all up to its `>`. Returns the place behind it; after a fault, 0. */
function readMarkup(at: usize): usize {
  const start = at;
  for (const end: usize = get(atEnd); at < end; at++) {
    const byte = <u32>load<u8>(at);
    if (byte === 0x3e) return at + 1;
    if (byte === 0x3c) break;
    if (byte !== 0x22 && byte !== 0x27) continue;
    const behind = readLiteral(at);
    if (behind === 0) return 0;
    at = behind - 1;
  }
  return fault(subsetMarkup, start);
}

/** The internal subset, from behind its `[` on, whose declarations are not applied (production 28b). Returns the place of its `]`; after a fault, 0. */
function readSubset(at: usize): usize {
  while (true) {
    at = readMisc(at);
    if (at === 0 || load<u8>(at) === 0x5d) return at;
    if (at >= <usize>get(atEnd)) return fault(subsetOpen, at);
    if (load<u8>(at) === 0x25 || (load<u64>(at) === 0x595449544e45213c)) return fault(entityDeclared, at); // "%", "<!ENTITY"
    if (load<u16>(at) !== 0x213c) return fault(subsetMarkup, at);
    at = readMarkup(at + 2);
    if (at === 0) return 0;
  }
}

/**
 * Skips an optional document type declaration (production 28). Unless it may be ignored, the fault is noted that it is refused. Returns the
 * place behind it; after another fault, 0.
 */
export function readDoctype(at: usize): usize {
  if (load<u64>(at) !== 0x505954434f44213c || load<u8>(at, 8) !== 0x45) return at; // "<!DOCTYPE"
  const start = at;
  at = skipSpace(at + 9);
  const end = nameEnd(at);
  if (at === start + 9 || end === at) return fault(doctypeName, at);
  at = skipSpace(end);
  if (at > end) at = readIds(at);
  if (at === 0) return 0;
  const isIgnored = (get(atOptions) & ignoreDoctype) !== 0;
  if (load<u8>(at) === 0x5b && isIgnored) {
    at = readSubset(at + 1);
    if (at === 0) return 0;
    if (allowedUntil(at) === 0) return 0;
    at = skipSpace(at + 1);
  } else if (load<u8>(at) === 0x5b) {
    const closing = subsetEnd(at + 1);
    if (closing !== 0) at = closing;
    else if (load<u8>(++at) !== 0x5d) return fault(subsetOpen, at);
    at = skipSpace(at + 1);
    findBad(at); // characters of the subset do not matter
  }
  if (load<u8>(at) !== 0x3e) return fault(doctypeOpen, at);
  if (!isIgnored) later(doctype, start, start, 0, start, 0);
  return at + 1;
}
