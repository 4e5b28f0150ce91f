/** Paths of HTTP sources as OpenAPI writes them: `/orders/:id` is `/orders/{id}`, and `*` a parameter that may contain slashes. */
import type { JsonSchema } from "#gateway/contract";

export interface PathParameter {
  readonly name: string;
  readonly schema: JsonSchema;
  readonly description?: string;
}

export interface TemplatedPath {
  /** `/orders/{id}` */
  readonly template: string;
  readonly parameters: readonly PathParameter[];
}

/** The router's optional parameter, `/orders/:id?`, which is two paths. */
const optional = /(\/:[^/()]*?)\?(\/?)/;

/** Every path that the router serves for one in mayfly.yaml. */
export function templatedPaths(path: string): readonly TemplatedPath[] {
  if (!optional.test(path)) return [templated(path)];
  return [templated(path.replace(optional, "$1$2")), templated(path.replace(optional, "$2") || "/")];
}

function templated(path: string): TemplatedPath {
  const parameters: PathParameter[] = [];
  let template = "";
  for (let at = 0; at < path.length; ) {
    const character = path[at] as string;
    if (path.startsWith("::", at)) {
      template += ":"; // the router's way to write a plain colon
      at += 2;
    } else if (character === ":") {
      const name = /^[^/(.-]*/.exec(path.slice(at + 1))?.[0] ?? "";
      at += 1 + name.length;
      const end = path[at] === "(" ? closing(path, at) : at;
      const pattern = path.slice(at + 1, end - 1);
      parameters.push({ name, schema: { type: "string", minLength: 1, ...(pattern === "" ? {} : { pattern }) } });
      template += `{${name}}`;
      at = end;
    } else if (character === "*") {
      const name = restName(path);
      parameters.push({ name, schema: { type: "string" }, description: "The rest of the path, slashes included." });
      template += `{${name}}`;
      at += 1;
    } else {
      template += character === "{" ? "%7B" : character === "}" ? "%7D" : character;
      at += 1;
    }
  }
  return { template, parameters };
}

/** Behind the parenthesis that closes the one at `from`; a backslash takes the next character as it is. */
function closing(path: string, from: number): number {
  let depth = 0;
  for (let at = from; at < path.length; at++) {
    if (path[at] === "\\") at += 1;
    else if (path[at] === "(") depth += 1;
    else if (path[at] === ")" && --depth === 0) return at + 1;
  }
  return path.length;
}

function restName(path: string): string {
  let name = "rest";
  while (new RegExp(`:${name}(?![^/(.-])`).test(path)) name += "_";
  return name;
}

/** Equal for templates that differ only in the names of their parameters: OpenAPI has them as one path. */
export function shapeOf(template: string): string {
  return template.replace(/\{[^}]*\}/g, "{}");
}
