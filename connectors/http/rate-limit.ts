/** Requests that each caller may make in a time: a bucket for each, which fills evenly (GCRA, as ATM has it). */
import { createHash } from "node:crypto";
import type { IncomingMessage } from "node:http";
import type { Clock } from "#base";
import { type JsonSchema, networkOf, quota, type Quota } from "#gateway/contract";
import { httpLimits } from "./limits.ts";

export interface RateLimitConfig {
  readonly rate: Quota;
  /** `caller`, `address` or `header:NAME`. */
  readonly by: string;
}

export const rateLimitSchema: JsonSchema = {
  type: "object",
  additionalProperties: false,
  required: ["rate"],
  description:
    "Requests of one caller beyond it are answered 429 with `Retry-After`; every answer has `RateLimit-Limit`, `-Remaining` and `-Reset`. Default: none.",
  properties: {
    rate: quota("Requests in a time; as many may come at once."),
    by: {
      type: "string",
      default: "caller",
      pattern: "^(caller|address|header:[a-z0-9-]+)$",
      patternErrorMessage: "must be caller, address, or header:NAME in lower case",
      description:
        "What is counted by: the caller's credentials (without any, the address), the address (of IPv6 its /64), or a header. Behind proxies set `http.proxies`: otherwise every caller has the proxy's address. Count by a header only if a proxy sets it itself, since a caller may send any other.",
    },
  },
};

/** Where a caller stands after a request. */
export interface Allowance {
  readonly allowed: boolean;
  /** Requests left at once. */
  readonly remaining: number;
  /** Until the bucket is full again; and until one more is allowed, 0 for at once. */
  readonly fullMs: number;
  readonly waitMs: number;
}

export class RateLimiter {
  readonly #clock: Clock;
  readonly #config: RateLimitConfig;
  /** By caller: when its bucket is full again, by the monotonic clock. */
  readonly #full = new Map<string, number>();

  constructor(config: RateLimitConfig, clock: Clock) {
    this.#config = config;
    this.#clock = clock;
  }

  /** Counts a request. `credentials`: of the caller, empty for none; `address`: whence it comes, undefined if nobody knows. */
  take(request: Pick<IncomingMessage, "headers">, credentials: string, address: string | undefined): Allowance {
    const { count, windowMs } = this.#config.rate;
    const name = this.#nameOf(request, credentials, address);
    const nowMs = this.#clock.monotonicMs();
    const eachMs = windowMs / count;
    const fullAtMs = Math.max(this.#full.get(name) ?? 0, nowMs) + eachMs;
    const overMs = fullAtMs - nowMs - windowMs;
    if (overMs > windowMs * roundingError) return { allowed: false, remaining: 0, fullMs: fullAtMs - eachMs - nowMs, waitMs: overMs };
    this.#full.delete(name); // the newest is the last
    this.#full.set(name, fullAtMs);
    if (this.#full.size > httpLimits.rateCallers) this.#forget(nowMs);
    return { allowed: true, remaining: Math.max(Math.floor(-overMs / eachMs + roundingError), 0), fullMs: fullAtMs - nowMs, waitMs: 0 };
  }

  #nameOf({ headers }: Pick<IncomingMessage, "headers">, credentials: string, address: string | undefined): string {
    const { by } = this.#config;
    if (by === "caller" && credentials !== "") return short(credentials);
    const header = by.startsWith("header:") ? headers[by.slice("header:".length)] : undefined;
    return short(typeof header === "string" ? `header ${header}` : `address ${networkOf(address) ?? ""}`);
  }

  /** Buckets that are full say nothing; of more than fit, the one that has rested longest goes. */
  #forget(nowMs: number): void {
    for (const [name, fullAtMs] of this.#full) {
      if (fullAtMs > nowMs && this.#full.size <= httpLimits.rateCallers) return;
      this.#full.delete(name);
    }
  }

  /** Headers of an answer. */
  headers({ remaining, fullMs, waitMs }: Allowance): Readonly<Record<string, string>> {
    const seconds = (ms: number): string => String(Math.ceil(ms / 1000));
    return {
      "ratelimit-limit": String(this.#config.rate.count),
      "ratelimit-remaining": String(remaining),
      "ratelimit-reset": seconds(fullMs),
      ...(waitMs === 0 ? {} : { "retry-after": String(Math.max(Math.ceil(waitMs / 1000), 1)) }),
    };
  }
}

/** A long name is remembered by its hash: it is a caller's own text, and there are many. */
function short(name: string): string {
  return name.length <= httpLimits.rateNameCharacters ? name : createHash("sha256").update(name).digest("base64");
}

/** Of sums of times that are no whole numbers. */
const roundingError = 1e-9;
