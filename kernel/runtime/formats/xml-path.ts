/**
 * Paths of XPath 1.0 (https://www.w3.org/TR/1999/REC-xpath-19991116/), read into functions. There are all operators but `*`, `div` and `mod`, the axes
 * child, attribute, descendant, descendant-or-self, self, parent and ancestor, and the functions of `functions`.
 */
import { table } from "../table.ts";
import { documentOrder, XmlNode } from "./xml-nodes.ts";

export type PathValue = readonly XmlNode[] | string | number | boolean;

interface Context {
  readonly node: XmlNode;
  /** From 1. */
  readonly position: number;
  readonly size: number;
}
export type Expression = (context: Context) => PathValue;

/** How deep brackets, parentheses and calls may nest. */
const mostDepth = 40;

export function stringOf(value: PathValue): string {
  if (typeof value === "string") return value;
  if (typeof value !== "object") return String(value);
  return value.length === 0 ? "" : value[0]!.text;
}

/** Number of a text (§4.4): a decimal number with white space around it, else NaN. */
function numberOf(value: PathValue): number {
  if (typeof value === "number") return value;
  if (typeof value === "boolean") return value ? 1 : 0;
  const text = stringOf(value).replace(/^[ \t\r\n]+|[ \t\r\n]+$/g, "");
  return /^-?(?:\d+(?:\.\d*)?|\.\d+)$/.test(text) ? Number(text) : Number.NaN;
}

function booleanOf(value: PathValue): boolean {
  if (typeof value === "number") return value !== 0 && !Number.isNaN(value);
  return typeof value === "object" ? value.length > 0 : typeof value === "string" ? value !== "" : value;
}

type Comparison = (one: string | number | boolean, other: string | number | boolean) => boolean;
const comparisons: Readonly<Record<string, Comparison>> = table({
  "=": (one, other) => one === other,
  "!=": (one, other) => one !== other,
  "<": (one, other) => one < other,
  "<=": (one, other) => one <= other,
  ">": (one, other) => one > other,
  ">=": (one, other) => one >= other,
});

/** §3.4: of lists of nodes, whether any of them compares so. */
function compare(operator: string, one: PathValue, other: PathValue): boolean {
  const comparison = comparisons[operator]!;
  const isEquality = operator === "=" || operator === "!=";
  if (typeof one === "boolean" || typeof other === "boolean") {
    const [a, b] = [booleanOf(one), booleanOf(other)];
    return isEquality ? comparison(a, b) : comparison(Number(a), Number(b));
  }
  if (typeof one === "object") return one.some((node) => compare(operator, node.text, other));
  if (typeof other === "object") return other.some((node) => compare(operator, one, node.text));
  const isNumeric = !isEquality || typeof one === "number" || typeof other === "number";
  return isNumeric ? comparison(numberOf(one), numberOf(other)) : comparison(one, other);
}

type Call = (context: Context, given: readonly PathValue[]) => PathValue;
interface PathFunction {
  readonly least: number;
  readonly most: number;
  readonly call: Call;
}

function textOrSelf({ node }: Context, [given]: readonly PathValue[]): string {
  return given === undefined ? node.text : stringOf(given);
}

function firstName({ node }: Context, [given]: readonly PathValue[]): string {
  if (given === undefined) return node.name;
  return typeof given === "object" ? (given[0]?.name ?? "") : "";
}

function nodesOf(value: PathValue | undefined): readonly XmlNode[] {
  return typeof value === "object" ? value : [];
}

function before(text: string, mark: string): string {
  return text.includes(mark) ? text.slice(0, text.indexOf(mark)) : "";
}

function after(text: string, mark: string): string {
  return text.includes(mark) ? text.slice(text.indexOf(mark) + mark.length) : "";
}

/** Characters from `from` on, of which the first is 1, and less than `length` of them behind; both are rounded (§4.2). */
function substring(text: string, from: number, length: number): string {
  const start = Math.floor(from + 0.5);
  const end = start + Math.floor(length + 0.5);
  return [...text].filter((_character, index) => index + 1 >= start && !(index + 1 >= end) && !Number.isNaN(end)).join("");
}

const texts =
  (call: (...given: string[]) => PathValue): Call =>
  (_context, given) =>
    call(...given.map(stringOf));

const functions: ReadonlyMap<string, PathFunction> = new Map<string, PathFunction>([
  ["last", { least: 0, most: 0, call: ({ size }) => size }],
  ["position", { least: 0, most: 0, call: ({ position }) => position }],
  ["count", { least: 1, most: 1, call: (_context, [given]) => nodesOf(given).length }],
  ["sum", { least: 1, most: 1, call: (_context, [given]) => nodesOf(given).reduce((sum, node) => sum + numberOf(node.text), 0) }],
  ["name", { least: 0, most: 1, call: firstName }],
  ["local-name", { least: 0, most: 1, call: (context, given) => firstName(context, given).replace(/^[^:]*:/, "") }],
  ["string", { least: 0, most: 1, call: textOrSelf }],
  ["number", { least: 0, most: 1, call: (context, [given]) => numberOf(given ?? context.node.text) }],
  ["boolean", { least: 1, most: 1, call: (_context, [given]) => booleanOf(given!) }],
  ["not", { least: 1, most: 1, call: (_context, [given]) => !booleanOf(given!) }],
  ["true", { least: 0, most: 0, call: () => true }],
  ["false", { least: 0, most: 0, call: () => false }],
  ["concat", { least: 2, most: 64, call: texts((...given) => given.join("")) }],
  ["contains", { least: 2, most: 2, call: texts((text, part) => text!.includes(part!)) }],
  ["starts-with", { least: 2, most: 2, call: texts((text, part) => text!.startsWith(part!)) }],
  ["substring-before", { least: 2, most: 2, call: texts((text, mark) => before(text!, mark!)) }],
  ["substring-after", { least: 2, most: 2, call: texts((text, mark) => after(text!, mark!)) }],
  [
    "substring",
    {
      least: 2,
      most: 3,
      call: (_context, [text, from, length]) =>
        substring(stringOf(text!), numberOf(from!), length === undefined ? Infinity : numberOf(length)),
    },
  ],
  ["string-length", { least: 0, most: 1, call: (context, given) => [...textOrSelf(context, given)].length }],
  [
    "normalize-space",
    {
      least: 0,
      most: 1,
      call: (context, given) =>
        textOrSelf(context, given)
          .split(/[ \t\r\n]+/)
          .filter((word) => word !== "")
          .join(" "),
    },
  ],
  ["floor", { least: 1, most: 1, call: (_context, [given]) => Math.floor(numberOf(given!)) }],
  ["ceiling", { least: 1, most: 1, call: (_context, [given]) => Math.ceil(numberOf(given!)) }],
  ["round", { least: 1, most: 1, call: (_context, [given]) => Math.round(numberOf(given!)) }],
]);

/** Expressions that are read and can't be a number, which a predicate would take for a position. */
const yieldsNoNumber = new WeakSet<Expression>();
/** Functions that ask where a node is counted. */
const counting: ReadonlySet<string> = new Set(["position", "last"]);
const numeric: ReadonlySet<string> = new Set(["last", "position", "count", "sum", "number", "string-length", "floor", "ceiling", "round"]);

function noNumber(expression: Expression): Expression {
  yieldsNoNumber.add(expression);
  return expression;
}

type Axis = (node: XmlNode) => readonly XmlNode[];

function withDescendants(node: XmlNode, found: XmlNode[] = []): XmlNode[] {
  found.push(node);
  for (const child of node.children) withDescendants(child, found);
  return found;
}

function ancestors(node: XmlNode): XmlNode[] {
  const found: XmlNode[] = [];
  for (let each = node.parent; each !== undefined; each = each.parent) found.push(each);
  return found;
}

/** Nodes of an axis in the order in which they are counted. */
const axes: Readonly<Record<string, Axis>> = table({
  child: ({ children }) => children,
  attribute: ({ attributes }) => attributes,
  descendant: (node) => withDescendants(node).slice(1),
  "descendant-or-self": (node) => withDescendants(node),
  self: (node) => [node],
  parent: ({ parent }) => (parent === undefined ? [] : [parent]),
  ancestor: ancestors,
});
const everyNode = (): boolean => true;

interface Step {
  readonly axis: string;
  readonly test: (node: XmlNode) => boolean;
  readonly predicates: readonly Expression[];
  /** Its predicates say the same of a node wherever it is counted. */
  readonly isFree: boolean;
}

function filtered(nodes: readonly XmlNode[], predicates: readonly Expression[]): readonly XmlNode[] {
  let kept = nodes;
  for (const predicate of predicates) {
    const size = kept.length;
    const found: XmlNode[] = [];
    for (let index = 0; index < size; index++) {
      const node = kept[index]!;
      const value = predicate({ node, position: index + 1, size });
      if (typeof value === "number" ? value === index + 1 : booleanOf(value)) found.push(node);
    }
    kept = found;
  }
  return kept;
}

/** Each node once, in document order. */
function inOrder(nodes: readonly XmlNode[]): readonly XmlNode[] {
  let at = 1;
  while (at < nodes.length && documentOrder(nodes[at - 1]!, nodes[at]!) < 0) at++;
  return at >= nodes.length ? nodes : [...new Set(nodes)].sort(documentOrder);
}

function follow(start: readonly XmlNode[], steps: readonly Step[]): readonly XmlNode[] {
  let nodes = start;
  for (const { axis, test, predicates } of steps) {
    const found: XmlNode[] = [];
    for (const node of nodes) {
      const tested: XmlNode[] = [];
      for (const each of axes[axis]!(node)) if (test(each)) tested.push(each);
      for (const each of filtered(tested, predicates)) found.push(each);
    }
    nodes = nodes.length === 1 && axis !== "ancestor" ? found : inOrder(found);
  }
  return nodes;
}

const token =
  /[ \t\r\n]*(?:(\.\.|\/\/|::|!=|<=|>=|[/.@()[\],|=<>+-])|("[^"]*"|'[^']*')|(\d+(?:\.\d*)?|\.\d+)|((?:[\p{L}_][\p{L}\p{N}\p{M}_.\-·]*:)?(?:\*|[\p{L}_][\p{L}\p{N}\p{M}_.\-·]*)))/uy;

interface Token {
  readonly text: string;
  readonly kind: "sign" | "text" | "number" | "name" | "end";
  readonly at: number;
}

function tokensOf(path: string): Token[] {
  const found: Token[] = [];
  token.lastIndex = 0;
  while (/[^ \t\r\n]/.test(path.slice(token.lastIndex))) {
    const at = token.lastIndex;
    const match = token.exec(path);
    if (match === null) throw new PathError("this is not XPath, or not what can be read here", at + path.slice(at).search(/[^ \t\r\n]/));
    const [whole, sign, text, number, name] = match;
    const start = at + whole.length - (sign ?? text ?? number ?? name)!.length;
    if (text !== undefined) found.push({ text: text.slice(1, -1), kind: "text", at: start });
    else
      found.push({
        text: (sign ?? number ?? name)!,
        kind: sign !== undefined ? "sign" : number !== undefined ? "number" : "name",
        at: start,
      });
  }
  return [...found, { text: "", kind: "end", at: path.length }];
}

export class PathError extends Error {
  /** Index in the path. */
  readonly at: number;

  constructor(message: string, at: number) {
    super(message);
    this.at = at;
  }
}

class Reader {
  readonly #tokens: readonly Token[];
  #at = 0;
  #depth = 0;
  /** A predicate of the step that is read may be a number, or asks for the position. */
  #counted = false;

  constructor(path: string) {
    this.#tokens = tokensOf(path);
  }

  whole(): Expression {
    const read = this.#either();
    if (this.#next.kind !== "end") this.#refuse(`${JSON.stringify(this.#next.text)} can't stand here`);
    return read;
  }

  get #next(): Token {
    return this.#tokens[this.#at]!;
  }

  #refuse(why: string): never {
    throw new PathError(why, this.#next.at);
  }

  /** Takes the next token if it is this sign. */
  #take(text: string, kind: Token["kind"] = "sign"): boolean {
    const isIt = this.#next.kind === kind && this.#next.text === text;
    if (isIt) this.#at++;
    return isIt;
  }

  #need(text: string): void {
    if (!this.#take(text)) this.#refuse(`\`${text}\` is missing`);
  }

  #within<T>(read: () => T): T {
    if (++this.#depth > mostDepth) this.#refuse(`the path is nested deeper than ${mostDepth}`);
    const value = read();
    this.#depth--;
    return value;
  }

  #either(): Expression {
    let left = this.#both();
    while (this.#take("or", "name")) {
      const [one, other] = [left, this.#both()];
      left = noNumber((context) => booleanOf(one(context)) || booleanOf(other(context)));
    }
    return left;
  }

  #both(): Expression {
    let left = this.#comparison(["=", "!="], () => this.#comparison(["<", "<=", ">", ">="], () => this.#sum()));
    while (this.#take("and", "name")) {
      const [one, other] = [left, this.#comparison(["=", "!="], () => this.#comparison(["<", "<=", ">", ">="], () => this.#sum()))];
      left = noNumber((context) => booleanOf(one(context)) && booleanOf(other(context)));
    }
    return left;
  }

  #comparison(operators: readonly string[], part: () => Expression): Expression {
    let left = part();
    for (;;) {
      const operator = operators.find((each) => this.#take(each));
      if (operator === undefined) return left;
      const [one, other] = [left, part()];
      left = noNumber((context) => compare(operator, one(context), other(context)));
    }
  }

  #sum(): Expression {
    let left = this.#negative();
    for (;;) {
      const sign = this.#take("+") ? 1 : this.#take("-") ? -1 : 0;
      if (sign === 0) return left;
      const [one, other] = [left, this.#negative()];
      left = (context) => numberOf(one(context)) + sign * numberOf(other(context));
    }
  }

  #negative(): Expression {
    if (!this.#take("-")) return this.#union();
    const read = this.#within(() => this.#negative());
    return (context) => -numberOf(read(context));
  }

  #union(): Expression {
    const parts = [this.#path()];
    while (this.#take("|")) parts.push(this.#path());
    const [only] = parts;
    if (parts.length === 1) return only!;
    return noNumber((context) => inOrder(parts.flatMap((part) => [...this.#nodes(part(context))])));
  }

  #nodes(value: PathValue): readonly XmlNode[] {
    if (typeof value !== "object") throw new PathError("only nodes have children, predicates and unions", 0);
    return value;
  }

  /** A location path, or a value, with predicates and further steps. */
  #path(): Expression {
    const start = this.#primary();
    if (start === undefined) return this.#location();
    const predicates = this.#predicates();
    const steps = this.#further();
    if (predicates.length === 0 && steps.length === 0) return start;
    return noNumber((context) => follow(filtered(this.#nodes(start(context)), predicates), steps));
  }

  #primary(): Expression | undefined {
    const { text, kind } = this.#next;
    if (kind === "text" || kind === "number") {
      this.#at++;
      const value = kind === "number" ? Number(text) : text;
      return () => value;
    }
    if (this.#take("(")) {
      const read = this.#within(() => this.#either());
      this.#need(")");
      return read;
    }
    const isCall = kind === "name" && this.#tokens[this.#at + 1]?.text === "(" && this.#tokens[this.#at + 1]?.kind === "sign";
    return isCall && text !== "text" && text !== "node" ? this.#call(text) : undefined;
  }

  #call(name: string): Expression {
    const known = functions.get(name);
    if (known === undefined) this.#refuse(`the function ${name} is not there: there are ${[...functions.keys()].join(", ")}`);
    this.#at += 2;
    const given: Expression[] = [];
    if (!this.#take(")")) {
      do given.push(this.#within(() => this.#either()));
      while (this.#take(","));
      this.#need(")");
    }
    if (given.length < known.least || given.length > known.most) this.#refuse(`${name} takes ${known.least} to ${known.most} values`);
    if (counting.has(name)) this.#counted = true;
    const call: Expression = (context) =>
      known.call(
        context,
        given.map((each) => each(context)),
      );
    return numeric.has(name) ? call : noNumber(call);
  }

  #location(): Expression {
    const isAll = this.#next.text === "//" && this.#next.kind === "sign";
    if (isAll) {
      const steps = this.#further();
      return noNumber(({ node }) => follow([rootOf(node)], steps));
    }
    if (!this.#take("/")) {
      const steps = [this.#step(), ...this.#further()];
      return noNumber(({ node }) => follow([node], steps));
    }
    const steps = this.#isStep() ? [this.#step(), ...this.#further()] : [];
    return noNumber(({ node }) => follow([rootOf(node)], steps));
  }

  #isStep(): boolean {
    const { kind, text } = this.#next;
    return kind === "name" || (kind === "sign" && ["@", ".", ".."].includes(text));
  }

  #further(): Step[] {
    const steps: Step[] = [];
    for (;;) {
      const isDeep = this.#take("//");
      if (!isDeep && !this.#take("/")) return steps;
      const step = this.#step();
      // `//a` is short for `/descendant-or-self::node()/child::a`: the descendants a, unless they are counted below each parent.
      if (isDeep && step.axis === "child" && step.isFree) steps.push({ ...step, axis: "descendant" });
      else if (isDeep) steps.push({ axis: "descendant-or-self", test: everyNode, predicates: [], isFree: true }, step);
      else steps.push(step);
    }
  }

  #step(): Step {
    if (this.#take(".")) return { axis: "self", test: everyNode, predicates: [], isFree: true };
    if (this.#take("..")) return { axis: "parent", test: everyNode, predicates: [], isFree: true };
    let axis = this.#take("@") ? "attribute" : "child";
    if (this.#tokens[this.#at + 1]?.text === "::") {
      axis = this.#next.text;
      if (!Object.hasOwn(axes, axis)) this.#refuse(`the axis ${axis} is not there: there are ${Object.keys(axes).join(", ")}`);
      this.#at += 2;
    }
    const test = this.#test(axis === "attribute" ? "attribute" : "element");
    const counted = this.#counted;
    this.#counted = false;
    const predicates = this.#predicates();
    const isFree = !this.#counted;
    this.#counted = counted;
    return { axis, test, predicates, isFree };
  }

  #test(kind: string): (node: XmlNode) => boolean {
    if (this.#next.kind !== "name") this.#refuse("a name, `*`, `@`, `.` or `..` is missing");
    const { text } = this.#next;
    this.#at++;
    if (this.#take("(")) {
      this.#need(")");
      if (text === "node") return everyNode;
      if (text === "text") return (node) => node.kind === "text";
      this.#refuse(`${text}() can't stand here`);
    }
    if (text === "*") return (node) => node.kind === kind;
    if (text.endsWith(":*")) return (node) => node.kind === kind && node.name.startsWith(text.slice(0, -1));
    return (node) => node.kind === kind && node.name === text;
  }

  #predicates(): Expression[] {
    const found: Expression[] = [];
    while (this.#take("[")) {
      const read = this.#within(() => this.#either());
      if (!yieldsNoNumber.has(read)) this.#counted = true;
      found.push(read);
      this.#need("]");
    }
    return found;
  }
}

function rootOf(node: XmlNode): XmlNode {
  return node.parent === undefined ? node : rootOf(node.parent);
}

/** Throws PathError. */
export function readPath(path: string): Expression {
  return new Reader(path).whole();
}
