/**
 * mayfly.yaml for a service that runs elsewhere: some values keep their references to settings, and are filled in where it starts. Connectors
 * are not tried, since they can't be made of such values.
 */
import { dirname, resolve } from "node:path";
import type { GatewayConfig } from "../contract/config.ts";
import { buildConfig } from "./build.ts";
import type { Path, Report } from "./problem.ts";
import { checkedValues, type ReadOptions } from "./read.ts";

export interface ConfigTemplate {
  /** Values as they stand in the file, without defaults: they are those that somebody has written. */
  readonly written: unknown;
  /** Adds a problem. */
  readonly report: Report;
  /** Throws a ConfigError for the problems so far. */
  readonly check: () => void;
  /** The configuration that counts. Throws a ConfigError for problems of its meaning. */
  readonly build: () => Omit<GatewayConfig, "secretFiles" | "contractFiles">;
}

export interface TemplateOptions extends ReadOptions {
  /** Values that keep their references. */
  readonly isLate: (path: Path) => boolean;
}

/** Throws a ConfigError. */
export function readTemplate(text: string, file: string, options: TemplateOptions): ConfigTemplate {
  const { reader, data, check } = checkedValues(text, file, options, { isLate: options.isLate });
  const report: Report = (path, message, key, code) => reader.invalid(path, message, key, code);
  return {
    written: reader.data(),
    report,
    check,
    build: () => {
      const config = buildConfig(data as never, dirname(resolve(file)), options, report);
      check();
      return config;
    },
  };
}
