/**
 * Promises of a flow that nobody waits for. What comes of them after the handler's end is lost: answers, sends, errors. TypeScript has no
 * rule for that, so its checker is asked for the types of expressions that stand as statements, and of functions given to callers that
 * expect no result.
 */
import type { Checker, Project, Type } from "typescript/unstable/async";
import type { Expression, Node, SourceFile } from "typescript/unstable/ast";
import { withTypeConfig } from "./check.ts";

export interface DroppedPromise {
  /** Absolute path. */
  readonly file: string;
  /** Both from 1. */
  readonly line: number;
  readonly column: number;
  /** `statement`: an expression nobody takes the value of. `callback`: a function whose caller takes no result. */
  readonly kind: "statement" | "callback";
}

type Syntax = typeof import("typescript/unstable/ast");

interface Candidates {
  readonly statements: Expression[];
  readonly callbacks: Expression[];
}

/** True for expressions that keep their value, or say that nobody wants it. */
function isKept(syntax: Syntax, node: Expression): boolean {
  const { FirstAssignment, LastAssignment } = syntax.SyntaxKind;
  const isAssignment =
    syntax.isBinaryExpression(node) && node.operatorToken.kind >= FirstAssignment && node.operatorToken.kind <= LastAssignment;
  return isAssignment || syntax.isVoidExpression(node);
}

function collect(syntax: Syntax, node: Node, found: Candidates): void {
  if (syntax.isExpressionStatement(node) && !isKept(syntax, node.expression)) found.statements.push(node.expression);
  if (syntax.isCallExpression(node) || syntax.isNewExpression(node))
    for (const value of node.arguments ?? [])
      if (syntax.isArrowFunction(value) || syntax.isFunctionExpression(value)) found.callbacks.push(value);
  node.forEachChild((child) => collect(syntax, child, found));
}

/** True for what has a `then`, or may be such a thing. */
async function isThenable(checker: Checker, type: Type | undefined): Promise<boolean> {
  if (type === undefined) return false;
  if (type.isUnionType()) {
    for (const part of await type.getTypes()) if (await isThenable(checker, part)) return true;
    return false;
  }
  const then = await checker.getPropertyOfType(type, "then");
  const typeOfThen = then === undefined ? undefined : await checker.getTypeOfSymbol(then);
  return typeOfThen !== undefined && (await returns(checker, typeOfThen)).length > 0;
}

/** What calls of a value give, signature by signature. */
async function returns(checker: Checker, type: Type): Promise<readonly (Type | undefined)[]> {
  const { SignatureKind } = await import("typescript/unstable/async");
  const signatures = await checker.getSignaturesOfType(type, SignatureKind.Call);
  return Promise.all(signatures.map((signature) => checker.getReturnTypeOfSignature(signature)));
}

/** True for a function that gives a promise to a caller who expects nothing: `forEach`, `setTimeout`. */
async function isDropped(checker: Checker, callback: Expression): Promise<boolean> {
  const { TypeFlags } = await import("typescript/unstable/async");
  const [own, expected] = await Promise.all([checker.getTypeAtLocation(callback), checker.getContextualType(callback)]);
  if (own === undefined || expected === undefined) return false;
  const wanted = await returns(checker, expected);
  if (wanted.length === 0 || !wanted.every((type) => type !== undefined && (type.flags & TypeFlags.Void) !== 0)) return false;
  for (const type of await returns(checker, own)) if (await isThenable(checker, type)) return true;
  return false;
}

async function inFile(syntax: Syntax, { checker }: Project, source: SourceFile): Promise<DroppedPromise[]> {
  const found: Candidates = { statements: [], callbacks: [] };
  collect(syntax, source, found);
  const types = found.statements.length === 0 ? [] : await checker.getTypeAtLocation(found.statements);
  const dropped: DroppedPromise[] = [];
  const note = (node: Node, kind: DroppedPromise["kind"]): void => {
    const { line, character } = source.getLineAndCharacterOfPosition(node.getStart(source));
    dropped.push({ file: source.fileName, line: line + 1, column: character + 1, kind });
  };
  for (const [index, node] of found.statements.entries()) if (await isThenable(checker, types[index])) note(node, "statement");
  for (const node of found.callbacks) if (await isDropped(checker, node)) note(node, "callback");
  return dropped.sort((a, b) => a.line - b.line || a.column - b.column);
}

/** Those in a flow and in the project's modules that it imports, packages left out. JavaScript has no types, and none are found. */
export async function droppedPromises(path: string): Promise<readonly DroppedPromise[]> {
  if (!/\.[mc]?ts$/.test(path)) return [];
  const [{ API }, syntax] = await Promise.all([import("typescript/unstable/async"), import("typescript/unstable/ast")]);
  return await withTypeConfig(path, async (config) => {
    const api = new API();
    try {
      const [project] = (await api.updateSnapshot({ openProjects: [config] })).getProjects();
      const found: DroppedPromise[] = [];
      for (const name of (await project?.program.getSourceFileNames()) ?? []) {
        if (/\.d\.[mc]?ts$/.test(name) || name.includes("/node_modules/")) continue;
        const source = await project?.program.getSourceFile(name);
        if (project !== undefined && source !== undefined) found.push(...(await inFile(syntax, project, source)));
      }
      return found;
    } finally {
      await api.close();
    }
  });
}
