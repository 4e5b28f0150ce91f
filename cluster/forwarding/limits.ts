/** Bounds of what one node asks of another. */
const mib = 1024 * 1024;

export const forwardingLimits = {
  /** Longest call or answer, in bytes: the longest message that a machine takes, and more. It travels in parts, so `max_payload` does not bound it. */
  callBytes: 72 * mib,
  /** Longest part; less where the servers' `max_payload` is less. */
  partBytes: 256 * 1024,
  /** Bytes of a part besides its content. */
  partHeadBytes: 512,
  /** Calls of this node that are under way at once, and their bytes. */
  openCalls: 8_192,
  openBytes: 128 * mib,
  /** Calls of other nodes that are answered at once, and the bytes of those that have come in part. */
  answeredCalls: 16_384,
  assembledBytes: 128 * mib,
  /** A call or answer that came in part is dropped when no more of it has come for this time. */
  partMs: 10_000,
  /** Interval at which a node is asked whether it still works on what it was asked. */
  probeMs: 500,
  /** A node that answers no probe for this time is taken for gone: what it was asked ends without an answer. */
  silentMs: 4_000,
  /** Calls that one probe names. */
  probedCalls: 8_192,
  /** How long a message waits for its partition to have an owner, if its sender waits for the answer, and if a broker has it. */
  callerPatienceMs: 2_000,
  brokerPatienceMs: 20_000,
  /** How long messages wait for those before them, which a former owner has: it can commit nothing of them any more. */
  formerOwnerMs: 5_000,
  /** Interval at which a partition's owner is looked up while it has none. */
  lookupMs: 50,
  /** Senders and partitions whose last messages that were turned back are remembered. */
  turnedBack: 16_384,
  /** How long a node has to answer another's question. */
  questionMs: 5_000,
  /** Longest name of a node, in characters. */
  nameCharacters: 128,
};

export type ForwardingLimits = typeof forwardingLimits;
