/** Files that are dropped into a folder, one message each. */
import { createReadStream, type Dirent } from "node:fs";
import { lstat, mkdir, readdir, readFile, unlink } from "node:fs/promises";
import { basename, join, resolve } from "node:path";
import { CodedError, isCoded } from "#base";
import {
  type Accept,
  duration,
  gatewayLimits,
  type Health,
  size,
  type Source,
  type SourceContext,
  type SourceDefinition,
  type StagedBody,
} from "#gateway/contract";
import { contentTypeOf, globPattern, isUnfinished } from "../shared/dropped-files.ts";
import { fileLimits } from "./limits.ts";
import { freeName, moveFile, sameVersion, type Version } from "./move.ts";

export interface FileSourceConfig {
  readonly dir: string;
  readonly pattern: string;
  readonly done: string;
  readonly failed: string;
  readonly marker: string | undefined;
  readonly stable: number;
  readonly every: number;
  readonly contentType: string | undefined;
  readonly maxSize: number | undefined;
}

interface Seen {
  readonly size: number;
  readonly mtimeMs: number;
  readonly sinceMs: number;
}

class FileSource implements Source {
  readonly #config: FileSourceConfig;
  readonly #context: SourceContext;
  readonly #dir: string;
  readonly #done: string;
  readonly #failed: string;
  readonly #pattern: RegExp;
  #accept: Accept | undefined;
  /** Size and time of files as last seen, until they no longer change. */
  #seen = new Map<string, Seen>();
  /** Files the gateway has. */
  readonly #inHand = new Map<string, Promise<void>>();
  /** Settled files that could not be moved: retried with every scan, never handed over twice. */
  readonly #unmoved = new Map<string, { readonly to: string; readonly version: Version }>();
  /** Ignored names that were logged. */
  readonly #told = new Set<string>();
  #stopped = false;
  #paused = false;
  #refusedUntilMs = 0;
  #scanning: Promise<void> | undefined;
  /** Resolves when the last file that was started is handed over. */
  #turn: Promise<void> = Promise.resolve();
  #cancelTimer: (() => void) | undefined;
  #trouble: string | undefined;

  constructor(config: FileSourceConfig, context: SourceContext) {
    this.#config = config;
    this.#context = context;
    this.#dir = resolve(context.base, config.dir);
    this.#done = resolve(this.#dir, config.done);
    this.#failed = resolve(this.#dir, config.failed);
    this.#pattern = globPattern(config.pattern);
  }

  async start(accept: Accept): Promise<void> {
    this.#accept = accept;
    try {
      for (const folder of [this.#dir, this.#done, this.#failed]) await mkdir(folder, { recursive: true });
    } catch (cause) {
      throw new CodedError(
        "MF_FILE_SOURCE_DIR",
        `the folder ${this.#config.dir} of flows.${this.#context.flow} can't be used: ${cause instanceof Error ? cause.message : String(cause)}`,
        { cause },
      );
    }
    this.#tick();
  }

  pause(): void {
    this.#paused = true;
  }

  resume(): void {
    this.#paused = false;
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    this.#cancelTimer?.();
    await this.#scanning;
    await Promise.all(this.#inHand.values());
  }

  health(): Health {
    return this.#trouble === undefined
      ? { ready: true, detail: `watching ${this.#config.dir}, ${this.#inHand.size} in hand` }
      : { ready: false, detail: this.#trouble };
  }

  #tick(): void {
    if (this.#stopped) return;
    this.#scanning = this.#scan()
      .then(() => {
        this.#trouble =
          this.#unmoved.size === 0 ? undefined : `MF_FILE_MOVE: ${this.#unmoved.size} finished files can't be moved out of the folder`;
      })
      .catch((error: unknown) => {
        this.#trouble = `MF_FILE_SOURCE_DIR: ${error instanceof Error ? error.message : String(error)}`;
        this.#context.logger.error({ dir: this.#config.dir }, this.#trouble);
      })
      .finally(() => {
        if (!this.#stopped) this.#cancelTimer = this.#context.clock.after(this.#config.every, () => this.#tick());
      });
  }

  async #scan(): Promise<void> {
    for (const [name, { to, version }] of this.#unmoved) await this.#move(name, to, version);
    const nowMs = this.#context.clock.monotonicMs();
    if (this.#paused || nowMs < this.#refusedUntilMs) return;
    const entries: Dirent[] = await readdir(this.#dir, { withFileTypes: true });
    const all = new Set(entries.map((entry) => entry.name));
    for (const name of this.#told) if (!all.has(name)) this.#told.delete(name);
    for (const entry of entries)
      if (!entry.isFile() && !entry.isDirectory() && this.#isWanted(entry.name))
        this.#tellOnce(
          entry.name,
          entry.isSymbolicLink() ? "it is a symbolic link: put the file itself into the folder" : "it is not a regular file",
        );
    const names = entries
      .filter((entry) => entry.isFile() && this.#isWanted(entry.name))
      .map((entry) => entry.name)
      .sort()
      .slice(0, gatewayLimits.filesPerScan);
    const seen = new Map<string, Seen>();
    const most = Math.min(gatewayLimits.filesAtOnce, this.#context.prefetch);
    for (const name of names) {
      if (this.#stopped || this.#inHand.has(name) || this.#unmoved.has(name)) continue;
      const stat = await lstat(join(this.#dir, name)).catch(() => undefined);
      if (stat === undefined && name.includes("\ufffd")) this.#tellOnce(name, "its name is not UTF-8: rename it");
      if (stat === undefined || !stat.isFile()) continue;
      const finished = this.#isFinished(name, stat, { nowMs, all, seen });
      if (!finished || this.#inHand.size >= most) continue;
      const before = this.#turn;
      let next = (): void => undefined;
      this.#turn = new Promise((resolve) => (next = resolve));
      this.#inHand.set(
        name,
        this.#handle(name, stat, before, next).finally(() => {
          next();
          this.#inHand.delete(name);
        }),
      );
    }
    this.#seen = seen;
  }

  /** Logs and counts an ignored name once, until it is gone. */
  #tellOnce(name: string, why: string): void {
    if (this.#told.has(name) || this.#told.size >= fileLimits.ignoredNames) return;
    this.#told.add(name);
    this.#context.metrics.count("ignored");
    this.#context.logger.warn({ file: name, code: "MF_FILE_IGNORED" }, `the file is ignored: ${why}`);
  }

  #isWanted(name: string): boolean {
    const { marker } = this.#config;
    return this.#pattern.test(name) && !isUnfinished(name) && (marker === undefined || !name.endsWith(marker));
  }

  /** With a marker: as soon as the marker exists. Otherwise: when size and time have not changed for `stable`. */
  #isFinished(name: string, stat: Version, { nowMs, all, seen }: Scan): boolean {
    const { marker, stable } = this.#config;
    if (marker !== undefined) return all.has(name + marker);
    const before = this.#seen.get(name);
    const same = before !== undefined && before.size === stat.size && before.mtimeMs === stat.mtimeMs;
    const now: Seen = same ? before : { size: stat.size, mtimeMs: stat.mtimeMs, sinceMs: nowMs };
    seen.set(name, now);
    return stable === 0 || (same && nowMs - now.sinceMs >= stable);
  }

  /** Reads the file at once, and hands it over in its turn: `before` resolves when the earlier files are handed over, `next` tells that this one is. */
  async #handle(name: string, stat: Version, before: Promise<void>, next: () => void): Promise<void> {
    const path = join(this.#dir, name);
    const { logger } = this.#context;
    const check = this.#context.longBodies?.();
    const large = check !== undefined && stat.size > check.thresholdBytes;
    const { uploads } = this.#context.memory;
    const limit =
      stat.size > (this.#config.maxSize ?? (large ? gatewayLimits.storedFileBytes : gatewayLimits.fileBytes))
        ? "maxSize"
        : !large && stat.size > uploads.largestBytes
          ? "`memory` allows"
          : undefined;
    if (limit !== undefined) {
      logger.error(
        { file: name, code: "MF_FILE_LIMIT" },
        `the file has ${stat.size} bytes, more than ${limit}: it is moved to ${this.#config.failed}`,
      );
      await this.#move(name, this.#failed, stat);
      return;
    }
    const heldBytes = large ? 0 : stat.size;
    if (!uploads.tryTake(heldBytes)) {
      this.#refusedUntilMs = this.#context.clock.monotonicMs() + gatewayLimits.retryAfterMs;
      return;
    }
    let held = true;
    const giveBack = (): void => {
      if (held) uploads.give(heldBytes);
      held = false;
    };
    try {
      await this.#handOver({ name, path, stat, before, next, giveBack });
    } finally {
      giveBack();
    }
  }

  async #handOver({ name, path, stat, before, next, giveBack }: InHand): Promise<void> {
    const { logger } = this.#context;
    let body: Uint8Array = new Uint8Array(0);
    let storedBody: StagedBody | undefined;
    const check = this.#context.longBodies?.();
    try {
      if (check !== undefined && stat.size > check.thresholdBytes) storedBody = await check.store.stage(createReadStream(path));
      else body = await readFile(path);
    } catch (error) {
      if (isCoded(error)) {
        this.#refusedUntilMs = this.#context.clock.monotonicMs() + gatewayLimits.bodySweepMs.least;
        logger.error({ file: name, code: error.code }, error.message);
        return;
      }
      logger.error({ file: name, code: "MF_FILE_READ" }, `cannot read the file: ${error instanceof Error ? error.message : String(error)}`);
      return;
    }
    if (!sameVersion(stat, await lstat(path).catch(() => undefined))) return storedBody?.release(); // it changed meanwhile: it is not finished
    await before;
    if (this.#context.clock.monotonicMs() < this.#refusedUntilMs) return storedBody?.release(); // an earlier file was refused: this one waits behind it
    setImmediate(next); // a refusal is known by then
    giveBack(); // the flow's queue takes them
    const outcome = await this.#accept?.({
      id: `${name}-${Math.round(stat.mtimeMs).toString(36)}-${stat.size.toString(36)}`,
      headers: {
        "mayfly-file-name": encodeURIComponent(name),
        "mayfly-file-size": String(stat.size),
        "mayfly-file-time": new Date(stat.mtimeMs).toISOString(),
      },
      contentType: this.#config.contentType ?? contentTypeOf(name),
      body,
      storedBody,
      replyWanted: false,
      keeper: "source",
    });
    storedBody?.release();
    if (outcome === undefined) return;
    if (outcome.status === "refused") this.#refusedUntilMs = this.#context.clock.monotonicMs() + outcome.retryAfterMs;
    else await this.#move(name, outcome.status === "dead" ? this.#failed : this.#done, stat);
  }

  /** Moves a settled file. If that fails it is retried later; if the file has changed it stays, and is the next message. */
  async #move(name: string, to: string, version: Version): Promise<void> {
    const from = join(this.#dir, name);
    try {
      if (!sameVersion(version, await lstat(from))) return this.#stays(name);
      if (!(await moveFile(from, await freeName(to, name), version))) return this.#stays(name);
      if (this.#config.marker !== undefined) await unlink(from + this.#config.marker).catch(() => undefined);
      this.#unmoved.delete(name);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === "ENOENT" && (await lstat(from).catch(() => undefined)) === undefined) {
        this.#unmoved.delete(name); // somebody removed it
        return;
      }
      if (!this.#unmoved.has(name))
        this.#context.logger.error(
          { file: name, code: "MF_FILE_MOVE" },
          `the file is finished but can't be moved to ${basename(to)}: ${error instanceof Error ? error.message : String(error)}`,
        );
      this.#unmoved.set(name, { to, version });
    }
  }

  #stays(name: string): void {
    this.#unmoved.delete(name);
    this.#context.metrics.count("changed");
    this.#context.logger.info(
      { file: name },
      "the file was replaced or changed while it was processed: its new content is another message",
    );
  }
}

/** One look at the folder. */
interface Scan {
  readonly nowMs: number;
  /** Names of all entries. */
  readonly all: ReadonlySet<string>;
  /** Files that have no marker, as this scan saw them. */
  readonly seen: Map<string, Seen>;
}

/** A file on its way into the gateway. */
interface InHand {
  readonly name: string;
  readonly path: string;
  readonly stat: Version;
  readonly before: Promise<void>;
  readonly next: () => void;
  readonly giveBack: () => void;
}

export const fileSource: SourceDefinition<FileSourceConfig> = {
  isSingle: () => true,
  name: "file",
  summary: "Files dropped into a folder, one message each.",
  description: `A file is taken once it is complete: its size and time have not changed for \`stable\`, or, with \`marker: .done\`, \`NAME.done\` lies beside it. Hidden files and \`*.tmp\`, \`*.part\` and the like are ignored.
It stays in the folder until the flow has completed, and is then moved to \`done\`, or to \`failed\` if the message failed for good (its dead letter says why). A crash in between leaves it in the folder: it is taken again, and
with \`dedup\` recognised, since its id consists of name, time and size. A file that is replaced or appended to while it is processed stays, and is taken again with its new content. One gateway per folder.
Symbolic links, entries that are not regular files, and names that are not UTF-8 are ignored; each is logged and counted (\`ignored\`) once.

Headers: \`mayfly-file-name\` (percent-encoded), \`mayfly-file-size\`, \`mayfly-file-time\`. The content type comes from the extension unless \`contentType\` is given.`,
  schema: {
    type: "object",
    additionalProperties: false,
    required: ["dir"],
    properties: {
      dir: { type: "string", minLength: 1, description: "Folder, relative to mayfly.yaml. Created if missing." },
      pattern: { type: "string", minLength: 1, default: "*", description: "Pattern of the file names, with * and ?." },
      done: { type: "string", minLength: 1, default: "done", description: "Folder for completed files, relative to `dir`." },
      failed: {
        type: "string",
        minLength: 1,
        default: "failed",
        description: "Folder for files whose message failed for good, relative to `dir`.",
      },
      marker: {
        type: "string",
        pattern: "^\\.[A-Za-z0-9._-]+$",
        patternErrorMessage: "must be an extension such as .done",
        description: "Suffix of a marker file: a file is complete once NAME plus this suffix exists.",
      },
      stable: duration("A file is complete once it has not changed for this time.", "1s"),
      every: duration("Interval between scans of the folder.", "1s"),
      contentType: { type: "string", description: "Content type of every file." },
      maxSize: size(
        "Maximum size of a file; longer files are moved to `failed`. Default: 64MiB, and 16GiB where it goes into the body store.",
      ),
    },
  },
  example: 'file: { dir: ./inbox, pattern: "*.csv", every: 500ms }',
  create: (config, context) => new FileSource(config, context),
};
