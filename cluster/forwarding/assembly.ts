/** Puts the parts of calls and answers together again. Parts come in order: what misfits, or does not go on, is dropped as a whole. */
import { assert, concatBytes } from "#base";
import type { PartFrame } from "./frame.ts";

interface Partial {
  readonly parts: Uint8Array[];
  readonly count: number;
  readonly totalBytes: number;
  bytes: number;
  touchedMs: number;
}

/**
 * The result of a part.
 * - `whole`: it was the last one. The content is the caller's own.
 * - `more`: others are to come.
 * - `full`: there is no room for it; said once, at its first part.
 * - `misfit`: it does not go on with what came before.
 */
export type Assembled = { readonly status: "whole"; readonly content: Uint8Array } | { readonly status: "more" | "full" | "misfit" };

export class Assemblies {
  readonly #mostBytes: number;
  readonly #open = new Map<string, Partial>();
  /** Reserved for what has come in part: whole lengths. */
  #bytes = 0;

  constructor(mostBytes: number) {
    this.#mostBytes = mostBytes;
  }

  get size(): number {
    return this.#open.size;
  }

  get bytes(): number {
    return this.#bytes;
  }

  take(name: string, { index, count, totalBytes, content }: PartFrame, nowMs: number): Assembled {
    if (count === 1 && index === 0) {
      this.drop(name);
      return content.length === totalBytes ? { status: "whole", content } : { status: "misfit" };
    }
    if (index === 0) {
      this.drop(name);
      if (this.#bytes + totalBytes > this.#mostBytes) return { status: "full" };
      this.#bytes += totalBytes;
      this.#open.set(name, { parts: [], count, totalBytes, bytes: 0, touchedMs: nowMs });
    }
    const open = this.#open.get(name);
    if (open === undefined) return { status: "misfit" };
    const fits = index === open.parts.length && count === open.count && totalBytes === open.totalBytes && content.length > 0;
    if (!fits || open.bytes + content.length > totalBytes) {
      this.drop(name);
      return { status: "misfit" };
    }
    open.parts.push(new Uint8Array(content));
    open.bytes += content.length;
    open.touchedMs = nowMs;
    if (open.parts.length < count) return { status: "more" };
    this.drop(name);
    return open.bytes === totalBytes ? { status: "whole", content: concatBytes(open.parts) } : { status: "misfit" };
  }

  has(name: string): boolean {
    return this.#open.has(name);
  }

  drop(name: string): void {
    const open = this.#open.get(name);
    if (open === undefined) return;
    this.#open.delete(name);
    this.#bytes -= open.totalBytes;
    assert(this.#bytes >= 0, "what is dropped was reserved");
  }

  /** Drops what has not gone on since then. */
  sweep(beforeMs: number): void {
    for (const [name, { touchedMs }] of this.#open) if (touchedMs < beforeMs) this.drop(name);
  }
}
