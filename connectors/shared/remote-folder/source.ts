/** Files that are dropped into a folder of a file server, one message each; SFTP and FTP bring the protocol. */
import { randomUUID } from "node:crypto";
import { basename, isAbsolute, join } from "node:path/posix";
import { type CodedError, isCoded } from "#base";
import { type Accept, gatewayLimits, type Health, type Outcome, type Source, type SourceContext, type StagedBody } from "#gateway/contract";
import { contentTypeOf, globPattern, isUnfinished } from "../dropped-files.ts";
import { Link, type Opening } from "../link.ts";
import { inTime } from "../polled-files.ts";
import { ToldOnce } from "../told-once.ts";
import { Claims } from "./claims.ts";
import { folderLimits } from "./limits.ts";
import { type Entry, type FolderProtocol, ReadAgain, type RemoteFolder, sameVersion, type Version } from "./port.ts";
import type { FolderSourceConfig } from "./schema.ts";

interface Session {
  readonly remote: RemoteFolder;
  readonly claims: Claims;
}

/** A file as it has been for a while. */
interface Seen extends Version {
  readonly sinceMs: number;
}

/** The next place of a file whose message has ended. `to`: a folder, or undefined: delete it. */
interface End {
  readonly version: Version;
  readonly to: string | undefined;
  busy: boolean;
  /** It was tried: the file may be gone without an answer that said so. */
  tried: boolean;
  /** The last move failed. */
  failed: boolean;
}

/** Those of this process: a source may start before its predecessor has stopped. */
const instances = new Set<string>();

export class FolderSource implements Source {
  readonly #config: FolderSourceConfig;
  readonly #context: SourceContext;
  readonly #protocol: FolderProtocol;
  readonly #place: string;
  readonly #pattern: RegExp;
  readonly #link: Link<Session>;
  #accept: Accept | undefined;
  #instance: string | undefined;
  /** Files of the folder, and claimed ones, as they were last seen. */
  #seen = new Map<string, Seen>();
  #claimed = new Map<string, Seen>();
  /** Files the gateway has. */
  readonly #inHand = new Map<string, Promise<void>>();
  /** Ended files that are not moved yet: tried with every poll, never handed over twice. */
  readonly #ends = new Map<string, End>();
  readonly #told: ToldOnce;
  #stopped = false;
  #paused = false;
  #refusedUntilMs = 0;
  #polling: Promise<void> | undefined;
  #cancelTimer: () => void = () => {};
  #trouble: string | undefined;

  constructor(config: FolderSourceConfig, context: SourceContext, protocol: FolderProtocol) {
    this.#config = config;
    this.#context = context;
    this.#protocol = protocol;
    this.#place = `folder ${config.dir}`;
    this.#pattern = globPattern(config.pattern);
    this.#told = new ToldOnce(context);
    this.#link = new Link<Session>({
      context,
      peer: `${protocol.peer} ${this.#place}`,
      explain: (error) => this.#explain(error),
      open: (opening) => this.#open(opening),
    });
  }

  start(accept: Accept): Promise<void> {
    this.#accept = accept;
    return this.#link.start();
  }

  pause(): void {
    this.#paused = true;
  }

  resume(): void {
    this.#paused = false;
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    this.#cancelTimer();
    await this.#polling;
    await Promise.all(this.#inHand.values());
    await this.#link.lastWords(this.#link.session?.claims.leave());
    await this.#link.stop();
    if (this.#instance !== undefined) instances.delete(this.#instance);
  }

  health(): Health {
    const health = this.#link.health();
    if (!health.ready) return health;
    if (this.#trouble !== undefined) return { ready: false, detail: this.#trouble };
    return { ready: true, detail: `watching ${this.#place} of ${this.#protocol.peer}, ${this.#inHand.size} in hand` };
  }

  #explain(error: unknown): CodedError {
    return this.#protocol.explain(this.#place, error);
  }

  #folder(name: string): string {
    return isAbsolute(name) ? name : join(this.#config.dir, name);
  }

  async #open(opening: Opening): Promise<Session> {
    const { dir, done, failed, lease, marker } = this.#config;
    const instance = await this.#instanceName();
    const remote = await this.#protocol.open(opening);
    for (const folder of [dir, this.#folder(failed), ...(this.#config.delete ? [] : [this.#folder(done)])]) await remote.makeFolder(folder);
    const claims = opening.own(
      new Claims({ remote, context: this.#context, dir, instance, leaseMs: lease, marker, protocol: this.#protocol }),
    );
    await claims.open((error) => !remote.closed && opening.lost(error));
    this.#tick({ remote, claims }, 0);
    return { remote, claims };
  }

  /** The same after a restart, where the journal is on a disk: this gateway has its claims back at once. */
  async #instanceName(): Promise<string> {
    const fact = `${this.#protocol.name} ${this.#context.name}`;
    if (this.#instance !== undefined) return this.#instance;
    const before = await this.#context.recall?.read(fact);
    const instance = before === undefined || instances.has(before) ? randomUUID() : before;
    this.#instance = instance;
    instances.add(instance);
    if (instance !== before) await this.#context.recall?.write(fact, instance);
    return instance;
  }

  #tick(session: Session, afterMs: number): void {
    this.#cancelTimer = this.#context.clock.after(afterMs, () => {
      if (this.#stopped || session.remote.closed) return;
      this.#polling = this.#poll(session)
        .then((trouble) => void (this.#trouble = trouble))
        .catch((error: unknown) => {
          if (session.remote.closed) return; // the link tells
          const { code, message } = this.#explain(error);
          this.#trouble = `${code}: ${message}`;
          this.#tellOnce(`poll ${code}`, code, message);
        })
        .finally(() => {
          if (!this.#stopped && !session.remote.closed) this.#tick(session, this.#config.every);
        });
    });
  }

  /** Looks at the folder once and hands over what there is room for. Resolves with what is wrong, if anything. */
  async #poll(session: Session): Promise<string | undefined> {
    const { remote, claims } = session;
    for (const name of this.#ends.keys()) await this.#move(session, name);
    const claimed = await claims.list();
    const mine = new Set(claimed.map(({ name }) => name));
    await claims.takeOver(mine);
    const all = new Set<string>();
    const { dir, marker } = this.#config;
    const files = await remote.list(dir, (entry) => {
      if (marker !== undefined && entry.name.endsWith(marker) && all.size < folderLimits.entriesPerList) all.add(entry.name);
      return this.#isWanted(entry);
    });
    const complete = marker === undefined ? files : files.filter(({ name }) => all.has(name + marker));
    const exact = await remote.exact(dir, complete.sort(byTimeThenName));
    const nowMs = this.#context.clock.monotonicMs();
    const seen = new Map<string, Seen>();
    const settled = exact.filter(
      ({ name, ...version }) => this.#isStill(this.#seen.get(name), version, nowMs, (now) => seen.set(name, now)) || marker !== undefined,
    );
    this.#seen = seen;
    const claimedSeen = new Map<string, Seen>();
    const back = claimed.filter(({ name, ...version }) =>
      this.#isStill(this.#claimed.get(name), version, nowMs, (now) => claimedSeen.set(name, now)),
    );
    this.#claimed = claimedSeen;
    const unread: string[] = [];
    for (const entry of [...back, ...settled].sort(byTimeThenName).slice(0, gatewayLimits.filesPerScan)) {
      const isMine = back.includes(entry);
      if (this.#inHand.has(entry.name) || this.#ends.has(entry.name) || (!isMine && mine.has(entry.name))) continue;
      // Each would be worked on again after a restart, and is remembered until then.
      if (!this.#hasRoom() || remote.closed || this.#unended >= folderLimits.unended) break;
      if (!isMine && !(await claims.claim(entry.name))) continue;
      if (!isMine) this.#claimed.set(entry.name, { ...entry, sinceMs: Number.NEGATIVE_INFINITY });
      if (!(await this.#take(session, entry))) unread.push(entry.name);
    }
    const unmoved = this.#unended;
    if (unmoved > 0) return `${this.#protocol.codes.move}: ${unmoved} finished files can't be moved out of the folder`;
    return unread.length === 0 ? undefined : `${this.#protocol.codes.read}: ${unread.length} files can't be read, ${unread[0]} among them`;
  }

  /** Files whose move has failed so far. */
  get #unended(): number {
    let count = 0;
    for (const { failed } of this.#ends.values()) if (failed) count += 1;
    return count;
  }

  #hasRoom(): boolean {
    const most = Math.min(gatewayLimits.filesAtOnce, this.#context.prefetch);
    return !this.#stopped && !this.#paused && this.#inHand.size < most && this.#context.clock.monotonicMs() >= this.#refusedUntilMs;
  }

  #isWanted({ name, kind }: Entry): boolean {
    const { marker } = this.#config;
    if (!this.#pattern.test(name) || isUnfinished(name) || (marker !== undefined && name.endsWith(marker)) || kind === "folder")
      return false;
    const why = kind !== "file" ? "it is not a regular file" : name.includes("\ufffd") ? "its name is not UTF-8: rename it" : undefined;
    if (why === undefined) return true;
    if (this.#tellOnce(`ignored ${name}`, this.#protocol.codes.ignored, `the file is ignored: ${why}`, name))
      this.#context.metrics.count("ignored");
    return false;
  }

  /** True when the file was the same at the last poll, and has been for `settle`. */
  #isStill(before: Seen | undefined, { size, mtime }: Version, nowMs: number, keep: (now: Seen) => void): boolean {
    const same = before !== undefined && before.size === size && before.mtime === mtime;
    keep(same ? before : { size, mtime, sinceMs: nowMs });
    return same && nowMs - before.sinceMs >= this.#config.settle;
  }

  /** Reads a claimed file and hands it over. False if it can't be read. */
  async #take(session: Session, { name, size, mtime }: Entry): Promise<boolean> {
    const { remote, claims } = session;
    const version: Version = { size, mtime };
    const path = claims.path(name);
    const now = await remote.stat(path);
    if (!sameVersion(version, now)) return this.#changed(name, now);
    const check = this.#context.longBodies?.();
    const large = check !== undefined && size > check.thresholdBytes;
    const { uploads } = this.#context.memory;
    const limit =
      size > (this.#config.maxSize ?? (large ? gatewayLimits.storedFileBytes : gatewayLimits.fileBytes))
        ? "maxSize"
        : !large && size > uploads.largestBytes
          ? "`memory` allows"
          : undefined;
    if (limit !== undefined) {
      const text = `the file has ${size} bytes, more than ${limit}: it is moved to ${this.#config.failed}`;
      this.#context.logger.error({ file: name, code: this.#protocol.codes.limit }, text);
      this.#ends.set(name, { version, to: this.#folder(this.#config.failed), busy: false, tried: false, failed: false });
      await this.#move(session, name);
      return true;
    }
    const heldBytes = large ? Math.min(size, folderLimits.readAheadBytes) : size;
    if (!uploads.tryTake(heldBytes)) {
      this.#refusedUntilMs = this.#context.clock.monotonicMs() + gatewayLimits.retryAfterMs;
      return true;
    }
    let body: Uint8Array = new Uint8Array(0);
    let storedBody: StagedBody | undefined;
    try {
      const pieces = inTime(
        remote.read(path, size, () => !this.#stopped),
        this.#context.clock,
      );
      if (large) storedBody = await check.store.stage(pieces);
      else body = await wholeOf(pieces, size);
      const after = await remote.stat(path);
      if (!sameVersion(version, after)) {
        storedBody?.release();
        return this.#changed(name, after);
      }
    } catch (error) {
      storedBody?.release();
      return this.#unread(name, error, remote);
    } finally {
      uploads.give(heldBytes); // the flow's queue takes them
    }
    this.#handOver(name, version, body, storedBody);
    await new Promise((resolve) => setImmediate(resolve)); // a refusal is known by then
    return true;
  }

  #handOver(name: string, version: Version, body: Uint8Array, storedBody: StagedBody | undefined): void {
    const accepted = this.#accept?.({
      id: `${name}-${(version.mtime * 1000).toString(36)}-${version.size.toString(36)}`,
      headers: {
        "mayfly-file-name": encodeURIComponent(name),
        "mayfly-file-size": String(version.size),
        "mayfly-file-time": new Date(version.mtime * 1000).toISOString(),
      },
      contentType: this.#config.contentType ?? contentTypeOf(name),
      body,
      storedBody,
      replyWanted: false,
      keeper: "source",
    });
    if (accepted === undefined) return;
    const ended = accepted.then((outcome) => this.#settle(name, version, outcome)).finally(() => this.#inHand.delete(name));
    this.#inHand.set(name, ended);
    if (storedBody !== undefined) void accepted.then(() => storedBody.release());
  }

  async #settle(name: string, version: Version, outcome: Outcome): Promise<void> {
    if (outcome.status === "refused") {
      this.#refusedUntilMs = this.#context.clock.monotonicMs() + outcome.retryAfterMs;
      return;
    }
    const { done, failed } = this.#config;
    const to = outcome.status === "dead" ? this.#folder(failed) : this.#config.delete ? undefined : this.#folder(done);
    this.#ends.set(name, { version, to, busy: false, tried: false, failed: false });
    const { session } = this.#link;
    if (session !== undefined) await this.#move(session, name);
  }

  /** It is read again when it has kept still. */
  #changed(name: string, now: Version | undefined): true {
    if (now === undefined) return true;
    this.#claimed.set(name, { size: now.size, mtime: now.mtime, sinceMs: this.#context.clock.monotonicMs() });
    this.#context.metrics.count("changed");
    return true;
  }

  #unread(name: string, error: unknown, remote: RemoteFolder): boolean {
    if (remote.closed || this.#stopped || this.#protocol.isMissing(error) || error instanceof ReadAgain) return true; // the next poll sees what has become of it
    if (!isCoded(error)) {
      this.#tellOnce(`unread ${name}`, this.#protocol.codes.read, `the file can't be read: ${this.#explain(error).message}`, name);
      return false;
    }
    this.#refusedUntilMs = this.#context.clock.monotonicMs() + gatewayLimits.bodySweepMs.least; // the body store has no room
    this.#context.logger.error({ file: name, code: error.code }, error.message);
    return true;
  }

  /** Moves a file whose message has ended. If that fails it is tried again; if the file has changed it is the next message. */
  async #move({ remote, claims }: Session, name: string): Promise<void> {
    const end = this.#ends.get(name);
    if (end === undefined || end.busy) return;
    end.busy = true;
    const from = claims.path(name);
    try {
      const now = await remote.stat(from);
      if (now === undefined && !end.tried) {
        this.#context.metrics.count("taken");
        const text = "another gateway took the file over while its message was worked on: it may be delivered twice";
        this.#context.logger.warn({ file: name, code: this.#protocol.codes.taken }, text);
      } else if (now !== undefined && !sameVersion(end.version, now)) {
        this.#changed(name, now);
        this.#context.logger.info({ file: name }, "the file was changed while it was processed: its new content is another message");
      } else if (now !== undefined) {
        end.tried = true;
        await (end.to === undefined ? remote.remove(from) : remote.moveBeside(from, join(end.to, name)));
      }
      this.#ends.delete(name);
      this.#told.forget(`unmoved ${name}`);
    } catch (error) {
      if (remote.closed) return;
      end.failed = true;
      const text = `the file is finished but can't be moved to ${basename(end.to ?? "nowhere")}: ${this.#explain(error).message}`;
      this.#tellOnce(`unmoved ${name}`, this.#protocol.codes.move, text, name);
    } finally {
      end.busy = false;
    }
  }

  /** True if it is told now. */
  #tellOnce(what: string, code: string, text: string, file?: string): boolean {
    return this.#told.tell(what, code, text, file === undefined ? {} : { file });
  }
}

function byTimeThenName(a: Entry, b: Entry): number {
  return a.mtime - b.mtime || (a.name < b.name ? -1 : a.name > b.name ? 1 : 0);
}

async function wholeOf(pieces: AsyncIterable<Uint8Array>, size: number): Promise<Uint8Array> {
  const body = new Uint8Array(size);
  let at = 0;
  for await (const piece of pieces) {
    body.set(piece, at);
    at += piece.length;
  }
  return body;
}
