/**
 * Finds promises that are not awaited: their results and errors are lost, in a flow after the handler's end. TypeScript has no rule for
 * that, so its checker is asked for the types of expression statements, and of functions passed to callers that ignore their result.
 */
import type * as Types from "typescript/unstable/async";
import type * as Syntax from "typescript/unstable/ast";
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

/** The compiler's two modules, which are loaded when somebody lints. */
interface Compiler {
  readonly types: typeof Types;
  readonly syntax: typeof Syntax;
}

class Search {
  readonly #compiler: Compiler;
  readonly #checker: Types.Checker;
  readonly #mayCatch: boolean;

  constructor(compiler: Compiler, checker: Types.Checker, mayCatch: boolean) {
    this.#compiler = compiler;
    this.#checker = checker;
    this.#mayCatch = mayCatch;
  }

  async in(source: Syntax.SourceFile): Promise<DroppedPromise[]> {
    const candidates = [...this.#candidates(source)];
    const isDropped = await Promise.all(
      candidates.map(async ({ node, kind }) =>
        kind === "statement" ? this.#isThenable(await this.#checker.getTypeAtLocation(node)) : this.#isDropped(node),
      ),
    );
    return candidates
      .filter((_, index) => isDropped[index])
      .map(({ node, kind }) => {
        const { line, character } = source.getLineAndCharacterOfPosition(node.getStart(source));
        return { file: source.fileName, line: line + 1, column: character + 1, kind };
      });
  }

  /** Statements that may be promises, and functions given to calls, in the order of the text. */
  *#candidates(node: Syntax.Node): Generator<{ readonly node: Syntax.Expression; readonly kind: DroppedPromise["kind"] }> {
    const { syntax } = this.#compiler;
    if (syntax.isExpressionStatement(node) && !this.#isKept(node.expression)) yield { node: node.expression, kind: "statement" };
    if (syntax.isArrowFunction(node) || syntax.isFunctionExpression(node)) yield { node, kind: "callback" };
    const children: Syntax.Node[] = [];
    node.forEachChild((child) => void children.push(child));
    for (const child of children) yield* this.#candidates(child);
  }

  /** True for expressions that keep or await their value, or discard it explicitly. */
  #isKept(node: Syntax.Expression): boolean {
    const { syntax } = this.#compiler;
    const { FirstAssignment, LastAssignment } = syntax.SyntaxKind;
    const isAssignment =
      syntax.isBinaryExpression(node) && node.operatorToken.kind >= FirstAssignment && node.operatorToken.kind <= LastAssignment;
    return isAssignment || syntax.isVoidExpression(node) || syntax.isAwaitExpression(node) || (this.#mayCatch && this.#isCaught(node));
  }

  /** True for `….catch(…)` and `….then(…, …)`, also before `.finally(…)`. */
  #isCaught(node: Syntax.Expression): boolean {
    const { syntax } = this.#compiler;
    if (!syntax.isCallExpression(node) || !syntax.isPropertyAccessExpression(node.expression)) return false;
    const { name, expression } = node.expression;
    if (name.text === "finally") return this.#isCaught(expression);
    return (name.text === "catch" && node.arguments.length === 1) || (name.text === "then" && node.arguments.length === 2);
  }

  /** True for what has a `then`, or may be such a thing. */
  async #isThenable(type: Types.Type | undefined): Promise<boolean> {
    if (type === undefined) return false;
    if (type.isUnionType()) {
      for (const part of await type.getTypes()) if (await this.#isThenable(part)) return true;
      return false;
    }
    const then = await this.#checker.getPropertyOfType(type, "then");
    const typeOfThen = then === undefined ? undefined : await this.#checker.getTypeOfSymbol(then);
    return typeOfThen !== undefined && (await this.#results(typeOfThen)).length > 0;
  }

  /** Types of the results of calling a value, one for each signature. */
  async #results(type: Types.Type): Promise<readonly (Types.Type | undefined)[]> {
    const signatures = await this.#checker.getSignaturesOfType(type, this.#compiler.types.SignatureKind.Call);
    return Promise.all(signatures.map((signature) => this.#checker.getReturnTypeOfSignature(signature)));
  }

  /** True for a function that gives a promise to a caller who expects nothing: `forEach`, `setTimeout`. */
  async #isDropped(callback: Syntax.Expression): Promise<boolean> {
    const expected = await this.#checker.getContextualType(callback);
    const wanted = expected === undefined ? [] : await this.#results(expected);
    const { Void } = this.#compiler.types.TypeFlags;
    if (wanted.length === 0 || !wanted.every((type) => type !== undefined && (type.flags & Void) !== 0)) return false;
    const own = await this.#checker.getTypeAtLocation(callback);
    for (const type of own === undefined ? [] : await this.#results(own)) if (await this.#isThenable(type)) return true;
    return false;
  }
}

/** Those in a flow and in the project's modules that it imports, packages left out. JavaScript has no types, and none are found. */
export async function droppedPromises(path: string): Promise<readonly DroppedPromise[]> {
  if (!/\.[mc]?ts$/.test(path)) return [];
  return withTypeConfig(path, (config) => droppedPromisesOf(config));
}

/** Those in the files of a project, given by its tsconfig.json. `mayCatch`: a promise whose errors are handled need not be awaited. */
export async function droppedPromisesOf(config: string, { mayCatch = false } = {}): Promise<readonly DroppedPromise[]> {
  const [types, syntax] = await Promise.all([import("typescript/unstable/async"), import("typescript/unstable/ast")]);
  const api = new types.API();
  try {
    const [project] = (await api.updateSnapshot({ openProjects: [config] })).getProjects();
    if (project === undefined) return [];
    const search = new Search({ types, syntax }, project.checker, mayCatch);
    const found: DroppedPromise[] = [];
    for (const name of await project.program.getSourceFileNames()) {
      if (/\.d\.[mc]?ts$/.test(name) || name.includes("/node_modules/")) continue;
      const source = await project.program.getSourceFile(name);
      if (source !== undefined) found.push(...(await search.in(source)));
    }
    return found;
  } finally {
    await api.close();
  }
}
