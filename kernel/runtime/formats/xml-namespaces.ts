/**
 * Namespaces in XML 1.0 (https://www.w3.org/TR/REC-xml-names/) of what was parsed, in either form: prefixes must be declared, and names of the namespaces
 * that the flow names get its own prefixes, whatever the sender's are.
 */
const xmlNamespace = "http://www.w3.org/XML/1998/namespace";
const xmlnsNamespace = "http://www.w3.org/2000/xmlns/";

/** Prefix → namespace in scope. */
type Scope = ReadonlyMap<string, string>;
type Properties = Readonly<Record<string, unknown>>;

function isObject(value: unknown): value is Properties {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function put(target: Record<string, unknown>, name: string, value: unknown): void {
  Object.defineProperty(target, name, { value, writable: true, enumerable: true, configurable: true });
}

/** Prefix and local part. */
function split(name: string): readonly [string, string] {
  const at = name.indexOf(":");
  if (at === 0 || at === name.length - 1 || name.includes(":", at + 1)) throw new Error(`${name} is not a name with or without a prefix`);
  return at < 0 ? ["", name] : [name.slice(0, at), name.slice(at + 1)];
}

class Namespaces {
  /** Namespace → the flow's prefix. */
  readonly #prefixes: ReadonlyMap<string, string>;
  readonly #wanted: Properties;

  /** Names of elements that are always lists: "Line", or "Invoice.Line" below Invoice. */
  readonly #arrays: ReadonlySet<string>;

  constructor(wanted: Properties, arrays: readonly string[]) {
    this.#arrays = new Set(arrays);
    for (const [prefix, uri] of Object.entries(wanted)) {
      if (typeof uri !== "string" || uri === "") throw new Error(`namespaces: ${JSON.stringify(prefix)} must be the text of a namespace`);
      if (prefix === "xml" || prefix === "xmlns") throw new Error(`namespaces: the prefix ${prefix} is XML's own`);
    }
    this.#wanted = wanted;
    this.#prefixes = new Map(Object.entries(wanted).map(([prefix, uri]) => [uri as string, prefix]));
  }

  #declare(prefix: string, uri: string): void {
    const isXml = prefix === "xml" && uri === xmlNamespace;
    if (prefix === "xmlns" || uri === xmlnsNamespace || (!isXml && (prefix === "xml" || uri === xmlNamespace)))
      throw new Error(`xmlns:${prefix} can't be ${JSON.stringify(uri)}: both are XML's own`);
    if (prefix !== "" && uri === "") throw new Error(`xmlns:${prefix} can't be empty`);
  }

  /** The namespaces in scope for an element's name, attributes and children. */
  scope(outer: Scope, element: unknown): Scope {
    if (!isObject(element)) return outer;
    const inner = new Map(outer);
    for (const [key, uri] of Object.entries(element)) {
      const prefix = key === "@xmlns" ? "" : key.startsWith("@xmlns:") ? key.slice(7) : undefined;
      if (prefix === undefined) continue;
      this.#declare(prefix, String(uri));
      inner.set(prefix, String(uri));
    }
    return inner;
  }

  /** The name with the flow's prefix; an attribute without a prefix is in no namespace (§6.2). */
  name(name: string, scope: Scope, isAttribute: boolean): string {
    const [prefix, local] = split(name);
    const uri = isAttribute && prefix === "" ? "" : scope.get(prefix);
    if (uri === undefined) throw new Error(`the prefix of ${name} is not declared`);
    const own = this.#prefixes.get(uri);
    // An attribute without a prefix has no namespace, so the flow's default prefix can't be its own.
    if (own !== undefined && (own !== "" || !isAttribute)) return own === "" ? local : `${own}:${local}`;
    const taken = this.#wanted[prefix];
    if (taken !== undefined && !(isAttribute && prefix === ""))
      throw new Error(
        `${name} is in ${uri === "" ? "no namespace" : `the namespace ${uri}`}, but \`namespaces\` has ${taken as string} for ${prefix === "" ? "names without a prefix" : `the prefix ${prefix}`}: name that one as well`,
      );
    return name;
  }

  attributes(element: Properties, scope: Scope): [string, unknown][] {
    const found = new Map<string, unknown>();
    const seen = new Set<string>();
    for (const [key, value] of Object.entries(element)) {
      if (!key.startsWith("@") || key === "@xmlns" || key.startsWith("@xmlns:")) continue;
      const [prefix, local] = split(key.slice(1));
      const expanded = `${prefix === "" ? "" : (scope.get(prefix) ?? prefix)} ${local}`;
      if (seen.has(expanded)) throw new Error(`the attribute ${key.slice(1)} stands there twice, under two prefixes of its namespace`);
      seen.add(expanded);
      found.set(`@${this.name(key.slice(1), scope, true)}`, value);
    }
    return [...found];
  }

  ordered(element: Properties, outer: Scope): object {
    const scope = this.scope(outer, element);
    const result: Record<string, unknown> = { "#name": this.name(String(element["#name"]), scope, false) };
    for (const [key, value] of this.attributes(element, scope)) put(result, key, value);
    const children = element["#children"] as readonly unknown[] | undefined;
    if (children !== undefined)
      result["#children"] = children.map((child) =>
        isObject(child) && Object.hasOwn(child, "#name") ? this.ordered(child, scope) : child,
      );
    return result;
  }

  #content(element: unknown, scope: Scope, elementName: string): unknown {
    if (!isObject(element)) return element;
    const result: Record<string, unknown> = {};
    for (const [key, value] of this.attributes(element, scope)) put(result, key, value);
    for (const [key, value] of this.children(element, scope, elementName)) put(result, key, value);
    if (element["#text"] === undefined) return result;
    // An element with nothing but declarations beside its text is that text.
    if (Object.keys(result).length === 0) return element["#text"];
    result["#text"] = element["#text"];
    return result;
  }

  /** Children by name; one name may have become several, where its prefix is declared anew. */
  children(parent: Properties, outer: Scope, parentName = ""): ReadonlyMap<string, unknown> {
    const found = new Map<string, unknown[]>();
    const first = new Map<string, string>();
    for (const [key, value] of Object.entries(parent)) {
      if (key.startsWith("@") || key === "#text") continue;
      for (const each of Array.isArray(value) ? (value as unknown[]) : [value]) {
        const scope = this.scope(outer, each);
        const name = this.name(key, scope, false);
        if ((first.get(name) ?? key) !== key)
          throw new Error(
            `${first.get(name)!} and ${key} are one name under two prefixes, so that their order is lost: read it with \`order: true\``,
          );
        first.set(name, key);
        const items = found.get(name) ?? [];
        items.push(this.#content(each, scope, name));
        found.set(name, items);
      }
    }
    const isList = (name: string): boolean => this.#arrays.has(name) || this.#arrays.has(`${parentName}.${name}`);
    return new Map([...found].map(([name, items]) => [name, items.length > 1 || isList(name) ? items : items[0]]));
  }
}

const outside: Scope = new Map([
  ["", ""],
  ["xml", xmlNamespace],
]);

/** The parsed value with the flow's prefixes and without declarations. Throws Error for prefixes that are not declared, or mean another namespace. */
export function withNamespaces(parsed: unknown, wanted: unknown, arrays: readonly string[]): unknown {
  if (!isObject(wanted)) throw new Error("`namespaces` must be an object of prefixes and namespaces");
  const namespaces = new Namespaces(wanted, arrays);
  const value = parsed as Properties;
  return Object.hasOwn(value, "#name") ? namespaces.ordered(value, outside) : Object.fromEntries(namespaces.children(value, outside));
}
