/**
 * Images that must stay in the store: those that a gateway serves, since a machine may fall asleep in them at any time, and those that
 * machines sleep in. `PROJECT/.mayfly/images/OWNER.pins` is one gateway's list, and lasts while it is stopped; the owner is its journal.
 * Its first line is the journal's folder as JSON, each other one a hash; what else is there counts for nothing.
 *
 *   load ──▶ pinned ──▶ served ──▶ replaced ──▶ nobody sleeps in it ──▶ unpinned
 */
import { createHash } from "node:crypto";
import { existsSync } from "node:fs";
import { appendFile, mkdir, readdir, readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import { synced, writeWhole } from "./store.ts";

const pinsName = /^[0-9a-f]{16}\.pins$/;
const hash = /^[0-9a-f]{64}$/;

interface PinFile {
  /** Folder of the journal; empty for one in memory. */
  readonly journal: string;
  readonly images: readonly string[];
}

async function readPins(path: string): Promise<PinFile | undefined> {
  try {
    const [head = "", ...lines] = (await readFile(path, "utf8")).split("\n");
    const journal: unknown = JSON.parse(head);
    return typeof journal === "string" ? { journal, images: lines.filter((line) => hash.test(line)) } : undefined;
  } catch {
    return undefined; // not there, or of a disk that was full
  }
}

/** Hashes that are pinned by any gateway whose journal is still there. */
export async function pinnedImages(folder: string): Promise<ReadonlySet<string>> {
  const pinned = new Set<string>();
  for (const name of await readdir(folder).catch(() => [])) {
    if (!pinsName.test(name)) continue;
    const found = await readPins(join(folder, name));
    if (found === undefined || (found.journal !== "" && !existsSync(found.journal))) continue;
    for (const sha256 of found.images) pinned.add(sha256);
  }
  return pinned;
}

/** One gateway's pins. */
export class Pins {
  readonly #folder: string;
  readonly #journal: string;
  readonly #images = new Set<string>();
  #isWhole = false;
  #writing: Promise<void> = Promise.resolve();
  /** Hashes that are being added, which are not on disk yet. */
  readonly #adding = new Map<string, Promise<void>>();

  /** `folder`: of the store. `journal`: its folder, absolute, or undefined. */
  constructor(folder: string, journal: string | undefined) {
    this.#folder = folder;
    this.#journal = journal ?? "";
  }

  get #path(): string {
    const owner = createHash("sha256").update(this.#journal).digest("hex").slice(0, 16);
    return join(this.#folder, `${owner}.pins`);
  }

  /** Reads the pins from before a restart: they last until `settle`, since machines may sleep in them. */
  async open(): Promise<void> {
    for (const sha256 of (await readPins(this.#path))?.images ?? []) this.#images.add(sha256);
  }

  /** Resolves once it is on disk. Rejects when the store can't be written to. */
  async add(sha256: string): Promise<void> {
    const adding = this.#adding.get(sha256);
    if (adding !== undefined) return await adding;
    if (this.#images.has(sha256) && this.#isWhole) return;
    this.#images.add(sha256);
    const written = this.#inTurn(() => (this.#isWhole ? this.#append(sha256) : this.#write()));
    this.#adding.set(sha256, written);
    try {
      await written;
    } catch (error) {
      this.#images.delete(sha256);
      throw error;
    } finally {
      this.#adding.delete(sha256);
    }
  }

  /** Exactly these are pinned from now on. */
  async settle(images: Iterable<string>): Promise<void> {
    const next = new Set(images);
    if (this.#isWhole && next.size === this.#images.size && [...next].every((each) => this.#images.has(each))) return;
    this.#images.clear();
    for (const each of next) this.#images.add(each);
    await this.#inTurn(() => this.#write());
  }

  #inTurn(write: () => Promise<void>): Promise<void> {
    const writing = this.#writing.catch(() => undefined).then(write);
    this.#writing = writing;
    return writing;
  }

  async #append(sha256: string): Promise<void> {
    await appendFile(this.#path, `${sha256}\n`);
    await synced(this.#path);
  }

  async #write(): Promise<void> {
    if (this.#images.size === 0) {
      this.#isWhole = false;
      return await rm(this.#path, { force: true });
    }
    await mkdir(this.#folder, { recursive: true, mode: 0o700 });
    await writeWhole(this.#path, [JSON.stringify(this.#journal), ...this.#images, ""].join("\n"));
    this.#isWhole = true;
    await synced(this.#path);
    await synced(this.#folder);
  }
}
