/** Images: built of files and code, read from bytes, and remembered by their hash as long as somebody has them. */
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { basename, dirname, join, relative, resolve } from "node:path";
import { CodedError, isCoded } from "#base";
import { buildExplained, type Image as Frozen, readImage, StackMapper } from "#image";
import { buildApart } from "./builder.ts";
import type { BuildOptions, Image, ImageSource } from "./embed.d.ts";
import { optionError } from "./errors.ts";
import { checkNames } from "./options.ts";
import { embedLimits } from "./limits.ts";

/** An image as it is handed out, with what only this process knows of it. */
export class GuestImage implements Image {
  readonly name: string;
  readonly hash: string;
  readonly outlets: readonly string[] | null;
  readonly frozen: Frozen;
  readonly places: StackMapper;

  /** `folder`: where the source lies; undefined: places are relative to it. */
  constructor(frozen: Frozen, folder?: string) {
    this.name = frozen.manifest.name;
    this.hash = frozen.sha256;
    this.outlets = frozen.manifest.outlets;
    this.frozen = frozen;
    this.places = StackMapper.of(frozen, folder);
    remembered.set(this.hash, new WeakRef(this));
    forgotten.register(this, this.hash);
  }

  get bytes(): Uint8Array {
    return this.frozen.bytes;
  }
}

const remembered = new Map<string, WeakRef<GuestImage>>();
const forgotten = new FinalizationRegistry<string>((hash) => {
  if (remembered.get(hash)?.deref() === undefined) remembered.delete(hash);
});

/** Throws MF_EMBED_IMAGE, MF_EMBED_OPTION and what `readImage` throws. */
export function imageFrom(image: Image | Uint8Array): GuestImage {
  if (image instanceof GuestImage) return image;
  const bytes = image instanceof Uint8Array ? image : (image as Partial<Image> | null | undefined)?.bytes;
  if (!(bytes instanceof Uint8Array)) throw optionError("an image is what `build` gives, or the bytes of a .mfi file");
  return new GuestImage(readImage(Uint8Array.from(bytes)));
}

/** Throws MF_EMBED_IMAGE. */
export function knownImage(hash: string): GuestImage {
  const known = remembered.get(hash)?.deref();
  if (known !== undefined) return known;
  throw new CodedError("MF_EMBED_IMAGE", `the recording's image ${hash.slice(0, 12)} is not loaded here: pass it to replay`);
}

/** Makes a folder for strangers' files; the build sees nothing above it, and errors name the files alone. */
export async function inFolder<T>(files: Readonly<Record<string, string>>, work: (folder: string) => Promise<T>): Promise<T> {
  const folder = await mkdtemp(join(tmpdir(), "mayfly-embed-"));
  try {
    await Promise.all(Object.entries({ "mayfly.yaml": "", ...files }).map(([name, text]) => writeFile(join(folder, name), text)));
    return await work(folder);
  } catch (error) {
    if (!isCoded(error)) throw error;
    // As the bundler, the type checker and stacks name it. One may be the end of another: "/tmp/x" of "../../tmp/x", "tmp/x" of "/tmp/x".
    const names = [folder, relative(process.cwd(), folder), basename(folder)].sort((a, b) => b.length - a.length);
    const message = names.reduce((text, name) => text.replaceAll(`${name}/`, ""), error.message);
    throw new CodedError(error.code, message, { cause: error.cause });
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

export function checkCode(code: string, mostCharacters: number): void {
  if (typeof code !== "string" || code.trim() === "") throw optionError("code must be a text");
  if (code.length > mostCharacters) throw optionError(`the code has ${code.length} characters, more than ${mostCharacters}`);
  if (/[\ud800-\udfff]/u.test(code)) throw optionError("the code holds half a surrogate pair: it can't be written as UTF-8");
}

export async function build(source: ImageSource, options: BuildOptions = {}): Promise<Image> {
  if (source instanceof Uint8Array) return imageFrom(source);
  checkNames(source, "what to build", ["file", "code"]);
  checkNames(options, "the options of build", ["name", "check", "include"]);
  const { name, check, include } = options;
  if (name !== undefined && !/^[\w.-]{1,64}$/.test(name)) throw optionError("name must be 1 to 64 letters, digits, . _ or -");
  if ("file" in source) {
    const { file } = source;
    if (typeof file !== "string") throw optionError("file must be a path");
    const folders = include?.map((each) => resolve(each));
    const { image } = await buildExplained(file, { check: check ?? true, include: folders, ...(name === undefined ? {} : { name }) });
    return new GuestImage(image, dirname(resolve(file)));
  }
  const { code } = source;
  checkCode(code, embedLimits.codeCharacters);
  const called = name ?? "code";
  return new GuestImage(readImage(await buildApart({ kind: "flow", code, name: called, check: check === true })));
}

/** In the process that builds. */
export function buildCode({
  code,
  name,
  check,
}: {
  readonly code: string;
  readonly name: string;
  readonly check: boolean;
}): Promise<Frozen> {
  return inFolder({ [`${name}.ts`]: code }, async (folder) => {
    const path = join(folder, `${name}.ts`);
    return (await buildExplained(path, { name, check, alone: [path] })).image;
  });
}
