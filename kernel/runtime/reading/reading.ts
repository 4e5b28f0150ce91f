/**
 * The part `reading`: a body that is read in pieces, and the batches of a flow that asks for them. The parts beside it take the pieces apart.
 *
 *   flow({ batch: 500 }): one machine reads 500 items and is done; the gateway commits what it sent, and gives the same message, with the
 *   position where the next batch begins, to the next machine.
 */
import type { Batch } from "../api.d.ts";
import { kernel } from "../link.ts";
import type { ReadMessage, ReaderKind } from "../readers.ts";
import { windowOperation } from "../wire.ts";
import { readingLimits } from "./limits.ts";

/** Where the next batch begins. */
export interface Position {
  /** Reader and name that the batches before were read with. */
  readonly kind: string;
  /** Of a piece that begins with an item, in the body. */
  readonly offset: number;
  /** Items of that piece that earlier batches had. */
  readonly skip: number;
  /** The parser's own, at `offset`. */
  readonly state: object;
}

interface KeptPosition extends Position {
  readonly batch: number;
  /** Items of all batches before. */
  readonly first: number;
  /** Id of the message as it came. */
  readonly of: string;
  readonly carried?: unknown;
}

/** A reader as the batch knows it. */
export interface OpenReader extends AsyncIterableIterator<unknown> {
  /** Items that the flow was given. */
  readonly taken: number;
  /** Nothing follows them. */
  readonly finished: boolean;
  position(): Position;
}

export interface ReaderTerms {
  readonly message: ReadMessage;
  /** The elements' name. */
  readonly name: string | undefined;
  readonly options: object | undefined;
  readonly pieces: BodyPieces;
  /** Absent: from the beginning. */
  readonly from: Position | undefined;
  /** Most items. */
  readonly most: number;
}

type OpenPart = (terms: ReaderTerms) => OpenReader;

const parts = new Map<ReaderKind, OpenPart>();

export function onReader(kind: ReaderKind, open: OpenPart): void {
  parts.set(kind, open);
}

let opened: OpenReader | undefined;
let openedKind = "";
let openedMessage: ReadMessage | undefined;
let carried: unknown;

/** The body from an offset on, in pieces of `readingLimits.windowBytes` at most. */
export class BodyPieces {
  readonly size: number;
  /** Of the next piece. */
  offset: number;
  private readonly bytes: Uint8Array | undefined;
  private isFirst = true;

  constructor(message: ReadMessage, offset: number) {
    this.size = message.size;
    this.offset = offset;
    this.bytes = message.storedBody === undefined ? message.bytes : undefined;
  }

  get isOver(): boolean {
    return this.offset >= this.size;
  }

  /** The next piece, in a step of its own but for the first of a body that is here: each has the CPU time of one. */
  async next(): Promise<Uint8Array> {
    const from = this.offset;
    const to = Math.min(from + readingLimits.windowBytes, this.size);
    if (this.bytes !== undefined) {
      if (!this.isFirst) await kernel.sleep(0);
      this.isFirst = false;
      this.offset = to;
      return this.bytes.subarray(from, to);
    }
    const piece = await windowAt(from);
    if (piece.length !== to - from)
      throw new kernel.FlowError("MF_CLAIM_DAMAGED", `the stored body ends at byte ${from + piece.length} instead of ${this.size}`, false);
    this.offset = to;
    return piece;
  }
}

async function windowAt(offset: number): Promise<Uint8Array> {
  try {
    return (await kernel.call(windowOperation, String(offset), "", "", "{}", 0, "")).bytes;
  } catch (error) {
    // Another attempt would find the same body.
    if (error instanceof kernel.FlowError && error.code.startsWith("MF_CLAIM_"))
      throw new kernel.FlowError(error.code, error.message, false, 0, error);
    throw error;
  }
}

function keptPosition(message: ReadMessage): KeptPosition | undefined {
  void message.headers;
  return message.position === undefined ? undefined : JSON.parse(message.position);
}

/** Opens a reader whose part is linked. Throws MF_FORMAT_NOT_LINKED. */
export function openPart(kind: ReaderKind, terms: ReaderTerms): OpenReader {
  const open = parts.get(kind);
  if (open === undefined) throw kernel.notLinked(`msg.${kind}()`, kind);
  return open(terms);
}

function openReader(message: ReadMessage, kind: ReaderKind, name: string | undefined, options: object | undefined): OpenReader {
  const most = kernel.batchItems;
  if (most === undefined)
    return openPart(kind, { message, name, options, pieces: new BodyPieces(message, 0), from: undefined, most: Number.POSITIVE_INFINITY });
  if (opened !== undefined)
    throw new kernel.FlowError("MF_ARGUMENT", "a flow with `batch` reads its message once: keep what you need of the items", false);
  const before = keptPosition(message);
  openedMessage = message;
  openedKind = name === undefined ? kind : `${kind} ${name}`;
  if (before !== undefined && before.kind !== openedKind)
    throw new kernel.FlowError(
      "MF_BATCH_POSITION",
      `earlier batches read the message's ${before.kind}, and this one its ${openedKind}: a batch can't go on from there`,
      false,
    );
  opened = openPart(kind, { message, name, options, pieces: new BodyPieces(message, before?.offset ?? 0), from: before, most });
  return opened;
}

/** Where the next batch begins; undefined where none follows. */
function nextPosition(): string | undefined {
  if (kernel.batchItems === undefined || opened === undefined || opened.finished) return undefined;
  if (opened.taken === 0)
    throw new kernel.FlowError(
      "MF_BATCH_EMPTY",
      "the flow took nothing of its batch, which would come again for ever: read it, or return before",
      false,
    );
  const { number, first, of } = batchOf(openedMessage!);
  const next: KeptPosition = { ...opened.position(), kind: openedKind, batch: number + 1, first: first + opened.taken, of, carried };
  const json = JSON.stringify(next);
  if (json.length > readingLimits.positionCharacters)
    throw new kernel.FlowError(
      "MF_BATCH_POSITION",
      `what the next batch begins with is longer than ${readingLimits.positionCharacters} characters: carry less, or name the columns with \`header\``,
      false,
    );
  return json;
}

/** `msg.batch`: of a flow without `batch`, the one there is. */
class MessageBatch implements Batch {
  readonly number: number;
  readonly first: number;
  readonly of: string;
  readonly carried: unknown;

  constructor(message: ReadMessage) {
    const kept = keptPosition(message);
    this.number = kept?.batch ?? 1;
    this.first = kept?.first ?? 0;
    this.of = kept?.of ?? message.id;
    this.carried = kept?.carried;
    carried = this.carried;
  }

  get last(): boolean {
    return kernel.batchItems === undefined || opened === undefined || opened.finished;
  }

  carry(value: unknown): void {
    carried = value;
  }
}

let batch: MessageBatch | undefined;

function batchOf(message: ReadMessage): MessageBatch {
  return (batch ??= new MessageBatch(message));
}

kernel.onReading({ open: openReader, batch: batchOf, nextPosition });
