/** Talks to a running gateway's admin endpoints. */
import { existsSync } from "node:fs";
import { readdir } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import type { Dispatcher } from "undici";
import type { Headers } from "#abi";
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

/** A gateway's admin endpoints: a UNIX socket, or a URL with a token. */
type Place = { readonly socket: string } | { readonly url: string; readonly token: string | undefined };

/** As told, by MAYFLY_GATEWAY, or the socket of the gateway that mayfly.yaml describes. */
async function placeOf(flags: GatewayFlags, env: Readonly<Record<string, string | undefined>>): Promise<Place> {
  const given = flags.gateway ?? env["MAYFLY_GATEWAY"];
  if (given !== undefined) {
    if (given.startsWith("unix:")) return { socket: given.slice("unix:".length) };
    if (!/^https?:\/\//.test(given)) throw usageError(`--gateway ${given}: give it as http://host:port or unix:/path/to/admin.sock`);
    return { url: given.replace(/\/+$/, ""), token: flags.token ?? env["MAYFLY_TOKEN"] };
  }
  const { adminSocketPaths, readPlaces, socketAnswers } = await import("#gateway");
  const paths = adminSocketPaths(await readPlaces(flags.config, env));
  const socket = paths.find((path) => existsSync(path)) ?? (await nodeSocket(paths, socketAnswers)) ?? paths[0];
  if (socket === undefined)
    throw usageError(`the path of the admin socket beside ${flags.config} is too long: give the gateway's http.admin.port with --gateway`);
  return { socket };
}

/** The socket of a node of a cluster, which has a folder of its own beside that of a gateway alone; the first that answers. */
async function nodeSocket(paths: readonly string[], isServed: (socket: string) => Promise<boolean>): Promise<string | undefined> {
  for (const path of paths) {
    const nodes = await readdir(dirname(path), { withFileTypes: true }).catch(() => []);
    for (const { name } of nodes.filter((each) => each.isDirectory()).sort((a, b) => (a.name < b.name ? -1 : 1))) {
      const socket = join(dirname(path), name, basename(path));
      if (existsSync(socket) && (await isServed(socket))) return socket;
    }
  }
  return undefined;
}

export class AdminClient {
  /** For people: where the gateway is. */
  readonly where: string;
  readonly #url: string;
  readonly #token: string | undefined;
  readonly #socket: string | undefined;
  #dispatcher: Dispatcher | undefined;

  constructor(place: Place) {
    this.where = "socket" in place ? place.socket : place.url;
    this.#url = "socket" in place ? "http://gateway" : place.url;
    this.#token = "socket" in place ? undefined : place.token;
    this.#socket = "socket" in place ? place.socket : undefined;
  }

  static async open(flags: GatewayFlags, env: Readonly<Record<string, string | undefined>>): Promise<AdminClient> {
    return new AdminClient(await placeOf(flags, env));
  }

  /** Rejects with MF_GATEWAY_UNREACHABLE; any answer that is JSON is an answer. */
  async ask(method: string, path: string, body?: Uint8Array, headers: Headers = {}): Promise<AdminAnswer> {
    const response = await this.#fetch(method, path, body, headers);
    const text = await response.body.text();
    try {
      return { status: response.statusCode, value: JSON.parse(text) as unknown };
    } catch {
      throw new CodedError(
        "MF_GATEWAY_ANSWER",
        `${this.where} answered ${path} with ${response.statusCode}, which is not a gateway's answer: check the address`,
      );
    }
  }

  /** The answer's status alone. Rejects with MF_GATEWAY_UNREACHABLE. */
  async status(method: string, path: string): Promise<number> {
    const response = await this.#fetch(method, path, undefined, {});
    await response.body.dump();
    return response.statusCode;
  }

  /** The answer's body in pieces. Rejects with MF_GATEWAY_UNREACHABLE, or MF_GATEWAY_ANSWER for what is no success. */
  async pieces(path: string): Promise<AsyncIterable<Uint8Array>> {
    const response = await this.#fetch("GET", path, undefined, {});
    if (response.statusCode >= 200 && response.statusCode <= 299) return response.body as AsyncIterable<Uint8Array>;
    throw new CodedError(
      "MF_GATEWAY_ANSWER",
      `${this.where} answered ${path} with ${response.statusCode}: ${(await response.body.text()).slice(0, 500)}`,
    );
  }

  async #fetch(method: string, path: string, body: Uint8Array | undefined, headers: Headers): Promise<Dispatcher.ResponseData> {
    const { Agent, request } = await import("undici");
    if (this.#socket !== undefined) this.#dispatcher ??= new Agent({ connect: { socketPath: this.#socket } });
    try {
      return await request(`${this.#url}${path}`, {
        method: method as "GET",
        headers: {
          ...(headers as Record<string, string | string[]>),
          ...(this.#token === undefined ? {} : { authorization: `Bearer ${this.#token}` }),
        },
        ...(body === undefined ? {} : { body }),
        ...(this.#dispatcher === undefined ? {} : { dispatcher: this.#dispatcher }),
      });
    } catch (cause) {
      const why = (cause as { code?: string }).code ?? (cause as Error).message;
      throw new CodedError(
        "MF_GATEWAY_UNREACHABLE",
        `no gateway answers at ${this.where} (${why}): start it with \`mayfly serve\`, or give its address with --gateway`,
        { cause },
      );
    }
  }

  /** As `ask`, but what is no success is an error: the problem's own code and words. */
  async get(method: string, path: string, body?: Uint8Array, headers?: Headers): Promise<unknown> {
    const { status, value } = await this.ask(method, path, body, headers);
    if (status < 400) return value;
    const { code = "MF_GATEWAY_ANSWER", detail = `the gateway answered ${status}` } = value as { code?: string; detail?: string };
    throw new CodedError(
      code,
      status === 404 && code === "MF_NOT_FOUND"
        ? `${this.where} has no ${path}: check that it exists and that --gateway names http.admin.port`
        : detail,
    );
  }
}
