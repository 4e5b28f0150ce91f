/** Into files. */
import { randomBytes } from "node:crypto";
import { open, rename, rm } from "node:fs/promises";
import { dirname, join, resolve, sep } from "node:path";
import type { Readable } from "node:stream";
import { CodedError } from "#base";
import {
  type Attempt,
  finalBodyError,
  type Health,
  makeFolder,
  type Outgoing,
  type Outlet,
  type OutletContext,
  type OutletDefinition,
  OutletError,
  syncFolder,
} from "#gateway/contract";
import { type CloudEventsConfig, emitCloudEvent, structuredCloudEventsSchema } from "../shared/cloudevents/write.ts";
import { type NameTemplate, nameTemplate } from "../shared/file-name.ts";

export interface FileOutletConfig {
  readonly dir: string;
  readonly name: string;
  readonly append: boolean;
  readonly sync: boolean;
  readonly mode: string;
  readonly cloudevents?: CloudEventsConfig;
}

class FileOutlet implements Outlet {
  readonly #config: FileOutletConfig;
  readonly #dir: string;
  readonly #name: NameTemplate;
  readonly #mode: number;
  #trouble: string | undefined;

  constructor(config: FileOutletConfig, context: OutletContext) {
    this.#config = config;
    this.#dir = resolve(context.base, config.dir);
    const name = nameTemplate(config.name);
    if (!name.ok) throw new CodedError("MF_FILE_NAME", `name: ${name.error}`);
    this.#name = name.value;
    this.#mode = Number.parseInt(config.mode, 8);
  }

  /** A structured event has its data in it, and a line is written at once. */
  get streams(): boolean {
    return !this.#config.append && this.#config.cloudevents === undefined;
  }

  async send(message: Outgoing, { idempotencyKey, signal }: Attempt): Promise<void> {
    const path = resolve(this.#dir, this.#name(message, idempotencyKey));
    if (!path.startsWith(this.#dir + sep))
      throw new OutletError("MF_PATH_REFUSED", "the file's name points outside the outlet's folder: correct `name`, or the value in it", {
        retryable: false,
      });
    try {
      await makeFolder(dirname(path), folderMode(this.#mode), this.#config.sync);
      const { append, cloudevents } = this.#config;
      const { body } = cloudevents === undefined ? message : emitCloudEvent(message, idempotencyKey, cloudevents);
      await (append ? this.#append(path, body) : this.#write(path, message.storedBody?.open() ?? [body], signal));
      this.#trouble = undefined;
    } catch (cause) {
      const final = finalBodyError(cause);
      if (final !== undefined) throw final;
      this.#trouble = cause instanceof Error ? cause.message : String(cause);
      throw new OutletError("MF_FILE_WRITE", `cannot write the file: ${this.#trouble}`, { retryable: true, cause });
    }
  }

  health(): Health {
    return this.#trouble === undefined
      ? { ready: true, detail: `writing to ${this.#config.dir}` }
      : { ready: false, detail: `MF_FILE_WRITE: ${this.#trouble}` };
  }

  async stop(): Promise<void> {}

  /** All of the file or none of it: written beside, then renamed. */
  async #write(path: string, pieces: Readable | readonly Uint8Array[], signal: AbortSignal): Promise<void> {
    const temporary = join(dirname(path), `.${randomBytes(6).toString("hex")}.tmp`);
    try {
      const file = await open(temporary, "wx", 0o600);
      try {
        await file.chmod(this.#mode); // regardless of the process's umask
        for await (const piece of pieces as AsyncIterable<Uint8Array>) {
          signal.throwIfAborted(); // nobody waits for the rest of a long body
          await file.writeFile(piece);
        }
        if (this.#config.sync) await file.datasync();
      } finally {
        await file.close();
      }
      await rename(temporary, path);
      if (this.#config.sync) await syncFolder(dirname(path)); // otherwise a power failure may lose the name, and the file with it
    } catch (error) {
      await rm(temporary, { force: true }).catch(() => undefined);
      throw error;
    }
  }

  async #append(path: string, body: Uint8Array): Promise<void> {
    const line = body.at(-1) === 10 ? body : Buffer.concat([body, Buffer.from("\n")]);
    const file = await open(path, "a", this.#mode);
    try {
      if ((await file.stat()).size === 0) await file.chmod(this.#mode);
      await file.writeFile(line);
      if (this.#config.sync) await file.sync();
    } finally {
      await file.close();
    }
  }
}

/** Adds the right to enter a folder for everyone who may read its files. */
function folderMode(mode: number): number {
  return mode | ((mode & 0o444) >> 2);
}

export const fileOutlet: OutletDefinition<FileOutletConfig> = {
  name: "file",
  summary: "Into files.",
  description: `One file per send, written under a temporary name and then renamed, so readers never see half of it. The name comes from a template and is the same for every attempt at one send, so a second attempt replaces the first.
Variables: \`{id}\` (of this send, unique), \`{message}\` (the message's id), \`{date}\`, \`{hour}\`, \`{time}\` (UTC, when the flow completed), \`{flow}\`, \`{outlet}\`, \`{key}\`, \`{header:NAME}\`. Their values are
made safe: no name leads out of \`dir\`, and different values give different names. A value that must be changed, because of a character, its length or a separator of the template in it, ends with \`~\` and a hash. With \`append: true\` sends become lines of one file instead; after a crash a line may be there twice.`,
  answers: false,
  schema: {
    type: "object",
    additionalProperties: false,
    required: ["dir"],
    properties: {
      dir: { type: "string", minLength: 1, description: "Folder, relative to mayfly.yaml. Created if missing." },
      name: {
        type: "string",
        minLength: 1,
        default: "{date}/{id}",
        description: "Template of the file's name.",
        examples: ["{date}/{id}.json"],
      },
      append: { type: "boolean", default: false, description: "Append a line to the file instead." },
      mode: {
        type: "string",
        pattern: "^0[0-7]{3}$",
        patternErrorMessage: 'must be an octal mode such as "0640", in quotes',
        default: "0600",
        description:
          "Permissions of the files, regardless of the umask. Created folders can be entered by everyone who may read the files.",
        examples: ["0640"],
      },
      sync: { type: "boolean", default: true, description: "Wait until the bytes are on disk." },
      cloudevents: structuredCloudEventsSchema,
    },
  },
  example: 'file: { dir: ./audit, name: "{date}/{id}.json" }',
  create: (config, context) => new FileOutlet(config, context),
};
