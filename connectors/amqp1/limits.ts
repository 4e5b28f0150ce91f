import { gatewayLimits } from "#gateway/contract";

/** Bounds of AMQP 1.0 connections. */
export const amqp1Limits = {
  /** Longest frame the peer may send, in bytes: told in `open`, and enforced. */
  frameBytes: 128 * 1024,
  /** Longest message taken from a broker, in bytes: told in `attach`, and enforced; a longer one is rejected. */
  messageBytes: gatewayLimits.fileBytes,
  /** Values in one message or performative, and how deep they nest. */
  values: 1_000_000,
  depth: 64,
  /** Deliveries that a session remembers behind the oldest one that is not settled. */
  sessionDeliveries: 32_768,
  /** First credit of a source; it grows once the length of messages is known. */
  firstCredit: 8,
  /** Links to addresses kept open by one outlet, or for the replies of one source. */
  senders: 64,
  /** Credit for answers to requests. */
  answerCredit: 64,
  /** Longest addresses in errors and on the wire, in characters. */
  addressCharacters: 1_024,
} as const;
