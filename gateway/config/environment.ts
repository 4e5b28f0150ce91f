/** `${NAME}`, `${NAME:-default}` and `${file:PATH}` in configuration text; `$${` stands for a plain `${`. */
import { readFileSync } from "node:fs";
import { resolve } from "node:path";
import { err, ok, type Result } from "#base";
import { gatewayLimits } from "../contract/limits.ts";

export type Environment = Readonly<Record<string, string | undefined>>;

const reference = /\$\$\{|\$\{file:([^}]+)\}|\$\{([A-Za-z_][A-Za-z0-9_]*)(?::-([^}]*))?\}|\$\{/g;

/** Gives the text of a file that a configuration refers to. */
export type ReadSecret = (path: string) => Result<string, string>;

const noFiles: ReadSecret = () => err("names a file, which can't be read here: write ${NAME}");

/** Reads files below a folder or by an absolute path, without the line's end that editors put there; `seen` gets their paths. */
export function secretFiles(folder: string, seen: Set<string>): ReadSecret {
  return (path) => {
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
  const out = text.replace(reference, (whole: string, path: string | undefined, name: string | undefined, fallback: string | undefined) => {
    if (whole === "$${") return "${";
    if (path !== undefined) {
      const secret = readSecret(path.trim());
      if (!secret.ok) problem ??= secret.error;
      return secret.ok ? secret.value : "";
    }
    if (name === undefined) {
      problem ??= "contains a ${ that is neither ${NAME}, ${NAME:-default} nor ${file:PATH}; write $${ for a literal ${";
      return "";
    }
    const value = environment[name];
    if (fallback !== undefined) return value === undefined || value === "" ? fallback : value;
    if (value === undefined)
      problem ??= `needs the environment variable ${name}, which is not set: set it, or write a default as \${${name}:-default}`;
    return value ?? "";
  });
  return problem === undefined ? ok(out) : err(problem);
}
