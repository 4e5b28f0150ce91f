/** The `mayfly` command as a process of its own, from what is built: scripts/mayfly.mjs would look for newer sources at every start. */
import { main } from "#cli";
import { followClock } from "./clock.ts";

followClock(process.env["MAYFLY_CHAOS_CLOCK"]);
process.exitCode = await main(process.argv.slice(2));
