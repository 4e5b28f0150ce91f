/**
 * The part `streams`: the classes of the Streams Standard, by the package web-streams-polyfill, and the streams of encodings. Bodies are wholly
 * there: their streams have one piece, and a stream that becomes a body is read to its end first.
 */
import * as standard from "web-streams-polyfill";
import type { Bytes } from "../charset.ts";
import { kernel } from "../link.ts";
import { Collected, setStreams } from "./stream-hook.ts";

interface Controller {
  enqueue(piece: unknown): void;
  close(): void;
}
interface Reader {
  read(): Promise<{ readonly done: boolean; readonly value: unknown }>;
}
interface Readable {
  getReader(): Reader;
}
interface Transform {
  readonly readable: object;
  readonly writable: object;
}
interface Classes {
  readonly ReadableStream: new (source: { pull(controller: Controller): Promise<void>; type?: "bytes" }, strategy: object) => Readable;
  readonly TransformStream: new (transformer: {
    transform(piece: unknown, controller: Controller): void;
    flush?(controller: Controller): void;
  }) => Transform;
}
const { ReadableStream, TransformStream } = standard as unknown as Classes;

function joined(pieces: readonly Uint8Array[]): Uint8Array {
  const whole = new Uint8Array(pieces.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const piece of pieces) {
    whole.set(piece, at);
    at += piece.length;
  }
  return whole;
}

/** A piece as bytes. Throws TypeError for any other value. */
export function bytesOf(piece: unknown): Uint8Array {
  if (piece instanceof ArrayBuffer || ArrayBuffer.isView(piece)) return kernel.viewBytes(piece as Bytes).slice();
  throw new TypeError("a piece of the stream is neither an ArrayBuffer nor a view of one");
}

async function collect(stream: Readable): Promise<Uint8Array> {
  const reader = stream.getReader();
  const pieces: Uint8Array[] = [];
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return joined(pieces);
    pieces.push(bytesOf(value));
  }
}

/** A stream of the bytes that `read` gives when somebody asks for them. */
function streamOf(read: () => Uint8Array | Promise<Uint8Array>): object {
  async function pull(controller: Controller): Promise<void> {
    const bytes = await read();
    if (bytes.length > 0) controller.enqueue(bytes.slice());
    controller.close();
  }
  return new ReadableStream({ type: "bytes", pull }, { highWaterMark: 0 });
}

setStreams({
  of: streamOf,
  collected: (value) => (value instanceof ReadableStream ? new Collected(collect(value)) : undefined),
});

/** A pair of streams around one that makes pieces of pieces. */
export class PairOfStreams {
  readonly #pair: Transform;

  constructor(transform: (piece: unknown, controller: Controller) => void, flush: (controller: Controller) => void) {
    this.#pair = new TransformStream({ transform, flush });
  }

  get readable(): object {
    return this.#pair.readable;
  }

  get writable(): object {
    return this.#pair.writable;
  }
}

interface Decoder {
  readonly encoding: string;
  readonly fatal: boolean;
  readonly ignoreBOM: boolean;
  decode(bytes?: Uint8Array, options?: { readonly stream: boolean }): string;
}
const globals = globalThis as unknown as {
  readonly TextDecoder: new (label?: string, options?: object) => Decoder;
  readonly Blob?: { readonly prototype: { bytes(this: object): Promise<Uint8Array> } };
};

class TextDecoderStream extends PairOfStreams {
  readonly #decoder: Decoder;

  constructor(label = "utf-8", options: object = {}) {
    const decoder = new globals.TextDecoder(label, options);
    const say = (text: string, controller: Controller): void => void (text !== "" && controller.enqueue(text));
    super(
      (piece, controller) => say(decoder.decode(bytesOf(piece), { stream: true }), controller),
      (controller) => say(decoder.decode(), controller),
    );
    this.#decoder = decoder;
  }

  get encoding(): string {
    return this.#decoder.encoding;
  }

  get fatal(): boolean {
    return this.#decoder.fatal;
  }

  get ignoreBOM(): boolean {
    return this.#decoder.ignoreBOM;
  }
}

class TextEncoderStream extends PairOfStreams {
  constructor() {
    // The first half of a character may come with one piece, and the second with the next.
    let half = "";
    super(
      (piece, controller) => {
        const text = half + `${piece as string}`;
        half = /[\ud800-\udbff]$/.test(text) ? text.slice(-1) : "";
        const bytes = kernel.utf8.encode(half === "" ? text : text.slice(0, -1));
        if (bytes.length > 0) controller.enqueue(bytes);
      },
      (controller) => void (half !== "" && controller.enqueue(kernel.utf8.encode(half))),
    );
  }

  get encoding(): string {
    return "utf-8";
  }
}

kernel.onBody((value) => {
  if (value instanceof ReadableStream)
    throw new TypeError("a stream can't be sent: read it first, with await new Response(stream).bytes()");
  return undefined;
});

/** A blob that nobody asks for a stream has no such method. */
if (globals.Blob !== undefined) {
  const { bytes } = globals.Blob.prototype;
  function stream(this: object): object {
    return streamOf(() => bytes.call(this));
  }
  Object.defineProperty(globals.Blob.prototype, "stream", { value: stream, writable: true, enumerable: true, configurable: true });
}

const all = { ...standard, TextDecoderStream, TextEncoderStream };
for (const [name, value] of Object.entries(all)) kernel.define(name, value);

/** Node's module `stream/web`. */
export default all;
