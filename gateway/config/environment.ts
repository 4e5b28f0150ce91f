/** `${NAME}`, `${NAME:-default}`, `${file:PATH}` and `${secret:NAME}` in configuration text; `$${` stands for a plain `${`. */
import { readFileSync } from "node:fs";
import { resolve } from "node:path";
import { err, ok, type Result } from "#base";
import { gatewayLimits } from "../contract/limits.ts";

export type Environment = Readonly<Record<string, string | undefined>>;

const reference = /\$\$\{|\$\{(?:file:([^}]+)|secret:([^}]+))\}|\$\{([A-Za-z_][A-Za-z0-9_]*)(?::-([^}]*))?\}|\$\{/g;

/**
 * Gives what a reference stands for: the text of a file, a secret of a function, or a variable that the environment does not have. The
 * error says what to do when it is missing.
 */
export type ReadSecret = (name: string, kind: "file" | "secret" | "variable") => Result<string, string>;

function missing(name: string, kind: "secret" | "variable"): Result<never, string> {
  if (kind === "secret")
    return err(`names the secret ${name}, which only the settings of a deployed function may: write \${NAME} or \${file:PATH}`);
  return err(`needs the environment variable ${name}, which is not set: set it, or write a default as \${${name}:-default}`);
}

const noFiles: ReadSecret = (name, kind) =>
  kind === "file" ? err("names a file, which can't be read here: write ${NAME}") : missing(name, kind);

/** Reads files below a folder or by an absolute path, without the line's end that editors put there; `seen` gets their paths. */
export function secretFiles(folder: string, seen: Set<string>): ReadSecret {
  return (path, kind) => {
    if (kind !== "file") return missing(path, kind);
    const file = resolve(folder, path);
    seen.add(file);
    try {
      const text = readFileSync(file, "utf8");
      if (text.length <= gatewayLimits.secretFileBytes) return ok(text.replace(/\r?\n$/, ""));
      return err(`names the file ${path}, which is longer than ${gatewayLimits.secretFileBytes} bytes: a secret is short`);
    } catch (error) {
      const { code = "unknown" } = error as NodeJS.ErrnoException;
      return err(
        `needs the file ${path}, which can't be read (${code}): put the secret there, or write \${NAME} for a variable of the environment`,
      );
    }
  };
}

/** The text with every reference replaced; a sentence for the first that can't be. An empty variable counts as missing where a default is given. */
export function expand(text: string, environment: Environment, readSecret: ReadSecret = noFiles): Result<string, string> {
  let problem: string | undefined;
  const valueOf = (result: Result<string, string>): string => {
    if (!result.ok) problem ??= result.error;
    return result.ok ? result.value : "";
  };
  const out = text.replace(reference, (whole: string, ...[path, secret, name, fallback]: (string | undefined)[]) => {
    if (whole === "$${") return "${";
    if (path !== undefined) return valueOf(readSecret(path.trim(), "file"));
    if (secret !== undefined) return valueOf(readSecret(secret.trim(), "secret"));
    if (name === undefined) {
      problem ??= "contains a ${ that is neither ${NAME}, ${NAME:-default} nor ${file:PATH}; write $${ for a literal ${";
      return "";
    }
    const value = environment[name];
    if (fallback !== undefined) return value === undefined || value === "" ? fallback : value;
    return value ?? valueOf(readSecret(name, "variable"));
  });
  return problem === undefined ? ok(out) : err(problem);
}
