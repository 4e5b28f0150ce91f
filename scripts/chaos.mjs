// `npm run chaos [-- --seed N …]`: sets up, then runs test/chaos/main.ts. docs/CHAOS.md says what it does and what it found.
import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { root, setUp } from "./setup.mjs";

await setUp();
const result = spawnSync(
  process.execPath,
  ["--enable-source-maps", join(root, "dist", "test", "chaos", "main.js"), ...process.argv.slice(2)],
  {
    cwd: root,
    stdio: "inherit",
  },
);
process.exit(result.status ?? 1);
