/** Answers of S3, which are XML: read tolerantly, since they come from many makes of servers. */
import { parseXml, XmlElement } from "@rgrove/parse-xml";

export interface S3Object {
  readonly key: string;
  readonly size: number;
  readonly timeMs: number;
  /** Without quotes. */
  readonly etag: string;
}

export interface Listing {
  readonly objects: readonly S3Object[];
  /** Absent: this was the last page. */
  readonly next: string | undefined;
}

/** Undefined for what is not XML. */
function rootOf(text: string): XmlElement | undefined {
  try {
    return parseXml(text).root ?? undefined;
  } catch {
    return undefined;
  }
}

const elements = (parent: XmlElement, name: string): XmlElement[] =>
  parent.children.filter((child): child is XmlElement => child instanceof XmlElement && child.name === name);

const textIn = (parent: XmlElement | undefined, name: string): string | undefined =>
  parent === undefined ? undefined : elements(parent, name)[0]?.text;

/** Throws if it is no listing. */
export function parseListing(text: string): Listing {
  const root = rootOf(text);
  if (root?.name !== "ListBucketResult") throw new Error("the server answered a listing with something else: check `endpoint`");
  const encoded = textIn(root, "EncodingType") === "url";
  const objects = elements(root, "Contents").map((each): S3Object => {
    const key = textIn(each, "Key") ?? "";
    return {
      key: encoded ? decoded(key) : key,
      size: Number(textIn(each, "Size") ?? 0),
      timeMs: Date.parse(textIn(each, "LastModified") ?? "") || 0,
      etag: unquoted(textIn(each, "ETag")),
    };
  });
  const next = textIn(root, "IsTruncated") === "true" ? textIn(root, "NextContinuationToken") : undefined;
  return { objects, next };
}

/** As forms encode: a space is `+`. What is not encoded so is the key itself. */
function decoded(key: string): string {
  try {
    return decodeURIComponent(key.replaceAll("+", "%20"));
  } catch {
    return key;
  }
}

export const unquoted = (etag: unknown): string => (typeof etag === "string" ? etag.replace(/^W\//, "").replace(/^"|"$/g, "") : "");

/** Empty texts where there is no error in it. */
export function parseS3Error(text: string): { readonly code: string; readonly message: string } {
  const root = rootOf(text);
  const error = root?.name === "Error" ? root : undefined;
  return { code: textIn(error, "Code") ?? "", message: textIn(error, "Message") ?? "" };
}

/** Text of the first element so named below the root. */
export const fieldOf = (text: string, name: string): string | undefined => textIn(rootOf(text), name);

export type Tags = ReadonlyMap<string, string>;

export function parseTags(text: string): Tags {
  const root = rootOf(text);
  const set = root === undefined ? undefined : elements(root, "TagSet")[0];
  const tags = set === undefined ? [] : elements(set, "Tag");
  return new Map(tags.map((tag) => [textIn(tag, "Key") ?? "", textIn(tag, "Value") ?? ""]));
}

const escaped = (text: string): string => text.replace(/[&<>"]/g, (char) => `&#${char.charCodeAt(0)};`);

export function tagsText(tags: Tags): string {
  const all = [...tags].map(([key, value]) => `<Tag><Key>${escaped(key)}</Key><Value>${escaped(value)}</Value></Tag>`);
  return `<Tagging><TagSet>${all.join("")}</TagSet></Tagging>`;
}

/** Body of the request that ends an upload in parts. */
export function partsText(etags: readonly string[]): string {
  const all = etags.map((etag, at) => `<Part><PartNumber>${at + 1}</PartNumber><ETag>${escaped(etag)}</ETag></Part>`);
  return `<CompleteMultipartUpload>${all.join("")}</CompleteMultipartUpload>`;
}
