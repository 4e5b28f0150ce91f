/** The stored body of a recorded message, from a file: recordings name the pieces that were read, and do not hold them. */
import { createHash } from "node:crypto";
import { closeSync, createReadStream, openSync, readSync } from "node:fs";
import type { Recording, StoredWindow } from "#abi";
import { CodedError } from "#base";
import { WindowEvent } from "#gateway";

/** The recording with the bytes of its pieces, read from the file as they are needed. Rejects with MF_REPLAY_BODY for another file. */
export async function withBody(recording: Recording, file: string): Promise<Recording> {
  const wanted = new Set(recording.events.flatMap((event) => (event.kind === "resolve" && event.window?.sha256) || []));
  const hash = createHash("sha256");
  try {
    for await (const piece of createReadStream(file)) hash.update(piece as Buffer);
  } catch (cause) {
    throw new CodedError("MF_REPLAY_BODY", `${file} can't be read: ${cause instanceof Error ? cause.message : String(cause)}`, { cause });
  }
  const found = hash.digest("hex");
  for (const sha256 of wanted)
    if (sha256 !== found)
      throw new CodedError("MF_REPLAY_BODY", `${file} is not the body that was read: its SHA-256 is ${found} and not ${sha256}`);
  const read = ({ offset, bytes }: StoredWindow): Uint8Array => readPiece(file, offset, bytes);
  const events = recording.events.map((event) =>
    event.kind === "resolve" && event.window !== undefined ? new WindowEvent(event, read) : event,
  );
  return { ...recording, events };
}

function readPiece(file: string, offset: number, bytes: number): Uint8Array {
  const opened = openSync(file, "r");
  try {
    const piece = Buffer.alloc(bytes);
    readSync(opened, piece, 0, bytes, offset);
    return piece;
  } finally {
    closeSync(opened);
  }
}
