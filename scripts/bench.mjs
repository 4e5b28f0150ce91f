// `npm run bench [-- SUITE…] [--quick] [--json]`: sets up, then runs bench/main.ts.
import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { root, setUp } from "./setup.mjs";

await setUp();
const result = spawnSync(process.execPath, ["--expose-gc", join(root, "dist", "bench", "main.js"), ...process.argv.slice(2)], {
  cwd: root,
  stdio: "inherit",
});
process.exit(result.status ?? 1);
