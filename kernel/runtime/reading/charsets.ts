/** The encoding of a body whose first piece is there. */
import type { Encoding } from "../charset.ts";
import { kernel } from "../link.ts";
import type { ReadMessage } from "../readers.ts";
import { readingLimits } from "./limits.ts";

const charsetParameter = /;\s*charset\s*=\s*"?([^";\s]+)/i;

/** The charset that the content type names. */
export function namedCharset({ contentType }: ReadMessage): string | undefined {
  return charsetParameter.exec(contentType)?.[1];
}

/** By the byte order mark, else by the content type, else `otherwise`. Throws for a charset that is not known. */
export function charsetOf(message: ReadMessage, piece: Uint8Array, otherwise = "utf-8"): Encoding {
  const charset = namedCharset(message) ?? otherwise;
  const encoding = kernel.markedEncoding(piece) ?? kernel.encodingOf(charset);
  if (encoding === undefined) throw new Error(`the charset ${charset} is not supported: ${kernel.knownCharsets}`);
  // A place in it says nothing of the set that was chosen before.
  if (encoding === "iso-2022-jp") throw new Error("a body in iso-2022-jp can be read as a whole only, by msg.text() or text.parse");
  return encoding;
}

const declaration = [0x3c, 0x3f, 0x78, 0x6d]; // "<?xm"
const declarationEnd = 0x3e;

/** True if a body's first bytes tell its charset: they have any mark, and a declaration of XML as far as it is looked at. */
export function isBeginning(bytes: Uint8Array): boolean {
  if (bytes.length < declaration.length) return false;
  const isDeclared = declaration.every((byte, index) => bytes[index] === byte);
  return !isDeclared || bytes.length >= readingLimits.declarationBytes || bytes.includes(declarationEnd);
}

/** The body's first text without its byte order mark. */
export function startOf(text: string): string {
  return kernel.withoutMark(text);
}
