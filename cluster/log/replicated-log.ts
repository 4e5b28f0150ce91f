/**
 * A log that several servers keep together, as a partition's disk sees it: numbered messages, each appended only if its writer knows the
 * number of the last one. JetStream has it (jetstream-log.ts); testing/simulated-log.ts is the one that loses acknowledgements.
 *
 * Guarantees: of all appends with one `expected` at most one is ever stored, and it has the number `expected + 1`. A message that was
 * acknowledged stays until it is purged. An append that rejected may be stored later, as long as no other message has its number.
 */
export interface LogMessage {
  readonly sequence: number;
  readonly subject: string;
  /** The one header, a line of visible ASCII; empty for a message that is not Mayfly's. */
  readonly header: string;
  /** Empty for a message of `readHeaders`. */
  readonly data: Uint8Array;
}

export interface NewLogMessage {
  readonly subject: string;
  readonly header: string;
  readonly data: Uint8Array;
}

/** `refused`: the server says that the last number is another one. It may be mistaken, also about a message it has stored itself. */
export type Appended = "stored" | "refused";

export interface ReplicatedLog {
  /** For people: the stream's name. */
  readonly name: string;
  /** Subjects begin with this and a dot. */
  readonly prefix: string;
  /** Longest data of a message, in bytes. */
  readonly mostBytes: number;
  /** Rejects with ENOSPC when there is no room, with any other error when the end is unknown. */
  append(message: NewLogMessage, expected: number): Promise<Appended>;
  /** Undefined if there is no such message, or the server that answers does not have it yet. */
  get(sequence: number): Promise<LogMessage | undefined>;
  /**
   * All messages up to a number, in order and without data; the one with that number exists. `begin` is called at the beginning, and again when
   * the reading begins anew since something was missing; it gives the function that is called with each message.
   */
  readHeaders(to: number, begin: () => (message: LogMessage) => void): Promise<void>;
  /** Number of the last message there ever was; 0 for an empty log. */
  last(): Promise<number>;
  /** Removes all messages of a subject, whose numbers are `sequences`. */
  purge(subject: string, sequences: readonly number[]): Promise<void>;
  /** Removes those messages of a subject whose number is below `below`; does nothing on servers where that is not safe. */
  trim(subject: string, below: number): Promise<void>;
  /** Free space in bytes, as far as can be seen. */
  freeBytes(): Promise<number>;
}
