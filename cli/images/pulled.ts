/**
 * Images of a registry, by `image: oci://HOST/REPOSITORY:TAG`. One that was pulled is in the store like those that were built here;
 * `pulled-KEY.json` beside it says what the reference was then, so that a start needs no registry that is away.
 */
import { createHash } from "node:crypto";
import { mkdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { CodedError, isCoded } from "#base";
import {
  type Image,
  imageLayer,
  imageOf,
  mostFileBytes,
  parseManifest,
  parseReference,
  type Reference,
  referenceText,
  Registry,
  trustedKey,
  type TrustedKey,
  verify,
} from "#image";
import { getImage, putImage, writeWhole } from "./store.ts";
import { registryCredentials } from "./registry-credentials.ts";

export const ociScheme = "oci://";

export interface PullOptions {
  /** Of the store. */
  readonly folder: string;
  /** One of them must have signed the artefact; empty: nobody needs to. */
  readonly trust: readonly TrustedKey[];
  readonly env: Readonly<Record<string, string | undefined>>;
}

export interface Pulled {
  readonly image: Image;
  /** Of the artefact's manifest. */
  readonly digest: string;
  /** Where the image lies; undefined when the store can't be written to. */
  readonly file: string | undefined;
  /** Name of the key that has signed it. */
  readonly signedBy: string | undefined;
  /** False: from the store, without a request. */
  readonly fetched: boolean;
}

interface PulledRecord {
  readonly reference: string;
  readonly digest: string;
  readonly sha256: string;
  /** Fingerprint of the key it was trusted by; null where none was asked for. */
  readonly signer: string | null;
}

function recordPath(folder: string, reference: Reference): string {
  const key = createHash("sha256").update(referenceText(reference)).digest("hex").slice(0, 16);
  return join(folder, `pulled-${key}.json`);
}

/** Public keys of `images.trust`, absolute paths. Throws MF_IMAGE_KEY. */
export async function trustedKeys(files: readonly string[]): Promise<readonly TrustedKey[]> {
  return await Promise.all(
    files.map(async (file) => {
      const text = await readFile(file, "utf8").catch((cause: NodeJS.ErrnoException) => {
        throw new CodedError("MF_IMAGE_KEY", `the key ${file} of images.trust can't be read (${cause.code ?? cause.message})`, { cause });
      });
      return trustedKey(file, text);
    }),
  );
}

/** The image that the registry has under this name now, kept in the store. Throws MF_OCI_REFERENCE, MF_REGISTRY_…, MF_ARTEFACT_INVALID, MF_IMAGE_… */
export async function pullImage(name: string, { folder, trust, env }: PullOptions): Promise<Pulled> {
  const reference = parseReference(name);
  const registry = new Registry(reference, { credentials: (host) => registryCredentials(host, env) });
  const manifest = await registry.manifest(reference.digest ?? reference.tag ?? "");
  if (manifest === undefined)
    throw new CodedError("MF_ARTEFACT_MISSING", `${referenceText(reference)} is not there: push it first, or mend its name`);
  const signer = trust.length === 0 ? undefined : await verify(registry, referenceText(reference), manifest.digest, trust);
  const layer = imageLayer(parseManifest(manifest.bytes));
  const image = imageOf(layer, await registry.blob(layer, mostFileBytes));
  const record: PulledRecord = {
    reference: referenceText(reference),
    digest: manifest.digest,
    sha256: image.sha256,
    signer: signer?.fingerprint ?? null,
  };
  const file = await keep(folder, image, record, recordPath(folder, reference)).catch(() => undefined); // a read-only store: pulled at every start
  return { image, digest: manifest.digest, file, signedBy: signer?.name, fetched: true };
}

async function keep(folder: string, image: Image, record: PulledRecord, path: string): Promise<string> {
  await mkdir(folder, { recursive: true, mode: 0o700 });
  const file = await putImage(folder, image, `${ociScheme}${record.reference}`);
  await writeWhole(path, `${JSON.stringify(record, undefined, 2)}\n`);
  return file;
}

/** As it was pulled before; undefined where it is not there, or was not trusted by one of these keys. */
async function kept(name: string, { folder, trust }: PullOptions): Promise<Pulled | undefined> {
  try {
    const reference = parseReference(name);
    const record = JSON.parse(await readFile(recordPath(folder, reference), "utf8")) as PulledRecord;
    if (record.reference !== referenceText(reference)) return undefined;
    if (reference.digest !== undefined && record.digest !== reference.digest) return undefined;
    const signer = trust.find(({ fingerprint }) => fingerprint === record.signer);
    if (trust.length > 0 && signer === undefined) return undefined;
    const { image, file } = await getImage(folder, record.sha256);
    return image.sha256 === record.sha256 ? { image, digest: record.digest, file, signedBy: signer?.name, fetched: false } : undefined;
  } catch {
    return undefined;
  }
}

/** Of a registry that does not give what it gave before: it is away, its login is over, or somebody has removed a tag. */
const awayCodes: readonly string[] = ["MF_REGISTRY_UNREACHABLE", "MF_REGISTRY_REFUSED", "MF_REGISTRY_DENIED", "MF_ARTEFACT_MISSING"];

/**
 * The image to serve: under a digest the one that was pulled before, under a tag what the registry has now. `stale` is told why what was
 * pulled before is served instead: a registry that is away must not keep a gateway from starting.
 */
export async function pulledImage(name: string, options: PullOptions, stale: (error: CodedError) => void): Promise<Pulled> {
  const before = await kept(name, options);
  if (before !== undefined && parseReference(name).digest !== undefined) return before;
  try {
    return await pullImage(name, options);
  } catch (error) {
    const isAway = isCoded(error) && awayCodes.includes(error.code);
    if (before === undefined || !isAway) throw error;
    stale(error);
    return before;
  }
}
