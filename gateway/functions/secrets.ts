/**
 * Secrets of tenants, encrypted at rest: AES-256-GCM under the key in `secrets.key`, 32 bytes, made with mode 0600 at the first secret. A
 * value is nonce (12 bytes), ciphertext and tag (16 bytes), in base64. Tenant and name are authenticated with it: nobody can put one in
 * another's place. Values are given to functions' settings, and to nobody else.
 */
import { createCipheriv, createDecipheriv, randomBytes } from "node:crypto";
import { open, readFile } from "node:fs/promises";
import { join } from "node:path";
import { CodedError, err, fromUtf8, ok, type Result, toUtf8 } from "#base";
import { syncFolder } from "../contract/folders.ts";
import { diskFailure } from "./failures.ts";
import { functionLimits } from "./limits.ts";
import type { RecordLog } from "./record-log.ts";

const cipher = "aes-256-gcm";
const keyBytes = 32;
const nonceBytes = 12;
const tagBytes = 16;
export const secretName = /^[A-Za-z_][A-Za-z0-9_]{0,63}$/;

const prefixOf = (tenant: string): string => `s ${tenant}/`;

export function encrypt(key: Uint8Array, place: string, value: string): string {
  const nonce = randomBytes(nonceBytes);
  const sealing = createCipheriv(cipher, key, nonce);
  sealing.setAAD(toUtf8(place));
  const sealed = [nonce, sealing.update(value, "utf8"), sealing.final()];
  return Buffer.concat([...sealed, sealing.getAuthTag()]).toString("base64");
}

/** Throws for what was changed, or encrypted with another key or for another place. */
export function decrypt(key: Uint8Array, place: string, text: string): string {
  const bytes = Buffer.from(text, "base64");
  const opening = createDecipheriv(cipher, key, bytes.subarray(0, nonceBytes), { authTagLength: tagBytes });
  opening.setAAD(toUtf8(place));
  opening.setAuthTag(bytes.subarray(-tagBytes));
  return fromUtf8(Buffer.concat([opening.update(bytes.subarray(nonceBytes, -tagBytes)), opening.final()]));
}

export class Secrets {
  readonly #records: RecordLog;
  readonly #keyFile: string;
  readonly #folder: string;
  #key: Uint8Array | undefined;
  #making: Promise<Uint8Array> | undefined;

  private constructor(folder: string, records: RecordLog) {
    this.#folder = folder;
    this.#records = records;
    this.#keyFile = join(folder, "secrets.key");
  }

  /** Rejects with MF_SECRETS_KEY where there are secrets, and not their key. */
  static async open(folder: string, records: RecordLog): Promise<Secrets> {
    const secrets = new Secrets(folder, records);
    await secrets.#readKey();
    return secrets;
  }

  /** Names, never values. */
  list(tenant: string): string[] {
    const prefix = prefixOf(tenant);
    return [...this.#records.keys(prefix)].map((key) => key.slice(prefix.length)).sort();
  }

  has(tenant: string, name: string): boolean {
    return this.#records.get(prefixOf(tenant) + name) !== undefined;
  }

  /** Rejects with MF_SECRET_INVALID, MF_TENANT_QUOTA, MF_FUNCTIONS_FULL or MF_FUNCTIONS_DISK. */
  async set(tenant: string, name: string, value: string): Promise<void> {
    if (!secretName.test(name))
      throw new CodedError(
        "MF_SECRET_INVALID",
        "the name of a secret must begin with a letter or _ and have letters, digits and _ only, at most 64",
      );
    if (value.length === 0 || Buffer.byteLength(value) > functionLimits.secretBytes)
      throw new CodedError("MF_SECRET_INVALID", `the value of a secret must have 1 to ${functionLimits.secretBytes} bytes`);
    const all = this.list(tenant);
    if (all.length >= functionLimits.secrets && !all.includes(name))
      throw new CodedError("MF_TENANT_QUOTA", `there are ${all.length} secrets already, as many as there may be: remove one`);
    const key = this.#key ?? (await this.#madeKey());
    const place = prefixOf(tenant) + name;
    await this.#records.write([[place, encrypt(key, place, value)]], `the secret ${name}`);
  }

  /** False if it is not set. Rejects as `set` does. */
  async remove(tenant: string, name: string): Promise<boolean> {
    if (!this.has(tenant, name)) return false;
    await this.#records.write([[prefixOf(tenant) + name, undefined]], `the removal of the secret ${name}`);
    return true;
  }

  /** The value, for the settings of a function; a sentence if it is not set. */
  value(tenant: string, name: string): Result<string, string> {
    const place = prefixOf(tenant) + name;
    const sealed = this.#records.get(place);
    if (sealed === undefined || this.#key === undefined)
      return err(`needs the secret ${name}, which is not set: set it with \`mayfly secrets set ${name}\``);
    try {
      return ok(decrypt(this.#key, place, sealed));
    } catch {
      return err(`needs the secret ${name}, which secrets.key can't open: restore the key, or set the secret again`);
    }
  }

  async #readKey(): Promise<void> {
    const text = await readFile(this.#keyFile, "utf8").catch((error: NodeJS.ErrnoException) => {
      if (error.code === "ENOENT") return undefined;
      throw diskFailure(error, "the key of secrets");
    });
    const key = text === undefined ? undefined : Buffer.from(text.trim(), "hex");
    if (key?.length === keyBytes) {
      this.#key = key;
      return;
    }
    const [any] = this.#records.keys("s ");
    if (any === undefined) return; // a file that a crash left unfinished is made anew with the first secret
    throw new CodedError(
      "MF_SECRETS_KEY",
      `${this.#keyFile} is ${text === undefined ? "missing" : "not a key of 64 hexadecimal digits"}, and secrets are encrypted with it: restore it from a backup`,
    );
  }

  /** Made once, also for secrets that are set at the same time. */
  async #madeKey(): Promise<Uint8Array> {
    this.#making ??= this.#makeKey();
    try {
      this.#key = await this.#making;
      return this.#key;
    } finally {
      this.#making = undefined;
    }
  }

  async #makeKey(): Promise<Uint8Array> {
    const key = randomBytes(keyBytes);
    try {
      const file = await open(this.#keyFile, "w", 0o600);
      try {
        await file.chmod(0o600);
        await file.writeFile(`${key.toString("hex")}\n`);
        await file.sync();
      } finally {
        await file.close();
      }
      await syncFolder(this.#folder);
    } catch (error) {
      throw diskFailure(error, "the key of secrets");
    }
    return key;
  }
}
