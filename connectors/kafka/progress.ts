/** Records of one partition in hand, in their order: Kafka commits one position per partition, so that it stands before the first open one. */
export class PartitionProgress {
  readonly #open: { readonly offset: bigint; ended: boolean }[] = [];
  /** Highest offset taken; -1: none. */
  #lastTaken = -1n;

  /** False for an offset that was taken before. */
  take(offset: bigint): boolean {
    if (offset <= this.#lastTaken) return false;
    this.#lastTaken = offset;
    this.#open.push({ offset, ended: false });
    return true;
  }

  /** The position to commit if it moved: that after the last record of which all before it have ended too. */
  end(offset: bigint): bigint | undefined {
    const record = this.#open.find((each) => each.offset === offset);
    if (record === undefined) return undefined;
    record.ended = true;
    let position: bigint | undefined;
    while (this.#open[0]?.ended === true) position = (this.#open.shift()?.offset ?? 0n) + 1n;
    return position;
  }
}
