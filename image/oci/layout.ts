/**
 * An OCI image layout (image-spec 1.1): a folder of artefacts that other tools (`oras`, `skopeo`, `crane`) copy as well.
 *
 *     oci-layout · index.json · blobs/sha256/DIGITS
 */
import { mkdir, readFile, rename, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { CodedError, toUtf8 } from "#base";
import { type Artefact, checkBlob, type Descriptor, descriptorOf, mediaTypes, parseManifest, parseObject } from "./artefact.ts";
import { ociLimits } from "./limits.ts";

/** Annotation of an index: the name of an artefact. */
const refName = "org.opencontainers.image.ref.name";

/** An artefact in a layout. */
export interface LaidOut {
  readonly flow: string;
  readonly manifest: Descriptor;
}

function blobPath(folder: string, digest: string): string {
  return join(folder, "blobs", "sha256", digest.slice("sha256:".length));
}

function unusable(folder: string, why: string, cause?: unknown): CodedError {
  return new CodedError(
    "MF_OCI_LAYOUT",
    `${folder} is not an OCI layout with flows, ${why}: make one with \`mayfly build --oci ${folder}\``,
    cause === undefined ? undefined : { cause },
  );
}

/** Written beside and renamed, so that nobody reads half of it. */
async function writeBeside(path: string, bytes: Uint8Array): Promise<void> {
  await writeFile(`${path}.tmp`, bytes);
  await rename(`${path}.tmp`, path);
}

/** Adds artefacts to the layout in `folder`, which is made where it is not there. One of the same flow is replaced; its blobs stay. Throws MF_OCI_LAYOUT, MF_FILE_UNWRITABLE. */
export async function writeLayout(folder: string, artefacts: readonly Artefact[]): Promise<void> {
  const before = (await isLayout(folder)) ? await readLayout(folder) : [];
  const names = new Set(artefacts.map(({ flow }) => flow));
  const added = artefacts.map(({ flow, manifest }): LaidOut => {
    const { digest, bytes } = manifest;
    return { flow, manifest: { mediaType: mediaTypes.manifest, digest, size: bytes.length, artifactType: mediaTypes.flow } };
  });
  const all = [...before.filter(({ flow }) => !names.has(flow)), ...added].sort((a, b) => (a.flow < b.flow ? -1 : 1));
  if (all.length > ociLimits.artefacts) throw unusable(folder, `it would have more than ${ociLimits.artefacts}`);
  const index = {
    schemaVersion: 2,
    mediaType: mediaTypes.index,
    manifests: all.map(({ flow, manifest }) => ({ ...manifest, annotations: { [refName]: flow } })),
  };
  try {
    await mkdir(join(folder, "blobs", "sha256"), { recursive: true });
    for (const { manifest, blobs } of artefacts)
      for (const { digest, bytes } of [...blobs, manifest]) await writeBeside(blobPath(folder, digest), bytes);
    await writeBeside(join(folder, "oci-layout"), toUtf8('{"imageLayoutVersion":"1.0.0"}'));
    await writeBeside(join(folder, "index.json"), toUtf8(JSON.stringify(index)));
  } catch (cause) {
    throw new CodedError("MF_FILE_UNWRITABLE", `the layout can't be written to ${folder}: ${(cause as Error).message}`, { cause });
  }
}

/** True where there is the file that says so. */
export async function isLayout(folder: string): Promise<boolean> {
  return (await stat(join(folder, "oci-layout")).catch(() => undefined))?.isFile() === true;
}

/** Throws MF_OCI_LAYOUT. */
export async function readLayout(folder: string): Promise<readonly LaidOut[]> {
  let manifests: unknown;
  try {
    ({ manifests } = parseObject(await readBounded(join(folder, "index.json"), ociLimits.manifestBytes), "index"));
  } catch (cause) {
    throw unusable(folder, cause instanceof CodedError ? "its index can't be read" : "it has no index", cause);
  }
  if (!Array.isArray(manifests) || manifests.length > ociLimits.artefacts)
    throw unusable(folder, "its index has no list, or too long a one");
  return manifests.map((each) => {
    const manifest = descriptorOf(each);
    const flow = manifest?.annotations?.[refName];
    if (manifest === undefined || flow === undefined) throw unusable(folder, "its index has an entry without a digest or a name");
    const { mediaType, artifactType, digest, size } = manifest;
    return { flow, manifest: { mediaType, digest, size, ...(artifactType === undefined ? {} : { artifactType }) } };
  });
}

async function readBounded(path: string, most: number): Promise<Uint8Array> {
  const { size } = await stat(path);
  if (size > most) throw new CodedError("MF_ARTEFACT_INVALID", `${path} has ${size} bytes, more than ${most}`);
  return await readFile(path);
}

/** The artefact with all its blobs, compared with their digests. Throws MF_OCI_LAYOUT or MF_ARTEFACT_INVALID. */
export async function readArtefact(folder: string, { flow, manifest }: LaidOut): Promise<Omit<Artefact, "sha256">> {
  const read = async (descriptor: Descriptor): Promise<{ readonly digest: string; readonly bytes: Uint8Array }> => {
    const bytes = await readBounded(blobPath(folder, descriptor.digest), descriptor.size).catch((cause: unknown) => {
      if (cause instanceof CodedError) throw cause;
      throw unusable(folder, `the blob ${descriptor.digest} is not there`, cause);
    });
    checkBlob(descriptor, bytes);
    return { digest: descriptor.digest, bytes };
  };
  if (manifest.size > ociLimits.manifestBytes) throw unusable(folder, "its index names a manifest that is too long");
  const whole = await read(manifest);
  const { layers } = parseManifest(whole.bytes);
  const { config } = parseObject(whole.bytes, "manifest");
  const needed = [descriptorOf(config), ...layers].filter((each) => each !== undefined);
  return { flow, manifest: whole, blobs: await Promise.all(needed.map(read)) };
}
