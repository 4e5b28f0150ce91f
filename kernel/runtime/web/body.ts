/** Bodies of requests and responses (Fetch Standard, §2.2 and §5.3) that are wholly there. */
import { kernel } from "../link.ts";
import type { Headers } from "./headers.ts";

export type BodyInit = string | ArrayBuffer | ArrayBufferView | object | null | undefined;
/** Bytes, or an answer whose bytes are read on first touch; undefined for no body. */
export type Source = Uint8Array | InstanceType<typeof kernel.Answer> | undefined;

const noBytes = new Uint8Array(0);

/** Bytes of a body, and the type it brings along; undefined: no body. */
export function extract(body: BodyInit): { readonly source: Uint8Array; readonly type: string | undefined } | undefined {
  if (body === null || body === undefined) return undefined;
  if (body instanceof ArrayBuffer || ArrayBuffer.isView(body)) return { source: kernel.viewBytes(body).slice(), type: undefined };
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
  return source instanceof Uint8Array ? source : source.bytes;
}

/** A body: bytes of its own, or those of the answer it came with. */
export abstract class Body {
  #source: Source;
  #used = false;

  static {
    sourceOf = (of) => of.#source;
    setSource = (of, source) => void (of.#source = source);
  }

  abstract get headers(): Headers;

  get bodyUsed(): boolean {
    return this.#used;
  }

  /** There is no stream: `null`, as for an empty body. */
  get body(): null {
    return null;
  }

  #use(): Uint8Array {
    if (this.#used) throw new TypeError("the body was read already");
    this.#used = this.#source !== undefined;
    return bytesOf(this);
  }

  /** Parses the body. An answer that can't be parsed is its peer's fault and not the program's: the error has a code. */
  #parsed<T>(parse: (bytes: Uint8Array) => T): T {
    const bytes = this.#use();
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
    return this.#use().slice().buffer as ArrayBuffer;
  }

  async blob(): Promise<object> {
    return kernel.readBlob(this.#use(), this.#type);
  }

  async bytes(): Promise<Uint8Array> {
    return this.#use().slice();
  }

  async formData(): Promise<object> {
    return this.#parsed((bytes) => kernel.readForm(bytes, this.#type, "replace"));
  }

  async text(): Promise<string> {
    return kernel.withoutMark(kernel.utf8.decode(this.#use()));
  }

  async json(): Promise<unknown> {
    return this.#parsed((bytes) => JSON.parse(kernel.withoutMark(kernel.utf8.decode(bytes))) as unknown);
  }
}
