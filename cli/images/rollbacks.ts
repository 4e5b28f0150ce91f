/**
 * Flows that were put back to an image (`mayfly rollback`), in `PROJECT/.mayfly/rollbacks.json`: they run it, whatever their source is built
 * to, until the next deploy: until the source is built to an image other than the one that was put back.
 */
import { mkdir, readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import { CodedError } from "#base";
import { loadImage } from "#image";
import { userName } from "../user.ts";
import { namedImage, writeWhole } from "./store.ts";

export interface Rollback {
  /** The image that runs, and the one it replaces; 64 hexadecimal digits. */
  readonly image: string;
  readonly replaces: string;
  /** Milliseconds since 1970. */
  readonly at: number;
  readonly by: string;
}

const digits = /^[0-9a-f]{64}$/;

function isRollback(value: unknown): value is Rollback {
  const { image, replaces, at, by } = (value ?? {}) as Record<string, unknown>;
  return digits.test(String(image)) && digits.test(String(replaces)) && typeof at === "number" && typeof by === "string";
}

export class Rollbacks {
  readonly #project: string;
  readonly #path: string;
  #flows = new Map<string, Rollback>();
  #writing: Promise<void> = Promise.resolve();

  constructor(project: string) {
    this.#project = project;
    this.#path = join(project, ".mayfly", "rollbacks.json");
  }

  /** Rejects with MF_ROLLBACK_FILE: flows that somebody put back must not run what they were put back from. */
  async read(): Promise<void> {
    const text = await readFile(this.#path, "utf8").catch((error: NodeJS.ErrnoException) => {
      if (error.code === "ENOENT") return "{}";
      throw this.#unreadable(error);
    });
    let flows: [string, unknown][];
    try {
      flows = Object.entries(JSON.parse(text) as object);
    } catch (error) {
      throw this.#unreadable(error);
    }
    if (!flows.every(([, value]) => isRollback(value))) throw this.#unreadable(new Error("an entry is malformed"));
    this.#flows = new Map(flows as [string, Rollback][]);
  }

  of(flow: string): Rollback | undefined {
    return this.#flows.get(flow);
  }

  /** `image`: `sha256:DIGITS` of the store. `running`: the flow's image now. Rejects with MF_IMAGE_NOT_FOUND or MF_ROLLBACK_REFUSED. */
  async set(flow: string, image: string, { running, at }: { readonly running: string; readonly at: number }): Promise<Rollback> {
    const { manifest, sha256 } = await loadImage(await namedImage(this.#project, image.replace(/^sha256:/, "")));
    if (manifest.name !== flow)
      throw new CodedError(
        "MF_ROLLBACK_REFUSED",
        `sha256:${sha256.slice(0, 12)} is an image of the flow ${manifest.name}, not of ${flow}: list images with \`mayfly images ls --flow ${flow}\``,
      );
    if (sha256 === running)
      throw new CodedError("MF_ROLLBACK_REFUSED", `the flow ${flow} runs sha256:${sha256.slice(0, 12)} already: choose another image`);
    const rollback = { image: sha256, replaces: this.#flows.get(flow)?.replaces ?? running, at, by: userName() };
    await this.put(flow, rollback);
    return rollback;
  }

  /** Undefined: the flow runs again what its source is built to. */
  async put(flow: string, rollback: Rollback | undefined): Promise<void> {
    if (rollback === undefined) this.#flows.delete(flow);
    else this.#flows.set(flow, rollback);
    this.#writing = this.#writing.catch(() => undefined).then(() => this.#write());
    await this.#writing;
  }

  async #write(): Promise<void> {
    if (this.#flows.size === 0) return await rm(this.#path, { force: true });
    await mkdir(join(this.#project, ".mayfly"), { recursive: true });
    await writeWhole(this.#path, `${JSON.stringify(Object.fromEntries(this.#flows), undefined, 2)}\n`);
  }

  #unreadable(cause: unknown): CodedError {
    return new CodedError(
      "MF_ROLLBACK_FILE",
      `${this.#path} can't be read (${cause instanceof Error ? cause.message : String(cause)}): mend it, or delete it to run what the flows' sources are built to`,
      { cause },
    );
  }
}
