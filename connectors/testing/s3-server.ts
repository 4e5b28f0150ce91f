/** An S3 server for tests, that checks signatures: versitygw, of the program that scripts/s3.mjs builds. Its objects are files. */
import { existsSync } from "node:fs";
import { mkdir } from "node:fs/promises";
import { homedir } from "node:os";
import { join } from "node:path";
import { PrivateBroker } from "./brokers.ts";

const program = join(homedir(), ".cache", "mayfly", "versitygw-1.8.0", "versitygw");

export const s3Login = { accessKeyId: "mayfly", secretAccessKey: "secret of tests" } as const;

/** The reason why it can't be started, or undefined. */
export const noS3 = (): string | undefined =>
  existsSync(program) ? undefined : "the S3 server was not built: `npm run services -- up` says why";

/** `more`: further arguments of the server. */
export function s3Server(...more: readonly string[]): Promise<PrivateBroker> {
  const { accessKeyId, secretAccessKey } = s3Login;
  return PrivateBroker.start(
    (dir, port) => [
      ...[program, "--port", `127.0.0.1:${port}`, "--access", accessKeyId, "--secret", secretAccessKey, "--quiet", "--keep-alive", ...more],
      ...["posix", "--sidecar", join(dir, "meta"), join(dir, "data")],
    ],
    async (dir) => {
      for (const folder of ["data", "meta"]) await mkdir(join(dir, folder));
    },
  );
}
