/**
 * Images that must stay in the store: those that a gateway serves, since a machine may fall asleep in them at any time, and those that
 * machines sleep in. `PROJECT/.mayfly/images/pins-OWNER.json` is one gateway's list, and lasts while it is stopped; the owner is its journal.
 *
 *   load ──▶ pinned ──▶ served ──▶ replaced ──▶ nobody sleeps in it ──▶ unpinned
 */
import { createHash } from "node:crypto";
import { existsSync } from "node:fs";
import { mkdir, readdir, readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import { writeWhole } from "./store.ts";

const pinsName = /^pins-[0-9a-f]{16}\.json$/;

interface PinFile {
  /** Folder of the journal; empty for one in memory. */
  readonly journal: string;
  readonly images: readonly string[];
}

async function readPins(path: string): Promise<PinFile | undefined> {
  try {
    const { journal, images } = JSON.parse(await readFile(path, "utf8")) as Partial<Record<keyof PinFile, unknown>>;
    if (typeof journal !== "string" || !Array.isArray(images)) return undefined;
    return { journal, images: images.filter((each) => typeof each === "string") };
  } catch {
    return undefined;
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
  #writing: Promise<void> = Promise.resolve();

  /** `folder`: of the store. `journal`: its folder, absolute, or undefined. */
  constructor(folder: string, journal: string | undefined) {
    this.#folder = folder;
    this.#journal = journal ?? "";
  }

  get #path(): string {
    const owner = createHash("sha256").update(this.#journal).digest("hex").slice(0, 16);
    return join(this.#folder, `pins-${owner}.json`);
  }

  /** Reads the pins from before a restart: they last until `settle`, since machines may sleep in them. */
  async open(): Promise<void> {
    for (const sha256 of (await readPins(this.#path))?.images ?? []) this.#images.add(sha256);
  }

  /** Resolves once it is on disk. Rejects when the store can't be written to. */
  async add(sha256: string): Promise<void> {
    if (this.#images.has(sha256)) return;
    this.#images.add(sha256);
    await this.#write();
  }

  /** Exactly these are pinned from now on. */
  async settle(images: Iterable<string>): Promise<void> {
    const next = new Set(images);
    if (next.size === this.#images.size && [...next].every((each) => this.#images.has(each))) return;
    this.#images.clear();
    for (const each of next) this.#images.add(each);
    await this.#write();
  }

  async #write(): Promise<void> {
    const writing = this.#writing
      .catch(() => undefined)
      .then(async () => {
        if (this.#images.size === 0) return await rm(this.#path, { force: true });
        await mkdir(this.#folder, { recursive: true, mode: 0o700 });
        const file: PinFile = { journal: this.#journal, images: [...this.#images] };
        await writeWhole(this.#path, `${JSON.stringify(file)}\n`);
      });
    this.#writing = writing;
    await writing;
  }
}
