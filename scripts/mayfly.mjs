#!/usr/bin/env node
// The `mayfly` command: builds when run from a checkout whose dist/ is stale, then hands over to cli/.
process.env.MAYFLY_QUIET ??= "";
import { setUp } from "./setup.mjs";
await setUp();
const { main } = await import("../dist/cli/mod.js");
process.exitCode = await main(process.argv.slice(2));
