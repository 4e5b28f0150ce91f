/**
 * Changes of a partition's files, as messages of its stream: what the change is stands in one header line, bytes that are written are
 * the data.
 *
 *   subject   PREFIX.owner          take-overs
 *             PREFIX.removed        removals of files
 *             PREFIX.f.LIFE         all else of one file: LIFE is the number of the message that created it, so no two files share one
 *   header    1 KIND WRITER COUNTER INDEX ARGUMENT BYTES DATACRC HEADCRC
 *
 *     KIND      own · create · write · truncate · rename · remove
 *     WRITER    random, of one opening of the disk; COUNTER numbers its changes, upwards
 *     INDEX     counts the messages of one file's subject, from 0 for its creation, so that a missing one is noticed
 *     ARGUMENT  own: the node's name; create, rename: the file's name; write: offset; truncate: length; remove: LIFE
 *     BYTES, DATACRC   length and CRC-32 of the data
 *     HEADCRC   CRC-32 of the subject, a space, and all before it: a message read without its data is checked as well
 */
import { crc32 } from "node:zlib";
import { longestName, longestNode } from "./limits.ts";
import type { LogMessage, NewLogMessage } from "./replicated-log.ts";

export type EntryKind = "own" | "create" | "write" | "truncate" | "rename" | "remove";

export interface Entry {
  readonly kind: EntryKind;
  readonly writer: string;
  readonly counter: number;
  /** Of the file; 0 for a take-over. */
  readonly life: number;
  /** 0 for take-overs and removals. */
  readonly index: number;
  /** Name of the node or the file; empty for other kinds. */
  readonly name: string;
  /** Offset of a write, length of a truncation. */
  readonly at: number;
  /** Length of the data. */
  readonly bytes: number;
}

export const noData = new Uint8Array(0);

const version = "1";
const writerForm = /^[0-9a-z]{8,32}$/;
const fileForm = /^[A-Za-z0-9][A-Za-z0-9._/-]*$/;
const nodeForm = /^[A-Za-z0-9][A-Za-z0-9_.-]*$/;
const numberForm = /^(?:0|[1-9][0-9]{0,15})$/;
const crcForm = /^[0-9a-f]{8}$/;

export function isFileName(name: string): boolean {
  return name.length <= longestName && fileForm.test(name);
}

export function isNodeName(name: string): boolean {
  return name.length <= longestNode && nodeForm.test(name);
}

export function ownerSubject(prefix: string): string {
  return `${prefix}.owner`;
}

export function removedSubject(prefix: string): string {
  return `${prefix}.removed`;
}

export function subjectOfLife(prefix: string, life: number): string {
  return `${prefix}.f.${life}`;
}

function hex(crc: number): string {
  return crc.toString(16).padStart(8, "0");
}

function argumentOf({ kind, life, name, at }: Entry): string {
  if (kind === "remove") return String(life);
  return kind === "write" || kind === "truncate" ? String(at) : name;
}

function subjectOf(prefix: string, { kind, life }: Entry): string {
  if (kind === "own") return ownerSubject(prefix);
  return kind === "remove" ? removedSubject(prefix) : subjectOfLife(prefix, life);
}

export function encodeEntry(prefix: string, entry: Entry, data: Uint8Array): NewLogMessage {
  const { kind, writer, counter, index, bytes } = entry;
  const subject = subjectOf(prefix, entry);
  const head = `${version} ${kind} ${writer} ${counter} ${index} ${argumentOf(entry)} ${bytes} ${hex(crc32(data))}`;
  return { subject, header: `${head} ${hex(crc32(`${subject} ${head}`))}`, data };
}

/** A whole number as it is written, undefined for anything else. */
function numberIn(text: string | undefined): number | undefined {
  if (text === undefined || !numberForm.test(text)) return undefined;
  const number = Number(text);
  return Number.isSafeInteger(number) ? number : undefined;
}

const kinds: ReadonlySet<string> = new Set(["own", "create", "write", "truncate", "rename", "remove"] satisfies EntryKind[]);

/** Never throws; returns undefined if the message is malformed, damaged or not of this log. Looks at the data if `whole`. */
export function decodeEntry(prefix: string, { subject, header, data }: Omit<LogMessage, "sequence">, whole: boolean): Entry | undefined {
  const parts = header.split(" ");
  const [form, kindText = "", writer = "", counterText, indexText, argument = "", bytesText, dataCrc = "", headCrc = ""] = parts;
  if (parts.length !== 9 || form !== version || !kinds.has(kindText) || !writerForm.test(writer)) return undefined;
  const head = header.slice(0, -9);
  if (!crcForm.test(dataCrc) || headCrc !== hex(crc32(`${subject} ${head}`))) return undefined;
  const kind = kindText as EntryKind;
  const [counter, index, bytes] = [numberIn(counterText), numberIn(indexText), numberIn(bytesText)];
  const argued = readArgument(kind, argument);
  const life = argued?.life ?? lifeIn(prefix, subject);
  if (counter === undefined || index === undefined || bytes === undefined || argued === undefined || life === undefined) return undefined;
  const entry: Entry = { kind, writer, counter, life, index, bytes, name: argued.name, at: argued.at };
  if (subjectOf(prefix, entry) !== subject || (index === 0) !== ["own", "create", "remove"].includes(kind)) return undefined;
  if (kind !== "write" && bytes !== 0) return undefined;
  if (whole && (data.length !== bytes || hex(crc32(data)) !== dataCrc)) return undefined;
  return entry;
}

function lifeIn(prefix: string, subject: string): number | undefined {
  const start = `${prefix}.f.`;
  const life = subject.startsWith(start) ? numberIn(subject.slice(start.length)) : undefined;
  return life === 0 ? undefined : life;
}

interface Argued {
  readonly name: string;
  readonly at: number;
  /** Absent: the subject has it. */
  readonly life?: number;
}

function readArgument(kind: EntryKind, argument: string): Argued | undefined {
  if (kind === "own") return isNodeName(argument) ? { name: argument, at: 0, life: 0 } : undefined;
  if (kind === "create" || kind === "rename") return isFileName(argument) ? { name: argument, at: 0 } : undefined;
  const number = numberIn(argument);
  if (number === undefined) return undefined;
  if (kind === "remove") return number === 0 ? undefined : { name: "", at: 0, life: number };
  return { name: "", at: number };
}
