/**
 * Claims of files, so that of several gateways on one folder only one delivers a file:
 *
 *     dir/NAME ──atomic rename──▶ dir/.mayfly/INSTANCE/NAME ──after the outcome──▶ done/NAME or failed/NAME
 *     dir/.mayfly/INSTANCE.lease    its time or size is changed while the instance lives
 *
 * The rename succeeds for one of them. Claims of an instance whose lease does not change for `lease` are taken over, again by rename. The
 * observer's own clock measures it, within one connection: nobody's clock need be right, and an outage of the server takes nothing away.
 */
import { join } from "node:path/posix";
import type { SourceContext } from "#gateway/contract";
import { folderLimits } from "./limits.ts";
import { type Entry, type FolderProtocol, type RemoteFolder, sameVersion, type Version } from "./port.ts";

const leaseEnd = ".lease";

export interface ClaimOptions {
  readonly protocol: Pick<FolderProtocol, "codes" | "isMissing">;
  readonly remote: RemoteFolder;
  readonly context: SourceContext;
  readonly dir: string;
  readonly instance: string;
  readonly leaseMs: number;
  /** Suffix of the files that mark others as finished. */
  readonly marker: string | undefined;
}

export class Claims {
  readonly #options: ClaimOptions;
  readonly #work: string;
  readonly #own: string;
  /** Leases of the other instances, as first seen so. */
  readonly #leases = new Map<string, { readonly version: Version | undefined; readonly sinceMs: number }>();
  #stamp = 0;
  #cancel: () => void = () => {};

  constructor(options: ClaimOptions) {
    this.#options = options;
    this.#work = join(options.dir, ".mayfly");
    this.#own = join(this.#work, options.instance);
  }

  /** Renews the lease until `close`; `lost` gets the error of a renewal. */
  async open(lost: (error: unknown) => void): Promise<void> {
    await this.#renew();
    const { context, leaseMs } = this.#options;
    const again = (): void => {
      this.#cancel = context.clock.after(leaseMs / folderLimits.renewalsPerLease, () => void this.#renew().then(again, lost));
    };
    again();
  }

  close(): void {
    this.#cancel();
  }

  /** Leaves nothing behind, unless there are claims still. */
  async leave(): Promise<void> {
    this.close();
    await this.#options.remote.removeFolder(this.#own);
    await this.#options.remote.remove(this.#own + leaseEnd);
  }

  /** Place of a claimed file. */
  path(name: string): string {
    return join(this.#own, name);
  }

  /** Files that are claimed by this instance. */
  async list(): Promise<Entry[]> {
    const { remote, marker } = this.#options;
    const files = async (): Promise<Entry[]> => await remote.exact(this.#own, await remote.list(this.#own, ({ kind }) => kind === "file"));
    const entries = await files();
    if (marker === undefined) return entries;
    const marks = entries.filter(({ name }) => name.endsWith(marker));
    if (marks.length === 0) return entries;
    for (const { name } of marks) await this.#claimMarked(name.slice(0, -marker.length));
    return (await files()).filter(({ name }) => !name.endsWith(marker));
  }

  /** False if it is gone: another gateway has claimed it. */
  async claim(name: string): Promise<boolean> {
    const { marker } = this.#options;
    if (marker === undefined) return await this.#move(join(this.#options.dir, name), this.path(name));
    const mark = name + marker;
    return (await this.#move(join(this.#options.dir, mark), this.path(mark))) && (await this.#claimMarked(name));
  }

  /** The marker goes first and is removed last: what a crash leaves is completed by `list`, and no marker waits for a file to come. */
  async #claimMarked(name: string): Promise<boolean> {
    const { remote, marker, dir } = this.#options;
    const claimed = (await remote.stat(this.path(name))) !== undefined || (await this.#move(join(dir, name), this.path(name)));
    await remote.remove(this.path(name + marker));
    return claimed;
  }

  async #move(from: string, to: string): Promise<boolean> {
    try {
      await this.#options.remote.replace(from, to);
      return true;
    } catch (error) {
      if (this.#options.protocol.isMissing(error)) return false;
      throw error;
    }
  }

  /** Claims of instances that are gone become this one's. `mine`: names it has already, which have to end first; gets the new ones. */
  async takeOver(mine: Set<string>): Promise<void> {
    const { remote, context, leaseMs, instance } = this.#options;
    const entries = await remote.list(this.#work);
    const leases = new Map<string, Version>(entries.map((entry) => [entry.name, entry]));
    const nowMs = context.clock.monotonicMs();
    for (const { name: other, kind } of entries) {
      if (kind !== "folder" || other === instance) continue;
      const version = leases.get(other + leaseEnd);
      const known = this.#leases.get(other);
      const same = known !== undefined && (known.version === undefined ? version === undefined : sameVersion(known.version, version));
      if (!same) this.#leases.set(other, { version, sinceMs: nowMs });
      else if (nowMs - known.sinceMs >= leaseMs) await this.#takeFrom(other, mine);
    }
    for (const other of this.#leases.keys()) if (!leases.has(other)) this.#leases.delete(other);
  }

  async #takeFrom(other: string, mine: Set<string>): Promise<void> {
    const { remote, context, protocol } = this.#options;
    const theirs = join(this.#work, other);
    for (const { name } of await remote.list(theirs)) {
      if (mine.has(name) || !(await this.#move(join(theirs, name), this.path(name)))) continue;
      mine.add(name);
      context.metrics.count("taken_over");
      context.logger.warn(
        { file: name, code: protocol.codes.takenOver },
        "a gateway that no longer renews its lease had the file: it is taken over",
      );
    }
    // Each fails where files are left, or another gateway was faster.
    await remote
      .removeFolder(theirs)
      .then(() => remote.remove(theirs + leaseEnd))
      .catch(() => {});
  }

  async #renew(): Promise<void> {
    const { remote, context } = this.#options;
    await remote.makeFolder(this.#own);
    this.#stamp = Math.max(this.#stamp + 1, Math.floor(context.clock.now() / 1000));
    await remote.mark(this.#own + leaseEnd, this.#stamp);
  }
}
