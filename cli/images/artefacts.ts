/** Flows as OCI artefacts, for the commands that build and push them. */
import { stat } from "node:fs/promises";
import { dirname, resolve } from "node:path";
import { CodedError } from "#base";
import { connectors } from "#connectors";
import { loadTemplate } from "#gateway";
import { type Artefact, artefactOf, type Image, isImageFile, loadImage, readArtefact, readLayout } from "#image";
import { flowNames } from "#standalone";
import { usageError } from "../failure.ts";
import { buildFlow } from "./build.ts";

type Environment = Readonly<Record<string, string | undefined>>;

/** A flow to build: its file, and the name of its image. */
export interface NamedFlow {
  readonly name: string;
  readonly file: string;
}

/** The flows of mayfly.yaml that have a source, absolute. Secrets need not be there. Rejects with a ConfigError. */
export async function configuredFlows(config: string, env: Environment): Promise<readonly NamedFlow[]> {
  const template = await loadTemplate(config, connectors, env, () => true);
  const { flows } = template.written as { readonly flows: Readonly<Record<string, { readonly flow?: unknown } | null>> };
  return flowNames(template).flatMap((name) => {
    const file = flows[name]?.flow;
    return typeof file === "string" ? [{ name, file: resolve(dirname(resolve(config)), file) }] : [];
  });
}

/** `images.trust` of mayfly.yaml, absolute; empty where there is no such file. Rejects with a ConfigError. */
export async function configuredTrust(config: string, env: Environment): Promise<readonly string[]> {
  if ((await stat(config).catch(() => undefined)) === undefined) return [];
  const { written } = await loadTemplate(config, connectors, env, () => true);
  const trust = (written as { images?: { trust?: unknown } }).images?.trust;
  return Array.isArray(trust) ? trust.map((file) => resolve(dirname(resolve(config)), String(file))) : [];
}

/** Reads the source of `mayfly push`: a layout, an image's file, or a flow, which is built. Rejects with what reading or building it does. */
export async function artefactsOf(
  path: string,
): Promise<{ readonly isLayout: boolean; readonly artefacts: readonly Omit<Artefact, "sha256">[] }> {
  const found = await stat(path).catch(() => undefined);
  if (found === undefined)
    throw new CodedError("MF_FILE_UNREADABLE", `${path} is not there: give a folder of \`mayfly build --oci\`, an image, or a flow`);
  if (found.isDirectory()) {
    const artefacts: Omit<Artefact, "sha256">[] = [];
    for (const each of await readLayout(path)) artefacts.push(await readArtefact(path, each));
    if (artefacts.length === 0) throw usageError(`${path} has no flows: build some with \`mayfly build --oci ${path}\``);
    return { isLayout: true, artefacts };
  }
  const image: Image = (await isImageFile(path)) ? await loadImage(path) : (await buildFlow(path)).image;
  return { isLayout: false, artefacts: [artefactOf(image)] };
}
