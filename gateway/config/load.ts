/** Reads mayfly.yaml from disk, against the connectors it may name. */
import { readFile } from "node:fs/promises";
import { CodedError } from "#base";
import type { JsonSchema } from "../contract/connector.ts";
import type { Connectors } from "../contract/connectors.ts";
import type { Environment } from "./environment.ts";
import { profileFile, profileOf, profileText } from "./profile.ts";
import { readConfig, readConfigWithout, shownConfig } from "./read.ts";
import { configSchema } from "./schema.ts";
import { type ConfigTemplate, readTemplate } from "./template.ts";
import type { Path } from "./problem.ts";
import type { GatewayConfig } from "../contract/config.ts";

/** Rejects with a ConfigError that names every problem with line and column, or MF_CONFIG_FILE, MF_CONFIG_PROFILE. MAYFLY_PROFILE names a profile. */
export async function loadConfig(path: string, connectors: Connectors, environment: Environment = process.env): Promise<GatewayConfig> {
  return readConfig(await textOf(path), path, { ...connectors, environment, profile: await profileText(path, environment) });
}

/** The configuration without the values that the environment lacks, for who does not serve it. Rejects as `loadConfig` does. */
export async function loadConfigWithout(path: string, connectors: Connectors, environment: Environment): Promise<GatewayConfig> {
  return readConfigWithout(await textOf(path), path, { ...connectors, environment, profile: await profileText(path, environment) });
}

/** The configuration with references left in it where `isLate` says so. Rejects as `loadConfig` does. */
export async function loadTemplate(
  path: string,
  connectors: Connectors,
  environment: Environment,
  isLate: (path: Path) => boolean,
): Promise<ConfigTemplate> {
  return readTemplate(await textOf(path), path, { ...connectors, environment, profile: await profileText(path, environment), isLate });
}

/** Every setting as it counts, without secrets. Rejects as `loadConfig` does. */
export async function showConfig(path: string, connectors: Connectors, environment: Environment = process.env): Promise<unknown> {
  return shownConfig(await textOf(path), path, { ...connectors, environment, profile: await profileText(path, environment) });
}

/** Files that make up the configuration at `path`. Throws MF_CONFIG_PROFILE. */
export function configFiles(path: string, environment: Environment = process.env): readonly string[] {
  const name = profileOf(environment);
  return name === undefined ? [path] : [path, profileFile(path, name)];
}

async function textOf(path: string): Promise<string> {
  try {
    return await readFile(path, "utf8");
  } catch (cause) {
    throw new CodedError(
      "MF_CONFIG_FILE",
      `cannot read ${path} (${(cause as NodeJS.ErrnoException).code ?? "unknown"}): run mayfly in the folder of mayfly.yaml, or name it with -c`,
      { cause },
    );
  }
}

/** The JSON Schema of mayfly.yaml, as it is published. */
export function publishedSchema({ sources, outlets }: Connectors): JsonSchema {
  return configSchema(sources, outlets);
}
