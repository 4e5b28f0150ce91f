/** Path templates of OpenAPI as the router has them: `/orders/{id}` is `/orders/:id`. */

export interface RoutePath {
  readonly path: string;
  /** Names of the router's parameters, with the template's. */
  readonly names: Readonly<Record<string, string>>;
}

/** A text where a template can't be served: the reason. */
export function routePath(template: string, prefix: string): RoutePath | string {
  if (!template.startsWith("/")) return `the path ${template} must begin with /`;
  if (/[?#*\s]/.test(template)) return `the path ${template} contains a ?, # or *, or a blank: no path can be served so`;
  if (`${prefix}${template}`.startsWith("/-/"))
    return `the path ${prefix}${template} is below /-/, which is the gateway's own: set \`path\` beside \`openapi\` to a prefix`;
  const names: Record<string, string> = {};
  let path = prefix;
  let at = 0;
  for (const { 0: whole, 1: name = "", index } of template.matchAll(/\{([^{}]*)\}/g)) {
    const literal = template.slice(at, index);
    if (at > 0 && !/^[/.-]/.test(literal)) return `in the path ${template} only /, . or - may follow a parameter`;
    path += literal.replace(/:/g, "::");
    if (name === "") return `the path ${template} has a parameter without a name`;
    const own = name.replace(/\W/g, "_");
    if (Object.hasOwn(names, own)) return `the path ${template} has two parameters ${own}`;
    names[own] = name;
    path += `:${own}`;
    at = index + whole.length;
  }
  const rest = template.slice(at);
  if (at > 0 && rest !== "" && !/^[/.-]/.test(rest)) return `in the path ${template} only /, . or - may follow a parameter`;
  if (/[{}]/.test(template.replace(/\{[^{}]*\}/g, ""))) return `the path ${template} has a brace that is not closed`;
  return { path: path + rest.replace(/:/g, "::"), names };
}
