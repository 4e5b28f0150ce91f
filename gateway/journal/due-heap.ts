/** Numbers by when each is due, the earliest first; of the same date the lowest number. A binary heap in typed arrays: 16 bytes each. */

export class DueHeap {
  #dues = new Float64Array(16);
  #numbers = new Float64Array(16);
  #size = 0;

  get size(): number {
    return this.#size;
  }

  /** When the first is due; undefined when the heap is empty. */
  get firstMs(): number | undefined {
    return this.#size === 0 ? undefined : this.#dues[0];
  }

  get firstNumber(): number | undefined {
    return this.#size === 0 ? undefined : this.#numbers[0];
  }

  add(number: number, dueMs: number): void {
    if (this.#size === this.#dues.length) this.#resize(this.#size * 2);
    this.#siftUp(this.#size++, number, dueMs);
  }

  /** Takes the first out. */
  take(): number | undefined {
    if (this.#size === 0) return undefined;
    const first = this.#numbers[0];
    this.#size -= 1;
    if (this.#size > 0) this.#siftDown(this.#numbers[this.#size] ?? 0, this.#dues[this.#size] ?? 0);
    return first;
  }

  #siftUp(from: number, number: number, dueMs: number): void {
    let at = from;
    while (at > 0) {
      const parent = (at - 1) >> 1;
      if (!this.#isBefore(number, dueMs, parent)) break;
      this.#move(parent, at);
      at = parent;
    }
    this.#dues[at] = dueMs;
    this.#numbers[at] = number;
  }

  #siftDown(number: number, dueMs: number): void {
    let at = 0;
    for (;;) {
      let child = 2 * at + 1;
      if (child >= this.#size) break;
      if (child + 1 < this.#size && this.#isBefore(this.#numbers[child + 1] ?? 0, this.#dues[child + 1] ?? 0, child)) child += 1;
      if (this.#isBefore(number, dueMs, child)) break;
      this.#move(child, at);
      at = child;
    }
    this.#dues[at] = dueMs;
    this.#numbers[at] = number;
  }

  #isBefore(number: number, dueMs: number, at: number): boolean {
    const other = this.#dues[at] ?? 0;
    return dueMs < other || (dueMs === other && number < (this.#numbers[at] ?? 0));
  }

  #move(from: number, to: number): void {
    this.#dues[to] = this.#dues[from] ?? 0;
    this.#numbers[to] = this.#numbers[from] ?? 0;
  }

  #resize(slots: number): void {
    const dues = new Float64Array(slots);
    const numbers = new Float64Array(slots);
    dues.set(this.#dues);
    numbers.set(this.#numbers);
    this.#dues = dues;
    this.#numbers = numbers;
  }
}
