/** Watching files: changes gathered for a moment, then told once; never two at a time. */
import { createHash } from "node:crypto";
import { type FSWatcher, statSync, watch } from "node:fs";
import { readFile, stat } from "node:fs/promises";
import { dirname, resolve } from "node:path";
import { cliLimits } from "./limits.ts";

const ignored = /(^|\/)(\.mayfly|node_modules|\.git|dist)(\/|$)|\.(tmp|swp|mfi)$|~$|\.mjs$/;

/** Runs `task` one at a time, once more when it was asked for meanwhile. */
function oneAtATime(task: () => Promise<void>): () => void {
  let running = false;
  let again = false;
  let timer: NodeJS.Timeout | undefined;
  const run = async (): Promise<void> => {
    if (running) {
      again = true;
      return;
    }
    running = true;
    do {
      again = false;
      await task();
    } while (again);
    running = false;
  };
  return () => {
    clearTimeout(timer);
    timer = setTimeout(() => void run(), cliLimits.watchSettleMs);
  };
}

/** Watches folders, and files given by name, until the process is interrupted. */
export async function watchFolders(paths: readonly string[], changed: () => Promise<void>): Promise<void> {
  const notify = oneAtATime(changed);
  const watchers: FSWatcher[] = [];
  for (const path of paths) {
    const folder = (await stat(path)).isDirectory() ? path : dirname(resolve(path));
    watchers.push(
      watch(folder, { recursive: true }, (_event, name) => {
        if (name === null || !ignored.test(name)) notify();
      }),
    );
  }
  await new Promise<void>((done) => process.once("SIGINT", done).once("SIGTERM", done));
  for (const watcher of watchers) watcher.close();
}

/** Watches a set of files that may change as they do. */
export class FileWatch {
  readonly #notify: () => void;
  readonly #folders = new Map<string, FSWatcher>();
  #files = new Set<string>();

  constructor(changed: () => Promise<void>) {
    this.#notify = oneAtATime(changed);
  }

  /**
   * From now on these files, absolute. Their folders are watched: editors replace a file rather than write to it. What has changed
   * since `sinceMs`, before there was anybody to see it, counts as a change.
   */
  set(files: Iterable<string>, sinceMs: number): void {
    this.#files = new Set(files);
    this.#watchFolders();
    for (const file of this.#files) if ((statSync(file, { throwIfNoEntry: false })?.mtimeMs ?? 0) > sinceMs) this.#notify();
  }

  #watchFolders(): void {
    const wanted = new Set([...this.#files].map((file) => dirname(file)));
    for (const [folder, watcher] of this.#folders) {
      if (wanted.has(folder)) continue;
      watcher.close();
      this.#folders.delete(folder);
    }
    for (const folder of wanted) {
      if (this.#folders.has(folder)) continue;
      try {
        const watcher = watch(folder, (_event, name) => {
          if (name === null || this.#files.has(resolve(folder, name))) this.#notify();
        });
        watcher.on("error", () => undefined);
        this.#folders.set(folder, watcher);
      } catch {
        // The folder is gone: its files are missed at the next build, which says so.
      }
    }
  }

  close(): void {
    for (const watcher of this.#folders.values()) watcher.close();
    this.#folders.clear();
  }
}

/** Contents of files, by path; "" for one that can't be read. */
export async function contentsOf(files: Iterable<string>): Promise<Map<string, string>> {
  const contents = new Map<string, string>();
  for (const file of files) {
    const bytes = await readFile(file).catch(() => new Uint8Array(0));
    contents.set(file, createHash("sha256").update(bytes).digest("hex"));
  }
  return contents;
}
