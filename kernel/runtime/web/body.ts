/** Bodies of requests and responses (Fetch Standard, §2.2 and §5.3) that are wholly there. */
import { kernel } from "../link.ts";
import type { Headers } from "./headers.ts";
import { Collected, streams } from "./stream-hook.ts";

export type BodyInit = string | ArrayBuffer | ArrayBufferView | object | null | undefined;
/** Bytes, or an answer whose bytes are read on first touch; undefined for no body. */
export type Source = Uint8Array | InstanceType<typeof kernel.Answer> | Collected | undefined;

const noBytes = new Uint8Array(0);

/** Bytes of a body, and the type it brings along; undefined: no body. */
export function extract(body: BodyInit): { readonly source: Uint8Array | Collected; readonly type: string | undefined } | undefined {
  if (body === null || body === undefined) return undefined;
  if (body instanceof ArrayBuffer || ArrayBuffer.isView(body)) return { source: kernel.viewBytes(body).slice(), type: undefined };
  const collected = typeof body === "object" ? streams?.collected(body) : undefined;
  if (collected !== undefined) return { source: collected, type: undefined };
  const written = typeof body === "object" ? kernel.bodyValue(body) : undefined;
  if (written !== undefined) return { source: written.bytes, type: written.type === "" ? undefined : written.type };
  return { source: kernel.utf8.encode(`${body as string}`), type: "text/plain;charset=UTF-8" };
}

/** Functions that read a body's holder, so that nothing of it shows. */
export let sourceOf: (of: Body) => Source;
export let setSource: (of: Body, source: Source) => void;

/** All bytes, whether read before or not. */
export function bytesOf(of: Body): Uint8Array {
  const source = sourceOf(of);
  if (source === undefined) return noBytes;
  if (source instanceof Collected) {
    if (source.bytes !== undefined) return source.bytes;
    throw new TypeError("the stream of this body has not ended: wait for its end, with new Response(await new Response(stream).bytes())");
  }
  return source instanceof Uint8Array ? source : source.bytes;
}

/** A body: bytes of its own, or those of the answer it came with. */
export abstract class Body {
  #source: Source;
  #used = false;
  #stream: object | undefined;

  static {
    sourceOf = (of) => of.#source;
    setSource = (of, source) => void (of.#source = source);
  }

  abstract get headers(): Headers;

  get bodyUsed(): boolean {
    return this.#used;
  }

  /** Where streams are not linked, since nothing mentions them, `null` as for an empty body. */
  get body(): object | null {
    if (this.#source === undefined || streams === undefined) return null;
    this.#stream ??= streams.of(() => this.#use());
    return this.#stream;
  }

  #use(): Uint8Array | Promise<Uint8Array> {
    if (this.#used) throw new TypeError("the body was read already");
    this.#used = this.#source !== undefined;
    return this.#source instanceof Collected ? this.#source.done : bytesOf(this);
  }

  /** Parses the body. An answer that can't be parsed is its peer's fault and not the program's: the error has a code. */
  async #parsed<T>(parse: (bytes: Uint8Array) => T): Promise<T> {
    const bytes = await this.#use();
    try {
      return parse(bytes);
    } catch (error) {
      if (this.#source instanceof kernel.Answer && (error instanceof SyntaxError || error instanceof TypeError))
        Object.assign(error, { code: "MF_RESPONSE_INVALID" });
      throw error;
    }
  }

  get #type(): string {
    return this.headers.get("content-type") ?? "";
  }

  async arrayBuffer(): Promise<ArrayBuffer> {
    return (await this.#use()).slice().buffer as ArrayBuffer;
  }

  async blob(): Promise<object> {
    return kernel.readBlob(await this.#use(), this.#type);
  }

  async bytes(): Promise<Uint8Array> {
    return (await this.#use()).slice();
  }

  async formData(): Promise<object> {
    return this.#parsed((bytes) => kernel.readForm(bytes, this.#type, "replace"));
  }

  async text(): Promise<string> {
    return kernel.withoutMark(kernel.utf8.decode(await this.#use()));
  }

  async json(): Promise<unknown> {
    return this.#parsed((bytes) => JSON.parse(kernel.withoutMark(kernel.utf8.decode(bytes))) as unknown);
  }
}
