/**
 * Credentials that an outlet shows its server. OAuth 2 with the client's own credentials (RFC 6749, 4.4): a token is kept until shortly before
 * its end, fetched once for all outlets of one client, and fetched anew when the server refuses it before.
 */
import { createHash } from "node:crypto";
import type { Agent } from "undici";
import type { Headers } from "#abi";
import { type Clock, CodedError, fromUtf8, type MemoryAccount, toUtf8 } from "#base";
import { exchange, isUnreached, type JsonSchema, OutletError } from "#gateway/contract";
import { httpLimits } from "./limits.ts";

export interface OAuth2Config {
  readonly tokenUrl: string;
  readonly clientId: string;
  readonly clientSecret: string;
  readonly scope?: string;
  readonly audience?: string;
  readonly credentials: "header" | "body";
}

export interface OutletAuthConfig {
  readonly bearer?: string;
  /** `user:password` */
  readonly basic?: string;
  readonly apiKey?: { readonly header: string; readonly key: string };
  readonly oauth2?: OAuth2Config;
}

const text = { type: "string", minLength: 1 } as const;

export const outletAuthSchema: JsonSchema = {
  type: "object",
  additionalProperties: false,
  minProperties: 1,
  maxProperties: 1,
  description: "Credentials of every request. Default: none but those in `url` and `headers`.",
  properties: {
    bearer: { ...text, description: "Token, sent as `Authorization: Bearer …`.", examples: ["${ERP_TOKEN}"] },
    basic: {
      ...text,
      pattern: "^[^:]+:",
      patternErrorMessage: "must be user:password",
      description: "`user:password`, sent as `Authorization: Basic …`.",
    },
    apiKey: {
      type: "object",
      additionalProperties: false,
      required: ["key"],
      description: "A key in a header.",
      properties: {
        header: {
          type: "string",
          default: "x-api-key",
          pattern: "^[a-z0-9-]+$",
          patternErrorMessage: "must be a header name in lower case",
          description: "Name of the header.",
        },
        key: { ...text, description: "The key.", examples: ["${ERP_KEY}"] },
      },
    },
    oauth2: {
      type: "object",
      additionalProperties: false,
      required: ["tokenUrl", "clientId", "clientSecret"],
      description: "OAuth 2, client credentials: a token is fetched when it is first needed, renewed before its end, and once after a 401.",
      properties: {
        tokenUrl: {
          ...text,
          pattern: "^https?://",
          patternErrorMessage: "must begin with http:// or https://",
          description: "Where tokens are fetched.",
          examples: ["https://login.example.com/oauth2/token"],
        },
        clientId: { ...text, description: "The client.", examples: ["mayfly"] },
        clientSecret: { ...text, description: "Its secret.", examples: ["${CLIENT_SECRET}"] },
        scope: { ...text, description: "Scopes, with spaces between them." },
        audience: { ...text, description: "Audience, where the server wants one." },
        credentials: {
          type: "string",
          enum: ["header", "body"],
          default: "header",
          description: "Where the client's credentials go: the Basic header, or the form.",
        },
      },
    },
  },
};

interface Token {
  readonly header: string;
  /** By the monotonic clock. */
  readonly renewMs: number;
}

export interface TokenPorts {
  readonly clock: Clock;
  readonly memory: MemoryAccount;
  readonly agent: () => Promise<Agent>;
}

/** The token of one client, for every outlet that is it. */
class Tokens {
  users = 0;
  readonly #config: OAuth2Config;
  #token: Token | undefined;
  #fetching: Promise<Token> | undefined;

  constructor(config: OAuth2Config) {
    this.#config = config;
  }

  async header(ports: TokenPorts): Promise<string> {
    if (this.#token !== undefined && ports.clock.monotonicMs() < this.#token.renewMs) return this.#token.header;
    this.#fetching ??= this.#fetch(ports).finally(() => (this.#fetching = undefined));
    return (await this.#fetching).header;
  }

  /** The server refused it, whatever it was said to be good for. */
  refused(header: string): void {
    if (this.#token?.header === header) this.#token = undefined;
  }

  async #fetch({ clock, memory, agent }: TokenPorts): Promise<Token> {
    const { tokenUrl, clientId, clientSecret, scope, audience, credentials } = this.#config;
    const form = new URLSearchParams({ grant_type: "client_credentials" });
    if (scope !== undefined) form.set("scope", scope);
    if (audience !== undefined) form.set("audience", audience);
    const headers: Record<string, string> = { "content-type": "application/x-www-form-urlencoded", accept: "application/json" };
    if (credentials === "header") {
      const pair = [clientId, clientSecret].map((part) => new URLSearchParams({ "": part }).toString().slice(1)).join(":");
      headers["authorization"] = `Basic ${Buffer.from(pair).toString("base64")}`;
    } else {
      form.set("client_id", clientId);
      form.set("client_secret", clientSecret);
    }
    const asked = clock.monotonicMs();
    const url = new URL(tokenUrl);
    const signal = AbortSignal.timeout(httpLimits.tokenMs);
    const answer = await exchange(await agent(), { url, method: "POST", headers, body: toUtf8(form.toString()), signal, memory }).catch(
      (cause: unknown) => {
        throw failed(`${url.host} gave no token: ${cause instanceof Error ? cause.message : String(cause)}`, isUnreached(cause), cause);
      },
    );
    const { access_token: token, expires_in: seconds, error } = parsed(answer.body);
    if (answer.status !== 200 || typeof token !== "string" || !/^[\x21-\x7e]+$/.test(token))
      throw failed(
        `${url.host} gave no token: status ${answer.status}${typeof error === "string" ? `, ${error.slice(0, 100)}` : ""}`,
        false,
      );
    const lifeMs = typeof seconds === "number" && seconds > 0 ? seconds * 1000 : httpLimits.tokenLifeMs;
    return (this.#token = { header: `Bearer ${token}`, renewMs: asked + lifeMs - Math.min(httpLimits.tokenEarlyMs, lifeMs / 5) });
  }
}

function parsed(body: Uint8Array): Readonly<Record<string, unknown>> {
  try {
    const value: unknown = JSON.parse(fromUtf8(body));
    return typeof value === "object" && value !== null ? (value as Record<string, unknown>) : {};
  } catch {
    return {};
  }
}

function failed(message: string, unreached: boolean, cause?: unknown): OutletError {
  return new OutletError("MF_OAUTH2_TOKEN", `${message}: check tokenUrl, clientId, clientSecret and scope`, {
    retryable: true,
    unreached,
    cause,
  });
}

/** By client: outlets of several flows share a token. */
const clients = new Map<string, Tokens>();

function nameOf(config: OAuth2Config): string {
  return createHash("sha256").update(JSON.stringify(config)).digest("hex");
}

/** Shows credentials once it is asked for them, until `close`. */
export class OutletCredentials {
  readonly #config: OutletAuthConfig;
  readonly #ports: TokenPorts;
  /** Undefined until the first token is needed, and once closed. */
  #client: { readonly name: string; readonly tokens: Tokens } | undefined;
  #isClosed = false;

  /** Does no more than look at the configuration, as `create` of an outlet. Throws MF_URL_INVALID. */
  constructor(config: OutletAuthConfig, ports: TokenPorts) {
    this.#config = config;
    this.#ports = ports;
    const { oauth2 } = config;
    if (oauth2 !== undefined && !URL.canParse(oauth2.tokenUrl))
      throw new CodedError("MF_URL_INVALID", `tokenUrl: ${JSON.stringify(oauth2.tokenUrl)} is not a URL`);
  }

  /** Rejects with an OutletError, MF_OAUTH2_TOKEN. */
  async headers(): Promise<Headers> {
    const { bearer, basic, apiKey, oauth2 } = this.#config;
    if (apiKey !== undefined) return { [apiKey.header]: apiKey.key };
    if (bearer !== undefined) return { authorization: `Bearer ${bearer}` };
    if (basic !== undefined) return { authorization: `Basic ${Buffer.from(basic).toString("base64")}` };
    return oauth2 === undefined ? {} : { authorization: await this.#tokensOf(oauth2).header(this.#ports) };
  }

  /** The client's tokens, shared from now on; after `close`, an attempt that is still under way has its own. */
  #tokensOf(oauth2: OAuth2Config): Tokens {
    if (this.#client !== undefined) return this.#client.tokens;
    const name = nameOf(oauth2);
    const tokens = clients.get(name) ?? new Tokens(oauth2);
    if (this.#isClosed) return tokens;
    tokens.users += 1;
    clients.set(name, tokens);
    this.#client = { name, tokens };
    return tokens;
  }

  /** The server answered 401 to these. True: others may help. */
  refused(headers: Headers): boolean {
    if (this.#client === undefined) return false;
    this.#client.tokens.refused(String(headers["authorization"]));
    return true;
  }

  close(): void {
    this.#isClosed = true;
    if (this.#client === undefined) return;
    const { name, tokens } = this.#client;
    this.#client = undefined;
    tokens.users -= 1;
    if (tokens.users === 0) clients.delete(name);
  }
}
