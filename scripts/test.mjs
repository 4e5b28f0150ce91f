// `npm test [-- FILTER… --name PATTERN]`: sets up, then runs every *.test.js under dist/, or those whose path contains a FILTER; of these
// every test, or those whose name matches PATTERN.
import { spawnSync } from "node:child_process";
import { bringServices } from "./services.mjs";
import { root, setUp } from "./setup.mjs";
import { chosenTests, testFlags } from "./test-files.mjs";

await setUp();
const { files, name } = chosenTests(process.argv.slice(2), "npm test");
bringServices();
const result = spawnSync(process.execPath, [...testFlags(name), ...files], { cwd: root, stdio: "inherit" });
process.exit(result.status ?? 1);
