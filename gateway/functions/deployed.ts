/** The records of functions, and what follows from them: functions of a tenant, images that are needed, functions that are always served. */
import { CodedError } from "#base";
import { functionLimits } from "./limits.ts";
import type { RecordLog } from "./record-log.ts";
import { type FunctionName, type FunctionRecord, imagesOf, keyOf, nameOfKey, shownName } from "./records.ts";

export class Deployed {
  readonly #records: RecordLog;
  readonly #counts = new Map<string, number>();
  /** Characters of the records of a tenant. */
  readonly #settings = new Map<string, number>();
  readonly #residents = new Set<string>();
  /** Uses of an image by a tenant's functions, `TENANT/SHA256`, and by all, `SHA256`. */
  readonly #uses = new Map<string, number>();

  constructor(records: RecordLog) {
    this.#records = records;
    for (const key of records.keys("f ")) {
      const name = nameOfKey(key);
      this.#index(name, undefined, this.record(name));
      this.#settings.set(name.tenant, (this.#settings.get(name.tenant) ?? 0) + (records.get(key)?.length ?? 0));
    }
  }

  has(name: FunctionName): boolean {
    return this.#records.get(keyOf(name)) !== undefined;
  }

  record(name: FunctionName): FunctionRecord | undefined {
    const json = this.#records.get(keyOf(name));
    return json === undefined ? undefined : (JSON.parse(json) as FunctionRecord);
  }

  /** Throws MF_FUNCTION_UNKNOWN. */
  need(name: FunctionName): FunctionRecord {
    const record = this.record(name);
    if (record !== undefined) return record;
    throw new CodedError("MF_FUNCTION_UNKNOWN", `there is no function ${shownName(name)}: list them with \`mayfly functions ls\``);
  }

  /** Functions of a tenant. */
  count(tenant: string): number {
    return this.#counts.get(tenant) ?? 0;
  }

  /** By name. */
  list(tenant: string): readonly { readonly name: string; readonly record: FunctionRecord }[] {
    const names = [...this.#records.keys(`f ${tenant}/`)].sort().map(nameOfKey);
    return names.map((name) => ({ name: name.name, record: this.need(name) }));
  }

  /** Functions that are served before anybody calls them. */
  get residents(): readonly FunctionName[] {
    return [...this.#residents].map(nameOfKey);
  }

  /** True where a function of the tenant names the image. */
  uses(tenant: string, sha256: string): boolean {
    return this.#uses.has(`${tenant}/${sha256}`);
  }

  /** Images that functions of the tenant name. */
  *imagesOf(tenant: string): Generator<string> {
    for (const key of this.#uses.keys()) if (key.startsWith(`${tenant}/`)) yield key.slice(tenant.length + 1);
  }

  /** True where any function names the image. */
  needs(sha256: string): boolean {
    return this.#uses.has(sha256);
  }

  /** Records a change; undefined for a removal. Rejects with MF_FUNCTIONS_FULL or MF_FUNCTIONS_DISK. */
  async write(name: FunctionName, after: FunctionRecord | undefined): Promise<void> {
    const before = this.record(name);
    const json = after === undefined ? undefined : JSON.stringify(after);
    const more = (json?.length ?? 0) - (this.#records.get(keyOf(name))?.length ?? 0);
    const settings = (this.#settings.get(name.tenant) ?? 0) + more;
    if (more > 0 && name.tenant !== "" && settings > functionLimits.settings)
      throw new CodedError(
        "MF_TENANT_QUOTA",
        `the settings of all functions would have ${settings} characters, and at most ${functionLimits.settings} are kept: shorten them, or remove functions`,
      );
    const what = `${after === undefined ? "the removal of " : ""}the function ${shownName(name)}`;
    await this.#records.write([[keyOf(name), json]], what);
    this.#settings.set(name.tenant, settings);
    this.#index(name, before, after);
  }

  #index(name: FunctionName, before: FunctionRecord | undefined, after: FunctionRecord | undefined): void {
    const more = (after === undefined ? 0 : 1) - (before === undefined ? 0 : 1);
    this.#counts.set(name.tenant, this.count(name.tenant) + more);
    if (after?.resident === true) this.#residents.add(keyOf(name));
    else this.#residents.delete(keyOf(name));
    for (const image of after === undefined ? [] : imagesOf(after)) this.#use(name.tenant, image, 1);
    for (const image of before === undefined ? [] : imagesOf(before)) this.#use(name.tenant, image, -1);
  }

  #use(tenant: string, sha256: string, more: 1 | -1): void {
    for (const key of [sha256, `${tenant}/${sha256}`]) {
      const count = (this.#uses.get(key) ?? 0) + more;
      if (count > 0) this.#uses.set(key, count);
      else this.#uses.delete(key);
    }
  }
}
