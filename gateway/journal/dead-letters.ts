/**
 * Messages that were given up on, kept whole in a directory: `DIR/FLOW/NAME.json` says everything but the payload, and
 * `DIR/FLOW/NAME.body` is the payload, byte for byte; `NAME.asleep` is there for a machine that had slept (asleep-file.ts). A letter exists
 * once its .json does; it is written last, by rename.
 * The name comes from the message, so burying twice (a crash between the letter and the journal's record of it) gives one letter.
 */
import { createHash, randomBytes } from "node:crypto";
import * as nodeFs from "node:fs/promises";
import { dirname, join } from "node:path";
import { CodedError } from "#base";
import { storedBodyOf } from "../contract/stored-body.ts";
import { gatewayLimits } from "../contract/limits.ts";
import type { Failure, Headers } from "../contract/message.ts";
import type { AttemptRecord } from "./journal.ts";
import { ownerOf } from "./owned-bytes.ts";

/** The file system calls that this needs; a test passes a full disk. */
export interface DeadLetterFs {
  mkdir(path: string, options: { recursive: true; mode: number }): Promise<unknown>;
  open(
    path: string,
    flags: string,
    mode?: number,
  ): Promise<{ writeFile(data: Uint8Array | string): Promise<void>; datasync(): Promise<void>; close(): Promise<void> }>;
  rename(from: string, to: string): Promise<void>;
  readdir(path: string): Promise<string[]>;
  readFile(path: string): Promise<Uint8Array>;
  stat(path: string): Promise<{ readonly size: number }>;
  rm(path: string, options: { force: boolean }): Promise<void>;
}

/** Everything about a letter but its payload. */
export interface DeadLetter {
  /** `FLOW/NAME`. */
  readonly id: string;
  /** `message`: a flow failed on it. `send`: an outlet would not take it. `signal`: nobody waited for it. */
  readonly kind: "message" | "send" | "signal";
  readonly flow: string;
  readonly outlet?: string | undefined;
  /** Name of the signal. */
  readonly signal?: string | undefined;
  readonly idempotencyKey?: string | undefined;
  readonly messageId: string;
  readonly source: string;
  readonly headers: Headers;
  readonly contentType: string;
  readonly key?: string | undefined;
  readonly correlationId?: string | undefined;
  readonly receivedMs: number;
  readonly buriedMs: number;
  /** Also when the body is in the body store, as the headers then say: the .body is empty. */
  readonly bodyBytes: number;
  /** Why it was given up: that of the last attempt. */
  readonly failure: Failure;
  readonly attempts: readonly AttemptRecord[];
  /** The sleep it failed after: a retry goes on from there. */
  readonly asleep?:
    | {
        readonly imageSha256: string;
        readonly sinceMs: number;
        readonly dueMs: number;
        /** Transactions that are committed: what was sent and stored in them stays. */
        readonly transactions: number;
        readonly waits: readonly { readonly name: string; readonly key: string; readonly untilMs?: number }[];
        readonly timers: number;
      }
    | undefined;
  /** Signals its last transaction was given: a retry keeps them again. */
  readonly signals?: number | undefined;
  /** Followers with the same key wait until it is gone; without a key, everything of its flow or outlet. */
  readonly holds?: true;
}

export type NewDeadLetter = Omit<DeadLetter, "id" | "bodyBytes" | "holds">;

/** True if the letter has a file of a sleeping machine or of signals. */
export function keepsAsleep({ asleep, signals }: Pick<DeadLetter, "asleep" | "signals">): boolean {
  return asleep !== undefined || signals !== undefined;
}

function compactTime(timeMs: number): string {
  return new Date(timeMs).toISOString().replace(/[-:.]/g, "");
}

const credentialHeaders = ["authorization", "proxy-authorization", "cookie"];

function withoutCredentials(headers: Headers): Headers {
  if (!credentialHeaders.some((name) => headers[name] !== undefined)) return headers;
  return Object.fromEntries(Object.entries(headers).filter(([name]) => !credentialHeaders.includes(name)));
}

interface OwnedLetters {
  bytes: number;
  /** Those counted so far, by id, while the letters that were there before are being counted. */
  counted: Map<string, number> | undefined;
}

export class DeadLetters {
  readonly #dir: string;
  readonly #fs: DeadLetterFs;
  readonly #keepsCredentials: (flow: string) => boolean;
  #holds: (letter: NewDeadLetter) => boolean = () => false;
  /** Letters per flow, counted when a flow's folder is first used. */
  readonly #counts = new Map<string, number>();
  /** Bytes of the letters of each owner of flows that somebody has asked for. */
  readonly #owned = new Map<string, OwnedLetters>();

  /** `keepsCredentials`: the flows whose letters keep what their callers identified themselves with. */
  constructor(
    dir: string,
    fs: DeadLetterFs = nodeFs as unknown as DeadLetterFs,
    keepsCredentials: (flow: string) => boolean = () => false,
  ) {
    this.#dir = dir;
    this.#fs = fs;
    this.#keepsCredentials = keepsCredentials;
  }

  /** From now on letters say whether they hold what comes behind them. */
  decideHolds(holds: (letter: NewDeadLetter) => boolean): void {
    this.#holds = holds;
  }

  /** Rejects with MF_DEAD_LETTER_DIR when the folder can't be one of letters: a file stands there, or it can't be read. It need not exist. */
  async check(): Promise<void> {
    try {
      await this.#fs.readdir(this.#dir);
    } catch (cause) {
      const { code } = cause as NodeJS.ErrnoException;
      if (code === "ENOENT") return;
      const why = code === "ENOTDIR" ? "is a file" : `can't be read (${code ?? String(cause)})`;
      throw new CodedError("MF_DEAD_LETTER_DIR", `deadLetters.dir ${this.#dir} ${why}: name a folder that the gateway may write to`, {
        cause,
      });
    }
  }

  /** Writes a letter and gives its id. `unique` tells apart what has the same time and message id. Rejects with MF_DEAD_LETTER_WRITE or MF_DEAD_LETTER_LIMIT. */
  async put(letter: NewDeadLetter, body: Uint8Array, unique: string, asleep?: Uint8Array): Promise<string> {
    const known = await this.count(letter.flow);
    if (known >= gatewayLimits.deadLettersPerFlow) {
      throw new CodedError(
        "MF_DEAD_LETTER_LIMIT",
        `flow ${letter.flow} has ${known} dead letters: look at them with "mayfly dlq ls", then retry or drop them`,
      );
    }
    const hash = createHash("sha256")
      .update(`${letter.kind}\0${letter.messageId}\0${letter.outlet ?? ""}\0${unique}`)
      .digest("hex")
      .slice(0, 16);
    const name = `${compactTime(letter.receivedMs)}-${hash}`;
    const folder = join(this.#dir, letter.flow);
    const path = join(folder, name);
    const id = `${letter.flow}/${name}`;
    // The flow itself put these headers into its send: without it a second try would be another request.
    const headers = letter.kind !== "send" && !this.#keepsCredentials(letter.flow) ? withoutCredentials(letter.headers) : letter.headers;
    const bodyBytes = storedBodyOf(letter.headers)?.bytes ?? body.length;
    const meta: DeadLetter = { id, ...letter, headers, bodyBytes, ...(this.#holds(letter) ? { holds: true } : {}) };
    try {
      const made = await this.#fs.mkdir(folder, { recursive: true, mode: 0o700 });
      await this.#write(`${path}.body`, body);
      if (asleep !== undefined) await this.#write(`${path}.asleep`, asleep);
      const text = `${JSON.stringify(meta, undefined, 2)}\n`;
      await this.#write(`${path}.json`, text);
      this.#own(id, letter.flow, Buffer.byteLength(text) + body.length + (asleep?.length ?? 0));
      await this.#syncFolder(folder);
      if (typeof made === "string") await this.#syncParents(folder, made);
    } catch (cause) {
      throw new CodedError(
        "MF_DEAD_LETTER_WRITE",
        `cannot write the dead letter ${path}.json (${cause instanceof Error ? cause.message : String(cause)}): free space or repair the disk; the message is kept and writing is retried`,
        { cause },
      );
    }
    this.#counts.set(letter.flow, (this.#counts.get(letter.flow) ?? known) + 1); // others may have been written meanwhile
    return id;
  }

  /** A folder that was just made lasts only once the one it lies in is on disk; `made` is the topmost that was. */
  async #syncParents(folder: string, made: string): Promise<void> {
    for (let at = folder; at.startsWith(made); at = dirname(at)) await this.#syncFolder(dirname(at));
  }

  /** Bytes of the letters of all flows of an owner. The first look begins to count those that are there. */
  bytesOf(owner: string): number {
    let owned = this.#owned.get(owner);
    if (owned === undefined) {
      this.#owned.set(owner, (owned = { bytes: 0, counted: new Map() }));
      void this.#measure(owner, owned); // never rejects
    }
    return owned.bytes;
  }

  /** A folder that can't be read counts nothing. */
  async #measure(owner: string, owned: OwnedLetters): Promise<void> {
    const { counted = new Map<string, number>() } = owned;
    try {
      for (const flow of await this.#entries(this.#dir)) {
        if (ownerOf(flow) !== owner) continue;
        for (const name of await this.#names(flow)) {
          const id = `${flow}/${name}`;
          const bytes = await this.#bytesOfLetter(id);
          if (counted.has(id)) continue; // written or removed meanwhile
          counted.set(id, bytes);
          owned.bytes += bytes;
        }
      }
    } catch {
      // Letters read so far count.
    } finally {
      owned.counted = undefined;
    }
  }

  async #bytesOfLetter(id: string): Promise<number> {
    const sizes = [".json", ".body", ".asleep"].map((end) => this.#fs.stat(`${join(this.#dir, id)}${end}`).catch(() => ({ size: 0 })));
    return (await Promise.all(sizes)).reduce((bytes, { size }) => bytes + size, 0);
  }

  /** Counts a letter of `bytes`; 0: it is gone, and had `before`. */
  #own(id: string, flow: string, bytes: number, before = 0): void {
    const owner = ownerOf(flow);
    const owned = owner === undefined ? undefined : this.#owned.get(owner);
    if (owned === undefined) return;
    owned.bytes += bytes - (owned.counted === undefined ? before : (owned.counted.get(id) ?? 0));
    owned.counted?.set(id, bytes);
  }

  /** Letters of a flow, counted once and kept up to date. */
  async count(flow: string): Promise<number> {
    let count = this.#counts.get(flow);
    if (count === undefined) {
      count = (await this.#names(flow)).length;
      this.#counts.set(flow, count);
    }
    return count;
  }

  /** Ids of a flow's letters, without reading any. */
  async idsOf(flow: string): Promise<Set<string>> {
    return new Set((await this.#names(flow)).map((name) => `${flow}/${name}`));
  }

  /** Ids of all letters, without reading any. */
  async *ids(): AsyncIterable<string> {
    for (const flow of await this.#entries(this.#dir)) for (const name of await this.#names(flow)) yield `${flow}/${name}`;
  }

  /** A letter without its payload; undefined if the id is unknown. */
  letter(id: string): Promise<DeadLetter | undefined> {
    return this.#meta(id);
  }

  async *list(flow?: string): AsyncIterable<DeadLetter> {
    const flows = flow === undefined ? await this.#entries(this.#dir) : [flow];
    for (const each of flows.sort()) {
      for (const name of await this.#names(each)) {
        const letter = await this.#meta(`${each}/${name}`);
        if (letter !== undefined) yield letter;
      }
    }
  }

  async read(id: string): Promise<{ readonly letter: DeadLetter; readonly body: Uint8Array } | undefined> {
    const letter = await this.#meta(id);
    if (letter === undefined) return undefined;
    return { letter, body: await this.#fs.readFile(`${join(this.#dir, id)}.body`) };
  }

  /** The file of a letter's sleeping machine and signals. Rejects if it is not there. */
  asleep(id: string): Promise<Uint8Array> {
    return this.#fs.readFile(`${join(this.#dir, id)}.asleep`);
  }

  /** False when there is no such letter. */
  async remove(id: string): Promise<boolean> {
    const letter = await this.#meta(id);
    if (letter === undefined) return false;
    const bytes = ownerOf(letter.flow) === undefined ? 0 : await this.#bytesOfLetter(id);
    await this.#fs.rm(`${join(this.#dir, id)}.json`, { force: true });
    await this.#syncFolder(join(this.#dir, letter.flow)); // or a power loss could bring back the letter without its body
    await this.#fs.rm(`${join(this.#dir, id)}.body`, { force: true });
    if (keepsAsleep(letter)) await this.#fs.rm(`${join(this.#dir, id)}.asleep`, { force: true });
    this.#own(id, letter.flow, 0, bytes);
    const count = this.#counts.get(letter.flow);
    if (count !== undefined) this.#counts.set(letter.flow, Math.max(count - 1, 0));
    return true;
  }

  async #write(path: string, data: Uint8Array | string): Promise<void> {
    const temporary = `${path}.${randomBytes(4).toString("hex")}.tmp`;
    try {
      const file = await this.#fs.open(temporary, "wx", 0o600);
      try {
        await file.writeFile(data);
        await file.datasync();
      } finally {
        await file.close();
      }
      await this.#fs.rename(temporary, path);
    } catch (error) {
      await this.#fs.rm(temporary, { force: true }).catch(() => undefined);
      throw error;
    }
  }

  /** A rename is on disk only once its folder is. */
  async #syncFolder(folder: string): Promise<void> {
    const handle = await this.#fs.open(folder, "r");
    try {
      await handle.datasync();
    } finally {
      await handle.close();
    }
  }

  async #entries(path: string): Promise<string[]> {
    try {
      return await this.#fs.readdir(path);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === "ENOENT" || (error as NodeJS.ErrnoException).code === "ENOTDIR") return [];
      throw error;
    }
  }

  async #names(flow: string): Promise<string[]> {
    const entries = await this.#entries(join(this.#dir, flow));
    const names = entries.filter((entry) => entry.endsWith(".json")).map((entry) => entry.slice(0, -".json".length));
    if (this.#counts.has(flow)) this.#counts.set(flow, names.length); // other nodes write letters too
    return names.sort();
  }

  async #meta(id: string): Promise<DeadLetter | undefined> {
    if (!/^[A-Za-z0-9][A-Za-z0-9_.-]*\/[A-Za-z0-9-]+$/.test(id)) return undefined; // ids come from people and HTTP: no way out of the directory
    try {
      return JSON.parse(Buffer.from(await this.#fs.readFile(`${join(this.#dir, id)}.json`)).toString()) as DeadLetter;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
      throw error;
    }
  }
}
