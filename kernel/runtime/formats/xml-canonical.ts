/**
 * Canonical XML 1.0 (https://www.w3.org/TR/2001/REC-xml-c14n-20010315) and Exclusive XML Canonicalization 1.0
 * (https://www.w3.org/TR/2002/REC-xml-exc-c14n-20020718), without comments, of elements in order.
 */
import type { OrderedElement, XmlCanonicalOptions } from "../api.d.ts";
import { table } from "../table.ts";

/** Prefix → namespace; the default namespace has the prefix "", and is "" where nothing declares it. */
type Namespaces = ReadonlyMap<string, string>;

const noNamespaces: Namespaces = new Map([["", ""]]);
const xmlNamespace = "http://www.w3.org/XML/1998/namespace";

const inText: Readonly<Record<string, string>> = table({ "&": "&amp;", "<": "&lt;", ">": "&gt;", "\r": "&#xD;" });
const inAttribute: Readonly<Record<string, string>> = table({
  "&": "&amp;",
  "<": "&lt;",
  '"': "&quot;",
  "\t": "&#x9;",
  "\n": "&#xA;",
  "\r": "&#xD;",
});

function textOf(text: string): string {
  return text.replace(/[&<>\r]/g, (sign) => inText[sign]!);
}

function attributeOf(name: string, value: string): string {
  return ` ${name}="${value.replace(/[&<"\t\n\r]/g, (sign) => inAttribute[sign]!)}"`;
}

/** By UTF-8, which is by code point: UTF-16 has the surrogates before U+E000. */
function byCodePoint(one: string, other: string): number {
  const [a, b] = [[...one], [...other]];
  for (let index = 0; index < a.length && index < b.length; index++) {
    const difference = a[index]!.codePointAt(0)! - b[index]!.codePointAt(0)!;
    if (difference !== 0) return difference;
  }
  return a.length - b.length;
}

interface Attribute {
  readonly name: string;
  readonly prefix: string;
  readonly local: string;
  readonly value: string;
}

function prefixOf(name: string): string {
  const at = name.indexOf(":");
  return at < 0 ? "" : name.slice(0, at);
}

function attributesOf(element: OrderedElement): Attribute[] {
  return Object.entries(element).flatMap(([key, value]) => {
    if (!key.startsWith("@")) return [];
    if (typeof value !== "string") throw new Error(`${element["#name"]}.${key} is not a text`);
    const name = key.slice(1);
    const prefix = prefixOf(name);
    return [{ name, prefix, local: prefix === "" ? name : name.slice(prefix.length + 1), value }];
  });
}

/** Prefix that an attribute declares; undefined for another. */
function declared({ name, prefix, local }: Attribute): string | undefined {
  return name === "xmlns" ? "" : prefix === "xmlns" ? local : undefined;
}

function scopeOf(outer: Namespaces, attributes: readonly Attribute[]): Namespaces {
  const own = attributes.filter((attribute) => declared(attribute) !== undefined);
  return own.length === 0 ? outer : new Map([...outer, ...own.map((attribute) => [declared(attribute)!, attribute.value] as const)]);
}

interface Surroundings {
  /** In scope. */
  readonly namespaces: Namespaces;
  /** Written by the elements around. */
  readonly written: Namespaces;
  /** Attributes xml:… of elements around that are left out: the first that is written has them, unless the form is exclusive. */
  readonly inherited: readonly Attribute[];
}

class Canonical {
  readonly #exclusive: boolean;
  readonly #prefixes: ReadonlySet<string>;
  readonly #omit: ReadonlySet<unknown>;

  constructor({ exclusive = false, prefixes = [], omit = [] }: XmlCanonicalOptions) {
    this.#exclusive = exclusive;
    this.#prefixes = new Set(prefixes.map((prefix) => (prefix === "#default" ? "" : prefix)));
    this.#omit = new Set(omit);
  }

  element(element: OrderedElement, { namespaces: outer, written: before, inherited }: Surroundings): string {
    const { "#name": name, "#children": children = [] } = element;
    const own = attributesOf(element);
    const namespaces = scopeOf(outer, own);
    const kept = inherited.filter((attribute) => !own.some((each) => each.name === attribute.name));
    const attributes = [...own.filter((attribute) => declared(attribute) === undefined), ...(this.#exclusive ? [] : kept)];
    const used = new Set([prefixOf(name), ...attributes.flatMap(({ prefix }) => (prefix === "" ? [] : [prefix]))]);
    for (const prefix of used)
      if (prefix !== "" && prefix !== "xml" && !namespaces.has(prefix)) throw new Error(`${name}: the prefix ${prefix} is not declared`);
    const written = new Map(before);
    let tag = name;
    for (const [prefix, uri] of [...namespaces].sort(([one], [other]) => byCodePoint(one, other))) {
      if (prefix === "xml" || (this.#exclusive && !used.has(prefix) && !this.#prefixes.has(prefix))) continue;
      if (written.get(prefix) === uri) continue;
      written.set(prefix, uri);
      tag += attributeOf(prefix === "" ? "xmlns" : `xmlns:${prefix}`, uri);
    }
    const uriOf = ({ prefix }: Attribute): string => (prefix === "" ? "" : prefix === "xml" ? xmlNamespace : namespaces.get(prefix)!);
    attributes.sort((one, other) => byCodePoint(uriOf(one), uriOf(other)) || byCodePoint(one.local, other.local));
    for (const attribute of attributes) tag += attributeOf(attribute.name, attribute.value);
    const content = children.map((child) => this.#child(child, { namespaces, written, inherited: [] })).join("");
    return `<${tag}>${content}</${name}>`;
  }

  #child(child: unknown, surroundings: Surroundings): string {
    if (this.#omit.has(child)) return "";
    if (typeof child === "string") return textOf(child);
    if (typeof child === "object" && child !== null && "#name" in child) return this.element(child as OrderedElement, surroundings);
    const instruction = (child as { readonly "#instruction"?: unknown } | null)?.["#instruction"];
    if (typeof instruction !== "string") throw new Error("a child is not a text, an element with `#name`, or an instruction");
    const [, target = "", content = ""] = /^([^ \t\r\n]*)[ \t\r\n]*([^]*)$/.exec(instruction)!;
    return `<?${target}${content === "" ? "" : ` ${content.replaceAll("\r", "&#xD;")}`}?>`;
  }
}

/** The surroundings of an element in the tree below `root`; undefined if it is not there. */
function surroundingsOf(root: OrderedElement, wanted: OrderedElement, around: Surroundings): Surroundings | undefined {
  if (root === wanted) return around;
  const own = attributesOf(root);
  const named = new Map(
    [...around.inherited, ...own.filter(({ prefix }) => prefix === "xml")].map((attribute) => [attribute.name, attribute]),
  );
  const inside: Surroundings = { namespaces: scopeOf(around.namespaces, own), written: around.written, inherited: [...named.values()] };
  for (const child of root["#children"] ?? []) {
    if (typeof child !== "object" || !("#name" in child)) continue;
    const found = surroundingsOf(child, wanted, inside);
    if (found !== undefined) return found;
  }
  return undefined;
}

/** Throws Error for what is no element in order, prefixes that are not declared, and an element that is not below the root. */
export function canonical(root: unknown, options: XmlCanonicalOptions = {}): string {
  if (typeof root !== "object" || root === null || !("#name" in root))
    throw new Error("the root must be an element read with `order: true`");
  const wanted = options.element ?? (root as OrderedElement);
  const outside: Surroundings = { namespaces: noNamespaces, written: noNamespaces, inherited: [] };
  const around = surroundingsOf(root as OrderedElement, wanted, outside);
  if (around === undefined) throw new Error("`element` is not within the root");
  return new Canonical(options).element(wanted, around);
}
