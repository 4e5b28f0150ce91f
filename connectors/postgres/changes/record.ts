/** The place within a long transaction, in the gateway's journal; and that the slot was read, so that no other is taken for it. */
import type { SourceContext } from "#gateway/contract";
import { changeLimits } from "../limits.ts";
import type { ChangesConfig } from "./config.ts";
import type { Place, Progress } from "./progress.ts";

interface Fact {
  /** Messages are numbered otherwise in batches. */
  readonly batch: ChangesConfig["batch"];
  readonly place?: Place | undefined;
}

export class PlaceRecord {
  readonly #context: SourceContext;
  readonly #changes: ChangesConfig;
  readonly #progress: Progress;
  readonly #name: string;
  #isRead = false;
  #isKnown = false;
  #kept: string | undefined;
  #writing: Promise<void> | undefined;
  #writtenMs = Number.NEGATIVE_INFINITY;

  constructor(context: SourceContext, changes: ChangesConfig, progress: Progress) {
    this.#context = context;
    this.#changes = changes;
    this.#progress = progress;
    this.#name = `changes ${context.name} ${changes.slot}`;
  }

  /** True if this source has read the slot before; then its place is restored, once. */
  async read(): Promise<boolean> {
    if (this.#isRead) return this.#isKnown;
    const text = await this.#context.recall?.read(this.#name);
    if (text !== undefined) {
      const { batch, place } = JSON.parse(text) as Fact;
      if (place !== undefined && batch === this.#changes.batch) this.#progress.restore(place);
      this.#kept = text;
      this.#isKnown = true;
    }
    this.#isRead = true;
    return this.#isKnown;
  }

  /** The slot is read. */
  async begin(): Promise<void> {
    this.#isKnown = true;
    if (this.#kept === undefined) await this.#keep();
  }

  /** Writes the place if the last one is old enough. Never throws. */
  write(): void {
    const { clock } = this.#context;
    if (this.#writing !== undefined || clock.monotonicMs() - this.#writtenMs < changeLimits.recordMs) return;
    if (this.#progress.place === undefined) return;
    this.#writtenMs = clock.monotonicMs();
    this.#writing = this.#keep()
      .catch((error: unknown) => this.#context.unexpected(error, "the place within a transaction"))
      .finally(() => {
        this.#writing = undefined;
      });
  }

  /** Writes the last place. */
  async last(): Promise<void> {
    await this.#writing;
    await this.#keep();
  }

  async #keep(): Promise<void> {
    const fact: Fact = { batch: this.#changes.batch, place: this.#progress.place };
    const text = JSON.stringify(fact);
    if (text !== this.#kept) await this.#context.recall?.write(this.#name, text);
    this.#kept = text;
  }
}
