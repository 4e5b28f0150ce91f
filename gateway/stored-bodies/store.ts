/**
 * Bodies too big for memory, one file each, in the folder `claims` beside the journal's files.
 *
 *   stage: stream ──▶ .ID.tmp ──fsync──▶ ID ──fsync of the folder──▶ a StagedBody, held until `release`
 *   open:  ID ──▶ stream, its length and hash checked before its last piece is given out
 *
 * Nothing here says how long a file is needed: sweep.ts does, by what the journal and the dead letters name. A hold keeps a file that no
 * record names yet. Files of an earlier process that were never finished are removed when the store is opened.
 */
import { createHash, randomBytes } from "node:crypto";
import { closeSync, openSync, readSync } from "node:fs";
import * as fs from "node:fs/promises";
import { join, resolve } from "node:path";
import { Readable } from "node:stream";
import { hardLimits, type StoredWindow } from "#abi";
import { CodedError } from "#base";
import type { GatewayConfig } from "../contract/config.ts";
import { makeFolder, syncFolder } from "../contract/folders.ts";
import { isBodyId, type StagedBody, type StoredBody } from "../contract/stored-body.ts";
import { gatewayLimits } from "../contract/limits.ts";

const temporaryName = /^\.[A-Za-z0-9_-]{22}\.tmp$/;

/** The body store of a configuration; undefined for a journal in memory, which has none. */
export function configuredBodyStore(
  config: Pick<GatewayConfig, "base"> & { readonly journal: { readonly dir: string | undefined } },
): BodyStore | undefined {
  const { dir } = config.journal;
  return dir === undefined ? undefined : new BodyStore(join(resolve(config.base, dir), "claims"));
}

export class BodyStore {
  readonly #dir: string;
  /** Number of holders of each body. */
  readonly #holds = new Map<string, number>();
  /** Bodies whose bytes are known to be those that were staged. */
  readonly #checked = new Map<string, Promise<void>>();
  #made = false;
  /** Set by the sweeper; called when a body may have become free. */
  onFree: () => void = () => undefined;
  /** Set by the sweeper while it looks: told of every body that is held from then on. */
  onHold: ((id: string) => void) | undefined;

  constructor(dir: string) {
    this.#dir = dir;
  }

  /**
   * Keeps a body. Rejects with MF_CLAIMS_FULL or MF_CLAIMS_IO when the disk refuses, or as `body` does; then nothing is left of it.
   * No more of `body` is asked for than was written.
   */
  async stage(body: AsyncIterable<Uint8Array>): Promise<StagedBody> {
    const id = randomBytes(16).toString("base64url");
    const release = this.hold(id);
    const temporary = join(this.#dir, `.${id}.tmp`);
    try {
      const file = await this.#disk(() => this.#create(temporary));
      const hash = createHash("sha256");
      let bytes = 0;
      try {
        for await (const piece of body) {
          hash.update(piece);
          await this.#disk(() => file.writeFile(piece)); // goes on where the last one ended
          bytes += piece.length;
        }
        await this.#disk(() => file.sync());
      } finally {
        await file.close();
      }
      await this.#disk(async () => {
        await fs.rename(temporary, join(this.#dir, id));
        await syncFolder(this.#dir);
      });
      this.#checked.set(id, Promise.resolve());
      return { id, bytes, sha256: hash.digest("hex"), release };
    } catch (error) {
      await fs.rm(temporary, { force: true }).catch(() => undefined);
      release();
      throw error;
    }
  }

  /** Keeps the body's file until the function given back is called, whatever the records say. */
  hold(id: string): () => void {
    this.#holds.set(id, (this.#holds.get(id) ?? 0) + 1);
    this.onHold?.(id);
    let held = true;
    return () => {
      if (!held) return;
      held = false;
      const left = (this.#holds.get(id) ?? 1) - 1;
      if (left > 0) this.#holds.set(id, left);
      else this.#holds.delete(id);
      this.onFree();
    };
  }

  get held(): Iterable<string> {
    return this.#holds.keys();
  }

  /** Rejects with MF_CLAIM_MISSING, MF_CLAIM_DAMAGED when its length is another, or as the disk does. */
  async check({ id, bytes }: StoredBody): Promise<void> {
    const stat = isBodyId(id) ? await fs.stat(join(this.#dir, id)).catch(missingIsUndefined) : undefined;
    if (stat === undefined) throw missing(id);
    if (stat.size !== bytes) throw damaged(id);
  }

  /** The body in pieces. The stream fails with MF_CLAIM_DAMAGED instead of giving its last piece when it is not what was staged. */
  open(storedBody: StoredBody): Readable {
    return Readable.from(this.#pieces(storedBody), { objectMode: false, highWaterMark: gatewayLimits.storedPieceBytes });
  }

  /** The body as a whole. Rejects as `check` and `open`. */
  async load(storedBody: StoredBody): Promise<Uint8Array> {
    const pieces: Uint8Array[] = [];
    for await (const piece of this.#pieces(storedBody)) pieces.push(piece);
    return Buffer.concat(pieces);
  }

  /**
   * A piece of the body from `offset` on, of `hardLimits.windowBytes` at most. The body is read and its hash checked as a whole before this
   * process gives out the first piece of one that it did not stage. Rejects as `check` does.
   */
  async window(storedBody: StoredBody, offset: number): Promise<Uint8Array> {
    const { id } = storedBody;
    const checked = this.#checked.get(id) ?? this.#checkWhole(storedBody);
    this.#checked.set(id, checked);
    try {
      await checked;
      const file = await fs.open(join(this.#dir, id), "r");
      try {
        const { size } = await file.stat();
        if (size !== storedBody.bytes) throw damaged(id);
        const piece = Buffer.allocUnsafeSlow(Math.min(hardLimits.windowBytes, size - offset));
        const { bytesRead } = await file.read(piece, 0, piece.length, offset);
        if (bytesRead !== piece.length) throw damaged(id);
        return piece;
      } finally {
        await file.close();
      }
    } catch (error) {
      this.#checked.delete(id);
      throw (error as NodeJS.ErrnoException).code === "ENOENT" ? missing(id) : error;
    }
  }

  /** The same piece again, at once, for a machine that is run again. Throws as the disk does. */
  windowNow(id: string, { offset, bytes }: StoredWindow): Uint8Array {
    const file = openSync(join(this.#dir, id), "r");
    try {
      const piece = Buffer.allocUnsafeSlow(bytes);
      if (readSync(file, piece, 0, bytes, offset) !== bytes) throw damaged(id);
      return piece;
    } finally {
      closeSync(file);
    }
  }

  async #checkWhole(storedBody: StoredBody): Promise<void> {
    for await (const _piece of this.#pieces(storedBody)); // the last one is not given when the hash is another
  }

  /** Names of all bodies that are whole. */
  async ids(): Promise<string[]> {
    return (await this.#names()).filter(isBodyId);
  }

  async remove(id: string): Promise<void> {
    this.#checked.delete(id);
    await fs.rm(join(this.#dir, id), { force: true });
  }

  /** Removes what an earlier process did not finish. For the start, before anything is staged. */
  async removeUnfinished(): Promise<void> {
    for (const name of await this.#names()) if (temporaryName.test(name)) await fs.rm(join(this.#dir, name), { force: true });
  }

  async *#pieces(storedBody: StoredBody): AsyncGenerator<Uint8Array> {
    await this.check(storedBody);
    const file = await fs.open(join(this.#dir, storedBody.id), "r");
    try {
      const hash = createHash("sha256");
      let last: Uint8Array | undefined;
      for (;;) {
        const piece = Buffer.allocUnsafeSlow(gatewayLimits.storedPieceBytes);
        const { bytesRead } = await file.read(piece, 0, gatewayLimits.storedPieceBytes);
        if (bytesRead === 0) break;
        if (last !== undefined) yield last;
        last = piece.subarray(0, bytesRead);
        hash.update(last);
      }
      if (hash.digest("hex") !== storedBody.sha256) throw damaged(storedBody.id);
      if (last !== undefined) yield last;
    } finally {
      await file.close();
    }
  }

  async #create(path: string): Promise<fs.FileHandle> {
    if (!this.#made) {
      await makeFolder(this.#dir, 0o700);
      this.#made = true;
    }
    return await fs.open(path, "wx", 0o600);
  }

  async #names(): Promise<string[]> {
    return (await fs.readdir(this.#dir).catch(missingIsUndefined)) ?? [];
  }

  async #disk<T>(work: () => Promise<T>): Promise<T> {
    try {
      return await work();
    } catch (cause) {
      const code = (cause as NodeJS.ErrnoException).code ?? "";
      const why = cause instanceof Error ? cause.message : String(cause);
      if (code === "ENOENT") this.#made = false; // somebody took the folder away: the next one makes it anew
      if (code === "ENOSPC" || code === "EDQUOT" || code === "EFBIG")
        throw new CodedError(
          "MF_CLAIMS_FULL",
          `the disk of stored bodies is full (${why}): free space; long bodies are refused until then`,
          {
            cause,
          },
        );
      throw new CodedError(
        "MF_CLAIMS_IO",
        `the disk of stored bodies reports an error (${why}): repair it; long bodies are refused until then`,
        { cause },
      );
    }
  }
}

function missingIsUndefined(error: NodeJS.ErrnoException): undefined {
  if (error.code !== "ENOENT") throw error;
}

function missing(id: string): CodedError {
  return new CodedError(
    "MF_CLAIM_MISSING",
    `the stored body ${JSON.stringify(id.slice(0, 64))} is missing: send the message again, or drop its dead letter`,
  );
}

function damaged(id: string): CodedError {
  return new CodedError("MF_CLAIM_DAMAGED", `the stored body ${id} is damaged: check the journal's disk, and send the message again`);
}
