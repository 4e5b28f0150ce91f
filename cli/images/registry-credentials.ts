/** Credentials for a registry: as the environment says, or as `docker login` has left them (`config.json`, and the helpers it names). */
import { execFile } from "node:child_process";
import { readFile } from "node:fs/promises";
import { homedir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { CodedError } from "#base";
import type { Credentials } from "#image";
import { cliLimits } from "../limits.ts";

type Environment = Readonly<Record<string, string | undefined>>;

interface DockerConfig {
  readonly auths?: Readonly<Record<string, { readonly auth?: string; readonly username?: string; readonly password?: string }>>;
  readonly credHelpers?: Readonly<Record<string, string>>;
  readonly credsStore?: string;
}

const hub = "https://index.docker.io/v1/";

/** Undefined where nobody is logged in. Rejects with MF_REGISTRY_CREDENTIALS for a file or a helper that can't be used. */
export async function registryCredentials(host: string, env: Environment): Promise<Credentials | undefined> {
  const { MAYFLY_REGISTRY_USER: user, MAYFLY_REGISTRY_PASSWORD: password } = env;
  if (user !== undefined && password !== undefined) return { user, password };
  const path = join(env["DOCKER_CONFIG"] ?? join(env["HOME"] ?? homedir(), ".docker"), "config.json");
  const config = await dockerConfig(path);
  const names = host === "docker.io" ? [hub, host] : [host, `https://${host}`];
  for (const name of names) {
    const helper = config.credHelpers?.[name];
    if (helper !== undefined) return await ofHelper(helper, name);
  }
  for (const name of names) {
    const known = config.auths?.[name];
    if (known?.username !== undefined && known.password !== undefined) return { user: known.username, password: known.password };
    const text = known?.auth === undefined ? "" : Buffer.from(known.auth, "base64").toString();
    const colon = text.indexOf(":");
    if (colon > 0) return { user: text.slice(0, colon), password: text.slice(colon + 1) };
  }
  return config.credsStore === undefined ? undefined : await ofHelper(config.credsStore, names[0] ?? host);
}

async function dockerConfig(path: string): Promise<DockerConfig> {
  let text: string;
  try {
    text = await readFile(path, "utf8");
  } catch {
    return {};
  }
  try {
    return (JSON.parse(text) ?? {}) as DockerConfig;
  } catch (cause) {
    throw new CodedError("MF_REGISTRY_CREDENTIALS", `${path} is no JSON: mend it, or log in again with \`docker login\``, { cause });
  }
}

/** Asks a helper by docker's protocol: the host on standard input, JSON on standard output. */
async function ofHelper(helper: string, name: string): Promise<Credentials | undefined> {
  const program = `docker-credential-${helper}`;
  if (!/^[\w.-]+$/.test(helper)) throw new CodedError("MF_REGISTRY_CREDENTIALS", `${program} is no name of a helper for credentials`);
  try {
    const asking = promisify(execFile)(program, ["get"], { timeout: cliLimits.credentialHelperMs });
    asking.child.stdin?.on("error", () => undefined); // it is not there, or has not read: the exit tells
    asking.child.stdin?.end(name);
    const { Username: user, Secret: password } = JSON.parse((await asking).stdout) as { Username?: string; Secret?: string };
    return user === undefined || password === undefined ? undefined : { user, password };
  } catch (error) {
    const { code, stdout = "" } = error as { code?: unknown; stdout?: string };
    if (/credentials not found/i.test(stdout)) return undefined;
    throw new CodedError("MF_REGISTRY_CREDENTIALS", `${program} gives no credentials for ${name} (${String(code ?? "no JSON")})`, {
      cause: error,
    });
  }
}
