/**
 * Where bodies are. A body of a waiting send, a kept signal or a recovered message is in memory while all of them fit the budget; beyond it
 * the ledger holds an empty array in its place, and this knows where in the log the bytes are. Large bodies are in files of their
 * own from the start ("blobs"), written and synced before the record that names them.
 *
 * The array itself is the key, so a place lives exactly as long as what refers to the body.
 */
import { crc32 } from "node:zlib";
import { type CodedError, isCoded } from "#base";
import type { Disk, DiskFile } from "./disk.ts";
import { corruptError, diskCode, journalError } from "./errors.ts";
import { JoinedReads } from "./joined-reads.ts";
import { blobChunkBytes, type LogLimits, openFiles, readings } from "./limits.ts";
import { nameOfBlob } from "./names.ts";
import type { BodyToWrite, RecordedBody } from "../format/fields.ts";
import { recordHeaderBytes } from "./batch.ts";
import type { Place, Placement, RecordPlace } from "./places.ts";

interface Handle {
  readonly file: Promise<DiskFile>;
  users: number;
  dropped: boolean;
}

export class Bodies {
  readonly #disk: Disk;
  readonly #limits: LogLimits;
  readonly #places = new WeakMap<Uint8Array, Place>();
  /** Bodies that count towards the memory budget. */
  readonly #counted = new WeakSet<Uint8Array>();
  readonly #handles = new Map<string, Handle>();
  readonly #records = new JoinedReads((file, into, offset) => this.#readAt(file, into, offset));
  #memoryBytes = 0;

  constructor(disk: Disk, limits: LogLimits) {
    this.#disk = disk;
    this.#limits = limits;
  }

  get memoryBytes(): number {
    return this.#memoryBytes;
  }

  bytesOf(body: Uint8Array): number {
    return this.#places.get(body)?.length ?? body.length;
  }

  /** Bytes that a record with this body has of it: none if the body has a file of its own. */
  recordedBytesOf(body: Uint8Array): number {
    return this.blobOf(body) === undefined ? this.bytesOf(body) : 0;
  }

  placeOf(body: Uint8Array): Place | undefined {
    return this.#places.get(body);
  }

  /** True when the body has to be loaded before it is given out. */
  isAway(body: Uint8Array): boolean {
    const place = this.#places.get(body);
    return place !== undefined && place.length !== body.length;
  }

  isLarge(body: Uint8Array): boolean {
    return body.length >= this.#limits.blobBytes;
  }

  /** Writes a large body to a file, safely, and gives a view of it that stands for that file. `syncNames` must follow. */
  async writeBlob(body: Uint8Array, unique: string): Promise<Uint8Array> {
    const name = nameOfBlob(unique);
    try {
      const file = await this.#disk.create(name);
      try {
        for (let at = 0; at < body.length; at += blobChunkBytes) await file.write(body.subarray(at, at + blobChunkBytes), at);
        await file.sync();
      } finally {
        await file.close();
      }
    } catch (error) {
      await this.#disk.remove(name).catch(() => undefined);
      throw journalError(error, `write ${name}`);
    }
    const view = body.subarray();
    this.#places.set(view, { file: name, offset: 0, length: body.length, crc: crc32(body), blob: true });
    return view;
  }

  async syncNames(): Promise<void> {
    try {
      await this.#disk.syncNames();
    } catch (error) {
      throw journalError(error, "sync its folder");
    }
  }

  /** A body as a record has it: the name of its file, or the bytes. Undefined if they must be loaded first. */
  toWrite(body: Uint8Array): BodyToWrite | undefined {
    const place = this.#places.get(body);
    if (place?.blob === true) return { form: "blob", file: place.file, length: place.length, crc: place.crc };
    return this.isAway(body) ? undefined : body;
  }

  /** Keeps the body of a record that is safe at `offset` of `file`: in memory while there is room, else as a place. */
  keep(body: Uint8Array, file: string, offset: number): Uint8Array {
    if (body.length <= this.#limits.smallBodyBytes) return body;
    const place = this.#places.get(body);
    if (this.#memoryBytes + body.length <= this.#limits.bodyMemoryBytes) {
      const view = body.subarray(); // the same array may be given for two sends
      if (place !== undefined) this.#places.set(view, place);
      return this.#count(view);
    }
    return this.#away(place ?? { file, offset, length: body.length, crc: crc32(body), blob: false });
  }

  /** The same for a body that was read back; `payload` is where its record's payload is. */
  recovered(body: RecordedBody, payload: Placement): Uint8Array {
    if (body.form === "blob") return this.#inFile(body);
    const { bytes } = body;
    if (bytes.length <= this.#limits.smallBodyBytes) return Uint8Array.from(bytes);
    if (this.#memoryBytes + bytes.length <= this.#limits.bodyMemoryBytes) return this.#count(Uint8Array.from(bytes));
    return this.#away({ file: payload.file, offset: payload.offset + body.offset, length: bytes.length, crc: crc32(bytes), blob: false });
  }

  /** The bytes of a body as a record has it. */
  async loadRecorded(body: RecordedBody): Promise<Uint8Array> {
    return body.form === "inline" ? body.bytes : this.load(this.#inFile(body));
  }

  /** The placeholder of a body that is not needed for a while: nothing but its place, if it has a file. */
  parked(body: Uint8Array): Uint8Array {
    const place = this.#places.get(body);
    return place?.blob === true ? this.#away(place) : body;
  }

  /** The payload of a record, checked. Rejects with MF_JOURNAL_CORRUPT or MF_JOURNAL_IO. */
  async readRecord({ file, offset, length }: RecordPlace): Promise<Buffer> {
    const wholeBytes = recordHeaderBytes + length;
    try {
      const bytes = await this.#records.read(file, offset - recordHeaderBytes, wholeBytes);
      const payload = bytes.subarray(recordHeaderBytes);
      if (bytes.length === wholeBytes && bytes.readUInt32LE(0) === length && bytes.readUInt32LE(4) === crc32(payload)) return payload;
      throw corruptError(file, offset, "a record is not what was written");
    } catch (error) {
      if (diskCode(error) === "ENOENT") throw corruptError(file, 0, "the file is gone");
      throw journalError(error, `read ${file}`);
    }
  }

  /** The bytes of a body, wherever they are. */
  async load(body: Uint8Array): Promise<Uint8Array> {
    for (let reading = 1; ; reading += 1) {
      const place = this.#places.get(body);
      if (place === undefined || place.length === body.length) return body;
      const bytes = Buffer.allocUnsafeSlow(place.length);
      try {
        const read = await this.#read(place, bytes);
        if (read !== place.length || crc32(bytes) !== place.crc)
          throw corruptError(place.file, place.offset, "a body is not what was written");
      } catch (error) {
        const isGone = diskCode(error) === "ENOENT";
        if (isGone && reading < readings && this.#places.get(body) !== place) continue; // a checkpoint has moved it meanwhile
        if (isGone) throw corruptError(place.file, 0, "the file is gone");
        throw journalError(error, `read ${place.file}`);
      }
      if (place.blob) this.#places.set(bytes, place);
      return bytes;
    }
  }

  /** The same for what is leased together: damage of one is told of that one. Rejects with MF_JOURNAL_IO. */
  async loadLeased(body: Uint8Array): Promise<{ readonly body: Uint8Array; readonly damage?: CodedError }> {
    try {
      return { body: await this.load(body) };
    } catch (error) {
      if (isCoded(error) && error.code === "MF_JOURNAL_CORRUPT") return { body, damage: error };
      throw error;
    }
  }

  /** A checkpoint has a copy of the body. */
  move(body: Uint8Array, place: Place): void {
    if (this.isAway(body) && this.#places.get(body)?.blob === false) this.#places.set(body, place);
  }

  /** The body's own file, if it has one. */
  blobOf(body: Uint8Array): string | undefined {
    const place = this.#places.get(body);
    return place?.blob === true ? place.file : undefined;
  }

  /** The body is needed no longer; gives the blob that can be removed once that is safe. */
  release(body: Uint8Array): string | undefined {
    if (this.#counted.delete(body)) this.#memoryBytes -= body.length;
    return this.blobOf(body);
  }

  /** The file is about to be removed: no place refers to it any more. */
  drop(file: string): void {
    const handle = this.#handles.get(file);
    this.#handles.delete(file);
    if (handle !== undefined) this.#leave(handle, true);
  }

  close(): void {
    for (const file of [...this.#handles.keys()]) this.drop(file);
  }

  #count(body: Uint8Array): Uint8Array {
    this.#counted.add(body);
    this.#memoryBytes += body.length;
    return body;
  }

  #inFile({ file, length, crc }: Extract<RecordedBody, { form: "blob" }>): Uint8Array {
    return this.#away({ file, offset: 0, length, crc, blob: true });
  }

  #away(place: Place): Uint8Array {
    const placeholder = new Uint8Array(0);
    this.#places.set(placeholder, place);
    return placeholder;
  }

  async #read(place: Place, into: Uint8Array): Promise<number> {
    if (place.blob) {
      const file = await this.#disk.open(place.file);
      try {
        return await file.read(into, 0);
      } finally {
        await file.close();
      }
    }
    return this.#readAt(place.file, into, place.offset);
  }

  async #readAt(name: string, into: Uint8Array, offset: number): Promise<number> {
    let handle = this.#handles.get(name);
    if (handle === undefined) {
      handle = { file: this.#disk.open(name), users: 0, dropped: false };
      this.#handles.set(name, handle);
      const [oldest] = this.#handles.keys();
      if (this.#handles.size > openFiles && oldest !== undefined) this.drop(oldest);
    }
    handle.users += 1;
    try {
      return await (await handle.file).read(into, offset);
    } catch (error) {
      if (this.#handles.get(name) === handle) this.#handles.delete(name);
      handle.dropped = true;
      throw error;
    } finally {
      handle.users -= 1;
      this.#leave(handle, handle.dropped);
    }
  }

  #leave(handle: Handle, dropped: boolean): void {
    handle.dropped = dropped;
    if (!dropped || handle.users > 0) return;
    handle.file.then((file) => file.close()).catch(() => undefined);
  }
}
