/**
 * The record of the cluster's reloads, which all nodes see: one key of the table of owners, changed by compare and set alone. Its change is
 * the decision of a reload: whoever was overtaken can't decide any more.
 *
 *   over ──the coordinator──▶ open ──┬── the coordinator: all said the same ──▶ over, with a new `committed`
 *                                    └── the coordinator, a node that waited too long, the next coordinator ──▶ over, or open anew
 */
import type { Clock } from "#base";
import type { Store } from "../ownership/mod.ts";
import { reloadLimits } from "./limits.ts";

export const reloadKey = "reload";

export interface ReloadRecord {
  /** The reload that is under way, and the process that decides it. */
  readonly open: { readonly id: string; readonly node: string; readonly life: string } | undefined;
  /** The last one that all nodes were told to swap to. */
  readonly committed: { readonly id: string; readonly revision: string } | undefined;
}

const nothing: ReloadRecord = { open: undefined, committed: undefined };

function texts(value: unknown, ...names: readonly string[]): boolean {
  const fields = (typeof value === "object" && value !== null ? value : {}) as Readonly<Record<string, unknown>>;
  return names.every((name) => typeof fields[name] === "string");
}

/** Never throws: what is malformed counts as nothing. */
export function decodeRecord(value: Uint8Array): ReloadRecord {
  if (value.length === 0 || value.length > reloadLimits.recordCharacters) return nothing;
  try {
    const { open, committed } = JSON.parse(Buffer.from(value).toString()) as Partial<ReloadRecord>;
    return {
      open: texts(open, "id", "node", "life") ? open : undefined,
      committed: texts(committed, "id", "revision") ? committed : undefined,
    };
  } catch {
    return nothing;
  }
}

export class ReloadTable {
  readonly #store: Pick<Store, "put">;
  readonly #clock: Clock;
  #record = nothing;
  #sequence = 0;
  #seenMs = 0;
  readonly #looks = new Set<() => void>();

  constructor(store: Pick<Store, "put">, clock: Clock) {
    this.#store = store;
    this.#clock = clock;
  }

  get record(): ReloadRecord {
    return this.#record;
  }

  /** Grows with each change. */
  get sequence(): number {
    return this.#sequence;
  }

  /** How long it has been as it is, as this node knows it. */
  get ageMs(): number {
    return this.#clock.monotonicMs() - this.#seenMs;
  }

  /** Called after each change. Returns the end of it. */
  onChange(look: () => void): () => void {
    this.#looks.add(look);
    return () => this.#looks.delete(look);
  }

  /** `isPresent`: the value that the servers have now, which may be older than one that they have lost. */
  saw(key: string, value: Uint8Array, sequence: number, isPresent = false): void {
    if (key !== reloadKey || sequence === this.#sequence || (sequence < this.#sequence && !isPresent)) return;
    this.#record = decodeRecord(value);
    this.#sequence = sequence;
    this.#seenMs = this.#clock.monotonicMs();
    for (const look of [...this.#looks]) look();
  }

  /** Undefined: the servers did not answer, and it may have been written. */
  async put(record: ReloadRecord, expected: number): Promise<boolean | undefined> {
    const value = Buffer.from(JSON.stringify(record));
    try {
      const sequence = await this.#store.put(reloadKey, value, expected);
      if (sequence !== undefined) this.saw(reloadKey, value, sequence);
      return sequence !== undefined;
    } catch {
      return undefined;
    }
  }

  /** Resolves with false when that is not so within `mostMs`. */
  until(isSo: () => boolean, mostMs: number): Promise<boolean> {
    if (isSo()) return Promise.resolve(true);
    return new Promise((resolve) => {
      const end = (result: boolean): void => {
        stop();
        cancel();
        resolve(result);
      };
      const stop = this.onChange(() => (isSo() ? end(true) : undefined));
      const cancel = this.#clock.after(mostMs, () => end(false));
    });
  }
}
