/**
 * Keys of an issuer of tokens: fetched from its JWKS, kept, and fetched again when a token names one that is not among them. Where they are
 * is configured, or the issuer says so itself (OpenID Connect Discovery 1.0, 4), which is asked again after a while.
 */
import type { JWTVerifyGetKey } from "jose";
import type { Agent } from "undici";
import { CodedError, fromUtf8, type MemoryAccount } from "#base";
import { gatewayLimits } from "../limits.ts";
import { exchange, newAgent } from "./exchange.ts";
import type { Reach } from "./reach.ts";

export const jwksUnavailable = "MF_JWKS_UNAVAILABLE";

function fault(why: string, cause?: unknown): CodedError {
  return new CodedError(jwksUnavailable, why, { cause });
}

function urlOf(text: string, setting: string): URL {
  if (!URL.canParse(text)) throw new CodedError("MF_URL_INVALID", `${setting}: ${JSON.stringify(text)} is not a URL`);
  return new URL(text);
}

/** Keys at one place. */
interface Found {
  readonly url: string;
  readonly keys: JWTVerifyGetKey;
  readonly atMs: number;
}

/**
 * Fetches that fail: the second failure in a row and each further one is the answer for a while, twice as long each time. Tokens of anybody
 * would otherwise ask an issuer that is away, and each wait until it has not answered.
 */
class Patience {
  #failures = 0;
  #failedMs = 0;
  #error: unknown;

  async fetch<T>(nowMs: number, work: () => Promise<T>): Promise<T> {
    const { least, most } = gatewayLimits.jwksBackoffMs;
    const pauseMs = this.#failures < 2 ? 0 : Math.min(most, least * 2 ** (this.#failures - 2));
    if (Math.abs(nowMs - this.#failedMs) < pauseMs) throw this.#error;
    try {
      const result = await work();
      this.#failures = 0;
      return result;
    } catch (error) {
      this.#failures += 1;
      this.#failedMs = nowMs;
      this.#error = error;
      throw error;
    }
  }
}

export interface IssuerPorts {
  /** Where memory for answers is taken while they come in. */
  readonly memory: MemoryAccount;
  /** Addresses that may be connected to; undefined: any. */
  readonly reach?: Reach | undefined;
}

export class IssuerKeys {
  readonly #ports: IssuerPorts;
  /** Undefined: the keys' own place is configured. */
  readonly #issuer: string | undefined;
  /** Asked first. */
  readonly #url: URL;
  #found: Found | undefined;
  #finding: Promise<Found> | undefined;
  readonly #discovering = new Patience();
  /** Of the newest token, as its time is told. */
  #nowMs = 0;
  #agent: Agent | undefined;

  /** Throws MF_URL_INVALID. */
  constructor(place: { readonly jwks: string } | { readonly issuer: string }, ports: IssuerPorts) {
    this.#ports = ports;
    if ("jwks" in place) this.#url = urlOf(place.jwks, "jwks");
    else {
      urlOf(place.issuer, "issuer");
      this.#issuer = place.issuer;
      this.#url = urlOf(`${place.issuer.replace(/\/$/, "")}/.well-known/openid-configuration`, "issuer");
    }
  }

  get host(): string {
    return this.#url.host;
  }

  /** Rejects with MF_JWKS_UNAVAILABLE, or as undici does. `nowMs`: milliseconds since 1970. */
  async current(nowMs: number): Promise<JWTVerifyGetKey> {
    this.#nowMs = nowMs;
    const found = this.#found;
    const isFresh = found !== undefined && (this.#issuer === undefined || Math.abs(nowMs - found.atMs) < gatewayLimits.discoveryMs);
    if (isFresh) return found.keys;
    this.#finding ??= this.#find(nowMs).finally(() => (this.#finding = undefined));
    try {
      this.#found = await this.#finding;
    } catch (error) {
      if (found === undefined) throw error;
      // Those of before hold on; the issuer is asked again with the next token after a pause.
      this.#found = { ...found, atMs: nowMs - gatewayLimits.discoveryMs + gatewayLimits.jwksCooldownMs };
    }
    return this.#found.keys;
  }

  async #find(nowMs: number): Promise<Found> {
    const issuer = this.#issuer;
    const url = issuer === undefined ? this.#url : await this.#discovering.fetch(nowMs, () => this.#discover(issuer));
    if (this.#found?.url === url.href) return { ...this.#found, atMs: nowMs };
    const jose = await import("jose");
    const patience = new Patience();
    const keys = jose.createRemoteJWKSet(url, {
      timeoutDuration: gatewayLimits.jwksMs,
      cooldownDuration: gatewayLimits.jwksCooldownMs,
      [jose.customFetch]: async (_url, { signal }) => Response.json(await patience.fetch(this.#nowMs, () => this.#fetch(url, signal))),
    });
    return { url: url.href, keys, atMs: nowMs };
  }

  /** Where the issuer's keys are. */
  async #discover(issuer: string): Promise<URL> {
    const answer = await this.#fetch(this.#url, AbortSignal.timeout(gatewayLimits.jwksMs));
    const { issuer: named, jwks_uri: place } = (typeof answer === "object" && answer !== null ? answer : {}) as Record<string, unknown>;
    if (named !== issuer) throw fault(`it calls itself ${JSON.stringify(String(named).slice(0, 200))}, not ${JSON.stringify(issuer)}`); // 4.3
    if (typeof place !== "string" || !URL.canParse(place)) throw fault("its configuration has no jwks_uri");
    const url = new URL(place);
    if (url.protocol !== "https:" && url.protocol !== this.#url.protocol) throw fault("its jwks_uri is not an https URL");
    return url;
  }

  /** JSON of the issuer, bounded like every answer. Rejects if the status is anything but 200. */
  async #fetch(url: URL, signal: AbortSignal): Promise<unknown> {
    const { memory, reach } = this.#ports;
    this.#agent ??= newAgent(1, {}, reach);
    const headers = { accept: "application/json, application/jwk-set+json" };
    const request = { url, method: "GET", headers, body: undefined, signal, memory, answerLimit: gatewayLimits.jwksBytes };
    const { status, body } = await exchange(this.#agent, request);
    if (status !== 200) throw fault(`status ${status}`);
    try {
      return JSON.parse(fromUtf8(body)) as unknown;
    } catch (cause) {
      throw fault("the answer is not JSON", cause);
    }
  }

  async close(): Promise<void> {
    await this.#agent?.destroy();
  }
}
