/** A journal's counters: open calls, and bytes on disk. */

export class OpenCalls {
  readonly #waiting: (() => void)[] = [];
  #open = 0;

  async during<T>(work: () => Promise<T>): Promise<T> {
    this.#open += 1;
    try {
      return await work();
    } finally {
      this.#open -= 1;
      if (this.#open === 0) for (const done of this.#waiting.splice(0)) done();
    }
  }

  /** Resolves when none is open. */
  async end(): Promise<void> {
    while (this.#open > 0) await new Promise<void>((resolve) => this.#waiting.push(resolve));
  }
}

export class DiskUse {
  readonly #sizes = new Map<string, number>();
  #bytes = 0;

  get bytes(): number {
    return this.#bytes;
  }

  /** New length of the file; 0 if it is gone. */
  set(file: string, bytes: number): void {
    this.#bytes += bytes - (this.#sizes.get(file) ?? 0);
    if (bytes === 0) this.#sizes.delete(file);
    else this.#sizes.set(file, bytes);
  }
}
