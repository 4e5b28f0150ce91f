/** Writes an object: a short body at once, a longer one in parts that are put together in one step, so that nobody sees half of it. */
import type { MemoryAccount } from "#base";
import type { ReadableBody } from "#gateway/contract";
import { OutletError, gatewayLimits } from "#gateway/contract";
import { sha256 } from "../shared/sigv4.ts";
import { S3Error, type S3Client, textOf } from "./client.ts";
import { s3Limits } from "./limits.ts";
import { fieldOf, parseS3Error, partsText } from "./xml.ts";

export interface Upload {
  readonly key: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly signal: AbortSignal;
}

export async function putBytes(s3: S3Client, { key, headers, signal }: Upload, body: Uint8Array): Promise<void> {
  await s3.run({ method: "PUT", key, headers, body, payload: sha256(body), signal });
}

/** Parts of `partBytes`, or of more if there would be too many. One part at a time is in memory. */
export async function putStored(
  s3: S3Client,
  upload: Upload,
  stored: ReadableBody,
  { partBytes, memory }: { readonly partBytes: number; readonly memory: MemoryAccount },
): Promise<void> {
  const { key, headers, signal } = upload;
  if (stored.bytes <= partBytes) {
    const sized = { ...headers, "content-length": String(stored.bytes) };
    await s3.run({ method: "PUT", key, headers: sized, body: stored.open(), payload: stored.sha256, signal });
    return;
  }
  const uploadId = await begin(s3, upload);
  try {
    const size = Math.max(partBytes, Math.ceil(stored.bytes / s3Limits.parts));
    await complete(s3, upload, uploadId, await putParts(s3, upload, { uploadId, stored, size, memory }));
  } catch (error) {
    // Parts cost money until they are removed. If this fails too, the bucket's lifecycle has to.
    const query = [["uploadId", uploadId] as const];
    await s3.run({ method: "DELETE", key, query, signal: AbortSignal.timeout(s3Limits.abortMs) }).catch(() => {});
    throw error;
  }
}

async function begin(s3: S3Client, { key, headers, signal }: Upload): Promise<string> {
  const begun = await s3.call({ method: "POST", key, query: [["uploads", ""]], headers, signal });
  const uploadId = fieldOf(await textOf(begun, s3Limits.xmlBytes), "UploadId");
  if (uploadId === undefined || uploadId === "") throw new Error("the server began an upload without an id");
  return uploadId;
}

interface Parts {
  readonly uploadId: string;
  readonly stored: ReadableBody;
  readonly size: number;
  readonly memory: MemoryAccount;
}

/** Resolves with their ETags. */
async function putParts(s3: S3Client, { key, signal }: Upload, { uploadId, stored, size, memory }: Parts): Promise<string[]> {
  if (!(await memory.take(size, { timeoutMs: gatewayLimits.memoryWaitMs, signal })))
    throw new OutletError("MF_MEMORY_BUSY", "there is no memory for a part of the upload now", { retryable: true, origin: "gateway" });
  const stream = stored.open();
  try {
    const etags: string[] = [];
    for await (const body of inParts(stream, size)) {
      const partNumber = String(etags.length + 1);
      const query = [["partNumber", partNumber] as const, ["uploadId", uploadId] as const];
      const { etag } = await s3.run({ method: "PUT", key, query, body, payload: sha256(body), signal });
      etags.push(typeof etag === "string" ? etag : "");
    }
    return etags;
  } finally {
    stream.destroy();
    memory.give(size);
  }
}

/** The stream cut into pieces of `size` bytes; each is overwritten by the next. */
export async function* inParts(stream: AsyncIterable<Uint8Array>, size: number): AsyncGenerator<Uint8Array> {
  const part = new Uint8Array(size);
  let filled = 0;
  for await (const piece of stream) {
    for (let at = 0; at < piece.length; ) {
      const taken = piece.subarray(at, at + size - filled);
      part.set(taken, filled);
      filled += taken.length;
      at += taken.length;
      if (filled < size) continue;
      yield part;
      filled = 0;
    }
  }
  if (filled > 0) yield part.subarray(0, filled);
}

/** The server may answer 200 and fail after that. */
async function complete(s3: S3Client, { key, signal }: Upload, uploadId: string, etags: readonly string[]): Promise<void> {
  const body = partsText(etags);
  const query = [["uploadId", uploadId] as const];
  const text = await textOf(await s3.call({ method: "POST", key, query, body, payload: sha256(body), signal }), s3Limits.xmlBytes);
  const { code, message } = parseS3Error(text);
  if (code !== "") throw new S3Error(500, code, message);
}
