/** Into files of an SFTP server; requests list and read them. */
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
  type OutletDefinition,
  OutletError,
  type OutletRequest,
} from "#gateway/contract";
import { type CloudEventsConfig, emitCloudEvent, structuredCloudEventsSchema } from "../shared/cloudevents/write.ts";
import { contentTypeOf } from "../shared/dropped-files.ts";
import { type NameTemplate, nameTemplate } from "../shared/file-name.ts";
import { Link, unlessAborted } from "../shared/link.ts";
import { explainSftp, openSftp, type SftpConfig, sftpLogin, sftpPeer, sftpRequired, sftpSchema } from "./client.ts";
import { sftpLimits } from "./limits.ts";
import { isMissing, ReadAgain, type Remote, statusOf } from "./remote.ts";

export interface SftpOutletConfig extends SftpConfig {
  readonly dir: string;
  readonly name: string;
  readonly append: boolean;
  readonly cloudevents?: CloudEventsConfig;
}

class SftpOutlet implements Outlet {
  readonly #config: SftpOutletConfig;
  readonly #name: NameTemplate;
  readonly #link: Link<Remote>;
  /** The last append to each file that is under way: their pieces must not mix. */
  readonly #appends = new Map<string, Promise<void>>();

  constructor(config: SftpOutletConfig, context: OutletContext) {
    this.#config = config;
    const name = nameTemplate(config.name);
    if (!name.ok) throw new CodedError("MF_SFTP_NAME", `name: ${name.error}`);
    this.#name = name.value;
    this.#link = new Link<Remote>({
      context,
      peer: `${sftpPeer(config)} folder ${config.dir}`,
      explain: (error) => this.#explain(error),
      async open(opening) {
        const remote = await openSftp(config, context, opening);
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
    if (ask === undefined) throw final("MF_SFTP_METHOD", "method must be list, get or exists");
    try {
      return await unlessAborted(signal, ask(this.#link.need(), path, signal));
    } catch (error) {
      throw this.#failure(error);
    }
  }

  /** Below `dir`, whatever the flow made it of. */
  #pathOf(path: string, isFolder: boolean): string {
    const parts = path.split("/");
    const stays = parts.every((part) => part !== "" && part !== "." && part !== ".." && !part.includes("\0"));
    if (path === "" && isFolder) return this.#config.dir;
    if (!stays) throw final("MF_PATH_REFUSED", "path must be one below the outlet's dir, without empty parts, . or ..");
    return join(this.#config.dir, path);
  }

  /** All of the file or none of it: written beside, then renamed. */
  async #write(remote: Remote, path: string, pieces: AsyncIterable<Uint8Array> | Iterable<Uint8Array>, signal: AbortSignal): Promise<void> {
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

  async #append(remote: Remote, path: string, body: Uint8Array, signal: AbortSignal): Promise<void> {
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
    return explainSftp(sftpPeer(this.#config), `folder ${this.#config.dir}`, error);
  }

  #failure(error: unknown): OutletError {
    if (error instanceof OutletError) return error;
    const { code, message } = this.#explain(error);
    const told = statusOf(error) === undefined ? code : "MF_SFTP_WRITE";
    return new OutletError(told, message, { retryable: true, cause: error });
  }
}

function final(code: string, message: string, status = 0): OutletError {
  return new OutletError(code, message, { retryable: false, status });
}

function json(value: unknown): Answer {
  return { status: 200, contentType: "application/json", headers: {}, body: Buffer.from(JSON.stringify(value)) };
}

const timeOf = (seconds: number): string => new Date(seconds * 1000).toISOString();

async function exists(remote: Remote, path: string): Promise<Answer> {
  const entry = await remote.stat(path, true);
  return json(entry === undefined ? { exists: false } : { exists: true, kind: entry.kind, size: entry.size, time: timeOf(entry.mtime) });
}

async function list(remote: Remote, path: string): Promise<Answer> {
  try {
    const entries = await remote.list(path, ({ name }) => !name.startsWith("."), sftpLimits.entriesPerAnswer + 1);
    if (entries.length > sftpLimits.entriesPerAnswer)
      throw final("MF_ANSWER_LIMIT", `the folder has more than ${sftpLimits.entriesPerAnswer} entries: list the folders in it`);
    entries.sort((a, b) => (a.name < b.name ? -1 : 1));
    return json(entries.map(({ name, kind, size, mtime }) => ({ name, kind, size, time: timeOf(mtime) })));
  } catch (error) {
    throw isMissing(error) ? final("MF_SFTP_NO_FILE", "there is no such folder: ask exists first", 404) : error;
  }
}

async function get(remote: Remote, path: string, signal: AbortSignal): Promise<Answer> {
  const entry = await remote.stat(path, true);
  if (entry?.kind !== "file") throw final("MF_SFTP_NO_FILE", "there is no such file: ask exists first", 404);
  if (entry.size > gatewayLimits.answerBytes)
    throw final("MF_ANSWER_LIMIT", `the file has ${entry.size} bytes, more than ${gatewayLimits.answerBytes}`);
  const pieces: Uint8Array[] = [];
  try {
    for await (const piece of remote.read(path, entry.size, () => !signal.aborted)) pieces.push(piece);
  } catch (error) {
    if (isMissing(error) || error instanceof ReadAgain) throw changed();
    throw error;
  }
  const after = await remote.stat(path, true);
  if (after?.size !== entry.size || after.mtime !== entry.mtime) throw changed();
  const headers = { "mayfly-file-size": String(entry.size), "mayfly-file-time": timeOf(entry.mtime) };
  return { status: 200, contentType: contentTypeOf(path), headers, body: Uint8Array.from(Buffer.concat(pieces)) };
}

const changed = (): OutletError =>
  new OutletError("MF_SFTP_CHANGED", "the file was changed while it was read: ask again when it is complete", { retryable: true });

export const sftpOutlet: OutletDefinition<SftpOutletConfig> = {
  name: "sftp",
  summary: "Into files of an SFTP server.",
  description: `A message counts as sent when its file is written, synced (where the server has \`fsync@openssh.com\`) and renamed.

- **Client**: \`npm install ssh2@1\` beside Mayfly; without it the outlet says \`MF_SFTP_CLIENT\`.
- **Files** are written under a temporary name (\`.RANDOM.tmp\`) and then renamed, so that readers never see half of one; an existing file is replaced
  in one step where the server has \`posix-rename@openssh.com\`, else it is removed before. A lost connection may leave the temporary file behind.
- **Names** come from a template and are the same for every attempt at one send: a second attempt replaces the first. Variables: \`{id}\` (of this
  send, unique), \`{message}\`, \`{date}\`, \`{hour}\`, \`{time}\` (UTC, when the flow completed), \`{flow}\`, \`{outlet}\`, \`{key}\`, \`{header:NAME}\`. Their
  values are made safe: no name leads out of \`dir\`, and different values give different names. Missing folders are created.
- **\`append: true\`**: sends become lines of one file instead. After a lost connection a line may be there twice, or cut short on a line of its own.
- **Requests**: \`request(undefined, { method: "get", path: "2026/a.csv" })\` answers with the file, at most 16 MiB; \`list\` with a folder's entries as JSON
  (\`name\`, \`kind\`, \`size\`, \`time\`; no hidden ones); \`exists\` with \`{ exists, kind, size, time }\`. A path leads to no place outside \`dir\`, unless a symbolic
  link of the server does (\`MF_PATH_REFUSED\`). What is not there is \`MF_SFTP_NO_FILE\`.
- **Errors**: those of the source; \`MF_SFTP_WRITE\` when the server refuses to write or read.`,
  answers: true,
  schema: {
    type: "object",
    additionalProperties: false,
    required: sftpRequired,
    anyOf: sftpLogin,
    properties: {
      ...sftpSchema,
      dir: { type: "string", minLength: 1, description: "Folder, absolute or relative to the login's own. Created if missing." },
      name: {
        type: "string",
        minLength: 1,
        default: "{date}/{id}",
        description: "Template of the file's name.",
        examples: ["{date}/{id}.json"],
      },
      append: { type: "boolean", default: false, description: "Append a line to the file instead." },
      cloudevents: structuredCloudEventsSchema,
    },
  },
  example: `sftp: { host: files.example.com, user: mayfly, password: "\${SFTP_PASSWORD}", hostKey: "SHA256:nThbg6kXUpJWGl7E1IGOCspRomTxdCARLviKw6E5SY8", dir: /outbox, name: "{date}/{id}.json" }`,
  create: (config, context) => new SftpOutlet(config, context),
};
