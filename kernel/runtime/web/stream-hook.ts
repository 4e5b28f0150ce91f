/** How bodies and blobs become streams, and streams bodies, where the part `streams` is linked. */

/** A body that comes from a stream, which is read at once. */
export class Collected {
  /** Undefined until the stream has ended. */
  bytes: Uint8Array | undefined;
  readonly done: Promise<Uint8Array>;

  constructor(reading: Promise<Uint8Array>) {
    this.done = reading.then((bytes) => (this.bytes = bytes));
    // A reader of the body gets the error; without one it is no fault.
    this.done.catch(() => undefined);
  }
}

interface Streams {
  /** A stream of the bytes that `read` gives when somebody asks for them. */
  of(read: () => Uint8Array | Promise<Uint8Array>): object;
  /** A body from a stream; undefined for any other value. */
  collected(value: object): Collected | undefined;
}

export let streams: Streams | undefined;

export function setStreams(given: Streams): void {
  streams = given;
}
