import { native } from "../machine.ts";
/** Text of bytes in a named charset, or undefined when it is not known. */
export function decodeText(bytes: Uint8Array, charset: string): string | undefined {
  return charset.toLowerCase() === "utf-8" ? native.decodeUtf8(bytes, false) : undefined;
}
