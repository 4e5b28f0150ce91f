/** The body of a reply. A long one goes out in pieces, and counts in the memory budget until its reader has it. */
import type { ServerResponse } from "node:http";
import type { MemoryAccount, MemoryHolder } from "#base";
import { httpLimits } from "./limits.ts";

/** Ends a response whose head is written. */
export function sendBody(response: ServerResponse, body: Uint8Array, replies: MemoryAccount): void {
  // A short body as text goes out in one buffer with the headers: one write instead of a vector of two.
  if (body.length <= httpLimits.joinedBytes)
    response.end(Buffer.from(body.buffer, body.byteOffset, body.byteLength).toString("latin1"), "latin1");
  else new LongReply(response, body, replies).next();
}

/** A reader that stalls is cut off when somebody else needs the room. */
class LongReply implements MemoryHolder {
  readonly #response: ServerResponse;
  readonly #body: Uint8Array;
  readonly #replies: MemoryAccount;
  #heldBytes: number;
  #at = 0;

  constructor(response: ServerResponse, body: Uint8Array, replies: MemoryAccount) {
    this.#response = response;
    this.#body = body;
    this.#replies = replies;
    this.#heldBytes = body.length;
    replies.force(body.length);
    response.on("close", this.#letGo);
    response.on("drain", this.next);
  }

  /** Writes until the connection takes no more. */
  readonly next = (): void => {
    while (this.#at < this.#body.length) {
      this.#replies.progressed(this);
      const piece = this.#body.subarray(this.#at, this.#at + httpLimits.pieceBytes);
      this.#at += piece.length;
      if (this.#at === this.#body.length) this.#response.end(piece);
      else if (!this.#response.write(piece)) return;
    }
  };

  evict(): void {
    this.#letGo();
    this.#response.destroy();
  }

  readonly #letGo = (): void => {
    this.#at = this.#body.length;
    this.#replies.left(this);
    if (this.#heldBytes > 0) this.#replies.give(this.#heldBytes);
    this.#heldBytes = 0;
  };
}
