/** Seeds and ids, cheap enough for every message. */
import { createHash, randomFillSync } from "node:crypto";
import { hardLimits } from "#abi";

/** Fills bytes with entropy; a simulation passes a seeded one. */
export type Entropy = (bytes: Uint8Array) => void;

export const systemEntropy: Entropy = (bytes) => {
  randomFillSync(bytes);
};

const poolBytes = 8192; // one call into the operating system's generator for 256 seeds

/** Hands out seeds, each used once. A seed is a view that is valid until the pool is refilled: the runner copies it before `start` returns. */
export class SeedPool {
  readonly #entropy: Entropy;
  readonly #pool = new Uint8Array(poolBytes);
  #at = poolBytes;

  constructor(entropy: Entropy) {
    this.#entropy = entropy;
  }

  next(): Uint8Array {
    if (this.#at === poolBytes) {
      this.#entropy(this.#pool);
      this.#at = 0;
    }
    const seed = this.#pool.subarray(this.#at, this.#at + hardLimits.seedBytes);
    this.#at += hardLimits.seedBytes;
    return seed;
  }
}

/** Ids that are unique over restarts: 80 random bits once, then a counter. */
export class MessageIds {
  readonly #prefix: string;
  #count = 0;

  constructor(entropy: Entropy) {
    const bytes = new Uint8Array(10);
    entropy(bytes);
    this.#prefix = `${Buffer.from(bytes).toString("base64url").replace(/[-_]/g, "0")}-`;
  }

  next(): string {
    return this.#prefix + (this.#count++).toString(36);
  }
}

const longestId = 200;

/** An id as a sender gave it, made fit for headers, file names' hashes and idempotency keys; undefined when nothing is left of it. */
export function cleanId(id: string): string | undefined {
  const clean = id.replace(/[^\x21-\x7e]/g, "");
  if (clean.length > longestId) return `${clean.slice(0, longestId - 65)}-${createHash("sha256").update(id).digest("hex")}`; // still one id for one message
  return clean === "" ? undefined : clean;
}
