/** The Streams, Encoding and Compression Standards' streams, in the image of a flow that names them. */

interface QueuingStrategy {
  readonly highWaterMark?: number;
  readonly size?: (piece: any) => number;
}
interface ReadableStreamDefaultController<T> {
  readonly desiredSize: number | null;
  enqueue(piece: T): void;
  close(): void;
  error(reason?: unknown): void;
}
interface ReadableStreamDefaultReader<T> {
  readonly closed: Promise<void>;
  read(): Promise<{ done: false; value: T } | { done: true; value: undefined }>;
  releaseLock(): void;
  cancel(reason?: unknown): Promise<void>;
}
interface UnderlyingSource<T> {
  start?(controller: ReadableStreamDefaultController<T>): void | Promise<void>;
  pull?(controller: ReadableStreamDefaultController<T>): void | Promise<void>;
  cancel?(reason?: unknown): void | Promise<void>;
}
interface StreamPipeOptions {
  readonly preventAbort?: boolean;
  readonly preventCancel?: boolean;
  readonly preventClose?: boolean;
  readonly signal?: AbortSignal;
}
interface ReadableStream<T = any> extends AsyncIterable<T> {
  readonly locked: boolean;
  getReader(): ReadableStreamDefaultReader<T>;
  pipeThrough<U>(
    pair: { readonly readable: ReadableStream<U>; readonly writable: WritableStream },
    options?: StreamPipeOptions,
  ): ReadableStream<U>;
  pipeTo(to: WritableStream<T>, options?: StreamPipeOptions): Promise<void>;
  tee(): [ReadableStream<T>, ReadableStream<T>];
  values(options?: { readonly preventCancel?: boolean }): AsyncIterableIterator<T>;
  cancel(reason?: unknown): Promise<void>;
}
declare var ReadableStream: {
  readonly prototype: ReadableStream;
  new <T = any>(source?: UnderlyingSource<T>, strategy?: QueuingStrategy): ReadableStream<T>;
  from<T>(values: Iterable<T> | AsyncIterable<T>): ReadableStream<T>;
};

interface WritableStreamDefaultController {
  error(reason?: unknown): void;
}
interface WritableStreamDefaultWriter<T> {
  readonly closed: Promise<void>;
  readonly ready: Promise<void>;
  readonly desiredSize: number | null;
  write(piece: T): Promise<void>;
  close(): Promise<void>;
  abort(reason?: unknown): Promise<void>;
  releaseLock(): void;
}
interface UnderlyingSink<T> {
  start?(controller: WritableStreamDefaultController): void | Promise<void>;
  write?(piece: T, controller: WritableStreamDefaultController): void | Promise<void>;
  close?(): void | Promise<void>;
  abort?(reason?: unknown): void | Promise<void>;
}
interface WritableStream<T = any> {
  readonly locked: boolean;
  getWriter(): WritableStreamDefaultWriter<T>;
  close(): Promise<void>;
  abort(reason?: unknown): Promise<void>;
}
declare var WritableStream: {
  readonly prototype: WritableStream;
  new <T = any>(sink?: UnderlyingSink<T>, strategy?: QueuingStrategy): WritableStream<T>;
};

interface TransformStreamDefaultController<T> {
  enqueue(piece: T): void;
  error(reason?: unknown): void;
  terminate(): void;
}
interface Transformer<I, O> {
  start?(controller: TransformStreamDefaultController<O>): void | Promise<void>;
  transform?(piece: I, controller: TransformStreamDefaultController<O>): void | Promise<void>;
  flush?(controller: TransformStreamDefaultController<O>): void | Promise<void>;
}
interface TransformStream<I = any, O = any> {
  readonly readable: ReadableStream<O>;
  readonly writable: WritableStream<I>;
}
declare var TransformStream: {
  readonly prototype: TransformStream;
  new <I = any, O = any>(transformer?: Transformer<I, O>, writable?: QueuingStrategy, readable?: QueuingStrategy): TransformStream<I, O>;
};

declare var TextDecoderStream: {
  new (
    label?: string,
    options?: { readonly fatal?: boolean; readonly ignoreBOM?: boolean },
  ): TransformStream<ArrayBuffer | ArrayBufferView, string>;
};
declare var TextEncoderStream: { new (): TransformStream<string, Uint8Array<ArrayBuffer>> };
type CompressionFormat = "gzip" | "deflate" | "deflate-raw";
/** Compresses whole bodies: it gives one piece, at the end. */
declare var CompressionStream: { new (format: CompressionFormat): TransformStream<ArrayBuffer | ArrayBufferView, Uint8Array<ArrayBuffer>> };
/** Rejects with a TypeError for bytes that are damaged. */
declare var DecompressionStream: {
  new (format: CompressionFormat): TransformStream<ArrayBuffer | ArrayBufferView, Uint8Array<ArrayBuffer>>;
};
declare var CountQueuingStrategy: { new (options: { readonly highWaterMark: number }): QueuingStrategy };
declare var ByteLengthQueuingStrategy: { new (options: { readonly highWaterMark: number }): QueuingStrategy };
