/** Bounds of the SFTP connector that no configuration changes. */
import { folderLimits } from "../shared/remote-folder/limits.ts";

export const sftpLimits = {
  ...folderLimits,
  /** Bytes of one read or write: what every server takes. */
  pieceBytes: 32_768,
  /** Reads or writes of one file that are under way at once. */
  piecesAtOnce: folderLimits.readAheadBytes / 32_768,
  /** Answers that a piece may take: a server may read fewer bytes than asked for. */
  readsPerPiece: 64,
  /** Entries of a folder that are looked at; an answer without any counts for `emptyEntries`. */
  entriesPerLook: 1_000_000,
  emptyEntries: 1_000,
  /** Longest time of an answer; after it the connection is given up. */
  answerMs: 300_000,
} as const;
