// An S3 server for tests, from the Go module proxy: built once, into a folder of the user's cache.
import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, renameSync, rmSync } from "node:fs";
import { homedir, tmpdir } from "node:os";
import { dirname, join } from "node:path";

const version = "1.8.0";
/** connectors/testing/s3-server.ts looks here. */
export const s3Program = join(homedir(), ".cache", "mayfly", `versitygw-${version}`, "versitygw");

/** The reason why it can't be brought, or undefined: it is there. */
export function bringS3() {
  if (existsSync(s3Program)) return undefined;
  if (spawnSync("go", ["version"], { stdio: "ignore" }).status !== 0) return "no go here";
  const folder = mkdtempSync(join(tmpdir(), "mayfly-s3-"));
  try {
    console.error(`mayfly: building versitygw ${version} (two to five minutes, once)`);
    const env = { ...process.env, GOBIN: folder, CGO_ENABLED: "0" };
    const source = `github.com/versity/versitygw/cmd/versitygw@v${version}`;
    const { status, stderr } = spawnSync("go", ["install", "-ldflags=-s -w", source], { env, encoding: "utf8", timeout: 900_000 });
    if (status !== 0) return `go can't build it: ${(stderr ?? "").trim().split("\n").at(-1)}`;
    mkdirSync(dirname(s3Program), { recursive: true });
    const ready = `${s3Program}.${process.pid}`;
    spawnSync("cp", [join(folder, "versitygw"), ready]); // the temporary folder may be on another disk
    renameSync(ready, s3Program);
    return undefined;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
