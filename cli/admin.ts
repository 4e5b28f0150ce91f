/** Talks to a running gateway's admin endpoints. */
import { existsSync } from "node:fs";
import { CodedError } from "#base";
import { usageError } from "./failure.ts";

export interface GatewayFlags {
  readonly config: string;
  readonly gateway?: string;
  readonly token?: string;
}

export interface AdminAnswer {
  readonly status: number;
  readonly value: unknown;
}

/** Where the gateway listens: as told, by MAYFLY_GATEWAY, or as mayfly.yaml says. */
async function gatewayAt(
  flags: GatewayFlags,
  env: Readonly<Record<string, string | undefined>>,
): Promise<{ readonly url: string; readonly token: string | undefined }> {
  const token = flags.token ?? env["MAYFLY_TOKEN"];
  const given = flags.gateway ?? env["MAYFLY_GATEWAY"];
  if (given !== undefined) {
    if (!/^https?:\/\//.test(given)) throw usageError(`--gateway ${given}: give it as http://host:port`);
    return { url: given.replace(/\/+$/, ""), token };
  }
  if (!existsSync(flags.config)) return { url: "http://127.0.0.1:8080", token };
  const { loadConfig } = await import("#gateway");
  const { http } = await loadConfig(flags.config);
  const host = http.host === "0.0.0.0" || http.host === "::" ? "127.0.0.1" : http.host;
  return { url: `${http.tls === undefined ? "http" : "https"}://${host}:${http.port}`, token: token ?? http.admin.token };
}

export class AdminClient {
  readonly url: string;
  readonly #token: string | undefined;

  constructor(url: string, token: string | undefined) {
    this.url = url;
    this.#token = token;
  }

  static async open(flags: GatewayFlags, env: Readonly<Record<string, string | undefined>>): Promise<AdminClient> {
    const { url, token } = await gatewayAt(flags, env);
    return new AdminClient(url, token);
  }

  /** Rejects with MF_GATEWAY_UNREACHABLE; any answer that is JSON is an answer. */
  async ask(method: string, path: string, body?: Uint8Array, headers: Readonly<Record<string, string>> = {}): Promise<AdminAnswer> {
    const response = await this.#fetch(method, path, body, headers);
    const text = await response.text();
    try {
      return { status: response.status, value: JSON.parse(text) as unknown };
    } catch {
      throw new CodedError(
        "MF_GATEWAY_ANSWER",
        `${this.url}${path} answered ${response.status} with something that is not a gateway's answer: check the address`,
      );
    }
  }

  /** The answer's body in pieces. Rejects with MF_GATEWAY_UNREACHABLE, or MF_GATEWAY_ANSWER for what is no success. */
  async pieces(path: string): Promise<AsyncIterable<Uint8Array>> {
    const response = await this.#fetch("GET", path, undefined, {});
    if (response.ok && response.body !== null) return response.body as unknown as AsyncIterable<Uint8Array>;
    throw new CodedError("MF_GATEWAY_ANSWER", `${this.url}${path} answered ${response.status}: ${(await response.text()).slice(0, 500)}`);
  }

  async #fetch(method: string, path: string, body: Uint8Array | undefined, headers: Readonly<Record<string, string>>): Promise<Response> {
    const guard = this.#token === undefined ? { "mayfly-admin": "1" } : { authorization: `Bearer ${this.#token}` };
    try {
      return await fetch(`${this.url}${path}`, {
        method,
        headers: { ...headers, ...guard },
        ...(body === undefined ? {} : { body: body as unknown as ArrayBuffer }),
      });
    } catch (cause) {
      const why = (cause as { cause?: { code?: string } }).cause?.code ?? (cause as Error).message;
      throw new CodedError(
        "MF_GATEWAY_UNREACHABLE",
        `no gateway answers at ${this.url} (${why}): start it with \`mayfly serve\`, or say where it is with --gateway`,
        { cause },
      );
    }
  }

  /** As `ask`, but what is no success is an error: the problem's own code and words. */
  async get(method: string, path: string, body?: Uint8Array, headers?: Readonly<Record<string, string>>): Promise<unknown> {
    const { status, value } = await this.ask(method, path, body, headers);
    if (status < 400) return value;
    const { code = "MF_GATEWAY_ANSWER", detail = `the gateway answered ${status}` } = value as { code?: string; detail?: string };
    throw new CodedError(
      code,
      status === 404 && code === "MF_NOT_FOUND" ? `${this.url} has no ${path}: is it there, and is http.admin enabled?` : detail,
    );
  }
}
