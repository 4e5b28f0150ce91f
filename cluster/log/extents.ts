/**
 * Where the bytes of a file are: pieces, each in the data of one message, in order and without overlaps. Bytes between pieces are zero. A
 * log only grows at its end, so that is what is quick; four numbers for each message, in plain arrays.
 */
export interface Piece {
  /** In the file. */
  readonly offset: number;
  readonly length: number;
  /** The message, and the first byte of its data that counts. */
  readonly sequence: number;
  readonly from: number;
}

export class Extents {
  #offsets: number[] = [];
  #lengths: number[] = [];
  #sequences: number[] = [];
  #froms: number[] = [];

  get count(): number {
    return this.#offsets.length;
  }

  /** The bytes from `offset` on are those of the message now. */
  write(offset: number, length: number, sequence: number): void {
    if (length === 0) return;
    const last = this.count - 1;
    if (last < 0 || this.#end(last) <= offset) return this.#push({ offset, length, sequence, from: 0 });
    const end = offset + length;
    const pieces = [...this.#pieces(0, this.count)];
    this.#clear();
    for (const piece of pieces) if (piece.offset < offset) this.#push(cut(piece, piece.offset, Math.min(endOf(piece), offset)));
    this.#push({ offset, length, sequence, from: 0 });
    for (const piece of pieces) if (endOf(piece) > end) this.#push(cut(piece, Math.max(piece.offset, end), endOf(piece)));
  }

  /** Forgets all bytes from `length` on. */
  truncate(length: number): void {
    while (this.count > 0) {
      const last = this.count - 1;
      const offset = this.#offsets[last] ?? 0;
      if (offset < length) {
        this.#lengths[last] = Math.min(this.#lengths[last] ?? 0, length - offset);
        return;
      }
      for (const list of [this.#offsets, this.#lengths, this.#sequences, this.#froms]) list.pop();
    }
  }

  /** The pieces that have bytes of a range, in order. */
  within(from: number, to: number): Piece[] {
    let low = 0;
    let high = this.count;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.#end(middle) > from) high = middle;
      else low = middle + 1;
    }
    let end = low;
    while (end < this.count && (this.#offsets[end] ?? 0) < to) end += 1;
    return [...this.#pieces(low, end)];
  }

  #end(index: number): number {
    return (this.#offsets[index] ?? 0) + (this.#lengths[index] ?? 0);
  }

  #push({ offset, length, sequence, from }: Piece): void {
    this.#offsets.push(offset);
    this.#lengths.push(length);
    this.#sequences.push(sequence);
    this.#froms.push(from);
  }

  *#pieces(start: number, end: number): Generator<Piece> {
    for (let index = start; index < end; index++)
      yield {
        offset: this.#offsets[index] ?? 0,
        length: this.#lengths[index] ?? 0,
        sequence: this.#sequences[index] ?? 0,
        from: this.#froms[index] ?? 0,
      };
  }

  #clear(): void {
    this.#offsets = [];
    this.#lengths = [];
    this.#sequences = [];
    this.#froms = [];
  }
}

function endOf({ offset, length }: Piece): number {
  return offset + length;
}

function cut({ offset, sequence, from }: Piece, start: number, end: number): Piece {
  return { offset: start, length: end - start, sequence, from: from + start - offset };
}
