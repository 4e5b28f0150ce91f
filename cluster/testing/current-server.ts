/** The current NATS server, built with Go where it is installed and its proxy can be reached; Debian's may be years older. */
import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { installed } from "../../connectors/testing/brokers.ts";

const folder = fileURLToPath(new URL("../../../node_modules/.cache/mayfly-nats-server/", import.meta.url));
const program = join(folder, "nats-server");
const buildMs = 400_000;

/** Builds it once, into a cache that stays. */
export function currentServer(): { readonly program: string } | { readonly why: string } {
  if (existsSync(program)) return { program };
  if (!installed("go")) return { why: "no go to build the current nats-server with" };
  mkdirSync(folder, { recursive: true });
  const { status, stderr } = spawnSync("go", ["install", "-p=2", "github.com/nats-io/nats-server/v2@latest"], {
    env: { ...process.env, GOBIN: folder, GOFLAGS: "-mod=mod" },
    encoding: "utf8",
    timeout: buildMs,
  });
  if (status === 0 && existsSync(program)) return { program };
  return { why: `the current nats-server can't be built here: ${(stderr || "it took too long").trim().slice(-300)}` };
}
