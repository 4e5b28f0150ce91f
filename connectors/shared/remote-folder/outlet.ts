/** Into files of a file server; requests list and read them. SFTP and FTP bring the protocol. */
import { randomBytes } from "node:crypto";
import { dirname, join } from "node:path/posix";
import { headerText } from "#abi";
import { CodedError } from "#base";
import {
  type Answer,
  type Attempt,
  finalBodyError,
  gatewayLimits,
  type Health,
  type Outgoing,
  type Outlet,
  type OutletContext,
  OutletError,
  type OutletRequest,
} from "#gateway/contract";
import { emitCloudEvent } from "../cloudevents/write.ts";
import { contentTypeOf } from "../dropped-files.ts";
import { type NameTemplate, nameTemplate } from "../file-name.ts";
import { Link, unlessAborted } from "../link.ts";
import { folderLimits } from "./limits.ts";
import { type Entry, type FolderProtocol, type Pieces, ReadAgain, type RemoteFolder } from "./port.ts";
import type { FolderOutletConfig } from "./schema.ts";

export class FolderOutlet implements Outlet {
  readonly #config: FolderOutletConfig;
  readonly #protocol: FolderProtocol;
  readonly #name: NameTemplate;
  readonly #link: Link<RemoteFolder>;
  /** The last append to each file that is under way: their pieces must not mix. */
  readonly #appends = new Map<string, Promise<void>>();

  constructor(config: FolderOutletConfig, context: OutletContext, protocol: FolderProtocol) {
    this.#protocol = protocol;
    this.#config = config;
    const name = nameTemplate(config.name);
    if (!name.ok) throw new CodedError(protocol.codes.name, `name: ${name.error}`);
    this.#name = name.value;
    this.#link = new Link<RemoteFolder>({
      context,
      peer: `${protocol.peer} folder ${config.dir}`,
      explain: (error) => this.#explain(error),
      async open(opening) {
        const remote = await protocol.open(opening);
        await remote.makeFolder(config.dir);
        return remote;
      },
    });
  }

  /** A structured event has its data in it, and a line is written at once. */
  get streams(): boolean {
    return !this.#config.append && this.#config.cloudevents === undefined;
  }

  start(): Promise<void> {
    return this.#link.start();
  }

  health(): Health {
    return this.#link.health();
  }

  stop(): Promise<void> {
    return this.#link.stop();
  }

  async send(message: Outgoing, { idempotencyKey, signal }: Attempt): Promise<void> {
    const remote = this.#link.need();
    const path = join(this.#config.dir, this.#name(message, idempotencyKey));
    const { append, cloudevents } = this.#config;
    const { body } = cloudevents === undefined ? message : emitCloudEvent(message, idempotencyKey, cloudevents);
    const writing = append
      ? this.#append(remote, path, body, signal)
      : this.#write(remote, path, message.storedBody?.open() ?? [body], signal);
    try {
      await unlessAborted(signal, writing);
    } catch (error) {
      throw finalBodyError(error) ?? this.#failure(error);
    }
  }

  async request(request: OutletRequest, { signal }: Attempt): Promise<Answer> {
    const method = request.method.toLowerCase();
    const path = this.#pathOf(headerText(request.headers[":path"]) ?? "", method === "list");
    const ask = method === "list" ? list : method === "exists" ? exists : method === "get" ? get : undefined;
    if (ask === undefined) throw final(this.#protocol.codes.method, "method must be list, get or exists");
    try {
      return await unlessAborted(signal, ask({ remote: this.#link.need(), protocol: this.#protocol, path, signal }));
    } catch (error) {
      throw this.#failure(error);
    }
  }

  /** Below `dir`, whatever the flow made it of. */
  #pathOf(path: string, isFolder: boolean): string {
    const parts = path.split("/");
    const stays = parts.every((part) => part !== "" && part !== "." && part !== ".." && !this.#protocol.forbidden.test(part));
    if (path === "" && isFolder) return this.#config.dir;
    if (!stays) throw final("MF_PATH_REFUSED", "path must be one below the outlet's dir, without empty parts, . or ..");
    return join(this.#config.dir, path);
  }

  /** All of the file or none of it: written beside, then renamed. */
  async #write(remote: RemoteFolder, path: string, pieces: Pieces, signal: AbortSignal): Promise<void> {
    await remote.makeFolder(dirname(path));
    const temporary = join(dirname(path), `.${randomBytes(6).toString("hex")}.tmp`);
    try {
      await remote.write(temporary, pieces, signal);
      await remote.replace(temporary, path);
    } catch (error) {
      await remote.remove(temporary).catch(() => {});
      throw error;
    }
  }

  async #append(remote: RemoteFolder, path: string, body: Uint8Array, signal: AbortSignal): Promise<void> {
    const line = body.at(-1) === 10 ? body : Buffer.concat([body, Buffer.from("\n")]);
    const before = this.#appends.get(path);
    const appending = (async () => {
      await before?.catch(() => {});
      await remote.makeFolder(dirname(path));
      await remote.append(path, line, signal);
    })();
    this.#appends.set(path, appending);
    try {
      await appending;
    } finally {
      if (this.#appends.get(path) === appending) this.#appends.delete(path);
    }
  }

  #explain(error: unknown): CodedError {
    return this.#protocol.explain(`folder ${this.#config.dir}`, error);
  }

  #failure(error: unknown): OutletError {
    if (error instanceof OutletError) return error;
    const { code, message } = this.#explain(error);
    const told = this.#protocol.isRefusal(error) ? this.#protocol.codes.write : code;
    return new OutletError(told, message, { retryable: true, cause: error });
  }
}

function final(code: string, message: string, status = 0): OutletError {
  return new OutletError(code, message, { retryable: false, status });
}

function json(value: unknown): Answer {
  return { status: 200, contentType: "application/json", headers: {}, body: Buffer.from(JSON.stringify(value)) };
}

interface Question {
  readonly remote: RemoteFolder;
  readonly protocol: FolderProtocol;
  readonly path: string;
  readonly signal: AbortSignal;
}

const isoOf = (seconds: number): string => new Date(seconds * 1000).toISOString();
/** A time that is known. */
const timeOf = ({ mtime, roughTime }: Entry): { readonly time?: string } => (roughTime === true ? {} : { time: isoOf(mtime) });

async function exists({ remote, path }: Question): Promise<Answer> {
  const entry = await remote.stat(path, true);
  return json(entry === undefined ? { exists: false } : { exists: true, kind: entry.kind, size: entry.size, ...timeOf(entry) });
}

async function list({ remote, protocol, path }: Question): Promise<Answer> {
  try {
    const entries = await remote.list(path, ({ name }) => !name.startsWith("."), folderLimits.entriesPerAnswer + 1);
    if (entries.length > folderLimits.entriesPerAnswer)
      throw final("MF_ANSWER_LIMIT", `the folder has more than ${folderLimits.entriesPerAnswer} entries: list the folders in it`);
    entries.sort((a, b) => (a.name < b.name ? -1 : 1));
    return json(entries.map((entry) => ({ name: entry.name, kind: entry.kind, size: entry.size, ...timeOf(entry) })));
  } catch (error) {
    throw protocol.isMissing(error) ? final(protocol.codes.noFile, "there is no such folder: ask exists first", 404) : error;
  }
}

async function get({ remote, protocol, path, signal }: Question): Promise<Answer> {
  const entry = await remote.stat(path, true);
  if (entry?.kind !== "file") throw final(protocol.codes.noFile, "there is no such file: ask exists first", 404);
  if (entry.size > gatewayLimits.answerBytes)
    throw final("MF_ANSWER_LIMIT", `the file has ${entry.size} bytes, more than ${gatewayLimits.answerBytes}`);
  const pieces: Uint8Array[] = [];
  try {
    for await (const piece of remote.read(path, entry.size, () => !signal.aborted)) pieces.push(piece);
  } catch (error) {
    if (protocol.isMissing(error) || error instanceof ReadAgain) throw changed(protocol);
    throw error;
  }
  const after = await remote.stat(path, true);
  if (after?.size !== entry.size || after.mtime !== entry.mtime) throw changed(protocol);
  const headers = { "mayfly-file-size": String(entry.size), "mayfly-file-time": isoOf(entry.mtime) };
  return { status: 200, contentType: contentTypeOf(path), headers, body: Uint8Array.from(Buffer.concat(pieces)) };
}

const changed = ({ codes }: FolderProtocol): OutletError =>
  new OutletError(codes.changed, "the file was changed while it was read: ask again when it is complete", { retryable: true });
