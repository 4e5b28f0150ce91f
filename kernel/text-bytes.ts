/** Texts as bytes of a charset, in Node as in a machine. */

/** Takes any charset that a machine reads. Rejects with the machine's error for another, and for a character that the charset lacks. */
export async function textBytes(value: string, charset: string): Promise<Uint8Array> {
  const { text } = await import("./runtime/outside.ts"); // it has the tables of all charsets
  return text.stringify(value, charset);
}
