/** The network as calls between nodes need it: subjects, at most once, in order between two connections. */

export interface Arrived {
  readonly data: Uint8Array;
  /** Nobody listens to the subject that was published to with this one as `reply`. */
  readonly nobody: boolean;
  readonly subject: string;
  readonly reply: string | undefined;
}

export interface Wire {
  /** Longest message, in bytes. */
  readonly mostBytes: number;
  /** False when it was not sent: the connection is closed. Sent does not mean arrived. */
  publish(subject: string, data: Uint8Array, reply?: string): boolean;
  /** Returns the end of the subscription. `take` must not throw. */
  subscribe(subject: string, take: (message: Arrived) => void): () => void;
}
