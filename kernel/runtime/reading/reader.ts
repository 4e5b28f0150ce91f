/**
 * Items of a body, one after another: pieces are asked for as the flow pulls, and a parser takes them apart.
 *
 *   BodyPieces ──▶ PieceParser ──▶ items made at once ──▶ the flow's loop
 */
import { kernel } from "../link.ts";
import { isBeginning } from "./charsets.ts";
import { readingLimits } from "./limits.ts";
import type { OpenReader, Position, ReaderTerms } from "./reading.ts";
import { joined } from "./transcoder.ts";

/** Takes the pieces of one body apart. Methods throw what is wrong with the body. */
export interface PieceParser {
  /** Adds the next piece. */
  add(piece: Uint8Array, isLast: boolean): void;
  /** The next items, `most` at most; none: it needs the next piece, or there are no more. */
  items(most: number): readonly unknown[];
  /** Bytes of the body that were added and are behind the items so far. */
  readonly pendingBytes: number;
  /** All it must know to go on there. */
  state(): object;
}

type Result = IteratorResult<unknown, undefined>;

const nothing = new Uint8Array(0);
const over: Result = { value: undefined, done: true };

export class BodyReader implements OpenReader {
  taken = 0;
  finished = false;
  private readonly terms: ReaderTerms;
  private readonly parser: PieceParser;
  private readonly format: string;
  private items: readonly unknown[] = [];
  private at = 0;
  /** Where `items` begin. */
  private start: Position;
  private closed = false;
  /** Of calls that wait: each begins when the one before has ended. */
  private tail: Promise<Result> | undefined;
  /** Items at the beginning that earlier batches had. */
  private skip: number;
  private isWhole = false;
  /** The charset is known. */
  private hasBegun: boolean;
  /** Bytes that the parser was not given. */
  private bytes: Uint8Array = nothing;

  constructor(terms: ReaderTerms, format: string, parser: PieceParser) {
    this.terms = terms;
    this.format = format;
    this.parser = parser;
    this.hasBegun = terms.from !== undefined;
    this.skip = terms.from?.skip ?? 0;
    this.start = this.here();
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  next(): Promise<Result> {
    if (this.tail === undefined && this.at < this.items.length && this.taken < this.terms.most && !this.closed)
      return Promise.resolve(this.item());
    const step = (): Promise<Result> => this.advance();
    const given = this.tail === undefined ? step() : this.tail.then(step, step);
    this.tail = given;
    const settled = (): void => {
      if (this.tail === given) this.tail = undefined;
    };
    given.then(settled, settled);
    return given;
  }

  /** The flow has left its loop. */
  return(): Promise<Result> {
    this.closed = true;
    return Promise.resolve(over);
  }

  position(): Position {
    return { ...this.start, skip: this.start.skip + this.at };
  }

  private here(): Position {
    return { kind: "", offset: this.terms.pieces.offset - this.parser.pendingBytes, skip: 0, state: this.parser.state() };
  }

  private async advance(): Promise<Result> {
    if (this.closed || this.finished) return over;
    const isFull = this.taken >= this.terms.most;
    try {
      while (this.at >= this.items.length) if (!(await this.fill())) return this.end();
    } catch (error) {
      if (isFull) return over; // the next batch will find it
      throw error instanceof kernel.FlowError ? error : this.terms.message.unreadable(this.format, error);
    }
    return isFull ? over : this.item();
  }

  private item(): Result {
    this.taken++;
    return { value: this.items[this.at++], done: false };
  }

  private end(): Result {
    this.finished = true;
    return over;
  }

  /** Makes the next items. False at the end of the body. */
  private async fill(): Promise<boolean> {
    const { pieces } = this.terms;
    for (;;) {
      this.start = this.here();
      const items = this.parser.items(readingLimits.itemsAtOnce);
      if (items.length > 0) {
        this.items = items;
        this.at = Math.min(this.skip, items.length);
        this.skip -= this.at;
        return true;
      }
      if (pieces.isOver && this.isWhole) return false;
      this.bytes = joined(this.bytes, await pieces.next());
      this.isWhole = pieces.isOver;
      if (!this.isWhole && !this.hasBegun && !isBeginning(this.bytes)) continue;
      this.hasBegun = true;
      this.parser.add(this.bytes, this.isWhole);
      this.bytes = nothing;
    }
  }
}
