#!/usr/bin/env node
// The `mayfly` command: builds when run from a checkout whose dist/ is stale, then hands over to cli/.
process.env.MAYFLY_QUIET ??= "";
import { existsSync } from "node:fs";
import { setUp } from "./setup.mjs";
await setUp();
if (!existsSync(new URL("../dist/cli/mod.js", import.meta.url))) {
  console.error("mayfly: this package was packed before it was built: run `npm run build` in the checkout, then `npm pack` again");
  process.exit(2);
}
const { main } = await import("../dist/cli/mod.js");
process.exitCode = await main(process.argv.slice(2));
