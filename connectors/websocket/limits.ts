/** Bounds of WebSocket connections that no configuration changes. */
export const websocketLimits = {
  /** Longest message of a peer, unless `frameLimit` says otherwise; and the highest limit. */
  frameBytes: 2 ** 20,
  mostFrameBytes: 16 * 2 ** 20,
  /** Fragments of one message. */
  fragments: 4_096,
  /** Pings of the peer whose pongs it has not read. */
  pendingPongs: 60,
  /** Frames that are sent when a connection is open, and characters of one of them. */
  openingFrames: 64,
  openingCharacters: 65_536,
  /** Longest id. A longer one is ignored: it goes back to the peer, and is kept. */
  idCharacters: 1_024,
  /** Bytes of frames that a peer has not read yet; an attempt beyond them fails. */
  unreadBytes: 16 * 2 ** 20,
  /** Characters of a peer's reason for closing; RFC 6455 has 123 bytes. */
  reasonCharacters: 123,
} as const;
