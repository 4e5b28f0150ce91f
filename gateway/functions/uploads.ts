/**
 * Images that tenants have uploaded: which may be deployed by whom, and which nobody needs any more. Two tenants that upload one image share
 * its file, and neither learns of the other: who has not uploaded an image does not have it.
 */
import { type Clock, CodedError } from "#base";
import type { Deployed } from "./deployed.ts";
import type { ImageFiles } from "./image-files.ts";
import { functionLimits } from "./limits.ts";
import type { FunctionImages, ImageFacts } from "./ports.ts";
import type { Tenant } from "./tenants.ts";

export interface UploadPorts {
  readonly clock: Clock;
  readonly files: ImageFiles;
  readonly images: Pick<FunctionImages, "check">;
  readonly deployed: Deployed;
  /** Images that machines sleep in. */
  readonly asleepIn: () => Iterable<string>;
}

export class Uploads {
  readonly #ports: UploadPorts;
  /** By tenant: images that no function names yet, and when they came, by the monotonic clock. The oldest come first. */
  readonly #unnamed = new Map<string, Map<string, number>>();
  /** Images of deploys that are under way. */
  readonly #held = new Map<string, number>();

  constructor(ports: UploadPorts) {
    this.#ports = ports;
  }

  /** True where the tenant has uploaded the image, and it is still there. */
  has(tenant: string, sha256: string): boolean {
    if (!this.#ports.files.has(sha256)) return false;
    return this.#unnamed.get(tenant)?.has(sha256) === true || this.#ports.deployed.uses(tenant, sha256);
  }

  /** Keeps an image for as long as it takes to deploy it: until what is returned is called. */
  hold(sha256: string): () => void {
    this.#held.set(sha256, (this.#held.get(sha256) ?? 0) + 1);
    return () => {
      const left = (this.#held.get(sha256) ?? 0) - 1;
      if (left > 0) this.#held.set(sha256, left);
      else this.#held.delete(sha256);
    };
  }

  /** Bytes of the tenant's images on disk, those that another has as well among them. */
  async bytesOf(tenant: string): Promise<number> {
    const images = new Set([...this.#ports.deployed.imagesOf(tenant), ...(this.#unnamed.get(tenant)?.keys() ?? [])]);
    let bytes = 0;
    for (const image of images) bytes += await this.#ports.files.bytesOf(image);
    return bytes;
  }

  async #checkRoom({ name, keeps }: Tenant, bytes: number): Promise<void> {
    if (keeps.images === Number.POSITIVE_INFINITY) return;
    const all = (await this.bytesOf(name)) + bytes;
    if (all > keeps.images)
      throw new CodedError(
        "MF_TENANT_FULL",
        `the images of the tenant would take ${all} bytes, and may take ${keeps.images}: remove functions, make images smaller, or raise \`images\` of the tenant`,
      );
  }

  /** Checks and keeps an image. Rejects with MF_IMAGE_CORRUPT, MF_IMAGE_VERSION, MF_IMAGE_HASH, MF_IMAGE_MEMORY, MF_TENANT_FULL, MF_FUNCTIONS_FULL. */
  async put(tenant: Tenant, sha256: string, bytes: Uint8Array): Promise<ImageFacts> {
    const facts = this.#ports.images.check(bytes);
    if (facts.sha256 !== sha256)
      throw new CodedError(
        "MF_IMAGE_HASH",
        `the image is sha256:${facts.sha256}, and was uploaded as sha256:${sha256}: upload it under its own hash`,
      );
    const shortage = facts.shortage(tenant.limits.memory);
    if (shortage !== undefined) throw new CodedError("MF_IMAGE_MEMORY", shortage);
    if (!this.has(tenant.name, sha256)) await this.#checkRoom(tenant, bytes.length);
    await this.#ports.files.put(sha256, bytes);
    const unnamed = this.#unnamed.get(tenant.name) ?? new Map<string, number>();
    this.#unnamed.set(tenant.name, unnamed);
    unnamed.delete(sha256);
    unnamed.set(sha256, this.#ports.clock.monotonicMs());
    await this.#forgetOld(tenant.name, unnamed);
    return facts;
  }

  /** A function of the tenant names the images from now on. */
  named(tenant: string, images: readonly string[]): void {
    for (const image of images) this.#unnamed.get(tenant)?.delete(image);
  }

  /** Some function does not name the images any more. */
  async dropped(images: readonly string[]): Promise<void> {
    if (images.length === 0) return;
    const others = new Set([...this.#ports.asleepIn(), ...[...this.#unnamed.values()].flatMap((unnamed) => [...unnamed.keys()])]);
    for (const image of images)
      if (!this.#ports.deployed.needs(image) && !this.#held.has(image) && !others.has(image)) await this.#ports.files.remove(image);
  }

  /** Removes every image that nobody needs. */
  async sweep(): Promise<void> {
    await this.dropped([...this.#ports.files.hashes]);
  }

  async #forgetOld(tenant: string, unnamed: Map<string, number>): Promise<void> {
    const beforeMs = this.#ports.clock.monotonicMs() - functionLimits.unnamedMs;
    const old = [...unnamed].filter(([, atMs], index) => atMs < beforeMs || index < unnamed.size - functionLimits.unnamedPerTenant);
    for (const [image] of old) unnamed.delete(image);
    if (unnamed.size === 0) this.#unnamed.delete(tenant);
    await this.dropped(old.map(([image]) => image));
  }
}
