/**
 * The frozen pages of every loaded image, each different page once, in memory that all workers share. Images of one kernel have
 * most of their pages in common, so an idle flow costs its own few pages and a table of 4 bytes a page.
 */
import { createHash } from "node:crypto";
import { assert } from "#base";
import type { Image } from "#image";
import { layout } from "#kernel";

const { pageBytes, wasmPageBytes } = layout;

/** Pages of one shared buffer: 4 MiB. Buffers are only ever added, so a worker needs each but once. */
export const pagesPerChunk = 1024;

/** An image as a worker sees it. Entry n: 0 if page n is zero, otherwise 1 + the page's number in the store. */
export interface PageTable {
  readonly entries: Uint32Array;
  readonly stackPointer: number;
  /** Linear memory at rest, in 64 KiB pages. */
  readonly memoryPages: number;
}

interface StoredPage {
  readonly number: number;
  users: number;
}

export class PageStore {
  readonly chunks: SharedArrayBuffer[] = [];
  readonly #byContents = new Map<string, StoredPage>();
  readonly #free: number[] = [];
  #used = 0;

  /** Different pages held. */
  get pages(): number {
    return this.#byContents.size;
  }

  #place(contents: Uint8Array): number {
    const number = this.#free.pop() ?? this.#used++;
    const chunk = Math.floor(number / pagesPerChunk);
    if (chunk === this.chunks.length) this.chunks.push(new SharedArrayBuffer(pagesPerChunk * pageBytes));
    const buffer = this.chunks[chunk];
    assert(buffer !== undefined, "the page store's chunks are contiguous");
    new Uint8Array(buffer, (number % pagesPerChunk) * pageBytes, pageBytes).set(contents);
    return number;
  }

  #key(contents: Uint8Array): string {
    return createHash("sha1").update(contents).digest("base64");
  }

  /** Adds an image's pages; those that are there already are shared. */
  add(image: Image): PageTable {
    const { memoryPages, stackPointer } = image.manifest;
    const entries = new Uint32Array((memoryPages * wasmPageBytes) / pageBytes);
    for (const [index, page] of image.pageNumbers.entries()) {
      const contents = image.pages.subarray(index * pageBytes, (index + 1) * pageBytes);
      const key = this.#key(contents);
      let stored = this.#byContents.get(key);
      if (stored === undefined) {
        stored = { number: this.#place(contents), users: 0 };
        this.#byContents.set(key, stored);
      }
      stored.users++;
      entries[page] = stored.number + 1;
    }
    return { entries, stackPointer, memoryPages };
  }

  /** Gives back the pages of an image that no worker will start again. */
  remove(table: PageTable): void {
    const users = new Map<number, number>();
    for (const entry of table.entries) if (entry !== 0) users.set(entry - 1, (users.get(entry - 1) ?? 0) + 1);
    for (const [key, stored] of this.#byContents) {
      stored.users -= users.get(stored.number) ?? 0;
      if (stored.users > 0) continue;
      this.#byContents.delete(key);
      this.#free.push(stored.number);
    }
  }
}
