/** From a recorded version to a flow that can be served: its settings are read and held against the tenant, its image is checked and loaded. */
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { CodedError } from "#base";
import type { Connectors } from "../contract/connectors.ts";
import type { FlowConfig } from "../contract/config.ts";
import type { FlowImage, Share } from "../contract/runner.ts";
import { checkImageLimits, readFragment } from "./fragment.ts";
import { ImageFiles } from "./image-files.ts";
import type { FunctionImages } from "./ports.ts";
import { type FunctionName, type FunctionRecord, type FunctionVersion, shownName, versionOf } from "./records.ts";
import type { Secrets } from "./secrets.ts";
import type { Loaded } from "./served.ts";
import type { Tenant } from "./tenants.ts";

export interface LoaderPorts {
  /** Of the images. */
  readonly folder: string;
  readonly images: FunctionImages;
  readonly connectors: Connectors;
  /** Folder of mayfly.yaml. */
  readonly base: string;
  readonly secrets: Secrets;
}

export class Loader {
  readonly #ports: LoaderPorts;
  /** One part of the CPU time for all functions of a tenant. */
  readonly #shares = new Map<string, Share>();

  constructor(ports: LoaderPorts) {
    this.#ports = ports;
  }

  /** The settings of a version before it is deployed. Rejects with a CodedError for everything that can be wrong with it. */
  async checked(tenant: Tenant, name: string, { image, fragment }: Pick<FunctionVersion, "image" | "fragment">): Promise<FlowConfig> {
    const config = this.#config(tenant, name, fragment);
    await this.#ports.images.open(tenant.monitor);
    const bytes = await readFile(this.#pathOf(image)).catch((cause: Error) => {
      throw new CodedError("MF_IMAGE_NOT_FOUND", `the image sha256:${image} can't be read (${cause.message}): upload it again`, { cause });
    });
    const facts = this.#ports.images.check(bytes);
    checkImageLimits(facts.limits, config, tenant, name);
    const shortage = facts.shortage(Math.min(config.limits.memory ?? facts.limits.memoryBytes, tenant.limits.memory));
    if (shortage !== undefined) throw new CodedError("MF_IMAGE_MEMORY", `the function ${name}: ${shortage}`);
    const missing = facts.outlets?.find((outlet) => !Object.hasOwn(config.to, outlet));
    if (missing !== undefined)
      throw new CodedError(
        "MF_OUTLET_MISSING",
        `the function ${name} uses the outlet "${missing}": add to.${missing} to ${name}.mayfly.yaml`,
      );
    return config;
  }

  /** Checks that a version's image can run under the settings of the live one. Rejects with MF_OUTLET_MISSING and so on. */
  async checkCanary(tenant: Tenant, name: string, record: FunctionRecord): Promise<void> {
    const live = versionOf(record, record.live);
    const canary = record.canary === null ? undefined : versionOf(record, record.canary.version);
    if (live !== undefined && canary !== undefined) await this.checked(tenant, name, { image: canary.image, fragment: live.fragment });
  }

  /** The live version, with the canary beside it. Rejects with a CodedError. */
  async load(name: FunctionName, tenant: Tenant, record: FunctionRecord): Promise<Loaded> {
    const live = versionOf(record, record.live);
    if (live === undefined)
      throw new CodedError("MF_FUNCTION_VERSION", `the function ${shownName(name)} has no version ${record.live}: deploy it again`);
    const config: FlowConfig = { ...this.#config(tenant, name.name, live.fragment), image: `sha256:${live.image}` };
    const image = await this.image(live.image, tenant);
    const other = record.canary === null ? undefined : versionOf(record, record.canary.version);
    if (other === undefined || record.canary === null) return { config, image };
    const { share } = record.canary;
    try {
      const canary = await this.image(other.image, tenant);
      return { config: { ...config, canary: { new: `sha256:${other.image}`, share } }, image: { ...image, canary } };
    } catch (error) {
      this.#ports.images.unload(image.image);
      throw error;
    }
  }

  /** Rejects with MF_IMAGE_NOT_FOUND, MF_IMAGE_CORRUPT or MF_IMAGE_VERSION. */
  image(sha256: string, { monitor }: Tenant): Promise<FlowImage> {
    return this.#ports.images.load(this.#pathOf(sha256), monitor);
  }

  /** Weights are as the tenants have them now. */
  forgetShares(): void {
    this.#shares.clear();
  }

  #config(tenant: Tenant, name: string, fragment: string): FlowConfig {
    const { connectors, base, secrets } = this.#ports;
    return readFragment(fragment, { tenant, name, share: this.#share(tenant) }, { connectors, base, secrets });
  }

  #share({ name, weight }: Tenant): Share {
    let share = this.#shares.get(name);
    if (share === undefined) this.#shares.set(name, (share = { name: name === "" ? "functions" : name, weight }));
    return share;
  }

  #pathOf(sha256: string): string {
    return join(this.#ports.folder, ImageFiles.nameOf(sha256));
  }
}
