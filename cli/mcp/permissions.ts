/** Permissions of an assistant: what its tools may do besides reading. */
import { usageError } from "../failure.ts";

/** By name: what it allows. An assistant without any reads. */
export const permissions = {
  replay: "run recorded messages again, on the image that ran or on a flow's file",
  backtest: "run a flow's file over many recorded messages",
  lint: "check flows and mayfly.yaml",
  test: "run flow tests that are YAML",
  code: "with test: run flow tests that are TypeScript, which are programs with your rights",
  build: "write images into the project",
  resubmit: "put finished messages in again, which reaches outlets",
  retry: "retry dead letters, which reaches outlets",
  deploy: "deploy functions to the running gateway",
} as const;

export type Permission = keyof typeof permissions;

/** Of `--allow`, where each value may name several with commas between them. Throws MF_USAGE for an unknown name. */
export function permissionsOf(values: readonly string[]): ReadonlySet<Permission> {
  const allowed = new Set<Permission>();
  for (const name of values.flatMap((value) => value.split(",")).map((text) => text.trim())) {
    if (!Object.hasOwn(permissions, name))
      throw usageError(`--allow ${name}: give some of ${Object.keys(permissions).join(", ")}, with commas between them`);
    allowed.add(name as Permission);
  }
  return allowed;
}
