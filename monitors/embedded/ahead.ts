/** The likely duration of each line's steps in a worker's slots. Two short arrays: a Map whose keys come and go allocates with every message. */

/** Sums of estimates below this are rounding errors. */
const negligibleMs = 1e-6;

export class Ahead<Line extends object> {
  readonly #lines: Line[] = [];
  readonly #sumsMs: number[] = [];

  get isEmpty(): boolean {
    return this.#lines.length === 0;
  }

  of(line: Line): number {
    const at = this.#lines.indexOf(line);
    return at < 0 ? 0 : (this.#sumsMs[at] as number);
  }

  /** `ms`: negative for a step that left its slot. A line without steps is forgotten. */
  add(line: Line, ms: number): void {
    const at = this.#lines.indexOf(line);
    const sumMs = ms + (at < 0 ? 0 : (this.#sumsMs[at] as number));
    if (sumMs > negligibleMs) {
      const place = at < 0 ? this.#lines.push(line) - 1 : at;
      this.#sumsMs[place] = sumMs;
    } else if (at >= 0) this.#forget(at);
  }

  #forget(at: number): void {
    const line = this.#lines.pop() as Line;
    const sumMs = this.#sumsMs.pop() as number;
    if (at === this.#lines.length) return;
    this.#lines[at] = line;
    this.#sumsMs[at] = sumMs;
  }
}
