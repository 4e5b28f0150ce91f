/** Where this package lies and what it calls itself. */
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

/** The package's folder: two above dist/cli, one above cli/ when run from source. */
export const packageRoot = ((): string => {
  const near = fileURLToPath(new URL("../", import.meta.url));
  return existsSync(join(near, "package.json")) ? near : fileURLToPath(new URL("../../", import.meta.url));
})();

export function version(): string {
  return (JSON.parse(readFileSync(join(packageRoot, "package.json"), "utf8")) as { version: string }).version;
}

/** True in a checkout, false when installed as a package. */
export const isCheckout = existsSync(join(packageRoot, "tsconfig.json"));
