/** Hosts for tests, closed at their end. */
import type { TestContext } from "node:test";
import type { Host, LoadOptions } from "../embed.d.ts";
import { load } from "../host.ts";
import { build } from "../images.ts";

/** A host for a handler's text, such as `async (msg, { to }) => msg.text()`. */
export async function hostOf(context: TestContext, handler: string, options: LoadOptions = {}): Promise<Host> {
  const image = await build({ code: `import { fail, flow } from "mayfly"; export default flow(${handler});` });
  const host = await load(image, { workers: 1, ...options });
  context.after(() => host.close());
  return host;
}
