/** A gateway's endpoints of functions, for the commands that deploy, list and change them. */
import { type Command, InvalidArgumentError, Option } from "commander";
import { CodedError, isCoded } from "#base";
import { AdminClient, type GatewayFlags } from "./admin.ts";
import { gatewayOptions } from "./gateway-options.ts";
import type { Terminal } from "./terminal.ts";

export interface FunctionFlags extends GatewayFlags {
  readonly tenant?: string;
  readonly revision?: number;
  readonly json?: boolean;
}

function revisionNumber(text: string): number {
  if (!/^\d{1,16}$/.test(text)) throw new InvalidArgumentError("It must be a revision, as `mayfly functions show` prints it.");
  return Number(text);
}

/** Options of every command of functions. */
export function functionOptions(command: Command): Command {
  return gatewayOptions(command).option("--tenant <name>", "act for this tenant, with the operator's token (default: the key's tenant)");
}

/** Options of a command that changes one. */
export function changeOptions(command: Command): Command {
  return functionOptions(command).addOption(
    new Option("--revision <number>", "change it only at this revision; otherwise MF_FUNCTION_CHANGED").argParser(revisionNumber),
  );
}

export class FunctionsClient {
  readonly #client: AdminClient;
  readonly #tenant: string | undefined;
  readonly #revision: number | undefined;

  constructor(client: AdminClient, { tenant, revision }: FunctionFlags) {
    this.#client = client;
    this.#tenant = tenant;
    this.#revision = revision;
  }

  static async open(flags: FunctionFlags, env: Terminal["env"]): Promise<FunctionsClient> {
    return new FunctionsClient(await AdminClient.open(flags, env), flags);
  }

  /** Asks `/api/PATH`. Rejects with the gateway's code and words. */
  async ask<T>(method: string, path: string, body?: object | Uint8Array, query: Readonly<Record<string, string>> = {}): Promise<T> {
    const bytes = body === undefined || body instanceof Uint8Array ? body : Buffer.from(JSON.stringify(body));
    try {
      return (await this.#client.get(method, this.#path(path, query), bytes, this.#fence(method))) as T;
    } catch (error) {
      if (!isCoded(error) || error.code !== "MF_NOT_FOUND") throw error;
      throw new CodedError(
        "MF_FUNCTIONS_OFF",
        `the gateway at ${this.#client.where} serves no functions: add \`functions: {}\` to its mayfly.yaml and restart it`,
        { cause: error },
      );
    }
  }

  /** True where the gateway has the image. */
  async hasImage(sha256: string): Promise<boolean> {
    const status = await this.#client.status("HEAD", this.#path(`images/sha256:${sha256}`, {}));
    if (status === 401 || status === 403)
      throw new CodedError(
        "MF_ADMIN_DENIED",
        `${this.#client.where} does not take the token for deploys: give http.admin.token, or a key with the scope deploy, with --token`,
      );
    return status === 200;
  }

  #path(path: string, query: Readonly<Record<string, string>>): string {
    const parameters = new URLSearchParams({ ...query, ...(this.#tenant === undefined ? {} : { tenant: this.#tenant }) });
    return `/api/${path}${parameters.size === 0 ? "" : `?${parameters.toString()}`}`;
  }

  #fence(method: string): Record<string, string> {
    if (this.#revision === undefined || method === "GET") return {};
    return this.#revision === 0 ? { "if-none-match": "*" } : { "if-match": `"${this.#revision}"` };
  }
}
