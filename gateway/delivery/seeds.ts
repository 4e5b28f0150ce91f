/** Seeds and ids, cheap enough for every message. */
import { createHash, randomFillSync } from "node:crypto";
import { hardLimits } from "#abi";
import { gatewayLimits } from "../contract/limits.ts";

/** Fills bytes with entropy; a simulation passes a seeded one. */
export type Entropy = (bytes: Uint8Array) => void;

export const systemEntropy: Entropy = (bytes) => {
  randomFillSync(bytes);
};

const poolBytes = 8192; // one call into the operating system's generator for 256 seeds

/** Hands out seeds, each used once and the caller's own: a machine is run again from its first event, with the same seed, however much later. */
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
    const seed = this.#pool.slice(this.#at, this.#at + hardLimits.seedBytes);
    this.#at += hardLimits.seedBytes;
    return seed;
  }
}

/** The beginning of the gateway's own ids, and of no sender's. */
const ownMark = "mf-";
const idBytes = 16;

/** Ids of messages whose sender gave none: 128 random bits each, so that nobody guesses another's. */
export class MessageIds {
  readonly #entropy: Entropy;
  readonly #pool = Buffer.alloc(256 * idBytes);
  #at = this.#pool.length;

  constructor(entropy: Entropy) {
    this.#entropy = entropy;
  }

  next(): string {
    if (this.#at === this.#pool.length) {
      this.#entropy(this.#pool);
      this.#at = 0;
    }
    this.#at += idBytes;
    return ownMark + this.#pool.toString("base64url", this.#at - idBytes, this.#at);
  }
}

/**
 * A sender's id, fit for headers, file names and idempotency keys; undefined for an empty one. Two ids never become one: what is not
 * printable ASCII is percent-encoded, as are a percent sign itself and the gateway's own mark, and only an id that ends in its hash has
 * the full length.
 */
export function cleanId(id: string): string | undefined {
  if (id === "") return undefined;
  const clean = id.startsWith(ownMark) ? encoded(id.slice(0, 1)) + readable(id.slice(1)) : readable(id);
  if (clean.length < gatewayLimits.idCharacters) return clean;
  return `${clean.slice(0, gatewayLimits.idCharacters - 65)}~${createHash("sha256").update(clean).digest("hex")}`;
}

function readable(text: string): string {
  return text.replace(/[^\x21-\x24\x26-\x7e]/g, encoded);
}

/** One UTF-16 unit: a lone surrogate has a form of its own too. */
function encoded(unit: string): string {
  const code = unit.charCodeAt(0);
  return code < 0x100 ? `%${code.toString(16).padStart(2, "0")}` : `%u${code.toString(16).padStart(4, "0")}`;
}
