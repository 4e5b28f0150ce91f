/**
 * One budget for memory that messages fill: bytes are taken before they are read, unpacked, parked or answered, and given back
 * afterwards. Accounts form a tree; taking from one takes from all above it, so a share can run out before the whole does. A reserve has
 * room of its own, however full the rest is.
 *
 *   memory ─┬─ intake (a reserve) ─┬─ requests
 *           │                      └─ messages
 *           └─ answers …
 *
 * If there is no room, `tryTake` fails and `take` waits in line. Before either, holders that stalled are evicted: a
 * sender that stopped in the middle of its body must not keep others out. `force` is for bytes that are in memory already.
 */
import { assert } from "./assert.ts";
import { type Clock, systemClock } from "./clock.ts";
import { memoryLimits } from "./limits.ts";

/** Holds bytes that can be taken from it: an upload whose sender stalls, a reply whose reader does. */
export interface MemoryHolder {
  /** Gives back everything it holds, before it returns. */
  evict(): void;
}

export interface MemoryWait {
  readonly timeoutMs: number;
  readonly signal?: AbortSignal | undefined;
}

interface Waiter {
  readonly account: MemoryAccount;
  readonly bytes: number;
  readonly settle: (taken: boolean) => void;
}

/** State shared by all accounts of one budget. */
class Shared {
  readonly clock: Clock;
  readonly waiters = new Set<Waiter>();
  waking = false;
  refusals = 0;
  refusedMs = Number.NEGATIVE_INFINITY;
  readonly onLargeGiven: (bytes: number) => void;

  constructor(clock: Clock, onLargeGiven: (bytes: number) => void) {
    this.clock = clock;
    this.onLargeGiven = onLargeGiven;
  }
}

export class MemoryAccount {
  readonly use: string;
  readonly mostBytes: number;
  readonly parts: MemoryAccount[] = [];
  #takenBytes = 0;
  /** Counts with it. */
  readonly #parent: MemoryAccount | undefined;
  /** Has to have room as well; nobody for a reserve. */
  readonly #limit: MemoryAccount | undefined;
  readonly #shared: Shared;
  /** Its bytes lie in heaps of other threads, where this one's collector does not look. */
  readonly #isElsewhere: boolean;
  /** Holders, the one without progress for longest first. */
  readonly #holders = new Map<MemoryHolder, number>();

  /** Not called directly: `memoryBudget` makes the root, `part` and `reserve` the rest. */
  constructor(
    use: string,
    mostBytes: number,
    shared: Shared,
    above: { readonly parent?: MemoryAccount; readonly limit?: MemoryAccount; readonly isElsewhere?: boolean } = {},
  ) {
    this.use = use;
    this.mostBytes = mostBytes;
    this.#parent = above.parent;
    this.#limit = above.limit;
    this.#shared = shared;
    this.#isElsewhere = above.isElsewhere ?? false;
  }

  get takenBytes(): number {
    return this.#takenBytes;
  }

  /** Bytes that `tryTake` would grant now, without evicting anybody; negative after `force` went beyond the budget. */
  get roomBytes(): number {
    let room = Number.POSITIVE_INFINITY;
    for (let account: MemoryAccount | undefined = this; account !== undefined; account = account.#limit)
      room = Math.min(room, account.mostBytes - account.#takenBytes);
    return room;
  }

  /** The most one holder can ever be granted. */
  get largestBytes(): number {
    return Math.min(this.mostBytes, this.#limit?.largestBytes ?? Number.POSITIVE_INFINITY);
  }

  /** Refusals of this budget since the start, and when the last one was. */
  get refusals(): { readonly count: number; readonly lastMs: number } {
    return { count: this.#shared.refusals, lastMs: this.#shared.refusedMs };
  }

  /** An account for one use, with at most this share of its parent. */
  part(use: string, share = 1): MemoryAccount {
    return this.#part(use, share, { limit: this });
  }

  /** A share that is this account's alone: there is room in it however full everything else is. Reserves must not add up to more than all. */
  reserve(use: string, share: number): MemoryAccount {
    return this.#part(use, share, {});
  }

  /** A reserve for memory of other threads. */
  reserveElsewhere(use: string, share: number): MemoryAccount {
    return this.#part(use, share, { isElsewhere: true });
  }

  #part(use: string, share: number, above: { readonly limit?: MemoryAccount; readonly isElsewhere?: boolean }): MemoryAccount {
    const account = new MemoryAccount(use, Math.floor(this.mostBytes * share), this.#shared, { parent: this, ...above });
    this.parts.push(account);
    return account;
  }

  tryTake(bytes: number): boolean {
    if (this.#grant(bytes)) return true;
    const shared = this.#shared;
    shared.refusals += 1;
    shared.refusedMs = shared.clock.monotonicMs();
    if (bytes >= memoryLimits.largeBytes) shared.onLargeGiven(bytes); // often they are in memory already, and thrown away now
    return false;
  }

  /** Takes bytes once there is room, first come, first served within an account. False: the time is over, the signal aborted, or too many wait. */
  take(bytes: number, { timeoutMs, signal }: MemoryWait): Promise<boolean> {
    const { waiters } = this.#shared;
    let queued = false;
    for (const waiter of waiters) if (waiter.account === this) queued = true;
    if (!queued && this.#grant(bytes)) return Promise.resolve(true);
    if (signal?.aborted === true || waiters.size >= memoryLimits.waiters || bytes > this.largestBytes)
      return Promise.resolve(this.tryTake(bytes));
    return new Promise((resolve) => {
      const settle = (taken: boolean): void => {
        waiters.delete(waiter);
        cancel();
        signal?.removeEventListener("abort", giveUp);
        resolve(taken);
      };
      const waiter: Waiter = { account: this, bytes, settle };
      const giveUp = (): void => settle(false);
      const cancel = this.#shared.clock.after(timeoutMs, giveUp);
      signal?.addEventListener("abort", giveUp, { once: true });
      waiters.add(waiter);
    });
  }

  /** Counts bytes that are in memory already, also beyond the budget: nothing else gets any until they are given back. */
  force(bytes: number): void {
    for (let account: MemoryAccount | undefined = this; account !== undefined; account = account.#parent) account.#takenBytes += bytes;
  }

  /** Those who wait get what is given back a moment later, so that bytes can move from one account to another in between. */
  give(bytes: number): void {
    for (let account: MemoryAccount | undefined = this; account !== undefined; account = account.#parent) {
      account.#takenBytes -= bytes;
      assert(account.#takenBytes >= 0, "more memory is given back than was taken");
    }
    const shared = this.#shared;
    if (bytes >= memoryLimits.largeBytes && !this.#isElsewhere) shared.onLargeGiven(bytes);
    if (shared.waiters.size === 0 || shared.waking) return;
    shared.waking = true;
    queueMicrotask(() => this.#wake());
  }

  /** From now on the holder may be evicted; called again whenever it made progress. */
  progressed(holder: MemoryHolder): void {
    this.#holders.delete(holder);
    this.#holders.set(holder, this.#shared.clock.monotonicMs());
  }

  /** The holder has let go by itself. */
  left(holder: MemoryHolder): void {
    this.#holders.delete(holder);
  }

  #grant(bytes: number): boolean {
    for (;;) {
      const full = this.#fullFor(bytes);
      if (full === undefined) break;
      if (bytes > this.largestBytes || !full.#evictStalled()) return false;
    }
    this.force(bytes);
    return true;
  }

  /** The account, here or above, that has no room for so much. */
  #fullFor(bytes: number): MemoryAccount | undefined {
    let account: MemoryAccount | undefined = this;
    while (account !== undefined && account.#takenBytes + bytes <= account.mostBytes) account = account.#limit;
    return account;
  }

  #evictStalled(): boolean {
    const found = this.#longestStalled();
    if (found === undefined || this.#shared.clock.monotonicMs() - found.sinceMs < memoryLimits.stallMs) return false;
    found.account.#holders.delete(found.holder);
    found.holder.evict();
    return true;
  }

  #longestStalled(): { readonly account: MemoryAccount; readonly holder: MemoryHolder; readonly sinceMs: number } | undefined {
    const [first] = this.#holders;
    let longest = first === undefined ? undefined : { account: this as MemoryAccount, holder: first[0], sinceMs: first[1] };
    for (const part of this.parts) {
      const found = part.#longestStalled();
      if (found !== undefined && (longest === undefined || found.sinceMs < longest.sinceMs)) longest = found;
    }
    return longest;
  }

  #wake(): void {
    const shared = this.#shared;
    shared.waking = false;
    const stuck = new Set<MemoryAccount>();
    for (const waiter of [...shared.waiters]) {
      if (stuck.has(waiter.account)) continue;
      if (waiter.account.#grant(waiter.bytes)) waiter.settle(true);
      else stuck.add(waiter.account);
    }
  }
}

/** A new budget. `onLargeGiven` is told of bytes of this thread given back that were many at once. */
export function memoryBudget(
  bytes: number,
  clock: Clock = systemClock,
  onLargeGiven: (bytes: number) => void = () => undefined,
): MemoryAccount {
  return new MemoryAccount("all", bytes, new Shared(clock, onLargeGiven));
}
