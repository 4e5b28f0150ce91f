/** How many things of unknown length to fetch at once: few at first, more as they turn out short, fewer after a long one. */
import type { MemoryAccount } from "#base";
import { gatewayLimits } from "./limits.ts";

/** How much of the longest is remembered when a shorter one comes: of a mixed queue the next may be long again. */
const memoryOfLongest = 0.98;

export class ByteWindow {
  readonly #account: MemoryAccount;
  #count: number = gatewayLimits.windowMessages.first;
  #expectedBytes = 1;

  constructor(account: MemoryAccount) {
    this.#account = account;
  }

  /** Length to expect of the next one. */
  get expectedBytes(): number {
    return this.#expectedBytes;
  }

  /**
   * As many as fit if each is as long as the longest lately, `most` at most. 0: there is no room now. `underWay`: fetched at the moment, with
   * memory reserved.
   */
  fits(most: number, underWay = 0): number {
    const room = Math.floor(Math.max(this.#account.roomBytes, 0) / this.#expectedBytes);
    return Math.max(Math.min(most, this.#count - underWay, room), 0);
  }

  /** One came. */
  saw(bytes: number): void {
    if (bytes > 2 * this.#expectedBytes) this.#count = Math.max(gatewayLimits.windowMessages.first, Math.floor(this.#count / 2));
    else if (this.#count < gatewayLimits.windowMessages.most) this.#count += 1;
    this.#expectedBytes = Math.max(bytes, this.#expectedBytes * memoryOfLongest, 1);
  }
}
