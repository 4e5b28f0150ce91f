/** `isPresent`: not a change, but the value that a key has now, with 0 and no bytes for none. */
export type Take = (key: string, value: Uint8Array, revision: number, isPresent?: boolean) => void;

/** A small table that all nodes see: each key has a value and a revision, which grows with every write of any key. */
export interface Store {
  /**
   * Tells the value of every key there is, and then each change, in order. Returns the end of it. Goes on by itself after the connection was
   * lost, with the newest value of each key. Tells the present value of a key after a write of it was refused: a revision lower than one that
   * was told before shows that the servers have lost writes.
   */
  watch(take: Take): Promise<() => void>;
  /**
   * Writes if the key's revision is the expected one, 0 for a key that was never written. Resolves with the new revision, or undefined when it
   * was refused. Rejects when there was no answer: it may have been written.
   */
  put(key: string, value: Uint8Array, expected: number): Promise<number | undefined>;
}
