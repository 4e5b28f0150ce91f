/** Texts as bytes of a charset, in Node as in a machine. */

/** `charset`: any that a machine reads. Rejects with its error for another, and for a text with a character that it lacks. */
export async function textBytes(value: string, charset: string): Promise<Uint8Array> {
  const { text } = await import("./runtime/outside.ts"); // it has the tables of all charsets
  return text.stringify(value, charset);
}
