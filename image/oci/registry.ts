/**
 * A registry, by the OCI distribution specification 1.1: blobs and manifests of one repository. HTTPS, but for a registry on this computer.
 *
 *   push   HEAD blob ─▶ POST uploads ─▶ PUT blob, for each ─▶ PUT manifest
 *   pull   GET manifest ─▶ GET blob, compared with its digest
 */
import { CodedError } from "#base";
import { type Blob, checkBlob, type Descriptor, digestOf, mediaTypes, parseObject } from "./artefact.ts";
import { ociLimits } from "./limits.ts";
import type { Reference } from "./reference.ts";

export interface Credentials {
  readonly user: string;
  readonly password: string;
}

export interface RegistryOptions {
  /** Asked once, when the registry wants to know who it is. Undefined: nobody. */
  readonly credentials: (host: string) => Promise<Credentials | undefined>;
}

type Body = { readonly type: string; readonly bytes: Uint8Array };

interface Call {
  readonly method: "GET" | "HEAD" | "POST" | "PUT";
  readonly url: URL;
  readonly accept?: string;
  readonly body?: Body | undefined;
  /** Longest body of the answer, in bytes. */
  readonly most: number;
}

interface Answer {
  readonly status: number;
  readonly headers: Headers;
  readonly bytes: Uint8Array;
}

const loopback = /^(?:localhost|127(?:\.\d{1,3}){3}|\[::1\])(?::\d+)?$/i;

/** True where nobody else can listen. */
function isConfidential({ protocol, host }: URL): boolean {
  return protocol === "https:" || (protocol === "http:" && loopback.test(host));
}

/** Docker Hub is served under another name than it is called by. */
const servedAt: Readonly<Record<string, string>> = { "docker.io": "registry-1.docker.io" };

export class Registry {
  readonly #reference: Reference;
  readonly #base: URL;
  readonly #options: RegistryOptions;
  #authorization: string | undefined;
  #credentials: Promise<Credentials | undefined> | undefined;

  constructor(reference: Reference, options: RegistryOptions) {
    const { host, repository } = reference;
    this.#reference = reference;
    this.#options = options;
    this.#base = new URL(`${loopback.test(host) ? "http" : "https"}://${servedAt[host] ?? host}/v2/${repository}/`);
  }

  /** Puts blobs that are not there, then the manifest under a tag or its own digest. Gives the number of bytes sent. */
  async push({ manifest, blobs }: { readonly manifest: Blob; readonly blobs: readonly Blob[] }, tag: string | undefined): Promise<number> {
    let sent = 0;
    for (const blob of blobs) sent += await this.#putBlob(blob);
    const url = new URL(`manifests/${tag ?? manifest.digest}`, this.#base);
    await this.#expect(201, { method: "PUT", url, body: { type: mediaTypes.manifest, bytes: manifest.bytes }, most: ociLimits.errorBytes });
    return sent + manifest.bytes.length;
  }

  /** By tag or digest; undefined when it is missing. What came under a digest is compared with it. Throws MF_ARTEFACT_INVALID, MF_REGISTRY_… */
  async manifest(name: string): Promise<Blob | undefined> {
    const url = new URL(`manifests/${name}`, this.#base);
    const answer = await this.#call({ method: "GET", url, accept: mediaTypes.manifest, most: ociLimits.manifestBytes });
    if (answer.status === 404) return undefined;
    if (answer.status !== 200) throw this.#refused(answer);
    const blob = { digest: digestOf(answer.bytes), bytes: answer.bytes };
    if (name.startsWith("sha256:")) checkBlob({ digest: name, size: blob.bytes.length }, blob.bytes);
    return blob;
  }

  /** Compared with its descriptor. Throws MF_ARTEFACT_INVALID, MF_REGISTRY_… */
  async blob(descriptor: Descriptor, most: number): Promise<Uint8Array> {
    if (descriptor.size > most)
      throw new CodedError("MF_ARTEFACT_INVALID", `the artefact's manifest promises ${descriptor.size} bytes, more than ${most}`);
    const url = new URL(`blobs/${descriptor.digest}`, this.#base);
    const { bytes } = await this.#expect(200, { method: "GET", url, most: descriptor.size });
    checkBlob(descriptor, bytes);
    return bytes;
  }

  async #putBlob({ digest, bytes }: Blob): Promise<number> {
    const there = await this.#call({ method: "HEAD", url: new URL(`blobs/${digest}`, this.#base), most: 0 });
    if (there.status === 200) return 0;
    const { headers } = await this.#expect(202, { method: "POST", url: new URL("blobs/uploads/", this.#base), most: ociLimits.errorBytes });
    const url = new URL(headers.get("location") ?? "", this.#base);
    // A registry may name another path of its own, or the store behind it; what it names must not be reached in the clear.
    if (!isConfidential(url))
      throw new CodedError(
        "MF_REGISTRY_REFUSED",
        `${this.#reference.host} wants the upload at ${url.origin}, without TLS: the push is refused`,
      );
    url.searchParams.set("digest", digest);
    await this.#expect(201, { method: "PUT", url, body: { type: "application/octet-stream", bytes }, most: ociLimits.errorBytes });
    return bytes.length;
  }

  async #expect(status: number, call: Call): Promise<Answer> {
    const answer = await this.#call(call);
    if (answer.status !== status) throw this.#refused(answer);
    return answer;
  }

  /** One request; again with a token where the registry asks for one. */
  async #call(call: Call): Promise<Answer> {
    const answer = await this.#persistently(call);
    if (answer.status !== 401) return answer;
    this.#authorization = await this.#authorize(answer.headers.get("www-authenticate") ?? "");
    return this.#authorization === undefined ? answer : await this.#persistently(call);
  }

  /** Only the registry's own origin gets an authorization that was not given. */
  async #persistently(
    call: Call,
    authorization = call.url.origin === this.#base.origin ? this.#authorization : undefined,
  ): Promise<Answer> {
    for (let left = ociLimits.tries; ; left -= 1) {
      const answer = await this.#once(call, authorization).catch((error: unknown) => {
        if (left <= 1 || error instanceof CodedError) throw error instanceof CodedError ? error : this.#unreachable(error);
        return undefined;
      });
      const isBusy = answer !== undefined && (answer.status >= 500 || answer.status === 429);
      if (answer !== undefined && (!isBusy || left <= 1)) return answer;
      await new Promise((resolve) => setTimeout(resolve, ociLimits.retryMs * (1 + ociLimits.tries - left)));
    }
  }

  /** fetch drops the authorization where a redirect leads to another origin: a store of blobs gets no token of the registry. */
  async #once({ method, url, accept, body, most }: Call, authorization: string | undefined): Promise<Answer> {
    const response = await fetch(url, {
      method,
      headers: {
        ...(accept === undefined ? {} : { accept }),
        ...(body === undefined ? {} : { "content-type": body.type }),
        ...(authorization === undefined ? {} : { authorization }),
      },
      body: body === undefined ? null : (body.bytes as Uint8Array<ArrayBuffer>),
      signal: AbortSignal.timeout(body === undefined && most <= ociLimits.manifestBytes ? ociLimits.answerMs : ociLimits.wholeMs),
    });
    const failed = response.status >= 400;
    const bytes = await this.#bounded(response, failed ? ociLimits.errorBytes : most, failed);
    return { status: response.status, headers: response.headers, bytes };
  }

  /** The body; of an answer that is an error as much as is shown. */
  async #bounded(response: Response, most: number, isCut: boolean): Promise<Uint8Array> {
    const parts: Uint8Array[] = [];
    let length = 0;
    for await (const part of (response.body ?? []) as AsyncIterable<Uint8Array>) {
      if (length + part.length > most) {
        if (isCut) break;
        throw new CodedError("MF_ARTEFACT_INVALID", `${this.#reference.host} sent more than the ${most} bytes it had promised`);
      }
      parts.push(part);
      length += part.length;
    }
    return Buffer.concat(parts);
  }

  /** The header to come again with, by RFC 7235 and Docker's token protocol; undefined where nothing is known that would help. */
  async #authorize(challenge: string): Promise<string | undefined> {
    this.#credentials ??= this.#options.credentials(this.#reference.host);
    const known = await this.#credentials;
    const basic = known === undefined ? undefined : `Basic ${Buffer.from(`${known.user}:${known.password}`).toString("base64")}`;
    const scheme = /^\s*(\w+)/.exec(challenge)?.[1]?.toLowerCase();
    if (scheme === "basic") return this.#authorization === basic ? undefined : basic;
    if (scheme !== "bearer") return undefined;
    const values = new Map([...challenge.matchAll(/(\w+)="([^"]*)"/g)].map(([, name = "", value = ""]) => [name.toLowerCase(), value]));
    const realm = values.get("realm");
    const url = realm !== undefined && URL.canParse(realm) ? new URL(realm) : undefined;
    if (url === undefined || !isConfidential(url)) return undefined;
    for (const name of ["service", "scope"] as const) {
      const value = values.get(name);
      if (value !== undefined) url.searchParams.set(name, value);
    }
    const answer = await this.#persistently({ method: "GET", url, most: ociLimits.manifestBytes }, basic);
    if (answer.status !== 200) return undefined;
    const { token, access_token: access } = parseObject(answer.bytes, "token");
    const text = typeof token === "string" ? token : access;
    return typeof text === "string" && /^[\x21-\x7e]+$/.test(text) ? `Bearer ${text}` : undefined;
  }

  #refused({ status, bytes }: Answer): CodedError {
    const { host, repository } = this.#reference;
    const text = shown(bytes);
    if (status === 401 || status === 403)
      return new CodedError(
        "MF_REGISTRY_DENIED",
        `${host} does not let us at ${repository} (${status}${text}): log in with \`docker login ${host}\`, or set MAYFLY_REGISTRY_USER and MAYFLY_REGISTRY_PASSWORD`,
      );
    return new CodedError("MF_REGISTRY_REFUSED", `${host} answered ${status} for ${repository}${text}`);
  }

  #unreachable(cause: unknown): CodedError {
    const { cause: inner } = cause as { cause?: { code?: string; message?: string } };
    const why = inner?.code ?? inner?.message ?? (cause as Error).message;
    return new CodedError("MF_REGISTRY_UNREACHABLE", `${this.#reference.host} can't be reached (${why})`, { cause });
  }
}

/** The registry's own words, if it has any. */
function shown(bytes: Uint8Array): string {
  try {
    const { errors } = parseObject(bytes, "answer");
    const [first] = errors as readonly { readonly code?: unknown; readonly message?: unknown }[];
    const text = `${String(first?.code)}: ${String(first?.message)}`.replace(/[^\x20-\x7e]/g, "?");
    return `, ${text.slice(0, ociLimits.shownCharacters)}`;
  } catch {
    return "";
  }
}
