/** Unseen mails of a mailbox, one message each. */
import { createHash } from "node:crypto";
import type { FetchMessageObject, ImapFlow } from "imapflow";
import { CodedError, isCoded } from "#base";
import {
  type Accept,
  duration,
  gatewayLimits,
  type Health,
  type Incoming,
  size,
  type Source,
  type SourceContext,
  type SourceDefinition,
} from "#gateway/contract";
import { Link, type Opening, within } from "../shared/link.ts";
import { type Ended, inTime, PolledFiles, type ReadBody, TooSlow } from "../shared/polled-files.ts";
import { headersOf } from "../shared/wire.ts";
import { explainImap, type ImapConfig, imapPeer, imapSchema, openImap } from "./client.ts";
import { imapLimits } from "./limits.ts";
import { messageIdOf } from "./mail.ts";
import { MailParser } from "./parser.ts";

export interface ImapSourceConfig extends ImapConfig {
  readonly mailbox: string;
  readonly done: string | undefined;
  readonly failed: string;
  readonly body: "form" | "raw";
  readonly every: number;
  readonly maxSize: number;
}

interface Session {
  readonly client: ImapFlow;
  /** UIDs name the same mails while it stays the same. */
  readonly validity: string;
  /** Aborts when the session is over. */
  readonly over: AbortSignal;
  readonly lost: (error: unknown) => void;
}

/** A mail as the server lists it. */
interface Listed {
  readonly uid: number;
  /** Names it in this process: UIDVALIDITY and UID. */
  readonly name: string;
  readonly bytes: number;
  /** When the server got it; empty where it does not say. */
  readonly date: string;
}

/** A mail whose message has ended, until it is flagged or moved. */
interface End {
  readonly uid: number;
  readonly how: "done" | "failed";
  busy: boolean;
  /** The last attempt failed. */
  failed: boolean;
}

/** The mail can't be taken apart. */
class Malformed extends Error {}

class ImapSource implements Source {
  readonly #config: ImapSourceConfig;
  readonly #context: SourceContext;
  readonly #peer: string;
  readonly #place: string;
  readonly #link: Link<Session>;
  readonly #files: PolledFiles;
  readonly #parser: MailParser;
  /** By name. Tried with every poll, never handed over twice. */
  readonly #ends = new Map<string, End>();
  /** Ends reading at the stop. */
  readonly #reading = new AbortController();
  #accept: Accept = () => Promise.reject(new Error("not started"));
  #polling: Promise<void> | undefined;
  /** A mail came while a poll was under way. */
  #again = false;
  #cancelTimer: () => void = () => {};
  #trouble: string | undefined;

  constructor(config: ImapSourceConfig, context: SourceContext) {
    const { mailbox, done, failed } = config;
    if (done === mailbox || failed === mailbox)
      throw new CodedError("MF_IMAP_PLACE", "done and failed must be other mailboxes than mailbox: finished mails would come again");
    this.#config = config;
    this.#context = context;
    this.#peer = imapPeer(config);
    this.#place = `mailbox ${mailbox}`;
    this.#files = new PolledFiles(context);
    this.#parser = new MailParser(context);
    this.#link = new Link<Session>({
      context,
      peer: `${this.#peer} ${this.#place}`,
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
    this.#parser.close();
  }

  health(): Health {
    return this.#files.health(this.#link.health(), this.#trouble, `${this.#place} of ${this.#peer}`);
  }

  #explain(error: unknown): CodedError {
    return explainImap(this.#peer, this.#place, error);
  }

  async #open(opening: Opening): Promise<Session> {
    const ending = new AbortController();
    opening.own({ close: () => ending.abort() });
    const client = await openImap(this.#config, this.#context, opening);
    const { mailbox, done, failed } = this.#config;
    for (const folder of [failed, ...(done === undefined ? [] : [done])]) await client.mailboxCreate(folder);
    const { uidValidity, readOnly } = await client.mailboxOpen(mailbox).catch((cause: unknown) => {
      const text = `the ${this.#place} can't be opened: check mailbox, and that the user may read it`;
      throw client.usable ? new CodedError("MF_IMAP_MAILBOX", text, { cause }) : cause;
    });
    if (readOnly === true)
      throw new CodedError("MF_IMAP_MAILBOX", `the ${this.#place} can only be read: give the user the right to flag and move mails`);
    const validity = String(uidValidity);
    for (const name of this.#ends.keys()) if (!name.startsWith(`${validity}-`)) this.#ends.delete(name); // another mailbox of that name
    const session = { client, validity, over: AbortSignal.any([ending.signal, this.#reading.signal]), lost: opening.lost };
    client.on("exists", () => this.#look(session));
    this.#tick(session, 0);
    return session;
  }

  /** Polls now, or once more after the poll that is under way. */
  #look(session: Session): void {
    this.#again = true;
    if (this.#polling === undefined) this.#tick(session, 0);
  }

  #tick(session: Session, afterMs: number): void {
    this.#cancelTimer();
    this.#cancelTimer = this.#context.clock.after(afterMs, () => {
      if (session.over.aborted || this.#polling !== undefined) return;
      this.#again = false;
      this.#polling = this.#poll(session)
        .then((trouble) => void (this.#trouble = trouble))
        .catch((error: unknown) => this.#troubled(session, error))
        .finally(() => {
          this.#polling = undefined;
          if (!session.over.aborted) this.#tick(session, this.#again ? 0 : this.#config.every);
        });
    });
  }

  #troubled({ over, lost, client }: Session, error: unknown): void {
    if (over.aborted) return;
    const { code, message } = this.#explain(error);
    if (!client.usable || code === "MF_IMAP_UNREACHABLE") return lost(error);
    this.#trouble = `${code}: ${message}`;
    this.#files.tellOnce(`poll ${code}`, code, message);
  }

  /** An answer of the server, within the time after which it counts as lost. */
  #answer<T>(asked: Promise<T>): Promise<T> {
    return within(this.#context, this.#config.heartbeat, asked);
  }

  /** Looks for mails once and hands over what there is room for. Resolves with what is wrong, if anything. */
  async #poll(session: Session): Promise<string | undefined> {
    const { client, validity, over } = session;
    for (const name of this.#ends.keys()) await this.#end(name);
    const found = await this.#answer(client.search({ seen: false, deleted: false }, { uid: true }));
    if (!Array.isArray(found)) throw new CodedError("MF_IMAP_REFUSED", `${this.#peer} refused to search the ${this.#place}`);
    const unread: string[] = [];
    for (const uid of [...found].sort((a, b) => a - b)) {
      const name = `${validity}-${uid}`;
      if (this.#files.has(name) || this.#ends.has(name)) continue;
      if (!(await this.#files.untilRoom(over)) || this.#unended >= imapLimits.unended) break;
      if (!(await this.#take(session, uid, name))) unread.push(name);
    }
    const unmoved = this.#unended;
    if (unmoved > 0) return `MF_IMAP_MOVE: ${unmoved} finished mails can't be flagged or moved`;
    return unread.length === 0 ? undefined : `MF_IMAP_READ: ${unread.length} mails can't be read, ${unread[0]} among them`;
  }

  /** Mails whose end has failed so far. */
  get #unended(): number {
    let count = 0;
    for (const { failed } of this.#ends.values()) if (failed) count += 1;
    return count;
  }

  /** Reads a mail and hands it over. False if it can't be read. */
  async #take(session: Session, uid: number, name: string): Promise<boolean> {
    const mail = await this.#list(session, uid, name);
    if (mail === undefined) return true; // it is gone
    const heldBytes = this.#config.body === "raw" ? mail.bytes : mail.bytes * imapLimits.parseShare;
    const { uploads } = this.#context.memory;
    const limit = mail.bytes > this.#config.maxSize ? "maxSize" : heldBytes > uploads.largestBytes ? "`memory` allows" : undefined;
    if (limit !== undefined) {
      await this.#poison(mail, "MF_IMAP_LIMIT", `the mail has ${mail.bytes} bytes, more than ${limit}`);
      return true;
    }
    if (!uploads.tryTake(heldBytes)) {
      this.#files.refuse(gatewayLimits.retryAfterMs);
      return true;
    }
    let incoming: Incoming & ReadBody;
    try {
      incoming = await this.#incoming(session, mail);
    } catch (error) {
      return await this.#unread(session, mail, error);
    } finally {
      uploads.give(heldBytes); // the flow's queue takes them
    }
    await this.#files.handOver(name, this.#accept, incoming, (outcome) => this.#settle(mail, outcome));
    return true;
  }

  async #list({ client }: Session, uid: number, name: string): Promise<Listed | undefined> {
    // No ENVELOPE: the server writes one as long as the mail's author likes, and an answer beyond the bounds ends the connection.
    const query = { uid: true, size: true, internalDate: true };
    const found: FetchMessageObject | false = await this.#answer(client.fetchOne(String(uid), query, { uid: true }));
    if (found === false) return undefined;
    const { size: bytes = 0, internalDate } = found;
    const at = new Date(internalDate ?? Number.NaN);
    return { uid, name, bytes, date: Number.isNaN(at.getTime()) ? "" : at.toISOString() };
  }

  /** The mail's bytes; some servers count them wrongly, so that `maxSize` counts here too. */
  async #read({ client, over }: Session, { uid }: Listed): Promise<Uint8Array> {
    const { content } = await this.#answer(
      client.download(String(uid), undefined, { uid: true, chunkSize: imapLimits.pieceBytes, maxBytes: this.#config.maxSize + 1 }),
    );
    if (content === undefined) throw new Error("the server has no content of it");
    const pieces: Uint8Array[] = [];
    let bytes = 0;
    const next = content[Symbol.asyncIterator]() as AsyncIterator<Uint8Array>;
    const answered: AsyncIterable<Uint8Array> = { [Symbol.asyncIterator]: () => ({ next: () => this.#answer(next.next()) }) };
    try {
      for await (const piece of inTime(answered, this.#context.clock)) {
        over.throwIfAborted();
        bytes += piece.length;
        if (bytes > this.#config.maxSize) throw new Malformed(`it has more bytes than maxSize`);
        pieces.push(piece);
      }
    } finally {
      content.destroy();
    }
    const whole = new Uint8Array(bytes);
    let at = 0;
    for (const piece of pieces) {
      whole.set(piece, at);
      at += piece.length;
    }
    return whole;
  }

  /** Rejects with Malformed, with TooSlow, as the connection does, or with the body store's CodedError. */
  async #incoming(session: Session, mail: Listed): Promise<Incoming & ReadBody> {
    const { mailbox, body: form } = this.#config;
    const raw = await this.#read(session, mail);
    const correlationId = messageIdOf(raw);
    const id = this.#idOf(mail, correlationId ?? "");
    const parts = form === "raw" ? { contentType: "message/rfc822", body: raw, headers: [] } : await this.#parts(raw);
    const check = this.#context.longBodies?.();
    const isLong = check !== undefined && parts.body.length > check.thresholdBytes;
    const place: readonly (readonly [string, string])[] = [
      ["mail-mailbox", mailbox],
      ["mail-uid", mail.name],
      ["mail-received", mail.date],
    ];
    return {
      id,
      headers: headersOf([...parts.headers, ...place], this.#context),
      contentType: parts.contentType,
      ...(correlationId === undefined ? {} : { correlationId }),
      replyWanted: false,
      keeper: "source",
      body: isLong ? new Uint8Array(0) : parts.body,
      storedBody: isLong ? await check.store.stage(piecesOf(parts.body)) : undefined,
    };
  }

  async #parts(raw: Uint8Array) {
    const parsed = await this.#parser.parse(raw);
    if ("problem" in parsed) throw new Malformed(parsed.problem);
    return parsed.form;
  }

  /**
   * UIDVALIDITY and UID name a mail while its mailbox lives. A mailbox that was made again begins with UID 1, and some servers give it the
   * UIDVALIDITY of before: what the mail says of itself tells the two apart.
   */
  #idOf({ name, date, bytes }: Listed, messageId: string): string {
    const text = JSON.stringify([this.#config.mailbox, messageId, date, bytes]);
    return `${name}-${createHash("sha256").update(text).digest("base64url").slice(0, 22)}`;
  }

  /** True where the mail needs no second look. */
  async #unread(session: Session, mail: Listed, error: unknown): Promise<boolean> {
    if (session.over.aborted) return true;
    if (error instanceof Malformed) {
      await this.#poison(mail, "MF_IMAP_MALFORMED", `the mail can't be taken apart: ${error.message}`);
      return true;
    }
    if (isCoded(error)) {
      this.#files.refuse(gatewayLimits.bodySweepMs.least); // the body store has no room
      this.#context.logger.error({ file: mail.name, code: error.code }, error.message);
      return true;
    }
    if (!(error instanceof TooSlow)) throw error;
    this.#files.tellOnce(`unread ${mail.name}`, "MF_IMAP_READ", `the mail can't be read: ${error.message}`, mail.name);
    return false;
  }

  /** Treats a mail that never becomes a message as failed. */
  async #poison({ uid, name }: Listed, code: string, why: string): Promise<void> {
    this.#context.logger.error({ file: name, code }, `${why}: it goes to ${this.#config.failed}`);
    this.#ends.set(name, { uid, how: "failed", busy: false, failed: false });
    await this.#end(name);
  }

  async #settle({ uid, name }: Listed, outcome: Ended): Promise<void> {
    this.#ends.set(name, { uid, how: outcome.status === "dead" ? "failed" : "done", busy: false, failed: false });
    await this.#end(name);
  }

  /** Flags or moves a mail whose message has ended. If that fails it is tried again with the next poll. */
  async #end(name: string): Promise<void> {
    const end = this.#ends.get(name);
    const session = this.#link.session;
    if (end === undefined || end.busy || session === undefined || !name.startsWith(`${session.validity}-`)) return;
    end.busy = true;
    try {
      if (!(await this.#carryOut(session, end))) {
        this.#context.metrics.count("taken");
        const text = "the mail is gone: somebody moved it while its message was worked on";
        this.#context.logger.warn({ file: name, code: "MF_IMAP_TAKEN" }, text);
      }
      this.#ends.delete(name);
      this.#files.forget(`unended ${name}`);
    } catch (error) {
      end.failed = true;
      if (!session.client.usable) return; // the link tells
      const text = `the mail is finished but can't be flagged or moved: ${this.#explain(error).message}`;
      this.#files.tellOnce(`unended ${name}`, "MF_IMAP_MOVE", text, name);
    } finally {
      end.busy = false;
    }
  }

  /** False for a mail that is gone. */
  async #carryOut({ client }: Session, { uid, how }: End): Promise<boolean> {
    const { done, failed } = this.#config;
    const [range, uids] = [String(uid), { uid: true }];
    await this.#answer(client.noop()); // what others did meanwhile is told now
    if ((await this.#answer(client.fetchOne(range, uids, uids))) === false) return false;
    if (how === "done" && !(await this.#answer(client.messageFlagsAdd(range, ["\\Seen"], uids))))
      throw new Error("the server refused to flag it as seen");
    const to = how === "failed" ? failed : done;
    if (to !== undefined && (await this.#answer(client.messageMove(range, to, uids))) === false)
      throw new Error(`the server refused to move it to ${to}`);
    return true;
  }
}

async function* piecesOf(body: Uint8Array): AsyncGenerator<Uint8Array> {
  yield body;
}

export const imapSource: SourceDefinition<ImapSourceConfig> = {
  isSingle: () => true,
  name: "imap",
  summary: "Unseen mails of an IMAP mailbox, one message each.",
  description: `At least once. A mail is flagged as seen, and moved to \`done\` if that is set, only after its effects are committed.

- **Client**: \`npm install imapflow@2 postal-mime@4\` beside Mayfly; without them the source says \`MF_IMAP_CLIENT\`.
- **New mails**: told by the server (IDLE), and looked for \`every\` so often. Oldest first. What somebody reads or deletes meanwhile is theirs.
- **Body**: a form (\`multipart/form-data\`) for \`msg.form()\`: \`fields.text\`, \`fields.html\`, and each attachment as a file \`attachment\` with name and type. \`body: raw\` is the
  mail itself, \`message/rfc822\`.
- **Headers**: \`mail-from\`, \`mail-to\`, \`mail-cc\`, \`mail-reply-to\` (addresses alone), \`mail-from-name\`, \`mail-subject\`, \`mail-date\`, \`mail-message-id\`, \`mail-in-reply-to\`,
  \`mail-references\`; and \`mail-mailbox\`, \`mail-uid\`, \`mail-received\`, which the server says, also with \`body: raw\`. The others are what the sender says: a mail proves nothing about who sent it.
- **Correlation id**: the mail's \`Message-ID\`.
- **Duplicates** are recognised by UIDVALIDITY and UID, together with \`Message-ID\`, date and size: mails of a mailbox that was made again are new ones.
- **Failed**: a mail whose message failed for good goes to \`failed\`, unseen; so do mails beyond \`maxSize\` (\`MF_IMAP_LIMIT\`) and those that can't be taken apart within ten seconds
  (\`MF_IMAP_MALFORMED\`), which happens in a process of its own. \`MF_IMAP_TAKEN\` is logged for a mail that somebody moved while it was worked on. \`done\` and \`failed\` are created if missing, and are other mailboxes than \`mailbox\` (\`MF_IMAP_PLACE\`).
- **One gateway for a mailbox**: a second one would take the same mails. Each mailbox is a source.
- **TLS**: \`imaps://\`, or STARTTLS, without which nobody logs in unless \`requireTls\` is false.
- **Errors** (retried with backoff, shown by \`/ready\`): \`MF_IMAP_UNREACHABLE\`, \`MF_IMAP_AUTH\`, \`MF_IMAP_TLS\`, \`MF_IMAP_MAILBOX\`, \`MF_IMAP_REFUSED\`, \`MF_IMAP_READ\`, \`MF_IMAP_MOVE\`. While
  100 finished mails can't be moved no others are taken.`,
  schema: {
    type: "object",
    additionalProperties: false,
    required: ["url"],
    properties: {
      ...imapSchema,
      mailbox: { type: "string", minLength: 1, default: "INBOX", description: "Mailbox to read." },
      done: { type: "string", minLength: 1, description: "Mailbox for completed mails; without it they stay, flagged as seen." },
      failed: { type: "string", minLength: 1, default: "Failed", description: "Mailbox for mails whose message failed for good." },
      body: { enum: ["form", "raw"], default: "form", description: "form: text and attachments as a form. raw: the mail as it is." },
      every: duration("Interval between looks at the mailbox, beside what the server tells.", "1m"),
      maxSize: size("Maximum size of a mail; longer ones are moved to `failed`.", "25MiB"),
    },
  },
  example: `imap: { url: "imaps://imap.example.com", username: orders@example.com, password: "\${MAIL_PASSWORD}", done: Done }`,
  create: (config, context) => new ImapSource(config, context),
};
