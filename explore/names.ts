/** Short numbers for long descriptions, so that those of worlds are short. */
export class Names {
  readonly #numbers = new Map<string, number>();

  of(description: string): number {
    let number = this.#numbers.get(description);
    if (number === undefined) this.#numbers.set(description, (number = this.#numbers.size + 1));
    return number;
  }
}
