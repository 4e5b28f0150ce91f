/**
 * The kernel object: how a flow's bundle, which is built apart, reaches the kernel that is already there. flow.ts offers the first
 * part of it to authors; the rest is for the parts that are linked on demand (link.ts).
 */
import { abandonCall, Answer, call, lastCall } from "./calls.ts";
import { bodyValue, onBlob, onBody, onForm, readBlob, readForm } from "./bodies.ts";
import {
  addCharset,
  addCodec,
  decodeSingle,
  decoderOf,
  decodeText,
  decodeUtf16,
  encodingOf,
  knownCharsets,
  markedEncoding,
  viewBytes,
  wideText,
  withoutMark,
} from "./charset.ts";
import { flow } from "./definition.ts";
import { requireHandler, setHeldBack } from "./effects.ts";
import { fail, fetchFailed, FlowError } from "./errors.ts";
import { serialised } from "./content.ts";
import { outletsOfFlow } from "./context.ts";
import { csv, notLinked, xml } from "./formats.ts";
import { show, write } from "./log.ts";
import { native, uncaught } from "./machine.ts";
import { Message, type SampleParts } from "./message.ts";
import { batchItems, onReading } from "./readers.ts";
import { onResponse } from "./reply.ts";
import { onSignal } from "./signal.ts";
import { milliseconds, setTimeout, sleep } from "./timers.ts";
import { json, text, timingSafeEqual } from "./values.ts";
import { onWarm } from "./warming.ts";
import { define } from "./web/install.ts";
import { linkZone, zone } from "./zone.ts";

/** Key of the kernel object among the globals, from `boot()` to `setFlow()`. */
export const kernelName: symbol = Symbol.for("mayfly.kernel");

const utf8 = {
  encode: (value: string): Uint8Array => native.encodeUtf8(value),
  decode: (bytes: Uint8Array): string => native.decodeUtf8(bytes, false),
};

export const kernel = {
  flow,
  fail,
  FlowError,
  json,
  text,
  xml,
  csv,
  zone,
  linkZone,
  timingSafeEqual,
  get native() {
    return native;
  },
  define,
  utf8,
  decodeText,
  decodeUtf16,
  decodeSingle,
  decoderOf,
  addCharset,
  addCodec,
  encodingOf,
  knownCharsets,
  markedEncoding,
  wideText,
  viewBytes,
  withoutMark,
  show,
  write,
  milliseconds,
  setTimeout,
  onReading,
  get batchItems() {
    return batchItems;
  },
  notLinked,
  sleep,
  onSignal,
  onResponse,
  fetchFailed,
  onBody,
  bodyValue,
  onForm,
  readForm,
  onBlob,
  readBlob,
  requireHandler,
  setHeldBack,
  serialised,
  sampleMessage: (parts: SampleParts): Message => Message.sample(parts),
  outletsOfFlow,
  onWarm,
  call,
  lastCall,
  abandonCall,
  Answer,
  uncaught: (error: unknown): void => uncaught(error),
};
export type Kernel = typeof kernel;
