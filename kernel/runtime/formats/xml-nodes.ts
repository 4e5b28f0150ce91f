/**
 * A tree of nodes over a value that was parsed from XML, in either form (XPath 1.0, §5): elements, attributes and texts, each with its parent.
 * Nodes are made when they are asked for, each once, so that each is itself.
 */
export type NodeKind = "document" | "element" | "attribute" | "text" | "instruction";

/** Attributes stand before children, so their numbers are below 0. */
const mostAttributes = 2 ** 30;

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

export class XmlNode {
  readonly kind: NodeKind;
  /** With its prefix; "" of a text and of what has no element around it. */
  readonly name: string;
  /** As it was parsed. */
  readonly value: unknown;
  readonly parent: XmlNode | undefined;
  /** Place among the attributes and children of the element around it: attributes below 0, children from 0. */
  readonly index: number;
  readonly depth: number;
  #attributes: XmlNode[] | undefined;
  #children: XmlNode[] = [];

  constructor(kind: NodeKind, name: string, value: unknown, parent?: XmlNode, index = 0) {
    this.kind = kind;
    this.name = name;
    this.value = value;
    this.parent = parent;
    this.index = index;
    this.depth = parent === undefined ? 0 : parent.depth + 1;
  }

  get attributes(): readonly XmlNode[] {
    if (this.#attributes === undefined) this.#make();
    return this.#attributes!;
  }

  /** Elements, texts and instructions in order; of the form without order, by name, and the text behind them. */
  get children(): readonly XmlNode[] {
    if (this.#attributes === undefined) this.#make();
    return this.#children;
  }

  get #isParent(): boolean {
    return this.kind === "element" || this.kind === "document";
  }

  /** The text of an attribute or a text, and of an element with all that is in it. */
  get text(): string {
    if (typeof this.value === "string" || !this.#isParent) return String(this.value ?? "");
    return this.children.map((child) => (child.kind === "instruction" ? "" : child.text)).join("");
  }

  #make(): void {
    this.#attributes = [];
    const { value } = this;
    if (!this.#isParent) return;
    if (!isObject(value)) {
      if (value !== undefined && value !== null && value !== "") this.#add("text", "", value);
      return;
    }
    const isOrdered = Object.hasOwn(value, "#name");
    for (const key in value) {
      const item = value[key];
      if (item === undefined) continue;
      if (key.charCodeAt(0) === 0x40)
        this.#attributes.push(new XmlNode("attribute", key.slice(1), item, this, this.#attributes.length - mostAttributes));
      else if (isOrdered) continue;
      else if (key.charCodeAt(0) !== 0x23) this.#elements(key, item);
    }
    if (isOrdered) for (const child of (value["#children"] ?? []) as readonly unknown[]) this.#orderedChild(child);
    if (!isOrdered && value["#text"] !== undefined) this.#add("text", "", value["#text"]);
  }

  #add(kind: NodeKind, name: string, value: unknown): void {
    this.#children.push(new XmlNode(kind, name, value, this, this.#children.length));
  }

  #elements(name: string, item: unknown): void {
    if (Array.isArray(item)) for (const each of item as unknown[]) this.#add("element", name, each);
    else this.#add("element", name, item);
  }

  #orderedChild(child: unknown): void {
    if (!isObject(child)) this.#add("text", "", child);
    else if (Object.hasOwn(child, "#name")) this.#add("element", String(child["#name"]), child);
    else this.#add("instruction", "", child["#instruction"]);
  }
}

/** The order of two nodes of one tree in their document: below 0, 0, above 0. */
export function documentOrder(one: XmlNode, other: XmlNode): number {
  let [a, b]: [XmlNode, XmlNode] = [one, other];
  while (a.depth > b.depth) a = a.parent!;
  while (b.depth > a.depth) b = b.parent!;
  if (a === b) return one.depth - other.depth;
  while (a.parent !== b.parent) [a, b] = [a.parent!, b.parent!];
  return a.index - b.index;
}
