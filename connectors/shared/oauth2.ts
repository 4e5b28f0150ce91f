/**
 * OAuth 2 with a client's own credentials (RFC 6749, 4.4): a secret, or an assertion signed by its key (RFC 7523). A token is kept until
 * shortly before its end, fetched once for all outlets of one client, and fetched anew when the server refuses it before.
 */
import { createHash, createPrivateKey, type KeyObject, randomUUID } from "node:crypto";
import { readFile } from "node:fs/promises";
import { resolve } from "node:path";
import type { Dispatcher } from "undici";
import type { Headers } from "#abi";
import { type Clock, CodedError, fromUtf8, type MemoryAccount, toUtf8 } from "#base";
import { exchange, isUnreached, type JsonSchema, OutletError } from "#gateway/contract";
import { tokenLimits } from "./limits.ts";

export interface OAuth2Config {
  readonly tokenUrl: string;
  readonly clientId: string;
  /** Exactly one of the two. */
  readonly clientSecret?: string;
  readonly privateKey?: string;
  readonly keyId?: string;
  readonly algorithm?: string;
  readonly assertionAudience?: string;
  readonly scope?: string;
  readonly audience?: string;
  readonly credentials: "header" | "body" | "private_key_jwt";
}

const text = { type: "string", minLength: 1 } as const;

export const oauth2Schema: JsonSchema = {
  type: "object",
  additionalProperties: false,
  required: ["tokenUrl", "clientId"],
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
    clientSecret: { ...text, description: "Its secret; it or `privateKey`.", examples: ["${CLIENT_SECRET}"] },
    privateKey: {
      ...text,
      description:
        "Its private key, for an assertion in place of a secret (`private_key_jwt`): a PEM file, relative to mayfly.yaml, or its text. Read for each token.",
      examples: ["client.pem", "${file:/run/secrets/client.pem}"],
    },
    keyId: { ...text, description: "`kid` of the assertion." },
    algorithm: {
      type: "string",
      enum: ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"],
      description: "Algorithm of the assertion. Default: by the key, `RS256` for RSA.",
    },
    assertionAudience: { ...text, description: "`aud` of the assertion. Default: `tokenUrl`." },
    scope: { ...text, description: "Scopes, with spaces between them." },
    audience: { ...text, description: "Audience, where the server wants one." },
    credentials: {
      type: "string",
      enum: ["header", "body", "private_key_jwt"],
      default: "header",
      description: "Where the client's credentials go: the Basic header, or the form. With `privateKey` always `private_key_jwt`.",
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
  /** Folder of mayfly.yaml. */
  readonly base: string;
  readonly agent: () => Promise<Dispatcher>;
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

  async #fetch({ clock, memory, base, agent }: TokenPorts): Promise<Token> {
    const { tokenUrl, clientId, clientSecret = "", privateKey, scope, audience, credentials } = this.#config;
    const form = new URLSearchParams({ grant_type: "client_credentials" });
    if (scope !== undefined) form.set("scope", scope);
    if (audience !== undefined) form.set("audience", audience);
    const headers: Record<string, string> = { "content-type": "application/x-www-form-urlencoded", accept: "application/json" };
    if (privateKey !== undefined) {
      form.set("client_id", clientId);
      form.set("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer");
      form.set("client_assertion", await assertion(this.#config, await readKey(privateKey, base), clock.now()));
    } else if (credentials === "header") {
      const pair = [clientId, clientSecret].map((part) => new URLSearchParams({ "": part }).toString().slice(1)).join(":");
      headers["authorization"] = `Basic ${Buffer.from(pair).toString("base64")}`;
    } else {
      form.set("client_id", clientId);
      form.set("client_secret", clientSecret);
    }
    const asked = clock.monotonicMs();
    const url = new URL(tokenUrl);
    const signal = AbortSignal.timeout(tokenLimits.tokenMs);
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
    const lifeMs = typeof seconds === "number" && seconds > 0 ? seconds * 1000 : tokenLimits.tokenLifeMs;
    return (this.#token = { header: `Bearer ${token}`, renewMs: asked + lifeMs - Math.min(tokenLimits.tokenEarlyMs, lifeMs / 5) });
  }
}

/** The key's text, or that of its file. Rejects with an OutletError. */
async function readKey(privateKey: string, base: string): Promise<KeyObject> {
  try {
    return createPrivateKey(privateKey.includes("-----BEGIN ") ? privateKey : await readFile(resolve(base, privateKey), "utf8"));
  } catch (cause) {
    // The cause is left out: OpenSSL may quote the key.
    const { code } = cause as NodeJS.ErrnoException;
    throw failed(`the client's privateKey can't be read${typeof code === "string" ? ` (${code})` : ""}`, false);
  }
}

/** By the type of a key, or its curve. */
const algorithms: ReadonlyMap<string, string> = new Map([
  ["rsa", "RS256"],
  ["rsa-pss", "PS256"],
  ["ed25519", "EdDSA"],
  ["prime256v1", "ES256"],
  ["secp384r1", "ES384"],
  ["secp521r1", "ES512"],
]);

/** A statement of the client about itself (RFC 7523, 3). */
async function assertion(config: OAuth2Config, key: KeyObject, nowMs: number): Promise<string> {
  const { clientId, keyId, assertionAudience, tokenUrl } = config;
  const alg = config.algorithm ?? algorithms.get(key.asymmetricKeyDetails?.namedCurve ?? key.asymmetricKeyType ?? "") ?? "RS256";
  const { SignJWT } = await import("jose");
  const seconds = Math.floor(nowMs / 1000);
  try {
    return await new SignJWT({ jti: randomUUID() })
      .setProtectedHeader({ alg, ...(keyId === undefined ? {} : { kid: keyId }) })
      .setIssuer(clientId)
      .setSubject(clientId)
      .setAudience(assertionAudience ?? tokenUrl)
      .setIssuedAt(seconds)
      .setExpirationTime(seconds + tokenLimits.assertionSeconds)
      .sign(key);
  } catch {
    throw failed(`the client's privateKey can't sign ${alg}`, false);
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
  return new OutletError("MF_OAUTH2_TOKEN", `${message}: check tokenUrl, clientId, clientSecret or privateKey, and scope`, {
    retryable: true,
    unreached,
    cause,
  });
}

/** By client: outlets of several flows share a token. */
const clients = new Map<string, Tokens>();

function nameOf(config: OAuth2Config, base: string): string {
  return createHash("sha256")
    .update(JSON.stringify([config, base]))
    .digest("hex");
}

/** An outlet's use of its client's tokens, until `close`. */
export class OAuth2Credentials {
  readonly #config: OAuth2Config;
  readonly #ports: TokenPorts;
  /** Undefined until the first token is needed, and once closed. */
  #client: { readonly name: string; readonly tokens: Tokens } | undefined;
  #isClosed = false;

  /** Throws MF_URL_INVALID, MF_OAUTH2_CLIENT. */
  constructor(config: OAuth2Config, ports: TokenPorts) {
    this.#config = config;
    this.#ports = ports;
    if (!URL.canParse(config.tokenUrl)) throw new CodedError("MF_URL_INVALID", `tokenUrl: ${JSON.stringify(config.tokenUrl)} is not a URL`);
    if ((config.clientSecret === undefined) === (config.privateKey === undefined))
      throw new CodedError("MF_OAUTH2_CLIENT", "oauth2 needs clientSecret or privateKey, and not both: set one of them");
    if (config.credentials === "private_key_jwt" && config.privateKey === undefined)
      throw new CodedError("MF_OAUTH2_CLIENT", "private_key_jwt needs the client's key: set privateKey");
  }

  /** Rejects with an OutletError, MF_OAUTH2_TOKEN. */
  async headers(): Promise<Headers> {
    return { authorization: await this.#tokens.header(this.#ports) };
  }

  /** The client's tokens, shared from now on; after `close`, an attempt that is still under way has its own. */
  get #tokens(): Tokens {
    if (this.#client !== undefined) return this.#client.tokens;
    const name = nameOf(this.#config, this.#ports.base);
    const tokens = clients.get(name) ?? new Tokens(this.#config);
    if (this.#isClosed) return tokens;
    tokens.users += 1;
    clients.set(name, tokens);
    this.#client = { name, tokens };
    return tokens;
  }

  refused(shown: Headers): boolean {
    if (this.#client === undefined) return false;
    this.#client.tokens.refused(String(shown["authorization"]));
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
