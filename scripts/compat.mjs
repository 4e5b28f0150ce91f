// `npm run compat [-- --json] [--package NAME,…]`: sets up, then runs test/compat/main.ts.
import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { root, setUp } from "./setup.mjs";

await setUp();
const main = join(root, "dist", "test", "compat", "main.js");
const result = spawnSync(process.execPath, ["--enable-source-maps", main, ...process.argv.slice(2)], { cwd: root, stdio: "inherit" });
process.exit(result.status ?? 1);
