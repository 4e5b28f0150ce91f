/**
 * Deployed functions: what is deployed, and changes of it. Nothing here is half done: what can go wrong with a change is tried first, then a
 * served function is swapped, then the record is written; where the disk refuses, the function is swapped back.
 *
 *   records   f TENANT/NAME   versions, aliases, which is live       image files   SHA256.mfi
 *             s TENANT/NAME   a secret, encrypted
 *             u TENANT        usage of the day
 */
import { join } from "node:path";
import { type Clock, CodedError } from "#base";
import type { Connectors } from "../contract/connectors.ts";
import { makeFolder } from "../contract/folders.ts";
import type { Problem } from "../contract/http/problem.ts";
import type { FlowImage } from "../contract/runner.ts";
import type { HistoryAllowance } from "../history/store.ts";
import type { KeptBytes } from "../journal/journal.ts";
import { ownerMark, ownerOf } from "../journal/owned-bytes.ts";
import { type Disk, realDisk } from "../journal/log/disk.ts";
import { activated, type Deploy, deployed, isSame, withAlias, withCanary } from "./changes.ts";
import { Deployed } from "./deployed.ts";
import { isResident, pathOf, pathsOf } from "./fragment.ts";
import { diskFailure } from "./failures.ts";
import { ImageFiles } from "./image-files.ts";
import { functionLimits } from "./limits.ts";
import { Loader } from "./loader.ts";
import { FunctionLogs } from "./logs.ts";
import type { FlowHost, FunctionImages, FunctionLogger, ImageFacts } from "./ports.ts";
import { Quotas } from "./quotas.ts";
import { RecordLog } from "./record-log.ts";
import { checkName, flowNameOf, type FunctionName, type FunctionRecord, imagesOf, keyOf, namedVersion, shownName } from "./records.ts";
import { Secrets } from "./secrets.ts";
import { type Loaded, ServedFunctions } from "./served.ts";
import { maySame, type Tenant, type Tenants } from "./tenants.ts";
import { Uploads } from "./uploads.ts";
import { type FunctionBuilder, Workshop } from "./workshop.ts";

export interface FunctionsPorts {
  readonly clock: Clock;
  readonly host: FlowHost;
  readonly images: FunctionImages;
  readonly connectors: Connectors;
  /** Folder of mayfly.yaml. */
  readonly base: string;
  readonly logger: FunctionLogger;
  /** Absent: nothing can be built or tried here. */
  readonly builder?: FunctionBuilder | undefined;
  /** Functions in memory beyond which some leave it. */
  readonly mostServed?: number | undefined;
}

/** A function, and the key that changes it. */
export interface Changer {
  readonly tenant: Tenant;
  readonly name: string;
  /** Name of the key. */
  readonly by: string;
  /** Revision that the function must have, 0 for one that must not exist. Without it any will do. */
  readonly revision: number | undefined;
}

export interface Changed {
  readonly record: FunctionRecord;
  readonly isNew: boolean;
}

interface Parts {
  readonly records: RecordLog;
  readonly files: ImageFiles;
  readonly secrets: Secrets;
  /** Of the images. */
  readonly folder: string;
}

type Make = (before: FunctionRecord | undefined) => Promise<FunctionRecord> | FunctionRecord;

export class Functions {
  readonly deployed: Deployed;
  readonly secrets: Secrets;
  readonly quotas: Quotas;
  readonly uploads: Uploads;
  readonly logs: FunctionLogs;
  /** Undefined: nothing can be built or tried here. */
  readonly workshop: Workshop | undefined;
  tenants: Tenants;
  readonly #records: RecordLog;
  readonly #ports: FunctionsPorts;
  readonly #loader: Loader;
  readonly #served: ServedFunctions;
  #stopTicking: () => void = () => undefined;
  /** Functions whose path mayfly.yaml has given to a flow while the gateway was down: the flow is served, and they are not. */
  readonly #shadowed = new Set<string>();

  private constructor({ records, files, secrets, folder }: Parts, tenants: Tenants, ports: FunctionsPorts) {
    const { clock, host, images, logger, connectors, base, builder, mostServed } = ports;
    this.#records = records;
    this.#ports = ports;
    this.secrets = secrets;
    this.tenants = tenants;
    this.deployed = new Deployed(records);
    this.logs = new FunctionLogs(clock);
    this.#loader = new Loader({ folder, images, connectors, base, secrets });
    this.#served = new ServedFunctions({
      clock,
      host,
      images,
      logger,
      logs: this.logs,
      load: (name) => this.#load(name, this.deployed.record(name)),
      leaving: ({ tenant }, served) => this.quotas.count(tenant, served),
      ...(mostServed === undefined ? {} : { most: mostServed }),
    });
    this.quotas = new Quotas({ clock, records, served: () => this.#served.all(), keptBy: (tenant) => host.keptBy(tenant) });
    const uploads = new Uploads({ clock, files, images, deployed: this.deployed, asleepIn: () => host.asleepIn() });
    this.uploads = uploads;
    const takeDeploy = (tenant: Tenant): void => this.#takeDeploy(tenant);
    const request = (tenant: Tenant): Problem | undefined => this.quotas.request(tenant);
    this.workshop = builder === undefined ? undefined : new Workshop({ builder, uploads, folder, takeDeploy, request });
  }

  /** Rejects with MF_FUNCTIONS_DISK, MF_FUNCTIONS_DAMAGED, MF_FUNCTIONS_VERSION or MF_SECRETS_KEY. `diskOf`: the files of a folder. */
  static async open(dir: string, tenants: Tenants, ports: FunctionsPorts, diskOf: (folder: string) => Disk = realDisk): Promise<Functions> {
    const folder = join(dir, "images");
    await makeFolder(folder, 0o700).catch((error: unknown) => {
      throw diskFailure(error, "the folder of functions");
    });
    const records = await RecordLog.open(diskOf(dir));
    const files = await ImageFiles.open(diskOf(folder));
    return new Functions({ records, files, secrets: await Secrets.open(dir, records), folder }, tenants, ports);
  }

  /** Starts functions that are served before anybody calls them. `also`: flows that the journal has messages of. Never rejects. */
  async start(also: Iterable<string>): Promise<void> {
    for (const [flow, path] of this.#ports.host.paths()) {
      const name = this.at(path);
      if (name === undefined) continue;
      this.#shadowed.add(keyOf(name));
      const text = `the function ${shownName(name)} is not served: the flow ${flow} of mayfly.yaml has its path ${path}; rename one of them`;
      this.#ports.logger.error({ code: "MF_FUNCTION_TAKEN" }, text);
    }
    const others = [...also].flatMap((flow) => this.nameOfFlow(flow) ?? []);
    await this.#wakeAll([...this.deployed.residents, ...others]);
    await this.uploads.sweep();
    this.#tick();
  }

  /** No function starts or changes from now on. Flows are ended by whoever serves them. */
  async close(): Promise<void> {
    this.#stopTicking();
    await this.#served.close();
    for (const { tenant, served } of this.#served.all()) this.quotas.count(tenant, served);
    await this.quotas.keep();
    await this.#records.close();
  }

  /** Other tenants from now on: functions of those that are gone are served no more, of those that may do other things as they may now. */
  async use(tenants: Tenants): Promise<void> {
    const before = this.tenants;
    this.tenants = tenants;
    this.#loader.forgetShares();
    this.#shadowed.clear(); // a configuration with a function's path is refused
    const isChanged = ({ tenant }: FunctionName): boolean => !maySame(before.get(tenant), tenants.get(tenant));
    const changed = this.#served.names.filter(isChanged);
    await Promise.all(changed.map((name) => this.#served.inTurn(name, () => this.#served.end(name))));
    await this.#wakeAll(this.deployed.residents.filter(isChanged));
  }

  /** The function that a flow serves, whether it is in memory or not. */
  nameOfFlow(flow: string): FunctionName | undefined {
    const tenant = ownerOf(flow) ?? "";
    const name = { tenant, name: tenant === "" ? flow : flow.slice(tenant.length + ownerMark.length) };
    return this.deployed.has(name) ? name : undefined;
  }

  /**
   * A request for `path`: the problem that its caller is told, at once or once the function has started; undefined to go on.
   */
  admit(path: string): Problem | Promise<Problem | undefined> | undefined {
    const name = this.at(path);
    if (name === undefined || this.#shadowed.has(keyOf(name))) return undefined;
    const tenant = this.tenants.get(name.tenant);
    if (tenant === undefined) return undefined;
    const problem = this.quotas.request(tenant);
    if (problem !== undefined) return problem;
    return this.#served.called(name) ? undefined : this.#served.wake(name);
  }

  /** The function that a path belongs to. */
  at(path: string): FunctionName | undefined {
    const [, first = "", second = ""] = path.split("/", 3);
    const name = this.tenants.single ? { tenant: "", name: first } : { tenant: first, name: second };
    return this.deployed.has(name) ? name : undefined;
  }

  /** The flow of a function, which is started for a message that comes another way. Rejects with MF_FUNCTION_UNKNOWN, MF_TENANT_RATE and so on. */
  async wake(tenant: Tenant, name: string): Promise<string> {
    const own = { tenant: tenant.name, name };
    this.deployed.need(own);
    const problem = this.quotas.request(tenant) ?? (this.#served.called(own) ? undefined : await this.#served.wake(own));
    if (problem !== undefined) throw new CodedError(problem.code, problem.detail);
    return flowNameOf(own);
  }

  /** Bounds of history for flows of tenants. */
  readonly history: HistoryAllowance = {
    mayRecord: (flow) => {
      const tenant = this.#ownerOf(flow);
      return tenant === undefined || this.quotas.mayRecord(tenant);
    },
    recorded: (flow, bytes) => {
      const tenant = this.#ownerOf(flow);
      if (tenant !== undefined) this.quotas.recorded(tenant.name, bytes);
    },
  };

  #ownerOf(flow: string): Tenant | undefined {
    const owner = ownerOf(flow);
    return owner === undefined ? undefined : this.tenants.get(owner);
  }

  /** Tenants whose messages are refused, and why. */
  get fullTenants(): readonly (readonly [tenant: string, reason: string])[] {
    return this.tenants.names.flatMap((name) => {
      const reason = this.quotas.isFull(this.tenants.need(name));
      return reason === undefined ? [] : [[name, reason] as const];
    });
  }

  keptBy(tenant: string): KeptBytes {
    return this.#ports.host.keptBy(tenant);
  }

  isServed(name: FunctionName): boolean {
    return this.#served.of(name) !== undefined;
  }

  /** Makes a version of a function, or the function. The same image with the same settings again changes nothing. Rejects with a CodedError. */
  deploy(changer: Changer, deploy: Deploy): Promise<Changed> {
    const { tenant, name, by } = changer;
    const release = this.uploads.hold(deploy.image);
    const changed = this.#change(changer, async (before) => {
      if (before === undefined) this.#checkNew(tenant, name);
      if (isSame(before, deploy)) return before;
      if (!this.uploads.has(tenant.name, deploy.image))
        throw new CodedError(
          "MF_FUNCTION_IMAGE",
          `the image sha256:${deploy.image.slice(0, 12)} was not uploaded: PUT it to /api/images first, as \`mayfly deploy\` does`,
        );
      const config = await this.#loader.checked(tenant, name, deploy);
      const served = { paths: pathsOf(config), resident: isResident(config) };
      return deployed(before, deploy, { served, by, nowMs: this.#ports.clock.now() });
    });
    return changed.finally(release);
  }

  /** Serves a version that was deployed before; a canary ends. Rejects with MF_FUNCTION_VERSION and so on. */
  activate(changer: Changer, version: string): Promise<Changed> {
    return this.#change(changer, async (before) => {
      const record = existing(changer, before);
      const named = namedVersion(record, version);
      if (named.version === record.live && record.canary === null) return record;
      const config = await this.#loader.checked(changer.tenant, changer.name, named);
      return activated(record, named.version, { paths: pathsOf(config), resident: isResident(config) }, this.#ports.clock.now());
    });
  }

  /** Gives a version a share of the messages; without one the canary ends. */
  canary(changer: Changer, canary: { readonly version: string; readonly share: number } | undefined): Promise<Changed> {
    return this.#change(changer, (before) => withCanary(existing(changer, before), canary, this.#ports.clock.now()));
  }

  /** Names a version; undefined takes the name away. */
  alias(changer: Changer, alias: string, version: string | undefined): Promise<Changed> {
    return this.#change(changer, (before) => withAlias(existing(changer, before), alias, version, this.#ports.clock.now()));
  }

  /** Ends a function and forgets it. Rejects with MF_FUNCTION_UNKNOWN, MF_FUNCTION_CHANGED, MF_FUNCTIONS_DISK. */
  async remove({ tenant, name, revision }: Changer): Promise<void> {
    this.#takeDeploy(tenant);
    const own = { tenant: tenant.name, name };
    await this.#served.inTurn(own, async () => {
      const record = this.deployed.need(own);
      checkRevision(revision, record, own);
      await this.deployed.write(own, undefined);
      await this.#served.end(own);
      this.logs.forget(keyOf(own));
      await this.uploads.dropped(imagesOf(record));
    });
  }

  /** Checks and keeps an image. Rejects with a CodedError. */
  putImage(tenant: Tenant, sha256: string, bytes: Uint8Array): Promise<ImageFacts> {
    this.#takeDeploy(tenant);
    return this.uploads.put(tenant, sha256, bytes);
  }

  /** Sets a secret, or removes it. Served functions take it up at once; one that can't goes on as it was, and its log says why. */
  async setSecret(tenant: Tenant, secret: string, value: string | undefined): Promise<void> {
    this.#takeDeploy(tenant);
    if (value !== undefined) await this.secrets.set(tenant.name, secret, value);
    else if (!(await this.secrets.remove(tenant.name, secret)))
      throw new CodedError(
        "MF_SECRET_UNKNOWN",
        `there is no secret ${JSON.stringify(secret.slice(0, 64))}: list them with \`mayfly secrets ls\``,
      );
    const reference = new RegExp(`\\$\\{secret:\\s*${secret}\\s*\\}`);
    for (const name of this.#served.names) {
      const record = name.tenant === tenant.name ? this.deployed.record(name) : undefined;
      if (record?.versions.some(({ fragment }) => reference.test(fragment)) === true) await this.#refresh(name, secret);
    }
  }

  /** The image in which a machine of a function sleeps. Rejects with MF_IMAGE_NOT_FOUND and so on. */
  async loadAsleep(sha256: string, { tenant }: FunctionName): Promise<FlowImage> {
    return await this.#loader.image(sha256, this.tenants.need(tenant));
  }

  /** Never rejects. */
  async #refresh(name: FunctionName, secret: string): Promise<void> {
    try {
      await this.#served.inTurn(name, async () => {
        const loaded = this.isServed(name) ? await this.#load(name, this.deployed.record(name)) : undefined;
        if (loaded !== undefined) await this.#served.replace(name, loaded);
      });
    } catch (error) {
      const log = this.logs.kept(keyOf(name), this.#ports.logger);
      log.error({ flow: flowNameOf(name) }, `the secret ${secret} has changed, and the function goes on as it was: ${String(error)}`);
    }
  }

  /** Now and then: usage is kept, and functions with sources of their own rest while their tenant's CPU time is used up. */
  #tick(): void {
    this.#stopTicking = this.#ports.clock.after(functionLimits.usageKeptMs, () => {
      this.quotas.look();
      const { residents } = this.deployed;
      const mayRun = ({ tenant }: FunctionName): boolean => {
        const found = this.tenants.get(tenant);
        return found !== undefined && !this.quotas.isSpent(found);
      };
      for (const name of residents) if (!mayRun(name)) void this.#served.inTurn(name, () => this.#served.end(name));
      void this.#wakeAll(residents.filter((name) => mayRun(name) && !this.isServed(name)));
      this.#tick();
    });
  }

  async #wakeAll(names: FunctionName[]): Promise<void> {
    const wake = async (): Promise<void> => {
      for (let name = names.shift(); name !== undefined; name = names.shift())
        if (this.tenants.get(name.tenant) !== undefined && !this.#shadowed.has(keyOf(name))) await this.#served.wake(name);
    };
    await Promise.all(Array.from({ length: functionLimits.startsAtOnce }, wake));
  }

  async #load(name: FunctionName, record: FunctionRecord | undefined): Promise<Loaded | undefined> {
    return record === undefined ? undefined : await this.#loader.load(name, this.tenants.need(name.tenant), record);
  }

  #takeDeploy(tenant: Tenant): void {
    const waitMs = this.quotas.deploy(tenant);
    if (waitMs > 0)
      throw new CodedError(
        "MF_DEPLOY_RATE",
        `there were as many changes as the tenant may make: wait ${Math.ceil(waitMs / 1000)} s, and don't deploy in a loop`,
      );
  }

  /** One change of a function: checked, swapped in, written. */
  async #change(changer: Changer, make: Make): Promise<Changed> {
    const { tenant, name, revision } = changer;
    checkName(name, "a function");
    this.#takeDeploy(tenant);
    const own = { tenant: tenant.name, name };
    return await this.#served.inTurn(own, async () => {
      const before = this.deployed.record(own);
      checkRevision(revision, before, own);
      const after = await make(before);
      if (after === before) return { record: after, isNew: false };
      await this.#loader.checkCanary(tenant, name, after);
      await this.#swap(own, before, after);
      try {
        await this.deployed.write(own, after);
      } catch (error) {
        await this.#swapBack(own, before);
        throw error;
      }
      this.uploads.named(tenant.name, imagesOf(after));
      await this.uploads.dropped(before === undefined ? [] : imagesOf(before));
      return { record: after, isNew: before === undefined };
    });
  }

  /** Has a served function, or one that has to be, go on as `after` says. */
  async #swap(name: FunctionName, before: FunctionRecord | undefined, after: FunctionRecord): Promise<void> {
    const isServed = this.isServed(name);
    if (!isServed && !after.resident) return;
    if (isServed && before?.live === after.live && JSON.stringify(before.canary) === JSON.stringify(after.canary)) return;
    const loaded = await this.#loader.load(name, this.tenants.need(name.tenant), after);
    if (isServed) await this.#served.replace(name, loaded);
    else await this.#served.start(name, loaded);
  }

  async #swapBack(name: FunctionName, before: FunctionRecord | undefined): Promise<void> {
    if (!this.isServed(name)) return;
    const loaded = await this.#load(name, before).catch(() => undefined);
    if (loaded === undefined) await this.#served.end(name);
    else await this.#served.replace(name, loaded).catch(() => this.#served.end(name)); // the next call starts what is recorded
  }

  #checkNew(tenant: Tenant, name: string): void {
    const flow = flowNameOf({ tenant: tenant.name, name });
    const path = pathOf(tenant, name);
    const { host } = this.#ports;
    const other = host.hasFlow(flow) ? flow : [...host.paths()].find(([, each]) => each === path || each.startsWith(`${path}/`))?.[0];
    if (other !== undefined)
      throw new CodedError(
        "MF_FUNCTION_TAKEN",
        `${name} can't be deployed: the flow ${other} of mayfly.yaml has ${other === flow ? "this name" : `the path ${path}`}; choose another name`,
      );
    const count = this.deployed.count(tenant.name);
    if (count >= tenant.functions)
      throw new CodedError("MF_TENANT_QUOTA", `there are ${count} functions already, as many as there may be: remove one, or ask for more`);
  }
}

function existing({ tenant, name }: Changer, record: FunctionRecord | undefined): FunctionRecord {
  if (record !== undefined) return record;
  throw new CodedError(
    "MF_FUNCTION_UNKNOWN",
    `there is no function ${shownName({ tenant: tenant.name, name })}: list them with \`mayfly functions ls\``,
  );
}

function checkRevision(wanted: number | undefined, record: FunctionRecord | undefined, name: FunctionName): void {
  const now = record?.revision ?? 0;
  if (wanted === undefined || wanted === now) return;
  const what = record === undefined ? "does not exist" : `is at revision ${now}`;
  throw new CodedError(
    "MF_FUNCTION_CHANGED",
    `the function ${shownName(name)} ${what}, and the change was made for another: somebody else changed it; look at it again`,
  );
}
