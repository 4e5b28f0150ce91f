/** `${NAME}` and `${NAME:-default}` in configuration text; `$${` stands for a plain `${`. */
import { err, ok, type Result } from "#base";

export type Environment = Readonly<Record<string, string | undefined>>;

const reference = /\$\$\{|\$\{([A-Za-z_][A-Za-z0-9_]*)(?::-([^}]*))?\}|\$\{/g;

/** The text with every reference replaced; a sentence for the first that can't be. An empty variable counts as missing where a default is given. */
export function expand(text: string, environment: Environment): Result<string, string> {
  let problem: string | undefined;
  const out = text.replace(reference, (whole: string, name: string | undefined, fallback: string | undefined) => {
    if (whole === "$${") return "${";
    if (name === undefined) {
      problem ??= "contains a ${ that is neither ${NAME} nor ${NAME:-default}; write $${ for a literal ${";
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
