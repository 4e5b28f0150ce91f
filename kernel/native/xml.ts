/**
 * XML as values (kernel/runtime/formats/xml-format.ts says which). Well-formed documents of XML 1.0 are read, and nothing else: a document
 * type is refused, and no entity is known but the five of XML. Elements are not read one within the other on the stack of the machine below:
 * each open one has a frame (xml-values.ts), however deep it is.
 *
 * References and line ends are replaced in place: what they stand for is never longer than they are. So the text of an element lies in one
 * piece, unless children stand in it.
 *
 * Faults are those that the sentence for the first one needs (xml-faults.ts). What is refused only because a value can't have it is kept
 * until the text turned out to be well formed.
 */
import {
  Context, exceptionValue, JS_DefinePropertyValue, JS_FreeAtom, JS_FreeValue, js_free, js_malloc, JS_NewArrayFrom, JS_NewAtomLen, JS_NewObject,
  JS_NewStringLen, JSValue, propertyOrdinary, tagException, tagOf, undefinedValue,
} from "./engine";
import { beginValues, endValues } from "./json-values";
import {
  attributeTwice, attributeValueMissing, cdataEnd, cdataOpen, contentBehindRoot, depth, endTagMissing, endTagOpen, rootMissing, sameWithoutPrefix,
  spaceValue, startTagOpen,
} from "../runtime/formats/xml-faults";
import { inOrder, removePrefixes } from "../runtime/formats/xml-options";
import { beginNames, endNames, intern, internCopy, nameAtom, nameOwner, sameBytes } from "./xml-names";
import { addInstruction, beginOrder, newOrdered } from "./xml-ordered";
import { readComment, readDeclaration, readDoctype, readInstruction, readMisc } from "./xml-prolog";
import { allowedUntil, findBad, findMarkup, findSequence, isNameAt, nameEnd, skipSpace } from "./xml-scan";
import {
  addressIn, append, atArrays, atArraysEnd, atChildrenAtom, atEnd, atInstruction, atNameAtom, atOptions, atReturns, atSerial, atText, atTextAtom, fault, faultFound, faultOf,
  forgetFaults, frames, freeTable, get, isFault, later, lengthOf, makeTable, names, pairs, set, setLength,
} from "./xml-state";
import { attributeEnd, moveText, readAttributeValue, readReference, writeReference } from "./xml-text";
import {
  addPair, addText, frameBytes, frameHasChildren, frameName, frameNameLength, framePairs, frameSerial, freePairs, newObject, newText, topFrame,
} from "./xml-values";

/** How deep elements may be nested; the writer's limit too (xml-format.ts). */
const mostDepth: u32 = 200;
/** Behind the text. */
const endBytes: usize = 16;

// "#text"
// @ts-ignore: decorator
@lazy const textName: usize = memory.data<u8>([35, 116, 101, 120, 116]);
/** The document's value, once its root element was read. */
// @ts-ignore: decorator
@lazy const document: usize = memory.data(8, 8);
/** Where the text of the section ends that was moved last. */
// @ts-ignore: decorator
@lazy const movedTo: usize = memory.data(4, 4);
// @ts-ignore: decorator
@lazy const numbers: usize = memory.data(48, 8);

/** Where the name behind a prefix begins (Namespaces in XML, production 7); the whole, if nothing stands there. */
function behindPrefix(name: usize, length: usize): usize {
  for (let i: usize = 0; i + 1 < length; i++) if (load<u8>(name + i) === 0x3a) return name + i + 1;
  return name;
}

/** True for `xmlns` and `xmlns:…`. */
function isNamespace(name: usize, length: usize): bool {
  return length >= 5 && load<u32>(name) === 0x6e6c6d78 && load<u8>(name, 4) === 0x73 && (length === 5 || load<u8>(name, 5) === 0x3a);
}

/** True if an attribute of this name was read for the element that is being read; from now on it was. */
function isAgain(nameOffset: u32): bool {
  const name = addressIn(names, nameOffset);
  if (load<u32>(name, nameOwner) === get(atSerial)) return true;
  store<u32>(name, get(atSerial), nameOwner);
  return false;
}

/** True for "default" and "preserve", the values of `xml:space` (§2.10). */
function isSpaceValue(value: usize, length: usize): bool {
  if (length === 7) return (load<u64>(value) << 8) === (<u64>0x746c7561666564 << 8);
  return length === 8 && load<u64>(value) === 0x6576726573657270;
}

/** Adds an attribute that was read up to `at` and whose value begins at `value`. False after a fault or while an exception stands. */
function addAttribute(here: Context, at: usize, name: usize, length: usize, value: usize): bool {
  // The byte before a name was read already. In the table of names an attribute has "@" there, or "=" where the name has its prefix.
  const strips = (get(atOptions) & removePrefixes) !== 0;
  let local = name;
  if (strips) {
    store<u8>(name - 1, 0x3d);
    const whole = internCopy(here, name - 1, length + 1);
    if (whole === 0) return false;
    if (isAgain(whole)) return faultOf(attributeTwice, at, name, length) !== 0;
    local = behindPrefix(name, length);
  }
  const localLength = length - (local - name);
  const isSpaces = length === 9 && load<u64>(name) === 0x636170733a6c6d78 && load<u8>(name, 8) === 0x65; // "xml:space"
  const skipped = strips && isNamespace(name, length);
  let key: u32 = 0;
  if (!skipped) {
    store<u8>(local - 1, 0x40);
    key = intern(here, local - 1, localLength + 1);
    if (key === 0) return false;
  }
  const isTwice = !skipped && load<u32>(addressIn(names, key), nameOwner) === get(atSerial);
  if (isTwice && !strips) return faultOf(attributeTwice, at, name, length) !== 0;
  if (isSpaces && !isSpaceValue(value, attributeEnd() - value)) return fault(spaceValue, at) !== 0;
  if (skipped) return true;
  if (isTwice) {
    const frame = topFrame();
    later(sameWithoutPrefix, name, load<u32>(frame), load<u32>(frame, frameNameLength), local, localLength);
    return true;
  }
  const text = JS_NewStringLen(here, value, attributeEnd() - value);
  return tagOf(text) !== tagException && addPair(here, key, text);
}

/** The attributes of a start tag, from behind its name on. */
function readAttributes(here: Context, at: usize): usize {
  while (true) {
    const name = skipSpace(at);
    if (name === at) return at;
    const end = nameEnd(name);
    if (end === name) return name;
    let next = skipSpace(end);
    if (load<u8>(next) !== 0x3d) return fault(attributeValueMissing, next);
    next = skipSpace(next + 1);
    const quote = <u32>load<u8>(next);
    if (quote !== 0x22 && quote !== 0x27) return fault(attributeValueMissing, next);
    at = readAttributeValue(next + 1, quote);
    if (at === 0 || !addAttribute(here, at, name, end - name, next + 1)) return 0;
  }
}

/** The start tag at `at`, or a whole element without content. */
function openElement(here: Context, at: usize, nameStart: usize, end: usize): usize {
  const length = end - nameStart;
  const local = (get(atOptions) & removePrefixes) !== 0 ? behindPrefix(nameStart, length) : nameStart;
  const name = intern(here, local, end - local);
  if (name === 0) return 0;
  const frame = append(here, frames, frameBytes);
  if (frame === 0) return 0;
  const serial = get(atSerial) + 1;
  set(atSerial, serial);
  store<u32>(frame, <u32>nameStart);
  store<u32>(frame, <u32>length, frameNameLength);
  store<u32>(frame, name, frameName);
  store<u32>(frame, lengthOf(pairs), framePairs);
  store<u32>(frame, serial, frameSerial);
  store<u32>(frame, 0, frameHasChildren);
  if (lengthOf(frames) > mostDepth * frameBytes) later(depth, at, nameStart, length, nameStart, 0);
  const next = readAttributes(here, end);
  if (next === 0) return 0;
  if (load<u8>(next) === 0x3e) return next + 1;
  if (load<u16>(next) !== 0x3e2f) return faultOf(startTagOpen, next, nameStart, length);
  return closeElement(here, next, next) ? next + 2 : 0;
}

/** Ends the element that is being read; its last text stands from `from` to `to`. */
function closeElement(here: Context, from: usize, to: usize): bool {
  const frame = topFrame();
  const first = load<u32>(frame, framePairs);
  const name = load<u32>(frame, frameName);
  let value: JSValue;
  const isOrdered = (get(atOptions) & inOrder) !== 0;
  if (lengthOf(pairs) === first && !isOrdered) value = newText(here, from, to);
  else {
    if (to > from && !addText(here, from, to - from)) return false;
    value = isOrdered ? newOrdered(here, first, name) : newObject(here, first, name, load<u32>(topFrame(), frameHasChildren) !== 0);
  }
  if (tagOf(value) === tagException) return false;
  setLength(frames, lengthOf(frames) - frameBytes);
  if (lengthOf(frames) === 0) return finish(here, name, value);
  store<u32>(topFrame(), 1, frameHasChildren);
  return addPair(here, name, value);
}

/** Makes the document's object, which `document` has then: of elements in order, the root itself. */
function finish(here: Context, name: u32, root: JSValue): bool {
  if ((get(atOptions) & inOrder) !== 0) {
    store<u64>(document, root);
    return true;
  }
  const whole = JS_NewObject(here);
  if (tagOf(whole) === tagException) {
    JS_FreeValue(here, root);
    return false;
  }
  store<u64>(document, whole);
  return JS_DefinePropertyValue(here, whole, load<u32>(addressIn(names, name), nameAtom), root, propertyOrdinary) >= 0;
}

function missingEnd(at: usize): usize {
  const frame = topFrame();
  return faultOf(endTagMissing, at, load<u32>(frame), load<u32>(frame, frameNameLength));
}

/** The end tag at `at`. */
function readEndTag(here: Context, at: usize, from: usize, to: usize): usize {
  const frame = topFrame();
  const name: usize = load<u32>(frame);
  const length: usize = load<u32>(frame, frameNameLength);
  const end = at + 2 + length;
  if (end > <usize>get(atEnd) || !sameBytes(at + 2, name, length) || isNameAt(end)) return missingEnd(at);
  const next = skipSpace(end);
  if (load<u8>(next) !== 0x3e) return faultOf(endTagOpen, next, name, length);
  return closeElement(here, from, to) ? next + 1 : 0;
}

/** A CDATA section, from its `<![CDATA[` on (§2.7). Its text is moved down to `to`; the place behind that is in `movedTo`. */
function readCdata(at: usize, to: usize): usize {
  at += 9;
  const end = findSequence(at, 0x3e5d5d, 3);
  if (end === 0) return fault(cdataOpen, at);
  if (allowedUntil(end) === 0) return 0;
  store<u32>(movedTo, <u32>moveText(to, at, end));
  return end + 3;
}

/** An instruction at `stop` between the children of an element, and the text before it. Returns the place behind it. */
function keepInstruction(here: Context, from: usize, to: usize, stop: usize): usize {
  const at = readInstruction(stop);
  if (at === 0 || (to > from && !addText(here, from, to - from))) return 0;
  return addInstruction(here, stop, at) ? at : 0;
}

/** Content of the element that is being read, up to behind its end tag or behind the start tag of its next child (§3.1), or an instruction that is kept. */
function readContent(here: Context, at: usize): usize {
  const from = at;
  let to = at;
  while (true) {
    const stop = findMarkup(at);
    if (stop >= <usize>get(atEnd)) return missingEnd(at);
    const byte = <u32>load<u8>(stop);
    if (stop > at) {
      if (allowedUntil(stop) === 0) return 0;
      to = moveText(to, at, stop);
      if (byte === 0x5d) return fault(cdataEnd, stop);
    } else if (byte === 0x5d) return missingEnd(stop);
    const next = <u32>load<u8>(stop, 1);
    if (byte === 0x26) {
      at = readReference(stop);
      if (at !== 0) to = writeReference(to);
    } else if (next === 0x2f) return readEndTag(here, stop, from, to);
    else if (next === 0x3f && (get(atOptions) & inOrder) !== 0) return keepInstruction(here, from, to, stop);
    else if (next === 0x3f) at = readInstruction(stop);
    else if (load<u32>(stop) === 0x2d2d213c) at = readComment(stop); // "<!--"
    else if (load<u64>(stop) === 0x41544144435b213c && load<u8>(stop, 8) === 0x5b) { // "<![CDATA["
      at = readCdata(stop, to);
      if (at !== 0) to = load<u32>(movedTo);
    } else {
      const end = nameEnd(stop + 1);
      if (end === stop + 1) return missingEnd(stop);
      return to > from && !addText(here, from, to - from) ? 0 : openElement(here, stop, stop + 1, end);
    }
    if (at === 0) return 0;
  }
}

/** A document (§2.1), from the place behind its mark on. */
function readDocument(here: Context, at: usize): usize {
  at = readDeclaration(at);
  if (at !== 0) at = readMisc(at);
  if (at !== 0) at = readDoctype(at);
  if (at !== 0) at = readMisc(at);
  if (at === 0) return 0;
  const end = nameEnd(at + 1);
  if (load<u8>(at) !== 0x3c || end === at + 1) return fault(rootMissing, at);
  at = openElement(here, at, at + 1, end);
  while (at !== 0 && lengthOf(frames) > 0) at = readContent(here, at);
  if (at !== 0) at = readMisc(at);
  return at === 0 || at === <usize>get(atEnd) ? at : fault(contentBehindRoot, at);
}

/** The fault as six numbers: what, where, and the ends of two names; all in bytes from the text's beginning. */
function faultList(here: Context, words: usize): JSValue {
  for (let i: usize = 0; i < 6; i++) store<u64>(numbers + (i << 3), load<u32>(words + (i << 2)));
  return JS_NewArrayFrom(here, 6, numbers);
}

function begin(here: Context): bool {
  for (let field: usize = pairs; field <= atInstruction; field += 4) set(field, 0);
  const isOrdered = (get(atOptions) & inOrder) !== 0;
  const atom = JS_NewAtomLen(here, textName, 5);
  set(atTextAtom, atom);
  return atom !== 0 && beginNames(here) && (!isOrdered || beginOrder(here)) && makeTable(here, pairs, 2048) && makeTable(here, frames, frameBytes * 16);
}

/**
 * The value of an XML text of `length` bytes of UTF-8, in which surrogates may be encoded for themselves: an object, or a list of six numbers
 * that say what is wrong with it; an exception when there is no memory. `arrays` are names with a zero between them.
 */
export function parseXml(here: Context, from: usize, length: usize, options: u32, arrays: usize, arraysLength: usize): JSValue {
  const text = js_malloc(here, length + endBytes);
  if (text === 0) return exceptionValue;
  memory.copy(text, from, length);
  memory.fill(text + length, 0x3c, endBytes);
  set(atText, text);
  set(atEnd, text + length);
  set(atOptions, options);
  set(atSerial, 0);
  set(atReturns, 0);
  set(atArrays, arrays);
  set(atArraysEnd, arrays + arraysLength);
  store<u64>(document, undefinedValue);
  forgetFaults();
  beginValues();
  let whole = false;
  if (begin(here)) {
    const marked = length >= 3 && load<u16>(text) === 0xbbef && load<u8>(text, 2) === 0xbf;
    findBad(text);
    whole = readDocument(here, marked ? text + 3 : text) !== 0;
  }
  endValues(here, false);
  freePairs(here);
  freeTable(here, pairs);
  freeTable(here, frames);
  endNames(here);
  freeTable(here, names);
  for (let field = atTextAtom; field <= atChildrenAtom; field += field === atTextAtom ? atNameAtom - atTextAtom : 4)
    if (get(field) !== 0) JS_FreeAtom(here, get(field));
  js_free(here, text);
  const words = faultFound();
  const value = load<u64>(document);
  if (whole && words === 0) return value;
  JS_FreeValue(here, value);
  return words === 0 || (!whole && !isFault(words)) ? exceptionValue : faultList(here, words);
}
