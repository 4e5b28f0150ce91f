/** Environments of the processes that tools start. */
import { readPlaces } from "#gateway";

export type Environment = Readonly<Record<string, string | undefined>>;

/** Variables without secrets. */
const plain = ["PATH", "HOME", "USER", "TMPDIR", "LANG", "TZ", "XDG_RUNTIME_DIR", "MAYFLY_QUIET", "MAYFLY_PROFILE"];

/** Variables that mayfly.yaml needs to say where recordings and the admin socket are. */
async function placeVariables(config: string, env: Environment): Promise<ReadonlySet<string>> {
  const asked = new Set<string>();
  const seen = new Proxy(env, {
    get: (known, name) => {
      asked.add(String(name));
      return known[String(name)];
    },
  });
  await readPlaces(config, seen).catch(() => undefined); // the command says what is wrong
  return asked;
}

/**
 * Without the secrets that mayfly.yaml takes from the environment. A client with a permission to run flows may have written one, and sees
 * what it returns: a flow gets no `values` that stand in variables. `gateway`: with the token of the gateway that has the recordings.
 */
export async function withoutSecrets(config: string, env: Environment, gateway: boolean): Promise<Environment> {
  const names = [...plain, ...(gateway ? ["MAYFLY_GATEWAY", "MAYFLY_TOKEN"] : []), ...(await placeVariables(config, env))];
  return Object.fromEntries(names.flatMap((name) => (env[name] === undefined ? [] : [[name, env[name]]])));
}
