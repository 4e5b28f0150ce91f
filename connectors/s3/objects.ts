/** Steps of the source: list objects, read one, and move, delete or tag one whose message has ended. */
import { extname } from "node:path/posix";
import { CodedError } from "#base";
import { S3Error, type S3Client, type S3Response, textOf } from "./client.ts";
import { s3Limits } from "./limits.ts";
import { parseListing, parseS3Error, parseTags, type S3Object, type Tags, tagsText, unquoted } from "./xml.ts";
import { sha256 } from "../shared/sigv4.ts";

/** An object as it was: another upload under the same key is another object. */
export type Version = Pick<S3Object, "etag" | "timeMs">;

/** Name of the tag of objects that are done. Its value names the version it was put on: it does not count for another. */
const tagName = "mayfly";

export const isMissing = (error: unknown): boolean => error instanceof S3Error && error.status === 404 && error.code !== "NoSuchBucket";
/** The object is not the version that was asked for. */
export const isOther = (error: unknown): boolean => error instanceof S3Error && error.status === 412;

export interface Listing {
  readonly prefix: string;
  /** Objects of a page, unless there are fewer. */
  readonly most?: number;
  /** Goes on behind the page that had this `next`. */
  readonly after?: string | undefined;
  readonly signal: AbortSignal;
}

export interface ListedPage {
  readonly objects: readonly S3Object[];
  /** Undefined for the last page. */
  readonly next: string | undefined;
}

/** Objects below `prefix` in the order of their keys, page by page. Throws MF_S3_LISTING when a page leads to itself. */
export async function* listed(s3: S3Client, { prefix, most, after, signal }: Listing): AsyncGenerator<ListedPage> {
  let next = after;
  do {
    const query: [string, string][] = [
      ["list-type", "2"],
      ["encoding-type", "url"],
      ["max-keys", String(Math.min(most ?? s3Limits.pageObjects, s3Limits.pageObjects))],
      ["prefix", prefix],
    ];
    if (next !== undefined) query.push(["continuation-token", next]);
    const page = parseListing(await s3.text({ method: "GET", query, signal }));
    if (page.next !== undefined && page.next === next)
      throw new CodedError("MF_S3_LISTING", "the server's listing does not end: its next page is the same again. Check the server");
    yield page;
    next = page.next;
  } while (next !== undefined);
}

/** The object, if it is still this version. */
export function read(s3: S3Client, key: string, { etag }: Version, signal: AbortSignal): Promise<S3Response> {
  return s3.call({ method: "GET", key, headers: etag === "" ? {} : { "if-match": `"${etag}"` }, signal });
}

/** Headers of the object; undefined for a missing one. */
export async function head(s3: S3Client, key: string, signal: AbortSignal): Promise<S3Response["headers"] | undefined> {
  return s3.run({ method: "HEAD", key, signal }).catch((error: unknown) => {
    if (isMissing(error)) return undefined;
    throw error;
  });
}

/** True if the object is still this version, false if it is another, undefined if it is missing. */
async function isStill(s3: S3Client, key: string, { etag }: Version, signal: AbortSignal): Promise<boolean | undefined> {
  const headers = await head(s3, key, signal);
  return headers === undefined ? undefined : unquoted(headers["etag"]) === etag;
}

/** Result of an end: carried out; left undone since the object had become another one; or somebody had taken it away. */
export type Ending = "ended" | "changed" | "missing";

/** A version that is not the newest is left alone. S3 can't compare and delete in one step: an upload in the same instant is lost. */
export async function remove(s3: S3Client, key: string, version: Version, signal: AbortSignal): Promise<Ending> {
  const still = await isStill(s3, key, version, signal);
  if (still !== true) return still === undefined ? "missing" : "changed";
  await s3.run({ method: "DELETE", key, signal });
  return "ended";
}

/**
 * Copies the object as this version. Another object that has the name already stays, and the copy gets a name beside it; one with the same
 * content is the copy, whose answer was lost.
 */
export async function copy(s3: S3Client, key: string, to: string, version: Version, signal: AbortSignal): Promise<Ending> {
  const there = await head(s3, to, signal);
  const isKnown = version.etag !== ""; // without an ETag nothing tells two objects apart
  if (isKnown && there !== undefined && unquoted(there["etag"]) === version.etag) return "ended";
  const target = there === undefined ? to : nameBeside(to, version);
  const headers = { "x-amz-copy-source": s3.copySource(key), ...(isKnown ? { "x-amz-copy-source-if-match": `"${version.etag}"` } : {}) };
  try {
    const text = await textOf(await s3.call({ method: "PUT", key: target, headers, signal }), s3Limits.xmlBytes); // may take its time
    const { code, message } = parseS3Error(text); // an error may come behind the status 200
    if (code !== "") throw new S3Error(500, code, message);
    return "ended";
  } catch (error) {
    if (isOther(error)) return "changed";
    if (isMissing(error)) return "missing";
    throw error;
  }
}

function nameBeside(key: string, { timeMs, etag }: Version): string {
  const extension = extname(key);
  const stem = extension === "" ? key : key.slice(0, -extension.length);
  return `${stem}~${timeMs.toString(36)}-${sha256(etag).slice(0, 8)}${extension}`;
}

/** Characters that S3 allows in the value of a tag. */
const valueOf = (how: string, { etag }: Version): string => `${how}:${/^[A-Za-z0-9-]*$/.test(etag) ? etag : sha256(etag)}`;

async function tagsOf(s3: S3Client, key: string, signal: AbortSignal): Promise<Tags> {
  return parseTags(await s3.text({ method: "GET", key, query: [["tagging", ""]], signal }));
}

export async function isTagged(s3: S3Client, key: string, version: Version, signal: AbortSignal): Promise<boolean> {
  const value = (await tagsOf(s3, key, signal)).get(tagName);
  return value === valueOf("done", version) || value === valueOf("failed", version);
}

export async function tag(s3: S3Client, key: string, how: "done" | "failed", version: Version, signal: AbortSignal): Promise<Ending> {
  const still = await isStill(s3, key, version, signal);
  if (still !== true) return still === undefined ? "missing" : "changed";
  const tags = new Map(await tagsOf(s3, key, signal)).set(tagName, valueOf(how, version));
  if (tags.size > s3Limits.tags)
    throw new CodedError("MF_S3_TAGS", `an object has ${s3Limits.tags} tags already, the most there can be: remove one, or set \`after\``);
  const body = tagsText(tags);
  await s3.run({ method: "PUT", key, query: [["tagging", ""]], body, payload: sha256(body), signal });
  return "ended";
}
