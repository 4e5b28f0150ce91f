/** A mail taken apart, as the body and headers of a message. Pure. */
import { createHash } from "node:crypto";
import type { Address, Attachment, Email } from "postal-mime";
import { imapLimits } from "./limits.ts";

/** A mail as a form: text, html and attachments as parts, the rest as headers. */
export interface MailForm {
  readonly contentType: string;
  readonly body: Uint8Array;
  readonly headers: readonly (readonly [name: string, value: string])[];
}

const mediaType = /^[a-z0-9!#$&^_.+-]{1,127}\/[a-z0-9!#$&^_.+-]{1,127}$/;

/** A name in a Content-Disposition, as HTML's forms write it. */
function quoted(name: string): string {
  return name.replaceAll('"', "%22").replaceAll("\r", "%0D").replaceAll("\n", "%0A");
}

/** The last part of a path, without control characters. */
function fileNameOf({ filename, mimeType }: Attachment, index: number): string {
  const plain = (filename ?? "").replace(/[\p{Cc}\p{Cf}]/gu, "").replace(/^.*[/\\]/s, "");
  const name = plain.slice(0, imapLimits.nameCharacters).replace(/[\ud800-\udbff]$/, "");
  return name === "" || name === "." || name === ".." ? `attachment-${index + 1}${mimeType === "message/rfc822" ? ".eml" : ""}` : name;
}

function bytesOf({ content }: Attachment): Uint8Array {
  return typeof content === "string" ? Buffer.from(content) : new Uint8Array(content as ArrayBuffer);
}

/** Addresses without the names before them: who writes a name may write another's address there. */
function addressesOf(list: readonly Address[] | undefined): string | undefined {
  const found = (list ?? []).flatMap((each) => (each.group === undefined ? [each.address] : each.group.map(({ address }) => address)));
  const some = found.filter((address): address is string => address !== undefined && address !== "").slice(0, imapLimits.addresses);
  return some.length === 0 ? undefined : some.join(", ");
}

function headersOf(mail: Email): [string, string][] {
  const { from, to, cc, replyTo, subject, date, messageId, inReplyTo, references } = mail;
  const pairs: readonly (readonly [string, string | undefined])[] = [
    ["mail-from", addressesOf(from === undefined ? [] : [from])],
    ["mail-from-name", from?.name === "" ? undefined : from?.name],
    ["mail-to", addressesOf(to)],
    ["mail-cc", addressesOf(cc)],
    ["mail-reply-to", addressesOf(replyTo)],
    ["mail-subject", subject],
    ["mail-date", date],
    ["mail-message-id", messageId],
    ["mail-in-reply-to", inReplyTo],
    ["mail-references", references],
  ];
  return pairs.flatMap(([name, value]) => (value === undefined || value === "" ? [] : [[name, value] as [string, string]]));
}

/** The Message-ID among the headers of a mail, without taking it apart. */
export function messageIdOf(raw: Uint8Array): string | undefined {
  const head = Buffer.from(raw.buffer, raw.byteOffset, Math.min(raw.length, imapLimits.messageIdBytes)).toString("latin1");
  const end = head.search(/\r?\n\r?\n/);
  const found = /(?:^|\n)message-id:[ \t]*(?:\r?\n[ \t]+)?([^\r\n]{1,998})/i.exec(end < 0 ? head : head.slice(0, end));
  return found?.[1]?.trim() || undefined;
}

interface Part {
  readonly head: string;
  readonly bytes: Uint8Array;
}

function field(name: string, text: string | undefined): Part[] {
  return text === undefined ? [] : [{ head: `Content-Disposition: form-data; name="${name}"`, bytes: Buffer.from(text) }];
}

function file(attachment: Attachment, index: number): Part {
  const type = attachment.mimeType.toLowerCase();
  const shown = mediaType.test(type) ? type : "application/octet-stream";
  const disposition = `Content-Disposition: form-data; name="attachment"; filename="${quoted(fileNameOf(attachment, index))}"`;
  return { head: `${disposition}\r\nContent-Type: ${shown}`, bytes: bytesOf(attachment) };
}

/** A multipart body. `boundary` is a hash of the whole mail: no part can have it in it. */
function multipart(parts: readonly Part[], boundary: string): Uint8Array {
  const pieces = parts.flatMap(({ head, bytes }) => [Buffer.from(`--${boundary}\r\n${head}\r\n\r\n`), bytes, Buffer.from("\r\n")]);
  const whole = Buffer.concat([...pieces, Buffer.from(`--${boundary}--\r\n`)]);
  return new Uint8Array(whole.buffer, whole.byteOffset, whole.length);
}

/** Throws a RangeError for a mail of too many attachments. `raw`: the bytes of the mail. */
export function formOf(mail: Email, raw: Uint8Array): MailForm {
  const { attachments } = mail;
  if (attachments.length > imapLimits.attachments) throw new RangeError(`it has ${attachments.length} attachments`);
  const boundary = `mayfly-${createHash("sha256").update(raw).digest("hex").slice(0, 40)}`;
  const parts = [...field("text", mail.text), ...field("html", mail.html), ...attachments.map(file)];
  // A form without parts can't be told from one that was cut off.
  const body = multipart(parts.length === 0 ? field("text", "") : parts, boundary);
  return { contentType: `multipart/form-data; boundary=${boundary}`, body, headers: headersOf(mail) };
}
