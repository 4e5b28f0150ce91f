/** Objects of an S3 bucket, one message each. */
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
} from "#gateway/contract";
import { contentTypeOf, globPattern } from "../shared/dropped-files.ts";
import { Link, type Opening } from "../shared/link.ts";
import { type Ended, PolledFiles, TooSlow, WrongSize } from "../shared/polled-files.ts";
import { shortId, headersOf } from "../shared/wire.ts";
import { explainS3, isOutage, S3Client, type S3Config, type S3Response, s3Required, s3Schema } from "./client.ts";
import { s3Limits } from "./limits.ts";
import { copy, type Ending, isMissing, isOther, isTagged, listed, read, remove, tag, type Version } from "./objects.ts";
import type { S3Object } from "./xml.ts";

export interface S3SourceConfig extends S3Config {
  readonly pattern: string;
  readonly after: "move" | "delete" | "tag";
  readonly done: string;
  readonly failed: string;
  readonly every: number;
  readonly contentType: string | undefined;
  readonly maxSize: number | undefined;
}

interface Session {
  /** Aborts when the session is over. */
  readonly over: AbortSignal;
  readonly lost: (error: unknown) => void;
}

/** An object whose message has ended, until it is moved, deleted or tagged. */
interface End {
  readonly version: Version;
  readonly how: "done" | "failed";
  busy: boolean;
  copied: boolean;
  /** The last attempt failed. */
  failed: boolean;
}

class S3Source implements Source {
  readonly #config: S3SourceConfig;
  readonly #context: SourceContext;
  readonly #s3: S3Client;
  readonly #place: string;
  readonly #pattern: RegExp;
  readonly #link: Link<Session>;
  readonly #files: PolledFiles;
  /** Tried with every poll, never handed over twice. */
  readonly #ends = new Map<string, End>();
  /** Versions that have their tag. */
  readonly #tagged = new Map<string, string>();
  /** Place in a listing where the next poll goes on. */
  #after: string | undefined;
  /** Ends reading at the stop. */
  readonly #reading = new AbortController();
  #accept: Accept = () => Promise.reject(new Error("not started"));
  #polling: Promise<void> | undefined;
  #cancelTimer: () => void = () => {};
  #trouble: string | undefined;

  constructor(config: S3SourceConfig, context: SourceContext) {
    const { prefix, done, failed, bucket, after } = config;
    if (after !== "tag" && [done, failed].some((taken) => prefix.startsWith(taken)))
      throw new CodedError(
        "MF_S3_PREFIX",
        "done and failed must lie outside of prefix, or be folders in it: every object would be ignored",
      );
    this.#config = config;
    this.#context = context;
    this.#s3 = new S3Client(config, context);
    this.#place = `bucket ${bucket}`;
    this.#pattern = globPattern(config.pattern);
    this.#files = new PolledFiles(context);
    this.#link = new Link<Session>({
      context,
      peer: `${this.#s3.peer} ${this.#place}`,
      explain: (error) => this.#explain(error),
      open: (opening) => this.#open(opening),
    });
  }

  start(accept: Accept): Promise<void> {
    this.#accept = accept;
    return this.#link.start();
  }

  pause(): void {
    this.#files.pause();
  }

  resume(): void {
    this.#files.resume();
  }

  async stop(): Promise<void> {
    this.#cancelTimer();
    this.#files.stop();
    this.#reading.abort();
    await this.#polling;
    await this.#files.idle();
    await this.#link.stop();
  }

  health(): Health {
    return this.#files.health(this.#link.health(), this.#trouble, `${this.#place} of ${this.#s3.peer}`);
  }

  #explain(error: unknown): CodedError {
    return explainS3(this.#s3.peer, this.#place, error);
  }

  async #open({ lost, own }: Opening): Promise<Session> {
    const ending = new AbortController();
    own(this.#s3);
    own({ close: () => ending.abort() });
    await this.#s3.probe(AbortSignal.any([ending.signal, this.#reading.signal]));
    const session = { over: AbortSignal.any([ending.signal, this.#reading.signal]), lost };
    this.#tick(session, 0);
    return session;
  }

  #tick(session: Session, afterMs: number): void {
    this.#cancelTimer = this.#context.clock.after(afterMs, () => {
      if (session.over.aborted) return;
      this.#polling = this.#poll(session)
        .then((trouble) => void (this.#trouble = trouble))
        .catch((error: unknown) => {
          if (session.over.aborted) return;
          if (isOutage(error)) return session.lost(error);
          const { code, message } = this.#explain(error);
          this.#trouble = `${code}: ${message}`;
          this.#files.tellOnce(`poll ${code}`, code, message);
        })
        .finally(() => {
          if (!session.over.aborted) this.#tick(session, this.#config.every);
        });
    });
  }

  /** Lists once and hands over what was found, as there is room for it. Resolves with what is wrong, if anything. */
  async #poll({ over }: Session): Promise<string | undefined> {
    for (const key of this.#ends.keys()) await this.#end(key);
    const found = await this.#list(over);
    found.sort((a, b) => a.timeMs - b.timeMs || (a.key < b.key ? -1 : 1));
    const unread: string[] = [];
    for (const object of found) {
      // Each would be worked on again after a restart, and is remembered until then.
      if (!(await this.#files.untilRoom(over)) || this.#unended >= s3Limits.unended) break;
      if (!(await this.#take(object, over))) unread.push(object.key);
    }
    const unmoved = this.#unended;
    if (unmoved > 0) return `MF_S3_MOVE: ${unmoved} finished objects can't be moved, deleted or tagged`;
    return unread.length === 0 ? undefined : `MF_S3_READ: ${unread.length} objects can't be read, ${JSON.stringify(unread[0])} among them`;
  }

  /** Wanted objects. A listing that is longer than a poll can read goes on with the next one, unless there was enough in it. */
  async #list(over: AbortSignal): Promise<S3Object[]> {
    const found: S3Object[] = [];
    const after = this.#after;
    this.#after = undefined; // also when the server does not know it any more
    let pages = 0;
    for await (const { objects, next } of listed(this.#s3, { prefix: this.#config.prefix, after, signal: over })) {
      for (const object of objects) if (this.#isWanted(object) && !(await this.#isTagged(object, over))) found.push(object);
      pages += 1;
      if (found.length >= s3Limits.objectsPerPoll) break;
      if (pages === s3Limits.pagesPerPoll) {
        this.#after = next;
        break;
      }
    }
    return found;
  }

  /** Objects whose end has failed so far. */
  get #unended(): number {
    let count = 0;
    for (const { failed } of this.#ends.values()) if (failed) count += 1;
    return count;
  }

  #isWanted({ key, size }: S3Object): boolean {
    const { prefix, done, failed, after } = this.#config;
    if (this.#files.has(key) || this.#ends.has(key) || !key.startsWith(prefix)) return false;
    if (after !== "tag" && (key.startsWith(done) || key.startsWith(failed))) return false;
    if ((key.endsWith("/") && size === 0) || !this.#pattern.test(key.slice(prefix.length))) return false;
    if (!key.split("/").some((part) => part === "." || part === "..")) return true;
    const text = "the object is ignored: a part of its key is . or .., which proxies and clients resolve: rename it";
    if (this.#files.tellOnce(`ignored ${key}`, "MF_S3_IGNORED", text, key)) this.#context.metrics.count("ignored");
    return false;
  }

  async #isTagged(object: S3Object, signal: AbortSignal): Promise<boolean> {
    if (this.#config.after !== "tag") return false;
    if (this.#tagged.get(object.key) === object.etag) return true;
    const tagged = await isTagged(this.#s3, object.key, object, signal).catch((error: unknown) => {
      if (isMissing(error)) return true; // it is gone
      throw error;
    });
    if (tagged) this.#know(object.key, object);
    return tagged;
  }

  #know(key: string, { etag }: Version): void {
    if (this.#tagged.size >= s3Limits.knownTags) this.#tagged.clear();
    this.#tagged.set(key, etag);
  }

  /** Reads an object and hands it over. False if it can't be read. */
  async #take(object: S3Object, signal: AbortSignal): Promise<boolean> {
    const { key, size: bytes } = object;
    const limit = this.#files.limitOf(bytes, this.#config.maxSize);
    if (limit !== undefined) {
      const text = `the object has ${bytes} bytes, more than ${limit}: it is treated as failed`;
      this.#context.logger.error({ file: key, code: "MF_S3_LIMIT" }, text);
      this.#ends.set(key, { version: object, how: "failed", busy: false, copied: false, failed: false });
      await this.#end(key);
      return true;
    }
    let response: S3Response | undefined;
    try {
      const body = await this.#files.read(bytes, s3Limits.bufferBytes, async () => {
        response = await read(this.#s3, key, object, signal);
        return response.body as AsyncIterable<Uint8Array>;
      });
      if (body === undefined || response === undefined) return true;
      const incoming = { ...this.#incoming(object, response.headers), ...body };
      await this.#files.handOver(key, this.#accept, incoming, (outcome) => this.#settle(object, outcome));
      return true;
    } catch (error) {
      response?.body.destroy();
      return this.#unread(key, error, signal);
    }
  }

  #incoming({ key, etag, timeMs, size: bytes }: S3Object, answer: S3Response["headers"]) {
    const meta = Object.entries(answer).filter(([name]) => name.startsWith("x-amz-meta-"));
    const given = answer["content-type"];
    const told = typeof given === "string" && !/^(binary|application)\/octet-stream$/.test(given) ? given : undefined;
    return {
      id: shortId(`${key}-${timeMs.toString(36)}-${etag}`, gatewayLimits.idCharacters),
      headers: {
        ...headersOf(meta, this.#context),
        "mayfly-file-name": encodeURIComponent(Buffer.from(key).toString()),
        "mayfly-file-size": String(bytes),
        "mayfly-file-time": new Date(timeMs).toISOString(),
        "mayfly-file-etag": etag,
      },
      contentType: this.#config.contentType ?? told ?? contentTypeOf(key),
      replyWanted: false,
      keeper: "source" as const,
    };
  }

  #unread(key: string, error: unknown, signal: AbortSignal): boolean {
    if (signal.aborted || isMissing(error)) return true;
    if (isOther(error)) {
      this.#context.metrics.count("changed");
      return true; // the next poll lists what it is now
    }
    const isOwn = error instanceof WrongSize || error instanceof TooSlow;
    if (!isOwn && isOutage(error)) throw error;
    if (!isCoded(error)) {
      const why = isOwn ? error.message : this.#explain(error).message;
      this.#files.tellOnce(`unread ${key}`, "MF_S3_READ", `the object can't be read: ${why}`, key);
      return false;
    }
    this.#files.refuse(gatewayLimits.bodySweepMs.least); // the body store has no room
    this.#context.logger.error({ file: key, code: error.code }, error.message);
    return true;
  }

  async #settle({ key, etag, timeMs }: S3Object, outcome: Ended): Promise<void> {
    const how = outcome.status === "dead" ? "failed" : "done";
    this.#ends.set(key, { version: { etag, timeMs }, how, busy: false, copied: false, failed: false });
    await this.#end(key);
  }

  /** Moves, deletes or tags an object whose message has ended. If that fails it is tried again with the next poll. */
  async #end(key: string): Promise<void> {
    const end = this.#ends.get(key);
    if (end === undefined || end.busy) return;
    end.busy = true;
    try {
      const ending = await this.#carryOut(key, end);
      if (ending === "changed") {
        this.#context.metrics.count("changed");
        this.#context.logger.info({ file: key }, "the object was replaced while it was processed: its new content is another message");
      } else if (ending === "missing" && !end.failed) {
        this.#context.metrics.count("taken");
        const text = "the object is gone: somebody removed it while its message was worked on";
        this.#context.logger.warn({ file: key, code: "MF_S3_TAKEN" }, text);
      }
      this.#ends.delete(key);
      this.#files.forget(`unended ${key}`);
    } catch (error) {
      end.failed = true;
      const text = `the object is finished but can't be ${done[this.#config.after]}: ${this.#explain(error).message}`;
      this.#files.tellOnce(`unended ${key}`, "MF_S3_MOVE", text, key);
    } finally {
      end.busy = false;
    }
  }

  async #carryOut(key: string, end: End): Promise<Ending> {
    const { after, prefix, done: doneFolder, failed } = this.#config;
    const { version, how } = end;
    const signal = AbortSignal.timeout(s3Limits.endMs);
    if (after === "tag") {
      const ending = await tag(this.#s3, key, how, version, signal);
      if (ending === "ended") this.#know(key, version);
      return ending;
    }
    if ((after === "move" || how === "failed") && !end.copied) {
      const to = (how === "failed" ? failed : doneFolder) + key.slice(prefix.length);
      const ending = await copy(this.#s3, key, to, version, signal);
      if (ending !== "ended") return ending;
      end.copied = true;
    }
    return await remove(this.#s3, key, version, signal);
  }
}

const done = { move: "moved", delete: "deleted", tag: "tagged" } as const;

const folder = (description: string, fallback: string) => ({
  type: "string",
  pattern: "/$",
  patternErrorMessage: "must end with /",
  default: fallback,
  description,
});

export const s3Source: SourceDefinition<S3SourceConfig> = {
  isSingle: () => true,
  name: "s3",
  summary: "Objects of an S3 bucket, one message each.",
  description: `At least once, for Amazon S3 and servers that speak its API. An object is moved (or deleted, or tagged) only after its message's effects are
committed, and counts as failed if the message failed for good (its dead letter says why); while ${s3Limits.unended} of them can't be moved, no others are taken. One gateway per bucket and prefix: S3 has no claims.

- **\`after: move\`**: the object is copied to \`done\` (or \`failed\`) plus its key without \`prefix\`, then deleted. An object that has this name
  already stays; the new one gets a name with its time beside it. **\`delete\`**: only failed ones are moved. **\`tag\`**: objects stay and get the
  tag \`mayfly\`, \`done:ETAG\` or \`failed:ETAG\`; each poll then lists all of them, so this is for buckets whose lifecycle removes them.
- **Order**: by time, then key, of up to 10,000 objects that one poll lists. Messages of one key of the flow are worked on in that order.
- **Duplicates**: the message's id is made of the object's key, time and ETag: the same content uploaded again is another message.
- **Replaced objects**: an object that is replaced while its message runs stays, and is taken again. S3 can't compare and delete in one step:
  an upload within the same milliseconds is lost. Use keys of their own for each upload, or a bucket with versions.
- **Large objects** go into the body store with \`claimCheck\`; others than fit into the memory budget, and those over \`maxSize\`, count as failed
  (\`MF_S3_LIMIT\`).
- **Headers**: \`mayfly-file-name\` (the key, percent-encoded), \`mayfly-file-size\`, \`mayfly-file-time\`, \`mayfly-file-etag\`, and the object's own
  \`x-amz-meta-…\`. The content type is the object's, or comes from the extension, unless \`contentType\` is given.
- **Rights**: ListBucket, GetObject, PutObject and DeleteObject; with \`tag\`, GetObjectTagging and PutObjectTagging.
- **Errors** (retried, shown by \`/ready\`): \`MF_S3_UNREACHABLE\`, \`MF_S3_TLS\`, \`MF_S3_AUTH\`, \`MF_S3_FORBIDDEN\`, \`MF_S3_NO_BUCKET\`, \`MF_S3_REGION\`,
  \`MF_S3_UNAVAILABLE\`, \`MF_S3_FAILED\`, \`MF_S3_READ\`, \`MF_S3_MOVE\`, \`MF_S3_LISTING\`, \`MF_S3_TAGS\`.`,
  schema: {
    type: "object",
    additionalProperties: false,
    required: s3Required,
    properties: {
      ...s3Schema,
      prefix: { type: "string", default: "", description: "Beginning of the keys of all objects to take." },
      pattern: { type: "string", minLength: 1, default: "*", description: "Pattern of the keys behind `prefix`, with * and ?." },
      after: { enum: ["move", "delete", "tag"], default: "move", description: "Handling of an object whose message is done." },
      done: folder("Beginning of the keys of completed objects, with `after: move`.", "done/"),
      failed: folder("Beginning of the keys of objects whose message failed for good.", "failed/"),
      every: duration("Interval between polls of the bucket.", "5s"),
      contentType: { type: "string", description: "Content type of every object." },
      maxSize: size("Maximum size of an object; longer ones count as failed. Default: 64MiB, and 16GiB where it goes into the body store."),
    },
  },
  example: `s3: { region: eu-central-1, bucket: acme-orders, prefix: inbox/, accessKeyId: "\${S3_KEY}", secretAccessKey: "\${S3_SECRET}" }`,
  create: (config, context) => new S3Source(config, context),
};
