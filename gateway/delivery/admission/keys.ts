/**
 * Expressions that take a text out of a message, for `key:` and `dedup.by:`.
 *
 *   header:NAME     a header, lower case
 *   path:NAME       a parameter of an HTTP source's path: `/orders/:NAME`; `path:rest` of one that ends in `*`
 *   json:/a/0/b     a value in a JSON body, by JSON Pointer (RFC 6901); a stored body has none
 *   id              the message's id as its sender gave it
 *   key             the key the source gave (a partition key)
 *   body            the SHA-256 of the body, also of a stored one
 *   "text"          that text: every message has the same
 */
import { createHash } from "node:crypto";
import { hardLimits, headerText } from "#abi";
import { err, ok, type Result, valuesAt } from "#base";
import type { Incoming } from "../../contract/message.ts";
import { readInSlices, shortBytes } from "./body-reader.ts";

/** The parts of a message that expressions use. */
export type Keyed = Pick<Incoming, "id" | "key" | "headers" | "contentType" | "body" | "storedBody">;

/** Undefined when the message does not have it. Never throws. */
export interface KeyExpression {
  (message: Keyed): string | undefined;
  /** Of json:, so that several can be read in one pass. */
  readonly steps?: readonly string[];
}

function pointerSteps(pointer: string): string[] {
  return pointer
    .split("/")
    .slice(1)
    .map((step) => step.replace(/~1/g, "/").replace(/~0/g, "~"));
}

/** A key fit for the door: a longer one is replaced by its hash. */
export function bounded(key: string | undefined): string | undefined {
  if (key === undefined || key === "") return undefined;
  if (key.length <= hardLimits.keyBytes / 4) return key;
  return createHash("sha256").update(key).digest("hex"); // a key over the bound stays a key: equal ones stay equal
}

/** The texts of a message's expressions, its body read once. A promise where that takes long. */
export type Texts = readonly (string | undefined)[];

export function textsOf(expressions: readonly (KeyExpression | undefined)[], message: Incoming): Texts | Promise<Texts> {
  const pointers = expressions.flatMap((expression) => (expression?.steps === undefined ? [] : [expression.steps]));
  const together = (found: Texts): Texts => {
    let next = 0;
    return expressions.map((expression) => (expression?.steps === undefined ? expression?.(message) : bounded(found[next++])));
  };
  if (pointers.length === 0) return together([]);
  if (message.body.length <= shortBytes) return together(valuesAt(message.body, pointers));
  return readInSlices(message.body, pointers).then(together);
}

/** `fit`: of what is found. */
export function parseKey(
  expression: string,
  fit: (text: string | undefined) => string | undefined = bounded,
): Result<KeyExpression, string> {
  const text = /^"(.*)"$/s.exec(expression)?.[1];
  if (text !== undefined) return ok(() => fit(text));
  if (expression === "id") return ok((message) => fit(message.id));
  if (expression === "key") return ok((message) => fit(message.key));
  if (expression === "body") return ok((message) => message.storedBody?.sha256 ?? createHash("sha256").update(message.body).digest("hex"));
  const [kind, rest] = [expression.slice(0, expression.indexOf(":")), expression.slice(expression.indexOf(":") + 1)];
  if (kind === "header" && /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/.test(rest)) {
    const name = rest.toLowerCase();
    return ok((message) =>
      fit(
        name === "content-type"
          ? message.contentType
          : Object.hasOwn(message.headers, name)
            ? headerText(message.headers[name])
            : undefined,
      ),
    );
  }
  if (kind === "path" && /^[A-Za-z_][A-Za-z0-9_-]*$/.test(rest)) {
    const name = `mayfly-path-${rest.toLowerCase()}`;
    return ok(({ headers }) => fit(Object.hasOwn(headers, name) ? headerText(headers[name]) : undefined));
  }
  if (kind === "json" && (rest === "" || rest.startsWith("/"))) {
    const steps = pointerSteps(rest);
    return ok(Object.assign(({ body }: Keyed) => fit(valuesAt(body, [steps])[0]), { steps }));
  }
  return err("must be header:NAME, path:NAME, json:/pointer, id, key, body or a text in double quotes");
}
