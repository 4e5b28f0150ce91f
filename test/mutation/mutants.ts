/** Small wrong changes of a compiled file: each is the kind of slip that a test of it should notice. */
import { type AnyNode, type Expression, type ExpressionStatement, type Node, parse } from "acorn";

export interface Mutant {
  /** Characters of the file that `text` replaces. */
  readonly start: number;
  readonly end: number;
  readonly text: string;
}

const swapped = new Map([
  ["<", "<="],
  ["<=", "<"],
  [">", ">="],
  [">=", ">"],
  ["===", "!=="],
  ["!==", "==="],
  ["&&", "||"],
  ["||", "&&"],
  ["+", "-"],
  ["-", "+"],
  ["*", "/"],
  ["/", "*"],
  ["+=", "-="],
  ["-=", "+="],
]);

const isText = ({ type, ...node }: AnyNode): boolean =>
  type === "TemplateLiteral" || (type === "Literal" && "value" in node && typeof node.value === "string");

/** The operator between two parts. Parentheses may stand around them, and comments beside it. */
function swap(source: string, operator: string, left: Node, right: Node): Mutant[] {
  const other = swapped.get(operator);
  const start = source.indexOf(operator, left.end);
  return other === undefined || start < 0 || start >= right.start ? [] : [{ start, end: start + operator.length, text: other }];
}

function isCall({ expression }: ExpressionStatement): boolean {
  const call: Expression = expression.type === "AwaitExpression" ? expression.argument : expression;
  return call.type === "CallExpression" && call.callee.type !== "Super";
}

function changesOf(node: AnyNode, source: string): Mutant[] {
  const by = (text: string): Mutant[] => [{ start: node.start, end: node.end, text }];
  const textOf = ({ start, end }: Node): string => source.slice(start, end);
  switch (node.type) {
    case "BinaryExpression":
    case "LogicalExpression":
      if (node.operator === "+" && (isText(node.left as AnyNode) || isText(node.right))) return [];
      return swap(source, node.operator, node.left, node.right);
    case "AssignmentExpression":
      return swap(source, node.operator, node.left, node.right);
    case "UnaryExpression":
      return node.operator === "!" ? by(textOf(node.argument)) : [];
    case "AwaitExpression":
      return by(textOf(node.argument));
    case "Literal":
      if (typeof node.value === "number") return by(String(node.value + 1));
      return typeof node.value === "boolean" ? by(String(!node.value)) : [];
    case "ConditionalExpression":
      return by(`${textOf(node.test)} ? ${textOf(node.alternate)} : ${textOf(node.consequent)}`);
    case "ExpressionStatement":
      return isCall(node) ? by(";") : [];
    default:
      return [];
  }
}

const isNode = (value: unknown): value is AnyNode => typeof value === "object" && value !== null && "type" in value && "start" in value;

/** All of a file, from the outside in. What is run once while the file is loaded, such as a table, is changed as well. */
export function mutantsOf(source: string): Mutant[] {
  const mutants: Mutant[] = [];
  const visit = (node: AnyNode): void => {
    if (/^(Import|Export(All|Named))Declaration$/.test(node.type) && "source" in node && node.source !== null) return;
    mutants.push(...changesOf(node, source));
    for (const part of Object.values(node).flat()) if (isNode(part)) visit(part);
  };
  visit(parse(source, { ecmaVersion: "latest", sourceType: "module" }));
  return mutants;
}
