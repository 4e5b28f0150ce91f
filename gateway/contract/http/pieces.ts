/** Bytes that come in pieces. Many tiny pieces are joined as they come: each would take a hundred bytes of its own. */
import { gatewayLimits } from "../limits.ts";

export class Pieces {
  bytes = 0;
  readonly #joined: Uint8Array[] = [];
  #loose: Uint8Array[] = [];

  add(piece: Uint8Array): void {
    this.bytes += piece.length;
    this.#loose.push(piece);
    if (this.#loose.length < gatewayLimits.loosePieces) return;
    const joined = Buffer.concat(this.#loose);
    this.#loose = [];
    (joined.length >= gatewayLimits.joinedPieceBytes ? this.#joined : this.#loose).push(joined);
  }

  /** All of them as one; a single piece as it is. */
  whole(): Uint8Array {
    const all = this.#joined.length === 0 ? this.#loose : [...this.#joined, ...this.#loose];
    return all.length === 1 ? (all[0] as Uint8Array) : Buffer.concat(all, this.bytes);
  }
}
