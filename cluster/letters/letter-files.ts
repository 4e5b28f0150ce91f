/**
 * The files of dead letters as messages of a stream that all nodes share: the same paths as in a folder, each file whole or not there.
 *
 *   PREFIX.f.FLOW.FILE              a file: its bytes, or how many parts it has
 *   PREFIX.p.FLOW.FILE.WRITE.PART   bytes of a file that is longer than a message; WRITE is random, so that two nodes that write the same
 *                                   letter don't mix theirs
 *   header  1 WRITE PARTS BYTES CRC       PARTS is 0 when the message has the bytes; BYTES and CRC-32 of the whole file
 *
 * The newest message of a subject counts, and the stream keeps no other. A file is written under a temporary name, as in a folder; here it is
 * in memory until it is renamed, and the parts come before the message that counts them.
 */
import { randomBytes } from "node:crypto";
import { crc32 } from "node:zlib";
import { CodedError, concatBytes } from "#base";
import type { DeadLetterFs } from "#gateway";
import { longestFileBytes, unnamedAtMost } from "./limits.ts";

/** Messages of a stream of which each subject has one. */
export interface SubjectStore {
  readonly name: string;
  /** Subjects begin with this and a dot. */
  readonly prefix: string;
  /** Longest data of a message, in bytes. */
  readonly mostBytes: number;
  put(subject: string, header: string, data: Uint8Array): Promise<void>;
  get(subject: string): Promise<{ readonly header: string; readonly data: Uint8Array } | undefined>;
  /** Subjects that fit a filter with wildcards. */
  subjects(filter: string): Promise<readonly string[]>;
  /** Removes what fits a filter. */
  purge(filter: string): Promise<void>;
}

const headerForm = /^1 ([0-9a-f]{16}) (0|[1-9][0-9]{0,5}) (0|[1-9][0-9]{0,9}) ([0-9a-f]{8})$/;

/** A part of a path as a token of a subject, and back. */
export function tokenOf(text: string): string {
  const token = [...Buffer.from(text)].map((byte) => {
    const character = String.fromCharCode(byte);
    return /[A-Za-z0-9_-]/.test(character) ? character : `=${byte.toString(16).padStart(2, "0")}`;
  });
  return token.join("");
}

export function textOf(token: string): string {
  const bytes: number[] = [];
  for (const [, escaped, plain = ""] of token.matchAll(/=([0-9a-f]{2})|([^=])/g))
    bytes.push(escaped === undefined ? plain.charCodeAt(0) : Number.parseInt(escaped, 16));
  return Buffer.from(bytes).toString();
}

function missing(path: string): Error {
  return Object.assign(new Error(`ENOENT: ${path} does not exist`), { code: "ENOENT" });
}

/** FLOW and FILE of a path below the folder of letters. */
function tokensOf(path: string): string {
  const parts = path.split("/").slice(1);
  if (parts.length !== 2 || parts.some((part) => part === "")) throw missing(path);
  return parts.map(tokenOf).join(".");
}

/** Dead letters on a stream: paths are `FOLDER/FLOW/FILE`, of whatever folder. */
export function letterFiles(store: SubjectStore): DeadLetterFs {
  const unnamed = new Map<string, Uint8Array>();
  return {
    mkdir: async () => undefined,
    open: async (path, flags) => {
      if (flags !== "r") {
        if (unnamed.size >= unnamedAtMost) throw new Error("too many letters are being written");
        unnamed.set(path, new Uint8Array(0));
      }
      return {
        writeFile: async (data) => {
          unnamed.set(path, typeof data === "string" ? Buffer.from(data) : data);
        },
        datasync: async () => undefined,
        close: async () => undefined,
      };
    },
    rename: async (from, to) => {
      const bytes = unnamed.get(from);
      if (bytes === undefined) throw missing(from);
      await putFile(store, to, bytes);
      unnamed.delete(from);
    },
    readdir: async (path) => {
      const [, flow] = path.split("/");
      const depth = store.prefix.split(".").length + (flow === undefined ? 1 : 2);
      const filter = flow === undefined ? `${store.prefix}.f.>` : `${store.prefix}.f.${tokenOf(flow)}.*`;
      const names = (await store.subjects(filter)).map((subject) => textOf(subject.split(".")[depth] ?? ""));
      if (names.length === 0) throw missing(path);
      return [...new Set(names)];
    },
    readFile: (path) => getFile(store, path),
    stat: async (path) => ({ size: (await getFile(store, path)).length }),
    rm: async (path) => {
      if (unnamed.delete(path)) return;
      const tokens = tokensOf(path);
      await store.purge(`${store.prefix}.f.${tokens}`);
      await store.purge(`${store.prefix}.p.${tokens}.>`);
    },
  };
}

async function putFile(store: SubjectStore, path: string, bytes: Uint8Array): Promise<void> {
  if (bytes.length > longestFileBytes) throw new Error(`${path} has ${bytes.length} bytes, and at most ${longestFileBytes} are kept`);
  const tokens = tokensOf(path);
  const write = randomBytes(8).toString("hex");
  const parts = bytes.length > store.mostBytes ? Math.ceil(bytes.length / store.mostBytes) : 0;
  const header = `1 ${write} ${parts} ${bytes.length} ${crc32(bytes).toString(16).padStart(8, "0")}`;
  for (let part = 0; part < parts; part++) {
    const data = bytes.subarray(part * store.mostBytes, (part + 1) * store.mostBytes);
    await store.put(`${store.prefix}.p.${tokens}.${write}.${part}`, header, data);
  }
  await store.put(`${store.prefix}.f.${tokens}`, header, parts === 0 ? bytes : new Uint8Array(0));
}

async function getFile(store: SubjectStore, path: string): Promise<Uint8Array> {
  const tokens = tokensOf(path);
  const message = await store.get(`${store.prefix}.f.${tokens}`);
  if (message === undefined) throw missing(path);
  const [, write = "", partsText, bytesText, crc] = headerForm.exec(message.header) ?? [];
  const parts = Number(partsText ?? -1);
  const pieces: Uint8Array[] = parts === 0 ? [message.data] : [];
  let length = message.data.length;
  for (let part = 0; part < parts && length <= longestFileBytes; part++) {
    const piece = await store.get(`${store.prefix}.p.${tokens}.${write}.${part}`);
    if (piece === undefined || piece.header !== message.header) throw damaged(store, path);
    pieces.push(piece.data);
    length += piece.data.length;
  }
  const bytes = pieces.length === 1 ? (pieces[0] as Uint8Array) : concatBytes(pieces);
  if (bytes.length !== Number(bytesText) || crc32(bytes).toString(16).padStart(8, "0") !== crc) throw damaged(store, path);
  return bytes;
}

function damaged({ name }: SubjectStore, path: string): CodedError {
  return new CodedError(
    "MF_DEAD_LETTER_READ",
    `stream ${name} has other bytes for ${path} than were written: let nobody else publish to its subjects, and drop the letter or restore the stream`,
  );
}
