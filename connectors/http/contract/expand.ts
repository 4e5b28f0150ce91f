/** Settings of a source with `openapi`: the contract is read when the configuration is, and conflicts with it are errors of mayfly.yaml. */
import { isCoded } from "#base";
import { type Expanded, SettingError } from "#gateway/contract";
import type { HttpSourceConfig } from "../source-settings.ts";
import { replyOf } from "./check.ts";
import { ContractFiles } from "./files.ts";
import type { Contract } from "./model.ts";
import { readContract, UnknownOperation } from "./read.ts";

/** Throws a SettingError. */
export function expandHttpSource(config: HttpSourceConfig, base: string, shared: Map<string, unknown>): Expanded {
  const wrong = (setting: string | undefined, message: string): SettingError => new SettingError("MF_CONFIG_INVALID", setting, message);
  const { openapi, path, method, cloudevents, operation, partial } = config;
  if (openapi === undefined) {
    if (path === undefined) throw wrong(undefined, '"path" is missing');
    for (const [name, value] of Object.entries({ operation, partial }))
      if (value !== undefined) throw wrong(name, "belongs to a contract: write `openapi` beside it, or remove it");
    return { config: { ...config, method: method ?? "POST" }, files: [] };
  }
  if (method !== undefined) throw wrong("method", "the contract has the methods: remove it");
  if (cloudevents)
    throw wrong("cloudevents", "the contract describes the request as it is sent: use a source without `openapi` for CloudEvents");
  if (path !== undefined && !/^(?:\/[\w.~%-]+)+$/.test(path))
    throw wrong("path", "beside `openapi` it is put before each path of the contract: write a plain one such as /v1");
  const files = new ContractFiles(base, shared);
  try {
    const wanted = operation === undefined ? undefined : [operation].flat();
    const contract = readContract(files, { file: openapi, prefix: path ?? "", wanted });
    checkMode(contract, config);
    checkSecurity(contract, config);
    return { config: { ...config, contract }, files: files.paths };
  } catch (error) {
    if (!isCoded(error)) throw error;
    const setting = error instanceof SettingError ? error.setting : error instanceof UnknownOperation ? "operation" : "openapi";
    throw new SettingError(error.code, setting, error.message, { cause: error, files: files.paths });
  }
}

/** The gateway's own answer must be one that the contract lists. */
function checkMode({ operations, file }: Contract, { mode }: HttpSourceConfig): void {
  if (mode !== "accept") return;
  const without = operations.find(({ replies }) => Object.keys(replies).length > 0 && replyOf(replies, 202) === undefined);
  if (without !== undefined)
    throw new SettingError(
      "MF_CONTRACT_MODE",
      "mode",
      `accept is answered 202, and ${without.id} of ${file} has no such reply: use reply, or add 202 to the contract`,
    );
}

function checkSecurity({ operations, file }: Contract, { auth }: HttpSourceConfig): void {
  if (auth !== undefined) return;
  const secured = operations.find(({ security }) => security.length > 0);
  if (secured !== undefined)
    throw new SettingError(
      "MF_CONTRACT_SECURITY",
      "openapi",
      `${secured.id} of ${file} asks for credentials (${secured.security.join(", ")}), and the source has no \`auth\`: add it, or \`security: []\` to the operation`,
    );
}
