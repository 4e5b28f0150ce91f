/** The process that takes mails apart. It ends with the gateway, whose end closes its channel. */
import { imapLimits } from "./limits.ts";
import { formOf, type MailForm } from "./mail.ts";

export type Parsed = { readonly form: MailForm } | { readonly problem: string };

async function parse(raw: Uint8Array): Promise<Parsed> {
  const { default: PostalMime } = await import("postal-mime");
  try {
    const mail = await PostalMime.parse(raw, { maxNestingDepth: imapLimits.depth, maxHeadersSize: imapLimits.headerBytes });
    return { form: formOf(mail, raw) };
  } catch (error) {
    return { problem: error instanceof Error ? error.message.slice(0, 200) : "it can't be read" };
  }
}

process.on("message", (raw: Uint8Array) => {
  parse(raw).then(
    (parsed) => process.send?.(parsed),
    (error: unknown) => {
      throw error;
    },
  );
});
