/** A small table that all nodes see: each key has a value and a revision, which grows with every write of any key. */
export interface Store {
  /**
   * Tells the value of every key there is, and then each change, in order. Returns the end of it. Goes on by itself after the connection was
   * lost, with the newest value of each key.
   */
  watch(take: (key: string, value: Uint8Array, revision: number) => void): Promise<() => void>;
  /**
   * Writes if the key's revision is the expected one, 0 for a key that was never written. Resolves with the new revision, or undefined when it
   * was refused. Rejects when there was no answer: it may have been written.
   */
  put(key: string, value: Uint8Array, expected: number): Promise<number | undefined>;
}
